# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Pods whose deletion helps: crashed ones whose cause is gone, and failed ones that their controller has replaced."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import hosts
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import named
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs import reading
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import Bounds, Outcome, Remedy
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, plan as plans

_MOST = 50  # pods that one plan deletes


def restart_pod(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """Delete crashed pods whose cause is gone, so that they need not wait out their back-off."""
    host, port = finding.details.get("host", ""), finding.details.get("port", 0)
    if not host:
        host, port = reading.dependency(finding.details.get("line", "")) or ("", 0)
    if not host:
        return None, ""
    upstream = hosts.behind(view, host, int(port or 0), workload["metadata"].get("namespace", ""))
    service = upstream.service if upstream else None
    if service is None:
        return None, f"the container cannot reach {host}{f':{port}' if port else ''}, and there is no Service of that name in the namespace"
    name = service["metadata"]["name"]
    since = _ready_since(view, service)
    if not since:
        return None, f"the container cannot reach Service {name}, which has no ready endpoint; mend that first"
    if workload["kind"] == "Pod":
        return None, "the pod has no controller that would create it again"
    if since <= finding.details.get("finished", ""):
        return None, f"Service {name} had ready endpoints when the container last crashed, so a restart alone would not help"
    pods = [pod for pod in (view.pod(one["uid"]) for one in finding.pods) if pod][:_MOST]
    changes = [plans.delete_change(f"C{number}", pod, f"deleted; {named(workload)} creates it anew") for number, pod in enumerate(pods, 1)]
    return (
        Remedy(
            "restart_pod",
            f"restart {len(pods)} pod(s) of {named(workload)}, since Service {name} is ready again",
            changes,
            "a deleted pod is created again by its owner; there is nothing to undo",
            [f"Service {name} has been ready since {since}; the last crash was at {finding.details.get('finished')}"],
            [
                "it changes nothing that outlasts the pods: without a retry in the application, the next outage of the Service crashes it"
                " again"
            ],
            basis=since,
        ),
        "",
    )


def delete_leftovers(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """Delete failed pods that no longer serve anything: their controller has made others in their place."""
    left = [
        pod
        for pod in (view.pod(uid) for uid in finding.details.get("leftovers", []))
        if pod and pod.get("status", {}).get("phase") == "Failed"
    ]
    owned = [pod for pod in left if view.owner(pod) is not None][:_MOST]
    if not owned:
        return None, "the failed pods have no controller that has replaced them; delete them by hand once nobody needs them" if left else ""
    return (
        Remedy(
            "delete_leftovers",
            f"delete {len(owned)} failed pod(s) of {named(workload)} that have been replaced",
            [plans.delete_change(f"C{number}", pod, f"deleted; {named(workload)} has replaced it") for number, pod in enumerate(owned, 1)],
            "a failed pod does nothing and is not created again; its log and status are gone with it (the evidence above keeps what"
            " matters)",
            [f"{len(left) - len(owned)} more are left alone"] if len(left) > len(owned) else [],
            ["it does not keep pods from being evicted again: requests, limits and the node decide that"],
            replaces=0,
            basis=" ".join(sorted(pod["metadata"]["uid"] for pod in owned)),
        ),
        "",
    )


def _ready_since(view: View, service: Object) -> str:
    """Since when the first ready pod behind a Service has been ready; empty where it has no ready endpoint."""
    namespace = service["metadata"]["namespace"]
    names = {
        endpoint.get("targetRef", {}).get("name")
        for endpoints in view.slices(namespace, service["metadata"]["name"])
        for endpoint in endpoints.get("endpoints") or []
        if endpoint.get("conditions", {}).get("ready")
    }
    times = [
        condition.get("lastTransitionTime") or clock.stamp(view.now)
        for pod in view.inside("pods", namespace)
        if pod["metadata"]["name"] in names
        for condition in pod.get("status", {}).get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]
    return min(times, default="")
