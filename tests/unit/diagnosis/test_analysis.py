# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Targets, folding, severity, order, and purity."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.analysis import analyse
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import SEVERITIES
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, NotFound

from tests.unit.diagnosis.objects import (
    Object,
    ago,
    codes,
    controller,
    deployment,
    ended,
    event,
    findings,
    looping,
    only,
    pending,
    pod,
    replicaset,
    running,
    snapshot,
    spec,
)

WEB, DB, JOB = deployment("web"), controller("StatefulSet", "db"), controller("Job", "import", replicas=None)
RS1, RS2 = replicaset(WEB, 1), replicaset(WEB, 2, replicas=3)
RS2["status"]["replicas"] = 1
CRASH = looping(ended(1))


def shop() -> dict[str, Any]:
    """Two failing revisions of web, a failing db and job, and a pod of nobody's."""
    return snapshot(
        WEB,
        DB,
        JOB,
        RS1,
        RS2,
        pod(CRASH, name="web-1-a", owner=RS1),
        pod(CRASH, name="web-2-a", owner=RS2),
        pod(CRASH, name="db-0", owner=DB),
        pod(CRASH, name="import-x", owner=JOB),
        pod(CRASH, name="alone"),
        event(RS2, "FailedCreate", 'pods "x" is forbidden: exceeded quota: q'),
    )


TARGETS: list[tuple[str, str, list[tuple[str, str, int]]]] = [
    (
        "",
        "",
        [
            ("Deployment/web", "AppCrash", 2),
            ("Deployment/web", "PodsNotCreated", 0),
            ("Job/import", "AppCrash", 1),
            ("Pod/alone", "AppCrash", 1),
            ("StatefulSet/db", "AppCrash", 1),
        ],
    ),
    ("deployment/web", "", [("Deployment/web", "AppCrash", 2), ("Deployment/web", "PodsNotCreated", 0)]),
    ("deploy/web", "", [("Deployment/web", "AppCrash", 2), ("Deployment/web", "PodsNotCreated", 0)]),
    ("Deployment/web", "", [("Deployment/web", "AppCrash", 2), ("Deployment/web", "PodsNotCreated", 0)]),
    ("replicaset/web-1", "", [("Deployment/web", "AppCrash", 1), ("Deployment/web", "PodsNotCreated", 0)]),
    ("rs/web-2", "", [("Deployment/web", "AppCrash", 1), ("Deployment/web", "PodsNotCreated", 0)]),
    ("sts/db", "", [("StatefulSet/db", "AppCrash", 1)]),
    ("job/import", "", [("Job/import", "AppCrash", 1)]),
    ("", "web-2-a", [("Deployment/web", "AppCrash", 1)]),
    ("", "alone", [("Pod/alone", "AppCrash", 1)]),
]


@pytest.mark.parametrize("workload, name, expected", TARGETS, ids=[f"{row[0] or row[1] or 'everything'}" for row in TARGETS])
def test_targets(workload: str, name: str, expected: list[tuple[str, str, int]]) -> None:
    found = findings(shop(), workload, name)
    assert sorted((f"{one.object['kind']}/{one.object['name']}", one.code, len(one.pods)) for one in found) == expected


BAD_TARGETS: list[tuple[str, str, type[Exception], str]] = [
    ("web", "", BadInput, "workload is 'web'. Write it as kind/name: deployment/web, statefulset/db, daemonset/agent, replicaset/x, job/y or cronjob/z."),
    ("pod/web", "", BadInput, "workload is 'pod/web'."),
    ("po/web", "", BadInput, "workload is 'po/web'."),
    ("deployment/", "", BadInput, "workload is 'deployment/'."),
    ("/web", "", BadInput, "workload is '/web'."),
    ("cronjob/x", "", NotFound, "There is no workload cronjob/x in the namespace."),
    (
        "deployment/nosuch",
        "",
        NotFound,
        (
            "There is no workload deployment/nosuch in the namespace. Its workloads: deployment/web, job/import, replicaset/web-1, replicaset/web-2,"
            " statefulset/db. Check the option workload."
        ),
    ),
    ("statefulset/web", "", NotFound, "There is no workload statefulset/web in the namespace."),
    (
        "",
        "nosuch",
        NotFound,
        (
            "There is no pod nosuch in the namespace; it may have been replaced meanwhile. Its pods now: alone, db-0, import-x, web-1-a, web-2-a."
            " Check the option pod, or name the workload instead."
        ),
    ),
]


@pytest.mark.parametrize("workload, name, error, message", BAD_TARGETS, ids=[row[0] or row[1] for row in BAD_TARGETS])
def test_targets_that_are_not_there(workload: str, name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        analyse(shop(), workload, name)
    assert str(caught.value).startswith(message)


def test_an_empty_namespace() -> None:
    assert codes(snapshot()) == []
    with pytest.raises(NotFound, match="Its pods now: none"):
        analyse(snapshot(), "", "x")
    with pytest.raises(NotFound, match="Its workloads: none"):
        analyse(snapshot(), "job/x", "")


def test_replicas_fold_into_one_finding() -> None:
    pods = [pod(looping(ended(1, seconds=seconds)), name=f"web-{seconds}", owner=RS1) for seconds in (50, 10, 30)]
    finding = only(snapshot(WEB, RS1, *pods))
    assert [one["name"] for one in finding.pods] == ["web-50", "web-10", "web-30"] and len(set(finding.evidence)) == 3
    assert finding.details["finished"] == ago(10), "the last crash of any of them"


def test_different_causes_and_containers_do_not_fold() -> None:
    pods = [
        pod(CRASH, name="a", owner=RS1),
        pod(looping(ended(137, "OOMKilled")), name="b", owner=RS1),
        pod(looping(ended(1), name="side"), name="c", owner=RS1, specs=[spec("side")]),
        pending("0/1 nodes are available: 1 Insufficient cpu.", name="d", owner=RS1),
    ]
    found = findings(snapshot(WEB, RS1, *pods))
    assert [(one.code, one.container) for one in found] == [
        ("AppCrash", "app"),
        ("AppCrash", "side"),
        ("InsufficientCPU", ""),
        ("OOMKilledNoLimit", "app"),
    ]


def test_the_same_name_in_two_namespaces_does_not_fold() -> None:
    other = copy.deepcopy([WEB, RS1, pod(CRASH, owner=RS1)])
    for item in other:
        item["metadata"].update(namespace="test", uid=item["metadata"]["uid"] + "-test")
        for owner in item["metadata"].get("ownerReferences", []):
            owner["uid"] += "-test"
    found = findings(snapshot(WEB, RS1, pod(CRASH, owner=RS1), *other))
    assert [one.object["namespace"] for one in found] == ["shop", "test"]
    view = analyse(snapshot(WEB, RS1, *other), "", "")[0]
    assert view.object(found[1].object)["metadata"]["uid"].endswith("-test")


@pytest.mark.parametrize("ready, severity", [(0, "critical"), (1, "warning"), (2, "warning")])
def test_severity_follows_from_what_still_serves(ready: int, severity: str) -> None:
    pods = [pod(running(), name=f"ok-{number}", owner=RS1) for number in range(ready)]
    finding = only(snapshot(WEB, RS1, pod(CRASH, owner=RS1), *pods))
    assert (finding.severity, finding.details["ready_pods"]) == (severity, ready) and severity in SEVERITIES


def test_the_worst_comes_first_then_by_name() -> None:
    alive = [pod(CRASH, name="web-a", owner=RS1), pod(running(), name="web-b", owner=RS1)]
    found = findings(snapshot(WEB, RS1, *alive, pod(CRASH, name="z"), pod(looping(ended(0)), name="a")))
    assert [(one.severity, one.object["name"]) for one in found] == [("critical", "a"), ("critical", "z"), ("warning", "web")]


def test_owners_that_the_snapshot_lacks() -> None:
    rollout = deployment("web")
    rollout["kind"] = "Rollout"
    below = replicaset(rollout)
    assert only(snapshot(below, pod(CRASH, owner=below))).object == {"kind": "ReplicaSet", "namespace": "shop", "name": "web-1"}
    assert only(snapshot(pod(CRASH, owner=below))).object["kind"] == "Pod"


def unchanged(taken: dict[str, Any]) -> tuple[Any, Any]:
    _view, found, evidence = analyse(taken)
    return json.loads(json.dumps([one.document() for one in found])), evidence.facts


def test_the_same_snapshot_always_gives_the_same_findings() -> None:
    taken = shop()
    before = json.dumps(taken)
    assert unchanged(taken) == unchanged(json.loads(before)) and json.dumps(taken) == before


def test_the_order_of_objects_does_not_change_what_is_found() -> None:
    first, second = shop(), shop()
    for items in second["objects"].values():
        items.reverse()
    assert [(one["code"], one["object"]) for one in unchanged(first)[0]] == [(one["code"], one["object"]) for one in unchanged(second)[0]]


def test_every_finding_is_complete() -> None:
    for one in findings(shop()):
        document = one.document()
        assert set(document) == {
            "code",
            "severity",
            "object",
            "container",
            "title",
            "root_cause",
            "suggested_fix",
            "expected_outcome",
            "evidence",
            "pods",
            "affects",
            "since",
            "impact",
            "runbook",
        }
        assert all(document[key] for key in ("code", "severity", "title", "root_cause", "suggested_fix", "expected_outcome", "evidence", "runbook"))
        assert document["runbook"].startswith("docs/runbooks/troubleshoot-")


def named(items: list[Object]) -> list[str]:
    return [str(item["metadata"]["name"]) for item in items]


def test_the_chain_of_owners() -> None:
    view = analyse(shop())[0]
    one = next(item for item in view.objects["pods"] if item["metadata"]["name"] == "web-2-a")
    assert named(view.chain(one)) == ["web-2-a", "web-2", "web"] and named(view.pods_of(WEB)) == ["web-1-a", "web-2-a"]


def test_what_goes_with_its_namespace_is_left_alone() -> None:
    going = {"kind": "Namespace", "metadata": {"name": "shop", "uid": "shop", "deletionTimestamp": ago(20)}, "status": {"phase": "Terminating"}}
    taken = shop()
    assert findings(taken) and not findings({**taken, "objects": {**taken["objects"], "namespaces": [going]}})
