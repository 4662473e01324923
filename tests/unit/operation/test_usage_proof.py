# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Usage under the new limits while a change is watched: measured, decided at the end, told; and what could not be measured is said."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks as made_checks, clock, phr, plan as plans, prove, usage_proof
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples
from tests.unit.operation.server import Server
from tests.unit.operation.test_prove import FAST, PODS, checks, reached, server

__all__ = ["server"]  # the fixture: a Deployment of three pods that are all available

METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"
LIMITS = {"app": {"cpu": 0.1, "memory": 64 * 2**20}}
MIB = 2**20


def measurement(pod: str, cpu: str = "20m", memory: str = "16Mi", age: float = 0.0, **more: Any) -> dict[str, Any]:
    at = clock.later(clock.stamp(clock.now()), seconds=5 - age)[:19] + "Z"  # whole seconds, as the API writes them
    return {"metadata": {"name": pod}, "timestamp": at, "containers": [{"name": "app", "usage": {"cpu": cpu, "memory": memory}}], **more}


def watched(
    server: Server, store: Directory, requested: dict[str, Any] | None = None, wait: bool = True, seconds: float = 0.0, **payload: Any
) -> Record:
    until = clock.later(clock.stamp(clock.now()), seconds=seconds)
    record = reached(store, "validated", **{"watch_until": until, **payload})
    prove.watch(server, store, record, made_checks.with_usage(checks(), LIMITS, requested or {}), wait, lambda *line: None, FAST)
    return record


def test_usage_below_the_limits_is_told(server: Server, store: Directory) -> None:
    server.put(METRICS, {"items": [measurement("web-2"), measurement("web-3", "40m", "30Mi"), measurement("web-old", "4", "1Gi")]})
    record = watched(server, store)
    closed = record.events[-1]["payload"]
    assert record.state == "closed" and closed["reason"].endswith("; p95 of usage: app cpu 40m of 100m, memory 30Mi of 64Mi")
    of_cpu = {"p50": 0.04, "p95": 0.04, "max": 0.04, "samples": 2, "pods": 2, "pod": "web-3", "limit": 0.1}
    assert (
        closed["usage"]["containers"]["app"]["cpu"] == of_cpu and closed["usage"]["source"] == "metrics.k8s.io" and "missing" not in closed["usage"]
    )
    text = phr.render(record.events)
    assert "### Usage during the watch\n\n- app: cpu p50 40m, p95 40m, max 40m, limit 100m (2 samples of 2 pods)" in text
    assert "usage during the watch" not in text


@pytest.mark.parametrize("cpu, memory, what", [("100m", "16Mi", "cpu"), ("20m", "64Mi", "memory")])
def test_usage_at_a_limit_fails_at_the_end_of_the_watch(server: Server, store: Directory, cpu: str, memory: str, what: str) -> None:
    server.put(METRICS, {"items": [measurement("web-2", cpu, memory)]})
    early = watched(server, store, wait=False, seconds=60)
    assert early.state == "validated", "one high moment decides nothing before the end"
    record = watched(server, store)
    failed = record.events[-1]["payload"]
    assert record.state == "failed" and failed["phase"] == "watch" and undo_needed(record.events)
    assert f"the {what} usage of container app in web-2 reaches its limit" in failed["reason"] and "(1 sample of 1 pod)" in failed["reason"]
    assert failed["usage"]["containers"]["app"][what]["samples"] == 1 and "### Usage during the watch" in phr.render(record.events)


def test_a_short_burst_is_no_failure_and_equal_measurements_count_once(server: Server, store: Directory) -> None:
    low = [measurement("web-2", age=age) for age in range(40)]
    looks = iter([*low[:20], measurement("web-2", "900m", "60Mi", age=-1), *low[20:]])

    def fault(_method: str, path: str) -> None:
        if path == METRICS and (one := next(looks, None)):
            server.put(METRICS, {"items": [one]})

    server.faults.append(fault)
    begun = clock.later(clock.stamp(clock.now()), seconds=-60)
    check = next(one for one in made_checks.with_usage(checks(), LIMITS, {}) if one["type"] == "watch")
    used = usage_proof.Watched(server, check, begun)
    state = {"exists": True, "pods": [{"name": "web-2", "current": True}], "selector": "app=web"}
    for _look in range(60):
        used.look(state)
    assert used.fault() == "" and used.figures()["app"]["cpu"]["samples"] == 41 and used.figures()["app"]["cpu"]["max"] == 0.9


def test_what_was_measured_before_the_watch_does_not_count(server: Server, store: Directory) -> None:
    server.put(METRICS, {"items": [measurement("web-2", "900m", age=120)]})
    record = watched(server, store)
    assert record.state == "closed" and record.events[-1]["payload"]["usage"] == {
        "source": "metrics.k8s.io",
        "containers": {},
        "missing": "no measurement of app during the watch",
    }


ERRORS = [
    (ApiError(404, "NotFound", "x", "GET"), "The cluster does not serve metrics.k8s.io"),
    (ApiError(403, "Forbidden", "x", "GET"), "The API server refused GET pods of metrics.k8s.io in namespace shop"),
    (ApiError(503, "Busy", "x", "GET"), "metrics.k8s.io does not answer"),
    (Unreachable("no answer"), "no answer"),
]


@pytest.mark.parametrize("error, said", ERRORS, ids=["not served", "not allowed", "not ready", "away"])
def test_without_measurements_the_rest_of_the_watch_decides(server: Server, store: Directory, error: Exception, said: str) -> None:
    def fault(_method: str, path: str) -> None:
        if path == METRICS:
            raise error

    server.faults.append(fault)
    record = watched(server, store)
    usage = record.events[-1]["payload"]["usage"]
    assert record.state == "closed" and usage["containers"] == {} and usage["missing"].startswith(said)
    text = phr.render(record.events)
    assert "- usage not measured: " in text and "usage during the watch (" in text


def test_a_change_without_limits_asks_for_no_metrics(server: Server, store: Directory) -> None:
    asked: list[str] = []
    server.faults.append(lambda _method, path: asked.append(path))
    record = reached(store, "validated", watch_until=clock.stamp(clock.now()))
    prove.watch(server, store, record, checks(), True, lambda *line: None, FAST)
    assert record.state == "closed" and METRICS not in asked and {"usage", "requested"} & set(record.events[-1]["payload"]) == set()


def sized(name: str, cpu: str, memory: str) -> dict[str, Any]:
    spec = {
        "containers": [{"name": "app", "resources": {"requests": {"cpu": cpu, "memory": memory}}}],
        "initContainers": [{"name": "once", "resources": {"requests": {"cpu": "9"}}}],
    }
    labels = {"pod-template-hash": "new"}
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


PREDICTED = [
    ({"cpu": [1.5, 0.3], "memory": [3.0e9, 96.0 * MIB]}, True),
    ({"before": {"cpu": 1.5, "memory": 3.0e9}, "after": {"cpu": 0.3, "memory": 96.0 * MIB}}, True),
    ({"cpu": [1.5, 0.2], "memory": [3.0e9, 64.0 * MIB], "replicas": 2}, True),
    ({"cpu": [1.5, 0.2], "memory": [3.0e9, 64.0 * MIB]}, False),
]


@pytest.mark.parametrize("requested, right", PREDICTED, ids=["pairs", "before and after", "scaled since", "otherwise"])
def test_what_is_requested_is_compared_with_what_was_predicted(server: Server, store: Directory, requested: dict[str, Any], right: bool) -> None:
    server.put(PODS, {"items": [sized(f"web-{number}", "100m", "32Mi") for number in (2, 3, 4)]})
    found = watched(server, store, requested).events[-1]["payload"]["requested"]
    assert (found["cpu"], found["memory"], found["replicas"], found["as_predicted"]) == (pytest.approx(0.3), 96 * MIB, 3, right)
    said = usage_proof.sentences({"requested": found})
    assert said[0].startswith("requested now: 300m cpu and 96Mi memory by 3 pods, " + ("as predicted" if right else "not as predicted (200m cpu"))


def test_percentiles_are_those_of_numpy() -> None:
    numbers = numpy.random.default_rng(7)
    for count in (1, 2, 3, 20, 21, 240):
        values = [float(one) for one in numbers.gamma(2.0, size=count)]
        for quantile in (0.0, 0.5, 0.95, 1.0):
            assert usage_proof.percentile(values, quantile) == pytest.approx(float(numpy.quantile(values, quantile)))


def test_the_busiest_pod_counts() -> None:
    taken: Any = {
        "cpu": {"calm": {"app": {float(at): 0.01 for at in range(100)}}, "busy": {"app": {float(at): 0.2 for at in range(10)}}},
        "memory": {},
    }
    assert "in busy reaches its limit: p95 200m of 100m (110 samples of 2 pods)" in usage_proof.fault(
        usage_proof.figures(taken, {"app": {"cpu": 0.1}})
    )


def test_the_approver_is_told() -> None:
    check = made_checks.with_usage(samples.plan()["checks"], {**LIMITS, "free": {}}, {})[-1]
    assert (
        made_checks.describe(check).endswith("(watch); the 95th percentile of its usage is below app: 100m cpu, 64Mi memory")
        and "free" not in check["usage"]
    )
    assert plans.validate({**samples.plan(), "checks": [check]})
