# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Records proposals and shows them."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.operation import phr, screen
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import payload
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import governing
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Record
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORDS
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, nearest, person_present, say, width


class ActionModule(Action):
    SPEC = {
        **RECORDS,
        "result": {"type": "dict", "required": True},
        "opinions": {"type": "list", "elements": "dict", "default": []},
        "approval": {"type": "str", "choices": ["auto", "prompt", "defer"], "default": "auto"},
        "command": {"type": "str", "required": True},
        "repeat": {"type": "dict", "default": {}},
        "policy": {"type": "dict", "default": {}},
        "result_file": {"type": "path"},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["result_file"]:
            output.writable("result_file", options["result_file"])
        result = options["result"]
        ask = options["approval"] == "prompt" or (options["approval"] == "auto" and person_present(self.task_vars))
        if not result["proposals"]:
            say([(f"No failing workload among {result['pods_seen']} pods: nothing to propose.", "green"), *_not_evaluated(result)])
            return {"records": [], "ask": False}
        store, records = self.records(options), []
        policies = governing(store).for_proposals(options["policy"])
        for number, proposal in enumerate(result["proposals"]):
            opinions = [opinion for opinion in options["opinions"] if str(opinion.get("question")) == str(number)]
            repeat = {name: str(value) for name, value in options["repeat"].items() if value}
            document = payload(proposal, result, opinions, options["command"], repeat, policies)
            if self.check_mode:
                say([*screen.proposal(document, "", document["digest"], width()), ("check mode: no record was written", "yellow")])
                continue
            record = store.create(document)
            if record.plan is None:
                store.append(record, "closed", {"reason": "advice only: " + document["no_plan_reason"]})
            say(
                [
                    *screen.proposal(record.proposal, record.identifier, record.digest, width()),
                    (f"recorded in {nearest(store.document(record))}", ""),
                ]
            )
            row = {"id": record.identifier, "digest": record.digest, "state": record.state, "phr": store.document(record)}
            records.append({**row, "notice": _notice(record)})
        say(_not_evaluated(result))
        return {"records": records, "ask": ask and not self.check_mode}


def _notice(record: Record) -> list[str]:
    """What a message says about a proposal."""
    plan = record.plan
    if plan is None:
        return []
    lines = [f"{record.identifier}: {record.proposal['title']}", f"{plan['summary']} ({plan['risk']}, decide by {plan['expires']})"]
    return [screen.printable(line) for line in (*lines, phr.next_command(record.events))]


def _not_evaluated(result: dict[str, Any]) -> list[screen.Line]:
    missing = result["coverage"]["not_evaluated"]
    return [(f"not evaluated: {one['what']} (missing: {one['missing']})", "yellow") for one in missing]
