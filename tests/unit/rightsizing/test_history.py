# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""History from Prometheus: figures, whose pods are whose, portions, other labels, a server that fails. The integration test has a real one."""

from __future__ import annotations

import json
import math
import re
from array import array
from typing import Any, Callable, Iterator

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import client, queries
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import history, history_events, history_run, history_stats as stats
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_owners import Owner, Owners
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_run import Unit
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_survey import batches, best_origin, series_key

from tests.unit.cluster.web import Answer, Asked, Web, serve

NOW = 1_795_000_200.0
NAN = math.nan
HASH = "5d4f8c9b7"
MIB = 2**20
TOO_MUCH = {"status": "error", "errorType": "execution", "error": "query processing would load too many samples into memory in query execution"}


def grid(*values: float) -> array[float]:
    return array("d", values)


def same(found: Any, *values: float) -> bool:
    return [None if math.isnan(one) else one for one in found] == [None if math.isnan(one) else one for one in values]


# --- figures ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "found"), [(0.0, 1.0), (0.5, 2.5), (0.95, 3.85), (0.99, 3.97), (1.0, 4.0)])  # numpy.percentile([1, 2, 3, 4], ...)
def test_percentiles(share: float, found: float) -> None:
    assert stats.percentile([1.0, 2.0, 3.0, 4.0], share) == pytest.approx(found) and stats.percentile([7.0], share) == 7.0


def test_figures_of_what_is_a_number() -> None:
    assert stats.figures([NAN, 4.0, math.inf, 2.0, -math.inf]) == {"p50": 3.0, "p95": 3.9, "p99": 3.98, "max": 4.0, "samples": 2}
    assert stats.figures([NAN, math.inf]) is None and stats.figures([]) is None


def test_series_of_one_container() -> None:
    assert same(stats.together([grid(1, NAN, 3), grid(NAN, NAN, 4)]), 1, NAN, 4)
    assert same(stats.added([grid(1, NAN, 3), grid(2, NAN, NAN)]), 3, NAN, 3)
    times, values = stats.raw_merged([((1, 2, 3), (10, 20, NAN)), ((2, 4), (25, math.inf))])
    assert list(times) == [1, 2] and list(values) == [10, 25]


def test_oddities_become_unknown() -> None:
    values = grid(1, -1, math.inf, NAN)
    assert stats.without_oddities(values) == 2 and same(values, 1, NAN, NAN, NAN)


def test_where_a_grid_has_numbers() -> None:
    values = grid(NAN, 1, NAN, NAN, 2, NAN)
    assert stats.span(values) == (1, 4) and stats.numbers_in(values) == 2 and list(stats.gaps(values, 2)) == [(2, 3)]
    assert not list(stats.gaps(values, 3)) and not list(stats.gaps(grid(NAN), 1)) and stats.trimmed(grid(NAN), 0, 300) is None
    trimmed = stats.trimmed(values, 1000, 300)
    assert trimmed and trimmed["begin"] == 1300 and same(trimmed["values"], 1, NAN, NAN, 2)
    stats.blank(values, 2)
    assert stats.span(values) == (4, 4)


@pytest.mark.parametrize(
    ("seen", "started", "expected"),
    [
        ((1000, 5000), None, (1000, 5000)),  # gone: nothing but its samples is known
        ((1000, 5000), 700, (1000, 9000)),  # alive: samples are due until the end
        ((5000, 9000), 700, (700, 9000)),  # and from its start
        ((5000, 9000), 0, (600, 9000)),  # or from the begin of the window
    ],
)
def test_when_a_container_existed(seen: tuple[float, float], started: float | None, expected: tuple[float, float]) -> None:
    assert tuple(stats.life(stats.Life(*seen), 600, 9000, started)) == expected


def test_coverage() -> None:
    assert stats.coverage(60, 60, stats.Life(0, 7200), 0) == 0.5 and stats.coverage(500, 60, stats.Life(0, 7200), 0) == 1.0
    assert stats.distance([0, 60, 120, 600, 660]) == 60 and stats.distance([5]) is None


def test_rises_of_a_counter() -> None:
    assert list(history_events.rises(grid(NAN, 2, 2, NAN, 4, 1), False)) == [(4, 2), (5, 1)]
    assert list(history_events.rises(grid(NAN, 2, 2), True)) == [(1, 2)]


def test_when_a_condition_came_up() -> None:
    assert list(history_events.begins(grid(1, 1, NAN, 1), 1)) == []  # it may have been there before; a gap says nothing
    assert list(history_events.begins(grid(1, 1), None)) == [0] and list(history_events.begins(grid(NAN, NAN, NAN, 1), 1)) == [3]
    assert list(history_events.begins(grid(0, 1, 0, 1), 0)) == [1, 3]


# --- whose pods ------------------------------------------------------------------------------------------------------------


def pod(name: str, started: str = "2026-11-01T00:00:00Z", phase: str = "Running") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop", "creationTimestamp": started}, "status": {"phase": phase}}


def subject(name: str = "web", kind: str = "Deployment", pods: tuple[str, ...] = (), since: float = 0.0, **revision: Any) -> dict[str, Any]:
    patterns = {
        "Deployment": {"pattern": f"{name}-{HASH}-[a-z0-9]{{5}}", "others": f"{name}-[a-z0-9]{{1,10}}-[a-z0-9]{{5}}"},
        "StatefulSet": {"pattern": f"{name}-[0-9]+", "others": ""},
        "DaemonSet": {"pattern": f"{name}-[a-z0-9]{{5}}", "others": ""},
    }
    live = [pod(one) for one in pods]
    return {
        "key": f"{kind}/shop/{name}",
        "workload": {"kind": kind, "metadata": {"name": name, "namespace": "shop"}},
        "pods": live,
        "all_pods": live,
        "revision": {"name": "", "since": since, **patterns[kind], **revision},
        "hash_in_names": kind == "Deployment",
    }


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        (f"web-{HASH}-x2x4z", Owner("Deployment/shop/web", True)),
        ("web-6c6b5d4f7-x2x4z", Owner("Deployment/shop/web", False, "web-6c6b5d4f7")),
        ("web-29384756-x2x4z", None),  # a CronJob's: hashes have no 2, 3, 0, 1
        ("web-6c6b5d4f7-aeiou", None),  # and suffixes no vowels
        (f"web-api-{HASH}-x2x4z", None),
        ("web-0", None),
        (f"shop-web-{HASH}-x2x4z", None),
        ("db-0", Owner("StatefulSet/shop/db", True)),
        ("db-0-x", None),
        ("agent-x2x4z", Owner("DaemonSet/shop/agent", True)),
        ("web-9c9c9c9c9-l1v30", Owner("DaemonSet/shop/agent", True)),  # a live pod is whose it is, whatever its name
    ],
)
def test_owners(name: str, owner: Owner | None) -> None:
    owners = Owners([subject(), subject("db", "StatefulSet"), subject("agent", "DaemonSet", pods=("web-9c9c9c9c9-l1v30",))])
    assert owners.of("shop", name) == owner and owners.of("elsewhere", name) is None


def test_a_name_that_could_be_of_several_is_nobodys() -> None:
    assert Owners([subject("a", "DaemonSet"), subject("a", "StatefulSet", pattern="a-[a-z0-9]{5}")]).of("shop", "a-x2x4z") is None


def test_the_kubelets_job_comes_first() -> None:
    runs = [{"pod": "a", "job": job, "id": identity, "cluster": "x"} for job in ("kubelet", "more") for identity in ("1", "2")]
    counted = {series_key(labels): 10.0 * (labels["job"] == "more") + 1 for labels in runs}
    assert [dict(key)["job"] for key in best_origin(counted, queries.USUAL)] == ["kubelet", "kubelet"]
    others = {key: value for key, value in counted.items() if dict(key)["job"] != "kubelet"} | {series_key({"pod": "a", "job": "few"}): 1.0}
    assert [dict(key)["job"] for key in best_origin(others, queries.USUAL)] == ["more", "more"]


# --- portions --------------------------------------------------------------------------------------------------------------


def unit(name: str, series: int = 2, begin: float = 0.0, pods: int = 1, samples: int = 100) -> Unit:
    known = tuple(f"{name}-{index:05}" for index in range(pods))
    return Unit(name, "shop", f"{name}-[a-z0-9]{{5}}", (), series, samples, begin, known)


def test_portions_are_bounded() -> None:
    units = [unit(f"app-{index:03}") for index in range(200)] + [unit("late", begin=5.0)]
    found = list(batches(units, {"max_series": 100}))
    assert sum(len(one) for one in found) == 201 and all(sum(each.series for each in one) <= 100 for one in found)
    assert all(len({each.begin for each in one}) == 1 for one in found)
    assert len(list(batches(units, {"max_samples": 1000}))) == 21
    assert all(len("|".join(each.pattern for each in one)) <= queries.PATTERN_LENGTH for one in batches(units, {"max_series": 9999}))
    assert max(sum(each.series for each in one) for one in batches(units, {}, points=2304)) <= 108


def test_a_large_workload_is_asked_in_parts() -> None:
    found = list(batches([unit("big", series=1200, pods=600)], {}))
    names = [name for one in found for each in one for name in each.pods]
    assert len(found) >= 3 and sorted(names) == [f"big-{index:05}" for index in range(600)]
    assert all(sum(len(each.pattern) for each in one) <= queries.PATTERN_LENGTH for one in found)


# --- a server --------------------------------------------------------------------------------------------------------------


class Canned:
    """Answers as a Prometheus would whose every series has one value all the time. ``series``: [(labels, cpu, memory)]."""

    def __init__(self, web: Web, *series: tuple[dict[str, str], float, float]) -> None:
        self.web, self.series, self.now = web, list(series), NOW
        self.refuse: Callable[[str, list[dict[str, str]]], Answer | None] = lambda query, found: None
        self.further: dict[str, Any] = {}
        for path in ("query", "query_range"):
            web.routes[f"GET /api/v1/{path}"] = self.answer

    def answer(self, asked: Asked) -> Answer:
        query = asked.query["query"][0]
        if query == "time()":
            return Answer(200, {"status": "success", "data": {"resultType": "scalar", "result": [self.now, str(self.now)]}})
        strings = re.findall(r'([a-zA-Z_]+)(=~|!=|=)("(?:[^"\\]|\\.)*")', query)
        metric = re.search(r"(container|kube)_\w+", query)
        kind = next((one for one in ("cpu_usage", "memory_working") if metric and one in metric[0]), "")
        found = [
            (labels, {"cpu_usage": cpu, "memory_working": memory}[kind]) for labels, cpu, memory in self.series if kind and matches(labels, strings)
        ]
        refused = self.refuse(query, [labels for labels, _value in found])
        if refused:
            return refused
        end = float(asked.query.get("time", asked.query.get("end", ["0"]))[0])
        if "start" in asked.query:
            moments = range(int(float(asked.query["start"][0])), int(end) + 1, int(float(asked.query["step"][0])))
            result = [{"metric": labels, "values": [[at, str(value)] for at in moments]} for labels, value in found]
        elif re.search(r"^[^(]*\[\d+s\]$", query):
            result = [{"metric": labels, "values": [[end - 60 * index, str(value)] for index in range(9, -1, -1)]} for labels, value in found]
        else:
            count = "count_over_time" in query
            result = [{"metric": labels, "value": [end, "1441" if count else str(value)]} for labels, value in found]  # type: ignore[list-item]
        return Answer(200, {"status": "success", "data": {"resultType": "matrix", "result": result}, **self.further})

    def read(self, *subjects: dict[str, Any], **options: Any) -> dict[str, Any]:
        return history.read(self.server(), subjects or (subject(),), {"history_days": 1, **options}, now=options.pop("now", NOW))

    def server(self) -> client.Prometheus:
        found = client.connect({"prometheus_url": self.web.address}, {})
        assert found is not None
        return found

    @property
    def asked(self) -> list[str]:
        return [one.query["query"][0] for one in self.web.asked]


def matches(labels: dict[str, str], matchers: list[tuple[str, str, str]]) -> bool:
    return all(
        {
            "=": labels.get(name, "") == value,
            "!=": labels.get(name, "") != value,
            "=~": bool(operator != "=~" or re.fullmatch(value, labels.get(name, ""))),
        }[operator]
        for name, operator, value in ((name, operator, json.loads(quoted)) for name, operator, quoted in matchers)
    )


def labels_of(name: str = f"web-{HASH}-x2x4z", **further: str) -> dict[str, str]:
    return {"namespace": "shop", "pod": name, "container": "app", "job": "kubelet", **further}


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(history_run, "_sleep", lambda seconds: None)
    with serve() as running:
        yield running


def usage(found: dict[str, Any], name: str = f"web-{HASH}-x2x4z", key: str = "Deployment/shop/web") -> dict[str, Any]:
    one: dict[str, Any] = found["workloads"][key]["containers"]["app"][name]
    return one


def test_a_history(web: Web) -> None:
    found = Canned(web, (labels_of(), 0.25, 100.0)).read()
    one = usage(found)
    assert one["memory"] == {
        **{"p50": 100.0, "p95": 100.0, "p99": 100.0, "max": 100.0, "samples": 1441, "coverage": 1.0},
        **{"from": found["from"], "to": found["to"]},
    }
    assert one["cpu"]["p95"] == 0.25 and one["cpu"]["samples"] == 288 == len(one["cpu_series"]["values"]) and one["throttled"] is None
    assert (
        found["step_seconds"] == 300.0
        and found["sample_seconds"] == 60.0
        and found["to"] == NOW // 300 * 300
        and found["to"] - found["from"] == 86400
    )
    assert {one["what"] for one in found["not_evaluated"]} == {"restarts of the past", "OOM kills of the past"}
    assert len(found["queries"]) == 13 and found["workloads"]["Deployment/shop/web"]["first_seen"] == found["from"]


@pytest.mark.parametrize("names", [queries.NAMES[index] for index in (1, 4, 5, 6, 7)], ids="-".join)
def test_other_labels_are_found(web: Web, names: queries.Names) -> None:
    foreign = {"namespace": "monitoring", "pod": "cadvisor-x2x4z", "container": "cadvisor", "job": "cadvisor"}
    series = {**foreign, names.namespace: "shop", names.pod: f"web-{HASH}-x2x4z", names.container: "app"}
    found = Canned(web, (series, 0.25, 100.0)).read()
    assert usage(found)["memory"]["p95"] == 100.0 and f"with the labels {', '.join(names)}" in found["notes"][0]


def test_the_samples_own_pod_wins(web: Web) -> None:
    exporter = f"web-{HASH}-x2x4z"  # of the workload itself, and it tells about another pod
    canned = Canned(web, (labels_of(), 0.25, 100.0), (labels_of(exporter, exported_pod="other-1"), 9.0, 9.0))
    assert usage(canned.read())["memory"]["max"] == 100.0


def test_labels_that_are_given(web: Web) -> None:
    series = {"ns": "shop", "workload_pod": f"web-{HASH}-x2x4z", "container": "app"}
    canned = Canned(web, (series, 0.25, 100.0))
    assert usage(canned.read(prometheus_label_names={"namespace": "ns", "pod": "workload_pod"}))["cpu"]["max"] == 0.25
    for wrong in ({"pod": 'a"b'}, {"pods": "x"}, "pod"):
        with pytest.raises(BadInput, match="prometheus_label"):
            canned.read(prometheus_label_names=wrong)


def test_several_clusters(web: Web) -> None:
    canned = Canned(web, (labels_of(cluster="a"), 0.2, 10.0), (labels_of(cluster="b"), 0.4, 20.0))
    with pytest.raises(BadInput, match="in 2 clusters: cluster is a, b.*prometheus_labels"):
        canned.read()
    assert usage(canned.read(prometheus_labels={"cluster": "b"}))["memory"]["max"] == 20.0


def test_rates_by_processor_are_added(web: Web) -> None:
    canned = Canned(web, (labels_of(cpu="cpu00"), 0.2, 10.0), (labels_of(cpu="cpu01"), 0.3, 10.0))
    assert usage(canned.read())["cpu"]["max"] == pytest.approx(0.5)
    canned.series.append((labels_of(cpu="total"), 0.45, 10.0))
    assert usage(canned.read())["cpu"]["max"] == 0.45


@pytest.mark.parametrize("odd", ["NaN", "+Inf", "-1"])
def test_what_is_no_amount_is_left_out(web: Web, odd: str) -> None:
    canned = Canned(web, (labels_of(), 0.25, float(odd)))
    found = usage(canned.read())
    assert found["memory"] is None and found["cpu"]["max"] == 0.25


@pytest.mark.parametrize("text", ['a"} or vector(1) #', "x\ny\x1b[2J", "\\", "'; drop"])
def test_hostile_labels(web: Web, text: str) -> None:
    canned = Canned(web, (labels_of(image=text, id=text), 0.25, 100.0), (labels_of(image=text, id=text + "2"), 0.25, 100.0))
    assert usage(canned.read())["memory"]["max"] == 100.0
    assert all("\n" not in query and "\x1b" not in query for query in canned.asked)


def test_samples_of_a_revision_count_from_its_creation(web: Web) -> None:
    canned = Canned(web, (labels_of("db-0", id="new"), 0.25, 100.0))
    canned.refuse = lambda query, found: (
        Answer(200, {"status": "success", "data": {"resultType": "vector", "result": []}}) if is_plain(query) else None
    )
    found = canned.read(subject("db", "StatefulSet", since=NOW - 7200))
    one = usage(found, "db-0", "StatefulSet/shop/db")
    assert one["memory_series"]["begin"] == math.ceil((NOW - 7200) / 300) * 300 and one["cpu"]["samples"] == len(one["cpu_series"]["values"]) <= 24
    window = f"[{found['to'] - one['memory_series']['begin']:.0f}s]"
    assert sum(window in query for query in canned.asked) >= 4


def is_plain(query: str) -> bool:
    """Whether it is for the series that there were at a moment."""
    return query.startswith("container_memory") and query.endswith("}")


def test_no_workloads(web: Web) -> None:
    canned = Canned(web)
    found = history.read(canned.server(), [], {}, now=NOW)
    assert found["workloads"] == {} and canned.asked == ["time()"]


def test_clocks_apart(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    canned = Canned(web, (labels_of(), 0.25, 100.0))
    monkeypatch.setattr("time.time", lambda: NOW + 3600)
    found = history.read(canned.server(), (subject(),), {"history_days": 1})
    assert "The clock of Prometheus is 60 min behind this machine's" in found["notes"][0] and found["to"] == NOW // 300 * 300


def test_remarks_of_the_server_are_notes(web: Web) -> None:
    canned = Canned(web, (labels_of(), 0.25, 100.0))
    canned.further = {"warnings": ["No StoreAPIs matched for this query"]}
    assert "Prometheus remarks: No StoreAPIs matched for this query." in canned.read()["notes"]


# --- a server that fails ---------------------------------------------------------------------------------------------------

MANY = [labels_of(f"web-{HASH}-{index:05}".replace("0", "b").replace("1", "c")) for index in range(8)]


def test_too_many_samples_are_asked_in_halves(web: Web) -> None:
    canned = Canned(web, *((labels, 0.25, 100.0) for labels in MANY))
    canned.refuse = lambda query, found: Answer(422, TOO_MUCH) if len(found) > 2 and "quantile" in query else None
    found = canned.read()
    pods = found["workloads"]["Deployment/shop/web"]["containers"]["app"]
    assert len(pods) == 8
    assert all(one["memory"]["p95"] == 100.0 for one in pods.values()) and any("queries failed at first" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(422, TOO_MUCH), client.TooMuch, "No smaller part"),
        (Answer(429, b"slow"), client.Busy, "429.*queries failed, although|No smaller part"),
        (Answer(503, b"starting"), client.PrometheusUnreachable, "is not ready"),
        (Answer(503, {"status": "error", "errorType": "timeout", "error": "query timed out"}), client.PrometheusUnreachable, "query timed out"),
        (Answer(400, {"status": "error", "errorType": "bad_data", "error": "parse error"}), client.QueryRefused, "parse error"),
    ],
)
def test_it_gives_up(web: Web, answer: Answer, error: type[client.PrometheusError], says: str) -> None:
    canned = Canned(web, *((labels, 0.25, 100.0) for labels in MANY))
    canned.refuse = lambda query, found: answer if "quantile" in query else None
    with pytest.raises(error, match=says) as raised:
        canned.read()
    assert raised.value.fix and len(canned.asked) < 80


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_for_a_busy_server(web: Web, status: int) -> None:
    canned, refused = Canned(web, (labels_of(), 0.25, 100.0)), []

    def refuse(query: str, found: list[dict[str, str]]) -> Answer | None:
        if "quantile" in query and query not in refused:
            refused.append(query)
            return Answer(status, b"later")
        return None

    canned.refuse = refuse
    found = canned.read()
    assert usage(found)["memory"]["p50"] == 100.0 and any(note.startswith("3 queries failed at first") for note in found["notes"])


def test_the_plan(web: Web) -> None:
    canned = Canned(web, *((labels, 0.25, 100.0) for labels in MANY))
    plan = history.plan(canned.server(), [subject()], {"history_days": 1}, now=NOW)
    asked = len(web.asked)
    kinds = {re.sub(r" of memory.*", "", one["what"]) for one in plan["queries"]}
    assert asked == 3 and {"p50", "p95", "p99", "CPU at every step", "highest memory of every step", "throttled periods"} <= kinds
    assert plan["series"] == len({labels["pod"] for labels in MANY}) and plan["samples"] > plan["series"] * 1441 * 5 and json.dumps(plan)
    assert history.in_words(plan).startswith(
        f"{len(plan['queries'])} queries for {plan['series']} series of 1 workloads over 24 h: about 0.1 million"
    )
