# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The disk of the records fills up, runs out of inodes, reaches a size limit or becomes read-only at every point of an operation where
that can be met. Nothing is lost, nothing changes in the cluster that is not on disk, and the next run carries on. Real file systems.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.faults import disk
from tests.faults.conftest import PROPERTY
from tests.faults.crew import Crew, Result
from tests.faults.test_points import Fault, told
from tests.integration.staging import Kubectl

_VARIANTS = ("fix", "undo")
_FIRST = 90  # drivers of other tests in the same namespace have smaller numbers
_BLOCK, _SHORT = 4096, 150  # bytes: of the file system, and by which an event's beginning lies before the end of a block
# trouble -> the operations (as points.py labels them) that can meet it
_MEETS = {
    "full": re.compile(r"\w+\* "),
    "inodes": re.compile(r"open \.|link |mkdir records"),
    "limit": re.compile(r"\w+\* "),
    "readonly": re.compile(r"mkdir |open 0"),
}
_EVENT = re.compile(r"\w+\* \d+\.jsonl")  # an event is put into a record that exists
Runs = dict[tuple[str, str], list[tuple[Fault, Future[Result]]]]


def test_mounts_are_possible() -> None:
    """What these tests need: a mount namespace of their own, as root or through user namespaces."""
    tried = subprocess.run([*disk.PRIVATELY, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, f"run as root, or allow unprivileged user namespaces (sysctl user.max_user_namespaces): {tried.stderr}"


@pytest.fixture(scope="module")
def private(cluster: Cluster, room: Kubectl, folder: Path) -> Iterator[Crew]:
    with Crew(cluster, room.namespace, folder, 3, _FIRST, disk.PRIVATELY, {disk.VARIABLE: "1"}) as drivers:
        yield drivers


@pytest.fixture(scope="module")
def whole(private: Crew) -> dict[str, Result]:
    """A run of each variant on a disk with room."""
    found = {variant: private.submit({"variant": variant, "faults": []}).result() for variant in _VARIANTS}
    assert not any(result["problems"] for result in found.values()), found
    return found


@pytest.fixture(scope="module")
def runs(private: Crew, whole: dict[str, Result]) -> Runs:
    found: Runs = {}
    for variant in _VARIANTS:
        for trouble, meets in _MEETS.items():
            group, events = found.setdefault((variant, trouble), []), 1
            for number, label in enumerate(whole[variant]["files"][0], 1):
                events += bool(_EVENT.match(label))
                # what fits into a file's last block is written on a full disk too: let the event begin just before the block's end
                pad = (-_SHORT - sum(whole[variant]["sizes"][: events - 1])) % _BLOCK if trouble == "full" and _EVENT.match(label) else 0
                if meets.match(label):
                    fault = {"where": "file", "at": number, "how": trouble}
                    group.append((fault, private.submit({"variant": variant, "faults": [fault], "pad": pad})))
    return found


@pytest.mark.parametrize("trouble", _MEETS)
@pytest.mark.parametrize("variant", _VARIANTS)
def test_at_every_point(variant: str, trouble: str, runs: Runs, whole: dict[str, Result], record_property: Any) -> None:
    labels, found = whole[variant]["files"][0], [(fault, future.result()) for fault, future in runs[(variant, trouble)]]
    wrong = [told(fault, labels, result) for fault, result in found if result["problems"]]
    record_property(PROPERTY, (len(found), len(found) - len(wrong)))
    assert not wrong, f"{len(wrong)} of {len(found)}:\n" + "\n".join(wrong)
    for fault, result in found:  # a PHR can wait, an event cannot
        assert result["errors"][0] or not _EVENT.match(labels[fault["at"] - 1]), f"not met: {told(fault, labels, result)}"
    assert any(result["errors"][0] for _fault, result in found), "no run met the trouble"
