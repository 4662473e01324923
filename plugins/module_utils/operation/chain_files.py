# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Files of a records directory, opened so that nobody can put another file in their place.

Everything is opened relative to a descriptor of the folder, without following symbolic links, and judged by the opened descriptor: what was
checked is what is read or written. Refused: links, devices, files that anybody may write (RecordDamaged), and a folder that is a link or
that anybody may write without the sticky bit (StoreFailed). New files are 0664 less the umask. Temporary files have fixed names, written only
under the store's lock, so what a killed process left behind is replaced by the next one that writes.
Errors: those two; FileNotFoundError and FileExistsError where the caller decides what they mean.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.errors import RecordDamaged, StoreFailed

MODE = 0o664
_FULL = {
    errno.ENOSPC: "Free the disk or give another directory with records_dir.",
    errno.EDQUOT: "Free your quota of the disk or give another directory with records_dir.",
    errno.EFBIG: "Raise the limit of the file size (ulimit -f).",
    errno.EROFS: "Mount the disk for writing or give another directory with records_dir.",
}
_DEFAULT = "Give a directory that you may write with records_dir."


def fix(error: OSError) -> str:
    """What to do about a failed write."""
    return _FULL.get(error.errno or 0, _DEFAULT)


@contextmanager
def folder(path: str) -> Iterator[int]:
    """The descriptor of a folder that only its owners write. Raises FileNotFoundError, StoreFailed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if os.path.islink(path):
            raise StoreFailed(
                f"The directory {path} is a symbolic link.",
                "Give the directory that it points at with records_dir, or replace the link by it.",
            ) from error
        raise StoreFailed(
            f"records_dir {path} cannot be read: {error.strerror}.", "Choose one that you may read: -e records_dir=DIR."
        ) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise StoreFailed(
                f"Anybody may write in the directory {path}, so anybody could replace a record.", f"Take that right away: chmod o-w {path}"
            )
        yield descriptor
    finally:
        os.close(descriptor)


def opened(directory: int, path: str, flags: int, mode: int = MODE) -> int:
    """The descriptor of a regular file that not everybody may write; ``path`` is its full path, of which the last part counts."""
    name = os.path.basename(path)
    try:
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, mode, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise RecordDamaged(
                f"{path} is a symbolic link.", f"Replace it by the file itself, restored from a backup; see where it points: ls -l {path}"
            ) from error
        if error.errno in (errno.ENXIO, errno.EISDIR):
            raise RecordDamaged(f"{path} is not a regular file.", "Remove it and restore the file from a backup.") from error
        raise
    found = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(found):
        os.close(descriptor)
        raise RecordDamaged(f"{path} is not a regular file.", "Remove it and restore the file from a backup.")
    if found & stat.S_IWOTH:
        os.close(descriptor)
        raise RecordDamaged(
            f"Anybody may write the file {path}, so nobody can say who did.", f"Compare it with a backup, then: chmod o-w {path}"
        )
    return descriptor


def content(directory: int, path: str) -> bytes:
    """The whole file. Raises FileNotFoundError, PermissionError and the like as they are."""
    with os.fdopen(opened(directory, path, os.O_RDONLY), "rb") as file:
        return file.read()


def extend(directory: int, path: str, data: bytes) -> None:
    """Append to a file's last whole line and have it on disk; what followed that line is cut off. A failure leaves the file as before."""
    descriptor = opened(directory, path, os.O_RDWR)
    try:
        size = os.fstat(descriptor).st_size
        length = _whole_lines(descriptor, size)
        try:
            _put(descriptor, data, length)
            os.ftruncate(descriptor, length + len(data))
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):  # what cannot be cut off is a torn line, which readers leave out
                os.ftruncate(descriptor, length)
                os.fsync(descriptor)
            raise
    finally:
        os.close(descriptor)


def place(directory: int, path: str, data: bytes, temporary: str) -> None:
    """Put a whole file in its place, or leave the one that is there. Never through a link: the name itself is replaced."""
    fresh(directory, temporary, data)
    try:
        os.replace(temporary, os.path.basename(path), src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        discard(directory, temporary)
        raise
    os.fsync(directory)


def claim(directory: int, path: str, data: bytes, temporary: str) -> None:
    """Create a file that is never seen empty. Raises FileExistsError."""
    fresh(directory, temporary, data)
    try:
        os.link(temporary, os.path.basename(path), src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    finally:
        discard(directory, temporary)
    os.fsync(directory)


def fresh(directory: int, name: str, data: bytes) -> None:
    """A new file of this name with its content on disk; one that a killed process left is removed first."""
    discard(directory, name)
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE, dir_fd=directory)
    try:
        _put(descriptor, data, 0)
        os.fsync(descriptor)
    except OSError:
        discard(directory, name)
        raise
    finally:
        os.close(descriptor)


def discard(directory: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def _put(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _whole_lines(descriptor: int, size: int) -> int:
    """Bytes up to and with the last newline; read from the end, since only an append that was cut off lies behind it."""
    end = size
    while end > 0:
        begin = max(0, end - 65536)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
