# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The cause behind a symptom, across workloads.

    fold(view, findings) -> findings     each cause once, with the workloads that suffer from it in ``affects``
    behind(...)                          what a host means, and in what state that is (see hosts.py)

Pure; the findings that are kept are changed in place.
"""

from __future__ import annotations

import re
from typing import Any, Callable

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import command_of, containers_of, is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import policies, ports
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs import reading
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import initialisation, rollouts
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.folding import (
    absorb,
    add_entries,
    fold_dns,
    fold_nodes,
    fold_shared,
    fold_webhooks,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import named
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.hosts import Upstream, behind, is_address, is_outside
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View, reference

# codes that may be the symptom of another workload's trouble, where details or the log name its host
_DEPENDENT = (
    "DependencyUnreachable",
    "NameNotResolved",
    "InitContainerStuck",
    "ReadinessProbeFailing",
    "LivenessProbeFailing",
    "StartupProbeFailing",
    "AppCrash",
    "JobFailed",
)
_OF_SERVICE = ("SelectorMismatch", "TargetPortMismatch")  # Service findings that explain why it does not answer
_SPEECHLESS = re.compile(r"(?i)^\s*(?:segmentation fault|usage:|killed|terminated|exit(?:ed)? |command terminated|.*\bexit status \d+\s*$)")
_TIMEOUT = re.compile(
    r"(?i)time[d-]? ?out|deadline exceeded|no route to host|unreachable|EHOSTUNREACH|ETIMEDOUT|operation in progress|did not"
    r" respond|timeout"
)
_REFUSED = re.compile(r"(?i)refused|ECONNREFUSED|reset by peer")
_NO_NAME = re.compile(
    r"(?i)no such host|NXDOMAIN|ENOTFOUND|name or service not known|name does not resolve|nodename nor servname|unknown host"
)
# state of what a host means -> what to do about it
_ADVICE: dict[str, Callable[[Upstream, Finding], str]] = {
    "missing": lambda upstream, finding: (
        f"Correct the host {finding.details.get('host')} in {_what(finding)} to {upstream.hint}, if that is meant; else create Service"
        f" {upstream.name}."
        if upstream.hint
        else (
            f"Create Service {upstream.name} in namespace {upstream.namespace} and what is behind it, or correct the host in"
            f" {_what(finding)}."
        )
    ),
    "scaled-to-zero": lambda upstream, finding: (
        f"Scale {', '.join(map(named, upstream.workloads))} in namespace {upstream.namespace} up again."
    ),
    "no-such-port": lambda upstream, finding: (
        f"Correct the port {finding.details.get('port')} in {_what(finding)} to one that Service {upstream.name} has, or add it to the"
        " Service."
    ),
    "none": lambda upstream, finding: f"Deploy the workload behind Service {upstream.name}, or correct its selector.",
    "not-headless": lambda upstream, finding: (
        f"Make Service {upstream.name} anew with clusterIP None, or use the Service's own name in {_what(finding)}."
    ),
}


def fold(view: View, findings: list[Finding]) -> list[Finding]:
    """One finding per cause. What depends on it goes into its ``affects``; what depends on something without a finding says what is there."""
    kept = fold_shared([rollouts.superseded(view, finding) for finding in findings])
    kept = fold_webhooks(fold_dns(fold_nodes(view, kept)))
    hosts: dict[tuple[str, int, str], Upstream | None] = {}
    known = {id(finding): _upstream(view, finding, hosts) for finding in kept}
    by_address: dict[tuple[str, ...], list[Finding]] = {}
    for finding in kept:
        by_address.setdefault(finding.address, []).append(finding)
    targets = {id(finding): _cause(finding, known[id(finding)], by_address) for finding in kept}
    roots = _roots(kept, targets)
    for finding in kept:
        root = roots[id(finding)]
        if root is not finding:
            absorb(root, finding)
    left = [finding for finding in kept if roots[id(finding)] is finding]
    for finding in left:
        _explain(view, finding, known[id(finding)], targets[id(finding)])
    left = _fold_same_target(view, left, known)
    return add_entries(view, left)


def _roots(findings: list[Finding], targets: dict[int, Finding | None]) -> dict[int, Finding]:
    """Each finding's last cause. In a circle it is the one that comes first by name."""
    roots: dict[int, Finding] = {}
    for finding in findings:
        path = [finding]
        while (following := targets[id(path[-1])]) is not None and not any(one is following for one in path):
            path.append(following)
        if following is None:
            roots[id(finding)] = path[-1]
        else:
            circle = path[next(at for at, one in enumerate(path) if one is following) :]
            roots[id(finding)] = min(circle, key=lambda one: (one.object["namespace"], one.object["name"], one.code))
    return roots


def _upstream(view: View, finding: Finding, hosts: dict[tuple[str, int, str], Upstream | None]) -> Upstream | None:
    if finding.code not in _DEPENDENT:
        return None
    host, port = finding.details.get("host") or "", finding.details.get("port") or 0
    if finding.code.endswith("ProbeFailing"):
        port = finding.details.get("host_port") or 0  # ``port`` is the probe's own
    if str(host).count(":") == 1:
        host, _colon, port = str(host).partition(":")
    if not host and finding.details.get("line"):
        host, port = reading.dependency(str(finding.details["line"])) or ("", 0)
    hinted = "" if host else _asked_by_command(view, finding)
    if hinted:
        host, _colon, port = hinted.partition(":")
    if not host:
        return None
    asked = (str(host), int(port) if str(port).isdigit() else 0, finding.object["namespace"])
    if asked not in hosts:
        hosts[asked] = behind(view, *asked)
    found = hosts[asked]
    if hinted and found is not None and found.state not in ("external", "manual"):
        finding.details = {**finding.details, "host": host, "port": port, "hinted": True}
        now = ", which has ready pods now" if found.state == "serving" else ""
        finding.root_cause = f"{finding.root_cause.rstrip('. ')}. Its command asks {hinted}{now}."
    return found


def _asked_by_command(view: View, finding: Finding) -> str:
    """host:port that the command of a container asks, which crashes without a word of its own."""
    line = str(finding.details.get("line") or "")
    pod = next((one for one in map(view.pod, (one["uid"] for one in finding.pods)) if one), None)
    if finding.code != "AppCrash" or pod is None or (line and not _SPEECHLESS.search(line)):
        return ""
    for container in containers_of(pod["spec"]):
        if container["name"] == finding.container:
            host, port = initialisation.waits_for(command_of(container), "")
            return f"{host}:{port or ''}".rstrip(":") if host else ""
    return ""


def _cause(finding: Finding, upstream: Upstream | None, by_address: dict[tuple[str, ...], list[Finding]]) -> Finding | None:
    """The finding that explains why what this one depends on does not answer."""
    own = finding.address
    if finding.code in _DEPENDENT and _is_about_names(finding):
        down = next((one for group in by_address.values() for one in group if one.code == "DNSDown"), None)
        if down and own != down.address and (upstream is None or upstream.state != "missing"):
            return down
    if finding.code in _DEPENDENT and _is_about_names(finding):
        nameless = (
            one for group in by_address.values() for one in group if one.code == "ServiceNameMissing" and _needs_name_of(finding, one)
        )
        if named_by := next(nameless, None):
            return named_by
    if upstream is None:
        return None
    if upstream.service is not None:
        found = next((one for one in by_address.get(_key(upstream.service), []) if one.code in _OF_SERVICE), None)
        if found:
            return found
    if upstream.state == "serving" and not _refused_by(finding, upstream):
        return None
    addresses = [address for address in map(_key, upstream.workloads) if address != own]
    nodes = {("Node", "", str(pod["spec"].get("nodeName"))) for pod in upstream.pods}
    explaining = [
        *(one for address in addresses for one in by_address.get(address, [])),
        *(one for address in sorted(nodes) for one in by_address.get(address, []) if one.code == "NodeNotReady"),
    ]
    return next(iter(explaining), None)


def _needs_name_of(finding: Finding, stateful: Finding) -> bool:
    """Whether a log line asks for the host name of a pod that only the missing governing Service of its StatefulSet would give."""
    said = str(finding.details.get("line") or finding.root_cause)
    host = rf"(?<![\w.-]){re.escape(stateful.object['name'])}-\d+\.{re.escape(stateful.details['service_name'])}(?![\w-])"
    return finding.object["namespace"] == stateful.object["namespace"] and bool(re.search(host, said))


def _key(item: Object) -> tuple[str, ...]:
    return tuple(reference(item).values())


def _refused_by(finding: Finding, upstream: Upstream) -> bool:
    """Whether some pod behind a Service that still serves is not ready: connections may reach none at times."""
    return not all(map(is_ready, upstream.pods)) and finding.code in ("DependencyUnreachable", "NameNotResolved", "InitContainerStuck")


def _explain(view: View, finding: Finding, upstream: Upstream | None, target: Finding | None) -> None:
    """Say in the root cause what is there instead of what the application expects."""
    if finding.code not in _DEPENDENT:
        return
    if upstream is not None and upstream.sentence:
        finding.root_cause = _told(finding.root_cause, upstream)
        if finding.code == "AppCrash":
            finding.details["was"] = finding.code
            finding.code = "DependencyUnreachable"
            finding.title = f"{_what(finding)} cannot reach {finding.details.get('host') or upstream.name}"
        finding.details["upstream"] = {"state": upstream.state, "name": upstream.name, "namespace": upstream.namespace}
        advice = _ADVICE.get(upstream.state)
        if advice:
            finding.suggested_fix = advice(upstream, finding)
        return
    if upstream is not None and upstream.state == "external" and upstream.service is not None:
        alias = upstream.service["spec"].get("externalName", "")
        finding.root_cause = f"{finding.root_cause.rstrip('. ')}. Service {upstream.name} is of type ExternalName and stands for {alias}."
        finding.suggested_fix = (
            f"Correct externalName ({alias}) of Service {upstream.name} in namespace {upstream.namespace} if another host is meant; else"
            f" have {alias} answer, and its name resolved by the cluster's DNS."
        )
    verdict = _blocked(view, finding, upstream)
    if verdict is not None:
        finding.details["was"] = finding.code
        finding.details["policies"] = [reference(one) for one in verdict.policies]
        finding.root_cause = f"{verdict.sentence}. {finding.root_cause}"
        finding.code, finding.title = "NetworkPolicyBlocks", f"a NetworkPolicy forbids the traffic that {finding.object['name']} needs"
        names = ", ".join(one["metadata"]["name"] for one in verdict.policies)
        finding.suggested_fix = f"Have the owner of NetworkPolicy {names} allow exactly this connection; do not delete the policy."
        finding.expected_outcome = "The connection is made, and the application becomes ready."
    elif target is not None:
        finding.root_cause = f"{finding.root_cause.rstrip('. ')}. {target.object['kind']} {target.object['name']} in turn depends on it."


def _told(root_cause: str, upstream: Upstream) -> str:
    """A root cause with what is known of the Service, instead of the less that the rule itself could say."""
    root_cause = root_cause.replace(f" Service {upstream.name} has no ready pod behind it.", "")
    if upstream.state == "missing" and f"There is no Service {upstream.name}" in root_cause and not upstream.hint:
        return root_cause
    if upstream.sentence in root_cause or (upstream.state == "no-such-port" and f"Service {upstream.name} serves port" in root_cause):
        return root_cause
    return f"{root_cause.rstrip('. ')}. {upstream.sentence}"


def _blocked(view: View, finding: Finding, upstream: Upstream | None) -> policies.Verdict | None:
    """The NetworkPolicy behind a connection that is not answered: a refusal, or a name that does not exist, is none."""
    said = " ".join([finding.root_cause, str(finding.details.get("line") or "")])
    pod = next((one for one in map(view.pod, (one["uid"] for one in finding.pods)) if one), None)
    if pod is None or not view.was_read("networkpolicies") or _REFUSED.search(said):
        return None
    host, port = str(finding.details.get("host") or ""), finding.details.get("port") or 0
    if _is_about_names(finding):
        return None if _NO_NAME.search(said) else policies.dns_blocked(view, pod)
    if not _TIMEOUT.search(said) and finding.code != "InitContainerStuck" and not finding.details.get("hinted"):
        return None
    if not is_address(host) and (verdict := policies.dns_blocked(view, pod)) and not _TIMEOUT.search(said):
        return verdict
    if upstream is None:
        return policies.blocked(view, pod, policies.Peer(host, [], host), port) if host and is_outside(host) else None
    serves = _pod_port(upstream, int(port) if str(port).isdigit() else 0)
    return policies.blocked(
        view, pod, policies.Peer(f"{host} (pods of {', '.join(map(named, upstream.workloads))})", list(upstream.pods)), serves
    )


def _pod_port(upstream: Upstream, port: int) -> Any:
    """The port that the pods get, for a port of their Service."""
    if upstream.service is None or upstream.service["spec"].get("clusterIP") == "None":
        return port
    wanted = next((ports.target(one) for one in upstream.service["spec"].get("ports") or [] if one["port"] == port), port)
    if isinstance(wanted, str) and upstream.pods:
        return next((number for number, name in ports.declared(upstream.pods[0]).items() if name == wanted), 0)
    return wanted


def _fold_same_target(view: View, findings: list[Finding], known: dict[int, Upstream | None]) -> list[Finding]:
    """Several workloads that miss the same thing, or that the same policy holds back, are one problem; so is a Service without pods that they use."""
    first: dict[tuple[Any, ...], Finding] = {}
    left = []
    for finding in sorted(findings, key=lambda one: (one.object["namespace"], one.object["name"])):
        upstream = known.get(id(finding))
        key: tuple[Any, ...] = ()
        if finding.code == "NetworkPolicyBlocks":
            key = ("policy", *(tuple(one.values()) for one in finding.details["policies"]))
        elif upstream is not None and upstream.sentence and finding.code in _DEPENDENT:
            key = (upstream.state, upstream.namespace, upstream.name)
        root = first.setdefault(key, finding) if key else finding
        if root is not finding:
            absorb(root, finding)
        else:
            left.append(finding)
    used = {
        (one.namespace, one.name): first[(one.state, one.namespace, one.name)]
        for one in known.values()
        if one and (one.state, one.namespace, one.name) in first
    }
    kept = []
    for finding in left:
        user = used.get((finding.object["namespace"], finding.object["name"])) if finding.code == "ServiceWithoutBackend" else None
        if user is None:
            kept.append(finding)
        else:
            user.evidence += [one for one in finding.evidence if one not in user.evidence]
    wanted = [id(one) for one in findings]
    return sorted(kept, key=lambda one: wanted.index(id(one)))


def _is_about_names(finding: Finding) -> bool:
    said = " ".join([finding.root_cause, str(finding.details.get("line") or "")])
    return finding.code == "NameNotResolved" or bool(re.search(r"(?i)resolv|lookup|bad address|getaddrinfo|EAI_AGAIN|no such host", said))


def _what(finding: Finding) -> str:
    return f"{finding.object['kind'].lower()}/{finding.object['name']}"


__all__ = ["Upstream", "behind", "fold"]
