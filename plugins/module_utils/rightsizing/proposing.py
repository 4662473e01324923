# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From an analysis to what the approver is shown: finding, evidence, figures, the exact change with its inverse and its proof."""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import cpu, memory
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks, clock, drafting, history, plan as plans, resizable
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact
from ansible_collections.aiops.k8s.plugins.module_utils.reporting import plot
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import resources
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.analysis import Analysis, raised

Object = dict[str, Any]
RUNBOOK = "docs/runbooks/rightsizing-decisions.md"
REMEDY = "change_requests_and_limits"
_WRITE: dict[str, Callable[[float], str]] = {"cpu": cpu, "memory": memory}
_WHAT = {"cpu": "CPU", "memory": "memory"}


def proposal(one: Analysis, snapshot: Object, options: Mapping[str, Any], executor: Callable[[], Api] | None) -> Object:
    """The proposal of one workload whose decision is change; its plan is None where it may not be made, with the reason."""
    evidence, summary, subject = _evidence(one, snapshot), _summary(one), target(one.workload)
    plots, no_plot = plot.drawn(one.history["containers"], one.recommendation["containers"], key=one.key, when=snapshot["usage"]["to"])
    finding = _finding(one, snapshot, [fact["id"] for fact in evidence])
    plan, refusal = _plan(one, snapshot, summary, options, executor)
    return {
        "workflow": "rightsize",
        "title": f"{finding['code']} in {plans.named(subject)}",
        "target": subject,
        "findings": [finding],
        "evidence": evidence,
        "sections": _sections(one, no_plot),
        "attachments": plots,
        "remedies": [{"id": "R1", "name": REMEDY, "summary": summary}],
        "remedy": REMEDY if plan else "",
        "basis": _basis(one),
        "figures": one.recommendation["figures"],
        "plan": plan,
        "no_plan_reason": "" if plan else redact(refusal.rstrip("."))[0],
        "not_chosen": [],
        "by_hand": _by_hand(one.workload),
    }


def questions(batch: Sequence[Analysis], proposals: Sequence[Object]) -> list[Object]:
    """What an AI engine is asked about each, with the figures that it may choose differently within their bounds."""
    asked = []
    for number, (one, document) in enumerate(zip(batch, proposals)):
        finding, bounds = document["findings"][0], one.recommendation["bounds"]
        shown = {name: finding[name] for name in ("code", "severity", "object", "container", "title", "root_cause", "suggested_fix")}
        figures = {
            name: {"what": name.replace("_", " "), "ours": ours, "low": bounds[name][0], "high": bounds[name][1]}
            for name, ours in one.recommendation["figures"].items()
        }
        remedies = [{"id": remedy["id"], "summary": remedy["summary"]} for remedy in document["remedies"]]
        asked.append({"id": str(number), "finding": shown, "evidence": document["evidence"], "remedies": remedies, "figures": figures})
    return asked


def target(workload: Mapping[str, Any]) -> dict[str, str]:
    """Kind, namespace and name."""
    metadata = workload["metadata"]
    return {"kind": workload["kind"], "namespace": metadata["namespace"], "name": metadata["name"]}


# --- what is shown


def _finding(one: Analysis, snapshot: Mapping[str, Any], ids: list[str]) -> Object:
    pairs = [container[resource]["request"] for container in one.recommendation["containers"] for resource in _WRITE]
    short = any(raised(pair) for pair in pairs if pair[0] is not None)
    unset = any(old is None and new is not None for old, new in pairs)
    code = "UnderProvisioned" if short else "RequestsMissing" if unset else "OverProvisioned"
    pods = one.subject["pods"]
    return {
        "code": code,
        "severity": "warning" if short or unset else "info",
        "object": target(one.workload),
        "container": "",
        "title": {
            "UnderProvisioned": "requests are below what is used, with its margin",
            "RequestsMissing": "containers without a request",
            "OverProvisioned": "requests are above what is used, with its margin",
        }[code],
        "root_cause": one.reason,
        "evidence": ids,
        "suggested_fix": _summary(one),
        "expected_outcome": "All pods run with the new size, without a restart, and use less than their limits.",
        "runbook": RUNBOOK,
        "pods": [{"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]} for pod in pods],
        "since": "",
        "affects": [],
        "impact": {"failing_pods": 0, "ready_pods": sum(1 for pod in pods if is_ready(pod)), "services": [], "affects": 0},
    }


def _evidence(one: Analysis, snapshot: Mapping[str, Any]) -> list[Object]:
    usage, metadata = snapshot["usage"], one.workload["metadata"]
    path = f"/apis/{one.workload['apiVersion']}/namespaces/{metadata['namespace']}/{one.workload['kind'].lower()}s/{metadata['name']}"
    until = stamp(usage["to"])
    facts = [
        (f"usage: {usage['source']}", until, "\n".join([*_measured(one), *one.history["notes"], *usage["notes"]])),
        (
            path,
            snapshot["taken_at"],
            (
                f"replicas: {one.replicas}, generation {metadata.get('generation')}, uid {metadata['uid']},"
                f" revision {one.subject['revision']['name'] or 'unknown'}"
            ),
        ),
        ("stability", until, "\n".join([f"Stable since {stamp(one.verdict['stable_since'])}.", *one.verdict["notes"]])),
        ("the history replayed against the new size", until, "\n".join(one.backtest["sentences"])),
    ]
    return [
        {"id": f"E{number}", "source": source, "time": at, "excerpt": redact(excerpt)[0]}
        for number, (source, at, excerpt) in enumerate(facts, 1)
    ]


def _measured(one: Analysis) -> list[str]:
    """web CPU: p50 12m, p95 40m, p99 44m, max 50m (3 pods, 6912 samples, 99 % of the time known)."""
    lines = []
    for container, figures in one.usage.items():
        for resource, found in figures.items():
            if resource in _WRITE and found:
                amounts = ", ".join(f"{name} {_WRITE[resource](found[name])}" for name in ("p50", "p95", "p99", "max"))
                known = f"{found['pods']} pods, {found['samples']} samples, {found['coverage'] * 100:.0f} % of the time known"
                lines.append(f"{container} {_WHAT[resource]}: {amounts} ({known})")
    return lines


def _sections(one: Analysis, no_plot: str) -> list[Object]:
    advice, saved = one.recommendation, one.savings
    qos = advice["qos"]
    found: list[tuple[str, str, Iterable[str]]] = [
        ("usage", "Usage", [*_measured(one), *one.verdict["notes"], *one.history["notes"]]),
        (
            "advice",
            "Recommendation",
            [*advice["formula"], *([f"QoS class: {qos[0]} -> {qos[1]}"] if qos[0] != qos[1] else []), *one.joint["sentences"]],
        ),
        ("history", "Backtest", [*one.backtest["sentences"], no_plot]),
        ("saved", "Savings (estimate)", [*saved["sentences"], *saved["assumptions"], *(f"not known: {text}" for text in saved["unknown"])]),
        ("room", "Capacity", one.fits["lines"]),
        ("careful", "Warnings", [*advice["warnings"], *one.fits["warnings"]]),
    ]
    return [
        {"label": label, "title": title, "lines": [redact(line)[0] for line in dict.fromkeys(lines) if line]}
        for label, title, lines in ((label, title, list(lines)) for label, title, lines in found)
        if any(lines)
    ]


def _summary(one: Analysis) -> str:
    """deployment/web: web CPU request 500m -> 65m, memory request 512Mi -> 150Mi, memory limit 1Gi -> 180Mi."""
    parts = []
    for container in one.recommendation["containers"]:
        changed = [
            f"{_WHAT[resource]} {what} {_amount(resource, old)} -> {_amount(resource, new)}"
            for resource in _WRITE
            for what, (old, new) in container[resource].items()
            if old != new
        ]
        parts += [f"{container['name']} {', '.join(changed)}"] if changed else []
    return f"{one.name}: {'; '.join(parts)}"


def _amount(resource: str, value: float | None) -> str:
    return "unset" if value is None else _WRITE[resource](value)


def _by_hand(workload: Mapping[str, Any]) -> list[str]:
    namespace, kind, name = workload["metadata"]["namespace"], workload["kind"].lower(), workload["metadata"]["name"]
    return [
        f"kubectl -n {namespace} top pods --containers",
        f"kubectl -n {namespace} get {kind} {name} -o jsonpath='{{.spec.template.spec.containers[*].resources}}'",
        f"kubectl -n {namespace} rollout history {kind}/{name}",
    ]


def stamp(seconds: float) -> str:
    """A moment as records write it."""
    return clock.stamp(datetime.fromtimestamp(seconds, timezone.utc))


# --- what is changed


def _plan(
    one: Analysis, snapshot: Object, summary: str, options: Mapping[str, Any], executor: Callable[[], Api] | None
) -> tuple[plans.Plan | None, str]:
    """(plan, why there is none)."""
    subject, api = target(one.workload), executor() if executor else None
    made, remark = _made(one, snapshot, options, api)
    mine = history.of_cluster(options["history"], snapshot["cluster"])
    refusal = drafting.tried(mine, summary, subject, [change for change, _live in made], _basis(one))
    if refusal:
        return None, refusal
    in_place = any(change["action"] == "resize" for change, _live in made)
    draft, refusal = drafting.draft(
        summary=f"{summary}{', in place' if in_place else ''}",
        workflow="rightsize",
        target=subject,
        cluster=snapshot["cluster"],
        made=made,
        checks=lambda changes: _checks(one, changes, options),
        undo=f"{one.name} gets its former requests and limits back, {'in place' if in_place else 'by another rolling update'}",
        ready=sum(1 for pod in one.subject["pods"] if is_ready(pod)),
        executor=api,
    )
    if draft is None:
        return None, refusal
    notes = ["manifests and charts that this workload comes from still say the former size: change them there as well"]
    return {**draft, "notes": [*notes, *([remark] if remark else [])]}, ""


def _made(one: Analysis, snapshot: Object, options: Mapping[str, Any], api: Api | None) -> tuple[list[tuple[Object, Object]], str]:
    """([(change, live object)] in the order in which capacity is never taken away in between, what is to be said about it)."""
    live = one.workload
    desired = copy.deepcopy(live)
    desired["spec"]["template"]["spec"] = resources.apply(live["spec"]["template"]["spec"], one.recommendation["resources"])
    pairs = [(live, desired)]
    if one.joint["action"] == "change":
        scaler = {**one.joint["hpa"], "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
        pairs.insert(0 if one.joint["order"] == "before" else 1, (scaler, {**scaler, "spec": one.joint["spec"]}))
    made = [(plans.patch_change(f"C{number}", before, after), before) for number, (before, after) in enumerate(pairs, 1)]
    if not options["in_place"]:
        return made, ""
    place = next(number for number, (_change, before) in enumerate(made) if before is live)
    try:
        made[place] = (_resized(one, snapshot, made[place][0]["id"], desired, api), live)
    except GateRefused as error:
        return made, f"its pods are replaced, as asked for in_place cannot be done: {error.message}"
    return made, ""


def _resized(one: Analysis, snapshot: Object, identifier: str, desired: Object, api: Api | None) -> Object:
    """The change that resizes the pods where they are. Raises GateRefused."""
    reason = resizable.supported(api) if api else ""
    name, namespace = one.subject["revision"]["name"], one.workload["metadata"]["namespace"]
    mine = [
        each
        for each in snapshot["objects"]["replicasets"]
        if (each["metadata"]["name"], each["metadata"]["namespace"]) == (name, namespace)
    ]
    if not mine:
        reason = reason or f"a {one.workload['kind']} is not resized in place"
    if reason:
        raise GateRefused(f"{reason}.")
    return plans.resize_change(identifier, one.workload, desired, mine[0], one.subject["all_pods"])


def _checks(one: Analysis, changes: list[Object], options: Mapping[str, Any]) -> list[Object]:
    resize = next((change for change in changes if change["action"] == "resize"), None)
    there = [{"uid": pod["metadata"]["uid"], "reason": "it runs with the former size"} for pod in one.subject["pods"]]
    proof = checks.standard(
        objects.reference(one.workload),
        [] if resize else there,
        within=options["validate_seconds"],
        hold=options["hold_seconds"],
        watch=options["watch_seconds"],
    )
    measured = checks.with_usage(proof, _limits(one), {**one.savings["requested"], "replicas": one.replicas})
    return checks.with_resized(measured, resize) if resize else measured


def _limits(one: Analysis) -> dict[str, dict[str, float]]:
    """{container: {cpu, memory}}: what its usage has to stay below."""
    return {
        container["name"]: {resource: limit for resource in _WRITE if (limit := container[resource]["limit"][1]) is not None}
        for container in one.recommendation["containers"]
    }


def _basis(one: Analysis) -> str:
    """A digest of what a change builds on: the workload's template, and the autoscaler that is there."""
    scaler = one.joint.get("hpa") or {}
    return digest({"template": one.workload["spec"]["template"], "autoscaler": scaler.get("spec")})
