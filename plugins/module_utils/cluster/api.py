# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Plain JSON requests to one API server: the only code that talks to it. Every refusal becomes a named error."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Iterator, Mapping
from urllib.parse import quote, urlencode

from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, library
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

JSON_PATCH = "application/json-patch+json"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"  # of a list: only the metadata of each item
PAGE = 250  # objects per page of a list: 1 to 2 MB of pods, ten times that when parsed
# where a list goes on, at the start of its text as the server writes it
_CONTINUE = re.compile(rb'^\{"kind":"\w+","apiVersion":"[\w./-]+","metadata":\{[^{}]*?"continue":"([\w+/=-]+)"')
_GO_ESCAPES = {letter: f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}
FIELD_MANAGER = "aiops.k8s"
_BUSY = 429


class Unreachable(AiopsError):
    """No answer from the API server: name, network, TLS or time-out."""


class ApiError(AiopsError):
    """The API server answered with an error status. ``status`` is the HTTP status, ``reason`` the Status object's reason."""

    def __init__(self, status: int, reason: str, message: str, request: str, fix: str = "") -> None:
        super().__init__(f"The API server refused {request}: {status} {reason}: {message}", fix)
        self.status, self.reason, self.text = status, reason, message

    @property
    def for_now(self) -> bool:
        """Whether the same request may be answered otherwise later: the server failed, or was too busy to look at it."""
        return self.status >= 500 or self.status == _BUSY


class Api:
    """One API server as one identity. Safe to use from several threads."""

    def __init__(self, server: str, pool: Any, headers: list[tuple[str, str]], ca_data: bytes | None = None) -> None:
        self.server, self.ca_data = server, ca_data
        self.pool, self.headers = pool, headers  # the connection itself, for what does not speak the API (a service behind its proxy)
        self.clock_skew: float | None = None  # seconds by which this machine is ahead of the server, as its last answer says

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float = 30.0,
    ) -> Any:
        """Send one request and return the parsed JSON. Raises ApiError or Unreachable."""
        return json.loads(self._send(method, path, query, body, content_type, accept, timeout))

    def text(self, path: str, query: Mapping[str, Any] | None = None, *, timeout: float = 30.0, again: bool = True) -> str:
        """GET something that is not JSON (logs, metrics). Bytes that are not UTF-8 are replaced. ``again``: once more where nothing comes."""
        return self._send("GET", path, query, None, "", "*/*", timeout, again=again).decode("utf-8", "replace")

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """One object, or None where it does not exist."""
        try:
            return self.request("GET", path, query)  # type: ignore[no-any-return]
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def pages(self, path: str, query: Mapping[str, Any] | None = None, accept: str = "application/json") -> Iterator[dict[str, Any]]:
        """The items of a list, read page by page, so that memory follows what the caller keeps. ``accept``: another form of them, such as METADATA.

        The server works on the next page while the caller works on this one.
        """

        def fetch(token: str) -> bytes:
            chunk = {"limit": PAGE, **(query or {}), **({"continue": token} if token else {})}
            return self._send("GET", path, chunk, None, "application/json", accept, 30.0)

        body: bytes | None = fetch("")
        with ThreadPoolExecutor(1) as pool:
            while body is not None:
                match = _CONTINUE.match(body)
                ahead = pool.submit(fetch, match[1].decode()) if match else None
                answer, body = json.loads(body), None  # the text is as large as what becomes of it
                items, token = answer.get("items") or [], answer.get("metadata", {}).get("continue", "")
                answer = None
                items.reverse()
                while items:
                    yield items.pop()  # so that an item lives no longer than its reader wants
                if ahead:
                    body = ahead.result()
                elif token:
                    body = fetch(token)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any,
        content_type: str,
        accept: str,
        timeout: float,
        *,
        again: bool = True,
    ) -> bytes:
        urllib3 = library("urllib3")
        headers = urllib3.HTTPHeaderDict([("Accept", accept), ("User-Agent", "aiops.k8s")])
        for name, value in self.headers:
            headers.add(name, value)
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = as_go_writes(body)
        url = self.server + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        try:
            answer = self.pool.request(
                method,
                url,
                body=data,
                headers=headers,
                timeout=urllib3.Timeout(connect=min(timeout, 5.0), read=timeout),
                # a request that may have been carried out is never sent twice
                retries=urllib3.Retry(1 if method == "GET" and again else 0, redirect=0),
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(
                f"The API server {self.server} does not answer {method} {path}: {_cause(error)}.",
                "Check the server's address in the kubeconfig, the network and the certificates (options kubeconfig, context, host,"
                " ca_cert).",
            ) from error
        self._note_time(answer.headers.get("Date", ""))
        if answer.status >= 300:
            raise _refusal(answer.status, answer.data, f"{method} {path}")
        return bytes(answer.data)

    def _note_time(self, date: str) -> None:
        try:
            self.clock_skew = datetime.now(timezone.utc).timestamp() - parsedate_to_datetime(date).timestamp()
        except ValueError:
            self.clock_skew = None


def as_go_writes(body: Any) -> bytes:
    """JSON in the bytes that the API server itself would write.

    The server's JSON patch compares strings of a ``test`` operation as raw JSON, so that the same string escaped in another
    way counts as different: Go escapes <, > and &, and leaves other characters as they are.
    """
    text = json.dumps(body, ensure_ascii=False)
    return "".join(_GO_ESCAPES.get(letter, letter) for letter in text).encode()


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return redact(str(reason).split(": ", 1)[-1])[0][:200]  # a proxy's URL may hold a password


def _refusal(status: int, data: bytes, request: str) -> ApiError:
    try:
        answer = json.loads(data)
        reason, message = (redact(str(answer.get(key) or ""))[0] for key in ("reason", "message"))  # it may quote an object
    except (ValueError, AttributeError):
        reason, message = "", redact(data[:4096].decode("utf-8", "replace").strip())[0][:200]
    fix = {
        401: (
            "The credentials are not accepted: the token or certificate may have expired. Log in again, or give another kubeconfig, context"
            " or api_key."
        ),
        403: "Grant the verb that the message names to this user, or use another kubeconfig or context.",
    }.get(status, "")
    return ApiError(status, reason or str(status), message, request, fix)


def segment(name: str) -> str:
    """A name as one path segment: no name, however odd, can change which object a request is about."""
    return quote(name, safe="")
