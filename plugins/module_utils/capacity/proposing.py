# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From a recommendation to what the approver is shown: finding, evidence, figures, the exact change with its inverse and its proof."""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Iterable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import cost
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import pods_of
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.recommend import figures_for_engines, manifest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import cpu, memory
from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks, clock, drafting, history, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.options import settings

Object = dict[str, Any]
RUNBOOK = "docs/runbooks/scaling-decisions.md"
_POINTS = 20  # of the load's series that the evidence shows
_AMOUNTS: dict[str, Callable[[float], str]] = {"cpu": cpu, "memory": memory, "custom": lambda value: f"{value:g}"}


def key(workload: Mapping[str, Any]) -> str:
    """Kind/namespace/name."""
    return "/".join(target(workload).values())


def target(workload: Mapping[str, Any]) -> dict[str, str]:
    metadata = workload["metadata"]
    return {"kind": workload["kind"], "namespace": metadata["namespace"], "name": metadata["name"]}


def pod_of(workload: Mapping[str, Any]) -> Object:
    """The pod that the workload's template makes."""
    template = workload["spec"]["template"]
    metadata = {**(template.get("metadata") or {}), "namespace": workload["metadata"]["namespace"]}
    return {"metadata": metadata, "spec": template["spec"]}


def nodes_of(pods: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """{node: pods}."""
    return dict(Counter(pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")))


def estimate(prices: Object, facts: Object, recommendation: Object, nodes: list[Object], placed: Mapping[str, int]) -> Object | None:
    """What it costs, at the figures that were computed; None where there are none."""
    figures, expected = recommendation["figures"], recommendation["expected"]
    if not figures:
        return None
    counts = {
        "current": expected["replicas_now"],
        "min": figures["min_replicas"],
        "expected": expected["at_current_load"],
        "max": figures["max_replicas"],
    }
    return cost.estimate(prices, facts["requests"], counts, nodes, placed)


def proposal(
    snapshot: Object,
    workload: Object,
    load: Object,
    facts: Object,
    start: Object,
    recommendation: Object,
    estimated: Object | None,
    options: Mapping[str, Any],
    executor: Callable[[], Api] | None,
) -> Object:
    """{key, recommendation, proposal: None where the autoscaler that is there will do}."""
    subject = target(workload)
    found = {"key": key(workload), "recommendation": recommendation}
    if recommendation["decision"] == "keep":
        return {**found, "proposal": None}
    pods = pods_of(workload, snapshot["objects"])
    evidence = _evidence(snapshot, workload, load, start, recommendation, estimated)
    plan, refusal, made = None, recommendation["reason"] + (f" {recommendation['fix']}" if recommendation["fix"] else ""), None
    summary = _summary(workload, facts, recommendation)
    if recommendation["decision"] in ("create", "adjust"):
        made = _change(workload, facts, recommendation)
        mine = history.of_cluster(options["history"], snapshot["cluster"])
        plan, refusal = _plan(snapshot, workload, facts, made, summary, pods, mine, options, executor)
    finding = _finding(workload, load, recommendation, pods, [one["id"] for one in evidence])
    document = {
        "workflow": "scale",
        "title": f"{finding['code']} in {plans.named(subject)}",
        "target": subject,
        "findings": [finding],
        "evidence": evidence,
        "sections": _sections(load, recommendation, estimated),
        "remedies": [{"id": "R1", "name": f"{recommendation['decision']}_autoscaler", "summary": summary}] if made else [],
        "remedy": f"{recommendation['decision']}_autoscaler" if plan else "",
        "basis": _basis(workload, made),
        "figures": recommendation["figures"],
        "plan": plan,
        "no_plan_reason": "" if plan else redact(refusal.rstrip("."))[0],
        "not_chosen": [],
        "by_hand": _by_hand(workload, facts),
    }
    return {**found, "proposal": document}


def questions(shown: Iterable[Object]) -> list[Object]:
    """What an AI engine is asked about each recommendation, with the figures that it may choose differently within their bounds."""
    asked = []
    for number, one in enumerate(shown):
        figures = figures_for_engines(one["recommendation"])
        asked.append({**_question(str(number), one["proposal"]), **({"figures": figures} if figures else {})})
    return asked


def capacity_questions(shown: Iterable[Object]) -> list[Object]:
    """What an AI engine is asked about the room in the cluster, on the same facts."""
    asked = []
    for number, one in enumerate(shown):
        placement = one["recommendation"]["placement"]
        if placement:
            question = _question(f"{number}:capacity", one["proposal"])
            told = _of_placement(placement)
            question["finding"] = {
                **question["finding"],
                "code": "CapacityChecked",
                "severity": "info",
                "title": told[0],
                "root_cause": " ".join(told),
                "suggested_fix": "Say whether the cluster has room for that many additional pods.",
            }
            asked.append({**question, "remedies": []})
    return asked


def _question(identifier: str, document: Object) -> Object:
    finding = document["findings"][0]
    shown = {name: finding[name] for name in ("code", "severity", "object", "container", "title", "root_cause", "suggested_fix")}
    remedies = [{"id": one["id"], "summary": one["summary"]} for one in document["remedies"]]
    return {"id": identifier, "finding": shown, "evidence": document["evidence"], "remedies": remedies}


# --- what is shown


def _finding(workload: Object, load: Object, recommendation: Object, pods: list[Object], ids: list[str]) -> Object:
    measured = load["verdict"] == "sustained"
    what = {"cpu": "CPU", "memory": "memory", "custom": "the figure of prometheus_query"}[load["resource"]]
    return {
        "code": "SustainedLoad" if measured else "RequestsMissing",
        "severity": "warning",
        "object": target(workload),
        "container": "",
        "title": (
            f"{what} at or above {load['threshold'] * 100:.0f} % for {clock.span(load['window_seconds'])}"
            if measured
            else load["reason"].rstrip(".")
        ),
        "root_cause": load["reason"],
        "evidence": ids,
        "suggested_fix": recommendation["reason"] + (f" {recommendation['fix']}" if recommendation["fix"] else ""),
        "expected_outcome": (
            f"As many pods run as the load needs, and {what} is below {load['threshold'] * 100:.0f} %."
            if measured
            else "Its utilisation can be computed, so that an autoscaler can follow it."
        ),
        "runbook": RUNBOOK,
        "pods": [{"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]} for pod in pods],
        "since": load["from"] if measured else "",
        "affects": [],
        "impact": {"failing_pods": 0, "ready_pods": sum(1 for pod in pods if is_ready(pod)), "services": [], "affects": 0},
    }


def _evidence(
    snapshot: Object, workload: Object, load: Object, start: Object, recommendation: Object, estimated: Object | None
) -> list[Object]:
    metadata, spec = workload["metadata"], workload["spec"]
    path = f"/apis/{workload['apiVersion']}/namespaces/{metadata['namespace']}/{workload['kind'].lower()}s/{metadata['name']}"
    step = max(1, len(load["series"]) // _POINTS)
    series = ", ".join(f"{at:.0f} s: {value * 100:.0f} %" for at, value in load["series"][::step])
    facts = [
        (f"load: {load['source']}", load["to"], "\n".join(filter(None, (load["reason"], series)))),
        (
            path,
            snapshot["taken_at"],
            f"replicas: {spec.get('replicas', 1)}, generation {metadata.get('generation')}, uid {metadata['uid']}",
        ),
        ("start of its pods", snapshot["taken_at"], " ".join([start["sentence"], *start["notes"]])),
    ]
    placement = recommendation["placement"]
    if placement:
        where = ", ".join(f"{one['node']}: {one['pods']}" for one in placement["nodes"])
        facts.append(
            (
                "placement on the live nodes",
                snapshot["taken_at"],
                "\n".join([*_of_placement(placement), *([f"on {where}"] if where else [])]),
            )
        )
    if estimated:
        facts.append(("estimate of the cost", snapshot["taken_at"], estimated["sentence"]))
    return [
        {"id": f"E{number}", "source": source, "time": at, "excerpt": redact(excerpt)[0]}
        for number, (source, at, excerpt) in enumerate(facts, 1)
    ]


def _sections(load: Object, recommendation: Object, estimated: Object | None) -> list[Object]:
    write = _AMOUNTS[load["resource"]]
    usage, share = load["usage"], load["utilisation"]
    amounts = [
        f"{name} {write(usage[name])} ({share[name] * 100:.0f} %)"
        for name in ("current", "mean", "peak")
        if usage.get(name) is not None and share.get(name) is not None
    ]
    request = [f"each pod requests {write(load['request_per_pod'])}"] if load["request_per_pod"] else []
    measured = ["; ".join([*amounts, *request]), *load["notes"], f"Source: {load['source']}."]
    placement = recommendation["placement"]
    found = [
        ("load", "Load", measured),
        ("advice", "Recommendation", [*recommendation["reasoning"][1:], *recommendation["changes"]]),
        ("room", "Capacity", [*_of_placement(placement), *placement["assumptions"], *placement["unknown"]] if placement else []),
        ("cost", "Cost (estimate)", _of_cost(estimated) if estimated else []),
        ("careful", "Warnings", recommendation["warnings"]),
    ]
    return [
        {"label": label, "title": title, "lines": [redact(line)[0] for line in dict.fromkeys(lines) if line]}
        for label, title, lines in found
        if any(lines)
    ]


def _of_placement(placement: Object) -> list[str]:
    """How many fit, what binds first, what quota and limit range say, and what is left without the largest node."""
    asked, fits = placement["asked"], placement["fits"]
    told = [f"{'All' if fits == asked else fits} of {asked} additional pods fit on the live nodes."]
    told += [placement["binds_first"]["sentence"]] if placement["binds_first"] else []
    told += [
        one["sentence"]
        for one in placement["reasons"][:3]
        if not placement["binds_first"] or one["sentence"] != placement["binds_first"]["sentence"]
    ]
    told += [placement["quota"]["sentence"]] if placement["quota"]["sentence"] else []
    told += [] if placement["limit_range"]["ok"] else [placement["limit_range"]["sentence"]]
    told += [placement["without_largest_node"]["sentence"]] if placement.get("without_largest_node") else []
    declared = placement.get("declared")
    told += [f"With the declared nodes {declared['fits']} fit, on {declared['nodes']} of them."] if declared else []
    return told


def _of_cost(estimated: Object) -> list[str]:
    rows = [
        f"{one['what']}: {one['replicas']} replicas, {one['vcpu'] if one['vcpu'] is not None else '?'} vCPU,"
        f" {one['gib'] if one['gib'] is not None else '?'} GiB"
        + (
            f", {one['per_hour']:.4f} {estimated['currency']} an hour, {one['per_month']:.2f} a month"
            if one["per_hour"] is not None
            else ""
        )
        for one in estimated["rows"]
    ]
    return [*rows, *estimated["assumptions"], *(f"not known: {one}" for one in estimated["unknown"])]


def _by_hand(workload: Object, facts: Object) -> list[str]:
    namespace, kind, name = workload["metadata"]["namespace"], workload["kind"].lower(), workload["metadata"]["name"]
    hpa = [f"kubectl -n {namespace} describe hpa {facts['hpa']['metadata']['name']}"] if facts["hpa"] else []
    return [f"kubectl -n {namespace} top pods", f"kubectl -n {namespace} describe {kind} {name}", *hpa]


# --- what is changed


def _summary(workload: Object, facts: Object, recommendation: Object) -> str:
    if not recommendation["hpa"]:
        return ""
    spec, figures = recommendation["hpa"], recommendation["figures"]
    name = f"{workload['kind'].lower()}/{workload['metadata']['name']}"
    if recommendation["decision"] == "create":
        return (
            f"scale {name} from {spec.get('minReplicas', 1)} to {spec['maxReplicas']} replicas by an autoscaler at a target of"
            f" {figures['target_percent']} %"
        )
    return (
        f"adjust the autoscaler {facts['hpa']['metadata']['name']} of {name}:"
        f" {'; '.join(one.rstrip('.') for one in recommendation['changes'])}"
    )


def _change(workload: Object, facts: Object, recommendation: Object) -> tuple[Object, Object]:
    """(draft change, live object that it changes; {} for one that does not exist yet)."""
    if recommendation["decision"] == "adjust":
        live = {**facts["hpa"], "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
        return plans.patch_change("C1", live, {**live, "spec": {**live["spec"], **recommendation["hpa"]}}), live
    subject, spec = plans.reference(workload), workload["spec"]
    same = {"op": "test", "path": "/metadata/uid", "value": subject["uid"]}
    requires = [
        {"object": subject, "tests": [same, {"op": "test", "path": "/metadata/generation", "value": workload["metadata"]["generation"]}]}
    ]
    restore = [{"object": subject, "patch": [same, {"op": "replace", "path": "/spec/replicas", "value": spec.get("replicas", 1)}]}]
    return plans.create_change("C1", manifest(workload, recommendation), requires, restore), {}


def _plan(
    snapshot: Object,
    workload: Object,
    facts: Object,
    made: tuple[Object, Object],
    summary: str,
    pods: list[Object],
    mine: history.History,
    options: Mapping[str, Any],
    executor: Callable[[], Api] | None,
) -> tuple[plans.Plan | None, str]:
    """(plan, why there is none)."""
    change, _live = made
    refusal = drafting.tried(mine, summary, target(workload), [change], _basis(workload, made))
    if refusal:
        return None, refusal
    replicas, name = workload["spec"].get("replicas", 1), f"{workload['kind'].lower()}/{workload['metadata']['name']}"
    undo = {
        "create": f"the autoscaler is deleted, and {name} goes back to {replicas} replicas",
        "patch": f"the autoscaler {change['object']['name']} gets its former settings back",
    }[change["action"]]
    draft, refusal = drafting.draft(
        summary=summary,
        workflow="scale",
        target=target(workload),
        cluster=snapshot["cluster"],
        made=[made],
        checks=lambda changes: _checks(changes[0], pods, options),
        undo=undo,
        ready=sum(1 for pod in pods if is_ready(pod)),
        executor=executor() if executor else None,
    )
    note = "from then on the autoscaler sets the number of replicas, whatever manifests and charts say"
    return ({**draft, "notes": [note]} if draft else None), refusal


def _checks(change: Object, pods: list[Object], options: Mapping[str, Any]) -> list[Object]:
    there = [{"uid": pod["metadata"]["uid"], "reason": "it ran before"} for pod in pods]
    proof = checks.standard(
        change["object"], there, within=options["validate_seconds"], hold=options["hold_seconds"], watch=options["watch_seconds"]
    )
    limits: Object = {"load_below": options["threshold_percent"] / 100} if options["resource"] != "custom" else {}
    if options["error_query"]:
        named = settings(options)  # its address alone: credentials are asked for again when the proof needs them
        limits["errors"] = {"query": options["error_query"], "url": named.address if named else "", "below": options["error_percent"] / 100}
    return [{**one, "within_seconds": options["scale_seconds"], **limits} if one["type"] == "available" else one for one in proof]


def _basis(workload: Object, made: tuple[Object, Object] | None) -> str:
    """A digest of what a change builds on: the workload's template, and the autoscaler that is there."""
    return digest({"template": workload["spec"]["template"], "autoscaler": made[1].get("spec") if made else None})
