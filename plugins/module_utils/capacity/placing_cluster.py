# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A cluster as the scheduler counts it: what each node has left, and which pods lie where, alike ones together.

Amounts are whole numbers, as the scheduler compares them: thousandths of a core, bytes, devices, and ``pods``. Objects in are plain API
objects, whole or as a snapshot keeps them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, Iterator, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit

Object = dict[str, Any]
Objects = Mapping[str, list[Object]]
Amounts = dict[str, int]
Port = tuple[str, str, int]  # address, protocol, number

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
DEFAULT_SCHEDULER = "default-scheduler"
_ENDED = ("Succeeded", "Failed")
_ANYWHERE = "0.0.0.0"
# what the scheduler's scores count for a container that asks for nothing
_UNASKED = {"cpu": "100m", "memory": "200Mi"}


class Load(NamedTuple):
    """What one pod takes of its node. ``near`` is what scores count: cpu, memory."""

    amounts: Amounts
    near: tuple[int, int]
    ports: frozenset[Port]


class Slot:
    """One node, and what is left of it."""

    __slots__ = ("name", "node", "labels", "matched", "taints", "size", "free", "near", "ports", "pods", "declared")

    def __init__(self, node: Object, declared: bool = False) -> None:
        self.name: str = node["metadata"]["name"]
        self.node = node
        self.labels: dict[str, str] = node["metadata"].get("labels") or {}
        self.matched = fit.labels_of(node)
        self.taints: list[Object] = node.get("spec", {}).get("taints") or []
        self.size: Amounts = whole({name: fit.size(text) for name, text in (node.get("status", {}).get("allocatable") or {}).items()})
        self.free: Amounts = dict(self.size)
        self.near = [0, 0]
        self.ports: Counter[Port] = Counter()
        self.pods: list[tuple[Object, Load]] = []  # those of the snapshot
        self.declared = declared

    def put(self, load: Load, times: int = 1) -> None:
        """Take a load on, or (times -1) give its room back."""
        for name, value in load.amounts.items():
            self.free[name] = self.free.get(name, 0) - value * times
        self.near[0] += load.near[0] * times
        self.near[1] += load.near[1] * times
        for port in load.ports:
            self.ports[port] += times

    def clashes(self, ports: frozenset[Port]) -> Port | None:
        """One of these host ports that is taken here."""
        return next((one for one in sorted(ports) if any(count > 0 and _same(one, other) for other, count in self.ports.items())), None)


class Group:
    """Pods that selectors and terms treat alike: one namespace, the same labels, the same rules about other pods."""

    __slots__ = ("namespace", "labels", "rules", "on", "alive", "known")

    def __init__(self, namespace: str, labels: Mapping[str, str], rules: Object) -> None:
        self.namespace, self.labels, self.rules = namespace, labels, rules
        self.on: Counter[str] = Counter()  # node -> pods
        self.alive: Counter[str] = Counter()  # node -> those that are not on their way out
        self.known: dict[str, Any] = {}  # what was read from the rules


class Cluster:
    """Nodes with what is left of them, the pods on them in groups, and the pods that wait."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.slots = [Slot(node) for node in objects.get("nodes") or []]
        self.named = {slot.name: slot for slot in self.slots}
        self.groups: dict[Any, Group] = {}
        self.claims: dict[tuple[str, str], Counter[str]] = {}  # claim -> nodes of the pods that use it
        self.waiting: list[Object] = []
        self.namespaces = {one["metadata"]["name"]: one["metadata"].get("labels") or {} for one in objects.get("namespaces") or []}
        for pod in objects.get("pods") or []:
            if pod.get("status", {}).get("phase") in _ENDED:
                continue
            slot = self.named.get(pod["spec"].get("nodeName") or "")
            if slot is not None:
                self._bound(pod, slot)
            elif not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]:
                self.waiting.append(pod)

    def _bound(self, pod: Object, slot: Slot) -> None:
        load = load_of(_resized(pod))
        slot.pods.append((pod, load))
        self.place(self.group_of(pod), slot, load, alive="deletionTimestamp" not in pod["metadata"])
        self.use(pod, slot)

    def use(self, pod: Object, slot: Slot) -> None:
        """Note on which node the claims of a pod are in use."""
        for name in claims_of(pod):
            self.claims.setdefault((pod["metadata"].get("namespace", ""), name), Counter())[slot.name] += 1

    def group_of(self, pod: Object) -> Group:
        metadata, affinity = pod["metadata"], pod["spec"].get("affinity") or {}
        rules = {name: affinity[name] for name in ("podAffinity", "podAntiAffinity") if affinity.get(name)}
        labels = metadata.get("labels") or {}
        key = (metadata.get("namespace", ""), frozenset(labels.items()), json.dumps(rules, sort_keys=True) if rules else "")
        if key not in self.groups:
            self.groups[key] = Group(key[0], labels, rules)
        return self.groups[key]

    def place(self, group: Group, slot: Slot, load: Load, times: int = 1, alive: bool = True) -> None:
        """A pod comes to a node, or (times -1) leaves it."""
        slot.put(load, times)
        group.on[slot.name] += times
        if alive:
            group.alive[slot.name] += times

    def lose(self, slot: Slot) -> list[Object]:
        """The node is gone; its pods that a controller makes again elsewhere are the answer."""
        self.slots.remove(slot)
        del self.named[slot.name]
        for group in self.groups.values():
            group.on.pop(slot.name, None)
            group.alive.pop(slot.name, None)
        for nodes in self.claims.values():
            nodes.pop(slot.name, None)
        return [pod for pod, _load in slot.pods if is_made_again(pod)]

    def add(self, slot: Slot) -> None:
        self.slots.append(slot)
        self.named[slot.name] = slot

    def residents(self) -> Iterator[Group]:
        return iter(self.groups.values())


def is_made_again(pod: Object) -> bool:
    """Whether a controller replaces the pod on another node: not that of a DaemonSet, a static one, or one that nobody controls."""
    owner = next((one for one in pod["metadata"].get("ownerReferences") or [] if one.get("controller")), None)
    return owner is not None and owner["kind"] not in ("DaemonSet", "Node") and "deletionTimestamp" not in pod["metadata"]


def whole(amounts: Mapping[str, float]) -> Amounts:
    """Amounts as the scheduler compares them, rounded up."""
    return {name: math.ceil(round(value * 1000 if name == "cpu" else value, 3)) for name, value in amounts.items()}


def load_of(pod: Object) -> Load:
    amounts = whole(fit.requests(pod))
    asking = _with_defaults(pod)
    scored = amounts if asking is pod else whole(fit.requests(asking))
    return Load({**amounts, "pods": 1}, (scored.get("cpu", 0), scored.get("memory", 0)), host_ports(pod))


def _with_defaults(pod: Object) -> Object:
    """The pod as scores see it: a container without a request counts as a small one."""
    spec = pod["spec"]
    changed: dict[str, list[Object]] = {}
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(kind) or []):
            asked = {
                **((container.get("resources") or {}).get("limits") or {}),
                **((container.get("resources") or {}).get("requests") or {}),
            }
            if "cpu" not in asked or "memory" not in asked:
                changed.setdefault(kind, list(spec[kind]))[index] = {**container, "resources": {"requests": {**_UNASKED, **asked}}}
    return {**pod, "spec": {**spec, **changed}} if changed else pod


def _resized(pod: Object) -> Object:
    """A pod that is being resized holds the larger of what it asks for and what its node has given it."""
    given = {
        one["name"]: [one.get("allocatedResources") or {}, (one.get("resources") or {}).get("requests") or {}]
        for one in pod.get("status", {}).get("containerStatuses") or []
        if one.get("allocatedResources") or one.get("resources")
    }
    if not given:
        return pod
    pending = (one for one in pod["status"].get("conditions") or [] if one.get("type") == "PodResizePending" and one.get("status") == "True")
    infeasible = any(one.get("reason") == "Infeasible" for one in pending)
    containers = []
    for container in pod["spec"].get("containers") or []:
        resources = container.get("resources") or {}
        # what no node can give is not reckoned with
        most = {} if infeasible and container["name"] in given else dict(resources.get("requests") or {})
        for other in given.get(container["name"], []):
            most.update({name: text for name, text in other.items() if fit.size(text) > fit.size(most.get(name))})
        containers.append({**container, "resources": {**resources, "requests": most}})
    return {**pod, "spec": {**pod["spec"], "containers": containers}}


def host_ports(pod: Object) -> frozenset[Port]:
    """The ports of the node that a pod takes. In the host's network each port of a container is one."""
    spec = pod["spec"]
    running = [*(spec.get("containers") or []), *(one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always")]
    found = set()
    for port in (port for container in running for port in container.get("ports") or []):
        number = port.get("hostPort") or (port.get("containerPort") if spec.get("hostNetwork") else 0)
        if number:
            found.add((port.get("hostIP") or _ANYWHERE, port.get("protocol") or "TCP", int(number)))
    return frozenset(found)


def _same(one: Port, other: Port) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or _ANYWHERE in (one[0], other[0]))


def claims_of(pod: Object) -> list[str]:
    """The names of the claims that a pod mounts; those of generic ephemeral volumes bear its own name."""
    found = []
    for volume in pod["spec"].get("volumes") or []:
        if volume.get("persistentVolumeClaim"):
            found.append(volume["persistentVolumeClaim"]["claimName"])
        elif volume.get("ephemeral") and pod["metadata"].get("name"):
            found.append(f"{pod['metadata']['name']}-{volume['name']}")
    return found


def term_holds(term: Mapping[str, Any], slot: Slot) -> bool:
    """Whether a term of node affinity takes a node; an empty one takes none."""
    conditions = expressions(term)
    return bool(conditions) and all(fit.holds(one, slot.matched) for one in conditions)


def expressions(term: Mapping[str, Any]) -> list[fit.Expression]:
    both = [*(term.get("matchExpressions") or []), *(term.get("matchFields") or [])]
    return [(one["key"], one["operator"], tuple(one.get("values") or ())) for one in both]
