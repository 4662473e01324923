# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The promise, proven by the API server's own audit log: nothing is changed before it was approved and recorded, and then
exactly what was approved, once."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.integration.staging import STILL_HUNGRY, USER_AGENT, Kubectl, deployment, hungry, is_dry_run, is_ready, namespace, reasons
from tests.integration.support import QUICK, Ansible, at, in_parallel, moment, wait

SERVES = "mkdir -p /tmp/www; echo ok > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"
CALLS_DB = "wget -q -O /dev/null http://db:8080/ 2>/dev/null || { echo 'Error: dial tcp db:8080: connect: connection refused'; exit 1; }; exec sleep 1000000"

# target -> (what its plan does, kinds of its record's events when it is done)
DONE = ["proposed", "approved", "executing", "executed", "validated", "closed"]
UNDONE = ["proposed", "approved", "executing", "executed", "failed", "rolling_back", "rolled_back"]
TARGETS: dict[str, tuple[str, list[str]]] = {
    "cache": ("raise the memory limit", DONE),
    "web": ("return deployment/web to the template of revision 1", DONE),
    "api": ("restart 2 pod(s)", DONE),
    "glutton": ("raise the memory limit", UNDONE),
}


class Stage:
    """Four failing workloads, their proposals decided later by one run and carried out by another."""

    def __init__(self, kubectl: Kubectl, directory: Path) -> None:
        self.kubectl, self.ansible = kubectl, Ansible(directory, namespace=kubectl.namespace, **QUICK)
        self.proposed_writes: list[dict[str, Any]] = []
        self.approved_writes: list[dict[str, Any]] = []
        self.writes: list[dict[str, Any]] = []
        self.records: dict[str, str] = {}
        self.live: dict[str, dict[str, Any]] = {}

    def bring_up(self) -> None:
        cluster = self.kubectl.cluster
        probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
        self.kubectl.apply(
            hungry(cluster, "cache"),
            deployment(cluster, "glutton", STILL_HUNGRY, resources={"limits": {"memory": "20Mi"}}),
            deployment(cluster, "web", SERVES, readinessProbe=probe),
            deployment(cluster, "api", CALLS_DB, replicas=2),
            deployment(cluster, "db", SERVES, replicas=0, readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1}),
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}, "spec": {"selector": {"app": "db"}, "ports": [{"port": 8080}]}},
        )
        wait("web serves", lambda: any(is_ready(pod) for pod in self.kubectl.pods().get("web", [])))
        release = '[{"op":"replace","path":"/spec/template/spec/containers/0/command/2","value":"echo Error: PORT is required; exit 1"}]'
        self.kubectl("patch", "deployment", "web", "--type=json", "-p", release)
        # a third crash, so that the pods wait long enough (20 s) to be seen waiting for a database that is there again
        wait(
            "api crashed three times",
            lambda: all(
                "CrashLoopBackOff" in reasons(pod) and pod["status"]["containerStatuses"][0]["restartCount"] >= 2 for pod in self.kubectl.pods()["api"]
            ),
        )
        self.kubectl("scale", "deployment/db", "--replicas=1")
        wait("db serves", lambda: any(is_ready(pod) for pod in self.kubectl.pods().get("db", [])))
        wait(
            "the others fail",
            lambda: all(any(reasons(pod) & {"OOMKilled", "Error"} for pod in self.kubectl.pods()[name]) for name in ("cache", "glutton", "web")),
        )

    def go_through(self) -> None:
        self.ansible("diagnose").ok()
        changed = [one["requestURI"] for one in self.kubectl.writes() if not is_dry_run(one)]
        assert changed == [], "diagnosing changed the cluster"
        self.ansible("diagnose", workload="deployment/glutton", validate_seconds=6).ok()
        self.records = self.ansible.by_workload()
        self.proposed_writes = self.kubectl.writes()
        in_parallel(*(lambda one=one: self.ansible.decide(self.records[one]).ok() for one in TARGETS))  # type: ignore[misc]
        self.approved_writes = self.kubectl.writes()
        in_parallel(*(lambda one=one: self.ansible("execute", record=self.records[one]) for one in TARGETS))  # type: ignore[misc]
        self.writes = self.kubectl.writes()
        self.live = {name: self.kubectl.get(f"deployment/{name}", "--show-managed-fields") for name in ("cache", "web", "glutton")}


def go_early(cluster: Cluster, directory: Path) -> Stage:
    with namespace(cluster, "gate") as kubectl:
        found = Stage(kubectl, directory)
        found.bring_up()
        found.go_through()
        return found


@pytest.fixture(scope="module")
def stage(early: dict[str, Future[Stage]]) -> Stage:
    return early[__name__].result()


def of_target(stage: Stage, name: str, written: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The requests about the objects that a target's plan changes."""
    objects = {(change["object"]["name"]) for change in stage.ansible.record(stage.records[name])[0]["payload"]["plan"]["changes"]}
    return [one for one in written if one["objectRef"].get("name") in objects]


def test_diagnosis_and_approval_only_rehearse(stage: Stage) -> None:
    assert stage.proposed_writes, "the API server was not even asked to rehearse"
    assert [one["requestURI"] for one in stage.approved_writes if not is_dry_run(one)] == []
    assert len(stage.approved_writes) == len(stage.proposed_writes), "approving sent requests that write"


@pytest.mark.parametrize("name", TARGETS)
def test_only_what_was_approved_and_after_it_was(stage: Stage, name: str) -> None:
    summary, kinds = TARGETS[name]
    record = stage.ansible.record(stage.records[name])
    plan = record[0]["payload"]["plan"]
    assert plan["summary"].startswith(summary)
    assert [one["kind"] for one in record] == kinds
    real = [one for one in of_target(stage, name, stage.writes) if not is_dry_run(one)]
    runs = [("executing", plan["changes"])] + ([("rolling_back", plan["changes"])] if kinds is UNDONE else [])
    assert len(real) == sum(len(changes) for _kind, changes in runs), f"real writes: {[one['requestURI'] for one in real]}"
    for announced, changes in runs:
        for change in changes:
            one = real.pop(0)
            assert moment(one["requestReceivedTimestamp"]) > max(at(record, "approved"), at(record, announced)), "changed before it was recorded"
            assert (one["verb"], one["objectRef"]["name"]) == (change["action"], change["object"]["name"])
            assert one["responseStatus"]["code"] == 200 and one["userAgent"] == USER_AGENT
            assert change["action"] == "delete" or f"fieldManager={USER_AGENT}" in one["requestURI"]
            assert moment(one["requestReceivedTimestamp"]) < at(
                record, {"executing": "executed", "rolling_back": "rolled_back"}[announced]
            ), "recorded as done before it was"


def test_every_change_was_rehearsed_before_it_was_proposed_and_again_before_it_was_made(stage: Stage) -> None:
    for name in TARGETS:
        record = stage.ansible.record(stage.records[name])
        for change in record[0]["payload"]["plan"]["changes"]:
            rehearsals = [
                moment(one["requestReceivedTimestamp"])
                for one in stage.writes
                if is_dry_run(one) and one["objectRef"].get("name") == change["object"]["name"]
            ]
            assert [one for one in rehearsals if one < at(record, "proposed")], f"{name}: {change['id']} was proposed without a dry run"
            assert [one for one in rehearsals if at(record, "approved") < one < at(record, "executing")], f"{name}: {change['id']} was made without a dry run"


def test_nobody_but_us_wrote(stage: Stage) -> None:
    """No other program (a kubectl in a task, another library) changed anything on our behalf."""
    assert {one["userAgent"] for one in stage.writes} == {USER_AGENT}


def test_changed_objects_carry_their_record(stage: Stage) -> None:
    for name, found in stage.live.items():
        record = stage.ansible.record(stage.records[name])
        annotations = found["metadata"]["annotations"]
        assert annotations["aiops.k8s/record"].endswith(f"/{stage.records[name]}") and annotations["aiops.k8s/digest"] == record[0]["payload"]["digest"]
        assert "aiops.k8s" in annotations["kubernetes.io/change-cause"]
        assert USER_AGENT in {field["manager"] for field in found["metadata"]["managedFields"]}


def test_what_was_undone_is_as_before(stage: Stage) -> None:
    found = stage.live["glutton"]
    assert found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {"memory": "20Mi"} and found["metadata"]["generation"] == 3
