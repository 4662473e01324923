# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What we say fits, and what the real scheduler places: twelve of the generated cases of tests/bench/placement_cases.py, all staged at once.

``make bench`` runs all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench import placement, placement_cases
from tests.cluster import Cluster

THEMES = (
    "taints",
    "kept_away",
    "near_themselves",
    "over_zones",
    "over_both",
    "ports",
    "quota",
    "limit_range",
    "volumes_of_first",
    "init_and_sidecar",
    "storage_and_ruin",
    "mixed",
)
ROUND = 3  # of the themes: another than the benchmark's first


@pytest.fixture(scope="module")
def outcomes(cluster: Cluster) -> Iterator[dict[str, placement.Outcome]]:
    known = [one.__name__ for one in placement_cases.THEMES]
    cases = [placement_cases.case(ROUND * len(known) + known.index(name)) for name in THEMES]
    try:
        yield {one.case.theme: one for one in placement.run(cluster, cases)}
    finally:
        placement.clean_shared(cluster)


@pytest.mark.parametrize("theme", THEMES)
def test_the_scheduler_places_what_we_said(outcomes: dict[str, placement.Outcome], theme: str) -> None:
    one = outcomes[theme]
    assert one.said["fits"] == one.placed, placement.words(one)
    assert (one.said["binds_first"] is None) is (one.placed == one.case.replicas)
