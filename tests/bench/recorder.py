# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``python -m tests.bench.recorder``: what the recorder's store costs, written by its own code, one run after the other.

200 containers, 7 days at one sample a minute; then the time of a run with 2,000 containers, of the one in four hours that packs as well, of the
history of all 200, and the size of the file. The history runs in a process of its own, whose memory is told. Its percentiles are compared with
numpy's over the samples: a fast wrong one would be no figure.
"""

from __future__ import annotations

import math
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".build" / "dev"))

from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import recorder_store as stores  # isort: skip
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder_history import history  # isort: skip

BEGIN, MINUTE, DAY = 1_795_000_000 // 14400 * 14400, 60, 86400
DAYS, WORKLOADS, CONTAINERS, LARGE = 7, 100, ("app", "proxy"), 1000
REPEATED = 9


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/usage.db"
        filled, kept = fill(path, WORKLOADS, DAYS)
        containers = WORKLOADS * len(CONTAINERS)
        size = os.path.getsize(path)
        print(f"{containers} containers, {DAYS} days at one sample a minute: {DAYS * 1440} runs in {filled:.0f} s")
        print(
            f"file: {size / 1e6:.1f} MB, {size / containers / DAYS / 1000:.2f} kB per container and day, {size / containers / DAYS / 1440:.2f} bytes"
            " per sample"
        )
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            seconds, busy, size, memory, begun, worst = pool.submit(read, path, kept).result()
        print(f"history of {containers} containers, {size:,} samples of CPU and memory each, {REPEATED} times:")
        for what, figures in (("wall clock", seconds), ("processor", busy)):
            print(f"  {what:10} median {statistics.median(figures):.2f} s, min {min(figures):.2f} s, max {max(figures):.2f} s")
        print(f"  largest resident size {memory:.0f} MB, {begun:.0f} MB before the first; largest difference to numpy {worst:.0e}")
        large(f"{folder}/large.db")
    return 0


def large(path: str) -> None:
    """Runs with 2,000 containers: plain ones, and the one that packs four hours."""
    plain, packing = list[float](), list[float]()
    with stores.opened(path, write=True, cluster="c") as store:
        numbers = random.Random(7)
        pods = [shape(index) for index in range(LARGE)]
        for minute in range(stores.PERIOD // MINUTE + 30):
            at = BEGIN + minute * MINUTE
            look = [measured(pod, at, numbers) for pod in pods]
            begun = time.perf_counter()
            store.tend(at, 15, 10**9)
            store.add(at, look)
            took = time.perf_counter() - begun
            packs = at - BEGIN == stores.PERIOD + 600
            (packing if packs else plain).append(took)
    figures = f"median {statistics.median(plain) * 1000:.0f} ms, max {max(plain) * 1000:.0f} ms"
    print(f"writing a run with {LARGE * len(CONTAINERS)} containers: {figures}; the one in four hours that packs: {max(packing):.2f} s")


def fill(path: str, workloads: int, days: float) -> tuple[float, dict[str, list[float]]]:
    """(seconds, {pod/container: its memory samples}) of a store that as many runs wrote as cron would have made."""
    begun, numbers = time.perf_counter(), random.Random(6)
    kept: dict[str, list[float]] = {}
    with stores.opened(path, write=True, cluster="c") as store:
        store._connection.execute("PRAGMA synchronous = OFF")  # the disk of this machine is measured below, with few runs
        pods = [shape(index) for index in range(workloads)]
        for minute in range(int(days * 1440)):
            at = BEGIN + minute * MINUTE
            look = [measured(pod, at, numbers) for pod in pods]
            for pod in look[:5]:
                for name, (_cpu, memory) in pod.usage.items():
                    kept.setdefault(f"{pod.name}/{name}", []).append(memory)
            store.add(at, look)
            if minute % 240 == 0:
                store.tend(at, 15, 10**9)
    return time.perf_counter() - begun, kept


def shape(index: int) -> stores.Pod:
    name = f"web{index}-5d4f8c9b7f"
    return stores.Pod(
        "shop", f"{name}-abc{index % 90 + 10}", f"uid-{index}-aaaa-bbbb-cccc-dddddddddddd", f"ReplicaSet/{name}", name, BEGIN - DAY, 0, {}, {}, []
    )


def measured(pod: stores.Pod, at: int, numbers: random.Random) -> stores.Pod:
    """A daily cycle with noise, as containers that serve people have it."""
    wave = 1 + 0.5 * math.sin(at % DAY / DAY * 2 * math.pi)
    usage = {one: (int(250_000 * wave * numbers.lognormvariate(0, 0.3)), int(150 * wave * 256 + numbers.gauss(0, 300)) * 4096) for one in CONTAINERS}
    return pod._replace(at=at + numbers.choice((-15, 0, 0, 0)), usage=usage, restarts=dict.fromkeys(CONTAINERS, 0))


def subjects(workloads: int) -> Iterator[dict[str, Any]]:
    for index in range(workloads):
        pod = shape(index)
        revision = {"name": pod.revision, "since": BEGIN - DAY, "pattern": f"{pod.revision}-[a-z0-9]{{5}}", "others": ""}
        live = {"metadata": {"name": pod.name, "uid": pod.uid, "namespace": "shop"}}
        yield {"key": f"Deployment/shop/web{index}", "workload": {}, "pods": [live], "all_pods": [live], "revision": revision, "hash_in_names": True}


def read(path: str, kept: dict[str, list[float]]) -> tuple[list[float], list[float], int, float, float, float]:
    """(seconds of each repetition, of the processor, samples, largest resident MB, before the first one, worst relative difference to numpy)."""
    wanted, seconds, busy = list(subjects(WORKLOADS)), list[float](), list[float]()
    begun = resident()
    found: dict[str, Any] = {}
    for _run in range(REPEATED):
        found.clear()
        start, worked = time.perf_counter(), time.process_time()
        found.update(history(path, wanted, {"history_days": DAYS}, BEGIN + DAYS * DAY))
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - worked)
    memory = resident()
    import numpy

    worst = 0.0
    for index in range(5):
        for container, pods in found["workloads"][f"Deployment/shop/web{index}"]["containers"].items():
            for pod, usage in pods.items():
                values = numpy.array(kept[f"{pod}/{container}"])
                assert (
                    usage["memory"]["samples"] == len(values) or usage["memory"]["samples"] == len(values) - 1
                ), "the first may lie before the window"
                for name, part in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)):
                    expected = float(numpy.percentile(values[-usage["memory"]["samples"] :], part))
                    worst = max(worst, abs(usage["memory"][name] / expected - 1))
    return seconds, busy, found["queries"][0]["samples"], memory, begun, worst


def resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
