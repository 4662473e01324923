# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The PromQL that is written, hostile names in it, and what samples become of the series that come back."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterator

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load import judge
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import queries
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import NothingFound, Prometheus, QueryRefused, Series, connect
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.usage import custom, from_raw, workload

from tests.unit.capacity.load_samples import NOW, pod
from tests.unit.cluster.web import Answer, Asked, Web, serve

HOSTILE = ['a"} or vector(1) #', "a|.*", "web-1\\", "x\ny", "p$", "(((", "naïve-1", "`id`", "", "\x00", "web.1"]


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as running:
        yield running


def prometheus(web: Web, result: list[dict[str, Any]] | Callable[[Asked], Any], now: float = NOW) -> Prometheus:
    """A server whose clock stands still and whose queries have this result."""

    def answer(asked: Asked) -> Answer:
        if asked.query["query"] == ["time()"]:
            return Answer(200, {"status": "success", "data": {"resultType": "scalar", "result": [now, str(now)]}})
        found = result(asked) if callable(result) else result
        return Answer(200, {"status": "success", "data": {"resultType": "matrix", "result": found}})

    web.routes["GET /api/v1/query"] = web.routes["GET /api/v1/query_range"] = answer
    found = connect({"prometheus_url": web.address}, {})
    assert found is not None
    return found


# --- PromQL -----------------------------------------------------------------------------------------------------------------


def test_the_query_for_raw_samples() -> None:
    assert list(queries.raw_samples("cpu", "shop", ["web-5d9-b", "web-5d9-a", "db-0"], 420, {"cluster": 'pr"od'})) == [
        'container_cpu_usage_seconds_total{namespace="shop", pod=~"db\\\\-0|web\\\\-5d9\\\\-(?:a|b)", container!="", container!="POD",'
        ' cluster="pr\\"od"}[420s]'
    ]
    assert next(queries.raw_samples("memory", "shop", ["a"], 60.4)).endswith("}[60s]")


def test_the_query_for_long_windows() -> None:
    by = "max by (pod, container, cluster, cluster_name, cluster_id, k8s_cluster, k8s_cluster_name)"
    selected = '{namespace="shop", pod=~"a", container!="", container!="POD"}[300s]'
    assert list(queries.usage("cpu", "shop", ["a"], 300)) == [f"{by} (rate(container_cpu_usage_seconds_total{selected}))"]
    assert list(queries.usage("memory", "shop", ["a"], 300)) == [f"{by} (max_over_time(container_memory_working_set_bytes{selected}))"]
    assert not list(queries.usage("cpu", "shop", [], 300))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_matches_itself_and_nothing_else(name: str) -> None:
    [pattern] = queries.patterns([name])
    assert re.fullmatch(pattern, name) and not any(re.fullmatch(pattern, other) for other in ["web-1", "ax", *HOSTILE] if other != name)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_inside_its_quotes(name: str) -> None:
    [query] = queries.raw_samples("cpu", name, [name], 60, {"cluster": name})
    strings = re.findall(r'"(?:[^"\\]|\\.)*"', query)
    assert json.loads(strings[0]) == name and len(strings) == 5
    assert (
        re.sub(r'"(?:[^"\\]|\\.)*"', "S", query)
        == "container_cpu_usage_seconds_total{namespace=S, pod=~S, container!=S, container!=S, cluster=S}[60s]"
    )
    assert not any(ord(letter) < 32 for letter in query)


def test_many_pods_are_few_queries_that_fit_into_an_address() -> None:
    names = [f"web-5d9d9b8cf-{index:05d}" for index in range(200)] + [f"stateful.set-{index}" for index in range(800)]
    found = list(queries.patterns(names))
    assert len(found) == 2 and max(map(len, found)) < 4200 and sum(1 for name in names if any(re.fullmatch(one, name) for one in found)) == 1000


def test_labels_have_names() -> None:
    with pytest.raises(BadInput, match="prometheus_labels"):
        queries.check_labels({'cluster="x"} or up{a': "b"})


# --- raw samples ------------------------------------------------------------------------------------------------------------


def counter(cores: Callable[[float], float], begin: float = -420, end: float = 0, every: float = 15, first: float = 1000.0) -> list[list[float]]:
    points, value = [], first
    for index in range(int((end - begin) / every) + 1):
        at = begin + index * every
        value += cores(at) * every if index else 0
        points.append([NOW + at, value])
    return points


def labelled(points: list[list[float]], **labels: str) -> Series:
    return Series({"pod": "web-1", "container": "app", "job": "kubelet", "id": "/a", "name": "a", "image": "i", **labels}, points)


def test_counters_become_cores() -> None:
    found = from_raw([labelled(counter(lambda at: 0.09))], "cpu", NOW - 300)
    assert found["step_seconds"] == 15 and found["restarts"] == [] and len(found["pods"]["web-1"]["app"]) == 28
    assert all(value == pytest.approx(0.09) for _at, value in found["pods"]["web-1"]["app"])


def test_bytes_stay_bytes() -> None:
    assert from_raw([labelled([[1.0, 5.0], [16.0, 3.0]])], "memory", 0)["pods"]["web-1"]["app"] == [[1.0, 5.0], [16.0, 3.0]]


def test_a_gap_is_not_bridged_by_a_mean() -> None:
    whole = counter(lambda at: 0.09)
    points = [one for one in whole if not NOW - 200 < one[0] < NOW - 100]
    found = from_raw([labelled(points)], "cpu", NOW - 300)["pods"]["web-1"]["app"]
    assert not [at for at, _value in found if NOW - 200 < at <= NOW - 100 + 5] and len(found) == 20


def test_a_container_that_is_scraped_twice_counts_once() -> None:
    other = [[at + 4, value] for at, value in counter(lambda at: 0.09, every=5)]
    for jobs in (("kubelet", "cadvisor"), ("cadvisor", "kubelet")):
        found = from_raw([labelled(counter(lambda at: 0.09), job=jobs[0]), labelled(other, job=jobs[1])], "cpu", NOW - 300)
        assert len(found["pods"]["web-1"]["app"]) == (28 if jobs[0] == "kubelet" else 84)
        assert all(value == pytest.approx(0.09) for _at, value in found["pods"]["web-1"]["app"])


def test_restarts_show_as_a_new_series_or_as_a_counter_that_falls() -> None:
    old, new = labelled(counter(lambda at: 0.09, end=-150)), labelled(counter(lambda at: 0.09, begin=-130, first=0.0), id="/b", name="b")
    found = from_raw([new, old], "cpu", NOW - 300)
    assert found["restarts"] == [{"pod": "web-1", "container": "app", "at": NOW - 130}] and all(
        value >= 0 for _at, value in found["pods"]["web-1"]["app"]
    )
    fallen = counter(lambda at: 0.09, end=-150) + counter(lambda at: 0.09, begin=-135, first=0.0)
    assert [one["at"] for one in from_raw([labelled(fallen)], "cpu", NOW - 300)["restarts"]] == [NOW - 135]
    assert from_raw([labelled(fallen)], "cpu", NOW - 100)["restarts"] == []


def test_nothing() -> None:
    assert from_raw([], "cpu", 0) == {"pods": {}, "step_seconds": 15.0, "restarts": []}
    assert from_raw([labelled([])], "cpu", 0)["pods"] == {"web-1": {"app": []}}


# --- samples of a server --------------------------------------------------------------------------------------------------------


def matrix(*series: Series) -> list[dict[str, Any]]:
    return [{"metric": one.labels, "values": [[at, str(value)] for at, value in one.values]} for one in series]


def test_a_workload_is_judged_by_the_servers_clock(web: Web) -> None:
    found = workload(prometheus(web, matrix(labelled(counter(lambda at: 0.09)))), "shop", ["web-1"], window_seconds=300)
    assert (found["from"], found["to"], found["source"]) == (NOW - 300, NOW, f"Prometheus {web.address}, step 15 s")
    assert judge(found, [pod()], now=NOW)["verdict"] == "sustained"
    assert web.asked[1].query["time"] == [f"{NOW:.3f}"] and "[420s]" in web.asked[1].query["query"][0]


def test_a_long_window_is_read_as_rates(web: Web) -> None:
    values = [[NOW - 86400 + 120 * index, 0.09] for index in range(721)]
    found = workload(prometheus(web, matrix(Series({"pod": "web-1", "container": "app"}, values))), "shop", ["web-1"], window_seconds=86400)
    assert found["step_seconds"] == 120 and "rate(" in web.asked[1].query["query"][0] and web.asked[1].query["step"] == ["120.000"]
    started = {**pod(started=200000, ready=199000)}
    assert judge(found, [started], now=NOW, window_seconds=86400)["verdict"] == "sustained"


def test_several_clusters_in_one_prometheus(web: Web) -> None:
    both = matrix(labelled(counter(lambda at: 0.09), cluster="prod"), labelled(counter(lambda at: 0.01), cluster="test"))
    with pytest.raises(BadInput, match="in 2 clusters: cluster is prod, test. Say which one is meant with prometheus_labels"):
        workload(prometheus(web, both), "shop", ["web-1"], window_seconds=300)


def test_no_series_of_a_workload_is_no_error(web: Web) -> None:
    found = workload(prometheus(web, []), "shop", ["web-1"], window_seconds=300)
    assert judge(found, [pod()], now=NOW)["reason"] == "There are no samples of web-1 within the last 5 min."


# --- a figure of one's own ---------------------------------------------------------------------------------------------------------


def test_a_custom_figure(web: Web) -> None:
    values = [[NOW - 300 + 15 * index, 90.0] for index in range(21)]
    found = custom(prometheus(web, matrix(Series({}, values))), "sum(rate(requests_total[1m]))", window_seconds=300, unit="requests/s")
    assert found["values"] == values and found["unit"] == "requests/s" and found["step_seconds"] == 15
    assert judge(found, [pod()], now=NOW, resource="custom", target=100)["verdict"] == "sustained"


@pytest.mark.parametrize(
    ("result", "error", "says"),
    [
        ([], NothingFound, "prometheus_query has no result in the last 300 s"),
        (matrix(Series({}, [[NOW, float("nan")]])), NothingFound, "only values that are no numbers"),
        (
            matrix(*(Series({"pod": f"web-{index}"}, [[NOW, 1.0]]) for index in range(5))),
            BadInput,
            "has 5 series as its result, one is wanted: pod=web-0; pod=web-1",
        ),
    ],
)
def test_a_custom_figure_that_is_none(web: Web, result: list[dict[str, Any]], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        custom(prometheus(web, result), "up", window_seconds=300)


def test_a_query_that_is_empty_or_wrong(web: Web) -> None:
    with pytest.raises(BadInput, match="prometheus_query is empty"):
        custom(prometheus(web, []), " ", window_seconds=300)
    web.routes["GET /api/v1/query_range"] = Answer(
        400, {"status": "error", "errorType": "bad_data", "error": "parse error: unclosed left parenthesis"}
    )
    with pytest.raises(QueryRefused, match='prometheus_query: Prometheus refuses the query: "parse error: unclosed left parenthesis"'):
        custom(prometheus_with(web), "sum(up", window_seconds=300)


def prometheus_with(web: Web) -> Prometheus:
    """The same server, with the routes as they are."""
    found = connect({"prometheus_url": web.address}, {})
    assert found is not None
    return found
