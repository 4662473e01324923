# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which questions are asked, for how long, and what a person sees of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine.rounds import by_severity, share
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import unanswered
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Line, Progress
from ansible_collections.aiops.k8s.plugins.module_utils.engine.task import SPEC, answers
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput

QUESTION = {"id": "1", "finding": {"code": "OOMKilled", "object": {"kind": "Deployment", "namespace": "shop", "name": "web"}}}


def test_the_most_severe_are_asked_first() -> None:
    severities = ["info", "warning", None, "critical", "warning", "odd", "critical"]
    questions = [{"id": str(number), "finding": {"severity": severity}} for number, severity in enumerate(severities)]
    assert by_severity(questions, 4) == ([3, 6, 1, 4], [0, 2, 5])
    assert by_severity(questions, 0)[0] == [] and by_severity([], 5) == ([], [])


@pytest.mark.parametrize("width", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("many", [1, 2, 4, 5, 10])
def test_slow_questions_leave_each_other_their_share(width: int, many: int) -> None:
    """All take as long as they may: all are started, each gets the same, and the budget is used up and not exceeded."""
    now, waiting, running, limits = 0.0, many, list[float](), []
    while waiting:
        while waiting and len(running) < width:
            limits.append(share(now, 20, waiting, running, width))
            running.append(now + limits[-1])
            waiting -= 1
        now = min(running)
        running.remove(now)
    rounds = -(-many // width)
    assert limits == pytest.approx([20 / rounds] * many)


def test_time_that_is_left_over_is_given_to_those_that_follow() -> None:
    assert share(0, 20, 4, [], 1) == 5 and share(2, 20, 3, [], 1) == 6 and share(2, 20, 4, [5.0], 2) == 7.5
    assert share(20, 20, 1, [], 1) == share(21, 20, 3, [25.0], 2) == 0


def test_what_a_person_sees_is_printable_short_and_without_secrets() -> None:
    seen: list[Line] = []
    progress = Progress("kubectl-ai", QUESTION, seen.append, lambda text: text.replace("hunter2", "[redacted]"))
    progress.asks("openai", "m\x1b[31m", 1, 3, 5)
    progress.decided("kubectl get pods -n shop", "")
    progress.decided("kubectl get x\n\x1b[2J\u202e --token=hunter2 " + "y" * 5000, "only\none")
    progress.again("the answer has no JSON object", 0.5)
    progress.ended({**unanswered("1", "kubectl-ai", "disagrees", ""), "agrees": False, "root_cause": "a\nleak", "duration_seconds": 2.06})
    start = "kubectl-ai: OOMKilled in deployment/web: "
    assert [text.removeprefix(start) for text, _colour in seen[:2]] == ["asks m of openai, at most 5 s (1 of 3)", "runs: kubectl get pods -n shop"]
    assert all(text.startswith(start) and text.isprintable() and len(text) < 300 and "hunter2" not in text for text, _colour in seen)
    assert seen[2][0].endswith(": only one") and seen[-1] == (f"{start}answered after 2.1 s: DISAGREES: a leak", "yellow")


def test_a_model_cannot_flood_the_terminal() -> None:
    seen: list[Line] = []
    progress = Progress("kubectl-ai", {}, seen.append, str)
    for _number in range(1000):
        progress.decided("kubectl get pods", "no")
    progress.ended(unanswered("1", "kubectl-ai", "timeout", "late"))
    assert len(seen) < 70 and "timeout" in seen[-1][0]


def _options(**given: Any) -> dict[str, Any]:
    return {**{name: rule.get("default") for name, rule in SPEC.items()}, "questions": [{**QUESTION, "evidence": [], "remedies": []}], **given}


@pytest.mark.parametrize(("name", "value"), [("budget", -1), ("max_questions", -1), ("parallel", 0), ("parallel", 17), ("max_excerpt_bytes", -5)])
def test_wrong_numbers_are_named(name: str, value: int) -> None:
    with pytest.raises(BadInput, match=f"{name} is {value}"):
        answers(_options(**{name: value}), {})


def test_wrong_template_is_found_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="prompt_file"):
        answers(_options(prompt_file=str(tmp_path / "missing"), ai="off"), {})


def test_usage_of_a_run_without_an_engine() -> None:
    result = answers(_options(), {"PATH": os.devnull})
    assert result["opinions"][0]["outcome"] == "unavailable"
    assert {**result["usage"], "seconds": 0} == {"questions": 1, "answered": 0, "attempts": 0, "seconds": 0, "tokens": None, "cost": None}
    with pytest.raises(AiopsError, match="answered none of 1 question") as caught:
        answers(_options(ai="required"), {"PATH": os.devnull})
    assert caught.value.details["opinions"] == result["opinions"]
