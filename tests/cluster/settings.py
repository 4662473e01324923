# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names, addresses, ports and folders of the test cluster: everything that more than one module has to agree on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
TEMPLATES = HERE / "templates"

ENV_KUBECONFIG = "AIOPS_TEST_KUBECONFIG"
ENV_STATE = "AIOPS_CLUSTER_STATE"
ENV_CACHE = "AIOPS_CACHE_DIR"

NAME = "aiops-k8s-cluster"  # cgroup, comments of firewall rules, runtime folder
NODE = "node-1"
NODE_BRIDGE = "aiops0"  # holds the node's address: not every kernel has the dummy interface
POD_BRIDGE = "aiops-cni0"  # interface names end at 15 characters
CNI_NETWORK = "aiops-k8s"

NODE_ADDRESS = "10.250.0.1"
POD_CIDR = "10.244.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
DOMAIN = "cluster.local"

BUILTIN_IMAGE = "localhost/busybox:local"
PULLED_IMAGE = "docker.io/library/busybox:1.36"

# purpose -> TCP port. Client-facing ones of etcd and the API server are moved away from the usual numbers, so that a
# stray etcd or a local cluster of another tool does not collide.
PORTS: dict[str, int] = {
    "etcd clients": 12379,
    "etcd peers": 12380,
    "etcd health": 12381,
    "API server": 16443,
    "kubelet": 10250,
    "kubelet health": 10248,
    "kube-proxy metrics": 10249,
    "kube-proxy health": 10256,
    "kube-controller-manager": 10257,
    "kube-scheduler": 10259,
}
SERVER = f"https://127.0.0.1:{PORTS['API server']}"

# platform.machine() -> Go's name of the architecture
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """Go's name of this machine's architecture, or "" where the built-in cluster is not known to work."""
    return ARCHITECTURES.get(platform.machine(), "")


@dataclass(frozen=True)
class Paths:
    """The three folders that the tool writes to, and the files inside them that several modules share."""

    state: Path  # removed by `down`
    runtime: Path  # sockets and mounts; removed by `down`
    cache: Path  # built programs and images; kept

    @property
    def cluster(self) -> Path:
        return self.state / "cluster.json"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def builtin(self) -> Path:
        """Which built-in cluster runs: its key, owner and start."""
        return self.state / "builtin.json"

    @property
    def before(self) -> tuple[Path, Path]:
        """How the machine was before `up`; twice, so that losing one folder does not lose the way back."""
        return self.state / "before.json", self.runtime / "before.json"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def processes(self) -> Path:
        return self.state / "processes"

    @property
    def audit_log(self) -> Path:
        return self.state / "audit.log"

    @property
    def containerd_socket(self) -> Path:
        return self.runtime / "containerd.sock"

    @property
    def lock(self) -> Path:
        """Beside the state folder, because that one comes and goes while the lock is held."""
        return self.state.with_name(self.state.name + ".lock")


def paths(environment: Mapping[str, str] | None = None) -> Paths:
    """The folders that `environment` (default: this process's) asks for; all absolute."""
    env = os.environ if environment is None else environment
    home_cache = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME") or Path.home()) / ".cache")
    return Paths(
        state=Path(env.get(ENV_STATE) or f"/var/tmp/{NAME}").absolute(),
        runtime=Path(f"/run/{NAME}"),
        cache=Path(env.get(ENV_CACHE) or home_cache / "aiops-k8s").absolute(),
    )
