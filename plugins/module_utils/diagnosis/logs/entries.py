# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The text of one run of a container as entries: a line, or a stack trace together with what it is about.

    lines(log) -> [Line(time, text)]          entries(log) -> [Entry(time, level, text, trace, uncaught)]
    statements(entry) -> what it says, the innermost cause first

Whatever comes in, at most 2000 lines of 2000 characters and 256 KB are looked at, the newest. Times are the kubelet's (RFC 3339, "" where unknown).
No text raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs.formats import DEBUG, ERROR, INFO, UNKNOWN, read

_LONGEST = 2000  # characters of one line that are looked at
_LONGEST_JSON = 16000  # a structured line may hold a whole stack
_MOST_LINES = 2000
_MOST = 256 * 1024  # characters of one log that are looked at
_MOST_TRACE = 200  # lines of one entry

_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]{8,20}(?:Z|[+-]\d\d:\d\d) ")
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]{0,20}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\^_])")
_CONTROL = {code: None for code in (*range(9), 11, 12, *range(14, 32), 127)}
_TRACEBACK = "Traceback (most recent call last)"
# what begins an entry that nobody caught
_UNCAUGHT = re.compile(
    r"Traceback \(most recent call last\)|^(?:panic|fatal error): |Exception in thread \"|^Unhandled exception|Uncaught|^thread"
    r" '[^']{0,80}' "
    r"(?:\(\d+\) )?panicked|^terminate called|[Ss]egmentation fault|^(?:node:|file:///|/)\S{1,300}:\d+$|^\S{1,300}:\d+:in"
    r" [`'].{0,1500}\(\S+\)"
    r"|Fatal Python error|^\*\* \(|UnhandledPromiseRejection|APPLICATION FAILED TO START"
)
_UNCAUGHT_HINTS = "Traceback panic fatal Exception Unhandled Uncaught terminate egmentation node: file: /  :in Fatal ** APPLICATION".split()
# lines that belong to what stands before them
_JOINS = re.compile(
    r"Caused by\b|Suppressed: |During handling of the above|The above exception was|--- End of |goroutine \d|created by |exit status"
    r" \d|stack"
    r" backtrace:|note: run with|\[?[Ss]tack ?trace|#\d+ |Require stack:|- /|[\])}]+[,;]?$|\^+$|\[signal |\.\.\. \d+ |Node\.js v\d|DETAIL:"
    r" |HINT: "
    r"|Next \S+Exception: |(?:main|runtime|net|os)[./][\w.()*/]+\(|Reading the configuration file|>>> "
)
_CONTINUED = re.compile(r"(?:.* \[\d+\] |)(?:DETAIL|HINT|CONTEXT|STATEMENT): ")
_FRAME = re.compile(
    r"\s*(?:at (?:async )?[\w$.<>\[\]/@`:\\()*-]+ ?(?:\(|\[|in /|$)|at (?:file|node|/)\S+:\d+|from \S+:\d+|File \".{0,300}\", line"
    r" \d|\.\.\. \d+ (?:more|common)|#\d+ "
    r"|\d+: +0x|goroutine \d|created by |\S+\.go:\d+|--- End of |\^|[~^]+$|\{main\}|Require stack:|Node\.js v|exit status \d|note: run"
    r" with)"
)
_CAUSE = re.compile(r"\s*(?:Caused by: | ?---> (?:\([^)]{0,80}\) )?|\[cause\]: |Next (?=\S+Exception: ))(?P<said>.+)")
_NUMBERED = re.compile(r"\s+\d+: (?!0x)(?P<said>.+)")  # the causes of Rust's anyhow
_USAGE = re.compile(r"[Uu]sage(?: of \S+)?\s?:|Usage: ")
_MULTILINE = re.compile(r"ApiException|validation errors? for |ValidationError|Config validation error")
_ERROR_WORD = re.compile(
    r"(?i)\b(?:panic(?:ked)?|fatal|traceback|\w*exception|segmentation fault|core dumped|out of memory|cannot|can't|could"
    r" not|couldn't|unable to|no"
    r" such|denied|refused|forbidden|not found|not set|not"
    r" (?:provided|defined|specified|reachable|writable|available|responding)|undefined|unset|read-?only"
    r" file|x509|exceeded|expired|invalid|missing|required|failed|failure|fail(?=:)|error|unknown|unavailable|not"
    r" known|misbehaving|NoBrokersAvailable|timeout (?:waiting|connecting|reached|exceeded|after)|unreachable|timed"
    r" out|bad"
    r" address|unbound variable|must (?:be|not be)|please (?:set|export)|already in use|no space"
    r" left|abort(?:ed|ing)?|killed|unrecogni[sz]ed|illegal option|unexpected argument|too (?:many open|short|long)|not"
    r" (?:allowed|match)|mismatch|incompatible|corrupt(?:ed)?|not"
    r" permitted|(?-i:E[A-Z]{4,}|ERR!?))\b|\w+Error\b"
)
# one of these stands in every line that the pattern above finds: they are quicker to look for
_HINTS = (
    "panic fatal traceback exception fault dumped memory cannot can't could unable no such denied refused forbidden not invalid missing"
    " required fail error unknown unreachable timed bad unbound must already in space abort killed undefined unset read x509 exceeded"
    " expired econn enot etimed eai_ eaddr eacc eperm timeout unavailable misbehaving nobrokers enoent erofs enospc ehost enet err please"
    " unrecogni illegal unexpected too incompatible corrupt mismatch"
).split()
_HARMLESS = re.compile(
    r"(?i:\b(?:0 (?:errors?|failed|failures)|no errors?|errors?[_ ](?:page|log|rates?|handler|reporting|budget)|without (?:any"
    r" )?errors?|(?:errors?|failed"
    r"|failures?)[=:] ?\"?0\b|recovered from|not required|no longer|error_log)\b|\"[A-Z]+ /\S* HTTP/\d)"
)


class Line(NamedTuple):
    """A log line: when it was written ("" where unknown) and what it says, without colours."""

    time: str
    text: str


@dataclass
class Entry:
    """What was logged at once. ``level``: of log_formats; ``uncaught``: nothing handled it, so that it may end the process."""

    time: str
    level: int
    text: str
    trace: list[str] = field(default_factory=list)
    uncaught: bool = False
    own: bool = False  # whether a line with a level began it
    kind: str = ""  # which continuation is expected: python, go, node, usage
    open: bool = False  # python, node: the line that says what happened has not come yet

    @cached_property
    def low(self) -> str:
        return self.text.lower()

    @cached_property
    def is_error(self) -> bool:
        """Whether it speaks of something that went wrong. What a logger calls information does not, whatever its words."""
        if self.level in (INFO, DEBUG):
            return False
        if self.level < ERROR and not self.uncaught:
            if not any(hint in self.low for hint in _HINTS) or not _ERROR_WORD.search(self.text):
                return False
            return not _HARMLESS.search(self.text)
        return bool(self.trace) or not _HARMLESS.search(self.text)


def lines(log: str) -> list[Line]:
    """The newest lines, oldest first, without empty ones."""
    found: list[Line] = []
    left = _MOST
    for raw in reversed(log.rsplit("\n", _MOST_LINES)[-_MOST_LINES:]):
        match = _TIMESTAMP.match(raw)
        start = match.end() if match else 0
        most = _LONGEST_JSON if raw[start : start + 1] == "{" else _LONGEST
        text = raw[start : start + most].rstrip("\r")
        text = _ANSI.sub("", text) if "\x1b" in text else text
        if "\r" in text:  # a progress bar: what stands last is what a terminal shows
            text = next((part for part in reversed(text.split("\r")) if part.strip()), "")
        text = text.translate(_CONTROL).rstrip()
        if text.strip():
            found.append(Line(match.group(0).strip() if match else "", text))
            left -= len(text)
            if left < 0:
                break
    found.reverse()
    return found


def entries(log: str) -> list[Entry]:
    """Lines put together to entries, oldest first."""
    found: list[Entry] = []
    for line in lines(log):
        if found and len(found[-1].trace) < _MOST_TRACE and _joined(found[-1], line.text):
            continue
        said = read(line.text)
        entry = Entry(line.time, said.level, said.text[:_LONGEST], list(said.trace), own=said.level != UNKNOWN)
        _begin(entry)
        found.append(entry)
    return found


def _begin(entry: Entry) -> None:
    text = entry.text
    match = _UNCAUGHT.search(text) if entry.level not in (INFO, DEBUG) and any(hint in text for hint in _UNCAUGHT_HINTS) else None
    if not match:
        entry.kind = "usage" if _USAGE.match(text) else ""
        return
    entry.uncaught = True
    if _TRACEBACK in text:
        entry.kind, entry.open = "python", True
        entry.uncaught = entry.level == UNKNOWN
    elif text.startswith("thread '"):
        entry.kind, entry.open = "go", text.endswith(":")  # newer versions of Rust say it on the next line
    elif match[0].startswith(("panic", "fatal error")):
        entry.kind = "go"
    elif match[0].startswith(("node:", "file:", "/")) and ":in " not in match[0]:
        entry.kind, entry.open = "node", True


def _joined(entry: Entry, text: str) -> bool:
    """Whether a line continues an entry; if so, it is added."""
    if not _continues(entry, text):
        return False
    entry.trace.append(text)
    if _TRACEBACK in text:
        entry.kind, entry.open = "python", True
    elif entry.open and not text[0].isspace() and not text.startswith("^"):
        entry.open = False
        entry.kind = "pydantic" if _MULTILINE.search(text) else entry.kind
    if entry.level == UNKNOWN and not entry.uncaught and _FRAME.match(text):
        entry.level = ERROR if _ERROR_WORD.search(entry.text) else UNKNOWN
    return True


def _continues(entry: Entry, text: str) -> bool:
    if text[0].isspace():
        stripped = text.strip()
        return bool(
            entry.own or entry.uncaught or entry.trace or entry.kind or _FRAME.match(text) or stripped.startswith(("[cause]", "--->"))
        )
    if entry.open:
        return True
    if _JOINS.match(text) or (entry.kind != "usage" and entry.level != INFO and _USAGE.match(text)):
        if _USAGE.match(text):
            entry.kind = "usage"
        return True
    if ("DETAIL: " in text or "HINT: " in text or "CONTEXT: " in text or "STATEMENT: " in text) and _CONTINUED.match(text):
        return True
    if _TRACEBACK in text:  # another part of a chain, or the trace of an error that was logged
        return text.startswith("Traceback") and (
            entry.level >= ERROR and not entry.trace or bool(entry.trace) and _chained(entry.trace[-1])
        )
    if entry.kind in ("go", "usage", "pydantic"):
        return not text.startswith("{") and read(text).level == UNKNOWN and not _UNCAUGHT.search(text)
    return False


def _chained(text: str) -> bool:
    return text.startswith(("During handling of", "The above exception was"))


def statements(entry: Entry) -> list[str]:
    """What an entry says, the innermost cause first, without frames: at most 30 lines."""
    if not entry.trace:
        return [entry.text]
    inner: list[str] = []
    python: list[str] = []
    rest: list[str] = []
    in_python = _TRACEBACK in entry.text
    for line in entry.trace:
        cause = _CAUSE.match(line) or (_NUMBERED.match(line) if entry.kind != "go" else None)
        if cause:
            inner.append(cause["said"])
        elif _TRACEBACK in line:
            in_python = True
        elif in_python and not line[0].isspace():
            python.append(line)
            in_python = False
        elif not _FRAME.match(line) and not _chained(line) and line.strip(" \t^~{}[]();,"):
            rest.append(line)
    headline = [] if entry.text.startswith("Traceback") and python else [entry.text]
    if entry.kind == "node" and rest:  # the first line is only a place in a file
        headline = [line for line in rest if not line[0].isspace()] + headline
    return [*python, *reversed(inner), *headline, *rest][:30]
