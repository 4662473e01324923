# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One record, checked by itself: what its file, its events, its plan, its approval and its PHR say.

``examine`` reads each record once and returns its facts with the problems found. A check is a row of ``_CHECKS``: its code, whether it applies to
a record, and a function that yields (message, fix) or (message, fix, code). Nothing is raised for what a record holds.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Iterable, Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.compliance import limits
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.model import Facts, Problem, plain
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.reading import (
    SHAPE,
    Context,
    Subject,
    by,
    describe,
    noted,
    is_time,
    read,
)
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput, RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import (
    chain_files as files,
    clock,
    gate,
    listing,
    phr,
    record as chain,
    signature,
)
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event, last
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.reporting import attachments

Found = Iterator[tuple[str, str]]
_FORGED = "Compare the record with a backup, and ask who wrote it; nothing is carried out from it."
_ASK = "Compare the record with a backup, and ask who carried it out."
_DIGITS = 12  # of a digest, in sentences


def examine(context: Context, identifiers: Iterable[str], signers: int) -> list[Facts]:
    """Facts about these records. ``signers``: how many signatures are verified at once, beside the other checks."""
    done: list[Facts] = []
    signed: list[tuple[Facts, Future[list[Problem]]]] = []
    with ThreadPoolExecutor(max(1, signers)) as pool:
        for identifier in identifiers:
            facts, subject = read(context, identifier)
            done.append(facts)
            if subject is None:
                continue
            describe(subject)
            if facts.signed:
                signed.append((facts, pool.submit(_signed, subject)))
            _check(subject)
        for facts, future in signed:
            facts.problems += future.result()
    return done


def _check(subject: Subject) -> None:
    unchecked: list[str] = []
    usable = True
    for code, applies, find in _CHECKS:
        try:
            if not applies(subject) or (not usable and code in _NEED_PLAN):
                continue
            subject.facts.checked.add(code)
            problems = [Problem(code, subject.facts.identifier, plain(message), fix) for message, fix in find(subject)]
        except AiopsError as error:
            usable = usable and not (code == "R08" and isinstance(error, BadInput))  # a plan of another shape
            problems = [Problem(code, subject.facts.identifier, plain(error.message), error.fix or _FORGED)]
        except SHAPE as error:
            unchecked.append(f"{code} ({type(error).__name__}: {error})")
            continue
        subject.facts.problems += problems
    if unchecked:
        noted(
            subject.facts, "R03", f"It has not the shape of a record, so these checks could not be made: {', '.join(unchecked)}.", _FORGED
        )


# ---- the checks ----------------------------------------------------------------------------------------------------------------------


def _times(subject: Subject) -> Found:
    latest = ""
    for one in subject.events:
        moment = str(one["time"])
        if not is_time(moment) or clock.stamp(clock.parse(moment)) != moment:
            yield f"Event {one['seq']} has the time {moment}, which is no stamp of this collection.", _FORGED
            return
        if clock.seconds_between(subject.context.now, moment) > limits.SKEW:
            yield (
                f"Event {one['seq']} ({one['kind']}) is of {moment}, which is in the future.",
                "Set this machine's clock right; else: " + _FORGED,
            )
        if "rebased" in one:
            continue  # made elsewhere while the remote was out of reach
        if latest and clock.seconds_between(moment, latest) > limits.SKEW:
            yield f"Event {one['seq']} ({one['kind']}) is of {moment}, which is before an earlier event's {latest}.", _FORGED
        latest = max(latest, moment)
    created = str(subject.plan.get("created") or latest)
    if clock.seconds_between(str(subject.events[0]["time"]), created) > limits.SKEW:
        yield f"The plan was made at {created}, after it was recorded at {subject.events[0]['time']}.", _FORGED


def _plan(subject: Subject) -> Found:
    gate.require_plan(subject.record)
    yield from ()


def _unsigned_approval(subject: Subject) -> Found:
    approved = last(subject.events, "approved") or {}
    if not by(approved).get("signature"):
        fault = gate.approval_fault(subject.record, subject.plan, approved, subject.context.rules_at(str(approved["time"])))
        if fault:
            yield f"The approval does not count: {fault}.", _FORGED


def _signed(subject: Subject) -> list[Problem]:
    """The problems of decisions that were signed; run beside the other checks, because each signature takes processes of their own."""
    found = []
    for one in subject.events:
        signed = one["kind"] in ("approved", "rejected") and by(one).get("signature")
        if not signed:
            continue
        try:
            code, fault, fix = _signed_fault(subject, one)
        except AiopsError as error:
            code, fault, fix = "R10", error.message.rstrip("."), error.fix
        except SHAPE as error:
            code, fault, fix = "R10", f"it has not the shape of a signed decision ({type(error).__name__}: {error})", ""
        if fault:
            found.append(
                Problem(code, subject.facts.identifier, plain(f"The event {one['kind']} does not count: {fault}."), fix or _FORGED)
            )
    return found


def _signed_fault(subject: Subject, one: Event) -> tuple[str, str, str]:
    """(code, what is wrong, fix); the signature of an approval is verified once, by the gate's own rule."""
    rules = subject.context.rules_at(str(one["time"]))
    if one["kind"] == "rejected":
        _hold(subject, one, rules)
        return "R10", "", ""
    fault = gate.approval_fault(subject.record, subject.plan, one, rules)
    if fault:
        try:
            _hold(subject, one, rules)
        except AiopsError as error:
            return "R10", error.message.rstrip("."), error.fix
    return "R09", fault, ""


def _hold(subject: Subject, one: Event, rules: Rules) -> None:
    """Raises AiopsError when the signature of a decision is not one over this plan, or not by whom it says."""
    signed = one["payload"]["by"]["signature"]
    found = signature.read(signed["statement"].encode(), subject.plan, subject.record.digest, "The signed statement")
    signer = signature.verify(signed["statement"].encode(), signed["armored"], rules, clock.parse(found["time"]))
    if signer["principal"] != signed["principal"]:
        raise RecordDamaged(f"The signature is by {signer['principal']}, not by {signed['principal']}.")
    if found["decision"] != {"approved": "approve", "rejected": "reject"}[one["kind"]] or found["reason"] != one["payload"]["reason"]:
        raise RecordDamaged(f"The signed statement is to {found['decision']}, with another reason or decision than the event.")


def _carried_out(subject: Subject) -> Found:
    approved, executing = last(subject.events, "approved"), last(subject.events, "executing")
    if approved is None or executing is None:
        yield "It was carried out, and never approved.", _ASK
        return
    moment = str(executing["time"])
    if moment < approved["time"]:
        yield f"It was carried out at {moment}, before it was approved at {approved['time']}.", _ASK
    expires = gate.expiry(subject.plan, approved, subject.context.rules_at(str(approved["time"])))
    if moment > expires:
        yield f"It was carried out at {moment}; the approval had expired at {expires}.", _ASK
    if executing["payload"].get("digest") != subject.record.digest:
        digest = str(executing["payload"].get("digest"))
        yield f"What was carried out has the digest {digest[:_DIGITS]}, not the approved {subject.record.digest[:_DIGITS]}.", _ASK
    if executing["payload"].get("approved_by") != approved["payload"]["by"]:
        yield "It says that somebody else approved it than the approval does.", _ASK


def _undone(subject: Subject) -> Found:
    for position, one in enumerate(subject.events):
        if one["kind"] == "rolling_back" and not chain.undo_needed(subject.events[:position]):
            yield f"It was undone at {one['time']} though no check had failed.", "Ask who undid it, and why no rollback was approved."


def _late(subject: Subject) -> Found:
    row = listing.entry(subject.context.store, subject.record, subject.context.now)
    due = clock.span(row["sla_minutes"] * 60)
    if subject.facts.decided and not row["sla_met"]:
        took = clock.span(row["decided_after_seconds"])
        yield (
            f"It was decided after {took}; {due} are allowed for {subject.facts.risk} changes.",
            "See that an approver is told in time (channels).",
        )
    elif not subject.facts.decided:
        yield f"It was never decided; that was due within {due}.", "See that an approver is told in time (channels)."


def _waiting(subject: Subject) -> Found:
    row = listing.entry(subject.context.store, subject.record, subject.context.now)
    if row["overdue"] and not row["expired"]:
        yield f"Its decision was due {clock.span(row['overdue_seconds'])} ago.", f"Decide: {row['next']}"


def _unfinished(subject: Subject) -> Found:
    since = limits.overdue_since(subject.events, subject.context.now)
    if since:
        subject.facts.overdue = True
        fix = "Propose again if it is still wanted." if subject.facts.state == "approved" else f"Run: {phr.next_command(subject.events)}"
        yield f"It is {subject.facts.state.replace('_', ' ')} since {since}: {limits.LEFT[subject.facts.state]}.", fix


def _laxer(subject: Subject) -> Found:
    policies = subject.context.rules.policies
    if policies:
        found = limits.laxer(subject.plan["policy"], policies[subject.facts.risk], subject.facts.risk)
        if found:
            yield (
                f"The policy stored in it is laxer than the file's: {'; '.join(found)}.",
                "Nothing, if the file was made stricter later; else ask who made it.",
            )


def _attached(subject: Subject) -> Found:
    if attachments.of(subject.events):
        with files.folder(subject.context.store.path) as directory:
            for problem in attachments.problems(directory, subject.events):
                yield problem, "Restore the file from a backup; without it nobody sees what the approver was shown."


def _document(subject: Subject) -> Found:
    yield from _attached(subject)
    store = subject.context.store
    path = store.document(subject.record)
    again = (
        "Look at what differs, then render it again: ansible localhost -m aiops.k8s.record_info -a render=true (with records_dir and"
        " feature)"
    )
    wanted = phr.render(subject.events, quick=True).encode()  # a record that cannot be rendered is another check's
    try:
        with files.folder(store.path) as directory:
            found = files.content(directory, path)
    except FileNotFoundError:
        yield f"Its PHR {os.path.basename(path)} is missing.", again
        return
    except OSError as error:
        yield f"Its PHR {os.path.basename(path)} cannot be read: {error.strerror}.", again
        return
    if found != wanted and found != phr.render(subject.events).encode():
        yield f"Its PHR {os.path.basename(path)} is not what the record says: it was edited, or rendered by another version.", again


def _always(subject: Subject) -> bool:
    return True


def _planned(subject: Subject) -> bool:
    return subject.facts.has_plan


_CHECKS: tuple[tuple[str, Callable[[Subject], bool], Callable[[Subject], Found]], ...] = (
    ("R04", _always, _times),
    ("R08", _planned, _plan),
    ("R09", lambda one: one.facts.approved, _unsigned_approval),
    ("R10", lambda one: one.facts.signed > 0, lambda one: iter(())),  # _signed finds what is wrong, beside the others
    ("R11", lambda one: one.facts.executed, _carried_out),
    ("R13", lambda one: any(event["kind"] == "rolling_back" for event in one.events) or bool(one.facts.undoes), _undone),
    ("R15", lambda one: one.facts.has_plan and (one.facts.decided or limits.never_decided(one.events, one.plan, one.context.now)), _late),
    ("R16", lambda one: one.facts.has_plan and one.facts.state == "proposed", _waiting),
    ("R17", lambda one: one.facts.approved, _unfinished),
    ("R18", _planned, _laxer),
    ("R19", _always, _document),
)
_NEED_PLAN = ("R09", "R11", "R15", "R16", "R18")  # they say nothing where R08 found a plan that is none
# what a record must not lack to count as documented with plan and approval
PLAN_FAULTS, APPROVAL_FAULTS = ("R08",), ("R09", "R10", "R11")
