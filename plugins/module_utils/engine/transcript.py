# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What kubectl-ai leaves behind: the history of its session, its output, and its trace of model calls.

The history is the source of truth: it holds the model's own words, while standard output holds what a Markdown renderer
made of them. The trace holds the API key in clear; it is read from a pipe, for token counts only, and never stored.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import re
import time
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import ANSWER_BYTES, Outcome, Tokens, plain

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


def failure(entries: list[Entry], stderr: str, status: int) -> tuple[Outcome, str]:
    """Why there is no answer."""
    spoken = next((entry.text for entry in reversed(entries) if entry.source == "agent" and entry.is_last_word), "")
    text = spoken or _first_error(stderr)
    for pattern, outcome, reason in _FAILURES:
        match = pattern.search(text)
        if match:
            return outcome, reason.format(*(plain(" ".join(group.split()), 300) for group in match.groups()))
    if status == 0:
        return "unparseable", "the model gave an empty answer"
    return "unavailable", f"kubectl-ai failed with status {status}: {plain(text, 300) or 'it said nothing'}"


# what kubectl-ai or its provider said -> outcome, reason. The first match counts.
_SAID: tuple[tuple[str, Outcome, str], ...] = (
    (r"require approval:\s*\n(.*?)(?:\nUse --skip-permissions|\Z)", "refused", "the engine wanted to run what it takes for a change, and was stopped: {}"),
    (r"model refused to respond: (.*)", "refused", "the model refused to answer: {}"),
    (r"fork/exec (\S+): (?:permission denied|operation not permitted)", "refused", "the engine wanted to start {}, which it may not"),
    (r"Empty response from LLM", "unparseable", "the model gave an empty answer"),
    (r"Maximum number of iterations", "unparseable", "the model ran commands until its limit of rounds and gave no answer"),
    (r"\b(401 Unauthorized|403 Forbidden|api key not valid|invalid api key|unauthenticated)", "unavailable", "the provider does not accept the API key: {}"),
    (r"\b(404) Not Found", "unavailable", "the provider does not know the model or the address ({}): check the option model and the endpoint variable"),
    (r"\b(429)\b", "unavailable", "the provider's rate limit or quota is used up ({})"),
    (r"\b(5\d\d) (?:Internal Server Error|Bad Gateway|Service Unavailable|Gateway)", "unavailable", "the provider has a failure of its own ({})"),
    (r"(dial tcp[^\n]*|no such host|x509:[^\n]*|proxyconnect[^\n]*|i/o timeout|tls:[^\n]*)", "unavailable", "the model cannot be reached: {}"),
    (r"unknown flag: (\S+)", "unavailable", "this kubectl-ai is too old, it does not know {}: use v0.0.28 or newer"),
)
_FAILURES = [(re.compile(pattern, re.DOTALL | re.IGNORECASE), outcome, reason) for pattern, outcome, reason in _SAID]


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
    lines = [line for line in stderr.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("Error:")), lines[-1] if lines else "")


def _unrendered(stdout: str) -> str:
    """The last JSON object of the output, with the line breaks of the renderer taken out of it."""
    text = plain(stdout, ANSWER_BYTES)
    start, end = text.rfind("\n    {"), text.rfind("}")
    return re.sub(r" *\n *", " ", text[start:end + 1]) if 0 <= start < end else ""


class TokenCount:
    """Adds up the token counts in a trace that arrives in pieces."""

    _NAMES = {
        "prompt": re.compile(rb'(?:prompt_tokens|promptTokenCount)\\?":\s*(\d{1,9})'),
        "completion": re.compile(rb'(?:completion_tokens|candidatesTokenCount)\\?":\s*(\d{1,9})'),
    }

    def __init__(self) -> None:
        self._pending = b""
        self._sum: dict[str, int] = {}

    def feed(self, piece: bytes) -> None:
        *complete, self._pending = (self._pending + piece).split(b"\n---\n")
        if len(self._pending) > _HISTORY_BYTES:
            self._pending = b""
        for event in complete:
            if event.lstrip().startswith(b"action: http.response"):
                self._count(event)

    def total(self) -> Tokens | None:
        return Tokens(prompt=self._sum.get("prompt", 0), completion=self._sum.get("completion", 0)) if self._sum else None

    def _count(self, event: bytes) -> None:
        for name, pattern in self._NAMES.items():
            counts = pattern.findall(event)
            if counts:  # a stream repeats its count, growing
                self._sum[name] = self._sum.get(name, 0) + int(counts[-1])
