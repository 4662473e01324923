# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the checks of a workload look at, and what they say. Pure; nothing raises."""

from __future__ import annotations

from typing import Any, Collection, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain

Object = dict[str, Any]
Finding = dict[str, str]


SCALABLE = ("Deployment", "StatefulSet", "ReplicaSet")


class Seen(NamedTuple):
    """The workload, all lists, the API groups served, and what context.py picked out of them."""

    workload: Mapping[str, Any]
    objects: Mapping[str, list[Object]]
    served: Collection[str] | None
    pods: list[Object]
    template: Mapping[str, Any]
    hpas: list[Object]
    scaled: list[Object]
    vpas: list[Object]
    facts: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.workload.get("kind", ""))

    @property
    def name(self) -> str:
        return f"{self.kind.lower()}/{plain((self.workload.get('metadata') or {}).get('name', ''))}"

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.workload.get("spec") or {}

    @property
    def status(self) -> Mapping[str, Any]:
        return self.workload.get("status") or {}

    @property
    def namespace(self) -> str:
        return str((self.workload.get("metadata") or {}).get("namespace", ""))


def finding(code: str, severity: str, sentence: str, fix: str = "") -> Finding:
    return {"code": code, "severity": severity, "sentence": sentence, "fix": fix}
