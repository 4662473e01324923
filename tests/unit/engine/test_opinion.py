# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From a model's raw answer to an opinion: bounded, typed, and unable to name what was not asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import ANSWER_BYTES, Opinion, unanswered, with_answer

QUESTION = {"id": "1", "evidence": [{"id": "E1"}, {"id": "E2"}], "remedies": [{"id": "R1"}]}
GOOD = {"root_cause": "out of memory", "agrees": True, "code": "OOMKilled", "remedy": "R1", "evidence": ["E1"], "confidence": 0.9, "note": ""}


def _read(raw: str) -> Opinion:
    return with_answer(unanswered("1", "kubectl-ai", "unavailable", ""), raw, QUESTION)


def _fenced(**fields: Any) -> str:
    return f"```json\n{json.dumps({**GOOD, **fields})}\n```"


@pytest.mark.parametrize("raw", [
    _fenced(),
    f"Let me think.\n\n{_fenced()}\nDone.",
    json.dumps(GOOD),
    f"Sure! {json.dumps(GOOD, indent=2)}",
    "```json\n{}\n```\nNo, rather:\n" + _fenced(),  # the last one counts
    _fenced().replace("\n", "\r\n"),
    "  " + _fenced().replace("\n", "\n  "),
    _fenced(note="an inner ``` fence"),
])
def test_an_answer_is_found(raw: str) -> None:
    opinion = _read(raw)
    assert (opinion["outcome"], opinion["reason"], opinion["root_cause"], opinion["remedy"]) == ("answered", "", "out of memory", "R1")


def test_disagreeing_is_an_outcome_of_its_own() -> None:
    opinion = _read(_fenced(agrees=False))
    assert (opinion["outcome"], opinion["agrees"]) == ("disagrees", False)


def test_only_root_cause_and_agreement_are_needed() -> None:
    opinion = _read('{"root_cause": "x", "agrees": true, "remedy": null}')
    assert opinion["outcome"] == "answered"
    assert (opinion["code"], opinion["remedy"], opinion["evidence"], opinion["confidence"], opinion["note"]) == (None, None, [], None, "")


@pytest.mark.parametrize(("raw", "reason"), [
    ("", "empty answer"),
    (" \n", "empty answer"),
    ("I do not know.", "no JSON object"),
    ("```json\n{broken\n```", "broken"),
    ("```json\n[1]\n```", "not an object"),
    ("{" * 100_000, "no JSON object"),
    ('{"a":' * 20_000 + "1" + "}" * 20_000, "broken"),
    ("x" * (ANSWER_BYTES + 1), "longer than"),
    (_fenced(confidence=float("nan")), "NaN"),
    ('{"root_cause": "x", "agrees": true, "confidence": 1e999}', "confidence"),
    ('{"root_cause": "x", "agrees": true, "confidence": ' + "9" * 5000 + "}", "broken"),
    (_fenced(root_cause=None), "no root_cause"),
    (_fenced(root_cause=["a"]), "root_cause must be a string"),
    (_fenced(agrees="yes"), "agrees must be true or false"),
    (_fenced(agrees=1), "agrees must be true or false"),
    (_fenced(confidence=7), "confidence must be"),
    (_fenced(confidence=True), "confidence must be"),
    (_fenced(evidence="E1"), "evidence must be"),
    (_fenced(evidence=[{"id": "E1"}]), "evidence must be"),
    (_fenced(remedy={"patch": []}), "remedy must be"),
    (_fenced(code=5), "code must be"),
])
def test_a_wrong_answer_is_unparseable_and_says_why(raw: str, reason: str) -> None:
    opinion = _read(raw)
    assert opinion["outcome"] == "unparseable" and reason in opinion["reason"]
    assert opinion["agrees"] is None and opinion["root_cause"] == ""


def test_ids_that_are_not_in_the_question_are_dropped_and_said() -> None:
    opinion = _read(_fenced(evidence=["E1", "E9", "E1", "E2"], remedy="R7"))
    assert opinion["outcome"] == "answered"
    assert (opinion["evidence"], opinion["remedy"]) == (["E1", "E2"], None)
    assert any("E9" in remark for remark in opinion["remarks"]) and any("R7" in remark for remark in opinion["remarks"])


def test_a_change_in_an_answer_goes_nowhere() -> None:
    opinion = _read(_fenced(patch=[{"op": "remove", "path": "/"}], commands=["kubectl delete"], identity="admin", outcome="answered", prompt="x"))
    assert opinion["commands"] == [] and opinion["identity"] == "none" and opinion["prompt"] == ""
    assert "remove" not in json.dumps(opinion)


def test_text_is_bounded_and_cannot_control_a_terminal() -> None:
    opinion = _read(_fenced(root_cause="\x1b[2Ja" + "b" * 100_000, note="\u202eevil", code="c" * 500))
    assert len(opinion["root_cause"]) == 2000 and opinion["root_cause"].startswith("ab")
    assert opinion["note"] == "evil" and len(opinion["code"] or "") == 64


def test_every_text_is_cleaned_of_secrets_before_it_is_cut() -> None:
    secret = "s3cr3t" * 10
    raw = _fenced(root_cause="x" * 1990 + secret, note=secret, code=secret, evidence=[secret], remedy=secret)
    opinion = with_answer(unanswered("1", "kubectl-ai", "unavailable", ""), raw, QUESTION, lambda text: text.replace(secret, "***"))
    assert "s3cr" not in json.dumps(opinion)


def test_an_unanswered_question_has_every_field_of_an_opinion() -> None:
    assert set(unanswered("1", "e", "timeout", "r")) == set(Opinion.__annotations__)
