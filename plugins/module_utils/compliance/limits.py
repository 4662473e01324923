# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Deadlines of operations, and which of two policies is laxer: pure functions over events, plans and policies."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.listing import overtaken_in_time
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import PROOFS, policy
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event, last, state, undo_needed

SKEW = 120.0  # seconds by which the clocks of two machines may differ; the gate allows no more
UNFINISHED_SECONDS = 3600.0  # an operation that was begun should have got further after that
LEFT = {
    "approved": "its approval ended before it was carried out",
    "executing": "whether the change was made is not known",
    "executed": "whether the change works is not proven",
    "validated": "its watch is over and nobody has looked",
    "rolling_back": "whether the change is undone is not known",
    "failed": "the change is not undone",
}


def overdue_since(events: list[Event], now: str) -> str:
    """Since when a record is in a state that it should have left by now; "" when it need not have."""
    found = state(events)
    event = last(events, found)
    if event is None or found not in LEFT or (found == "failed" and not undo_needed(events)):
        return ""
    payload = event["payload"]
    due = (
        str(payload["expires"])
        if found == "approved"
        else clock.later(str(payload.get("watch_until") or event["time"]), seconds=UNFINISHED_SECONDS)
    )
    return str(event["time"]) if now > due else ""


def never_decided(events: list[Event], plan: Mapping[str, Any], now: str) -> bool:
    """Whether a proposal's time ran out without a decision."""
    kinds = {one["kind"] for one in events}
    if kinds & {"approved", "rejected"} or overtaken_in_time(events, plan["policy"]["sla_minutes"]):
        return False
    return "expired" in kinds or (state(events) == "proposed" and now > str(plan["expires"]))


def laxer(stored: Mapping[str, Any], file: Mapping[str, Any], risk: str) -> list[str]:
    """In which settings a stored policy asks for less than another one, in words. Raises BadInput for a policy that is none."""
    complete = policy({risk: dict(stored)})[risk]
    return [
        f"{name} is {_said(complete[name])}, not {_said(file[name])}" for name, less in _LESS.items() if less(complete[name], file[name])
    ]


def _longer(stored: Any, file: Any) -> bool:
    return bool(stored > file)


_LESS: dict[str, Callable[[Any, Any], bool]] = {
    "sla_minutes": _longer,
    "plan_minutes": _longer,
    "approval_minutes": _longer,
    "four_eyes": lambda stored, file: file and not stored,
    "proof": lambda stored, file: PROOFS.index(stored) < PROOFS.index(file),
    "approvers": lambda stored, file: bool(file) and (not stored or not set(stored) <= set(file)),
    "approver_groups": lambda stored, file: bool(file) and not set(stored) <= set(file),
    "freeze": lambda stored, file: any(window not in stored for window in file),
}


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(one.get("reason") or one) if isinstance(one, dict) else str(one) for one in value) or "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)
