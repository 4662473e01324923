# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where the history of usage comes from: a Prometheus that is named, one that is found in the cluster, or the store of the recorder."""

from __future__ import annotations

import math
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import Prometheus, PrometheusError
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.errors import found_in
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.options import settings
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import history as queried, recorder_history

Object = dict[str, Any]
_FIX = "Give the address of a Prometheus with prometheus_url, or record usage for a week with aiops.k8s.record_usage and give its store."


def history(
    api: Api, snapshot: Mapping[str, Any], subjects: list[Object], options: Mapping[str, Any], progress: Callable[[str], None] | None
) -> Object:
    """The history of these workloads. Raises BadInput where no source is known, PrometheusError and the recorder's errors."""
    source = options["source"]
    named = settings(options) if source != "recorder" else None
    if source == "recorder" or (source == "auto" and named is None and options["store"]):
        return recorder_history.history(options["store"], subjects, options, snapshot["now"], snapshot["cluster"]["uid"])
    chosen, why_not = (named, "") if named else found_in(api)
    if chosen is None:
        raise BadInput(f"There is no history of usage: no prometheus_url, no store, and {why_not}.", _FIX)
    try:
        return queried.read(Prometheus(chosen, api), subjects, options, progress=progress)
    except PrometheusError as error:
        if named:
            raise
        raise BadInput(f"The Prometheus that was found in the cluster cannot be used: {error.message}", _FIX) from error


def portable(found: Any) -> Any:
    """The same as plain JSON: series as lists, with null where nothing is known."""
    if isinstance(found, Mapping):
        return {name: portable(value) for name, value in found.items()}
    if isinstance(found, (str, int, bool)) or found is None:
        return found
    if isinstance(found, float):
        return None if math.isnan(found) else found
    return [portable(value) for value in found]


def restored(found: Any) -> Any:
    """A history that comes from a file: null within a series is NaN again."""
    for workload in found["workloads"].values():
        for pods in workload["containers"].values():
            for usage in pods.values():
                for name in ("cpu_series", "memory_series"):
                    if usage.get(name):
                        usage[name]["values"] = [math.nan if value is None else value for value in usage[name]["values"]]
    return found
