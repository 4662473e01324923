# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Pods that find no node, and pods that are not created."""

from __future__ import annotations

from tests.corpus.build import daemonset, deployment, job, made, service, statefulset
from tests.corpus.model import ANY, NODE, PREFIX, Case, Object, Step, Want, failing
from tests.corpus.signs import after, both, event, gated, phase, ready, unscheduled

HOSTNAME = "kubernetes.io/hostname"
REFUSED = event("FailedCreate")
POOL = "corpus.aiops/pool"
SLOT = "corpus.aiops/slot"
TOLERATES_A_LOST_NODE = [{"key": f"node.kubernetes.io/{why}", "operator": "Exists"} for why in ("unreachable", "not-ready")]
OWN = {"key": "corpus.aiops/fake", "value": "true", "effect": "NoSchedule"}  # keeps the pods of others off nodes that are none
TOLERATES_OWN = {"key": OWN["key"], "operator": "Exists"}


def node(name: str, *taints: Object, **spec: object) -> Object:
    """A node without a machine: the control plane takes it for one that was lost. Only pods of one case may go there."""
    return made("v1", "Node", PREFIX + name, {"taints": [OWN, *taints], **spec}, metadata={"name": PREFIX + name, "labels": {POOL: name}})


def spread(**more: object) -> Object:
    rule = {"maxSkew": 1, "topologyKey": HOSTNAME, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}, **more}
    return {"topologySpreadConstraints": [rule]}


def affinity(kind: str, app: str) -> Object:
    term = {"topologyKey": HOSTNAME, "labelSelector": {"matchLabels": {"app": app}}}
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


node_affinity = {
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["eu-west-9a"]}]}]
            }
        }
    }
}


def quota(**hard: str) -> Object:
    return made("v1", "ResourceQuota", "team-quota", {"hard": {name.replace("_", "."): value for name, value in hard.items()}})


def only(name: str) -> Object:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": PREFIX + name}}}


webhook = made(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    f"{PREFIX}policy",
    webhooks=[
        {
            "name": "pods.policy.example.com",
            "clientConfig": {"service": {"namespace": f"{PREFIX}webhook-unavailable", "name": "policy-webhook", "path": "/validate"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 2,
            **only("webhook-unavailable"),
        }
    ],
)
policy = made(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    f"{PREFIX}team-label",
    {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
        "validations": [{"expression": "'team' in object.metadata.labels", "message": "every pod needs the label team"}],
    },
)
binding = made(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    f"{PREFIX}team-label",
    {"policyName": f"{PREFIX}team-label", "validationActions": ["Deny"], "matchResources": only("admission-denied")},
)


PLACEMENT = (
    failing(
        "cpu-too-much",
        "InsufficientCPU",
        "Deployment/web",
        "500",
        objects=(deployment(resources={"requests": {"cpu": "500"}}),),
        sign=unscheduled,
        remedy="request",
    ),
    Case(
        "cpu-too-much-after-update",
        (Step((deployment(),), until=ready()), Step((deployment(resources={"requests": {"cpu": "64"}}),), until=unscheduled)),
        (Want("InsufficientCPU", "Deployment/web", ("64",), "undo"),),
    ),
    failing(
        "memory-too-much",
        "InsufficientMemory",
        "StatefulSet/db",
        "9000Gi",
        objects=(statefulset(resources={"requests": {"memory": "9000Gi"}}), service("db", 5432, clusterIP="None")),
        sign=unscheduled,
        remedy=ANY,
    ),
    failing(
        "gpu-missing",
        "InsufficientResource",
        "Deployment/web",
        "nvidia.com/gpu",
        objects=(deployment(resources={"limits": {"nvidia.com/gpu": "1"}}),),
        sign=unscheduled,
    ),
    failing(
        "ephemeral-storage-too-much",
        "InsufficientResource",
        "Job/task",
        "ephemeral-storage",
        objects=(job(resources={"requests": {"ephemeral-storage": "900Ti"}}),),
        sign=unscheduled,
    ),
    failing(
        "node-selector",
        "NodeSelectorMismatch",
        "Deployment/web",
        "disk",
        "nvme",
        objects=(deployment(pod={"nodeSelector": {"disk": "nvme"}}),),
        sign=unscheduled,
    ),
    failing("node-affinity", "NodeSelectorMismatch", "Deployment/web", "eu-west-9a", objects=(deployment(pod=node_affinity),), sign=unscheduled),
    failing(
        "taint-not-tolerated",
        "UntoleratedTaint",
        "Deployment/web",
        "dedicated",
        objects=(
            node("gpu", {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}),
            deployment(pod={"nodeSelector": {POOL: "gpu"}, "tolerations": [TOLERATES_OWN, *TOLERATES_A_LOST_NODE]}),
        ),
        sign=unscheduled,
        allows=("NodeNotReady Node/corpus-gpu",),
    ),
    failing(
        "node-cordoned",
        "NodesCordoned",
        "Deployment/web|Node/corpus-cordoned",
        "corpus-cordoned|cordoned",
        objects=(
            node("cordoned", unschedulable=True),
            deployment(pod={"nodeSelector": {POOL: "cordoned"}, "tolerations": [TOLERATES_OWN, *TOLERATES_A_LOST_NODE]}),
        ),
        sign=unscheduled,
        allows=("NodeNotReady Node/corpus-cordoned",),
    ),
    failing(
        "anti-affinity",
        "PodAffinityUnsatisfiable",
        "Deployment/web",
        objects=(deployment(replicas=2, pod=affinity("podAntiAffinity", "web")),),
        sign=unscheduled,
    ),
    failing(
        "pod-affinity",
        "PodAffinityUnsatisfiable",
        "Deployment/web",
        "cache",
        objects=(deployment(pod=affinity("podAffinity", "cache")),),
        sign=unscheduled,
    ),
    failing(
        "topology-spread",
        "TopologySpreadUnsatisfiable",
        "Deployment/web",
        objects=(deployment(replicas=2, pod=spread(minDomains=5)),),
        sign=unscheduled,
    ),
    failing(
        "host-port-taken",
        "HostPortConflict",
        "Deployment/web",
        "25080",
        objects=(deployment(replicas=2, ports=[{"containerPort": 8080, "hostPort": 25080}]),),
        sign=unscheduled,
    ),
    failing(
        "scheduling-gate",
        "SchedulingGated",
        "Deployment/web",
        "example.com/wait-for-quota",
        objects=(deployment(pod={"schedulingGates": [{"name": "example.com/wait-for-quota"}]}),),
        sign=gated,
    ),
    failing(
        "node-missing",
        "NodeMissing",
        "Deployment/web",
        "node-77",
        objects=(deployment(pod={"nodeName": "node-77"}),),
        sign=both(phase("Pending"), after(15)),
    ),
    failing(
        "scheduler-missing",
        "SchedulerMissing",
        "Deployment/web",
        "batch-scheduler",
        objects=(deployment(pod={"schedulerName": "batch-scheduler"}),),
        sign=both(phase("Pending"), after(40)),
    ),
    Case(
        "preempted",
        (
            Step(
                (
                    made("scheduling.k8s.io/v1", "PriorityClass", f"{PREFIX}low", value=-10),
                    made("scheduling.k8s.io/v1", "PriorityClass", f"{PREFIX}high", value=10),
                    deployment("report", pod={"priorityClassName": f"{PREFIX}low"}, resources={"limits": {SLOT: "1"}}),
                ),
                (("patch", "node", NODE, "--subresource=status", "--type=merge", "-p", f'{{"status":{{"capacity":{{"{SLOT}":"1"}}}}}}'),),
                ready(),
            ),
            Step(
                (deployment("checkout", pod={"priorityClassName": f"{PREFIX}high"}, resources={"limits": {SLOT: "1"}}),),
                until=both(event("Preempted"), ready(), unscheduled),
            ),
        ),
        (Want("Preempted|InsufficientResource", "Deployment/report", (SLOT,)),),
        about="the node has one of a resource; a workload of higher priority takes it",
    ),
)

CREATION = (
    failing("quota-pods", "QuotaExceeded", "Deployment/web", "team-quota", "pods", objects=(quota(pods="1"), deployment(replicas=3)), sign=REFUSED),
    failing(
        "quota-memory",
        "QuotaExceeded",
        "StatefulSet/db",
        "team-quota",
        "memory",
        objects=(quota(requests_memory="100Mi"), statefulset(resources={"requests": {"memory": "1Gi"}}), service("db", 5432, clusterIP="None")),
        sign=REFUSED,
    ),
    failing(
        "quota-needs-limits",
        "QuotaRequiresLimits",
        "Deployment/web",
        "team-quota",
        "limits.memory",
        objects=(quota(limits_memory="1Gi"), deployment()),
        sign=REFUSED,
    ),
    failing("quota-job", "QuotaExceeded", "Job/task", "team-quota", objects=(quota(pods="0"), job()), sign=REFUSED),
    failing(
        "limit-range",
        "LimitRangeViolated",
        "Deployment/web",
        "256Mi",
        objects=(
            made("v1", "LimitRange", "bounds", {"limits": [{"type": "Container", "max": {"memory": "256Mi"}}]}),
            deployment(resources={"limits": {"memory": "1Gi"}, "requests": {"memory": "1Mi"}}),
        ),
        sign=REFUSED,
    ),
    Case(
        "pod-security",
        (Step((deployment(securityContext={"privileged": True}),), until=REFUSED),),
        (Want("PodSecurityViolation", "Deployment/web", ("privileged",)),),
        labels={"pod-security.kubernetes.io/enforce": "baseline"},
    ),
    Case(
        "pod-security-restricted",
        (Step((daemonset(),), until=REFUSED),),
        (Want("PodSecurityViolation", "DaemonSet/agent", ("restricted", "allowPrivilegeEscalation|runAsNonRoot")),),
        labels={"pod-security.kubernetes.io/enforce": "restricted"},
    ),
    Case(
        "admission-denied",
        (Step((policy, binding), until=after(3)), Step((deployment(),), until=REFUSED)),
        (Want("AdmissionDenied", "Deployment/web", ("label team",)),),
    ),
    Case(
        "webhook-unavailable",
        (Step((webhook,), until=after(2)), Step((deployment(),), until=REFUSED)),
        (Want("WebhookUnavailable", "Deployment/web", ("pods.policy.example.com", "policy-webhook")),),
    ),
    failing(
        "service-account-missing",
        "ServiceAccountMissing",
        "Deployment/web",
        "robot",
        objects=(deployment(pod={"serviceAccountName": "robot"}),),
        sign=REFUSED,
    ),
    failing(
        "service-account-missing-daemonset",
        "ServiceAccountMissing",
        "DaemonSet/agent",
        "node-reader",
        objects=(daemonset(pod={"serviceAccountName": "node-reader"}),),
        sign=REFUSED,
    ),
    failing(
        "priority-class-missing",
        "PriorityClassMissing",
        "Deployment/web",
        "very-important",
        objects=(deployment(pod={"priorityClassName": "very-important"}),),
        sign=REFUSED,
    ),
    failing(
        "runtime-class-missing",
        "PodsNotCreated|AdmissionDenied",
        "Deployment/web",
        "gvisor",
        objects=(deployment(pod={"runtimeClassName": "gvisor"}),),
        sign=REFUSED,
    ),
)

CASES = PLACEMENT + CREATION
