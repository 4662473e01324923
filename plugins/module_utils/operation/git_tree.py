# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The records of a clone as git sees them: what is committed, what is in the work tree, and how the one becomes the other.

Nothing here uses the index for its own work: commits are made from contents, and afterwards the entries of our files are set.
Errors: BadInput (store.yml does not fit the clone), those of git_run.py.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import dataclass, field
from typing import Any, Iterable

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, RecordDamaged, StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation import chain_files as files, clock, phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.chain_merge import Chain, Key, Merged, chain_of, merge
from ansible_collections.aiops.k8s.plugins.module_utils.operation.git_run import Commit, Refused, Repository
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event, actor, state
from ansible_collections.aiops.k8s.plugins.module_utils.reporting import companion

_OURS = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)/([0-9]{4,})(\.jsonl|-[a-z0-9-]+\.(misc\.prompt\.(md|html)|svg))\Z")
_MADE = "refs/aiops/made"  # holds commits that are not on the branch yet
_TEMPORARY = ".record.new"
_GUIDE = "See docs/runbooks/git-store.md."


@dataclass(frozen=True)
class Settings:
    """What store.yml says. ``remote``: "" for none; ``branch``: "" for the one that is checked out."""

    remote: str = "origin"
    branch: str = ""


@dataclass
class Integrated:
    """A commit that holds the remote's events and ours. ``kept``: records of which the local file must stay as it is."""

    commit: str
    merged: Merged
    problems: list[str]
    kept: set[Key] = field(default_factory=set)
    entries: dict[str, str] = field(default_factory=dict)  # what differs from the local branch: {path: "MODE ID" there}, zeros for gone


class Tree:
    """``root``: records_dir within the work tree ("" or "history/prompts/"); ``private``: a directory of ours beside git's files."""

    def __init__(self, records_dir: str, settings: Settings) -> None:
        who = actor()
        self.directory = os.path.realpath(records_dir)
        self.git = Repository(self.directory, (who["user"], f"{who['user']}@{who['host']}"))
        status, output, said = self.git.status("rev-parse", "--show-toplevel", "--git-common-dir")
        if status:
            raise BadInput(f"records_dir {records_dir} has a store.yml that says git, but is not in a git work tree: {said}.", _GUIDE)
        top, common = os.fsdecode(output).splitlines()
        self.private = os.path.join(self.directory, common, "aiops-k8s")
        self.git.top = os.path.realpath(top)
        inside = os.path.relpath(self.directory, self.git.top)
        self.root = "" if inside == "." else inside + "/"
        self.branch = self._branch(records_dir, settings)
        self.remote = settings.remote
        self.seen = f"refs/aiops/seen/{settings.remote}/{self.branch}"  # a later one has to contain it
        self.forced = False
        self._algorithm = ""
        self.reference = f"refs/remotes/{settings.remote}/{self.branch}"
        if settings.remote and self.git.status("config", "--get", f"remote.{settings.remote}.url")[0]:
            raise BadInput(
                f"store.yml in {records_dir} names the remote {settings.remote!r}, which this clone does not have.",
                f"Add it: git remote add {settings.remote} URL, or write remote: '' to only commit.",
            )
        try:
            os.makedirs(self.private, mode=0o775, exist_ok=True)
        except OSError as error:
            raise StoreFailed(f"{self.private} cannot be made: {error.strerror}.", "Use a clone that you may write.") from error

    def _branch(self, records_dir: str, settings: Settings) -> str:
        status, output, _said = self.git.status("symbolic-ref", "-q", "--short", "HEAD")
        out = os.fsdecode(output).strip()
        wanted = settings.branch or out
        if status:
            raise BadInput(
                f"The clone of records_dir {records_dir} has no branch checked out (detached HEAD).",
                f"Check one out: git switch {wanted or 'main'}",
            )
        if out != wanted:
            raise BadInput(
                f"store.yml in {records_dir} says branch: {wanted}, but the clone has {out} checked out.", f"Run: git switch {wanted}"
            )
        return out

    # --- what there is ---

    def tips(self) -> tuple[str, str]:
        """(the branch, the remote's as last fetched); "" for one that does not exist."""
        names = (f"refs/heads/{self.branch}", *([self.reference] if self.remote else []))
        found = self.git.commits(*names)
        return found[0], found[1] if self.remote else ""

    def fetch(self) -> None:
        """Raises Offline; Refused where the remote no longer holds what it held when this clone last saw it."""
        self.git.fetch(self.remote, self.branch, self.reference)
        before, now = self.git.commits(self.seen, self.reference)
        self.forced = bool(before) and (not now or self.git.common(before, now) != before)
        if self.forced:
            raise Refused(
                f"The remote's branch {self.branch} was rewritten: it no longer holds the commit {before[:12]}, which was published."
                f" Nothing is taken from it or published there. {_GUIDE}"
            )
        if now != before:
            self.git.run("update-ref", self.seen, now)

    def push(self, commit: str) -> None:
        self.git.push(self.remote, self.branch, commit)

    def key(self, path: str) -> Key | None:
        """The record that a path of the repository belongs to."""
        match = _OURS.match(path[len(self.root) :]) if path.startswith(self.root) else None
        return (match[1], match[2]) if match else None

    def path(self, key: Key) -> str:
        return f"{self.root}{key[0]}/{key[1]}.jsonl"

    def local(self, path: str) -> bytes | None:
        """A file of the work tree up to its last whole line. Raises RecordDamaged, StoreFailed."""
        full = os.path.join(self.git.top, path)
        try:
            with files.folder(os.path.dirname(full)) as directory:
                data = files.content(directory, full)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreFailed(f"{full} cannot be read: {error.strerror}.") from error
        return data[: data.rfind(b"\n") + 1]

    def changed(self, old: str, new: str) -> list[str]:
        """Paths that differ between two commits ("" for none)."""
        if not old or not new:
            return list(self.git.tree(old or new, ""))
        return self.git.lines("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)

    def dirty(self) -> list[str]:
        """Paths below records_dir where work tree or index differ from the branch."""
        arguments = ("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignored=no")
        return [row[3:] for row in self.git.lines(*arguments, "--", *([self.root] if self.root else []))]

    def tree_of(self, commit: str, folder: str) -> dict[str, str]:
        """{path: blob id} of the records in a folder of a commit."""
        return {path: name for path, name in self.git.tree(commit, folder).items() if path.endswith(".jsonl") and self.key(path)}

    def blob_id(self, data: bytes) -> str:
        """What git calls a file of this content."""
        if not self._algorithm:
            self._algorithm = self.git.run("rev-parse", "--show-object-format").decode().strip()
        return hashlib.new(self._algorithm, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def keys(self, paths: Iterable[str]) -> set[Key]:
        return {key for key in map(self.key, paths) if key}

    # --- commit local events ---

    def committed(self, local: str, touched: set[Key] | None) -> tuple[str, list[str]]:
        """(the branch's tip with the events of these records committed, or of all that differ, sentences about what is not ours to commit)."""
        keys = sorted(self.keys(self.dirty()) if touched is None else touched)
        if not keys:
            return local, []
        known = self.git.blobs(f"{local}:{self.path(key)}" for key in keys) if local else {}
        steps, last, problems = list[Chain](), list[Chain](), list[str]()
        for key in keys:
            before = known.get(f"{local}:{self.path(key)}") or b""
            try:
                found = self.local(self.path(key))
                if found is None or not found.startswith(before):
                    problems.append(
                        f"The record {'/'.join(key)} was {'removed' if found is None else 'rewritten'} here; it is left out. {_GUIDE}"
                    )
                    continue
                grown = chain_of(key, found)
            except (RecordDamaged, StoreFailed) as error:
                problems.append(str(error))
                continue
            fresh = range(before.count(b"\n") + 1, len(grown.lines) + 1)
            steps += [Chain(key, grown.lines[:count], grown.events[:count]) for count in fresh]
            last.append(grown)
        commits = [*self._commits(steps), *self._rendered(local, [one for one in last if one.key not in {step.key for step in steps}])]
        if commits:
            local = self.git.write(commits, local, f"refs/heads/{self.branch}", force=False)
        if touched is None:
            for one in last:  # a run that was killed may have left a PHR behind its record
                for path, data in self._documents(one).items():
                    self._put(path, data)
        self._index([path for one in last for path in (self.path(one.key), self._document(one), *self._more(one))])
        return local, problems

    def _rendered(self, local: str, unchanged: list[Chain]) -> list[Commit]:
        """A commit of the PHRs that are not what their records give, as after an update of this collection."""
        documents = {path: data for one in unchanged for path, data in self._documents(one).items()}
        known = self.git.blobs(f"{local}:{path}" for path in documents) if local else {}
        wrong = {path: data for path, data in documents.items() if known.get(f"{local}:{path}") != data}
        who = self.git.committer
        return [Commit("PHRs rendered again\n", who, int(time.time()), wrong)] if wrong else []

    def _commits(self, steps: list[Chain]) -> Iterable[Commit]:
        for one in steps:
            event = one.events[-1]
            yield Commit(
                message(one.key, one.events),
                (str(event["actor"].get("user")), f"{event['actor'].get('user')}@{event['actor'].get('host')}"),
                _seconds(event),
                {self.path(one.key): b"".join(one.lines), **self._documents(one)},
            )

    def _document(self, one: Chain) -> str:
        return f"{self.root}{one.key[0]}/{phr.file_name(one.events)}"

    def _documents(self, one: Chain) -> dict[str, bytes]:
        """{path: content} of what is kept beside a record."""
        return {self._document(one): phr.render(one.events).encode(), **self._more(one)}

    def _more(self, one: Chain) -> dict[str, bytes]:
        """{path: content} of a record's attachments and of the page that shows them, where it has some."""
        folder = f"{self.root}{one.key[0]}/"
        return {folder + name: data for name, data in companion.files_of(os.path.join(self.git.top, folder), one.events).items()}

    # --- bring remote and local together ---

    def integrated(self, local: str, remote: str, common: str, touched: set[Key] | None, who: dict[str, Any]) -> Integrated:
        """A commit on top of the remote's that lacks nothing of ours; the remote's own where it already holds everything.

        common: the last commit of both; touched: the only records that differ from the branch, or None when that is not known.
        """
        ahead = self.changed(common, local) if local else []
        foreign = [path for path in ahead if not self.key(path)]
        if foreign and local:
            raise StoreFailed(
                f"The branch {self.branch} has commits of other files ({', '.join(foreign[:3])}), and the remote has moved on.",
                f"Bring them to the remote first, then run again. {_GUIDE}",
            )
        ours, theirs = self.keys(ahead) | (self.keys(self.dirty()) if touched is None else touched), self.keys(self.changed(common, remote))
        blobs = self.git.blobs(f"{commit}:{self.path(key)}" for key in ours | theirs for commit in (common, local, remote) if commit)
        result = Integrated(remote, Merged(), [])
        inputs: list[Chain] = []
        for key in sorted(ours):
            before, mine, published = (blobs.get(f"{commit}:{self.path(key)}") for commit in (common, local, remote))
            try:
                found, problem = _inputs(before, mine, published, self.local(self.path(key)))
                inputs += [chain_of(key, data) for data in found if data != published]
            except (RecordDamaged, StoreFailed) as error:
                problem = str(error)
            if problem:
                result.problems.append(f"The record {'/'.join(key)}: {problem} {_GUIDE}")
                result.kept.add(key)
        if inputs:
            names = self.git.tree(remote, self.root.rstrip("/"))
            near = [one for key in sorted(theirs | ours) if (one := _readable(key, blobs.get(f"{remote}:{self.path(key)}")))]
            result.merged = merge(self._base(remote, near), _taken(self.keys(names)), near, inputs, who)
        if result.merged.steps:
            result.commit = self.git.write(self._commits(result.merged.steps), remote, _MADE, force=True)
        return result

    def _base(self, remote: str, near: list[Chain]) -> Any:
        known = {one.key: one for one in near}

        def base(key: Key) -> Chain | None:
            if key not in known:
                name = f"{remote}:{self.path(key)}"
                data = self.git.blobs([name])[name]
                if data is None:
                    return None
                known[key] = _readable(key, data) or Chain(key, [], [])
            return known[key]

        return base

    # --- let branch and work tree follow ---

    def movable(self, local: str, target: Integrated) -> None:
        """Raises StoreFailed before anything is published when a local change of another file stands in the way."""
        target.entries = self._entries(local, target.commit)
        if any(not self.key(path) for path in target.entries):
            status, _output, said = self.git.status("read-tree", "-n", "-m", "-u", *([local] if local else []), target.commit)
            if status:
                raise StoreFailed(
                    f"The remote changed a file that has local changes here: {said}.", f"Commit or stash them, then run again. {_GUIDE}"
                )

    def follow(self, local: str, target: Integrated) -> None:
        """Move work tree, index and branch to a commit that is published. May be killed anywhere and begun again."""
        ours = {path: entry for path, entry in target.entries.items() if self.key(path)}
        mine = {path: entry.split()[1] for path, entry in ours.items() if self.key(path) not in target.kept}
        contents = self.git.blobs(name for name in mine.values() if name.strip("0"))
        for path, name in mine.items():
            content = contents.get(name)
            if content is not None:
                self._put(path, content)
        for path, name in mine.items():  # under a new number its events were put above
            if not name.strip("0"):
                self._remove(path)
        self._update("-z", "--index-info", data=b"".join(os.fsencode(f"{entry}\t{path}") + b"\0" for path, entry in ours.items()))
        if len(ours) < len(target.entries):
            self.git.run("read-tree", "-m", "-u", *([local] if local else []), target.commit)
        self.git.move(self.branch, target.commit, local, "follow the remote")

    def _entries(self, old: str, new: str) -> dict[str, str]:
        """{path: "MODE ID"} of what another commit holds differently; "0 000..." for what it does not hold."""
        if not old:
            rows = self.git.lines("ls-tree", "-r", "-z", "--full-tree", new)
            return {row.split("\t", 1)[1]: row.split("\t", 1)[0].replace(" blob ", " ").replace(" commit ", " ") for row in rows}
        parts = self.git.lines("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", old, new)
        return {path: f"{head.split(' ')[1].lstrip('0') or '0'} {head.split(' ')[3]}" for head, path in zip(parts[::2], parts[1::2])}

    def _put(self, path: str, content: bytes) -> None:
        full = os.path.join(self.git.top, path)
        try:
            os.makedirs(os.path.dirname(full), mode=0o775, exist_ok=True)
            with files.folder(os.path.dirname(full)) as directory:
                try:
                    found = files.content(directory, full)
                except FileNotFoundError:
                    found = b""
                if found == content:
                    return
                whole = found[: found.rfind(b"\n") + 1]
                if whole and path.endswith(".jsonl") and content.startswith(whole) and content != whole:
                    files.extend(directory, full, content[len(whole) :])
                else:
                    files.place(directory, full, content, _TEMPORARY)
        except OSError as error:
            raise StoreFailed(f"{full} could not be written: {error.strerror}.", files.fix(error)) from error

    def _remove(self, path: str) -> None:
        full = os.path.join(self.git.top, path)
        try:
            with files.folder(os.path.dirname(full)) as directory:
                files.discard(directory, os.path.basename(full))
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreFailed(f"{full} could not be removed: {error.strerror}.", files.fix(error)) from error

    def _index(self, paths: list[str]) -> None:
        """Set the entries of our files to what is in the work tree, so that the owner's next commit does not undo ours."""
        there = [path for path in paths if os.path.isfile(os.path.join(self.git.top, path))]
        self._update("--add", "-z", "--stdin", data=b"".join(os.fsencode(path) + b"\0" for path in there))

    def _update(self, *arguments: str, data: bytes) -> None:
        for attempt in range(20):
            status, _output, said = self.git.status("update-index", *arguments, data=data)
            if status == 0:
                return
            if "index.lock" not in said:
                break
            time.sleep(0.05 * (attempt + 1))  # the owner's own git command
        raise StoreFailed(
            f"The index of {self.git.top} could not be updated: {said}.", "If no other git runs there, remove its index.lock."
        )


def message(key: Key, events: list[Event]) -> str:
    """``0007 approved: TITLE`` and trailers."""
    proposal = events[0]["payload"]
    title = " ".join("".join(letter if letter.isprintable() else " " for letter in str(proposal["title"])).split())[:100]
    trailers = [f"Record: {'/'.join(key)}", f"State: {state(events)}", f"Digest: {proposal.get('digest') or 'none'}"]
    return f"{key[1]} {events[-1]['kind']}: {title}\n\n" + "\n".join(trailers) + "\n"


def _inputs(before: bytes | None, mine: bytes | None, published: bytes | None, found: bytes | None) -> tuple[list[bytes], str]:
    """(versions of a local record whose events have to be published, what is wrong with it).

    before: at the last common commit; mine: committed here; published: at the remote; found: in the work tree.
    """
    committed = [mine] if mine is not None else []
    if mine is not None and not mine.startswith(before or b""):
        return [], "its published events were rewritten in a local commit."
    if found is None or found == mine:
        return committed, ""
    if found.startswith(mine or b""):
        return [found], ""
    if published is not None and published.startswith(found):
        return committed, ""  # a run was killed while the work tree followed the remote
    return committed, "its file was rewritten here; it stays as it is and is not published."


def _taken(keys: Iterable[Key]) -> dict[str, set[str]]:
    taken: dict[str, set[str]] = {}
    for feature, identifier in keys:
        taken.setdefault(feature, set()).add(identifier)
    return taken


def _readable(key: Key, data: bytes | None) -> Chain | None:
    try:
        return chain_of(key, data) if data is not None else None
    except RecordDamaged:
        return None


def _seconds(event: Event) -> int:
    try:
        return int(clock.parse(str(event["time"])).timestamp())
    except (ValueError, OverflowError):
        return int(time.time())
