# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A door in front of the API server that a test can hold shut: before a request goes in, or before its answer comes out.

What goes through is untouched, user agent included, so that the audit log shows it as if it had come directly. The way to
the gateway is plain HTTP on the loopback; from there on it is TLS as the administrator of the test cluster.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import yaml

Matches = Callable[[str, str], bool]  # (method, path with query)
_KEPT = ("accept", "content-type", "user-agent")


def is_change(method: str, path: str) -> bool:
    """A request that changes an object: not a dry run, not a question about oneself."""
    return method in ("PATCH", "DELETE", "PUT") and "dryRun=All" not in path


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """A client that was killed closes its connections without a word: that is what these tests are about."""


class Gateway:
    """``with Gateway(kubeconfig) as gateway``: ``gateway.kubeconfig`` is the way through it."""

    def __init__(self, kubeconfig: str) -> None:
        config = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._upstream = urlsplit(cluster["server"])
        self._context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as pair:  # Python reads certificates from files only
            pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pair.flush()
            self._context.load_cert_chain(pair.name)
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                gateway.forward(self)

            do_GET = do_POST = do_PATCH = do_DELETE = _forward

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._before: Matches | None = None
        self._after: Matches | None = None
        self._failing: Matches | None = None
        self._open = threading.Event()
        self.held = threading.Event()

    @property
    def kubeconfig(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "gateway",
            "clusters": [{"name": "gateway", "cluster": {"server": f"http://127.0.0.1:{self._server.server_port}"}}],
            "users": [{"name": "gateway", "user": {"token": "unused"}}],
            "contexts": [{"name": "gateway", "context": {"cluster": "gateway", "user": "gateway"}}],
        }

    def write(self, path: Path) -> str:
        """The kubeconfig as a file; returns its path."""
        path.write_text(json.dumps(self.kubeconfig), encoding="utf-8")
        return str(path)

    def hold(self, before: Matches | None = None, after: Matches | None = None) -> None:
        """Hold the requests that match before they are sent on, or after the API server has carried them out."""
        self._before, self._after = before, after
        self.held.clear()
        self._open.clear()

    def fail(self, before: Matches) -> None:
        """Answer the requests that match with 503, as an API server does that is going down, without sending them on."""
        self._failing = before

    def release(self) -> None:
        """Let through what is held and all that follows."""
        self._before = self._after = self._failing = None
        self._open.set()

    def forward(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if self._waited(self._before, handler) and _gone(handler):
            handler.close_connection = True  # whoever asked is dead: the request is not sent on
            return
        if self._failing and self._failing(handler.command, handler.path):
            self._answer(
                handler, 503, json.dumps({"kind": "Status", "code": 503, "reason": "ServiceUnavailable", "message": "the server is going down"}).encode()
            )
            return
        upstream = http.client.HTTPSConnection(str(self._upstream.hostname), self._upstream.port, context=self._context, timeout=60)
        headers = {name: value for name, value in handler.headers.items() if name.lower() in _KEPT}
        try:
            upstream.request(handler.command, handler.path, body or None, headers)
            answer = upstream.getresponse()
            data = answer.read()
        finally:
            upstream.close()
        self._waited(self._after, handler)
        self._answer(handler, answer.status, data, answer.headers.get("Content-Type", "application/json"))

    def _answer(self, handler: BaseHTTPRequestHandler, status: int, data: bytes, content_type: str = "application/json") -> None:
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", content_type)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        except OSError:
            handler.close_connection = True

    def _waited(self, matches: Matches | None, handler: BaseHTTPRequestHandler) -> bool:
        if not matches or not matches(handler.command, handler.path):
            return False
        self.held.set()
        self._open.wait(60)
        return True

    def __enter__(self) -> Gateway:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()


def _gone(handler: BaseHTTPRequestHandler) -> bool:
    """Whether the other side has closed its connection."""
    handler.connection.setblocking(False)
    try:
        return bool(handler.connection.recv(1) == b"")
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        handler.connection.setblocking(True)
