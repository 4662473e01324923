# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who else writes an object or its spec.replicas, by the marks and field managers that tools leave, and what to do about each.

``owner_of(object)``: {tool, who, keeps, where} or None; tool is a key of TOOLS, who names it in words, keeps says whether it puts its own
version back by itself, where says in words the place at which the change belongs.
``writers_of_replicas(workload)``: [{tool, manager, operation, subresource}], newest first; None where the object came without f: fields.
Pure; nothing raises. What came from annotations is shown cut and without control characters: anybody may have written it.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.operation.patch import RECORD_ANNOTATION

Object = dict[str, Any]


class Tool(NamedTuple):
    """What a tool is called, whether it puts its own version back, where its objects are changed, and how it gives spec.replicas away.

    ``keeps``: "always" (within minutes, by itself), "next" (when somebody runs it the next time), "never".
    """

    words: str
    keeps: str
    where: str
    release: str


# Taking replicas out of a manifest lets the API server set the default, 1, until the autoscaler acts. Said wherever it happens.
_FALLS = "The first apply without it sets 1 replica until the autoscaler acts: do that at a quiet time"

TOOLS: dict[str, Tool] = {
    "argocd": Tool(
        "the Argo CD application",
        "always",
        "the manifest in the Git repository of the application",
        "Remove spec.replicas from the manifest in Git, or add ignoreDifferences with jsonPointers [/spec/replicas] to the Application, "
        "with the sync option RespectIgnoreDifferences=true",
    ),
    "flux": Tool(
        "the Flux Kustomization",
        "always",
        "the manifest in the Git repository of the Kustomization",
        "Remove spec.replicas from the manifest in Git; Flux then leaves the field to the autoscaler",
    ),
    "flux-helm": Tool(
        "the Flux HelmRelease",
        "always",
        "spec.values of the HelmRelease",
        "Set the chart's autoscaling value in the HelmRelease so that the chart leaves out replicas, or add spec.driftDetection.ignore "
        "with paths [/spec/replicas]",
    ),
    "helm": Tool(
        "the Helm release",
        "next",
        "the values of the release (helm upgrade)",
        f"Have the chart leave out replicas (most charts do with autoscaling.enabled=true) before the next helm upgrade. {_FALLS}",
    ),
    "kubectl-apply": Tool(
        "kubectl apply",
        "next",
        "the manifest that is applied",
        "Remove spec.replicas from the manifest, and from the last applied configuration with kubectl apply edit-last-applied, "
        "before the next kubectl apply",
    ),
    "kubectl-server-side": Tool(
        "kubectl apply --server-side",
        "next",
        "the manifest that is applied",
        "Remove spec.replicas from the manifest once the autoscaler has written it, and before the next kubectl apply --server-side, which"
        " would end with a conflict",
    ),
    "terraform": Tool(
        "Terraform", "next", "the Terraform configuration", "Add spec[0].replicas to lifecycle.ignore_changes of the resource in Terraform"
    ),
    "pulumi": Tool("Pulumi", "next", "the Pulumi program", "Add spec.replicas to ignoreChanges of the resource in Pulumi"),
    "keda": Tool("KEDA", "always", "the ScaledObject", "Leave replicas to the ScaledObject"),
    "controller": Tool("a controller", "always", "the object that owns it", "Set the number of replicas on the object that owns it"),
    "ours": Tool("this collection", "never", "a proposal of this collection", ""),
    "autoscaler": Tool("the HorizontalPodAutoscaler", "never", "the HorizontalPodAutoscaler", ""),
    "person": Tool("somebody with kubectl", "never", "kubectl", ""),
    "unknown": Tool(
        "a client", "next", "whatever this client applies", "Find out what applies this object, and remove spec.replicas there"
    ),
}

# (tool, annotation or label whose value names it)
_MARKS: tuple[tuple[str, str], ...] = (
    ("ours", RECORD_ANNOTATION),
    ("argocd", "argocd.argoproj.io/tracking-id"),
    ("argocd", "argocd.argoproj.io/instance"),
    ("flux-helm", "helm.toolkit.fluxcd.io/name"),
    ("flux", "kustomize.toolkit.fluxcd.io/name"),
    ("keda", "scaledobject.keda.sh/name"),
    ("helm", "meta.helm.sh/release-name"),
)
_MANAGED_BY = {"helm": "helm", "argocd": "argocd", "keda-operator": "keda", "terraform": "terraform", "pulumi": "pulumi"}

# Field managers, first match counts. The operation (Apply or Update) tells kubectl apply --server-side from the other verbs of kubectl.
_MANAGERS: tuple[tuple[str, str], ...] = (
    ("argocd", r"^argocd"),
    ("flux", r"^kustomize-controller$"),
    ("flux-helm", r"^helm-controller$"),
    ("helm", r"^helm$"),
    ("keda", r"^keda"),
    ("kubectl-apply", r"^kubectl-(client-side-apply|last-applied)$"),
    ("terraform", r"(?i)^(terraform|hashicorp)"),
    ("pulumi", r"(?i)^pulumi"),
    ("autoscaler", r"^kube-controller-manager$"),
    ("ours", r"^aiops\.k8s"),
    ("person", r"^kubectl(-|$)"),
)


def plain(text: object, most: int = 80) -> str:
    """Somebody else's text for a sentence of ours: one line, printable, cut."""
    shown = "".join(char if char.isprintable() else " " for char in str(text)[: most * 4])
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else f"{shown[:most]}..."


def tool_of(manager: str, operation: str = "Update") -> str:
    """The key in TOOLS of a field manager."""
    if manager == "kubectl" and operation == "Apply":
        return "kubectl-server-side"
    return next((tool for tool, pattern in _MANAGERS if re.search(pattern, manager)), "unknown")


def owner_of(item: Mapping[str, Any]) -> Object | None:
    """Who else keeps this object: another object, or a tool by its mark or field manager. None for a person's own and for nobody's."""
    metadata = item.get("metadata") or {}
    controller = controller_of(item)
    if controller is not None:
        tool = "keda" if controller.get("kind") == "ScaledObject" else "controller"
        return _owner(tool, f"{plain(controller.get('kind'))} {plain(controller.get('name'))}", item)
    texts = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    for tool, mark in _MARKS:
        if texts.get(mark):
            value = str(texts[mark]).split(":", 1)[0] if mark.endswith("tracking-id") else texts[mark]
            return _owner(
                tool, f"{TOOLS[tool].words} {plain(value)}" if tool != "ours" else f"record {plain(value)} of this collection", item
            )
    named = _MANAGED_BY.get(str(texts.get("app.kubernetes.io/managed-by", "")).lower())
    if named:
        return _owner(named, TOOLS[named].words, item)
    for entry in _newest_first(metadata):
        tool = tool_of(str(entry.get("manager", "")), str(entry.get("operation", "")))
        if tool not in ("autoscaler", "person", "unknown", "ours") and not entry.get("subresource"):
            return _owner(tool, TOOLS[tool].words, item)
    return None


def controller_of(item: Mapping[str, Any]) -> Object | None:
    """The owner reference of the object that controls this one."""
    owners = (item.get("metadata") or {}).get("ownerReferences") or ()
    return next((dict(one) for one in owners if one.get("controller")), None)


def writers_of_replicas(workload: Mapping[str, Any]) -> list[Object] | None:
    """Whose managed fields hold spec.replicas, newest first. None where they came without their fields, so that nobody can tell."""
    entries = _newest_first(workload.get("metadata") or {})
    if not any("fieldsV1" in entry for entry in entries):
        return None
    return [
        {
            "tool": tool_of(str(entry.get("manager", "")), str(entry.get("operation", ""))),
            "manager": plain(entry.get("manager", "")),
            "operation": str(entry.get("operation", "")),
            "subresource": str(entry.get("subresource", "")),
        }
        for entry in entries
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]


def _newest_first(metadata: Mapping[str, Any]) -> list[Object]:
    return sorted(metadata.get("managedFields") or (), key=lambda one: str(one.get("time", "")), reverse=True)


def _owner(tool: str, who: str, item: Mapping[str, Any]) -> Object:
    where = TOOLS[tool].where
    if tool in ("keda", "controller") and controller_of(item) is not None:
        where = who
    return {"tool": tool, "who": who, "keeps": TOOLS[tool].keeps, "where": where}
