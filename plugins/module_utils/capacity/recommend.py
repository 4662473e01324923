# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From load, context, start-up time and room to one recommendation, with its reasoning. Pure, apart from the functions that are handed in.

``recommend(load, context, startup, placement_of, options, cost_of)``: load as in load.py, context as in context.py, startup as in
startup.py; placement_of(additional pods) gives a placement as in placement.py, None where nobody can tell; cost_of(replicas) a price per
month, or None. OPTIONS names the options with their defaults; an unknown or impossible one raises BadInput. The result is plain data:

    decision create|adjust|keep|refuse, reason, code (of a refusal, as in hindrances.py, or one of ours), fix,
    hpa {minReplicas, maxReplicas, metrics, behavior} or None, name (of the HPA), changes [sentences, of an adjustment],
    reasoning [sentences in the order in which they follow], warnings [sentences],
    figures {min_replicas, max_replicas, target_percent} and bounds {the same: [low, high]}: empty where nothing was computed,
    expected {replicas_now, at_current_load, at_peak}, placement (what placement_of gave) or None
"""

from __future__ import annotations

import copy
import math
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import existing
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.figures import NoRoom, hpa_resource, size
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

Object = dict[str, Any]

OPTIONS: dict[str, Any] = {
    "headroom": 0.2,  # on top of the peak, as a fraction of it
    "availability": True,  # at least two replicas where the workload can have two
    "min_replicas": None,
    "max_replicas": None,  # the highest maxReplicas that may be proposed; None: ten times as many as now, at most 100
    "target_percent": None,
    "owner_conflict": "refuse",  # or warn: what to do where somebody else keeps the field
    "max_cost_month": None,  # in the currency of cost_of
    "custom_metric": None,  # a Pods metric of custom.metrics.k8s.io
    "custom_target": None,  # its average value per pod, as a quantity
}
FIGURES = {
    "min_replicas": "the smallest number of replicas (minReplicas)",
    "max_replicas": "the largest number of replicas (maxReplicas)",
    "target_percent": "the target of the average utilisation, in percent of the request",
}
# refusals after which the figures are still of use: whoever keeps the field can set them
_STILL_COMPUTED = ("keda", "replicas_conflict", "owned", "vpa", "hpa_owner")


def recommend(
    load: Mapping[str, Any],
    context: Mapping[str, Any],
    startup: Mapping[str, Any],
    placement_of: Callable[[int], Mapping[str, Any]] | None,
    options: Mapping[str, Any] | None = None,
    cost_of: Callable[[int], float | None] | None = None,
) -> Object:
    """See the module's description. Raises BadInput for options that make no sense."""
    chosen = checked(options or {})
    result = _empty(load, context)
    refusals = _sort(context, load, chosen, result)
    hard = next((one for one in refusals if one["code"] not in _STILL_COMPUTED), None)
    if hard:
        return _refuse(result, hard)
    verdict = str(load.get("verdict"))
    if verdict != "sustained":
        return _without_load(result, load, verdict, context)
    try:
        sized = size(load, context, startup, placement_of, chosen, cost_of, result)
    except NoRoom as none:
        return _refuse(result, refusals[0] if refusals else none.finding)
    if refusals:
        return _refuse(result, refusals[0], "It would have to be set to: " + _in_words(result["figures"]) + ".")
    if context.get("hpa") is None:
        result.update(decision="create", hpa=sized, name=name_of(context))
        result["reason"] = f"The load lasts and no autoscaler follows it: {_in_words(result['figures'])}."
        return result
    return _adjust(result, load, context, sized, chosen)


def checked(options: Mapping[str, Any]) -> Object:
    """The options with their defaults. Raises BadInput, which names the option."""
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise BadInput(f"{plain(unknown[0])} is no option of a recommendation.", f"There are: {', '.join(OPTIONS)}.")
    chosen = {**OPTIONS, **{name: value for name, value in options.items() if value is not None}}
    for name, low, high in (("min_replicas", 1, 10000), ("max_replicas", 1, 10000), ("target_percent", 1, 1000)):
        value = chosen[name]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high):
            raise BadInput(f"{name} is {plain(repr(value))}.", f"Give a whole number from {low} to {high}.")
    for name, most in (("headroom", 10.0), ("max_cost_month", math.inf)):
        value = chosen[name]
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most or math.isinf(value)
        ):
            raise BadInput(
                f"{name} is {plain(repr(value))}.",
                "Give a number that is not negative" + (" (0.2 is 20 %)." if name == "headroom" else "."),
            )
    if chosen["owner_conflict"] not in ("refuse", "warn"):
        raise BadInput(f"owner_conflict is {plain(repr(chosen['owner_conflict']))}.", "Give refuse or warn.")
    if chosen["min_replicas"] and chosen["max_replicas"] and chosen["min_replicas"] > chosen["max_replicas"]:
        raise BadInput(f"min_replicas ({chosen['min_replicas']}) is above max_replicas ({chosen['max_replicas']}).", "Swap or change them.")
    if bool(chosen["custom_metric"]) != bool(chosen["custom_target"]):
        raise BadInput(
            "custom_metric and custom_target belong together, and one is missing.", "Give both: the metric's name and its value per pod."
        )
    return chosen


def figures_for_engines(recommendation: Mapping[str, Any]) -> dict[str, Object]:
    """The figures of a question to an engine: {name: {what, ours, low, high}}; empty where nothing was computed."""
    return {
        name: {"what": FIGURES[name], "ours": ours, "low": recommendation["bounds"][name][0], "high": recommendation["bounds"][name][1]}
        for name, ours in recommendation["figures"].items()
    }


def agreed(recommendation: Mapping[str, Any], figures: Mapping[str, Any] | None, who: str = "The engine") -> list[str]:
    """An engine's figures beside ours, one sentence for each of ours. What it did not name, named twice, or is no number, is said."""
    sentences = []
    for name, ours in recommendation["figures"].items():
        low, high = recommendation["bounds"][name]
        what = FIGURES[name].rpartition("(")[2].rstrip(")") if "(" in FIGURES[name] else "target in percent"
        theirs = (figures or {}).get(name)
        if theirs is None:
            sentences.append(f"{who} gives no figure for {what} (ours: {ours}).")
        elif isinstance(theirs, bool) or not isinstance(theirs, (int, float)) or not math.isfinite(theirs):
            sentences.append(f"{who} gives {plain(repr(theirs), 20)} for {what}, which is no number (ours: {ours}).")
        elif theirs == ours:
            sentences.append(f"{who} agrees: {what} {ours}.")
        elif low <= theirs <= high:
            sentences.append(f"{who} would take {what} {theirs:g} where we take {ours}; from {low} to {high} the facts allow it.")
        else:
            sentences.append(f"{who} would take {what} {theirs:g} where we take {ours}; the facts allow {low} to {high} only.")
    return sentences


def name_of(context: Mapping[str, Any]) -> str:
    """The autoscaler's name: that of the existing one, else the workload's; where another workload's has that, with the kind appended."""
    if context.get("hpa"):
        return str(context["hpa"]["metadata"]["name"])
    name, kind = context["workload"]["name"], context["workload"]["kind"].lower()
    taken = set(context.get("hpa_names") or ())
    choices = [name, f"{name[:240]}-{kind}", *(f"{name[:240]}-{kind}-{number}" for number in range(2, len(taken) + 3))]
    return str(next(one for one in choices if one not in taken))


def manifest(workload: Mapping[str, Any], recommendation: Mapping[str, Any], name: str = "") -> Object:
    """The whole HorizontalPodAutoscaler (autoscaling/v2) of a recommendation to create one. The same input gives the same object."""
    metadata = workload["metadata"]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name or recommendation["name"], "namespace": metadata["namespace"]},
        "spec": {
            "scaleTargetRef": {"apiVersion": workload["apiVersion"], "kind": workload["kind"], "name": metadata["name"]},
            **copy.deepcopy(recommendation["hpa"]),
        },
    }


# --- whether ----------------------------------------------------------------------------------------------------------------


def _empty(load: Mapping[str, Any], context: Mapping[str, Any]) -> Object:
    now = context["replicas"]["wanted"]
    return {
        "decision": "keep",
        "reason": "",
        "code": "",
        "fix": "",
        "hpa": None,
        "name": name_of(context),
        "changes": [],
        "reasoning": [str(load.get("reason", ""))] if load.get("reason") else [],
        "warnings": [],
        "figures": {},
        "bounds": {},
        "expected": {"replicas_now": now, "at_current_load": now, "at_peak": now},
        "placement": None,
    }


def _sort(context: Mapping[str, Any], load: Mapping[str, Any], chosen: Mapping[str, Any], result: Object) -> list[dict[str, str]]:
    """The refusals; all else becomes a warning of the result. What stands against an autoscaler counts before what is missing for it."""
    findings = [*context["findings"], *_of_load(context, load)]
    if context.get("hpa") is not None:  # the fight about replicas is there already, and our change does not begin it
        findings = [{**one, "severity": "warn"} if one["code"] == "replicas_conflict" else one for one in findings]
    refusing = ("refuse", "owner") if chosen["owner_conflict"] == "refuse" else ("refuse",)
    result["warnings"] += [f"{one['sentence']} {one['fix']}".strip() for one in findings if one["severity"] not in refusing]
    return [one for one in findings if one["severity"] in refusing]


def _of_load(context: Mapping[str, Any], load: Mapping[str, Any]) -> list[dict[str, str]]:
    resource = str(load.get("resource", "cpu"))
    found, name = [], context["workload"]["name"]
    missing = (context.get("missing_requests") or {}).get(hpa_resource(resource)) or ()
    if load.get("verdict") == "no_requests" or missing:
        which = f"container {', '.join(missing)}" if missing else "every container that has none"
        found.append(
            {
                "code": "no_requests",
                "severity": "refuse",
                "sentence": (
                    f"{plain(name)} has no {hpa_resource(resource)} request on {which}: an autoscaler computes its utilisation from"
                    " requests."
                ),
                "fix": (
                    f"Set resources.requests.{hpa_resource(resource)} on {which} to what it uses under normal load, and run again after the"
                    " rollout."
                ),
            }
        )
    if hpa_resource(resource) in (context.get("vpa_resources") or ()):
        found.append(
            {
                "code": "vpa",
                "severity": "refuse",
                "sentence": (
                    f"A VerticalPodAutoscaler changes the {hpa_resource(resource)} requests of {plain(name)}: with an autoscaler on the"
                    " same resource, each undoes what the other does."
                ),
                "fix": "Set updateMode: Off in the VerticalPodAutoscaler, or controlledResources to the other resource.",
            }
        )
    return found


def _refuse(result: Object, finding: Mapping[str, str], more: str = "") -> Object:
    if more:
        result["reasoning"].append(more)
    result.update(decision="refuse", reason=finding["sentence"], fix=finding.get("fix", ""), code=finding["code"], hpa=None, changes=[])
    return result


def _without_load(result: Object, load: Mapping[str, Any], verdict: str, context: Mapping[str, Any]) -> Object:
    reason = str(load.get("reason", "")) or "The load is not known."
    if verdict == "not_sustained":
        there = f" HorizontalPodAutoscaler {context['hpa']['metadata']['name']} stays as it is." if context.get("hpa") else ""
        result.update(decision="keep", reason=f"{reason}{there}")
        return result
    fix = "Wait until there are samples of the whole window, or give a Prometheus that has them."
    return _refuse(result, {"code": verdict, "sentence": reason, "fix": fix})


def _in_words(figures: Mapping[str, Any]) -> str:
    return f"{figures['min_replicas']} to {figures['max_replicas']} replicas at a target of {figures['target_percent']} %"


# --- an autoscaler that is there --------------------------------------------------------------------------------------------


def _adjust(result: Object, load: Mapping[str, Any], context: Mapping[str, Any], sized: Object, chosen: Mapping[str, Any]) -> Object:
    """The smallest change of the existing autoscaler, or none."""
    hpa, owner = context["hpa"], context.get("hpa_owner") or {}
    name, highest = plain(hpa["metadata"]["name"]), result["bounds"]["target_percent"][1]
    spec, changes = existing.smallest_change(hpa, sized, highest, context["requests"].get(hpa_resource(str(load["resource"]))), chosen)
    if not changes:
        result.update(decision="keep", reason=f"HorizontalPodAutoscaler {name} is right as it is: {existing.in_words(hpa)}.")
        result["warnings"] += existing.remarks(hpa, context)
        return result
    if owner.get("keeps") in ("always", "next"):
        sentence = (
            f"HorizontalPodAutoscaler {name} is kept by {owner['who']}, which would set it back; the change belongs into {owner['where']}"
        )
        if chosen["owner_conflict"] == "refuse" and owner.get("tool") not in ("kubectl-apply", "kubectl-server-side"):
            finding = {"code": "hpa_owner", "sentence": f"{sentence}.", "fix": f"Change there: {'; '.join(changes)}."}
            return _refuse(result, finding)
        result["warnings"].append(f"{sentence}, as well.")
    elif owner.get("tool") == "ours":
        result["reasoning"].append(f"HorizontalPodAutoscaler {name} was made by {owner['who']}.")
    result.update(
        decision="adjust", hpa=spec, changes=changes, reason=f"HorizontalPodAutoscaler {name} does not keep up: {'; '.join(changes)}."
    )
    figures = {"min_replicas": spec["minReplicas"], "max_replicas": spec["maxReplicas"], "target_percent": existing.target(spec, sized)}
    result["reasoning"].append(f"There is an autoscaler, {existing.in_words(hpa)}; of it only this changes: {'; '.join(changes)}.")
    result["figures"] = {key: value if value is not None else result["figures"][key] for key, value in figures.items()}
    result["bounds"] = {
        key: [min(low, figures[key] or low), max(high, figures[key] or high)] for key, (low, high) in result["bounds"].items()
    }
    result["warnings"] += existing.remarks(hpa, context)
    return result
