# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which remedies each finding has, best first; and why, where a code has none.

A remedy follows from facts: it never invents values, never raises memory for a kill that was not out-of-memory, never loosens
security to make a pod run, and carries no secret into a plan.
"""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.catalogue import CODES
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy import memory, placing, pods, probe, references, revisions, service
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import Bounds, Proposer, Remedy
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import View

_UNDO = revisions.undo_rollout
_IMAGE = (_UNDO, revisions.restore_image)
_REFERENCE = (_UNDO, references.mark_optional, references.correct_reference, revisions.restore_environment)
_PROBE = (probe.correct_port, probe.correct_path, _UNDO, revisions.restore_probes, probe.more_time, probe.startup_first)
_APPLICATION = (pods.restart_pod, _UNDO, revisions.restore_environment)

PROPOSERS: dict[str, tuple[Proposer, ...]] = {
    **{code: _APPLICATION for code, entry in CODES.items() if entry.area == "application"},
    "ImageNotFound": _IMAGE,
    "ImagePullRefused": _IMAGE,
    "ImagePullFailed": _IMAGE,
    "InvalidImageName": _IMAGE,
    "ImageNeverPulled": _IMAGE,
    "ImageWrongArchitecture": _IMAGE,
    "ConfigMapMissing": _REFERENCE,
    "SecretMissing": (_UNDO, references.correct_reference, revisions.restore_environment),
    "ConfigKeyMissing": _REFERENCE,
    "RunAsNonRootViolated": (_UNDO, revisions.restore_image),
    "ContainerConfigError": (_UNDO, revisions.restore_environment),
    "ClaimMissing": (_UNDO,),
    "VolumeMountFailed": (_UNDO,),
    "InsufficientCPU": (_UNDO, revisions.restore_resources, placing.lower_request),
    "InsufficientMemory": (_UNDO, revisions.restore_resources, placing.lower_request),
    "InsufficientResource": (_UNDO, revisions.restore_resources),
    "NodeSelectorMismatch": (_UNDO, placing.correct_node_selector),
    "UntoleratedTaint": (_UNDO,),
    "PodAffinityUnsatisfiable": (_UNDO,),
    "TopologySpreadUnsatisfiable": (_UNDO,),
    "HostPortConflict": (_UNDO,),
    "NodeMissing": (_UNDO,),
    "SchedulerMissing": (_UNDO,),
    "Unschedulable": (_UNDO,),
    "QuotaExceeded": (_UNDO,),
    "QuotaRequiresLimits": (_UNDO,),
    "LimitRangeViolated": (_UNDO,),
    "PodSecurityViolation": (_UNDO,),
    "AdmissionDenied": (_UNDO,),
    "ServiceAccountMissing": (_UNDO,),
    "PriorityClassMissing": (_UNDO,),
    "PodsNotCreated": (_UNDO,),
    "CommandNotFound": (_UNDO, revisions.restore_command, revisions.restore_image),
    "ContainerStartFailed": (_UNDO, revisions.restore_directory),
    "PostStartHookFailed": (_UNDO, revisions.restore_hooks),
    "OOMKilled": (memory.raise_memory_limit, _UNDO),
    "MainProcessEnds": (_UNDO, revisions.restore_command),
    "AppCrash": (*_APPLICATION, revisions.restore_command),
    "InitContainerStuck": (_UNDO, revisions.restore_command),
    "LivenessProbeFailing": _PROBE,
    "StartupProbeFailing": _PROBE,
    "ReadinessProbeFailing": _PROBE,
    "ReadinessGateUnmet": (_UNDO,),
    "EphemeralStorageExceeded": (_UNDO, pods.delete_leftovers),
    "Evicted": (pods.delete_leftovers,),
    "PodRejected": (pods.delete_leftovers,),
    "RolloutStuck": (_UNDO,),
    "SelectorMismatch": (service.correct_selector,),
    "TargetPortMismatch": (service.correct_target_port,),
}
# why no change is proposed, for the codes whose remedy is not a change to the workload
ADVICE_ONLY = {
    "KilledNotOOM": "the memory limit was not the cause, and who sent the signal is not in the API",
    "OOMKilledNoLimit": "how much memory the container needs is not known, so no limit can be derived",
    "SchedulingGated": "whoever set the scheduling gate has to remove it",
    "ClaimPending": "which volume the claim should have is for whoever runs the storage to decide",
    "StorageClassMissing": "the class of a claim cannot be changed: it has to be deleted and created again, with its data in mind",
    "ProvisioningFailed": "the storage provisioner is at fault, not the workload",
    "ClaimLost": "the data of the claim may be lost: a person has to look before anything is changed",
    "VolumeNodeConflict": "moving the volume or the pod is a decision about data",
    "VolumeAttachConflict": "detaching a volume that another node may still write to can destroy data",
    "NodesCordoned": "whoever cordoned the nodes had a reason",
    "WebhookUnavailable": "the webhook's owner has to mend it; switching it off would let unchecked objects in",
    "NodeNotReady": "a node has to be mended or replaced by whoever runs it",
    "NodePressure": "what to move off a full node is a decision about all that runs there",
    "Preempted": "which workload matters more is what priorities say; a person sets them",
    "SandboxFailed": "the node's network or runtime is at fault, not the workload",
    "StuckTerminating": "removing a finalizer or forcing a deletion skips the clean-up that it stands for",
    "JobFailed": "a job runs its pods once; whether it may run again is for its owner to say",
    "JobDeadlineExceeded": "whether the job is too slow or its deadline too short is for its owner to say",
    "JobStuck": "what keeps the job from ending is part of its own specification",
    "CronJobNotScheduled": "when a job may run is for its owner to say",
    "ServiceNameMissing": "which Service should name the pods is for the owner of the application to say",
    "ServiceWithoutBackend": "there is nothing behind the Service that it could be pointed at",
    "IngressBackendMissing": "where the traffic should go is for the owner of the application to say",
    "NetworkPolicyBlocks": "a policy is a security boundary: loosening it is for its owner to decide",
    "AutoscalerFailing": "what to scale on is for the owner of the application to say",
    "DNSDown": "the cluster's DNS is run by the cluster's owner",
}
_NOTHING = "no change follows from the facts alone; a person has to decide"


def propose(view: View, finding: Finding, bounds: Bounds) -> tuple[list[Remedy], list[str]]:
    """(remedies, best first; reasons why others do not apply)."""
    subject = view.object(finding.object)
    if subject is None:
        return [], ["the object that the finding is about was not read"]
    outcomes = [proposer(view, finding, subject, bounds) for proposer in PROPOSERS.get(finding.code, ())]
    remedies = [remedy for remedy, _reason in outcomes if remedy]
    reasons = [reason for remedy, reason in outcomes if not remedy and reason]
    if not remedies and not reasons:
        reasons = [ADVICE_ONLY.get(finding.code, _NOTHING)]
    return remedies, reasons
