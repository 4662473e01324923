# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Shows the records as a table, or one record in full."""

from __future__ import annotations

import itertools
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.errors import RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, history, listing, report, screen
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORDS
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, nearest, say, width


class ActionModule(Action):
    SPEC = {
        **RECORDS,
        "record": {"type": "str"},
        "state": {"type": "str", "default": "all", "choices": list(listing.FILTERS)},
        "result_file": {"type": "path"},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = self.records(options)
        measured: list[history.Entry] = []
        result = listing.read(store, options["record"] or "", visit=lambda record: measured.append(history.entry(record.events)))
        everything = result["records"]
        if not options["record"]:
            result["records"] = listing.ordered(listing.select(everything, options["state"]))
        if options["record"]:
            record = store.load(options["record"])
            say(screen.proposal(record.proposal, record.identifier, record.digest, width()))
            say([(f"{one['time']}  {one['kind']:13}{one['actor']['user']}@{one['actor']['host']}", "") for one in record.events])
            row = report.row(store, record)
            say(screen.outcome(record.identifier, record.state, row["reason"], nearest(row["path"]), row["next"], width()))
        elif everything:
            say(_joined(screen.table(result["records"], width())))
            say([("; ".join(filter(None, (listing.summary(everything), history.summary(measured)))), "")])
        else:
            say([(f"There are no records in {store.path}.", "")])
        damaged = [one["id"] for one in result["records"] if one["state"] == "damaged"]
        waiting = [one for one in result["records"] if one["group"] == "waiting"]
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


def _joined(lines: list[screen.Line]) -> list[screen.Line]:
    """Neighbours of one colour as one text: each text is a message from Ansible's worker to its parent, and there may be thousands."""
    return [("\n".join(text for text, _colour in group), colour) for colour, group in itertools.groupby(lines, key=lambda line: line[1])]
