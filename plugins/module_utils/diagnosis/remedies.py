# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Remedies: which safe change follows from the facts of a finding, or the reason why none does.

A remedy never invents values, never raises memory for a kill that was not out-of-memory, and carries no secret into a plan.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis import logs
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.analysis import is_ready, view_object
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.quantity import amount, memory
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import holds_secret

REVISION = "deployment.kubernetes.io/revision"
_SMALL_LIMIT = 2**30  # below 1 GiB a limit is doubled, from there on it grows by half
_REFERENCES = ("name", "key", "secretName", "path", "mountPath", "tokenExpirationSeconds")  # keys whose values name secrets, and hold none
_TEMPLATE_KINDS = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass
class Remedy:
    """A change that the facts support. ``check_object``: the workload whose health proves it."""

    name: str
    summary: str
    changes: list[dict[str, Any]]
    undo: str
    notes: list[str] = field(default_factory=list)
    replaces: int | None = None  # ready pods that it disturbs; None: all of the workload


@dataclass
class Bounds:
    """Limits that a user sets: the highest memory limit in bytes that may be proposed."""

    memory_cap: float


Outcome = tuple["Remedy | None", str]  # (remedy, why none)
Proposer = Callable[[View, Finding, Object, Bounds], Outcome]


def propose(view: View, finding: Finding, bounds: Bounds) -> tuple[list[Remedy], list[str]]:
    """(remedies, best first; reasons why others do not apply)."""
    workload = view_object(view, finding)
    outcomes = [proposer(view, finding, workload, bounds) for proposer in PROPOSERS.get(finding.code, ())]
    remedies = [remedy for remedy, _reason in outcomes if remedy]
    reasons = [reason for remedy, reason in outcomes if not remedy and reason]
    if not remedies and not reasons:
        reasons = [_ADVICE_ONLY.get(finding.code, "no change follows from the facts alone; a person has to decide")]
    return remedies, reasons


def raise_memory_limit(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    if workload["kind"] not in _TEMPLATE_KINDS:
        return None, f"the pod template of a {workload['kind'].lower()} cannot be changed; change the memory limit where it is created"
    desired = copy.deepcopy(workload)
    container = next((one for one in _all_containers(desired) if one["name"] == finding.container), None)
    if container is None:
        return (
            None,
            f"container {finding.container} is not in the template; change its memory limit where it is injected (an admission webhook)",
        )
    resources = container.get("resources", {})
    old = resources.get("limits", {}).get("memory")
    if not old:
        return (
            None,
            (
                f"the template of {workload['kind'].lower()}/{workload['metadata']['name']} sets no memory limit, so the limit comes from"
                " elsewhere (a LimitRange or an admission webhook)"
            ),
        )
    if amount(old) != amount(finding.details["limit"]):
        return (
            None,
            (
                f"the template sets a memory limit of {old} now, the killed container ran with {finding.details['limit']}: it is of"
                " another revision"
            ),
        )
    cap, whose = _memory_ceiling(view, workload, bounds)
    new = min(_next_step(amount(old)), cap // 2**20 * 2**20)  # in whole Mi, and never above the bound
    if new <= amount(old):
        return (
            None,
            (
                f"the memory limit of {old} is already at the highest allowed value ({memory(cap // 2**20 * 2**20)}, {whose}); look for a"
                " leak, or raise memory_limit_max deliberately"
            ),
        )
    resources["limits"]["memory"] = memory(new)
    notes = []
    request = resources.get("requests", {}).get("memory")
    if request and amount(request) == amount(old):
        resources["requests"]["memory"] = memory(new)
        notes.append("the request is raised with the limit, because they were equal (QoS class of the pod)")
    refusal = _quota_refuses(view, workload, new - amount(old))
    if refusal:
        return None, refusal
    return (
        Remedy(
            "raise_memory_limit",
            f"raise the memory limit of container {finding.container} from {old} to {memory(new)}",
            [plans.patch_change("C1", workload, desired)],
            f"the limit is set back to {old}, which starts another rolling update",
            notes + _managed(workload),
        ),
        "",
    )


def undo_rollout(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """Back to the template of the last revision that worked, when it was the newest template that broke it."""
    if workload["kind"] != "Deployment":
        return None, ""
    name = f"deployment/{workload['metadata']['name']}"
    revisions = sorted((one for one in view.objects["replicasets"] if view.owner(one) is workload), key=_revision)
    if len(revisions) < 2:
        return None, f"{name} has no earlier revision to return to"
    newest, earlier = revisions[-1], revisions[:-1]
    failing = {pod["uid"] for pod in finding.pods}
    old_failing = [pod for pod in view.objects["pods"] if pod["metadata"]["uid"] in failing and view.owner(pod) is not newest]
    if old_failing:
        return None, f"pods of an earlier revision of {name} fail as well, so the newest template is not the cause"
    if workload["spec"].get("paused"):
        return None, f"{name} is paused; a person holds its rollout"
    working = [one for one in earlier if one.get("status", {}).get("readyReplicas", 0) > 0]
    if not working and not _stops_all_pods_first(workload):
        return None, f"no earlier revision of {name} has a ready pod, so none is known to work"
    chosen = (working or earlier)[-1]
    desired = copy.deepcopy(workload)
    template = copy.deepcopy(chosen["spec"]["template"])
    template["metadata"].get("labels", {}).pop("pod-template-hash", None)
    desired["spec"]["template"] = template
    change = plans.patch_change("C1", workload, desired)
    if not change["outcome"]:
        return None, f"revision {_revision(chosen)} of {name} has the same template as the newest"
    secrets, others = _literal_secrets(workload["spec"]["template"]), _literal_secrets(template)
    if secrets != others or _carries_secret(change["patch"], {value for _container, _name, value in secrets}):
        return (
            None,
            (
                f"returning to revision {_revision(chosen)} would copy a secret value into the plan; run kubectl rollout undo {name}"
                f" --to-revision={_revision(chosen)}, and move the value into a Secret"
            ),
        )
    proof = (
        f"{chosen['status']['readyReplicas']} of its pods are ready now"
        if working
        else "its pods are gone, so that it worked is not proven"
    )
    return (
        Remedy(
            "undo_rollout",
            f"return {name} to the template of revision {_revision(chosen)}",
            [change],
            f"the template of revision {_revision(newest)} is put back",
            [f"revision {_revision(chosen)}: {proof}", *_managed(workload)],
            replaces=sum(1 for pod in view.pods_of(workload) if is_ready(pod) and view.owner(pod) is not chosen),
        ),
        "",
    )


def restart_pod(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """Delete crashed pods whose cause is gone, so that they need not wait out their back-off."""
    cause = logs.dependency(finding.details.get("line", ""))
    if cause is None:
        return None, ""
    host, port = cause
    service = next((one for one in view.objects.get("services", []) if _reaches(one, host, workload)), None)
    if service is None:
        return None, f"the container cannot reach {host}{f':{port}' if port else ''}, and there is no Service of that name in the namespace"
    name = service["metadata"]["name"]
    since = _ready_since(view, service)
    if not since:
        return None, f"the container cannot reach Service {name}, which has no ready endpoint; mend that first"
    if workload["kind"] == "Pod":
        return None, "the pod has no controller that would create it again"
    if since <= finding.details.get("finished", ""):
        return None, f"Service {name} had ready endpoints when the container last crashed, so a restart alone would not help"
    pods = [pod for pod in view.objects["pods"] if pod["metadata"]["uid"] in {one["uid"] for one in finding.pods}]
    changes = [
        plans.delete_change(f"C{number}", pod, f"deleted; {workload['kind'].lower()}/{workload['metadata']['name']} creates it anew")
        for number, pod in enumerate(pods, 1)
    ]
    return (
        Remedy(
            "restart_pod",
            f"restart {len(pods)} pod(s) of {workload['kind'].lower()}/{workload['metadata']['name']}, since Service {name} is ready again",
            changes,
            "a deleted pod is created again by its owner; there is nothing to undo",
            [f"Service {name} has been ready since {since}; the last crash was at {finding.details.get('finished')}"],
        ),
        "",
    )


PROPOSERS: dict[str, tuple[Proposer, ...]] = {
    "OOMKilled": (raise_memory_limit, undo_rollout),
    "AppCrash": (restart_pod, undo_rollout),
    "CommandNotFound": (undo_rollout,),
    "MainProcessEnds": (undo_rollout,),
    "ImageNotFound": (undo_rollout,),
    "ImagePullRefused": (undo_rollout,),
    "InvalidImageName": (undo_rollout,),
    "ImageNeverPulled": (undo_rollout,),
    "ConfigMapMissing": (undo_rollout,),
    "SecretMissing": (undo_rollout,),
    "ConfigKeyMissing": (undo_rollout,),
    "ContainerConfigError": (undo_rollout,),
    "LivenessProbeFailing": (undo_rollout,),
    "StartupProbeFailing": (undo_rollout,),
    "ReadinessProbeFailing": (undo_rollout,),
    "InsufficientCPU": (undo_rollout,),
    "InsufficientMemory": (undo_rollout,),
    "Unschedulable": (undo_rollout,),
    "PodsNotCreated": (undo_rollout,),
}
_ADVICE_ONLY = {
    "KilledNotOOM": "the memory limit was not the cause, and who sent the signal is not in the API",
    "OOMKilledNoLimit": "how much memory the container needs is not known, so no limit can be derived",
    "ImagePullFailed": "the registry or the network is at fault, not the workload",
    "SchedulingGated": "whoever set the scheduling gate has to remove it",
}


def _next_step(limit: float) -> float:
    grown = limit * 2 if limit < _SMALL_LIMIT else limit * 1.5
    return math.ceil(grown / 2**20) * 2**20


def _memory_ceiling(view: View, workload: Object, bounds: Bounds) -> tuple[float, str]:
    """(bytes, whose bound it is): the lowest of the user's, the LimitRanges' and the largest node's."""
    namespace = workload["metadata"].get("namespace", "")
    ceilings = [(bounds.memory_cap, "option memory_limit_max")]
    for limits in view.objects.get("limitranges", []):
        for item in limits["spec"].get("limits", []):
            if limits["metadata"]["namespace"] == namespace and item.get("type") == "Container" and "memory" in item.get("max", {}):
                ceilings.append((amount(item["max"]["memory"]), f"LimitRange {limits['metadata']['name']}"))
    nodes = [
        amount(node["status"]["allocatable"]["memory"])
        for node in view.objects.get("nodes", [])
        if "memory" in node.get("status", {}).get("allocatable", {})
    ]
    if nodes:
        ceilings.append((max(nodes), "the largest node"))
    return min(ceilings)


def _quota_refuses(view: View, workload: Object, more: float) -> str:
    for quota in view.objects.get("resourcequotas", []):
        if quota["metadata"]["namespace"] != workload["metadata"].get("namespace"):
            continue
        hard, used = quota.get("status", {}).get("hard", {}), quota.get("status", {}).get("used", {})
        pods = (
            workload.get("status", {}).get("desiredNumberScheduled", 1)
            if workload["kind"] == "DaemonSet"
            else workload["spec"].get("replicas", 1)
        )
        needed = more * pods
        if "limits.memory" in hard and amount(used.get("limits.memory", "0")) + needed > amount(hard["limits.memory"]):
            return (
                f"ResourceQuota {quota['metadata']['name']} allows {hard['limits.memory']} of memory limits,"
                f" {used.get('limits.memory', '0')} are used, and {memory(needed)} more would be needed"
            )
    return ""


def _managed(workload: Object) -> list[str]:
    metadata = workload["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if labels.get("app.kubernetes.io/managed-by") == "Helm" or "meta.helm.sh/release-name" in annotations:
        return [
            f"Helm release {annotations.get('meta.helm.sh/release-name', '')} owns this object: put the same change into its values, or the"
            " next upgrade takes it back"
        ]
    if any(key.startswith("argocd.argoproj.io/") for key in (*labels, *annotations)) or any(
        key.startswith("kustomize.toolkit.fluxcd.io/") for key in labels
    ):
        return ["a GitOps controller owns this object: put the same change into its repository, or it is taken back"]
    return []


def _all_containers(workload: Mapping[str, Any]) -> list[dict[str, Any]]:
    spec = workload["spec"]["template"]["spec"]
    return [*spec.get("initContainers", []), *spec.get("containers", [])]


def _revision(replicaset: Object) -> int:
    text = (replicaset["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def _stops_all_pods_first(deployment: Object) -> bool:
    """Whether a rollout leaves no old pod that could show that its revision works: otherwise working ones are kept."""
    strategy = deployment["spec"].get("strategy") or {}
    unavailable = str((strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%"))
    replicas = deployment["spec"].get("replicas", 1)
    return strategy.get("type") == "Recreate" or unavailable == "100%" or (unavailable.isdigit() and int(unavailable) >= replicas)


def _literal_secrets(template: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    """(container, name, value) of environment variables that hold a secret literally."""
    return {
        (container["name"], one["name"], one["value"])
        for container in [*template["spec"].get("initContainers", []), *template["spec"].get("containers", [])]
        for one in container.get("env", [])
        if "value" in one and holds_secret(one["name"], one["value"])
    }


def _carries_secret(operations: list[dict[str, Any]], known: set[str]) -> bool:
    """Whether a patch would write a literal secret into the plan: one of the known values, or what looks like one by name or value."""
    return any(_holds_secret(operation["path"].rpartition("/")[2], operation.get("value"), known) for operation in operations)


def _holds_secret(name: str, value: Any, known: set[str]) -> bool:
    if isinstance(value, dict):
        named: bool = isinstance(value.get("name"), str) and holds_secret(value["name"], value.get("value"))
        return named or any(_holds_secret(key, one, known) for key, one in value.items() if key not in _REFERENCES)
    if isinstance(value, list):
        return any(_holds_secret("", one, known) for one in value)
    return isinstance(value, str) and (value in known or (name not in _REFERENCES and holds_secret(name, value)))


def _reaches(service: Object, host: str, workload: Object) -> bool:
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    first, *rest = host.split(".")
    return bool(first == name and (rest[0] if rest else workload["metadata"].get("namespace")) == namespace)


def _ready_since(view: View, service: Object) -> str:
    """Since when the first ready pod behind a Service has been ready; empty where it has no ready endpoint."""
    namespace = service["metadata"]["namespace"]
    names = {
        endpoint.get("targetRef", {}).get("name")
        for endpoints in view.objects.get("endpointslices", [])
        if endpoints["metadata"].get("labels", {}).get("kubernetes.io/service-name") == service["metadata"]["name"]
        and endpoints["metadata"]["namespace"] == namespace
        for endpoint in endpoints.get("endpoints") or []
        if endpoint.get("conditions", {}).get("ready")
    }
    times = [
        condition.get("lastTransitionTime") or clock.stamp(view.now)
        for pod in view.objects["pods"]
        if pod["metadata"]["name"] in names and pod["metadata"]["namespace"] == namespace
        for condition in pod.get("status", {}).get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]
    return min(times, default="")
