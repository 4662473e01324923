# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is healthy, or merely unusual: a false alarm costs the trust that the next real one needs."""

from __future__ import annotations

import pytest

from tests.unit.diagnosis.objects import (
    Object,
    ago,
    codes,
    controller,
    deployment,
    ended,
    event,
    looping,
    pending,
    pod,
    replicaset,
    running,
    snapshot,
    spec,
    status,
    waiting,
)


def finished(code: int = 0) -> Object:
    return {**status("terminated"), "state": {"terminated": ended(code)}}


def job(**conditions: str) -> Object:
    made = controller("Job", "import", replicas=None)
    made["status"] = {"conditions": [{"type": kind, "status": value} for kind, value in conditions.items()]}
    return made


def slow_start() -> list[Object]:
    one = pod(running(ready=False, since=120), specs=[spec(readinessProbe={"tcpSocket": {"port": 1}, "initialDelaySeconds": 600})])
    return [one]


def deleted(state: Object) -> Object:
    one = pod(state, deletionTimestamp=ago(5), deletionGracePeriodSeconds=30)
    return one


def evicted(owner: Object, seconds: float) -> Object:
    last = ended(137, "ContainerStatusUnknown", seconds)
    one = pod({**status("terminated"), "state": {"terminated": last}}, owner=owner, phase="Failed", name="web-evicted")
    one["status"]["reason"] = "Evicted"
    return one


DEPLOYMENT, JOB = deployment(), job(Complete="True", SuccessCriteriaMet="True")
RS = replicaset(DEPLOYMENT, ready=1)
SUSPENDED = controller("Job", "later", replicas=None)
SUSPENDED["spec"]["suspend"] = True
ZERO = deployment("idle", replicas=0)
OLD = replicaset(ZERO, replicas=0)

HEALTHY: list[tuple[str, list[Object]]] = [
    ("nothing at all", []),
    ("a running pod", [DEPLOYMENT, RS, pod(running(), owner=RS)]),
    ("a completed pod", [pod(finished(), phase="Succeeded")]),
    ("a completed job", [JOB, pod(finished(), owner=JOB, phase="Succeeded")]),
    (
        "a job that needed a second try",
        [JOB, pod(finished(1), name="try-1", owner=JOB, phase="Failed"), pod(finished(), name="try-2", owner=JOB, phase="Succeeded")],
    ),
    ("a suspended job", [SUSPENDED]),
    ("a terminating pod that fails on its way out", [deleted(looping(ended(137)))]),
    ("a terminating pod that never started", [deleted(waiting("ImagePullBackOff", "not found"))]),
    ("restarts long ago", [pod(running(restarts=7, last=ended(1, seconds=86400)))]),
    ("one restart lately", [pod(running(restarts=1, last=ended(1)))]),
    ("a pod that starts", [pod(waiting("ContainerCreating"), phase="Pending")]),
    ("a pod without any status", [pod(phase="Pending")]),
    (
        "init containers that run",
        [pod(waiting("PodInitializing"), init=[spec("setup")], init_statuses=[running("setup", ready=False, since=20)], phase="Pending")],
    ),
    (
        "init containers that are done",
        [pod(running(), init=[spec("setup")], init_statuses=[{**status("terminated", "setup", ready=True), "state": {"terminated": ended(0)}}])],
    ),
    ("a sidecar that runs as init container", [pod(running(), init=[spec("mesh", restartPolicy="Always")], init_statuses=[running("mesh")])]),
    ("a long initial delay", slow_start()),
    ("not ready yet, without any probe failure", [pod(running(ready=False, since=5))]),
    ("scaled to zero", [ZERO, OLD]),
    ("old revisions", [DEPLOYMENT, replicaset(DEPLOYMENT, 1, replicas=0), replicaset(DEPLOYMENT, 2, ready=1), pod(running(), owner=RS)]),
    ("an eviction of yesterday, replaced since", [DEPLOYMENT, RS, evicted(RS, 90000), pod(running(), owner=RS)]),
    ("a finished container beside one that runs", [pod(running("app"), {**finished(), "name": "once"}, specs=[spec(), spec("once")])]),
    ("a static pod", [pod(running(), name="kube-apiserver-node-1")]),
]


@pytest.mark.parametrize("what, items", HEALTHY, ids=[row[0] for row in HEALTHY])
def test_no_finding(what: str, items: list[Object]) -> None:
    assert codes(snapshot(*items)) == []


def test_warnings_of_healthy_pods_are_no_findings() -> None:
    one = pod(running(), specs=[spec(readinessProbe={"tcpSocket": {"port": 1}}, livenessProbe={"tcpSocket": {"port": 1}})])
    events = [
        event(one, "Unhealthy", "Readiness probe failed: dial tcp 10.0.0.1:1: connect: connection refused", container="app"),
        event(one, "Unhealthy", "Liveness probe failed: i/o timeout", container="app"),
        event(one, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu."),
        event(one, "FailedMount", 'configmap "x" not found'),
        event(one, "BackOff", "Back-off restarting failed container app", 3000),
        event(one, "Failed", "Error: ErrImagePull"),
    ]
    assert codes(snapshot(one, *events)) == []


FAILING: list[tuple[str, list[Object], list[str]]] = [
    ("an eviction of this hour", [DEPLOYMENT, RS, evicted(RS, 600), pod(running(), owner=RS)], ["Evicted"]),
    ("a job that failed for good", [job(Failed="True"), pod(finished(2), owner=job(), phase="Failed")], ["AppCrash"]),
    ("a job that still tries", [job(), pod(finished(2), owner=job(), phase="Failed")], ["AppCrash"]),
    (
        "a bare pod that failed yesterday",
        [pod({**status("terminated"), "state": {"terminated": ended(1, seconds=86400)}}, phase="Failed")],
        ["AppCrash"],
    ),
    (
        "a sidecar that crashes",
        [pod(running(), init=[spec("mesh", restartPolicy="Always")], init_statuses=[looping(ended(1), name="mesh")])],
        ["AppCrash"],
    ),
    ("unschedulable for a second", [pending("0/1 nodes are available: 1 Insufficient cpu.")], ["InsufficientCPU"]),
]


@pytest.mark.parametrize("what, items, found", FAILING, ids=[row[0] for row in FAILING])
def test_their_failing_cousins_are_found(what: str, items: list[Object], found: list[str]) -> None:
    assert codes(snapshot(*items)) == found
