# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The recorder's database: its tables, and that a file is one of ours.

Tables, with times in whole seconds since 1970, CPU in millionths of a core, memory in bytes:

    series     a container of one pod: names, the pod's uid and creation, its owner and revision
    seen       of each series: when first and last seen, restarts counted so far
    fresh      samples as they come, in the order of time, so that a run writes a few pages at the end of the file
    packed     samples of one series in one period of four hours (recorder_pack); a run packs the periods that are over
    endings    restarts of containers: when, why, the memory limit then, how many at once
    runs       every look: when, whether it succeeded, what it measured, why not

Errors: RecorderError.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import Any, Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import recorder_file as file

VERSION = 1
_PAGE = 8192  # bytes: six blobs of four hours at one sample a minute

_SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    (
        "CREATE TABLE series (id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, pod TEXT NOT NULL, uid TEXT NOT NULL, container TEXT NOT"
        " NULL, owner TEXT NOT NULL, revision TEXT NOT NULL, created INTEGER NOT NULL, UNIQUE (uid, container))"
    ),
    "CREATE INDEX series_of_namespace ON series (namespace)",
    "CREATE TABLE seen (series INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, restarts INTEGER NOT NULL)",
    (
        "CREATE TABLE fresh (at INTEGER, series INTEGER, cpu INTEGER NOT NULL, memory INTEGER NOT NULL, PRIMARY KEY (at, series)) WITHOUT"
        " ROWID"
    ),
    "CREATE TABLE packed (period INTEGER, series INTEGER, samples BLOB NOT NULL, PRIMARY KEY (period, series)) WITHOUT ROWID",
    (
        "CREATE TABLE endings (series INTEGER, at INTEGER, reason TEXT NOT NULL, memory_limit INTEGER, restarts INTEGER NOT NULL,"
        " PRIMARY KEY (series, at)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE runs (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, ok INTEGER NOT NULL, pods INTEGER NOT NULL, containers INTEGER NOT"
        " NULL, why TEXT NOT NULL)"
    ),
)
_TABLES = frozenset(("meta", "series", "seen", "fresh", "packed", "endings", "runs"))


class Database:
    """An open file. With ``check`` it is known to be ours."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def cluster(self) -> str:
        """The uid of the cluster that the store belongs to."""
        return str(self._one("SELECT value FROM meta WHERE name = 'cluster'") or "")

    def _used(self) -> int:
        return (self._pragma("page_count") - self._pragma("freelist_count")) * self._pragma("page_size")

    def _pragma(self, name: str) -> int:
        return int(self._one(f"PRAGMA {name}"))

    def _one(self, statement: str, *values: Any) -> Any:
        with file.named(self.path):
            row = self._connection.execute(statement, values).fetchone()
        return row[0] if row else None

    def _all(self, statement: str, *values: Any) -> list[Any]:
        with file.named(self.path):
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with file.named(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself ends it where the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    def check(self, write: bool) -> None:
        """That the file is a store of this version; with ``write`` an empty one becomes one."""
        with file.named(self.path):
            empty = self._pragma("page_count") == 0
            if empty and write:
                for pragma in (f"page_size = {_PAGE}", "auto_vacuum = INCREMENTAL"):
                    self._connection.execute(f"PRAGMA {pragma}")
                with self._transaction() as sql:
                    if self._pragma("user_version") == 0:  # else another run was faster
                        for statement in (*_SCHEMA, f"PRAGMA application_id = {file.APPLICATION}", f"PRAGMA user_version = {VERSION}"):
                            sql.execute(statement)
            elif empty:
                raise file.StoreEmpty(f"The store {self.path} is empty.", file.RECORD)
        if self._pragma("application_id") != file.APPLICATION:
            raise file.StoreOfAnotherSchema(f"{self.path} is a database of something else.", "Give another path with the option store.")
        version = self._pragma("user_version")
        if version != VERSION:
            raise file.StoreOfAnotherSchema(
                f"The store {self.path} has the schema {version}; this version of the collection knows {VERSION}.",
                "Use the version of the collection that wrote it, or begin a new store.",
            )
        lost = sorted(_TABLES - {row[0] for row in self._all("SELECT name FROM sqlite_master WHERE type = 'table'")})
        if lost:
            raise file.StoreDamaged(f"The store {self.path} is damaged: it lacks the tables {', '.join(lost)}.", file.RESTORE)

    def belongs_to(self, cluster: str, write: bool) -> None:
        """Raises StoreOfAnotherCluster. ``cluster`` is the uid; with ``write`` a store that is of none yet becomes this one's."""
        if write and not self.cluster():
            with self._transaction() as sql:
                sql.execute("INSERT OR IGNORE INTO meta VALUES ('cluster', ?)", (cluster,))
        found = self.cluster()
        if found and found != cluster:
            raise file.StoreOfAnotherCluster(
                f"The store {self.path} is of the cluster {found}, and this is {cluster}.",
                "Keep one store for each cluster: give another path.",
            )
