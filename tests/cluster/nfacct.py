# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's named packet counters that kube-proxy makes; they outlive the rules that use them.

Spoken to by netlink directly, because the nfacct program is hardly ever installed.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable

# Those of pkg/proxy/metrics in Kubernetes
NAMES = ("ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts")

NETLINK_NETFILTER = 12
SUBSYSTEM = 7 << 8  # NFNL_SUBSYS_ACCT
GET, DELETE = 1, 3
REQUEST_ACK = 0x1 | 0x4  # NLM_F_REQUEST | NLM_F_ACK
ERROR = 2  # NLMSG_ERROR, which also carries success as error 0


def message(kind: int, name: str) -> bytes:
    """A netlink request about the counter `name`; `kind` is GET or DELETE."""
    value = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(value), 1) + value  # NFACCT_NAME
    attribute += b"\0" * (-len(attribute) % 4)
    body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0) + attribute
    return struct.pack("=IHHII", 16 + len(body), SUBSYSTEM | kind, REQUEST_ACK, 1, 0) + body


def _ask(kind: int, name: str) -> int:
    """The kernel's answer: 0, or an errno."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as connection:
        connection.settimeout(2)
        connection.send(message(kind, name))
        while True:
            data = connection.recv(65536)
            while len(data) >= 16:
                length, answer = struct.unpack_from("=IH", data)
                if answer == ERROR:
                    return -int(struct.unpack_from("=i", data, 16)[0])
                data = data[(length + 3) & ~3 :] if length >= 16 else b""


def present() -> list[str]:
    """Those of NAMES that exist; none where the kernel has no such counters."""
    try:
        return [name for name in NAMES if _ask(GET, name) == 0]
    except OSError:
        return []


def remove(names: Iterable[str]) -> None:
    """Delete counters.

    Raises OSError when the kernel refuses, as it does while a rule still uses one.
    """
    for name in names:
        code = _ask(DELETE, name)
        if code:
            raise OSError(code, f"counter {name}: {os.strerror(code)}")
