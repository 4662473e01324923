# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Takes secrets out of text and objects before they are written, shown or sent to a model; says how many it took."""

from __future__ import annotations

import re
from typing import Any

MASK = "[redacted]"

_NAMES = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|auth(?:orization)?|client[_-]?secret|cookie|dsn)"
SECRET_NAME = re.compile(rf"(?i)(?:^|[^a-z]){_NAMES}s?(?:$|[^a-z])")

# each pattern keeps its group "keep" and masks the rest
_PATTERNS = [
    re.compile(r"(?P<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"(?P<keep>)\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),  # JWT
    re.compile(r"(?P<keep>)\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),  # AWS
    re.compile(r"(?P<keep>)\bgh[pousr]_[A-Za-z0-9]{30,}\b|\bgithub_pat_[A-Za-z0-9_]{30,}"),
    re.compile(r"(?P<keep>)\bglpat-[A-Za-z0-9_-]{16,}"),
    re.compile(r"(?P<keep>)\bxox[abprs]-[A-Za-z0-9-]{10,}"),  # Slack
    re.compile(r"(?P<keep>)\bAIza[A-Za-z0-9_-]{30,}"),  # Google
    re.compile(r"(?P<keep>)\bsk-[A-Za-z0-9_-]{16,}"),  # model providers
    re.compile(r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{8,}"),
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,256}:)[^\s@/]+(?=@)", re.IGNORECASE),  # user:password@host
    re.compile(rf"(?i)(?P<keep>{_NAMES}s?[\"']?\s*[=:]\s*)(?!\[redacted\])(?:\"[^\"]+\"|'[^']+'|[^\s,;}}\"']+)"),
]


def redact(text: str) -> tuple[str, int]:
    """(text without secrets, how many were taken out)."""
    taken = 0
    for pattern in _PATTERNS:
        text, count = pattern.subn(lambda match: match.group("keep") + MASK, text)
        taken += count
    return text, taken


def holds_secret(name: str, value: Any) -> bool:
    """Whether a named value looks like a secret, by its name or by itself."""
    return isinstance(value, str) and bool(value) and (bool(SECRET_NAME.search(f"_{name}_")) or redact(value)[1] > 0)


def redact_object(document: Any) -> Any:
    """A copy of an API object without literal secrets: env values, annotations that repeat the object, managed fields."""
    if isinstance(document, list):
        return [redact_object(item) for item in document]
    if not isinstance(document, dict):
        return redact(document)[0] if isinstance(document, str) else document
    if isinstance(document.get("name"), str) and "value" in document and holds_secret(document["name"], document["value"]):
        return {**document, "value": MASK}
    dropped = ("managedFields", "kubectl.kubernetes.io/last-applied-configuration")
    return {key: redact_object(value) for key, value in document.items() if key not in dropped}
