# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A real Prometheus that knows days of usage of pods which are minutes old: what right-sizing needs to be seen at work.

    python -m tests.backfill --namespace shop --selector app=web --address FILE [--days 7.5]

writes its URL to FILE once it answers, and serves until it is told to stop (SIGTERM), at the longest for half an hour. Each container of the
selected pods gets samples every minute, under cAdvisor's names: CPU goes up and down once a day between 10m and 30m, memory between 85Mi and 115Mi.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import kubernetes.dynamic

from tests.cluster.prometheus import blocks, serve

STEP = 60.0
DAY = 86400.0
MIB = 2**20


def history(pods: list[dict[str, str]], days: float, end: float) -> Iterator[str]:
    """Lines of OpenMetrics. pods: [{namespace, pod, container}]."""
    moments = [end - days * DAY + number * STEP for number in range(int(days * DAY / STEP) + 1)]
    yield "# TYPE container_cpu_usage_seconds counter"
    for labels in pods:
        used = 0.0
        for at in moments:
            used += STEP * (0.01 + 0.02 * _day(at))
            yield f"container_cpu_usage_seconds_total{_labels(labels)} {used:.3f} {at:.3f}"
    yield "# TYPE container_memory_working_set_bytes gauge"
    for labels in pods:
        for at in moments:
            yield f"container_memory_working_set_bytes{_labels(labels)} {(85 + 30 * _day(at)) * MIB:.0f} {at:.3f}"


def _day(at: float) -> float:
    """0 at midnight, 1 at noon."""
    return 0.5 - 0.5 * math.cos(2 * math.pi * at / DAY)


def _labels(labels: dict[str, str]) -> str:
    known = {**labels, "job": "kubelet", "metrics_path": "/metrics/cadvisor", "image": "busybox", "id": f"/kubepods/{labels['pod']}"}
    return "{" + ",".join(f"{name}={json.dumps(value)}" for name, value in sorted(known.items())) + "}"


def containers(namespace: str, selector: str) -> list[dict[str, str]]:
    """Those of the pods that there are, in the cluster of KUBECONFIG."""
    client: Any = kubernetes.dynamic.DynamicClient(kubernetes.config.new_client_from_config())  # type: ignore[no-untyped-call]
    found = client.resources.get(api_version="v1", kind="Pod").get(namespace=namespace, label_selector=selector).to_dict()["items"]
    return [{"namespace": namespace, "pod": pod["metadata"]["name"], "container": one["name"]} for pod in found for one in pod["spec"]["containers"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--selector", required=True)
    parser.add_argument("--address", required=True, type=Path, help="file for its URL")
    parser.add_argument("--days", type=float, default=7.5)
    options = parser.parse_args()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_ignored: stopped.set())
    with tempfile.TemporaryDirectory() as directory:
        seconds = blocks(Path(directory), history(containers(options.namespace, options.selector), options.days, time.time()))
        with serve(Path(directory)) as url:
            print(f"{options.days:g} days in {seconds:.1f} s, served at {url}, process {os.getpid()}", flush=True)
            options.address.write_text(json.dumps({"url": url, "process": os.getpid()}), encoding="utf-8")
            stopped.wait(1800)
    return 0


if __name__ == "__main__":
    sys.exit(main())
