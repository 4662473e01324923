# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The gate: whether a decision counts, and whether an approved plan may be carried out now. Nothing turns it off."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, identity, plan as plans, policy as policies, signature
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import SHORT, digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import shown
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import last
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

DECISIONS = ("approve", "reject")
_ANSWER = re.compile(r"^\s*(approve)\s+([0-9a-f]{8,64})\s*$|^\s*(reject)\s+(\S.*?)\s*$", re.IGNORECASE)
_SKEW = 120.0  # seconds by which two clocks may differ
_AGAIN = "Run the workflow again for a fresh proposal."
UNDO = "rollback"  # the workflow whose plans undo what an earlier one did


def parse_answer(answer: str) -> tuple[str, str] | None:
    """("approve", digest) or ("reject", reason) as typed at the prompt; None for anything else."""
    match = _ANSWER.match(answer or "")
    if not match:
        return None
    approve, prefix, _reject, reason = match.groups()
    return ("approve", prefix.lower()) if approve else ("reject", reason)


def require_open(record: Record, decision: str, prefix: str, reason: str, now: datetime) -> dict[str, Any]:
    """The plan of a record on which this decision may be taken now. Raises BadInput or GateRefused; writes nothing."""
    if decision not in DECISIONS:
        raise BadInput(f"decision is {decision!r}.", "It must be approve or reject.")
    plan = require_plan(record)
    if record.state != "proposed":
        raise GateRefused(f"Record {record.identifier} is {record.state}; only a proposed one can be decided.")
    _require_digest(record, prefix)
    if decision == "reject" and not reason.strip():
        raise BadInput("reason is empty.", "Say why the change is rejected: -e \"reason='...'\"")
    if redact(reason)[1]:
        raise BadInput("reason seems to hold a secret.", "Say it without the value: it becomes part of the record.")
    if clock.seconds_between(clock.stamp(now), plan["created"]) > _SKEW:
        raise GateRefused(
            f"This machine's clock says {clock.stamp(now)}, which is before the proposal at {plan['created']}.", "Set the clock right."
        )
    return plan


def decide(
    store: Directory, record: Record, decision: str, prefix: str, reason: str, way: str, by: identity.Identity, now: datetime, governed_by: Rules
) -> dict[str, Any]:
    """Write the approval or rejection. Returns the event.

    prefix: at least 8 hexadecimal digits of the digest; way: terminal, playbook or file; by: who decides, as established.
    Raises GateRefused (nothing is approved) or BadInput (option at fault).
    """
    plan = require_open(record, decision, prefix, reason, now)
    moment = max(clock.stamp(now), plan["created"])  # clocks may differ by seconds
    if moment > plan["expires"]:
        store.append(record, "expired", {"reason": f"not decided by {plan['expires']}"})
        raise GateRefused(f"Record {record.identifier} expired at {plan['expires']}.", _AGAIN)
    payload = {"digest": record.digest, "reason": reason, "by": by, "way": way}
    decided = _require_signature(plan, payload, decision, governed_by, moment)
    if decision == "reject":
        return store.append(record, "rejected", payload)
    refusal = _not_allowed(governed_by, plan, by, now)
    if refusal:
        raise GateRefused(f"Record {record.identifier} is not approved: {refusal}.")
    return store.append(record, "approved", {**payload, "expires": approval_expires(governed_by, plan, decided)}, moment)


def approval_expires(governed_by: Rules, plan: Mapping[str, Any], decided: str) -> str:
    """Until when an approval given at that moment may be carried out, under every policy that counts."""
    return min(str(plan["expires"]), *(clock.later(decided, minutes=one["approval_minutes"]) for one in governed_by.of(plan)))


def require_plan(record: Record) -> dict[str, Any]:
    """The plan of a record when it is there, is the one its digest names, and what is shown beside it is what it was. Raises GateRefused."""
    if record.plan is None:
        raise GateRefused(f"Record {record.identifier} proposes no change: {record.proposal.get('no_plan_reason', 'advice only')}.")
    plan = plans.validate(record.plan)
    found = digest(plan)
    if found != record.digest:
        raise GateRefused(
            f"The plan of record {record.identifier} has the digest {found[:SHORT]}, but {record.digest[:SHORT]} was proposed: it was"
            " edited."
        )
    if plan["shown"] != shown(record.proposal):
        raise GateRefused(f"The findings, evidence or opinions of record {record.identifier} are not those that its plan names: they were edited.")
    if any(plan["requested_by"].get(key) != record.events[0]["actor"].get(key) for key in ("user", "uid", "host")):
        raise GateRefused(f"Record {record.identifier} was not written by whoever its plan says asked for it: it was edited.")
    return plan


def require_approval(record: Record, now: datetime, governed_by: Rules) -> tuple[dict[str, Any], dict[str, Any]]:
    """(plan, approval payload) when this plan may be carried out now. Raises GateRefused saying what is missing."""
    plan = require_plan(record)
    approved = last(record.events, "approved")
    if approved is None and record.state != "proposed":
        raise GateRefused(f"Record {record.identifier} is {record.state}; it was never approved.", _AGAIN)
    if approved is None:
        raise GateRefused(
            f"Record {record.identifier} is {record.state} and was never approved.",
            f"Approve it first: ansible-playbook aiops.k8s.approve -e record={record.identifier} -e decision=approve -e"
            f" digest={record.digest[:SHORT]}",
        )
    if record.state not in ("approved", "executing"):
        raise GateRefused(f"Record {record.identifier} is {record.state}: its approval was used, and counts once.")
    moment = clock.stamp(now)
    fault = approval_fault(record, plan, approved, governed_by, now if record.state == "approved" else None)  # what was begun is ended
    if fault:
        raise GateRefused(f"The approval in record {record.identifier} does not count: {fault}.")
    if moment < approved["time"]:
        raise GateRefused(
            f"This machine's clock says {moment}, which is before the approval at {approved['time']}.", "Set the clock right."
        )
    expires = expiry(plan, approved, governed_by)
    if moment > expires:
        raise GateRefused(f"The approval in record {record.identifier} expired at {expires}.", _AGAIN)
    return plan, approved["payload"]


def expiry(plan: Mapping[str, Any], approved: Mapping[str, Any], governed_by: Rules) -> str:
    """When an approval ends: as it says, and never later than the policies allow."""
    return min(str(approved["payload"]["expires"]), approval_expires(governed_by, plan, _decided_at(approved)))


def approval_fault(
    record: Record, plan: Mapping[str, Any], approved: Mapping[str, Any], governed_by: Rules, now: datetime | None = None
) -> str:
    """Why an approval event gives no right to this plan, whatever the time; "" when it does. With ``now``, freeze windows count too."""
    approval = approved["payload"]
    lacking = [key for key in ("digest", "by", "expires") if not approval.get(key)]
    if lacking:
        return f"it lacks {', '.join(lacking)}"
    if approval["digest"] != record.digest:
        return f"it is for the digest {approval['digest'][:SHORT]}, not for {record.digest[:SHORT]}"
    if not plan["created"] <= approved["time"] <= plan["expires"]:
        return f"it was given at {approved['time']}, outside the time of the proposal ({plan['created']} to {plan['expires']})"
    try:
        _require_signature(plan, approval, "approve", governed_by, approved["time"])
    except AiopsError as error:
        return error.message.rstrip(".")
    return _not_allowed(governed_by, plan, approval["by"], now)


def require_clock(skew: float | None) -> None:
    """Raises GateRefused when this machine and the API server do not agree about the time (``skew``: seconds, None when unknown)."""
    if skew is not None and abs(skew) > _SKEW:
        raise GateRefused(
            f"This machine's clock is {clock.span(abs(skew))} {'behind' if skew < 0 else 'ahead of'} the API server's, so no deadline can be judged.",
            "Set the clock right.",
        )


def require_cluster(plan: Mapping[str, Any], found: dict[str, str]) -> None:
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


def _not_allowed(governed_by: Rules, plan: Mapping[str, Any], by: Mapping[str, Any], now: datetime | None) -> str:
    """Why this person may not approve this plan (now); "" when they may. A freeze holds up changes, never their undoing."""
    for one in governed_by.of(plan):
        refusal = identity.refusal(one, plan["requested_by"], by) or (policies.frozen(one, now) if now and plan["workflow"] != UNDO else "")
        if refusal:
            return refusal
    return ""


def _require_signature(
    plan: Mapping[str, Any], payload: Mapping[str, Any], decision: str, governed_by: Rules, moment: str
) -> str:
    """When the decision was taken: as a valid signature says, else ``moment``. Raises GateRefused for a signature that does not hold."""
    signed = payload["by"].get("signature")
    if not signed:
        return moment
    found = signature.read(signed["statement"].encode(), plan, payload["digest"], "The signed statement")
    if found["decision"] != decision or found["reason"] != payload["reason"]:
        raise GateRefused(f"The signed statement is to {found['decision']}, with the reason {found['reason'][:80]!r}: another decision.")
    if clock.seconds_between(moment, found["time"]) > _SKEW or found["time"] < plan["created"] or found["time"] > plan["expires"]:
        raise GateRefused(f"The signed statement is of {found['time']}, which is not between the proposal and now.", "Set the clocks right.")
    signer = signature.verify(signed["statement"].encode(), signed["armored"], governed_by, clock.parse(found["time"]), signed["principal"])
    if signer["principal"] != signed["principal"]:
        raise GateRefused(f"The signature is by {signer['principal']}, not by {signed['principal']}.")
    return min(found["time"], moment)


def _decided_at(approved: Mapping[str, Any]) -> str:
    """When an approval was decided: its signer may have done so before it was handed in."""
    signed = approved["payload"]["by"].get("signature")
    return min(str(approved["time"]), signature.time_of(signed["statement"])) if signed else str(approved["time"])
