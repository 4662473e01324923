# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Volumes that are not there, nodes that are lost, pods that are evicted, and what does not go."""

from __future__ import annotations

from tests.corpus.build import bare, claim, container, deployment, made, mounts, on_claim, pod_spec, service, statefulset, tcp, volume
from tests.corpus.cases.placement import HOSTNAME, TOLERATES_A_LOST_NODE, TOLERATES_OWN, node
from tests.corpus.model import ANY, NODE, PREFIX, Case, Object, Step, Want, failing
from tests.corpus.signs import after, both, ended, event, phase, ready, that, unscheduled
from tests.integration.staging import LOSES_MEMORY

elsewhere = {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": ["node-of-old"]}]}]}}
EITHER = "Deployment/web|PersistentVolumeClaim/data"


def storage_class(name: str, provisioner: str, binding: str) -> Object:
    return made("storage.k8s.io/v1", "StorageClass", PREFIX + name, provisioner=provisioner, volumeBindingMode=binding)


STORAGE = (
    failing("claim-missing", "ClaimMissing", "Deployment/web", "data", objects=(deployment(**on_claim()),), sign=unscheduled),
    failing(
        "storage-class-missing",
        "StorageClassMissing",
        EITHER,
        "fast-ssd",
        objects=(claim(storage_class="fast-ssd"), deployment(**on_claim())),
        sign=unscheduled,
    ),
    failing(
        "storage-class-missing-statefulset",
        "StorageClassMissing",
        "StatefulSet/db|PersistentVolumeClaim/data-db-0",
        "premium",
        objects=(
            service("db", 5432, clusterIP="None"),
            statefulset(spec={"volumeClaimTemplates": [claim(storage_class="premium")]}, volumeMounts=[{"name": "data", "mountPath": "/data"}]),
        ),
        sign=unscheduled,
    ),
    failing(
        "claim-pending-no-class", "ClaimPending|StorageClassMissing", EITHER, "data", objects=(claim(), deployment(**on_claim())), sign=unscheduled
    ),
    failing(
        "claim-pending-first-consumer",
        "ClaimPending",
        EITHER,
        "data",
        "corpus-local",
        objects=(
            storage_class("local", "kubernetes.io/no-provisioner", "WaitForFirstConsumer"),
            claim(storage_class="corpus-local"),
            deployment(**on_claim()),
        ),
        sign=unscheduled,
    ),
    failing(
        "claim-pending-no-provisioner",
        "ClaimPending|ProvisioningFailed",
        EITHER,
        "ebs.csi.example.com",
        objects=(storage_class("cloud", "ebs.csi.example.com", "Immediate"), claim(storage_class="corpus-cloud"), deployment(**on_claim())),
        sign=both(unscheduled, event("ExternalProvisioning")),
    ),
    failing(
        "claim-pending-too-big",
        "ClaimPending",
        EITHER,
        "data",
        objects=(
            volume(f"{PREFIX}small", f"{PREFIX}claim-pending-too-big", claimRef=None, storageClassName="corpus-small"),
            storage_class("small", "kubernetes.io/no-provisioner", "Immediate"),
            claim(storage_class="corpus-small", size="10Gi"),
            deployment(**on_claim()),
        ),
        sign=unscheduled,
    ),
    Case(
        "claim-lost",
        (
            Step(
                (volume(f"{PREFIX}lost", f"{PREFIX}claim-lost", storageClassName=""), claim(storage_class="", volumeName=f"{PREFIX}lost")),
                until=that("persistentvolumeclaims", lambda item: item["status"].get("phase") == "Bound"),
            ),
            Step(
                kubectl=(
                    ("delete", "pv", f"{PREFIX}lost", "--wait=false"),
                    ("patch", "pv", f"{PREFIX}lost", "--type=merge", "-p", '{"metadata":{"finalizers":null}}'),
                ),
                until=that("persistentvolumeclaims", lambda item: item["status"].get("phase") == "Lost"),
            ),
            Step((deployment(**on_claim()),), until=unscheduled),
        ),
        (Want("ClaimLost", EITHER, ("corpus-lost",)),),
    ),
    failing(
        "volume-on-another-node",
        "VolumeNodeConflict",
        EITHER,
        "data",
        objects=(
            volume(f"{PREFIX}elsewhere", f"{PREFIX}volume-on-another-node", nodeAffinity=elsewhere, storageClassName=""),
            claim(storage_class="", volumeName=f"{PREFIX}elsewhere"),
            deployment(**on_claim()),
        ),
        sign=both(unscheduled, event("FailedScheduling", "olume")),
    ),
    failing(
        "host-path-missing",
        "VolumeMountFailed",
        "Deployment/web",
        "/srv/corpus-missing",
        objects=(deployment(**mounts(hostPath={"path": "/srv/corpus-missing", "type": "Directory"})),),
        sign=event("FailedMount"),
    ),
    failing(
        "nfs-mount-fails",
        "VolumeMountFailed",
        "Deployment/web",
        "127.0.0.1|/exports/shop",
        objects=(deployment(**mounts(nfs={"server": "127.0.0.1", "path": "/exports/shop"})),),
        sign=event("FailedMount"),
    ),
    failing(
        "csi-driver-missing",
        "VolumeMountFailed",
        "Deployment/web",
        "secrets.csi.example.com",
        objects=(deployment(**mounts(csi={"driver": "secrets.csi.example.com"})),),
        sign=event("FailedMount"),
    ),
)

NODES = (
    Case(
        "node-not-ready",
        (
            Step(
                (
                    node("gone"),
                    deployment(pod={"nodeName": "corpus-gone", "tolerations": [TOLERATES_OWN, *TOLERATES_A_LOST_NODE]}),
                ),
                until=both(after(130), phase("Pending")),
            ),
        ),
        (Want("NodeNotReady", "Deployment/web|Node/corpus-gone", ("corpus-gone",)),),
        about="the pod is bound to a node that does not report",
    ),
    failing(
        "empty-dir-full",
        "EphemeralStorageExceeded",
        "Deployment/web",
        "cache",
        "2Mi",
        objects=(
            deployment(
                script="dd if=/dev/zero of=/cache/file bs=1M count=8 2>/dev/null; exec sleep 1000000",
                pod={"volumes": [{"name": "cache", "emptyDir": {"sizeLimit": "2Mi"}}]},
                volumeMounts=[{"name": "cache", "mountPath": "/cache"}],
            ),
        ),
        sign=phase("Failed", "Evicted"),
        remedy=ANY,
    ),
    failing(
        "ephemeral-storage-limit",
        "EphemeralStorageExceeded",
        "Deployment/web",
        "4Mi",
        objects=(
            deployment(
                script="dd if=/dev/zero of=/tmp/file bs=1M count=16 2>/dev/null; exec sleep 1000000",
                resources={"limits": {"ephemeral-storage": "4Mi"}, "requests": {"ephemeral-storage": "1Mi"}},
            ),
        ),
        sign=phase("Failed", "Evicted"),
        remedy=ANY,
    ),
    Case(
        "stuck-finalizer",
        (
            Step(
                (made("v1", "Pod", "lone", pod_spec(container()), metadata={"finalizers": ["example.com/cleanup"], "labels": {"app": "lone"}}),),
                until=ready(),
            ),
            Step(kubectl=(("delete", "pod", "lone", "--wait=false"),), until=after(75)),
        ),
        (Want("StuckTerminating", "Pod/lone", ("example.com/cleanup",)),),
    ),
    failing(
        "readiness-gate",
        "ReadinessGateUnmet",
        "Deployment/web",
        "example.com/registered",
        objects=(
            deployment(
                pod={"readinessGates": [{"conditionType": "example.com/registered"}]}, readinessProbe=tcp(8080), command=["httpd", "-f", "-p", "8080"]
            ),
        ),
        sign=both(after(45), phase("Running")),
    ),
)


def evicted(snapshot: Object) -> None:
    """The node ran short of memory."""
    text = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 61204Ki. Container app was using 512Mi, request is 0."
    for pod in snapshot["objects"]["pods"]:
        if pod["metadata"]["name"] == "lone":
            pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": text, "startTime": pod["status"]["startTime"]}


def unlimited(snapshot: Object) -> None:
    """There is no memory limit: the kernel killed it since the node had no memory left."""
    for item in [*snapshot["objects"]["pods"], *snapshot["objects"]["deployments"], *snapshot["objects"]["replicasets"]]:
        for one in item["spec"].get("template", item)["spec"]["containers"]:
            one.get("resources", {}).pop("limits", None)
            one.get("resources", {}).pop("requests", None)
        for status in item["status"].get("containerStatuses", []):
            status.pop("resources", None)


REJECTED = (
    failing(
        "rejected-for-cpu",
        "PodRejected",
        "Pod/lone",
        "cpu",
        objects=(bare(pod={"nodeName": NODE}, resources={"requests": {"cpu": "500"}}),),
        sign=phase("Failed"),
    ),
    failing(
        "rejected-for-node-selector",
        "PodRejected",
        "Pod/lone",
        "NodeAffinity|node selector|nodeSelector|labels",
        objects=(bare(pod={"nodeName": NODE, "nodeSelector": {"disk": "nvme"}}),),
        sign=phase("Failed"),
    ),
    failing(
        "rejected-for-sysctl",
        "PodRejected",
        "Pod/lone",
        "net.core.somaxconn|sysctl",
        objects=(bare(pod={"securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]}}),),
        sign=phase("Failed"),
    ),
    failing(
        "sandbox-without-runtime",
        "SandboxFailed",
        "Deployment/web",
        "gvisor",
        objects=(
            made("node.k8s.io/v1", "RuntimeClass", f"{PREFIX}gvisor", handler="gvisor"),
            deployment(pod={"runtimeClassName": f"{PREFIX}gvisor"}),
        ),
        sign=event("FailedCreatePodSandBox"),
    ),
    Case(
        "evicted-by-node-pressure",
        (Step((bare(),), until=ready()),),
        (Want("Evicted", "Pod/lone", ("memory",), ANY),),
        edit=evicted,
        about="recorded while it ran, then changed: this machine's memory is not to be used up",
    ),
    Case(
        "oom-without-limit",
        (Step((deployment(script=LOSES_MEMORY, resources={"limits": {"memory": "20Mi"}}),), until=ended("OOMKilled")),),
        (Want("OOMKilledNoLimit", "Deployment/web", ("no memory limit|without a memory limit",)),),
        edit=unlimited,
        about="recorded with a limit, then changed, likewise",
    ),
)
CASES = STORAGE + NODES + REJECTED
