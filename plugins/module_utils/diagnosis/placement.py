# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for pods that find no node, and for controllers that cannot create their pods."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, View, event_evidence

_INSUFFICIENT = re.compile(r"(?P<nodes>\d+) Insufficient (?P<resource>[a-z0-9./-]*[a-z0-9])")
_REASONS = (
    (
        "had untolerated taint",
        "no node is without a taint that the pod does not tolerate",
        "Tolerate the taint in the pod template, or free a node of it.",
    ),
    ("were unschedulable", "the nodes are cordoned", "Uncordon a node once it is fit for work."),
    (
        "didn't match Pod's node affinity/selector",
        "no node has the labels that the pod's nodeSelector or affinity asks for",
        "Correct the nodeSelector, or label a node.",
    ),
    ("pod anti-affinity", "the pod's anti-affinity excludes every node", "Soften the anti-affinity to preferred, or use fewer replicas."),
    ("topology spread", "the pod's topology spread constraints exclude every node", "Soften the constraint, or use fewer replicas."),
    (
        "persistentvolumeclaim",
        "a PersistentVolumeClaim of the pod is missing or not bound",
        "Create the claim, or correct its storage class.",
    ),
    ("free ports", "the host port of the pod is taken on every node", "Drop the hostPort."),
)


def unschedulable(view: View, pod: dict[str, Any], evidence: Evidence) -> Finding | None:
    condition = next(
        (one for one in pod.get("status", {}).get("conditions", []) if one["type"] == "PodScheduled" and one["status"] == "False"), None
    )
    if condition is None or pod["spec"].get("nodeName"):
        return None
    message = condition.get("message", "")
    name = pod["metadata"]["name"]
    ids = [
        evidence.add(
            f"pod/{name} status.conditions[PodScheduled]",
            condition.get("lastTransitionTime") or "",
            f"{condition.get('reason')}: {message}",
        )
    ]
    ids += event_evidence(evidence, view.events(pod, "FailedScheduling"))
    lacking = {match["resource"]: int(match["nodes"]) for match in _INSUFFICIENT.finditer(message)}
    for resource, code in (("cpu", "InsufficientCPU"), ("memory", "InsufficientMemory")):
        if resource in lacking:
            asked = _requested(pod, resource)
            largest = max(
                (
                    (node.get("status", {}).get("allocatable", {}).get(resource, ""), node["metadata"]["name"])
                    for node in view.objects.get("nodes", [])
                ),
                key=lambda pair: _amount(pair[0]),
                default=("", ""),
            )
            bound = f" The most that any node can give is {largest[0]} (node {largest[1]})." if largest[0] else ""
            if largest[0]:
                ids.append(evidence.add(f"node/{largest[1]} status.allocatable", "", f"{resource}: {largest[0]}"))
            return Finding(
                code=code,
                evidence=ids,
                details={"resource": resource, "requested": asked},
                title=f"no node has enough {resource} for the pod's request of {asked}",
                root_cause=(
                    f"The scheduler cannot place the pod: {lacking[resource]} node(s) lack {resource} for its request of {asked}.{bound}"
                ),
                suggested_fix=f"Lower the {resource} request to what the workload uses, free capacity, or add a node.",
                expected_outcome="The pod is scheduled and starts.",
            )
    what, fix = next(
        ((what, fix) for words, what, fix in _REASONS if words.lower() in message.lower()),
        (message[:200].rstrip(". ") or "the scheduler gave no reason", "Read the scheduler's message."),
    )
    return Finding(
        code="SchedulingGated" if condition.get("reason") == "SchedulingGated" else "Unschedulable",
        evidence=ids,
        details={},
        title="the pod cannot be placed on any node",
        root_cause=f"The scheduler cannot place the pod: {what}.",
        suggested_fix=fix,
        expected_outcome="The pod is scheduled and starts.",
    )


def pods_not_created(view: View, controller: dict[str, Any], evidence: Evidence) -> Finding | None:
    """A ReplicaSet (or another controller) that wants pods and is refused by quota, admission, or a missing service account."""
    wanted = controller.get("spec", {}).get("replicas", 0)
    if not wanted or controller.get("status", {}).get("replicas", 0) >= wanted:
        return None
    events = view.events(controller, "FailedCreate")
    if not events:
        return None
    message = events[-1].get("message", "")
    cause = next(
        (
            text
            for words, text in (
                ("exceeded quota", "a ResourceQuota of the namespace is used up"),
                ("must specify", "a ResourceQuota asks for requests or limits that the pod does not state"),
                ("violates PodSecurity", "the namespace's Pod Security level forbids it"),
                ("admission webhook", "an admission webhook refused it"),
                ("serviceaccount", "its service account does not exist"),
                ("is forbidden", "the API server forbids it"),
            )
            if words in message
        ),
        "the API server refused it",
    )
    return Finding(
        code="PodsNotCreated",
        evidence=event_evidence(evidence, events),
        details={},
        title=f"pods cannot be created: {cause}",
        root_cause=f"{controller['kind']} {controller['metadata']['name']} cannot create its pods, because {cause}: {message[:300]}",
        suggested_fix="Correct what the message names: the quota, the pod's resources or security context, or the service account.",
        expected_outcome="The controller creates its pods within a minute.",
    )


def _requested(pod: dict[str, Any], resource: str) -> str:
    values = [container.get("resources", {}).get("requests", {}).get(resource) for container in pod["spec"].get("containers", [])]
    return " + ".join(value for value in values if value) or "0"


def _amount(quantity: str) -> float:
    from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.quantity import amount

    return amount(quantity) if quantity else 0.0
