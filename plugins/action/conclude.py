# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The last lines of a run: what happened to each record, where its PHR is, what to do next; and the result document."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation import report, screen
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact, redact_object
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORDS
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, nearest, say, width


class ActionModule(Action):
    SPEC = {
        **RECORDS,
        "workflow": {"type": "str", "required": True},
        "records": {"type": "list", "elements": "str", "default": []},
        "result": {"type": "dict", "default": {}},
        "opinions": {"type": "list", "elements": "dict", "default": []},
        "result_file": {"type": "path"},
        "error": {"type": "str", "default": ""},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = self.records(options)
        records = [record for one in options["records"] if (record := _loaded(store, one, bool(options["error"])))]
        document = report.result(options["workflow"], options["result"], options["opinions"], store, records, options["error"])
        for record, row in zip(records, document["records"]):
            say(screen.outcome(record.identifier, record.state, row["reason"], nearest(row["path"]), row["next"], width()))
        if options["result_file"]:
            report.write(options["result_file"], redact_object(document))
        bad = [row for row in document["records"] if row["state"] in report.FAILED and not row.get("repeat")]
        message = options["error"] or "; ".join(f"record {row['id']} {row['state'].replace('_', ' ')}: {row['reason']}" for row in bad)
        return {"failed": True, "msg": redact(message)[0]} if message else {"document": document}


def _loaded(store: Directory, identifier: str, failed: bool) -> Record | None:
    """A record; None where the run failed already, perhaps because of it."""
    try:
        return store.load(identifier)
    except AiopsError:
        if failed:
            return None
        raise
