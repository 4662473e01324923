# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which nodes could go because their pods find room on the others: each node is emptied in thought, the least used first.

``Packing(objects)`` is the cluster; ``empty()`` takes away what can go, and may be asked again after ``resize``. A node stays where it
belongs to the control plane, is not Ready, or has a pod that cannot move (see ``rooted``). Pods move to the fullest node that takes them
(best fit, the largest pod first) under the scheduler's own rules: room, labels, taints, ports, volumes, affinity, anti-affinity, spread.
What is found can go; a cleverer packing may free more. Amounts are those of placing_cluster: thousandths of a core, bytes. Pure.
"""

from __future__ import annotations

import bisect
import math
from typing import Any, Collection, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import placing_rank
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import (
    Cluster,
    Group,
    Load,
    Object,
    Objects,
    Slot,
    claims_of,
    load_of,
)
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.packing_rules import Kind, Rules, allowed

_CONTROL = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_VIRTUAL = "virtual-kubelet"
_MIRROR, _SAFE = "kubernetes.io/config.mirror", "cluster-autoscaler.kubernetes.io/safe-to-evict"
_MAIN = ("cpu", "memory")
Key = tuple[str, str]


class Mine(NamedTuple):
    """A pod on a node of the packing. ``kind``: owner, claims and labels; pods that share these have the same rules."""

    pod: Object
    load: Load
    kind: Any
    group: Group


class Packing:
    """See the module's description. ``gone`` are the names of the nodes that have been emptied."""

    def __init__(self, objects: Objects) -> None:
        self.cluster = Cluster(objects)
        self.slots = dict(self.cluster.named)
        self.gone: list[str] = []
        self.homeless: list[str] = []  # resized pods that find no room
        self._settle_waiting()
        self._on: dict[str, dict[Key, Mine]] = {name: {} for name in self.slots}
        self._where: dict[Key, Slot] = {}
        self._stays: dict[str, str] = {name: why for name, why in ((slot.name, _keeps(slot)) for slot in self.slots.values()) if why}
        self._shared = {key for key, nodes in self.cluster.claims.items() if sum(nodes.values()) > 1}
        self.cluster.claims.clear()  # a volume goes along with its only pod
        self._rules = Rules(self.cluster)
        blocked = _blocked(objects)
        for slot in self.slots.values():
            for pod, load in slot.pods:
                self._sort(pod, load, slot, blocked)
        self._resource = self._scarce()
        self._ranked = sorted((slot.free.get(self._resource, 0), name) for name, slot in self.slots.items())

    def _settle_waiting(self) -> None:
        """Pods that wait and fit take their room first."""
        waiting = placing_rank.settle_waiting(self.cluster, self.cluster.waiting)
        for pod, slot in waiting.placed:
            slot.pods.append((pod, load_of(pod)))

    def _sort(self, pod: Object, load: Load, slot: Slot, blocked: list[Object]) -> None:
        why = self._rooted(pod, blocked)
        if why is None:  # goes with its node
            return
        key = _key(pod)
        owner = next(
            (one.get("uid") or one.get("name") for one in pod["metadata"].get("ownerReferences") or [] if one.get("controller")), ""
        )
        labels = frozenset((pod["metadata"].get("labels") or {}).items())
        kind = (key[0], owner, tuple(claims_of(pod)), labels)
        self._on[slot.name][key] = Mine(pod, load, kind, self.cluster.group_of(pod))
        self._where[key] = slot
        if why:
            self._stays.setdefault(slot.name, f"pod {key[0]}/{key[1]} {why}")

    def _rooted(self, pod: Object, blocked: list[Object]) -> str | None:
        """Why a pod cannot move; empty where it can, None where it goes with its node."""
        why = rooted(pod)
        if why or why is None:
            return why
        shared = next((name for name in claims_of(pod) if (pod["metadata"].get("namespace", ""), name) in self._shared), "")
        if shared:
            return f"shares claim {shared} with other pods"
        if not blocked:
            return ""
        budgets = sorted(placing_rank.budgets(pod, {"poddisruptionbudgets": blocked}))
        return f"may not be evicted now (PodDisruptionBudget {budgets[0]})" if budgets else ""

    def _scarce(self) -> str:
        """The resource of which most is taken: nodes are ranked by what they have left of it."""
        shares = {}
        for name in _MAIN:
            size = sum(slot.size.get(name, 0) for slot in self.slots.values())
            shares[name] = 1 - sum(slot.free.get(name, 0) for slot in self.slots.values()) / size if size else 0.0
        return max(_MAIN, key=lambda name: shares[name])

    # --- asked from outside

    @property
    def left(self) -> int:
        return len(self.slots)

    def places(self) -> dict[Key, str]:
        """(namespace, name) of each pod that could move -> the node on which it would be now."""
        return {key: slot.name for key, slot in self._where.items()}

    def why(self, name: str) -> str:
        """Why a node stays in any case; empty where it only finds no room for its pods."""
        return self._stays.get(name, "")

    def empty(self, first: Collection[str] = ()) -> list[str]:
        """Take away the nodes that can go, those in ``first`` before the others; their names, in the order in which they went."""
        found = []
        for name in sorted(
            (one for one in self.slots if one not in self._stays), key=lambda one: (one not in first, self._share(one), one)
        ):
            if self._empty(self.slots[name]):
                self._lose(self.slots[name])
                found.append(name)
        self.gone += found
        return found

    def grows(self, loads: Mapping[Key, Load]) -> bool:
        """Whether one of these pods would ask for more of anything than it does."""
        return any(
            value > self._on[self._where[key].name][key].load.amounts.get(name, 0)
            for key, load in loads.items()
            if key in self._where
            for name, value in load.amounts.items()
        )

    def resize(self, loads: Mapping[Key, Load]) -> None:
        """Pods ask for something else. Where a pod no longer fits on its node it moves; where it finds no node its name is kept."""
        tight = set()
        for key, load in loads.items():
            slot = self._where.get(key)
            if slot is None:
                continue
            mine = self._on[slot.name][key]
            self._put(slot, mine, -1)
            self._on[slot.name][key] = mine._replace(load=load)
            self._put(slot, self._on[slot.name][key])
            if _over(slot):
                tight.add(slot.name)
        for name in sorted(tight):
            slot = self.slots[name]
            for key in sorted((key for key in loads if key in self._on[name]), key=lambda one: -self._weight(self._on[name][one].load)):
                if not _over(slot):
                    break
                if not self._move(key, slot):
                    self.homeless.append(f"{key[0]}/{key[1]}")

    # --- emptying one node

    def _share(self, name: str) -> float:
        """How much of a node is taken by pods that would have to move."""
        slot = self.slots[name]
        return sum(self._weight(mine.load, slot) for mine in self._on[name].values())

    def _weight(self, load: Load, slot: Slot | None = None) -> float:
        size = (slot or next(iter(self.slots.values()))).size
        return max(load.amounts.get(name, 0) / (size.get(name) or math.inf) for name in _MAIN)

    def _empty(self, slot: Slot) -> bool:
        moved: list[tuple[Key, Slot]] = []
        for key in sorted(self._on[slot.name], key=lambda one: (-self._weight(self._on[slot.name][one].load), one)):
            target = self._move(key, slot)
            if target is None:
                for other, where in reversed(moved):
                    self._transfer(other, where, slot)
                return False
            moved.append((key, target))
        return True

    def _move(self, key: Key, slot: Slot) -> Slot | None:
        mine = self._on[slot.name][key]
        kind = self._rules.kind(mine.kind, mine.pod)
        if kind.demand.volumes.refused:
            return None
        self._put(slot, mine, -1)  # it does not stand in its own way
        target = self._target(mine, kind, slot)
        self._put(slot, mine)
        if target is not None:
            self._transfer(key, slot, target)
        return target

    def _target(self, mine: Mine, kind: Kind, slot: Slot) -> Slot | None:
        amounts, demand = mine.load.amounts, kind.demand
        others = [(name, value) for name, value in amounts.items() if value and name != self._resource]
        start = bisect.bisect_left(self._ranked, (amounts.get(self._resource, 0), ""))
        for index in range(start, len(self._ranked)):
            other = self.slots[self._ranked[index][1]]
            if other is slot or any(other.free.get(what, 0) < value for what, value in others):
                continue
            if demand.why_not(other) is not None or (mine.load.ports and other.clashes(mine.load.ports)):
                continue
            if allowed(kind, other):
                return other
        return None

    def _transfer(self, key: Key, slot: Slot, target: Slot) -> None:
        mine = self._on[slot.name].pop(key)
        self._put(slot, mine, -1)
        self._on[target.name][key] = mine
        self._where[key] = target
        self._put(target, mine)

    def _put(self, slot: Slot, mine: Mine, times: int = 1) -> None:
        before = (slot.free.get(self._resource, 0), slot.name)
        self.cluster.place(mine.group, slot, mine.load, times)
        self._rules.move(mine.group, slot, times)
        del self._ranked[bisect.bisect_left(self._ranked, before)]
        bisect.insort(self._ranked, (slot.free.get(self._resource, 0), slot.name))

    def _lose(self, slot: Slot) -> None:
        del self._ranked[bisect.bisect_left(self._ranked, (slot.free.get(self._resource, 0), slot.name))]
        del self.slots[slot.name], self._on[slot.name]
        self._rules.lose(slot)
        self.cluster.lose(slot)


def rooted(pod: Object) -> str | None:
    """Why a pod cannot be moved to another node; empty where it can. None where it goes with its node, as those of DaemonSets do."""
    metadata, spec = pod["metadata"], pod["spec"]
    owner = next((one for one in metadata.get("ownerReferences") or [] if one.get("controller")), None)
    annotations = metadata.get("annotations") or {}
    if "deletionTimestamp" in metadata or _MIRROR in annotations or (owner or {}).get("kind") in ("DaemonSet", "Node"):
        return None
    if owner is None:
        return "has no controller that would make it again"
    if annotations.get(_SAFE) == "false":
        return f"has the annotation {_SAFE}: false"
    local = next((one["name"] for one in spec.get("volumes") or [] if _is_local(one)), "")
    return f"has its data on the node (volume {local})" if local else ""


def _is_local(volume: Mapping[str, Any]) -> bool:
    return "hostPath" in volume or ("emptyDir" in volume and (volume["emptyDir"] or {}).get("medium") != "Memory")


def _keeps(slot: Slot) -> str:
    """Why a node stays, whatever is on it."""
    if any(label in slot.labels for label in _CONTROL):
        return "belongs to the control plane"
    if slot.labels.get("type") == _VIRTUAL:
        return "is a virtual node"
    ready = next((one for one in slot.node.get("status", {}).get("conditions") or [] if one["type"] == "Ready"), None)
    return "is not Ready" if ready is not None and ready.get("status") != "True" else ""


def _blocked(objects: Objects) -> list[Object]:
    """The disruption budgets that allow no eviction now."""
    return [
        one
        for one in objects.get("poddisruptionbudgets") or []
        if (one.get("status") or {}).get("expectedPods") and not (one.get("status") or {}).get("disruptionsAllowed")
    ]


def _over(slot: Slot) -> bool:
    return any(value < 0 for value in slot.free.values())


def _key(pod: Object) -> Key:
    return pod["metadata"].get("namespace", ""), pod["metadata"]["name"]
