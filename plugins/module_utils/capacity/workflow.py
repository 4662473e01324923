# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The scale workflow up to its proposals: measure the load, recommend an autoscaler, see what fits and what it costs, rehearse. Read-only."""

from __future__ import annotations

import re
import time
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.capacity import cost, measuring, proposing
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import context, pods_of
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load import THRESHOLD, judge
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placement import place
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.recommend import checked, recommend
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.startup import startup
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import capacity as snapshots, saved
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, NotFound
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, EXECUTOR
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.spec import PROMETHEUS

Object = dict[str, Any]
Progress = Callable[[float, float, str], None]
KINDS = {"deployment": "Deployment", "deploy": "Deployment", "statefulset": "StatefulSet", "sts": "StatefulSet"}
LISTS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
RESOURCES = ("cpu", "memory", "custom")
SOURCES = ("auto", "metrics", "prometheus")
_NAME = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
_CUSTOM: dict[str, Any] = {
    "prometheus_query": {"type": "str"},
    "prometheus_unit": {"type": "str", "default": ""},
    "prometheus_target": {"type": "float"},
}
_RECOMMENDING: dict[str, Any] = {
    "headroom": {"type": "float", "default": 0.2},
    "availability": {"type": "bool", "default": True},
    "min_replicas": {"type": "int"},
    "max_replicas": {"type": "int"},
    "target_percent": {"type": "int"},
    "owner_conflict": {"type": "str", "choices": ["refuse", "warn"], "default": "refuse"},
    "max_cost_month": {"type": "float"},
    "custom_metric": {"type": "str"},
    "custom_target": {"type": "str"},
}
SPEC: dict[str, Any] = {
    **CONNECTION,
    **EXECUTOR,
    **PROMETHEUS,
    **_CUSTOM,
    **_RECOMMENDING,
    "namespace": {"type": "str"},
    "workload": {"type": "str"},
    "resource": {"type": "str", "choices": list(RESOURCES), "default": "cpu"},
    "threshold_percent": {"type": "int", "default": round(THRESHOLD * 100)},
    "window_seconds": {"type": "int", "default": 300},
    "step_seconds": {"type": "int", "default": 15},
    "source": {"type": "str", "choices": list(SOURCES), "default": "auto"},
    "prices": {"type": "dict", "default": {}},
    "declared_nodes": {"type": "list", "elements": "dict", "default": []},
    "error_query": {"type": "str"},
    "error_percent": {"type": "float", "default": 5.0},
    "history": {"type": "list", "elements": "dict", "default": []},
    "records_dir": {"type": "path"},
    "feature": {"type": "str"},
    "validate_seconds": {"type": "int", "default": 120},
    "scale_seconds": {"type": "int", "default": 3600},
    "hold_seconds": {"type": "int", "default": 30},
    "watch_seconds": {"type": "int", "default": 3600},
    "snapshot_file": {"type": "path"},
    "replay": {"type": "path"},
}
RULES: dict[str, Any] = {"required_one_of": [("namespace", "replay")]}


def scale(
    options: Mapping[str, Any], reader: Callable[[], Api], executor: Callable[[], Api], progress: Progress | None = None
) -> dict[str, Any]:
    """The result of the module scale: {cluster, user, loads, findings, proposals, questions, capacity_questions, coverage, timings...}.

    Options as the module's. Raises AiopsError: BadInput for wrong options, MetricsMissing and PrometheusError where the load cannot be measured.
    """
    _check(options)
    chosen = checked({name: options[name] for name in _RECOMMENDING})
    prices = cost.prices(options["prices"])
    if options["snapshot_file"]:
        output.writable("snapshot_file", options["snapshot_file"])
    started = time.monotonic()
    if options["replay"]:
        snapshot = saved.load(options["replay"], snapshots.SCHEMA, ("pods", "nodes", *LISTS.values()))
    else:
        snapshot = _observed(options, reader(), progress)
    observed = time.monotonic()
    workloads = _workloads(snapshot, options["workload"] or "")
    rehearsal = None if options["replay"] else executor
    loads, proposals = [], []
    for workload in workloads:
        load = _load_of(snapshot, workload, options)
        loads.append({"object": proposing.target(workload), **{key: value for key, value in load.items() if key != "series"}})
        if load["verdict"] == "sustained" or (options["workload"] and load["verdict"] == "no_requests"):
            proposals.append(_proposal(snapshot, workload, load, options, chosen, prices, rehearsal))
    shown = [one for one in proposals if one["proposal"]]
    if options["snapshot_file"]:
        saved.save(options["snapshot_file"], snapshots.without_secrets(snapshot))
    return {
        "cluster": snapshot["cluster"],
        "user": snapshot["user"],
        "loads": loads,
        "proposals": [one["proposal"] for one in shown],
        "questions": proposing.questions(shown),
        "capacity_questions": proposing.capacity_questions(shown),
        "findings": [finding for one in shown for finding in one["proposal"]["findings"]],
        "nothing": _nothing(loads, proposals),
        "coverage": snapshot["coverage"],
        "pods_seen": sum(len(pods_of(workload, snapshot["objects"])) for workload in workloads),
        "timings": {"observe": round(observed - started, 3), "propose": round(time.monotonic() - observed, 3)},
    }


def _proposal(
    snapshot: Object,
    workload: Object,
    load: Object,
    options: Mapping[str, Any],
    chosen: Object,
    prices: Object,
    executor: Callable[[], Api] | None,
) -> Object:
    """{proposal, recommendation, placement}: what is recommended for one workload, with everything that speaks for and against it."""
    objects = snapshot["objects"]
    facts, start = context(workload, objects, snapshot["served"]), startup(workload, objects)
    pod = proposing.pod_of(workload)

    def placement(count: int) -> Object:
        return place(pod, count, objects, controller=workload, declared_nodes=options["declared_nodes"])

    placed = proposing.nodes_of(pods_of(workload, objects))
    monthly = cost.monthly(prices, facts["requests"], objects["nodes"], placed)
    recommendation = recommend(load, facts, start, placement, chosen, monthly)
    estimate = proposing.estimate(prices, facts, recommendation, objects["nodes"], placed)
    return proposing.proposal(snapshot, workload, load, facts, start, recommendation, estimate, options, executor)


def _observed(options: Mapping[str, Any], api: Api, progress: Progress | None) -> Object:
    """The cluster as it is once the load has been measured, with the samples."""
    namespace = options["namespace"]
    before = snapshots.take(api, namespace)
    workloads = _workloads(before, options["workload"] or "")
    pods = {proposing.key(one): pods_of(one, before["objects"]) for one in workloads}
    samples, remarks, sampled = measuring.measure(api, namespace, pods, options, progress)
    after = snapshots.take(api, namespace) if sampled else before
    return {**after, "samples": samples, "remarks": remarks, "now": clock.now().timestamp() - (api.clock_skew or 0.0)}


def _load_of(snapshot: Object, workload: Object, options: Mapping[str, Any]) -> Object:
    found = judge(
        snapshot["samples"].get(proposing.key(workload)) or snapshot["samples"][measuring.ALL],
        pods_of(workload, snapshot["objects"]),
        now=snapshot["now"],
        window_seconds=options["window_seconds"],
        threshold=options["threshold_percent"] / 100,
        resource=options["resource"],
        target=options["prometheus_target"],
    )
    return {**found, "notes": [*found["notes"], *snapshot["remarks"]]}


def _workloads(snapshot: Object, wanted: str) -> list[Object]:
    """The workloads that are looked at. Raises BadInput and NotFound, naming the option workload."""
    objects, namespace = snapshot["objects"], snapshot["namespace"]
    here = [one for name in LISTS.values() for one in objects[name]]
    if not wanted:
        return [one for one in here if one["spec"].get("replicas", 1)]
    kind, slash, name = wanted.partition("/")
    if not slash or not _NAME.match(name):
        raise BadInput(f"workload is {wanted!r}.", "Give it as kind/name, such as deployment/web.")
    if kind.lower() not in KINDS:
        fix = "An autoscaler scales a Deployment or a StatefulSet: give deployment/NAME or statefulset/NAME."
        raise BadInput(f"workload is {wanted!r}, and a {kind.lower()} cannot be scaled by this workflow.", fix)
    found = [one for one in objects[LISTS[KINDS[kind.lower()]]] if one["metadata"]["name"] == name]
    if not found:
        raise NotFound(f"There is no {KINDS[kind.lower()]} {name} in namespace {namespace}.", "Check the options workload and namespace.")
    return found


def _nothing(loads: list[Object], proposed: list[Object]) -> list[str]:
    """What is said where nothing is proposed, one sentence for each workload."""
    if not loads:
        return ["There is no Deployment or StatefulSet with replicas: nothing to propose."]
    reasons = {one["key"]: "" if one["proposal"] else one["recommendation"]["reason"] for one in proposed}
    told = [(one["object"], reasons.get("/".join(one["object"].values()), one["reason"])) for one in loads]
    return [f"{subject['kind'].lower()}/{subject['name']}: {reason}" for subject, reason in told if reason]


def _check(options: Mapping[str, Any]) -> None:
    """What the types of the options do not rule out. Raises BadInput."""
    if options["namespace"] and not _NAME.match(options["namespace"]):
        raise BadInput(f"namespace is {options['namespace']!r}, which cannot be the name of one.", "Give the name of a namespace.")
    for name in ("validate_seconds", "hold_seconds", "watch_seconds"):
        if options[name] < 0:
            raise BadInput(f"{name} is {options[name]}.", "Give a number of seconds, 0 or more.")
    for name, least, most in (
        ("window_seconds", 20, 7 * 86400),
        ("step_seconds", 1, 300),
        ("scale_seconds", 1, 86400),
        ("threshold_percent", 1, 1000),
    ):
        if not least <= options[name] <= most:
            raise BadInput(f"{name} is {options[name]}.", f"Give a whole number from {least} to {most}.")
    if not 0 < options["error_percent"] <= 100:
        raise BadInput(f"error_percent is {options['error_percent']:g}.", "Give a percentage above 0, at most 100.")
    custom = options["resource"] == "custom"
    if custom and (not options["prometheus_query"] or not options["prometheus_target"] or options["prometheus_target"] <= 0):
        raise BadInput(
            "resource is custom, and prometheus_query or prometheus_target is missing.",
            "Give both: the expression, and the value (above 0) that is 100 % of what the workload can bear.",
        )
    if options["prometheus_query"] and not custom:
        raise BadInput("prometheus_query is given, and resource is not custom.", "Give resource=custom with it.")
    if custom and not options["workload"] and not options["replay"]:
        raise BadInput("resource is custom, and workload is not given.", "Say which workload the figure is about.")
    if (custom or options["error_query"]) and options["source"] == "metrics":
        raise BadInput(f"{'resource=custom' if custom else 'error_query'} needs Prometheus, and source is metrics.", "Leave source out.")
