# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Real git repositories for tests: one bare remote, and clones of it that keep records."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import record as chain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.chain_merge import heads
from ansible_collections.aiops.k8s.plugins.module_utils.operation.git_store import Git
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Record
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store

FEATURE = "004"
IDENTITY = {name: "tester" for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")}


def git(directory: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env={**os.environ, **IDENTITY}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, f"git {arguments}: {done.stderr}"
    return done.stdout.strip()


class World:
    """A remote and its clones in one directory; ``records`` is where the clones keep records."""

    def __init__(self, directory: Path, records: str = "history") -> None:
        self.directory, self.records, self.remote = directory, records, directory / "remote.git"
        git(directory, "init", "-q", "--bare", "-b", "main", str(self.remote))
        first = self.clone("setup")
        (first / records).mkdir(exist_ok=True)
        (first / records / "store.yml").write_text("store: git\n", encoding="utf-8")
        (first / "README.md").write_text("records\n", encoding="utf-8")
        git(first, "add", "-A")
        git(first, "commit", "-q", "-m", "a record store")
        git(first, "push", "-q", "origin", "HEAD:main")

    def clone(self, name: str) -> Path:
        path = self.directory / name
        if not path.exists():
            git(self.directory, "clone", "-q", str(self.remote), str(path))
        return path

    def store(self, name: str, feature: str = FEATURE) -> Git:
        """The store in a clone, as a new run opens it."""
        found = open_store(str(self.clone(name) / self.records), feature)
        assert isinstance(found, Git)
        return found

    def cut(self, name: str) -> None:
        """The clone cannot reach its remote."""
        git(self.clone(name), "remote", "set-url", "origin", str(self.directory / "nowhere.git"))

    def mend(self, name: str) -> None:
        git(self.clone(name), "remote", "set-url", "origin", str(self.remote))

    def published(self, feature: str = FEATURE) -> dict[str, Record]:
        """What a fresh clone of the remote holds, verified."""
        name = f"look-{len(list(self.directory.iterdir()))}"
        store = self.store(name, feature)
        found = {one: store.load(one) for one in store.identifiers()}
        faults = untrue(found)
        assert not faults, faults
        assert not store.warnings, store.warnings
        assert {one["problem"] for one in store.compare()} <= {""}, store.compare()
        return found


def untrue(records: dict[str, Record]) -> list[str]:
    """First events whose previous_record is not in the chain that it names."""
    faults = []
    for identifier, record in records.items():
        before = record.proposal["previous_record"]
        if before is None:
            faults += [identifier] if min(records, key=int) != identifier else []
        elif before["id"] not in records or before["head"] not in heads(records[before["id"]].events):
            faults.append(identifier)
    return faults


def origins(record: Record) -> list[str]:
    """The hashes that a record's events had at first, those in conflict notes included."""
    return [chain.origin(one["payload"]["event"] if one["kind"] == "conflict" else one) for one in record.events]


def log(directory: Path, *arguments: Any) -> list[str]:
    return git(directory, "log", "--format=%s", *arguments).splitlines()
