# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for controllers whose pods (or jobs, or ReplicaSets) the API server refuses, by what it answered.

What was refused and has succeeded since is history. Events last an hour, conditions stay; where neither is left, what the
pod template names and the cluster provably lacks is the cause. The sentences per answer are in refusals.py.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding, ObjectRule
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.refusals import (
    explain,
    missing_account,
    missing_priority,
    quota_used_up,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence, event_time
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.webhooks import Refusal

_GRACE = 15.0  # seconds in which a controller may simply not have come to it yet
_CREATED = ("SuccessfulCreate",)


class Count(NamedTuple):
    """How many pods a controller wants, and how many of them exist."""

    wanted: int
    there: int


def _replicas(item: Object) -> Count:
    spec, status = item.get("spec", {}), item.get("status", {})
    return Count(int(spec.get("replicas", 1)), int(status.get("replicas", 0)))


def _scheduled(item: Object) -> Count:
    status = item.get("status", {})
    return Count(int(status.get("desiredNumberScheduled", 0)), int(status.get("currentNumberScheduled", 0)))


def _tasks(item: Object) -> Count:
    spec, status = item.get("spec", {}), item.get("status", {})
    finished = any(
        one["type"] in ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet") and one["status"] == "True"
        for one in status.get("conditions") or []
    )
    if spec.get("suspend") or finished:
        return Count(0, 0)
    parallel = int(spec.get("parallelism", 1))
    left = int(spec.get("completions") or parallel) - int(status.get("succeeded", 0))
    return Count(max(0, min(parallel, left)), int(status.get("active", 0)))


_COUNTS: dict[str, Callable[[Object], Count]] = {"ReplicaSet": _replicas, "StatefulSet": _replicas, "DaemonSet": _scheduled, "Job": _tasks}


def pods_not_created(view: View, controller: Object, evidence: Evidence) -> Finding | None:
    """A ReplicaSet, StatefulSet, DaemonSet or Job that lacks pods because the API server refuses them."""
    count = _COUNTS[controller["kind"]](controller)
    if count.there >= count.wanted or "deletionTimestamp" in controller["metadata"]:
        return None
    message, ids = _refused(view, controller, evidence)
    template = controller["spec"].get("template") or {}
    if message:
        refusal = explain(view, controller, template, message)
    elif _age(view, controller) > _GRACE:
        refusal = _proven(view, controller, template)
    else:
        refusal = None
    if refusal is None:
        return None
    if not ids:
        ids = [evidence.add(_source(controller), "", f"{count.wanted} pods wanted, {count.there} exist; {refusal.proof}")]
    return _finding(view, controller, refusal, ids, f"{count.there} of its {count.wanted} pods exist")


def job_not_created(view: View, cronjob: Object, evidence: Evidence) -> Finding | None:
    """A CronJob whose jobs the API server refuses."""
    message, ids = _refused(view, cronjob, evidence)
    if not message or cronjob["spec"].get("suspend"):
        return None
    refusal = explain(view, cronjob, cronjob["spec"].get("jobTemplate", {}).get("spec", {}).get("template") or {}, message)
    return _finding(view, cronjob, refusal, ids, "its job was not created") if refusal else None


def replicaset_not_created(view: View, deployment: Object, evidence: Evidence) -> Finding | None:
    """A Deployment that cannot even make its ReplicaSet."""
    condition = _condition(deployment, "Progressing", "False")
    if condition is None or condition.get("reason") != "ReplicaSetCreateError":
        return None
    message = str(condition.get("message") or "")
    refusal = explain(view, deployment, deployment["spec"].get("template") or {}, message)
    ids = [evidence.add(f"{_source(deployment)} status.conditions[Progressing]", condition.get("lastTransitionTime") or "", message)]
    return _finding(view, deployment, refusal, ids, "its new ReplicaSet does not exist") if refusal else None


def _refused(view: View, item: Object, evidence: Evidence) -> tuple[str, list[str]]:
    """What the API server last answered, unless a creation has succeeded since; with the evidence for it."""
    events = view.events(item, "FailedCreate", *_CREATED)
    failed = [event for event in events if event.get("reason") == "FailedCreate"]
    if failed:
        # of the same second is not since: a controller creates some and is refused the rest at once
        since = [event for event in events if event.get("reason") in _CREATED and event_time(event) > event_time(failed[-1])]
        if since:
            return "", []
        return str(failed[-1].get("message") or ""), event_evidence(evidence, failed[-1:])
    for one in (item, view.owner(item)):
        condition = _condition(one, "ReplicaFailure", "True") if one else None
        if one and condition and (one is item or _is_newest(view, item, one)):
            message = str(condition.get("message") or "")
            return message, [
                evidence.add(f"{_source(one)} status.conditions[ReplicaFailure]", condition.get("lastTransitionTime") or "", message)
            ]
    return "", []


def _is_newest(view: View, replicaset: Object, deployment: Object) -> bool:
    """Whether a Deployment's condition can be about this ReplicaSet of it: the one of its newest revision."""
    key = "deployment.kubernetes.io/revision"
    mine = (replicaset["metadata"].get("annotations") or {}).get(key)
    return mine is not None and mine == (deployment["metadata"].get("annotations") or {}).get(key, mine)


def _proven(view: View, controller: Object, template: Object) -> Refusal | None:
    """Without any answer left: what the template names and the cluster provably lacks."""
    namespace, spec = controller["metadata"]["namespace"], template.get("spec") or {}
    account, priority = spec.get("serviceAccountName") or spec.get("serviceAccount"), spec.get("priorityClassName")
    if account and view.was_read("serviceaccounts") and view.named("serviceaccounts", namespace, account) is None:
        return missing_account(view, namespace, account)
    if priority and view.was_read("priorityclasses") and view.named("priorityclasses", "", priority) is None:
        return missing_priority(view, priority)
    return quota_used_up(view, namespace)


def _finding(view: View, item: Object, refusal: Refusal, ids: list[str], state: str) -> Finding:
    top = view.chain(item)[-1]
    name = f"{item['kind']} {item['metadata']['name']}"
    return Finding(
        code=refusal.code,
        title=refusal.title,
        root_cause=f"{refusal.cause} So the API server refuses what {name} wants to create: {state}.",
        suggested_fix=refusal.fix,
        expected_outcome="The controller tries again by itself (at the latest after some minutes) and creates its pods.",
        evidence=ids,
        object={"kind": top["kind"], "namespace": top["metadata"].get("namespace", ""), "name": top["metadata"]["name"]},
        details=dict(refusal.details),
    )


def _condition(item: Object, kind: str, status: str) -> dict[str, Any] | None:
    return next((one for one in item.get("status", {}).get("conditions") or [] if one["type"] == kind and one["status"] == status), None)


def _source(item: Object) -> str:
    return f"{item['kind'].lower()}/{item['metadata']['name']}"


def _age(view: View, item: Object) -> float:
    return view.age(item["metadata"].get("creationTimestamp"))


OBJECT_RULES: dict[str, tuple[ObjectRule, ...]] = {
    "replicasets": (pods_not_created,),
    "statefulsets": (pods_not_created,),
    "daemonsets": (pods_not_created,),
    "jobs": (pods_not_created,),
    "cronjobs": (job_not_created,),
    "deployments": (replicaset_not_created,),
}
