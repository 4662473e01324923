# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What pods mean for each other when they move: affinity, anti-affinity and spread, counted by domain and kept up to date.

``Rules(cluster)`` reads the rules of each kind of pod once. ``allowed(kind, slot)`` answers for one node as things are now; ``move`` and
``lose`` tell it of a pod that comes or goes, and of a node that is gone. Labels are looked up by index: a thousand workloads are no more
work each than ten.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Iterable, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import Cluster, Group, Object, Slot, claims_of
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_pod import Demand, Spread, Term, guards
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_volumes import Volumes

Pair = tuple[str, str]


class Tally:
    """How many pods of some groups there are in each domain of a label; ``nodes`` are the nodes that each domain has."""

    __slots__ = ("key", "inside", "pods", "nodes")

    def __init__(self, key: str, slots: Mapping[str, Slot], groups: Iterable[Group], inside: set[str] | None) -> None:
        self.key, self.inside = key, inside  # inside: the nodes that count, None for all
        self.nodes: Counter[str] = Counter()
        if inside is not None:
            self.nodes.update(slots[name].labels[key] for name in inside)
        self.pods: Counter[str] = Counter()
        for group in groups:
            for name, count in group.on.items():
                if count and name in slots:
                    self.move(slots[name], count)

    def move(self, slot: Slot, times: int) -> None:
        if self.key in slot.labels and (self.inside is None or slot.name in self.inside):
            self.pods[slot.labels[self.key]] += times

    def least(self, domains: int) -> int:
        """Of the domain that has fewest; 0 where there are fewer domains than the constraint wants."""
        alive = [self.pods[value] for value, count in self.nodes.items() if count > 0]
        return min(alive, default=0) if len(alive) >= domains else 0


class Kind(NamedTuple):
    """Pods with the same rules, and what other pods mean for them."""

    demand: Demand
    away: list[Tally]  # a domain with one of these refuses it
    near: list[Tally]  # it needs one in each of these domains
    spread: list[tuple[Spread, Tally]]


class Rules:
    """See the module's description."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._no_volumes = Volumes(cluster)
        self._kinds: dict[Any, Kind] = {}
        self._listeners: dict[int, list[Tally]] = defaultdict(list)
        self._spreads: list[Tally] = []
        self._bearing: dict[Pair, list[Group]] = defaultdict(list)  # label -> groups that bear it
        self._guards: dict[Pair | None, list[tuple[Group, Term]]] = defaultdict(list)  # label that a term asks for -> who has the term
        for group in cluster.residents():
            for pair in group.labels.items():
                self._bearing[pair].append(group)
            for term in guards(group) if group.rules else ():
                self._guards[_pair(term.selector)].append((group, term))

    def kind(self, name: Any, pod: Object) -> Kind:
        """The rules of a pod; ``name`` is the same for all pods that share them."""
        if name not in self._kinds:
            self._kinds[name] = self._read(pod)
        return self._kinds[name]

    def move(self, group: Group, slot: Slot, times: int) -> None:
        for tally in self._listeners.get(id(group), ()):
            tally.move(slot, times)

    def lose(self, slot: Slot) -> None:
        for tally in self._spreads:
            if tally.inside is not None and slot.name in tally.inside:
                tally.nodes[slot.labels[tally.key]] -= 1

    def _read(self, pod: Object) -> Kind:
        free = {**pod, "spec": {name: part for name, part in pod["spec"].items() if name != "nodeName"}}
        demand = Demand(free, self._cluster, Volumes.of(free, self._cluster) if claims_of(pod) else self._no_volumes)
        names = self._cluster.namespaces
        away = [self._tally(term.key, [one for one in self._groups(term.selector) if term.takes(one, names)]) for term in demand.far]
        keeping = [*self._guards[None], *(one for pair in demand.labels.items() for one in self._guards.get(pair, ()))]
        away += [self._tally(term.key, [group]) for group, term in keeping if term.takes(demand.group, names)]
        nearby = [
            one
            for one in (self._groups(demand.near[0].selector) if demand.near else ())
            if all(term.takes(one, names) for term in demand.near)
        ]
        spread = []
        for one in demand.hard:
            inside = {slot.name for slot in self._cluster.slots if demand.is_domain(one, slot, demand.hard)}
            counted = [group for group in self._groups(one.selector) if one.counts(group, demand.namespace)]
            spread.append((one, self._tally(one.key, counted, inside)))
        self._spreads += [tally for _one, tally in spread]
        return Kind(demand, away, [self._tally(term.key, nearby) for term in demand.near], spread)

    def _groups(self, selector: Mapping[str, Any] | None) -> Iterable[Group]:
        """The groups that a selector can take: those that bear the first label that it names."""
        pair = _pair(selector)
        return list(self._cluster.residents()) if pair is None else self._bearing.get(pair, ())

    def _tally(self, key: str, groups: Iterable[Group], inside: set[str] | None = None) -> Tally:
        found = Tally(key, self._cluster.named, groups, inside)
        for group in groups:
            self._listeners[id(group)].append(found)
        return found


def allowed(kind: Kind, slot: Slot) -> bool:
    """Whether the pods that are where they are now let one of this kind in."""
    labels = slot.labels
    if any(tally.pods[labels[tally.key]] > 0 for tally in kind.away if tally.key in labels):
        return False
    if any(tally.pods[labels[tally.key]] <= 0 for tally in kind.near):
        somewhere = any(count > 0 for tally in kind.near for count in tally.pods.values())
        if somewhere or not kind.demand.likes_itself:
            return False
    return all(tally.pods[labels[one.key]] + one.own - tally.least(one.domains) <= one.skew for one, tally in kind.spread)


def _pair(selector: Mapping[str, Any] | None) -> Pair | None:
    """One label that everything a selector takes bears; None where it names none."""
    return next(iter(((selector or {}).get("matchLabels") or {}).items()), None)
