# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Requests and limits for the containers of a workload, from what they used. Cores and bytes.

``size(subject, usage, options, floors)``: subject as gather.py makes it, usage as usage.combined, floors {container: cores} that an
autoscaler needs at least. A recommendation:

    decision     "change", "keep" (as good as it is), "refuse" (reason and fix say why and what to do)
    containers   [{name, cpu: {request: [old, new], limit: [old, new]}, memory: ...}]; None: not set. old is what holds in truth, also where
                 a LimitRange or the limit supplies it
    resources    {container: {requests, limits}} as the template is to have them, other resources as they are
    formula[], warnings[], qos [before, after]
    figures, bounds   {name: number}, {name: [low, high]} for the question to an engine; nobody else's number is ever applied

What each container gets is in rules.py. ``apply`` is that of resources.py. Pure; nothing raises.
"""

from __future__ import annotations

import math
import re
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import lasting
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import command_of, containers_of
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import rules as sizes
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.resources import (
    RESOURCES,
    Held,
    apply,
    declared,
    held,
    in_truth,
    left_by_init,
    qos,
)
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.rules import Rules, Sized, cpu_text, memory_text, memory_words

Object = dict[str, Any]
Usage = Mapping[str, Mapping[str, "Mapping[str, Any] | None"]]

__all__ = ["apply", "size"]

MOST_FIGURES = 20  # of a question to an engine
_TEXTS = {"cpu": cpu_text, "memory": memory_text}
_SAID = {"cpu": cpu_text, "memory": memory_words}
_WORDS = {"cpu": "CPU", "memory": "memory"}
_UNITS = {"cpu": (1e-3, "millicores"), "memory": (2.0**20, "mib")}
_LEAK_FIX = "Find out what keeps the memory, mend it, and run again; until then watch its restarts."


def size(subject: Mapping[str, Any], usage: Usage, options: Mapping[str, Any], floors: Mapping[str, float] | None = None) -> Object:
    """See the module's description."""
    spec = subject["workload"]["spec"]["template"]["spec"]
    live: Object = next((pod["spec"] for pod in subject.get("pods") or () if pod.get("spec")), {})
    rules, truth = sizes.rules_of(options), in_truth(spec, live)
    result = _empty(qos(truth))
    if any(resource in ((spec.get("resources") or {}).get(part) or {}) for part in ("requests", "limits") for resource in RESOURCES):
        return _refuse(
            result,
            "The template has requests or limits for the pod as a whole (spec.resources), which bound those of its containers.",
            "Size the pod as a whole by hand, or declare resources for each container.",
        )
    equal = result["qos"][0] == "Guaranteed" and rules.cpu_limit != "remove"
    found = _sized(spec, truth, live, usage, rules, floors or {}, equal)
    if found["qos"][1] == "Guaranteed" and not equal:  # by chance: from now on its requests have to do as limits
        found = _sized(spec, truth, live, usage, rules, floors or {}, True)
    return found


def _sized(
    spec: Mapping[str, Any],
    truth: Mapping[str, Any],
    live: Mapping[str, Any],
    usage: Usage,
    rules: Rules,
    floors: Mapping[str, float],
    guaranteed: bool,
) -> Object:
    result = _empty(qos(truth))
    there = {one["name"]: one for one in containers_of(live)}
    sized: dict[str, dict[str, tuple[Held, Sized]]] = {}
    for container in lasting(spec):
        name = str(container["name"])
        now = {resource: held(container, there.get(name), resource) for resource in RESOURCES}
        sized[name] = _container(name, now, usage.get(name) or {}, rules, floors.get(name, 0.0), guaranteed, result)
        values = {resource: _pairs(now[resource], sized[name].get(resource)) for resource in RESOURCES}
        result["containers"].append({"name": name, **values})
        result["resources"][name] = _written(container, now, values)
        result["warnings"] += _reads_limits(container, values)
    result["qos"][1] = qos(in_truth(apply(spec, result["resources"]), live))
    _figures(sized, result)
    _remarks(spec, there, usage, result)
    return _decide(spec, sized, result, rules)


def _empty(before: str) -> Object:
    empty: Object = {"decision": "keep", "reason": "", "fix": "", "containers": [], "resources": {}, "formula": [], "qos": [before, before]}
    return {**empty, "warnings": [], "figures": {}, "bounds": {}}


def _refuse(result: Object, reason: str, fix: str) -> Object:
    return {**result, "decision": "refuse", "reason": reason, "fix": fix}


def _container(
    name: str,
    now: Mapping[str, Held],
    seen: Mapping[str, Mapping[str, Any] | None],
    rules: Rules,
    floor: float,
    guaranteed: bool,
    result: Object,
) -> dict[str, tuple[Held, Sized]]:
    """What is sized, by resource. What has no figures stays as it is, and that is said."""
    found: dict[str, tuple[Held, Sized]] = {}
    shown, cpu, memory = plain(name), seen.get("cpu"), seen.get("memory")
    if cpu is not None:
        found["cpu"] = now["cpu"], sizes.cpu(shown, now["cpu"], cpu, rules, floor, guaranteed)
    if memory is not None:
        found["memory"] = now["memory"], sizes.memory(shown, now["memory"], memory, rules, guaranteed)
    for _held, one in found.values():
        result["formula"] += one.formula
        result["warnings"] += one.warnings + ([f"{shown}: its memory stays as it is. {one.refused}"] if one.refused else [])
    missing = [_WORDS[resource] for resource in RESOURCES if resource not in found]
    if missing:
        result["warnings"].append(f"{shown} has no figures of {' and '.join(missing)} in the history; that stays as it is.")
    return found


def _pairs(now: Held, sized: tuple[Held, Sized] | None) -> dict[str, list[float | None]]:
    new = sized[1] if sized else None
    return {"request": [now.request, new.request if new else now.request], "limit": [now.limit, new.limit if new else now.limit]}


def _written(container: Mapping[str, Any], now: Mapping[str, Held], values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The container's resources with what changes. What stays keeps its text, and what was supplied stays supplied."""
    parts = {part: dict(declared(container).get(part, {})) for part in ("requests", "limits")}
    for resource in RESOURCES:
        (before, request), (bound, limit) = values[resource]["request"], values[resource]["limit"]
        from_limit = not now[resource].asks and now[resource].bounds and limit != bound  # the request would move with the limit
        if request is not None and (request != before or from_limit):
            parts["requests"][resource] = _TEXTS[resource](request)
        if limit is None:
            parts["limits"].pop(resource, None)
        elif limit != bound:
            parts["limits"][resource] = _TEXTS[resource](limit)
    return {part: value for part, value in parts.items() if value}


def _reads_limits(container: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Programs that take their own size from their limits."""
    changed = [resource for resource in RESOURCES if values[resource]["limit"][0] != values[resource]["limit"][1]]
    environment = container.get("env") or ()
    fields = {str(((one.get("valueFrom") or {}).get("resourceFieldRef") or {}).get("resource", "")) for one in environment}
    words = " ".join([command_of(container), *(str(one.get("value", "")) for one in environment)])
    read = [one for one in changed if f"limits.{one}" in fields or (one == "memory" and "RAMPercentage" in words)]
    name = plain(container["name"])
    return [
        f"{name} reads its own {_WORDS[one]} limit and takes its size from it: with another limit it may use another amount."
        for one in read
    ]


def _remarks(spec: Mapping[str, Any], live: Mapping[str, Any], usage: Usage, result: Object) -> None:
    after = apply(spec, result["resources"])
    known = {one["name"] for one in containers_of(spec)}
    injected = sorted(plain(name) for name in live if name not in known)
    if injected:
        result["warnings"].append(f"{', '.join(injected)}: not in the template, so something adds it to each pod; it stays as it is.")
    for resource, (reserved, asked) in left_by_init(after).items():
        text = _SAID[resource]
        result["warnings"].append(
            f"Init containers need more {_WORDS[resource]} than all other containers ask for together ({text(asked)}): the scheduler still"
            f" reserves {text(reserved)} for each pod."
        )
    before, later = result["qos"]
    if before != later:
        why = {"BestEffort": "its pods are no longer the first to be evicted", "Guaranteed": "its pods may be evicted before others"}
        result["warnings"].append(
            f"The QoS class changes from {before} to {later}: {why.get(before, 'eviction and CPU pinning follow it')}."
        )


def _figures(sized: Mapping[str, Mapping[str, tuple[Held, Sized]]], result: Object) -> None:
    """Whole thousandths of cores and whole Mi, requests first, as many as a question may have."""
    names: dict[str, str] = {}
    rows = []
    for container, found in sized.items():
        for resource, (now, one) in found.items():
            if one.refused:
                continue
            rows.append((0, container, resource, "request", now.request, one.request, one.low_request))
            if resource == "memory" and one.limit is not None:
                rows.append((1, container, resource, "limit", now.limit, one.limit, one.low_limit))
    for _rank, container, resource, what, old, new, low in sorted(rows, key=lambda row: row[0])[:MOST_FIGURES]:
        unit, word = _UNITS[resource]
        stem = names.setdefault(container, _stem(container, len(names)))
        ours = math.ceil((new or 0.0) / unit - 1e-6)
        name = f"{stem}_{resource}_{what}_{word}"
        result["figures"][name] = ours
        result["bounds"][name] = [min(ours, math.ceil(low / unit - 1e-6)), max(math.ceil((old or 0.0) / unit - 1e-6), 2 * ours)]


def _stem(container: str, number: int) -> str:
    """A container's name as part of the name of a figure: letters, digits and "_", not too long, still its own."""
    stem = re.sub(r"[^a-z0-9_]", "_", container.lower())
    stem = stem if stem[:1].isalpha() else f"c_{stem}"
    return stem if len(stem) <= 36 else f"{stem[:32]}_{number}"


def _decide(spec: Mapping[str, Any], sized: Mapping[str, Mapping[str, tuple[Held, Sized]]], result: Object, rules: Rules) -> Object:
    leaks = [f"{plain(name)}: {one.refused}" for name, found in sized.items() for _held, one in found.values() if one.refused]
    if not any(sized.values()):
        fix = (
            "Check that the metrics of its containers are scraped (cAdvisor's, by the kubelet), and that container labels have the same"
            " names."
        )
        return _refuse(result, "No container has figures of its usage in the history.", fix)
    if any(declared(one) != result["resources"][one["name"]] for one in lasting(spec)):
        return {**result, "decision": "change", "reason": _totals(result["containers"])}
    if leaks:
        return _refuse(result, " ".join(leaks), _LEAK_FIX)
    within = f"within {rules.least_change * 100:g} %" if rules.least_change else "exactly"
    return {**result, "reason": f"Requests and limits are {within} what the usage asks for; nothing changes."}


def _totals(containers: list[Object]) -> str:
    """What a pod asks for, before and after."""
    parts = []
    for resource in RESOURCES:
        pairs = [one[resource]["request"] for one in containers]
        before, after = (sum(pair[index] or 0.0 for pair in pairs) for index in (0, 1))
        was = _SAID[resource](before) if before else "nothing"
        change = f" ({(after / before - 1) * 100:+.0f} %)" if before else ""
        parts.append(f"{_WORDS[resource]} {was} -> {_SAID[resource](after) if after else 'nothing'}{change}" if after != before else "")
    changed = [part for part in parts if part]
    return f"Requests of a pod: {', '.join(changed)}." if changed else "Requests stay; limits change."
