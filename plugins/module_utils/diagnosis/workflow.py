# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The diagnose workflow up to its proposals: observe, analyse, derive the change, rehearse it. Read-only."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import saved, snapshot as snapshots
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import workload as workloads
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.analysis import analyse, failing_workloads
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import quantity
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.advice import commands
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import Bounds, Remedy
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.table import propose
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, View, wants_log, wants_tail
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks, drafting, history, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact, redact_object
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, EXECUTOR

Proposal = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob")  # what the option workload can name
SWEEPS = ("auto", "each", "summary")
_MOST_RECORDS = 100  # failing objects that get a record each, unless asked for
_MOST_SHOWN = 1000  # findings in one summary
_MOST_NEXT = 10
_PARALLEL = 8
_LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")

SPEC: dict[str, Any] = {
    **CONNECTION,
    **EXECUTOR,
    "namespace": {"type": "str"},
    "workload": {"type": "str"},
    "pod": {"type": "str"},
    "sweep": {"type": "str", "choices": list(SWEEPS), "default": "auto"},
    "history": {"type": "list", "elements": "dict", "default": []},
    "records_dir": {"type": "path"},
    "feature": {"type": "str"},
    "memory_limit_max": {"type": "str", "default": "8Gi"},
    "validate_seconds": {"type": "int", "default": 120},
    "hold_seconds": {"type": "int", "default": 30},
    "watch_seconds": {"type": "int", "default": 3600},
    "snapshot_file": {"type": "path"},
    "replay": {"type": "path"},
}
RULES: dict[str, Any] = {"required_by": {"workload": "namespace", "pod": "namespace"}, "mutually_exclusive": [("workload", "pod")]}


def diagnose(options: Mapping[str, Any], reader: Callable[[], Api], executor: Callable[[], Api]) -> dict[str, Any]:
    """The result of the module diagnose: {cluster, user, findings, proposals, coverage, timings}. Options as the module's."""
    _check(options)
    bounds = Bounds(quantity.option("memory_limit_max", options["memory_limit_max"], "8Gi"))
    started = time.monotonic()
    snapshot = (
        saved.load(options["replay"], snapshots.SCHEMA, ("pods", "replicasets"))
        if options["replay"]
        else snapshots.take(reader(), options["namespace"] or "", wants_log, wants_tail)
    )
    observed = time.monotonic()
    view, findings, evidence = analyse(snapshot, options["workload"] or "", options["pod"] or "")
    analysed = time.monotonic()
    groups = list(failing_workloads(findings))
    if groups and _summed_up(options["sweep"], len(groups)):
        proposals = [_summary(view, findings, groups, evidence, options)]
    else:
        rehearsal = None if options["replay"] or not groups else executor()
        with ThreadPoolExecutor(_PARALLEL) as pool:
            proposals = list(pool.map(lambda group: _proposal(view, group, evidence, bounds, options, rehearsal), groups))
    if options["snapshot_file"]:
        saved.save(options["snapshot_file"], redact_object(snapshot))
    return {
        "cluster": snapshot["cluster"],
        "user": snapshot["user"],
        "proposals": proposals,
        "questions": [_question(number, proposal) for number, proposal in enumerate(proposals)],
        "findings": [finding.document() for finding in findings],
        "coverage": snapshot["coverage"],
        "pods_seen": sum(1 for pod in snapshot["objects"]["pods"] if view.is_asked(pod)),
        "timings": {
            "observe": round(observed - started, 3),
            "analyse": round(analysed - observed, 3),
            "propose": round(time.monotonic() - analysed, 3),
        },
    }


def _summed_up(sweep: str, failing: int) -> bool:
    """Whether all findings go into one record instead of one for each failing object."""
    return sweep == "summary" or (sweep == "auto" and failing > _MOST_RECORDS)


def _proposal(
    view: View, findings: list[Finding], evidence: Evidence, bounds: Bounds, options: Mapping[str, Any], executor: Api | None
) -> Proposal:
    """One operation: the findings about one object, and the one change that is proposed for the first that has one."""
    used = {identifier for finding in findings for identifier in finding.evidence}
    candidates, reasons, plan, chosen = [], [], None, None
    for finding in findings:
        offered, why_not = propose(view, finding, bounds)
        reasons += why_not
        candidates += [(finding, remedy) for remedy in offered]
    mine = history.of_cluster(options["history"], view.snapshot["cluster"])
    for finding, remedy in candidates:
        plan, refusal = None, _failed_before(mine, view, findings[0].object, remedy)
        if not refusal:
            plan, refusal = _plan(view, finding, remedy, options, executor)
        if plan:
            chosen = remedy
            break
        reasons.append(refusal)
    subject = findings[0].object
    return {
        "workflow": "diagnose",
        "title": f"{findings[0].code} in {plans.named(subject)}",
        "target": subject,
        "findings": [finding.document() for finding in findings],
        "evidence": [fact for fact in evidence.facts if fact["id"] in used],
        "remedies": [
            {"id": f"R{number}", "name": remedy.name, "summary": remedy.summary} for number, (_finding, remedy) in enumerate(candidates, 1)
        ],
        "remedy": chosen.name if chosen else "",
        "basis": _basis(view, subject, chosen) if chosen else "",
        "plan": plan,
        "no_plan_reason": "" if plan else redact("; ".join(dict.fromkeys(reasons)))[0],
        "not_chosen": [] if not plan else [redact(reason)[0] for reason in dict.fromkeys(reasons)],
        "by_hand": list(dict.fromkeys(line for finding in findings for line in commands(finding))),
    }


def _failed_before(mine: history.History, view: View, target: Mapping[str, str], remedy: Remedy) -> str:
    """Why a remedy is not proposed again: an earlier operation made the same change on the same basis, and it failed."""
    return drafting.tried(mine, remedy.summary, target, remedy.changes, _basis(view, target, remedy))


def _basis(view: View, target: Mapping[str, str], remedy: Remedy) -> str:
    """A digest of what a change builds on: the workload's template, and what the remedy itself adds to that."""
    subject = remedy.subject or view.object(target) or {}
    return digest({"template": subject.get("spec", {}).get("template"), "remedy": remedy.basis})


def _summary(view: View, findings: list[Finding], groups: list[list[Finding]], evidence: Evidence, options: Mapping[str, Any]) -> Proposal:
    """One operation that only reports: every finding, ranked, and how to go on with the first of them."""
    used = {identifier for finding in findings[:_MOST_SHOWN] for identifier in finding.evidence}
    where = f"namespace {options['namespace']}" if options["namespace"] else "the cluster"
    more = f"; the first {_MOST_SHOWN} of {len(findings)} findings are shown" if len(findings) > _MOST_SHOWN else ""
    return {
        "workflow": "diagnose",
        "title": f"{len(findings)} findings about {len(groups)} objects in {where}",
        "target": {
            "kind": "Namespace" if options["namespace"] else "Cluster",
            "namespace": "",
            "name": options["namespace"] or view.snapshot["cluster"]["server"],
        },
        "findings": [finding.document() for finding in findings[:_MOST_SHOWN]],
        "evidence": [fact for fact in evidence.facts if fact["id"] in used],
        "remedies": [],
        "remedy": "",
        "plan": None,
        "no_plan_reason": f"this is a summary{more}; a plan is proposed for one workload at a time",
        "not_chosen": [],
        "by_hand": [_again(group[0].object) for group in groups[:_MOST_NEXT]],
    }


def _again(subject: Mapping[str, str]) -> str:
    """The command that proposes a change for one object."""
    workload = f" -e workload={subject['kind'].lower()}/{subject['name']}" if subject["kind"] in WORKLOADS else ""
    namespace = f" -e target_namespace={subject['namespace']}" if subject["namespace"] else ""
    return f"ansible-playbook aiops.k8s.diagnose{namespace}{workload}"


def _question(number: int, proposal: Proposal) -> dict[str, Any]:
    """What an AI engine is asked about a proposal: the worst finding, its evidence, the remedies to choose from."""
    finding = {
        key: proposal["findings"][0][key] for key in ("code", "severity", "object", "container", "title", "root_cause", "suggested_fix")
    }
    remedies_offered = [{"id": remedy["id"], "summary": remedy["summary"]} for remedy in proposal["remedies"]]
    return {"id": str(number), "finding": finding, "evidence": proposal["evidence"], "remedies": remedies_offered}


def _plan(view: View, finding: Finding, remedy: Remedy, options: Mapping[str, Any], executor: Api | None) -> tuple[plans.Plan | None, str]:
    subject = remedy.subject or view.object(finding.object)
    if subject is None:
        return None, "the object that the change is about was not read"
    if subject["kind"] not in workloads.KINDS:
        return None, f"whether a change to a {subject['kind'].lower()} worked cannot be checked"
    made = []
    for change in remedy.changes:
        live = view.pod(change["object"]["uid"]) if change["object"]["kind"] == "Pod" else subject
        if live is None:
            return None, f"{change['object']['name']} was not read"
        made.append((change, live))
    failing = [{"uid": pod["uid"], "reason": finding.code} for pod in finding.pods]
    proof = checks.standard(
        plans.reference(subject), failing, within=options["validate_seconds"], hold=options["hold_seconds"], watch=options["watch_seconds"]
    )
    built, refusal = drafting.draft(
        summary=remedy.summary,
        workflow="diagnose",
        target=finding.object,
        cluster=view.snapshot["cluster"],
        made=made,
        checks=lambda _changes: proof,
        undo=remedy.undo,
        ready=finding.details.get("ready_pods", 0) if remedy.replaces is None else remedy.replaces,
        executor=executor,
    )
    return ({**built, "notes": [*remedy.notes, *(f"what it does not do: {one}" for one in remedy.leaves)]} if built else None), refusal


def _check(options: Mapping[str, Any]) -> None:
    """What the types of the options do not rule out. Raises BadInput."""
    if options["namespace"] and not _LABEL.match(options["namespace"]):
        raise BadInput(
            f"namespace is {options['namespace']!r}, which cannot be the name of one.",
            "Give the name of a namespace: lower-case letters, digits and dashes.",
        )
    for name in ("validate_seconds", "hold_seconds", "watch_seconds"):
        if options[name] < 0:
            raise BadInput(f"{name} is {options[name]}.", "Give a number of seconds, 0 or more.")
