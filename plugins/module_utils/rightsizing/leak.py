# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Memory that rises for as long as its container lives: told from caches that fill and level off, daily cycles, batches and steps.

``trend(series, starts)``: series is {pod: Grid} of one container (see usage.py), starts {pod: [seconds since 1970 at which it
started]}. The answer is None, or {per_day (bytes), share_per_day (of the present level), days, pod, sentence} of the pod that rises
fastest.

What is looked at are the lows of whole days (their 10th percentile), within each life of a container, so that neither peaks nor the hours
of a day count. The slope is the median of all slopes between two lows (Theil-Sen). A leak rises evenly: each of the later steps has its
part of the rise. A cache that levels off has none at the end, and a step has all of it in one. Pure; nothing raises.
"""

from __future__ import annotations

import statistics
from math import isnan
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.words import DAY, percent, size

LEAST_SHARE = 0.01  # of the level in a day: less than this does not reach the margin within a month
_LEAST_BYTES = 2**19  # a day
_EVEN = 0.25  # of the slope, that each of the later steps has at least
_MOSTLY = 0.75  # of all steps do not fall
_LONG = 3 * DAY  # a life that is judged by its days
_SHORT, _PIECES = 6 * 3600.0, 6  # a shorter one by its pieces: a pod that leaks fast is restarted before it is days old
_LIVES, _AGREE, _RISE = 3, 0.7, 0.1  # so many short lives, this share of which rises, by so much of the level
_KNOWN = 0.25  # of a piece's steps
_LOW = 0.1  # quantile

Trend = dict[str, Any]


class _Rise(NamedTuple):
    """``per_day`` in bytes; ``first`` and ``last`` low; ``days`` between them."""

    per_day: float
    first: float
    last: float
    days: float


def trend(series: Mapping[str, Mapping[str, Any]], starts: Mapping[str, Sequence[float]]) -> Trend | None:
    """See the module's description."""
    found: list[tuple[str, _Rise]] = []
    short: list[tuple[str, _Rise | None]] = []
    for pod, grid in series.items():
        for life in _lives(grid, starts.get(pod) or ()):
            seconds = len(life) * grid["step"]
            if seconds >= _LONG:
                rise = _of_days(life, grid["step"])
                found += [(pod, rise)] if rise else []
            elif seconds >= _SHORT:
                short.append((pod, _of_pieces(life, grid["step"])))
    rising = [(pod, rise) for pod, rise in short if rise]
    again = len(short) >= _LIVES and len(rising) >= _AGREE * len(short)
    if again and not found:
        pod, rise = max(rising, key=lambda one: one[1].per_day)
        return _told(pod, rise, f", in {len(rising)} of {len(short)} lives between restarts")
    if not found:
        return None
    pod, rise = max(found, key=lambda one: one[1].per_day)
    return _told(pod, rise, "")


def _told(pod: str, rise: _Rise, more: str) -> Trend:
    share = rise.per_day / max(1.0, rise.last)
    span = f"{rise.days:.1f} days" if rise.days >= 1 else f"{rise.days * 24:.0f} h"
    sentence = (
        f"Its memory rises evenly, by {size(rise.per_day)} ({percent(share)} of its level) a day: the lows of {pod} went from"
        f" {size(rise.first)} to {size(rise.last)} within {span}{more}. That is how a leak looks."
    )
    return {"per_day": rise.per_day, "share_per_day": share, "days": rise.days, "pod": pod, "sentence": sentence}


def _lives(grid: Mapping[str, Any], starts: Sequence[float]) -> Iterator[Sequence[float]]:
    """The steps between two starts. The one in which it started may hold the peak of the life before, and counts for neither."""
    values, begin, step = grid["values"], grid["begin"], grid["step"]
    first = 0
    for start in sorted(starts):
        index = int((start - begin) // step)
        if first <= index < len(values):
            yield _known(values, first, index)
            first = index + 1
    yield _known(values, first, len(values))


def _known(values: Sequence[float], first: int, last: int) -> Sequence[float]:
    """Without the unknown steps at both ends, when the pod was not there."""
    while first < last and values[first] != values[first]:
        first += 1
    while first < last and values[last - 1] != values[last - 1]:
        last -= 1
    return values[first:last]


def _low(values: Sequence[float]) -> float | None:
    known = sorted([value for value in values if not isnan(value)])
    return known[int(len(known) * _LOW)] if len(known) > _KNOWN * len(values) else None


def _of_days(life: Sequence[float], step: float) -> _Rise | None:
    """Whole days counted back from the end; of lives with few days, days that overlap by half."""
    long = round(DAY / step)
    hop = long if len(life) >= 5 * long else long // 2
    ends = range(len(life), long - 1, -hop)
    return _rising([_low(life[end - long : end]) for end in reversed(ends)], hop * step)


def _of_pieces(life: Sequence[float], step: float) -> _Rise | None:
    long = len(life) // _PIECES
    rise = _rising([_low(life[number * long : (number + 1) * long]) for number in range(_PIECES)], long * step)
    return rise if rise and rise.last - rise.first >= _RISE * rise.last else None


def _rising(lows: Sequence[float | None], hop: float) -> _Rise | None:
    """The rise where it is one, is even, and is more than LEAST_SHARE."""
    known = [(number, low) for number, low in enumerate(lows) if low is not None]
    if len(known) < 4:
        return None
    steps = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in zip(known, known[1:])]
    slope = statistics.median(
        (later[1] - earlier[1]) / (later[0] - earlier[0]) for index, earlier in enumerate(known) for later in known[index + 1 :]
    )
    (begun, first), (ended, last) = known[0], known[-1]
    per_day = slope * DAY / hop
    if per_day < _LEAST_BYTES or per_day < LEAST_SHARE * last:
        return None
    recent = steps[-max(2, len(steps) // 2) :]
    even = all(one >= _EVEN * slope for one in recent) and sum(one >= 0 for one in steps) >= _MOSTLY * len(steps)
    return _Rise(per_day, first, last, (ended - begun) * hop / DAY) if even else None
