# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for what an application says of itself in its log.

logged_cause: why a container ended with an error, or runs without being ready. suffering: what one that runs and is ready meets again and again.
``details`` of their findings: {line, finished} and what the line names of host, port, path, variable, user, verb, resource, namespace.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import command_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs import causes, reading, subjects
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.nearest import nearest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs.causes import Cause
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import initialisation
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.configuration import mounted
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.termination import ended_badly
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence

RECENT = 300.0  # seconds: a running application suffers now if its log said so within this time
_OFTEN = 900.0  # seconds within which the last three times must lie
_FROM_OUTSIDE = (137, 143)  # SIGKILL, SIGTERM: somebody else ended it, whatever the log says
_NOT_STARTED = (126, 127)  # what a shell, or the runtime, answers for a command that it cannot run
_PORT_FLAG = re.compile(r"(?:(?:^|\s)-{1,2}(?:p|port|listen|bind|l -p)[ =]|PORT=|listen(?:ing on)? :?|0\.0\.0\.0:)(\d{2,5})\b")
_CONFIGURED = {"is started": "command and args", "runs a she": "the script, or the ConfigMap it comes from,", "": "its configuration"}
# what is said of a request that got no answer; some programs crash when a name does not resolve
_ASKING = re.compile(
    r"(?i)egmentation"
    r" fault|\b(?:fetch|connect|reach|request|respon|call|download|time|refus|unavailab|down\b|http|contact|query|resolv|upstream|server)"
)
_LINE = 240  # characters of a log line in a sentence

# what a running application may suffer from: the others end it, or are said of single requests
_SUFFERED = (
    "DependencyUnreachable",
    "NameNotResolved",
    "DependencyRefusesLogin",
    "RBACForbidden",
    "CertificateInvalid",
    "NoSpaceLeft",
    "ReadOnlyFileSystem",
    "PermissionDenied",
    "ConfigurationInvalid",
)
_NEEDS_HOST = ("DependencyRefusesLogin", "DependencyUnreachable")  # without one, it may as well be a server that speaks of its clients
_TELEMETRY = (
    "otel",
    "fluent",
    "vector",
    "promtail",
    "alloy",
    "agent",
    "exporter",
    "collector",
    "jaeger",
    "telegraf",
    "filebeat",
    "metricbeat",
    "logstash",
    "statsd",
)

_TITLES = {
    "DependencyUnreachable": "cannot reach {target}",
    "NameNotResolved": "cannot resolve the name {target}",
    "DependencyRefusesLogin": "is refused by {target}",
    "PortInUse": "cannot listen on {port}, which is in use",
    "PermissionDenied": "may not use {path}",
    "ReadOnlyFileSystem": "writes to a read-only file system",
    "NoSpaceLeft": "has no space left",
    "RBACForbidden": "is forbidden by the API server to {verb} {resource}",
    "CertificateInvalid": "does not accept the certificate of {target}",
    "EnvironmentMissing": "misses {variable}",
    "FileMissing": "misses {path}",
    "ConfigurationInvalid": "cannot read its configuration",
    "ImageWrongArchitecture": "is built for another processor architecture",
    "AppCrash": "used up its heap",
}
_FIXES = {
    "DependencyUnreachable": (
        "Make {target} answer (its pods, its Service and port, NetworkPolicies between the two), or correct the address that container"
        " {container} is given."
    ),
    "NameNotResolved": (
        "Correct the host name {host} in the configuration or environment of container {container}, or create the Service that it names."
    ),
    "DependencyRefusesLogin": (
        "Give container {container} the user and password that {target} accepts: compare its Secret with what {target} was set up with."
    ),
    "PortInUse": "Let container {container} listen on another port, or change the one that has {port}: {other}.",
    "PermissionDenied": (
        "Give the user that container {container} runs as access to {path}: fsGroup for a volume, a path that it owns, or an image made for"
        " that user. Do not run it as root for this."
    ),
    "ReadOnlyFileSystem": (
        "Mount a writable volume (emptyDir or a claim) where container {container} writes ({path}), or point it to one; leave"
        " readOnlyRootFilesystem on."
    ),
    "NoSpaceLeft": (
        "Free or enlarge the volume behind {path} (`kubectl exec` with `df -h` shows how full it is), and find what fills it: logs,"
        " temporary files, data without retention."
    ),
    "RBACForbidden": "If it needs this, bind a Role with just the verb {verb} on {resource} to {user}; otherwise switch that function off.",
    "CertificateInvalid": (
        "Renew the certificate of {target}, or give container {container} the CA that signed it, under the name that the certificate is"
        " made out to; do not switch verification off."
    ),
    "EnvironmentMissing": "Set {variable} in the env of container {container}, or name a ConfigMap or Secret that holds it in envFrom.",
    "FileMissing": (
        "Put {path} where container {container} looks for it: a volume mount from a ConfigMap or Secret, the right key or subPath, or an"
        " image that has it."
    ),
    "ConfigurationInvalid": (
        "Correct {path} as the log line says, and check it with the application's own checker before it is rolled out again."
    ),
    "ImageWrongArchitecture": (
        "Use an image built for the architecture of the node, or let a nodeSelector on kubernetes.io/arch choose nodes that fit the image."
    ),
    "AppCrash": (
        "Find what fills the heap, or set the heap of the runtime (-Xmx, --max-old-space-size, memory_limit) to fit the container's memory"
        " limit. The limit itself did not end it."
    ),
}


def logged_cause(container: Container, evidence: Evidence) -> Finding | None:
    """Why a container ended with an error, or runs without being ready, where its log says so."""
    finding = _ended(container, evidence) if ended_badly(container) else None
    if finding is None and container.running and not container.ready:
        text = _log(container, "current")
        cause = causes.recurring(text, 2)
        if cause is None or not _is_recent(container, cause):
            cause = causes.first_cause(text)
        of_clients = cause is not None and cause.code == "DependencyRefusesLogin" and "host" not in cause.subjects
        if cause is not None and not of_clients and cause.code not in ("AppCrash", "ImageWrongArchitecture"):
            finding = _finding(container, evidence, cause, "current", "so it runs without being ready")
    return finding


def suffering(container: Container, evidence: Evidence) -> Finding | None:
    """What a container that runs and is ready, or that nobody asks whether it is, meets again and again."""
    if container.init or not container.running or not (container.ready or "readinessProbe" not in container.spec):
        return None
    names = f"{container.name} {container.spec.get('image', '')}".lower()
    cause = causes.recurring(_log(container, "current"), 3, any(one in names for one in _TELEMETRY))
    if cause is None:
        cause = _unanswered(container)
    if cause is None or cause.code not in _SUFFERED or not _is_recent(container, cause):
        return None
    if (cause.code in _NEEDS_HOST and "host" not in cause.subjects) or (cause.code == "PermissionDenied" and len(cause.subjects) == 0):
        return None
    finding = _finding(container, evidence, cause, "current", "again and again, while it runs")
    finding.severity = "warning"
    return finding


def _ended(container: Container, evidence: Evidence) -> Finding | None:
    ended = container.terminated
    code = ended.get("exitCode")
    if not code or code in _FROM_OUTSIDE or ended.get("reason") == "OOMKilled":
        return None
    which, text = container.log()
    cause = causes.first_cause(text)
    if cause is None and ended.get("message"):  # terminationMessagePolicy FallbackToLogsOnError, or what the application left there
        which, cause = "termination message", causes.first_cause(ended["message"])
    if cause is None or (code in _NOT_STARTED and cause.code != "ImageWrongArchitecture"):
        return None
    return _finding(container, evidence, cause, which, f"so it ends with exit code {code}")


def _unanswered(container: Container) -> Cause | None:
    """A loop that asks a Service which has nothing behind it, and whose log repeats an error without a word of why."""
    spec = container.spec
    host, port = initialisation.waits_for(command_of(spec), "")
    outside = "." in host and host.split(".")[2:3] != ["svc"]
    if not host or outside or subjects.is_local(host) or initialisation.is_served(container, host):
        return None
    newest = reading.entries(_log(container, "current"))[-20:]
    alike: dict[str, list[reading.Entry]] = {}
    for entry in newest:
        if entry.is_error:
            alike.setdefault(entry.text, []).append(entry)
    often = max(alike.values(), key=len, default=[])
    if not _ASKING.search(" ".join(alike)):
        return None
    if len(often) < 3 or any(reading.goes_well(entry) for entry in newest):
        return None
    target = f"{host}:{port}" if port else host
    last = [group[-1] for group in alike.values() if len(group) >= 3]
    line = next((one for one in last if "egmentation" not in one.text), last[0])
    return Cause(
        "DependencyUnreachable",
        line.time,
        line.text,
        f"cannot reach {target}, which its command asks",
        repeated=len(often),
        times=tuple(one.time for one in often[-3:]),
        subjects={"host": host, **({"port": str(port)} if port else {})},
    )


def _log(container: Container, which: str) -> str:
    return str(container.view.logs(container.pod, container.name).get(which) or "")


def _is_recent(container: Container, cause: Cause) -> bool:
    times = [container.view.age(one) for one in cause.times if one]
    return bool(times) and times[-1] <= RECENT and times[0] <= _OFTEN


def _finding(container: Container, evidence: Evidence, cause: Cause, which: str, effect: str) -> Finding:
    ended = container.terminated
    where = container.described
    finished = ended.get("finishedAt") or "" if which != "current" or not container.running else ""
    state = f"restartCount {container.restarts}"
    if finished:
        state += f"; ended: reason {ended.get('reason')}, exit code {ended.get('exitCode')}, at {finished}"
    if container.waiting:
        state = f"waiting: {container.waiting.get('reason')}; {state}"
    source = which if which == "termination message" else f"{which} run"
    ids = [evidence.add(container.source(), finished, state), evidence.add(container.log_source(source), cause.time, cause.line)]
    if "its port" in cause.says and "port" not in cause.subjects and (port := _shared_port(container)):
        cause = replace(cause, says=cause.says.replace("its port", f"port {port}"), subjects={**cause.subjects, "port": port})
    names = _names(container, cause)
    often = f" ({cause.repeated} times)" if cause.repeated > 1 and not cause.leads_to else ""
    follows = f", and then {cause.leads_to}{f' ({cause.repeated} times)' if cause.repeated > 1 else ''}" if cause.leads_to else ""
    after = f" It began after this line: {cause.after[:_LINE]}." if cause.after else ""
    note = _note(container, cause)
    if cause.code == "EnvironmentMissing" and "Its env " in note and "meant" not in note:
        cause = replace(cause, says=cause.says.replace("which is not set", "which is not set or has no value that it can use"))
    line = cause.line[:_LINE].rstrip(". ")
    return Finding(
        code=cause.code,
        container=container.name,
        evidence=ids,
        details={"line": cause.line, "finished": finished, **{key: value for key, value in cause.subjects.items() if key != "line"}},
        title=f"{where} {cause.says if _is_told(cause) else _TITLES[cause.code].format(**names)}",
        root_cause=f"The application in {where} {cause.says}{follows}, {effect}.{note}{after} Its log says{often}: {line}.",
        suggested_fix=(
            f"Correct the value that container {container.name} gets for {names['variable']}, where it comes from."
            if "Its env sets" in note or "Its env gives" in note
            else (
                f"Let container {container.name} listen on a port above 1023, and lead its Service there; do not run it as root for this."
                if cause.code == "PermissionDenied" and cause.subjects.get("port")
                else _FIXES[cause.code].format(**names)
            )
        ),
        expected_outcome=(
            "The error is no longer logged, and the container stays ready."
            if container.running
            else "The container starts and stays running."
        ),
    )


def _names(container: Container, cause: Cause) -> dict[str, str]:
    found = cause.subjects
    host, port = found.get("host", ""), found.get("port", "")
    where = f" in namespace {found['namespace']}" if found.get("namespace") else ""
    return {
        "container": container.name,
        "target": (f"{host}:{port}" if port else host) or "the other service",
        "host": host or "that the log line names",
        "port": f"port {port}" if port else "the port",
        "path": (
            found.get("path")
            or found.get("variable")
            or (f"port {port}" if cause.code == "PermissionDenied" and port else "")
            or _CONFIGURED.get(cause.says[:10], _CONFIGURED[""] if cause.code == "ConfigurationInvalid" else "what the log line names")
        ),
        "variable": found.get("variable") or "the setting that the log line names",
        "verb": found.get("verb") or "(as the log line says)",
        "resource": f"{found.get('resource') or found.get('path') or 'what the log line names'}{where}",
        "user": found.get("user") or f"service account {container.pod['spec'].get('serviceAccountName') or 'default'}",
        "other": _other_listener(container, port),
    }


def _set_by(container: Container, variable: str) -> str:
    """What the pod template says of a variable: where its value comes from, or a name much like it."""
    env = {one["name"]: one for one in container.spec.get("env") or []}
    if variable not in env:
        alike = nearest(variable, list(env))
        return f" Its env has {alike}, which may be meant for it." if alike else ""
    source = env[variable].get("valueFrom") or {}
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if (key := source.get(field)) is not None:
            wrong = "it is optional, so the key may be missing" if key.get("optional") else "the value there is what is wrong"
            return f" Its env sets {variable} from key {key.get('key')} of {kind} {key.get('name')}: {wrong}."
    return "" if source else f" Its env gives {variable} {'a value of its own' if env[variable].get('value') else 'an empty value'}."


def _is_told(cause: Cause) -> bool:
    """Whether a configuration is wrong in a way of its own: options, line ends."""
    return cause.code == "ConfigurationInvalid" and not cause.says.startswith("cannot read")


def _listens(spec: dict[str, Any]) -> set[str]:
    """The ports that a container declares, or that stand behind a port flag or in a variable PORT."""
    words = command_of(spec)
    declared = {str(one.get("containerPort")) for one in spec.get("ports") or []}
    named = {
        str(one.get("value")) for one in spec.get("env") or [] if "PORT" in one.get("name", "") and str(one.get("value", "")).isdigit()
    }
    return declared | named | set(_PORT_FLAG.findall(words))


def _neighbours(container: Container) -> list[dict[str, Any]]:
    """The other containers that run at the same time."""
    spec = container.pod["spec"]
    lasting = [one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"]
    return [one for one in [*lasting, *spec.get("containers", [])] if one["name"] != container.name]


def _shared_port(container: Container) -> str:
    """The one port that this container and a neighbour both say that they use."""
    mine = _listens(container.spec)
    shared = {port for one in _neighbours(container) for port in mine & _listens(one)}
    return next(iter(shared)) if len(shared) == 1 else next(iter(mine)) if len(mine) == 1 else ""


def _other_listener(container: Container, port: str) -> str:
    """Who else in the pod says that it uses a port."""
    for one in _neighbours(container):
        if port in _listens(one):
            declares = any(str(item.get("containerPort")) == port for item in one.get("ports") or [])
            return f"container {one['name']} of the same pod {'declares containerPort' if declares else 'listens on port'} {port}"
    if container.pod["spec"].get("hostNetwork"):
        return "the pod uses the node's network, so it may be any process of the node"
    return "another container of the pod, or a second process in this one"


def _note(container: Container, cause: Cause) -> str:
    """What the pod itself says about the host or port that a line names. What a Service says about it is added by upstream."""
    host, port = cause.subjects.get("host", ""), cause.subjects.get("port", "")
    if cause.code == "PortInUse":
        other = _other_listener(container, port)
        return f" {other[0].upper()}{other[1:]}." if "same pod" in other else ""
    if cause.code in ("DependencyUnreachable", "NameNotResolved") and host and subjects.is_local(host):
        return f" {host} is the pod itself: the address of the service is probably not set."
    if cause.code in ("EnvironmentMissing", "ConfigurationInvalid") and cause.subjects.get("variable"):
        return _set_by(container, cause.subjects["variable"])
    if cause.code in ("FileMissing", "ConfigurationInvalid", "PermissionDenied", "ReadOnlyFileSystem", "NoSpaceLeft"):
        return mounted(container, cause.subjects.get("path", ""))
    return ""
