# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Simulated nodes and pods beside the real ones of the built-in cluster, by kwok: as many as a measurement wants, none of them runs anything.

``simulated(cluster, nodes, states)`` is a context: inside it the nodes exist and report, and each pod on them that has the label LABEL takes the
status that ``states`` has for its value. Afterwards kwok has ended and the nodes are gone; pods are whoever made them has to remove.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import binaries
from .model import Cluster
from .settings import paths

LABEL = "aiops-simulated"  # of nodes: "node"; of pods: the name of their state
ADDRESS = "10.250.0.250"  # in the node's own network, and nobody's: whoever asks these kubelets gets no answer
KUBELET_PORT = 10250
_NODE_READY = """{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
"""
_CONDITIONS = ("MemoryPressure", "DiskPressure", "PIDPressure")


def node(number: int, moment: str) -> dict[str, Any]:
    """A node as its kubelet would have registered it; ``moment`` is a time of the API."""
    name, size = f"simulated-{number}", {"cpu": "32", "memory": "128Gi", "pods": "250", "ephemeral-storage": "100Gi"}
    times = {"lastHeartbeatTime": moment, "lastTransitionTime": moment}
    fine = [{"type": kind, "status": "False", "reason": f"KubeletHasNo{kind}", "message": "kubelet has none", **times} for kind in _CONDITIONS]
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status", **times}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {LABEL: "node", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {"taints": [{"key": LABEL, "value": "node", "effect": "NoSchedule"}]},  # nobody else's pods may land here
        "status": {
            "phase": "Running",
            "capacity": size,
            "allocatable": size,
            "addresses": [{"type": "InternalIP", "address": ADDRESS}, {"type": "Hostname", "address": name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "conditions": [*fine, ready],
        },
    }


def stage(name: str, status: str, event: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The kwok Stage that gives pods with this value of LABEL their status (a template), once."""
    happens = {"statusTemplate": status, **({"event": dict(event)} if event else {})}
    expressions = [
        {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
        {"key": ".status.phase", "operator": "In", "values": ["Pending"]},
        {"key": ".status.containerStatuses", "operator": "DoesNotExist"},
    ]
    return _stage(f"pod-{name}", {"matchLabels": {LABEL: name}, "matchExpressions": expressions}, happens)


def _stage(name: str, selector: Mapping[str, Any], happens: Mapping[str, Any], kind: str = "Pod") -> dict[str, Any]:
    specification = {"resourceRef": {"apiGroup": "v1", "kind": kind}, "selector": selector, "next": happens}
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": specification}


_ALWAYS = (
    _stage("pod-delete", {"matchExpressions": [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}]}, {"delete": True}),
    # kwok keeps up the leases of nodes only where it has a stage for nodes
    _stage(
        "node-ready",
        {"matchExpressions": [{"key": '.status.conditions.[] | select( .type == "Ready" ) | .status', "operator": "NotIn", "values": ["True"]}]},
        {"statusTemplate": _NODE_READY},
        "Node",
    ),
)


@contextmanager
def simulated(cluster: Cluster, nodes: list[dict[str, Any]], stages: list[dict[str, Any]]) -> Iterator[None]:
    """Inside: ``nodes`` exist and report, pods on them take the states of ``stages``. Builds kwok where it is missing (minutes, once)."""
    kwok = binaries.ensure(paths(), ("kwok",))["kwok"]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{number}.json") for number in range(len(_ALWAYS) + len(stages))]
        for file, one in zip(files, [*_ALWAYS, *stages]):
            file.write_text(json.dumps(one), encoding="utf-8")
        flags = [f"--manage-nodes-with-label-selector={LABEL}=node", "--node-lease-duration-seconds=40", "--v=WARN", f"--node-ip={ADDRESS}"]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                [str(kwok), f"--kubeconfig={cluster.kubeconfig}", *flags, *(f"--config={file}" for file in files)],
                # its client would ask for a watch that the built-in cluster's etcd cannot give, and see nothing
                env={**os.environ, "KUBE_FEATURE_WatchListClient": "false"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                _kubectl(cluster, "create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes}))
                yield
            finally:
                try:
                    _kubectl(cluster, "delete", "nodes", f"--selector={LABEL}=node", "--wait=false", "--ignore-not-found")
                finally:
                    process.terminate()
                    process.wait(30)


def _kubectl(cluster: Cluster, *arguments: str, text: str | None = None) -> None:
    command = [cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}", *arguments]
    subprocess.run(command, input=text, text=True, check=True, stdout=subprocess.DEVNULL)
