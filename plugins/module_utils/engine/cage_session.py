# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One run of kubectl-ai in the cage: as ``session`` runs it for an opinion, but with another filter in the place of bash.

The private directory has two halves. ``fixed`` holds the file to send, the kubeconfig and the filter, and cannot be written to by what runs
in the cage; ``work`` is its home. The engine is ended as soon as the command has succeeded: there is nothing left for it to do.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import os
import shlex
import sys
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.engine import cage_filter, commands, confine, process, session, transcript
from ansible_collections.aiops.k8s.plugins.module_utils.engine.trace import Trace

FILE = "approved.json"
ROUNDS, COMMANDS = 10, 10  # rounds of the model, and commands of the run, refused ones included


@dataclasses.dataclass(frozen=True)
class Task:
    """The one change. content: of its file. change, read: arguments of kubectl. types: words for the kind in a reading command."""

    content: str
    change: list[str]
    read: list[str]
    types: list[str]
    name: str
    namespace: str


@dataclasses.dataclass(frozen=True)
class Result:
    """session: what an ordinary run leaves. begun: whether the command was started. status, printed: None and "" where it did not end."""

    session: session.Result
    begun: bool
    status: int | None
    printed: str


def fixed(directory: str) -> str:
    return os.path.join(directory, "fixed")


def run(plan: session.Plan, task: Task, prompt: str, directory: str, limit: float, decided: Callable[[str, str], object]) -> Result:
    """Run it for at most ``limit`` seconds in an empty private directory. Raises OSError when the program cannot be started."""
    work = os.path.join(directory, "work")
    settings = _furnish(plan, task, directory, work)
    home = os.path.join(work, "home")
    history, trace = transcript.History(home), Trace()
    complaint = transcript.Complaint(os.path.join(work, "stderr"))
    log = session._Log(settings["log"], decided)
    pipe, pipe_end = os.pipe()
    rules = confine.ruleset(_rules(plan, directory, work)) if plan.confined else None

    def look() -> None:
        session._drain(pipe, trace)
        log.read()

    def enough() -> bool:
        return _ending(settings["done"]).get("status") == 0 or history.settled() or complaint.heard()

    try:
        os.set_blocking(pipe, False)
        ended = process.run(
            [
                plan.binary,
                "--quiet",
                "--new-session",
                "--remove-workdir",
                "--skip-permissions",  # it would not change anything otherwise; what it runs is the filter's to decide
                f"--max-iterations={ROUNDS}",
                session._STORE,
                "--llm-provider",
                plan.provider,
                "--model",
                plan.model,
                "--kubeconfig",
                os.path.join(fixed(directory), "kubeconfig"),
                "--trace-path",
                f"/dev/fd/{pipe_end}",
            ],
            environment={**_environment(directory, work), **plan.model_environment},
            directory=work,
            limit=limit,
            stdin=prompt.encode(),
            enough=enough,
            each_look=look,
            rules=rules,
            pass_fds=(pipe_end,),
        )
    finally:
        for descriptor in (pipe, pipe_end, *([] if rules is None else [rules])):
            os.close(descriptor)
    done = _ending(settings["done"])
    return Result(
        session.Result(ended, history.entries(), log.decisions, trace),
        os.path.exists(settings["begun"]),
        done.get("status"),
        str(done.get("printed", "")),
    )


def _furnish(plan: session.Plan, task: Task, directory: str, work: str) -> dict[str, Any]:
    """Write what lies in the directory; returns the settings of the filter."""
    tools = os.path.join(fixed(directory), "bin")
    filter_file = os.path.join(tools, "filter.py")
    approved = os.path.join(fixed(directory), FILE)
    settings = {
        "kubectl": plan.kubectl,
        "log": os.path.join(work, "commands"),
        "most": COMMANDS,
        "environment": {**_environment(directory, work), **plan.network_environment},
        "change": task.change,
        "file": approved,
        "sha256": hashlib.sha256(task.content.encode()).hexdigest(),
        "begun": os.path.join(work, "begun"),
        "done": os.path.join(work, "done"),
        "read": {"types": task.types, "name": task.name, "namespace": task.namespace, "arguments": task.read},
    }
    os.makedirs(os.path.join(work, "home"), 0o700)
    os.makedirs(tools, 0o700)
    modules = (commands, *session._REDACTION)
    for path, text, mode in (
        (os.path.join(fixed(directory), "kubeconfig"), plan.kubeconfig, 0o600),
        (approved, task.content, 0o400),
        (os.path.join(tools, "filter.json"), json.dumps(settings), 0o400),
        (filter_file, inspect.getsource(cage_filter), 0o400),
        *((os.path.join(tools, *module.__name__.split(".")) + ".py", inspect.getsource(module), 0o400) for module in modules),
        (os.path.join(tools, "bash"), f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {shlex.quote(filter_file)} "$@"\n', 0o500),
    ):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w", encoding="utf-8") as file:
            file.write(text)
    return settings


def _environment(directory: str, work: str) -> dict[str, str]:
    home = os.path.join(work, "home")
    return {
        "PATH": f"{os.path.join(fixed(directory), 'bin')}:{session.SYSTEM_PATH}",
        "HOME": home,
        "XDG_CONFIG_HOME": os.path.join(home, ".config"),
        "TMPDIR": work,
        "KUBECONFIG": os.path.join(fixed(directory), "kubeconfig"),
    }


def _rules(plan: session.Plan, directory: str, work: str) -> list[tuple[str, int]]:
    """As for an opinion, with the working half as the private directory; the fixed half can be read."""
    return [
        *session._rules(plan, work),
        (fixed(directory), confine.READ_ONLY),
        (os.path.join(fixed(directory), "bin"), confine.READ_ONLY | confine.EXECUTE),
    ]


def _ending(path: str) -> Mapping[str, Any]:
    """How the command ended; empty as long as it has not."""
    try:
        with open(path, encoding="utf-8") as file:
            value = transcript.json_or_none(file.read())
    except OSError:
        return {}
    return value if isinstance(value, dict) else {}
