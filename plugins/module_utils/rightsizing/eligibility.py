# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether a workload may be sized: nothing stands against it, it has been stable for days, and its history is known. Seconds since 1970.

``assess(subject, found, history, objects, options)``: subject as gather.py makes it, found its part of the history, objects the
lists of the whole cluster. The answer: {eligible, reasons [{code, sentence, fix}], notes [sentences], stable_since (None where unknown)}.

Stable is what has had no rollout, no restart and no kill for lack of memory within ``stable_days``. A Deployment has its template since the
first pod with its hash was seen: after a cluster was restored from a backup, creation times are young, and such a name proves the
template. Of what has no such names only the creation of the revision counts. See standing.py for what stands against it otherwise.

Pure; nothing raises.
"""

from __future__ import annotations

from math import isnan
from typing import Any, Iterable, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import lasting
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load_pods import moment
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import statuses_of
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.standing import Asked, Reason, against, notes, reason
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.words import DAY, days, percent

Object = dict[str, Any]

DEFAULTS: dict[str, Any] = {"stable_days": 7, "min_coverage": 0.8, "min_points": 100, "owner_conflict": "refuse"}
SKEW = 120.0  # between this machine's, the API server's and the history's clocks
_EDGE = 3600.0  # by which a history may begin late and still count as whole
_KILLED = "OOMKilled"


class _Restart(NamedTuple):
    """``at`` None: unknown."""

    pod: str
    container: str
    at: float | None
    killed: bool


def assess(
    subject: Mapping[str, Any],
    found: Mapping[str, Any] | None,
    history: Mapping[str, Any],
    objects: Mapping[str, list[Object]],
    options: Mapping[str, Any],
) -> Object:
    """See the module's description."""
    chosen = {**DEFAULTS, **{key: value for key, value in options.items() if value is not None}}
    asked = Asked(subject["workload"], list(subject.get("pods") or ()), list(subject.get("all_pods") or ()), objects, chosen)
    found = found or {}
    reasons, said = against(asked), notes(asked)
    now = float(history["to"])
    since, unstable = _stability(asked, subject, found, now, said)
    reasons += unstable
    reasons += _history(asked, found, history, chosen, said)
    return {"eligible": not reasons, "reasons": reasons, "notes": said, "stable_since": since}


# --- stable -----------------------------------------------------------------------------------------------------------------


def _stability(
    asked: Asked, subject: Mapping[str, Any], found: Mapping[str, Any], now: float, said: list[str]
) -> tuple[float | None, list[Reason]]:
    window = float(asked.options["stable_days"]) * DAY
    begin, reasons = now - window, []
    template, why = _template_since(subject, found)
    if template is None:
        reasons.append(reason("revision_unknown", f"Since when {asked.name} has its present template is not known: {why}.", _WAIT))
    else:
        if template > now + SKEW:
            said.append(f"Its revision is dated {moment(template)}, after the end of the history ({moment(now)}): compare the clocks.")
        if template > begin + SKEW:
            reasons.append(
                reason(
                    "rollout_recent",
                    f"{asked.name} has its present template since {moment(template)} ({days(now - template)} ago; {why});"
                    f" {days(window)} without a rollout are needed.",
                    f"Run it again after {moment(template + window)}.",
                )
            )
    restarts = _restarts(asked, found, window, now, said)
    late = [one for one in restarts if one.at is None or one.at >= begin]
    for killed, code, what in ((True, "oom", "killed for lack of memory"), (False, "restarts", "restarted")):
        here = [one for one in late if one.killed is killed]
        if here:
            reasons.append(reason(code, _told(asked, here, what, window, now), _KILL_FIX if killed else _CRASH_FIX))
    times = [one.at if one.at is not None else now for one in restarts] + ([template] if template is not None else [])
    return max(times, default=None) if template is not None else None, reasons


_WAIT = "Grant list on replicasets and controllerrevisions, and run it again."
_KILL_FIX = "Raise its memory limit first: ansible-playbook aiops.k8s.diagnose proposes it. Size it after a week without a kill."
_CRASH_FIX = "Find out why first: ansible-playbook aiops.k8s.diagnose. What crashes shows less usage than it needs."


def _template_since(subject: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[float | None, str]:
    """(since when, by what): the latest of the template's beginning and of the last pod of another revision."""
    revision = subject.get("revision") or {}
    candidates = [(float(revision["since"]), f"revision {plain(revision.get('name', ''))}")] if revision.get("since") is not None else []
    if subject.get("hash_in_names") and found.get("first_seen") is not None:
        candidates.append((float(found["first_seen"]), "first pod of this template seen"))
    if not candidates:
        return None, "its revisions could not be read"
    begun = min(candidates)
    others = max((float(one) for one in found.get("rollouts") or ()), default=None)
    return (others, "pods of another revision were seen until then") if others is not None and others > begun[0] else begun


def _restarts(asked: Asked, found: Mapping[str, Any], window: float, now: float, said: list[str]) -> list[_Restart]:
    """From the history and from the live pods; the two tell of one restart at slightly different times, or with and without its reason."""
    kills = [
        _Restart(str(one["pod"]), str(one["container"]), float(one["at"]) if one.get("at") is not None else None, True)
        for one in found.get("ooms") or ()
    ]
    every = kills + [
        _Restart(str(one["pod"]), str(one["container"]), float(one["at"]), False)
        for one in found.get("restarts") or ()
        if not any(_same(one, kill) for kill in kills)
    ]
    for pod in asked.pods:
        for status in statuses_of(pod):
            one = _of_status(asked, pod, status)
            if one is None or any(_same({"pod": one.pod, "container": one.container, "at": one.at}, known) for known in every):
                continue
            if one.at is None and _covered(asked, pod, one, found, window, now):
                said.append(
                    f"{plain(one.pod)} was restarted {status['restartCount']} times, longer ago than the history of the last"
                    f" {days(window)}, which shows none."
                )
                continue
            every.append(one)
    return every


def _of_status(asked: Asked, pod: Mapping[str, Any], status: Mapping[str, Any]) -> _Restart | None:
    """The last restart of a lasting container."""
    template = (asked.spec.get("template") or {}).get("spec") or {}
    if not status.get("restartCount") or status.get("name") not in {one["name"] for one in lasting(template)}:
        return None
    ended = (status.get("lastState") or {}).get("terminated") or {}
    waiting = (status.get("state") or {}).get("terminated") or {}
    last = ended or waiting
    at = clock.parse(str(last["finishedAt"])).timestamp() if last.get("finishedAt") else None
    return _Restart(str(pod["metadata"]["name"]), str(status["name"]), at, last.get("reason") == _KILLED)


def _same(one: Mapping[str, Any], known: _Restart) -> bool:
    near = one.get("at") is not None and known.at is not None and abs(float(one["at"]) - known.at) <= 900.0
    return (str(one["pod"]), str(one["container"])) == (known.pod, known.container) and near


def _covered(asked: Asked, pod: Mapping[str, Any], one: _Restart, found: Mapping[str, Any], window: float, now: float) -> bool:
    """Whether the pod is older than the window, and its samples fill it without telling of a restart."""
    created = (pod["metadata"] or {}).get("creationTimestamp")
    stats = (((found.get("containers") or {}).get(one.container) or {}).get(one.pod) or {}).get("memory") or {}
    if not created or clock.parse(str(created)).timestamp() > now - window or not stats:
        return False
    whole = float(stats["from"]) <= now - window + _EDGE and float(stats["to"]) >= now - _EDGE
    return whole and float(stats["coverage"]) >= float(asked.options["min_coverage"])


def _told(asked: Asked, restarts: list[_Restart], what: str, window: float, now: float) -> str:
    known = [one for one in restarts if one.at is not None]
    last = max(known, key=lambda one: one.at or 0.0, default=restarts[0])
    number = len(restarts)
    many = {1: "once", 2: "twice"}.get(number, f"{number} times")
    when = f"{days(max(0.0, now - last.at))} ago" if last.at is not None else "at a time that is not known"
    where = f"container {plain(last.container)} of {plain(last.pod)}"
    return f"{asked.name} was {what} {many} within {days(window)}, the last time {when}: {where}."


# --- known ------------------------------------------------------------------------------------------------------------------


def _history(
    asked: Asked, found: Mapping[str, Any], history: Mapping[str, Any], chosen: Mapping[str, Any], said: list[str]
) -> list[Reason]:
    """Long enough, with enough points, without too many gaps. Containers without any figure are said, and stay as they are."""
    template = (asked.spec.get("template") or {}).get("spec") or {}
    wanted = [str(one["name"]) for one in lasting(template)]
    containers = {name: (found.get("containers") or {}).get(name) or {} for name in wanted}
    stats = {
        name: [one for usage in pods.values() for one in (usage.get("memory"), usage.get("cpu")) if one]
        for name, pods in containers.items()
    }
    known = [name for name in wanted if any(one["samples"] for one in stats[name])]
    window, now = float(chosen["stable_days"]) * DAY, float(history["to"])
    if not known:
        where = f" in {plain(history['source'], 200)}" if history.get("source") else ""
        return [
            _too_little(
                f"There are no samples of the containers of {asked.name}{where} between {moment(float(history['from']))} and"
                f" {moment(now)}.",
                "Check that the history has this namespace (cAdvisor's metrics are scraped and kept, or record_usage runs); see the queries"
                " in the result.",
            )
        ]
    if len(known) < len(wanted):
        said.append(f"No samples of {', '.join(plain(name) for name in wanted if name not in known)}: it stays as it is.")
    reasons: list[Reason] = []
    for check in (_length, _points, _coverage):
        for name in known:
            one = check(asked, name, stats[name], containers[name], window, now, chosen)
            if one:
                reasons.append(one)
                break  # one container is enough to wait
    return reasons


def _too_little(sentence: str, fix: str) -> Reason:
    return reason("not_enough_history", sentence, fix)


def _length(
    asked: Asked, name: str, stats: list[Object], pods: Mapping[str, Object], window: float, now: float, chosen: Mapping[str, Any]
) -> Reason | None:
    first, last = min(one["from"] for one in stats), max(one["to"] for one in stats)
    if last < now - _EDGE:
        return _too_little(
            f"The samples of container {plain(name)} of {asked.name} end at {moment(last)}, {days(now - last)} before now.",
            "Find out why it is no longer scraped, and run it again after the days that are needed.",
        )
    if last - first >= window - _EDGE:
        return None
    return _too_little(
        f"The history of container {plain(name)} of {asked.name} begins at {moment(first)}: {days(last - first)} of {days(window)} that are"
        " needed.",
        f"Run it again after {moment(first + window)}, or check how long the server keeps samples.",
    )


def _points(
    asked: Asked, name: str, stats: list[Object], pods: Mapping[str, Object], window: float, now: float, chosen: Mapping[str, Any]
) -> Reason | None:
    for resource, word in (("cpu", "CPU"), ("memory", "memory")):
        samples = sum(usage[resource]["samples"] for usage in pods.values() if usage.get(resource))
        if samples < int(chosen["min_points"]):
            return _too_little(
                f"There are {samples:,} points of {word} of container {plain(name)} of {asked.name}; {int(chosen['min_points']):,} are"
                " needed.",
                "Wait for more samples, or lower min_points.",
            )
    return None


def _coverage(
    asked: Asked, name: str, stats: list[Object], pods: Mapping[str, Object], window: float, now: float, chosen: Mapping[str, Any]
) -> Reason | None:
    least = float(chosen["min_coverage"])
    for one in stats:
        if one["from"] <= now - window + _EDGE and one["to"] >= now - _EDGE and one["coverage"] >= least:
            return None  # one pod that is known all along is enough
    share = _together((usage["memory_series"] for usage in pods.values() if usage.get("memory_series")), now - window, now)
    if share >= least:
        return None
    return _too_little(
        f"Only {percent(share)} of the last {days(window)} are known of container {plain(name)} of {asked.name}; {percent(least)} are"
        " needed.",
        "Find the gaps of the monitoring, wait until they lie behind, or lower min_coverage.",
    )


def _together(grids: Iterable[Mapping[str, Any]], begin: float, end: float) -> float:
    """The share of a window's steps in which some pod is known."""
    steps: set[int] = set()
    width = 300.0
    for grid in grids:
        width = grid["step"]
        offset = (grid["begin"] - begin) / width
        steps.update(
            int(offset + index)
            for index, value in enumerate(grid["values"])
            if not isnan(value) and 0 <= offset + index < (end - begin) / width
        )
    return min(1.0, len(steps) * width / (end - begin)) if end > begin else 0.0
