# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs that were cut off, overtaken or refused half-way: the cluster is asked, and the change is made at most once."""

from __future__ import annotations

import copy
from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change, clock, patch, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples
from tests.unit.operation.server import POD, WEB, Server, cut, refuse, remove
from tests.unit.operation.test_execute import MINUTE_6, approved, deletion, edit, kinds, memory

DB = "/apis/apps/v1/namespaces/shop/deployments/db"


@pytest.fixture
def server() -> Server:
    running = Server()
    running.put(WEB, samples.deployment())
    running.put(DB, database())
    running.put(POD, samples.pod())
    return running


def database() -> dict[str, Any]:
    document = samples.deployment()
    document["metadata"].update(name="db", uid="uid-db")
    return document


def two_changes() -> dict[str, Any]:
    pairs = (("C1", samples.deployment()), ("C2", database()))
    return samples.plan([plans.patch_change(name, live, samples.patched(live, "128Mi")) for name, live in pairs])


def begun(store: Directory, the_plan: dict[str, Any] | None = None) -> Record:
    """A run that died just after it wrote ``executing``."""
    record = approved(store, the_plan)
    store.append(record, "executing", {**samples.PAYLOADS["executing"], "digest": record.digest})
    return record


def last_payload(store: Directory, kind: str) -> dict[str, Any]:
    event = store.load("1").events[-1]
    assert event["kind"] == kind
    return event["payload"]  # type: ignore[no-any-return]


def test_resume_before_the_effect(server: Server, store: Directory) -> None:
    result = change.execute(server, store, begun(store), MINUTE_6, Rules())
    assert result["changed"] is True and memory(server) == "128Mi" and len(server.log) == 1
    assert kinds(store) == ["proposed", "approved", "executing", "executed"]


@pytest.mark.parametrize("error", [Unreachable("cut"), ApiError(500, "InternalError", "x", "PATCH"), KeyboardInterrupt()], ids=["cut", "500", "killed"])
def test_resume_after_the_effect(server: Server, store: Directory, error: Any) -> None:
    """The request arrived, its answer did not."""
    record = approved(store)
    server.lost.append(cut("PATCH", error))
    with pytest.raises(type(error)):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert kinds(store)[-1] == "executing" and memory(server) == "128Mi"
    server.lost.clear()
    result = change.execute(server, store, store.load("1"), samples.at(600), Rules())
    assert result["changed"] is False and result["state"] == "executed", "what is done needs no approval in force"
    assert len(server.log) == 1 and last_payload(store, "executed")["recovered"] is True


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_leaves_the_question_open(server: Server, store: Directory, status: int) -> None:
    record = approved(store)
    server.faults.append(refuse(status, "PATCH", once=True))
    with pytest.raises(ApiError):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert kinds(store)[-1] == "executing" and memory(server) == "64Mi"
    assert change.execute(server, store, store.load("1"), MINUTE_6, Rules())["state"] == "executed"
    assert memory(server) == "128Mi" and len(server.log) == 1


def test_an_applied_change_that_was_edited_since_is_still_known_by_its_mark(server: Server, store: Directory) -> None:
    record = begun(store)
    server.objects[WEB] = patch.apply(server.objects[WEB], patch.marks(server.objects[WEB], "004/0001", record.digest, "x"))
    edit(server, image="other:9")
    assert change.execute(server, store, record, MINUTE_6, Rules())["changed"] is False
    assert server.log == []


@pytest.mark.parametrize(
    "leave",
    [remove(POD), lambda server: server.touch(POD, uid="uid-2"), lambda server: server.touch(POD, deletionTimestamp="2026-11-21T12:06:00Z")],
    ids=["gone", "created again", "terminating"],
)
def test_a_deletion_that_happened(server: Server, store: Directory, leave: Callable[[Server], None]) -> None:
    record = begun(store, deletion())
    leave(server)
    assert change.execute(server, store, record, MINUTE_6, Rules())["changed"] is False
    assert server.log == [] and last_payload(store, "executed")["recovered"] is True


def test_check_mode_of_a_begun_change_writes_nothing(server: Server, store: Directory) -> None:
    record = begun(store, deletion())
    server.objects.pop(POD)
    result = change.execute(server, store, record, MINUTE_6, Rules(), check_mode=True)
    assert (result["changed"], result["state"]) == (False, "executing") and kinds(store)[-1] == "executing"


GIVEN_UP: list[tuple[str, Callable[[Server], None], float, str]] = [
    ("the object was edited", lambda server: edit(server, image="shop/web:2"), 6, "deployment/web is not as it was"),
    ("the object is gone", remove(WEB), 6, "deployment/web does not exist any more"),
    ("the dry run is refused", lambda server: server.faults.append(refuse(422, "PATCH dry")), 6, "the dry run of C1 failed"),
    ("the approval expired", lambda server: None, 66, "it was begun, and its approval expired at 2026-11-21T13:05:00.000Z before it was finished"),
]


@pytest.mark.parametrize("what, happen, minute, message", GIVEN_UP, ids=[row[0] for row in GIVEN_UP])
def test_a_begun_change_that_cannot_go_on_has_failed(
    server: Server, store: Directory, what: str, happen: Callable[[Server], None], minute: float, message: str
) -> None:
    """It must not stay open for ever: no later run could end it."""
    record = begun(store)
    happen(server)
    with pytest.raises(GateRefused, match=message):
        change.execute(server, store, record, samples.at(minute), Rules())
    failed = last_payload(store, "failed")
    assert message in failed["reason"] and (failed["phase"], failed["applied"]) == ("apply", False)
    assert server.log == [] and not undo_needed(store.load("1").events)


@pytest.mark.parametrize(
    "happen, minute, message",
    [
        (lambda server: server.faults.append(refuse(500, "PATCH dry")), 6, "Run the playbook aiops.k8s.resume to try again"),
        (lambda server: None, 4, "Set the clock right"),
        (lambda server: setattr(server, "allowed", False), 6, "Give the executor's credentials"),
    ],
    ids=["server error", "clock set back", "no rights"],
)
def test_a_begun_change_that_may_go_on_later_stays_open(
    server: Server, store: Directory, happen: Callable[[Server], None], minute: float, message: str
) -> None:
    record = begun(store)
    happen(server)
    with pytest.raises(GateRefused, match=message):
        change.execute(server, store, record, samples.at(minute), Rules())
    assert store.load("1").state == "executing"
    server.faults.clear()
    server.allowed = True
    assert change.execute(server, store, store.load("1"), MINUTE_6, Rules())["state"] == "executed"


def test_a_second_change_goes_on_from_the_first(server: Server, store: Directory) -> None:
    record = approved(store, two_changes())
    server.faults.append(lambda method, path: cut("PATCH", Unreachable("cut"))(method, path) if path == DB else None)
    with pytest.raises(Unreachable):
        change.execute(server, store, record, MINUTE_6, Rules())
    server.faults.clear()
    assert change.execute(server, store, store.load("1"), MINUTE_6, Rules())["changed"] is True
    assert server.log == [f"PATCH {WEB}", f"PATCH {DB}"]


@pytest.mark.parametrize("how", ["refused", "moved"])
def test_a_second_change_that_fails_leaves_the_first_to_be_undone(server: Server, store: Directory, how: str) -> None:
    record = approved(store, two_changes())

    def second(method: str, path: str) -> None:
        if method == "PATCH" and path == DB:
            raise ApiError(403, "Forbidden", "no", "PATCH") if how == "refused" else Unreachable("cut")

    server.faults.append(second)
    with pytest.raises((ApiError, Unreachable)):
        change.execute(server, store, record, MINUTE_6, Rules())
    if how == "moved":
        server.touch(DB, generation=9)
        with pytest.raises(GateRefused, match="resume to undo the part that was applied"):
            change.execute(server, store, store.load("1"), MINUTE_6, Rules())
    assert last_payload(store, "failed")["applied"] is True and undo_needed(store.load("1").events)
    server.faults.clear()
    result = change.invert(server, store, store.load("1"), "the second change failed")
    assert {one["id"]: one["result"] for one in result["changes"]} == {"C1": "undone", "C2": "already as before"} or how == "moved"
    assert memory(server) == "64Mi"


def test_a_begun_change_goes_on_until_the_last_moment_of_its_approval(server: Server, store: Directory) -> None:
    assert change.execute(server, store, begun(store), samples.at(65), Rules())["state"] == "executed"


@pytest.mark.parametrize("conflict", [False, True], ids=["a test fails", "a conflict"])
def test_status_updates_that_race_are_tried_again(server: Server, store: Directory, conflict: bool) -> None:
    left = [4]

    def controller(method: str, path: str) -> None:
        if method == "PATCH" and left[0]:
            left[0] -= 1
            server.touch(WEB)
            if conflict:
                raise ApiError(409, "Conflict", "the object has been modified", "PATCH")

    server.faults.append(controller)
    change.execute(server, store, approved(store), MINUTE_6, Rules())
    assert memory(server) == "128Mi" and len(server.log) == 1 and left == [0]


def test_endless_races_give_up(server: Server, store: Directory) -> None:
    server.faults.append(lambda method, path: server.touch(WEB) if method == "PATCH" else None)
    with pytest.raises(GateRefused, match="deployment/web was written to 10 times while it was to be changed. Try again."):
        change.execute(server, store, approved(store), MINUTE_6, Rules())
    assert memory(server) == "64Mi" and last_payload(store, "failed")["applied"] is False


@pytest.mark.parametrize("status", [409, 422])
def test_a_refusal_that_is_no_race_is_told_as_it_is(server: Server, store: Directory, status: int) -> None:
    tried: list[str] = []
    server.faults += [lambda method, path: tried.append(path) if method == "PATCH" else None, refuse(status, "PATCH", "Invalid")]
    with pytest.raises(ApiError, match="the message of the server"):
        change.execute(server, store, approved(store), MINUTE_6, Rules())
    assert len(tried) == 1 and last_payload(store, "failed")["applied"] is False


def test_an_edit_between_rehearsal_and_patch_is_refused(server: Server, store: Directory) -> None:
    done = copy.deepcopy(server.objects[WEB])

    def person(method: str, path: str) -> None:
        if method == "PATCH" and server.objects[WEB] == done:
            edit(server, image="shop/web:2")

    server.faults.append(person)
    with pytest.raises(GateRefused, match="deployment/web is not as it was: metadata.generation was 3 and is now 4"):
        change.execute(server, store, approved(store), MINUTE_6, Rules())
    assert memory(server) == "64Mi" and kinds(store)[-1] == "failed"


@pytest.mark.parametrize("the_plan", [None, deletion()], ids=["patch", "delete"])
def test_two_runs_that_resume_at_once_apply_once_and_do_not_call_it_failed(server: Server, store: Directory, the_plan: dict[str, Any] | None) -> None:
    begun(store, the_plan)
    other: list[Any] = []

    def overtake(method: str, path: str) -> None:
        if method in ("PATCH", "DELETE") and not other:
            other.append("running")
            other.append(change.execute(server, store, store.load("1"), MINUTE_6, Rules()))

    server.faults.append(overtake)
    with pytest.raises(GateRefused, match="The record is executed; it cannot become executed"):
        change.execute(server, store, store.load("1"), MINUTE_6, Rules())
    assert other[1]["state"] == "executed" and len(server.log) == 1
    assert kinds(store) == ["proposed", "approved", "executing", "executed"]
    assert clock.parse(last_payload(store, "executed")["applied"])
