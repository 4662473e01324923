# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The recorder's file: whether it may be used, and what SQLite's errors mean. Every refusal is a named error that leaves the file as it is.

A file is ours when it is a regular file with one name, belongs to the user who runs, and nobody else may read or write it; its folder is no
symbolic link, belongs to that user or to root, and not everybody may write it, as SQLite puts its journal there. SQLite rolls back what a
killed run left half written, when the file is next opened.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import contextmanager, suppress
from typing import Iterator
from urllib.parse import quote

from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError

MODE = 0o600
APPLICATION = 0x61694B38  # SQLite's application_id of our files: "aiK8"
WAIT = 10.0  # seconds for which another run may hold the file
_ELSEWHERE = "Give a directory of your own with the option store."
RECORD = "Record into it first, from cron: ansible-playbook aiops.k8s.record_usage -e record_usage_store=FILE"
RESTORE = "Copy it, and restore a backup, or save what can be read with: sqlite3 FILE .recover. Moved away, the next run begins a new one."
_KEPT = "What was stored before is unchanged."


class RecorderError(AiopsError):
    """The store of the recorder cannot be used."""


class StoreMissing(RecorderError):
    """There is no such file."""


class StoreEmpty(RecorderError):
    """Nothing was recorded into the file yet."""


class StoreUnsafe(RecorderError):
    """Somebody else could write or replace the file."""


class StoreBusy(RecorderError):
    """Another run holds the file for too long."""


class StoreDamaged(RecorderError):
    """The file is no database, or its content does not hold together."""


class StoreOfAnotherSchema(RecorderError):
    """The file is a database of something else, or of another version of the recorder."""


class StoreOfAnotherCluster(RecorderError):
    """The file holds the usage of another cluster."""


class StoreReadOnly(RecorderError):
    """The file cannot be opened or written by this user."""


class StoreFull(RecorderError):
    """The disk, the quota, or the bound max_mb is full."""


# primary result code of SQLite -> (error, what is said after the path, what to do)
_MEANING: dict[int, tuple[type[RecorderError], str, str]] = {
    sqlite3.SQLITE_BUSY: (
        StoreBusy,
        f"is held by another run, for more than {WAIT:.0f} s",
        "Let one run end before the next begins: raise the interval of cron.",
    ),
    sqlite3.SQLITE_NOTADB: (StoreDamaged, "is not a database", "Move it away: the next run begins a new one."),
    sqlite3.SQLITE_CORRUPT: (StoreDamaged, "is damaged", RESTORE),
    sqlite3.SQLITE_FULL: (StoreFull, "cannot grow, the disk is full", f"Free space. {_KEPT}"),
    sqlite3.SQLITE_IOERR: (StoreFull, "cannot be written or read", f"Look for a full disk, a quota, or a limit of the file size. {_KEPT}"),
    sqlite3.SQLITE_READONLY: (StoreReadOnly, "cannot be written", f"Give this user the right to write it and its directory. {_KEPT}"),
    sqlite3.SQLITE_CANTOPEN: (StoreReadOnly, "cannot be opened", "Give this user the right to read and write it and its directory."),
    sqlite3.SQLITE_PERM: (StoreReadOnly, "cannot be opened", "Give this user the right to read and write it and its directory."),
}
_MEANING[sqlite3.SQLITE_LOCKED] = _MEANING[sqlite3.SQLITE_BUSY]
_MEANING[sqlite3.SQLITE_AUTH] = _MEANING[sqlite3.SQLITE_PERM]


@contextmanager
def named(path: str) -> Iterator[None]:
    """SQLite's errors as named ones. What the table does not know is content that does not fit our schema: damage."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        kind, words, fix = _MEANING.get(code, _MEANING[sqlite3.SQLITE_CORRUPT])
        raise kind(f"The store {path} {words}: {error}.", fix) from error


def connected(path: str, write: bool) -> sqlite3.Connection:
    """An open connection; with ``write``, a file that is missing is created, empty. Raises RecorderError.

    A reader opens for writing as well where it may: only so can SQLite roll back what a killed run left.
    """
    _check_folder(path, write)
    if not os.path.lexists(path):
        if not write:
            raise StoreMissing(f"There is no store {path}.", RECORD)
        _create(path)
    _check_file(path)
    _check_journal(path)
    mode = "rw" if os.access(path, os.W_OK) and os.access(os.path.dirname(path), os.W_OK) else "ro"
    if write and mode == "ro":
        raise StoreReadOnly(f"The store {path} cannot be written.", "Give this user the right to write it and its directory.")
    with named(path):
        connection = sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, timeout=WAIT, isolation_level=None)
        for pragma in (
            "trusted_schema=OFF",
            "cell_size_check=ON",
            "temp_store=MEMORY",
            "synchronous=EXTRA",
            *(() if write else ("query_only=ON",)),
        ):
            connection.execute(f"PRAGMA {pragma}")
    return connection


def _check_folder(path: str, create: bool) -> None:
    folder = os.path.dirname(path)
    try:
        if create and not os.path.lexists(folder):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except FileNotFoundError:
        raise StoreMissing(f"There is no store {path}.", RECORD) from None
    except OSError as error:
        raise StoreReadOnly(f"The directory {folder} of the store cannot be used: {error.strerror}.", _ELSEWHERE) from error
    if stat.S_ISLNK(found.st_mode):
        raise StoreUnsafe(f"The directory {folder} of the store is a symbolic link.", "Give the directory that it points at.")
    if not stat.S_ISDIR(found.st_mode):
        raise StoreUnsafe(f"{folder} is no directory, so the store {path} cannot be in it.", _ELSEWHERE)
    if found.st_uid not in (0, os.geteuid()):
        raise StoreUnsafe(f"The directory {folder} of the store belongs to somebody else (uid {found.st_uid}).", _ELSEWHERE)
    if found.st_mode & stat.S_IWOTH:
        raise StoreUnsafe(f"Anybody may write in the directory {folder} of the store.", _ELSEWHERE)


def _create(path: str) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE))
    except FileExistsError:
        return  # another run was faster; what it created is checked like any other
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreReadOnly
        raise kind(f"The store {path} cannot be created: {error.strerror}.", _ELSEWHERE) from error


def _check_file(path: str) -> None:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise StoreUnsafe(f"The store {path} is a symbolic link.", "Give the path of the file itself.")
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise StoreUnsafe(f"The store {path} is not a regular file with one name.", "Give another path with the option store.")
    if found.st_uid != os.geteuid():
        raise StoreUnsafe(
            f"The store {path} belongs to somebody else (uid {found.st_uid}).", "Run as that user, or give a store of your own."
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreUnsafe(f"Others may read or write the store {path}.", f"Look at who did, then: chmod 600 {path}")


def _check_journal(path: str) -> None:
    """SQLite follows what a journal says: nobody else may have put one there."""
    with suppress(FileNotFoundError):
        found = os.lstat(f"{path}-journal")
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise StoreUnsafe(f"{path}-journal is not a file of this user, so SQLite must not follow it.", f"Remove it: rm {path}-journal")
