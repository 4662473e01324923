# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Why a PersistentVolumeClaim has no volume: its class, the provisioner, or the volumes that there are and why none fits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.nearest import nearest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence, event_time

_PATIENCE = 60.0  # seconds in which a volume may be bound
_AT_WORK = 300.0  # seconds in which a provisioner that has said that it works may do so
_SILENT = 10.0  # seconds in which one that runs says so
_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_STATIC = "kubernetes.io/no-provisioner"
_BINDS = re.compile(r"persistent volumes to bind")
_CLASS_GONE = re.compile(r'storageclass(?:\.storage\.k8s\.io)? "(?P<name>[^"]+)" not found')


@dataclass(frozen=True)
class Reason:
    """Why a claim is not bound (or cannot grow), with the evidence for it."""

    code: str
    title: str
    cause: str
    fix: str
    ids: list[str]
    details: dict[str, Any] = field(default_factory=dict)


def pending(view: View, claim: Object, consumer: Object | None, said: str, evidence: Evidence) -> Reason | None:
    """Why a claim is lost or pending; None where it is bound, or waits as it should.

    consumer: the pod that waits for it; said: what the scheduler says of that pod.
    """
    phase = claim.get("status", {}).get("phase")
    if phase == "Lost":
        return _lost(view, claim, evidence)
    if phase != "Pending":
        return None
    name, spec = claim["metadata"]["name"], claim["spec"]
    wanted = class_of(claim)
    events = view.events(claim)
    failed = [event for event in events if event.get("reason") in ("ProvisioningFailed", "VolumeMismatch", "FailedBinding")]
    ids = [
        evidence.add(f"persistentvolumeclaim/{name}", "", f"phase Pending; class {wanted!r}; {_asks(claim)}"),
        *event_evidence(evidence, failed),
    ]
    if spec.get("volumeName"):
        return _bound_by_name(view, claim, ids)
    volumes = [one for one in view.objects.get("persistentvolumes", []) if (one["spec"].get("storageClassName") or "") == (wanted or "")]
    found = view.named("storageclasses", "", wanted) if wanted else None
    message = str(failed[-1].get("message") or "") if failed else ""
    if wanted and found is None:
        gone = view.was_read("storageclasses") or bool(_CLASS_GONE.search(message))
        if volumes:
            return _no_volume(view, claim, volumes, ids)
        return _class_missing(view, claim, wanted, ids) if gone else None
    if wanted is None or (wanted == "" and not volumes):
        return _no_class(view, claim, wanted, ids)
    if found is None:
        return _no_volume(view, claim, volumes, ids)
    late = found.get("volumeBindingMode") == "WaitForFirstConsumer"
    if found.get("provisioner") == _STATIC:
        return _no_volume(view, claim, volumes, ids) if not late or _BINDS.search(said) else None
    if failed and failed[-1].get("reason") == "ProvisioningFailed":
        return _provisioning(found, claim, message, ids)
    if late and (consumer is None or "volume.kubernetes.io/selected-node" not in (claim["metadata"].get("annotations") or {})):
        return None  # the scheduler has not chosen a node yet: what keeps the pod from one is not the claim
    waiting = view.age(claim["metadata"].get("creationTimestamp"))
    if waiting < (_AT_WORK if view.events(claim, "Provisioning") else _SILENT):
        return None
    return _silent(found, claim, waiting, [*ids, *event_evidence(evidence, view.events(claim, "ExternalProvisioning", "Provisioning"))])


def class_of(claim: Object) -> str | None:
    annotation = (claim["metadata"].get("annotations") or {}).get("volume.beta.kubernetes.io/storage-class")
    name = claim["spec"].get("storageClassName", annotation)
    return None if name is None else str(name)


def places(volume: Object) -> list[list[fit.Expression]]:
    """The node conditions of a PersistentVolume, as alternatives."""
    terms = ((volume["spec"].get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or []
    return [[(one["key"], one["operator"], tuple(one.get("values") or ())) for one in term.get("matchExpressions") or []] for term in terms]


def _asks(claim: Object) -> str:
    spec = claim["spec"]
    return f"{_size(claim)} {'+'.join(spec.get('accessModes') or [])}"


def _size(claim: Object) -> str:
    return str(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage") or "0")


def _lost(view: View, claim: Object, evidence: Evidence) -> Reason:
    name, volume = claim["metadata"]["name"], claim["spec"].get("volumeName") or "unknown"
    ids = [
        evidence.add(f"persistentvolumeclaim/{name} status.phase", "", f"Lost; volumeName {volume}"),
        *event_evidence(evidence, view.events(claim, "ClaimLost")),
    ]
    there = view.named("persistentvolumes", "", volume)
    what = "is bound to another claim" if there else "no longer exists"
    cause = f"PersistentVolumeClaim {name} has lost its PersistentVolume {volume}, which {what}: the claim cannot be used any more."
    fix = (
        f"Restore the PersistentVolume {volume} from its storage or a backup, or delete the claim {name} and create it anew with restored"
        " data; a person decides about the data."
    )
    return Reason("ClaimLost", f"claim {name} has lost its volume {volume}", cause, fix, ids, {"claim": name, "volume": volume})


def _class_missing(view: View, claim: Object, wanted: str, ids: list[str]) -> Reason:
    name = claim["metadata"]["name"]
    known = sorted(one["metadata"]["name"] for one in view.objects.get("storageclasses", []))
    near = nearest(wanted, known)
    have = f"there is {near}" if near else f"there are {fit.listed(known, 5)}" if known else "the cluster has none"
    cause = f"PersistentVolumeClaim {name} names the StorageClass {wanted}, which does not exist ({have})."
    fix = (
        f"Create the claim {name} anew with {f'storageClassName {near}' if near else 'a StorageClass that exists'} (the class of a claim"
        f" cannot be changed), or create the StorageClass {wanted}."
    )
    return Reason(
        "StorageClassMissing", f"StorageClass {wanted} does not exist", cause, fix, ids, {"claim": name, "class": wanted, "near": near}
    )


def _no_class(view: View, claim: Object, wanted: str | None, ids: list[str]) -> Reason | None:
    name = claim["metadata"]["name"]
    known = sorted(one["metadata"]["name"] for one in view.objects.get("storageclasses", []))
    if wanted is None and not view.was_read("storageclasses") and not ids[1:]:
        return None
    if wanted is None and any(_is_default(one) for one in view.objects.get("storageclasses", [])):
        return None  # a default class has come meanwhile, and is filled in by itself
    what = (
        "names no StorageClass, and the cluster has no default one"
        if wanted is None
        else 'asks for no StorageClass (""), so that only a volume made by hand can serve it'
    )
    cause = f"PersistentVolumeClaim {name} {what}; no PersistentVolume without a class is available for it ({_asks(claim)})."
    choice = f" ({fit.listed(known, 5)})" if known else ""
    fix = (
        f"Create the claim {name} anew with a storageClassName that exists{choice}, mark one as default, or make a PersistentVolume of"
        f" {_asks(claim)} by hand."
    )
    return Reason("ClaimPending", f"claim {name} has no StorageClass and finds no volume", cause, fix, ids, {"claim": name})


def _is_default(storage_class: Object) -> bool:
    return any((storage_class["metadata"].get("annotations") or {}).get(key) == "true" for key in _DEFAULT)


def _bound_by_name(view: View, claim: Object, ids: list[str]) -> Reason | None:
    name, volume = claim["metadata"]["name"], claim["spec"]["volumeName"]
    there = view.named("persistentvolumes", "", volume)
    if there is None and not view.was_read("persistentvolumes"):
        return None
    near = nearest(volume, (one["metadata"]["name"] for one in view.objects.get("persistentvolumes", [])))
    why = _unfit(claim, there) if there else f"does not exist{f' (there is {near})' if near else ''}"
    if not why:
        return None
    cause = f"PersistentVolumeClaim {name} asks for the PersistentVolume {volume} by name (spec.volumeName), which {why}."
    fix = (
        f"Create the claim {name} anew with a volume that fits{f' ({near})' if near else ''}, or make the PersistentVolume {volume} so that"
        f" it fits ({_asks(claim)})."
    )
    return Reason("ClaimPending", f"claim {name} cannot have the volume {volume}", cause, fix, ids, {"claim": name, "volume": volume})


def _no_volume(view: View, claim: Object, volumes: list[Object], ids: list[str]) -> Reason | None:
    name, wanted = claim["metadata"]["name"], class_of(claim)
    reasons = {one["metadata"]["name"]: _unfit(claim, one) for one in volumes}
    if any(not why for why in reasons.values()):
        free = [key for key, why in reasons.items() if not why]
        if view.age(claim["metadata"].get("creationTimestamp")) < _PATIENCE:
            return None  # it is about to be bound
        said = f"the free volume {fit.listed(free)} would fit, but lies on nodes where the pod may not run"
    else:
        said = "; ".join(f"{key} {why}" for key, why in list(reasons.items())[:4]) or "there is none of this class"
    of_class = f" of class {wanted}" if wanted else " without a class"
    cause = (
        f"PersistentVolumeClaim {name} asks for {_asks(claim)}, and no PersistentVolume{of_class} fits: {said}."
        f" {'This class makes no volumes by itself' if wanted else 'Without a class only a volume made by hand can serve it'}."
    )
    fix = f"Make a PersistentVolume{of_class} for {_asks(claim)}, or create the claim {name} anew so that one of these fits."
    return Reason(
        "ClaimPending", f"claim {name} finds no volume{of_class}: {said}"[:200], cause, fix, ids, {"claim": name, "volumes": reasons}
    )


def _unfit(claim: Object, volume: Object) -> str:
    """Why a volume cannot serve a claim; empty where it can."""
    spec, asked = volume["spec"], claim["spec"]
    taken = spec.get("claimRef") or {}
    mine = (taken.get("namespace"), taken.get("name")) == (claim["metadata"]["namespace"], claim["metadata"]["name"])
    capacity, wanted = (spec.get("capacity") or {}).get("storage"), _size(claim)
    missing = [mode for mode in asked.get("accessModes") or [] if mode not in (spec.get("accessModes") or [])]
    phase = volume.get("status", {}).get("phase")
    checks = (
        (
            bool(taken) and not mine,
            f"is {'still reserved for' if phase == 'Released' else 'taken by'} the claim {taken.get('namespace')}/{taken.get('name')}",
        ),
        (
            phase == "Released" and mine and taken.get("uid") not in (None, claim["metadata"]["uid"]),
            "is released by an earlier claim of this name, and must be made available by hand",
        ),
        ((spec.get("storageClassName") or "") != (class_of(claim) or ""), f"is of the class {spec.get('storageClassName') or 'none'}"),
        (fit.size(capacity) < fit.size(wanted), f"has only {capacity}"),
        (bool(missing), f"does not allow {'+'.join(missing)} (only {'+'.join(spec.get('accessModes') or [])})"),
        (
            (spec.get("volumeMode") or "Filesystem") != (asked.get("volumeMode") or "Filesystem"),
            f"is of the volumeMode {spec.get('volumeMode') or 'Filesystem'}",
        ),
        (
            "selector" in asked and not fit.selects(asked["selector"], volume["metadata"].get("labels") or {}),
            f"lacks the labels {fit.selector_text(asked.get('selector'))}",
        ),
    )
    return next((why for failed, why in checks if failed), "")


def _provisioning(storage_class: Object, claim: Object, message: str, ids: list[str]) -> Reason:
    name, kind = claim["metadata"]["name"], storage_class["metadata"]["name"]
    said = " ".join(message.split())[:300].rstrip(".")
    cause = (
        f"The provisioner {storage_class.get('provisioner')} (StorageClass {kind}) cannot make the volume of {_asks(claim)} for claim"
        f" {name}: {said}."
    )
    fix = (
        f"Correct what the provisioner names: the parameters of StorageClass {kind}, the size and access mode of claim {name}, or the"
        " storage behind it."
    )
    return Reason("ProvisioningFailed", f"the volume of claim {name} cannot be made", cause, fix, ids, {"claim": name, "class": kind})


def _silent(storage_class: Object, claim: Object, waiting: float, ids: list[str]) -> Reason:
    name, kind, provisioner = claim["metadata"]["name"], storage_class["metadata"]["name"], storage_class.get("provisioner")
    cause = (
        f"PersistentVolumeClaim {name} has waited {waiting:.0f} s for the provisioner {provisioner} (StorageClass {kind}), which has not"
        " answered: it does not run, or is not registered."
    )
    fix = (
        f"Install or repair the provisioner {provisioner} (its controller pods), or create the claim {name} anew with another StorageClass."
    )
    return Reason(
        "ProvisioningFailed",
        f"the provisioner {provisioner} does not answer",
        cause,
        fix,
        ids,
        {"claim": name, "class": kind, "provisioner": provisioner},
    )


def resize(view: View, claim: Object, evidence: Evidence) -> Reason | None:
    """A bound claim that should grow and cannot."""
    name, status = claim["metadata"]["name"], claim.get("status", {})
    have = (status.get("capacity") or {}).get("storage")
    if status.get("phase") != "Bound" or not have or fit.size(have) >= fit.size(_size(claim)):
        return None
    events = view.events(claim, "VolumeResizeFailed", "FileSystemResizeFailed", "ExternalExpanding")
    failed = [event for event in events if event.get("reason") != "ExternalExpanding"]
    infeasible = [value for value in (status.get("allocatedResourceStatuses") or {}).values() if "Infeasible" in str(value)]
    errors = [one for one in status.get("conditions") or [] if one["type"].endswith("ResizeError") and one["status"] == "True"]
    silent = events and not failed and view.age(event_time(events[0])) > _PATIENCE
    if not (failed or infeasible or errors or silent):
        return None
    said = (
        (str(failed[-1].get("message") or "") if failed else "")
        or next((str(one.get("message") or "") for one in errors), "")
        or next(map(str, infeasible), "no volume expander answers")
    )
    ids = [
        evidence.add(f"persistentvolumeclaim/{name}", "", f"requests {_size(claim)}, has {have}: {said}"),
        *event_evidence(evidence, events),
    ]
    cause = (
        f"PersistentVolumeClaim {name} should grow from {have} to {_size(claim)} and cannot: {' '.join(said.split())[:300].rstrip('.')}."
    )
    return Reason(
        "ProvisioningFailed",
        f"the volume of claim {name} cannot grow to {_size(claim)}",
        cause,
        "Correct what the storage driver names, or ask for a size that it can give.",
        ids,
        {"claim": name},
    )
