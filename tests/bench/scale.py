# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""``python -m tests.bench.scale [--pods 1000,10000] [--runs 3]``: the whole cluster in one diagnosis, with many simulated pods.

200 nodes and the pods of 60 namespaces are simulated by kwok beside the real node of the test cluster; one pod in twenty fails, in five ways, ten
pods of a Deployment at a time. Their kubelets do not answer, so that no log can be read. Measured are the collecting step alone and the whole
playbook (ai=off), each as a process of its own: seconds, and the peak resident size of the largest process. The limits for 10,000 pods are 6 s
and 150 MB. Everything is removed afterwards. ``--dump DIRECTORY`` writes the raw lists there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from tests.bench.__main__ import surroundings
from tests.bench.corpus import ROOT
from tests.cluster import Cluster, kwok, running

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError  # isort: skip
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect  # isort: skip
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock  # isort: skip

NODES, NAMESPACES = 200, 60
FAILING_SHARE, REPLICAS = 20, 10  # one pod of so many fails; pods of one failing Deployment
PREFIX = "aiops-scale"
HEALTHY, UNSCHEDULABLE = "healthy", "unschedulable"
SECONDS = 300.0  # until all pods have their state
LIMITS = {"take": ("-", "-"), "playbook": ("6.0", "150")}

_RUNNING = "ready: true\n  restartCount: 0\n  started: true\n  state: {running: {startedAt: {{ $now | Quote }}}}"
_ENDED = "lastState: {terminated: {exitCode: CODE, reason: WHY, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}"
_LOOPING = "ready: false\n  restartCount: 7\n  started: false\n  state: {waiting: {reason: CrashLoopBackOff, message: back-off 5m0s restarting}}\n  "
_PULLING = (
    "ready: false\n  restartCount: 0\n  started: false\n  state: {waiting: {reason: ImagePullBackOff, message: 'Back-off pulling image: not found'}}"
)
_UNREADY = "ready: false\n  restartCount: 0\n  started: true\n  state: {running: {startedAt: '2026-01-01T00:00:00Z'}}"
# state -> (phase, whether ready, the container's status, the event)
STATES: dict[str, tuple[str, bool, str, tuple[str, str]]] = {
    HEALTHY: ("Running", True, _RUNNING, ("", "")),
    "crashing": (
        "Running",
        False,
        _LOOPING + _ENDED.replace("CODE", "1").replace("WHY", "Error"),
        ("BackOff", "Back-off restarting failed container app"),
    ),
    "memory": (
        "Running",
        False,
        _LOOPING + _ENDED.replace("CODE", "137").replace("WHY", "OOMKilled"),
        ("BackOff", "Back-off restarting failed container app"),
    ),
    "image": ("Pending", False, _PULLING, ("Failed", 'Failed to pull image "registry.example/app:2": not found')),
    "unready": ("Running", False, _UNREADY, ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")),
}
_STATUS = """{{ $now := Now }}
phase: PHASE
startTime: {{ $now | Quote }}
hostIP: ADDRESS
podIP: {{ PodIP | Quote }}
conditions:
- {type: PodReadyToStartContainers, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Ready, status: "READY", lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: "READY", lastTransitionTime: {{ $now | Quote }}}
- {type: PodScheduled, status: "True", lastTransitionTime: {{ $now | Quote }}}
containerStatuses:
- name: app
  image: registry.example/app:1
  imageID: registry.example/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  containerID: containerd://4f5e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b
  STATE
"""


class Workload(NamedTuple):
    """One Deployment to make."""

    namespace: str
    name: str
    state: str
    replicas: int
    node: str  # the node that its pods name; "": the scheduler is asked


class Figure(NamedTuple):
    """One measured process."""

    seconds: float
    megabytes: float
    note: str


def workloads(pods: int) -> list[Workload]:
    """Deployments of so many pods in all, one pod of FAILING_SHARE failing."""
    failing = [*(state for state in STATES if state != HEALTHY), UNSCHEDULABLE]
    bad, made = pods // FAILING_SHARE, []
    for number in range(0, bad, REPLICAS):
        state = failing[number // REPLICAS % len(failing)]
        made.append((f"{state}-{number // REPLICAS}", state, min(REPLICAS, bad - number)))
    size = max(1, (pods - bad) // NAMESPACES // 8)
    made += [(f"web-{number // size}", HEALTHY, min(size, pods - bad - number)) for number in range(0, pods - bad, size)]
    return [
        Workload(f"{PREFIX}-{number % NAMESPACES}", name, state, count, "" if state == UNSCHEDULABLE else f"simulated-{number % NODES}")
        for number, (name, state, count) in enumerate(made)
    ]


def deployment(one: Workload) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10, "failureThreshold": 3}
    container = {
        "name": "app",
        "image": "registry.example/app:1",
        "command": ["/app", "--config", "/etc/app/config.yaml"],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "env": [{"name": f"SETTING_{number}", "value": f"value {number}"} for number in range(8)],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
        "readinessProbe": probe,
        "livenessProbe": {**probe, "initialDelaySeconds": 30},
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    }
    specification = {
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "tolerations": [{"key": kwok.LABEL, "operator": "Exists"}],
        **({"nodeName": one.node} if one.node else {"nodeSelector": {kwok.LABEL: "nowhere"}}),
    }
    labels = {"app": one.name, kwok.LABEL: one.state}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": one.name, "namespace": one.namespace, "labels": labels},
        "spec": {
            "replicas": one.replicas,
            "selector": {"matchLabels": {"app": one.name}},
            "template": {"metadata": {"labels": labels}, "spec": specification},
        },
    }


def stages() -> list[dict[str, Any]]:
    made = []
    for name, (phase, ready, state, (reason, message)) in STATES.items():
        status = _STATUS.replace("PHASE", phase).replace("READY", str(ready)).replace("ADDRESS", kwok.ADDRESS).replace("STATE", state)
        made.append(kwok.stage(name, status, {"type": "Warning", "reason": reason, "message": message} if reason else None))
    return made


def create(api: Api, pods: int) -> None:
    """Make the namespaces and the Deployments, and wait until every pod has its state."""
    wanted = workloads(pods)
    with ThreadPoolExecutor(8) as pool:
        names = sorted({one.namespace for one in wanted})
        list(
            pool.map(
                lambda name: api.request("POST", "/api/v1/namespaces", None, {"metadata": {"name": name, "labels": {kwok.LABEL: "namespace"}}}), names
            )
        )
        list(pool.map(lambda one: api.request("POST", f"/apis/apps/v1/namespaces/{one.namespace}/deployments", None, deployment(one)), wanted))
    deadline = time.monotonic() + SECONDS
    while (missing := pods - sum(1 for one in _simulated_pods(api) if _has_state(one))) > 0:
        if time.monotonic() > deadline:
            raise SystemExit(f"{missing} of {pods} pods have not come to their state within {SECONDS:.0f} s")
        time.sleep(5)


def _simulated_pods(api: Api) -> Iterator[dict[str, Any]]:
    return api.pages("/api/v1/pods", {"labelSelector": kwok.LABEL})


def _has_state(pod: dict[str, Any]) -> bool:
    scheduled: dict[str, Any] = next((one for one in pod["status"].get("conditions", []) if one["type"] == "PodScheduled"), {})
    return "containerStatuses" in pod["status"] or scheduled.get("status") == "False"


def remove(api: Api) -> None:
    """Delete what ``create`` made. The controllers go first, so that nobody makes the pods again; their grace would be kwok's to wait for."""
    mine = {"labelSelector": f"{kwok.LABEL}=namespace"}
    names = [one["metadata"]["name"] for one in api.pages("/api/v1/namespaces", mine)]
    at_once = {"gracePeriodSeconds": "0", "propagationPolicy": "Background"}

    def empty(name: str) -> None:
        for path in (
            f"/apis/apps/v1/namespaces/{name}/deployments",
            f"/apis/apps/v1/namespaces/{name}/replicasets",
            f"/api/v1/namespaces/{name}/pods",
        ):
            api.request("DELETE", path, at_once, timeout=120)
        api.request("DELETE", f"/api/v1/namespaces/{name}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(empty, names))
    while any(True for _one in _simulated_pods(api)) or any(True for _one in api.pages("/api/v1/namespaces", mine)):
        time.sleep(2)  # the next size makes namespaces of the same names


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """(seconds, MB of the largest process, output) of one command, in a process of its own so that only its children count."""
    watcher = (
        "import json, resource, subprocess, sys, time; started = time.perf_counter();"
        "done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, capture_output=True, text=True);"
        "taken = time.perf_counter() - started; most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024;"
        "print(json.dumps([taken, most, done.returncode, done.stdout + done.stderr]))"
    )
    answer = subprocess.run([sys.executable, "-c", watcher, *command], env=environment, check=True, capture_output=True, text=True)
    seconds, megabytes, status, output = json.loads(answer.stdout)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}:\n{output}")
    return seconds, megabytes, output


def take() -> None:
    """The collecting step alone; prints what it saw as JSON."""
    from ansible_collections.aiops.k8s.plugins.module_utils.cluster import snapshot
    from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import wants_log

    started = time.perf_counter()
    taken = snapshot.take(connect({}), "", wants_log)
    seconds = time.perf_counter() - started
    seen = {name: len(items) for name, items in taken["objects"].items() if items}
    own = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {"seconds": round(seconds, 2), "cpu": round(own.ru_utime + own.ru_stime, 2), "seen": seen, "not": taken["coverage"]["not_evaluated"][:4]}
        )
    )


def measure(environment: dict[str, str], runs: int) -> Iterator[tuple[str, list[Figure]]]:
    alone = [measured([sys.executable, "-m", "tests.bench.scale", "--take"], environment) for _run in range(runs)]
    yield "take", [Figure(*one) for one in alone]
    whole = []
    for _run in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            options = {"ai": "off", "approval": "defer", "records_dir": folder, "result_file": f"{folder}/result.json"}
            extra = [part for name, value in options.items() for part in ("-e", f"{name}={value}")]
            seconds, megabytes, _output = measured(["ansible-playbook", "aiops.k8s.diagnose", *extra], environment)
            result = json.loads(Path(folder, "result.json").read_text(encoding="utf-8"))
            whole.append(Figure(seconds, megabytes, f"timings {result['timings']}, {len(result.get('findings', []))} findings"))
    yield "playbook", whole


def dump(api: Api, folder: Path) -> None:
    """The raw pages of the big lists, for work on the collecting step without the cluster."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in ("/api/v1/pods", "/api/v1/events", "/apis/apps/v1/replicasets", "/apis/apps/v1/deployments", "/api/v1/nodes"):
        (folder / f"{path.rpartition('/')[2]}.json").write_text(json.dumps(list(api.pages(path))), encoding="utf-8")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pods", default="1000,10000")
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--dump", type=Path)
    arguments.add_argument("--take", action="store_true", help=argparse.SUPPRESS)
    wanted = arguments.parse_args()
    if wanted.take:
        take()
        return 0
    cluster = running()
    if cluster is None:
        print("No test cluster is up: python -m tests.cluster up", file=sys.stderr)
        return 1
    print(f"load before: {os.getloadavg()[0]:.1f}")
    rows = []
    for pods in map(int, wanted.pods.split(",")):
        rows += scale(cluster, pods, wanted.runs, wanted.dump)
    print(table(rows))
    return 0


def scale(cluster: Cluster, pods: int, runs: int, folder: Path | None) -> list[tuple[int, str, list[Figure]]]:
    environment = {**surroundings(cluster), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "dev"), "K8S_AUTH_KUBECONFIG": cluster.kubeconfig}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    api = connect({"kubeconfig": cluster.kubeconfig}, {})
    nodes = [kwok.node(number, clock.stamp(clock.now())) for number in range(NODES)]
    with kwok.simulated(cluster, nodes, stages()):
        try:
            started = time.monotonic()
            create(api, pods)
            print(f"{pods} pods made in {time.monotonic() - started:.0f} s; load {os.getloadavg()[0]:.1f}", flush=True)
            if folder:
                dump(api, folder / str(pods))
            time.sleep(10)  # the controllers' own work
            found = [(pods, name, figures) for name, figures in measure(environment, runs)]
            for _pods, name, figures in found:
                print(f"  {name}: {figures[-1].note.strip()[:600]}", flush=True)
            return found
        finally:
            started = time.monotonic()
            try:
                remove(api)
            except ApiError as error:
                print(f"not everything could be removed: {error}", file=sys.stderr)
            print(f"removed in {time.monotonic() - started:.0f} s", flush=True)


def table(rows: list[tuple[int, str, list[Figure]]]) -> str:
    lines = [
        "|   pods | what     | limit s | median s |   max s | limit MB | peak MB |",
        "| -----: | -------- | ------: | -------: | ------: | -------: | ------: |",
    ]
    for pods, name, figures in rows:
        seconds, (most, size) = [one.seconds for one in figures], LIMITS[name]
        lines.append(
            f"| {pods:6} | {name:8} | {most:>7} | {statistics.median(seconds):8.2f} | {max(seconds):7.2f} | {size:>8} |"
            f" {max(one.megabytes for one in figures):7.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
