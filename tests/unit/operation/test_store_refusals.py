# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A store that cannot be read or written refuses by name, and leaves nothing half-done. Real permissions, no mocks."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import RecordDamaged, StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation import listing, phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.unit.operation import samples

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write anywhere: do without that for a while."""
    root = os.geteuid() == 0
    samples.payload(samples.plan())  # imports what it needs while it may read Python's own files
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that others may enter, which pytest's own are not."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_a_directory_that_may_not_be_written(directory: Path) -> None:
    directory.chmod(0o555)
    with unprivileged(), pytest.raises(StoreFailed) as caught:
        samples.proposed(Directory(str(directory / "records"), "f"))
    assert (
        str(caught.value)
        == f"records_dir {directory}/records/f cannot be written: Permission denied. "
        "Give a directory that you may write with -e records_dir=DIR; without a record nothing is proposed or changed."
    )
    assert list(directory.iterdir()) == []


def test_a_file_in_the_way(directory: Path) -> None:
    (directory / "records").write_text("x", encoding="utf-8")
    store = Directory(str(directory / "records"), "f")
    with pytest.raises(StoreFailed, match="cannot be written: Not a directory"):
        samples.proposed(store)
    with pytest.raises(StoreFailed, match="cannot be read: Not a directory"):
        store.identifiers()


def test_no_directory_yet_means_no_records(directory: Path) -> None:
    store = Directory(str(directory / "a" / "b"), "f")
    assert store.identifiers() == [] and listing.read(store) == {"records": []}
    assert not (directory / "a").exists()
    samples.proposed(store)
    assert (directory / "a" / "b" / "f" / "0001.jsonl").is_file()


def test_a_read_only_record_stays_as_it_is(directory: Path) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    content = Path(record.path).read_bytes()
    Path(record.path).chmod(0o444)
    Path(store.path).chmod(0o1777)
    with unprivileged(), pytest.raises(StoreFailed, match=r"approved could not be written to .*0001\.jsonl: Permission denied\. What it would"):
        store.append(record, "approved", samples.PAYLOADS["approved"])
    assert Path(record.path).read_bytes() == content
    assert record.state == "proposed", "the caller does not take it for approved"


def test_a_directory_that_became_read_only(directory: Path) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    Path(store.path).chmod(0o555)
    with unprivileged(), pytest.raises(StoreFailed, match="could not be written: Permission denied. Nothing was proposed. Give a directory"):
        samples.proposed(store)
    assert sorted(path.suffix for path in Path(store.path).iterdir() if path.name != ".lock") == [".jsonl", ".md"]
    Path(store.path).chmod(0o755)


def test_a_record_that_may_not_be_read(directory: Path) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    Path(record.path).chmod(0o000)
    Path(store.path).chmod(0o1777)
    with unprivileged():
        with pytest.raises(StoreFailed, match=r"Record .*0001\.jsonl cannot be read: Permission denied"):
            store.load("1")
        assert samples.proposed(store).proposal["previous_record"] == {"id": "0001", "head": "unreadable"}


def test_a_document_that_cannot_be_written_is_a_warning_since_the_event_stands(directory: Path) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    assert record.warnings == []
    document = Path(store.document(record))
    document.unlink()
    document.mkdir()
    store.append(record, "approved", samples.PAYLOADS["approved"])
    assert record.state == store.load("1").state == "approved"
    (warning,) = record.warnings
    assert warning.startswith(f"The event is recorded, but the PHR {document} could not be written: Is a directory")
    with pytest.raises(StoreFailed, match="could not be written: Is a directory"):
        store.publish(record)
    document.rmdir()
    store.append(record, "refused", samples.PAYLOADS["refused"])
    assert record.warnings == [] and document.read_text(encoding="utf-8") == phr.render(record.events)
    assert names(store) == [".lock", document.name, "0001.jsonl"]


# --- files that somebody put in the place of ours --------------------------------------------------------------------------


def names(store: Directory) -> list[str]:
    return sorted(os.listdir(store.path))


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def walled(path: Path) -> None:
    path.unlink()
    path.mkdir()


def opened(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o002)


FILES: list[tuple[str, Callable[[Path], None], str]] = [
    ("a symbolic link", linked, r"0001\.jsonl is a symbolic link\. Replace it by the file itself"),
    ("a pipe", piped, r"0001\.jsonl is not a regular file\. Remove it and restore"),
    ("a directory", walled, r"0001\.jsonl is not a regular file\. Remove it and restore"),
    ("writable for all", opened, r"Anybody may write the file .*0001\.jsonl.* chmod o-w .*0001\.jsonl"),
]


@pytest.mark.parametrize("what, spoil, says", FILES, ids=[row[0] for row in FILES])
def test_a_record_that_is_not_a_file_of_ours(directory: Path, what: str, spoil: Callable[[Path], None], says: str) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    spoil(Path(record.path))
    before = os.lstat(record.path)
    for attempt in (lambda: store.load("1"), lambda: store.append(record, "approved", samples.PAYLOADS["approved"])):
        with pytest.raises(RecordDamaged, match=says):
            attempt()
    with pytest.raises(RecordDamaged, match=says), store.claimed("1"):
        pass
    assert [(one["state"], one["title"][:20]) for one in listing.read(store)["records"]][0][0] == "damaged"
    assert samples.proposed(store).proposal["previous_record"] == {"id": "0001", "head": "unreadable"}
    assert os.lstat(record.path).st_mode == before.st_mode


def test_a_folder_that_is_a_link_or_open_to_all(directory: Path) -> None:
    store = Directory(str(directory), "f")
    samples.proposed(store)
    Path(store.path).chmod(0o777)
    for attempt in (store.identifiers, lambda: store.load("1"), lambda: samples.proposed(store)):
        with pytest.raises(StoreFailed, match=r"Anybody may write in the directory .*/f.* chmod o-w .*/f"):
            attempt()
    Path(store.path).chmod(0o1777)
    assert samples.proposed(store).identifier == "0002"
    Path(store.path).chmod(0o755)
    (directory / "g").symlink_to("f")
    link = Directory(str(directory), "g")
    for attempt in (link.identifiers, lambda: link.load("1"), lambda: samples.proposed(link)):
        with pytest.raises(StoreFailed, match=r"The directory .*/g is a symbolic link\. Give the directory"):
            attempt()


@pytest.mark.parametrize("target", ["", "exists"], ids=["dangling", "of a file"])
def test_a_lock_that_is_a_link(directory: Path, target: str) -> None:
    store = Directory(str(directory), "f")
    samples.proposed(store)
    lock, victim = Path(store.path, ".lock"), directory / "victim"
    if target:
        victim.write_text("keep", encoding="utf-8")
    lock.unlink()
    lock.symlink_to(victim)
    with pytest.raises(StoreFailed, match=r"The lock cannot be used: .*\.lock is a symbolic link\. Remove it: rm .*\.lock"):
        samples.proposed(store)
    assert victim.exists() == bool(target)


@pytest.mark.parametrize("name", [".record.new", ".document.part", "PHR"])
def test_nothing_is_written_through_a_link(directory: Path, name: str) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    victim = directory / "victim"
    victim.write_text("keep", encoding="utf-8")
    trap = Path(store.document(record) if name == "PHR" else os.path.join(store.path, name))
    trap.unlink(missing_ok=True)
    trap.symlink_to(victim)
    store.append(record, "approved", samples.PAYLOADS["approved"])
    second = samples.proposed(store)
    assert victim.read_text(encoding="utf-8") == "keep" and second.identifier == "0002"
    assert not [one for one in Path(store.path).iterdir() if one.is_symlink()]


def test_what_killed_processes_left_is_harmless_and_goes(directory: Path) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    left = [".record.new", ".document.part", "0001.jsonl.4711.new", "0001-oomkilled.misc.prompt.md.4711.part", "0001.jsonl.4711.new.4711.part"]
    for name in left:
        Path(store.path, name).write_text('{"half', encoding="utf-8")
    Path(store.path, "notes.part").write_text("mine", encoding="utf-8")
    assert store.identifiers() == ["0001"] and store.load("1") == record
    assert samples.proposed(store).identifier == "0002"
    assert [name for name in names(store) if name in left] == [] and "notes.part" in names(store)


def test_rights_of_new_files(directory: Path) -> None:
    before = os.umask(0)
    try:
        store = Directory(str(directory), "f")
        record = samples.proposed(store)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in (record.path, store.document(record))] == [0o664, 0o664]
    assert stat.S_IMODE(os.stat(store.path).st_mode) == 0o775


# --- disks that are full ---------------------------------------------------------------------------------------------------


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes: a write that reaches it is cut off half way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [1, 100, 400])
def test_an_append_that_is_cut_off_leaves_the_record_as_it_was(directory: Path, room: int) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    before = Path(record.path).read_bytes()
    with at_most(len(before) + room), pytest.raises(
        StoreFailed, match=r"approved could not be written to .*File too large.*not done\. Raise the limit"
    ):
        store.append(record, "approved", {**samples.PAYLOADS["approved"], "reason": "x" * 2000})
    assert Path(record.path).read_bytes() == before and record.state == "proposed"
    assert store.append(record, "approved", samples.PAYLOADS["approved"])["seq"] == 2


def test_a_new_record_that_does_not_fit(directory: Path) -> None:
    store = Directory(str(directory), "f")
    samples.proposed(store)
    before = names(store)
    with at_most(100), pytest.raises(StoreFailed, match=r"0002\.jsonl could not be written: File too large\. Nothing was proposed\."):
        samples.proposed(store)
    assert names(store) == before


def test_an_event_that_fits_beside_a_document_that_does_not(directory: Path) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    reason = "*" * 6000  # escaped in the PHR, which is therefore longer than the record
    with at_most(os.path.getsize(record.path) + len(reason) + 700):
        store.append(record, "rejected", {**samples.PAYLOADS["rejected"], "reason": reason})
    assert store.load("1").state == record.state == "rejected"
    assert "could not be written: File too large. Raise the limit" in record.warnings[0]
    assert not [name for name in names(store) if name.endswith((".part", ".new"))]
