# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The error rate that a plan's check names: which part of the requests fails, by an expression of the user's."""

from __future__ import annotations

import math
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import Prometheus
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.discovery import discover
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.options import Settings, settings


def found_in(api: Api) -> tuple[Settings | None, str]:
    """(a Prometheus in the cluster, why there is none)."""
    try:
        address = discover(api)
    except ApiError as error:
        return None, f"Services may not be listed ({error.status} {error.reason})"
    return (settings({"prometheus_url": address}, {}), "") if address else (None, "no Service in the cluster looks like one")


def measured_by(api: Api, source: Mapping[str, Any]) -> Callable[[], float | None]:
    """A function that gives the rate now: a fraction, None while there is no traffic. ``source``: {query, url ("" for one in the cluster)}.

    Credentials come from the environment (AIOPS_PROMETHEUS_*). Raises BadInput where there is no Prometheus; the function raises
    PrometheusError, and BadInput where the query has several series.
    """
    chosen, why_not = (settings({"prometheus_url": source["url"]}), "") if source["url"] else found_in(api)
    if chosen is None:
        raise BadInput(f"error_query needs a Prometheus, and {why_not}.", "Give prometheus_url, or leave error_query out.")
    server = Prometheus(chosen, api)

    def rate() -> float | None:
        found = server.query(str(source["query"]), option="error_query")
        if len(found) > 1:
            raise BadInput(f"error_query has {len(found)} series as its result, one is wanted.", "Aggregate them, as with sum(...).")
        value = found[0].values[-1][1] if found and found[0].values else math.nan
        return value if math.isfinite(value) else None  # 0/0: no traffic, no errors

    return rate
