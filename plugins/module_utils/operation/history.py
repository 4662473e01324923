# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What earlier operations say about a finding: is it on record already, was this change tried before, how long do repairs take.

An entry is one record as plain data:
    id, workflow, state, cluster{uid, server}, target{kind, namespace, name}, digest, reason
    findings[[code, container, object (where it is not the target)]], codes[], containers[]
    advice (it has no plan), summary, remedy (name), fingerprint, basis, undoes (digest of the plan that it undoes)
    applied (the change was made), failed (it was made, and its check failed), undo_needed
    since (when the failure was first visible), created, decided, repaired (its checks passed), ended (it came to its state), expires, watch_until
Times are stamps, "" where they do not apply; a history is a list of entries, oldest first.

Chains are not verified here, which makes a thousand records cost a tenth of a second, and a record that cannot be read is left out:
a history only informs. At worst a forged line hides a proposal or lists a remedy as tried; it never approves or changes anything. Whoever
goes on with a record loads it from the store, which verifies it.
"""

from __future__ import annotations

import json
from statistics import fmean
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.errors import RecordDamaged
from ansible_collections.aiops.k8s.plugins.module_utils.operation import chain_files as files, clock, times
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event, last, state, undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory

Entry = dict[str, Any]
History = Sequence[Mapping[str, Any]]

UNDO = "rollback"  # the workflow whose records undo what an earlier one did, and repair no finding
_GRACE = 3600.0  # seconds after the end of a watch in which somebody, or cron, should have looked
_DAY = 86400.0  # seconds; advice or a rejection that is younger is not recorded again
_SHOWN = 5  # earlier records that a new one names


def read(store: Directory) -> list[Entry]:
    """The history of a store's feature. Raises StoreFailed where the directory cannot be read."""
    identifiers = store.identifiers()
    if not identifiers:
        return []
    with files.folder(store.path) as directory:
        found = (_read(directory, store.file(one)) for one in identifiers)
        return [one for one in found if one]


def entry(events: list[Event]) -> Entry:
    """One record as an entry. Raises KeyError, TypeError and the like for what has not the shape of a record."""
    proposal = events[0]["payload"]
    plan = proposal["plan"] or {}
    now_in = state(events)
    final = next(one for one in reversed(events) if one["kind"] == now_in)
    approved, validated = last(events, "approved"), last(events, "validated")
    found = _keys(proposal)
    return {
        "id": proposal["id"],
        "workflow": proposal["workflow"],
        "state": now_in,
        "cluster": {key: str(proposal["cluster"].get(key, "")) for key in ("uid", "server")},
        "target": proposal["target"],
        "findings": [list(one) for one in found],
        "codes": list(dict.fromkeys(code for code, _container, _object in found)),
        "containers": list(dict.fromkeys(container for _code, container, _object in found)),
        "advice": not plan,
        "summary": plan.get("summary", ""),
        "remedy": proposal.get("remedy", ""),
        "fingerprint": proposal.get("fingerprint") or (fingerprint(plan) if plan else ""),
        "basis": proposal.get("basis", ""),
        "digest": proposal.get("digest", ""),
        "undoes": plan.get("undoes", {}).get("digest", ""),
        "applied": last(events, "executed") is not None,
        "failed": any(one["kind"] == "failed" and one["payload"].get("phase") in ("validate", "watch") for one in events),
        "undo_needed": undo_needed(events),
        **times.stamps(events),
        "ended": final["time"],
        "expires": str((approved["payload"].get("expires") if approved else "") or plan.get("expires", "")),
        "watch_until": str(validated["payload"].get("watch_until", "")) if validated else "",
        "reason": str(final["payload"].get("reason", "")),
    }


def fingerprint(plan: Mapping[str, Any]) -> str:
    """What a plan does, as a digest: the same for the same change, whatever state of the objects it was made for.

    What counts is which object is patched (kind, namespace, name), and each operation but its guards, with its value. What differs from
    one time to the next does not: uids, ``test`` operations, the time in an annotation, which pods of the workload are deleted and how many.
    """
    done: list[Any] = []
    for change in plan["changes"]:
        subject = change["object"]
        whole = all(subject[key] == plan["target"].get(key) for key in ("kind", "namespace", "name"))
        name = subject["name"] if whole or change["action"] != "delete" else ""
        operations = [
            {key: "" if key == "value" and times.is_moment(value) else value for key, value in one.items()}
            for one in change.get("patch", [])
            if one["op"] != "test"
        ]
        made = {"manifest": change["manifest"]} if change["action"] == "create" else {}
        one = {
            "action": change["action"],
            "kind": subject["kind"],
            "namespace": subject["namespace"],
            "name": name,
            "patch": operations,
            **made,
        }
        if one not in done:
            done.append(one)
    return digest(done)


def same_plan(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two sealed plans would do and prove the same under the same rules, guards included: one may stand for the other."""
    return _essence(old) == _essence(new)


def of_cluster(history: History, cluster: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The entries about this cluster {uid, server}: by its uid where both are known, else by its address."""

    def same(known: Mapping[str, str]) -> bool:
        key = "uid" if known["uid"] and cluster.get("uid") else "server"
        return bool(known[key] == cluster.get(key))

    return [one for one in history if same(one["cluster"])]


def open_for(history: History, target: Mapping[str, str], code: str, now: str = "") -> Mapping[str, Any] | None:
    """The newest record about this finding that is not over: it can still be decided, or is carried out, watched or undone."""
    now = now or clock.stamp(clock.now())
    return next((one for one in reversed(history) if one["target"] == target and code in one["codes"] and is_open(one, now)), None)


def is_open(one: Mapping[str, Any], now: str) -> bool:
    """Whether something is still to be expected of a record at this moment."""
    if one["state"] in ("proposed", "approved"):
        return not one["advice"] and now <= one["expires"]
    if one["state"] == "validated":
        return bool(one["watch_until"]) and clock.seconds_between(one["watch_until"], now) <= _GRACE
    return one["state"] in ("executing", "executed", "rolling_back") or bool(one["undo_needed"])


def tried(history: History, target: Mapping[str, str], wanted: str, basis: str = "") -> list[Mapping[str, Any]]:
    """The records, newest first, in which exactly this change (a fingerprint) was made and failed, or was undone later.

    ``basis``: a digest of what the change builds on (such as the pod template), where the caller knows it: a failure on another basis
    does not count, since the change may work there.
    """
    undone = {one["undoes"] for one in history if one["undoes"] and one["applied"]}
    return [
        one
        for one in reversed(history)
        if one["target"] == target
        and one["fingerprint"] == wanted
        and (one["failed"] or one["digest"] in undone)
        and not (basis and one["basis"] and one["basis"] != basis)
    ]


def earlier(history: History, target: Mapping[str, str], codes: Iterable[str]) -> list[str]:
    """Ids of the records about one of these findings, newest first."""
    wanted = set(codes)
    return [one["id"] for one in reversed(history) if one["workflow"] != UNDO and one["target"] == target and wanted & set(one["codes"])]


def described(history: History, identifiers: Sequence[str]) -> list[dict[str, str]]:
    """[{id, state, time, what}] of the first few of these records, as a new record names them."""
    by_id = {one["id"]: one for one in history}
    chosen = [by_id[one] for one in identifiers[:_SHOWN]]
    return [{"id": one["id"], "state": one["state"], "time": one["ended"], "what": _became(one)} for one in chosen]


def repeated(
    history: History, document: Mapping[str, Any], now: str, plan_of: Callable[[str], Mapping[str, Any] | None], asking: bool
) -> tuple[str, str]:
    """(id, why) of the record that says already what this payload of a proposal would; ("", "") for one that is to be recorded.

    plan_of: the verified plan of a record; asking: somebody is there who may decide otherwise than before.
    """
    if document["workflow"] == UNDO:
        return "", ""  # somebody asks for it, with a reason of his own
    mine = [one for one in reversed(history) if one["target"] == document["target"] and one["workflow"] == document["workflow"]]
    wanted = set(_keys(document))
    for one in mine:
        stated = {tuple(found) for found in one["findings"]}
        if not is_open(one, now) or not wanted <= stated:
            continue
        if one["state"] != "proposed":
            return one["id"], _UNDER_WAY.get(one["state"], "is not over")
        stored = plan_of(one["id"])
        if wanted == stated and stored and (not document["plan"] or same_plan(stored, document["plan"])):
            return one["id"], f"was proposed {_ago(one['created'], now)} ago and waits for a decision until {one['expires']}"
    newest = next((one for one in mine if {tuple(found) for found in one["findings"]} == wanted), None)
    if newest is None or clock.seconds_between(newest["ended"], now) > _DAY:
        return "", ""
    if newest["advice"] and not document["plan"]:
        return newest["id"], f"gave the same advice {_ago(newest['created'], now)} ago"
    if newest["state"] == "rejected" and not asking and newest["fingerprint"] == document["fingerprint"]:
        return newest["id"], f"proposed this change, and it was rejected {_ago(newest['ended'], now)} ago: {newest['reason']}"
    return "", ""


def superseded(history: History, document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Undecided proposals about the same workload and finding that a new one with a plan takes the place of."""
    codes = {str(one["code"]) for one in document["findings"]}
    if not document["plan"] or document["workflow"] == UNDO:
        return []
    return [
        one
        for one in history
        if one["state"] == "proposed"
        and not one["advice"]
        and one["workflow"] == document["workflow"]
        and one["target"] == document["target"]
        and codes & set(one["codes"])
    ]


def means(history: History) -> dict[str, dict[str, float]]:
    """{measure: {seconds, operations}}: the means over a history, without those that nothing was measured for.

    A failure is detected once: a record of the same finding within a day of one that did not repair it is the same failure. Repaired is
    what was proven and did not fail later.
    """
    values: dict[str, list[float]] = {}
    left: dict[tuple[str, ...], str] = {}  # finding -> when it was last recorded without having been repaired
    for one in history:
        if one["workflow"] == UNDO:
            continue
        finding = (*one["cluster"].values(), *one["target"].values(), *sorted(one["codes"]))
        repaired = bool(one["repaired"]) and not one["failed"]
        again = finding in left and clock.seconds_between(left[finding], one["created"]) <= _DAY
        for name, seconds in times.spans(one).items():
            if (repaired or name not in ("repair", "outage")) and not (again and name == "detect"):
                values.setdefault(name, []).append(seconds)
        left.pop(finding, None)
        if not repaired:
            left[finding] = one["created"]
    return {name: {"seconds": round(fmean(found), 3), "operations": len(found)} for name, found in values.items()}


def summary(history: History) -> str:
    """``mean time to detect 40 s (5), to repair 3 min (4)``; "" where nothing was measured."""
    found = means(history)
    said = [
        f"to {name} {clock.span(found[name]['seconds'])} ({found[name]['operations']:.0f})"
        for name in ("detect", "repair")
        if name in found
    ]
    return f"mean time {', '.join(said)}" if said else ""


_UNDER_WAY = {
    "approved": "is approved and waits to be carried out",
    "executing": "is being carried out, or was interrupted",
    "executed": "was carried out and is not proven yet",
    "validated": "was carried out and is under watch",
    "failed": "failed and is not undone yet",
    "rolling_back": "is being undone",
}
_BECAME = {
    "proposed": "not decided",
    "approved": "approved",
    "rejected": "rejected",
    "expired": "not decided in time",
    "closed": "worked",
    "validated": "worked so far",
    "rolled_back": "did not work, undone",
    "failed": "did not work",
}


def _became(one: Mapping[str, Any]) -> str:
    if one["advice"]:
        return "advice only"
    outcome = "not looked at to the end" if one["state"] == "closed" and not one["repaired"] else _BECAME.get(one["state"], "under way")
    overtaken = one["state"] == "expired" and one["reason"].startswith(OVERTAKEN)
    return f"{one['summary']}: {'overtaken by a later proposal' if overtaken else outcome}"


OVERTAKEN = "overtaken by record "  # how the reason of an event ``expired`` begins when a later proposal took its place


def _keys(proposal: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What tells the findings of a proposal from others: (code, container, the object where it is not the target, as in a summary)."""
    target = proposal["target"]
    return [
        (str(one["code"]), str(one["container"]), "" if one["object"] == target else "/".join(map(str, one["object"].values())))
        for one in proposal["findings"]
    ]


_ESSENTIAL = ("action", "object", "patch", "preconditions", "manifest", "requires", "restore")


def _essence(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: plan.get(key) for key in ("target", "cluster", "risk", "policy", "undoes")},
        "changes": [{key: change.get(key) for key in _ESSENTIAL} for change in plan["changes"]],
        "checks": [{key: value for key, value in check.items() if key != "failing"} for check in plan["checks"]],
    }


def _ago(moment: str, now: str) -> str:
    return clock.span(max(0.0, clock.seconds_between(moment, now)))


def _read(directory: int, path: str) -> Entry | None:
    try:
        lines = files.content(directory, path).split(b"\n")[:-1]  # what follows the last newline was cut off by a crash
        return entry([json.loads(line) for line in lines])
    except (OSError, RecordDamaged, ValueError, KeyError, TypeError, AttributeError, IndexError, StopIteration, RecursionError):
        return None  # the playbook records names it, and what is wrong with it
