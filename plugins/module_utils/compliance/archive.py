# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""All records of a store together: what they say about each other, which are missing, and the share that is documented.

Errors: StoreFailed where the store cannot be read, BadInput for an earlier report that is none.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.collector import without_collector
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.examine import APPROVAL_FAULTS, PLAN_FAULTS, examine
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.fork import FEW, spread
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.model import WARNING, Facts, Problem, plain
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.reading import Context
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import POLICY_FILE, Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

_DOCUMENT = re.compile(r"^([0-9]{4,})-.*\.prompt\.md\Z")
_GONE = "Restore the file from a backup, and ask who removed it."
_COPY = "Find out which of the two is the real one (backup, cluster), and remove the other."
_UNPUBLISHED = ("is not published", "is not committed")  # it will be, when the remote can be reached
_RISKS = ("medium", "critical")


@dataclass
class Archive:
    """The facts of all records, in their order, and what was found across them."""

    records: list[Facts]
    problems: list[Problem] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)  # checks that are not made per record

    def by_digest(self) -> dict[str, list[Facts]]:
        found: dict[str, list[Facts]] = defaultdict(list)
        for one in self.records:
            if one.digest:
                found[one.digest].append(one)
        return found


def gather(store: Directory, rules: Rules, now: str, since: Mapping[str, str] | None = None) -> Archive:
    """Examine every record of a store. ``since``: {id: head} of an earlier report."""
    identifiers = store.identifiers()
    context = Context(store, rules, _changed(rules), now)
    signers = 1 if len(identifiers) >= FEW else 2
    with without_collector():
        archive = Archive(spread(identifiers, lambda part: examine(context, part, signers)))
    for code, find in _ACROSS:
        for problem in find(archive.records):
            archive.problems.append(Problem(code, problem[0], plain(problem[1]), problem[2]))
    everything = len(archive.records)
    archive.checked |= {"R05": sum(one.verified for one in archive.records), "R06": everything}
    archive.checked |= {"R07": sum(bool(one.digest) for one in archive.records), "R12": sum(bool(one.states) for one in archive.records)}
    archive.problems += [Problem("R06", one, plain(message), _GONE) for one, message in _orphans(store, archive.records)]
    if since is not None:
        archive.checked["R22"] = len(since)
        archive.problems += [Problem("R22", one, plain(message), _GONE) for one, message in _vanished(archive.records, since)]
    _compare_with_git(store, archive)
    return archive


def share(archive: Archive) -> dict[str, Any]:
    """{operations, documented, percent, open, without_record}; adds the problems of R14.

    An operation counts when it was carried out and is not still on its way; it is documented when plan and approval count and its outcome
    is recorded. Changes that the cluster shows without a record are added by the caller.
    """
    faults: dict[str, set[str]] = defaultdict(set)
    for problem in [*archive.problems, *(one for record in archive.records for one in record.problems)]:
        faults[problem.record].add(problem.code)
    wanted = [one for one in archive.records if one.executed and (one.risk in _RISKS or not one.verified)]
    archive.checked["R14"] = len(wanted)
    documented = running = 0
    for one in wanted:
        lacking = _lacking(one, faults[one.identifier])
        if lacking:
            message = f"A {one.risk or 'possibly critical'} operation was carried out, and its record lacks {' and '.join(lacking)}."
            archive.problems.append(Problem("R14", one.identifier, plain(message), "See the other findings about this record."))
        elif one.outcome:
            documented += 1
        elif not one.overdue:
            running += 1
    return summed(len(wanted) - running, documented, running, 0)


def summed(operations: int, documented: int, running: int, without_record: int) -> dict[str, Any]:
    """``percent`` is None where there is nothing to document, and never rounded up to 100."""
    total = operations + without_record
    percent = None if not total else 100.0 if documented == total else min(99.9, round(100.0 * documented / total, 1))
    return {"operations": total, "documented": documented, "percent": percent, "open": running, "without_record": without_record}


def earlier(path: str) -> dict[str, str]:
    """{id: head} of the report that an earlier run wrote. Raises BadInput naming the option."""
    try:
        with open(path, encoding="utf-8") as file:
            heads = json.load(file)["heads"]
    except OSError as error:
        raise BadInput(
            f"since {path} cannot be read: {error.strerror}.", "Give the result_file of an earlier run of this playbook."
        ) from error
    except (ValueError, KeyError, TypeError):
        heads = None
    if not isinstance(heads, dict) or not all(isinstance(head, str) for head in heads.values()):
        raise BadInput(f"since {path} is no report of a compliance run.", "Give the result_file of an earlier run of this playbook.")
    return heads


def _lacking(one: Facts, faults: set[str]) -> list[str]:
    if not one.verified:
        return ["a chain of events that verifies"]
    lacking = ["a plan that its digest names"] if not one.has_plan or faults & set(PLAN_FAULTS) else []
    return lacking + (["an approval that counts"] if faults & set(APPROVAL_FAULTS) else [])


def _changed(rules: Rules) -> str:
    """When the policy file was last changed; "" where there is none."""
    if not rules.policies:
        return ""
    from datetime import datetime, timezone

    return clock.stamp(datetime.fromtimestamp(os.stat(os.path.join(rules.directory, POLICY_FILE)).st_mtime, timezone.utc))


# ---- checks across records: they yield (record, message, fix) --------------------------------------------------------------------------


def _links(records: list[Facts]) -> Iterator[tuple[str, str, str]]:
    known = {one.identifier: one for one in records}
    for position, one in enumerate(records):
        if not one.verified:
            continue
        said = one.previous
        if said is None:
            if position:
                yield one.identifier, f"It says that it is the first record, and {records[position - 1].identifier} is before it.", _GONE
            continue
        if not isinstance(said, dict) or not isinstance(said.get("head"), str):
            yield one.identifier, "It does not name the record before it.", _GONE
            continue
        there = known.get(str(said.get("id")))
        if there is None or not there.verified or said["head"] in (*there.heads, "unreadable"):
            continue  # a missing or damaged record is a finding of its own
        yield (
            one.identifier,
            f"It names an event of record {there.identifier} that this does not hold: {there.identifier} was rewritten.",
            _GONE,
        )


def _missing(records: list[Facts]) -> Iterator[tuple[str, str, str]]:
    before = 0
    for one in records:
        number = int(one.identifier)
        if number > before + 1:
            first, final = f"{before + 1:04d}", f"{number - 1:04d}"
            which = f"Record {first} is" if first == final else f"Records {first} to {final} are"
            named = one.previous.get("id") if isinstance(one.previous, dict) else None
            witness = f"; record {one.identifier} still names {named}" if named == final else ""
            yield one.identifier, f"{which} missing before {one.identifier}{witness}.", _GONE
        before = number


def _copies(records: list[Facts]) -> Iterator[tuple[str, str, str]]:
    seen: dict[tuple[str, str], str] = {}
    for one in records:
        keys = [(name, key) for name, key in (("digest", one.digest), ("first event", one.origin)) if key]
        copied = next((key for key in keys if key in seen), None)
        if copied:
            yield one.identifier, f"It has the {copied[0]} of record {seen[copied]}: one of the two was copied.", _COPY
        for key in keys:
            seen.setdefault(key, one.identifier)


def _twice(records: list[Facts]) -> Iterator[tuple[str, str, str]]:
    seen: dict[tuple[str, str], str] = {}
    for one in records:
        for state in one.states:
            if state in seen and seen[state] != one.identifier:
                subject = next((f"{change.object.get('kind')}/{change.object.get('name')}" for change in one.changes), "the object")
                message = (
                    f"It says that it changed {subject} at generation {state[1]}, and so does record {seen[state]}; an object leaves each"
                    " generation once."
                )
                yield one.identifier, message, _COPY
            seen.setdefault(state, one.identifier)


def _undoings(records: list[Facts]) -> Iterator[tuple[str, str, str]]:
    executed = {one.digest for one in records if one.executed}
    unreadable = {one.identifier for one in records if not one.verified}
    for one in records:
        if one.undoes and one.undoes not in executed and one.undoes_record not in unreadable:
            message = f"It undoes an operation with the digest {one.undoes[:12]}, and no record was carried out that has it."
            yield one.identifier, message, _GONE


_ACROSS = (("R05", _links), ("R06", _missing), ("R07", _copies), ("R12", _twice), ("R13", _undoings))


def _orphans(store: Directory, records: list[Facts]) -> Iterator[tuple[str, str]]:
    """PHRs whose record is gone, where no later record tells so."""
    try:
        names = os.listdir(store.path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreFailed(f"{store.path} cannot be read: {error.strerror}.", "Give yourself the right to read it.") from error
    newest = int(records[-1].identifier) if records else 0
    for name in sorted(names):
        match = _DOCUMENT.match(name)
        if match and int(match[1]) > newest:
            yield match[1], f"Its PHR {name} is there, and the record is not."


def _vanished(records: list[Facts], since: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    known = {head for one in records for head in one.heads}
    unreadable = {one.identifier for one in records if not one.verified}
    for identifier, head in since.items():
        if head not in known and identifier not in unreadable:
            yield identifier, "The earlier report saw events of it that no record holds: it was removed or rewritten."


def _compare_with_git(store: Directory, archive: Archive) -> None:
    from ansible_collections.aiops.k8s.plugins.module_utils.operation.git_store import Git

    if isinstance(store, Git):
        rows = store.compare()
        archive.checked["R21"] = len(rows)
        for one in rows:
            if one["problem"]:
                severity = WARNING if one["problem"].startswith(_UNPUBLISHED) else ""
                fix = "See docs/runbooks/git-store.md: compare the clone with the remote and with another clone."
                archive.problems.append(Problem("R21", one["id"], plain(f"Compared with git: {one['problem']}."), fix, severity=severity))
