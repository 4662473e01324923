# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From samples of single containers to one utilisation per moment of the window, and what can be said about such a series. Pure; nothing
raises.

Samples of different pods are not taken at the same instants, so that each moment of an even grid takes the nearest sample of every
container. Where that is more than a step away the container has no figure at that moment, and its pod is missing. Times are seconds since
1970 in the clock of the source.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load_pods import Counted

MOMENTS = 720  # at most, however long the window: a grid finer than the samples would say nothing more
GAP_STEPS = 3  # moments without a sample over more than this many steps are a gap
_REACH = 1.1  # steps within which a sample stands for a moment: one that was missed, and a little jitter

Points = Sequence[Sequence[float]]


@dataclasses.dataclass(frozen=True)
class Moment:
    """Usage and requests, cores or bytes, of the pods with a sample at this moment; ``missing``: requests of those that should have one."""

    at: float
    usage: float
    request: float
    missing: float

    @property
    def utilisation(self) -> float:
        return self.usage / self.request

    @property
    def at_least(self) -> float:
        """The utilisation if the missing pods were idle, as the HPA takes them to be before it scales up."""
        return self.usage / (self.request + self.missing)


@dataclasses.dataclass
class Series:
    """The known moments of a window, and the whole grid that they are taken from."""

    grid: list[float]
    step: float
    moments: list[Moment] = dataclasses.field(default_factory=list)
    sampled: set[str] = dataclasses.field(default_factory=set)  # pods that have a figure at some moment
    missing: dict[str, int] = dataclasses.field(default_factory=dict)  # pod -> moments at which it should have one
    unusable: int = 0  # samples that are no numbers

    def known(self) -> float:
        """The part of the window that is known: 0 to 1."""
        return len(self.moments) / len(self.grid) if self.grid else 0.0

    def gaps(self) -> list[tuple[float, float]]:
        """Stretches without any known moment that are longer than a missed sample or two, also at both ends."""
        if not self.grid:
            return []
        known = [one.at for one in self.moments]
        edges = [self.grid[0] - self.step, *known, self.grid[-1] + self.step]
        found = [(left, right) for left, right in zip(edges, edges[1:]) if right - left > GAP_STEPS * self.step * 1.001]
        return [(max(left, self.grid[0]), min(right, self.grid[-1])) for left, right in found]


def newest(samples: Mapping[str, Any], pods: Iterable[Counted]) -> float | None:
    """The time of the last sample of any of these pods."""
    times = [float(at) for pod in pods for points in _containers(samples, pod.name).values() for at, _value in points if math.isfinite(at)]
    return max(times, default=None)


def grid(end: float, window: float, step: float) -> tuple[list[float], float]:
    """(the moments of the window, the last of them ``end``; the seconds between two)."""
    step = max(step, window / MOMENTS)
    count = int(window / step + 1e-6)
    return [end - step * back for back in range(count, -1, -1)], step


def of_pods(samples: Mapping[str, Any], pods: Iterable[Counted], moments: list[float], step: float) -> Series:
    """One utilisation per moment, of the pods that count at it."""
    series = Series(moments, step)
    usage, request, missing = ([0.0] * len(moments) for _sum in range(3))
    for pod in pods:
        containers = _containers(samples, pod.name)
        figures = [_nearest(_clean(containers.get(name, ()), series), moments, step) for name in pod.containers]
        for index, at in enumerate(moments):
            if at < pod.since:
                continue
            values = [one[index] for one in figures]
            if values and all(value is not None for value in values):
                usage[index] += sum(value for value in values if value is not None)
                request[index] += pod.request
                series.sampled.add(pod.name)
            else:
                missing[index] += pod.request
                series.missing[pod.name] = series.missing.get(pod.name, 0) + 1
    series.moments = [Moment(*one) for one in zip(moments, usage, request, missing) if one[2] > 0]
    return series


def of_values(points: Points, target: float, moments: list[float], step: float) -> Series:
    """The same of one figure and its target, as of a custom query."""
    series = Series(moments, step)
    figures = _nearest(_clean(points, series), moments, step)
    series.moments = [Moment(at, value, target, 0.0) for at, value in zip(moments, figures) if value is not None]
    return series


def _containers(samples: Mapping[str, Any], pod: str) -> Mapping[str, Points]:
    return (samples.get("pods") or {}).get(pod) or {}


def _clean(points: Points, series: Series) -> list[tuple[float, float]]:
    """In order of time, one sample per instant, without what is no number: NaN, infinities, negative figures."""
    good = {float(at): float(value) for at, value in points if _usable(at, value)}
    series.unusable += sum(1 for at, value in points if not _usable(at, value))
    return sorted(good.items())


def _usable(at: float, value: float) -> bool:
    return math.isfinite(at) and math.isfinite(value) and value >= 0


def _nearest(points: Sequence[tuple[float, float]], moments: Sequence[float], step: float) -> list[float | None]:
    """For each moment the value of the sample that is nearest to it, None where none is within reach. Both are in order of time."""
    found: list[float | None] = []
    index = 0
    for at in moments:
        while index + 1 < len(points) and abs(points[index + 1][0] - at) <= abs(points[index][0] - at):
            index += 1
        near = bool(points) and abs(points[index][0] - at) <= _REACH * step
        found.append(points[index][1] if near else None)
    return found


@dataclasses.dataclass(frozen=True)
class Run:
    """Moments in a row that lie on one side of the threshold; ``seconds`` counts each moment as one step."""

    above: bool
    first: float
    last: float
    seconds: float


def runs(moments: Sequence[Moment], step: float, threshold: float, value: Callable[[Moment], float]) -> list[Run]:
    found: list[Run] = []
    for one in moments:
        above = reaches(value(one), threshold)
        if found and found[-1].above == above:
            found[-1] = Run(above, found[-1].first, one.at, one.at - found[-1].first + step)
        else:
            found.append(Run(above, one.at, one.at, step))
    return found


def reaches(value: float, threshold: float) -> bool:
    """Whether a value is at or above the threshold, but for what adding up fractions loses."""
    return value >= threshold - 1e-9


def shorten(moments: Sequence[Moment], begin: float, points: int) -> list[list[float]]:
    """[[seconds since the window began, utilisation], ...]: at most so many points, each the mean of its stretch."""
    size = max(1, math.ceil(len(moments) / points))
    stretches = [moments[first : first + size] for first in range(0, len(moments), size)]
    return [[round(one[-1].at - begin, 1), round(sum(moment.utilisation for moment in one) / len(one), 4)] for one in stretches]
