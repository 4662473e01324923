# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Prometheus' HTTP API: instant and range queries. Every refusal becomes a named error.

Times are seconds since 1970 in the server's clock.
"""

from __future__ import annotations

import copy
import json
import math
import re
from typing import Any, Mapping, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import raw
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput, library
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import MASK, redact
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import packed
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.options import Settings, settings

POINTS = 11_000  # per series: Prometheus refuses more
LIMIT = 32 << 20  # bytes of one answer
SECONDS = 30.0  # for one answer
_QUOTED = 300  # characters of what the server says
_REDIRECTS = 3
_WHOSE = re.compile(r"^(?:<[^>]*>|\w+\([^)]*\)): ")  # which object of urllib3's an error happened to
_WARNINGS = 10  # that are kept of one client
_TENANT = "X-Scope-OrgID"
_BUSY = 429
_TOO_LONG = re.compile(
    r"query length|time range exceeds"
)  # of Mimir and Cortex: a smaller part of the same window would be refused as well
_TOO_MUCH = re.compile(
    r"too many (?:samples|points|series)|exceed|max(?:imum)? (?:number|series)|\blimit\b.* violated|cannot select more than"
)


class PrometheusError(AiopsError):
    """Prometheus gave no usable answer."""


class PrometheusUnreachable(PrometheusError):
    """No answer: name, network, TLS, time-out, or a server that is not ready."""


class PrometheusRefused(PrometheusError):
    """The credentials are missing, wrong, or not enough."""


class NotPrometheus(PrometheusError):
    """Something answers at the address, but not with Prometheus' HTTP API."""


class QueryRefused(PrometheusError, BadInput):
    """Prometheus does not understand the query, or cannot carry it out."""


class TooMuch(QueryRefused):
    """The query is right, and has more series or samples than the server lets one query have."""


class Busy(PrometheusUnreachable):
    """The server takes no further query for now (status 429)."""


class AnswerTooLarge(PrometheusError):
    """The answer has more than LIMIT bytes."""


class NothingFound(PrometheusError):
    """The query is right, and its result is empty."""


class Series(NamedTuple):
    """``values``: [[time, value], ...], of an instant query as a rule one; NaN is kept. A scalar is a series without labels."""

    labels: dict[str, str]
    values: list[list[float]]


class Found(NamedTuple):
    """``samples``: how many the server loaded, where it says so."""

    series: list[packed.Packed]
    samples: int | None


class Prometheus:
    """One Prometheus as one identity. ``warnings`` holds what the server remarked, and what is to be said about the connection."""

    def __init__(self, chosen: Settings, api: Api | None = None) -> None:
        self.address = chosen.address
        self.warnings: list[str] = []
        self._chosen, self._api, self._pool = chosen, api, None if chosen.service else _pool(chosen)
        self._headers = [("Accept", "application/json")]
        if chosen.token:
            self._headers.append(("Authorization", f"Bearer {chosen.token}"))
        elif chosen.username:
            basic = library("urllib3").make_headers(basic_auth=f"{chosen.username}:{chosen.password}")
            self._headers.append(("Authorization", basic["authorization"]))
        if chosen.tenant:
            self._headers.append((_TENANT, chosen.tenant))
        if (chosen.token or chosen.username) and chosen.address.startswith("http://"):
            self.warnings.append(f"The credentials for {chosen.address} are sent without encryption: prometheus_url is not https.")

    def query(self, expression: str, at: float | None = None, *, option: str = "prometheus_query") -> list[Series]:
        """The value of an expression at a moment, by default the server's now. option: who is to blame where the expression is wrong."""
        return self._ask("query", {"query": expression, **({} if at is None else {"time": _number(at)})}, option)

    def query_range(self, expression: str, begin: float, end: float, step: float, *, option: str = "prometheus_query") -> list[Series]:
        """The values of an expression from begin to end; the step becomes wider where there would be too many points."""
        wanted = {"query": expression, "start": _number(begin), "end": _number(end), "step": _number(safe_step(begin, end, step))}
        return self._ask("query_range", wanted, option)

    def grid(self, expression: str, grid: packed.Grid, *, seconds: float | None = None, option: str = "prometheus_query") -> Found:
        """As query_range(), for many samples: arrays instead of lists, and nothing is compressed, which would cost the server most."""
        end = grid.begin + grid.step * (grid.points - 1)
        wanted = {"query": expression, "start": _number(grid.begin), "end": _number(end), "step": _number(grid.step)}
        return self._packed("query_range", wanted, grid, seconds, option)

    def measured(self, expression: str, at: float, *, seconds: float | None = None, option: str = "prometheus_query") -> Found:
        """As query(), for many samples: the value of every series, or its raw samples where the expression ends in a range."""
        return self._packed("query", {"query": expression, "time": _number(at)}, None, seconds, option)

    def now(self) -> float:
        """The server's clock."""
        return float(self.query("time()")[0].values[0][1])

    def _ask(self, what: str, parameters: Mapping[str, str], option: str) -> list[Series]:
        answer = self._answer(f"/api/v1/{what}", {**parameters, "timeout": f"{SECONDS:g}s"})
        document = self._document(answer, option)
        try:
            return _series(document["data"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.not_prometheus(answer, document) from error

    def _packed(self, what: str, parameters: Mapping[str, str], grid: packed.Grid | None, seconds: float | None, option: str) -> Found:
        longest = SECONDS if seconds is None else seconds
        answer = self._answer(f"/api/v1/{what}", {**parameters, "timeout": f"{longest:g}s", "stats": "all"}, longest, plain=True)
        if answer.status != 200:
            raise self.not_prometheus(answer, self._document(answer, option))
        try:
            found, document = packed.series(answer.body, grid)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.not_prometheus(answer, self._document(answer, option)) from error
        for text in packed.remarks(document):
            self._warn(text)
        return Found(found, packed.samples(document))

    def _document(self, answer: raw.Answer, option: str) -> dict[str, Any]:
        """What a successful answer holds. Raises for every other."""
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or document.get("status") not in ("success", "error"):
            raise self.not_prometheus(answer, document)
        for text in packed.remarks(document):
            self._warn(text)
        if document["status"] == "error":
            raise self._refusal(document, option, answer.status)
        return document

    # --- the way there ---

    def _answer(self, path: str, query: Mapping[str, str], seconds: float | None = None, plain: bool = False) -> raw.Answer:
        """plain: not compressed."""
        urllib3 = library("urllib3")
        longest, path = SECONDS if seconds is None else seconds, self._chosen.prefix + path
        try:
            if self._chosen.service:
                reader = self._reader(plain)
                answer = raw.of_service(reader, self._chosen.namespace, self._chosen.service, path, query, seconds=longest, limit=LIMIT)
            else:
                answer = self._direct(f"{self.address}{path}?{urlencode(query)}", longest, plain)
        except raw.TooLarge as error:
            raise AnswerTooLarge(
                f"The answer of Prometheus at {self.address} (prometheus_url) has more than {LIMIT >> 20} MB.",
                "Take a shorter window, or aggregate the query.",
            ) from error
        except (urllib3.exceptions.HTTPError, TimeoutError) as error:
            raise self._unreachable(error, longest) from error
        _check_status(answer, self)
        return answer

    def _reader(self, plain: bool) -> Api:
        """The connection to the cluster, with what Prometheus is to be told beside."""
        if self._api is None:
            raise BadInput(f"prometheus_url {self.address} needs a connection to the cluster.", "Give the address of Prometheus itself.")
        reader = copy.copy(self._api)
        reader.headers = [*reader.headers, *(one for one in self._headers if one[0] == _TENANT)]
        reader.pool = _Plain(reader.pool) if plain else reader.pool
        return reader

    def _direct(self, url: str, seconds: float, plain: bool) -> raw.Answer:
        """Redirects are followed on the same server alone: credentials and queries go to nobody else."""
        pool = _Plain(self._pool) if plain else self._pool
        for _hop in range(_REDIRECTS):
            answer = raw.get(pool, url, self._headers, seconds=seconds, limit=LIMIT)
            if not 300 <= answer.status < 400:
                return answer
            there = urljoin(url, answer.headers.get("Location", ""))
            if _origin(there) != _origin(url):
                break
            url = there
        raise NotPrometheus(
            f"{self.address} (prometheus_url) does not answer itself, but sends on to {self.quote(_without_query(there))}.",
            "Give the address at which Prometheus itself answers, and the credentials that it asks for; this may be the page of a login.",
        )

    def _unreachable(self, error: Exception, seconds: float) -> PrometheusUnreachable:
        reason = getattr(error, "reason", None) or error
        text = self.quote(_WHOSE.sub("", str(reason)))
        if isinstance(error, TimeoutError) or "timed out" in text:
            return PrometheusUnreachable(
                f"Prometheus at {self.address} (prometheus_url) does not answer within {seconds:g} s: {text}.",
                "Check that it is not overloaded, or take a shorter window.",
                slow=True,
            )
        if isinstance(reason, library("urllib3").exceptions.SSLError):
            return PrometheusUnreachable(
                f"The TLS connection to Prometheus at {self.address} (prometheus_url) fails: {text}.",
                "Give the certificate of its authority with prometheus_ca_cert, and the name that its certificate holds.",
            )
        return PrometheusUnreachable(
            f"Prometheus at {self.address} (prometheus_url) cannot be reached: {text}.",
            "Check the address, the network, and whether it runs.",
        )

    # --- what it says ---

    def quote(self, text: Any) -> str:
        """What somebody else says, fit to be shown: one line, short, no secrets, nothing that a terminal would act upon."""
        shown = " ".join(str(text)[:4096].split())
        for secret in (self._chosen.token, self._chosen.password):
            shown = shown.replace(secret, MASK) if secret else shown
        return redact("".join(letter for letter in shown if letter.isprintable()))[0][:_QUOTED].rstrip(".")

    def _warn(self, text: Any) -> None:
        sentence = f"Prometheus remarks: {self.quote(text)}."
        if sentence not in self.warnings and len(self.warnings) < _WARNINGS:
            self.warnings.append(sentence)

    def _refusal(self, document: Mapping[str, Any], option: str, status: int) -> PrometheusError:
        kind, text = str(document.get("errorType") or ""), self.quote(document.get("error") or "it gives no reason")
        if status == _BUSY or kind == "too_many_requests":
            return self.busy(status, f": {text}")
        if _TOO_LONG.search(text):
            return QueryRefused(f'{option}: Prometheus at {self.address} refuses so long a window: "{text}".', "Take a shorter window.")
        if _TOO_MUCH.search(text):
            return TooMuch(
                f'{option}: Prometheus at {self.address} does not carry out so large a query: "{text}".',
                "Take a shorter window or fewer workloads at once, or raise the limit of the server.",
            )
        if kind in ("timeout", "canceled", "unavailable", "internal"):
            return PrometheusUnreachable(
                f"Prometheus at {self.address} (prometheus_url) failed to answer: {text}.",
                "Try again, with a shorter window or a cheaper query.",
                slow=True,
            )
        return QueryRefused(
            f'{option}: Prometheus refuses the query: "{text}".', "Correct the PromQL; try it in the web page of Prometheus, /graph, first."
        )

    def busy(self, status: int, said: str) -> Busy:
        return Busy(
            f"Prometheus at {self.address} (prometheus_url) takes no further query for now: HTTP status {status}{said}.",
            "Try again later, or ask for fewer workloads at once.",
        )

    def not_prometheus(self, answer: raw.Answer, document: Any) -> NotPrometheus:
        html = answer.body[:4096].lstrip()[:1] == b"<"
        what = (
            "a web page"
            if html
            else "JSON of another kind" if document is not None else "something else than JSON" if answer.body else "nothing"
        )
        return NotPrometheus(
            f"{self.address} (prometheus_url) does not answer as Prometheus: HTTP status {answer.status}, {what}.",
            "Give the address of the HTTP API, without /api/v1 and with the prefix where there is one (as --web.external-url names it).",
        )


def _check_status(answer: raw.Answer, server: Prometheus) -> None:
    """Raises for what never holds an answer of Prometheus' API."""
    if answer.status not in (401, 403, 404, _BUSY, 502, 503, 504):
        return
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = {}
    document = document if isinstance(document, dict) else {}
    if document.get("status") == "error" and document.get("errorType"):
        return
    said = f": {server.quote(document['message'])}" if document.get("message") else ""
    if answer.status in (401, 403):
        through = server.address.startswith("service://")
        fix = (
            "Grant get on services/proxy for this Service to the reader, or give an address that can be reached directly."
            if through
            else "Give prometheus_token, or prometheus_username and prometheus_password, that may read it."
        )
        who = "The API server does not let you through to" if through else "The credentials are not accepted by"
        raise PrometheusRefused(f"{who} Prometheus at {server.address} (prometheus_url): HTTP status {answer.status}{said}.", fix)
    if answer.status == _BUSY:
        raise server.busy(answer.status, said)
    if answer.status == 404 and not said:
        raise server.not_prometheus(answer, document or None)
    raise PrometheusUnreachable(
        f"Prometheus at {server.address} (prometheus_url) is not {'there' if answer.status == 404 else 'ready'}: HTTP status"
        f" {answer.status}{said}.",
        "Check the address and that its pods run, and try again.",
    )


class _Plain:
    """A pool whose answers are not compressed: for 14 MB a server needs 0.4 s, and 2.5 s when it has to compress them."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def request(self, method: str, url: str, *, headers: Any, **further: Any) -> Any:
        return self._pool.request(method, url, headers={**headers, "Accept-Encoding": "identity"}, **further)


def connect(options: Mapping[str, Any], environment: Mapping[str, str] | None = None, api: Api | None = None) -> Prometheus | None:
    """The Prometheus that the options or the environment name, None where they name none. Nothing is sent yet. Raises BadInput.

    api: for addresses service://, which go through the API server.
    """
    chosen = settings(options, environment)
    return Prometheus(chosen, api) if chosen else None


def _series(data: Mapping[str, Any]) -> list[Series]:
    """What a result holds, of whatever kind it is. Raises what Python raises for something of another shape."""
    if data["resultType"] == "scalar":
        return [Series({}, [[float(part) for part in data["result"]]])]
    found = []
    for one in data["result"]:
        pairs = one["values"] if "values" in one else [one["value"]] if "value" in one else []  # a native histogram has neither
        found.append(
            Series({str(key): str(value) for key, value in one["metric"].items()}, [[float(at), float(value)] for at, value in pairs])
        )
    return found


def safe_step(begin: float, end: float, step: float) -> float:
    """A step of whole milliseconds with which no series has more than POINTS points."""
    return math.ceil(max(step, (end - begin) / (POINTS - 1), 0.001) * 1000 - 1e-6) / 1000


def _number(value: float) -> str:
    return f"{value:.3f}"


def _pool(chosen: Settings) -> Any:
    urllib3 = library("urllib3")
    tls: dict[str, Any] = {"cert_reqs": "CERT_REQUIRED", **({"ca_certs": chosen.ca_cert} if chosen.ca_cert else {})}
    if not chosen.validate_certs:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        tls = {"cert_reqs": "CERT_NONE", "assert_hostname": False}
    return urllib3.PoolManager(maxsize=4, **(tls if chosen.address.startswith("https://") else {}))


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443}.get(parts.scheme, 80)


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"
