# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Pods and samples for the tests of load verdicts. All times are seconds before NOW unless they say otherwise."""

from __future__ import annotations

import datetime
from typing import Any, Callable, Mapping, Sequence

NOW = 1_795_000_000.0
STEP = 15.0
Shape = Callable[[float], float]  # seconds before the end -> fraction of the request


def stamp(ago: float) -> str:
    return datetime.datetime.fromtimestamp(NOW - ago, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def container(name: str = "app", cpu: str | None = "100m", memory: str | None = "100Mi", **more: Any) -> dict[str, Any]:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value is not None}
    return {"name": name, "resources": {"requests": requests} if requests else {}, **more}


def pod(
    name: str = "web-1",
    *,
    containers: Sequence[Mapping[str, Any]] | None = None,
    sidecars: Sequence[Mapping[str, Any]] = (),
    started: float = 7200,
    ready: float | None = 7190,
    unready: float | None = None,
    restarted: float | None = None,
    waiting: str = "",
    phase: str = "Running",
    deleted: bool = False,
) -> dict[str, Any]:
    """``ready``, ``unready``: for how many seconds; ``restarted``: so many seconds ago; ``waiting``: the reason for which its container does not run."""
    every = list(containers or [container()])
    state: dict[str, Any] = (
        {"waiting": {"reason": waiting}} if waiting else {"running": {"startedAt": stamp(started if restarted is None else restarted)}}
    )
    status = {"name": every[0]["name"], "restartCount": 0 if restarted is None else 3, "state": state, "lastState": {}}
    if restarted is not None:
        status["lastState"] = {"terminated": {"exitCode": 1, "finishedAt": stamp(restarted)}}
    others = [{"name": one["name"], "restartCount": 0, "state": {"running": {"startedAt": stamp(started)}}, "lastState": {}} for one in every[1:]]
    condition = {"type": "Ready", "status": "False" if unready is not None or ready is None else "True"}
    condition["lastTransitionTime"] = stamp(unready if unready is not None else started if ready is None else ready)
    return {
        "metadata": {"name": name, "namespace": "shop", **({"deletionTimestamp": stamp(5)} if deleted else {})},
        "spec": {"containers": every, **({"initContainers": list(sidecars)} if sidecars else {})},
        "status": {"phase": phase, "startTime": stamp(started), "conditions": [condition], "containerStatuses": [status, *others]},
    }


def series(
    shape: Shape, request: float = 0.1, *, window: float = 300, step: float = STEP, newest: float = 3, gaps: Sequence[tuple[float, float]] = ()
) -> list[list[float]]:
    """[[time, usage], ...] from before the window to its end, without what lies in ``gaps`` (from, to: seconds before the end)."""
    count = int(window / step) + 3
    agos = [newest + step * index for index in range(count, -1, -1)]
    return [[NOW - ago, shape(ago) * request] for ago in agos if not any(last <= ago <= first for first, last in gaps)]


def samples(pods: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], *, step: float = STEP, window: float = 300, **more: Any) -> dict[str, Any]:
    return {"step_seconds": step, "from": NOW - window, "to": NOW, "source": "a test, every 15 s", "pods": pods, **more}
