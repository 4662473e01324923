# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""References to a ConfigMap or a key that does not exist: the one that is nearly called so, or a reference that may stay empty."""

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import named
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import (
    Bounds,
    Outcome,
    Remedy,
    all_containers,
    edited,
    managed,
    without_template,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.revisions import last_good
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View


def correct_reference(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """Refer to the ConfigMap, or the key of it, that is nearly called the same. Never for Secrets: what they hold is not known."""
    facts = finding.details
    if facts.get("kind") == "Secret":
        return None, "secrets are never read, so whether another one is meant is not known; its values are for a person to give"
    if not facts.get("meant"):
        return None, ""
    fixed = without_template(workload, "the reference")
    if fixed:
        return None, fixed

    def edit(desired: Object) -> None:
        for source in _places(desired, facts["name"]):
            if facts["key"]:
                _rename_key(source, facts["key"], facts["meant"])
            else:
                source["name"] = facts["meant"]

    changes = edited(workload, edit)
    if not changes:
        return None, ""
    return (
        Remedy(
            "correct_reference",
            f"make {named(workload)} refer to {'key ' if facts['key'] else 'ConfigMap '}{facts['meant']} instead of {_named(facts)}",
            changes,
            "the reference is set back",
            [f"{facts['meant']} exists; that it was meant is likely by its spelling, and not proven", *managed(workload)],
            ["it creates nothing, and invents no value"],
        ),
        "",
    )


def mark_optional(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """Let the reference be empty, where the last revision that worked did without it. Never for Secrets: that could open a door."""
    facts = finding.details
    if facts.get("kind") != "ConfigMap" or without_template(workload, ""):
        return None, ""
    newest, good, _why = last_good(view, finding, workload)
    if newest is None or good is None or not good.ready:
        return None, ""
    before = {"spec": {"template": good.template}}
    if any(not source.get("optional") for source in _places(before, facts["name"]) if _asks(source, facts["key"])):
        return None, ""

    def edit(desired: Object) -> None:
        for source in _places(desired, facts["name"]):
            if _asks(source, facts["key"]):
                source["optional"] = True

    changes = edited(workload, edit)
    if not changes:
        return None, ""
    return (
        Remedy(
            "mark_optional",
            f"let {named(workload)} start without {_named(facts)}",
            changes,
            "the reference is required again",
            [f"revision {good.number} works without it: {good.ready} of its pods are ready now", *managed(workload)],
            ["it creates nothing, and invents no value; what the application does without it is for its owners to know"],
        ),
        "",
    )


def _named(facts: dict[str, Any]) -> str:
    """``key mode of ConfigMap settings``, or the ConfigMap alone."""
    return f"key {facts['key']} of ConfigMap {facts['name']}" if facts["key"] else f"ConfigMap {facts['name']}"


def _places(workload: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Every reference to a ConfigMap of this name in the pod template, to be changed in place."""
    for container in all_containers(workload):
        for variable in container.get("env", []):
            source = (variable.get("valueFrom") or {}).get("configMapKeyRef")
            if source and source.get("name") == name:
                yield source
        for bulk in container.get("envFrom", []):
            if (bulk.get("configMapRef") or {}).get("name") == name:
                yield bulk["configMapRef"]
    for volume in workload["spec"]["template"]["spec"].get("volumes", []):
        for one in [volume, *(volume.get("projected") or {}).get("sources", [])]:
            if (one.get("configMap") or {}).get("name") == name:
                yield one["configMap"]


def _asks(source: dict[str, Any], key: str) -> bool:
    return not key or source.get("key") == key or any(item.get("key") == key for item in source.get("items") or [])


def _rename_key(source: dict[str, Any], old: str, new: str) -> None:
    for one in [source, *(source.get("items") or [])]:
        if one.get("key") == old:
            one["key"] = new
