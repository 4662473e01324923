# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for objects whose deletion does not end: pods, claims, volumes, namespaces and whatever a finalizer holds."""

from __future__ import annotations

import re
from typing import Callable

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence

_LATE = 60.0  # seconds beyond the grace period (deletionTimestamp already includes it)
_PATIENT = 300.0  # seconds in which a namespace, or what has dependents, may take to go
_BUILT_IN = (
    "foregroundDeletion",
    "orphan",
    "kubernetes",
    "kubernetes.io/",
    "batch.kubernetes.io/",
    "external-provisioner.",
    "external-attacher/",
    "service.kubernetes.io/",
)
_FINALIZER = re.compile(r"finalizers remaining: (?P<names>.+)$")


def pod(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """A pod that is still there long after its grace period."""
    late = view.age(item["metadata"]["deletionTimestamp"])
    if late < _LATE:
        return None
    metadata, node = item["metadata"], item["spec"].get("nodeName") or ""
    name, finalizers = metadata["name"], metadata.get("finalizers") or []
    found = view.named("nodes", "", node) if node else None
    ready: Object = next((one for one in (found or {}).get("status", {}).get("conditions") or [] if one["type"] == "Ready"), {})
    ids = [
        evidence.add(
            f"pod/{name} metadata",
            metadata["deletionTimestamp"],
            f"deletionTimestamp {metadata['deletionTimestamp']}, finalizers {', '.join(finalizers) or 'none'}, node {node or 'none'}",
        ),
        *event_evidence(evidence, view.events(item, "FailedKillPod", "FailedPreStopHook")),
    ]
    if finalizers:
        why = f"the finalizer {', '.join(finalizers)} holds it: whoever set it has not removed it"
        fix = (
            f"Find the controller that owns {', '.join(finalizers)} and let it finish; remove the finalizer by hand only if that controller"
            " is gone for good."
        )
    elif node and found is None and view.was_read("nodes"):
        why = f"its node {node} no longer exists, so that no kubelet can finish it"
        fix = f"Delete it by force, since the node is gone: kubectl -n {metadata['namespace']} delete pod {name} --force --grace-period=0."
    elif ready and ready["status"] != "True":
        return None  # the finding about the node says so, for all of its pods
    else:
        said = next((str(event.get("message") or "") for event in reversed(view.events(item, "FailedKillPod"))), "")
        why = f"the kubelet of node {node or 'none'} does not finish it{f': {said[:200]}' if said else ''}"
        fix = (
            f"Look at the kubelet and container runtime of node {node}: processes that cannot be killed, or volumes that cannot be"
            " unmounted."
        )
    return _stuck(item, late, why, fix, ids)


def held(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """A claim, volume or other object that a finalizer keeps."""
    stamp, finalizers = item["metadata"].get("deletionTimestamp"), item["metadata"].get("finalizers") or []
    if not stamp or not finalizers:
        return None
    late, own = view.age(stamp), [one for one in finalizers if not one.startswith(_BUILT_IN)]
    storage = item["kind"] in ("PersistentVolumeClaim", "PersistentVolume")
    if late < (_LATE if own or storage else _PATIENT):
        return None
    name, names = item["metadata"]["name"], ", ".join(own or finalizers)
    ids = [evidence.add(f"{item['kind'].lower()}/{name} metadata", stamp, f"deletionTimestamp {stamp}, finalizers {', '.join(finalizers)}")]
    why = f"the finalizer {names} holds it"
    fix = f"Find the controller that owns {names} and let it finish; remove the finalizer by hand only if that controller is gone for good."
    if not own and item["kind"] == "PersistentVolumeClaim":
        users = [
            f"pod {one['metadata']['name']}"
            for one in view.inside("pods", item["metadata"]["namespace"])
            if _uses(one, name) and one.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]
        why += f" while {fit.listed(users)} use it" if users else ""
        fix = f"It goes by itself when {fit.listed(users) or 'no pod'} no longer uses it: stop the workload if the data may go."
    elif not own and item["kind"] == "PersistentVolume":
        claim = item["spec"].get("claimRef") or {}
        why += f" while the claim {claim.get('namespace')}/{claim.get('name')} is bound to it" if claim else ""
        fix = "It goes by itself when the claim that is bound to it is deleted; until then the data is safe."
    return _stuck(item, late, why, fix, ids)


def namespace(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """A namespace that stays in Terminating."""
    stamp = item["metadata"].get("deletionTimestamp")
    if not stamp:
        return None
    late, name = view.age(stamp), item["metadata"]["name"]
    conditions = {
        one["type"]: str(one.get("message") or "") for one in item.get("status", {}).get("conditions") or [] if one["status"] == "True"
    }
    said = conditions.get("NamespaceFinalizersRemaining", "")
    match = _FINALIZER.search(said)
    own = (
        [
            one.strip()
            for one in re.split(r" in \d+ resource instances,? ?", match["names"])
            if one.strip() and not one.strip().startswith(_BUILT_IN)
        ]
        if match
        else []
    )
    broken = (
        conditions.get("NamespaceDeletionDiscoveryFailure")
        or conditions.get("NamespaceDeletionContentFailure")
        or conditions.get("NamespaceDeletionGroupVersionParsingFailure")
    )
    if late < (_LATE if own or broken else _PATIENT):
        return None
    left = conditions.get("NamespaceContentRemaining", "")
    ids = [
        evidence.add(
            f"namespace/{name} status.conditions",
            stamp,
            "; ".join(f"{key}: {value}" for key, value in conditions.items()) or "none is True",
        )
    ]
    if own:
        why = f"objects in it have the finalizer {', '.join(own)}, which nobody removes ({left or said})"
        fix = (
            f"Find the controller that owns {', '.join(own)} and let it finish, or remove the finalizer from those objects by hand if that"
            " controller is gone for good."
        )
    elif broken:
        why = f"its content cannot be listed or deleted: {broken[:300]}"
        fix = "Repair the API service that the message names (kubectl get apiservices), or remove it if its software is gone."
    else:
        why = left or said or f"the finalizers {', '.join(item.get('spec', {}).get('finalizers') or [])} are left"
        fix = "Look at what is left in the namespace and why it is not deleted."
    return _stuck(item, late, why, fix, ids)


def _uses(item: Object, claim: str) -> bool:
    return any((volume.get("persistentVolumeClaim") or {}).get("claimName") == claim for volume in item["spec"].get("volumes") or [])


def _stuck(item: Object, late: float, why: str, fix: str, ids: list[str]) -> Finding:
    metadata, kind = item["metadata"], item["kind"]
    return Finding(
        code="StuckTerminating",
        title=f"{kind} {metadata['name']} is being deleted and does not go",
        root_cause=(
            f"{kind} {metadata['name']} should have been gone {late:.0f} s ago (deletionTimestamp {metadata['deletionTimestamp']}), but"
            f" {why.rstrip('.')}."
        ),
        suggested_fix=fix,
        expected_outcome="The object disappears.",
        evidence=ids,
        severity="warning",
        object={"kind": kind, "namespace": metadata.get("namespace", ""), "name": metadata["name"]},
        details={"finalizers": metadata.get("finalizers") or []},
    )


Rule = Callable[[View, Object, Evidence], "Finding | None"]
_HELD = (
    "persistentvolumeclaims",
    "persistentvolumes",
    "deployments",
    "statefulsets",
    "daemonsets",
    "replicasets",
    "jobs",
    "cronjobs",
    "services",
)
OBJECT_RULES: dict[str, tuple[Rule, ...]] = {"namespaces": (namespace,), **{name: (held,) for name in _HELD}}
