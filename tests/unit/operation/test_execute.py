# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Carrying out an approved plan: exactly that, once, on that object, in that cluster; otherwise nothing."""

from __future__ import annotations

import copy
from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change, clock, patch, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples
from tests.unit.operation.server import POD, WEB, Server, refuse, remove

MINUTE_6 = samples.at(6)


@pytest.fixture
def server() -> Server:
    running = Server()
    running.put(WEB, samples.deployment())
    running.put(POD, samples.pod())
    return running


def approved(store: Directory, the_plan: dict[str, Any] | None = None) -> Record:
    record = samples.proposed(store, the_plan)
    payload = {**samples.PAYLOADS["approved"], "digest": record.digest, "expires": clock.stamp(samples.at(65))}
    store.append(record, "approved", payload, clock.stamp(samples.at(5)))
    return record


def deletion() -> dict[str, Any]:
    return samples.plan([plans.delete_change("C1", samples.pod(), "its owner creates it anew")])


def kinds(store: Directory) -> list[str]:
    return [one["kind"] for one in store.load("1").events]


def memory(server: Server) -> str:
    return str(server.objects[WEB]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"])


def test_apply_once(server: Server, store: Directory) -> None:
    record = approved(store)
    result = change.execute(server, store, record, MINUTE_6, Rules())
    assert result == {"changed": True, "state": "executed", "changes": samples.plan()["changes"]}
    assert memory(server) == "128Mi" and server.log == [f"PATCH {WEB}"] and server.rehearsed == [f"PATCH {WEB}"]
    annotations = server.objects[WEB]["metadata"]["annotations"]
    assert annotations["team"] == "a" and patch.mark_of(server.objects[WEB]) == ("004/0001", record.digest)
    assert annotations[patch.CAUSE_ANNOTATION] == "aiops.k8s 004/0001: raise the memory limit of container app from 64Mi to 128Mi"
    events = store.load("1").events
    assert [one["kind"] for one in events] == ["proposed", "approved", "executing", "executed"]
    assert events[2]["payload"]["executor"] == {"user": "deployer", "groups": ["g"]} and events[2]["payload"]["digest"] == record.digest
    assert events[3]["payload"]["changes"] == [{"id": "C1", "generation": 4}] and events[3]["payload"]["recovered"] is False


def test_apply_a_deletion(server: Server, store: Directory) -> None:
    change.execute(server, store, approved(store, deletion()), MINUTE_6, Rules())
    assert POD not in server.objects and server.log == [f"DELETE {POD}"] and kinds(store)[-1] == "executed"


def test_the_event_is_on_disk_before_the_request(server: Server, store: Directory) -> None:
    seen: list[list[str]] = []
    server.faults.append(lambda method, path: seen.append(kinds(store)) if method == "PATCH" else None)
    change.execute(server, store, approved(store), MINUTE_6, Rules())
    assert seen == [["proposed", "approved", "executing"]]


@pytest.mark.parametrize("again", ["same", "fresh"])
def test_a_second_run_is_refused(server: Server, store: Directory, again: str) -> None:
    record = approved(store)
    stale = store.load("1")
    change.execute(server, store, record, MINUTE_6, Rules())
    with pytest.raises(GateRefused, match="approval was used|already carries this record's mark"):
        change.execute(server, store, store.load("1") if again == "fresh" else stale, MINUTE_6, Rules())
    assert len(server.log) == 1 and "executed" in kinds(store)


def test_an_unapproved_record_is_refused_before_the_cluster_is_asked(server: Server, store: Directory) -> None:
    asked: list[str] = []
    server.faults.append(lambda method, path: asked.append(path))
    with pytest.raises(GateRefused, match="was never approved"):
        change.execute(server, store, samples.proposed(store), MINUTE_6, Rules())
    assert asked == [] and kinds(store) == ["proposed"]


def test_another_cluster_is_refused(server: Server, store: Directory) -> None:
    server.put("/api/v1/namespaces/kube-system", {"metadata": {"uid": "cluster-2"}})
    with pytest.raises(GateRefused, match="The plan is for the cluster cluster-1"):
        change.execute(server, store, approved(store), MINUTE_6, Rules())
    assert server.log == server.rehearsed == [] and kinds(store) == ["proposed", "approved"]


def edit(server: Server, **containers: Any) -> None:
    server.objects[WEB]["spec"]["template"]["spec"]["containers"][0].update(containers)
    server.touch(WEB, generation=4)


MOVED: list[tuple[str, Callable[[Server], None], str]] = [
    ("edited", lambda server: edit(server, image="shop/web:2"), "C1: deployment/web is not as it was: metadata.generation was 3 and is now 4"),
    ("scaled", lambda server: server.touch(WEB, generation=9), "metadata.generation was 3 and is now 9"),
    (
        "the same value changed",
        lambda server: edit(server, resources={"limits": {"memory": "96Mi"}}),
        "containers[app].resources.limits.memory was 64Mi and is now 96Mi",
    ),
    (
        "another container came first",
        lambda server: server.objects[WEB]["spec"]["template"]["spec"]["containers"].insert(0, {"name": "proxy"}),
        "containers[proxy].name was app and is now proxy",
    ),
    ("deleted", remove(WEB), "C1: deployment/web does not exist any more"),
    ("created again", lambda server: server.touch(WEB, uid="uid-2"), "C1: deployment/web was deleted and created again since it was diagnosed"),
    (
        "already marked",
        lambda server: server.objects[WEB]["metadata"].update(annotations={patch.RECORD_ANNOTATION: "004/0001", patch.DIGEST_ANNOTATION: samples_digest()}),
        "already carries this record's mark",
    ),
]


def samples_digest() -> str:
    return str(samples.payload(samples.plan())["digest"])


@pytest.mark.parametrize("what, move, message", MOVED, ids=[row[0] for row in MOVED])
@pytest.mark.parametrize("check_mode", [False, True])
def test_an_object_that_moved_is_refused(server: Server, store: Directory, what: str, move: Callable[[Server], None], message: str, check_mode: bool) -> None:
    record = approved(store)
    move(server)
    with pytest.raises(GateRefused) as caught:
        change.execute(server, store, record, MINUTE_6, Rules(), check_mode)
    assert message in str(caught.value) and "Nothing was changed. Run the workflow again" in str(caught.value)
    assert server.log == [] and kinds(store) == ["proposed", "approved"] + ([] if check_mode else ["refused"])
    assert store.load("1").state == "approved"


@pytest.mark.parametrize(
    "move, message",
    [(remove(POD), "C1: pod/web-1 does not exist any more"), (lambda server: server.touch(POD, uid="uid-2"), "C1: pod/web-1 was deleted and created again")],
)
def test_a_pod_that_moved_is_not_deleted(server: Server, store: Directory, move: Callable[[Server], None], message: str) -> None:
    record = approved(store, deletion())
    move(server)
    with pytest.raises(GateRefused, match=message):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert server.log == []


def test_a_status_update_is_no_move(server: Server, store: Directory) -> None:
    record = approved(store)
    server.touch(WEB)
    server.objects[WEB]["status"] = {"readyReplicas": 2}
    assert change.execute(server, store, record, MINUTE_6, Rules())["state"] == "executed"


def test_a_dry_run_with_another_outcome_is_refused(server: Server, store: Directory) -> None:
    def webhook(document: dict[str, Any]) -> None:
        document["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:1"

    record = approved(store)
    server.mutate = webhook
    with pytest.raises(GateRefused, match=r"gives another outcome than the approved one: spec\.template\.spec\.containers\[app\]\.image: evil:1"):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert server.log == [] and kinds(store)[-1] == "refused"


def test_a_dry_run_that_lacks_an_approved_line_is_refused(server: Server, store: Directory) -> None:
    def webhook(document: dict[str, Any]) -> None:
        document["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "64Mi"

    record = approved(store)
    server.mutate = webhook
    with pytest.raises(GateRefused, match=r"limits\.memory is missing"):
        change.execute(server, store, record, MINUTE_6, Rules())


@pytest.mark.parametrize("status", [403, 409, 422, 500])
def test_a_dry_run_that_fails_is_refused(server: Server, store: Directory, status: int) -> None:
    record = approved(store)
    server.faults.append(refuse(status, "PATCH dry"))
    with pytest.raises(GateRefused, match="the dry run of C1 failed: the message of the server"):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert server.log == [] and kinds(store) == ["proposed", "approved", "refused"]


def test_an_executor_without_rights_is_refused_by_verb(server: Server, store: Directory) -> None:
    record = approved(store)
    server.allowed = False
    with pytest.raises(GateRefused, match="cannot be carried out: deployer may not patch deployments in namespace shop. Give the executor's"):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert kinds(store) == ["proposed", "approved"]


@pytest.mark.parametrize("make", [approved, lambda store: approved(store, deletion())], ids=["patch", "delete"])
def test_check_mode_rehearses_and_writes_nothing(server: Server, store: Directory, make: Callable[[Directory], Record]) -> None:
    record, before = make(store), copy.deepcopy(server.objects)
    result = change.execute(server, store, record, MINUTE_6, Rules(), check_mode=True)
    assert (result["changed"], result["state"]) == (True, "approved")
    assert server.objects == before and server.log == [] and len(server.rehearsed) == 1 and kinds(store) == ["proposed", "approved"]


def test_a_clock_set_back_is_refused(server: Server, store: Directory) -> None:
    with pytest.raises(GateRefused, match="This machine's clock says"):
        change.execute(server, store, approved(store), samples.at(4), Rules())
    assert server.log == [] and kinds(store) == ["proposed", "approved"]


def test_an_approval_whose_time_ran_out_ends_the_record(server: Server, store: Directory) -> None:
    with pytest.raises(GateRefused, match="expired at"):
        change.execute(server, store, approved(store), samples.at(66), Rules())
    assert server.log == [] and kinds(store) == ["proposed", "approved", "expired"]


def test_check_mode_does_not_end_a_record_whose_time_ran_out(server: Server, store: Directory) -> None:
    with pytest.raises(GateRefused, match="expired at"):
        change.execute(server, store, approved(store), samples.at(66), Rules(), check_mode=True)
    assert server.log == [] and kinds(store) == ["proposed", "approved"]


@pytest.mark.parametrize("status", [400, 403, 404, 413])
def test_a_refused_request_fails_the_record(server: Server, store: Directory, status: int) -> None:
    record = approved(store)
    server.faults.append(refuse(status, "PATCH", "Forbidden"))
    with pytest.raises(ApiError, match=f"The API server refused PATCH {WEB}: {status} Forbidden"):
        change.execute(server, store, record, MINUTE_6, Rules())
    failed = store.load("1").events[-1]
    assert (failed["kind"], failed["payload"]["phase"], failed["payload"]["applied"]) == ("failed", "apply", False)
