# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What counts as an answer, and which decisions count."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, gate, identity
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples

D8, D64 = "0a1b2c3d", "0a1b2c3d" * 8

ANSWERS: list[tuple[str, tuple[str, str] | None]] = [
    (f"approve {D8}", ("approve", D8)),
    (f"approve {D64}", ("approve", D64)),
    (f"  Approve\t{D8.upper()}  \n", ("approve", D8)),
    (f"APPROVE   {D8}", ("approve", D8)),
    ("reject too risky on a Friday", ("reject", "too risky on a Friday")),
    ("REJECT  no ", ("reject", "no")),
    (f"reject {D8}", ("reject", D8)),
    ("reject нет", ("reject", "нет")),
    ("", None),
    (" ", None),
    ("\n", None),
    ("approve", None),
    ("approve ", None),
    ("reject", None),
    ("reject   ", None),
    ("reject a\nb", None),
    (f"approve{D8}", None),
    ("approve 0a1b2c3", None),
    (f"approve {D64}0", None),
    ("approve 0a1b2c3g", None),
    ("approve 0x0a1b2c3d", None),
    (f"approve {D8} please", None),
    (f"approve {D8} {D8}", None),
    (f"approve {D8}\napprove {D8}", None),
    (f"please approve {D8}", None),
    (f"approved {D8}", None),
    (f"approve: {D8}", None),
    (f"approve '{D8}'", None),
    (f"yes {D8}", None),
    ("yes", None),
    ("y", None),
    ("ok", None),
    (D8, None),
    (f"аpprove {D8}", None),  # Cyrillic a
    (f"approve {D8[:-1]}а", None),  # Cyrillic a
    ("approve ０ａ１ｂ２ｃ３ｄ", None),  # full width
    ("approve ٠١٢٣٤٥٦٧", None),  # Arabic digits
    (f"approve\u200b{D8}", None),  # zero-width space
    (f"\x1b[A approve {D8}", None),
]


@pytest.mark.parametrize("answer, expected", ANSWERS, ids=[repr(row[0])[:40] for row in ANSWERS])
def test_parse_answer(answer: str, expected: tuple[str, str] | None) -> None:
    assert gate.parse_answer(answer) == expected


def decide(store: Directory, record: Record, decision: str = "approve", **more: Any) -> dict[str, Any]:
    given = {"prefix": record.digest[:8], "reason": "looks right", "way": "terminal", "by": identity.os_user(), "now": samples.at(5), **more}
    return gate.decide(store, record, decision, governed_by=Rules(), **given)


def test_an_approval_says_who_what_how_and_until_when(store: Directory) -> None:
    record = samples.proposed(store)
    event = decide(store, record, by={**identity.os_user(), "cluster_user": {"user": "ann@corp", "groups": ["ops"]}}, way="playbook")
    assert record.state == "approved" and event["time"] == clock.stamp(samples.at(5))
    payload = event["payload"]
    assert payload["by"]["user"] and payload["by"]["established_by"] == "os_user"
    assert payload["by"]["cluster_user"] == {"user": "ann@corp", "groups": ["ops"]}
    assert {key: payload[key] for key in ("digest", "reason", "way", "expires")} == {
        "digest": record.digest,
        "reason": "looks right",
        "way": "playbook",
        "expires": clock.stamp(samples.at(65)),
    }


@pytest.mark.parametrize("length", [8, 9, 63, 64])
@pytest.mark.parametrize("form", [str, str.upper, "  {} ".format])
def test_any_prefix_of_eight_or_more_digits_names_the_plan(store: Directory, length: int, form: Any) -> None:
    record = samples.proposed(store)
    assert decide(store, record, prefix=form(record.digest[:length]), reason="")["payload"]["digest"] == record.digest


def test_an_approval_ends_with_the_plan_at_the_latest(store: Directory) -> None:
    record = samples.proposed(store)
    event = decide(store, record, now=samples.at(479))
    assert event["payload"]["expires"] == samples.plan()["expires"] == clock.stamp(samples.at(480))


def test_a_rejection_needs_no_right_but_a_reason(store: Directory) -> None:
    record = samples.proposed(store, samples.plan(policies={"medium": {"approvers": ["nobody-here"]}}))
    event = decide(store, record, "reject", reason="wrong service")
    assert record.state == "rejected" and event["payload"]["reason"] == "wrong service" and "expires" not in event["payload"]


BAD: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("another word", {"decision": "maybe"}, BadInput, "decision is 'maybe'. It must be approve or reject."),
    ("capitals", {"decision": "Approve"}, BadInput, "decision is 'Approve'"),
    ("no digest", {"prefix": ""}, BadInput, "digest is ''. Give at least the first 8 hexadecimal digits"),
    ("none", {"prefix": None}, BadInput, "digest is ''"),
    ("seven digits", {"prefix": "0a1b2c3"}, BadInput, "digest is '0a1b2c3'"),
    ("not hexadecimal", {"prefix": "zzzzzzzz"}, BadInput, "digest is 'zzzzzzzz'"),
    ("full width", {"prefix": "０ａ１ｂ２ｃ３ｄ"}, BadInput, "digest is"),
    ("another plan's", {"prefix": "0" * 8}, GateRefused, "The digest 00000000 is not the one of record 0001. Read the plan again"),
    ("right start, wrong end", {"prefix": "SAME+0"}, GateRefused, "is not the one of record 0001"),
    ("wrong digest of a rejection", {"decision": "reject", "prefix": "0" * 8}, GateRefused, "is not the one of record 0001"),
    ("no reason", {"decision": "reject", "reason": ""}, BadInput, "reason is empty. Say why the change is rejected: -e \"reason='...'\""),
    ("blank reason", {"decision": "reject", "reason": " \t"}, BadInput, "reason is empty"),
]


@pytest.mark.parametrize("what, given, error, message", BAD, ids=[row[0] for row in BAD])
def test_refused_decisions_leave_the_record_proposed(store: Directory, what: str, given: dict[str, Any], error: type[Exception], message: str) -> None:
    record = samples.proposed(store)
    if given.get("prefix") == "SAME+0":
        given = {**given, "prefix": record.digest[:10] + ("0" if record.digest[10] != "0" else "1")}
    with pytest.raises(error) as caught:
        decide(store, record, **given)
    assert message in str(caught.value)
    assert [one["kind"] for one in store.load("1").events] == ["proposed"]


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_too_late_is_recorded_as_expired(store: Directory, decision: str) -> None:
    record = samples.proposed(store)
    with pytest.raises(GateRefused, match=r"Record 0001 expired at 2026-11-21T20:00:00\.000Z\. Run the workflow again"):
        decide(store, record, decision, now=samples.at(480.001))
    assert store.load("1").state == "expired"


def test_the_last_moment_still_counts(store: Directory) -> None:
    record = samples.proposed(store)
    decide(store, record, now=samples.at(480))
    assert record.state == "approved"


@pytest.mark.parametrize("state", [state for state in samples.WAYS if state != "proposed"])
@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_only_a_proposed_record_is_decided(store: Directory, state: str, decision: str) -> None:
    record = samples.reach(store, samples.proposed(store), state)
    with pytest.raises(GateRefused, match=f"Record 0001 is {state}; only a proposed one can be decided"):
        decide(store, record, decision)


def test_somebody_else_was_faster(store: Directory) -> None:
    record, theirs = samples.proposed(store), store.load("1")
    decide(store, theirs, "reject")
    with pytest.raises(GateRefused, match="The record is rejected; it cannot become approved"):
        decide(store, record)


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_advice_cannot_be_decided(store: Directory, decision: str) -> None:
    record = store.create(samples.payload(None))
    with pytest.raises(GateRefused, match="Record 0001 proposes no change: a person has to decide"):
        decide(store, record, decision)


def me() -> str:
    from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import actor

    return str(actor()["user"])


def test_four_eyes_and_approvers(store: Directory) -> None:
    own = samples.proposed(store, samples.plan(risk="critical"))
    with pytest.raises(GateRefused, match=f"Record 0001 is not approved: this risk class needs four eyes, and {me()} also made the proposal"):
        decide(store, own)
    listed = samples.proposed(store, samples.plan(policies={"medium": {"approvers": ["bea", "cem"]}}))
    with pytest.raises(GateRefused, match=f"{me()} is not among the approvers of this risk class \\(bea, cem\\)"):
        decide(store, listed)
    allowed = samples.proposed(store, samples.plan(policies={"medium": {"approvers": ["bea", me()]}}))
    decide(store, allowed)
    assert [store.load(one).state for one in store.identifiers()] == ["proposed", "proposed", "approved"]


def test_dates_are_compared_as_moments_of_the_same_form() -> None:
    assert clock.stamp(datetime.fromisoformat("2026-11-21T13:00:00+01:00")) == clock.stamp(samples.CREATED)
