# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Stages cases on the cluster, each in a namespace of its own, all at once, and removes them.

``stage`` raises AssertionError naming the cases that do not show their sign in time. What lies in no namespace carries the label too.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from tests.cluster import Cluster
from tests.corpus.build import deployment, made
from tests.corpus.cases import CASES
from tests.corpus.model import LABEL, NODE, PREFIX, Case, Object, Scene
from tests.corpus.signs import ready

SECONDS = 180.0  # until the last sign is there; CronJobs and back-offs need two minutes
PARALLEL = 12
AT_ONCE = 60  # cases that are waited for at the same time
APPLY = {"fieldManager": "aiops-corpus", "force": "true"}
# kind -> (where its lists are, whether it lies in a namespace)
KINDS: dict[str, tuple[str, bool]] = {
    "Namespace": ("/api/v1/namespaces", False),
    "Node": ("/api/v1/nodes", False),
    "PersistentVolume": ("/api/v1/persistentvolumes", False),
    "StorageClass": ("/apis/storage.k8s.io/v1/storageclasses", False),
    "PriorityClass": ("/apis/scheduling.k8s.io/v1/priorityclasses", False),
    "RuntimeClass": ("/apis/node.k8s.io/v1/runtimeclasses", False),
    "ValidatingWebhookConfiguration": ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", False),
    "ValidatingAdmissionPolicy": ("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", False),
    "ValidatingAdmissionPolicyBinding": ("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", False),
    "Pod": ("/api/v1/pods", True),
    "Service": ("/api/v1/services", True),
    "ConfigMap": ("/api/v1/configmaps", True),
    "Secret": ("/api/v1/secrets", True),
    "ResourceQuota": ("/api/v1/resourcequotas", True),
    "LimitRange": ("/api/v1/limitranges", True),
    "PersistentVolumeClaim": ("/api/v1/persistentvolumeclaims", True),
    "Deployment": ("/apis/apps/v1/deployments", True),
    "StatefulSet": ("/apis/apps/v1/statefulsets", True),
    "DaemonSet": ("/apis/apps/v1/daemonsets", True),
    "Job": ("/apis/batch/v1/jobs", True),
    "CronJob": ("/apis/batch/v1/cronjobs", True),
    "Ingress": ("/apis/networking.k8s.io/v1/ingresses", True),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1/networkpolicies", True),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1/endpointslices", True),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2/horizontalpodautoscalers", True),
    "PodDisruptionBudget": ("/apis/policy/v1/poddisruptionbudgets", True),
}
WATCHED = ("Pod", "Deployment", "Job", "PersistentVolumeClaim", "HorizontalPodAutoscaler", "ResourceQuota")  # what signs look at, with events
FIRST = tuple(kind for kind, (_path, inside) in KINDS.items() if not inside)  # kinds that others may need
INFRASTRUCTURE = f"{PREFIX}registry"
REGISTRIES = r"""
answer() {
  printf '#!/bin/sh\nprintf "HTTP/1.1 %s\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n"\nsleep 0.2\n' "$2" > /answer$1
  chmod 755 /answer$1
  nc -ll -p $1 -e /answer$1 &
}
answer 25001 '404 Not Found'
answer 25002 '401 Unauthorized\r\nWWW-Authenticate: Basic realm=registry'
answer 25003 '429 Too Many Requests'
wait
"""
REGISTRY_PORTS = (25001, 25002, 25003)  # on the node's loopback, where the container runtime takes plain HTTP


class Stage:
    """The corpus on one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.api: Api = connect({"kubeconfig": str(cluster.kubeconfig)})

    def apply(self, item: Object, namespace: str = "") -> None:
        """Create or change one object by server-side apply; a pod has to wait for its namespace's service account."""
        path, inside = KINDS[item["kind"]]
        if inside:
            head, _slash, plural = path.rpartition("/")
            path = f"{head}/namespaces/{namespace}/{plural}"
        metadata = {**item["metadata"], "labels": {**item["metadata"].get("labels", {}), LABEL: namespace or "true"}}
        text = json.dumps({**item, "metadata": metadata})
        body = json.loads(text.replace(NODE, self.node()) if NODE in text else text)
        for attempt in range(40):
            try:
                self.api.request("PATCH", f"{path}/{metadata['name']}", APPLY, body, content_type="application/apply-patch+yaml")
                return
            except ApiError as error:
                if error.status not in (403, 409, 429, 500) or attempt == 39:
                    raise AssertionError(f"{namespace}: {item['kind']}/{metadata['name']}: {error.text}") from error
                time.sleep(0.5)

    def node(self) -> str:
        """The name of a node that is a machine."""
        conditions = {item["metadata"]["name"]: item["status"].get("conditions", []) for item in self.api.pages(KINDS["Node"][0])}
        return str(next(name for name, these in conditions.items() if any(one["type"] == "Ready" and one["status"] == "True" for one in these)))

    def kubectl(self, namespace: str, words: Sequence[str]) -> None:
        full = [self.cluster.kubectl, f"--kubeconfig={self.cluster.kubeconfig}", "-n", namespace, *words]
        done = subprocess.run(full, capture_output=True, text=True, check=False)
        # what was asked to go may be gone before its finalizers can be taken off
        assert done.returncode == 0 or "NotFound" in done.stderr, f"{' '.join(full)}: {done.stderr}"

    def begin(self, case: Case, number: int) -> None:
        """Carry out one step of a case."""
        step = case.steps[number]
        for item in sorted(step.apply, key=lambda one: one["kind"] not in FIRST):
            self.apply(item, case.namespace if KINDS[item["kind"]][1] else "")
        for words in step.kubectl:
            self.kubectl(case.namespace, [self.node() if word == NODE else word for word in words])

    def scenes(self) -> dict[str, dict[str, list[Object]]]:
        """{namespace: {list name: objects}} of everything that is watched."""
        found: dict[str, dict[str, list[Object]]] = {}
        paths = {KINDS[kind][0].rpartition("/")[2]: KINDS[kind][0] for kind in WATCHED} | {"events": "/api/v1/events"}
        with ThreadPoolExecutor(len(paths)) as pool:
            lists = dict(zip(paths, pool.map(lambda path: list(self.api.pages(path)), paths.values())))
        for name, items in lists.items():
            for item in items:
                found.setdefault(item["metadata"]["namespace"], {}).setdefault(name, []).append(item)
        return found

    def make_namespaces(self, cases: Iterable[Case]) -> None:
        wanted = [(case.namespace, dict(case.labels)) for case in cases] + [(INFRASTRUCTURE, {})]
        names = {name for name, _labels in wanted}
        _await("earlier namespaces of the corpus are gone", lambda: not names & self._leaving(), 180)
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda one: self.apply(made("v1", "Namespace", one[0], metadata={"name": one[0], "labels": one[1]})), wanted))
        accounts = "/api/v1/serviceaccounts"
        _await("all namespaces have a service account", lambda: names <= {item["metadata"]["namespace"] for item in self.api.pages(accounts)})

    def _leaving(self) -> set[str]:
        return {item["metadata"]["name"] for item in self.api.pages(KINDS["Namespace"][0]) if "deletionTimestamp" in item["metadata"]}

    def run(self, cases: Sequence[Case], seconds: float = SECONDS, say: Any = lambda text: None) -> dict[str, float]:
        """Stage all of them and wait: {case: seconds until its last sign was there}."""
        started = time.monotonic()
        self.make_namespaces(cases)
        ports = [{"containerPort": port, "hostPort": port, "hostIP": "127.0.0.1"} for port in REGISTRY_PORTS]
        registry = deployment("registry", REGISTRIES, ports=ports, readinessProbe={"tcpSocket": {"port": REGISTRY_PORTS[-1]}, "periodSeconds": 2})
        self.apply(registry, INFRASTRUCTURE)
        _await("the registries of the corpus answer", self._registry_answers)
        say(f"{time.monotonic() - started:.0f} s: namespaces and registries")
        pending: dict[str, tuple[Case, int, float]] = {}
        waiting, took = list(cases), dict[str, float]()
        with ThreadPoolExecutor(PARALLEL) as pool:
            while waiting or pending:
                # all at once would only make everything wait for everything
                batch, waiting = waiting[: max(0, AT_ONCE - len(pending))], waiting[max(0, AT_ONCE - len(pending)) :]
                further = [(case, 0) for case in batch]
                scenes, now = self.scenes(), time.time()
                for case, number, since in list(pending.values()):
                    if case.steps[number].until(Scene(scenes.get(case.namespace, {}), time.monotonic() - since, now)):
                        del pending[case.name]
                        if number + 1 == len(case.steps):
                            took[case.name] = time.monotonic() - started
                        else:
                            further.append((case, number + 1))
                for (case, number), since in zip(further, pool.map(lambda one: self._timed(*one), further)):
                    pending[case.name] = (case, number, since)
                left = sorted([*pending, *(case.name for case in waiting)])
                if left and time.monotonic() - started > seconds:
                    raise AssertionError(f"These cases do not show their signs after {seconds:.0f} s: {', '.join(left)}.")
                if left:
                    say(f"{time.monotonic() - started:.0f} s: {len(left)} left{': ' + ', '.join(left) if len(left) < 12 else ''}")
                    time.sleep(1)
        return took

    def shows(self, case: Case) -> bool:
        """Whether a staged case shows its last sign at this moment: a pod that was replaced has to fail again first."""
        return bool(case.steps[-1].until(Scene(self.scenes().get(case.namespace, {}), float("inf"), time.time())))

    def again(self, case: Case, seconds: float = 120.0) -> None:
        """Wait until a case that was staged before shows its last sign again."""
        _await(f"{case.name} shows its sign again", lambda: self.shows(case), seconds)

    def _timed(self, case: Case, number: int) -> float:
        self.begin(case, number)
        return time.monotonic()

    def _registry_answers(self) -> bool:
        return ready()(Scene({"pods": list(self.api.pages(f"/api/v1/namespaces/{INFRASTRUCTURE}/pods"))}, 0, 0))

    def clean(self, names: Sequence[str] = ()) -> None:
        """Remove these cases, or everything that carries the label. Deletion of the namespaces goes on in the background."""
        chosen = {f"{PREFIX}{name}" for name in names}
        theirs = {item["metadata"]["name"] for name in names for step in CASES[name].steps for item in step.apply if not KINDS[item["kind"]][1]}
        for kind in reversed(FIRST):
            path = KINDS[kind][0]
            for item in list(self.api.pages(path, {"labelSelector": LABEL})):
                if kind == "Namespace" and (not chosen or item["metadata"]["name"] in chosen):
                    self._release(item["metadata"]["name"])
                if not chosen or item["metadata"]["name"] in chosen or item["metadata"]["name"] in theirs:
                    self._delete(f"{path}/{item['metadata']['name']}")
        if not chosen:
            self._take_back_slots()

    def _release(self, namespace: str) -> None:
        """Take off the finalizers and long grace periods that cases put on."""
        for plural in ("pods", "persistentvolumeclaims"):
            path = f"/api/v1/namespaces/{namespace}/{plural}"
            for item in list(self.api.pages(path)):
                where = f"{path}/{item['metadata']['name']}"
                if item["metadata"].get("finalizers"):
                    self._quietly("PATCH", where, None, {"metadata": {"finalizers": None}}, content_type="application/merge-patch+json")
                if plural == "pods":
                    self._quietly("DELETE", where, {"gracePeriodSeconds": 0})

    def _take_back_slots(self) -> None:
        """The invented resource of the case ``preempted``."""
        for node in list(self.api.pages("/api/v1/nodes")):
            invented = [name for name in node["status"].get("capacity", {}) if name.startswith("corpus.aiops/")]
            if invented:
                body = {"status": {"capacity": dict.fromkeys(invented), "allocatable": dict.fromkeys(invented)}}
                where = f"/api/v1/nodes/{node['metadata']['name']}/status"
                self._quietly("PATCH", where, None, body, content_type="application/merge-patch+json")

    def _delete(self, path: str) -> None:
        self._quietly("DELETE", path, {"propagationPolicy": "Background"})

    def _quietly(self, *request: Any, **more: Any) -> None:
        """What is gone already is as it should be."""
        try:
            self.api.request(*request, **more)
        except ApiError as error:
            if error.status != 404:
                raise


def _await(what: str, there: Callable[[], bool], seconds: float = 90) -> None:
    limit = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < limit, f"It does not come about that {what}."
        time.sleep(0.5)


def main_cluster() -> Cluster:
    """The test cluster that runs; the environment variables that find it are set."""
    from tests.cluster import running

    cluster = running()
    assert cluster is not None, "There is no test cluster: run python -m tests.cluster up."
    os.environ["KUBECONFIG"] = os.environ["K8S_AUTH_KUBECONFIG"] = str(cluster.kubeconfig)
    return cluster
