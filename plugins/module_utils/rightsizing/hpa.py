# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A HorizontalPodAutoscaler and the requests it counts by, changed together. Pure; nothing raises.

An autoscaler with a target in percent of the request acts at target x request: at so many cores or bytes used by each pod. Another request
moves that point, and with it the number of pods for the same load. ``joint`` gives the target that keeps the point where it is:

    new target = old target x old request of a pod / new request of a pod        (of one container for ContainerResource)

in whole percent, between LOW and HIGH (hpa_target.py). Its answer:

    {action: none|change|refuse, reason, fix, hpa, spec, order: before|after, sentences[], cpu_floors{container: cores},
     memory_floors{container: bytes}, ceilings{resource: amount per pod}}

With floors the requests were to fall so far that the point would be out of reach: size again with these least requests, and ask again.
``spec`` is the autoscaler's whole new spec. ``order`` says whether it is changed before or after the workload: in between it may ask for
more pods, never for fewer. Amounts are cores and bytes, targets percent.
"""

from __future__ import annotations

import copy
import math
from typing import Any, Iterable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import ownership
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import lasting, targets
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import podsize
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.hpa_target import ALIKE, HIGH, LOW, Move, bound, counts
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.hpa_target import chosen as target_of
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.hpa_target import order as order_of

Object = dict[str, Any]

_KINDS = {"Resource": "resource", "ContainerResource": "containerResource"}
_NOT_OWNERS = ("kubectl-apply", "kubectl-server-side")  # said, no reason to refuse: the next apply is a person's
_STEP = {"cpu": 1e-3, "memory": 2.0**20}


def joint(
    subject: Mapping[str, Any],
    recommendation: Mapping[str, Any],
    hpas: Iterable[Object],
    options: Mapping[str, Any],
    scaled_objects: Iterable[Object] = (),
) -> Object:
    """See the module's description. ``hpas`` and ``scaled_objects`` may be those of the whole cluster; only the workload's count."""
    workload = subject["workload"]
    mine = [one for one in hpas if _near(one, workload) and targets(one, workload)]
    if recommendation.get("decision") != "change":
        return _answer("none", "The requests do not change.")
    if len(mine) > 1:
        names = ", ".join(sorted(plain(one["metadata"]["name"]) for one in mine))
        return _answer(
            "refuse",
            f"Two HorizontalPodAutoscalers scale {podsize.said(subject)}: {names}. They work against each other.",
            "Delete all but one of them, then run again.",
        )
    asleep = _paused(subject, recommendation, scaled_objects) if not mine else None
    if asleep or not mine:
        return asleep or _answer("none", f"No HorizontalPodAutoscaler scales {podsize.said(subject)}.")
    return _with(subject, recommendation, mine[0], options)


def _with(subject: Mapping[str, Any], recommendation: Mapping[str, Any], hpa: Object, options: Mapping[str, Any]) -> Object:
    name = f"HorizontalPodAutoscaler {plain(hpa['metadata']['name'])}"
    old, new = podsize.present(subject), podsize.planned(subject, recommendation["resources"])
    moves: list[Move] = []
    for index, metric in enumerate((hpa.get("spec") or {}).get("metrics") or []):
        found, lacking = _move(index, metric, hpa, old, new)
        if lacking:
            return _answer(
                "refuse",
                f"{name} counts {lacking[0]} in percent of the request, and {lacking[1]} has no such request: it cannot work now, and would"
                " begin to scale by requests that it never had.",
                f"Decide on the autoscaler first: give {lacking[1]} a {lacking[0]} request, watch it for a while, then run again.",
                hpa,
            )
        moves += [found] if found else []
    if not moves:
        return _answer("none", f"{name} does not count by a request that changes.", hpa=hpa)
    beyond = _beyond(name, moves, recommendation, new, hpa)
    if beyond:
        return beyond
    chosen = [target_of(move, hpa) for move in moves]
    if all(target == move.targets[0] for move, target in zip(moves, chosen)):
        text = "; ".join(f"{one.targets[0]} % of {one.who} stay right ({one.targets[1]:.2f} % before rounding)" for one in moves)
        return _answer("none", f"{name} needs no change: {text}.", hpa=hpa, sentences=_sentences(name, moves, chosen, hpa))
    owned = _owned(name, hpa, moves, chosen, options)
    if owned and owned[0]:
        return _answer("refuse", owned[1], owned[2], hpa)
    order = order_of(moves, chosen, hpa)
    if not order:
        return _answer(
            "refuse",
            f"{name} counts by two requests, one of which rises while the other falls: whichever is changed first, it could take pods away"
            " in between.",
            "Give one of its metrics a target of type AverageValue, which does not depend on requests; or run again at a time at which the"
            " autoscaler shows what is used.",
            hpa,
        )
    spec = copy.deepcopy(hpa["spec"])
    for move, target in zip(moves, chosen):
        metric = spec["metrics"][move.place]
        metric[_KINDS[metric["type"]]]["target"]["averageUtilization"] = target
    words = [*_sentences(name, moves, chosen, hpa), _ORDER[order], *([owned[1]] if owned else [])]
    changes = ", ".join(f"{one.who} {one.targets[0]} % -> {target} %" for one, target in zip(moves, chosen))
    return _answer("change", f"{name} changes with the requests: {changes}.", hpa=hpa, spec=spec, order=order, sentences=words)


_ORDER = {
    "before": (
        "The autoscaler is changed before the workload: higher requests with the old target would look like less load, and it would take"
        " pods away; this way round it may add some for the time of the rollout."
    ),
    "after": (
        "The autoscaler is changed after the workload: lower requests with the old target look like more load, so it may add pods for the"
        " time of the rollout; the other way round it would take some away."
    ),
}


def _answer(action: str, reason: str, fix: str = "", hpa: Object | None = None, **more: Any) -> Object:
    return {
        "action": action,
        "reason": reason,
        "fix": fix,
        "hpa": hpa,
        "spec": None,
        "order": "after",
        "sentences": [],
        "cpu_floors": {},
        "memory_floors": {},
        "ceilings": {},
        **more,
    }


def _near(item: Mapping[str, Any], workload: Mapping[str, Any]) -> bool:
    return bool(item["metadata"].get("namespace") == workload["metadata"].get("namespace"))


# --- what changes for which metric


def _move(index: int, metric: Mapping[str, Any], hpa: Object, old: Object, new: Object) -> tuple[Move | None, tuple[str, str] | None]:
    """(what changes for a metric, (resource, container) of a request that it needs and does not have)."""
    part = metric.get(_KINDS.get(str(metric.get("type")), "")) or {}
    target = (part.get("target") or {}).get("averageUtilization")
    if not target:  # AverageValue, Pods, Object, External: no request is in these
        return None, None
    resource, container = str(part["name"]), str(part.get("container") or "")
    before, after = (_request(pod, resource, container) for pod in (old, new))
    if isinstance(before, str) or isinstance(after, str):
        changed = before != after
        return None, (resource, f"container {before if isinstance(before, str) else after}") if changed else None
    if not before or not after or abs(after - before) <= ALIKE * before:
        return None, None
    exact = target * before / after
    return Move(index, resource, container, (before, after), (int(target), exact), _used(hpa, resource, container)), None


def _request(pod: Object, resource: str, container: str) -> float | str:
    """What the autoscaler divides by: the request of a pod or of one container; the name of a container that lacks it."""
    whole = None if container else podsize.asked(pod["spec"], resource)
    if whole is not None:
        return whole
    counted = [one for one in lasting(pod["spec"]) if not container or one["name"] == container]
    values = {str(one["name"]): podsize.asked(one, resource) for one in counted}
    missing = next((name for name, value in values.items() if not value), "")
    return missing or sum(value for value in values.values() if value)


def _used(hpa: Mapping[str, Any], resource: str, container: str) -> float | None:
    """What a pod uses on average, by the autoscaler's own last look."""
    for one in (hpa.get("status") or {}).get("currentMetrics") or []:
        part = one.get(_KINDS.get(str(one.get("type")), "")) or {}
        if part.get("name") == resource and str(part.get("container") or "") == container:
            text = (part.get("current") or {}).get("averageValue")
            return fit.size(text) if text is not None else None
    return None


def _beyond(name: str, moves: list[Move], recommendation: Mapping[str, Any], new: Object, hpa: Object) -> Object | None:
    """The refusal where a target would leave its bounds: with floors where requests fall too far, with ceilings where they rise too far."""
    floors: dict[str, dict[str, float]] = {"cpu": {}, "memory": {}}
    ceilings, reasons = {}, []
    for move in moves:
        high, low = max(HIGH, move.targets[0]), min(LOW, move.targets[0])  # a target that is beyond them already is not made worse
        say = f"{name} keeps {move.who} at {_shown(move, move.point)} per pod ({move.targets[0]} % of {_shown(move, move.requests[0])})"
        if move.targets[1] > high + ALIKE:
            need = move.point * 100 / high
            for container, value in _floors(move, need, recommendation, new).items():
                held = floors.setdefault(move.resource, {})
                held[container] = max(value, held.get(container, 0.0))
            reasons.append(
                f"{say}: with {_shown(move, move.requests[1])} that would be {move.targets[1]:.0f} %, more than {high} %; the request must"
                f" not fall below {_shown(move, need)}."
            )
        elif move.targets[1] < low - ALIKE:
            ceilings[move.resource] = move.point * 100 / low
            reasons.append(
                f"{say}: with {_shown(move, move.requests[1])} that would be {move.targets[1]:.1f} %, less than {low} %, too coarse a step"
                f" for whole percent; the request may rise to {_shown(move, ceilings[move.resource])} at most."
            )
    if not reasons:
        return None
    fix = (
        f"Give {name} a target of type AverageValue ({_shown(moves[0], moves[0].point)}), which does not depend on requests, then run"
        " again."
        if ceilings
        else f"Keep the requests that high, or give {name} a target of type AverageValue, which does not depend on requests."
    )
    return _answer("refuse", " ".join(reasons), fix, hpa, cpu_floors=floors["cpu"], memory_floors=floors["memory"], ceilings=ceilings)


def _floors(move: Move, need: float, recommendation: Mapping[str, Any], new: Object) -> dict[str, float]:
    """The least requests of the containers that are sized, in proportion to what they were to get, so that a pod has ``need``."""
    if move.container:
        return {move.container: _up(need, move.resource)}
    sized = {str(one["name"]) for one in recommendation.get("containers") or () if (one.get(move.resource) or {}).get("request")}
    wanted = {str(one["name"]): podsize.asked(one, move.resource) or 0.0 for one in lasting(new["spec"])}
    ours = {name: value for name, value in wanted.items() if name in sized}
    total = sum(ours.values())
    rest = need - sum(value for name, value in wanted.items() if name not in sized)
    return {name: _up(value * rest / total, move.resource) for name, value in ours.items()} if total else {}


def _up(value: float, resource: str) -> float:
    step = _STEP.get(resource, 1.0)
    return round(math.ceil(value / step - 1e-6) * step, 6)


# --- who else keeps it


def _owned(name: str, hpa: Object, moves: list[Move], chosen: list[int], options: Mapping[str, Any]) -> tuple[bool, str, str] | None:
    """(whether that refuses, sentence, fix) where somebody else keeps the autoscaler."""
    owner = ownership.owner_of(hpa)
    if owner is None or owner["tool"] == "ours":
        return None
    changes = "; ".join(f"the target for {one.who} from {one.targets[0]} to {target} %" for one, target in zip(moves, chosen))
    if owner["tool"] == "keda":
        scaled = plain(
            (ownership.controller_of(hpa) or {}).get("name") or (hpa["metadata"].get("labels") or {}).get("scaledobject.keda.sh/name")
        )
        triggers = "; ".join(
            f"spec.triggers, type {one.resource}: metadata.value {one.targets[0]} -> {target}" for one, target in zip(moves, chosen)
        )
        return (
            True,
            (
                f"{name} belongs to the KEDA ScaledObject {scaled}, which puts its own targets back: they have to change with the requests"
                f" ({changes})."
            ),
            (
                f"In ScaledObject {scaled}: {triggers}. Or set metricType AverageValue there, which does not depend on requests; then run"
                " again."
            ),
        )
    sentence = f"{name} is kept by {owner['who']}, which puts its own version back {_BACK.get(owner['keeps'], 'at some time')}"
    refuses = options.get("owner_conflict", "refuse") == "refuse" and owner["tool"] not in _NOT_OWNERS
    return (
        refuses,
        f"{sentence}: change {changes} in {owner['where']} too.",
        f"Change it in {owner['where']}, or set owner_conflict to warn.",
    )


_BACK = {"always": "within minutes", "next": "the next time it is run"}


def _paused(subject: Mapping[str, Any], recommendation: Mapping[str, Any], scaled_objects: Iterable[Object]) -> Object | None:
    """A ScaledObject whose autoscaler is not there (paused, or not made yet) counts by requests as soon as it is."""
    workload = subject["workload"]
    changed = {
        resource
        for one in recommendation.get("containers") or ()
        for resource in ("cpu", "memory")
        for pair in ((one.get(resource) or {}).get("request"),)
        if pair and pair[0] != pair[1]
    }
    for one in scaled_objects:
        spec = one.get("spec") or {}
        target = {"apiVersion": "apps/v1", "kind": "Deployment", **(spec.get("scaleTargetRef") or {})}
        if not _near(one, workload) or not targets({"spec": {"scaleTargetRef": target}}, workload):
            continue
        for trigger in spec.get("triggers") or ():
            kind = trigger.get("metricType") or (trigger.get("metadata") or {}).get("type") or "Utilization"
            if trigger.get("type") in changed and kind == "Utilization":
                name = plain(one["metadata"]["name"])
                value = plain((trigger.get("metadata") or {}).get("value"))
                return _answer(
                    "refuse",
                    f"ScaledObject {name} scales {podsize.said(subject)} by {trigger['type']} at {value} % of the request, and its"
                    " HorizontalPodAutoscaler is not there now (paused, or not made yet).",
                    f"Set metadata.value of its {trigger['type']} trigger so that value x request stays the same, or metricType"
                    " AverageValue with an amount; then run again.",
                )
    return None


# --- words


def _shown(move: Move, value: float) -> str:
    if move.resource == "cpu":
        return f"{round(value * 1000, 1):g}m"
    return f"{round(value / 2**20, 1):g}Mi" if move.resource == "memory" else fit.text(move.resource, value)


def _sentences(name: str, moves: list[Move], chosen: list[int], hpa: Mapping[str, Any]) -> list[str]:
    found, most = [], int(hpa["spec"]["maxReplicas"])
    for move, target in zip(moves, chosen):
        exact = move.targets[1]
        found.append(
            f"{name} acts around {_shown(move, move.point)} of {move.who} used per pod ({move.targets[0]} % of"
            f" {_shown(move, move.requests[0])}). Of {_shown(move, move.requests[1])} the same are {exact:.2f} %: the target is {target} %."
        )
        shift = target / exact - 1
        if abs(shift) > ALIKE:
            pods = bound(most, move.targets[0], target, shift)
            found.append(
                f"Rounding to whole percent moves that point to {_shown(move, move.requests[1] * target / 100)} ({shift * 100:+.1f} %)."
                f" With the autoscaler's own rounding that is at most {pods} of its {most} pods more or fewer for the same load."
            )
        now = counts(move, target, hpa)
        if now is not None and move.used is not None:
            found.append(f"At the same load ({_shown(move, move.used)} used per pod now): {now[0]} pods before, {now[1]} after.")
    return found
