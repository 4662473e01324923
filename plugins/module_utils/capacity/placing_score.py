# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which of the nodes that take a pod the scheduler likes best: the scores of its default profile, in its own whole numbers.

LeastAllocated and BalancedAllocation (weight 1 each), TaintToleration (3), NodeAffinity, PodTopologySpread and InterPodAffinity (2 each).
ImageLocality is left out: which images lie on a node changes while one looks.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import HOSTNAME, Cluster, Slot, term_holds
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_pod import Demand, Spread, pulls
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit

_BEST = 100
_SCORED = ("cpu", "memory")


class Scores:
    """The scores of one pod on the nodes that could ever take it; ``placed`` keeps them up to date."""

    def __init__(self, cluster: Cluster, demand: Demand, slots: Sequence[Slot]) -> None:
        self._cluster, self._demand = cluster, demand
        self._own: dict[str, int] = {}
        self._asked = [demand.load.amounts.get(name, 0) for name in _SCORED]
        self._taints = {slot.name: _disliked(demand, slot) for slot in slots if slot.taints}
        self._liked = {slot.name: _preferred(demand, slot) for slot in slots} if demand.preferred else {}
        self._drawn: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._pulled = False
        self._attraction()
        self._self_pull = [
            (term.key, term.weight)
            for term in [*demand.wishes, *pulls(demand.group)]
            if demand.group.rules and term.takes(demand.group, cluster.namespaces)
        ]
        self._spread_on: list[dict[str, int]] = [self._counted(one) for one in demand.soft]
        self._by_zone: list[dict[str, int]] = [self._zoned(one, counts) for one, counts in zip(demand.soft, self._spread_on)]

    def best(self, slots: Sequence[Slot]) -> list[Slot]:
        """Those of the highest score; the scheduler draws lots among them."""
        total = [self._node(slot) for slot in slots]
        for weight, values in self._normalised(slots):
            total = [one + weight * value for one, value in zip(total, values)]
        most = max(total)
        return [slot for slot, value in zip(slots, total) if value == most]

    @property
    def is_local(self) -> bool:
        """Whether a node's score depends on that node alone."""
        return not (any(self._taints.values()) or any(self._liked.values()) or self._demand.soft or self._pulled or self._self_pull)

    def _normalised(self, slots: Sequence[Slot]) -> list[tuple[int, list[int]]]:
        found = []
        if self._taints:
            found.append((3, _reversed([self._taints.get(slot.name, 0) for slot in slots])))
        if self._liked:
            found.append((2, _scaled([self._liked[slot.name] for slot in slots])))
        if self._demand.soft:
            found.append((2, self._spread(slots)))
        if self._pulled:
            found.append((2, self._affinity(slots)))
        return found

    def _node(self, slot: Slot) -> int:
        if slot.name not in self._own:
            self._own[slot.name] = self._least(slot) + self._balance(slot)
        return self._own[slot.name]

    def local(self, slot: Slot) -> int:
        return self._node(slot)

    def _least(self, slot: Slot) -> int:
        found = []
        for index, name in enumerate(_SCORED):
            size, used = slot.size.get(name, 0), slot.near[index] + self._demand.load.near[index]
            if size:
                found.append((size - used) * _BEST // size if used <= size else 0)
        return sum(found) // len(found) if found else 0

    def _balance(self, slot: Slot) -> int:
        if not any(self._asked):
            return 0
        shares = [
            min(1.0, (slot.size[name] - slot.free[name] + asked) / slot.size[name])
            for name, asked in zip(_SCORED, self._asked)
            if slot.size.get(name)
        ]
        return int((1 - (abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0.0)) * _BEST)

    def _attraction(self) -> None:
        names = self._cluster.namespaces
        for group in self._cluster.residents():
            if not group.on:
                continue
            weights = [(term.key, term.weight) for term in pulls(group) if term.takes(self._demand.group, names)] if group.rules else []
            weights += [(term.key, term.weight) for term in self._demand.wishes if term.takes(group, names)]
            for name, count in group.on.items() if weights else ():
                slot = self._cluster.named.get(name)
                for key, weight in weights if slot is not None and count > 0 else ():
                    self._pull(slot, key, weight * count)

    def _pull(self, slot: Slot | None, key: str, weight: int) -> None:
        if slot is not None and key in slot.labels:
            self._drawn[key][slot.labels[key]] += weight
            self._pulled = True

    def _affinity(self, slots: Sequence[Slot]) -> list[int]:
        raw = [sum(values.get(slot.labels[key], 0) for key, values in self._drawn.items() if key in slot.labels) for slot in slots]
        low, high = min(raw), max(raw)
        return [int(_BEST * ((one - low) / (high - low))) if high > low else 0 for one in raw]

    def _counted(self, spread: Spread) -> dict[str, int]:
        """Node -> pods that the constraint counts there."""
        counts: dict[str, int] = defaultdict(int)
        for group in self._cluster.residents():
            if group.alive and spread.counts(group, self._demand.namespace):
                for name, count in group.alive.items():
                    counts[name] += count
        return counts

    def _zoned(self, spread: Spread, counts: dict[str, int]) -> dict[str, int]:
        """Domain -> pods, over the nodes that count for the constraint."""
        found: dict[str, int] = defaultdict(int)
        for name, count in counts.items():
            slot = self._cluster.named.get(name)
            if count and slot is not None and self._is_domain(spread, slot):
                found[slot.labels.get(spread.key, "")] += count
        return found

    def _is_domain(self, spread: Spread, slot: Slot) -> bool:
        return self._demand.is_domain(spread, slot, () if self._demand.system_spread else self._demand.soft)

    def _spread(self, slots: Sequence[Slot]) -> list[int]:
        soft, system = self._demand.soft, self._demand.system_spread
        scored = [system or all(one.key in slot.labels for one in soft) for slot in slots]
        raw = [0.0] * len(slots)
        for spread, counts, zones in zip(soft, self._spread_on, self._by_zone):
            per_node = spread.key == HOSTNAME
            size = sum(scored) if per_node else len({slot.labels.get(spread.key, "") for slot, counted in zip(slots, scored) if counted})
            weight = math.log(size + 2)
            for index, slot in enumerate(slots):
                if scored[index] and spread.key in slot.labels:
                    count = counts.get(slot.name, 0) if per_node else zones.get(slot.labels[spread.key], 0)
                    raw[index] += count * weight + (spread.skew - 1)
        values = [math.floor(one + 0.5) for one in raw]
        among = [value for value, counted in zip(values, scored) if counted]
        low, high = min(among, default=0), max(among, default=0)
        return [(0 if not counted else _BEST * (high + low - value) // high if high else _BEST) for value, counted in zip(values, scored)]

    def placed(self, slot: Slot) -> None:
        """A replica has come to the node."""
        self._own.pop(slot.name, None)
        for key, weight in self._self_pull:
            self._pull(slot, key, weight)
        for spread, counts, zones in zip(self._demand.soft, self._spread_on, self._by_zone):
            if spread.own and spread.counts(self._demand.group, self._demand.namespace):
                counts[slot.name] += 1
                if self._is_domain(spread, slot):
                    zones[slot.labels.get(spread.key, "")] += 1


def _disliked(demand: Demand, slot: Slot) -> int:
    """Taints that only ask to stay away, and that the pod does not tolerate."""
    asking = [{**one, "effect": "NoSchedule"} for one in slot.taints if one.get("effect") == "PreferNoSchedule"]
    if not asking:
        return 0
    tolerations = [
        {**one, "effect": ""} for one in demand.pod["spec"].get("tolerations") or [] if one.get("effect") in (None, "", "PreferNoSchedule")
    ]
    return len(fit.untolerated({"spec": {"tolerations": tolerations}}, {"spec": {"taints": asking}}))


def _preferred(demand: Demand, slot: Slot) -> int:
    return sum(int(one["weight"]) for one in demand.preferred if term_holds(one["preference"], slot))


def _scaled(raw: list[int]) -> list[int]:
    most = max(raw)
    return [_BEST * one // most for one in raw] if most else raw


def _reversed(raw: list[int]) -> list[int]:
    return [_BEST - one for one in _scaled(raw)]
