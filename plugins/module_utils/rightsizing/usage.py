# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What each container of a workload needed, as one set of figures over its pods. Cores, bytes, seconds since 1970.

``combined(found, subject, history)``: found is the workload's part of a history (containers, restarts, ooms), subject tells when live pods
started, history where it begins and how far its samples are apart (from, sample_seconds). The answer is {container:
{"cpu": Figures or None, "memory": Figures or None}}:

    p50, p95, p99     the highest of those pods that have enough samples (of all, where none has): a request holds for each
    max               the highest of all pods, however short they lived
    pods, samples, coverage (the lowest of those that count)
    start_seen        whether some pod's first ten minutes lie within the history, with samples close enough to see them
    start_peak        the highest in those, or None; start_unseen: why not, in words, or ""
    leak              see leak.py; of memory only
    ooms, oom_limit   memory: how often it was killed for lack of memory; the highest limit at such a time (None: not known, or no limit)
    throttled         cpu: the highest share of throttled periods of a pod, or None

Pure; nothing raises.
"""

from __future__ import annotations

from collections import defaultdict
from math import isnan
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import statuses_of
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import span
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import leak

Object = dict[str, Any]
Starts = dict[str, list[float]]

START_SECONDS = 600.0
START_SAMPLES = 120.0  # seconds between samples, at most: the peak of a start is short
MIN_POINTS = 100
RESOURCES = ("cpu", "memory")
_PERCENTILES = ("p50", "p95", "p99")


def combined(
    found: Mapping[str, Any],
    subject: Mapping[str, Any] | None = None,
    history: Mapping[str, Any] | None = None,
    min_points: int = MIN_POINTS,
) -> dict[str, dict[str, Object | None]]:
    """See the module's description."""
    pods = (subject or {}).get("pods") or ()
    begin, apart = float((history or {}).get("from") or 0.0), float((history or {}).get("sample_seconds") or 0.0)
    result: dict[str, dict[str, Object | None]] = {}
    for name, usages in (found.get("containers") or {}).items():
        starts = _starts(name, usages, found, pods, begin)
        figures = {resource: _figures(resource, usages, starts, min_points, apart) for resource in RESOURCES}
        memory, cpu = figures["memory"], figures["cpu"]
        if memory is not None:
            series = {pod: one["memory_series"] for pod, one in usages.items() if one.get("memory_series")}
            ooms = [one for one in found.get("ooms") or () if one.get("container") == name]
            memory["leak"] = leak.trend(series, starts)
            memory["ooms"] = len(ooms)
            memory["oom_limit"] = max((float(one["limit"]) for one in ooms if one.get("limit")), default=None)
        if cpu is not None:
            shares = [one["throttled"] for one in usages.values() if one.get("throttled") is not None]
            cpu["throttled"] = max(shares, default=None)
        result[name] = figures
    return result


def _figures(
    resource: str, usages: Mapping[str, Object], starts: Mapping[str, Sequence[float]], min_points: int, apart: float
) -> Object | None:
    every = [one[resource] for one in usages.values() if one.get(resource) and one[resource].get("samples")]
    if not every:
        return None
    counted = [one for one in every if one["samples"] >= min_points] or every
    seen = [
        peak
        for pod, one in usages.items()
        for start in starts.get(pod) or ()
        for peak in (_highest(one.get(f"{resource}_series"), start),)
        if peak is not None
    ]
    close = apart <= START_SAMPLES
    unseen = "" if seen else "no start lies within the history"
    return {
        **{name: max(one[name] for one in counted) for name in _PERCENTILES},
        "max": max(one["max"] for one in every),
        "pods": len(counted),
        "samples": sum(one["samples"] for one in counted),
        "coverage": min(one["coverage"] for one in counted),
        "start_seen": bool(seen) and close,
        "start_peak": max(seen, default=None),
        "start_unseen": unseen if close else f"samples {span(apart)} apart do not show what a start needs",
        "leak": None,
    }


def _highest(grid: Mapping[str, Any] | None, start: float) -> float | None:
    """The highest of the steps that overlap the first minutes from a start on; None where none of them is known."""
    if grid is None:
        return None
    first = int((start - grid["begin"]) // grid["step"])
    last = int((start + START_SECONDS - grid["begin"]) // grid["step"])
    known = [value for value in grid["values"][max(0, first) : max(0, last + 1)] if not isnan(value)]
    return max(known, default=None)


def _starts(
    container: str, usages: Mapping[str, Object], found: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], begin: float
) -> Starts:
    """{pod: when this container started in it}: what the API says of live pods, restarts, and where the samples of a gone pod begin."""
    starts: Starts = defaultdict(list)
    for one in found.get("restarts") or ():
        if one.get("container") == container:
            starts[one["pod"]].append(float(one["at"]))
    live = set()
    for pod in pods:
        name = str(pod["metadata"]["name"])
        live.add(name)
        begun = [(pod.get("status") or {}).get("startTime")]
        begun += [
            ((one.get("state") or {}).get("running") or {}).get("startedAt") for one in statuses_of(pod) if one.get("name") == container
        ]
        starts[name] += [clock.parse(str(time)).timestamp() for time in begun if time]
    firsts = {name: float(one["memory"]["from"]) for name, one in usages.items() if one.get("memory")}
    # where all series begin at one time, the monitoring began then, rather than the pods
    edge = max(min(firsts.values(), default=0.0), begin) + START_SECONDS
    for name, first in firsts.items():
        if name not in live and first > edge:
            starts[name].append(first)
    return {name: _distinct(times) for name, times in starts.items()}


def _distinct(times: Iterable[float]) -> list[float]:
    """The API and the metrics tell of one restart a minute or so apart."""
    kept: list[float] = []
    for one in sorted(times):
        if not kept or one - kept[-1] > START_SECONDS / 2:
            kept.append(one)
    return kept
