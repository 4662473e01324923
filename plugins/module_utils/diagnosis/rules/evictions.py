# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for pods that the kubelet evicted or refused, or that the scheduler made to go.

What a controller has replaced and made good is history: at most a note on the pods that are left.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence, event_time

_HOUR, _DAY = 3600.0, 86400.0
_AGAIN = 1800.0  # seconds in which an eviction for the pod's own limit is expected to come back
_STARTS = "The pod starts and stays on its node."
_EMPTY_DIR = re.compile(r'Usage of EmptyDir volume "(?P<volume>[^"]+)" exceeds the limit "(?P<limit>[^"]+)"')
_POD_LIMIT = re.compile(r"ephemeral local storage usage exceeds the total limit of containers (?P<limit>[^\s.]+)")
_CONTAINER_LIMIT = re.compile(r'Container (?P<container>\S+) exceeded its local ephemeral storage limit "(?P<limit>[^"]+)"')
_LOW = re.compile(
    r"low on resource: (?P<resource>[\w.\[\]-]+?)[.,]? ?(?:Threshold quantity: (?P<threshold>[^,\s]+), available:"
    r" (?P<available>[^.\s]+)\.)?(?: |$)"
)
_USING = re.compile(r"Container (?P<container>\S+) was using (?P<used>[^,\s]+), request is (?P<request>[^,\s]+)")
_CONDITION = re.compile(r"node had condition: \[(?P<conditions>[^\]]*)\]")
_PREEMPTOR = re.compile(
    r"Preempted by (?:a )?pod (?P<uid>[0-9a-f-]{36})(?: on node (?P<node>\S+))?|Preempted by (?P<namespace>[^/\s]+)/(?P<name>\S+) on node"
    r" (?P<on>\S+)"
)
_NOT_ENOUGH = re.compile(
    r"enough resource: (?P<resource>\S+?), requested: (?P<requested>\d+), used: (?P<used>\d+), capacity: (?P<capacity>\d+)"
)
# pressure conditions -> what is short
PRESSURES = {
    "MemoryPressure": "memory",
    "DiskPressure": "disk space",
    "PIDPressure": "process ids",
    "NetworkUnavailable": "a working network",
}


def evicted(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """The kubelet evicted the pod: for its own ephemeral storage, or because the node ran short."""
    status = pod.get("status", {})
    if status.get("phase") != "Failed" or status.get("reason") != "Evicted":
        return None
    message = " ".join((status.get("message") or "").split())
    own = _EMPTY_DIR.search(message) or _CONTAINER_LIMIT.search(message) or _POD_LIMIT.search(message)
    age = failed_ago(view, pod)
    if _is_made_good(view, pod) and age > (_AGAIN if own else 0.0):
        return _leftovers(view, pod, "Evicted", age, evidence)
    ids = [
        evidence.add(f"pod/{pod['metadata']['name']} status", "", f"phase Failed, reason Evicted: {message}"),
        *event_evidence(evidence, view.events(pod, "Evicted")),
    ]
    return _over_limit(view, pod, own, ids) if own else _node_short(view, pod, message, ids)


def _over_limit(view: View, pod: Object, own: re.Match[str], ids: list[str]) -> Finding:
    found = own.groupdict()
    limit, times = found["limit"].rstrip("."), len([one for one in _failed(view, pod, "Evicted") if failed_ago(view, one) < _HOUR])
    limited = [
        one["name"]
        for one in pod["spec"].get("containers", [])
        if ((one.get("resources") or {}).get("limits") or {}).get("ephemeral-storage")
    ]
    container = found.get("container") or (limited[0] if len(limited) == 1 and "volume" not in found else "")
    if "volume" in found:
        writers = [
            one["name"]
            for one in pod["spec"].get("containers", [])
            if any(mount["name"] == found["volume"] for mount in one.get("volumeMounts") or [])
        ]
        what = (
            f"wrote more than the sizeLimit {limit} into the emptyDir volume {found['volume']} (mounted by container {', '.join(writers)})"
        )
        fix = (
            f"Raise sizeLimit of the emptyDir {found['volume']} to what it needs, clean up what {', '.join(writers) or 'the containers'}"
            " write, or use a PersistentVolumeClaim."
        )
    else:
        who = f"container {container}" if container else "its containers"
        what = f"used more ephemeral storage (files outside volumes, emptyDirs and logs) than the limit of {limit} of {who}"
        fix = (
            f"Raise resources.limits.ephemeral-storage of {who} above {limit}, write less (rotate logs, clean temporary files), or put the"
            " data on a volume."
        )
    finding = _of(
        "EphemeralStorageExceeded",
        f"the pod used more ephemeral storage than its limit of {limit}",
        f"The kubelet evicted the pod because it {what}; {times or 1} eviction(s) in the last hour.",
        fix,
        ids,
        limit=limit,
        volume=found.get("volume", ""),
        leftovers=[one["metadata"]["uid"] for one in _failed(view, pod, "Evicted")],
    )
    finding.container = container
    return finding


def _node_short(view: View, pod: Object, message: str, ids: list[str]) -> Finding:
    node = pod["spec"].get("nodeName") or "its node"
    low, using, condition = _LOW.search(message), list(_USING.finditer(message)), _CONDITION.search(message)
    resource = low["resource"] if low else (condition["conditions"] if condition else "a resource")
    what = f"node {node} was low on {resource}" if low or not condition else f"node {node} had the condition {resource}"
    if low and low["threshold"]:
        what += f" ({low['available']} available, threshold {low['threshold']})"
    used = "; ".join(f"container {one['container']} was using {one['used']} with a request of {one['request']}" for one in using)
    said = "" if low or condition else f": {message[:200]}"
    pressed = [key for key in PRESSURES if _holds(view.named("nodes", "", node) or {}, key, "True")]
    still = f" The node still reports {', '.join(pressed)}." if pressed else ""
    fix = (
        f"Give the containers a {resource if low else 'resource'} request that fits what they use, so that the scheduler finds room for it,"
        f" and free {resource} on node {node}."
    )
    return _of(
        "Evicted",
        f"the pod was evicted because {what}",
        f"The kubelet evicted the pod because {what}{said}{f'; {used}' if used else ''}.{still}"
        + ("" if view.owner(pod) else " No controller replaces it."),
        fix,
        ids,
        resource=resource,
        node=node,
        leftovers=[one["metadata"]["uid"] for one in _failed(view, pod, "Evicted")],
    )


# reason of a pod that the kubelet refused -> what it means, what to do
_REJECTIONS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"^OutOf(?P<resource>.+)$"),
        "node {node} has not enough {resource} for it",
        "Let the scheduler choose (no nodeName), lower the request, or free {resource} on {node}.",
    ),
    (
        re.compile(r"^NodeAffinity$"),
        "node {node} does not have the labels that the pod asks for ({asked})",
        "Remove nodeName so that the scheduler chooses, or correct the pod's nodeSelector or affinity, or label node {node}.",
    ),
    (re.compile(r"^TaintToleration$"), "node {node} has a taint that the pod does not tolerate", "Remove nodeName, or tolerate the taint."),
    (
        re.compile(r"^NodePorts$"),
        "a host port that it asks for is taken on node {node}",
        "Drop the hostPort, or let the scheduler choose the node.",
    ),
    (
        re.compile(r"^UnexpectedAdmissionError$"),
        "a device or resource manager of node {node} could not serve it",
        "Look at the device plugin on node {node}, then let the controller replace the pod.",
    ),
    (
        re.compile(r"^TopologyAffinityError$|^SMTAlignmentError$"),
        "the topology or CPU manager of node {node} cannot align its resources",
        "Correct the pod's CPU and device requests, or the policy of node {node}.",
    ),
    (
        re.compile(r"^SysctlForbidden$"),
        "it asks for a sysctl that node {node} does not allow",
        "Remove the sysctl from the pod's securityContext.",
    ),
    (
        re.compile(r"^AppArmor$|^PodOSNotSupported$|^PodOSSelectorNodeLabelDoesNotMatch$|^InvalidNodeInfo$"),
        "node {node} cannot run such a pod",
        "Correct what the kubelet's message names.",
    ),
    (
        re.compile(r"^(?:NodeShutdown|Shutdown|Terminated)$"),
        "node {node} was shutting down",
        "Nothing in the pod is wrong: its controller makes a new one; a bare pod must be created again.",
    ),
    (
        re.compile(r"^Preempting$"),
        "a critical pod needed its place on node {node}",
        "Free room on the node, or give the pod a higher priority.",
    ),
    (re.compile(r"^NodeLost$"), "node {node} does not answer any more", "Repair or remove the node."),
)


def rejected(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """The kubelet refuses a pod that is bound to its node."""
    status = pod.get("status", {})
    reason, message = status.get("reason") or "", " ".join((status.get("message") or "").split())
    found = next(((match, what, fix) for pattern, what, fix in _REJECTIONS if (match := pattern.search(reason))), None)
    if status.get("phase") != "Failed" or found is None:
        return None
    age = failed_ago(view, pod)
    if _is_made_good(view, pod):
        return _leftovers(view, pod, reason, age, evidence)
    match, what, fix = found
    asked = " or ".join(" and ".join(map(fit.expression_text, term)) for term in fit.node_terms(pod)) or "see its affinity"
    words = {"node": pod["spec"].get("nodeName") or "its node", "asked": asked, "resource": "resources", **match.groupdict()}
    ids = [
        evidence.add(f"pod/{pod['metadata']['name']} status", "", f"phase Failed, reason {reason}: {message}"),
        *event_evidence(evidence, view.events(pod, reason)),
    ]
    room = _NOT_ENOUGH.search(message)
    pinned = _is_pinned(view, pod, reason, room)
    bound = " The pod is bound to this node by spec.nodeName, past the scheduler." if pinned else ""
    amounts = (
        f" ({_amount(room, 'requested')} requested, {_amount(room, 'used')} in use, {_amount(room, 'capacity')} in all)" if room else ""
    )
    said = f" The kubelet says: {message[:240].rstrip('.')}." if message and not room else ""
    return _of(
        "Preempted" if reason == "Preempting" else "PodRejected",
        f"the kubelet rejects the pod: {what.format(**words)}"[:200],
        f"The kubelet refused the pod ({reason}): {what.format(**words)}{amounts}.{bound}{said}",
        fix.format(**words),
        ids,
        reason=reason,
        node=words["node"],
        leftovers=[one["metadata"]["uid"] for one in _failed(view, pod, reason)],
    )


def _is_pinned(view: View, pod: Object, reason: str, room: re.Match[str] | None) -> bool:
    """Whether the pod names its node itself: its template does, or no scheduler would have placed it there."""
    owner = view.owner(pod)
    if owner is not None:
        return bool((owner["spec"].get("template") or {}).get("spec", {}).get("nodeName"))
    never = room is not None and float(room["requested"]) > float(room["capacity"])
    placed = any(one["type"] == "PodScheduled" for one in pod.get("status", {}).get("conditions") or [])
    return not placed and (never or reason in ("NodeAffinity", "NodePorts", "TaintToleration"))


def _amount(match: re.Match[str], key: str) -> str:
    """The kubelet counts CPU in thousandths."""
    value = float(match[key])
    return fit.text(match["resource"], value / 1000 if match["resource"] == "cpu" else value)


def preempted(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """A pod that waits because its predecessor had to make way for one of higher priority."""
    owner = view.owner(pod)
    if pod["spec"].get("nodeName") or pod.get("status", {}).get("phase") != "Pending" or owner is None:
        return None
    prefix = f"{owner['metadata']['name']}-"
    events = [
        event
        for event in view.inside("events", pod["metadata"]["namespace"])
        if event.get("reason") == "Preempted"
        and str(event.get("involvedObject", {}).get("name", "")).startswith(prefix)
        and view.age(event_time(event)) < _HOUR
    ]
    if not events or "Insufficient" not in _unscheduled(pod):
        return None
    event = max(events, key=event_time)
    match = _PREEMPTOR.search(event.get("message") or "")
    by = next(
        (
            one
            for one in view.objects["pods"]
            if match
            and (
                one["metadata"]["uid"] == match["uid"]
                or (one["metadata"].get("namespace"), one["metadata"]["name"]) == (match["namespace"], match["name"])
            )
        ),
        None,
    )
    node = (match["node"] or match["on"] or "") if match else ""
    mine = pod["spec"].get("priority", 0)
    who = "a pod of higher priority"
    if by is not None:
        top = view.workload(by)
        who = (
            f"{top['kind']} {top['metadata']['name']} of namespace {by['metadata']['namespace']} (priority {by['spec'].get('priority', 0)},"
            f" class {by['spec'].get('priorityClassName') or 'none'})"
        )
    elif match and match["name"]:
        who = f"pod {match['name']} of namespace {match['namespace']}"
    said = _unscheduled(pod)
    ids = [*event_evidence(evidence, [event]), evidence.add(f"pod/{pod['metadata']['name']} status.conditions[PodScheduled]", "", said)]
    return _of(
        "Preempted",
        f"the pod made way for {who}",
        f"Pod {event['involvedObject'].get('name')} was preempted{f' on node {node}' if node else ''} by {who}; this one (priority {mine})"
        f" replaces it and finds no room: {said.partition(' no new claims')[0].partition(' preemption:')[0]}",
        "Give the workload a PriorityClass that fits its importance, lower the requests of either, or add a node.",
        ids,
        node=node,
    )


def _holds(item: Object, kind: str, status: str) -> bool:
    return any(one["type"] == kind and one["status"] == status for one in item.get("status", {}).get("conditions") or [])


def _unscheduled(pod: Object) -> str:
    conditions = pod.get("status", {}).get("conditions") or []
    return next((str(one.get("message") or "") for one in conditions if one["type"] == "PodScheduled" and one["status"] == "False"), "")


def failed_ago(view: View, pod: Object) -> float:
    """Seconds since a pod failed, as well as its status tells."""
    status = pod.get("status", {})
    times: list[Any] = [
        one.get("lastTransitionTime")
        for one in status.get("conditions") or []
        if one["type"] in ("DisruptionTarget", "Ready") and one.get("lastTransitionTime")
    ]
    times += [(one.get("state", {}).get("terminated") or {}).get("finishedAt") for one in status.get("containerStatuses") or []]
    times += [event_time(event) for event in view.events(pod, "Evicted", status.get("reason") or "Evicted")]
    return min(
        (view.age(one) for one in times if one), default=view.age(status.get("startTime") or pod["metadata"].get("creationTimestamp"))
    )


def _failed(view: View, pod: Object, reason: str) -> list[Object]:
    """The pods of the same workload that failed for the same reason."""
    owner = view.owner(pod)
    return [one for one in view.pods_of(view.workload(pod)) if one.get("status", {}).get("reason") == reason] if owner else [pod]


def _is_made_good(view: View, pod: Object) -> bool:
    """Whether a controller has replaced the pod, and has as many ready pods as it wants. A job has when another pod of it goes on."""
    owner = view.owner(pod)
    if owner is None:
        return False
    top = view.workload(pod)
    status, spec = top.get("status", {}), top.get("spec", {})
    siblings = [one for one in view.pods_of(top) if one is not pod]
    if top["kind"] in ("Job", "CronJob"):
        return any(one.get("status", {}).get("phase") in ("Running", "Succeeded") for one in siblings)
    wanted = status.get("desiredNumberScheduled", 0) if top["kind"] == "DaemonSet" else spec.get("replicas", 1)
    ready = [one for one in siblings if _holds(one, "Ready", "True") and "deletionTimestamp" not in one["metadata"]]
    return bool(len(ready) >= wanted)


def _leftovers(view: View, pod: Object, reason: str, age: float, evidence: Evidence) -> Finding | None:
    """A note on failed pods that a healthy workload has left behind; nothing once they are a day old."""
    if age > _DAY:
        return None
    left = _failed(view, pod, reason)
    word = "evicted" if reason == "Evicted" else f"failed ({reason})"
    many = f"{len(left)} {word} pods are left" if len(left) != 1 else f"1 {word} pod is left"
    top = view.workload(pod)
    ids = [
        evidence.add(
            f"pod/{pod['metadata']['name']} status", "", f"phase Failed, reason {reason}: {pod.get('status', {}).get('message') or ''}"
        )
    ]
    finding = _of(
        "Evicted" if reason == "Evicted" else "PodRejected",
        many,
        f"{many} of {top['kind']} {top['metadata']['name']}, which has replaced them and is healthy:"
        f" {' '.join((pod.get('status', {}).get('message') or reason).split())[:240]}",
        "Nothing is broken. The failed pods can be deleted once nobody needs to look at them.",
        ids,
        leftovers=[one["metadata"]["uid"] for one in left],
    )
    finding.severity, finding.expected_outcome = "info", "The list of pods is clean."
    return finding


def _of(code: str, title: str, cause: str, fix: str, ids: list[str], **details: object) -> Finding:
    return Finding(
        code=code, title=title, root_cause=cause, suggested_fix=fix, expected_outcome=_STARTS, evidence=ids, details=dict(details)
    )
