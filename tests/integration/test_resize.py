# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Pods that are resized in place: no pod is replaced or restarted, the template says the same, and no killed run leaves anything half done."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.objects import cluster_identity
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import actions, change, checks, clock, gate, identity, plan as plans, prove
from ansible_collections.aiops.k8s.plugins.module_utils.operation import resizable, rollback
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import policy
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import payload
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.cluster import Cluster
from tests.faults.gateway import until
from tests.integration.staging import Kubectl, deployment, namespace

SMALL = {"requests": {"cpu": "20m", "memory": "16Mi"}, "limits": {"cpu": "50m", "memory": "32Mi"}}
LARGE = {"requests": {"cpu": "30m", "memory": "24Mi"}, "limits": {"cpu": "1", "memory": "48Mi"}}
GIVEN = {**LARGE, "limits": {"cpu": "1000m", "memory": "48Mi"}}  # the server writes 1000m as 1
HUGE = {"requests": {"cpu": "500", "memory": "16Mi"}, "limits": {"cpu": "500", "memory": "32Mi"}}
FAST = prove.Pace(poll=0.1, watch_poll=0.1)
Object = dict[str, Any]


class Killed(BaseException):
    """The process ends here."""


class Stage:
    """One Deployment, changed again and again."""

    def __init__(self, kubectl: Kubectl, api: Api, directory: Path, name: str, replicas: int) -> None:
        self.kubectl, self.api, self.name, self.replicas = kubectl, api, name, replicas
        self.store = Directory(str(directory / name), "004")
        self.send = api._send

    def live(self) -> Object:
        found = objects.read(self.api, {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": self.kubectl.namespace, "name": self.name})
        assert found
        return found

    def pods(self) -> list[Object]:
        items = self.api.pages(f"/api/v1/namespaces/{self.kubectl.namespace}/pods", {"labelSelector": f"app={self.name}"})
        return [one for one in items if "deletionTimestamp" not in one["metadata"]]

    def replicasets(self) -> list[Object]:
        return list(self.api.pages(f"/apis/apps/v1/namespaces/{self.kubectl.namespace}/replicasets", {"labelSelector": f"app={self.name}"}))

    def settled(self) -> Object:
        def still() -> bool:
            live = self.live()
            status = live["status"]
            fits = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")] == [self.replicas] * 3
            return fits and status["observedGeneration"] == live["metadata"]["generation"] and len(self.pods()) == self.replicas

        until(f"{self.name} is settled", still, every=0.1)
        return self.live()

    def proposed(self, resources: Object) -> Object:
        live = self.settled()
        desired = copy.deepcopy(live)
        desired["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
        current = [one for one in self.replicasets() if one["spec"]["replicas"]]
        made = plans.resize_change("C1", live, desired, current[0], self.pods())
        rehearsed, missing = actions.prepare(self.api, made, live)
        assert not missing and rehearsed["dry_run"] == "server"
        return rehearsed

    def approved(self, resources: Object, within: int = 20) -> Record:
        made = self.proposed(resources)
        subject = made["object"]
        draft = plans.build(
            summary=f"resize {self.name} in place",
            workflow="rightsize",
            target={key: subject[key] for key in ("kind", "namespace", "name")},
            cluster=cluster_identity(self.api),
            changes=[made],
            checks=checks.with_resized(checks.standard(subject, [], within=within, hold=1, watch=0), made),
            undo="the former size is set again",
            risk=plans.risk_of([made], self.replicas),
            created=clock.now(),
        )
        proposal = {
            "workflow": "rightsize", "title": "too large", "target": draft["target"], "findings": [], "evidence": [], "remedies": [],
            "plan": draft, "no_plan_reason": "", "not_chosen": [],
        }  # fmt: skip
        result = {"cluster": {**cluster_identity(self.api), "version": ""}, "user": "u", "coverage": {"read": [], "not_evaluated": []}, "timings": {}}
        record = self.store.create(payload(proposal, result, [], "test", {}, policy(None)))
        gate.decide(self.store, record, "approve", record.digest[:8], "", "playbook", identity.os_user(), clock.now(), Rules())
        return record

    def execute(self, record: Record) -> None:
        change.execute(self.api, self.store, record, clock.now(), Rules())

    def prove(self, record: Record) -> str:
        prove.prove(self.api, self.store, record, (record.plan or {})["checks"], lambda *line: None, FAST)
        return record.state

    def failed(self, record: Record) -> Record:
        self.store.append(record, "failed", {"phase": "apply", "reason": "a test says so", "applied": True})
        return record

    def strike(self, number: int, act: Callable[[], object]) -> None:
        """Something happens after the n-th request that changes something."""
        seen = [0]

        def send(method: str, path: str, query: Any, *rest: Any, **more: Any) -> bytes:
            mine = method == "PATCH" and not (query or {}).get("dryRun")
            seen[0] += mine
            answer = self.send(method, path, query, *rest, **more)
            if mine and seen[0] == number:
                act()
            return answer

        self.api._send = send  # type: ignore[method-assign, assignment]

    def healed(self) -> None:
        self.api._send = self.send  # type: ignore[method-assign]

    def killed(self, number: int, run: Callable[[], object]) -> None:
        def kill() -> None:
            raise Killed

        self.strike(number, kill)
        try:
            with pytest.raises(Killed):
                run()
        finally:
            self.healed()

    def runs_with(self, resources: Object, uids: set[str]) -> None:
        """No pod was replaced or restarted, and everything says the same."""
        live = self.settled()
        assert "paused" not in live["spec"] and live["spec"]["template"]["spec"]["containers"][0]["resources"] == resources
        assert [one["spec"]["template"]["spec"]["containers"][0]["resources"] for one in self.replicasets()] == [resources]
        pods = self.pods()
        assert {pod["metadata"]["uid"] for pod in pods} == uids
        until(f"{self.name} has its size", lambda: all(_has(pod) == resources for pod in self.pods()))
        assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in self.pods()] == [0] * self.replicas


def _has(pod: Object) -> Object:
    found: Object = pod["status"]["containerStatuses"][0]["resources"]
    return found


@pytest.fixture(scope="module")
def stages(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    reason = resizable.supported(connect({"kubeconfig": str(cluster.kubeconfig)}))
    if reason:
        pytest.skip(reason)
    replicas = {"whole": 2, "struck": 1, "undone": 1, "huge": 1, "disturbed": 1}
    with namespace(cluster, "resize") as kubectl:
        kubectl.apply(*(deployment(cluster, name, "exec sleep 100000", replicas=count, resources=SMALL) for name, count in replicas.items()))
        directory = tmp_path_factory.mktemp("records")
        yield {name: Stage(kubectl, connect({"kubeconfig": str(cluster.kubeconfig)}), directory, name, count) for name, count in replicas.items()}


def uids(stage: Stage) -> set[str]:
    stage.settled()
    return {pod["metadata"]["uid"] for pod in stage.pods()}


def test_resized_in_place_and_rolled_back_by_a_rollout(stages: dict[str, Stage]) -> None:
    stage = stages["whole"]
    before = uids(stage)
    record = stage.approved(GIVEN)
    shown = {line["path"].rpartition(": ")[2]: line["after"] for line in (record.plan or {})["changes"][0]["outcome"]}
    assert (
        shown["spec.template.spec.containers[whole].resources.limits.cpu"] == "1"
        and shown["spec.containers[whole].resources.limits.memory"] == "48Mi"
    )
    stage.execute(record)
    stage.runs_with(LARGE, before)
    assert stage.prove(record) == "validated", record.events[-1]
    proposals = rollback.propose(stage.api, stage.api, record, "a test")["proposals"]
    [undo] = proposals[0]["plan"]["changes"]
    assert undo["action"] == "patch"
    actions.ACTIONS["patch"].carry_out(stage.api, undo, actions.Mark("004/0009", "0" * 64, "test"))
    until("rolled out", lambda: len(stage.replicasets()) == 2)
    stage.settled()
    assert all(_has(pod) == SMALL for pod in stage.pods()) and not before & {pod["metadata"]["uid"] for pod in stage.pods()}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_killed_run_goes_on_from_each_step(stages: dict[str, Stage], number: int) -> None:
    stage = stages["struck"]
    before = uids(stage)
    record = stage.approved(LARGE if number % 2 else SMALL)
    stage.killed(number, lambda: stage.execute(record))
    record = stage.store.load(record.identifier)
    stage.execute(record)
    stage.runs_with(LARGE if number % 2 else SMALL, before)
    assert record.state == "executed"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_killed_run_goes_back_from_each_step(stages: dict[str, Stage], number: int) -> None:
    """And so does a run that was killed while it went back."""
    stage = stages["undone"]
    before = uids(stage)
    record = stage.approved(LARGE)
    stage.killed(number, lambda: stage.execute(record))
    record = stage.failed(stage.store.load(record.identifier))
    stage.killed(max(1, number - 1), lambda: change.invert(stage.api, stage.store, record, "a test"))
    record = stage.store.load(record.identifier)
    change.invert(stage.api, stage.store, record, "a test")
    stage.runs_with(SMALL, before)
    assert record.state == "rolled_back"


def test_what_no_node_can_hold_is_undone(stages: dict[str, Stage]) -> None:
    stage = stages["huge"]
    before = uids(stage)
    record = stage.approved(HUGE, within=2)
    stage.execute(record)
    assert stage.prove(record) == "failed" and "Infeasible" in record.events[-1]["payload"]["reason"], record.events[-1]
    change.invert(stage.api, stage.store, record, "a check failed")
    stage.runs_with(SMALL, before)


def test_a_template_that_somebody_changes_in_between_is_theirs_to_roll_out(stages: dict[str, Stage]) -> None:
    stage = stages["disturbed"]
    uids(stage)
    record = stage.approved(LARGE)
    theirs = [{"op": "add", "path": "/spec/template/metadata/annotations", "value": {"by": "somebody"}}]
    stage.strike(1, lambda: objects.patch(stage.api, (record.plan or {})["changes"][0]["object"], theirs, dry_run=False))
    try:
        with pytest.raises(GateRefused, match="was changed otherwise while it was paused"):
            stage.execute(record)
    finally:
        stage.healed()
    live = stage.settled()
    assert record.state == "rolled_back" and "paused" not in live["spec"]
    assert live["spec"]["template"]["metadata"]["annotations"] == {"by": "somebody"} and all(_has(pod) == SMALL for pod in stage.pods())
