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
from typing import Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.engine import commands, confine, process, transcript
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Tokens
from ansible_collections.aiops.k8s.plugins.module_utils.operation import redact, secret_names, secret_shapes

# In front of them only the command filter: the engine finds it where it looks for bash.
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_REDACTION = (redact, secret_names, secret_shapes)  # what the filter imports: it is copied under its own name, to be found there as here
_ARGUMENTS = ("--quiet", "--new-session", "--remove-workdir", "--max-iterations=10")
_STORE = "--session-backend=filesystem"  # older versions have no other, and do not know the option

# What the engine and its children may read besides their own directory: programs and libraries, names, certificates.
_READABLE = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/resolv.conf",
    "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/ld.so.cache", "/etc/localtime",
    "/dev/urandom", "/dev/random", "/dev/zero",
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
    """What came of it. allowed, refused: commands that the filter let through and stopped, the latter with the reason."""

    ended: process.Ended
    entries: list[transcript.Entry]
    allowed: list[str]
    refused: list[tuple[str, str]]
    tokens: Tokens | None

    @property
    def went_past_the_filter(self) -> bool:
        return sum(1 for entry in self.entries if entry.is_command_output) > len(self.allowed) + len(self.refused)


def run(plan: Plan, prompt: str, directory: str, limit: float) -> Result:
    """Ask once, at most ``limit`` seconds, in an empty private directory. Raises OSError when the program cannot be started."""
    home = os.path.join(directory, "home")
    _furnish(plan, directory, home)
    history, tokens = transcript.History(home), transcript.TokenCount()
    trace, trace_end = os.pipe()
    rules = confine.ruleset(_rules(plan, directory)) if plan.confined and confine.version() else None
    try:
        os.set_blocking(trace, False)
        # The question goes in on standard input: arguments can be read by every user of the machine.
        command = [
            plan.binary, *_ARGUMENTS, _STORE, "--llm-provider", plan.provider, "--model", plan.model,
            "--kubeconfig", os.path.join(directory, "kubeconfig"), "--trace-path", f"/dev/fd/{trace_end}",
        ]
        for _attempt in (1, 2):
            ended = process.run(
                command, environment={**_environment(directory, home), **plan.model_environment}, directory=directory, limit=limit,
                stdin=prompt.encode(), enough=history.settled, each_look=lambda: _drain(trace, tokens), rules=rules, pass_fds=(trace_end,),
            )
            if f"unknown flag: {_STORE.split('=', maxsplit=1)[0]}" not in ended.stderr:
                break
            command.remove(_STORE)
    finally:
        for descriptor in (trace, trace_end, *([] if rules is None else [rules])):
            os.close(descriptor)
    decisions = _decisions(directory)
    return Result(
        ended, history.entries(), [command for command, refusal in decisions if not refusal],
        [(command, refusal) for command, refusal in decisions if refusal], tokens.total(),
    )


def _furnish(plan: Plan, directory: str, home: str) -> None:
    tools = os.path.join(directory, "bin")
    filter_file = os.path.join(tools, "filter.py")
    settings = {
        "kubectl": plan.kubectl, "log": os.path.join(directory, "commands"),
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
        "PATH": f"{os.path.join(directory, 'bin')}:{SYSTEM_PATH}", "HOME": home, "XDG_CONFIG_HOME": os.path.join(home, ".config"),
        "TMPDIR": directory, "KUBECONFIG": os.path.join(directory, "kubeconfig"),
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


def _drain(trace: int, tokens: transcript.TokenCount) -> None:
    try:
        while piece := os.read(trace, 1 << 20):
            tokens.feed(piece)
    except BlockingIOError:
        pass


def _decisions(directory: str) -> list[tuple[str, str]]:
    """(command, reason of refusal or empty) in the order in which the filter saw them."""
    try:
        with open(os.path.join(directory, "commands"), encoding="utf-8", errors="replace") as file:
            lines = file.read(process.OUTPUT_BYTES).splitlines()
    except OSError:
        return []
    values = [value for value in map(transcript.json_or_none, lines) if isinstance(value, dict)]
    return [(str(value.get("command", "")), str(value.get("refusal", ""))) for value in values]
