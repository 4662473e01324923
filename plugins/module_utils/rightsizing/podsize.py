# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The pod of a workload as it is, and as it will be with other requests and limits.

``subject`` is {workload, pods[], all_pods[]} of API objects; ``resources`` is {container: {requests{}, limits{}}}, exactly what goes into
the template. Amounts are cores and bytes. Pure; nothing is changed in place.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_admission import admitted
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import Object, Objects
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit

KINDS = ("containers", "initContainers")
_HASH = "pod-template-hash"
_NEW_HASH = "new"  # the new pods get a hash of their own: selectors with matchLabelKeys tell them from the old ones


def present(subject: Mapping[str, Any]) -> Object:
    """The pod as it runs now, with what admission has added to it; from the template where none runs."""
    if subject["pods"]:
        return dict(subject["pods"][0])
    workload = subject["workload"]
    template = workload["spec"]["template"]
    metadata = {**(template.get("metadata") or {}), "namespace": workload["metadata"].get("namespace", "")}
    return {"metadata": metadata, "spec": template["spec"], "status": {}}


def planned(subject: Mapping[str, Any], resources: Mapping[str, Any], like: Object | None = None) -> Object:
    """The pod that the changed template gives: containers that admission has added stay as they are. It has no node and no status."""
    pod = like or present(subject)
    template = subject["workload"]["spec"]["template"]["spec"]
    own = {one["name"]: one.get("resources") or {} for kind in KINDS for one in template.get(kind) or []}
    spec = {name: part for name, part in pod["spec"].items() if name != "nodeName"}
    for kind in KINDS:
        if spec.get(kind):
            spec[kind] = [_sized(one, own, resources) for one in spec[kind]]
    labels = dict(pod["metadata"].get("labels") or {})
    if _HASH in labels:
        labels[_HASH] = _NEW_HASH
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}, "spec": spec, "status": {}}


def _sized(container: Object, own: Mapping[str, Any], resources: Mapping[str, Any]) -> Object:
    name = container["name"]
    if name not in own:
        return container
    # claims of devices and the like stay: only requests and limits are ours
    given = (
        {**own[name], **{part: dict(resources[name].get(part) or {}) for part in ("requests", "limits")}}
        if name in resources
        else own[name]
    )
    return {**container, "resources": given}


def stored(subject: Mapping[str, Any], resources: Mapping[str, Any], objects: Objects, like: Object | None = None) -> tuple[Object, str]:
    """(the planned pod with the defaults of LimitRanges, why the API server would refuse it; empty where it would not)."""
    return admitted(planned(subject, resources, like), objects)


def asked(container: Mapping[str, Any], resource: str) -> float | None:
    """The request of a container; its limit where it has none, as the API server sets it. None where both are missing."""
    resources = container.get("resources") or {}
    text = (resources.get("requests") or {}).get(resource)
    text = (resources.get("limits") or {}).get(resource) if text is None else text
    return None if text is None else fit.size(text)


def added(subject: Mapping[str, Any]) -> list[str]:
    """The containers that the pods have and the template has not: admission has added them."""
    template = subject["workload"]["spec"]["template"]["spec"]
    own = {one["name"] for kind in KINDS for one in template.get(kind) or []}
    spec = present(subject)["spec"]
    return [one["name"] for kind in KINDS for one in spec.get(kind) or [] if one["name"] not in own]


def said(subject: Mapping[str, Any]) -> str:
    """deployment web"""
    workload = subject["workload"]
    return f"{str(workload['kind']).lower()} {workload['metadata']['name']}"
