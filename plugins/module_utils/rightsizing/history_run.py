# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Carries out many queries: a few at a time, in smaller parts where the server cannot carry out a large one, slower where it is busy.

A job is a question about units, which are workloads or some pods of one. Errors are those of the client, with what was tried added to them.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import (
    AnswerTooLarge,
    Found,
    Prometheus,
    PrometheusError,
    PrometheusUnreachable,
    TooMuch,
)
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.packed import Grid
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.queries import exactly

PARALLEL = 2
SECONDS = 60.0  # for one answer
_TRIES = 3  # of one query, while the server is busy
_FAILURES = 24  # of all queries of one scan
_PAUSE = 1.0  # seconds, doubled with every failure of a query
_sleep = time.sleep


@dataclasses.dataclass(frozen=True)
class Unit:
    """Pods of one workload: all that a pattern matches, or those that are named where ``pods`` is not empty."""

    key: str
    namespace: str
    regex: str
    pods: tuple[str, ...] = ()
    series: int = 0
    samples: int = 0
    begin: float = 0.0  # samples before it do not count
    known: tuple[str, ...] = ()  # names of the pods, as far as they are known

    @property
    def pattern(self) -> str:
        return exactly(self.pods) if self.pods else self.regex

    def parts(self, count: int) -> list[Unit]:
        """The same pods in about so many units, by their names. One pod cannot be divided."""
        names = self.pods or self.known
        count = min(count, len(names))
        if count < 2:
            return [self]
        size = -(-len(names) // count)
        shares = [names[at : at + size] for at in range(0, len(names), size)]
        part = len(shares)
        return [
            dataclasses.replace(self, pods=one, known=one, series=-(-self.series // part), samples=-(-self.samples // part))
            for one in shares
        ]


class Job(NamedTuple):
    """``write``: the query for units. With a grid it is a range query, else it is asked at a moment."""

    what: str
    units: tuple[Unit, ...]
    write: Callable[[Sequence[Unit]], str]
    at: float
    grid: Grid | None = None
    samples: int | None = None  # expected

    def halves(self) -> list[Job]:
        """The same in two parts, or itself where there is one pod."""
        parts = [self.units[: len(self.units) // 2], self.units[len(self.units) // 2 :]]
        if len(self.units) == 1:
            parts = [(one,) for one in self.units[0].parts(2)]
        expected = None if self.samples is None else self.samples // len(parts)
        return [self._replace(units=tuple(one), samples=expected) for one in parts]


class Runner:
    """``queries``: what was asked, as the contract of a history has it. ``failures``: answers that did not come."""

    def __init__(self, server: Prometheus, parallel: int = PARALLEL, progress: Callable[[str], None] | None = None) -> None:
        self.queries: list[dict[str, Any]] = []
        self.failures = 0
        self._server, self._parallel, self._progress = server, parallel, progress
        self._lock = threading.Lock()

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Found]]:
        """Answers as they come. No more are held than run at a time. Raises PrometheusError."""
        waiting = list(jobs)[::-1]
        total, done = len(waiting), 0
        with ThreadPoolExecutor(self._parallel) as pool:
            running: dict[Future[list[tuple[Job, Found]]], Job] = {}
            try:
                while waiting or running:
                    while waiting and len(running) < self._parallel:
                        job = waiting.pop()
                        running[pool.submit(self._carry_out, job)] = job
                    finished, _others = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        job, done = running.pop(future), done + 1
                        self._say(f"{done} of {total} queries: {job.what}")
                        yield from future.result()
            finally:
                for future in running:
                    future.cancel()

    def _carry_out(self, job: Job) -> list[tuple[Job, Found]]:
        for attempt in range(_TRIES):
            try:
                return [(job, self._ask(job))]
            except (TooMuch, AnswerTooLarge) as error:
                failed: PrometheusError = error
            except PrometheusUnreachable as error:
                failed = error
            self._count(failed)
            if not isinstance(failed, PrometheusUnreachable):
                break  # the same query would fail again
            _sleep(_PAUSE * 2**attempt)
            if failed.details.get("slow"):
                break
        halves = job.halves()
        if len(halves) == 1:
            raise _given_up(failed, f"No smaller part can be asked for ({job.what}).")
        return [answer for half in halves for answer in self._carry_out(half)]

    def _ask(self, job: Job) -> Found:
        query = job.write(job.units)
        begun = time.monotonic()
        if job.grid:
            found = self._server.grid(query, job.grid, seconds=SECONDS, option="prometheus_url")
        else:
            found = self._server.measured(query, job.at, seconds=SECONDS, option="prometheus_url")
        seconds = round(time.monotonic() - begun, 3)
        entry = {"what": job.what, "query": query, "series": len(found.series), "samples": found.samples, "seconds": seconds}
        with self._lock:
            self.queries.append(entry)
        return found

    def _count(self, error: PrometheusError) -> None:
        with self._lock:
            self.failures += 1
            failures = self.failures
        self._say(f"a query failed and is asked again in parts or later: {error.message}")
        if failures > _FAILURES:
            raise _given_up(error, f"{failures} queries failed, although they were made smaller and slower.")

    def _say(self, text: str) -> None:
        if self._progress:
            self._progress(text)


def _given_up(error: PrometheusError, why: str) -> PrometheusError:
    return type(error)(f"{error.message} {why}", error.fix, **error.details)
