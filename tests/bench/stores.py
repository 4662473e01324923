# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``python -m tests.bench.stores [reading] [appending] [writers] [killed]``: what the record stores cost, and that they lose nothing.

reading     1,000 records: load and verify, the list, and the playbook ``records`` as a whole process (limit 1.5 s)
appending   create and append with 10 to 5,000 records in the directory
writers     8 processes, each with its own clone of one bare remote, 50 operations each, all at once; then everything is verified
killed      a writer that is killed (SIGKILL) after so many git commands, and at random, and begun again by a new run each time

An operation of ``writers`` and ``killed`` is a record with four events: proposed, approved, executing, executed. Each event is committed and
pushed before the next. Ends with status 1 when anything is lost, doubled or untrue.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

from tests.bench.corpus import FEATURE, ROOT, corpus

from ansible_collections.aiops.k8s.plugins.module_utils.operation import listing  # isort: skip
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store  # isort: skip
from tests.unit.operation import clones, samples, writers  # isort: skip

WRITERS, OPERATIONS = 8, 50
COUNTS = (10, 100, 1000, 5000)
KILLS = 40


def main(wanted: list[str]) -> int:
    parts: dict[str, Callable[[Path], None]] = {"reading": reading, "appending": appending, "writers": writing, "killed": killed}
    for name, part in parts.items():
        if not wanted or name in wanted:
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder))
    return 0


def reading(folder: Path) -> None:
    corpus(folder, 1000)
    store = open_store(str(folder), FEATURE)
    show("load and verify 1,000 records", repeated(lambda: [store.load(one) for one in store.identifiers()]))
    show("list 1,000 records", repeated(lambda: listing.read(store)))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "dev"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    }
    command = ["ansible-playbook", "aiops.k8s.records", "-e", f"records_dir={folder}"]
    show("playbook records, 1,000 records", repeated(lambda: subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)))


def appending(folder: Path) -> None:
    for count in COUNTS:
        corpus(folder / str(count), count)
        store = open_store(str(folder / str(count)), FEATURE)
        show(f"create with {count:5} records", repeated(lambda: samples.proposed(store), 20))
        record = samples.proposed(store)
        show(f"append with {count:5} records", repeated(lambda: store.append(record, "refused", {"reason": "benchmark"}), 20))


def writing(folder: Path) -> None:
    world = clones.World(folder)
    for number in range(WRITERS):
        world.clone(f"w{number}")
    started = time.perf_counter()
    answers = writers.together(world, WRITERS, OPERATIONS)
    seconds = time.perf_counter() - started
    faults = writers.faults(world, answers, WRITERS)
    total = WRITERS * OPERATIONS
    print(
        f"{WRITERS} writers x {OPERATIONS} operations: {seconds:.1f} s, {total / seconds:.1f} operations/s, {4 * total / seconds:.1f} events/s",
        flush=True,
    )
    moved = sum(answer["renumbered"] for answer in answers)
    print(
        f"  {moved} records renumbered before they were published; warnings: {sorted({one for answer in answers for one in answer['warnings']})[:3]}"
    )
    (
        sys.exit(f"  FAULTS: {faults[:5]}")
        if faults
        else print("  nothing lost, no id shared, every chain and previous_record true, every clone equals the remote")
    )


def killed(folder: Path) -> None:
    seed = int(time.time())
    chance = random.Random(seed)
    for point in [*range(1, KILLS + 1), *(chance.uniform(0.01, 0.7) for _time in range(KILLS))]:
        place = folder / f"at-{point}"
        place.mkdir()
        faults = writers.killed(clones.World(place), point)
        if faults:
            sys.exit(f"  FAULTS when killed at {point} (seed {seed}): {faults}")
    print(f"killed at {KILLS} git commands and at {KILLS} random moments, then begun again: nothing lost, nothing doubled")


def repeated(work: Callable[[], Any], times: int = 5) -> list[float]:
    work()  # warm-up, not counted
    figures = []
    for _time in range(times):
        started = time.perf_counter()
        work()
        figures.append(time.perf_counter() - started)
    return figures


def show(what: str, figures: list[float]) -> None:
    print(f"{what:36} median {statistics.median(figures) * 1000:8.1f} ms   max {max(figures) * 1000:8.1f} ms", flush=True)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    sys.exit(main(sys.argv[1:]))
