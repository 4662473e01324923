# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for probes: liveness and startup probes that kill containers, readiness probes and gates that keep pods out of service."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.termination import RECENT
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence, Object, View, event_evidence, event_time

_READINESS_GRACE = 30.0  # seconds beyond the probe's own delay before a pod that is not ready counts as failing
_GATE_GRACE = 60.0  # seconds after the containers became ready
_STATUS = re.compile(r"statuscode: (?P<code>\d{3})")
_DEFAULTS = {"initialDelaySeconds": 0, "timeoutSeconds": 1, "periodSeconds": 10, "failureThreshold": 3}


class _Reason(NamedTuple):
    """Why a probe fails: ``pattern`` in the kubelet's message, what that means, what to do; {port} and the like are filled in."""

    name: str
    pattern: re.Pattern[str]
    means: str
    fix: str


_REASONS = (
    _Reason(
        "named_port",
        re.compile(r"(?i)parsing \"[^\"]*\": invalid syntax|couldn't find port|invalid port"),
        "no port of the container is called {port}",
        "Name a port that the container declares ({ports}), or add that name to its port.",
    ),
    _Reason(
        "wrong_port",
        re.compile(r"(?i)connection refused"),
        "nothing listens on port {port}",
        "Make the probe ask the port that the application listens on ({ports}), or give the application more time if it is still starting.",
    ),
    _Reason(
        "wrong_path",
        re.compile(r"statuscode: 40[45]"),
        "the application has no {path}: it answers {status}",
        "Correct the probe's path: the application answers on port {port}, but not on {path}.",
    ),
    _Reason(
        "protected",
        re.compile(r"statuscode: 40[13]"),
        "{path} asks for a login: it answers {status}",
        "Make the probe ask a path that needs no login.",
    ),
    _Reason(
        "scheme",
        re.compile(
            r"(?i)server gave HTTP response to HTTPS|malformed HTTP response|first record does not look like a TLS|client sent an HTTP"
            r" request"
        ),
        "the probe's scheme is not the application's (HTTP and HTTPS are mixed up)",
        "Set the probe's scheme to what the application serves on port {port}.",
    ),
    _Reason(
        "unhealthy",
        re.compile(r"statuscode: 5\d\d"),
        "the application itself says that it is not well: it answers {status}",
        "Find out what the application waits for or has lost (its log, its dependencies); the probe does its work.",
    ),
    _Reason(
        "timeout",
        re.compile(r"(?i)deadline exceeded|timed? ?out|timeout"),
        "it does not answer within the timeout of {timeoutSeconds} s",
        "Raise timeoutSeconds if the answer only takes longer, or find out why the application hangs.",
    ),
    _Reason(
        "missing_command",
        re.compile(r"(?i)executable file not found|no such file or directory|not found"),
        "its command or a file that it asks for does not exist in the container",
        "Correct the probe's command, or the file that it looks for.",
    ),
)
_OTHER = _Reason(
    "command", re.compile(""), "the check does not succeed", "Make the probe ask what the application serves, or mend what it checks."
)


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
            if f"{kind.lower()} probe" in event.get("message", "") and container.concerns(event)
        ]
        if not killing:
            continue
        facts = _facts(container, kind, failed)
        return Finding(
            code=code,
            container=container.name,
            evidence=[*event_evidence(evidence, failed), *event_evidence(evidence, killing), _probe_evidence(container, evidence, kind)],
            details=facts.details,
            title=f"container {container.name} is restarted because its {kind.lower()} probe fails",
            root_cause=(
                f"The {kind.lower()} probe of {container.described} ({facts.target}) fails: {facts.means} ({_said(failed)}). The kubelet"
                f" therefore kills the container; it has restarted {container.restarted}.{facts.declared}"
            ),
            suggested_fix=facts.fix
            + (
                f" A startup takes at most {facts.allowed} s here: raise failureThreshold or periodSeconds if the application needs longer."
                if kind == "Startup"
                else ""
            ),
            expected_outcome="The probe succeeds and the container is no longer restarted.",
        )
    return None


def readiness(container: Container, evidence: Evidence) -> Finding | None:
    """The container runs, and its readiness probe keeps failing."""
    probe = container.spec.get("readinessProbe")
    if container.once or not probe or not container.running or container.ready:
        return None
    if container.spec.get("startupProbe") and not container.status.get("started"):
        return None  # it is still within its startup time, and is not asked yet
    failed = _failures(container, "Readiness")
    started = container.status["state"]["running"].get("startedAt")
    age = container.view.age(started)
    if age < _READINESS_GRACE + probe.get("initialDelaySeconds", 0) or (not failed and age < RECENT):
        return None
    facts = _facts(container, "Readiness", failed)
    said = f" ({_said(failed)})" if failed else ""
    return Finding(
        code="ReadinessProbeFailing",
        container=container.name,
        evidence=[
            evidence.add(container.source(), "", f"running since {started}, ready: false, restartCount {container.restarts}"),
            *event_evidence(evidence, failed),
            _probe_evidence(container, evidence, "Readiness"),
        ],
        details=facts.details,
        title=f"container {container.name} runs but never becomes ready",
        root_cause=(
            f"The readiness probe of {container.described} ({facts.target}) fails: {facts.means}{said}. The pod gets no"
            f" traffic.{facts.declared}"
        ),
        suggested_fix=f"{facts.fix} A restart would not help.",
        expected_outcome="The pod becomes ready and receives traffic.",
    )


def readiness_gate(view: View, pod: Object, evidence: Evidence) -> Finding | None:
    """All containers are ready, and the pod is not, because a condition that something else has to set is not true."""
    conditions = {one["type"]: one for one in pod.get("status", {}).get("conditions", [])}
    gates = [one["conditionType"] for one in pod["spec"].get("readinessGates", [])]
    ready = conditions.get("ContainersReady", {})
    if not gates or ready.get("status") != "True" or conditions.get("Ready", {}).get("status") == "True":
        return None
    if view.age(ready.get("lastTransitionTime")) < _GATE_GRACE:
        return None
    unmet = [gate for gate in gates if conditions.get(gate, {}).get("status") != "True"]
    name = pod["metadata"]["name"]
    states = "; ".join(
        f"{gate}: {conditions.get(gate, {}).get('status', 'not set')} {conditions.get(gate, {}).get('message', '')}".strip()
        for gate in unmet
    )
    return Finding(
        code="ReadinessGateUnmet",
        evidence=[evidence.add(f"pod/{name} status.conditions", ready.get("lastTransitionTime") or "", f"ContainersReady: True; {states}")],
        details={"gates": unmet},
        title=f"the readiness gate {', '.join(unmet)} is not met",
        root_cause=(
            f"All containers of the pod are ready, but its readiness gate {', '.join(unmet)} is not met ({states}), so it gets no traffic."
        ),
        suggested_fix=(
            "Find the controller that has to set this condition (a load balancer controller, say) and why it does not; or drop the gate."
        ),
        expected_outcome="The condition becomes true and the pod becomes ready.",
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


class _Facts(NamedTuple):
    """What follows from a failing probe. ``details``: for remedies {probe, reason, port, path, ports[], status}."""

    target: str
    means: str
    fix: str
    declared: str
    allowed: int
    details: dict[str, Any]


def _facts(container: Container, kind: str, failed: list[Object]) -> _Facts:
    probe = container.spec.get(f"{kind.lower()}Probe") or {}
    asked: dict[str, Any] = next((probe[one] for one in ("httpGet", "tcpSocket", "grpc") if one in probe), {})
    said = " ".join(dict.fromkeys(event.get("message", "") for event in failed))
    reason = next((one for one in _REASONS if one.pattern.search(said)), _OTHER)
    if "exec" in probe and reason.name not in ("timeout", "missing_command"):
        reason = _OTHER
    ports = container.spec.get("ports", [])
    port, status = asked.get("port", ""), _STATUS.search(said)
    resolved = next((one["containerPort"] for one in ports if one.get("name") == port), port)
    numbers = [one["containerPort"] for one in ports]
    words = {
        **_DEFAULTS,
        **probe,
        "port": port,
        "path": asked.get("path", "/"),
        "status": status["code"] if status else "",
        "ports": (
            ", ".join(f"{one['containerPort']}{' ' + one['name'] if one.get('name') else ''}" for one in ports) or "the pod declares none"
        ),
    }
    elsewhere = bool(numbers) and resolved != "" and resolved not in numbers
    declared = f" The container declares port {', '.join(map(str, numbers))}, the probe asks port {port}." if elsewhere else ""
    timing = {**_DEFAULTS, **{key: value for key, value in probe.items() if key in _DEFAULTS}}
    return _Facts(
        target(probe),
        reason.means.format(**words),
        reason.fix.format(**words),
        declared,
        timing["initialDelaySeconds"] + timing["failureThreshold"] * timing["periodSeconds"],
        {
            "probe": kind.lower(),
            "reason": reason.name,
            "port": port,
            "path": asked.get("path", ""),
            "ports": numbers,
            "status": words["status"],
            "timing": timing,
        },
    )


def _failures(container: Container, kind: str) -> list[Object]:
    return [
        event
        for event in container.view.events(container.pod, "Unhealthy")
        if event.get("message", "").startswith(f"{kind} probe") and container.concerns(event)
    ]


def _said(events: list[Object]) -> str:
    return str(events[-1].get("message", "")).partition(": ")[2].strip()[:200] or "it gives no reason"


def _probe_evidence(container: Container, evidence: Evidence, kind: str) -> str:
    probe = container.spec.get(f"{kind.lower()}Probe") or {}
    timing = ", ".join(f"{key} {probe[key]}" for key in _DEFAULTS if key in probe)
    ports = ", ".join(str(port.get("containerPort")) for port in container.spec.get("ports", []))
    return evidence.add(
        f"pod/{container.pod['metadata']['name']} spec.containers[{container.name}]",
        "",
        f"{kind.lower()}Probe: {target(probe)}; {timing}; containerPorts: {ports or 'none'}",
    )
