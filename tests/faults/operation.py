# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One operation from proposal to its end, step by step as the roles and action plugins take them, with the real code.

Each step loads the record anew, as a task of a playbook does. Errors are those of the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.objects import who_am_i
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change, clock, gate, identity, listing, prove
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import governing
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

PACE = prove.Pace(poll=0.02, watch_poll=0.02)
Settled = Callable[[], None]  # waits until the cluster's controllers have seen what was done, so that each run sends the same requests


class Operation:
    """One record of a store, seen by one process."""

    def __init__(self, store: Directory, api: Api, settled: Settled) -> None:
        self.store, self.api, self.settled = store, api, settled

    def propose(self, payload: dict[str, Any]) -> str:
        """As the action propose."""
        return self.store.create(payload).identifier

    def approve(self, identifier: str) -> None:
        """As the action decide: the API server is asked who approves, and may be away."""
        record, governed_by, now = self.store.load(identifier), governing(self.store), clock.now()
        gate.require_open(record, "approve", record.digest[:8], "", now)
        by = identity.os_user()
        try:
            by["cluster_user"] = {**who_am_i(self.api), "established_by": "SelfSubjectReview"}
            gate.require_clock(self.api.clock_skew)
        except (ApiError, Unreachable):
            pass  # as the action does, which says so on the terminal
        gate.decide(self.store, record, "approve", record.digest[:8], "", "playbook", by, now, governed_by)

    def carry_on(self, identifier: str) -> None:
        """As roles/execution: apply.yml, then watch.yml."""
        found = self.store.load(identifier)
        state = found.state
        if state not in ("executed", "validated", "failed", "rolling_back"):
            state = self._change(identifier, "apply")
        proven = undo_needed(found.events)
        if state == "executed":
            self.settled()
            proven = self._look(identifier, "checks")
        if proven:
            self.settled()
            self._change(identifier, "invert")
        if self.store.load(identifier).state == "validated" and self._look(identifier, "watch"):
            self._change(identifier, "invert")

    def resume(self) -> list[str]:
        """As the playbook resume: everything that is unfinished. Returns what went wrong."""
        errors: list[str] = []
        records = listing.read(self.store)["records"]
        for record in records:
            try:
                if record["unfinished"]:
                    self.carry_on(record["id"])
            except AiopsError as error:
                errors.append(str(error))
        listing.render(
            self.store, listing.read(self.store)["records"], write=True
        )  # record_info with render: documents that a killed run left behind
        return errors

    def _change(self, identifier: str, direction: str) -> str:
        """As the action change."""
        with self.store.claimed(identifier) as record:
            if direction == "apply":
                change.execute(self.api, self.store, record, clock.now(), governing(self.store))
            else:
                change.invert(self.api, self.store, record, "a check of the plan failed")
            return str(record.state)

    def _look(self, identifier: str, phase: str) -> bool:
        """As the action validate; returns whether the change has to be undone."""
        record = self.store.load(identifier)
        wanted = gate.require_plan(record)["checks"]
        if phase == "checks":
            prove.prove(self.api, self.store, record, wanted, _quiet, PACE)
        else:
            prove.watch(self.api, self.store, record, wanted, True, _quiet, PACE)
        return undo_needed(record.events)


def _quiet(_seconds: float, _text: str, _what: str) -> None:
    """Progress is for people."""
