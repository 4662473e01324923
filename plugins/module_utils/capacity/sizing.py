# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The figures of an autoscaler from load and start-up time, each with the sentence that says why. Pure; nothing raises.

Utilisations, thresholds and targets are fractions of the request here; percent stands in names. Times are in seconds.
"""

from __future__ import annotations

import math
from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import span

TOLERANCE = 0.1  # of the autoscaler, cluster-wide: it acts only when the metric is further than this from the target
REACTION = 60  # from a rise to new pods being asked for: kubelet 10 s, metrics-server up to 30 s, the autoscaler's loop 15 s
LOWEST = 4 / 7  # of the threshold (40 % for 70 %): below it pods are idle most of the time
MOST = 100  # replicas, unless an option says otherwise
TIMES = 10  # as many as now
# (start-up up to so many seconds, percentage points that the target lies lower)
_SLOW: tuple[tuple[float, int], ...] = ((30, 0), (120, 3), (300, 6), (math.inf, 10))
_PERIOD, _LONGEST_PERIOD = 15, 1800  # seconds, of the API
_SETTLE, _LONGEST_SETTLE = 300, 3600


class Target(NamedTuple):
    """The target in whole percent of the request, the bounds for anybody else's, and the reasoning."""

    percent: int
    low: int
    high: int
    reasoning: list[str]


def target(threshold: float, seconds: float, series: Sequence[Sequence[float]], ordered: bool = False) -> Target:
    """So low that the autoscaler acts before the threshold, and that the load may rise as it did while new pods start."""
    high = _whole(threshold / (1 + TOLERANCE))
    low = min(high, max(1, math.ceil(threshold * LOWEST * 100)))
    reasoning = [
        f"The autoscaler acts once the load is {_percent(TOLERANCE)} above its target, so the target is at most {high} %: then it acts"
        f" before the threshold of {_percent(threshold)}."
    ]
    points = next(points for limit, points in _SLOW if seconds <= limit)
    chosen = high - points
    if points:
        reasoning.append(
            f"Pods need {span(seconds)} to start and the load may grow meanwhile, so the target is {points} points lower: {chosen} %."
        )
    lead = REACTION + seconds
    rise = largest_rise(series, lead)
    ceiling = max(1.0, threshold / 0.7)
    allowed = _whole((ceiling - rise) / (1 + TOLERANCE))
    if allowed < chosen:
        chosen = max(low, allowed)
        reasoning.append(
            f"In the window the load rose by up to {_percent(rise)} of the request within {span(lead)}, the time until new pods serve. To"
            f" stay below {_percent(ceiling)} until then the target is {chosen} %"
            + (", the lowest that is used: such a rise is faster than pods start." if allowed < low else ".")
        )
    return Target(max(low, chosen), low, high, reasoning + (["Pods of this StatefulSet start one after another."] if ordered else []))


def largest_rise(series: Sequence[Sequence[float]], lead: float) -> float:
    """By how much the utilisation rose at most within so many seconds."""
    most, first = 0.0, 0
    for index, (at, value) in enumerate(series):
        while series[first][0] < at - lead:
            first += 1
        most = max(most, value - min(one[1] for one in series[first : index + 1]))
    return most


def needed(replicas: int, utilisation: float, percent: int) -> int:
    """The autoscaler's own formula: ceil(replicas x metric / target), at least 1."""
    return max(1, math.ceil(replicas * utilisation * 100 / percent - 1e-9))


def most_replicas(present: int, wanted: int | None) -> int:
    """The bound of maxReplicas that no load goes beyond."""
    return wanted if wanted is not None else max(min(TIMES * present, MOST), 2 * present if present >= MOST else 2)


def behaviour(seconds: float, ordered: bool = False) -> tuple[dict[str, Any], list[str]]:
    """autoscaling/v2 behavior: up at once, at most doubling in the time that a start takes; down late and slowly."""
    period = min(_LONGEST_PERIOD, max(_PERIOD, _PERIOD * math.ceil(seconds / _PERIOD)))
    settle = min(_LONGEST_SETTLE, max(_SETTLE, 60 * math.ceil(5 * seconds / 60)))
    spec = {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": period}, {"type": "Pods", "value": 2, "periodSeconds": period}],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": settle,
            "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
        },
    }
    one_by_one = ", though pods of this StatefulSet come one after another" if ordered else ""
    return spec, [
        (
            f"Up: at once, at most doubling (or 2 pods) every {span(period)}, about what a start takes, so that each step shows before the"
            f" next{one_by_one}."
        ),
        (
            f"Down: only after {span(settle)} of lower load, and at most by half a minute: a pod that is gone takes {span(seconds)} to come"
            " back."
        ),
    ]


def utilisations(load: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """(present, peak): the present load is the mean of the window, or what it is now where that is more."""
    found = load.get("utilisation") or {}
    now = [float(found[name]) for name in ("current", "mean") if found.get(name) is not None]
    every = [*now, *(float(found[name]) for name in ("peak",) if found.get(name) is not None)]
    return (max(now) if now else None, max(every) if every else None)


def _whole(fraction: float) -> int:
    return max(1, math.floor(fraction * 100 + 1e-9))


def _percent(fraction: float) -> str:
    return f"{round(fraction * 100)} %"
