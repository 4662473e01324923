# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One collecting step for questions of capacity: the whole cluster's nodes and pods, and what concerns one namespace, in parallel.

    schema, taken_at, cluster{uid, server, version}, user, namespace
    objects{pods[], nodes[], deployments[], ...}   API objects, slimmed; those that can be scaled with the names of who manages their fields;
                                                   lists that may not be read are missing, but for those of workloads, which are empty
    served[]                                       API groups that the server serves (metrics.k8s.io, keda.sh...)
    coverage{read[], not_evaluated[{what, missing}]}

It can be saved and replayed. Never reads Secrets or ConfigMaps.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Collection

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import lists
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, segment
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.lists import Source
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.saved import require_namespace
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.slim import Keeper
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.snapshot import Forbidden, head, identity, unidentified
from ansible_collections.aiops.k8s.plugins.module_utils.collector import without_collector
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact, redact_object

SCHEMA = "aiops.k8s/capacity/v1"
Snapshot = dict[str, Any]
Object = dict[str, Any]
_PARALLEL = 8
_MANAGER = ("manager", "operation", "time", "subresource", "apiVersion")


class Managed(Keeper):
    """Objects with the names of their field managers, and which of them own spec.replicas: that decides what is right."""

    def add(self, item: Object) -> None:
        managers = [
            {
                **{name: one[name] for name in _MANAGER if name in one},
                "fieldsType": "FieldsV1",
                "fieldsV1": _owned(one.get("fieldsV1") or {}),
            }
            for one in item["metadata"].get("managedFields") or []
        ]
        super().add(item)
        item["metadata"]["managedFields"] = managers


def _owned(fields: Object) -> Object:
    owns = "f:replicas" in (fields.get("f:spec") or {})
    return {"f:spec": {"f:replicas": {}}} if owns else {}


def without_secrets(snapshot: Snapshot) -> Snapshot:
    """A snapshot without secrets, for a file. Redaction drops field managers, since their fields repeat an object; these do not."""
    kept = redact_object(snapshot)
    for name in _MANAGED:
        for item, whole in zip(kept["objects"][name], snapshot["objects"][name]):
            item["metadata"]["managedFields"] = [
                {key: redact(value)[0] if isinstance(value, str) else value for key, value in one.items()}
                for one in whole["metadata"]["managedFields"]
            ]
    return kept  # type: ignore[no-any-return]


_EVERYWHERE = ("pods", "nodes", "daemonsets", "namespaces", "persistentvolumes", "storageclasses", "priorityclasses")
_INSIDE = ("replicasets", "resourcequotas", "limitranges", "persistentvolumeclaims", "poddisruptionbudgets")
_MANAGED = {
    "deployments": Source("Deployment", "/apis/apps/v1", essential=True, keeper=Managed),
    "statefulsets": Source("StatefulSet", "/apis/apps/v1", keeper=Managed),
    "horizontalpodautoscalers": Source("HorizontalPodAutoscaler", "/apis/autoscaling/v2", essential=True, keeper=Managed),
}
# served only where their operators are installed
_OPTIONAL = {
    "scaledobjects": Source("ScaledObject", "/apis/keda.sh/v1alpha1"),
    "verticalpodautoscalers": Source("VerticalPodAutoscaler", "/apis/autoscaling.k8s.io/v1"),
}
_WORKLOADS = {"deployments", "statefulsets", "daemonsets", "replicasets", "controllerrevisions"}  # those of a list that may not be read are not seen
_ESSENTIAL = ("pods", "nodes", *(name for name, source in _MANAGED.items() if source.essential))


def take(api: Api, namespace: str, also: Collection[str] = (), whole: Collection[str] = ()) -> Snapshot:
    """Read it. ``namespace``: that of the workloads, "" for all; also: names of further lists (lists.py) of it;
    whole: those that are read for the whole cluster nevertheless.

    Raises Forbidden, NotFound (no such namespace), Unreachable, ApiError.
    """
    with without_collector(), ThreadPoolExecutor(_PARALLEL) as pool:
        who, groups = pool.submit(identity, api), pool.submit(api.get, "/apis")
        futures = {
            **{name: pool.submit(lists.read, api, name, "") for name in _EVERYWHERE},
            **{name: pool.submit(lists.read, api, name, "" if name in whole else namespace) for name in (*_INSIDE, *also)},
            **{name: pool.submit(_read, api, name, source, namespace) for name, source in (_MANAGED | _OPTIONAL).items()},
        }
        answers = {name: future.result() for name, future in futures.items()}
        cluster, user, version = who.result()
        served = sorted(one["name"] for one in (groups.result() or {}).get("groups", []))
    forbidden = {name: missing for name, (_items, missing) in answers.items() if missing and name not in _OPTIONAL}
    objects = {name: items for name, (items, _missing) in answers.items()}
    if any(name in forbidden for name in _ESSENTIAL):
        raise Forbidden(
            f"{user} may not read what a question of capacity needs: {'; '.join(forbidden.values())}.",
            "Grant these verbs (the ClusterRole view and a list on nodes suffice), or use another kubeconfig or context.",
        )
    there = {one["metadata"]["name"] for one in objects["namespaces"]}
    require_namespace(namespace, "namespaces" in forbidden or namespace in there, api.server)
    lacking = [{"what": name, "missing": verb} for name, verb in forbidden.items()]
    lacking += [{"what": name, "missing": answers[name][1]} for name in _OPTIONAL if answers[name][1] not in ("", _NOT_SERVED)]
    unread = {one["what"] for one in lacking} - _WORKLOADS
    return {
        **head(SCHEMA, api, namespace, cluster, user, version),
        "objects": {name: items for name, items in objects.items() if name not in unread},  # a list that is missing is not an empty one
        "served": served,
        "coverage": {"read": [name for name in answers if not answers[name][1]], "not_evaluated": lacking + unidentified(cluster)},
    }


_NOT_SERVED = "not served"


def _read(api: Api, name: str, source: Source, namespace: str) -> tuple[list[Object], str]:
    """(objects, the verb that was missing, or that the server does not know the kind)."""
    within = f"/namespaces/{segment(namespace)}" if namespace else ""
    try:
        return lists.collect(api, source, f"{source.group}{within}/{name}", source.query), ""
    except ApiError as error:
        if error.status == 404 and not source.essential:
            return [], _NOT_SERVED
        if error.status != 403 and source.essential:
            raise
        why = "" if error.status == 403 else f" ({error.status} {error.reason})"
        return [], f"list {name}" + (f" in namespace {namespace}" if namespace else " in the cluster") + why
