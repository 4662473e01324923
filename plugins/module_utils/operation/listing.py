# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Records as a list: their state, what waits for whom, what is late, and which do not verify."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.errors import RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

Entry = dict[str, Any]
_EXPIRED = "expired"
_UNFINISHED = ("approved", "executing", "executed", "validated", "rolling_back")  # a decision was made, and something is left to do


def read(store: Directory, identifier: str = "", only: list[str] | None = None) -> dict[str, Any]:
    """{records[], events[] (of the one record asked for)}; ``only`` these ids, or all. Raises NotFound, RecordDamaged (of the one), StoreFailed."""
    if identifier:
        record = store.load(identifier)
        return {"records": [entry(store, record)], "events": record.events}
    return {"records": [_readable(store, one) for one in store.identifiers() if only is None or one in only]}


def entry(store: Directory, record: Record) -> Entry:
    """One record as a row."""
    plan, age = record.plan, clock.seconds_between(record.events[0]["time"], clock.stamp(clock.now()))
    late, remark = _lateness(record.state, plan, age)
    return {
        "id": record.identifier,
        "state": record.state,
        "title": record.proposal["title"],
        "risk": plan["risk"] if plan else "",
        "digest": record.digest,
        "age_seconds": age,
        "overdue": late,
        "expired": remark == _EXPIRED,
        "remark": remark,
        "phr": store.document(record),
        "path": record.path,
        "next": phr.next_command(record.events),
        "unfinished": record.state in _UNFINISHED or undo_needed(record.events),
    }


def _lateness(state: str, plan: dict[str, Any] | None, age: float) -> tuple[bool, str]:
    """(whether a decision is past its SLA, what to say about it)."""
    if state != "proposed" or plan is None:
        return False, ""
    due = plan["policy"]["sla_minutes"] * 60
    if clock.stamp(clock.now()) > plan["expires"]:
        return True, _EXPIRED
    return age > due, f"decision due {clock.span(age - due)} ago" if age > due else ""


def render(store: Directory, records: list[Entry], write: bool) -> list[str]:
    """Paths of the PHRs that differ from their record; they are written when ``write``."""
    differing = []
    for one in records:
        if one["state"] == "damaged":
            continue
        record = store.load(one["id"])
        try:
            with open(one["phr"], encoding="utf-8") as file:
                same = file.read() == phr.render(record.events)
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            differing.append(store.publish(record) if write else one["phr"])
    return differing


def _readable(store: Directory, identifier: str) -> Entry:
    try:
        return entry(store, store.load(identifier))
    except RecordDamaged as error:
        return {
            "id": identifier,
            "state": "damaged",
            "title": error.message,
            "risk": "",
            "digest": "",
            "age_seconds": 0.0,
            "overdue": False,
            "expired": False,
            "remark": "",
            "phr": "",
            "path": store.file(identifier),
            "next": "",
            "unfinished": False,
        }
