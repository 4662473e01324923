# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Servers on this machine that notifications are sent to: HTTP, SMTP with login, and Slack behind a proxy that ends its TLS."""

from __future__ import annotations

import base64
import datetime
import email
import email.policy
import http.server
import ipaddress
import json
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HANGS = 30.0  # seconds that a server keeps silent; longer than anybody waits for it


@dataclass
class Received:
    """What one server got. ``requests``: (path, headers with names in lower case, body)."""

    port: int
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    received: Received
    context: ssl.SSLContext | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are what some tests are about."""


@contextmanager
def _serving(handler: type[socketserver.BaseRequestHandler], context: ssl.SSLContext | None = None, whole: bool = False) -> Iterator[Received]:
    """A server on a free port; ``whole``: all of it speaks TLS."""
    with _Server(("127.0.0.1", 0), handler) as server:
        server.received = Received(server.server_address[1])
        server.context = context
        if context and whole:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server.received
        finally:
            server.shutdown()


class _Http(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
        if self.path.startswith("/drip"):
            self._drip()
        self.send_response(int(self.path[1:4]) if self.path[1:4].isdigit() else 204)
        self.end_headers()

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        for _second in range(int(HANGS)):
            self.wfile.write(b" ")
            time.sleep(1)

    def log_message(self, format: str, *args: Any) -> None:  # pylint: disable=redefined-builtin
        """Not onto the terminal."""


class _Slack(_Http):
    """A proxy that says it is whatever host is asked for: CONNECT, then TLS with the test's certificate, then Slack's answer."""

    def do_CONNECT(self) -> None:  # noqa: N802
        assert self.server.context
        self.send_response(200)
        self.end_headers()
        host = self.path
        self.connection = self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.raw_requestline = self.rfile.readline()
        assert self.parse_request()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.requests.append((f"{host}{self.path}", {name.lower(): value for name, value in self.headers.items()}, body))
        wrong = self.path == "/api/chat.postMessage" and not self.headers["Authorization"].endswith("right")
        answer = {"ok": not wrong, **({"error": "invalid_auth"} if wrong else {"ts": "1.0", "channel": "C1"})}
        text = json.dumps(answer).encode() if self.path.startswith("/api/") else b"ok"
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        self.close_connection = True


class _Smtp(socketserver.StreamRequestHandler):
    """As much SMTP as smtplib speaks: EHLO, STARTTLS, AUTH PLAIN, mails."""

    server: _Server

    def handle(self) -> None:
        self._say("220 test")
        encrypted = False
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb == "EHLO":
                offers = ["STARTTLS"] if self.server.context and not encrypted else ["AUTH PLAIN"]
                self._say("250-test", *(f"250-{one}" for one in offers), "250 8BITMIME")
            elif verb == "STARTTLS" and self.server.context:
                self._say("220 go")
                self.request = self.connection = self.server.context.wrap_socket(self.request, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)  # type: ignore[assignment]
                encrypted = True
            elif verb == "AUTH":
                _nothing, name, password = base64.b64decode(line.split()[2]).decode().split("\0")
                self.server.received.logins.append((name, password))
                self._say("235 welcome" if password.endswith("right") else "535 no")
            elif verb == "RCPT" and "nobody@" in line:
                self._say("550 no such person")
            elif verb == "DATA":
                self._say("354 go on")
                data = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.received.mails.append(email.message_from_bytes(data, policy=email.policy.default))
                self._say("250 kept")
            else:
                self._say("221 bye" if verb == "QUIT" else "250 ok")

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


class _Silent(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        time.sleep(HANGS)


def http_server(context: ssl.SSLContext | None = None) -> Any:
    """POST /204 is answered with 204, /500 with 500..., /drip slowly for ever."""
    return _serving(_Http, context, whole=True)


def slack_proxy(context: ssl.SSLContext) -> Any:
    return _serving(_Slack, context)


def smtp_server(context: ssl.SSLContext | None = None) -> Any:
    """Passwords that end with ``right`` are right. With a context it offers STARTTLS."""
    return _serving(_Smtp, context)


def silent_server() -> Any:
    """Takes connections and says nothing."""
    return _serving(_Silent)


def certificate(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """(for a server, the file that a client trusts it by) for this machine and Slack's addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "aiops.k8s test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names: list[x509.GeneralName] = [x509.DNSName("hooks.slack.com"), x509.DNSName("slack.com"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, private = directory / "trusted.pem", directory / "key.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, private)
    return context, trusted
