# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Builders for workloads, their pods and autoscalers, and for load verdicts, as the tests of recommendations need them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]
SERVED = {"apps", "autoscaling", "metrics.k8s.io"}
REQUESTS = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
REPLICAS_FIELD: Object = {"f:spec": {"f:replicas": {}}}


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> Object:
    result = copy.deepcopy(dict(base))
    for key, value in more.items():
        result[key] = merged(result[key], value) if isinstance(value, Mapping) and isinstance(result.get(key), Mapping) else copy.deepcopy(value)
    return result


def container(name: str = "app", **more: Any) -> Object:
    return {"name": name, "image": "app:1", "resources": REQUESTS, **more}


def workload(kind: str = "Deployment", replicas: int = 2, more: Mapping[str, Any] | None = None, spec: Mapping[str, Any] | None = None) -> Object:
    """``spec``: of the pod template."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container()], **(spec or {})}}
    base = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "w",
            "generation": 1,
            "managedFields": [{"manager": "kubectl-create", "fieldsV1": {}}],
        },
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template},
        "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas},
    }
    return merged(base, more or {})


def written_by(manager: str, operation: str = "Update", subresource: str = "") -> Object:
    entry = {"manager": manager, "operation": operation, "subresource": subresource, "time": "2026-11-21T11:00:00Z", "fieldsV1": REPLICAS_FIELD}
    return {"metadata": {"managedFields": [entry]}}


def pod(number: int, begun: int = 0, ready: int = 10, pull: int = 0, restarts: int = 0, spec: Mapping[str, Any] | None = None, **more: Any) -> Object:
    """A ready pod of the workload; seconds after twelve o'clock when it got its node, and when it was ready."""
    status = {
        "phase": "Running",
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": at(begun)},
            {"type": "Ready", "status": "True", "lastTransitionTime": at(ready)},
        ],
        "containerStatuses": [{"name": "app", "ready": True, "restartCount": restarts, "state": {"running": {"startedAt": at(begun + pull + 1)}}}],
    }
    metadata = {
        "name": f"web-{number}",
        "namespace": "shop",
        "uid": f"p{number}",
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web-1", "uid": "rs", "controller": True}],
    }
    return merged({"metadata": metadata, "spec": {"containers": [container()], **(spec or {})}, "status": status}, more)


def at(seconds: int) -> str:
    return f"2026-11-21T{12 + seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}Z"


def replicaset(owner: str = "w") -> Object:
    return {
        "metadata": {
            "name": "web-1",
            "namespace": "shop",
            "uid": "rs",
            "ownerReferences": [{"kind": "Deployment", "name": "web", "uid": owner, "controller": True}],
        }
    }


def objects(*pods: Object, **lists: list[Object]) -> dict[str, list[Object]]:
    return {
        "pods": list(pods or [pod(1), pod(2)]),
        "replicasets": [replicaset()],
        "horizontalpodautoscalers": [],
        "persistentvolumeclaims": [],
        **lists,
    }


def named(name: str, spec: Mapping[str, Any], metadata: Mapping[str, Any] | None = None, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "shop", "uid": f"u-{name}", **(metadata or {})}, "spec": spec, **more}


TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def cpu_metric(percent: int) -> Object:
    return {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}}


def hpa(name: str = "web", low: int = 2, high: int = 10, percent: int = 60, metadata: Mapping[str, Any] | None = None, **more: Any) -> Object:
    spec = {"scaleTargetRef": TARGET, "minReplicas": low, "maxReplicas": high, "metrics": [cpu_metric(percent)], **more.pop("spec", {})}
    return named(name, spec, metadata, **more)


def load(mean: float = 0.9, peak: float = 1.0, **more: Any) -> Object:
    base: Object = {
        "verdict": "sustained",
        "reason": "CPU was at or above 70 % of the request for all of the last 5 min.",
        "resource": "cpu",
        "threshold": 0.7,
        "window_seconds": 300,
        "utilisation": {"current": mean, "mean": mean, "peak": peak, "low": mean},
        "request_per_pod": 0.1,
        "series": [[float(second), mean] for second in range(0, 300, 15)],
    }
    return {**base, **more}


def placement(fits: int, asked: int = 100, what: str = "cpu", **more: Any) -> Object:
    binds = None if fits >= asked else {"what": what, "sentence": f"{what} binds first."}
    return {"asked": asked, "fits": min(fits, asked), "binds_first": binds, "warnings": [], "quota": {"fits": None}, **more}


STARTS = {"seconds": 10.0, "measured": True, "sentence": "Its pods needed 10 s from node to ready."}
