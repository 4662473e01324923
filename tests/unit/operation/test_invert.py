# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Undoing: only after a failure, only what was approved with the plan, only on the object as the change left it."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change, patch
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples
from tests.unit.operation.server import POD, WEB, Server, cut, refuse, remove
from tests.unit.operation.test_execute import MINUTE_6, approved, deletion, edit, kinds, memory


@pytest.fixture
def server() -> Server:
    running = Server()
    running.put(WEB, samples.deployment())
    running.put(POD, samples.pod())
    return running


def failed(server: Server, store: Directory, the_plan: dict[str, Any] | None = None) -> Record:
    """A change that was applied and whose check failed."""
    record = approved(store, the_plan)
    change.execute(server, store, record, MINUTE_6, Rules())
    store.append(record, "failed", samples.PAYLOADS["failed"])
    server.log.clear()
    return record


def test_a_failed_change_is_undone(server: Server, store: Directory) -> None:
    result = change.invert(server, store, failed(server, store), "a check failed")
    assert result == {"changed": True, "state": "rolled_back", "changes": [{"id": "C1", "result": "undone"}]}
    assert memory(server) == "64Mi" and server.log == [f"PATCH {WEB}"]
    assert server.objects[WEB]["metadata"]["annotations"][patch.CAUSE_ANNOTATION] == "aiops.k8s 004/0001 undone"
    rolling = store.load("1").events[-2]
    assert rolling["kind"] == "rolling_back" and rolling["payload"]["reason"] == "a check failed"


def test_the_event_is_on_disk_before_the_request(server: Server, store: Directory) -> None:
    record, seen = failed(server, store), []
    server.faults.append(lambda method, path: seen.append(kinds(store)[-1]) if method == "PATCH" else None)
    change.invert(server, store, record, "x")
    assert seen == ["rolling_back"]


def test_controllers_may_have_written_since(server: Server, store: Directory) -> None:
    record = failed(server, store)
    server.touch(WEB, generation=9)
    server.objects[WEB]["spec"]["replicas"] = 5
    change.invert(server, store, record, "x")
    assert memory(server) == "64Mi" and server.objects[WEB]["spec"]["replicas"] == 5


@pytest.mark.parametrize("state", [state for state in samples.WAYS if state not in ("failed", "rolling_back")])
def test_only_a_failed_change_is_undone(server: Server, store: Directory, state: str) -> None:
    record = samples.reach(store, samples.proposed(store), state)
    with pytest.raises(GateRefused, match=f"Record 0001 is {state}; only a change whose check failed is undone by itself"):
        change.invert(server, store, record, "x")
    assert server.log == [] and kinds(store)[1:] == list(samples.WAYS[state])


def test_a_change_that_was_never_applied_needs_no_undoing(server: Server, store: Directory) -> None:
    record = approved(store)
    server.faults.append(refuse(403, "PATCH"))
    with pytest.raises(ApiError):
        change.execute(server, store, record, MINUTE_6, Rules())
    result = change.invert(server, store, record, "x")
    assert result["changed"] is False and result["changes"] == [{"id": "C1", "result": "already as before"}]
    assert server.log == [] and record.state == "rolled_back"


def test_a_deleted_pod_needs_no_undoing(server: Server, store: Directory) -> None:
    result = change.invert(server, store, failed(server, store, deletion()), "x")
    assert result["changed"] is False and "the owner has created the pod again" in result["changes"][0]["result"]
    assert server.log == [] and kinds(store)[-1] == "rolled_back"


def test_an_undoing_that_died_after_its_request_is_found_done(server: Server, store: Directory) -> None:
    record = failed(server, store)
    server.lost.append(cut("PATCH", Unreachable("cut")))
    with pytest.raises(Unreachable):
        change.invert(server, store, record, "x")
    assert kinds(store)[-1] == "rolling_back"
    server.lost.clear()
    result = change.invert(server, store, store.load("1"), "x")
    assert result["changes"][0]["result"] == "already as before" and len(server.log) == 1 and kinds(store)[-1] == "rolled_back"


def test_an_undoing_that_died_before_its_request_is_done(server: Server, store: Directory) -> None:
    record = failed(server, store)
    store.append(record, "rolling_back", samples.PAYLOADS["rolling_back"])
    assert change.invert(server, store, store.load("1"), "x")["changed"] is True
    assert kinds(store).count("rolling_back") == 1


MOVED: list[tuple[str, Callable[[Server], None], str]] = [
    ("somebody set another value", lambda server: edit(server, resources={"limits": {"memory": "1Gi"}}), "limits.memory was 128Mi and is now 1Gi"),
    ("deleted", remove(WEB), "web does not exist any more; nothing is left to undo"),
    ("created again", lambda server: server.touch(WEB, uid="uid-2"), "metadata.uid was uid-web and is now uid-2"),
]


@pytest.mark.parametrize("what, move, message", MOVED, ids=[row[0] for row in MOVED])
def test_an_object_that_moved_on_is_left_alone(server: Server, store: Directory, what: str, move: Callable[[Server], None], message: str) -> None:
    record = failed(server, store)
    move(server)
    with pytest.raises(GateRefused, match=message):
        change.invert(server, store, record, "x")
    event = store.load("1").events[-1]
    assert server.log == [] and event["kind"] == "failed"
    assert event["payload"]["phase"] == "rollback" and message in event["payload"]["reason"] and event["payload"]["applied"] is True


def test_a_refused_undoing_can_be_tried_again(server: Server, store: Directory) -> None:
    record = failed(server, store)
    server.faults.append(refuse(403, "PATCH"))
    with pytest.raises(ApiError):
        change.invert(server, store, record, "x")
    assert kinds(store)[-2:] == ["rolling_back", "failed"]
    server.faults.clear()
    assert change.invert(server, store, store.load("1"), "again")["changed"] is True
    assert memory(server) == "64Mi"


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_leaves_the_question_open(server: Server, store: Directory, status: int) -> None:
    record = failed(server, store)
    server.faults.append(refuse(status, "PATCH", once=True))
    with pytest.raises(ApiError):
        change.invert(server, store, record, "x")
    assert kinds(store)[-1] == "rolling_back"
    assert change.invert(server, store, store.load("1"), "x")["changed"] is True and memory(server) == "64Mi"


def test_another_cluster_is_refused(server: Server, store: Directory) -> None:
    record = failed(server, store)
    server.put("/api/v1/namespaces/kube-system", {"metadata": {"uid": "cluster-2"}})
    with pytest.raises(GateRefused, match="The plan is for the cluster cluster-1"):
        change.invert(server, store, record, "x")
    assert kinds(store)[-1] == "failed" and server.log == []


def test_an_edited_plan_is_refused(server: Server, store: Directory) -> None:
    record = failed(server, store)
    record.events[0]["payload"]["plan"]["changes"][0]["inverse"][-1]["value"] = "1Mi"
    with pytest.raises(GateRefused, match="it was edited"):
        change.invert(server, store, record, "x")
    assert server.log == []
