# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Other hands that make an approved change (engine/cage.py): what becomes of the record, whatever they do."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change, patch, phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.unit.operation import samples
from tests.unit.operation.server import POD, WEB, Server
from tests.unit.operation.test_create import HPA, HPAS, accepted, serving, workload
from tests.unit.operation.test_execute import MINUTE_6, approved, deletion, kinds

REPORT: dict[str, Any] = {
    "reason": "",
    "differences": [],
    "commands": ["kubectl apply"],
    "engine": "kubectl-ai",
    "engine_version": "0.0.28",
    "provider": "openai",
    "model": "m",
    "identity": "system:serviceaccount:shop:aiops-cage-1",
    "duration_seconds": 1.0,
    "removed": True,
    "token_dead": True,
}


@pytest.fixture
def server() -> Server:
    return serving()


class Hands:
    """Makes the object as told, or with another maxReplicas, or not at all."""

    def __init__(self, outcome: str) -> None:
        self.outcome, self.given = outcome, dict[str, Any]()

    def __call__(self, api: Api, given: dict[str, Any]) -> dict[str, Any]:
        self.given = given
        if self.outcome in ("applied", "different"):
            manifest = copy.deepcopy(given["manifest"])
            manifest["spec"]["maxReplicas"] += self.outcome == "different"
            api.request("POST", HPAS, None, manifest)
        found = {"path": "spec.maxReplicas", "approved": 5, "found": 6}
        return {**REPORT, "outcome": self.outcome, "reason": "as told", "differences": [found] if self.outcome == "different" else []}


def test_what_is_equal_to_the_plan_goes_on(server: Server, store: Directory) -> None:
    record, hands = accepted(store), Hands("applied")
    assert change.execute(server, store, record, MINUTE_6, Rules(), hands=hands)["state"] == "executed"
    assert patch.mark_of(server.objects[HPA]) == ("004/0001", record.digest), "the mark was in what they were given"
    assert record.events[-1]["payload"]["hands"][0]["identity"] == REPORT["identity"]
    assert "C1 by kubectl-ai 0.0.28 (m) as system:serviceaccount:shop:aiops-cage-1, which is removed" in phr.render(record.events)


def test_what_differs_is_undone_at_once(server: Server, store: Directory) -> None:
    record = accepted(store)
    with pytest.raises(GateRefused, match="did not make the approved change .different.: as told; spec.maxReplicas: 6 instead of 5. It was undone"):
        change.execute(server, store, record, MINUTE_6, Rules(), hands=Hands("different"))
    assert kinds(store) == ["proposed", "approved", "executing", "failed", "rolling_back", "rolled_back"]
    assert store.load("1").events[3]["payload"]["applied"] and HPA not in server.objects


@pytest.mark.parametrize("outcome", ["not_applied", "unavailable"])
def test_what_was_not_done_is_a_failure_without_an_undo(server: Server, store: Directory, outcome: str) -> None:
    record = accepted(store)
    with pytest.raises(GateRefused, match=f"{outcome}.: as told. Nothing was changed."):
        change.execute(server, store, record, MINUTE_6, Rules(), hands=Hands(outcome))
    assert kinds(store) == ["proposed", "approved", "executing", "failed"] and not record.events[-1]["payload"]["applied"]
    assert HPA not in server.objects


def test_a_patch_is_given_as_the_object_that_it_makes(server: Server, store: Directory) -> None:
    record, given = approved(store), dict[str, Any]()
    server.put(WEB, {**workload(), "spec": {**workload()["spec"], "replicas": 3}})

    def act(api: Api, told: dict[str, Any]) -> dict[str, Any]:
        given.update(told)
        server.put(WEB, told["desired"])
        return {**REPORT, "outcome": "applied"}

    server.objects[WEB]["spec"].pop("selector")
    change.execute(server, store, record, MINUTE_6, Rules(), hands=act)
    assert patch.mark_of(given["desired"])[1] == record.digest


def test_deletions_are_never_left_to_them(server: Server, store: Directory) -> None:
    server.put(POD, samples.pod())
    record, hands = approved(store, deletion()), Hands("applied")
    change.execute(server, store, record, MINUTE_6, Rules(), hands=hands)
    assert hands.given == {} and server.log == [f"DELETE {POD}"]
