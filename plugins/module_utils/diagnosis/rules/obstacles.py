# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What keeps a pod from every node, in words: one explanation for each kind of reason that the scheduler gives."""

from __future__ import annotations

import re
from typing import Callable, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import containers_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.nearest import nearest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View

_STARTS = "The pod is scheduled and starts."
CONTROL_PLANE = re.compile(r"node-role\.kubernetes\.io/(?:control-plane|master)")
_OF_THE_MACHINE = ("kubernetes.io/arch", "kubernetes.io/os", "kubernetes.io/hostname")  # labels that the kubelet sets: facts, not choices
_OF_THE_IMAGE = ("kubernetes.io/arch", "kubernetes.io/os")  # arm64 is no typo of amd64
UNHEALTHY = re.compile(r"node\.(?:kubernetes|cloudprovider\.kubernetes)\.io/(?!unschedulable)")
_INSUFFICIENT = re.compile(r"Insufficient (?P<resource>[A-Za-z0-9./_-]*[A-Za-z0-9])")
_RESOURCE_CODES = {"cpu": "InsufficientCPU", "memory": "InsufficientMemory"}
_RESOURCE_NAMES = {"cpu": "CPU", "pods": "pod slots"}


class Group(NamedTuple):
    """So many nodes, for one reason."""

    kind: str
    nodes: int
    reason: str


class Case(NamedTuple):
    """A pod that the scheduler cannot place, with what a rule needs to say why."""

    view: View
    pod: Object
    groups: tuple[Group, ...]
    wanted: list[Object]  # nodes with the labels that it asks for
    open: list[Object]  # of these, the ones without a taint or a cordon in its way
    closed: list[Object]  # and the ones with
    ids: list[str]  # evidence beside what the pod itself shows
    evidence: Evidence


def _others(case: Case, kind: str) -> str:
    rest = [f"{group.nodes} {group.reason.removeprefix('node(s) ')}" for group in case.groups if group.kind != kind]
    return f" (The other nodes: {'; '.join(rest)}.)" if rest else ""


def _finding(case: Case, code: str, title: str, cause: str, fix: str, kind: str = "", **details: object) -> Finding:
    return Finding(
        code=code,
        title=title,
        root_cause=cause + _others(case, kind),
        suggested_fix=fix,
        expected_outcome=_STARTS,
        evidence=case.ids,
        details=dict(details),
    )


def _resource(case: Case) -> Finding:
    lacking: dict[str, int] = {}
    for group in case.groups:
        if group.kind == "resource":
            match = _INSUFFICIENT.search(group.reason)
            lacking[match["resource"] if match else "pods"] = group.nodes
    asked = {**fit.requests(case.pod), "pods": 1.0}
    nodes = [node for node in case.wanted if not fit.untolerated(case.pod, node)]
    largest = {name: _largest(nodes, name) for name in lacking}
    tops = {name: fit.allocatable(node, name) if node else 0.0 for name, node in largest.items()}
    never = [name for name in lacking if largest[name] and asked.get(name, 0.0) > tops[name]]
    resource = (never or sorted(lacking, key=lambda name: {"cpu": 0, "memory": 1}.get(name, 2)))[0]
    name, value, top, node = _RESOURCE_NAMES.get(resource, resource), asked.get(resource, 0.0), tops[resource], largest[resource]
    amount = fit.text(resource, value)
    where = "; ".join(_shares(case.pod, resource))
    known = {key: fit.text(key, asked.get(key, 0.0)) for key in lacking if key != resource}
    also = "".join(f" It also lacks {key} ({lacking[key]} node(s), request {shown})." for key, shown in known.items())
    if node is None:
        cause = f"The pod requests {amount} {name} ({where}), and {lacking[resource]} node(s) have less than that left."
        title, fix = (
            f"no node has enough {name} for the request of {amount}",
            f"Lower the {name} request to what the workload uses, or free capacity.",
        )
    elif top == 0:
        offered = {key for one in nodes for key in one.get("status", {}).get("allocatable") or {} if fit.allocatable(one, key)}
        near = nearest(resource, offered)
        cause = f"The pod asks for {amount} {name} ({where}), and no node offers {name} at all{f'; they offer {near}' if near else ''}."
        title = f"no node offers {name}"
        fix = (
            f"Ask for {near} instead."
            if near
            else f"Remove the request for {name}, or add a node (and its device plugin) that offers {name}."
        )
    elif resource in never:
        cause = (
            f"The pod requests {amount} {name} ({where}), more than any node can ever give: the largest, {node['metadata']['name']}, has"
            f" {fit.text(resource, top)} allocatable, even when empty."
        )
        title = f"the request of {amount} {name} is too big for any node"
        fix = (
            f"Lower the {name} request of the pod template from {amount} to what it needs, at most {fit.text(resource, top)}, or add a"
            " larger node."
        )
    else:
        cause = (
            f"The pod requests {amount} {name} ({where}). It would fit on an empty node, but the nodes are full:"
            f" {_full(case, nodes, resource)}."
        )
        title = f"no node has enough {name} left for the request of {amount}"
        fix = f"Lower the {name} request to what the workload uses, lower or remove what holds the nodes' {name}, or add a node."
    if node is not None:
        case.ids.append(
            case.evidence.add(f"node/{node['metadata']['name']} status.allocatable", "", f"{resource}: {fit.text(resource, top)}")
        )
    code = _RESOURCE_CODES.get(resource, "InsufficientResource")
    largest_text = fit.text(resource, top) if node else ""
    details = {"resource": resource, "requested": amount, "largest": largest_text, "fits_empty": node is None or resource not in never}
    return _finding(case, code, title, cause + also, fix, "resource", **details)


def _largest(nodes: list[Object], resource: str) -> Object | None:
    return max(nodes, key=lambda node: fit.allocatable(node, resource), default=None)


def _shares(pod: Object, resource: str) -> list[str]:
    """Which containers ask for how much."""
    if resource == "pods":
        return ["a pod takes one slot"]
    shares = [(one["name"], fit.requests({"spec": {"containers": [one]}}).get(resource, 0.0)) for one in containers_of(pod["spec"])]
    return [f"container {name}: {fit.text(resource, value)}" for name, value in shares if value] or ["the pod as a whole"]


def _full(case: Case, nodes: list[Object], resource: str) -> str:
    """What is left on the nodes, and who holds most."""
    view = case.view
    if not fit.sees_all_pods(view):
        top = max(nodes, key=lambda node: fit.allocatable(node, resource))
        return f"the largest, {top['metadata']['name']}, has {fit.text(resource, fit.allocatable(top, resource))} in all"
    ranked = fit.emptiest(view, nodes, resource)
    parts, held = [], dict[str, float]()
    for name, left in ranked:
        total = fit.text(resource, fit.allocatable(view.named("nodes", "", name) or {}, resource))
        parts.append(f"{name} has {fit.text(resource, max(left, 0.0))} of {total} left")
        for pod, amounts in fit.reserved(view, name):
            owner = view.workload(pod)
            key = f"{owner['kind'].lower()}/{owner['metadata']['name']} in {pod['metadata']['namespace']}"
            held[key] = held.get(key, 0.0) + amounts.get(resource, 0.0)
    biggest = [f"{key} ({fit.text(resource, value)})" for key, value in sorted(held.items(), key=lambda one: -one[1])[:3] if value]
    return ", ".join(parts) + (f"; most is held by {', '.join(biggest)}" if biggest else "")


def _selector(case: Case) -> Finding:
    nodes = case.view.objects.get("nodes", [])
    terms = fit.node_terms(case.pod)
    asked = " or ".join(" and ".join(map(fit.expression_text, term)) for term in terms) or "labels that no node has"
    hints, corrections = [], {}
    for expression in (one for term in terms for one in term):
        key, operator, values = expression
        if not nodes or any(fit.holds(expression, fit.labels_of(node)) for node in nodes):
            continue
        have = sorted({fit.labels_of(node)[key] for node in nodes if key in fit.labels_of(node)})
        if have:
            near = next(
                (one for one in (nearest(value, have) for value in values) if one and key not in _OF_THE_IMAGE),
                have[0] if len(have) == 1 and operator == "In" and key not in _OF_THE_MACHINE else "",
            )
            hints.append(f"no node has {fit.expression_text(expression)}; the nodes have {key}={fit.listed(have)}")
        else:
            near = nearest(key, {name for node in nodes for name in fit.labels_of(node)})
            hints.append(f"no node has the label {key}" + (f"; they have {near}" if near else ""))
        if near:
            corrections[key] = near
    if nodes and not hints:
        hints.append("each of these is true of some node, but no node has all of them")
    cause = f"The pod may only run on nodes with {asked}, and no node fits" + (f": {'; '.join(hints)}." if hints else ".")
    meant = ", ".join(f"{key} -> {value}" for key, value in corrections.items())
    fix = f"Correct nodeSelector or node affinity in the pod template{f' ({meant})' if meant else ''}, or {_provided(terms)}."
    return _finding(
        case, "NodeSelectorMismatch", f"no node has the labels {asked}", cause, fix, "selector", asked=asked, corrections=corrections
    )


def _provided(terms: list[list[fit.Expression]]) -> str:
    """What makes a node fit: a label; or another node, where the label says what kind of machine it is."""
    term = terms[0] if terms else []
    pairs = ", ".join(f"{key}={values[0]}" for key, operator, values in term if operator == "In" and values)
    if any(key in _OF_THE_MACHINE for key, _operator, _values in term):
        return f"add a node that has {pairs or 'them'}"
    return f"label a node {pairs or 'accordingly'}"


def _taint(case: Case) -> Finding:
    found = {node["metadata"]["name"]: fit.untolerated(case.pod, node) for node in case.wanted}
    by_taint: dict[str, list[str]] = {}
    for name, taints in found.items():
        for taint in taints:
            by_taint.setdefault(fit.taint_text(taint), []).append(name)
    said = "; ".join(group.reason for group in case.groups if group.kind == "taint")
    what = "; ".join(f"{taint} on {fit.listed(names)}" for taint, names in sorted(by_taint.items())) or said
    unwell = sorted({name for taint, names in by_taint.items() if UNHEALTHY.match(taint) for name in names})
    cause = f"Every node that the pod could use has a taint that it does not tolerate: {what}."
    fix = (
        "Add a toleration for the taint to the pod template if the pod belongs there, or remove the taint from a node (kubectl taint nodes"
        " NODE KEY-)."
    )
    if unwell and all(UNHEALTHY.match(taint) or CONTROL_PLANE.search(taint) for taint in by_taint):
        cause += f" Kubernetes sets such a taint on a node that is not well: {fit.listed(unwell)}."
        fix = f"Repair the node(s) {fit.listed(unwell)}: the taint goes by itself once they are well. A toleration would not help."
    return _finding(
        case,
        "UntoleratedTaint",
        f"the pod does not tolerate the taint {next(iter(sorted(by_taint)), said)}",
        cause,
        fix,
        "taint",
        taints=sorted(by_taint),
        nodes=unwell,
    )


def _cordoned(case: Case) -> Finding:
    names = [node["metadata"]["name"] for node in case.wanted if fit.is_cordoned(node)]
    which = f": {fit.listed(names)}" if names else ""
    return _finding(
        case,
        "NodesCordoned",
        f"the nodes that could take the pod are cordoned{which}",
        f"The nodes that could take the pod are cordoned (spec.unschedulable){which}.",
        f"Uncordon a node once it is fit for work: kubectl uncordon {names[0] if names else 'NODE'}.",
        "cordoned",
        nodes=names,
    )


def _affinity(case: Case) -> Finding:
    reasons = " ".join(group.reason for group in case.groups if group.kind == "affinity")
    anti = "anti-affinity" in reasons
    rules = (case.pod["spec"].get("affinity") or {}).get("podAntiAffinity" if anti else "podAffinity") or {}
    terms = rules.get("requiredDuringSchedulingIgnoredDuringExecution") or []
    described = "; ".join(f"{fit.selector_text(term.get('labelSelector'))} per {term.get('topologyKey')}" for term in terms)
    labels, namespace = case.pod["metadata"].get("labels") or {}, case.pod["metadata"]["namespace"]
    if anti and "existing pods" in reasons and not terms:
        cause = "Pods that already run there forbid it beside them with their own anti-affinity, on every node that it could use."
        fix = "Soften the anti-affinity of the running pods to preferred, or add a node."
    elif anti:
        own = any(fit.selects(term.get("labelSelector"), labels) for term in terms)
        peers = len([one for one in case.view.pods_of(case.view.workload(case.pod)) if one["spec"].get("nodeName")])
        cause = f"Its required pod anti-affinity ({described}) excludes every node that it could use"
        cause += f": {peers} of its own replicas run already, and each place takes only one." if own and peers else "."
        fix = "Soften the anti-affinity to preferred, use fewer replicas than there are nodes, or add a node."
    else:
        present = [
            one
            for term in terms
            for one in case.view.inside("pods", namespace)
            if fit.selects(term.get("labelSelector"), one["metadata"].get("labels") or {})
        ]
        cause = f"Its required pod affinity wants to be beside a pod with {described}"
        cause += (
            ", but no such pod runs in the namespace."
            if not [one for one in present if one is not case.pod]
            else ", and no node that it could use has one."
        )
        fix = "Start the pod that it wants to be beside, correct the labels of the affinity, or soften it to preferred."
    kind = "anti-affinity" if anti else "affinity"
    return _finding(case, "PodAffinityUnsatisfiable", f"required pod {kind} excludes every node", cause, fix, "affinity", anti=anti)


def _spread(case: Case) -> Finding:
    hard = [one for one in case.pod["spec"].get("topologySpreadConstraints") or [] if one.get("whenUnsatisfiable") == "DoNotSchedule"]
    keys = {node_key for node in case.view.objects.get("nodes", []) for node_key in fit.labels_of(node)}
    unknown = [one["topologyKey"] for one in hard if keys and one["topologyKey"] not in keys]
    described = "; ".join(f"maxSkew {one.get('maxSkew')} over {one.get('topologyKey')}" for one in hard)
    if unknown or any("missing required label" in group.reason for group in case.groups):
        name = ", ".join(unknown or [one["topologyKey"] for one in hard])
        near = nearest(name, keys)
        cause = (
            f"Its topology spread constraint needs the node label {name}, which no node that it could use"
            f" has{f' (they have {near})' if near else ''}."
        )
        fix = (
            f"Use a topologyKey that the nodes have{f' ({near})' if near else ''}, label the nodes with {name}, or set whenUnsatisfiable:"
            " ScheduleAnyway."
        )
    else:
        cause = (
            f"Its topology spread constraints ({described}) exclude every node that it could use: one more pod there would be too many in"
            " one place."
        )
        fix = "Free the places that have too few of its pods, raise maxSkew, set whenUnsatisfiable: ScheduleAnyway, or use fewer replicas."
    return _finding(case, "TopologySpreadUnsatisfiable", "topology spread constraints exclude every node", cause, fix, "spread")


def _port(case: Case) -> Finding:
    ports = _host_ports(case.pod)
    holders = [
        f"{case.view.workload(one)['kind'].lower()}/{case.view.workload(one)['metadata']['name']} in {one['metadata']['namespace']} (on"
        f" {one['spec']['nodeName']})"
        for one in case.view.objects["pods"]
        if one["spec"].get("nodeName") and one.get("status", {}).get("phase") in ("Running", "Pending") and _host_ports(one) & ports
    ]
    which = ", ".join(str(port) for port, _protocol in sorted(ports)) or "of the pod"
    cause = f"The host port {which} is taken on every node that it could use" + (f": by {fit.listed(holders)}." if holders else ".")
    fix = f"Drop hostPort {which} and use a Service, choose a free host port, or run no more replicas than nodes."
    return _finding(
        case, "HostPortConflict", f"host port {which} is taken", cause, fix, "port", ports=sorted(port for port, _protocol in ports)
    )


def _host_ports(pod: Object) -> set[tuple[int, str]]:
    own = pod["spec"].get("hostNetwork")
    return {
        (int(port.get("hostPort") or port["containerPort"]), port.get("protocol", "TCP"))
        for container in pod["spec"].get("containers", [])
        for port in container.get("ports") or []
        if port.get("hostPort") or own
    }


def unknown(case: Case, message: str) -> Finding:
    """Any other reason, in the scheduler's own words."""
    what = message[:300].rstrip(". ") or "the scheduler gave no reason"
    if "no nodes available" in message or message.startswith("0/0 nodes"):
        what = "the cluster has no node that is registered"
    return Finding(
        code="Unschedulable",
        title="the pod cannot be placed on any node",
        root_cause=f"The scheduler cannot place the pod: {what}.",
        suggested_fix="Correct what the scheduler's message names.",
        expected_outcome=_STARTS,
        evidence=case.ids,
    )


JUDGES: dict[str, Callable[[Case], Finding]] = {
    "resource": _resource,
    "selector": _selector,
    "taint": _taint,
    "cordoned": _cordoned,
    "affinity": _affinity,
    "spread": _spread,
    "port": _port,
}
