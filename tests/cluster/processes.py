# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes of the built-in cluster: each in a session of its own, recorded so that a reused pid is never touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .console import find_program, read_json, write_private
from .programs import SHIM
from .settings import Paths

PROC = Path("/proc")
NAMES = frozenset(
    {"containerd", SHIM, "etcd", "kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}
)
GONE_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """One process: `started` is its start time in clock ticks since boot, which no other holder of the pid shares."""

    name: str
    pid: int
    started: int


def start_ticks(stat: str) -> int | None:
    """The start time (clock ticks since boot) in the text of /proc/PID/stat; None for a zombie, as good as gone."""
    fields = stat.rpartition(")")[2].split()  # the name before may itself hold spaces and brackets
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return int(fields[19])


def started_at(pid: int) -> int | None:
    """The start time of the process that holds `pid` now, or None when there is none."""
    try:
        return start_ticks((PROC / str(pid) / "stat").read_text())
    except (OSError, ValueError):
        return None


def alive(process: Process) -> bool:
    """Whether this very process still runs."""
    return started_at(process.pid) == process.started


def environment() -> dict[str, str]:
    """What the programs inherit: no proxy settings, credentials or KUBECONFIG of whoever ran `up`."""
    folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    for name in ("containerd", "runc", "etcd"):
        found = find_program(name)
        if found and str(found.parent) not in folders:
            folders.append(str(found.parent))
    return {"PATH": os.pathsep.join(folders), "HOME": "/root", "LANG": "C.UTF-8"}


def start(paths: Paths, name: str, argv: Sequence[str]) -> Process:
    """Start a program with its output in logs/NAME.log and record it.

    Raises OSError when it cannot be started.
    """
    paths.logs.mkdir(parents=True, exist_ok=True)
    with (paths.logs / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            argv,
            cwd="/",
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    process = Process(name, child.pid, started_at(child.pid) or 0)
    write_private(paths.processes / f"{name}.json", json.dumps({**asdict(process), "argv": list(argv)}))
    return process


def recorded(paths: Paths) -> dict[str, Process]:
    """Name -> process, as recorded by start(); they need not be alive."""
    found = {}
    for path in sorted(paths.processes.glob("*.json")):
        data = read_json(path)
        if data is not None:
            found[path.stem] = Process(str(data["name"]), int(data["pid"]), int(data["started"]))
    return found


def is_ours(argv: Sequence[str], folders: Iterable[Path]) -> bool:
    """Whether a command line is one of the cluster's programs working in our folders, not, say, a `tail` of a log."""
    if not argv or os.path.basename(argv[0]) not in NAMES:
        return False
    return any(f"{folder}/" in word for word in argv[1:] for folder in folders)


def scan(paths: Paths, cgroups: Iterable[Path]) -> list[Process]:
    """Every process of the cluster: recorded, recognised by its command line, or inside one of our cgroups."""
    found = {process.pid: process for process in recorded(paths).values() if alive(process)}
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) in found:
            continue
        try:
            argv = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if is_ours(argv, (paths.state, paths.runtime)):
            _remember(found, int(entry.name), os.path.basename(argv[0]))
    for group in cgroups:
        for pid in members(group):
            if pid not in found:
                _remember(found, pid, "in a container")
    return sorted(found.values(), key=lambda process: process.pid)


def _remember(found: dict[int, Process], pid: int, name: str) -> None:
    started = started_at(pid)
    if started is not None:
        found[pid] = Process(name, pid, started)


def members(group: Path) -> set[int]:
    """The pids in a cgroup folder and all those below it."""
    pids: set[int] = set()
    try:
        files = list(group.rglob("cgroup.procs"))
    except FileNotFoundError:  # the kernel takes a cgroup away with its last process, also while we look
        files = []
    for path in files:
        try:
            pids.update(int(line) for line in path.read_text().split())
        except OSError:  # the group went away meanwhile
            continue
    return pids - {0}


def kill(victims: Sequence[Process], seconds: float = GONE_SECONDS) -> list[Process]:
    """SIGKILL them and wait; returns those that are still there after `seconds`.

    Killed rather than asked: what they would save is deleted anyway, and a crash takes the same way.
    """
    for process in victims:
        if alive(process):
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    deadline = time.monotonic() + seconds
    while (left := [process for process in victims if alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
