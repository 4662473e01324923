# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A store that cannot be read or written refuses by name, and leaves nothing half-done. Real permissions, no mocks."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation import listing
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.unit.operation import samples

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write anywhere: do without that for a while."""
    root = os.geteuid() == 0
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
    Path(store.path).chmod(0o777)
    Path(store.path, ".lock").chmod(0o666)
    with unprivileged(), pytest.raises(StoreFailed, match=r"approved could not be written to .*0001\.jsonl: Permission denied\. What it would"):
        store.append(record, "approved", samples.PAYLOADS["approved"])
    assert Path(record.path).read_bytes() == content
    assert record.state == "proposed", "the caller does not take it for approved"


def test_a_directory_that_became_read_only(directory: Path) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    Path(store.path).chmod(0o555)
    Path(store.path, ".lock").chmod(0o666)
    Path(record.path).chmod(0o666)
    with unprivileged(), pytest.raises(StoreFailed, match="could not be written: Permission denied. Free the disk"):
        samples.proposed(store)
    assert sorted(path.suffix for path in Path(store.path).iterdir() if path.name != ".lock") == [".jsonl", ".md"]
    Path(store.path).chmod(0o755)


def test_a_record_that_may_not_be_read(directory: Path) -> None:
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    Path(record.path).chmod(0o000)
    Path(store.path).chmod(0o777)
    Path(store.path, ".lock").chmod(0o666)
    with unprivileged():
        with pytest.raises(StoreFailed, match=r"Record .*0001\.jsonl cannot be read: Permission denied"):
            store.load("1")
        assert samples.proposed(store).proposal["previous_record"] == {"id": "0001", "head": "unreadable"}


def test_a_document_that_cannot_be_written_stops_the_effect_but_not_the_record(directory: Path) -> None:
    """The event is on disk, the caller gets an error and does nothing: resume finds the truth."""
    store = Directory(str(directory), "f")
    record = samples.proposed(store)
    Path(store.document(record)).unlink()
    os.mkdir(store.document(record))
    with pytest.raises(StoreFailed, match=r"prompt\.md could not be written"):
        store.append(record, "approved", samples.PAYLOADS["approved"])
    assert store.load("1").state == "approved"
    assert not [path for path in Path(store.path).iterdir() if path.name.endswith(".part")]
