# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Carries out an approved plan, or its inverse: once, guarded, recorded before and after.

What was done is read from the cluster, not remembered: a run that died between the event and the request, or between the
request and the next event, is picked up by asking each object whether it carries this record's mark.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import actions, clock, gate, patch
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import last
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact, redact_object
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

# (connection, change with the marks of its record in ``manifest`` or ``desired``) -> {outcome, reason, differences...}: engine/cage.py
Hands = Callable[[Api, dict[str, Any]], Mapping[str, Any]]
_CAUSE = 250  # characters of the annotation kubernetes.io/change-cause
_REPORTED = (
    "outcome",
    "reason",
    "engine",
    "engine_version",
    "provider",
    "model",
    "identity",
    "commands",
    "duration_seconds",
    "removed",
    "token_dead",
)


def execute(
    api: Api, store: Directory, record: Record, now: datetime, governed_by: Rules, check_mode: bool = False, hands: Hands | None = None
) -> dict[str, Any]:
    """Apply an approved plan. Returns {changed, state, changes[]}.

    hands: somebody else who creates and patches in our place; what they did is compared with the plan, and undone where it differs.
    Raises GateRefused when it may not be applied (nothing was changed), or the API's own error; a run that ends in between
    is continued by calling this again. A change of several steps that fails between two of them is undone before that.
    """
    was = record.state
    try:
        return _execute(api, store, record, now, governed_by, check_mode, hands)
    except (GateRefused, ApiError) as error:
        failed = record.state == "failed" != was
        if not failed or not any(actions.half_made(api, change, _mark(record)) for change in (record.plan or {}).get("changes", [])):
            raise
        invert(api, store, record, "it was left half made")
        raise GateRefused(error.message, "It was undone.") from error


def _execute(
    api: Api, store: Directory, record: Record, now: datetime, governed_by: Rules, check_mode: bool, hands: Hands | None
) -> dict[str, Any]:
    if record.state not in ("approved", "executing"):
        gate.require_approval(record, now, governed_by)
    plan = gate.require_plan(record)
    gate.require_cluster(plan, objects.cluster_identity(api))
    gate.require_clock(api.clock_skew)
    begun, made_by = record.state == "executing", _mark(record)
    progress = {change["id"]: actions.progress(api, change, made_by, begun) for change in plan["changes"]}
    applied = bool({actions.APPLIED, actions.BEGUN} & {*progress.values()})  # at least a part
    if record.state == "executing" and all(one == "applied" for one in progress.values()):
        if check_mode:
            return {"changed": False, "state": record.state, "changes": plan["changes"]}
        return _finish(api, store, record, plan, recovered=True)
    over = _expired(record, plan, now, governed_by)
    if over and record.state == "approved" and not check_mode:
        store.append(record, "expired", {"reason": f"approved, but not carried out by {over}"})
        raise GateRefused(f"The approval in record {record.identifier} expired at {over}.", "Run the workflow again for a fresh proposal.")
    if over and record.state == "executing":
        raise _refused(store, record, f"it was begun, and its approval expired at {over} before it was finished", check_mode, applied)
    _plan, approval = gate.require_approval(record, now, governed_by)
    moved = {identifier: one for identifier, one in progress.items() if one not in (actions.PENDING, actions.BEGUN, actions.APPLIED)}
    if record.state == "approved" and applied:
        moved = {
            identifier: "the object already carries this record's mark, though the record says that nothing was applied"
            for identifier in progress
        }
    if moved:
        reasons = "; ".join(f"{identifier}: {reason}" for identifier, reason in moved.items())
        raise _refused(store, record, reasons, check_mode, applied)
    for change in plan["changes"]:
        if progress[change["id"]] == "pending":
            _rehearse(api, store, record, change, check_mode, applied)
    if check_mode:
        return {"changed": True, "state": record.state, "changes": plan["changes"]}
    if record.state == "approved":
        store.append(record, "executing", {"digest": record.digest, "approved_by": approval["by"], "executor": objects.who_am_i(api)})
    reports: list[dict[str, Any]] = []
    for change in plan["changes"]:
        if progress[change["id"]] in (actions.PENDING, actions.BEGUN):
            reported = _carry_out(api, store, record, change, already="applied" in progress.values(), hands=hands)
            reports += [{"id": change["id"], **reported}] if reported else []
            progress[change["id"]] = "applied"
    return _finish(api, store, record, plan, recovered=False, reports=reports)


def invert(api: Api, store: Directory, record: Record, reason: str, found: Mapping[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    """Apply the inverse of what was applied. Allowed after a failed check only: the inverse was approved with the plan.

    found: {id of a change: the same as it was really made}, where other hands made something else of it.
    Returns {changed, state, changes[]}. Raises GateRefused when the record does not allow it or the objects moved on.
    """
    plan = gate.require_plan(record)
    if record.state not in ("failed", "rolling_back"):
        raise GateRefused(f"Record {record.identifier} is {record.state}; only a change whose check failed is undone by itself.")
    gate.require_cluster(plan, objects.cluster_identity(api))
    if record.state == "failed":
        store.append(
            record, "rolling_back", {"digest": record.digest, "reason": reason, "authority": "a check of the approved plan failed"}
        )
    undone = []
    for change in reversed(plan["changes"]):
        try:
            made = (found or {}).get(change["id"], change)
            undone.append({"id": change["id"], "result": actions.ACTIONS[change["action"]].undo(api, made, _mark(record, undone=True))})
        except (GateRefused, ApiError) as error:
            if isinstance(error, ApiError) and error.for_now:
                raise  # the server does not say whether it was done, and may do it later: resume tries again
            if isinstance(error, GateRefused) and not last(record.events, "executed") and actions.unmade(api, change, _mark(record)):
                undone.append({"id": change["id"], "result": "was never made"})  # and somebody changed its object since
                continue
            store.append(record, "failed", {"phase": "rollback", "reason": redact(str(error))[0], "applied": True})
            raise
    store.append(record, "rolled_back", {"changes": undone})
    return {"changed": any(one["result"] == "undone" for one in undone), "state": record.state, "changes": undone}


def mark(record: Record) -> str:
    """What the annotation ``aiops.k8s/record`` says: ``FEATURE/ID``."""
    return f"{record.proposal['feature']}/{record.identifier}"


def _mark(record: Record, undone: bool = False) -> actions.Mark:
    name = mark(record)
    cause = f"aiops.k8s {name} undone" if undone else f"aiops.k8s {name}: {(record.plan or {}).get('summary', '')}"
    return actions.Mark(name, record.digest, cause[:_CAUSE])


def _expired(record: Record, plan: dict[str, Any], now: datetime, governed_by: Rules) -> str:
    """When the approval of a record expired; empty while it is in force, or where there is none that counts."""
    approved = last(record.events, "approved")
    if approved is None or gate.approval_fault(record, plan, approved, governed_by):
        return ""
    expires = gate.expiry(plan, approved, governed_by)
    return expires if clock.stamp(now) > expires else ""


def _rehearse(api: Api, store: Directory, record: Record, change: dict[str, Any], check_mode: bool, applied: bool) -> None:
    live = objects.read(api, change["object"])
    try:
        prepared, missing = actions.prepare(api, change, live or {})
    except ApiError as error:
        reason = f"the dry run of {change['id']} failed: {error.text or error.reason}"
        raise _refused(store, record, reason, check_mode, applied, for_now=error.for_now) from error
    if missing:
        raise GateRefused(
            f"Record {record.identifier} cannot be carried out: {missing}.", "Give the executor's credentials (option executor)."
        )
    if prepared["outcome"] != change["outcome"]:
        raise _refused(
            store,
            record,
            f"the dry run of {change['id']} gives another outcome than the approved one: {_difference(change, prepared)}",
            check_mode,
            applied,
        )


def _carry_out(
    api: Api, store: Directory, record: Record, change: dict[str, Any], already: bool, hands: Hands | None = None
) -> dict[str, Any]:
    """Make one change; what other hands report of it, {} where there were none."""
    try:
        if hands and change["action"] in ("create", "patch"):
            return _by_hands(api, store, record, change, already, hands)
        actions.ACTIONS[change["action"]].carry_out(api, change, _mark(record))
    except (ApiError, GateRefused) as error:
        if record.state != "executing" or (isinstance(error, ApiError) and error.for_now):
            raise  # it is said already; or the server does not say whether it was done: resume asks the object
        reached = actions.progress(api, change, _mark(record), begun=True)
        if reached == actions.APPLIED:
            return {}  # another run of this record did it meanwhile
        half = already or reached == actions.BEGUN
        store.append(record, "failed", {"phase": "apply", "reason": redact(str(error))[0], "applied": half})
        raise
    return {}


def _by_hands(api: Api, store: Directory, record: Record, change: dict[str, Any], already: bool, hands: Hands) -> dict[str, Any]:
    live, made_by = objects.read(api, change["object"]) or {}, _mark(record)
    if change["action"] == "create":
        given = {**change, "manifest": actions.marked(change["manifest"], made_by)}
    else:
        operations = [*change["patch"], *patch.marks(live, made_by.record, made_by.digest, made_by.cause)]
        given = {**change, "desired": patch.apply(live, operations)}
    report = redact_object(dict(hands(api, given)))
    kept = {name: report[name] for name in _REPORTED if name in report}
    if report["outcome"] == "applied":
        return kept
    different = report["outcome"] == "different"
    told = "; ".join(
        f"{one['path']}: {patch.short(one['found'])} instead of {patch.short(one['approved'])}" for one in report.get("differences", [])
    )
    reason = (
        f"{report.get('engine', 'the engine')} did not make the approved change ({report['outcome']}):"
        f" {report['reason']}{f'; {told}' if told else ''}"
    )
    store.append(record, "failed", {"phase": "apply", "reason": redact(reason)[0], "applied": already or different, "hands": kept})
    if different:
        invert(api, store, record, "the outcome differs from the plan", {change["id"]: _as_made(api, change, live)})
    fix = (
        "It was undone."
        if different
        else "Nothing was changed. Run the workflow again, and let Ansible carry it out (executor_engine=none)."
    )
    raise GateRefused(f"Record {record.identifier} was not carried out: {redact(reason)[0]}.", fix)


def _as_made(api: Api, change: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """A change as it turned out, so that its inverse fits what is there."""
    now = objects.read(api, change["object"])
    if now is None:
        return change
    return {**change, "outcome": patch.creation(now)} if change["action"] == "create" else {**change, "inverse": patch.inverse(before, now)}


def _finish(
    api: Api, store: Directory, record: Record, plan: dict[str, Any], recovered: bool, reports: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    done = []
    for change in plan["changes"]:
        live = objects.read(api, change["object"]) or {}
        metadata = live.get("metadata", {})
        created = {"uid": metadata.get("uid", "")} if change["action"] == "create" else {}
        done.append({"id": change["id"], "generation": metadata.get("generation"), **created})
    made = {"changes": done, "recovered": recovered, "applied": clock.stamp(clock.now())}
    store.append(record, "executed", {**made, **({"hands": reports} if reports else {})})
    return {"changed": not recovered, "state": record.state, "changes": plan["changes"]}


def _refused(store: Directory, record: Record, reason: str, check_mode: bool, applied: bool, for_now: bool = False) -> AiopsError:
    """The error to raise. A record that was approved stays so; one that was begun has failed, unless trying again may help."""
    begun, reason = record.state == "executing", redact(reason)[0]
    if not check_mode and begun and not for_now:
        store.append(record, "failed", {"phase": "apply", "reason": reason, "applied": applied})
    elif not check_mode:
        store.append(record, "refused", {"reason": reason})
    fix = "Nothing was changed. Run the workflow again for a proposal that fits the object as it is now."
    if begun and for_now:
        fix = "Run the playbook aiops.k8s.resume to try again."
    elif begun and applied:
        fix = "Run the playbook aiops.k8s.resume to undo the part that was applied."
    return GateRefused(f"Record {record.identifier} was not carried out: {reason}.", fix)


def _difference(approved: dict[str, Any], found: dict[str, Any]) -> str:
    lines = [f"{one['path']}: {patch.short(one['after'])}" for one in found["outcome"] if one not in approved["outcome"]]
    lines += [f"{one['path']} is missing" for one in approved["outcome"] if one not in found["outcome"]]
    return "; ".join(lines)
