# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether the usage under watch stays below the limits that a change has set, and whether the requests are what was predicted.

A check of the type ``watch`` may carry

usage      {container: {cpu, memory}} in cores and bytes: the 95th percentile of each container has to be below
requested  {cpu: [before, after], memory: [before, after]} or {before: {cpu, memory}, after: {...}}: the sums of the pods' requests

What pods use is asked of metrics.k8s.io whenever the workload is looked at. The samples are not kept from one run to the next: a watch that is
looked at now and then has few, and says how many. Where nothing could be measured that is said, and the rest of the watch decides. Figures are
those of the pod with the highest 95th percentile, since a limit has to hold for every pod.

``document`` is what an event keeps: usage {source, containers{name: {resource: {p50, p95, max, samples, pods, pod, limit}}}, missing} and
requested {cpu, memory, replicas, predicted{cpu, memory}, as_predicted}.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.usage import MetricsMissing, Taken, measured, take
from ansible_collections.aiops.k8s.plugins.module_utils.errors import library
from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import parse

Limits = Mapping[str, Mapping[str, float]]
SOURCE = "metrics.k8s.io"
QUANTILE = 0.95
_SAME = 0.005  # fraction by which requests may differ from what was predicted: they are rounded to the API's units
_RESOURCES = ("cpu", "memory")
_MIB = 2**20


class Watched:
    """Usage that is measured while a workload is watched. ``since``: measurements before this moment (the server's clock) do not count."""

    def __init__(self, api: Api, check: Mapping[str, Any], since: str) -> None:
        self.api, self.limits, self.expected = api, check.get("usage") or {}, check.get("requested") or {}
        self.namespace, self.since = check["object"].get("namespace", ""), parse(since).timestamp()
        self.taken: Taken = {resource: {} for resource in _RESOURCES}
        self.missing = ""

    def look(self, state: Mapping[str, Any]) -> None:
        """Ask once. An answer that does not come leaves a gap, never a failure."""
        if not self.limits or not state["exists"]:
            return
        current = {pod["name"] for pod in state["pods"] if pod["current"]}
        try:
            found = measured(self.api, self.namespace, state.get("selector", ""))
        except (ApiError, Unreachable, MetricsMissing) as error:
            self.missing = error.message
            return
        self.missing = "" if found else f"{SOURCE} has no measurement of these pods"
        for item in found:
            if item["metadata"]["name"] in current:
                take(item, self.taken)

    def figures(self) -> dict[str, dict[str, dict[str, Any]]]:
        return figures(self.taken, self.limits, self.since)

    def fault(self) -> str:
        """Which usage is not below its limit, as a sentence without its end, or ""."""
        return fault(self.figures())

    def appended(self) -> str:
        """What is said behind how the watch ended."""
        text = brief(self.figures())
        return f"; {text}" if text else ""

    def document(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """What the event keeps that ends the watch; nothing where the check asks for nothing."""
        found = self.figures()
        unmeasured = [name for name in self.limits if name not in found]
        missing = self.missing or (f"no measurement of {', '.join(unmeasured)} during the watch" if unmeasured else "")
        seen = {"usage": {"source": SOURCE, "containers": found, **({"missing": missing} if missing else {})}} if self.limits else {}
        live = {"requested": requested(state, self.expected)} if self.expected and state["exists"] else {}
        return {**seen, **live}


def percentile(values: Sequence[float], quantile: float) -> float:
    """By linear interpolation between the two nearest values, as numpy and Prometheus do. ``values`` is not empty."""
    ordered = sorted(values)
    place = quantile * (len(ordered) - 1)
    lower = int(place)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (ordered[upper] - ordered[lower]) * (place - lower)


def figures(taken: Taken, limits: Limits, since: float = 0.0) -> dict[str, dict[str, dict[str, Any]]]:
    """{container: {resource: figures of its busiest pod}} for every limit that was measured."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for container, limited in limits.items():
        for resource, limit in limited.items():
            by_pod = {
                pod: values
                for pod, containers in taken[resource].items()
                if (values := [value for at, value in containers.get(container, {}).items() if at >= since])
            }
            if by_pod:
                found.setdefault(container, {})[resource] = _figures(by_pod, limit)
    return found


def fault(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Every 95th percentile that is not below its limit, as a sentence without its end, or ""."""
    over = [
        f"the {resource} usage of container {container} in {one['pod']} reaches its limit:"
        f" p95 {told(resource, one['p95'])} of {told(resource, one['limit'])} ({_samples(one)})"
        for container, resources in found.items()
        for resource, one in resources.items()
        if one["p95"] >= one["limit"]
    ]
    return "; ".join(over)


def requested(state: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """What the live pods ask for, beside what was predicted. ``expected`` may say for how many ``replicas``; then one pod is compared."""
    amount = library("kubernetes.utils.quantity").parse_quantity
    pods = [pod for pod in state["pods"] if pod["current"]]
    now = {
        resource: float(
            sum(
                amount((one["wanted"].get("requests") or {}).get(resource, 0)) for pod in pods for one in pod.get("containers", {}).values()
            )
        )
        for resource in _RESOURCES
    }
    predicted = {resource: after for resource in _RESOURCES if (after := _after(expected, resource)) is not None}
    share = len(pods) / expected["replicas"] if expected.get("replicas") else 1.0
    same = all(abs(now[resource] - value * share) <= _SAME * max(now[resource], value * share) for resource, value in predicted.items())
    return {**now, "replicas": len(pods), "predicted": predicted, "as_predicted": same}


def sentences(payload: Mapping[str, Any]) -> list[str]:
    """What an event says about usage and requests, for people."""
    usage, asked = payload.get("usage") or {}, payload.get("requested") or {}
    lines = [
        f"{container}: {resource} p50 {told(resource, one['p50'])}, p95 {told(resource, one['p95'])}, max {told(resource, one['max'])},"
        f" limit {told(resource, one['limit'])} ({_samples(one)})"
        for container, resources in (usage.get("containers") or {}).items()
        for resource, one in resources.items()
    ]
    if usage.get("missing"):
        lines.append(f"usage not measured{' at all times' if lines else ''}: {usage['missing']}")
    if asked:
        now = " and ".join(f"{told(resource, asked[resource])} {resource}" for resource in _RESOURCES)
        then = " and ".join(f"{told(resource, value)} {resource}" for resource, value in asked["predicted"].items())
        verdict = "as predicted" if asked["as_predicted"] else f"not as predicted ({then})"
        lines.append(f"requested now: {now} by {asked['replicas']} pod{'s' * (asked['replicas'] != 1)}, {verdict}")
    return lines


def brief(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """``p95 of usage: app cpu 12m of 100m, memory 40Mi of 64Mi``; "" for nothing."""
    parts = [
        f"{container} "
        + ", ".join(f"{resource} {told(resource, one['p95'])} of {told(resource, one['limit'])}" for resource, one in each.items())
        for container, each in found.items()
    ]
    return f"p95 of usage: {'; '.join(parts)}" if parts else ""


def told(resource: str, value: float) -> str:
    """Cores as 250m or 2, bytes as 48Mi."""
    if resource == "memory":
        return f"{value / _MIB:.0f}Mi" if value >= 10 * _MIB else f"{value / _MIB:.1f}Mi"
    return f"{value * 1000:.0f}m" if value < 10 else f"{value:.1f}"


def _figures(by_pod: Mapping[str, Sequence[float]], limit: float) -> dict[str, Any]:
    pod = max(by_pod, key=lambda name: percentile(by_pod[name], QUANTILE))
    counted = {"samples": sum(map(len, by_pod.values())), "pods": len(by_pod), "pod": pod, "limit": limit}
    values = by_pod[pod]
    return {"p50": percentile(values, 0.5), "p95": percentile(values, QUANTILE), "max": max(map(max, by_pod.values())), **counted}


def _samples(one: Mapping[str, Any]) -> str:
    return f"{one['samples']} sample{'s' if one['samples'] != 1 else ''} of {one['pods']} pod{'s' if one['pods'] != 1 else ''}"


def _after(expected: Mapping[str, Any], resource: str) -> float | None:
    pair = expected.get(resource)
    found = pair[1] if pair else (expected.get("after") or {}).get(resource)
    return None if found is None else float(found)
