# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Proposes to undo an operation that was carried out: a plan of its own, recorded, guarded and approved like any other.

The patch is the inverse that was approved with the operation, on the object as it is now. Its tests decide whether that still fits:
what somebody changed since is named, and nothing is proposed. The plan's inverse does the operation again.
"""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects, workload
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change as changes
from ansible_collections.aiops.k8s.plugins.module_utils.operation import actions, checks, clock, gate, patch, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import SHORT
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import last, undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Record

RUNBOOK = "docs/runbooks/roll-back.md"
# state -> why nothing can be rolled back, and what to do instead
_NOTHING = {
    "proposed": ("nothing was changed yet", "Reject it with the playbook aiops.k8s.approve."),
    "approved": ("nothing was changed yet", "Let the approval expire; it is carried out by nobody but the playbook aiops.k8s.execute."),
    "rejected": ("nothing was changed", ""),
    "expired": ("nothing was changed", ""),
    "executing": ("how far it came is not known yet", "Run the playbook aiops.k8s.resume first."),
    "rolling_back": ("it is being undone already", "Run the playbook aiops.k8s.resume."),
    "rolled_back": ("it was undone already", ""),
}


def propose(api: Api, executor: Api, record: Record, reason: str) -> dict[str, Any]:
    """A result like that of a workflow module: {cluster, user, proposals[one], questions[], findings, coverage, pods_seen, timings}.

    Raises GateRefused when there is nothing to undo, or when the objects have moved on; BadInput without a reason.
    """
    started = time.monotonic()
    if not reason.strip():
        raise BadInput("reason is empty.", "Say why it is rolled back: -e \"reason='...'\"")
    done = _carried_out(record)
    cluster = objects.cluster_identity(api)
    gate.require_cluster(done, cluster)
    undone = [_prepared(executor, record, change) for change in reversed(done["changes"]) if change["action"] in _INVERSE]
    if not undone:
        raise GateRefused(
            f"Record {record.identifier} only deleted {plans.named(done['changes'][0]['object'])}, which its owner created again: there is"
            " nothing to undo."
        )
    finding = _finding(record, done, reason)
    plan = _plan(api, record, done, undone, cluster)
    seconds = round(time.monotonic() - started, 3)
    proposal = {
        "workflow": gate.UNDO,
        "title": f"Undo of record {record.identifier}: {record.proposal['title']}",
        "target": done["target"],
        "findings": [finding],
        "evidence": [_evidence(record)],
        "remedies": [{"id": "R1", "name": "inverse", "summary": plan["summary"]}],
        "plan": plan,
        "no_plan_reason": "",
        "not_chosen": [],
    }
    return {
        "cluster": {**cluster, "version": record.proposal["cluster"].get("version", "")},
        "user": objects.who_am_i(api)["user"],
        "proposals": [proposal],
        "questions": [],
        "findings": [finding],
        "coverage": {"read": [change["object"]["kind"] for change in undone], "not_evaluated": []},
        "pods_seen": 0,
        "timings": {"propose": seconds},
    }


def _carried_out(record: Record) -> plans.Plan:
    """The plan of a record whose changes are in the cluster. Raises GateRefused."""
    plan = gate.require_plan(record)
    why, fix = _NOTHING.get(record.state, ("", ""))
    if record.state == "failed" and undo_needed(record.events):
        why, fix = "its approved inverse was not applied yet", "Run the playbook aiops.k8s.resume, which does that."
    failed = last(record.events, "failed")
    if record.state == "failed" and failed and not failed["payload"].get("applied"):
        why = "it failed before it changed anything"
    if not why and last(record.events, "executed") is None and record.state != "failed":
        why = "nothing was changed"
    if why:
        raise GateRefused(f"Record {record.identifier} is {record.state}: {why}.", fix)
    return plan


def _prepared(executor: Api, record: Record, change: dict[str, Any]) -> dict[str, Any]:
    """The change that undoes another one, on the object as it is now, rehearsed by the API server."""
    name = plans.named(change["object"])
    live = objects.read(executor, change["object"])
    if live is None or live["metadata"]["uid"] != _uid(record, change):
        raise GateRefused(f"Record {record.identifier} cannot be rolled back: {name} was deleted since.")
    moved, undo = _INVERSE[change["action"]](live, change)
    if moved:
        raise GateRefused(
            f"Record {record.identifier} cannot be rolled back: {name} was changed since: {'; '.join(moved)}.",
            "Undo the later change first, or change the object by hand.",
        )
    prepared, missing = actions.prepare(executor, undo, live)
    if missing:
        raise GateRefused(
            f"Record {record.identifier} cannot be rolled back: {missing}.", "Give the executor's credentials (option executor)."
        )
    return prepared


def _inverse_of_patch(live: dict[str, Any], change: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """(what stands against it, the change that undoes this one)."""
    moved = patch.holds(live, change["inverse"])
    return moved, {} if moved else plans.patch_change(change["id"], live, patch.apply(live, change["inverse"]))


def _inverse_of_create(live: dict[str, Any], change: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    moved = patch.unlike(change["outcome"], patch.creation(live), "spec")
    back = [line for one in change.get("restore", []) for line in one["patch"] if line["op"] != "test"]
    then = "".join(f"; {one['path'].strip('/').replace('/', '.')} goes back to {patch.short(one['value'])}" for one in back)
    deleted = plans.delete_change(change["id"], live, f"deleted{then}")
    return moved, {**deleted, "manifest": change["manifest"], "restore": change.get("restore", [])}


_INVERSE = {"patch": _inverse_of_patch, "resize": _inverse_of_patch, "create": _inverse_of_create}  # a resize by a rollout


def _uid(record: Record, change: dict[str, Any]) -> str:
    """The uid of the object that a change left behind: of one that it created, as the record of its execution says."""
    executed = last(record.events, "executed") or {"payload": {"changes": []}}
    made = {one["id"]: one.get("uid", "") for one in executed["payload"]["changes"]}
    return str(change["object"]["uid"] or made.get(change["id"], ""))


def _plan(api: Api, record: Record, done: plans.Plan, undone: list[dict[str, Any]], cluster: dict[str, str]) -> plans.Plan:
    times = {check["type"]: check for check in done["checks"]}
    created = [change for change in done["changes"] if change["action"] == "create" and change.get("restore")]
    subject = created[0]["restore"][0]["object"] if created else times["available"]["object"]  # what was made is gone afterwards
    ready = sum(1 for pod in workload.observe(api, subject)["pods"] if pod["ready"])
    proof = checks.standard(
        subject,
        [],
        within=times["available"]["within_seconds"],
        hold=times["restarts_stable"]["hold_seconds"],
        watch=times["watch"]["hold_seconds"],
    )
    draft = plans.build(
        summary=f"undo record {record.identifier} ({done['summary']})",
        workflow=gate.UNDO,
        target=done["target"],
        cluster=cluster,
        changes=undone,
        checks=proof,
        undo=f"what record {record.identifier} did is done again",
        risk=plans.risk_of(undone, ready),
        created=clock.now(),
    )
    note = "if the pods are not available afterwards, this is itself undone"
    return {**draft, "undoes": {"record": changes.mark(record), "digest": record.digest}, "notes": [note]}


def _finding(record: Record, done: plans.Plan, reason: str) -> dict[str, Any]:
    return {
        "code": "RollbackRequested",
        "severity": "info",
        "object": done["target"],
        "container": "",
        "title": f"record {record.identifier} is to be undone",
        "root_cause": redact(reason)[0],
        "evidence": ["E1"],
        "suggested_fix": f"Apply the inverse of record {record.identifier}: {done['undo']}.",
        "expected_outcome": "The object is as it was before that record, and its pods are available.",
        "runbook": RUNBOOK,
        "pods": [],
    }


def _evidence(record: Record) -> dict[str, str]:
    executed = last(record.events, "executed") or record.events[-1]
    excerpt = f"{record.state}; digest {record.digest[:SHORT]}; carried out at {executed['time']}; head {record.events[-1]['hash'][:SHORT]}"
    return {"id": "E1", "source": f"record {changes.mark(record)}", "time": executed["time"], "excerpt": excerpt}
