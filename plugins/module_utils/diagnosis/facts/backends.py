# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What stands behind a Service: the pods it selects, or the workload that it evidently means and misses.

    backing(view, service) -> Backing(state, pods, workloads, meant)
    state: external | manual | serving | not-ready | no-pods | scaled-to-zero | mismatch | none

Pure functions over a View; nothing here raises.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.nearest import nearest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View

_ENOUGH = 0.6  # a workload with less in common is not the one that a Service means
_MARGIN = 0.15  # by which it must be ahead of the next one
_APP_KEYS = ("app", "app.kubernetes.io/name", "app.kubernetes.io/component", "k8s-app", "name", "run", "component", "service", "workload")
_CONTROLLERS = ("deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs")


class Template(NamedTuple):
    """A workload and the labels that its pods get."""

    workload: Object
    labels: Mapping[str, str]


class Backing(NamedTuple):
    """``pods``: what the selector finds and is alive; ``workloads``: theirs, or those that would make such pods;
    ``meant``: the workload that the selector misses."""

    state: str
    pods: list[Object]
    workloads: list[Object]
    meant: Template | None = None


def backing(view: View, service: Object) -> Backing:
    spec = service.get("spec") or {}
    namespace = service["metadata"]["namespace"]
    selector = spec.get("selector") or {}
    if spec.get("type") == "ExternalName":
        return Backing("external", [], [])
    if not selector:
        return Backing("manual", [], [])
    pods = [pod for pod in view.selected(namespace, selector) if is_alive(pod)]
    if pods:
        serving = spec.get("publishNotReadyAddresses") or any(map(is_ready, pods))
        return Backing("serving" if serving else "not-ready", pods, distinct(view.workload(pod) for pod in pods))
    known = templates(view, namespace)
    makers = [one.workload for one in known if selector.items() <= one.labels.items()]
    if makers:
        return Backing("scaled-to-zero" if all(map(is_off, makers)) else "no-pods", [], makers)
    meant = _meant(view, service, selector, known)
    if meant is None:
        return Backing("none", [], [])
    return Backing("scaled-to-zero" if is_off(meant.workload) else "mismatch", [], [meant.workload], meant)


def templates(view: View, namespace: str) -> list[Template]:
    """The workloads of a namespace that nothing owns, with their pods' labels; pods of unknown controllers stand for themselves."""
    found = []
    for name in _CONTROLLERS:
        for item in view.inside(name, namespace):
            if view.owner(item) is None:
                found.append(Template(item, pod_labels(item)))
    for pod in view.inside("pods", namespace):
        if view.owner(pod) is None and is_alive(pod):
            found.append(Template(pod, pod["metadata"].get("labels") or {}))
    return found


def pod_template(workload: Object) -> Object:
    """The pod template of a controller; a pod is its own."""
    if workload["kind"] == "Pod":
        return workload
    spec = workload.get("spec") or {}
    if workload["kind"] == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    template: Object = spec.get("template") or {}
    return template


def pod_labels(workload: Object) -> Mapping[str, str]:
    return (pod_template(workload).get("metadata") or {}).get("labels") or {}


def pod_containers(pod: Object) -> list[Object]:
    """The containers of a pod (or template) that run side by side: its own, and its native sidecars."""
    spec = pod.get("spec") or {}
    return [*(spec.get("containers") or []), *(one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always")]


def is_alive(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def is_off(workload: Object) -> bool:
    """Whether a workload is not meant to have pods now: scaled to zero, suspended, or finished."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    if workload["kind"] in ("Job", "CronJob"):
        return True  # its pods come and go
    if workload["kind"] == "DaemonSet":
        return status.get("desiredNumberScheduled") == 0
    return bool(workload["kind"] != "Pod" and spec.get("replicas", 1) == 0)


def distinct(items: Iterable[Object]) -> list[Object]:
    """Each object once, in order."""
    return list({item["metadata"]["uid"]: item for item in items}.values())


def named(item: Object) -> str:
    """``deployment/web``."""
    return f"{item['kind'].lower()}/{item['metadata']['name']}"


def written(labels: Mapping[str, Any]) -> str:
    """``app=web,tier=front``."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "none"


def corrected(selector: Mapping[str, str], meant: Template) -> dict[str, str]:
    """The selector that a Service should have: what it asks for, in the labels of the workload that it means."""
    labels = dict(meant.labels)
    fixed = {}
    for key, value in selector.items():
        if key in labels:
            fixed[key] = labels[key]
            continue
        same = [other for other in labels if labels[other] == value or likeness(key, other) >= 0.7]
        if len(same) == 1:
            fixed[same[0]] = labels[same[0]]
    own = ((meant.workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return fixed or dict(own) or labels


def likeness(one: str, other: str) -> float:
    """1 for the same word, 0.7 to 0.9 for a typo, less for a different number or a longer name, 0 for another word."""
    if one == other:
        return 1.0
    left, right = one.lower(), other.lower()
    if left == right or re.sub(r"[-_.]", "", left) == re.sub(r"[-_.]", "", right):
        return 0.9
    if re.sub(r"\d+", "#", left) == re.sub(r"\d+", "#", right):
        return 0.4  # web-1 and web-2 are two things
    shorter, longer = sorted((left, right), key=len)
    if longer.startswith((f"{shorter}-", f"{shorter}.")) or longer.endswith(f"-{shorter}"):
        return 0.3
    if len(left) == len(right) and sorted(left) == sorted(right) and sum(a != b for a, b in zip(left, right)) == 2:
        return 0.8  # two letters swapped
    if len(left) == len(right) >= 4 and left[0] == right[0] and sum(a != b for a, b in zip(left, right)) == 1:
        return 0.7  # one letter is another one
    ratio = difflib.SequenceMatcher(None, left, right).ratio()
    if len(longer) - len(shorter) == 1 and len(longer) >= 3 and 2 * len(shorter) / (len(left) + len(right)) == ratio:
        return 0.8  # one letter more or less
    return 0.7 if ratio >= 0.8 and len(shorter) >= 4 else 0.0


def nearby(name: str, known: Sequence[str]) -> str:
    """The known name that a name was meant to be, swapped letters included; empty where none is near, or several are."""
    near = [one for one in set(known) if one != name and likeness(name, one) >= 0.7]
    return near[0] if len(near) == 1 else nearest(name, near or known)


def _meant(view: View, service: Object, selector: Mapping[str, str], known: list[Template]) -> Template | None:
    ranked = sorted(((_score(view, service, selector, one), at) for at, one in enumerate(known)), key=lambda pair: (-pair[0], pair[1]))
    if not ranked or ranked[0][0] < _ENOUGH:
        return None
    if len(ranked) > 1 and ranked[0][0] - ranked[1][0] < _MARGIN:
        return None
    return known[ranked[0][1]]


def _score(view: View, service: Object, selector: Mapping[str, str], one: Template) -> float:
    name, workload = service["metadata"]["name"], one.workload["metadata"]["name"]
    if one.workload["kind"] in ("Job", "CronJob") or not one.labels:
        return 0.0
    words = [one.labels[key] for key in _APP_KEYS if key in one.labels]
    if any(
        _is_part(value, name) and not _is_part(value, workload) and value not in words
        for key, value in selector.items()
        if one.labels.get(key) != value and likeness(value, one.labels.get(key, "")) < 0.7
    ):
        return 0.0  # web-canary with track=canary does not mean web: what it means is not there
    alike = sum(_pair(key, value, one.labels) for key, value in selector.items()) / len(selector)
    same = 0.6 if name == workload or name in words else 0.25 if max(likeness(name, word) for word in (workload, *words)) >= 0.3 else 0.0
    if same < 0.6 and alike < 0.7 and _is_served(view, service, one):
        return 0.0
    return alike + same + (0.15 if _ports(service) & _declared(one.workload) else 0.0)


def is_variant(view: View, service: Object) -> bool:
    """Whether a Service is for a variant (canary, blue) of a workload that is there: what its selector adds stands in its own name."""
    name, selector = service["metadata"]["name"], service["spec"]["selector"]
    for one in templates(view, service["metadata"]["namespace"]):
        extra = [value for key, value in selector.items() if one.labels.get(key) != value]
        if len(extra) < len(selector) and all(
            _is_part(value, name) and not _is_part(value, one.workload["metadata"]["name"]) for value in extra
        ):
            return True
    return False


def _pair(key: str, value: str, labels: Mapping[str, str]) -> float:
    """How well one requirement of a selector fits labels: 1 where it holds."""
    if key in labels:
        return likeness(value, labels[key])
    best = 0.0
    for other, has in labels.items():
        related = likeness(key, other) >= 0.7 or (key in _APP_KEYS and other in _APP_KEYS)
        best = max(best, likeness(value, has) * (0.8 if related else 0.5 if has == value else 0.0))
    return best


def _is_part(word: str, name: str) -> bool:
    return word in re.split(r"[-_.]", name) or name.endswith(f"-{word}")


def _is_served(view: View, service: Object, one: Template) -> bool:
    """Whether another Service selects the workload already."""
    return any(
        other["spec"].get("selector") and other["spec"]["selector"].items() <= one.labels.items()
        for other in view.inside("services", service["metadata"]["namespace"])
        if other is not service
    )


def _ports(service: Object) -> set[Any]:
    return {port.get("targetPort") or port.get("port") for port in service["spec"].get("ports") or []}


def _declared(workload: Object) -> set[Any]:
    ports = [port for container in pod_containers(pod_template(workload)) for port in container.get("ports") or []]
    return {port.get("containerPort") for port in ports} | {port["name"] for port in ports if port.get("name")}
