# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Everything about a workload that decides whether and how it may be scaled. Pure functions over plain API objects; nothing raises.

``context(workload, objects, served)``: workload is the live object with its managed fields; objects the lists of the whole cluster (those
that were not read are missing); served the names of the API groups that the server serves (``metrics.k8s.io``, ``keda.sh``...), None
where unknown. The result is plain data:

    workload{apiVersion,kind,namespace,name,uid}, replicas{wanted,ready}, findings[{code,severity,sentence,fix}],
    hpa (the object or None), hpa_names[], hpa_owner (see ownership.owner_of), scaled_object (the object or None), vpa_resources[],
    replicas_writers[] or None, can_have_two, sidecars[], limits{cpu,memory} per pod or None, requests{cpu,memory} per pod or None,
    missing_requests{cpu,memory: [container]}, ordered (pods start one after another), surge (maxSurge of a rollout),
    metrics_apis[] or None

severity: "refuse" (no autoscaler here, whatever the load), "owner" (somebody else keeps the field; the option owner_conflict decides),
"warn".
"""

from __future__ import annotations

from typing import Any, Collection, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import hindrances, ownership
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.seen import Seen
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.objects import reference
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import amount

Object = dict[str, Any]
Objects = Mapping[str, list[Object]]

RESOURCES = ("cpu", "memory")
METRICS = ("metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io")
# Containers that stand beside the application, by the names and images that they usually have
_SIDECARS = (
    "istio-proxy",
    "linkerd-proxy",
    "envoy",
    "vault-agent",
    "cloud-sql-proxy",
    "cloudsql-proxy",
    "fluent-bit",
    "fluentd",
    "filebeat",
    "otel",
)


def context(workload: Mapping[str, Any], objects: Objects, served: Collection[str] | None = None) -> Object:
    """See the module's description."""
    spec = workload.get("spec") or {}
    pods = pods_of(workload, objects)
    template = (spec.get("template") or {}).get("spec") or {}
    hpas = [hpa for hpa in _here(workload, objects, "horizontalpodautoscalers") if targets(hpa, workload)]
    scaled = [one for one in _here(workload, objects, "scaledobjects") if _scaled(one, workload)]
    vpas = [one for one in _here(workload, objects, "verticalpodautoscalers") if _same((one.get("spec") or {}).get("targetRef"), workload)]
    like = next((pod["spec"] for pod in pods), template)  # pods have what LimitRanges and webhooks added
    facts: Object = {
        "workload": reference(workload),
        "replicas": {"wanted": spec.get("replicas", 1), "ready": sum(1 for pod in pods if is_ready(pod)), "pods": len(pods)},
        "hpa": hpas[0] if len(hpas) == 1 else None,
        "hpa_names": sorted(str(one["metadata"]["name"]) for one in _here(workload, objects, "horizontalpodautoscalers")),
        "hpa_owner": ownership.owner_of(hpas[0]) if len(hpas) == 1 else None,
        "scaled_object": scaled[0] if scaled else None,
        "vpa_resources": sorted({resource for vpa in vpas for resource in _controlled(vpa)}),
        "replicas_writers": ownership.writers_of_replicas(workload),
        "sidecars": _sidecars(template),
        "requests": {name: _total(like, "requests", name) for name in RESOURCES},
        "limits": {name: _total(like, "limits", name) for name in RESOURCES},
        "missing_requests": {name: _missing(workload, objects, like, name, bool(pods)) for name in RESOURCES},
        "ordered": workload.get("kind") == "StatefulSet" and spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady",
        "surge": _surge(workload),
        "metrics_apis": None if served is None else [name for name in METRICS if name in served],
    }
    seen = Seen(workload, objects, served, pods, template, hpas, scaled, vpas, facts)
    facts["findings"] = hindrances.all_of(seen)
    facts["can_have_two"] = not any(one["code"] in hindrances.SINGLE for one in facts["findings"])
    return facts


def _surge(workload: Mapping[str, Any]) -> int | str:
    """What a rollout adds for a while, as maxSurge says it."""
    strategy = (workload.get("spec") or {}).get("strategy") or {}
    if workload.get("kind") != "Deployment" or strategy.get("type") == "Recreate":
        return 0
    return (strategy.get("rollingUpdate") or {}).get("maxSurge", "25%")  # type: ignore[no-any-return]


def targets(hpa: Mapping[str, Any], workload: Mapping[str, Any]) -> bool:
    """Whether an autoscaler of the same namespace scales this workload: its group, kind and name are the same; the version may differ."""
    return _same((hpa.get("spec") or {}).get("scaleTargetRef"), workload)


def pods_of(workload: Mapping[str, Any], objects: Objects) -> list[Object]:
    """The pods that a workload controls, itself or through its ReplicaSets, without those being deleted or finished; by name."""
    metadata = workload.get("metadata") or {}
    uid, namespace = metadata.get("uid"), metadata.get("namespace")
    owners = {uid} | {
        one["metadata"].get("uid")
        for one in objects.get("replicasets") or ()
        if one["metadata"].get("namespace") == namespace and uid and (ownership.controller_of(one) or {}).get("uid") == uid
    }
    mine = [
        pod
        for pod in objects.get("pods") or ()
        if pod["metadata"].get("namespace") == namespace
        and (ownership.controller_of(pod) or {}).get("uid") in owners
        and "deletionTimestamp" not in pod["metadata"]
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]
    return sorted(mine, key=lambda pod: str(pod["metadata"]["name"])) if uid else []


def _here(workload: Mapping[str, Any], objects: Objects, name: str) -> list[Object]:
    namespace = (workload.get("metadata") or {}).get("namespace")
    return [one for one in objects.get(name) or () if one["metadata"].get("namespace") == namespace]


def _same(target: Mapping[str, Any] | None, workload: Mapping[str, Any]) -> bool:
    found = target or {}
    group = str(found.get("apiVersion", "")).rpartition("/")[0]
    wanted = str(workload.get("apiVersion", "")).rpartition("/")[0]
    return (group, found.get("kind"), found.get("name")) == (wanted, workload.get("kind"), (workload.get("metadata") or {}).get("name"))


def _scaled(scaled_object: Mapping[str, Any], workload: Mapping[str, Any]) -> bool:
    return _same(
        {"apiVersion": "apps/v1", "kind": "Deployment", **((scaled_object.get("spec") or {}).get("scaleTargetRef") or {})}, workload
    )


def _controlled(vpa: Mapping[str, Any]) -> set[str]:
    """The resources whose requests a VerticalPodAutoscaler changes. Mode Off only recommends."""
    spec = vpa.get("spec") or {}
    if (spec.get("updatePolicy") or {}).get("updateMode") == "Off":
        return set()
    policies = (spec.get("resourcePolicy") or {}).get("containerPolicies") or [{}]
    return {name for one in policies if one.get("mode") != "Off" for name in one.get("controlledResources") or RESOURCES}


def lasting(spec: Mapping[str, Any]) -> list[Object]:
    """The containers that run as long as the pod, as the autoscaler counts them: containers, and init containers that restart always."""
    beside = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    return [*(spec.get("containers") or ()), *beside]


def _sidecars(spec: Mapping[str, Any]) -> list[str]:
    beside = [str(one["name"]) for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    named = [
        str(one["name"])
        for one in spec.get("containers") or ()
        if any(word in str(one["name"]) or word in str(one.get("image", "")).rpartition("/")[2] for word in _SIDECARS)
    ]
    return [*beside, *(named if len(named) < len(spec.get("containers") or ()) else ())]


def _set(container: Mapping[str, Any], what: str, name: str) -> str | None:
    """A request or limit. The API server takes the limit for a request that is not there."""
    resources = container.get("resources") or {}
    value = (resources.get(what) or {}).get(name)
    return (resources.get("limits") or {}).get(name) if value is None and what == "requests" else value


def _total(spec: Mapping[str, Any], what: str, name: str) -> float | None:
    """Cores or bytes of one pod; None where a container says nothing."""
    whole = _set(spec, what, name)  # requests of the whole pod count before those of its containers
    values = [whole] if whole is not None else [_set(one, what, name) for one in lasting(spec)]
    if not values or any(value is None for value in values):
        return None
    try:
        return sum(amount(value) for value in values if value is not None)
    except ValueError:
        return None


def _missing(workload: Mapping[str, Any], objects: Objects, spec: Mapping[str, Any], name: str, live: bool) -> list[str]:
    """The containers without a request. For a template, a LimitRange of the namespace may supply one when pods are made."""
    if _set(spec, "requests", name) is not None:
        return []
    found = [plain(one.get("name")) for one in lasting(spec) if _set(one, "requests", name) is None]
    ranges = (
        [] if live else [one for item in _here(workload, objects, "limitranges") for one in (item.get("spec") or {}).get("limits") or ()]
    )
    supplied = any(
        one.get("type") == "Container" and ((one.get("defaultRequest") or {}).get(name) or (one.get("default") or {}).get(name))
        for one in ranges
    )
    return [] if supplied else found
