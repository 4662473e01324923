# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The playbook ``execute`` where the disk of the records is full or read-only: it says so, changes nothing, and works once there is room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.operation import phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.cluster import Cluster
from tests.faults import disk
from tests.faults.cases import Stage, limit, other
from tests.faults.gateway import FaultyGateway
from tests.faults.operation import Operation
from tests.integration.staging import Kubectl
from tests.integration.support import FEATURE, Ansible, command

_BLOCK, _SHORT = 4096, 150  # see test_disk.py
# $1 a directory that becomes a small disk, $2 the records to begin with, $3 where they are put in the end, $4... the command
_SCRIPT = """
set -e
disk=$1 from=$2 to=$3; shift 3
mount -t tmpfs -o size=512k none "$disk"
cp -a "$from/." "$disk"
%s
status=0; "$@" || status=$?
cp -a "$disk" "$to"
exit $status
"""
_TROUBLES = {
    "full": ('dd if=/dev/zero of="$disk/filler" bs=4k 2>/dev/null || true', "No space left on device"),
    "readonly": ('mount -o remount,ro "$disk"', "Read-only file system"),
}


@pytest.fixture
def stage(cluster: Cluster, room: Kubectl) -> Iterator[Stage]:
    with FaultyGateway(cluster.kubeconfig) as gateway:
        yield Stage(gateway.direct, connect({"kubeconfig": cluster.kubeconfig}), room.namespace, cluster.image, 80)


def approved(stage: Stage, directory: Path, pad: int) -> int:
    """The bytes of an approved record in a fresh store."""
    store = Directory(str(directory), FEATURE)
    operation = Operation(store, stage.api, lambda: None)
    identifier = operation.propose(stage.prepare("fix", pad).payload)
    operation.approve(identifier)
    return Path(store.load(identifier).path).stat().st_size


@pytest.mark.parametrize("trouble", _TROUBLES)
def test_nothing_happens_without_room_for_the_record(trouble: str, stage: Stage, tmp_path: Path) -> None:
    small, before, after = (tmp_path / name for name in ("small", "before", "after"))
    small.mkdir()
    size = approved(stage, tmp_path / "measured", 0)
    approved(stage, before, (-_SHORT - size) % _BLOCK)
    live = stage.live("fix-80-a")
    what, says = _TROUBLES[trouble]
    ansible = Ansible(tmp_path, records_dir=str(small))
    words = command("execute", {**ansible.options, "record": "0001"})
    run = ansible.run([*disk.PRIVATELY, "sh", "-c", _SCRIPT % what, "sh", str(small), str(before), str(after), *words])
    run.refused(f"{small}/{FEATURE}/0001.jsonl", says)
    assert stage.live("fix-80-a")["metadata"]["generation"] == live["metadata"]["generation"], "nothing was changed"
    shutil.rmtree(small)
    shutil.copytree(after, small, ignore=shutil.ignore_patterns("filler"))
    store = Directory(str(small), FEATURE)
    record = store.load("1")
    assert [one["kind"] for one in record.events] == ["proposed", "approved"]
    assert Path(store.document(record)).read_text(encoding="utf-8") == phr.render(record.events)
    ansible("execute", record="0001", watch="block").ok()
    assert store.load("1").state == "closed" and limit(stage.live("fix-80-a")) == other(limit(live))
