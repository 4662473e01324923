# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What replicas cost, as an estimate with its assumptions. No price is invented: without prices there are vCPU and GiB only.

``prices(option, read)`` checks the option ``prices`` and gives a price list; ``estimate(...)`` the table; ``monthly(...)`` a function
replicas -> price per month for recommend.py. The option takes one of three forms, each with ``currency``, and optionally ``cpu_share`` (0
to 1, 0.5):

    {currency, vcpu_hour, gib_hour}                      a price per vCPU and per GiB and hour
    {currency, node_hour: number or {instance type or node name: number}}
    {currency, csv: file}                                OpenCost's columns, see pricelist.py

A month has 730 hours. Units: cores, bytes, hours. Raises BadInput, which names the option, file and line.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import pricelist
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import amount
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

Object = dict[str, Any]

HOURS = 730
GIB = 2**30
_NAMES = ("currency", "vcpu_hour", "gib_hour", "node_hour", "csv", "cpu_share")
_TYPE = "node.kubernetes.io/instance-type"


def prices(option: Mapping[str, Any] | None, read: Callable[[str], str] = pricelist.text_of) -> Object:
    """{kind: none|unit|node|csv, currency, cpu_share, vcpu_hour, gib_hour, node_hour, rows, source}. Raises BadInput."""
    given = {name: value for name, value in (option or {}).items() if value is not None}
    unknown = sorted(str(name) for name in given if name not in _NAMES)
    if unknown:
        raise BadInput(f"prices has no {plain(unknown[0])}.", f"It takes {', '.join(_NAMES)}.")
    share = pricelist.number(given.get("cpu_share", 0.5), "prices.cpu_share")
    if share > 1:
        raise BadInput(f"prices.cpu_share is {share:g}.", "Give the part of a node's price that is for its CPU, from 0 to 1.")
    currency = str(given.get("currency", "")).strip()
    base: Object = {
        "kind": "none",
        "currency": currency,
        "cpu_share": share,
        "vcpu_hour": None,
        "gib_hour": None,
        "node_hour": None,
        "rows": [],
        "source": "",
    }
    forms = [
        form
        for form, names in (("unit", ("vcpu_hour", "gib_hour")), ("node", ("node_hour",)), ("csv", ("csv",)))
        if any(name in given for name in names)
    ]
    if not forms:
        return base
    if len(forms) > 1:
        raise BadInput("prices names more than one of vcpu_hour with gib_hour, node_hour, and csv.", "Leave one of them.")
    if not currency.isalpha() or not 1 <= len(currency) <= 8:
        raise BadInput(
            f"prices.currency is {plain(repr(currency), 20)}.", "Say in which currency the prices are, for instance currency: EUR."
        )
    base.update(kind=forms[0], currency=currency.upper())
    return {**base, **_FORMS[forms[0]](given, base["currency"], read)}


def _unit(given: Mapping[str, Any], _currency: str, _read: Callable[[str], str]) -> Object:
    for name in ("vcpu_hour", "gib_hour"):
        if name not in given:
            raise BadInput(f"prices.{name} is missing.", "Give both vcpu_hour and gib_hour; 0 where it is not charged.")
    return {name: pricelist.number(given[name], f"prices.{name}") for name in ("vcpu_hour", "gib_hour")}


def _node(given: Mapping[str, Any], _currency: str, _read: Callable[[str], str]) -> Object:
    value = given["node_hour"]
    if isinstance(value, Mapping):
        if not value:
            raise BadInput("prices.node_hour is empty.", "Give a price, or {instance type: price}.")
        return {"node_hour": {str(name): pricelist.number(one, f"prices.node_hour.{plain(name)}") for name, one in value.items()}}
    return {"node_hour": pricelist.number(value, "prices.node_hour")}


def _csv(given: Mapping[str, Any], currency: str, read: Callable[[str], str]) -> Object:
    name = str(given["csv"])
    return {"rows": pricelist.rows(read(name), name, currency), "source": name}


_FORMS: dict[str, Callable[[Mapping[str, Any], str, Callable[[str], str]], Object]] = {"unit": _unit, "node": _node, "csv": _csv}


def estimate(
    listed: Mapping[str, Any],
    request: Mapping[str, float | None],
    counts: Mapping[str, int],
    nodes: Iterable[Object],
    placed: Mapping[str, int] | None = None,
) -> Object:
    """The cost of so many replicas. request: {cpu: cores, memory: bytes} of one pod; counts: {current, min, expected, max: replicas};
    placed: {node: pods}, where the replicas run or would run; without it, all nodes count alike.

    {currency, estimate: True, priced, rows[{what, replicas, vcpu, gib, per_hour, per_month}], per_pod_hour, sentence,
    assumptions[], unknown[]};
    prices are None where none are known.
    """
    cpu, memory = request.get("cpu"), request.get("memory")
    per_pod, assumptions, unknown = _per_pod(listed, cpu, memory, list(nodes), placed)
    rows = [
        {
            "what": what,
            "replicas": count,
            "vcpu": None if cpu is None else round(count * cpu, 3),
            "gib": None if memory is None else round(count * memory / GIB, 3),
            "per_hour": None if per_pod is None else round(count * per_pod, 4),
            "per_month": None if per_pod is None else round(count * per_pod * HOURS, 2),
        }
        for what, count in counts.items()
    ]
    assumptions = [
        "An estimate, not a bill.",
        "What pods request is what is paid for, used or not.",
        *(
            ["Nothing more is paid until a node is added: on nodes that are there already, it is a share of what is paid anyway."]
            if per_pod is not None
            else []
        ),
        *assumptions,
        f"A month has {HOURS} hours, at one number of replicas throughout; discounts, volumes, network and licences are not in it.",
    ]
    return {
        "currency": listed["currency"],
        "estimate": True,
        "priced": per_pod is not None,
        "rows": rows,
        "per_pod_hour": None if per_pod is None else round(per_pod, 6),
        "sentence": _sentence(rows, str(listed["currency"])),
        "assumptions": assumptions,
        "unknown": unknown,
    }


def monthly(
    listed: Mapping[str, Any], request: Mapping[str, float | None], nodes: Iterable[Object], placed: Mapping[str, int] | None = None
) -> Callable[[int], float | None]:
    """replicas -> price per month, None where no price is known."""
    per_pod = _per_pod(listed, request.get("cpu"), request.get("memory"), list(nodes), placed)[0]
    return lambda replicas: None if per_pod is None else replicas * per_pod * HOURS


def _per_pod(
    listed: Mapping[str, Any], cpu: float | None, memory: float | None, nodes: list[Object], placed: Mapping[str, int] | None
) -> tuple[float | None, list[str], list[str]]:
    """(price of one pod and hour, assumptions, what is not known)."""
    if listed["kind"] == "none":
        return None, ["No prices are configured, so there are vCPU and GiB only; the option prices takes them."], []
    missing = [name for name, value in (("cpu", cpu), ("memory", memory)) if value is None]
    unknown = [f"the {name} request of a pod, which is taken as nothing" for name in missing]
    cores, size = cpu or 0.0, memory or 0.0
    if listed["kind"] == "unit":
        each = f"{listed['vcpu_hour']:g} {listed['currency']} for a vCPU and {listed['gib_hour']:g} for a GiB an hour"
        return cores * listed["vcpu_hour"] + size / GIB * listed["gib_hour"], [f"Prices: {each}."], unknown
    weights = {str(name): count for name, count in (placed or {}).items() if count > 0}
    found: list[tuple[float, float]] = []  # (weight, price of a pod there)
    exact = True
    for node in nodes:
        name = str(node["metadata"]["name"])
        if weights and name not in weights:
            continue
        price, is_exact = _of_node(listed, node)
        share = _share(node, cores, size, listed["cpu_share"])
        if price is None or share is None:
            unknown.append(f"the {'price' if price is None else 'size'} of node {plain(name)}")
            continue
        exact = exact and is_exact
        found.append((float(weights.get(name, 1)), price * share))
    if not found:
        return None, [], [*unknown, "any node with a price"]
    total = sum(weight for weight, _price in found)
    mean, low, high = sum(weight * price for weight, price in found) / total, min(one[1] for one in found), max(one[1] for one in found)
    share = listed["cpu_share"]
    words = [
        (
            f"A node's price is split: {round(share * 100)} % for its CPU and {round(100 - share * 100)} % for its memory, and a pod pays"
            " for its part of what pods can have there."
        ),
        f"Prices of {len(found)} nodes"
        + (f", {low:.4f} to {high:.4f} {listed['currency']} a pod and hour; the mean is used." if high > low else "."),
        *([] if exact else ["Where the price list does not name a node, the price of its instance type counts."]),
    ]
    return mean, words, unknown


def _of_node(listed: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[float | None, bool]:
    """(price of a node and hour, whether the list names this very node)."""
    if listed["kind"] == "csv":
        return pricelist.match(listed["rows"], node)
    price = listed["node_hour"]
    if not isinstance(price, Mapping):
        return float(price), True
    name, kind = str(node["metadata"]["name"]), str((node["metadata"].get("labels") or {}).get(_TYPE, ""))
    return (price.get(name, price.get(kind)), name in price)


def _share(node: Mapping[str, Any], cores: float, size: float, cpu_share: float) -> float | None:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    try:
        whole_cpu, whole_memory = amount(allocatable["cpu"]), amount(allocatable["memory"])
    except (KeyError, ValueError):
        return None
    if whole_cpu <= 0 or whole_memory <= 0:
        return None
    return cpu_share * cores / whole_cpu + (1 - cpu_share) * size / whole_memory


def _sentence(rows: list[Object], currency: str) -> str:
    if not rows:
        return "Nothing to price."
    if rows[0]["per_month"] is None:
        parts = [
            f"{row['what']} {row['vcpu'] if row['vcpu'] is not None else '?'} vCPU, {row['gib'] if row['gib'] is not None else '?'} GiB"
            for row in rows
        ]
        return f"Requests, without prices: {'; '.join(parts)}."
    parts = [f"{row['what']} {row['per_month']:.2f}" for row in rows]
    return f"Estimate in {currency} a month: {', '.join(parts)}."
