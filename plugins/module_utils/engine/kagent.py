# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An agent of kagent as an engine: questions in, opinions out. Whatever goes wrong with it is a named outcome.

It runs in the cluster, with a model and tools that somebody else gave it. So it is looked at first: an agent that can change the cluster
without being asked for approval is not asked, and whatever one wants approved is refused. The gate of this collection is the only one.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.engine import process, transcript
from ansible_collections.aiops.k8s.plugins.module_utils.engine.a2a_client import WHY_REFUSED, Agent, Exchange, within
from ansible_collections.aiops.k8s.plugins.module_utils.engine.a2a_door import Door, Trouble
from ansible_collections.aiops.k8s.plugins.module_utils.engine.asking import PAUSES, Asked, Asker, Attempt, Manner, Question
from ansible_collections.aiops.k8s.plugins.module_utils.engine.bundle import Prompt
from ansible_collections.aiops.k8s.plugins.module_utils.engine.kagent_tools import READING, may_change, told, tools_of, whole
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Failure, Opinion, Outcome, plain, unanswered
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Progress, Show
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import nobody as unseen
from ansible_collections.aiops.k8s.plugins.module_utils.engine.rounds import ask_all
from ansible_collections.aiops.k8s.plugins.module_utils.engine.trace import sum_tokens

ENGINE = "kagent"
AGENT, NAMESPACE = "aiops-analyst", "kagent"  # as the role setup makes it

UNKNOWN = "unknown"  # in place of tools that nobody tells
_ASKING = "ask_user"  # a tool that every agent of kagent has: it asks for input
_PARALLEL = 4
_PREPARE_SHARE = 0.5  # of the budget may go into finding the agent
_STOP_SHARE, _STOP_MOST = 0.1, 0.5  # of a question's time is kept for telling the agent to stop
_STOP_LEAST, _STOP_LONGEST = 0.1, 1.0  # seconds
_COMMANDS, _COMMAND = 50, 500  # tool calls that are reported, and characters of each


@dataclasses.dataclass(frozen=True)
class Settings(Manner):
    """Which agent to ask."""

    agent: str = AGENT
    namespace: str = NAMESPACE

    @property
    def name(self) -> str:
        return f"{self.namespace}/{self.agent}"


def ask(questions: Sequence[Question], settings: Settings, budget: float, door: Door, *, show: Show = unseen) -> list[Opinion]:
    """One opinion per question, in their order, within ``budget`` seconds together. show: told of what happens, as it happens."""
    if not questions:
        return []
    deadline = time.monotonic() + budget
    agent = Agent(door, settings.namespace, settings.agent)
    try:
        about = _prepare(agent, budget * _PREPARE_SHARE)
        tools, remarks = _tools(settings.name, about)
    except Trouble as trouble:
        outcome, reason = trouble.failure.outcome, trouble.failure.reason
        return [
            {**unanswered(str(question["id"]), ENGINE, outcome, reason), "agent": settings.name, "provider": ENGINE}
            for question in questions
        ]
    asker = Kagent(agent, about, settings, tools, remarks)
    return ask_all(questions, settings.max_questions, asker, deadline, settings.parallel or _PARALLEL, show)


def _prepare(agent: Agent, seconds: float) -> Mapping[str, Any]:
    """What kagent says about the agent. Tried again where that may help. Raises Trouble."""
    deadline = time.monotonic() + seconds

    def look() -> Mapping[str, Any]:
        agent.read_card(deadline)
        return agent.about(deadline)

    for pause in (*PAUSES, None):
        try:
            return within(look, max(0.0, deadline - time.monotonic()))
        except Trouble as trouble:
            if not trouble.failure.again or pause is None or time.monotonic() + pause >= deadline:
                raise
            time.sleep(pause)
    raise Trouble("unavailable", "kagent was not asked")


def _tools(name: str, about: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(the tools of the agent, remarks). Raises Trouble for an agent that can change the cluster unasked."""
    if not told(about):
        return [UNKNOWN], ["kagent does not tell which tools its agent has"]
    free, approved = tools_of(about)
    changing = [one for one in free if may_change(one) or whole(one)]
    if changing:
        raise Trouble(
            "refused",
            f"agent {name} has tools that may change the cluster without asking ({_listed(changing)}), so it is not asked:"
            " use one that only reads, such as setup_kagent=true of aiops.k8s.setup makes",
        )
    remarks = [f"its tools that need approval are always refused: {_listed(approved)}"] if approved else []
    unknown = [one for one in free if one not in READING]
    if unknown:
        remarks.append(f"it is not known whether these tools of the agent only read: {_listed(unknown)}")
    if not free:
        remarks.append("from the evidence alone: the agent has no tools")
    return [*free, *approved], remarks


def _listed(names: Sequence[str]) -> str:
    return plain(", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else ""), 300)


class Kagent(Asker):
    """Asks one agent."""

    def __init__(self, agent: Agent, about: Mapping[str, Any], settings: Settings, tools: Sequence[str], remarks: Sequence[str]) -> None:
        self._agent, self._approved = agent, set(tools_of(about)[1])
        super().__init__(
            ENGINE,
            {
                "agent": settings.name,
                "engine_version": plain(str(about.get("kagent_version") or agent.card.version), 64),
                "provider": plain(str(about.get("modelProvider") or ENGINE), 64),
                "model": plain(str(about.get("model") or ""), 200),
            },
            settings,
            secrets=agent.door.secrets,
            remarks=remarks,
            tools="agent" if tools else "none",
            identity=f"kagent agent {settings.name}" if tools else "none",
        )

    def announce(self) -> tuple[str, str]:
        return ENGINE, f"agent {self._agent.name}"

    def attempt(
        self, asked: Asked, question: Question, prompt: Prompt, deadline: float, limit: float, progress: Progress
    ) -> process.Steps[Attempt]:
        left = deadline - time.monotonic()
        until = deadline - min(_STOP_MOST, left * _STOP_SHARE)
        exchange = Exchange(self._agent, prompt.text, until, lambda name: may_change(name) and name not in self._approved)
        seen = _Seen(exchange, progress, {*self._approved, _ASKING})
        told = ""
        exchange.start()
        try:
            while not exchange.done and time.monotonic() < until:
                seen.look()
                yield
            seen.look()
        finally:
            late = not exchange.done  # what follows from being stopped is no failure of the agent
            exchange.stop()
            if exchange.trouble or late:
                told = _told(exchange, min(_STOP_LONGEST, max(_STOP_LEAST, deadline - time.monotonic())))
        if exchange.fault:
            raise exchange.fault
        failure = self._read(asked, question, exchange, late, limit, told)
        return Attempt(failure, 1, failure.outcome == "timeout")

    def _read(self, asked: Asked, question: Question, exchange: Exchange, late: bool, limit: float, told: str) -> Failure:
        """Put the outcome of an exchange into the opinion."""
        opinion, said = asked.opinion, exchange.conversation
        asked.heard = asked.heard or exchange.heard
        opinion["tokens"] = sum_tokens([opinion["tokens"], said.tokens])
        refused = [plain(self.clean(one), _COMMAND) for one in exchange.refused[:_COMMANDS]]
        made = [plain(self.clean(str(one)), _COMMAND) for one in said.calls if str(one) not in exchange.refused]
        opinion["commands"] = [*opinion["commands"], *made][:_COMMANDS]
        opinion["remarks"] += [f"the agent wanted approval, which was refused, since {WHY_REFUSED}: {one}" for one in refused]
        failure = self._failure(exchange, late, limit)
        if not failure:
            return self.answered(asked, question, said.text)
        if told:
            opinion["remarks"].append(f"the agent could not be told to stop: {plain(self.clean(told), _COMMAND)}")
        failure = failure._replace(reason=plain(self.clean(failure.reason), _COMMAND))
        asked.opinion = {**opinion, "outcome": failure.outcome, "reason": failure.reason}
        return failure

    def _failure(self, exchange: Exchange, late: bool, limit: float) -> Failure | None:
        said = exchange.conversation
        state = f"; its last state was {plain(said.state, 32)}" if said.state else ""
        timeout = Failure("timeout", f"no answer within the {limit:.1f} s that were its share of the budget{state}")
        if late:
            return timeout
        if exchange.trouble:
            return timeout if exchange.trouble.failure.outcome == "timeout" else exchange.trouble.failure
        if said.state in ("completed", "message"):
            return None if said.text.strip() else Failure("unparseable", transcript.EMPTY)
        text = " ".join(plain(said.text, 300).split()) or "it said nothing"
        if said.state == "failed":
            known = transcript.named(said.text)
            return known._replace(again=False) if known else Failure("unavailable", f"the agent failed: {text}")
        outcome, reason = _ENDED.get(said.state, _UNKNOWN)
        return Failure(outcome, reason.format(said.state, text))


_UNKNOWN: tuple[Outcome, str] = ("unparseable", "the agent stopped in a state that is not known ({0}): {1}")
_ENDED: dict[str, tuple[Outcome, str]] = {
    "rejected": ("refused", "the agent refused to answer: {1}"),
    "canceled": ("unavailable", "somebody else told the agent to stop: {1}"),
    "auth-required": ("refused", "the agent wants to be given credentials, which it does not get: {1}"),
}


def _told(exchange: Exchange, seconds: float) -> str:
    """Tell the agent to stop working for nobody; "" when it was told, or there is nothing to stop, else why not."""
    if not exchange.conversation.task or exchange.conversation.ended:
        return ""
    try:
        return within(exchange.cancel, seconds)
    except Trouble as trouble:
        return trouble.failure.reason


class _Seen:
    """Shows what an agent does, each thing once."""

    def __init__(self, exchange: Exchange, progress: Progress, waiting: set[str]) -> None:
        """waiting: tools that do nothing before they are approved."""
        self._exchange, self._progress, self._waiting = exchange, progress, waiting
        self._calls = self._refused = 0

    def look(self) -> None:
        calls, refused = self._exchange.conversation.calls, self._exchange.refused
        for one in calls[self._calls :]:
            if one.name not in self._waiting:
                self._progress.decided(str(one), "")
        for text in refused[self._refused :]:
            self._progress.decided(text, "no approval is given")
        self._calls, self._refused = len(calls), len(refused)
