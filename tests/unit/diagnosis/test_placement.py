# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Pods that find no node, and pods that are not created at all. The messages are those of scheduler and API server 1.34."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.diagnosis.objects import ago, codes, controller, deployment, event, excerpts, node, only, pending, replicaset, snapshot, spec

TAIL = " no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
PLACES: list[tuple[str, str, str, str]] = [
    ("cpu", "0/1 nodes are available: 1 Insufficient cpu." + TAIL, "InsufficientCPU", "1 node(s) lack cpu for its request of 900m + 2"),
    (
        "cpu, older scheduler",
        "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
        "InsufficientCPU",
        "3 node(s) lack cpu",
    ),
    ("memory", "0/1 nodes are available: 1 Insufficient memory." + TAIL, "InsufficientMemory", "1 node(s) lack memory for its request of 9Gi."),
    ("both", "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory." + TAIL, "InsufficientCPU", "lack cpu"),
    (
        "among others",
        "0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 Insufficient memory." + TAIL,
        "InsufficientMemory",
        "2 node(s) lack memory",
    ),
    ("a device", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu." + TAIL, "Unschedulable", "1 Insufficient nvidia.com/gpu."),
    (
        "taint",
        "0/2 nodes are available: 2 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }." + TAIL,
        "Unschedulable",
        "no node is without a taint",
    ),
    ("cordon", "0/2 nodes are available: 2 node(s) were unschedulable." + TAIL, "Unschedulable", "the nodes are cordoned"),
    ("selector", "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector." + TAIL, "Unschedulable", "no node has the labels"),
    (
        "anti-affinity",
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules." + TAIL,
        "Unschedulable",
        "the pod's anti-affinity excludes every node",
    ),
    (
        "spread",
        "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints." + TAIL,
        "Unschedulable",
        "topology spread constraints exclude every node",
    ),
    (
        "no claim",
        '0/1 nodes are available: persistentvolumeclaim "data" not found. not found',
        "Unschedulable",
        "a PersistentVolumeClaim of the pod is missing or not bound",
    ),
    (
        "unbound claim",
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims." + TAIL,
        "Unschedulable",
        "a PersistentVolumeClaim of the pod is missing or not bound",
    ),
    (
        "host port",
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports." + TAIL,
        "Unschedulable",
        "the host port of the pod is taken",
    ),
    ("nothing said", "", "Unschedulable", "the scheduler gave no reason."),
]
SPECS = [spec(resources={"requests": {"cpu": "900m", "memory": "9Gi"}}), spec("side", resources={"requests": {"cpu": "2"}})]


@pytest.mark.parametrize("what, message, code, cause", PLACES, ids=[row[0] for row in PLACES])
def test_why_no_node_takes_a_pod(what: str, message: str, code: str, cause: str) -> None:
    one = pending(message, specs=SPECS)
    taken = snapshot(one, event(one, "FailedScheduling", message), node(), node("node-2", "16", "64Gi"))
    finding = only(taken)
    assert finding.code == code and cause in finding.root_cause and ".." not in finding.root_cause
    assert "event FailedScheduling on pod/web-1" in excerpts(taken) and f"Unschedulable: {message}".strip() in excerpts(taken)
    assert finding.document()["runbook"] == "docs/runbooks/troubleshoot-unschedulable.md"


@pytest.mark.parametrize(
    "resource, bound",
    [("cpu", "The most that any node can give is 16 (node node-2)."), ("memory", "The most that any node can give is 64Gi (node node-2).")],
)
def test_the_largest_node_is_named(resource: str, bound: str) -> None:
    taken = snapshot(
        pending(f"0/2 nodes are available: 2 Insufficient {resource}."),
        node("node-1", "4500m", "900Mi"),
        node("node-2", "16", "64Gi"),
        node("node-3", "", ""),
    )
    assert only(taken).root_cause.endswith(bound) and f"node/node-2 status.allocatable: {resource}: " in excerpts(taken)


def test_without_nodes_and_requests() -> None:
    assert only(snapshot(pending("0/0 nodes are available: 1 Insufficient cpu."))).root_cause.endswith("for its request of 0.")


def test_a_scheduling_gate() -> None:
    finding = only(snapshot(pending("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated")))
    assert finding.code == "SchedulingGated" and finding.document()["runbook"].endswith("unschedulable.md")


def test_a_pod_that_got_its_node_meanwhile() -> None:
    one = pending("0/1 nodes are available: 1 Insufficient cpu.")
    one["spec"]["nodeName"] = "node-1"
    assert codes(snapshot(one)) == []


def refused(text: str, count: int = 1) -> list[dict[str, Any]]:
    top = deployment()
    below = replicaset(top, replicas=3)
    below["status"]["replicas"] = count
    return [top, below, event(below, "FailedCreate", f'Error creating: pods "web-1-x" is forbidden: {text}')]


REFUSALS = [
    ("quota", "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1", "a ResourceQuota of the namespace is used up"),
    (
        "quota without limits",
        "failed quota: q: must specify limits.memory for: app",
        "a ResourceQuota asks for requests or limits that the pod does not state",
    ),
    ("pod security", 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false', "the namespace's Pod Security level forbids it"),
    ("service account", 'error looking up service account shop/absent: serviceaccount "absent" not found', "its service account does not exist"),
    ("webhook", 'admission webhook "policy.example" denied the request: no', "an admission webhook refused it"),
    ("anything else", "because we say so", "the API server forbids it"),
]


@pytest.mark.parametrize("what, text, cause", REFUSALS, ids=[row[0] for row in REFUSALS])
def test_pods_that_are_not_created(what: str, text: str, cause: str) -> None:
    finding = only(snapshot(*refused(text)))
    assert finding.code == "PodsNotCreated" and f"because {cause}: " in finding.root_cause and text in finding.root_cause
    assert finding.object == {"kind": "Deployment", "namespace": "shop", "name": "web"} and finding.pods == []
    assert finding.root_cause.startswith("ReplicaSet web-1 cannot create its pods")


def test_a_statefulset_reports_for_itself() -> None:
    one = controller("StatefulSet", "db", replicas=2)
    one["status"]["replicas"] = 1
    finding = only(snapshot(one, event(one, "FailedCreate", "create Pod db-1 in StatefulSet db failed error: pods is forbidden: exceeded quota: q")))
    assert finding.object["kind"] == "StatefulSet" and "used up" in finding.root_cause


def test_all_pods_are_there_by_now() -> None:
    assert codes(snapshot(*refused("exceeded quota: q", count=3))) == []


def test_a_replicaset_that_wants_none() -> None:
    top = deployment(replicas=0)
    below = replicaset(top, replicas=0)
    assert codes(snapshot(top, below, event(below, "FailedCreate", "exceeded quota"))) == []


def test_no_event_no_finding() -> None:
    assert codes(snapshot(*refused("x")[:2])) == []


def test_the_newest_refusal_counts() -> None:
    items = refused("exceeded quota: q")
    items[2]["lastTimestamp"] = ago(500)
    newer = event(items[1], "FailedCreate", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', 5)
    assert "Pod Security level" in only(snapshot(*items, newer)).root_cause
