# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Restarting a pod whose dependency came back after its crash, and only then."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy import table as remedies
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import Bounds, Remedy
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.analysis import analyse

from tests.unit.diagnosis.objects import Object, ago, deployment, ended, looping, meta, pod, replicaset, running, snapshot

BOUNDS = Bounds(2**33)
LINE = "Error: could not connect to db:5432"
CRASHED = 60  # seconds ago
WEB = deployment("web")
RS = replicaset(WEB)


def service(name: str = "db", namespace: str = "shop") -> Object:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {**meta("Service", name), "namespace": namespace}, "spec": {"clusterIP": "10.96.0.9"}}


def endpoints(name: str = "db", ready: bool = True, target: str = "db-0", namespace: str = "shop") -> Object:
    labels = {"kubernetes.io/service-name": name}
    points = [{"addresses": ["10.0.0.9"], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": target}}]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**meta("EndpointSlice", f"{name}-x", labels=labels), "namespace": namespace},
        "endpoints": points,
    }


def database(since: float, ready: bool = True, name: str = "db-0", namespace: str = "shop") -> Object:
    """A pod that has been ready for so many seconds."""
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": ago(since)}
    made = pod(running(ready=ready), name=name, conditions=[condition])
    made["metadata"]["namespace"] = namespace
    return made


def crashed(name: str = "web-1", seconds: float = CRASHED, **more: Any) -> Object:
    return pod(looping(ended(1, seconds=seconds)), name=name, owner=RS, **more)


def proposed(*items: Object, line: str = LINE, pods: list[Object] | None = None) -> tuple[list[Remedy], list[str]]:
    pods = [crashed()] if pods is None else pods
    taken = snapshot(WEB, RS, *pods, *items, logs={one["metadata"]["name"]: line for one in pods})
    view, found, _evidence = analyse(taken)
    crash = next(one for one in found if one.object == {"kind": "Deployment", "namespace": "shop", "name": "web"})
    return remedies.propose(view, crash, BOUNDS)


def test_a_dependency_that_came_back_after_the_crash() -> None:
    [remedy], reasons = proposed(service(), endpoints(), database(CRASHED - 1))
    assert remedy.name == "restart_pod" and remedy.summary == "restart 1 pod(s) of deployment/web, since Service db is ready again"
    assert remedy.undo == "a deleted pod is created again by its owner; there is nothing to undo"
    assert remedy.notes == [f"Service db has been ready since {ago(CRASHED - 1)}; the last crash was at {ago(CRASHED)}"]
    [change] = remedy.changes
    assert (change["action"], change["object"]["kind"], change["object"]["name"], change["preconditions"]) == (
        "delete",
        "Pod",
        "web-1",
        {"uid": "uid-pod-web-1"},
    )
    assert change["outcome"][0]["after"] == "deleted; deployment/web creates it anew"
    assert reasons == ["deployment/web has no earlier revision to return to"]


def test_every_crashed_replica_is_restarted() -> None:
    [remedy], _reasons = proposed(service(), endpoints(), database(30), pods=[crashed("a"), crashed("b", 90)])
    assert [change["object"]["name"] for change in remedy.changes] == ["a", "b"] and [change["id"] for change in remedy.changes] == ["C1", "C2"]


HOSTS = [
    "could not connect to db.shop:5432",
    "could not connect to db.shop.svc.cluster.local:5432",
    "dial tcp: lookup db on 10.96.0.10:53: no such host",
    'connection to server at "db" (10.96.0.9), port 5432 failed: Connection refused',
]


@pytest.mark.parametrize("line", HOSTS)
def test_names_of_a_service(line: str) -> None:
    assert [one.name for one in proposed(service(), endpoints(), database(30), line=f"Error: {line}")[0]] == ["restart_pod"]


REFUSALS: list[tuple[str, list[Object], str, str]] = [
    (
        "ready before the crash",
        [service(), endpoints(), database(CRASHED + 1)],
        LINE,
        "Service db had ready endpoints when the container last crashed, so a restart alone would not help",
    ),
    ("ready in the same second", [service(), endpoints(), database(CRASHED)], LINE, "Service db had ready endpoints when the container last crashed"),
    (
        "one of two was ready before",
        [service(), endpoints(), endpoints(target="db-1"), database(30), database(500, name="db-1")],
        LINE,
        "Service db had ready endpoints",
    ),
    (
        "endpoint not ready",
        [service(), endpoints(ready=False), database(30, ready=False)],
        LINE,
        "the container cannot reach Service db, which has no ready endpoint; mend that first",
    ),
    ("no endpoints", [service()], LINE, "the container cannot reach Service db, which has no ready endpoint"),
    (
        "endpoints of another service",
        [service(), endpoints("cache"), database(30)],
        LINE,
        "the container cannot reach Service db, which has no ready endpoint",
    ),
    (
        "endpoints of the same name elsewhere",
        [service(), endpoints(namespace="test"), database(30, namespace="test")],
        LINE,
        "the container cannot reach Service db, which has no ready endpoint",
    ),
    (
        "a pod of the same name elsewhere",
        [service(), endpoints(), database(30, namespace="test")],
        LINE,
        "the container cannot reach Service db, which has no ready endpoint",
    ),
    ("no such service", [service("cache")], LINE, "the container cannot reach db:5432, and there is no Service of that name in the namespace"),
    ("the service is elsewhere", [service(namespace="test")], LINE, "the container cannot reach db:5432, and there is no Service of that name"),
    (
        "another namespace is meant",
        [service(), endpoints(), database(30)],
        "could not connect to db.test:5432",
        "the container cannot reach db.test:5432, and there is no Service",
    ),
    ("no port", [], "getaddrinfo ENOTFOUND db", "the container cannot reach db, and there is no Service of that name in the namespace"),
    ("another cause", [service(), endpoints(), database(30)], "KeyError: 'X'", "deployment/web has no earlier revision to return to"),
]


@pytest.mark.parametrize("what, items, line, reason", REFUSALS, ids=[row[0] for row in REFUSALS])
def test_reasons_why_not(what: str, items: list[Object], line: str, reason: str) -> None:
    found, reasons = proposed(*items, line=line)
    assert found == [] and reasons[0].startswith(reason)


def test_a_replica_that_crashed_after_the_dependency_was_ready() -> None:
    found, reasons = proposed(service(), endpoints(), database(100), pods=[crashed("early", 300), crashed("late", 20)])
    assert found == [] and reasons[0].startswith("Service db had ready endpoints when the container last crashed")


def test_a_pod_without_a_controller_is_not_deleted() -> None:
    alone = pod(looping(ended(1, seconds=CRASHED)), name="alone")
    view, [finding], _evidence = analyse(snapshot(alone, service(), endpoints(), database(30), logs={"alone": LINE}))
    assert remedies.propose(view, finding, BOUNDS) == ([], ["the pod has no controller that would create it again"])
