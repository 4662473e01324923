# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``python -m tests.bench.load``: what it costs to fetch the load of a large workload from a real Prometheus, and to judge it.

200 pods of two containers, an hour of samples every 15 s, in Debian's Prometheus; medians of several runs. Then the same pods over 24 h, which are
read as rates, and the verdict alone. Every verdict is looked at: a fast wrong one would be no figure.
"""

from __future__ import annotations

import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench.corpus import ROOT

sys.path.insert(0, str(ROOT / ".build" / "dev"))

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load import judge  # isort: skip
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import client, usage  # isort: skip
from tests.cluster import prometheus  # isort: skip
from tests.unit.capacity import load_samples  # isort: skip

PODS, CONTAINERS, STEP, HOUR = 200, ("app", "proxy"), 15, 3600
RUNS = 7
NAMESPACE = "shop"
METRIC = "container_cpu_usage_seconds_total"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        end = time.time() // STEP * STEP
        names = [f"web-5d9d9b8cf-{index:05d}" for index in range(PODS)]
        pods = [pod(name, end) for name in names]
        built = prometheus.blocks(Path(folder), samples(names, end))
        print(f"{PODS * len(CONTAINERS) * (HOUR // STEP + 9):,} samples of {PODS} pods written as blocks in {built:.1f} s")
        with prometheus.serve(Path(folder)) as url:
            server = client.connect({"prometheus_url": url}, {})
            assert server is not None

            def fetch(window: float) -> dict[str, Any]:
                return usage.workload(server, NAMESPACE, names, window_seconds=window)

            def verdict(found: dict[str, Any], window: float) -> dict[str, Any]:
                return judge(found, pods, now=found["to"], window_seconds=window)

            show("5 min, every 15 s: fetch and judge", lambda: verdict(fetch(300), 300), "sustained")
            show("1 h, every 15 s: fetch and judge", lambda: verdict(fetch(HOUR), HOUR), "sustained")
            whole = fetch(HOUR)
            show("1 h, every 15 s: fetch alone", lambda: fetch(HOUR), None)
            show("1 h, every 15 s: judge alone", lambda: verdict(whole, HOUR), "sustained")
            show("24 h as rates, of which 1 h has samples: fetch and judge", lambda: verdict(fetch(24 * HOUR), 24 * HOUR), "not_enough_data")
    print(f"largest resident size of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


def samples(names: list[str], end: float) -> Iterator[str]:
    """Counters of containers at 80 to 100 % of their requests of 100m, as text in the order of time within each series."""
    numbers = random.Random(6)
    yield f"# TYPE {METRIC.removesuffix('_total')} counter"
    for name in names:
        for container in CONTAINERS:
            value, labels = 1000.0, f'{{namespace="{NAMESPACE}",pod="{name}",container="{container}",id="/{name}/{container}",job="kubelet"}}'
            for index in range(HOUR // STEP + 9):
                value += STEP * 0.1 * numbers.uniform(0.8, 1.0)
                yield f"{METRIC}{labels} {value:.6f} {end - HOUR - 8 * STEP + index * STEP:.0f}"


def pod(name: str, end: float) -> dict[str, Any]:
    started = load_samples.NOW - end + 90000  # these pods are as old in the clock of the samples
    return load_samples.pod(name, containers=[load_samples.container(one) for one in CONTAINERS], started=started, ready=started)


def show(what: str, work: Callable[[], Any], expected: str | None) -> None:
    figures = []
    for _run in range(RUNS):
        begun = time.perf_counter()
        found = work()
        figures.append(time.perf_counter() - begun)
        assert expected is None or found["verdict"] == expected, found["reason"]
    print(f"{what:58} median {statistics.median(figures):6.3f} s   min {min(figures):6.3f} s   max {max(figures):6.3f} s")


if __name__ == "__main__":
    sys.exit(main())
