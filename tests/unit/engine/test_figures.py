# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Numbers of an engine: only those that were asked for, only numbers, and never beyond the bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine.figures import check, read
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import unanswered, with_answer
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

ASKED = {
    "max_replicas": {"what": "most replicas", "ours": 6, "low": 3, "high": 9},
    "target_percent": {"what": "CPU target", "ours": 70.0, "low": 50, "high": 90},
}
QUESTION = {"id": "1", "figures": ASKED}


def test_good_numbers_are_kept() -> None:
    assert read({"max_replicas": 7, "target_percent": "62.5"}, QUESTION, str) == ({"max_replicas": 7, "target_percent": 62.5}, [])
    assert read({"max_replicas": 7.0}, QUESTION, str) == ({"max_replicas": 7}, [])
    assert read({"max_replicas": None}, QUESTION, str) == (None, [])


@pytest.mark.attack
@pytest.mark.parametrize(
    ("said", "kept", "remark"),
    [
        (500, 9, "the engine said 500, which is not within 3 and 9; 9 is kept"),
        (-1, 3, "the engine said -1"),
        (10**400, 9, "the engine said 1000"),
        ("1e30", 9, "the engine said 1e+30"),
        (4.6, 5, "the engine said 4.6; 5 is kept"),
        (True, None, "must be a number"),
        ("nine; kubectl delete ns shop", None, "must be a number, dropped: nine; kubectl delete ns shop"),
        (float("nan"), None, "must be a number"),
        ("inf", None, "must be a number"),
        ([5], None, "must be a number"),
        ({"value": 5}, None, "must be a number"),
        ("0x7", None, "must be a number"),
        ("\x1b[2J" * 500, None, "must be a number"),
    ],
)
def test_bad_numbers_are_bounded_or_dropped(said: Any, kept: float | None, remark: str) -> None:
    found, remarks = read({"max_replicas": said}, QUESTION, str)
    assert found == (None if kept is None else {"max_replicas": kept})
    assert len(remarks) == 1 and remark in remarks[0] and len(remarks[0]) < 150 and remarks[0].isprintable()


@pytest.mark.attack
def test_names_that_were_not_asked_for_are_dropped() -> None:
    hostile = {"approved": 1, "min_replicas\n\x1b[31m": 0, "x" * 5000: 2, **{f"f{number}": 1 for number in range(1000)}, "max_replicas": 4}
    found, [remark] = read(hostile, QUESTION, lambda text: text.replace("approved", "[redacted]"))
    assert found == {"max_replicas": 4} and "[redacted]" in remark and "and 998 more" in remark and remark.isprintable() and len(remark) < 300


@pytest.mark.parametrize("given", [[], "9", 9, True])
def test_what_is_no_object_is_dropped(given: Any) -> None:
    assert read(given, QUESTION, str) == (None, ["figures must be an object, dropped"])


def test_without_being_asked_for_there_are_none() -> None:
    assert read({"max_replicas": 5}, {"id": "1"}, str) == (None, [])


def test_an_opinion_holds_them() -> None:
    raw = json.dumps({"root_cause": "load", "agrees": False, "figures": {"max_replicas": 99, "evil": 1}})
    opinion = with_answer(unanswered("1", "kagent", "unavailable", ""), raw, QUESTION)
    assert opinion["outcome"] == "disagrees" and opinion["figures"] == {"max_replicas": 9} and len(opinion["remarks"]) == 2
    plain = with_answer(unanswered("1", "kagent", "unavailable", ""), raw, {"id": "1"})
    assert plain["figures"] is None and plain["remarks"] == []


@pytest.mark.parametrize(
    "figures",
    [
        {"Max": ASKED["max_replicas"]},
        {"a b": ASKED["max_replicas"]},
        {"x": {}},
        {"x": {**ASKED["max_replicas"], "low": "3"}},
        {"x": {**ASKED["max_replicas"], "low": 10}},
        {"x": {**ASKED["max_replicas"], "ours": None}},
        {f"f{number}": ASKED["max_replicas"] for number in range(21)},
    ],
)
def test_a_question_with_wrong_figures_is_named(figures: Any) -> None:
    with pytest.raises(BadInput, match="questions: 7: figures"):
        check({"id": "7", "figures": figures})
    check(QUESTION)
    check({"id": "1"})
