# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which records can be rolled back, in every state; on a real cluster: tests/integration/test_rollback.py."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change, gate, plan as plans, rollback
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples
from tests.unit.operation.server import POD, WEB, Server
from tests.unit.operation.test_execute import MINUTE_6, approved, deletion, memory


@pytest.fixture
def server() -> Server:
    running = Server()
    live = samples.deployment()
    live["spec"]["selector"] = {"matchLabels": {"app": "web"}}
    running.put(WEB, live)
    running.put(POD, samples.pod())
    running.put("/api/v1/namespaces/shop/pods", {"items": []})
    running.put("/apis/apps/v1/namespaces/shop/replicasets", {"items": []})
    return running


STATES: list[tuple[str, str]] = [
    ("proposed", "is proposed: nothing was changed yet. Reject it"),
    ("approved", "is approved: nothing was changed yet. Let the approval expire"),
    ("rejected", "is rejected: nothing was changed"),
    ("expired", "is expired: nothing was changed"),
    ("executing", "is executing: how far it came is not known yet. Run the playbook aiops.k8s.resume first"),
    ("failed", "is failed: its approved inverse was not applied yet. Run the playbook aiops.k8s.resume"),
    ("rolling_back", "is rolling_back: it is being undone already"),
    ("rolled_back", "is rolled_back: it was undone already"),
]


@pytest.mark.parametrize("state, message", STATES)
def test_states_with_nothing_to_roll_back(server: Server, store: Directory, state: str, message: str) -> None:
    record = samples.reach(store, samples.proposed(store), state)
    with pytest.raises(GateRefused) as caught:
        rollback.propose(server, server, record, "why")
    assert message in str(caught.value)


def test_what_failed_before_it_changed_anything(server: Server, store: Directory) -> None:
    record = samples.reach(store, samples.proposed(store), "executing")
    store.append(record, "failed", {"phase": "apply", "reason": "refused", "applied": False})
    with pytest.raises(GateRefused, match="is failed: it failed before it changed anything"):
        rollback.propose(server, server, record, "why")


def carried_out(server: Server, store: Directory, *further: str) -> Record:
    record = approved(store)
    change.execute(server, store, record, MINUTE_6, Rules())
    for kind in further:
        store.append(record, kind, samples.PAYLOADS[kind])
    return record


@pytest.mark.parametrize("further", [(), ("validated",), ("validated", "closed")], ids=["executed", "validated", "closed"])
def test_what_was_carried_out_is_undone_by_a_plan_of_its_own(server: Server, store: Directory, further: tuple[str, ...]) -> None:
    record = carried_out(server, store, *further)
    result = rollback.propose(server, server, record, "it hides a leak")
    draft: dict[str, Any] = result["proposals"][0]["plan"]
    assert draft["workflow"] == gate.UNDO and draft["undoes"] == {"record": change.mark(record), "digest": record.digest}
    assert draft["changes"][0]["outcome"] == [{"path": "spec.template.spec.containers[app].resources.limits.memory", "before": "128Mi", "after": "64Mi"}]
    assert plans.validate(plans.seal(draft, DEFAULTS, {}, ""))["risk"] == "medium"
    assert memory(server) == "128Mi" and server.log == [f"PATCH {WEB}"], "it was only rehearsed"


def test_the_undo_that_could_not_be_done_is_proposed_anew(server: Server, store: Directory) -> None:
    record = carried_out(server, store, "failed")
    store.append(record, "rolling_back", samples.PAYLOADS["rolling_back"])
    store.append(record, "failed", {"phase": "rollback", "reason": "not allowed", "applied": True})
    assert rollback.propose(server, server, record, "it is still wrong")["proposals"][0]["plan"]["changes"]


def test_a_deleted_pod_is_not_brought_back(server: Server, store: Directory) -> None:
    record = approved(store, deletion())
    change.execute(server, store, record, MINUTE_6, Rules())
    with pytest.raises(GateRefused, match="only deleted pod/web-1 in namespace shop, which its owner created again"):
        rollback.propose(server, server, record, "why")


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_reason_is_needed(server: Server, store: Directory, reason: str) -> None:
    with pytest.raises(BadInput, match="reason is empty. Say why it is rolled back"):
        rollback.propose(server, server, carried_out(server, store), reason)


def test_the_executor_may_not(server: Server, store: Directory) -> None:
    record = carried_out(server, store)
    server.allowed = False
    with pytest.raises(GateRefused, match="cannot be rolled back: deployer may not patch deployments"):
        rollback.propose(server, server, record, "why")
