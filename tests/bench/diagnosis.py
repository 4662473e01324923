# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``python -m tests.bench.diagnosis [--keep]``: the corpus (tests/corpus) on the real cluster, as the tables that are published.

Every case is staged at once, diagnosed by itself, and then the whole cluster is swept by ansible-playbook, five times. Nothing here passes
or fails. --keep leaves the corpus on the cluster.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".build" / "dev"))

from tests.bench.__main__ import surroundings  # noqa: E402
from tests.cluster import running  # noqa: E402
from tests.corpus import check  # noqa: E402
from tests.corpus.cases import AREAS, CASES  # noqa: E402
from tests.corpus.stage import Stage  # noqa: E402

RUNS = 5
SECONDS = 400.0


def main() -> int:
    found = running()
    subprocess.run([sys.executable, "-m", "tests.cluster", "up"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    cluster = running()
    assert cluster is not None
    keep = "--keep" in sys.argv[1:]
    stage = Stage(cluster)
    cases = [case for case in CASES.values() if not case.edit]
    try:
        started = time.monotonic()
        stage.run(cases, SECONDS)
        staged = time.monotonic() - started
        verdicts = {case.name: check.live(stage.api, case) for case in cases}
        with tempfile.TemporaryDirectory() as folder:
            walls, result = sweeps(surroundings(cluster), Path(folder))
        swept = check.sweep(cases, result)
    finally:
        if not keep:
            stage.clean()
        if found is None and not keep:
            subprocess.run([sys.executable, "-m", "tests.cluster", "down"], cwd=ROOT, check=True)
    print(report(verdicts, swept, walls, result, staged))
    return 0


def sweeps(environment: dict[str, str], folder: Path) -> tuple[list[float], dict[str, Any]]:
    """(seconds of each whole process, the last result document)."""
    walls = []
    for number in range(RUNS):
        file = folder / f"{number}.json"
        options = ("ai=off", f"records_dir={folder}/records{number}", f"result_file={file}")
        words = ["ansible-playbook", "aiops.k8s.diagnose", *(part for one in options for part in ("-e", one))]
        started = time.monotonic()
        done = subprocess.run(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        walls.append(time.monotonic() - started)
        assert done.returncode == 0, done.stdout + done.stderr
    return walls, json.loads(file.read_text(encoding="utf-8"))


def report(verdicts: dict[str, check.Verdict], swept: dict[str, check.Verdict], walls: list[float], result: dict[str, Any], staged: float) -> str:
    alone = list(verdicts.values())
    times = sorted(one.seconds * 1000 for one in alone)
    parts = [
        "## Corpus",
        check.table(alone),
        "",
        "| area | cases | right, namespace by namespace | right, whole cluster in one run |",
        "|---|---|---|---|",
    ]
    for area, cases in AREAS.items():
        names = [case.name for case in cases if case.name in verdicts]
        counts = (sum(not table[name].faults for name in names) for table in (verdicts, swept))
        parts.append(f"| {area} | {len(names)} | {' | '.join(map(str, counts))} |")
    parts += [
        "",
        f"- namespace by namespace: {check.summary(alone)}",
        f"- whole cluster in one run: {check.summary(list(swept.values()))}",
        f"- one namespace, without Ansible's start: median {statistics.median(times):.0f} ms, slowest {times[-1]:.0f} ms",
        f"- whole cluster ({len(verdicts)} namespaces, {len(result['findings'])} findings), ansible-playbook as a whole: median"
        f" {statistics.median(walls):.2f} s of {', '.join(f'{one:.2f}' for one in walls)}",
        f"- staging took {staged:.0f} s",
    ]
    wrong = [f"- {name}, {how}: {fault}" for how, table in (("alone", verdicts), ("sweep", swept)) for name in table for fault in table[name].faults]
    return "\n".join([*parts, *(["", "Not right:", *wrong] if wrong else [])])


if __name__ == "__main__":
    sys.exit(main())
