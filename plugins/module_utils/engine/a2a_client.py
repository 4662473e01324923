# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One agent behind a door, and one exchange with it, in a thread of its own.

An exchange sends a message, follows its task by a stream or by asking for it, refuses whatever the agent wants approved, and can be
stopped at any time; the agent is told then. Whoever waits looks at ``done`` and never waits longer than he wants to.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Iterator, Mapping, TypeVar

from ansible_collections.aiops.k8s.plugins.module_utils.engine import a2a, process
from ansible_collections.aiops.k8s.plugins.module_utils.engine.a2a_door import NOT_FOUND, Door, Trouble
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import plain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

REFUSALS = 3  # requests for approval or input that are answered, with a refusal; then the exchange ends
WHY_REFUSED = "changes need the approval of this collection's own gate, and nobody can answer here"
_REFUSAL = (
    f"Refused: {WHY_REFUSED}. Do not call that tool. Answer the first question now, in the form that it asks for, from what you have."
)
_DECISION = {"decision_type": "reject", "rejection_reason": WHY_REFUSED}  # as kagent wants it
_POLLS = (0.1, 1.0, 1.5)  # seconds between two looks at a task: first, most, factor
_CANCEL = 1.0  # seconds for telling an agent to stop

Value = TypeVar("Value")


class Agent:
    """One agent of a kagent. path: below the door, with a slash at its end."""

    def __init__(self, door: Door, namespace: str, name: str) -> None:
        self.door, self.name = door, f"{namespace}/{name}"
        self._path, self._about = f"/api/a2a/{namespace}/{name}/", f"/api/agents/{namespace}/{name}"
        self.card = a2a.Card("", "", a2a.OLD, False)

    def read_card(self, deadline: float) -> None:
        """Learn how it speaks. Raises Trouble."""
        missing: Trouble | None = None
        for path in a2a.CARDS:
            try:
                data, _type = self.door.read("GET", self._path + path, None, {"Accept": "application/json"}, deadline)
            except Trouble as trouble:
                if trouble.status != NOT_FOUND:
                    raise
                missing = trouble
                continue
            try:
                self.card = a2a.read_card(a2a.parsed(data.decode("utf-8", "replace")))
                return
            except a2a.NotA2A as error:
                raise Trouble("unavailable", f"what answers at {self.door.shown} is no kagent: {error}") from error
        raise Trouble("unavailable", f"kagent has no agent {self.name}: {missing}: check the options agent and agent_namespace")

    def about(self, deadline: float) -> Mapping[str, Any]:
        """What kagent itself says about the agent: model, provider, tools, and kagent_version; without what it does not say.

        Raises Trouble.
        """
        found = dict(_object(self._page(self._about, deadline).get("data")))
        found.update(self._page("/version", deadline))
        return found

    def _page(self, path: str, deadline: float) -> Mapping[str, Any]:
        """One JSON object of kagent's own interface; empty where there is none."""
        try:
            data, _type = self.door.read("GET", path, None, {"Accept": "application/json"}, deadline)
            return _object(a2a.parsed(data.decode("utf-8", "replace")))
        except Trouble as trouble:
            if trouble.status == NOT_FOUND:
                return {}
            raise
        except a2a.NotA2A:
            return {}

    def call(self, method: str, params: Mapping[str, Any], deadline: float, stream: bool = False) -> Any:
        """The response, unread. Raises Trouble."""
        headers = {"Accept": "text/event-stream" if stream else "application/json"}
        if self.card.dialect.version:
            headers["A2A-Version"] = self.card.dialect.version
        return self.door.send("POST", self._path, a2a.call(method, params), headers, deadline)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


class Exchange(threading.Thread):
    """One message and what becomes of it. The fields are read by others while it runs."""

    def __init__(self, agent: Agent, text: str, deadline: float, writes: Callable[[str], bool]) -> None:
        super().__init__(name="aiops-a2a", daemon=True)  # whoever gives up on it does not wait for a socket
        self._agent, self._text, self._deadline, self._writes = agent, text, deadline, writes
        self._stopped = threading.Event()
        self._response: Any = None
        self.conversation = a2a.Conversation()
        self.trouble: Trouble | None = None
        self.fault: Exception | None = None
        self.heard = self.done = False
        self.refused: list[str] = []  # what the agent wanted, each named once

    def run(self) -> None:
        try:
            self._talk()
        except Trouble as trouble:
            self.trouble = trouble
        except a2a.NotA2A as error:
            self.trouble = Trouble("unavailable", f"what answers at {self._agent.door.shown} does not speak A2A: {error}")
        except a2a.Refusal as error:
            self.trouble = _refusal(error)
        except Exception as error:  # raised again where it is waited for; a thread has nobody to tell
            self.fault = error
        finally:
            self.done = True

    def stop(self) -> None:
        """End it: nothing more is read."""
        self._stopped.set()
        shutdown = getattr(self._response, "shutdown", None)
        if shutdown and not self.done:
            try:
                shutdown()
            except (OSError, ValueError, RuntimeError):
                return  # it ended meanwhile; an urllib3 without that leaves it to the end of this process

    def cancel(self) -> str:
        """Tell the agent to stop working on it. "" when it was told or has ended, else why that failed."""
        conversation, spoken = self.conversation, self._agent.card.dialect
        if not conversation.task or conversation.ended:
            return "" if conversation.ended else "it named no task"
        try:
            response = self._agent.call(spoken.cancel, {"id": conversation.task}, time.monotonic() + _CANCEL)
            data = b"".join(self._agent.door.pieces(response, time.monotonic() + _CANCEL))
            a2a.result_of(a2a.parsed(data.decode("utf-8", "replace")))
        except (Trouble, a2a.NotA2A, a2a.Refusal) as error:
            return plain(redact(str(error))[0], 200)
        return ""

    def _talk(self) -> None:
        spoken, conversation = self._agent.card.dialect, self.conversation
        params = a2a.message(spoken, self._text)
        for _turn in range(REFUSALS + 1):
            self._send(params)
            self._follow()
            if conversation.state != "input-required":
                return
            wanted = [str(one) for one in conversation.wanted] or [f"asked for input: {conversation.status_text}"]
            self.refused += [one for one in wanted if one not in self.refused]
            params = a2a.message(spoken, _REFUSAL, dict(_DECISION), conversation.task, conversation.context)
            conversation.again()
        raise Trouble("refused", f"the agent went on asking for what it does not get: {'; '.join(self.refused)}", endpoint=False)

    def _send(self, params: Mapping[str, Any]) -> None:
        agent, spoken = self._agent, self._agent.card.dialect
        self._begin(spoken.stream if agent.card.streaming else spoken.send, params)
        if not (self.conversation.state or self.conversation.task):
            self._begin(spoken.send, params)  # kagent ends a stream that it cannot begin without a word; this way it says why

    def _begin(self, method: str, params: Mapping[str, Any]) -> None:
        agent, stream = self._agent, method == self._agent.card.dialect.stream
        self._response = agent.call(method, params, self._deadline, stream)
        self.heard = True
        pieces = agent.door.pieces(self._response, self._deadline)
        if "event-stream" not in self._response.headers.get("Content-Type", ""):
            self._take(a2a.parsed(b"".join(pieces).decode("utf-8", "replace")))
            return
        for event in _events(pieces):
            self._take(event)
            if self.conversation.ended or self.conversation.interrupted:
                pieces.close()  # type: ignore[attr-defined]
                return

    def _follow(self) -> None:
        """Ask for the task until it has ended."""
        conversation, spoken = self.conversation, self._agent.card.dialect
        pause, most, factor = _POLLS
        while not (conversation.ended or conversation.interrupted):
            if not conversation.task:
                raise a2a.NotA2A("it answered nothing")
            if self._stopped.wait(pause):
                raise Trouble("timeout", "stopped", endpoint=False)
            pause = min(most, pause * factor)
            self._response = self._agent.call(spoken.get, {"id": conversation.task}, self._deadline)
            self._take(a2a.parsed(b"".join(self._agent.door.pieces(self._response, self._deadline)).decode("utf-8", "replace")))

    def _take(self, value: Any) -> None:
        self.conversation.feed(a2a.result_of(value))
        forbidden = next((one for one in self.conversation.calls if self._writes(one.name)), None)
        if forbidden:
            raise Trouble(
                "refused", f"the agent called a tool that may change the cluster, so its answer is not used: {forbidden}", endpoint=False
            )


def _events(pieces: Iterator[bytes]) -> Iterator[Any]:
    """The events of a stream; comments and empty ones are left out."""
    lines: list[str] = []
    rest: list[bytes] = []
    for piece in pieces:
        rest.append(piece)
        if b"\n" not in piece:
            continue
        *whole, last = b"".join(rest).split(b"\n")
        rest = [last]
        for line in whole:
            text = line.decode("utf-8", "replace").rstrip("\r")
            if text:
                lines.append(text)
                continue
            event, lines = a2a.events(lines), []
            if event is not None:
                yield event
    event = a2a.events([*lines, b"".join(rest).decode("utf-8", "replace").rstrip("\r")])
    if event is not None:
        yield event


def _refusal(error: a2a.Refusal) -> Trouble:
    said = " ".join(plain(redact(error.said)[0], 300).split())
    if error.code in (-32601, -32009, -32004):
        return Trouble("unavailable", f"the agent does not know what it was asked for ({error.code}): {said}")
    return Trouble("unavailable", f"the agent failed ({error.code}): {said}", again=error.code in (-32603, -32000))


def within(work: Callable[[], Value], seconds: float) -> Value:
    """What ``work`` returns, or raises; Trouble when it is not back in time. It goes on in its thread then, and nobody listens."""
    found: list[Value] = []
    raised: list[Exception] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="aiops-a2a-prepare", daemon=True)
    thread.start()
    until = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < until:
        thread.join(process.LOOK_EVERY)
    if raised:
        raise raised[0]
    if not found:
        raise Trouble("timeout", f"kagent did not answer within {seconds:.1f} s")
    return found[0]
