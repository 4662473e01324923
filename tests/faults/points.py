# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Every file operation below one directory as a numbered point at which a process can be struck.

``Points(root, at, how, strike).install()`` wraps ``open`` and the functions of ``os`` for the rest of this process: it is meant for a
forked child that ends soon. Nothing in the code under test knows of it. Numbers begin at 1; 0 strikes nowhere and only counts.
``how``: before or after the operation; half or last: as many of the bytes of a write reach the file, then the strike (last: all but the newline).
"""

from __future__ import annotations

import builtins
import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any

TORN: dict[str, Callable[[int], int]] = {"half": lambda length: length // 2, "last": lambda length: length - 1}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# function of os -> position of the path or descriptor that decides whether it is ours
_FUNCTIONS = {
    name: position
    for name, position in {
        "fsync": 0, "fdatasync": 0, "ftruncate": 0, "truncate": 0, "write": 0, "pwrite": 0, "mkdir": 0, "rmdir": 0, "unlink": 0, "remove": 0,
        "link": 1, "symlink": 1, "rename": 1, "replace": 1, "chmod": 0, "fchmod": 0, "utime": 0,
    }.items()
    if hasattr(os, name)
}  # fmt: skip
_TEMPORARY = re.compile(r"\.\d+(\.(?:new|part))$")


class Points:
    """``labels`` names the operations in their order: ``flush* 0001.jsonl``. A star means that it can be torn. ``last`` are the numbers of
    those that something else follows: after any other is the same moment as before the next."""

    def __init__(self, root: str, at: int, how: str, strike: Callable[[], None]) -> None:
        self.root, self.at, self.how, self.strike = os.path.realpath(root), at, how, strike
        self.labels: list[str] = []
        self.last: list[int] = []
        self.open, self.pwrite = builtins.open, os.pwrite

    def install(self) -> Points:
        setattr(builtins, "open", self._open)
        setattr(os, "open", self._wrapped_open(os.open))
        for name, position in _FUNCTIONS.items():
            setattr(os, name, self._wrapped(name, getattr(os, name), position))
        return self

    def note(self) -> None:
        """Something else happens now that can be seen from outside."""
        self.last += [len(self.labels)] if self.labels and len(self.labels) not in self.last else []

    def around(self, what: str, path: str, call: Callable[[], Any], tear: Callable[[Callable[[int], int]], None] | None = None) -> Any:
        """One operation: counted, struck where it is the one, and carried out."""
        name = _TEMPORARY.sub(r"\1", os.path.basename(path))
        self.labels.append(f"{what}{'*' if tear else ''} {name}")
        here = self.how if len(self.labels) == self.at else ""
        if here in TORN and tear is not None:
            tear(TORN[here])
            self.strike()
        if here == "before":
            self.strike()
        try:
            return call()
        finally:
            if here == "after":
                self.strike()

    def ours(self, target: Any, folder: int | None = None) -> str:
        """The path of a path or descriptor where it lies below the root, else "". A path may be relative to an opened folder."""
        try:
            base = os.readlink(f"/proc/self/fd/{folder}") if folder is not None else os.getcwd()
            path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else os.path.abspath(os.path.join(base, os.fsdecode(target)))
        except (OSError, TypeError):
            return ""
        return path if path == self.root or path.startswith(self.root + "/") else ""

    def _open(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        path = self.ours(file) if set(mode) & set("wax+") else ""
        if not path:
            return self.open(file, mode, *arguments, **options)
        return _File(self, path, self.around("open", path, lambda: self.open(file, mode, *arguments, **options)))

    def _wrapped_open(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(path: Any, flags: int, *arguments: Any, **options: Any) -> Any:
            found = self.ours(path, options.get("dir_fd")) if flags & _WRITING else ""
            call = partial(real, path, flags, *arguments, **options)
            return self.around("open", found, call) if found else call()

        return wrapped

    def _wrapped(self, name: str, real: Callable[..., Any], position: int) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            folder = options.get("dst_dir_fd" if position else "src_dir_fd", options.get("dir_fd"))
            found = self.ours(arguments[position], folder) if len(arguments) > position else ""
            call = partial(real, *arguments, **options)
            if not found:
                return call()

            def tear(part: Callable[[int], int]) -> None:
                real(arguments[0], arguments[1][: part(len(arguments[1]))], *arguments[2:])

            return self.around(name, found, call, tear if name in ("write", "pwrite") else None)

        return wrapped


class _File:
    """A file that was opened for writing. What is written stays in Python until it is flushed, so that is where a write is torn."""

    def __init__(self, points: Points, path: str, file: Any) -> None:
        self._points, self._path, self._file, self._pending = points, path, file, b""

    def write(self, data: Any) -> Any:
        self._pending += data if isinstance(data, bytes) else str(data).encode()
        return self._points.around("write", self._path, lambda: self._file.write(data))

    def flush(self) -> None:
        self._put("flush", self._file.flush)

    def truncate(self, *arguments: Any) -> Any:
        return self._points.around("truncate", self._path, lambda: self._file.truncate(*arguments))

    def close(self) -> None:
        if self._pending:
            self._put("close", self._file.close)
        self._file.close()

    def _put(self, what: str, call: Callable[[], Any]) -> None:
        pending = self._pending

        def tear(part: Callable[[int], int]) -> None:
            self._points.pwrite(self._file.fileno(), pending[: part(len(pending))], self._file.tell() - len(pending))

        self._points.around(what, self._path, call, tear if pending else None)
        self._pending = b""

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
