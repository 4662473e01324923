# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Run a program that nobody trusts to end: with a wall-clock limit, bounded files, and nothing left of it afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Generator, Iterator, Mapping, Sequence, TypeVar

from ansible_collections.aiops.k8s.plugins.module_utils.engine import confine

OUTPUT_BYTES = 262_144  # of standard output, and of standard error, that is read
_FILE_BYTES = 64 << 20  # no file of the program grows beyond this; it is killed instead
LOOK_EVERY = 0.004  # seconds between two looks at the program
MEMORY_BYTES = 1 << 30  # of the program: it holds an endless answer whole
_MEASURE_EVERY = 0.1  # seconds
_MERCY = 0.3  # seconds between SIGTERM and SIGKILL
_DIE_WITH_PARENT = 1  # prctl PR_SET_PDEATHSIG

Value = TypeVar("Value")
Steps = Generator[None, None, Value]  # work that yields whenever it has to wait, so that one thread can look after several


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a program ended. status: exit status, negative for a signal."""

    status: int
    stdout: str
    stderr: str
    timed_out: bool
    stopped: bool  # by ``enough``, before it ended by itself
    bloated: bool = False  # stopped because it took too much memory


def run(command: Sequence[str], **how: Any) -> Ended:
    """Run a program and wait for its end; the arguments are those of ``steps``."""
    return finish(steps(command, **how))  # pylint: disable=missing-kwoa


def finish(work: Steps[Value]) -> Value:
    """Go through all steps of one piece of work."""
    try:
        while True:
            next(work)
            time.sleep(LOOK_EVERY)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        work.close()


def steps(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: str,
    limit: float,
    stdin: bytes = b"",
    enough: Callable[[], bool] = bool,
    each_look: Callable[[], object] = bool,
    rules: int | None = None,
    pass_fds: Sequence[int] = (),
) -> Steps[Ended]:
    """Run a program for at most ``limit`` seconds. Closing the generator ends the program and everything that it has started.

    directory: private to this run; its path in TMPDIR marks every process that belongs to the run.
    enough: asked all the time; true means that the program has done its work and need not be waited for.
    rules: of confine.ruleset, which the program and its children are kept to.
    Raises OSError when the program cannot be started.
    """
    paths = {name: os.path.join(directory, name) for name in ("stdin", "stdout", "stderr")}
    with open(paths["stdin"], "wb") as file:
        file.write(stdin)
    deadline = time.monotonic() + limit
    with open(paths["stdin"], "rb") as source, open(paths["stdout"], "wb") as out, open(paths["stderr"], "wb") as err:
        os.unlink(paths["stdin"])
        try:
            process = subprocess.Popen(
                list(command),
                stdin=source,
                stdout=out,
                stderr=err,
                cwd=directory,
                env={**environment, "TMPDIR": directory},
                start_new_session=True,
                pass_fds=tuple(pass_fds),
                preexec_fn=_preparation(rules),
            )
        except subprocess.SubprocessError as error:
            raise OSError("the limits for it, or its confinement, are not allowed here") from error
    timed_out = stopped = bloated = finished = False
    measured = 0.0
    try:
        while not (finished := _has_ended(process)) and not (timed_out or stopped or bloated):
            yield
            each_look()
            now = time.monotonic()
            timed_out, stopped = now >= deadline, enough()
            if now - measured > _MEASURE_EVERY:
                measured, bloated = now, _memory(process.pid) > MEMORY_BYTES
    finally:
        _end(process, directory, thorough=not finished)
    each_look()
    return Ended(process.returncode, _read(paths["stdout"]), _read(paths["stderr"]), timed_out, stopped, bloated)


_ENDINGS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def unwind_when_terminated() -> None:
    """From now on these signals end this process as an exception does: engines are ended, private directories removed."""

    def leave(number: int, _frame: object) -> None:
        for other in _ENDINGS:  # a second one would interrupt the clearing up
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in _ENDINGS:
        signal.signal(number, leave)


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """The same for a while, in a worker of Ansible, which would leave at once; a worker whose parent is killed ends too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.getsignal(number)) for number in _ENDINGS]
    unwind_when_terminated()
    tie = _parent_tie()
    tie(signal.SIGTERM)
    try:
        yield
    finally:
        tie(0)
        for number, handler in before:
            signal.signal(number, handler)


def _parent_tie() -> Callable[[int], object]:
    """What tells the kernel which signal the calling process shall get when its parent ends; nothing where there is no such thing."""
    if not sys.platform.startswith("linux"):
        return bool
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return lambda number: prctl(_DIE_WITH_PARENT, number, 0, 0, 0)


def _preparation(rules: int | None) -> Callable[[], None]:
    """What the child does before the program starts. Everything is imported and looked up here: a forked child had better not."""
    import resource

    tie = _parent_tie()
    confined = None if rules is None else confine.entrance(rules)

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the keys
        tie(signal.SIGKILL)
        if confined:
            confined()

    return prepare


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return process.poll() is not None
    # not reaped yet: as long as it is a zombie, nobody else can get its number, and the group can be killed safely
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _memory(pid: int) -> int:
    """Bytes that a process holds; 0 where that cannot be seen."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _end(process: subprocess.Popen[bytes], directory: str, thorough: bool) -> None:
    if not _has_ended(process):
        _signal(process.pid, signal.SIGTERM)
        patience = time.monotonic() + _MERCY
        while not _has_ended(process) and time.monotonic() < patience:
            time.sleep(LOOK_EVERY)
    strays = _marked(directory) if thorough else []
    _signal(process.pid, signal.SIGKILL)
    for stray in strays:  # left the process group
        try:
            os.kill(stray, signal.SIGKILL)
        except OSError:
            pass
    process.wait()


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except OSError:
        pass


def _marked(directory: str) -> list[int]:
    """Processes that carry the mark of this run in their environment. Only where there is a /proc."""
    mark = b"TMPDIR=" + os.fsencode(directory)
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark in file.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                pass
    return found


def _read(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(OUTPUT_BYTES).decode("utf-8", "replace")
