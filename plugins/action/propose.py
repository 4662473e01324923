# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Records proposals and shows them."""

from __future__ import annotations

import os
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, history, phr, screen
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import payload
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import governing
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORDS
from ansible_collections.aiops.k8s.plugins.module_utils.reporting import attachments, companion
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
        "again": {"type": "bool", "default": False},
        "result_file": {"type": "path"},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["result_file"]:
            output.writable("result_file", options["result_file"])
        result = options["result"]
        ask = options["approval"] == "prompt" or (options["approval"] == "auto" and person_present(self.task_vars))
        if not result["proposals"]:
            nothing = result.get("nothing") or [f"No failing workload among {result['pods_seen']} pods: nothing to propose."]
            say([*((screen.printable(sentence), "green") for sentence in nothing), *_not_evaluated(result)])
            return {"records": [], "ask": False, "repeats": []}
        store, rows = self.records(options), []
        policies = governing(store).for_proposals(options["policy"])
        known = history.of_cluster(history.read(store), result["cluster"])
        repeat = {name: str(value) for name, value in options["repeat"].items() if value}
        for number, proposal in enumerate(result["proposals"]):
            opinions = [opinion for opinion in options["opinions"] if str(opinion.get("question")).partition(":")[0] == str(number)]
            document = payload(proposal, result, opinions, options["command"], repeat, policies, known)
            recorded, why = (None, "") if options["again"] else _recorded(store, known, document, ask)
            if recorded:
                # what is still to be decided is shown as it stands in its record; advice as it is now
                current = recorded.proposal if recorded.state == "proposed" else document
                say(screen.proposal(current, recorded.identifier, current["digest"], width()))
                say(screen.repeated(recorded.identifier, why, phr.next_command(recorded.events), width()))
                rows.append({**_row(store, recorded), "repeat": True})
            elif self.check_mode:
                say([*screen.proposal(document, "", document["digest"], width()), ("check mode: no record was written", "yellow")])
            else:
                rows.append({**_row(store, _record(store, known, document, proposal)), "repeat": False})
        say(_not_evaluated(result))
        return {"records": rows, "ask": ask and not self.check_mode, "repeats": [row["id"] for row in rows if row["repeat"]]}


def _recorded(store: Directory, known: history.History, document: dict[str, Any], ask: bool) -> tuple[Record | None, str]:
    """The record that says already what this proposal would, and since when; (None, "") for one that is to be recorded."""
    read: dict[str, Record | None] = {}

    def verified(identifier: str) -> Record | None:
        if identifier not in read:
            try:
                read[identifier] = store.load(identifier)
            except AiopsError as error:
                store.warnings.append(f"Record {identifier} seems to be about the same, and is not gone on with: {error.message}")
                read[identifier] = None
        return read[identifier]

    def plan_of(identifier: str) -> dict[str, Any] | None:
        record = verified(identifier)
        return record.plan if record and record.state == "proposed" else None

    identifier, why = history.repeated(known, document, clock.stamp(clock.now()), plan_of, ask)
    found = verified(identifier) if identifier else None
    return (found, why) if found else (None, "")


def _record(store: Directory, known: history.History, document: dict[str, Any], proposal: Mapping[str, Any]) -> Record:
    """Record a proposal, show it, and end those that it takes the place of."""
    record = store.create(document, attachments.contents(proposal.get("attachments") or []))
    if record.plan is None:
        store.append(record, "closed", {"reason": "advice only: " + document["no_plan_reason"]})
    page = os.path.join(os.path.dirname(store.document(record)), companion.file_name(record.events))
    say(
        [
            *screen.proposal(record.proposal, record.identifier, record.digest, width()),
            (f"recorded in {nearest(store.document(record))}", ""),
            *([(f"plots in {nearest(page)}", "")] if document.get("attachments") else []),
        ]
    )
    for one in history.superseded(known, document):
        _end(store, one, record.identifier)
    return record


def _end(store: Directory, one: Mapping[str, Any], successor: str) -> None:
    """End an undecided proposal. It is not rejected, since nobody decided, and not closed, since nothing was done: its time is over."""
    late = clock.stamp(clock.now()) > one["expires"]
    reason = f"not decided by {one['expires']}" if late else f"{history.OVERTAKEN}{successor}, which fits the workload as it is now"
    try:
        store.append(store.load(one["id"]), "expired", {"reason": reason, "successor": successor})
    except GateRefused:  # decided in this very moment; that stands, and the guards of the two plans let only one of them through
        store.warnings.append(f"Record {one['id']} was decided just when record {successor} took its place. Look at both before you go on.")
    except AiopsError as error:
        store.warnings.append(f"Record {one['id']} is overtaken by record {successor}, but that could not be written: {error.message}")
    else:
        say([(f"Record {one['id']} {'has expired' if late else 'can no longer be approved'}: {reason}.", "yellow")])


def _row(store: Directory, record: Record) -> dict[str, Any]:
    row = {"id": record.identifier, "digest": record.digest, "state": record.state, "phr": store.document(record)}
    return {**row, "notice": _notice(record), "earlier": [one["id"] for one in record.proposal.get("earlier", [])]}


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
