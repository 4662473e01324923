# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What stands against an autoscaler on a workload, or has to be said about it: one small function for each, all in the table CHECKS.

A check takes what was ``Seen`` and gives its finding {code, severity, sentence, fix} or None. See context.py for the severities. Pure;
nothing raises.
"""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import rivals
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import controller_of, plain
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.seen import SCALABLE, Finding, Seen, finding

Object = dict[str, Any]
SINGLE = ("single_volume", "singleton")  # findings after which two replicas are not to be had

_KINDS: dict[str, tuple[str, str]] = {
    "DaemonSet": (
        "runs one pod on each of its nodes, so it has no number of replicas",
        "Give its containers more (requests and limits), or add nodes.",
    ),
    "Job": (
        "runs to an end; an autoscaler is for what serves",
        "Raise spec.parallelism where its work can be divided, or scale Jobs with a KEDA ScaledJob.",
    ),
    "CronJob": (
        "starts Jobs that run to an end; an autoscaler is for what serves",
        "Raise spec.jobTemplate.spec.parallelism where its work can be divided.",
    ),
    "Pod": ("is one pod that nothing replaces or copies", "Make a Deployment of it; that one can be scaled."),
}
_LEADER = ("leader-elect", "leader_elect", "leaderelect", "enable-leader-election")


def all_of(seen: Seen) -> list[Finding]:
    """Every finding: refusals first, otherwise in the order of the table."""
    found = [said for check in CHECKS for said in (check(seen),) if said]
    return sorted(found, key=lambda one: ("refuse", "owner", "warn").index(one["severity"]))


# --- what it is -------------------------------------------------------------------------------------------------------------


def _kind(seen: Seen) -> Finding | None:
    above = _above(seen)
    if above and (seen.kind not in SCALABLE or above[0] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Rollout")):
        return finding(
            "kind",
            "refuse",
            f"{seen.name} belongs to {above[0].lower()}/{above[1]}.",
            f"Name {above[0].lower()}/{above[1]} as the workload.",
        )
    if seen.kind in SCALABLE:
        return None
    why, fix = _KINDS.get(
        seen.kind, ("is of a kind that is not scaled here", "Name a Deployment, a StatefulSet or a ReplicaSet that nothing owns.")
    )
    return finding("kind", "refuse", f"{seen.name} {why}.", fix)


def _above(seen: Seen) -> tuple[str, str] | None:
    """(kind, name) of the topmost owner that is known."""
    owner, lists = controller_of(seen.workload), {"ReplicaSet": "replicasets", "Job": "jobs"}
    for step in range(3):
        if owner is None:
            break
        found = next(
            (
                one
                for one in seen.objects.get(lists.get(str(owner.get("kind")), "")) or ()
                if one["metadata"].get("uid") == owner.get("uid")
            ),
            None,
        )
        higher = controller_of(found) if found and step < 2 else None
        if higher is None:
            return plain(owner.get("kind")), plain(owner.get("name"))
        owner = higher
    return None


def _owned(seen: Seen) -> Finding | None:
    owner = controller_of(seen.workload)
    if seen.kind not in SCALABLE or owner is None or _kind(seen):
        return None
    who = f"{plain(owner.get('kind'))} {plain(owner.get('name'))} ({plain(owner.get('apiVersion', ''))})"
    return finding(
        "owned",
        "owner",
        f"{seen.name} is made by {who}, whose controller may set replicas back.",
        f"Scale {who}, as its documentation says.",
    )


def _deleted(seen: Seen) -> Finding | None:
    if "deletionTimestamp" not in (seen.workload.get("metadata") or {}):
        return None
    return finding("deleted", "refuse", f"{seen.name} is being deleted.", "Name the workload that takes its place.")


# --- what state it is in ----------------------------------------------------------------------------------------------------


def _zero(seen: Seen) -> Finding | None:
    if seen.kind not in SCALABLE or seen.spec.get("replicas", 1) != 0:
        return None
    return finding(
        "zero",
        "refuse",
        f"{seen.name} is set to zero replicas: somebody stopped it, and an autoscaler stays off as long as it is zero.",
        "Ask who stopped it and why; set replicas to 1 or more first.",
    )


def _paused(seen: Seen) -> Finding | None:
    if not seen.spec.get("paused"):
        return None
    return finding(
        "paused",
        "refuse",
        f"The rollout of {seen.name} is paused: scaling now would grow the old and the new version together.",
        f"Finish or undo the rollout first: kubectl rollout resume {seen.name}.",
    )


def _rollout(seen: Seen) -> Finding | None:
    """Old and new pods side by side, or a change that the controller has not seen yet. With a partition that may be on purpose."""
    if seen.kind not in ("Deployment", "StatefulSet"):
        return None
    unseen = seen.status.get("observedGeneration", 0) < (seen.workload.get("metadata") or {}).get("generation", 0)
    revisions = seen.kind == "Deployment" or seen.status.get("currentRevision") != seen.status.get("updateRevision")
    mixed = revisions and seen.status.get("replicas", 0) > seen.status.get("updatedReplicas", 0)
    if not unseen and not mixed:
        return None
    partition = ((seen.spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0)
    if partition and not unseen:
        return finding("rollout", "warn", f"{seen.name} runs two revisions (partition {partition}); the load is of both.")
    return finding(
        "rollout",
        "refuse",
        f"A rollout of {seen.name} is under way: {seen.status.get('updatedReplicas', 0)} of {seen.status.get('replicas', 0)} pods are of"
        " the new revision, and the load of the old ones says little about the new.",
        f"Wait until it is through (kubectl rollout status {seen.name}), or diagnose it if it is stuck.",
    )


def _not_created(seen: Seen) -> Finding | None:
    failed = next(
        (one for one in seen.status.get("conditions") or () if one.get("type") == "ReplicaFailure" and one.get("status") == "True"), None
    )
    if failed is None:
        return None
    return finding(
        "not_created",
        "refuse",
        f"{seen.name} wants {seen.spec.get('replicas', 1)} pods and cannot create them: {plain(failed.get('message', ''), 240)}",
        "Make room first (quota, LimitRange, admission); a higher number of replicas does not help.",
    )


def _not_ready(seen: Seen) -> Finding | None:
    ready, wanted = seen.facts["replicas"]["ready"], seen.spec.get("replicas", 1)
    if seen.kind not in SCALABLE or not wanted or ready >= wanted:
        return None
    sentence = f"{ready} of {wanted} pods of {seen.name} are ready."
    if ready == 0:
        return finding("not_ready", "refuse", sentence, "Find out why first: ansible-playbook aiops.k8s.diagnose.")
    return finding("not_ready", "warn", f"{sentence} They carry the load of all; it falls when the others come.")


# --- what it may share ------------------------------------------------------------------------------------------------------


def _volumes(seen: Seen) -> Finding | None:
    """Replicas of a Deployment share its claims. Those of a StatefulSet's templates are made for each pod."""
    named = {
        volume["persistentVolumeClaim"].get("claimName")
        for volume in seen.template.get("volumes") or ()
        if volume.get("persistentVolumeClaim")
    }
    if seen.kind not in SCALABLE or not named:
        return None
    claims = {
        one["metadata"]["name"]: (one.get("spec") or {}).get("accessModes") or []
        for one in seen.objects.get("persistentvolumeclaims") or ()
        if one["metadata"].get("namespace") == seen.namespace
    }
    unknown = sorted(plain(name) for name in named - set(claims))
    single = sorted(plain(name) for name in named & set(claims) if not {"ReadWriteMany", "ReadOnlyMany"} & set(claims[name]))
    if single:
        several = seen.spec.get("replicas", 1) > 1 and not any("ReadWriteOncePod" in claims.get(name, ()) for name in named)
        sentence = f"All pods of {seen.name} would share the volume of claim {', '.join(single)}, which one node at a time can write to"
        if several:
            return finding("shared_volume", "warn", f"{sentence}: more pods fit on that node only.")
        return finding(
            "single_volume",
            "refuse",
            f"{sentence}: a second pod would wait on any other node, and on this one both would write to the same files.",
            "Use a StatefulSet with volumeClaimTemplates (a volume for each pod), a ReadWriteMany volume, or keep the data elsewhere; or"
            " give the pod more CPU.",
        )
    if unknown:
        return finding(
            "unknown_volume", "warn", f"Whether several pods can share the claim {', '.join(unknown)} is not known: it was not read."
        )
    return None


def _statefulset(seen: Seen) -> Finding | None:
    if seen.kind != "StatefulSet":
        return None
    parts = ["the application has to share its work with pods that come and go"]
    if seen.facts["ordered"]:
        parts.append("pods start one after another, each waiting for the one before (podManagementPolicy OrderedReady)")
    if seen.spec.get("volumeClaimTemplates"):
        kept = ((seen.spec.get("persistentVolumeClaimRetentionPolicy") or {}).get("whenScaled") or "Retain") == "Retain"
        parts.append(
            "each new pod gets volumes of its own"
            + (", which stay and are paid for after scaling down" if kept else ", deleted when scaled down")
        )
    return finding("statefulset", "warn", f"{seen.name} keeps state: {'; '.join(parts)}.")


def _singleton(seen: Seen) -> Finding | None:
    words = " ".join(
        str(word)
        for container in seen.template.get("containers") or ()
        for word in [
            *(container.get("command") or ()),
            *(container.get("args") or ()),
            *(f"{one.get('name')}={one.get('value')}" for one in container.get("env") or () if one.get("value") is not None),
        ]
    ).lower()
    if not any(word in words for word in _LEADER) or any(f"{word}=false" in words for word in _LEADER):
        return None
    return finding(
        "singleton",
        "warn",
        f"{seen.name} elects a leader, by its arguments: where only the leader works, more replicas do not take load off it.",
    )


def _recreate(seen: Seen) -> Finding | None:
    if (seen.spec.get("strategy") or {}).get("type") != "Recreate":
        return None
    return finding(
        "recreate",
        "warn",
        f"{seen.name} has the strategy Recreate, often because two of its versions or pods must not run at once: ask its owner.",
    )


def _budget(seen: Seen) -> Finding | None:
    labels = ((seen.spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    for one in seen.objects.get("poddisruptionbudgets") or ():
        wanted = ((one.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        here = one["metadata"].get("namespace") == seen.namespace
        if here and wanted and wanted.items() <= labels.items() and (one.get("status") or {}).get("disruptionsAllowed", 1) == 0:
            return finding(
                "budget",
                "warn",
                f"The PodDisruptionBudget {plain(one['metadata']['name'])} allows no eviction now; nodes cannot be drained.",
            )
    return None


# --- what an autoscaler needs -----------------------------------------------------------------------------------------------


def _metrics(seen: Seen) -> Finding | None:
    if seen.served is None or "metrics.k8s.io" in seen.served:
        return None
    return finding(
        "metrics",
        "refuse",
        "The API metrics.k8s.io is not served, so that an autoscaler on CPU or memory would see nothing.",
        "Install metrics-server, or mend it: kubectl get apiservice v1beta1.metrics.k8s.io.",
    )


def _sidecar(seen: Seen) -> Finding | None:
    names = seen.facts["sidecars"]
    if not names:
        return None
    return finding(
        "sidecars",
        "warn",
        f"Beside the application runs {', '.join(map(plain, names))}: the autoscaler sees the sum of all containers, which can hide its"
        " load.",
    )


CHECKS: tuple[Callable[[Seen], Finding | None], ...] = (
    _kind,
    _deleted,
    _zero,
    _paused,
    rivals.two_hpas,
    rivals.keda,
    rivals.unread,
    _not_created,
    _rollout,
    _not_ready,
    rivals.hpa_blind,
    _volumes,
    _metrics,
    _owned,
    rivals.replicas,
    rivals.vpa,
    _statefulset,
    _singleton,
    _recreate,
    _budget,
    _sidecar,
)
