# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for pods that no scheduler places: a gate holds them, nobody looks at them, or they name a node that does not exist."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.nearest import nearest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View

_STARTS = "The pod is scheduled and starts."
_QUIET = {"default-scheduler": 300.0}  # seconds without a word from a scheduler; a busy default one has a long queue
_QUIET_OTHER = 30.0


def gated(pod: Object, ids: list[str]) -> Finding:
    """A pod that a scheduling gate holds."""
    names = ", ".join(gate["name"] for gate in pod["spec"].get("schedulingGates") or []) or "unnamed"
    return Finding(
        code="SchedulingGated",
        title=f"the scheduling gate {names} holds the pod",
        root_cause=(
            f"The pod has the scheduling gate {names} (spec.schedulingGates), and the scheduler leaves it alone until its owner removes it."
        ),
        suggested_fix=(
            f"Find out what should remove the gate {names} (usually a controller or queue) and why it does not; else drop it from the pod"
            " template."
        ),
        expected_outcome="The gate is gone, and the scheduler places the pod.",
        evidence=ids,
        details={"gates": names},
    )


def unwatched(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """No scheduler has said anything about the pod."""
    conditions = pod.get("status", {}).get("conditions") or []
    name, age = pod["spec"].get("schedulerName") or "default-scheduler", view.age(pod["metadata"].get("creationTimestamp"))
    if (
        pod["spec"].get("nodeName")
        or pod.get("status", {}).get("phase") != "Pending"
        or any(one["type"] == "PodScheduled" for one in conditions)
    ):
        return None
    if view.events(pod, "FailedScheduling") or age < _QUIET.get(name, _QUIET_OTHER):
        return None
    known = {one["spec"].get("schedulerName") or "default-scheduler" for one in view.objects["pods"] if one["spec"].get("nodeName")}
    near = nearest(name, known | {"default-scheduler"})
    ids = [
        evidence.add(
            f"pod/{pod['metadata']['name']} spec.schedulerName", "", f"{name}; no node and no condition PodScheduled after {age:.0f} s"
        )
    ]
    return Finding(
        code="SchedulerMissing",
        title=f"no scheduler named {name} looks at the pod",
        root_cause=(
            f"The pod asks for the scheduler {name} (spec.schedulerName), and after {age:.0f} s none has looked at it: no such scheduler"
            " runs."
        ),
        suggested_fix=f"Set schedulerName to {near or 'default-scheduler'} in the pod template, or start the scheduler {name}.",
        expected_outcome=_STARTS,
        evidence=ids,
        details={"scheduler": name},
    )


def node_missing(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """The pod is bound by name to a node that is not there."""
    name = pod["spec"].get("nodeName")
    if pod.get("status", {}).get("containerStatuses"):
        return None  # a kubelet had it: the node is gone, and its pods will be
    if not name or pod.get("status", {}).get("phase") != "Pending" or not view.was_read("nodes") or view.named("nodes", "", name):
        return None
    nodes = [node["metadata"]["name"] for node in view.objects["nodes"]]
    near = nearest(name, nodes)
    ids = [evidence.add(f"pod/{pod['metadata']['name']} spec.nodeName", "", f"{name}; the nodes are {fit.listed(nodes, 8) or 'none'}")]
    return Finding(
        code="NodeMissing",
        title=f"the node {name} does not exist",
        root_cause=(
            f"The pod is bound to the node {name} (spec.nodeName), which does not exist{f'; there is a node {near}' if near else ''}. No"
            " scheduler or kubelet looks after it."
        ),
        suggested_fix=f"Remove nodeName from the pod template so that the scheduler chooses{f', or correct it to {near}' if near else ''}.",
        expected_outcome=_STARTS,
        evidence=ids,
        details={"node": name, "near": near},
    )
