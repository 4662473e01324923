# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One log line, as its logger meant it: how severe it is and what it says.

    read(line) -> Said(level, text, trace)

JSON (zap, logrus, zerolog, bunyan, pino, winston, Serilog, ECS, MongoDB, GELF), logfmt, klog, redis, and the usual prefixes of lines for people
(log4j, logback, Python, .NET, Ruby, PHP, nginx, postgres, mysql...). Levels are the numbers below; UNKNOWN where a line has none.
A structured line becomes ``message: error (host=..., port=...)``; another one stays as it is. No text raises.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterator, NamedTuple

UNKNOWN, DEBUG, INFO, WARNING, ERROR, FATAL = range(6)

_WORDS = {
    FATAL: "fatal ftl f panic dpanic critical crit emerg emergency alert a",
    ERROR: "error err eror e fail severe",
    WARNING: "warning warn wrn w",
    INFO: "information informational info inf i notice note n",
    DEBUG: "debug dbug dbg d trace trce trc t verbose vrb fine finer finest d1 d2 d3 d4 d5",
}
LEVELS = {word: level for level, words in _WORDS.items() for word in words.split()}
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{2,12}")
_NAMED = re.compile(r"(?i)(?:^|[\s{,(])\"?(?:level|lvl|severity|log\.level|loglevel)\"?\s?[=:]\s?\"?(?P<level>[a-z]+)")
_KLOG = re.compile(r"(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ [^\]]{1,80}\] ")
_RUBY = re.compile(r"(?P<level>[DIWEFA]), \[\d{4}-")
_REDIS = re.compile(r"\d+:[A-Z] \d\d \w{3} \d{4} [\d:.]+ (?P<sign>[.*#-]) ")
_REDIS_SIGNS = {".": DEBUG, "-": INFO, "*": INFO, "#": UNKNOWN}
_PREFIX_LETTERS = frozenset("0123456789[](){}<>|#./:=")
_PREFIX = 160  # characters in which a level may stand

_PAIR = re.compile(r"(?:^|\s)(?P<key>[A-Za-z_@][\w.@-]{0,40})=(?P<value>\"(?:[^\"\\]|\\.){0,4000}\"|[^\s\"]{0,2000})")
_LOGFMT = re.compile(r"(?:^|\s)(?:level|lvl|severity)=\"?\w+\"?(?:\s|$)")
_MESSAGE = ("message", "msg", "@m", "@mt", "short_message", "renderedmessage", "event", "textpayload", "text", "log")
_ERROR = ("error", "err", "exception", "@x", "exc_info", "errorverbose", "attr", "cause", "reason", "full_message")
_TYPE, _SAYS = ("type", "name", "class", "code"), ("message", "msg", "errmsg", "reason", "error", "detail")
_STACK = ("stack", "stacktrace", "stack_trace", "exc_info", "exception", "@x", "error.stack_trace", "error.stack", "errorverbose")
_LEVEL_KEYS = ("level", "severity", "levelname", "lvl", "log.level", "@l", "loglevel", "s", "priority")
_SUBJECTS = (
    "host hostname address addr port server endpoint url uri broker upstream target dsn remote peer path file filename variable env key"
).split()
_CUT = re.compile(r'"(?P<key>level|severity|msg|message|error|err)"\s*:\s*"(?P<value>(?:[^"\\]|\\.){0,1500})')


class Said(NamedTuple):
    """``level``: one of the numbers above; ``text``: one line; ``trace``: the lines of a stack that the logger put into the same line."""

    level: int
    text: str
    trace: tuple[str, ...] = ()


def read(line: str) -> Said:
    if line.startswith("{"):
        return _structured(line) or Said(_level(line), line)
    if ("level=" in line or "lvl=" in line or "severity=" in line) and _LOGFMT.search(line[:600]):
        fields = {match["key"].lower(): _unquoted(match["value"]) for match in _PAIR.finditer(line)}
        if any(key in fields for key in _MESSAGE + _ERROR):
            return _said(fields, line)
    brace = line.find("{", 0, 400)
    if brace > 0 and line.endswith("}") and (said := _structured(line[brace:])):  # a prefix for people, then fields
        level = _level(line[:brace])
        return Said(level or said.level, f"{line[:brace].rstrip()} {said.text}".replace("\t", " "), said.trace)
    return Said(_level(line), line)


def _structured(line: str) -> Said | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        found = {match["key"]: _unquoted(f'"{match["value"]}"') for match in _CUT.finditer(line[:8000])}  # the line was cut
        return _said(found, line) if len(found) > 1 else None
    return _said({str(key).lower(): value for key, value in fields.items()}, line) if isinstance(fields, dict) and fields else None


def _said(fields: dict[str, Any], line: str) -> Said:
    for outer in ("log", "error", "err", "exception"):  # {"log": {"level": ...}}, {"error": {"stack": ...}}
        if isinstance(inner := fields.get(outer), dict):
            fields = {**{f"{outer}.{key}".lower(): value for key, value in inner.items()}, **fields}
    parts: list[str] = []
    for text in (*(_text(fields.get(key)) for key in _MESSAGE), *_errors(fields)):
        if text and not any(text in known for known in parts):
            parts.append(text)
    stack = next((found for key in (*_STACK, "err.stack", "exception.stacktrace") if (found := _stack(fields.get(key)))), "")
    first, *rest = "\n".join(parts).split("\n") if parts else [line]
    subjects = [f"{key}={fields[key]}" for key in _SUBJECTS if isinstance(fields.get(key), (str, int)) and str(fields[key]) not in first]
    headline = ": ".join(part.split("\n")[0] for part in parts) or first
    trace = (*(rest if any("\n" in part for part in parts) else ()), *stack.split("\n"))
    said = f"{headline} ({', '.join(subjects)})" if subjects else headline
    return Said(_level_of(fields, line), said[:2000], tuple(one[:2000] for one in trace[:200] if one.strip()))


def _errors(fields: dict[str, Any]) -> Iterator[str]:
    for key in ("error.message", "error.type", "exception.message", *_ERROR):
        value = fields.get(key)
        if isinstance(value, dict):
            kind = next((str(value[one]) for one in _TYPE if isinstance(value.get(one), str)), "")
            said = next((_text(value[one]) or _text(_inner(value[one])) for one in _SAYS if value.get(one)), "")
            yield f"{kind}: {said}" if kind and said else said or kind
        else:
            yield _text(value).split("\n")[0]


def _inner(value: Any) -> Any:
    return next((value[one] for one in _SAYS if isinstance(value.get(one), str)), "") if isinstance(value, dict) else ""


def _text(value: Any) -> str:
    return value.strip()[:4000] if isinstance(value, str) else ""


def _stack(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(str(one) for one in value[:200])
    return value[:16000] if isinstance(value, str) and "\n" in value else ""


def _level_of(fields: dict[str, Any], line: str) -> int:
    for key in _LEVEL_KEYS:
        value = fields.get(key)
        if isinstance(value, str) and value.lower() in LEVELS:
            return LEVELS[value.lower()]
        if isinstance(value, int) and not isinstance(value, bool):
            if value >= 10:  # bunyan, pino
                return FATAL if value >= 60 else ERROR if value >= 50 else WARNING if value >= 40 else INFO if value >= 30 else DEBUG
            return (
                FATAL if value <= 2 else ERROR if value == 3 else WARNING if value == 4 else INFO if value <= 6 else DEBUG
            )  # syslog, GELF
    return INFO if "@t" in fields and "@x" not in fields else _level(line)  # Serilog leaves Information out


def _level(line: str) -> int:
    head = line[:_PREFIX].lstrip()
    if match := _KLOG.match(head) or _RUBY.match(head):
        return LEVELS[match["level"].lower()]
    if match := _REDIS.match(head):
        return _REDIS_SIGNS[match["sign"]]
    for match in _WORD.finditer(head):
        word = match[0].lower()
        if word in LEVELS and _marks_level(head, match) and _is_prefix(head[: match.start()]):
            return LEVELS[word]
    if "=" not in head and ":" not in head:
        return UNKNOWN
    named = _NAMED.search(head)
    return LEVELS.get(named["level"].lower(), UNKNOWN) if named else UNKNOWN


def _marks_level(head: str, match: re.Match[str]) -> bool:
    """Whether a word stands as a level does: in capitals, in brackets, or before a colon."""
    before, after = head[match.start() - 1 : match.start()], head[match.end() : match.end() + 1]
    if before and (before.isalnum() or before in "_.-") or after and (after.isalnum() or after in "_-"):
        return False
    if match[0].isupper() or after == ":" or head.startswith(" :", match.end()):
        return True
    return (
        bool(before)
        and before in "[<(:|"
        and bool(after)
        and after in "]>):|"
        or match[0].lower() == "fatal"
        and head.startswith(" error:", match.end())
    )


def _is_prefix(text: str) -> bool:
    """Whether only times, names of threads and loggers and the like stand here, and no prose."""
    words = text.split()
    stamped = bool(words) and sum(letter.isdigit() for letter in words[0]) >= 4
    bare = sum(1 for word in words if not (_PREFIX_LETTERS & set(word) or word.isupper() or not any(map(str.isalnum, word))))
    return bare == 0 or bare <= (3 if stamped else 0) or (bare == 1 and words[-1] in ("|", "-"))


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return value[1:].removesuffix('"').replace('\\"', '"').replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")
