# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether a workload can be resized in place (resize.py), and why not, as a sentence without its end; "" where it can."""

from __future__ import annotations

import copy
from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.errors import library
from ansible_collections.aiops.k8s.plugins.module_utils.operation.resize import HASH, pod_resources

Object = Mapping[str, Any]
_RESIZED = ("cpu", "memory")
_OTHERS = {
    "StatefulSet": "the revisions of a StatefulSet cannot be changed, so its template cannot be kept in step without replacing the pods",
    "DaemonSet": "the revisions of a DaemonSet cannot be changed, so its template cannot be kept in step without replacing the pods",
}


def supported(api: Api) -> str:
    """Why a cluster cannot resize pods in place: it has to serve pods/resize, which Kubernetes does since 1.33."""
    served = api.get("/api/v1") or {}
    if any(one.get("name") == "pods/resize" for one in served.get("resources", [])):
        return ""
    version = (api.get("/version") or {}).get("gitVersion", "of an unknown version")
    return f"the API server ({version}) does not serve pods/resize, which Kubernetes does since 1.33"


def refusal(live: Object, desired: Object, replicaset: Object, pods: Sequence[Object]) -> str:
    """Why these pods of this ReplicaSet cannot be resized to what the desired Deployment says. ``pods``: all that live."""
    if live["kind"] != "Deployment":
        return _OTHERS.get(live["kind"], f"a {live['kind']} is not resized in place")
    found = _not_now(live, replicaset, pods) or _more_than_sizes(live, desired)
    if found:
        return found
    old, new = ({one["name"]: one for one in each["spec"]["template"]["spec"]["containers"]} for each in (live, desired))
    sizes = {
        name: {"before": one.get("resources") or {}, "after": new[name].get("resources") or {}}
        for name, one in old.items()
        if (one.get("resources") or {}) != (new[name].get("resources") or {})
    }
    each = (_container(name, sizes[name], old[name]) for name in sizes)
    return next((one for one in each if one), "") or next((one for pod in pods if (one := _pod(pod, sizes))), "")


def _not_now(live: Object, replicaset: Object, pods: Sequence[Object]) -> str:
    """What has to be over first."""
    name, status = live["metadata"]["name"], live.get("status") or {}
    template = copy.deepcopy(replicaset["spec"]["template"])
    template["metadata"].get("labels", {}).pop(HASH, None)
    wanted = live["spec"].get("replicas", 1)
    if live["spec"].get("paused"):
        return f"deployment/{name} is paused"
    if not _owned(replicaset, live) or template != live["spec"]["template"]:
        return f"replicaset/{replicaset['metadata']['name']} does not have the template of deployment/{name}"
    if status.get("observedGeneration", 0) < live["metadata"].get("generation", 0) or status.get("replicas", 0) != status.get(
        "updatedReplicas", 0
    ):
        return f"a rollout of deployment/{name} is not over"
    if not pods or len(pods) != wanted or not all(_owned(pod, replicaset) for pod in pods):
        return f"deployment/{name} wants {wanted} pods of its newest revision, and there are {len(pods)}"
    waiting = [pod["metadata"]["name"] for pod in pods if pod["status"].get("phase") != "Running"]
    return f"pod/{waiting[0]} does not run yet" if waiting else ""


def _more_than_sizes(live: Object, desired: Object) -> str:
    """Whether anything else than resources of containers would change."""
    plain = []
    for one in (live, desired):
        spec = copy.deepcopy(dict(one["spec"]))
        for container in spec["template"]["spec"]["containers"]:
            container.pop("resources", None)
        plain.append(spec)
    if plain[0] != plain[1]:
        return "more than the resources of containers would change, which needs new pods"
    return "" if live["spec"] != desired["spec"] else "nothing would change"


def _container(name: str, size: Object, container: Object) -> str:
    policies = {one["resourceName"]: one["restartPolicy"] for one in container.get("resizePolicy") or []}
    pairs = {
        (part, resource): [(size[which].get(part) or {}).get(resource) for which in ("before", "after")]
        for part in ("requests", "limits")
        for which in ("before", "after")
        for resource in size[which].get(part) or {}
    }
    for (part, resource), (before, after) in pairs.items():
        if before == after:
            continue
        if resource not in _RESIZED:
            return f"{resource} of container {name} would change, and only {' and '.join(_RESIZED)} can be resized in place"
        if after is None:
            return f"the {resource} {part[:-1]} of container {name} would be removed, which pods/resize refuses"
        if policies.get(resource) == "RestartContainer":
            return f"container {name} says that it has to be restarted when its {resource} changes (resizePolicy RestartContainer)"
    return ""


def _pod(pod: Object, sizes: Object) -> str:
    """Whether a pod has a size of its own, or would get another QoS class."""
    name, now, then = pod["metadata"]["name"], [], []
    for container in pod["spec"]["containers"]:
        has = container.get("resources") or {}
        one = container["name"]
        if one in sizes and _sizes(pod_resources(sizes, "before", one, has)) != _sizes(has):
            return f"pod/{name} has other resources than its template says"
        now.append(has)
        then.append(pod_resources(sizes, "after", one, has) if one in sizes else has)
    if pod["spec"].get("resources"):
        return f"pod/{name} has resources of its own beside those of its containers"
    others = [one.get("resources") or {} for one in pod["spec"].get("initContainers") or []]
    before, after = _qos([*now, *others]), _qos([*then, *others])
    return f"pod/{name} would change its QoS class from {before} to {after}, which needs a new pod" if before != after else ""


def _qos(containers: Sequence[Object]) -> str:
    """The QoS class of a pod with these resources of containers, as the kubelet computes it."""
    sized = [_sizes(one) for one in containers]
    if not any(one for one in sized):
        return "BestEffort"
    whole = all(
        one.get(("limits", resource)) is not None and one.get(("requests", resource)) == one.get(("limits", resource))
        for one in sized
        for resource in _RESIZED
    )
    return "Guaranteed" if whole else "Burstable"


def _sizes(resources: Object) -> dict[tuple[str, str], float]:
    amount = library("kubernetes.utils.quantity").parse_quantity
    return {
        (part, resource): float(amount(value))
        for part in ("requests", "limits")
        for resource, value in (resources.get(part) or {}).items()
        if resource in _RESIZED
    }


def _owned(one: Object, owner: Object) -> bool:
    return any(each["uid"] == owner["metadata"]["uid"] for each in one["metadata"].get("ownerReferences", []))
