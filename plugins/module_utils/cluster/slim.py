# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What of each object a snapshot keeps: everything that rules read, little of what they do not, and each thing once.

A keeper takes the items of one list in turn: ``add(item)``, then ``items``. Replicas of one owner have the same containers, volumes and labels:
their keeper lets them share these. So ten thousand pods that are well cost little more than their names and times.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock

Object = dict[str, Any]

RECENT = 3600.0  # seconds: a restart that lies further back is history
_IDLE_KEPT = 3  # ReplicaSets without pods of each owner: the revisions that an undo may return to
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # repeats the object
_REVISION = "deployment.kubernetes.io/revision"
_TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # every pod has it, under a name of its own
_TOKEN_VOLUME = "kube-api-access-"
_POD_METADATA = ("name", "namespace", "uid", "labels", "ownerReferences", "creationTimestamp", "deletionTimestamp")
_POD_STATUS = ("phase", "reason", "message", "podIP", "podIPs", "startTime")
_UNREAD_STATUS = ("imageID", "containerID", "allocatedResources", "allocatedResourcesStatus", "resources", "volumeMounts", "user")
_UNREAD_EVENT = ("managedFields", "resourceVersion", "selfLink")
_STATUSES = ("initContainerStatuses", "containerStatuses")


class Keeper:
    """Keeps whole objects, without what repeats them. Of the field managers only the times remain, which say when a spec was last changed."""

    def __init__(self) -> None:
        self.items: list[Object] = []

    def add(self, item: Object) -> None:
        metadata = item["metadata"]
        if "managedFields" in metadata:
            metadata["managedFields"] = [
                {key: one[key] for key in one if key not in ("fieldsV1", "fieldsType")} for one in metadata["managedFields"]
            ]
        (metadata.get("annotations") or {}).pop(_LAST_APPLIED, None)
        self.items.append(item)


class ReplicaSets(Keeper):
    """Of those without pods only the newest of each owner: older ones are no way back that anybody takes."""

    def __init__(self) -> None:
        super().__init__()
        self._idle: dict[str, list[tuple[int, Object]]] = {}
        self._shared = _Shared()

    def add(self, item: Object) -> None:
        owner = _owner(item)
        template = item.get("spec", {}).get("template", {}).get("spec")
        if template:
            self._shared.parts(owner, template)
        super().add(item)
        if item.get("spec", {}).get("replicas") or item.get("status", {}).get("replicas"):
            return
        idle = self._idle.setdefault(owner, [])
        idle.append((_revision(item), item))
        if len(idle) > _IDLE_KEPT:
            oldest = min(idle, key=lambda pair: pair[0])
            idle.remove(oldest)
            self.items = [one for one in self.items if one is not oldest[1]]


class Pods(Keeper):
    """Pods that are well with what others are judged by (containers, ports, labels, conditions, address); all others whole."""

    def __init__(self, now: datetime | None = None) -> None:
        super().__init__()
        self._now = now or clock.now()
        self._shared = _Shared()
        self._statuses: dict[Any, Object] = {}

    def add(self, item: Object) -> None:
        owner = _owner(item)
        spec, metadata = item["spec"], item["metadata"]
        _without_token(spec)
        self._shared.parts(owner, spec)
        metadata.pop("managedFields", None)
        if self._is_well(item):
            item["metadata"] = metadata = {key: metadata[key] for key in _POD_METADATA if key in metadata}
            item["status"] = self._brief(item["status"])
        self._shared.parts(f"{owner} of", metadata)
        self.items.append(item)

    def _is_well(self, pod: Object) -> bool:
        status = pod.get("status", {})
        if "deletionTimestamp" in pod["metadata"]:
            return False
        if status.get("phase") == "Succeeded":
            return True
        conditions = status.get("conditions") or ()
        if status.get("phase") != "Running" or any(one.get("status") != "True" for one in conditions):
            return False
        if any(str(one.get("type")).startswith("PodResize") for one in conditions):
            return False  # what its node has given it counts until it is over
        return all(self._has_run_quietly(one) for name in _STATUSES for one in status.get(name) or ())

    def _has_run_quietly(self, status: Object) -> bool:
        ended = (status.get("lastState") or {}).get("terminated") or {}
        if ended and not ended.get("finishedAt"):
            return False
        if ended and (self._now - clock.parse(ended["finishedAt"])).total_seconds() < RECENT:
            return False
        state = status.get("state") or {}
        return bool(status.get("ready")) or (state.get("terminated") or {}).get("exitCode") == 0

    def _brief(self, status: Object) -> Object:
        brief = {key: status[key] for key in _POD_STATUS if key in status}
        brief["conditions"] = [self._condition(one) for one in status.get("conditions") or ()]
        for name in _STATUSES:
            if status.get(name):
                brief[name] = [self._container(one) for one in status[name]]
        return brief

    def _condition(self, condition: Object) -> Object:
        key = (condition["type"], condition["status"], condition.get("lastTransitionTime"), condition.get("reason"))
        known = self._statuses.get(key)
        if known is None:
            known = {name: value for name, value in zip(("type", "status", "lastTransitionTime", "reason"), key) if value is not None}
            self._statuses[key] = known
        return known

    def _container(self, status: Object) -> Object:
        for name in _UNREAD_STATUS:
            status.pop(name, None)
        if status.get("lastState") == {}:
            del status["lastState"]
        return self._statuses.setdefault(str(status), status)


class Events(Keeper):
    """Events without what the store adds to them."""

    def add(self, item: Object) -> None:
        for name in _UNREAD_EVENT:
            item["metadata"].pop(name, None)
        item["involvedObject"].pop("resourceVersion", None)
        self.items.append(item)


class _Shared:
    """Lets objects of one owner hold the same parts: what is equal to what the one before had, is what the one before had."""

    def __init__(self) -> None:
        self._latest: dict[str, Object] = {}

    def parts(self, owner: str, value: Object) -> None:
        latest = self._latest.setdefault(owner, {})
        for key, part in value.items():
            if not isinstance(part, (int, bool)):
                if latest.get(key) == part:
                    value[key] = latest[key]
                else:
                    latest[key] = part


def _without_token(spec: Object) -> None:
    """Take the service account's token volume out of a pod: its name is random, and nothing can be wrong with it that an event does not say."""
    volumes = spec.get("volumes")
    if not volumes:
        return
    kept = [one for one in volumes if not (one["name"].startswith(_TOKEN_VOLUME) and "projected" in one)]
    if len(kept) == len(volumes):
        return
    spec["volumes"] = kept
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            mounts = container.get("volumeMounts")
            if mounts:
                container["volumeMounts"] = [one for one in mounts if one.get("mountPath") != _TOKEN_MOUNT]


def _owner(item: Object) -> str:
    owners = item["metadata"].get("ownerReferences")
    return str(owners[0]["uid"]) if owners else str(item["metadata"].get("uid", ""))


def _revision(item: Object) -> int:
    text = str((item["metadata"].get("annotations") or {}).get(_REVISION, "0"))
    return int(text) if text.isdigit() else 0
