# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether a workload has been under load for long enough to be worth scaling. Pure: samples and pods in, a verdict out.

Samples, from whatever source: {"step_seconds", "from", "to" (seconds since 1970, clock of the source), "source" (words),
"pods": {pod: {container: [[time, cores or bytes], ...]}}} and, where the source knows them, "restarts": [{"pod", "container", "at"}].
Of a custom figure: "values": [[time, value], ...] and "unit" instead of "pods".

The verdict is plain data:
    verdict         sustained | not_sustained | not_enough_data | no_requests
    reason          one sentence with the figures
    resource        cpu | memory | custom;  threshold: fraction of the request;  window_seconds
    from, to        the window that was judged, as records write times
    utilisation     {current, mean, peak, low}: usage / requests of the counted pods, as the HPA computes it; None where unknown
    usage           {current, mean, peak}: cores, bytes or the custom figure, all counted pods together;  unit: of the custom figure
    request_per_pod cores, bytes, or the custom target;  replicas: pods that neither ended nor are being deleted
    pods            {seen, counted, left_out: [{name, why}], starting}
    share_above     part of the known moments at or above the threshold, 0 to 1
    series          [[seconds since the window began, utilisation]], at most 120
    gaps            [[from, to]] in seconds since the window began;  restarts: [{pod, container, at}];  notes: sentences
    source          words;  observed_seconds: how much of the window is known

The rule: at every moment of the window the usage of all counted pods together is at or above the threshold of what they request. Dips are
tolerated that together make up at most a tenth of the window, none of them longer than a minute (a fifth of a short window), while the mean
stays above. Pods without samples are taken to be idle, so that missing data never makes a load. Anything that cannot be told is
not_enough_data, never a guess.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import Any, Iterable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity import load_words as words
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load_pods import Sorted, moment, sort
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load_series import (
    GAP_STEPS,
    Series,
    grid,
    newest,
    of_pods,
    of_values,
    reaches,
    runs,
    shorten,
)
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import Object
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

Verdict = dict[str, Any]

THRESHOLD = 0.7
WINDOW = 300.0
DIP_SHARE = 0.10  # of the window may lie below the threshold
DIP_SECONDS, DIP_WINDOW = 60.0, 0.2  # and no dip may be longer than this, or than this part of a shorter window
KNOWN_SHARE = 0.8  # of the window has to be known, gaps or not
REFUTES_FROM = 0.5  # from this part of the window on, what is known may show that the rest does not matter
SETTLE, SETTLE_WINDOW = 60.0, 0.2  # after so many seconds of being ready a pod counts for CPU; or this part of a shorter window
FEWEST = 3  # moments that make a series
CLOCKS_APART = 30.0  # seconds between the source's clock and ours, beyond the delay of samples, that no delay explains
_POINTS = 120


def judge(
    samples: Mapping[str, Any],
    pods: Iterable[Object],
    *,
    now: float,
    window_seconds: float = WINDOW,
    threshold: float = THRESHOLD,
    resource: str = "cpu",
    target: float | None = None,
) -> Verdict:
    """Judge the load of one workload.

    pods: its Pod objects as read when the samples ended; now: the cluster's time then (seconds since 1970). target: of a custom figure.
    Raises BadInput for options that make no sense.
    """
    _check(window_seconds, threshold, resource, target)
    step, end = max(float(samples["step_seconds"]), 0.1), float(samples["to"])
    ahead = now - end if abs(now - end) > CLOCKS_APART + GAP_STEPS * step else 0.0  # of the source's clock
    every = list(pods)
    settle = min(SETTLE, SETTLE_WINDOW * window_seconds) if resource == "cpu" else 0.0
    sorted_ = sort(every, resource, end + ahead - window_seconds, end + ahead, settle, _shifted(samples.get("restarts") or (), ahead))
    if ahead:
        sorted_.counted = [dataclasses.replace(one, since=one.since - ahead) for one in sorted_.counted]
    values = samples.get("values") or []
    last = newest(samples, sorted_.counted) if resource != "custom" else max((float(one[0]) for one in values), default=None)
    if last is not None and end - last <= GAP_STEPS * step * 1.001:
        end = last  # what is on its way from the kubelet is no gap
    moments, step = grid(end, window_seconds, step)
    series = of_values(values, target or 1.0, moments, step) if resource == "custom" else of_pods(samples, sorted_.counted, moments, step)
    sorted_.left_out += [
        {"name": one.name, "why": "it has no samples"} for one in sorted_.counted if resource != "custom" and one.name not in series.sampled
    ]
    say = words.Words(resource, threshold, window_seconds, target, str(samples.get("unit") or ""))
    found, reason = _decide(series, sorted_, say)
    return _verdict(found, reason, samples, series, sorted_, say, len(every), ahead)


def _check(window: float, threshold: float, resource: str, target: float | None) -> None:
    if resource not in words.NAMES:
        raise BadInput(f"The resource whose load is judged is {resource!r}.", f"Give one of {', '.join(words.NAMES)}.")
    if not 0 < window < math.inf or not 0 < threshold < math.inf:
        raise BadInput(f"A window of {window:g} s with a threshold of {threshold:g} cannot be judged.", "Give both as positive numbers.")
    if resource == "custom" and not (target and 0 < target < math.inf):
        raise BadInput("A custom figure needs a target above 0.", "Give as target the value that counts as full load of the workload.")


def _shifted(restarts: Iterable[Mapping[str, Any]], ahead: float) -> list[dict[str, Any]]:
    return [{**one, "at": float(one["at"]) + ahead} for one in restarts]


# --- the decision ---------------------------------------------------------------------------------------------------------


def _decide(series: Series, pods: Sorted, say: words.Words) -> tuple[str, str]:
    """(verdict, reason), the first that applies."""
    if say.resource != "custom":
        if not pods.live:
            return "not_enough_data", "The workload has no running pods, so there is no load to judge."
        if pods.without_request:
            return "no_requests", say.without_request(pods.without_request)
        if not pods.counted:
            return "not_enough_data", f"No pod can be counted: {words.left_out(pods.left_out)}."
    if not series.moments:
        return "not_enough_data", say.no_samples(pods.counted)
    if len(series.grid) < FEWEST:
        return "not_enough_data", say.too_coarse(series)
    held, held_at_least = _holds(series, say, lower=False), _holds(series, say, lower=True)
    gaps = series.gaps()
    if gaps or series.known() < KNOWN_SHARE:
        if series.known() >= REFUTES_FROM and _refuted(series, say):
            return "not_sustained", say.below(series)
        return "not_enough_data", say.gaps(series, gaps, pods.counted)
    if held and not held_at_least:
        return "not_enough_data", say.missing(series, len(pods.counted))
    return ("sustained", say.sustained(series, len(series.sampled), pods.live)) if held else ("not_sustained", say.below(series))


def _holds(series: Series, say: words.Words, *, lower: bool) -> bool:
    """The rule, over the known moments. ``lower``: with missing pods taken to be idle."""
    values = [one.at_least if lower else one.utilisation for one in series.moments]
    below = sum(1 for value in values if not reaches(value, say.threshold))
    dips = [run.seconds for run in _runs(series, say, lower) if not run.above]
    whole = below <= DIP_SHARE * len(values) + 1e-9 and max(dips, default=0.0) <= longest_dip(say.window) + 1e-9
    return whole and reaches(statistics.fmean(values), say.threshold)


def _refuted(series: Series, say: words.Words) -> bool:
    """Whether what is known lies below too often for any rest of the window to make up for it."""
    below = sum(1 for one in series.moments if not reaches(one.utilisation, say.threshold))
    return below > DIP_SHARE * len(series.grid) + 1e-9


def longest_dip(window: float) -> float:
    """Seconds that a single dip may take."""
    return min(DIP_SECONDS, DIP_WINDOW * window)


def _runs(series: Series, say: words.Words, lower: bool) -> list[Any]:
    return runs(series.moments, series.step, say.threshold, lambda one: one.at_least if lower else one.utilisation)


# --- the answer -----------------------------------------------------------------------------------------------------------


def _verdict(
    found: str, reason: str, samples: Mapping[str, Any], series: Series, pods: Sorted, say: words.Words, seen: int, ahead: float
) -> Verdict:
    begin, end = series.grid[0], series.grid[-1]
    values, usage = [one.utilisation for one in series.moments], [one.usage for one in series.moments]
    counted = [one for one in pods.counted if one.name in series.sampled]
    requests = [one.request for one in counted or pods.counted]
    above = sum(1 for one in values if reaches(one, say.threshold))
    figures = {
        "current": values[-1] if values else None,
        "mean": statistics.fmean(values) if values else None,
        "peak": max(values, default=None),
        "low": min(values, default=None),
    }
    amounts = {
        "current": usage[-1] if usage else None,
        "mean": statistics.fmean(usage) if usage else None,
        "peak": max(usage, default=None),
    }
    return {
        "verdict": found,
        "reason": reason,
        "resource": say.resource,
        "threshold": say.threshold,
        "window_seconds": say.window,
        "from": moment(begin),
        "to": moment(end),
        "utilisation": {name: None if value is None else round(value, 4) for name, value in figures.items()},
        "usage": {name: None if value is None else round(value, 6) for name, value in amounts.items()},
        "unit": say.unit,
        "request_per_pod": say.target if say.resource == "custom" else (statistics.fmean(requests) if requests else None),
        "replicas": pods.live,
        "pods": {"seen": seen, "counted": len(counted), "left_out": pods.left_out, "starting": pods.starting},
        "share_above": round(above / len(values), 4) if values else 0.0,
        "series": shorten(series.moments, begin, _POINTS),
        "gaps": [[round(left - begin, 1), round(right - begin, 1)] for left, right in series.gaps()],
        "restarts": pods.restarts,
        "notes": _notes(series, pods, say, requests, ahead),
        "source": str(samples.get("source") or ""),
        "observed_seconds": round(series.known() * say.window, 1),
    }


def _notes(series: Series, pods: Sorted, say: words.Words, requests: list[float], ahead: float) -> list[str]:
    begin = series.grid[0]
    late = [one.name for one in pods.counted if one.since > begin + series.step and one.name in series.sampled]
    partly = [name for name in series.missing if name in series.sampled and series.missing[name] > GAP_STEPS]
    current = series.moments[-1] if series.moments else None
    say_of = [
        (late, "{names} became ready within the window and {counts} from then on."),
        (partly, "{names} {has} no samples for part of the window; taken to be idle there."),
        (pods.unready, "{names} {is_} not ready now, but {was}, and {counts}, as for the HPA."),
    ]
    notes = [text.format(**words.grammar(many)) for many, text in say_of if many]
    if len(set(requests)) > 1:
        notes.append("The counted pods request different amounts; request_per_pod is their mean.")
    if series.unusable:
        notes.append(
            f"{words.count(series.unusable, 'sample')} {words.plural(series.unusable, 'was', 'were')} no usable number and left out."
        )
    if ahead:
        apart = f"{abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'}"
        notes.append(f"The source's clock is {apart} the cluster's; the times here are the source's.")
    if pods.starting and current is not None and say.resource != "custom" and reaches(current.utilisation, say.threshold):
        counted = len([one for one in pods.counted if one.name in series.sampled])
        share = say.share(current.utilisation * counted / (counted + pods.starting))
        more, them = words.count(pods.starting, "more pod"), words.plural(pods.starting, "it", "them")
        notes.append(f"{more} {words.plural(pods.starting, 'is', 'are')} starting: shared with {them}, the load of now would be {share}.")
    return notes
