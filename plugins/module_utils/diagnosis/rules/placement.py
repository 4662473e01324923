# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for pods that find no node. The scheduler counts nodes per reason; which reason decides is worked out from the nodes themselves.

Reasons that lie in storage (claims, volumes) are judged in storage.py, which runs before.
"""

from __future__ import annotations

import re
from dataclasses import replace
from weakref import WeakKeyDictionary

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import binding, evictions
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding, ObjectRule
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.obstacles import (
    CONTROL_PLANE,
    JUDGES,
    UNHEALTHY,
    Case,
    Group,
    unknown,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence, event_time

_SCALING = 300.0  # seconds in which a node that an autoscaler has ordered may come
_HANDOVER = 45.0  # seconds in which a pod may wait for one of its own that is going
_GROUP = re.compile(r"(?:^|, )(?P<nodes>\d+) (?P<reason>.+?)(?=, \d+ |$)")
_TAIL = re.compile(r"(?:\.|,)? *(?:no new claims to deallocate|preemption:).*$", re.DOTALL)
_OF_STORAGE = re.compile(r"unbound immediate PersistentVolumeClaims")
# what the scheduler writes -> kind of reason
_KINDS = (
    ("resource", re.compile(r"^Insufficient |^Too many pods")),
    ("taint", re.compile(r"had (?:untolerated )?taint|were not ready|were unreachable")),
    ("cordoned", re.compile(r"were unschedulable")),
    ("selector", re.compile(r"(?i)didn't match (?:pod's )?node (?:affinity|selector)")),
    ("affinity", re.compile(r"(?i)pods?'? (?:anti-)?affinity")),
    ("spread", re.compile(r"topology spread")),
    ("port", re.compile(r"free ports")),
)

# replicas of one controller that wait with the same message wait for the same reason
_judged: WeakKeyDictionary[View, dict[tuple[str, str], Finding]] = WeakKeyDictionary()


def unschedulable(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """The scheduler said that no node takes the pod."""
    status = pod.get("status", {})
    condition = next((one for one in status.get("conditions") or [] if one["type"] == "PodScheduled" and one["status"] == "False"), None)
    if condition is None or pod["spec"].get("nodeName") or _is_passing(view, pod):
        return None
    message = condition.get("message") or ""
    source = f"pod/{pod['metadata']['name']} status.conditions[PodScheduled]"
    if _OF_STORAGE.search(message):
        return None  # storage.py has judged the claims, and they are on their way
    ids = [evidence.add(source, condition.get("lastTransitionTime") or "", f"{condition.get('reason')}: {message}")]
    ids += event_evidence(evidence, view.events(pod, "FailedScheduling", "NotTriggerScaleUp"))
    if condition.get("reason") == "SchedulingGated":
        return binding.gated(pod, ids)
    owner = view.owner(pod)
    known = _judged.setdefault(view, {})
    key = (owner["metadata"]["uid"], message) if owner and owner["kind"] != "DaemonSet" else (pod["metadata"]["uid"], "")
    if key not in known:
        known[key] = _judge(view, pod, message, evidence)
    finding = known[key]
    return replace(finding, evidence=[*ids, *finding.evidence], details=dict(finding.details))


def _judge(view: View, pod: Object, message: str, evidence: Evidence) -> Finding:
    wanted = fit.wanted(pod, view.objects.get("nodes", []))
    closed = [node for node in wanted if fit.is_cordoned(node) or fit.untolerated(pod, node)]
    shut = {node["metadata"]["name"] for node in closed}
    case = Case(view, pod, groups(message), wanted, [node for node in wanted if node["metadata"]["name"] not in shut], closed, [], evidence)
    explain = JUDGES.get(_decisive(case))
    return explain(case) if explain else unknown(case, message)


def groups(message: str) -> tuple[Group, ...]:
    """The reasons that a scheduler's message counts, without what it says of preemption."""
    head = _TAIL.sub("", message.partition("nodes are available:")[2].strip()).strip(" .")
    found = ((int(match["nodes"]), match["reason"].strip()) for match in _GROUP.finditer(head))
    return tuple(Group(next((kind for kind, words in _KINDS if words.search(reason)), ""), nodes, reason) for nodes, reason in found)


def _is_passing(view: View, pod: Object) -> bool:
    """Whether the wait ends by itself: victims are going, a node is ordered, or the pod's own predecessor is on its way out."""
    age = view.age(pod["metadata"].get("creationTimestamp"))
    if pod.get("status", {}).get("nominatedNodeName") and age < _SCALING:
        return True
    ordered = view.events(pod, "TriggeredScaleUp")
    if ordered and view.age(event_time(ordered[-1])) < _SCALING:
        return True
    siblings = view.pods_of(view.workload(pod))
    return age < _HANDOVER and any("deletionTimestamp" in one["metadata"] for one in siblings if one is not pod)


def _decisive(case: Case) -> str:
    """Which of the reasons stands in the way where the pod could otherwise run."""
    kinds = {group.kind for group in case.groups}
    if case.view.objects.get("nodes"):
        if "selector" in kinds and not case.wanted:
            return "selector"
        for kind in ("resource", "port", "affinity", "spread") if case.open else ():
            if kind in kinds:
                return _way_out(case, kinds) or kind
        kept = {"cordoned" if fit.is_cordoned(node) and not fit.untolerated(case.pod, node) else "taint" for node in case.closed} & kinds
        if kept and not case.open:
            return "cordoned" if "cordoned" in kept else "taint"
    telling = [group for group in case.groups if not (group.kind == "taint" and CONTROL_PLANE.search(group.reason))] or list(case.groups)
    order = ("resource", "port", "affinity", "spread", "cordoned", "taint", "selector", "")
    return min((group.kind for group in telling), key=order.index, default="")


def _way_out(case: Case, kinds: set[str]) -> str:
    """A node that would take the pod at once, were it not cordoned or unwell: then that is the cause."""
    asked = {**fit.requests(case.pod), "pods": 1.0}
    if not fit.sees_all_pods(case.view) or not kinds & {"cordoned", "taint"} or ({"port", "spread"} & kinds and "resource" not in kinds):
        return ""
    for node in case.closed:
        taints = fit.untolerated(case.pod, node)
        if all(UNHEALTHY.match(taint["key"]) for taint in taints) and all(
            fit.free(case.view, node, name) >= value for name, value in asked.items() if name != "pods" or fit.allocatable(node, "pods")
        ):
            kind = "taint" if taints else "cordoned"
            return kind if kind in kinds else ""
    return ""


POD_RULES: tuple[ObjectRule, ...] = (evictions.preempted, unschedulable, binding.node_missing, binding.unwatched)
