# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Jobs, CronJobs, deadlines and schedules: what fails, and what is history, suspended or merely slow."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import schedule
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.jobs import OBJECT_RULES, pod_deadline
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence

from tests.unit.diagnosis import objects as make
from tests.unit.diagnosis.traffic import Object, cronjob, job, judge, seen

BACKOFF = "Job has reached the specified backoff limit"


def found(*items: Object) -> list[Any]:
    return judge(OBJECT_RULES, seen(*items))


def run(owner: Object, *statuses: Object, phase: str = "Running", **more: Any) -> Object:
    return make.pod(*statuses, name=f"{owner['metadata']['name']}-x7k2p", owner=owner, phase=phase, **more)


def gone(owner: Object, reason: str, message: str) -> Object:
    """An event of a pod that is not there any more."""
    lost = make.pod(name=f"{owner['metadata']['name']}-x7k2p", owner=owner)
    return make.event(lost, reason, message)


@pytest.mark.parametrize("reason", ["BackoffLimitExceeded", "PodFailurePolicy", "FailedIndexes", "MaxFailedIndexesExceeded"])
def test_a_failed_job_whose_pods_are_gone(reason: str) -> None:
    failed = job(failed=reason, message=BACKOFF)
    (finding,) = found(failed, gone(failed, "FailedMount", 'configmap "settings" not found'), gone(failed, "BackOff", "Back-off restarting"))
    assert finding.code == "JobFailed" and finding.object["kind"] == "Job"
    for word in ("Job migrate", reason, "shop/web:1", 'configmap "settings" not found'):
        assert word in finding.root_cause


def test_a_failed_job_whose_pod_is_there_is_a_symptom() -> None:
    failed = job(failed="BackoffLimitExceeded", message=BACKOFF)
    assert not found(failed, run(failed, make.status("terminated", **make.ended(1)), phase="Failed"))


def test_the_events_of_another_job_are_not_cited() -> None:
    failed = job("load", failed="BackoffLimitExceeded")
    (finding,) = found(failed, gone(job("load-all"), "Failed", "Failed to pull image x"))
    assert "Failed to pull" not in finding.root_cause


def test_a_job_that_ran_into_its_deadline() -> None:
    late = job(failed="DeadlineExceeded", message="Job was active longer than specified deadline", activeDeadlineSeconds=30)
    late["spec"]["template"]["spec"]["containers"][0]["command"] = ["./migrate", "--all"]
    (finding,) = found(late)
    assert finding.code == "JobDeadlineExceeded" and finding.details["limit"] == 30
    for word in ("activeDeadlineSeconds of 30", "./migrate --all", "0 of 1"):
        assert word in finding.root_cause
    (finding,) = found(late, gone(late, "Failed", "Failed to pull image shop/tools:9: not found"))
    assert "shop/tools:9" in finding.root_cause


def test_a_pod_that_ran_into_its_own_deadline() -> None:
    late = make.pod(phase="Failed")
    late["spec"]["activeDeadlineSeconds"] = 20
    late["status"] |= {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the specified deadline"}
    view = seen(late)
    finding = pod_deadline(view, late, Evidence())
    assert finding and finding.code == "JobDeadlineExceeded" and "activeDeadlineSeconds of 20" in finding.root_cause
    assert not pod_deadline(view, make.pod(phase="Failed"), Evidence())


def test_a_sidecar_that_keeps_a_job_from_finishing() -> None:
    going = job()
    done = make.status("terminated", "work", **make.ended(0, seconds=200))
    (finding,) = found(going, run(going, done, make.running("proxy")))
    assert finding.code == "JobStuck" and finding.container == "proxy"
    assert "Container work" in finding.root_cause and "proxy" in finding.root_cause and "Job migrate" in finding.root_cause
    assert not found(going, run(going, make.status("terminated", "work", **make.ended(0, seconds=10)), make.running("proxy")))
    assert not found(going, run(going, make.status("terminated", "work", **make.ended(1, seconds=200)), make.running("proxy")))


def test_a_job_with_parallelism_zero() -> None:
    (finding,) = found(job(parallelism=0))
    assert finding.code == "JobStuck" and finding.severity == "warning" and "parallelism 0" in finding.root_cause
    assert not found(job(parallelism=0, suspend=True))


@pytest.mark.parametrize("item", [job(), job(complete=True), job(suspend=True), job(complete=True, ttlSecondsAfterFinished=100)])
def test_jobs_that_are_well(item: Object) -> None:
    assert not found(item)


def test_runs_of_a_cronjob_that_were_made_good_are_history() -> None:
    plan = cronjob(status={"lastSuccessfulTime": make.ago(100)})
    old = job("nightly-1", plan, seconds=3600, failed="BackoffLimitExceeded")
    assert not found(plan, old)
    assert not found(
        plan := cronjob(), job("nightly-1", plan, seconds=3600, failed="BackoffLimitExceeded"), job("nightly-2", plan, seconds=200, complete=True)
    )


def test_the_newest_run_of_a_cronjob_that_failed_is_the_cronjobs_finding() -> None:
    plan = cronjob()
    (finding,) = found(
        plan, job("nightly-1", plan, seconds=3600, failed="BackoffLimitExceeded"), job("nightly-2", plan, failed="BackoffLimitExceeded")
    )
    assert finding.code == "JobFailed" and finding.object == {"kind": "CronJob", "namespace": "shop", "name": "nightly"}
    assert "nightly-2 of CronJob nightly" in finding.root_cause


def test_a_failed_run_that_is_not_kept() -> None:
    plan = cronjob(last=100, failedJobsHistoryLimit=0)
    name = f"nightly-{int(make.NOW.timestamp() - 100) // 60}"
    (finding,) = found(plan, gone(job(name), "FailedMount", 'secret "keys" not found'))
    assert finding.code == "JobFailed" and finding.object["kind"] == "CronJob"
    assert name in finding.root_cause and 'secret "keys" not found' in finding.root_cause


@pytest.mark.parametrize(
    "spec",
    [
        {"last": 5},
        {"last": 100, "status": {"lastSuccessfulTime": make.ago(90)}},
        {"last": 100, "failedJobsHistoryLimit": 1},
        {"last": 100, "suspend": True},
        {"last": 100, "status": {"active": [{"name": "nightly-1"}]}},
        {"last": 100, "jobTemplate": {"spec": {"ttlSecondsAfterFinished": 0}}},
    ],
)
def test_runs_that_may_have_succeeded_or_go_on(spec: dict[str, Any]) -> None:
    assert not found(cronjob(**{"failedJobsHistoryLimit": 0, **spec}))


@pytest.mark.parametrize(
    ("item", "reason", "words"),
    [
        (cronjob(timeZone="Europe/Berln"), "UnknownTimeZone", "Europe/Berln"),
        (cronjob(schedule="61 * * * *"), "UnparseableSchedule", "61 * * * *"),
        (cronjob(), "TooManyMissedTimes", "more than 100"),
        (cronjob(), "FailedNeedsStart", "too many"),
        (cronjob(startingDeadlineSeconds=5), "MissSchedule", "(5)"),
        (cronjob(), "FailedCreate", "object has been modified"),
    ],
)
def test_a_cronjob_whose_controller_says_why(item: Object, reason: str, words: str) -> None:
    (finding,) = found(item, make.event(item, reason, "object has been modified" if reason == "FailedCreate" else reason))
    assert finding.code == "CronJobNotScheduled" and words in finding.root_cause


def test_a_cronjob_that_is_overdue() -> None:
    (finding,) = found(cronjob(last=3600))
    assert finding.code == "CronJobNotScheduled" and "*/5 * * * *" in finding.root_cause
    (finding,) = found(cronjob(schedule="* * * * *", last=None, seconds=900, startingDeadlineSeconds=5))
    assert "startingDeadlineSeconds is 5" in finding.root_cause


def test_a_schedule_that_never_comes() -> None:
    (finding,) = found(cronjob(schedule="0 0 30 2 *"))
    assert "0 0 30 2 *" in finding.root_cause


def test_a_run_that_blocks_all_later_ones() -> None:
    plan = cronjob(last=7200, concurrencyPolicy="Forbid", status={"active": [{"name": "nightly-1"}]})
    long = job("nightly-1", plan, seconds=7200)
    (finding,) = found(plan, long, run(long, make.running()))
    assert finding.code == "CronJobNotScheduled" and "nightly-1" in finding.root_cause and "Forbid" in finding.root_cause
    assert not found(plan, long, run(long, phase="Pending"))


@pytest.mark.parametrize(
    "item",
    [
        cronjob(),
        cronjob(last=7200, suspend=True),
        cronjob(schedule="0 3 * * *", last=30000),
        cronjob(schedule="0 13 * * *", timeZone="Europe/Berlin", last=86400),
        cronjob(schedule="0 12 1 1 *", last=None, seconds=3600),
        cronjob(last=None, seconds=200),
        cronjob(schedule="@hourly", last=3500),
        cronjob(schedule="@every 5m", last=3500),
        cronjob(last=7200, status={"active": [{"name": "nightly-1"}]}),
    ],
)
def test_cronjobs_that_are_well(item: Object) -> None:
    assert not found(item)


def test_what_the_rules_of_creation_judge_is_left_to_them() -> None:
    plan = cronjob()
    assert not found(plan, make.event(plan, "FailedCreate", 'Error creating job: jobs.batch "x" is forbidden: exceeded quota: jobs'))


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("* * * * *", "2026-11-21T12:30"),
        ("*/20 * * * *", "2026-11-21T12:20"),
        ("15 3 * * *", "2026-11-21T03:15"),
        ("0 22 * * 1-5", "2026-11-20T22:00"),
        ("0 0 * * sun", "2026-11-15T00:00"),
        ("0 0 * * 7", "2026-11-15T00:00"),
        ("0 0 1 * *", "2026-11-01T00:00"),
        ("0 0 13 * 5", "2026-11-20T00:00"),
        ("30 12 29 feb ?", "2024-02-29T12:30"),
        ("5-10/2 8,20 * jan,nov *", "2026-11-21T08:09"),
        ("@monthly", "2026-11-01T00:00"),
        ("TZ=UTC 0 1 * * *", "2026-11-21T01:00"),
    ],
)
def test_schedules(text: str, last: str) -> None:
    moment = datetime(2026, 11, 21, 12, 30, 40, tzinfo=timezone.utc)
    assert schedule.before(schedule.parse(text), moment, 1)[0].strftime("%Y-%m-%dT%H:%M") == last


@pytest.mark.parametrize("text", ["", "* * * *", "61 * * * *", "* 24 * * *", "*/0 * * * *", "5-1 * * * *", "x * * * *", "@never", "@every 0s"])
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        schedule.parse(text)
