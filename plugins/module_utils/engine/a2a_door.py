# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The way to a kagent: its own address, or the API server's proxy to its Service. Bytes are bounded, redirects are not followed.

``open_door`` takes http(s)://HOST[:PORT][/PATH] and service://NAMESPACE/NAME[:PORT]. Whatever goes wrong on the way is a ``Trouble``.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from typing import Any, Iterator, Mapping
from urllib.parse import urlsplit

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import segment
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Failure, Outcome, plain
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, library
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

DEFAULT_URL = "service://kagent/kagent-controller:8083"
RESPONSE_BYTES = 4 << 20  # of one response; what is longer is not read
NOT_FOUND = 404
_ERROR_BYTES = 65_536  # of a response that is an error
_PIECE = 65_536
_CONNECT = 5.0  # seconds at most until a connection is there
_SERVICE = re.compile(r"service://([a-z0-9-]{1,63})/([a-z0-9-]{1,63})(?::(\d{1,5}))?/?")
_PORT = "8083"
INSTALL = "install kagent (https://kagent.dev), or name its address with the option url"


class Trouble(Exception):
    """The way or the agent failed; ``failure`` says how. status: of HTTP, where kagent itself answered with one."""

    def __init__(self, outcome: Outcome, reason: str, again: bool = False, endpoint: bool = True, status: int = 0) -> None:
        super().__init__(reason)
        self.failure, self.status = Failure(outcome, reason, again, endpoint), status


class Door:
    """Sends requests to one kagent. shown: its address as a person gave it. secrets: what must appear nowhere."""

    def __init__(self, shown: str, pool: Any, base: str, headers: list[tuple[str, str]], proxied: bool = False) -> None:
        self.shown, self.proxied = shown, proxied
        self._pool, self._base, self._headers = pool, base, headers
        self.secrets = [part for name, value in headers if name == "Authorization" for part in (value, value.partition(" ")[2]) if part]

    def send(self, method: str, path: str, body: Any, headers: Mapping[str, str], deadline: float) -> Any:
        """The response, unread, once its headers are there and its status is good. Raises Trouble. deadline: monotonic."""
        urllib3 = library("urllib3")
        left = deadline - time.monotonic()
        if left <= 0:
            raise Trouble("timeout", "the budget is spent")
        every = urllib3.HTTPHeaderDict([("User-Agent", "aiops.k8s"), ("Accept-Encoding", "identity"), *self._headers, *headers.items()])
        data = None
        if body is not None:
            every["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        try:
            response = self._pool.request(
                method,
                self._base + path,
                body=data,
                headers=every,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=min(left, _CONNECT), read=left),
            )
        except urllib3.exceptions.HTTPError as error:
            raise self.unreachable(error) from error
        if response.status >= 300:
            try:
                said = self._bounded(response, deadline, _ERROR_BYTES)
            except Trouble:
                said = b""
            raise self._refusal(response.status, response.headers, said)
        return response

    def read(self, method: str, path: str, body: Any, headers: Mapping[str, str], deadline: float) -> tuple[bytes, str]:
        """(the whole response, its content type). Raises Trouble."""
        response = self.send(method, path, body, headers, deadline)
        return self._bounded(response, deadline, RESPONSE_BYTES), response.headers.get("Content-Type", "")

    def pieces(self, response: Any, deadline: float, most: int = RESPONSE_BYTES) -> Iterator[bytes]:
        """The body as it comes in. Raises Trouble when it is too long, too slow, or breaks off."""
        urllib3 = library("urllib3")
        count = 0
        try:
            for piece in response.stream(_PIECE, decode_content=False):
                count += len(piece)
                if count > most:
                    raise Trouble("unparseable", f"the answer is longer than {most} bytes", endpoint=False)
                if time.monotonic() > deadline:
                    raise Trouble("timeout", "the answer did not end in time", endpoint=False)
                yield piece
        except urllib3.exceptions.HTTPError as error:
            raise self.unreachable(error) from error
        finally:
            response.close()

    def _bounded(self, response: Any, deadline: float, most: int) -> bytes:
        return b"".join(self.pieces(response, deadline, most))

    def unreachable(self, error: Exception) -> Trouble:
        cause = getattr(error, "reason", None) or error
        said = redact(" ".join(str(cause).split(": ", 1)[-1].split()))[0][:200]
        what = "the API server" if self.proxied else "kagent"
        kind = type(cause).__name__
        if "Timeout" in kind and "Connect" not in kind:
            return Trouble("timeout", f"{what} did not answer in time at {self.shown}", endpoint=False)
        passing = not re.search(r"certificate|CERTIFICATE|SSL|resolve|Name or service", said)
        return Trouble("unavailable", f"{what} cannot be reached at {self.shown}: {said}", again=passing)

    def _refusal(self, status: int, headers: Mapping[str, str], data: bytes) -> Trouble:
        said = _said(data)
        if self.proxied and said.get("kind") == "Status":
            return self._by_the_server(status, _short(said.get("message")))
        text = _short(said.get("message") or said.get("error") or data.decode("utf-8", "replace"))
        detail = f": {text}" if text else ""
        if status < 400:
            to = plain(redact(headers.get("Location", ""))[0], 200) or "somewhere else"
            return Trouble(
                "unavailable", f"{self.shown} sends on to {to}, which is not followed: give the address it names with the option url"
            )
        if status in (401, 403):
            return Trouble(
                "unavailable", f"kagent does not accept the credentials ({status}){detail}: check AIOPS_KAGENT_TOKEN or the option token"
            )
        if status == NOT_FOUND:
            return Trouble("unavailable", f"{self.shown} has nothing there{detail}", status=status)
        if status == 429 or status >= 500:
            return Trouble("unavailable", f"kagent has a failure of its own ({status}){detail}", again=True)
        return Trouble("unavailable", f"kagent refused the request ({status}){detail}")

    def _by_the_server(self, status: int, text: str) -> Trouble:
        """The API server answers itself: the Service is not there, has no pods, or may not be used."""
        if status == 404:
            return Trouble("unavailable", f"kagent is not installed where it was looked for: {text}: {INSTALL}")
        if status == 403:
            return Trouble(
                "unavailable", f"the connection may not use the proxy to {self.shown}: {text}: grant get and create on services/proxy there"
            )
        if status == 401:
            return Trouble("unavailable", f"the API server does not accept the connection's credentials: {text}")
        if status == 503:
            return Trouble("unavailable", f"kagent is down, no pod stands behind {self.shown}: {text}", again=True)
        return Trouble(
            "unavailable", f"the API server could not hand the request on to {self.shown} ({status}): {text}", again=status >= 500
        )


def open_door(
    url: str,
    token: str,
    environment: Mapping[str, str],
    *,
    connection: Mapping[str, Any],
    ca_cert: str | None = None,
    validate_certs: bool = True,
) -> Door:
    """Nothing is sent yet. Raises BadInput, which names the option url; AiopsError where the connection cannot be used.

    connection: options of kubernetes.core, for service://.
    """
    service = _SERVICE.fullmatch(url)
    if service:
        namespace, name, port = service[1], service[2], service[3] or _PORT
        # the connection's own credentials and certificates; a second header of that name would not reach kagent anyway
        api = connect(connection)
        path = f"/api/v1/namespaces/{segment(namespace)}/services/http:{segment(name)}:{port}/proxy"
        return Door(url, api.pool, api.server + path, list(api.headers), proxied=True)
    parts = urlsplit(url)
    try:
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or parts.query or parts.fragment
    except ValueError:
        wrong = True
    if wrong or parts.username or parts.password:
        why = "holds credentials, which belong into AIOPS_KAGENT_TOKEN" if parts.username or parts.password else "is no address of a kagent"
        shown = re.sub(r"//[^/]*@", "//***@", url)[:200]
        raise BadInput(
            f"url: {shown!r} {why}.", f"Give http://HOST:PORT, https://HOST:PORT or service://NAMESPACE/NAME:PORT ({DEFAULT_URL})."
        )
    pool = _pool(parts.scheme, str(parts.hostname), environment, ca_cert, validate_certs)
    return Door(url, pool, url.rstrip("/"), [("Authorization", f"Bearer {token}")] if token else [])


def _pool(scheme: str, host: str, environment: Mapping[str, str], ca_cert: str | None, validate_certs: bool) -> Any:
    urllib3 = library("urllib3")
    options: dict[str, Any] = {"retries": False, "maxsize": 16}
    if scheme == "https":
        try:
            options["ssl_context"] = _context(ca_cert or environment.get("SSL_CERT_FILE") or None, validate_certs)
        except OSError as error:
            raise BadInput(f"url_ca_cert: {ca_cert} cannot be used: {error}.", "Give a readable file with certificates as PEM.") from error
        options["assert_hostname"] = None if validate_certs else False
    set_for = {
        name.lower(): value for name, value in environment.items() if name.lower() in ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
    }
    proxy = set_for.get(f"{scheme}_proxy") or set_for.get("all_proxy")
    bypass = urllib.request.proxy_bypass_environment(host, {"no": set_for.get("no_proxy", "")})  # type: ignore[attr-defined]
    if proxy and not bypass and host not in ("localhost", "127.0.0.1", "::1"):
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)


def _context(ca_cert: str | None, validate_certs: bool) -> Any:
    ssl = library("ssl")
    context = ssl.create_default_context(cafile=ca_cert)
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def token_of(token: str | None, file: str | None, environment: Mapping[str, str]) -> str:
    """The bearer token: option, file, AIOPS_KAGENT_TOKEN, AIOPS_KAGENT_TOKEN_FILE. Raises BadInput."""
    path = file or ("" if token or environment.get("AIOPS_KAGENT_TOKEN") else environment.get("AIOPS_KAGENT_TOKEN_FILE", ""))
    given = token or ("" if path else environment.get("AIOPS_KAGENT_TOKEN", ""))
    if path:
        try:
            with open(path, encoding="utf-8") as stream:
                given = given or stream.read(65_536)
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"token_file: {path} cannot be read: {error}.", "Give a readable file that holds the token alone.") from error
    given = given.strip()
    if not re.fullmatch(r"[!-~]*", given):
        raise BadInput("token: it holds characters that no token has.", "Give the token alone, on one line.")
    return given


def _said(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _short(value: Any) -> str:
    return " ".join(plain(redact(str(value or "")[:2000])[0], 300).split())
