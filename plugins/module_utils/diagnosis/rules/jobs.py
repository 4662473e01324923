# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for Jobs and the pods of deadlines. A failed Job whose pods are still there is no finding of its own: they say why.

A Job of a CronJob is judged only where it is the newest, and the finding is the CronJob's.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import command_of, statuses_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import cronjobs
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import named, pod_template
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding, ObjectRule as Rule
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence, reference

_SETTLING = 60.0  # seconds that a sidecar may take to end after the main container
_KILLED = (137, 143)  # how a container ends when its pod is deleted
_REASONS = {
    "BackoffLimitExceeded": "its pods failed more often than backoffLimit ({backoff}) allows",
    "PodFailurePolicy": "a pod failed in a way for which its podFailurePolicy says FailJob",
    "FailedIndexes": "one of its indexes failed more often than backoffLimitPerIndex allows",
    "MaxFailedIndexesExceeded": "more of its indexes failed than maxFailedIndexes allows",
}


def failed(view: View, job: Object, evidence: Evidence) -> Finding | None:
    """A Job that has failed for good, and of whose pods none is left to say why."""
    condition = _condition(job, "Failed")
    if condition is None or condition.get("reason") == "DeadlineExceeded" or is_history(view, job) or _explained(view, job):
        return None
    reason, message = condition.get("reason", ""), condition.get("message", "")
    why = _REASONS.get(reason, reason or "no reason is given").format(backoff=job["spec"].get("backoffLimit", 6))
    traces = cronjobs.traces(view, job["metadata"]["namespace"], job["metadata"]["name"])
    said = (
        f" The last event of its pods says: {traces[-1].get('message', '')[:200]}"
        if traces
        else " None of its pods is left, nor an event of them."
    )
    return Finding(
        code="JobFailed",
        severity="critical",
        object=reference(view.chain(job)[-1]),
        evidence=[_condition_evidence(job, condition, evidence), *event_evidence(evidence, traces or view.events(job))],
        details={"reason": reason, "job": job["metadata"]["name"], "failed": job["status"].get("failed", 0)},
        title=f"{named(job)} has failed: {reason}",
        root_cause=(
            f"{_called(view, job)} has failed for good ({reason}{f': {message}' if message else ''}): {why}. It runs {_runs(job)}.{said}"
        ),
        suggested_fix=(
            f"Run the command of {named(job)} by hand, or keep its pods (restartPolicy Never) to read their log; then create the job again."
        ),
        expected_outcome="A new run of the job completes.",
    )


def deadline(view: View, job: Object, evidence: Evidence) -> Finding | None:
    """A Job that was stopped because it took longer than activeDeadlineSeconds."""
    condition = _condition(job, "Failed")
    if condition is None or condition.get("reason") != "DeadlineExceeded" or is_history(view, job) or _explained(view, job):
        return None
    limit = job["spec"].get("activeDeadlineSeconds")
    traces = [
        one for one in cronjobs.traces(view, job["metadata"]["namespace"], job["metadata"]["name"]) if one.get("reason") != "Unhealthy"
    ]
    never = f" Its pods did not get to work: {traces[-1].get('message', '')[:200]}" if traces else ""
    done = f" {job['status'].get('succeeded', 0)} of {job['spec'].get('completions') or 1} completions were reached."
    return Finding(
        code="JobDeadlineExceeded",
        severity="critical",
        object=reference(view.chain(job)[-1]),
        evidence=[_condition_evidence(job, condition, evidence), *event_evidence(evidence, traces or view.events(job))],
        details={"limit": limit, "job": job["metadata"]["name"]},
        title=f"{named(job)} was stopped at its deadline of {limit} s",
        root_cause=(
            f"{_called(view, job)} ran longer than its activeDeadlineSeconds of {limit} and was stopped. It runs {_runs(job)}.{done}{never}"
        ),
        suggested_fix=(
            "Correct what the events of its pods name, then create the job again."
            if traces
            else (
                f"Find out why {_runs(job)} takes so long, or raise activeDeadlineSeconds ({limit}) of {named(view.chain(job)[-1])}; then"
                " run it again."
            )
        ),
        expected_outcome="A new run of the job completes within its deadline.",
    )


def pod_deadline(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """A pod that was stopped because of its own activeDeadlineSeconds."""
    status = pod.get("status") or {}
    if status.get("phase") != "Failed" or status.get("reason") != "DeadlineExceeded":
        return None
    limit, name = pod["spec"].get("activeDeadlineSeconds"), pod["metadata"]["name"]
    where = " of its template" if view.owner(pod) else ""
    return Finding(
        code="JobDeadlineExceeded",
        evidence=[evidence.add(f"pod/{name} status", status.get("startTime") or "", f"{status['reason']}: {status.get('message', '')}")],
        details={"limit": limit, "pod": name},
        title=f"pod {name} was stopped at its deadline of {limit} s",
        root_cause=(
            f"Pod {name} was active for longer than the activeDeadlineSeconds of {limit}{where}, so the kubelet stopped it. It runs"
            f" {_runs(pod)}."
        ),
        suggested_fix=(
            f"Find out why {_runs(pod)} takes so long, or raise activeDeadlineSeconds ({limit}) of the pod{where}; then create it again."
        ),
        expected_outcome="The pod ends by itself within its deadline.",
    )


def stuck(view: View, job: Object, evidence: Evidence) -> Finding | None:
    """A Job that cannot finish: a sidecar that runs on after the work is done, or no pods allowed at all."""
    if is_finished(job) or job["spec"].get("suspend") or job["spec"].get("managedBy", _CONTROLLER) != _CONTROLLER:
        return None
    for pod in view.pods_of(job):
        if "deletionTimestamp" in pod["metadata"]:
            continue
        statuses = {one["name"]: one for one in (pod.get("status") or {}).get("containerStatuses") or []}
        done = [name for name, one in statuses.items() if _ended(one).get("exitCode") == 0]
        going = [name for name, one in statuses.items() if (one.get("state") or {}).get("running")]
        failing = [name for name in statuses if name not in done and name not in going]
        if done and going and not failing and all(view.age(_ended(statuses[name]).get("finishedAt")) >= _SETTLING for name in done):
            return _sidecar(view, job, pod, done, going, evidence)
    if job["spec"].get("parallelism") == 0 and view.age(job["metadata"].get("creationTimestamp")) >= _SETTLING:
        return Finding(
            code="JobStuck",
            severity="warning",
            object=reference(view.chain(job)[-1]),
            evidence=[evidence.add(f"{named(job)} spec", "", "parallelism: 0, suspend: false")],
            details={"job": job["metadata"]["name"], "parallelism": 0},
            title=f"{named(job)} may run no pods",
            root_cause=(
                f"{_called(view, job)} has parallelism 0 and is not suspended, so no pod is ever created for it and it cannot finish."
            ),
            suggested_fix=f"Set spec.parallelism of {named(job)} to 1 or more, or suspend it if it is meant to wait.",
            expected_outcome="The job runs its pods and completes.",
        )
    return None


def _sidecar(view: View, job: Object, pod: Object, done: list[str], going: list[str], evidence: Evidence) -> Finding:
    name, work, rest = pod["metadata"]["name"], ", ".join(done), ", ".join(going)
    first = next(one for one in pod["status"]["containerStatuses"] if one["name"] == done[0])
    return Finding(
        code="JobStuck",
        severity="critical",
        object=reference(view.chain(job)[-1]),
        container=going[0],
        pods=[{"name": name, "uid": pod["metadata"]["uid"]}],
        evidence=[
            evidence.add(
                f"pod/{name} status.containerStatuses",
                _ended(first).get("finishedAt") or "",
                f"{work}: terminated with exit code 0 at {_ended(first).get('finishedAt')}; {rest}: running",
            )
        ],
        details={"job": job["metadata"]["name"], "done": done, "running": going},
        title=f"{named(job)} cannot finish, because container {rest} runs on after container {work} has completed",
        root_cause=(
            f"Container {work} of {_called(view, job)} has completed with exit code 0, but container {rest} in the same pod runs on, and a"
            " pod is only complete when all of its containers have ended."
        ),
        suggested_fix=(
            f"Make {rest} a native sidecar (an init container with restartPolicy Always), or make it end when {work} has ended. To finish"
            f" this run, end {rest} in pod {name}."
        ),
        expected_outcome="The pod and the job complete as soon as the work is done.",
    )


def is_finished(job: Object) -> bool:
    return any(_condition(job, one) for one in ("Complete", "SuccessCriteriaMet", "Failed", "FailureTarget"))


def is_history(view: View, job: Object) -> bool:
    """Whether a Job is a run of a CronJob that is not its newest, or that a later run made good, or that somebody suspended since."""
    above = view.owner(job)
    if above is None or above["kind"] != "CronJob":
        return False
    age = view.age(job["metadata"].get("creationTimestamp"))
    good = (above.get("status") or {}).get("lastSuccessfulTime")
    if good and view.age(good) < age:
        return True
    siblings = [one for one in view.inside("jobs", job["metadata"]["namespace"]) if view.owner(one) is above and is_finished(one)]
    return any(view.age(one["metadata"].get("creationTimestamp")) < age for one in siblings)


def _explained(view: View, job: Object) -> bool:
    """Whether a pod of a Job is left that says itself what is wrong."""
    return any(_says(one) for one in view.pods_of(job))


def _says(pod: Object) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    status = pod.get("status") or {}
    ends = [end for one in statuses_of(pod) if (end := _ended(one) or (one.get("lastState") or {}).get("terminated") or {})]
    return (
        bool(status.get("reason"))
        or any(end.get("exitCode") and (end["exitCode"] not in _KILLED or end.get("reason") == "OOMKilled") for end in ends)
        or (status.get("phase") == "Failed" and any(end.get("exitCode") for end in ends))
        or any(((one.get("state") or {}).get("waiting") or {}).get("message") for one in statuses_of(pod))
    )


def _condition(job: Object, kind: str) -> Object | None:
    return next((one for one in (job.get("status") or {}).get("conditions") or [] if one["type"] == kind and one["status"] == "True"), None)


def _condition_evidence(job: Object, condition: Object, evidence: Evidence) -> str:
    return evidence.add(
        f"{named(job)} status.conditions[{condition['type']}]",
        condition.get("lastTransitionTime") or "",
        f"{condition.get('reason')}: {condition.get('message', '')}; succeeded {job['status'].get('succeeded', 0)}, failed"
        f" {job['status'].get('failed', 0)}",
    )


def _ended(status: Object) -> dict[str, Any]:
    return (status.get("state") or {}).get("terminated") or {}


def _called(view: View, job: Object) -> str:
    """``Job x``, or ``Job x of CronJob y``."""
    above = view.chain(job)[-1]
    return f"Job {job['metadata']['name']}" + (f" of {above['kind']} {above['metadata']['name']}" if above is not job else "")


def _runs(item: Object) -> str:
    """What the containers of a template run: ``migrate (image shop/tools:3, command ./migrate --all)``."""
    told = []
    for one in (pod_template(item).get("spec") or {}).get("containers") or []:
        command = command_of(one)
        told.append(f"{one['name']} (image {one.get('image')}{f', command {command[:120]}' if command else ''})")
    return "; ".join(told[:3])


_CONTROLLER = "kubernetes.io/job-controller"
POD_RULES: tuple[Rule, ...] = (pod_deadline,)
OBJECT_RULES: dict[str, tuple[Rule, ...]] = {"jobs": (deadline, failed, stuck), "cronjobs": cronjobs.RULES}
