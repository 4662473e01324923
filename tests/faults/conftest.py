# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Drivers in a namespace of their own, and one line at the end of the run that says how many points were tried."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.faults.crew import Crew
from tests.integration.staging import Kubectl, namespace

PROPERTY = "fault points"  # of a test: (tried, recovered)
_AT_ONCE = 6  # drivers: they wait for the API server about as long as they compute
_MEMORY = "/dev/shm"  # each event is synced to disk, which on a busy disk is most of a run's time


@pytest.fixture(scope="session")
def room(cluster: Cluster) -> Iterator[Kubectl]:
    with namespace(cluster, "faults") as kubectl:
        yield kubectl


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="aiops-faults-", dir=_MEMORY if os.path.isdir(_MEMORY) else None))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def crew(cluster: Cluster, room: Kubectl, folder: Path) -> Iterator[Crew]:
    with Crew(cluster, room.namespace, folder, _AT_ONCE) as drivers:
        yield drivers


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """From the reports, so that it also holds where tests run in several processes."""
    reports = [report for category in ("passed", "failed") for report in terminalreporter.stats.get(category, [])]
    counts = [value for report in reports if report.when == "call" for name, value in report.user_properties if name == PROPERTY]
    if counts:
        tried, recovered = (sum(column) for column in zip(*counts))
        terminalreporter.write_line(f"fault injection: {tried} points, {recovered} recovered")
