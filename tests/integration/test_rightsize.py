# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The playbook rightsize beside its Molecule scenario: an autoscaler that is solved together with the request, a container that needs more than its
new limit leaves it, a workload that is gone meanwhile, and what cannot be used as a history."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.backfill import history
from tests.cluster import Cluster, prometheus
from tests.integration.staging import Kubectl, deployment, is_ready, namespace
from tests.integration.support import QUICK, Ansible, result_of, wait

SIZE = {"requests": {"cpu": "50m", "memory": "300Mi"}, "limits": {"memory": "512Mi"}}
NAMES = ("web", "gone")
SECONDS = 90.0


class Stage:
    """Two workloads that request more than they use, one of them with an autoscaler, and a Prometheus that knows seven and a half days of both."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.ended = ExitStack()
        try:
            self.kubectl: Kubectl = self.ended.enter_context(namespace(cluster, "rightsize"))
            self.kubectl.apply(*(deployment(cluster, name, "exec sleep 3600", resources=SIZE) for name in NAMES), autoscaler("web"))
            wait("the pods are ready", lambda: sum(is_ready(pods[0]) for pods in self.kubectl.pods().values()) == len(NAMES), SECONDS)
            pods = [
                {"namespace": self.kubectl.namespace, "pod": one["metadata"]["name"], "container": name}
                for name, mine in self.kubectl.pods().items()
                for one in mine
            ]
            directory.mkdir(parents=True, exist_ok=True)
            prometheus.blocks(directory, history(pods, 7.5, time.time()))
            self.url = self.ended.enter_context(prometheus.serve(directory))
        except BaseException:
            self.ended.close()
            raise


def autoscaler(name: str) -> dict[str, Any]:
    target = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"minReplicas": 1, "maxReplicas": 3, "scaleTargetRef": scaled, "metrics": [target]}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def stage(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    found = Stage(cluster, tmp_path_factory.mktemp("stage"))
    yield found
    found.ended.close()


@pytest.fixture(scope="module")
def proposed(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ansible, dict[str, str], dict[str, Any]]:
    """(playbooks, {workload: record}, result) of one run for both."""
    directory = tmp_path_factory.mktemp("rightsize")
    ansible = Ansible(directory, target_namespace=stage.kubectl.namespace, prometheus_url=stage.url)
    ansible("rightsize", approval="defer", result_file=directory / "result.json", **{**QUICK, "watch_seconds": 20}).ok()
    return ansible, ansible.by_workload(), result_of(directory / "result.json")


def test_both_are_proposed_and_ranked(proposed: tuple[Ansible, dict[str, str], dict[str, Any]]) -> None:
    _ansible, records, result = proposed
    assert sorted(records) == sorted(NAMES) and [one["decision"] for one in result["list"]] == ["change", "change"]
    assert {one["code"] for one in result["findings"]} == {"OverProvisioned"} and result["usage"]["source"].startswith("Prometheus")


def test_the_autoscaler_is_changed_with_the_request(stage: Stage, proposed: tuple[Ansible, dict[str, str], dict[str, Any]]) -> None:
    """60 % of 50m is where it scales: 30m. Of 40m that is 75 %."""
    ansible, records, _result = proposed
    ansible.decide(records["web"]).ok()
    ansible("execute", record=records["web"], watch="block").ok()
    assert ansible.state(records["web"]) == "closed", ansible.record(records["web"])[-1]
    resources = stage.kubectl.get("deployment/web")["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources["requests"] == {"cpu": "40m", "memory": "150Mi"}
    assert resources["limits"]["memory"] in ("150Mi", "512Mi"), "lowered only where a start of a pod lies within the whole steps that are known"
    assert stage.kubectl.get("hpa/web")["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 75


def test_a_workload_that_is_gone_meanwhile(stage: Stage, proposed: tuple[Ansible, dict[str, str], dict[str, Any]]) -> None:
    ansible, records, _result = proposed
    ansible.decide(records["gone"]).ok()
    stage.kubectl("delete", "deployment/gone")
    ansible("execute", record=records["gone"]).refused("gone")
    assert not stage.kubectl.writes("gone")[1:], "nothing but its rehearsal"


WRONG: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("no such namespace", {"target_namespace": "aiops-nowhere"}, ("There is no namespace aiops-nowhere",)),
    ("another kind", {"workload": "job/web"}, ("a job is not sized by this workflow",)),
    ("Prometheus unreachable", {"prometheus_url": "http://127.0.0.1:9"}, ("Prometheus at http://127.0.0.1:9 (prometheus_url) cannot be reached",)),
    ("no store", {"prometheus_url": None, "store": "/nowhere/usage.db"}, ("/nowhere/usage.db",)),
    ("more days stable than read", {"history_days": 3}, ("stable_days is 7, more than history_days, 3",)),
]


@pytest.mark.parametrize("options, says", [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_wrong_input(stage: Stage, tmp_path: Path, options: dict[str, Any], says: tuple[str, ...]) -> None:
    ansible = Ansible(tmp_path, target_namespace=stage.kubectl.namespace, prometheus_url=stage.url)
    ansible("rightsize", **options).refused(*says)
    assert not list(ansible.records.rglob("*.jsonl")) and not list(ansible.directory.rglob("*.part"))


def test_an_empty_prometheus(stage: Stage, tmp_path: Path) -> None:
    """It answers, and knows nothing: nobody can be judged, and that is said."""
    with prometheus.serve(tmp_path / "empty") as url:
        ansible = Ansible(tmp_path, target_namespace=stage.kubectl.namespace, prometheus_url=url)
        run = ansible("rightsize")
    assert not list(ansible.records.rglob("*.jsonl")) and "Traceback" not in run.output, run.output
    assert "no samples" in run.output or "no series" in run.output or "knows nothing" in run.output, run.output
