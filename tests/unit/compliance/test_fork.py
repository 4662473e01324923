# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Two processes give what one gives, in the same order, and a child that dies costs time only."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.compliance import fork


def squares(items: Sequence[int]) -> list[tuple[int, int]]:
    return [(one * one, os.getpid()) for one in items]


@pytest.mark.parametrize("count", [0, 1, fork.FEW - 1, fork.FEW, 1001])
def test_order(count: int) -> None:
    made = fork.spread(range(count), squares)
    assert [one for one, _process in made] == [one * one for one in range(count)]
    two = count >= fork.FEW and (os.cpu_count() or 1) > 1
    assert len({process for _one, process in made}) == (2 if two else min(count, 1))


def test_much_data() -> None:
    made = fork.spread(range(100), lambda items: ["x" * 200_000 for _one in items])
    assert len(made) == 100


def test_a_child_that_dies() -> None:
    here = os.getpid()

    def work(items: Sequence[int]) -> list[int]:
        if os.getpid() != here:
            os._exit(3)
        return list(items)

    assert fork.spread(range(100), work) == list(range(100))


def test_an_error_is_raised_here() -> None:
    def work(items: Sequence[int]) -> list[int]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fork.spread(range(100), work)
