# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The chain of events: every tampering shows, and only the transitions of the table are possible."""

from __future__ import annotations

import copy
import os
import pwd
from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, GateRefused, RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import record as chain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest

from tests.unit.operation import samples

WHOLE = samples.events("refused", *samples.WAYS["rolled_back"])
Events = list[dict[str, Any]]


def rehashed(events: Events, start: int) -> Events:
    """What a forger who knows the format would write: every hash from ``start`` on is right again."""
    for position in range(start, len(events)):
        events[position]["previous"] = events[position - 1]["hash"] if position else ""
        events[position]["hash"] = digest({key: value for key, value in events[position].items() if key != "hash"})
    return events


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        return [leaf for key, one in value.items() for leaf in leaves(one, (*path, key))]
    if isinstance(value, list) and value:
        return [leaf for index, one in enumerate(value) for leaf in leaves(one, (*path, index))]
    return [path]


def test_the_whole_chain_verifies() -> None:
    chain.verify(WHOLE, "0001")
    assert [one["seq"] for one in WHOLE] == list(range(1, len(WHOLE) + 1))
    assert WHOLE[0]["previous"] == ""


@pytest.mark.parametrize("position", range(len(WHOLE)))
def test_an_edit_of_any_value_of_any_event_shows(position: int) -> None:
    edited = 0
    for path in leaves(WHOLE[position]):
        events = copy.deepcopy(WHOLE)
        holder: Any = events[position]
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = "forged" if holder[path[-1]] != "forged" else "other"
        with pytest.raises(RecordDamaged, match=f"Record 0001 is damaged at event {position + 1}: "):
            chain.verify(events, "0001")
        edited += 1
    assert edited >= 9


@pytest.mark.parametrize("position", range(len(WHOLE)))
@pytest.mark.parametrize("key", ["seq", "time", "kind", "actor", "payload", "previous", "hash"])
def test_a_missing_key_shows_by_name(position: int, key: str) -> None:
    events = copy.deepcopy(WHOLE)
    del events[position][key]
    with pytest.raises(RecordDamaged, match=f"event {position + 1}: it lacks {key}"):
        chain.verify(events, "0001")


FORGED = samples.events(*samples.WAYS["rolled_back"])
TAMPERINGS: list[tuple[str, Callable[[Events], Events], str]] = [
    ("no event at all", lambda events: [], "holds no event"),
    ("first event cut off", lambda events: events[1:], "event 1: its number is 2"),
    ("one cut out of the middle", lambda events: [*events[:2], *events[3:]], "event 3: its number is 4"),
    ("two swapped", lambda events: [events[0], events[2], events[1], *events[3:]], "event 2: its number is 3"),
    ("one twice", lambda events: [*events[:2], events[1], *events[2:]], "event 3: its number is 2"),
    ("the last one twice", lambda events: [*events, events[-1]], "event 8: its number is 7"),
    ("one from another record", lambda events: [*events[:2], samples.events("refused", "rejected")[2], *events[3:]], "event 3: it does not follow"),
    ("an extra key", lambda events: [{**events[0], "note": "x"}, *events[1:]], "event 1: its content does not match its hash"),
    ("renumbered after a cut", lambda events: [*events[:2], {**events[3], "seq": 3}], "event 3: its content does not match its hash"),
    ("a number that no JSON holds", lambda events: [{**events[0], "payload": {"x": float("nan")}}], "event 1: its content"),
    ("a number beyond exact integers", lambda events: [{**events[0], "payload": {"x": 2**60}}], "event 1: its content"),
    ("payload is no mapping", lambda events: rehashed([{**events[0], "payload": "text"}], 0), "event 1: its payload is not a mapping"),
    ("actor is no mapping", lambda events: rehashed([{**events[0], "actor": ["ann"]}], 0), "event 1: its actor is not a mapping"),
    ("a forger skips the approval", lambda events: rehashed([events[0], {**events[2], "seq": 2}], 1), "event 2: executing cannot follow proposed"),
    ("a forger begins in the middle", lambda events: rehashed([{**events[2], "seq": 1}], 0), "event 1: executing cannot follow the beginning"),
    ("a forger goes on after the end", lambda events: rehashed([*events, {**events[1], "seq": 8}], 7), "event 8: approved cannot follow rolled_back"),
    ("a forger invents a kind", lambda events: rehashed([events[0], {**events[1], "kind": "blessed"}], 1), "event 2: blessed cannot follow proposed"),
]


@pytest.mark.parametrize("what, tamper, message", TAMPERINGS, ids=[row[0] for row in TAMPERINGS])
def test_tampering_shows(what: str, tamper: Callable[[Events], Events], message: str) -> None:
    with pytest.raises(RecordDamaged) as caught:
        chain.verify(tamper(copy.deepcopy(FORGED)), "0001")
    assert message in str(caught.value) and "Restore the file from a backup" in str(caught.value)


ALLOWED = [
    ("", "proposed"),
    ("proposed", "approved"),
    ("proposed", "rejected"),
    ("proposed", "expired"),
    ("proposed", "closed"),
    ("approved", "executing"),
    ("approved", "expired"),
    ("executing", "executed"),
    ("executing", "failed"),
    ("executed", "validated"),
    ("executed", "failed"),
    ("executed", "rolling_back"),
    ("executed", "closed"),
    ("validated", "closed"),
    ("validated", "failed"),
    ("validated", "rolling_back"),
    ("failed", "rolling_back"),
    ("failed", "closed"),
    ("rolling_back", "rolled_back"),
    ("rolling_back", "failed"),
]
KINDS = sorted({*chain.TRANSITIONS, *chain.NOTES, "invented"} - {""})


@pytest.mark.parametrize("before", ["", *samples.WAYS])
@pytest.mark.parametrize("kind", KINDS)
def test_transitions(before: str, kind: str) -> None:
    events = samples.events(*samples.WAYS[before]) if before else []
    assert chain.state(events) == before
    if (before, kind) in ALLOWED or kind in chain.NOTES:
        new = chain.event(events, kind, {}, samples.REQUESTER, "2026-11-21T13:00:00.000Z")
        assert (new["seq"], new["previous"]) == (len(events) + 1, events[-1]["hash"] if events else "")
    else:
        with pytest.raises(GateRefused, match=f"The record is {before or 'new'}; it cannot become {kind}"):
            chain.event(events, kind, {}, samples.REQUESTER)


def test_the_table_is_complete_and_closed() -> None:
    assert {(before, after) for before, following in chain.TRANSITIONS.items() for after in following} == set(ALLOWED)
    assert set(chain.ENDED) == {"closed", "rejected", "expired", "rolled_back"}


def test_notes_change_no_state() -> None:
    events = samples.events("refused", "resumed", "approved", "refused")
    assert chain.state(events) == "approved"
    assert chain.last(events, "refused") is events[-1]
    assert chain.last(events, "failed") is None


UNDO: list[tuple[str, tuple[str, ...], dict[str, Any], bool]] = [
    ("a check failed", ("approved", "executing", "executed", "failed"), {"applied": True, "phase": "validate"}, True),
    ("the watch failed", ("approved", "executing", "executed", "validated", "failed"), {"applied": True, "phase": "watch"}, True),
    ("nothing was applied", ("approved", "executing", "failed"), {"applied": False, "phase": "apply"}, False),
    ("a part was applied", ("approved", "executing", "failed"), {"applied": True, "phase": "apply"}, True),
    ("the undoing failed", ("approved", "executing", "executed", "failed"), {"applied": True, "phase": "rollback"}, False),
]


@pytest.mark.parametrize("what, kinds, failed, needed", UNDO, ids=[row[0] for row in UNDO])
def test_undo_needed(what: str, kinds: tuple[str, ...], failed: dict[str, Any], needed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(samples.PAYLOADS, "failed", {"reason": "x", **failed})
    assert chain.undo_needed(samples.events(*kinds)) is needed


@pytest.mark.parametrize("state", [state for state in samples.WAYS if state != "failed"])
def test_undo_needed_while_rolling_back_only(state: str) -> None:
    assert chain.undo_needed(samples.events(*samples.WAYS[state])) is (state == "rolling_back")


def test_the_actor_is_who_the_operating_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "somebody-else")
    who = chain.actor()
    assert who["user"] == pwd.getpwuid(os.getuid()).pw_name and who["uid"] == os.getuid()
    assert who["established_by"] == "os_user" and who["host"]


def test_refusals_are_errors_of_ours() -> None:
    assert issubclass(RecordDamaged, AiopsError) and issubclass(GateRefused, AiopsError)
