# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Requests and limits from figures: each rule by a case, what has to hold by many random ones, and what the day after would have said."""

from __future__ import annotations

import copy
import itertools
import random
import re
from typing import Any

import numpy as np
import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import lasting
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import amount
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import resources, sizing
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.usage import combined

from tests.unit.rightsizing import generated
from tests.unit.rightsizing.generated import BEGIN, KINDS, MI, NAME, subject_of

Object = dict[str, Any]
LEAK = {"per_day": 4.0 * MI, "share_per_day": 0.04, "sentence": "Its memory rises evenly, by 4Mi a day."}


def figures(cpu: float | None = 0.1, memory: float | None = 100.0, **more: Any) -> Object:
    """p95 in cores and Mi; ``cpu_max`` and so on for the rest. The highest lies 10 % above p95."""
    found: Object = {}
    for name, value, unit in (("cpu", cpu, 1.0), ("memory", memory, float(MI))):
        given = {key.removeprefix(f"{name}_"): one for key, one in more.items() if key.startswith(f"{name}_")}
        scaled = {key: one * unit if one and key in ("max", "p99", "oom_limit", "start_peak") else one for key, one in given.items()}
        p95 = 0.0 if value is None else value * unit
        base: Object = {"p50": p95 * 0.8, "p95": p95, "p99": p95 * 1.05, "max": p95 * 1.1, "pods": 2, "samples": 4608, "coverage": 1.0}
        base |= {"start_seen": True, "start_peak": None, "leak": None}
        found[name] = None if value is None else {**base, **scaled}
    return found


def container(requests: Object | None = None, limits: Object | None = None, name: str = NAME, **more: Any) -> Object:
    parts = {part: value for part, value in (("requests", requests), ("limits", limits)) if value}
    return {"name": name, "image": "app:1", **({"resources": parts} if parts else {}), **more}


ASKS = {"cpu": "1", "memory": "1Gi"}
BOUNDS = {"cpu": "2", "memory": "2Gi"}


def subject(*containers: Object, live: list[Object] | None = None, **spec: Any) -> Object:
    found = subject_of(list(containers) or [container(ASKS, BOUNDS)], {"web-5d4f8c-00001": BEGIN}, spec)
    if live is not None:
        found["pods"][0]["spec"]["containers"] = live
    return found


def sized(usage: Object | None = None, of: Object | None = None, floors: dict[str, float] | None = None, **options: Any) -> Object:
    return sizing.size(of or subject(), {NAME: usage or figures()}, options, floors)


def values(found: Object, name: str = NAME) -> tuple[Any, ...]:
    """(CPU request, limit in thousandths; memory request, limit in Mi), as they will be."""
    one = next(one for one in found["containers"] if one["name"] == name)
    new = [one[resource][what][1] for resource in ("cpu", "memory") for what in ("request", "limit")]
    return tuple(None if value is None else round(value / unit, 3) for value, unit in zip(new, (1e-3, 1e-3, MI, MI)))


# p95 of 100m and 100Mi, highest 110m and 110Mi; 1 core and 1Gi asked for, 2 cores and 2Gi allowed, unless said otherwise
CASES: list[tuple[str, Object, Object, tuple[Any, ...]]] = [
    ("more than 30 % above p95", {}, {}, (135, 2000, 130 + 1, 143)),
    ("another margin", {"margin_percent": 50}, {}, (155, 2000, 151, 165)),
    ("the peak counts", {}, {"memory_max": 300}, (135, 2000, 330, 390)),
    ("another share of the peak", {"memory_peak_percent": 25}, {"memory_max": 300}, (135, 2000, 375, 390)),
    ("rounded up to steps", {"cpu_step": "100m", "memory_step": "64Mi"}, {}, (200, 2000, 192, 192)),
    ("decimal steps", {"memory_step": "10M"}, {}, (135, 2000, 134, 144)),
    ("floors", {}, {"cpu": 0.001, "memory": 3}, (10, 2000, 32, 32)),
    ("other floors", {"cpu_floor": "300m", "memory_floor": "200Mi"}, {}, (300, 2000, 200, 200)),
    ("CPU limit kept", {"cpu_limit": "keep"}, {"cpu": 1.9}, (2475, 2475, 131, 143)),
    ("CPU limit removed", {"cpu_limit": "remove"}, {}, (135, None, 131, 143)),
    ("CPU limit in proportion", {"cpu_limit": "ratio"}, {}, (135, 270, 131, 143)),
    ("memory limit kept", {"memory_limit": "keep"}, {}, (135, 2000, 131, 2048)),
    ("memory limit kept, yet too low", {"memory_limit": "keep"}, {"memory": 1900, "memory_max": 2000}, (135, 2000, 2471, 2600)),
    ("no start seen", {}, {"memory_start_seen": False}, (135, 2000, 131, 2048)),
    ("no start seen, and too low", {}, {"memory_start_seen": False, "memory": 2000}, (135, 2000, 2601, 2860)),
    ("killed", {}, {"memory_ooms": 1, "memory_oom_limit": 512}, (135, 2000, 640, 640)),
    ("killed at a limit that is not known", {}, {"memory_ooms": 1, "memory_oom_limit": None}, (135, 2000, 2560, 2560)),
    ("a leak", {}, {"memory_leak": LEAK}, (135, 2000, 1024, 2048)),
    ("no CPU figures", {}, {"cpu": None}, (1000, 2000, 131, 143)),
    ("no memory figures", {}, {"memory": None}, (135, 2000, 1024, 2048)),
    ("small differences", {}, {"cpu": 0.7, "memory": 750, "memory_max": 1450}, (1000, 2000, 1595, 2048)),
    ("small differences count", {"min_change_percent": 0}, {"cpu": 0.7, "memory": 750, "memory_max": 1450}, (915, 2000, 1595, 1885)),
    ("small, yet below what was seen", {}, {"memory": 750, "memory_max": 1024 + 10}, (135, 2000, 1138, 1345)),
]


@pytest.mark.parametrize(("options", "seen", "expected"), [one[1:] for one in CASES], ids=[one[0] for one in CASES])
def test_rules(options: Object, seen: Object, expected: tuple[Any, ...]) -> None:
    found = sized(figures(**seen), **options)
    assert values(found) == expected, found["formula"]


def test_rounding_never_lowers() -> None:
    found = sized(figures(cpu=0.1, memory=100.0), memory_step="1Mi")
    assert found["resources"][NAME] == {"requests": {"cpu": "135m", "memory": "131Mi"}, "limits": {"cpu": "2", "memory": "143Mi"}}
    assert found["decision"] == "change" and found["reason"] == "Requests of a pod: CPU 1 -> 135m (-86 %), memory 1Gi -> 131Mi (-87 %)."


def test_the_formula_has_every_number() -> None:
    said = sized()["formula"]
    assert (
        said[0] == "app, CPU request: p95 100m x 1.3 = 130m, rounded up to 135m; now 1000m (p50 80m, p99 105m, highest 110m; 2 pods, 4,608 points)."
    )
    assert said[1] == "app, CPU limit: 2 as declared (policy keep)."
    assert "p95 100Mi x 1.3 = 130Mi and the highest 110Mi x 1.1 = 121Mi, rounded up to 131Mi; now 1024Mi" in said[2]
    assert "the highest 110Mi x 1.3 = 143Mi, not below the request, rounded up to 143Mi; now 2048Mi" in said[3]


def test_a_lower_bound_of_the_autoscaler() -> None:
    found = sized(floors={NAME: 0.4321})
    assert values(found)[0] == 435 and "at least 432.1m for the autoscaler" in found["formula"][0]
    assert values(sized(figures(cpu=0.7), floors={NAME: 1.05}))[0] == 1050  # near the present one, and yet too low for it


@pytest.mark.parametrize(
    ("asks", "bounds", "expected"),
    [
        (None, None, (135, None, 131, None)),
        (ASKS, None, (135, None, 131, None)),
        ({"cpu": "1"}, {"memory": "1Gi"}, (135, None, 131, 143)),
        (None, BOUNDS, (135, 135, 143, 143)),  # limits alone are requests as well: Guaranteed
        ({"cpu": "20m"}, {"cpu": "50m"}, (135, 135, 131, None)),
    ],
)
def test_unset_requests_are_set_and_unset_limits_stay_unset(asks: Object | None, bounds: Object | None, expected: tuple[Any, ...]) -> None:
    found = sized(of=subject(container(asks, bounds)))
    assert values(found) == expected
    written = found["resources"][NAME]
    for index, (resource, part) in enumerate(itertools.product(("cpu", "memory"), ("requests", "limits"))):
        assert (resource in written.get(part, {})) is (expected[index] is not None)


def test_what_a_limitrange_supplies_counts_and_is_not_written() -> None:
    live = [container({"cpu": "500m", "memory": "256Mi"}, {"cpu": "1", "memory": "512Mi"})]
    found = sized(of=subject(container(), live=live))
    assert found["containers"][0]["cpu"] == {"request": [0.5, 0.135], "limit": [1.0, 1.0]}
    assert found["resources"][NAME] == {"requests": {"cpu": "135m", "memory": "131Mi"}}
    tight = sized(figures(cpu=1.0, memory=600), of=subject(container(), live=live))
    assert tight["resources"][NAME]["limits"] == {"cpu": "1305m", "memory": "858Mi"}


def test_qos_classes() -> None:
    equal = {"cpu": "1", "memory": "1Gi"}
    kept = sized(figures(cpu_max=0.25), of=subject(container(equal, equal)))
    assert kept["qos"] == ["Guaranteed"] * 2 and values(kept) == (250, 250, 143, 143)
    assert "because the limit is the same" in kept["formula"][0]
    removed = sized(of=subject(container(equal, equal)), cpu_limit="remove")
    assert removed["qos"] == ["Guaranteed", "Burstable"] and values(removed) == (135, None, 131, 143)
    assert any("from Guaranteed to Burstable" in one for one in removed["warnings"])
    grown = sized(of=subject(container()))
    assert grown["qos"] == ["BestEffort", "Burstable"] and any("BestEffort to Burstable" in one for one in grown["warnings"])
    assert sized(of=subject(container(equal, equal)), memory_limit="keep")["containers"][0]["memory"] == {
        "request": [2.0**30] * 2,
        "limit": [2.0**30] * 2,
    }


def test_declared_amounts_keep_their_texts_and_count_exactly() -> None:
    found = sized(figures(memory_leak=LEAK), of=subject(container(None, {"cpu": "1", "memory": "1G"})))
    assert found["qos"] == ["Guaranteed"] * 2 and found["containers"][0]["memory"]["request"] == [1e9, 1e9]
    assert found["resources"][NAME] == {"requests": {"cpu": "135m"}, "limits": {"cpu": "135m", "memory": "1G"}}
    odd = sized(figures(memory=770, memory_max=860), of=subject(container({"cpu": "135m"}, {"cpu": "2", "memory": "1G"})))
    request, limit = (odd["resources"][NAME][part]["memory"] for part in ("requests", "limits"))
    assert (request, limit) == ("1000000000", "1118Mi")  # it differs little and stays, though the limit moves away from it


def test_a_leak_alone_is_refused_and_beside_cpu_a_warning() -> None:
    leaking = figures(memory_leak=LEAK)
    found = sized(leaking)
    assert found["decision"] == "change" and found["resources"][NAME]["requests"] == {"cpu": "135m", "memory": "1Gi"}
    assert any("rises evenly" in one and "reaches its limit of 2Gi in 484 days" in one for one in found["warnings"]), found["warnings"]
    alone = sized(leaking, of=subject(container({"cpu": "135m", "memory": "1Gi"}, BOUNDS)))
    assert alone["decision"] == "refuse" and "rises evenly" in alone["reason"] and alone["fix"]


def test_nothing_to_change_and_nothing_known() -> None:
    assert sized(of=subject(container({"cpu": "135m", "memory": "131Mi"}, {"cpu": "2", "memory": "143Mi"})))["decision"] == "keep"
    found = sizing.size(subject(), {}, {})
    assert found["decision"] == "refuse" and found["resources"][NAME] == {"requests": ASKS, "limits": BOUNDS}
    assert any("no figures of CPU and memory" in one for one in found["warnings"])


def test_a_pod_that_is_sized_as_a_whole_is_refused() -> None:
    found = sized(of=subject(resources={"requests": {"cpu": "1"}}))
    assert found["decision"] == "refuse" and "pod as a whole" in found["reason"]


def test_init_containers_stay_and_sidecars_are_sized() -> None:
    spec = {"initContainers": [container({"cpu": "3", "memory": "64Mi"}, name="migrate"), container(ASKS, name="proxy", restartPolicy="Always")]}
    of = subject(container(ASKS, BOUNDS), container({"cpu": "1"}, name="quiet"), **spec)
    found = sizing.size(of, {NAME: figures(), "proxy": figures(cpu=0.02)}, {})
    assert values(found, "proxy")[0] == 30 and [one["name"] for one in found["containers"]] == [NAME, "quiet", "proxy"]
    assert any("quiet has no figures" in one for one in found["warnings"])
    assert any("Init containers need more CPU" in one and "3 for each pod" in one for one in found["warnings"]), found["warnings"]
    before = copy.deepcopy(of["workload"]["spec"]["template"]["spec"])
    after = sizing.apply(before, found["resources"])
    assert of["workload"]["spec"]["template"]["spec"] == before
    assert after["initContainers"][0] == before["initContainers"][0] and after["containers"][1] == before["containers"][1]
    assert after["initContainers"][1]["resources"] == found["resources"]["proxy"]


def test_other_resources_stay() -> None:
    more = {"nvidia.com/gpu": "1", "ephemeral-storage": "1Gi"}
    held = container({**ASKS, **more}, {**BOUNDS, **more})
    held["resources"]["claims"] = [{"name": "card"}]
    of = subject(held)
    found = sized(of=of)
    assert found["resources"][NAME]["requests"] == {"cpu": "135m", "memory": "131Mi", **more}
    after = sizing.apply(of["workload"]["spec"]["template"]["spec"], found["resources"])
    assert after["containers"][0]["resources"] == {"claims": [{"name": "card"}], **found["resources"][NAME]}


WARNINGS: list[tuple[str, Object, Object]] = [
    ("would be throttled at the new limit of 270m: highest 500m", {"cpu_limit": "ratio"}, {"cpu_max": 0.5}),
    ("CPU reached 900m (p99 105m), 6.7 times the request of 135m", {}, {"cpu_max": 0.9}),
    ("a start used 800m of CPU, more than the new limit of 270m", {"cpu_limit": "ratio"}, {"cpu_start_peak": 0.8}),
    ("throttled in 20 % of the periods", {}, {"cpu_throttled": 0.2}),
]


@pytest.mark.parametrize(("words", "options", "seen"), WARNINGS)
def test_warnings(words: str, options: Object, seen: Object) -> None:
    warnings = sized(figures(**seen), **options)["warnings"]
    assert any(words in one for one in warnings), warnings


def test_programs_that_read_their_limits() -> None:
    field = {"name": "GOMEMLIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}
    for reader in (container(ASKS, BOUNDS, env=[field]), container(ASKS, BOUNDS, args=["-XX:MaxRAMPercentage=75"])):
        assert any("reads its own memory limit" in one for one in sized(of=subject(reader))["warnings"])
    assert not any("reads its own" in one for one in sized(of=subject(container(ASKS, BOUNDS)))["warnings"])


def test_what_admission_adds_is_named() -> None:
    live = [container(ASKS, BOUNDS), container(ASKS, name="istio-proxy")]
    assert any("istio-proxy: not in the template" in one for one in sized(of=subject(live=live))["warnings"])


def test_figures_for_an_engine_lie_within_their_bounds() -> None:
    found = sized()
    assert found["figures"] == {"app_cpu_request_millicores": 135, "app_memory_request_mib": 131, "app_memory_limit_mib": 143}
    assert found["bounds"]["app_cpu_request_millicores"] == [130, 1000] and found["bounds"]["app_memory_limit_mib"] == [143, 2048]
    names = [f"2-{'long' * 14}-{number}" for number in range(12)]
    many = sizing.size(subject(*(container(ASKS, name=name) for name in names)), {name: figures() for name in names}, {})
    assert len(many["figures"]) == 20 and all(re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) for name in many["figures"])


# --- what holds in every case -----------------------------------------------------------------------------------------------


def anything(rng: random.Random) -> tuple[Object, Object, Object]:
    """(subject, usage, options), of all that there may be."""

    def quantities(scale: float) -> Object | None:
        given = {"cpu": f"{max(1, round(rng.lognormvariate(5, 1.5) * scale))}m", "memory": f"{max(1, round(rng.lognormvariate(5, 1.5) * scale))}Mi"}
        return {name: value for name, value in given.items() if rng.random() < 0.8} or None

    containers, usage = [], {}
    for name in ("app", "proxy")[: rng.randint(1, 2)]:
        asks = quantities(1.0)
        bounds = asks if rng.random() < 0.3 else quantities(50.0) if rng.random() < 0.8 else None
        bounds = {
            key: one for key, one in (bounds or {}).items() if amount(one) >= amount((asks or {}).get(key, "0"))
        }  # the API server refuses others
        containers.append(container(asks, bounds, name=name))
        cpu, memory = rng.lognormvariate(-3, 1.5), rng.lognormvariate(5, 1.5)
        more: Object = {"cpu_max": cpu * rng.uniform(1, 6), "memory_max": memory * rng.uniform(1, 3), "memory_start_seen": rng.random() < 0.7}
        more |= {"memory_ooms": 1, "memory_oom_limit": memory * rng.uniform(0.5, 2)} if rng.random() < 0.15 else {}
        usage[name] = figures(cpu if rng.random() < 0.95 else None, memory if rng.random() < 0.95 else None, **more)
    options = {
        "cpu_limit": rng.choice(["keep", "remove", "ratio"]),
        "memory_limit": rng.choice(["size", "keep"]),
        "min_change_percent": rng.choice([0, 10, 25]),
        "cpu_step": rng.choice(["1m", "5m", "50m"]),
        "memory_step": rng.choice(["1Mi", "16Mi", "10M"]),
    }
    return subject(*containers), usage, options


@pytest.mark.parametrize("seed", range(4))
def test_what_holds_always(seed: int) -> None:
    rng = random.Random(seed)
    for _number in range(100):
        of, usage, options = anything(rng)
        found = sizing.size(of, usage, options)
        spec = sizing.apply(of["workload"]["spec"]["template"]["spec"], found["resources"])
        for one, written in zip(found["containers"], lasting(spec)):
            seen = usage[one["name"]]
            for resource in ("cpu", "memory"):
                (before, request), (bound, limit) = one[resource]["request"], one[resource]["limit"]
                held = resources.held(written, None, resource)
                assert (held.request, held.limit) == (pytest.approx(request, abs=1e-6) if request is not None else None, limit)
                assert limit is None or request is None or request <= limit, one
                if seen[resource] is None:
                    assert (before, bound) == (request, limit)
                    continue
                if request != before:
                    assert request > seen[resource]["p95"] * 1.3, (one, found["formula"])
                if resource == "memory":
                    assert request >= seen["memory"]["max"] and (limit is None or limit >= seen["memory"]["max"] * 1.1)
                    killed = seen["memory"].get("oom_limit") or 0.0
                    assert request >= killed * 1.25 * (1 - 1e-6) and (limit is None or limit >= killed * 1.25 * (1 - 1e-6))
                    if limit != bound and limit is not None:
                        assert limit >= seen["memory"]["max"] * 1.3 * (1 - 1e-6)
                    if bound is not None and not seen["memory"]["start_seen"]:
                        assert limit is not None and limit >= bound
            for part in ("requests", "limits"):
                assert all(amount(text) > 0 for text in found["resources"][one["name"]].get(part, {}).values())
        if found["qos"][0] == "Guaranteed" and options["cpu_limit"] != "remove":
            assert found["qos"][1] == "Guaranteed"
        assert (found["decision"] == "change") is (spec != of["workload"]["spec"]["template"]["spec"])
        for name, value in found["figures"].items():
            low, high = found["bounds"][name]
            assert low <= value <= high
        again = sizing.size(subject(*spec["containers"]), usage, options)
        assert again["decision"] in ("keep", "refuse"), (found["resources"], again["resources"], again["formula"])


def test_the_day_after() -> None:
    """A small part of tests/bench/sizing.py: nothing that a recommendation would have killed, unless it was flagged as a leak."""
    killed, flagged = [], []
    for index in range(60):
        one = generated.case(KINDS[index % len(KINDS)], 500 + index)
        usage = combined(one.found, one.subject, generated.history())
        found = sizing.size(one.subject, usage, {})
        memory = usage[NAME]["memory"]
        assert memory is not None
        leak = memory["leak"] is not None
        flagged += [one.kind] if leak else []
        assert one.kind != "weekly" or any("such as in a batch" in said for said in found["warnings"]), found["warnings"]
        killed += [(one.kind, one.seed)] if not leak and float(np.max(one.held["memory"])) > found["containers"][0]["memory"]["limit"][1] else []
    assert not killed and set(flagged) == {"leak"} and len(flagged) >= 9
