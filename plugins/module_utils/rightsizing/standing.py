# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What stands against changing the requests of a workload whatever its history says: one small function for each, in the table CHECKS.

A check takes ``Asked`` and gives a Reason {code, sentence, fix}, or None. Pure; nothing raises.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import targets
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import TOOLS, controller_of, owner_of, plain
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready

Object = dict[str, Any]
Reason = dict[str, str]

OPT_OUT = "aiops.k8s/rightsize"
_NO = ("off", "false", "no", "disabled", "never")
_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
# tools that render the template from something else; what a person applies from a manifest only gets a note
_RENDERS = ("helm", "argocd", "flux", "flux-helm", "terraform", "pulumi")
_APPLIES = ("kubectl-apply", "kubectl-server-side")


class Asked(NamedTuple):
    """The workload with its live pods, the lists of the cluster, and the options."""

    workload: Mapping[str, Any]
    pods: list[Object]
    all_pods: list[Object]
    objects: Mapping[str, list[Object]]
    options: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.workload.get("kind", ""))

    @property
    def name(self) -> str:
        return f"{self.kind.lower()}/{plain((self.workload.get('metadata') or {}).get('name', ''))}"

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.workload.get("spec") or {}

    @property
    def status(self) -> Mapping[str, Any]:
        return self.workload.get("status") or {}

    def here(self, kind: str) -> list[Object]:
        """Objects of one list in the workload's namespace."""
        namespace = (self.workload.get("metadata") or {}).get("namespace")
        return [one for one in self.objects.get(kind) or () if one["metadata"].get("namespace") == namespace]


def reason(code: str, sentence: str, fix: str = "") -> Reason:
    return {"code": code, "sentence": sentence, "fix": fix}


def against(asked: Asked) -> list[Reason]:
    """Every reason, in the order of the table."""
    return [found for check in CHECKS for found in (check(asked),) if found]


def notes(asked: Asked) -> list[str]:
    """What is no reason against it, and has to be known."""
    found = [
        f"VerticalPodAutoscaler {plain(one['metadata']['name'])} only recommends (updateMode Off)."
        for one in _vpas(asked)
        if _mode(one) == "Off"
    ]
    owner = owner_of(asked.workload) or {}
    if owner.get("tool") in _APPLIES or (owner.get("tool") in _RENDERS and asked.options.get("owner_conflict") == "warn"):
        found.append(
            f"{owner['who'][0].upper()}{owner['who'][1:]} wrote the template and sets the old requests back the next time: change them in"
            f" {owner['where']} as well."
        )
    ready, wanted = sum(map(is_ready, asked.pods)), _wanted(asked)
    if 0 < ready < wanted:
        found.append(f"{ready} of {wanted} pods of {asked.name} are ready; these carry the load of all.")
    return found


# --- what it is -------------------------------------------------------------------------------------------------------------


def _kind(asked: Asked) -> Reason | None:
    if asked.kind in _KINDS:
        return None
    return reason("kind", f"{asked.name} is of a kind that is not sized here.", "Name a Deployment, a StatefulSet or a DaemonSet.")


def _deleted(asked: Asked) -> Reason | None:
    if "deletionTimestamp" not in (asked.workload.get("metadata") or {}):
        return None
    return reason("deleted", f"{asked.name} is being deleted.", "Name the workload that takes its place.")


def _opted_out(asked: Asked) -> Reason | None:
    template = (asked.spec.get("template") or {}).get("metadata") or {}
    marks = {**(template.get("annotations") or {}), **((asked.workload.get("metadata") or {}).get("annotations") or {})}
    if str(marks.get(OPT_OUT, "")).strip().lower() not in _NO:
        return None
    return reason(
        "opted_out",
        f'{asked.name} is not to be sized: it has the annotation {OPT_OUT}: "{plain(marks[OPT_OUT])}".',
        f"Ask who set it and why; remove the annotation {OPT_OUT} to allow it.",
    )


def _owned(asked: Asked) -> Reason | None:
    owner = controller_of(asked.workload)
    if owner is None:
        return None
    who = f"{plain(owner.get('kind'))} {plain(owner.get('name'))}"
    if owner.get("kind") in ("Job", "CronJob"):
        return reason(
            "batch", f"{asked.name} belongs to {who}: a batch job, whose usage says nothing of its next run.", "Size its job by hand."
        )
    return reason(
        "owned",
        f"{asked.name} is made by {who} ({plain(owner.get('apiVersion', ''))}), whose controller sets its template back.",
        f"Set the requests in {who}, as the documentation of its operator says.",
    )


def _to_zero(asked: Asked) -> Reason | None:
    """KEDA's default minimum is zero; its cpu and memory triggers alone never go there."""
    for one in asked.here("scaledobjects"):
        spec = one.get("spec") or {}
        target = {"apiVersion": "apps/v1", "kind": "Deployment", **(spec.get("scaleTargetRef") or {})}
        outside = [trigger for trigger in spec.get("triggers") or () if trigger.get("type") not in ("cpu", "memory")]
        if targets({"spec": {"scaleTargetRef": target}}, asked.workload) and not spec.get("minReplicaCount") and outside:
            return _batch(asked, f"ScaledObject {plain(one['metadata']['name'])}", "minReplicaCount")
    for one in asked.here("horizontalpodautoscalers"):
        if targets(one, asked.workload) and (one.get("spec") or {}).get("minReplicas") == 0:
            return _batch(asked, f"HorizontalPodAutoscaler {plain(one['metadata']['name'])}", "minReplicas")
    return None


def _batch(asked: Asked, who: str, field: str) -> Reason:
    return reason(
        "batch",
        f"{who} scales {asked.name} to zero: it runs like a batch job, so that usage depends on the work that came, not on the hour.",
        f"Set {field} of it to 1 or more, or size it by hand from its longest runs.",
    )


# --- who else changes it ----------------------------------------------------------------------------------------------------


def _vpas(asked: Asked) -> list[Object]:
    return [
        one
        for one in asked.here("verticalpodautoscalers")
        if targets({"spec": {"scaleTargetRef": (one.get("spec") or {}).get("targetRef")}}, asked.workload)
    ]


def _mode(vpa: Mapping[str, Any]) -> str:
    return str(((vpa.get("spec") or {}).get("updatePolicy") or {}).get("updateMode") or "Auto")


def _vpa(asked: Asked) -> Reason | None:
    acting = next((one for one in _vpas(asked) if _mode(one) != "Off"), None)
    if acting is None:
        return None
    name = plain(acting["metadata"]["name"])
    return reason(
        "vpa",
        f"VerticalPodAutoscaler {name} (updateMode {plain(_mode(acting))}) sets the requests of the pods of {asked.name}.",
        f"Set spec.updatePolicy.updateMode of VerticalPodAutoscaler {name} to Off, or leave the sizing to it.",
    )


def _owner_conflict(asked: Asked) -> Reason | None:
    owner = owner_of(asked.workload)
    if owner is None or owner["tool"] not in _RENDERS or asked.options.get("owner_conflict", "refuse") != "refuse":
        return None
    names = [plain(one.get("name")) for one in ((asked.spec.get("template") or {}).get("spec") or {}).get("containers") or ()]
    when = "within minutes" if TOOLS[owner["tool"]].keeps == "always" else "the next time it runs"
    return reason(
        "owner_conflict",
        f"{owner['who']} writes the template of {asked.name} and sets it back {when}.",
        f"Set resources of {', '.join(names)} in {owner['where']} instead, or allow the change here with owner_conflict: warn.",
    )


# --- what state it is in ----------------------------------------------------------------------------------------------------


def _wanted(asked: Asked) -> int:
    if asked.kind == "DaemonSet":
        return int(asked.status.get("desiredNumberScheduled", len(asked.pods)))
    replicas = asked.spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def _zero(asked: Asked) -> Reason | None:
    if asked.kind not in _KINDS or _wanted(asked):
        return None
    what = "no node takes a pod of it" if asked.kind == "DaemonSet" else "it is set to zero replicas"
    return reason("zero", f"{asked.name} runs nothing: {what}.", "Start it, and let it run for the days that are looked at.")


def _paused(asked: Asked) -> Reason | None:
    if not asked.spec.get("paused"):
        return None
    fix = f"Finish or undo the rollout first: kubectl rollout resume {asked.name}."
    return reason("paused", f"The rollout of {asked.name} is paused: a change of its template would not reach its pods.", fix)


def _on_delete(asked: Asked) -> Reason | None:
    if (asked.spec.get("updateStrategy") or {}).get("type") != "OnDelete":
        return None
    return reason(
        "on_delete",
        f"{asked.name} has the update strategy OnDelete: a change reaches a pod only when somebody deletes it.",
        "Set spec.updateStrategy.type to RollingUpdate, or change the requests and delete its pods by hand.",
    )


def _rollout(asked: Asked) -> Reason | None:
    if asked.kind not in _KINDS:
        return None
    status = asked.status
    unseen = status.get("observedGeneration", 0) < (asked.workload.get("metadata") or {}).get("generation", 0)
    running, updated = (
        ("desiredNumberScheduled", "updatedNumberScheduled") if asked.kind == "DaemonSet" else ("replicas", "updatedReplicas")
    )
    revisions = asked.kind != "StatefulSet" or status.get("currentRevision") != status.get("updateRevision")
    mixed = revisions and status.get(running, 0) > status.get(updated, 0)
    others = len(asked.all_pods) - len(asked.pods)
    if not unseen and not mixed and others <= 0:
        return None
    partition = ((asked.spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0)
    held = f" (partition {partition})" if partition else ""
    return reason(
        "rollout",
        f"A rollout of {asked.name} is under way{held}: {status.get(updated, 0)} of {status.get(running, 0)} pods are of the new revision.",
        f"Wait until it is through (kubectl rollout status {asked.name}), or diagnose it if it is stuck.",
    )


def _not_ready(asked: Asked) -> Reason | None:
    if asked.kind not in _KINDS or not _wanted(asked) or any(map(is_ready, asked.pods)):
        return None
    return reason(
        "not_ready", f"None of {_wanted(asked)} pods of {asked.name} is ready.", "Find out why first: ansible-playbook aiops.k8s.diagnose."
    )


CHECKS: tuple[Callable[[Asked], Reason | None], ...] = (
    _kind,
    _deleted,
    _opted_out,
    _owned,
    _to_zero,
    _vpa,
    _owner_conflict,
    _zero,
    _paused,
    _on_delete,
    _rollout,
    _not_ready,
)
