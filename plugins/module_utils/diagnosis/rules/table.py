# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The table of rules. In each row the first rule that matches names the cause: a pod is judged in the order in which it comes to life.

A rule is a pure function of the snapshot. Rules of pods and objects: (view, item, evidence) -> Finding | None; rules of
containers: (container, evidence) -> Finding | None. A rule leaves ``object``, ``pods`` and ``severity`` empty where the analysis
can tell them: the top of the owner chain, the pod itself, and by what still serves.
"""

from __future__ import annotations

from typing import Callable

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import (
    application,
    cluster,
    configuration,
    creation,
    images,
    initialisation,
    jobs,
    nodes,
    placement,
    probes,
    rollouts,
    services,
    storage,
    termination,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.catalogue import CODES
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding, ObjectRule
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence

ContainerRule = Callable[[Container, Evidence], "Finding | None"]

# what a probe may say of the application rather than of itself: then the log knows more
_OF_THE_APPLICATION = ("unhealthy", "timeout", "command", "wrong_port")


def crashed(container: Container, evidence: Evidence) -> Finding | None:
    """A container that ended badly, and whose log says why."""
    return application.logged_cause(container, evidence) if termination.ended_badly(container) else None


def unready(container: Container, evidence: Evidence) -> Finding | None:
    """A container that runs without being ready: by its log where the probe only repeats what the application says of itself."""
    finding = probes.readiness(container, evidence)
    if finding is None or finding.details["reason"] not in _OF_THE_APPLICATION:
        return finding
    port, ports = finding.details["port"], finding.details["ports"]
    if port in ports or not ports or not port:
        logged = application.logged_cause(container, evidence)
        if logged:
            logged.evidence += [one for one in finding.evidence if one not in logged.evidence]
            return logged
    return finding


PODS: tuple[ObjectRule, ...] = (
    *storage.SCHEDULING_RULES,
    *placement.POD_RULES,
    configuration.volume,
    *storage.POD_RULES,
    *nodes.POD_RULES,
    *jobs.POD_RULES,
    probes.readiness_gate,
)
LEAVING: tuple[ObjectRule, ...] = nodes.LEAVING_RULES
CONTAINERS: tuple[ContainerRule, ...] = (
    images.image,
    configuration.reference,
    termination.hook_failed,
    termination.command_not_found,
    termination.out_of_memory,
    termination.start_failed,
    probes.liveness,
    termination.killed,
    crashed,
    termination.application_error,
    termination.main_process_ends,
    initialisation.stuck,
    unready,
    application.suffering,
)
# after the containers: pods whose containers are all well
OBJECTS: dict[str, tuple[ObjectRule, ...]] = {}
for _table in (
    creation.OBJECT_RULES,
    storage.OBJECT_RULES,
    nodes.OBJECT_RULES,
    jobs.OBJECT_RULES,
    services.OBJECT_RULES,
    rollouts.OBJECT_RULES,
    cluster.OBJECT_RULES,
):
    for _name, _rules in _table.items():
        OBJECTS[_name] = (*OBJECTS.get(_name, ()), *_rules)

# a code that says less than these others about the same container: replicas that show it belong to them
_APPLICATION = tuple(code for code, entry in CODES.items() if entry.area == "application")
VAGUE: dict[str, tuple[str, ...]] = {
    "KilledNotOOM": ("OOMKilled", "OOMKilledNoLimit", "LivenessProbeFailing", "StartupProbeFailing"),
    "AppCrash": (*_APPLICATION, "CommandNotFound", "LivenessProbeFailing", "StartupProbeFailing"),
    "ReadinessProbeFailing": (*_APPLICATION, "LivenessProbeFailing", "AppCrash"),
}
# codes whose findings concern every namespace, and codes that only say that something is wrong
EVERYWHERE = ("DNSDown",)  # it harms every namespace
SYMPTOMS = ("RolloutStuck", "JobFailed", "ServiceWithoutBackend")
# reasons of Warning events that show a failure from its beginning
FAILURE_EVENTS = (
    "BackOff",
    "Failed",
    "FailedScheduling",
    "FailedMount",
    "FailedAttachVolume",
    "FailedCreatePodSandBox",
    "FailedPostStartHook",
    "Unhealthy",
    "Evicted",
    "InspectFailed",
    "ErrImageNeverPull",
)
