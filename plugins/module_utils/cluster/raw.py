# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""GET requests whose answers are neither trusted in size nor in kind: of services in the cluster, through the API server, and of others.

An answer comes back as it is, whatever its status. Redirects are not followed. Nothing is read beyond a number of bytes and a wall-clock
time.
"""

from __future__ import annotations

import time
from typing import Any, Mapping, NamedTuple
from urllib.parse import quote, urlencode

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, segment
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, library

_CHUNK = 1 << 16
_CONNECT_SECONDS = 5.0


class TooLarge(AiopsError):
    """An answer has more bytes than allowed; the rest of it was not read."""


class Answer(NamedTuple):
    """``headers`` look names up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def get(pool: Any, url: str, headers: list[tuple[str, str]], *, seconds: float, limit: int) -> Answer:
    """One GET request with a pool of urllib3. Raises TooLarge, TimeoutError when the answer takes longer, and urllib3's HTTPError."""
    until = time.monotonic() + seconds
    try:
        answer = _begin(pool, url, headers, seconds)
    except library("urllib3").exceptions.ProtocolError:  # as a rule a connection that was kept open, and that the server has closed
        answer = _begin(pool, url, headers, seconds)
    body = bytearray()
    try:
        for chunk in answer.stream(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > limit:
                raise TooLarge(f"An answer has more than {limit >> 20} MB.")
            if time.monotonic() > until:
                raise TimeoutError(f"the answer was not complete after {seconds:g} s")
    except BaseException:
        answer.close()  # what is left of it must not be read by the next request
        raise
    answer.release_conn()
    return Answer(answer.status, answer.headers, bytes(body))


def _begin(pool: Any, url: str, headers: list[tuple[str, str]], seconds: float) -> Any:
    urllib3 = library("urllib3")
    return pool.request(
        "GET",
        url,
        headers=urllib3.HTTPHeaderDict([("Accept-Encoding", "gzip"), ("User-Agent", "aiops.k8s"), *headers]),
        timeout=urllib3.Timeout(connect=min(seconds, _CONNECT_SECONDS), read=seconds),
        retries=False,
        redirect=False,
        preload_content=False,
    )


def of_service(api: Api, namespace: str, service: str, path: str, query: Mapping[str, Any], *, seconds: float, limit: int) -> Answer:
    """One GET request to a Service through the API server. service: NAME:PORT or https:NAME:PORT. Raises as get() does.

    The API server answers itself, with a Status object, where it does not let the request through.
    """
    base = f"{api.server}/api/v1/namespaces/{segment(namespace)}/services/{quote(service, safe=':')}/proxy"
    url = f"{base}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
    return get(api.pool, url, [("Accept", "application/json"), *api.headers], seconds=seconds, limit=limit)
