# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Bringing chains together, as a pure function: what is appended, renumbered, kept as a note, and recognised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation import record as chain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.chain_merge import Chain, Key, Merged, heads, merge

from tests.unit.operation import samples

BOB = {"user": "bob", "uid": 1002, "host": "ops-2", "established_by": "os_user"}


def grown(start: list[dict[str, Any]], *kinds: str, who: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    events = list(start)
    for kind in kinds:
        events.append(chain.event(events, kind, samples.PAYLOADS[kind], who or samples.REQUESTER, f"2026-11-21T13:00:0{len(events)}.000Z"))
    return [json.loads(chain.line(one)) for one in events]


def record(identifier: str, title: str, previous: dict[str, str] | None = None, *kinds: str) -> Chain:
    body = {**samples.payload(PLAN, title=title), "feature": "004", "id": identifier, "previous_record": previous}
    return chained(grown([chain.event([], "proposed", body, samples.REQUESTER, "2026-11-21T12:00:00.000Z")], *kinds), identifier)


def chained(events: list[dict[str, Any]], identifier: str = "0001") -> Chain:
    return Chain(("004", identifier), [chain.line(one) for one in events], events)


PLAN = samples.plan()
FIRST = grown(samples.events())


def together(remote: list[Chain], local: list[Chain]) -> tuple[Merged, dict[Key, Chain]]:
    """Merge, check what always has to hold, and merge what came out again, which adds nothing."""
    there = {one.key: one for one in remote}
    taken = {"004": {one.key[1] for one in remote}}
    merged = merge(there.get, taken, remote, local, BOB)
    after = dict(there)
    for step in merged.steps:
        assert len(step.lines) == len(after[step.key].lines if step.key in after else []) + 1
        after[step.key] = step
    have = [hash_ for one in after.values() for hash_ in _origins(one)]
    assert len(have) == len(set(have)), "an event stands twice"
    assert {hash_ for one in [*remote, *local] for hash_ in _origins(one)} == set(have), "an event is lost"
    for one in after.values():
        assert chain.read(b"".join(one.lines), one.key[1]) == one.events
        before = one.events[0]["payload"]["previous_record"]
        assert before is None or before["head"] in heads(after["004", before["id"]].events)
        assert one.events[0]["payload"]["id"] == one.key[1]
    again = merge(after.get, {"004": {key[1] for key in after}}, list(after.values()), local, BOB)
    assert again.steps == []
    return merged, after


def _origins(one: Chain) -> list[str]:
    return [chain.origin(event["payload"]["event"] if event["kind"] == "conflict" else event) for event in one.events]


APPENDS: list[tuple[str, tuple[str, ...], tuple[str, ...], list[str], list[str]]] = [
    # what, remote's events after the proposal, ours, kinds afterwards, which of them were rebased
    ("nothing new", ("approved",), (), ["approved"], []),
    ("ours alone", (), ("approved", "executing"), ["approved", "executing"], []),
    ("notes on both sides", ("refused",), ("resumed",), ["refused", "resumed"], ["resumed"]),
    ("a note and a decision", ("refused",), ("approved", "executing"), ["refused", "approved", "executing"], ["approved", "executing"]),
    ("two approvals", ("approved",), ("approved",), ["approved", "conflict"], []),
    ("two rejections", ("rejected",), ("rejected",), ["rejected", "conflict"], []),
    ("rejected there, carried out here", ("rejected",), ("approved", "executing", "executed"), ["rejected", *["conflict"] * 3], []),
    ("approved there, rejected here", ("approved",), ("rejected",), ["approved", "conflict"], []),
    ("both approved, ours went on", ("approved",), ("approved", "executing"), ["approved", "conflict", "executing"], ["executing"]),
    ("note of ours on an ended record", ("rejected",), ("refused",), ["rejected", "refused"], ["refused"]),
]


@pytest.mark.parametrize("what, theirs, ours, kinds, rebased", APPENDS, ids=[row[0] for row in APPENDS])
def test_one_record_on_both_sides(what: str, theirs: tuple[str, ...], ours: tuple[str, ...], kinds: list[str], rebased: list[str]) -> None:
    remote, local = chained(grown(FIRST, *theirs, who=BOB)), chained(grown(FIRST, *ours))
    merged, after = together([remote], [local])
    found = after["004", "0001"].events[1:]
    assert [one["kind"] for one in found] == kinds
    assert [one["kind"] for one in found if "rebased" in one] == rebased
    assert after["004", "0001"].lines[: len(remote.lines)] == remote.lines, "what is published stays byte for byte"
    assert len(merged.conflicts) == kinds.count("conflict") and not merged.renumbered


def test_a_conflict_says_who_was_first_and_keeps_the_event_whole() -> None:
    remote, local = chained(grown(FIRST, "rejected", who=BOB)), chained(grown(FIRST, "approved"))
    merged, after = together([remote], [local])
    note = after["004", "0001"].events[-1]
    assert note["actor"] == BOB and note["payload"]["event"] == local.events[1]
    assert (
        note["payload"]["reason"]
        == merged.conflicts[0][1]
        == "bob@ops-2 had published rejected (2026-11-21T13:00:01.000Z) before approved by ann@desk (2026-11-21T13:00:01.000Z) was published;"
        " a record that is rejected cannot become approved"
    )


ONE = record("0001", "one")
HEAD = {"id": "0001", "head": ONE.events[-1]["hash"]}


def test_a_new_record_keeps_its_id_where_it_is_free() -> None:
    mine = record("0002", "mine", HEAD, "rejected")
    merged, after = together([ONE], [mine])
    assert after["004", "0002"].lines == mine.lines and not merged.renumbered


def test_a_taken_id_gives_the_next_and_the_plan_stays_the_same() -> None:
    theirs, mine = record("0002", "theirs", HEAD, "refused"), record("0002", "mine", HEAD, "approved", "executing")
    merged, after = together([ONE, theirs], [mine])
    moved = after["004", "0003"].events
    assert merged.renumbered == {("004", "0002"): ("004", "0003")}
    assert moved[0]["renumbered"] == {"from": "0002", "hash": mine.events[0]["hash"]}
    assert [one.get("rebased") for one in moved] == [None, *({"hash": one["hash"]} for one in mine.events[1:])]
    assert moved[0]["payload"]["previous_record"] == {"id": "0002", "head": theirs.events[-1]["hash"]}
    assert all(moved[0]["payload"][key] == mine.events[0]["payload"][key] for key in ("digest", "plan", "title"))
    assert after["004", "0002"] == theirs


def test_later_records_of_ours_follow() -> None:
    theirs = record("0002", "theirs", HEAD)
    mine = record("0002", "mine", HEAD)
    next_ = record("0003", "mine too", {"id": "0002", "head": mine.events[-1]["hash"]})
    merged, after = together([ONE, theirs], [mine, next_])
    assert [after["004", one].events[0]["payload"]["title"] for one in ("0002", "0003", "0004")] == ["theirs", "mine", "mine too"]
    assert merged.renumbered == {("004", "0002"): ("004", "0003"), ("004", "0003"): ("004", "0004")}


def test_a_head_that_was_rebased_is_still_true() -> None:
    mine = chained(grown(ONE.events, "refused"))
    theirs = chained(grown(ONE.events, "resumed", who=BOB))
    later = record("0002", "later", {"id": "0001", "head": mine.events[-1]["hash"]})
    merged, after = together([theirs], [mine, later])
    assert after["004", "0002"].lines == later.lines and not merged.renumbered


def test_a_head_that_became_a_conflict_is_written_anew() -> None:
    mine = chained(grown(ONE.events, "approved"))
    theirs = chained(grown(ONE.events, "rejected", who=BOB))
    later = record("0002", "later", {"id": "0001", "head": mine.events[-1]["hash"]})
    _merged, after = together([theirs], [mine, later])
    assert after["004", "0002"].events[0]["renumbered"] == {"from": "0002", "hash": later.events[0]["hash"]}


def test_what_was_moved_before_is_recognised_and_keeps_its_first_hash() -> None:
    theirs, mine = record("0002", "theirs", HEAD), record("0002", "mine", HEAD, "approved")
    _merged, after = together([ONE, theirs], [mine])
    moved, third = after["004", "0003"], record("0003", "third", HEAD)
    merged, again = together([ONE, theirs, third], [moved])
    assert merged.renumbered == {("004", "0003"): ("004", "0004")}
    assert again["004", "0004"].events[0]["renumbered"] == {"from": "0002", "hash": mine.events[0]["hash"]}
    longer = chained(grown(moved.events, "executing"), "0003")
    merged, after = together([ONE, theirs, moved], [longer, mine])
    assert [one["kind"] for one in after["004", "0003"].events] == ["proposed", "approved", "executing"]
