# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Probes that ask the wrong port or path, or leave too little time, where the container itself proves what is right."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import (
    Bounds,
    Outcome,
    Remedy,
    container_of,
    edited,
    managed,
    without_template,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View

_ASKS = ("httpGet", "tcpSocket", "grpc")
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_MOST_STARTUP = 900  # seconds that a startup may be given without a person's word
_MOST_TIMEOUT = 10  # seconds
_LEAVES = ["it does not change what the probe is for; it is never removed"]


def correct_port(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """The probe asks a port that the container does not declare, and it declares exactly one."""
    facts, probe, container = _asked(finding, workload)
    if container is None or facts.get("reason") not in ("wrong_port", "named_port", "timeout") or not probe:
        return None, ""
    declared = {one["containerPort"]: one.get("name", "") for one in container.get("ports", []) if one.get("protocol", "TCP") == "TCP"}
    port = facts["port"]
    if port in declared or port in declared.values():
        return None, f"the probe asks port {port}, which the container declares; whether it listens there only the application knows"
    others = {asks["port"] for asks in _other_asks(view, container, finding) if asks.get("port") in declared}
    right = next(iter(declared)) if len(declared) == 1 else next(iter(others)) if len(others) == 1 else None
    if right is None:
        return (
            None,
            (
                f"the container declares {'ports ' + ', '.join(map(str, declared)) if declared else 'no port'}, so which one the probe"
                " should ask is not known"
            ),
        )
    return (
        _changed(
            finding,
            workload,
            "correct_probe_port",
            {"port": right},
            f"port {port} to port {right}",
            "the only port that the container declares" if len(declared) == 1 else "the port that its other probe asks",
        ),
        "",
    )


def correct_path(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """The application answers, but not on this path, and another probe of the container that succeeds asks another path of that port."""
    facts, probe, container = _asked(finding, workload)
    if container is None or facts.get("reason") not in ("wrong_path", "protected") or "httpGet" not in probe:
        return None, ""
    mine = probe["httpGet"]
    others = {
        asks.get("path", "/") for asks in _other_asks(view, container, finding, "httpGet") if asks.get("port") == mine.get("port")
    } - {mine.get("path", "/")}
    if len(others) != 1:
        return None, f"which path the application answers on is not known from the pod; {mine.get('path', '/')} it does not know"
    right = others.pop()
    return (
        _changed(
            finding,
            workload,
            "correct_probe_path",
            {"path": right},
            f"path {mine.get('path', '/')} to {right}",
            "what the container's other probe asks",
        ),
        "",
    )


def more_time(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """Twice the time: for a startup that is cut off, and for an answer that comes after the timeout."""
    facts, probe, container = _asked(finding, workload)
    if container is None or not probe:
        return None, ""
    timing, reason = facts["timing"], facts["reason"]
    if reason == "timeout":
        longer = min(max(timing["timeoutSeconds"] * 2, 3), _MOST_TIMEOUT)
        if longer <= timing["timeoutSeconds"]:
            return None, f"the probe's timeout of {timing['timeoutSeconds']} s is long already; the application hangs"
        return (
            _timed(
                finding,
                workload,
                {"timeoutSeconds": longer},
                f"the timeout of the {facts['probe']} probe from {timing['timeoutSeconds']} to {longer} s",
            ),
            "",
        )
    if facts["probe"] != "startup" or reason in ("wrong_path", "protected", "scheme", "named_port", "missing_command"):
        return None, ""
    if facts.get("listens"):
        return None, f"the application seems to listen on port {', '.join(map(str, facts['listens']))}: more time would not help"
    asked_elsewhere = (
        facts["ports"]
        and facts["port"] not in ("", *facts["ports"])
        and facts["port"] not in [one.get("name") for one in container.get("ports", [])]
    )
    if asked_elsewhere:
        return None, ""
    allowed = timing["failureThreshold"] * timing["periodSeconds"]
    if allowed * 2 > _MOST_STARTUP:
        return None, f"the startup probe gives {allowed} s already; find out why the application takes so long"
    more = timing["failureThreshold"] * 2
    while more * timing["periodSeconds"] < 30:
        more *= 2
    return (
        _timed(
            finding,
            workload,
            {"failureThreshold": more},
            f"the time that a startup may take from {allowed} to {more * timing['periodSeconds']} s (failureThreshold of the startup"
            " probe)",
        ),
        "",
    )


def startup_first(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    """A startup probe that asks the same, for a container that its liveness probe kills before it has ever been ready."""
    facts, probe, container = _asked(finding, workload)
    if (
        container is None
        or facts.get("probe") != "liveness"
        or container.get("startupProbe")
        or facts["reason"] not in ("wrong_port", "timeout")
    ):
        return None, ""
    asks = {key: value for key, value in probe.items() if key in (*_ASKS, "exec")}
    port = facts["port"]
    if port and port not in facts["ports"] and port not in [one.get("name") for one in container.get("ports", [])]:
        return None, ""
    added = {**asks, "periodSeconds": 10, "failureThreshold": 30}

    def edit(desired: Object) -> None:
        (container_of(desired, finding.container) or {})["startupProbe"] = added

    return (
        _remedy(
            finding,
            workload,
            "add_startup_probe",
            edit,
            f"give container {finding.container} up to 300 s to start, with a startup probe that asks what its liveness probe asks",
            "the liveness probe itself stays as it is, and begins once the startup probe has succeeded",
        ),
        "",
    )


def _asked(finding: Finding, workload: Object) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None]:
    """(facts of the finding, the probe in the template, its container or None where the template cannot be changed)."""
    if without_template(workload, "the probe") or "probe" not in finding.details:
        return finding.details, {}, None
    container = container_of(workload, finding.container)
    probe = (container or {}).get(f"{finding.details['probe']}Probe") or {}
    asked: dict[str, Any] = next((probe[one] for one in _ASKS if one in probe), {})
    if asked.get("port", "") != finding.details["port"]:
        return finding.details, {}, None  # the template has moved on since the pod was made
    return finding.details, probe, container


def _other_asks(view: View, container: dict[str, Any], finding: Finding, *kinds: str) -> list[dict[str, Any]]:
    """What the container's other probes ask, those that have not failed in any of the failing pods."""
    failed = {
        event.get("message", "").partition(" probe")[0].lower()
        for pod in finding.pods
        for event in view.events({"metadata": {"uid": pod["uid"]}}, "Unhealthy")
    }
    return [
        container[one][kind]
        for one in _PROBES
        if one in container and one.removesuffix("Probe") not in {finding.details["probe"], *failed}
        for kind in kinds or _ASKS
        if kind in container[one]
    ]


def _changed(finding: Finding, workload: Object, name: str, values: dict[str, Any], what: str, why: str) -> Remedy | None:
    def edit(desired: Object) -> None:
        probe = (container_of(desired, finding.container) or {})[f"{finding.details['probe']}Probe"]
        next(probe[one] for one in _ASKS if one in probe).update(values)

    return _remedy(
        finding, workload, name, edit, f"change the {finding.details['probe']} probe of container {finding.container} from {what}", why
    )


def _timed(finding: Finding, workload: Object, values: dict[str, Any], what: str) -> Remedy | None:
    def edit(desired: Object) -> None:
        (container_of(desired, finding.container) or {})[f"{finding.details['probe']}Probe"].update(values)

    return _remedy(finding, workload, "more_probe_time", edit, f"raise {what}", "one bounded step")


def _remedy(finding: Finding, workload: Object, name: str, edit: Any, summary: str, why: str) -> Remedy | None:
    changes = edited(workload, edit)
    if not changes:
        return None
    return Remedy(name, summary, changes, "the probe is set back, which starts another rolling update", [why, *managed(workload)], _LEAVES)
