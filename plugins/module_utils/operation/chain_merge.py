# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Brings chains that grew in two places together: pure functions over events.

``base`` is what is published and is never changed; local events are put behind it.
An event that the record's state still allows is linked anew and carries ``rebased`` {hash}, the hash that it had. One that is
not allowed any more is kept inside a note of kind ``conflict``. A new record whose id is taken gets the next free one and carries
``renumbered`` {from, hash}. Events are recognised by the hash that they had at first, so bringing the same events in again adds nothing.
Every first event's ``previous_record`` is true afterwards: its head is a hash, or a ``rebased`` hash, in the chain of that record.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable

from ansible_collections.aiops.k8s.plugins.module_utils.errors import RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import record as chain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event

Key = tuple[str, str]  # feature, id


@dataclass
class Chain:
    """One record: its lines as they stand in the file, and the same as events. No events: it cannot be read."""

    key: Key
    lines: list[bytes]
    events: list[Event]

    def grown(self, one: Event, line: bytes | None = None) -> Chain:
        line = chain.line(one) if line is None else line
        return Chain(self.key, [*self.lines, line], [*self.events, json.loads(line)])


@dataclass
class Merged:
    """``steps``: every event to publish, as the record up to it. ``places``: {first hash of a record: its key now}."""

    steps: list[Chain] = field(default_factory=list)
    places: dict[str, Key] = field(default_factory=dict)
    renumbered: dict[Key, Key] = field(default_factory=dict)
    conflicts: list[tuple[Key, str]] = field(default_factory=list)


def chain_of(key: Key, data: bytes) -> Chain:
    """The record that a file holds, up to its last whole line. Raises RecordDamaged, too, for a copy of another record."""
    data = data[: data.rfind(b"\n") + 1]
    events = chain.read(data, "/".join(key))
    says = events[0]["payload"].get("feature"), events[0]["payload"].get("id")
    if says != key:
        raise RecordDamaged(f"The record {'/'.join(key)} says it is {says[0]}/{says[1]}: it was copied from elsewhere.", "Remove the copy.")
    return Chain(key, [line + b"\n" for line in data.split(b"\n")[:-1]], events)


def merge(
    base: Callable[[Key], Chain | None], taken: dict[str, set[str]], near: Iterable[Chain], local: Iterable[Chain], who: dict[str, Any]
) -> Merged:
    """What to add to ``base`` so that nothing of ``local`` is lost.

    taken: the ids of each feature in base; near: chains of base among which a local record may stand under another id; who: notes the conflicts.
    """
    merged, done = Merged(), dict[Key, Chain]()
    taken = {feature: set(ids) for feature, ids in taken.items()}
    merged.places = {chain.origin(one.events[0]): one.key for one in near if one.events}

    def current(key: Key) -> Chain | None:
        return done.get(key) or base(key)

    for one in sorted(local, key=lambda found: (found.key[0], int(found.key[1]), len(found.lines))):
        first = chain.origin(one.events[0])
        ids = taken.setdefault(one.key[0], set())
        if first in merged.places:
            there = current(merged.places[first]) or Chain(one.key, [], [])
            grown = _continued(there, one, merged, who)
        else:
            grown = _added(one, ids, current, merged)
            merged.places[first] = grown.key
            ids.add(grown.key[1])
        if grown.key != one.key:
            merged.renumbered[one.key] = grown.key
        done[grown.key] = grown
    return merged


def _continued(there: Chain, one: Chain, merged: Merged, who: dict[str, Any]) -> Chain:
    """The record with those events of the other one that it does not hold."""
    known = _origins(there)
    for event, line in zip(one.events, one.lines):
        if chain.origin(event) in known:
            continue
        if event["previous"] == there.events[-1]["hash"]:
            there = there.grown(event, line)
        elif chain.allowed(there.events, event["kind"]):
            there = there.grown(chain.linked(there.events, {**event, "rebased": {"hash": chain.origin(event)}}))
        else:
            reason = _reason(there, event)
            there = there.grown(chain.event(there.events, "conflict", {"reason": reason, "event": event}, who))
            merged.conflicts.append((there.key, reason))
        merged.steps.append(there)
    return there


def _added(one: Chain, ids: set[str], current: Callable[[Key], Chain | None], merged: Merged) -> Chain:
    """A new record under its own id, or the next free one."""
    feature, identifier = one.key
    before = one.events[0]["payload"].get("previous_record")
    if identifier not in ids and _true(before, feature, ids, identifier, current):
        grown = Chain(one.key, [], [])
        for event, line in zip(one.events, one.lines):
            grown = grown.grown(event, line)
            merged.steps.append(grown)
        return grown
    if identifier in ids:
        identifier = f"{max(map(int, ids)) + 1:04d}"
    first = one.events[0]
    payload = {**first["payload"], "id": identifier, "previous_record": _previous(feature, ids, identifier, current)}
    mark = {"from": (first.get("renumbered") or {}).get("from", one.key[1]), "hash": chain.origin(first)}
    grown = Chain((feature, identifier), [], []).grown(chain.linked([], {**first, "payload": payload, "renumbered": mark}))
    merged.steps.append(grown)
    for event in one.events[1:]:
        grown = grown.grown(chain.linked(grown.events, {**event, "rebased": {"hash": chain.origin(event)}}))
        merged.steps.append(grown)
    return grown


def _true(before: Any, feature: str, ids: set[str], identifier: str, current: Callable[[Key], Chain | None]) -> bool:
    """Whether what a first event says about the record before it holds."""
    if before is None:
        return not any(int(one) < int(identifier) for one in ids)
    named = str(before.get("id")) if isinstance(before, dict) else ""
    there = current((feature, named)) if named in ids else None
    return there is not None and (not there.events or before.get("head") in (*heads(there.events), "unreadable"))


def heads(events: list[Event]) -> set[str]:
    """The hashes by which another record may name this chain: as they are, and as they were."""
    return {one["hash"] for one in events} | {chain.origin(one) for one in events}


def _previous(feature: str, ids: set[str], identifier: str, current: Callable[[Key], Chain | None]) -> dict[str, str] | None:
    lower = [one for one in ids if int(one) < int(identifier)]
    if not lower:
        return None
    newest = max(lower, key=int)
    there = current((feature, newest))
    return {"id": newest, "head": there.events[-1]["hash"] if there and there.events else "unreadable"}


def _origins(one: Chain) -> set[str]:
    """Of all events that a record holds, those inside conflict notes included."""
    found = {chain.origin(event) for event in one.events}
    for event in one.events:
        kept = event["payload"].get("event") if event["kind"] == "conflict" else None
        if isinstance(kept, dict):
            moved = kept.get("rebased")
            found.add(str((moved if isinstance(moved, dict) else kept).get("hash")))
    return found


def _reason(there: Chain, event: Event) -> str:
    decisive = next((one for one in reversed(there.events) if one["kind"] not in chain.NOTES), there.events[-1])
    return (
        f"{_who(decisive)} had published {decisive['kind']} ({decisive['time']}) before {event['kind']} by {_who(event)}"
        f" ({event['time']}) was published; a record that is {decisive['kind']} cannot become {event['kind']}"
    )


def _who(event: Event) -> str:
    return f"{event['actor'].get('user')}@{event['actor'].get('host')}"
