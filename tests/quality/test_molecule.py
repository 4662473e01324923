# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Molecule scenarios as tests, on the one test cluster; a few at a time, because most of their time is waiting."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Mapping

import pytest

from tests.cluster import Cluster, running

ROOT = Path(__file__).resolve().parent.parent.parent
SCENARIOS = sorted(path.parent.name for path in ROOT.glob("extensions/molecule/*/molecule.yml"))
AT_ONCE = 2
SECONDS = 300  # after which a scenario is stopped
SHOWN = 20_000  # characters of a failed scenario's output


@dataclass(frozen=True)
class Run:
    """How ``molecule test`` ended."""

    status: int
    seconds: float
    output: str


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Run]]]:
    """Scenario -> its run, of all that were selected. Molecule wants the collection in a real directory of its name."""
    copy = tmp_path_factory.mktemp("collections") / "ansible_collections" / "aiops" / "k8s"
    subprocess.run(["make", "--no-print-directory", "copy", f"COPY={copy}"], cwd=ROOT, check=True)
    with_cluster = {"AIOPS_TEST_KUBECONFIG": cluster.kubeconfig, "AIOPS_TEST_IMAGE": cluster.image}
    pool = ThreadPoolExecutor(AT_ONCE)

    def start(scenario: str) -> Future[Run]:
        given = {} if scenario == "default" else with_cluster  # else `default` would have nothing to look for
        return pool.submit(molecule_test, scenario, copy, tmp_path_factory.mktemp(scenario), given)

    try:
        yield {scenario: start(scenario) for scenario in selected(request.session.items, request.path)}
    finally:
        pool.shutdown(cancel_futures=True)


def selected(items: list[pytest.Item], path: Path) -> list[str]:
    """The scenarios of the tests in this file that are going to run."""
    return [item.callspec.params["scenario"] if hasattr(item, "callspec") else "default" for item in items if item.path == path]


def molecule_test(scenario: str, copy: Path, directory: Path, given: Mapping[str, str]) -> Run:
    """``molecule test`` from the collection's copy, with state, records and results below ``directory``."""
    environment = {
        **os.environ,
        "AIOPS_CHECKOUT": str(ROOT),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(directory / "state"),
        "MOLECULE_COMMAND_BORDERS": "false",
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
        **given,
    }
    alone = [] if scenario == "default" else ["--no-shared-state"]  # else `default` would run before and after each of them
    if alone:
        (directory / "state").mkdir()
        shutil.copy(given["AIOPS_TEST_KUBECONFIG"], directory / "state" / "kubeconfig")
        (directory / "state" / "cluster.json").write_text(json.dumps({"image": given["AIOPS_TEST_IMAGE"], "started_here": False}), encoding="utf-8")
    started, log = time.monotonic(), directory / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["molecule", "test", "-s", scenario, *alone],
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
    return Run(status, time.monotonic() - started, log.read_text(encoding="utf-8", errors="replace"))


@pytest.fixture
def passes(runs: Mapping[str, Future[Run]], record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    def check(scenario: str) -> None:
        run = runs[scenario].result()
        record_property("seconds", round(run.seconds, 1))
        print(f"{scenario}: {run.seconds:.1f} s")
        assert run.status == 0, f"molecule test -s {scenario} exited {run.status} after {run.seconds:.0f} s\n{run.output[-SHOWN:]}"

    return check


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "default"])
def test_scenario(scenario: str, passes: Callable[[str], None]) -> None:
    passes(scenario)


def test_default_leaves_a_cluster_that_it_found(cluster: Cluster, passes: Callable[[str], None]) -> None:
    passes("default")
    assert running() == cluster
