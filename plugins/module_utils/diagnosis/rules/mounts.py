# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Volumes that the kubelet cannot attach or mount, by what it says of them. And which claims and volumes a pod has."""

from __future__ import annotations

import re
from typing import Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import containers_of, statuses_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence, event_time

_STARTS = "The volume is there, and the pod starts by itself."
_CURRENT = 600.0  # seconds: the kubelet tries a mount again at least every two minutes
_HANDOVER = 60.0  # seconds in which a volume may still be on its way from another pod
_TRANSIENT = re.compile(r"failed to sync (?:configmap|secret) cache|no relationship found between node|not registered")
_VOLUME = re.compile(r'for volume "(?P<name>[^"]+)"')


def mount(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """A pod on its node whose volume cannot be attached or mounted."""
    if pod.get("status", {}).get("phase") != "Pending" or not pod["spec"].get("nodeName") or has_started(pod):
        return None
    events = view.events(pod, "FailedMount", "FailedAttachVolume", "FailedMapVolume")
    events = [event for event in events if not _TRANSIENT.search(event.get("message") or "") and view.age(event_time(event)) < _CURRENT]
    telling = [event for event in events if _VOLUME.search(event.get("message") or "")] or events
    if not telling:
        return None
    message = str(telling[-1].get("message") or "")
    match = _VOLUME.search(message)
    name = match["name"] if match else ""
    volume, described = _described(view, pod, name)
    ids = event_evidence(evidence, telling)
    if "Multi-Attach" in message or "already exclusively attached" in message:
        return _multi_attach(view, pod, described, message, ids)
    node = pod["spec"]["nodeName"]
    for pattern, cause, fix in _MOUNTS:
        if found := pattern.search(message):
            words = {
                "volume": volume,
                "described": described,
                "node": node,
                **{key: value or "" for key, value in found.groupdict().items()},
            }
            return finding_of(
                "VolumeMountFailed",
                f"volume {volume} cannot be mounted: {cause.format(**words)}"[:200],
                f"{_capital(described)} cannot be mounted on node {node}: {cause.format(**words)}. The kubelet says: {_tail(message)}",
                fix.format(**words),
                ids,
                volume=volume,
            )
    cause = f"{_capital(described)} cannot be mounted on node {node}: {_tail(message)}"
    return finding_of(
        "VolumeMountFailed",
        f"volume {volume} cannot be mounted",
        cause,
        f"Correct what the kubelet's message names for volume {volume}: its source, its options, or the node.",
        ids,
        volume=volume,
    )


def sub_path(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """A container that is not created because the subPath of a mount cannot be used."""
    for one in statuses_of(pod):
        message = (one.get("state", {}).get("waiting") or {}).get("message") or ""
        if not re.search(r"(?i)(?:prepare|create|resolve) subpath|subpath .*(?:not|fail)", message):
            continue
        match = re.search(r'volumeMount "(?P<volume>[^"]+)"', message)
        specs = containers_of(pod["spec"])
        mounts = next((spec.get("volumeMounts") or [] for spec in specs if spec["name"] == one["name"]), [])
        paths = ", ".join(
            f"{mount_.get('subPath') or mount_.get('subPathExpr')} of volume {mount_['name']}"
            for mount_ in mounts
            if (mount_.get("subPath") or mount_.get("subPathExpr")) and (not match or mount_["name"] == match["volume"])
        )
        ids = [
            evidence.add(f"pod/{pod['metadata']['name']} status of container {one['name']}", "", message),
            *event_evidence(evidence, view.events(pod, "Failed")),
        ]
        finding = finding_of(
            "VolumeMountFailed",
            f"container {one['name']} cannot use the subPath {paths}",
            f"Container {one['name']} mounts the subPath {paths}, which cannot be used: {message[:300].rstrip('.')}.",
            f"Correct the subPath {paths} in the pod template, or make that directory on the volume.",
            ids,
        )
        finding.container = one["name"]
        return finding
    return None


def _multi_attach(view: View, pod: Object, described: str, message: str, ids: list[str]) -> Finding | None:
    going = [one for one in view.pods_of(view.workload(pod)) if "deletionTimestamp" in one["metadata"]]
    if going and view.age(pod["metadata"].get("creationTimestamp")) < _HANDOVER:
        return None
    match = re.search(r"used by pod\(s\) (?P<pods>.+?)\.?$", message)
    names = {name for _volume, name in claims_of(pod)}
    holders = match["pods"] if match else fit.listed(users_of(view, pod, names))
    cause = (
        f"{_capital(described)} can be attached to one node at a time, and it is still attached"
        f" elsewhere{f', for {holders}' if holders else ''}; this pod is on node {pod['spec']['nodeName']}."
    )
    fix = (
        f"Remove the pod that still uses it{f' ({holders})' if holders else ''}, once it is certain that its node no longer writes; for a"
        " Deployment use strategy Recreate."
    )
    return finding_of("VolumeAttachConflict", "the volume is attached to another node", cause, fix, ids)


# what the kubelet says -> what it means, what to do; the names of the pattern's groups may be used, and volume, described, node
_MOUNTS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"hostPath type check failed: (?P<path>\S+) is not an? (?P<kind>[\w ]+)"),
        "the hostPath {path} is not a {kind} on the node",
        "Create {path} on node {node} as a {kind}, correct the path or type of volume {volume}, or use a claim instead of a hostPath.",
    ),
    (
        re.compile(r"driver name (?P<driver>\S+) not found in the list of registered CSI drivers"),
        "the CSI driver {driver} is not registered on node {node}",
        (
            "Install the CSI driver {driver}, or repair its node pods on {node} (its DaemonSet); or correct the driver's name in volume"
            " {volume}."
        ),
    ),
    (
        re.compile(r'path "(?P<path>[^"]+)" does not exist'),
        "the local path {path} does not exist on the node",
        "Create or mount {path} on node {node}, or correct the path of the PersistentVolume.",
    ),
    (
        re.compile(r"(?i)bad option.*helper program|mount\.\w+: not found|unknown filesystem type"),
        "the node lacks the client program for this kind of file system",
        "Install the file system's client on node {node} (for NFS nfs-common or nfs-utils).",
    ),
    (
        re.compile(r"(?i)access denied by server"),
        "the file server refuses this node",
        "Export the path to node {node} on the file server, or correct server and path of volume {volume}.",
    ),
    (
        re.compile(
            r"(?i)connection refused|no route to host|connection timed out|Network is unreachable|name or service not known|failed to"
            r" resolve|no such host"
        ),
        "its server cannot be reached from the node",
        "Correct the server of volume {volume}, or repair the network between node {node} and it.",
    ),
    (
        re.compile(r"(?i)no such file or directory"),
        "a path that it names does not exist",
        "Correct the path of volume {volume}, or create it on the server or node.",
    ),
    (
        re.compile(r"(?i)wrong fs type|bad superblock|structure needs cleaning|fsck"),
        "its file system is damaged or of another type",
        "Check the file system of the volume from a node (fsck), or correct its fsType.",
    ),
    (re.compile(r"(?i)read-only file system"), "it is read-only", "Mount volume {volume} readOnly, or use a storage that can be written."),
    (
        re.compile(r"(?i)permission denied|operation not permitted|\b403\b|AccessDenied|not authorized"),
        "the node or driver has no permission for it",
        "Give the storage driver or node the right to use it; the credentials are for a person to give.",
    ),
    (
        re.compile(r"waiting for external-attacher of (?P<driver>\S+) CSI driver"),
        "the attacher of the CSI driver {driver} does not answer",
        "Install the CSI driver {driver}, or repair its controller pods (the external-attacher).",
    ),
    (
        re.compile(r"(?i)timed out|deadline ?exceeded|operation with the given volume .* already exists"),
        "the storage driver does not answer in time",
        "Look at the storage driver's pods and their logs on node {node}.",
    ),
    (
        re.compile(r"(?i)not found|does not exist"),
        "what it names does not exist in the storage",
        "Correct the source of volume {volume}, or restore it in the storage.",
    ),
)


def _described(view: View, pod: Object, name: str) -> tuple[str, str]:
    """(name in the pod, what it is) of a volume that the kubelet names as in the pod or by its PersistentVolume."""
    for volume in pod["spec"].get("volumes") or []:
        claim_ = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        bound = volume_of(view, pod, claim_) if claim_ else None
        if name in (volume["name"], bound["metadata"]["name"] if bound else None):
            source: str = next((key for key in volume if key != "name"), "volume")
            detail = volume.get(source) or {}
            parts = [
                str(detail[key])
                for key in ("claimName", "path", "server", "driver", "secretName")
                if isinstance(detail, dict) and detail.get(key)
            ]
            return volume["name"], f"volume {volume['name']} ({source}{' ' if parts else ''}{', '.join(parts)})"
    return name, f"volume {name}" if name else "a volume of the pod"


def claims_of(pod: Object) -> Iterator[tuple[str, str]]:
    """(volume, claim) of a pod."""
    for volume in pod["spec"].get("volumes") or []:
        if "persistentVolumeClaim" in volume:
            yield volume["name"], volume["persistentVolumeClaim"]["claimName"]
        elif "ephemeral" in volume:
            yield volume["name"], f"{pod['metadata']['name']}-{volume['name']}"


def volume_of(view: View, pod: Object, claim_: str) -> Object | None:
    found = view.named("persistentvolumeclaims", pod["metadata"]["namespace"], claim_)
    return view.named("persistentvolumes", "", (found or {}).get("spec", {}).get("volumeName") or "")


def users_of(view: View, pod: Object, names: set[str]) -> list[str]:
    others = (
        one
        for one in view.inside("pods", pod["metadata"]["namespace"])
        if one is not pod and one.get("status", {}).get("phase") == "Running"
    )
    return [
        f"pod {one['metadata']['name']} on {one['spec'].get('nodeName')}"
        for one in others
        if names & {name for _volume, name in claims_of(one)}
    ]


def has_started(pod: Object) -> bool:
    return any("running" in one.get("state", {}) or "terminated" in one.get("state", {}) for one in statuses_of(pod))


def _tail(message: str) -> str:
    # what a mount program printed stands last, after the command line that the kubelet ran
    message = message.rpartition("Output: ")[2] if "Output: " in message else message
    return " ".join(message.split())[:300].rstrip(".") + "."


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def finding_of(code: str, title: str, cause: str, fix: str, ids: list[str], **details: object) -> Finding:
    return Finding(
        code=code, title=title, root_cause=cause, suggested_fix=fix, expected_outcome=_STARTS, evidence=ids, details=dict(details)
    )
