# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``make bench``: what users wait for, measured on the test cluster as whole processes; medians of several runs.

Targets are issue-given limits; the table shows the measured median beside each. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, NamedTuple

from tests.cluster import Cluster, running
from tests.demo import ROOT, break_workloads
from tests.scripted_llm import ScriptedModel, opinion

RUNS = 5
NAMESPACE = "aiops-bench"


class Row(NamedTuple):
    """One line of the table; seconds."""

    what: str
    limit: str
    figures: list[float]


def main() -> int:
    found = running()
    cold = measure(
        lambda: subprocess.run([sys.executable, "-m", "tests.cluster", "up"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL), 1
    )
    cluster = running()
    assert cluster is not None
    environment = surroundings(cluster)
    with tempfile.TemporaryDirectory() as folder:
        try:
            break_workloads(cluster, environment, NAMESPACE)
            rows = [Row("cluster up" if found is None else "cluster up, found running", "60", cold)]
            rows += diagnoses(environment, Path(folder))
            rows += engine(environment, Path(folder))
            rows += bookkeeping(Path(folder))
        finally:
            subprocess.run(
                [cluster.kubectl, "delete", "namespace", NAMESPACE, "--wait=false"], env=environment, check=False, stdout=subprocess.DEVNULL
            )
            if found is None:
                subprocess.run([sys.executable, "-m", "tests.cluster", "down"], cwd=ROOT, check=True)
    print(table(rows))
    return 0


def surroundings(cluster: Cluster) -> dict[str, str]:
    return {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "PATH": f"{cluster.bin_dir}:{os.environ['PATH']}" if cluster.bin_dir else os.environ["PATH"],
    }


def diagnoses(environment: dict[str, str], folder: Path) -> list[Row]:
    result, inside = folder / "result.json", []

    def run() -> None:
        playbook(environment, folder, "ai=off", f"result_file={result}")
        inside.append(sum(json.loads(result.read_text())["timings"].values()))

    empty = folder / "empty.yml"
    empty.write_text("- hosts: localhost\n  gather_facts: false\n  tasks: []\n")
    floor = measure(lambda: subprocess.run(["ansible-playbook", str(empty)], env=environment, check=True, stdout=subprocess.DEVNULL))
    wall = measure(run)
    return [
        Row("ansible-playbook with an empty play", "-", floor),
        Row("diagnose a namespace to proposed, ai=off", "2.0", wall),
        Row("  of which observe + analyse + rehearse", "0.5", inside[-RUNS:]),
    ]


def engine(environment: dict[str, str], folder: Path) -> list[Row]:
    if not shutil.which("kubectl-ai", path=environment["PATH"]) and "AIOPS_KUBECTL_AI" not in environment:
        print("kubectl-ai is not on the PATH: its row is left out (docs/engines.md says where to get it)", file=sys.stderr)
        return []
    with ScriptedModel([opinion()]) as model:
        asked = {**environment, "OPENAI_API_KEY": "scripted", "OPENAI_ENDPOINT": f"{model.url}/v1"}
        options = ("ai=required", "kubectl_ai_provider=openai", "kubectl_ai_model=scripted", "workload=deployment/cache")
        return [Row("diagnose a workload, kubectl-ai answering at once", "3.0", measure(lambda: playbook(asked, folder, *options)))]


def bookkeeping(folder: Path) -> list[Row]:
    sys.path.insert(0, str(ROOT / ".build" / "dev"))
    from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

    store = Directory(str(folder / "history"), "004-phase-iv-aiops")
    known = [store.load(identifier) for identifier in store.identifiers()]
    events = iter(known)
    rows = [Row("load and verify one record", "-", measure(lambda: store.load(known[0].identifier), 50))]
    return [
        *rows,
        Row(
            "append one event (lock, fsync, PHR)",
            "-",
            measure(lambda: store.append(next(events), "refused", {"reason": "benchmark"}), min(5, len(known))),
        ),
    ]


def playbook(environment: dict[str, str], folder: Path, *options: str) -> None:
    extra = [
        part
        for option in (f"target_namespace={NAMESPACE}", f"records_dir={folder / 'history'}", "approval=defer", *options)
        for part in ("-e", option)
    ]
    subprocess.run(
        ["ansible-playbook", "aiops.k8s.diagnose", *extra], env=environment, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )


def measure(work: Callable[[], object], runs: int = RUNS) -> list[float]:
    if runs > 1:
        work()  # warm-up, not counted
    figures = []
    for _run in range(runs):
        started = time.perf_counter()
        work()
        figures.append(time.perf_counter() - started)
    return figures


def table(rows: list[Row]) -> str:
    lines = [
        f"| {'what':52} | limit s | median s |   min s |   max s | runs |",
        f"| {'-' * 52} | ------: | -------: | ------: | ------: | ---: |",
    ]
    for row in rows:
        figures = row.figures
        lines.append(
            f"| {row.what:52} | {row.limit:>7} | {statistics.median(figures):8.3f} | {min(figures):7.3f} | {max(figures):7.3f} |"
            f" {len(figures):4} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
