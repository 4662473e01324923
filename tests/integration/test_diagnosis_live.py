# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Every failure that is known by name, staged for real beside healthy workloads, and told apart in one run."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.integration.registry import registry
from tests.integration.staging import Kubectl, deployment, hungry, is_ready, namespace, reasons
from tests.integration.support import Ansible, moment, result_of, wait

SLEEPS = "exec sleep 1000000"
Object = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A failing workload, when it is fully there, and what has to be said about it."""

    name: str
    code: str
    says: tuple[str, ...]  # in the root cause
    plan: str = ""  # how the summary of its plan begins; empty when there must be none
    why_not: str = "no earlier revision"  # in the reason why no change is proposed
    seen: frozenset[str] = frozenset()  # reasons of which one has to be in the status of its container
    kind: str = "Deployment"
    container: str | None = None  # None: of the same name as the workload


def seen(*reason: str) -> frozenset[str]:
    return frozenset(reason)


PULLING = seen("ErrImagePull", "ImagePullBackOff")
CONFIG = seen("CreateContainerConfigError")
FAILURES = [
    Failure("oom", "OOMKilled", ("memory limit", "20Mi"), plan="raise the memory limit of container oom from 20Mi to 40Mi", seen=seen("OOMKilled")),
    Failure("oom-set", "OOMKilled", ("20Mi",), plan="raise the memory limit of container oom-set", seen=seen("OOMKilled"), kind="StatefulSet"),
    Failure("oom-pod", "OOMKilled", ("20Mi",), why_not="the pod template of a pod cannot be changed", seen=seen("OOMKilled"), kind="Pod"),
    Failure("killed", "KilledNotOOM", ("exit code 137", "not OOMKilled"), why_not="the memory limit was not the cause", seen=seen("Error")),
    Failure("crash", "AppCrash", ("exit code 1", "Error: DATABASE_URL is required"), seen=seen("Error")),
    Failure("crash-init", "AppCrash", ("init container prepare", "permission denied on /data"), container="prepare"),
    Failure("no-program", "CommandNotFound", ("/usr/bin/nginx",), seen=seen("StartError", "RunContainerError")),
    Failure("no-command", "CommandNotFound", ("gunicorn", "exit code 127"), seen=seen("Error")),
    Failure("no-image", "ImageNotFound", ("no such image or tag", "shop/web:1.2.3"), seen=PULLING),
    Failure("refused", "ImagePullRefused", ("refuses", "shop/web:1.2.3"), seen=PULLING),
    Failure("no-registry", "ImagePullFailed", ("cannot be reached", "127.0.0.1:1/"), why_not="the registry or the network is at fault", seen=PULLING),
    Failure("odd-image", "InvalidImageName", ("not valid",), seen=seen("InvalidImageName")),
    Failure("never-pulled", "ImageNeverPulled", ("not on the node",), seen=seen("ErrImageNeverPull")),
    Failure("no-config", "ConfigMapMissing", ("ConfigMap settings is not in the namespace",), seen=CONFIG),
    Failure("no-secret", "SecretMissing", ("Secret credentials is not in the namespace",), seen=CONFIG),
    Failure("no-key", "ConfigKeyMissing", ("ConfigMap kube-root-ca.crt exists but has no key url",), seen=CONFIG),
    Failure("no-volume", "ConfigMapMissing", ("ConfigMap templates", "a volume of the pod"), container=""),
    Failure("no-cpu", "InsufficientCPU", ("cpu", "request of 500"), container=""),
    Failure("no-memory", "InsufficientMemory", ("memory", "request of 9000Gi"), container=""),
    Failure("no-node", "Unschedulable", ("nodeSelector",), container=""),
    Failure("no-account", "PodsNotCreated", ("service account does not exist",), container=""),
    Failure("not-alive", "LivenessProbeFailing", ("liveness probe", "exec cat /tmp/alive"), seen=seen("Error", "Completed")),
    Failure("not-ready", "ReadinessProbeFailing", ("readiness probe", "TCP :8080")),
    Failure("ends", "MainProcessEnds", ("exit code 0",), seen=seen("CrashLoopBackOff")),
]
HEALTHY = ("fine", "fine-again", "fine-idle", "fine-job", "fine-probed")


def objects(cluster: Cluster, registries: Mapping[str, str]) -> list[Object]:
    def plain(name: str, script: str = SLEEPS, **more: Any) -> Object:
        return deployment(cluster, name, script, **more)

    probe = {"periodSeconds": 1, "failureThreshold": 1}
    from_map = [{"name": "URL", "valueFrom": {"configMapKeyRef": {"name": "kube-root-ca.crt", "key": "url"}}}]
    oom_set, oom_pod, job = hungry(cluster, "oom-set"), hungry(cluster, "oom-pod"), plain("fine-job", "true")
    prepare = {
        "name": "prepare",
        "image": cluster.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "echo 'cannot write: permission denied on /data'; exit 3"],
    }
    once = {"volumes": [{"name": "state", "emptyDir": {}}]}
    return [
        hungry(cluster, "oom"),
        {**oom_set, "kind": "StatefulSet", "spec": {**oom_set["spec"], "serviceName": "oom-set"}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "oom-pod", "labels": {"app": "oom-pod"}},
            "spec": oom_pod["spec"]["template"]["spec"],
        },
        plain("killed", "sleep 1000 & kill -9 $!; wait $!"),
        plain("crash", "echo listening to nobody; echo 'Error: DATABASE_URL is required' >&2; exit 1"),
        plain("crash-init", pod={"initContainers": [prepare]}),
        plain("no-program", command=["/usr/bin/nginx", "-g", "daemon off;"]),
        plain("no-command", "gunicorn --bind :8000 app"),
        plain("no-image", image=f"{registries['open']}/shop/web:1.2.3"),
        plain("refused", image=f"{registries['closed']}/shop/web:1.2.3"),
        plain("no-registry", image="127.0.0.1:1/shop/web:1.2.3"),
        plain("odd-image", image="shop/Web:1.2.3"),
        plain("never-pulled", image="localhost/shop-web:1.2.3", imagePullPolicy="Never"),
        plain("no-config", envFrom=[{"configMapRef": {"name": "settings"}}]),
        plain("no-secret", env=[{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "credentials", "key": "password"}}}]),
        plain("no-key", env=from_map),
        plain(
            "no-volume",
            pod={"volumes": [{"name": "templates", "configMap": {"name": "templates"}}]},
            volumeMounts=[{"name": "templates", "mountPath": "/templates"}],
        ),
        plain("no-cpu", resources={"requests": {"cpu": "500"}}),
        plain("no-memory", resources={"requests": {"memory": "9000Gi"}}),
        plain("no-node", pod={"nodeSelector": {"disk": "nvme"}}),
        plain("no-account", pod={"serviceAccountName": "robot"}),
        plain("not-alive", livenessProbe={"exec": {"command": ["cat", "/tmp/alive"]}, **probe}),
        plain("not-ready", readinessProbe={"tcpSocket": {"port": 8080}, **probe}),
        plain("ends", "echo migrated"),
        plain("fine"),
        plain(
            "fine-again",
            "test -e /state/second || { touch /state/second; exit 1; }; exec sleep 1000000",
            pod=once,
            volumeMounts=[{"name": "state", "mountPath": "/state"}],
        ),
        plain("fine-idle", replicas=0),
        plain(
            "fine-probed",
            "httpd -f -p 8080",
            readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1},
            livenessProbe={"tcpSocket": {"port": 8080}, "initialDelaySeconds": 5},
        ),
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "fine-job"},
            "spec": {"template": {**job["spec"]["template"], "spec": {**job["spec"]["template"]["spec"], "restartPolicy": "Never"}}},
        },
    ]


def not_there_yet(kubectl: Kubectl) -> list[str]:
    """The workloads that do not show yet what they are to show."""
    pods, now = kubectl.pods(), datetime.datetime.now(datetime.timezone.utc)
    events = kubectl.get("events")["items"]
    conditions: dict[str, Callable[[Object], bool]] = {
        "crash-init": lambda pod: any("terminated" in one["lastState"] for one in pod["status"].get("initContainerStatuses", [])),
        "no-volume": lambda pod: any(one["reason"] == "FailedMount" and one["involvedObject"]["uid"] == pod["metadata"]["uid"] for one in events),
        **dict.fromkeys(
            ("no-cpu", "no-memory", "no-node"), lambda pod: any(one.get("reason") == "Unschedulable" for one in pod["status"].get("conditions", []))
        ),
        "not-alive": lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] > 0,
        # a pod that is not ready counts as failing after half a minute
        "not-ready": lambda pod: (now - moment(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])).total_seconds() > 32,
        **dict.fromkeys(("fine", "fine-again", "fine-probed"), is_ready),
        "fine-job": lambda pod: pod["status"]["phase"] == "Succeeded",
    }
    missing = [] if any(one["reason"] == "FailedCreate" for one in events) else ["no-account"]
    staged: dict[str, Any] = {one.name: lambda pod, one=one: bool(reasons(pod) & one.seen) for one in FAILURES if one.seen}
    for name, condition in {**staged, **conditions}.items():
        try:
            there = all(condition(pod) for pod in pods[name])
        except (KeyError, IndexError):
            there = False
        missing += [] if there else [name]
    return missing


def go_early(cluster: Cluster, directory: Path) -> dict[str, Any]:
    """The result document of one run over everything, with the proposals on record by the name of their target."""
    with registry(directory / "open", password=False) as everybody, registry(directory / "closed", password=True) as nobody, namespace(
        cluster, "live"
    ) as kubectl:
        kubectl.apply(*objects(cluster, {"open": everybody, "closed": nobody}))
        wait("all failures are there", lambda: not (left := not_there_yet(kubectl)) or print("waiting for", *left), seconds=150, every=1)
        ansible = Ansible(directory, namespace=kubectl.namespace, result_file=str(directory / "result.json"))
        ansible("diagnose").ok()
        document = result_of(directory / "result.json")
        document["proposals"] = {
            one["payload"]["target"]["name"]: one["payload"] for one in (ansible.record(path.stem)[0] for path in ansible.records.glob("*.jsonl"))
        }
        return document


@pytest.fixture(scope="module")
def result(early: dict[str, Future[dict[str, Any]]]) -> dict[str, Any]:
    return early[__name__].result()


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_cause(failure: Failure, result: dict[str, Any]) -> None:
    found = [one for one in result["findings"] if one["object"]["name"] == failure.name]
    assert [one["code"] for one in found] == [failure.code], found
    finding, proposal = found[0], result["proposals"][failure.name]
    assert finding["object"]["kind"] == failure.kind
    assert finding["container"] == (failure.name if failure.container is None else failure.container)
    missing = [text for text in failure.says if text not in f"{finding['title']} {finding['root_cause']}"]
    assert not missing, f"the cause does not say {missing}: {finding['title']}; {finding['root_cause']}"
    facts = {fact["id"]: fact for fact in proposal["evidence"]}
    assert finding["evidence"] and all(facts[one]["excerpt"] and facts[one]["source"] for one in finding["evidence"])
    # a container without a readiness probe counts as ready while it runs
    assert finding["severity"] == "critical" or failure.name == "not-alive"
    assert finding["suggested_fix"] and finding["expected_outcome"]
    if failure.plan:
        assert proposal["plan"] and proposal["plan"]["summary"].startswith(failure.plan), proposal["no_plan_reason"]
    else:
        assert proposal["plan"] is None and failure.why_not in proposal["no_plan_reason"], proposal["no_plan_reason"]


def test_no_false_alarm(result: dict[str, Any]) -> None:
    named = {one["object"]["name"] for one in result["findings"]}
    assert named & set(HEALTHY) == set()
    assert named - {failure.name for failure in FAILURES} == set(), "something is blamed that was not staged"


def test_one_record_for_each(result: dict[str, Any]) -> None:
    assert len(result["records"]) == len(FAILURES) == len(result["proposals"])
    waiting = {row["title"] for row in result["records"] if row["state"] == "proposed"}
    assert len(waiting) == sum(bool(failure.plan) for failure in FAILURES)
    assert result["coverage"]["not_evaluated"] == []
