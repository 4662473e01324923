# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Collecting: what is read, what is told where something may not be read, and which lack ends it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import snapshot as snapshots
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import NotFound

from tests.unit.cluster.web import Answer, Web, status

LISTS = {name: f"{source.group}{'/namespaces/shop' if source.namespaced else ''}/{name}" for name, source in snapshots.SOURCES.items()}
LOG = "/api/v1/namespaces/shop/pods/{}/log"


def pod(name: str, owner: str = "") -> dict[str, Any]:
    owners = [{"uid": owner, "controller": True}] if owner else []
    return {"metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "ownerReferences": owners}, "spec": {"containers": [{"name": "app"}]}}


def none(_pod: dict[str, Any]) -> list[str]:
    return []


def app(_pod: dict[str, Any]) -> list[str]:
    return ["app"]


@pytest.fixture
def web(web: Web) -> Web:
    for path in LISTS.values():
        web.routes[f"GET {path}"] = Answer(200, {"items": []})
    web.routes["GET /version"] = Answer(200, {"gitVersion": "v1.34.4"})
    web.routes["GET /api/v1/namespaces/shop"] = Answer(200, {"metadata": {"name": "shop"}})
    web.routes["GET /api/v1/namespaces/kube-system"] = Answer(200, {"metadata": {"uid": "c-1"}})
    web.routes["POST /apis/authentication.k8s.io/v1/selfsubjectreviews"] = Answer(201, {"status": {"userInfo": {"username": "reader"}}})
    web.routes[f"GET {LISTS['pods']}"] = Answer(200, {"items": [pod("web-1")]})
    web.routes[f"GET {LOG.format('web-1')}"] = lambda asked: Answer(200, asked.query["previous"][0].encode())
    return web


def test_a_whole_snapshot(web: Web, api: Api) -> None:
    taken = snapshots.take(api, "shop", app)
    assert taken["schema"] == "aiops.k8s/snapshot/v1" and taken["user"] == "reader"
    assert taken["cluster"] == {"server": web.address, "uid": "c-1", "version": "v1.34.4"}
    assert set(taken["objects"]) == set(snapshots.SOURCES) and taken["coverage"] == {"read": list(snapshots.SOURCES), "not_evaluated": []}
    assert taken["objects"]["pods"] == [{**pod("web-1"), "apiVersion": "v1", "kind": "Pod"}]
    assert taken["logs"] == {"shop/web-1/app": {"current": "false", "previous": "true"}}
    queries = [asked.query for asked in web.asked if asked.path.endswith("/log")]
    assert all(
        (query["tailLines"], query["limitBytes"], query["timestamps"], query["container"]) == (["200"], ["65536"], ["true"], ["app"]) for query in queries
    )


def test_neither_secrets_nor_configmaps_are_asked_for(web: Web, api: Api) -> None:
    snapshots.take(api, "shop", app)
    assert not [asked.path for asked in web.asked if "secrets" in asked.path or "configmaps" in asked.path]


def test_the_whole_cluster(web: Web, api: Api) -> None:
    for name, source in snapshots.SOURCES.items():
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
