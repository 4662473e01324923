# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The recorder on a real cluster: the playbook as cron runs it, with the least rights, and a history that the analysis reads.

Pods have to be measured by metrics-server and one has to be killed for memory before anything can be seen: that is begun before the first test.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.usage import MetricsMissing
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import gather, recorder_history, usage
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder import record

from tests.cluster import Cluster
from tests.integration.staging import Kubectl, deployment, hungry, namespace
from tests.integration.support import Ansible, wait

SECONDS = 90.0  # that metrics-server may need for new pods where the machine is busy
LISTS = ("replicasets", "deployments", "statefulsets", "daemonsets", "controllerrevisions", "pods")


class Stage:
    """A workload that goes on, and one that is killed for memory."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster, self.ended = cluster, ExitStack()
        self.path = str(directory / "usage.db")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.ansible = Ansible(directory)
            self.ansible.options = {"kubeconfig": cluster.kubeconfig, "record_usage_store": self.path}
            self.kubectl: Kubectl = self.ended.enter_context(namespace(cluster, "recorder"))
            self.kubectl.apply(deployment(cluster, "web", "sleep 3600", replicas=2))
            self.kubectl.apply(hungry(cluster, "cache"))
        except BaseException:
            self.ended.close()
            raise

    def subject(self, name: str) -> dict[str, Any]:
        objects = {one: self.kubectl.get(one)["items"] for one in LISTS}
        [workload] = [one for one in objects["deployments"] if one["metadata"]["name"] == name]
        return gather.subject(workload, objects)

    def history(self, *subjects: dict[str, Any]) -> dict[str, Any]:
        return recorder_history.history(self.path, subjects, {"history_days": 8}, time.time())


def go_early(cluster: Cluster, directory: Path) -> Stage:
    stage = Stage(cluster, directory / "recorder")
    try:
        wait("cache is killed for memory", lambda: any("OOMKilled" in json.dumps(pod) for pod in stage.kubectl.pods().get("cache", [])), SECONDS)
        wait("the pods are measured", lambda: len(measured(stage)) == 2, SECONDS)
        return stage
    except BaseException:
        stage.ended.close()
        raise


def measured(stage: Stage) -> list[str]:
    found = stage.kubectl.get("pods.metrics.k8s.io")
    return [one["metadata"]["name"] for one in found["items"] if one["metadata"]["name"].startswith("web-")]


@pytest.fixture(scope="module")
def stage(early: dict[str, Future[Stage]]) -> Iterator[Stage]:
    found = early[__name__].result()
    yield found
    found.ended.close()


def test_runs_of_cron(stage: Stage) -> None:
    """Two after each other, and two at once."""
    stage.ansible("record_usage", record_usage_namespaces=[stage.kubectl.namespace]).ok()
    again = stage.ansible("record_usage", ["-v"]).ok()
    both = [stage.ansible.start("record_usage") for _run in range(2)]
    assert [one.wait(60) for one in both] == [0, 0], [one.communicate()[0] for one in both]
    assert again.seconds < 20 and "WARNING" not in again.output
    found = stage.history(stage.subject("web"), stage.subject("cache"))
    web, cache = (found["workloads"][f"Deployment/{stage.kubectl.namespace}/{name}"] for name in ("web", "cache"))
    assert set(web["containers"]["web"]) == set(measured(stage)) and web["restarts"] == [] and web["rollouts"] == []
    for one in web["containers"]["web"].values():
        assert 0 <= one["cpu"]["max"] < 1 and 0 < one["memory"]["p50"] < 64 * 2**20 and one["memory"]["samples"] >= 1
    assert {(one["container"], one["limit"]) for one in cache["ooms"]} == {("cache", 20 * 2**20)} and cache["restarts"]
    assert any("The store begins" in one for one in found["notes"])


def test_the_analysis_reads_it(stage: Stage) -> None:
    subject = stage.subject("web")
    found = stage.history(subject)
    combined = usage.combined(found["workloads"][subject["key"]], subject, found)["web"]
    assert combined["memory"] and combined["memory"]["max"] > 0 and combined["memory"]["pods"] == 2
    assert combined["cpu"] and combined["cpu"]["coverage"] <= 1


def test_for_a_while_with_the_least_rights(stage: Stage) -> None:
    """What docs/recorder.md names, and no more."""
    name, rights = stage.kubectl.namespace, Kubectl(stage.cluster, "")
    stage.kubectl("create", "serviceaccount", "recorder")
    stage.kubectl("create", "role", "recorder", "--verb=list", "--resource=pods,pods.metrics.k8s.io")
    stage.kubectl("create", "rolebinding", "recorder", "--role=recorder", f"--serviceaccount={name}:recorder")
    rights("create", "clusterrole", f"{name}-identity", "--verb=get", "--resource=namespaces", "--resource-name=kube-system")
    try:
        rights("create", "clusterrolebinding", f"{name}-identity", f"--clusterrole={name}-identity", f"--serviceaccount={name}:recorder")
        token = stage.kubectl("create", "token", "recorder").strip()
        api = connect({"kubeconfig": stage.cluster.kubeconfig})
        assert api.ca_data
        without_certificate = urllib3.PoolManager(ssl_context=ssl.create_default_context(cadata=api.ca_data.decode()))
        api.headers, api.pool = [("Authorization", f"Bearer {token}")], without_certificate
        options = {"store": stage.path, "namespaces": [name], "duration": 5, "interval": 5, "retention_days": 15, "max_mb": 512}
        found = record(options, lambda: api)
        assert found["recorded"]["looks"] == 2 and found["recorded"]["pods"] >= 2 and found["warnings"] == []
        with pytest.raises(Exception, match="GET pods of metrics.k8s.io in the cluster.*Grant list on pods"):
            record({**options, "namespaces": [], "duration": 0}, lambda: api)
    finally:
        rights("delete", "clusterrolebinding,clusterrole", f"{name}-identity", "--ignore-not-found")


def test_a_cluster_without_metrics(stage: Stage) -> None:
    """A version of the API that is not served is what a cluster without metrics-server answers with."""

    class Without(Api):
        def _send(self, method: str, path: str, *more: Any, **words: Any) -> bytes:
            return super()._send(method, path.replace("metrics.k8s.io/v1beta1", "metrics.k8s.io/v0"), *more, **words)

    known = connect({"kubeconfig": stage.cluster.kubeconfig})
    without = Without(known.server, known.pool, known.headers)
    options = {"store": stage.path, "namespaces": [], "duration": 0, "interval": 60, "retention_days": 15, "max_mb": 512}
    with pytest.raises(MetricsMissing, match="does not serve metrics.k8s.io.*Install metrics-server"):
        record(options, lambda: without)
    assert any("runs failed, the last one: The cluster does not serve metrics.k8s.io" in one for one in stage.history(stage.subject("web"))["notes"])
