# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From a snapshot to findings: judge every pod and object by the rules, fold what has one cause, rank by impact.

Pure: the same snapshot always gives the same findings. The rules themselves are the table in rules.py.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import table as rules, upstream
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import SEVERITIES, Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, containers, event_time, reference
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, NotFound

_SHORT_KINDS = {
    "deploy": "deployment",
    "sts": "statefulset",
    "ds": "daemonset",
    "rs": "replicaset",
    "po": "pod",
    "cj": "cronjob",
    "svc": "service",
}
# lists of what a target can be, by kind
_TARGETS = {
    "deployment": "deployments",
    "statefulset": "statefulsets",
    "daemonset": "daemonsets",
    "replicaset": "replicasets",
    "job": "jobs",
    "cronjob": "cronjobs",
}
_SHOWN_REPLICAS = 3  # whose evidence a finding keeps: the others say the same
_LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")


def analyse(snapshot: dict[str, Any], workload: str = "", pod: str = "") -> tuple[View, list[Finding], Evidence]:
    """(view, findings ranked by severity and impact, the evidence they refer to). Raises NotFound or BadInput for the target."""
    view, evidence = View(snapshot), Evidence()
    target = _target(view, workload, pod)
    found = _fold_replicas([one for item in view.objects["pods"] for one in _judge_pod(view, item, evidence)])
    found += _fold_idle_nodes(_judge_objects(view, evidence))
    found = [one for one in upstream.fold(view, _without_symptoms(view, _merge(found))) if _is_of_interest(view, one)]
    for finding in found:
        _weigh(view, finding)
    if target is not None:
        found = [_limited(view, finding, target) for finding in found if _concerns(view, finding, target, pod)]
    return view, sorted(found, key=_rank), evidence


def _judge_pod(view: View, pod: Object, evidence: Evidence) -> list[Finding]:
    """What is wrong with one pod: one cause for the pod as a whole, or one for each container."""
    if view.is_well(pod) or pod.get("status", {}).get("phase") == "Succeeded" or _is_history(view, pod):
        return []
    leaving = "deletionTimestamp" in pod["metadata"]
    if not leaving and view.is_going(pod["metadata"].get("namespace", "")):
        return []
    finding = next((one for rule in (rules.LEAVING if leaving else rules.PODS) if (one := rule(view, pod, evidence))), None)
    found = [finding] if finding else [] if leaving else _judge_containers(view, pod, evidence)
    for one in found:
        one.object = one.object or reference(view.workload(pod))
        one.pods = one.pods or [{"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}]
    return found


def _judge_containers(view: View, pod: Object, evidence: Evidence) -> list[Finding]:
    found = []
    for container in containers(view, pod):
        finding = next((one for rule in rules.CONTAINERS if (one := rule(container, evidence))), None)
        if finding:
            found.append(finding)
            if container.once:
                break  # nothing after it has started
    if len(found) > 1:  # who cannot reach a neighbour in the same pod suffers from what ails the neighbour
        found = [one for one in found if one.details.get("host") not in _LOCAL] or found
    return found


def _judge_objects(view: View, evidence: Evidence) -> list[Finding]:
    found = []
    for name, table in rules.OBJECTS.items():
        for item in view.objects.get(name, []):
            if view.is_going(item["metadata"].get("namespace", "")):
                continue
            finding = next((one for rule in table if (one := rule(view, item, evidence))), None)
            if finding:
                finding.object = finding.object or reference(view.chain(item)[-1])
                found.append(finding)
    return found


def _fold_idle_nodes(found: list[Finding]) -> list[Finding]:
    """Sick nodes that nothing runs on make one finding for each cause, and not one each."""
    first: dict[str, Finding] = {}
    kept = []
    for finding in found:
        idle = finding.object["kind"] == "Node" and not finding.affects
        root = first.setdefault(finding.code, finding) if idle else finding
        if root is finding:
            kept.append(finding)
            continue
        root.affects.append(finding.object)
        root.evidence += finding.evidence[:1]
        root.title = f"{len(root.affects) + 1} nodes that nothing runs on: {root.object['name']} and others"
    return kept


def _is_of_interest(view: View, finding: Finding) -> bool:
    """In a diagnosis of one namespace: what is in it, or harms something in it."""
    where = {finding.object["namespace"], *(one["namespace"] for one in finding.affects)}
    if finding.object["kind"] == "Namespace":
        where.add(finding.object["name"])
    return not view.namespace or finding.code in rules.EVERYWHERE or view.namespace in where


def _fold_replicas(found: Iterable[Finding]) -> list[Finding]:
    """One finding per workload, container and cause, however many replicas show it."""
    folded: dict[tuple[str, ...], Finding] = {}
    for finding in found:
        known = folded.setdefault((*finding.address, finding.container, finding.code), finding)
        if known is finding:
            continue
        known.pods += [one for one in finding.pods if one not in known.pods]
        if len(known.pods) <= _SHOWN_REPLICAS:
            known.evidence += [one for one in finding.evidence if one not in known.evidence]
        if "finished" in known.details:
            known.details["finished"] = max(known.details["finished"], finding.details.get("finished", ""))
    return list(folded.values())


def _merge(found: list[Finding]) -> list[Finding]:
    """The same, where replicas of one container show the same cause more and less clearly (rules.VAGUE)."""
    by_container: dict[tuple[str, ...], list[Finding]] = {}
    for finding in _fold_replicas(found):
        by_container.setdefault((*finding.address, finding.container), []).append(finding)
    kept = []
    for group in by_container.values():
        clear = [one for one in group if one.code not in rules.VAGUE]
        for vague in (one for one in group if one.code in rules.VAGUE):
            plain = next((one for one in clear if one.code in rules.VAGUE[vague.code]), None)
            if plain:
                plain.pods += [one for one in vague.pods if one not in plain.pods]
            else:
                kept.append(vague)
        kept += clear
    return kept


def _without_symptoms(view: View, found: list[Finding]) -> list[Finding]:
    """Without what only says that something is wrong (rules.SYMPTOMS), where another finding about the same workload says what."""
    explained = {address for one in found if one.code not in rules.SYMPTOMS for address in (one.address, *_members(one))}
    return [one for one in found if one.code not in rules.SYMPTOMS or not explained & {one.address, *_members(one)}]


def _members(finding: Finding) -> list[tuple[str, ...]]:
    return [tuple(one.values()) for one in finding.affects]


def _weigh(view: View, finding: Finding) -> None:
    """Severity by what still serves, since when it shows, and how much hangs on it."""
    subject = view.object(finding.object)
    pods = view.pods_of(subject) if subject else []
    ready = sum(1 for pod in pods if is_ready(pod))
    finding.details.setdefault("ready_pods", ready)
    if not finding.severity:
        finding.severity = "warning" if ready else "critical"
    finding.since = finding.since or _since(view, finding)
    services = sorted({one["metadata"]["name"] for pod in pods[:1] for one in view.fronting(pod)})
    finding.impact = {"failing_pods": len(finding.pods), "ready_pods": ready, "services": services, "affects": len(finding.affects)}


def _since(view: View, finding: Finding) -> str:
    """When the failure was first visible: the oldest event or condition that says so."""
    uids = {one["uid"] for one in finding.pods}
    times = [
        one.get("lastTransitionTime")
        for pod in (view.pod(uid) for uid in uids)
        if pod
        for one in pod.get("status", {}).get("conditions", [])
        if one["type"] in ("Ready", "PodScheduled") and one["status"] == "False"
    ]
    times += [
        event.get("firstTimestamp") or event_time(event)
        for uid in uids
        for event in view.events({"metadata": {"uid": uid}})
        if event.get("type") == "Warning" and event.get("reason") in rules.FAILURE_EVENTS
    ]
    return min((one for one in times if one), default="")


def _rank(finding: Finding) -> tuple[Any, ...]:
    weight = finding.impact["failing_pods"] + finding.impact["affects"] + len(finding.impact["services"])
    return (
        -SEVERITIES.index(finding.severity),
        -weight,
        finding.object["namespace"],
        finding.object["name"],
        finding.code,
        finding.container,
    )


def _target(view: View, workload: str, pod: str) -> Object | None:
    """The object that a diagnosis is limited to. Raises NotFound or BadInput."""
    if pod:
        asked = [one for one in view.objects["pods"] if view.is_asked(one)]
        found = next((one for one in asked if one["metadata"]["name"] == pod), None)
        if found is None:
            names = ", ".join(sorted(one["metadata"]["name"] for one in asked)[:8])
            raise NotFound(
                f"There is no pod {pod} in the namespace; it may have been replaced meanwhile.",
                f"Its pods now: {names or 'none'}. Check the option pod, or name the workload instead.",
            )
        return found
    if not workload:
        return None
    kind, name = _normal(workload)
    found = next((item for item in view.objects.get(_TARGETS[kind], []) if item["metadata"]["name"] == name), None)
    if found is None:
        near = ", ".join(
            sorted(f"{one}/{item['metadata']['name']}" for one, list_ in _TARGETS.items() for item in view.objects.get(list_, []))[:8]
        )
        raise NotFound(f"There is no workload {workload} in the namespace.", f"Its workloads: {near or 'none'}. Check the option workload.")
    return found


def _normal(workload: str) -> tuple[str, str]:
    kind, slash, name = workload.partition("/")
    kind = _SHORT_KINDS.get(kind.lower(), kind.lower())
    if not slash or not name or kind not in _TARGETS:
        raise BadInput(
            f"workload is {workload!r}.",
            "Write it as kind/name: deployment/web, statefulset/db, daemonset/agent, replicaset/x, job/y or cronjob/z.",
        )
    return kind, name


def _concerns(view: View, finding: Finding, target: Object, pod: str) -> bool:
    """Whether a finding explains the target: it is about it, about its pods, or about what it suffers from."""
    if pod:
        mine = any(one["uid"] == target["metadata"]["uid"] for one in finding.pods)
        return mine or (not finding.pods and tuple(reference(view.workload(target)).values()) in _members(finding))
    family = {tuple(reference(one).values()) for one in view.chain(target)}
    if {finding.address, *_members(finding)} & family:
        return not finding.pods or bool(_members(finding)) or any(one["uid"] in _uids(view, target) for one in finding.pods)
    return any(one["uid"] in _uids(view, target) for one in finding.pods)


def _limited(view: View, finding: Finding, target: Object) -> Finding:
    """The same, of the target's own pods where it has failing ones."""
    mine = [one for one in finding.pods if one["uid"] in {target["metadata"]["uid"], *_uids(view, target)}]
    finding.pods = mine or finding.pods
    return finding


def _uids(view: View, target: Object) -> set[str]:
    return {one["metadata"]["uid"] for one in view.pods_of(target)}


def _is_history(view: View, pod: Object) -> bool:
    """Whether a pod belongs to a job that succeeded in the end, or to a run of a CronJob that a later run made good."""
    chain = view.chain(pod)
    if any(one["kind"] == "Job" and _is_complete(one) for one in chain):
        return True
    top = chain[-1]
    succeeded = top.get("status", {}).get("lastSuccessfulTime") if top["kind"] == "CronJob" else None
    return bool(succeeded) and view.age(succeeded) < view.age(pod["metadata"].get("creationTimestamp"))


def _is_complete(job: Object) -> bool:
    return any(
        one["type"] in ("Complete", "SuccessCriteriaMet") and one["status"] == "True"
        for one in job.get("status", {}).get("conditions") or []
    )


def failing_workloads(found: Iterable[Finding]) -> Iterator[list[Finding]]:
    """The findings of each object together, in the order of the worst of each."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in found:
        groups.setdefault(finding.address, []).append(finding)
    yield from groups.values()
