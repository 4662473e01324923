# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A language model that plays a script, behind the HTTP interfaces of the real ones: OpenAI (and everything compatible with
it: Azure, Grok, llama.cpp), Ollama and Gemini. Everything in front of it is the real engine.

In a test:
    with ScriptedModel([call("kubectl get pods"), answer("all is well")]) as model:
        run_engine(OPENAI_ENDPOINT=model.url + "/v1")
        assert model.requests[0].prompt == "..."

As a program: python tests/scripted_llm.py --port 0 --script answer.json
    {"turns": [{"calls": [["kubectl", "kubectl get pods"]]}, {"text": "all is well"}]}
    {"turns": [{"opinion": {"agrees": false}}]}     what is not given is filled with ids found in the prompt
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Sequence, Union


@dataclasses.dataclass(frozen=True)
class Turn:
    """One answer of the model."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()  # (tool, command) pairs
    status: int = 200
    body: str | None = None  # sent as it is, in place of a completion
    wait: float = 0.0  # seconds before the first byte; HANG waits until the server is closed
    pieces: int = 1  # streamed in so many pieces ...
    pause: float = 0.0  # ... with so many seconds between them
    usage: tuple[int, int] = (100, 20)  # tokens of the prompt and of the completion
    cost: float | None = None  # of this answer, stated with its tokens without being asked, as OpenRouter does
    headers: tuple[tuple[str, str], ...] = ()  # further ones of the response


@dataclasses.dataclass(frozen=True)
class Request:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def messages(self) -> list[tuple[str, str]]:
        """(role, text) of the conversation so far, whatever the provider calls its fields."""
        if "contents" in self.body:
            return [(item.get("role", "user"), "".join(part.get("text", "") for part in item.get("parts", []))) for item in self.body["contents"]]
        return [(item["role"], _text(item.get("content"))) for item in self.body.get("messages", [])]

    @property
    def prompt(self) -> str:
        """The first question of the user."""
        return next((text for role, text in self.messages if role == "user"), "")

    @property
    def turn(self) -> int:
        """How many answers the model has given before."""
        return sum(1 for role, _text in self.messages if role in ("assistant", "model"))

    @property
    def last(self) -> str:
        """The newest message: the question, or what a command printed."""
        return json.dumps(self.body["contents"][-1]) if "contents" in self.body else self.messages[-1][1]


Step = Union[Turn, Callable[[Request], Turn]]
HANG = float("inf")


def answer(text: str) -> Turn:
    return Turn(text=text)


def call(command: str, tool: str = "kubectl") -> Turn:
    return Turn(calls=((tool, command),))


def failure(status: int, message: str = "scripted failure") -> Turn:
    return Turn(status=status, body=json.dumps({"error": {"message": message, "type": "scripted", "code": status}}))


def hang() -> Turn:
    return Turn(wait=HANG)


def empty() -> Turn:
    return Turn(text="")


def not_json() -> Turn:
    return Turn(body="<html>this is not a completion</html>")


def gigantic(megabytes: int) -> Turn:
    return Turn(text="x" * (megabytes << 20))


def slow(text: str, seconds: float) -> Turn:
    return Turn(text=text, pieces=10, pause=seconds / 10)


def opinion(**fields: Any) -> Callable[[Request], Turn]:
    """An answer in the form that the prompt asks for, with ids that are in the prompt; fields override."""

    def compute(request: Request) -> Turn:
        found = {letter: re.findall(rf'"id": ?"({letter}\d+)"', request.prompt) for letter in "ER"}
        content = {
            "root_cause": "scripted root cause", "agrees": True, "code": None, "remedy": (found["R"] or [None])[0],
            "evidence": found["E"][:1], "confidence": 0.8, "note": "scripted", **fields,
        }
        return answer(f"```json\n{json.dumps(content)}\n```")

    return compute


def in_turn(*steps: Step) -> Callable[[Request], Turn]:
    """Request n gets step n, whatever conversation it belongs to; the last step answers everything after it."""
    waiting = list(steps)

    def compute(request: Request) -> Turn:
        step = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return step if isinstance(step, Turn) else step(request)

    return compute


class ScriptedModel:
    """Serves a script on 127.0.0.1. Turn n of a conversation gets step n; the last step answers everything after it."""

    def __init__(self, script: Step | Sequence[Step], port: int = 0, bind: str = "127.0.0.1", certificate: str = "") -> None:
        self.script: list[Step] = list(script) if isinstance(script, Sequence) else [script]
        self.requests: list[Request] = []
        self.closed = threading.Event()
        self._server = ThreadingHTTPServer((bind, port), type("Handler", (_Handler,), {"model": self}))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        if certificate:  # a PEM file with the key
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if certificate else ''}://{bind}:{self._server.server_address[1]}"

    def __enter__(self) -> ScriptedModel:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()

    def play(self, request: Request) -> Turn:
        self.requests.append(request)
        step = self.script[min(request.turn, len(self.script) - 1)]
        return step if isinstance(step, Turn) else step(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: ScriptedModel

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._send(200, "application/json", [json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]})])

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        turn = self.model.play(request)
        if self.model.closed.wait(None if turn.wait == HANG else turn.wait) and turn.wait == HANG:
            return
        if turn.body is not None:
            body = json.dumps({"error": json.loads(turn.body)["error"]["message"]}) if turn.status != 200 and "/api/chat" in request.path else turn.body
            self._send(turn.status, "application/json", [body], headers=turn.headers)
            return
        speak = next(function for mark, function in _DIALECTS.items() if mark in request.path)
        content_type, chunks = speak(request, turn)
        self._send(turn.status, content_type, chunks, turn.pause, turn.headers)

    def _send(self, status: int, content_type: str, chunks: list[str], pause: float = 0.0, headers: tuple[tuple[str, str], ...] = ()) -> None:
        try:
            self.send_response(status)
            for name, value in (("content-type", content_type), ("connection", "close"), *headers):
                self.send_header(name, value)
            self.end_headers()
            for chunk in chunks:
                self.wfile.write(chunk.encode())
                self.wfile.flush()
                if pause and self.model.closed.wait(pause):
                    break
        except OSError:
            pass  # the engine was killed, or went away
        self.close_connection = True


def _openai(request: Request, turn: Turn) -> tuple[str, list[str]]:
    calls = [
        {"index": index, "id": f"call-{request.turn}-{index}", "type": "function", "function": {"name": tool, "arguments": _arguments(command)}}
        for index, (tool, command) in enumerate(turn.calls)
    ]
    finish = "tool_calls" if calls else "stop"
    common = {"id": "scripted", "created": int(time.time()), "model": str(request.body.get("model", "scripted"))}
    usage: dict[str, float] = {"prompt_tokens": turn.usage[0], "completion_tokens": turn.usage[1], "total_tokens": sum(turn.usage)}
    if not request.body.get("stream"):
        message = {"role": "assistant", "content": turn.text, **({"tool_calls": calls} if calls else {})}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return "application/json", [json.dumps({**common, "object": "chat.completion", "choices": [choice], "usage": usage})]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": piece} for piece in _pieces(turn)]
    if calls:
        deltas.append({"role": "assistant", "tool_calls": calls})
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if turn.cost is not None:
        usage["cost"] = turn.cost
    if turn.cost is not None or (request.body.get("stream_options") or {}).get("include_usage"):
        chunks.append({"choices": [], "usage": usage})
    lines = [json.dumps({**common, "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
    return "text/event-stream", [f"data: {line}\n\n" for line in [*lines, "[DONE]"]]


def _ollama(request: Request, turn: Turn) -> tuple[str, list[str]]:
    calls = [{"function": {"name": tool, "arguments": {"command": command, "modifies_resource": "no"}}} for tool, command in turn.calls]
    message = {"role": "assistant", "content": turn.text, **({"tool_calls": calls} if calls else {})}
    counts = {"prompt_eval_count": turn.usage[0], "eval_count": turn.usage[1]}
    return "application/x-ndjson", [json.dumps({"model": request.body.get("model"), "message": message, "done": True, **counts}) + "\n"]


def _gemini(request: Request, turn: Turn) -> tuple[str, list[str]]:
    parts: list[dict[str, Any]] = [{"text": piece} for piece in _pieces(turn)]
    parts += [{"functionCall": {"name": tool, "args": {"command": command, "modifies_resource": "no"}}} for tool, command in turn.calls]
    counts = {"promptTokenCount": turn.usage[0], "candidatesTokenCount": turn.usage[1], "totalTokenCount": sum(turn.usage)}
    bodies = [
        json.dumps({"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}], "usageMetadata": counts})
        for part in parts or [{"text": ""}]
    ]
    if "streamGenerateContent" not in request.path:
        return "application/json", bodies[-1:]
    return "text/event-stream", [f"data: {body}\r\n\r\n" for body in bodies]


_DIALECTS: dict[str, Callable[[Request, Turn], tuple[str, list[str]]]] = {
    "chat/completions": _openai,
    "/api/chat": _ollama,
    "enerateContent": _gemini,
}


def _arguments(command: str) -> str:
    return json.dumps({"command": command, "modifies_resource": "no"})


def _text(content: Any) -> str:
    """The text of a message, given as a string or as a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _pieces(turn: Turn) -> list[str]:
    if not turn.text:
        return []
    size = -(-len(turn.text) // turn.pieces)
    return [turn.text[start:start + size] for start in range(0, len(turn.text), size)]


def load(script: dict[str, Any]) -> list[Step]:
    """The steps of a script file."""
    return [_step(turn) for turn in script["turns"]]


def _step(turn: dict[str, Any]) -> Step:
    if "opinion" in turn:
        return opinion(**turn["opinion"])
    if turn.get("hang"):
        return hang()
    return Turn(**{**turn, "calls": tuple((tool, command) for tool, command in turn.get("calls", []))})


def main() -> None:
    parser = argparse.ArgumentParser(description="A language model that plays a script.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bind", default="127.0.0.1", help="another address where engines in pods must reach it")
    parser.add_argument("--script", type=Path, help="a JSON file; without it every question gets an agreeing opinion")
    options = parser.parse_args()
    script = load(json.loads(options.script.read_text(encoding="utf-8"))) if options.script else [opinion()]
    with ScriptedModel(script, options.port, options.bind) as model:
        print(model.url, flush=True)
        try:
            model.closed.wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
