# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a compliance run knows and what it says: facts about records, problems, findings. Plain data without behaviour of its own.

Facts are what one record says, read once and small, so that they can be made in another process and compared with each other and with the
cluster. Times are stamps as in records. A problem belongs to a check by its code; ``message`` and ``fix`` are sentences of one line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

ERROR, WARNING, INFO = "error", "warning", "info"
_LONGEST = 600  # characters of a sentence that quotes what strangers wrote
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")


class Check(NamedTuple):
    """A row of the checklist. ``requirement``: what of the requirements it answers; ``subjects``: what is counted, in words."""

    code: str
    title: str
    requirement: str
    severity: str
    subjects: str


class Problem(NamedTuple):
    """Something that a check found. ``severity``: "" for that of the check; ``object``: in the cluster, "" for none."""

    code: str
    record: str
    message: str
    fix: str
    object: str = ""
    severity: str = ""


RESTORE = "restore"  # the action of what a change only touches when it is undone


class Applied(NamedTuple):
    """One change of a plan. ``generation``: the object's, as the record says, after the change; None where unknown."""

    identifier: str
    action: str
    object: dict[str, str]
    generation: int | None


class Window(NamedTuple):
    """A time in which a run wrote to the cluster; ``end`` is "" while that is open."""

    start: str
    end: str
    host: str


@dataclass
class Facts:
    """One record. ``verified``: its chain verifies and is its own; everything below it is empty otherwise."""

    identifier: str
    path: str
    verified: bool = False
    title: str = ""
    state: str = ""
    started: str = ""
    workflow: str = ""
    risk: str = ""
    digest: str = ""
    cluster: str = ""
    head: str = ""
    heads: set[str] = field(default_factory=set)  # hashes by which others may name this chain
    origin: str = ""
    previous: Any = None  # {id, head} as the first event says
    has_plan: bool = False
    approved: bool = False
    decided: bool = False  # approved or rejected
    signed: int = 0
    executed: bool = False  # it was begun to be carried out; also where a damaged file looks so
    in_effect: bool = False  # applied, and neither refused nor undone
    applied_nothing: bool = False  # it says that nothing in the cluster was changed
    outcome: bool = False  # what became of it is recorded
    overdue: bool = False  # it should have ended by now
    undoes: str = ""  # the digest that a rollback undoes
    undoes_record: str = ""  # and the id that its record had
    windows: list[Window] = field(default_factory=list)
    changes: list[Applied] = field(default_factory=list)
    states: list[tuple[str, str]] = field(default_factory=list)  # (uid, generation) of objects that it changed the specification of
    problems: list[Problem] = field(default_factory=list)
    checked: set[str] = field(default_factory=set)  # codes of the checks that applied to it


def plain(text: Any) -> str:
    """One line that can be shown anywhere: no control characters, no marks that turn the direction of writing, not endless."""
    line = " ".join(_UNSHOWABLE.sub(" ", str(text)).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
