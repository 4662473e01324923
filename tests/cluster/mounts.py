# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Mounts below the cluster's folders, and the pods' network namespaces, which are mounts too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from .console import run
from .settings import CNI_NETWORK

MOUNTINFO = Path("/proc/self/mountinfo")
CNI_RESULTS = Path("/var/lib/cni/results")  # fixed in the CNI library: what was set up for which container
_OCTAL = re.compile(r"\\([0-7]{3})")


def mount_points(mountinfo: str) -> list[str]:
    """Where things are mounted, in the order of the text of /proc/PID/mountinfo."""
    fields = (line.split() for line in mountinfo.splitlines())
    return [_OCTAL.sub(lambda found: chr(int(found[1], 8)), words[4]) for words in fields if len(words) > 4]


def below(points: Iterable[str], folders: Iterable[Path]) -> list[str]:
    """The mount points at or below one of `folders`, last mounted first, as they have to be unmounted."""
    roots = [str(folder) for folder in folders]
    inside = [point for point in points if any(point == root or point.startswith(f"{root}/") for root in roots)]
    return inside[::-1]


def find(folders: Iterable[Path]) -> list[str]:
    """Our mounts, in the order of unmounting."""
    return below(mount_points(MOUNTINFO.read_text()), [*folders, *namespaces()])


def cni_results() -> list[Path]:
    """The CNI library's notes about containers of our pod network, and about the loopback interface of the same."""
    ours = sorted(CNI_RESULTS.glob(f"{CNI_NETWORK}-*-eth0"))
    containers = [path.name.removeprefix(f"{CNI_NETWORK}-").removesuffix("-eth0") for path in ours]
    loopbacks = [CNI_RESULTS / f"cni-loopback-{container}-lo" for container in containers]
    return [*[path for path in loopbacks if path.exists()], *ours]


def namespaces() -> list[Path]:
    """Network namespaces of our pods that the CNI library noted, wherever this containerd keeps them."""
    found = set()
    for path in cni_results():
        try:
            found.add(str(json.loads(path.read_text()).get("netns", "")))
        except (OSError, ValueError, AttributeError):
            continue
    return [Path(name) for name in sorted(found - {""})]


def unmount(points: Iterable[str]) -> None:
    """Unmount each, lazily: a process that is just dying must not keep it."""
    for point in points:
        run(["umount", "--lazy", point], check=False)
