# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Builders for API objects as controllers and the kubelet write them, and for snapshots of them. Times are seconds ago."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.analysis import analyse
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding

Object = dict[str, Any]
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
RESOURCES = {
    "Pod": "pods",
    "Event": "events",
    "ReplicaSet": "replicasets",
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "Job": "jobs",
    "Service": "services",
    "EndpointSlice": "endpointslices",
    "ConfigMap": "configmaps",
    "ResourceQuota": "resourcequotas",
    "LimitRange": "limitranges",
    "Node": "nodes",
    "Namespace": "namespaces",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "NetworkPolicy": "networkpolicies",
    "IngressClass": "ingressclasses",
    "Ingress": "ingresses",
    "CronJob": "cronjobs",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "PersistentVolume": "persistentvolumes",
    "StorageClass": "storageclasses",
    "ServiceAccount": "serviceaccounts",
    "PriorityClass": "priorityclasses",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
}


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def snapshot(*items: Object, logs: dict[str, Any] | None = None) -> dict[str, Any]:
    """logs: pod or pod/container -> text of the run that ended, or {current, previous}."""
    objects: dict[str, list[Object]] = {name: [] for name in RESOURCES.values()}
    for item in items:
        objects[RESOURCES[item["kind"]]].append(item)
    kept = {
        f"shop/{key}" if "/" in key else f"shop/{key}/app": text if isinstance(text, dict) else {"current": text, "previous": text}
        for key, text in (logs or {}).items()
    }
    return {
        "schema": "aiops.k8s/snapshot/v1",
        "taken_at": NOW.isoformat().replace("+00:00", "Z"),
        "user": "reader",
        "objects": objects,
        "logs": kept,
        "cluster": {"server": "https://127.0.0.1:6443", "uid": "cluster-1", "version": "v1.34.4"},
        "coverage": {"read": sorted(name for name in objects if name != "nodes" or objects[name]), "not_evaluated": []},
    }


def meta(kind: str, name: str, owner: Object | None = None, **more: Any) -> Object:
    owners = [{"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}] if owner else []
    return {"name": name, "namespace": "shop", "uid": f"uid-{kind.lower()}-{name}", **({"ownerReferences": owners} if owners else {}), **more}


def ended(code: int, reason: str = "", seconds: float = 30, message: str = "") -> Object:
    """How a run ended."""
    reason = reason or ("Completed" if code == 0 else "Error")
    return {
        "exitCode": code,
        "reason": reason,
        "startedAt": ago(seconds + 2),
        "finishedAt": ago(seconds),
        **({"message": message} if message else {}),
    }


def status(state: str, name: str = "app", restarts: int = 0, ready: bool = False, last: Object | None = None, **detail: Any) -> Object:
    """The status of a container that is ``running``, ``waiting`` or ``terminated``."""
    return {"name": name, "ready": ready, "restartCount": restarts, "state": {state: detail}, "lastState": {"terminated": last} if last else {}}


def running(name: str = "app", restarts: int = 0, ready: bool = True, last: Object | None = None, since: float = 7200) -> Object:
    return status("running", name, restarts, ready, last, startedAt=ago(since))


def waiting(reason: str, message: str = "", name: str = "app", restarts: int = 0, last: Object | None = None) -> Object:
    return status("waiting", name, restarts, False, last, reason=reason, **({"message": message} if message else {}))


def looping(last: Object, restarts: int = 4, name: str = "app") -> Object:
    """Between two runs of a crash loop."""
    text = f"back-off 1m20s restarting failed container={name} pod=web-1_shop(uid-pod-web-1)"
    return waiting("CrashLoopBackOff", text, name, restarts, last)


def spec(name: str = "app", **more: Any) -> Object:
    return {"name": name, "image": "shop/web:1", "resources": {}, **more}


def pod(
    *statuses: Object,
    name: str = "web-1",
    owner: Object | None = None,
    specs: list[Object] | None = None,
    init: list[Object] | None = None,
    init_statuses: list[Object] | None = None,
    phase: str = "Running",
    conditions: list[Object] | None = None,
    node: str = "node-1",
    **metadata: Any,
) -> Object:
    ready = bool(statuses) and all(one["ready"] for one in statuses)
    found = [{"type": "Ready", "status": str(ready)}] if conditions is None else conditions
    pod_spec = {
        "restartPolicy": "Always",
        "containers": specs or [spec()],
        **({"nodeName": node} if node else {}),
        **({"initContainers": init} if init else {}),
    }
    pod_status = {
        "phase": phase,
        "conditions": found,
        **({"containerStatuses": list(statuses)} if statuses else {}),
        **({"initContainerStatuses": init_statuses} if init_statuses else {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta("Pod", name, owner, creationTimestamp=ago(600), **metadata),
        "spec": pod_spec,
        "status": pod_status,
    }


def pending(message: str, reason: str = "Unschedulable", **more: Any) -> Object:
    """A pod that found no node."""
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message, "lastTransitionTime": ago(60)}
    return pod(phase="Pending", conditions=[condition], node="", **more)


def controller(
    kind: str, name: str = "web", owner: Object | None = None, replicas: int | None = 1, template: Object | None = None, **more: Any
) -> Object:
    template = template or {"metadata": {"labels": {"app": name}}, "spec": {"containers": [spec()]}}
    body = {**({} if replicas is None else {"replicas": replicas}), "selector": {"matchLabels": {"app": name}}, "template": template}
    version = "batch/v1" if kind == "Job" else "apps/v1"
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": meta(kind, name, owner, generation=2),
        "spec": body,
        "status": {"replicas": replicas or 0},
        **more,
    }


def deployment(name: str = "web", **more: Any) -> Object:
    made = controller("Deployment", name, **more)
    made["spec"]["strategy"] = {"type": "Recreate"}  # so that no old pod has to be there to show that a revision worked
    return made


def replicaset(owner: Object, revision: int = 1, ready: int = 0, **more: Any) -> Object:
    made = controller("ReplicaSet", f"{owner['metadata']['name']}-{revision}", owner, **more)
    made["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": str(revision)}
    made["status"]["readyReplicas"] = ready
    return made


def event(about: Object, reason: str, message: str, seconds: float = 20, container: str = "", count: int = 3) -> Object:
    metadata = about["metadata"]
    involved = {
        "kind": about["kind"],
        "namespace": "shop",
        "name": metadata["name"],
        "uid": metadata["uid"],
        **({"fieldPath": f"spec.containers{{{container}}}"} if container else {}),
    }
    name = f"{metadata['name']}.{abs(hash((reason, message, seconds)))}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "shop", "uid": name},
        "reason": reason,
        "message": message,
        "involvedObject": involved,
        "lastTimestamp": ago(seconds),
        "count": count,
    }


def node(name: str = "node-1", cpu: str = "4", memory: str = "8Gi") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "status": {"allocatable": {"cpu": cpu, "memory": memory}},
    }


def findings(taken: dict[str, Any], workload: str = "", pod_name: str = "") -> list[Finding]:
    return analyse(taken, workload, pod_name)[1]


def codes(taken: dict[str, Any]) -> list[str]:
    return [finding.code for finding in findings(taken)]


def only(taken: dict[str, Any]) -> Finding:
    """The one finding of a snapshot."""
    found = findings(taken)
    assert len(found) == 1, [finding.code for finding in found]
    return found[0]


def excerpts(taken: dict[str, Any]) -> str:
    """All evidence, as text."""
    return "\n".join(f"{fact['source']}: {fact['excerpt']}" for fact in analyse(taken)[2].facts)
