# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""When an autoscaler counts as proven: it reads its metric, pods follow, and load and errors are below their limits."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.workload import State, summarize_autoscaler
from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks

REFERENCE = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "namespace": "shop", "name": "web", "uid": "uid-hpa"}
WELL = {"AbleToScale": "True", "ScalingActive": "True"}


def target(wanted: int, available: int, restarts: int = 0) -> State:
    pods = [{"name": f"web-{n}", "uid": f"p{n}", "ready": n < available, "current": True, "restarts": restarts, "reasons": []} for n in range(wanted)]
    return {"exists": True, "uid": "uid-web", "annotations": {}, "settled": True, "wanted": wanted, "updated": wanted, "available": available, "pods": pods}


def state(conditions: dict[str, str] | None = None, load: int | None = 60, desired: int = 3, **of_target: Any) -> State:
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": load}}}] if load is not None else []
    live = {
        "metadata": {"uid": "uid-hpa"},
        "spec": {"minReplicas": 2, "maxReplicas": 5, "scaleTargetRef": {}},
        "status": {
            "conditions": [{"type": name, "status": status, "message": "why"} for name, status in (WELL if conditions is None else conditions).items()],
            "currentReplicas": desired,
            "desiredReplicas": desired,
            "currentMetrics": metrics,
        },
    }
    return summarize_autoscaler(live, target(**{"wanted": 3, "available": 3, **of_target}))


def wanted(**limits: Any) -> list[dict[str, Any]]:
    proof = checks.standard(REFERENCE, [{"uid": "p0", "reason": "it ran before"}], within=60, hold=5, watch=10)
    return [{**one, "within_seconds": 300, "load_below": 0.7, **limits} if one["type"] == "available" else one for one in proof]


def judged(*seen: tuple[float, State], **limits: Any) -> checks.Progress:
    progress = checks.Progress()
    for elapsed, one in seen:
        progress = checks.validate(progress, wanted(**limits), one, elapsed)
    return progress


def test_it_is_proven_once_pods_follow_and_the_load_is_down() -> None:
    new, growing = state({}, None, 0, wanted=1, available=1), state(load=90, wanted=3, available=2)
    progress = judged((1, new), (20, growing), (40, state(load=55)), (46, state(load=56)))
    assert progress.verdict == "passed" and progress.met == {"K1": 20, "K2": 40, "K3": 46}


@pytest.mark.parametrize(
    "seen, says",
    [
        (state({"AbleToScale": "True", "ScalingActive": "False"}, None), "ScalingActive: why"),
        (state({}), "AbleToScale: not known yet"),
    ],
    ids=["cannot read its metric", "says nothing"],
)
def test_one_that_cannot_scale_fails_in_its_time(seen: State, says: str) -> None:
    progress = judged((61, seen))
    assert progress.verdict == "failed" and says in progress.reason


@pytest.mark.parametrize(
    "seen, limits, says",
    [
        (state(load=85), {}, "its load is 85 %, not below 70 %"),
        (state(load=None), {}, "its load is not known"),
        (state(wanted=3, available=2), {}, "2 of 3 pods available"),
        (state(desired=4), {}, "the autoscaler wants 4 of 2 to 5"),
        ({**state(), "errors": 0.06}, {"errors": {"query": "q", "url": "", "below": 0.05}}, "6.0 % of requests fail, not below 5 %"),
    ],
    ids=["at its maximum and still busy", "load unknown", "a pod is pending", "replicas do not follow", "errors"],
)
def test_what_is_not_reached_within_the_hour_fails(seen: State, limits: dict[str, Any], says: str) -> None:
    progress = judged((10, seen), (301, seen), **limits)
    assert progress.verdict == "failed" and says in progress.reason


@pytest.mark.parametrize("errors", [None, 0.0, 0.049])
def test_few_errors_or_no_traffic_stand_in_nobodys_way(errors: float | None) -> None:
    seen = {**state(), "errors": errors}
    assert judged((10, seen), (16, seen), errors={"query": "q", "url": "", "below": 0.05}).verdict == "passed"


def test_a_load_that_comes_back_begins_the_hold_anew() -> None:
    assert judged((10, state()), (12, state(load=80)), (20, state()), (24, state())).verdict == "pending"


def test_a_restart_of_a_pod_fails_it_and_new_pods_are_no_failure() -> None:
    assert judged((10, state()), (12, state(restarts=1))).verdict == "failed"
    assert judged((10, state()), (16, state(desired=4, wanted=4, available=4))).verdict == "passed"


def test_under_watch_a_pod_that_is_only_starting_is_no_failure() -> None:
    assert checks.serves(state(wanted=4, available=3, desired=4)) and not checks.is_available(state(wanted=4, available=3, desired=4))
    assert not checks.serves(state(wanted=3, available=1))
    assert not checks.serves(state({"AbleToScale": "True", "ScalingActive": "False"}))


def test_checks_are_said_in_words() -> None:
    told = [checks.describe(one) for one in wanted(errors={"query": "q", "url": "", "below": 0.05})]
    assert "reads its metrics and can scale within 60 s" in told[0]
    assert "its load is below 70 %" in told[1] and "below 5 % of requests fail" in told[1]
