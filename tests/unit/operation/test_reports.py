# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The payload of a proposal, the result document, and records as a list."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, NotFound, RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, history, listing, phr, proposal, report
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS

from tests.unit.operation import samples

RESULT = {"cluster": {"uid": "c"}, "user": "reader", "coverage": {"read": []}, "timings": {"observe": 0.123456}}


def draft(**more: Any) -> dict[str, Any]:
    keys = ("workflow", "title", "target", "findings", "evidence", "remedies", "plan", "no_plan_reason", "not_chosen")
    return {**{key: samples.payload(samples.plan())[key] for key in keys}, **more}


def test_a_payload_has_everything_that_the_approver_is_shown() -> None:
    made = proposal.payload(draft(), RESULT, [{"engine": "kubectl-ai"}], "ansible-playbook x", {"context": "prod"}, DEFAULTS)
    assert made["digest"] == digest(made["plan"]) and made["plan"] == {**samples.plan(), "shown": proposal.shown(made)}
    assert set(made) == set(samples.payload(None)) and made["options"] == {"context": "prod"}
    assert made["timings"] == {"observe": 0.123} and made["observed_as"] == "reader" and made["opinions"] == [{"engine": "kubectl-ai"}]


def test_advice_has_no_digest() -> None:
    made = proposal.payload(draft(plan=None, no_plan_reason="why not"), RESULT, [], "x", {}, DEFAULTS)
    assert (made["plan"], made["digest"], made["no_plan_reason"]) == (None, "", "why not")


def test_a_malformed_plan_is_not_proposed() -> None:
    with pytest.raises(BadInput, match="The plan lacks"):
        proposal.payload(draft(plan={"schema": "x"}), RESULT, [], "x", {}, DEFAULTS)


def test_secrets_do_not_reach_the_record() -> None:
    finding = samples.finding(root_cause="its log says: password=hunter2", title="token=abc")
    made = proposal.payload(draft(findings=[finding], plan=None, no_plan_reason="secret=x1"), RESULT, [], "ansible-playbook x -e api_key=k1", {}, DEFAULTS)
    assert not [word for word in ("hunter2", "abc", "x1", "k1") if word in json.dumps(made)]


def test_the_result_of_one_record(store: Directory) -> None:
    record = samples.reach(store, samples.proposed(store), "approved")
    opinion = {"engine": "kagent", "outcome": "timeout", "reason": "late", "prompt": "long"}
    document = report.result("diagnose", {**RESULT, "findings": [samples.finding()]}, [opinion], store, [record], "")
    assert document["schema_version"] == "1" and document["plan"] == record.plan and document["record"] == document["records"][0]
    assert document["started"] == record.events[0]["time"] and document["duration_seconds"] >= 0
    assert document["engines"] == [
        {
            **{"engine": "kagent", "provider": None, "model": None, "outcome": "timeout", "reason": "late", "agrees": None},
            **{"duration_seconds": None, "tokens": None, "cost": None, "extra_findings": None},
        }
    ]
    assert document["record"] == {
        "id": "0001",
        "path": store.document(record),
        "state": "approved",
        "digest": record.digest,
        "title": record.proposal["title"],
        "reason": "by ann, valid until 2026-11-21T13:00:00.000Z",
        "next": "ansible-playbook aiops.k8s.execute -e record=0001",
    }
    json.dumps(document)


def test_the_result_of_several_records_and_of_none(store: Directory) -> None:
    records = [samples.proposed(store), samples.proposed(store)]
    several = report.result("resume", {}, [], store, records, "")
    assert several["plan"] is None and several["record"] is None and [row["id"] for row in several["records"]] == ["0001", "0002"]
    assert several["cluster"] == records[0].proposal["cluster"]
    none = report.result("diagnose", {}, [], store, [], "no cluster")
    assert (none["records"], none["cluster"], none["error"], none["findings"]) == ([], {}, "no cluster", [])


REASONS = {
    "proposed": "OOMKilled in deployment/web in namespace shop",
    "rejected": "not today",
    "expired": "not decided by noon",
    "executing": "",
    "executed": "",
    "validated": "3 of 3 pods available; watched until 2026-11-21T12:15:00.000Z",
    "failed": "the new pod web-2 has restarted 2 times",
    "rolling_back": "the new pod web-2 has restarted 2 times",
    "rolled_back": "the new pod web-2 has restarted 2 times",
    "closed": "watched for 10 min",
}


@pytest.mark.parametrize("state", REASONS)
def test_the_reason_of_each_state(store: Directory, state: str) -> None:
    row = report.row(store, samples.reach(store, samples.proposed(store), state))
    assert (row["state"], row["reason"]) == (state, REASONS[state])


def test_writing_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old", encoding="utf-8")
    report.write(str(path), {"title": "Ошибка"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"title": "Ошибка"} and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name, problem", [("no/such/result.json", "No such file or directory"), ("", "[Ii]s a directory")])
def test_a_result_file_that_cannot_be_written_is_named(tmp_path: Path, name: str, problem: str) -> None:
    for check in (lambda path: output.writable("result_file", path), lambda path: report.write(path, {})):
        with pytest.raises(BadInput, match=f"result_file {tmp_path}.* cannot be written: {problem}"):
            check(str(tmp_path / name))
    assert list(tmp_path.iterdir()) == [] and list(tmp_path.parent.glob("*.part")) == []
    output.writable("result_file", str(tmp_path / "result.json"))


def test_a_list_shows_all_and_hides_none(store: Directory) -> None:
    for state in ("closed", "approved", "proposed"):
        samples.reach(store, samples.proposed(store), state)
    path = Path(store.file("0002"))
    path.write_bytes(path.read_bytes().replace(b'"ann"', b'"eve"', 1))
    rows = listing.read(store)["records"]
    assert [(row["id"], row["state"], row["unfinished"]) for row in rows] == [
        ("0001", "closed", False),
        ("0002", "damaged", False),
        ("0003", "proposed", False),
    ]
    assert "its content does not match its hash, so it was edited" in rows[1]["title"] and rows[1]["path"] == str(path)
    assert set(rows[0]) == set(rows[1])
    assert [row["id"] for row in listing.read(store, only=["0003"])["records"]] == ["0003"]


def test_one_record_comes_with_its_events(store: Directory) -> None:
    record = samples.reach(store, samples.proposed(store), "approved")
    found = listing.read(store, "1")
    assert found["events"] == record.events and [row["id"] for row in found["records"]] == ["0001"]
    with pytest.raises(NotFound):
        listing.read(store, "2")
    Path(store.file("0001")).write_text("x\n", encoding="utf-8")
    with pytest.raises(RecordDamaged):
        listing.read(store, "1")


@pytest.mark.parametrize(
    "state, unfinished",
    [
        ("proposed", False),
        ("approved", True),
        ("rejected", False),
        ("expired", False),
        ("executing", True),
        ("executed", True),
        ("validated", True),
        ("failed", True),
        ("rolling_back", True),
        ("rolled_back", False),
        ("closed", False),
    ],
)
def test_what_is_unfinished(store: Directory, state: str, unfinished: bool) -> None:
    assert listing.entry(store, samples.reach(store, samples.proposed(store), state))["unfinished"] is unfinished


@pytest.mark.parametrize("age_minutes, late, remark", [(1, False, ""), (59, False, ""), (75, True, "decision due 15 min ago"), (481, True, "expired")])
def test_lateness(store: Directory, monkeypatch: pytest.MonkeyPatch, age_minutes: float, late: bool, remark: str) -> None:
    now = clock.now()
    plan = samples.plan(created=now - timedelta(minutes=age_minutes))
    monkeypatch.setattr(clock, "now", lambda: now - timedelta(minutes=age_minutes))
    record = samples.proposed(store, plan)
    monkeypatch.setattr(clock, "now", lambda: now)
    row = listing.entry(store, record)
    assert (row["overdue"], row["remark"]) == (late, remark) and row["age_seconds"] == pytest.approx(age_minutes * 60, abs=0.01)


@pytest.mark.parametrize("state", ["approved", "closed"])
def test_only_an_open_proposal_is_late(store: Directory, state: str) -> None:
    row = listing.entry(store, samples.reach(store, samples.proposed(store), state))
    assert (row["overdue"], row["remark"]) == (False, "")


def test_documents_are_rendered_again_where_they_differ(store: Directory) -> None:
    records = [samples.proposed(store) for _record in range(4)]
    edited, removed, binary = (Path(store.document(record)) for record in records[1:])
    edited.write_text("approved by everyone", encoding="utf-8")
    removed.unlink()
    binary.write_bytes(b"\xff\xfe")
    rows = listing.read(store)["records"]
    assert listing.render(store, rows, write=False) == [str(edited), str(removed), str(binary)] and not removed.exists()
    assert listing.render(store, rows, write=True) == [str(edited), str(removed), str(binary)]
    assert listing.render(store, rows, write=True) == []
    assert edited.read_text(encoding="utf-8") == phr.render(records[1].events)
    assert listing.render(store, [{"id": "0009", "state": "damaged"}], write=True) == []


def test_earlier_records_are_shown_and_named_by_the_plan(store: Directory) -> None:
    done = samples.reach(store, samples.proposed(store), "rolled_back")
    remedies = [{"id": "R1", "name": "raise_memory_limit", "summary": samples.plan()["summary"]}]
    made = proposal.payload(draft(remedies=remedies), RESULT, [], "x", {}, DEFAULTS, history.read(store))
    assert [(one["id"], one["state"], one["what"].rpartition(": ")[2]) for one in made["earlier"]] == [("0001", "rolled_back", "did not work, undone")]
    assert proposal.shown({**made, "earlier": []}) != made["plan"]["shown"] == proposal.shown(made)
    assert (made["remedy"], made["fingerprint"]) == (done.proposal["remedy"], done.proposal["fingerprint"])
    chosen = {"remedy": "r", "fingerprint": "f" * 64, "basis": "b"}
    assert {key: proposal.payload(draft(**chosen), RESULT, [], "x", {}, DEFAULTS)[key] for key in chosen} == chosen


def test_what_is_shown_beside_plans_of_before_has_the_same_digest() -> None:
    names = ("title", "findings", "evidence", "opinions", "remedies", "not_chosen", "coverage")
    old = samples.payload(None)
    assert proposal.shown(old) == digest({name: old[name] for name in names})


def test_the_result_of_a_repeat(store: Directory) -> None:
    before, new = samples.proposed(store), samples.proposed(store, earlier=[{"id": "0001", "state": "proposed", "time": "", "what": ""}])
    document = report.result("diagnose", {**RESULT, "repeats": ["0001"]}, [], store, [before, new], "")
    assert [(one["id"], one.get("repeat"), one.get("earlier")) for one in document["records"]] == [("0001", True, None), ("0002", None, ["0001"])]
    assert document["started"] == new.events[0]["time"]
