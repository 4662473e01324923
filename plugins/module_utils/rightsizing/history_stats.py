# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Figures of one container in one pod out of arrays of samples. Pure.

A grid has one number for every step of the window, NaN where nothing is known; step i is the time from begin + i * step to
begin + (i + 1) * step. Times are seconds since 1970.
"""

from __future__ import annotations

import math
from array import array
from typing import Any, Iterable, Iterator, NamedTuple, Sequence

Numbers = Sequence[float]

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_LATE = 600.0  # seconds after the start of a pod within which its first sample is expected: images are pulled, init containers run


class Life(NamedTuple):
    """When a container existed within the window."""

    begin: float
    end: float


def percentile(ordered: Numbers, share: float) -> float:
    """Linear interpolation between the two nearest, as numpy and Prometheus do it."""
    rank = share * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def figures(values: Iterable[float]) -> dict[str, float] | None:
    """{p50, p95, p99, max, samples} of what is a number among them; None where nothing is."""
    known = array("d", values)
    ordered = sorted(known if _whole(known) else filter(math.isfinite, known))
    if not ordered:
        return None
    return {**{name: percentile(ordered, share) for name, share in PERCENTILES.items()}, "max": ordered[-1], "samples": len(ordered)}


def highest(grid: array[float]) -> float | None:
    """The highest number that is finite, None where there is none."""
    return max(grid) if len(grid) and _whole(grid) else max(filter(math.isfinite, grid), default=None)


def _whole(grid: array[float]) -> bool:
    """Whether every number of it is finite: the sum is quick, and is not where one is not."""
    return math.isfinite(sum(grid))


def together(grids: Sequence[array[float]]) -> array[float]:
    """The highest of each step, of series that follow each other, or overlap while a container is replaced."""
    if len(grids) == 1:
        return grids[0]
    return array("d", map(_highest, *grids))


def _highest(*values: float) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def added(grids: Sequence[array[float]]) -> array[float]:
    """The sum of each step, of series that are parts of a whole."""
    return array("d", (sum(known) if (known := [value for value in step if not math.isnan(value)]) else math.nan for step in zip(*grids)))


def without_oddities(grid: array[float]) -> int:
    """Infinite and negative numbers become unknown, in place; returns how many there were."""
    if _whole(grid) and min(grid, default=0.0) >= 0:
        return 0
    odd = [index for index, value in enumerate(grid) if value < 0 or value == math.inf]
    for index in odd:
        grid[index] = math.nan
    return len(odd)


def blank(grid: array[float], count: int) -> None:
    """Forget the first steps."""
    if count > 0:
        grid[:count] = array("d", [math.nan]) * min(count, len(grid))


def span(grid: array[float]) -> tuple[int, int] | None:
    """(first, last) step with a number, None where there is none."""
    if len(grid) and _whole(grid):
        return 0, len(grid) - 1
    first = next((index for index, value in enumerate(grid) if not math.isnan(value)), None)
    if first is None:
        return None
    return first, next(index for index in range(len(grid) - 1, -1, -1) if grid[index] == grid[index])


def numbers_in(grid: array[float]) -> int:
    """Steps with a number."""
    return len(grid) if _whole(grid) else sum(1 for value in grid if not math.isnan(value))


def trimmed(grid: array[float], begin: float, step: float) -> dict[str, Any] | None:
    """A Grid without what is unknown at both ends."""
    found = span(grid)
    return found and {"begin": begin + found[0] * step, "step": step, "values": grid[found[0] : found[1] + 1]}


def life(seen: Life, begin: float, end: float, started: float | None) -> Life:
    """When a container existed. seen: its first and its last sample; started: of a live pod, None of one that is gone.

    A live pod should have samples to the end of the window, and from its start on; of one that is gone nothing but samples is known.
    """
    if started is None:
        return seen
    expected = max(begin, started)
    return Life(seen.begin if seen.begin - expected <= _LATE else expected, end)


def coverage(samples: float, distance: float, existed: Life, slack: float) -> float:
    """Samples that are there, of those that are due while it existed. slack: seconds by which the time of existence is uncertain."""
    due = max(1.0, (existed.end - existed.begin - slack) / distance)
    return round(min(1.0, samples / due), 4)


def gaps(grid: array[float], shortest: int) -> Iterator[tuple[int, int]]:
    """(first, last) step of every stretch within the samples of at least so many steps without any."""
    found = None if _whole(grid) else span(grid)
    if found is None:
        return
    last = found[0]
    for index in range(found[0], found[1] + 1):
        if grid[index] == grid[index]:
            if index - last - 1 >= shortest:
                yield last + 1, index - 1
            last = index


def raw_merged(runs: Iterable[tuple[Numbers, Numbers]]) -> tuple[array[float], array[float]]:
    """(times, values) of several series of one container in the order of time; of two samples at one time the higher."""
    latest: dict[float, float] = {}
    for times, values in runs:
        for time, value in zip(times, values):
            if math.isfinite(value) and not latest.get(time, -math.inf) > value:
                latest[time] = value
    ordered = sorted(latest)
    return array("d", ordered), array("d", (latest[time] for time in ordered))


def distance(times: Numbers) -> float | None:
    """The median distance of samples, in seconds."""
    between = sorted(late - early for early, late in zip(times, times[1:]) if late > early)
    return round(percentile(between, 0.5), 3) if between else None
