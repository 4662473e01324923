# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the integration tests share: real runs of ansible-playbook, their records and result documents."""

from __future__ import annotations

import datetime
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import NOTES

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "docs" / "reference" / "result.schema.json"
QUICK = {"validate_seconds": 60, "hold_seconds": 1, "watch_seconds": 2, "watch": "block"}  # proof in seconds, not in an hour
FEATURE = "004-phase-iv-aiops"
PLAIN = re.compile(r"^[^\s'\"{}\[\]]+$")
ESCAPE = re.compile(r"\x1b[\[\]()][0-9;?]*[ -/]*[@-~]")


# --- running playbooks ---------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """How one playbook ended. ``output`` holds stdout and stderr in the order in which they were written, without colours."""

    command: str
    status: int
    output: str
    seconds: float
    left: list[str] = field(default_factory=list)  # files that it left in its temporary directory

    def ok(self) -> Run:
        assert self.status == 0, f"{self.command}\nended with {self.status}:\n{self.output}"
        return self

    def refused(self, *says: str) -> Run:
        """It failed as software should: with words about what to do, and not with a traceback."""
        assert self.status != 0, f"{self.command}\nwent through:\n{self.output}"
        assert "Traceback" not in self.output, self.output
        shown = " ".join(self.output.split())
        missing = [text for text in says if " ".join(text.split()) not in shown]
        assert not missing, f"{self.command}\ndoes not say {missing}:\n{self.output}"
        return self


def command(playbook: str, options: Mapping[str, Any], arguments: Sequence[str] = ()) -> list[str]:
    """The command line as a person types it: name=value, and JSON for what is not plain text, which Ansible would split."""
    given = [
        f"{name}={value}" if PLAIN.match(str(value)) and not isinstance(value, (dict, list, bool)) else json.dumps({name: value}, default=str)
        for name, value in options.items()
    ]
    return ["ansible-playbook", f"aiops.k8s.{playbook}", *(part for one in given for part in ("-e", one)), *arguments]


def environment(**more: str) -> dict[str, str]:
    """This process's environment, without what would make a run chatty."""
    quiet = {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false", "ANSIBLE_NOCOLOR": "1"}
    return {**{name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}, **quiet, **more}


class Ansible:
    """Runs playbooks in one working directory, without a terminal and without AI."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.directory, self.options = directory, {"ai": "off", "records_dir": str(directory / "records"), **options}
        self.feature = FEATURE
        self.temporary = directory / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)

    def __call__(self, playbook: str, arguments: Sequence[str] = (), variables: Mapping[str, str] | None = None, **options: Any) -> Run:
        wanted = {name: value for name, value in {**self.options, **options}.items() if value is not None}
        return self.run(command(playbook, wanted, arguments), variables)

    def run(self, words: Sequence[str], variables: Mapping[str, str] | None = None) -> Run:
        started = time.monotonic()
        done = subprocess.run(
            list(words),
            cwd=self.directory,
            env=environment(TMPDIR=str(self.temporary), **(variables or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        left = [str(path) for path in self.temporary.rglob("*") if path.is_file()]
        return Run(shlex.join(words), done.returncode, ESCAPE.sub("", done.stdout), time.monotonic() - started, left)

    def start(self, playbook: str, variables: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """The same in the background, in a process group of its own, so that it can be killed."""
        return subprocess.Popen(
            command(playbook, {**self.options, **options}),
            cwd=self.directory,
            env=environment(TMPDIR=str(self.temporary), **(variables or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def propose(self, namespace: str, names: Sequence[str]) -> dict[str, str]:
        """Diagnose until each of these workloads has a proposal: {name: record}.

        Under load containerd sometimes reports a container that was killed for memory as one that exited with 137; its next restart tells.
        """

        def proposed() -> dict[str, str]:
            shutil.rmtree(self.records, ignore_errors=True)
            self("diagnose", namespace=namespace).ok()
            found = self.by_workload()
            return found if all(self.state(found[name]) == "proposed" for name in names) else {}

        return wait("every workload is diagnosed as killed for memory", proposed, seconds=120, every=5)  # type: ignore[no-any-return]

    def decide(self, record: str, decision: str = "approve", **options: Any) -> Run:
        return self("approve", record=record, decision=decision, digest=digest(self.record(record))[:8], **options)

    @property
    def records(self) -> Path:
        return Path(self.options["records_dir"]) / self.feature

    def record(self, identifier: str) -> list[dict[str, Any]]:
        return events(self.records / f"{identifier}.jsonl")

    def state(self, identifier: str) -> str:
        return state(self.record(identifier))

    def by_workload(self) -> dict[str, str]:
        """{name of the target: id of its newest record}."""
        return {self.record(path.stem)[0]["payload"]["target"]["name"]: path.stem for path in sorted(self.records.glob("*.jsonl"))}


def result_of(path: Path) -> dict[str, Any]:
    """The document in a result_file, which has to be as its schema says."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    faults = [
        f"{'/'.join(map(str, fault.absolute_path))}: {fault.message[:300]}"
        for fault in jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).iter_errors(document)
    ]
    assert not faults, f"{path} is not as {SCHEMA.name} says: {faults}"
    return document


def kill_all(process: subprocess.Popen[str]) -> None:
    """SIGKILL for the whole process group and for the workers, which Ansible puts into sessions of their own."""
    family = [process.pid, *_descendants(process.pid)]
    for one in family:
        os.kill(one, signal.SIGKILL)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    wait("every process is dead", lambda: not any(_alive(one) for one in family), every=0.01)


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _descendants(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    return [one for child in children for one in (int(child), *_descendants(int(child)))]


# --- records -------------------------------------------------------------------------------------------------------------


def events(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a record."""
    data = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def state(record: Sequence[Mapping[str, Any]]) -> str:
    return next((str(one["kind"]) for one in reversed(record) if one["kind"] not in NOTES), "")


def digest(record: Sequence[Mapping[str, Any]]) -> str:
    return str(record[0]["payload"]["digest"])


def at(record: Sequence[Mapping[str, Any]], kind: str) -> datetime.datetime:
    return moment(next(one["time"] for one in record if one["kind"] == kind))


def moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


# --- waiting and running at once ----------------------------------------------------------------------------------------


def wait(what: str, condition: Callable[[], Any], seconds: float = 60, every: float = 0.25) -> Any:
    """What the condition returns once it is true. Fails with its last value, so that one can see what was there instead."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > until:
            pytest.fail(f"not seen within {seconds:.0f} s: {what} (last: {value!r})")
        time.sleep(every)
    return value


def begin(request: pytest.FixtureRequest, parameter: str, call: Callable[[Any], Any], at_once: int = 4) -> dict[Any, Future[Any]]:
    """Begin all chosen cases of the module's tests at once, since a run waits more than it computes: {case: its future}."""
    items: list[Any] = request.session.items
    chosen = [item.callspec.params for item in items if item.module is request.module and hasattr(item, "callspec")]
    cases = list(dict.fromkeys(one[parameter] for one in chosen if parameter in one))
    pool = ThreadPoolExecutor(at_once)
    request.addfinalizer(lambda: pool.shutdown(cancel_futures=True))
    return {case: pool.submit(call, case) for case in cases}


def in_parallel(*calls: Callable[[], Any], at_once: int = 3) -> list[Any]:
    with ThreadPoolExecutor(at_once) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
