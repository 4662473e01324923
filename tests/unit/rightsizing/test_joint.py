# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An autoscaler and the requests it counts by, changed together: the same load, the same number of pods."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.hpa import joint
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.hpa_target import bound, replicas

Object = dict[str, Any]
MI = 2**20


def container(name: str = "app", cpu: str = "500m", memory: str = "512Mi", **more: Any) -> Object:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"name": name, "resources": {"requests": requests}, **more}


def subject(*containers: Object) -> Object:
    spec = {"containers": list(containers) or [container()]}
    metadata = {"name": "web", "namespace": "a", "uid": "w"}
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": 4, "template": {"spec": spec}}}
    pod = {"metadata": {"name": "web-1", "namespace": "a"}, "spec": spec, "status": {}}
    return {"key": "Deployment/a/web", "workload": workload, "pods": [pod], "all_pods": [pod]}


def advice(**cpu: str) -> Object:
    """New CPU requests by container."""
    resources = {name: {"requests": {"cpu": value, "memory": "512Mi"}} for name, value in cpu.items()}
    return recommended(resources)


def recommended(resources: Object) -> Object:
    rows = [{"name": name, **{what: {"request": [0.1, 0.2]} for what in one["requests"]}} for name, one in resources.items()]
    return {"decision": "change", "containers": rows, "resources": resources}


def metric(percent: int = 60, name: str = "cpu", of: str = "") -> Object:
    kind, key = ("ContainerResource", "containerResource") if of else ("Resource", "resource")
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": kind, key: {"name": name, "target": target, **({"container": of} if of else {})}}


def hpa(*metrics: Object, name: str = "web", used: str = "", now: int = 4, **more: Any) -> Object:
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 2,
        "maxReplicas": 20,
        "metrics": list(metrics) or [metric()],
    }
    current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageValue": used}}}] if used else []
    status = {"currentReplicas": now, "currentMetrics": current}
    return {"metadata": {"name": name, "namespace": "a", **more}, "spec": spec, "status": status}


def target(answer: Object, place: int = 0) -> int:
    part = answer["spec"]["metrics"][place]
    return int((part.get("resource") or part["containerResource"])["target"]["averageUtilization"])


def test_a_lower_request_raises_the_target_afterwards() -> None:
    answer = joint(subject(), advice(app="400m"), [hpa(used="310m")], {})
    assert (answer["action"], answer["order"], target(answer)) == ("change", "after", 75)
    text = " ".join(answer["sentences"])
    assert "300m" in text and "75.00 %" in text and "4 pods before, 4 after" in text
    assert answer["spec"]["maxReplicas"] == 20 and answer["hpa"]["spec"]["metrics"] == [metric()]


def test_a_higher_request_lowers_the_target_first() -> None:
    answer = joint(subject(), advice(app="900m"), [hpa()], {})
    assert (answer["action"], answer["order"], target(answer)) == ("change", "before", 33)
    assert "-1.0 %" in " ".join(answer["sentences"])


def test_of_two_whole_percents_the_one_that_keeps_the_number_of_pods() -> None:
    # 60 % of 500m is 300m, of 349m 85.96 %: with 86 % 6 pods would do for 349m used, with 60 % of 500m there are 5 x 69 / 60 = 6
    for used in range(250, 420, 3):
        given = hpa(used=f"{used}m", now=11)
        answer = joint(subject(), advice(app="349m"), [given], {})
        before = replicas(11, used / 1000, 0.5, 60)
        options = {replicas(11, used / 1000, 0.349, percent) for percent in (85, 86)}
        assert replicas(11, used / 1000, 0.349, target(answer)) == before or before not in options


def test_the_whole_pod_counts_and_init_containers_that_stay() -> None:
    side = {**container("proxy", cpu="100m"), "restartPolicy": "Always"}
    given = subject(container(), container("log", cpu="100m"))
    for holder in (given["workload"]["spec"]["template"]["spec"], given["pods"][0]["spec"]):
        holder["initContainers"] = [side, container("setup", cpu="5")]
    answer = joint(given, advice(app="300m"), [hpa()], {})
    assert target(answer) == 84  # 60 % x 700m / 500m


def test_one_container() -> None:
    given = subject(container(), container("log", cpu="100m"))
    assert joint(given, advice(log="50m"), [hpa(metric(of="app"))], {})["action"] == "none"
    answer = joint(given, advice(app="400m", log="50m"), [hpa(metric(of="app"))], {})
    assert target(answer) == 75


def test_memory_alike() -> None:
    answer = joint(subject(), recommended({"app": {"requests": {"cpu": "500m", "memory": "448Mi"}}}), [hpa(metric(70, "memory"))], {})
    assert target(answer) == 80
    low = joint(subject(), recommended({"app": {"requests": {"cpu": "500m", "memory": "256Mi"}}}), [hpa(metric(70, "memory"))], {})
    assert low["action"] == "refuse" and low["memory_floors"] == {"app": 378 * MI} and not low["cpu_floors"]


def test_floors_make_it_possible() -> None:
    first = joint(subject(), advice(app="200m"), [hpa()], {})
    assert first["action"] == "refuse" and "must not fall below 315.8m" in first["reason"]
    assert first["cpu_floors"] == {"app": 0.316}
    again = joint(subject(), advice(app="320m"), [hpa()], {})
    assert again["action"] == "change" and target(again) <= 95


def test_floors_are_shared_by_containers_in_proportion() -> None:
    given = subject(container(), container("log", cpu="300m"), container("fixed", cpu="200m"))
    floors = joint(given, advice(app="200m", log="100m"), [hpa()], {})["cpu_floors"]
    assert floors == {"app": 0.288, "log": 0.144}
    raised = advice(app="288m", log="144m")
    assert target(joint(given, raised, [hpa()], {})) == 95


def test_a_target_beyond_the_bounds_is_not_made_worse() -> None:
    above = joint(subject(), advice(app="400m"), [hpa(metric(120))], {})
    assert above["action"] == "refuse" and above["cpu_floors"] == {"app": 0.5}
    assert joint(subject(), advice(app="600m"), [hpa(metric(120))], {})["action"] == "change"


def test_a_request_that_rises_too_far() -> None:
    answer = joint(subject(), advice(app="3500m"), [hpa()], {})
    assert answer["action"] == "refuse" and answer["ceilings"] == {"cpu": 3.0} and "AverageValue" in answer["fix"]


NOTHING = {
    "no autoscaler": [],
    "of another workload": [{**hpa(), "spec": {**hpa()["spec"], "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}}}],
    "of another namespace": [hpa(namespace="b")],
    "an amount": [hpa({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "300m"}}})],
    "pods metric": [hpa({"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}})],
    "another resource": [hpa(metric(70, "memory"))],
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_to_do(name: str) -> None:
    answer = joint(subject(), advice(app="400m"), NOTHING[name], {})
    assert (answer["action"], answer["spec"]) == ("none", None)


def test_a_change_too_small_for_a_whole_percent() -> None:
    answer = joint(subject(), advice(app="502m"), [hpa()], {})
    assert answer["action"] == "none" and "59.76 %" in answer["reason"]


def test_no_change_no_question() -> None:
    assert joint(subject(), {"decision": "keep"}, [hpa()], {})["action"] == "none"


def test_two_autoscalers() -> None:
    answer = joint(subject(), advice(app="400m"), [hpa(), hpa(name="other")], {})
    assert answer["action"] == "refuse" and "other, web" in answer["reason"]


def test_a_container_without_a_request() -> None:
    answer = joint(subject(container(), container("log", cpu="")), advice(app="400m", log="50m"), [hpa()], {})
    assert answer["action"] == "refuse" and "container log" in answer["reason"]


def test_keda() -> None:
    owner = [{"kind": "ScaledObject", "name": "web-so", "uid": "x", "controller": True}]
    answer = joint(subject(), advice(app="400m"), [hpa(ownerReferences=owner)], {"owner_conflict": "warn"})
    assert answer["action"] == "refuse" and "ScaledObject web-so" in answer["fix"] and "60 -> 75" in answer["fix"]


def test_keda_without_its_autoscaler() -> None:
    def scaled(**trigger: Any) -> Object:
        return {"metadata": {"name": "so", "namespace": "a"}, "spec": {"scaleTargetRef": {"name": "web"}, "triggers": [trigger]}}

    rows = [
        (scaled(type="cpu", metricType="Utilization", metadata={"value": "60"}), "refuse"),
        (scaled(type="cpu", metricType="AverageValue", metadata={"value": "300m"}), "none"),
        (scaled(type="kafka", metadata={}), "none"),
    ]
    for one, action in rows:
        assert joint(subject(), advice(app="400m"), [], {}, [one])["action"] == action


def test_who_else_keeps_it() -> None:
    owned = hpa(annotations={"meta.helm.sh/release-name": "shop"})
    refused = joint(subject(), advice(app="400m"), [owned], {})
    assert refused["action"] == "refuse" and "Helm release" in refused["reason"] and "owner_conflict" in refused["fix"]
    warned = joint(subject(), advice(app="400m"), [owned], {"owner_conflict": "warn"})
    assert warned["action"] == "change" and "Helm release" in warned["sentences"][-1]


def test_one_request_rises_while_the_other_falls() -> None:
    metrics = [metric(60), metric(70, "memory")]
    change = recommended({"app": {"requests": {"cpu": "400m", "memory": "640Mi"}}})
    unknown = joint(subject(), change, [hpa(*metrics)], {})
    assert unknown["action"] == "refuse" and "whichever is changed first" in unknown["reason"]
    for cpu, memory, order in (("450m", "200Mi", "after"), ("150m", "500Mi", "before")):
        given = hpa(*metrics, used=cpu)
        given["status"]["currentMetrics"].append({"type": "Resource", "resource": {"name": "memory", "current": {"averageValue": memory}}})
        answer = joint(subject(), change, [given], {})
        assert (answer["action"], answer["order"], target(answer, 0), target(answer, 1)) == ("change", order, 75, 56)


def test_the_same_load_gets_the_same_pods() -> None:
    """Random autoscalers and loads: what is asked for afterwards is what was asked for, but for the rounding that is stated."""
    draw, steady, moving = random.Random(7), 0, list[tuple[int, int]]()
    for _round in range(400):
        old, percent = draw.randrange(50, 4000), draw.randrange(30, 91)
        new = max(old * percent // 95 + 1, round(old * draw.uniform(0.5, 2.5)))
        answer = joint(subject(container(cpu=f"{old}m")), advice(app=f"{new}m"), [hpa(metric(percent))], {})
        if answer["action"] != "change":
            assert answer["action"] == "none"
            continue
        after, point = target(answer), old * percent / 100
        exact = percent * old / new
        assert abs(after - exact) <= 0.5 + 1e-9
        shift = after / exact - 1
        for _load in range(25):
            count, used = draw.randrange(1, 60), round(point * draw.choice((draw.uniform(0.9, 1.1), draw.uniform(0.05, 3)))) or 1
            ratio = used / point
            near = [abs(ratio - edge) for edge in (0.9, 1.1)]
            if min(near) < ratio * (abs(shift) + 2 / min(percent, after)):
                continue  # at the edge of its tolerance any rounding decides
            pair = replicas(count, used / 1000, old / 1000, percent), replicas(count, used / 1000, new / 1000, after)
            if 0.9 < ratio < 1.1:  # where an autoscaler comes to rest
                assert pair == (count, count)
                steady += 1
            moving.append(pair)
            assert abs(pair[0] - pair[1]) <= bound(math.ceil(count * max(1.0, ratio)), percent, after, shift)
    assert steady > 500 and len(moving) > 2000
    off = [abs(after - before) / before for before, after in moving if before >= 10]
    assert sum(off) / len(off) < 0.02


def test_in_between_nothing_is_taken_away() -> None:
    """The order of the two changes never asks for fewer pods than before, whatever the load."""
    draw = random.Random(3)
    for _round in range(300):
        old, percent = draw.randrange(100, 4000), draw.randrange(30, 91)
        new = max(old * percent // 95 + 1, round(old * draw.uniform(0.5, 2.5)))
        answer = joint(subject(container(cpu=f"{old}m")), advice(app=f"{new}m"), [hpa(metric(percent))], {})
        if answer["action"] != "change":
            continue
        count, used = draw.randrange(1, 60), draw.randrange(1, 3 * old) / 1000
        between = (new / 1000, percent) if answer["order"] == "after" else (old / 1000, target(answer))
        assert replicas(count, used, *between) >= replicas(count, used, old / 1000, percent)
