# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether a change worked: pure judgements over observed states of the workload (cluster/workload.py).

What is proven may be a workload, a Service or an autoscaler; their states have the same shape.

Check types, in the order in which they are judged:
    status_changed     the failing pods are replaced or recovered within ``within_seconds``
    available          all wanted pods are of the newest revision and available within ``within_seconds``
    restarts_stable    then for ``hold_seconds`` no container restarts and availability stays
    watch              then for ``hold_seconds`` more the same holds, and no event says that a container died; judged whenever it is looked at

What a check may carry beside: ``load_below`` and ``errors`` (autoscalers), ``resized`` (the resources that pods have to run with, in place),
``usage`` and ``requested`` (usage_proof.py).

Error signals (cluster/signals.py) are kept beside the verdict. Most do not decide it: a probe that fails once is no failure while pods stay
available. An event that says that a container died does, since the pod may be gone by the time somebody looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.errors import library
from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import parse, span
from ansible_collections.aiops.k8s.plugins.module_utils.operation.usage_proof import told as told_amount

State = Mapping[str, Any]
_REPEATED = 2  # restarts of a new pod that prove a failure before its time is up
_SHOWN = 5  # kinds of signals that a sentence names
_CLOCK = 2.0  # seconds; events carry whole seconds, and the server's Date header does
# reason of an event -> what its message has to say for it to prove that a container died; pulling an image is backed off from as well
_DEADLY = {"BackOff": "restarting failed container", "OOMKilling": "", "OOMKilled": ""}
_UNAVAILABLE_GRACE = 120.0  # seconds that a watched workload may lack pods: a node drain is not a failure


def standard(
    subject: Mapping[str, str], failing: Sequence[Mapping[str, Any]], *, within: int, hold: int, watch: int
) -> list[dict[str, Any]]:
    """The checks of a change to a workload. ``failing``: [{uid, reason}] of the pods as diagnosed; all times in seconds."""
    common = {"object": dict(subject)}
    return [
        {
            "id": "K1",
            "type": "status_changed",
            **common,
            "failing": [dict(pod) for pod in failing],
            "within_seconds": within,
            "hold_seconds": 0,
        },
        {"id": "K2", "type": "available", **common, "within_seconds": within, "hold_seconds": 0},
        {"id": "K3", "type": "restarts_stable", **common, "within_seconds": within, "hold_seconds": hold},
        {"id": "K4", "type": "watch", **common, "within_seconds": 0, "hold_seconds": watch},
    ]


def with_usage(
    checks: Sequence[Mapping[str, Any]], limits: Mapping[str, Mapping[str, float]], requested: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The checks, whose watch also measures usage against the new limits, and the requests against those predicted (usage_proof.py)."""
    below = {container: dict(values) for container, values in limits.items() if values}
    more = {**({"usage": below, "usage_source": "metrics"} if below else {}), **({"requested": dict(requested)} if requested else {})}
    return [{**check, **(more if check["type"] == "watch" else {})} for check in checks]


def with_resized(checks: Sequence[Mapping[str, Any]], change: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The checks of a change that resizes pods in place: they keep running, without a restart, with the new resources."""
    wanted = {name: size["after"] for name, size in change["sizes"].items()}
    return [{**check, **({"resized": wanted} if check["type"] == "available" else {})} for check in checks]


def _which(check: Mapping[str, Any]) -> str:
    """Codes of findings are one word; pods for which there is a sentence are only to be replaced."""
    return "former" if all(" " in pod["reason"] for pod in check.get("failing") or [{"reason": ""}]) else "failing"


def describe(check: Mapping[str, Any]) -> str:
    """One line for the approver."""
    name = f"{check['object']['kind'].lower()}/{check['object']['name']}"
    within, hold = span(check["within_seconds"]), span(check["hold_seconds"])
    what = {
        "status_changed": f"the status of the {_which(check)} pods of {name} changes within {within}",
        "available": f"all pods of {name} are of the new revision and available within {within}",
        "restarts_stable": f"then no container of {name} restarts for {hold}",
        "watch": f"then {name} stays available without restarts for {hold} (watch)",
    }
    of_a_service = {
        "status_changed": f"{name} leads to pods within {within}",
        "available": f"every ready pod that {name} selects is among its ready endpoints, on ports that the pod declares, within {within}",
        "restarts_stable": f"then it stays so, and no container of its pods restarts for {hold}",
        "watch": f"then {name} keeps its endpoints for {hold} (watch)",
    }
    if "resized" in check:
        what[
            "available"
        ] += f", and {', '.join(check['resized'])} run{'s' * (len(check['resized']) == 1)} with the new resources, not restarted"
    if "usage" in check:
        below = [
            f"{one}: {', '.join(f'{told_amount(resource, size)} {resource}' for resource, size in sizes.items())}"
            for one, sizes in check["usage"].items()
        ]
        what["watch"] += f"; the 95th percentile of its usage is below {'; '.join(below)}"
    limits = [f"its load is below {check['load_below'] * 100:.0f} %"] if "load_below" in check else []
    limits += [f"below {check['errors']['below'] * 100:.0f} % of requests fail"] if "errors" in check else []
    of_an_autoscaler = {
        "status_changed": f"{name} reads its metrics and can scale within {within}",
        "available": f"as many pods as {name} wants are available, {', '.join(['none is pending', *limits])}, within {within}",
        "restarts_stable": f"then it stays so, and no container of its pods restarts for {hold}",
        "watch": f"then {name} goes on scaling, with its least number of pods available and no restarts, for {hold} (watch)",
    }
    return {"Service": of_a_service, "HorizontalPodAutoscaler": of_an_autoscaler}.get(check["object"]["kind"], what)[check["type"]]


@dataclass
class Progress:
    """What validation has seen so far. ``verdict``: pending, passed or failed; ``seconds`` when each check was met."""

    verdict: str = "pending"
    reason: str = ""
    met: dict[str, float] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)


def validate(progress: Progress, checks: list[dict[str, Any]], state: State, elapsed: float) -> Progress:
    """Judge one more observation, ``elapsed`` seconds after the change."""
    by_type = {check["type"]: check for check in checks}
    changed, available, stable = by_type["status_changed"], by_type["available"], by_type["restarts_stable"]
    if not state["exists"]:
        return _fail(progress, "the workload does not exist any more")
    if state["uid"] != changed["object"]["uid"]:
        return _fail(progress, "the workload was deleted and created again, so the change is gone")
    # until the controller has seen the change, pods of the old revision pass for the newest: none of them counts as new
    new = [pod for pod in state["pods"] if pod["current"] and pod["uid"] not in _known(changed)] if state["settled"] else []
    if _status_changed(changed, state, bool(new)):
        progress.met.setdefault(changed["id"], elapsed)
    if "resized" in available:  # the pods are there already, so what they do counts from the first look
        progress.restarts = progress.restarts or restarts(state)
        fault = disturbance(progress.restarts, state)
        if fault:
            return _fail(progress, fault)
    over = excess(available, state)
    if is_available(state) and not over:
        progress.met.setdefault(available["id"], elapsed)
    crashing = next((pod for pod in new if pod["restarts"] >= _REPEATED and not pod["ready"]), None)
    if crashing:
        return _fail(
            progress, f"the new pod {crashing['name']} has restarted {crashing['restarts']} times ({', '.join(crashing['reasons'])})"
        )
    for check in (changed, available):
        if check["id"] not in progress.met:
            if elapsed >= check["within_seconds"]:
                seen = "; ".join(filter(None, (summary(state), over)))
                return _fail(progress, f"not seen within {span(check['within_seconds'])}: {describe(check)}; {seen}")
            return progress
    if not progress.restarts:
        progress.restarts = restarts(state)
    fault = disturbance(progress.restarts, state)
    if fault:
        return _fail(progress, fault)
    if not is_available(state) or over:
        progress.met.pop(available["id"])  # it has to come back within its time, and to hold from then on
        return progress
    if elapsed - progress.met[available["id"]] >= stable["hold_seconds"]:
        progress.met.setdefault(stable["id"], elapsed)
        progress.verdict = "passed"
    return progress


def watch(baseline: Mapping[str, int], state: State, unavailable_for: float) -> str:
    """The reason why a watched workload has failed, or "". ``baseline``: restarts by pod uid when validation passed."""
    if not state["exists"]:
        return "the workload does not exist any more"
    fault = disturbance(baseline, state)
    if fault:
        return fault
    return f"not all pods have been available for {span(unavailable_for)}: {summary(state)}" if unavailable_for > _UNAVAILABLE_GRACE else ""


def deadly(signals: Iterable[Mapping[str, Any]], after: str) -> str:
    """The first signal since a moment which says that a container died, as a sentence, or ""."""
    for one in signals:
        said = _DEADLY.get(one["reason"])
        if said is not None and said in one["message"] and (parse(one["last"]) - parse(after)).total_seconds() > _CLOCK:
            return f"the cluster warns of {one['object']}: {one['reason']}: {one['message']}"
    return ""


def grouped(signals: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The signals by their reason, as records keep them: [{reason, count, last, message (of the newest)}]."""
    found: dict[str, dict[str, Any]] = {}
    for one in signals:  # the newest first
        group = found.setdefault(one["reason"], {"reason": one["reason"], "count": 0, "last": one["last"], "message": one["message"]})
        group["count"] += one["count"]
    return list(found.values())


def told(signals: Iterable[Mapping[str, Any]]) -> str:
    """``Unhealthy 3x, BackOff 1x``; "" for none."""
    counts = [f"{one['reason']} {one['count']}x" for one in grouped(signals)]
    return ", ".join(counts[:_SHOWN] + ["..."] * (len(counts) > _SHOWN))


def is_available(state: State) -> bool:
    """Whether every wanted pod is of the newest revision, available, and nothing else is left."""
    scaling = state.get("scaling")
    return bool(
        state["exists"]
        and (not scaling or (scaling["active"] and scaling["follows"]))
        and state["settled"]
        and state["updated"] >= state["wanted"]
        and state["available"] >= state["wanted"]
        and sum(1 for pod in state["pods"] if pod["current"]) >= state["wanted"]
    )


def serves(state: State) -> bool:
    """What a watched workload has to do: as ``is_available``; one that is scaled may lack pods that are only just starting."""
    scaling = state.get("scaling")
    return bool(scaling["active"] and state["available"] >= scaling["min"]) if scaling and state["exists"] else is_available(state)


def excess(check: Mapping[str, Any], state: State) -> str:
    """Which measured value is not below the limit of a check, as a sentence, or "". What is not known counts as too much load, not as errors."""
    load, errors = (state.get("scaling") or {}).get("utilisation"), state.get("errors")
    if "load_below" in check and (load is None or load >= check["load_below"]):
        return "its load is not known" if load is None else f"its load is {load * 100:.0f} %, not below {check['load_below'] * 100:.0f} %"
    if "errors" in check and errors is not None and errors >= check["errors"]["below"]:
        return f"{errors * 100:.1f} % of requests fail, not below {check['errors']['below'] * 100:.0f} %"
    return unlike(check.get("resized") or {}, state)


def unlike(wanted: Mapping[str, Mapping[str, Any]], state: State) -> str:
    """The first pod that does not run with these resources {container: {requests, limits}} yet, as a sentence, or ""."""
    amount = library("kubernetes.utils.quantity").parse_quantity
    for pod in (pod for pod in state["pods"] if pod["current"] and wanted):
        for container, resources in wanted.items():
            has = pod["containers"].get(container, {}).get("has", {})
            for part, value in ((part, one) for part in resources for one in resources[part].items()):
                found = (has.get(part) or {}).get(value[0])
                if found is None or amount(found) != amount(value[1]):
                    why = f" ({pod['resize']})" if pod["resize"] else ""
                    return f"{container} of {pod['name']} runs with the {value[0]} {part[:-1]} {found or 'none'} instead of {value[1]}{why}"
    return ""


def restarts(state: State) -> dict[str, int]:
    """{pod uid: restarts} of the newest revision's pods."""
    return {pod["uid"]: pod["restarts"] for pod in state["pods"] if pod["current"]}


def disturbance(baseline: Mapping[str, int], state: State) -> str:
    """The first container restart since the baseline, as a sentence; a pod that came later starts at 0."""
    for pod in state["pods"]:
        if pod["current"] and pod["restarts"] > baseline.get(pod["uid"], 0):
            return f"a container of {pod['name']} restarted ({', '.join(pod['reasons']) or 'no reason given'})"
    return ""


def summary(state: State) -> str:
    """``2 of 3 pods available, 3 updated, 0 restarts``."""
    if not state["exists"]:
        return "gone"
    text = f"{state['available']} of {state['wanted']} pods available, {state['updated']} updated, {sum(restarts(state).values())} restarts"
    scaling = state.get("scaling")
    if scaling:
        load = f"{scaling['utilisation'] * 100:.0f} %" if scaling["utilisation"] is not None else "unknown"
        text += f"; the autoscaler wants {scaling['desired']} of {scaling['min']} to {scaling['max']}, load {load}"
        text += f" ({scaling['fault']})" if scaling["fault"] else ""
        text += f"; {state['errors'] * 100:.1f} % of requests fail" if state.get("errors") is not None else ""
    reasons = sorted({reason for pod in state["pods"] if pod["current"] and not pod["ready"] for reason in pod["reasons"]})
    return f"{text} ({', '.join(reasons)})" if reasons else text


def _known(check: Mapping[str, Any]) -> set[str]:
    return {pod["uid"] for pod in check["failing"]}


def _status_changed(check: Mapping[str, Any], state: State, replaced: bool) -> bool:
    here = {pod["uid"]: pod for pod in state["pods"]}
    recovered = replaced or all(pod["uid"] not in here or here[pod["uid"]]["ready"] for pod in check["failing"])
    return recovered and (state.get("scaling") or {"active": True})["active"]


def _fail(progress: Progress, reason: str) -> Progress:
    progress.verdict, progress.reason = "failed", reason
    return progress
