# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Keep a process and all its children to a list of files, with Landlock (Linux 5.13 and later, no privileges needed).

Why: an engine runs the shell commands that a model writes, and what the model reads was written by strangers. The
engine's own list of harmless commands lets through ``kubectl get pods --kubeconfig=/home/me/.kube/config``,
``kubectl delete pod web --dry-run=none``, ``... > /any/file`` and ``/any/path/kubectl-anything``. With a confined process
these end in "permission denied", whoever runs it.
"""

from __future__ import annotations

import os
import sys
from typing import Callable, Iterable

# rights of <linux/landlock.h>; a file takes only the first group
EXECUTE, WRITE, READ = 1 << 0, 1 << 1, 1 << 2
_LIST, _TRUNCATE = 1 << 3, 1 << 14
_FILE = EXECUTE | WRITE | READ | _TRUNCATE
_RIGHTS_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
READ_ONLY = READ | _LIST
EVERYTHING_BUT_EXECUTE = ((1 << 15) - 1) & ~EXECUTE
_SCOPE_SOCKETS_AND_SIGNALS = 0b11  # from version 6: no abstract sockets and no signals to anything outside

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38
_O_PATH = 0o10000000


def version() -> int:
    """The kernel's Landlock version; 0 where it has none (other systems, old kernels, container profiles that forbid it)."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, _syscall(_CREATE_RULESET, None, 0, 1))


def ruleset(rules: Iterable[tuple[str, int]]) -> int:
    """A file descriptor for the rules, each (path, rights). Paths that do not exist are left out. Raises OSError."""
    import ctypes

    abi = version()
    handled = _RIGHTS_OF_ABI[min(abi, 5)]
    scoped = _SCOPE_SOCKETS_AND_SIGNALS if abi >= 6 else 0
    attributes = (ctypes.c_uint64 * 3)(handled, 0, scoped)
    descriptor = _checked(_syscall(_CREATE_RULESET, ctypes.byref(attributes), 24 if abi >= 6 else 8, 0))
    try:
        for path, rights in rules:
            _allow(descriptor, path, rights & handled)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def entrance(descriptor: int) -> Callable[[], None]:
    """What confines the calling process for good, ready to be called in a child between fork and exec."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    prctl, call = library.prctl, library.syscall
    call.restype = ctypes.c_long
    numbers = [ctypes.c_long(number) for number in (_RESTRICT_SELF, descriptor, 0)]

    def enter() -> None:
        _checked(prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _checked(call(*numbers))

    return enter


def _allow(descriptor: int, path: str, rights: int) -> None:
    import ctypes

    try:
        target = os.open(path, _O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _FILE
        rule = ctypes.create_string_buffer(rights.to_bytes(8, sys.byteorder) + target.to_bytes(4, sys.byteorder), 12)
        _checked(_syscall(_ADD_RULE, descriptor, _PATH_BENEATH, rule, 0))
    finally:
        os.close(target)


def _syscall(number: int, *arguments: object) -> int:
    import ctypes

    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    converted = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return int(call(ctypes.c_long(number), *converted))


def _checked(result: int) -> int:
    import ctypes

    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
