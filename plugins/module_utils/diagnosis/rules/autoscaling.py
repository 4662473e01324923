# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The rule for a HorizontalPodAutoscaler that cannot scale. Limits that are reached are normal."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import is_off, nearby, pod_template
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, reference

_METRICS_GRACE = 120.0  # seconds until the metrics of new pods are there
_LISTS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "ReplicaSet": "replicasets", "DaemonSet": "daemonsets"}
_RESOURCE_OF_REQUEST = re.compile(
    r"missing request for (?P<resource>[\w.-]+)(?: in container (?P<container>\S+))?(?: of Pod (?P<pod>\S+))?"
)


def autoscaler(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """A HorizontalPodAutoscaler whose target or metrics are not there."""
    metadata, target = item["metadata"], item["spec"]["scaleTargetRef"]
    workload = view.named(_LISTS.get(target.get("kind", ""), ""), metadata["namespace"], target["name"])
    for condition in (item.get("status") or {}).get("conditions") or []:
        if condition["status"] != "False" or condition["type"] not in ("AbleToScale", "ScalingActive"):
            continue
        reason, message = condition.get("reason", ""), condition.get("message", "")
        cause = _autoscaler_cause(view, item, workload, reason, message)
        if cause is None:
            continue
        why, fix, facts = cause
        return Finding(
            code="AutoscalerFailing",
            severity="warning",
            object=reference(item),
            evidence=[
                evidence.add(
                    f"horizontalpodautoscaler/{metadata['name']} status.conditions[{condition['type']}]",
                    condition.get("lastTransitionTime") or "",
                    f"{reason}: {message}",
                )
            ],
            details={"reason": reason, **facts},
            title=f"HorizontalPodAutoscaler {metadata['name']} cannot scale {target['kind'].lower()}/{target['name']}",
            root_cause=f"HorizontalPodAutoscaler {metadata['name']} cannot scale {target['kind'].lower()}/{target['name']}: {why}.",
            suggested_fix=fix,
            expected_outcome="The conditions AbleToScale and ScalingActive of the autoscaler become True.",
        )
    return None


def _autoscaler_cause(
    view: View, item: Object, workload: Object | None, reason: str, message: str
) -> tuple[str, str, dict[str, Any]] | None:
    """(why, fix, facts), or None where this is how it should be."""
    metadata, target = item["metadata"], item["spec"]["scaleTargetRef"]
    name = f"{target['kind'].lower()}/{target['name']}"
    if reason == "FailedGetScale":
        plural = _LISTS.get(target.get("kind", ""), "")
        if workload is not None or not plural or not view.was_read(plural):
            return f"its scale cannot be read ({message[:200]})", f"Correct scaleTargetRef ({name}), which cannot be scaled.", {}
        meant = nearby(target["name"], [one["metadata"]["name"] for one in view.inside(plural, metadata["namespace"])])
        return (
            f"{name} does not exist" + (f"; {meant} may be meant" if meant else ""),
            f"Correct scaleTargetRef to {meant or 'a workload that exists'}.",
            {"meant": meant},
        )
    if reason == "ScalingDisabled" or (workload is not None and is_off(workload)):
        return None  # scaled to zero by somebody: the autoscaler waits
    missing = _RESOURCE_OF_REQUEST.search(message)
    if missing and workload is not None:
        resource = missing["resource"]
        without = [one["name"] for one in pod_template(workload)["spec"]["containers"] if resource not in _requests(one)]
        if without:
            who = ", ".join(without)
            return (
                f"container {who} of {name} has no {resource} request, and the target is a percentage of it",
                f"Set resources.requests.{resource} of container {who} in {name}.",
                {"resource": resource, "containers": without},
            )
    pods = view.pods_of(workload) if workload is not None else []
    if reason.startswith("Failed") and (
        view.age(metadata.get("creationTimestamp")) < _METRICS_GRACE or not any(_is_old(view, one) for one in pods)
    ):
        return None  # metrics come with time; pods that are not ready say why themselves
    if "metrics.k8s.io" in message and "custom" not in message and "external" not in message:
        return (
            f"the resource metrics API does not answer ({message[:200]})",
            "Install or mend metrics-server (APIService v1beta1.metrics.k8s.io).",
            {},
        )
    return f"{reason}: {message[:250]}", f"Correct the metric that the message names, in HorizontalPodAutoscaler {metadata['name']}.", {}


def _requests(container: Object) -> set[str]:
    resources = container.get("resources") or {}
    return {*(resources.get("requests") or {}), *(resources.get("limits") or {})}  # the API server copies limits


def _is_old(view: View, pod: Object) -> bool:
    return (
        is_ready(pod) and view.age((pod.get("status") or {}).get("startTime") or pod["metadata"].get("creationTimestamp")) >= _METRICS_GRACE
    )


RULES = (autoscaler,)
