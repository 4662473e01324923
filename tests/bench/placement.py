# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``python -m tests.bench.placement [--cases 208] [--batch 26] [--only THEME]``: what we say fits, and what the real scheduler places.

Each case of placement_cases.py is staged for real: simulated nodes, pods that lie on them, quotas, volumes, a Deployment of no replicas. We read
the cluster, say how many of its replicas fit, and scale it; then the pods that have got a node are counted. Promised is that never more is
said than is placed, and in less than 2 % of the cases less. Cases in which the new pods push others out are listed apart: what is
compared there is whether we warned. Last, 1,000 nodes with 10,000 pods without a cluster: under 5 s and 400 MB. Exits with 1 where a promise is
broken. Everything is removed afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import placement_cases
from tests.bench.placement_cases import LABEL, Case, Object
from tests.cluster import Cluster, kwok, running

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".build" / "dev"))  # the collection from the tree
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placement import place  # isort: skip
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError  # isort: skip
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect  # isort: skip

CASES, BATCH, PUSHING = 208, 26, 8
LESS = 0.02  # of the cases in which less may be said than is placed
SECONDS, MEGABYTES = 5.0, 400
QUIET = 6.0  # seconds without a change after which nothing more is expected
PATIENCE = 240.0
ATTEMPTS = 3
LOST = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
SETTLED = ("Unschedulable", "SchedulerError")
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Pod": "/api/v1/namespaces/{}/pods",
    "PersistentVolume": "/api/v1/persistentvolumes",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "LimitRange": "/api/v1/namespaces/{}/limitranges",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
}
# what others refer to comes before them
ORDER = (("Namespace", "PriorityClass", "StorageClass"), ("PersistentVolume",), ("PersistentVolumeClaim",), ("Pod",))
LISTS = {
    "nodes": "/api/v1/nodes",
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
    "resourcequotas": "/api/v1/resourcequotas",
    "limitranges": "/api/v1/limitranges",
    "persistentvolumeclaims": "/api/v1/persistentvolumeclaims",
    "persistentvolumes": "/api/v1/persistentvolumes",
    "deployments": "/apis/apps/v1/deployments",
    "replicasets": "/apis/apps/v1/replicasets",
    "storageclasses": "/apis/storage.k8s.io/v1/storageclasses",
    "priorityclasses": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "poddisruptionbudgets": "/apis/policy/v1/poddisruptionbudgets",
}
_KINDS = {"deployments": "Deployment", "replicasets": "ReplicaSet"}


@dataclass
class Outcome:
    """One case: what we said, and what came."""

    case: Case
    said: Object
    placed: int
    pushed: int  # pods that lay there before and are gone
    seconds: float

    @property
    def difference(self) -> int:
        """Above 0: more was said than came."""
        return int(self.said["fits"]) - self.placed


# --- staging


class Staging:
    """Cases in the real cluster."""

    def __init__(self, api: Api, cases: list[Case]) -> None:
        self.api, self.cases = api, cases

    def make(self, item: Object) -> None:
        path = PATHS[item["kind"]].format(item["metadata"].get("namespace", ""))
        deadline = time.monotonic() + 60
        while True:
            try:
                self.api.request("POST", path, {"fieldManager": "placement-bench"}, item)
                return
            except ApiError as error:  # a new namespace has its service account a moment later
                if error.status == 409:
                    return
                if error.status != 403 or time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def build(self) -> None:
        """All but the workloads' replicas."""
        with ThreadPoolExecutor(8) as pool:
            everything = [*placement_cases.shared(), *(item for case in self.cases for item in case.first)]
            for kinds in ORDER:
                list(pool.map(self.make, [one for one in everything if one["kind"] in kinds]))
            list(pool.map(self.make, [item for case in self.cases for item in case.later]))
            list(pool.map(lambda case: self.make({**case.deployment(), "spec": {**case.deployment()["spec"], "replicas": 0}}), self.cases))
        self.wait("nodes, quotas, claims and ReplicaSets", self._is_built)
        time.sleep(1)  # the API server's and the scheduler's own views of it

    def _is_built(self) -> bool:
        names = {case.name for case in self.cases}
        found = {name: self.mine(name) for name in ("nodes", "resourcequotas", "persistentvolumeclaims", "pods")}
        sets = {one["metadata"]["namespace"] for one in self.api.pages(LISTS["replicasets"]) if one["metadata"]["namespace"] in names}
        return (
            sets == names
            and all(not _is_new(one) for one in found["nodes"])
            and all("hard" in (one.get("status") or {}) and "used" in one["status"] for one in found["resourcequotas"])
            and all(not one["spec"].get("volumeName") or one["status"]["phase"] == "Bound" for one in found["persistentvolumeclaims"])
            and all(one["spec"].get("nodeName") or _was_judged(one) for one in found["pods"])
        )

    def mine(self, name: str) -> list[Object]:
        """The objects of a list that belong to these cases."""
        names = {case.name for case in self.cases}
        return [one for one in self.api.pages(LISTS[name], {"labelSelector": LABEL}) if one["metadata"]["labels"][LABEL] in names]

    def wait(self, what: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > deadline:
                raise SystemExit(f"{what}: not there after {PATIENCE:.0f} s")
            time.sleep(0.5)

    def nodes_report(self) -> bool:
        """Whether every simulated node is ready: on a busy machine kwok may report for them too late."""
        return all(kwok.LABEL not in one["metadata"]["labels"] or _is_ready(one) for one in self.mine("nodes"))

    def read(self) -> dict[str, list[Object]]:
        """The whole cluster."""
        self.wait("the simulated nodes' reports", self.nodes_report)
        found = {name: list(self.api.pages(path)) for name, path in LISTS.items()}
        for name, kind in _KINDS.items():
            for one in found[name]:
                one["kind"] = kind
        return found

    def scale(self) -> None:
        def one(case: Case) -> None:
            path = f"{PATHS['Deployment'].format(case.namespace)}/web"
            wanted = {"spec": {"replicas": case.replicas}}
            self.api.request("PATCH", path, {"fieldManager": "placement-bench"}, wanted, content_type="application/merge-patch+json")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, self.cases))

    def replicas(self) -> dict[str, list[Object]]:
        """Case -> the pods of its Deployment."""
        names = {case.name: str(case.template["metadata"]["labels"]["app"]) for case in self.cases}
        found: dict[str, list[Object]] = {name: [] for name in names}
        for pod in self.api.pages(LISTS["pods"], {"labelSelector": f"app,pod-template-hash,!{LABEL}"}):
            name, app = pod["metadata"]["namespace"], pod["metadata"]["labels"]["app"]
            if names.get(name) == app and "deletionTimestamp" not in pod["metadata"]:
                found[name].append(pod)
        return found

    def settle(self) -> dict[str, list[Object]]:
        """Wait until every replica has a node or was told why not, and nothing has changed for a while."""
        deadline, since, before = time.monotonic() + PATIENCE, time.monotonic(), ""
        while True:
            found = self.replicas()
            state = json.dumps(sorted((one["metadata"]["name"], one["spec"].get("nodeName")) for pods in found.values() for one in pods))
            open_cases = [case.name for case in self.cases if not self._is_settled(case, found[case.name])]
            if state != before or open_cases:
                since = time.monotonic() if state != before else since
                before = state
            if time.monotonic() - since > (QUIET if not open_cases else 4 * QUIET):
                return found
            if time.monotonic() > deadline:
                raise SystemExit(f"not settled after {PATIENCE:.0f} s: {', '.join(open_cases)}")
            time.sleep(0.7)

    def _is_settled(self, case: Case, pods: list[Object]) -> bool:
        limited = any(one["kind"] in ("ResourceQuota", "LimitRange") for one in case.later)
        return (limited or len(pods) == case.replicas) and all(one["spec"].get("nodeName") or _was_judged(one) for one in pods)

    def clean(self) -> None:
        """Remove all that the cases made. Controllers first, so that nobody makes the pods again."""
        at_once = {"gracePeriodSeconds": "0", "propagationPolicy": "Background"}
        names = [one["metadata"]["name"] for one in self.mine("namespaces")]

        def empty(name: str) -> None:
            for kind in ("deployments", "replicasets"):
                self.api.request("DELETE", f"/apis/apps/v1/namespaces/{name}/{kind}", at_once, timeout=120)
            self.api.request("DELETE", f"/api/v1/namespaces/{name}/pods", at_once, timeout=120)
            self.api.request("DELETE", f"/api/v1/namespaces/{name}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(empty, names))
        for name in ("persistentvolumes", "storageclasses", "nodes"):
            for one in self.mine(name):
                _gone(self.api, f"{LISTS[name]}/{one['metadata']['name']}")
        self.wait("the removal of the namespaces", lambda: not self.mine("namespaces"))


def clean_shared(cluster: Cluster) -> None:
    """Remove what all cases use, once none is left."""
    api = connect({"kubeconfig": cluster.kubeconfig}, {})
    for one in placement_cases.shared():
        _gone(api, f"{LISTS['priorityclasses']}/{one['metadata']['name']}")


def _gone(api: Api, path: str) -> None:
    try:
        api.request("DELETE", path)
    except ApiError as error:
        if error.status != 404:
            raise


def _is_new(node: Object) -> bool:
    """Whether the control plane has still to note that a node reports and is ready, or cordoned."""
    reports = kwok.LABEL in node["metadata"]["labels"]
    marked = any(one["key"] in LOST for one in node["spec"].get("taints") or [])
    cordoned = bool(node["spec"].get("unschedulable"))
    noted = any(one["key"] == "node.kubernetes.io/unschedulable" for one in node["spec"].get("taints") or [])
    return (reports and marked) or cordoned is not noted


def _is_ready(node: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions") or []) and not _is_new(node)


def _was_judged(pod: Object) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "PodScheduled" and one["status"] == "False" and one.get("reason") in SETTLED for one in conditions)


def template_of(deployment: Object) -> Object:
    """The pod that a Deployment makes."""
    template = deployment["spec"]["template"]
    return {"metadata": {**template["metadata"], "namespace": deployment["metadata"]["namespace"]}, "spec": template["spec"]}


@contextmanager
def staged(cluster: Cluster, cases: list[Case]) -> Iterator[Staging]:
    """The cases in the cluster, as long as the context lasts."""
    stage = Staging(connect({"kubeconfig": cluster.kubeconfig}, {}), cases)
    nodes = [node for case in cases for node in case.nodes]
    with kwok.simulated(cluster, nodes, []):
        try:
            yield stage
        finally:
            stage.clean()


def run(cluster: Cluster, cases: list[Case]) -> list[Outcome]:
    """Stage some cases at once, say what fits, let the scheduler place, and compare. Once more where nodes were lost meanwhile."""
    for _attempt in range(ATTEMPTS):
        outcomes = attempt(cluster, cases)
        if outcomes is not None:
            return outcomes
        print("simulated nodes were lost on the way, since the machine is too busy: once more", flush=True)
    raise SystemExit(f"simulated nodes were lost {ATTEMPTS} times: nothing was compared")


def attempt(cluster: Cluster, cases: list[Case]) -> list[Outcome] | None:
    """None where simulated nodes ceased to report."""
    with staged(cluster, cases) as stage:
        stage.build()
        snapshot = stage.read()
        deployments = {one["metadata"]["namespace"]: one for one in snapshot["deployments"]}
        said: dict[str, tuple[Object, float]] = {}
        for case in cases:
            started = time.perf_counter()
            deployment = deployments[case.namespace]
            answer = place(template_of(deployment), case.replicas, snapshot, controller=deployment)
            said[case.name] = (answer, time.perf_counter() - started)
        stage.scale()
        found = stage.settle()
        if not all(_is_ready(one) for one in snapshot["nodes"] if kwok.LABEL in one["metadata"]["labels"]) or not stage.nodes_report():
            return None
        left = Counter(one["metadata"]["labels"][LABEL] for one in stage.mine("pods") if "deletionTimestamp" not in one["metadata"])
        return [
            Outcome(
                case,
                said[case.name][0],
                sum(1 for one in found[case.name] if one["spec"].get("nodeName")),
                sum(1 for one in case.first if one["kind"] == "Pod") - left[case.name],
                said[case.name][1],
            )
            for case in cases
        ]


# --- reporting


def table(outcomes: Iterable[Outcome]) -> str:
    rows: dict[str, list[Outcome]] = {}
    for one in outcomes:
        rows.setdefault(one.case.theme.replace("_", " "), []).append(one)
    lines = [
        "| rule                | cases | replicas asked | placed | said | agree | said more | said less |",
        "| ------------------- | ----: | -------------: | -----: | ---: | ----: | --------: | --------: |",
    ]
    for name, found in [*rows.items(), ("all", [one for part in rows.values() for one in part])]:
        lines.append(
            f"| {name:19} | {len(found):5} | {sum(one.case.replicas for one in found):14} | {sum(one.placed for one in found):6} |"
            f" {sum(one.said['fits'] for one in found):4} | {sum(1 for one in found if not one.difference):5} |"
            f" {sum(1 for one in found if one.difference > 0):9} | {sum(1 for one in found if one.difference < 0):9} |"
        )
    return "\n".join(lines)


def words(one: Outcome) -> str:
    first = one.said["binds_first"] or {"sentence": "nothing binds"}
    return f"  {one.case.name} ({one.case.theme}): asked {one.case.replicas}, said {one.said['fits']}, placed {one.placed}; {first['sentence']}"


def compare(cluster: Cluster, numbers: list[int], batch: int) -> bool:
    """Print the comparison; whether the promises are kept."""
    outcomes: list[Outcome] = []
    for start in range(0, len(numbers), batch):
        begun = time.monotonic()
        outcomes += run(cluster, [placement_cases.case(number) for number in numbers[start : start + batch]])
        for one in outcomes[start:]:
            if one.difference:
                print(words(one))
        print(f"{len(outcomes)} of {len(numbers)} cases, {time.monotonic() - begun:.0f} s; load {os.getloadavg()[0]:.1f}", flush=True)
    print(table(outcomes))
    more = sum(1 for one in outcomes if one.difference > 0)
    less = sum(1 for one in outcomes if one.difference < 0)
    slowest = max(one.seconds for one in outcomes)
    print(
        f"{len(outcomes)} cases: {len(outcomes) - more - less} agree; more said than placed in {more} (promised: 0), less said in {less}"
        f" ({less / len(outcomes):.1%}, promised: under {LESS:.0%}); one validation took at most {slowest:.2f} s"
    )
    return not more and less < LESS * len(outcomes)


def compare_pushing(cluster: Cluster, count: int) -> bool:
    """Cases in which new pods push others out: was it said?"""
    outcomes = run(cluster, [placement_cases.pushing_case(1000 + number) for number in range(count)])
    wrong = [one for one in outcomes if one.difference > 0 or _warned(one) is not (one.pushed > 0)]
    for one in outcomes:
        print(f"{words(one)}; {one.pushed} pods were evicted, {'warned' if _warned(one) else 'no warning'}")
    print(f"{count} cases with preemption: {count - len(wrong)} foretold")
    return not wrong


def _warned(one: Outcome) -> bool:
    return any("preemption" in text for text in one.said["warnings"])


# --- size


def large(nodes: int, pods: int) -> dict[str, list[Object]]:
    """A cluster of so many nodes and pods, without a server."""
    made = []
    for index in range(nodes):
        one = kwok.node(index, "2026-01-01T00:00:00Z")
        one["metadata"]["labels"][placement_cases.ZONE] = f"zone-{index % 3}"
        one["spec"] = {"taints": [{"key": "team", "value": "a", "effect": "NoSchedule"}]} if index % 10 == 0 else {}
        one["status"]["allocatable"] = {**one["status"]["allocatable"], "cpu": str(2 + index % 7)}
        made.append(one)
    return {
        "nodes": made,
        "pods": [_large_pod(index, nodes) for index in range(pods)],
        "namespaces": [{"metadata": {"name": f"n{index}"}} for index in range(50)],
        "resourcequotas": [],
        "limitranges": [],
    }


def _large_pod(index: int, nodes: int) -> Object:
    app = f"app-{index // 20}"
    spec: Object = {
        "nodeName": f"simulated-{index * 7 % nodes}",
        "containers": [placement_cases.container("app", {"cpu": f"{50 + index % 13 * 10}m", "memory": f"{64 + index % 5 * 64}Mi"})],
        "tolerations": [{"operator": "Exists"}],
    }
    if index // 20 % 4 == 0:
        term = {"topologyKey": placement_cases.HOST, "labelSelector": {"matchLabels": {"app": app}}}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    owner = {"kind": "ReplicaSet", "name": app, "uid": app, "controller": True}
    metadata = {
        "name": f"{app}-{index}",
        "namespace": f"n{index % 50}",
        "uid": str(index),
        "labels": {"app": app, "part": "web"},
        "ownerReferences": [owner],
    }
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running"}}


def large_pod(spec: Object) -> Object:
    requests = {"cpu": "500m", "memory": "512Mi"}
    return {"metadata": {"namespace": "n1", "labels": {"app": "new"}}, "spec": {"containers": [placement_cases.container("app", requests)], **spec}}


def _spread(key: str) -> Object:
    return {"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "new"}}}


SIZES: dict[str, tuple[int, Object]] = {
    "100 replicas": (100, {}),
    "1000 replicas": (1000, {}),
    "100 replicas spread over zones": (100, {"topologySpreadConstraints": [_spread(placement_cases.ZONE)]}),
    "100 replicas spread over zones and nodes": (100, {"topologySpreadConstraints": [_spread(placement_cases.ZONE), _spread(placement_cases.HOST)]}),
    "1000 replicas spread over zones and nodes": (
        1000,
        {"topologySpreadConstraints": [_spread(placement_cases.ZONE), _spread(placement_cases.HOST)]},
    ),
}


def one_size(name: str, nodes: int, pods: int) -> None:
    """In a process of its own: seconds, those of work, MB, those before, and what fits, as JSON."""
    count, spec = SIZES[name]
    objects, pod = large(nodes, pods), large_pod(spec)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started, worked = time.perf_counter(), time.process_time()
    answer = place(pod, count, objects, declared_nodes=[{"name": "more", "count": 10, "allocatable": {"cpu": "8", "memory": "32Gi"}}])
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    print(json.dumps([seconds, work, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, before, answer["fits"]]))


def sizes(nodes: int = 1000, pods: int = 10_000) -> bool:
    """Print seconds and MB; whether the promises are kept. The work is one thread's, so that its own time is what an idle machine takes."""
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"| {f'{nodes} nodes, {pods} pods':41} | limit s | seconds | of work | limit MB | peak MB | of these objects | fits |")
    print("| ----------------------------------------- | ------: | ------: | ------: | -------: | ------: | ---------------: | ---: |")
    kept = True
    for name in SIZES:
        command = [sys.executable, "-m", "tests.bench.placement", "--size", name]
        seconds, work, megabytes, before, fits = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        figures = f"{SECONDS:7} | {seconds:7.2f} | {work:7.2f} | {MEGABYTES:8} | {megabytes:7.0f} | {before:16.0f} | {fits:4}"
        print(f"| {name:41} | {figures} |", flush=True)
        kept = kept and work < SECONDS and megabytes < MEGABYTES
    return kept


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cases", type=int, default=CASES)
    arguments.add_argument("--batch", type=int, default=BATCH)
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--only", default="", help="themes, with commas between")
    arguments.add_argument("--no-cluster", action="store_true", help="only the size")
    arguments.add_argument("--size", default="", help=argparse.SUPPRESS)
    wanted = arguments.parse_args()
    if wanted.size:
        one_size(wanted.size, 1000, 10_000)
        return 0
    kept = sizes()
    if not wanted.no_cluster:
        cluster = running()
        if cluster is None:
            print("No test cluster is up: python -m tests.cluster up", file=sys.stderr)
            return 1
        themes = [one.__name__ for one in placement_cases.THEMES]
        numbers = [
            one for one in range(wanted.first, wanted.first + wanted.cases) if not wanted.only or themes[one % len(themes)] in wanted.only.split(",")
        ]
        try:
            kept = compare(cluster, numbers, wanted.batch) and kept
            if not wanted.only:
                kept = compare_pushing(cluster, PUSHING) and kept
        finally:
            clean_shared(cluster)
    print("every promise is kept" if kept else "a promise is broken")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
