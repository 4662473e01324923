# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Events, their hash chain, and the states of a record: pure functions over the list of events.

An event: {seq, time, kind, actor{}, payload{}, previous, hash}. ``previous`` is the hash of the event before it ("" for the
first), ``hash`` the SHA-256 over the canonical form of all other keys. The state of a record is the kind of its last event
that is a state.
"""

from __future__ import annotations

import getpass
import os
import socket
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused, RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest

Event = dict[str, Any]

# state -> the states that may follow; an event is written before the effect that it announces
TRANSITIONS: dict[str, tuple[str, ...]] = {
    "": ("proposed",),
    "proposed": ("approved", "rejected", "expired", "closed"),
    "approved": ("executing", "expired"),
    "executing": ("executed", "failed"),
    "executed": ("validated", "failed", "rolling_back"),
    "validated": ("closed", "failed", "rolling_back"),
    "failed": ("rolling_back", "closed"),
    "rolling_back": ("rolled_back", "failed"),
    "closed": (),
    "rejected": (),
    "expired": (),
    "rolled_back": (),
}
NOTES = ("refused", "resumed")  # kinds that are kept but change no state
ENDED = tuple(state for state, following in TRANSITIONS.items() if state and not following)


def actor() -> dict[str, Any]:
    """Who runs this process, as the operating system says, not as an environment variable claims."""
    import pwd  # not on every control node's platform when sanity imports this file

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = getpass.getuser() if os.getuid() else "root"
    return {"user": name, "uid": os.getuid(), "host": socket.gethostname(), "established_by": "os_user"}


def event(events: list[Event], kind: str, payload: dict[str, Any], who: dict[str, Any], moment: str | None = None) -> Event:
    """The next event of a chain. Raises GateRefused when the record's state does not allow it."""
    if kind not in NOTES and kind not in TRANSITIONS[state(events)]:
        raise GateRefused(f"The record is {state(events) or 'new'}; it cannot become {kind}.")
    body = {
        "seq": len(events) + 1,
        "time": moment or clock.stamp(clock.now()),
        "kind": kind,
        "actor": who,
        "payload": payload,
        "previous": events[-1]["hash"] if events else "",
    }
    return {**body, "hash": digest(body)}


def state(events: list[Event]) -> str:
    return next((one["kind"] for one in reversed(events) if one["kind"] not in NOTES), "")


def verify(events: list[Event], name: str) -> None:
    """Raises RecordDamaged that says which event does not fit, and how."""
    if not events:
        raise RecordDamaged(f"Record {name} holds no event.", "Restore the file from a backup; nothing can be approved or applied from it.")
    previous, reached = "", ""
    for position, one in enumerate(events, start=1):
        fault = _fault(one, position, previous, reached)
        if fault:
            raise RecordDamaged(
                f"Record {name} is damaged at event {position}: {fault}.",
                "Restore the file from a backup; nothing can be approved, applied or undone from a record that does not verify.",
            )
        previous = one["hash"]
        reached = reached if one["kind"] in NOTES else one["kind"]


def _fault(one: Event, position: int, previous: str, reached: str) -> str:
    missing = [key for key in ("seq", "time", "kind", "actor", "payload", "previous", "hash") if key not in one]
    if missing:
        return f"it lacks {', '.join(missing)}"
    if one["seq"] != position:
        return f"its number is {one['seq']}, so an event was removed, added or moved"
    if one["hash"] != _hash(one):
        return "its content does not match its hash, so it was edited"
    for key in ("actor", "payload"):
        if not isinstance(one[key], dict):
            return f"its {key} is not a mapping"
    if one["previous"] != previous:
        return "it does not follow the event before it"
    if one["kind"] not in NOTES and one["kind"] not in TRANSITIONS.get(reached, ()):
        return f"{one['kind']} cannot follow {reached or 'the beginning'}"
    return ""


def _hash(one: Event) -> str:
    """The hash that an event should carry; empty for content that no event of ours can hold (NaN, huge integers)."""
    try:
        return digest({key: value for key, value in one.items() if key != "hash"})
    except BadInput:
        return ""


def last(events: list[Event], kind: str) -> Event | None:
    """The last event of a kind."""
    return next((one for one in reversed(events) if one["kind"] == kind), None)


def undo_needed(events: list[Event]) -> bool:
    """Whether a change was applied, its check failed, and its inverse is not applied yet."""
    failed = last(events, "failed")
    if state(events) == "rolling_back":
        return True
    return bool(state(events) == "failed" and failed and failed["payload"].get("applied") and failed["payload"].get("phase") != "rollback")
