# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whose samples are whose: from the name of a pod, alive or gone, to its workload and its revision. Pure."""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock

Object = dict[str, Any]

_HASH = re.compile(r"[4-9bcdf]{1,10}")  # Kubernetes writes the ten digits of a template's hash with these ten letters
_CUT = 50  # characters of a name that the names of its pods begin with, however long it is
_SUFFIX = re.compile(r"[bcdfghjklmnpqrstvwxz2456789]{5}")  # and what it makes up with these


class Owner(NamedTuple):
    """``current``: whether the pod ran the template that is there now. ``revision``: of another one, what tells it from further ones."""

    key: str
    current: bool
    revision: str = ""


class Owners:
    """The workloads of a scan, by namespace."""

    def __init__(self, subjects: Sequence[Object]) -> None:
        self._live: dict[tuple[str, str], Owner] = {}
        self._rules: dict[str, list[tuple[str, str, re.Pattern[str], re.Pattern[str] | None, bool]]] = {}
        self._known: dict[tuple[str, str], Owner | None] = {}
        self.started: dict[tuple[str, str], float] = {}
        for subject in subjects:
            self._add(subject)

    def _add(self, subject: Object) -> None:
        metadata, revision = subject["workload"]["metadata"], subject["revision"]
        namespace = str(metadata["namespace"])
        pattern, others = re.compile(revision["pattern"]), re.compile(revision["others"]) if revision["others"] else None
        # a CronJob makes names that look like those of a Deployment: web-29384756-x2x4z
        strict = bool(others) and bool(_HASH.fullmatch(_hash(revision["pattern"])))
        self._rules.setdefault(namespace, []).append((str(metadata["name"])[:_CUT], subject["key"], pattern, others, strict))
        current = {pod["metadata"]["name"] for pod in subject["pods"]}
        for pod in subject["all_pods"]:
            name = str(pod["metadata"]["name"])
            mine = name in current or bool(pattern.fullmatch(name) and subject["hash_in_names"])
            self._live[namespace, name] = Owner(subject["key"], mine, "" if mine else name.rpartition("-")[0])
            if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                self.started[namespace, name] = _started(pod)

    def of(self, namespace: str, pod: str) -> Owner | None:
        """Whose pod it is; None where it is nobody's, or could be of several."""
        key = namespace, pod
        if key not in self._known:
            self._known[key] = self._live.get(key) or self._by_name(namespace, pod)
        return self._known[key]

    def _by_name(self, namespace: str, pod: str) -> Owner | None:
        current: list[Owner] = []
        earlier: list[Owner] = []
        for stem, key, pattern, others, strict in self._rules.get(namespace, ()):
            if not pod.startswith(stem):
                continue
            if pattern.fullmatch(pod):
                current.append(Owner(key, True))
            elif others and others.fullmatch(pod) and (not strict or _made(pod)):
                earlier.append(Owner(key, False, pod.rpartition("-")[0]))
        found = current or earlier
        return found[0] if len(found) == 1 else None


def _hash(pattern: str) -> str:
    """The hash in the pattern of a Deployment's pods: web-5d4f8c-[a-z0-9]{5}."""
    return pattern.partition("[")[0].replace("\\", "").rstrip("-").rpartition("-")[2]


def _made(pod: str) -> bool:
    stem, _dash, suffix = pod.rpartition("-")
    return bool(_HASH.fullmatch(stem.rpartition("-")[2]) and _SUFFIX.fullmatch(suffix))


def _started(pod: Mapping[str, Any]) -> float:
    text = (pod.get("status") or {}).get("startTime") or pod["metadata"].get("creationTimestamp") or ""
    try:
        return clock.parse(text).timestamp()
    except ValueError:
        return 0.0
