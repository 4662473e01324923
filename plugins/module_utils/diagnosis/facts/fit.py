# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Does a node take a pod? The scheduler's own questions: labels, taints, requests against what is free. Plain API objects in.

Amounts are cores, bytes, or whole devices. A quantity that cannot be read counts as nothing.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from itertools import islice
from typing import Any, Callable, Iterable, Mapping
from weakref import WeakKeyDictionary

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import amount
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View

Amounts = dict[str, float]
_BYTES = ("memory", "ephemeral-storage", "storage", "hugepages-")
_UNITS = (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))


def size(quantity: Any) -> float:
    """A quantity as a number; 0 where there is none or it is no quantity."""
    return _size(str(quantity)) if quantity not in (None, "") else 0.0


@lru_cache(maxsize=4096)  # ten thousand pods ask for a few dozen different amounts
def _size(quantity: str) -> float:
    try:
        return amount(quantity)
    except ValueError:
        return 0.0


def text(resource: str, value: float) -> str:
    """An amount as people write it: 1500m, 2, 9000Gi, 23.5Gi."""
    if not any(one in resource for one in _BYTES):
        return f"{value:.0f}" if value == int(value) else f"{round(value * 1000)}m"
    fitting = [(unit, factor) for unit, factor in _UNITS if value >= factor]
    exact = next(((unit, factor) for unit, factor in fitting if value % factor == 0 and value / factor < 10000), None)
    unit, factor = exact or (fitting[0] if fitting else ("", 1))
    return f"{value / factor:.1f}".removesuffix(".0") + unit


def requests(pod: Object) -> Amounts:
    """What the scheduler reserves for a pod: its containers and sidecars together, or its greediest init container, and its overhead."""
    spec = pod["spec"]
    main: Amounts = defaultdict(float)
    peak: Amounts = defaultdict(float)
    sidecars: Amounts = defaultdict(float)
    for container in spec.get("initContainers") or []:
        for resource, value in _asked(container).items():
            if container.get("restartPolicy") == "Always":
                sidecars[resource] += value
                peak[resource] = max(peak[resource], sidecars[resource])
            else:
                peak[resource] = max(peak[resource], sidecars[resource] + value)
    for container in spec.get("containers") or []:
        for resource, value in _asked(container).items():
            main[resource] += value
    total = {name: max(main[name] + sidecars[name], peak[name]) for name in {*main, *sidecars, *peak}}
    total.update(_asked(spec))  # requests of the pod as a whole win
    for resource, quantity in (spec.get("overhead") or {}).items():
        total[resource] = total.get(resource, 0.0) + size(quantity)
    return {name: value for name, value in total.items() if value}


def _asked(holder: Mapping[str, Any]) -> Amounts:
    resources = holder.get("resources") or {}
    return {name: size(quantity) for name, quantity in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items()}


def allocatable(node: Object, resource: str) -> float:
    return size((node.get("status", {}).get("allocatable") or {}).get(resource))


class Usage:
    """What the pods of a snapshot hold of its nodes; worked out once per snapshot, since every waiting pod asks."""

    def __init__(self, view: View) -> None:
        self.everywhere = not view.namespace and len({pod["metadata"].get("namespace") for pod in view.objects["pods"]}) > 1
        self.held: dict[str, list[tuple[Object, Amounts]]] = defaultdict(list)
        self.totals: dict[str, Amounts] = defaultdict(lambda: defaultdict(float))
        for pod in view.objects["pods"]:
            name = pod["spec"].get("nodeName")
            if name and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
                amounts = {**requests(pod), "pods": 1.0}
                self.held[name].append((pod, amounts))
                for resource, value in amounts.items():
                    self.totals[name][resource] += value
        self.ranked: dict[str, list[tuple[float, str]]] = {}


_usages: WeakKeyDictionary[View, Usage] = WeakKeyDictionary()


def usage(view: View) -> Usage:
    if view not in _usages:
        _usages[view] = Usage(view)
    return _usages[view]


def sees_all_pods(view: View) -> bool:
    """Whether the snapshot holds the pods of the whole cluster; what is free on a node can only be said then."""
    return usage(view).everywhere


def reserved(view: View, node: str) -> list[tuple[Object, Amounts]]:
    """The pods that hold a share of a node, with what each of them holds (``pods``: 1)."""
    return usage(view).held.get(node, [])


def free(view: View, node: Object, resource: str) -> float:
    totals = usage(view).totals.get(node["metadata"]["name"], {})
    return allocatable(node, resource) - totals.get(resource, 0.0)


def emptiest(view: View, nodes: Iterable[Object], resource: str, most: int = 2) -> list[tuple[str, float]]:
    """(name, what is free) of the nodes with most of a resource left."""
    known = usage(view)
    if resource not in known.ranked:
        known.ranked[resource] = sorted((-free(view, node, resource), node["metadata"]["name"]) for node in view.objects.get("nodes", []))
    names = {node["metadata"]["name"] for node in nodes}
    return [(name, -left) for left, name in islice((one for one in known.ranked[resource] if one[1] in names), most)]


def is_cordoned(node: Object) -> bool:
    return bool(node.get("spec", {}).get("unschedulable"))


def untolerated(pod: Object, node: Object) -> list[Object]:
    """The taints of a node that keep a pod away."""
    taints = node.get("spec", {}).get("taints")
    if not taints:
        return []
    tolerations = pod["spec"].get("tolerations") or []
    return [
        taint
        for taint in taints
        if taint.get("effect") in ("NoSchedule", "NoExecute")
        and not any(_tolerates(one, taint) for one in tolerations)
        and not (taint["key"] == "node.kubernetes.io/unschedulable" and is_cordoned(node))
    ]


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def taint_text(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint.get('effect')}"


Expression = tuple[str, str, tuple[str, ...]]  # key, operator, values


def node_terms(pod: Object) -> list[list[Expression]]:
    """What a pod asks of its node's labels: alternatives, each a list of conditions that all must hold. Empty: nothing."""
    pairs: list[Expression] = [(key, "In", (str(value),)) for key, value in (pod["spec"].get("nodeSelector") or {}).items()]
    needed = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = [
        [
            *((one["key"], one["operator"], tuple(one.get("values") or ())) for one in term.get("matchExpressions") or []),
            *((one["key"], one["operator"], tuple(one.get("values") or ())) for one in term.get("matchFields") or []),
        ]
        for term in needed.get("nodeSelectorTerms") or []
    ]
    return [pairs + term for term in terms] or ([pairs] if pairs else [])


def labels_of(node: Object) -> dict[str, str]:
    """Labels, and the one field that matchFields knows."""
    return {**(node["metadata"].get("labels") or {}), "metadata.name": node["metadata"]["name"]}


def holds(expression: Expression, labels: Mapping[str, str]) -> bool:
    """Whether labels meet one condition of a selector."""
    key, operator, values = expression
    value = labels.get(key)
    checks: dict[str, Callable[[], bool]] = {
        "In": lambda: value in values,
        "NotIn": lambda: value not in values,
        "Exists": lambda: value is not None,
        "DoesNotExist": lambda: value is None,
        "Gt": lambda: value is not None and size(value) > size(values[0]),
        "Lt": lambda: value is not None and size(value) < size(values[0]),
    }
    return checks[operator]() if operator in checks else False


def wanted(pod: Object, nodes: Iterable[Object]) -> list[Object]:
    """The nodes that have the labels that a pod asks for."""
    terms = node_terms(pod)
    return [node for node in nodes if not terms or any(all(holds(one, labels_of(node)) for one in term) for term in terms)]


def expression_text(expression: Expression) -> str:
    key, operator, values = expression
    words = {"In": "in", "NotIn": "not in", "Gt": ">", "Lt": "<"}
    if operator == "In" and len(values) == 1:
        return f"{key}={values[0]}"
    if operator in words:
        return f"{key} {words[operator]} ({', '.join(values)})"
    return f"{key} {'is set' if operator == 'Exists' else 'is not set'}"


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) takes labels; none takes nothing, an empty one everything."""
    if selector is None:
        return False
    pairs = (selector.get("matchLabels") or {}).items()
    expressions = ((one["key"], one["operator"], tuple(one.get("values") or ())) for one in selector.get("matchExpressions") or [])
    return all(labels.get(key) == value for key, value in pairs) and all(holds(one, labels) for one in expressions)


def selector_text(selector: Mapping[str, Any] | None) -> str:
    selector = selector or {}
    pairs = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    expressions = [
        expression_text((one["key"], one["operator"], tuple(one.get("values") or ()))) for one in selector.get("matchExpressions") or []
    ]
    return ", ".join([*pairs, *expressions]) or "any label"


def listed(names: Iterable[str], most: int = 3) -> str:
    """``a, b, c and 4 more``."""
    known = list(dict.fromkeys(names))
    rest = len(known) - most
    return ", ".join(known[:most]) + (f" and {rest} more" if rest > 0 else "")
