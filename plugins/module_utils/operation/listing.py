# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Records as a list: their state, what waits for whom and how long, what is late, what is left to do, and which do not verify.

An entry is a flat mapping with the same keys for every record; durations are seconds, times are stamps as in records ("" for none).
Its ``group`` says whose turn it is: waiting (a decision can still be made), unfinished (decided, and something is left to do),
ended, or damaged.
"""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, phr, times
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event, last, undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

Entry = dict[str, Any]
GROUPS = ("waiting", "unfinished", "damaged", "ended")  # in the order in which they are shown
_EXPIRED = "expired"
_FRONT_MATTER = 16384  # characters
_UNFINISHED = ("approved", "executing", "executed", "validated", "rolling_back")  # a decision was made, and something is left to do
_MEASURED = ("detect", "repair", "outage")
_DECISIONS = ("approved", "rejected")

# what the option ``state`` of the playbook records selects; a damaged record is never left out, since nobody knows what it would say
_FILTERS: dict[str, Callable[[Entry], bool]] = {
    "all": lambda one: True,
    "waiting": lambda one: bool(one["group"] == "waiting"),
    "overdue": lambda one: bool(one["group"] == "waiting" and one["overdue"]),
    "unfinished": lambda one: bool(one["group"] == "unfinished"),
    "ended": lambda one: bool(one["group"] == "ended"),
}
FILTERS = tuple(_FILTERS)


def read(
    store: Directory, identifier: str = "", only: list[str] | None = None, visit: Callable[[Record], None] = lambda record: None
) -> dict[str, Any]:
    """{records[], events[] (of the one record asked for)}; ``only`` these ids, or all. ``visit`` gets every record that verifies.

    Raises NotFound, RecordDamaged (of the one), StoreFailed.
    """
    now = clock.stamp(clock.now())
    if identifier:
        record = store.load(identifier)
        visit(record)
        return {"records": [entry(store, record, now)], "events": record.events}
    return {"records": [_readable(store, one, now, visit) for one in store.identifiers() if only is None or one in only]}


def refresh(store: Directory, record: Record) -> str:
    """Write a PHR that does not name the newest event of its record: a run died in between. Returns its path, "" when it was up to date."""
    try:
        with open(store.document(record), encoding="utf-8") as file:
            lags = f"head: {record.events[-1]['hash']}\n" not in file.read(_FRONT_MATTER)
    except (OSError, UnicodeDecodeError):
        lags = True
    return store.publish(record) if lags else ""


def select(records: list[Entry], wanted: str) -> list[Entry]:
    """Those of a state, and all damaged ones. Raises BadInput for a state that cannot be asked for."""
    if wanted not in _FILTERS:
        raise BadInput(f"state is {wanted!r}.", f"It must be one of {', '.join(FILTERS)}.")
    return [one for one in records if one["group"] == "damaged" or _FILTERS[wanted](one)]


def ordered(records: list[Entry]) -> list[Entry]:
    """What waits first, and of that what is due first; then what is unfinished, does not verify, has ended, each by its number."""
    return sorted(records, key=lambda one: (GROUPS.index(one["group"]), one["due"] if one["group"] == "waiting" else "", int(one["id"])))


def summary(records: list[Entry]) -> str:
    """``2 waiting (1 past its SLA), 1 unfinished, 14 ended``."""
    counted = {group: sum(one["group"] == group for one in records) for group in GROUPS}
    late = len(select_late(records))
    past = f" ({late} past {'its' if late == 1 else 'their'} SLA)" if late else ""
    parts = [f"{counted['waiting']} waiting{past}", f"{counted['unfinished']} unfinished", f"{counted['ended']} ended"]
    return ", ".join(parts + ([f"{counted['damaged']} damaged"] if counted["damaged"] else []))


def select_late(records: list[Entry]) -> list[Entry]:
    """Those that wait for a decision past its SLA."""
    return [one for one in records if _FILTERS["overdue"](one)]


def entry(store: Directory, record: Record, now: str = "") -> Entry:
    """One record as a row, as it is at this moment (a stamp; without it, at once)."""
    now = now or clock.stamp(clock.now())
    events, state, plan = record.events, record.state, record.plan
    age = clock.seconds_between(events[0]["time"], now)
    unfinished = state in _UNFINISHED or undo_needed(events)
    open_ = state == "proposed" and plan is not None
    expired = open_ and plan is not None and now > plan["expires"]
    group = "unfinished" if unfinished else "waiting" if open_ and not expired else "ended"
    timing = _timing(events, plan, age, open_, expired)
    measured = times.spans(times.stamps(events))
    return {
        "id": record.identifier,
        "state": state,
        "group": group,
        "title": record.proposal["title"],
        "risk": plan["risk"] if plan else "",
        "digest": record.digest,
        "age_seconds": age,
        "waiting_seconds": age if group == "waiting" else 0.0,
        **timing,
        **{f"{name}_seconds": measured.get(name) for name in _MEASURED},
        "expires": _expires(events, state, plan),
        "expired": expired,
        "remark": _EXPIRED if expired else _late(timing),
        "left": _left(events, state, now) if unfinished else "",
        "phr": store.document(record),
        "path": record.path,
        "next": phr.next_command(events),
        "unfinished": unfinished,
    }


def _timing(events: list[Event], plan: dict[str, Any] | None, age: float, open_: bool, expired: bool) -> Entry:
    """When a decision is or was due, and whether it came in time. An expired proposal was never decided, so it met no SLA."""
    decided = next((one for one in events if one["kind"] in _DECISIONS), None)
    after = clock.seconds_between(events[0]["time"], decided["time"]) if decided else None
    if plan is None:
        return {"sla_minutes": None, "due": "", "overdue": False, "overdue_seconds": 0.0, "decided_after_seconds": after, "sla_met": None}
    minutes = plan["policy"]["sla_minutes"]
    late = open_ and (expired or age > minutes * 60)
    never = late or (decided is None and not open_ and not overtaken_in_time(events, minutes))
    return {
        "sla_minutes": minutes,
        "due": clock.later(events[0]["time"], minutes=minutes),
        "overdue": late,
        "overdue_seconds": max(0.0, age - minutes * 60) if late else 0.0,
        "decided_after_seconds": after,
        "sla_met": after <= minutes * 60 if after is not None else False if never else None,
    }


def overtaken_in_time(events: list[Event], minutes: float) -> bool:
    """Whether a later proposal took the place of one before its decision was due: then none was missed."""
    over = last(events, "expired")
    if not over or not over["payload"].get("successor"):
        return False
    return clock.seconds_between(events[0]["time"], over["time"]) <= minutes * 60


def _expires(events: list[Event], state: str, plan: dict[str, Any] | None) -> str:
    """Until when it can be decided, or once approved, carried out; empty when neither is open."""
    if state == "approved":
        approved = last(events, "approved")
        return str(approved["payload"].get("expires", "")) if approved else ""
    return str(plan["expires"]) if state == "proposed" and plan else ""


def _late(timing: Entry) -> str:
    return f"decision due {clock.span(timing['overdue_seconds'])} ago" if timing["overdue"] else ""


def _left(events: list[Event], state: str, now: str) -> str:
    """What is left to do for a record that was decided."""
    if state == "approved":
        return _until("to be carried out within {}", "its approval ended {} ago", _expires(events, state, None), now)
    if state == "validated":
        validated = last(events, "validated")
        until = str(validated["payload"].get("watch_until", "")) if validated else ""
        return _until("under watch for another {}", "its watch ended {} ago", until, now)
    return {"executing": "being applied, or interrupted", "executed": "not proven yet", "rolling_back": "being undone, or interrupted"}.get(
        state, "to be undone"
    )


def _until(before: str, after: str, moment: str, now: str) -> str:
    if not moment:
        return ""
    seconds = clock.seconds_between(now, moment)
    return (before if seconds >= 0 else after).format(clock.span(abs(seconds)))


def render(store: Directory, records: list[Entry], write: bool) -> list[str]:
    """Paths of the PHRs that differ from their record; they are written when ``write``."""
    differing = []
    for one in records:
        if one["state"] == "damaged":
            continue
        record = store.load(one["id"])
        if not store.current(record):
            differing.append(store.publish(record) if write else one["phr"])
    return differing


def _readable(store: Directory, identifier: str, now: str, visit: Callable[[Record], None]) -> Entry:
    try:
        record = store.load(identifier)
        visit(record)
        return entry(store, record, now)
    except RecordDamaged as error:
        return {
            "id": identifier,
            "state": "damaged",
            "group": "damaged",
            "title": error.message,
            "risk": "",
            "digest": "",
            "age_seconds": 0.0,
            "waiting_seconds": 0.0,
            "sla_minutes": None,
            "due": "",
            "overdue": False,
            "overdue_seconds": 0.0,
            "decided_after_seconds": None,
            "sla_met": None,
            **{f"{name}_seconds": None for name in _MEASURED},
            "expires": "",
            "expired": False,
            "remark": "",
            "left": "",
            "phr": "",
            "path": store.file(identifier),
            "next": "",
            "unfinished": False,
        }
