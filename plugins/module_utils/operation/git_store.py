# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The git store: a directory of records in a clone, where every event is one commit that is pushed. For many writers.

An event is first in the file (fsync), then in a commit, then at the remote. Each of these steps is found again and finished by the next run,
so a run may be killed anywhere. Where somebody else pushed first, the events are put behind theirs (chain_merge.py) as new commits on top of the
remote's; only when these are pushed do the local branch and the work tree follow. So at every moment each event is in the work
tree or at the remote, and bringing it in again adds nothing.

The work tree is the truth about local events. A local file that does not continue what is committed is a rewritten record: it is neither
committed nor overwritten, and named in ``warnings``. The index and the files of others are left alone: only entries of records and
PHRs are set, and other files follow the branch by git's own two-way merge, which keeps staged and local changes or refuses.
A remote that cannot be reached or refuses is a warning; what was decided then stands here and is published by the next run.
"""

from __future__ import annotations

import fcntl
import os
import random
import time
from contextlib import contextmanager
from typing import Any, Iterator, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, GateRefused, StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation import chain_files as files, record as chain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.chain_merge import Key, Merged
from ansible_collections.aiops.k8s.plugins.module_utils.operation.git_compare import compare, removals
from ansible_collections.aiops.k8s.plugins.module_utils.operation.git_run import Offline, Raced, Refused
from ansible_collections.aiops.k8s.plugins.module_utils.operation.git_tree import Settings, Tree
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

ATTEMPTS = 60
TOTAL_SECONDS = 90.0  # after which an event stays here until the next run


class Git(Directory):
    """The records of one feature in a clone. Errors as those of Directory, and BadInput for a store.yml that does not fit the clone."""

    def __init__(self, records_dir: str, feature: str, settings: Settings) -> None:
        super().__init__(records_dir, feature)
        self.tree = Tree(os.path.dirname(self.path), settings)
        self._online = bool(settings.remote)
        self._fresh = False
        self._moved: dict[Key, Key] = {}  # records of ours that got another id in this run
        self._lock: int | None = None

    def identifiers(self) -> list[str]:
        self._refresh()
        return super().identifiers()

    def load(self, identifier: Any) -> Record:
        """As that of Directory, after the remote's events were fetched once. Raises GateRefused for an id that this run had to give up."""
        self._refresh()
        new = self._moved.get((self.feature, self._normal(identifier)))
        if new:
            raise GateRefused(
                f"The record {self._normal(identifier)} that was made here while the remote was out of reach is {new[1]} now: somebody else"
                " had taken its number.",
                f"Run it again with record={new[1]}.",
            )
        record = super().load(identifier)
        record.warnings = list(self.warnings)
        return record

    @contextmanager
    def claimed(self, identifier: Any) -> Iterator[Record]:
        """As that of Directory. The claim is on a file beside git's own, since a record's file may be replaced."""
        path = os.path.join(self.tree.private, f"claim-{chain.origin(self.load(identifier).events[0])}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, files.MODE)
        try:
            self._claim(descriptor, identifier)
            if os.fstat(descriptor).st_nlink == 0:  # whoever held it has just ended and removed it
                raise GateRefused(f"Record {self._normal(identifier)} has just been carried out by another run.", "Look at it again.")
            try:
                yield self.load(identifier)
            finally:
                os.unlink(path)
        finally:
            os.close(descriptor)

    def create(self, payload: dict[str, Any], contents: Mapping[str, bytes] | None = None) -> Record:
        """As that of Directory; the id may be another one than first taken when somebody else published first."""
        with self._locked():
            self._refresh()
            record = super().create(payload, contents)
            self._follow(record, self._sync({(self.feature, record.identifier)}))
        return record

    def append(self, record: Record, kind: str, payload: dict[str, Any], moment: str | None = None) -> Event:
        """As that of Directory. Raises GateRefused, too, when somebody else's event was published first and rules this one out."""
        with self._locked():
            self._refresh()
            self._follow(record, Merged(renumbered=self._moved))
            new = super().append(record, kind, payload, moment)
            merged = self._sync({(self.feature, record.identifier)})
            self._follow(record, merged)
            kept = next((one for one in reversed(record.events) if chain.origin(one) == new["hash"]), None)
            if kept is None:
                reasons = [reason for key, reason in merged.conflicts if key[1] == record.identifier]
                raise GateRefused(
                    f"Record {record.identifier} did not become {kind}: {'; '.join(reasons)}.",
                    "What it would have allowed was not done; the attempt is kept as a note. Read the record again.",
                )
        return kept

    def publish(self, record: Record) -> str:
        """As that of Directory, and committed."""
        with self._locked():
            self._refresh()
            path = super().publish(record)
            self._sync({(self.feature, record.identifier)})
        return path

    def compare(self, since: str = "") -> list[dict[str, str]]:
        """[{id, problem}] of every record, against the remote; ``since``: a commit up to which the history is known to be good."""
        with self._cloned():
            self._refresh()
            return compare(self.tree, self.feature, since, self._online)

    def _follow(self, record: Record, merged: Merged) -> None:
        """Bring the caller's record up to what the file says now, under the id that it has now."""
        new = merged.renumbered.get((self.feature, record.identifier))
        if new and new != (self.feature, record.identifier):
            record.warnings.append(
                f"The record {record.identifier} is {new[1]} now: somebody else had published a record of that number first."
            )
            record.identifier, record.path = new[1], self.file(new[1])
        if merged.places:
            record.events = Directory.load(self, record.identifier).events
        record.warnings += [f"{reason}. It is kept as a note." for key, reason in merged.conflicts if key[1] == record.identifier]
        self.warnings += [one for one in record.warnings if one not in self.warnings]
        record.warnings += [one for one in self.warnings if one not in record.warnings]

    def _refresh(self) -> None:
        """Once per run: finish what an earlier run left, and take in what others published."""
        if self._fresh:
            return
        self._fresh = True
        with self._cloned():
            if self._online:
                try:
                    self.tree.fetch()
                except (Offline, Refused) as error:
                    self._offline(error)
            self._moved = self._sync(None).renumbered
        for old, new in self._moved.items():
            self._warn(f"The record {'/'.join(old)} that was made here is {new[1]} now: somebody else had taken its number.")

    def _sync(self, touched: set[Key] | None) -> Merged:
        """Commit local events (of these records, or all), publish them, and take in what others published.

        Returns what had to be moved. The events are on disk: what fails from here on is a warning, and the next run finishes it.
        """
        merged, until = Merged(), time.monotonic() + TOTAL_SECONDS
        try:
            for attempt in range(ATTEMPTS):
                try:
                    return self._once(touched, merged)
                except Raced:
                    if time.monotonic() > until:
                        break
                    time.sleep(random.uniform(0, min(1.5, 0.05 * 2 ** min(attempt, 5))))
                    if self._online:
                        self.tree.fetch()
            self._warn(
                "Others write so often that an event could not be published yet; it is committed here, and the next run publishes it."
            )
            self._online = False
        except (Offline, Refused) as error:
            self._offline(error)
        except StoreFailed as error:
            self._warn(f"The events are in their files, but git did not follow: {error} The next run finishes it.")
            return merged
        try:
            return self._once(touched, merged)
        except AiopsError as error:
            self._warn(f"The events are in their files, but git did not follow: {error} The next run finishes it.")
        return merged

    def _once(self, touched: set[Key] | None, merged: Merged) -> Merged:
        """One try. Raises Raced when somebody was faster, Offline, Refused, StoreFailed."""
        tree = self.tree
        local, remote = tree.tips()
        common = tree.git.common(local, remote) if local and remote else ""
        if remote and common != remote and not tree.forced:
            found = tree.integrated(local, remote, common, touched, chain.actor())
            if found.commit == remote or self._online:
                tree.movable(local, found)
                if found.commit != remote:
                    tree.push(found.commit)
                tree.follow(local, found)
                self.warnings += [one for one in found.problems if one not in self.warnings]
                return found.merged
        before = local
        local, problems = tree.committed(local, touched)
        self.warnings += [one for one in problems if one not in self.warnings]
        if self._online and local and local != remote:
            if remote and before != remote:
                self._require_appends(local, remote)
            tree.push(local)
        return merged

    def _require_appends(self, local: str, remote: str) -> None:
        """Commits that this run did not make may hold anything: none that rewrites a published record leaves this clone."""
        wrong = removals(self.tree, local, self.tree.root.rstrip("/"), remote)
        if wrong:
            path, commit = next(iter(wrong.items()))
            raise Refused(
                f"The commit {commit[:12]} took lines away from the record {path}, which is published; so {self.tree.branch} is not pushed."
            )

    def _offline(self, error: AiopsError) -> None:
        self._online = False
        self._warn(f"{error.message} What is recorded now is committed here only; the next run that reaches the remote publishes it.")

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    @contextmanager
    def _exclusive(self) -> Iterator[int]:
        with self._cloned(), self._writable() as directory:
            yield directory

    @contextmanager
    def _cloned(self) -> Iterator[None]:
        """The clone, for this process alone; linked work trees of one clone share the lock."""
        if self._lock is not None:
            yield
            return
        path = os.path.join(self.tree.private, "lock")
        try:
            self._lock = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, files.MODE)
        except OSError as error:
            raise StoreFailed(f"The lock {path} cannot be used: {error.strerror}.", "Use a clone that you may write.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(self._lock)
            self._lock = None
