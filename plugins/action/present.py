# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Shows a recorded proposal again, as the approver has to see it."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import gate, screen
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORD
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, person_present, say, width


class ActionModule(Action):
    SPEC = {**RECORD, "show": {"type": "bool", "default": True}}

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = self.records(options)
        record = store.load(options["record"])
        if record.plan is not None:
            gate.require_plan(record)
        if options["show"]:
            say([*screen.proposal(record.proposal, record.identifier, record.digest, width()), (f"state: {record.state}", "bright cyan")])
        return {
            "id": record.identifier,
            "state": record.state,
            "digest": record.digest,
            "question": screen.question(record.identifier, record.digest),
            "phr": store.document(record),
            "person_present": person_present(self.task_vars),
            "undo_needed": undo_needed(record.events),
        }
