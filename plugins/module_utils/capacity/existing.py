# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A HorizontalPodAutoscaler that is there already: what of it has to change so that it keeps up, and nothing else. Pure; nothing raises."""

from __future__ import annotations

import copy
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import quantity

Object = dict[str, Any]
_OURS = ("minReplicas", "maxReplicas", "metrics", "behavior")


def smallest_change(
    hpa: Mapping[str, Any], sized: Mapping[str, Any], highest: int, request: float | None, options: Mapping[str, Any]
) -> tuple[Object, list[str]]:
    """(the new minReplicas, maxReplicas, metrics and behavior; what changed in words). No words: it is right.

    sized: what we would create; highest: the highest target in percent that acts before the threshold; request: of one pod.
    """
    spec: Object = {"minReplicas": 1, **{key: copy.deepcopy(value) for key, value in (hpa.get("spec") or {}).items() if key in _OURS}}
    spec["metrics"] = spec.get("metrics") or []
    changes = [*_metric(spec, sized["metrics"][0], highest, request), *_counts(spec, sized, options), *_scale_up(spec)]
    return spec, changes


def _counts(spec: Object, sized: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    changes = []
    if spec["maxReplicas"] < sized["maxReplicas"]:
        changes.append(f"maxReplicas {spec['maxReplicas']} -> {sized['maxReplicas']}")
        spec["maxReplicas"] = sized["maxReplicas"]
    wanted = options.get("min_replicas")
    if wanted and wanted != spec["minReplicas"] and wanted <= spec["maxReplicas"]:
        changes.append(f"minReplicas {spec['minReplicas']} -> {wanted}")
        spec["minReplicas"] = wanted
    return changes


def _metric(spec: Object, ours: Object, highest: int, request: float | None) -> list[str]:
    mine = [one for one in spec["metrics"] if _same(one, ours)]
    if not mine:
        spec["metrics"].append(copy.deepcopy(ours))
        return [f"a metric that was missing: {_words(ours)}"]
    if ours["type"] != "Resource":
        return []
    wanted = ours["resource"]["target"]["averageUtilization"]
    if any((_percent(one, request) or highest + 1) <= highest for one in mine):
        return []  # the autoscaler takes the highest of what its metrics ask for: one that is low enough is enough
    before = _words(mine[0])
    target = _of(mine[0])["target"]
    if target.get("type") == "AverageValue" and request:
        amount = request * wanted / 100
        target["averageValue"] = quantity.memory(amount) if _of(mine[0])["name"] == "memory" else quantity.cpu(amount)
    else:
        target.clear()
        target.update(type="Utilization", averageUtilization=wanted)
    return [f"{before} -> {_words(mine[0])}"]


def _scale_up(spec: Object) -> list[str]:
    rules = (spec.get("behavior") or {}).get("scaleUp") or {}
    if rules.get("selectPolicy") != "Disabled":
        return []
    rules["selectPolicy"] = "Max"
    return ["behavior.scaleUp.selectPolicy Disabled -> Max"]


def remarks(hpa: Mapping[str, Any], context: Mapping[str, Any]) -> list[str]:
    """What else is to be said about it."""
    spec, status = hpa.get("spec") or {}, hpa.get("status") or {}
    found = []
    if spec.get("minReplicas", 1) < 2 and context.get("can_have_two") and spec.get("maxReplicas", 1) > 1:
        found.append("Its minReplicas is 1: with little load one pod is all there is. That is left as it is.")
    if status.get("desiredReplicas", 0) > status.get("currentReplicas", 0):
        found.append(f"It is about to scale from {status.get('currentReplicas', 0)} to {status['desiredReplicas']} replicas.")
    return found


def target(spec: Mapping[str, Any], sized: Mapping[str, Any]) -> int | None:
    """The target in percent of the metric that is ours; None where it is given otherwise."""
    mine = (_of(one).get("target") or {} for one in spec["metrics"] if _same(one, sized["metrics"][0]))
    return next((int(one["averageUtilization"]) for one in mine if one.get("averageUtilization") is not None), None)


def in_words(hpa: Mapping[str, Any]) -> str:
    """2 to 10 replicas, cpu at 60 %."""
    spec = hpa.get("spec") or {}
    metrics = ", ".join(_words(one) for one in spec.get("metrics") or ())
    return f"{spec.get('minReplicas', 1)} to {spec.get('maxReplicas')} replicas{f', {metrics}' if metrics else ''}"


def _of(metric: Mapping[str, Any]) -> Object:
    """The part of a metric that says which and how much."""
    return next((part for key, part in metric.items() if key != "type" and isinstance(part, dict)), {})


def _same(metric: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    if ours["type"] == "Resource":
        return metric.get("type") in ("Resource", "ContainerResource") and bool(_of(metric).get("name") == ours["resource"]["name"])
    return metric.get("type") == ours["type"] and bool((_of(metric).get("metric") or {}).get("name") == ours["pods"]["metric"]["name"])


def _percent(metric: Mapping[str, Any], request: float | None) -> float | None:
    """The target in percent of the request; None where it cannot be told."""
    target = _of(metric).get("target") or {}
    if target.get("averageUtilization") is not None:
        return float(target["averageUtilization"])
    if target.get("averageValue") is None or not request or metric.get("type") != "Resource":
        return None
    return 100 * quantity.amount(target["averageValue"]) / request


def _words(metric: Mapping[str, Any]) -> str:
    part = _of(metric)
    target = part.get("target") or {}
    name = part.get("name") or (part.get("metric") or {}).get("name") or str(metric.get("type"))
    value = (
        f"{target['averageUtilization']} %"
        if target.get("averageUtilization") is not None
        else target.get("averageValue") or target.get("value")
    )
    where = f" of container {part['container']}" if part.get("container") else ""
    return f"{name}{where} at {value}"
