# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Finds the telling line of a container's log: the first cause of the last run, not its last line."""

from __future__ import annotations

import re
from typing import NamedTuple

_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) ")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_FATAL = re.compile(
    r"(?i)\b(?:panic|fatal|traceback|exception|segmentation fault|core dumped|out of memory|cannot|can't|could not|unable to|no"
    r" such|denied|refused|not found|invalid|missing|required|failed|failure|error)\b|Error:"
)
_HARMLESS = re.compile(
    r"(?i:\b(?:0 errors?|no errors?|error[_ ]?(?:page|log|rate)|without error|errors?=0)\b)"
    r"|\b(?:INFO|DEBUG|TRACE)\b|(?i:(?:^|[\[|]|\blevel[\"']?\s*[=:]\s*[\"']?)(?:info|debug|trace)\b)"
)
_TRACEBACK = "Traceback (most recent call last)"
_HOST = r"(?P<host>[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*)"
_SOURCE_FILE = r"(?!\S*\.(?:go|py|js|ts|rb|java|kt|cs|php|rs)\b)"
_DEPENDENCY = (
    # Go: dial tcp 10.0.0.1:5432: connect: ..., dial tcp: lookup db on 10.96.0.10:53: no such host
    re.compile(
        r"(?i)dial tcp:? (?:lookup )?(?P<host>[a-z0-9][a-z0-9.-]*?)(?::(?P<port>\d+))?(?: on [^:]+:\d+)?: .*(?:refused|no such"
        r" host|timeout|unreachable|server misbehaving)"
    ),
    # libpq: server at "db" (10.96.1.2), port 5432 failed, host name "db"; MySQL: server on 'db' (111)
    re.compile(rf"(?i)(?:server at|server on|host name) [\"']{_HOST}(?::(?P<port>\d+))?[\"'](?: \([^)]*\), port (?P<port_>\d+))?"),
    re.compile(
        r"(?i)(?:could not resolve|bad address|unknown host|UnknownHostException|can't resolve|getaddrinfo (?:ENOTFOUND|EAI_AGAIN)|no such"
        rf" host:?):?\s*(?:host:?)?\s*'?{_HOST}(?::(?P<port>\d+))?"
    ),
    # anything that could not connect to host:port
    re.compile(
        rf"(?i)(?:connect(?:ion)?|connecting|reach|resolve|lookup|contact)[^\n]*?(?:(?<=//)|(?<![\w./-])){_SOURCE_FILE}{_HOST}:(?P<port>\d{{2,5}})\b"
    ),
)
_LONGEST = 2000  # characters of one line that are looked at


class Line(NamedTuple):
    """A log line: when it was written ("" where unknown) and what it says, without colours."""

    time: str
    text: str


def lines(log: str) -> list[Line]:
    found = []
    for raw in log.split("\n"):
        raw = raw[:_LONGEST]
        match = _TIMESTAMP.match(raw)
        text = _ANSI.sub("", raw[match.end() :] if match else raw).rstrip()
        if text.strip():
            found.append(Line(match.group(0).strip() if match else "", text))
    return found


def telling_line(log: str) -> Line | None:
    """The line that names the cause; the last line where none does; None for an empty log."""
    found = lines(log)
    for position, line in enumerate(found):
        if _TRACEBACK in line.text:
            end = next((after for after in found[position + 1 :] if not after.text.startswith((" ", "\t"))), line)
            return Line(end.time or line.time, end.text)
    for line in found:
        if _FATAL.search(line.text) and not _HARMLESS.search(line.text):
            return line
    return found[-1] if found else None


def dependency(text: str) -> tuple[str, int] | None:
    """(host, port or 0) of another service that a line says it could not reach."""
    for pattern in _DEPENDENCY:
        match = pattern.search(text)
        if match and match["host"].lower() not in ("localhost", "to", "host"):
            found = match.groupdict()
            return match["host"], int(found.get("port") or found.get("port_") or 0)
    return None
