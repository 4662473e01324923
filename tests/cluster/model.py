# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a test needs to know about the cluster that is up, and where it is written down."""

from __future__ import annotations

import datetime
import json
import os
from dataclasses import asdict, dataclass, fields

from . import processes
from .console import ClusterError, read_json, write_private
from .settings import CHECKOUT, Paths, paths

MARK = ".aiops-k8s-cluster"  # in every state folder that we made: `down` deletes no other
BUILTIN, KIND, GIVEN = "builtin", "kind", "kubeconfig"


@dataclass(frozen=True)
class Cluster:
    """The cluster that is up. Paths are absolute; "" where a provider has no such thing."""

    provider: str  # builtin, kind or kubeconfig
    kubeconfig: str  # administrator's, mode 0600
    kubectl: str  # the program
    image: str  # a busybox that the node has or can pull
    audit_log: str  # JSON Lines of the API server, built-in only
    bin_dir: str  # the built programs, built-in only
    node_address: str  # how pods reach this machine, built-in only
    state_dir: str
    owner: str  # the checkout that ran `up`
    started: str  # ISO 8601, UTC


def now() -> str:
    """The present moment as it is written in cluster.json."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def owner() -> str:
    """The checkout that this code is in."""
    return str(CHECKOUT)


def claim(where: Paths) -> None:
    """Make the state folder for ourselves.

    Raises ClusterError when it is a link or somebody else's: what we write there is trusted later on.
    """
    try:
        where.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ClusterError(f"cannot make the state folder {where.state}: {error.strerror}") from error
    found = where.state.lstat()
    if where.state.is_symlink() or found.st_uid != os.geteuid():
        raise ClusterError(
            f"the state folder {where.state} belongs to another user (uid {found.st_uid}): "
            "remove it or name another with AIOPS_CLUSTER_STATE"
        )
    check_ours(where)
    (where.state / MARK).touch()


def check_ours(where: Paths) -> None:
    """Raises ClusterError when the state folder holds things and is not one that this tool made."""
    if where.state.is_dir() and not (where.state / MARK).exists() and any(where.state.iterdir()):
        raise ClusterError(
            f"{where.state} was not made by this tool and holds other files, so it is left alone: "
            "empty it or name another with AIOPS_CLUSTER_STATE"
        )


def save(where: Paths, cluster: Cluster) -> None:
    """Write cluster.json."""
    write_private(where.cluster, json.dumps(asdict(cluster), indent=2) + "\n")


def load(where: Paths) -> Cluster | None:
    """The cluster that cluster.json describes, or None when there is no (complete) one."""
    data = read_json(where.cluster)
    names = [field.name for field in fields(Cluster)]
    if data is None or any(name not in data for name in names):
        return None
    return Cluster(**{name: str(data[name]) for name in names})


def running(where: Paths | None = None) -> Cluster | None:
    """The cluster that is up, or None. Quick: of the built-in one it asks whether the API server's process lives."""
    folders = where or paths()
    cluster = load(folders)
    if cluster is not None and cluster.provider == BUILTIN:
        server = processes.recorded(folders).get("kube-apiserver")
        if server is None or not processes.alive(server):
            return None
    return cluster
