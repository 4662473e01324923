# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Every remedy that can be a plan, carried out on the real cluster: broken, diagnosed, approved, fixed, validated; its inverse restores the object."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy import table

from tests.cluster import Cluster
from tests.integration.staging import LOSES_MEMORY, Kubectl, deployment, is_ready, namespace, reasons
from tests.integration.support import QUICK, Ansible, begin, wait

Object = dict[str, Any]
SERVE = "mkdir -p /tmp/www && echo well > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
SLEEP = "exec sleep 3600"
PORTS = [{"containerPort": 8080, "name": "http"}]
PROBE = {"periodSeconds": 2, "failureThreshold": 2}
NO_SURGE = {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}


@dataclass(frozen=True)
class Broken:
    """``good`` is applied first and waited for, where there is one, then ``bad``; ``shows`` says when the failure can be seen."""

    remedy: str
    bad: Callable[[Cluster], list[Object]]
    shows: Callable[[Kubectl], bool]
    target: str = "deployment/web"
    good: Callable[[Cluster], list[Object]] | None = None
    prepare: Callable[[Kubectl], None] | None = None  # after ``bad`` shows


def web(
    cluster: Cluster, script: str = SLEEP, spec: Mapping[str, Any] | None = None, pod: Mapping[str, Any] | None = None, **container: Any
) -> Object:
    made = deployment(cluster, "web", script, pod=pod, **container)
    made["spec"].update(spec or NO_SURGE)
    return made


def service(name: str = "web", selector: Mapping[str, str] | None = None, port: Any = 8080) -> Object:
    spec = {"selector": dict(selector or {"app": "web"}), "ports": [{"port": 80, "targetPort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def statefulset(cluster: Cluster, image: str) -> Object:
    made = deployment(cluster, "db", SLEEP, image=image)
    made["kind"], made["spec"]["serviceName"] = "StatefulSet", "db"
    return made


def configmap(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def from_map(name: str, key: str, optional: bool | None = None) -> Object:
    more = {} if optional is None else {"optional": optional}
    return {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": name, "key": key, **more}}}


def waits(*wanted: str) -> Callable[[Kubectl], bool]:
    """A container waits, or ended, for one of these reasons."""
    return lambda kubectl: any(set(wanted) & reasons(pod) for pods in kubectl.pods().values() for pod in pods)


def event(reason: str, *words: str) -> Callable[[Kubectl], bool]:
    return lambda kubectl: any(
        one["reason"] == reason and all(word in one.get("message", "") for word in words) for one in kubectl.get("events")["items"]
    )


def ready(kubectl: Kubectl, count: int = 1) -> bool:
    return sum(is_ready(pod) for pods in kubectl.pods().values() for pod in pods) >= count


def serves_nothing(kubectl: Kubectl) -> bool:
    return ready(kubectl) and bool(kubectl.get("endpointslices")["items"])


def bring_the_database(kubectl: Kubectl) -> None:
    """The Service that the application could not reach is served from now on."""
    wait("it has crashed and waits", lambda: waits("CrashLoopBackOff")(kubectl), 60)
    kubectl("patch", "service", "db", "--type=merge", "-p", json.dumps({"spec": {"selector": {"app": "db"}}}))
    wait(
        "the database is reached",
        lambda: any(
            (endpoint.get("conditions") or {}).get("ready")
            for one in kubectl.get("endpointslices", "-l", "kubernetes.io/service-name=db")["items"]
            for endpoint in one.get("endpoints") or []
        ),
    )


READS_DATABASE = "nc -w 2 db 5432 </dev/null || { echo 'FATAL: could not connect to db:5432: connection refused' >&2; exit 1; }; exec sleep 3600"
OPEN_DATABASE = "while :; do nc -l -p 5432 </dev/null; done"


def database(cluster: Cluster) -> Object:
    """It becomes ready only after a while, so that what needs it has crashed before."""
    return deployment(
        cluster,
        "db",
        f"(sleep 25; touch /tmp/ready) & {OPEN_DATABASE}",
        readinessProbe={"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1},
    )


def fill(kubectl: Kubectl) -> None:
    """The eviction has happened, and another pod is ready in its place."""
    wait("the pod was evicted", lambda: any(pod["status"].get("phase") == "Failed" for pods in kubectl.pods().values() for pod in pods), 90)
    wait("another is ready", lambda: ready(kubectl), 60)


def fills_once() -> str:
    """Too much for its volume, in the next few seconds only: the pod that comes after an eviction is well."""
    return f"[ $(date +%s) -gt {int(time.time()) + 15} ] || dd if=/dev/zero of=/scratch/big bs=1M count=12; exec sleep 3600"


CASES = {
    one.remedy: one
    for one in (
        Broken("raise_memory_limit", lambda c: [web(c, LOSES_MEMORY, resources={"limits": {"memory": "20Mi"}})], waits("OOMKilled")),
        Broken(
            "undo_rollout",
            lambda c: [web(c, image="localhost/busybox:nosuch", imagePullPolicy="Never")],
            waits("ErrImageNeverPull"),
            good=lambda c: [web(c)],
        ),
        Broken(
            "correct_probe_port",
            lambda c: [web(c, SERVE, ports=PORTS, readinessProbe={"httpGet": {"port": 8081, "path": "/"}, **PROBE})],
            event("Unhealthy", "connection refused"),
        ),
        Broken(
            "correct_probe_path",
            lambda c: [
                web(
                    c,
                    SERVE,
                    ports=PORTS,
                    readinessProbe={"httpGet": {"port": 8080, "path": "/healthz"}, **PROBE},
                    livenessProbe={"httpGet": {"port": 8080, "path": "/index.html"}, "initialDelaySeconds": 5, "timeoutSeconds": 10},
                )
            ],
            event("Unhealthy", "404"),
        ),
        Broken(
            "more_probe_time",
            lambda c: [
                web(
                    c,
                    f"sleep 14; {SERVE}",
                    ports=PORTS,
                    startupProbe={"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 2, "failureThreshold": 3},
                )
            ],
            event("Killing", "startup probe"),
        ),
        Broken(
            "add_startup_probe",
            lambda c: [web(c, f"sleep 14; {SERVE}", ports=PORTS, livenessProbe={"httpGet": {"port": 8080, "path": "/"}, **PROBE})],
            event("Killing", "liveness probe"),
        ),
        Broken("correct_selector", lambda c: [web(c, SERVE, ports=PORTS), service(selector={"app": "wbe"})], serves_nothing, target="service/web"),
        Broken(
            "correct_target_port",
            lambda c: [web(c, SERVE, ports=PORTS, readinessProbe={"httpGet": {"port": 8080, "path": "/"}, **PROBE}), service(port=8081)],
            serves_nothing,
            target="service/web",
        ),
        Broken("lower_request", lambda c: [web(c, resources={"requests": {"cpu": "500"}})], event("FailedScheduling", "Insufficient cpu")),
        Broken(
            "correct_node_selector",
            lambda c: [
                web(
                    c,
                    pod={
                        "nodeSelector": {
                            "kubernetes.io/hostnmae": Kubectl(c, "").get("nodes")["items"][0]["metadata"]["labels"]["kubernetes.io/hostname"]
                        }
                    },
                )
            ],
            event("FailedScheduling", "node affinity/selector"),
        ),
        Broken(
            "correct_reference",
            lambda c: [configmap("web-settings", mode="fast"), web(c, env=[from_map("web-setings", "mode")])],
            waits("CreateContainerConfigError"),
        ),
        Broken(
            "mark_optional",
            lambda c: [web(c, env=[from_map("tuning", "mode", False), {"name": "DB_PASSWORD", "value": "hunter2-new-9f3c"}])],
            waits("CreateContainerConfigError"),
            good=lambda c: [web(c, env=[from_map("tuning", "mode", True), {"name": "DB_PASSWORD", "value": "hunter2-old-8e1d"}])],
        ),
        Broken(
            "restore_command",
            lambda c: [web(c, command=["/no/such/command"], env=[{"name": "DB_PASSWORD", "value": "hunter2-new-9f3c"}])],
            waits("RunContainerError", "StartError", "CrashLoopBackOff"),
            good=lambda c: [web(c, env=[{"name": "DB_PASSWORD", "value": "hunter2-old-8e1d"}])],
        ),
        Broken(
            "restart_pod",
            lambda c: [
                database(c),
                web(c, READS_DATABASE),
                service("db", {"app": "nobody"}, 5432) | {"spec": {"selector": {"app": "nobody"}, "ports": [{"port": 5432}]}},
            ],
            waits("CrashLoopBackOff"),
            prepare=bring_the_database,
        ),
        Broken(
            "delete_leftovers",
            lambda c: [
                web(
                    c,
                    fills_once(),
                    pod={"volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "4Mi"}}]},
                    volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}],
                )
            ],
            lambda kubectl: True,
            prepare=fill,
        ),
    )
}
STATEFUL = Broken(
    "undo_rollout",
    lambda c: [statefulset(c, "localhost/busybox:nosuch")],
    waits("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"),
    target="statefulset/db",
    good=lambda c: [statefulset(c, c.image)],
)
ALL = {**CASES, "undo_rollout of a StatefulSet": STATEFUL}


@dataclass
class Story:
    """What happened to one case: the live object before, after the change and after its inverse, and the record's events."""

    plan: Object
    record: list[Object]
    before: Object
    after: Object
    restored: Object | None


@pytest.fixture(scope="module")
def stories(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Story]]]:
    yield begin(request, "name", lambda name: _story(cluster, ALL[name], tmp_path_factory.mktemp(name.replace(" ", "-"))), at_once=5)


def _story(cluster: Cluster, case: Broken, directory: Path) -> Story:
    with namespace(cluster, "remedy") as kubectl:
        if case.good:
            kubectl.apply(*case.good(cluster))
            wait("the good revision is ready", lambda: ready(kubectl), 90)
        kubectl.apply(*case.bad(cluster))
        wait(f"the failure shows: {case.remedy}", lambda: case.shows(kubectl), 120)
        if case.prepare:
            case.prepare(kubectl)
        ansible = Ansible(directory, **QUICK, target_namespace=kubectl.namespace)
        kind, _slash, name = case.target.partition("/")

        def proposed() -> str:
            ansible("diagnose").ok()
            found = ansible.by_workload().get(name, "")
            return found if found and ansible.state(found) == "proposed" else ""

        identifier = wait(f"a plan is proposed: {case.remedy}", proposed, 180, every=4)
        before = kubectl.get(kind, name)
        ansible.decide(identifier, reason="as shown").ok()
        ansible("execute", record=identifier, target_namespace=None).ok()
        after = kubectl.get(kind, name)
        record = ansible.record(identifier)
        plan = record[0]["payload"]["plan"]
        inverse = [change["inverse"] for change in plan["changes"] if change["action"] == "patch" and change["object"]["name"] == name]
        for patch in inverse:
            kubectl("patch", kind, name, "--type=json", "-p", json.dumps(patch))
        return Story(plan, record, before, after, kubectl.get(kind, name) if inverse else None)


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_remedy_is_carried_out_and_proven(stories: dict[str, Future[Story]], name: str) -> None:
    story = stories[name].result()
    proposal = story.record[0]["payload"]
    assert proposal["remedy"] == ALL[name].remedy, (proposal["remedies"], proposal["not_chosen"])
    assert [one["kind"] for one in story.record if one["kind"] != "watched"][-1] == "closed", story.record[-1]
    assert any("what it does not do" in note for note in story.plan["notes"])
    if story.restored is not None:
        assert _spec(story.before) != _spec(story.after) and _spec(story.restored) == _spec(story.before)


def test_every_remedy_is_tried_here_or_is_a_variant() -> None:
    names = {proposer.__name__ for proposers in table.PROPOSERS.values() for proposer in proposers}
    variants = {"propose", "correct_port", "correct_path", "more_time", "startup_first"}  # restore(), and functions whose remedy has another name
    assert names - variants <= set(CASES)


def _spec(live: Object) -> Object:
    """The specification without what the server itself renews."""
    spec: Object = copy.deepcopy(live["spec"])
    return spec
