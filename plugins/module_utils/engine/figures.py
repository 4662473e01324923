# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Numbers that a question asks for besides an opinion, each within bounds that our own code has computed.

Of a question: {name: {"what": words, "ours": number, "low": number, "high": number}}. Of an opinion: {name: number}. A number beyond the
bounds becomes the nearest bound, with a remark that names what was said. Nothing executes it: workflows compare it with theirs.
"""

from __future__ import annotations

import math
import re
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

Clean = Callable[[str], str]
Figures = dict[str, float]

MOST = 20  # figures of one question
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NUMBERS = ("ours", "low", "high")
_SHOWN = 32  # characters of what a model said, in a remark
_NAMED = 5  # unknown names that a remark lists


def check(question: Mapping[str, Any]) -> None:
    """Raises BadInput where the figures of a question are not as the docstring above says."""
    given = question.get("figures") or {}
    where = f"questions: {question.get('id')}: figures"
    if len(given) > MOST:
        raise BadInput(f"{where}: {len(given)} are too many.", f"Ask for {MOST} at most.")
    for name, figure in given.items():
        if not _NAME.fullmatch(str(name)):
            raise BadInput(f"{where}: {str(name)[:80]!r} is no name.", "Use lower case letters, digits and '_'.")
        if (
            not isinstance(figure, Mapping)
            or not isinstance(figure.get("what"), str)
            or not all(number(figure.get(one)) is not None and not isinstance(figure.get(one), str) for one in _NUMBERS)
        ):
            raise BadInput(f"{where}: {name} lacks something.", "Each has what (words), and the numbers ours, low and high.")
        if not figure["low"] <= figure["high"]:
            raise BadInput(f"{where}: {name} has low {figure['low']} and high {figure['high']}.", "low must not exceed high.")


def number(value: Any) -> float | None:
    """A number as it is, or as text; None for anything else, such as true, infinity and words."""
    if isinstance(value, str):
        try:
            value = int(value[:_SHOWN]) if re.fullmatch(r"\s*[+-]?\d+\s*", value) else float(value[:_SHOWN])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def read(given: Any, question: Mapping[str, Any], clean: Clean) -> tuple[Figures | None, list[str]]:
    """(the numbers of an answer as far as they were asked for, or None without any; remarks)."""
    asked = question.get("figures") or {}
    if given is None or not asked:
        return None, []
    if not isinstance(given, Mapping):
        return None, ["figures must be an object, dropped"]
    found: Figures = {}
    remarks = []
    unknown = [_short(name, clean) for name in given if name not in asked]
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        remarks.append(f"figures that were not asked for, dropped: {', '.join(unknown[:_NAMED])}{more}")
    for name, figure in asked.items():
        said = given.get(name)
        if said is None:
            continue
        value = number(said)
        if value is None:
            remarks.append(f"figures: {name} must be a number, dropped: {_short(said, clean)}")
            continue
        found[name], remark = _within(value, figure)
        if remark:
            remarks.append(f"figures: {name}: {remark}")
    return found or None, remarks


def _within(value: float, figure: Mapping[str, Any]) -> tuple[float, str]:
    """The nearest number that is allowed, and what to know about it. Where ours are whole, it is whole."""
    low, high = figure["low"], figure["high"]
    if not low <= value <= high:
        kept = low if value < low else high
        return kept, f"the engine said {str(value)[:_SHOWN]}, which is not within {low} and {high}; {kept} is kept"
    whole = all(isinstance(figure[name], int) for name in _NUMBERS)
    if whole and value != int(value):
        return round(value), f"the engine said {str(value)[:_SHOWN]}; {round(value)} is kept"
    return (int(value) if whole else value), ""


def _short(value: Any, clean: Clean) -> str:
    text = clean(str(value)[: _SHOWN * 20])
    return "".join(char for char in text if char.isprintable())[:_SHOWN]
