# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `status` shows: the provider, its owner, versions and the health of each part."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from . import binaries, builtin, model
from .console import ClusterError, read_json, run
from .settings import Paths

# Debian program -> how it tells its version
TELL = {"containerd": ("containerd", "--version"), "runc": ("runc", "--version"), "etcd": ("etcd", "--version")}


@dataclass(frozen=True)
class Status:
    """The state of the cluster; `parts` maps each part to "" when it is well, else to the complaint."""

    healthy: bool
    cluster: model.Cluster | None
    key: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)


def first_version(text: str) -> str:
    """The first thing in `text` that looks like a version, "unknown" when nothing does."""
    match = re.search(r"v?\d+\.\d+(?:\.\d+)?[\w.~+-]*", text)
    return match.group() if match else "unknown"


def collect(paths: Paths) -> Status:
    """Look at whatever is up."""
    cluster = model.load(paths)
    if (cluster is None or cluster.provider == model.BUILTIN) and (read_json(paths.builtin) or paths.pki.exists()):
        return _builtin(paths, cluster)
    if cluster is None:
        return Status(False, None, parts={"cluster": "not running"})
    complaint = ""
    try:
        told = run(
            [cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}", "version", "--request-timeout=10s"], timeout=30
        ).stdout
        server = next((line for line in told.splitlines() if line.startswith("Server")), "")
    except ClusterError as error:
        complaint, server = str(error), ""
    return Status(
        not complaint, cluster, versions={"kubernetes": first_version(server)}, parts={"API server": complaint}
    )


def _builtin(paths: Paths, cluster: model.Cluster | None) -> Status:
    record = read_json(paths.builtin) or {}
    parts = builtin.report(paths) if record else {"cluster": "begun, never ready"}
    known = binaries.versions()
    versions = {"kubernetes": known["kubecluster"], **{name: known[name] for name in ("coredns", "metrics-server")}}
    for name, command in TELL.items():
        try:
            versions[name] = first_version(run(command, timeout=10).stdout)
        except ClusterError as error:
            versions[name] = str(error)
    return Status(not any(parts.values()), cluster, str(record.get("key", "")), versions, parts)


def render(status: Status) -> str:
    """The status as lines for a person."""
    lines = []
    if status.cluster:
        shown = ("provider", "owner", "started", "kubeconfig", "kubectl", "audit_log")
        lines = [f"{name:<11} {value}" for name in shown if (value := getattr(status.cluster, name))]
    if status.key:
        lines.append(f"{'key':<11} {status.key}")
    if status.versions:
        lines.append(f"{'versions':<11} " + ", ".join(f"{name} {value}" for name, value in status.versions.items()))
    for name, complaint in status.parts.items():
        lines.append(f"  {'BAD' if complaint else 'ok '} {name} {complaint}".rstrip())
    return "\n".join([*lines, "healthy" if status.healthy else "not healthy"])
