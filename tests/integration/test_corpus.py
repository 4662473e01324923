# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The corpus (tests/corpus) on the real cluster: its core by default, all of it with AIOPS_CORPUS=all. Staged while the other tests run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.corpus import check
from tests.corpus.cases import CASES, CORE
from tests.corpus.model import PREFIX, Case
from tests.corpus.stage import Stage
from tests.integration.support import Ansible, result_of

CHOSEN: Mapping[str, Case] = {
    name: case for name, case in CASES.items() if not case.edit and (name in CORE or os.environ.get("AIOPS_CORPUS") == "all")
}
SECONDS = 400.0  # for staging; other tests use the machine at the same time


def go_early(cluster: Cluster, directory: Path) -> dict[str, Any]:
    """{"cases": {name: verdict of the namespace alone}, "sweep": the same by one run of the playbook over the whole cluster, "result", "records"}."""
    stage = Stage(cluster)
    try:
        stage.run(list(CHOSEN.values()), SECONDS)
        alone = {name: judged(stage, case) for name, case in CHOSEN.items()}
        ansible = Ansible(directory, result_file=str(directory / "result.json"))
        ansible("diagnose", sweep="each").ok()
        result = result_of(directory / "result.json")
        return {
            "cases": alone,
            "sweep": check.sweep(CHOSEN.values(), result),
            "result": result,
            "records": len(list(ansible.records.glob("*.jsonl"))),
        }
    finally:
        stage.clean()


def judged(stage: Stage, case: Case) -> check.Verdict:
    """The verdict on a case while it shows its sign. A node that is short of something may have replaced its pod by a new one, which is well for now."""
    verdict = check.live(stage.api, case)
    if verdict.faults and not stage.shows(case):
        stage.again(case)
        verdict = check.live(stage.api, case)
    if verdict.faults:
        pods = stage.api.pages(f"/api/v1/namespaces/{case.namespace}/pods")
        seen = [(one["metadata"]["name"], one["metadata"]["creationTimestamp"], one["status"].get("containerStatuses")) for one in pods]
        verdict.faults.append(f"the pods at that time: {seen}")
    return verdict


@pytest.fixture(scope="module")
def verdicts(early: dict[str, Future[dict[str, Any]]]) -> dict[str, Any]:
    return early[__name__].result()


@pytest.mark.parametrize("name", [name for name, case in CHOSEN.items() if case.wants])
def test_the_cause_is_named(verdicts: dict[str, Any], name: str) -> None:
    for how in ("cases", "sweep"):
        assert not verdicts[how][name].faults, f"{how}: " + "\n".join(verdicts[how][name].faults)


@pytest.mark.parametrize("name", [name for name, case in CHOSEN.items() if not case.wants])
def test_no_false_alarm(verdicts: dict[str, Any], name: str) -> None:
    for how in ("cases", "sweep"):
        assert not verdicts[how][name].faults, f"{how}: " + "\n".join(verdicts[how][name].faults)


def test_one_record_for_each_failing_workload(verdicts: dict[str, Any]) -> None:
    result = verdicts["result"]
    assert verdicts["records"] == len(result["records"])
    assert len({tuple(one["object"].values()) for one in result["findings"]}) == len(result["records"])
    assert [one for one in result["coverage"]["not_evaluated"] if "healthy containers" not in one["what"]] == []


def test_enough_is_staged() -> None:
    failures = [case for case in CHOSEN.values() if case.wants]
    assert len(failures) >= 70 and len(CHOSEN) - len(failures) >= 18
    assert all(case.namespace.startswith(PREFIX) for case in CHOSEN.values())
