# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Error signals of a workload: the cluster's warning events about its pods of the newest revision, as plain data.

A signal: reason, object (``pod/web-1``), count (occurrences; 1 where some of them lie before the time asked for), last (RFC 3339, the
server's clock, whole seconds mostly), message (redacted, one line). The cluster keeps events for an hour by default.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, segment
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

Signal = dict[str, Any]
_MESSAGE = 200  # characters
_SUFFIX = re.compile(r"^[a-z0-9]{5}\Z")


def warnings(api: Api, namespace: str) -> tuple[list[dict[str, Any]], str]:
    """(warning events of a namespace, "" or why they cannot be read). Raises Unreachable, and ApiError where trying again may help."""
    try:
        return list(api.pages(f"/api/v1/namespaces/{segment(namespace)}/events", {"fieldSelector": "type=Warning"})), ""
    except ApiError as error:
        if error.for_now:
            raise
        return [], f"list events: {error.reason}"


def about(events: Iterable[Mapping[str, Any]], subject: Mapping[str, str], state: Mapping[str, Any], since: str) -> list[Signal]:
    """Those that happened to a workload at or after a moment, the newest first. ``state`` is that of cluster/workload.py."""
    moment = since[:19]  # events carry whole seconds
    found = [
        {
            "reason": str(event.get("reason") or "unknown"),
            "object": f"{event['involvedObject'].get('kind', '').lower()}/{event['involvedObject'].get('name', '')}",
            "count": _count(event) if (event.get("firstTimestamp") or _last(event))[:19] >= moment else 1,
            "last": _last(event),
            "message": redact(" ".join(str(event.get("message") or "").split()))[0][:_MESSAGE],
        }
        for event in events
        if event.get("type", "Warning") == "Warning" and _last(event)[:19] >= moment and _concerns(event["involvedObject"], subject, state)
    ]
    return sorted(found, key=lambda one: str(one["last"]), reverse=True)


def _concerns(involved: Mapping[str, Any], subject: Mapping[str, str], state: Mapping[str, Any]) -> bool:
    """Whether an event is about the workload or a pod of its newest revision, also one that is gone by now.

    A pod that is gone is told by its name where the name says so for certain: a Deployment's pods carry the hash of their template.
    """
    current = [pod for pod in state["pods"] if pod["current"]]
    if involved.get("uid") in (state["uid"], *(pod["uid"] for pod in current)):
        return True
    stem, _dash, suffix = str(involved.get("name", "")).rpartition("-")
    stems = {str(pod["name"]).rpartition("-")[0] for pod in current} if subject["kind"] == "Deployment" else set()
    if involved.get("kind") == "ReplicaSet":
        return involved.get("name") in stems
    return involved.get("kind") == "Pod" and stem in stems and bool(_SUFFIX.match(suffix))


def _last(event: Mapping[str, Any]) -> str:
    series = event.get("series") or {}
    metadata = event.get("metadata") or {}
    known = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"), metadata.get("creationTimestamp"))
    return str(next((one for one in known if one), ""))


def _count(event: Mapping[str, Any]) -> int:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)
