# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for CronJobs that do not start their jobs, or whose last run failed without a trace. A suspended one is well."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import schedule
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import named
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding, ObjectRule as Rule
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence, event_time, reference
from ansible_collections.aiops.k8s.plugins.module_utils.errors import library
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock

_MISSED = 3  # times in a row that a controller at work does not miss
_COUNTED = 60  # of the times that were missed
_LATE = 300.0  # seconds, likewise
_PERIODS = 5  # that a run may take before it is held to be stuck
_SLOW = 10  # seconds: startingDeadlineSeconds below this may be over before the controller looks
_TRACES = (
    "Failed",
    "FailedScheduling",
    "FailedMount",
    "FailedAttachVolume",
    "FailedCreatePodSandBox",
    "BackOff",
    "Unhealthy",
    "Evicted",
    "InspectFailed",
)
_ENDING = 10.0  # seconds that the controller may take to note how a run ended
_CREATION = ("exceeded quota", "is forbidden", "webhook", "serviceaccount")  # rules of their own judge these
# reason of an event -> (what it means, fix)
_EVENTS = {
    "UnparseableSchedule": ("its schedule {schedule!r} cannot be read", "Correct spec.schedule of {name}."),
    "InvalidSchedule": ("its schedule {schedule!r} is not valid", "Correct spec.schedule of {name}."),
    "UnknownTimeZone": (
        "its time zone {zone!r} is not known",
        "Correct spec.timeZone of {name} to a name of the IANA database, such as Europe/Berlin.",
    ),
    "TooManyMissedTimes": (
        "it missed more than 100 start times, so the controller has given up",
        "Set spec.startingDeadlineSeconds of {name} (at least 60), so that only recent times count; check the controller's clock.",
    ),
    "FailedNeedsStart": (
        "it missed too many start times, so the controller has given up",
        "Set spec.startingDeadlineSeconds of {name} (at least 60), so that only recent times count; check the controller's clock.",
    ),
    "MissSchedule": (
        "a start time passed without a job, since startingDeadlineSeconds ({deadline}) was over",
        "Raise spec.startingDeadlineSeconds of {name} (now {deadline}) to at least 60.",
    ),
    "FailedCreate": ("the API server refuses its job", "Correct what the message names in spec.jobTemplate of {name}."),
}


def not_scheduled(view: View, cronjob: Object, evidence: Evidence) -> Finding | None:
    """A CronJob whose start times pass without a job."""
    spec = cronjob["spec"]
    if spec.get("suspend") or "deletionTimestamp" in cronjob["metadata"]:
        return None
    ids = [evidence.add(f"{named(cronjob)} spec.schedule", "", spec["schedule"])]
    fix = f"Correct spec.schedule of {named(cronjob)}."
    plan, unreadable = None, ""
    try:
        plan = schedule.parse(spec["schedule"])
    except ValueError as error:
        unreadable = str(error)
    if plan and not plan.every and not schedule.before(plan, view.now, 1):
        return _finding(cronjob, f"its schedule {spec['schedule']!r} names a day that does not exist", fix, ids, {})
    event = _complaint(view, cronjob)
    if event is not None:
        if any(word in event.get("message", "") for word in _CREATION):
            return None
        what, advice = _EVENTS[event["reason"]]
        names = {
            key: spec.get(field) for key, field in (("schedule", "schedule"), ("zone", "timeZone"), ("deadline", "startingDeadlineSeconds"))
        }
        names["name"] = named(cronjob)
        why = f"{what.format(**names)}: {event.get('message', '')[:200]}"
        return _finding(cronjob, why, advice.format(**names), event_evidence(evidence, [event]), {})
    if plan is None:
        return _finding(cronjob, f"its schedule cannot be read: {unreadable}", fix, ids, {})
    return None if plan.every else _overdue(view, cronjob, plan, evidence)


def _complaint(view: View, cronjob: Object) -> Object | None:
    """The newest event that says why no job was started, where none was started since."""
    last = (cronjob.get("status") or {}).get("lastScheduleTime")
    since = min(view.age(last), view.age(cronjob["metadata"].get("creationTimestamp")))
    event = next(reversed(view.events(cronjob, *_EVENTS)), None)
    return event if event is not None and view.age(event_time(event)) <= since else None


def _overdue(view: View, cronjob: Object, plan: schedule.Schedule, evidence: Evidence) -> Finding | None:
    spec, status = cronjob["spec"], cronjob.get("status") or {}
    now = _local(view.now, spec.get("timeZone"))
    if now is None:
        return None
    due = schedule.before(plan, now, max(_MISSED, _PERIODS) + 1)
    ids = [
        evidence.add(
            f"{named(cronjob)} spec and status",
            status.get("lastScheduleTime") or "",
            f"schedule: {spec['schedule']}, concurrencyPolicy: {spec.get('concurrencyPolicy', 'Allow')}, startingDeadlineSeconds:"
            f" {spec.get('startingDeadlineSeconds', 'not set')}, lastScheduleTime: {status.get('lastScheduleTime', 'never')}",
        )
    ]
    running = [
        job for one in status.get("active") or [] if (job := view.named("jobs", cronjob["metadata"]["namespace"], one.get("name", "")))
    ]
    if status.get("active"):
        return _held_up(view, cronjob, due, running, ids)
    marks = [mark for mark in (status.get("lastScheduleTime"), cronjob["metadata"].get("creationTimestamp")) if mark]
    if not marks or len(due) < _MISSED:
        return None
    begun = max(clock.parse(mark) for mark in marks)
    if due[_MISSED - 1] <= begun:
        return None
    missed = [one for one in schedule.before(plan, now, _COUNTED) if one > begun]
    if (now - missed[-1]).total_seconds() < _LATE:
        return None
    deadline = spec.get("startingDeadlineSeconds")
    why, fix = "so the CronJob controller does not run or its clock is wrong", "Check kube-controller-manager and its clock."
    if deadline is not None and deadline < _SLOW:
        why = f"since startingDeadlineSeconds is {deadline}, and the controller looks only every 10 s"
        fix = f"Raise spec.startingDeadlineSeconds of {named(cronjob)} (now {deadline}) to at least 60."
    told = status.get("lastScheduleTime") or "its creation"
    return _finding(
        cronjob,
        f"its schedule {spec['schedule']!r} was due {len(missed)} or more times since {told}, and no job was started, {why}",
        fix,
        ids,
        {},
    )


def _held_up(view: View, cronjob: Object, due: list[datetime], running: list[Object], ids: list[str]) -> Finding | None:
    """concurrencyPolicy Forbid: a run that does not end keeps all later ones from starting."""
    if cronjob["spec"].get("concurrencyPolicy") != "Forbid" or not running or len(due) <= _PERIODS:
        return None
    oldest = min(running, key=lambda job: str(job["metadata"].get("creationTimestamp")))
    age = view.age((oldest.get("status") or {}).get("startTime") or oldest["metadata"].get("creationTimestamp"))
    begun = (due[0] - due[_PERIODS]).total_seconds()
    pods = view.pods_of(oldest)
    alive = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
    if age < max(begun, _LATE) or not alive:
        return None  # a pod that cannot start says so itself
    name = oldest["metadata"]["name"]
    return _finding(
        cronjob,
        f"its job {name} has been running for {int(age)} s, which is {_PERIODS} periods of {cronjob['spec']['schedule']!r} or more, and"
        " concurrencyPolicy Forbid lets no other start meanwhile",
        f"Find out what pod {alive[0]['metadata']['name']} of job {name} waits for; give the job an activeDeadlineSeconds.",
        ids,
        {"job": name},
    )


def last_run_failed(view: View, cronjob: Object, evidence: Evidence) -> Finding | None:
    """The last run has failed, and neither the job nor a pod of it is left (failedJobsHistoryLimit 0)."""
    spec, metadata = cronjob["spec"], cronjob["metadata"]
    job = _lost_run(view, cronjob)
    if not job or spec.get("suspend") or "deletionTimestamp" in metadata:
        return None
    events = traces(view, metadata["namespace"], job)
    status = cronjob.get("status") or {}
    times = (
        f"lastScheduleTime: {status.get('lastScheduleTime')}, lastSuccessfulTime: {status.get('lastSuccessfulTime', 'never')}; no job is"
        " left"
    )
    said = f" The last event of its pods says: {events[-1].get('message', '')[:200]}" if events else ""
    return Finding(
        code="JobFailed",
        severity="critical",
        object=reference(cronjob),
        evidence=[evidence.add(f"{named(cronjob)} status", status.get("lastScheduleTime") or "", times), *event_evidence(evidence, events)],
        details={"job": job, "schedule": spec["schedule"]},
        title=f"the last run of {named(cronjob)} has failed",
        root_cause=(
            f"The last run of CronJob {metadata['name']} (job {job}) has not succeeded, and the job was removed at once, since"
            f" failedJobsHistoryLimit is {spec.get('failedJobsHistoryLimit', 1)}: its log is lost.{said}"
        ),
        suggested_fix=f"Set spec.failedJobsHistoryLimit of {named(cronjob)} to 1, so that the next failed run keeps its pod and its log.",
        expected_outcome="The next run succeeds, or says why not.",
    )


def _lost_run(view: View, cronjob: Object) -> str:
    """The name of the job of the last schedule, where it has failed and is gone: one that succeeds is and its time is noted."""
    spec, status, metadata = cronjob["spec"], cronjob.get("status") or {}, cronjob["metadata"]
    last, good = status.get("lastScheduleTime"), status.get("lastSuccessfulTime")
    if not last or status.get("active") or not view.was_read("jobs") or (good and view.age(good) <= view.age(last)):
        return ""
    if ((spec.get("jobTemplate") or {}).get("spec") or {}).get("ttlSecondsAfterFinished") is not None or spec.get(
        "failedJobsHistoryLimit"
    ) != 0:
        return ""
    name = f"{metadata['name']}-{int(clock.parse(last).timestamp()) // 60}"
    known = [
        job
        for job in view.inside("jobs", metadata["namespace"])
        if view.owner(job) is cronjob and view.age(job["metadata"].get("creationTimestamp")) <= view.age(last)
    ]
    return "" if known or view.age(last) < _ENDING else name


def traces(view: View, namespace: str, job: str) -> list[Object]:
    """Warning events of a job's pods that are gone, oldest first: they carry the job's name."""
    pod_name = re.compile(rf"{re.escape(job)}-(?:\d+-)?[a-z0-9]{{5}}")
    found = []
    for event in view.objects["events"]:
        about = event.get("involvedObject") or {}
        mine = about.get("kind") == "Pod" and about.get("namespace") == namespace and pod_name.fullmatch(about.get("name", ""))
        if mine and event.get("reason") in _TRACES and event.get("type", "Warning") == "Warning":
            found.append(event)
    found.sort(key=event_time)
    return [event for event in found if event.get("reason") != "BackOff" and not event.get("message", "").startswith("Error: ")] or found


def _finding(cronjob: Object, why: str, fix: str, ids: list[str], details: dict[str, Any]) -> Finding:
    return Finding(
        code="CronJobNotScheduled",
        severity="warning",
        object=reference(cronjob),
        evidence=ids,
        details={"schedule": cronjob["spec"]["schedule"], **details},
        title=f"{named(cronjob)} does not start its jobs",
        root_cause=f"CronJob {cronjob['metadata']['name']} does not start its jobs: {why}.",
        suggested_fix=fix,
        expected_outcome="A job is started at the next time of the schedule.",
    )


def _local(moment: datetime, zone: str | None) -> datetime | None:
    """A moment in a CronJob's time zone, else in UTC, where controllers run; None where the zone is not known here."""
    if not zone:
        return moment.astimezone(timezone.utc)
    found = library("dateutil.tz").gettz(zone)
    return moment.astimezone(found) if found else None


RULES: tuple[Rule, ...] = (not_scheduled, last_run_failed)
