# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Many questions within one budget: several are under way at a time, in one thread.

Each gets an equal share, and what others leave of theirs. An endpoint that is found dead is not waited for again.
"""

from __future__ import annotations

import time
from typing import Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.engine import process
from ansible_collections.aiops.k8s.plugins.module_utils.engine.asking import Asked, Asker, Question
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import ANSWERED, Opinion, Outcome
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Progress, Show

_ROUNDING = 1e-6
_LEAST = 0.2  # seconds below which starting the engine makes no sense
_SEVERITIES = ("critical", "warning", "info")


def by_severity(questions: Sequence[Question], most: int) -> tuple[list[int], list[int]]:
    """(numbers of the questions to ask, the most severe first; those that are too many)."""

    def rank(number: int) -> int:
        severity = (questions[number].get("finding") or {}).get("severity")
        return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)

    order = sorted(range(len(questions)), key=rank)
    return order[:most], order[most:]


def share(now: float, deadline: float, waiting: int, ends: Sequence[float], width: int) -> float:
    """Seconds that the next question may take, so that all that wait can get as much.

    waiting: how many, with it. ends: when those that are under way must end; at most ``width`` are at a time.
    """
    free = [deadline - max(now, end) for end in ends] + [deadline - now] * (width - len(ends))
    lengths = {left / number for left in free for number in range(1, waiting + 1) if left > 0}
    return max((one for one in lengths if sum(int(left / one + _ROUNDING) for left in free) >= waiting), default=0.0)


def ask_all(questions: Sequence[Question], most: int, asker: Asker, deadline: float, width: int, show: Show) -> list[Opinion]:
    """One opinion per question, in their order, by ``deadline`` (monotonic). most: how many are asked; the others are skipped."""
    chosen, left_out = by_severity(questions, most)
    reason = f"not asked: max_questions is {most}, and those of more severe findings came first"
    opinions = {number: asker.start(questions[number], "skipped", reason) for number in left_out}
    opinions.update(_Round(questions, chosen, asker, deadline, width, show).opinions())
    return [opinions[number] for number in range(len(questions))]


class _Round:
    """All questions of one run."""

    def __init__(self, questions: Sequence[Question], order: list[int], asker: Asker, deadline: float, width: int, show: Show) -> None:
        self._questions, self._asker = questions, asker
        self._deadline, self._width, self._show = deadline, max(1, width), show
        self._waiting, self._many = list(order), len(order)
        self._running: dict[int, tuple[process.Steps[Asked], Progress]] = {}
        self._ends: dict[int, float] = {}
        self._done: dict[int, Opinion] = {}
        self._answered = False
        self._dead: tuple[Outcome, str] | None = None

    def opinions(self) -> dict[int, Opinion]:
        try:
            while self._waiting or self._running:
                while self._waiting and len(self._running) < self._width:
                    self._start(self._waiting[0])
                for number in list(self._running):
                    self._step(number)
                time.sleep(process.LOOK_EVERY if self._running else 0)
        finally:
            for work, _progress in self._running.values():
                work.close()
        return self._done

    def _start(self, number: int) -> None:
        now = time.monotonic()
        limit = share(now, self._deadline, len(self._waiting), [self._ends[one] for one in self._running], self._width)
        self._waiting.remove(number)
        question = self._questions[number]
        if self._dead or limit < _LEAST:
            outcome, reason = self._dead or ("timeout", "the budget was spent before this question")
            self._done[number] = self._asker.start(question, outcome, reason)
            return
        self._ends[number] = now + limit
        progress = Progress(self._asker.engine, question, self._show, self._asker.clean)
        progress.asks(*self._asker.announce(), self._many - len(self._waiting), self._many, limit)
        self._running[number] = self._asker.steps(question, limit, progress), progress

    def _step(self, number: int) -> None:
        work, progress = self._running[number]
        try:
            next(work)
        except StopIteration as end:
            del self._running[number]
            self._finish(number, end.value, progress)

    def _finish(self, number: int, asked: Asked, progress: Progress) -> None:
        opinion = self._done[number] = asked.opinion
        progress.ended(opinion)
        self._answered = self._answered or opinion["outcome"] in ANSWERED
        silent = opinion["outcome"] == "timeout" and not asked.heard and not self._answered
        if self._dead is None and (asked.endpoint or silent):
            self._dead = opinion["outcome"], f"not asked, since the endpoint failed before: {asked.endpoint or opinion['reason']}"
