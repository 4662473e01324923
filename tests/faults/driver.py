# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A worker that carries operations through, strikes each at one point, resumes it, and says what was wrong in the end.

    python -m tests.faults.driver KUBECONFIG NAMESPACE IMAGE NUMBER DIRECTORY

reads tasks and writes results, one JSON object per line. A task: {variant, faults: [fault...], pad (see cases.py)}; a fault:
{where, at, how}, one for each process: the first carries the operation through, each further one resumes it. ``where`` is file
(points.py; how: before, after, half, last, or a trouble of disk.py), request (gateway.py) or "" for none. After the faults, one process
more resumes without any. A result: {problems[], states[], files[], last[], requests[], errors[], writes{}, sizes[] of the events, left},
lists with an entry for each process. Each process is a fork of this one, so that none pays for starting Python; what it leaves behind
is on disk and in the cluster only, as that of any process.
"""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation import phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import NOTES
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

from tests.faults import disk
from tests.faults.cases import Case, Stage, limit, other
from tests.faults.gateway import FaultyGateway
from tests.faults.operation import Operation
from tests.faults.points import Points

FEATURE = "004-phase-iv-aiops"
NONE = {"where": "", "at": 0, "how": ""}
_SOON = 0.5  # seconds after which a client of these tests takes a silent server for gone


class Client(Api):
    """The real client, which notes among the file operations when it sends a request; with a shorter time-out where one is given."""

    points: Points
    soon = 30.0

    def _send(self, method: str, path: str, query: Any, body: Any, content_type: str, accept: str, timeout: float) -> bytes:
        self.points.note()
        return super()._send(method, path, query, body, content_type, accept, min(timeout, self.soon))


class Driver:
    def __init__(self, kubeconfig: str, namespace: str, image: str, number: int, directory: str) -> None:
        self.gateway = FaultyGateway(kubeconfig)
        self.gateway.__enter__()
        self.stage = Stage(self.gateway.direct, connect({"kubeconfig": kubeconfig}), namespace, image, number)
        self.directory, self.count = directory, 0

    def run(self, task: dict[str, Any]) -> dict[str, Any]:
        """One operation with its faults."""
        self.count += 1
        root = os.path.join(self.directory, str(self.count))
        (disk.make if disk.PRIVATE else os.makedirs)(root)
        case = self.stage.prepare(task["variant"], task.get("pad", 0))
        result: dict[str, Any] = {"problems": [], "states": [], "files": [], "last": [], "requests": [], "errors": []}
        for number, fault in enumerate([*task["faults"], NONE]):
            self._process(case, root, fault, number == 0, result)
            result["problems"] += self._promises(case, root) + (self._documents(root) if fault["where"] == "file" else [])
        undecided = task["faults"] and result["states"][-2] in ("", "proposed")
        ends = "approved" if undecided else case.ends
        if result["states"][-1] != ends and not result["problems"]:
            self._process(case, root, NONE, False, result)  # what failed at its first attempt to resume may need another
        result["problems"] += self._outcome(case, root, ends)
        result["writes"] = self._writes(case)
        result["sizes"] = [len(line) + 1 for line in self._lines(root)]
        result["left"] = sorted(path.name for path in Path(root).rglob("*") if path.suffix in (".part", ".new"))
        (disk.remove if disk.PRIVATE else shutil.rmtree)(root)
        return result

    def _process(self, case: Case, root: str, fault: dict[str, Any], first: bool, result: dict[str, Any]) -> None:
        """Fork, let the child work, and note how it ended."""
        request = fault["where"] == "request"
        self.gateway.arm(fault["at"] if request else 0, fault["how"] if request else "")
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            gc.disable()
            os.close(reading)
            report = self._work(case, root, fault, first)
            os.write(writing, json.dumps(report).encode())
            os._exit(0)
        os.close(writing)
        self.gateway.aim(child)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()
        _pid, status = os.waitpid(child, 0)
        report = json.loads(told) if told else {"files": [], "last": [], "errors": [], "unexpected": ""}
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        meant = fault["where"] and (fault["how"] in ("before", "after", "half", "last") or fault["how"].startswith("kill"))
        if report["unexpected"]:
            result["problems"].append(f"not an error of ours: {report['unexpected']}")
        if killed != bool(meant):
            result["problems"].append(f"process {'was killed' if killed else 'was not killed'} though it should {'' if meant else 'not '}have been")
        elif not told and not killed:
            result["problems"].append(f"process ended with {status}")
        if request and len(self.gateway.seen) < fault["at"]:
            result["problems"].append("never came to the request")
        if fault["where"] == "file" and not killed and report.get("reached") is False:
            result["problems"].append("never came to the operation")
        disk.clear(root)
        nameless = [error for error in report["errors"] if fault["how"] in disk.TROUBLES and root not in error]
        if nameless:
            result["problems"].append(f"an error does not name the path: {nameless}")
        result["files"].append(report["files"])
        result["last"].append(report["last"])
        result["requests"].append(list(self.gateway.seen))
        result["errors"].append(report["errors"])
        result["states"].append(_state(self._events(root)))

    def _work(self, case: Case, root: str, fault: dict[str, Any], first: bool) -> dict[str, Any]:
        """In the child: carry the operation through, or go on with it."""
        self.stage.direct = self.gateway.from_a_fork
        connected = connect({"host": self.gateway.address, "api_key": "unused"}, environment={})
        api = Client(connected.server, connected.pool, connected.headers)
        api.soon = _SOON if fault["how"].startswith("hang") else api.soon
        file = fault["where"] == "file"
        strike = disk.TROUBLES.get(fault["how"])
        at, how = (fault["at"], fault["how"]) if file else (0, "")
        points = Points(root, at, "before" if strike else how, (lambda: strike(root)) if strike else _die)
        api.points = points.install()
        errors, unexpected = [], ""
        try:
            operation = Operation(Directory(os.path.join(root, "records"), FEATURE), api, lambda: self._settle(case))
            if first:
                identifier = operation.propose(case.payload)
                operation.approve(identifier)
                operation.carry_on(identifier)
            else:
                errors = operation.resume()
                if not fault["where"]:
                    self._again(operation, case)
        except AiopsError as error:
            errors.append(str(error))
        except BaseException:  # the report is all that the parent sees of it
            unexpected = traceback.format_exc()
        return {"files": points.labels, "last": points.last, "errors": errors, "unexpected": unexpected, "reached": len(points.labels) >= at}

    def _again(self, operation: Operation, case: Case) -> None:
        """What was struck before it was decided is left alone by resume, and can be proposed and decided as ever."""
        known = operation.store.identifiers()
        identifier = known[-1] if known else operation.propose(case.payload)
        if operation.store.load(identifier).state == "proposed":
            operation.approve(identifier)

    def _settle(self, case: Case) -> None:
        for name in case.before:
            self.stage.settled(name)

    def _promises(self, case: Case, root: str) -> list[str]:
        """What has to hold at any moment: no change without its event on disk, and never more changes than events."""
        kinds = [one["kind"] for one in self._events(root)]
        allowed = kinds.count("executing") + kinds.count("rolling_back")
        problems = []
        for name, (generation, _limit) in case.before.items():
            made = self.stage.live(name)["metadata"]["generation"] - generation
            if made > allowed:
                problems.append(f"deployment/{name} was changed {made} times, and the record says {kinds}")
        if case.pod and not self.stage.pod_exists(case.pod) and "executing" not in kinds:
            problems.append(f"pod/{case.pod} was deleted, and the record says {kinds}")
        if "executing" in kinds and "approved" not in kinds:
            problems.append(f"begun without approval: {kinds}")
        return problems

    def _documents(self, root: str) -> list[str]:
        """A PHR may be some events late, and is whole."""
        events, problems = self._events(root), []
        for path in Path(root, "records", FEATURE).glob("*.prompt.md"):
            text = path.read_text(encoding="utf-8")
            count = re.search(r"^  events: (\d+)$", text, re.MULTILINE)
            if count is None or text != phr.render(events[: int(count[1])]):
                problems.append(f"{path.name} is not the whole rendering of a record")
        return problems

    def _outcome(self, case: Case, root: str, ends: str) -> list[str]:
        """What has to hold in the end."""
        store = Directory(os.path.join(root, "records"), FEATURE)
        try:
            records = [store.load(identifier) for identifier in store.identifiers()]  # verifies the chain of each
        except AiopsError as error:
            return [str(error)]
        if len(records) != 1:
            return [f"{len(records)} records where one was expected"]
        record, problems = records[0], []
        kinds = [one["kind"] for one in record.events if one["kind"] not in NOTES]
        if record.state != ends:
            problems.append(f"ends {record.state}, not {ends}: {record.events[-1]['payload'].get('reason')}")
        if len(set(kinds)) != len(kinds):
            problems.append(f"an event is there twice: {kinds}")
        for name, (generation, before) in case.before.items():
            live = self.stage.live(name)
            made, found = live["metadata"]["generation"] - generation, limit(live)
            if (made, found) != {"approved": (0, before), "rolled_back": (2, before), "closed": (1, other(before))}[ends]:
                problems.append(f"deployment/{name} was changed {made} times, from {before} to {found}")
        if case.pod and self.stage.pod_exists(case.pod) != (ends == "approved"):
            problems.append(f"pod/{case.pod} is {'still there' if ends == 'closed' else 'gone'}")
        documents = sorted(Path(store.path).glob("*.md"))
        if [str(path) for path in documents] != [store.document(record)]:
            problems.append(f"documents: {[path.name for path in documents]}")
        elif documents[0].read_text(encoding="utf-8") != phr.render(record.events):
            problems.append("the PHR is not a rendering of the record")
        return problems

    def _writes(self, case: Case) -> dict[str, int]:
        """Changes made to each object, as its generation says."""
        made = {name: self.stage.live(name)["metadata"]["generation"] - generation for name, (generation, _limit) in case.before.items()}
        return {**made, **({case.pod: int(not self.stage.pod_exists(case.pod))} if case.pod else {})}

    def _events(self, root: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._lines(root)]

    def _lines(self, root: str) -> list[bytes]:
        """The whole lines of the newest record."""
        files = sorted(Path(root, "records", FEATURE).glob("[0-9]*.jsonl"))
        data = files[-1].read_bytes() if files else b""
        return data[: data.rfind(b"\n") + 1].splitlines()


def _state(events: list[dict[str, Any]]) -> str:
    return next((str(one["kind"]) for one in reversed(events) if one["kind"] not in NOTES), "")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    kubeconfig, namespace, image, number, directory = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    disk.enter(directory)
    driver = Driver(kubeconfig, namespace, image, int(number), directory)
    gc.collect()
    gc.freeze()  # a fork that never touches what it was born with costs little
    for line in sys.stdin:
        try:
            answer = driver.run(json.loads(line))
        except Exception:  # the test shows it; the next task is independent of this one
            answer = {"problems": [traceback.format_exc()]}
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
