# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One collecting step: everything that an analysis may read, from the cluster into plain JSON, in parallel.

    schema, taken_at, cluster{uid, server, version}, user
    objects{pods[], events[], replicasets[], ...}   API objects, slimmed (slim.py); never secrets; of configmaps names, and "keys" where these matter
    logs{"namespace/pod/container": {current, previous}}   text, bounded in lines and bytes
    coverage{read[], not_evaluated[{what, missing}]}

A snapshot can be saved and replayed: rules and remedies read nothing else.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import config_keys, lists
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.lists import DNS_NAMESPACE, SOURCES
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.logs_read import Log, Reader, Wanted
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.saved import require_namespace
from ansible_collections.aiops.k8s.plugins.module_utils.collector import without_collector
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock

SCHEMA = "aiops.k8s/snapshot/v1"
_PARALLEL = 8  # each holds a connection, whose handshake costs more than a small list
_MOST_LOGS = 60  # beyond that, replicas of one workload say the same
_MOST_TAILS = 40  # healthy containers: where there are more, none of their logs is read

Snapshot = dict[str, Any]
Object = dict[str, Any]
Names = Callable[[Object], list[str]]


class Forbidden(AiopsError):
    """The reader lacks verbs that a diagnosis cannot do without; every missing one is named."""


def take(api: Api, namespace: str, wants_log: Names, wants_tail: Names | None = None) -> Snapshot:
    """Read a namespace, or the whole cluster where ``namespace`` is empty.

    wants_log: names of a pod's containers whose logs are worth reading.
    wants_tail: names of a pod's containers that are well and whose newest lines may be worth a look, where there are few such containers.
    Raises Forbidden, NotFound (no such namespace), Unreachable, ApiError.
    """
    with without_collector(), ThreadPoolExecutor(_PARALLEL) as pool:
        futures = {name: pool.submit(lists.read, api, name, namespace) for name in SOURCES}
        who = pool.submit(identity, api)
        dns = pool.submit(lists.dns, api) if namespace not in ("", DNS_NAMESPACE) else None
        answers = {name: future.result() for name, future in futures.items()}
        objects = {name: items for name, (items, _missing) in answers.items()}
        forbidden = {name: missing for name, (_items, missing) in answers.items() if missing}
        cluster, user, version = who.result()
        _check(api, namespace, user, objects, forbidden)
        coverage = [{"what": name, "missing": verb} for name, verb in forbidden.items()]
        rest = pool.submit(_after, api, namespace, objects)
        wanted, untold = _wanted(objects["pods"], wants_log, wants_tail)
        logs = _read_logs(pool, Reader(api, not namespace, objects["nodes"]), wanted)
        endings, lacking = rest.result()
        objects["events"] += endings
        coverage += lacking
        if dns:
            found, missing = dns.result()
            for name, items in found.items():
                objects[name] += items
            coverage += [{"what": "cluster DNS", "missing": missing}] if missing else []
    coverage += [{"what": f"log of {log.key}", "missing": log.note} for log in logs if log.note]
    coverage += untold
    return {
        **head(SCHEMA, api, namespace, cluster, user, version),
        "objects": objects,
        "logs": {log.key: log.texts for log in logs},
        "coverage": {"read": [name for name in SOURCES if name not in forbidden], "not_evaluated": coverage + unidentified(cluster)},
    }


def head(schema: str, api: Api, namespace: str, cluster: str, user: str, version: str) -> Snapshot:
    """What every snapshot begins with; the last three as ``identity`` gives them."""
    return {
        "schema": schema,
        "taken_at": clock.stamp(clock.now()),
        "cluster": {"server": api.server, "uid": cluster, "version": version},
        "user": user,
        "namespace": namespace,
    }


def unidentified(cluster: str) -> list[Object]:
    """What is missing where the cluster's uid may not be read."""
    return [] if cluster else [{"what": "cluster identity", "missing": f"get namespaces/{DNS_NAMESPACE}"}]


def _check(api: Api, namespace: str, user: str, objects: dict[str, list[Object]], forbidden: dict[str, str]) -> None:
    if any(SOURCES[name].essential for name in forbidden):
        raise Forbidden(
            f"{user} may not read what a diagnosis needs: {'; '.join(forbidden.values())}.",
            "Grant these verbs (the ClusterRole view and a list on nodes suffice), or use another kubeconfig or context.",
        )
    require_namespace(namespace, "namespaces" in forbidden or bool(objects["namespaces"]), api.server)


def _after(api: Api, namespace: str, objects: dict[str, list[Object]]) -> tuple[list[Object], list[Object]]:
    """What only the lists tell to be worth asking: (further events, what could not be had)."""
    lacking = config_keys.read(api, config_keys.needed(objects["pods"], objects["events"]), objects["configmaps"])
    return lists.endings(api, namespace, objects["events"]), lacking


def _wanted(pods: list[Object], wants_log: Names, wants_tail: Names | None) -> tuple[list[Wanted], list[Object]]:
    """(the logs to read, the most telling first; what is left out)."""
    ranked = _one_of_each_first(pods)
    wanted = [Wanted(pod, container) for _rank, pod in ranked for container in wants_log(pod)]
    untold = []
    if wanted[_MOST_LOGS:]:
        untold.append({"what": f"logs of {len(wanted) - _MOST_LOGS} more containers", "missing": f"at most {_MOST_LOGS} are read"})
    wanted = wanted[:_MOST_LOGS]
    known = {one.key for one in wanted}
    tails = [Wanted(pod, name, True) for rank, pod in ranked if rank == 1 for name in wants_tail(pod)] if wants_tail else []
    tails = [one for one in tails if one.key not in known]
    if len(tails) > _MOST_TAILS:
        untold.append({"what": f"logs of {len(tails)} healthy containers", "missing": f"more than {_MOST_TAILS}"})
        tails = []
    room = _MOST_LOGS - len(wanted)
    if tails[room:]:
        untold.append({"what": f"logs of {len(tails) - room} healthy containers", "missing": f"at most {_MOST_LOGS} logs are read"})
    return wanted + tails[:room], untold


def _read_logs(pool: ThreadPoolExecutor, reader: Reader, wanted: list[Wanted]) -> list[Log]:
    logs = list(pool.map(reader.read, wanted))
    again = [number for number, log in enumerate(logs) if log.note and reader.again(wanted[number])]
    if again:
        reader.be_patient()
        for number, log in zip(again, pool.map(lambda number: reader.read(wanted[number]), again)):
            logs[number] = log
    return logs


def _one_of_each_first(pods: list[Object]) -> list[tuple[int, Object]]:
    """(rank, pod): the first pod of each owner, then the second of each, and so on."""
    seen: dict[str, int] = {}
    ranked = []
    for pod in pods:
        owner = next((one["uid"] for one in pod["metadata"].get("ownerReferences", [])), pod["metadata"]["uid"])
        seen[owner] = seen.get(owner, 0) + 1
        ranked.append((seen[owner], pod))
    return sorted(ranked, key=lambda pair: pair[0])


def identity(api: Api) -> tuple[str, str, str]:
    """(uid of the cluster or "", user, version of the server)."""
    version = str((api.get("/version") or {}).get("gitVersion", ""))
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    user = api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", None, body)["status"]["userInfo"].get("username", "")
    try:
        return str(((api.get("/api/v1/namespaces/kube-system") or {}).get("metadata") or {}).get("uid", "")), user, version
    except ApiError as error:
        if error.status != 403:
            raise
        return "", user, version
