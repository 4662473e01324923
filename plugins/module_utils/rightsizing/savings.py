# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What changed requests save: requests, money by the cost model of scaling, and the nodes that could really go. Pure.

``of(changes, objects, prices, nodes)``: changes = [{subject, recommendation, replicas}]; objects are the lists of the whole cluster; prices
is the option (see capacity/cost.py), or what cost.prices made of it. nodes False: which nodes could go is not worked out; that takes
about a second on a thousand nodes, too long for each row of a list.

    {requested{cpu[before, after], memory[before, after]}  cores and bytes over all replicas
     percent{cpu, memory}                                   the change: -40.0 is 40 % less; None where nothing was requested before
     money{currency, per_month[before, after], saved_month, nodes_month} or None    nodes_month: the price of the nodes that could go
     nodes{now, needed_before, needed_after, could_go[], sentence}
     sentences[], assumptions[], unknown[]}

``after(before, now, changes)`` compares what was predicted with what the live pods request. Raises BadInput for wrong prices.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import cost
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import pods_of
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import Object, Objects, load_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import podsize
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.packing import Packing

RESOURCES = ("cpu", "memory")
_NEEDED = ("nodes", "pods")
# what decides where pods may be; of these a snapshot may hold one namespace only
_DECIDING = ("poddisruptionbudgets", "persistentvolumeclaims", "persistentvolumes", "namespaces")
_NOTHING = "0 nodes can go: what is saved is requests, not money, until something else uses the room."
_PACKED = (
    "Nodes: each is emptied in thought, the least used first, its pods moved to the fullest nodes that take them under the scheduler's"
    " rules. A node stays where it belongs to the control plane, is not Ready, or has a pod without a controller, with data on the node,"
    " with a claim that others share, or that no PodDisruptionBudget lets go now. Nodes are filled to the brim: what a rollout or the loss"
    " of a node needs has to be kept free besides."
    " Budgets and claims count as far as they were read: a snapshot of one namespace knows only its own."
)


class Size(NamedTuple):
    """What one pod of a change requests, before and after; and how many there are."""

    before: dict[str, float]
    after: dict[str, float]
    replicas: int


def of(changes: Sequence[Mapping[str, Any]], objects: Objects, prices: Mapping[str, Any] | None, nodes: bool = True) -> dict[str, Any]:
    """See the module's description."""
    sizes = [_size(change, objects) for change in changes]
    requested = _requested(sizes)
    found, assumptions, unknown = (
        _nodes(changes, objects) if nodes else _not_worked_out(objects, "Which nodes could go was not worked out.")
    )
    listed = prices if prices and "kind" in prices else cost.prices(prices)
    money, words, missing = _money(changes, sizes, objects, listed, found["could_go"])
    sentences = [_said(len(changes), requested), found["sentence"]]
    if money:
        sentences.insert(1, _priced(money))
    return {
        "requested": requested,
        "percent": {name: _percent(*pair) for name, pair in requested.items()},
        "money": money,
        "nodes": found,
        "sentences": sentences,
        "assumptions": [*words, *assumptions],
        "unknown": [*missing, *unknown],
    }


def _size(change: Mapping[str, Any], objects: Objects) -> Size:
    subject = change["subject"]
    pod = podsize.stored(subject, change["recommendation"]["resources"], objects)[0]
    pairs = (fit.requests(podsize.present(subject)), fit.requests(pod))
    before, after = ({name: one.get(name, 0.0) for name in RESOURCES} for one in pairs)
    return Size(before, after, int(change["replicas"]))


def _requested(sizes: Iterable[Size]) -> dict[str, list[float]]:
    known = list(sizes)
    return {
        name: [
            round(sum(one.replicas * one.before[name] for one in known), 6),
            round(sum(one.replicas * one.after[name] for one in known), 6),
        ]
        for name in RESOURCES
    }


def _percent(before: float, after: float) -> float | None:
    return round((after - before) / before * 100, 1) if before else None


# --- money


def _money(
    changes: Sequence[Mapping[str, Any]], sizes: list[Size], objects: Objects, listed: Mapping[str, Any], could_go: list[str]
) -> tuple[dict[str, Any] | None, list[str], list[str]]:
    """(the estimate, its assumptions, what is not known)."""
    nodes = {one["metadata"]["name"]: one for one in objects.get("nodes") or []}
    totals, words, missing = [0.0, 0.0], dict[str, None](), dict[str, None]()
    priced = listed["kind"] != "none" and bool(sizes)
    for change, size in zip(changes, sizes):
        placed = Counter(str(pod["spec"]["nodeName"]) for pod in change["subject"]["all_pods"] if pod["spec"].get("nodeName"))
        there = [nodes[name] for name in placed if name in nodes] or list(nodes.values())
        for index, request in enumerate((size.before, size.after)):
            table = cost.estimate(listed, request, {"": size.replicas}, there, placed)
            words.update(dict.fromkeys(table["assumptions"]))
            missing.update(dict.fromkeys(table["unknown"]))
            price = table["rows"][0]["per_month"]
            priced = priced and price is not None
            totals[index] += price or 0.0
    if not priced:
        return None, list(words), list(missing)
    return (
        {
            "currency": listed["currency"],
            "per_month": [round(one, 2) for one in totals],
            "saved_month": round(totals[0] - totals[1], 2),
            "nodes_month": _of_nodes(listed, [nodes[name] for name in could_go]),
        },
        list(words),
        list(missing),
    )


def _of_nodes(listed: Mapping[str, Any], nodes: list[Object]) -> float | None:
    """The price of whole nodes a month; None where one has none."""
    total = 0.0
    for node in nodes:
        size = (node.get("status") or {}).get("allocatable") or {}
        price = cost.monthly(listed, {name: fit.size(size.get(name)) for name in RESOURCES}, [node])(1)
        if price is None:
            return None
        total += price
    return round(total, 2)


def _priced(money: Mapping[str, Any]) -> str:
    before, after = money["per_month"]
    words = f"{money['saved_month']:.2f} less" if money["saved_month"] >= 0 else f"{-money['saved_month']:.2f} more"
    return f"Estimate of the requests' price in {money['currency']} a month: {before:.2f} before, {after:.2f} after, {words}."


# --- nodes


def _nodes(changes: Sequence[Mapping[str, Any]], objects: Objects) -> tuple[dict[str, Any], list[str], list[str]]:
    lacking = [name for name in _NEEDED if name not in objects]
    if lacking:
        return _not_worked_out(objects, f"Which nodes could go is not known: the list of {fit.listed(lacking)} could not be read.")
    loads = {
        (pod["metadata"].get("namespace", ""), pod["metadata"]["name"]): load_of(
            podsize.stored(change["subject"], change["recommendation"]["resources"], objects, pod)[0]
        )
        for change in changes
        for pod in change["subject"]["all_pods"]
    }
    packing = Packing(objects)
    now = packing.left
    before = packing.empty()
    needed = packing.left
    if packing.grows(loads):
        packing = Packing(objects)
        packing.resize(loads)
        could_go = [name for name in packing.empty(before) if name not in before]
    else:  # what fitted before still fits: go on from there
        packing.resize(loads)
        could_go = packing.empty()
    homeless = packing.homeless
    nodes = {"now": now, "needed_before": needed, "needed_after": packing.left, "could_go": sorted(could_go)}
    sentence = _went(nodes, len(before))
    unknown = [
        f"The list of {name} could not be read: what it says about moving pods is not counted." for name in _DECIDING if name not in objects
    ]
    if homeless:
        unknown.append(f"{fit.listed(homeless)} find no node of their own size in this packing.")
    return {**nodes, "sentence": sentence}, [_PACKED], unknown


def _not_worked_out(objects: Objects, sentence: str) -> tuple[dict[str, Any], list[str], list[str]]:
    count = len(objects["nodes"]) if "nodes" in objects else None
    return {"now": count, "needed_before": None, "needed_after": None, "could_go": [], "sentence": sentence}, [], [sentence]


def _went(nodes: Mapping[str, Any], already: int) -> str:
    names, more = nodes["could_go"], nodes["needed_after"] - nodes["needed_before"]
    idle = f" {already} of {nodes['now']} could go already without this change." if already else ""
    if more > 0:
        return (
            f"{more} {_word(more)} more {'is' if more == 1 else 'are'} needed after the change: {nodes['needed_after']} of"
            f" {nodes['now']}.{idle}"
        )
    if not names or not more:
        return _NOTHING + idle
    return (
        f"{len(names)} {_word(len(names))} could go after the change and not before ({fit.listed(names, 10)}): {nodes['needed_after']} of"
        f" {nodes['now']} are needed then, {nodes['needed_before']} now. Money is saved once they are really taken away.{idle}"
    )


def _word(count: int) -> str:
    return "node" if count == 1 else "nodes"


def _text(resource: str, value: float) -> str:
    """Sums in cores (3932.7), other amounts as they are written."""
    return f"{value:.3f}".rstrip("0").rstrip(".") if resource == "cpu" else fit.text(resource, round(value))


def _said(count: int, requested: Mapping[str, list[float]]) -> str:
    parts = []
    for name, (before, after) in requested.items():
        percent = _percent(before, after)
        pair = f"{_text(name, before)} -> {_text(name, after)}" if before else f"nothing -> {_text(name, after)}"
        parts.append(f"{name} {pair}" + (f" ({percent:+.1f} %)" if percent is not None else ""))
    return f"Requested by {count} {'workload' if count == 1 else 'workloads'} over all replicas: {', '.join(parts)}."


# --- when the watch is over


def after(before: Objects, now: Objects, changes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the live pods of the changed workloads request, beside what was predicted for as many of them.

    {workloads[{key, pods[before, now], cpu[before, predicted, now], memory[...], as_predicted}], requested{cpu[before, predicted, now],
    memory[...]}, as_predicted, sentences[]}
    """
    rows = [_compared(change, before, now) for change in changes]
    totals = {name: [round(sum(row[name][index] for row in rows), 6) for index in range(3)] for name in RESOURCES}
    sentences = [_met(totals, all(row["as_predicted"] for row in rows))]
    sentences += [_differs(row) for row in rows if not row["as_predicted"]]
    sentences += [
        f"{row['key']} has {row['pods'][1]} pods now, {row['pods'][0]} before: the prediction is counted for {row['pods'][1]}."
        for row in rows
        if row["pods"][0] != row["pods"][1]
    ]
    return {"workloads": rows, "requested": totals, "as_predicted": all(row["as_predicted"] for row in rows), "sentences": sentences}


def _compared(change: Mapping[str, Any], before: Objects, now: Objects) -> dict[str, Any]:
    subject = change["subject"]
    size = _size(change, before)
    was, live = pods_of(subject["workload"], before), pods_of(subject["workload"], now)
    row: dict[str, Any] = {"key": subject["key"], "pods": [len(was), len(live)]}
    for name in RESOURCES:
        sums = [sum(fit.requests(pod).get(name, 0.0) for pod in pods) for pods in (was, live)]
        row[name] = [round(one, 6) for one in (sums[0], size.after[name] * len(live), sums[1])]
    row["as_predicted"] = bool(live) and all(abs(row[name][1] - row[name][2]) <= 1e-6 * max(1.0, row[name][1]) for name in RESOURCES)
    return row


def _met(totals: Mapping[str, list[float]], met: bool) -> str:
    parts = [
        f"{name} {_text(name, was)} before, {_text(name, predicted)} predicted, {_text(name, live)} now"
        for name, (was, predicted, live) in totals.items()
    ]
    return f"Requests of the live pods {'are as predicted' if met else 'are not as predicted'}: {'; '.join(parts)}."


def _differs(row: Mapping[str, Any]) -> str:
    if not row["pods"][1]:
        return f"{row['key']} has no pods now."
    name = next(one for one in RESOURCES if abs(row[one][1] - row[one][2]) > 1e-6 * max(1.0, row[one][1]))
    return f"{row['key']} requests {_text(name, row[name][2])} {name} now, {_text(name, row[name][1])} was predicted."
