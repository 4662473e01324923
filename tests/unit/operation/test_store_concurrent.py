# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Many processes on one store: ids are distinct, nothing is lost, and one approval is used once."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any, Callable

from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.unit.operation import samples

PROCESSES, EACH = 8, 20
CONTEXT = multiprocessing.get_context("fork")


def together(work: Callable[..., list[Any]], *arguments: Any) -> list[list[Any]]:
    """What each of the processes returned; all begin at the same moment."""
    start, answers = CONTEXT.Barrier(PROCESSES), CONTEXT.SimpleQueue()
    processes = [CONTEXT.Process(target=_run, args=(start, answers, work, number, *arguments)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    collected = [answers.get() for _process in processes]
    for process in processes:
        process.join(10)
        assert process.exitcode == 0
    return collected


def _run(start: Any, answers: Any, work: Callable[..., list[Any]], number: int, *arguments: Any) -> None:
    try:
        start.wait(10)
        answers.put(work(number, *arguments))
    except BaseException as error:  # the parent waits for an answer of each
        answers.put([repr(error)])
        raise


def create(number: int, path: str) -> list[str]:
    store = Directory(path, "f")
    return [store.create(samples.payload(samples.plan(), title=f"{number}-{turn}")).identifier for turn in range(EACH)]


def begin(number: int, path: str) -> list[str]:
    store = Directory(path, "f")
    record = store.load("1")
    try:
        store.append(record, "executing", {**samples.PAYLOADS["executing"], "digest": str(number)})
    except GateRefused as error:
        return [str(error)]
    return ["won"]


def note(number: int, path: str) -> list[str]:
    store = Directory(path, "f")
    record = store.load("1")
    return [store.append(record, "refused", {"reason": f"{number}-{turn}"})["hash"] for turn in range(EACH // 4)]


def test_creators_get_distinct_ids_and_lose_nothing(tmp_path: Path) -> None:
    claimed = together(create, str(tmp_path))
    identifiers = [one for part in claimed for one in part]
    expected = [f"{number:04d}" for number in range(1, PROCESSES * EACH + 1)]
    assert sorted(identifiers) == expected
    assert all(part == sorted(part) for part in claimed)
    store = Directory(str(tmp_path), "f")
    records = [store.load(one) for one in store.identifiers()]
    assert [record.identifier for record in records] == expected
    assert {record.proposal["title"] for record in records} == {f"{number}-{turn}" for number in range(PROCESSES) for turn in range(EACH)}
    for before, after in zip(records, records[1:]):
        assert after.proposal["previous_record"] == {"id": before.identifier, "head": before.events[0]["hash"]}
    assert not [path for path in Path(store.path).iterdir() if path.suffix in (".new", ".part")]


def test_one_executing_wins(tmp_path: Path) -> None:
    store = Directory(str(tmp_path), "f")
    samples.reach(store, samples.proposed(store), "approved")
    answers = [answer for part in together(begin, str(tmp_path)) for answer in part]
    assert sorted(answers) == ["The record is executing; it cannot become executing."] * (PROCESSES - 1) + ["won"]
    assert [one["kind"] for one in store.load("1").events] == ["proposed", "approved", "executing"]


def test_appenders_lose_nothing(tmp_path: Path) -> None:
    store = Directory(str(tmp_path), "f")
    samples.proposed(store)
    hashes = {one for part in together(note, str(tmp_path)) for one in part}
    record = store.load("1")
    assert hashes == {one["hash"] for one in record.events[1:]} and len(record.events) == 1 + PROCESSES * (EACH // 4)
    assert Path(store.document(record)).read_text(encoding="utf-8") == phr.render(record.events)
