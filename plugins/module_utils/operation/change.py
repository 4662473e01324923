# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Carries out an approved plan, or its inverse: once, guarded, recorded before and after.

What was done is read from the cluster, not remembered: a run that died between the event and the request, or between the
request and the next event, is picked up by asking each object whether it carries this record's mark.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, gate, patch
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import last
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

_RACES = 10  # times that a status update may come between our read and our patch before we give up


def prepare(api: Api, change: dict[str, Any], live: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """(change with the server's own outcome, reason why the executor may not do it or "").

    A server-side dry run needs the executor's rights; without them the locally computed outcome stays, marked so.
    """
    verb = change["action"]
    missing = objects.may(api, verb, change["object"])
    if missing:
        return change, missing
    if verb == "delete":
        objects.delete(api, change["object"], change["preconditions"], dry_run=True)
        return {**change, "dry_run": "server"}, ""
    result = objects.patch(api, change["object"], change["patch"], dry_run=True)
    result = {"apiVersion": live["apiVersion"], "kind": live["kind"], **result}
    return {**change, "dry_run": "server", "outcome": patch.outcome(live, result), "inverse": patch.inverse(live, result)}, ""


def execute(api: Api, store: Directory, record: Record, now: datetime, governed_by: Rules, check_mode: bool = False) -> dict[str, Any]:
    """Apply an approved plan. Returns {changed, state, changes[]}.

    Raises GateRefused when it may not be applied (nothing was changed), or the API's own error; a run that ends in between
    is continued by calling this again.
    """
    if record.state not in ("approved", "executing"):
        gate.require_approval(record, now, governed_by)
    plan = gate.require_plan(record)
    gate.require_cluster(plan, objects.cluster_identity(api))
    gate.require_clock(api.clock_skew)
    progress = {change["id"]: _progress(api, record, change) for change in plan["changes"]}
    applied = "applied" in progress.values()
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
    moved = {identifier: one for identifier, one in progress.items() if one not in ("pending", "applied")}
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
    for change in plan["changes"]:
        if progress[change["id"]] == "pending":
            _carry_out(api, store, record, change, already="applied" in progress.values())
            progress[change["id"]] = "applied"
    return _finish(api, store, record, plan, recovered=False)


def invert(api: Api, store: Directory, record: Record, reason: str) -> dict[str, Any]:
    """Apply the inverse of what was applied. Allowed after a failed check only: the inverse was approved with the plan.

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
            undone.append({"id": change["id"], "result": _undo(api, record, change)})
        except (GateRefused, ApiError) as error:
            if isinstance(error, ApiError) and error.for_now:
                raise  # the server does not say whether it was done, and may do it later: resume tries again
            store.append(record, "failed", {"phase": "rollback", "reason": redact(str(error))[0], "applied": True})
            raise
    store.append(record, "rolled_back", {"changes": undone})
    return {"changed": any(one["result"] == "undone" for one in undone), "state": record.state, "changes": undone}


def mark(record: Record) -> str:
    """What the annotation ``aiops.k8s/record`` says: ``FEATURE/ID``."""
    return f"{record.proposal['feature']}/{record.identifier}"


def _progress(api: Api, record: Record, change: dict[str, Any]) -> str:
    """``pending``, ``applied``, or the sentence that says why neither."""
    live = objects.read(api, change["object"])
    gone = live is None or live["metadata"]["uid"] != change["object"]["uid"]
    name = f"{change['object']['kind'].lower()}/{change['object']['name']}"
    if change["action"] == "delete" and record.state == "executing" and (gone or (live and "deletionTimestamp" in live["metadata"])):
        return "applied"
    if live is None:
        return f"{name} does not exist any more"
    if gone:
        return f"{name} was deleted and created again since it was diagnosed"
    if change["action"] == "delete":
        return "pending"
    if _marked(live, record):
        return "applied"
    moved = patch.holds(live, change["patch"])
    return f"{name} is not as it was: {'; '.join(moved)}" if moved else "pending"


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
        prepared, missing = prepare(api, change, live or {})
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


def _carry_out(api: Api, store: Directory, record: Record, change: dict[str, Any], already: bool) -> None:
    try:
        if change["action"] == "delete":
            objects.delete(api, change["object"], change["preconditions"], dry_run=False)
        else:
            _patch_marked(
                api, record, change, change["patch"], f"aiops.k8s {mark(record)}: {record.plan['summary'] if record.plan else ''}"
            )
    except (ApiError, GateRefused) as error:
        if isinstance(error, ApiError) and error.for_now:
            raise  # the server does not say whether it was done: resume asks the object
        if _progress(api, record, change) == "applied":
            return  # another run of this record did it meanwhile
        store.append(record, "failed", {"phase": "apply", "reason": redact(str(error))[0], "applied": already})
        raise


def _patch_marked(api: Api, record: Record, change: dict[str, Any], operations: list[dict[str, Any]], cause: str) -> None:
    refused: tuple[str, ApiError] | None = None
    for _attempt in range(_RACES):
        live = objects.read(api, change["object"])
        moved = patch.holds(live, operations) if live else ["the object does not exist any more"]
        if live is None or moved:
            raise GateRefused(f"{change['object']['kind'].lower()}/{change['object']['name']} is not as it was: {'; '.join(moved)}.")
        version = live["metadata"]["resourceVersion"]
        if refused and refused[0] == version:
            raise refused[1]  # nobody wrote to it meanwhile, so it is not a race
        try:
            objects.patch(api, change["object"], [*operations, *patch.marks(live, mark(record), record.digest, cause[:250])], dry_run=False)
            return
        except ApiError as error:
            if error.status not in (409, 422):
                raise
            refused = version, error
    raise GateRefused(
        f"{change['object']['kind'].lower()}/{change['object']['name']} was written to {_RACES} times while it was to be changed.",
        "Try again.",
    )


def _undo(api: Api, record: Record, change: dict[str, Any]) -> str:
    if change["action"] == "delete":
        return "nothing to undo: the owner has created the pod again"
    live = objects.read(api, change["object"])
    if live is None:
        raise GateRefused(f"{change['object']['name']} does not exist any more; nothing is left to undo.")
    if patch.holds(live, change["inverse"]) and not patch.holds(live, _without_generation(change["patch"])):
        return "already as before"
    if not _marked(live, record):
        other = patch.mark_of(live)[0]
        by = f"that of record {other}" if other else "none"
        raise GateRefused(f"{change['object']['name']} does not carry the mark of this record but {by}, so nothing of it is undone there.")
    _patch_marked(api, record, change, change["inverse"], f"aiops.k8s {mark(record)} undone")
    return "undone"


def _finish(api: Api, store: Directory, record: Record, plan: dict[str, Any], recovered: bool) -> dict[str, Any]:
    done = []
    for change in plan["changes"]:
        live = objects.read(api, change["object"]) or {}
        done.append({"id": change["id"], "generation": live.get("metadata", {}).get("generation")})
    store.append(record, "executed", {"changes": done, "recovered": recovered, "applied": clock.stamp(clock.now())})
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


def _marked(live: dict[str, Any], record: Record) -> bool:
    """Whether an object carries a change of this record. The digest counts: a record may be renumbered when it is published."""
    return patch.mark_of(live)[1] == record.digest


def _without_generation(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [operation for operation in operations if operation["path"] != "/metadata/generation"]


def _difference(approved: dict[str, Any], found: dict[str, Any]) -> str:
    lines = [f"{one['path']}: {patch.short(one['after'])}" for one in found["outcome"] if one not in approved["outcome"]]
    lines += [f"{one['path']} is missing" for one in approved["outcome"] if one not in found["outcome"]]
    return "; ".join(lines)
