# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs that are killed (SIGKILL) at every point between approval and outcome, and runs that get in each other's way:
``resume`` ends what was begun, and every change is made exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.integration.gateway import Gateway, is_change
from tests.integration.staging import LOSES_MEMORY, STILL_HUNGRY, Kubectl, await_memory_kills, deployment, is_dry_run, namespace
from tests.integration.support import QUICK, Ansible, begin, in_parallel, kill_all, wait


@dataclass(frozen=True)
class Point:
    """Where a run is killed: at a request sent while the record is in ``state``, before it goes in or after it was carried out."""

    name: str
    state: str
    writes: int  # changes that the API server has carried out by then
    at_change: bool = False  # at the request that changes the object, not at the first request of that state
    answered: bool = False  # after the API server did it, before the run knew
    fails: bool = False  # not killed: the API server answers with 503
    ends: str = "closed"

    @property
    def workload(self) -> str:
        return self.name.replace(" ", "-")


POINTS = [
    Point("approved", "approved", 0),
    Point("announced", "executing", 0, at_change=True),
    Point("changed but not known", "executing", 1, at_change=True, answered=True),
    Point("being proven", "executed", 1),
    Point("being watched", "validated", 1),
    Point("found wrong", "failed", 1, ends="rolled_back"),
    Point("undo announced", "rolling_back", 1, at_change=True, ends="rolled_back"),
    Point("undone but not known", "rolling_back", 2, at_change=True, answered=True, ends="rolled_back"),
    Point("server fails at the undo", "rolling_back", 1, at_change=True, ends="rolled_back", fails=True),
    Point("server fails at the change", "executing", 0, at_change=True, fails=True),
]
OTHERS = ("two-racing", "two-one-held", "orphan")
MANY = ("many-1", "many-2", "many-3")


@dataclass
class Interrupted:
    """What was found right after the kill, and after the run that resumed."""

    state: str = ""
    writes: int = 0
    status: int = 0
    output: str = ""
    final: str = ""
    total_writes: int = 0
    generation: int = 0
    kinds: tuple[str, ...] = ()


@dataclass
class Stage:
    """A namespace of diagnosed workloads, each with a record that waits for its decision."""

    kubectl: Kubectl
    ansible: Ansible
    ids: dict[str, str]

    def approved(self, workload: str) -> str:
        self.ansible.decide(self.ids[workload]).ok()
        return self.ids[workload]

    def writes(self, workload: str) -> int:
        """Changes that the API server has carried out."""
        return sum(not is_dry_run(one) and one["responseStatus"]["code"] == 200 for one in self.kubectl.writes(workload))


@contextmanager
def staged(cluster: Cluster, directory: Path, topic: str, script: str, names: Sequence[str], **options: Any) -> Iterator[Stage]:
    with namespace(cluster, topic) as kubectl:
        kubectl.apply(*(deployment(cluster, name, script, resources={"limits": {"memory": "20Mi"}}) for name in names))
        await_memory_kills(kubectl, len(names))
        ansible = Ansible(directory, namespace=kubectl.namespace, **{**QUICK, **options})
        yield Stage(kubectl, ansible, ansible.propose(kubectl.namespace, names))


@pytest.fixture(scope="module")
def stages(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    """By how their operations end: closed, rolled_back."""
    fine = [point.workload for point in POINTS if point.ends == "closed"]
    wrong = [point.workload for point in POINTS if point.ends != "closed"]
    with (
        staged(cluster, tmp_path_factory.mktemp("killed"), "killed", LOSES_MEMORY, [*fine, *OTHERS]) as killed,
        staged(cluster, tmp_path_factory.mktemp("undone"), "undone", STILL_HUNGRY, wrong, validate_seconds=6) as undone,
    ):
        yield {"closed": killed, "rolled_back": undone}


@pytest.fixture(scope="module")
def killed(request: pytest.FixtureRequest, stages: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory) -> dict[Point, Future[Interrupted]]:
    return begin(request, "point", lambda point: interrupt(point, stages[point.ends], tmp_path_factory.mktemp("gateway")))


def interrupt(point: Point, stage: Stage, directory: Path) -> Interrupted:
    ansible, record, found = stage.ansible, stage.approved(point.workload), Interrupted()

    def reached(method: str, path: str) -> bool:
        return ansible.state(record) == point.state and (not point.at_change or is_change(method, path))

    with Gateway(stage.kubectl.cluster.kubeconfig) as gateway:
        (gateway.fail if point.fails else gateway.hold)(**{"after" if point.answered else "before": reached})
        run = ansible.start("execute", record=record, kubeconfig=gateway.write(directory / "kubeconfig"))
        if point.fails:
            shown = run.communicate(timeout=120)[0]
            assert run.returncode != 0 and "503 ServiceUnavailable: the server is going down" in shown, shown
        else:
            reached_it = gateway.held.wait(60)
            kill_all(run)
            assert reached_it, f"never came to the point: {run.stdout.read() if run.stdout else ''}"
    found.state, found.writes = ansible.state(record), stage.writes(point.workload)
    resumed = ansible("resume", record=record)
    found.status, found.output, found.final = resumed.status, resumed.output, ansible.state(record)
    found.total_writes, found.generation = stage.writes(point.workload), stage.kubectl.generation(point.workload)
    found.kinds = tuple(one["kind"] for one in ansible.record(record))
    return found


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_killed(point: Point, killed: dict[Point, Future[Interrupted]], stages: dict[str, Stage]) -> None:
    found = killed[point].result()
    assert (found.state, found.writes) == (point.state, point.writes), "killed at another point than meant"
    assert found.final == point.ends, found.output
    assert (found.status == 0) == (point.ends == "closed"), found.output
    expected = 1 if point.ends == "closed" else 2
    assert (found.total_writes, found.generation) == (expected, expected + 1), "the change was not made exactly once"
    assert len(set(found.kinds)) == len(found.kinds), f"an event was written twice: {found.kinds}"
    assert "PHR: " in found.output and f"{stages[point.ends].ids[point.workload]}      {point.ends}" in found.output


def held_at_change(stage: Stage, record: str, directory: Path, then: Callable[[subprocess.Popen[str], Gateway], None]) -> str:
    """An ``execute`` that hangs at the moment of its change while ``then`` does something; returns what it showed in the end."""
    with Gateway(stage.kubectl.cluster.kubeconfig) as gateway:
        gateway.hold(before=is_change)
        run = stage.ansible.start("execute", record=record, kubeconfig=gateway.write(directory / "kubeconfig"))
        try:
            assert gateway.held.wait(60)
            then(run, gateway)
            return run.communicate(timeout=120)[0] or ""
        finally:
            if run.poll() is None:
                kill_all(run)


@pytest.mark.attack
def test_a_second_run_keeps_out_while_the_first_is_at_it(stages: dict[str, Stage], tmp_path: Path) -> None:
    stage = stages["closed"]
    record = stage.approved("two-one-held")

    def second(_run: subprocess.Popen[str], gateway: Gateway) -> None:
        for playbook in ("execute", "resume"):
            stage.ansible(playbook, record=record).refused(f"Record {record}", "another run")
        assert stage.writes("two-one-held") == 0 and stage.ansible.state(record) == "executing"
        gateway.release()

    output = held_at_change(stage, record, tmp_path, second)
    assert stage.ansible.state(record) == "closed", output
    assert stage.writes("two-one-held") == 1 and stage.kubectl.generation("two-one-held") == 2


def test_the_orphan_of_a_killed_run_is_waited_for(stages: dict[str, Stage], tmp_path: Path) -> None:
    """kill -9 of ansible-playbook leaves its worker behind, which goes on with the change."""
    stage = stages["closed"]
    record = stage.approved("orphan")

    def kill_the_parent(run: subprocess.Popen[str], gateway: Gateway) -> None:
        os.kill(run.pid, signal.SIGKILL)
        run.wait(timeout=10)
        stage.ansible("resume", record=record).refused(f"Record {record}", "another run")
        gateway.release()
        wait("the orphan writes down what it did", lambda: stage.ansible.state(record) == "executed")

    held_at_change(stage, record, tmp_path, kill_the_parent)
    stage.ansible("resume", record=record).ok()
    assert stage.ansible.state(record) == "closed" and stage.writes("orphan") == 1


@pytest.mark.attack
def test_two_at_the_same_moment(stages: dict[str, Stage]) -> None:
    stage = stages["closed"]
    record = stage.approved("two-racing")
    runs = [stage.ansible.start("execute", record=record) for _one in range(2)]
    shown = [run.communicate(timeout=120)[0] for run in runs]
    assert any(run.returncode == 0 for run in runs), "\n".join(shown)
    assert stage.ansible.state(record) == "closed" and stage.writes("two-racing") == 1 and stage.kubectl.generation("two-racing") == 2


def test_resume_without_a_record_goes_on_after_one_that_cannot(cluster: Cluster, tmp_path: Path) -> None:
    with staged(cluster, tmp_path, "many", LOSES_MEMORY, MANY) as stage:
        records = in_parallel(*(partial(stage.approved, name) for name in MANY))
        stage.kubectl("delete", "deployment/many-2")
        resumed = stage.ansible("resume").refused(records[1], "deployment/many-2 does not exist any more")
        for record, state in zip(records, ("closed", "approved", "closed")):
            assert stage.ansible.state(record) == state, resumed.output
            assert f"{record}      {state}" in resumed.output, "the outcome of every record is shown"
