# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Validation as stories: what a workload looked like over time, and what that proves."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks

SUBJECT = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": "u"}
WITHIN, HOLD, WATCH = 120, 30, 600
Pod = dict[str, Any]
State = dict[str, Any]


def pod(name: str, ready: bool = True, restarts: int = 0, current: bool = True, *reasons: str) -> Pod:
    return {"name": name, "uid": f"uid-{name}", "ready": ready, "current": current, "restarts": restarts, "reasons": list(reasons)}


def state(*pods: Pod, wanted: int = 1, settled: bool = True, **more: Any) -> State:
    new = [one for one in pods if one["current"]]
    counted = {"updated": len(new), "available": sum(1 for one in new if one["ready"])}
    return {"exists": True, "uid": "u", "settled": settled, "wanted": wanted, **counted, "pods": list(pods), **more}


GONE: State = {"exists": False, "uid": "", "settled": False, "wanted": 0, "updated": 0, "available": 0, "pods": []}
OLD = pod("old", False, 9, False, "OOMKilled")  # the pod as diagnosed, now of the revision before
FAILING = pod("old", False, 9, True, "OOMKilled")  # the same, while its revision is still the newest
GOOD, STARTING = pod("new"), pod("new", False)
HEALTHY = state(GOOD)
Story = list[tuple[float, State]]

STORIES: list[tuple[str, Story, str, str]] = [
    ("all at once", [(1, HEALTHY), (31, HEALTHY)], "passed", ""),
    (
        "a rolling update",
        [(0.3, state(FAILING, settled=False)), (1, state(OLD)), (2, state(OLD, STARTING)), (5, state(OLD, GOOD)), (6, HEALTHY), (40, HEALTHY)],
        "passed",
        "",
    ),
    ("held not long enough yet", [(1, HEALTHY), (30, HEALTHY)], "pending", ""),
    ("held exactly long enough", [(1, HEALTHY), (31, HEALTHY)], "passed", ""),
    ("the failing pod recovers by itself", [(0, state(FAILING)), (10, state(pod("old", True, 9))), (40, state(pod("old", True, 9)))], "passed", ""),
    ("scaled to zero meanwhile", [(1, state(wanted=0)), (31, state(wanted=0))], "passed", ""),
    ("restarts before it was available", [(1, state(pod("new", False, 1))), (5, state(pod("new", True, 1))), (35, state(pod("new", True, 1)))], "passed", ""),
    ("nothing seen yet", [(1, state(FAILING, settled=False))], "pending", ""),
    ("only some of three", [(1, state(GOOD, pod("n2"), wanted=3)), (119, state(GOOD, pod("n2"), wanted=3))], "pending", ""),
    ("it flaps and comes back in time", [(1, HEALTHY), (20, state(STARTING)), (25, HEALTHY), (54, HEALTHY), (55, HEALTHY)], "passed", ""),
    ("a flap starts the hold anew", [(1, HEALTHY), (20, state(STARTING)), (25, HEALTHY), (54, HEALTHY)], "pending", ""),
    ("deleted", [(1, HEALTHY), (2, GONE)], "failed", "the workload does not exist any more"),
    ("created again", [(1, HEALTHY), (2, {**HEALTHY, "uid": "u2"})], "failed", "the workload was deleted and created again, so the change is gone"),
    (
        "nothing happens",
        [(1, state(FAILING)), (120, state(FAILING))],
        "failed",
        (
            "not seen within 2 min: the status of the failing pods of deployment/web changes within 2 min; 0 of 1 pods available, 1 updated, 9 restarts"
            " (OOMKilled)"
        ),
    ),
    (
        "never settled",
        [(1, state(FAILING, settled=False)), (120, state(FAILING, settled=False))],
        "failed",
        "not seen within 2 min: the status of the failing pods",
    ),
    (
        "the new pod does not become ready",
        [(1, state(OLD, STARTING)), (120, state(STARTING))],
        "failed",
        "not seen within 2 min: all pods of deployment/web are of the new revision and available within 2 min; 0 of 1 pods available, 1 updated, 0 restarts",
    ),
    (
        "old pods stay",
        [(1, state(OLD, GOOD, wanted=1, updated=1, available=0)), (120, state(OLD, GOOD, wanted=1, available=0))],
        "failed",
        "not seen within 2 min: all pods",
    ),
    (
        "the new pod crashes too",
        [(1, state(OLD, pod("new", False, 1, True, "Error"))), (9, state(OLD, pod("new", False, 2, True, "CrashLoopBackOff", "Error")))],
        "failed",
        "the new pod new has restarted 2 times (CrashLoopBackOff, Error)",
    ),
    ("a restart under hold", [(1, HEALTHY), (20, state(pod("new", True, 1, True, "OOMKilled")))], "failed", "a container of new restarted (OOMKilled)"),
    ("a late pod restarts under hold", [(1, HEALTHY), (20, state(GOOD, pod("n2", True, 1)))], "failed", "a container of n2 restarted (no reason given)"),
    ("it flaps too late", [(1, HEALTHY), (29, state(STARTING)), (121, state(STARTING))], "failed", "not seen within 2 min: all pods"),
]


@pytest.mark.parametrize("what, story, verdict, reason", STORIES, ids=[row[0] for row in STORIES])
def test_stories(what: str, story: Story, verdict: str, reason: str) -> None:
    wanted = checks.standard(SUBJECT, [{"uid": "uid-old", "reason": "OOMKilled"}], within=WITHIN, hold=HOLD, watch=WATCH)
    progress = checks.Progress()
    for position, (elapsed, seen) in enumerate(story):
        assert progress.verdict == "pending", f"decided before step {position}"
        progress = checks.validate(progress, wanted, seen, elapsed)
    assert progress.verdict == verdict
    assert progress.reason.startswith(reason) and bool(progress.reason) == bool(reason)


def validate(failing: list[dict[str, Any]], *story: tuple[float, State]) -> checks.Progress:
    wanted = checks.standard(SUBJECT, failing, within=WITHIN, hold=HOLD, watch=WATCH)
    progress = checks.Progress()
    for elapsed, seen in story:
        progress = checks.validate(progress, wanted, seen, elapsed)
    return progress


def test_the_times_at_which_checks_were_met() -> None:
    progress = validate([{"uid": "uid-old"}], (1, state(FAILING, settled=False)), (2, state(OLD, STARTING)), (5, HEALTHY), (20, HEALTHY), (35, HEALTHY))
    assert progress.met == {"K1": 2, "K2": 5, "K3": 35} and progress.restarts == {"uid-new": 0}


def test_pods_of_the_old_revision_that_began_to_fail_since_do_not_condemn_the_change() -> None:
    """Between diagnosis and approval an hour may pass: a replica that was fine then crashes like the others by now."""
    since = pod("sibling", False, 5, True, "OOMKilled")
    first = (0.2, state(FAILING, since, wanted=2, settled=False))
    assert validate([{"uid": "uid-old"}], first).verdict == "pending"
    replaced = state(pod("n1"), pod("n2"), wanted=2)
    assert validate([{"uid": "uid-old"}], first, (3, replaced), (33, replaced)).verdict == "passed"


def test_other_pods_of_the_old_revision_are_no_change_of_status() -> None:
    progress = validate([{"uid": "uid-old"}], (0.2, state(FAILING, pod("sibling"), wanted=2, settled=False)))
    assert progress.met == {}


def test_without_failing_pods_only_availability_counts() -> None:
    assert validate([], (1, state(wanted=1))).met == {"K1": 1}
    assert validate([], (1, state(wanted=1)), (3, HEALTHY), (33, HEALTHY)).verdict == "passed"


@pytest.mark.parametrize(
    "what, seen, available",
    [
        ("healthy", HEALTHY, True),
        ("gone", GONE, False),
        ("not settled", state(GOOD, settled=False), False),
        ("not ready", state(STARTING), False),
        ("not updated", state(GOOD, updated=0), False),
        ("counted, but no such pod listed", state(updated=1, available=1), False),
        ("one of two", state(GOOD, wanted=2), False),
        ("more than wanted", state(GOOD, pod("n2"), wanted=1), True),
        ("none wanted", state(wanted=0), True),
    ],
)
def test_is_available(what: str, seen: State, available: bool) -> None:
    assert checks.is_available(seen) is available


WATCHES: list[tuple[str, dict[str, int], State, float, str]] = [
    ("fine", {"uid-new": 0}, HEALTHY, 0, ""),
    ("the same restarts as before", {"uid-new": 2}, state(pod("new", True, 2)), 0, ""),
    ("a pod from a node drain", {"uid-gone": 0}, HEALTHY, 0, ""),
    ("a short gap", {"uid-new": 0}, state(STARTING), 120, ""),
    ("a long gap", {"uid-new": 0}, state(STARTING), 121, "not all pods have been available for 2 min: 0 of 1 pods available"),
    ("a restart", {"uid-new": 2}, state(pod("new", True, 3, True, "Error")), 0, "a container of new restarted (Error)"),
    ("a restart of a newer pod", {"uid-gone": 0}, state(pod("new", True, 1)), 0, "a container of new restarted (no reason given)"),
    ("a restart of an old pod", {}, state(OLD, GOOD), 0, ""),
    ("gone", {}, GONE, 0, "the workload does not exist any more"),
]


@pytest.mark.parametrize("what, baseline, seen, unavailable, reason", WATCHES, ids=[row[0] for row in WATCHES])
def test_watch(what: str, baseline: dict[str, int], seen: State, unavailable: float, reason: str) -> None:
    found = checks.watch(baseline, seen, unavailable)
    assert found.startswith(reason) and bool(found) == bool(reason)


@pytest.mark.parametrize(
    "seen, text",
    [
        (HEALTHY, "1 of 1 pods available, 1 updated, 0 restarts"),
        (
            state(STARTING, pod("n2", False, 3, True, "Error", "CrashLoopBackOff"), OLD, wanted=2),
            "0 of 2 pods available, 2 updated, 3 restarts (CrashLoopBackOff, Error)",
        ),
        (GONE, "gone"),
    ],
)
def test_summary(seen: State, text: str) -> None:
    assert checks.summary(seen) == text


def test_the_standard_checks_and_their_words() -> None:
    wanted = checks.standard(SUBJECT, [{"uid": "a", "reason": "x"}], within=120, hold=30, watch=3600)
    assert [(check["id"], check["type"], check["within_seconds"], check["hold_seconds"]) for check in wanted] == [
        ("K1", "status_changed", 120, 0),
        ("K2", "available", 120, 0),
        ("K3", "restarts_stable", 120, 30),
        ("K4", "watch", 0, 3600),
    ]
    assert all(check["object"] == SUBJECT for check in wanted) and wanted[0]["failing"] == [{"uid": "a", "reason": "x"}]
    assert [checks.describe(check) for check in wanted] == [
        "the status of the failing pods of deployment/web changes within 2 min",
        "all pods of deployment/web are of the new revision and available within 2 min",
        "then no container of deployment/web restarts for 30 s",
        "then deployment/web stays available without restarts for 60 min (watch)",
    ]


def signal(reason: str, count: int = 1, message: str = "", last: str = "2026-11-21T12:00:10Z") -> dict[str, Any]:
    return {"reason": reason, "object": "pod/web-1", "count": count, "last": last, "message": message}


def test_signals_are_told_by_their_reason() -> None:
    found = [signal("Unhealthy", 2, "new"), signal("BackOff"), signal("Unhealthy", 3, "old", "2026-11-21T12:00:01Z")]
    assert checks.told(found) == "Unhealthy 5x, BackOff 1x" and checks.told([]) == ""
    assert checks.grouped(found)[0] == {"reason": "Unhealthy", "count": 5, "last": "2026-11-21T12:00:10Z", "message": "new"}
    assert checks.told([signal(f"R{number}") for number in range(9)]) == "R0 1x, R1 1x, R2 1x, R3 1x, R4 1x, ..."


@pytest.mark.parametrize(
    ("one", "deadly"),
    [
        (signal("BackOff", message="Back-off restarting failed container app in pod web-1"), True),
        (signal("BackOff", message="Back-off restarting failed container app", last="2026-11-21T12:00:02Z"), False),
        (signal("BackOff", message="Back-off pulling image x"), False),
        (signal("OOMKilling", message="Killed process 1"), True),
        (signal("Unhealthy", 99), False),
        (signal("FailedScheduling"), False),
    ],
)
def test_what_proves_that_a_container_died(one: dict[str, Any], deadly: bool) -> None:
    assert bool(checks.deadly([one], "2026-11-21T12:00:00.500Z")) is deadly
