# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether NetworkPolicies forbid a connection, evaluated as the API defines them.

    blocked(view, pod, Peer, port) -> a sentence that names the policy, or ""
    dns_blocked(view, pod)         -> the same for the cluster's DNS

A policy isolates the pods that it selects, in the directions of its policyTypes; what any policy allows is allowed. Policies of a
network plug-in's own kind are not read.
"""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View


class Peer(NamedTuple):
    """The other side: its pods, or its address where it has none."""

    name: str
    pods: Sequence[Object]
    address: str = ""


class Verdict(NamedTuple):
    """A sentence, and the policies that isolate and do not allow."""

    sentence: str
    policies: list[Object]


def blocked(view: View, pod: Object, peer: Peer, port: Any, protocol: str = "TCP") -> Verdict | None:
    """Why a pod may not connect to a port of its peer: by egress rules on its side, or by ingress rules on the other.

    port: the number that the peer's pods serve (after translation by a Service); 0 where it is not known.
    """
    leaving = _isolating(view, pod, "Egress")
    if leaving and not any(
        _allows(view, policy, "egress", other, peer.address, port, protocol) for policy in leaving for other in _each(peer)
    ):
        return Verdict(_sentence(leaving, "egress", pod, f"to {peer.name}{f' port {port}' if port else ''}"), leaving)
    for other in peer.pods:
        entering = _isolating(view, other, "Ingress")
        if entering and not any(_allows(view, policy, "ingress", pod, "", port, protocol, other) for policy in entering):
            source = f"from pod {pod['metadata']['name']}{f' on port {port}' if port else ''}"
            return Verdict(_sentence(entering, "ingress", other, source), entering)
    return None


def dns_blocked(view: View, pod: Object) -> Verdict | None:
    """Why a pod may not ask the cluster's DNS."""
    servers = [one for one in view.inside("pods", "kube-system") if (one["metadata"].get("labels") or {}).get("k8s-app") == "kube-dns"]
    leaving = _isolating(view, pod, "Egress")
    if not leaving or pod["spec"].get("hostNetwork"):
        return None
    stand_in: Object = {
        "kind": "Pod",
        "metadata": {"name": "coredns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {},
        "status": {},
    }
    return blocked(view, pod, Peer("the cluster's DNS", servers or [stand_in]), 53, "UDP")


def selects(selector: Object | None, labels: Any) -> bool:
    """A label selector with matchLabels and matchExpressions; an empty one selects everything, None nothing."""
    if selector is None:
        return False
    labels = labels or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(one, labels) for one in selector.get("matchExpressions") or [])


def _holds(one: Object, labels: Any) -> bool:
    key, values = one["key"], one.get("values") or []
    return {
        "In": key in labels and labels[key] in values,
        "NotIn": key not in labels or labels[key] not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(one["operator"], True)


def _isolating(view: View, pod: Object, direction: str) -> list[Object]:
    """The policies that isolate a pod in a direction. Pods on the host's network are not subject to any."""
    if pod["spec"].get("hostNetwork"):
        return []
    return [
        policy
        for policy in view.inside("networkpolicies", pod["metadata"].get("namespace", ""))
        if direction in _types(policy["spec"]) and selects(policy["spec"].get("podSelector") or {}, pod["metadata"].get("labels"))
    ]


def _types(spec: Object) -> list[str]:
    return spec.get("policyTypes") or (["Ingress", "Egress"] if "egress" in spec else ["Ingress"])


def _each(peer: Peer) -> list[Object | None]:
    return [*peer.pods] or [None]


def _allows(
    view: View, policy: Object, side: str, other: Object | None, address: str, port: Any, protocol: str, serving: Object | None = None
) -> bool:
    peers = "to" if side == "egress" else "from"
    return any(
        _port_fits(rule.get("ports"), port, protocol, serving or other)
        and (not rule.get(peers) or any(_peer_fits(view, policy, one, other, address) for one in rule[peers]))
        for rule in policy["spec"].get(side) or []
    )


def _peer_fits(view: View, policy: Object, one: Object, other: Object | None, address: str) -> bool:
    if "ipBlock" in one:
        status = (other or {}).get("status") or {}
        addresses = [entry["ip"] for entry in status.get("podIPs") or []] or [status.get("podIP") or address]
        return any(_in_block(one["ipBlock"], entry) for entry in addresses if entry)
    if other is None:
        return False  # an address outside the cluster is no pod
    namespace = other["metadata"].get("namespace", "")
    if one.get("namespaceSelector") is None:
        if namespace != policy["metadata"]["namespace"]:
            return False
    elif one["namespaceSelector"]:
        item = view.named("namespaces", "", namespace)
        labels = {"kubernetes.io/metadata.name": namespace, **(((item or {}).get("metadata") or {}).get("labels") or {})}
        if not selects(one["namespaceSelector"], labels):
            return False
    return one.get("podSelector") is None or selects(one["podSelector"], other["metadata"].get("labels"))


def _in_block(block: Object, address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
        return ip in ipaddress.ip_network(block["cidr"], strict=False) and not any(
            ip in ipaddress.ip_network(one, strict=False) for one in block.get("except") or []
        )
    except ValueError:
        return True  # a name: whether its address lies inside cannot be said


def _port_fits(ports: list[Object] | None, port: Any, protocol: str, serving: Object | None) -> bool:
    if not ports or not port:
        return True
    for one in ports:
        if one.get("protocol", "TCP") != protocol and not (port == 53 and one.get("protocol", "TCP") in ("TCP", "UDP")):
            continue
        wanted = one.get("port")
        if wanted is None or wanted == port:
            return True
        if isinstance(wanted, int) and isinstance(port, int) and wanted <= port <= one.get("endPort", wanted):
            return True
        if isinstance(wanted, str) and (wanted == str(port) or port in _numbers(serving, wanted)):
            return True
    return False


def _numbers(pod: Object | None, name: str) -> set[int]:
    """The numbers of a port by name, in a pod."""
    containers = ((pod or {}).get("spec") or {}).get("containers") or []
    return {int(one["containerPort"]) for container in containers for one in container.get("ports") or [] if one.get("name") == name}


def _sentence(policies: list[Object], side: str, isolated: Object, what: str) -> str:
    names = ", ".join(sorted(policy["metadata"]["name"] for policy in policies))
    plural = "ies" if len(policies) > 1 else "y"
    namespace = isolated["metadata"].get("namespace", "")
    verb = "allow" if len(policies) > 1 else "allows"
    return (
        f"NetworkPolic{plural} {names} in namespace {namespace} isolate{'' if len(policies) > 1 else 's'} pod"
        f" {isolated['metadata']['name']} and {verb} no {side} {what}"
    )
