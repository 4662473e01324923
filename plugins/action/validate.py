# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Proves a change: polls its checks with live progress, then watches; writes what it saw into the record."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.workload import observe
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import checks, clock, gate
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import last, undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, RECORD, connections
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, person_present, say

_POLL = 1.0  # seconds between observations while a change is proven
_WATCH_POLL = 10.0  # seconds between observations while it is watched
_HEARTBEAT = 15.0  # seconds after which progress is shown although nothing changed
_WATCH_HEARTBEAT = 300.0
_PATIENCE = 60.0  # seconds for which an API server that is away is waited for


class ActionModule(Action):
    SPEC = {
        **CONNECTION,
        **RECORD,
        "phase": {"type": "str", "choices": ["checks", "watch"], "default": "checks"},
        "watch": {"type": "str", "choices": ["auto", "block", "defer"], "default": "auto"},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = open_store(options["records_dir"], options["feature"])
        record = store.load(options["record"])
        plan = gate.require_plan(record)
        expected = {"checks": "executed", "watch": "validated"}[options["phase"]]
        if record.state != expected:
            raise GateRefused(f"Record {record.identifier} is {record.state}; the phase {options['phase']} follows {expected}.")
        if self.check_mode:
            return {"state": record.state}
        reader, _executor = connections(options)
        follow = {"checks": self._checks, "watch": self._watch}[options["phase"]]
        wait = options["watch"] == "block" or (options["watch"] == "auto" and person_present(self.task_vars))
        follow(reader(), store, record, plan["checks"], wait)
        return {"state": record.state, "undo_needed": undo_needed(record.events)}

    def _checks(self, api: Any, store: Directory, record: Record, wanted: list[dict[str, Any]], wait: bool) -> None:
        started = (last(record.events, "executed") or {})["payload"]["applied"]
        progress, shown = checks.Progress(), Ticker(_HEARTBEAT)
        while progress.verdict == "pending":
            state = _observed(api, wanted[0]["object"], shown)
            elapsed = clock.seconds_between(started, clock.stamp(clock.now()))
            progress = checks.validate(progress, wanted, state, elapsed)
            shown.tick(elapsed, checks.summary(state))
            if progress.verdict == "pending":
                time.sleep(_POLL)
        summary = checks.summary(state)
        if progress.verdict == "failed":
            store.append(
                record, "failed", {"phase": "validate", "reason": progress.reason, "applied": True, "met": progress.met, "state": summary}
            )
            return
        watch = next(check for check in wanted if check["type"] == "watch")
        until = clock.later(clock.stamp(clock.now()), seconds=watch["hold_seconds"])
        store.append(
            record,
            "validated",
            {"met": progress.met, "seconds": round(elapsed, 1), "state": summary, "baseline": checks.restarts(state), "watch_until": until},
        )

    def _watch(self, api: Any, store: Directory, record: Record, wanted: list[dict[str, Any]], wait: bool) -> None:
        validated = last(record.events, "validated") or {}
        baseline, until = validated["payload"]["baseline"], validated["payload"]["watch_until"]
        unavailable_since: float | None = None
        shown = Ticker(_WATCH_HEARTBEAT)
        while True:
            state = _observed(api, wanted[0]["object"], shown)
            left = clock.seconds_between(clock.stamp(clock.now()), until)
            unavailable_since = None if checks.is_available(state) else unavailable_since or time.monotonic()
            fault = checks.watch(baseline, state, time.monotonic() - unavailable_since if unavailable_since else 0.0)
            if fault:
                store.append(record, "failed", {"phase": "watch", "reason": fault, "applied": True, "state": checks.summary(state)})
                return
            if left <= 0 and unavailable_since is None:
                watched = clock.seconds_between(validated["time"], clock.stamp(clock.now()))
                store.append(
                    record,
                    "closed",
                    {"reason": f"watched for {clock.span(watched)}: {checks.summary(state)}", "watched_seconds": round(watched, 1)},
                )
                return
            if not wait:
                say([(f"Record {record.identifier}: {checks.summary(state)}; the watch ends at {until}.", "bright cyan")])
                return
            shown.tick(max(left, 0.0), checks.summary(state), "left of the watch")
            time.sleep(min(_WATCH_POLL, max(left, _POLL)))


class Ticker:
    """Shows progress when it changes, and as a heartbeat when it does not."""

    def __init__(self, heartbeat: float) -> None:
        self.heartbeat, self.text, self.at = heartbeat, "", 0.0

    def tick(self, seconds: float, text: str, what: str = "after the change") -> None:
        if text != self.text or time.monotonic() - self.at >= self.heartbeat:
            say([(f"  {clock.span(seconds):>8} {what}: {text}", "")])
            self.text, self.at = text, time.monotonic()


def _observed(api: Any, subject: dict[str, str], shown: Ticker) -> dict[str, Any]:
    """An observation; an API server that is away for a while is waited for, since nothing is known to have failed."""
    patience = time.monotonic() + _PATIENCE
    while True:
        try:
            return observe(api, subject)
        except Unreachable:
            if time.monotonic() > patience:
                raise
            shown.tick(0.0, "the API server does not answer, trying again", "")
            time.sleep(_POLL)
