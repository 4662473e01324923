# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Operations that are struck at every file operation and at every request: killed, cut short while writing, answered with an error, or left
without an answer. ``resume`` then ends each of them as if nothing had happened, with the change made exactly once.

A first run without a fault counts the points; then there is one run for each. What is checked after each is in driver.py.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from tests.faults.cases import VARIANTS
from tests.faults.conftest import PROPERTY
from tests.faults.crew import Crew, Result
from tests.faults.points import TORN
from tests.integration.staging import USER_AGENT, Kubectl, is_dry_run

Fault = dict[str, Any]
_LOST = ("500", "503", "reset", "hang")  # what a client sees when an answer is lost on its way
_NOT_SENT = (*_LOST, "429")
EVERY = os.environ.get("AIOPS_FAULTS") == "all"  # each of these before each request, instead of two; before each file operation, instead of half


def file_kills(found: Result, process: int = 0) -> Iterator[Fault]:
    """After an operation is before the next one, unless a request lies between. What writes an event is struck in every way, of the others half."""
    labels = found["files"][process]
    for number, label in enumerate(labels, 1):
        after = number == len(labels) or number in found["last"][process]
        before = ["before"] if EVERY or "*" in label or number % 2 else []
        for how in (*before, *(TORN if "*" in label else ()), *(["after"] if after else [])):
            yield {"where": "file", "at": number, "how": how}


def request_kills(found: Result, process: int = 0) -> Iterator[Fault]:
    """After a request that changes nothing is before whatever follows it."""
    for number, label in enumerate(found["requests"][process], 1):
        for how in ("kill before", *(["kill after"] if _CHANGE.match(label) else [])):
            yield {"where": "request", "at": number, "how": how}


def answers(found: Result) -> Iterator[Fault]:
    for number, label in enumerate(found["requests"][0], 1):
        chosen = _NOT_SENT if EVERY else (_NOT_SENT[number % 5], _NOT_SENT[(number + 2) % 5])  # in turn; kills are never left out
        yield from ({"where": "request", "at": number, "how": f"{what} before"} for what in chosen)
        if _CHANGE.match(label):
            yield from ({"where": "request", "at": number, "how": f"{what} after"} for what in _LOST)


KINDS: dict[str, Callable[[Result], Iterator[Fault]]] = {"files": file_kills, "requests": request_kills, "answers": answers}
_CHANGE, _EVENT = re.compile(r"(PATCH|DELETE) (?!.*dryRun=All)"), re.compile(r"\w+\* \d+\.jsonl")
# what was struck once already: (variant, where, the n-th of these, how); the run that resumes it is struck as well, at each of its own points
TWICE: dict[str, tuple[str, str, int, str]] = {
    "half done": ("two", "request", 1, "kill after"),
    "undone but not known": ("undo", "request", 2, "kill after"),
    "deleted but not known": ("delete", "request", 1, "kill after"),
    "a torn line at the end": ("fix", "file", 2, "last"),
}
Runs = list[tuple[Fault, Future[Result]]]


@pytest.fixture(scope="module")
def counted(crew: Crew) -> dict[str, Result]:
    """A run of each variant without faults."""
    futures = {variant: crew.submit({"variant": variant, "faults": []}) for variant in VARIANTS}
    return {variant: fine(variant, future.result()) for variant, future in futures.items()}


@pytest.fixture(scope="module")
def once(crew: Crew, counted: dict[str, Result]) -> dict[tuple[str, str], Runs]:
    """All of them are begun at once."""
    return {
        (variant, kind): [(fault, crew.submit({"variant": variant, "faults": [fault]})) for fault in points(counted[variant])]
        for variant in VARIANTS
        for kind, points in KINDS.items()
    }


@pytest.fixture(scope="module")
def struck(crew: Crew, counted: dict[str, Result]) -> dict[str, tuple[Fault, Result]]:
    """{name: (first fault, a run with it whose resumption is not disturbed)}."""
    found = {}
    for name, (variant, where, number, how) in TWICE.items():
        labels, pattern = {"request": ("requests", _CHANGE), "file": ("files", _EVENT)}[where]
        matching = [at for at, label in enumerate(counted[variant][labels][0], 1) if pattern.match(label)]
        first = {"where": where, "at": matching[number - 1], "how": how}
        found[name] = first, crew.submit({"variant": variant, "faults": [first]})
    return {name: (first, fine(name, future.result())) for name, (first, future) in found.items()}


@pytest.fixture(scope="module")
def twice(crew: Crew, struck: dict[str, tuple[Fault, Result]]) -> dict[str, Runs]:
    return {
        name: [
            (second, crew.submit({"variant": TWICE[name][0], "faults": [first, second]}))
            for second in (*file_kills(result, 1), *request_kills(result, 1))
        ]
        for name, (first, result) in struck.items()
    }


def fine(name: str, result: Result) -> Result:
    assert not result["problems"], f"{name}: {result}"
    return result


def check(runs: Runs, counted: Result, process: int, record_property: Any) -> None:
    """All of them ended as they should; says how many did."""
    labels = {"file": counted["files"][process], "request": counted["requests"][process]}
    found = [(fault, future.result()) for fault, future in runs]
    assert found
    wrong = [told(fault, labels[fault["where"]], result) for fault, result in found if result["problems"]]
    record_property(PROPERTY, (len(found), len(found) - len(wrong)))
    assert not wrong, f"{len(wrong)} of {len(found)}:\n" + "\n".join(wrong)


def told(fault: Fault, labels: list[str], result: Result) -> str:
    """``429 before PATCH ... (9): ...``, with what is needed to understand it."""
    return f"{fault['how']} {labels[fault['at'] - 1]} ({fault['at']}): {'; '.join(result['problems'])} {result.get('states')} {result.get('errors')}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_struck_once(variant: str, kind: str, once: dict[tuple[str, str], Runs], counted: dict[str, Result], record_property: Any) -> None:
    check(once[(variant, kind)], counted[variant], 0, record_property)


@pytest.mark.parametrize("name", TWICE)
def test_struck_again_while_resuming(name: str, twice: dict[str, Runs], struck: dict[str, tuple[Fault, Result]], record_property: Any) -> None:
    check(twice[name], struck[name][1], 1, record_property)


def test_the_audit_log_agrees(
    room: Kubectl,
    once: dict[tuple[str, str], Runs],
    twice: dict[str, Runs],
    struck: dict[str, tuple[Fault, Result]],
    counted: dict[str, Result],
) -> None:
    """The API server itself counts the changes of all those runs, object by object."""
    expected: Counter[str] = Counter()
    runs = [future.result() for group in (*once.values(), *twice.values()) for _fault, future in group]
    for result in (*counted.values(), *(result for _fault, result in struck.values()), *runs):
        expected.update(result.get("writes", {}))
    audited: Counter[str] = Counter()
    for one in room.writes():
        if one["userAgent"] == USER_AGENT and one["verb"] in ("patch", "delete") and not is_dry_run(one) and one["responseStatus"]["code"] == 200:
            audited[one["objectRef"].get("name", "")] += 1
    assert {name: audited[name] for name in expected} == dict(expected)
