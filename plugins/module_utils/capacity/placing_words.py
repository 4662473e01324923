# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Why nodes refuse the next replica, counted and in sentences."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Callable, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import Slot
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_pod import Demand, Refusal
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_run import Run
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit

_ORDER = ("cpu", "memory", "pods", "ephemeral-storage")  # which of several short resources is named first


class Reason(NamedTuple):
    """One reason, and the nodes that have it."""

    what: str
    detail: str
    slots: list[Slot]
    eligible: bool  # nodes that would take the pod if they had room


def reasons(run: Run) -> list[Reason]:
    """Most frequent first; nodes that could take the pod before those that never can."""
    found: dict[tuple[str, str, bool], list[Slot]] = defaultdict(list)
    eligible = {slot.name for slot in run.slots}
    for slot in run.cluster.slots:
        for what, detail in _of(run, slot):
            found[what, detail, slot.name in eligible].append(slot)
    listed = [Reason(what, detail, slots, kind) for (what, detail, kind), slots in found.items()]
    return sorted(listed, key=lambda one: (not one.eligible, -len(one.slots), _rank(one.what), one.detail))


def _of(run: Run, slot: Slot) -> list[Refusal]:
    refusal = run.refusal(slot)
    if refusal is None:
        return []
    short = run.short(slot) if refusal[0] in run.demand.load.amounts else []
    return [(name, name) for name in short] or [refusal]


def _rank(what: str) -> int:
    return _ORDER.index(what) if what in _ORDER else len(_ORDER)


def sentence(reason: Reason, demand: Demand) -> str:
    slots = reason.slots
    many = f"{len(slots)} nodes" if len(slots) > 1 else f"node {slots[0].name}"
    if reason.what in demand.load.amounts:
        return _short(reason, demand, many)
    return _TEXTS[reason.what](many, "have" if len(slots) > 1 else "has", reason.detail)


def _short(reason: Reason, demand: Demand, many: str) -> str:
    name, asked = reason.what, demand.load.amounts[reason.what]
    most = max(reason.slots, key=lambda slot: (slot.free.get(name, 0), slot.name))
    if name == "pods":
        return f"{many}: no pod more is allowed there ({most.size.get(name, 0)} at most)"
    left = max(0, most.free.get(name, 0))
    where = f"the most is {shown(name, left)} on {most.name}" if len(reason.slots) > 1 else f"{shown(name, left)} is left"
    return f"{many}: less {name} left than the {shown(name, asked)} that a replica asks for ({where})"


def shown(name: str, value: int) -> str:
    """An amount of the scheduler's as people write it."""
    return fit.text(name, value / 1000 if name == "cpu" else value)


_TEXTS: dict[str, Callable[[str, str, str], str]] = {
    "taint": lambda many, has, detail: f"{many} {has} the taint {detail}, which the pod does not tolerate",
    "cordoned": lambda many, has, detail: f"{many}: cordoned, no new pods are scheduled there",
    "not_ready": lambda many, has, detail: f"{many}: {detail.replace('is ', 'not there for new pods, ')}",
    "selector": lambda many, has, detail: f"{many} {has} not the labels that the pod asks for: {detail}",
    "node_name": lambda many, has, detail: f"{many}: the pod names node {detail}",
    "spread": lambda many, has, detail: (
        f"{many}: no {detail}, by which the pods are to be spread"
        if detail.startswith("label ")
        else f"{many}: one more there would spread the pods too unevenly over {detail}"
    ),
    "affinity": lambda many, has, detail: f"{many}: no pod that this one has to be near ({detail})",
    "anti_affinity": lambda many, has, detail: (
        f"{many}: a pod is there that this one must keep away from, or that keeps it away ({detail})"
    ),
    "ports": lambda many, has, detail: f"{many}: host port {detail} is taken",
    "volume": lambda many, has, detail: f"{many}: {detail}",
}


def left_of(slot: Slot) -> dict[str, Any]:
    return {"cpu": round(slot.free.get("cpu", 0) / 1000, 3), "memory": slot.free.get("memory", 0), "pods": slot.free.get("pods", 0)}
