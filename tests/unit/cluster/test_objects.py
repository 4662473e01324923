# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Single objects: paths, patches, deletions with preconditions, identity and permissions, as they go over the wire."""

from __future__ import annotations

import json

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, NotFound

from tests.unit.cluster.web import Answer, Web, status

WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"}
PATH = "/apis/apps/v1/namespaces/shop/deployments/web"
REVIEW = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews"
ACCESS = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

PATHS = [
    (WEB, PATH),
    ({"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-1"}, "/api/v1/namespaces/shop/pods/web-1"),
    ({"apiVersion": "v1", "kind": "Namespace", "namespace": "", "name": "shop"}, "/api/v1/namespaces/shop"),
    ({"apiVersion": "batch/v1", "kind": "CronJob", "namespace": "shop", "name": "x"}, "/apis/batch/v1/namespaces/shop/cronjobs/x"),
    ({"apiVersion": "v1", "kind": "Pod", "namespace": "a/../b", "name": "../../secrets"}, "/api/v1/namespaces/a%2F..%2Fb/pods/..%2F..%2Fsecrets"),
]


@pytest.mark.parametrize("subject, path", PATHS, ids=[row[1] for row in PATHS])
def test_everyday_kinds_need_no_discovery(web: Web, api: Api, subject: dict[str, str], path: str) -> None:
    assert objects.path_of(api, subject) == path and web.asked == []


def test_other_kinds_are_looked_up(web: Web, api: Api) -> None:
    resources = [{"name": "rollouts/status", "kind": "Rollout"}, {"name": "rollouts", "kind": "Rollout"}]
    web.routes["GET /apis/argoproj.io/v1alpha1"] = Answer(200, {"resources": resources})
    subject = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "namespace": "shop", "name": "web"}
    assert objects.path_of(api, subject) == "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web"


@pytest.mark.parametrize("version", ["argoproj.io/v1alpha1", "v2"])
def test_a_kind_that_is_not_served_is_named(api: Api, version: str) -> None:
    with pytest.raises(NotFound, match=f"does not serve Rollout of {version}"):
        objects.plural(api, version, "Rollout")


def test_read(web: Web, api: Api) -> None:
    web.routes[f"GET {PATH}"] = Answer(200, {"metadata": {"name": "web"}})
    assert objects.read(api, WEB) == {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    assert objects.read(api, {**WEB, "name": "db"}) is None


@pytest.mark.parametrize("dry_run", [True, False])
def test_patch(web: Web, api: Api, dry_run: bool) -> None:
    web.routes[f"PATCH {PATH}"] = Answer(200, {"metadata": {}})
    operations = [{"op": "test", "path": "/metadata/uid", "value": "u"}]
    assert objects.patch(api, WEB, operations, dry_run) == {"metadata": {}}
    [asked] = web.asked
    assert json.loads(asked.body) == operations and asked.headers["Content-Type"] == "application/json-patch+json"
    assert asked.query == {"fieldManager": ["aiops.k8s"], **({"dryRun": ["All"]} if dry_run else {})}


@pytest.mark.parametrize("dry_run", [True, False])
def test_delete(web: Web, api: Api, dry_run: bool) -> None:
    web.routes[f"DELETE {PATH}"] = Answer(200, {"kind": "Status"})
    objects.delete(api, WEB, {"uid": "u"}, dry_run)
    body = json.loads(web.asked[0].body)
    assert body["preconditions"] == {"uid": "u"} and body.get("dryRun") == (["All"] if dry_run else None) and body["kind"] == "DeleteOptions"


def test_the_identity_of_a_cluster(web: Web, api: Api) -> None:
    with pytest.raises(BadInput, match=f"{web.address} has no namespace kube-system, so it cannot be told from other clusters"):
        objects.cluster_identity(api)
    web.routes["GET /api/v1/namespaces/kube-system"] = Answer(200, {"metadata": {"uid": "c-1"}})
    assert objects.cluster_identity(api) == {"uid": "c-1", "server": web.address}


def test_who_am_i(web: Web, api: Api) -> None:
    web.routes[REVIEW] = Answer(201, {"status": {"userInfo": {"username": "ann", "groups": ["dev"], "extra": {"x": ["y"]}}}})
    assert objects.who_am_i(api) == {"user": "ann", "groups": ["dev"]}
    web.routes[REVIEW] = Answer(201, {"status": {"userInfo": {}}})
    assert objects.who_am_i(api) == {"user": "", "groups": []}


@pytest.mark.parametrize(
    "answer, missing",
    [
        ({"allowed": True}, ""),
        ({"allowed": False, "reason": "no"}, "ann may not patch deployments in namespace shop"),
        ({}, "ann may not patch deployments in namespace shop"),
    ],
)
def test_may(web: Web, api: Api, answer: dict[str, object], missing: str) -> None:
    web.routes[ACCESS] = Answer(201, {"status": answer})
    web.routes[REVIEW] = Answer(201, {"status": {"userInfo": {"username": "ann"}}})
    assert objects.may(api, "patch", WEB) == missing
    attributes = json.loads(web.asked[0].body)["spec"]["resourceAttributes"]
    assert attributes == {"verb": "patch", "group": "apps", "resource": "deployments", "namespace": "shop", "name": "web"}


@pytest.mark.parametrize("code, stale", [(404, True), (409, True), (422, True), (403, False), (500, False)])
def test_stale(web: Web, api: Api, code: int, stale: bool) -> None:
    web.routes[f"PATCH {PATH}"] = status(code, "Reason")
    with pytest.raises(ApiError) as caught:
        objects.patch(api, WEB, [], False)
    assert objects.stale(caught.value) is stale
