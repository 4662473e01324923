# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The corpus (tests/corpus), as it was recorded from a real cluster: every cause is named as it has to be, and nothing else is."""

from __future__ import annotations

import json

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.catalogue import CODES
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact_object
from tests.corpus import check
from tests.corpus.cases import AREAS, CASES

MOST_BYTES = 3_000_000  # of all snapshots together


@pytest.mark.parametrize("name", CASES)
def test_it_is_diagnosed_rightly(name: str) -> None:
    verdict = check.replay(CASES[name])
    assert not verdict.faults, "\n".join(verdict.faults)


def test_the_corpus_is_as_large_as_it_says() -> None:
    failures = [case for case in CASES.values() if case.wants]
    assert len(failures) >= 75 and len(CASES) - len(failures) >= 20
    assert len(CASES) == sum(map(len, AREAS.values())), "two cases share a name"
    assert {code for case in failures for want in case.wants for code in want.code.split("|")} <= set(CODES)


def test_snapshots_are_redacted_and_small() -> None:
    files = {path.stem: path for path in check.RECORDED.glob("*.json")}
    assert files.keys() == CASES.keys()
    assert sum(path.stat().st_size for path in files.values()) < MOST_BYTES
    for path in files.values():
        taken = json.loads(path.read_text(encoding="utf-8"))
        assert redact_object(taken) == taken, path.name
        assert "secrets" not in taken["objects"], path.name
        assert all("data" not in one and "binaryData" not in one for one in taken["objects"].get("configmaps", [])), "only their keys are read"


@pytest.mark.parametrize("name", ["chain", "configmap-missing-shared", "oom"])
def test_the_same_snapshot_gives_the_same_result(name: str) -> None:
    first, second = check.replay(CASES[name]), check.replay(CASES[name])
    assert first.found == second.found and first.remedies == second.remedies
