# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Events, their hash chain, and the states of a record: pure functions over the list of events.

An event: {seq, time, kind, actor{}, payload{}, previous, hash}. ``previous`` is the hash of the event before it ("" for the
first), ``hash`` the SHA-256 over the canonical form (RFC 8785) of all other keys. The state of a record is the kind of its last event
that is a state. Events that a git store had to move carry one key more: ``rebased`` {hash} (it followed another event when it was made)
or, on a first event, ``renumbered`` {from, hash} (its record had another id); ``hash`` there is the one that it had at first.

Lines are written in canonical form. ``read`` verifies such a line quickly, without the slow canonicaliser, and only where both provably
give the same bytes: the line is parsed, and Python's own encoder has to give back exactly the bytes that were read. That rules out what a
forger could hide in a line: a key that stands twice, numbers in another notation (1.0, 1e2, -0), white space, escapes, keys in another
order. Where Python's encoder and RFC 8785 differ (exponents, whole floats, integers beyond 2**53, keys beyond the basic plane) the quick way is
not taken. The hash is then that of the line without its member ``"hash"``. In a canonical line that member stands right before ``"kind"``, and a
quotation mark inside a text is escaped, so these bytes are a member and no text; where they stand twice (an actor that holds the same two
keys), the quick way is not taken. Any other line takes the slow way; there a key that stands twice is damage.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import socket
from typing import Any, NoReturn

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused, RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import canonical, digest

Event = dict[str, Any]

# state -> the states that may follow; an event is written before the effect that it announces
TRANSITIONS: dict[str, tuple[str, ...]] = {
    "": ("proposed",),
    "proposed": ("approved", "rejected", "expired", "closed"),
    "approved": ("executing", "expired"),
    "executing": ("executed", "failed"),
    "executed": ("validated", "failed", "rolling_back", "closed"),
    "validated": ("closed", "failed", "rolling_back"),
    "failed": ("rolling_back", "closed"),
    "rolling_back": ("rolled_back", "failed"),
    "closed": (),
    "rejected": (),
    "expired": (),
    "rolled_back": (),
}
NOTES = ("refused", "resumed", "conflict")  # kinds that are kept but change no state
ENDED = tuple(state for state, following in TRANSITIONS.items() if state and not following)

_KEYS = frozenset(
    ("actor", "hash", "kind", "payload", "previous", "rebased", "renumbered", "seq", "time")
)  # in this order they are canonical
_EXACT = 2**53 - 1
_ASTRAL = re.compile(rb"[\xf0-\xf4]")  # the first byte of what Python and RFC 8785 may sort differently
_ENCODE = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


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
    if not allowed(events, kind):
        raise GateRefused(f"The record is {state(events) or 'new'}; it cannot become {kind}.")
    return linked(events, {"time": moment or clock.stamp(clock.now()), "kind": kind, "actor": who, "payload": payload})


def allowed(events: list[Event], kind: str) -> bool:
    """Whether an event of this kind may come next."""
    return kind in NOTES or kind in TRANSITIONS.get(state(events), ())


def linked(events: list[Event], body: dict[str, Any]) -> Event:
    """The event with its number, the hash before it and its own, behind these events."""
    body = {**body, "seq": len(events) + 1, "previous": events[-1]["hash"] if events else ""}
    body.pop("hash", None)
    return {**body, "hash": digest(body)}


def origin(one: Event) -> str:
    """The hash that an event had when it was made, before a git store moved it."""
    return str((one.get("rebased") or one.get("renumbered") or one)["hash"])


def line(one: Event) -> bytes:
    """The event as it stands in a file: canonical, but for the rare number that would be read back as another one (1e16 as an integer)."""
    text = canonical(one)
    return (text if _slowly(text)[1] == one["hash"] else _ENCODE(one).encode()) + b"\n"


def read(data: bytes, name: str) -> list[Event]:
    """The verified chain that a file holds; what follows its last newline is left out. Raises RecordDamaged."""
    events: list[Event] = []
    hashes: list[str] = []
    for position, text in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            one, computed = _quickly(text) or _slowly(text)
        except (ValueError, RecursionError) as error:
            fault = str(error) if isinstance(error, _Twice) else "it is not a JSON object"
            raise RecordDamaged(f"Record {name} is damaged at line {position}: {fault}.", "Restore the file from a backup.") from None
        events.append(one)
        hashes.append(computed)
    verify(events, name, hashes)
    return events


class _Twice(ValueError):
    """A key stands twice in an object."""


class _Unusual(Exception):
    """Something that Python's encoder may write in another way than RFC 8785."""


def _quickly(text: bytes) -> tuple[Event, str] | None:
    """(event, computed hash) of a canonical line; None for any other."""
    if not text.isascii() and _ASTRAL.search(text):
        return None
    try:
        one = _STRICT(text.decode())
        if not isinstance(one, dict) or not _KEYS.issuperset(one) or _ENCODE(one).encode() != text:
            return None
        member = f'"hash":{_ENCODE(one["hash"])},"kind":'.encode()
        if text.count(member) != 1 or "kind" not in one:
            return None
        return one, hashlib.sha256(text.replace(member, b'"kind":')).hexdigest()
    except (_Unusual, UnicodeError, KeyError):
        return None


def _slowly(text: bytes) -> tuple[Event, str]:
    one = json.loads(text.decode(), object_pairs_hook=_once)
    if not isinstance(one, dict):
        raise ValueError("not an object")
    return one, _hash(one)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice("a key stands twice in one object")
    return found


def _whole(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > _EXACT:
        raise _Unusual
    return int(text)


def _float(text: str) -> float:
    if "e" in text or "E" in text or text.endswith(".0") or repr(float(text)) != text:
        raise _Unusual
    return float(text)


def _constant(text: str) -> NoReturn:
    raise _Unusual(text)


_STRICT = json.JSONDecoder(parse_float=_float, parse_int=_whole, parse_constant=_constant).decode


def state(events: list[Event]) -> str:
    return next((one["kind"] for one in reversed(events) if one["kind"] not in NOTES), "")


def verify(events: list[Event], name: str, hashes: list[str] | None = None) -> None:
    """Raises RecordDamaged that says which event does not fit, and how. ``hashes``: what each hash has to be, where it is computed already."""
    if not events:
        raise RecordDamaged(f"Record {name} holds no event.", "Restore the file from a backup; nothing can be approved or applied from it.")
    previous, reached = "", ""
    for position, one in enumerate(events, start=1):
        fault = _fault(one, position, previous, reached, hashes[position - 1] if hashes else None)
        if fault:
            raise RecordDamaged(
                f"Record {name} is damaged at event {position}: {fault}.",
                "Restore the file from a backup; nothing can be approved, applied or undone from a record that does not verify.",
            )
        previous = one["hash"]
        reached = reached if one["kind"] in NOTES else one["kind"]


def _fault(one: Event, position: int, previous: str, reached: str, computed: str | None) -> str:
    missing = [key for key in ("seq", "time", "kind", "actor", "payload", "previous", "hash") if key not in one]
    if missing:
        return f"it lacks {', '.join(missing)}"
    if one["seq"] != position:
        return f"its number is {one['seq']}, so an event was removed, added or moved"
    if one["hash"] != (_hash(one) if computed is None else computed):
        return "its content does not match its hash, so it was edited"
    for key in ("actor", "payload"):
        if not isinstance(one[key], dict):
            return f"its {key} is not a mapping"
    for key in ("rebased", "renumbered"):
        if key in one and not (isinstance(one[key], dict) and isinstance(one[key].get("hash"), str)):
            return f"its {key} names no hash"
    if one["previous"] != previous:
        return "it does not follow the event before it"
    if one["kind"] not in NOTES and one["kind"] not in TRANSITIONS.get(reached, ()):
        return f"{one['kind']} cannot follow {reached or 'the beginning'}"
    return ""


def _hash(one: Event) -> str:
    """The hash that an event should carry; empty for content that no event of ours can hold (NaN, huge integers)."""
    try:
        return digest({key: value for key, value in one.items() if key != "hash"})
    except (BadInput, RecursionError):
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
