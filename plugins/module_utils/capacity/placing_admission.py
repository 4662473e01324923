# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the API server does with a pod before the scheduler sees it: LimitRange defaults and limits, ResourceQuota.

``admitted(pod, objects)`` is the pod as it would be stored, and why it would be refused. ``room`` is how many of it the quotas let in.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import Object, Objects
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit

_KINDS = ("containers", "initContainers")
MUST_ASK = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
_OF_PODS = ("pods", "count/pods")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"


class Room(NamedTuple):
    """How many more pods a quota lets in (None: no quota says), and the words for it."""

    fits: int | None
    sentence: str


def inside(objects: Objects, name: str, namespace: str) -> list[Object]:
    return [one for one in objects.get(name) or [] if one["metadata"].get("namespace", "") == namespace]


# --- LimitRange


def admitted(pod: Object, objects: Objects) -> tuple[Object, str]:
    """(the pod with its defaults, why it is refused; empty where it is not)."""
    ranges = inside(objects, "limitranges", pod["metadata"].get("namespace", ""))
    spec = dict(pod["spec"])
    for kind in _KINDS:
        if spec.get(kind):
            spec[kind] = [_defaulted(one, ranges) for one in spec[kind]]
    whole = {**pod, "spec": spec}
    too_much = (
        f"container {one['name']} would ask for more {name} than its limit"
        for one in containers(whole)
        for name, text in one["resources"]["requests"].items()
        if name in one["resources"]["limits"] and fit.size(text) > fit.size(one["resources"]["limits"][name])
    )
    broken = (text for one in ranges for text in _broken(one, whole))
    return whole, next((text for text in (*broken, *too_much)), "")


def containers(pod: Object) -> list[Object]:
    return [one for kind in _KINDS for one in pod["spec"].get(kind) or []]


def _defaulted(container: Object, ranges: Iterable[Object]) -> Object:
    given = container.get("resources") or {}
    limits = dict(given.get("limits") or {})
    requests = {**limits, **(given.get("requests") or {})}
    for item in (item for one in ranges for item in one["spec"].get("limits") or [] if item.get("type") == "Container"):
        limits = {**(item.get("default") or {}), **limits}
        requests = {**(item.get("defaultRequest") or {}), **requests}
    return {**container, "resources": {**given, "limits": limits, "requests": requests}}


def _broken(limit_range: Object, pod: Object) -> list[str]:
    """Sentences of what a pod does against a LimitRange."""
    found, name = [], limit_range["metadata"]["name"]
    for item in limit_range["spec"].get("limits") or []:
        for who, requests, limits in _measured(item.get("type", ""), pod):
            for check, word in _CHECKS:
                for resource, bound in (item.get(word) or {}).items():
                    asked, limit = requests.get(resource), limits.get(resource)
                    if not check(asked, limit, fit.size(bound)):
                        found.append(
                            f"LimitRange {name} wants {_WORDS[word]} {bound} of {resource} for {who}; it asks for {_shown(resource, asked)}"
                            f" and has the limit {_shown(resource, limit)}"
                        )
    return found


def _measured(kind: str, pod: Object) -> list[tuple[str, Mapping[str, float], Mapping[str, float]]]:
    if kind == "Container":
        return [
            (
                f"container {one['name']}",
                {name: fit.size(text) for name, text in one["resources"]["requests"].items()},
                {name: fit.size(text) for name, text in one["resources"]["limits"].items()},
            )
            for one in containers(pod)
        ]
    plain = {**pod, "spec": {name: part for name, part in pod["spec"].items() if name != "overhead"}}
    return [("the whole pod", fit.requests(plain), limits_of(plain))] if kind == "Pod" else []


def limits_of(pod: Object) -> dict[str, float]:
    """What a pod's containers may use at most, together: counted as requests are."""
    spec = {**pod["spec"], "overhead": None}
    if spec.get("resources"):
        spec["resources"] = {"requests": spec["resources"].get("limits") or {}}
    for kind in _KINDS:
        if spec.get(kind):
            spec[kind] = [{**one, "resources": {"requests": (one.get("resources") or {}).get("limits") or {}}} for one in spec[kind]]
    found: dict[str, float] = fit.requests({**pod, "spec": spec})
    for name, text in (pod["spec"].get("overhead") or {}).items():
        if name in found:
            found[name] += fit.size(text)
    return found


def _at_least(asked: float | None, limit: float | None, bound: float) -> bool:
    return asked is not None and asked >= bound and (limit is None or limit >= bound)


def _at_most(asked: float | None, limit: float | None, bound: float) -> bool:
    return limit is not None and limit <= bound and (asked is None or asked <= bound)


def _ratio(asked: float | None, limit: float | None, bound: float) -> bool:
    return bool(asked) and bool(limit) and float(limit or 0) / float(asked or 1) <= bound


_CHECKS: tuple[tuple[Callable[[float | None, float | None, float], bool], str], ...] = (
    (_at_least, "min"),
    (_at_most, "max"),
    (_ratio, "maxLimitRequestRatio"),
)
_WORDS = {"min": "at least", "max": "at most", "maxLimitRequestRatio": "a limit of at most so many times the request:"}


def _shown(resource: str, value: float | None) -> str:
    return "nothing" if value is None else fit.text(resource, value)


# --- ResourceQuota


def room(pod: Object, objects: Objects, claims: list[Object], count: int) -> Room:
    """How many more of the pod the quotas of its namespace let in; ``claims`` are those that ``count`` replicas have to make."""
    quotas = inside(objects, "resourcequotas", pod["metadata"].get("namespace", ""))
    rooms = [one for one in (_room(quota, pod, objects, claims, count) for quota in quotas) if one is not None]
    limited = [one for one in rooms if one.fits is not None]
    if limited:
        return min(limited, key=lambda one: one.fits or 0)
    return Room(None, "No ResourceQuota limits this pod." if quotas else "The namespace has no ResourceQuota.")


def _room(quota: Object, pod: Object, objects: Objects, claims: list[Object], count: int) -> Room | None:
    hard = (quota.get("status") or {}).get("hard") or quota["spec"].get("hard") or {}
    used = (quota.get("status") or {}).get("used") or {}
    name = quota["metadata"]["name"]
    costs = _of_claims(claims, count, objects)
    if takes(quota, pod):
        lacking = sorted(
            {key for key in hard if key in MUST_ASK for one in containers(pod) if key not in counted(one["resources"])}
            if not pod["spec"].get("resources")
            else ()
        )
        if lacking:
            return Room(0, f"ResourceQuota {name} counts {', '.join(lacking)}, and not every container says how much it wants of it.")
        costs.update(of_pod(pod))
    least: Room | None = None
    for key in sorted(hard):
        cost = costs.get(key, 0.0)
        if cost <= 0:
            continue
        left = fit.size(hard[key]) - fit.size(used.get(key))
        fits = max(0, int(round(left / cost, 6)))
        if least is None or fits < (least.fits or 0):
            resource = key.removeprefix("requests.").removeprefix("limits.")
            least = Room(
                fits,
                f"ResourceQuota {name} has {fit.text(resource, max(0.0, left))} of {fit.text(resource, fit.size(hard[key]))} {key} left,"
                f" and each replica takes {fit.text(resource, cost)}: {fits} more.",
            )
    return least


def counted(resources: Mapping[str, Any]) -> set[str]:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    return {*requests, *(f"requests.{name}" for name in requests), *(f"limits.{name}" for name in limits)}


def of_pod(pod: Object) -> dict[str, float]:
    """Quota key -> what one pod uses of it."""
    costs: dict[str, float] = {key: 1.0 for key in _OF_PODS}
    for name, value in fit.requests(pod).items():
        costs[f"requests.{name}"] = value
        if name in _COMPUTE or name.startswith("hugepages-"):
            costs[name] = value
    costs.update({f"limits.{name}": value for name, value in limits_of(pod).items()})
    return costs


def _of_claims(claims: list[Object], count: int, objects: Objects) -> dict[str, float]:
    """Quota key -> what the new claims of one replica use of it."""
    each = claims[: max(1, len(claims) // count)] if claims and count else []
    costs: dict[str, float] = {}
    default = next(
        (
            one["metadata"]["name"]
            for one in objects.get("storageclasses") or []
            if (one["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true"
        ),
        "",
    )
    for claim in each:
        asked = fit.size(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage"))
        prefix = (claim["spec"].get("storageClassName") or default) + _CLASS_SUFFIX
        for key, value in (("persistentvolumeclaims", 1.0), ("requests.storage", asked)):
            for name in (key, prefix + key):
                costs[name] = costs.get(name, 0.0) + value
        costs["count/persistentvolumeclaims"] = costs.get("count/persistentvolumeclaims", 0.0) + 1
    return costs


def takes(quota: Object, pod: Object) -> bool:
    """Whether a quota's scopes take the pod."""
    scopes = [{"scopeName": name, "operator": "Exists"} for name in quota["spec"].get("scopes") or []]
    scopes += (quota["spec"].get("scopeSelector") or {}).get("matchExpressions") or []
    return all(_in_scope(one, pod) for one in scopes)


def _in_scope(scope: Mapping[str, Any], pod: Object) -> bool:
    spec = pod["spec"]
    given = any(
        value for one in containers(pod) for part in ("requests", "limits") for value in (one["resources"].get(part) or {}).values()
    )
    given = given or bool(spec.get("resources"))
    facts: dict[str, bool] = {
        "Terminating": spec.get("activeDeadlineSeconds") is not None,
        "NotTerminating": spec.get("activeDeadlineSeconds") is None,
        "BestEffort": not given,
        "NotBestEffort": given,
        "CrossNamespacePodAffinity": _looks_across(spec.get("affinity") or {}),
    }
    name = scope["scopeName"]
    if name == "PriorityClass":
        named = {"PriorityClass": spec["priorityClassName"]} if spec.get("priorityClassName") else {}
        return bool(fit.holds(("PriorityClass", scope["operator"], tuple(scope.get("values") or ())), named))
    return facts.get(name, True)


def _looks_across(affinity: Mapping[str, Any]) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        for terms in (affinity.get(kind) or {}).values():
            for one in terms:
                term = one.get("podAffinityTerm", one)
                if term.get("namespaces") or term.get("namespaceSelector") is not None:
                    return True
    return False
