# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One workload's part of a history, put together from what was read. history.py says what it looks like."""

from __future__ import annotations

import math
from array import array
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import Found
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import history_stats as stats
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_events import Events, limit_at
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_run import Job
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_survey import (
    Place,
    SeriesKey,
    Survey,
    best_origin,
    moment,
    series_key,
)

Object = dict[str, Any]

CPU, MEMORY, COUNT, RAW = (
    "CPU at every step",
    "highest memory of every step",
    "samples of memory",
    "raw samples of memory of containers that restarted",
)
_GAP = 1800.0  # seconds without a sample that are worth a note


class Usage:
    """What is known of containers, by place: series by their labels."""

    def __init__(self, found: Survey) -> None:
        self.found = found
        self.chosen = {place: best_origin(runs, found.names) for place, runs in found.counts.items()}
        self.cpu: dict[Place, dict[SeriesKey, list[tuple[str, array[float]]]]] = {}
        self.memory: dict[Place, dict[SeriesKey, array[float]]] = {}
        self.shares: dict[Place, dict[SeriesKey, dict[str, float]]] = {}
        self.exact: dict[Place, dict[str, float] | None] = {}  # figures of raw samples that were read
        self._places: dict[str, list[Place]] = {}

    def places(self, key: str) -> list[Place]:
        """The containers of a workload, in the order of their names."""
        if not self._places:
            for place in sorted({*self.chosen, *self.cpu}):
                self._places.setdefault(self.found.counted(place), []).append(place)
        return self._places.get(key, [])

    def take(self, job: Job, answer: Found) -> None:
        raw: dict[Place, list[tuple[Sequence[float], Sequence[float]]]] = {}
        for series in answer.series:
            place, key = self.found.place(series.labels), series_key(series.labels)
            if not self.found.counted(place) or (key not in self.chosen.get(place, ()) and (job.what != CPU or self._refused(place, key))):
                continue
            if job.what == CPU:
                self.cpu.setdefault(place, {}).setdefault(key, []).append((series.labels.get("cpu", ""), series.values))
            elif job.what == MEMORY:
                self.memory.setdefault(place, {})[key] = series.values
            elif job.what == COUNT:
                self.found.counts[place][key] = int(series.values[-1])
            elif job.what == RAW:
                raw.setdefault(place, []).append((series.times, series.values))
            else:
                self.shares.setdefault(place, {}).setdefault(key, {})[job.what.partition(" ")[0]] = series.values[-1]
        for place, runs in raw.items():
            self.exact[place] = stats.figures(stats.raw_merged(runs)[1])

    def _refused(self, place: Place, key: SeriesKey) -> bool:
        """Whether a series is known, and not among those that were chosen; or it is of a revision before."""
        known = self.found.counts.get(place, {})
        return key in known or (bool(known) and self.found.counted(place) in self.found.starts)


def workload(subject: Object, usage: Usage, happened: Events) -> Object:
    """See the module's description."""
    found = usage.found
    containers: dict[str, dict[str, Object]] = {}
    notes: list[str] = []
    odd = 0
    gaps: list[tuple[float, float, str]] = []
    key, places = subject["key"], usage.places(subject["key"])
    for place in places:
        one, oddities = _usage(usage, happened, place)
        odd += oddities
        containers.setdefault(place[2], {})[place[1]] = one
        gaps += _gaps(found, place, one["memory_series"] or one["cpu_series"])
    firsts = [found.first[place] for place in places if place in found.first]
    if not places:
        notes.append("Prometheus has no samples of pods of its current revision within the window.")
    if gaps:
        begin, length, pod = max(gaps, key=lambda gap: gap[1])
        notes.append(
            f"{len(gaps)} times there are no samples for half an hour or more: the longest time is {clock.span(length)} from"
            f" {moment(begin)}, of pod {pod}."
        )
    if odd:
        notes.append(f"{odd} steps with negative or infinite values were left out.")
    return {
        "containers": containers,
        "first_seen": min(firsts, default=None),
        "restarts": [{"pod": place[1], "container": place[2], "at": at} for place, at in _moments(found, key, happened.restarts)],
        "ooms": [
            {"pod": place[1], "container": place[2], "at": at, "limit": limit_at(happened.limits.get(place), found, at)}
            for place, at in _moments(found, key, happened.ooms)
        ],
        "rollouts": sorted(happened.rollouts.get(key, ())),
        "pods_seen": len({place[:2] for place in places}),
        "notes": notes,
    }


def _moments(found: Survey, key: str, known: Mapping[Place, list[float]]) -> list[tuple[Place, float]]:
    mine = [place for place in known if found.counted(place) == key]
    return sorted(((place, at) for place in mine for at in known[place]), key=lambda one: (one[1], one[0]))


def _usage(usage: Usage, happened: Events, place: Place) -> tuple[Object, int]:
    """(a container's usage in one pod, how many of its values were no amounts)."""
    found = usage.found
    blank = round((found.starts.get(found.counted(place), found.begin) - found.begin) / found.step)
    cpu, memory = _cpu(usage, place), [grid for grid in usage.memory.get(place, {}).values() if stats.span(grid)]
    grids = {"cpu": cpu, "memory": stats.together(memory) if memory else None}
    odd = 0
    for grid in grids.values():
        if grid is not None:
            odd += stats.without_oddities(grid)
            stats.blank(grid, blank)
    share = happened.throttled.get(place)
    one = {
        "cpu": _of_cpu(found, place, grids["cpu"]),
        "memory": _of_memory(usage, place, grids["memory"]),
        "cpu_series": None if grids["cpu"] is None else stats.trimmed(grids["cpu"], found.begin, found.step),
        "memory_series": None if grids["memory"] is None else stats.trimmed(grids["memory"], found.begin, found.step),
        "throttled": None if share is None else round(min(1.0, max(0.0, share)), 6),
    }
    return one, odd


def _cpu(usage: Usage, place: Place) -> array[float] | None:
    """The rates of a container; where they are given by processor their sum."""
    runs = {key: parts for key, parts in usage.cpu.get(place, {}).items() if any(stats.span(grid) for _cpu_name, grid in parts)}
    if not runs:
        return None
    worth = {key: float(max(stats.numbers_in(grid) for _cpu_name, grid in parts)) for key, parts in runs.items()}
    whole = []
    for key in best_origin(worth, usage.found.names):
        parts = runs[key]
        total = [grid for name, grid in parts if name in ("", "total")]
        whole.append(total[0] if total else stats.added([grid for _cpu_name, grid in parts]))
    return stats.together(whole)


def _of_cpu(found: Survey, place: Place, grid: array[float] | None) -> Object | None:
    known = stats.figures(grid) if grid is not None else None
    if grid is None or known is None:
        return None
    seen, existed = _lives(found, place, grid)
    return _with_time(known, stats.coverage(known["samples"], found.step, existed, found.step + found.rate_seconds), seen)


def _of_memory(usage: Usage, place: Place, grid: array[float] | None) -> Object | None:
    found, runs = usage.found, usage.chosen.get(place, [])
    highest = stats.highest(grid) if grid is not None else None
    if grid is None or highest is None or not runs:
        return None
    samples = sum(found.counts[place].get(key, 0) for key in runs)
    known = usage.exact.get(place)
    if known is None and len(runs) == 1:
        shares = usage.shares.get(place, {}).get(runs[0], {})
        known = {**shares, "max": highest, "samples": samples}
        if any(not math.isfinite(shares.get(name, math.nan)) for name in stats.PERCENTILES):
            known = None
    known = known or {**(stats.figures(grid) or {}), "samples": samples}
    seen, existed = _lives(found, place, grid)
    distance = found.distances.get(dict(runs[0]).get("job", ""), found.sample_seconds)
    return _with_time(known, stats.coverage(known["samples"], distance, existed, found.step), seen)


def _lives(found: Survey, place: Place, grid: array[float]) -> tuple[stats.Life, stats.Life]:
    """(from the first to the last sample, while the container existed)."""
    first, last = stats.span(grid) or (0, 0)
    seen = stats.Life(found.begin + first * found.step, found.begin + (last + 1) * found.step)
    begin = found.starts.get(found.counted(place), found.begin)
    return seen, stats.life(seen, begin, found.end, found.owners.started.get(place[:2]))


def _with_time(known: Mapping[str, float], coverage: float, seen: stats.Life) -> Object:
    return {**known, "samples": int(known["samples"]), "coverage": coverage, "from": seen.begin, "to": seen.end}


def _gaps(found: Survey, place: Place, series: Mapping[str, Any] | None) -> Iterator[tuple[float, float, str]]:
    if series is None:
        return
    for first, last in stats.gaps(series["values"], math.ceil(_GAP / found.step)):
        yield series["begin"] + first * found.step, (last - first + 1) * found.step, place[1]
