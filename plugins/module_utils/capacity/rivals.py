# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who else scales a workload or sets its replicas: autoscalers, KEDA, VPA, whatever applies manifests. Checks for hindrances.py."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import TOOLS, controller_of, owner_of, plain
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.seen import SCALABLE, Finding, Object, Seen, finding


def two_hpas(seen: Seen) -> Finding | None:
    if len(seen.hpas) < 2:
        return None
    names = ", ".join(sorted(plain(one["metadata"]["name"]) for one in seen.hpas))
    return finding(
        "ambiguous",
        "refuse",
        f"{len(seen.hpas)} HorizontalPodAutoscalers scale {seen.name}: {names}. Each works against the others.",
        "Delete all but one, then run again.",
    )


def keda(seen: Seen) -> Finding | None:
    owned = [one for one in seen.hpas if (owner_of(one) or {}).get("tool") == "keda"]
    if not seen.scaled and not owned:
        return None
    name = (
        plain(seen.scaled[0]["metadata"]["name"]) if seen.scaled else plain(((controller_of(owned[0]) or {}).get("name")) or "of its HPA")
    )
    return finding(
        "keda",
        "refuse",
        f"KEDA scales {seen.name}: ScaledObject {name} keeps the HorizontalPodAutoscaler and sets it back.",
        f"Change the ScaledObject {name}: spec.minReplicaCount, spec.maxReplicaCount, and the value of its cpu trigger"
        " (spec.triggers[].metadata.value).",
    )


def unread(seen: Seen) -> Finding | None:
    """Lists that the server serves and that were not read: nobody can say that nothing of them is in the way."""
    lists = {"autoscaling": "horizontalpodautoscalers", "keda.sh": "scaledobjects", "autoscaling.k8s.io": "verticalpodautoscalers"}
    unread = [
        name for group, name in lists.items() if name not in seen.objects and (group == "autoscaling" or group in (seen.served or ()))
    ]
    if "horizontalpodautoscalers" in unread:
        return finding(
            "unread",
            "refuse",
            f"Whether an autoscaler scales {seen.name} already is not known: list horizontalpodautoscalers.",
            "Give the reader that right.",
        )
    return finding("unread", "warn", f"Not read, so not considered: {', '.join(unread)}.") if unread else None


def vpa(seen: Seen) -> Finding | None:
    """A warning here; on the same resource recommend.py refuses."""
    if not seen.vpas:
        return None
    names, resources = ", ".join(plain(one["metadata"]["name"]) for one in seen.vpas), seen.facts["vpa_resources"]
    what = f"changes requests of {' and '.join(resources)}" if resources else "only recommends"
    return finding("vpa", "warn", f"VerticalPodAutoscaler {names} {what} of {seen.name}.")


def replicas(seen: Seen) -> Finding | None:
    """Somebody who sets spec.replicas again: the conflict that server-side apply reports, and client-side apply does not."""
    if seen.kind not in SCALABLE:
        return None
    writers = seen.facts["replicas_writers"]
    if writers is None:
        return finding("replicas_unknown", "warn", f"Who sets spec.replicas of {seen.name} is not known: its managed fields were not read.")
    for keeps, severity in (("always", "owner"), ("next", "warn")):
        for one in writers:
            tool = TOOLS[one["tool"]]
            if tool.keeps != keeps or (one["subresource"] == "scale" and one["tool"] == "unknown"):
                continue
            when = "sets it back within minutes, over and over" if keeps == "always" else "sets it back the next time it runs"
            if one["operation"] == "Apply" and keeps == "next":
                when = "ends with a conflict the next time it runs, or sets it back with --force-conflicts"
            where = owner_of(seen.workload)
            who = (
                f"{where['who']}, field manager {one['manager']},"
                if where and where["tool"] == one["tool"]
                else f"{tool.words} (field manager {one['manager']})"
            )
            sentence = f"{who[0].upper()}{who[1:]} sets spec.replicas of {seen.name}; it {when}, whatever an autoscaler decided."
            return finding("replicas_conflict", severity, sentence, f"{tool.release}.")
    return _hidden(seen, writers)


def _hidden(seen: Seen, writers: list[Object]) -> Finding | None:
    """Whoever scales a workload becomes the field's only owner, so that a manifest with replicas does not show any more."""
    applies = owner_of(seen.workload)
    if not writers or applies is None or applies["keeps"] == "never" or applies["tool"] in ("controller", "keda"):
        return None
    return finding(
        "replicas_hidden",
        "warn",
        f"{seen.name} is applied by {applies['who']}, and {TOOLS[writers[0]['tool']].words} set spec.replicas last: whether the manifest"
        " sets it too cannot be seen.",
        f"Look there. If it does: {TOOLS[applies['tool']].release}.",
    )


def hpa_blind(seen: Seen) -> Finding | None:
    if len(seen.hpas) != 1:
        return None
    hpa, conditions = seen.hpas[0], (seen.hpas[0].get("status") or {}).get("conditions") or ()
    if "deletionTimestamp" in hpa["metadata"]:
        return finding(
            "hpa_deleted", "refuse", f"HorizontalPodAutoscaler {plain(hpa['metadata']['name'])} is being deleted.", "Wait until it is gone."
        )
    for kind in ("AbleToScale", "ScalingActive"):
        bad = next(
            (
                one
                for one in conditions
                if one.get("type") == kind and one.get("status") == "False" and one.get("reason") != "ScalingDisabled"
            ),
            None,
        )
        if bad:
            return finding(
                "hpa_blind",
                "refuse",
                f"HorizontalPodAutoscaler {plain(hpa['metadata']['name'])} cannot act: {plain(bad.get('reason'))}:"
                f" {plain(bad.get('message', ''), 200)}",
                "Mend that first; other figures in it would change nothing.",
            )
    return None
