# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What one pod demands of its node, read once from its specification: labels, taints, other pods, spread, ports, requests, volumes.

``why_not`` answers for one node whatever other replicas do; what depends on them (room, spread, affinity) is counted in placing_run.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import (
    DEFAULT_SCHEDULER,
    HOSTNAME,
    ZONE,
    Cluster,
    Group,
    Object,
    Slot,
    expressions,
    load_of,
)
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_volumes import Volumes
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit

Refusal = tuple[str, str]  # what binds, words for it
_CORDON: Object = {"spec": {"taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}}
_REQUIRED, _PREFERRED = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
_SYSTEM_SPREADS = ((HOSTNAME, 3), (ZONE, 5))  # the scheduler's own wishes for pods that name none


class Term(NamedTuple):
    """One term of affinity or anti-affinity to other pods."""

    key: str
    namespaces: frozenset[str]
    everywhere: Mapping[str, Any] | None  # the selector of namespaces
    selector: Mapping[str, Any] | None
    weight: int

    def takes(self, group: Group, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
        inside = group.namespace in self.namespaces or (
            self.everywhere is not None and fit.selects(self.everywhere, _namespace_labels(group.namespace, namespaces))
        )
        return inside and fit.selects(self.selector, group.labels)


class Spread(NamedTuple):
    """One topology spread constraint. ``own``: it counts the pod itself."""

    key: str
    skew: int
    domains: int
    honours_affinity: bool
    honours_taints: bool
    selector: Mapping[str, Any]
    own: bool

    def counts(self, group: Group, namespace: str) -> bool:
        return bool(_conditions(self.selector)) and group.namespace == namespace and fit.selects(self.selector, group.labels)


class Demand:
    """A pod to be placed, as the scheduler reads it."""

    def __init__(self, pod: Object, cluster: Cluster, volumes: Volumes, owner_selector: Mapping[str, Any] | None = None) -> None:
        spec = pod["spec"]
        self.pod, self.volumes = pod, volumes
        self.namespace: str = pod["metadata"].get("namespace", "")
        self.labels: dict[str, str] = pod["metadata"].get("labels") or {}
        self.load = load_of(pod)
        self.group = cluster.group_of(pod)
        self.terms = _node_terms(pod)
        self.node_name: str = spec.get("nodeName") or ""
        affinity = spec.get("affinity") or {}
        self.near = terms_of(self.group, "podAffinity", _REQUIRED)
        self.far = terms_of(self.group, "podAntiAffinity", _REQUIRED)
        self.wishes = [*terms_of(self.group, "podAffinity", _PREFERRED), *terms_of(self.group, "podAntiAffinity", _PREFERRED, -1)]
        self.preferred = (affinity.get("nodeAffinity") or {}).get(_PREFERRED) or []
        self.hard = [
            self._spread(one) for one in spec.get("topologySpreadConstraints") or [] if one["whenUnsatisfiable"] == "DoNotSchedule"
        ]
        self.soft = [
            self._spread(one) for one in spec.get("topologySpreadConstraints") or [] if one["whenUnsatisfiable"] != "DoNotSchedule"
        ]
        self.system_spread = not spec.get("topologySpreadConstraints") and bool(owner_selector)
        if self.system_spread and owner_selector:
            self.soft = [Spread(key, skew, 1, True, False, owner_selector, True) for key, skew in _SYSTEM_SPREADS]
        self.likes_itself = bool(self.near) and all(term.takes(self.group, cluster.namespaces) for term in self.near)
        self.only = _only_nodes(self.terms, self.node_name)
        self._wanted: dict[str, bool] = {}
        self._judged: dict[str, Refusal | None] = {}

    def _spread(self, one: Mapping[str, Any]) -> Spread:
        selector = _merged(one.get("labelSelector"), self.labels, one.get("matchLabelKeys"))
        return Spread(
            one["topologyKey"],
            int(one["maxSkew"]),
            int(one.get("minDomains") or 1),
            one.get("nodeAffinityPolicy", "Honor") == "Honor",
            one.get("nodeTaintsPolicy", "Ignore") == "Honor",
            selector if selector is not None else {"matchExpressions": [{"key": "", "operator": "In", "values": []}]},  # takes nothing
            selector is not None and fit.selects(selector, self.labels),
        )

    def wants(self, slot: Slot) -> bool:
        """Whether the node has the labels that nodeSelector and required node affinity ask for."""
        if slot.name not in self._wanted:
            self._wanted[slot.name] = self.terms is None or any(all(fit.holds(one, slot.matched) for one in term) for term in self.terms)
        return self._wanted[slot.name]

    def is_domain(self, spread: Spread, slot: Slot, among: Iterable[Spread]) -> bool:
        """Whether pods on the node count for the constraint."""
        if any(one.key not in slot.labels for one in among):
            return False
        return not (spread.honours_affinity and not self.wants(slot)) and not (spread.honours_taints and self._repelled(slot))

    def _repelled(self, slot: Slot) -> list[Object]:
        return fit.untolerated(self.pod, {"spec": {"taints": slot.taints}}) if slot.taints else []

    def why_not(self, slot: Slot) -> Refusal | None:
        """Why the node never takes the pod, whatever else lies on it."""
        if slot.name not in self._judged:
            self._judged[slot.name] = self._judge(slot)
        return self._judged[slot.name]

    def _judge(self, slot: Slot) -> Refusal | None:
        """Asked in the scheduler's order."""
        if self.node_name and slot.name != self.node_name:
            return "node_name", self.node_name
        unfit = _unfit(slot.node)
        if unfit:
            return unfit
        if fit.is_cordoned(slot.node) and fit.untolerated(self.pod, _CORDON):
            return "cordoned", ""
        repelled = fit.untolerated(self.pod, slot.node)
        if repelled:
            return "taint", fit.taint_text(repelled[0])
        if not self.wants(slot):
            return "selector", _labels_text(self.terms or [])
        text = self.volumes.never(slot)
        if text:
            return "volume", text
        missing = next((one.key for one in self.hard if one.key not in slot.labels), "")
        if missing:
            return "spread", f"label {missing}"
        missing = next((one.key for one in self.near if one.key not in slot.labels), "")
        return ("affinity", f"label {missing}") if missing else None

    @property
    def scheduler(self) -> str:
        return self.pod["spec"].get("schedulerName") or DEFAULT_SCHEDULER


def terms_of(group: Group, kind: str, which: str, sign: int = 1) -> list[Term]:
    """The terms that pods of a group have about other pods; ``sign`` -1 for those that push away."""
    found = []
    for one in (group.rules.get(kind) or {}).get(which) or []:
        term, weight = (one["podAffinityTerm"], int(one["weight"])) if which == _PREFERRED else (one, 1)
        named = term.get("namespaces") or []
        selector = _merged(term.get("labelSelector"), group.labels, term.get("matchLabelKeys"), term.get("mismatchLabelKeys"))
        own = not named and term.get("namespaceSelector") is None
        found.append(
            Term(
                term["topologyKey"], frozenset([group.namespace] if own else named), term.get("namespaceSelector"), selector, weight * sign
            )
        )
    return found


def guards(group: Group) -> list[Term]:
    """The terms by which pods keep others away."""
    return _once(group, "guards", lambda: terms_of(group, "podAntiAffinity", _REQUIRED))


def pulls(group: Group) -> list[Term]:
    """The terms by which pods draw others near, or would rather not have them, as scores count them."""
    return _once(
        group,
        "pulls",
        lambda: [
            *terms_of(group, "podAffinity", _REQUIRED),
            *terms_of(group, "podAffinity", _PREFERRED),
            *terms_of(group, "podAntiAffinity", _PREFERRED, -1),
        ],
    )


def _once(group: Group, name: str, read: Callable[[], list[Term]]) -> list[Term]:
    if name not in group.known:
        group.known[name] = read()
    found: list[Term] = group.known[name]
    return found


def _node_terms(pod: Object) -> list[list[fit.Expression]] | None:
    """Alternatives, each a list of conditions; None where any node will do, an empty list where none can: an empty term takes no node."""
    terms: list[list[fit.Expression]] = fit.node_terms(pod)
    needed = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    if needed is None:
        return terms or None
    return [term for term, given in zip(terms, needed.get("nodeSelectorTerms") or []) if expressions(given)]


def _only_nodes(terms: list[list[fit.Expression]] | None, node_name: str) -> set[str] | None:
    """The nodes that a pod names, as those of a DaemonSet do; None where it names none."""
    if node_name:
        return {node_name}
    named = [next((values for key, operator, values in term if key == "metadata.name" and operator == "In"), None) for term in terms or []]
    return {name for values in named for name in values or ()} if named and all(values is not None for values in named) else None


def _merged(
    selector: Mapping[str, Any] | None, labels: Mapping[str, str], keys: Iterable[str] | None, others: Iterable[str] | None = None
) -> Mapping[str, Any] | None:
    """A label selector with matchLabelKeys and mismatchLabelKeys written out; keys that the pod lacks say nothing."""
    if selector is None:
        return None
    more = [{"key": key, "operator": "In", "values": [labels[key]]} for key in keys or () if key in labels]
    more += [{"key": key, "operator": "NotIn", "values": [labels[key]]} for key in others or () if key in labels]
    return {**selector, "matchExpressions": [*(selector.get("matchExpressions") or []), *more]} if more else selector


def _conditions(selector: Mapping[str, Any]) -> bool:
    return bool(selector.get("matchLabels") or selector.get("matchExpressions"))


def _namespace_labels(name: str, namespaces: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {"kubernetes.io/metadata.name": name, **namespaces.get(name, {})}


def _unfit(node: Object) -> Refusal | None:
    if "deletionTimestamp" in node["metadata"]:
        return "not_ready", "is being deleted"
    conditions = node.get("status", {}).get("conditions") or []
    ready = next((one for one in conditions if one["type"] == "Ready"), None)
    return ("not_ready", "is not Ready") if ready is not None and ready.get("status") != "True" else None


def _labels_text(terms: list[list[fit.Expression]]) -> str:
    return " or ".join(" and ".join(fit.expression_text(one) for one in term) for term in terms) or "nothing, by an empty term"
