# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Shows the records as a table, or one record in full."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.errors import RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, listing, report, screen
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORDS
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, nearest, say, width


class ActionModule(Action):
    SPEC = {**RECORDS, "record": {"type": "str"}, "result_file": {"type": "path"}}

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = open_store(options["records_dir"], options["feature"])
        result = listing.read(store, options["record"] or "")
        if options["record"]:
            record = store.load(options["record"])
            say(screen.proposal(record.proposal, record.identifier, record.digest, width()))
            say([(f"{one['time']}  {one['kind']:13}{one['actor']['user']}@{one['actor']['host']}", "") for one in record.events])
            row = report.row(store, record)
            say(screen.outcome(record.identifier, record.state, row["reason"], nearest(row["path"]), row["next"], width()))
        elif result["records"]:
            say(screen.table(result["records"], width()))
        else:
            say([(f"There are no records in {store.path}.", "")])
        damaged = [one["id"] for one in result["records"] if one["state"] == "damaged"]
        waiting = [one for one in result["records"] if one["state"] == "proposed" and not one["expired"]]
        if waiting and not options["record"]:
            say([(f"next: {waiting[0]['next']}", "bright cyan")])
        error = RecordDamaged(
            f"Records that do not verify: {', '.join(damaged)}.", "Restore their files from a backup; the others are not affected."
        )
        if options["result_file"]:
            document = report.result("records", {}, [], store, [], str(error) if damaged else "")
            rows = result["records"]
            report.write(options["result_file"], {**document, "records": rows, "record": rows[0] if len(rows) == 1 else None})
        if damaged:
            raise error
        return {**result, "read_at": clock.stamp(clock.now())}
