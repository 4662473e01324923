# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Eight days in a real Prometheus, read as a history: figures as numpy has them over the raw samples, of the right pods, and what happened to them.

The samples end at a fixed time, so that their blocks can be kept in the cache. Nothing of a cluster is needed.
"""

from __future__ import annotations

import math
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import client
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import history, history_run

from tests.cluster import prometheus

DAY, STEP = 86400, 120
END = int(datetime(2026, 11, 20, tzinfo=timezone.utc).timestamp())
BEGIN = END - 8 * DAY
MIB = 2**20
CPU, MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
HASH, BEFORE = "5d4f8c9b7", "6c6b5d4f7"
LIVE, GONE, OLD = f"web-{HASH}-x2x4z", f"web-{HASH}-bcdfg", f"web-{BEFORE}-zzzzz"
REVISION = BEGIN + 2 * DAY + 43380  # of the StatefulSet
CRASH = BEGIN + 4 * DAY + 7200
GAP = (BEGIN + 4 * DAY, BEGIN + 4 * DAY + 7200)

Numbers = Any  # an array of numpy's


class Run(NamedTuple):
    """The samples of one container between its start and its end."""

    pod: str
    container: str
    at: Numbers
    cpu: Numbers
    memory: Numbers
    labels: dict[str, str]


def run(seed: int, pod: str, begin: int = BEGIN, end: int = END, container: str = "app", level: float = 1.0, **labels: str) -> Run:
    """A daily cycle with noise; memory at a level of 100 MiB, CPU of 0.2 cores."""
    numbers = numpy.random.default_rng(seed)
    at = numpy.arange(-(-begin // STEP) * STEP, end + 1, STEP)
    cycle = 1 + 0.5 * numpy.sin(at / DAY * 2 * numpy.pi)
    used = numpy.cumsum(0.2 * level * cycle * numbers.uniform(0.8, 1.2, len(at)) * STEP)
    memory = numpy.round(100 * MIB * level * cycle * numbers.uniform(0.9, 1.1, len(at)))
    own = {"namespace": "shop", "pod": pod, "container": container, "job": "kubelet", "id": f"/kubepods/{pod}/{seed}", "name": f"run-{seed}"}
    return Run(pod, container, at, numpy.round(used, 6), memory, {**own, **labels})


def without(one: Run, begin: int, end: int) -> Run:
    kept = (one.at < begin) | (one.at >= end)
    return one._replace(at=one.at[kept], cpu=one.cpu[kept], memory=one.memory[kept])


RUNS = {
    "live": run(1, LIVE),
    "gone": without(run(2, GONE, BEGIN + 3 * DAY, BEGIN + 5 * DAY), *GAP),
    "scraped twice": run(1, LIVE, job="cadvisor", instance="node-1:8080")._replace(at=run(1, LIVE).at + 7),
    "the group": run(3, LIVE, level=9.0, container="", id="/kubepods/pod"),
    "the pause container": run(4, LIVE, level=9.0, container="POD"),
    "revision before": run(5, OLD, BEGIN, BEGIN + DAY, level=9.0),
    "of a CronJob": run(6, "web-29384756-x2x4b", END - DAY, END - DAY + 3600, level=9.0),
    "of another Deployment": run(7, "web-api-7f8d9c5b4-qqqqq", level=0.5),
    "of another Deployment as well": run(12, "web-api-7f8d9c5b4-ttttt", level=0.6),
    "of another namespace": run(8, LIVE, level=9.0, namespace="other"),
    "before the revision": run(9, "db-0", BEGIN, REVISION + 30, level=9.0),
    "until the crash": run(10, "db-0", REVISION + 90, CRASH),
    "after the crash": run(11, "db-0", CRASH + 60, END, level=1.5),
}


def lines() -> Iterator[str]:
    yield f"# TYPE {CPU.removesuffix('_total')} counter"
    yield f"# TYPE {MEMORY} gauge"
    for one in RUNS.values():
        yield from series(CPU, one.labels, one.at, one.cpu)
        yield from series(MEMORY, one.labels, one.at, one.memory)
    at = numpy.arange(BEGIN, END + 1, 240)
    # the labels of kube-state-metrics' own pod come first, those of the sample were renamed
    ours = {"namespace": "monitoring", "pod": "ksm-0", "container": "ksm", "exported_namespace": "shop", "exported_container": "app"}
    for pod, restarts, limit in ((LIVE, 0 * at, 512), ("db-0", 2 + (at >= CRASH), 256)):
        labels = {**ours, "exported_pod": pod}
        yield from series("kube_pod_container_status_restarts_total", labels, at, restarts)
        yield from series("kube_pod_container_resource_limits", {**labels, "resource": "memory", "unit": "byte"}, at, 0 * at + limit * MIB)
    after = at[at >= CRASH]
    yield from series(
        "kube_pod_container_status_last_terminated_reason", {**ours, "exported_pod": "db-0", "reason": "OOMKilled"}, after, 0 * after + 1
    )
    yield from series("container_cpu_cfs_periods_total", RUNS["live"].labels, at, (at - BEGIN) * 10)
    yield from series("container_cpu_cfs_throttled_periods_total", RUNS["live"].labels, at, (at - BEGIN) * 2.5)


def series(metric: str, labels: dict[str, str], at: Numbers, values: Numbers) -> Iterator[str]:
    named = metric + "{" + ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"
    for moment, value in zip(at.tolist(), values.tolist()):
        yield f"{named} {value} {moment}"


def pod(name: str, started: int = BEGIN - DAY) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(started, timezone.utc).isoformat()
    return {"metadata": {"name": name, "namespace": "shop", "creationTimestamp": stamp}, "status": {"phase": "Running", "startTime": stamp}}


def subject(kind: str, name: str, pattern: str, *pods: dict[str, Any], others: str = "", since: float = BEGIN - DAY) -> dict[str, Any]:
    return {
        "key": f"{kind}/shop/{name}",
        "workload": {"kind": kind, "metadata": {"name": name, "namespace": "shop"}},
        "pods": list(pods),
        "all_pods": list(pods),
        "revision": {"name": "", "since": since, "pattern": pattern, "others": others},
        "hash_in_names": kind == "Deployment",
    }


SUBJECTS = [
    # its creation says nothing: this cluster was restored an hour ago
    subject("Deployment", "web", f"web-{HASH}-[a-z0-9]{{5}}", pod(LIVE, END - 3600), others="web-[a-z0-9]{1,10}-[a-z0-9]{5}", since=END - 3600),
    subject("Deployment", "web-api", "web-api-7f8d9c5b4-[a-z0-9]{5}", others="web-api-[a-z0-9]{1,10}-[a-z0-9]{5}"),
    subject("StatefulSet", "db", "db-[0-9]+", pod("db-0", REVISION + 60), since=float(REVISION)),
    subject("DaemonSet", "nobody", "nobody-[a-z0-9]{5}"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Prometheus]:
    folder = tmp_path_factory.mktemp("history")
    prometheus.cached_blocks(folder, lines())
    with prometheus.serve(folder) as url:
        found = client.connect({"prometheus_url": url}, {})
        assert found is not None
        yield found


@pytest.fixture(scope="module")
def read(server: client.Prometheus) -> dict[str, Any]:
    return history.read(server, SUBJECTS, {"history_days": 8}, now=END)


def usage(read: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = read["workloads"][key]["containers"]["app"][name]
    return found


def rates(one: Run) -> Numbers:
    """Cores at every step: what the first and the last sample of it are apart."""
    found = []
    for end in range(BEGIN + 300, END + 1, 300):
        within = (one.at >= end - 300) & (one.at <= end)
        if within.sum() > 1:
            at, used = one.at[within], one.cpu[within]
            found.append((used[-1] - used[0]) / (at[-1] - at[0]))
    return numpy.array(found)


def same(figures: dict[str, Any], values: Numbers) -> bool:
    expected = [*numpy.percentile(values, [50, 95, 99]), values.max()]
    return [figures[name] for name in ("p50", "p95", "p99", "max")] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("which", ["live", "gone"])
def test_figures_equal_those_of_numpy(read: dict[str, Any], which: str) -> None:
    found, one = usage(read, "Deployment/shop/web", RUNS[which].pod), RUNS[which]
    assert same(found["memory"], one.memory) and found["memory"]["samples"] == len(one.at)
    assert same(found["cpu"], rates(one)) and found["cpu"]["samples"] == pytest.approx(len(rates(one)), abs=2)


def test_a_container_that_restarted_is_one(read: dict[str, Any]) -> None:
    found = usage(read, "StatefulSet/shop/db", "db-0")
    both = [RUNS["until the crash"], RUNS["after the crash"]]
    counted = numpy.concatenate([one.memory[one.at >= -(-REVISION // 300) * 300] for one in both])
    assert same(found["memory"], counted) and found["memory"]["samples"] == pytest.approx(len(counted), abs=3)
    assert same(found["cpu"], numpy.concatenate([rates(one) for one in both]))


def test_only_pods_of_the_revision(read: dict[str, Any], server: client.Prometheus) -> None:
    web, database = read["workloads"]["Deployment/shop/web"], read["workloads"]["StatefulSet/shop/db"]
    assert {name: set(pods) for name, pods in web["containers"].items()} == {"app": {LIVE, GONE}} and web["pods_seen"] == 2
    assert web["first_seen"] == BEGIN and web["rollouts"] == [pytest.approx(BEGIN + DAY, abs=300)]
    assert database["first_seen"] == pytest.approx(REVISION, abs=600) and database["rollouts"] == [REVISION]
    every = history.read(server, SUBJECTS[:1], {"history_days": 8, "all_revisions": True}, now=END)
    assert set(every["workloads"]["Deployment/shop/web"]["containers"]["app"]) == {LIVE, GONE, OLD}


def test_coverage_and_gaps(read: dict[str, Any]) -> None:
    live, gone = (usage(read, "Deployment/shop/web", name) for name in (LIVE, GONE))
    assert live["memory"]["coverage"] > 0.99 and live["cpu"]["coverage"] == 1.0 and read["sample_seconds"] == STEP
    assert gone["memory"]["coverage"] == pytest.approx(1 - 2 / 48, abs=0.005) and gone["cpu"]["coverage"] == pytest.approx(1 - 2 / 48, abs=0.01)
    values = gone["memory_series"]["values"]
    assert len(values) == pytest.approx(2 * DAY / 300, abs=2) and sum(1 for one in values if math.isnan(one)) == pytest.approx(7200 / 300, abs=1)
    notes = read["workloads"]["Deployment/shop/web"]["notes"]
    assert f"the longest time is 1 h 55 min from 2026-11-16 00:00 UTC, of pod {GONE}" in notes[0]


def test_what_happened(read: dict[str, Any]) -> None:
    web, database = read["workloads"]["Deployment/shop/web"], read["workloads"]["StatefulSet/shop/db"]
    assert web["restarts"] == web["ooms"] == [] and usage(read, "Deployment/shop/web", LIVE)["throttled"] == pytest.approx(0.25)
    at = database["restarts"][0]["at"]
    assert database["restarts"] == [{"pod": "db-0", "container": "app", "at": at}] and CRASH <= at <= CRASH + 600
    assert database["ooms"] == [{"pod": "db-0", "container": "app", "at": at, "limit": 256 * MIB}] and read["not_evaluated"] == []


def test_samples_that_ended_long_ago(server: client.Prometheus) -> None:
    found = history.read(server, SUBJECTS[:1], {"history_days": 8}, now=END + 2 * DAY)
    assert "The newest samples are of about 2026-11-20 00:00 UTC, 48 h before the end of the window." in found["notes"], found["notes"]
    assert usage(found, "Deployment/shop/web", LIVE)["memory"]["coverage"] == pytest.approx(0.75, abs=0.01)


def test_what_is_said(read: dict[str, Any]) -> None:
    assert any("1 containers are scraped more than once" in note for note in read["notes"]), read["notes"]
    assert read["workloads"]["DaemonSet/shop/nobody"]["containers"] == {} and "no samples" in read["workloads"]["DaemonSet/shop/nobody"]["notes"][0]
    assert len(read["queries"]) < 35 and all(one["samples"] is not None for one in read["queries"])


def test_the_plan_comes_first(server: client.Prometheus) -> None:
    said: list[str] = []
    plan = history.plan(server, SUBJECTS, {"history_days": 8}, now=END)
    history.read(server, SUBJECTS[:1], {"history_days": 8}, now=END, progress=said.append)
    assert plan["workloads"] == 3 and plan["series"] == 7 and json.dumps(plan) and "million samples" in "".join(said)
    assert 10_000 < max(one["samples"] for one in plan["queries"]) < 50_000


def test_a_server_that_can_carry_out_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: dict[str, Any]) -> None:
    monkeypatch.setattr(history_run, "_sleep", lambda seconds: None)
    prometheus.cached_blocks(tmp_path, lines())
    with prometheus.serve(tmp_path, arguments=["--query.max-samples=7000"]) as url:
        little = client.connect({"prometheus_url": url}, {})
        assert little is not None
        found = history.read(little, SUBJECTS, {"history_days": 8}, now=END)
        assert any("failed at first" in note for note in found["notes"])
        assert usage(found, "Deployment/shop/web", LIVE)["memory"] == usage(read, "Deployment/shop/web", LIVE)["memory"]


@pytest.mark.parametrize(
    ("options", "later", "says"),
    [
        ({"prometheus_labels": {"cluster": "none"}}, 0, "no samples of .* but 8 such series of others"),
        ({"prometheus_label_names": {"pod": "pod_name"}}, 0, "prometheus_label_names"),
        ({}, 20 * DAY, "newest samples of any pod are of about .* ago"),
        ({}, -20 * DAY, "newest samples of any pod are of about .* in the future"),
    ],
)
def test_nothing_is_an_error_that_says_why(server: client.Prometheus, options: dict[str, Any], later: float, says: str) -> None:
    with pytest.raises(client.NothingFound, match=says):
        history.read(server, SUBJECTS, {"history_days": 8, **options}, now=END + later)


def test_an_empty_prometheus(tmp_path: Path) -> None:
    with prometheus.serve(tmp_path) as url:
        empty = client.connect({"prometheus_url": url}, {})
        assert empty is not None
        with pytest.raises(client.NothingFound, match="it is empty"):
            history.read(empty, SUBJECTS, {"history_days": 8})
        with pytest.raises(BadInput, match="history_days is 0.5"):
            history.read(empty, SUBJECTS, {"history_days": 0.5})
