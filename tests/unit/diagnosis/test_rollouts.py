# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Controllers that make no progress, and those that are paused, partitioned or under way on purpose."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.rollouts import OBJECT_RULES, superseded

from tests.unit.diagnosis import objects as make
from tests.unit.diagnosis.traffic import Object, app, finding, judge, seen, service

OVER = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": 'ReplicaSet "web-1" has timed out progressing.'}


def found(*items: Object, **more: Any) -> list[Any]:
    return judge(OBJECT_RULES, seen(*items, **more))


def with_status(items: list[Object], **status: Any) -> list[Object]:
    items[0]["status"] = {**items[0]["status"], **status}
    return items


def changed(item: Object, seconds: float) -> Object:
    """When somebody changed the spec of an object last."""
    item["metadata"]["managedFields"] = [{"manager": "kubectl", "operation": "Update", "time": make.ago(seconds)}]
    return item


def test_a_rollout_over_its_deadline() -> None:
    items = with_status(app(replicas=2, ready=False), conditions=[OVER], updatedReplicas=2, availableReplicas=0)
    (one,) = found(*items)
    assert one.code == "RolloutStuck"
    for word in (
        "Deployment web",
        "ProgressDeadlineExceeded",
        "2 of 2 pods are of the new revision, 0 pods are available",
        "web-1",
        "pod web-0, web-1",
    ):
        assert word in one.root_cause


def test_a_rollout_that_cannot_create_pods_says_so() -> None:
    items = with_status(app(replicas=1)[:2], conditions=[OVER])
    items[1]["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "pods is forbidden: too many"}
    ]
    (one,) = found(*items)
    assert "too many" in one.root_cause


def test_a_deployment_that_was_paused_before_its_first_rollout() -> None:
    item = app(paused=True)[0]
    item["status"] = {}
    (one,) = found(item)
    assert "paused" in one.root_cause and "rollout resume" in one.suggested_fix


def test_a_change_that_no_controller_has_seen() -> None:
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        items = with_status(app(kind=kind), observedGeneration=1)
        (one,) = found(changed(items[0], 300), *items[1:])
        assert "generation 2" in one.root_cause and kind in one.root_cause
        assert not found(changed(items[0], 10), *items[1:])


def test_a_replicaset_that_is_short_without_a_reason() -> None:
    items = app(replicas=2)
    items[1]["status"]["replicas"] = 0
    (one,) = found(*items[:2])
    assert "ReplicaSet web-1 of Deployment web has 0 of 2 pods" in one.root_cause
    assert not found(*items[:2], make.event(items[1], "FailedCreate", "exceeded quota"))


def test_a_statefulset_or_daemonset_that_lacks_pods_without_a_reason() -> None:
    items = app("db", kind="StatefulSet", replicas=3)
    (one,) = found(*items[:2])
    assert "StatefulSet db has 1 of 3 pods" in one.root_cause
    assert not found(*items[:2], make.event(items[0], "FailedCreate", "exceeded quota"))
    items = with_status(app("agent", kind="DaemonSet"), desiredNumberScheduled=3, currentNumberScheduled=1)
    (one,) = found(*items)
    assert "1 of 3 nodes" in one.root_cause


@pytest.mark.parametrize(
    "items",
    [
        app(),
        app(replicas=0),
        app(paused=True),
        with_status(app(), conditions=[OVER], updatedReplicas=1, availableReplicas=1),
        with_status(app(ready=False), conditions=[{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}]),
        with_status(app(minReadySeconds=3600), updatedReplicas=1, availableReplicas=0),
        app("db", kind="StatefulSet", replicas=3),
        with_status(app("db", kind="StatefulSet"), updateRevision="db-2", currentRevision="db-1"),
        app("db", kind="StatefulSet", serviceName="nobody-needs-it"),
        with_status(app("agent", kind="DaemonSet"), desiredNumberScheduled=1, currentNumberScheduled=1, numberUnavailable=1),
        with_status(app("agent", kind="DaemonSet"), desiredNumberScheduled=0, currentNumberScheduled=0),
    ],
)
def test_controllers_that_are_well(items: list[Object]) -> None:
    assert not found(*items)


@pytest.mark.parametrize(
    "user",
    [
        make.spec(command=["mysql", "-h", "db-0.db-headless"]),
        make.spec(env=[{"name": "PEERS", "value": "db-0.db-headless.shop.svc:2380"}]),
        make.spec(command=["sh", "-c", "exec server --name $(hostname).x --url http://${POD_NAME}.db-headless:80"]),
    ],
)
def test_a_governing_service_that_is_missing_and_needed(user: Object) -> None:
    items = app("db", kind="StatefulSet", serviceName="db-headless")
    (one,) = found(*items, *app("api", specs=[user]), service("db-hl", {"app": "db"}, clusterIP="None"))
    assert "which deployment/api asks for" in one.root_cause
    assert one.code == "ServiceNameMissing" and one.severity == "warning"
    for word in ("serviceName db-headless", "deployment/api", "The headless Service db-hl selects its pods"):
        assert word in one.root_cause
    assert not found(*items, *app("api", specs=[user]), service("db-headless", {"app": "db"}, clusterIP="None"))
    assert not found(*items, *app("api", specs=[user]), unread=("services",))


def stateful(revision: str, **spec: Any) -> tuple[Any, Any]:
    items = app("db", {"app": "db", "controller-revision-hash": revision}, kind="StatefulSet", ready=False, **spec)
    with_status(items, updateRevision="db-2", currentRevision="db-1")
    view = seen(*items)
    return superseded(view, finding("ImageNotFound", "db", "StatefulSet", items[1:], "No such image x:1.")), items


def test_a_statefulset_that_waits_for_a_pod_of_an_earlier_revision() -> None:
    one, _items = stateful("db-1")
    assert one.code == "RolloutStuck"
    assert "Pod db-0 is of the earlier revision db-1" in one.root_cause and "No such image x:1." in one.root_cause
    assert one.suggested_fix.startswith("Delete pod db-0")
    one, _items = stateful("db-1", updateStrategy={"type": "OnDelete"})
    assert "OnDelete" in one.root_cause


@pytest.mark.parametrize("spec", [{}, {"podManagementPolicy": "Parallel"}, {"updateStrategy": {"rollingUpdate": {"partition": 1}}}])
def test_pods_that_are_of_the_template_or_kept_on_purpose(spec: dict[str, Any]) -> None:
    one, _items = stateful("db-1" if spec else "db-2", **spec)
    assert one.code == "ImageNotFound"


def test_a_governing_service_whose_name_is_a_typo() -> None:
    items = app("db", kind="StatefulSet", serviceName="db-headles")
    (one,) = found(*items, service("db-headless", {"app": "db"}, clusterIP="None"))
    assert one.code == "ServiceNameMissing" and one.details["meant"] == "db-headless" and "asks for" not in one.root_cause
    assert not found(*items, service("postgres", {"app": "db"}, clusterIP="None"))
