# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Several processes that write to clones of one remote at once, writers that are killed, and what must hold afterwards."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import git_run, record as chain

from tests.unit.operation import clones, samples

CONTEXT = multiprocessing.get_context("fork")
KINDS = ("approved", "executing", "executed")


def together(world: clones.World, writers: int, operations: int, kinds: tuple[str, ...] = KINDS) -> list[dict[str, Any]]:
    """What each writer says it wrote: {operations: {title: [first hashes of its events]}, renumbered, warnings}. All begin at one moment."""
    start, answers = CONTEXT.Barrier(writers), CONTEXT.SimpleQueue()
    processes = [CONTEXT.Process(target=_writer, args=(start, answers, world, number, operations, kinds)) for number in range(writers)]
    for process in processes:
        process.start()
    collected: list[dict[str, Any]] = [answers.get() for _process in processes]
    for process in processes:
        process.join(30)
    failed = [one["error"] for one in collected if "error" in one]
    assert not failed, failed
    return collected


def _writer(start: Any, answers: Any, world: clones.World, number: int, operations: int, kinds: tuple[str, ...]) -> None:
    try:
        start.wait(30)
        answers.put(work(world, f"w{number}", operations, kinds))
    except BaseException as error:  # the parent waits for an answer of each
        answers.put({"error": repr(error)})
        raise


def work(world: clones.World, name: str, operations: int, kinds: tuple[str, ...]) -> dict[str, Any]:
    written: dict[str, list[str]] = {}
    renumbered, warnings = 0, []
    for turn in range(operations):
        store = world.store(name)  # as a new run opens it
        title = f"{name}-{turn}"
        record = store.create(samples.payload(samples.plan(), title=title))
        renumbered += "renumbered" in record.events[0]
        written[title] = [chain.origin(record.events[0])]
        for kind in kinds:
            body = {**samples.PAYLOADS[kind], **({"digest": record.digest} if "digest" in samples.PAYLOADS[kind] else {})}
            written[title].append(chain.origin(store.append(record, kind, body)))
        warnings += [one for one in store.warnings if " is " not in one]
    return {"operations": written, "renumbered": renumbered, "warnings": warnings}


def faults(world: clones.World, answers: list[dict[str, Any]], writers: int) -> list[str]:
    """What is lost, doubled or untrue after a last synchronisation of every clone."""
    found = []
    for number in range(writers):
        world.store(f"w{number}").identifiers()
    expected = {title: hashes for answer in answers for title, hashes in answer["operations"].items()}
    published = world.published()
    by_title = {record.proposal["title"]: record for record in published.values()}
    if len(by_title) != len(published):
        found.append("an operation was published twice")
    for title, hashes in expected.items():
        have = clones.origins(by_title[title]) if title in by_title else []
        found += [f"{title}: {have} instead of {hashes}"] if have != hashes else []
    tip = clones.git(world.remote, "rev-parse", "main")
    for number in range(writers):
        clone = world.clone(f"w{number}")
        if clones.git(clone, "rev-parse", "HEAD") != tip:
            found.append(f"clone {number} is not where the remote is")
        found += [f"clone {number}: {clones.git(clone, 'status', '--short')[:200]}"] if clones.git(clone, "status", "--short") else []
    return found


def killed(world: clones.World, point: float) -> list[str]:
    """Kill a writer that has to bring its events behind those of another, begin again, and say what is wrong then.

    point: an integer is the number of git commands after which it is killed, a fraction the seconds.
    """
    base = world.store("w0")
    first = samples.proposed(base)
    world.store("w1").identifiers()
    world.cut("w1")
    offline = world.store("w1")
    record = samples.proposed(offline)
    offline.append(offline.load(first.identifier), "refused", {"reason": "offline"})
    offline.append(record, "rejected", samples.PAYLOADS["rejected"])
    world.mend("w1")
    other = world.store("w0")
    samples.proposed(other)
    other.append(other.load(first.identifier), "refused", {"reason": "online"})
    before = {hash_ for one in (*map(offline.file, ("0001", "0002")), *map(other.file, ("0001", "0002"))) for hash_ in _hashes(one)}
    process = CONTEXT.Process(target=_victim, args=(world, point))
    process.start()
    if isinstance(point, float):
        time.sleep(point)
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join(60)
    again = world.store("w1")
    again.identifiers()
    world.store("w0").identifiers()
    published = world.published()
    after = [one for record in published.values() for one in clones.origins(record)]
    found = [f"lost: {before - set(after)}"] if before - set(after) else []
    found += [f"doubled: {len(after)} events, {len(set(after))} of them different"] if len(after) != len(set(after)) else []
    found += [f"the next run says: {again.warnings}"] if found else []
    for name in ("w0", "w1"):
        state = clones.git(world.clone(name), "status", "--short", "--branch")
        found += [f"{name}: {state}"] if state != "## main...origin/main" else []
    return found


def _hashes(path: str) -> set[str]:
    with open(path, "rb") as file:
        return {one["hash"] for one in chain.read(file.read(), path)}


def _victim(world: clones.World, point: float) -> None:
    if isinstance(point, int):
        left = point
        original = git_run.Repository.status

        def status(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        git_run.Repository.status = status  # type: ignore[method-assign]  # counts, and changes nothing
    store = world.store("w1")
    store.identifiers()
    record = samples.proposed(store)
    store.append(record, "rejected", samples.PAYLOADS["rejected"])
