# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Days of usage of many workloads from Prometheus, in few queries of bounded size.

    plan(server, subjects, options)  what would be asked: {from, to, step_seconds, sample_seconds, workloads, series, samples, labels,
                                     notes, queries: [{what, query, series, samples}]}
    read(server, subjects, options)  the history

A history: {source, from, to, step_seconds, sample_seconds, notes, not_evaluated: [{what, missing}], queries: [{what, query, series,
samples, seconds}], workloads: {key: {containers: {container: {pod: usage}}, first_seen, restarts, ooms, rollouts, pods_seen, notes}}}.
usage: {cpu, memory: {p50, p95, p99, max, samples, coverage, from, to} or None, cpu_series, memory_series: {begin, step, values} or None,
throttled}.

CPU: cores, figures of the rates at every step. Memory: bytes; percentiles of the raw samples, computed by the server; the series has the
highest of each step. Value i of a series is of the time from begin + i * step to begin + (i + 1) * step, NaN where nothing is known. Times
are seconds since 1970 in the server's clock.

options: history_days, all_revisions, max_series and max_samples (of one query), prometheus_labels, and prometheus_label_names: {namespace,
pod, container}. Raises PrometheusError (NothingFound where there is nothing at all) and BadInput.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import queries
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import Prometheus
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import history_stats as stats
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_events import Collected, events, first_jobs
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_run import PARALLEL, Job, Runner, Unit
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_survey import Place, Survey, batches, moment, survey
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_write import COUNT, CPU, MEMORY, RAW, Usage, workload

Object = dict[str, Any]
Progress = Callable[[str], None]

_RAW_ANSWER, _RAW_MOST = 400_000, 4_000_000  # samples: of one answer, of all


def plan(
    server: Prometheus, subjects: Sequence[Object], options: Mapping[str, Any], now: float | None = None, progress: Progress | None = None
) -> Object:
    """What read() would ask, after the one look at how much there is. Plain data."""
    found = survey(server, subjects, options, Runner(server, progress=progress), now)
    return _plan(found, _jobs(found, Collected(found), options))


def read(
    server: Prometheus, subjects: Sequence[Object], options: Mapping[str, Any], now: float | None = None, progress: Progress | None = None
) -> Object:
    """The history; see the module's description. now: where the window ends, by default the server's now."""
    runner = Runner(server, PARALLEL, progress)
    found = survey(server, subjects, options, runner, now)
    collected, usage = Collected(found), Usage(found)
    jobs = _jobs(found, collected, options)
    if progress:
        progress(in_words(_plan(found, jobs)))
    for job, answer in runner.run(jobs):
        (usage if job.what in _OF_USAGE else collected).take(job, answer)
    _first_samples(usage)
    _read_raw(usage, options)
    happened = events(collected, subjects, options)
    return {
        "source": f"Prometheus {server.address}, {clock.span(found.window)} to {moment(found.end)}",
        "from": found.begin,
        "to": found.end,
        "step_seconds": found.step,
        "sample_seconds": found.sample_seconds,
        "notes": [*found.notes, *_remarks(usage), *server.warnings],
        "not_evaluated": happened.missing,
        "queries": sorted(runner.queries, key=lambda one: (one["what"], one["query"])),
        "workloads": {one["key"]: workload(one, usage, happened) for one in subjects},
    }


def in_words(planned: Mapping[str, Any]) -> str:
    """A plan as one sentence."""
    largest = max((one["samples"] for one in planned["queries"]), default=0)
    return (
        f"{len(planned['queries'])} queries for {planned['series']} series of {planned['workloads']} workloads over"
        f" {clock.span(planned['to'] - planned['from'])}: about {planned['samples'] / 1e6:.1f} million samples are read by the server,"
        f" {PARALLEL} queries at a time, at most {largest / 1e6:.1f} million in one"
    )


def _plan(found: Survey, jobs: Sequence[Job]) -> Object:
    asked = [
        {"what": job.what, "query": job.write(job.units), "series": sum(unit.series for unit in job.units), "samples": job.samples or 0}
        for job in jobs
    ]
    return {
        "from": found.begin,
        "to": found.end,
        "step_seconds": found.step,
        "sample_seconds": found.sample_seconds,
        "workloads": len(found.units),
        "series": sum(unit.series for unit in found.units),
        "samples": sum(job.samples or 0 for job in jobs),
        "queries": asked,
        "labels": found.names._asdict(),
        "notes": list(found.notes),
    }


# --- what is asked ---------------------------------------------------------------------------------------------------------


def _shares_job(name: str, share: float) -> str:
    return f"{name} of memory (quantile {share:g})"


_SHARES = {_shares_job(name, share): share for name, share in stats.PERCENTILES.items()}
_OF_USAGE = (CPU, MEMORY, COUNT, RAW, *_SHARES)


def _jobs(found: Survey, collected: Collected, options: Mapping[str, Any]) -> list[Job]:
    """The longest first, so that none is left alone at the end."""
    return [*_percentiles(found, options), *_courses(found, options), *first_jobs(collected, options)]


def _percentiles(found: Survey, options: Mapping[str, Any]) -> Iterator[Job]:
    metric = queries.METRICS["memory"]
    functions = {COUNT: "count_over_time", **{what: f"quantile_over_time({share:g}" for what, share in _SHARES.items()}}
    for units in batches(found.units, options):
        for what, function in functions.items():
            if what == COUNT and units[0].begin <= found.begin:
                continue  # the first look counted the same

            def write(some: Sequence[Unit], function: str = function) -> str:
                return queries.over(function, found.scope(some, one_job=True), metric, found.end - some[0].begin)

            yield Job(what, units, write, found.end, samples=sum(unit.samples for unit in units))


def _courses(found: Survey, options: Mapping[str, Any]) -> Iterator[Job]:
    functions = {
        CPU: ("rate", queries.METRICS["cpu"], found.rate_seconds),
        MEMORY: ("max_over_time", queries.METRICS["memory"], found.step),
    }
    for units in batches(found.units, options, found.grid.points):
        for what, (function, metric, seconds) in functions.items():

            def write(some: Sequence[Unit], function: str = function, metric: str = metric, seconds: float = seconds) -> str:
                return queries.over(function, found.scope(some, one_job=True), metric, seconds)

            expected = round(sum(unit.samples for unit in units) * seconds / found.step)
            yield Job(what, units, write, found.end, found.grid, expected)


def _first_samples(usage: Usage) -> None:
    found = usage.found
    for place, runs in usage.memory.items():
        spans = [span for grid in runs.values() if (span := stats.span(grid))]
        if spans:
            found.first[place] = found.begin + min(spans)[0] * found.step


def _read_raw(usage: Usage, options: Mapping[str, Any]) -> None:
    """Percentiles of several series cannot be put together: those of containers that restarted are computed from their samples."""
    found = usage.found
    wanted = [place for place in found.counts if _is_split(usage, place)]
    pods: dict[tuple[str, str], dict[str, int]] = {}
    left = _RAW_MOST
    for place in sorted(wanted):
        samples = sum(found.counts[place].values())
        left -= samples
        if left < 0:
            found.notes.append(
                f"Too many containers restarted to read all samples of them: for {len(wanted)} of them the percentiles of memory may be"
                " those of the highest value of every step, which are no lower."
            )
            break
        known = pods.setdefault((found.counted(place), place[0]), {})
        known[place[1]] = known.get(place[1], 0) + samples
    units = [
        Unit(key, namespace, "", (pod,), 1, samples, found.starts.get(key, found.begin), (pod,))
        for (key, namespace), known in pods.items()
        for pod, samples in known.items()
    ]

    def write(some: Sequence[Unit]) -> str:
        return queries.over("", found.scope(some, one_job=True), queries.METRICS["memory"], found.end - some[0].begin)

    bounded = {"max_series": options.get("max_series"), "max_samples": _RAW_ANSWER}
    for job, answer in found.runner.run([Job(RAW, some, write, found.end) for some in batches(units, bounded)]):
        usage.take(job, answer)


def _is_split(usage: Usage, place: Place) -> bool:
    runs, shares = usage.chosen.get(place, ()), usage.shares.get(place, {})
    odd = any(not math.isfinite(value) for key in runs for value in shares.get(key, {}).values())
    return len(runs) > 1 or odd or any(math.inf in grid for grid in usage.memory.get(place, {}).values())


# --- what is said ----------------------------------------------------------------------------------------------------------


def _remarks(usage: Usage) -> Iterable[str]:
    found = usage.found
    twice = sum(1 for place, runs in found.counts.items() if len(runs) > len(usage.chosen[place]))
    if twice:
        yield f"{twice} containers are scraped more than once: the series of the kubelet's job count, else those with most samples."
    newest = [found.begin + span[1] * found.step for runs in usage.memory.values() for grid in runs.values() if (span := stats.span(grid))]
    if newest and found.owners.started and found.end - max(newest) > max(600.0, 3 * found.sample_seconds):
        yield f"The newest samples are of about {moment(max(newest))}, {clock.span(found.end - max(newest))} before the end of the window."
    if found.runner.failures:
        yield f"{found.runner.failures} queries failed at first, and were asked again in smaller parts or later."
