# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""kubectl-ai as an engine: questions in, opinions out. Whatever goes wrong with the engine is a named outcome.

Several questions are under way at a time, in one thread. Each gets an equal share of the budget, and what others leave of theirs.
An endpoint that is found dead is not waited for again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.engine import process, session
from ansible_collections.aiops.k8s.plugins.module_utils.engine.asking import ENGINE, Asked, Asker, Settings, start
from ansible_collections.aiops.k8s.plugins.module_utils.engine.identity import nobody, of_service_account
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import ANSWERED, Opinion, Outcome, plain
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Progress, Show
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import nobody as unseen
from ansible_collections.aiops.k8s.plugins.module_utils.engine.providers import PROVIDERS, Choice, choose

BINARY_VARIABLE = "AIOPS_KUBECTL_AI"
RELEASES = "https://github.com/GoogleCloudPlatform/kubectl-ai/releases"

_ROUNDING = 1e-6
_LEAST = 0.2  # seconds below which starting the engine makes no sense
_TOKEN_SHARE = 0.5  # of the budget may go into getting the engine's own credentials
_SEVERITIES = ("critical", "warning", "info")

Question = Mapping[str, Any]


def ask(
    questions: Sequence[Question],
    settings: Settings,
    budget: float,
    environment: Mapping[str, str],
    *,
    connection: Mapping[str, Any] | None = None,
    service_account: Mapping[str, str] | None = None,
    show: Show = unseen,
) -> list[Opinion]:
    """One opinion per question, in their order, within ``budget`` seconds together.

    environment: where variables of providers are looked for; nothing else of it reaches the engine.
    connection: options with which a token of ``service_account`` is asked for; without the latter the engine sees no cluster.
    show: told of what happens, as it happens.
    """
    deadline = time.monotonic() + budget
    binary, problem = find(settings.binary, environment)
    choice = choose(settings.provider, settings.model, environment)
    if problem or choice.reason:
        return [start(question, "unavailable", problem or choice.reason, choice) for question in questions]
    chosen, left_out = by_severity(questions, settings.max_questions)
    reason = f"not asked: max_questions is {settings.max_questions}, and those of more severe findings came first"
    opinions = {number: start(questions[number], "skipped", reason, choice) for number in left_out}
    with tempfile.TemporaryDirectory(prefix="aiops-engine-", ignore_cleanup_errors=True) as directory:
        version = _Version(binary, directory)
        identity = nobody("no service_account was given")
        if service_account:
            identity = of_service_account(connection or {}, service_account, max(0.1, budget * _TOKEN_SHARE))
        asker = Asker(settings, binary, choice, identity, environment)
        width = settings.parallel or PROVIDERS[choice.provider].parallel
        opinions.update(_Round(questions, chosen, asker, choice, directory, deadline, width, show).opinions())
        return [{**opinions[number], "engine_version": version.text()} for number in range(len(questions))]


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


class _Round:
    """All questions of one run."""

    def __init__(
        self,
        questions: Sequence[Question],
        order: list[int],
        asker: Asker,
        choice: Choice,
        directory: str,
        deadline: float,
        width: int,
        show: Show,
    ) -> None:
        self._questions, self._asker, self._choice = questions, asker, choice
        self._directory, self._deadline, self._width, self._show = directory, deadline, max(1, width), show
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
            self._done[number] = start(question, outcome, reason, self._choice)
            return
        self._ends[number] = now + limit
        progress = Progress(ENGINE, question, self._show, self._asker.clean)
        progress.asks(self._choice.provider, self._choice.model, self._many - len(self._waiting), self._many, limit)
        self._running[number] = self._asker.steps(question, os.path.join(self._directory, str(number)), limit, progress), progress

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


def find(binary: str | None, environment: Mapping[str, str]) -> tuple[str, str]:
    """The path of the program, or why there is none."""
    named = binary or environment.get(BINARY_VARIABLE, "")
    path = shutil.which(os.path.expanduser(named) if named else ENGINE, path=environment.get("PATH", session.SYSTEM_PATH))
    if path:
        return os.path.realpath(path), ""
    what = f"{named} is not an executable file" if named else f"{ENGINE} is not on the PATH"
    return (
        "",
        f"{what}: get it from {RELEASES}, then put it on the PATH, or name it with the option binary or the variable {BINARY_VARIABLE}",
    )


class _Version:
    """What the program calls its own version; asked for while the model thinks."""

    def __init__(self, binary: str, directory: str) -> None:
        self._text = ""
        try:
            self._process: subprocess.Popen[str] | None = subprocess.Popen(
                [binary, "version"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=directory,
                env={"PATH": session.SYSTEM_PATH, "HOME": directory, "TMPDIR": directory},
                start_new_session=True,
            )
        except OSError:
            self._process = None

    def text(self) -> str:
        if self._process:
            try:
                output = self._process.communicate(timeout=1)[0]
            except subprocess.TimeoutExpired:
                self._process.kill()
                output = self._process.communicate()[0]
            self._process = None
            stated = dict(line.split(": ", 1) for line in output.splitlines() if ": " in line)
            self._text = plain(stated.get("version", ""), 64)
        return self._text
