# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Every command block of docs/fallback, in order, in one shell, against the real cluster: the workload is mended, scaled or sized, or the change is undone.

A block after a line that ends with FAILS is expected to fail, and has to.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import backfill
from tests.cluster import Cluster, prometheus
from tests.integration.staging import Kubectl, deployment, is_ready, namespace, reasons
from tests.integration.support import ROOT, begin, environment, wait

PAGES = sorted((ROOT / "docs" / "fallback").glob("*.md"))
DIAGNOSIS, SCALING, RIGHTSIZING = (ROOT / "docs" / "fallback" / f"manual-{name}.md" for name in ("diagnosis", "scaling", "rightsizing"))
FAILS = "**This block has to fail:**"
SECONDS = 240  # after which a page is stopped; on an idle machine it takes 20
WORKS = "mkdir -p /tmp/www; exec httpd -f -p 8080 -h /tmp/www"
BROKEN = "echo starting release 2; echo 'Error: DATABASE_URL is required' >&2; exit 1"
STILL_BROKEN = "echo 'Error: DATABASE_URL is still required' >&2; sleep 1; exit 1"
# what the first release did, how the page ends
CASES = {"the change works": (WORKS, "yes"), "the change does not work": (STILL_BROKEN, "no")}


@dataclass(frozen=True)
class Block:
    """One command block: its first line in the page, its text, and whether it has to fail."""

    line: int
    text: str
    fails: bool


@dataclass
class Session:
    """How the page ended, and what it left."""

    status: int
    seconds: float
    output: str
    case: Path
    records: Path
    generation: int
    command: str
    ready: bool


def blocks(page: Path) -> list[Block]:
    found, lines = [], page.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("```shell")]
    for start in starts:
        end = lines.index("```", start)
        before = next(line for line in reversed(lines[:start]) if line)
        found.append(Block(start + 2, "\n".join(lines[start + 1 : end]), before.endswith(FAILS)))
    return found


def script(page: Path) -> str:
    """All blocks for one bash; the number of the line is printed before each, and a failing block ends it."""
    parts = ["set -euo pipefail"]
    for one in blocks(page):
        parts.append(f"echo '#### {page.name}:{one.line}'")
        if one.fails:
            # not inside a condition, where bash would forget about -e
            parts += ["set +e", "( set -euo pipefail", one.text, ")", "status=$?", "set -e", "test $status -ne 0"]
        else:
            parts.append(one.text)
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_blocks_and_no_other_fences(page: Path) -> None:
    """What looks like a command is executed: there is no fence that the test would pass over."""
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert blocks(page) and set(fences) == {"shell", ""} and len(fences) == 2 * len(blocks(page))


@pytest.fixture(scope="module")
def sessions(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Session]]]:
    with namespace(cluster, "fallback") as first, namespace(cluster, "fallback") as second:
        places = dict(zip(CASES, ((first, tmp_path_factory.mktemp("case")), (second, tmp_path_factory.mktemp("case"))), strict=True))
        yield begin(request, "name", lambda name: by_hand(DIAGNOSIS, cluster, CASES[name][0], *places[name]))


def by_hand(page: Path, cluster: Cluster, first_release: str, kubectl: Kubectl, directory: Path) -> Session:
    """Release twice, so that the second one crashes, and do what the page says."""
    kubectl.apply(deployment(cluster, "web", first_release, replicas=2))
    wait("the first release ran", lambda: len(kubectl.pods().get("web", [])) == 2)
    if first_release == WORKS:
        kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl.apply(deployment(cluster, "web", BROKEN, replicas=2))
    wait(
        "the second release crashed",
        lambda: any({"CrashLoopBackOff", "Error"} & reasons(pod) and restarted(pod) for pod in kubectl.pods().get("web", []) if runs(pod, BROKEN)),
        SECONDS,
    )
    wait("pods of the first release that had to go are gone", lambda: settled(kubectl), SECONDS)
    case = directory / "H-20261121-web"
    done, seconds = run(page, cluster, kubectl, directory, CASE=str(case), WITHIN="20s" if first_release == WORKS else "4s", HOLD="2")
    found = kubectl.get("deployment/web")
    command = found["spec"]["template"]["spec"]["containers"][0]["command"][-1]
    alive = [pod for pod in kubectl.pods()["web"] if "deletionTimestamp" not in pod["metadata"]]
    return Session(
        done.returncode,
        seconds,
        done.stdout + done.stderr,
        case,
        directory / "records",
        found["metadata"]["generation"],
        command,
        len(alive) == 2 and all(map(is_ready, alive)),
    )


def runs(pod: Mapping[str, Any], script: str) -> bool:
    return bool(pod["spec"]["containers"][0]["command"][-1] == script)


def settled(kubectl: Kubectl) -> bool:
    """No pod is on its way out, and for some seconds none comes or goes."""
    pods = kubectl.pods()["web"]
    time.sleep(4)
    later = kubectl.pods()["web"]
    names = [sorted(pod["metadata"]["name"] for pod in found) for found in (pods, later)]
    return names[0] == names[1] and not any("deletionTimestamp" in pod["metadata"] for pod in later)


def run(page: Path, cluster: Cluster, kubectl: Kubectl, directory: Path, **variables: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """(how all blocks of a page ended, seconds)."""
    given = {
        **environment(),
        "PATH": f"{Path(cluster.kubectl).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(cluster.kubeconfig),
        "NS": kubectl.namespace,
        "RECORDS": str(directory / "records"),
        "APPROVER": "bob",
        **variables,
    }
    file, started = directory / "blocks.sh", time.monotonic()
    file.write_text(script(page), encoding="utf-8")
    done = subprocess.run(
        ["bash", str(file)], cwd=directory, env=given, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False
    )
    return done, time.monotonic() - started


def restarted(pod: Mapping[str, Any]) -> bool:
    return any(status["restartCount"] > 0 for status in pod["status"].get("containerStatuses", []))


@pytest.fixture
def ended(sessions: dict[str, Future[Session]], record_property: Callable[[str, object], None]) -> Callable[[str], Session]:
    def look(name: str) -> Session:
        session = sessions[name].result()
        record_property("seconds", round(session.seconds, 1))
        print(f"{name}: {session.seconds:.1f} s")
        assert session.status == 0, session.output[-8000:]
        return session

    return look


@pytest.mark.parametrize("name", CASES)
def test_every_block_does_what_the_page_says(name: str, ended: Callable[[str], Session]) -> None:
    session, (_first, proven) = ended(name), CASES[name]
    log = (session.case / "log.txt").read_text(encoding="utf-8")
    steps = [
        "begun",
        "cause:",
        "proposed",
        "approved",
        "executing",
        "executed",
        f"proven: {proven}",
        *(["rolling back", "rolled back"] if proven == "no" else []),
    ]
    assert [step for line, step in zip(log.splitlines(), steps, strict=True) if step not in line] == []
    if proven == "yes":
        assert session.ready and session.command == WORKS and session.generation == 3
        assert "nothing to report" in session.output.lower() or "no failing" in session.output.lower() or "0 findings" in session.output
    else:
        assert session.command == BROKEN and session.generation == 4


@pytest.mark.parametrize("name", CASES)
def test_the_record_is_whole_and_holds_no_logs(name: str, ended: Callable[[str], Session]) -> None:
    session = ended(name)
    (filed,) = (session.records / "manual").iterdir()
    text = (filed / f"{filed.name}.misc.prompt.md").read_text(encoding="utf-8")
    digest = (filed / "digest.txt").read_text(encoding="utf-8").strip()
    approval = (filed / "approval.txt").read_text(encoding="utf-8")
    assert digest in text and digest in approval and re.search(r"^approver: +bob$", approval, re.MULTILINE)
    assert all(f"## {part}" in text for part in ("Prompt", "Response snapshot", "Decision", "Outcome", "Evaluation notes"))
    assert "DATABASE_URL" in text and json.loads((filed / "change.json").read_text(encoding="utf-8"))[-1]["op"] == "replace"
    assert not [path.name for path in filed.iterdir() if path.suffix == ".yaml" or path.name.startswith("log-")]
    assert oct(session.case.stat().st_mode & 0o777) == "0o700"


# --- scaling ---------------------------------------------------------------------------------------------------------------

# Burns 130m of CPU, divided by the pods there are, as a Service does with its users. It asks the kernel what it used: the machine's speed plays no role.
BURNS = """
used() { read -r line < /proc/self/stat; set -- $line; used=$((${14} + ${15})); }
now() { read -r up rest < /proc/uptime; now=${up%.*}; }
while :; do
  pods=$(nslookup -type=a web.$NS.svc.cluster.local 2>/dev/null | grep -c '^Address: [0-9.]*$')
  [ "$pods" -gt 0 ] || pods=1
  now; next=$((now + 4)); used; until=$((used + 52 / pods))
  while [ $used -lt $until ]; do used; done
  now; [ $now -ge $next ] || sleep $((next - now))
done
"""
# No second pod of the workload on any node: nothing of what the page counts as room, and seen only when it happens
ALONE = {
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/os"}]
        }
    },
}
# how the page ends -> (what the pod asks for, seconds for the proof)
LOADS: dict[str, tuple[dict[str, Any], str]] = {"the load falls": ({}, "150"), "new pods wait": (ALONE, "8")}


@dataclass
class Scaled:
    """How the page ended, and what it left."""

    status: int
    seconds: float
    output: str
    case: Path
    records: Path
    replicas: int
    autoscalers: list[dict[str, Any]]


def loaded(cluster: Cluster, namespace_: str, pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A Deployment of one pod under load, and the headless Service by which its pods count themselves."""
    resources = {"requests": {"cpu": "100m", "memory": "8Mi"}, "limits": {"cpu": "200m", "memory": "32Mi"}}
    service = {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80}]}
    return [
        deployment(cluster, "web", BURNS, pod=pod, resources=resources, env=[{"name": "NS", "value": namespace_}]),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service},
    ]


def scale_by_hand(cluster: Cluster, load: str, kubectl: Kubectl, directory: Path) -> Scaled:
    """Put a Deployment under load until metrics-server sees it, and do what the page says."""
    pod, within = LOADS[load]
    kubectl.apply(*loaded(cluster, kubectl.namespace, pod))
    wait("metrics-server sees the load", lambda: millicores(kubectl) >= 75, seconds=180, every=2)
    case = directory / "S-20261121-web"
    done, seconds = run(
        SCALING, cluster, kubectl, directory, CASE=str(case), SAMPLES="3", EVERY="2", WITHIN=within, HOLD="2", WHY="no kagent, no Ansible"
    )
    return Scaled(
        done.returncode,
        seconds,
        done.stdout + done.stderr,
        case,
        directory / "records",
        kubectl.get("deployment/web")["spec"]["replicas"],
        kubectl.get("horizontalpodautoscalers")["items"],
    )


def millicores(kubectl: Kubectl) -> int:
    """What the pods use; 0 while nothing is known of them, or metrics-server is not to be reached."""
    words = [kubectl.cluster.kubectl, f"--kubeconfig={kubectl.cluster.kubeconfig}", "-n", kubectl.namespace, "top", "pods", "--no-headers"]
    shown = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    return sum(int(line.split()[1].rstrip("m")) for line in shown.splitlines())


@pytest.fixture(scope="module", autouse=True)
def scalings(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Scaled]]]:
    """Begun with the first test of the module: a load takes its time to be seen."""
    with namespace(cluster, "scaling") as first, namespace(cluster, "scaling") as second:
        places = dict(zip(LOADS, ((first, tmp_path_factory.mktemp("case")), (second, tmp_path_factory.mktemp("case"))), strict=True))
        yield begin(request, "load", lambda load: scale_by_hand(cluster, load, *places[load]))


@pytest.fixture
def scaled(scalings: dict[str, Future[Scaled]], record_property: Callable[[str, object], None]) -> Callable[[str], Scaled]:
    def look(load: str) -> Scaled:
        session = scalings[load].result()
        record_property("seconds", round(session.seconds, 1))
        print(f"{load}: {session.seconds:.1f} s")
        assert session.status == 0, session.output[-8000:]
        return session

    return look


@pytest.mark.parametrize("load", LOADS)
def test_scaling_by_hand_ends_as_the_page_says(load: str, scaled: Callable[[str], Scaled]) -> None:
    session = scaled(load)
    falls = load == "the load falls"
    log = (session.case / "log.txt").read_text(encoding="utf-8").splitlines()
    steps = ["begun", "load: mean", "proposed", "approved", "executing", "executed", f"proven: {'yes' if falls else 'no'}"]
    steps += [] if falls else ["rolling back", "rolled back"]
    assert [line for line, step in zip(log, steps, strict=True) if step not in line] == [], session.output[-4000:]
    if falls:
        (autoscaler,) = session.autoscalers
        assert 2 <= autoscaler["spec"]["minReplicas"] < autoscaler["spec"]["maxReplicas"]
        assert autoscaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 63
        assert 2 <= session.replicas <= autoscaler["spec"]["maxReplicas"]
    else:
        assert (session.autoscalers, session.replicas) == ([], 1)


@pytest.mark.parametrize("load", LOADS)
def test_the_record_of_scaling_by_hand_is_whole(load: str, scaled: Callable[[str], Scaled]) -> None:
    session = scaled(load)
    (filed,) = (session.records / "manual").iterdir()
    text = (filed / f"{filed.name}.misc.prompt.md").read_text(encoding="utf-8")
    digest = (filed / "digest.txt").read_text(encoding="utf-8").strip()
    assert digest in text and digest in (filed / "approval.txt").read_text(encoding="utf-8")
    assert all(f"## {part}" in text for part in ("Prompt", "Response snapshot", "Decision", "Outcome", "Evaluation notes"))
    assert "averageUtilization" in text and "more pods fit" in text and "vCPU requested: 0.10 now" in text
    assert not [path.name for path in filed.iterdir() if path.name in ("nodes.txt", "requests.txt", "after.yaml")]


# --- right-sizing ----------------------------------------------------------------------------------------------------------

LARGE: dict[str, Any] = {"requests": {"cpu": "50m", "memory": "300Mi", "ephemeral-storage": "8Mi"}, "limits": {"memory": "512Mi"}}
SMALL: dict[str, Any] = {"requests": {"cpu": "40m", "memory": "150Mi", "ephemeral-storage": "8Mi"}, "limits": {"memory": "150Mi"}}
# A program that wants a limit of 200Mi at its start: nothing of what a week of usage tells
NEEDS_LIMIT = f"[ $LIMIT -ge 200000000 ] || exit 1; {WORKS}"
LIMIT = [{"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}]
# how the page ends -> (what the container does, seconds for the proof)
SIZES = {"it runs with less": (WORKS, "60s"), "it does not start with less": (NEEDS_LIMIT, "5s")}


@dataclass
class Sized:
    """How the page ended, and what it left."""

    status: int
    seconds: float
    output: str
    case: Path
    records: Path
    resources: dict[str, Any]


def size_by_hand(cluster: Cluster, case: str, kubectl: Kubectl, directory: Path) -> Sized:
    """Run a Deployment that asks for more than it needs, with a Prometheus that knows a week of its usage, and do what the page says."""
    script, within = SIZES[case]
    kubectl.apply(deployment(cluster, "web", script, resources=LARGE, env=LIMIT))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    (pod,) = kubectl.pods()["web"]
    used = {"namespace": kubectl.namespace, "pod": pod["metadata"]["name"], "container": "web"}
    prometheus.blocks(directory, backfill.history([used], 8.0, time.time()))
    place = directory / "R-20261122-web"
    with prometheus.serve(directory) as url:
        done, seconds = run(RIGHTSIZING, cluster, kubectl, directory, CASE=str(place), PROMETHEUS=url, WITHIN=within, HOLD="2", WHY="no Ansible")
    resources = kubectl.get("deployment/web")["spec"]["template"]["spec"]["containers"][0]["resources"]
    return Sized(done.returncode, seconds, done.stdout + done.stderr, place, directory / "records", resources)


@pytest.fixture(scope="module", autouse=True)
def sizings(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Sized]]]:
    """Begun with the first test of the module, so that it runs meanwhile."""
    with namespace(cluster, "sizing") as first, namespace(cluster, "sizing") as second:
        places = dict(zip(SIZES, ((first, tmp_path_factory.mktemp("case")), (second, tmp_path_factory.mktemp("case"))), strict=True))
        yield begin(request, "case", lambda case: size_by_hand(cluster, case, *places[case]))


@pytest.fixture
def sized(sizings: dict[str, Future[Sized]], record_property: Callable[[str, object], None]) -> Callable[[str], Sized]:
    def look(case: str) -> Sized:
        session = sizings[case].result()
        record_property("seconds", round(session.seconds, 1))
        print(f"{case}: {session.seconds:.1f} s")
        assert session.status == 0, session.output[-8000:]
        return session

    return look


@pytest.mark.parametrize("case", SIZES)
def test_sizing_by_hand_ends_as_the_page_says(case: str, sized: Callable[[str], Sized]) -> None:
    session, proven = sized(case), case == "it runs with less"
    log = (session.case / "log.txt").read_text(encoding="utf-8").splitlines()
    steps = ["begun", "proposed", "approved", "executing", "executed", f"proven: {'yes' if proven else 'no'}"]
    steps += [] if proven else ["rolling back", "rolled back"]
    assert [line for line, step in zip(log, steps, strict=True) if step not in line] == [], session.output[-4000:]
    assert session.resources == (SMALL if proven else LARGE)


@pytest.mark.parametrize("case", SIZES)
def test_the_record_of_sizing_by_hand_is_whole(case: str, sized: Callable[[str], Sized]) -> None:
    session = sized(case)
    (filed,) = (session.records / "manual").iterdir()
    text = (filed / f"{filed.name}.misc.prompt.md").read_text(encoding="utf-8")
    digest = (filed / "digest.txt").read_text(encoding="utf-8").strip()
    assert digest in text and digest in (filed / "approval.txt").read_text(encoding="utf-8")
    assert all(f"## {part}" in text for part in ("Prompt", "Response snapshot", "Decision", "Outcome", "Evaluation notes"))
    # the figures of tests.backfill, computed by hand
    assert re.search(r"p95 29\.\dm x 1\.3 = 38\.\dm -> request 40m \(was 50m\)", text)
    assert "highest 115.0Mi x 1.1 = 126.5Mi -> request 150Mi (was 300Mi)" in text
    assert "web above the memory limit of 150Mi: 0 steps" in text and "saved over 1 replicas: 10m of CPU and 150Mi of memory" in text
    assert not [path.name for path in filed.iterdir() if path.name in ("nodes.txt", "requests.txt", "after.yaml")]
