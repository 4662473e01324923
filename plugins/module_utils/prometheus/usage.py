# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Samples of a workload's pods, or of a figure of one's own, from Prometheus; capacity/load.py says what samples look like.

Up to two hours are read as raw samples, so that gaps, restarts and double scraping are seen as they are. Of longer windows rates are read,
at a step with which the answer stays small. All times are the server's; a window ends at its now.
"""

from __future__ import annotations

import math
import statistics
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import queries
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import NothingFound, Prometheus, Series, safe_step
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.packed import Packed

Samples = dict[str, Any]
Points = list[list[float]]

RAW_SECONDS = 7200.0  # longest window that is read as raw samples
_BEFORE = 120.0  # seconds before the window that are read as well: a rate needs two samples
_LONG_POINTS = 720  # moments of a window that is read as rates
_SHORTEST_RATE = 300.0
_USUAL_STEP = 15.0
_CUSTOM_POINTS = 20  # at least, where the window is short
_APART = 3  # times the usual distance: two samples that are further apart have a gap between them
_SAME_RUN = ("id", "name", "image")  # labels that change when a container restarts: they do not tell one scrape job from another
_FEW = 3


def workload(
    server: Prometheus,
    namespace: str,
    pods: Sequence[str],
    *,
    window_seconds: float,
    resource: str = "cpu",
    labels: Mapping[str, str] | None = None,
) -> Samples:
    """Usage of these pods within the window: cores or bytes per container. Pods without samples are missing from it; that is no error.

    labels: further labels that the series must have, such as {"cluster": "prod"} where one Prometheus holds several clusters.
    Raises PrometheusError, and BadInput where series of several clusters are found.
    """
    queries.check_labels(labels or {})
    end = server.now()
    if window_seconds <= RAW_SECONDS:
        asked = queries.raw_samples(resource, namespace, pods, window_seconds + _BEFORE, labels)
        found = [series for query in asked for series in server.query(query, end, option="prometheus_url")]
        one_cluster(found)
        return _samples(server, end, window_seconds, **from_raw(found, resource, end - window_seconds))
    step = safe_step(0, window_seconds, max(_USUAL_STEP, window_seconds / _LONG_POINTS))
    asked = queries.usage(resource, namespace, pods, max(_SHORTEST_RATE, 2 * step), labels)
    found = [series for query in asked for series in server.query_range(query, end - window_seconds, end, step, option="prometheus_url")]
    one_cluster(found)
    known: dict[str, dict[str, Points]] = {}
    for series in found:
        known.setdefault(series.labels.get("pod", ""), {})[series.labels.get("container", "")] = series.values
    return _samples(server, end, window_seconds, pods=known, step_seconds=step)


def custom(server: Prometheus, expression: str, *, window_seconds: float, unit: str = "") -> Samples:
    """The values of an expression of the user's within the window.

    Raises QueryRefused (wrong PromQL), NothingFound (no series, or no number in it), BadInput (empty, or several series), PrometheusError.
    """
    if not expression.strip():
        raise BadInput("prometheus_query is empty.", "Give an expression in PromQL that has one value.")
    end = server.now()
    step = safe_step(0, window_seconds, min(_USUAL_STEP, window_seconds / _CUSTOM_POINTS))
    step = max(step, window_seconds / _LONG_POINTS)
    found = server.query_range(expression, end - window_seconds, end, step)
    if len(found) > 1:
        some = "; ".join(server.quote(", ".join(f"{key}={value}" for key, value in one.labels.items()))[:80] for one in found[:_FEW])
        raise BadInput(
            f"prometheus_query has {len(found)} series as its result, one is wanted: {some}{'; ...' if len(found) > _FEW else ''}.",
            "Aggregate them, as with sum(...) or max(...), or name the labels of one.",
        )
    values = found[0].values if found else []
    if not any(math.isfinite(value) for _at, value in values):
        raise NothingFound(
            f"prometheus_query has {'only values that are no numbers (NaN)' if values else 'no result'} in the last {window_seconds:g} s at"
            f" {server.address}.",
            "Check the names of the metric and its labels, and that it is scraped.",
        )
    return {**_samples(server, end, window_seconds, values=values, step_seconds=step), "unit": unit}


def _samples(server: Prometheus, end: float, window: float, *, step_seconds: float, **found: Any) -> Samples:
    source = f"Prometheus {server.address}, step {step_seconds:g} s"
    return {"from": end - window, "to": end, "source": source, "step_seconds": step_seconds, **found}


def one_cluster(found: Iterable[Series | Packed]) -> None:
    """Raises BadInput where these series are of several clusters."""
    for label in queries.CLUSTERS:
        values = sorted({one.labels[label] for one in found if label in one.labels})
        if len(values) > 1:
            raise BadInput(
                f"Prometheus holds pods of these names in {len(values)} clusters: {label} is {', '.join(values[:_FEW])}.",
                "Say which one is meant with prometheus_labels.",
            )


# --- raw samples -----------------------------------------------------------------------------------------------------------


def from_raw(found: Iterable[Series], resource: str, begin: float) -> dict[str, Any]:
    """{pods, step_seconds, restarts} of the series of raw samples. A container that restarts begins a new series, or its counter falls."""
    runs: dict[tuple[str, str], dict[str, list[Points]]] = {}
    for series in found:
        labels = series.labels
        origin = "\0".join(f"{key}={value}" for key, value in sorted(labels.items()) if key not in _SAME_RUN)
        key = labels.get("pod", ""), labels.get("container", "")
        runs.setdefault(key, {}).setdefault(origin, []).append(series.values)
    chosen = {
        key: sorted((run for run in max(origins.items(), key=_worth)[1] if run), key=lambda run: run[0][0]) for key, origins in runs.items()
    }
    distances = [late[0] - early[0] for each in chosen.values() for run in each for early, late in zip(run, run[1:])]
    step = max(1.0, round(statistics.median(distances), 1)) if distances else _USUAL_STEP
    pods: dict[str, dict[str, Points]] = {}
    restarts: list[dict[str, Any]] = []
    for (pod, container), each in chosen.items():
        points: Points = []
        for index, run in enumerate(each):
            if index and run[0][0] > each[index - 1][-1][0]:
                restarts.append({"pod": pod, "container": container, "at": run[0][0]})
            used, resets = _cores(run, step) if resource == "cpu" else (run, [])
            points += used
            restarts += [{"pod": pod, "container": container, "at": at} for at in resets]
        pods.setdefault(pod, {})[container] = sorted(points)
    return {"pods": pods, "step_seconds": step, "restarts": [one for one in restarts if one["at"] >= begin]}


def _worth(origin: tuple[str, list[Points]]) -> tuple[int, int, str]:
    """Of several scrape jobs for one container: the kubelet's own, else the one with most samples."""
    name, each = origin
    return int("\0job=kubelet\0" in f"\0{name}\0"), sum(map(len, each)), name


def _cores(run: Points, step: float) -> tuple[Points, list[float]]:
    """([[time, cores between it and the sample before]], times at which the counter fell)."""
    used: Points = []
    fell: list[float] = []
    for (before, first), (at, second) in zip(run, run[1:]):
        if second < first:
            fell.append(at)
        elif 0 < at - before <= _APART * step:  # over a gap there would be a mean, but no moments
            used.append([at, (second - first) / (at - before)])
    return used, fell
