# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The last lines of a reminder: who was told and who could not be; and the result document."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import report
from ansible_collections.aiops.k8s.plugins.module_utils.operation.screen import Line, printable
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORDS
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, say


class ActionModule(Action):
    SPEC = {
        **RECORDS,
        "reminder": {"type": "dict", "default": {}},
        "notifications": {"type": "list", "elements": "dict", "default": []},
        "result_file": {"type": "path"},
        "error": {"type": "str", "default": ""},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = self.records(options)
        found, sent = options["reminder"], options["notifications"]
        damaged = found.get("damaged") or []
        error = options["error"] or (
            f"Records that do not verify: {', '.join(damaged)}. Restore their files from a backup; the others are not affected."
            if damaged
            else ""
        )
        if not options["error"]:
            say(_last_lines(found, sent))
        if options["result_file"]:
            rows = found.get("records", [])
            told = [{key: one[key] for key in ("channel", "type", "ok", "reason")} for one in sent]
            document = {**report.result("remind", {}, [], store, [], error), "records": rows, "record": rows[0] if len(rows) == 1 else None}
            report.write(options["result_file"], {**document, "notifications": told})
        return {"failed": True, "msg": error} if error else {"notifications": sent}


def _last_lines(found: dict[str, Any], sent: list[dict[str, Any]]) -> list[Line]:
    if not found["count"]:
        return [(f"There is nothing to remind of, and nothing was sent: {found['summary']}.", "")]
    lines: list[Line] = [(printable(f"{found['title']}: {', '.join(one['id'] for one in found['records'])}"), "")]
    for one in sent:
        ending = "sent" if one["ok"] else f"NOT SENT: {one['reason']}"
        kind = "" if one["channel"].startswith(one["type"]) else f" ({one['type']})"
        lines.append((printable(f"{one['channel']}{kind}: {ending}"), "" if one["ok"] else "red"))
    return lines
