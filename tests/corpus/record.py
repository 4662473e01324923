# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Records the staged cases as small, redacted snapshots, which unit tests replay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import snapshot as snapshots
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import wants_log
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact, redact_object
from tests.corpus.check import RECORDED
from tests.corpus.model import Case, Object

DROPPED = frozenset("""
    addresses allocatedResources blockOwnerDeletion clusterIPs containerID daemonEndpoints description dnsPolicy enableServiceLinks features
    firstTimestamp generateName hostIP hostIPs imageID images internalTrafficPolicy ipFamilies ipFamilyPolicy
    kubectl.kubernetes.io/last-applied-configuration kubernetes.io/description managedFields nodeInfo nodesFeatures podCIDR podCIDRs podIPs
    preemptionPolicy qosClass reportingComponent reportingInstance resourceVersion revisionHistoryLimit runtimeHandlers selfLink
    serviceAccount sessionAffinity terminationMessagePath terminationMessagePolicy user volumesAttached volumesInUse
    """.split())
DROPPED_EMPTY = frozenset(("resources", "volumeMounts", "volumes", "securityContext", "tolerations"))
LOG_LINES = 40  # of each log that is kept
EVENTS_KEPT = ("Warning",)
NORMAL_KEPT = frozenset(
    ("Killing", "Preempted", "ExternalProvisioning", "WaitForFirstConsumer", "JobAlreadyActive", "SuccessfulCreate", "Pulled", "BackOff")
)


def save(api: Api, cases: Sequence[Case]) -> int:
    """Write one file for each case that is staged; the number of files."""
    RECORDED.mkdir(parents=True, exist_ok=True)
    staged = {item["metadata"]["name"] for item in api.pages("/api/v1/namespaces")}
    here = [case for case in cases if case.namespace in staged]
    with ThreadPoolExecutor(4) as pool:
        for case, taken in zip(here, pool.map(lambda case: snapshots.take(api, case.namespace, wants_log), here)):
            if case.edit:
                case.edit(taken)
            (RECORDED / f"{case.name}.json").write_text(lines(small(taken, case)), encoding="utf-8")
    return len(here)


def small(taken: Object, case: Case) -> Object:
    """A snapshot without what no rule reads, and without what belongs to other cases."""
    objects = {kind: [trimmed(item) for item in items if _belongs(item, case)] for kind, items in taken["objects"].items()}
    objects["events"] = [one for one in objects.get("events", []) if one.get("type") in EVENTS_KEPT or one.get("reason") in NORMAL_KEPT]
    logs = {key: {which: _tail(text) for which, text in texts.items()} for key, texts in taken["logs"].items()}
    cluster = {**taken["cluster"], "server": "https://127.0.0.1:6443"}
    small_one: Object = redact_object({**taken, "cluster": cluster, "objects": objects, "logs": logs})
    return small_one


def _belongs(item: Object, case: Case) -> bool:
    """Of what lies in no namespace: what every cluster has, and what this case brought in."""
    metadata = item["metadata"]
    if metadata.get("namespace"):
        return True
    mine = {(one["kind"], one["metadata"]["name"]) for step in case.steps for one in step.apply} | {("Namespace", case.namespace)}
    machine = item["kind"] == "Node" and "kubernetes.io/hostname" in metadata.get("labels", {})
    return (item["kind"], metadata["name"]) in mine or machine or metadata["name"].startswith(("system-", "kube-"))


def trimmed(value: Any) -> Any:
    if isinstance(value, list):
        return [trimmed(item) for item in value if not (isinstance(item, dict) and _is_default(item))]
    if isinstance(value, dict):
        return {key: kept for key, item in value.items() if key not in DROPPED and ((kept := trimmed(item)) or key not in DROPPED_EMPTY)}
    return value


def _is_default(item: Object) -> bool:
    """The token that every pod gets, and the tolerations that every pod gets."""
    return str(item.get("name", "")).startswith("kube-api-access") or item.get("tolerationSeconds") == 300


def _tail(text: str) -> str:
    return redact("\n".join(text.splitlines()[-LOG_LINES:]))[0]


def lines(taken: Object) -> str:
    """JSON with one object a line, so that a change can be read."""
    kinds = [f'"{kind}": [' + ",".join(f"\n{_compact(item)}" for item in items) + "]" for kind, items in taken["objects"].items()]
    rest = [f'"{key}": {_compact(value)}' for key, value in taken.items() if key != "objects"]
    return "{" + ",\n".join([*rest, '"objects": {\n' + ",\n".join(kinds) + "}"]) + "}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
