# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Signs: what has to be seen in a namespace before a case counts as staged."""

from __future__ import annotations

import datetime
from typing import Any, Callable

from tests.corpus.model import Object, Scene, Sign

UNREADY_SECONDS = 34.0  # a pod that is not ready counts as failing after half a minute


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _ended(one: Object) -> Object:
    return one.get("lastState", {}).get("terminated") or one.get("state", {}).get("terminated") or {}


def _any_status(test: Callable[[Object], Any]) -> Sign:
    return lambda scene: any(test(one) for pod in scene.pods for one in _statuses(pod))


def waiting(*reasons: str) -> Sign:
    return _any_status(lambda one: (one.get("state", {}).get("waiting") or {}).get("reason") in reasons)


def crashed(times: int = 1) -> Sign:
    """A container was started again at least so often."""
    return _any_status(lambda one: one.get("restartCount", 0) >= times)


def ended(reason: str = "", status: int | None = None) -> Sign:
    return _any_status(
        lambda one: _ended(one) and (not reason or _ended(one).get("reason") == reason) and (status is None or _ended(one).get("exitCode") == status)
    )


def event(reason: str, text: str = "") -> Sign:
    return lambda scene: any(one.get("reason") == reason and text in (one.get("message") or "") for one in scene.objects.get("events", []))


def unscheduled(scene: Scene) -> bool:
    return any(one.get("reason") == "Unschedulable" for pod in scene.pods for one in pod.get("status", {}).get("conditions") or [])


def gated(scene: Scene) -> bool:
    return any(one.get("reason") == "SchedulingGated" for pod in scene.pods for one in pod.get("status", {}).get("conditions") or [])


def moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def unready(scene: Scene) -> bool:
    """A container runs, and has not been ready, for as long as counts."""
    running = [
        one["state"]["running"]["startedAt"]
        for pod in scene.pods
        for one in pod.get("status", {}).get("containerStatuses") or []
        if "running" in one.get("state", {}) and not one.get("ready")
    ]
    return any(scene.now - moment(one) > UNREADY_SECONDS for one in running)


def is_ready(pod: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions") or [])


def ready(count: int = 1) -> Sign:
    return lambda scene: sum(map(is_ready, scene.pods)) >= count


def running(scene: Scene) -> bool:
    return any("running" in one.get("state", {}) for pod in scene.pods for one in _statuses(pod))


def phase(which: str, reason: str = "") -> Sign:
    return lambda scene: any(
        pod.get("status", {}).get("phase") == which and (not reason or pod["status"].get("reason") == reason) for pod in scene.pods
    )


def after(seconds: float) -> Sign:
    return lambda scene: scene.seconds >= seconds


def condition(kind: str, which: str, status: str = "True", reason: str = "") -> Sign:
    """An object of this list has this condition."""
    return lambda scene: any(
        one["type"] == which and one["status"] == status and (not reason or one.get("reason") == reason)
        for item in scene.objects.get(kind, [])
        for one in item.get("status", {}).get("conditions") or []
    )


def that(kind: str, test: Callable[[Object], Any]) -> Sign:
    return lambda scene: any(test(item) for item in scene.objects.get(kind, []))


def both(*signs: Sign) -> Sign:
    return lambda scene: all(sign(scene) for sign in signs)
