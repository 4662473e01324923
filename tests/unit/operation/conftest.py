# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An empty store in a directory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory


@pytest.fixture
def store(tmp_path: Path) -> Directory:
    return Directory(str(tmp_path / "records"), "004")
