# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The state of a workload, from the objects that a controller and a kubelet write."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import workload
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api

from tests.unit.cluster.web import Answer, Asked, Web

SHOP = "/apis/apps/v1/namespaces/shop"
REVISION = {"deployment.kubernetes.io/revision": "2"}


def live(kind: str = "Deployment", **status: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "generation": 4, "annotations": REVISION}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}},
        "status": status,
    }


def pod(name: str, revision: str = "new", ready: bool = True, **status: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    labels = {"app": "web", "pod-template-hash": revision}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": labels}, "status": {"conditions": [condition], **status}}


def container(restarts: int = 0, waiting: str = "", terminated: str = "", last: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": waiting}} if waiting else {"terminated": {"reason": terminated}} if terminated else {"running": {}}
    return {"restartCount": restarts, "state": state, "lastState": {"terminated": {"reason": last}} if last else {}}


KINDS: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("Deployment", {"updatedReplicas": 1, "availableReplicas": 2}, (2, 1, 2)),
    ("Deployment", {}, (2, 0, 0)),
    ("StatefulSet", {"updatedReplicas": 2, "availableReplicas": 1}, (2, 2, 1)),
    ("ReplicaSet", {"fullyLabeledReplicas": 2, "availableReplicas": 2}, (2, 2, 2)),
    ("DaemonSet", {"desiredNumberScheduled": 5, "updatedNumberScheduled": 4, "numberAvailable": 3}, (5, 4, 3)),
    ("DaemonSet", {}, (0, 0, 0)),
]


@pytest.mark.parametrize("kind, status, counts", KINDS)
def test_counts_of_each_kind(kind: str, status: dict[str, Any], counts: tuple[int, int, int]) -> None:
    state = workload.summarize(live(kind, **status), [], "")
    assert (state["wanted"], state["updated"], state["available"]) == counts and state["exists"] and state["uid"] == "u"


@pytest.mark.parametrize("observed, settled", [(None, False), (3, False), (4, True), (5, True)])
def test_settled(observed: int | None, settled: bool) -> None:
    status: dict[str, Any] = {} if observed is None else {"observedGeneration": observed}
    assert workload.summarize(live(**status), [], "")["settled"] is settled


def test_a_default_of_one_replica() -> None:
    document = live()
    del document["spec"]["replicas"]
    assert workload.summarize(document, [], "")["wanted"] == 1


def test_pods_sorted_without_those_being_deleted() -> None:
    going = pod("a")
    going["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    pods = workload.summarize(live(), [pod("c", "old"), going, pod("b", ready=False)], "new")["pods"]
    assert [(one["name"], one["current"], one["ready"]) for one in pods] == [("b", True, False), ("c", False, True)]


CONTAINERS: list[tuple[str, dict[str, Any], int, list[str]]] = [
    ("running", {"containerStatuses": [container()]}, 0, []),
    ("no status yet", {}, 0, []),
    ("starting", {"containerStatuses": [container(waiting="ContainerCreating")], "initContainerStatuses": [container(terminated="Completed")]}, 0, []),
    ("crash loop", {"containerStatuses": [container(4, waiting="CrashLoopBackOff", last="OOMKilled")]}, 4, ["CrashLoopBackOff", "OOMKilled"]),
    ("just ended", {"containerStatuses": [container(1, terminated="Error", last="Error")]}, 1, ["Error"]),
    (
        "init containers count",
        {"initContainerStatuses": [container(3, waiting="CrashLoopBackOff")], "containerStatuses": [container(2, waiting="PodInitializing")]},
        5,
        ["CrashLoopBackOff"],
    ),
]


@pytest.mark.parametrize("what, status, restarts, reasons", CONTAINERS, ids=[row[0] for row in CONTAINERS])
def test_restarts_and_reasons(what: str, status: dict[str, Any], restarts: int, reasons: list[str]) -> None:
    [one] = workload.summarize(live(), [pod("a", **status)], "new")["pods"]
    assert (one["restarts"], one["reasons"]) == (restarts, reasons)


def test_a_deployment_over_the_wire(web: Web, api: Api) -> None:
    def owned(name: str, revision: str, owner: str) -> dict[str, Any]:
        metadata = {
            "name": name,
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "labels": {"pod-template-hash": name},
            "ownerReferences": [{"uid": owner}],
        }
        return {"metadata": metadata}

    web.routes[f"GET {SHOP}/deployments/web"] = Answer(200, live(updatedReplicas=1))
    web.routes[f"GET {SHOP}/replicasets"] = Answer(200, {"items": [owned("old", "1", "u"), owned("stranger", "2", "other"), owned("new", "2", "u")]})
    web.routes["GET /api/v1/namespaces/shop/pods"] = Answer(200, {"items": [pod("a"), pod("b", "old")]})
    state = workload.observe(api, {"kind": "Deployment", "namespace": "shop", "name": "web"})
    assert [(one["name"], one["current"]) for one in state["pods"]] == [("a", True), ("b", False)]
    assert [asked.query["labelSelector"] for asked in web.asked if "labelSelector" in asked.query] == [["app=web"], ["app=web"]]


def test_a_statefulset_over_the_wire(web: Web, api: Api) -> None:
    member = pod("web-0", "x")
    member["metadata"]["labels"]["controller-revision-hash"] = "web-9"
    web.routes[f"GET {SHOP}/statefulsets/web"] = Answer(200, live("StatefulSet", updateRevision="web-9"))
    web.routes["GET /api/v1/namespaces/shop/pods"] = Answer(200, {"items": [member, pod("web-1", "y")]})
    state = workload.observe(api, {"kind": "StatefulSet", "namespace": "shop", "name": "web"})
    assert [one["current"] for one in state["pods"]] == [True, False]


def test_a_workload_that_is_gone(api: Api) -> None:
    state = workload.observe(api, {"kind": "Deployment", "namespace": "shop", "name": "web"})
    assert state == {"exists": False, "uid": "", "annotations": {}, "settled": False, "wanted": 0, "updated": 0, "available": 0, "pods": []}


SELECTORS: list[tuple[dict[str, Any], str]] = [
    ({"matchLabels": {"app": "web", "tier": "x"}}, "app=web,tier=x"),
    (
        {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}, {"key": "d", "operator": "NotIn", "values": ["e"]}]},
        "a in (b,c),d notin (e)",
    ),
    ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "f", "operator": "Exists"}, {"key": "g", "operator": "DoesNotExist"}]}, "app=web,f,!g"),
    ({"matchLabels": None, "matchExpressions": None}, ""),
]


@pytest.mark.parametrize("selector, text", SELECTORS)
def test_selectors(web: Web, api: Api, selector: dict[str, Any], text: str) -> None:
    document = live("ReplicaSet")
    document["spec"]["selector"] = selector
    seen: list[str] = []

    def pods(asked: Asked) -> Answer:
        seen.append("".join(asked.query.get("labelSelector", [])))
        return Answer(200, {"items": []})

    web.routes[f"GET {SHOP}/replicasets/web"] = Answer(200, document)
    web.routes["GET /api/v1/namespaces/shop/pods"] = pods
    workload.observe(api, {"kind": "ReplicaSet", "namespace": "shop", "name": "web"})
    assert seen == [text]
