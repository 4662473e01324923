# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A message: a title in one line, lines of plain text, a severity, and facts. Each channel gets it in its own form.

Titles and texts hold names from clusters and are not trusted: control characters, line breaks in the title, Slack's mark-up and
calls to @channel do not get through, and everything has a limit (characters, lines, depth).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.operation.screen import printable

SEVERITIES = ("info", "warning", "critical")
_TITLE = 150  # characters, as mail programs and telephones show
_LINE = 1000
_LINES = 200
_SLACK = 3500  # Slack cuts longer messages into pieces
_DEEP = 4  # levels of facts
_MANY = 200  # entries of one list or mapping of facts
_CALLS = re.compile(
    r"(?<=@)(?=(?:all|channel|everyone|here)\b)|(?<=<)(?=\S)", re.IGNORECASE
)  # behind the sign that begins a call or a link
_APART = "\N{ZERO WIDTH SPACE}"


@dataclass(frozen=True)
class Message:
    """``facts``: values that programs read; those that are no list or mapping also stand below the text."""

    title: str
    lines: tuple[str, ...]
    severity: str = "info"
    facts: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """What a webhook gets as JSON. Many chats read such texts as Slack does, so they call nobody; ``facts`` are exact."""
        text = _CALLS.sub(_APART, "\n".join(self.lines))
        return {"title": _CALLS.sub(_APART, self.title), "text": text, "severity": self.severity, "facts": dict(self.facts)}

    def plain(self) -> str:
        """What stands in a mail."""
        return "\n".join([*self.lines, *(["", *self._facts()] if self._facts() else [])])

    def slack(self) -> str:
        """In Slack's mark-up, whole lines only, as many as fit."""
        lines = [f"*{slack_text(self.title)}*" if self.title else "", *map(slack_text, self.plain().split("\n"))]
        kept = 0
        length = 0
        while kept < len(lines) and length + len(lines[kept]) + 1 <= _SLACK:
            length += len(lines[kept]) + 1
            kept += 1
        return "\n".join(lines[:kept] + ([f"... ({len(lines) - kept} more lines)"] if kept < len(lines) else []))

    def _facts(self) -> list[str]:
        return [f"{name}: {value}" for name, value in self.facts.items() if not isinstance(value, (dict, list))]


def message(title: Any, text: Any, severity: Any, facts: Any) -> Message:
    """A message of what was given, cleaned and cut. ``text``: lines, or one text. Never raises: what does not fit is shown as text."""
    given = text if isinstance(text, list) else [text]
    lines = [_line(line) for one in given for line in ("" if one is None else str(one)).splitlines() or [""]]
    more = len(lines) - _LINES
    return Message(
        title=_line(title, _TITLE),
        lines=tuple(lines[:_LINES] + ([f"... ({more} more lines)"] if more > 0 else [])),
        severity=severity if severity in SEVERITIES else "info",
        facts=_plain(facts) if isinstance(facts, dict) else {},
    )


def slack_text(text: str) -> str:
    """Text without Slack's mark-up for links, mentions and calls: https://docs.slack.dev/messaging/formatting-message-text."""
    return _CALLS.sub(_APART, text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _line(text: Any, limit: int = _LINE) -> str:
    line = printable("" if text is None else str(text)).rstrip()
    return line if len(line) <= limit else f"{line[: limit - 4]} ..."


def _plain(value: Any, depth: int = 0) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, dict) and depth < _DEEP:
        return {_line(name, 100): _plain(one, depth + 1) for name, one in list(value.items())[:_MANY]}
    if isinstance(value, list) and depth < _DEEP:
        return [_plain(one, depth + 1) for one in value[:_MANY]]
    return _line(value)
