# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The result document that every playbook writes to ``result_file``. Its JSON Schema is docs/reference/result.schema.json."""

from __future__ import annotations

import json
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, identity, phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import last
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

SCHEMA_VERSION = "1"
FAILED = ("failed", "rolled_back", "rolling_back", "executing")
_OF_WORKFLOWS = ("loads", "list", "savings", "usage")  # what some workflows find beside findings
_ENGINE = ("engine", "provider", "model", "outcome", "reason", "agrees", "duration_seconds", "tokens", "cost", "extra_findings")


def result(
    workflow: str, found: Mapping[str, Any], opinions: list[dict[str, Any]], store: Directory, records: list[Record], error: str
) -> dict[str, Any]:
    """The document. ``found`` is the analysis module's result, empty for playbooks that only carry on a record."""
    repeats = found.get("repeats", [])  # ids of records that an earlier run made
    made = [record for record in records if record.identifier not in repeats]
    started = made[0].events[0]["time"] if made else clock.stamp(clock.now())
    rows = [{**row(store, record), **({"repeat": True} if record.identifier in repeats else {})} for record in records]
    return {
        "schema_version": SCHEMA_VERSION,
        "workflow": workflow,
        "cluster": found.get("cluster") or (records[0].proposal["cluster"] if records else {}),
        "started": started,
        "duration_seconds": round(max(0.0, clock.seconds_between(started, clock.stamp(clock.now()))), 3),
        "findings": found.get("findings", []),
        "plan": records[0].plan if len(records) == 1 else None,
        "record": rows[0] if len(rows) == 1 else None,
        "records": rows,
        "engines": [
            {key: opinion.get(key) for key in _ENGINE}
            for opinion in opinions
        ],
        "timings": found.get("timings", {}),
        "coverage": found.get("coverage", {}),
        "error": error,
        **{name: found[name] for name in _OF_WORKFLOWS if name in found},
    }


def row(store: Directory, record: Record) -> dict[str, Any]:
    """One record: {id, path (of the PHR), state, digest, title, reason, next}, and where there are any, earlier[] ids of the same finding."""
    earlier = [one["id"] for one in record.proposal.get("earlier", [])]
    return {
        "id": record.identifier,
        "path": store.document(record),
        "state": record.state,
        "digest": record.digest,
        "title": record.proposal["title"],
        "reason": _reason(record),
        "next": phr.next_command(record.events),
        **({"earlier": earlier} if earlier else {}),
    }


def write(path: str, document: Mapping[str, Any]) -> None:
    """The result_file, whole or not at all. Raises BadInput naming the option."""
    output.write("result_file", path, f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode())


def _reason(record: Record) -> str:
    state = record.state
    event = last(record.events, "failed" if state in ("rolled_back", "rolling_back") else state)
    payload = event["payload"] if event else {}
    if state == "proposed":
        return str(record.proposal["title"])
    if state == "validated":
        return f"{payload['state']}; watched until {payload['watch_until']}"
    if state == "approved":
        return f"by {identity.name_of(payload['by'])}, valid until {payload['expires']}"
    return str(payload.get("reason", ""))
