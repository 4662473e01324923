# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A small HTTP server that speaks A2A as a script says, in both dialects. What the client is, is the real thing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

AGENT = "/api/a2a/kagent/aiops-analyst/"
ABOUT = "/api/agents/kagent/aiops-analyst"
OLD_CARD = {
    "name": "aiops_analyst",
    "version": "0.9",
    "url": "http://elsewhere.invalid/",
    "protocolVersion": "0.3.0",
    "preferredTransport": "JSONRPC",
    "capabilities": {"streaming": False},
}
NEW_CARD = {
    "name": "aiops_analyst",
    "version": "1.2",
    "supportedInterfaces": [
        {"url": "http://elsewhere.invalid/grpc", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
        {"url": "http://elsewhere.invalid/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
    ],
    "capabilities": {"streaming": False},
}


def streaming(card: Mapping[str, Any]) -> dict[str, Any]:
    return {**card, "capabilities": {"streaming": True}}


@dataclass
class Seen:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def call(self) -> str:
        return str(self.body.get("method")) if isinstance(self.body, dict) else ""


@dataclass
class Reply:
    """One response. body: an object as JSON, or bytes as they are. pieces: sent one after the other, with ``pause`` seconds before each."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    pause: float = 0.0
    hang: bool = False  # nothing at all until the server is closed


def result(value: Any) -> Reply:
    return Reply({"jsonrpc": "2.0", "id": "x", "result": value})


def error(code: int, message: str, **more: Any) -> Reply:
    return Reply({"jsonrpc": "2.0", "id": "x", "error": {"code": code, "message": message, **more}})


def events(*values: Any, pause: float = 0.0) -> Reply:
    pieces = [
        b": keep-alive\r\n\r\n",
        *(b"data: " + json.dumps({"jsonrpc": "2.0", "id": "x", "result": one}).encode() + b"\r\n\r\n" for one in values),
    ]
    return Reply(pieces=pieces, pause=pause, headers={"Content-Type": "text/event-stream"})


Answer = Callable[[Seen], Reply]


class ScriptedAgent:
    """``calls`` answers JSON-RPC by its method; ``card`` and ``about`` are what the agent and kagent say of it; None: 404."""

    def __init__(self, calls: Mapping[str, Reply | Answer] | Answer, card: Any = None, about: Any = None) -> None:
        self.calls, self.card, self.about = calls, OLD_CARD if card is None else card, about
        self.seen: list[Seen] = []
        self.closed = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"agent": self}))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ScriptedAgent:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def made(self) -> list[str]:
        """The methods that were called, in their order."""
        return [one.call for one in self.seen if one.method == "POST"]

    def reply(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        if seen.method == "GET":
            known = {f"{AGENT}.well-known/agent-card.json": self.card, ABOUT: self.about}
            found = known.get(seen.path)
            if isinstance(found, Reply):
                return found
            return Reply(found) if found is not None else Reply({"error": "not found"}, status=404)
        if callable(self.calls):
            return self.calls(seen)
        answer = self.calls[seen.call]
        return answer(seen) if callable(answer) else answer


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    agent: ScriptedAgent

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _do(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        seen = Seen(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, json.loads(raw) if raw else None)
        reply = self.agent.reply(seen)
        if reply.hang:
            self.agent.closed.wait(20)
            self.close_connection = True
            return
        try:
            self._send(reply)
        except OSError:
            self.close_connection = True

    do_GET = do_POST = _do

    def _send(self, reply: Reply) -> None:
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", **reply.headers}
        headers["Transfer-Encoding" if reply.pieces else "Content-Length"] = "chunked" if reply.pieces else str(len(data))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not reply.pieces:
            self.wfile.write(data)
        for piece in reply.pieces:
            if reply.pause and self.agent.closed.wait(reply.pause):
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        if reply.pieces:
            self.wfile.write(b"0\r\n\r\n")
