# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Collecting: what is read, what is told where something may not be read, and which lack ends it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import snapshot as snapshots
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import METADATA, Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.lists import SOURCES
from ansible_collections.aiops.k8s.plugins.module_utils.errors import NotFound

from tests.unit.cluster.web import Answer, Asked, Web, status

LISTS = {
    name: "/api/v1/namespaces/shop" if name == "namespaces" else f"{source.group}{'/namespaces/shop' if source.namespaced else ''}/{name}"
    for name, source in SOURCES.items()
}
DNS = {name: f"{SOURCES[name].group}/namespaces/kube-system/{name}" for name in ("pods", "endpointslices")}
LOG = "/api/v1/namespaces/shop/pods/{}/log"
ENDED: dict[str, Any] = {"terminated": {"exitCode": 1}}
RESTARTED: dict[str, Any] = {"name": "app", "ready": False, "restartCount": 2, "state": {"running": {}}, "lastState": ENDED}


def pod(called: str, owner: str = "", *, node: str = "", **status: Any) -> dict[str, Any]:
    """One pod; ``status``: of its only container."""
    owners = [{"uid": owner, "controller": True}] if owner else []
    statuses = {"status": {"containerStatuses": [{**status, "name": "app"}]}} if status else {}
    return {
        "metadata": {"name": called, "namespace": "shop", "uid": f"uid-{called}", "ownerReferences": owners},
        "spec": {"containers": [{"name": "app"}], **({"nodeName": node} if node else {})},
        **statuses,
    }


def none(_pod: dict[str, Any]) -> list[str]:
    return []


def app(_pod: dict[str, Any]) -> list[str]:
    return ["app"]


@pytest.fixture
def web(web: Web) -> Web:
    for path in (*LISTS.values(), *DNS.values()):
        web.routes[f"GET {path}"] = Answer(200, {"items": []})
    web.routes["GET /version"] = Answer(200, {"gitVersion": "v1.34.4"})
    web.routes["GET /api/v1/namespaces/shop"] = Answer(200, {"metadata": {"name": "shop"}})
    web.routes["GET /api/v1/namespaces/kube-system"] = Answer(200, {"metadata": {"uid": "c-1"}})
    web.routes["POST /apis/authentication.k8s.io/v1/selfsubjectreviews"] = Answer(201, {"status": {"userInfo": {"username": "reader"}}})
    web.routes[f"GET {LISTS['pods']}"] = Answer(200, {"items": [pod("web-1", **RESTARTED)]})
    web.routes[f"GET {LOG.format('web-1')}"] = lambda asked: Answer(200, asked.query["previous"][0].encode())
    return web


def test_a_whole_snapshot(web: Web, api: Api) -> None:
    taken = snapshots.take(api, "shop", app)
    assert taken["schema"] == "aiops.k8s/snapshot/v1" and taken["user"] == "reader"
    assert taken["cluster"] == {"server": web.address, "uid": "c-1", "version": "v1.34.4"}
    assert set(taken["objects"]) == set(SOURCES) and taken["coverage"] == {"read": list(SOURCES), "not_evaluated": []}
    assert taken["objects"]["pods"] == [{**pod("web-1", **RESTARTED), "apiVersion": "v1", "kind": "Pod"}]
    assert taken["objects"]["namespaces"] == [{"metadata": {"name": "shop"}, "apiVersion": "v1", "kind": "Namespace"}]
    assert taken["logs"] == {"shop/web-1/app": {"current": "false", "previous": "true"}}
    queries = [asked.query for asked in web.asked if asked.path.endswith("/log")]
    assert all(
        (query["tailLines"], query["limitBytes"], query["timestamps"], query["container"]) == (["200"], ["262144"], ["true"], ["app"])
        for query in queries
    )


def test_no_secret_is_asked_for_and_of_configmaps_only_the_metadata(web: Web, api: Api) -> None:
    snapshots.take(api, "shop", app)
    assert not [asked.path for asked in web.asked if "secrets" in asked.path]
    assert {asked.headers["Accept"] for asked in web.asked if "configmaps" in asked.path or "serviceaccounts" in asked.path} == {METADATA}


def test_the_whole_cluster(web: Web, api: Api) -> None:
    for name, source in SOURCES.items():
        web.routes[f"GET {source.group}/{name}"] = Answer(200, {"items": []})
    taken = snapshots.take(api, "", none)
    assert taken["objects"]["deployments"] == [] and not [asked.path for asked in web.asked if "/namespaces/shop" in asked.path]


def test_what_may_not_be_read_is_told(web: Web, api: Api) -> None:
    for name in ("nodes", "resourcequotas"):
        web.routes[f"GET {LISTS[name]}"] = status(403, "Forbidden")
    web.routes["GET /api/v1/namespaces/shop"] = web.routes["GET /api/v1/namespaces/kube-system"] = status(403, "Forbidden")
    taken = snapshots.take(api, "shop", none)
    assert taken["coverage"]["not_evaluated"] == [
        {"what": "resourcequotas", "missing": "list resourcequotas in namespace shop"},
        {"what": "namespaces", "missing": "get namespace shop"},
        {"what": "nodes", "missing": "list nodes in the cluster"},
        {"what": "cluster identity", "missing": "get namespaces/kube-system"},
    ]
    assert "nodes" not in taken["coverage"]["read"] and taken["cluster"]["uid"] == ""


@pytest.mark.parametrize("code, reason", [(404, "NotFound"), (503, "ServiceUnavailable"), (500, "InternalError")])
def test_a_list_that_helps_but_cannot_be_had_does_not_end_it(web: Web, api: Api, code: int, reason: str) -> None:
    web.routes[f"GET {LISTS['endpointslices']}"] = status(code, reason)
    taken = snapshots.take(api, "shop", none)
    assert taken["coverage"]["not_evaluated"] == [{"what": "endpointslices", "missing": f"list endpointslices in namespace shop ({code} {reason})"}]


def test_without_the_essential_verbs_all_of_them_are_named(web: Web, api: Api) -> None:
    for name in ("pods", "events", "nodes"):
        web.routes[f"GET {LISTS[name]}"] = status(403, "Forbidden")
    with pytest.raises(snapshots.Forbidden) as caught:
        snapshots.take(api, "shop", none)
    assert (
        str(caught.value)
        == "reader may not read what a diagnosis needs: list pods in namespace shop; list events in namespace shop; list nodes in the cluster. "
        "Grant these verbs (the ClusterRole view and a list on nodes suffice), or use another kubeconfig or context."
    )


@pytest.mark.parametrize("code", [401, 500])
def test_other_refusals_of_essential_lists_end_it(web: Web, api: Api, code: int) -> None:
    web.routes[f"GET {LISTS['pods']}"] = status(code, "Reason")
    with pytest.raises(ApiError, match=f"{code} Reason"):
        snapshots.take(api, "shop", none)


def test_a_namespace_that_does_not_exist(web: Web, api: Api) -> None:
    del web.routes["GET /api/v1/namespaces/shop"]
    with pytest.raises(NotFound, match=f"There is no namespace shop in the cluster {web.address}. Check the option namespace"):
        snapshots.take(api, "shop", none)


LOGS: list[tuple[str, Answer, str]] = [
    ("may not be read", status(403, "Forbidden"), "get pods/log in namespace shop"),
    ("the pod is gone", status(404, "NotFound"), "the pod is gone meanwhile"),
    ("there is none yet", status(400, "BadRequest"), ""),
    ("it was removed", Answer(200, b"unable to retrieve container logs for containerd://cfda054e"), ""),
    ("the node is down", status(500, "InternalError", "dial tcp 10.0.0.9:10250: i/o timeout"), "The API server refused GET"),
    ("no answer", Answer(0), "does not answer GET"),
]


@pytest.mark.parametrize("what, answer, note", LOGS, ids=[row[0] for row in LOGS])
def test_a_log_that_cannot_be_had_does_not_end_it(web: Web, api: Api, what: str, answer: Answer, note: str) -> None:
    web.routes[f"GET {LOG.format('web-1')}"] = answer
    taken = snapshots.take(api, "shop", app)
    assert len(set(map(str, (asked.query for asked in web.asked if asked.path.endswith("/log"))))) == len(
        [one for one in web.asked if "/log" in one.path]
    )
    assert taken["logs"] == {"shop/web-1/app": {"current": "", "previous": ""}}
    notes = [(one["what"], one["missing"]) for one in taken["coverage"]["not_evaluated"]]
    assert [what for what, _missing in notes] == (["log of shop/web-1/app"] if note else []) and all(note in missing for _what, missing in notes)


def test_many_logs_are_cut_fairly_and_aloud(web: Web, api: Api) -> None:
    pods = [*(pod(f"a-{number}", "rs-a") for number in range(70)), pod("b-0", "rs-b"), pod("c-0")]
    web.routes[f"GET {LISTS['pods']}"] = Answer(200, {"items": pods})
    for one in pods:
        web.routes[f"GET {LOG.format(one['metadata']['name'])}"] = Answer(200, b"x")
    taken = snapshots.take(api, "shop", app)
    assert len(taken["logs"]) == 60 and {"shop/a-0/app", "shop/b-0/app", "shop/c-0/app"} <= set(taken["logs"])
    assert taken["coverage"]["not_evaluated"] == [{"what": "logs of 12 more containers", "missing": "at most 60 are read"}]


@pytest.mark.parametrize("code", [403, 500])
def test_the_dns_of_the_cluster_is_read_with_a_namespace(web: Web, api: Api, code: int) -> None:
    system = {"metadata": {"name": "dns-1", "namespace": "kube-system", "uid": "d"}, "spec": {"containers": []}}
    web.routes[f"GET {DNS['pods']}"] = Answer(200, {"items": [system]})
    taken = snapshots.take(api, "shop", none)
    assert [one["metadata"]["name"] for one in taken["objects"]["pods"]] == ["web-1", "dns-1"]
    assert {one.query["labelSelector"][0] for one in web.asked if one.path in DNS.values()} == {"k8s-app=kube-dns"}
    web.routes[f"GET {DNS['endpointslices']}"] = status(code, "Reason")
    taken = snapshots.take(api, "shop", none)
    missing = "list endpointslices in namespace kube-system" + ("" if code == 403 else " (500 Reason)")
    assert taken["coverage"]["not_evaluated"] == [{"what": "cluster DNS", "missing": missing}]


def healthy(number: int, owner: str) -> dict[str, Any]:
    return pod(f"{owner}-{number}", owner, ready=True, restartCount=0, state={"running": {}})


def test_few_healthy_containers_have_their_newest_lines_read(web: Web, api: Api) -> None:
    pods = [*(healthy(number, f"rs-{number % 3}") for number in range(9)), pod("bad", **RESTARTED)]
    web.routes[f"GET {LISTS['pods']}"] = Answer(200, {"items": pods})
    for one in pods:
        web.routes[f"GET {LOG.format(one['metadata']['name'])}"] = Answer(200, b"x")
    taken = snapshots.take(api, "shop", lambda one: ["app"] if one["metadata"]["name"] == "bad" else [], app)
    assert list(taken["logs"]) == ["shop/bad/app", "shop/rs-0-0/app", "shop/rs-1-1/app", "shop/rs-2-2/app"]
    tails = {one.query["tailLines"][0] for one in web.asked if "rs-" in one.path and "/log" in one.path}
    assert tails == {"50"} and taken["coverage"]["not_evaluated"] == []


def test_many_healthy_containers_have_no_log_read(web: Web, api: Api) -> None:
    web.routes[f"GET {LISTS['pods']}"] = Answer(200, {"items": [healthy(number, f"rs-{number}") for number in range(41)]})
    taken = snapshots.take(api, "shop", none, app)
    assert taken["logs"] == {} and taken["coverage"]["not_evaluated"] == [{"what": "logs of 41 healthy containers", "missing": "more than 40"}]


def test_a_node_that_does_not_answer_is_asked_once(web: Web, api: Api) -> None:
    pods = [pod(f"a-{number}", f"rs-{number}", node="dead" if number % 2 else "well") for number in range(20)]
    web.routes[f"GET {LISTS['pods']}"] = Answer(200, {"items": pods})
    for number, one in enumerate(pods):
        failed = status(500, "InternalError", "Get https://10.0.0.9:10250/: dial tcp 10.0.0.9:10250: connect: no route to host")
        web.routes[f"GET {LOG.format(one['metadata']['name'])}"] = failed if number % 2 else Answer(200, b"x")
    taken = snapshots.take(api, "shop", app)
    assert sum(1 for log in taken["logs"].values() if log["current"]) == 10
    notes = [one["missing"] for one in taken["coverage"]["not_evaluated"]]
    assert len(notes) == 10 and notes.count("the kubelet of node dead does not answer") >= 2


def test_when_no_kubelet_answers_the_rest_is_not_asked(web: Web, api: Api) -> None:
    for name, source in SOURCES.items():
        web.routes[f"GET {source.group}/{name}"] = Answer(200, {"items": []})
    pods = [pod(f"a-{number}", f"rs-{number}", node=f"node-{number}") for number in range(40)]
    web.routes["GET /api/v1/pods"] = Answer(200, {"items": pods})
    for one in pods:
        web.routes[f"GET {LOG.format(one['metadata']['name'])}"] = status(500, "InternalError", "dial tcp 10.0.0.9:10250: i/o timeout")
    taken = snapshots.take(api, "", app)
    asked = [one for one in web.asked if "/log" in one.path]
    assert len(asked) < 20 and len(taken["coverage"]["not_evaluated"]) == 40
    assert taken["coverage"]["not_evaluated"][-1] == {"what": "log of shop/a-39/app", "missing": "no kubelet that was asked answers"}


def event(reason: str, uid: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": f"{reason}-{uid}", "namespace": "shop"}, "involvedObject": {"uid": uid}, "reason": reason, **fields}


def test_routine_events_are_asked_for_only_where_they_end_a_failure(web: Web, api: Api) -> None:
    routine = [event("Pulled", "p-1"), event("Pulled", "p-2"), event("Scheduled", "p-1"), event("Killing", "p-1")]

    def events(asked: Asked) -> Answer:
        [selector] = asked.query["fieldSelector"]
        return Answer(200, {"items": routine if selector == "type=Normal" else web_events})

    web_events = [event("BackOff", "p-2")]
    web.routes[f"GET {LISTS['events']}"] = events
    assert [one["reason"] for one in snapshots.take(api, "shop", none)["objects"]["events"]] == ["BackOff"]
    selectors = [asked.query["fieldSelector"][0] for asked in web.asked if asked.path == LISTS["events"]]
    assert len(selectors) == 1 and "reason!=Scheduled,reason!=Pulling,reason!=Pulled" in selectors[0]
    web_events.append(event("FailedCreatePodSandBox", "p-1"))
    taken = snapshots.take(api, "shop", none)["objects"]["events"]
    assert [one["reason"] for one in taken] == ["BackOff", "FailedCreatePodSandBox", "Pulled", "Scheduled"]


def test_of_configmaps_whose_keys_matter_only_the_names_of_the_keys_are_kept(web: Web, api: Api) -> None:
    stuck = pod("stuck", state={"waiting": {"reason": "CreateContainerConfigError"}})
    stuck["spec"]["containers"][0]["env"] = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]
    mounting = pod("mounting")
    mounting["spec"]["volumes"] = [
        {"name": "v", "configMap": {"name": "files", "items": [{"key": "x"}]}},
        {"name": "w", "configMap": {"name": "whole"}},
    ]
    web.routes[f"GET {LISTS['pods']}"] = Answer(200, {"items": [stuck, mounting]})
    web.routes[f"GET {LISTS['events']}"] = Answer(200, {"items": [event("FailedMount", "uid-mounting")]})
    web.routes[f"GET {LISTS['configmaps']}"] = Answer(200, {"items": [{"metadata": {"name": "settings", "namespace": "shop"}}]})
    web.routes[f"GET {LISTS['configmaps']}/settings"] = Answer(200, {"data": {"b": "hidden"}, "binaryData": {"a.bin": "aGlkZGVu"}})
    web.routes[f"GET {LISTS['configmaps']}/files"] = status(403, "Forbidden")
    taken = snapshots.take(api, "shop", none)
    assert [one.get("keys") for one in taken["objects"]["configmaps"]] == [["a.bin", "b"]] and "hidden" not in str(taken)
    assert taken["coverage"]["not_evaluated"] == [{"what": "keys of configmap shop/files", "missing": "get configmaps in namespace shop"}]
