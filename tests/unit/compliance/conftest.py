# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A key for all tests, and a store in which everything is right."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.compliance import audit
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store

from tests.unit.compliance import building


@dataclass
class Stage:
    """A records directory, the drafts that it was written from, and what a run says about it."""

    records: Path
    drafts: building.Drafts
    key: str

    @property
    def folder(self) -> Path:
        return self.records / building.FEATURE

    def publish(self) -> None:
        building.publish(self.drafts, self.records)

    def run(self, api: Api | None = None, **wanted: Any) -> dict[str, Any]:
        def reader() -> Api:
            assert api is not None
            return api

        store = open_store(str(self.records), building.FEATURE)
        return audit.run(store, rules(str(self.records)), reader, audit.Wanted(**{"cluster": "off" if api is None else "required", **wanted}))

    def found(self, severity: str = "", **wanted: Any) -> set[str]:
        """The codes of all findings."""
        return {one["code"] for one in self.run(**wanted)["findings"] if severity in ("", one["severity"])}


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, building.Drafts]:
    directory = tmp_path_factory.mktemp("keys")
    key = building.make_key(directory)
    return directory, key, building.healthy(key)


@pytest.fixture
def stage(tmp_path: Path, master: tuple[Path, str, building.Drafts]) -> Stage:
    directory, key, drafts = master
    records = tmp_path / "records"
    records.mkdir()
    (records / "allowed_signers").write_bytes((directory / "allowed_signers").read_bytes())
    made = Stage(records, copy.deepcopy(drafts), key)
    made.publish()
    return made
