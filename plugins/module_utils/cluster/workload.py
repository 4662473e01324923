# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a workload, a Service in front of one, or an autoscaler above one looks like right now, as plain data: the same for every kind."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, segment
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready, statuses_of

State = dict[str, Any]

# kind -> (apiVersion, status keys of wanted, updated and available pods; None means spec.replicas)
KINDS: dict[str, tuple[str, str | None, str, str]] = {
    "Deployment": ("apps/v1", None, "updatedReplicas", "availableReplicas"),
    "StatefulSet": ("apps/v1", None, "updatedReplicas", "availableReplicas"),
    "DaemonSet": ("apps/v1", "desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"),
    "ReplicaSet": ("apps/v1", None, "fullyLabeledReplicas", "availableReplicas"),
    "Service": ("v1", None, "", ""),
    "HorizontalPodAutoscaler": ("autoscaling/v2", None, "", ""),
}
_RESIZES = ("PodResizePending", "PodResizeInProgress")
_ABSENT: State = {"exists": False, "uid": "", "annotations": {}, "settled": False, "wanted": 0, "updated": 0, "available": 0, "pods": []}


def observe(api: Api, subject: Mapping[str, str]) -> State:
    """The state of a workload:

    exists, uid, annotations{}, settled (the controller has seen the last change), wanted, updated, available,
    pods[]: name, uid, ready, current (of the newest revision), restarts, reasons[] (waiting or terminated),
            containers{name: {wanted, has}} (resources as specified, and as they are), resize (why it is not resized yet, "" where nothing is)
    selector: of the pods, as lists take it

    Of a Service the pods are those that it selects, and available are its endpoints that are ready on ports which the pods declare.
    Of an autoscaler they are those of the workload that it scales, and one key comes on top:

    scaling: active (it reads its metrics and can scale), fault (why not), current, desired, min, max (replicas),
             follows (the workload is set to what it wants), utilisation (fraction of the request, None while unknown)
    """
    live = objects.read(api, {"apiVersion": KINDS[subject["kind"]][0], **subject})
    if live is None:
        return dict(_ABSENT)
    if live["kind"] == "Service":
        return _service(api, live)
    if live["kind"] == "HorizontalPodAutoscaler":
        return summarize_autoscaler(live, observe(api, {"namespace": live["metadata"]["namespace"], **live["spec"]["scaleTargetRef"]}))
    namespace, selector = live["metadata"]["namespace"], selector_of(live["spec"]["selector"])
    listed = list(api.pages(f"/api/v1/namespaces/{segment(namespace)}/pods", {"labelSelector": selector}))
    return {**summarize(live, listed, _revision(api, live, selector)), "selector": selector}


def summarize(live: Mapping[str, Any], pods: list[dict[str, Any]], revision: str) -> State:
    """The state from the objects themselves; pods being deleted do not count."""
    _version, wanted_key, updated_key, available_key = KINDS[live["kind"]]
    spec, status = live["spec"], live.get("status", {})
    mine = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return {
        "exists": True,
        "uid": live["metadata"]["uid"],
        "annotations": live["metadata"].get("annotations") or {},
        "settled": status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0),
        "wanted": status.get(wanted_key, 0) if wanted_key else spec.get("replicas", 1),
        "updated": status.get(updated_key, 0),
        "available": status.get(available_key, 0),
        "pods": sorted((_pod(pod, revision) for pod in mine), key=lambda pod: str(pod["name"])),
    }


def _service(api: Api, live: Mapping[str, Any]) -> State:
    namespace, name = segment(live["metadata"]["namespace"]), live["metadata"]["name"]
    selector = selector_of({"matchLabels": live["spec"].get("selector")})
    pods = list(api.pages(f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": selector})) if selector else []
    slices = list(
        api.pages(
            f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", {"labelSelector": f"kubernetes.io/service-name={name}"}
        )
    )
    return summarize_service(live, pods, slices)


def summarize_service(live: Mapping[str, Any], pods: list[dict[str, Any]], slices: list[dict[str, Any]]) -> State:
    """The state of a Service from the objects themselves."""
    mine = {pod["metadata"]["uid"]: pod for pod in pods if "deletionTimestamp" not in pod["metadata"]}
    reached = {
        (endpoint.get("targetRef") or {}).get("uid", "")
        for one in slices
        for endpoint in one.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") and _declares(mine.get((endpoint.get("targetRef") or {}).get("uid", "")), one)
    }
    states = [_pod(pod, "") for pod in mine.values()]
    return {
        "exists": True,
        "uid": live["metadata"]["uid"],
        "annotations": live["metadata"].get("annotations") or {},
        "settled": True,
        "wanted": max(1, sum(1 for one in states if one["ready"])),
        "updated": len(states),
        "available": len(reached & set(mine)),
        "pods": sorted(states, key=lambda pod: str(pod["name"])),
    }


def summarize_autoscaler(live: Mapping[str, Any], target: State) -> State:
    """The state of an autoscaler from the object itself and the state of what it scales."""
    spec, status = live["spec"], live.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    faults = [
        f"{kind}: {conditions[kind].get('message') or conditions[kind].get('reason')}" if kind in conditions else f"{kind}: not known yet"
        for kind in ("AbleToScale", "ScalingActive")
        if conditions.get(kind, {}).get("status") != "True"
    ]
    current = [one["resource"]["current"] for one in status.get("currentMetrics") or [] if one.get("resource")]
    used = [one["averageUtilization"] / 100 for one in current if one.get("averageUtilization") is not None]
    desired = status.get("desiredReplicas", 0)
    return {
        **target,
        "uid": live["metadata"]["uid"],
        "annotations": live["metadata"].get("annotations") or {},
        "scaling": {
            "active": not faults and target["exists"],
            "fault": "; ".join(faults) if target["exists"] else "what it scales does not exist",
            "current": status.get("currentReplicas", 0),
            "desired": desired,
            "min": spec.get("minReplicas", 1),
            "max": spec["maxReplicas"],
            "follows": bool(desired) and target["wanted"] == desired,
            "utilisation": max(used) if used else None,
        },
    }


def _declares(pod: Mapping[str, Any] | None, endpoints: Mapping[str, Any]) -> bool:
    """Whether the ports of an EndpointSlice are among those that a pod declares; a pod that declares none serves what it likes."""
    if pod is None:
        return False
    declared = {port["containerPort"] for container in pod["spec"].get("containers", []) for port in container.get("ports", [])}
    wanted = {port.get("port") for port in endpoints.get("ports") or []}
    return bool(wanted) and (not declared or wanted <= declared)


def _pod(pod: Mapping[str, Any], revision: str) -> dict[str, Any]:
    labels = pod["metadata"].get("labels", {})
    containers = statuses_of(pod)
    reasons = [
        reason
        for container in containers
        for reason in (
            container.get("state", {}).get("waiting", {}).get("reason"),
            container.get("state", {}).get("terminated", {}).get("reason"),
            container.get("lastState", {}).get("terminated", {}).get("reason"),
        )
        if reason and reason not in ("Completed", "ContainerCreating", "PodInitializing")
    ]
    return {
        "name": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
        "ready": is_ready(pod),
        "current": not revision or revision in (labels.get("pod-template-hash"), labels.get("controller-revision-hash")),
        "restarts": sum(container.get("restartCount", 0) for container in containers),
        "reasons": sorted(set(reasons)),
        "containers": _sizes(pod),
        "resize": _resizing(pod),
    }


def _sizes(pod: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    spec, status = pod.get("spec") or {}, {one.get("name"): one for one in statuses_of(pod)}
    lasting = [one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"]  # the others have ended
    return {
        one["name"]: {"wanted": one.get("resources") or {}, "has": (status.get(one["name"]) or {}).get("resources") or {}}
        for one in [*(spec.get("containers") or []), *lasting]
    }


def _resizing(pod: Mapping[str, Any]) -> str:
    """What the kubelet says about a resize in place that it has not made."""
    said = [one for one in pod.get("status", {}).get("conditions") or [] if one["type"] in _RESIZES and one.get("status") == "True"]
    return "; ".join(": ".join(filter(None, (one.get("reason") or "InProgress", one.get("message")))) for one in said)


def _revision(api: Api, live: Mapping[str, Any], selector: str) -> str:
    """The hash label of the newest revision's pods; empty where revisions do not apply."""
    if live["kind"] == "StatefulSet":
        return str(live.get("status", {}).get("updateRevision", ""))
    if live["kind"] != "Deployment":
        return ""
    wanted = (live["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision")
    namespace = segment(live["metadata"]["namespace"])
    for replicaset in api.pages(f"/apis/apps/v1/namespaces/{namespace}/replicasets", {"labelSelector": selector}):
        annotations = replicaset["metadata"].get("annotations") or {}
        owned = any(owner["uid"] == live["metadata"]["uid"] for owner in replicaset["metadata"].get("ownerReferences", []))
        if owned and annotations.get("deployment.kubernetes.io/revision") == wanted:
            return str(replicaset["metadata"].get("labels", {}).get("pod-template-hash", ""))
    return ""


def selector_of(selector: Mapping[str, Any]) -> str:
    """A label selector as lists take it."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        key, operator, values = expression["key"], expression["operator"], ",".join(expression.get("values") or [])
        parts.append({"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}[operator])
    return ",".join(parts)
