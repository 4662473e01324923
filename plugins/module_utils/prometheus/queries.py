# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""All PromQL of this collection: pure functions that write it. Names are data: whatever they hold, they stay inside their quotes.

The series are those of the kubelet (cAdvisor). A pod's own group and its pause container, without a container name or with the name POD,
are left out.
"""

from __future__ import annotations

import json
import re
from typing import Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

METRICS = {"cpu": "container_cpu_usage_seconds_total", "memory": "container_memory_working_set_bytes"}
CLUSTERS = (
    "cluster",
    "cluster_name",
    "cluster_id",
    "k8s_cluster",
    "k8s_cluster_name",
)  # external labels by which people tell clusters apart
PATTERN_LENGTH = 3000  # characters of pod names in one query: with all escapes it still fits into the address of a request
_BEFORE_LETTERS = re.compile(r"[^A-Za-z0-9_]")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_REGEX = re.compile(r"[\\.+*?()|\[\]{}^$]")


class Names(NamedTuple):
    """The labels under which series say whose they are."""

    namespace: str
    pod: str
    container: str


USUAL = Names("namespace", "pod", "container")
# Where a label of the scrape target has the same name, the sample's own is renamed: it is the one that counts, so it is looked for first.
EXPORTED = Names("exported_namespace", "exported_pod", "exported_container")
NAMES = (
    USUAL,
    EXPORTED,
    Names("exported_namespace", "exported_pod", "container"),
    Names("namespace", "exported_pod", "exported_container"),
    Names("namespace", "exported_pod", "container"),
    Names("namespace", "pod_name", "container_name"),  # the kubelet's until Kubernetes 1.15
    Names(
        "container_label_io_kubernetes_pod_namespace",
        "container_label_io_kubernetes_pod_name",
        "container_label_io_kubernetes_container_name",
    ),
    Names("kubernetes_namespace", "kubernetes_pod_name", "kubernetes_container_name"),
    Names("kubernetes_namespace", "kubernetes_pod_name", "container_name"),
    Names("kubernetes_namespace", "kubernetes_pod_name", "container"),
)
OOM_EVENTS = "container_oom_events_total"
RESTARTS, REASON, LIMIT = (  # of kube-state-metrics
    "kube_pod_container_status_restarts_total",
    "kube_pod_container_status_last_terminated_reason",
    "kube_pod_container_resource_limits",
)
_PERIODS = ("container_cpu_cfs_throttled_periods_total", "container_cpu_cfs_periods_total")


class Scope(NamedTuple):
    """Which pods: ``pattern`` is a regular expression of their names. ``labels``: what the series must have beside."""

    namespaces: Sequence[str]
    pattern: str
    names: Names = USUAL
    labels: Mapping[str, str] = {}

    def of(self, metric: str, *further: str) -> str:
        """The selector of a metric."""
        names, where = self.names, "|".join(_OF_REGEX.sub(r"\\\g<0>", one) for one in sorted(set(self.namespaces)))
        own = [f"{name}={quoted(value)}" for name, value in sorted(self.labels.items())]
        # a series with both is of the exporter's pod where it says pod
        foreign = ['exported_pod=""'] if names.pod == "pod" else []
        exact = "=" if len(set(self.namespaces)) == 1 else "=~"
        one = quoted(self.namespaces[0] if exact == "=" else where)
        picked = [
            f"{names.namespace}{exact}{one}",
            f"{names.pod}=~{quoted(self.pattern)}",
            f'{names.container}!=""',
            f'{names.container}!="POD"',
        ]
        return f"{metric}{{{', '.join([*picked, *foreign, *own, *further])}}}"


def over(function: str, scope: Scope, metric: str, seconds: float, *further: str) -> str:
    """A function of a range, such as max_over_time, or "" for the raw samples. ``function``: its name, or quantile_over_time(0.5."""
    selected = f"{scope.of(metric, *further)}[{_seconds(seconds)}]"
    return f"{function}{', ' if '(' in function else '('}{selected})" if function else selected


def throttled(scope: Scope, seconds: float) -> str:
    """The fraction of the scheduler's periods in which a container was throttled; containers without a limit have none."""
    by = f"sum by ({', '.join(scope.names)})"
    part, whole = (f"{by} ({over('increase', scope, metric, seconds)})" for metric in _PERIODS)
    return f"{part} / {whole}"


def present(scope: Scope, step: float) -> str:
    """Which pods have samples, for a range query. (Servers of before 2023 need a hundred times as long for timestamp() of a series.)"""
    return f"group by ({scope.names.namespace}, {scope.names.pod}) ({over('max_over_time', scope, METRICS['memory'], step)})"


def exactly(pods: Sequence[str]) -> str:
    """A regular expression for these names that the server can look up one by one: nothing but alternatives."""
    return "|".join(_OF_REGEX.sub(r"\\\g<0>", one) for one in sorted(set(pods)))


def raw_samples(
    resource: str, namespace: str, pods: Sequence[str], seconds: float, labels: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Queries for the samples as they were scraped, of so many seconds up to the moment of the query. Several where there are many pods.

    For CPU these are counters of seconds. Raw samples have their own times, so that a gap shows and a rate is not stretched over it.
    """
    for pattern in patterns(pods):
        yield f"{METRICS[resource]}{{{_selector(namespace, pattern, labels)}}}[{_seconds(seconds)}]"


def usage(
    resource: str, namespace: str, pods: Sequence[str], rate_seconds: float, labels: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Queries for cores or bytes per container, for windows that hold too many raw samples. What is scraped twice counts once."""
    for pattern in patterns(pods):
        selected = f"{METRICS[resource]}{{{_selector(namespace, pattern, labels)}}}[{_seconds(rate_seconds)}]"
        yield f"max by ({', '.join(('pod', 'container', *CLUSTERS))}) ({'rate' if resource == 'cpu' else 'max_over_time'}({selected}))"


def patterns(pods: Sequence[str]) -> Iterator[str]:
    """Regular expressions that together match exactly these names. What many names share at their beginning is written once."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(pods)):
        stem, dash, rest = name.rpartition("-")
        groups.setdefault(stem + dash, []).append(rest)
    parts: list[str] = []
    for stem, rests in groups.items():
        for some in _portions([_escaped(rest) for rest in rests], PATTERN_LENGTH):
            parts.append(_escaped(stem) + (some[0] if len(some) == 1 else f"(?:{'|'.join(some)})"))
    for several in _portions(parts, PATTERN_LENGTH):
        yield "|".join(several)


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises BadInput for what is no name of a label."""
    wrong = [name for name in labels if not _LABEL.fullmatch(name)]
    if wrong:
        raise BadInput(
            f"prometheus_labels: {wrong[0][:80]!r} is not the name of a label.",
            "Give labels of your series and their values, as in {cluster: prod}.",
        )


def quoted(text: str) -> str:
    """A string of PromQL; the escapes of JSON are among those of Go."""
    return json.dumps(text, ensure_ascii=False)


def _selector(namespace: str, pattern: str, labels: Mapping[str, str] | None) -> str:
    own = [f"{name}={quoted(value)}" for name, value in sorted((labels or {}).items())]
    return ", ".join([f"namespace={quoted(namespace)}", f"pod=~{quoted(pattern)}", 'container!=""', 'container!="POD"', *own])


def _escaped(text: str) -> str:
    return _BEFORE_LETTERS.sub(lambda match: match[0] if ord(match[0]) > 127 else "\\" + match[0], text)


def _seconds(seconds: float) -> str:
    return f"{max(1, round(seconds))}s"


def _portions(words: Sequence[str], length: int) -> Iterator[list[str]]:
    portion: list[str] = []
    for word in words:
        if portion and sum(len(one) + 1 for one in portion) + len(word) > length:
            yield portion
            portion = []
        portion.append(word)
    if portion:
        yield portion
