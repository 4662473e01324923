# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A store in a git clone: what its remote contradicts although every hash in the files is right. Real repositories."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.compliance import audit
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store

from tests.unit.compliance import building
from tests.unit.compliance.building import FEATURE, POD
from tests.unit.operation import samples
from tests.unit.operation.clones import World, git

NEWEST = "0009"


class Clone:
    """One clone of a world, and what a run in it says."""

    def __init__(self, world: World, name: str) -> None:
        self.path = world.clone(name)
        self.records = self.path / world.records

    def run(self) -> dict[str, tuple[str, str]]:
        """{code and record: (severity, message)}."""
        store = open_store(str(self.records), FEATURE)
        document = audit.run(store, rules(str(self.records)), lambda: pytest.fail("no cluster is asked"), audit.Wanted("off"))
        assert {one["code"]: one["checked"] for one in document["checks"]}["R21"] >= 8
        return {f"{one['code']} {one['record']}": (one["severity"], one["message"]) for one in document["findings"]}

    def push(self) -> None:
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "-m", "nothing to see here")
        git(self.path, "push", "-q", "origin", "HEAD:main")


@pytest.fixture
def world(tmp_path: Path, master: tuple[Path, str, building.Drafts]) -> World:
    """A remote that holds the healthy store, event by event."""
    directory, _key, drafts = master
    made = World(tmp_path)
    first = Clone(made, "first")
    (first.records / "allowed_signers").write_bytes((directory / "allowed_signers").read_bytes())
    building.publish(drafts, first.records)
    assert first.run() == {}
    git(first.path, "add", "-A")
    git(first.path, "commit", "-q", "-m", "signers")
    git(first.path, "push", "-q", "origin", "HEAD:main")
    assert first.run() == {}
    return made


def forge(clone: Clone, master: tuple[Path, str, building.Drafts]) -> None:
    """The newest record anew, with a whole chain."""
    drafts = copy.deepcopy(master[2])
    drafts[POD][1]["payload"]["reason"] = "forged"
    building.publish(drafts, clone.records)


def test_a_clone_agrees(world: World) -> None:
    assert Clone(world, "second").run() == {}


def test_a_record_rewritten_here(world: World, master: tuple[Path, str, building.Drafts]) -> None:
    clone = Clone(world, "second")
    forge(clone, master)
    found = clone.run()
    assert set(found) == {f"R21 {NEWEST}"}
    assert found[f"R21 {NEWEST}"] == ("error", "Compared with git: the remote's record has other events from line 2 on, so it was rewritten here.")


def test_a_record_rewritten_and_pushed(world: World, master: tuple[Path, str, building.Drafts]) -> None:
    forger, witness = Clone(world, "second"), Clone(world, "third")
    forge(forger, master)
    forger.push()
    found = witness.run()
    assert set(found) >= {f"R21 {NEWEST}"} and found[f"R21 {NEWEST}"][0] == "error" and "rewritten" in found[f"R21 {NEWEST}"][1]


def test_a_record_removed_here(world: World) -> None:
    clone = Clone(world, "second")
    for path in (clone.records / FEATURE).glob(f"{NEWEST}*"):
        path.unlink()
    found = clone.run()
    assert set(found) == {f"R21 {NEWEST}"} and "missing here" in found[f"R21 {NEWEST}"][1]


def test_a_remote_that_does_not_answer_is_no_error(world: World, master: tuple[Path, str, building.Drafts]) -> None:
    clone = Clone(world, "second")
    clone.run()
    world.cut("second")
    drafts = copy.deepcopy(master[2])
    drafts.append(drafts[1])
    building.publish(drafts, clone.records)
    assert {severity for severity, _message in clone.run().values()} <= {"warning"}


def test_a_record_that_got_another_number_when_it_was_published(world: World) -> None:
    """What a git store moves is no forgery: ``renumbered`` and ``rebased`` events keep their first hashes."""
    here, there = Clone(world, "second"), Clone(world, "third")
    for clone in (here, there):
        assert clone.run() == {}
    world.cut("second")
    store = world.store("second", FEATURE)
    record = store.create(samples.payload(samples.plan(created=clock.now()), title="made while the remote was out of reach"))
    store.append(record, "rejected", {**samples.PAYLOADS["rejected"], "digest": record.digest})
    world.store("third", FEATURE).create(samples.payload(samples.plan(created=clock.now()), title="published first"))
    world.mend("second")
    assert {severity for severity, _message in here.run().values()} <= {"warning"}
    assert {severity for severity, _message in there.run().values()} <= {"warning"}
    events = building.load(here.records / FEATURE, "0011")
    assert "renumbered" in events[0] and "rebased" in events[1]
