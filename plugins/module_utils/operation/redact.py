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
    re.compile(r"(?P<keep>)\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
    re.compile(r"(?P<keep>)\bglpat-[A-Za-z0-9_-]{16,}"),
    re.compile(r"(?P<keep>)\bxox[abprs]-[A-Za-z0-9-]{10,}"),  # Slack
    re.compile(r"(?P<keep>)\bAIza[A-Za-z0-9_-]{30,}"),  # Google
    re.compile(r"(?P<keep>)\bsk-[A-Za-z0-9_-]{16,}"),  # model providers
    re.compile(r"(?P<keep>\b(?i:bearer|basic)[ \t]+)(?=\S*(?:[0-9=]|[a-z][A-Z]))[A-Za-z0-9+/=._~-]{8,}"),  # not "basic authentication"
    re.compile(
        r"(?i)(?P<keep>\b(?:(?:proxy-)?authorization|(?:set-)?cookie)[\"']?[ \t]*[:=][ \t]*[\"']?(?:(?:bearer|basic|digest|token)[ \t]+)?+)"
        r"(?!\[redacted\])[^\s\"'][^\n\"']*"
    ),
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,256}:)(?!\[redacted\])[^\s@/]+(?=@)", re.IGNORECASE),  # user:password@host
]
# name = value, name: value, "name": "value"
_ASSIGNED = re.compile(
    rf"(?i)(?P<keep>(?P<name>{_NAMES}s?)(?P<quote>[\"']?)[ \t]*(?P<sign>[=:])(?P<gap>[ \t]*))"
    r"(?P<value>\"[^\"\n]+\"|'[^'\n]+'|[^\s,;}\"']+)"
)
_SYMBOL = re.compile(r"[!@#$%^&*+=~]")
_SENTENCE = re.compile(r"[ \t]+\w")
_PROSE = ("token", "auth", "secret", "credential")  # names that stand before a colon in sentences: "cannot fetch token: 400 Bad Request"
_TRIVIAL = re.compile(r"(?i)^[\"']?(?:true|false|yes|no|on|off|null|none|nil|\W{0,2})[\"']?$")
_NAMES_A_FILE = re.compile(r"(?i)(?:file|path|dir)$")


def redact(text: str) -> tuple[str, int]:
    """(text without secrets, how many were taken out)."""
    taken = 0
    for pattern in _PATTERNS:
        text, count = pattern.subn(lambda match: match.group("keep") + MASK, text)
        taken += count

    def mask(match: re.Match[str]) -> str:
        nonlocal taken
        if not _is_secret(match):
            return match.group()
        taken += 1
        return match["keep"] + MASK

    text = _ASSIGNED.sub(mask, text)
    return text, taken


def _is_secret(match: re.Match[str]) -> bool:
    """Whether an assignment gives a secret away. Words, paths, ports and image tags behind a colon do not."""
    name, value = match["name"].lower(), match["value"]
    if value.startswith(MASK) or _TRIVIAL.match(value) or name in ("authorization", "cookie"):  # headers have their own pattern
        return False
    if match["sign"] == "=":
        return not (name == "pwd" and value.startswith("/")) and not (name == "tokens" and value.isdigit())
    if match["quote"] and value[0] in "\"'":
        return True
    if match.string[: match.start()].endswith("/"):
        return False  # /etc/passwd: Permission denied, "/etc/passwd": is a directory, shop/auth:1.4
    if match["quote"]:
        return True
    if not match["gap"]:
        return name != "auth" and _looks_random(value)
    return name.rstrip("s") not in _PROSE or not _SENTENCE.match(match.string, match.end()) or _looks_random(value)


def _looks_random(value: str) -> bool:
    return bool(_SYMBOL.search(value)) or (any(letter.isdigit() for letter in value) and any(letter.isalpha() for letter in value))


def holds_secret(name: str, value: Any) -> bool:
    """Whether a named value looks like a secret, by its name or by itself."""
    if not isinstance(value, str) or not value:
        return False
    named = bool(SECRET_NAME.search(f"_{name}_")) and not _TRIVIAL.match(value)
    return (named and not (_NAMES_A_FILE.search(name) and value.startswith("/"))) or redact(value)[1] > 0


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
