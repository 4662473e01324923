# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Names of the keys of ConfigMaps that pods ask for by key, where a pod cannot start: the values never enter a snapshot."""

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, segment
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import containers_of, statuses_of

_MOST = 20
_WAITING = "CreateContainerConfigError"
_MOUNT = "FailedMount"

Object = dict[str, Any]


def needed(pods: list[Object], events: list[Object]) -> list[tuple[str, str]]:
    """(namespace, name) of the ConfigMaps that pods which cannot start name by key, and of those that pods which crash have mounted."""
    unmounted = {event["involvedObject"].get("uid") for event in events if event.get("reason") == _MOUNT}
    stuck = [pod for pod in pods if pod["metadata"].get("uid") in unmounted or _is_refused(pod)]
    crashed = [pod for pod in pods if _has_crashed(pod)]
    named = [(pod, name) for pod in stuck for name in _by_key(pod["spec"])] + [
        (pod, name) for pod in crashed for name in _mounted(pod["spec"])
    ]
    return list(dict.fromkeys((pod["metadata"]["namespace"], name) for pod, name in named))


def read(api: Api, wanted: list[tuple[str, str]], configmaps: list[Object]) -> list[Object]:
    """Give each ConfigMap the list ``keys``, and what could not be had as [{what, missing}]."""
    known = {(one["metadata"].get("namespace"), one["metadata"]["name"]): one for one in configmaps}
    lacking = []
    for namespace, name in wanted[:_MOST]:
        try:
            found = api.get(f"/api/v1/namespaces/{segment(namespace)}/configmaps/{segment(name)}")
        except ApiError as error:
            why = f"get configmaps in namespace {namespace}" + ("" if error.status == 403 else f" ({error.status} {error.reason})")
            lacking.append({"what": f"keys of configmap {namespace}/{name}", "missing": why})
            continue
        if found is None:
            continue
        if (namespace, name) not in known:
            known[namespace, name] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
            configmaps.append(known[namespace, name])
        known[namespace, name]["keys"] = sorted([*(found.get("data") or {}), *(found.get("binaryData") or {})])
    if wanted[_MOST:]:
        lacking.append({"what": f"keys of {len(wanted) - _MOST} more configmaps", "missing": f"at most {_MOST} are read"})
    return lacking


def _is_refused(pod: Object) -> bool:
    return any(((one.get("state") or {}).get("waiting") or {}).get("reason") == _WAITING for one in statuses_of(pod))


def _has_crashed(pod: Object) -> bool:
    return any(
        not one.get("ready") and (state or {}).get("terminated", {}).get("exitCode")
        for one in statuses_of(pod)
        for state in (one.get("state"), one.get("lastState"))
    )


def _mounted(spec: Object) -> Iterator[str]:
    for volume in spec.get("volumes") or ():
        for source in [volume.get("configMap"), *(one.get("configMap") for one in (volume.get("projected") or {}).get("sources") or ())]:
            if source and source.get("name") != "kube-root-ca.crt":
                yield from _name(source)


def _by_key(spec: Object) -> Iterator[str]:
    for container in containers_of(spec):
        for one in container.get("env") or ():
            yield from _name((one.get("valueFrom") or {}).get("configMapKeyRef"))
    for volume in spec.get("volumes") or ():
        sources = [volume.get("configMap"), *(one.get("configMap") for one in (volume.get("projected") or {}).get("sources") or ())]
        for source in sources:
            if source and source.get("items"):
                yield from _name(source)


def _name(reference: Object | None) -> Iterator[str]:
    if reference and reference.get("name"):
        yield reference["name"]
