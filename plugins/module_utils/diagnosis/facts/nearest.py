# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Names that are nearly the same: a typo is the likeliest reason why something named does not exist."""

from __future__ import annotations

import difflib
from typing import Iterable

_ALIKE = 0.75  # of difflib's ratio, below which names have little to do with each other
_CLEAR = 0.05  # by which the nearest must be nearer than the next


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that ``name`` was meant to be; empty where none is near, or two are."""
    ranked = sorted(
        ((difflib.SequenceMatcher(None, name.lower(), one.lower()).ratio(), one) for one in set(known) if one != name), reverse=True
    )
    if not ranked or ranked[0][0] < _ALIKE or (len(ranked) > 1 and ranked[0][0] - ranked[1][0] < _CLEAR):
        return ""
    return ranked[0][1]
