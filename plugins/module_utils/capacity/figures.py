# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The figures of a recommendation: what sizing.py computes, bounded by room, cost and options. See recommend.py for the shapes.

``size`` raises NoRoom, with its finding, where not one pod more is possible.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import sizing
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load_words import percent as percent_of
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

Object = dict[str, Any]

_SATURATED = 0.95  # of the limit


class NoRoom(Exception):
    """Not one pod more is possible. recommend.py makes a refusal of it."""

    def __init__(self, finding: dict[str, str]) -> None:
        super().__init__(finding["sentence"])
        self.finding = finding


def hpa_resource(resource: str) -> str:
    return resource if resource in ("cpu", "memory") else "cpu"


def size(
    load: Mapping[str, Any],
    context: Mapping[str, Any],
    startup: Mapping[str, Any],
    placement_of: Callable[[int], Mapping[str, Any]] | None,
    chosen: Mapping[str, Any],
    cost_of: Callable[[int], float | None] | None,
    result: Object,
) -> Object:
    """Fills figures, bounds, expected, reasoning and warnings of the result; returns the autoscaler's spec."""
    why, warn = result["reasoning"], result["warnings"]
    present = int(context["replicas"]["wanted"])
    serving = int(context["replicas"]["ready"]) or present
    ordered, seconds = bool(context.get("ordered")), float(startup["seconds"])
    now, peak = sizing.utilisations(load)
    if now is None or peak is None:
        raise NoRoom({"code": "not_enough_data", "sentence": "The utilisation is not known.", "fix": "Wait for samples, then run again."})
    why.append(str(startup["sentence"]))
    target = sizing.target(float(load["threshold"]), seconds, load.get("series") or (), ordered)
    percent = chosen["target_percent"] or target.percent
    if chosen["target_percent"]:
        why.append(f"The target of {percent} % was given (ours would be {target.percent} %).")
        if percent > target.high:
            warn.append(
                f"With a target of {percent} % the autoscaler acts only above {percent * (1 + sizing.TOLERANCE):.0f} %, past the threshold."
            )
    else:
        why += target.reasoning
    floor = chosen["min_replicas"] or (2 if chosen["availability"] and context.get("can_have_two", True) else 1)
    for_now = sizing.needed(serving, now, percent)
    why.append(f"Present load: {_times(serving, now, percent)} = {for_now} replicas; {present} are there.")
    low = chosen["min_replicas"] or max(floor, for_now)
    why.append(_why_min(chosen, floor, for_now, low))
    with_reserve = peak * (1 + chosen["headroom"])
    for_peak = max(low, sizing.needed(serving, with_reserve, percent))
    why.append(
        f"Peak of the window {percent_of(peak)} and {percent_of(chosen['headroom'])} reserve: {_times(serving, with_reserve, percent)} ="
        f" {for_peak} replicas."
    )
    if _saturated(load, context, peak):
        for_peak = max(for_peak, 2 * for_now)
        warn.append(
            "The load is cut off by the limit of the containers, so the real demand is not known and may be higher: the maximum allows for "
            f"twice the present load ({for_peak} replicas)."
        )
    wanted = max(for_peak, low + 1)
    ceiling, bound = _ceiling(present, wanted, placement_of, chosen, cost_of, result)
    if ceiling <= present < for_now:
        raise NoRoom({"code": "no_room", "sentence": f"Not one pod more than the {present} there are: {bound[0]}", "fix": bound[1]})
    high = min(wanted, ceiling)
    if high < low:
        warn.append(f"{low} replicas would be right as the minimum, {high} is all there is room for: {bound[0]}")
        low = high
    if high < wanted:
        why.append(f"The maximum is {high}, not {wanted}: {bound[0]}")
        if high < for_now:
            warn.append(
                f"{high} replicas are fewer than the present load needs ({for_now}): they would run at {percent_of(now * serving / high)}."
                f" {bound[1]}".strip()
            )
    else:
        why.append(f"The maximum is {high}.")
    if placement_of is not None and high > present:
        _placed(present, high, placement_of, context, result)
    spec, words = sizing.behaviour(seconds, ordered)
    why += words
    _warn_of_metric(load, context, chosen, warn)
    result["figures"] = {"min_replicas": low, "max_replicas": high, "target_percent": percent}
    result["bounds"] = {
        "min_replicas": [min(floor, low), max(low, high)],
        "max_replicas": [min(high, max(low, for_now)), max(high, ceiling)],
        "target_percent": [min(target.low, percent), max(target.high, percent)],
    }
    result["expected"] = {
        "replicas_now": present,
        "at_current_load": min(high, max(low, for_now)),
        "at_peak": min(high, max(low, sizing.needed(serving, peak, percent))),
    }
    return {"minReplicas": low, "maxReplicas": high, "metrics": [_metric(load, context, chosen, percent)], "behavior": spec}


def _why_min(chosen: Mapping[str, Any], floor: int, for_now: int, low: int) -> str:
    if chosen["min_replicas"]:
        return f"The minimum of {low} was given" + (f"; the present load needs {for_now}." if for_now != low else ".")
    if for_now >= floor:
        return f"The minimum is {low}: the present load is served at the target from the start, without waiting for the autoscaler."
    return f"The minimum is {low}, so that one pod may fail or move."


def _times(replicas: int, utilisation: float, percent: int) -> str:
    return f"ceil({replicas} x {percent_of(utilisation)} / {percent} %)"


def _saturated(load: Mapping[str, Any], context: Mapping[str, Any], peak: float) -> bool:
    resource = str(load.get("resource"))
    limit, request = ((context.get(what) or {}).get(resource) for what in ("limits", "requests"))
    return bool(resource == "cpu" and limit and request and peak * request >= _SATURATED * limit)


def _ceiling(
    present: int,
    wanted: int,
    placement_of: Callable[[int], Mapping[str, Any]] | None,
    chosen: Mapping[str, Any],
    cost_of: Callable[[int], float | None] | None,
    result: Object,
) -> tuple[int, tuple[str, str]]:
    """(the largest number of replicas that is possible, (what binds, what to do)): option, room, cost."""
    most = sizing.most_replicas(present, chosen["max_replicas"])
    given = (
        "max_replicas says so"
        if chosen["max_replicas"]
        else f"{sizing.TIMES} times as many as now, at most {sizing.MOST}, unless max_replicas allows more"
    )
    bounds: list[tuple[int, tuple[str, str]]] = [(most, (f"{most} is the limit ({given}).", "Raise max_replicas if more is wanted."))]
    if placement_of is None:
        result["warnings"].append("Whether more pods fit was not checked.")
    elif most > present:
        result["placement"] = dict(placement_of(most - present))
        bounds.append(_room(present, min(wanted, most) - present, most - present, result["placement"], result))
    if chosen["max_cost_month"] is not None:
        bounds.append(_affordable(present, min(wanted, most), chosen["max_cost_month"], cost_of, result))
    return min(bounds, key=lambda one: one[0])


def _fits(placement: Mapping[str, Any]) -> tuple[int, int]:
    """How many additional pods fit with quota and declared nodes; how many of them on nodes that are there."""
    quota, declared = (placement.get("quota") or {}).get("fits"), placement.get("declared") or {}
    live = int(placement.get("fits", 0))
    every = max(live, int(declared.get("fits") or 0))
    return (every, live) if quota is None else (min(every, int(quota)), min(live, int(quota)))


def _room(present: int, wanted: int, asked: int, placement: Mapping[str, Any], result: Object) -> tuple[int, tuple[str, str]]:
    """The bound that nodes and quotas set. As many as may ever be proposed are placed: no figure lies beyond what was tried."""
    fits, _live = _fits(placement)
    if fits >= asked:
        result["reasoning"].append(f"{asked} more pods fit, as many as may be proposed.")
        return present + fits, ("", "")
    binds, quota = placement.get("binds_first") or {}, placement.get("quota") or {}
    by_quota = quota.get("sentence") if fits == quota.get("fits") else None
    sentence = str(by_quota or binds.get("sentence") or "no more pods fit.")
    result["reasoning"].append(f"{fits} more pods fit{'' if fits >= wanted else f', and {wanted} are wanted'}: {sentence}")
    raised = binds.get("what") == "quota" or fits == quota.get("fits")
    return present + fits, (
        sentence,
        "Raise the ResourceQuota, or lower the requests." if raised else "Add room (nodes, or lower requests) first.",
    )


def _placed(present: int, high: int, placement_of: Callable[[int], Mapping[str, Any]], context: Mapping[str, Any], result: Object) -> None:
    """The placement of exactly what is proposed, and what it has to say; also of the pods that a rollout adds for a while.

    What follows from the placement of the most that may be proposed is not tried again: on a large cluster each try takes its time.
    """
    before = result["placement"]
    asked, room = int(before["asked"]), _fits(before)[0]
    placement = before if asked == high - present else dict(placement_of(high - present))
    result["placement"] = placement
    fits, live = _fits(placement)
    warnings = result["warnings"]
    warnings += [str(one) for one in placement.get("warnings") or ()]
    lost = placement.get("without_largest_node") or {}
    if lost.get("sentence") and int(lost.get("fits") or 0) < fits:
        warnings.append(str(lost["sentence"]))
    if fits > live:
        warnings.append(
            f"{fits - live} of the additional pods need nodes that are declared and not there yet; they wait until those have joined."
        )
    surge = surged(context.get("surge"), high)
    total = high - present + surge
    if total > room and (room < asked or _fits(placement_of(total))[0] < total):
        warnings.append(
            f"A rollout at the maximum needs {surge} more pods for a while (maxSurge), and they do not all fit: it would be slow or stand"
            " still."
        )


def surged(value: Any, replicas: int) -> int:
    """The pods that a rollout adds: a number, or a part in percent, rounded up."""
    text = str(value or "0")
    whole = text.removesuffix("%")
    if not whole.isdigit():
        return 0
    return -(-replicas * int(whole) // 100) if text.endswith("%") else int(whole)


def _affordable(
    present: int, wanted: int, most: float, cost_of: Callable[[int], float | None] | None, result: Object
) -> tuple[int, tuple[str, str]]:
    costs = {count: cost_of(count) if cost_of else None for count in range(1, wanted + 1)}
    if costs.get(wanted) is None:
        raise BadInput("max_cost_month was given, and no price is known.", "Give prices as well.")
    within = max((count for count, cost in costs.items() if cost is not None and cost <= most), default=0)
    if within >= wanted:
        return 10**6, ("", "")
    result["reasoning"].append(f"{within} replicas cost at most {most:g} a month, {wanted} would cost {costs[wanted]:.2f}.")
    return max(within, 1), (
        f"{within} replicas are what {most:g} a month pays for (max_cost_month).",
        "Raise max_cost_month, or lower the requests.",
    )


def _warn_of_metric(load: Mapping[str, Any], context: Mapping[str, Any], chosen: Mapping[str, Any], warn: list[str]) -> None:
    resource = str(load.get("resource"))
    if resource == "memory":
        warn.append(
            "An autoscaler on memory alone often runs to its maximum and stays: most applications do not give memory back when there are"
            " more of them. Make sure that this one's memory follows its load."
        )
    if resource == "custom" and not _custom(context, chosen):
        warn.append(
            "The autoscaler follows CPU, not the custom figure: that one is not served by custom.metrics.k8s.io under a name that was given"
            " (custom_metric, custom_target). Check that CPU rises with it."
        )


def _custom(context: Mapping[str, Any], chosen: Mapping[str, Any]) -> bool:
    return bool(chosen["custom_metric"]) and "custom.metrics.k8s.io" in (context.get("metrics_apis") or ())


def _metric(load: Mapping[str, Any], context: Mapping[str, Any], chosen: Mapping[str, Any], percent: int) -> Object:
    if load.get("resource") == "custom" and _custom(context, chosen):
        target = {"type": "AverageValue", "averageValue": str(chosen["custom_target"])}
        return {"type": "Pods", "pods": {"metric": {"name": str(chosen["custom_metric"])}, "target": target}}
    name = hpa_resource(str(load.get("resource")))
    return {"type": "Resource", "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}}}
