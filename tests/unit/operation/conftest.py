# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An empty store in a directory of its own."""

from __future__ import annotations

import os
import tempfile
from typing import Iterator

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

MEMORY = "/dev/shm"  # each event is synced to disk, which on a busy disk is most of a test's time


@pytest.fixture
def store() -> Iterator[Directory]:
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as directory:
        yield Directory(os.path.join(directory, "records"), "004")
