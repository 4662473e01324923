# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Least privilege: the roles of docs/examples/rbac.yaml suffice, what is missing is named, and the reader never writes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import Cluster
from tests.integration.staging import Kubectl, deployment, hungry, is_dry_run, namespace, reasons
from tests.integration.support import QUICK, ROOT, Ansible, at, in_parallel, moment, result_of, wait

EXAMPLE = ROOT / "docs" / "examples" / "rbac.yaml"
SHORT_SIGHTED = "blind"  # a reader without pods/log
LOCAL = "local"  # a reader of one namespace


@dataclass
class Stage:
    """Two failing workloads, and a kubeconfig for each identity."""

    kubectl: Kubectl
    identities: dict[str, str]

    def user(self, identity: str) -> str:
        return f"system:serviceaccount:{self.kubectl.namespace}:{identity}"


def roles(name: str) -> list[dict[str, Any]]:
    """The example with names of its own, an identity that sees no logs, and one that sees a single namespace."""
    items = [item for item in yaml.safe_load(EXAMPLE.read_text(encoding="utf-8").replace("aiops-k8s", name))["items"] if item["kind"] != "Namespace"]
    (role,) = (item for item in items if item["metadata"]["name"] == f"{name}-reader" and item["kind"] == "ClusterRole")
    without_logs: dict[str, Any] = copy.deepcopy(role)
    without_logs["metadata"]["name"] = f"{name}-{SHORT_SIGHTED}"
    without_logs["rules"] = [{**rule, "resources": [one for one in rule["resources"] if one != "pods/log"]} for rule in role["rules"]]
    accounts = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": one, "namespace": name}} for one in (SHORT_SIGHTED, LOCAL)]
    return [*items, without_logs, *accounts, binding("ClusterRoleBinding", name, SHORT_SIGHTED, SHORT_SIGHTED), binding("RoleBinding", name, LOCAL, "reader")]


def binding(kind: str, name: str, account: str, role: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": f"{name}-{account}", **({"namespace": name} if kind == "RoleBinding" else {})},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{name}-{role}"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": name}],
    }


@pytest.fixture(scope="module")
def stage(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    admin = yaml.safe_load(Path(cluster.kubeconfig).read_text(encoding="utf-8"))
    directory, everywhere = tmp_path_factory.mktemp("identities"), Kubectl(cluster, "")
    with namespace(cluster, "rbac") as kubectl:
        made = roles(kubectl.namespace)
        kubectl.apply(hungry(cluster, "web"), deployment(cluster, "api", "echo 'Error: DATABASE_URL is required'; exit 1"))
        try:
            everywhere.apply(*made)
            identities = {}
            for name in ("reader", "executor", SHORT_SIGHTED, LOCAL):
                config = {**admin, "users": [{"name": admin["users"][0]["name"], "user": {"token": kubectl("create", "token", name).strip()}}]}
                (directory / name).write_text(json.dumps(config), encoding="utf-8")
                identities[name] = str(directory / name)
            wait("two failing pods", lambda: all(any(reasons(pod) & {"OOMKilled", "Error"} for pod in kubectl.pods().get(app, [])) for app in ("web", "api")))
            yield Stage(kubectl, identities)
        finally:
            for item in made:
                if item["kind"].startswith("Cluster"):
                    everywhere("delete", f"{item['kind']}/{item['metadata']['name']}", "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
def documents(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """{who looked: the result document}, with the reasons why nothing is proposed under ``why_not``."""

    def diagnose(name: str) -> tuple[str, dict[str, Any]]:
        directory = tmp_path_factory.mktemp(name.replace(" ", "-"))
        reader, _with, executor = name.partition(" with ")
        options: dict[str, Any] = {"executor": {"kubeconfig": stage.identities[executor]}} if executor else {}
        ansible = Ansible(directory, namespace=stage.kubectl.namespace, kubeconfig=stage.identities[reader], result_file=str(directory / "result.json"))
        ansible("diagnose", **options).ok()
        document = result_of(directory / "result.json")
        proposals = [ansible.record(row["id"])[0]["payload"] for row in document["records"]]
        document["why_not"] = {one["target"]["name"]: one["no_plan_reason"] for one in proposals}
        return name, document

    return dict(in_parallel(*(lambda name=name: diagnose(name) for name in ("reader", "reader with executor", SHORT_SIGHTED, LOCAL))))  # type: ignore[misc]


def test_everything_is_diagnosed_with_the_least_role(stage: Stage, documents: dict[str, dict[str, Any]]) -> None:
    found = documents["reader"]
    assert {one["object"]["name"]: one["code"] for one in found["findings"]} == {"web": "OOMKilled", "api": "EnvironmentMissing"}
    assert found["coverage"]["not_evaluated"] == []
    assert "DATABASE_URL is required" in next(one["root_cause"] for one in found["findings"] if one["code"] == "EnvironmentMissing")


@pytest.mark.parametrize("who", ["reader", "reader with executor"])
def test_what_the_executor_may_not_do_is_not_proposed(stage: Stage, documents: dict[str, dict[str, Any]], who: str) -> None:
    """The executor is not bound to the namespace yet."""
    user = stage.user(who.rpartition(" ")[2])
    assert documents[who]["plan"] is None and {row["state"] for row in documents[who]["records"]} == {"closed"}
    assert f"{user} may not patch deployments in namespace {stage.kubectl.namespace}" in documents[who]["why_not"]["web"]


def test_logs_that_may_not_be_read_are_not_called_empty(documents: dict[str, dict[str, Any]]) -> None:
    found = documents[SHORT_SIGHTED]
    assert any("log" in one["what"] and "pods/log" in one["missing"] for one in found["coverage"]["not_evaluated"])
    assert "its log is empty" not in " ".join(one["root_cause"] for one in found["findings"])


def test_one_namespace_is_enough_to_diagnose(documents: dict[str, dict[str, Any]]) -> None:
    found = documents[LOCAL]
    assert {one["code"] for one in found["findings"]} == {"OOMKilled", "EnvironmentMissing"}
    assert {"nodes", "cluster identity"} <= {one["what"] for one in found["coverage"]["not_evaluated"]}
    assert "the verb get on the namespace kube-system" in found["why_not"]["web"]


def test_two_identities(stage: Stage, tmp_path: Path) -> None:
    kubectl = stage.kubectl
    executor: dict[str, Any] = {"executor": {"kubeconfig": stage.identities["executor"]}}
    kubectl.apply(binding("RoleBinding", kubectl.namespace, "executor", "executor"))
    # nothing of the administrator's may be needed
    outside = {"KUBECONFIG": "/nonexistent", "K8S_AUTH_KUBECONFIG": "/nonexistent"}
    ansible = Ansible(tmp_path, namespace=kubectl.namespace, workload="deployment/web", kubeconfig=stage.identities["reader"], **QUICK)
    ansible("diagnose", variables=outside, **executor).ok()
    decided = ansible.decide("0001", variables=outside, kubeconfig=None).ok()
    assert "The cluster does not say who approves" in " ".join(decided.output.split()), "the approver has no way to the cluster"
    assert "cluster_user" not in ansible.record("0001")[1]["payload"]["by"]
    ansible("execute", variables=outside, record="0001").refused(f"{stage.user('reader')} may not", "option executor")
    assert ansible.state("0001") == "approved" and kubectl.generation("web") == 1
    ansible("execute", variables=outside, record="0001", **executor).ok()
    record = ansible.record("0001")
    assert record[-1]["kind"] == "closed" and record[0]["payload"]["observed_as"] == stage.user("reader")
    assert next(one for one in record if one["kind"] == "executing")["payload"]["executor"]["user"] == stage.user("executor")
    writes = kubectl.writes()
    assert {one["user"]["username"] for one in writes} == {stage.user("executor")}, "the reader wrote, or rehearsed"
    real = [one for one in writes if not is_dry_run(one)]
    assert len(real) == 1 and moment(real[0]["requestReceivedTimestamp"]) > at(record, "executing")
