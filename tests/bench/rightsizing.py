# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``python -m tests.bench.rightsizing [CONTAINERS]``: what a week of history costs, us and the Prometheus that is asked.

200 containers (or as many as are asked for) in half as many Deployments, 7 days, a sample every minute, in Debian's Prometheus. Beside it the queries
that KRR's documentation describes, through the same client, six at a time as KRR asks them. Each side runs RUNS times, in a process of its own; the
samples are those that Prometheus says it loaded; the seconds of a processor are of both processes, and tell more than the time where the machine has
other work; memory is the highest resident size of either process while the side runs.

The blocks are built once (half a minute for 200 containers, 5 to 8 min and 8 GB of disk meanwhile for 2,000) and kept in the cache.
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.corpus import ROOT

sys.path.insert(0, str(ROOT / ".build" / "dev"))

from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import client  # isort: skip
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import history  # isort: skip
from tests.cluster import prometheus  # isort: skip

DAYS, STEP, END = 7, 60, 1_795_305_600  # 2026-11-22 00:00 UTC
NAMESPACES, CONTAINERS = 10, ("app", "proxy")
LETTERS = "456789bcdf"
RUNS, THREADS = 3, 6
CPU, MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
KRR = (  # one query each per container: robusta_krr/core/integrations/prometheus/metrics, d6baa74
    "quantile_over_time(0.95, max(rate({cpu}[75s])) by (container, pod, job)[7d:75s])",
    "max_over_time(max({memory}) by (container, pod, job)[7d:75s])",
    "count_over_time(max({cpu}) by (container, pod, job)[7d:75s])",
    "count_over_time(max({memory}) by (container, pod, job)[7d:75s])",
)


def main(containers: int) -> int:
    workloads = containers // len(CONTAINERS)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        built = prometheus.cached_blocks(Path(folder), samples(workloads), f"rightsizing {workloads} {DAYS} {STEP} {END} 2")
        say(f"{2 * containers * (DAYS * 86400 // STEP + 1):,} samples {'written as blocks' if built else 'taken from the cache'}", begun)
        with prometheus.serve(Path(folder)) as url:
            pid = process_of(url)
            rows = [row(side, url, containers, pid) for side in ("ours", "krr")]
    print(f"| {'side':5} | containers | median s |  min s |  max s | queries | million samples loaded | our CPU s | its CPU s | our MB | its MB |")
    print(f"| {'-' * 5} | ---------: | -------: | -----: | -----: | ------: | ---------------------: | --------: | --------: | -----: | -----: |")
    print("\n".join(rows))
    return 0


def row(side: str, url: str, containers: int, pid: int) -> str:
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # forget the highest resident size until now
    before = worked(pid)
    runs = [
        json.loads(
            subprocess.run([sys.executable, "-m", __spec__.name, side, url, str(containers)], check=True, capture_output=True, cwd=ROOT).stdout
        )
        for _run in range(RUNS if side == "ours" or containers <= 200 else 1)
    ]
    seconds = [one["seconds"] for one in runs]
    return (
        f"| {side:5} | {containers:10,} | {statistics.median(seconds):8.2f} | {min(seconds):6.2f} | {max(seconds):6.2f} | {runs[0]['queries']:7,} |"
        f" {runs[0]['samples'] / 1e6:22.1f} | {statistics.median(one['cpu'] for one in runs):9.1f} |"
        f" {(worked(pid) - before) / len(runs):9.1f} | {max(one['memory'] for one in runs):6.0f} | {highest(pid):6.0f} |"
    )


def side_of(side: str, url: str, containers: int) -> int:
    """One run, in a process of its own; prints its figures as JSON."""
    server = client.connect({"prometheus_url": url}, {})
    assert server is not None
    subjects = [subject(*names) for names in workloads_of(containers // len(CONTAINERS))]
    begun = time.perf_counter()
    queries = {"ours": ours, "krr": krr}[side](server, subjects)
    seconds = time.perf_counter() - begun
    loaded = sum(one["samples"] or 0 for one in queries)
    figures = {"seconds": seconds, "cpu": time.process_time(), "queries": len(queries), "samples": loaded, "memory": highest("self")}
    print(json.dumps(figures))
    return 0


def ours(server: client.Prometheus, subjects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = history.read(server, subjects, {"history_days": DAYS}, now=END)
    usages = [usage for one in found["workloads"].values() for pods in one["containers"].values() for usage in pods.values()]
    assert len(usages) == len(CONTAINERS) * len(subjects)  # a fast wrong answer would be no figure
    assert all(one["cpu"]["coverage"] == one["memory"]["coverage"] == 1.0 and one["memory"]["samples"] > 10_000 for one in usages)
    queries: list[dict[str, Any]] = found["queries"]
    return queries


def krr(server: client.Prometheus, subjects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def ask(query: str) -> dict[str, Any]:
        found = server.measured(query, END)
        return {"samples": found.samples, "series": len(found.series)}

    asked = []
    for one in subjects:
        pods = "|".join(pod["metadata"]["name"] for pod in one["pods"])
        for name in CONTAINERS:
            labels = f'{{namespace="{one["workload"]["metadata"]["namespace"]}", pod=~"{pods}", container="{name}"}}'
            asked += [shape.format(cpu=CPU + labels, memory=MEMORY + labels) for shape in KRR]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(ask, asked))


# --- what is measured ------------------------------------------------------------------------------------------------------


def workloads_of(count: int) -> Iterator[tuple[str, str, str]]:
    """(namespace, name of the ReplicaSet, name of its pod)."""
    numbers = random.Random(7)
    for index in range(count):
        owner = f"app-{index:04}-{''.join(numbers.choices(LETTERS, k=9))}"
        yield f"team-{index % NAMESPACES}", owner, f"{owner}-{''.join(numbers.choices('bcdfghjklm', k=5))}"


def subject(namespace: str, owner: str, name: str) -> dict[str, Any]:
    workload = owner.rpartition("-")[0]
    pod = {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-11-01T00:00:00Z"}, "status": {"phase": "Running"}}
    return {
        "key": f"Deployment/{namespace}/{workload}",
        "workload": {"kind": "Deployment", "metadata": {"name": workload, "namespace": namespace}},
        "pods": [pod],
        "all_pods": [pod],
        "revision": {"name": owner, "since": 0.0, "pattern": f"{owner}-[a-z0-9]{{5}}", "others": f"{workload}-[a-z0-9]{{1,10}}-[a-z0-9]{{5}}"},
        "hash_in_names": True,
    }


def samples(workloads: int) -> Iterator[str]:
    """A daily cycle with noise, as text in the order of time within each series."""
    numbers = random.Random(8)
    moments = range(END - DAYS * 86400, END + 1, STEP)
    cycle = [0.5 * math.sin(at / 86400 * 2 * math.pi) for at in moments]
    yield f"# TYPE {CPU.removesuffix('_total')} counter"
    yield f"# TYPE {MEMORY} gauge"
    for namespace, _owner, pod in workloads_of(workloads):
        for container in CONTAINERS:
            labels = f'{{namespace="{namespace}",pod="{pod}",container="{container}",id="/kubepods/{pod}/{container}",job="kubelet",node="node-1"}}'
            base, used = numbers.uniform(0.02, 0.5), 0.0
            for at, part in zip(moments, cycle):
                used += STEP * base * (1 + part) * (0.7 + 0.6 * numbers.random())
                yield f"{CPU}{labels} {used:.6f} {at}"
            for at, part in zip(moments, cycle):
                yield f"{MEMORY}{labels} {4e8 * base * (1 + 0.4 * part) * (0.9 + 0.2 * numbers.random()):.0f} {at}"


def process_of(url: str) -> int:
    """The Prometheus that answers there."""
    address = f"--web.listen-address={url.removeprefix('http://')}"
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (words := (folder / "cmdline").read_bytes().decode().split("\0"))[0].endswith("prometheus") and address in words:
            return int(folder.name)
    raise SystemExit(f"no process has {address}")


def highest(pid: int | str) -> float:
    """The highest resident size of a process until now, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def worked(pid: int) -> float:
    """The seconds of a processor that a process took until now."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def say(what: str, begun: float) -> None:
    print(f"{what} in {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(side_of(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    sys.exit(main(int((sys.argv[1:] or ["200"])[0])))
