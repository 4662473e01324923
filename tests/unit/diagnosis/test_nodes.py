# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What nodes do to pods, and deletions that do not end. The messages are those of a real 1.34, and of other runtimes and plugins."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.diagnosis.infrastructure import cause, claim, judge, machine, plain, volume
from tests.unit.diagnosis.objects import Object, ago, controller, deployment, ended, event, pod, replicaset, running, spec, status, waiting

OVER_DIR = 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". '
OVER_POD = "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "
OVER_CONTAINER = 'Container app exceeded its local ephemeral storage limit "5Mi". '
LOW = (
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container app was using 300Mi, request is 0, has larger"
    " consumption of memory. "
)
LOW_DISK = "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi. "
HAD = "The node had condition: [DiskPressure]. "
TOP = deployment()
RS = replicaset(TOP)


def failed(reason: str, message: str, seconds: float = 120, name: str = "web-x", owner: Object | None = None, **more: Any) -> Object:
    last = {**status("terminated"), "state": {"terminated": ended(137, seconds=seconds)}}
    made = pod(*([last] if reason == "Evicted" else []), phase="Failed", name=name, owner=owner, conditions=[], **more)
    made["status"].update(reason=reason, message=message, startTime=ago(seconds))
    return made


def limited() -> Object:
    return spec(resources={"limits": {"ephemeral-storage": "5Mi"}}, volumeMounts=[{"name": "data", "mountPath": "/data"}])


EVICTIONS: list[tuple[str, str, str, list[str]]] = [
    ("emptyDir", OVER_DIR, "EphemeralStorageExceeded", ["sizeLimit 1Mi", "emptyDir volume data (mounted by container app)"]),
    ("the pod's limit", OVER_POD, "EphemeralStorageExceeded", ["limit of 5Mi of container app"]),
    ("the container's limit", OVER_CONTAINER, "EphemeralStorageExceeded", ["limit of 5Mi of container app"]),
    (
        "memory",
        LOW,
        "Evicted",
        ["node node-1 was low on memory (50Mi available, threshold 100Mi)", "container app was using 300Mi with a request of 0", "No controller"],
    ),
    ("disk", LOW_DISK, "Evicted", ["low on ephemeral-storage (9Gi available, threshold 10Gi)"]),
    ("old words", "The node was low on resource: memory.", "Evicted", ["low on memory"]),
    ("older words", "The node was low on resource: [DiskPressure].", "Evicted", ["[DiskPressure]"]),
    ("a condition", HAD, "Evicted", ["had the condition DiskPressure"]),
]


@pytest.mark.parametrize("what, message, code, words", EVICTIONS, ids=[row[0] for row in EVICTIONS])
def test_why_a_pod_was_evicted(what: str, message: str, code: str, words: list[str]) -> None:
    finding = cause(failed("Evicted", message, specs=[limited()]), machine())
    assert finding.code == code and [word for word in words if word not in finding.root_cause] == [], finding.root_cause


def test_a_limit_that_is_exceeded_again_and_again() -> None:
    gone = [failed("Evicted", OVER_POD, 60 * number, f"web-{number}", RS, specs=[limited()]) for number in (1, 2, 3)]
    found = judge(TOP, RS, *gone, pod(running(since=10), owner=RS))
    assert {one.code for one in found} == {"EphemeralStorageExceeded"} and "3 eviction(s) in the last hour" in found[0].root_cause
    assert found[0].severity == "" and found[0].details["leftovers"] == [one["metadata"]["uid"] for one in gone] and found[0].container == "app"


@pytest.mark.parametrize(
    "message, seconds, severity", [(LOW, 300, ["info"]), (LOW, 80000, ["info"]), (LOW, 90000, []), (OVER_POD, 7200, ["info"]), (OVER_POD, 90000, [])]
)
def test_what_a_healthy_workload_left_behind(message: str, seconds: float, severity: list[str]) -> None:
    found = judge(TOP, RS, failed("Evicted", message, seconds, owner=RS), pod(running(), owner=RS))
    assert [one.severity for one in found] == severity
    assert all(one.details["leftovers"] == ["uid-pod-web-x"] and "1 evicted pod is left" in one.title for one in found)


def test_an_eviction_whose_replacement_is_not_ready_counts() -> None:
    assert cause(TOP, RS, failed("Evicted", LOW, 300, owner=RS), pod(running(ready=False), owner=RS)).severity == ""


REJECTIONS: list[tuple[str, str, str, list[str]]] = [
    (
        "OutOfcpu",
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 100000, used: 100, capacity: 2000",
        "PodRejected",
        ["node node-1 has not enough cpu", "(100 requested, 100m in use, 2 in all)", "past the scheduler"],
    ),
    (
        "OutOfmemory",
        "Pod was rejected: Node didn't have enough resource: memory, requested: 966367641600, used: 121634816, capacity: 25224073216",
        "PodRejected",
        ["900Gi requested, 116Mi in use"],
    ),
    (
        "OutOfpods",
        "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 110, capacity: 110",
        "PodRejected",
        ["110 in use, 110 in all"],
    ),
    (
        "NodeAffinity",
        "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        "PodRejected",
        ["labels that the pod asks for (disk=ssd)"],
    ),
    (
        "UnexpectedAdmissionError",
        "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu, which is unexpected",
        "PodRejected",
        ["no healthy devices"],
    ),
    ("NodeShutdown", "Pod was rejected as the node is shutting down.", "PodRejected", ["node node-1 was shutting down"]),
    ("Terminated", "Pod was terminated in response to imminent node shutdown.", "PodRejected", ["node node-1 was shutting down"]),
    ("SysctlForbidden", 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted', "PodRejected", ["kernel.msgmax"]),
    ("Preempting", "Preempted in order to admit critical pod", "Preempted", ["a critical pod needed its place"]),
]


@pytest.mark.parametrize("reason, message, code, words", REJECTIONS, ids=[row[0] for row in REJECTIONS])
def test_why_the_kubelet_rejects_a_pod(reason: str, message: str, code: str, words: list[str]) -> None:
    one = failed(reason, message)
    one["spec"]["nodeSelector"] = {"disk": "ssd"}
    finding = cause(one, machine())
    assert finding.code == code and [word for word in words if word not in finding.root_cause] == [], finding.root_cause


def test_who_chose_the_node() -> None:
    message = "Pod was rejected: Node didn't have enough resource: cpu, requested: 500, used: 1900, capacity: 2000"
    assert "past the scheduler" not in cause(failed("OutOfcpu", message)).root_cause
    top = deployment("pinned", template={"metadata": {}, "spec": {"nodeName": "node-1", "containers": [spec()]}})
    below = replicaset(top, template=top["spec"]["template"])
    assert "past the scheduler" in cause(top, below, failed("OutOfcpu", message, owner=below)).root_cause


def test_a_rejection_that_was_made_good() -> None:
    one = failed("NodeShutdown", "Pod was rejected as the node is shutting down.", owner=RS)
    assert cause(TOP, RS, one, pod(running(), owner=RS)).severity == "info"
    assert cause(TOP, RS, one).severity == ""


KATA = 'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "kata" is configured'
NETWORK = 'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "abc": '
SANDBOXES: list[tuple[str, str, list[str]]] = [
    ("runtime", KATA, ["no handler kata (RuntimeClass secure)"]),
    (
        "addresses",
        NETWORK
        + 'plugin type="host-local" failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.42.0.1-10.42.0.254',
        ["no IP address is left for pods on node node-1"],
    ),
    (
        "addresses on AWS",
        NETWORK + 'plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP address to container',
        ["no IP address is left"],
    ),
    ("no plugin", NETWORK + 'failed to find plugin "calico" in path [/opt/cni/bin]', ["not installed or not ready", "calico"]),
    (
        "flannel",
        NETWORK + 'plugin type="flannel" failed (add): loadFlannelSubnetEnv failed: open /run/flannel/subnet.env: no such file or directory',
        ["not installed or not ready"],
    ),
    (
        "calico",
        NETWORK + 'plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized',
        ["cannot set up the pod's network", "unauthorized"],
    ),
    (
        "pause",
        (
            'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image "registry.k8s.io/pause:3.8": failed to pull'
            " image"
        ),
        ["sandbox (pause) image"],
    ),
    ("anything else", "Failed to create pod sandbox: strange", ["strange"]),
]


def starting(message: str, seconds: float = 20, reason: str = "FailedCreatePodSandBox") -> list[Object]:
    one = pod(waiting("ContainerCreating"), phase="Pending")
    one["spec"]["runtimeClassName"] = "secure"
    return [one, event(one, reason, message, seconds)]


@pytest.mark.parametrize("what, message, words", SANDBOXES, ids=[row[0] for row in SANDBOXES])
def test_why_there_is_no_sandbox(what: str, message: str, words: list[str]) -> None:
    finding = cause(*starting(message))
    assert finding.code == "SandboxFailed" and [word for word in words if word not in finding.root_cause] == [], finding.root_cause


def test_a_network_that_is_not_ready() -> None:
    text = (
        "network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns"
        " error: cni plugin not initialized"
    )
    assert "not installed or not ready" in cause(*starting(text, reason="NetworkNotReady")).root_cause


def ready(state: str, reason: str = "KubeletNotReady", message: str = "container runtime is down", seconds: float = 300) -> list[Object]:
    return [{"type": "Ready", "status": state, "reason": reason, "message": message, "lastTransitionTime": ago(seconds)}]


def pressed(kind: str = "MemoryPressure") -> list[Object]:
    return [
        *ready("True"),
        {
            "type": kind,
            "status": "True",
            "reason": "KubeletHasInsufficientMemory",
            "message": "kubelet has insufficient memory available",
            "lastTransitionTime": ago(300),
        },
    ]


def test_a_node_that_is_down_speaks_for_its_pods() -> None:
    finding = cause(
        TOP, RS, pod(running(), owner=RS), machine(conditions=ready("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."))
    )
    assert finding.code == "NodeNotReady" and finding.severity == "critical" and "Node node-1 has stopped reporting" in finding.root_cause
    assert (
        finding.affects == [{"kind": "Deployment", "namespace": "shop", "name": "web"}] and "1 pods are on it (deployment/web)" in finding.root_cause
    )
    empty = cause(machine(conditions=ready("False")))
    assert empty.severity == "warning" and "container runtime is down" in empty.root_cause


def test_a_node_under_pressure() -> None:
    finding = cause(machine(conditions=pressed()))
    assert finding.code == "NodePressure" and "short of memory" in finding.root_cause and finding.severity == "warning"
    found = judge(TOP, RS, failed("Evicted", LOW, owner=RS), machine(conditions=pressed()))
    assert {one.code for one in found} == {"Evicted", "NodePressure"} and "still reports MemoryPressure" in found[0].root_cause
    assert found[1].affects == [{"kind": "Deployment", "namespace": "shop", "name": "web"}]


def leaving(seconds: float = 300, finalizers: list[str] | None = None, node: str = "node-1") -> Object:
    made = pod(running(), node=node, deletionTimestamp=ago(seconds))
    made["metadata"].update({"finalizers": finalizers} if finalizers else {})
    return made


CONTENT = [
    {"type": "NamespaceContentRemaining", "status": "True", "message": "Some resources are remaining: configmaps. has 1 resource instances"},
    {
        "type": "NamespaceFinalizersRemaining",
        "status": "True",
        "message": "Some content in the namespace has finalizers remaining: ops.example.com/hold in 1 resource instances",
    },
]
DISCOVERY = [
    {"type": "NamespaceDeletionDiscoveryFailure", "status": "True", "message": "Discovery failed for some groups: metrics.k8s.io/v1beta1: stale"}
]


def going(seconds: float = 300, conditions: list[Object] | None = None) -> Object:
    return plain("Namespace", "old", metadata={"deletionTimestamp": ago(seconds)}, status={"phase": "Terminating", "conditions": conditions or []})


def user() -> Object:
    made = pod(running())
    made["spec"]["volumes"] = [{"name": "x", "persistentVolumeClaim": {"claimName": "data"}}]
    return made


PROTECTED = {"deletionTimestamp": ago(300), "finalizers": ["kubernetes.io/pvc-protection"]}
STUCK: list[tuple[str, list[Object], list[str]]] = [
    (
        "a pod with a finalizer",
        [leaving(finalizers=["ops.example.com/hold"]), machine()],
        ["Pod web-1", "300 s ago", "finalizer ops.example.com/hold"],
    ),
    ("a pod whose node is gone", [leaving(node="node-9"), machine()], ["its node node-9 no longer exists"]),
    ("a pod that the kubelet does not finish", [leaving(), machine()], ["kubelet of node node-1 does not finish it"]),
    ("a namespace with a finalizer", [going(conditions=CONTENT)], ["Namespace old", "finalizer ops.example.com/hold", "configmaps"]),
    ("a namespace without its API", [going(conditions=DISCOVERY)], ["metrics.k8s.io/v1beta1"]),
    ("a claim in use", [user(), claim(phase="Bound", metadata=PROTECTED)], ["PersistentVolumeClaim data", "while pod web-1 use it"]),
    (
        "a volume whose claim is bound",
        [
            {
                **(v := volume("v1", phase="Bound", claimRef={"namespace": "shop", "name": "data"})),
                "metadata": {**v["metadata"], "deletionTimestamp": ago(300), "finalizers": ["kubernetes.io/pv-protection"]},
            }
        ],
        ["while the claim shop/data is bound to it"],
    ),
    (
        "a deployment with a finalizer",
        [{**(d := deployment("old")), "metadata": {**d["metadata"], "deletionTimestamp": ago(300), "finalizers": ["ops.example.com/hold"]}}],
        ["Deployment old", "ops.example.com/hold"],
    ),
]


@pytest.mark.parametrize("what, items, words", STUCK, ids=[row[0] for row in STUCK])
def test_deletions_that_do_not_end(what: str, items: list[Object], words: list[str]) -> None:
    finding = cause(*items)
    assert finding.code == "StuckTerminating" and finding.severity == "warning" and finding.object
    assert [word for word in words if word not in finding.root_cause] == [], finding.root_cause


def test_pods_on_a_node_that_is_down_are_its_finding() -> None:
    assert cause(leaving(), machine(conditions=ready("Unknown"))).code == "NodeNotReady"


JOB = controller("Job", "import", replicas=None)
YOUNG = plain("Node", "new", seconds=30, status={"conditions": ready("False")})
PULLED = starting(KATA)
HEALTHY: list[tuple[str, list[Object]]] = [
    ("a node", [machine(), machine("node-2", cordoned=True)]),
    ("a node that starts", [YOUNG]),
    ("a pod within its grace", [leaving(-3000), machine()]),
    ("a pod just past its grace", [leaving(20, ["ops.example.com/hold"]), machine()]),
    ("a namespace that goes", [going(40, CONTENT)]),
    ("a claim that goes", [claim(phase="Bound", metadata={"deletionTimestamp": ago(20), "finalizers": ["kubernetes.io/pvc-protection"]})]),
    ("a failed pod of another kind", [failed("", "")]),
    ("a sandbox that was made since", [*PULLED, event(PULLED[0], "Pulled", "Container image already present", 5)]),
    ("a sandbox long ago", starting(KATA, 900)),
    ("a running pod whose sandbox failed once", [pod(running()), event(pod(running()), "FailedCreatePodSandBox", KATA)]),
]


@pytest.mark.parametrize("what, items", HEALTHY, ids=[row[0] for row in HEALTHY])
def test_healthy(what: str, items: list[Object]) -> None:
    assert judge(*items) == []


def test_an_evicted_pod_of_a_job_that_goes_on() -> None:
    assert cause(JOB, failed("Evicted", LOW, owner=JOB), pod(running(), owner=JOB)).severity == "info"
