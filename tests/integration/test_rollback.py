# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Undoing an operation later: a record of its own, approved and proven like any other, and refused where the object has moved on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.integration.staging import Kubectl, await_memory_kills, hungry, namespace
from tests.integration.support import QUICK, Ansible, in_parallel, result_of

NAMES = ("settled", "hungry", "drifted", "gone")
LIMIT = "/spec/template/spec/containers/0/resources/limits/memory"
COMMAND = "/spec/template/spec/containers/0/command"
REASON = "the new limit hides a leak"


@dataclass
class Stage:
    """Workloads whose memory limit was raised from 20Mi to 40Mi, with the ids of the records that did it."""

    kubectl: Kubectl
    ansible: Ansible
    ids: dict[str, str]

    def limit(self, name: str) -> str:
        container = self.kubectl.get(f"deployment/{name}")["spec"]["template"]["spec"]["containers"][0]
        return str(container["resources"]["limits"]["memory"])

    def patch(self, name: str, path: str, value: object) -> None:
        self.kubectl("patch", f"deployment/{name}", "--type=json", "-p", json.dumps([{"op": "replace", "path": path, "value": value}]))
        self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")


@pytest.fixture(scope="module")
def stage(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with namespace(cluster, "rollback") as kubectl:
        kubectl.apply(*(hungry(cluster, name) for name in NAMES))
        await_memory_kills(kubectl, len(NAMES))
        ansible = Ansible(tmp_path_factory.mktemp("records"), **QUICK)
        ids = ansible.propose(kubectl.namespace, NAMES)
        for name in NAMES:
            ansible.decide(ids[name]).ok()
        in_parallel(*(lambda name=name: ansible("execute", record=ids[name]).ok() for name in NAMES))  # type: ignore[misc]
        yield Stage(kubectl, ansible, ids)


def test_an_operation_is_undone_and_that_is_undone_again(stage: Stage, tmp_path: Path) -> None:
    stage.patch("settled", COMMAND, ["sleep", "100000"])  # it now lives with either limit
    done = stage.ids["settled"]
    proposed = stage.ansible("rollback", record=done, reason=REASON, result_file=str(tmp_path / "result.json")).ok()
    document = result_of(tmp_path / "result.json")
    undo = document["record"]["id"]
    assert document["workflow"] == "rollback" and document["findings"][0]["code"] == "RollbackRequested" and REASON in proposed.output
    plan = stage.ansible.record(undo)[0]["payload"]["plan"]
    assert plan["undoes"] == {"record": f"{stage.ansible.feature}/{done}", "digest": stage.ansible.record(done)[0]["payload"]["digest"]}
    assert stage.limit("settled") == "40Mi", "it was only proposed"
    stage.ansible("execute", record=undo).refused("never approved")
    stage.ansible.decide(undo).ok()
    stage.ansible("execute", record=undo).ok()
    assert stage.limit("settled") == "20Mi" and stage.ansible.state(undo) == "closed"
    stage.ansible("rollback", record=done, reason=REASON).refused(
        f"Record {done} cannot be rolled back", "was changed since", "was 40Mi and is now 20Mi"
    )
    stage.ansible("rollback", record=undo, reason="it was right").ok()
    again = max(path.stem for path in stage.ansible.records.glob("*.jsonl"))
    stage.ansible.decide(again).ok()
    stage.ansible("execute", record=again).ok()
    assert stage.limit("settled") == "40Mi"


def test_an_undo_that_makes_it_worse_is_itself_undone(stage: Stage) -> None:
    stage.ansible("rollback", record=stage.ids["hungry"], reason=REASON).ok()
    undo = next(path.stem for path in sorted(stage.ansible.records.glob("*.jsonl"), reverse=True) if stage.ansible.state(path.stem) == "proposed")
    stage.ansible.decide(undo).ok()
    stage.ansible("execute", record=undo, validate_seconds=None).refused("rolled back")
    assert stage.ansible.state(undo) == "rolled_back" and stage.limit("hungry") == "40Mi"


def test_what_somebody_changed_since_is_named(stage: Stage) -> None:
    stage.patch("drifted", LIMIT, "60Mi")
    stage.ansible("rollback", record=stage.ids["drifted"], reason=REASON).refused(
        "was changed since", "was 40Mi and is now 60Mi", "Undo the later change first"
    )


def test_nothing_is_left_to_undo(stage: Stage) -> None:
    stage.kubectl("delete", "deployment/gone")
    stage.ansible("rollback", record=stage.ids["gone"], reason=REASON).refused("was deleted since")


def test_check_mode_proposes_nothing(stage: Stage) -> None:
    before = sorted(stage.ansible.records.glob("*.jsonl"))
    stage.ansible("rollback", ["--check"], record=stage.ids["hungry"], reason=REASON).ok()
    assert sorted(stage.ansible.records.glob("*.jsonl")) == before
