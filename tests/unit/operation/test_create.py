# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Changes that create an object, and the way back: once, only where nothing is there yet, and with what the object has moved since."""

from __future__ import annotations

import copy
from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import actions, change, patch, plan as plans, rollback
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples
from tests.unit.operation.server import WEB, Server, refuse, remove
from tests.unit.operation.test_execute import MINUTE_6, approved

HPAS = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
HPA = f"{HPAS}/web"
MANIFEST: dict[str, Any] = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"minReplicas": 2, "maxReplicas": 5, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
}


def workload() -> dict[str, Any]:
    live = samples.deployment()
    live["spec"].update(replicas=1, selector={"matchLabels": {"app": "web"}})
    return live


def serving() -> Server:
    running = Server()
    running.put(WEB, workload())
    running.put("/api/v1/namespaces/shop/pods", {"items": []})
    running.put("/apis/apps/v1/namespaces/shop/replicasets", {"items": []})
    return running


@pytest.fixture
def server() -> Server:
    return serving()


def created() -> dict[str, Any]:
    live = workload()
    subject = plans.reference(live)
    same = {"op": "test", "path": "/metadata/uid", "value": subject["uid"]}
    return plans.create_change(
        "C1",
        copy.deepcopy(MANIFEST),
        [{"object": subject, "tests": [same, {"op": "test", "path": "/metadata/generation", "value": live["metadata"]["generation"]}]}],
        [{"object": subject, "patch": [same, {"op": "replace", "path": "/spec/replicas", "value": 1}]}],
    )


def accepted(store: Directory) -> Record:
    return approved(store, samples.plan([created()]))


def scaled(server: Server, replicas: int = 3) -> None:
    """What the autoscaler does to the workload."""
    server.objects[WEB]["spec"]["replicas"] = replicas
    server.touch(WEB, generation=server.objects[WEB]["metadata"]["generation"] + 1)


def test_it_is_created_once_and_marked(server: Server, store: Directory) -> None:
    record = accepted(store)
    assert change.execute(server, store, record, MINUTE_6, Rules())["changed"]
    assert patch.mark_of(server.objects[HPA]) == ("004/0001", record.digest)
    assert server.objects[HPA]["spec"] == MANIFEST["spec"] and server.log == [f"POST {HPAS}"] and server.rehearsed == [f"POST {HPAS}"]
    assert record.events[-1]["payload"]["changes"] == [{"id": "C1", "generation": None, "uid": server.objects[HPA]["metadata"]["uid"]}]


def test_what_is_rehearsed_is_what_the_server_makes_of_it(server: Server) -> None:
    server.mutate = lambda document: document["spec"].update(behavior={"scaleDown": {}})
    prepared, missing = actions.prepare(server, created(), {})
    assert not missing and prepared["dry_run"] == "server"
    assert {"path": "spec.behavior.scaleDown", "before": None, "after": {}} in prepared["outcome"]
    assert not any("uid" in line["path"] or "creationTimestamp" in line["path"] for line in prepared["outcome"])


@pytest.mark.parametrize(
    "happens, says",
    [
        (lambda server: server.put(HPA, {**MANIFEST, "metadata": {**MANIFEST["metadata"], "uid": "u"}}), "exists already: somebody created it since"),
        (scaled, "deployment/web is not as it was: metadata.generation was"),
        (remove(WEB), "deployment/web is not as it was: it does not exist any more"),
        (lambda server: server.touch(WEB, uid="another"), "deployment/web is not as it was: metadata.uid was"),
    ],
    ids=["there already", "scaled meanwhile", "workload gone", "workload replaced"],
)
def test_nothing_is_created_when_the_cluster_has_moved_on(server: Server, store: Directory, happens: Callable[[Server], None], says: str) -> None:
    record = accepted(store)
    happens(server)
    with pytest.raises(GateRefused, match=says):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert server.log == []


def test_whoever_creates_must_be_able_to_undo(server: Server) -> None:
    server.allowed = False
    _change, missing = actions.prepare(server, created(), {})
    assert "may not create" in missing and "may not delete" in missing and "may not patch deployments" in missing


def test_a_run_that_was_killed_after_creating_is_picked_up(server: Server, store: Directory) -> None:
    record = accepted(store)

    def killed(method: str, path: str) -> None:
        if (method, path) == ("POST", HPAS):
            raise KeyboardInterrupt

    server.lost.append(killed)
    with pytest.raises(KeyboardInterrupt):
        change.execute(server, store, record, MINUTE_6, Rules())
    server.lost.clear()
    result = change.execute(server, store, store.load("1"), MINUTE_6, Rules())
    assert result == {"changed": False, "state": "executed", "changes": record.plan["changes"] if record.plan else []}
    assert server.log == [f"POST {HPAS}"], "it was not sent again"


def failed(server: Server, store: Directory) -> Record:
    record = accepted(store)
    change.execute(server, store, record, MINUTE_6, Rules())
    store.append(record, "failed", {"phase": "validate", "reason": "too slow", "applied": True})
    return record


def test_undoing_deletes_it_and_puts_the_replicas_back(server: Server, store: Directory) -> None:
    record = failed(server, store)
    scaled(server)
    result = change.invert(server, store, record, "too slow")
    assert result["state"] == "rolled_back" and HPA not in server.objects and server.objects[WEB]["spec"]["replicas"] == 1
    assert server.log == [f"POST {HPAS}", f"DELETE {HPA}", f"PATCH {WEB}"]


def test_a_status_that_is_written_in_between_does_not_stop_it(server: Server, store: Directory) -> None:
    record = failed(server, store)
    once = iter([True])
    server.faults.append(lambda method, path: server.touch(HPA) if method == "DELETE" and next(once, False) else None)
    assert change.invert(server, store, record, "too slow")["state"] == "rolled_back"


def test_an_object_that_is_written_to_all_the_time_is_not_said_to_be_undone(server: Server, store: Directory) -> None:
    record = failed(server, store)
    scaled(server)
    server.faults.append(lambda method, path: server.touch(HPA) if method == "DELETE" else None)
    with pytest.raises(GateRefused, match="was written to 10 times while it was to be deleted"):
        change.invert(server, store, record, "too slow")
    assert HPA in server.objects and server.objects[WEB]["spec"]["replicas"] == 3 and record.state == "failed"


def test_undoing_again_finishes_what_is_left(server: Server, store: Directory) -> None:
    record = failed(server, store)
    scaled(server)
    server.faults.append(refuse(503, "PATCH", once=True))
    with pytest.raises(ApiError):
        change.invert(server, store, record, "too slow")
    assert HPA not in server.objects and record.state == "rolling_back"
    assert change.invert(server, store, record, "too slow")["state"] == "rolled_back"
    assert server.objects[WEB]["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    "happens, says",
    [
        (lambda server: server.objects[HPA]["spec"].update(maxReplicas=9), r"was changed since: spec.maxReplicas was 5 and is now 9"),
        (lambda server: server.objects[HPA]["metadata"].pop("annotations"), "does not carry the mark of this record but none"),
    ],
    ids=["changed", "of somebody else"],
)
def test_what_others_made_of_it_is_left_alone(server: Server, store: Directory, happens: Callable[[Server], None], says: str) -> None:
    record = failed(server, store)
    happens(server)
    with pytest.raises(GateRefused, match=says):
        change.invert(server, store, record, "too slow")
    assert HPA in server.objects


def test_it_is_rolled_back_by_a_plan_of_its_own_and_that_is_undone(server: Server, store: Directory) -> None:
    record = accepted(store)
    change.execute(server, store, record, MINUTE_6, Rules())
    scaled(server)
    proposal = rollback.propose(server, server, record, "not wanted")["proposals"][0]
    draft = proposal["plan"]
    assert plans.validate(plans.seal(draft, DEFAULTS, {}, ""))["risk"] == "medium"
    undone = draft["changes"][0]
    assert undone["action"] == "delete" and undone["outcome"][0]["after"] == "deleted; spec.replicas goes back to 1"
    assert {check["object"]["kind"] for check in draft["checks"]} == {"Deployment"}
    second = approved(store, plans.seal({**draft, "created": samples.plan()["created"]}, DEFAULTS, samples.plan()["requested_by"], "0" * 64))
    change.execute(server, store, second, MINUTE_6, Rules())
    assert HPA not in server.objects and server.objects[WEB]["spec"]["replicas"] == 1
    store.append(second, "failed", {"phase": "watch", "reason": "overload", "applied": True})
    assert change.invert(server, store, second, "overload")["changes"] == [{"id": "C1", "result": "undone"}]
    assert server.objects[HPA]["spec"] == MANIFEST["spec"] and patch.mark_of(server.objects[HPA])[1] == second.digest


@pytest.mark.parametrize(
    "wrong",
    [
        {"object": {**plans.reference({**MANIFEST, "metadata": {**MANIFEST["metadata"], "uid": ""}}), "name": "other"}},
        {"object": {**plans.reference({**MANIFEST, "metadata": {**MANIFEST["metadata"], "uid": "x"}})}},
        {"restore": [{"object": {**plans.reference(workload()), "uid": ""}, "patch": []}]},
        {"restore": [{"object": plans.reference(workload()), "patch": [{"op": "replace", "path": "/spec/replicas", "value": 0}]}]},
        {"requires": [{"object": plans.reference(workload()), "tests": []}]},
    ],
    ids=["another name", "a uid beforehand", "restore without uid", "restore without test", "no tests"],
)
def test_plans_that_could_hit_something_else_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="Change C1 does not test the uid of its object first"):
        plans.validate(samples.plan([{**created(), **wrong}]))
