# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Reads one record and says what it holds, as facts: the steps are those of the store, taken one by one to say which failed.

Nothing is raised for what a file holds; what has not the shape of a record is left out of the facts and found by the checks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.compliance.model import RESTORE, Applied, Facts, Problem, Window, plain
from ansible_collections.aiops.k8s.plugins.module_utils.errors import RecordDamaged, StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation import chain_files as files, clock, record as chain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact, redact_object
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event, last
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)  # what odd content makes code raise


@dataclass
class Context:
    """What all records are judged by. ``rules_since``: when the policy file was last changed, "" without one."""

    store: Directory
    rules: Rules
    rules_since: str
    now: str

    def rules_at(self, moment: str) -> Rules:
        """The rules as they bound at that moment: a policy file says nothing about what was decided before it was written."""
        return self.rules if not self.rules_since or moment >= self.rules_since else replace(self.rules, policies=None)


@dataclass
class Subject:
    """A verified record under examination."""

    record: Record
    raw: bytes
    facts: Facts
    context: Context

    @property
    def events(self) -> list[Event]:
        return self.record.events

    @property
    def plan(self) -> dict[str, Any]:
        return self.record.plan or {}


def read(context: Context, identifier: str) -> tuple[Facts, Subject | None]:
    """The record as its file holds it; the steps are those of the store, taken one by one to say which failed."""
    path = context.store.file(identifier)
    facts = Facts(identifier, path, executed=True, checked={"R01"})  # what cannot be read may be anything
    try:
        with files.folder(context.store.path) as directory:
            raw = files.content(directory, path)
    except (RecordDamaged, StoreFailed) as error:
        return noted(facts, "R01", error.message, error.fix), None
    except OSError as error:
        return noted(facts, "R01", f"Its file cannot be read: {error.strerror}.", "Give yourself the right to read it."), None
    facts.checked |= {"R02", "R20"}
    _secrets(facts, raw)
    try:
        events = chain.read(raw, identifier)
    except RecordDamaged as error:
        _guess(facts, raw)
        return noted(facts, "R02", error.message, error.fix), None
    facts.checked.add("R03")
    first = events[0]["payload"]
    if first.get("id") != identifier or first.get("feature") != context.store.feature:
        _guess(facts, raw)
        said = f"{first.get('feature')}/{first.get('id')}"
        return noted(facts, "R03", f"It says that it is {said}: it was copied from elsewhere.", "Move it back, or remove the copy."), None
    return facts, Subject(Record(identifier, path, events), raw, facts, context)


def noted(facts: Facts, code: str, message: str, fix: str) -> Facts:
    facts.problems.append(Problem(code, facts.identifier, plain(message), fix))
    return facts


def _guess(facts: Facts, raw: bytes) -> None:
    """What a record that does not verify seems to be. Unless it says otherwise, it counts as an operation without proof."""
    kinds: list[str] = []
    for text in raw.splitlines():
        try:
            one = json.loads(text)
            kinds.append(str(one["kind"]))
            facts.risk = facts.risk or str(one["payload"]["plan"]["risk"])
        except (*SHAPE, UnicodeDecodeError):
            continue
    facts.executed = (
        bool({"executing", "executed", "validated", "failed", "rolling_back", "rolled_back"} & set(kinds)) or "proposed" not in kinds
    )


def _secrets(facts: Facts, raw: bytes) -> None:
    """Only what is a secret both in the line and as a value counts, so that the signs of JSON make none."""
    found = 0
    if redact(raw.decode("utf-8", "replace"))[1]:
        for text in raw.splitlines():
            try:
                one = json.loads(text)
                found += redact_object(one) != one
            except (ValueError, RecursionError):
                found += redact(text.decode("utf-8", "replace"))[1]
    if found:
        fix = (
            "Change that secret, since the record may have been read; then see docs/runbooks/compliance-findings.md. It is not shown here."
        )
        noted(facts, "R20", f"It holds something that looks like a secret, in {found} of its lines.", fix)


def describe(subject: Subject) -> None:
    """Fill in the facts. Whatever has not the shape of a record is left out here and found by the checks."""
    facts, events = subject.facts, subject.events
    facts.verified, facts.state, facts.head = True, subject.record.state, events[-1]["hash"]
    facts.heads = {one["hash"] for one in events} | {chain.origin(one) for one in events}
    facts.origin = chain.origin(events[0])
    kinds = {one["kind"] for one in events}
    facts.decided, facts.executed = bool(kinds & {"approved", "rejected"}), "executing" in kinds
    facts.approved = "approved" in kinds
    facts.outcome = bool(kinds & {"validated", "failed", "rolled_back"})
    facts.in_effect = facts.state in ("executed", "validated", "closed") and "executed" in kinds and "failed" not in kinds
    failed = last(events, "failed")
    refused = (
        facts.state in ("failed", "closed") and "executed" not in kinds and failed is not None and not failed["payload"].get("applied")
    )
    facts.applied_nothing = not facts.executed or refused
    facts.windows = _windows(events)
    facts.started = str(events[0]["time"])
    proposal = events[0]["payload"]
    facts.title, facts.workflow = plain(proposal.get("title", "")), plain(proposal.get("workflow", ""))
    facts.previous, facts.digest = proposal.get("previous_record"), str(proposal.get("digest") or "")
    facts.signed = sum(1 for one in events if one["kind"] in ("approved", "rejected") and by(one).get("signature"))
    plan = proposal.get("plan")
    facts.has_plan = isinstance(plan, dict)
    if not facts.has_plan:
        return
    try:
        facts.risk, facts.cluster = str(plan["risk"]), str(plan["cluster"]["uid"])
        undoes = plan.get("undoes") or {}
        facts.undoes, facts.undoes_record = str(undoes.get("digest", "")), str(undoes.get("record", "")).rpartition("/")[2]
        executed = last(events, "executed")
        after = {one["id"]: one for one in executed["payload"]["changes"]} if executed else {}
        facts.changes = [made for one in plan["changes"] for made in _applied(one, after.get(one["id"], {}))]
        facts.states = [found for one in plan["changes"] if "executed" in kinds and (found := _state(one))]
    except SHAPE:
        facts.changes = []


def _applied(change: dict[str, Any], after: dict[str, Any]) -> list[Applied]:
    """A change, with the uid of what it created, and what undoing it puts back."""
    subject = {name: str(value) for name, value in change["object"].items()}
    restored = [Applied(str(change["id"]), RESTORE, dict(one["object"]), None) for one in change.get("restore", [])]
    return [
        Applied(
            str(change["id"]), str(change["action"]), {**subject, "uid": str(after.get("uid") or subject["uid"])}, after.get("generation")
        ),
        *restored,
    ]


def by(one: Event) -> dict[str, Any]:
    by = one["payload"].get("by")
    return by if isinstance(by, dict) else {}


def _windows(events: list[Event]) -> list[Window]:
    """When a run wrote to the cluster: from the event before the first request to the one after the last."""
    found: list[Window] = []
    for one in events:
        if not is_time(one["time"]):
            continue  # R04 says so
        if one["kind"] in ("executing", "rolling_back"):
            found.append(Window(str(one["time"]), "", str(one["actor"].get("host", ""))))
        elif one["kind"] in ("executed", "failed", "rolled_back") and found and not found[-1].end:
            found[-1] = found[-1]._replace(end=str(one["time"]))
    return found


def is_time(text: Any) -> bool:
    try:
        return clock.parse(str(text)).tzinfo is not None
    except ValueError:
        return False


def _state(change: dict[str, Any]) -> tuple[str, str] | None:
    """(uid, generation) that a change of a specification starts from: each such state is left once."""
    tests = {one["path"]: one["value"] for one in change.get("patch", []) if one["op"] == "test"}
    if (
        not any(one["op"] != "test" and one["path"].startswith("/spec") for one in change.get("patch", []))
        or "/metadata/generation" not in tests
    ):
        return None
    return str(change["object"]["uid"]), str(tests["/metadata/generation"])
