# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Pods that find no node: which of the scheduler's reasons decides, and what is named. The messages are those of schedulers 1.24 to 1.34."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.diagnosis.infrastructure import cause, judge, machine, plain, taint
from tests.unit.diagnosis.objects import Object, ago, deployment, event, pending, pod, replicaset, running, spec

TAIL = " no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
OLD_TAIL = " preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."
CONTROL_PLANE = taint("node-role.kubernetes.io/control-plane")


def asks(name: str = "app", **requests: str) -> Object:
    return spec(name, resources={"requests": {key.replace("_", "-"): value for key, value in requests.items()}})


def waits(message: str, *specs: Object, name: str = "web-1", owner: Object | None = None, **pod_spec: Any) -> Object:
    made = pending(f"0/9 nodes are available: {message}.{TAIL}", specs=list(specs) or None, name=name, owner=owner)
    made["spec"].update(pod_spec)
    return made


def holder(name: str, node: str, **requests: str) -> Object:
    made = pod(running(), name=name, node=node, specs=[asks(**requests)])
    return made


def elsewhere() -> Object:
    """A pod of another namespace: the snapshot holds the whole cluster."""
    made = pod(running(), name="dns", node="node-1", specs=[asks(cpu="100m")])
    made["metadata"]["namespace"] = "kube-system"
    return made


def affinity(kind: str, labels: dict[str, str], key: str = "kubernetes.io/hostname") -> Object:
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {"matchLabels": labels}, "topologyKey": key}]}}


def node_affinity(*expressions: Object) -> Object:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}}}


CASES: list[tuple[str, list[Object], str, list[str]]] = [
    (
        "cpu never fits",
        [waits("1 Insufficient cpu", asks(cpu="900m"), asks("side", cpu="8")), machine()],
        "InsufficientCPU",
        ["requests 8900m CPU (container app: 900m; container side: 8)", "more than any node can ever give", "node-1, has 4"],
    ),
    (
        "memory never fits",
        [waits("1 Insufficient memory", asks(memory="9Gi")), machine()],
        "InsufficientMemory",
        ["requests 9Gi memory", "node-1, has 8Gi"],
    ),
    (
        "the cluster is full",
        [waits("1 Insufficient cpu", asks(cpu="2")), holder("big", "node-1", cpu="3500m"), elsewhere(), machine()],
        "InsufficientCPU",
        ["would fit on an empty node", "node-1 has 400m of 4 left", "pod/big in shop (3500m)"],
    ),
    (
        "full, seen from one namespace",
        [waits("1 Insufficient cpu", asks(cpu="2")), machine()],
        "InsufficientCPU",
        ["the largest, node-1, has 4 in all"],
    ),
    (
        "an init container asks most",
        [{**(one := waits("1 Insufficient cpu", asks(cpu="1"))), "spec": {**one["spec"], "initContainers": [asks("setup", cpu="6")]}}, machine()],
        "InsufficientCPU",
        ["requests 6 CPU (container setup: 6; container app: 1)"],
    ),
    ("nodes could not be read", [waits("2 Insufficient cpu", asks(cpu="2"))], "InsufficientCPU", ["2 node(s) have less than that left"]),
    (
        "both",
        [waits("1 Insufficient cpu, 1 Insufficient memory", asks(cpu="1", memory="64Gi")), machine()],
        "InsufficientMemory",
        ["64Gi", "also lacks cpu"],
    ),
    (
        "no such device",
        [waits("1 Insufficient nvidia.com/gpu", spec(resources={"limits": {"nvidia.com/gpu": "1"}})), machine()],
        "InsufficientResource",
        ["no node offers nvidia.com/gpu at all"],
    ),
    (
        "a device by another name",
        [waits("1 Insufficient nvidia.com/gpus", asks(**{"nvidia.com/gpus": "1"})), machine(devices={"nvidia.com/gpu": "2"})],
        "InsufficientResource",
        ["they offer nvidia.com/gpu"],
    ),
    (
        "ephemeral storage",
        [waits("1 Insufficient ephemeral-storage", asks(ephemeral_storage="9000Gi")), machine()],
        "InsufficientResource",
        ["requests 9000Gi ephemeral-storage"],
    ),
    (
        "pod slots",
        [waits("1 Too many pods"), holder("a", "node-1", cpu="1"), elsewhere(), machine(pods="2")],
        "InsufficientResource",
        ["node-1 has 0 of 2 left"],
    ),
    (
        "control plane and full nodes",
        [
            waits("1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient cpu", asks(cpu="8")),
            machine("master", taints=[CONTROL_PLANE], cpu="16"),
            machine("node-1"),
            machine("node-2"),
        ],
        "InsufficientCPU",
        ["more than any node", "1 had untolerated taint"],
    ),
    (
        "the same without nodes",
        [waits("1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient cpu", asks(cpu="8"))],
        "InsufficientCPU",
        ["8 CPU"],
    ),
    (
        "a typo in a label's value",
        [
            waits("2 node(s) didn't match Pod's node affinity/selector", nodeSelector={"disktype": "sdd"}),
            machine(labels={"disktype": "ssd"}),
            machine("node-2", labels={"disktype": "hdd"}),
        ],
        "NodeSelectorMismatch",
        ["disktype=sdd", "the nodes have disktype=hdd, ssd"],
    ),
    (
        "a typo in a label's key",
        [waits("1 node(s) didn't match Pod's node affinity/selector", nodeSelector={"disk-type": "ssd"}), machine(labels={"disktype": "ssd"})],
        "NodeSelectorMismatch",
        ["no node has the label disk-type; they have disktype"],
    ),
    ("older words", [waits("1 node(s) didn't match node selector", nodeSelector={"zone": "a"}), machine()], "NodeSelectorMismatch", ["zone=a"]),
    (
        "node affinity",
        [
            waits(
                "1 node(s) didn't match Pod's node affinity/selector", affinity=node_affinity({"key": "zone", "operator": "In", "values": ["a", "b"]})
            ),
            machine(),
        ],
        "NodeSelectorMismatch",
        ["zone in (a, b)", "no node has the label zone"],
    ),
    (
        "labels on different nodes",
        [
            waits("2 node(s) didn't match Pod's node affinity/selector", nodeSelector={"a": "1", "b": "1"}),
            machine(labels={"a": "1"}),
            machine("node-2", labels={"b": "1"}),
        ],
        "NodeSelectorMismatch",
        ["no node has all of them"],
    ),
    (
        "selector beside tainted masters",
        [
            waits(
                "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 1 node(s) didn't match Pod's node affinity/selector",
                nodeSelector={"gpu": "true"},
            ),
            machine("master", taints=[CONTROL_PLANE]),
            machine(),
        ],
        "NodeSelectorMismatch",
        ["gpu=true"],
    ),
    (
        "the nodes it wants are tainted",
        [
            waits(
                "1 node(s) had untolerated taint {dedicated: gpu}, 2 node(s) didn't match Pod's node affinity/selector", nodeSelector={"gpu": "true"}
            ),
            machine("node-g", labels={"gpu": "true"}, taints=[taint("dedicated", "gpu")]),
            machine(),
        ],
        "UntoleratedTaint",
        ["dedicated=gpu:NoSchedule on node-g"],
    ),
    (
        "the nodes it wants are full",
        [
            waits("1 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector", asks(cpu="6"), nodeSelector={"gpu": "true"}),
            machine("node-g", labels={"gpu": "true"}),
            machine(cpu="16"),
        ],
        "InsufficientCPU",
        ["the largest, node-g, has 4"],
    ),
    (
        "every node is tainted",
        [
            waits("2 node(s) had untolerated taint(s)"),
            machine(taints=[taint("team", "a")]),
            machine("node-2", taints=[taint("team", "b", "NoExecute")]),
        ],
        "UntoleratedTaint",
        ["team=a:NoSchedule on node-1; team=b:NoExecute on node-2"],
    ),
    (
        "tainted because unwell",
        [waits("1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }"), machine(taints=[taint("node.kubernetes.io/not-ready")])],
        "UntoleratedTaint",
        ["not-ready"],
    ),
    ("older words for a taint", [waits("1 node(s) had taint {team: a}, that the pod didn't tolerate")], "UntoleratedTaint", ["team: a"]),
    (
        "cordoned",
        [waits("2 node(s) were unschedulable"), machine(cordoned=True), machine("node-2", cordoned=True)],
        "NodesCordoned",
        ["node-1, node-2"],
    ),
    (
        "cordoned beside a full node",
        [
            waits("1 Insufficient cpu, 1 node(s) were unschedulable", asks(cpu="2")),
            machine(cordoned=True),
            machine("node-2"),
            holder("x", "node-2", cpu="3"),
            elsewhere(),
        ],
        "NodesCordoned",
        ["node-1", "1 Insufficient cpu"],
    ),
    (
        "anti-affinity of its own replicas",
        [
            (d := deployment()),
            (r := replicaset(d)),
            waits("1 node(s) didn't match pod anti-affinity rules", owner=r, affinity=affinity("podAntiAffinity", {"app": "web"})),
            pod(running(), name="web-0", owner=r),
            machine(),
        ],
        "PodAffinityUnsatisfiable",
        ["anti-affinity (app=web per kubernetes.io/hostname)"],
    ),
    (
        "anti-affinity beside a master",
        [
            waits(
                "1 node(s) didn't match pod anti-affinity rules, 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }",
                affinity=affinity("podAntiAffinity", {"app": "web"}),
            ),
            machine(),
            machine("master", taints=[CONTROL_PLANE]),
        ],
        "PodAffinityUnsatisfiable",
        ["app=web"],
    ),
    (
        "affinity to nobody",
        [waits("1 node(s) didn't match pod affinity rules", affinity=affinity("podAffinity", {"app": "cache"})), machine()],
        "PodAffinityUnsatisfiable",
        ["app=cache", "no such pod runs"],
    ),
    (
        "spread over a label that is not there",
        [
            waits(
                "1 node(s) didn't match pod topology spread constraints (missing required label)",
                topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}],
            ),
            machine(),
        ],
        "TopologySpreadUnsatisfiable",
        ["needs the node label topology.kubernetes.io/zone"],
    ),
    (
        "spread",
        [
            waits(
                "1 node(s) didn't match pod topology spread constraints",
                topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}],
            ),
            machine(),
        ],
        "TopologySpreadUnsatisfiable",
        ["maxSkew 1 over kubernetes.io/hostname"],
    ),
    (
        "host port",
        [
            waits("1 node(s) didn't have free ports for the requested pod ports", spec(ports=[{"containerPort": 80, "hostPort": 8080}])),
            machine(),
            pod(running(), name="other", specs=[spec(ports=[{"containerPort": 1, "hostPort": 8080}])]),
        ],
        "HostPortConflict",
        ["host port 8080 is taken", "pod/other in shop (on node-1)"],
    ),
    ("no node at all", [pending("no nodes available to schedule pods")], "Unschedulable", ["the cluster has no node"]),
    ("anything else", [waits("1 cannot allocate all claims")], "Unschedulable", ["cannot allocate all claims"]),
    ("no words", [pending("")], "Unschedulable", ["gave no reason"]),
]


@pytest.mark.parametrize("what, items, code, words", CASES, ids=[row[0] for row in CASES])
def test_why_no_node_takes_a_pod(what: str, items: list[Object], code: str, words: list[str]) -> None:
    finding = cause(*items)
    assert finding.code == code and [word for word in words if word not in finding.root_cause] == [], finding.root_cause


def test_the_facts_for_remedies() -> None:
    finding = cause(waits("1 Insufficient cpu", asks(cpu="8")), machine())
    assert finding.details == {"resource": "cpu", "requested": "8", "largest": "4", "fits_empty": False}
    assert cause(waits("1 Insufficient cpu", asks(cpu="2")), machine()).details["fits_empty"] is True
    typo = waits("1 node(s) didn't match Pod's node affinity/selector", nodeSelector={"disktype": "sdd"})
    assert cause(typo, machine(labels={"disktype": "ssd"})).details["corrections"] == {"disktype": "ssd"}


def test_a_node_that_is_not_well_is_to_be_repaired() -> None:
    one = waits("2 node(s) had untolerated taint(s)")
    finding = cause(one, machine("master", taints=[CONTROL_PLANE]), machine(taints=[taint("node.kubernetes.io/unreachable", effect="NoExecute")]))
    assert (
        "not well: node-1." in finding.root_cause and "Repair the node(s) node-1" in finding.suggested_fix and finding.details["nodes"] == ["node-1"]
    )


def test_an_old_tail_says_nothing_of_this_pod() -> None:
    one = pending("0/3 nodes are available: 3 Insufficient cpu." + OLD_TAIL, specs=[asks(cpu="9")])
    assert "Preemption" not in cause(one, machine()).root_cause and "victims" not in cause(one, machine()).root_cause


def test_a_gate_is_named() -> None:
    one = pending("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated")
    one["spec"]["schedulingGates"] = [{"name": "example.com/queue"}]
    finding = cause(one)
    assert finding.code == "SchedulingGated" and "example.com/queue" in finding.root_cause


def test_a_node_that_does_not_exist() -> None:
    one = pod(node="nod-1", phase="Pending", conditions=[])
    finding = cause(one, machine())
    assert finding.code == "NodeMissing" and "nod-1" in finding.root_cause and "there is a node node-1" in finding.root_cause
    assert judge(one, machine(), unread=("nodes",)) == [] and judge(pod(phase="Pending", conditions=[]), machine()) == []


@pytest.mark.parametrize(
    "scheduler, age, found", [("volcano", 60, True), ("volcano", 20, False), ("default-scheduler", 60, False), ("default-scheduler", 600, True)]
)
def test_a_scheduler_that_says_nothing(scheduler: str, age: float, found: bool) -> None:
    one = pod(node="", phase="Pending", conditions=[])
    one["spec"]["schedulerName"], one["metadata"]["creationTimestamp"] = scheduler, ago(age)
    assert [finding.code for finding in judge(one)] == (["SchedulerMissing"] if found else [])


def test_preemption_is_the_cause() -> None:
    top = deployment()
    below = replicaset(top)
    gone = pod(name="web-1-old", owner=below)
    one = pending(f"0/1 nodes are available: 1 Insufficient cpu.{TAIL}", name="web-1-new", owner=below)
    winner = pod(running(), name="vip")
    winner["spec"].update(priority=1000, priorityClassName="high")
    winner["metadata"]["uid"] = "12345678-1234-1234-1234-123456789abc"
    said = event(gone, "Preempted", f"Preempted by pod {winner['metadata']['uid']} on node node-1")
    finding = cause(top, below, one, winner, said, machine())
    assert finding.code == "Preempted" and "Pod vip of namespace shop (priority 1000, class high)" in finding.root_cause
    said["message"] = "Preempted by shop/vip on node node-1"
    assert "Pod vip" in cause(top, below, one, winner, said, machine()).root_cause
    said["lastTimestamp"] = ago(7200)
    assert cause(top, below, one, winner, said, machine()).code == "InsufficientCPU"


def young(one: Object, **status: Any) -> Object:
    one["metadata"]["creationTimestamp"] = ago(20)
    one["status"].update(status)
    return one


def test_waits_that_end_by_themselves() -> None:
    top = deployment()
    below = replicaset(top)
    one = young(pending(f"0/1 nodes are available: 1 Insufficient cpu.{TAIL}", owner=below))
    going = pod(running(), name="web-0", owner=below, deletionTimestamp=ago(-20))
    assert judge(top, below, one, going, machine()) == []
    assert judge(young(pending("0/1 nodes are available: 1 Insufficient cpu."), nominatedNodeName="node-1"), machine()) == []
    scaled = pending("0/1 nodes are available: 1 Insufficient cpu.")
    assert judge(scaled, event(scaled, "TriggeredScaleUp", "pod triggered scale-up: 1->2"), machine()) == []
    assert judge(scaled, event(scaled, "TriggeredScaleUp", "pod triggered scale-up: 1->2", 900), machine()) != []


def test_healthy() -> None:
    placed = pending("0/1 nodes are available: 1 Insufficient cpu.")
    placed["spec"]["nodeName"] = "node-1"
    assert judge(placed, pod(running()), machine(), plain("Node", "bare", status={}), machine("m", taints=[CONTROL_PLANE])) == []


def test_what_kind_of_machine_a_node_is_cannot_be_labelled() -> None:
    amd = machine("node-1")
    amd["metadata"]["labels"] |= {"kubernetes.io/arch": "amd64"}
    found = cause(waits("1 node(s) didn't match Pod's node affinity/selector", nodeSelector={"kubernetes.io/arch": "arm64"}), amd)
    assert found.code == "NodeSelectorMismatch" and not found.details["corrections"]
    assert found.suggested_fix.endswith("or add a node that has kubernetes.io/arch=arm64.")
