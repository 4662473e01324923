# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The evidence bundle: from one question to the text that a model gets.

Log lines, labels and event messages were written by strangers, who may address the model. They are sent as JSON strings
inside a block whose borders nobody can guess, without control or invisible characters, cut to length, and without secrets.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from typing import Any, Callable, Mapping, TypedDict

from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import plain
from ansible_collections.aiops.k8s.plugins.module_utils.engine.template import STANDARD, Template, fill

Redact = Callable[[str], "tuple[str, int]"]

EXCERPT_BYTES = 4_000
EVIDENCE_BYTES = 32_000
_FIELD, _NAME = 1_000, 253  # characters of any other text, and of a Kubernetes name
_ITEMS = 100  # evidence or remedies of one question
_KEPT_HEAD = 4  # of a long excerpt the first quarter is kept, and the end: the last lines of a log matter most
_SPARE = 4
_WORTHWHILE = 40  # bytes; of an excerpt that would get less, nothing is sent
_FINDING = ("code", "severity", "container", "title", "root_cause", "suggested_fix")
_OBJECT = ("kind", "namespace", "name")


class Evidence(TypedDict, total=False):
    id: str
    source: str
    time: str
    excerpt: str


class Remedy(TypedDict, total=False):
    id: str
    summary: str


class Figure(TypedDict):
    what: str
    ours: float
    low: float
    high: float


class Question(TypedDict, total=False):
    id: str
    finding: dict[str, Any]
    evidence: list[Evidence]
    remedies: list[Remedy]
    figures: dict[str, Figure]


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bytes of UTF-8 that one excerpt, and all excerpts of a question together, may take."""

    excerpt: int = EXCERPT_BYTES
    evidence: int = EVIDENCE_BYTES


@dataclasses.dataclass(frozen=True)
class Prompt:
    """The text as sent, and what was done to it."""

    text: str
    sha256: str
    remarks: tuple[str, ...]


def build(
    question: Mapping[str, Any],
    *,
    tools: str = "none",
    limits: Limits = Limits(),
    redact: Redact | None = None,
    template: Template = STANDARD,
) -> Prompt:
    """The prompt for one question.

    tools: what the engine may look into the cluster with, a key of template.TOOLS.
    redact: text -> (text without secrets, how many were found); the collection's own unless given.
    """
    cleaner = _Cleaner(redact or collection_redact())
    data, remarks = _data(question, limits, cleaner)
    text = fill(template.text, secrets.token_hex(12), data, tools, list(question.get("figures") or {}))
    if cleaner.redacted:
        remarks.append(f"secrets redacted before sending: {cleaner.redacted}")
    return Prompt(text, _sha256(text), tuple(remarks))


def asked_again(prompt: Prompt, reason: str) -> Prompt:
    """The same question, after an answer that could not be read."""
    said = json.dumps(plain(reason, _FIELD), ensure_ascii=False)
    text = (
        f"{prompt.text}\n\nYour first answer could not be used: {said}. Answer only with the one fenced json block, complete, and no other"
        " word."
    )
    return Prompt(text, _sha256(text), prompt.remarks)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def collection_redact() -> Redact:
    """The redaction that everything which leaves this collection goes through."""
    from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

    return redact  # type: ignore[no-any-return, unused-ignore]


class _Cleaner:
    """Redacts and strips text, and counts what was redacted."""

    def __init__(self, redact: Redact) -> None:
        self._redact, self.redacted = redact, 0

    def redacted_text(self, value: Any) -> str:
        text, count = self._redact("" if value is None else str(value))
        self.redacted += count
        return text

    def field(self, value: Any, limit: int = _FIELD) -> str:
        # redacted before it is cut: half a secret is no longer recognised, and is still half a secret
        return plain(self.redacted_text(value), limit)


def _data(question: Mapping[str, Any], limits: Limits, clean: _Cleaner) -> tuple[str, list[str]]:
    """The data block, one JSON value a line, and remarks on what was left out."""
    remarks: list[str] = []
    lines = [_line("finding", _finding(question.get("finding") or {}, clean))]
    left = limits.evidence
    for item in (question.get("evidence") or [])[:_ITEMS]:
        excerpt, cut = _excerpt(item.get("excerpt"), min(limits.excerpt, left), clean)
        left = max(0, left - len(excerpt.encode()))
        if cut:
            remarks.append(f"evidence {item.get('id')}: {cut} bytes not sent")
        fields = {name: clean.field(item.get(name)) for name in ("id", "source", "time")}
        lines.append(_line("evidence", {**fields, "excerpt": excerpt, **({"bytes_left_out": cut} if cut else {})}))
    lines += [
        _line("remedy", {name: clean.field(item.get(name)) for name in ("id", "summary")})
        for item in (question.get("remedies") or [])[:_ITEMS]
    ]
    lines += [
        _line("figure", {"name": name, "what": clean.field(item["what"]), **{key: item[key] for key in ("ours", "low", "high")}})
        for name, item in (question.get("figures") or {}).items()
    ]
    for name in ("evidence", "remedies"):
        more = len(question.get(name) or []) - _ITEMS
        if more > 0:
            remarks.append(f"{name}: {more} items not sent")
    return "\n".join(lines), remarks


def _excerpt(value: Any, limit: int, clean: _Cleaner) -> tuple[str, int]:
    """The excerpt as sent, and how many bytes were left out."""
    # First cut with room to spare: looking for secrets in megabytes is slow, and the final cut takes away what this one broke.
    text, first = _shorten("" if value is None else str(value), limit * _SPARE)
    text, second = _shorten(clean.redacted_text(text), limit)
    return plain(text, limit), first + second


def _finding(finding: Mapping[str, Any], clean: _Cleaner) -> dict[str, Any]:
    named = finding.get("object") or {}
    texts = {name: clean.field(finding[name]) for name in _FINDING if finding.get(name)}
    return {**texts, "object": {name: clean.field(named[name], _NAME) for name in _OBJECT if named.get(name)}}


def _line(kind: str, value: Mapping[str, Any]) -> str:
    return f"{kind} {json.dumps(value, ensure_ascii=False)}"


def _shorten(text: str, limit: int) -> tuple[str, int]:
    """The text in at most so many bytes, and how many bytes were left out."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text, 0
    marker = " […] "
    room = limit - len(marker.encode())
    if room < _WORTHWHILE:
        return "", len(data)
    head = room // _KEPT_HEAD
    kept = data[:head].decode("utf-8", "ignore") + marker + data[head - room :].decode("utf-8", "ignore")
    return kept, len(data) - room
