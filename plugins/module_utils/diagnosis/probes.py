# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for probes: liveness and startup probes that kill containers, readiness probes that keep pods out of service."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.termination import RECENT
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence, event_evidence, event_time

_READINESS_GRACE = 30.0  # seconds beyond the probe's own delay before a pod that is not ready counts as failing


def liveness(container: Container, evidence: Evidence) -> Finding | None:
    """The kubelet killed the container because its liveness or startup probe failed."""
    for kind, code in (("Startup", "StartupProbeFailing"), ("Liveness", "LivenessProbeFailing")):
        failed = _failures(container, kind)
        restarted = container.restarts > 0 and container.terminated
        if not failed or not restarted or container.view.age(event_time(failed[-1])) > RECENT:
            continue
        killing = [
            event
            for event in container.view.events(container.pod, "Killing")
            if f"{kind.lower()} probe" in event.get("message", "") and _about(container, event)
        ]
        if not killing:
            continue
        probe = container.spec.get(f"{kind.lower()}Probe") or {}
        ids = [*event_evidence(evidence, failed), *event_evidence(evidence, killing), _probe_evidence(container, evidence, kind, probe)]
        return Finding(
            code=code,
            container=container.name,
            evidence=ids,
            details={"probe": kind.lower()},
            title=f"container {container.name} is restarted because its {kind.lower()} probe fails",
            root_cause=(
                f"The {kind.lower()} probe ({target(probe)}) fails: {_said(failed)}. The kubelet therefore kills container"
                f" {container.name}; it has restarted {container.restarted}."
            ),
            suggested_fix=(
                f"Make the {kind.lower()} probe ask what the application serves (port, path), or give it more time; correct the application"
                " if it really hangs."
            ),
            expected_outcome="The probe succeeds and the container is no longer restarted.",
        )
    return None


def readiness(container: Container, evidence: Evidence) -> Finding | None:
    probe = container.spec.get("readinessProbe")
    if container.init or not probe or not container.running or container.ready:
        return None
    failed = _failures(container, "Readiness")
    started = container.status["state"]["running"].get("startedAt")
    if not failed or container.view.age(started) < _READINESS_GRACE + probe.get("initialDelaySeconds", 0):
        return None
    ids = [
        evidence.add(container.source(), "", f"running since {started}, ready: false, restartCount {container.restarts}"),
        *event_evidence(evidence, failed),
        _probe_evidence(container, evidence, "Readiness", probe),
    ]
    return Finding(
        code="ReadinessProbeFailing",
        container=container.name,
        evidence=ids,
        details={"probe": "readiness"},
        title=f"container {container.name} runs but never becomes ready",
        root_cause=f"The readiness probe ({target(probe)}) fails: {_said(failed)}. The pod gets no traffic.",
        suggested_fix=(
            "Make the probe ask what the application serves (port, path), or mend the dependency it waits for; a restart would not help."
        ),
        expected_outcome="The pod becomes ready and receives traffic.",
    )


def target(probe: dict[str, Any]) -> str:
    """What a probe asks: ``HTTP GET :8080/health``, ``TCP :5432``, ``exec cat /tmp/ready``."""
    if "httpGet" in probe:
        return f"HTTP GET :{probe['httpGet'].get('port')}{probe['httpGet'].get('path', '/')}"
    if "tcpSocket" in probe:
        return f"TCP :{probe['tcpSocket'].get('port')}"
    if "grpc" in probe:
        return f"gRPC :{probe['grpc'].get('port')}"
    return f"exec {' '.join(probe.get('exec', {}).get('command', []))}"[:120]


def _failures(container: Container, kind: str) -> list[dict[str, Any]]:
    return [
        event
        for event in container.view.events(container.pod, "Unhealthy")
        if event.get("message", "").startswith(f"{kind} probe") and _about(container, event)
    ]


def _about(container: Container, event: dict[str, Any]) -> bool:
    """Whether an event about a pod is about this container of it."""
    path = f"{{{container.name}}}"
    return path in event.get("involvedObject", {}).get("fieldPath", path)


def _said(events: list[dict[str, Any]]) -> str:
    return str(events[-1].get("message", "")).partition(": ")[2].strip()[:200] or "it gives no reason"


def _probe_evidence(container: Container, evidence: Evidence, kind: str, probe: dict[str, Any]) -> str:
    timing = ", ".join(
        f"{key} {probe[key]}" for key in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold") if key in probe
    )
    ports = ", ".join(str(port.get("containerPort")) for port in container.spec.get("ports", []))
    return evidence.add(
        f"pod/{container.pod['metadata']['name']} spec.containers[{container.name}]",
        "",
        f"{kind.lower()}Probe: {target(probe)}; {timing}; containerPorts: {ports or 'none'}",
    )
