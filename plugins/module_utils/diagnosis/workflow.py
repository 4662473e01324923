# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The diagnose workflow up to its proposals: observe, analyse, derive the change, rehearse it. Read-only."""

from __future__ import annotations

import json
import re
import time
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import snapshot as snapshots
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import workload as workloads
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis import remedies
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.analysis import analyse, view_object
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.quantity import amount
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, View, wants_log
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change as changes
from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks, clock, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact, redact_object
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, EXECUTOR

Proposal = dict[str, Any]
_LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")

SPEC: dict[str, Any] = {
    **CONNECTION,
    **EXECUTOR,
    "namespace": {"type": "str"},
    "workload": {"type": "str"},
    "pod": {"type": "str"},
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
    bounds = remedies.Bounds(_memory_cap(options["memory_limit_max"]))
    started = time.monotonic()
    snapshot = _load(options["replay"]) if options["replay"] else snapshots.take(reader(), options["namespace"] or "", wants_log)
    observed = time.monotonic()
    view, findings, evidence = analyse(snapshot, options["workload"] or "", options["pod"] or "")
    analysed = time.monotonic()
    groups = _by_workload(findings)
    rehearsal = None if options["replay"] or not groups else executor()
    proposals = [_proposal(view, group, evidence, bounds, options, rehearsal) for group in groups]
    if options["snapshot_file"]:
        _save(options["snapshot_file"], snapshot)
    return {
        "cluster": snapshot["cluster"],
        "user": snapshot["user"],
        "proposals": proposals,
        "questions": [_question(number, proposal) for number, proposal in enumerate(proposals)],
        "findings": [finding.document() for finding in findings],
        "coverage": snapshot["coverage"],
        "pods_seen": len(snapshot["objects"]["pods"]),
        "timings": {
            "observe": round(observed - started, 3),
            "analyse": round(analysed - observed, 3),
            "propose": round(time.monotonic() - analysed, 3),
        },
    }


def _by_workload(findings: list[Finding]) -> list[list[Finding]]:
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(tuple(finding.object.values()), []).append(finding)
    return list(groups.values())


def _proposal(
    view: View,
    findings: list[Finding],
    evidence: Evidence,
    bounds: remedies.Bounds,
    options: Mapping[str, Any],
    executor: Api | None,
) -> Proposal:
    """One operation: the findings about one workload, and the one change that is proposed for the first that has one."""
    used = {identifier for finding in findings for identifier in finding.evidence}
    candidates, reasons, plan = [], [], None
    for finding in findings:
        offered, why_not = remedies.propose(view, finding, bounds)
        reasons += why_not
        candidates += [(finding, remedy) for remedy in offered]
    for finding, remedy in candidates:
        plan, refusal = _plan(view, finding, remedy, options, executor)
        if plan:
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
        "plan": plan,
        "no_plan_reason": "" if plan else redact("; ".join(dict.fromkeys(reasons)))[0],
        "not_chosen": [] if not plan else [redact(reason)[0] for reason in dict.fromkeys(reasons)],
    }


def _question(number: int, proposal: Proposal) -> dict[str, Any]:
    """What an AI engine is asked about a proposal: the worst finding, its evidence, the remedies to choose from."""
    finding = {
        key: proposal["findings"][0][key] for key in ("code", "severity", "object", "container", "title", "root_cause", "suggested_fix")
    }
    remedies_offered = [{"id": remedy["id"], "summary": remedy["summary"]} for remedy in proposal["remedies"]]
    return {"id": str(number), "finding": finding, "evidence": proposal["evidence"], "remedies": remedies_offered}


def _plan(
    view: View,
    finding: Finding,
    remedy: remedies.Remedy,
    options: Mapping[str, Any],
    executor: Api | None,
) -> tuple[plans.Plan | None, str]:
    workload = view_object(view, finding)
    if not view.snapshot["cluster"]["uid"]:
        return (
            None,
            "the cluster cannot be told from others without the verb get on the namespace kube-system, so no plan can be bound to it",
        )
    if workload["kind"] not in workloads.KINDS:
        return None, f"whether a change to a {workload['kind'].lower()} worked cannot be checked"
    prepared = []
    for change in remedy.changes:
        live = (
            workload
            if change["action"] == "patch"
            else next(pod for pod in view.objects["pods"] if pod["metadata"]["uid"] == change["object"]["uid"])
        )
        try:
            change, missing = changes.prepare(executor, change, live) if executor else (change, "")
        except ApiError as error:
            return None, f"the API server would not accept to {remedy.summary}: {error.text or error.reason}"
        if missing:
            return None, f"the executor may not do it: {missing}"
        prepared.append(change)
    subject = plans.reference(workload)
    failing = [{"uid": pod["uid"], "reason": finding.code} for pod in finding.pods]
    proof = checks.standard(
        subject, failing, within=options["validate_seconds"], hold=options["hold_seconds"], watch=options["watch_seconds"]
    )
    built = plans.build(
        summary=remedy.summary,
        workflow="diagnose",
        target=finding.object,
        cluster={"uid": view.snapshot["cluster"]["uid"], "server": view.snapshot["cluster"]["server"]},
        changes=prepared,
        checks=proof,
        undo=remedy.undo,
        risk=plans.risk_of(prepared, finding.details.get("ready_pods", 0) if remedy.replaces is None else remedy.replaces),
        created=clock.now(),
    )
    return {**built, "notes": remedy.notes}, ""


def _memory_cap(text: str) -> float:
    try:
        cap = amount(text)
    except ValueError as error:
        raise BadInput(f"memory_limit_max is {text!r}: {error}.", "Give a quantity such as 8Gi.") from error
    if cap <= 0:
        raise BadInput(f"memory_limit_max is {text!r}, which is not above 0.", "Give a quantity such as 8Gi.")
    return cap


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


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            snapshot = json.load(file)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"The snapshot {path} cannot be read: {error}.", "Give a file that snapshot_file wrote with the option replay."
        ) from error
    known = isinstance(snapshot, dict) and snapshot.get("schema") == snapshots.SCHEMA and isinstance(snapshot.get("objects"), dict)
    if not isinstance(snapshot, dict) or not known or not {"pods", "replicasets"} <= set(snapshot["objects"]):
        raise BadInput(f"{path} is not a snapshot of this version ({snapshots.SCHEMA}).")
    return snapshot


def _save(path: str, snapshot: dict[str, Any]) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(redact_object(snapshot), file)
    except OSError as error:
        raise BadInput(
            f"snapshot_file {path} cannot be written: {error.strerror}.", "Give a path in a directory that you may write."
        ) from error
