# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Earlier revisions of a workload: going back to one that worked, or taking only the failing part from it."""

from __future__ import annotations

import copy
from typing import Any, Callable, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import named
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import (
    TEMPLATE_KINDS,
    Bounds,
    Outcome,
    Proposer,
    Remedy,
    all_containers,
    carries_secret,
    literal_secrets,
    managed,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View
from ansible_collections.aiops.k8s.plugins.module_utils.operation import plan as plans

_REVISION = "deployment.kubernetes.io/revision"
_HASHES = ("pod-template-hash", "controller-revision-hash")


class Revision(NamedTuple):
    """One revision of a workload: its number, pod template, and how many pods of it are ready now. ``key``: its label on pods."""

    number: int
    template: dict[str, Any]
    ready: int
    key: str


def revisions(view: View, workload: Object) -> list[Revision]:
    """All revisions that the cluster still holds, oldest first. The newest is what the controller makes pods of now."""
    if workload["kind"] == "Deployment":
        found = [
            Revision(_number(one), one["spec"]["template"], one.get("status", {}).get("readyReplicas", 0), one["metadata"]["uid"])
            for one in view.inside("replicasets", workload["metadata"]["namespace"])
            if view.owner(one) is workload
        ]
    else:
        found = [
            Revision(one.get("revision", 0), one["data"]["spec"]["template"], _ready_of(view, workload, one), one["metadata"]["name"])
            for one in view.inside("controllerrevisions", workload["metadata"]["namespace"])
            if any(owner.get("uid") == workload["metadata"]["uid"] for owner in one["metadata"].get("ownerReferences", []))
            and "template" in (one.get("data") or {}).get("spec", {})
        ]
    return sorted(found)


def last_good(view: View, finding: Finding, workload: Object) -> tuple[Revision | None, Revision | None, str]:
    """(newest, the last earlier revision that works, why none)."""
    if workload["kind"] not in TEMPLATE_KINDS:
        return None, None, ""
    known = revisions(view, workload)
    name = named(workload)
    if len(known) < 2:
        return None, None, f"{name} has no earlier revision to return to"
    newest, earlier = known[-1], known[:-1]
    failing = {pod["uid"] for pod in finding.pods}
    if any(_of(view, workload, pod) != newest.key for pod in view.pods_of(workload) if pod["metadata"]["uid"] in failing):
        return newest, None, f"pods of an earlier revision of {name} fail as well, so the newest template is not the cause"
    if workload["spec"].get("paused"):
        return newest, None, f"{name} is paused; a person holds its rollout"
    working = [one for one in earlier if one.ready > 0]
    if not working and not _stops_all_pods_first(workload):
        return newest, None, f"no earlier revision of {name} has a ready pod, so none is known to work"
    return newest, (working or earlier)[-1], ""


def undo_rollout(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """Back to the template of the last revision that worked, when it was the newest template that broke it."""
    newest, chosen, why = last_good(view, finding, workload)
    if newest is None or chosen is None:
        return None, why
    name = named(workload)
    desired = copy.deepcopy(workload)
    desired["spec"]["template"] = _clean(chosen.template)
    change = plans.patch_change("C1", workload, desired)
    if not change["outcome"]:
        return None, f"revision {chosen.number} of {name} has the same template as the newest"
    secrets, others = literal_secrets(workload["spec"]["template"]), literal_secrets(desired["spec"]["template"])
    if secrets != others or carries_secret(change["patch"], {value for _container, _name, value in secrets}):
        return (
            None,
            (
                f"returning to revision {chosen.number} would copy a secret value into the plan; run kubectl rollout undo {name}"
                f" --to-revision={chosen.number}, and move the value into a Secret"
            ),
        )
    proof = f"{chosen.ready} of its pods are ready now" if chosen.ready else "its pods are gone, so that it worked is not proven"
    stuck = _held_back(view, finding, workload)
    return (
        Remedy(
            "undo_rollout",
            f"return {name} to the template of revision {chosen.number}",
            [change, *stuck],
            f"the template of revision {newest.number} is put back",
            [f"revision {chosen.number}: {proof}", *managed(workload)],
            [f"it takes back everything that revision {newest.number} changed in the template, and does not mend that revision"],
            replaces=sum(1 for pod in view.pods_of(workload) if is_ready(pod) and _of(view, workload, pod) != chosen.key),
        ),
        "",
    )


def restore(field: str, what: str, pick: Callable[[dict[str, Any]], dict[str, Any]]) -> Proposer:
    """A proposer that takes only one part of the failing container from the last revision that worked.

    pick: the part of a container, as {key: value}; keys that it lacks are removed.
    """

    def propose(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
        newest, chosen, _why = last_good(view, finding, workload)
        if newest is None or chosen is None or not chosen.ready:
            return None, ""  # undo_rollout says why
        desired = copy.deepcopy(workload)
        mine = next((one for one in all_containers(desired) if one["name"] == finding.container), None)
        worked = next((one for one in all_containers({"spec": {"template": chosen.template}}) if one["name"] == finding.container), None)
        if mine is None or worked is None or pick(mine) == pick(worked):
            return None, ""
        for key in {*pick(mine), *pick(worked)}:
            mine.pop(key, None)
        mine.update(copy.deepcopy(pick(worked)))
        if _clean(desired["spec"]["template"]) == _clean(chosen.template):
            return None, ""  # the same as undo_rollout
        change = plans.patch_change("C1", workload, desired)
        if carries_secret(change["patch"], {value for _container, _name, value in literal_secrets(workload["spec"]["template"])}):
            return None, f"the {what} of revision {chosen.number} holds what looks like a secret value"
        return (
            Remedy(
                f"restore_{field}",
                f"set the {what} of container {finding.container} back to that of revision {chosen.number}",
                [change, *_held_back(view, finding, workload)],
                f"the {what} of revision {newest.number} is put back",
                [f"revision {chosen.number} works: {chosen.ready} of its pods are ready now", *managed(workload)],
                [f"it keeps what else revision {newest.number} changed; that this works together is not proven before the change"],
            ),
            "",
        )

    return propose


def _picking(*keys: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda container: {key: container[key] for key in keys if key in container}


restore_image = restore("image", "image", _picking("image"))
restore_command = restore("command", "command", _picking("command", "args"))
restore_directory = restore("working_directory", "working directory", _picking("workingDir"))
restore_probes = restore("probes", "probes", _picking("livenessProbe", "readinessProbe", "startupProbe"))
restore_hooks = restore("hooks", "lifecycle hooks", _picking("lifecycle"))
restore_environment = restore("references", "references to ConfigMaps and Secrets", _picking("env", "envFrom", "volumeMounts"))
restore_resources = restore("resources", "requests and limits", _picking("resources"))


def _held_back(view: View, finding: Finding, workload: Object) -> list[dict[str, Any]]:
    """Deletions of the broken pods of a StatefulSet: an ordered rollout waits for them for ever, even after the template is mended."""
    if workload["kind"] != "StatefulSet" or workload["spec"].get("podManagementPolicy") == "Parallel":
        return []
    broken = [pod for pod in (view.pod(one["uid"]) for one in finding.pods) if pod]
    return [
        plans.delete_change(f"C{number}", pod, f"deleted; {named(workload)} creates it anew from the new template")
        for number, pod in enumerate(broken, 2)
    ]


def _of(view: View, workload: Object, pod: Object) -> str:
    """The key of the revision that a pod is of."""
    if workload["kind"] == "Deployment":
        owner = view.owner(pod)
        return owner["metadata"]["uid"] if owner else ""
    label = (pod["metadata"].get("labels") or {}).get("controller-revision-hash", "")
    return label if workload["kind"] == "StatefulSet" else f"{workload['metadata']['name']}-{label}"


def _ready_of(view: View, workload: Object, revision: Object) -> int:
    return sum(1 for pod in view.pods_of(workload) if is_ready(pod) and _of(view, workload, pod) == revision["metadata"]["name"])


def _clean(template: dict[str, Any]) -> dict[str, Any]:
    """A template without what the controllers put into it."""
    plain = copy.deepcopy(template)
    plain.pop("$patch", None)
    for label in _HASHES:
        (plain.get("metadata", {}).get("labels") or {}).pop(label, None)
    return plain


def _number(replicaset: Object) -> int:
    text = (replicaset["metadata"].get("annotations") or {}).get(_REVISION, "0")
    return int(text) if text.isdigit() else 0


def _stops_all_pods_first(workload: Object) -> bool:
    """Whether a rollout leaves no old pod that could show that its revision works: otherwise working ones are kept."""
    if workload["kind"] == "StatefulSet":
        return bool(workload["spec"].get("replicas", 1) == 1)
    strategy = workload["spec"].get("strategy") or workload["spec"].get("updateStrategy") or {}
    default = "25%" if workload["kind"] == "Deployment" else "1"
    unavailable = str((strategy.get("rollingUpdate") or {}).get("maxUnavailable", default))
    replicas = (
        workload["spec"].get("replicas", 1)
        if workload["kind"] == "Deployment"
        else workload.get("status", {}).get("desiredNumberScheduled", 1)
    )
    return strategy.get("type") == "Recreate" or unavailable == "100%" or (unavailable.isdigit() and int(unavailable) >= replicas)
