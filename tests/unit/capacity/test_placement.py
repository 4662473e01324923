# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Placement on small clusters made by hand: one rule of the scheduler each, with how many fit, where, and what binds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placement import place

Object = dict[str, Any]
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


_NAMES = {"devices": "example.com/gpu"}


def node(name: str, cpu: str = "4", zone: str = "", *, taints: Any = (), ready: str = "True", labels: Object | None = None, **size: Any) -> Object:
    own = {HOST: name, **({ZONE: zone} if zone else {}), **(labels or {})}
    sizes = {"cpu": cpu, "memory": "8Gi", "pods": "110", **{_NAMES.get(key, key): value for key, value in size.items()}}
    return {
        "metadata": {"name": name, "labels": own},
        "spec": {"taints": list(taints)},
        "status": {"allocatable": sizes, "conditions": [{"type": "Ready", "status": ready}]},
    }


def spec(cpu: str = "1", memory: str = "", **more: Any) -> Object:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"containers": [{"name": "app", "resources": {"requests": requests}}], **more}


def pod(where: str = "", labels: Object | None = None, name: str = "", namespace: str = "a", owner: str = "ReplicaSet", **parts: Any) -> Object:
    own = {"nodeName": where} if where else {}
    owners = [{"kind": owner, "name": "x", "uid": "x", "controller": True}] if owner else []
    metadata = {"namespace": namespace, "labels": labels or {"app": "old"}, "ownerReferences": owners, "name": name or f"old-{where or 'waiting'}"}
    return {"metadata": metadata, "spec": {**spec(**parts), **own}, "status": {"phase": "Running" if where else "Pending"}}


def new(**parts: Any) -> Object:
    return {"metadata": {"namespace": "a", "labels": {"app": "web"}}, "spec": spec(**parts)}


def objects(nodes: list[Object], pods: list[Object] | None = None, **lists: list[Object]) -> dict[str, list[Object]]:
    names = [{"metadata": {"name": "a", "labels": {"team": "one"}}}, {"metadata": {"name": "b", "labels": {"team": "two"}}}]
    return {"nodes": nodes, "pods": pods or [], "resourcequotas": [], "limitranges": [], "namespaces": names, **lists}


def term(key: str, app: str = "web", **more: Any) -> Object:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}


def near(*terms: Object) -> Object:
    return {"podAffinity": {REQUIRED: list(terms)}}


def far(*terms: Object) -> Object:
    return {"podAntiAffinity": {REQUIRED: list(terms)}}


def spread(key: str, skew: int = 1, **more: Any) -> Object:
    return {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}, **more}


def in_namespace(name: str, body: Object, status: Object | None = None) -> Object:
    return {"metadata": {"name": name, "namespace": "a"}, "spec": body, **({"status": status} if status else {})}


def claim(modes: list[str], volume: str = "", storage: str = "wait", **metadata: Any) -> Object:
    body = {
        "accessModes": modes,
        "storageClassName": storage,
        "resources": {"requests": {"storage": "5Gi"}},
        **({"volumeName": volume} if volume else {}),
    }
    return {"metadata": {"name": "data", "namespace": "a", **metadata}, "spec": body, "status": {"phase": "Bound" if volume else "Pending"}}


def volume(name: str, key: str = "", value: str = "", labels: Object | None = None, size: str = "5Gi", modes: str = "ReadWriteMany") -> Object:
    terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}]
    affinity = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}} if key else {}
    body = {"capacity": {"storage": size}, "accessModes": [modes], "storageClassName": "wait", **affinity}
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": body, "status": {"phase": "Available"}}


def storage(provisioner: str = "csi.example.com", mode: str = "WaitForFirstConsumer", **more: Any) -> Object:
    return {"metadata": {"name": "wait"}, "provisioner": provisioner, "volumeBindingMode": mode, **more}


DATA = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
THREE = [node("n1", zone="a"), node("n2", zone="b"), node("n3", zone="c")]  # 4 CPUs each
TAINT = {"key": "team", "value": "a", "effect": "NoSchedule"}
QUOTA_STATUS = {"hard": {"requests.cpu": "10", "pods": "20"}, "used": {"requests.cpu": "7", "pods": "3"}}


class Row(NamedTuple):
    """``fits`` of 20 replicas, ``binds`` as the answer names it."""

    pod: Object
    given: Mapping[str, list[Object]]
    fits: int
    binds: str
    says: str = ""


ROWS = {
    "cpu": Row(new(), objects(THREE), 12, "cpu", "less cpu left than the 1 that a replica asks for"),
    "memory": Row(new(cpu="", memory="3Gi"), objects(THREE), 6, "memory", "3Gi"),
    "room that others hold": Row(new(), objects(THREE, [pod("n1", cpu="3500m"), pod("n2", cpu="1")]), 7, "cpu"),
    "ended pods hold nothing": Row(new(), objects(THREE, [{**pod("n1", cpu="4"), "status": {"phase": "Succeeded"}}]), 12, "cpu"),
    "an overbooked node": Row(new(cpu="", memory="1Gi"), objects([node("n1")], [pod("n1", cpu="9")]), 8, "memory"),
    "number of pods": Row(new(cpu="1m"), objects([node("n1", pods="3")], [pod("n1", cpu="1m")]), 2, "pods", "3 at most"),
    "thousandths add up": Row(new(cpu="100m"), objects([node("n1", cpu="900m")], [pod("n1", cpu="200m"), pod("n1", cpu="100m")]), 6, "cpu"),
    "device": Row(
        {**new(), "spec": {"containers": [{"name": "app", "resources": {"limits": {"example.com/gpu": "2"}}}]}},
        objects([node("n1", devices="5"), node("n2")]),
        2,
        "example.com/gpu",
    ),
    "init container and sidecar": Row(
        new(
            initContainers=[
                {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
                {"name": "init", "resources": {"requests": {"cpu": "1500m"}}},
            ]
        ),
        objects(THREE),
        6,
        "cpu",
    ),
    "overhead": Row(new(overhead={"cpu": "1"}), objects(THREE), 6, "cpu"),
    "taint": Row(new(), objects([node("n1", taints=[TAINT]), node("n2")]), 4, "cpu"),
    "taint everywhere": Row(new(), objects([node("n1", taints=[TAINT])]), 0, "taint", "team=a:NoSchedule"),
    "taint tolerated": Row(new(tolerations=[{"key": "team", "operator": "Exists"}]), objects([node("n1", taints=[TAINT])]), 4, "cpu"),
    "cordoned": Row(new(), objects([{**node("n1"), "spec": {"unschedulable": True}}]), 0, "cordoned"),
    "cordoned and tolerated": Row(
        new(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]),
        objects([{**node("n1"), "spec": {"unschedulable": True}}]),
        4,
        "cpu",
    ),
    "not ready": Row(new(), objects([node("n1", ready="Unknown"), node("n2")]), 4, "cpu"),
    "node selector": Row(new(nodeSelector={"disk": "ssd"}), objects([node("n1", labels={"disk": "ssd"}), node("n2")]), 4, "cpu"),
    "node selector of nobody": Row(new(nodeSelector={"disk": "ssd"}), objects(THREE), 0, "selector", "disk=ssd"),
    "node affinity": Row(
        new(
            affinity={
                "nodeAffinity": {
                    REQUIRED: {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": ZONE, "operator": "NotIn", "values": ["a", "b"]}]},
                            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]},
                        ]
                    }
                }
            }
        ),
        objects(THREE),
        8,
        "cpu",
    ),
    "an empty term takes no node": Row(
        new(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{}]}}}), objects(THREE), 0, "selector", "empty term"
    ),
    "one on each node": Row(new(affinity=far(term(HOST))), objects(THREE), 3, "anti_affinity"),
    "one in each zone": Row(new(affinity=far(term(ZONE))), objects([*THREE, node("n4", zone="a")]), 3, "anti_affinity"),
    "kept away by others": Row(new(), objects(THREE, [pod("n1", cpu="1m", affinity=far(term(HOST)))]), 8, "cpu"),
    "kept away by others of another namespace": Row(
        new(),
        objects(THREE, [pod("n1", namespace="b", cpu="1m", affinity=far(term(ZONE, namespaceSelector={"matchLabels": {"team": "one"}})))]),
        8,
        "cpu",
    ),
    "others elsewhere do not mind": Row(new(), objects(THREE, [pod("n1", namespace="b", cpu="1", affinity=far(term(HOST)))]), 11, "cpu"),
    "near others": Row(new(affinity=near(term(ZONE, "old"))), objects([*THREE, node("n4", zone="a")], [pod("n1", cpu="1m")]), 7, "cpu"),
    "near nobody": Row(new(affinity=near(term(ZONE, "old"))), objects(THREE), 0, "affinity"),
    "near themselves": Row(new(affinity=near(term(ZONE))), objects([*THREE, node("n4", zone="a")]), 4, "affinity"),
    "matchLabelKeys of affinity": Row(
        new(affinity=far(term(HOST, "old", labelSelector={}, matchLabelKeys=["app"]))), objects(THREE, [pod("n1", cpu="1m")]), 3, "anti_affinity"
    ),
    "mismatchLabelKeys of affinity": Row(
        new(affinity=far(term(HOST, labelSelector={}, mismatchLabelKeys=["app"]))), objects(THREE, [pod("n1", cpu="1m")]), 8, "cpu"
    ),
    "spread over zones": Row(
        new(topologySpreadConstraints=[spread(ZONE)]), objects([node("n1", zone="a"), node("n2", zone="b"), node("n3", "1", zone="c")]), 5, "spread"
    ),
    "spread counts those that are there": Row(
        new(topologySpreadConstraints=[spread(ZONE)]), objects(THREE[:2], [pod("n1", {"app": "web"}, cpu="3")]), 4, "cpu"
    ),
    "spread does not count those on their way out": Row(
        new(topologySpreadConstraints=[spread(ZONE)]),
        objects(THREE[:2], [{**pod("n1", cpu="1"), "metadata": {**pod("n1", {"app": "web"})["metadata"], "deletionTimestamp": "now"}}]),
        7,
        "cpu",
    ),
    "spread leaves out nodes without the label": Row(
        new(topologySpreadConstraints=[spread(ZONE)]), objects([node("n1", zone="a"), node("n2")]), 4, "cpu"
    ),
    "spread over at least three": Row(new(topologySpreadConstraints=[spread(ZONE, minDomains=3)]), objects(THREE[:2]), 2, "spread"),
    "spread counts tainted nodes": Row(
        new(topologySpreadConstraints=[spread(ZONE)]), objects([node("n1", zone="a"), node("n2", zone="b", taints=[TAINT])]), 1, "spread"
    ),
    "spread honours taints": Row(
        new(topologySpreadConstraints=[spread(ZONE, nodeTaintsPolicy="Honor")]),
        objects([node("n1", zone="a"), node("n2", zone="b", taints=[TAINT])]),
        4,
        "cpu",
    ),
    "spread ignores the selector": Row(
        new(nodeSelector={ZONE: "a"}, topologySpreadConstraints=[spread(ZONE, nodeAffinityPolicy="Ignore")]), objects(THREE), 1, "spread"
    ),
    "spread honours the selector": Row(new(nodeSelector={ZONE: "a"}, topologySpreadConstraints=[spread(ZONE)]), objects(THREE), 4, "cpu"),
    "spread over zones and nodes": Row(
        new(topologySpreadConstraints=[spread(ZONE), spread(HOST)]),
        objects([node("n1", zone="a"), node("n2", zone="a"), node("n3", zone="b")]),
        5,  # the fourth in zone a waits for a third in zone b, and that for a second on each node of zone a
        "spread",
    ),
    "host port": Row(
        new(containers=[{"name": "app", "ports": [{"containerPort": 80, "hostPort": 80}], "resources": {}}]),
        objects(
            THREE, [pod("n1", containers=[{"name": "edge", "ports": [{"containerPort": 80, "hostPort": 80, "hostIP": "10.0.0.1"}], "resources": {}}])]
        ),
        2,
        "ports",
        "TCP 80",
    ),
    "host network": Row(
        new(hostNetwork=True, containers=[{"name": "app", "ports": [{"containerPort": 80}], "resources": {}}]), objects(THREE), 3, "ports"
    ),
    "scheduling gate": Row(new(schedulingGates=[{"name": "example.com/wait"}]), objects(THREE), 0, "gate", "example.com/wait"),
    "quota": Row(new(), objects(THREE, resourcequotas=[in_namespace("q", {}, QUOTA_STATUS)]), 3, "quota", "3 of 10 requests.cpu left"),
    "quota of pods": Row(
        new(cpu="1m"), objects(THREE, resourcequotas=[in_namespace("q", {}, {"hard": {"count/pods": "5"}, "used": {"count/pods": "1"}})]), 4, "quota"
    ),
    "quota on limits that are not given": Row(
        new(), objects(THREE, resourcequotas=[in_namespace("q", {}, {"hard": {"limits.cpu": "5"}, "used": {}})]), 0, "quota", "limits.cpu"
    ),
    "quota of others": Row(new(), objects(THREE, resourcequotas=[in_namespace("q", {"scopes": ["BestEffort"]}, {"hard": {"pods": "1"}})]), 12, "cpu"),
    "quota of a priority": Row(
        new(priorityClassName="gold"),
        objects(
            THREE,
            resourcequotas=[
                in_namespace(
                    "q",
                    {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["gold"]}]}},
                    {"hard": {"pods": "2"}, "used": {}},
                )
            ],
        ),
        2,
        "quota",
    ),
    "limit range gives a request": Row(
        new(cpu=""), objects(THREE, limitranges=[in_namespace("l", {"limits": [{"type": "Container", "defaultRequest": {"cpu": "2"}}]})]), 6, "cpu"
    ),
    "limit range forbids": Row(
        new(),
        objects(THREE, limitranges=[in_namespace("l", {"limits": [{"type": "Container", "min": {"cpu": "2"}}]})]),
        0,
        "limit_range",
        "at least 2",
    ),
    "limit range gives a limit below the request": Row(
        new(cpu="3"),
        objects(THREE, limitranges=[in_namespace("l", {"limits": [{"type": "Container", "default": {"cpu": "2"}}]})]),
        0,
        "limit_range",
        "more cpu than its limit",
    ),
    "limit range of whole pods": Row(
        new(), objects(THREE, limitranges=[in_namespace("l", {"limits": [{"type": "Pod", "max": {"cpu": "500m"}}]})]), 0, "limit_range", "whole pod"
    ),
    "limit range bounds the ratio": Row(
        new(containers=[{"name": "app", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "4"}}}]),
        objects(THREE, limitranges=[in_namespace("l", {"limits": [{"type": "Container", "maxLimitRequestRatio": {"cpu": "3"}}]})]),
        0,
        "limit_range",
    ),
    "volume of one zone": Row(
        new(volumes=DATA),
        objects(THREE, persistentvolumeclaims=[claim(["ReadWriteMany"], "v")], persistentvolumes=[volume("v", ZONE, "b")]),
        4,
        "cpu",
    ),
    "volume whose label names zones": Row(
        new(volumes=DATA),
        objects(THREE, persistentvolumeclaims=[claim(["ReadWriteMany"], "v")], persistentvolumes=[volume("v", labels={ZONE: "a__b"})]),
        8,
        "cpu",
    ),
    "no claim": Row(new(volumes=DATA), objects(THREE, persistentvolumeclaims=[], persistentvolumes=[]), 0, "volume", "does not exist"),
    "claims that could not be read": Row(new(volumes=DATA), objects(THREE), 0, "volume", "could not be read"),
    "claim bound at once is not": Row(
        new(volumes=DATA), objects(THREE, persistentvolumeclaims=[claim(["ReadWriteMany"])], storageclasses=[storage(mode="Immediate")]), 0, "volume"
    ),
    "claim that waits for a local volume": Row(
        new(volumes=DATA),
        objects(
            THREE,
            persistentvolumeclaims=[claim(["ReadWriteMany"])],
            storageclasses=[storage("kubernetes.io/no-provisioner")],
            persistentvolumes=[volume("small", HOST, "n1", size="1Gi"), volume("v", HOST, "n2")],
        ),
        4,
        "cpu",
    ),
    "claim whose volume is made where the first pod is": Row(
        new(volumes=DATA), objects(THREE, persistentvolumeclaims=[claim(["ReadWriteMany"])], storageclasses=[storage()]), 4, "volume"
    ),
    "claim whose class knows one zone": Row(
        new(volumes=DATA),
        objects(
            THREE,
            persistentvolumeclaims=[claim(["ReadWriteMany"])],
            storageclasses=[storage(allowedTopologies=[{"matchLabelExpressions": [{"key": ZONE, "values": ["zone-x"]}]}])],
        ),
        0,
        "volume",
    ),
    "volume of one node at a time": Row(
        new(volumes=DATA),
        objects(
            THREE,
            [pod("n3", cpu="1", volumes=DATA)],
            persistentvolumeclaims=[claim(["ReadWriteOnce"], "v")],
            persistentvolumes=[volume("v", modes="ReadWriteOnce")],
        ),
        3,
        "cpu",
    ),
    "volume of one pod": Row(
        new(volumes=DATA),
        objects(THREE, persistentvolumeclaims=[claim(["ReadWriteOncePod"], "v")], persistentvolumes=[volume("v", modes="ReadWriteOncePod")]),
        1,
        "volume",
        "one pod only",
    ),
    "waiting pods come first": Row(new(), objects(THREE, [pod(name=f"w{index}", cpu="2") for index in range(2)]), 8, "cpu"),
    "waiting pods that fit nowhere do not": Row(new(), objects(THREE, [pod(cpu="9")]), 12, "cpu"),
    "no nodes": Row(new(), objects([]), 0, "nodes"),
}


@pytest.mark.parametrize("name", ROWS)
def test_rule(name: str) -> None:
    row = ROWS[name]
    answer = place(row.pod, 20, row.given)
    first = answer["binds_first"]
    assert (answer["fits"], first["what"]) == (row.fits, row.binds), first
    assert row.says in first["sentence"], first
    assert sum(one["pods"] for one in answer["nodes"]) == row.fits
    assert answer["asked"] == 20
