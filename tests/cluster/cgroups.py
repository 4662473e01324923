# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cluster's own branch of the control groups, in version 1 (a tree per controller) and version 2 (one tree)."""

from __future__ import annotations

import time
from pathlib import Path

from .settings import NAME

ROOT = Path("/sys/fs/cgroup")
COPIED = ("cpuset.cpus", "cpuset.mems")  # version 1: empty in a new group, and then no process can join


def hierarchies(root: Path = ROOT) -> list[Path]:
    """The root folder of every tree; the links that some systems make (cpu -> cpu,cpuacct) are counted once."""
    if (root / "cgroup.controllers").exists():
        return [root]
    return sorted({path.parent.resolve() for path in root.glob("*/cgroup.procs")})


def branches() -> list[Path]:
    """Our branch in each tree, where it exists."""
    return [path / NAME for path in hierarchies() if (path / NAME).is_dir()]


def prepare() -> None:
    """Make our branch in every tree: the kubelet wants its root to exist.

    Raises OSError when the kernel refuses.
    """
    for tree in hierarchies():
        controllers = tree / "cgroup.controllers"
        if controllers.exists():
            _enable(tree, controllers.read_text().split())
        branch = tree / NAME
        branch.mkdir(exist_ok=True)
        for name in COPIED:
            if (tree / name).exists():
                (branch / name).write_text((tree / name).read_text())


def _enable(tree: Path, controllers: list[str]) -> None:
    """Version 2: hand the controllers down, one by one because one that is refused would take the others with it."""
    for controller in controllers:
        try:
            (tree / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            continue


def remove(seconds: float = 5.0) -> None:
    """Remove our branches, deepest folder first; dying processes keep them for a moment, so try for `seconds`."""
    deadline = time.monotonic() + seconds
    while branches():
        for branch in branches():
            for folder in [*_below(branch), branch]:
                try:
                    folder.rmdir()
                except OSError:
                    continue
        if time.monotonic() > deadline:
            return
        if branches():
            time.sleep(0.1)


def _below(branch: Path) -> list[Path]:
    """Folders of a branch, deepest first; none where the kernel takes some away while we look, so that the next round looks again."""
    try:
        return sorted((path for path in branch.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
    except FileNotFoundError:
        return []
