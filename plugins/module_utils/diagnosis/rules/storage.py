# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for pods that cannot have their volumes, and for claims without one. Why a claim is pending is worked out in claims.py.

ConfigMap and Secret volumes are judged in configuration.py, which runs before.
"""

from __future__ import annotations

import re

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import claims
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding, ObjectRule
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.mounts import (
    claims_of,
    finding_of,
    has_started,
    mount,
    sub_path,
    users_of,
    volume_of,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.nearest import nearest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View

_MADE_LATER = 10.0  # seconds in which a controller makes the claims of a new pod
_NOT_FOUND = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" not found')
_CONFLICT = re.compile(r"volume node affinity conflict|didn't match PersistentVolume's node affinity|no available volume zone")
_TOO_MANY = re.compile(r"exceed max volume count|too many volumes")
_EXCLUSIVE = re.compile(r"ReadWriteOncePod|conflict with the already (?:mounted|attached)|had no available disk")
_CAPACITY = re.compile(r"(?:not|n't) have enough (?:free )?storage")


def claim(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """A pod that waits for a claim: it is missing, going, lost, or finds no volume."""
    if pod.get("status", {}).get("phase") != "Pending" or has_started(pod):
        return None
    namespace, said = pod["metadata"]["namespace"], _scheduler_said(pod)
    for volume, name in claims_of(pod):
        found = view.named("persistentvolumeclaims", namespace, name)
        if found is None:
            known = view.was_read("persistentvolumeclaims") and view.age(pod["metadata"].get("creationTimestamp")) > _MADE_LATER
            if known or f'"{name}" not found' in said:
                return _claim_missing(view, pod, volume, name, evidence)
            continue
        if "deletionTimestamp" in found["metadata"] and not pod["spec"].get("nodeName"):
            return _claim_going(pod, volume, name, said, evidence)
        reason = claims.pending(view, found, pod, said, evidence)
        if reason:
            ids = [*reason.ids, *_scheduling_evidence(pod, said, evidence)]
            return finding_of(
                reason.code,
                reason.title,
                f"Volume {volume} of the pod needs the claim {name}. {reason.cause}",
                reason.fix,
                ids,
                **reason.details,
            )
    match = _NOT_FOUND.search(said)
    if match:
        return _claim_missing(view, pod, "", match["name"], evidence)
    if "unbound immediate PersistentVolumeClaims" in said and not view.was_read("persistentvolumeclaims"):
        names = ", ".join(name for _volume, name in claims_of(pod))
        cause = f"A PersistentVolumeClaim of the pod ({names}) is not bound to a volume; why could not be read."
        fix = f"Look at the claim: kubectl -n {namespace} describe pvc {names.replace(',', '')}."
        return finding_of(
            "ClaimPending", f"a claim of the pod is not bound ({names})", cause, fix, _scheduling_evidence(pod, said, evidence)
        )
    return None


def place(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """A pod whose volumes exist, but not where it may run."""
    said = "" if pod["spec"].get("nodeName") else _scheduler_said(pod)
    if not said:
        return None
    if not any(words.search(said) for words in (_CONFLICT, _EXCLUSIVE, _TOO_MANY, _CAPACITY)):
        return None
    ids = _scheduling_evidence(pod, said, evidence)
    volumes = [volume for volume in (volume_of(view, pod, name) for _volume, name in claims_of(pod)) if volume]
    if _CONFLICT.search(said):
        return _node_conflict(view, pod, volumes, ids, evidence)
    names = ", ".join(name for _volume, name in claims_of(pod)) or "of the pod"
    if _EXCLUSIVE.search(said):
        holders = users_of(view, pod, {name for _volume, name in claims_of(pod)})
        cause = f"The claim {names} allows one pod or node at a time, and it is in use{f' by {fit.listed(holders)}' if holders else ''}."
        return finding_of(
            "VolumeAttachConflict",
            f"the volume of claim {names} is in use",
            cause,
            "Stop the pod that uses it, use strategy Recreate, or a claim of its own per pod.",
            ids,
        )
    if _TOO_MANY.search(said):
        cause = (
            f"Every node that the pod could use has as many volumes attached as its storage driver allows, and the pod needs {names} too."
        )
        return finding_of("Unschedulable", "no node can attach another volume", cause, "Use fewer volumes per node, or add a node.", ids)
    if _CAPACITY.search(said):
        cause = f"The storage behind the claim {names} has not enough room left for it on any node that the pod could use."
        return finding_of(
            "ProvisioningFailed",
            "the storage has no room left for the claim",
            cause,
            f"Lower the size that the claim {names} asks for, or add storage.",
            ids,
        )
    return None


def unused(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """A claim that no waiting pod speaks for: lost, or pending for a reason that a pod could not change, or unable to grow."""
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    users = [pod for pod in view.inside("pods", namespace) if name in (claim_ for _volume, claim_ in claims_of(pod))]
    if "deletionTimestamp" in item["metadata"] or any(pod.get("status", {}).get("phase") == "Pending" for pod in users):
        return None
    reason = claims.pending(view, item, None, "", evidence) or claims.resize(view, item, evidence)
    if reason is None:
        return None
    finding = finding_of(reason.code, reason.title, reason.cause, reason.fix, reason.ids, **reason.details)
    finding.expected_outcome = "The claim is bound to a volume."
    finding.severity = "critical" if reason.code == "ClaimLost" and users else "warning"
    tops = {top["metadata"]["uid"]: top for top in map(view.workload, users)}
    finding.affects = [{"kind": top["kind"], "namespace": namespace, "name": top["metadata"]["name"]} for top in tops.values()]
    return finding


def _claim_missing(view: View, pod: Object, volume: str, name: str, evidence: Evidence) -> Finding:
    namespace = pod["metadata"]["namespace"]
    known = [one["metadata"]["name"] for one in view.inside("persistentvolumeclaims", namespace)]
    near = nearest(name, known)
    ids = _scheduling_evidence(pod, _scheduler_said(pod), evidence)
    ids.append(
        evidence.add(f"persistentvolumeclaims of namespace {namespace}", "", f"{name} is not among: {fit.listed(known, 8) or 'none'}")
    )
    who = f"Volume {volume} of the pod" if volume else "The pod"
    cause = (
        f"{who} needs the PersistentVolumeClaim {name}, which does not exist in namespace"
        f" {namespace}{f' (there is {near})' if near else ''}."
    )
    fix = (
        f"Correct claimName to {near} in the pod template."
        if near
        else f"Create the PersistentVolumeClaim {name} in namespace {namespace}, or correct claimName in the pod template."
    )
    return finding_of("ClaimMissing", f"PersistentVolumeClaim {name} does not exist", cause, fix, ids, claim=name, near=near)


def _claim_going(pod: Object, volume: str, name: str, said: str, evidence: Evidence) -> Finding:
    cause = f"Volume {volume} of the pod needs the PersistentVolumeClaim {name}, which is being deleted; no new pod may use it."
    fix = (
        f"Let the deletion of {name} finish (stop the pods that still use it), then create the claim again; its data is lost unless the"
        " volume is retained."
    )
    return finding_of(
        "ClaimMissing", f"PersistentVolumeClaim {name} is being deleted", cause, fix, _scheduling_evidence(pod, said, evidence), claim=name
    )


def _node_conflict(view: View, pod: Object, volumes: list[Object], ids: list[str], evidence: Evidence) -> Finding:
    parts = []
    for volume in volumes:
        terms = claims.places(volume)
        if not terms:
            continue
        where = " or ".join(" and ".join(map(fit.expression_text, term)) for term in terms)
        nodes = [
            node["metadata"]["name"]
            for node in view.objects.get("nodes", [])
            if any(all(fit.holds(one, fit.labels_of(node)) for one in term) for term in terms)
        ]
        reach = (
            f"that is {fit.listed(nodes)}, where the pod may not run"
            if nodes
            else "and no such node exists" if view.objects.get("nodes") else "where the pod may not run"
        )
        name, bound = volume["metadata"]["name"], (volume["spec"].get("claimRef") or {}).get("name")
        parts.append(f"PersistentVolume {name} (claim {bound}) can only be used on nodes with {where}, {reach}")
        ids.append(evidence.add(f"persistentvolume/{name} spec.nodeAffinity", "", where))
    cause = (
        f"{'; '.join(parts)}."
        if parts
        else "The volumes of the pod can only be used on nodes where the pod may not run (volume node affinity)."
    )
    fix = (
        "Let the pod run where its volume is (its node selector, taints and room there), bring that node back, or move the data to a new"
        " claim."
    )
    return finding_of("VolumeNodeConflict", "the volume can only be used on other nodes", cause, fix, ids)


def _scheduler_said(pod: Object) -> str:
    conditions = pod.get("status", {}).get("conditions") or []
    return next((str(one.get("message") or "") for one in conditions if one["type"] == "PodScheduled" and one["status"] == "False"), "")


def _scheduling_evidence(pod: Object, said: str, evidence: Evidence) -> list[str]:
    return [evidence.add(f"pod/{pod['metadata']['name']} status.conditions[PodScheduled]", "", said)] if said else []


# before the placement is judged, and once the pod has its node
SCHEDULING_RULES: tuple[ObjectRule, ...] = (claim, place)
POD_RULES: tuple[ObjectRule, ...] = (mount, sub_path)
OBJECT_RULES: dict[str, tuple[ObjectRule, ...]] = {"persistentvolumeclaims": (unused,)}
