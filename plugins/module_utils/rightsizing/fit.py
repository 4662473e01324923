# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether the pods of a changed template are let in and find room: LimitRange, ResourceQuota, nodes, and the manner of the rollout.

``check(subject, resources, objects, stage)``: objects are the lists of the whole cluster; stage is Stage(objects), for those who check many
workloads: it is made once and left as it was. The answer:

    {ok, refusals[{code, sentence, fix}], lines[sentences with the figures, for the approver], warnings[sentences]}

code: limit_range, quota_needs (a container lacks what a quota counts), quota, rolling_fit, node_fit, daemon_fit, paused, on_delete,
unread. Amounts are cores and bytes. Pure; nothing raises.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import placing_admission as admission
from ansible_collections.aiops.k8s.plugins.module_utils.capacity import placing_rank
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.figures import surged as rounded_up
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.placing_cluster import DEFAULT_SCHEDULER, Object, Objects
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import podsize
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.rolling import MOST_STEPS, Rollout, Stage

_LOWER = "lower the requests (margin_percent), or run with more room"
_BOUNDS = {"min": "at least", "max": "at most", "maxLimitRequestRatio": "a limit of at most so many times the request:"}
_MOST_NAMED = 5


class Manner(NamedTuple):
    """How a workload replaces its pods. ``rolls``: step by step, old and new side by side."""

    kind: str
    wanted: int
    surge: int
    unavailable: int
    rolls: bool

    def moments(self) -> list[tuple[int, int]]:
        """(new, old) pods that there are at once when most is asked for: at the start, at the end, in the next rollout."""
        if not self.rolls:
            return [(self.wanted, 0)]
        if not self.surge:
            freed = min(self.wanted, max(1, self.unavailable))
            return [(freed, self.wanted - freed), (self.wanted, 0)]
        return [(self.surge, self.wanted), (self.wanted, self.surge), (self.wanted + self.surge, 0)]

    def shown(self) -> str:
        return f"({_many(self.wanted, 'replica')} + {self.surge} surge)" if self.surge else _many(self.wanted, "pod")


class Case(NamedTuple):
    """What is checked, and the answer as it grows."""

    subject: Mapping[str, Any]
    resources: Mapping[str, Any]
    objects: Objects
    pod: Object  # as the API server would store it
    manner: Manner
    answer: dict[str, Any]

    def refuse(self, code: str, sentence: str, fix: str) -> None:
        self.answer["refusals"].append({"code": code, "sentence": sentence, "fix": fix[:1].upper() + fix[1:]})

    def say(self, sentence: str) -> None:
        self.answer["lines"].append(sentence)

    def warn(self, sentence: str) -> None:
        self.answer["warnings"].append(sentence)


def check(subject: Mapping[str, Any], resources: Mapping[str, Any], objects: Objects, stage: Stage | None = None) -> dict[str, Any]:
    """See the module's description."""
    pod, refused = podsize.stored(subject, resources, objects)
    answer: dict[str, Any] = {"ok": False, "refusals": [], "lines": [], "warnings": []}
    case = Case(subject, resources, objects, pod, manner(subject), answer)
    for name in ("nodes", "pods", "resourcequotas", "limitranges"):
        if name not in objects:
            case.refuse("unread", f"The list of {name} could not be read, so whether the pods fit is not known.", f"allow list {name}.")
    _manner(case)
    _limit_ranges(case, refused)
    _quotas(case)
    if not refused and "nodes" in objects and "pods" in objects:
        _nodes(case, stage or Stage(objects))
    answer["ok"] = not answer["refusals"]
    return answer


# --- the manner of the rollout


def manner(subject: Mapping[str, Any]) -> Manner:
    """See Manner; percentages are rounded as the controllers do it."""
    workload = subject["workload"]
    kind, spec = str(workload["kind"]), workload["spec"]
    count = int(1 if spec.get("replicas") is None else spec["replicas"])
    if kind == "DaemonSet":
        count = int((workload.get("status") or {}).get("desiredNumberScheduled") or len(subject["all_pods"]))
        update = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
        surge, unavailable = rounded_up(update.get("maxSurge", 0), count), rounded_up(update.get("maxUnavailable", 1), count)
        return Manner(kind, count, surge, 0 if surge else max(1, unavailable), True)
    if kind == "StatefulSet":
        return Manner(kind, count, 0, 1, True)
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Manner(kind, count, 0, count, False)
    update = strategy.get("rollingUpdate") or {}
    surge, unavailable = rounded_up(update.get("maxSurge", "25%"), count), _down(update.get("maxUnavailable", "25%"), count)
    return Manner(kind, count, surge, unavailable if surge or unavailable else 1, True)


def _down(value: Any, replicas: int) -> int:
    """maxUnavailable of a Deployment: a number, or a part in percent, rounded down."""
    text = str(value or "0")
    whole = text.removesuffix("%")
    if not whole.isdigit():
        return 0
    return replicas * int(whole) // 100 if text.endswith("%") else int(whole)


def _manner(case: Case) -> None:
    workload, name = case.subject["workload"], podsize.said(case.subject)
    spec, how = workload["spec"], case.manner
    update = spec.get("updateStrategy") or {}
    if spec.get("paused"):
        case.refuse(
            "paused", f"The rollout of {name} is paused: new requests would reach no pod.", f"Resume it (kubectl rollout resume {name})."
        )
    if update.get("type") == "OnDelete":
        case.refuse(
            "on_delete",
            f"{name} replaces a pod only when somebody deletes it (updateStrategy OnDelete): nothing would be rolled out.",
            "set updateStrategy.type to RollingUpdate.",
        )
    partition = (update.get("rollingUpdate") or {}).get("partition")
    if partition:
        case.warn(f"{name} has partition {partition}: pods with a lower ordinal keep their old requests.")
    if how.kind == "Deployment" and not how.rolls:
        case.warn(f"{name} is replaced all at once (strategy Recreate): nothing serves until the new pods are ready.")
    elif how.wanted == 1 and how.kind != "DaemonSet" and not how.surge:
        case.warn(f"{name} has one pod, which goes before the new one comes: nothing serves in between.")
    budgets = sorted(placing_rank.budgets(case.pod, case.objects))
    if budgets:
        case.say(f"PodDisruptionBudget {fit.listed(budgets)} covers these pods. A rollout does not ask it; only evictions do.")
    extra = podsize.added(case.subject)
    if extra:
        case.say(f"Counted with what admission adds to the pods: {fit.listed(extra)}.")


# --- LimitRange


def _limit_ranges(case: Case, refused: str) -> None:
    namespace = case.pod["metadata"].get("namespace", "")
    ranges = admission.inside(case.objects, "limitranges", namespace)
    if refused:
        case.refuse(
            "limit_range",
            f"The API server would refuse the new pods: {refused}.",
            "change the LimitRange, or the options that decide the figure (margin_percent, cpu_limit, cpu_floor, memory_floor).",
        )
    elif not ranges:
        case.say(f"Namespace {namespace} has no LimitRange.")
    for one in ranges:
        for item in one["spec"].get("limits") or []:
            for text in _bounds(item, case):
                case.say(f"LimitRange {one['metadata']['name']}: {text}.")
        _defaults(one, case)


def _bounds(item: Mapping[str, Any], case: Case) -> Iterable[str]:
    """What a LimitRange asks for, beside what there is: for the containers that change, and for the pod."""
    for resource in ("cpu", "memory"):
        given = [f"{words} {item[name][resource]}" for name, words in _BOUNDS.items() if resource in (item.get(name) or {})]
        if not given:
            continue
        if item.get("type") == "Pod":
            yield _bounded("the pod", resource, fit.requests(case.pod).get(resource), admission.limits_of(case.pod).get(resource), given)
        elif item.get("type") == "Container":
            for one in (one for one in admission.containers(case.pod) if one["name"] in case.resources):
                limit = one["resources"]["limits"].get(resource)
                request = podsize.asked(one, resource)
                yield _bounded(f"container {one['name']}", resource, request, None if limit is None else fit.size(limit), given)


def _bounded(who: str, resource: str, request: float | None, limit: float | None, given: list[str]) -> str:
    return f"{who} asks for {_text(resource, request)} {resource} with limit {_text(resource, limit)}; wanted is {', '.join(given)}"


def _defaults(limit_range: Object, case: Case) -> None:
    """A limit that is left out comes back where a LimitRange has a default for it."""
    for item in limit_range["spec"].get("limits") or []:
        for resource, value in (item.get("default") or {}).items() if item.get("type") == "Container" else ():
            names = [name for name, one in case.resources.items() if resource not in (one.get("limits") or {})]
            if names:
                case.warn(
                    f"LimitRange {limit_range['metadata']['name']} gives a container without one the {resource} limit {value}: container"
                    f" {fit.listed(names)} will have it."
                )


# --- ResourceQuota


def _quotas(case: Case) -> None:
    namespace = case.pod["metadata"].get("namespace", "")
    quotas = admission.inside(case.objects, "resourcequotas", namespace)
    if not quotas:
        case.say(f"Namespace {namespace} has no ResourceQuota.")
        return
    old = podsize.present(case.subject)
    old = admission.admitted(old, case.objects)[0]  # each container with both parts of its resources
    for quota in quotas:
        hard = (quota.get("status") or {}).get("hard") or quota["spec"].get("hard") or {}
        costs = _of_quota(quota, case.pod)
        if costs and not case.pod["spec"].get("resources"):
            _must_ask(case, quota["metadata"]["name"], hard)
        before = _of_quota(quota, old)
        for key in sorted(hard):
            if costs.get(key):
                _quota_key(case, quota, key, fit.size(hard[key]), costs[key], before.get(key, 0.0))


def _must_ask(case: Case, name: str, hard: Mapping[str, Any]) -> None:
    """A quota on requests or limits lets no pod in whose containers do not all say theirs."""
    for key in sorted(key for key in hard if key in admission.MUST_ASK):
        lacking = [one["name"] for one in admission.containers(case.pod) if key not in admission.counted(one["resources"])]
        if not lacking:
            continue
        part, resource = key.split(".") if "." in key else ("requests", key)
        word = f"{resource} {part.removesuffix('s')}"
        removes = part == "limits" and any(one in case.resources for one in lacking)
        option = f"{resource}_limit: keep" + (" or ratio" if resource == "cpu" else "")
        case.refuse(
            "quota_needs",
            f"ResourceQuota {name} counts {key}, so it lets in only pods whose containers all have a {word}; {fit.listed(lacking)} would"
            " have none.",
            (
                f"keep the limit ({option}), give a limit to a container that has none, or take {key} out of ResourceQuota {name}."
                if removes
                else f"give {fit.listed(lacking)} a {word}, or take {key} out of ResourceQuota {name}."
            ),
        )


def _quota_key(case: Case, quota: Object, key: str, hard: float, cost: float, before: float) -> None:
    name, how = quota["metadata"]["name"], case.manner
    resource = key.removeprefix("requests.").removeprefix("limits.")
    ours = sum(_of_quota(quota, admission.admitted(one, {})[0]).get(key, 0.0) for one in case.subject["all_pods"])
    others = max(0.0, _used(case, quota, key) - ours)
    left = hard - others

    def text(value: float) -> str:
        return fit.text(resource, round(max(0.0, value), 6))

    moments = [(new * cost + old * before, new, old) for new, old in how.moments()]
    peak, new, old = max(moments)
    case.say(
        f"ResourceQuota {name}, {key}: {how.shown()} x {text(cost)} = {text((how.wanted + how.surge) * cost)}; at most {text(peak)} at once"
        f" ({new} new, {old} old); {text(left)} of {text(hard)} are not used by others."
    )
    if peak <= left + 1e-6:
        return
    at_once = f"{new} new {'pod' if new == 1 else 'pods'} of {text(cost)}" + (f" and {old} old of {text(before)}" if old else "")
    sentence = f"ResourceQuota {name} leaves {text(left)} of {text(hard)} {key} to this workload, and {at_once} need {text(peak)} at once"
    freed = min(how.wanted, how.unavailable)
    slow = max(how.wanted * cost, freed * cost + (how.wanted - freed) * before)
    if freed and slow <= left + 1e-6:
        case.warn(f"{sentence}: the rollout goes on without all of its surge, as maxUnavailable lets {freed} old ones go first.")
        return
    case.refuse("quota", f"{sentence}.", f"raise {key} of ResourceQuota {name}, lower maxSurge, or {_LOWER}.")


def _used(case: Case, quota: Object, key: str) -> float:
    """What is used of a quota; counted over the pods of the namespace where its status does not say."""
    used = (quota.get("status") or {}).get("used")
    if used is not None:
        return fit.size(used.get(key))
    alive = [
        admission.admitted(one, {})[0]
        for one in admission.inside(case.objects, "pods", case.pod["metadata"].get("namespace", ""))
        if (one.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]
    return sum(_of_quota(quota, one).get(key, 0.0) for one in alive)


def _of_quota(quota: Object, pod: Object) -> dict[str, float]:
    """What a pod takes of each figure of a quota; nothing where the quota's scopes do not take it."""
    return admission.of_pod(pod) if admission.takes(quota, pod) else {}


# --- nodes


def _nodes(case: Case, stage: Stage) -> None:
    rollout = Rollout(stage, case.subject["all_pods"])
    scheduler = case.pod["spec"].get("schedulerName") or DEFAULT_SCHEDULER
    if scheduler != DEFAULT_SCHEDULER:
        case.warn(
            f"The pods ask for the scheduler {scheduler}; its rules are not known, what is said of nodes are those of kube-scheduler."
        )
    size = ", ".join(f"{_text(name, fit.requests(case.pod).get(name))} {name}" for name in ("cpu", "memory"))
    _NODES[case.manner.kind](case, rollout, size)


def _deployment(case: Case, rollout: Rollout, size: str) -> None:
    how, pod = case.manner, _nameless(case.pod)
    done = rollout.deployment(pod, how.wanted, how.surge, how.unavailable)
    total = how.wanted + how.surge
    fits, why, pushed = rollout.afterwards(pod, total)
    case.say(
        f"Nodes: {how.shown()} x {size}. Beside {_many(len(rollout.old), 'old pod')} {done.first} of {how.surge} surge fit at once; without"
        f" the old ones {fits} of {total} fit."
    )
    if fits < how.wanted:
        case.refuse(
            "node_fit",
            f"Only {fits} of {how.wanted} pods of the new size fit once the old ones are gone: {why}.",
            f"add nodes, or {_LOWER}.",
        )
        if pushed:
            case.warn(pushed)
        return
    if done.done < how.wanted and not done.cut:
        case.refuse(
            "rolling_fit",
            f"The rollout would stand still after {done.done} of {how.wanted} new pods (maxSurge {how.surge}, maxUnavailable"
            f" {how.unavailable}): {done.why}.",
            f"let maxUnavailable be at least 1 for the rollout, add a node, or {_LOWER}.",
        )
        return
    if done.cut:
        case.warn(f"The rollout was acted out for {MOST_STEPS} steps only; until then {done.done} of {how.wanted} new pods found a node.")
    if how.rolls and done.first < how.surge:
        case.warn(f"Only {done.first} of the {how.surge} surge pods fit beside the old ones: the rollout goes in smaller steps.")
    if fits < total:
        more = "" if fits > how.wanted or how.unavailable else " Not one fits, and maxUnavailable is 0: the next rollout would stand still."
        case.warn(f"A later rollout has room for {fits - how.wanted} of its {how.surge} surge pods.{more}")


def _stateful(case: Case, rollout: Rollout, size: str) -> None:
    done = rollout.ordered(lambda old: podsize.stored(case.subject, case.resources, case.objects, old)[0])
    case.say(f"Nodes: {done.wanted} pods x {size}, one after the other, each in the room of the one before it: {done.done} find a node.")
    if done.done < done.wanted:
        case.refuse(
            "rolling_fit",
            f"The rollout would stand still after {done.done} of {done.wanted} pods: {done.why}.",
            f"add a node, or {_LOWER}.",
        )


def _daemons(case: Case, rollout: Rollout, size: str) -> None:
    how = case.manner
    done = rollout.everywhere(case.pod, bool(how.surge))
    place = "beside the old one (maxSurge)" if how.surge else "in the place of the old one"
    case.say(f"Nodes: one pod of {size} on each, {place}: {done.done} of {done.wanted} nodes have the room.")
    if done.nodes:
        case.refuse(
            "daemon_fit",
            f"On {len(done.nodes)} of {done.wanted} nodes the new pod does not fit {place} ({fit.listed(done.nodes, _MOST_NAMED)}):"
            f" {done.why}.",
            f"make room on these nodes, or {_LOWER}" + (", or set maxSurge to 0." if how.surge else "."),
        )


_NODES = {"Deployment": _deployment, "StatefulSet": _stateful, "DaemonSet": _daemons}


def _nameless(pod: Object) -> Object:
    """A pod that is yet to be made: claims of its own come with its name."""
    return {**pod, "metadata": {name: part for name, part in pod["metadata"].items() if name not in ("name", "uid")}}


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _text(resource: str, value: float | None) -> str:
    return "nothing" if value is None else fit.text(resource, value)
