# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Histories of made-up workloads, by kind and seed: 8 days that are known and the day after them, which is held back.

Both come from one process that runs through nine days: the held-back day has its own noise, spikes and starts, and is no copy. KINDS:

    steady   a level with noise and slow drifts          leak     as steady, and rises by 1.5 to 12 % of its first level a day
    daily    a cycle of a day, higher in use at noon      startup  needs 1.5 to 2.5 times its level in its first minutes; half of them started
    spikes   a few bursts a day, of different heights              before the history; in the held-back day a pod starts in each of them
    weekly   a batch once a week; it lies within the 8 days, and recurs in the held-back day where its hour falls there

LEVEL (cache: fills and levels off; step: one rise to a new level) are no leaks, and are generated to look for false alarms.
A third of the series have gaps. Units: cores, bytes, seconds since 1970.
"""

from __future__ import annotations

import datetime
from array import array
from typing import Any, Mapping, NamedTuple

import numpy as np
from numpy.typing import NDArray

Object = dict[str, Any]
Values = NDArray[np.float64]

KINDS = ("steady", "daily", "spikes", "leak", "startup", "weekly")
LEVEL = ("cache", "step")
DAY, HOUR, STEP, MI = 86400, 3600, 300, 2**20
DAYS = 8
NOW = 1_795_000_200.0 // STEP * STEP
BEGIN = NOW - DAYS * DAY
NAME = "app"


class Case(NamedTuple):
    """``held``: {resource: highest (memory) or mean (cpu) of each step of the day after, of all pods}; ``found``: the workload's history."""

    kind: str
    seed: int
    subject: Object
    found: Object
    held: dict[str, Values]
    start_seen: bool


def case(kind: str, seed: int, sample_seconds: int = 60) -> Case:
    """See the module's description."""
    rng = np.random.default_rng([(KINDS + LEVEL).index(kind), seed])
    times = BEGIN + np.arange(0, (DAYS + 1) * DAY, sample_seconds, dtype=np.float64)
    level, used = float(np.exp(rng.uniform(np.log(48 * MI), np.log(2048 * MI)))), float(np.exp(rng.uniform(np.log(0.01), np.log(1.0))))
    shape = _shape(kind, rng)
    pods, starts = _pods(kind, rng)
    hidden = _gaps(rng, shape) if rng.random() < 1 / 3 else []
    containers: dict[str, Object] = {}
    held: dict[str, list[Values]] = {"memory": [], "cpu": []}
    highest = 0.0
    for pod, (born, gone) in pods.items():
        lives = (times >= born) & (times < gone)
        factor = rng.uniform(0.92, 1.08)
        memory, cpu = _memory(kind, rng, times, born, level * factor, shape), _cpu(kind, rng, times, born, used * factor, shape)
        highest = max(highest, float(memory[lives].max()))
        known = lives & (times < NOW)
        for first, last in hidden:
            known &= ~((times >= first) & (times < last))
        if known.any():
            containers[pod] = usage(times, memory, cpu, known, sample_seconds)
        after = lives & (times >= NOW)
        if after.any():
            held["memory"].append(memory[after])
            held["cpu"].append(
                cpu[after][: after.sum() // (STEP // sample_seconds) * (STEP // sample_seconds)].reshape(-1, STEP // sample_seconds).mean(axis=1)
            )
    found = {
        "containers": {NAME: containers},
        "first_seen": BEGIN,
        "restarts": [],
        "ooms": [],
        "rollouts": [],
        "pods_seen": len(containers),
        "notes": [],
    }
    asked = {
        "requests": {"cpu": f"{max(10, round(used * rng.uniform(1.5, 8) * 1000))}m", "memory": f"{round(highest * rng.uniform(0.7, 3) / MI)}Mi"},
        "limits": {"cpu": f"{max(80, round(used * 12 * 1000))}m", "memory": f"{round(highest * rng.uniform(3.2, 5) / MI)}Mi"},
    }
    live = [pod for pod, (born, gone) in pods.items() if born < NOW < gone]
    subject = subject_of([{"name": NAME, "image": "app:1", "resources": asked}], {pod: pods[pod][0] for pod in live})
    return Case(kind, seed, subject, found, {name: np.concatenate(parts) for name, parts in held.items()}, any(BEGIN < one < NOW for one in starts))


# --- processes --------------------------------------------------------------------------------------------------------------


def _shape(kind: str, rng: np.random.Generator) -> Object:
    """What belongs to the workload, and is the same for its pods."""
    shape: Object = {"noise": rng.uniform(0.005, 0.03), "drift": rng.uniform(0.0, 0.02), "hour": rng.uniform(0, 24)}
    if kind == "daily" or rng.random() < 0.25:
        shape["daily"] = rng.uniform(0.15, 0.6) if kind == "daily" else rng.uniform(0.03, 0.1)
    if kind == "leak":
        shape["leak"] = rng.uniform(0.015, 0.12)
    if kind == "startup":
        shape["start"] = rng.uniform(1.5, 2.5)
    if kind == "spikes":
        shape["spikes"], shape["height"] = rng.uniform(4, 12), rng.uniform(0.2, 0.8)
    if kind == "weekly":
        shape["batch"], shape["lasts"] = BEGIN + rng.uniform(0, 7) * DAY, rng.uniform(1, 4) * HOUR
        shape["height"] = rng.uniform(0.5, 2.0)
    if kind in LEVEL:
        shape["rise"], shape["when"] = rng.uniform(0.3, 1.5), BEGIN + rng.uniform(0.5, 7.5) * DAY
        shape["fills"] = rng.uniform(0.2, 1.2) * DAY
    return shape


def _pods(kind: str, rng: np.random.Generator) -> tuple[dict[str, tuple[float, float]], list[float]]:
    """{pod: (from, to)}, and all starts. Pods are replaced where starts matter."""
    never = NOW + 2 * DAY
    pods = {f"web-5d4f8c-{index:05d}": (BEGIN - rng.uniform(1, 30) * DAY, never) for index in range(int(rng.integers(1, 4)))}
    if kind in LEVEL:
        pods = {name: (BEGIN - 600.0, never) for name in pods}
    starts = []
    if kind == "startup":
        name = next(iter(pods))
        replaced = sorted(BEGIN + rng.uniform(0.5, 7.5, size=int(rng.integers(1, 4))) * DAY) if rng.random() < 0.5 else []
        for number, at in enumerate([*(float(round(one)) for one in replaced), NOW + float(rng.uniform(0.1, 0.9)) * DAY]):
            pods[name] = (pods[name][0], at)
            name = f"web-5d4f8c-r{number:04d}"
            pods[name] = (at, never)
            starts.append(at)
    return pods, starts


def _drift(rng: np.random.Generator, times: Values, share: float) -> Values:
    """A slow random walk that comes back to nought within about half a day."""
    hours = int((times[-1] - times[0]) // HOUR) + 2
    walk = np.zeros(hours)
    for index, push in enumerate(rng.normal(0, 1, hours)):
        walk[index] = 0.92 * (walk[index - 1] if index else 0.0) + 0.39 * push
    return np.interp(times, times[0] + HOUR * np.arange(hours), walk) * share


def _cycle(times: Values, hour: float) -> Values:
    return 0.5 + 0.5 * np.sin(2 * np.pi * (times / DAY - hour / 24))


def _memory(kind: str, rng: np.random.Generator, times: Values, born: float, level: float, shape: Mapping[str, Any]) -> Values:
    value = 1 + _drift(rng, times, shape["drift"]) + np.abs(rng.normal(0, shape["noise"], times.size))
    value += shape.get("daily", 0.0) * _cycle(times, shape["hour"])
    age = times - born
    if kind == "leak":
        value += shape["leak"] * (times - max(born, BEGIN)) / DAY
    if kind == "cache":
        value += shape["rise"] * (1 - np.exp(-np.maximum(0, age) / shape["fills"]))
    if kind == "step":
        value += shape["rise"] * (times > shape["when"])
    if kind == "startup":
        value += (shape["start"] * rng.uniform(0.95, 1.05) - 1) * np.where(age < 240, 1.0, np.exp(-np.maximum(0, age - 240) / 120)) * (age >= 0)
    if kind == "spikes":
        value += _bursts(rng, times, shape["spikes"]) * shape["height"]
    if kind == "weekly":
        value += _batches(rng, times, shape) * shape["height"]
    return level * value


def _cpu(kind: str, rng: np.random.Generator, times: Values, born: float, used: float, shape: Mapping[str, Any]) -> Values:
    value = (0.7 + 0.3 * _cycle(times, shape["hour"]) if "daily" in shape else 1.0) * rng.gamma(12, 1 / 12, times.size)
    if kind == "startup":
        value += 3 * ((times >= born) & (times < born + 180))
    if kind == "spikes":
        value += _bursts(rng, times, shape["spikes"]) * 3
    if kind == "weekly":
        value += _batches(rng, times, shape) * 5
    return used * value


def _bursts(rng: np.random.Generator, times: Values, per_day: float) -> Values:
    """Of 5 to 30 minutes, with heights that differ by a quarter (log-normal) around one."""
    found = np.zeros(times.size)
    for _number in range(int(rng.poisson(per_day * (DAYS + 1)))):
        first = times[0] + rng.uniform(0, DAYS + 1) * DAY
        inside = (times >= first) & (times < first + rng.uniform(300, 1800))
        found[inside] = np.maximum(found[inside], float(rng.lognormal(0, 0.25)))
    return found


def _batches(rng: np.random.Generator, times: Values, shape: Mapping[str, Any]) -> Values:
    found = np.zeros(times.size)
    for first in (shape["batch"], shape["batch"] + 7 * DAY):
        found[(times >= first) & (times < first + shape["lasts"])] = rng.uniform(0.95, 1.05)
    return found


def _gaps(rng: np.random.Generator, shape: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Hours without samples; not those of a weekly batch, which has to have been seen."""
    gaps = []
    for _number in range(int(rng.integers(1, 4))):
        first = BEGIN + rng.uniform(0, DAYS - 0.5) * DAY
        last = first + rng.uniform(1, 6) * HOUR
        batches = [shape["batch"], shape["batch"] + 7 * DAY] if "batch" in shape else []
        if not any(first < one + shape["lasts"] and last > one for one in batches):
            gaps.append((first, last))
    return gaps


# --- as the rooms want it ---------------------------------------------------------------------------------------------------


def usage(times: Values, memory: Values, cpu: Values, known: NDArray[np.bool_], sample_seconds: int) -> Object:
    """Percentiles of memory over the samples, of CPU over the steps; the series in steps."""
    width = STEP // sample_seconds
    size = times.size // width * width
    inside = size if times[0] >= NOW else int((NOW - times[0]) // STEP) * width
    shown = [np.where(known[:inside], one[:inside], np.nan).reshape(-1, width) for one in (memory, cpu)]
    some = ~np.isnan(shown[0]).all(axis=1)
    highest, mean = np.full(some.size, np.nan), np.full(some.size, np.nan)
    highest[some], mean[some] = np.nanmax(shown[0][some], axis=1), np.nanmean(shown[1][some], axis=1)
    first, last = float(times[known][0]), float(times[known][-1])
    covered = float(known[(times >= first) & (times <= last)].mean())
    return {
        "cpu": stats(mean[some], first, last, covered),
        "memory": stats(memory[known], first, last, covered),
        "cpu_series": {"begin": float(times[0]), "step": float(STEP), "values": array("d", mean.tolist())},
        "memory_series": {"begin": float(times[0]), "step": float(STEP), "values": array("d", highest.tolist())},
        "throttled": None,
    }


def stats(values: Values, first: float, last: float, coverage: float = 1.0) -> Object:
    p50, p95, p99 = (float(one) for one in np.percentile(values, (50, 95, 99)))
    return {
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "max": float(values.max()),
        "samples": int(values.size),
        "coverage": coverage,
        "from": first,
        "to": last,
    }


def history(**more: Any) -> Object:
    whole: Object = {"source": "Prometheus", "from": BEGIN, "to": NOW, "step_seconds": float(STEP), "sample_seconds": 60.0}
    return {**whole, "notes": [], "not_evaluated": [], "queries": [], "workloads": {}, **more}


def stamp(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def subject_of(containers: list[Object], pods: Mapping[str, float], spec: Mapping[str, Any] | None = None, kind: str = "Deployment") -> Object:
    """``pods``: {name: since when}."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers, **(spec or {})}}
    workload = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "shop", "uid": "w", "generation": 3},
        "spec": {"replicas": len(pods), "selector": {"matchLabels": {"app": "web"}}, "template": template},
        "status": {"observedGeneration": 3, "replicas": len(pods), "updatedReplicas": len(pods)},
    }
    if kind == "DaemonSet":
        workload["status"] = {"observedGeneration": 3, "desiredNumberScheduled": len(pods), "updatedNumberScheduled": len(pods)}
    live = [live_pod(name, since, containers) for name, since in pods.items()]
    return {
        "key": f"{kind}/shop/web",
        "workload": workload,
        "pods": live,
        "all_pods": list(live),
        "revision": {"name": "web-5d4f8c", "since": BEGIN - DAY, "pattern": "web-5d4f8c-[a-z0-9]{5}", "others": "web-[a-f0-9]{1,10}-[a-z0-9]{5}"},
        "hash_in_names": kind == "Deployment",
    }


def live_pod(name: str, since: float, containers: list[Object]) -> Object:
    statuses = [{"name": one["name"], "ready": True, "restartCount": 0, "state": {"running": {"startedAt": stamp(since)}}} for one in containers]
    status = {"phase": "Running", "startTime": stamp(since), "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": statuses}
    return {
        "metadata": {"name": name, "namespace": "shop", "creationTimestamp": stamp(since)},
        "spec": {"containers": [dict(one) for one in containers]},
        "status": status,
    }
