# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The plan: the exact changes, their inverse, the checks that must hold afterwards, the risk. Plain data with a digest.

schema, summary, workflow, target, risk, risk_reasons[], created, expires, cluster{uid, server}, policy{}
requested_by{user, uid, host...}, shown: digest of what else the approver is shown (findings, evidence, opinions)
changes[]: id, action (patch|delete|create|resize), object{apiVersion, kind, namespace, name, uid}, what the action needs (actions.py);
           outcome[]{path, before, after}; dry_run (server|local)
checks[]:  id, type, object, within_seconds, hold_seconds, and what its type needs (see checks.py)
undo:      how it is undone, in words
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, patch, resizable, resize
from ansible_collections.aiops.k8s.plugins.module_utils.operation.actions import ACTIONS, bound
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import RISKS

SCHEMA = "aiops.k8s/plan/v1"
Plan = dict[str, Any]
reference = objects.reference  # what identifies an object in a plan

_DRAFTED = ("schema", "summary", "workflow", "target", "risk", "created", "cluster", "changes", "checks", "undo")
_REQUIRED = (*_DRAFTED, "expires", "policy", "requested_by", "shown")
_SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")


def patch_change(identifier: str, live: Mapping[str, Any], desired: Mapping[str, Any]) -> dict[str, Any]:
    """A change that turns the live object into the desired one, guarded, with its inverse."""
    forward, inverse = patch.between(dict(live), dict(desired))
    return {
        "id": identifier,
        "action": "patch",
        "object": reference(live),
        "patch": forward,
        "inverse": inverse,
        "outcome": patch.outcome(dict(live), dict(desired)),
        "dry_run": "local",
    }


def resize_change(
    identifier: str, live: Mapping[str, Any], desired: Mapping[str, Any], replicaset: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A change that resizes all live pods of a Deployment in place, and its template with them, without a rollout.

    replicaset: that of its newest revision. Raises GateRefused saying why it cannot be done (resizable.py).
    """
    reason = resizable.refusal(live, desired, replicaset, pods)
    if reason:
        raise GateRefused(f"{named(reference(live))} cannot be resized in place: {reason}.", "Let it roll out instead (in_place=false).")
    kinds = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", **replicaset}, *({"apiVersion": "v1", "kind": "Pod", **pod} for pod in pods)]
    return resize.make(patch_change(identifier, live, desired), live, desired, kinds[0], kinds[1:])


def create_change(
    identifier: str, manifest: Mapping[str, Any], requires: list[dict[str, Any]], restore: list[dict[str, Any]]
) -> dict[str, Any]:
    """A change that creates an object which does not exist; ``requires`` and ``restore`` as in actions.py."""
    return {
        "id": identifier,
        "action": "create",
        "object": reference(manifest),
        "manifest": dict(manifest),
        "requires": requires,
        "restore": restore,
        "outcome": patch.creation(dict(manifest)),
        "dry_run": "local",
    }


def delete_change(identifier: str, live: Mapping[str, Any], consequence: str) -> dict[str, Any]:
    """A change that deletes one object, and only the one with this uid."""
    subject = reference(live)
    outcome = [{"path": f"{subject['kind']}/{subject['name']}", "before": "exists", "after": consequence}]
    return {
        "id": identifier,
        "action": "delete",
        "object": subject,
        "preconditions": {"uid": subject["uid"]},
        "outcome": outcome,
        "dry_run": "local",
    }


def build(
    *,
    summary: str,
    workflow: str,
    target: Mapping[str, Any],
    cluster: Mapping[str, str],
    changes: list[dict[str, Any]],
    checks: list[dict[str, Any]],
    undo: str,
    risk: tuple[str, list[str]],
    created: datetime,
) -> Plan:
    """A draft: everything but what ``seal`` adds when it is recorded. ``risk`` is (class, reasons)."""
    return {
        "schema": SCHEMA,
        "summary": summary,
        "workflow": workflow,
        "target": dict(target),
        "risk": risk[0],
        "risk_reasons": risk[1],
        "created": clock.stamp(created),
        "cluster": dict(cluster),
        "changes": changes,
        "checks": checks,
        "undo": undo,
    }


def seal(draft: Plan, policies: Mapping[str, Mapping[str, Any]], requested_by: Mapping[str, Any], shown: str) -> Plan:
    """The complete plan: under the policy of its risk class, with who asked for it and the digest of what is shown beside it.

    Raises BadInput for a draft of another shape.
    """
    _validated(draft, _DRAFTED)
    policy = dict(policies[draft["risk"]])
    expires = clock.later(draft["created"], minutes=policy["plan_minutes"])
    return {**draft, "expires": expires, "policy": policy, "requested_by": dict(requested_by), "shown": shown}


def risk_of(changes: list[dict[str, Any]], ready_replicas: int, protected: tuple[str, ...] = _SYSTEM_NAMESPACES) -> tuple[str, list[str]]:
    """(class, reasons), computed from what the changes touch and from nothing that anybody said.

    ready_replicas: pods of the target that serve now and that the change may disturb.
    """
    reasons: list[tuple[str, str]] = []
    for change in changes:
        subject = change["object"]
        if subject["namespace"] in protected:
            reasons.append(("critical", f"{subject['namespace']} is a namespace of the cluster itself"))
        if change["action"] == "create":
            reasons.append(("medium", f"creates {subject['kind'].lower()} {subject['name']}, which acts by itself from then on"))
        elif change["action"] == "resize":
            count = f"{len(change['pods'])} pod{'s' if len(change['pods']) != 1 else ''}"
            reasons.append(("medium", f"resizes {count} of {subject['kind'].lower()} {subject['name']} in place; no pod is replaced"))
        elif change["action"] == "delete" and "manifest" in change:
            reasons.append(("medium", f"deletes {subject['kind'].lower()} {subject['name']}"))
        elif change["action"] == "delete":
            reasons.append(("low", f"deletes one {subject['kind'].lower()} that its owner creates again"))
        elif any(line["path"].startswith("spec.template") for line in change["outcome"]):
            serving = (
                f"{ready_replicas} ready pod{'s are' if ready_replicas != 1 else ' is'} replaced"
                if ready_replicas
                else "no ready pod is disturbed"
            )
            reasons.append(("medium", f"starts a rolling update of {subject['kind'].lower()} {subject['name']}; {serving}"))
        else:
            reasons.append(("medium", f"changes the specification of {subject['kind'].lower()} {subject['name']}"))
    worst = max((risk for risk, _reason in reasons), key=RISKS.index, default="low")
    return worst, [reason for _risk, reason in reasons]


def validate(plan: Any) -> Plan:
    """The plan itself when its shape is right. Raises BadInput naming the key that is not."""
    return _validated(plan, _REQUIRED)


def _validated(plan: Any, required: tuple[str, ...]) -> Plan:
    if not isinstance(plan, dict):
        raise BadInput("The plan is not a mapping.")
    missing = [key for key in required if key not in plan]
    if missing:
        raise BadInput(f"The plan lacks {', '.join(missing)}.")
    if plan["schema"] != SCHEMA:
        raise BadInput(f"The plan's schema is {plan['schema']!r}.", f"This version reads {SCHEMA}.")
    if plan["risk"] not in RISKS:
        raise BadInput(f"The plan's risk is {plan['risk']!r}.", f"It must be one of {', '.join(RISKS)}.")
    if not plan["changes"]:
        raise BadInput("The plan has no changes.")
    if not isinstance(plan["changes"], list) or not all(isinstance(change, dict) for change in plan["changes"]):
        raise BadInput("The plan's changes are not a list of mappings.")
    for change in plan["changes"]:
        action = ACTIONS.get(str(change.get("action")))
        if action is None:
            raise BadInput(
                f"Change {change.get('id')} has the action {change.get('action')!r}.", f"It must be one of {', '.join(ACTIONS)}."
            )
        lacking = [key for key in ("id", "object", "outcome", *action.needs) if not change.get(key)]
        if lacking:
            raise BadInput(f"Change {change.get('id')} lacks {', '.join(lacking)}.")
        if not bound(change):
            raise BadInput(
                f"Change {change['id']} does not test the uid of its object first, so it could hit another one of the same name."
            )
    return plan


def named(subject: Mapping[str, str]) -> str:
    """``deployment/web in namespace shop``."""
    where = f" in namespace {subject['namespace']}" if subject.get("namespace") else ""
    return f"{subject['kind'].lower()}/{subject['name']}{where}"
