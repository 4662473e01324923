# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether an approved plan may be carried out now: every reason why not."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, gate, identity
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples

OTHER = {"user": "bea", "uid": 2, "host": "elsewhere", "established_by": "os_user"}


def approved(store: Directory, plan: dict[str, Any] | None = None, **more: Any) -> Record:
    """A record whose approval was written by somebody else at minute 5, for an hour."""
    record = samples.proposed(store, plan)
    payload = {"digest": record.digest, "reason": "", "by": OTHER, "way": "terminal", "expires": clock.stamp(samples.at(65)), **more}
    store.append(record, "approved", payload, clock.stamp(samples.at(5)))
    return record


@pytest.mark.parametrize("minute", [5, 6, 64.9, 65])
def test_an_approval_in_force(store: Directory, minute: float) -> None:
    record = approved(store)
    plan, approval = gate.require_approval(record, samples.at(minute), Rules())
    assert plan == record.plan and approval["by"] == OTHER


def test_a_begun_change_may_be_continued(store: Directory) -> None:
    record = approved(store)
    store.append(record, "executing", samples.PAYLOADS["executing"])
    assert gate.require_approval(record, samples.at(10), Rules())[1]["digest"] == record.digest


REFUSALS: list[tuple[str, Callable[[Directory], Record], float, str]] = [
    (
        "never approved",
        samples.proposed,
        10,
        "Record 0001 is proposed and was never approved. Approve it first: ansible-playbook aiops.k8s.approve -e record=0001 -e decision=approve -e digest=",
    ),
    ("rejected", lambda store: samples.reach(store, samples.proposed(store), "rejected"), 10, "Record 0001 is rejected; it was never approved"),
    ("expired", lambda store: samples.reach(store, samples.proposed(store), "expired"), 10, "Record 0001 is expired; it was never approved"),
    ("approval expired", approved, 65.001, "The approval in record 0001 expired at 2026-11-21T13:05:00.000Z. Run the workflow again"),
    (
        "clock set back",
        approved,
        4.999,
        "This machine's clock says 2026-11-21T12:04:59.940Z, which is before the approval at 2026-11-21T12:05:00.000Z. Set the clock right.",
    ),
    (
        "for another plan",
        lambda store: approved(store, digest="0" * 64),
        10,
        "The approval in record 0001 does not count: it is for the digest 00000000, not for",
    ),
    (
        "approver not on the list",
        lambda store: approved(store, samples.plan(policies={"medium": {"approvers": ["cem"]}})),
        10,
        "does not count: bea is not among the approvers of this risk class (cem)",
    ),
    (
        "one person for a critical plan",
        lambda store: approved(store, samples.plan(risk="critical"), by=samples.PAYLOADS["approved"]["by"] | {"user": me()}),
        10,
        "does not count: this risk class needs four eyes",
    ),
    ("advice", lambda store: store.create(samples.payload(None)), 10, "Record 0001 proposes no change: a person has to decide"),
]


def me() -> str:
    from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import actor

    return str(actor()["user"])


@pytest.mark.parametrize("what, make, minute, message", REFUSALS, ids=[row[0] for row in REFUSALS])
def test_refusals(store: Directory, what: str, make: Callable[[Directory], Record], minute: float, message: str) -> None:
    record = make(store)
    with pytest.raises(GateRefused) as caught:
        gate.require_approval(record, samples.at(minute), Rules())
    assert message in str(caught.value)


def test_four_eyes_compare_the_approver_with_whoever_proposed(store: Directory) -> None:
    record = approved(store, samples.plan(risk="critical"))
    gate.require_approval(record, samples.at(10), Rules())
    with pytest.raises(GateRefused, match=f"needs four eyes, and {me()} also made the proposal"):
        gate.require_approval(approved(store, samples.plan(risk="critical"), by=identity.os_user()), samples.at(10), Rules())
    record.events[0]["actor"] = OTHER
    with pytest.raises(GateRefused, match="was not written by whoever its plan says asked for it: it was edited"):
        gate.require_approval(record, samples.at(10), Rules())


@pytest.mark.parametrize("state", ["executed", "validated", "failed", "rolling_back", "rolled_back", "closed"])
def test_an_approval_counts_once(store: Directory, state: str) -> None:
    record = samples.reach(store, samples.proposed(store), state)
    with pytest.raises(GateRefused, match=f"Record 0001 is {state}: its approval was used, and counts once"):
        gate.require_approval(record, samples.at(10), Rules())


def test_an_approval_that_expired_unused(store: Directory) -> None:
    record = approved(store)
    store.append(record, "expired", {"reason": "nobody came"})
    with pytest.raises(GateRefused, match="Record 0001 is expired"):
        gate.require_approval(record, samples.at(10), Rules())


EDITS: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("another value", lambda plan: plan["changes"][0]["patch"][-1].update(value="8Gi")),
    ("another object", lambda plan: plan["changes"][0]["object"].update(name="db")),
    ("another inverse", lambda plan: plan["changes"][0]["inverse"][-1].update(value="1Mi")),
    ("a longer validity", lambda plan: plan.update(expires="2030-01-01T00:00:00.000Z")),
    ("a softer policy", lambda plan: plan["policy"].update(four_eyes=False, approval_minutes=10**6)),
    ("another cluster", lambda plan: plan["cluster"].update(uid="cluster-2")),
    ("a lower risk", lambda plan: plan.update(risk="low")),
    ("a weaker check", lambda plan: plan["checks"][2].update(hold_seconds=0)),
    ("a change more", lambda plan: plan["changes"].append(plan["changes"][0])),
    ("another diff", lambda plan: plan["changes"][0]["outcome"][0].update(after="96Mi")),
]


@pytest.mark.parametrize("what, edit", EDITS, ids=[row[0] for row in EDITS])
@pytest.mark.parametrize("forged_digest", [False, True])
def test_an_edited_plan_is_never_carried_out(store: Directory, what: str, edit: Callable[[dict[str, Any]], None], forged_digest: bool) -> None:
    """Even where the forger made the chain verify again: the approval names the digest of what was approved."""
    record = approved(store, samples.plan(risk="critical"))
    edit(record.events[0]["payload"]["plan"])
    if forged_digest:
        record.events[0]["payload"]["digest"] = digest(record.events[0]["payload"]["plan"])
    with pytest.raises(GateRefused) as caught:
        gate.require_approval(record, samples.at(10), Rules())
    assert ("it was edited" in str(caught.value)) is not forged_digest
    assert ("does not count: it is for the digest" in str(caught.value)) is forged_digest


@pytest.mark.parametrize("broken", [[], "plan", {}, {"schema": "x"}])
def test_a_plan_of_another_shape(store: Directory, broken: Any) -> None:
    record = approved(store)
    record.events[0]["payload"]["plan"] = broken
    with pytest.raises(BadInput, match="The plan"):
        gate.require_plan(record)


def test_the_plan_belongs_to_one_cluster() -> None:
    plan = samples.plan()
    gate.require_cluster(plan, {"uid": "cluster-1", "server": "https://another-name:6443"})
    with pytest.raises(GateRefused) as caught:
        gate.require_cluster(plan, {"uid": "cluster-2", "server": "https://127.0.0.1:6443"})
    assert (
        str(caught.value)
        == "The plan is for the cluster cluster-1 (https://127.0.0.1:6443), but https://127.0.0.1:6443 is the cluster cluster-2. "
        "Give the kubeconfig or context of the cluster that was diagnosed."
    )
