# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for what nodes do to pods: a node that is down or short of something, eviction, preemption, rejection, sandboxes.

What a controller has replaced and made good is history: at most a note on the pods that are left. Objects whose deletion does not
end are judged in leaving.py.
"""

from __future__ import annotations

from typing import Callable

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import evictions, leaving, sandboxes
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.evictions import PRESSURES, failed_ago
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence

_HOUR = 3600.0
_YOUNG = 120.0  # seconds in which a node may still be starting
_STARTS = "The pod starts and stays on its node."


def not_ready(view: View, node: Object, evidence: Evidence) -> Finding | None:
    """A node that does not report, or reports that it is not ready."""
    condition = next((one for one in node.get("status", {}).get("conditions") or [] if one["type"] == "Ready"), None)
    if condition is None or condition["status"] == "True" or view.age(node["metadata"].get("creationTimestamp")) < _YOUNG:
        return None
    name = node["metadata"]["name"]
    pods = [pod for pod, _amounts in fit.reserved(view, name)]
    since = condition.get("lastTransitionTime") or ""
    message = " ".join((condition.get("message") or "").split())
    what = (
        "has stopped reporting (its kubelet, the machine or the network to it is down)"
        if condition["status"] == "Unknown"
        else "reports that it is not ready"
    )
    tops = {top["metadata"]["uid"]: top for top in map(view.workload, pods)}
    shown = fit.listed((f"{top['kind'].lower()}/{top['metadata']['name']}" for top in tops.values()), 5)
    ids = [
        evidence.add(f"node/{name} status.conditions[Ready]", since, f"{condition['status']}, {condition.get('reason')}: {message}"),
        *event_evidence(evidence, view.events(node, "NodeNotReady")),
    ]
    cause = (
        f"Node {name} {what} since {since}: {condition.get('reason')}: {message[:200].rstrip('.')}. {len(pods)} pods are on"
        f" it{f' ({shown})' if shown else ''}."
    )
    fix = (
        f"Repair node {name} (its kubelet, container runtime, network plugin, or the machine itself), or drain and remove it; delete its"
        " pods by force only when it is certain that it is off."
    )
    finding = _of("NodeNotReady", f"node {name} is not ready", cause, fix, ids, node=name)
    finding.expected_outcome = "The node reports Ready, and its pods run there or elsewhere."
    finding.severity = "critical" if tops else "warning"
    finding.affects = [
        {"kind": top["kind"], "namespace": top["metadata"].get("namespace", ""), "name": top["metadata"]["name"]} for top in tops.values()
    ]
    finding.pods = [{"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]} for pod in pods]
    return finding


def pressure(view: View, node: Object, evidence: Evidence) -> Finding | None:
    """A node that is short of something, and evicts or refuses pods for it."""
    found = [one for one in node.get("status", {}).get("conditions") or [] if one["type"] in PRESSURES and one["status"] == "True"]
    if not found:
        return None
    name = node["metadata"]["name"]
    short = ", ".join(PRESSURES[one["type"]] for one in found)
    gone = [
        pod
        for pod in view.objects["pods"]
        if pod["spec"].get("nodeName") == name and pod.get("status", {}).get("reason") == "Evicted" and failed_ago(view, pod) < _HOUR
    ]
    ids = [
        evidence.add(
            f"node/{name} status.conditions[{one['type']}]",
            one.get("lastTransitionTime") or "",
            f"True, {one.get('reason')}: {one.get('message')}",
        )
        for one in found
    ]
    asked: dict[str, float] = {}
    for pod, amounts in fit.reserved(view, name):
        top = view.workload(pod)
        asked[f"{top['kind'].lower()}/{top['metadata']['name']}"] = asked.get(
            f"{top['kind'].lower()}/{top['metadata']['name']}", 0.0
        ) + amounts.get("memory", 0.0)
    kinds = ", ".join(f"{one['type']} since {one.get('lastTransitionTime')}" for one in found)
    cause = (
        f"Node {name} is short of {short} ({kinds}); it takes no ordinary new pods and evicts running"
        f" ones{f': {len(gone)} in the last hour' if gone else ''}."
    )
    finding = _of(
        "NodePressure",
        f"node {name} is short of {short}",
        cause,
        f"Free {short} on node {name}: find what uses it, set requests and limits there, clean images and logs, or add a node.",
        ids,
        node=name,
        conditions=[one["type"] for one in found],
    )
    finding.expected_outcome = "The condition goes, and pods are accepted again."
    finding.severity = "warning"
    tops = {top["metadata"]["uid"]: top for top in map(view.workload, gone)}
    finding.affects = [
        {"kind": top["kind"], "namespace": top["metadata"].get("namespace", ""), "name": top["metadata"]["name"]} for top in tops.values()
    ]
    return finding


def _of(code: str, title: str, cause: str, fix: str, ids: list[str], **details: object) -> Finding:
    return Finding(
        code=code, title=title, root_cause=cause, suggested_fix=fix, expected_outcome=_STARTS, evidence=ids, details=dict(details)
    )


Rule = Callable[[View, Object, Evidence], "Finding | None"]
POD_RULES: tuple[Rule, ...] = (evictions.evicted, evictions.rejected, sandboxes.sandbox)
LEAVING_RULES: tuple[Rule, ...] = (leaving.pod,)
OBJECT_RULES: dict[str, tuple[Rule, ...]] = {"nodes": (not_ready, pressure), **leaving.OBJECT_RULES}
