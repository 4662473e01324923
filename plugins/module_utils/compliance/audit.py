# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One compliance run: gather, compare with the cluster where it answers, and make one document of it all (compliance.schema.json).

Errors: those of the store and of the policy directory; with cluster required also those of the cluster.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.compliance import archive as archives, cluster as inventories, compare as comparing
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.checklist import CHECKS, CLUSTER, OFFLINE
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.model import ERROR, INFO, WARNING, Problem, plain
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import Rules
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

SCHEMA_VERSION = "1"
WAYS = ("auto", "required", "off")
_ORDER = {ERROR: 0, WARNING: 1, INFO: 2}
Document = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What is to be compared. ``explicit``: a cluster was named by an option, so that one which cannot be used is an error."""

    cluster: str = "auto"
    explicit: bool = False
    namespaces: tuple[str, ...] = ()
    since: str = ""


def run(store: Directory, rules: Rules, reader: Callable[[], Api], wanted: Wanted) -> Document:
    """The document of a run. Raises AiopsError where the records cannot be read at all, or the cluster is required and cannot be compared."""
    begun, started = clock.stamp(clock.now()), time.monotonic()
    since = archives.earlier(wanted.since) if wanted.since else None
    archive = archives.gather(store, rules, begun, since)
    read = time.monotonic()
    share = archives.share(archive)
    comparison, found, reason = comparing.Comparison(), None, "cluster is off"
    if wanted.cluster != "off":
        found, comparison, reason = _compared(store, archive, reader, wanted, begun)
    if found:
        share = archives.summed(share["operations"], share["documented"], share["open"], comparison.without_record)
    counted = Counter({code: number for one in (archive.checked, comparison.checked) for code, number in one.items()})
    for record in archive.records:
        for code in record.checked - set(archive.checked):
            counted[code] += 1
    problems = [*(one for record in archive.records for one in record.problems), *archive.problems, *comparison.problems]
    missing = list(found.missing) if found else [{"what": "the cluster", "missing": reason}]
    return {
        "schema_version": SCHEMA_VERSION,
        "workflow": "compliance",
        "cluster": found.cluster if found else {},
        "store": {
            "path": store.path,
            "feature": store.feature,
            "kind": type(store).__name__.lower(),
            "policy": rules.directory if rules.policies else "",
        },
        "started": begun,
        "duration_seconds": round(time.monotonic() - started, 3),
        "checks": _checks(counted, problems, bool(found), "R21" in archive.checked, since is not None),
        "findings": [_finding(one) for one in sorted(problems, key=_position)],
        "share": share,
        "coverage": {
            "records": len(archive.records),
            "operations": sum(one.executed for one in archive.records),
            "compared": sum(one.cluster == found.cluster["uid"] for one in archive.records) if found else 0,
            "read": [kind for _version, kind in found.read] if found else [],
            "namespaces": list(wanted.namespaces),
            "not_evaluated": missing,
            "warnings": [plain(one) for one in store.warnings],
        },
        "heads": {one.identifier: one.head for one in archive.records if one.verified},
        "timings": {"records": round(read - started, 3), "cluster": round(time.monotonic() - read, 3)},
        "error": "",
    }


def failed(store: Directory, error: AiopsError) -> Document:
    """The document of a run that could not check anything."""
    return {
        "schema_version": SCHEMA_VERSION,
        "workflow": "compliance",
        "cluster": {},
        "store": {"path": store.path, "feature": store.feature, "kind": type(store).__name__.lower(), "policy": ""},
        "started": clock.stamp(clock.now()),
        "duration_seconds": 0.0,
        "checks": [],
        "findings": [],
        "share": archives.summed(0, 0, 0, 0),
        "coverage": {"records": 0, "operations": 0, "compared": 0, "read": [], "namespaces": [], "not_evaluated": [], "warnings": []},
        "heads": {},
        "timings": {},
        "error": plain(error),
    }


def numbers(document: Document) -> Counter[str]:
    """{severity: how many findings}."""
    return Counter(one["severity"] for one in document["findings"])


def _compared(
    store: Directory, archive: archives.Archive, reader: Callable[[], Api], wanted: Wanted, now: str
) -> tuple[inventories.Inventory | None, comparing.Comparison, str]:
    """(what was read, what was found, why nothing was read)."""
    namespaces = list(wanted.namespaces)
    try:
        api = reader()
        found = inventories.inventory(api, archive.records, namespaces)
        result = comparing.compare(store, archive.records, found, inventories.reader(api), now, namespaces)
    except (BadInput, Unreachable, ApiError) as error:
        if wanted.cluster == "required" or (wanted.explicit and isinstance(error, BadInput)):
            raise
        return None, comparing.Comparison(), plain(error.message)
    found.missing += [{"what": what, "missing": why} for what, why in result.missing.items()]
    found.missing = [{"what": plain(one["what"]), "missing": plain(one["missing"])} for one in found.missing]
    result.checked["C06"] = len(found.read) + len(found.missing)
    if wanted.cluster == "required":
        fix = "Grant get and list on it (docs/compliance.md, Permissions), or give cluster=auto."
        result.problems += [Problem("C06", "", f"It could not be read: {one['missing']}", fix, one["what"]) for one in found.missing]
    return found, result, ""


def _checks(counted: Counter[str], problems: list[Problem], compared: bool, with_git: bool, with_since: bool) -> list[dict[str, Any]]:
    """Every check with what it was made on; ``skipped`` says why one was not made."""
    reasons = {check.code: "the cluster was not compared" for check in CLUSTER if not compared}
    reasons |= {} if with_git else {"R21": "the store is a directory, not a git clone"}
    reasons |= {} if with_since else {"R22": "no earlier report was given (option since)"}
    failing: dict[str, set[tuple[str, str]]] = {}
    for one in problems:
        if _severity(one) != INFO:
            failing.setdefault(one.code, set()).add((one.record, one.object))
    return [
        {
            **check._asdict(),
            "checked": counted[check.code],
            "failed": len(failing.get(check.code, ())),
            "skipped": reasons.get(check.code, ""),
        }
        for check in (*OFFLINE, *CLUSTER)
    ]


def _finding(one: Problem) -> dict[str, str]:
    return {
        "code": one.code,
        "severity": _severity(one),
        "record": one.record,
        "object": one.object,
        "message": one.message,
        "fix": plain(one.fix),
    }


def _severity(one: Problem) -> str:
    return one.severity or CHECKS[one.code].severity


def _position(one: Problem) -> tuple[int, str, str, str]:
    return _ORDER[_severity(one)], one.code, one.record, one.object
