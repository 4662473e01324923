# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From a snapshot to findings: the table of rules, and the folding of replicas and symptoms into one cause per workload.

Pure: the same snapshot always gives the same findings.
"""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis import configuration, placement, probes, termination
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import SEVERITIES, Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence, Object, View, containers
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, NotFound

ContainerRule = Callable[[Container, Evidence], "Finding | None"]
PodRule = Callable[[View, Object, Evidence], "Finding | None"]

# The first rule that matches names the cause: a pod is judged in the order in which it comes to life.
POD_RULES: tuple[PodRule, ...] = (placement.unschedulable, configuration.volume)
CONTAINER_RULES: tuple[ContainerRule, ...] = (
    configuration.image,
    configuration.reference,
    termination.command_not_found,
    termination.out_of_memory,
    probes.liveness,
    termination.killed,
    termination.application_error,
    termination.main_process_ends,
    probes.readiness,
)
CONTROLLER_RULES: tuple[PodRule, ...] = (placement.pods_not_created,)

_SHORT_KINDS = {"deploy": "deployment", "sts": "statefulset", "ds": "daemonset", "rs": "replicaset", "po": "pod"}
_FOLDED_CONTROLLERS = ("replicasets", "statefulsets", "daemonsets")


def analyse(snapshot: dict[str, Any], workload: str = "", pod: str = "") -> tuple[View, list[Finding], Evidence]:
    """(view, findings ranked by severity, the evidence they refer to). Raises NotFound or BadInput for the target."""
    view, evidence = View(snapshot), Evidence()
    chosen = _pods(view, workload, pod)
    found = [finding for one in chosen if (finding := _judge_pod(view, one, evidence))]
    if not pod:
        found += _judge_controllers(view, workload, evidence)
    return (
        view,
        sorted(
            _fold(view, found), key=lambda one: (-SEVERITIES.index(one.severity), one.object["namespace"], one.object["name"], one.code)
        ),
        evidence,
    )


def _judge_pod(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    if "deletionTimestamp" in pod["metadata"] or pod.get("status", {}).get("phase") == "Succeeded":
        return None
    if _is_complete(view.workload(pod)):
        return None  # what a job tried before it succeeded is history
    finding = next((finding for rule in POD_RULES if (finding := rule(view, pod, evidence))), None)
    finding = finding or next(
        (finding for container in containers(view, pod) for rule in CONTAINER_RULES if (finding := rule(container, evidence))), None
    )
    if finding is None:
        return None
    finding.object = _reference(view.workload(pod))
    finding.pods = [{"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}]
    return finding


def _judge_controllers(view: View, workload: str, evidence: Evidence) -> list[Finding]:
    found = []
    for name in _FOLDED_CONTROLLERS:
        for controller in view.objects.get(name, []):
            above = view.chain(controller)
            if workload and _normal(workload) not in map(_named, above):
                continue
            finding = next((finding for rule in CONTROLLER_RULES if (finding := rule(view, controller, evidence))), None)
            if finding:
                finding.object = _reference(above[-1])
                found.append(finding)
    return found


def _fold(view: View, found: list[Finding]) -> list[Finding]:
    """One finding per workload, container and cause, however many replicas show it; severity by what still serves."""
    folded: dict[tuple[str, ...], Finding] = {}
    for finding in found:
        key = (finding.object["kind"], finding.object["namespace"], finding.object["name"], finding.container, finding.code)
        known = folded.setdefault(key, finding)
        if known is not finding:
            known.pods += finding.pods
            known.evidence += [one for one in finding.evidence if one not in known.evidence]
            if "finished" in known.details:
                known.details["finished"] = max(known.details["finished"], finding.details["finished"])
    for finding in folded.values():
        ready = sum(1 for pod in view.pods_of(view_object(view, finding)) if is_ready(pod))
        finding.severity = "warning" if ready else "critical"
        finding.details["ready_pods"] = ready
    return list(folded.values())


def view_object(view: View, finding: Finding) -> Object:
    """The whole workload object that a finding is about."""
    kind = finding.object["kind"]
    candidates = (item for items in view.objects.values() for item in items if item["kind"] == kind)
    return next(
        item
        for item in candidates
        if (item["metadata"].get("namespace", ""), item["metadata"]["name"]) == (finding.object["namespace"], finding.object["name"])
    )


def _pods(view: View, workload: str, pod: str) -> list[Object]:
    everything = view.objects["pods"]
    if pod:
        chosen = [one for one in everything if one["metadata"]["name"] == pod]
        if not chosen:
            names = ", ".join(sorted(one["metadata"]["name"] for one in everything)[:8])
            raise NotFound(
                f"There is no pod {pod} in the namespace; it may have been replaced meanwhile.",
                f"Its pods now: {names or 'none'}. Check the option pod, or name the workload instead.",
            )
        return chosen
    if not workload:
        return everything
    wanted = _normal(workload)
    known = {
        _named(item) for name in ("deployments", "statefulsets", "daemonsets", "replicasets", "jobs") for item in view.objects.get(name, [])
    }
    if wanted not in known:
        near = ", ".join(sorted(known)[:8])
        raise NotFound(f"There is no workload {workload} in the namespace.", f"Its workloads: {near or 'none'}. Check the option workload.")
    return [one for one in everything if wanted in map(_named, view.chain(one)[1:])]


def _normal(workload: str) -> str:
    kind, slash, name = workload.partition("/")
    kind = kind.lower()
    kind = _SHORT_KINDS.get(kind, kind)
    if not slash or not name or kind not in ("deployment", "statefulset", "daemonset", "replicaset", "job"):
        raise BadInput(
            f"workload is {workload!r}.", "Write it as kind/name: deployment/web, statefulset/db, daemonset/agent, replicaset/x or job/y."
        )
    return f"{kind}/{name}"


def _named(item: Object) -> str:
    return f"{item['kind'].lower()}/{item['metadata']['name']}"


def _reference(item: Object) -> dict[str, str]:
    metadata = item["metadata"]
    return {"kind": item["kind"], "namespace": metadata.get("namespace", ""), "name": metadata["name"]}


def _is_complete(workload: Object) -> bool:
    conditions = workload.get("status", {}).get("conditions") or []
    return workload["kind"] == "Job" and any(one["type"] == "Complete" and one["status"] == "True" for one in conditions)


def is_ready(pod: Object) -> bool:
    """Whether a pod serves."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions", []))
