# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The playbook compliance after a real operation: 100 % as it is, and whatever contradicts the cluster, a signature or the git remote is found."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from tests.cluster import Cluster
from tests.integration.staging import Kubectl, deployment, hungry, namespace, reasons
from tests.integration.support import FEATURE, QUICK, ROOT, Ansible, Run, digest, wait
from tests.unit.compliance import building
from tests.unit.operation.clones import git

RECORD = "0001"
AS_US = "--field-manager=aiops.k8s"
SCHEMA = json.loads((ROOT / "docs" / "reference" / "compliance.schema.json").read_text(encoding="utf-8"))


@dataclass
class Stage:
    """An operation that was approved with a signature, carried out and closed; ``key`` is the approver's."""

    kubectl: Kubectl
    ansible: Ansible
    key: str

    def check(self, directory: Path, records: Path | None = None, **options: Any) -> tuple[Run, dict[str, Any]]:
        """A run of the playbook on the records or a copy of them, and its report."""
        files = {"result_file": directory / "c.json", "markdown_file": directory / "c.md", "junit_file": directory / "c.xml"}
        given = {
            "records_dir": records or self.ansible.records.parent,
            "cluster": "required",
            "namespaces": [self.kubectl.namespace],
            **files,
            **options,
        }
        typed: dict[str, Any] = {name: value if isinstance(value, (list, bool)) else str(value) for name, value in given.items()}
        run = self.ansible("compliance", **typed)
        document = json.loads(files["result_file"].read_text(encoding="utf-8"))
        faults = [one.message for one in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)]
        assert not faults, faults
        ElementTree.parse(files["junit_file"])
        return run, document

    def copy(self, directory: Path) -> Path:
        shutil.copytree(self.ansible.records.parent, directory / "copy")
        return directory / "copy"


def findings(document: dict[str, Any], severity: str = "error") -> dict[str, str]:
    return {one["code"]: one["message"] for one in document["findings"] if one["severity"] == severity}


@pytest.fixture(scope="module")
def stage(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("compliance")
    with namespace(cluster, "compliance") as kubectl:
        kubectl.apply(hungry(cluster, "web"))
        wait("killed for memory", lambda: any("OOMKilled" in reasons(pod) for pod in kubectl.pods().get("web", [])))
        ansible = Ansible(directory, namespace=kubectl.namespace, **QUICK)
        ansible.records.parent.mkdir()
        key = building.make_key(ansible.records.parent)
        shutil.move(key, directory / "key")
        ansible("diagnose", approval="defer").ok()
        ansible.decide(RECORD, signing_key=str(directory / "key")).ok()
        ansible("execute", record=RECORD).ok()
        assert ansible.state(RECORD) == "closed"
        kubectl.apply(deployment(cluster, "other", "exec sleep 3600"))
        yield Stage(kubectl, ansible, str(directory / "key"))


def test_an_operation_as_it_should_be(stage: Stage, tmp_path: Path) -> None:
    run, document = stage.check(tmp_path)
    run.ok()
    assert document["findings"] == []
    assert document["share"]["percent"] == 100.0 and document["share"]["operations"] == 1
    checked = {one["code"]: one["checked"] for one in document["checks"]}
    assert [checked[code] for code in ("R02", "R10", "C01", "C02", "C03", "C04")] == [1, 1, 1, 1, 1, 1]
    assert "documented with approval: 100 % of medium and critical operations (1 of 1; target 100 %)" in run.output
    assert "None." in (tmp_path / "c.md").read_text(encoding="utf-8")


def test_without_a_cluster(stage: Stage, tmp_path: Path) -> None:
    nowhere = tmp_path / "kubeconfig"
    config = yaml.safe_load(Path(stage.kubectl.cluster.kubeconfig).read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    nowhere.write_text(yaml.safe_dump(config), encoding="utf-8")
    run, document = stage.check(tmp_path, cluster="auto", kubeconfig=nowhere)
    run.ok()
    assert "not compared: the cluster: The API server https://127.0.0.1:9 does not answer" in run.output
    assert document["cluster"] == {} and document["share"]["percent"] == 100.0
    stage.check(tmp_path, kubeconfig=nowhere)[0].refused("does not answer")


def test_bad_input(stage: Stage, tmp_path: Path) -> None:
    stage.ansible("compliance", cluster="perhaps").refused("value of cluster must be one of: auto, required, off")
    stage.ansible("compliance", cluster="off", junit_file=str(tmp_path / "no" / "c.xml")).refused(
        "junit_file", "cannot be written: No such file or directory"
    )
    stage.ansible("compliance", cluster="off", since=str(tmp_path / "none.json")).refused("since", "cannot be read")
    stage.ansible("compliance", kubeconfig=str(tmp_path / "none")).refused("kubeconfig", "cannot be used")
    empty = stage.ansible("compliance", cluster="off", records_dir=str(tmp_path / "empty")).ok()
    assert "There are no records in" in empty.output


def forged_plan(records: Path, stage: Stage) -> None:
    """Another summary, and everything recomputed; the signature cannot be made again."""
    draft = building.load(records / FEATURE, RECORD)
    signed = draft[1]["payload"]["by"]["signature"]
    building.resealed(draft, summary="nothing to see here")
    for by in (draft[1]["payload"]["by"], draft[2]["payload"]["approved_by"]):
        by["signature"] = signed
    building.publish([draft], records)


def forged_without_signature(records: Path, stage: Stage) -> None:
    draft = building.resealed(building.load(records / FEATURE, RECORD), summary="nothing to see here")
    for by in (draft[1]["payload"]["by"], draft[2]["payload"]["approved_by"]):
        by.pop("signature")
    building.publish([draft], records)


def forged_rejection(records: Path, stage: Stage) -> None:
    draft = building.load(records / FEATURE, RECORD)
    rejected = {**draft[1], "kind": "rejected", "payload": {**draft[1]["payload"], "reason": "no"}}
    rejected["payload"]["by"].pop("signature")
    building.publish([[draft[0], rejected]], records)


def all_removed(records: Path, stage: Stage) -> None:
    shutil.rmtree(records / FEATURE)


@pytest.mark.attack  # what counts is that it is found out
@pytest.mark.parametrize(
    ("forge", "codes", "alone"),
    [
        (forged_plan, {"R10", "R14", "C02"}, {"R10", "R14"}),
        (forged_without_signature, {"C02"}, set()),
        (forged_rejection, {"C05"}, set()),
        (all_removed, {"C01"}, set()),
    ],
)
def test_forged_as_a_whole(forge: Callable[[Path, Stage], None], codes: set[str], alone: set[str], stage: Stage, tmp_path: Path) -> None:
    """``alone``: what the records themselves contradict; the rest is found out by the digest at the changed object."""
    records = stage.copy(tmp_path)
    forge(records, stage)
    run, document = stage.check(tmp_path, records)
    run.refused("The records are not compliant")
    assert set(findings(document)) == codes, document["findings"]
    assert document["share"]["percent"] != 100.0
    _run, offline = stage.check(tmp_path, records, cluster="off")
    assert set(findings(offline)) == alone


@pytest.mark.attack  # what counts is that it is found out
def test_a_git_remote_contradicts(stage: Stage, tmp_path: Path) -> None:
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(remote))
    git(tmp_path, "clone", "-q", str(remote), str(clone))
    shutil.copytree(stage.ansible.records.parent, clone, dirs_exist_ok=True)
    (clone / "store.yml").write_text("store: git\n", encoding="utf-8")
    git(clone, "checkout", "-q", "-B", "main")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "records")
    git(clone, "push", "-q", "origin", "HEAD:main")
    assert stage.check(tmp_path, clone)[1]["findings"] == []
    forged_without_signature(clone, stage)
    _run, document = stage.check(tmp_path, clone, cluster="off")
    assert set(findings(document)) == {"R21"}, document["findings"]


@pytest.mark.attack  # what counts is that it is found out
def test_changed_by_hand(stage: Stage, tmp_path: Path) -> None:
    """The last test: it leaves the objects changed."""
    time.sleep(8)  # seconds by which the clocks may differ
    stage.kubectl("annotate", "deployment/other", "note=1", AS_US)
    _run, document = stage.check(tmp_path)
    assert set(findings(document)) == {"C01"} and document["share"]["percent"] == 50.0, document["findings"]
    stage.kubectl("set", "resources", "deployment/web", "--limits=memory=60Mi")
    _run, document = stage.check(tmp_path)
    assert "resources.limits.memory was 40Mi and is now 60Mi" in findings(document, "warning")["C04"]
    stage.kubectl("label", "deployment/web", "team=mine", AS_US)
    _run, document = stage.check(tmp_path)
    assert set(findings(document)) == {"C01", "C03"}, document["findings"]
    stage.kubectl("annotate", "deployment/web", "aiops.k8s/record-", "aiops.k8s/digest-")
    _run, document = stage.check(tmp_path)
    assert set(findings(document)) == {"C01", "C04"} and digest(stage.ansible.record(RECORD)), document["findings"]
