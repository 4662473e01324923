# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Pods that cannot have their volumes, and claims without one. The messages are those of a real 1.34, and of older versions where they differ."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.diagnosis.infrastructure import cause, claim, judge, machine, plain, storage_class, volume
from tests.unit.diagnosis.objects import Object, ago, deployment, event, pending, pod, replicaset, running, spec, waiting

UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
TO_BIND = (
    "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind. no new claims to deallocate, preemption: 0/1 nodes are"
    " available"
)
FOREIGN = "0/1 nodes are available: 1 node(s) had untolerated taint(s)."
STATIC = "kubernetes.io/no-provisioner"
CLAIM: Object = {"persistentVolumeClaim": {"claimName": "data"}}


def waits(message: str = UNBOUND, source: Object | None = None, **more: Any) -> Object:
    made = pending(message, **more)
    made["spec"]["volumes"] = [{"name": "files", **(source or CLAIM)}]
    return made


def says(one: Object, reason: str, message: str, seconds: float = 20) -> Object:
    return event(one, reason, message, seconds)


def hand(name: str, **more: Any) -> Object:
    return volume(name, "manual", **more)


def on(*hostnames: str) -> Object:
    return {
        "nodeAffinity": {
            "required": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": list(hostnames)}]}]
            }
        }
    }


def failing(one: Object, reason: str, message: str) -> list[Object]:
    return [one, event(one, reason, message)]


CLAIMS: list[tuple[str, list[Object], str, list[str]]] = [
    (
        "the claim is missing",
        [waits('0/1 nodes are available: persistentvolumeclaim "data" not found. not found'), claim("date", "Bound")],
        "ClaimMissing",
        ["Volume files of the pod needs the PersistentVolumeClaim data", "does not exist in namespace shop (there is date)"],
    ),
    (
        "the claim is going",
        [waits('persistentvolumeclaim "data" is being deleted'), claim(metadata={"deletionTimestamp": ago(5)})],
        "ClaimMissing",
        ["which is being deleted"],
    ),
    (
        "a typo in the class",
        [waits(), claim(storage_class="fast-sdd"), storage_class("fast-ssd")],
        "StorageClassMissing",
        ["StorageClass fast-sdd", "(there is fast-ssd)"],
    ),
    ("no class at all", [waits(), claim(storage_class="fast")], "StorageClassMissing", ["the cluster has none"]),
    (
        "no default class",
        [waits(), claim(storage_class=None), storage_class("fast")],
        "ClaimPending",
        ["names no StorageClass, and the cluster has no default one"],
    ),
    ("an empty class", [waits(), claim(storage_class="")], "ClaimPending", ['asks for no StorageClass ("")']),
    (
        "a volume too small",
        [waits(), claim(storage_class="manual", resources={"requests": {"storage": "2Gi"}}), hand("v1", size="500Mi")],
        "ClaimPending",
        ["asks for 2Gi ReadWriteOnce", "v1 has only 500Mi"],
    ),
    (
        "another access mode",
        [waits(), claim(storage_class="manual", accessModes=["ReadWriteMany"]), hand("v1")],
        "ClaimPending",
        ["v1 does not allow ReadWriteMany (only ReadWriteOnce)"],
    ),
    (
        "taken volume",
        [waits(), claim(storage_class="manual"), hand("v1", phase="Bound", claimRef={"namespace": "shop", "name": "other"})],
        "ClaimPending",
        ["v1 is taken by the claim shop/other"],
    ),
    (
        "released volume",
        [waits(), claim(storage_class="manual"), hand("v1", phase="Released", claimRef={"namespace": "shop", "name": "old"})],
        "ClaimPending",
        ["still reserved for the claim shop/old"],
    ),
    (
        "selector",
        [waits(), claim(storage_class="manual", selector={"matchLabels": {"tier": "gold"}}), hand("v1")],
        "ClaimPending",
        ["v1 lacks the labels tier=gold"],
    ),
    ("volume mode", [waits(), claim(storage_class="manual", volumeMode="Block"), hand("v1")], "ClaimPending", ["volumeMode Filesystem"]),
    (
        "volume by name is missing",
        [waits(), claim(storage_class="", volumeName="pv-daat"), volume("pv-data", "")],
        "ClaimPending",
        ["pv-daat by name", "does not exist (there is pv-data)"],
    ),
    (
        "volume by name is of another class",
        [waits(), claim(storage_class="slow", volumeName="pv-1"), volume("pv-1", "fast"), storage_class("slow")],
        "ClaimPending",
        ["is of the class fast"],
    ),
    (
        "local volumes, none fits",
        [waits(TO_BIND), claim(), storage_class("fast", STATIC, late=True)],
        "ClaimPending",
        ["no PersistentVolume of class fast fits: there is none"],
    ),
    (
        "provisioner says no",
        [
            waits(),
            (c := claim()),
            storage_class(),
            says(c, "ProvisioningFailed", 'failed to provision volume with StorageClass "fast": rpc error: code = ResourceExhausted desc = quota'),
        ],
        "ProvisioningFailed",
        ["csi.example.com (StorageClass fast)", "ResourceExhausted desc = quota"],
    ),
    (
        "provisioner says nothing",
        [
            waits(),
            (c := claim()),
            storage_class(),
            says(c, "ExternalProvisioning", "Waiting for a volume to be created either by the external provisioner 'csi.example.com'"),
        ],
        "ProvisioningFailed",
        ["waited 600 s for the provisioner csi.example.com"],
    ),
    ("lost", [waits(FOREIGN), claim(phase="Lost", volumeName="pv-1")], "ClaimLost", ["has lost its PersistentVolume pv-1, which no longer exists"]),
    (
        "node conflict",
        [
            waits("0/1 nodes are available: 1 node(s) had volume node affinity conflict."),
            claim(phase="Bound", volumeName="v1"),
            volume("v1", phase="Bound", claimRef={"namespace": "shop", "name": "data"}, **on("node-9")),
            machine(),
        ],
        "VolumeNodeConflict",
        ["PersistentVolume v1 (claim data) can only be used on nodes with kubernetes.io/hostname=node-9, and no such node exists"],
    ),
    (
        "node conflict, newer words",
        [
            waits("0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity."),
            claim(phase="Bound", volumeName="v1"),
            volume("v1", phase="Bound", claimRef={"namespace": "shop", "name": "data"}, **on("node-1")),
            machine(),
        ],
        "VolumeNodeConflict",
        ["that is node-1, where the pod may not run"],
    ),
    (
        "one pod at a time",
        [
            waits("0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode."),
            claim(phase="Bound"),
        ],
        "VolumeAttachConflict",
        ["data"],
    ),
    (
        "too many volumes",
        [waits("0/1 nodes are available: 1 node(s) exceed max volume count."), claim(phase="Bound")],
        "Unschedulable",
        ["as many volumes attached"],
    ),
    (
        "no room",
        [waits("0/1 nodes are available: 1 node(s) did not have enough free storage."), claim(phase="Bound")],
        "ProvisioningFailed",
        ["not enough room"],
    ),
    (
        "an ephemeral volume",
        [waits(source={"ephemeral": {"volumeClaimTemplate": {}}}), claim("web-1-files", storage_class="nope")],
        "StorageClassMissing",
        ["web-1-files"],
    ),
]


@pytest.mark.parametrize("what, items, code, words", CLAIMS, ids=[row[0] for row in CLAIMS])
def test_why_a_pod_waits_for_its_claim(what: str, items: list[Object], code: str, words: list[str]) -> None:
    finding = cause(*items)
    assert finding.code == code and [word for word in words if word not in finding.root_cause] == [], finding.root_cause


def test_what_could_not_be_read_is_not_taken_for_absent() -> None:
    unread = ("persistentvolumeclaims", "persistentvolumes", "storageclasses")
    assert cause(waits(), unread=unread).code == "ClaimPending"
    assert cause(waits('persistentvolumeclaim "data" not found'), unread=unread).code == "ClaimMissing"
    one = claim()
    told = says(one, "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')
    assert (
        cause(waits(), one, told, unread=("storageclasses",)).code == "StorageClassMissing"
        and judge(waits(), claim(), unread=("storageclasses",)) == []
    )


def mounting(message: str, source: Object, reason: str = "FailedMount", seconds: float = 20) -> list[Object]:
    one = pod(waiting("ContainerCreating"), phase="Pending")
    one["spec"]["volumes"] = [{"name": "files", **source}]
    return [one, says(one, reason, message, seconds)]


NFS = {"nfs": {"server": "10.9.9.9", "path": "/export"}}
OUTPUT = (
    'MountVolume.SetUp failed for volume "files" : mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs 10.9.9.9:/export'
    " /var/lib/x\nOutput: "
)
BOUND = [claim(phase="Bound", volumeName="pv-1"), volume("pv-1", phase="Bound")]
MOUNTS: list[tuple[str, list[Object], str, list[str]]] = [
    (
        "host path",
        mounting(
            'MountVolume.SetUp failed for volume "files" : hostPath type check failed: /srv/x is not a directory', {"hostPath": {"path": "/srv/x"}}
        ),
        "VolumeMountFailed",
        ["Volume files (hostPath /srv/x)", "node node-1: the hostPath /srv/x is not a directory"],
    ),
    (
        "csi driver",
        mounting(
            'MountVolume.SetUp failed for volume "files" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name s.csi.io not'
            " found in the list of registered CSI drivers",
            {"csi": {"driver": "s.csi.io"}},
        ),
        "VolumeMountFailed",
        ["CSI driver s.csi.io is not registered on node node-1"],
    ),
    (
        "csi attacher",
        [
            *BOUND,
            *mounting(
                'AttachVolume.Attach failed for volume "pv-1" : timed out waiting for external-attacher of s.csi.io CSI driver to attach volume v',
                CLAIM,
                "FailedAttachVolume",
            ),
        ],
        "VolumeMountFailed",
        ["Volume files (persistentVolumeClaim data)", "attacher of the CSI driver s.csi.io"],
    ),
    (
        "local path",
        [*BOUND, *mounting('MountVolume.NewMounter initialization failed for volume "pv-1" : path "/mnt/x" does not exist', CLAIM)],
        "VolumeMountFailed",
        ["local path /mnt/x does not exist"],
    ),
    (
        "nfs refused",
        mounting(OUTPUT + "mount.nfs: access denied by server while mounting 10.9.9.9:/export", NFS),
        "VolumeMountFailed",
        ["file server refuses", "access denied by server"],
    ),
    ("nfs unreachable", mounting(OUTPUT + "mount.nfs: Connection timed out", NFS), "VolumeMountFailed", ["cannot be reached", "/export, 10.9.9.9"]),
    (
        "nfs path",
        mounting(OUTPUT + "mount.nfs: mounting 10.9.9.9:/export failed, reason given by server: No such file or directory", NFS),
        "VolumeMountFailed",
        ["a path that it names does not exist"],
    ),
    (
        "nfs client",
        mounting(OUTPUT + "mount: bad option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.<type> helper program.", NFS),
        "VolumeMountFailed",
        ["lacks the client program"],
    ),
    (
        "file system",
        mounting(OUTPUT + "mount: wrong fs type, bad option, bad superblock on /dev/sdb", CLAIM),
        "VolumeMountFailed",
        ["damaged or of another type"],
    ),
    (
        "no permission",
        mounting('MountVolume.MountDevice failed for volume "files" : rpc error: code = PermissionDenied desc = permission denied', CLAIM),
        "VolumeMountFailed",
        ["no permission"],
    ),
    (
        "slow",
        mounting('MountVolume.SetUp failed for volume "files" : rpc error: code = DeadlineExceeded desc = context deadline exceeded', CLAIM),
        "VolumeMountFailed",
        ["does not answer in time"],
    ),
    ("anything else", mounting('MountVolume.SetUp failed for volume "files" : strange', CLAIM), "VolumeMountFailed", ["strange"]),
    (
        "another node",
        [*BOUND, *mounting('Multi-Attach error for volume "pv-1" Volume is already used by pod(s) web-old', CLAIM, "FailedAttachVolume")],
        "VolumeAttachConflict",
        ["still attached elsewhere, for web-old; this pod is on node node-1"],
    ),
    (
        "another node, unnamed",
        [
            *BOUND,
            *mounting(
                'Multi-Attach error for volume "pv-1" Volume is already exclusively attached to one node and can\'t be attached to another',
                CLAIM,
                "FailedAttachVolume",
            ),
        ],
        "VolumeAttachConflict",
        ["still attached elsewhere"],
    ),
    (
        "sub path",
        [
            pod(
                waiting("CreateContainerConfigError", 'failed to prepare subPath for volumeMount "files" of container "app"'),
                phase="Pending",
                specs=[spec(volumeMounts=[{"name": "files", "mountPath": "/x", "subPath": "a/b"}])],
            )
        ],
        "VolumeMountFailed",
        ["subPath a/b of volume files"],
    ),
]


@pytest.mark.parametrize("what, items, code, words", MOUNTS, ids=[row[0] for row in MOUNTS])
def test_why_a_volume_is_not_mounted(what: str, items: list[Object], code: str, words: list[str]) -> None:
    bound = [] if any(one["kind"] == "PersistentVolumeClaim" for one in items) else [claim(phase="Bound")]
    finding = cause(*bound, *items)
    assert finding.code == code and [word for word in words if word not in finding.root_cause] == [], finding.root_cause


UNUSED: list[tuple[str, list[Object], str, str]] = [
    ("a class that is missing", [claim(storage_class="nope"), storage_class()], "StorageClassMissing", "warning"),
    ("lost", [claim(phase="Lost", volumeName="pv-1")], "ClaimLost", "warning"),
    ("provisioner says no", [(c := claim()), storage_class(), says(c, "ProvisioningFailed", "no")], "ProvisioningFailed", "warning"),
    (
        "cannot grow",
        [
            (c := claim(phase="Bound", status={"capacity": {"storage": "500Mi"}})),
            says(c, "VolumeResizeFailed", "resize volume failed: not supported"),
        ],
        "ProvisioningFailed",
        "warning",
    ),
]


@pytest.mark.parametrize("what, items, code, severity", UNUSED, ids=[row[0] for row in UNUSED])
def test_claims_that_no_pod_waits_for(what: str, items: list[Object], code: str, severity: str) -> None:
    finding = cause(*items)
    assert (finding.code, finding.severity) == (code, severity)


def test_a_lost_claim_in_use_names_who_uses_it() -> None:
    one = pod(running())
    one["spec"]["volumes"] = [{"name": "files", **CLAIM}]
    finding = cause(one, claim(phase="Lost", volumeName="pv-1"))
    assert finding.severity == "critical" and finding.affects == [{"kind": "Pod", "namespace": "shop", "name": "web-1"}]


TOP = deployment()
RS = replicaset(TOP, replicas=0)
NEW = waits(owner=RS)
MOVING = mounting('Multi-Attach error for volume "pv-1" Volume is already used by pod(s) web-old', CLAIM, "FailedAttachVolume")
MOVING[0]["metadata"].update(creationTimestamp=ago(20), ownerReferences=NEW["metadata"]["ownerReferences"])
STARTED = [pod(running()), says(pod(running()), "FailedMount", 'MountVolume.SetUp failed for volume "files" : strange')]
HEALTHY: list[tuple[str, list[Object]]] = [
    ("bound", [claim(phase="Bound", status={"capacity": {"storage": "1Gi"}}), volume("v", phase="Bound")]),
    (
        "unused and waiting for its first consumer",
        [(c := claim()), storage_class(late=True), says(c, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")],
    ),
    ("local volumes waiting for their first consumer", [claim(), storage_class("fast", STATIC, late=True)]),
    ("a default class has come", [claim(storage_class=None), storage_class(default=True)]),
    (
        "being provisioned",
        [waits(), (c := claim(seconds=30)), storage_class(), says(c, "Provisioning", "External provisioner is provisioning volume for claim")],
    ),
    ("just made", [waits(), claim(seconds=3), storage_class()]),
    ("a mount that failed before it worked", STARTED),
    ("a mount that failed long ago", [claim(phase="Bound"), *mounting('MountVolume.SetUp failed for volume "files" : strange', CLAIM, seconds=1200)]),
    (
        "a cache that was not ready",
        [
            claim(phase="Bound"),
            *mounting(
                'MountVolume.SetUp failed for volume "kube-api-access-x" : failed to sync configmap cache: timed out waiting for the condition', CLAIM
            ),
        ],
    ),
    ("a volume that moves", [TOP, RS, claim(phase="Bound"), *MOVING, pod(running(), name="web-old", owner=RS, deletionTimestamp=ago(-10))]),
    ("it grows", [claim(phase="Bound", status={"capacity": {"storage": "500Mi"}})]),
]


@pytest.mark.parametrize("what, items", HEALTHY, ids=[row[0] for row in HEALTHY])
def test_healthy(what: str, items: list[Object]) -> None:
    assert judge(*items) == []


def test_a_claim_that_waits_for_a_pod_without_a_node_is_not_the_cause() -> None:
    busy = pending("0/1 nodes are available: 1 Insufficient cpu.", specs=[spec(resources={"requests": {"cpu": "9"}})])
    busy["spec"]["volumes"] = [{"name": "files", **CLAIM}]
    assert cause(busy, claim(), storage_class(late=True), machine(), plain("Namespace", "shop")).code == "InsufficientCPU"
