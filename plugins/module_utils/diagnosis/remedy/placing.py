# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Pods that fit nowhere: requests that are too big for any node, and node labels with a typo."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import named
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.nearest import nearest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import amount, cpu, memory
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import (
    Bounds,
    Outcome,
    Remedy,
    container_of,
    edited,
    managed,
    without_template,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View

_SHARE = 0.5  # of what the roomiest node has free: the most that a lowered request takes
_MIB = 2**20


def lower_request(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """A request that no node could ever grant, lowered to half of what the roomiest node can give."""
    resource = finding.details.get("resource", "")
    if resource not in ("cpu", "memory"):
        return None, ""
    if finding.details.get("fits_empty", True):
        return None, f"the request fits an empty node: the cluster is full, and whose {resource} to take is for a person to decide"
    fixed = without_template(workload, f"the {resource} request")
    if fixed:
        return None, fixed
    free = _free(view, resource)
    asking = [one for one in workload["spec"]["template"]["spec"].get("containers", []) if _request(one, resource) > free]
    if len(asking) != 1:
        return None, f"the {resource} is asked for by several containers together; which of them asks too much is not known"
    old, room = asking[0]["resources"]["requests"][resource], free * _SHARE
    new = cpu(room) if resource == "cpu" else memory(room - _MIB)
    if amount(new) <= 0:
        return None, f"no node has any {resource} free"

    def edit(desired: Object) -> None:
        (container_of(desired, asking[0]["name"]) or {})["resources"]["requests"][resource] = new

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
    wanted = (workload["spec"].get("template") or workload)["spec"].get("nodeSelector") or {}
    typo = _typos(view, wanted)
    if not typo:
        return None, "no label of a node is nearly called so" if wanted else ""
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


def _free(view: View, resource: str) -> float:
    """What the roomiest node has free; half of what it has at all where the pods of other namespaces were not read."""
    nodes = [node for node in view.objects.get("nodes", []) if not fit.is_cordoned(node)]
    if fit.sees_all_pods(view):
        return max((fit.free(view, node, resource) for node in nodes), default=0.0)
    return max((fit.allocatable(node, resource) for node in nodes), default=0.0) / 2


def _typos(view: View, wanted: dict[str, str]) -> dict[str, dict[str, str]]:
    """{key: {old, key, value}} of what no node has, where a label of nodes is nearly called so."""
    labels = {pair for node in view.objects.get("nodes", []) for pair in fit.labels_of(node).items()}
    keys = {key for key, _value in labels}
    found = {}
    for key, value in wanted.items():
        if (key, value) in labels:
            continue
        if key in ("kubernetes.io/arch", "kubernetes.io/os"):
            return {}  # arm64 is no typo of amd64: the image is built for one of them
        if key in keys:
            right = (key, nearest(value, [other for name, other in labels if name == key]))
        else:
            right = (nearest(key, [name for name, other in labels if other == value]), value)
        if not all(right):
            return {}
        found[key] = {"old": value, "key": right[0], "value": right[1]}
    return found


def _request(container: Object, resource: str) -> float:
    value = ((container.get("resources") or {}).get("requests") or {}).get(resource)
    return amount(value) if value else 0.0
