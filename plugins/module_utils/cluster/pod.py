# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What everybody asks of a pod as the API gives it: its containers, their statuses and commands, and whether it serves. Pure; nothing raises."""

from __future__ import annotations

from typing import Any, Mapping

Object = dict[str, Any]


def containers_of(spec: Mapping[str, Any]) -> list[Object]:
    """Init containers, then containers, of a pod's specification or of a pod template's."""
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def statuses_of(pod: Mapping[str, Any]) -> list[Object]:
    """The statuses of init containers, then of containers."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def command_of(container: Mapping[str, Any]) -> str:
    """Command and arguments of a container in one line; empty where the image decides."""
    return " ".join(str(word) for word in [*(container.get("command") or ()), *(container.get("args") or ())])


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod serves."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in (pod.get("status") or {}).get("conditions") or ())
