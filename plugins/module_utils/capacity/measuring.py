# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where the load is measured: a Prometheus that is named, one that is found in the cluster, or metrics.k8s.io, sampled within this run."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import usage as sampling
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import usage as queried
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.client import Prometheus, PrometheusError
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.errors import found_in
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.options import settings

Object = dict[str, Any]
Progress = Callable[[float, float, str], None]
ALL = "*"  # key of samples that are of the whole namespace


def measure(
    api: Api, namespace: str, pods: Mapping[str, list[Object]], options: Mapping[str, Any], progress: Progress | None
) -> tuple[dict[str, Object], list[str], bool]:
    """({workload's key, or ALL: samples}, remarks, whether it took the time of a window). ``pods``: {workload's key: its pods}.

    Raises PrometheusError where a Prometheus that was asked for gives no answer, MetricsMissing where nothing else is there, BadInput.
    """
    if not pods:
        return {ALL: {}}, [], False
    asked_for = settings(options) if options["source"] != "metrics" else None
    needed = options["source"] == "prometheus" or options["resource"] == "custom"
    remarks: list[str] = []
    if options["source"] != "metrics":
        chosen, why_not = (asked_for, "") if asked_for else found_in(api)
        if chosen is None and needed:
            raise BadInput(f"No Prometheus is known: {why_not}.", "Give its address with prometheus_url.")
        if chosen is not None:
            try:
                server = Prometheus(chosen, api)
                samples = {key: _asked(server, namespace, mine, options) for key, mine in pods.items()}
                if asked_for or needed or any(one.get("pods") for one in samples.values()):
                    return samples, server.warnings, False
                remarks.append("The Prometheus that was found in the cluster has no samples of these pods, so it was not used.")
            except PrometheusError as error:
                if asked_for or needed:
                    raise
                remarks.append(f"The Prometheus that was found in the cluster was not used: {error.message}")
    window = float(options["window_seconds"])
    found = sampling.sample(
        api,
        namespace,
        "",
        window_seconds=window,
        step_seconds=float(options["step_seconds"]),
        resources=(options["resource"],),
        progress=progress,
    )
    return {ALL: found[options["resource"]]}, remarks, True


def _asked(server: Prometheus, namespace: str, pods: list[Object], options: Mapping[str, Any]) -> Object:
    window = float(options["window_seconds"])
    if options["resource"] == "custom":
        return queried.custom(server, options["prometheus_query"], window_seconds=window, unit=options["prometheus_unit"])
    names = [str(pod["metadata"]["name"]) for pod in pods]
    labels = options["prometheus_labels"]
    return queried.workload(server, namespace, names, window_seconds=window, resource=options["resource"], labels=labels)
