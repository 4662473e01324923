# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Taking the built-in cluster away, whatever state it is in: each part is found, removed, and looked for once more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import cgroups, firewall, kagent, model, mounts, network, nfacct, packages, processes
from .console import ClusterError, read_json, say, write_private
from .settings import Paths

CONTAINER_LOGS = Path("/var/log/containers")  # fixed in the kubelet: links into its pod log folder
SHIM_SOCKETS = Path("/run/containerd/s")  # fixed in containerd's shim

POINTER = "state.json"  # in the runtime folder: where the one built-in cluster of this machine keeps its state

# Folders that the programs make outside of ours; removed when they were not there before and are empty, deepest first
FOREIGN_FOLDERS = (
    "/var/log/containers",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/var/lib/cni/results",
    "/var/lib/cni/cache",
    "/var/lib/cni",
    "/run/containerd/s",
    "/run/containerd",
    "/run/netns",
    "/run/mount",
    "/var/run/kubernetes",
    "/usr/libexec/kubernetes",
)
# What they leave in them that cannot belong to a cluster that still runs, as ours was the only kubelet
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")


@dataclass(frozen=True)
class Before:
    """The machine before `up`: kernel settings, firewall chains per family, counters, and FOREIGN_FOLDERS."""

    sysctls: dict[str, str]
    chains: dict[str, list[str]]
    counters: list[str]
    folders: list[str]


def remember(paths: Paths) -> None:
    """Note how the machine is, before anything of it is changed."""
    before = {
        "sysctls": network.sysctls(),
        "chains": firewall.all_chains(),
        "counters": nfacct.present(),
        "folders": [name for name in FOREIGN_FOLDERS if Path(name).exists()],
    }
    for path in paths.before:
        write_private(path, json.dumps(before, indent=1))


def recall(paths: Paths) -> Before | None:
    """What remember() noted, or None when no cluster of ours was ever begun."""
    for path in paths.before:
        data: dict[str, Any] | None = read_json(path)
        if data is not None:
            return Before(  # .get: another checkout's version may have written it
                data.get("sysctls", {}), data.get("chains", {}), data.get("counters", []), data.get("folders", [])
            )
    return None


def other_state(paths: Paths) -> str:
    """The state folder of a built-in cluster on this machine that is not the one of `paths`, "" when there is none."""
    other = str((read_json(paths.runtime / POINTER) or {}).get("state", ""))
    return other if other and other != str(paths.state) and Path(other).exists() else ""


@dataclass(frozen=True)
class Part:
    """One kind of thing that the cluster leaves on a machine."""

    name: str
    find: Callable[[], list[str]]
    remove: Callable[[], object]


def parts(paths: Paths, before: Before | None) -> list[Part]:
    """All of them in the order of removal: each needs those above it gone."""
    folders = (paths.state, paths.runtime)

    def running() -> list[processes.Process]:
        return processes.scan(paths, cgroups.branches())

    def kill() -> None:
        for _attempt in range(3):  # what was being started while we looked
            processes.kill(running())
            if not running():
                break

    def outside() -> list[Path]:
        return _outside(paths, before)

    def chains() -> list[str]:
        if before is None:
            return []
        return [f"{family} {chain}" for family, names in firewall.left(before.chains).items() for chain in names]

    def counters() -> list[str]:
        return [name for name in nfacct.present() if name not in before.counters] if before else []

    def settings() -> dict[str, str]:
        return network.changed_sysctls(before.sysctls, network.sysctls()) if before else {}

    return [
        Part("kagent's database", lambda: kagent.left(paths), lambda: kagent.stop_database(paths)),
        Part("processes", lambda: [f"{p.name} (pid {p.pid})" for p in running()], kill),
        Part("mounts", lambda: mounts.find(folders), lambda: mounts.unmount(mounts.find(folders))),
        Part("files in shared folders", lambda: [str(path) for path in outside()], lambda: _unlink(outside())),
        Part("network interfaces", network.interfaces, network.remove_interfaces),
        Part("firewall chains", chains, lambda: firewall.clean(before.chains if before else {})),
        Part("firewall counters", counters, lambda: nfacct.remove(counters())),
        Part(
            "kernel settings",
            lambda: [f"{name} = {value}" for name, value in settings().items()],
            lambda: network.set_sysctls(settings()),
        ),
        Part("control groups", lambda: [str(path) for path in cgroups.branches()], cgroups.remove),
        Part(
            "shared folders", lambda: [str(path) for path in _new_folders(before)], lambda: _rmdir(_new_folders(before))
        ),
        Part(
            "a policy-rc.d of an interrupted installation",
            lambda: [str(packages.POLICY)] if packages.has_policy() else [],
            packages.remove_policy,
        ),
        Part(
            "folders",
            lambda: [str(path) for path in folders if path.exists()],
            lambda: _rmdir(folders),
        ),
    ]


def _outside(paths: Paths, before: Before | None) -> list[Path]:
    """Files of ours in folders that are not: log links, CNI notes and namespaces, shim sockets, device plugin files."""
    links = [
        path
        for path in CONTAINER_LOGS.glob("*.log")
        if path.is_symlink() and path.readlink().is_relative_to(paths.state)
    ]
    sockets = []
    for note in paths.runtime.glob("containerd/io.containerd.runtime.v2.task/*/*/address"):
        socket = Path(note.read_text().strip().removeprefix("unix://"))
        if socket.parent == SHIM_SOCKETS and socket.exists():
            sockets.append(socket)
    fresh = before is not None and str(DEVICE_PLUGINS) not in before.folders
    plugins = sorted(DEVICE_PLUGINS.glob("*")) if fresh else []
    namespaces = [path for path in mounts.namespaces() if path.exists()]
    return [*links, *namespaces, *mounts.cni_results(), *sockets, *plugins]


def _new_folders(before: Before | None) -> list[Path]:
    if before is None:
        return []
    candidates = (Path(name) for name in FOREIGN_FOLDERS if name not in before.folders)
    return [path for path in candidates if path.is_dir() and _empty(path)]


def _empty(folder: Path) -> bool:
    """Whether a folder holds no file, at any depth."""
    return all(path.is_dir() and not path.is_symlink() for path in folder.rglob("*"))


def _unlink(files: Iterable[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)


def _rmdir(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def summary(items: list[str], shown: int = 4) -> str:
    """ "a, b and 7 more": enough to know what it was."""
    more = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {more} more" if more > 0 else "")


def down(paths: Paths) -> bool:
    """Remove the built-in cluster; returns whether there was anything to remove.

    That of another state folder is left alone. Raises ClusterError naming what could not be removed.
    """
    model.check_ours(paths)
    if other_state(paths):
        say(f"the built-in cluster of this machine has its state in {other_state(paths)}: it is left alone")
        there = paths.state.exists()
        _rmdir([paths.state])
        return there
    everything = parts(paths, recall(paths))
    removed = False
    for part in everything:
        found = part.find()
        if found:
            removed = True
            part.remove()
            say(f"removed {part.name}: {summary(found)}")
    left = {part.name: found for part in everything if (found := part.find())}
    if left:
        detail = "; ".join(f"{name}: {summary(found, 8)}" for name, found in left.items())
        raise ClusterError(f"could not remove everything; left are {detail}")
    return removed
