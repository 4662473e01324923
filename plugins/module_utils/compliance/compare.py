# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Records against the cluster: changes without a record, records without their change, records that were rewritten.

A mark is judged by its digest. The id beside it is a label, since a record gets another number when somebody else published first.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.cluster import Inventory, Seen
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.limits import SKEW
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.model import (
    ERROR,
    INFO,
    RESTORE,
    WARNING,
    Applied,
    Facts,
    Problem,
    Window,
    plain,
)
from ansible_collections.aiops.k8s.plugins.module_utils.errors import library
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, patch
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

Read = Callable[[Mapping[str, str]], "dict[str, Any] | None"]
_SAME_CLOCK = 5.0  # seconds, where this machine did it and its clock's offset to the server's is known
_PARALLEL = 8
_WHO = "See who wrote it: kubectl get --show-managed-fields -o yaml, and the API server's audit log. Undo it, or propose it with a record."
_REWRITTEN = (
    "The cluster holds the digest that was carried out. Restore the record from a backup or the git remote, and ask who rewrote it."
)
_SHORT = 12


@dataclass
class Comparison:
    """What was found. ``without_record``: changes in the cluster that no record documents."""

    problems: list[Problem] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    without_record: int = 0
    missing: dict[str, str] = field(default_factory=dict)  # what could not be read for the comparison: why not


def compare(store: Directory, records: list[Facts], found: Inventory, read: Read, now: str, namespaces: list[str]) -> Comparison:
    """Compare all records with an inventory. ``read`` reads one whole object; it is asked where the specification changed after a record."""
    result = Comparison()
    here = [one for one in records if one.cluster == found.cluster["uid"]]
    matcher = _Matcher(store.feature, records, here, found, now)
    ours = [one for one in found.seen if one.ours]
    marked = [one for one in found.seen if (one.digest or one.record) and (one.ours or not one.controlled)]
    for one in {**dict.fromkeys(ours), **dict.fromkeys(marked)}:
        problems = list(matcher.judge(one))
        result.problems += problems
        result.without_record += any(not problem.severity for problem in problems)
    idle = [one for one in here if one.applied_nothing and one.digest]
    changes = [
        (one, change)
        for one in here
        if one.in_effect and one.windows
        for change in one.changes
        if change.action != RESTORE and not matcher.followed(one, change)
    ]
    changes = [(one, change) for one, change in changes if change.action == "delete" or found.covers(change.object, namespaces)]
    result.checked = {"C01": len(ours), "C02": len(marked), "C03": len(ours), "C04": len(changes), "C05": len(idle)}
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for (_record, change), found_out in zip(changes, pool.map(lambda pair: _kept(store, pair[0], pair[1], matcher, read), changes)):
            if isinstance(found_out, Problem):
                result.problems.append(found_out)
            elif found_out:
                result.missing[f"{change.object.get('kind')} objects by name"] = found_out
    return result


class _Matcher:
    """Finds records by digest, by label and by object."""

    def __init__(self, feature: str, records: list[Facts], here: list[Facts], found: Inventory, now: str) -> None:
        self.feature, self.skew, self.now = feature, found.skew, now
        self.by_id = {one.identifier: one for one in records}
        self.by_digest: dict[str, list[Facts]] = defaultdict(list)
        self.windows: dict[tuple[str, str, str], list[tuple[Window, str]]] = defaultdict(list)
        self.writes: dict[str, list[tuple[str, str]]] = defaultdict(list)  # uid -> (start, record)
        self.uids = {one.uid: one for one in found.seen}
        self.names = {(one.kind, one.namespace, one.name): one for one in found.seen}
        for one in records:
            if one.digest:
                self.by_digest[one.digest].append(one)
        for one in here:
            for change in one.changes:
                self.windows[_name(change.object)] += [(window, one.identifier) for window in one.windows]
                if one.windows and not one.applied_nothing:
                    self.writes[str(change.object.get("uid"))].append((one.windows[0].start, one.identifier))

    def followed(self, one: Facts, change: Applied) -> bool:
        """Whether another record wrote to the same object later."""
        return any(start > one.windows[0].start for start, _record in self.writes[str(change.object.get("uid"))])

    def judge(self, one: Seen) -> Iterator[Problem]:
        """What is wrong with one object that we wrote to, or that is marked."""
        if not one.digest and not one.record:
            yield _problem("C01", "", one, f"aiops.k8s wrote to it at {one.ours}, and it names no record.", _WHO)
            return
        matching = self.by_digest.get(one.digest, []) if one.digest else []
        if not matching:
            yield from self._unknown(one)
            return
        about = [record for record in matching if any(_name(change.object) == _key(one) for change in record.changes)]
        first = (about or matching)[0]
        if not about:
            message = f"It carries the mark of record {first.identifier}, which is about another object."
            yield _problem("C01", first.identifier, one, message, _WHO)
            return
        if all(record.applied_nothing for record in about):
            message = f"It carries the digest of record {first.identifier}, which says that nothing was changed ({first.state})."
            yield _problem("C05", first.identifier, one, message, _REWRITTEN)
        elif one.ours:
            yield from self._time(one, first)

    def _unknown(self, one: Seen) -> Iterator[Problem]:
        """Of an object whose digest no record has."""
        feature, _slash, identifier = one.record.rpartition("/")
        record = self.by_id.get(identifier) if feature == self.feature else None
        if record is not None and not record.verified:
            return  # its damage is a finding of its own, and its digest cannot be known
        if record is not None:
            message = (
                f"It was changed under the digest {one.digest[:_SHORT] or 'none'}, and record {identifier} has"
                f" {record.digest[:_SHORT] or 'none'}."
            )
            yield _problem("C02", identifier, one, message, _REWRITTEN)
        elif feature != self.feature and one.record:
            message = f"Its mark names the record {one.record}, which is of another feature than {self.feature} and was not looked at."
            yield _problem("C01", "", one, message, "Run this playbook with that feature and its records_dir as well.", WARNING)
        else:
            message = (
                f"It was changed under the record {one.record or 'none'} with the digest {one.digest[:_SHORT] or 'none'}, and there is no"
                " such record."
            )
            yield _problem("C01", identifier, one, message, _WHO)

    def _time(self, one: Seen, record: Facts) -> Iterator[Problem]:
        windows = self.windows[_key(one)]
        if any(self._within(one.ours, window) for window, _record in windows):
            return
        newest, identifier = max(windows, key=lambda pair: pair[0].start, default=(Window("", "", ""), record.identifier))
        told = f"its last record, {identifier}, wrote from {newest.start} to {newest.end}" if newest.start else "no record wrote to it"
        yield _problem("C03", identifier, one, f"aiops.k8s wrote to it at {one.ours}, and {told}.", _WHO)

    def _within(self, moment: str, window: Window) -> bool:
        """Whether the API server's time lies in the window, as far as the two clocks can be compared."""
        own = window.host == socket.gethostname() and self.skew is not None
        offset, allowance = (self.skew or 0.0, _SAME_CLOCK) if own else (0.0, SKEW)
        after = clock.seconds_between(window.start, moment) + offset
        before = clock.seconds_between(moment, window.end or self.now) - offset
        return after >= -allowance - 1 and before >= -allowance  # the server cuts seconds off


def _kept(store: Directory, record: Facts, change: Applied, matcher: _Matcher, read: Read) -> Problem | str | None:
    """What became of a change that a record says is in effect; None where it is as it was left, text where the object could not be read."""
    subject = change.object
    uid = str(subject.get("uid"))
    if change.action == "delete":
        return _deleted(record, subject, read)
    one = matcher.uids.get(uid)
    if one is None:
        again = matcher.names.get(_name(subject))
        what = "was deleted and created again since" if again else "does not exist any more"
        return Problem(
            "C04", record.identifier, f"The object that it changed {what}.", "Nothing, if that was meant.", _title(subject), INFO
        )
    if not one.digest and not one.record:
        message = "The object that it changed carries no mark of aiops.k8s any more: it was replaced, or the change was never made."
        return _problem("C04", record.identifier, one, message, _WHO, ERROR)
    if one.digest != record.digest or (one.generation is not None and one.generation == change.generation):
        return None  # another digest is a finding of C01, C02 or C05
    try:
        live = read(subject)
    except ApiError as error:
        return plain(error.message)
    planned = next((each for each in (_plan(store, record) or {}).get("changes", []) if each["id"] == change.identifier), None)
    if live is None or planned is None or not {"inverse", "manifest"} & set(planned):
        return None
    try:
        moved = (
            patch.holds(live, planned["inverse"])
            if "inverse" in planned
            else patch.unlike(planned["outcome"], patch.creation(live), "spec")
        )
    except library("jsonpointer").JsonPointerException as error:
        moved = [str(error)]
    if moved:
        fix = "Nothing, if that was meant; such changes are without a record."
        return _problem("C04", record.identifier, one, f"It has drifted from what the record left: {'; '.join(moved)}.", fix)
    return None


def _deleted(record: Facts, subject: Mapping[str, str], read: Read) -> Problem | str | None:
    try:
        live = read(subject)
    except ApiError as error:
        return plain(error.message)
    if live is None or live["metadata"]["uid"] != subject.get("uid") or "deletionTimestamp" in live["metadata"]:
        return None
    return Problem("C04", record.identifier, "The record says that it was deleted, and it is still there.", _WHO, _title(subject), ERROR)


def _plan(store: Directory, record: Facts) -> Mapping[str, Any] | None:
    loaded: Record = Directory.load(store, record.identifier)  # the file, without asking a remote again
    return loaded.plan


def _problem(code: str, record: str, one: Seen, message: str, fix: str, severity: str = "") -> Problem:
    return Problem(code, record, plain(message), fix, plain(one.title), severity)


def _name(subject: Mapping[str, str]) -> tuple[str, str, str]:
    return str(subject.get("kind")), str(subject.get("namespace", "")), str(subject.get("name"))


def _key(one: Seen) -> tuple[str, str, str]:
    return one.kind, one.namespace, one.name


def _title(subject: Mapping[str, str]) -> str:
    kind, namespace, name = _name(subject)
    return plain(f"{kind.lower()}/{name}" + (f" in namespace {namespace}" if namespace else ""))
