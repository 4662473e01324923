# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The history replayed against new requests and limits: how often each would have been reached, and what was left. Cores and bytes.

``replay(found, recommendation)``: found is the workload's part of a history, recommendation what sizing.size gave. The answer:

    containers  {name: {"cpu": {steps, above_request, above_new_limit, above_old_limit, throttled_share (of the steps, above the new limit),
                headroom_p95 (1 - p95 / new request)}, "memory": {steps, above_request, above_new_limit, above_old_limit, headroom_least,
                headroom_p50, against ("limit" or "request": what headroom is measured against)}}}; a resource without series is None
    sentences, would_oom, would_throttle (steps)

A step of a memory series holds the highest of its time, one of CPU the mean: shorter bursts do not show. Steps count once for each
pod. What was capped by the old limit could not show more than it. Pure; nothing raises.
"""

from __future__ import annotations

from bisect import bisect_right
from math import isnan
from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import span
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.rules import cpu_text, memory_words
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.words import days, percent

Object = dict[str, Any]
_SAME = 1e-9  # a value on the limit is not above it


class _Steps(NamedTuple):
    """All known values, lowest first; of how many pods, over how long, with which step."""

    values: Sequence[float]
    pods: int
    seconds: float
    step: float

    def above(self, bound: float | None) -> int:
        return 0 if bound is None else len(self.values) - bisect_right(self.values, bound * (1 + _SAME))

    def at(self, fraction: float) -> float:
        """A percentile, interpolated as Prometheus does."""
        place = fraction * (len(self.values) - 1)
        low = int(place)
        after = self.values[min(low + 1, len(self.values) - 1)]
        return self.values[low] + (place - low) * (after - self.values[low])

    def words(self) -> str:
        return f"{days(self.seconds)} ({len(self.values):,} steps of {span(self.step)}, {self.pods} pod{'' if self.pods == 1 else 's'})"


def replay(found: Mapping[str, Any], recommendation: Mapping[str, Any]) -> Object:
    """See the module's description."""
    result: Object = {"containers": {}, "sentences": [], "would_oom": 0, "would_throttle": 0}
    for container in recommendation.get("containers") or ():
        usages = (found.get("containers") or {}).get(container["name"]) or {}
        memory, cpu = (_pooled(usages, f"{resource}_series") for resource in ("memory", "cpu"))
        one = {"cpu": _cpu(container, cpu, result) if cpu else None, "memory": _memory(container, memory, result) if memory else None}
        result["containers"][container["name"]] = one
        result["would_oom"] += (one["memory"] or {}).get("above_new_limit", 0)
        result["would_throttle"] += (one["cpu"] or {}).get("above_new_limit", 0)
    return result


def _pooled(usages: Mapping[str, Object], name: str) -> _Steps | None:
    """One sort for all that is asked afterwards."""
    grids = [one[name] for one in usages.values() if one.get(name)]
    values: list[float] = []
    pods = 0
    for grid in grids:
        known = [value for value in grid["values"] if not isnan(value)]
        values += known
        pods += bool(known)
    if not values:
        return None
    begin = min(grid["begin"] for grid in grids)
    end = max(grid["begin"] + grid["step"] * len(grid["values"]) for grid in grids)
    values.sort()
    return _Steps(values, pods, end - begin, grids[0]["step"])


def _counts(steps: _Steps, values: Mapping[str, Sequence[float | None]]) -> Object:
    return {
        "steps": len(steps.values),
        "above_request": steps.above(values["request"][1]),
        "above_new_limit": steps.above(values["limit"][1]),
        "above_old_limit": steps.above(values["limit"][0]),
    }


def _memory(container: Mapping[str, Any], steps: _Steps, result: Object) -> Object:
    values = container["memory"]
    found = _counts(steps, values)
    request, limit = values["request"][1], values["limit"][1]
    which = _which(values["limit"])
    bound = limit if limit is not None else request
    found["against"] = "limit" if limit is not None else "request"
    found["headroom_least"] = 1 - steps.values[-1] / bound if bound else None
    found["headroom_p50"] = 1 - steps.at(0.5) / bound if bound else None
    name, many = plain(container["name"]), found["above_new_limit"]
    left = "" if found["headroom_least"] is None else f"; least headroom {percent(found['headroom_least'])}"
    if limit is None:
        said = f"memory of {name} has no limit, so that it would not have been killed at one"
        said += (
            f"; against its request of {memory_words(request)} the least headroom was {percent(found['headroom_least'])}" if request else ""
        )
    elif many:
        said = f"memory of {name} would have been above {which} limit of {memory_words(limit)} in {many:,} steps: it would have been killed"
    else:
        said = f"memory of {name} would never have been above {which} limit of {memory_words(limit)}{left}"
    result["sentences"].append(f"In {steps.words()} {said}{_over('request', found, request)}.")
    return found


def _cpu(container: Mapping[str, Any], steps: _Steps, result: Object) -> Object:
    values = container["cpu"]
    found = _counts(steps, values)
    request, limit = values["request"][1], values["limit"][1]
    many, which = found["above_new_limit"], _which(values["limit"])
    found["throttled_share"] = many / len(steps.values)
    found["headroom_p95"] = 1 - steps.at(0.95) / request if request else None
    name = plain(container["name"])
    if limit is None:
        said = f"CPU of {name} has no limit, so that nothing would have throttled it"
    elif many:
        said = (
            f"CPU of {name} would have been throttled in {many:,} steps ({percent(found['throttled_share'])}) at the new limit of"
            f" {cpu_text(limit)}"
        )
    else:
        said = (
            f"the mean CPU of a step of {name} would never have been above {which} limit of {cpu_text(limit)}; shorter bursts do not show"
        )
    if found["headroom_p95"] is not None and request:
        said += f"; p95 leaves {percent(found['headroom_p95'])} of the request of {cpu_text(request)}"
    result["sentences"].append(f"In {steps.words()} {said}{_over('request', found, request)}.")
    return found


def _which(pair: Sequence[float | None]) -> str:
    return "its" if pair[0] == pair[1] else "the new"


def _over(what: str, found: Mapping[str, Any], bound: float | None) -> str:
    share = found["above_request"] / found["steps"]
    return f"; above its {what} in {found['above_request']:,} steps ({percent(share)})" if bound and found["above_request"] else ""
