# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a snapshot keeps of each object: everything of what fails, what others are judged by of the rest, and each thing once."""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.slim import Events, Keeper, Pods, ReplicaSets

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def pod(name: str = "web-1", **changes: Any) -> dict[str, Any]:
    container = {
        "name": "app",
        "image": "i:1",
        "ports": [{"containerPort": 80}],
        "volumeMounts": [{"name": f"kube-api-access-{name}", "mountPath": TOKEN}],
    }
    status = {
        "name": "app",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-11-21T11:00:00Z"}},
        "lastState": {},
        "imageID": "sha256:1",
    }
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": name,
        "labels": {"app": "web"},
        "ownerReferences": [{"uid": "rs"}],
        "annotations": {"a": "b"},
    }
    made: dict[str, Any] = {
        "metadata": {**metadata, "managedFields": [{"fieldsV1": {}}]},
        "spec": {"nodeName": f"n-{name}", "containers": [container], "volumes": [{"name": f"kube-api-access-{name}", "projected": {}}]},
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "hostIP": "10.1.0.1",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "t", "lastProbeTime": None}],
            "containerStatuses": [status],
        },
    }
    made["status"]["containerStatuses"][0] |= changes.pop("container", {})
    made["status"] |= changes.pop("status", {})
    made["metadata"] |= changes
    return made


def kept(*pods: dict[str, Any]) -> list[dict[str, Any]]:
    keeper = Pods(NOW)
    for one in pods:
        keeper.add(copy.deepcopy(one))
    return keeper.items


def test_a_healthy_pod_keeps_what_others_are_judged_by() -> None:
    [one] = kept(pod())
    assert set(one["metadata"]) == {"name", "namespace", "uid", "labels", "ownerReferences"}
    assert one["spec"] == {
        "nodeName": "n-web-1",
        "containers": [{"name": "app", "image": "i:1", "ports": [{"containerPort": 80}], "volumeMounts": []}],
        "volumes": [],
    }
    assert one["status"] == {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "t"}],
        "containerStatuses": [{"name": "app", "ready": True, "restartCount": 0, "state": {"running": {"startedAt": "2026-11-21T11:00:00Z"}}}],
    }


def test_replicas_share_what_is_equal() -> None:
    one, two = kept(pod("web-1"), pod("web-2"))
    assert one["spec"]["containers"] is two["spec"]["containers"] and one["metadata"]["labels"] is two["metadata"]["labels"]
    assert one["status"]["containerStatuses"][0] is two["status"]["containerStatuses"][0]
    assert (one["spec"]["nodeName"], two["spec"]["nodeName"]) == ("n-web-1", "n-web-2")


NOT_WELL: list[tuple[str, dict[str, Any]]] = [
    ("not ready", {"container": {"ready": False}}),
    ("restarted lately", {"container": {"restartCount": 1, "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-11-21T11:30:00Z"}}}}),
    ("ended at an unknown time", {"container": {"lastState": {"terminated": {"exitCode": 1, "finishedAt": None}}}}),
    ("pending", {"status": {"phase": "Pending"}}),
    ("failed", {"status": {"phase": "Failed"}}),
    ("a condition is not met", {"status": {"conditions": [{"type": "gate", "status": "False"}]}}),
    ("being deleted", {"deletionTimestamp": "2026-11-21T11:59:00Z"}),
]


@pytest.mark.parametrize("changes", [changes for _name, changes in NOT_WELL], ids=[name for name, _changes in NOT_WELL])
def test_a_pod_that_is_not_well_is_kept_whole(changes: dict[str, Any]) -> None:
    [one] = kept(pod(**copy.deepcopy(changes)))
    assert one["metadata"]["annotations"] == {"a": "b"} and one["status"] == pod(**changes)["status"]
    assert "managedFields" not in one["metadata"]


@pytest.mark.parametrize(
    "changes",
    [
        {"container": {"restartCount": 9, "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-11-20T11:30:00Z"}}}},
        {"status": {"phase": "Succeeded"}, "container": {"ready": False, "state": {"terminated": {"exitCode": 0}}}},
    ],
)
def test_restarts_long_ago_and_pods_that_are_done_are_well(changes: dict[str, Any]) -> None:
    [one] = kept(pod(**changes))
    assert "annotations" not in one["metadata"] and one["status"]["containerStatuses"][0]["restartCount"] == changes["container"].get(
        "restartCount", 0
    )


def replicaset(revision: int, replicas: int = 0, owner: str = "web") -> dict[str, Any]:
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    metadata = {"name": f"{owner}-{revision}", "uid": f"{owner}-{revision}", "ownerReferences": [{"uid": owner}], "annotations": annotations}
    return {
        "metadata": metadata,
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"image": str(revision)}], "volumes": [{"name": "v"}]}}},
    }


def test_old_revisions_without_pods_are_left_out() -> None:
    keeper = ReplicaSets()
    for revision, replicas in ((2, 0), (10, 0), (1, 3), (9, 0), (8, 0), (3, 0)):
        keeper.add(replicaset(revision, replicas))
    keeper.add(replicaset(1, owner="db"))
    assert [one["metadata"]["name"] for one in keeper.items] == ["web-10", "web-1", "web-9", "web-8", "db-1"]
    templates = [one["spec"]["template"]["spec"] for one in keeper.items]
    assert templates[0]["volumes"] is templates[1]["volumes"] and [one["containers"][0]["image"] for one in templates[:2]] == ["10", "1"]


def test_other_objects_keep_all_but_their_repetitions() -> None:
    keeper = Keeper()
    fields = [{"manager": "kubectl", "time": "t", "fieldsV1": {"f:spec": {}}, "fieldsType": "FieldsV1"}]
    keeper.add(
        {
            "metadata": {"name": "web", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}, "managedFields": fields},
            "spec": {"x": 1},
        }
    )
    assert keeper.items == [
        {"metadata": {"name": "web", "annotations": {"a": "b"}, "managedFields": [{"manager": "kubectl", "time": "t"}]}, "spec": {"x": 1}}
    ]


def test_events() -> None:
    keeper = Events()
    keeper.add(
        {
            "metadata": {"name": "e", "namespace": "shop", "managedFields": [{}], "resourceVersion": "1"},
            "involvedObject": {"uid": "u", "resourceVersion": "2"},
            "count": 3,
        }
    )
    assert keeper.items == [{"metadata": {"name": "e", "namespace": "shop"}, "involvedObject": {"uid": "u"}, "count": 3}]
