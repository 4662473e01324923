# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who comes before whom: priorities, the pods that wait already, and the pods that a new one would push out.

Priorities are whole numbers, higher first. Waiting pods that fit now take their room before the new replicas.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import (
    DEFAULT_SCHEDULER,
    Cluster,
    Load,
    Object,
    Objects,
    Slot,
)
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_pod import Demand
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_run import Run
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_volumes import Volumes
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit

_DECIDING = ("affinity", "nodeSelector", "tolerations", "containers", "initContainers", "overhead", "topologySpreadConstraints", "volumes")


@dataclass
class Waiting:
    """What became of the pods that wait for a node."""

    placed: list[tuple[Object, Slot]] = field(default_factory=list)
    left: list[Object] = field(default_factory=list)


def priority_class(pod: Object, objects: Objects) -> Object | None:
    classes = objects.get("priorityclasses") or []
    name = pod["spec"].get("priorityClassName")
    if name:
        return next((one for one in classes if one["metadata"]["name"] == name), None)
    return next((one for one in classes if one.get("globalDefault")), None)


def priority(pod: Object, objects: Objects) -> int:
    """The number the API server has written down, else that of the pod's class, else of the default class, else 0."""
    if pod["spec"].get("priority") is not None:
        return int(pod["spec"]["priority"])
    found = priority_class(pod, objects)
    return int(found["value"]) if found else 0


def settle_waiting(cluster: Cluster, pods: Iterable[Object]) -> Waiting:
    """Pods that wait, on the nodes that take them now, most important first. They stay there."""
    state = Waiting()
    ready = [
        one
        for one in pods
        if not one["spec"].get("schedulingGates") and (one["spec"].get("schedulerName") or DEFAULT_SCHEDULER) == DEFAULT_SCHEDULER
    ]
    ordered = sorted(ready, key=lambda one: (-priority(one, cluster.objects), one["metadata"].get("creationTimestamp") or ""))
    alike: dict[Any, list[Object]] = {}
    for pod in ordered:
        alike.setdefault(_signature(pod), []).append(pod)
    for group in alike.values():
        _settle_group(cluster, group, state)
    return state


def _signature(pod: Object) -> tuple[Any, ...]:
    metadata, spec = pod["metadata"], pod["spec"]
    labels = frozenset((metadata.get("labels") or {}).items())
    deciding = json.dumps([spec.get(name) for name in _DECIDING], sort_keys=True)
    return metadata.get("namespace", ""), labels, spec.get("priority"), (pod.get("status") or {}).get("nominatedNodeName"), deciding


def _settle_group(cluster: Cluster, group: list[Object], state: Waiting) -> None:
    volumes = Volumes.of(group[0], cluster)
    run = Run(cluster, Demand(group[0], cluster, volumes))
    nominated = cluster.named.get((group[0].get("status") or {}).get("nominatedNodeName") or "")
    if nominated is not None:  # the scheduler keeps this room for them
        for _pod in group:
            run.put(nominated)
    elif not volumes.refused:
        run.place(len(group) if volumes.most is None else min(len(group), volumes.most), lambda best: best[0])
    for pod, slot in zip(group, run.placed):
        cluster.use(pod, slot)
        state.placed.append((pod, slot))
    state.left += group[len(run.placed) :]


def preempting(run: Run, objects: Objects) -> str:
    """Words for who would have to go so that one more replica fits; empty where nobody could."""
    pod = run.demand.pod
    own, found = priority(pod, objects), priority_class(pod, objects)
    policy = pod["spec"].get("preemptionPolicy") or (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
    if policy == "Never":
        return ""
    best: tuple[int, str, list[Object]] | None = None
    for slot in run.slots:
        victims = _victims(run, slot, own, objects)
        if victims and (best is None or (len(victims), slot.name) < best[:2]):
            best = (len(victims), slot.name, victims)
    if best is None:
        return ""
    names = fit.listed(f"{one['metadata'].get('namespace', '')}/{one['metadata']['name']}" for one in best[2])
    guarded = sorted({name for one in best[2] for name in budgets(one, objects)})
    budget = f" PodDisruptionBudget {fit.listed(guarded)} is overridden then where nothing else helps." if guarded else ""
    return f"One more fits only by preemption: on node {best[1]}, {names} of lower priority than {own} would be evicted.{budget}"


def _victims(run: Run, slot: Slot, own: int, objects: Objects) -> list[Object]:
    lower: list[tuple[int, Object, Load]] = [(priority(pod, objects), pod, load) for pod, load in slot.pods]
    lower = sorted((one for one in lower if one[0] < own), key=lambda one: (one[0], one[1]["metadata"]["name"]))
    gone: list[tuple[int, Object, Load]] = []
    try:
        for one in lower:
            if run.full(slot) is None:
                break
            slot.put(one[2], -1)
            gone.append(one)
        return [one[1] for one in gone] if gone and run.refusal(slot) is None else []
    finally:
        for one in gone:
            slot.put(one[2])


def budgets(pod: Object, objects: Objects) -> dict[str, Mapping[str, Any]]:
    """The disruption budgets that cover a pod: name -> budget."""
    labels, namespace = pod["metadata"].get("labels") or {}, pod["metadata"].get("namespace", "")
    return {
        one["metadata"]["name"]: one
        for one in objects.get("poddisruptionbudgets") or []
        if one["metadata"].get("namespace", "") == namespace and fit.selects(one["spec"].get("selector"), labels)
    }
