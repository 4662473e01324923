# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Two processes for work that one core is too slow for. Ansible's workers may not use multiprocessing, so the second one is a plain fork.

The child computes, writes its pickled result into a pipe and ends; it never returns into the caller's code. Where there is only one core, no
fork, or little to do, everything is done here; where the child dies, its part is done here as well.
"""

from __future__ import annotations

import os
import pickle
import threading
from typing import Callable, Sequence, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
FEW = 64  # items below which a second process costs more than it gives


def spread(items: Sequence[Item], work: Callable[[Sequence[Item]], list[Made]]) -> list[Made]:
    """``work(items)``, with one half of the items done by a second process. The results keep the order of the items."""
    if len(items) < FEW or not hasattr(os, "fork") or (os.cpu_count() or 1) < 2:
        return work(items)
    middle = len(items) // 2
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _child(writing, items[middle:], work)
    os.close(writing)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(_everything(reading)), daemon=True)
    reader.start()
    try:
        first = work(items[:middle])
    finally:
        reader.join()
        _pid, status = os.waitpid(child, 0)
    second: list[Made] = (
        pickle.loads(received[0]) if status == 0 and received else work(items[middle:])
    )  # noqa: S301  # written by our own child
    return first + second


def _child(writing: int, items: Sequence[Item], work: Callable[[Sequence[Item]], list[Made]]) -> None:
    status = 1
    try:
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(work(items), pipe, protocol=pickle.HIGHEST_PROTOCOL)
        status = 0
    finally:
        os._exit(status)


def _everything(reading: int) -> bytes:
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read()
