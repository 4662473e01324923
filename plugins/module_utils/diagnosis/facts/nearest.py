# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Names that are nearly the same: a typo is the likeliest reason why something named does not exist."""

from __future__ import annotations

import difflib
import re
from typing import Iterable

_ALIKE = 0.75  # of difflib's ratio, below which names have little to do with each other
_SWAPPED = 0.95
_NUMBERED = re.compile(r"\d+[a-z]?|(?<=-)[a-z]$")
_CLEAR = 0.05  # by which the nearest must be nearer than the next


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that ``name`` was meant to be; empty where none is near, or two are."""
    ranked = sorted(((_likeness(name.lower(), one.lower()), one) for one in set(known) if one != name), reverse=True)
    if not ranked or ranked[0][0] < _ALIKE or (len(ranked) > 1 and ranked[0][0] - ranked[1][0] < _CLEAR):
        return ""
    return ranked[0][1]


def _likeness(one: str, other: str) -> float:
    """difflib's ratio. Two neighbouring letters that changed places are nearly the same, however short the name; names that differ in a number, or
    in a last letter that counts (zone a, zone b), are two names and no typo."""
    if _NUMBERED.sub("", one) == _NUMBERED.sub("", other):
        return 0.0
    differing = [position for position, pair in enumerate(zip(one, other)) if pair[0] != pair[1]]
    swapped = len(one) == len(other) and len(differing) == 2 and differing[1] == differing[0] + 1
    if swapped and one[differing[0]] == other[differing[1]] and one[differing[1]] == other[differing[0]]:
        return _SWAPPED
    return difflib.SequenceMatcher(None, one, other).ratio()
