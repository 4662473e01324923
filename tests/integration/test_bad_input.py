# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Wrong input to diagnose: it ends with a message that names the option, the object and the fix, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import Cluster
from tests.integration.staging import USER_AGENT, Kubectl, hungry, namespace, reasons
from tests.integration.support import Ansible, Run, begin, result_of, wait

NO_CLUSTER = {"KUBECONFIG": "/nonexistent/kubeconfig", "K8S_AUTH_KUBECONFIG": ""}


@dataclass(frozen=True, eq=False)
class Case:
    """One wrong call. In texts, {tmp} is the case's own directory; {token} and {server}, {ca} are a user without rights."""

    name: str
    options: Mapping[str, Any]
    says: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # made in {tmp} before the run


CASES = [
    # --- the target
    Case("unknown namespace", {"namespace": "nowhere"}, ("There is no namespace nowhere in the cluster https://", "Check the option namespace")),
    Case("namespace that is no name", {"namespace": "../kube-system"}, ("namespace", "../kube-system")),
    Case("pod that is gone", {"pod": "web-588d4b74bb-gone1"}, ("There is no pod web-588d4b74bb-gone1", "Its pods now: web-", "option pod")),
    Case("workload misspelt", {"workload": "deployment/wbe"}, ("There is no workload deployment/wbe", "deployment/web", "option workload")),
    Case("workload without kind", {"workload": "web"}, ("workload is 'web'", "kind/name", "deployment/web")),
    Case("workload of an unknown kind", {"workload": "service/web"}, ("workload is 'service/web'", "kind/name")),
    Case("workload without namespace", {"namespace": None, "workload": "deployment/web"}, ("namespace", "workload")),
    Case("pod and workload", {"workload": "deployment/web", "pod": "web-1"}, ("workload", "pod", "mutually exclusive")),
    # --- the connection
    Case(
        "unreachable",
        {"kubeconfig": "{tmp}/kubeconfig"},
        ("https://127.0.0.1:1 does not answer", "refused", "Check the server's address"),
        files={"kubeconfig": "{unreachable}"},
    ),
    Case("invalid token", {"host": "{server}", "api_key": "not-a-token", "ca_cert": "{ca}"}, ("401", "token", "expired", "api_key"), NO_CLUSTER),
    Case(
        "wrong authority",
        {"host": "{server}", "api_key": "{token}", "ca_cert": "{tmp}/other.pem"},
        ("{server}", "certificate", "ca_cert"),
        NO_CLUSTER,
        {"other.pem": "{other_ca}"},
    ),
    Case(
        "authority that is no certificate",
        {"host": "{server}", "api_key": "{token}", "ca_cert": "{tmp}/other.pem"},
        ("{server}", "ca_cert"),
        NO_CLUSTER,
        {"other.pem": "x"},
    ),
    Case("no authority file", {"host": "{server}", "api_key": "{token}", "ca_cert": "{tmp}/missing.pem"}, ("{tmp}/missing.pem", "ca_cert"), NO_CLUSTER),
    Case("kubeconfig missing", {"kubeconfig": "{tmp}/missing"}, ("kubeconfig {tmp}/missing", "option kubeconfig")),
    Case("kubeconfig missing in the environment", {}, ("kubeconfig /nonexistent/kubeconfig", "K8S_AUTH_KUBECONFIG"), NO_CLUSTER),
    Case(
        "kubeconfig not YAML", {"kubeconfig": "{tmp}/broken"}, ("kubeconfig {tmp}/broken cannot be used",), files={"broken": "{apiVersion: v1, clusters: ["}
    ),
    Case("kubeconfig empty", {"kubeconfig": "{tmp}/empty"}, ("kubeconfig {tmp}/empty cannot be used",), files={"empty": ""}),
    Case("kubeconfig is a directory", {"kubeconfig": "{tmp}"}, ("kubeconfig {tmp} cannot be used",)),
    Case("unknown context", {"context": "production"}, ("production", "context")),
    Case(
        "user without any permission",
        {"host": "{server}", "api_key": "{token}", "ca_cert": "{ca}"},
        (
            "system:serviceaccount:{namespace}:nobody may not read",
            *(f"list {what} in namespace" for what in ("pods", "events", "replicasets", "deployments")),
        ),
        NO_CLUSTER,
    ),
    # --- the records
    Case(
        "records_dir below a file",
        {"records_dir": "{tmp}/file/records"},
        ("records_dir {tmp}/file/records", "Not a directory", "-e records_dir=DIR"),
        files={"file": "x"},
    ),
    Case("records_dir is a file", {"records_dir": "{tmp}/file"}, ("records_dir {tmp}/file", "Not a directory", "-e records_dir=DIR"), files={"file": "x"}),
    Case("records_dir not writable", {"records_dir": "/proc/records"}, ("records_dir /proc/records", "cannot be written", "-e records_dir=DIR")),
    Case("feature with a slash", {"feature": "../elsewhere"}, ("feature is '../elsewhere'", "letters, digits")),
    Case("empty feature", {"feature": " "}, ("feature is ' '", "letters, digits")),
    # --- other options
    Case("approval", {"approval": "maybe"}, ("approval", "maybe", "prompt, defer")),
    Case("approval that approves", {"approval": "approve"}, ("approval", "auto, prompt, defer", "got: approve")),
    Case("ai", {"ai": "sometimes"}, ("ai", "sometimes", "auto, off, required")),
    Case("ai required without an engine", {"ai": "required", "kubectl_ai_binary": "/nonexistent/kubectl-ai"}, ("kubectl-ai",)),
    Case("memory limit", {"memory_limit_max": "lots"}, ("memory_limit_max is 'lots'", "8Gi")),
    Case("negative memory limit", {"memory_limit_max": "-1Gi"}, ("memory_limit_max is '-1Gi'", "8Gi")),
    Case("seconds", {"hold_seconds": "soon"}, ("hold_seconds", "soon")),
    Case("negative seconds", {"watch_seconds": "-5"}, ("watch_seconds", "-5")),
    Case("policy: class", {"policy": {"harmless": {"four_eyes": False}}}, ("policy.harmless", "low, medium, critical")),
    Case("policy: key", {"policy": {"medium": {"four_eye": True}}}, ("policy.medium.four_eye", "four_eyes, proof, approvers")),
    Case("policy: type", {"policy": {"medium": {"four_eyes": "sometimes"}}}, ("policy.medium.four_eyes is 'sometimes'", "true or false")),
    Case("policy: minutes", {"policy": {"medium": {"approval_minutes": 0}}}, ("policy.medium.approval_minutes is 0", "minutes")),
    Case("policy: users", {"policy": {"medium": {"approvers": "anna"}}}, ("policy.medium.approvers is 'anna'", "list of names")),
    Case("policy: not a mapping", {"policy": "strict"}, ("diagnose_policy", "dict")),
    Case("executor: unknown option", {"executor": {"kubekonfig": "/etc/kubeconfig"}}, ("executor", "kubekonfig", "kubeconfig")),
    Case("executor: not a mapping", {"executor": "admin"}, ("diagnose_executor", "dict")),
    Case(
        "result_file in a missing directory",
        {"result_file": "{tmp}/missing/result.json"},
        ("result_file {tmp}/missing/result.json cannot be written", "No such file or directory"),
    ),
    Case("result_file is a directory", {"result_file": "{tmp}"}, ("result_file {tmp} cannot be written", "is a directory")),
    Case(
        "snapshot_file in a missing directory",
        {"snapshot_file": "{tmp}/missing/snapshot.json"},
        ("snapshot_file {tmp}/missing/snapshot.json cannot be written",),
    ),
    Case("replay of something else", {"replay": "{tmp}/snapshot.json"}, ("{tmp}/snapshot.json is not a snapshot",), files={"snapshot.json": "{}"}),
    Case("replay of a missing file", {"replay": "{tmp}/missing.json"}, ("snapshot {tmp}/missing.json cannot be read", "option replay")),
]


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    with namespace(cluster, "input") as one:
        one.apply(hungry(cluster, "web"), {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}})
        wait("the failing pod", lambda: any("OOMKilled" in reasons(pod) for pod in one.pods().get("web", [])))
        yield one


@pytest.fixture(scope="module")
def texts(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the cases refer to in braces."""
    config = yaml.safe_load(Path(kubectl.cluster.kubeconfig).read_text(encoding="utf-8"))
    inside = config["clusters"][0]["cluster"]
    unreachable = {**config, "clusters": [{**config["clusters"][0], "cluster": {**inside, "server": "https://127.0.0.1:1"}}]}
    authority = tmp_path_factory.mktemp("authority")
    (authority / "ca.pem").write_text(kubectl("get", "configmap/kube-root-ca.crt", "-o", "jsonpath={.data.ca\\.crt}"), encoding="ascii")
    import certifi

    return {
        "namespace": kubectl.namespace,
        "server": inside["server"],
        "ca": str(authority / "ca.pem"),
        "token": kubectl("create", "token", "nobody").strip(),
        "unreachable": json.dumps(unreachable),
        "other_ca": Path(certifi.where()).read_text(encoding="utf-8"),
    }


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, kubectl: Kubectl, texts: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[Case, Future[tuple[Run, Path]]]:
    return begin(request, "case", lambda case: call(case, kubectl.namespace, texts, tmp_path_factory.mktemp("case")))


def call(case: Case, target: str, texts: Mapping[str, str], directory: Path) -> tuple[Run, Path]:
    known = {**texts, "tmp": str(directory)}
    for name, content in case.files.items():
        (directory / name).write_text(known.get(content.strip("{}"), content), encoding="utf-8")
    options = {name: fill(value, known) for name, value in case.options.items()}
    ansible = Ansible(directory, namespace=target, result_file=str(directory / "result.json"))
    return ansible("diagnose", variables=dict(case.environment), **options), directory


def fill(text: Any, known: Mapping[str, str]) -> Any:
    for name, value in known.items() if isinstance(text, str) else ():
        text = text.replace(f"{{{name}}}", value)
    return text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_wrong_input(case: Case, runs: dict[Case, Future[tuple[Run, Path]]], texts: dict[str, str]) -> None:
    run, directory = runs[case].result()
    run.refused(*(fill(text, {**texts, "tmp": str(directory)}) for text in case.says))
    assert texts["token"] not in run.output, "the token is on the screen"
    recorded = [path for pattern in ("*.jsonl", "*.md", "*.part", "*.new") for path in directory.rglob(pattern)]
    assert not recorded, f"left behind: {recorded}"
    assert not run.left, f"files with credentials are left in the temporary directory: {run.left}"
    if (directory / "result.json").exists():
        document = result_of(directory / "result.json")
        assert document["error"] and " ".join(document["error"].split()) in " ".join(run.output.split()), "the result document does not say why"
        assert document["records"] == [] and document["plan"] is None


def test_nothing_was_changed(kubectl: Kubectl, runs: dict[Case, Future[tuple[Run, Path]]]) -> None:
    for future in runs.values():
        future.result()
    real = [one["requestURI"] for one in kubectl.writes() if one["userAgent"] == USER_AGENT and "dryRun=All" not in one["requestURI"]]
    assert real == [] and kubectl.generation("web") == 1
