# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What in the log of one run may have ended it, judged by levels, order and what the application did afterwards; codes are in causes.

    last_errors(entries) -> the errors that the run did not get over, oldest first: those that nothing but waiting and stopping parts
    telling_line(log) -> Line | None          dependency(text) -> (host, port) | None

An application gets over an error when it goes on: each ordinary entry after it counts one, one that says "listening" or "connected" three, and a
minute of ordinary work two. A warning is over after two, an error after five, and what nobody caught, or what is fatal by its level, after twenty.
No text raises.
"""

from __future__ import annotations

import re
from typing import Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs import subjects
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs.entries import Entry, Line, entries, lines, statements
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs.formats import FATAL, UNKNOWN, WARNING
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock

__all__ = ["Entry", "Line", "dependency", "entries", "goes_well", "last_errors", "lines", "rank", "statements", "telling_line"]

WARNED, FAILED, DIED = 1, 2, 3
_OVER = {WARNED: 2, FAILED: 5, DIED: 20}  # points after which the application has got over it
_APART = 3  # points that part two errors
_PAUSE = 60.0  # seconds
_WORD = re.compile(r"[a-z']+")
_WAITS = frozenset(
    "retry retries retrying retried wait waits waiting attempt attempts attempting shut shutdown shutting stop stops stopped stopping exit"
    " exits exited exiting close closed closing terminate terminated terminating clean cleaning cleanup giving bye goodbye sleep sleeps"
    " sleeping backoff abort aborted abandon abandoned unregister unregistering unregistered teardown drain draining drained kill killed"
    " killing see help hint action usage connecting trying connect".split()
)
_WELL = frozenset(
    "listening ready connected reconnected established started serving accepting recovered success successful successfully succeeded"
    " healthy resumed restored reachable online".split()
)
_WELL_PHRASES = ("running on", "is up", "up and running")
_NOT_WELL = frozenset(
    "not until wait waits waiting fail fails failed failing isn't wasn't never no being if when once starting trying unable unhealthy"
    " unsuccessful unreachable to".split()
)
# what is said when something else has gone wrong already
_VAGUE = re.compile(
    r"(?i)\b(?:giving up|give up|exit(?:ing|ed|s)?|shutting down|terminating|aborting|start-?up failed|failed to start|failed to"
    r" boot|application run failed"
    r"|could not start|cannot start|unable to start|cannot continue|can't continue|unrecoverable|too many"
    r" (?:retries|failures|errors|attempts)"
    r"|(?:max\w*|all) (?:number of )?(?:retries|attempts)|retries exhausted|exit(?:ed)? (?:status|code)|ELIFECYCLE|npm ERR!|npm"
    r" error|command failed|stopping|bye"
    r"|fatal error occurred|see (?:above|previous|log)|not ready|initiali[sz]ation failed|failed to initiali[sz]e|unhealthy|worker failed"
    r" to boot"
    r"|nil pointer dereference|SIGABRT|core dumped|returned non-zero|(?:un)?expected error|systemexit|died|crash\w*)\b"
)


def rank(entry: Entry) -> int:
    if entry.uncaught or entry.level == FATAL:
        return DIED
    return WARNED if entry.level == WARNING else FAILED


def is_vague(text: str) -> bool:
    """Whether a line says that it ends, and not why."""
    return bool(_VAGUE.search(text))


def goes_well(entry: Entry) -> bool:
    """Whether an entry says that something works (again)."""
    return not entry.is_error and _is_well(entry.low, set(_WORD.findall(entry.low)))


def _is_well(low: str, words: set[str]) -> bool:
    said = not words.isdisjoint(_WELL) or any(phrase in low for phrase in _WELL_PHRASES)
    return said and (words.isdisjoint(_NOT_WELL) or "connected to" in low or "connection to" in low)


def points(entry: Entry) -> int:
    """What an entry counts as a sign that the application goes on."""
    if entry.is_error or entry.level == UNKNOWN and entry.text[:1] in "*=+-#":  # banners, and what a shell traces
        return 0
    words = set(_WORD.findall(entry.low))
    if _is_well(entry.low, words):
        return 3
    return 1 if words and words.isdisjoint(_WAITS) else 0


def last_errors(found: Sequence[Entry]) -> list[int]:
    """Positions of the errors that belong to the end of the run, oldest first."""
    after, pause_after = 0, 0  # points behind the position
    kept: list[int] = []
    newest = ""
    for position in range(len(found) - 1, -1, -1):
        entry = found[position]
        newest = newest or entry.time
        if not entry.is_error:
            after += points(entry)
            continue
        over = after + (2 if after and _seconds(entry.time, newest) > _PAUSE else 0)
        if not kept:
            if over < _OVER[rank(entry)]:
                kept.append(position)
                pause_after = after
        elif after - pause_after < _APART or rank(entry) == DIED and over < _APART:
            kept.append(position)
            pause_after = after
        else:
            break
    kept.reverse()
    return kept


def telling(found: Sequence[Entry]) -> Entry | None:
    """The entry that is most plausible as the end of the run, by its level alone."""
    chain = [found[position] for position in last_errors(found)] or [entry for entry in found if entry.is_error]
    for least, vague in ((DIED, False), (FAILED, False), (FAILED, True), (WARNED, True)):
        if chosen := next((entry for entry in chain if rank(entry) >= least and (vague or not is_vague(entry.text))), None):
            return chosen
    return None


def telling_line(log: str) -> Line | None:
    """The line that names what went wrong; the last line where none does; None for an empty log."""
    found = entries(log)
    told = telling(found)
    if told is not None:
        detail = next((f" {one.strip()}" for one in told.trace if one.lstrip().startswith("DETAIL: ")), "")
        return Line(told.time, statements(told)[0].strip() + detail)
    if not found:
        return None
    last = found[-1]
    return Line(last.time, (last.trace[-1] if last.trace else last.text).rstrip())


def dependency(text: str) -> tuple[str, int] | None:
    """(host, port or 0) of another service that a line says it could not reach."""
    found = subjects.address(text)
    return None if found is None or subjects.is_local(found[0]) else found


def _seconds(earlier: str, later: str) -> float:
    try:
        return clock.seconds_between(_short(earlier), _short(later)) if earlier and later else 0.0
    except ValueError:
        return 0.0


def _short(stamp: str) -> str:
    """Python reads at most six digits of a fraction in older versions; the kubelet writes nine."""
    return re.sub(r"(\.\d{6})\d+", r"\1", stamp)
