# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Every check of records: nothing is found where everything is right, and one thing that is wrong is found by the check that is for it."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.checklist import OFFLINE
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, record as chain

from tests.unit.compliance import building
from tests.unit.compliance.building import ADVICE, ENDED, EXPIRED, PRINCIPAL, REJECTED, ROLLBACK, SIGNED, UNDONE, WAITING, Drafts
from tests.unit.compliance.conftest import Stage

PAST, FUTURE = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"


def test_nothing_is_found_where_everything_is_right(stage: Stage) -> None:
    document = stage.run()
    assert document["findings"] == []
    assert document["share"] == {"operations": 4, "documented": 4, "percent": 100.0, "open": 0, "without_record": 0}
    assert document["coverage"]["records"] == 9
    made = {one["code"]: one["checked"] for one in document["checks"] if not one["skipped"]}
    assert all(made.values()), f"the healthy store gives these checks nothing to do: {[code for code, count in made.items() if not count]}"
    assert set(made) == {one.code for one in OFFLINE} - {"R21", "R22"}


def test_no_records(tmp_path: Path) -> None:
    document = Stage(tmp_path / "none", [], "").run()
    assert document["findings"] == [] and document["coverage"]["records"] == 0 and document["share"]["percent"] is None


def test_the_example_records_comply() -> None:
    document = Stage(Path(__file__).resolve().parents[3] / "docs" / "examples" / "records", [], "").run()
    assert document["findings"] == [] and document["share"]["percent"] == 100.0


@dataclass
class Case:
    """``draft`` changes drafts before everything is numbered, linked, hashed and rendered anew: a forger with the library at hand. ``files`` changes
    what is on disk then. ``codes``: all that has to be found; ``percent``: the share after it."""

    name: str
    codes: set[str]
    draft: Callable[[Drafts], Any] | None = None
    files: Callable[[Path], Any] | None = None
    record: str = "0001"
    says: str = ""
    percent: float = 100.0
    policy: str = ""
    wanted: dict[str, Any] = field(default_factory=dict)


def edit(old: str, new: str, name: str = "0001.jsonl") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")

    return change


def removed(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            for path in folder.glob(name):
                path.unlink()

    return change


def linked(folder: Path) -> None:
    (folder / "0001.jsonl").rename(folder / "elsewhere")
    (folder / "0001.jsonl").symlink_to(folder / "elsewhere")


def copied(folder: Path) -> None:
    (folder / "0010.jsonl").write_bytes((folder / "0001.jsonl").read_bytes())


def without_line(folder: Path) -> None:
    lines = (folder / "0001.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "0001.jsonl").write_bytes(b"".join([*lines[:2], *lines[3:]]))


def rewritten(folder: Path) -> None:
    """A whole new chain for one record, and nothing else."""
    events = building.load(folder, "0001")
    events[1]["payload"]["reason"] = "no reason"
    chained: list[dict[str, Any]] = []
    for one in events:
        chained.append(chain.linked(chained, one))
    building.put(folder, "0001", [json.loads(chain.line(one)) for one in chained])


def put(position: int, event: int, **payload: Any) -> Callable[[Drafts], None]:
    def change(drafts: Drafts) -> None:
        drafts[position][event]["payload"] |= payload

    return change


def at(position: int, event: int, moment: str | Callable[[str], str]) -> Callable[[Drafts], None]:
    def change(drafts: Drafts) -> None:
        one = drafts[position][event]
        one["time"] = moment if isinstance(moment, str) else moment(one["time"])

    return change


def later(**duration: float) -> Callable[[str], str]:
    return lambda text: clock.later(text, **duration)


def plan(position: int, **changes: Any) -> Callable[[Drafts], Any]:
    return lambda drafts: building.resealed(drafts[position], **changes)


def unsealed(drafts: Drafts) -> None:
    drafts[ENDED][0]["payload"]["plan"]["summary"] = "something else"


def plan_of_another_shape(drafts: Drafts) -> None:
    drafts[UNDONE][0]["payload"]["plan"].pop("requested_by")
    building.resealed(drafts[UNDONE])


def shown_edited(drafts: Drafts) -> None:
    drafts[ENDED][0]["payload"]["findings"][0]["root_cause"] = "no cause"


def other_requester(drafts: Drafts) -> None:
    drafts[ENDED][0]["actor"] = {**drafts[ENDED][0]["actor"], "user": "mallory"}


def foreign_signature(drafts: Drafts) -> None:
    """The signature of the rejection on the approval."""
    drafts[SIGNED][1]["payload"]["by"]["signature"] = copy.deepcopy(drafts[REJECTED][1]["payload"]["by"]["signature"])
    drafts[SIGNED][2]["payload"]["approved_by"] = drafts[SIGNED][1]["payload"]["by"]


def signed_by_another(drafts: Drafts) -> None:
    for by in (drafts[SIGNED][1]["payload"]["by"], drafts[SIGNED][2]["payload"]["approved_by"]):
        by["signature"]["principal"] = "dave@example.com"


def signature_removed(drafts: Drafts) -> None:
    building.resealed(drafts[SIGNED], policy=building.strict(proof="signature"))
    for by in (drafts[SIGNED][1]["payload"]["by"], drafts[SIGNED][2]["payload"]["approved_by"]):
        by.pop("signature")


def signed_plan_edited(drafts: Drafts) -> None:
    """The forger recomputes everything; only the statement cannot be made again."""
    draft = drafts[SIGNED]
    signed = copy.deepcopy(draft[1]["payload"]["by"]["signature"])
    building.resealed(draft, summary="something that nobody approved")
    for by in (draft[1]["payload"]["by"], draft[2]["payload"]["approved_by"]):
        by["signature"] = signed


def rejection_edited(drafts: Drafts) -> None:
    drafts[REJECTED][1]["payload"]["reason"] = "never"


def copied_record(drafts: Drafts) -> None:
    drafts.append(copy.deepcopy(drafts[ENDED]))


def carried_out_again(drafts: Drafts) -> None:
    """Another record that says that it changed the same state of the same object."""
    again = copy.deepcopy(drafts[ENDED])
    drafts.append(building.resealed(again, summary="once more"))


def undone_without_reason(drafts: Drafts) -> None:
    drafts[UNDONE] = [one for one in drafts[UNDONE] if one["kind"] != "failed"]


def undoes_nothing(drafts: Drafts) -> None:
    building.resealed(drafts[ROLLBACK], undoes={"record": "x/0001", "digest": "f" * 64})


def stopped(kind: str, position: int = ENDED, **ago: float) -> Callable[[Drafts], None]:
    """An operation that got no further than this event, this long ago."""

    def change(drafts: Drafts) -> None:
        created = clock.now() - timedelta(minutes=12) - timedelta(**ago)
        made = building.operation("late", created)
        drafts[position] = made[: [one["kind"] for one in made].index(kind) + 1]
        if position == ENDED:
            building.resealed(drafts[ROLLBACK], undoes={"record": "0001", "digest": made[0]["payload"]["digest"]})

    return change


def waiting_long(drafts: Drafts) -> None:
    created = clock.now() - timedelta(minutes=90)
    drafts[WAITING] = [building.first(building.proposal("jobs", created), created)]


def decided_late(drafts: Drafts) -> None:
    created = clock.now() - timedelta(hours=5)
    payload = building.proposal("mail", created)
    drafts[REJECTED] = [building.first(payload, created), building.decided(payload, created + timedelta(hours=2), "reject", reason="no")]


def never_decided(drafts: Drafts) -> None:
    created = clock.now() - timedelta(hours=9)
    drafts[WAITING] = [building.first(building.proposal("jobs", created), created)]


def malformed(drafts: Drafts) -> None:
    drafts[ADVICE][0]["payload"].pop("findings")


def with_secret(drafts: Drafts) -> None:
    drafts[ADVICE][0]["payload"]["evidence"][0]["excerpt"] = "export DB_PASSWORD=Tr0ub4dor-and-3-more-words"


CASES = [
    Case("a link instead of the file", {"R01", "R14"}, files=linked, percent=75.0, says="symbolic link"),
    Case(
        "anybody may write the file",
        {"R01", "R14"},
        files=lambda folder: os.chmod(folder / "0001.jsonl", 0o666),
        percent=75.0,
        says="Anybody may write",
    ),
    Case("a value edited", {"R02", "R14"}, files=edit("it fits", "it fitted"), percent=75.0, says="it was edited"),
    Case("an event removed", {"R02", "R14"}, files=without_line, percent=75.0, says="removed"),
    Case(
        "not JSON",
        {"R02", "R14"},
        percent=80.0,
        files=lambda folder: (folder / "0002.jsonl").write_text("no\n", encoding="utf-8"),
        record="0002",
        says="not a JSON object",
    ),
    Case("a renamed copy", {"R03", "R14"}, files=copied, record="0010", says="copied from elsewhere", percent=80.0),
    Case("not the shape of a record", {"R03"}, malformed, record="0002", says="has not the shape"),
    Case("times backwards", {"R04"}, at(ENDED, 5, later(hours=-2)), says="before an earlier event"),
    Case("a time that is none", {"R04", "R03"}, at(ENDED, 5, "yesterday"), says="no stamp of this collection"),
    Case("a time of the future", {"R04"}, at(ENDED, 5, FUTURE), says="in the future"),
    Case("a record rewritten as a whole", {"R05"}, files=rewritten, record="0002", says="0001 was rewritten"),
    Case("no link to the record before", {"R05"}, put(REJECTED, 0, previous_record=None), record="0004", says="first record"),
    Case("a record removed", {"R06"}, files=removed("0002*"), record="0003", says="Record 0002 is missing before 0003; record 0003 still names 0002"),
    Case("two records removed", {"R06"}, files=removed("0002*", "0004*"), record="0003", says="missing"),
    Case("the newest record removed", {"R06"}, files=removed("0009.jsonl"), record="0009", says="is there, and the record is not"),
    Case("all records removed", {"R06"}, files=removed("*.jsonl"), record="0001", says="the record is not", percent=-1),
    Case("a record copied with another number", {"R07", "R12"}, copied_record, record="0010", says="digest of record 0001"),
    Case("plan edited", {"R08", "R14"}, unsealed, says="it was edited", percent=75.0),
    Case("a plan of another shape", {"R08", "R14"}, plan_of_another_shape, record="0005", says="The plan lacks requested_by", percent=75.0),
    Case("evidence edited", {"R08", "R14"}, shown_edited, says="findings, evidence or opinions", percent=75.0),
    Case("requester edited", {"R08", "R14"}, other_requester, says="not written by whoever its plan says", percent=75.0),
    Case("approval for another plan", {"R09", "R14"}, put(ENDED, 1, digest="a" * 64), says="for the digest aaaaaaaa", percent=75.0),
    Case("approval before the proposal", {"R04", "R09", "R11", "R14"}, at(ENDED, 1, PAST), says="outside the time", percent=75.0),
    Case(
        "approval by nobody allowed",
        {"R09", "R14"},
        plan(UNDONE, policy=building.strict(approvers=["carol"])),
        record="0005",
        says="not among the approvers",
        percent=75.0,
    ),
    Case("signature missing where needed", {"R09", "R14"}, signature_removed, record="0003", says="needs a signature", percent=75.0),
    Case("signature of another decision", {"R10", "R14"}, foreign_signature, record="0003", says="another plan", percent=75.0),
    Case("signed plan rewritten", {"R10", "R14"}, signed_plan_edited, record="0003", says="about another plan", percent=75.0),
    Case("signature by another principal", {"R10", "R14"}, signed_by_another, record="0003", says=f"by {PRINCIPAL}", percent=75.0),
    Case("signed rejection edited", {"R10"}, rejection_edited, record="0004", says="another reason"),
    Case(
        "no allowed_signers",
        {"R10", "R14"},
        files=lambda folder: (folder.parent / "allowed_signers").unlink(),
        record="0003",
        says="no allowed_signers",
        percent=75.0,
    ),
    Case("carried out before the approval", {"R11", "R14"}, at(ENDED, 2, later(seconds=-100)), says="before it was approved", percent=75.0),
    Case(
        "carried out too late",
        {"R11", "R14"},
        lambda drafts: [at(ENDED, number, later(hours=2))(drafts) for number in range(2, 6)],
        says="had expired",
        percent=75.0,
    ),
    Case(
        "approval prolonged",
        {"R11", "R14"},
        lambda drafts: [put(ENDED, 1, expires=FUTURE)(drafts), *[at(ENDED, number, later(hours=2))(drafts) for number in range(2, 6)]],
        says="had expired",
        percent=75.0,
    ),
    Case("another digest carried out", {"R11", "R14"}, put(ENDED, 2, digest="b" * 64), says="bbbbbbbb", percent=75.0),
    Case("approved by somebody else", {"R11", "R14"}, put(ENDED, 2, approved_by={"user": "mallory"}), says="somebody else approved", percent=75.0),
    Case("one state of an object changed twice", {"R12"}, carried_out_again, record="0010", says="at generation 3, and so does record 0001"),
    Case("undone though nothing failed", {"R13"}, undone_without_reason, record="0005", says="no check had failed"),
    Case("undoes what never was", {"R13"}, undoes_nothing, record="0008", says="no record was carried out"),
    Case("decided late", {"R15"}, decided_late, record="0004", says="60 min are allowed"),
    Case("never decided", {"R15"}, never_decided, record="0006", says="never decided"),
    Case("waiting past the SLA", {"R16"}, waiting_long, record="0006", says="was due 30 min ago"),
    Case("interrupted", {"R17"}, stopped("executing", hours=2), says="executing since", percent=75.0),
    Case("not proven", {"R17"}, stopped("executed", hours=2), says="not proven", percent=75.0),
    Case("watch over", {"R17"}, stopped("validated", hours=2), says="watch is over"),
    Case("approval ended unused", {"R17"}, stopped("approved", EXPIRED, hours=2), record="0007", says="before it was carried out"),
    Case("laxer than the file, before it was written", {"R18"}, policy="medium: {proof: signature}", says="proof is os_user, not signature"),
    Case("PHR removed", {"R19"}, files=removed("0001-*"), says="is missing"),
    Case(
        "PHR edited",
        {"R19"},
        files=edit("by bob", "by carol", "0001-oomkilled-in-deployment-web-in-namespace-shop.misc.prompt.md"),
        says="not what the record says",
    ),
    Case("a secret", {"R20"}, with_secret, record="0002", says="looks like a secret"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_wrong_is_found_by_its_check(case: Case, stage: Stage) -> None:
    if case.draft:
        case.draft(stage.drafts)
        removed("*")(stage.folder)
        stage.publish()
    if case.policy:
        (stage.records / "policy.yml").write_text(case.policy, encoding="utf-8")
    if case.files:
        case.files(stage.folder)
    document = stage.run()
    assert {one["code"] for one in document["findings"]} == case.codes, document["findings"]
    told = [one["message"] for one in document["findings"] if one["record"] == case.record and one["code"] != "R14"]
    assert any(case.says in message for message in told), document["findings"]
    assert all(one["fix"] for one in document["findings"])
    if case.percent >= 0:
        assert document["share"]["percent"] == case.percent
    assert "Tr0ub4dor" not in json.dumps(document)


def test_every_check_of_records_has_a_case() -> None:
    elsewhere = {"R21", "R22"}  # git (tests/integration/test_compliance.py), and below
    assert {one.code for one in OFFLINE} - elsewhere == {code for case in CASES for code in case.codes}


def test_a_policy_that_was_in_force_makes_a_laxer_approval_an_error(stage: Stage) -> None:
    path = stage.records / "policy.yml"
    path.write_text("medium: {proof: signature}", encoding="utf-8")
    os.utime(path, (1, 1))
    document = stage.run()
    assert {"R09", "R18", "R14"} == {one["code"] for one in document["findings"]}
    assert {one["record"] for one in document["findings"] if one["code"] == "R09"} == {"0001", "0005", "0007", "0008"}


def test_an_earlier_report_is_a_witness(stage: Stage, tmp_path: Path) -> None:
    before = tmp_path / "before.json"
    before.write_text(json.dumps(stage.run()), encoding="utf-8")
    assert stage.found(since=str(before)) == set()
    stage.drafts[ENDED][1]["payload"]["reason"] = "forged from the first record to the last"
    stage.publish()
    assert stage.found() == set(), "a chain that was recomputed as a whole is right in itself"
    assert stage.found(since=str(before)) == {"R22"}


def test_a_record_that_went_on_is_no_contradiction_to_an_earlier_report(stage: Stage, tmp_path: Path) -> None:
    before = tmp_path / "before.json"
    before.write_text(json.dumps(stage.run()), encoding="utf-8")
    events = building.load(stage.folder, "0006")
    events.append(json.loads(chain.line(chain.event(events, "expired", {"reason": "later"}, building.who()))))
    building.put(stage.folder, "0006", events)
    assert stage.found("error", since=str(before)) == set()


def test_under_way_is_not_counted(stage: Stage) -> None:
    stopped("executing")(stage.drafts)
    stage.publish()
    assert stage.run()["share"] == {"operations": 3, "documented": 3, "percent": 100.0, "open": 1, "without_record": 0}
