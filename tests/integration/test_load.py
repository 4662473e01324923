# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Load of real pods, seen through a real Prometheus and through the real metrics-server: the same verdicts, and a named error for what cannot be
asked.

Everything that has to wait for samples is begun before the first test (see conftest), and finds its samples when its turn comes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load import judge
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.usage import MetricsMissing, sample
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import client, discovery, usage
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.errors import measured_by

from tests.cluster import Cluster, prometheus
from tests.integration.staging import Kubectl, deployment, is_ready, namespace
from tests.integration.support import wait

WINDOW = 60.0
TRIES = 4  # a machine that has no time for metrics-server gives too few samples to judge, and says so
SOURCES = ("metrics", "prometheus")
REQUEST = "20m"  # so little that a busy pod takes it even where the machine is busy as well
SECONDS = 90.0  # that pods may take to become ready on such a machine


class Stage:
    """One workload that takes all the CPU it may have, much more than its request, one that does nothing, and a Prometheus that watches them.

    API servers answer for Services of pods alone: one pod hands on to the Prometheus on this machine.
    """

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster, self.directory, self.ended = cluster, directory, ExitStack()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.api: Api = connect({"kubeconfig": cluster.kubeconfig})
            self.url = self.ended.enter_context(
                prometheus.serve(directory, prometheus.scraping(cluster, directory), cluster.node_address or "127.0.0.1")
            )
            self.kubectl: Kubectl = self.ended.enter_context(namespace(cluster, "load"))
            resources = {"requests": {"cpu": REQUEST, "memory": "8Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}}
            host, _colon, port = self.url.removeprefix("http://").partition(":")
            service = {"ports": [{"name": "http-web", "port": 80, "targetPort": 9090}], "selector": {"app": "relay"}}
            self.kubectl.apply(
                deployment(cluster, "busy", "while :; do :; done", resources=resources),
                deployment(cluster, "idle", "sleep 3600", replicas=2, resources=resources),
                deployment(cluster, "relay", f"exec nc -ll -p 9090 -e nc {host} {port}"),
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": "prometheus", "labels": {"operated-prometheus": "true"}},
                    "spec": service,
                },
            )
        except BaseException:
            self.ended.close()
            raise

    def pods(self, name: str) -> list[dict[str, Any]]:
        found = self.kubectl.pods().get(name, [])
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]

    def server(self, **options: Any) -> client.Prometheus:
        found = client.connect({"prometheus_url": self.url, **options}, {}, self.api)
        assert found is not None
        return found

    def from_prometheus(self, name: str, resource: str = "cpu", **options: Any) -> dict[str, Any]:
        pods = self.pods(name)
        names = [one["metadata"]["name"] for one in pods]
        samples = usage.workload(self.server(**options), self.kubectl.namespace, names, window_seconds=WINDOW, resource=resource)
        return judge(samples, pods, now=time.time(), window_seconds=WINDOW, resource=resource)


def go_early(cluster: Cluster, directory: Path) -> dict[str, Any]:
    """{"stage", "metrics": {name: verdict from metrics.k8s.io}, "prometheus": the same of the same time, "seen": what the progress said}."""
    stage = Stage(cluster, directory / "load")
    try:
        wait("the pods are ready", lambda: sum(is_ready(one) for name in ("busy", "idle", "relay") for one in stage.pods(name)) == 4, SECONDS)
        for _again in range(TRIES):
            found = judged(stage)
            if all(one["verdict"] != "not_enough_data" and not one["gaps"] for source in SOURCES for one in found[source].values()):
                break
        return found
    except BaseException:
        stage.ended.close()
        raise


def judged(stage: Stage) -> dict[str, Any]:
    """See go_early."""
    seen: list[tuple[float, float, str]] = []
    selector = "app in (busy, idle)"
    both = sample(stage.api, stage.kubectl.namespace, selector, window_seconds=WINDOW, step_seconds=2, progress=lambda *one: seen.append(one))
    return {
        "stage": stage,
        "metrics": {name: judge(both["cpu"], stage.pods(name), now=time.time(), window_seconds=WINDOW) for name in ("busy", "idle")},
        "prometheus": {name: stage.from_prometheus(name) for name in ("busy", "idle")},
        "seen": seen,
    }


@pytest.fixture(scope="module")
def begun(early: dict[str, Future[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    found = early[__name__].result()
    yield found
    found["stage"].ended.close()


@pytest.fixture(scope="module")
def stage(begun: dict[str, Any]) -> Stage:
    return begun["stage"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("source", "words"), [("metrics", "metrics.k8s.io, every "), ("prometheus", "Prometheus http")])
def test_a_busy_workload(begun: dict[str, Any], source: str, words: str) -> None:
    busy = begun[source]["busy"]
    assert busy["verdict"] == "sustained" and busy["source"].startswith(words), busy
    assert busy["request_per_pod"] == pytest.approx(0.02) and 0.7 < busy["utilisation"]["mean"] < 6 and busy["pods"]["counted"] == 1, busy
    assert f"of {REQUEST})" in busy["reason"] and busy["gaps"] == [] and busy["restarts"] == []


@pytest.mark.parametrize("source", SOURCES)
def test_an_idle_workload(begun: dict[str, Any], source: str) -> None:
    idle = begun[source]["idle"]
    assert idle["verdict"] == "not_sustained" and idle["utilisation"]["peak"] < 0.3, idle
    assert idle["pods"] == {"seen": 2, "counted": 2, "left_out": [], "starting": 0} and "stayed below 70 % of the request" in idle["reason"]


def test_both_sources_agree(begun: dict[str, Any]) -> None:
    means = [begun[source]["busy"]["utilisation"]["mean"] for source in ("metrics", "prometheus")]
    assert means[0] == pytest.approx(means[1], rel=0.25), begun


def test_progress(begun: dict[str, Any]) -> None:
    seen = begun["seen"]
    assert seen[-1] == (WINDOW, WINDOW, "3 pods measured") and len(seen) > 5 and [one[0] for one in seen] == sorted(one[0] for one in seen)


def test_memory_as_prometheus_says(stage: Stage) -> None:
    idle = stage.from_prometheus("idle", resource="memory")
    assert idle["verdict"] == "not_sustained" and 0 < idle["usage"]["mean"] < 16 * 2**20, idle


def test_a_figure_of_ones_own(stage: Stage) -> None:
    expression = f'sum(irate(container_cpu_usage_seconds_total{{namespace="{stage.kubectl.namespace}", pod=~"busy-.*", container!=""}}[1m]))'
    samples = usage.custom(stage.server(), expression, window_seconds=WINDOW, unit="cores")
    found = judge(samples, stage.pods("busy"), now=time.time(), window_seconds=WINDOW, resource="custom", target=0.02)
    assert found["verdict"] == "sustained" and "cores" in found["reason"], found
    assert judge(samples, [], now=time.time(), window_seconds=WINDOW, resource="custom", target=10)["verdict"] == "not_sustained"


def test_the_error_rate_of_a_proof(stage: Stage) -> None:
    def rate(query: str) -> float | None:
        return measured_by(stage.api, {"url": stage.url, "query": query})()

    assert rate("vector(0.03)") == 0.03
    assert rate("vector(0) / 0") is None and rate("absent(vector(1))") is None, "no traffic, no errors"
    with pytest.raises(BadInput, match="error_query has 2 series as its result"):
        rate('vector(1) or label_replace(vector(1), "a", "b", "", "")')
    with pytest.raises(client.QueryRefused, match="error_query"):
        rate("sum(")


def test_a_rate_over_a_longer_window_is_accepted(stage: Stage) -> None:
    """The other query, for windows that hold too many samples: there is no such history here, but real PromQL and real answers."""
    names = [one["metadata"]["name"] for one in stage.pods("busy")]
    samples = usage.workload(stage.server(), stage.kubectl.namespace, names, window_seconds=usage.RAW_SECONDS * 2)
    [[at, value], *_more] = reversed(samples["pods"][names[0]]["busy"])
    assert value > 0 and at <= samples["to"]
    assert judge(samples, stage.pods("busy"), now=time.time(), window_seconds=usage.RAW_SECONDS * 2)["verdict"] == "not_enough_data"


def test_through_a_service_of_the_cluster(stage: Stage) -> None:
    """Found by its labels, and asked through the API server."""
    assert stage.cluster.node_address, "A Service leads to this machine in the built-in cluster alone: run it there (--provider builtin)."
    address = discovery.discover(stage.api)
    assert address == f"service://{stage.kubectl.namespace}/prometheus:80"
    found = stage.from_prometheus("busy", prometheus_url=address)
    assert found["verdict"] == "sustained" and found["source"].startswith(f"Prometheus {address}"), found
    with pytest.raises(client.QueryRefused, match="prometheus_query: Prometheus refuses the query: .*parse error"):
        usage.custom(stage.server(prometheus_url=address), "sum(up", window_seconds=WINDOW)
    with pytest.raises(client.PrometheusUnreachable, match='services "nowhere" not found'):
        stage.server(prometheus_url=f"service://{stage.kubectl.namespace}/nowhere:1").now()


@pytest.mark.parametrize(
    ("expression", "error", "says"),
    [
        ("sum(rate(up[1m])", client.QueryRefused, 'prometheus_query: Prometheus refuses the query: ".*unclosed left parenthesis'),
        ("rate(up)", client.QueryRefused, "expected type range vector"),
        ("up * on(instance) group_left up + on() up{nothing=''} > bool", client.QueryRefused, "parse error"),
        ("no_such_metric_at_all", client.NothingFound, "prometheus_query has no result in the last 60 s"),
        ("vector(0) / 0", client.NothingFound, "only values that are no numbers"),
        ("container_memory_working_set_bytes", BadInput, "series as its result, one is wanted"),
        ("'text'", client.QueryRefused, "must be Scalar or instant Vector"),
    ],
)
def test_a_query_that_cannot_be_used(stage: Stage, expression: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        usage.custom(stage.server(), expression, window_seconds=WINDOW)


def test_addresses_where_there_is_no_prometheus(stage: Stage) -> None:
    with pytest.raises(client.PrometheusUnreachable, match="prometheus_url.*cannot be reached"):
        stage.server(prometheus_url="http://127.0.0.1:9").now()
    with pytest.raises(client.NotPrometheus, match="does not answer as Prometheus: HTTP status 404"):
        stage.server(prometheus_url=f"{stage.url}/prefix").now()
    with pytest.raises(client.PrometheusUnreachable, match="TLS connection.*prometheus_ca_cert"):
        stage.server(prometheus_url=stage.api.server).now()
    authority = stage.directory / "ca.crt"
    for options in ({"prometheus_validate_certs": False}, {"prometheus_ca_cert": str(authority)}):
        with pytest.raises(client.PrometheusError, match="HTTP status 40"):
            stage.server(prometheus_url=stage.api.server, **options).now()


def test_a_cluster_without_metrics(stage: Stage) -> None:
    """A group that is not served is what a cluster without metrics-server answers with."""
    without = connect({"kubeconfig": stage.cluster.kubeconfig})
    without.server += "/apis/apps/v1/namespaces/none"
    with pytest.raises(MetricsMissing, match="does not serve metrics.k8s.io.*Install metrics-server in the cluster, or give prometheus_url"):
        sample(without, stage.kubectl.namespace, "", window_seconds=WINDOW)


def test_pods_that_just_began(stage: Stage) -> None:
    """Their start-up is no load, and nothing else is known of them."""
    stage.kubectl("scale", "deployment/idle", "--replicas=3")
    found = wait("the third pod", lambda: len(stage.pods("idle")) == 3 and stage.from_prometheus("idle"), 20)
    assert found["verdict"] == "not_sustained" and found["pods"]["counted"] == 2 and found["pods"]["starting"] == 1, found
    assert len(found["pods"]["left_out"]) == 1
