# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A web server on this machine that gives canned answers and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Iterator, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Asked(NamedTuple):
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """A status and a body: JSON unless it is bytes. Status 0 drops the connection."""

    status: int = 200
    body: Any = None


Route = Answer | Callable[[Asked], Answer]


class Web:
    """``routes`` by ``METHOD /path``; what is not there is a 404 as the API server writes it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.routes: dict[str, Route] = {}
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        missing = Answer(404, {"kind": "Status", "reason": "NotFound", "message": f"{asked.path} not found", "code": 404})
        route = self.routes.get(f"{asked.method} {asked.path}", missing)
        return route if isinstance(route, Answer) else route(asked)


@contextmanager
def serve() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True  # else every answer after the first takes 40 ms
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = web.answer(Asked(self.command, parts.path, parse_qs(parts.query), dict(self.headers.items()), body))
            if not answer.status:
                self.close_connection = True
                return
            data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _handle

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Quiet(("127.0.0.1", 0), Handler)
    web = Web(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def status(code: int, reason: str, message: str = "the message") -> Answer:
    return Answer(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code})
