# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Disks that refuse: full, without inodes, at a size limit, read-only. Real mounts and limits, in a mount namespace of one's own.

A worker that was started by ``PRIVATELY`` mounts what it needs, and nothing of it is seen outside or left behind. Raises OSError
where the kernel does not allow it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import resource
from collections.abc import Callable

VARIABLE = "AIOPS_FAULTS_DISK"
PRIVATE = bool(os.environ.get(VARIABLE))
PRIVATELY = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")
_SIZE, _INODES = 512 * 1024, 64
_RDONLY, _REMOUNT, _BIND, _DETACH = 1, 32, 4096, 2  # sys/mount.h
_LIBC = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
_ROOM = 10  # bytes that still fit under the size limit: a write is torn there
_FILLER = "filler"
_open = open  # the wrapped one counts


def enter(directory: str) -> None:
    os.makedirs(directory, exist_ok=True)


def make(root: str) -> None:
    """A small file system of its own."""
    os.makedirs(root)
    _mount("tmpfs", root, "tmpfs", 0, f"size={_SIZE},nr_inodes={_INODES}")


def remove(root: str) -> None:
    _unmount(root)
    os.rmdir(root)


def clear(root: str) -> None:
    """Free the disk again."""
    if not PRIVATE:
        return
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        _unmount(root)
    for name in os.listdir(root):
        if name.startswith(_FILLER):
            os.unlink(os.path.join(root, name))


def fill(root: str) -> None:
    """No block is left."""
    with _open(os.path.join(root, _FILLER), "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass  # full


def fill_inodes(root: str) -> None:
    """No file can be made."""
    try:
        for number in range(_INODES):
            _open(os.path.join(root, f"{_FILLER}-{number}"), "wb").close()
    except OSError:
        pass  # full


def limit_size(root: str) -> None:
    """Files of the store can grow by a few bytes only: the size of the largest record counts."""
    records = [os.path.getsize(os.path.join(here, name)) for here, _folders, names in os.walk(root) for name in names if name.endswith(".jsonl")]
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(records, default=0) + _ROOM, hard))


def protect(root: str) -> None:
    """What is opened from now on is on a read-only mount, also while files are open for writing, when a remount would be refused."""
    _mount(root, root, None, _BIND, None)
    _mount(None, root, None, _BIND | _REMOUNT | _RDONLY, None)


TROUBLES: dict[str, Callable[[str], None]] = {"full": fill, "inodes": fill_inodes, "limit": limit_size, "readonly": protect}


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None) -> None:
    arguments = [None if one is None else one.encode() for one in (source, target, kind)]
    if _LIBC.mount(*arguments, ctypes.c_ulong(flags), None if data is None else data.encode()):
        raise OSError(ctypes.get_errno(), f"mount {target}: {os.strerror(ctypes.get_errno())}")


def _unmount(target: str) -> None:
    if _LIBC.umount2(target.encode(), _DETACH):
        raise OSError(ctypes.get_errno(), f"umount {target}: {os.strerror(ctypes.get_errno())}")
