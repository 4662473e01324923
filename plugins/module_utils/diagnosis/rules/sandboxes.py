# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The rule for pods whose sandbox (network, runtime) the node cannot make, by what the runtime says."""

from __future__ import annotations

import re

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, event_evidence, event_time

_TRYING = 300.0  # seconds: the kubelet tries a sandbox again every quarter of a minute

# what the runtime says of a sandbox -> what it means, what to do
_SANDBOXES: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(
            r'no runtime for "(?P<handler>[^"]*)" is configured|unknown runtime handler "(?P<other>[^"]*)"|RuntimeHandler'
            r' "?(?P<third>\w+)"? not (?:found|supported)'
        ),
        "the container runtime of node {node} has no handler {handler} (RuntimeClass {runtime})",
        "Correct or remove runtimeClassName {runtime} in the pod template, or install the handler {handler} on node {node}.",
    ),
    (
        re.compile(
            r"(?i)no ip addresses available|no available ips?|failed to allocate for range|ip pool.*exhaust|no free"
            r" (?:ip|address)|insufficient.*ip addresses|failed to assign an ip|out of ip"
        ),
        "no IP address is left for pods on node {node}",
        "Enlarge the pod address range of node {node} or its pool, or remove pods (and leaked addresses) from it.",
    ),
    (
        re.compile(r"(?i)sandbox image|pause"),
        "the sandbox (pause) image cannot be pulled on node {node}",
        "Make the runtime's sandbox image available to node {node}.",
    ),
    (
        re.compile(
            r"(?i)cni (?:config|plugin)[^.]*not (?:initialized|ready)|cni config uninitialized|no networks?"
            r" found|NetworkPluginNotReady|failed to find plugin|subnet\.env"
        ),
        "the network plugin (CNI) of node {node} is not installed or not ready",
        "Repair the network plugin's pods on node {node}.",
    ),
    (
        re.compile(r"(?i)failed to (?:set ?up|create).*network|networkplugin|cni"),
        "the network plugin (CNI) of node {node} cannot set up the pod's network",
        "Look at the network plugin's pods and their logs on node {node}.",
    ),
    (
        re.compile(r"(?i)deadline ?exceeded|timed out"),
        "the container runtime of node {node} does not answer in time",
        "Look at the container runtime and the load of node {node}.",
    ),
    (re.compile(r"(?i)no space left"), "the disk of node {node} is full", "Free disk space on node {node}."),
    (
        re.compile(r"(?i)cgroup|seccomp|apparmor|sysctl"),
        "the kernel settings that the pod asks for cannot be made on node {node}",
        "Correct what the message names in the pod's securityContext or on the node.",
    ),
)


def sandbox(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """The pod's sandbox (its network, its runtime) cannot be made."""
    if pod.get("status", {}).get("phase") != "Pending" or not pod["spec"].get("nodeName"):
        return None
    events = view.events(pod, "FailedCreatePodSandBox", "NetworkNotReady", "FailedPodSandBoxStatus")
    begun = view.events(pod, "Pulling", "Pulled", "Created", "Started")
    if not events or view.age(event_time(events[-1])) > _TRYING or (begun and event_time(begun[-1]) > event_time(events[-1])):
        return None
    message = " ".join((events[-1].get("message") or "").split())
    words = {"node": pod["spec"]["nodeName"], "runtime": pod["spec"].get("runtimeClassName") or "none", "handler": ""}
    what, fix = "the sandbox cannot be made on node {node}", "Correct what the runtime's message names."
    for pattern, cause, remedy in _SANDBOXES:
        if match := pattern.search(message):
            words["handler"] = next((value for value in match.groupdict().values() if value), "")
            what, fix = cause, remedy
            break
    said = message.partition("desc = ")[2] or message
    return Finding(
        code="SandboxFailed",
        title=what.format(**words),
        root_cause=f"The pod gets no sandbox: {what.format(**words)}. The runtime says: {said[:300].rstrip('.')}.",
        suggested_fix=fix.format(**words),
        expected_outcome="The sandbox is made, and the pod's containers start.",
        evidence=event_evidence(evidence, events),
        details={"node": words["node"]},
    )
