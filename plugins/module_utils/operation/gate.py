# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The gate: whether a decision counts, and whether an approved plan may be carried out now. Nothing turns it off."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import SHORT, digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import actor, last
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

_ANSWER = re.compile(r"^\s*(approve)\s+([0-9a-f]{8,64})\s*$|^\s*(reject)\s+(\S.*?)\s*$", re.IGNORECASE)


def parse_answer(answer: str) -> tuple[str, str] | None:
    """("approve", digest) or ("reject", reason) as typed at the prompt; None for anything else."""
    match = _ANSWER.match(answer or "")
    if not match:
        return None
    approve, prefix, _reject, reason = match.groups()
    return ("approve", prefix.lower()) if approve else ("reject", reason)


def decide(
    store: Directory, record: Record, decision: str, prefix: str, reason: str, way: str, cluster_user: dict[str, Any] | None, now: datetime
) -> dict[str, Any]:
    """Write the approval or rejection. Returns the event.

    prefix: at least 8 hexadecimal digits of the digest; way: terminal or playbook; cluster_user: who the API server says
    the approver is, None where no cluster answered. Raises GateRefused (nothing is approved) or BadInput (option at fault).
    """
    if decision not in ("approve", "reject"):
        raise BadInput(f"decision is {decision!r}.", "It must be approve or reject.")
    plan = require_plan(record)
    if record.state != "proposed":
        raise GateRefused(f"Record {record.identifier} is {record.state}; only a proposed one can be decided.")
    if clock.stamp(now) > plan["expires"]:
        store.append(record, "expired", {"reason": f"not decided by {plan['expires']}"})
        raise GateRefused(f"Record {record.identifier} expired at {plan['expires']}.", "Run the workflow again for a fresh proposal.")
    _require_digest(record, prefix)
    who = {**actor(), **({"cluster_user": cluster_user} if cluster_user else {})}
    if decision == "reject":
        if not reason.strip():
            raise BadInput("reason is empty.", "Say why the change is rejected: -e \"reason='...'\"")
        return store.append(record, "rejected", {"digest": record.digest, "reason": reason, "by": who, "way": way})
    refusal = _approver_refused(plan["policy"], record.events[0]["actor"], who)
    if refusal:
        raise GateRefused(f"Record {record.identifier} is not approved: {refusal}.")
    moment = clock.stamp(now)
    expires = min(clock.later(moment, minutes=plan["policy"]["approval_minutes"]), plan["expires"])
    payload = {"digest": record.digest, "reason": reason, "by": who, "way": way, "expires": expires}
    return store.append(record, "approved", payload, moment)


def require_plan(record: Record) -> dict[str, Any]:
    """The plan of a record when it is there and is the one its digest names. Raises GateRefused."""
    if record.plan is None:
        raise GateRefused(f"Record {record.identifier} proposes no change: {record.proposal.get('no_plan_reason', 'advice only')}.")
    plan = plans.validate(record.plan)
    found = digest(plan)
    if found != record.digest:
        raise GateRefused(
            f"The plan of record {record.identifier} has the digest {found[:SHORT]}, but {record.digest[:SHORT]} was proposed: it was"
            " edited."
        )
    return plan


def require_approval(record: Record, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """(plan, approval payload) when this plan may be carried out now. Raises GateRefused saying what is missing."""
    plan = require_plan(record)
    approved = last(record.events, "approved")
    if approved is None and record.state != "proposed":
        raise GateRefused(f"Record {record.identifier} is {record.state}; it was never approved.", "Run the workflow again for a fresh proposal.")
    if approved is None:
        raise GateRefused(
            f"Record {record.identifier} is {record.state} and was never approved.",
            f"Approve it first: ansible-playbook aiops.k8s.approve -e record={record.identifier} -e decision=approve -e"
            f" digest={record.digest[:SHORT]}",
        )
    if record.state not in ("approved", "executing"):
        raise GateRefused(f"Record {record.identifier} is {record.state}: its approval was used, and counts once.")
    approval, moment = approved["payload"], clock.stamp(now)
    if approval["digest"] != record.digest:
        raise GateRefused(
            f"The approval in record {record.identifier} is for the digest {approval['digest'][:SHORT]}, not for {record.digest[:SHORT]}."
        )
    refusal = _approver_refused(plan["policy"], record.events[0]["actor"], approval["by"])
    if refusal:
        raise GateRefused(f"The approval in record {record.identifier} does not count: {refusal}.")
    if moment < approved["time"]:
        raise GateRefused(
            f"This machine's clock says {moment}, which is before the approval at {approved['time']}.", "Set the clock right."
        )
    if moment > approval["expires"]:
        raise GateRefused(
            f"The approval in record {record.identifier} expired at {approval['expires']}.", "Run the workflow again for a fresh proposal."
        )
    return plan, approval


def require_cluster(plan: dict[str, Any], found: dict[str, str]) -> None:
    """Raises GateRefused when this is not the cluster that the plan was made for."""
    if found["uid"] != plan["cluster"]["uid"]:
        raise GateRefused(
            f"The plan is for the cluster {plan['cluster']['uid']} ({plan['cluster']['server']}), but {found['server']} is the cluster"
            f" {found['uid']}.",
            "Give the kubeconfig or context of the cluster that was diagnosed.",
        )


def _require_digest(record: Record, prefix: str) -> None:
    prefix = str(prefix or "").strip().lower()
    if len(prefix) < SHORT or any(letter not in "0123456789abcdef" for letter in prefix):
        raise BadInput(
            f"digest is {prefix!r}.", f"Give at least the first {SHORT} hexadecimal digits of the digest that was shown with the plan."
        )
    if not record.digest.startswith(prefix):
        raise GateRefused(
            f"The digest {prefix[:16]} is not the one of record {record.identifier}.",
            "Read the plan again and give the digest shown with it.",
        )


def _approver_refused(policy: dict[str, Any], requester: dict[str, Any], approver: dict[str, Any]) -> str:
    if policy["approvers"] and approver.get("user") not in policy["approvers"]:
        return f"{approver.get('user')} is not among the approvers of this risk class ({', '.join(policy['approvers'])})"
    same = (requester.get("uid"), requester.get("host")) == (approver.get("uid"), approver.get("host")) or requester.get(
        "user"
    ) == approver.get("user")
    if policy["four_eyes"] and same:
        return f"this risk class needs four eyes, and {approver.get('user')} also made the proposal"
    return ""
