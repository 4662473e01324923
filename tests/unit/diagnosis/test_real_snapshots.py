# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Snapshots of a real cluster (see fixtures/take.py), each failure staged for real: every cause is named, nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis import workflow
from ansible_collections.aiops.k8s.plugins.module_utils.operation import plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact_object
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NAMES = ("failures", "quota", "security", "dependency")

FAILURES = {
    "Deployment/oom": "OOMKilled",
    "Deployment/killed": "KilledNotOOM",
    "Deployment/crash": "AppCrash",
    "Deployment/ends": "MainProcessEnds",
    "Deployment/nocommand": "CommandNotFound",
    "Deployment/nofile": "CommandNotFound",
    "Deployment/noexec": "CommandNotFound",
    "Deployment/shell127": "CommandNotFound",
    "Deployment/shell126": "CommandNotFound",
    "Deployment/registry": "ImagePullFailed",
    "Deployment/badname": "InvalidImageName",
    "Deployment/never": "ImageNeverPulled",
    "Deployment/configmap": "ConfigMapMissing",
    "Deployment/secret": "SecretMissing",
    "Deployment/key": "ConfigKeyMissing",
    "Deployment/configvolume": "ConfigMapMissing",
    "Deployment/secretvolume": "SecretMissing",
    "Deployment/keyvolume": "ConfigKeyMissing",
    "Deployment/nonroot": "ContainerConfigError",
    "Deployment/cpu": "InsufficientCPU",
    "Deployment/memory": "InsufficientMemory",
    "Deployment/selector": "Unschedulable",
    "Deployment/gated": "SchedulingGated",
    "Deployment/liveness": "LivenessProbeFailing",
    "Deployment/startup": "StartupProbeFailing",
    "Deployment/readiness": "ReadinessProbeFailing",
    "Deployment/init": "AppCrash",
    "Deployment/noaccount": "PodsNotCreated",
    "StatefulSet/db": "AppCrash",
    "Job/broken": "AppCrash",
}
HEALTHY = {"Deployment/healthy", "Deployment/zero", "Deployment/slow", "Job/done"}
SAYS = {
    "Deployment/oom": "more memory than its limit of 20Mi",
    "Deployment/crash": 'its log says: KeyError: "DATABASE_URL"',
    "Deployment/init": "its log says: migrate: could not connect to db:5432",
    "Deployment/nocommand": "It looked for 'nosuch'",
    "Deployment/noexec": "It looked for '/etc/passwd'",
    "Deployment/registry": "cannot be reached from the node: localhost:1/nosuch/tls-app:401",
    "Deployment/keyvolume": "ConfigMap present exists but has no key nokey, so volume v",
    "Deployment/cpu": "1 node(s) lack cpu for its request of 900. The most that any node can give is 2",
    "Deployment/selector": "no node has the labels",
    "Deployment/liveness": "The liveness probe (TCP :9) fails: dial tcp",
    "Deployment/noaccount": "its service account does not exist",
    "Job/broken": "its log says: fatal: no input file",
}


def load(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def diagnose(name: str) -> dict[str, Any]:
    options = {key: value.get("default") for key, value in workflow.SPEC.items()} | {"replay": str(FIXTURES / f"{name}.json")}
    return workflow.diagnose(options, lambda: 1 / 0, lambda: 1 / 0)  # type: ignore[arg-type, return-value]


def subject(one: dict[str, Any]) -> str:
    return f"{one['object']['kind']}/{one['object']['name']}"


def test_every_staged_failure_is_named_and_no_other() -> None:
    assert {subject(one): one["code"] for one in diagnose("failures")["findings"]} == FAILURES
    workloads = {
        f"{item['kind']}/{item['metadata']['name']}" for kind in ("deployments", "statefulsets", "jobs") for item in load("failures")["objects"][kind]
    }
    assert workloads == {*FAILURES, *HEALTHY}


@pytest.mark.parametrize("name", SAYS)
def test_the_cause_is_in_the_words_that_matter(name: str) -> None:
    [finding] = [one for one in diagnose("failures")["findings"] if subject(one) == name]
    assert SAYS[name] in finding["root_cause"]


def test_replicas_are_folded() -> None:
    [finding] = [one for one in diagnose("failures")["findings"] if subject(one) == "Deployment/oom"]
    assert len(finding["pods"]) == 2 and finding["severity"] == "critical"


def test_the_memory_limit_is_raised_for_the_one_that_lacks_memory_and_for_no_other() -> None:
    planned = {one["target"]["name"]: one["plan"]["summary"] for one in diagnose("failures")["proposals"] if one["plan"]}
    assert planned == {"oom": "raise the memory limit of container app from 20Mi to 40Mi"}
    assert all(one["no_plan_reason"] for one in diagnose("failures")["proposals"] if not one["plan"])


@pytest.mark.parametrize(
    "name, target, code, severity, says",
    [
        ("quota", "Deployment/full", "PodsNotCreated", "warning", "a ResourceQuota of the namespace is used up"),
        ("security", "Deployment/web", "PodsNotCreated", "critical", "the namespace's Pod Security level forbids it"),
    ],
)
def test_pods_that_are_refused(name: str, target: str, code: str, severity: str, says: str) -> None:
    [finding] = diagnose(name)["findings"]
    assert (subject(finding), finding["code"], finding["severity"]) == (target, code, severity) and says in finding["root_cause"]


def test_a_dependency_that_came_back_and_a_bad_release() -> None:
    plans_ = {one["target"]["name"]: one["plan"] for one in diagnose("dependency")["proposals"]}
    assert plans_["client"]["summary"] == "restart 1 pod(s) of deployment/client, since Service db is ready again"
    assert plans_["client"]["risk"] == "low" and plans_["client"]["changes"][0]["action"] == "delete"
    assert plans_["web"]["summary"] == "return deployment/web to the template of revision 1"
    assert plans_["web"]["notes"] == ["revision 1: 2 of its pods are ready now"]
    paths = [line["path"] for line in plans_["web"]["changes"][0]["outcome"]]
    assert "spec.template.spec.containers[app].command[2]" in paths and all(path.startswith("spec.template.") for path in paths)
    assert {plans.seal(plan, DEFAULTS, {}, "")["schema"] for plan in plans_.values()} == {plans.SCHEMA}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_snapshot_gives_the_same_result(name: str) -> None:
    first, second = diagnose(name), diagnose(name)
    assert first["findings"] == second["findings"] and [one["evidence"] for one in first["proposals"]] == [
        one["evidence"] for one in second["proposals"]
    ]


@pytest.mark.parametrize("name", NAMES)
def test_snapshots_are_redacted_and_small(name: str) -> None:
    taken = load(name)
    assert redact_object(taken) == taken and (FIXTURES / f"{name}.json").stat().st_size < 200_000
    assert "secrets" not in taken["objects"] and taken["coverage"]["not_evaluated"] == []
