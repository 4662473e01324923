# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One run of kubectl-ai in a private directory: what it finds there, what it may reach, what it leaves behind."""

from __future__ import annotations

import dataclasses
import glob
import inspect
import json
import os
import shlex
import sys
from typing import Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.engine import commands, confine, process, transcript
from ansible_collections.aiops.k8s.plugins.module_utils.engine.trace import Trace
from ansible_collections.aiops.k8s.plugins.module_utils.operation import redact, secret_names, secret_shapes

# In front of them only the command filter: the engine finds it where it looks for bash.
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_REDACTION = (redact, secret_names, secret_shapes)  # what the filter imports: it is copied under its own name, to be found there as here
ROUNDS, COMMANDS = 10, 20  # rounds of a model, and commands of one run: after that it has to answer
_ARGUMENTS = ("--quiet", "--new-session", "--remove-workdir", f"--max-iterations={ROUNDS}")
_STORE = "--session-backend=filesystem"  # older versions have no other, and do not know the option

# What the engine and its children may read besides their own directory: programs and libraries, names, certificates.
_READABLE = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
)
_LOADERS = ("/lib*/ld-*.so*", "/lib/*/ld-*.so*", "/usr/lib*/ld-*.so*", "/usr/lib/*/ld-*.so*")  # start every dynamic program


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to run. kubectl: its path, or empty when the engine gets no cluster."""

    binary: str
    provider: str
    model: str
    kubectl: str
    kubeconfig: str
    model_environment: Mapping[str, str]
    network_environment: Mapping[str, str]
    readable_files: tuple[str, ...]
    confined: bool


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of it. decisions: (command, reason of refusal or empty) in the order in which the filter saw them."""

    ended: process.Ended
    entries: list[transcript.Entry]
    decisions: list[tuple[str, str]]
    trace: Trace

    @property
    def went_past_the_filter(self) -> bool:
        return sum(1 for entry in self.entries if entry.is_command_output) > len(self.decisions)

    @property
    def heard(self) -> bool:
        """Whether the endpoint sent anything at all."""
        return self.trace.responses > 0 or bool(self.decisions) or any(entry.source == "model" for entry in self.entries)


def steps(plan: Plan, prompt: str, directory: str, limit: float, decided: Callable[[str, str], object]) -> process.Steps[Result]:
    """Ask once, at most ``limit`` seconds, in an empty private directory. Raises OSError when the program cannot be started.

    decided: told at once of each command, with the reason when it was refused.
    """
    home = os.path.join(directory, "home")
    _furnish(plan, directory, home)
    history, trace = transcript.History(home), Trace()
    complaint = transcript.Complaint(os.path.join(directory, "stderr"))
    log = _Log(os.path.join(directory, "commands"), decided)
    pipe, pipe_end = os.pipe()
    rules = confine.ruleset(_rules(plan, directory)) if plan.confined and confine.version() else None

    def look() -> None:
        _drain(pipe, trace)
        log.read()

    try:
        os.set_blocking(pipe, False)
        # The question goes in on standard input: arguments can be read by every user of the machine.
        command = [
            plan.binary,
            *_ARGUMENTS,
            _STORE,
            "--llm-provider",
            plan.provider,
            "--model",
            plan.model,
            "--kubeconfig",
            os.path.join(directory, "kubeconfig"),
            "--trace-path",
            f"/dev/fd/{pipe_end}",
        ]
        for _attempt in (1, 2):
            ended = yield from process.steps(
                command,
                environment={**_environment(directory, home), **plan.model_environment},
                directory=directory,
                limit=limit,
                stdin=prompt.encode(),
                enough=lambda: history.settled() or complaint.heard(),
                each_look=look,
                rules=rules,
                pass_fds=(pipe_end,),
            )
            if f"unknown flag: {_STORE.split('=', maxsplit=1)[0]}" not in ended.stderr:
                break
            command.remove(_STORE)
    finally:
        for descriptor in (pipe, pipe_end, *([] if rules is None else [rules])):
            os.close(descriptor)
    return Result(ended, history.entries(), log.decisions, trace)


def _furnish(plan: Plan, directory: str, home: str) -> None:
    tools = os.path.join(directory, "bin")
    filter_file = os.path.join(tools, "filter.py")
    settings = {
        "kubectl": plan.kubectl,
        "log": os.path.join(directory, "commands"),
        "most": COMMANDS,
        "environment": {**_environment(directory, home), **plan.network_environment},
    }
    os.makedirs(home)
    os.makedirs(tools)
    for path, text in (
        (os.path.join(directory, "kubeconfig"), plan.kubeconfig),
        (os.path.join(tools, "filter.json"), json.dumps(settings)),
        (filter_file, inspect.getsource(commands)),
        *((os.path.join(tools, *module.__name__.split(".")) + ".py", inspect.getsource(module)) for module in _REDACTION),
        (os.path.join(tools, "bash"), f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {shlex.quote(filter_file)} "$@"\n'),
    ):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    os.chmod(os.path.join(tools, "bash"), 0o700)


def _environment(directory: str, home: str) -> dict[str, str]:
    return {
        "PATH": f"{os.path.join(directory, 'bin')}:{SYSTEM_PATH}",
        "HOME": home,
        "XDG_CONFIG_HOME": os.path.join(home, ".config"),
        "TMPDIR": directory,
        "KUBECONFIG": os.path.join(directory, "kubeconfig"),
    }


def _rules(plan: Plan, directory: str) -> list[tuple[str, int]]:
    """What the engine may reach, as rules of the kernel. Everything else it may not."""
    loaders = [path for pattern in _LOADERS for path in glob.glob(pattern)]
    programs = [plan.binary, "/bin/sh", sys.executable, *([plan.kubectl] if plan.kubectl else []), *loaders]
    return [
        *((path, confine.READ_ONLY) for path in (*_READABLE, sys.prefix, sys.base_prefix, *plan.readable_files)),
        *((os.path.realpath(path), confine.READ | confine.EXECUTE) for path in programs),
        ("/dev/null", confine.READ | confine.WRITE),
        (directory, confine.EVERYTHING_BUT_EXECUTE),
        (os.path.join(directory, "bin"), confine.READ_ONLY | confine.EXECUTE),
    ]


def _drain(pipe: int, trace: Trace) -> None:
    try:
        while piece := os.read(pipe, 1 << 20):
            trace.feed(piece)
    except BlockingIOError:
        pass


class _Log:
    """What the filter writes about each command, read as it grows."""

    def __init__(self, path: str, decided: Callable[[str, str], object]) -> None:
        self._path, self._decided = path, decided
        self._place = 0
        self.decisions: list[tuple[str, str]] = []

    def read(self) -> None:
        try:
            if os.path.getsize(self._path) == self._place:
                return
            with open(self._path, "rb") as file:
                file.seek(self._place)
                complete, end, _rest = file.read(process.OUTPUT_BYTES).rpartition(b"\n")
        except OSError:
            return
        self._place += len(complete) + len(end)
        values = map(transcript.json_or_none, complete.decode("utf-8", "replace").splitlines())
        for value in (value for value in values if isinstance(value, dict)):
            self.decisions.append((str(value.get("command", "")), str(value.get("refusal", ""))))
            self._decided(*self.decisions[-1])
