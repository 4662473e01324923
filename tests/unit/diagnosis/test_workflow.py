# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From a snapshot to proposals: replay, rehearsal, refusals, and input that is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import snapshot as snapshots
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis import workflow
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, NotFound
from ansible_collections.aiops.k8s.plugins.module_utils.operation import history, plan as plans
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import payload

from tests.unit.diagnosis.objects import Object, controller, deployment, ended, event, looping, pod, replicaset, running, snapshot, spec
from tests.unit.operation.server import WEB, Server, refuse

LIMIT: dict[str, Any] = {"resources": {"limits": {"memory": "64Mi"}}}


def out_of_memory() -> list[Object]:
    top = deployment(template={"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [spec(**LIMIT)]}})
    top["metadata"]["resourceVersion"] = "5"
    below = replicaset(top)
    return [top, below, pod(looping(ended(137, "OOMKilled")), owner=below, specs=[spec(**LIMIT)]), pod(running(), name="web-2", owner=below)]


def nobody() -> Api:
    raise AssertionError("a replay needs no cluster")


def run(tmp_path: Path, taken: Any, rehearse: Api | None = None, **options: Any) -> dict[str, Any]:
    """The result for a replayed snapshot; with ``rehearse`` the proposals are rehearsed as if it had just been taken."""
    path = tmp_path / "taken.json"
    path.write_text(taken if isinstance(taken, str) else json.dumps(taken), encoding="utf-8")
    defaults = {name: option.get("default") for name, option in workflow.SPEC.items()}
    if rehearse is None:
        return workflow.diagnose({**defaults, "replay": str(path), **options}, nobody, nobody)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(snapshots, "take", lambda api, namespace, *wanted: taken)
        return workflow.diagnose({**defaults, **options}, lambda: rehearse, lambda: rehearse)


def test_a_proposal_in_full(tmp_path: Path) -> None:
    result = run(tmp_path, snapshot(*out_of_memory()))
    [proposal] = result["proposals"]
    assert proposal["title"] == "OOMKilled in deployment/web in namespace shop" and proposal["target"] == {
        "kind": "Deployment",
        "namespace": "shop",
        "name": "web",
    }
    assert proposal["remedies"] == [
        {"id": "R1", "name": "raise_memory_limit", "summary": "raise the memory limit of container app from 64Mi to 128Mi"}
    ]
    assert proposal["not_chosen"] == ["deployment/web has no earlier revision to return to"] and proposal["no_plan_reason"] == ""
    plan = plans.validate(plans.seal(proposal["plan"], DEFAULTS, {}, ""))
    assert plan["risk"] == "medium" and plan["risk_reasons"] == ["starts a rolling update of deployment web; 1 ready pod is replaced"]
    assert plan["cluster"] == {"uid": "cluster-1", "server": "https://127.0.0.1:6443"} and plan["changes"][0]["dry_run"] == "local"
    assert plan["checks"][0]["failing"] == [{"uid": "uid-pod-web-1", "reason": "OOMKilled"}] and plan["checks"][3]["hold_seconds"] == 3600
    assert result["pods_seen"] == 2 and set(result["timings"]) == {"observe", "analyse", "propose"} and len(digest(plan)) == 64
    assert {fact["id"] for fact in proposal["evidence"]} == set(proposal["findings"][0]["evidence"])


def test_the_question_for_an_engine(tmp_path: Path) -> None:
    [question] = run(tmp_path, snapshot(*out_of_memory()))["questions"]
    assert question["id"] == "0" and set(question["finding"]) == {"code", "severity", "object", "container", "title", "root_cause", "suggested_fix"}
    assert question["remedies"] == [{"id": "R1", "summary": "raise the memory limit of container app from 64Mi to 128Mi"}]


def test_options_shape_the_plan(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        snapshot(*out_of_memory()),
        memory_limit_max="96Mi",
        validate_seconds=5,
        hold_seconds=6,
        watch_seconds=7,
    )
    plan = result["proposals"][0]["plan"]
    assert plan["summary"].endswith("from 64Mi to 96Mi")
    assert [(check["within_seconds"], check["hold_seconds"]) for check in plan["checks"]] == [(5, 0), (5, 0), (5, 6), (0, 7)]


def test_findings_of_one_workload_make_one_operation_each_workload_its_own(tmp_path: Path) -> None:
    top, below, *pods = out_of_memory()
    other = controller("StatefulSet", "db")
    crash = pod(looping(ended(1)), name="web-3", owner=below, specs=[spec(**LIMIT)])
    result = run(tmp_path, snapshot(top, below, *pods, crash, other, pod(looping(ended(0)), name="db-0", owner=other)))
    assert [(one["target"]["name"], [finding["code"] for finding in one["findings"]]) for one in result["proposals"]] == [
        ("db", ["MainProcessEnds"]),
        ("web", ["AppCrash", "OOMKilled"]),
    ]
    assert [question["id"] for question in result["questions"]] == ["0", "1"] and result["proposals"][1]["plan"]["summary"].startswith("raise")


def test_nothing_wrong(tmp_path: Path) -> None:
    result = run(tmp_path, snapshot(pod(running())))
    assert (result["proposals"], result["findings"], result["questions"], result["pods_seen"]) == ([], [], [], 1)


def test_a_target(tmp_path: Path) -> None:
    assert len(run(tmp_path, snapshot(*out_of_memory()), namespace="shop", workload="deployment/web")["findings"]) == 1
    with pytest.raises(NotFound):
        run(tmp_path, snapshot(*out_of_memory()), namespace="shop", pod="nosuch")


def test_without_a_cluster_identity_nothing_is_planned(tmp_path: Path) -> None:
    taken = snapshot(*out_of_memory())
    taken["cluster"]["uid"] = ""
    proposal = run(tmp_path, taken)["proposals"][0]
    assert proposal["plan"] is None and "the cluster cannot be told from others" in proposal["no_plan_reason"]


@pytest.mark.parametrize("kind, reason", [("Job", "no change follows"), ("Pod", "no change follows")])
def test_kinds_without_a_remedy(tmp_path: Path, kind: str, reason: str) -> None:
    top = controller("Job", "import", replicas=None) if kind == "Job" else None
    items = [*([top] if top else []), pod(looping(ended(1)), owner=top)]
    proposal = run(tmp_path, snapshot(*items))["proposals"][0]
    assert proposal["plan"] is None and proposal["no_plan_reason"].startswith(reason) and proposal["not_chosen"] == []


def test_pods_that_were_never_created_have_no_failing_pods_to_check(tmp_path: Path) -> None:
    top = deployment(template={"metadata": {"labels": {}}, "spec": {"containers": [spec(image="a:2")]}})
    sets = [replicaset(top, number, template={"metadata": {"labels": {}}, "spec": {"containers": [spec(image=f"a:{number}")]}}) for number in (1, 2)]
    sets[1]["status"]["replicas"] = 0
    taken = snapshot(top, *sets, event(sets[1], "FailedCreate", "exceeded quota: q"))
    plan = run(tmp_path, taken)["proposals"][0]["plan"]
    assert plan["summary"] == "return deployment/web to the template of revision 1" and plan["checks"][0]["failing"] == []


@pytest.fixture
def server() -> Server:
    running_server = Server()
    running_server.put(WEB, out_of_memory()[0])
    return running_server


def test_a_plan_is_rehearsed(tmp_path: Path, server: Server) -> None:
    plan = run(tmp_path, snapshot(*out_of_memory()), server)["proposals"][0]["plan"]
    assert plan["changes"][0]["dry_run"] == "server" and server.rehearsed == [f"PATCH {WEB}"] and server.log == []


def test_a_plan_that_may_not_be_carried_out_is_not_proposed(tmp_path: Path, server: Server) -> None:
    server.allowed = False
    proposal = run(tmp_path, snapshot(*out_of_memory()), server)["proposals"][0]
    assert (
        proposal["plan"] is None and "the executor may not do it: deployer may not patch deployments in namespace shop" in proposal["no_plan_reason"]
    )


@pytest.mark.parametrize("status", [403, 422, 500])
def test_a_plan_that_the_server_refuses_is_not_proposed(tmp_path: Path, server: Server, status: int) -> None:
    server.faults.append(refuse(status, "PATCH dry"))
    proposal = run(tmp_path, snapshot(*out_of_memory()), server)["proposals"][0]
    assert proposal["plan"] is None
    assert (
        "the API server would not accept to raise the memory limit of container app from 64Mi to 128Mi: the message of the server" in proposal[
            "no_plan_reason"
        ]
    )


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("no quantity", {"memory_limit_max": "lots"}, "memory_limit_max is 'lots': "),
    ("nothing", {"memory_limit_max": ""}, "memory_limit_max is ''"),
    ("zero", {"memory_limit_max": "0"}, "memory_limit_max is '0', which is not above 0. Give a quantity such as 8Gi."),
    ("negative", {"memory_limit_max": "-1Gi"}, "memory_limit_max is '-1Gi'"),
    ("namespace", {"namespace": "Shop!"}, "namespace is 'Shop!', which cannot be the name of one."),
    ("path", {"namespace": "../x"}, "namespace is '../x'"),
    ("seconds", {"hold_seconds": -1}, "hold_seconds is -1. Give a number of seconds, 0 or more."),
    ("workload", {"workload": "web"}, "workload is 'web'"),
    ("no file", {"replay": "/nonexistent/x.json"}, "The snapshot /nonexistent/x.json cannot be read: "),
    ("no place", {"snapshot_file": "/nonexistent/x.json"}, "snapshot_file /nonexistent/x.json cannot be written: No such file or directory."),
]


@pytest.mark.parametrize("what, options, message", BAD, ids=[row[0] for row in BAD])
def test_bad_options_are_refused_by_name(tmp_path: Path, what: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        run(tmp_path, snapshot(*out_of_memory()), **options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"schema": "aiops.k8s/snapshot/v0", "objects": {}}',
        '{"schema": "aiops.k8s/snapshot/v1"}',
        '{"schema": "aiops.k8s/snapshot/v1", "objects": {}}',
    ],
)
def test_files_that_are_no_snapshots(tmp_path: Path, content: str) -> None:
    with pytest.raises(BadInput, match="cannot be read|is not a snapshot of this version"):
        run(tmp_path, content)


def test_a_saved_snapshot_holds_no_secret_and_gives_the_same_findings(tmp_path: Path) -> None:
    items = out_of_memory()
    for one in (items[0]["spec"]["template"]["spec"]["containers"][0], items[2]["spec"]["containers"][0]):
        one["env"] = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "MODE", "value": "fast"}]
    taken = snapshot(*items, logs={"web-1": "Error: login with password=hunter2 failed"})
    saved = tmp_path / "saved.json"
    first = run(tmp_path, taken, snapshot_file=str(saved))
    assert "hunter2" not in saved.read_text(encoding="utf-8") and "fast" in saved.read_text(encoding="utf-8")
    assert run(tmp_path, saved.read_text(encoding="utf-8"))["findings"] == first["findings"]
    assert "hunter2" not in json.dumps(first)


def many(count: int) -> dict[str, Any]:
    """So many crashing workloads, one pod each."""
    items: list[Object] = []
    for number in range(count):
        top = controller("StatefulSet", f"db-{number}")
        items += [top, pod(looping(ended(1)), name=f"db-{number}-0", owner=top)]
    return snapshot(*items)


@pytest.mark.parametrize("sweep, count, proposals", [("each", 3, 3), ("summary", 3, 1), ("auto", 100, 100), ("auto", 101, 1), ("each", 101, 101)])
def test_a_record_for_each_or_one_for_all(tmp_path: Path, sweep: str, count: int, proposals: int) -> None:
    result = run(tmp_path, many(count), sweep=sweep)
    assert len(result["proposals"]) == proposals and len(result["findings"]) == count


def test_a_summary_ranks_and_says_how_to_go_on(tmp_path: Path) -> None:
    result = run(tmp_path, many(3), sweep="summary", namespace="shop")
    [proposal] = result["proposals"]
    assert proposal["title"] == "3 findings about 3 objects in namespace shop" and proposal["plan"] is None
    assert proposal["target"] == {"kind": "Namespace", "namespace": "", "name": "shop"}
    assert proposal["by_hand"][0] == "ansible-playbook aiops.k8s.diagnose -e target_namespace=shop -e workload=statefulset/db-0"
    document = payload(proposal, result, [], "ansible-playbook x", {}, DEFAULTS)
    assert document["plan"] is None and len(document["findings"]) == 3


def test_a_fix_that_failed_is_not_proposed_again(tmp_path: Path) -> None:
    first = run(tmp_path, snapshot(*out_of_memory()))
    [proposal] = first["proposals"]
    before = {
        "id": "0007", "workflow": "diagnose", "state": "rolled_back", "cluster": {"uid": first["cluster"]["uid"], "server": ""},
        "target": proposal["target"], "fingerprint": history.fingerprint(proposal["plan"]), "basis": proposal["basis"], "failed": True,
        "undoes": "", "applied": True, "digest": "x",
    }  # fmt: skip
    [again] = run(tmp_path, snapshot(*out_of_memory()), history=[before])["proposals"]
    assert again["plan"] is None and "record 0007 did that, and it rolled back" in again["no_plan_reason"]
    [elsewhere] = run(tmp_path, snapshot(*out_of_memory()), history=[{**before, "basis": "another template"}])["proposals"]
    assert elsewhere["plan"]
