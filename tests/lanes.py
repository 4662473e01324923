# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``make test``: every test, in two lanes side by side, since most of the time a test waits for the cluster. Ends with ``N passed, N failed``.

The lanes share the one test cluster and nothing else. Each shows its output when it has ended; lines of progress name the lane.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.cluster import running

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / ".build" / "lanes"
TOOL = [sys.executable, "-m", "tests.cluster"]
# integration tests of capacity and engines go with the others, so that the lanes take about the same time
CAPACITY = [
    f"tests/integration/test_{name}.py"
    for name in ("cage", "fallback", "hands", "history", "kagent", "load", "placement", "recorder", "resize", "rightsize", "scale")
]
LANES = {
    "operations": ["tests/integration", *(f"--ignore={path}" for path in CAPACITY)],
    "the others": ["tests/faults", "tests/quality", *CAPACITY, "tests/unit"],
}
_COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)\b")
_HEARTBEAT = 60.0  # seconds


class Lane(threading.Thread):
    """One pytest process. ``counts``: {outcome: tests} of its summary."""

    def __init__(self, name: str, paths: list[str], options: list[str]) -> None:
        super().__init__(name=name)
        self.file = OUTPUT / f"{name.replace(' ', '-')}.log"
        self.command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, *paths]
        self.status = 1
        self.seconds = 0.0

    def run(self) -> None:
        started = time.monotonic()
        with open(self.file, "wb") as file:
            self.status = subprocess.run(self.command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False).returncode
        self.seconds = time.monotonic() - started

    @property
    def output(self) -> str:
        return self.file.read_text(encoding="utf-8", errors="replace")

    @property
    def counts(self) -> dict[str, int]:
        last = next((line for line in reversed(self.output.splitlines()) if line.startswith("=") and " in " in line), "")
        return {outcome.rstrip("s") if outcome.startswith("error") else outcome: int(number) for number, outcome in _COUNTS.findall(last)}


def main(options: list[str]) -> int:
    """Run both lanes; pytest's options are passed on. The exit status is 0 when every test ran and passed."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    found = running()
    subprocess.run([*TOOL, "up"], cwd=ROOT, check=True)
    try:
        lanes = [Lane(name, paths, options) for name, paths in LANES.items()]
        _await(lanes)
    finally:
        if found is None:
            subprocess.run([*TOOL, "down"], cwd=ROOT, check=True)
    for lane in lanes:
        print(f"\n######## {lane.name}: {' '.join(lane.command[2:])}\n{lane.output}", flush=True)
    total: dict[str, int] = {}
    for lane in lanes:
        for outcome, number in lane.counts.items():
            total[outcome] = total.get(outcome, 0) + number
    failed = total.get("failed", 0) + total.get("error", 0)
    others = "".join(f", {number} {outcome}" for outcome, number in sorted(total.items()) if outcome not in ("passed", "failed", "error"))
    broken = [lane.name for lane in lanes if lane.status and not (lane.counts.get("failed", 0) + lane.counts.get("error", 0))]
    for name in broken:
        print(f"the lane {name} ended without a summary of failed tests; its output is above")
    print(f"{total.get('passed', 0)} passed, {failed + len(broken)} failed{others}", flush=True)
    return int(bool(failed or broken or others))


def _await(lanes: list[Lane]) -> None:
    started = shown = time.monotonic()
    for lane in lanes:
        lane.start()
    ended: list[Lane] = []
    while len(ended) < len(lanes):
        time.sleep(1)
        for lane in lanes:
            if lane not in ended and not lane.is_alive():
                ended.append(lane)
                print(f"{lane.seconds:5.0f} s: {lane.name}: {', '.join(f'{number} {outcome}' for outcome, number in lane.counts.items())}", flush=True)
        if time.monotonic() - shown >= _HEARTBEAT:
            shown = time.monotonic()
            where = "; ".join(f"{lane.name}: {_last(lane)}" for lane in lanes if lane not in ended)
            print(f"{shown - started:5.0f} s: {where}", flush=True)


def _last(lane: Lane) -> str:
    lines = [line for line in lane.output.splitlines() if line.strip()]
    return re.sub(r"\s+", " ", lines[-1])[:90] if lines else "begins"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
