# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The directory store: one append-only JSON Lines file per operation, ``NNNN.jsonl``, beside its rendered PHR.

Ids are claimed by creating the file exclusively with its first event inside; appends are locked, flushed and fsynced before
the effect they announce. A line without its newline is an append that was cut off by a crash: its effect never began, so it is left out
on reading and removed by the next append. An append that fails (full disk) leaves the record as before and raises StoreFailed.

The PHR is rendered before the event is written, and put in its place after it. From the moment the event is on disk it stands: a
PHR that cannot be written then is no error but a sentence in ``Record.warnings``, and the next event of the record, or
``record_info`` with ``render``, writes it. How files are opened, and which are refused, is in chain_files.py.

A record may have attachments (attachments.py), files that are written before its first event, which holds their digests. Then there is
a page beside the PHR that shows them (companion.py).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import (
    BadInput,
    GateRefused,
    MissingLibrary,
    NotFound,
    RecordDamaged,
    StoreFailed,
)
from ansible_collections.aiops.k8s.plugins.module_utils.operation import chain_files as files, phr, record as chain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event
from ansible_collections.aiops.k8s.plugins.module_utils.reporting import attachments, companion

_RECORD_FILE = re.compile(r"^([0-9]{4,})\.jsonl\Z")
_LEFTOVER = re.compile(r"^[0-9]{4,}[-.].*\.[0-9]+\.(new|part)\Z")  # of killed processes of the first version
_NUMBER = re.compile(r"^[0-9]{1,9}\Z")
_FEATURE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_NEW, _PART, _LOCK = ".record.new", ".document.part", ".lock"
_FOREIGN = "Give a directory that you may write with -e records_dir=DIR; without a record nothing is proposed or changed."


@dataclass
class Record:
    """One operation as it stands on disk. ``events`` is a verified chain; ``warnings`` are sentences for the user about the last write."""

    identifier: str
    path: str
    events: list[Event] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list, compare=False)

    @property
    def state(self) -> str:
        return chain.state(self.events)

    @property
    def proposal(self) -> dict[str, Any]:
        return self.events[0]["payload"]  # type: ignore[no-any-return]

    @property
    def plan(self) -> dict[str, Any] | None:
        return self.proposal.get("plan")

    @property
    def digest(self) -> str:
        return self.proposal.get("digest") or ""


class Directory:
    """The records of one feature. Errors: BadInput (names), NotFound, RecordDamaged, StoreFailed (disk, permissions).

    ``warnings``: sentences for the user about what was read and written.
    """

    def __init__(self, records_dir: str, feature: str) -> None:
        if not _FEATURE.match(feature):
            raise BadInput(
                f"feature is {feature!r}.", "Use letters, digits, dots, dashes and underscores; it names a directory below records_dir."
            )
        self.feature = feature
        self.path = os.path.join(os.path.abspath(os.path.expanduser(records_dir)), feature)
        self.warnings: list[str] = []
        self._held: int | None = None  # the folder's descriptor while this object holds the lock

    def identifiers(self) -> list[str]:
        """Ids in their order; empty where the directory does not exist yet."""
        return self._identifiers(self._names())

    def file(self, identifier: str) -> str:
        return os.path.join(self.path, f"{identifier}.jsonl")

    def load(self, identifier: Any) -> Record:
        """A record whose chain verifies. ``identifier`` may be typed without leading zeros."""
        identifier = self._normal(identifier)
        path = self.file(identifier)
        try:
            with files.folder(self.path) as directory:
                data = files.content(directory, path)
        except FileNotFoundError:
            known = self.identifiers()
            raise NotFound(
                f"There is no record {identifier} in {self.path}.",
                f"Known: {', '.join(known[-5:]) or 'none'}. Check the options record, records_dir and feature.",
            ) from None
        except OSError as error:
            raise StoreFailed(f"Record {path} cannot be read: {error.strerror}.", "Give yourself the right to read it.") from error
        return Record(identifier, path, self._verified(data, identifier))

    @contextmanager
    def claimed(self, identifier: Any) -> Iterator[Record]:
        """A record that no other run carries out meanwhile. The claim ends with the process that holds it, however that ends.

        Raises GateRefused when another run holds it.
        """
        path = self.load(identifier).path
        try:
            with files.folder(self.path) as directory:
                descriptor = files.opened(directory, path, os.O_RDWR)
        except OSError as error:
            raise StoreFailed(f"Record {path} cannot be written: {error.strerror}.") from error
        with os.fdopen(descriptor, "r+b") as file:
            self._claim(file.fileno(), identifier)
            yield self.load(identifier)

    def create(self, payload: dict[str, Any], contents: Mapping[str, bytes] | None = None) -> Record:
        """Claim the next id and write the first event, ``proposed``. The payload gets id, feature and the previous record's head.

        contents: the files that the payload's ``attachments`` describe; they are on disk before the event.
        """
        with self._locked() as directory:
            names = self._names()
            known = self._identifiers(names)
            number = int(known[-1]) + 1 if known else 1
            previous = {"id": known[-1], "head": self._head(directory, known[-1])} if known else None
            while True:
                identifier = f"{number:04d}"
                body = {**payload, "feature": self.feature, "id": identifier, "previous_record": previous}
                first = _as_read(chain.event([], "proposed", body, chain.actor()))
                record = Record(identifier, self.file(identifier), [first])
                try:
                    if os.path.lexists(record.path):
                        raise FileExistsError
                    attachments.put(directory, record.events, contents or {}, _PART)
                    documents = self._documents(directory, record)
                    for name in filter(_LEFTOVER.match, names):
                        files.discard(directory, name)
                    files.claim(directory, record.path, chain.line(first), _NEW)
                except FileExistsError:
                    number += 1  # a writer without the lock took it
                    continue
                except OSError as error:
                    raise StoreFailed(
                        f"The record {record.path} could not be written: {error.strerror}. Nothing was proposed.", files.fix(error)
                    ) from error
                self._put_documents(directory, record, documents)
                return record

    def append(self, record: Record, kind: str, payload: dict[str, Any], moment: str | None = None) -> Event:
        """Write the next event and have it on disk before returning. The file decides: it is read again under the lock."""
        with self._locked() as directory:
            current = Directory.load(self, record.identifier)
            if [one["hash"] for one in current.events] != [one["hash"] for one in record.events]:
                record.events = current.events  # somebody else went on; the state machine judges below
            new = _as_read(chain.event(current.events, kind, payload, chain.actor(), moment))
            events = [*current.events, new]
            documents = self._documents(directory, Record(record.identifier, record.path, events))
            try:
                files.extend(directory, record.path, chain.line(new))
            except OSError as error:
                raise StoreFailed(
                    f"The event {kind} could not be written to {record.path}: {error.strerror}. What it would have allowed was not done.",
                    files.fix(error),
                ) from error
            record.events = events
            self._put_documents(directory, record, documents)
        return new

    def document(self, record: Record) -> str:
        """The path of a record's PHR."""
        return os.path.join(self.path, phr.file_name(record.events))

    def publish(self, record: Record) -> str:
        """Render the PHR beside the record, whole or not at all. Returns its path. Raises StoreFailed."""
        path = self.document(record)
        with self._locked() as directory:
            documents, problem = self._documents(directory, record)
            try:
                for name, data in documents.items():
                    files.place(directory, name, data, _PART)
            except OSError as error:
                raise StoreFailed(f"{path} could not be written: {error.strerror}.", files.fix(error)) from error
        self.warnings += [problem] if problem else []
        return path

    def current(self, record: Record) -> bool:
        """Whether the PHR, and the page with its plots, are on disk as the record gives them."""
        try:
            with files.folder(self.path) as directory:
                wanted, _problem = self._documents(directory, record)
                return all(files.content(directory, path) == data for path, data in wanted.items())
        except (OSError, RecordDamaged):
            return False

    def _documents(self, directory: int, record: Record) -> tuple[dict[str, bytes], str]:
        """({path: content} of the PHR, and of the page with its plots where there are some; why that page is missing, or "")."""
        text = phr.render(record.events)
        found = {self.document(record): text.encode()}
        if attachments.of(record.events):
            try:
                page = companion.render(record.events, attachments.read(directory, record.events), text)
            except MissingLibrary as error:
                return found, f"The page with the plots of record {record.identifier} is not written: {error}"
            found[os.path.join(self.path, companion.file_name(record.events))] = page.encode()
        return found, ""

    def _put_documents(self, directory: int, record: Record, documents: tuple[dict[str, bytes], str]) -> None:
        """After its event is on disk: what goes wrong now cannot undo the event, and must not look as if it did."""
        record.warnings = [documents[1]] if documents[1] else []
        for path, data in documents[0].items():
            try:
                files.place(directory, path, data, _PART)
            except OSError as error:
                record.warnings.append(
                    f"The event is recorded, but the PHR {path} could not be written: {error.strerror}. {files.fix(error)} The next event"
                    " writes it, or: ansible localhost -m aiops.k8s.record_info -a render=true"
                )
        self.warnings += record.warnings

    def _verified(self, data: bytes, identifier: str) -> list[Event]:
        events = chain.read(data, identifier)
        first = events[0]["payload"]
        if first.get("id") != identifier or first.get("feature") != self.feature:
            raise RecordDamaged(
                f"Record {self.file(identifier)} says it is {first.get('feature')}/{first.get('id')}: it was copied from elsewhere.",
                "Move it back, or remove the copy.",
            )
        return events

    def _names(self) -> list[str]:
        try:
            with files.folder(self.path) as directory:
                return os.listdir(directory)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreFailed(
                f"records_dir {self.path} cannot be read: {error.strerror}.", "Choose one that you may read: -e records_dir=DIR."
            ) from error

    def _identifiers(self, names: list[str]) -> list[str]:
        return sorted((match.group(1) for match in map(_RECORD_FILE.match, names) if match), key=int)

    def _head(self, directory: int, identifier: str) -> str:
        try:
            *_before, last, _torn = files.content(directory, self.file(identifier)).split(b"\n")  # a torn line follows the last newline
            return str(json.loads(last)["hash"])
        except (OSError, RecordDamaged, ValueError, KeyError, TypeError, RecursionError):
            return "unreadable"  # the damage is the other record's and compliance reports it there

    def _claim(self, descriptor: int, identifier: Any) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GateRefused(
                f"Record {self._normal(identifier)} is being carried out by another run right now.",
                "Wait until it has ended; the playbook aiops.k8s.records shows how far it is.",
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The folder's descriptor, under the lock; within a lock that this object holds it is the same one."""
        if self._held is not None:
            yield self._held
            return
        with self._exclusive() as self._held:
            try:
                yield self._held
            finally:
                self._held = None

    @contextmanager
    def _exclusive(self) -> Iterator[int]:
        with self._writable() as directory:
            lock_path = os.path.join(self.path, _LOCK)
            try:
                lock = files.opened(directory, lock_path, os.O_RDONLY | os.O_CREAT)
            except RecordDamaged as error:
                raise StoreFailed(f"The lock cannot be used: {error.message}", f"Remove it: rm {lock_path}") from error
            except OSError as error:
                raise StoreFailed(f"records_dir {self.path} cannot be written: {error.strerror}.", _FOREIGN) from error
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield directory
            finally:
                os.close(lock)

    @contextmanager
    def _writable(self) -> Iterator[int]:
        """The folder's descriptor; it is created where it is missing."""
        try:
            os.makedirs(self.path, mode=0o775, exist_ok=True)
        except FileExistsError as error:
            raise StoreFailed(f"records_dir {self.path} cannot be written: Not a directory.", _FOREIGN) from error
        except OSError as error:
            raise StoreFailed(f"records_dir {self.path} cannot be written: {error.strerror}.", _FOREIGN) from error
        with files.folder(self.path) as directory:
            yield directory

    def _normal(self, identifier: Any) -> str:
        text = str(identifier).strip()
        if not _NUMBER.match(text):
            raise BadInput(f"record is {text!r}.", "Give the number of a record, such as 0007; the playbook aiops.k8s.records lists them.")
        return f"{int(text):04d}"


def _as_read(one: Event) -> Event:
    """The event as it will be read: a PHR rendered now and one rendered from the file must not differ in the order of keys."""
    return json.loads(chain.line(one))  # type: ignore[no-any-return]
