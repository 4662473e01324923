# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a remedy is, and what all of them share: the template of a workload, its owners, and secrets that must not get into a plan."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import containers_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View
from ansible_collections.aiops.k8s.plugins.module_utils.operation import plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import holds_secret

TEMPLATE_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
_REFERENCES = ("name", "key", "secretName", "path", "mountPath", "tokenExpirationSeconds")  # keys whose values name secrets, and hold none


@dataclass
class Remedy:
    """A change that the facts support.

    changes: as in a plan (operation/plan.py); undo: how it is taken back, in words; leaves: what it will not do, for the approver.
    subject: the object whose health proves it, where it is not the one that the finding is about.
    """

    name: str
    summary: str
    changes: list[dict[str, Any]]
    undo: str
    notes: list[str] = field(default_factory=list)
    leaves: list[str] = field(default_factory=list)
    replaces: int | None = None  # ready pods that it disturbs; None: all of the workload
    subject: Object | None = None
    basis: str = ""  # what it relies on beside the template: the same change on another basis is another attempt


@dataclass
class Bounds:
    """Limits that a user sets: the highest memory limit in bytes that may be proposed."""

    memory_cap: float


Outcome = tuple["Remedy | None", str]  # (remedy, why none; "" where it simply does not apply)
Proposer = Callable[[View, Finding, Object, Bounds], Outcome]


def all_containers(workload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Init containers and containers of the pod template."""
    return containers_of(workload["spec"]["template"]["spec"])


def container_of(workload: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The container of this name in the pod template."""
    return next((one for one in all_containers(workload) if one["name"] == name), None)


def without_template(workload: Object, what: str) -> str:
    """Why the pod template of this kind cannot be changed; "" where it can."""
    if workload["kind"] in TEMPLATE_KINDS:
        return ""
    return f"the pod template of a {workload['kind'].lower()} cannot be changed; change {what} where it is created"


def edited(workload: Object, edit: Callable[[Object], None]) -> list[dict[str, Any]]:
    """The guarded change that an edit of a copy of the object makes, as the one change of a plan; empty where it changes nothing."""
    desired = copy.deepcopy(workload)
    edit(desired)
    change = plans.patch_change("C1", workload, desired)
    return [change] if change["outcome"] else []


def managed(workload: Object) -> list[str]:
    """Who else writes this object, as a note for the approver."""
    metadata = workload["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if labels.get("app.kubernetes.io/managed-by") == "Helm" or "meta.helm.sh/release-name" in annotations:
        return [
            f"Helm release {annotations.get('meta.helm.sh/release-name', '')} owns this object: put the same change into its values, or the"
            " next upgrade takes it back"
        ]
    if any(key.startswith("argocd.argoproj.io/") for key in (*labels, *annotations)) or any(
        key.startswith("kustomize.toolkit.fluxcd.io/") for key in labels
    ):
        return ["a GitOps controller owns this object: put the same change into its repository, or it is taken back"]
    return []


def literal_secrets(template: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    """(container, name, value) of environment variables that hold a secret literally."""
    return {
        (container["name"], one["name"], one["value"])
        for container in containers_of(template["spec"])
        for one in container.get("env", [])
        if "value" in one and holds_secret(one["name"], one["value"])
    }


def carries_secret(operations: list[dict[str, Any]], known: set[str]) -> bool:
    """Whether a patch would write a literal secret into the plan: one of the known values, or what looks like one by name or value."""
    return any(_holds_secret(operation["path"].rpartition("/")[2], operation.get("value"), known) for operation in operations)


def _holds_secret(name: str, value: Any, known: set[str]) -> bool:
    if isinstance(value, dict):
        called: bool = isinstance(value.get("name"), str) and holds_secret(value["name"], value.get("value"))
        return called or any(_holds_secret(key, one, known) for key, one in value.items() if key not in _REFERENCES)
    if isinstance(value, list):
        return any(_holds_secret("", one, known) for one in value)
    return isinstance(value, str) and (value in known or (name not in _REFERENCES and holds_secret(name, value)))
