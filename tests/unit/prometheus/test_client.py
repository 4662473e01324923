# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The client of Prometheus' HTTP API against a server of canned answers: what it sends, and a named error for whatever comes back."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect as connect_cluster
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import raw
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import client
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import (
    AnswerTooLarge,
    Busy,
    NotPrometheus,
    Prometheus,
    PrometheusError,
    PrometheusRefused,
    PrometheusUnreachable,
    QueryRefused,
    Series,
    TooMuch,
    connect,
    safe_step,
)
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.discovery import choose, discover
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.options import settings
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.packed import Grid

from tests.unit.cluster.web import Answer, Asked, Web, serve, status

SECRET = "s3cr3t-prometheus-token"
VECTOR = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"pod": "a"}, "value": [1.5, "NaN"]}]}}
PROXY = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as running:
        yield running


def server(web: Web, **options: Any) -> Prometheus:
    found = connect({"prometheus_url": web.address, **options}, {})
    assert found is not None
    return found


def through(web: Web) -> Prometheus:
    api: Api = connect_cluster({"host": web.address, "api_key": "t0ken"}, {})
    found = connect({"prometheus_url": "service://monitoring/prometheus:9090"}, {}, api)
    assert found is not None
    return found


# --- what is asked --------------------------------------------------------------------------------------------------------


def test_queries(web: Web) -> None:
    matrix = {"resultType": "matrix", "result": [{"metric": {"pod": "a"}, "values": [[1, "2"], [3, "+Inf"]]}]}
    web.routes["GET /api/v1/query_range"] = Answer(
        200, {"status": "success", "data": matrix, "warnings": ["slow", "slow"], "infos": ["is it a counter?"]}
    )
    web.routes["GET /api/v1/query"] = Answer(200, {"status": "success", "data": {"resultType": "scalar", "result": [7, "1795000000.5"]}})
    asked = server(web)
    assert asked.query_range('up{a="b&c"}', 100, 200.5, 15) == [Series({"pod": "a"}, [[1.0, 2.0], [3.0, float("inf")]])]
    assert web.asked[0].query == {"query": ['up{a="b&c"}'], "start": ["100.000"], "end": ["200.500"], "step": ["15.000"], "timeout": ["30s"]}
    assert asked.now() == 1795000000.5 and "time" not in web.asked[1].query and "Authorization" not in web.asked[1].headers
    assert asked.warnings == ["Prometheus remarks: slow.", "Prometheus remarks: is it a counter?."]


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"prometheus_token": SECRET}, f"Bearer {SECRET}"),
        ({"prometheus_username": "ann", "prometheus_password": SECRET}, "Basic " + base64.b64encode(f"ann:{SECRET}".encode()).decode()),
    ],
)
def test_credentials(web: Web, options: dict[str, str], header: str) -> None:
    web.routes["GET /prom/api/v1/query"] = Answer(200, VECTOR)
    asked = server(web, **options, prometheus_url=f"{web.address}/prom/")
    asked.query("up")
    assert web.asked[0].headers["Authorization"] == header
    assert SECRET not in repr(asked._chosen) and "sent without encryption" in asked.warnings[0] and SECRET not in asked.warnings[0]


def test_through_the_api_server(web: Web) -> None:
    web.routes[f"GET {PROXY}/api/v1/query"] = Answer(200, VECTOR)
    assert through(web).query("up")[0].labels == {"pod": "a"}
    assert web.asked[0].headers["Authorization"] == "Bearer t0ken"


def test_large_queries(web: Web) -> None:
    matrix = {"resultType": "matrix", "result": [{"metric": {"pod": "a"}, "values": [[100, "1"], [120, "3"]]}]}
    stats = {"samples": {"totalQueryableSamples": 40, "peakSamples": 4}}
    web.routes["GET /api/v1/query_range"] = Answer(200, {"status": "success", "data": {**matrix, "stats": stats}, "warnings": ["partial"]})
    web.routes["GET /api/v1/query"] = Answer(200, VECTOR)
    asked = server(web)
    found = asked.grid("up", Grid(100, 10, 3), seconds=60)
    assert found.samples == 40 and found.series[0].values[0] == 1 and found.series[0].values[1] != found.series[0].values[1]
    assert web.asked[0].query == {"query": ["up"], "start": ["100.000"], "end": ["120.000"], "step": ["10.000"], "timeout": ["60s"], "stats": ["all"]}
    assert web.asked[0].headers["Accept-Encoding"] == "identity" and asked.warnings == ["Prometheus remarks: partial."]
    assert asked.measured("up", 5.0).samples is None and web.asked[1].query["time"] == ["5.000"]
    assert asked.query("up") and web.asked[2].headers["Accept-Encoding"] == "gzip"


def test_a_tenant(web: Web) -> None:
    web.routes["GET /prometheus/api/v1/query"] = web.routes[f"GET {PROXY}/prometheus/api/v1/query"] = Answer(200, VECTOR)
    server(web, prometheus_tenant="team-a", prometheus_url=f"{web.address}/prometheus").query("up")
    api: Api = connect_cluster({"host": web.address, "api_key": "t0ken"}, {})
    environment = {"AIOPS_PROMETHEUS_URL": "service://monitoring/prometheus:9090/prometheus/", "AIOPS_PROMETHEUS_TENANT": "team-b"}
    found = connect({}, environment, api)
    assert found is not None and found.address == "service://monitoring/prometheus:9090/prometheus"
    assert found.measured("up", 5).series and "X-Scope-OrgID" not in dict(api.headers)
    assert [one.headers["X-Scope-OrgID"] for one in web.asked] == ["team-a", "team-b"] and web.asked[1].headers["Authorization"] == "Bearer t0ken"
    assert web.asked[1].headers["Accept-Encoding"] == "identity"


def test_an_answer_that_is_too_large(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LIMIT", 1 << 20)
    web.routes["GET /api/v1/query"] = Answer(200, b" " * (2 << 20))
    with pytest.raises(AnswerTooLarge, match="more than 1 MB.*Take a shorter window"):
        server(web).query("up")


@pytest.mark.parametrize(
    ("begin", "end", "step", "used"), [(0, 300, 15, 15), (0, 10_999, 1, 1), (0, 86400, 1, 7.856), (0, 300, 0, 0.028), (5, 5, 0, 0.001)]
)
def test_no_series_has_too_many_points(begin: float, end: float, step: float, used: float) -> None:
    assert safe_step(begin, end, step) == used and (end - begin) / used + 1 <= 11_000


# --- what comes back -------------------------------------------------------------------------------------------------------

ERROR = {"status": "error", "errorType": "bad_data", "error": 'invalid parameter "query": 1:5: parse error: unexpected end of input'}
PAGE = b"<html><title>Log in</title></html>"
ANSWERS: dict[str, tuple[Answer, type[PrometheusError], str]] = {
    "wrong PromQL": (Answer(400, ERROR), QueryRefused, 'prometheus_query: Prometheus refuses the query: "invalid parameter'),
    "too many samples": (
        Answer(422, {**ERROR, "errorType": "execution", "error": "query processing would load too many samples into memory in query execution"}),
        TooMuch,
        "does not carry out so large a query",
    ),
    "a limit of Mimir's": (
        Answer(422, {**ERROR, "errorType": "execution", "error": "the query exceeded the maximum number of chunks (limit: 2000000 chunks)"}),
        TooMuch,
        "maximum number of chunks",
    ),
    "too long a window": (
        Answer(422, {**ERROR, "errorType": "execution", "error": "the query time range exceeds the limit (query length: 768h, limit: 721h)"}),
        QueryRefused,
        "refuses so long a window",
    ),
    "busy": (Answer(429, {**ERROR, "errorType": "too_many_requests", "error": "too many outstanding requests"}), Busy, "too many outstanding"),
    "busy proxy": (Answer(429, b"slow down"), Busy, "takes no further query for now: HTTP status 429"),
    "cannot be carried out": (Answer(422, {**ERROR, "errorType": "execution", "error": "many-to-many"}), QueryRefused, '"many-to-many"'),
    "too slow": (Answer(503, {**ERROR, "errorType": "timeout", "error": "query timed out"}), PrometheusUnreachable, "query timed out"),
    "a web page": (Answer(200, PAGE), NotPrometheus, "HTTP status 200, a web page"),
    "not found": (Answer(404, b"404 page not found"), NotPrometheus, "HTTP status 404, something else than JSON"),
    "nothing": (Answer(200, b""), NotPrometheus, "nothing"),
    "other JSON": (Answer(200, {"ok": True}), NotPrometheus, "JSON of another kind"),
    "a list": (Answer(200, [1]), NotPrometheus, "JSON of another kind"),
    "no data": (Answer(200, {"status": "success"}), NotPrometheus, "JSON of another kind"),
    "odd data": (Answer(200, {"status": "success", "data": {"resultType": "vector", "result": [3]}}), NotPrometheus, "JSON of another kind"),
    "odd numbers": (
        Answer(200, {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "x"]}]}}),
        NotPrometheus,
        "JSON of another kind",
    ),
    "a string": (Answer(200, {"status": "success", "data": {"resultType": "string", "result": [1, "x"]}}), NotPrometheus, "another kind"),
    "no credentials": (Answer(401, b"Unauthorized"), PrometheusRefused, "HTTP status 401. Give prometheus_token, or prometheus_username"),
    "not allowed": (Answer(403, b"no"), PrometheusRefused, "The credentials are not accepted"),
    "starting": (Answer(503, b"Service Unavailable"), PrometheusUnreachable, "is not ready: HTTP status 503"),
    "gateway": (Answer(502, PAGE), PrometheusUnreachable, "is not ready: HTTP status 502"),
    "odd series": (Answer(200, {"status": "success", "data": {"result": [{"metric": {}, "values": [[1]]}]}}), NotPrometheus, "another kind"),
    "hangs up": (Answer(0), PrometheusUnreachable, "cannot be reached"),
    "broken": (Answer(500, b"oops"), NotPrometheus, "HTTP status 500"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_has_its_error(web: Web, name: str) -> None:
    answer, error, says = ANSWERS[name]
    web.routes["GET /api/v1/query"] = answer
    with pytest.raises(error) as found:
        server(web, prometheus_token=SECRET).query("up")
    assert found.type is error and says in str(found.value) and found.value.fix
    assert SECRET not in str(found.value) and ("prometheus_url" in str(found.value) or "prometheus_query" in str(found.value))


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_to_a_large_query_has_its_error(web: Web, name: str) -> None:
    answer, error, says = ANSWERS[name]
    web.routes["GET /api/v1/query_range"] = answer
    with pytest.raises(error) as found:
        server(web, prometheus_token=SECRET).grid("up", Grid(0, 1, 2))
    assert found.type is error and says in str(found.value) and SECRET not in str(found.value)


PROXIED: dict[str, tuple[Answer, type[PrometheusError], str]] = {
    "wrong PromQL": (Answer(400, ERROR), QueryRefused, "unexpected end of input"),
    "not allowed": (status(403, "Forbidden", "cannot get services/proxy"), PrometheusRefused, "Grant get on services/proxy"),
    "no such service": (
        status(404, "NotFound", 'services "prometheus" not found'),
        PrometheusUnreachable,
        'is not there: HTTP status 404: services "prometheus" not found',
    ),
    "no pods": (status(503, "ServiceUnavailable", "no endpoints available"), PrometheusUnreachable, "no endpoints available"),
}


@pytest.mark.parametrize("name", PROXIED)
def test_every_answer_of_the_api_server_has_its_error(web: Web, name: str) -> None:
    answer, error, says = PROXIED[name]
    web.routes[f"GET {PROXY}/api/v1/query"] = answer
    with pytest.raises(error) as found:
        through(web).query("up")
    assert says in str(found.value) and "t0ken" not in str(found.value)


def test_what_the_server_says_is_quoted_with_care(web: Web) -> None:
    text = f"parse error\x1b[2J: Authorization: Bearer {SECRET} {SECRET}\npassword=hunter2hunter2 " + "x" * 9999
    web.routes["GET /api/v1/query"] = Answer(400, {**ERROR, "error": text})
    with pytest.raises(QueryRefused) as found:
        server(web, prometheus_token=SECRET).query("up", option="prometheus_query")
    said = found.value.message
    assert SECRET not in said and "hunter2" not in said and "\x1b" not in said and "\n" not in said and len(said) < 450


def test_nobody_listens() -> None:
    found = connect({"prometheus_url": "http://127.0.0.1:9"}, {})
    assert found is not None
    with pytest.raises(PrometheusUnreachable, match=r"http://127.0.0.1:9 \(prometheus_url\) cannot be reached: .*refused"):
        found.query("up")


def test_no_tls_where_it_is_expected(web: Web) -> None:
    found = connect({"prometheus_url": web.address.replace("http:", "https:")}, {})
    assert found is not None
    with pytest.raises(PrometheusUnreachable, match="TLS connection.*prometheus_ca_cert"):
        found.query("up")


def test_silence(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(client, "SECONDS", 0.1)
    web.routes["GET /api/v1/query"] = lambda asked: (gone.wait(5), Answer(0))[1]
    try:
        with pytest.raises(PrometheusUnreachable, match="does not answer within 0.1 s"):
            server(web).query("up")
    finally:
        gone.set()


# --- redirects ---------------------------------------------------------------------------------------------------------------


def redirects(monkeypatch: pytest.MonkeyPatch, web: Web, places: dict[str, str]) -> None:
    """The canned server cannot set headers: the answers get their Location on the way in."""
    real = raw.get

    def get(pool: Any, url: str, headers: Any, **more: Any) -> raw.Answer:
        answer = real(pool, url, headers, **more)
        place = next((to for path, to in places.items() if f"{path}?" in url), "")
        return raw.Answer(302, {"Location": place}, b"") if place else answer

    monkeypatch.setattr(raw, "get", get)


def test_a_redirect_on_the_same_server_is_followed(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    redirects(monkeypatch, web, {"/api/v1/query": "/prom/api/v1/other?query=up"})
    web.routes["GET /prom/api/v1/other"] = Answer(200, VECTOR)
    assert server(web, prometheus_token=SECRET).query("up")


@pytest.mark.parametrize(
    "there", ["https://login.example.org/in?next=secret", "http://127.0.0.1:1/api/v1/query?a", "//evil.example.org/", "javascript:alert(1)"]
)
def test_a_redirect_to_elsewhere_is_not(web: Web, monkeypatch: pytest.MonkeyPatch, there: str) -> None:
    redirects(monkeypatch, web, {"/api/v1/query": there})
    with pytest.raises(NotPrometheus, match="does not answer itself, but sends on to") as found:
        server(web, prometheus_token=SECRET).query("up")
    assert len(web.asked) == 1 and "secret" not in str(found.value)


def test_a_redirect_in_a_circle(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    redirects(monkeypatch, web, {"/api/v1/query": "/api/v1/query?again"})
    with pytest.raises(NotPrometheus):
        server(web).query("up")
    assert len(web.asked) == 3


# --- options -------------------------------------------------------------------------------------------------------------------


def test_options_and_environment(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{SECRET}\n")
    known = {"AIOPS_PROMETHEUS_URL": "https://ann:pa%3Ass@prom.example.org:9443/prom/", "AIOPS_PROMETHEUS_VALIDATE_CERTS": "no"}
    found = settings({}, known)
    assert found is not None and (found.address, found.username, found.password) == ("https://prom.example.org:9443/prom", "ann", "pa:ss")
    assert not found.validate_certs
    other = settings({"prometheus_url": "http://[::1]:9090", "prometheus_token": None}, {**known, "AIOPS_PROMETHEUS_TOKEN_FILE": str(token)})
    assert other is not None and (other.address, other.token) == ("http://[::1]:9090", SECRET)
    assert settings({}, {}) is None and settings({"prometheus_url": ""}, {}) is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prometheus_url": "prom.example.org:9090"}, "prometheus_url"),
        ({"prometheus_url": "ftp://prom"}, "prometheus_url"),
        ({"prometheus_url": "http://"}, "prometheus_url"),
        ({"prometheus_url": "http://prom:99999"}, "prometheus_url"),
        ({"prometheus_url": "http://prom/?a=b"}, "prometheus_url"),
        ({"prometheus_url": "http://prom /"}, "prometheus_url"),
        ({"prometheus_url": f"http://ann:{SECRET}@prom:x"}, "prometheus_url"),
        ({"prometheus_url": "service://monitoring"}, "prometheus_url"),
        ({"prometheus_url": "service://monitoring/prometheus"}, "prometheus_url"),
        ({"prometheus_url": "service://monitoring/../../secrets:80"}, "prometheus_url"),
        ({"prometheus_url": "service://monitoring/prometheus:9090/../secrets"}, "prometheus_url"),
        ({"prometheus_url": "service://monitoring/prometheus:9090/a?b"}, "prometheus_url"),
        ({"prometheus_url": "http://prometheus", "prometheus_tenant": "a\r\nb: c"}, "prometheus_tenant"),
        ({"prometheus_url": "service://monitoring/prometheus:9090", "prometheus_token": SECRET}, "cannot be sent along"),
        ({"prometheus_url": "http://prom", "prometheus_token": f"{SECRET}\nX-Evil: 1"}, "prometheus_token holds a line break"),
        ({"prometheus_url": "http://prom", "prometheus_token": SECRET, "prometheus_username": "ann"}, "Both prometheus_token and"),
        ({"prometheus_url": "http://prom", "prometheus_token_file": "/nowhere/token"}, "prometheus_token_file /nowhere/token"),
        ({"prometheus_url": "https://prom", "prometheus_ca_cert": "/nowhere/ca.crt"}, "prometheus_ca_cert /nowhere/ca.crt"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, str], says: str) -> None:
    with pytest.raises(BadInput, match=says) as found:
        settings(options, {})
    assert SECRET not in str(found.value)


def test_a_service_without_a_connection_to_the_cluster() -> None:
    found = connect({"prometheus_url": "service://monitoring/prometheus:9090"}, {})
    assert found is not None
    with pytest.raises(BadInput, match="needs a connection to the cluster"):
        found.query("up")


# --- discovery --------------------------------------------------------------------------------------------------------------------


def service(name: str, labels: dict[str, str], *ports: tuple[str, int], namespace: str = "monitoring") -> dict[str, Any]:
    listed = [{"name": port, "port": number} for port, number in ports]
    return {"metadata": {"name": name, "namespace": namespace, "uid": name, "labels": labels}, "spec": {"ports": listed}}


STACK = service("kps-prometheus", {"app": "kube-prometheus-stack-prometheus"}, ("http-web", 9090), ("reloader-web", 8080))
OPERATED = service("prometheus-operated", {"operated-prometheus": "true"}, ("http-web", 9090))
CHART = service("prom-server", {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "server"}, ("http", 80), namespace="zoo")
SECURE = service("prometheus-k8s", {"app.kubernetes.io/name": "prometheus"}, ("https-web", 9091))
THANOS = service("thanos-query-frontend", {"app.kubernetes.io/name": "thanos", "app.kubernetes.io/component": "query-frontend"}, ("http", 9090))
STORE = service("thanos-storegateway", {"app.kubernetes.io/name": "thanos", "app.kubernetes.io/component": "storegateway"}, ("http", 9090))
VICTORIA = service("vmsingle-main", {"app.kubernetes.io/name": "vmsingle"}, ("http", 8429))
SELECT = service("vmselect-main", {"app.kubernetes.io/name": "vmselect"}, ("http", 8481))
MIMIR = service("mimir-nginx", {"app.kubernetes.io/name": "mimir", "app.kubernetes.io/component": "nginx"}, ("http-metric", 80))
NOT: list[dict[str, Any]] = [
    service("prom-alertmanager", {"app": "prometheus", "component": "alertmanager"}, ("http", 80)),
    service("prometheus-node-exporter", {"app": "prometheus"}, ("metrics", 9100)),
    service("prometheus-operator", {"app": "prometheus"}, ("http", 8080)),
    service("shop", {"app": "shop"}, ("http", 80)),
    service("prometheus", {"app": "prometheus"}),
]


@pytest.mark.parametrize(
    ("services", "found"),
    [
        ([OPERATED, STACK, *NOT], "service://monitoring/kps-prometheus:9090"),
        ([OPERATED], "service://monitoring/prometheus-operated:9090"),
        ([CHART, *NOT], "service://zoo/prom-server:80"),
        ([SECURE], "service://monitoring/https:prometheus-k8s:9091"),
        ([THANOS, CHART], "service://zoo/prom-server:80"),
        ([MIMIR, STORE, THANOS, VICTORIA], "service://monitoring/thanos-query-frontend:9090"),
        ([VICTORIA], "service://monitoring/vmsingle-main:8429"),
        ([SELECT], "service://monitoring/vmselect-main:8481/select/0/prometheus"),
        ([MIMIR], "service://monitoring/mimir-nginx:80/prometheus"),
        ([STORE], None),
        (NOT, None),
        ([], None),
    ],
)
def test_discovery(services: list[dict[str, Any]], found: str | None) -> None:
    assert choose(services) == found
    if found:
        chosen = settings({"prometheus_url": found}, {})
        assert chosen is not None and chosen.address == found


def test_discovery_asks_for_few_services(web: Web) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(200, {"items": [STACK] if "app in (" in asked.query["labelSelector"][0] else []})

    web.routes["GET /api/v1/services"] = answer
    assert discover(connect_cluster({"host": web.address, "api_key": "t0ken"}, {})) == "service://monitoring/kps-prometheus:9090"
    assert json.dumps([one.query for one in web.asked]).count("labelSelector") == 4
