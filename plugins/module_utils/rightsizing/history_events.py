# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What happened to the containers within the window: restarts, OOM kills with the limit at that time, throttling, rollouts.

Moments are the ends of the steps at which something is first seen, so up to one step late. What the server has no series for is said in
``missing`` and never taken for "did not happen".
"""

from __future__ import annotations

import dataclasses
import math
from array import array
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import quantity
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import queries
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import Found
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import history_stats as stats
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_run import Job, Unit
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_survey import Place, Survey, batches

Object = dict[str, Any]
Grids = dict[Place, "array[float]"]

RESTARTS, REASON, OOM, THROTTLED = "restarts", "reasons of the last end", "OOM kills that the kernel reported", "throttled periods"
LAST_SEEN = "when pods of other revisions were last seen"
OOM_KILLED = "OOMKilled"
_SAME = (
    900.0  # two reports of an OOM kill that are no further apart are of one: a container that crashes again is started up to 5 min later
)
_MOST = 20  # restarts between two steps that are listed; pods of one revision that are asked when they were last seen
_KUBE_STATE = (RESTARTS, REASON)


@dataclasses.dataclass
class Events:
    """By container of a pod; lists hold moments. ``limits``: of memory, at an OOM kill."""

    restarts: dict[Place, list[float]] = dataclasses.field(default_factory=dict)
    ooms: dict[Place, list[float]] = dataclasses.field(default_factory=dict)
    limits: Grids = dataclasses.field(default_factory=dict)
    throttled: dict[Place, float] = dataclasses.field(default_factory=dict)
    rollouts: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    missing: list[Object] = dataclasses.field(default_factory=list)


class Collected:
    """Answers to the first questions: {what: {place: {reason or "": highest value}}}."""

    def __init__(self, found: Survey) -> None:
        self.found, self.names = found, queries.USUAL
        self.values: dict[str, dict[Place, dict[str, float]]] = {what: {} for what in (*_KUBE_STATE, OOM, THROTTLED)}
        self.last: dict[str, dict[str, float]] = {}

    def take(self, job: Job, answer: Found) -> None:
        if job.what == LAST_SEEN:
            return self._seen(answer)
        names = self.names if job.what in _KUBE_STATE else self.found.names
        for series in answer.series:
            place, value = self.found.place(series.labels, names), series.values[-1]
            if self.found.counted(place) and math.isfinite(value):
                reasons = self.values[job.what].setdefault(place, {})
                reason = series.labels.get("reason", "")
                reasons[reason] = max(value, reasons.get(reason, 0.0))
        return None

    def _seen(self, answer: Found) -> None:
        for series in answer.series:
            namespace, pod, _container = self.found.place(series.labels)
            owner = self.found.owners.of(namespace, pod)
            span = stats.span(series.values)
            if owner and span and not owner.current:
                revisions = self.last.setdefault(owner.key, {})
                revisions[owner.revision] = max(_moment(self.found, span[1]), revisions.get(owner.revision, 0.0))


def first_jobs(collected: Collected, options: Mapping[str, Any]) -> Iterator[Job]:
    found = collected.found
    for units in batches(found.units, options):
        window, samples = found.end - units[0].begin, sum(unit.samples for unit in units)
        yield Job(THROTTLED, units, _throttled(found, window), found.end, samples=2 * samples)
        yield Job(OOM, units, _highest(found, found.names, queries.OOM_EVENTS, window), found.end, samples=samples)
        yield from kube_state_jobs(collected, units)
    others = [
        Unit(key, key.split("/")[1], "", tuple(pods[:_MOST]), len(pods[:_MOST]), known=tuple(pods[:_MOST]))
        for key, revisions in found.others.items()
        for pods in revisions.values()
    ]
    for units in batches(others, options, found.grid.points):

        def seen(some: Sequence[Unit]) -> str:
            return queries.present(found.scope(some), found.step)

        yield Job(LAST_SEEN, units, seen, found.end, found.grid, sum(unit.series for unit in units) * found.grid.points)


def kube_state_jobs(collected: Collected, units: tuple[Unit, ...]) -> Iterator[Job]:
    found = collected.found
    window, samples = found.end - units[0].begin, sum(unit.samples for unit in units)
    yield Job(RESTARTS, units, _highest(found, collected.names, queries.RESTARTS, window), found.end, samples=samples)
    yield Job(REASON, units, _highest(found, collected.names, queries.REASON, window), found.end, samples=samples)


def _throttled(found: Survey, window: float) -> Callable[[Sequence[Unit]], str]:
    return lambda some: queries.throttled(found.scope(some, one_job=True), window)


def _highest(found: Survey, names: queries.Names, metric: str, window: float) -> Callable[[Sequence[Unit]], str]:
    return lambda some: queries.over("max_over_time", found.scope(some, names), metric, window)


def events(collected: Collected, subjects: Sequence[Object], options: Mapping[str, Any]) -> Events:
    """What the first answers lead to, with a second look at those containers to which something happened."""
    found, result = collected.found, Events()
    if not collected.values[RESTARTS]:  # as a rule they are not scraped, or their labels were renamed
        collected.names = queries.EXPORTED
        jobs = [job for units in batches(found.units, options) for job in kube_state_jobs(collected, units)]
        for job, answer in found.runner.run(jobs):
            collected.take(job, answer)
    result.throttled = {place: values[""] for place, values in collected.values[THROTTLED].items()}
    result.rollouts = {key: sorted(revisions.values()) for key, revisions in collected.last.items()}
    for key, at in found.rolled.items():
        result.rollouts.setdefault(key, []).append(at)
    _restarts(collected, result, options)
    _ooms(collected, result, options)
    result.missing = list(_missing(collected, subjects))
    if result.ooms:
        limits = _grids(found, collected.names, queries.LIMIT, result.ooms, options, 'resource="memory"')
        result.limits = {place: stats.together(grids) for place, grids in limits.items()}
    return result


def _restarts(collected: Collected, result: Events, options: Mapping[str, Any]) -> None:
    found = collected.found
    some = [place for place, values in collected.values[RESTARTS].items() if max(values.values()) > 0]
    for place, grids in _grids(found, collected.names, queries.RESTARTS, some, options).items():
        moments = [
            _moment(found, index) for index, more in rises(stats.together(grids), _born(found, place)) for _one in range(min(more, _MOST))
        ]
        counted = [at for at in moments if at >= _since(found, place)]
        if counted:
            result.restarts[place] = counted


def _ooms(collected: Collected, result: Events, options: Mapping[str, Any]) -> None:
    found = collected.found
    some = [place for place, values in collected.values[REASON].items() if values.get(OOM_KILLED, 0.0) > 0]
    for place, grids in _grids(found, collected.names, queries.REASON, some, options, f'reason="{OOM_KILLED}"').items():
        grid = stats.together(grids)
        ended = {at for at in result.restarts.get(place, ()) if _is_one(grid, round((at - found.begin) / found.step) - 1)}
        first = None if _born(found, place) else math.ceil((found.first.get(place, found.begin) - found.begin) / found.step) + 1
        began = [_moment(found, index) for index in begins(grid, first)]
        result.ooms[place] = sorted([*ended, *(at for at in began if not any(abs(at - other) <= _SAME for other in ended))])
    some = [place for place, values in collected.values[OOM].items() if max(values.values()) > 0]
    for place, grids in _grids(found, found.names, queries.OOM_EVENTS, some, options).items():
        known = result.ooms.setdefault(place, [])
        for at in sorted(_moment(found, index) for grid in grids for index, _more in rises(grid, _born(found, place))):
            if not any(abs(at - other) <= _SAME for other in known):
                known.append(at)
    for place in list(result.ooms):
        result.ooms[place] = sorted(at for at in result.ooms[place] if at >= _since(found, place))
        if not result.ooms[place]:
            del result.ooms[place]


def rises(grid: array[float], born: bool) -> Iterator[tuple[int, int]]:
    """(step, by how much) of every rise of a counter. born: whether it began within the window: then its first value is a rise as well."""
    before: float | None = 0.0 if born else None
    for index, value in enumerate(grid):
        if math.isnan(value):
            continue
        if before is not None and value != before:
            more = value - before if value > before else value  # it fell: it was counted anew
            if more > 0:
                yield index, round(more)
        before = value


def begins(grid: array[float], first: int | None) -> Iterator[int]:
    """The steps at which a condition came up. first: the step until which it may have been there for longer; None: there is no such step.

    A step without a value says nothing: it may be a gap.
    """
    before = False
    for index, value in enumerate(grid):
        if math.isnan(value):
            continue
        if value > 0 and not before and (first is None or index > first):
            yield index
        before = value > 0


def _is_one(grid: array[float], index: int) -> bool:
    return any(0 <= at < len(grid) and grid[at] > 0 for at in (index, index + 1))


def _moment(found: Survey, index: int) -> float:
    return found.begin + (index + 1) * found.step


def _since(found: Survey, place: Place) -> float:
    return found.starts.get(found.counted(place), found.begin)


def _born(found: Survey, place: Place) -> bool:
    """Whether a pod began within the window, as far as that is known of those that are gone."""
    started = found.owners.started.get(place[:2])
    if started is not None:
        return started > found.begin
    return found.first.get(place, found.begin) > min(found.first.values(), default=found.begin) + 2 * found.step


def _grids(
    found: Survey, names: queries.Names, metric: str, places: Iterable[Place], options: Mapping[str, Any], *further: str
) -> dict[Place, list[array[float]]]:
    """The values of a metric at every step, for the pods of some containers."""
    wanted = set(places)
    pods: dict[tuple[str, str], set[str]] = {}
    for namespace, pod, container in wanted:
        pods.setdefault((found.counted((namespace, pod, container)), namespace), set()).add(pod)
    units = [
        Unit(key, namespace, "", tuple(sorted(some)), 3 * len(some), known=tuple(sorted(some))) for (key, namespace), some in pods.items()
    ]

    def write(some: Sequence[Unit]) -> str:
        return found.scope(some, names).of(metric, *further)

    jobs = [Job(f"course of {metric}", some, write, found.end, found.grid) for some in batches(units, options, found.grid.points)]
    result: dict[Place, list[array[float]]] = {}
    for _job, answer in found.runner.run(jobs):
        for series in answer.series:
            place = found.place(series.labels, names)
            if place in wanted:
                result.setdefault(place, []).append(series.values)
    return result


def limit_at(grid: array[float] | None, found: Survey, at: float) -> float | None:
    """The last limit that was known at a moment, else the first one after it."""
    if grid is None:
        return None
    index = min(len(grid) - 1, max(0, round((at - found.begin) / found.step) - 1))
    places = [*range(index, -1, -1), *range(index + 1, len(grid))]
    return next((grid[one] for one in places if grid[one] == grid[one]), None)


def _missing(collected: Collected, subjects: Sequence[Object]) -> Iterator[Object]:
    values = collected.values
    if not values[RESTARTS]:
        yield {"what": "restarts of the past", "missing": f"{queries.RESTARTS} of kube-state-metrics"}
        if not values[OOM]:
            yield {"what": "OOM kills of the past", "missing": f"{queries.REASON} of kube-state-metrics, and {queries.OOM_EVENTS}"}
    else:
        ended = {place for place, known in values[RESTARTS].items() if max(known.values()) > 0}
        if ended and not values[REASON] and not values[OOM]:
            yield {"what": "why containers restarted", "missing": f"{queries.REASON} of kube-state-metrics, and {queries.OOM_EVENTS}"}
    if not values[THROTTLED] and any(_has_cpu_limit(subject) for subject in subjects):
        yield {"what": "throttling of CPU", "missing": "container_cpu_cfs_periods_total"}


def _has_cpu_limit(subject: Object) -> bool:
    containers = (((subject["workload"].get("spec") or {}).get("template") or {}).get("spec") or {}).get("containers") or ()
    limits = [((one.get("resources") or {}).get("limits") or {}).get("cpu") for one in containers]
    return any(limit and quantity.amount(limit) for limit in limits)
