# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The git store on real clones of a real remote: commits, races, work without a remote, and what it leaves alone."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Callable, Iterator

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused, NotFound
from ansible_collections.aiops.k8s.plugins.module_utils.operation import phr, record as chain

from tests.unit.operation import clones, samples, writers
from tests.unit.operation.conftest import MEMORY

TITLE = "OOMKilled in deployment/web in namespace shop"


@pytest.fixture
def world() -> Iterator[clones.World]:
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as directory:
        yield clones.World(Path(directory))


def test_every_event_is_one_commit_that_is_pushed(world: clones.World) -> None:
    store = world.store("a")
    assert store.identifiers() == []
    record = samples.reach(store, samples.proposed(store), "executed")
    clone = world.clone("a")
    assert record.warnings == store.warnings == []
    assert clones.log(world.remote, "main")[:-1] == [f"0001 {kind}: {TITLE}" for kind in ("executed", "executing", "approved", "proposed")]
    assert clones.git(clone, "status", "--short", "--branch") == "## main...origin/main"
    document = os.path.relpath(store.document(record), clone)
    assert clones.git(clone, "show", "--name-only", "--format=", "HEAD").splitlines() == [document, "history/004/0001.jsonl"]
    trailers = clones.git(clone, "log", "-1", "--format=%(trailers:only,unfold)", "HEAD").splitlines()
    assert trailers == ["Record: 004/0001", "State: executed", f"Digest: {record.digest}"]
    who = chain.actor()
    assert clones.git(clone, "log", "-1", "--format=%an <%ae>") == f"{who['user']} <{who['user']}@{who['host']}>"
    assert clones.git(world.remote, "show", f"main:{document}") + "\n" == phr.render(record.events)
    assert sorted(os.listdir(store.path)) == sorted([os.path.basename(document), "0001.jsonl"]), "no lock file to commit"


def test_another_clone_sees_it_once_it_looks(world: clones.World) -> None:
    before = world.store("b")
    assert before.identifiers() == []
    samples.reach(world.store("a"), samples.proposed(world.store("a")), "approved")
    assert before.identifiers() == [], "a run fetches once"
    with pytest.raises(NotFound):
        before.load("1")
    assert world.store("b").load("1").state == "approved"
    assert clones.git(world.clone("b"), "status", "--short", "--branch") == "## main...origin/main"


def test_two_who_take_one_number_get_two(world: clones.World) -> None:
    a, b = world.store("a"), world.store("b")
    assert a.identifiers() == b.identifiers() == []
    first = a.create(samples.payload(samples.plan(), title="first"))
    second = b.create(samples.payload(samples.plan(), title="second"))
    assert (first.identifier, second.identifier, second.path) == ("0001", "0002", b.file("0002"))
    assert second.warnings == ["The record 0001 is 0002 now: somebody else had published a record of that number first."]
    assert second == b.load("0002") and second.events[0]["renumbered"]["from"] == "0001"
    assert second.proposal["previous_record"] == {"id": "0001", "head": first.events[0]["hash"]}
    b.append(second, "rejected", samples.PAYLOADS["rejected"])
    assert {name: one.state for name, one in world.published().items()} == {"0001": "proposed", "0002": "rejected"}
    assert sorted(name for name in os.listdir(b.path) if name.endswith(".md")) == ["0001-first.misc.prompt.md", "0002-second.misc.prompt.md"]
    assert clones.git(world.clone("b"), "status", "--short") == ""


def test_one_of_two_executes(world: clones.World) -> None:
    store = world.store("a")
    samples.reach(store, samples.proposed(store), "approved")
    a, b = world.store("a"), world.store("b")
    mine, theirs = a.load("1"), b.load("1")
    a.append(mine, "executing", samples.PAYLOADS["executing"])
    with pytest.raises(GateRefused) as caught:
        b.append(theirs, "executing", samples.PAYLOADS["executing"])
    assert "Record 0001 did not become executing:" in str(caught.value) and "What it would have allowed was not done" in str(caught.value)
    assert [one["kind"] for one in theirs.events] == ["proposed", "approved", "executing", "conflict"] and "It is kept as a note." in theirs.warnings[
        0
    ]
    a.append(mine, "executed", samples.PAYLOADS["executed"])
    assert [one["kind"] for one in world.published()["0001"].events][-3:] == ["executing", "conflict", "executed"]


def test_an_event_behind_somebody_elses_note(world: clones.World) -> None:
    samples.proposed(world.store("a"))
    a, b = world.store("a"), world.store("b")
    mine, theirs = a.load("1"), b.load("1")
    a.append(mine, "refused", samples.PAYLOADS["refused"])
    event = b.append(theirs, "approved", samples.PAYLOADS["approved"])
    assert event == theirs.events[-1] and event["seq"] == 3 and event["rebased"]["hash"] != event["hash"]
    assert world.published()["0001"].events == theirs.events


def test_work_without_the_remote_is_published_later(world: clones.World) -> None:
    samples.proposed(world.store("a"))
    world.store("b").identifiers()
    world.cut("b")
    offline = world.store("b")
    record = samples.reach(offline, samples.proposed(offline), "approved")
    old = offline.append(offline.load("0001"), "refused", samples.PAYLOADS["refused"])
    assert record.identifier == "0002"
    (warning,) = record.warnings
    assert warning.startswith("The remote origin cannot be reached: fatal:") and warning.endswith(
        "the next run that reaches the remote publishes it."
    )
    assert clones.log(world.clone("b"))[0] == f"0001 refused: {TITLE}"
    other = world.store("a")
    other.create(samples.payload(samples.plan(), title="meanwhile"))
    world.mend("b")
    back = world.store("b")
    assert back.identifiers() == ["0001", "0002", "0003"]
    with pytest.raises(GateRefused, match=r"0002 that was made here while the remote was out of reach is 0003 now.*record=0003"):
        back.load("2")
    published = world.published()
    assert [one.proposal["title"] for one in published.values()] == [TITLE, "meanwhile", TITLE] and published["0003"].state == "approved"
    assert published["0001"].events[-1]["hash"] == old["hash"]
    assert world.store("b").load("2").proposal["title"] == "meanwhile"


def test_a_remote_that_refuses(world: clones.World) -> None:
    hook = world.remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho protected branch >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    record = samples.proposed(world.store("a"))
    assert any("does not take the push to main" in one and "pre-receive hook declined" in one for one in record.warnings), record.warnings
    assert world.store("a").compare() == [{"id": "0001", "problem": "is not published: the remote cannot be reached"}]
    hook.unlink()
    assert world.store("a").compare() == [{"id": "0001", "problem": ""}]


def test_without_a_remote_it_only_commits(world: clones.World) -> None:
    clone = world.clone("a")
    (clone / "history" / "store.yml").write_text("store: git\nremote: ''\n", encoding="utf-8")
    record = samples.reach(world.store("a"), samples.proposed(world.store("a")), "rejected")
    assert record.warnings == [] and len(clones.log(clone, "origin/main..")) == 2
    assert world.store("a").compare() == [{"id": "0001", "problem": ""}]


def test_other_files_and_the_index_are_left_alone(world: clones.World) -> None:
    """Staged, changed and new files of the owner stay exactly so, while the remote brings other files and takes our number."""
    clone = world.clone("a")
    store = world.store("a")
    assert store.identifiers() == []
    other = world.clone("b")
    (other / "docs.md").write_text("new\n", encoding="utf-8")
    clones.git(other, "add", "docs.md")
    clones.git(other, "commit", "-q", "-m", "docs")
    samples.proposed(world.store("b"))
    (clone / "staged.txt").write_text("staged\n", encoding="utf-8")
    clones.git(clone, "add", "staged.txt")
    (clone / "README.md").write_text("changed\n", encoding="utf-8")
    clones.git(clone, "add", "README.md")
    (clone / "README.md").write_text("changed twice\n", encoding="utf-8")
    (clone / "new.txt").write_text("new\n", encoding="utf-8")
    before = clones.git(clone, "status", "--porcelain"), clones.git(clone, "diff", "--cached"), clones.git(clone, "diff")
    record = samples.reach(store, samples.proposed(store), "rejected")
    assert record.identifier == "0002" and (clone / "docs.md").read_text(encoding="utf-8") == "new\n"
    assert before == (clones.git(clone, "status", "--porcelain"), clones.git(clone, "diff", "--cached"), clones.git(clone, "diff"))
    assert clones.git(clone, "rev-parse", "HEAD") == clones.git(world.remote, "rev-parse", "main")


def test_a_local_change_in_the_way_is_named_and_nothing_is_lost(world: clones.World) -> None:
    store, clone, other = world.store("a"), world.clone("a"), world.clone("b")
    store.identifiers()
    (other / "README.md").write_text("theirs\n", encoding="utf-8")
    clones.git(other, "commit", "-q", "-a", "-m", "readme")
    clones.git(other, "push", "-q")
    (clone / "README.md").write_text("mine\n", encoding="utf-8")
    record = samples.proposed(store)
    assert any("changed a file that has local changes here" in one and "README.md" in one for one in record.warnings), record.warnings
    assert (clone / "README.md").read_text(encoding="utf-8") == "mine\n" and store.load("1").events == record.events
    clones.git(clone, "checkout", "-q", "README.md")
    assert world.store("a").identifiers() == ["0001"] and list(world.published()) == ["0001"]


def test_commits_of_other_files_are_not_rewritten(world: clones.World) -> None:
    store, clone = world.store("a"), world.clone("a")
    store.identifiers()
    (clone / "README.md").write_text("mine\n", encoding="utf-8")
    clones.git(clone, "commit", "-q", "-a", "-m", "mine")
    samples.proposed(world.store("b"))
    record = samples.proposed(store)
    assert any("has commits of other files (README.md), and the remote has moved on" in one for one in record.warnings), record.warnings
    assert clones.log(clone)[:2] == [f"0001 proposed: {TITLE}", "mine"]
    # as the runbook says
    clones.git(clone, "branch", "my-work")
    clones.git(clone, "reset", "--quiet", "--mixed", clones.git(clone, "merge-base", "HEAD", "@{upstream}"))
    clones.git(clone, "restore", "README.md")
    assert world.store("a").identifiers() == ["0001", "0002"] == list(world.published())
    assert clones.git(clone, "status", "--short", "--branch") == "## main...origin/main"


def test_copies_and_damaged_files_are_not_committed(world: clones.World) -> None:
    store = world.store("a")
    record = samples.proposed(store)
    Path(store.file("0007")).write_bytes(Path(record.path).read_bytes())
    Path(store.file("0008")).write_text("{}\n", encoding="utf-8")
    again = world.store("a")
    assert again.identifiers() == ["0001", "0007", "0008"]
    assert any("0007 says it is 004/0001: it was copied from elsewhere" in one for one in again.warnings)
    assert any("0008 is damaged at event 1" in one for one in again.warnings)
    assert [one["problem"] for one in world.store("a").compare()] == ["", "is not committed", "is not committed"]
    assert list(world.published()) == ["0001"]


REWRITES: list[tuple[str, Callable[[list[bytes]], list[bytes]] | None, str]] = [
    (
        "an edited line",
        lambda lines: [lines[0].replace(b"shop", b"barn"), *lines[1:]],
        "the remote's record has other events from line 1 on, so it was rewritten here",
    ),
    ("a line less", lambda lines: lines[:2], "the remote's record has 3 events and this one 2, so it was rewritten here"),
    ("whole, forged again with right hashes", None, "the remote's record has other events from line 2 on, so it was rewritten here"),
    ("gone", lambda lines: [], "missing here but on the remote"),
]


@pytest.mark.parametrize("committed", [False, True], ids=["in the file", "committed"])
@pytest.mark.parametrize("what, rewrite, says", REWRITES, ids=[row[0] for row in REWRITES])
def test_a_rewritten_record_is_found_out(
    world: clones.World, what: str, rewrite: Callable[[list[bytes]], list[bytes]] | None, says: str, committed: bool
) -> None:
    store, clone = world.store("a"), world.clone("a")
    record = samples.reach(store, samples.proposed(store), "executing")
    samples.proposed(store)
    path = Path(record.path)
    lines = path.read_bytes().splitlines(keepends=True)
    expected = {"0001": says, "0002": ""}
    forged = rewrite(lines) if rewrite else [lines[0], *_forged(lines)]
    path.write_bytes(b"".join(forged)) if forged else path.unlink()
    if committed:
        clones.git(clone, "commit", "-q", "-a", "-m", "nothing to see here")
    before = path.read_bytes() if path.exists() else None
    if committed:
        later = samples.proposed(world.store("a"))
        assert any(
            "took lines away from the record history/004/0001.jsonl, which is published; so main is not pushed" in one for one in later.warnings
        )
        expected |= {"0003": "is not published: the remote cannot be reached"}
    assert {one["id"]: one["problem"] for one in world.store("a").compare()} == expected
    assert (path.read_bytes() if path.exists() else None) == before, "the evidence stays"
    assert world.published()["0001"].events == record.events, "and the remote is not touched"


def _forged(lines: list[bytes]) -> list[bytes]:
    events = [json.loads(lines[0])]
    for line in lines[1:]:
        body = json.loads(line)
        events.append(chain.linked(events, {**body, "time": "2026-11-21T00:00:00.000Z"}))
    return [chain.line(one) for one in events[1:]]


def test_a_rewritten_record_that_was_pushed_is_found_out_by_the_history(world: clones.World) -> None:
    store, clone = world.store("a"), world.clone("a")
    record = samples.reach(store, samples.proposed(store), "executing")
    good = clones.git(clone, "rev-parse", "HEAD")
    lines = Path(record.path).read_bytes().splitlines(keepends=True)
    Path(record.path).write_bytes(b"".join([lines[0], *_forged(lines)]))
    clones.git(clone, "commit", "-q", "-a", "-m", "forged")
    clones.git(clone, "push", "-q")
    bad = clones.git(clone, "rev-parse", "HEAD")
    samples.proposed(world.store("a"))
    expected = {"0001": f"the commit {bad[:12]} took lines away from it, so published events were rewritten", "0002": ""}
    assert {one["id"]: one["problem"] for one in world.store("b").compare(good)} == expected
    assert {one["id"]: one["problem"] for one in world.store("b").compare()} == expected


def test_a_forced_push_is_found_out_by_every_other_clone(world: clones.World) -> None:
    record = samples.reach(world.store("a"), samples.proposed(world.store("a")), "executing")
    other = world.store("b")
    assert other.load("1").events == record.events
    evil, path = world.clone("evil"), world.clone("evil") / "history" / "004" / "0001.jsonl"
    clones.git(evil, "reset", "-q", "--hard", "HEAD~2")
    path.write_bytes(path.read_bytes() + _forged(Path(record.path).read_bytes().splitlines(keepends=True))[0])
    clones.git(evil, "commit", "-q", "-a", "-m", "it was always so")
    clones.git(evil, "push", "-q", "--force")
    for _run in range(2):
        store = world.store("b")
        found = store.load("1")
        assert found.events == record.events
        assert "The remote's branch main was rewritten: it no longer holds the commit" in found.warnings[0]
    assert store.compare()[0]["problem"] == "the remote's record has other events from line 2 on, so it was rewritten at the remote (force push)"
    store.append(found, "executed", samples.PAYLOADS["executed"])
    assert clones.log(world.remote, "main")[0] == "it was always so", "nothing goes there, and nothing is taken"
    clones.git(world.clone("b"), "push", "-q", "--force")  # the true history is put back
    assert world.store("b").load("1").warnings == [] and world.published()["0001"].state == "executed"


def test_a_rewritten_commit_is_undone_as_the_runbook_says(world: clones.World) -> None:
    store, clone = world.store("a"), world.clone("a")
    record = samples.reach(store, samples.proposed(store), "executing")
    Path(record.path).write_bytes(Path(record.path).read_bytes().replace(b"shop", b"barn"))
    clones.git(clone, "commit", "-q", "-a", "-m", "forged")
    samples.proposed(world.store("a"))
    clones.git(clone, "branch", "evidence")
    clones.git(clone, "reset", "--quiet", "--mixed", clones.git(clone, "merge-base", "HEAD", "@{upstream}"))
    clones.git(clone, "restore", "--source=@{upstream}", "--", os.path.relpath(record.path, clone))
    again = world.store("a")
    assert again.load("1").events == record.events and again.warnings == []
    assert list(world.published()) == ["0001", "0002"]


def test_a_phr_that_is_rendered_again_is_committed(world: clones.World) -> None:
    store = world.store("a")
    record = samples.proposed(store)
    Path(store.document(record)).write_text("old\n", encoding="utf-8")
    again = world.store("a")
    again.publish(again.load("1"))
    assert Path(store.document(record)).read_text(encoding="utf-8") == phr.render(record.events)
    assert clones.git(world.clone("a"), "status", "--short", "--branch") == "## main...origin/main"


def test_a_claim_holds_off_another_run(world: clones.World) -> None:
    samples.proposed(world.store("a"))
    with world.store("a").claimed("1") as record:
        assert record.identifier == "0001"
        with pytest.raises(GateRefused, match="is being carried out by another run right now"), world.store("a").claimed("1"):
            pass
    with world.store("a").claimed("0001"):
        pass


def test_writers_at_once_lose_nothing(world: clones.World) -> None:
    for number in range(4):
        world.clone(f"w{number}")
    answers = writers.together(world, 4, 6, ("rejected",))
    assert writers.faults(world, answers, 4) == []
    assert [one["warnings"] for one in answers] == [[]] * 4


@pytest.mark.parametrize("point", [3, 8, 11, 13, 15, 16, 17, 18, 20, 24, 0.08, 0.2])
def test_a_killed_writer_is_finished_by_the_next_run(world: clones.World, point: float) -> None:
    assert writers.killed(world, point) == []
