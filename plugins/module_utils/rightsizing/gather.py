# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The workloads that are looked at, each with its revision: which pods, alive or gone, ran the template that is there now. Pure.

A subject:
    key          Kind/namespace/name;  workload: the live object
    pods         its live pods of the current revision;  all_pods: of every revision
    revision     {name, since (seconds since 1970, None where unknown), pattern, others}: regular expressions for names of pods, to be
                 matched whole; others is "" where names do not tell revisions apart
    hash_in_names  whether the name of a pod proves its template, as it does for Deployments
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import ownership
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import pods_of
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, NotFound
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock

Object = dict[str, Any]
LISTS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
_KINDS = {
    **{name: "Deployment" for name in ("deployment", "deploy")},
    **{name: "StatefulSet" for name in ("statefulset", "sts")},
    **{name: "DaemonSet" for name in ("daemonset", "ds")},
}
_NAME = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
_REVISION, _HASH, _SET_HASH = "deployment.kubernetes.io/revision", "pod-template-hash", "controller-revision-hash"
_SUFFIX = "[a-z0-9]{5}"
_LONGEST = 58  # characters of a generated name before its suffix: more are cut


def subjects(snapshot: Mapping[str, Any], namespace: str, wanted: str) -> list[Object]:
    """Those of a namespace ("" for all), or the one that the option workload names. Raises BadInput and NotFound."""
    objects = snapshot["objects"]
    chosen = _named(objects, namespace, wanted) if wanted else [one for name in LISTS.values() for one in _within(objects[name], namespace)]
    return [subject(workload, objects) for workload in chosen]


def subject(workload: Object, objects: Mapping[str, list[Object]]) -> Object:
    """See the module's description."""
    revision, hashed = _REVISIONS[workload["kind"]](workload, objects)
    everybody = pods_of(workload, objects)
    metadata = workload["metadata"]
    return {
        "key": f"{workload['kind']}/{metadata['namespace']}/{metadata['name']}",
        "workload": workload,
        "pods": [pod for pod in everybody if not hashed[1] or (pod["metadata"].get("labels") or {}).get(hashed[0]) == hashed[1]],
        "all_pods": everybody,
        "revision": revision,
        "hash_in_names": workload["kind"] == "Deployment",
    }


def _named(objects: Mapping[str, list[Object]], namespace: str, wanted: str) -> list[Object]:
    kind, slash, name = wanted.partition("/")
    if not slash or not _NAME.match(name):
        raise BadInput(f"workload is {wanted!r}.", "Give it as kind/name, such as deployment/web.")
    if kind.lower() not in _KINDS:
        fix = "Give deployment/NAME, statefulset/NAME or daemonset/NAME."
        raise BadInput(f"workload is {wanted!r}, and a {kind.lower()} is not sized by this workflow.", fix)
    if not namespace:
        raise BadInput(f"workload is {wanted!r}, and namespace is not given.", "Say in which namespace it is.")
    kind = _KINDS[kind.lower()]
    found = [one for one in _within(objects[LISTS[kind]], namespace) if one["metadata"]["name"] == name]
    if not found:
        raise NotFound(f"There is no {kind} {name} in namespace {namespace}.", "Check the options workload and namespace.")
    return found


def _within(items: Iterable[Object], namespace: str) -> list[Object]:
    return [one for one in items if not namespace or one["metadata"]["namespace"] == namespace]


def _of_deployment(workload: Object, objects: Mapping[str, list[Object]]) -> tuple[Object, tuple[str, str]]:
    name = str(workload["metadata"]["name"])
    mine = [one for one in objects["replicasets"] if (ownership.controller_of(one) or {}).get("uid") == workload["metadata"]["uid"]]
    number = (workload["metadata"].get("annotations") or {}).get(_REVISION)
    current = next((one for one in mine if (one["metadata"].get("annotations") or {}).get(_REVISION) == number), None)
    others = f"{_escaped(name)}-[a-z0-9]{{1,10}}-{_SUFFIX}" if len(name) + 12 <= _LONGEST else f"{_escaped(name[:_LONGEST])}.*"
    if current is None:
        return {"name": "", "since": None, "pattern": others, "others": ""}, (_HASH, "")
    owner = str(current["metadata"]["name"])
    pattern = _generated(owner)
    label = str((current["metadata"].get("labels") or {}).get(_HASH, ""))
    return {"name": owner, "since": _since(current), "pattern": pattern, "others": others}, (_HASH, label)


def _of_set(workload: Object, objects: Mapping[str, list[Object]]) -> tuple[Object, tuple[str, str]]:
    """Their pods' names say nothing about the revision: samples count from its creation on."""
    name, uid = str(workload["metadata"]["name"]), workload["metadata"]["uid"]
    mine = [one for one in objects["controllerrevisions"] if (ownership.controller_of(one) or {}).get("uid") == uid]
    current = max(mine, key=lambda one: int(one.get("revision") or 0), default=None)
    pattern = f"{_escaped(name)}-[0-9]+" if workload["kind"] == "StatefulSet" else _generated(name)
    if current is None:
        return {"name": "", "since": None, "pattern": pattern, "others": ""}, (_SET_HASH, "")
    labels = current["metadata"].get("labels") or {}
    # a StatefulSet's pods carry the revision's whole name, a DaemonSet's only the hash
    label = str(current["metadata"]["name"]) if workload["kind"] == "StatefulSet" else str(labels.get(_SET_HASH, ""))
    return {"name": str(current["metadata"]["name"]), "since": _since(current), "pattern": pattern, "others": ""}, (_SET_HASH, label)


_REVISIONS = {"Deployment": _of_deployment, "StatefulSet": _of_set, "DaemonSet": _of_set}


def _generated(owner: str) -> str:
    """The names that the API server generates for an owner's pods."""
    return _escaped(f"{owner}-"[:_LONGEST]) + _SUFFIX


def _escaped(name: str) -> str:
    return name.replace(".", r"\.")  # names hold nothing else that means something in a pattern


def _since(revision: Mapping[str, Any]) -> float:
    return clock.parse(str(revision["metadata"]["creationTimestamp"])).timestamp()
