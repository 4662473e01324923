# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``python -m tests.bench.sizing``: what recommendations from 8 days would have meant in the day after, on 500 generated histories; and speed.

For each kind of history (tests/unit/rightsizing/generated.py): recommendations whose memory limit the held-back day exceeds, leaks that were found,
false alarms, and how much more is requested than that day needed (memory: its highest; CPU: its p95 of 5 min means), medians. Beside it, on the
same data, the rules of others, as far as they are a formula: KRR (p95 of CPU; memory request and limit = highest + 15 %) and VPA's without its decay
(p90 of CPU and of the daily peaks of memory, + 15 %; the limit taken as the request). Neither looks at starts or leaks.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".build" / "dev"))

from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import backtest, sizing, usage  # isort: skip
from tests.unit.rightsizing import generated  # isort: skip
from tests.unit.rightsizing.generated import KINDS, LEVEL, NAME, Case  # isort: skip

SERIES = 500
MORE = 100  # of those kinds that are only there for false alarms
CONTAINERS, PODS = 200, 2


class Row(NamedTuple):
    """Of one case: (memory, cpu) requested by what was needed, and whether the day after would have been killed; ours, KRR's, VPA's."""

    ours: tuple[float, float, bool]
    krr: tuple[float, float, bool]
    vpa: tuple[float, float, bool]
    flagged: bool
    throttled: float  # share of the held-back steps above the new CPU limit

    @property
    def rules(self) -> tuple[tuple[float, float, bool], ...]:
        return self.ours, self.krr, self.vpa


def main() -> int:
    rows: dict[str, list[Row]] = defaultdict(list)
    begun = time.perf_counter()
    for one in cases(SERIES):
        rows[one.kind].append(judged(one))
    for index in range(MORE):
        kind = LEVEL[index % len(LEVEL)]
        rows[kind].append(judged(generated.case(kind, index)))
    print(
        f"{SERIES} histories of 8 days and {MORE} for false alarms, made and judged in {time.perf_counter() - begun:.0f} s; {generated.DAYS} days"
        " known, 1 held back"
    )
    print(table(rows))
    failed = sum(row.ours[2] and not row.flagged for kind in KINDS for row in rows[kind])
    print(f"recommendations that the held-back day would have killed, except of flagged leaks: {failed}")
    print(f"leaks found: {sum(row.flagged for row in rows['leak'])} of {len(rows['leak'])}; false alarms:", end=" ")
    print(
        f"{sum(row.flagged for kind, found in rows.items() if kind != 'leak' for row in found)} of"
        f" {sum(len(found) for kind, found in rows.items() if kind != 'leak')}"
    )
    speed()
    return int(failed > 0)


def cases(number: int, sample_seconds: int = 60) -> Iterator[Case]:
    for index in range(number):
        yield generated.case(KINDS[index % len(KINDS)], index, sample_seconds)


def judged(one: Case) -> Row:
    figures = usage.combined(one.found, one.subject, generated.history())
    advice = sizing.size(one.subject, figures, {})
    (container,) = advice["containers"]
    memory, cpu = container["memory"], container["cpu"]
    needed, used = float(one.held["memory"].max()), float(np.percentile(one.held["cpu"], 95))
    seen = figures[NAME]
    assert seen["memory"] is not None and seen["cpu"] is not None
    krr = seen["memory"]["max"] * 1.15
    vpa, vpa_cpu = peaks(one.found) * 1.15, percentile(one.found, 90) * 1.15
    return Row(
        (memory["request"][1] / needed, cpu["request"][1] / used, needed > memory["limit"][1]),
        (krr / needed, seen["cpu"]["p95"] / used, needed > krr),
        (vpa / needed, vpa_cpu / used, needed > vpa),
        seen["memory"]["leak"] is not None,
        float((one.held["cpu"] > cpu["limit"][1]).mean()),
    )


def peaks(found: dict[str, Any]) -> float:
    """The 90th percentile of the daily peaks, of the pod that has the highest."""
    highest = 0.0
    for one in found["containers"][NAME].values():
        values = np.asarray(one["memory_series"]["values"]).reshape(-1, generated.DAY // generated.STEP)
        daily = [float(np.nanmax(day)) for day in values if not np.isnan(day).all()]
        highest = max(highest, float(np.percentile(daily, 90)))
    return highest


def percentile(found: dict[str, Any], number: float) -> float:
    return max(float(np.nanpercentile(np.asarray(one["cpu_series"]["values"]), number)) for one in found["containers"][NAME].values())


def table(rows: dict[str, list[Row]]) -> str:
    lines = [
        f"{'kind':9}{'series':>7}{'flagged':>9}   {'killed: ours':>12}{'KRR':>5}{'VPA':>5}   {'memory x need: ours':>19}{'KRR':>6}{'VPA':>6}   "
        f"{'CPU x need: ours':>16}{'KRR':>6}{'VPA':>6}{'throttled':>11}"
    ]
    for kind, found in rows.items():
        killed = [sum(1 for row in found if row.rules[which][2] and (which or not row.flagged)) for which in range(3)]
        over = [[statistics.median(row.rules[which][what] for row in found) for which in range(3)] for what in range(2)]
        lines.append(
            f"{kind:9}{len(found):7}{sum(row.flagged for row in found):9}   {killed[0]:12}{killed[1]:5}{killed[2]:5}   "
            f"{over[0][0]:19.2f}{over[0][1]:6.2f}{over[0][2]:6.2f}   {over[1][0]:16.2f}{over[1][1]:6.2f}{over[1][2]:6.2f}"
            f"{statistics.fmean(row.throttled for row in found):11.2%}"
        )
    return "\n".join(lines)


def speed() -> None:
    """200 containers of two pods, as one workload each. CPU time: it is one thread, and reads nothing."""
    every = [generated.case(KINDS[index % len(KINDS)], index, 300) for index in range(CONTAINERS)]
    for one in every:
        pods = one.found["containers"][NAME]
        first = next(iter(pods.values()))
        one.found["containers"][NAME] = {f"web-{number}": first for number in range(PODS)}
    parts: dict[str, float] = defaultdict(float)
    for one in every:
        began = time.process_time()
        figures = usage.combined(one.found, one.subject, generated.history())
        parts["combined and leaks"] += time.process_time() - began
        began = time.process_time()
        advice = sizing.size(one.subject, figures, {})
        parts["size"] += time.process_time() - began
        began = time.process_time()
        backtest.replay(one.found, advice)
        parts["replay"] += time.process_time() - began
    said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items())
    print(f"{CONTAINERS} containers of {PODS} pods, 2,304 steps each: {sum(parts.values()):.2f} s ({said})")
    print(f"largest resident size of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
