# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The scale workflow on a snapshot that was taken from a real cluster (web at 80 to 120 % of its request), as it was and with one thing changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity import workflow
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation import plan as plans, screen
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import payload

SNAPSHOT = Path(__file__).resolve().parents[1] / "fixtures" / "capacity" / "web-busy.json"
DEFAULTS_OF_OPTIONS: dict[str, Any] = {name: spec.get("default") for name, spec in workflow.SPEC.items()}
USUAL = {"namespace": "shop", "workload": "deployment/web", "window_seconds": 45}


def snapshot() -> dict[str, Any]:
    return json.loads(SNAPSHOT.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def deployment(taken: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in taken["objects"]["deployments"] if one["metadata"]["name"] == "web")


def run(directory: Path, change: Callable[[dict[str, Any]], Any] | None = None, **options: Any) -> dict[str, Any]:
    taken = snapshot()
    if change:
        change(taken)
    file = directory / "snapshot.json"
    file.write_text(json.dumps(taken), encoding="utf-8")

    def nobody() -> Any:
        raise AssertionError("a replay asks no cluster")

    return workflow.scale({**DEFAULTS_OF_OPTIONS, **USUAL, "replay": str(file), **options}, nobody, nobody)


def test_one_autoscaler_is_proposed(tmp_path: Path) -> None:
    result = run(tmp_path)
    proposal = result["proposals"][0]
    plan = proposal["plan"]
    assert [one["verdict"] for one in result["loads"]] == ["sustained"] and proposal["findings"][0]["code"] == "SustainedLoad"
    assert [change["action"] for change in plan["changes"]] == ["create"] and plan["risk"] == "medium"
    manifest = plan["changes"][0]["manifest"]
    assert manifest["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    assert 2 <= manifest["spec"]["minReplicas"] <= manifest["spec"]["maxReplicas"] <= 10
    assert plan["changes"][0]["restore"][0]["patch"][-1] == {"op": "replace", "path": "/spec/replicas", "value": 1}
    available = next(check for check in plan["checks"] if check["type"] == "available")
    assert available["load_below"] == 0.7 and available["within_seconds"] == 3600
    assert plans.validate(plans.seal(plan, DEFAULTS, {}, ""))


def test_the_same_snapshot_gives_the_same_proposal(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    for one in (first, second):
        one["proposals"][0]["plan"].pop("created")
        one.pop("timings")
    assert first == second


def test_the_approver_sees_every_figure(tmp_path: Path) -> None:
    result = run(tmp_path, prices={"currency": "EUR", "vcpu_hour": 0.03, "gib_hour": 0.004})
    document = payload(result["proposals"][0], result, [], "scale", {}, DEFAULTS)
    shown = "\n".join(text for text, _colour in screen.proposal(document, "0001", document["digest"], 100))
    for words in ("load ", "advice", "room ", "cost ", "EUR", "additional pods fit", "spec.maxReplicas", "undo ", "replicas by an autoscaler"):
        assert words in shown


def test_engines_are_asked_with_bounds_and_the_difference_is_shown(tmp_path: Path) -> None:
    result = run(tmp_path)
    question = result["questions"][0]
    assert question["id"] == "0" and set(question["figures"]) == {"min_replicas", "max_replicas", "target_percent"}
    assert all(one["low"] <= one["ours"] <= one["high"] for one in question["figures"].values())
    assert [one["id"] for one in result["capacity_questions"]] == ["0:capacity"]
    ours = question["figures"]["max_replicas"]["ours"]
    opinion = {"engine": "kagent", "question": "0", "outcome": "answered", "agrees": True, "figures": {"max_replicas": ours + 1}}
    document = payload(result["proposals"][0], result, [opinion], "scale", {}, DEFAULTS)
    assert document["opinions"][0]["differs"] == [f"kagent would choose max replicas {ours + 1}, the plan has {ours}"]


def idle(taken: dict[str, Any]) -> None:
    for points in taken["samples"]["*"]["pods"].values():
        points["app"] = [[at, 0.01] for at, _value in points["app"]]


def without_requests(taken: dict[str, Any]) -> None:
    for holder in (deployment(taken)["spec"]["template"], *taken["objects"]["pods"]):
        for container in holder["spec"]["containers"]:
            container["resources"] = {}


def kept_by(manager: str) -> Callable[[dict[str, Any]], None]:
    fields = {"f:spec": {"f:replicas": {}}}
    entry = {"manager": manager, "operation": "Apply", "time": "2026-11-21T21:00:00Z", "apiVersion": "apps/v1", "fieldsV1": fields}
    return lambda taken: deployment(taken)["metadata"].update(managedFields=[entry])


def full(taken: dict[str, Any]) -> None:
    for node in taken["objects"]["nodes"]:
        node["status"]["allocatable"]["cpu"] = "100m"


def test_a_workload_that_is_not_busy_needs_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, idle)
    assert result["proposals"] == [] and result["findings"] == []
    assert "deployment/web: " in result["nothing"][0] and "10 %" in result["nothing"][0]


@pytest.mark.parametrize(
    "change, code, says",
    [
        (without_requests, "RequestsMissing", "resources.requests.cpu"),
        (kept_by("argocd-controller"), "SustainedLoad", "sets spec.replicas of deployment/web"),
        (full, "SustainedLoad", "Not one pod more"),
        (lambda taken: deployment(taken)["spec"].update(paused=True), "SustainedLoad", "paused"),
    ],
    ids=["no requests", "replicas kept by Argo CD", "no room", "paused"],
)
def test_what_stands_against_it_is_said_and_nothing_is_planned(tmp_path: Path, change: Callable[[dict[str, Any]], Any], code: str, says: str) -> None:
    result = run(tmp_path, change)
    proposal = result["proposals"][0]
    assert proposal["plan"] is None and proposal["findings"][0]["code"] == code
    assert says in proposal["no_plan_reason"]


@pytest.mark.parametrize("manager, warn", [("helm", "refuse"), ("kubectl-client-side-apply", "refuse"), ("argocd-controller", "warn")])
def test_who_sets_the_replicas_as_well_is_warned_of(tmp_path: Path, manager: str, warn: str) -> None:
    proposal = run(tmp_path, kept_by(manager), owner_conflict=warn)["proposals"][0]
    careful = next(section for section in proposal["sections"] if section["label"] == "careful")
    assert proposal["plan"] and any("sets spec.replicas of deployment/web" in line for line in careful["lines"])


def hpa(most: int, percent: int) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "shop", "uid": "uid-hpa", "resourceVersion": "1", "managedFields": []},
        "spec": {
            "minReplicas": 1,
            "maxReplicas": most,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}}],
        },
        "status": {"currentReplicas": 1, "desiredReplicas": 1},
    }


def test_an_autoscaler_that_is_there_is_adjusted_by_a_guarded_patch(tmp_path: Path) -> None:
    result = run(tmp_path, lambda taken: taken["objects"]["horizontalpodautoscalers"].append(hpa(1, 90)))
    plan = result["proposals"][0]["plan"]
    change = plan["changes"][0]
    assert change["action"] == "patch" and change["object"]["uid"] == "uid-hpa" and change["patch"][0]["path"] == "/metadata/uid"
    assert {line["path"] for line in change["outcome"]} >= {"spec.maxReplicas"}
    assert all(check["object"]["kind"] == "HorizontalPodAutoscaler" for check in plan["checks"])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"workload": "web"}, "workload is 'web'. Give it as kind/name"),
    ({"workload": "daemonset/web"}, "a daemonset cannot be scaled by this workflow"),
    ({"workload": "deployment/nobody"}, "There is no Deployment nobody in namespace shop. Check the options workload and namespace."),
    ({"namespace": "Shop!"}, "namespace is 'Shop!', which cannot be the name of one."),
    ({"window_seconds": 5}, "window_seconds is 5. Give a whole number from 20"),
    ({"threshold_percent": 0}, "threshold_percent is 0. Give a whole number from 1"),
    ({"hold_seconds": -1}, "hold_seconds is -1."),
    ({"error_percent": 0.0}, "error_percent is 0."),
    ({"resource": "custom"}, "prometheus_query or prometheus_target is missing"),
    ({"prometheus_query": "up"}, "prometheus_query is given, and resource is not custom."),
    ({"error_query": "up", "source": "metrics"}, "error_query needs Prometheus, and source is metrics."),
    ({"min_replicas": 5, "max_replicas": 2}, "min_replicas (5) is above max_replicas (2)."),
    ({"headroom": -1.0}, "headroom is -1"),
    ({"prices": {"vcpu_hour": 1, "gib_hour": 1}}, "prices.currency"),
    ({"prices": {"euro": 1}}, "prices has no euro."),
    ({"declared_nodes": [{"count": 1}]}, "declared_nodes"),
    ({"snapshot_file": "/nowhere/at/all.json"}, "snapshot_file /nowhere/at/all.json cannot be written"),
    ({"replay": "/nowhere.json"}, "The snapshot /nowhere.json cannot be read"),
]


@pytest.mark.parametrize("options, says", WRONG, ids=[" ".join(map(str, one[0])) + f" {number}" for number, one in enumerate(WRONG)])
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(AiopsError) as caught:
        run(tmp_path, **options)
    assert says in str(caught.value)
