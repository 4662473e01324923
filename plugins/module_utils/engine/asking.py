# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How a question is asked, whatever the engine: try again where that may help, ask again once where the answer cannot be read.

An engine says how one attempt goes: ``Asker.attempt``. ``rounds.py`` asks many questions.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.engine import process
from ansible_collections.aiops.k8s.plugins.module_utils.engine.answer import ANSWER_BYTES
from ansible_collections.aiops.k8s.plugins.module_utils.engine.bundle import Limits, Prompt, Redact, asked_again, build, collection_redact
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Clean, Failure, Opinion, Outcome, unanswered, with_answer
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Progress
from ansible_collections.aiops.k8s.plugins.module_utils.engine.template import STANDARD, Template

Question = Mapping[str, Any]

TRIES = 3  # of a call that fails for a passing reason
PAUSES = (0.5, 1.5)  # seconds before the second and the third
WORTHWHILE = 0.5  # seconds below which no further run is started


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manner:
    """How to ask, whatever the engine. parallel: questions under way at the same time; None: as many as suit the engine."""

    limits: Limits = Limits()
    redact: Redact | None = None  # the collection's own unless given
    template: Template = STANDARD
    max_questions: int = 10
    parallel: int | None = None


@dataclasses.dataclass
class Asked:
    """What became of a question.

    endpoint: why the next one would meet the same, or "". heard: whether the endpoint sent anything. huge: whether the answer was
    so long that another would cost too much.
    """

    opinion: Opinion
    endpoint: str = ""
    heard: bool = False
    huge: bool = False


class Attempt(NamedTuple):
    """How one attempt went: its failure, whose outcome is in the opinion already; calls that failed in it; whether time was up."""

    failure: Failure
    failed: int = 1
    timed_out: bool = False


class Asker:
    """Asks questions, all in the same way.

    engine: its name. about: fields of every opinion. remarks: what the reader of every opinion must know. tools: a key of template.TOOLS.
    identity: who the engine is in the cluster.
    """

    def __init__(
        self,
        engine: str,
        about: Mapping[str, Any],
        manner: Manner,
        *,
        secrets: Sequence[str] = (),
        remarks: Sequence[str] = (),
        tools: str = "none",
        identity: str = "none",
    ) -> None:
        self.engine, self.clean = engine, cleaner(secrets, manner.redact)
        self._about, self._manner, self._remarks, self._tools, self._identity = about, manner, remarks, tools, identity

    def start(self, question: Question, outcome: Outcome, reason: str) -> Opinion:
        return {**unanswered(str(question["id"]), self.engine, outcome, reason), **self._about}  # type: ignore[typeddict-item]

    def announce(self) -> tuple[str, str]:
        """(who provides the model, the model), as shown to a person."""
        return str(self._about.get("provider") or self.engine), str(self._about.get("model") or "")

    def attempt(
        self, asked: Asked, question: Question, prompt: Prompt, deadline: float, limit: float, progress: Progress
    ) -> process.Steps[Attempt]:
        """Ask once, and put what comes of it into the opinion. deadline: monotonic. limit: seconds that the question had in all."""
        raise NotImplementedError

    def steps(self, question: Question, limit: float, progress: Progress) -> process.Steps[Asked]:
        """Ask within ``limit`` seconds."""
        started = time.monotonic()
        manner = self._manner
        prompt = build(question, tools=self._tools, limits=manner.limits, redact=manner.redact, template=manner.template)
        asked = Asked(
            {
                **self.start(question, "unavailable", ""),
                "identity": self._identity,
                "template_sha256": manner.template.sha256,
                "remarks": [*prompt.remarks, *self._remarks],
            }
        )
        try:
            yield from self._attempts(asked, question, prompt, started + limit, progress)
        except OSError as error:
            asked.opinion["reason"] = asked.endpoint = self.clean(f"{self.engine} cannot be run: {error}")
        asked.opinion["duration_seconds"] = round(time.monotonic() - started, 3)
        return asked

    def _attempts(self, asked: Asked, question: Question, prompt: Prompt, deadline: float, progress: Progress) -> process.Steps[None]:
        limit = deadline - time.monotonic()
        failures = 0
        unread = ""  # why the first answer could not be read
        while True:
            began = time.monotonic()
            asked.opinion = {
                **asked.opinion,
                "prompt": prompt.text,
                "prompt_sha256": prompt.sha256,
                "attempts": asked.opinion["attempts"] + 1,
            }
            attempt = yield from self.attempt(asked, question, prompt, deadline, limit, progress)
            failure = attempt.failure
            now = time.monotonic()
            left, took = deadline - now, now - began
            if failure.again and not attempt.timed_out:
                failures += max(1, attempt.failed)
                pause = PAUSES[min(failures, len(PAUSES)) - 1]
                if failures >= TRIES or left < pause + max(took, WORTHWHILE):
                    break
                progress.again(failure.reason, pause)
                while time.monotonic() < now + pause:
                    yield
            elif asked.opinion["outcome"] == "unparseable" and not unread and not asked.huge and left >= max(took, WORTHWHILE):
                unread = asked.opinion["reason"]
                progress.again(unread, 0)
                asked.opinion["remarks"].append(f"asked again: {unread}")
                prompt = asked_again(prompt, unread)
            else:
                break
        asked.endpoint = failure.reason if failure.endpoint else ""
        if unread and asked.opinion["outcome"] in ("timeout", "unavailable"):
            asked.opinion["remarks"].append(f"the second time: {asked.opinion['outcome']}: {asked.opinion['reason']}")
            asked.opinion = {**asked.opinion, "outcome": "unparseable", "reason": unread}

    def answered(self, asked: Asked, question: Question, raw: str) -> Failure:
        """Read the model's answer into the opinion."""
        asked.huge = asked.huge or len(raw) > ANSWER_BYTES
        asked.opinion = with_answer(asked.opinion, raw, question, self.clean)
        return Failure(asked.opinion["outcome"], asked.opinion["reason"])


def cleaner(values: Sequence[str], redact: Redact | None) -> Clean:
    """Takes out the secrets that the engine knows, and whatever else looks like one."""
    known: Callable[[str], tuple[str, int]] = redact or collection_redact()

    def clean(text: str) -> str:
        for value in values:
            text = text.replace(value, "[redacted]")
        return known(text)[0]

    return clean
