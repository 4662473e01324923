# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The recorder's store: what the containers of one cluster used, in one SQLite file.

A run is one transaction: it is in the file or it is not. Names and numbers are stored, nothing else of a pod. Errors: RecorderError.
"""

from __future__ import annotations

import os
from array import array
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any, Iterator, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import span
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import recorder_file as file
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder_database import Database
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder_pack import packed, unpacked

PERIOD = 4 * 3600  # seconds in one blob
_LATE = 600  # seconds after the end of a period in which samples of it may still come
_PORTION = 12  # periods that one run packs or deletes at most, each in a transaction of its own
_FREED = 2048  # pages that one run gives back to the disk at most
_AT_ONCE = 256  # series whose samples are in memory at once
_DAY = 86400


class Ending(NamedTuple):
    """The end of a container; ``limit`` is its memory limit in bytes, None where it has none."""

    container: str
    at: int
    reason: str
    limit: int | None


class Pod(NamedTuple):
    """One pod as a run found it. usage: {container: (millionths of a core, bytes)}, measured ``at``; restarts: {container: count}."""

    namespace: str
    name: str
    uid: str
    owner: str  # Kind/name
    revision: str  # name of the ReplicaSet or ControllerRevision, or ""
    created: int
    at: int
    usage: dict[str, tuple[int, int]]
    restarts: dict[str, int]
    endings: list[Ending]


class Series(NamedTuple):
    """A container of one pod, as it is stored."""

    id: int
    namespace: str
    pod: str
    uid: str
    container: str
    owner: str
    revision: str
    created: int
    first: int
    last: int


class Store(Database):
    """An open store. Make it with ``opened``."""

    # --- writing

    def add(self, at: float, pods: Sequence[Pod], why: str = "") -> int:
        """One run, whole or not at all; ``why``: what of it is missing. The number of samples that were new."""
        with self._transaction() as sql:
            known = self._series_of(pods)
            new = sql.executemany(
                "INSERT OR IGNORE INTO fresh VALUES (?, ?, ?, ?)",
                [(pod.at, known[pod.uid, name], *used) for pod in pods for name, used in pod.usage.items()],
            ).rowcount
            moved = [(pod.at, pod.at, known[pod.uid, name]) for pod in pods for name in {**pod.usage, **pod.restarts}]
            sql.executemany("UPDATE seen SET first = min(first, ?), last = max(last, ?) WHERE series = ?", moved)
            self._add_endings(int(at), pods, known)
            counts = (sum(1 for pod in pods if pod.usage), sum(len(pod.usage) for pod in pods))
            sql.execute("INSERT INTO runs (at, ok, pods, containers, why) VALUES (?, 1, ?, ?, ?)", (int(at), *counts, why))
        return max(0, new)

    def add_failure(self, at: float, why: str) -> None:
        """A run that measured nothing."""
        with self._transaction() as sql:
            sql.execute("INSERT INTO runs (at, ok, pods, containers, why) VALUES (?, 0, 0, 0, ?)", (int(at), why[:500]))

    def tend(self, now: float, retention_days: float, max_bytes: int) -> list[str]:
        """Pack what is over, delete what is too old, and the oldest beyond the bound. Sentences about samples that the bound took."""
        self._pack(int(now))
        oldest = self._one("SELECT min(period) FROM packed")
        dropped: list[str] = []
        keep = int(now - retention_days * _DAY)
        for _index in range(_PORTION):
            if oldest is None or oldest + PERIOD > keep:
                break
            self._delete(oldest)
            oldest = self._one("SELECT min(period) FROM packed")
        begin = oldest
        while oldest is not None and self._used() > max_bytes:
            self._delete(oldest)
            oldest = self._one("SELECT min(period) FROM packed")
        if begin is not None and begin != oldest:
            kept = span(max(0.0, now - (oldest if oldest is not None else now - PERIOD)))
            dropped.append(
                f"The store {self.path} reached max_mb ({max_bytes / 1e6:.0f} MB): the oldest samples were deleted, {kept} are left of"
                f" {retention_days:g} days."
            )
        with self._transaction() as sql:
            sql.execute("DELETE FROM runs WHERE at < ?", (keep,))
            sql.execute("DELETE FROM endings WHERE at < ?", (keep,))
            gone = [row[0] for row in sql.execute("SELECT series FROM seen WHERE last < ? LIMIT 5000", (keep - PERIOD,))]
            for table, column in (("seen", "series"), ("series", "id")):
                sql.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(one,) for one in gone])
        with file.named(self.path):
            free, pages = self._pragma("freelist_count"), self._pragma("page_count")
            if free > pages // 4:  # less is soon used again
                self._connection.execute(f"PRAGMA incremental_vacuum({min(_FREED, free - pages // 8)})").fetchall()
        return dropped

    def room(self, max_bytes: int) -> None:
        """Raises StoreFull where the bound is reached and nothing is left that could be deleted."""
        if self._used() > max_bytes and self._one("SELECT 1 FROM packed LIMIT 1") is None:
            raise file.StoreFull(
                f"The store {self.path} has more than max_mb ({max_bytes / 1e6:.0f} MB) with the last hours alone. Nothing was recorded.",
                "Raise max_mb, record less often, or fewer namespaces.",
            )

    # --- reading

    def summary(self) -> dict[str, Any]:
        """{path, size_bytes, from, to, runs (that succeeded)}; from and to are None where there was none."""
        with file.named(self.path):
            row = self._connection.execute("SELECT min(at), max(at), count(*) FROM runs WHERE ok").fetchone()
        return {"path": self.path, "size_bytes": os.stat(self.path).st_size, "from": row[0], "to": row[1], "runs": row[2]}

    def runs(self, begin: float, end: float) -> list[tuple[int, int, str]]:
        """(at, ok, why) in the order in which they were made."""
        return self._all("SELECT at, ok, why FROM runs WHERE at BETWEEN ? AND ? ORDER BY id", int(begin), int(end))

    def runs_after(self, moment: float) -> int:
        return int(self._one("SELECT count(*) FROM runs WHERE at > ?", int(moment)))

    def series(self, namespaces: Sequence[str], begin: float) -> list[Series]:
        """Those in these namespaces that were seen after ``begin``."""
        marks = ", ".join("?" * len(namespaces))
        found = self._all(
            "SELECT series.*, seen.first, seen.last FROM series JOIN seen ON seen.series = series.id"
            f" WHERE namespace IN ({marks}) AND seen.last >= ? ORDER BY series.id",
            *namespaces,
            int(begin),
        )
        return [Series(*row) for row in found]

    def samples(self, wanted: Sequence[int], begin: float, end: float) -> Iterator[tuple[int, list[int], list[int], list[int]]]:
        """(series, times, cpu, memory) of those that have any from ``begin`` to ``end``, in the order of ``wanted``; times ascend."""
        first, last = int(begin), int(end)
        fresh = self._fresh(wanted, first, last)
        periods = [row[0] for row in self._all("SELECT DISTINCT period FROM packed WHERE period BETWEEN ? AND ?", first - PERIOD, last)]
        for some in _slices(wanted):
            blobs: dict[int, list[tuple[int, bytes]]] = {}
            for period in periods:
                for one, blob in self._all(f"SELECT series, samples FROM packed WHERE period = ? AND series IN {_inside(some)}", period):
                    blobs.setdefault(one, []).append((period, blob))
            for one in some:
                times, cpu, memory = self._joined(one, blobs.pop(one, ()), first, last)
                late = fresh.pop(one)
                if late and times and late[0] <= times[-1]:  # the next run puts them into their period
                    rows = {**dict(zip(late[::3], zip(late[1::3], late[2::3]))), **dict(zip(times, zip(cpu, memory)))}
                    times = sorted(rows)
                    cpu, memory = [rows[at][0] for at in times], [rows[at][1] for at in times]
                else:
                    for column, values in zip((times, cpu, memory), (late[::3], late[1::3], late[2::3])):
                        column.extend(values)
                if times:
                    yield one, times, cpu, memory

    def endings(self, wanted: Sequence[int], begin: float, end: float) -> list[tuple[int, int, str, int | None, int]]:
        """(series, at, reason, memory limit, restarts) in the order of time."""
        found = [
            row
            for some in _slices(wanted)
            for row in self._all(f"SELECT * FROM endings WHERE series IN {_inside(some)} AND at BETWEEN ? AND ?", int(begin), int(end))
        ]
        return sorted(found, key=itemgetter(1))

    # --- inside

    def _fresh(self, wanted: Sequence[int], first: int, last: int) -> dict[int, array[int]]:
        """{series: time, cpu, memory, time, ...} of what is not packed yet, read once: it lies in the order of time."""
        found: dict[int, array[int]] = {one: array("q") for one in wanted}
        with file.named(self.path):
            for one, *row in self._connection.execute("SELECT series, at, cpu, memory FROM fresh WHERE at BETWEEN ? AND ?", (first, last)):
                if one in found:
                    found[one].extend(row)
        return found

    def _series_of(self, pods: Sequence[Pod]) -> dict[tuple[str, str], int]:
        """{(uid, container): id}; those that are new are added."""
        sql = self._connection
        known = {(uid, container): one for one, uid, container in sql.execute("SELECT id, uid, container FROM series")}
        for pod in pods:
            for name in {**pod.usage, **pod.restarts}:
                if (pod.uid, name) not in known:
                    row = (pod.namespace, pod.name, pod.uid, name, pod.owner, pod.revision, pod.created)
                    added = sql.execute(
                        "INSERT INTO series (namespace, pod, uid, container, owner, revision, created) VALUES (?, ?, ?, ?, ?, ?, ?)", row
                    )
                    known[pod.uid, name] = int(added.lastrowid or 0)
                    sql.execute("INSERT INTO seen VALUES (?, ?, ?, -1)", (added.lastrowid, pod.at, pod.at))
        return known

    def _add_endings(self, at: int, pods: Sequence[Pod], known: dict[tuple[str, str], int]) -> None:
        """A count that rose without an ending that is new still is a restart, at a time that nobody knows better than this run."""
        sql = self._connection
        before = dict(sql.execute("SELECT series, restarts FROM seen"))
        for pod in pods:
            told = {ending.container: ending for ending in sorted(pod.endings, key=lambda one: one.at)}  # the last one of each
            for ending in pod.endings:
                if (pod.uid, ending.container) in known:
                    row = (known[pod.uid, ending.container], ending.at, ending.reason, ending.limit)
                    sql.execute("INSERT OR IGNORE INTO endings VALUES (?, ?, ?, ?, 0)", row)
            for name, count in pod.restarts.items():
                one = known[pod.uid, name]
                counted = before[one]
                more = count - counted if counted >= 0 else min(count, 1)  # when those before the first run were, nobody knows
                if more > 0:
                    last = told.get(name) or Ending(name, at, "", None)
                    sql.execute(
                        "INSERT INTO endings VALUES (?, ?, ?, ?, ?) ON CONFLICT (series, at) DO UPDATE SET restarts = restarts +"
                        " excluded.restarts",
                        (one, last.at, last.reason, last.limit, more),
                    )
                if count != counted:
                    sql.execute("UPDATE seen SET restarts = ? WHERE series = ?", (count, one))

    def _pack(self, now: int) -> None:
        for _index in range(_PORTION):
            first = self._one("SELECT min(at) FROM fresh")
            if first is None:
                return
            period = first // PERIOD * PERIOD
            if period + PERIOD + _LATE > now:
                return
            with self._transaction() as sql:
                bounds = (period, period + PERIOD)
                rows = sql.execute("SELECT series, at, cpu, memory FROM fresh WHERE at >= ? AND at < ? ORDER BY series, at", bounds)
                there = dict(sql.execute("SELECT series, samples FROM packed WHERE period = ?", (period,)))
                made = [
                    (period, one, self._blob(one, period, list(group), there.get(one))) for one, group in groupby(rows, key=itemgetter(0))
                ]
                sql.executemany("INSERT OR REPLACE INTO packed VALUES (?, ?, ?)", made)
                sql.execute("DELETE FROM fresh WHERE at >= ? AND at < ?", bounds)

    def _blob(self, one: int, period: int, rows: list[tuple[int, int, int, int]], there: bytes | None) -> bytes:
        """What is packed already counts where both have the same time."""
        _ids, times, cpu, memory = map(list, zip(*rows))
        if there is not None:
            stored = self._unpacked(one, period, there)
            merged = {**{at: used for at, *used in zip(times, cpu, memory)}, **{at: used for at, *used in zip(*stored)}}
            times = sorted(merged)
            cpu, memory = [merged[at][0] for at in times], [merged[at][1] for at in times]
        return packed(period, times, cpu, memory)

    def _joined(self, one: int, blobs: Sequence[tuple[int, bytes]], first: int, last: int) -> tuple[list[int], list[int], list[int]]:
        times: list[int] = []
        cpu: list[int] = []
        memory: list[int] = []
        for period, blob in blobs:
            columns = self._unpacked(one, period, blob)
            if period < first or period + PERIOD > last:
                inside = [index for index, at in enumerate(columns[0]) if first <= at <= last]
                columns = tuple([column[index] for index in inside] for column in columns)  # type: ignore[assignment]
            for whole, part in zip((times, cpu, memory), columns):
                whole.extend(part)
        return times, cpu, memory

    def _unpacked(self, one: int, period: int, blob: Any) -> tuple[list[int], Sequence[int], list[int]]:
        try:
            return unpacked(period, blob)
        except (ValueError, TypeError) as error:
            raise file.StoreDamaged(
                f"The store {self.path} is damaged: the samples of series {one} from {period}: {error}.", file.RESTORE
            ) from error

    def _delete(self, period: int) -> None:
        with self._transaction() as sql:
            sql.execute("DELETE FROM packed WHERE period = ?", (period,))


def _slices(wanted: Sequence[int]) -> Iterator[Sequence[int]]:
    return (wanted[index : index + _AT_ONCE] for index in range(0, len(wanted), _AT_ONCE))


def _inside(some: Sequence[int]) -> str:
    return f"({', '.join(map(str, map(int, some)))})"


@contextmanager
def opened(path: str, *, write: bool = False, cluster: str = "") -> Iterator[Store]:
    """The store at this path. With ``write`` it is created where it is missing. ``cluster``: the uid that it has to be of."""
    whole = os.path.abspath(os.path.expanduser(path))
    connection = file.connected(whole, write)
    try:
        store = Store(whole, connection)
        store.check(write)
        if cluster:
            store.belongs_to(cluster, write)
        yield store
    finally:
        connection.close()
