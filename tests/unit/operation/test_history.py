# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What earlier records say: which is not over, which change was tried, which proposal is on record already, how long repairs take."""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, history, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.unit.operation import samples

# samples: proposed at minute 0, each event a minute after the one before; plan until 480, approval until 60, watch until 15
CODE = "OOMKilled"
OTHER = {**samples.SUBJECT, "name": "db"}


def entry(*kinds: str, identifier: str = "0001", first: dict[str, Any] | None = None, **more: Any) -> history.Entry:
    """An entry of the sample, which got as far as its last event."""
    return {**history.entry(samples.events(*kinds, first={**(first or samples.payload(samples.plan())), "id": identifier})), **more}


def advice(**more: Any) -> history.Entry:
    return entry("closed", first=samples.payload(None), **more)


def stamp(minute: float) -> str:
    return clock.stamp(samples.at(minute))


# --- reading -------------------------------------------------------------------------------------------------------------


def test_a_store_is_read_without_what_is_damaged(store: Directory) -> None:
    assert history.read(store) == []
    done = samples.reach(store, samples.proposed(store), "closed")
    samples.proposed(store)
    samples.proposed(store, target=OTHER)
    os.chmod(store.file("0002"), 0o666)  # anybody may have written it
    with open(store.file("0003"), "ab") as file:
        file.write(b'{"cut off')
    found = history.read(store)
    assert [(one["id"], one["state"], one["target"]) for one in found] == [("0001", "closed", samples.SUBJECT), ("0003", "proposed", OTHER)]
    assert found[0] == history.entry(done.events)
    for content in (b"", b"{}\n", b"[]\n", b'{"kind": "proposed"}\n', b"\xff\n", b"[" * 5000 + b"\n"):
        with open(store.file("0003"), "wb") as file:
            file.write(content)
        assert [one["id"] for one in history.read(store)] == ["0001"], content


def test_an_entry() -> None:
    one = entry("approved", "executing", "executed", "failed", "rolling_back", "rolled_back")
    assert (one["codes"], one["containers"], one["findings"]) == ([CODE], ["app"], [[CODE, "app", ""]])
    assert (one["remedy"], one["summary"]) == ("raise_memory_limit", samples.plan()["summary"])
    assert (one["advice"], one["applied"], one["failed"], one["undo_needed"], one["repaired"]) == (False, True, True, False, "")
    assert (one["created"], one["decided"], one["ended"]) == (stamp(0), stamp(1), stamp(6))
    old = samples.payload(samples.plan())
    del old["remedy"], old["fingerprint"]
    assert entry(first=old)["fingerprint"] == one["fingerprint"], "records of before are compared as well"


# --- fingerprints --------------------------------------------------------------------------------------------------------


def printed(change: dict[str, Any], *more: dict[str, Any]) -> str:
    return history.fingerprint({**samples.plan(), "changes": [change, *more]})


def patch(memory: str = "128Mi", **metadata: Any) -> dict[str, Any]:
    live = samples.deployment()
    live["metadata"] |= metadata
    return plans.patch_change("C1", live, samples.patched(live, memory))


def annotated(value: str) -> dict[str, Any]:
    live = samples.deployment()
    desired = copy.deepcopy(live)
    desired["metadata"]["annotations"]["restartedAt"] = value
    return plans.patch_change("C1", live, desired)


def deleted(name: str, kind: str = "Pod") -> dict[str, Any]:
    return plans.delete_change("C1", {**samples.pod(name), "kind": kind}, "is created again")


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ([patch()], [patch(uid="uid-new", generation=9)], True),
        ([patch()], [{**patch(), "id": "C7", "dry_run": "server", "outcome": []}], True),
        ([patch()], [patch("256Mi")], False),
        ([patch()], [patch(name="db")], False),
        ([patch()], [patch(namespace="other")], False),
        ([annotated("2026-11-21T12:00:00Z")], [annotated("2026-11-22T09:30:01.5+01:00")], True),
        ([annotated("2026-11-21T12:00:00Z")], [annotated("yes")], False),
        ([deleted("web-1")], [deleted("web-2"), deleted("web-3")], True),
        ([deleted("web-1")], [deleted("web-1", "Job")], False),
        ([deleted("web-1")], [patch()], False),
    ],
    ids=["another state", "bookkeeping", "value", "name", "namespace", "moment", "no moment", "other pods", "kind", "action"],
)
def test_a_fingerprint(one: list[dict[str, Any]], two: list[dict[str, Any]], same: bool) -> None:
    assert (printed(*one) == printed(*two)) is same


# --- open, tried, earlier ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "minute", "found"),
    [
        ((), 479, True),
        ((), 481, False),
        (("approved",), 59, True),
        (("approved",), 61, False),
        (("rejected",), 2, False),
        (("expired",), 2, False),
        (("approved", "executing"), 5000, True),
        (("approved", "executing", "executed"), 5000, True),
        (("approved", "executing", "executed", "validated"), 14, True),
        (("approved", "executing", "executed", "validated"), 74, True),
        (("approved", "executing", "executed", "validated"), 76, False),
        (("approved", "executing", "executed", "failed"), 5000, True),
        (("approved", "executing", "executed", "failed", "rolling_back"), 5000, True),
        (("approved", "executing", "executed", "failed", "rolling_back", "rolled_back"), 7, False),
        (("approved", "executing", "executed", "validated", "closed"), 7, False),
    ],
)
def test_what_is_not_over(kinds: tuple[str, ...], minute: float, found: bool) -> None:
    known = [entry(*kinds)]
    assert history.open_for(known, samples.SUBJECT, CODE, stamp(minute)) == (known[0] if found else None)
    assert history.open_for(known, OTHER, CODE, stamp(minute)) is None
    assert history.open_for(known, samples.SUBJECT, "AppCrash", stamp(minute)) is None


def test_advice_is_never_open_and_the_newest_counts() -> None:
    known = [entry(identifier="0001"), entry(identifier="0002"), advice(identifier="0003")]
    assert (history.open_for(known, samples.SUBJECT, CODE, stamp(5)) or {})["id"] == "0002"


FAILED = ("approved", "executing", "executed", "failed", "rolling_back", "rolled_back")
WORKED = ("approved", "executing", "executed", "validated", "closed")


@pytest.mark.parametrize(
    ("kinds", "counts"),
    [
        (FAILED, True),
        (FAILED[:4], True),
        (("approved", "executing", "executed", "validated", "failed"), True),
        (WORKED, False),
        (("rejected",), False),
        ((), False),
    ],
)
def test_what_was_tried(kinds: tuple[str, ...], counts: bool) -> None:
    one = entry(*kinds)
    assert bool(history.tried([one], samples.SUBJECT, one["fingerprint"])) is counts
    assert history.tried([one], OTHER, one["fingerprint"]) == [] and history.tried([one], samples.SUBJECT, "0" * 64) == []


def test_a_change_that_the_api_server_refused_was_not_tried() -> None:
    events = samples.events("approved", "executing")
    refused = {"phase": "apply", "reason": "forbidden", "applied": False}
    one = history.entry([*events, {**events[-1], "kind": "failed", "payload": refused}])
    assert history.tried([one], samples.SUBJECT, one["fingerprint"]) == []


def test_a_change_that_somebody_undid_later_was_tried() -> None:
    worked = entry(*WORKED)
    undo = entry(*WORKED, identifier="0002", workflow=history.UNDO, undoes=worked["digest"], fingerprint="f" * 64)
    assert history.tried([worked, undo], samples.SUBJECT, worked["fingerprint"]) == [worked]
    assert history.tried([worked, {**undo, "applied": False}], samples.SUBJECT, worked["fingerprint"]) == []


@pytest.mark.parametrize(("then", "now", "counts"), [("a", "a", True), ("a", "b", False), ("", "b", True), ("a", "", True)])
def test_a_failure_on_another_basis_does_not_count(then: str, now: str, counts: bool) -> None:
    one = entry(*FAILED, basis=then)
    assert bool(history.tried([one], samples.SUBJECT, one["fingerprint"], now)) is counts


def test_earlier_records_of_a_finding() -> None:
    known = [
        entry(*WORKED),
        entry(*FAILED, identifier="0002"),
        advice(identifier="0003", codes=["AppCrash"]),
        entry(identifier="0004", target=OTHER),
        entry(*WORKED, identifier="0005", workflow=history.UNDO),
    ]
    assert history.earlier(known, samples.SUBJECT, [CODE]) == ["0002", "0001"]
    assert history.earlier(known, samples.SUBJECT, ["AppCrash", CODE]) == ["0003", "0002", "0001"]
    assert [one["what"].rpartition(": ")[2] for one in history.described(known, ["0003", "0002", "0001"])] == [
        "advice only",
        "did not work, undone",
        "worked",
    ]


@pytest.mark.parametrize(
    ("cluster", "count"),
    [(samples.CLUSTER, 1), ({"uid": "cluster-2", "server": samples.CLUSTER["server"]}, 0), ({"uid": "", "server": samples.CLUSTER["server"]}, 1)],
)
def test_other_clusters_are_left_out(cluster: dict[str, str], count: int) -> None:
    assert len(history.of_cluster([entry()], cluster)) == count


# --- on record already ---------------------------------------------------------------------------------------------------


def again(known: list[history.Entry], document: dict[str, Any] | None = None, minute: float = 5, asking: bool = False) -> tuple[str, str]:
    plan = samples.payload(samples.plan())["plan"]
    return history.repeated(known, document or samples.payload(samples.plan()), stamp(minute), lambda _id: plan, asking)


def test_an_undecided_proposal_is_not_recorded_again() -> None:
    identifier, why = again([entry()])
    assert identifier == "0001" and "was proposed 5 min ago" in why and "until 2026-11-21T20:00:00.000Z" in why
    assert again([entry()], minute=481) == ("", "")
    assert again([]) == ("", "") and again([entry(target=OTHER)]) == ("", "")


@pytest.mark.parametrize(
    "differs",
    [
        {"changes": [patch("256Mi")]},
        {"changes": [patch(generation=4)]},
        {"risk": "critical"},
        {"policy": {}},
        {"checks": [{**one, "hold_seconds": 9} for one in samples.plan()["checks"]]},
    ],
    ids=["change", "object moved on", "risk", "policy", "checks"],
)
def test_a_proposal_that_does_not_fit_any_more_is_taken_the_place_of(differs: dict[str, Any]) -> None:
    document = samples.payload({**samples.plan(), **differs})
    assert again([entry()], document) == ("", "")
    assert [one["id"] for one in history.superseded([entry(), entry("rejected"), advice(), entry(target=OTHER)], document)] == ["0001"]


def test_what_the_plan_says_of_time_and_of_failing_pods_does_not_matter() -> None:
    later = samples.plan(created=samples.at(30))
    later["checks"][0]["failing"] = []
    assert again([entry()], samples.payload({**later, "shown": "1" * 64}))[0] == "0001"


@pytest.mark.parametrize(
    ("findings", "state", "same"),
    [
        ([samples.finding(container="b")], (), False),
        ([samples.finding(), samples.finding(code="AppCrash")], (), False),
        ([samples.finding(root_cause="said otherwise")], (), True),
        ([samples.finding(object=OTHER)], (), False),
        ([samples.finding()], ("approved", "executing"), True),
        ([samples.finding(code="AppCrash")], ("approved", "executing"), False),
    ],
    ids=["container", "one more", "words", "object", "under way", "something else while one is under way"],
)
def test_findings_decide(findings: list[dict[str, Any]], state: tuple[str, ...], same: bool) -> None:
    assert bool(again([entry(*state)], samples.payload(samples.plan(), findings=findings))[0]) is same


@pytest.mark.parametrize(
    ("kinds", "says"), [(("approved",), "is approved"), (WORKED[:3], "not proven"), (WORKED[:4], "watch"), (FAILED[:4], "not undone")]
)
def test_an_operation_that_is_not_over_is_referred_to(kinds: tuple[str, ...], says: str) -> None:
    identifier, why = again([entry(*kinds)])
    assert identifier == "0001" and says in why


def test_what_is_over_is_recorded_anew() -> None:
    assert again([entry(*WORKED)]) == again([entry(*FAILED)]) == ("", "")


@pytest.mark.parametrize(("minute", "same"), [(60, True), (1440, True), (1450, False)])
def test_advice_is_repeated_once_a_day(minute: float, same: bool) -> None:
    assert (again([advice()], samples.payload(None), minute)[0] == "0001") is same


def test_advice_that_became_a_plan_or_follows_one_is_recorded() -> None:
    assert again([advice()]) == ("", "")
    assert again([advice(), entry(*FAILED, identifier="0002")], samples.payload(None)) == ("", "")
    assert again([entry()], samples.payload(None))[0] == "0001", "a plan that waits is not doubted by somebody who may do less"


@pytest.mark.parametrize(("asking", "minute", "same"), [(False, 60, True), (True, 60, False), (False, 1450, False)])
def test_a_rejection_stands_for_a_day_where_nobody_is_asked(asking: bool, minute: float, same: bool) -> None:
    identifier, why = again([entry("rejected")], minute=minute, asking=asking)
    assert (identifier == "0001") is same and ("not today" in why) is same


def test_an_undo_is_always_recorded() -> None:
    assert again([entry(workflow=history.UNDO)], samples.payload(samples.plan(), workflow=history.UNDO)) == ("", "")


# --- times ---------------------------------------------------------------------------------------------------------------


def test_means() -> None:
    known = [
        entry(*WORKED, since=stamp(-2)),  # detected after 120 s, repaired 240 s after the proposal
        entry(*FAILED, identifier="0002", since=stamp(-4)),  # detected after 240 s
        entry(identifier="0003", since=stamp(-60)),  # the same failure still
        entry(*WORKED, identifier="0004", target=OTHER, since=stamp(-6)),
        entry(*WORKED[:4], "failed", identifier="0005", target={**OTHER, "name": "x"}),  # did not last, and nobody knows since when
        entry(*WORKED, identifier="0006", workflow=history.UNDO, since=stamp(-1000)),
    ]
    assert history.means(known) == {
        "detect": {"seconds": 240.0, "operations": 3},
        "decide": {"seconds": 60.0, "operations": 4},
        "repair": {"seconds": 240.0, "operations": 2},
        "outage": {"seconds": 480.0, "operations": 2},
    }
    assert history.summary(known) == "mean time to detect 4 min (3), to repair 4 min (2)"
    assert history.summary([]) == ""
