# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The arithmetic of a HorizontalPodAutoscaler: what it asks for, the target that keeps its point, the order of two changes.

Requests and what is used are cores and bytes of one pod, targets whole percent of the request. Pure; nothing raises.
"""

from __future__ import annotations

import math
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit

LOW, HIGH = 10, 95  # percent of the request that a target may be
TOLERANCE = 0.1  # of the autoscaler, where its behavior names no other
ALIKE = 1e-9


class Move(NamedTuple):
    """One metric whose request changes. ``used``: per pod, as the autoscaler sees it now; None where it does not say."""

    place: int  # among the metrics of the autoscaler
    resource: str
    container: str  # empty: the whole pod
    requests: tuple[float, float]
    targets: tuple[int, float]  # old in whole percent, new exact
    used: float | None

    @property
    def point(self) -> float:
        """What a pod uses when it is at the target."""
        return self.requests[0] * self.targets[0] / 100

    @property
    def who(self) -> str:
        return f"{self.resource} of container {self.container}" if self.container else self.resource


def replicas(count: int, used: float, requested: float, target: int, tolerance: Sequence[float] = (TOLERANCE, TOLERANCE)) -> int:
    """What the autoscaler asks for: ``used`` and ``requested`` are those of one pod, the mean over ``count``; tolerance is (down, up)."""
    utilisation = round(used * 1000) * count * 100 // (round(requested * 1000) * count)  # whole percent, as its controller cuts it
    ratio = utilisation / target
    return count if 1.0 - tolerance[0] <= ratio <= 1.0 + tolerance[1] else math.ceil(ratio * count)


def chosen(move: Move, hpa: Mapping[str, Any]) -> int:
    """The nearest whole percent; where that asks for another number of pods now, and its neighbour does not, the neighbour."""
    exact = move.targets[1]
    nearest = math.ceil(exact - 0.5 - ALIKE)  # a half goes down: rather a pod more than one less
    other = math.floor(exact) if nearest > exact else math.ceil(exact)
    fitting = [one for one in (nearest, other) if _same_now(move, one, hpa)]
    usable = [one for one in fitting if min(LOW, move.targets[0]) <= one <= max(HIGH, move.targets[0])]
    return usable[0] if usable else nearest


def _same_now(move: Move, target: int, hpa: Mapping[str, Any]) -> bool:
    now = counts(move, target, hpa)
    return now is None or now[0] == now[1]


def counts(move: Move, target: int, hpa: Mapping[str, Any]) -> tuple[int, int] | None:
    """(pods that this metric asks for now, with the new request and target); None where the autoscaler does not show what is used."""
    count = int((hpa.get("status") or {}).get("currentReplicas") or 0)
    if move.used is None or not count:
        return None
    tolerance = _tolerance(hpa)
    pairs = ((move.requests[0], move.targets[0]), (move.requests[1], target))
    before, after = (replicas(count, move.used, requested, percent, tolerance) for requested, percent in pairs)
    return _within(before, hpa), _within(after, hpa)


def _tolerance(hpa: Mapping[str, Any]) -> tuple[float, float]:
    behaviour = (hpa.get("spec") or {}).get("behavior") or {}
    given = ((behaviour.get(name) or {}).get("tolerance") for name in ("scaleDown", "scaleUp"))
    down, up = (TOLERANCE if one is None else fit.size(one) for one in given)
    return down, up


def _within(count: int, hpa: Mapping[str, Any]) -> int:
    spec = hpa["spec"]
    return max(int(spec.get("minReplicas") or 1), min(int(spec["maxReplicas"]), count))


def bound(count: int, old: int, new: int, shift: float) -> int:
    """By how many of ``count`` pods two targets can differ near them: the shift, and each utilisation cut to whole percent."""
    return math.ceil(count * (abs(shift) + 1 / min(old, new)) - 1e-6)


# --- which is changed first


def order(moves: list[Move], new: list[int], hpa: Mapping[str, Any]) -> str:
    """The order in which nothing between the two steps takes pods away; empty where that cannot be said."""
    rises = [move.requests[1] > move.requests[0] for move in moves]
    if all(rises):
        return "before"
    if not any(rises):
        return "after"
    count, tolerance = int((hpa.get("status") or {}).get("currentReplicas") or 0), _tolerance(hpa)
    if not count or any(move.used is None for move in moves):
        return ""

    def asked(pairs: Iterable[tuple[float, int]]) -> int:  # the autoscaler takes the highest of its metrics
        return max(replicas(count, move.used or 0.0, requested, target, tolerance) for move, (requested, target) in zip(moves, pairs))

    now = asked((move.requests[0], move.targets[0]) for move in moves)
    between = {
        "after": asked((move.requests[1], move.targets[0]) for move in moves),
        "before": asked((move.requests[0], target) for move, target in zip(moves, new)),
    }
    return next((which for which, pods in between.items() if pods >= now), "")
