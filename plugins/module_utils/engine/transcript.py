# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What kubectl-ai leaves behind: the history of its session, and its output.

The history is the source of truth: it holds the model's own words, while standard output holds what a Markdown renderer
made of them.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import re
import time
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.engine.answer import ANSWER_BYTES
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Failure, Outcome, plain

_HISTORY_BYTES = 16 << 20
_SETTLED = 0.25  # seconds without a new entry after a last word; kubectl-ai sometimes never ends after it
_LAST_WORDS = re.compile(r"^(Error: |RunOnce mode cannot|Empty response|Maximum number of iterations)")


@dataclasses.dataclass(frozen=True)
class Entry:
    source: str
    kind: str
    text: str
    is_command_output: bool = False

    @property
    def is_answer(self) -> bool:
        return self.source == "model" and self.kind == "text"

    @property
    def is_last_word(self) -> bool:
        return self.is_answer or (self.source == "agent" and bool(_LAST_WORDS.match(self.text)))


class History:
    """The session history below a home directory, as far as it is written."""

    def __init__(self, home: str) -> None:
        self._pattern = os.path.join(home, ".kubectl-ai", "sessions", "*", "history.json")
        self._path = ""
        self._seen = (-1, False)

    def entries(self) -> list[Entry]:
        if not self._find():
            return []
        with open(self._path, "rb") as file:
            return parse(file.read(_HISTORY_BYTES).decode("utf-8", "replace"))

    def settled(self) -> bool:
        """Whether the last word is said, and has been for a moment."""
        if not self._find():
            return False
        status = os.stat(self._path)
        if time.time() - status.st_mtime < _SETTLED:
            return False
        if status.st_size != self._seen[0]:
            entries = self.entries()
            self._seen = (status.st_size, bool(entries) and entries[-1].is_last_word)
        return self._seen[1]

    def _find(self) -> bool:
        if not self._path:
            self._path = next(iter(glob.glob(self._pattern)), "")
        return bool(self._path)


def parse(text: str) -> list[Entry]:
    """The entries of a history: JSON lines, or one JSON array in older versions. What is cut off or broken is left out."""
    if text.lstrip().startswith("["):
        try:
            values = json.loads(text)
        except ValueError:
            values = []
    else:
        values = [value for value in map(json_or_none, text.splitlines()) if value is not None]
    return [_entry(value) for value in values if isinstance(value, dict)]


def answer(entries: list[Entry], stdout: str) -> str:
    """The model's last words; without a history, the fenced block in what was printed."""
    said = [entry.text for entry in entries if entry.is_answer]
    if entries:
        return said[-1] if said and entries[-1].is_answer else ""
    return _unrendered(stdout)


def failure(entries: list[Entry], stderr: str, status: int) -> Failure:
    spoken = next((entry.text for entry in reversed(entries) if entry.source == "agent" and entry.is_last_word), "")
    text = spoken or _first_error(stderr)
    known = named(text)
    if known:
        return known
    if _COMPLAINT.search(stderr) and not spoken:
        return Failure("unavailable", f"kubectl-ai got no answer: {plain(text, 300)}")
    if status == 0:
        return Failure("unparseable", EMPTY)
    return Failure("unavailable", f"kubectl-ai failed with status {status}: {plain(text, 300) or 'it said nothing'}")


def named(text: str) -> Failure | None:
    """The failure of a model or its provider that this text speaks of, or None."""
    for pattern, outcome, reason, again, endpoint in _FAILURES:
        match = pattern.search(text)
        if match:
            return Failure(outcome, reason.format(*(plain(" ".join(group.split()), 300) for group in match.groups())), again, endpoint)
    return None


class Complaint:
    """What kubectl-ai says only on standard error, before it waits for ever (v0.0.28, with ollama and llamacpp)."""

    def __init__(self, path: str) -> None:
        self._path, self._size = path, 0

    def heard(self) -> bool:
        try:
            size = os.path.getsize(self._path)
        except OSError:
            return False
        if size == self._size:
            return False
        self._size = size
        with open(self._path, "rb") as file:
            return bool(_COMPLAINT.search(file.read(_COMPLAINT_BYTES).decode("utf-8", "replace")))


_COMPLAINT = re.compile(r'"error sending streaming LLM response" err="((?:[^"\\\n]|\\.){0,2000})"')
_COMPLAINT_BYTES = 65_536
EMPTY = "the model gave an empty answer"
_AGAIN, _ENDPOINT = True, True
_ONCE, _QUESTION = False, False

# what kubectl-ai or its provider said -> outcome, reason, whether to try again, whether it is the endpoint. The first match counts.
_SAID: tuple[tuple[str, Outcome, str, bool, bool], ...] = (
    (
        r"require approval:\s*\n(.*?)(?:\nUse --skip-permissions|\Z)",
        "refused",
        "the engine wanted to run what it takes for a change, and was stopped: {}",
        _ONCE,
        _QUESTION,
    ),
    (r"model refused to respond: (.*)", "refused", "the model refused to answer: {}", _ONCE, _QUESTION),
    (
        r"fork/exec (\S+): (?:permission denied|operation not permitted)",
        "refused",
        "the engine wanted to start {}, which it may not",
        _ONCE,
        _QUESTION,
    ),
    (r"Empty response from LLM", "unparseable", EMPTY, _ONCE, _QUESTION),
    (
        r"Maximum number of iterations",
        "unparseable",
        "the model ran commands until its limit of rounds and gave no answer",
        _ONCE,
        _QUESTION,
    ),
    (
        r"\b(401 Unauthorized|403 Forbidden|api key not valid|invalid api key|unauthenticated)",
        "unavailable",
        "the provider does not accept the API key ({})",
        _ONCE,
        _ENDPOINT,
    ),
    (
        r"\b(404 Not Found|model \S{1,100} not found)",
        "unavailable",
        "the provider does not know the model or the address ({}): check the option model and the endpoint variable",
        _ONCE,
        _ENDPOINT,
    ),
    (r"\b(429)\b", "unavailable", "the provider's rate limit or quota is used up ({})", _AGAIN, _ENDPOINT),
    (
        r"\b(?:Error )?(5\d\d)(?: Internal Server Error| Bad Gateway| Service Unavailable| Gateway|, Message)",
        "unavailable",
        "the provider has a failure of its own ({})",
        _AGAIN,
        _ENDPOINT,
    ),
    (
        r"((?:dial tcp[^\n]*)?(?:connection refused|connection reset by peer)|unexpected EOF|: EOF\b)",
        "unavailable",
        "the model cannot be reached: {}",
        _AGAIN,
        _ENDPOINT,
    ),
    (
        r"(dial tcp[^\n]*|no such host|x509:[^\n]*|proxyconnect[^\n]*|i/o timeout|tls:[^\n]*)",
        "unavailable",
        "the model cannot be reached: {}",
        _ONCE,
        _ENDPOINT,
    ),
    (r"unknown flag: (\S+)", "unavailable", "this kubectl-ai is too old, it does not know {}: use v0.0.28 or newer", _ONCE, _ENDPOINT),
)
_FAILURES = [(re.compile(row[0], re.DOTALL | re.IGNORECASE), *row[1:]) for row in _SAID]


def json_or_none(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _entry(value: dict[str, Any]) -> Entry:
    payload = value.get("Payload")
    ran = isinstance(payload, dict) and bool({"stdout", "exit_code"} & set(payload))
    return Entry(str(value.get("Source")), str(value.get("Type")), payload if isinstance(payload, str) else "", ran)


def _first_error(stderr: str) -> str:
    complaint = _COMPLAINT.search(stderr)
    if complaint:
        return complaint[1].replace('\\"', '"')
    lines = [line for line in stderr.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("Error:")), lines[-1] if lines else "")


def _unrendered(stdout: str) -> str:
    """The last JSON object of the output, with the line breaks of the renderer taken out of it."""
    text = plain(stdout, ANSWER_BYTES)
    start, end = text.rfind("\n    {"), text.rfind("}")
    return re.sub(r" *\n *", " ", text[start : end + 1]) if 0 <= start < end else ""
