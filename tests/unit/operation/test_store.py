# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The directory store: ids, appends, torn lines, documents that follow their record, and files from elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused, NotFound, RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.unit.operation import samples


def test_the_first_record(store: Directory) -> None:
    assert store.identifiers() == []
    record = samples.proposed(store)
    assert (record.identifier, record.state, record.digest) == ("0001", "proposed", digest(record.plan))
    assert record.proposal["previous_record"] is None and record.proposal["feature"] == "004"
    assert record.plan == samples.payload(samples.plan())["plan"]
    assert store.load("0001") == record
    assert sorted(os.listdir(store.path)) == [".lock", "0001-oomkilled-in-deployment-web-in-namespace-shop.misc.prompt.md", "0001.jsonl"]


def test_each_record_names_the_head_of_the_one_before(store: Directory) -> None:
    first = samples.proposed(store)
    store.append(first, "rejected", samples.PAYLOADS["rejected"])
    second, third = samples.proposed(store), samples.proposed(store)
    assert [one.identifier for one in (first, second, third)] == ["0001", "0002", "0003"] == store.identifiers()
    assert second.proposal["previous_record"] == {"id": "0001", "head": first.events[-1]["hash"]}
    assert third.proposal["previous_record"] == {"id": "0002", "head": second.events[-1]["hash"]}


def test_ids_go_on_after_a_gap_and_beyond_four_digits(store: Directory) -> None:
    samples.proposed(store)
    shutil.copy(store.file("0001"), store.file("9999"))
    assert samples.proposed(store).identifier == "10000"
    assert samples.proposed(store).identifier == "10001"
    assert store.identifiers() == ["0001", "9999", "10000", "10001"]


def test_a_payload_cannot_name_its_own_place(store: Directory) -> None:
    record = store.create({**samples.payload(samples.plan()), "id": "0042", "feature": "other", "previous_record": {"id": "x", "head": "y"}})
    assert (record.proposal["id"], record.proposal["feature"], record.proposal["previous_record"]) == ("0001", "004", None)
    assert store.load("1").identifier == "0001"


def test_other_files_are_no_records(store: Directory) -> None:
    samples.proposed(store)
    for name in ("notes.jsonl", "007.jsonl", "0007.jsonl.bak", "0008.json", "x0009.jsonl", "0010.jsonl\n"):
        Path(store.path, name).write_text("{}\n", encoding="utf-8")
    assert store.identifiers() == ["0001"]


@pytest.mark.parametrize("typed", ["1", "0001", " 1 ", 1, "00000001"])
def test_forms_of_an_id(store: Directory, typed: Any) -> None:
    samples.proposed(store)
    assert store.load(typed).identifier == "0001"


@pytest.mark.parametrize("typed", ["x", "", "1x", "-1", "1.0", "../0001", "0001.jsonl", "²", "١", None, True, 1.0, "9" * 5000])
def test_what_is_not_an_id(store: Directory, typed: Any) -> None:
    samples.proposed(store)
    with pytest.raises(BadInput, match=r"record is .*\. Give the number of a record, such as 0007"):
        store.load(typed)


def test_an_unknown_id_names_the_known_ones(store: Directory) -> None:
    with pytest.raises(NotFound, match=r"There is no record 0007 .*Known: none\."):
        store.load("7")
    for _event in range(6):
        samples.proposed(store)
    with pytest.raises(NotFound, match=r"Known: 0002, 0003, 0004, 0005, 0006\. Check the options record, records_dir and feature\."):
        store.load("7")


@pytest.mark.parametrize("feature", ["a/b", "", ".", "..", ".hidden", "a b", "-x", "a\n", "../x", "ünder"])
def test_a_feature_is_one_plain_directory_name(tmp_path: Path, feature: str) -> None:
    with pytest.raises(BadInput, match="feature is .*it names a directory below records_dir"):
        Directory(str(tmp_path), feature)


@pytest.mark.parametrize("feature", ["004-phase-iv-aiops", "a", "A.b_c-1"])
def test_good_features(tmp_path: Path, feature: str) -> None:
    assert Directory(str(tmp_path), feature).path == str(tmp_path / feature)


def test_appends_are_seen_by_everyone(store: Directory) -> None:
    mine = samples.proposed(store)
    theirs = store.load("1")
    store.append(theirs, "refused", {"reason": "moved"})
    event = store.append(mine, "approved", samples.PAYLOADS["approved"], "2026-11-21T12:30:00.000Z")
    assert event["seq"] == 3 and event["time"] == "2026-11-21T12:30:00.000Z" and event["previous"] == theirs.events[-1]["hash"]
    assert [one["kind"] for one in mine.events] == ["proposed", "refused", "approved"] == [one["kind"] for one in store.load("1").events]


def test_a_stale_copy_cannot_decide_again(store: Directory) -> None:
    mine, theirs = samples.proposed(store), store.load("1")
    store.append(theirs, "rejected", samples.PAYLOADS["rejected"])
    with pytest.raises(GateRefused, match="The record is rejected; it cannot become approved"):
        store.append(mine, "approved", samples.PAYLOADS["approved"])
    assert len(store.load("1").events) == 2 and mine.state == "rejected"


def test_an_id_that_a_writer_without_the_lock_took_first_is_left_to_it(store: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    for _time in range(3):
        samples.proposed(store)
    before = Path(store.file("0002")).read_bytes()
    monkeypatch.setattr(store, "identifiers", lambda: ["0001"])  # what was listed before the others came
    assert samples.proposed(store).identifier == "0004"
    assert Path(store.file("0002")).read_bytes() == before and not list(Path(store.path).glob("*.new"))


@pytest.mark.parametrize("torn", ['{"seq": 2, "kind": "appro', "{}", "\x00\x00\x00", "é"])
def test_a_torn_last_line_is_left_out_and_then_removed(store: Directory, torn: str) -> None:
    record = samples.proposed(store)
    whole = Path(record.path).read_bytes()
    Path(record.path).write_bytes(whole + torn.encode())
    assert len(store.load("1").events) == 1
    later = samples.proposed(store)
    assert later.proposal["previous_record"]["head"] == record.events[-1]["hash"]
    store.append(record, "rejected", samples.PAYLOADS["rejected"])
    lines = Path(record.path).read_bytes().splitlines(keepends=True)
    assert lines[0] == whole and len(lines) == 2 and json.loads(lines[1])["kind"] == "rejected"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "holds no event"),
        (b"not json\n", "damaged at line 1: it is not a JSON object"),
        (b"[]\n", "damaged at line 1"),
        (b"\xff\xfe\n", "damaged at line 1"),
        (b"\n", "damaged at line 1"),
        (b"{}\n", "damaged at event 1: it lacks seq, time"),
    ],
    ids=["empty", "text", "a list", "bytes", "blank line", "empty object"],
)
def test_files_that_are_no_chains(store: Directory, content: bytes, message: str) -> None:
    record = samples.proposed(store)
    Path(record.path).write_bytes(content)
    with pytest.raises(RecordDamaged, match=message):
        store.load("1")
    with pytest.raises(RecordDamaged):
        store.append(record, "approved", samples.PAYLOADS["approved"])
    assert Path(record.path).read_bytes() == content
    assert samples.proposed(store).proposal["previous_record"] == {"id": "0001", "head": "unreadable"}


def test_a_damaged_middle_line_is_named(store: Directory) -> None:
    record = samples.reach(store, samples.proposed(store), "executed")
    lines = Path(record.path).read_bytes().splitlines(keepends=True)
    Path(record.path).write_bytes(b"".join([lines[0], lines[1][:40] + b"\n", *lines[2:]]))
    with pytest.raises(RecordDamaged, match="Record 0001 is damaged at line 2"):
        store.load("1")


@pytest.mark.parametrize("feature, identifier", [("004", "0002"), ("005", "0001")])
def test_a_copied_record_is_not_one_of_ours(store: Directory, tmp_path: Path, feature: str, identifier: str) -> None:
    record = samples.proposed(store)
    elsewhere = Directory(str(tmp_path / "records"), feature)
    os.makedirs(elsewhere.path, exist_ok=True)
    shutil.copy(record.path, elsewhere.file(identifier))
    with pytest.raises(RecordDamaged, match="says it is 004/0001: it was copied from elsewhere"):
        elsewhere.load(identifier)


@pytest.mark.parametrize("state", samples.WAYS)
def test_the_document_follows_every_append(store: Directory, state: str) -> None:
    record = samples.proposed(store)
    document = Path(store.document(record))
    assert document.read_text(encoding="utf-8") == phr.render(record.events) == phr.render(store.load("1").events)
    for kind in samples.WAYS[state]:
        store.append(record, kind, {**samples.PAYLOADS[kind]})
        assert document.read_bytes() == phr.render(store.load("1").events).encode() == phr.render(record.events).encode()
    assert os.listdir(store.path).count(document.name) == 1 and len(os.listdir(store.path)) == 3


def test_unicode_survives(store: Directory) -> None:
    record = store.create(samples.payload(samples.plan(), title="Ошибка 🦊 \u2028 <b>"))
    assert store.load("1").proposal["title"] == "Ошибка 🦊 \u2028 <b>"
    assert Path(record.path).read_bytes().count(b"\n") == 1


def test_home_and_relative_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Directory("~/records", "f").path == Directory("records", "f").path == str(tmp_path / "records" / "f")
