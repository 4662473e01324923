# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the interrupted operations do to the cluster, and how one knows afterwards that they did it once.

Each worker has Deployments of its own and uses them again and again: no replicas, so that nothing is started and each is available at
once. A change moves the memory limit between two values; ``metadata.generation`` counts how often that was done.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.objects import cluster_identity, who_am_i
from ansible_collections.aiops.k8s.plugins.module_utils.operation import actions, checks, clock, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import policy
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import payload

from tests.faults.gateway import Direct, until

# variant -> (number of Deployments that it changes, state in which it ends)
VARIANTS: dict[str, tuple[int, str]] = {"fix": (1, "closed"), "undo": (1, "rolled_back"), "delete": (0, "closed"), "two": (2, "closed")}
_LIMITS = ("20Mi", "40Mi")
_NEVER_STARTS = {"schedulingGates": [{"name": "aiops.k8s/test"}]}


@dataclass
class Case:
    """One operation to come: ``objects`` are the changed Deployments by name with their generation and limit before."""

    variant: str
    payload: dict[str, Any]
    before: dict[str, tuple[int, str]] = field(default_factory=dict)
    pod: str = ""  # what the variant delete deletes

    @property
    def ends(self) -> str:
        return VARIANTS[self.variant][1]

    @property
    def subjects(self) -> list[str]:
        return [*self.before, *([self.pod] if self.pod else [])]


class Stage:
    """One worker's objects. ``api`` is the real client, ``direct`` sends what the test itself has to send."""

    def __init__(self, direct: Direct, api: Api, namespace: str, image: str, number: int) -> None:
        self.direct, self.api, self.namespace, self.image, self.number = direct, api, namespace, image, number
        self.cluster = {**cluster_identity(api), "version": "test"}
        self.user = who_am_i(api)["user"]
        self.pods = 0

    def prepare(self, variant: str, pad: int = 0) -> Case:
        """A fresh operation on settled objects. ``pad``: bytes by which its first event is longer than it would be."""
        names = [f"{variant}-{self.number}-{letter}" for letter in "ab"[: max(1, VARIANTS[variant][0])]]
        lives = [self.settled(name) for name in names]
        failing: list[dict[str, str]] = []
        case = Case(variant, {})
        if variant == "delete":
            pod = self._dead_pod(lives[0])
            case.pod, failing = pod["metadata"]["name"], [{"uid": pod["metadata"]["uid"], "reason": "Evicted"}]
            changes = [plans.delete_change("C1", pod, "removed")]
        else:
            case.before = {live["metadata"]["name"]: (live["metadata"]["generation"], limit(live)) for live in lives}
            changes = [plans.patch_change(f"C{number}", live, _moved(live)) for number, live in enumerate(lives, 1)]
            changes = [actions.prepare(self.api, one, live)[0] for one, live in zip(changes, lives)]
        if variant == "undo":
            failing = [{"uid": self._stuck_pod(names[0])["metadata"]["uid"], "reason": "Pending"}]
        case.payload = self._payload(variant, plans.reference(lives[0]), changes, failing, "." * pad)
        return case

    def live(self, name: str) -> dict[str, Any]:
        return self.direct("GET", f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}")

    def pod_exists(self, name: str) -> bool:
        return bool(self.direct("GET", f"/api/v1/namespaces/{self.namespace}/pods/{name}"))

    def settled(self, name: str) -> dict[str, Any]:
        """The Deployment once the controller is done with it; it is made where it does not exist."""
        if not self.live(name):
            self.direct("POST", f"/apis/apps/v1/namespaces/{self.namespace}/deployments", self._deployment(name))
        seen: list[str] = [""]

        def still() -> bool:
            live = self.live(name)
            done = is_settled(live) and live["metadata"]["resourceVersion"] == seen[0]
            seen[0] = live["metadata"]["resourceVersion"]
            return done

        until(f"deployment/{name} is settled", still, every=0.03)
        live = self.live(name)
        return {"apiVersion": "apps/v1", "kind": "Deployment", **live}

    def _payload(
        self, variant: str, subject: dict[str, str], changes: list[dict[str, Any]], failing: list[dict[str, str]], pad: str
    ) -> dict[str, Any]:
        target = {key: subject[key] for key in ("kind", "namespace", "name")}
        draft = plans.build(
            summary=f"interrupted operation of the kind {variant}",
            workflow="diagnose",
            target=target,
            cluster={key: self.cluster[key] for key in ("uid", "server")},
            changes=changes,
            # with no time at all to recover, a pod that never starts fails its check at the first look
            checks=checks.standard(subject, failing, within=0 if variant == "undo" else 60, hold=0, watch=0),
            undo="the limit is set back",
            risk=("medium", ["changes a Deployment without pods"]),
            created=clock.now(),
        )
        finding = {
            "code": "OOMKilled", "severity": "critical", "object": target, "container": "main", "title": "a container needs more memory",
            "root_cause": "Tests.", "suggested_fix": "Raise it.", "expected_outcome": "It lives.", "evidence": ["E1"], "pods": [],
            "runbook": "",
        }  # fmt: skip
        proposal = {
            "workflow": "diagnose", "title": f"OOMKilled in deployment/{target['name']}", "target": target, "findings": [finding],
            "evidence": [{"id": "E1", "source": "pod", "time": "", "excerpt": f"reason OOMKilled{pad}"}],
            "remedies": [], "plan": draft, "no_plan_reason": "", "not_chosen": [],
        }  # fmt: skip
        result = {"cluster": self.cluster, "user": self.user, "coverage": {"read": ["pods"], "not_evaluated": []}, "timings": {"observe": 0.1}}
        return payload(proposal, result, [], "ansible-playbook aiops.k8s.diagnose", {}, policy(None))

    def _deployment(self, name: str) -> dict[str, Any]:
        container = {"name": "main", "image": self.image, "imagePullPolicy": "IfNotPresent", "resources": {"limits": {"memory": _LIMITS[0]}}}
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template},
        }

    def _stuck_pod(self, deployment: str) -> dict[str, Any]:
        """A pod of the Deployment's selector that is never started: a check that waits for it fails."""
        name = f"{deployment}-stuck"
        found = self.direct("GET", f"/api/v1/namespaces/{self.namespace}/pods/{name}")
        return found or self._pod(name, {"app": deployment})

    def _dead_pod(self, deployment: dict[str, Any]) -> dict[str, Any]:
        """A failed pod that belongs to the Deployment's ReplicaSet, as an eviction leaves it behind."""
        self.pods += 1
        name, owner = f"{deployment['metadata']['name']}-{self.pods}", self._replicaset(deployment)
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}"
        pod = self._pod(name, {"app": deployment["metadata"]["name"]})  # an active one more than wanted would be deleted by its owner
        self.direct("PUT", f"{path}/status", {**pod, "status": {"phase": "Failed", "reason": "Evicted"}})
        pod = self.direct("GET", path)
        pod["metadata"]["labels"] = owner["metadata"]["labels"]
        reference = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }
        pod["metadata"]["ownerReferences"] = [reference]
        return {"apiVersion": "v1", "kind": "Pod", **self.direct("PUT", path, pod)}

    def _replicaset(self, deployment: dict[str, Any]) -> dict[str, Any]:
        name = deployment["metadata"]["name"]
        listed = self.direct("GET", f"/apis/apps/v1/namespaces/{self.namespace}/replicasets?labelSelector=app%3D{name}")
        return listed["items"][0]  # type: ignore[no-any-return]

    def _pod(self, name: str, labels: dict[str, str]) -> dict[str, Any]:
        container = {"name": "main", "image": self.image, "imagePullPolicy": "IfNotPresent"}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": {"containers": [container], **_NEVER_STARTS}}
        return self.direct("POST", f"/api/v1/namespaces/{self.namespace}/pods", body)


def is_settled(live: dict[str, Any]) -> bool:
    status = live.get("status", {})
    conditions = {one["type"]: one.get("reason") for one in status.get("conditions", [])}
    return bool(status.get("observedGeneration", 0) >= live["metadata"]["generation"] and conditions.get("Progressing") == "NewReplicaSetAvailable")


def limit(live: dict[str, Any]) -> str:
    return str(live["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"])


def other(value: str) -> str:
    return _LIMITS[1 - _LIMITS.index(value)]


def _moved(live: dict[str, Any]) -> dict[str, Any]:
    desired = copy.deepcopy(live)
    desired["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = other(limit(live))
    return desired
