# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The rightsize workflow on a snapshot that was taken from a real cluster, with a week of usage that is made for the test."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation import plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import payload
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import workflow

SNAPSHOT = Path(__file__).resolve().parents[1] / "fixtures" / "capacity" / "web-busy.json"
DEFAULTS_OF_OPTIONS: dict[str, Any] = {name: spec.get("default") for name, spec in workflow.SPEC.items()}
DAY, STEP, MIB = 86400.0, 300.0, 2**20
Edit = Callable[[dict[str, Any]], Any]


def day(at: float) -> float:
    return 0.5 - 0.5 * math.cos(2 * math.pi * at / DAY)


def stats(values: list[float], begin: float, end: float) -> dict[str, Any]:
    ranked = sorted(values)
    found = {f"p{percent}": ranked[math.ceil(percent / 100 * len(ranked)) - 1] for percent in (50, 95, 99)}
    return {**found, "max": ranked[-1], "samples": len(values), "coverage": 1.0, "from": begin, "to": end}


def usage(pod: str, key: str, end: float, days: float = 7.5, cores: float = 0.1, size: float = 30.0) -> dict[str, Any]:
    """A history of one pod of one workload whose container has the workload's name."""
    begin = end - days * DAY  # within the eight days that are read, so that the start of the pod was seen
    moments = [begin + number * STEP for number in range(int(days * DAY / STEP) + 1)]
    cpu, memory = [0.05 + cores * day(at) for at in moments], [(85 + size * day(at)) * MIB for at in moments]
    grids = {name: {"begin": begin, "step": STEP, "values": values} for name, values in (("cpu_series", cpu), ("memory_series", memory))}
    one = {"cpu": stats(cpu, begin, end), "memory": stats(memory, begin, end), **grids, "throttled": None}
    mine = {
        "containers": {key.rpartition("/")[2]: {pod: one}},
        "first_seen": begin,
        "restarts": [],
        "ooms": [],
        "rollouts": [],
        "pods_seen": 1,
        "notes": [],
    }
    return {
        "source": "Prometheus http://prometheus, step 300 s",
        "from": end - 8 * DAY,
        "to": end,
        "step_seconds": STEP,
        "sample_seconds": 60.0,
        "notes": [],
        "not_evaluated": [],
        "queries": [],
        "workloads": {key: mine},
    }


def snapshot() -> dict[str, Any]:
    taken: dict[str, Any] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    taken["objects"].update(controllerrevisions=[], daemonsets=[])
    web = deployment(taken)
    pod = next(one for one in taken["objects"]["pods"] if one["metadata"]["name"].startswith("web-"))
    resources = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}}
    set_of = next(one for one in taken["objects"]["replicasets"] if one["metadata"]["name"].startswith("web-"))
    for spec in (web["spec"]["template"]["spec"], set_of["spec"]["template"]["spec"], pod["spec"]):
        spec["containers"][0].update(name="web", resources=resources)
    pod["status"]["containerStatuses"][0]["name"] = "web"
    taken["usage"] = usage(pod["metadata"]["name"], f"Deployment/{web['metadata']['namespace']}/web", taken["now"])
    return taken


def deployment(taken: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in taken["objects"]["deployments"] if one["metadata"]["name"] == "web")


def run(directory: Path, change: Edit | None = None, **options: Any) -> dict[str, Any]:
    taken = snapshot()
    if change:
        change(taken)
    file = directory / "snapshot.json"
    file.write_text(json.dumps(taken), encoding="utf-8")

    def nobody() -> Any:
        raise AssertionError("a replay asks no cluster")

    return workflow.rightsize({**DEFAULTS_OF_OPTIONS, "namespace": "shop", "replay": str(file), **options}, nobody, nobody)


def test_a_smaller_size_is_proposed(tmp_path: Path) -> None:
    result = run(tmp_path, workload="deployment/web")
    [proposal] = result["proposals"]
    plan = proposal["plan"]
    assert proposal["findings"][0]["code"] == "OverProvisioned" and result["list"][0]["decision"] == "change"
    assert [change["action"] for change in plan["changes"]] == ["patch"] and plan["risk"] == "medium" and plan["workflow"] == "rightsize"
    after = {line["path"].rpartition("resources.")[2]: line["after"] for line in plan["changes"][0]["outcome"]}
    assert after == {"requests.cpu": "195m", "requests.memory": "150Mi", "limits.memory": "150Mi"}
    assert next(check for check in plan["checks"] if check["type"] == "available")["within_seconds"] == 300
    assert next(check for check in plan["checks"] if check["type"] == "watch")["usage"]["web"]["memory"] == 150 * MIB
    assert plans.validate(plans.seal(plan, DEFAULTS, {}, ""))


def test_the_approver_sees_every_figure(tmp_path: Path) -> None:
    result = run(tmp_path, workload="deployment/web", prices={"currency": "EUR", "vcpu_hour": 0.03, "gib_hour": 0.004})
    document = payload(result["proposals"][0], result, [], "command", {}, DEFAULTS)
    sections = {one["title"]: " ".join(one["lines"]) for one in document["sections"]}
    assert {"Usage", "Recommendation", "Backtest", "Savings (estimate)", "Capacity"} <= set(sections)
    assert "p95 149.5m x 1.3 = 194.3m, rounded up to 195m" in sections["Recommendation"]
    assert "EUR" in sections["Savings (estimate)"] and "p95" in sections["Usage"]


def test_an_engine_is_asked_with_bounds_and_the_difference_is_shown(tmp_path: Path) -> None:
    result = run(tmp_path)
    [question] = result["questions"]
    figures = question["figures"]
    assert figures["web_cpu_request_millicores"]["ours"] == 195 and all(one["low"] <= one["ours"] <= one["high"] for one in figures.values())
    opinion = {"id": "0", "engine": "kagent", "outcome": "disagrees", "figures": {"web_cpu_request_millicores": 300}}
    document = payload(result["proposals"][0], result, [opinion], "command", {}, DEFAULTS)
    assert document["opinions"][0]["differs"] == ["kagent would choose web cpu request millicores 300, the plan has 195"]


def young(taken: dict[str, Any]) -> None:
    key, mine = next(iter(taken["usage"]["workloads"].items()))
    [pod] = mine["containers"]["web"]
    taken["usage"] = usage(pod, key, taken["now"], days=2)


def nothing(taken: dict[str, Any]) -> None:
    taken["usage"]["workloads"] = {}


def crashed(taken: dict[str, Any]) -> None:
    mine = next(iter(taken["usage"]["workloads"].values()))
    mine["ooms"] = [{"pod": "web-1", "container": "web", "at": taken["now"] - DAY, "limit": None}]


@pytest.mark.parametrize(
    ("change", "says"),
    [(young, "2"), (nothing, ""), (crashed, "memory"), (lambda taken: deployment(taken)["spec"].update(paused=True), "paused")],
    ids=["two days", "nothing known", "killed for memory", "paused"],
)
def test_what_cannot_be_judged_is_said_and_nothing_is_planned(tmp_path: Path, change: Edit, says: str) -> None:
    result = run(tmp_path, change, workload="deployment/web")
    assert result["proposals"] == [] and result["list"][0]["decision"] == "not_eligible" and says in result["nothing"][0], result["nothing"]


def test_an_autoscaler_on_the_same_resource_is_solved_with_it(tmp_path: Path) -> None:
    def scaled(taken: dict[str, Any]) -> None:
        web = deployment(taken)
        target = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 30}}}
        spec = {"minReplicas": 1, "maxReplicas": 5, "metrics": [target]}
        spec["scaleTargetRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        metadata = {"name": "web", "namespace": web["metadata"]["namespace"], "uid": "u-1", "resourceVersion": "7", "managedFields": []}
        taken["objects"]["horizontalpodautoscalers"] = [
            {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
        ]

    [proposal] = run(tmp_path, scaled)["proposals"]
    changed = proposal["plan"]["changes"]
    assert [one["object"]["kind"] for one in changed] == [
        "Deployment",
        "HorizontalPodAutoscaler",
    ], "first the workload: with less requested it only scales up"
    [line] = changed[1]["outcome"]
    assert (line["before"], line["after"]) == (30, 77) and line["path"].endswith("averageUtilization")


def test_in_place_where_it_can_be_done(tmp_path: Path) -> None:
    [proposal] = run(tmp_path, in_place=True)["proposals"]
    [change] = proposal["plan"]["changes"]
    assert change["action"] == "resize" and len(change["pods"]) == 1 and proposal["plan"]["summary"].endswith(", in place")
    assert next(check for check in proposal["plan"]["checks"] if check["type"] == "available")["resized"]["web"]["requests"]["cpu"] == "195m"

    def bare(taken: dict[str, Any]) -> None:
        made = [one["spec"]["template"]["spec"] for one in (deployment(taken), *taken["objects"]["replicasets"])]
        for spec in (*made, *(one["spec"] for one in taken["objects"]["pods"])):
            spec["containers"][0].pop("resources", None)

    [proposal] = run(tmp_path, bare, in_place=True)["proposals"]
    assert [change["action"] for change in proposal["plan"]["changes"]] == ["patch"]
    assert (
        "its pods are replaced, as asked for in_place cannot be done" in proposal["plan"]["notes"][-1]
        and "QoS class" in proposal["plan"]["notes"][-1]
    )


def test_the_list_goes_to_a_file_in_the_format_of_its_name(tmp_path: Path) -> None:
    for name in ("list.json", "list.csv", "list.html", "list.txt"):
        run(tmp_path, list_file=str(tmp_path / name))
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "web" in text and "195" in text
    assert json.loads((tmp_path / "list.json").read_text(encoding="utf-8"))["schema"] == "aiops.k8s/rightsize/v1"
    with (tmp_path / "list.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) >= 1


def test_a_batch_has_a_limit_and_the_others_are_listed(tmp_path: Path) -> None:
    def twins(taken: dict[str, Any]) -> None:
        text = json.dumps(
            [deployment(taken), *(one for name in ("pods", "replicasets") for one in taken["objects"][name] if '"web-' in json.dumps(one))]
        )
        key = next(iter(taken["usage"]["workloads"]))
        for twin in json.loads(text.replace("web", "api").replace('uid": "', 'uid": "twin-')):
            taken["objects"][twin["kind"].lower() + "s"].append(twin)
        mine = json.dumps(taken["usage"]["workloads"][key]).replace("web", "api")
        taken["usage"]["workloads"][key.replace("web", "api")] = json.loads(mine)

    result = run(tmp_path, twins, batch_workloads=1)
    assert len(result["proposals"]) == 1 and [one["decision"] for one in result["list"]].count("change") == 2
    assert any("comes in a later run" in sentence for sentence in result["nothing"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workload": "web"}, "workload is 'web'"),
        ({"workload": "job/web"}, "a job is not sized"),
        ({"workload": "deployment/nobody"}, "There is no Deployment nobody in namespace shop"),
        ({"history_days": 0.0}, "history_days is 0"),
        ({"stable_days": 9.0}, "stable_days is 9, more than history_days, 8"),
        ({"cpu_floor": "much"}, "cpu_floor is 'much'"),
        ({"memory_step": "0"}, "memory_step is '0', which is not above 0"),
        ({"batch_workloads": 0}, "batch_workloads is 0"),
        ({"margin_percent": -1.0}, "margin_percent is -1"),
        ({"list_file": "/nowhere/list.csv"}, "list_file /nowhere/list.csv cannot be written"),
        ({"prices": {"vcpu_hour": 1, "gib_hour": 1}}, "prices.currency"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(AiopsError, match=says.replace("(", r"\(")):
        run(tmp_path, **options)
