# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A way to the API server on which one request, named by its number, goes wrong.

``arm(at, how)``: ``how`` is what happens and when, such as ``kill after``. Before: the request is not sent on. After: the API server has
carried it out, and its answer is lost. What: kill (SIGKILL for the client), reset, hang (no answer), or the status of an answer.
Numbers begin at 1 and count the requests of the collection only; 0 lets everything through.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.integration.gateway import _KEPT, Gateway
from tests.integration.staging import USER_AGENT

OURS = "kubectl-faults"  # requests of the test itself: not counted here, and told apart in the audit log
_REASONS = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
Direct = Callable[..., dict[str, Any]]  # (method, path, body) -> the answer, {} for a GET of what does not exist
_HANGS = 5.0  # seconds: longer than any client of these tests waits


class FaultyGateway(Gateway):
    """``seen`` names the counted requests: ``PATCH /apis/...?dryRun=All``."""

    def __init__(self, kubeconfig: str) -> None:
        super().__init__(kubeconfig)
        setattr(self._server.RequestHandlerClass, "disable_nagle_algorithm", True)
        self._idle: queue.SimpleQueue[http.client.HTTPSConnection] = queue.SimpleQueue()  # each run is a new client: TLS is kept
        self._lock = threading.Lock()
        self._at, self._how = 0, ""
        self._victim: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.seen: list[str] = []

    def __enter__(self) -> FaultyGateway:
        super().__enter__()
        return self

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def arm(self, at: int = 0, how: str = "") -> None:
        """Before the client starts. ``aim`` says who it is once that is known."""
        self._at, self._how, self.seen, self._victim = at, how, [], queue.SimpleQueue()

    def aim(self, victim: int) -> None:
        self._victim.put(victim)

    def forward(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        what, when = self._fault(handler)
        if when == "before" and self._break(what, handler):
            return
        headers = {name: value for name, value in handler.headers.items() if name.lower() in _KEPT}
        status, data, content_type = self._send(handler.command, handler.path, body, headers)
        if when == "after" and self._break(what, handler):
            return
        self._answer(handler, status, data, content_type)

    def direct(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> dict[str, Any]:
        """A request of the test itself."""
        headers = {"User-Agent": OURS, "Content-Type": content_type, "Accept": "application/json"}
        status, data, _type = self._send(method, path, json.dumps(body).encode() if body is not None else b"", headers)
        return _answer_of(method, path, status, data)

    def from_a_fork(self, method: str, path: str) -> dict[str, Any]:
        """The same for a forked child, which must not use the connections that it shares with its parent."""
        connection = http.client.HTTPConnection("127.0.0.1", self._server.server_port, timeout=60)
        try:
            connection.request(method, path, headers={"User-Agent": OURS, "Accept": "application/json"})
            answer = connection.getresponse()
            return _answer_of(method, path, answer.status, answer.read())
        finally:
            connection.close()

    def _fault(self, handler: BaseHTTPRequestHandler) -> tuple[str, str]:
        if handler.headers.get("User-Agent") != USER_AGENT:
            return "", ""
        with self._lock:
            self.seen.append(f"{handler.command} {handler.path}")
            if len(self.seen) != self._at:
                return "", ""
        what, _blank, when = self._how.partition(" ")
        return what, when

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, str]:
        try:
            upstream = self._idle.get_nowait()
        except queue.Empty:
            upstream = http.client.HTTPSConnection(str(self._upstream.hostname), self._upstream.port, context=self._context, timeout=60)
        upstream.request(method, path, body or None, headers)
        answer = upstream.getresponse()
        data = answer.read()
        self._idle.put(upstream)
        return answer.status, data, answer.headers.get("Content-Type", "application/json")

    def _break(self, what: str, handler: BaseHTTPRequestHandler) -> bool:
        handler.close_connection = True
        if what == "kill":
            os.kill(self._victim.get(timeout=10), signal.SIGKILL)
        elif what == "hang":
            handler.connection.settimeout(_HANGS)
            try:
                handler.connection.recv(1)
            except OSError:
                pass  # the client has closed it, which is what is waited for
        elif what == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        else:
            status = int(what)
            answer = {"kind": "Status", "code": status, "reason": _REASONS[status], "message": "injected by a test"}
            self._answer(handler, status, json.dumps(answer).encode())
        return True


def _answer_of(method: str, path: str, status: int, data: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(data)
    if status == 404 and method == "GET":
        return {}
    assert status < 300, f"{method} {path}: {status} {answer.get('message')}"
    return answer


def until(what: str, condition: Any, seconds: float = 30.0, every: float = 0.01) -> Any:
    """What the condition returns once it is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not seen within {seconds:.0f} s: {what}"
        time.sleep(every)
    return value
