# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Every finding code: its area (the file of rules/ where its rule begins) and what it says, in one line. Codes are stable.

The runbook of a code is docs/runbooks/troubleshoot-<code in lower case>.md, rendered from docs/runbooks/source.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """``area``: the module of rules/ with the rule; ``means``: what the code says, without the names of one case."""

    area: str
    means: str


CODES: dict[str, Code] = {
    # images
    "ImageNotFound": Code("images", "the registry has no such image or tag"),
    "ImagePullRefused": Code("images", "the registry refuses to give the image to this cluster"),
    "ImagePullFailed": Code("images", "the registry cannot be reached, or is too busy, or its certificate is not accepted"),
    "InvalidImageName": Code("images", "the image reference is not valid"),
    "ImageNeverPulled": Code("images", "imagePullPolicy is Never and the image is not on the node"),
    "ImageWrongArchitecture": Code("images", "the image is built for another processor architecture"),
    # references
    "ConfigMapMissing": Code("configuration", "a ConfigMap that the pod needs does not exist"),
    "SecretMissing": Code("configuration", "a Secret that the pod needs does not exist"),
    "ConfigKeyMissing": Code("configuration", "a ConfigMap or Secret exists, but not the key that the pod needs"),
    "RunAsNonRootViolated": Code("configuration", "the pod must not run as root, and its image would"),
    "ContainerConfigError": Code("configuration", "the kubelet refuses the container's configuration"),
    # storage
    "ClaimMissing": Code("storage", "a PersistentVolumeClaim that the pod uses does not exist"),
    "ClaimPending": Code("storage", "a PersistentVolumeClaim finds no volume"),
    "StorageClassMissing": Code("storage", "a PersistentVolumeClaim names a StorageClass that does not exist"),
    "ProvisioningFailed": Code("storage", "the provisioner cannot make the volume"),
    "ClaimLost": Code("storage", "the volume behind a PersistentVolumeClaim is gone"),
    "VolumeNodeConflict": Code("storage", "the volume can only be used on nodes where the pod may not run"),
    "VolumeAttachConflict": Code("storage", "the volume is attached to another node"),
    "VolumeMountFailed": Code("storage", "a volume cannot be mounted"),
    # placement
    "InsufficientCPU": Code("placement", "no node has enough CPU left for the request"),
    "InsufficientMemory": Code("placement", "no node has enough memory left for the request"),
    "InsufficientResource": Code("placement", "no node has enough of another resource: GPUs, ephemeral storage, pod slots"),
    "NodeSelectorMismatch": Code("placement", "no node has the labels that nodeSelector or node affinity asks for"),
    "UntoleratedTaint": Code("placement", "every node has a taint that the pod does not tolerate"),
    "NodesCordoned": Code("placement", "the nodes are cordoned"),
    "PodAffinityUnsatisfiable": Code("placement", "pod affinity or anti-affinity excludes every node"),
    "TopologySpreadUnsatisfiable": Code("placement", "topology spread constraints exclude every node"),
    "HostPortConflict": Code("placement", "the host port is taken on every node"),
    "SchedulingGated": Code("placement", "a scheduling gate holds the pod"),
    "NodeMissing": Code("placement", "spec.nodeName names a node that does not exist"),
    "SchedulerMissing": Code("placement", "spec.schedulerName names a scheduler that does not run"),
    "Unschedulable": Code("placement", "the scheduler finds no node, for another reason"),
    # creation
    "QuotaExceeded": Code("creation", "a ResourceQuota is used up"),
    "QuotaRequiresLimits": Code("creation", "a ResourceQuota asks for requests or limits that the pod does not state"),
    "LimitRangeViolated": Code("creation", "a LimitRange forbids the pod's requests or limits"),
    "PodSecurityViolation": Code("creation", "the namespace's Pod Security level forbids the pod"),
    "AdmissionDenied": Code("creation", "an admission webhook or policy refuses the pod"),
    "WebhookUnavailable": Code("creation", "an admission webhook does not answer, so that nothing can be created"),
    "ServiceAccountMissing": Code("creation", "the service account does not exist"),
    "PriorityClassMissing": Code("creation", "the priority class does not exist"),
    "PodsNotCreated": Code("creation", "the API server refuses the pods, for another reason"),
    # starting and ending
    "CommandNotFound": Code("termination", "the command is not in the image, or cannot be executed"),
    "ContainerStartFailed": Code("termination", "the runtime cannot start the container, for another reason"),
    "PostStartHookFailed": Code("termination", "the postStart hook fails, so the container is killed"),
    "OOMKilled": Code("termination", "the container needs more than its memory limit"),
    "OOMKilledNoLimit": Code("termination", "the container has no memory limit, and its node ran out of memory"),
    "KilledNotOOM": Code("termination", "the container is killed by SIGKILL, and not for memory"),
    "MainProcessEnds": Code("termination", "the main process ends by itself without an error"),
    "AppCrash": Code("termination", "the application ends with an error of its own"),
    # what the log of a crashed or unready container names
    "DependencyUnreachable": Code("application", "the application cannot reach another service"),
    "NameNotResolved": Code("application", "the application asks for a host name that does not exist"),
    "DependencyRefusesLogin": Code("application", "another service refuses the application's credentials"),
    "PortInUse": Code("application", "the port is already in use"),
    "PermissionDenied": Code("application", "the application may not read, write or bind what it needs"),
    "ReadOnlyFileSystem": Code("application", "the application writes to a read-only file system"),
    "NoSpaceLeft": Code("application", "a volume or the container's file system is full"),
    "RBACForbidden": Code("application", "the API server forbids the application's service account what it needs"),
    "CertificateInvalid": Code("application", "a TLS certificate is not accepted"),
    "EnvironmentMissing": Code("application", "the application misses an environment variable or a setting"),
    "FileMissing": Code("application", "the application misses a file"),
    "ConfigurationInvalid": Code("application", "the application cannot read its configuration"),
    # initialisation
    "InitContainerStuck": Code("initialisation", "an init container runs and does not end"),
    # probes
    "LivenessProbeFailing": Code("probes", "the liveness probe fails, so the container is restarted"),
    "StartupProbeFailing": Code("probes", "the startup probe fails before the application is up, so it is restarted"),
    "ReadinessProbeFailing": Code("probes", "the readiness probe fails, so the pod gets no traffic"),
    "ReadinessGateUnmet": Code("probes", "a readiness gate is not met"),
    # nodes and eviction
    "NodeNotReady": Code("nodes", "a node does not report, or reports that it is not ready"),
    "NodePressure": Code("nodes", "a node is short of memory, disk or process ids"),
    "Evicted": Code("nodes", "the kubelet evicted pods because their node was short of a resource"),
    "EphemeralStorageExceeded": Code("nodes", "the pod used more ephemeral storage than its limit"),
    "Preempted": Code("nodes", "the pod made way for one of higher priority"),
    "PodRejected": Code("nodes", "the kubelet refuses pods that are bound to its node"),
    "SandboxFailed": Code("nodes", "the pod's sandbox or network cannot be set up"),
    "StuckTerminating": Code("nodes", "an object is being deleted and does not go"),
    # controllers
    "RolloutStuck": Code("rollouts", "a rollout makes no progress, and none of its pods says why"),
    "ServiceNameMissing": Code("rollouts", "a StatefulSet's governing Service does not exist"),
    # jobs
    "JobFailed": Code("jobs", "a job has failed for good"),
    "JobDeadlineExceeded": Code("jobs", "a job or pod ran longer than its deadline"),
    "JobStuck": Code("jobs", "a job runs and cannot finish"),
    "CronJobNotScheduled": Code("jobs", "a CronJob does not start its jobs"),
    # services
    "SelectorMismatch": Code("services", "a Service selects no pod, although pods for it run"),
    "TargetPortMismatch": Code("services", "a Service sends traffic to a port that its pods do not serve"),
    "ServiceWithoutBackend": Code("services", "a Service has no pods at all behind it"),
    "IngressBackendMissing": Code("services", "an Ingress names a Service or port that does not exist"),
    "NetworkPolicyBlocks": Code("services", "a NetworkPolicy forbids the traffic that the application needs"),
    "AutoscalerFailing": Code("services", "a HorizontalPodAutoscaler cannot scale"),
    # cluster
    "DNSDown": Code("cluster", "the cluster's DNS has no ready endpoint"),
}


def runbook(code: str) -> str:
    """The runbook of a code, below the collection's root."""
    return f"docs/runbooks/troubleshoot-{code.lower()}.md"
