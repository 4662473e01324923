# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The lists that a snapshot is made of, and reading one of them: page by page, slimmed as it comes in.

SOURCES is the only place that names them. Secrets are never read; of ConfigMaps and service accounts only the metadata.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import METADATA, Api, ApiError, segment
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.slim import Events, Keeper, Pods, ReplicaSets

Object = dict[str, Any]

# Events that only say that all went well, by the thousand. The server leaves them out.
ROUTINE = (
    "Scheduled",
    "Pulling",
    "Pulled",
    "Created",
    "Started",
    "SuccessfulCreate",
    "ScalingReplicaSet",
    "LeaderElection",
    "RegisteredNode",
    "NodeAllocatableEnforced",
    "NodeHasSufficientMemory",
    "NodeHasSufficientPID",
    "NodeHasNoDiskPressure",
)
# Failures whose end only a routine event tells. These are asked for, one object at a time.
ENDED_BY_ROUTINE = ("FailedCreatePodSandBox", "NetworkNotReady", "FailedPodSandBoxStatus", "FailedCreate")
_MOST_OBJECTS = 40
DNS = {"pods": "k8s-app=kube-dns", "endpointslices": "k8s-app=kube-dns"}
DNS_NAMESPACE = "kube-system"


class Source(NamedTuple):
    """One list to read: its API path, whether it lies in namespaces, whether no diagnosis is possible without it."""

    kind: str
    group: str
    namespaced: bool = True
    essential: bool = False
    accept: str = "application/json"
    query: Mapping[str, str] = {}
    keeper: Callable[[], Keeper] = Keeper


_ROUTINE_LEFT_OUT = {"fieldSelector": ",".join(f"reason!={reason}" for reason in ROUTINE)}

SOURCES: dict[str, Source] = {
    "pods": Source("Pod", "/api/v1", essential=True, keeper=Pods),
    "events": Source("Event", "/api/v1", essential=True, query=_ROUTINE_LEFT_OUT, keeper=Events),
    "replicasets": Source("ReplicaSet", "/apis/apps/v1", essential=True, keeper=ReplicaSets),
    "deployments": Source("Deployment", "/apis/apps/v1", essential=True),
    "statefulsets": Source("StatefulSet", "/apis/apps/v1"),
    "daemonsets": Source("DaemonSet", "/apis/apps/v1"),
    "controllerrevisions": Source("ControllerRevision", "/apis/apps/v1"),
    "jobs": Source("Job", "/apis/batch/v1"),
    "cronjobs": Source("CronJob", "/apis/batch/v1"),
    "services": Source("Service", "/api/v1"),
    "endpointslices": Source("EndpointSlice", "/apis/discovery.k8s.io/v1"),
    "ingresses": Source("Ingress", "/apis/networking.k8s.io/v1"),
    "networkpolicies": Source("NetworkPolicy", "/apis/networking.k8s.io/v1"),
    "resourcequotas": Source("ResourceQuota", "/api/v1"),
    "limitranges": Source("LimitRange", "/api/v1"),
    "persistentvolumeclaims": Source("PersistentVolumeClaim", "/api/v1"),
    "configmaps": Source("ConfigMap", "/api/v1", accept=METADATA),
    "serviceaccounts": Source("ServiceAccount", "/api/v1", accept=METADATA),
    "horizontalpodautoscalers": Source("HorizontalPodAutoscaler", "/apis/autoscaling/v2"),
    "poddisruptionbudgets": Source("PodDisruptionBudget", "/apis/policy/v1"),
    "namespaces": Source("Namespace", "/api/v1", namespaced=False),
    "nodes": Source("Node", "/api/v1", namespaced=False),
    "persistentvolumes": Source("PersistentVolume", "/api/v1", namespaced=False),
    "storageclasses": Source("StorageClass", "/apis/storage.k8s.io/v1", namespaced=False),
    "csidrivers": Source("CSIDriver", "/apis/storage.k8s.io/v1", namespaced=False),
    "ingressclasses": Source("IngressClass", "/apis/networking.k8s.io/v1", namespaced=False),
    "priorityclasses": Source("PriorityClass", "/apis/scheduling.k8s.io/v1", namespaced=False),
    "validatingwebhookconfigurations": Source("ValidatingWebhookConfiguration", "/apis/admissionregistration.k8s.io/v1", namespaced=False),
    "mutatingwebhookconfigurations": Source("MutatingWebhookConfiguration", "/apis/admissionregistration.k8s.io/v1", namespaced=False),
}


def read(api: Api, name: str, namespace: str) -> tuple[list[Object], str]:
    """(objects, the verb that was missing). Raises ApiError where an essential list cannot be had for another reason."""
    source = SOURCES[name]
    if name == "namespaces" and namespace:
        return _one(api, namespace)
    within = f"/namespaces/{segment(namespace)}" if source.namespaced and namespace else ""
    try:
        return collect(api, source, f"{source.group}{within}/{name}", source.query), ""
    except ApiError as error:
        if error.status != 403 and source.essential:
            raise
        why = "" if error.status == 403 else f" ({error.status} {error.reason})"
        return [], f"list {name}" + (f" in namespace {namespace}" if within else " in the cluster") + why


def collect(api: Api, source: Source, path: str, query: Mapping[str, str]) -> list[Object]:
    """The objects of one list, slimmed. Raises ApiError."""
    keeper = source.keeper()
    version = source.group.split("/", 2)[2]
    for item in api.pages(path, query, source.accept):
        item["apiVersion"], item["kind"] = version, source.kind  # the items of a list do not carry them
        keeper.add(item)
    return keeper.items


def _one(api: Api, namespace: str) -> tuple[list[Object], str]:
    """The namespace itself; none where it does not exist. Who may not read it may still read inside it."""
    try:
        found = api.get(f"/api/v1/namespaces/{segment(namespace)}")
    except ApiError as error:
        if error.status != 403:
            raise
        return [], f"get namespace {namespace}"
    keeper = Keeper()
    if found:
        keeper.add({**found, "apiVersion": "v1", "kind": "Namespace"})
    return keeper.items, ""


def dns(api: Api) -> tuple[dict[str, list[Object]], str]:
    """({"pods", "endpointslices"} of the cluster's DNS, the verb that was missing): whether names can be resolved concerns every namespace."""
    found = {}
    for name, selector in DNS.items():
        source = SOURCES[name]
        try:
            found[name] = collect(api, source, f"{source.group}/namespaces/{DNS_NAMESPACE}/{name}", {"labelSelector": selector})
        except ApiError as error:
            why = "" if error.status == 403 else f" ({error.status} {error.reason})"
            return {}, f"list {name} in namespace {DNS_NAMESPACE}{why}"
    return found, ""


def endings(api: Api, namespace: str, events: list[Object]) -> list[Object]:
    """The routine events about objects that failed in a way whose end only those tell; in the whole cluster of at most 40 such objects."""
    failed = [event["involvedObject"] for event in events if event.get("reason") in ENDED_BY_ROUTINE]
    uids = list(dict.fromkeys(one.get("uid", "") for one in failed))[-_MOST_OBJECTS:]
    source = SOURCES["events"]
    selectors = ["type=Normal"] if namespace and uids else [f"involvedObject.uid={uid}" for uid in uids]
    path = f"{source.group}{f'/namespaces/{segment(namespace)}' if namespace else ''}/events"
    found = [event for selector in selectors for event in collect(api, source, path, {"fieldSelector": selector})]
    return [event for event in found if event.get("reason") in ROUTINE and event["involvedObject"].get("uid", "") in uids]
