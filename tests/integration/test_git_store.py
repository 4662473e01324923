# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Playbooks on two clones of one records repository: proposed on one, decided and carried out on the other, and in each other's way."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.integration.staging import LOSES_MEMORY, Kubectl, await_memory_kills, deployment, namespace
from tests.integration.support import FEATURE, QUICK, Ansible, Run, in_parallel
from tests.unit.operation import clones

WORKLOADS = ("left", "right")


@dataclass
class Stage:
    """Two operators with a clone each."""

    kubectl: Kubectl
    world: clones.World
    ann: Ansible
    bob: Ansible

    def titles(self) -> dict[str, str]:
        """{id: title} of what is published, verified."""
        return {name: str(record.proposal["title"]) for name, record in self.world.published(FEATURE).items()}


@pytest.fixture(scope="module")
def stage(cluster: Cluster) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory() as folder, namespace(cluster, "git") as kubectl:
        kubectl.apply(*(deployment(cluster, name, LOSES_MEMORY, resources={"limits": {"memory": "20Mi"}}) for name in WORKLOADS))
        (Path(folder) / "git").mkdir()
        world = clones.World(Path(folder) / "git")
        operators = []
        for name in ("ann", "bob"):
            place = Path(folder) / name
            place.mkdir()
            records = world.clone(name) / world.records
            operators.append(Ansible(place, namespace=kubectl.namespace, records_dir=str(records), **QUICK))
        await_memory_kills(kubectl, len(WORKLOADS))
        yield Stage(kubectl, world, *operators)


def test_both_diagnose_at_once_and_one_carries_out_what_the_other_proposed(stage: Stage) -> None:
    runs: list[Run] = in_parallel(
        lambda: stage.ann("diagnose", workload="deployment/left"), lambda: stage.bob("diagnose", workload="deployment/right"), at_once=2
    )
    for run in runs:
        run.ok()
    titles = stage.titles()
    assert sorted(titles) == ["0001", "0002"]
    left = next(identifier for identifier, title in titles.items() if "left" in title)
    right = next(identifier for identifier, title in titles.items() if "right" in title)

    stage.bob("records").ok()  # bob's clone takes in ann's record
    stage.bob.decide(left).ok()
    stage.bob("resume", record=left).ok()
    published = stage.world.published(FEATURE)[left]
    assert published.state == "closed", published.state
    assert stage.kubectl.generation("left") == 2 and stage.kubectl.generation("right") == 1

    again = stage.ann("records", record=left).ok()
    assert "closed" in again.output and clones.git(stage.world.clone("ann"), "status", "--short") == ""

    # nobody reaches the remote: ann rejects, bob approves and carries out; what ann did is published first
    stage.world.cut("ann")
    stage.ann.decide(right, "reject", reason="not today").ok()
    stage.world.mend("ann")
    stage.ann("records").ok()
    late = stage.bob("approve", record=right, decision="approve", digest=published_digest(stage, right))
    late.refused("rejected")
    assert stage.kubectl.generation("right") == 1


def published_digest(stage: Stage, identifier: str) -> str:
    return stage.world.published(FEATURE)[identifier].digest[:8]


def test_a_store_file_that_is_wrong_stops_the_run_before_anything(stage: Stage, tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    (records / "store.yml").write_text("store: git\n", encoding="utf-8")
    stage.ann("records", records_dir=str(records)).refused("is not in a git work tree", "docs/runbooks/git-store.md")
    (records / "store.yml").write_text("store: git\nremot: origin\n", encoding="utf-8")
    stage.ann("records", records_dir=str(records)).refused("remot is no key of a git store. Known: store, remote, branch.")
    assert [path.name for path in records.iterdir()] == ["store.yml"]
