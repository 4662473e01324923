# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Replicas of one pod placed one after the other, as the scheduler does: filter, score, take the room, next.

Where the order cannot change how many fit (each node's room is its own, and at most one rule ties nodes together) one run is the answer.
Otherwise the same run is made several times with other luck among equal nodes, and the one that fits fewest counts: what is promised has
to hold.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from typing import Callable, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import Cluster, Slot
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_pod import Demand, Refusal, guards
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_score import Scores

_LUCKS = 12  # runs with other luck, where order matters
_EFFORT = 300_000  # nodes looked at in all of these
Pick = Callable[[Sequence[Slot]], Slot]


class Run:
    """One series of replicas. Made from the cluster as it is; ``undo`` gives all room back."""

    def __init__(self, cluster: Cluster, demand: Demand) -> None:
        self.cluster, self.demand = cluster, demand
        self.placed: list[Slot] = []
        named = cluster.slots if demand.only is None else [cluster.named[name] for name in sorted(demand.only) if name in cluster.named]
        self.slots = [slot for slot in named if demand.why_not(slot) is None]
        self._open = [slot for slot in self.slots if self.full(slot) is None]
        self._domains: list[dict[str, int]] = []
        self._counted: list[set[str]] = []
        self._grows = [one.own and one.counts(demand.group, demand.namespace) for one in demand.hard]
        self._near: Counter[tuple[str, str]] = Counter()
        self._far: Counter[tuple[str, str]] = Counter()
        self._count_domains()
        self._count_terms()
        self._own_far = sorted({term.key for term in demand.far if term.takes(demand.group, cluster.namespaces)})
        self._scores = Scores(cluster, demand, self.slots)

    # --- what other pods mean for this one

    def _count_domains(self) -> None:
        for spread in self.demand.hard:
            inside = {slot.name: slot for slot in self.cluster.slots if self.demand.is_domain(spread, slot, self.demand.hard)}
            counts: dict[str, int] = {slot.labels[spread.key]: 0 for slot in inside.values()}
            for group in self.cluster.residents():
                if group.alive and spread.counts(group, self.demand.namespace):
                    for name, count in group.alive.items():
                        if name in inside:
                            counts[inside[name].labels[spread.key]] += count
            self._domains.append(counts)
            self._counted.append(set(inside))

    def _count_terms(self) -> None:
        demand, names = self.demand, self.cluster.namespaces
        for group in self.cluster.residents():
            if not group.on:
                continue
            keys = {term.key for term in demand.far if term.takes(group, names)}
            keys |= {term.key for term in guards(group) if term.takes(demand.group, names)} if group.rules else set()
            near = bool(demand.near) and all(term.takes(group, names) for term in demand.near)
            if not keys and not near:
                continue
            for name, count in group.on.items():
                slot = self.cluster.named.get(name)
                if slot is None or count <= 0:
                    continue
                for key in keys & slot.labels.keys():
                    self._far[key, slot.labels[key]] += count
                if near:
                    self._meet(slot, count)

    def _meet(self, slot: Slot, count: int = 1) -> None:
        for term in self.demand.near:
            if term.key in slot.labels:
                self._near[term.key, slot.labels[term.key]] += count

    # --- may a node take the next one

    def refusal(self, slot: Slot) -> Refusal | None:
        """Why the node does not take the next replica, in the scheduler's order; None where it does."""
        return self.demand.why_not(slot) or self.full(slot) or self._tied(slot)

    def full(self, slot: Slot) -> Refusal | None:
        """A port or a resource that is gone here; nothing that comes later brings it back."""
        load = self.demand.load
        if load.ports:
            port = slot.clashes(load.ports)
            if port is not None:
                return "ports", f"{port[1]} {port[2]}"
        free = slot.free
        for name, value in load.amounts.items():
            if value and free.get(name, 0) < value:
                return name, name
        return None

    def short(self, slot: Slot) -> list[str]:
        """All resources that are short here."""
        return [name for name, value in self.demand.load.amounts.items() if value and slot.free.get(name, 0) < value]

    def _tied(self, slot: Slot) -> Refusal | None:
        """What depends on where other pods are."""
        text = self.demand.volumes.why_not(slot, len(self.placed))
        if text:
            return "volume", text
        for spread, counts in zip(self.demand.hard, self._domains):
            low = min(counts.values(), default=2**31) if len(counts) >= spread.domains else 0
            if counts.get(slot.labels[spread.key], 0) + spread.own - low > spread.skew:
                return "spread", spread.key
        if self._far:
            pair = next((pair for pair in slot.labels.items() if self._far[pair] > 0), None)
            if pair is not None:
                return "anti_affinity", pair[0]
        if self.demand.near and any(self._near[term.key, slot.labels[term.key]] <= 0 for term in self.demand.near):
            if self._near or not self.demand.likes_itself:
                return "affinity", ", ".join(sorted({term.key for term in self.demand.near}))
        return None

    def _limits(self) -> list[int]:
        """For each constraint of spread the most pods that a domain may have to get one more."""
        found = []
        for spread, counts in zip(self.demand.hard, self._domains):
            low = min(counts.values(), default=2**31) if len(counts) >= spread.domains else 0
            found.append(spread.skew + low - spread.own)
        return found

    def candidates(self) -> list[Slot]:
        """The nodes that take the next replica."""
        found = self._open
        for spread, counts, limit in zip(self.demand.hard, self._domains, self._limits()):
            found = [slot for slot in found if counts.get(slot.labels[spread.key], 0) <= limit]
        if self._far:
            keys = {key for key, _value in self._far}
            found = [slot for slot in found if not any(self._far[key, slot.labels[key]] > 0 for key in keys if key in slot.labels)]
        if self.demand.near and (self._near or not self.demand.likes_itself):
            found = [slot for slot in found if all(self._near[term.key, slot.labels[term.key]] > 0 for term in self.demand.near)]
        volumes, index = self.demand.volumes, len(self.placed)
        return [slot for slot in found if not volumes.why_not(slot, index)] if volumes.is_open else found

    # --- placing

    def place(self, count: int, pick: Pick) -> int:
        """Place up to so many replicas; how many found a node."""
        for _replica in range(count):
            found = self.candidates()
            if not found:
                break
            self.put(pick(self._scores.best(found)))
        return len(self.placed)

    def place_anywhere(self, count: int, pick: Pick) -> int:
        """The same without scores, as a scheduler with other scores could do it."""
        while len(self.placed) < count:
            found = self.candidates()
            if not found:
                break
            self.put(pick(found))
        return len(self.placed)

    def fill(self, count: int) -> int:
        """Place replicas where nothing but each node's own room matters, however many there are."""
        found = list(self.candidates())  # a copy: nodes that are full leave the run's own list meanwhile
        heap = [(-self._scores.local(slot), index) for index, slot in enumerate(found)]
        heapq.heapify(heap)
        while heap and len(self.placed) < count:
            slot = found[heap[0][1]]
            self.put(slot)
            if self.full(slot) is not None or any(key in slot.labels for key in self._own_far):  # the last one here
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (-self._scores.local(slot), heap[0][1]))
        return len(self.placed)

    def put(self, slot: Slot) -> None:
        demand = self.demand
        self.cluster.place(demand.group, slot, demand.load)
        demand.volumes.bind(slot, len(self.placed))
        self.placed.append(slot)
        if self.full(slot) is not None and slot in self._open:
            self._open.remove(slot)
        for spread, counts, inside, grows in zip(demand.hard, self._domains, self._counted, self._grows):
            if grows and slot.name in inside:
                counts[slot.labels[spread.key]] += 1
        for key in self._own_far:
            if key in slot.labels:
                self._far[key, slot.labels[key]] += 1
        if demand.likes_itself:
            self._meet(slot)
        self._scores.placed(slot)

    def undo(self) -> None:
        for slot in self.placed:
            self.cluster.place(self.demand.group, slot, self.demand.load, -1)
        self.placed = []
        self.demand.volumes.reset()

    # --- does the order matter

    def ties(self) -> int:
        """How many rules tie nodes together: with none or one the order cannot change how many fit."""
        demand = self.demand
        rules = [one.key for one, grows in zip(demand.hard, self._grows) if grows]
        rules += [key for key in self._own_far if not self._is_per_node(key)]
        first_decides = (demand.likes_itself and not self._near) or demand.volumes.binds or demand.volumes.differ()
        return len(rules) + 2 * first_decides

    def _is_per_node(self, key: str) -> bool:
        seen: dict[str, int] = defaultdict(int)
        for slot in self.slots:
            if key in slot.labels:
                seen[slot.labels[key]] += 1
        return all(count == 1 for count in seen.values())

    def is_plain(self) -> bool:
        """Whether every node's room is all that matters, scores included."""
        demand = self.demand
        tied = demand.hard or demand.volumes.binds or demand.volumes.differ() or (demand.likes_itself and not self._near)
        return not tied and all(self._is_per_node(key) for key in self._own_far)

    @property
    def scores_are_local(self) -> bool:
        return self._scores.is_local


def settle(cluster: Cluster, demand: Demand, count: int) -> tuple[Run, int | None]:
    """(the run that counts, left standing; how many would fit if scores were others, where that is fewer)."""
    run = Run(cluster, demand)
    big = len(run.slots) * count > _EFFORT / 4
    if run.is_plain() and (run.scores_are_local or big):
        run.fill(count)
        return run, None
    if run.ties() <= 1:
        run.place(count, _first)
        return run, None
    runs = min(_LUCKS, _EFFORT // max(1, len(run.slots) * count))
    if runs < 2:  # so many nodes and replicas that luck evens out
        run.place(count, _first)
        return run, None
    return _worst(cluster, demand, count, runs)


def _worst(cluster: Cluster, demand: Demand, count: int, runs: int) -> tuple[Run, int | None]:
    fewest: list[Slot] | None = None
    for pick in [_first, _last, *(_drawn(seed) for seed in range(runs - 2))]:
        run = Run(cluster, demand)
        run.place(count, pick)
        fewest = run.placed[:] if fewest is None or len(run.placed) < len(fewest) else fewest
        run.undo()
    least = count
    for seed in range(max(1, runs // 2)):
        run = Run(cluster, demand)
        least = min(least, run.place_anywhere(count, _drawn(seed)))
        run.undo()
    run = Run(cluster, demand)
    for slot in fewest or []:
        run.put(slot)
    return run, least if least < len(run.placed) else None


def _first(best: Sequence[Slot]) -> Slot:
    return best[0]


def _last(best: Sequence[Slot]) -> Slot:
    return best[-1]


def _drawn(seed: int) -> Pick:
    return random.Random(seed).choice
