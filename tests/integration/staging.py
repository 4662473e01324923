# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The test cluster as the integration tests see it: namespaces of their own, failing workloads, and the audit log."""

from __future__ import annotations

import json
import secrets
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.cluster import Cluster
from tests.integration.support import wait

USER_AGENT = "aiops.k8s"
# the container's only process takes 28 MB, so that no child of a shell is killed in its stead: it dies at 20Mi and lives at 40Mi
LOSES_MEMORY = """exec awk 'BEGIN { cache = sprintf("%14000000s", ""); while (1) system("sleep 3600") }'"""
STILL_HUNGRY = LOSES_MEMORY.replace("14000000", "30000000")  # dies at 40Mi as well


class Kubectl:
    """kubectl in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    def __call__(self, *words: str, stdin: str = "") -> str:
        full = [self.cluster.kubectl, f"--kubeconfig={self.cluster.kubeconfig}", *(["-n", self.namespace] if self.namespace else []), *words]
        done = subprocess.run(full, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(full)}: {done.stderr}"
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> None:
        self("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def get(self, *words: str) -> Any:
        return json.loads(self("get", *words, "-o", "json"))

    def generation(self, name: str) -> int:
        return int(self.get(f"deployment/{name}")["metadata"]["generation"])

    def pods(self) -> dict[str, list[dict[str, Any]]]:
        """{value of the label app: its pods}."""
        found: dict[str, list[dict[str, Any]]] = {}
        for pod in self.get("pods")["items"]:
            found.setdefault(pod["metadata"].get("labels", {}).get("app", ""), []).append(pod)
        return found

    def writes(self, name: str = "") -> list[dict[str, Any]]:
        """Requests in this namespace that were not made by the cluster itself or by this class, and that are not reads."""
        assert self.cluster.audit_log, "This needs the API server's audit log, which only the built-in test cluster has: run without another kubeconfig."
        found = []
        with open(self.cluster.audit_log, encoding="utf-8") as file:
            for line in file:
                if f'"namespace":"{self.namespace}"' in line:
                    one = json.loads(line)
                    outsider = not one["user"]["username"].startswith("system:") or one["user"]["username"].startswith("system:serviceaccount:aiops-it-")
                    if one["verb"] not in ("get", "list", "watch") and outsider and not one["userAgent"].startswith("kubectl"):
                        found.append(one)
        return [one for one in found if not name or one["objectRef"].get("name") == name]


def is_dry_run(audited: Mapping[str, Any]) -> bool:
    return "dryRun=All" in audited["requestURI"]


@contextmanager
def namespace(cluster: Cluster, topic: str) -> Iterator[Kubectl]:
    """A namespace for one module of tests, deleted afterwards."""
    name = f"aiops-it-{topic}-{secrets.token_hex(3)}"
    kubectl = Kubectl(cluster, name)
    Kubectl(cluster, "")("create", "namespace", name)
    try:
        yield kubectl
    finally:
        Kubectl(cluster, "")("delete", "namespace", name, "--wait=false")


def deployment(cluster: Cluster, name: str, script: str, replicas: int = 1, pod: Mapping[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    """A Deployment whose container runs a shell script; ``container`` and ``pod`` add to their specs."""
    main = {"name": name, "image": cluster.image, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script], **container}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [main], **(pod or {})}
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def hungry(cluster: Cluster, name: str, **more: Any) -> dict[str, Any]:
    """A Deployment that is OOMKilled until its memory limit is raised."""
    return deployment(cluster, name, LOSES_MEMORY, resources={"limits": {"memory": "20Mi"}}, **more)


def await_memory_kills(kubectl: Kubectl, count: int) -> None:
    """Wait until each of so many workloads, one pod each, was killed for memory."""

    def killed() -> bool:
        pods = kubectl.pods()
        return len(pods) == count and all("OOMKilled" in reasons(mine[0]) for mine in pods.values())

    wait("all are killed for memory", killed)


def reasons(pod: Mapping[str, Any]) -> set[str]:
    """Everything that the statuses of a pod's containers say about why they wait or ended."""
    statuses = pod.get("status", {}).get("containerStatuses", [])
    states = [
        one[which]
        for status in statuses
        for one in (status.get("state", {}), status.get("lastState", {}))
        for which in ("waiting", "terminated")
        if which in one
    ]
    return {one.get("reason", "") for one in states}


def is_ready(pod: Mapping[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions", []))
