# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Recommendations as tables: decision and figures of each case, and what its reasoning and warnings have to say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity import sizing
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import context
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.recommend import agreed, figures_for_engines, manifest, name_of, recommend
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

from tests.unit.capacity.scaled import (
    SERVED,
    STARTS,
    TARGET,
    container,
    cpu_metric,
    hpa,
    load,
    merged,
    named,
    objects,
    placement,
    pod,
    workload,
    written_by,
)

Object = dict[str, Any]


def room(fits: int, **more: Any) -> Any:
    return lambda asked: placement(fits, asked, **more)


def decide(
    judged: Object | None = None,
    live: Object | None = None,
    lists: dict[str, list[Object]] | None = None,
    starts: Mapping[str, Any] | None = None,
    fits: Any = None,
    cost: Any = None,
    **options: Any,
) -> Object:
    found = context(live or workload(), objects() if lists is None else lists, SERVED)
    result = recommend(judged or load(), found, {**STARTS, **(starts or {})}, fits or room(1000), options, cost)
    assert json.dumps(result) and result["reason"]
    for name, figure in result["figures"].items():
        low, high = result["bounds"][name]
        assert low <= figure <= high
    return result


def with_hpa(*many: Object, **more: list[Object]) -> dict[str, list[Object]]:
    return objects(horizontalpodautoscalers=list(many), **more)


# --- create -----------------------------------------------------------------------------------------------------------------

# name -> (load, replicas, options, (min, max, target))
FIGURES: dict[str, tuple[Object, int, Object, tuple[int, int, int]]] = {
    "two replicas at 90 %": (load(0.9, 1.0), 2, {}, (3, 4, 63)),
    "one replica at its request": (load(1.0, 1.2), 1, {}, (2, 3, 63)),
    "a higher peak": (load(0.9, 1.4), 2, {}, (3, 6, 63)),
    "no reserve": (load(0.9, 1.4), 2, {"headroom": 0.0}, (3, 5, 63)),
    "a given minimum": (load(), 2, {"min_replicas": 5}, (5, 6, 63)),
    "a given target": (load(), 2, {"target_percent": 50}, (4, 5, 50)),
    "a given limit": (load(0.9, 1.6), 2, {"max_replicas": 5}, (3, 5, 63)),
    "another threshold": (load(threshold=0.8), 2, {}, (3, 4, 72)),
    "a threshold above the request": (load(1.5, 1.6, threshold=1.2), 2, {}, (3, 4, 109)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_a_new_autoscaler(name: str) -> None:
    judged, replicas, options, figures = FIGURES[name]
    result = decide(judged, workload(replicas=replicas), objects(*(pod(number) for number in range(replicas))), **options)
    assert result["decision"] == "create", result["reason"]
    assert tuple(result["figures"].values()) == figures, result["reasoning"]
    assert (result["hpa"]["minReplicas"], result["hpa"]["maxReplicas"]) == figures[:2]
    assert result["hpa"]["metrics"] == [cpu_metric(figures[2])]


def test_availability_is_two_where_two_are_possible() -> None:
    alone = objects(pod(1))
    low = load(0.72, 0.73, threshold=0.3, utilisation={"current": 0.2, "mean": 0.2, "peak": 0.2})
    assert decide(low, workload(replicas=1), alone)["figures"]["min_replicas"] == 2
    assert decide(low, workload(replicas=1), alone, availability=False)["figures"]["min_replicas"] == 1
    leader = workload(replicas=1, spec={"containers": [container(args=["--leader-elect"])]})
    assert decide(low, leader, alone)["figures"]["min_replicas"] == 1


def test_the_reasoning_follows_in_order_with_its_figures() -> None:
    text = " ".join(decide()["reasoning"])
    steps = [
        "70 %",
        "needed 10 s",
        "at most 63 %",
        "ceil(2 x 90 % / 63 %) = 3",
        "minimum is 3",
        "ceil(2 x 120 % / 63 %) = 4",
        "more pods fit",
        "maximum is 4",
        "Up:",
        "Down:",
    ]
    assert [text.find(step) for step in steps] == sorted(text.find(step) for step in steps) and -1 not in [text.find(step) for step in steps]


SLOW = [(10, 63, 15, 300), (60, 60, 60, 300), (200, 57, 210, 1020), (900, 53, 900, 3600), (5000, 53, 1800, 3600)]


@pytest.mark.parametrize(("seconds", "target", "period", "settle"), SLOW)
def test_slow_starters_get_a_lower_target_and_slower_steps(seconds: float, target: int, period: int, settle: int) -> None:
    result = decide(starts={"seconds": float(seconds)})
    rules = result["hpa"]["behavior"]
    assert result["figures"]["target_percent"] == target
    assert {one["periodSeconds"] for one in rules["scaleUp"]["policies"]} == {period}
    assert rules["scaleDown"]["stabilizationWindowSeconds"] == settle and rules["scaleUp"]["stabilizationWindowSeconds"] == 0


def test_a_steep_rise_lowers_the_target_to_what_it_may_be() -> None:
    rising = [[float(second), 0.7 + 0.4 * second / 60] for second in range(0, 61, 15)]
    assert decide(load(series=rising))["figures"]["target_percent"] == 54
    steep = decide(load(series=[[0.0, 0.2], [15.0, 1.5]]))
    assert steep["figures"]["target_percent"] == 40 and "faster than pods start" in " ".join(steep["reasoning"])


def test_a_load_that_is_cut_off_by_the_limit_is_said() -> None:
    result = decide(load(1.9, 2.0), workload(replicas=1), objects(pod(1)))
    assert any("cut off by the limit" in one for one in result["warnings"])
    assert result["figures"]["max_replicas"] >= 2 * result["figures"]["min_replicas"]


def test_many_replicas_and_bounds_without_options() -> None:
    assert [sizing.most_replicas(present, None) for present in (1, 5, 10, 50, 100, 300)] == [10, 50, 100, 100, 200, 600]
    assert sizing.needed(3, 0.63, 63) == 3 and sizing.needed(1, 0.0, 63) == 1 and sizing.needed(10, 0.7, 70) == 10


def test_nothing_but_plain_data_and_the_same_each_time() -> None:
    first, second = decide(), decide()
    assert first == second
    made = manifest(workload(), first)
    assert made == manifest(workload(), second) and made["metadata"] == {"name": "web", "namespace": "shop"}
    assert made["spec"]["scaleTargetRef"] == TARGET and made["apiVersion"] == "autoscaling/v2"


def test_the_name_of_another_autoscaler_is_not_taken() -> None:
    other = hpa("web", spec={"scaleTargetRef": {**TARGET, "kind": "StatefulSet"}})
    second = merged(other, {"metadata": {"name": "web-deployment"}})
    assert decide(lists=with_hpa(other))["name"] == "web-deployment"
    assert decide(lists=with_hpa(other, second))["name"] == "web-deployment-2"
    long = {"workload": {"name": "w" * 253, "kind": "Deployment"}, "hpa": None, "hpa_names": ["w" * 253]}
    assert len(name_of(long)) <= 253


# --- room, quota, cost ------------------------------------------------------------------------------------------------------


def test_room_bounds_the_maximum_and_says_what_binds() -> None:
    result = decide(load(0.9, 2.0), fits=room(2))
    assert result["figures"]["max_replicas"] == 4 and "cpu binds first." in " ".join(result["reasoning"])
    assert result["bounds"]["max_replicas"][1] == 4


def test_less_room_than_the_present_load_needs_is_a_warning() -> None:
    result = decide(load(1.8, 1.9), fits=room(1))
    assert (result["decision"], result["figures"]["max_replicas"], result["figures"]["min_replicas"]) == ("create", 3, 3)
    assert any("fewer than the present load needs (6)" in one for one in result["warnings"])


# name -> (arguments, code, words of reason and fix)
NO_ROOM: dict[str, tuple[Object, str, str]] = {
    "no node": ({"fits": room(0)}, "no_room", "cpu binds first."),
    "quota": ({"fits": room(0, what="quota")}, "no_room", "Raise the ResourceQuota"),
    "the quota alone": ({"fits": room(9, quota={"fits": 0, "sentence": "The quota is used up."})}, "no_room", "The quota is used up."),
    "the option": ({"max_replicas": 2}, "no_room", "Raise max_replicas"),
    "the money": ({"max_cost_month": 20.0, "cost": lambda count: count * 10.0}, "no_room", "max_cost_month"),
    "at max because of quota": ({"lists": with_hpa(hpa(high=2)), "fits": room(0, what="quota")}, "no_room", "quota binds first."),
}


@pytest.mark.parametrize("name", NO_ROOM)
def test_without_room_for_one_more_pod_it_is_refused(name: str) -> None:
    arguments, code, words = NO_ROOM[name]
    result = decide(**arguments)
    assert (result["decision"], result["code"], result["hpa"]) == ("refuse", code, None)
    assert words in f"{result['reason']} {result['fix']}"


def test_cost_bounds_the_maximum() -> None:
    result = decide(load(0.9, 2.0), cost=lambda count: count * 10.0, max_cost_month=45.0)
    assert result["figures"]["max_replicas"] == 4 and any("4 replicas cost at most 45" in one for one in result["reasoning"])
    with pytest.raises(BadInput, match="no price is known"):
        decide(max_cost_month=45.0)


def test_declared_nodes_and_the_loss_of_a_node_are_told() -> None:
    lost = {"node": "n1", "fits": 0, "sentence": "Without node n1 none would fit."}
    result = decide(load(0.9, 2.0), fits=room(1, declared={"fits": 3, "nodes": 1}, without_largest_node=lost, warnings=["A budget."]))
    assert result["figures"]["max_replicas"] == 5
    assert any("2 of the additional pods need nodes that are declared" in one for one in result["warnings"])
    assert "Without node n1 none would fit." in result["warnings"] and "A budget." in result["warnings"]


SURGES = [("25%", 5, True), ("25%", 50, False), (3, 5, True), (0, 2, False), ("odd", 2, False)]


@pytest.mark.parametrize(("surge", "fits", "said"), SURGES)
def test_a_rollout_at_the_maximum_has_to_fit_as_well(surge: Any, fits: int, said: bool) -> None:
    live = workload(more={"spec": {"strategy": {"rollingUpdate": {"maxSurge": surge}}}})
    warnings = decide(load(0.9, 2.0), live, fits=room(fits), max_replicas=7)["warnings"]
    assert any("maxSurge" in one for one in warnings) == said


def test_what_is_proposed_is_what_was_placed() -> None:
    asked: list[int] = []

    def place(count: int) -> Object:
        asked.append(count)
        return placement(1000, count)

    result = decide(fits=place)
    assert result["placement"]["asked"] == result["figures"]["max_replicas"] - 2 and max(asked) == 18


def test_unchecked_room_is_said() -> None:
    found = context(workload(), objects(), SERVED)
    assert any("not checked" in one for one in recommend(load(), found, STARTS, None)["warnings"])


# --- an autoscaler that is there --------------------------------------------------------------------------------------------

KEEPS: Object = {"metadata": {"annotations": {"meta.helm.sh/release-name": "shop"}}}
AVERAGE = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "90m"}}}
IN_CONTAINER = {
    "type": "ContainerResource",
    "containerResource": {"name": "cpu", "container": "app", "target": {"type": "Utilization", "averageUtilization": 60}},
}
MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 60}}}
OFF = {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}, "scaleDown": {"selectPolicy": "Min"}}}

# name -> (autoscaler, options, decision, changes)
EXISTING: dict[str, tuple[Object, Object, str, list[str]]] = {
    "right": (hpa(), {}, "keep", []),
    "right for one container": (hpa(spec={"metrics": [IN_CONTAINER]}), {}, "keep", []),
    "low maximum": (hpa(high=2), {}, "adjust", ["maxReplicas 2 -> 4"]),
    "high target": (hpa(percent=90), {}, "adjust", ["cpu at 90 % -> cpu at 63 %"]),
    "high average value": (hpa(spec={"metrics": [AVERAGE]}), {}, "adjust", ["cpu at 90m -> cpu at 63m"]),
    "both": (hpa(high=3, percent=80), {}, "adjust", ["cpu at 80 % -> cpu at 63 %", "maxReplicas 3 -> 4"]),
    "only memory": (hpa(spec={"metrics": [MEMORY]}), {}, "adjust", ["a metric that was missing: cpu at 63 %"]),
    "no scaling up": (hpa(spec=OFF), {}, "adjust", ["behavior.scaleUp.selectPolicy Disabled -> Max"]),
    "a given minimum": (hpa(), {"min_replicas": 4}, "adjust", ["minReplicas 2 -> 4"]),
    "ours": (hpa(high=2, metadata={"annotations": {"aiops.k8s/record": "0007"}}), {}, "adjust", ["maxReplicas 2 -> 4"]),
    "right and Helm's": (hpa(**KEEPS), {}, "keep", []),
    "low and Helm's": (hpa(high=2, **KEEPS), {}, "refuse", []),
    "low and Helm's, warned": (hpa(high=2, **KEEPS), {"owner_conflict": "warn"}, "adjust", ["maxReplicas 2 -> 4"]),
    "low and applied": (hpa(high=2, metadata={"managedFields": [{"manager": "kubectl-client-side-apply"}]}), {}, "adjust", ["maxReplicas 2 -> 4"]),
}


@pytest.mark.parametrize("name", EXISTING)
def test_an_existing_autoscaler_gets_the_smallest_change(name: str) -> None:
    live, options, decision, changes = EXISTING[name]
    before = json.dumps(live)
    result = decide(lists=with_hpa(live), **options)
    assert (result["decision"], result["changes"]) == (decision, changes), result["reason"]
    assert json.dumps(live) == before  # what was read is not written to
    if decision == "adjust":
        spec = {key: value for key, value in live["spec"].items() if key != "scaleTargetRef"}
        moved = {key for key, value in result["hpa"].items() if spec.get(key) != value}
        assert len(moved) == len(changes) and result["name"] == "web"


def test_a_refused_adjustment_says_where_the_change_belongs() -> None:
    result = decide(lists=with_hpa(hpa(high=2, **KEEPS)))
    assert result["code"] == "hpa_owner" and "helm upgrade" in result["reason"] and "maxReplicas 2 -> 4" in result["fix"]
    assert "the manifest that is applied, as well" in " ".join(decide(lists=with_hpa(EXISTING["low and applied"][0]))["warnings"])


def test_an_autoscaler_that_is_on_its_way_is_left_alone() -> None:
    result = decide(lists=with_hpa(hpa(status={"currentReplicas": 2, "desiredReplicas": 3})))
    assert result["decision"] == "keep" and any("from 2 to 3" in one for one in result["warnings"])


# --- refusals ---------------------------------------------------------------------------------------------------------------

SCALED = named("web-load", {"scaleTargetRef": {"name": "web"}})
VPA = named("web-vpa", {"targetRef": TARGET})
MEMORY_VPA = named("web-vpa", {"targetRef": TARGET, "resourcePolicy": {"containerPolicies": [{"controlledResources": ["memory"]}]}})
NO_REQUESTS = {**objects(pod(1, spec={"containers": [{"name": "app"}]}))}

# name -> (arguments, decision, code, whether figures are there all the same, words)
VERDICTS: dict[str, tuple[Object, str, str, bool, str]] = {
    "not sustained": ({"judged": load(verdict="not_sustained", reason="Only 50 %.")}, "keep", "", False, "Only 50 %."),
    "not sustained, with autoscaler": ({"judged": load(verdict="not_sustained"), "lists": with_hpa(hpa())}, "keep", "", False, "stays as it is"),
    "not enough data": ({"judged": load(verdict="not_enough_data", reason="Only 60 s are known.")}, "refuse", "not_enough_data", False, "60 s"),
    "no requests by the verdict": ({"judged": load(verdict="no_requests")}, "refuse", "no_requests", False, "resources.requests.cpu"),
    "no requests on a container": ({"lists": NO_REQUESTS}, "refuse", "no_requests", False, "container app"),
    "zero": ({"live": workload(replicas=0)}, "refuse", "zero", False, "zero replicas"),
    "zero and not sustained": ({"live": workload(replicas=0), "judged": load(verdict="not_sustained")}, "refuse", "zero", False, "zero replicas"),
    "KEDA": ({"lists": objects(scaledobjects=[SCALED])}, "refuse", "keda", True, "spec.maxReplicaCount"),
    "VPA on CPU": ({"lists": objects(verticalpodautoscalers=[VPA])}, "refuse", "vpa", True, "updateMode: Off"),
    "VPA on memory": ({"lists": objects(verticalpodautoscalers=[MEMORY_VPA])}, "create", "", True, ""),
    "Argo CD sets replicas": ({"live": workload(more=written_by("argocd-controller"))}, "refuse", "replicas_conflict", True, "ignoreDifferences"),
    "the same, warned": ({"live": workload(more=written_by("argocd-controller")), "owner_conflict": "warn"}, "create", "", True, ""),
    "the same, with autoscaler": (
        {"live": workload(more=written_by("argocd-controller")), "lists": with_hpa(hpa())},
        "keep",
        "",
        True,
        "right as it is",
    ),
    "Helm sets replicas": ({"live": workload(more=written_by("helm"))}, "create", "", True, ""),
    "no utilisation": ({"judged": load(utilisation={})}, "refuse", "not_enough_data", False, "not known"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_what_decides_before_the_figures(name: str) -> None:
    arguments, decision, code, figures, words = VERDICTS[name]
    result = decide(**arguments)
    assert (result["decision"], result["code"], bool(result["figures"])) == (decision, code, figures), result["reason"]
    assert words in f"{result['reason']} {result['fix']}" and (result["hpa"] is None) == (decision != "create")


def test_a_refusal_for_another_owner_still_says_what_it_should_be() -> None:
    assert decide(lists=objects(scaledobjects=[SCALED]))["reasoning"][-1] == "It would have to be set to: 3 to 4 replicas at a target of 63 %."


def test_warnings_of_the_context_are_passed_on() -> None:
    said = " ".join(decide(live=workload(more=written_by("helm")))["warnings"])
    assert "sets spec.replicas of deployment/web" in said and "autoscaling.enabled" in said


def test_memory_and_custom_figures() -> None:
    memory = decide(load(resource="memory"))
    assert memory["hpa"]["metrics"][0]["resource"]["name"] == "memory" and any("runs to its maximum" in one for one in memory["warnings"])
    custom = decide(load(resource="custom"))
    assert custom["hpa"]["metrics"] == [cpu_metric(63)] and any("not the custom figure" in one for one in custom["warnings"])
    given = {"custom_metric": "queue", "custom_target": "30"}
    found = context(workload(), objects(), {*SERVED, "custom.metrics.k8s.io"})
    served = recommend(load(resource="custom"), found, STARTS, room(1000), given)
    assert served["hpa"]["metrics"] == [
        {"type": "Pods", "pods": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "30"}}}
    ]
    again = context(workload(), with_hpa(hpa(spec={"metrics": served["hpa"]["metrics"]})), {*SERVED, "custom.metrics.k8s.io"})
    assert recommend(load(resource="custom"), again, STARTS, room(1000), given)["decision"] == "keep"


BAD: list[tuple[Object, str]] = [
    ({"headrom": 1}, "headrom is no option"),
    ({"headroom": -1}, "headroom is -1"),
    ({"headroom": float("nan")}, "headroom is nan"),
    ({"min_replicas": 0}, "min_replicas is 0"),
    ({"max_replicas": True}, "max_replicas is True"),
    ({"max_replicas": "5\x1b[2J"}, "max_replicas is '5"),
    ({"min_replicas": 5, "max_replicas": 4}, "is above max_replicas"),
    ({"target_percent": 0}, "target_percent is 0"),
    ({"owner_conflict": "ignore"}, "owner_conflict is 'ignore'"),
    ({"max_cost_month": float("inf")}, "max_cost_month is inf"),
    ({"custom_metric": "queue"}, "belong together"),
]


@pytest.mark.parametrize(("options", "words"), BAD, ids=[words for _options, words in BAD])
def test_an_option_that_makes_no_sense_is_named(options: Object, words: str) -> None:
    with pytest.raises(BadInput) as raised:
        decide(**options)
    assert words in str(raised.value) and raised.value.fix and str(raised.value).isprintable()


# --- engines ----------------------------------------------------------------------------------------------------------------


def test_an_engine_gets_our_figures_and_bounds() -> None:
    asked = figures_for_engines(decide())
    assert asked["max_replicas"] == {"what": "the largest number of replicas (maxReplicas)", "ours": 4, "low": 3, "high": 20}
    assert asked["target_percent"]["low"] == 40 and asked["target_percent"]["high"] == 63
    assert figures_for_engines(decide(load(verdict="not_sustained"))) == {}


OPINIONS: list[tuple[Object | None, str]] = [
    ({"max_replicas": 4}, "kagent agrees: maxReplicas 4."),
    ({"max_replicas": 12}, "would take maxReplicas 12 where we take 4; from 3 to 20"),
    ({"max_replicas": 99}, "facts allow 3 to 20 only"),
    ({"max_replicas": "99"}, "which is no number"),
    ({"max_replicas": float("nan")}, "which is no number"),
    ({"max_replicas": True}, "which is no number"),
    ({"other\x1b[2J": 1}, "gives no figure for maxReplicas"),
    (None, "gives no figure for maxReplicas"),
]


@pytest.mark.parametrize(("figures", "words"), OPINIONS)
def test_an_opinion_is_compared_with_ours(figures: Object | None, words: str) -> None:
    sentences = agreed(decide(), figures, "kagent")
    assert len(sentences) == 3 and words in sentences[1] and all(one.isprintable() for one in sentences)
    assert agreed(decide(load(verdict="not_sustained")), figures) == []
