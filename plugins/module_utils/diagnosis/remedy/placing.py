# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Pods that fit nowhere: requests that are too big for any node, and node labels with a typo."""

from __future__ import annotations

import math

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.quantity import amount, memory
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import (
    Bounds,
    Outcome,
    Remedy,
    container_of,
    edited,
    managed,
    named,
    without_template,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View

_SHARE = 0.5  # of what the roomiest node has free: the most that a lowered request takes
_MIB, _MILLI = 2**20, 0.001


def lower_request(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """A request that no node could ever grant, lowered to half of what the roomiest node has free."""
    resource = finding.details.get("resource", "")
    if resource not in ("cpu", "memory"):
        return None, ""
    if finding.details.get("fits_empty", True):
        return None, f"the request fits an empty node: the cluster is full, and whose {resource} to take is for a person to decide"
    fixed = without_template(workload, f"the {resource} request")
    if fixed:
        return None, fixed
    free = finding.details.get("free", 0.0)
    asking = [one for one in workload["spec"]["template"]["spec"].get("containers", []) if _request(one, resource) > free]
    if len(asking) != 1:
        return None, f"the {resource} is asked for by several containers together; which of them asks too much is not known"
    old, room = asking[0]["resources"]["requests"][resource], free * _SHARE
    new = f"{math.floor(room / _MILLI)}m" if resource == "cpu" else memory(room - _MIB)
    if amount(new) <= 0:
        return None, f"no node has any {resource} free"

    def edit(desired: Object) -> None:
        container = container_of(desired, asking[0]["name"])
        assert container is not None
        container["resources"]["requests"][resource] = new

    return (
        Remedy(
            "lower_request",
            f"lower the {resource} request of container {asking[0]['name']} from {old} to {new}",
            edited(workload, edit),
            f"the {resource} request is set back to {old}",
            [
                f"{new} is half of what the roomiest node has free; what the container really uses is not known: measure it and set that",
                *managed(workload),
            ],
            ["it does not change the limit"],
        ),
        "",
    )


def correct_node_selector(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """A nodeSelector whose key or value is nearly that of a label that nodes have."""
    typo = finding.details.get("selector_fix") or {}  # {key: {"old": value, "key": right key, "value": right value}}
    if not typo:
        return None, ""
    fixed = without_template(workload, "the nodeSelector")
    if fixed:
        return None, fixed

    def edit(desired: Object) -> None:
        selector = desired["spec"]["template"]["spec"].setdefault("nodeSelector", {})
        for key, right in typo.items():
            selector.pop(key, None)
            selector[right["key"]] = right["value"]

    changes = edited(workload, edit)
    if not changes:
        return None, ""
    words = ", ".join(f"{key}={one['old']} to {one['key']}={one['value']}" for key, one in sorted(typo.items()))
    return (
        Remedy(
            "correct_node_selector",
            f"correct the nodeSelector of {named(workload)}: {words}",
            changes,
            "the nodeSelector is set back",
            ["nodes carry this label; that it was meant is likely by its spelling, and not proven", *managed(workload)],
            ["it does not label nodes or lift taints"],
        ),
        "",
    )


def _request(container: Object, resource: str) -> float:
    value = ((container.get("resources") or {}).get("requests") or {}).get(resource)
    return amount(value) if value else 0.0
