# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""store.yml and the clone that it needs: what is refused, in which words."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Callable, Iterator

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput, RecordDamaged, StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation import git_run
from ansible_collections.aiops.k8s.plugins.module_utils.operation.git_store import Git
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store

from tests.unit.operation import clones, samples
from tests.unit.operation.conftest import MEMORY


@pytest.fixture
def world() -> Iterator[clones.World]:
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as directory:
        yield clones.World(Path(directory))


FILES: list[tuple[str, str]] = [
    ("", "does not say which store it is. Write for example: store: git"),
    ("git", "does not say which store it is"),
    ("remote: origin", "does not say which store it is"),
    ("store: svn", "store.yml: store is 'svn'. It must be one of directory, git."),
    ("store: [git]", "store is ['git']. It must be one of"),
    ("store: git\nbranche: main", "store.yml: branche is no key of a git store. Known: store, remote, branch."),
    ("store: directory\nremote: origin", "store.yml: remote is no key of a directory store. Known: store."),
    ("store: git\nremote: --upload-pack=evil", "store.yml: remote is '--upload-pack=evil'. Give the name of a remote"),
    ("store: git\nremote: https://user:secret@host/x", "remote is"),
    ("store: git\nremote:", "store.yml: remote is None."),
    ("store: git\nbranch: -d", "store.yml: branch is '-d'. Give the name of a branch"),
    ("store: git\nbranch: a..b", "store.yml: branch is 'a..b'."),
    ("store: git\nbranch: 1", "store.yml: branch is 1."),
    ("store: git\nbranch: other", "store.yml in {records} says branch: other, but the clone has main checked out. Run: git switch other"),
    ("store: git\nremote: upstream", "names the remote 'upstream', which this clone does not have. Add it: git remote add upstream URL"),
    ("store: {", "store.yml is not YAML"),
]


@pytest.mark.parametrize("content, says", FILES, ids=[row[0].replace("\n", "; ") or "empty" for row in FILES])
def test_store_files(world: clones.World, content: str, says: str) -> None:
    records = world.clone("a") / "history"
    (records / "store.yml").write_text(content, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        open_store(str(records), "004")
    assert says.format(records=records) in str(caught.value)


@pytest.mark.parametrize("content, kind", [("store: git", Git), ("store: git\nremote: ''\nbranch: main", Git), ("store: directory", Directory)])
def test_good_store_files(world: clones.World, content: str, kind: type[Directory]) -> None:
    records = world.clone("a") / "history"
    (records / "store.yml").write_text(content, encoding="utf-8")
    store = open_store(str(records), "004")
    assert store.__class__ is kind and samples.proposed(store).warnings == []


def test_no_file_and_no_directory_mean_a_directory_store(tmp_path: Path) -> None:
    assert open_store(str(tmp_path), "004").__class__ is Directory
    assert open_store(str(tmp_path / "none"), "004").__class__ is Directory


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def opened(path: Path) -> None:
    path.chmod(0o666)


@pytest.mark.parametrize("spoil, says", [(linked, "store.yml is a symbolic link"), (opened, "Anybody may write the file .*store.yml")])
def test_a_store_file_that_others_may_write(world: clones.World, spoil: Callable[[Path], None], says: str) -> None:
    records = world.clone("a") / "history"
    spoil(records / "store.yml")
    with pytest.raises(RecordDamaged, match=says):
        open_store(str(records), "004")


def test_no_work_tree(tmp_path: Path) -> None:
    (tmp_path / "store.yml").write_text("store: git\n", encoding="utf-8")
    with pytest.raises(BadInput, match="has a store.yml that says git, but is not in a git work tree: fatal: not a git repository"):
        open_store(str(tmp_path), "004")


def test_a_detached_head(world: clones.World) -> None:
    clones.git(world.clone("a"), "checkout", "-q", "--detach")
    with pytest.raises(BadInput, match=r"has no branch checked out \(detached HEAD\)\. Check one out: git switch main"):
        world.store("a")


def test_no_git(world: clones.World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.clone("a")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(StoreFailed, match="git cannot be run: No such file or directory. Install git"):
        world.store("a")


def test_an_environment_that_names_another_repository(world: clones.World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world.clone("a")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "other"))
    record = samples.proposed(world.store("a"))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.delenv(name)
    assert record.warnings == [] and list(world.published()) == ["0001"] and not (tmp_path / "other").exists()


def test_a_new_repository_without_commits_and_a_new_remote(tmp_path: Path) -> None:
    clones.git(tmp_path, "init", "-q", "--bare", "-b", "main", "remote.git")
    for name in ("a", "b"):
        clones.git(tmp_path, "init", "-q", "-b", "main", name)
        clones.git(tmp_path / name, "remote", "add", "origin", "../remote.git")
        (tmp_path / name / "store.yml").write_text("store: git\n", encoding="utf-8")
        record = samples.proposed(open_store(str(tmp_path / name), "004"))
        assert record.warnings == []
    assert (record.identifier, clones.log(tmp_path / "remote.git")[0][:13]) == ("0002", "0002 proposed")
    assert open_store(str(tmp_path / "a"), "004").identifiers() == ["0001", "0002"]
    assert clones.git(tmp_path / "a", "status", "--short") == "?? store.yml"


def test_a_place_with_odd_names(tmp_path: Path) -> None:
    world = clones.World(tmp_path, records='my "réc\\ords" [x]*')
    store = world.store("a", "A.b-c_1")
    record = samples.reach(store, samples.proposed(store), "rejected")
    assert record.warnings == [] and world.published("A.b-c_1")["0001"].state == "rejected"
    assert clones.git(world.clone("a"), "status", "--short") == ""


def test_nothing_waits_for_a_person(world: clones.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that asks gets no terminal and no input; one that hangs is ended with what it started."""
    monkeypatch.setattr(git_run, "SECONDS", 1.0)
    hook = world.clone("a") / ".git" / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\nif ( : < /dev/tty ) 2>/dev/null; then echo terminal > ../asked; fi\nsleep 300\n", encoding="utf-8")
    hook.chmod(0o755)
    record = samples.proposed(world.store("a"))
    assert record.state == "proposed"
    assert any("git push did not end within 1 s" in one and "the next run that reaches the remote publishes it" in one for one in record.warnings)
    hook.unlink()
    assert world.store("a").load("1").warnings == [] and list(world.published()) == ["0001"]
    assert not (world.directory / "asked").exists()


def test_passwords_are_not_said(world: clones.World) -> None:
    clones.git(world.clone("a"), "remote", "set-url", "origin", "https://robot:hunter2secret@127.0.0.1:1/records.git")
    record = samples.proposed(world.store("a"))
    assert "127.0.0.1" in record.warnings[0] and "hunter2secret" not in " ".join(record.warnings)


def test_ssh_never_asks(world: clones.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    (tmp_path / "ssh").write_text(f'#!/bin/sh\necho "$@" > {said}\nexit 255\n', encoding="utf-8")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    clones.git(world.clone("a"), "remote", "set-url", "origin", "git@host.invalid:records.git")
    assert world.store("a").identifiers() == []
    assert "-o BatchMode=yes" in said.read_text(encoding="utf-8")
    clones.git(world.clone("a"), "config", "core.sshCommand", f"{tmp_path}/ssh -i key")
    world.store("a").identifiers()
    assert said.read_text(encoding="utf-8").startswith("-i key -o BatchMode=yes")


def test_errors_are_ours() -> None:
    assert all(issubclass(one, AiopsError) for one in (git_run.Offline, git_run.Refused, git_run.Raced))
