# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From a model's raw answer to an opinion: bounded, typed, and unable to name what was not asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine.answer import ANSWER_BYTES
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Opinion, unanswered, with_answer

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
    ('{"root_cause": "x", "agrees": true, "confidence": ' + "9" * 5000 + "}", "broken"),
    (_fenced(root_cause=None), "no root_cause"),
    (_fenced(root_cause=["a"]), "root_cause must be a string"),
    (_fenced(agrees="maybe"), "agrees must be true or false"),
    (_fenced(agrees="<true or false>"), "only repeats the form"),
    (_fenced(agrees=1), "agrees must be true or false"),
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


@pytest.mark.parametrize(("given", "name", "read"), [
    ({"agrees": "Yes"}, "agrees", True),
    ({"agrees": "false"}, "agrees", False),
    ({"evidence": "E1, E2"}, "evidence", ["E1", "E2"]),
    ({"evidence": [{"id": "E1"}]}, "evidence", ["E1"]),
    ({"remedy": {"id": "R1", "summary": "x"}}, "remedy", "R1"),
    ({"remedy": "none"}, "remedy", None),
    ({"confidence": "0.5"}, "confidence", 0.5),
    ({"note": None}, "note", ""),
    ({"extra_findings": None}, "extra_findings", []),
])
def test_what_is_clear_is_read_without_a_remark(given: dict[str, Any], name: str, read: Any) -> None:
    opinion = _read(_fenced(**given))
    assert dict(opinion)[name] == read and opinion["reason"] == "" and opinion["remarks"] == []


@pytest.mark.parametrize(("name", "value", "otherwise"), [
    ("confidence", 7, None), ("confidence", True, None), ("confidence", "high", None), ("confidence", "nan", None),
    ("confidence", float("inf"), None),
    ("evidence", 1, []), ("evidence", [1], []), ("evidence", ["E1"] * 51, []), ("remedy", {"patch": []}, None), ("remedy", ["R1"], None),
    ("code", 5, None), ("note", ["a"], ""),
])
def test_what_is_not_is_dropped_and_said(name: str, value: Any, otherwise: Any) -> None:
    opinion = _read(_fenced(**{name: value}).replace("Infinity", "1e999"))
    assert (opinion["outcome"], dict(opinion)[name]) == ("answered", otherwise)
    assert [remark.split(" ")[0] for remark in opinion["remarks"]] == [name] and "dropped" in opinion["remarks"][0]


# --- what a model adds -----------------------------------------------------------------------------------------------------

RICH = {
    "id": "1",
    "finding": {"object": {"kind": "Deployment", "namespace": "shop", "name": "web"}},
    "evidence": [
        {"id": "E1", "source": "log of pod/web-1", "excerpt": "cannot reach orders-db:5432 in namespace data, see configmap web-settings."},
        {"id": "E2", "source": "event Failed on Pod web-1", "excerpt": "password hunter2"},
    ],
    "remedies": [],
}
WEB = {"kind": "deployment", "namespace": "shop", "name": "web"}
ORDERS = {"kind": "Service", "namespace": "data", "name": "orders-db"}
DB = {"title": "database down", "root_cause": "nothing listens", "object": ORDERS, "evidence": ["E1"]}


def _added(*extra: Any) -> Opinion:
    raw = _fenced(remedy=None, extra_findings=list(extra))
    return with_answer(unanswered("1", "kubectl-ai", "unavailable", ""), raw, RICH, lambda text: text.replace("hunter2", "***"))


@pytest.mark.parametrize(("change", "named"), [
    ({}, ORDERS),
    ({"object": WEB, "evidence": ["E2"]}, WEB),
    ({"object": {"kind": "Deployment", "name": "web"}, "evidence": "E2"}, {"kind": "Deployment", "namespace": "shop", "name": "web"}),
    ({"object": "ConfigMap/web-settings"}, {"kind": "ConfigMap", "namespace": "shop", "name": "web-settings"}),
    ({"evidence": ["E9", "E1"], "patch": [{"op": "remove"}]}, ORDERS),
])
def test_an_extra_finding_that_its_evidence_bears_is_kept(change: dict[str, Any], named: Any) -> None:
    opinion = _added({**DB, **change})
    [kept] = opinion["extra_findings"]
    assert set(kept) == {"title", "root_cause", "object", "evidence"} and kept["object"] == named
    assert set(kept["evidence"]) <= {"E1", "E2"} and opinion["outcome"] == "answered" and "remove" not in json.dumps(opinion)


@pytest.mark.parametrize(("extra", "reason"), [
    ({**DB, "evidence": []}, "cites no evidence"),
    ({**DB, "evidence": ["E7"]}, "cites no evidence"),
    ({**DB, "evidence": ["E2"]}, "not named in the evidence that it cites"),
    ({**DB, "object": {"kind": "Service", "namespace": "kube-system", "name": "orders-db"}}, "not named in the evidence"),
    ({**DB, "object": {"kind": "Service", "namespace": "data", "name": "orders"}}, "not named in the evidence"),
    ({**DB, "object": {"kind": "Deployment", "namespace": "other", "name": "web"}}, "not named in the evidence"),
    ({**DB, "object": {"kind": "Service", "name": "../etc"}}, "names no object"),
    ({**DB, "object": {"kind": "rm -rf /", "name": "orders-db"}}, "names no object"),
    ({**DB, "object": None}, "names no object"),
    ({**DB, "title": ""}, "no title"),
    ({**DB, "root_cause": 5}, "no title and root_cause"),
    ("delete everything", "no title"),
])
def test_an_extra_finding_that_it_does_not_bear_is_dropped_and_said(extra: Any, reason: str) -> None:
    opinion = _added(extra)
    assert (opinion["outcome"], opinion["extra_findings"]) == ("answered", [])
    assert opinion["remarks"][0].startswith("extra finding 1 dropped: ") and reason in opinion["remarks"][0]


def test_extra_findings_are_few_short_and_clean() -> None:
    opinion = _added(*[{**DB, "title": "hunter2" + "\x1b[2J" + "t" * 999, "root_cause": "c" * 9999}] * 9)
    assert len(opinion["extra_findings"]) == 5 and "extra findings: 4 of 9 dropped, at most 5 are read" in opinion["remarks"]
    first = opinion["extra_findings"][0]
    assert first["title"].startswith("***ttt") and (len(first["title"]), len(first["root_cause"])) == (200, 2000)
