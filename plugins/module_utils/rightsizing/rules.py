# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What one container gets, from its figures (see usage.py) and what it has. Cores and bytes; every number that counted is in a sentence.

A request lies above p95 by more than the margin; memory also above the highest that was seen, because what is beyond a limit is killed.
Values are whole steps, rounded up. A value that differs little from what is there stays, unless that is too low. Pure; nothing raises.
"""

from __future__ import annotations

import math
from typing import Any, Mapping, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import fit, quantity
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.resources import Held
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.words import cores, percent, size

DEFAULTS: dict[str, Any] = {
    "margin_percent": 30,
    "memory_peak_percent": 10,
    "cpu_floor": "10m",
    "memory_floor": "32Mi",
    "cpu_step": "5m",
    "memory_step": "1Mi",
    "min_change_percent": 10,
    "cpu_limit": "keep",
    "memory_limit": "size",
    "oom_percent": 25,
}
_TINY = 1e-9
_OFTEN = 2.0  # times the request: beyond it usage is worth a sentence
_THROTTLED = 0.05  # of the periods


class Rules(NamedTuple):
    """The options as factors, cores and bytes."""

    margin: float
    peak: float
    oom: float
    least_change: float
    cpu_floor: float
    memory_floor: float
    cpu_step: int  # thousandths of a core
    memory_step: float
    cpu_limit: str
    memory_limit: str


class Sized(NamedTuple):
    """``refused``: why it stays as it is all the same. ``low_request``, ``low_limit``: the least that the rules allow."""

    request: float | None
    limit: float | None
    formula: list[str]
    warnings: list[str]
    refused: str = ""
    low_request: float = 0.0
    low_limit: float = 0.0


def rules_of(options: Mapping[str, Any]) -> Rules:
    chosen = {**DEFAULTS, **{key: value for key, value in options.items() if key in DEFAULTS and value is not None}}
    return Rules(
        margin=1 + float(chosen["margin_percent"]) / 100,
        peak=1 + float(chosen["memory_peak_percent"]) / 100,
        oom=1 + float(chosen["oom_percent"]) / 100,
        least_change=float(chosen["min_change_percent"]) / 100,
        cpu_floor=fit.size(chosen["cpu_floor"]),
        memory_floor=fit.size(chosen["memory_floor"]),
        cpu_step=max(1, math.ceil(fit.size(chosen["cpu_step"]) * 1000 - _TINY)),
        memory_step=max(1.0, fit.size(chosen["memory_step"])),
        cpu_limit=str(chosen["cpu_limit"]),
        memory_limit=str(chosen["memory_limit"]),
    )


def cpu_text(value: float) -> str:
    return quantity.cpu(value + 1e-7)  # thousandths are no binary fractions, and the text is cut off


def memory_text(value: float) -> str:
    """As it is written into a template: exact."""
    return quantity.memory(value) if value % 2**20 == 0 else f"{math.ceil(value)}"


def memory_words(value: float) -> str:
    """As it stands in a sentence: 1Gi, 131Mi; 953.7Mi for what was declared as 1G."""
    return quantity.memory(value) if value % 2**20 == 0 else size(value)


def keeps(old: float | None, new: float, rules: Rules) -> bool:
    """Whether the difference is too small to be worth a rollout."""
    return old is not None and old > 0 and abs(new - old) < rules.least_change * old - _TINY or old == new


def _cpu_steps(value: float, rules: Rules, above: bool = False) -> float:
    """The next step at or above a value; with ``above`` strictly above."""
    number = max(1, math.ceil(value * 1000 / rules.cpu_step - 1e-6))
    while above and number * rules.cpu_step / 1000 <= value * (1 + _TINY):
        number += 1
    return number * rules.cpu_step / 1000


def _memory_steps(value: float, rules: Rules, above: bool = False) -> float:
    """As it will be written: whole steps, and whole Mi."""
    number = max(1, math.ceil(value / rules.memory_step - 1e-6))  # a byte or so: 110 x 1.3 is 143.00000000000003
    while above and number * rules.memory_step <= value * (1 + _TINY):
        number += 1
    return float(2**20 * math.ceil(number * rules.memory_step / 2**20))


# --- CPU --------------------------------------------------------------------------------------------------------------------


def cpu(name: str, now: Held, seen: Mapping[str, Any], rules: Rules, floor: float, guaranteed: bool) -> Sized:
    """``floor``: a lower bound from outside, such as an autoscaler's; ``guaranteed``: request and limit have to stay equal."""
    low = seen["p95"] * rules.margin
    request = max(_cpu_steps(low, rules, above=True), _cpu_steps(rules.cpu_floor, rules), _cpu_steps(floor, rules))
    words = f"p95 {cores(seen['p95'])} x {rules.margin:g} = {cores(low)}"
    if guaranteed and _cpu_steps(seen["max"], rules) > request:
        request = _cpu_steps(seen["max"], rules)
        words += f", and the highest {cores(seen['max'])}, because the limit is the same (QoS class Guaranteed)"
    if max(rules.cpu_floor, floor) > low:
        words += f", and at least {cores(max(rules.cpu_floor, floor))}" + (" for the autoscaler" if floor > rules.cpu_floor else "")
    computed = request
    if keeps(now.request, request, rules) and (now.request or 0.0) >= floor - _TINY:
        request = now.request or request
    formula = [
        f"{name}, CPU request: {words}, rounded up to {cpu_text(computed)}{_now(now.request, request, computed, cores, rules)}"
        f" (p50 {cores(seen['p50'])}, p99 {cores(seen['p99'])}, highest {cores(seen['max'])}; {_basis(seen)})."
    ]
    limit, said = _cpu_limit(now, request, rules, guaranteed)
    formula.append(f"{name}, CPU limit: {said}.")
    return Sized(request, limit, formula, _cpu_warnings(name, request, limit, seen), low_request=low)


def _cpu_limit(now: Held, request: float, rules: Rules, guaranteed: bool) -> tuple[float | None, str]:
    old = now.limit
    if guaranteed:
        return request, f"{cpu_text(request)}, as the request (QoS class Guaranteed stays)"
    if old is None:
        return None, "none, as declared"
    if not now.bounds:  # a LimitRange supplies it to every pod that declares none
        if old >= request - _TINY:
            return old, f"none is declared; {cpu_text(old)} is supplied by a LimitRange"
        return request, f"{cpu_text(request)}: the {cpu_text(old)} that a LimitRange supplies are below the new request"
    if rules.cpu_limit == "remove":
        return None, f"removed (was {cpu_text(old)}; policy remove)"
    if rules.cpu_limit == "ratio" and now.request and abs(request - now.request) > _TINY:
        limit = max(request, _cpu_steps(old / now.request * request, rules))
        return limit, f"{old / now.request:.3g} times the request, as before: {cpu_text(limit)} (was {cpu_text(old)}; policy ratio)"
    if old < request - _TINY:
        return request, f"raised to the request, {cpu_text(request)} (was {cpu_text(old)})"
    return old, f"{cpu_text(old)} as declared (policy {rules.cpu_limit})"


def _cpu_warnings(name: str, request: float, limit: float | None, seen: Mapping[str, Any]) -> list[str]:
    found, start = [], seen.get("start_peak")
    high = [f"{word} {cores(seen[key])}" for key, word in (("p99", "p99"), ("max", "highest")) if limit is not None and seen[key] > limit]
    if high and limit is not None:
        found.append(f"{name}: CPU would be throttled at the new limit of {cpu_text(limit)}: {', '.join(high)}.")
    elif seen["max"] > _OFTEN * request + _TINY:
        found.append(
            f"{name}: CPU reached {cores(seen['max'])} (p99 {cores(seen['p99'])}), {seen['max'] / request:.1f} times the request of"
            f" {cpu_text(request)}, such as in a batch or a spike. Beyond its request it gets what its node has to spare."
        )
    if limit is not None and start is not None and start > limit:
        found.append(f"{name}: a start used {cores(start)} of CPU, more than the new limit of {cpu_text(limit)}: starts would take longer.")
    if (seen.get("throttled") or 0.0) >= _THROTTLED:
        found.append(
            f"{name}: it was throttled in {percent(seen['throttled'])} of the periods: its limit hides what it would use, so that it may"
            " need more than the figures say."
        )
    return found


# --- memory -----------------------------------------------------------------------------------------------------------------


def memory(name: str, now: Held, seen: Mapping[str, Any], rules: Rules, guaranteed: bool) -> Sized:
    """With a leak it stays as it is: no figure of the past says what a leak needs tomorrow."""
    killed = _at_kills(now, seen)
    low = max(seen["p95"] * rules.margin, seen["max"] * rules.peak)
    low_limit = max(seen["max"] * rules.margin, (killed or 0.0) * rules.oom)
    if seen.get("leak"):
        why = seen["leak"]["sentence"]
        if now.limit is not None:
            left = max(0.0, now.limit - seen["max"]) / seen["leak"]["per_day"]
            why += f" At this pace it reaches its limit of {memory_words(now.limit)} in {left:.0f} days."
        said = f"{name}, memory: left as it is, because it rises steadily. {why}"
        return Sized(now.request, now.limit, [said], [], why, now.request or 0.0, now.limit or 0.0)
    request = max(
        _memory_steps(seen["p95"] * rules.margin, rules, above=True), _memory_steps(low, rules), _memory_steps(rules.memory_floor, rules)
    )
    words = (
        f"the larger of p95 {size(seen['p95'])} x {rules.margin:g} = {size(seen['p95'] * rules.margin)} and the highest {size(seen['max'])}"
        f" x {rules.peak:g} = {size(seen['max'] * rules.peak)}"
    )
    if rules.memory_floor > low:
        words += f", at least {size(rules.memory_floor)}"
    if killed:
        request = max(request, _memory_steps(killed * rules.oom, rules))
        words += f", at least {size(killed)} x {rules.oom:g}, because it was killed for lack of memory at that limit"
    if guaranteed:
        return _memory_equal(name, now, seen, rules, request, low_limit, words)
    computed = request
    if keeps(now.request, request, rules) and (now.request or 0.0) >= max(seen["max"], (killed or 0.0) * rules.oom):
        request = now.request or request
    limit, said = _memory_limit(now, request, seen, rules, low_limit)
    formula = [
        (
            f"{name}, memory request: {words}, rounded up to {memory_words(computed)}{_now(now.request, request, computed, size, rules)}"
            f" (p50 {size(seen['p50'])}, p99 {size(seen['p99'])}; {_basis(seen)})."
        ),
        f"{name}, memory limit: {said}.",
    ]
    return Sized(request, limit, formula, [], "", low, low_limit)


def _memory_equal(name: str, now: Held, seen: Mapping[str, Any], rules: Rules, request: float, low_limit: float, words: str) -> Sized:
    """One value for both."""
    needed = max(request, _memory_steps(low_limit, rules))
    value, why = _not_lowered(now.limit, needed, seen, rules)
    if keeps(now.limit, value, rules) and (now.limit or 0.0) >= low_limit / rules.margin * rules.peak and not _below_kill(now, seen, rules):
        value = now.limit or value
    said = (
        f"{name}, memory request and limit are one (QoS class Guaranteed stays): {words}, and the highest {size(seen['max'])} x"
        f" {rules.margin:g} = {size(seen['max'] * rules.margin)}, rounded up to {memory_words(needed)}"
        f"{why or _now(now.limit, value, needed, size, rules)} (p50 {size(seen['p50'])}, p99 {size(seen['p99'])}; {_basis(seen)})."
    )
    return Sized(value, value, [said], [], "", low_limit, low_limit)


def _memory_limit(now: Held, request: float, seen: Mapping[str, Any], rules: Rules, low: float) -> tuple[float | None, str]:
    if now.limit is None:
        return None, "none, as declared"
    needed = max(_memory_steps(low, rules), request)
    words = f"the highest {size(seen['max'])} x {rules.margin:g} = {size(seen['max'] * rules.margin)}"
    if low > seen["max"] * rules.margin + _TINY:
        words += f", at least {size(low)} after it was killed for lack of memory"
    words += f", not below the request, rounded up to {memory_words(needed)}"
    if not now.bounds:
        if now.limit >= needed:
            return now.limit, f"none is declared; {memory_words(now.limit)} is supplied by a LimitRange, and {words} is enough"
        return needed, f"{words}: the {memory_words(now.limit)} that a LimitRange supplies are too little"
    value, why = _not_lowered(now.limit, needed, seen, rules)
    enough = now.limit >= max(request, seen["max"] * rules.peak) and not _below_kill(now, seen, rules)
    if keeps(now.limit, value, rules) and enough:
        value = now.limit
    return value, f"{words}{why or _now(now.limit, value, needed, size, rules)}"


def _not_lowered(old: float | None, needed: float, seen: Mapping[str, Any], rules: Rules) -> tuple[float, str]:
    """(the value, why it is not lower)."""
    if old is None or needed >= old:
        return needed, ""
    if rules.memory_limit == "keep":
        return old, f"; {memory_words(old)} stays as declared (policy keep)"
    if not seen.get("start_seen"):
        why = seen.get("start_unseen") or "no start lies within the history"
        return old, f"; {memory_words(old)} stays: {why}, and a start may need more than what was seen"
    return needed, ""


def _at_kills(now: Held, seen: Mapping[str, Any]) -> float | None:
    """The highest limit at which it was killed for lack of memory; where that was not recorded, the limit that is there."""
    if not seen.get("ooms"):
        return None
    return float(seen["oom_limit"]) if seen.get("oom_limit") else now.limit


def _below_kill(now: Held, seen: Mapping[str, Any], rules: Rules) -> bool:
    killed = _at_kills(now, seen)
    return killed is not None and (now.limit or 0.0) < killed * rules.oom


# --- words ------------------------------------------------------------------------------------------------------------------


def _now(old: float | None, new: float, computed: float, words: Any, rules: Rules) -> str:
    if old is None:
        return "; none is set now"
    if new == old and old != computed:
        return f"; the present {words(old)} differ by less than {percent(rules.least_change)} and stay"
    return f"; now {words(old)}"


def _basis(seen: Mapping[str, Any]) -> str:
    return f"{seen['pods']} pod{'' if seen['pods'] == 1 else 's'}, {seen['samples']:,} points"
