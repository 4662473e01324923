# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs that are killed (SIGKILL) at every point between approval and outcome, and runs that get in each other's way:
``resume`` ends what was begun, and every change is made exactly once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.integration.gateway import Gateway, is_change
from tests.integration.support import QUICK, Ansible, Kubectl, deployment, hungry, is_dry_run, kill_all, namespace, reasons, wait

STILL_HUNGRY = "dd if=/dev/zero of=/dev/null bs=60M count=1 && exec sleep 1000000"  # dies at the raised limit as well
R = "0001"


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
OTHERS = ("two-racing", "two-one-held", "orphan", "many-1", "many-2", "many-3")


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


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    with namespace(cluster, "killed") as one:
        made = [deployment(cluster, point.workload, STILL_HUNGRY, resources={"limits": {"memory": "20Mi"}}) if point.ends == "rolled_back" else hungry(cluster, point.workload) for point in POINTS]
        one.apply(*made, *(hungry(cluster, name) for name in OTHERS))
        wait("all are killed for memory", lambda: (pods := one.pods()) and len(pods) == len(POINTS) + len(OTHERS) and all("OOMKilled" in reasons(mine[0]) for mine in pods.values()))
        yield one


@pytest.fixture(scope="module")
def killed(request: pytest.FixtureRequest, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Interrupted]]]:
    """All chosen points, several at once."""
    chosen = [item.callspec.params["point"] for item in request.session.items if item.module is request.module and "point" in getattr(getattr(item, "callspec", None), "params", {})]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(3) as pool:
        yield {point.name: pool.submit(interrupt, point, kubectl, tmp_path_factory.mktemp("killed")) for point in chosen}


def approved(kubectl: Kubectl, directory: Path, *workloads: str, **options: Any) -> Ansible:
    """Records of approved changes, 0001 for the first workload and so on."""
    ansible = Ansible(directory, namespace=kubectl.namespace, **{**QUICK, **options})
    for number, workload in enumerate(workloads, 1):
        ansible("diagnose", workload=f"deployment/{workload}").ok()
        ansible.decide(f"{number:04d}").ok()
    return ansible


def real_writes(kubectl: Kubectl, workload: str) -> list[dict[str, Any]]:
    return [one for one in kubectl.writes(workload) if not is_dry_run(one) and one["responseStatus"]["code"] == 200]


def interrupt(point: Point, kubectl: Kubectl, directory: Path) -> Interrupted:
    ansible = approved(kubectl, directory, point.workload, validate_seconds=6 if point.ends == "rolled_back" else 60)
    found = Interrupted()

    def reached(method: str, path: str) -> bool:
        return ansible.state(R) == point.state and (not point.at_change or is_change(method, path))

    with Gateway(kubectl.cluster.kubeconfig) as gateway:
        (gateway.fail if point.fails else gateway.hold)(**{"after" if point.answered else "before": reached})
        run = ansible.start("execute", record=R, kubeconfig=gateway.write(directory / "kubeconfig"))
        if point.fails:
            shown = run.communicate(timeout=120)[0]
            assert run.returncode != 0 and "503 ServiceUnavailable: the server is going down" in shown, shown
        else:
            reached_it = gateway.held.wait(60)
            kill_all(run)
            assert reached_it, f"never came to the point: {run.stdout.read() if run.stdout else ''}"
    found.state, found.writes = ansible.state(R), len(real_writes(kubectl, point.workload))
    resumed = ansible("resume", record=R)
    found.status, found.output, found.final = resumed.status, resumed.output, ansible.state(R)
    found.total_writes, found.generation = len(real_writes(kubectl, point.workload)), kubectl.generation(point.workload)
    found.kinds = tuple(one["kind"] for one in ansible.record(R))
    return found


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_killed(point: Point, killed: dict[str, Future[Interrupted]]) -> None:
    found = killed[point.name].result()
    assert (found.state, found.writes) == (point.state, point.writes), "killed at another point than meant"
    assert found.final == point.ends, found.output
    assert (found.status == 0) == (point.ends == "closed"), found.output
    expected = 1 if point.ends == "closed" else 2
    assert (found.total_writes, found.generation) == (expected, expected + 1), "the change was not made exactly once"
    assert len(set(found.kinds)) == len(found.kinds), f"an event was written twice: {found.kinds}"
    assert "PHR: " in found.output and f"{R}      {point.ends.replace('_', ' ')}" in found.output.replace("_", " ")


def held_at_change(kubectl: Kubectl, ansible: Ansible, directory: Path, then: Callable[[Any, Gateway], None]) -> str:
    """An ``execute`` that hangs at the moment of its change while ``then`` does something; returns what it showed in the end."""
    with Gateway(kubectl.cluster.kubeconfig) as gateway:
        gateway.hold(before=is_change)
        run = ansible.start("execute", record=R, kubeconfig=gateway.write(directory / "kubeconfig"))
        try:
            assert gateway.held.wait(60)
            then(run, gateway)
            return run.communicate(timeout=120)[0] or ""
        finally:
            if run.poll() is None:
                kill_all(run)


def test_a_second_run_keeps_out_while_the_first_is_at_it(kubectl: Kubectl, tmp_path: Path) -> None:
    ansible = approved(kubectl, tmp_path, "two-one-held")

    def second(_run: Any, gateway: Gateway) -> None:
        for playbook in ("execute", "resume"):
            ansible(playbook, record=R).refused(f"Record {R}", "another run")
        assert real_writes(kubectl, "two-one-held") == [] and ansible.state(R) == "executing"
        gateway.release()

    output = held_at_change(kubectl, ansible, tmp_path, second)
    assert ansible.state(R) == "closed", output
    assert len(real_writes(kubectl, "two-one-held")) == 1 and kubectl.generation("two-one-held") == 2


def test_the_orphan_of_a_killed_run_is_waited_for(kubectl: Kubectl, tmp_path: Path) -> None:
    """kill -9 of ansible-playbook leaves its worker behind, which goes on with the change."""
    ansible = approved(kubectl, tmp_path, "orphan")

    def kill_the_parent(run: Any, gateway: Gateway) -> None:
        os.kill(run.pid, signal.SIGKILL)
        run.wait(timeout=10)
        ansible("resume", record=R).refused(f"Record {R}", "another run")
        gateway.release()
        wait("the orphan writes down what it did", lambda: ansible.state(R) == "executed")

    held_at_change(kubectl, ansible, tmp_path, kill_the_parent)
    ansible("resume", record=R).ok()
    assert ansible.state(R) == "closed" and len(real_writes(kubectl, "orphan")) == 1


def test_two_at_the_same_moment(kubectl: Kubectl, tmp_path: Path) -> None:
    ansible = approved(kubectl, tmp_path, "two-racing")
    runs = [ansible.start("execute", record=R) for _one in range(2)]
    shown = [run.communicate(timeout=120)[0] for run in runs]
    assert sorted(run.returncode == 0 for run in runs) == [False, True], "\n".join(shown)
    assert ansible.state(R) == "closed" and len(real_writes(kubectl, "two-racing")) == 1 and kubectl.generation("two-racing") == 2


def test_resume_without_a_record_goes_on_after_one_that_cannot(kubectl: Kubectl, tmp_path: Path) -> None:
    ansible = approved(kubectl, tmp_path, "many-1", "many-2", "many-3")
    kubectl("delete", "deployment/many-2")
    resumed = ansible("resume").refused("0002", "deployment/many-2 does not exist any more")
    assert {number: ansible.state(number) for number in ("0001", "0003")} == {"0001": "closed", "0003": "closed"}, resumed.output
    assert ansible.state("0002") == "approved"
    for number, state in (("0001", "closed"), ("0002", "approved"), ("0003", "closed")):
        assert f"{number}      {state}" in resumed.output, "the outcome of every record is shown"
