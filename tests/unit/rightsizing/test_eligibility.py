# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which workloads may be sized: each reason against it with its code, its figures and what to do; and what is no reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.eligibility import assess

from tests.unit.capacity.scaled import merged
from tests.unit.rightsizing import generated
from tests.unit.rightsizing.generated import BEGIN, DAY, HOUR, MI, NAME, NOW, STEP

Object = dict[str, Any]
POD, OTHER = "web-5d4f8c-00001", "web-5d4f8c-00002"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
HELM = {"metadata": {"annotations": {"meta.helm.sh/release-name": "shop"}}}
ARGO = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}}}
APPLIED = {"metadata": {"managedFields": [{"manager": "kubectl-client-side-apply", "operation": "Update", "time": "2026-11-01T00:00:00Z"}]}}
OPERATOR = {"metadata": {"ownerReferences": [{"apiVersion": "shop.io/v1", "kind": "Shop", "name": "main", "controller": True}]}}
JOB = {"metadata": {"ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "report", "controller": True}]}}


def subject(more: Object | None = None, kind: str = "Deployment", pods: tuple[str, ...] = (POD, OTHER), **about: Any) -> Object:
    """``more``: of the workload."""
    found = generated.subject_of([{"name": NAME}], {name: BEGIN - DAY for name in pods}, kind=kind)
    return {**found, "workload": merged(found["workload"], more or {}), **about}


def usage(first: float = BEGIN, last: float = NOW, coverage: float = 1.0, samples: int = 2304, holes: float = 0.0) -> Object:
    stats = {"p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 1.0, "samples": samples, "coverage": coverage, "from": first, "to": last}
    steps = int((last - first) // STEP)
    values = np.where(np.random.default_rng(1).random(steps) < holes, np.nan, 50.0 * MI)
    grid = {"begin": first, "step": float(STEP), "values": values.tolist()}
    return {"cpu": stats, "memory": stats, "cpu_series": grid, "memory_series": grid, "throttled": None}


def found(**more: Any) -> Object:
    base = {"containers": {NAME: {POD: usage(), OTHER: usage()}}, "first_seen": BEGIN, "restarts": [], "ooms": [], "rollouts": [], "notes": []}
    return {**base, "pods_seen": 2, **more}


def ask(of: Object | None = None, history: Object | None = None, objects: Object | None = None, **options: Any) -> Object:
    return assess(of or subject(), found() if history is None else history, generated.history(), objects or {}, options)


def named(name: str, spec: Object) -> Object:
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def restarted(at: float | None, reason: str = "Error", count: int = 1, of: Object | None = None) -> Object:
    """The first pod of a subject, restarted."""
    whole = of or subject()
    status = whole["pods"][0]["status"]["containerStatuses"][0]
    ended = {"exitCode": 1, "reason": reason, **({"finishedAt": generated.stamp(at)} if at is not None else {})}
    status.update(restartCount=count, lastState={"terminated": ended} if at is not None else {})
    return whole


def test_a_stable_workload_with_a_history_may_be_sized() -> None:
    result = ask()
    assert result == {"eligible": True, "reasons": [], "notes": [], "stable_since": BEGIN - DAY}
    assert ask(subject(kind="StatefulSet"))["eligible"] and ask(subject(kind="DaemonSet"))["eligible"]


def vpa(mode: str | None) -> Object:
    policy = {"updatePolicy": {"updateMode": mode}} if mode else {}
    return {"verticalpodautoscalers": [named("web-vpa", {"targetRef": TARGET, **policy})]}


def keda(kind: str, **more: Any) -> Object:
    return {"scaledobjects": [named("web-load", {"scaleTargetRef": {"name": "web"}, "triggers": [{"type": kind}], **more})]}


UNREADY = {**generated.subject_of([{"name": NAME}], {POD: BEGIN})["pods"][0], "status": {"conditions": [{"type": "Ready", "status": "False"}]}}
SPREAD = {"status": {"updatedReplicas": 1}}

# (code, words, subject, objects)
STANDING: list[tuple[str, str, Object, Object]] = [
    ("kind", "not sized here", subject({"kind": "ReplicaSet"}), {}),
    ("deleted", "being deleted", subject({"metadata": {"deletionTimestamp": "2026-11-21T12:00:00Z"}}), {}),
    ("opted_out", 'aiops.k8s/rightsize: "off"', subject({"metadata": {"annotations": {"aiops.k8s/rightsize": "off"}}}), {}),
    ("opted_out", "annotation", subject({"spec": {"template": {"metadata": {"annotations": {"aiops.k8s/rightsize": "false"}}}}}), {}),
    ("owned", "Shop main (shop.io/v1)", subject(OPERATOR), {}),
    ("batch", "Job report", subject(JOB), {}),
    ("batch", "ScaledObject web-load scales deployment/web to zero", subject(), keda("kafka")),
    ("batch", "HorizontalPodAutoscaler web", subject(), {"horizontalpodautoscalers": [named("web", {"scaleTargetRef": TARGET, "minReplicas": 0})]}),
    ("vpa", "web-vpa (updateMode Auto)", subject(), vpa(None)),
    ("vpa", "updateMode Initial", subject(), vpa("Initial")),
    ("owner_conflict", "the Helm release shop writes the template of deployment/web and sets it back the next time it runs", subject(HELM), {}),
    ("owner_conflict", "the Argo CD application shop writes the template of deployment/web and sets it back within minutes", subject(ARGO), {}),
    ("zero", "set to zero replicas", subject({"spec": {"replicas": 0}}), {}),
    ("zero", "no node takes a pod", subject({"status": {"desiredNumberScheduled": 0}}, kind="DaemonSet", pods=()), {}),
    ("paused", "is paused", subject({"spec": {"paused": True}}), {}),
    ("on_delete", "OnDelete", subject({"spec": {"updateStrategy": {"type": "OnDelete"}}}, kind="StatefulSet"), {}),
    ("rollout", "1 of 2 pods are of the new revision", subject(SPREAD), {}),
    ("rollout", "under way", subject({"metadata": {"generation": 4}}), {}),
    ("rollout", "under way", subject(all_pods=[{}, {}, {}]), {}),
    ("rollout", "1 of 2", subject({"status": {"updatedNumberScheduled": 1}}, kind="DaemonSet"), {}),
    (
        "rollout",
        "(partition 1)",
        subject(
            merged(
                SPREAD,
                {
                    "spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
                    "status": {"currentRevision": "a", "updateRevision": "b"},
                },
            ),
            kind="StatefulSet",
        ),
        {},
    ),
    ("not_ready", "None of 2 pods", subject(pods=(POD, OTHER)) | {"pods": [UNREADY], "all_pods": [UNREADY]}, {}),
]


@pytest.mark.parametrize(("code", "words", "of", "objects"), STANDING, ids=[f"{one[0]}-{index}" for index, one in enumerate(STANDING)])
def test_what_stands_against_it(code: str, words: str, of: Object, objects: Object) -> None:
    result = ask(of, objects=objects)
    reason = next((one for one in result["reasons"] if one["code"] == code), None)
    assert reason and words in reason["sentence"] and reason["fix"] and not result["eligible"], result


def test_the_fix_of_an_owner_names_the_place() -> None:
    (reason,) = ask(subject(HELM))["reasons"]
    assert "Set resources of app in the values of the release (helm upgrade)" in reason["fix"] and "owner_conflict: warn" in reason["fix"]


@pytest.mark.parametrize(
    ("of", "objects", "options", "words"),
    [
        (subject(), vpa("Off"), {}, "only recommends"),
        (subject(HELM), {}, {"owner_conflict": "warn"}, "The Helm release shop wrote the template"),
        (subject(APPLIED), {}, {}, "Kubectl apply wrote the template"),
        (subject() | {"pods": [subject()["pods"][0], UNREADY]}, {}, {}, "1 of 2 pods"),
    ],
)
def test_what_is_only_a_note(of: Object, objects: Object, options: Object, words: str) -> None:
    result = ask(of, objects=objects, **options)
    assert result["eligible"] and any(words in one for one in result["notes"]), result


@pytest.mark.parametrize(
    "objects",
    [
        keda("cpu"),
        keda("kafka", minReplicaCount=1),
        {"scaledobjects": [named("x", {"scaleTargetRef": {"name": "api"}, "triggers": [{"type": "kafka"}]})]},
    ],
)
def test_what_does_not_go_to_zero(objects: Object) -> None:
    assert ask(objects=objects)["eligible"]


# --- stable -----------------------------------------------------------------------------------------------------------------


def since(at: float | None, **more: Any) -> Object:
    return subject(revision={"name": "web-5d4f8c", "since": at, "pattern": "", "others": ""}, **more)


def codes(result: Object) -> list[str]:
    return [one["code"] for one in result["reasons"]]


def test_a_rollout_lies_too_shortly_back() -> None:
    result = ask(since(NOW - 2 * DAY), found(first_seen=NOW - 2 * DAY))
    assert codes(result) == ["rollout_recent"] and "2 days ago" in result["reasons"][0]["sentence"]
    assert result["stable_since"] == NOW - 2 * DAY and "Run it again after 2026-" in result["reasons"][0]["fix"]


def test_names_prove_the_template_where_creation_times_are_young() -> None:
    """As after a cluster was restored."""
    assert ask(since(NOW - HOUR), found(first_seen=BEGIN))["eligible"]
    assert codes(ask(since(NOW - HOUR, kind="StatefulSet"), found(first_seen=BEGIN))) == ["rollout_recent"]
    assert ask(since(None), found(first_seen=BEGIN))["eligible"]
    assert codes(ask(since(None, kind="StatefulSet"))) == ["revision_unknown"]


def test_a_rollout_there_and_back_counts_from_its_end() -> None:
    result = ask(history=found(rollouts=[NOW - 5 * DAY, NOW - 3 * DAY]))
    assert codes(result) == ["rollout_recent"] and result["stable_since"] == NOW - 3 * DAY
    assert "pods of another revision were seen until then" in result["reasons"][0]["sentence"]
    assert ask(history=found(rollouts=[NOW - 7.5 * DAY]))["eligible"]


def test_restarts_and_kills_of_the_history() -> None:
    crash = {"pod": POD, "container": NAME, "at": NOW - DAY}
    result = ask(history=found(restarts=[crash, {**crash, "at": NOW - 2 * DAY}]))
    assert codes(result) == ["restarts"] and result["stable_since"] == NOW - DAY
    assert f"restarted twice within 7 days, the last time 1 day ago: container app of {POD}" in result["reasons"][0]["sentence"]
    kill = ask(history=found(restarts=[crash], ooms=[{**crash, "at": NOW - DAY + 30, "limit": 64 * MI}]))
    assert codes(kill) == ["oom"] and "killed for lack of memory once" in kill["reasons"][0]["sentence"]  # one event, told twice
    assert ask(history=found(restarts=[{**crash, "at": NOW - 7.5 * DAY}]))["eligible"]
    assert ask(history=found(ooms=[{**crash, "at": NOW - 7.5 * DAY, "limit": None}]))["eligible"]


def test_restarts_of_the_live_pods() -> None:
    assert codes(ask(restarted(NOW - HOUR))) == ["restarts"]
    assert codes(ask(restarted(NOW - HOUR, "OOMKilled"))) == ["oom"]
    assert ask(restarted(NOW - 9 * DAY, count=7))["eligible"]


def test_a_restart_without_a_time_counts_as_now_unless_the_history_shows_none() -> None:
    told = ask(restarted(None))
    assert told["eligible"] and "longer ago than the history" in told["notes"][0]
    short = found(containers={NAME: {OTHER: usage()}})
    result = ask(restarted(None), short)
    assert codes(result) == ["restarts"] and "at a time that is not known" in result["reasons"][0]["sentence"] and result["stable_since"] == NOW
    young = restarted(None)
    young["pods"][0]["metadata"]["creationTimestamp"] = generated.stamp(NOW - DAY)
    assert codes(ask(young)) == ["restarts"]


def test_restarts_of_init_containers_do_not_count() -> None:
    of = subject()
    of["pods"][0]["status"]["initContainerStatuses"] = [{"name": "migrate", "restartCount": 2}]
    assert ask(of)["eligible"]


def test_clocks_that_differ_are_named() -> None:
    result = ask(since(NOW + HOUR), found(first_seen=None))
    assert codes(result) == ["rollout_recent"] and "compare the clocks" in result["notes"][0]


# --- known ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ({}, "no samples of the containers of deployment/web in Prometheus"),
        ({NAME: {POD: usage(first=NOW - 3 * DAY)}}, "3 days of 7 days"),
        ({NAME: {POD: usage(last=NOW - DAY)}}, "end at"),
        ({NAME: {POD: usage(samples=40)}}, "40 points of CPU"),
        ({NAME: {POD: usage(coverage=0.5, holes=0.5)}}, "% of the last 7 days are known"),
    ],
)
def test_too_little_history(containers: Object, words: str) -> None:
    result = ask(history=found(containers=containers))
    assert set(codes(result)) == {"not_enough_history"} and not result["eligible"]
    assert any(words in one["sentence"] for one in result["reasons"]) and all(one["fix"] for one in result["reasons"]), result["reasons"]


def test_pods_that_follow_each_other_make_one_history() -> None:
    middle = (BEGIN + NOW) / 2
    parts = {POD: usage(last=middle), "web-5d4f8c-gone1": usage(first=middle)}
    assert ask(history=found(containers={NAME: parts}))["eligible"]


def test_no_history_at_all() -> None:
    assert codes(assess(subject(), None, generated.history(), {}, {})) == ["not_enough_history"]
    assert codes(assess(subject(), {}, generated.history(), {}, {})) == ["not_enough_history"]


def test_a_container_without_samples_is_said() -> None:
    of = subject({"spec": {"template": {"spec": {"containers": [{"name": NAME}, {"name": "quiet"}]}}}})
    result = ask(of)
    assert result["eligible"] and "No samples of quiet" in result["notes"][0]
