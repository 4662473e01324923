# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The A2A protocol (agent to agent) as plain data: what is said to an agent, and what its answers hold. Nothing is sent here.

JSON-RPC in two dialects, told apart by the agent card. 0.3: methods as message/send, parts and events with a ``kind``, states in
lower case. 1.0: methods as SendMessage with the header A2A-Version, parts and events by their only key, states as TASK_STATE_COMPLETED.
"""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.engine.trace import Tokens

CARDS = (".well-known/agent-card.json", ".well-known/agent.json")  # the second is older
_MOST_TOKENS = 10**9
_MOST_CALLS = 200  # tool calls that are remembered
_TEXT = 200  # characters of what an agent says of itself


class NotA2A(ValueError):
    """What came is not what the protocol says; the message says what is wrong."""


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How one version of the protocol writes things. version: as in the header, "" where none is sent."""

    version: str
    send: str
    stream: str
    get: str
    cancel: str
    user: str


OLD = Dialect("", "message/send", "message/stream", "tasks/get", "tasks/cancel", "user")
NEW = Dialect("1.0", "SendMessage", "SendStreamingMessage", "GetTask", "CancelTask", "ROLE_USER")


@dataclasses.dataclass(frozen=True)
class Card:
    """What an agent says of itself."""

    name: str
    version: str
    dialect: Dialect
    streaming: bool


def read_card(value: Any) -> Card:
    """Raises NotA2A where it is no agent card, or one of an agent that does not speak JSON-RPC in a known version.

    Its addresses are not used: requests go where the user said, and nowhere else.
    """
    if not isinstance(value, Mapping) or not ({"url", "supportedInterfaces", "capabilities"} & set(value)):
        raise NotA2A("it has no agent card")
    offered = value.get("supportedInterfaces")
    interfaces = [item for item in offered if isinstance(item, Mapping)] if isinstance(offered, list) else []
    if interfaces:
        versions = [str(item.get("protocolVersion") or "") for item in interfaces if item.get("protocolBinding") == "JSONRPC"]
    else:
        versions = [str(value.get("protocolVersion") or "0.3")] if value.get("preferredTransport", "JSONRPC") == "JSONRPC" else []
        versions += [
            str(value.get("protocolVersion") or "0.3")
            for item in value.get("additionalInterfaces") or []
            if isinstance(item, Mapping) and item.get("transport") == "JSONRPC"
        ]
    if not versions:
        raise NotA2A("its agent does not speak JSON-RPC")
    # of several versions the newest that is known
    dialect = next((spoken for mark, spoken in (("1", NEW), ("0", OLD)) if any(one.partition(".")[0] == mark for one in versions)), None)
    if dialect is None:
        raise NotA2A(f"its agent speaks A2A {', '.join(versions)[:_TEXT]}, and 0.3 and 1.0 are known here")
    capabilities = value.get("capabilities")
    streaming = isinstance(capabilities, Mapping) and capabilities.get("streaming") is True
    return Card(str(value.get("name") or "")[:_TEXT], str(value.get("version") or "")[:_TEXT], dialect, streaming)


def call(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": dict(params)}


def message(dialect: Dialect, text: str, data: Mapping[str, Any] | None = None, task: str = "", context: str = "") -> dict[str, Any]:
    """The params of a message. data: a second part. task, context: what it goes on with."""
    parts: list[dict[str, Any]] = [{"text": text}]
    if data is not None:
        parts.insert(0, {"data": dict(data)})
    if dialect is OLD:
        parts = [{"kind": "data" if "data" in part else "text", **part} for part in parts]
    said = {"messageId": str(uuid.uuid4()), "role": dialect.user, "parts": parts}
    said.update({name: value for name, value in (("taskId", task), ("contextId", context)) if value})
    if dialect is OLD:
        return {"message": {"kind": "message", **said}, "configuration": {"acceptedOutputModes": ["text"], "blocking": False}}
    return {"message": said, "configuration": {"acceptedOutputModes": ["text/plain"], "returnImmediately": True}}


def result_of(value: Any) -> Mapping[str, Any]:
    """The result of a JSON-RPC answer. Raises Refusal for an error, NotA2A for anything else."""
    if not isinstance(value, Mapping):
        raise NotA2A("it answered with something that is not JSON-RPC")
    error = value.get("error")
    if error is not None:
        code = error.get("code") if isinstance(error, Mapping) else None
        said = error.get("message") if isinstance(error, Mapping) else error
        more = error.get("data") if isinstance(error, Mapping) else None
        detail = f" ({more if isinstance(more, str) else json.dumps(more)})"[:_TEXT] if more else ""
        raise Refusal(code if isinstance(code, int) else 0, f"{str(said)[:_TEXT * 2]}{detail}")
    result = value.get("result")
    if not isinstance(result, Mapping):
        raise NotA2A("it answered with something that is not JSON-RPC")
    return result


class Refusal(Exception):
    """A JSON-RPC error. code: of the protocol, 0 where it has none."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code, self.said = code, said


@dataclasses.dataclass(frozen=True)
class ToolCall:
    """A tool that the agent called, or asks to be allowed to call. arguments: as JSON."""

    name: str
    arguments: str
    identifier: str

    def __str__(self) -> str:
        return f"{self.name} {self.arguments}".strip()


FINAL = ("completed", "failed", "canceled", "rejected")
INTERRUPTED = ("input-required", "auth-required")
_CONFIRMATION = "adk_request_confirmation"  # kagent: the approval of a tool


class Conversation:
    """What an agent has said so far about one task, from answers and from events of a stream.

    state: "" until it says one; "message" where it answered without a task.
    """

    def __init__(self) -> None:
        self.task = self.context = self.state = ""
        self.status_text = ""
        self.calls: list[ToolCall] = []
        self.wanted: list[ToolCall] = []  # those that it asks approval for
        self._artifacts: dict[str, list[str]] = {}
        self._last = ""
        self._tokens: dict[str, Tokens] = {}
        self._of_task: Tokens | None = None

    @property
    def ended(self) -> bool:
        return self.state in FINAL or self.state == "message"

    @property
    def interrupted(self) -> bool:
        return self.state in INTERRUPTED

    @property
    def text(self) -> str:
        """The answer: the artifacts; without any what it said last."""
        return "\n".join(filter(None, ("".join(pieces) for pieces in self._artifacts.values()))) or self.status_text or self._last

    @property
    def tokens(self) -> Tokens | None:
        """The sum over what the agent states for its messages; what it states for a task alone counts where there is nothing else."""
        stated = list(self._tokens.values()) or list(filter(None, [self._of_task]))
        if not stated:
            return None
        return Tokens(prompt=sum(one["prompt"] for one in stated), completion=sum(one["completion"] for one in stated))

    def feed(self, value: Mapping[str, Any]) -> None:
        """Take in one result. Raises NotA2A for what is none."""
        kind, event = _event(value)
        for name, attribute in (("contextId", "context"), ("taskId" if kind != "task" else "id", "task")):
            if isinstance(event.get(name), str) and event[name]:
                setattr(self, attribute, event[name])
        {"task": self._task, "message": self._message, "status": self._status, "artifact": self._artifact}[kind](event)

    def again(self) -> None:
        """Something was said to the agent: what follows is its next answer."""
        self.state, self.status_text, self.wanted = "", "", []
        self._artifacts.clear()

    def _task(self, event: Mapping[str, Any]) -> None:
        for item in _items(event.get("history")):
            self._said(item)
        for item in _items(event.get("artifacts")):
            self._artifact({"artifact": item})
        self._status(event)

    def _message(self, event: Mapping[str, Any]) -> None:
        self._said(event)
        self.state = "message"

    def _status(self, event: Mapping[str, Any]) -> None:
        status = event.get("status")
        if not isinstance(status, Mapping):
            raise NotA2A("it answered with a task without a status")
        self.state = str(status.get("state") or "").removeprefix("TASK_STATE_").lower().replace("_", "-")
        said = status.get("message")
        self._of_task = _usage(event) or self._of_task
        if isinstance(said, Mapping):
            text = self._said(said)
            self.status_text = text if self.ended or self.interrupted else self.status_text

    def _artifact(self, event: Mapping[str, Any]) -> None:
        artifact = event.get("artifact")
        if not isinstance(artifact, Mapping):
            raise NotA2A("it answered with an artifact that is none")
        name = str(artifact.get("artifactId") or "")
        pieces = self._artifacts.setdefault(name, [])
        if event.get("append") is not True:
            pieces.clear()
        pieces += _texts(artifact.get("parts"))
        self._parts(artifact.get("parts"))

    def _said(self, item: Mapping[str, Any]) -> str:
        """A message: its text, when it is the agent's."""
        if str(item.get("role") or "").lower().removeprefix("role_") == "user":
            return ""
        self._parts(item.get("parts"))
        usage = _usage(item)
        if usage:
            self._tokens[str(item.get("messageId") or len(self._tokens))] = usage
        text = "".join(_texts(item.get("parts")))
        self._last = text or self._last
        return text

    def _parts(self, parts: Any) -> None:
        """The tool calls in what an agent said; kagent's Go and Python runtimes mark them with other prefixes."""
        for part in _items(parts):
            data, metadata = part.get("data"), part.get("metadata")
            marks = (
                {str(value) for name, value in metadata.items() if str(name).endswith("type")} if isinstance(metadata, Mapping) else set()
            )
            if not isinstance(data, Mapping) or not isinstance(data.get("name"), str) or "function_response" in marks:
                continue
            if data["name"] == _CONFIRMATION:
                arguments = data.get("args")
                asked = arguments.get("originalFunctionCall") if isinstance(arguments, Mapping) else None
                self.wanted.append(_tool_call(asked if isinstance(asked, Mapping) else data))
            elif "function_call" in marks:
                one = _tool_call(data)
                if len(self.calls) < _MOST_CALLS and one not in self.calls:
                    self.calls.append(one)


def events(lines: Sequence[str]) -> Any:
    """The JSON of one server-sent event, from its lines. Raises NotA2A."""
    text = "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))
    return parsed(text) if text else None


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotA2A(f"it answered with something that is not JSON: {re.sub(r'[^ -~]+', ' ', text[:80])}") from error


def _event(value: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """(kind, the event itself) in either dialect."""
    kind = _KINDS.get(str(value.get("kind")))
    if kind:
        return kind, value
    found = [(short, value[name]) for name, short in _WRAPPED.items() if isinstance(value.get(name), Mapping)]
    if len(found) == 1:
        return found[0]
    if isinstance(value.get("status"), Mapping) and value.get("id"):  # tasks/get of 1.0 gives the task itself
        return "task", value
    raise NotA2A("it answered with neither a task nor a message")


_KINDS = {"task": "task", "message": "message", "status-update": "status", "artifact-update": "artifact"}
_WRAPPED = {"task": "task", "message": "message", "statusUpdate": "status", "artifactUpdate": "artifact"}


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _texts(parts: Any) -> list[str]:
    """Of thoughts that a model shows nothing is read."""
    found = []
    for part in _items(parts):
        metadata = part.get("metadata")
        thought = isinstance(metadata, Mapping) and any(str(name).endswith("thought") and value for name, value in metadata.items())
        if isinstance(part.get("text"), str) and not thought:
            found.append(part["text"])
    return found


def _tool_call(data: Mapping[str, Any]) -> ToolCall:
    arguments = data.get("args")
    text = json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, Mapping) and arguments else ""
    return ToolCall(str(data.get("name") or "")[:_TEXT], text, str(data.get("id") or "")[:_TEXT])


def _usage(item: Mapping[str, Any]) -> Tokens | None:
    """What kagent states in the metadata of a message or a task; its runtimes use other prefixes."""
    metadata = item.get("metadata")
    for name, usage in metadata.items() if isinstance(metadata, Mapping) else ():
        if str(name).endswith("usage_metadata") and isinstance(usage, Mapping):
            prompt, completion = (usage.get(one) for one in ("promptTokenCount", "candidatesTokenCount"))
            if _plausible(prompt) and _plausible(completion):
                return Tokens(prompt=int(prompt or 0), completion=int(completion or 0))
    return None


def _plausible(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS)
