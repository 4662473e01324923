# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for probes: liveness and startup probes that kill containers, readiness probes and gates that keep pods out of service."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import command_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import ports as served
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs import reading
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.initialisation import waits_for
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.termination import RECENT
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence, Object, View, event_evidence, event_time

_READINESS_GRACE = 30.0  # seconds beyond the probe's own delay before a pod that is not ready counts as failing
_GATE_GRACE = 60.0  # seconds after the containers became ready
_STATUS = re.compile(r"statuscode: (?P<code>\d{3})")
# what the kubelet says of a command that took too long; the command's own words may speak of timeouts, too
_COMMAND_TIMED_OUT = re.compile(r"(?i)command timed out|timed out after \d|DeadlineExceeded|context deadline exceeded|timeout \S+ exceeded")
_RUNTIME = re.compile(r"^rpc error: .{0,300}?(?=exec: \")")  # what the runtime says before it comes to the point
_MISUSED = re.compile(r"(?i)(?:invalid|unrecogni[sz]ed|unknown|illegal) option|command not found|: not found|executable file not found")
_LOOPBACK = re.compile(
    r"(?i)(?:\b(?:listen\w*|bind\w*|bound|serv\w+|running|start\w*|addr\w*|host|httpd|uvicorn|gunicorn|-p|-b|-s|-l)\b[^\n]{0,60}?)"
    r"(?:127\.0\.0\.1|localhost|\[::1\])(?::(?P<port>\d{2,5}))?"
)
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
        re.compile(r"(?i)failed to connect service"),
        "nothing on port {port} answers gRPC",
        "Make the probe ask the port on which the application serves gRPC health checks ({ports}), or use a probe of another kind.",
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
        "the probe asks {scheme}, and the application does not speak that there (HTTP and HTTPS are mixed up)",
        "Set the probe's scheme (now {scheme}) to what the application serves on port {port}.",
    ),
    _Reason(
        "refused",
        re.compile(r"statuscode: (?:4\d\d|3\d\d)"),
        "the application does not accept the request: it answers {status}",
        "Correct what the probe asks on port {port}: path {path}, scheme {scheme} (an HTTPS server answers 400 to HTTP), host header.",
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
                f" therefore kills the container; it has restarted {container.restarted}.{facts.declared}{_last_words(container, facts)}"
            ),
            suggested_fix=facts.fix
            + (
                f" A startup takes at most {facts.allowed} s here: raise failureThreshold or periodSeconds if the application needs longer."
                if kind == "Startup" and not facts.details.get("listens")
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
        return f"{probe['httpGet'].get('scheme') or 'HTTP'} GET :{probe['httpGet'].get('port')}{probe['httpGet'].get('path', '/')}"
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
    if "exec" in probe and (
        reason.name not in ("timeout", "missing_command") or reason.name == "timeout" and not _COMMAND_TIMED_OUT.search(said)
    ):
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
        "scheme": asked.get("scheme") or "HTTP",
        "status": status["code"] if status else "",
        "ports": (
            ", ".join(f"{one['containerPort']}{' ' + one['name'] if one.get('name') else ''}" for one in ports) or "the pod declares none"
        ),
    }
    elsewhere = bool(numbers) and resolved != "" and resolved not in numbers
    declared = f" The container declares port {', '.join(map(str, numbers))}, the probe asks port {port}." if elsewhere else ""
    host, host_port = _asked(container, probe, said)
    declared += f" The check asks {host}{f':{host_port}' if host_port else ''}, another service." if host else ""
    means, fix = reason.means.format(**words), reason.fix.format(**words)
    others: list[int] = []
    if reason.name == "wrong_port":
        if resolved in numbers and "exec" not in probe and "grpc" not in probe:
            fix = (
                f"Find out why the application does not listen on port {resolved}, as it declares: its settings, or a start that takes"
                " longer."
            )
        means, fix, others = _elsewhere(container, resolved, means, fix)
    if host and kind == "Liveness":
        fix += f" A liveness probe must not depend on {host}: a restart of this container does not bring it back."
    timing = {**_DEFAULTS, **{key: value for key, value in probe.items() if key in _DEFAULTS}}
    return _Facts(
        target(probe),
        means,
        fix,
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
            **({"host": host, "host_port": host_port} if host else {}),
            **({"listens": others} if others else {}),
        },
    )


def _last_words(container: Container, facts: _Facts) -> str:
    """What the application said before it was killed, where the probe only repeats that something is wrong with it."""
    if facts.details["reason"] not in ("unhealthy", "timeout", "command", "wrong_port"):
        return ""
    logs = container.view.snapshot["logs"].get(container.key) or {}
    line = reading.telling_line(logs.get("previous") or "")
    return f" Its log before that says: {line.text[:200].rstrip('. ')}." if line else ""


def _asked(container: Container, probe: dict[str, Any], said: str) -> tuple[str, int]:
    """(host, port or 0) of another service that a probe's command asks; ("", 0) where it cannot be told, or where the command is wrong itself."""
    host, port = waits_for(" ".join((probe.get("exec") or {}).get("command") or []), "")
    name, _dot, rest = host.partition(".")
    namespace = rest.split(".")[0] or container.pod["metadata"].get("namespace", "")
    known = bool(port) or container.view.named("services", namespace, name) is not None
    return (host, port) if host and known and not _MISUSED.search(said) else ("", 0)


def _elsewhere(container: Container, port: Any, means: str, fix: str) -> tuple[str, str, list[int]]:
    """(means, fix, other ports): what command, environment and log say of where it listens instead: on 127.0.0.1 alone, or on another port."""
    spec = container.spec
    texts = [command_of(spec), container.log()[1]]
    local = next((match for text in texts for match in _LOOPBACK.finditer(text) if match["port"] in (None, str(port))), None)
    mine = {**container.pod, "spec": {"containers": [spec]}}
    others = sorted(served.listens(container.view, mine) - {port})
    if local and not others:
        return (
            f"{means}, because the application listens on {local[0].split()[-1]} only, which nothing outside the container reaches",
            f"Let the application listen on all addresses (0.0.0.0:{port}) instead of {local[0].split()[-1]}.",
            [],
        )
    if others and port not in served.listens(container.view, mine):
        where = ", ".join(map(str, others))
        return (
            f"{means}; its command, environment or log says that it listens on port {where}",
            f"Make the probe ask port {where}, or let the application listen on port {port}.",
            others,
        )
    return means, fix, []


def _failures(container: Container, kind: str) -> list[Object]:
    return [
        event
        for event in container.view.events(container.pod, "Unhealthy")
        if event.get("message", "").startswith(f"{kind} probe") and container.concerns(event)
    ]


def _said(events: list[Object]) -> str:
    said = str(events[-1].get("message", "")).partition(": ")[2].strip().partition("\n\n")[0]  # a usage text may follow
    said = _RUNTIME.sub("", said)
    return " ".join(said.split())[:200] or "it gives no reason"


def _probe_evidence(container: Container, evidence: Evidence, kind: str) -> str:
    probe = container.spec.get(f"{kind.lower()}Probe") or {}
    timing = ", ".join(f"{key} {probe[key]}" for key in _DEFAULTS if key in probe)
    ports = ", ".join(str(port.get("containerPort")) for port in container.spec.get("ports", []))
    return evidence.add(
        f"pod/{container.pod['metadata']['name']} spec.containers[{container.name}]",
        "",
        f"{kind.lower()}Probe: {target(probe)}; {timing}; containerPorts: {ports or 'none'}",
    )
