# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Turns an answer or a decision into the approval or rejection event."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.objects import who_am_i
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, gate
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, RECORD
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, person_present, say


class ActionModule(Action):
    SPEC = {
        **CONNECTION,
        **RECORD,
        "answer": {"type": "str"},
        "decision": {"type": "str", "choices": ["approve", "reject"]},
        "digest": {"type": "str", "default": ""},
        "reason": {"type": "str", "default": ""},
    }
    REQUIRE = {"required_one_of": [("answer", "decision")], "mutually_exclusive": [("answer", "decision")]}

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = open_store(options["records_dir"], options["feature"])
        record = store.load(options["record"])
        decision, prefix, reason, way = options["decision"], options["digest"], options["reason"], "playbook"
        if options["answer"] is not None:
            # an answer counts only where somebody could type it: variables can be given with -e
            parsed = gate.parse_answer(options["answer"]) if person_present(self.task_vars) else None
            if parsed is None or (parsed[0] == "approve" and not record.digest.startswith(parsed[1])):
                say(
                    [
                        (
                            (
                                f"Record {record.identifier} stays proposed: the answer was neither 'approve {record.digest[:8]}' nor"
                                " 'reject REASON'."
                            ),
                            "yellow",
                        )
                    ]
                )
                return {"state": record.state, "decided": False}
            way = "terminal"
            decision, prefix, reason = (parsed[0], parsed[1], "") if parsed[0] == "approve" else ("reject", record.digest, parsed[1])
        if reason and way == "playbook" and self.task_vars.get("_raw_params"):
            raise BadInput(f"reason is {reason!r}, and {self.task_vars['_raw_params']!r} was cut off: -e splits at spaces.", "Write -e \"reason='two words'\".")
        if self.check_mode:
            return {"state": record.state, "decided": False}
        gate.decide(store, record, decision, prefix, reason, way, self._cluster_user(options), clock.now())
        return {"state": record.state, "decided": True}

    def _cluster_user(self, options: dict[str, Any]) -> dict[str, Any] | None:
        """Who the API server takes the approver for; None, said aloud, where the approver has no way to the cluster."""
        try:
            return who_am_i(connect(options))
        except AiopsError as error:
            self._display.warning(f"The cluster does not say who approves: {error.message} The operating system's user is recorded.")
            return None
