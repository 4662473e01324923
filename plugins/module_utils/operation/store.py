# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The directory store: one append-only JSON Lines file per operation, ``NNNN.jsonl``, beside its rendered PHR.

Ids are claimed by creating the file exclusively with its first event inside; appends are locked, flushed and fsynced before
the effect they announce; documents are written beside and renamed. A line without its newline is an append that was cut off
by a crash: its effect never began, so it is left out on reading and removed by the next append.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused, NotFound, RecordDamaged, StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation import phr, record as chain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event

_RECORD_FILE = re.compile(r"^([0-9]{4,})\.jsonl\Z")
_NUMBER = re.compile(r"^[0-9]{1,9}\Z")
_FEATURE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")


@dataclass
class Record:
    """One operation as it stands on disk. ``events`` is a verified chain."""

    identifier: str
    path: str
    events: list[Event] = field(default_factory=list)

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
    """The records of one feature. Errors: BadInput (names), NotFound, RecordDamaged, StoreFailed (disk, permissions)."""

    def __init__(self, records_dir: str, feature: str) -> None:
        if not _FEATURE.match(feature):
            raise BadInput(
                f"feature is {feature!r}.", "Use letters, digits, dots, dashes and underscores; it names a directory below records_dir."
            )
        self.feature = feature
        self.path = os.path.join(os.path.abspath(os.path.expanduser(records_dir)), feature)

    def identifiers(self) -> list[str]:
        """Ids in their order; empty where the directory does not exist yet."""
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreFailed(
                f"records_dir {self.path} cannot be read: {error.strerror}.", "Give a directory that you may read with records_dir."
            ) from error
        return sorted((match.group(1) for match in map(_RECORD_FILE.match, names) if match), key=int)

    def file(self, identifier: str) -> str:
        return os.path.join(self.path, f"{identifier}.jsonl")

    def load(self, identifier: Any) -> Record:
        """A record whose chain verifies. ``identifier`` may be typed without leading zeros."""
        identifier = self._normal(identifier)
        path = self.file(identifier)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            known = self.identifiers()
            raise NotFound(
                f"There is no record {identifier} in {self.path}.",
                f"Known: {', '.join(known[-5:]) or 'none'}. Check the options record, records_dir and feature.",
            ) from None
        except OSError as error:
            raise StoreFailed(f"Record {path} cannot be read: {error.strerror}.") from error
        events = _parse(data, identifier)
        chain.verify(events, identifier)
        if events[0]["payload"].get("id") != identifier or events[0]["payload"].get("feature") != self.feature:
            raise RecordDamaged(
                f"Record {path} says it is {events[0]['payload'].get('feature')}/{events[0]['payload'].get('id')}: it was copied from"
                " elsewhere."
            )
        return Record(identifier, path, events)

    @contextmanager
    def claimed(self, identifier: Any) -> Iterator[Record]:
        """A record that no other run carries out meanwhile. The claim ends with the process that holds it, however that ends.

        Raises GateRefused when another run holds it.
        """
        path = self.load(identifier).path
        try:
            file = open(path, "r+b")
        except OSError as error:
            raise StoreFailed(f"Record {path} cannot be written: {error.strerror}.") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise GateRefused(
                    f"Record {self._normal(identifier)} is being carried out by another run right now.",
                    "Wait until it has ended; the playbook aiops.k8s.records shows how far it is.",
                ) from None
            yield self.load(identifier)

    def create(self, payload: dict[str, Any]) -> Record:
        """Claim the next id and write the first event, ``proposed``. The payload gets id, feature and the previous record's head."""
        with self._locked():
            known = self.identifiers()
            number = int(known[-1]) + 1 if known else 1
            previous = {"id": known[-1], "head": _head(self.file(known[-1]))} if known else None
            while True:
                identifier = f"{number:04d}"
                body = {**payload, "feature": self.feature, "id": identifier, "previous_record": previous}
                first = _as_read(chain.event([], "proposed", body, chain.actor()))
                if self._claim(self.file(identifier), _line(first)):
                    record = Record(identifier, self.file(identifier), [first])
                    self.publish(record)
                    return record
                number += 1

    def append(self, record: Record, kind: str, payload: dict[str, Any], moment: str | None = None) -> Event:
        """Write the next event and have it on disk before returning. The file decides: it is read again under the lock."""
        with self._locked():
            current = self.load(record.identifier)
            if [one["hash"] for one in current.events] != [one["hash"] for one in record.events]:
                record.events = current.events  # somebody else went on; the state machine judges below
            new = _as_read(chain.event(current.events, kind, payload, chain.actor(), moment))
            try:
                with open(record.path, "r+b") as file:
                    file.seek(_complete_length(record.path))
                    file.truncate()
                    file.write(_line(new))
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise StoreFailed(
                    f"The event {kind} could not be written to {record.path}: {error.strerror}. What it would have allowed was not done."
                ) from error
            record.events = [*current.events, new]
            self.publish(record)
        return new

    def document(self, record: Record) -> str:
        """The path of a record's PHR."""
        return os.path.join(self.path, phr.file_name(record.events))

    def publish(self, record: Record) -> str:
        """Render the PHR beside the record, whole or not at all. Returns its path."""
        path = self.document(record)
        _write_whole(path, phr.render(record.events).encode())
        return path

    def _claim(self, path: str, data: bytes) -> bool:
        temporary = f"{path}.{os.getpid()}.new"
        _write_whole(temporary, data)
        try:
            os.link(temporary, path)  # exclusive like O_EXCL, and the file is never seen empty
        except FileExistsError:
            return False
        except OSError as error:
            raise StoreFailed(f"The record {path} could not be created: {error.strerror}. Nothing was proposed.") from error
        finally:
            os.unlink(temporary)
        _sync_directory(self.path)
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            os.makedirs(self.path, exist_ok=True)
            lock = open(os.path.join(self.path, ".lock"), "a", encoding="ascii")
        except OSError as error:
            raise StoreFailed(
                f"records_dir {self.path} cannot be written: {error.strerror}.",
                "Give a directory that you may write with -e records_dir=DIR; without a record nothing is proposed or changed.",
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _normal(self, identifier: Any) -> str:
        text = str(identifier).strip()
        if not _NUMBER.match(text):
            raise BadInput(f"record is {text!r}.", "Give the number of a record, such as 0007; the playbook aiops.k8s.records lists them.")
        return f"{int(text):04d}"


def _parse(data: bytes, identifier: str) -> list[Event]:
    events: list[Event] = []
    for position, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            one = json.loads(line)
        except ValueError:
            one = None
        if not isinstance(one, dict):
            raise RecordDamaged(
                f"Record {identifier} is damaged at line {position}: it is not a JSON object.", "Restore the file from a backup."
            )
        events.append(one)
    return events


def _line(one: Event) -> bytes:
    return json.dumps(one, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _as_read(one: Event) -> Event:
    """The event as it will be read: a PHR rendered now and one rendered from the file must not differ in the order of keys."""
    return json.loads(_line(one))  # type: ignore[no-any-return]


def _head(path: str) -> str:
    try:
        with open(path, "rb") as file:
            *_before, last, _torn = file.read().split(b"\n")  # what follows the last newline is an append that was cut off
        return str(json.loads(last)["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unreadable"  # the damage is the other record's and compliance reports it there


def _complete_length(path: str) -> int:
    with open(path, "rb") as file:
        return file.read().rfind(b"\n") + 1


def _write_whole(path: str, data: bytes) -> None:
    temporary = f"{path}.{os.getpid()}.part"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise StoreFailed(
            f"{path} could not be written: {error.strerror}.", "Free the disk or give another directory with records_dir."
        ) from error
    _sync_directory(os.path.dirname(path))


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
