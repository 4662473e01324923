# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which commands of an engine are run: single read-only kubectl commands with harmless options, and no shell.

kubectl-ai runs every command of its model as ``bash -c COMMAND`` with the bash that it finds first on its PATH. That one is
this file: it takes the command apart itself, so nothing is expanded, redirected or chained, refuses what is not listed
here, and starts kubectl without the API key of the model in its environment. What kubectl prints goes to the model without
secrets and cut to a limit. A refusal goes to it too: it can then ask for something else. The file stands alone: it is copied
beside the engine, together with the redaction, and started as a program.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import Any

VERBS = {
    "get",
    "describe",
    "logs",
    "top",
    "events",
    "explain",
    "api-resources",
    "api-versions",
    "version",
    "cluster-info",
    "rollout history",
    "rollout status",
    "auth can-i",
}
_FIRST_WORDS = {verb.split()[0] for verb in VERBS if " " in verb}

# Everything else is refused: --kubeconfig, --server, --token and --as change who asks whom, --filename, --raw and
# --cache-dir reach files or any path, --watch and --follow never end, --v=9 prints headers.
OPTIONS = {
    "--all-containers",
    "--all-namespaces",
    "--api-group",
    "--api-version",
    "--chunk-size",
    "--container",
    "--containers",
    "--field-selector",
    "--for",
    "--ignore-not-found",
    "--label-columns",
    "--limit-bytes",
    "--list",
    "--max-log-requests",
    "--namespace",
    "--namespaced",
    "--no-headers",
    "--output",
    "--prefix",
    "--previous",
    "--recursive",
    "--request-timeout",
    "--revision",
    "--selector",
    "--show-events",
    "--show-kind",
    "--show-labels",
    "--show-managed-fields",
    "--since",
    "--since-time",
    "--sort-by",
    "--subresource",
    "--sum",
    "--tail",
    "--template",
    "--timestamps",
    "--types",
    "--verbs",
}
_SWITCHES = {"-A", "-p"}  # take no value: another letter behind them would be another option
_WITH_VALUE = {"-n", "-l", "-o", "-c", "-L"}
_SHELL = set("();<>|&")
_CANNOT_EXECUTE = 126  # as a shell says it
_OUTPUT_BYTES = 32_000  # of one command that the model gets


class Refused(ValueError):
    """Why a command is not run, in words for the model."""


def arguments(command: str) -> list[str]:
    """What to give to kubectl. Raises Refused."""
    try:
        lexer = shlex.shlex(command.strip(), posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        words = list(lexer)
    except ValueError as error:
        raise Refused(f"the command cannot be read: {error}") from None
    if "\n" in command.strip() or any(set(word) <= _SHELL for word in words if word):
        raise Refused("only one plain command: no pipe, redirection, substitution or second command")
    if len(words) < 2 or words[0] != "kubectl":
        raise Refused("only kubectl can be run")
    verb = " ".join(words[1:3]) if words[1] in _FIRST_WORDS else words[1]
    if verb not in VERBS:
        raise Refused(f"kubectl {verb} is not a read-only command of this list: {', '.join(sorted(VERBS))}")
    for word in words[1:]:
        _check(word)
    return words[1:]


def _check(word: str) -> None:
    if not word.startswith("-"):
        harmless = True
    elif word.startswith("--"):
        harmless = word.split("=", 1)[0] in OPTIONS
    else:
        harmless = word in _SWITCHES or word[:2] in _WITH_VALUE
    if not harmless:
        raise Refused(f"the option {word.split('=', 1)[0]} is not allowed here")
    if any(kind in word for kind in ("template-file", "jsonpath-file", "columns-file")):
        raise Refused("an output format cannot come from a file")


def without_secrets(text: str, redaction: Any) -> str:
    """What a command printed, as the model gets it. redaction: the collection's module of that name."""
    text = str(redaction.redact(text)[0])

    def mask(match: re.Match[str]) -> str:
        secret = redaction.holds_secret(match["name"], match["value"])
        return match["before"] + redaction.MASK if secret else match[0]

    return _ENVIRONMENT_VALUE.sub(mask, text)


# `name: DB_PASSWORD` and on the next line `value: ...`, in YAML and in JSON
_ENVIRONMENT_VALUE = re.compile(
    r"""(?P<before>["']?\bname["']?: ?["']?(?P<name>[\w.-]{1,253})["']?,?[ ]*\n[ ]*["']?value["']?: ?)(?P<value>"[^"\n]*"|[^\n]*)"""
)


def main() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "filter.json"), encoding="utf-8") as file:
        settings = json.load(file)
    command = sys.argv[2] if sys.argv[1:2] == ["-c"] and len(sys.argv) > 2 else " ".join(sys.argv[1:])
    refusal = ""
    try:
        if _seen(settings["log"]) >= settings["most"]:
            raise Refused(f"this run had its {settings['most']} commands: give your answer now, from what you know")
        rest = arguments(command)
        if not settings["kubectl"]:
            raise Refused("there is no access to the cluster in this run; answer from the evidence that you were given")
    except Refused as error:
        refusal, rest = str(error), []
    with open(settings["log"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"command": command, "refusal": refusal}) + "\n")
    if refusal:
        sys.stderr.write(f"refused: {refusal}\n")
        raise SystemExit(_CANNOT_EXECUTE)
    sys.path.insert(0, here)
    raise SystemExit(_run(settings, rest))


def _seen(log: str) -> int:
    """How many commands there were before, allowed or not."""
    try:
        with open(log, "rb") as file:
            return sum(1 for _line in file)
    except FileNotFoundError:
        return 0


def _run(settings: dict[str, Any], rest: list[str]) -> int:
    import subprocess
    import threading

    from ansible_collections.aiops.k8s.plugins.module_utils.operation import redact  # the copy in this directory

    process = subprocess.Popen(
        ["kubectl", *rest],
        executable=settings["kubectl"],
        env=settings["environment"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    found: dict[str, tuple[bytes, int]] = {}

    def take(name: str, pipe: Any) -> None:
        """Keep the beginning and count the rest: all pods of a big cluster would fill the memory."""
        data, more = pipe.read(_OUTPUT_BYTES), 0
        while piece := pipe.read(1 << 16):
            more += len(piece)
        found[name] = data, more

    readers = [threading.Thread(target=take, args=pair) for pair in (("stdout", process.stdout), ("stderr", process.stderr))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        data, more = found[name]
        stream.write(without_secrets(data.decode("utf-8", "replace"), redact))
        if more:
            stream.write(f"\n[{more} bytes left out: ask for less]\n")
    return process.wait()


if __name__ == "__main__":
    main()
