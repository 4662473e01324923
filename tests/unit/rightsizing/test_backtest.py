# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The replay of a history: counted here by plain loops as well, and its sentences."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import backtest, sizing, usage

from tests.unit.rightsizing import generated
from tests.unit.rightsizing.generated import KINDS, MI, NAME
from tests.unit.rightsizing.test_usage import STEPS, found, one_pod

Object = dict[str, Any]


def advice(memory: tuple[float | None, ...], cpu: tuple[float | None, ...]) -> Object:
    """(request before, after, limit before, after) of each."""
    pairs = {name: {"request": list(values[:2]), "limit": list(values[2:])} for name, values in (("memory", memory), ("cpu", cpu))}
    return {"containers": [{"name": NAME, **pairs}]}


USED = [50.0 * MI] * (STEPS - 10) + [120.0 * MI] * 10
BUSY = [0.05] * (STEPS - 20) + [0.4] * 20
HISTORY = found(web=one_pod(USED, BUSY), more=one_pod([float("nan")] * 2000 + [60.0 * MI] * (STEPS - 2000), [0.05] * STEPS))


def test_what_would_have_been_reached() -> None:
    result = backtest.replay(HISTORY, advice((200 * MI, 55 * MI, 300 * MI, 100 * MI), (0.5, 0.1, 1.0, 0.3)))
    memory, cpu = result["containers"][NAME]["memory"], result["containers"][NAME]["cpu"]
    assert memory["steps"] == 2 * STEPS - 2000
    assert (memory["above_request"], memory["above_new_limit"], memory["above_old_limit"]) == (10 + STEPS - 2000, 10, 0)
    assert memory["headroom_least"] == pytest.approx(-0.2) and memory["headroom_p50"] == pytest.approx(0.5)
    assert (cpu["above_new_limit"], cpu["above_request"], cpu["throttled_share"]) == (20, 20, 20 / (2 * STEPS))
    assert cpu["headroom_p95"] == pytest.approx(0.5)
    assert (result["would_oom"], result["would_throttle"]) == (10, 20)
    said = " ".join(result["sentences"])
    assert "would have been above the new limit of 100Mi in 10 steps: it would have been killed" in said
    assert "In 8 days (2,608 steps of 5 min, 2 pods)" in said and "throttled in 20 steps" in said


def test_what_would_not_have_been_reached() -> None:
    said = backtest.replay(HISTORY, advice((200 * MI, 100 * MI, 300 * MI, 160 * MI), (0.5, 0.4, 1.0, 0.4)))["sentences"]
    assert "would never have been above the new limit of 160Mi; least headroom 25 %" in said[0] or "least headroom 25 %" in said[1], said
    assert any("shorter bursts do not show" in one for one in said)


def test_without_limits() -> None:
    result = backtest.replay(HISTORY, advice((None, 100 * MI, None, None), (None, None, None, None)))
    memory, cpu = result["containers"][NAME]["memory"], result["containers"][NAME]["cpu"]
    assert memory["against"] == "request" and memory["headroom_least"] == pytest.approx(-0.2)
    assert cpu["headroom_p95"] is None and result["would_oom"] == result["would_throttle"] == 0
    assert any("has no limit" in one for one in result["sentences"])


def test_what_lies_on_a_limit_is_not_above_it() -> None:
    result = backtest.replay(found(web=one_pod([100.0 * MI] * STEPS)), advice((1.0, 100 * MI, 1.0, 100 * MI), (0.1, 0.1, 0.1, 0.1)))
    assert result["would_oom"] == result["would_throttle"] == 0


@pytest.mark.parametrize("history", [{}, found(), {"containers": {}}])
def test_without_a_history(history: Object) -> None:
    result = backtest.replay(history, advice((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0)))
    assert result["containers"] == {NAME: {"cpu": None, "memory": None}} and result["sentences"] == []
    assert backtest.replay(history, {"containers": []})["containers"] == {}


@pytest.mark.parametrize("kind", KINDS)
def test_as_a_plain_loop_counts(kind: str) -> None:
    one = generated.case(kind, 3, generated.STEP)
    recommendation = sizing.size(one.subject, usage.combined(one.found, one.subject, generated.history()), {})
    result = backtest.replay(one.found, recommendation)["containers"][NAME]
    for resource, left in (("memory", "headroom_p50"), ("cpu", "headroom_p95")):
        values = [value for pod in one.found["containers"][NAME].values() for value in pod[f"{resource}_series"]["values"] if not math.isnan(value)]
        request, limit = (recommendation["containers"][0][resource][part][1] for part in ("request", "limit"))
        assert result[resource]["steps"] == len(values)
        assert result[resource]["above_new_limit"] == sum(value > limit for value in values)
        assert result[resource]["above_request"] == sum(value > request for value in values)
        middle = statistics.median(values) if resource == "memory" else float(np.percentile(values, 95))
        assert result[resource][left] == pytest.approx(1 - middle / (limit if resource == "memory" else request))
