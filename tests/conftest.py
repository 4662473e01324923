# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Makes the checkout importable as ansible_collections.aiops.k8s, and gives every test the one test cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from tests.cluster import Cluster, running

ROOT = Path(__file__).resolve().parent.parent
DEV = ROOT / ".build" / "dev"


def _link() -> None:
    link = DEV / "ansible_collections" / "aiops" / "k8s"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(ROOT)


_link()
sys.path.insert(0, str(DEV))
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(DEV)
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember which tests are attacks; their outcome is counted at the end."""
    if call.when == "call" and item.get_closest_marker("attack"):
        item.user_properties.append(("attack", item.nodeid))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """``attacks: 120 tried / 120 refused``, and those that were not."""
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.getreports(outcome) if one.when == "call"]
    attacks = [one for one in reports if dict(one.user_properties).get("attack")]
    if attacks:
        through = [one.nodeid for one in attacks if one.failed]
        terminalreporter.section("attacks: tried / refused")
        for module in sorted({one.nodeid.partition("::")[0] for one in attacks}):
            mine = [one for one in attacks if one.nodeid.startswith(f"{module}::")]
            terminalreporter.write_line(f"{len(mine):5} / {sum(one.passed for one in mine):<5} {module}")
        terminalreporter.write_line(f"{len(attacks):5} / {len(attacks) - len(through):<5} attacks tried / refused")
        for name in through:
            terminalreporter.write_line(f"not refused: {name}", red=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The test cluster: the one that runs, or a new one that is taken down after the last test."""
    found = running()
    tool = [sys.executable, "-m", "tests.cluster"]
    subprocess.run([*tool, "up"], cwd=ROOT, check=True)  # says which cluster it is, and starts or mends it where needed
    current = running()
    assert current is not None
    os.environ["KUBECONFIG"] = os.environ["K8S_AUTH_KUBECONFIG"] = str(current.kubeconfig)
    if current.bin_dir:
        os.environ["PATH"] = f"{current.bin_dir}:{os.environ['PATH']}"
    yield current
    if found is None:
        subprocess.run([*tool, "down"], cwd=ROOT, check=True)
