# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Every command block of docs/fallback, in order, in one shell, against the real cluster: the workload is mended, or the change is undone.

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

from tests.cluster import Cluster
from tests.integration.staging import Kubectl, deployment, is_ready, namespace, reasons
from tests.integration.support import ROOT, begin, environment, wait

PAGES = sorted((ROOT / "docs" / "fallback").glob("*.md"))
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
    (page,) = PAGES
    with namespace(cluster, "fallback") as first, namespace(cluster, "fallback") as second:
        places = dict(zip(CASES, ((first, tmp_path_factory.mktemp("case")), (second, tmp_path_factory.mktemp("case"))), strict=True))
        yield begin(request, "name", lambda name: by_hand(page, cluster, CASES[name][0], *places[name]))


def by_hand(page: Path, cluster: Cluster, first_release: str, kubectl: Kubectl, directory: Path) -> Session:
    """Release twice, so that the second one crashes, and do what the page says."""
    kubectl.apply(deployment(cluster, "web", first_release, replicas=2))
    wait("the first release ran", lambda: len(kubectl.pods().get("web", [])) == 2)
    if first_release == WORKS:
        kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl.apply(deployment(cluster, "web", BROKEN, replicas=2))
    wait(
        "the second release crashed",
        lambda: any({"CrashLoopBackOff", "Error"} & reasons(pod) and restarted(pod) for pod in kubectl.pods().get("web", [])),
    )
    case = directory / "H-20261121-web"
    given = {
        **environment(),
        "PATH": f"{Path(cluster.kubectl).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(cluster.kubeconfig),
        "NS": kubectl.namespace,
        "CASE": str(case),
        "RECORDS": str(directory / "records"),
        "APPROVER": "bob",
        "WITHIN": "20s" if first_release == WORKS else "4s",
        "HOLD": "2",
    }
    file, started = directory / "blocks.sh", time.monotonic()
    file.write_text(script(page), encoding="utf-8")
    done = subprocess.run(
        ["bash", str(file)], cwd=directory, env=given, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False
    )
    seconds = time.monotonic() - started
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
