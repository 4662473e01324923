# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What pods use, sampled from the resource metrics API (metrics.k8s.io) until a window is full; capacity/load.py says what samples look
like.

The API knows only the last measurement of each pod, so that a window takes as long as it is. Each measurement has its own time, of the
node's clock: one that is seen twice is one sample, and the window is full when the times say so, whatever this machine's clock says. An API
that is away for a moment leaves a gap; one that stays away is an error. Usage is in cores and bytes.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, Callable, Mapping, Protocol, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable, segment
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, library
from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import parse, span

Samples = dict[str, Any]
Taken = dict[str, dict[str, dict[str, dict[float, float]]]]
Progress = Callable[[float, float, str], None]

STEP = 15.0  # seconds between two looks; metrics-server measures every 15 s unless told otherwise
AWAY = 60.0  # seconds for which the API may fail in a row
NOTHING = 90.0  # seconds after which pods that have never been measured are given up
_LATE = 90.0  # seconds beyond the window, as measurements come late
_NO_METRICS = "Install metrics-server in the cluster, or give prometheus_url."


class MetricsMissing(AiopsError):
    """The cluster does not serve metrics.k8s.io, or the API behind it does not answer."""


class Clock(Protocol):
    """What measures and passes time; the module ``time`` is one."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


def sample(
    api: Api,
    namespace: str,
    selector: str,
    *,
    window_seconds: float,
    step_seconds: float = STEP,
    resources: Sequence[str] = ("cpu",),
    progress: Progress | None = None,
    clock: Clock = time,
) -> dict[str, Samples]:
    """Sample the pods that a label selector selects; {resource: samples} of the same moments for each of ``resources`` (cpu, memory).

    progress(seconds done, seconds wanted, what is seen) is called after every look. Where no pod is ever measured the samples are empty.
    Raises MetricsMissing, and ApiError or Unreachable when the API server itself refuses or goes away for too long.
    """
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{segment(namespace)}/pods"
    query = {"labelSelector": selector} if selector else None
    taken: Taken = {resource: {} for resource in resources}
    begun = answered = clock.monotonic()
    seen = ""
    while True:
        looked = clock.monotonic()
        try:
            for item in api.request("GET", path, query).get("items") or []:
                take(item, taken)
            answered, seen = looked, ""
        except (ApiError, Unreachable) as error:
            seen = _bear(error, namespace, looked - answered)
        series = [points for pods in taken.values() for containers in pods.values() for points in containers.values()]
        done = min(window_seconds, max((max(points) - min(points) for points in series), default=0.0))
        if progress:
            progress(done, window_seconds, seen or f"{len(next(iter(taken.values()), {}))} pods measured")
        passed = clock.monotonic() - begun
        if done >= window_seconds or passed >= window_seconds + _LATE or (not series and passed >= NOTHING):
            break
        clock.sleep(max(0.0, step_seconds - (clock.monotonic() - looked)))
    end = max((at for points in series for at in points), default=time.time())
    return {resource: _samples(taken[resource], window_seconds, end, step_seconds) for resource in resources}


def measured(api: Api, namespace: str = "", selector: str = "") -> list[dict[str, Any]]:
    """The last measurement of each pod of a namespace, or of the cluster, as the API gives it: metadata, timestamp, window, containers.

    selector: only of the pods that a label selector selects.

    Raises MetricsMissing, and ApiError or Unreachable.
    """
    within = f"/namespaces/{segment(namespace)}" if namespace else ""
    try:
        return (
            api.request("GET", f"/apis/metrics.k8s.io/v1beta1{within}/pods", {"labelSelector": selector} if selector else None).get("items")
            or []
        )
    except ApiError as error:
        _bear(error, namespace, 0.0)
        raise MetricsMissing(f"metrics.k8s.io does not answer: {error.message}", f"Check metrics-server. {_NO_METRICS}") from error


def _bear(error: ApiError | Unreachable, namespace: str, away: float) -> str:
    """What is said about an API that does not answer for now. Raises when waiting is of no use, or was for too long."""
    status = error.status if isinstance(error, ApiError) else 0
    if status == 404:
        raise MetricsMissing("The cluster does not serve metrics.k8s.io, from which the load would be sampled.", _NO_METRICS) from error
    if status == 403:
        raise ApiError(
            403,
            "Forbidden",
            getattr(error, "text", ""),
            f"GET pods of metrics.k8s.io in {f'namespace {namespace}' if namespace else 'the cluster'}",
            "Grant list on pods of the API group metrics.k8s.io to the reader, or give prometheus_url.",
        ) from error
    if status and not (isinstance(error, ApiError) and error.for_now):
        raise error
    if away < AWAY:
        return "metrics.k8s.io does not answer for the moment" if status else "the API server does not answer for the moment"
    if status:
        raise MetricsMissing(
            f"metrics.k8s.io has not answered for {span(away)}: {error.message}", f"Check metrics-server. {_NO_METRICS}"
        ) from error
    raise error


def take(item: Mapping[str, Any], taken: Taken) -> None:
    """Add the measurement of a pod to what was taken: {resource: {pod: {container: {time: value}}}}, cores and bytes."""
    try:
        at = parse(str(item["timestamp"])).timestamp()
    except (KeyError, ValueError):
        return
    amount = library("kubernetes.utils.quantity").parse_quantity
    for container in item.get("containers") or ():
        for resource, pods in taken.items():
            quantity = (container.get("usage") or {}).get(resource)
            if quantity is not None:
                pods.setdefault(str(item["metadata"]["name"]), {}).setdefault(str(container["name"]), {})[at] = float(amount(quantity))


def _samples(pods: Mapping[str, Mapping[str, Mapping[float, float]]], window: float, end: float, wanted_step: float) -> Samples:
    """The step is the usual distance between two measurements: a metrics-server that measures every minute leaves no gaps by that."""
    known = {
        name: {container: [[at, points[at]] for at in sorted(points)] for container, points in each.items()} for name, each in pods.items()
    }
    distances = [late[0] - early[0] for each in known.values() for points in each.values() for early, late in zip(points, points[1:])]
    step = max(1.0, round(statistics.median(distances), 1)) if distances else wanted_step
    return {"step_seconds": step, "from": end - window, "to": end, "source": f"metrics.k8s.io, every {step:g} s", "pods": known}
