# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Records what containers use, for clusters without Prometheus: from metrics.k8s.io into the recorder's store.

``record(options, reader)`` looks once, or every ``interval`` seconds for ``duration`` seconds, and stores each look at once:

    changed; recorded {looks, pods, containers, samples: new ones};  store {path, size_bytes, from, to, runs}
    coverage {pods_running, pods_measured, missing[] (sentences)};  warnings[];  in check mode: would (a sentence)

A sample has the time of its measurement, by the node's clock; one that is seen twice is stored once. Runs have the API server's time, so
that this machine's clock does not matter. A look that fails is stored as such, so that a gap can be told from a pod that was not there.
Errors: RecorderError, MetricsMissing, ApiError, Unreachable, BadInput.
"""

from __future__ import annotations

import math
import os
import time
from typing import Any, Callable, Mapping, Protocol, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import controller_of
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable, segment
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.objects import cluster_identity
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import containers_of, statuses_of
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.usage import MetricsMissing, Progress, measured
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import amount
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import parse, span
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder_file import RecorderError
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder_pack import MOST_CPU
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder_store import Ending, Pod, Store, opened

Object = Mapping[str, Any]

SPEC: dict[str, Any] = {
    **CONNECTION,
    "store": {"type": "path", "required": True},
    "namespaces": {"type": "list", "elements": "str", "default": []},
    "duration": {"type": "int", "default": 0},
    "interval": {"type": "int", "default": 60},
    "retention_days": {"type": "int", "default": 15},
    "max_mb": {"type": "int", "default": 512},
}
_BOUNDS = {"duration": (0, 7 * 86400), "interval": (5, 3600), "retention_days": (1, 400), "max_mb": (1, 100_000)}
_SKEW = 5.0  # seconds: the server's clock is known to the second only
_AHEAD = 300.0  # seconds by which a measurement may lie in the future
_YOUNG = 180.0  # seconds after its creation in which a pod need not be measured yet
_MOST_MEMORY = 2**62
_NAMED = 5  # pods that a sentence names


class Clock(Protocol):
    """What tells, measures and passes time; the module ``time`` is one."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


def record(
    options: Object, reader: Callable[[], Api], *, check_mode: bool = False, progress: Progress | None = None, clock: Clock = time
) -> dict[str, Any]:
    """See the module's description."""
    _check(options)
    api = reader()
    try:
        cluster = cluster_identity(api)["uid"]
    except AiopsError as error:
        _note_failure(options["store"], clock.time(), error)
        if isinstance(error, ApiError) and error.status == 403:
            raise ApiError(
                403, "Forbidden", error.text, "GET namespace kube-system", "Grant get on it: its uid tells clusters apart."
            ) from error
        raise
    if check_mode:
        return _would(options, cluster)
    with opened(options["store"], write=True, cluster=cluster) as store:
        return _looks(options, api, store, progress, clock)


def _check(options: Object) -> None:
    for name, (low, high) in _BOUNDS.items():
        if not low <= options[name] <= high:
            raise BadInput(f"{name} is {options[name]}.", f"Give a number from {low} to {high}.")
    if not options["store"] or options["store"].endswith("/") or os.path.isdir(os.path.expanduser(options["store"])):
        raise BadInput(f"store is {options['store']!r}.", "Give the path of a file, such as /var/lib/aiops/usage.db.")


def _note_failure(path: str, now: float, error: AiopsError) -> None:
    """A cluster that cannot be reached is a gap that the store should know about; one that is not there yet has no gaps."""
    try:
        with opened(path) as store:
            known = store.cluster()
        with opened(path, write=True, cluster=known) as store:
            store.add_failure(now, str(error))
    except RecorderError:
        return  # the caller raises what went wrong first


def _would(options: Object, cluster: str) -> dict[str, Any]:
    where = ", ".join(options["namespaces"]) or "all namespaces"
    words = f"every {span(options['interval'])} for {span(options['duration'])}" if options["duration"] else "once"
    there = os.path.lexists(os.path.expanduser(options["store"]))
    summary: dict[str, Any] = {"path": os.path.abspath(os.path.expanduser(options["store"]))}
    if there:
        with opened(options["store"], cluster=cluster) as store:
            summary = store.summary()
    would = f"It would measure the pods of {where} {words}, and {'add that to' if there else 'create'} the store {summary['path']}."
    nothing = {"looks": 0, "pods": 0, "containers": 0, "samples": 0}
    return {"changed": True, "would": would, "recorded": nothing, "store": summary, "coverage": {}, "warnings": []}


def _looks(options: Object, api: Api, store: Store, progress: Progress | None, clock: Clock) -> dict[str, Any]:
    most = options["max_mb"] * 1_000_000
    warnings = store.tend(clock.time() - _skew(api), options["retention_days"], most)
    store.room(most)
    begun, looks, new = clock.monotonic(), 0, 0
    failed: AiopsError | None = None
    pods: list[Pod] = []
    coverage: dict[str, Any] = {}
    turn = 0
    while True:
        try:
            pods, coverage = look(api, options["namespaces"], lambda: clock.time() - _skew(api))
            new += store.add(clock.time() - _skew(api), pods, "; ".join(coverage["unread"]))
            looks, failed = looks + 1, None
        except (MetricsMissing, ApiError, Unreachable) as error:
            store.add_failure(clock.time() - _skew(api), str(error))
            refusal = error.__cause__ if isinstance(error, MetricsMissing) else error
            if not options["duration"] or (isinstance(refusal, ApiError) and not refusal.for_now):
                raise
            failed = error
        if progress:
            done = min(float(turn * options["interval"]), options["duration"])
            progress(done, options["duration"], f"{_count(pods)} pods measured" if not failed else failed.message)
        turn = max(turn + 1, math.ceil((clock.monotonic() - begun) / options["interval"]))  # turns that a slow look took are left out
        if turn * options["interval"] > options["duration"]:
            break
        clock.sleep(max(0.0, begun + turn * options["interval"] - clock.monotonic()))
    if not looks and failed:
        raise failed
    skew = _skew(api)
    if abs(skew) >= 60:
        warnings.append(
            f"The clock of this machine is {span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the API server's, whose time is"
            " recorded."
        )
    late = store.runs_after(clock.time() - skew + 60)
    if late:
        warnings.append(
            f"{late} earlier runs in the store have times after now: a clock was set back. They count when their time has come."
        )
    warnings += coverage.pop("unread", [])
    return {
        "changed": True,
        "recorded": {"looks": looks, "pods": _count(pods), "containers": sum(len(pod.usage) for pod in pods), "samples": new},
        "store": store.summary(),
        "coverage": coverage,
        "warnings": warnings,
    }


def _skew(api: Api) -> float:
    """Seconds by which this machine is ahead of the API server, as far as that is known."""
    return api.clock_skew if api.clock_skew is not None and abs(api.clock_skew) > _SKEW else 0.0


def look(api: Api, namespaces: Sequence[str], now: Callable[[], float]) -> tuple[list[Pod], dict[str, Any]]:
    """(pods that were measured or have restarted, coverage) of this moment.

    Of several namespaces, those that cannot be read are named in coverage["unread"].
    Raises MetricsMissing, and ApiError or Unreachable.
    """
    found: list[Pod] = []
    running = future = 0
    unread: list[str] = []
    without: list[str] = []
    for namespace in namespaces or ("",):
        try:
            usage = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in measured(api, namespace)}
            for pod in api.pages(f"/api/v1{f'/namespaces/{segment(namespace)}' if namespace else ''}/pods"):
                metadata, is_running = pod["metadata"], (pod.get("status") or {}).get("phase") == "Running"
                one = _pod(pod, usage.get((metadata["namespace"], metadata["name"])), int(now()))
                if one.at > now() + _AHEAD:
                    future, one = future + 1, one._replace(usage={}, at=int(now()))
                running += is_running
                if is_running and not one.usage and now() - one.created > _YOUNG:
                    without.append(f"{one.namespace}/{one.name}")
                if one.usage or one.endings or any(one.restarts.values()):
                    found.append(one)
        except ApiError as error:
            if error.for_now or len(namespaces) < 2:
                raise
            unread.append(f"Namespace {namespace} was not recorded: {error}")
    if unread and len(unread) == len(namespaces):
        raise BadInput(f"None of the namespaces could be recorded. {unread[0]}", "Correct namespaces, or grant list on pods in them.")
    missing = [
        f"{len(without)} running pods were not measured: {', '.join(sorted(without)[:_NAMED])}{' ...' if len(without) > _NAMED else ''}"
    ]
    ahead = [f"{future} measurements have times more than {span(_AHEAD)} after now, and were not stored: look at the nodes' clocks"]
    coverage = {
        "pods_running": running,
        "pods_measured": _count(found),
        "missing": [*(missing if without else ()), *(ahead if future else ())],
    }
    return found, {**coverage, "unread": unread}


def _count(pods: Sequence[Pod]) -> int:
    return sum(1 for pod in pods if pod.usage)


def _pod(pod: Object, item: Object | None, now: int) -> Pod:
    """Without usage, and at this moment, where it was not measured: metrics-server leaves out pods of which a container is down."""
    metadata = pod["metadata"]
    created, at = _seconds(metadata["creationTimestamp"]), now
    usage: dict[str, tuple[int, int]] = {}
    owner = controller_of(pod) or {}
    measurement = _measurement(item or {})
    if measurement and measurement[0] >= created:  # else it is of an earlier pod of this name
        at, usage = measurement
    limits = {one["name"]: ((one.get("resources") or {}).get("limits") or {}).get("memory") for one in containers_of(pod.get("spec") or {})}
    regular = {one["name"] for one in (pod.get("spec") or {}).get("containers") or ()}
    statuses = [one for one in statuses_of(pod) if one["name"] in regular or one["name"] in usage]  # others only prepare the pod
    return Pod(
        str(metadata["namespace"]),
        str(metadata["name"]),
        str(metadata["uid"]),
        f"{owner['kind']}/{owner['name']}" if owner else "",
        _revision(metadata, owner),
        created,
        at,
        usage,
        {str(one["name"]): int(one.get("restartCount") or 0) for one in statuses},
        [ending for one in statuses for ending in _endings(one, limits.get(one["name"]), "deletionTimestamp" in metadata)],
    )


def _measurement(item: Object) -> tuple[int, dict[str, tuple[int, int]]] | None:
    """(time, usage of each container), None where there is no whole one."""
    try:
        at = _seconds(item["timestamp"])
        return at, {str(one["name"]): _usage(one["usage"]) for one in item["containers"]}
    except (KeyError, ValueError, TypeError):
        return None


def _usage(used: Object) -> tuple[int, int]:
    """(millionths of a core, bytes). Raises ValueError."""
    return min(MOST_CPU, max(0, round(amount(used["cpu"]) * 1e6))), min(_MOST_MEMORY, max(0, round(amount(used["memory"]))))


def _revision(metadata: Object, owner: Object) -> str:
    """The name of the ReplicaSet or ControllerRevision that the pod is of."""
    if owner.get("kind") == "ReplicaSet":
        return str(owner["name"])
    label = str((metadata.get("labels") or {}).get("controller-revision-hash") or "")
    if not label or not owner:
        return ""
    return label if label.startswith(f"{owner['name']}-") else f"{owner['name']}-{label}"  # a DaemonSet's pods have the hash alone


def _endings(status: Object, limit: Any, stopping: bool) -> list[Ending]:
    """Of a pod that is being deleted, containers end as they should."""
    found = []
    for key in ("lastState", "state"):
        ended = (status.get(key) or {}).get("terminated")
        if not ended or not ended.get("finishedAt"):
            continue
        wanted = ended.get("reason") == "Completed" and not status.get("restartCount")
        if wanted or (stopping and key == "state" and ended.get("reason") != "OOMKilled"):
            continue
        found.append(Ending(str(status["name"]), _seconds(ended["finishedAt"]), str(ended.get("reason") or ""), _bytes(limit)))
    return found


def _bytes(quantity: Any) -> int | None:
    return None if quantity is None else min(_MOST_MEMORY, int(amount(quantity)))


def _seconds(stamp: Any) -> int:
    return int(parse(str(stamp)).timestamp())
