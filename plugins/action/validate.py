# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Proves a change, then watches it, with live progress; what was seen is in the record."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, gate, prove
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import last, undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, RECORD, connections
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, person_present, say


class ActionModule(Action):
    SPEC = {
        **CONNECTION,
        **RECORD,
        "phase": {"type": "str", "choices": ["checks", "watch"], "default": "checks"},
        "watch": {"type": "str", "choices": ["auto", "block", "defer"], "default": "auto"},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = self.records(options)
        record = store.load(options["record"])
        wanted = gate.require_plan(record)["checks"]
        prove.require_state(record, options["phase"])
        if self.check_mode:
            return {"state": record.state}
        reader, _executor = connections(options)
        if options["phase"] == "checks":
            prove.prove(reader(), store, record, wanted, show, measure=error_rate(reader(), wanted))
        else:
            wait = options["watch"] == "block" or (options["watch"] == "auto" and person_present(self.task_vars))
            seen = prove.watch(reader(), store, record, wanted, wait, show)
            if record.state == "validated":
                until = (last(record.events, "validated") or {})["payload"]["watch_until"]
                say([(f"Record {record.identifier}: {seen}; the watch ends at {until}.", "bright cyan")])
        return {"state": record.state, "undo_needed": undo_needed(record.events)}


def error_rate(api: Api, wanted: list[dict[str, Any]]) -> prove.Measure | None:
    """What measures the error rate that a check names; None where none does."""
    source = next((check["errors"] for check in wanted if "errors" in check), None)
    if source is None:
        return None
    from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.errors import measured_by  # of use to few plans

    return measured_by(api, source)


def show(seconds: float, text: str, what: str) -> None:
    """One line of progress."""
    say([(f"  {clock.span(seconds):>8} {what}: {text}", "")])
