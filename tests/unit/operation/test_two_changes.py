# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A plan that changes a workload and its autoscaler: both or none, in the order of the plan, and back in the other one."""

from __future__ import annotations

import copy
from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples
from tests.unit.operation.server import WEB, Server, remove
from tests.unit.operation.test_execute import MINUTE_6, approved

HPA = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/web"
LIVE: dict[str, Any] = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "web", "namespace": "shop", "uid": "uid-hpa", "resourceVersion": "50"},
    "spec": {
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}}],
    },
}


def utilisation(percent: int) -> dict[str, Any]:
    desired = copy.deepcopy(LIVE)
    desired["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] = percent
    return desired


@pytest.fixture
def server() -> Server:
    made = Server()
    made.put(WEB, samples.deployment())
    made.put(HPA, LIVE)
    return made


def accepted(store: Directory) -> Record:
    live = samples.deployment()
    changes = [plans.patch_change("C1", live, samples.patched(live, "128Mi")), plans.patch_change("C2", LIVE, utilisation(80))]
    return approved(store, samples.plan(changes))


def now(server: Server) -> tuple[str, int]:
    container = server.objects[WEB]["spec"]["template"]["spec"]["containers"][0]
    return container["resources"]["limits"]["memory"], server.objects[HPA]["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"]


def test_both_are_rehearsed_then_both_are_changed_and_undone_the_other_way_round(server: Server, store: Directory) -> None:
    record = accepted(store)
    change.execute(server, store, record, MINUTE_6, Rules())
    assert server.rehearsed == server.log == [f"PATCH {WEB}", f"PATCH {HPA}"] and now(server) == ("128Mi", 80)
    store.append(record, "failed", {"phase": "watch", "reason": "too small", "applied": True})
    result = change.invert(server, store, record, "too small")
    assert [(one["id"], one["result"]) for one in result["changes"]] == [("C2", "undone"), ("C1", "undone")]
    assert server.log[2:] == [f"PATCH {HPA}", f"PATCH {WEB}"] and now(server) == ("64Mi", 50)


def edited(server: Server) -> None:
    server.objects[HPA]["spec"] = utilisation(60)["spec"]
    server.touch(HPA)


@pytest.mark.parametrize("happens", [edited, remove(HPA), lambda server: server.touch(HPA, uid="another")], ids=["edited", "gone", "replaced"])
def test_a_second_object_that_moved_on_is_found_before_the_first_is_changed(
    server: Server, store: Directory, happens: Callable[[Server], None]
) -> None:
    record = accepted(store)
    happens(server)
    with pytest.raises(GateRefused, match="C2: horizontalpodautoscaler/web"):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert server.log == [] and record.state == "approved"


def test_a_refused_rehearsal_of_the_second_changes_nothing(server: Server, store: Directory) -> None:
    def fault(method: str, path: str) -> None:
        if (method, path) == ("PATCH dry", HPA):
            raise ApiError(422, "Invalid", "no such metric", f"PATCH {path}")

    server.faults.append(fault)
    with pytest.raises(GateRefused, match="the dry run of C2 failed"):
        change.execute(server, store, accepted(store), MINUTE_6, Rules())
    assert server.log == []


def killed_between(server: Server, store: Directory) -> Record:
    record = accepted(store)

    def kill(method: str, path: str) -> None:
        if (method, path) == ("PATCH", WEB):
            raise KeyboardInterrupt

    server.lost.append(kill)
    with pytest.raises(KeyboardInterrupt):
        change.execute(server, store, record, MINUTE_6, Rules())
    server.lost.clear()
    return store.load("1")


def test_a_run_that_was_killed_between_the_two_is_ended(server: Server, store: Directory) -> None:
    record = killed_between(server, store)
    assert change.execute(server, store, record, MINUTE_6, Rules())["state"] == "executed"
    assert server.log == [f"PATCH {WEB}", f"PATCH {HPA}"] and now(server) == ("128Mi", 80)


def test_where_the_second_moves_on_after_the_first_was_made_the_first_is_undone(server: Server, store: Directory) -> None:
    """And what somebody did to the second is theirs."""
    record = killed_between(server, store)
    edited(server)
    with pytest.raises(GateRefused, match="resume to undo the part that was applied"):
        change.execute(server, store, record, MINUTE_6, Rules())
    assert record.state == "failed" and undo_needed(record.events)
    result = change.invert(server, store, record, "half done")
    assert [(one["id"], one["result"]) for one in result["changes"]] == [("C2", "was never made"), ("C1", "undone")]
    assert now(server) == ("64Mi", 60) and record.state == "rolled_back"


def test_one_that_was_made_and_changed_since_is_never_called_unmade(server: Server, store: Directory) -> None:
    record = accepted(store)
    change.execute(server, store, record, MINUTE_6, Rules())
    store.append(record, "failed", {"phase": "watch", "reason": "too small", "applied": True})
    edited(server)
    server.objects[HPA]["metadata"]["annotations"] = {}
    with pytest.raises(GateRefused, match="does not carry the mark"):
        change.invert(server, store, record, "too small")
    assert now(server) == ("128Mi", 60) and record.state == "failed"
