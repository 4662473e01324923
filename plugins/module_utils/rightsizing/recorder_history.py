# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The history of workloads out of the recorder's store, in the form in which it comes from Prometheus (history.py).

``history(path, subjects, options, now)`` reads ``history_days`` up to ``now``. What differs from Prometheus, and stands in its notes: CPU
percentiles are over the samples themselves, each the mean of the seconds that metrics-server measures over; throttling is not known; peaks
between two samples are not seen. Times are seconds since 1970, cores, bytes.

    coverage    the part of a pod's life within the window that samples stand for: each for as long as the usual distance between two
    restarts    [{pod, container, at, count}] and ooms [{pod, container, at, limit}] as runs saw them in the statuses
    rollouts    when the pods of each other revision were last seen

Errors: RecorderError (no store, an empty one, one of another cluster, a damaged one).
"""

from __future__ import annotations

import re
import time
from array import array
from bisect import bisect_left
from collections import Counter
from itertools import accumulate, groupby, pairwise
from math import nan
from operator import sub
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import span
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.history_stats import PERCENTILES, percentile
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder_file import RECORD, StoreEmpty
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder_store import Series, Store, opened

Object = dict[str, Any]
Index = dict[tuple[str, str, str], list[Series]]

STEP = 300  # seconds of the grids
_DAY = 86400
_CORE, _KIND_OF_OWNER = 1e-6, {"ReplicaSet": "Deployment"}
_NOT_SEEN = (
    "The recorder knows one measurement per run: CPU as the mean of the seconds before it that metrics-server measures over, memory at that"
    " moment. Peaks between two samples are not seen. CPU percentiles are over the samples, not over rates of five minutes."
)
_THROTTLING = {"what": "CPU throttling", "missing": "metrics.k8s.io does not tell it; Prometheus with cAdvisor's metrics does"}


class Window(NamedTuple):
    """What is read: times, and the uids of pods that are alive."""

    begin: float
    end: float
    alive: frozenset[str]


class Part(NamedTuple):
    """The samples of one series."""

    times: list[int]
    cpu: list[int]
    memory: list[int]


class Life(NamedTuple):
    """What the coverage of a series is made of: distances between its samples, and from them to both ends of the pod's life."""

    gaps: Counter[int]
    edges: tuple[float, float]


def history(path: str, subjects: Sequence[Mapping[str, Any]], options: Mapping[str, Any], now: float, cluster: str = "") -> Object:
    """See the module's description. ``cluster``: the uid that the store has to be of."""
    begun = time.perf_counter()
    window = Window(
        now - float(options.get("history_days", 8)) * _DAY,
        now,
        frozenset(pod["metadata"]["uid"] for one in subjects for pod in one["all_pods"]),
    )
    with opened(path, cluster=cluster) as store:
        summary = store.summary()
        if not summary["runs"]:
            raise StoreEmpty(f"No run has measured anything into the store {store.path} yet.", RECORD)
        index = _index(store.series(sorted({_of(one)[1] for one in subjects}), window.begin))
        found: dict[str, Object] = {}
        lives = _read(store, [_chosen(subject, index, options) for subject in subjects], window, found)
        runs = store.runs(window.begin, window.end)
        later = store.runs_after(window.end + 60)
    sample_seconds = _median(life.gaps for _usage_of, some in lives for life in some) or _median([Counter(_positive_gaps(runs))])
    for usage, some in lives:
        usage["cpu"]["coverage"] = usage["memory"]["coverage"] = _coverage(some, sample_seconds)
    return {
        "source": f"the recorder's store {summary['path']}",
        "from": window.begin,
        "to": window.end,
        "step_seconds": float(STEP),
        "sample_seconds": sample_seconds,
        "notes": [_NOT_SEEN, *_run_notes(runs, later, window, sample_seconds, summary)],
        "not_evaluated": [dict(_THROTTLING)],
        "queries": [
            {
                "what": f"samples of {span(window.end - window.begin)} from the recorder's store",
                "query": "",
                "series": len(lives),
                "samples": sum(usage["memory"]["samples"] for usage, _some in lives),
                "seconds": round(time.perf_counter() - begun, 3),
            }
        ],
        "workloads": found,
    }


# --- which series are whose


def _of(subject: Mapping[str, Any]) -> tuple[str, str, str]:
    kind, namespace, name = subject["key"].split("/", 2)
    return kind, namespace, name


def _index(rows: Sequence[Series]) -> Index:
    """By kind, namespace and name of the workload; a ReplicaSet is named after its Deployment and the hash of the template."""
    found: Index = {}
    for row in rows:
        kind, _slash, name = row.owner.partition("/")
        if kind in _KIND_OF_OWNER:
            kind, name = _KIND_OF_OWNER[kind], name.rpartition("-")[0]
        found.setdefault((kind, row.namespace, name), []).append(row)
    return found


def _is_current(row: Series, subject: Mapping[str, Any]) -> bool:
    revision = subject["revision"]
    if row.revision and revision["name"]:
        return bool(row.revision == revision["name"])
    since = revision["since"]
    return re.fullmatch(revision["pattern"], row.pod) is not None and (subject["hash_in_names"] or since is None or row.created >= since)


class Chosen(NamedTuple):
    """A subject, the series that count, and those of other revisions."""

    subject: Mapping[str, Any]
    counted: list[Series]
    others: list[Series]
    current: set[int]


def _chosen(subject: Mapping[str, Any], index: Index, options: Mapping[str, Any]) -> Chosen:
    mine = index.get(_of(subject), [])
    current = {row.id for row in mine if _is_current(row, subject)}
    counted = [row for row in mine if row.id in current or options.get("all_revisions")]
    return Chosen(subject, counted, [row for row in mine if row.id not in current], current)


# --- reading


def _read(store: Store, choice: Sequence[Chosen], window: Window, found: dict[str, Object]) -> list[tuple[Object, list[Life]]]:
    """Adds the workloads to ``found``; the coverage of each usage is computed when the usual distance is known."""
    lives: list[tuple[Object, list[Life]]] = []
    home = {row.id: one.subject["key"] for one in choice for row in one.counted}
    rows = {row.id: row for one in choice for row in one.counted}
    current = {one for chosen in choice for one in chosen.current}
    for chosen in choice:
        found[chosen.subject["key"]] = _empty(chosen, window)

    def place(one: int) -> tuple[str, str, str]:
        return home[one], rows[one].container, rows[one].pod

    first: dict[str, int] = {}
    # one name after the other, so that only its samples are in memory
    read = store.samples(sorted(rows, key=lambda one: (*place(one), rows[one].created)), window.begin, window.end)
    for (key, container, pod), group in groupby(read, key=lambda item: place(item[0])):
        parts: list[Part] = []
        some: list[Life] = []
        for one, *columns in group:
            parts.append(Part(*columns))
            some.append(_life(rows[one], parts[-1].times, window))
            if one in current:
                first[key] = min(first.get(key, parts[-1].times[0]), parts[-1].times[0])
        usage = found[key]["containers"].setdefault(container, {})[pod] = _usage(parts)
        lives.append((usage, some))
    for chosen in choice:
        workload = found[chosen.subject["key"]]
        workload["first_seen"] = float(first[chosen.subject["key"]]) if chosen.subject["key"] in first else None
        workload["pods_seen"] = len({pod for pods in workload["containers"].values() for pod in pods})
        if not workload["containers"]:
            workload["notes"].append("the store has no samples of its pods in this window")
    for one, at, reason, limit, count in store.endings(list(rows), window.begin, window.end):
        workload = found[home[one]]
        where = {"pod": rows[one].pod, "container": rows[one].container, "at": float(at)}
        workload["restarts"].append({**where, "count": max(1, count), "reason": reason})
        if reason == "OOMKilled":
            workload["ooms"].append({**where, "limit": limit})
    return lives


def _empty(chosen: Chosen, window: Window) -> Object:
    last: dict[str, float] = {}
    for row in chosen.others:
        if window.begin <= row.last <= window.end:
            revision = row.revision or row.pod.rpartition("-")[0]
            last[revision] = max(last.get(revision, 0.0), float(row.last))
    return {
        "containers": {},
        "first_seen": None,
        "restarts": [],
        "ooms": [],
        "rollouts": sorted(last.values()),
        "pods_seen": 0,
        "notes": [],
    }


def _life(row: Series, times: list[int], window: Window) -> Life:
    """It goes from the pod's creation to now where it is alive, else to its last sample."""
    begin = max(window.begin, float(row.created))
    end = window.end if row.uid in window.alive else float(times[-1])
    return Life(Counter(map(sub, times[1:], times)), (max(0.0, times[0] - begin), max(0.0, end - times[-1])))


def _usage(parts: list[Part]) -> Object:
    """Of one container of the pods of one name, which in a StatefulSet may be several, one after the other."""
    times, cpu, memory = parts[0]
    if len(parts) > 1:
        times, cpu, memory = map(list, zip(*sorted(row for part in parts for row in zip(*part))))
    begin, mean, highest = _grids(times, cpu, memory)
    return {
        "cpu": _stats(times, cpu, _CORE),
        "memory": _stats(times, memory, 1.0),
        "cpu_series": {"begin": float(begin), "step": float(STEP), "values": mean},
        "memory_series": {"begin": float(begin), "step": float(STEP), "values": highest},
        "throttled": None,
    }


def _stats(times: Sequence[int], values: Sequence[int], unit: float) -> Object:
    ordered = sorted(values)
    found: Object = {name: percentile(ordered, share) * unit for name, share in PERCENTILES.items()}
    return {**found, "max": ordered[-1] * unit, "samples": len(ordered), "coverage": 0.0, "from": float(times[0]), "to": float(times[-1])}


def _grids(times: Sequence[int], cpu: Sequence[int], memory: Sequence[int]) -> tuple[int, array[float], array[float]]:
    """(begin, mean of the CPU samples of each step in cores, highest memory of each step)."""
    begin = times[0] // STEP * STEP
    edges = [bisect_left(times, cell) for cell in range(begin, times[-1] + STEP + 1, STEP)]
    ends = list(pairwise(edges))
    sums = [0, *accumulate(cpu)]
    mean = array("d", [(sums[high] - sums[low]) * _CORE / (high - low) if high > low else nan for low, high in ends])
    highest = array("d", [max(memory[low:high]) if high > low else nan for low, high in ends])
    return begin, mean, highest


# --- coverage and notes


def _coverage(lives: Sequence[Life], sample_seconds: float) -> float:
    """A sample stands for the usual distance, half of it more where the next one is late."""
    usual = sample_seconds or STEP
    whole = covered = 0.0
    for gaps, edges in lives:
        for gap, count in (*gaps.items(), *((edge, 1) for edge in edges)):
            whole += gap * count
            covered += (gap if gap <= 1.5 * usual else usual) * count
    return round(min(1.0, covered / whole), 4) if whole else 0.0


def _median(counted: Iterable[Counter[int]]) -> float:
    gaps: Counter[int] = Counter()
    for one in counted:
        gaps.update(one)
    total, passed = sum(gaps.values()), 0
    for gap in sorted(gaps):
        passed += gaps[gap]
        if 2 * passed >= total:
            return float(gap)
    return 0.0


def _positive_gaps(runs: Sequence[tuple[int, int, str]]) -> list[int]:
    times = sorted({at for at, ok, _why in runs if ok})
    return [later - earlier for earlier, later in zip(times, times[1:])]


def _run_notes(
    runs: Sequence[tuple[int, int, str]], later: int, window: Window, sample_seconds: float, summary: Mapping[str, Any]
) -> list[str]:
    notes = []
    times = sorted({at for at, ok, _why in runs if ok})
    failed = [why for _at, ok, why in runs if not ok]
    usual = max(sample_seconds, 60.0)
    holes = [gap for gap in _positive_gaps(runs) if gap > 3 * usual]
    if summary["from"] > window.begin + 2 * usual:
        notes.append(
            f"The store begins {span(max(0.0, window.end - summary['from']))} before the end of the window of"
            f" {span(window.end - window.begin)}."
        )
    if not times:
        notes.append("No run has succeeded within the window.")
    elif window.end - times[-1] > 3 * usual:
        notes.append(f"The last run that succeeded was {span(window.end - times[-1])} ago. Is cron still running it?")
    if holes:
        notes.append(f"Runs are missing: {len(holes)} gaps, {span(sum(holes))} together, the longest {span(max(holes))}.")
    if failed:
        notes.append(f"{len(failed)} of {len(runs)} runs failed, the last one: {failed[-1]}")
    if later:
        notes.append(f"{later} runs have times after now, and are left out: a clock was set back.")
    back = sum(1 for one, other in zip(runs, runs[1:]) if other[0] < one[0] - 60)
    if back:
        notes.append(f"Time went back {back} times between two runs: a clock was set back.")
    return notes
