# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Builders for what pods stand on (nodes, claims, volumes, classes), and a judge that applies the rules about it and no others."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import creation, nodes, placement, storage
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.catalogue import CODES
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, View
from tests.unit.diagnosis.objects import RESOURCES, Object, ago, snapshot

PODS = (*storage.SCHEDULING_RULES, *placement.POD_RULES, *storage.POD_RULES, *nodes.POD_RULES)


def judge(*items: Object, unread: tuple[str, ...] = ()) -> list[Finding]:
    """What the rules of these four areas say of a snapshot; lists named in ``unread`` could not be read."""
    taken = snapshot(*items)
    taken["coverage"]["read"] = [name for name in RESOURCES.values() if name not in unread]
    view, evidence = View(taken), Evidence()
    found = []
    for pod in view.objects["pods"]:
        rules = nodes.LEAVING_RULES if "deletionTimestamp" in pod["metadata"] else PODS
        found.append(next((one for rule in rules if (one := rule(view, pod, evidence))), None))
    for table in (creation.OBJECT_RULES, storage.OBJECT_RULES, nodes.OBJECT_RULES):
        for name, rules in table.items():
            found += [next((one for rule in rules if (one := rule(view, item, evidence))), None) for item in view.objects.get(name, [])]
    known = {fact["id"] for fact in evidence.facts}
    for one in filter(None, found):
        assert one.code in CODES and one.evidence and set(one.evidence) <= known
        assert one.title and one.suggested_fix and one.root_cause.endswith((".", ")")) and ".." not in one.root_cause, one.root_cause
    return [one for one in found if one]


def cause(*items: Object, unread: tuple[str, ...] = ()) -> Finding:
    """The one finding."""
    found = judge(*items, unread=unread)
    assert len(found) == 1, [(one.code, one.root_cause) for one in found]
    return found[0]


def plain(kind: str, name: str, namespace: str = "", seconds: float = 3600, **more: Any) -> Object:
    metadata = {"name": name, "uid": f"uid-{kind.lower()}-{name}", "creationTimestamp": ago(seconds)}
    return {"kind": kind, "metadata": {**metadata, **({"namespace": namespace} if namespace else {}), **more.pop("metadata", {})}, **more}


def machine(
    name: str = "node-1",
    labels: dict[str, str] | None = None,
    taints: list[Object] | None = None,
    cordoned: bool = False,
    conditions: list[Object] | None = None,
    devices: dict[str, str] | None = None,
    **allocatable: str,
) -> Object:
    """A node; allocatable as cpu="4", with _ for -; devices by their full name."""
    given = {
        "cpu": "4",
        "memory": "8Gi",
        "pods": "110",
        "ephemeral-storage": "100Gi",
        **{key.replace("_", "-"): value for key, value in allocatable.items()},
        **(devices or {}),
    }
    return plain(
        "Node",
        name,
        metadata={"labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **(labels or {})}},
        spec={**({"unschedulable": True} if cordoned else {}), **({"taints": taints} if taints else {})},
        status={"allocatable": given, "conditions": conditions or [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]},
    )


def taint(key: str, value: str = "", effect: str = "NoSchedule") -> Object:
    return {"key": key, "effect": effect, **({"value": value} if value else {})}


def claim(name: str = "data", phase: str = "Pending", storage_class: str | None = "fast", seconds: float = 600, **more: Any) -> Object:
    body = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        **({} if storage_class is None else {"storageClassName": storage_class}),
    }
    metadata = more.pop("metadata", {})
    status = {"phase": phase, **more.pop("status", {})}
    return plain("PersistentVolumeClaim", name, "shop", seconds, metadata=metadata, spec={**body, **more}, status=status)


def volume(name: str, storage_class: str = "fast", size: str = "1Gi", phase: str = "Available", **more: Any) -> Object:
    body = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "storageClassName": storage_class, **more}
    return plain("PersistentVolume", name, spec=body, status={"phase": phase})


def storage_class(name: str = "fast", provisioner: str = "csi.example.com", late: bool = False, default: bool = False) -> Object:
    mode = "WaitForFirstConsumer" if late else "Immediate"
    marks = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}} if default else {}
    return plain("StorageClass", name, metadata=marks, provisioner=provisioner, volumeBindingMode=mode)
