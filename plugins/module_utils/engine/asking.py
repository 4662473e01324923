# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One question to kubectl-ai: run it, try again where that may help, ask again once where the answer cannot be read."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.engine import confine, process, session, transcript
from ansible_collections.aiops.k8s.plugins.module_utils.engine.answer import ANSWER_BYTES
from ansible_collections.aiops.k8s.plugins.module_utils.engine.bundle import Limits, Prompt, Redact, asked_again, build, collection_redact
from ansible_collections.aiops.k8s.plugins.module_utils.engine.identity import Identity
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Clean, Opinion, Outcome, plain, unanswered, with_answer
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Progress
from ansible_collections.aiops.k8s.plugins.module_utils.engine.providers import Choice, readable_files, route, secret_values, visible
from ansible_collections.aiops.k8s.plugins.module_utils.engine.template import STANDARD, Template
from ansible_collections.aiops.k8s.plugins.module_utils.engine.trace import sum_cost, sum_tokens

ENGINE = "kubectl-ai"

_TRIES = 3  # of a call that fails for a passing reason, by kubectl-ai and by us together
_PAUSES = (0.5, 1.5)  # seconds before the second and the third
_WORTHWHILE = 0.5  # seconds below which no further run is started
_COMMANDS, _COMMAND = 50, 500  # commands that are reported, and characters of each


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to run the engine. binary, provider, model: None where the environment decides.

    parallel: questions that are under way at the same time; None: as many as the provider can be expected to work on.
    """

    binary: str | None = None
    provider: str | None = None
    model: str | None = None
    limits: Limits = Limits()
    confined: bool = True
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


def start(question: Mapping[str, Any], outcome: Outcome, reason: str, choice: Choice) -> Opinion:
    return {**unanswered(str(question["id"]), ENGINE, outcome, reason), "provider": choice.provider, "model": choice.model}


class Asker:
    """Asks questions, all in the same way."""

    def __init__(self, settings: Settings, binary: str, choice: Choice, identity: Identity, environment: Mapping[str, str]) -> None:
        self._settings, self._choice, self._identity = settings, choice, identity
        kubectl = shutil.which("kubectl", path=environment.get("PATH", session.SYSTEM_PATH)) or ""
        seen = visible(choice.provider, environment)
        self.clean = cleaner([*secret_values(seen), *filter(None, [identity.token])], settings.redact)
        self._plan = session.Plan(
            binary=binary,
            provider=choice.provider,
            model=choice.model,
            kubectl=kubectl if identity.token else "",
            kubeconfig=identity.kubeconfig,
            model_environment=seen,
            network_environment=route(seen),
            readable_files=tuple(readable_files(choice.provider, environment)),
            confined=settings.confined,
        )
        self._remarks = _restrictions(identity, kubectl, settings.confined)

    def steps(self, question: Mapping[str, Any], directory: str, limit: float, progress: Progress) -> process.Steps[Asked]:
        """Ask within ``limit`` seconds. directory: must not exist yet."""
        started = time.monotonic()
        prompt = build(
            question,
            may_read_cluster=bool(self._plan.kubectl),
            limits=self._settings.limits,
            redact=self._settings.redact,
            template=self._settings.template,
        )
        asked = Asked(
            {
                **start(question, "unavailable", "", self._choice),
                "identity": self._identity.name,
                "template_sha256": self._settings.template.sha256,
                "remarks": [*prompt.remarks, *self._remarks],
            }
        )
        try:
            os.mkdir(directory, 0o700)
            yield from self._attempts(asked, question, prompt, directory, started + limit, progress)
        except OSError as error:
            asked.opinion["reason"] = asked.endpoint = self.clean(f"{ENGINE} cannot be run: {error}")
        asked.opinion["duration_seconds"] = round(time.monotonic() - started, 3)
        return asked

    def _attempts(
        self, asked: Asked, question: Mapping[str, Any], prompt: Prompt, directory: str, deadline: float, progress: Progress
    ) -> process.Steps[None]:
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
            place = os.path.join(directory, str(asked.opinion["attempts"]))
            os.mkdir(place, 0o700)
            result = yield from session.steps(self._plan, prompt.text, place, deadline - began, progress.decided)
            failure = self._read(asked, question, result, limit)
            now = time.monotonic()
            left, took = deadline - now, now - began
            if failure.again and not result.ended.timed_out:
                failures += max(1, result.trace.failed)
                pause = _PAUSES[min(failures, len(_PAUSES)) - 1]
                if failures >= _TRIES or left < pause + max(took, _WORTHWHILE):
                    break
                progress.again(failure.reason, pause)
                while time.monotonic() < now + pause:
                    yield
            elif asked.opinion["outcome"] == "unparseable" and not unread and not asked.huge and left >= max(took, _WORTHWHILE):
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

    def _read(self, asked: Asked, question: Mapping[str, Any], result: session.Result, limit: float) -> transcript.Failure:
        """Put the outcome of a run into the opinion."""
        opinion, allowed = asked.opinion, [command for command, refusal in result.decisions if not refusal]
        asked.heard = asked.heard or result.heard
        opinion["tokens"] = sum_tokens([opinion["tokens"], result.trace.tokens()])
        opinion["cost"] = sum_cost([opinion["cost"], result.trace.cost()])
        opinion["commands"] = [*opinion["commands"], *(plain(self.clean(command), _COMMAND) for command in allowed)][:_COMMANDS]
        refused = [(command, refusal) for command, refusal in result.decisions if refusal]
        opinion["remarks"] += [plain(self.clean(f"not run: {command}: {reason}"), _COMMAND) for command, reason in refused[:_COMMANDS]]
        failure = self._failure(asked, result, limit)
        raw = "" if failure else transcript.answer(result.entries, result.ended.stdout)
        asked.huge = asked.huge or len(raw) > ANSWER_BYTES
        if raw:
            asked.opinion = with_answer(opinion, raw, question, self.clean)
            return transcript.Failure(asked.opinion["outcome"], asked.opinion["reason"])
        if not failure:
            found = transcript.failure(result.entries, result.ended.stderr, result.ended.status)
            failure = found._replace(reason=plain(self.clean(found.reason), _COMMAND))
        asked.opinion = {**opinion, "outcome": failure.outcome, "reason": failure.reason}
        return failure

    def _failure(self, asked: Asked, result: session.Result, limit: float) -> transcript.Failure | None:
        """What makes any answer void, or its absence certain."""
        if result.went_past_the_filter:
            return transcript.Failure(
                "refused",
                f"a command went past the filter of this collection, so the answer is not used: {ENGINE} is too old, or cannot start"
                " Python",
            )
        if result.ended.bloated:
            asked.huge = True
            return transcript.Failure(
                "unparseable", f"the answer did not end: {ENGINE} was stopped at {process.MEMORY_BYTES >> 20} MiB of memory"
            )
        if not result.ended.timed_out or transcript.answer(result.entries, ""):
            return None
        last = plain(self.clean(result.trace.last), 100)
        what = (
            f"; the last call of the endpoint ended with: {last}"
            if last and result.trace.failed
            else "" if asked.heard else "; the endpoint sent nothing"
        )
        return transcript.Failure("timeout", f"no answer within the {limit:.1f} s that were its share of the budget{what}")


def _restrictions(identity: Identity, kubectl: str, confined: bool) -> list[str]:
    """What the reader of an opinion must know about how it came about."""
    remarks = []
    if not identity.token:
        remarks.append(f"from the evidence alone: {identity.reason}")
    elif not kubectl:
        remarks.append("from the evidence alone: kubectl is not on the PATH")
    if not confined:
        remarks.append("not confined: switched off")
    elif not confine.version():
        remarks.append("not confined: this system has no Landlock")
    return remarks


def cleaner(values: Sequence[str], redact: Redact | None) -> Clean:
    """Takes out the secrets that the engine knows, and whatever else looks like one."""
    known: Callable[[str], tuple[str, int]] = redact or collection_redact()

    def clean(text: str) -> str:
        for value in values:
            text = text.replace(value, "[redacted]")
        return known(text)[0]

    return clean
