# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which pods of a workload count when its load is judged, from when on, and how much each one requests. Pure.

Times are seconds since 1970, in the clock of the pods' own statuses. The rules are those of the HorizontalPodAutoscaler, so that what is
called load here is what it would act on: pods that end, start or have never been ready do not count. A pod that was ready, and no longer
is, counts: load itself often makes a probe fail. Unlike the HPA, a pod whose container restarted within the window does not count: what a
crash loop burns is no load.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import Object, is_ready, statuses_of
from ansible_collections.aiops.k8s.plugins.module_utils.errors import library
from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import parse, span, stamp

INITIALIZATION = 300.0  # seconds after its start from which a pod counts however late it became ready: the HPA's own default
NEVER_READY = 30.0  # a pod that is not ready since this many seconds after its start has never been: the HPA's own default

ENDED, DELETED = "it has ended", "it is being deleted"


@dataclasses.dataclass(frozen=True)
class Counted:
    """A pod that counts from the moment ``since``. ``request``: cores or bytes, all containers together."""

    name: str
    request: float
    containers: tuple[str, ...]
    since: float


@dataclasses.dataclass
class Sorted:
    """Every pod is in ``counted`` or in ``left_out`` ({name, why}); ``starting`` counts those of the latter that soon will count."""

    counted: list[Counted] = dataclasses.field(default_factory=list)
    left_out: list[dict[str, str]] = dataclasses.field(default_factory=list)
    restarts: list[dict[str, str]] = dataclasses.field(default_factory=list)
    without_request: list[tuple[str, str]] = dataclasses.field(default_factory=list)  # (pod, container)
    live: int = 0  # pods that neither ended nor are being deleted
    starting: int = 0
    unready: list[str] = dataclasses.field(default_factory=list)  # they count all the same


def sort(
    pods: Iterable[Object], resource: str, begin: float, end: float, settle: float, seen_restarts: Sequence[Mapping[str, Any]] = ()
) -> Sorted:
    """Sort pods for a window from ``begin`` to ``end``. ``settle``: seconds after it became ready from which a pod counts.

    ``seen_restarts``: restarts that the source of the samples saw: {pod, container, at}. Raises ValueError for a quantity that is none.
    """
    found = Sorted()
    for pod in sorted(pods, key=lambda one: str(one["metadata"]["name"])):
        name, status = str(pod["metadata"]["name"]), pod.get("status") or {}
        if status.get("phase") in ("Succeeded", "Failed"):
            found.left_out.append({"name": name, "why": ENDED})
            continue
        if pod["metadata"].get("deletionTimestamp"):
            found.left_out.append({"name": name, "why": DELETED})
            continue
        found.live += 1
        request, missing = (0.0, []) if resource == "custom" else request_of(pod, resource)
        found.without_request += [(name, container) for container in missing]
        restarts = _restarts(pod, begin, end, seen_restarts)
        found.restarts += restarts
        since, why, starting = _counts_from(pod, end, settle)
        if restarts:
            why = f"container {restarts[-1]['container']} restarted at {restarts[-1]['at']}"
        if why:
            found.left_out.append({"name": name, "why": why})
            found.starting += starting and not restarts
        elif not missing:
            found.counted.append(Counted(name, request, tuple(one["name"] for one in running_containers(pod)), since))
            found.unready += [] if is_ready(pod) else [name]
    return found


def running_containers(pod: Mapping[str, Any]) -> list[Object]:
    """The containers that run beside each other: also sidecars, which are init containers that are always restarted."""
    spec = pod.get("spec") or {}
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    return [*sidecars, *(spec.get("containers") or ())]


def request_of(pod: Mapping[str, Any], resource: str) -> tuple[float, list[str]]:
    """(what the pod requests, cores or bytes; its containers without a request). A request for the pod as a whole goes before all."""
    whole = _amount((pod.get("spec") or {}).get("resources"), resource)
    if whole:
        return whole, []
    amounts = {str(one["name"]): _amount(one.get("resources"), resource) for one in running_containers(pod)}
    return sum(amounts.values()), [name for name, amount in amounts.items() if not amount]


def _amount(resources: Mapping[str, Any] | None, resource: str) -> float:
    quantity = ((resources or {}).get("requests") or {}).get(resource)
    return float(library("kubernetes.utils.quantity").parse_quantity(quantity)) if quantity else 0.0


def _counts_from(pod: Mapping[str, Any], end: float, settle: float) -> tuple[float, str, bool]:
    """(the moment from which the pod counts, why it does not count at all, whether it is on its way)."""
    status = pod.get("status") or {}
    waiting = next((one for one in _statuses(pod) if "waiting" in (one.get("state") or {})), None)
    started = _moment(status.get("startTime"))
    ready: Object = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), {})
    changed = _moment(ready.get("lastTransitionTime"))
    if waiting is not None:
        reason = str(waiting["state"]["waiting"].get("reason") or "no reason given")
        return 0.0, f"container {waiting['name']} does not run: {reason}", reason in ("ContainerCreating", "PodInitializing")
    if status.get("phase") == "Pending" or started is None:
        return 0.0, "it has not started", True
    if ready.get("status") == "True" and changed is not None:
        since = min(changed + settle, started + max(INITIALIZATION, settle))
        why = "" if since < end else f"ready for only {span(max(0.0, end - changed))}, counts {span(settle)} after it became ready"
        return since, why, True
    if changed is None or changed < started + NEVER_READY:
        return 0.0, "it is not ready and has not been", True
    since = started + INITIALIZATION
    return since, "" if since < end else "it is not ready", False


def _restarts(pod: Mapping[str, Any], begin: float, end: float, seen: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    name = str(pod["metadata"]["name"])
    mine = {(str(one["container"]), float(one["at"])) for one in seen if one["pod"] == name}
    for status in _statuses(pod):
        at = _last_restart(status) if status.get("restartCount") else None
        if at is not None and not any(container == status["name"] and abs(at - other) < NEVER_READY for container, other in mine):
            mine.add((str(status["name"]), at))
    within = sorted((at, container) for container, at in mine if begin <= at)
    return [{"pod": name, "container": container, "at": moment(at)} for at, container in within]


def _statuses(pod: Mapping[str, Any]) -> list[Object]:
    running = {one["name"] for one in running_containers(pod)}
    return [one for one in statuses_of(pod) if one.get("name") in running]


def _last_restart(status: Mapping[str, Any]) -> float | None:
    state, before = status.get("state") or {}, status.get("lastState") or {}
    times = (
        (before.get("terminated") or {}).get("finishedAt"),
        (state.get("terminated") or {}).get("finishedAt"),
        (state.get("running") or {}).get("startedAt"),
    )
    return next((at for at in map(_moment, times) if at is not None), None)


def _moment(text: Any) -> float | None:
    try:
        return parse(str(text)).timestamp() if text else None
    except ValueError:
        return None


def moment(at: float) -> str:
    """Seconds since 1970 as a record writes them."""
    return stamp(datetime.datetime.fromtimestamp(at, datetime.timezone.utc))
