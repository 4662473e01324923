# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Proves a change: looks at the workload until its checks are decided, then watches it; writes what it saw into the record.

Every function goes on from what the record says, so that one that was killed is simply called again. ``wanted`` are the
checks of a plan (checks.py), ``api`` the reader's connection. Times are seconds. Raises GateRefused (the record is in
another state), StoreFailed (the event could not be written), and the API's own error where patience ran out.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, Callable, Mapping, TypeVar

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import signals
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.workload import State, observe
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks, clock, history, patch, times, usage_proof
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import last
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store

Show = Callable[[float, str, str], None]  # (seconds, what is seen, what the seconds count)
Measure = Callable[[], "float | None"]  # the fraction of requests that fail now, None where unknown
T = TypeVar("T")
_KEPT = 10  # kinds of error signals that an event keeps
_FOLLOWS = {"checks": "executed", "watch": "validated"}


@dataclass(frozen=True)
class Pace:
    """How often the workload is looked at, and how long an API server that is away is waited for."""

    poll: float = 1.0  # between observations while a change is proven
    watch_poll: float = 10.0  # between observations while it is watched
    heartbeat: float = 15.0  # progress is shown after this time although nothing changed
    watch_heartbeat: float = 300.0
    patience: float = 60.0
    signals: float = 5.0  # between looks at the events while a change is proven; under watch they are looked at each time


USUAL = Pace()


def require_state(record: Record, phase: str) -> None:
    """Raises GateRefused when a record is not where this phase (checks, watch) begins."""
    if record.state != _FOLLOWS[phase]:
        raise GateRefused(f"Record {record.identifier} is {record.state}; the phase {phase} follows {_FOLLOWS[phase]}.")


def prove(
    api: Api, store: Directory, record: Record, wanted: list[dict[str, Any]], show: Show, pace: Pace = USUAL, measure: Measure | None = None
) -> None:
    """Look until the checks have passed or one has failed, and write ``validated`` or ``failed``. ``measure`` gives error rates."""
    require_state(record, "checks")
    wanted = _of_created(record, wanted)
    started = _payload(record, "executed")["applied"]
    progress, shown = checks.Progress(), Ticker(show, pace.heartbeat)
    warned = Warned(api, wanted[0]["object"], started, pace.signals)
    while True:
        state = _patient(lambda: observe(api, wanted[0]["object"]), shown, pace)
        if _taken_over(store, record, state):
            return
        if measure:
            state["errors"] = measure()
        elapsed = clock.seconds_between(started, clock.stamp(clock.now()))
        progress = checks.validate(progress, wanted, state, elapsed)
        _patient(lambda: warned.look(state, progress.verdict != "pending"), shown, pace)
        shown.tick(elapsed, warned.appended(checks.summary(state)))
        if progress.verdict != "pending":
            break
        time.sleep(pace.poll)
    seen = {"met": progress.met, "state": checks.summary(state), **warned.document()}
    if progress.verdict == "failed":
        reason = warned.appended(progress.reason)
        store.append(record, "failed", {"phase": "validate", "reason": reason, "applied": True, **seen})
        return
    held = next(check for check in wanted if check["type"] == "watch")["hold_seconds"]
    moment = clock.stamp(clock.now())
    until = clock.later(moment, seconds=held)
    measured = _measured(store, record, moment)
    passed = {**seen, "seconds": round(elapsed, 1), "baseline": checks.restarts(state), "watch_until": until, **measured}
    store.append(record, "validated", passed, moment)


def watch(api: Api, store: Directory, record: Record, wanted: list[dict[str, Any]], wait: bool, show: Show, pace: Pace = USUAL) -> str:
    """Look until the watch is over or the workload has failed, and write ``closed`` or ``failed``; once only without ``wait``.

    Returns what was seen last, as a sentence without its end.
    """
    require_state(record, "watch")
    wanted = _of_created(record, wanted)
    baseline, until = _payload(record, "validated")["baseline"], _payload(record, "validated")["watch_until"]
    unavailable_since: float | None = None
    shown = Ticker(show, pace.watch_heartbeat)
    begun = str((last(record.events, "validated") or {})["time"])
    warned = Warned(api, wanted[0]["object"], _payload(record, "executed").get("applied", begun), pace.signals)
    used = usage_proof.Watched(api, next(check for check in wanted if check["type"] == "watch"), warned.servers(begun))
    while True:
        state = _patient(lambda: observe(api, wanted[0]["object"]), shown, pace)
        if _taken_over(store, record, state):
            return checks.summary(state)
        _patient(lambda: warned.look(state, True), shown, pace)
        used.look(state)
        seen, left = warned.appended(checks.summary(state)), clock.seconds_between(clock.stamp(clock.now()), until)
        unavailable_since = None if checks.serves(state) else unavailable_since or time.monotonic()
        fault = checks.watch(baseline, state, time.monotonic() - unavailable_since if unavailable_since else 0.0)
        fault = fault or checks.deadly(warned.found, warned.servers(begun))
        ended = left <= 0 and unavailable_since is None
        fault = fault or (used.fault() if ended else "")
        if fault:
            document = {**warned.document(), **used.document(state)}
            store.append(record, "failed", {"phase": "watch", "reason": fault, "applied": True, "state": seen, **document})
            return seen
        if ended:
            watched = clock.seconds_between(begun, clock.stamp(clock.now()))
            over = {"reason": f"watched for {clock.span(watched)}: {seen}{used.appended()}", "watched_seconds": round(watched, 1)}
            store.append(record, "closed", {**over, **warned.document(), **used.document(state)})
            return seen
        if not wait:
            return seen
        shown.tick(max(left, 0.0), seen, "left of the watch")
        time.sleep(min(pace.watch_poll, max(left, pace.poll)))


class Warned:
    """The error signals of a workload since its change, looked at now and then. ``found``: as cluster/signals.py gives them."""

    def __init__(self, api: Api, subject: Mapping[str, str], started: str, every: float) -> None:
        self.api, self.subject, self.started, self.every = api, subject, started, every
        self.found: list[signals.Signal] = []
        self.missing = ""
        self._looked: float | None = None

    def look(self, state: State, now: bool) -> None:
        if not state["exists"] or not (now or self._looked is None or time.monotonic() - self._looked >= self.every):
            return
        events, self.missing = signals.warnings(self.api, self.subject["namespace"])
        self.found = signals.about(events, self.subject, state, self.servers(self.started))
        self._looked = time.monotonic()

    def servers(self, moment: str) -> str:
        """A moment of this machine's clock by the server's."""
        return clock.later(moment, seconds=-(self.api.clock_skew or 0.0))

    def appended(self, text: str) -> str:
        """A sentence with the signals behind it."""
        told = checks.told(self.found)
        return f"{text}; warnings since the change: {told}" if told else text

    def document(self) -> dict[str, Any]:
        """What the record keeps."""
        return {"signals": checks.grouped(self.found)[:_KEPT], **({"signals_missing": self.missing} if self.missing else {})}


def _measured(store: Directory, record: Record, moment: str) -> dict[str, Any]:
    """The times of an operation that is proven at this moment, and the means of its store with it.

    They are kept in the event: a document that is rendered from one record cannot ask the others, and its means must not change later.
    """
    this = {**history.entry(record.events), "repaired": moment}
    others = [one for one in history.read(store) if one["id"] != record.identifier]
    return {"times": times.spans(this), "means": history.means([*others, this])}


def _of_created(record: Record, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checks with the uid of an object that the record's own change created."""
    made = {one["id"]: one.get("uid", "") for one in _payload(record, "executed")["changes"]} if last(record.events, "executed") else {}
    uids = {
        (change["object"]["kind"], change["object"]["name"]): made.get(change["id"], "")
        for change in (record.plan or {}).get("changes", [])
        if change["action"] == "create"
    }
    return [
        {
            **check,
            "object": {
                **check["object"],
                "uid": check["object"]["uid"] or uids.get((check["object"]["kind"], check["object"]["name"]), ""),
            },
        }
        for check in wanted
    ]


def _taken_over(store: Directory, record: Record, state: Mapping[str, Any]) -> bool:
    """Whether a later operation has changed the workload, a rollback above all: what it looks like now proves nothing of this one."""
    other, theirs = patch.mark_of({"metadata": {"annotations": state.get("annotations")}})
    if not theirs or theirs == record.digest or not _carried_out(store, other, theirs):
        return False
    store.append(
        record, "closed", {"reason": f"record {other} has changed the workload since; whether this change worked is no longer looked at"}
    )
    return True


def _carried_out(store: Directory, mark: str, digest: str) -> bool:
    """Whether a record of this store did what a mark says; anybody may annotate an object."""
    feature, _slash, identifier = mark.rpartition("/")
    try:
        found = open_store(os.path.dirname(store.path), feature).load(identifier)
    except AiopsError:
        return False
    return found.digest == digest and last(found.events, "executed") is not None


class Ticker:
    """Shows progress when it changes, and as a heartbeat when it does not."""

    def __init__(self, show: Show, heartbeat: float) -> None:
        self.show, self.heartbeat, self.text, self.at = show, heartbeat, "", 0.0

    def tick(self, seconds: float, text: str, what: str = "after the change") -> None:
        if text != self.text or time.monotonic() - self.at >= self.heartbeat:
            self.show(seconds, text, what)
            self.text, self.at = text, time.monotonic()


def _patient(look: Callable[[], T], shown: Ticker, pace: Pace) -> T:
    """What a look at the cluster gives; an API server that is away for a while is waited for, since nothing is known to have failed."""
    begun = time.monotonic()
    while True:
        try:
            return look()
        except (Unreachable, ApiError) as error:
            away = isinstance(error, Unreachable) or error.for_now
            waited = time.monotonic() - begun
            if not away or waited > pace.patience:
                raise
            shown.tick(waited, "the API server does not answer, trying again", "of waiting")
            time.sleep(pace.poll)


def _payload(record: Record, kind: str) -> dict[str, Any]:
    return (last(record.events, kind) or {})["payload"]  # type: ignore[no-any-return]
