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
