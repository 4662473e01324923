# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for controllers that make no progress although none of their pods says why, and for StatefulSets that wait for an outdated pod.

A paused Deployment, a partition, the strategy OnDelete and minReadySeconds are meant, and no findings.
"""

from __future__ import annotations

import re

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import containers_of, is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import is_alive, likeness, named, nearby
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding, ObjectRule as Rule
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence, reference

_SETTLING = 60.0  # seconds that a controller may take to act on a change
_REVISION = "controller-revision-hash"


def deployment(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """A Deployment whose rollout is over its deadline, is paused before it made a pod, or is not looked at by its controller."""
    spec, status, name = item["spec"], item.get("status") or {}, item["metadata"]["name"]
    wanted = spec.get("replicas", 1)
    if not wanted or "deletionTimestamp" in item["metadata"]:
        return None
    sets = sorted((one for one in view.inside("replicasets", item["metadata"]["namespace"]) if view.owner(one) is item), key=_revision)
    if spec.get("paused"):
        if view.pods_of(item) or sets or status.get("availableReplicas") or _age(view, item) < _SETTLING:
            return None
        finding = _finding(
            item,
            [evidence.add(f"{named(item)} spec", "", "paused: true; it has no ReplicaSet")],
            f"Deployment {name} is paused (spec.paused: true) since before its first rollout, so no ReplicaSet and none of its {wanted}"
            " pods is made",
            f"kubectl -n {item['metadata']['namespace']} rollout resume deployment/{name}, if it is meant to run.",
        )
        finding.severity = "warning"  # somebody wants it so, or has forgotten it
        return finding
    if _is_unseen(view, item):
        return _unseen(item, evidence)
    condition = _condition(item, "Progressing", "False")
    if (
        condition is None
        or condition.get("reason") != "ProgressDeadlineExceeded"
        or status.get("availableReplicas", 0) >= wanted == status.get("updatedReplicas")
    ):
        return _short(view, item, sets[-1], evidence) if sets else None
    newest = sets[-1] if sets else None
    refused = _condition(newest or {}, "ReplicaFailure", "True") or _condition(item, "ReplicaFailure", "True")
    ids = [
        evidence.add(
            f"{named(item)} status.conditions[Progressing]",
            condition.get("lastTransitionTime") or "",
            f"{condition['reason']}: {condition.get('message', '')}; {_numbers(item)}",
        )
    ]
    why = (
        f" The ReplicaSet cannot create pods: {refused.get('message', '')[:250]}" if refused else _pods_say(view, newest) if newest else ""
    )
    return _finding(
        item,
        [*ids, *(event_evidence(evidence, view.events(newest)) if newest else [])],
        f"Deployment {name} has made no progress for more than {spec.get('progressDeadlineSeconds', 600)} s (ProgressDeadlineExceeded):"
        f" {_numbers(item)}{'; the new ReplicaSet is ' + newest['metadata']['name'] if newest else ''}.{why}".rstrip(". "),
        f"Read the events of {'replicaset/' + newest['metadata']['name'] if newest else named(item)} and of its pods; undo the rollout"
        f" (kubectl -n {item['metadata']['namespace']} rollout undo deployment/{name}) if the earlier revision served.",
    )


def _short(view: View, item: Object, newest: Object, evidence: Evidence) -> Finding | None:
    """The newest ReplicaSet has fewer pods than it wants, and nobody says why."""
    wanted = newest["spec"].get("replicas", 0)
    if len([pod for pod in view.pods_of(newest) if "deletionTimestamp" not in pod["metadata"]]) >= wanted or _age(view, newest) < _SETTLING:
        return None
    refused = _condition(newest, "ReplicaFailure", "True")
    if newest.get("status", {}).get("replicas", 0) >= wanted or view.events(newest, "FailedCreate") or not _is_settled(view, item):
        return None
    why = f": {refused.get('message', '')[:250]}" if refused else ", and no event says why: the controller manager may not be running"
    return _finding(
        item,
        [evidence.add(f"{named(newest)} status", "", f"replicas: {newest.get('status', {}).get('replicas', 0)} of {wanted}")],
        f"ReplicaSet {newest['metadata']['name']} of Deployment {item['metadata']['name']} has"
        f" {newest.get('status', {}).get('replicas', 0)} of {wanted} pods{why}",
        "Correct what the message names." if refused else "Check kube-controller-manager.",
    )


def stateful_set(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """A StatefulSet that its controller does not look at, or that waits for nothing that could be seen."""
    wanted = item["spec"].get("replicas", 1)
    if not wanted or "deletionTimestamp" in item["metadata"]:
        return None
    if _is_unseen(view, item):
        return _unseen(item, evidence)
    pods = view.pods_of(item)
    if (
        len(pods) >= wanted
        or view.events(item, "FailedCreate")
        or not all(map(is_ready, pods))
        or _condition(item, "ReplicaFailure", "True")
    ):
        return None
    newest = min((view.age(pod["metadata"].get("creationTimestamp")) for pod in pods), default=_age(view, item))
    if min(newest, _changed(view, item)) < max(_SETTLING, item["spec"].get("minReadySeconds", 0) + _SETTLING):
        return None
    return _finding(
        item,
        [evidence.add(f"{named(item)} status", "", f"{len(pods)} of {wanted} pods, all ready; no FailedCreate event")],
        f"StatefulSet {item['metadata']['name']} has {len(pods)} of {wanted} pods, all of them ready, and creates no more; no event says"
        " why: the controller manager may not be running",
        "Check kube-controller-manager.",
    )


def service_name(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """A StatefulSet whose governing Service does not exist, where a pod asks for the host names that only it gives, or its name is a typo."""
    wanted, metadata = item["spec"].get("serviceName"), item["metadata"]
    if (
        not wanted
        or not view.was_read("services")
        or view.named("services", metadata["namespace"], wanted)
        or not item["spec"].get("replicas", 1)
    ):
        return None
    users = _users_of_hosts(view, item, wanted)
    services = view.inside("services", metadata["namespace"])
    labels = ((item["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    fitting = [
        one["metadata"]["name"]
        for one in services
        if one["spec"].get("clusterIP") == "None" and one["spec"].get("selector") and one["spec"]["selector"].items() <= labels.items()
    ]
    if not users and not (len(fitting) == 1 and likeness(wanted, fitting[0]) >= 0.7):
        return None  # many charts name a Service that nobody needs; a typo of the one that selects the pods is none of those
    meant = fitting[0] if len(fitting) == 1 else nearby(wanted, [one["metadata"]["name"] for one in services])
    hint = f" The headless Service {meant} selects its pods." if meant in fitting else f" Service {meant} may be meant." if meant else ""
    return Finding(
        code="ServiceNameMissing",
        severity="warning",
        object=reference(item),
        evidence=[
            evidence.add(f"{named(item)} spec.serviceName", metadata.get("creationTimestamp") or "", f"{wanted}; no such Service"),
            *(evidence.add(who, "", text) for who, text in users[:1]),
        ],
        details={"service_name": wanted, "meant": meant},
        title=f"StatefulSet {metadata['name']} names the Service {wanted}, which does not exist",
        root_cause=(
            f"StatefulSet {metadata['name']} has serviceName {wanted}, and there is no Service {wanted} in namespace"
            f" {metadata['namespace']}, so the host names of its pods ({metadata['name']}-0.{wanted}) do not exist"
            f"{f', which {users[0][0]} asks for' if users else ''}.{hint}"
        ),
        suggested_fix=f"Create a headless Service {wanted} (clusterIP None) that selects the pods of {named(item)}"
        + (f", or create the StatefulSet anew with serviceName {meant} (the field cannot be changed)." if meant else "."),
        expected_outcome=f"{metadata['name']}-0.{wanted} is resolved.",
    )


def daemon_set(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """A DaemonSet that its controller does not look at, or that lacks pods without a reason."""
    if "deletionTimestamp" in item["metadata"]:
        return None
    if _is_unseen(view, item):
        return _unseen(item, evidence)
    status, metadata = item.get("status") or {}, item["metadata"]
    wanted, has = status.get("desiredNumberScheduled", 0), status.get("currentNumberScheduled", 0)
    if has >= wanted or len(view.pods_of(item)) >= wanted or view.events(item, "FailedCreate") or not _is_settled(view, item):
        return None
    return _finding(
        item,
        [
            evidence.add(
                f"{named(item)} status", "", f"desiredNumberScheduled: {wanted}, currentNumberScheduled: {has}; no FailedCreate event"
            )
        ],
        f"DaemonSet {metadata['name']} has pods on {has} of {wanted} nodes, and no event says why the others have none",
        "Check kube-controller-manager and the nodes without a pod.",
    )


def superseded(view: View, finding: Finding) -> Finding:
    """A finding about a pod of a StatefulSet that is no longer of its template: the controller waits for this pod before it replaces it.

    The cause is then mended already in the template, and what is left is to delete the pod. Other findings come back as they are.
    """
    owner = finding.object
    item = view.named("statefulsets", owner["namespace"], owner["name"]) if owner.get("kind") == "StatefulSet" else None
    update = ((item or {}).get("status") or {}).get("updateRevision")
    if item is None or not update or not finding.pods:
        return finding
    pods = [pod for pod in view.pods_of(item) if pod["metadata"]["uid"] in {one["uid"] for one in finding.pods}]
    first = item["spec"].get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0)
    on_delete = item["spec"].get("updateStrategy", {}).get("type") == "OnDelete"
    old = [pod for pod in pods if _label(pod) not in ("", update)]
    if (
        not pods
        or len(old) < len(pods)
        or (not on_delete and (item["spec"].get("podManagementPolicy") == "Parallel" or _ordinal(old[0]) < first))
    ):
        return finding
    name = old[0]["metadata"]["name"]
    waits = (
        "its updateStrategy OnDelete replaces a pod only when somebody deletes it"
        if on_delete
        else "the controller waits until it is ready before it replaces it, which never comes (podManagementPolicy OrderedReady)"
    )
    finding.details = {**finding.details, "was": finding.code, "blocked_by": name, "revision": _label(old[0]), "update_revision": update}
    finding.root_cause = (
        f"Pod {name} is of the earlier revision {_label(old[0])} of StatefulSet {owner['name']}, whose template is now {update}; {waits}."
        f" What ails it, in the old template: {finding.root_cause}"
    )
    finding.code = "RolloutStuck"
    finding.title = f"StatefulSet {owner['name']} waits for pod {name}, which is of an earlier revision and does not become ready"
    finding.suggested_fix = f"Delete pod {name}: the controller makes it anew from the current template ({update})."
    finding.expected_outcome = f"Pod {name} is made anew from revision {update} and becomes ready."
    return finding


def _users_of_hosts(view: View, item: Object, service: str) -> list[tuple[str, str]]:
    """(who, text) of the first that names a host below the governing Service, in commands, environment or logs."""
    host = re.compile(
        rf"(?<![\w.-])(?:{re.escape(item['metadata']['name'])}-(?:\d+|\$\w+|\$\{{\w+\}})|\$\w+|\$\{{\w+\}}|\$\(\w+\))\.{re.escape(service)}(?![\w-])"
    )
    found = []
    for pod in filter(is_alive, view.inside("pods", item["metadata"]["namespace"])):
        for one in containers_of(pod["spec"]):
            values = [str(variable.get("value") or "") for variable in one.get("env") or []]
            log = view.logs(pod, one["name"])
            for text in (*(one.get("command") or []), *(one.get("args") or []), *values, *log.values()):
                match = host.search(text or "")
                if match:
                    found.append((named(view.workload(pod)), text[max(0, match.start() - 80) : match.end() + 120]))
    return found


def _pods_say(view: View, newest: Object) -> str:
    pods = [pod for pod in view.pods_of(newest) if "deletionTimestamp" not in pod["metadata"]]
    waiting = [pod["metadata"]["name"] for pod in pods if not is_ready(pod)]
    if waiting:
        return f" Not ready: pod {', '.join(waiting[:3])}"
    return " All of its pods are ready" if pods else " It has no pods"


def _is_unseen(view: View, item: Object) -> bool:
    """Whether the controller has not looked at a change for longer than it takes."""
    seen, made = (item.get("status") or {}).get("observedGeneration"), item["metadata"].get("generation")
    return bool(seen and made and seen < made and _settled_for(view, item) >= _SETTLING)


def _unseen(item: Object, evidence: Evidence) -> Finding:
    seen, made = item["status"]["observedGeneration"], item["metadata"]["generation"]
    return _finding(
        item,
        [evidence.add(f"{named(item)} status.observedGeneration", "", f"{seen}, while metadata.generation is {made}")],
        f"{item['kind']} {item['metadata']['name']} was changed (generation {made}), and its controller has only seen generation {seen}:"
        " the controller manager does not work on it",
        "Check kube-controller-manager: its pod, its leader election and its log.",
    )


def _settled_for(view: View, item: Object) -> float:
    """Seconds since the newest change of the spec, as the field managers say; 0 where they do not."""
    times = [one.get("time") for one in item["metadata"].get("managedFields") or [] if one.get("subresource") != "status"]
    return min((view.age(one) for one in times if one), default=0.0)


def _changed(view: View, item: Object) -> float:
    return _settled_for(view, item) or _age(view, item)


def _is_settled(view: View, item: Object) -> bool:
    return min(_age(view, item), _changed(view, item)) >= _SETTLING


def _age(view: View, item: Object) -> float:
    return view.age(item["metadata"].get("creationTimestamp"))


def _numbers(item: Object) -> str:
    status = item.get("status") or {}
    return (
        f"{status.get('updatedReplicas', 0)} of {item['spec'].get('replicas', 1)} pods are of the new revision,"
        f" {status.get('availableReplicas', 0)} pods are available"
    )


def _condition(item: Object, kind: str, value: str) -> Object | None:
    return next((one for one in (item.get("status") or {}).get("conditions") or [] if one["type"] == kind and one["status"] == value), None)


def _revision(item: Object) -> int:
    return int((item["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision") or 0)


def _label(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(_REVISION, ""))


def _ordinal(pod: Object) -> int:
    number = pod["metadata"]["name"].rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def _finding(item: Object, ids: list[str], why: str, fix: str) -> Finding:
    return Finding(
        code="RolloutStuck",
        object=reference(item),
        evidence=ids,
        details={},
        title=f"{named(item)} makes no progress",
        root_cause=f"{why}.",
        suggested_fix=fix,
        expected_outcome=f"All pods of {named(item)} are of the new revision and available.",
    )


OBJECT_RULES: dict[str, tuple[Rule, ...]] = {
    "deployments": (deployment,),
    "statefulsets": (stateful_set, service_name),
    "daemonsets": (daemon_set,),
}
