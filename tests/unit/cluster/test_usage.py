# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Sampling metrics.k8s.io: when a window is full, what is one sample, and an API that is missing, refuses, or is away for a while."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.usage import MetricsMissing, sample

from tests.unit.cluster.web import Answer, Asked, Web, status

PATH = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"
START = 1_795_000_000.0


class Time:
    """Passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float, /) -> None:
        self.passed += seconds


def measured(pod: str, at: float, cpu: str = "90m", memory: str = "50Mi") -> dict[str, Any]:
    stamp = datetime.datetime.fromtimestamp(START + at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"name": pod}, "timestamp": stamp, "window": "15s", "containers": [{"name": "app", "usage": {"cpu": cpu, "memory": memory}}]}


def metrics(web: Web, clock: Time, every: float = 15, late: float = 10, away: tuple[float, float] = (0, 0), failure: Answer | None = None) -> None:
    """A metrics-server that measures every so many seconds, answers with the last measurement, and is away for a while."""

    def answer(asked: Asked) -> Answer:
        if failure and away[0] <= clock.passed < away[1]:
            return failure
        at = (clock.passed + 1000) // every * every - 1000 - late
        return Answer(200, {"items": [measured("web-1", at), measured("web-2", at + 3, "250000000n", "1000")]})

    web.routes[f"GET {PATH}"] = answer


def test_a_window(web: Web, api: Api) -> None:
    clock, seen = Time(), list[tuple[float, float, str]]()
    metrics(web, clock)
    found = sample(
        api, "shop", "app=web", window_seconds=60, step_seconds=5, resources=("cpu", "memory"), clock=clock, progress=lambda *one: seen.append(one)
    )
    assert set(found) == {"cpu", "memory"} and clock.passed < 75
    cpu, memory = found["cpu"], found["memory"]
    assert [value for _at, value in cpu["pods"]["web-1"]["app"]] == [0.09] * 5 and cpu["pods"]["web-2"]["app"][0][1] == 0.25
    assert memory["pods"]["web-1"]["app"][0][1] == 50 * 2**20 and memory["pods"]["web-2"]["app"][0][1] == 1000
    assert cpu["step_seconds"] == 15 and cpu["source"] == "metrics.k8s.io, every 15 s" and cpu["to"] - cpu["from"] == 60
    assert cpu["to"] == cpu["pods"]["web-2"]["app"][-1][0]
    assert web.asked[0].query == {"labelSelector": ["app=web"]}
    assert [one[0] for one in seen] == sorted(one[0] for one in seen) and seen[-1] == (60, 60, "2 pods measured")


def test_a_metrics_server_that_measures_every_minute(web: Web, api: Api) -> None:
    clock = Time()
    metrics(web, clock, every=60, late=20)
    found = sample(api, "shop", "", window_seconds=300, clock=clock)["cpu"]
    assert found["step_seconds"] == 60 and len(found["pods"]["web-1"]["app"]) == 6 and "query" not in web.asked[0].query


@pytest.mark.parametrize("failure", [status(503, "ServiceUnavailable"), status(500, "InternalError"), Answer(0), status(429, "TooManyRequests")])
def test_away_for_a_moment(web: Web, api: Api, failure: Answer) -> None:
    clock, seen = Time(), list[str]()
    metrics(web, clock, away=(30, 60), failure=failure)
    found = sample(api, "shop", "", window_seconds=90, clock=clock, progress=lambda done, wanted, text: seen.append(text))["cpu"]
    times = [at for at, _value in found["pods"]["web-1"]["app"]]
    assert max(late - early for early, late in zip(times, times[1:])) == 45 and found["step_seconds"] == 15
    assert any("does not answer for the moment" in text for text in seen)


@pytest.mark.parametrize(
    ("failure", "error", "says"),
    [
        (status(404, "NotFound"), MetricsMissing, "does not serve metrics.k8s.io"),
        (status(503, "ServiceUnavailable", "no endpoints"), MetricsMissing, "has not answered for 60 s"),
        (status(403, "Forbidden", "cannot list pods.metrics.k8s.io"), ApiError, "Grant list on pods of the API group metrics.k8s.io"),
        (status(401, "Unauthorized"), ApiError, "401"),
    ],
)
def test_an_api_that_does_not_serve(web: Web, api: Api, failure: Answer, error: type[Exception], says: str) -> None:
    web.routes[f"GET {PATH}"] = failure
    clock = Time()
    with pytest.raises(error) as found:
        sample(api, "shop", "", window_seconds=300, clock=clock)
    assert says in str(found.value) and clock.passed <= 61
    assert error is not MetricsMissing or "Install metrics-server in the cluster, or give prometheus_url" in str(found.value)


def test_pods_that_are_never_measured(web: Web, api: Api) -> None:
    web.routes[f"GET {PATH}"] = Answer(200, {"items": []})
    clock = Time()
    assert sample(api, "shop", "", window_seconds=300, clock=clock)["cpu"]["pods"] == {} and clock.passed == 90


def test_a_measurement_that_stands_still_is_one_sample(web: Web, api: Api) -> None:
    web.routes[f"GET {PATH}"] = Answer(200, {"items": [measured("web-1", 0), {"metadata": {"name": "odd"}, "containers": []}]})
    clock = Time()
    found = sample(api, "shop", "", window_seconds=60, clock=clock)["cpu"]
    assert found["pods"] == {"web-1": {"app": [[START, 0.09]]}} and clock.passed == 150


def test_clocks_of_nodes_that_differ_do_not_fill_the_window(web: Web, api: Api) -> None:
    web.routes[f"GET {PATH}"] = Answer(200, {"items": [measured("web-1", 0), measured("web-2", -900)]})
    clock = Time()
    sample(api, "shop", "", window_seconds=60, clock=clock)
    assert clock.passed == 150
