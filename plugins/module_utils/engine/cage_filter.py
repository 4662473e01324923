# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which commands of an engine in the cage are run: the one approved change, once, and reading the object that it is about.

It takes the place of bash as the module ``commands`` does, and is copied beside the engine like it. What is run is never made of the
model's words: it is one of our own argument lists, chosen when the words are those that were asked for.

Settings (filter.json, beside this file): kubectl (path), environment, log, most; change (argument list), file and sha256 (what it
sends), begun (a file that is there once it was started), done (JSON {status, printed} once it has ended); read ({types, name,
namespace, arguments}).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shlex
import sys
from typing import Any, Mapping

FORMATS = ("yaml", "json", "wide", "name")
_CANNOT_EXECUTE = 126  # as a shell says it
_PRINTED = 2000  # characters of what the change printed that are kept


class Refused(ValueError):
    """Why a command is not run, in words for the model."""


def decide(command: str, settings: Mapping[str, Any]) -> tuple[list[str], bool]:
    """(arguments for kubectl, whether it is the change). Raises Refused."""
    try:
        lexer = shlex.shlex(command.strip(), posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        words = list(lexer)
    except ValueError as error:
        raise Refused(f"the command cannot be read: {error}") from None
    if "\n" not in command.strip():
        if words == ["kubectl", *settings["change"]]:
            return list(settings["change"]), True
        form = _reading(words, settings["read"])
        if form is not None:
            return [*settings["read"]["arguments"], *(["-o", form] if form else [])], False
    one, other = wording(settings["change"]), wording([*settings["read"]["arguments"], "-o", "yaml"])
    raise Refused(f"only two commands are run here, exactly as they stand: `{one}` and `{other}`")


def wording(arguments: list[str]) -> str:
    """A command as the model has to write it."""
    return shlex.join(["kubectl", *arguments])


def _reading(words: list[str], read: Mapping[str, Any]) -> str | None:
    """The output format ("" without one) where the words read the object of this run in its namespace, else None."""
    if words[:2] != ["kubectl", "get"]:
        return None
    plain: list[str] = []
    options = {"-n": "", "-o": ""}
    rest = iter(words[2:])
    for word in rest:
        if not word.startswith("-"):
            plain += word.split("/")
            continue
        name, equals, value = word.partition("=")
        name = {"--namespace": "-n", "--output": "-o"}.get(name, name)
        if name not in options or options[name]:
            return None
        options[name] = value if equals else next(rest, "")
        if not options[name]:
            return None
    named = len(plain) == 2 and plain[0].lower() in read["types"] and plain[1] == read["name"]
    if not named or options["-n"] != read["namespace"] or options["-o"] not in ("", *FORMATS):
        return None
    return options["-o"]


def begin(settings: Mapping[str, Any]) -> None:
    """Claim the only time that the change is made. Raises Refused when it was claimed, or the file is not the approved one."""
    with open(settings["file"], "rb") as file:
        if hashlib.sha256(file.read()).hexdigest() != settings["sha256"]:
            raise Refused("the file is not the approved one any more")
    try:
        os.close(os.open(settings["begun"], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise Refused("the change was made, or tried, already: it is run once") from None


def main() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    from ansible_collections.aiops.k8s.plugins.module_utils.engine import commands  # the copy in this directory

    with open(os.path.join(here, "filter.json"), encoding="utf-8") as file:
        settings = json.load(file)
    command = sys.argv[2] if sys.argv[1:2] == ["-c"] and len(sys.argv) > 2 else " ".join(sys.argv[1:])
    refusal, changes = "", False
    arguments: list[str] = []
    try:
        if commands._seen(settings["log"]) >= settings["most"]:
            raise Refused(f"this run had its {settings['most']} commands")
        arguments, changes = decide(command, settings)
        if changes:
            begin(settings)
    except Refused as error:
        refusal = str(error)
    with open(settings["log"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"command": command, "refusal": refusal}) + "\n")
    if refusal:
        sys.stderr.write(f"refused: {refusal}\n")
        raise SystemExit(_CANNOT_EXECUTE)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = commands._run(settings, arguments)
    sys.stderr.write(said.getvalue())
    if changes:
        _note(settings["done"], {"status": status, "printed": said.getvalue()[:_PRINTED]})
    raise SystemExit(status)


def _note(path: str, value: Mapping[str, Any]) -> None:
    """As one step, since somebody waits for the file."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(f"{path}.new", path)


if __name__ == "__main__":
    main()
