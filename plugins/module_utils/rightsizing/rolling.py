# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A rolling update acted out on the nodes: new pods come, old ones go, as the controllers of Deployments, StatefulSets and DaemonSets do.

``Rollout(Stage(objects), own)`` is the cluster and the workload's own pods in it; ``deployment``, ``ordered`` and ``everywhere`` act one
update out and say where it stands still (Outcome), ``afterwards`` says how many new pods fit once the old ones are gone. Room is counted
as the scheduler counts it. Pure: objects are not changed, and a stage is left as it was.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Iterable, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import placing_rank, placing_words
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import Cluster, Load, Object, Objects, Slot, claims_of
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_pod import Demand
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_run import Run, settle
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_volumes import Volumes

MOST_STEPS = 60  # of a rollout acted out; what comes after is more of the same


class Outcome(NamedTuple):
    """``done`` of ``wanted`` new pods found a node. ``why``: in words, empty where all did. ``first``: new pods beside all old ones."""

    wanted: int
    done: int
    first: int
    why: str
    nodes: list[str]  # on which a DaemonSet's pod does not fit
    cut: bool = False  # not acted out to the end


class Old(NamedTuple):
    """An old pod, and where it lies."""

    pod: Object
    slot: Slot
    load: Load


class Stage:
    """The nodes with all their pods, read once for many workloads: each rollout leaves it as it was."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.cluster = Cluster(objects)
        self.pods = {_key(pod): Old(pod, slot, load) for slot in self.cluster.slots for pod, load in slot.pods}


class Rollout:
    """One workload's rollout on a stage, with its old pods there as long as they have not been replaced."""

    def __init__(self, stage: Stage, own: Iterable[Object]) -> None:
        names = [_key(pod) for pod in own]
        waiting = [pod for pod in stage.cluster.waiting if _key(pod) not in names]
        if waiting:  # what waits already takes its room first; on a stage of its own, since others must not see it
            stage = Stage(stage.objects)
            placing_rank.settle_waiting(stage.cluster, waiting)
        self.cluster = stage.cluster
        self.old = [stage.pods[name] for name in names if name in stage.pods]

    def _leave(self, old: Old, times: int = -1) -> None:
        """An old pod goes, or (times 1) is there again."""
        self.cluster.place(self.cluster.group_of(old.pod), old.slot, old.load, times, alive="deletionTimestamp" not in old.pod["metadata"])
        self._use(old.pod, old.slot, times)

    def _use(self, pod: Object, slot: Slot, times: int) -> None:
        """The claims of a pod are in use on a node, or (times -1) no longer."""
        for name in claims_of(pod):
            users = self.cluster.claims.setdefault((pod["metadata"].get("namespace", ""), name), Counter())
            users[slot.name] += times
            if users[slot.name] <= 0:
                del users[slot.name]

    def _come(self, demand: Demand, slot: Slot, times: int = 1) -> None:
        """A new pod is on a node; its room is taken by whoever placed it. With times -1 it is away again."""
        if times < 0:
            self.cluster.place(demand.group, slot, demand.load, -1)
        self._use(demand.pod, slot, times)

    def demand(self, pod: Object, count: int = 1) -> Demand:
        return Demand(pod, self.cluster, Volumes.of(pod, self.cluster, None, count))

    # --- afterwards

    def afterwards(self, pod: Object, count: int) -> tuple[int, str, str]:
        """(how many of the new pods fit once all old ones are gone, why not more, who would be pushed out for one more)."""
        for one in self.old:
            self._leave(one)
        run = _settled(self.cluster, self.demand(pod, count), count)
        fits, short = len(run.placed), len(run.placed) < count
        why = _why(run) if short else ""
        pushed = placing_rank.preempting(run, self.cluster.objects) if short and run.slots and not run.candidates() else ""
        run.undo()
        for one in self.old:
            self._leave(one, 1)
        return fits, why, pushed

    # --- Deployment

    def deployment(self, pod: Object, count: int, surge: int, unavailable: int) -> Outcome:
        """New pods up to count + surge in all, old ones away as long as count - unavailable are available; until all are new."""
        old, gone, done, first = self._by_rank(), list[Old](), 0, 0
        held = min(len(old), count)  # those that serve now; a rollout does not wait for what was missing before
        why, placed, cut = "", list[tuple[Demand, Slot]](), True
        for step in range(MOST_STEPS):
            wanted = min(count - done, max(0, count + surge - len(old) - done))
            run = _settled(self.cluster, self.demand(pod, wanted), wanted)
            placed += [(run.demand, slot) for slot in run.placed]
            for slot in run.placed:
                self._come(run.demand, slot)
            done += len(run.placed)
            first = done if step == 0 else first
            away = min(len(old), max(0, len(old) + done - max(0, held - unavailable)))
            if done >= count or not (away or run.placed):
                cut, why = False, "" if done >= count else _why(run)
                break
            for one in old[:away]:
                self._leave(one)
            gone, old = [*gone, *old[:away]], old[away:]
        for demand, slot in placed:
            self._come(demand, slot, -1)
        for one in gone:
            self._leave(one, 1)
        return Outcome(count, done, first, why, [], cut)

    def _by_rank(self) -> list[Old]:
        """In the order in which a ReplicaSet takes pods away: not running first, then where most lie on one node, then the newest."""
        on = Counter(one.slot.name for one in self.old)
        newest = sorted(self.old, key=lambda one: str(one.pod["metadata"].get("creationTimestamp") or ""), reverse=True)
        return sorted(newest, key=lambda one: (_runs(one.pod), -on[one.slot.name]))

    # --- StatefulSet

    def ordered(self, renewed: Callable[[Object], Object]) -> Outcome:
        """One pod after the other, the highest ordinal first: it goes, and its successor has to find a node, with the same claims."""
        old = sorted(self.old, key=lambda one: _ordinal(one.pod), reverse=True)
        placed, why, gone = list[tuple[Demand, Slot]](), "", list[Old]()
        for one in old:
            self._leave(one)
            gone.append(one)
            new = renewed(one.pod)
            demand = self.demand(new)
            run = Run(self.cluster, demand)
            text = demand.volumes.refused
            if not text and run.place(1, lambda best: best[0]):
                placed.append((demand, run.placed[0]))
                self._come(*placed[-1])
                continue
            why = f"{one.pod['metadata']['name']} finds no node after it has left {one.slot.name}: {text or _why(run)}"
            break
        for demand, slot in placed:
            self._come(demand, slot, -1)
        for one in gone:
            self._leave(one, 1)
        return Outcome(len(old), len(placed), 0, why, [])

    # --- DaemonSet

    def everywhere(self, pod: Object, surge: bool) -> Outcome:
        """Each node its pod: beside the old one with ``surge``, otherwise in its place."""
        demand, short, why = self.demand(pod), list[str](), ""
        there = {one.slot.name: one for one in self.old}
        for one in there.values():
            if not surge:
                self._leave(one)
            lacking = [name for name, value in demand.load.amounts.items() if value and one.slot.free.get(name, 0) < value]
            if lacking:
                short.append(one.slot.name)
                why = why or "; ".join(_lack(demand, one.slot, name) for name in lacking)
            if not surge:
                self._leave(one, 1)
        return Outcome(len(there), len(there) - len(short), 0, why, sorted(short))


def _settled(cluster: Cluster, demand: Demand, count: int) -> Run:
    """The new pods on the nodes that take them, as many as their volumes allow."""
    volumes = demand.volumes
    count = 0 if volumes.refused else count if volumes.most is None else min(count, volumes.most)
    plain = Run(cluster, demand)
    if plain.is_plain():
        plain.fill(count)
        return plain
    return settle(cluster, demand, count)[0]


def _lack(demand: Demand, slot: Slot, name: str) -> str:
    left = placing_words.shown(name, max(0, slot.free.get(name, 0)))
    return f"node {slot.name} has {left} of {name} for it, and it asks for {placing_words.shown(name, demand.load.amounts[name])}"


def _why(run: Run) -> str:
    volumes = run.demand.volumes
    if volumes.refused or volumes.most is not None:
        return volumes.refused or volumes.warnings[0].rstrip(".")
    found = placing_words.reasons(run)
    return "; ".join(placing_words.sentence(one, run.demand) for one in found[:2]) or "no node is known"


def _key(pod: Object) -> tuple[str, str]:
    return pod["metadata"].get("namespace", ""), pod["metadata"]["name"]


def _runs(pod: Object) -> bool:
    ready: dict[str, Any] = next((one for one in (pod.get("status") or {}).get("conditions") or [] if one["type"] == "Ready"), {})
    return bool((pod.get("status") or {}).get("phase") == "Running" and ready.get("status", "True") == "True")


def _ordinal(pod: Object) -> int:
    tail = pod["metadata"]["name"].rpartition("-")[2]
    return int(tail) if tail.isdigit() else 0
