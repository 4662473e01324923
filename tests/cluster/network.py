# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network of the built-in cluster on this machine: the node's bridge, kernel settings, ports, interfaces."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .console import ClusterError, find_program, run
from .settings import NODE_ADDRESS, NODE_BRIDGE, POD_BRIDGE, PORTS

INTERFACES = Path("/sys/class/net")
LISTEN = "0A"  # a listening socket in /proc/net/tcp

# Kernel settings that `up`, the kubelet or kube-proxy change; `down` puts back what was there
SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/bridge/bridge-nf-call-iptables",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
WANTED = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",  # Services between pods of one bridge
}


def sysctls() -> dict[str, str]:
    """The present value of each of SYSCTLS that this kernel has."""
    found = {}
    for name in SYSCTLS:
        try:
            found[name] = (Path("/proc/sys") / name).read_text().strip()
        except OSError:
            continue
    return found


def changed_sysctls(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Setting -> value to put back, for those that differ."""
    return {name: value for name, value in before.items() if name in now and now[name] != value}


def set_sysctls(wanted: Mapping[str, str]) -> None:
    """Write kernel settings, leaving alone those that are already so.

    Raises OSError when the kernel refuses.
    """
    present = sysctls()
    for name, value in wanted.items():
        if present.get(name, value) != value:
            (Path("/proc/sys") / name).write_text(value)


def prepare() -> None:
    """Let packets pass between pods, and give the node an address that only this machine reaches."""
    if not (Path("/proc/sys") / "net/bridge").exists() and find_program("modprobe"):
        run(["modprobe", "br_netfilter"], check=False)
    set_sysctls(WANTED)
    run(["ip", "link", "add", NODE_BRIDGE, "type", "bridge"])
    run(["ip", "address", "add", f"{NODE_ADDRESS}/32", "dev", NODE_BRIDGE])
    run(["ip", "link", "set", NODE_BRIDGE, "up"])


def interfaces() -> list[str]:
    """Our bridges and what is plugged into them, the plugged first."""
    present = [name for name in (POD_BRIDGE, NODE_BRIDGE) if (INTERFACES / name).exists()]
    plugged = [entry.name for name in present for entry in (INTERFACES / name / "brif").glob("*")]
    return [*sorted(plugged), *present]


def remove_interfaces() -> None:
    """Delete our bridges and the pods' ends of the cables; one that goes by itself meanwhile is no error."""
    for name in interfaces():
        run(["ip", "link", "delete", name], check=False)


def listeners(table: str) -> dict[int, str]:
    """Port -> socket inode of the listening sockets in the text of /proc/net/tcp or tcp6."""
    found = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTEN:
            found[int(fields[1].rpartition(":")[2], 16)] = fields[9]
    return found


def taken_ports() -> dict[int, str]:
    """Those of PORTS that somebody listens on -> who: "name (pid N)", or "an unknown process"."""
    inodes: dict[int, str] = {}
    for name in ("tcp", "tcp6"):
        try:
            inodes.update(listeners(Path(f"/proc/net/{name}").read_text()))
        except OSError:
            continue
    wanted = {f"socket:[{inodes[port]}]": port for port in PORTS.values() if port in inodes}
    return {port: _holder(link) for link, port in wanted.items()}


def _holder(link: str) -> str:
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(descriptor) == link:
                process = descriptor.parent.parent
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue
    return "an unknown process"


def port_complaint(taken: Mapping[int, str]) -> str:
    """One readable line about ports in use, "" when all are free."""
    purposes = {port: purpose for purpose, port in PORTS.items()}
    parts = [f"{port} ({purposes[port]}) is held by {holder}" for port, holder in sorted(taken.items())]
    return f"a port that the cluster needs is in use: {'; '.join(parts)}" if parts else ""


def check_ports() -> None:
    """Raises ClusterError naming port and process when one of PORTS is in use."""
    complaint = port_complaint(taken_ports())
    if complaint:
        raise ClusterError(f"{complaint}: stop that process, or give an existing cluster with --kubeconfig")
