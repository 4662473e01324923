# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The rightsize workflow up to its proposals: read the history, say who can be judged, size, try it on the history, see whether it fits and
what it saves, rank, rehearse. Read-only."""

from __future__ import annotations

import os
import re
import time
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.capacity import cost
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import capacity as snapshots, saved
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import quantity
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, EXECUTOR
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.spec import PROMETHEUS
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import gather, listing, proposing, savings, sources
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.analysis import Analysis, analysed
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.rolling import Stage

Object = dict[str, Any]
Progress = Callable[[str], None]
SOURCES = ("auto", "prometheus", "recorder")
_WHOLE = ("persistentvolumeclaims", "poddisruptionbudgets")  # what may keep pods of other namespaces on their nodes
_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
SIZING: dict[str, Any] = {
    "history_days": {"type": "float", "default": 8.0},
    "stable_days": {"type": "float", "default": 7.0},
    "min_coverage": {"type": "float", "default": 0.8},
    "min_points": {"type": "int", "default": 100},
    "margin_percent": {"type": "float", "default": 30.0},
    "memory_peak_percent": {"type": "float", "default": 10.0},
    "oom_percent": {"type": "float", "default": 25.0},
    "cpu_floor": {"type": "str", "default": "10m"},
    "memory_floor": {"type": "str", "default": "32Mi"},
    "cpu_step": {"type": "str", "default": "5m"},
    "memory_step": {"type": "str", "default": "1Mi"},
    "min_change_percent": {"type": "float", "default": 10.0},
    "cpu_limit": {"type": "str", "choices": ["keep", "remove", "ratio"], "default": "keep"},
    "memory_limit": {"type": "str", "choices": ["size", "keep"], "default": "size"},
    "all_revisions": {"type": "bool", "default": False},
    "owner_conflict": {"type": "str", "choices": ["refuse", "warn"], "default": "refuse"},
    "in_place": {"type": "bool", "default": False},
}
SPEC: dict[str, Any] = {
    **CONNECTION,
    **EXECUTOR,
    **PROMETHEUS,
    **SIZING,
    "namespace": {"type": "str"},
    "workload": {"type": "str"},
    "source": {"type": "str", "choices": list(SOURCES), "default": "auto"},
    "store": {"type": "path"},
    "prometheus_label_names": {"type": "dict", "default": {}},
    "max_series": {"type": "int", "default": 500},
    "max_samples": {"type": "int", "default": 20_000_000},
    "batch_workloads": {"type": "int", "default": 5},
    "prices": {"type": "dict", "default": {}},
    "declared_nodes": {"type": "list", "elements": "dict", "default": []},
    "list_file": {"type": "path"},
    "list_format": {"type": "str", "choices": ["json", "csv", "html", "table"]},
    "history": {"type": "list", "elements": "dict", "default": []},
    "records_dir": {"type": "path"},
    "feature": {"type": "str"},
    "validate_seconds": {"type": "int", "default": 300},
    "hold_seconds": {"type": "int", "default": 30},
    "watch_seconds": {"type": "int", "default": 3600},
    "snapshot_file": {"type": "path"},
    "replay": {"type": "path"},
}
RULES: dict[str, Any] = {"required_by": {"workload": "namespace"}}


def rightsize(
    options: Mapping[str, Any], reader: Callable[[], Api], executor: Callable[[], Api], progress: Progress | None = None
) -> dict[str, Any]:
    """The result of the module rightsize: {cluster, user, list, savings, proposals, questions, findings, nothing, usage, coverage, timings...}.

    Options as the module's. Raises AiopsError: BadInput for wrong options, PrometheusError and the recorder's errors where there is no
    history.
    """
    _check(options)
    prices = cost.prices(options["prices"])
    if options["snapshot_file"]:
        output.writable("snapshot_file", options["snapshot_file"])
    if options["list_file"]:
        listing.check(options["list_file"], _format(options))
    started = time.monotonic()
    if options["replay"]:
        snapshot = saved.load(options["replay"], snapshots.SCHEMA, ("pods", "nodes", *gather.LISTS.values()))
        snapshot["usage"] = sources.restored(snapshot["usage"])
        subjects = gather.subjects(snapshot, options["namespace"] or "", options["workload"] or "")
        observed = time.monotonic()
    else:
        api = reader()
        snapshot = snapshots.take(api, options["namespace"] or "", ("controllerrevisions",), _WHOLE)
        snapshot["now"] = clock.now().timestamp() - (api.clock_skew or 0.0)
        subjects = gather.subjects(snapshot, options["namespace"] or "", options["workload"] or "")
        observed = time.monotonic()
        snapshot["usage"] = sources.history(api, snapshot, subjects, options, progress)
    measured = time.monotonic()
    stage = Stage(snapshot["objects"])
    found = {subject["key"]: analysed(subject, snapshot, options, prices, stage) for subject in subjects}
    entries = listing.ranked(one.row() for one in found.values())
    ranked = [found[entry["workload"]] for entry in entries]
    batch = [one for one in ranked if one.decision == "change"][: options["batch_workloads"]]
    for one in batch:
        one.savings = savings.of([one.change], snapshot["objects"], prices)
    changes = [one.change for one in ranked if one.decision == "change"]
    together = savings.of(changes, snapshot["objects"], prices) if changes else {}
    rehearsal = None if options["replay"] else executor
    proposals = [proposing.proposal(one, snapshot, options, rehearsal) for one in batch]
    if options["snapshot_file"]:
        saved.save(options["snapshot_file"], _plain(snapshots.without_secrets({**snapshot, "usage": {}}), snapshot["usage"]))
    if options["list_file"]:
        listing.write(options["list_file"], entries, _format(options))
    history = snapshot["usage"]
    return {
        "cluster": snapshot["cluster"],
        "user": snapshot["user"],
        "list": entries,
        "savings": together,
        "usage": {name: history[name] for name in ("source", "from", "to", "notes", "queries")},
        "proposals": proposals,
        "questions": proposing.questions(batch, proposals),
        "findings": [finding for one in proposals for finding in one["findings"]],
        "nothing": _nothing(ranked, batch),
        "coverage": {**snapshot["coverage"], "not_evaluated": [*snapshot["coverage"]["not_evaluated"], *history["not_evaluated"]]},
        "pods_seen": sum(len(one["all_pods"]) for one in subjects),
        "timings": {
            "observe": round(observed - started, 3),
            "measure": round(measured - observed, 3),
            "propose": round(time.monotonic() - measured, 3),
        },
    }


def _nothing(ranked: list[Analysis], batch: list[Analysis]) -> list[str]:
    """What is said of each workload for which nothing is proposed now, one sentence each."""
    if not ranked:
        return ["There is no Deployment, StatefulSet or DaemonSet: nothing to propose."]
    return [f"{one.name}: {_why(one)}" for one in ranked if one not in batch]


def _why(one: Analysis) -> str:
    return _LATER if one.decision == "change" else f"{one.reason} {one.fix}".rstrip()


_LATER = "A change is recommended, and comes in a later run: this one proposes as many as batch_workloads allows."


def _plain(snapshot: Object, history: Object) -> Object:
    """What goes into a file: grids as lists, with null for a gap, since NaN is no JSON."""
    return {**snapshot, "usage": sources.portable(history)}


def _format(options: Mapping[str, Any]) -> str:
    """The option list_format, or what the file's name ends in."""
    ending = os.path.splitext(options["list_file"])[1].lstrip(".").lower()
    return str(options["list_format"] or (ending if ending in ("json", "csv", "html") else "table"))


def _check(options: Mapping[str, Any]) -> None:
    """What the types of the options do not rule out. Raises BadInput."""
    if options["namespace"] and not _NAME.match(options["namespace"]):
        raise BadInput(f"namespace is {options['namespace']!r}, which cannot be the name of one.", "Give the name of a namespace.")
    for name, least, most in _RANGES:
        if not least <= options[name] <= most:
            raise BadInput(f"{name} is {options[name]:g}.", f"Give a number from {least:g} to {most:g}.")
    if options["stable_days"] > options["history_days"]:
        raise BadInput(
            f"stable_days is {options['stable_days']:g}, more than history_days, {options['history_days']:g}.",
            "Read at least as many days as a workload must have been stable for.",
        )
    for name in ("cpu_floor", "memory_floor", "cpu_step", "memory_step"):
        quantity.option(name, options[name], "10m or 32Mi")
    if options["source"] == "recorder" and not options["store"] and not options["replay"]:
        raise BadInput("source is recorder, and store is not given.", "Give the file that record_usage writes.")


_RANGES = (
    ("history_days", 1, 90),
    ("stable_days", 0, 90),
    ("min_coverage", 0, 1),
    ("min_points", 3, 1_000_000),
    ("margin_percent", 0, 1000),
    ("memory_peak_percent", 0, 1000),
    ("oom_percent", 0, 1000),
    ("min_change_percent", 0, 100),
    ("max_series", 1, 100_000),
    ("max_samples", 10_000, 50_000_000),
    ("batch_workloads", 1, 1000),
    ("validate_seconds", 0, 86_400),
    ("hold_seconds", 0, 86_400),
    ("watch_seconds", 0, 7 * 86_400),
)
