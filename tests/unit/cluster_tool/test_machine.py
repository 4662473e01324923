# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recognising what belongs to the cluster on a machine: processes, mounts, ports; and the texts it is made of."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cluster import configs, health, mounts, network, nfacct, packages, processes, programs, status, teardown
from tests.cluster.pki import TOOL_USER
from tests.cluster.settings import NODE_BRIDGE, POD_BRIDGE, PORTS, Paths

STATE, RUN = Path("/var/tmp/x"), Path("/run/x")
STAT = "123 (a (b) c) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 {start} 20"


def test_start_ticks_minds_names_and_zombies() -> None:
    assert processes.start_ticks(STAT.format(state="S", start=777)) == 777
    assert processes.start_ticks(STAT.format(state="Z", start=777)) is None
    assert processes.start_ticks("") is None


def test_a_reused_pid_is_not_ours() -> None:
    started = processes.started_at(os.getpid())
    assert started is not None
    assert processes.alive(processes.Process("me", os.getpid(), started))
    assert not processes.alive(processes.Process("me", os.getpid(), started - 1))


def test_kill_leaves_the_holder_of_a_reused_pid_alone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        started = processes.started_at(child.pid)
        assert started is not None
        assert processes.kill([processes.Process("other", child.pid, started - 1)]) == []
        assert child.poll() is None
        assert processes.kill([processes.Process("ours", child.pid, started)]) == []
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    ("argv", "ours"),
    [
        (["/usr/bin/etcd", "--data-dir=/var/tmp/x/etcd"], True),
        (["/usr/bin/containerd-shim-runc-v2", "-address", "/run/x/containerd.sock"], True),
        (["/usr/bin/etcd", "--data-dir=/var/lib/etcd"], False),
        (["/usr/bin/etcd", "--data-dir=/var/tmp/xy/etcd"], False),
        (["tail", "-f", "/var/tmp/x/audit.log"], False),
        (["kubectl", "--kubeconfig=/var/tmp/x/kubeconfig"], False),
        ([""], False),
        ([], False),
    ],
)
def test_is_ours(argv: list[str], ours: bool) -> None:
    assert processes.is_ours(argv, (STATE, RUN)) is ours


def test_every_daemon_is_recognised_by_its_command_line() -> None:
    made = programs.daemons(Paths(STATE, RUN, Path("/c")), Path("/e/etcd"), Path("/e/containerd"), Path("/b"))
    assert set(made) | {programs.SHIM} == processes.NAMES
    for name, daemon in made.items():
        assert processes.is_ours(daemon.argv, (STATE, RUN)), name


def test_mounts_below_our_folders_come_last_first() -> None:
    text = (
        "1 0 0:1 / /var/tmp/x rw - ext4 a rw\n2 1 0:2 / /var/tmp/x/a\\040b rw - tmpfs b rw\n3 0 0:3 / /var/tmp/xy rw\n"
    )
    assert mounts.mount_points(text) == ["/var/tmp/x", "/var/tmp/x/a b", "/var/tmp/xy"]
    assert mounts.below(mounts.mount_points(text), [STATE]) == ["/var/tmp/x/a b", "/var/tmp/x"]


def test_listeners_reads_only_listening_sockets() -> None:
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:280B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
        "   1: 0100007F:280C 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n"
    )
    assert network.listeners(table) == {10251: "4711"}


def test_port_complaint_names_port_purpose_and_process() -> None:
    assert network.port_complaint({}) == ""
    said = network.port_complaint({PORTS["API server"]: "nginx (pid 7)"})
    assert "16443 (API server) is held by nginx (pid 7)" in said


def test_sysctls_that_differ_are_put_back() -> None:
    before = {"a": "0", "b": "1", "gone": "1"}
    assert network.changed_sysctls(before, {"a": "1", "b": "1"}) == {"a": "0"}


def test_interface_names_fit_the_kernel() -> None:
    assert all(len(name) <= 15 for name in (NODE_BRIDGE, POD_BRIDGE))


def test_ports_are_distinct() -> None:
    assert len(set(PORTS.values())) == len(PORTS)


def test_netlink_message_is_padded_and_counts_itself() -> None:
    data = nfacct.message(nfacct.GET, "abc")
    assert len(data) == struct.unpack_from("=I", data)[0] == 28
    assert data.endswith(b"abc\0")


def test_kubeconfig_stands_by_itself() -> None:
    document = yaml.safe_load(configs.kubeconfig("https://h:1", b"ca", b"crt", b"key"))
    assert document["clusters"][0]["cluster"] == {"server": "https://h:1", "certificate-authority-data": "Y2E="}
    assert document["users"][0]["user"] == {"client-certificate-data": "Y3J0", "client-key-data": "a2V5"}


@pytest.mark.parametrize(("defaults", "option"), [("netns_mounts_under_state_dir = false", True), ("", False)])
def test_templates_render_for_old_and_new_containerd(defaults: str, option: bool) -> None:
    values = configs.values(Paths(STATE, RUN, Path("/c")), Path("/usr/lib/cni"), defaults)
    toml = configs.render("containerd.toml", values)
    assert ("  netns_mounts_under_state_dir = true" in toml.splitlines()) is option
    kubelet = yaml.safe_load(configs.render("kubelet.yaml", values))
    assert kubelet["failCgroupV1"] is False and kubelet["port"] == 10250
    assert json.loads(configs.cni_network(STATE))["plugins"][0]["ipam"]["dataDir"] == "/var/tmp/x/cni"


def test_audit_policy_ends_with_recording_everything_else() -> None:
    values = configs.values(Paths(STATE, RUN, Path("/c")), Path("/usr/lib/cni"), "")
    policy = yaml.safe_load(configs.render("audit-policy.yaml", values))
    assert policy["rules"][-1] == {"level": "Metadata"}
    hidden = [rule for rule in policy["rules"] if TOOL_USER in rule.get("users", [])]
    assert hidden and all(rule["level"] == "None" for rule in hidden)


def test_condition_tells_why_not() -> None:
    def item(state: str, message: str = "") -> dict[str, object]:
        return {"status": {"conditions": [{"type": "Ready", "status": state, "message": message}]}}

    assert health.condition(item("True"), "Ready") == ""
    assert health.condition(item("False", "no network"), "Ready") == "no network"
    assert health.condition({}, "Ready") == "not there yet"
    assert health.condition({"status": {}}, "Ready") == "not Ready yet"


@pytest.mark.parametrize(
    ("text", "version"),
    [("containerd github.com/x 1.6.20~ds1 1.6.20~ds1-1", "1.6.20~ds1"), ("Server Version: v1.34.4", "v1.34.4")],
)
def test_first_version(text: str, version: str) -> None:
    assert status.first_version(text) == version


def test_missing_packages_are_those_without_a_program() -> None:
    absent = packages.missing(lambda name: None if name in ("etcd", "runc") else Path("/bin") / name, Path("/cni"))
    assert absent == ["runc", "etcd-server"]


def test_policy_lasts_only_for_the_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "POLICY", policy)
    with packages._no_services():
        assert os.access(policy, os.X_OK) and "exit 101" in policy.read_text()
    assert not policy.exists()
    policy.write_text("#!/bin/sh\nexit 0\n")
    with packages._no_services():
        assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert policy.exists()


def test_summary_is_short() -> None:
    assert teardown.summary(["a", "b"]) == "a, b"
    assert teardown.summary(list("abcdef"), 2) == "a, b and 4 more"
