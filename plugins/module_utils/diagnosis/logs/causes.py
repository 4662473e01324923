# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From the log of one run to the cause that it names; what single entries mean stands in log_table.

    first_cause(text) -> Cause | None           what ended the run: the first cause, not the last line
    recurring(text, least) -> Cause | None      what a running application runs into again and again, up to now
    classify(entry) -> Cause | None             what one entry means

How the first cause is found: the errors that the run did not get over (reading.last_errors) are looked at. The one that weighs most ended the
run: what nobody caught, before what was logged as an error, before warnings. If it only says that it ends ("giving up"), the nearest error
before it that names a cause counts. From there it goes back to what may lie behind (_BEHIND): a configuration that could not be read before a
connection that is refused, not the other way round. What an application can do without (plug-ins, telemetry, "skipped", "continuing") explains
nothing. No function raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Callable, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs import subjects
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs import reading
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs.entries import Entry, entries, statements
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs.table import CAUSES, Row

_UNREACHABLE, _LOGIN, _NAME = "DependencyUnreachable", "DependencyRefusesLogin", "NameNotResolved"
_CONFIG, _FILE, _ENV = "ConfigurationInvalid", "FileMissing", "EnvironmentMissing"

_SIDE = re.compile(
    r"(?i)\b(?:optional|plug-?ins?|extensions?|telemetry|trac(?:ing|er)|otel|opentelemetry|otlp|sentry|jaeger|zipkin|statsd|datadog|ddtrace|new"
    r" ?relic|analytics|metrics?|pushgateway|update check|version check|deprecat\w+|non-?fatal|apm|elastic-apm"
    r"|usage stat\w*|geoip|pyroscope|span exporter|exporter|honeycomb|amplitude|segment\.io|rollbar|bugsnag)\b"
)
_TOLERATED = re.compile(
    r"(?i)\b(?:ignor(?:ed|ing)|skipp(?:ed|ing)|continuing|proceeding|carrying on|degraded|best[- ]effort|disabled|disabling|feature"
    r" off|will be unavailable|not critical|harmless)\b"
)
_FELL_BACK = re.compile(r"(?i)\b(?:fall(?:ing)?[ -]?back|using (?:the )?default|defaulting|default(?:s)? instead)\b")
_RELOAD = re.compile(r"(?i)\b(?:reload\w*|chang\w+|appl(?:y|ied|ying)|updat\w+|rotat\w+|keeping|using|load\w*)\b")
_CONFIG_FILE = re.compile(r"(?i)\.(?:conf|cfg|cnf|ya?ml|json|ini|properties|toml|env|xml)$|config|secret|credential|\bsettings\b")
_DECODES = re.compile(
    r"JSONDecodeError|SyntaxError: .*JSON|Json(?:Parse|Processing|Syntax)\w*|DecodeError|UnmarshalTypeError|ParseError"
)  # of any text
_DONE = re.compile(r"(?i)\b(?:done|completed?|succe(?:ss|eded)|finished|processed|sent|delivered|ok|200)\b")  # work that went through
_RETRY = re.compile(r"(?i)\bretry|\bretries\b|\battempt \d|\btry \d+ of \d")
_CHANGED = re.compile(
    r"(?i)\b(?:config\w*|settings?)\b.{0,80}\b(?:reload\w*|chang\w+|appl\w+|updat\w+)|\breload\w*\b.{0,80}\b(?:config\w*|settings?)"
)
_STAMP = re.compile(r"^\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?\]?:? *")
_MOST = 100  # errors of one log that are looked at: the oldest fifth, and the newest
_CONNECTING = re.compile(r"^Connecting to (?P<host>[\w.-]+):(?P<port>\d+) \((?P<ip>[\d.]+):\d+\)")
_LIBRARY = re.compile(r"\blib[\w+-]+\.so[\w.]*(?=: cannot open)|(?<=shared library )lib[\w.+-]+")
_GOES_TO = re.compile(
    r"(?i)\b(?:connecting|connect|dialing|logging in|login|opening (?:a )?connection|reaching|contacting|using|calling)\b"
)
_SERVER_SIDE = re.compile(
    r"TLS handshake error from|(?i:client: \d|while reading client|client (?:sent|closed|disconnected|prematurely))(?!.*upstream)|broken"
    r" pipe|context canceled"
)
# which codes may be what lies behind another
_BEHIND: dict[str, frozenset[str]] = {
    _UNREACHABLE: frozenset({_CONFIG, _ENV, _NAME, _FILE, "CertificateInvalid", "PermissionDenied"}),
    _NAME: frozenset({_CONFIG, _ENV, _FILE, "PermissionDenied"}),
    _LOGIN: frozenset({_CONFIG, _ENV, _FILE, "PermissionDenied"}),
    _FILE: frozenset({"PermissionDenied", "ReadOnlyFileSystem", "NoSpaceLeft", _ENV, _CONFIG}),
    _CONFIG: frozenset({_FILE, _ENV, "PermissionDenied", "NoSpaceLeft"}),
    "PortInUse": frozenset({_CONFIG}),
    _ENV: frozenset({_FILE, "PermissionDenied", _CONFIG}),
    "CertificateInvalid": frozenset({_FILE, "PermissionDenied", _CONFIG}),
}


@dataclass
class Cause:
    """What a log names. ``line``: the statement; ``says``: the same as a sentence's rest.

    ``subjects``: host, port, path, variable, user, verb, resource, group, namespace, line (a number), as far as they are named.
    """

    code: str
    time: str
    line: str
    says: str
    repeated: int = 1
    times: tuple[str, ...] = ()  # of the last three repetitions
    subjects: dict[str, str] = field(default_factory=dict)
    leads_to: str = ""  # what follows from it, as a sentence's rest
    after: str = ""  # a change of configuration that was logged just before it began

    @property
    def same(self) -> tuple[str, ...]:
        """What repetitions have in common."""
        return (self.code, *(self.subjects.get(key, "") for key in ("host", "port", "path", "variable", "resource", "verb")))


def classify(entry: Entry) -> Cause | None:
    """What one entry means; None where it is no error, or none of the table."""
    if not entry.is_error:
        return None
    cause = _meant(tuple(_STAMP.sub("", one) for one in statements(entry)))
    return replace(cause, time=entry.time, times=(entry.time,)) if cause else None


@lru_cache(maxsize=512)
def _meant(said: tuple[str, ...]) -> Cause | None:
    for position, statement in enumerate(said):
        if not (matched := _matched(statement)):
            continue
        row, match = matched
        found = _subjects(row.code, statement, [*said[position + 1 :], *said[:position]])
        return Cause(row.code, "", statement.strip(), _sentence(row, match, found), subjects=found)
    if _DECODES.search(said[0]) and (path := next((one for text in said if (one := subjects.path(text)) and _CONFIG_FILE.search(one)), "")):
        return Cause(_CONFIG, "", said[0].strip(), f"cannot read its configuration {path}", subjects={"path": path})
    return None


def _matched(statement: str) -> tuple[Row, re.Match[str]] | None:
    low = statement.lower()
    for row in CAUSES:
        if any(word in low for word in row.words) and (match := row.pattern.search(statement)):
            if not (row.unless and row.unless.search(statement)) and not _SERVER_SIDE.search(statement):
                return row, match
    return None


def _first(look: Callable[[str], str], texts: list[str]) -> str:
    return next((found for text in texts if (found := look(text))), "")


def _subjects(code: str, statement: str, others: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    texts = [statement, *others]
    if code in (_UNREACHABLE, _LOGIN, _NAME, "CertificateInvalid"):
        near = next((address for text in texts if (address := subjects.address(text))), None)
        if near:
            found |= {"host": near[0], "port": str(near[1] or "")}
        found["user"] = subjects.user(statement) if code == _LOGIN else ""
    elif code == "RBACForbidden":
        found |= next((refused for text in texts if (refused := subjects.forbidden(text))), {})
    elif code == "PortInUse" or (code == "PermissionDenied" and re.search("(?i)bind|listen", statement)):
        found["port"] = _first(lambda text: str(subjects.bound_port(text) or ""), texts)
    elif code == _ENV:
        found["variable"] = _first(subjects.variable, texts)
    elif code == _CONFIG:
        places = [subjects.place(text) for text in texts]
        found["line"] = next((str(line) for _path, line in places if line), "")
        found["path"] = next((path for path, _line in places if path), "") or next(
            (path for text in texts if (path := subjects.path(text)) and _CONFIG_FILE.search(path)), ""
        )
        found["variable"] = subjects.variable(statement) if not found["path"] else ""
    if code in (_FILE, "PermissionDenied", "ReadOnlyFileSystem", "NoSpaceLeft") and not found.get("port"):
        library = _LIBRARY.search(statement) if code == _FILE else None
        found["path"] = library[0] if library else _first(subjects.path, texts)
    return {key: value for key, value in found.items() if value}


def _sentence(row: Row, match: re.Match[str], found: dict[str, str]) -> str:
    host, port = found.get("host", ""), found.get("port", "")
    names = {
        "target": (f"{host}:{port}" if port else host) or "another service",
        "port": f"port {port}" if port else "its port",
        "path": found.get("path") or "a file",
        "where": f"the file system of {found['path']}" if found.get("path") else "its file system",
        "variable": found.get("variable") or "a setting that it needs",
        "place": (
            (f" {found['path']}" if found.get("path") else f" ({found['variable']})" if found.get("variable") else "")
            + (f", line {found['line']}" if found.get("line") else "")
        ),
        "user": found.get("user") or "its service account",
        "who": f" of user {found['user']}" if found.get("user") else "",
        "verb": found.get("verb") or "do what it asks for",
        "resource": (
            (found.get("resource") or found.get("path") or "")
            + (
                f" in namespace {found['namespace']}"
                if found.get("namespace")
                else " in the whole cluster" if found.get("resource") else ""
            )
        ),
        "how": (match.groupdict().get("how") or "").strip(" ."),
    }
    return row.says.format(**names)


class _Case(NamedTuple):
    position: int
    entry: Entry
    cause: Cause | None


def _case(position: int, found: Sequence[Entry]) -> _Case:
    cause = classify(found[position])
    return _Case(position, found[position], _with_name(cause, position, found) if cause else None)


def _bounded(positions: list[int]) -> list[int]:
    return positions if len(positions) <= _MOST else [*positions[: _MOST // 5], *positions[-_MOST + _MOST // 5 :]]


def first_cause(text: str) -> Cause | None:
    """What ended the run; None where its log names nothing of the table."""
    found = entries(text)
    cases = [_case(position, found) for position in _bounded(reading.last_errors(found))]
    well = [(position, entry.text) for position, entry in enumerate(found) if reading.goes_well(entry)]
    cases = [case for case in cases if not _survived(case, well)]
    end = _chosen(cases)
    if end is None or end.cause is None:
        return None
    reason = _behind(end, [case for case in cases if case.position < end.position])
    if reason is None or reason.cause is None:
        return _counted(end.cause, cases, found)
    return replace(_counted(reason.cause, cases, found), leads_to=end.cause.says)


def recurring(text: str, least: int = 3, side: bool = False) -> Cause | None:
    """What stands in the log at least so often, the last time among its newest ten entries, the last three times among its newest thirty, and nothing
    after it says that it works. side: also where it is about telemetry and the like."""
    found = entries(text)
    errors = [position for position, entry in enumerate(found) if entry.is_error]
    cases = [_case(position, found) for position in _bounded(errors)]
    groups: dict[tuple[str, ...], list[_Case]] = {}
    for case in cases:
        if case.cause and (side or not _beside(case)):
            groups.setdefault(case.cause.same, []).append(case)
    for group in sorted(groups.values(), key=len, reverse=True):
        last = group[-1]
        if len(group) < least or last.position < len(found) - 10 or group[-min(least, len(group))].position < len(found) - 30:
            continue
        if any(reading.goes_well(entry) and _clears(entry, last) for entry in found[last.position + 1 :]):
            continue
        first = group[0]
        if first.cause is None or _retried(found, group[-least:]):
            continue
        cause = replace(first.cause, repeated=len(group), times=tuple(case.entry.time for case in group[-3:]))
        near = [case for case in cases if first.position - 6 < case.position < first.position]
        reason = _behind(first, near)
        if reason is not None and reason.cause is not None:
            return replace(reason.cause, leads_to=cause.says, repeated=cause.repeated, times=cause.times)
        return replace(cause, after=_change(found[max(0, first.position - 4) : first.position]))
    return None


def _retried(found: Sequence[Entry], group: Sequence[_Case]) -> bool:
    """Whether each of these is a try that is made again, and work goes on before the next: a healthy application with a flaky neighbour."""
    return all(
        bool(_RETRY.search(case.entry.text))
        and any(not entry.is_error and _DONE.search(entry.text) for entry in found[case.position + 1 : after.position])
        for case, after in zip(group, group[1:])
    )


def _clears(entry: Entry, case: _Case) -> bool:
    """Whether an entry that says that something works is about the same, or about nothing in particular."""
    near = reading.dependency(entry.text)
    host = case.cause.subjects.get("host", "") if case.cause else ""
    return not (near and host) or near[0] == host


def _change(before: Sequence[Entry]) -> str:
    return next((entry.text[:300] for entry in before if _CHANGED.search(entry.text)), "")


def _survived(case: _Case, well: list[tuple[int, str]]) -> bool:
    """Whether a later entry says that it works, with the host that this one could not use."""
    host = case.cause.subjects.get("host", "") if case.cause else ""
    return (
        bool(host)
        and reading.rank(case.entry) < reading.DIED
        and any(position > case.position and host in text for position, text in well[-20:])
    )


def _chosen(cases: list[_Case]) -> _Case | None:
    if not cases:
        return None
    top = max(reading.rank(case.entry) for case in cases)
    end = _end(cases, top)
    before = [case for case in cases if case.position < end.position]
    if end.cause is None:
        vague = reading.is_vague(end.entry.text) or top < reading.FAILED
        near = [
            case
            for case in reversed(before)
            if case.cause and not _beside(case) and reading.rank(case.entry) >= (reading.WARNED if vague else reading.FAILED)
        ]
        near = near or ([case for case in cases if case.cause and case.position > end.position and not _beside(case)] if vague else [])
        if not near:
            return None
        end = near[0]
    return end


def _end(cases: list[_Case], top: int) -> _Case:
    """The first of those that weigh most, one that names a cause before one that only says that it ends."""
    heavy = [case for case in cases if reading.rank(case.entry) == top]
    if top == reading.DIED or len(heavy) == 1:
        return next((case for case in heavy if case.cause or not reading.is_vague(case.entry.text)), heavy[0])
    named = [case for case in heavy if case.cause and not _beside(case)]
    if named:
        last = named[-1]  # the closest to the end, and the first of its kind
        return next(case for case in named if case.cause and last.cause and case.cause.code == last.cause.code and _related(case, last))
    plain = [case for case in heavy if not case.cause and not reading.is_vague(case.entry.text)]
    return plain[0] if plain else next((case for case in heavy if case.cause), heavy[0])


def _related(one: _Case, other: _Case) -> bool:
    first, second = (one.cause.subjects if one.cause else {}), (other.cause.subjects if other.cause else {})
    return all(first.get(key) == second.get(key) for key in first.keys() & second.keys())


def _behind(end: _Case, before: list[_Case]) -> _Case | None:
    """The first error before another which may be the reason for it."""
    for case in before:
        if case.cause is None or end.cause is None or _side(case):
            continue
        local = subjects.is_local(end.cause.subjects.get("host", ""))
        config = case.cause.code in (_CONFIG, _ENV) or bool(_CONFIG_FILE.search(case.cause.subjects.get("path", "")))
        tolerated = bool(_TOLERATED.search(case.entry.text)) or (bool(_FELL_BACK.search(case.entry.text)) and not config)
        if tolerated:
            continue
        warned = reading.rank(case.entry) == reading.WARNED and not (
            case.cause.code == _ENV and local or case.cause.code == _CONFIG and _RELOAD.search(case.entry.text)
        )
        if warned or case.cause.code not in _BEHIND.get(end.cause.code, ()):
            continue
        if case.cause.code in (_FILE, "PermissionDenied") and not config and not _same_path(case.cause, end.cause):
            continue
        if case.cause.code in (_NAME, "CertificateInvalid") and not _related(case, end):
            continue
        return case
    return None


def _same_path(one: Cause, other: Cause) -> bool:
    first, second = one.subjects.get("path", ""), other.subjects.get("path", "")
    return bool(first and second) and (second.startswith(first.rsplit("/", 1)[0] or "/") or first.startswith(second))


def _side(case: _Case) -> bool:
    return reading.rank(case.entry) < reading.DIED and bool(_SIDE.search(case.entry.text))


def _beside(case: _Case) -> bool:
    """Whether it is about something that the application can do without."""
    return _side(case) or (
        reading.rank(case.entry) < reading.DIED and bool(_TOLERATED.search(case.entry.text) or _FELL_BACK.search(case.entry.text))
    )


def _with_name(cause: Cause, position: int, found: Sequence[Entry]) -> Cause:
    """What it connects to stands on one line, and on the next that it cannot, as with busybox's wget."""
    if cause.code in (_UNREACHABLE, _LOGIN, "CertificateInvalid") and "host" not in cause.subjects:
        for entry in reversed(found[max(0, position - 3) : position]):
            near = reading.dependency(entry.text) if _GOES_TO.search(entry.text) and not entry.is_error else None
            if near:
                target = f"{near[0]}:{near[1]}" if near[1] else near[0]
                says = cause.says.replace("another service", target, 1)
                return replace(cause, says=says, subjects={**cause.subjects, "host": near[0], "port": str(near[1] or "")})
    for entry in found[max(0, position - 2) : position]:
        match = _CONNECTING.search(entry.text)
        if match and cause.code == _UNREACHABLE and "port" not in cause.subjects and cause.subjects.get("host", match["ip"]) == match["ip"]:
            target = f"{match['host']}:{match['port']}"
            says = re.sub(r"(?<=cannot reach )(?:another service|\S+)", target, cause.says, count=1)
            return replace(cause, says=says, subjects={**cause.subjects, "host": match["host"], "port": match["port"]})
    return cause


def _counted(cause: Cause, cases: list[_Case], found: Sequence[Entry]) -> Cause:
    known: dict[int, Cause | None] = {case.position: case.cause for case in cases}
    alike: list[Cause] = []
    left = _MOST  # entries that have to be read for this
    for position, entry in enumerate(found):
        if position not in known and entry.is_error and left > 0:
            left -= 1
            known[position] = _case(position, found).cause
        one = known.get(position)
        if one and one.same == cause.same:
            alike.append(one)
    first = alike[0] if alike else cause
    return replace(first, repeated=max(1, len(alike)), times=tuple(one.time for one in alike[-3:]))
