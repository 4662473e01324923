# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One finding for what several workloads suffer from: the same missing object, a sick node, the DNS, a webhook.

The findings that are kept are changed in place; the workloads of the others go into their ``affects``.
"""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import SEVERITIES, Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import View, reference

# a missing object that several workloads need is one problem
_SHARED = (
    "ConfigMapMissing",
    "SecretMissing",
    "ConfigKeyMissing",
    "ServiceAccountMissing",
    "ClaimMissing",
    "StorageClassMissing",
    "PriorityClassMissing",
    "PodsNotCreated",
    "QuotaExceeded",
    "WebhookUnavailable",
)
_SHARED_NAMES = ("webhook", "name", "class", "claim", "account", "priority", "runtime", "quota")  # of details
# what a sick node does to its pods
_OF_NODE = {
    "NodeNotReady": (
        "StuckTerminating",
        "SandboxFailed",
        "RolloutStuck",
        "KilledNotOOM",
        "ReadinessProbeFailing",
        "DependencyUnreachable",
        "PodRejected",
    ),
    "NodePressure": ("Evicted", "PodRejected", "OOMKilledNoLimit"),
}


def fold_shared(findings: list[Finding]) -> list[Finding]:
    """The same missing object, named by several workloads: the first by name has the others in ``affects``."""
    first: dict[tuple[str, ...], Finding] = {}
    gone = set()
    for finding in sorted(findings, key=lambda one: (one.object["namespace"], one.object["name"], one.container)):
        name = next((str(finding.details[key]) for key in _SHARED_NAMES if finding.details.get(key)), "")
        if finding.code not in _SHARED or not name or finding.details.get("alone"):
            continue
        namespace = "" if finding.code == "WebhookUnavailable" else finding.object["namespace"]  # a webhook lies in none
        root = first.setdefault((finding.code, namespace, name, str(finding.details.get("key") or "")), finding)
        if root is not finding:
            absorb(root, finding)
            gone.add(id(finding))
    return [finding for finding in findings if id(finding) not in gone]


def fold_nodes(view: View, findings: list[Finding]) -> list[Finding]:
    """What a sick node does to the pods on it belongs to the node's finding."""
    sick = {(one.code, one.object["name"]): one for one in findings if one.code in _OF_NODE and one.object["kind"] == "Node"}
    left = []
    for finding in findings:
        nodes = {(view.pod(one["uid"]) or {"spec": {}})["spec"].get("nodeName") for one in finding.pods}
        roots = [root for (code, name), root in sick.items() if finding.code in _OF_NODE[code] and nodes == {name}]
        if roots:
            absorb(roots[0], finding)
        else:
            left.append(finding)
    return left


def fold_dns(findings: list[Finding]) -> list[Finding]:
    """What ails the DNS pods is why the DNS is down: it is said there, and once."""
    down = next((one for one in findings if one.code == "DNSDown"), None)
    if down is None:
        return findings
    uids, workload = {one["uid"] for one in down.pods}, down.details.get("workload")
    left = []
    for finding in findings:
        if finding is down or not (finding.object == workload or uids & {one["uid"] for one in finding.pods}):
            left.append(finding)
            continue
        down.root_cause = f"{down.root_cause} {finding.root_cause}"
        down.suggested_fix = f"{finding.suggested_fix} ({_what(finding)} in namespace kube-system)"
        down.evidence += [one for one in finding.evidence if one not in down.evidence]
        down.details["because"] = finding.code
    return left


def fold_webhooks(findings: list[Finding]) -> list[Finding]:
    """That a webhook's Service has no pods is said with the webhook that does not answer; what is wrong with its selector says it better."""
    hooks = {("Service", *one.details.get("service", ())): one for one in findings if one.code == "WebhookUnavailable"}
    gone = set()
    for finding in findings:
        hook = hooks.get(tuple(finding.object.values()))
        if hook is not None and finding.code in ("ServiceWithoutBackend", "SelectorMismatch"):
            root, symptom = (finding, hook) if finding.code == "SelectorMismatch" else (hook, finding)
            absorb(root, symptom)
            gone.add(id(symptom))
    return [finding for finding in findings if id(finding) not in gone]


def add_entries(view: View, findings: list[Finding]) -> list[Finding]:
    """Ingresses that lead to a Service that does not work are affected by its finding."""
    for finding in findings:
        if finding.object["kind"] != "Service":
            continue
        for item in view.inside("ingresses", finding.object["namespace"]):
            if f"'name': '{finding.object['name']}'" in str(item["spec"]):
                _affect(finding, reference(item))
    return findings


def absorb(root: Finding, finding: Finding) -> None:
    for one in (finding.object, *finding.affects):
        _affect(root, one)
    root.evidence += [one for one in finding.evidence if one not in root.evidence]
    if finding.object == root.object:
        root.pods += [one for one in finding.pods if one not in root.pods]
    if root.severity and SEVERITIES.index(finding.severity or "critical") > SEVERITIES.index(root.severity):
        root.severity = finding.severity or "critical"


def _affect(root: Finding, item: dict[str, str]) -> None:
    if item != root.object and item not in root.affects:
        root.affects.append(dict(item))


def _what(finding: Finding) -> str:
    return f"{finding.object['kind'].lower()}/{finding.object['name']}"
