# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One collecting step: everything that an analysis may read, from the cluster into plain JSON, in parallel.

    schema, taken_at, cluster{uid, server, version}, user, target{namespace, workload, pod}
    objects{pods[], events[], replicasets[], ...}   whole API objects; neither secrets nor configmaps are read
    logs{"pod/container": {current, previous}}      text, bounded in lines and bytes
    coverage{read[], not_evaluated[{what, missing}]}

A snapshot can be saved and replayed: rules and remedies read nothing else.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable, segment
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, NotFound
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock

SCHEMA = "aiops.k8s/snapshot/v1"
LOG_LINES = 200
LOG_BYTES = 64 * 1024
_PARALLEL = 12
_MOST_LOGS = 60  # beyond that, replicas of one workload say the same
_NO_LOG = "unable to retrieve container logs for "  # what the kubelet answers, with status 200, for a log that is gone
_LOG_TIMEOUT = 10.0  # seconds: a node that is down must not hold up the rest

Snapshot = dict[str, Any]


class Source(NamedTuple):
    """One list to read: its API path, whether it lies in namespaces, whether no diagnosis is possible without it."""

    kind: str
    group: str
    namespaced: bool = True
    essential: bool = False


SOURCES: dict[str, Source] = {
    "pods": Source("Pod", "/api/v1", essential=True),
    "events": Source("Event", "/api/v1", essential=True),
    "replicasets": Source("ReplicaSet", "/apis/apps/v1", essential=True),
    "deployments": Source("Deployment", "/apis/apps/v1", essential=True),
    "statefulsets": Source("StatefulSet", "/apis/apps/v1"),
    "daemonsets": Source("DaemonSet", "/apis/apps/v1"),
    "jobs": Source("Job", "/apis/batch/v1"),
    "services": Source("Service", "/api/v1"),
    "endpointslices": Source("EndpointSlice", "/apis/discovery.k8s.io/v1"),
    "resourcequotas": Source("ResourceQuota", "/api/v1"),
    "limitranges": Source("LimitRange", "/api/v1"),
    "nodes": Source("Node", "/api/v1", namespaced=False),
}


class Forbidden(AiopsError):
    """The reader lacks verbs that a diagnosis cannot do without; every missing one is named."""


def take(api: Api, namespace: str, wants_log: Callable[[dict[str, Any]], list[str]]) -> Snapshot:
    """Read a namespace, or the whole cluster where ``namespace`` is empty.

    wants_log: names of a pod's containers whose logs are worth reading. Raises Forbidden, NotFound (no such namespace),
    Unreachable, ApiError.
    """
    objects: dict[str, list[dict[str, Any]]] = {}
    missing: dict[str, str] = {}
    with ThreadPoolExecutor(_PARALLEL) as pool:
        identity = pool.submit(_identity, api)
        existence = pool.submit(_existing, api, namespace)
        lists = {name: pool.submit(_list, api, name, source, namespace) for name, source in SOURCES.items()}
        for name, future in lists.items():
            objects[name], missing[name] = future.result()
        forbidden = {name: verb for name, verb in missing.items() if verb}
        cluster, user, version = identity.result()
        existence.result()
        if any(SOURCES[name].essential for name in forbidden):
            raise Forbidden(
                f"{user} may not read what a diagnosis needs: {'; '.join(forbidden.values())}.",
                "Grant these verbs (the ClusterRole view and a list on nodes suffice), or use another kubeconfig or context.",
            )
        wanted = [(pod, container) for pod in _one_of_each_first(objects["pods"]) for container in wants_log(pod)]
        texts = list(pool.map(lambda one: _logs(api, *one), wanted[:_MOST_LOGS]))
    coverage = [{"what": name, "missing": verb} for name, verb in forbidden.items()]
    coverage += [{"what": f"log of {key}", "missing": note} for key, _text, note in texts if note]
    if wanted[_MOST_LOGS:]:
        coverage.append({"what": f"logs of {len(wanted) - _MOST_LOGS} more containers", "missing": f"at most {_MOST_LOGS} are read"})
    if not cluster:
        coverage.append({"what": "cluster identity", "missing": "get namespaces/kube-system"})
    return {
        "schema": SCHEMA,
        "taken_at": clock.stamp(clock.now()),
        "cluster": {"server": api.server, "uid": cluster, "version": version},
        "user": user,
        "objects": objects,
        "logs": {key: text for key, text, _note in texts},
        "coverage": {"read": [name for name in SOURCES if name not in forbidden], "not_evaluated": coverage},
    }


def _list(api: Api, name: str, source: Source, namespace: str) -> tuple[list[dict[str, Any]], str]:
    within = f"/namespaces/{segment(namespace)}" if source.namespaced and namespace else ""
    try:
        identity = {"apiVersion": source.group.split("/", 2)[2], "kind": source.kind}  # the items of a list do not carry them
        return [{**item, **identity} for item in api.pages(f"{source.group}{within}/{name}")], ""
    except ApiError as error:
        if error.status != 403 and source.essential:
            raise
        why = "" if error.status == 403 else f" ({error.status} {error.reason})"
        return [], f"list {name}" + (f" in namespace {namespace}" if within else " in the cluster") + why


def _one_of_each_first(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first pod of each owner, then the second of each, and so on."""
    seen: dict[str, int] = {}
    ranked = []
    for pod in pods:
        owner = next((one["uid"] for one in pod["metadata"].get("ownerReferences", [])), pod["metadata"]["uid"])
        seen[owner] = seen.get(owner, 0) + 1
        ranked.append((seen[owner], pod))
    return [pod for _rank, pod in sorted(ranked, key=lambda pair: pair[0])]


def _existing(api: Api, namespace: str) -> None:
    try:
        known = not namespace or api.get(f"/api/v1/namespaces/{segment(namespace)}") is not None
    except ApiError as error:
        if error.status != 403:
            raise
        return  # who may not read namespaces may still read inside one
    if not known:
        raise NotFound(
            f"There is no namespace {namespace} in the cluster {api.server}.",
            "Check the option namespace, and the context of the kubeconfig.",
        )


def _identity(api: Api) -> tuple[str, str, str]:
    version = str((api.get("/version") or {}).get("gitVersion", ""))
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    user = api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", None, body)["status"]["userInfo"].get("username", "")
    try:
        return str(((api.get("/api/v1/namespaces/kube-system") or {}).get("metadata") or {}).get("uid", "")), user, version
    except ApiError as error:
        if error.status != 403:
            raise
        return "", user, version


def _logs(api: Api, pod: dict[str, Any], container: str) -> tuple[str, dict[str, str], str]:
    """(key, {current, previous}, note on what could not be read)."""
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{segment(metadata['namespace'])}/pods/{segment(metadata['name'])}/log"
    key, texts, notes = f"{metadata['namespace']}/{metadata['name']}/{container}", {}, []
    for which, previous in (("current", "false"), ("previous", "true")):
        query = {"container": container, "previous": previous, "tailLines": LOG_LINES, "limitBytes": LOG_BYTES, "timestamps": "true"}
        try:
            text = api.text(path, query, timeout=_LOG_TIMEOUT)
            texts[which] = "" if text.startswith(_NO_LOG) else text
        except Unreachable as error:
            texts[which] = ""
            notes.append(error.message)
        except ApiError as error:
            texts[which] = ""
            if error.status == 403:
                notes.append(f"get pods/log in namespace {metadata['namespace']}")
            elif error.status == 404 and not previous == "true":
                notes.append("the pod is gone meanwhile")
            elif error.status not in (400, 404):  # 400: the container has no such log yet
                notes.append(error.message)
    return key, texts, "; ".join(sorted(set(notes)))
