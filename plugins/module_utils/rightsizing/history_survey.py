# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What there is to be read: which series of which pods, how many samples, how far apart, under which labels; and in which portions to ask.

One cheap query per hundred workloads, before anything large. Raises NothingFound, which says why, where there is not one series; BadInput
for series of several clusters; PrometheusError.
"""

from __future__ import annotations

import dataclasses
import math
import time
from datetime import datetime, timezone
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import queries
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import POINTS, NothingFound, Prometheus, PrometheusError, Series
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.packed import Grid
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.usage import one_cluster
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import history_stats as stats
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_owners import Owners
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_run import Job, Runner, Unit

Object = dict[str, Any]
Place = tuple[str, str, str]  # namespace, pod, container
SeriesKey = tuple[tuple[str, str], ...]

STEP = 300.0
DAY = 86400.0
MAX_SERIES, MAX_SAMPLES = 500, 20_000_000  # of one query
_CELLS = 250_000  # points of one answer: some 9 MB
_WHOLE = 12  # moments at which revisions began, above which they are rounded to whole hours
_SKEW = 60.0
_JOBS = 3  # scrape jobs whose distance of samples is looked at
_MEMORY = queries.METRICS["memory"]
_SAME_RUN = ("id", "name", "image", "__name__", "cpu", "uid", "container_id")  # labels that differ between the runs of one container
_HOUR = 3600.0
_ASIDE, _ASIDE_STEP = 60 * DAY, 4 * _HOUR  # how far around the window samples are looked for, where it has none


@dataclasses.dataclass
class Survey:
    """All that the questions depend on. Times are the server's."""

    server: Prometheus
    runner: Runner
    owners: Owners
    begin: float
    end: float
    step: float
    labels: dict[str, str]
    every_revision: bool
    names: queries.Names = queries.USUAL
    counts: dict[Place, dict[SeriesKey, int]] = dataclasses.field(default_factory=dict)  # of pods that count
    others: dict[str, dict[str, list[str]]] = dataclasses.field(default_factory=dict)  # key -> other revision -> pods
    distances: dict[str, float] = dataclasses.field(default_factory=dict)  # scrape job -> seconds
    sample_seconds: float = 60.0
    job: str = ""  # the one scrape job that all that count are of, where there are further ones
    units: list[Unit] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    starts: dict[str, float] = dataclasses.field(default_factory=dict)  # key -> when samples begin to count
    first: dict[Place, float] = dataclasses.field(default_factory=dict)  # when each container has its first sample
    rolled: dict[str, float] = dataclasses.field(default_factory=dict)  # key -> when a revision followed another one that had pods

    @property
    def window(self) -> float:
        return self.end - self.begin

    @property
    def grid(self) -> Grid:
        """The moments at which steps end."""
        return Grid(self.begin + self.step, self.step, round(self.window / self.step))

    @property
    def rate_seconds(self) -> float:
        """A rate needs two samples, also where one is late."""
        return max(self.step, math.ceil(2.5 * self.sample_seconds))

    def scope(self, units: Sequence[Unit], names: queries.Names | None = None, one_job: bool = False) -> queries.Scope:
        pattern = "|".join(dict.fromkeys(unit.pattern for unit in units))
        labels = {**self.labels, **({"job": self.job} if self.job and one_job else {})}
        return queries.Scope([unit.namespace for unit in units], pattern, names or self.names, labels)

    def place(self, labels: Mapping[str, str], names: queries.Names | None = None) -> Place:
        used = names or self.names
        return labels.get(used.namespace, ""), labels.get(used.pod, ""), labels.get(used.container, "")

    def counted(self, place: Place) -> str:
        """The workload whose figures a series goes into; "" where it goes into none."""
        owner = self.owners.of(place[0], place[1])
        return owner.key if owner and (owner.current or self.every_revision) and place[2] not in ("", "POD") else ""


def moment(at: float) -> str:
    """A time as a person reads it."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def series_key(labels: Mapping[str, str]) -> SeriesKey:
    return tuple(sorted((name, value) for name, value in labels.items() if name not in ("__name__", "cpu")))


def best_origin(runs: Mapping[SeriesKey, float], names: queries.Names) -> list[SeriesKey]:
    """Of several scrape jobs for one container the kubelet's, else that with most samples: the series of all runs of the container."""
    origins: dict[SeriesKey, list[SeriesKey]] = {}
    for key in runs:
        origins.setdefault(tuple(one for one in key if one[0] not in _SAME_RUN and one[0] not in names), []).append(key)
    return sorted(max(origins.items(), key=lambda one: (("job", "kubelet") in one[0], sum(runs[key] for key in one[1]), one[0]))[1])


def survey(server: Prometheus, subjects: Sequence[Object], options: Mapping[str, Any], runner: Runner, now: float | None) -> Survey:
    """See the module's description."""
    days = float(options.get("history_days") or 8)
    if days < 1:
        raise BadInput(f"history_days is {days:g}.", "Give at least 1; 8 shows a whole week.")
    labels = dict(options.get("prometheus_labels") or {})
    queries.check_labels(labels)
    theirs = server.now()
    wanted = theirs if now is None else now
    step = STEP * math.ceil(days * DAY / STEP / (POINTS - 1))
    end = math.floor(wanted / step) * step
    begin = end - math.ceil(days * DAY / step) * step
    found = Survey(server, runner, Owners(subjects), begin, end, step, labels, bool(options.get("all_revisions")))
    ahead = theirs - time.time()
    if now is None and abs(ahead) > _SKEW:
        how = "ahead of" if ahead > 0 else "behind"
        found.notes.append(f"The clock of Prometheus is {clock.span(abs(ahead))} {how} this machine's; the window is in its time.")
    if not subjects:
        return found
    _look(found, subjects, options)
    _distances(found)
    _begin_of_revisions(found, subjects)
    found.units = list(_units(found, subjects))
    return found


# --- which series there are ------------------------------------------------------------------------------------------------


def _look(found: Survey, subjects: Sequence[Object], options: Mapping[str, Any]) -> None:
    asked = [_whole(one) for one in subjects]
    chosen = options.get("prometheus_label_names")
    tries = [_chosen_names(chosen)] if chosen else list(queries.NAMES)
    for names in tries:
        found.names = names
        # whether the labels are named so is seen from a few; only the usual names are tried with all
        some = asked if names in (queries.USUAL, tries[0]) else asked[:: max(1, len(asked) // 20)][:20]
        if _count(found, some) and some is not asked:
            found.counts.clear()
            found.others.clear()
            _count(found, asked)
        if found.counts or found.others:
            if names != queries.USUAL:
                found.notes.append(f"The series name their pods with the labels {', '.join(names)}.")
            return
    found.names = tries[0]
    raise _nothing(found, subjects)


def _chosen_names(chosen: Any) -> queries.Names:
    known = {"namespace", "pod", "container"}
    if not isinstance(chosen, Mapping) or set(chosen) - known:
        raise BadInput("prometheus_label_names is not a dictionary of namespace, pod and container.", "Give {pod: pod_name}, for example.")
    names = queries.Names(**{**queries.USUAL._asdict(), **{name: str(value) for name, value in chosen.items()}})
    queries.check_labels({name: "" for name in names})
    return names


def _whole(subject: Object) -> Unit:
    revision = subject["revision"]
    return Unit(subject["key"], str(subject["workload"]["metadata"]["namespace"]), revision["others"] or revision["pattern"])


def _count(found: Survey, units: Sequence[Unit]) -> bool:
    """Read how many samples every series has; whether there are any."""

    def write(some: Sequence[Unit]) -> str:
        return queries.over("count_over_time", found.scope(some), _MEMORY, found.window)

    seen: list[Series] = []
    strange = 0
    jobs = [Job("series and samples of the pods", tuple(some), write, found.end) for some in _by_pattern(units)]
    for _job, answer in found.runner.run(jobs):
        for series in answer.series:
            place = found.place(series.labels)
            key = found.counted(place)
            owner = found.owners.of(place[0], place[1])
            if owner and not owner.current:
                pods = found.others.setdefault(owner.key, {}).setdefault(owner.revision, [])
                if place[1] not in pods:
                    pods.append(place[1])
            if owner:
                seen.append(Series({name: series.labels[name] for name in queries.CLUSTERS if name in series.labels}, []))
            if key:
                count = series.values[-1]
                found.counts.setdefault(place, {})[series_key(series.labels)] = int(count) if math.isfinite(count) else 0
            strange += not owner
    one_cluster(seen)
    if strange and (found.counts or found.others):
        text = (
            f"{strange} series of pods whose names look alike belong to no workload that was asked for, or could be of several: left out."
        )
        if text not in found.notes:
            found.notes.append(text)
    return bool(seen)


def _by_pattern(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Portions by namespace whose patterns fit into the address of a request."""
    portion: list[Unit] = []
    length = 0
    for unit in sorted(units, key=lambda one: (one.namespace, one.key)):
        if portion and length + len(unit.pattern) > queries.PATTERN_LENGTH:
            yield portion
            portion, length = [], 0
        portion.append(unit)
        length += len(unit.pattern) + 1
    if portion:
        yield portion


def _nothing(found: Survey, subjects: Sequence[Object]) -> NothingFound:
    """Why there is nothing, as far as the server tells."""
    server, days = found.server, round(found.window / DAY)
    what = f"Prometheus at {server.address} (prometheus_url) has no samples of {_MEMORY} for the pods of these {len(subjects)} workloads"
    now = server.query(f"count({_MEMORY})", found.end, option="prometheus_url")
    if now:
        return NothingFound(
            f"{what} in the last {days} days, but {now[0].values[-1][1]:.0f} such series of others.",
            "Check that it watches this cluster; say under which labels it names pods with prometheus_label_names, if they are unusual.",
        )
    times = _moments_with_samples(found)
    if times:
        newest = max(times)
        apart = f"{clock.span(abs(found.end - newest))} {'ago' if newest <= found.end else 'in the future'}"
        return NothingFound(
            f"{what} in the last {days} days: its newest samples of any pod are of about {apart}.",
            "Check that it still scrapes the kubelets, and that the clocks of its machine and of this one are right.",
        )
    if server.query("count(up)", found.end, option="prometheus_url"):
        return NothingFound(
            f"{what}, and none of any pod, but it scrapes other targets.",
            "Let it scrape the kubelets (/metrics/cadvisor), or name another one.",
        )
    return NothingFound(f"{what}: it is empty.", "Wait until it has scraped the kubelets for some days, or name another one.")


def _moments_with_samples(found: Survey) -> list[float]:
    """When there are samples of any pod in the months around the window, as seen every few hours; none where this is too much to ask."""
    grid = Grid(found.end - _ASIDE, _ASIDE_STEP, round(2 * _ASIDE / _ASIDE_STEP) + 1)
    try:
        counted = found.server.grid(f"count({_MEMORY})", grid, option="prometheus_url").series
    except PrometheusError:
        return []
    return [grid.begin + index * grid.step for one in counted for index, value in enumerate(one.values) if not math.isnan(value)]


# --- how far apart, since when ---------------------------------------------------------------------------------------------


def _distances(found: Survey) -> None:
    """The distance of samples, by scrape job, from the raw samples of one container of each; widens the step where they are sparse."""
    largest: dict[str, tuple[int, Place]] = {}
    jobs: dict[str, int] = {}
    for place, runs in found.counts.items():
        for key in best_origin(runs, found.names):
            job = dict(key).get("job", "")
            jobs[job] = jobs.get(job, 0) + 1
            largest[job] = max(largest.get(job, (0, place)), (runs[key], place))
    asked = [_distance_job(found, job, largest[job][1]) for job in sorted(jobs, key=lambda one: -jobs[one])[:_JOBS]]
    for asked_job, answer in found.runner.run(asked):
        between = [distance for one in answer.series if (distance := stats.distance(one.times))]
        if between:
            found.distances[asked_job.units[0].regex] = between[0]
    if found.distances:
        found.sample_seconds = max(found.distances.values())
    every = {dict(key).get("job", "") for runs in found.counts.values() for key in runs}
    if len(jobs) == 1 and len(every) > 1:
        found.job = next(iter(jobs))
    if found.sample_seconds > found.step:
        found.step = math.ceil(found.sample_seconds / STEP) * STEP
        found.end = math.floor(found.end / found.step) * found.step
        found.begin = found.end - math.ceil(found.window / found.step) * found.step
        found.notes.append(f"Samples are {clock.span(found.sample_seconds)} apart: the series have a step of {clock.span(found.step)}.")
    elif found.rate_seconds > found.step:
        found.notes.append(
            f"Samples are {clock.span(found.sample_seconds)} apart: rates of CPU are means over {clock.span(found.rate_seconds)}."
        )


def _distance_job(found: Survey, job: str, place: Place) -> Job:
    """The raw samples of one container; its unit's regex holds the name of the scrape job."""
    matchers = [f"{found.names.container}={queries.quoted(place[2])}", f"job={queries.quoted(job)}"]
    unit = Unit(found.counted(place), place[0], job, (place[1],), 1)
    return Job(
        "distance of samples", (unit,), lambda some: queries.over("", found.scope(some), _MEMORY, found.window, *matchers), found.end
    )


def _begin_of_revisions(found: Survey, subjects: Sequence[Object]) -> None:
    """Where names of pods do not tell the revision, samples count from its creation on, and not those of pods that ran already then."""
    late = {
        one["key"]: float(one["revision"]["since"])
        for one in subjects
        if not one["hash_in_names"] and not found.every_revision and (one["revision"]["since"] or 0) > found.begin
    }
    few = len({math.ceil(since / found.step) for since in late.values()}) <= _WHOLE
    each = found.step * (1 if few else math.ceil(_HOUR / found.step))
    found.starts = {key: min(found.end, math.ceil(since / each) * each) for key, since in late.items()}
    units = {one["key"]: _whole(one) for one in subjects}
    jobs = [
        Job("pods of the revision before", (units[key],), lambda some: found.scope(some).of(_MEMORY), since) for key, since in late.items()
    ]
    for job, answer in found.runner.run(jobs):
        for series in answer.series:
            owner = found.owners.of(*found.place(series.labels)[:2])
            if owner and owner.key == job.units[0].key:
                found.rolled[owner.key] = late[owner.key]
            runs = found.counts.get(found.place(series.labels), {})
            if len(runs) > 1 or "id" in series.labels or not series.labels.get(found.names.pod, "").rpartition("-")[2].isdigit():
                runs.pop(series_key(series.labels), None)
    found.counts = {place: runs for place, runs in found.counts.items() if runs}


# --- in which portions -----------------------------------------------------------------------------------------------------


def _units(found: Survey, subjects: Sequence[Object]) -> Iterator[Unit]:
    series: dict[str, int] = {}
    samples: dict[str, int] = {}
    pods: dict[str, set[str]] = {}
    for place, runs in found.counts.items():
        key = found.counted(place)
        series[key] = series.get(key, 0) + len(runs)
        samples[key] = samples.get(key, 0) + sum(runs.values())
        pods.setdefault(key, set()).add(place[1])
    for one in subjects:
        key, revision = one["key"], one["revision"]
        if key in series:
            regex = (revision["others"] if found.every_revision else "") or revision["pattern"]
            begin = found.starts.get(key, found.begin)
            namespace = str(one["workload"]["metadata"]["namespace"])
            yield Unit(key, namespace, regex, (), series[key], samples[key], begin, tuple(sorted(pods[key])))


def batches(units: Iterable[Unit], options: Mapping[str, Any], points: int = 1) -> Iterator[tuple[Unit, ...]]:
    """Portions of units that count from the same moment: bounded in series, samples, points of the answer, and length of the query."""
    most, most_samples = int(options.get("max_series") or MAX_SERIES), int(options.get("max_samples") or MAX_SAMPLES)
    most = max(1, min(most, _CELLS // points))
    portion: list[Unit] = []
    for unit in sorted(units, key=lambda one: (one.begin, one.namespace, one.key)):
        parts = max(math.ceil(unit.series / most), math.ceil(unit.samples / most_samples))
        if parts > 1:  # names instead of a pattern
            parts = max(parts, math.ceil(len(queries.exactly(unit.known)) / queries.PATTERN_LENGTH))
        for part in unit.parts(parts):
            total = [*portion, part]
            if portion and (
                part.begin != portion[0].begin
                or sum(one.series for one in total) > most
                or sum(one.samples for one in total) > most_samples
                or sum(len(one.pattern) + 1 for one in total) > queries.PATTERN_LENGTH
            ):
                yield tuple(portion)
                portion = []
            portion.append(part)
    if portion:
        yield tuple(portion)
