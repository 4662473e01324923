# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How long a pod of a workload takes from its node being chosen until it serves: measured on its pods, or assumed from its probes.

``startup(workload, objects)`` gives plain data, times in seconds:

    seconds (what to reckon with), measured (whether it was), median, worst, pull (longest image pull known) or None,
    pods (how many count), left_out[{name, why}], sentence, notes[]

The API keeps times in whole seconds. Pure; nothing raises.
"""

from __future__ import annotations

import re
from statistics import median
from typing import Any, Mapping


from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import Objects, pods_of
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready, statuses_of
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock

Object = dict[str, Any]

START = 5.0  # assumed for sandbox, volumes and process, where nothing was measured
NOTHING_KNOWN = 30.0  # assumed for a pod without probes and without a sibling to look at
LONGEST = 1800.0  # beyond this a pod became ready again, rather than late
_PULLED = re.compile(r"Successfully pulled image .* in ([0-9hms.µ]+)")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|µs)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6}


def startup(workload: Mapping[str, Any], objects: Objects) -> Object:
    """See the module's description."""
    pulls = _pulls(objects)
    spec = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    longest = max(LONGEST, 2 * _allowed(spec))
    left_out: list[Object] = []
    times: list[float] = []
    pulled: list[float] = []
    for pod in pods_of(workload, objects):
        seconds, why = _of(pod, longest)
        if seconds is None:
            left_out.append({"name": plain(pod["metadata"]["name"]), "why": why})
            continue
        pull = pulls.get(str(pod["metadata"].get("uid", "")), 0.0)
        pulled += [pull] if pull else []
        times.append(max(0.0, seconds - pull))
    base: Object = {"pods": len(times), "left_out": left_out, "pull": round(max(pulled), 1) if pulled else None, "notes": []}
    if not times:
        return {**base, **_assumed(spec)}
    middle, worst = median(times), max(times)
    notes = ["times are in whole seconds, as the API keeps them"]
    if pulled:
        notes.append(f"without the image pull, which took up to {clock.span(max(pulled))}; a node that lacks the image adds it")
    else:
        notes.append("an image pull is in it where the node lacked the image: no event says so any more")
    return {
        **base,
        "measured": True,
        "median": round(middle, 1),
        "worst": round(worst, 1),
        "seconds": round(worst, 1),
        "sentence": f"Its pods needed {clock.span(middle)} from node to ready (median of {len(times)}), {clock.span(worst)} at worst.",
        "notes": notes,
    }


def _of(pod: Mapping[str, Any], longest: float) -> tuple[float | None, str]:
    """(seconds, why not)."""
    status = pod.get("status") or {}
    if not is_ready(pod):
        return None, "is not ready"
    if any(one.get("restartCount", 0) > 0 for one in statuses_of(pod) if not _finished(one)):
        return None, "was restarted, so its times are of a later start"
    begun, ready = _when(status, "PodScheduled") or str(pod["metadata"].get("creationTimestamp", "")), _when(status, "Ready")
    try:
        seconds = clock.seconds_between(begun, ready)
        started = [
            str(one["state"]["running"]["startedAt"])
            for one in status.get("containerStatuses") or ()
            if (one.get("state") or {}).get("running")
        ]
        after = clock.seconds_between(max(started), ready) if started else 0.0
    except (ValueError, TypeError, KeyError):
        return None, "has no times that can be read"
    if seconds < 0 or after < -1:
        return None, "has times that contradict each other"
    if after > longest or seconds > 2 * longest:
        return None, "became ready again much later than it started"
    return seconds, ""


def _finished(status: Mapping[str, Any]) -> bool:
    return ((status.get("state") or {}).get("terminated") or {}).get("exitCode") == 0


def _when(status: Mapping[str, Any], kind: str) -> str:
    return next(
        (
            str(one.get("lastTransitionTime") or "")
            for one in status.get("conditions") or ()
            if one.get("type") == kind and one.get("status") == "True"
        ),
        "",
    )


def _pulls(objects: Objects) -> dict[str, float]:
    """{uid of a pod: seconds of its image pulls}, where events still say it."""
    found: dict[str, float] = {}
    for event in objects.get("events") or ():
        match = _PULLED.search(str(event.get("message", ""))) if event.get("reason") == "Pulled" else None
        if match:
            uid = str((event.get("involvedObject") or {}).get("uid", ""))
            found[uid] = found.get(uid, 0.0) + sum(float(number) * _UNITS[unit] for number, unit in _SPAN.findall(match.group(1)))
    return found


def _probes(spec: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [one[name] for one in spec.get("containers") or () if one.get(name)]


def _number(probe: Mapping[str, Any], name: str, default: float) -> float:
    value = probe.get(name)
    return float(value) if isinstance(value, (int, float)) and value >= 0 else default


def _allowed(spec: Mapping[str, Any]) -> float:
    """How long startup probes let a start take."""
    return max(
        (
            _number(probe, "initialDelaySeconds", 0) + _number(probe, "periodSeconds", 10) * _number(probe, "failureThreshold", 3)
            for probe in _probes(spec, "startupProbe")
        ),
        default=0.0,
    )


def _assumed(spec: Mapping[str, Any]) -> Object:
    """From the probes: what they wait for at least. Half of what a startup probe allows, as its author expected such starts."""
    ready = max(
        (_number(probe, "initialDelaySeconds", 0) + _number(probe, "periodSeconds", 10) for probe in _probes(spec, "readinessProbe")),
        default=0.0,
    )
    allowed = _allowed(spec)
    seconds = START + ready + allowed / 2 if ready or allowed else NOTHING_KNOWN
    why = (
        f"from its probes ({clock.span(ready)} until readiness, {clock.span(allowed)} allowed for the start)"
        if ready or allowed
        else "it has no probes"
    )
    return {
        "measured": False,
        "median": None,
        "worst": None,
        "seconds": seconds,
        "sentence": f"No pod shows how long a start takes; {clock.span(seconds)} are assumed: {why}.",
        "notes": [],
    }
