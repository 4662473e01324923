# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Requests and limits as a pod's containers declare them, as they hold in truth, and as a change leaves them. Cores and bytes.

``held(container, live, resource)``: what holds. The API server takes the limit for a request that is not there, and a LimitRange may
supply both: then the live pod's container has them and the template has not.
``apply(spec, resources)``: a copy of a pod's specification with these requests and limits; everything else stays as it is.
``qos(spec)``: the class that the kubelet gives such a pod.

Pure; nothing raises.
"""

from __future__ import annotations

import copy
from typing import Any, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import lasting
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import containers_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit

Object = dict[str, Any]
Resources = Mapping[str, Mapping[str, Mapping[str, Any]]]
RESOURCES = ("cpu", "memory")
_PARTS = ("requests", "limits")


class Held(NamedTuple):
    """What holds now; None where nothing does. ``asks``, ``bounds``: whether the template itself says so."""

    request: float | None
    limit: float | None
    asks: bool
    bounds: bool


def held(container: Mapping[str, Any], live: Mapping[str, Any] | None, resource: str) -> Held:
    """See the module's description."""
    request, limit = _said(container, "requests", resource), _said(container, "limits", resource)
    supplied = live or {}
    whole = limit if limit is not None else _said(supplied, "limits", resource)
    part = next((one for one in (request, limit, _said(supplied, "requests", resource)) if one is not None), None)
    return Held(part, whole, request is not None, limit is not None)


def declared(container: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A container's own requests and limits, of all resources."""
    found = container.get("resources") or {}
    return {part: dict(found[part]) for part in _PARTS if found.get(part)}


def in_truth(spec: Mapping[str, Any], live: Mapping[str, Any] | None) -> Object:
    """The specification with what the API server and LimitRanges supply to its containers of CPU and memory."""
    whole = copy.deepcopy(dict(spec))
    there = {one["name"]: one for one in containers_of(live or {})}
    for container in containers_of(whole):
        found = declared(container)
        for resource in RESOURCES:
            now = held(container, there.get(container["name"]), resource)
            for part, value in (("requests", now.request), ("limits", now.limit)):
                if value is not None and resource not in found.get(part, {}):
                    found.setdefault(part, {})[resource] = f"{value:.15g}"
        if found:
            container["resources"] = {**(container.get("resources") or {}), **found}
    return whole


def apply(spec: Mapping[str, Any], resources: Resources) -> Object:
    """See the module's description."""
    changed = copy.deepcopy(dict(spec))
    for container in lasting(changed):
        wanted = resources.get(container["name"])
        if wanted is None or declared(container) == {part: dict(wanted[part]) for part in _PARTS if wanted.get(part)}:
            continue
        rest = {part: value for part, value in (container.get("resources") or {}).items() if part not in _PARTS}
        container["resources"] = {**rest, **{part: dict(wanted[part]) for part in _PARTS if wanted.get(part)}}
    return changed


def qos(spec: Mapping[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort, by CPU and memory of all containers."""
    every = [held(container, None, resource) for container in containers_of(spec) for resource in RESOURCES]
    if not any(one.request or one.limit for one in every):
        return "BestEffort"
    return "Guaranteed" if all(one.limit and one.request == one.limit for one in every) else "Burstable"


def left_by_init(spec: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """{resource: (what the scheduler reserves, what lasting containers ask for)} where init containers need more than those."""
    reserved = fit.requests({"spec": {**spec, "overhead": {}}})
    asked = {name: sum(held(one, None, name).request or 0.0 for one in lasting(spec)) for name in RESOURCES}
    return {name: (reserved[name], asked[name]) for name in RESOURCES if reserved.get(name, 0.0) > asked[name] + 1e-9}


def _said(container: Mapping[str, Any], part: str, resource: str) -> float | None:
    value = ((container.get("resources") or {}).get(part) or {}).get(resource)
    return None if value is None else fit.size(value)
