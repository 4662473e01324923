# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One small operation as plain data: a Deployment whose memory limit is raised, its plan, its proposal, its events."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks, clock, history, identity, plan as plans, record as chain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import policy
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import shown
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

CLUSTER = {"uid": "cluster-1", "server": "https://127.0.0.1:6443"}
SUBJECT = {"kind": "Deployment", "namespace": "shop", "name": "web"}
CREATED = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
REQUESTER = {"user": "ann", "uid": 1000, "host": "desk", "established_by": "os_user"}


def deployment(memory: str = "64Mi", **more: Any) -> dict[str, Any]:
    """A live Deployment of three pods, as the API server returns it."""
    container = {"name": "app", "image": "shop/web:1", "env": [{"name": "MODE", "value": "fast"}], "resources": {"limits": {"memory": memory}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "uid-web", "generation": 3, "resourceVersion": "100", "annotations": {"team": "a"}},
        "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}},
        "status": {"observedGeneration": 3, "readyReplicas": 0},
        **more,
    }


def pod(name: str = "web-1") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "7"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}}


def patched(live: dict[str, Any], memory: str) -> dict[str, Any]:
    desired = copy.deepcopy(live)
    desired["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = memory
    return desired


def plan(
    changes: list[dict[str, Any]] | None = None, *, created: datetime = CREATED, risk: str = "medium", policies: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The plan that raises the limit from 64Mi to 128Mi, or one of other changes."""
    live = deployment()
    changes = [plans.patch_change("C1", live, patched(live, "128Mi"))] if changes is None else changes
    draft = plans.build(
        summary="raise the memory limit of container app from 64Mi to 128Mi",
        workflow="diagnose",
        target=SUBJECT,
        cluster=CLUSTER,
        changes=changes,
        checks=checks.standard(plans.reference(live), [{"uid": "uid-web-1", "reason": "OOMKilled"}], within=120, hold=30, watch=600),
        undo="the limit is set back to 64Mi",
        risk=(risk, ["starts a rolling update"]),
        created=created,
    )
    return plans.seal(draft, policy(policies), identity.requester("reader"), "0" * 64)


def payload(the_plan: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The first event's payload. Without a plan it is advice."""
    document = {
        "workflow": "diagnose",
        "title": "OOMKilled in deployment/web in namespace shop",
        "command": "ansible-playbook aiops.k8s.diagnose -e namespace=shop",
        "options": {},
        "target": SUBJECT,
        "cluster": {**CLUSTER, "version": "v1.34.4"},
        "observed_as": "reader",
        "findings": [finding()],
        "evidence": [{"id": "E1", "source": "pod/web-1 status", "time": "2026-11-21T11:59:00Z", "excerpt": "reason OOMKilled, exit code 137"}],
        "remedies": [{"id": "R1", "name": "raise_memory_limit", "summary": "raise the memory limit"}],
        "opinions": [],
        "plan": None,
        "digest": "",
        "remedy": "",
        "fingerprint": "",
        "no_plan_reason": "" if the_plan else "a person has to decide",
        "not_chosen": [],
        "coverage": {"read": ["pods"], "not_evaluated": []},
        "timings": {"observe": 0.12},
        **more,
    }
    if the_plan is None:
        return document
    named = {**the_plan, "shown": shown(document)}
    remedy = {"remedy": "raise_memory_limit", "fingerprint": history.fingerprint(named)}
    return {**document, **remedy, "plan": named, "digest": digest(named), **more}


def finding(**more: Any) -> dict[str, Any]:
    return {
        "code": "OOMKilled",
        "severity": "critical",
        "object": SUBJECT,
        "container": "app",
        "title": "container app needs more than its memory limit of 64Mi",
        "root_cause": "The kernel killed container app.",
        "suggested_fix": "Raise the memory limit.",
        "expected_outcome": "It no longer restarts.",
        "evidence": ["E1"],
        "pods": [{"name": "web-1", "uid": "uid-web-1"}],
        "runbook": "docs/runbooks/troubleshoot-oomkilled.md",
        **more,
    }


def at(minutes: float) -> datetime:
    """A moment after the plan was made."""
    return CREATED + timedelta(minutes=minutes)


# what each kind of event carries, enough to be rendered
PAYLOADS: dict[str, dict[str, Any]] = {
    "approved": {"digest": "d" * 64, "reason": "", "by": REQUESTER, "way": "terminal", "expires": clock.stamp(at(60))},
    "rejected": {"digest": "d" * 64, "reason": "not today", "by": REQUESTER, "way": "playbook"},
    "expired": {"reason": "not decided by noon"},
    "executing": {"digest": "d" * 64, "approved_by": REQUESTER, "executor": {"user": "deployer", "groups": []}},
    "executed": {"changes": [{"id": "C1", "generation": 4}], "recovered": False, "applied": clock.stamp(at(2))},
    "validated": {"met": {"K1": 1.0, "K2": 2.5}, "seconds": 40.0, "state": "3 of 3 pods available", "baseline": {}, "watch_until": clock.stamp(at(15))},
    "failed": {"phase": "validate", "reason": "the new pod web-2 has restarted 2 times", "applied": True},
    "rolling_back": {"digest": "d" * 64, "reason": "a check failed", "authority": "the plan"},
    "rolled_back": {"changes": [{"id": "C1", "result": "undone"}]},
    "closed": {"reason": "watched for 10 min"},
    "refused": {"reason": "the object moved"},
    "resumed": {"reason": "picked up"},
}


def events(*kinds: str, first: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """A verified chain: a proposal followed by events of these kinds, a minute apart."""
    body = {"feature": "004", "id": "0001", "previous_record": None, **(first or payload(plan()))}
    chained = [chain.event([], "proposed", body, REQUESTER, clock.stamp(CREATED))]
    for minute, kind in enumerate(kinds, 1):
        chained.append(chain.event(chained, kind, PAYLOADS[kind], REQUESTER, clock.stamp(at(minute))))
    return json.loads(json.dumps(chained))  # type: ignore[no-any-return]  # as a file holds it: no two values are one object


WAYS: dict[str, tuple[str, ...]] = {
    "proposed": (),
    "approved": ("approved",),
    "rejected": ("rejected",),
    "expired": ("expired",),
    "executing": ("approved", "executing"),
    "executed": ("approved", "executing", "executed"),
    "validated": ("approved", "executing", "executed", "validated"),
    "failed": ("approved", "executing", "executed", "failed"),
    "rolling_back": ("approved", "executing", "executed", "failed", "rolling_back"),
    "rolled_back": ("approved", "executing", "executed", "failed", "rolling_back", "rolled_back"),
    "closed": ("approved", "executing", "executed", "validated", "closed"),
}


def proposed(store: Directory, the_plan: dict[str, Any] | None = None, **more: Any) -> Record:
    """A proposed record on disk."""
    return store.create(payload(plan() if the_plan is None else the_plan, **more))


def reach(store: Directory, record: Record, state: str) -> Record:
    """Walk a proposed record to a state."""
    for kind in WAYS[state]:
        body = {**PAYLOADS[kind], **({"digest": record.digest} if "digest" in PAYLOADS[kind] else {})}
        store.append(record, kind, body)
    return record
