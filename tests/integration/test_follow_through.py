# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The same finding again: no second record, a fix that failed is not proposed again, later records name earlier ones, times are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.integration.staging import STILL_HUNGRY, Kubectl, await_memory_kills, deployment, hungry, namespace
from tests.integration.support import QUICK, Ansible, digest, result_of

LIMIT = {"limits": {"memory": "20Mi"}}


@dataclass
class Stage:
    """Four workloads that are killed for memory: two live with the limit that is proposed, one does not."""

    kubectl: Kubectl
    directory: Path
    cluster: Cluster

    def ansible(self, workload: str, **options: Any) -> Ansible:
        """Playbooks about one workload, with records of their own."""
        return Ansible(self.directory / workload, namespace=self.kubectl.namespace, workload=f"deployment/{workload}", **{**QUICK, **options})

    def diagnosed(self, ansible: Ansible, **options: Any) -> tuple[str, dict[str, Any]]:
        """(output, result document) of one run."""
        path = ansible.directory / "result.json"
        return ansible("diagnose", result_file=str(path), **options).ok().output, result_of(path)


@pytest.fixture(scope="module")
def stage(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with namespace(cluster, "again") as kubectl:
        kubectl.apply(
            *(hungry(cluster, name) for name in ("asked", "moved")),
            deployment(cluster, "greedy", STILL_HUNGRY, resources=LIMIT),
            deployment(cluster, "advised", "sleep 3600", envFrom=[{"configMapRef": {"name": "settings"}}]),
        )
        kubectl_of_hungry = Kubectl(cluster, kubectl.namespace)
        kubectl_of_hungry.pods = lambda: {name: pods for name, pods in kubectl.pods().items() if name != "advised"}  # type: ignore[method-assign]
        await_memory_kills(kubectl_of_hungry, 3)
        yield Stage(kubectl, tmp_path_factory.mktemp("again"), cluster)


def names(ansible: Ansible) -> list[str]:
    return sorted(path.stem for path in ansible.records.glob("*.jsonl"))


def test_a_proposal_that_waits_is_referred_to_and_can_be_decided(stage: Stage) -> None:
    ansible = stage.ansible("asked")
    _first, document = stage.diagnosed(ansible)
    assert [(one["id"], one["state"], "repeat" in one) for one in document["records"]] == [("0001", "proposed", False)]
    shown, document = stage.diagnosed(ansible)
    assert names(ansible) == ["0001"] and len(ansible.record("0001")) == 1
    assert [(one["id"], one["state"], one["repeat"]) for one in document["records"]] == [("0001", "proposed", True)]
    assert document["findings"] and document["record"]["digest"] == digest(ansible.record("0001")) and document["duration_seconds"] < 60
    assert "not recorded once more: record 0001 was proposed" in " ".join(shown.split()) and "aiops.k8s.approve -e record=0001" in shown
    ansible.decide("0001").ok()
    ansible("execute", record="0001", watch="defer", watch_seconds=None).ok()
    shown, document = stage.diagnosed(ansible)  # it works by now: nothing is found
    assert names(ansible) == ["0001"]

    events = ansible.record("0001")
    proven = next(one["payload"] for one in events if one["kind"] == "validated")
    finding = events[0]["payload"]["findings"][0]
    assert proven["times"]["repair"] > 0 and proven["means"]["repair"] == {"seconds": proven["times"]["repair"], "operations": 1}
    assert "signals" in proven and "signals_missing" not in proven
    document_path = next(ansible.records.glob("0001-*.prompt.md"))
    text = document_path.read_text(encoding="utf-8")
    assert "### Times" in text and "time to repair (proposal to proof)" in text
    assert ("time to detect" in text) == bool(finding.get("since"))
    ansible("resume").ok()
    assert ansible.state("0001") == "closed"
    listed = ansible("records").ok().output
    assert "mean time" in listed and "to repair" in listed


def test_a_proposal_that_no_longer_fits_ends_when_the_next_one_is_made(stage: Stage) -> None:
    ansible = stage.ansible("moved")
    stage.diagnosed(ansible)
    stage.kubectl("annotate", "deployment/moved", "team=b")  # no new generation: the plan still fits
    stage.kubectl("patch", "deployment/moved", "--type=merge", "-p", '{"spec": {"minReadySeconds": 1}}')
    shown, document = stage.diagnosed(ansible)
    assert [(one["id"], one["earlier"], "repeat" in one) for one in document["records"]] == [("0002", ["0001"], False)]
    assert "Record 0001 can no longer be approved: overtaken by record 0002" in " ".join(shown.split())
    assert [one["kind"] for one in ansible.record("0001")] == ["proposed", "expired"] and ansible.record("0001")[-1]["payload"]["successor"] == "0002"
    ansible.decide("0001").refused("Record 0001 is expired")
    assert ansible.record("0002")[0]["payload"]["earlier"][0]["id"] == "0001" and "before" in shown
    ansible.decide("0002", decision="reject", reason="not today").ok()
    shown, document = stage.diagnosed(ansible)
    assert names(ansible) == ["0001", "0002"] and "rejected" in shown and "not today" in " ".join(shown.split())
    stage.diagnosed(ansible, again=True)
    assert names(ansible) == ["0001", "0002", "0003"]
    assert "Seen before" in next(ansible.records.glob("0003-*.prompt.md")).read_text(encoding="utf-8")


def test_advice_is_recorded_once(stage: Stage) -> None:
    ansible = stage.ansible("advised")
    stage.diagnosed(ansible)
    shown, document = stage.diagnosed(ansible)
    assert names(ansible) == ["0001"] and len(ansible.record("0001")) == 2, "a record that is closed stays as it is"
    assert document["records"][0]["repeat"] and document["findings"][0]["code"] == "ConfigMapMissing"
    assert "gave the same advice" in " ".join(shown.split()) and "settings" in shown
    checked = ansible("diagnose", ["--check"]).ok().output
    assert "gave the same advice" in " ".join(checked.split()) and names(ansible) == ["0001"]


def test_a_fix_that_failed_is_not_proposed_again(stage: Stage) -> None:
    ansible = stage.ansible("greedy", validate_seconds=45)
    stage.diagnosed(ansible)
    ansible.decide("0001").ok()
    ansible("execute", record="0001").refused("rolled back")
    failed = ansible.record("0001")
    assert failed[-1]["kind"] == "rolled_back"
    _shown, document = stage.diagnosed(ansible)
    newest = ansible.record(names(ansible)[-1])[0]["payload"]
    assert newest["earlier"][0]["id"] == "0001" and "did not work, undone" in newest["earlier"][0]["what"]
    assert newest["fingerprint"] != failed[0]["payload"]["fingerprint"], "the change that failed is proposed again"
    assert "0001" in f"{newest['no_plan_reason']} {newest['not_chosen']}", "nobody is told why that change is not proposed"
    before = names(ansible)
    stage.diagnosed(ansible)
    assert names(ansible) == before
