# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Plans: what they hold, how their risk follows from what they touch, and which shapes are refused."""

from __future__ import annotations

import copy
from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest

from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS

from tests.unit.operation import samples


def test_a_plan_holds_its_policy_its_times_and_no_reference_to_its_inputs() -> None:
    plan = samples.plan(policies={"medium": {"plan_minutes": 10}})
    assert (plan["created"], plan["expires"]) == ("2026-11-21T12:00:00.000Z", "2026-11-21T12:10:00.000Z")
    assert plan["policy"] == {**DEFAULTS["medium"], "plan_minutes": 10}
    assert plan["target"] == samples.SUBJECT and plan["target"] is not samples.SUBJECT
    assert plans.validate(plan) is plan


def test_a_patch_change() -> None:
    change = samples.plan()["changes"][0]
    path = "spec.template.spec.containers[app].resources.limits.memory"
    assert change["outcome"] == [{"path": path, "before": "64Mi", "after": "128Mi"}]
    assert change["object"] == {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": "uid-web"}
    assert change["dry_run"] == "local"


def test_a_delete_change() -> None:
    change = plans.delete_change("C1", samples.pod(), "its owner creates it anew")
    assert change["preconditions"] == {"uid": "uid-web-1"}
    assert change["outcome"] == [{"path": "Pod/web-1", "before": "exists", "after": "its owner creates it anew"}]


def test_the_digest_identifies_every_part_of_a_plan() -> None:
    plan = samples.plan()
    digests = {digest(plan)}
    for key in plan:
        digests.add(digest({**plan, key: None}))
    assert len(digests) == 1 + len(plan)
    assert digest(samples.plan()) == digest(dict(reversed(list(plan.items())))), "the order of keys says nothing"


def change(action: str = "patch", namespace: str = "shop", path: str = "spec.template.spec.containers[app].image") -> dict[str, Any]:
    kind = "Pod" if action == "delete" else "Deployment"
    return {"action": action, "object": {"kind": kind, "namespace": namespace, "name": "web"}, "outcome": [{"path": path}]}


RISKS: list[tuple[str, list[dict[str, Any]], int, str, list[str]]] = [
    ("no change", [], 3, "low", []),
    ("delete a pod", [change("delete", path="Pod/web")], 0, "low", ["deletes one pod that its owner creates again"]),
    ("new template, nothing serves", [change()], 0, "medium", ["starts a rolling update of deployment web; no ready pod is disturbed"]),
    ("new template, one serves", [change()], 1, "medium", ["starts a rolling update of deployment web; 1 ready pod is replaced"]),
    ("new template, three serve", [change()], 3, "medium", ["starts a rolling update of deployment web; 3 ready pods are replaced"]),
    ("another field", [change(path="spec.replicas")], 3, "medium", ["changes the specification of deployment web"]),
    (
        "in kube-system",
        [change("delete", "kube-system", "Pod/web")],
        0,
        "critical",
        ["kube-system is a namespace of the cluster itself", "deletes one pod that its owner creates again"],
    ),
    (
        "in kube-public",
        [change(namespace="kube-public", path="spec.x")],
        0,
        "critical",
        ["kube-public is a namespace of the cluster itself", "changes the specification of deployment web"],
    ),
    (
        "the worst of several",
        [change("delete"), change()],
        1,
        "medium",
        ["deletes one pod that its owner creates again", "starts a rolling update of deployment web; 1 ready pod is replaced"],
    ),
]


@pytest.mark.parametrize("what, changes, ready, risk, reasons", RISKS, ids=[row[0] for row in RISKS])
def test_risk_follows_from_what_is_touched(what: str, changes: list[dict[str, Any]], ready: int, risk: str, reasons: list[str]) -> None:
    assert plans.risk_of(changes, ready) == (risk, reasons)


def test_protected_namespaces_are_a_parameter() -> None:
    assert plans.risk_of([change(namespace="payments")], 0, protected=("payments",))[0] == "critical"


WRONG: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("a list", lambda plan: [plan], "The plan is not a mapping."),
    ("text", lambda plan: "plan", "The plan is not a mapping."),
    ("nothing", lambda plan: None, "The plan is not a mapping."),
    (
        "empty",
        lambda plan: {},
        "The plan lacks schema, summary, workflow, target, risk, created, cluster, changes, checks, undo, expires, policy, requested_by, shown.",
    ),
    ("another schema", lambda plan: {**plan, "schema": "v2"}, "The plan's schema is 'v2'. This version reads aiops.k8s/plan/v1."),
    ("an unknown risk", lambda plan: {**plan, "risk": "none"}, "The plan's risk is 'none'. It must be one of low, medium, critical."),
    ("no changes", lambda plan: {**plan, "changes": []}, "The plan has no changes."),
    ("changes by name", lambda plan: {**plan, "changes": {"C1": {}}}, "The plan's changes are not a list of mappings."),
    ("changes as text", lambda plan: {**plan, "changes": ["kubectl delete"]}, "The plan's changes are not a list of mappings."),
    ("an unknown action", lambda plan: first(plan, action="exec"), "Change C1 has the action 'exec'. It must be one of patch, delete, create, resize."),
    ("no action", lambda plan: first(plan, action=None), "Change C1 has the action None"),
    ("no inverse", lambda plan: first(plan, inverse=[]), "Change C1 lacks inverse."),
    ("no patch, no outcome", lambda plan: first(plan, patch=None, outcome=[]), "Change C1 lacks outcome, patch."),
    ("no preconditions", lambda plan: first(plan, action="delete"), "Change C1 lacks preconditions."),
    ("another uid", lambda plan: first(plan, action="delete", preconditions={"uid": "u2"}), "Change C1 does not test the uid of its object first"),
    ("an unguarded patch", lambda plan: first(plan, patch=plan["changes"][0]["patch"][1:]), "Change C1 does not test the uid of its object first"),
    ("an unguarded inverse", lambda plan: first(plan, inverse=plan["changes"][0]["inverse"][1:]), "Change C1 does not test the uid"),
    ("an object without uid", lambda plan: first(plan, object={"kind": "Pod", "name": "x"}), "Change C1 does not test the uid"),
]


def first(plan: dict[str, Any], **more: Any) -> dict[str, Any]:
    plan = copy.deepcopy(plan)
    plan["changes"][0].update(more)
    return plan


@pytest.mark.parametrize("what, spoil, message", WRONG, ids=[row[0] for row in WRONG])
def test_wrong_shapes_are_refused_by_name(what: str, spoil: Callable[[dict[str, Any]], Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        plans.validate(spoil(samples.plan()))
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["schema", "summary", "workflow", "target", "risk", "created", "expires", "cluster", "policy", "changes", "checks", "undo"])
def test_every_key_is_needed(key: str) -> None:
    plan = samples.plan()
    del plan[key]
    with pytest.raises(BadInput, match=f"The plan lacks {key}"):
        plans.validate(plan)


@pytest.mark.parametrize(
    "subject, expected",
    [
        ({"kind": "Deployment", "namespace": "shop", "name": "web"}, "deployment/web in namespace shop"),
        ({"kind": "Node", "namespace": "", "name": "n1"}, "node/n1"),
        ({"kind": "Node", "name": "n1"}, "node/n1"),
    ],
)
def test_named(subject: dict[str, str], expected: str) -> None:
    assert plans.named(subject) == expected
