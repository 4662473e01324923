# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The start-up time of pods: measured where it can be told, assumed and said so where not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.startup import startup

from tests.unit.capacity.scaled import container, merged, objects, pod, workload


def test_median_and_worst_of_its_pods() -> None:
    found = startup(workload(), objects(pod(1, 0, 8), pod(2, 100, 112), pod(3, 200, 240)))
    assert (found["median"], found["worst"], found["seconds"], found["pods"], found["measured"]) == (12, 40, 40, 3, True)
    assert "12 s" in found["sentence"] and "40 s at worst" in found["sentence"]


def test_image_pulls_are_taken_out_where_events_tell_them() -> None:
    event = {
        "reason": "Pulled",
        "message": 'Successfully pulled image "app:1" in 1m2.5s (1m2.5s including waiting).',
        "involvedObject": {"uid": "p1"},
    }
    found = startup(workload(), objects(pod(1, 0, 72, pull=63), events=[event]))
    assert (found["pull"], found["seconds"]) == (62.5, 9.5) and "up to 62 s" in found["notes"][1]
    assert startup(workload(), objects(pod(1, 0, 72), events=[{**event, "message": "Successfully pulled image x in 1..2s"}]))["seconds"] > 60


LEFT_OUT: dict[str, tuple[Any, str]] = {
    "restarted": (pod(1, 0, 900, restarts=2), "later start"),
    "not ready": (merged(pod(1), {"status": {"conditions": []}}), "is not ready"),
    "ready again": (pod(1, 0, 40000), "ready again"),
    "backwards": (pod(1, 100, 50), "contradict"),
    "no times": (merged(pod(1), {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}), "no times"),
    "times that are none": (
        merged(pod(1), {"status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "\x1b[2J"}]}}),
        "no times",
    ),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_pod_that_tells_nothing_is_left_out_and_named(name: str) -> None:
    one, why = LEFT_OUT[name]
    found = startup(workload(), objects(one, pod(2, 0, 5)))
    assert found["left_out"][0]["name"] == "web-1" and why in found["left_out"][0]["why"] and found["seconds"] == 5
    assert startup(workload(), objects(one))["measured"] is False


ASSUMED = [
    ({}, 30.0, "no probes"),
    ({"readinessProbe": {"initialDelaySeconds": 20, "periodSeconds": 5}}, 30.0, "25 s until readiness"),
    ({"startupProbe": {"periodSeconds": 10, "failureThreshold": 30}}, 155.0, "5 min allowed"),
    ({"readinessProbe": {"initialDelaySeconds": "soon"}}, 15.0, "10 s until readiness"),
]


@pytest.mark.parametrize(("probes", "seconds", "words"), ASSUMED)
def test_without_pods_the_probes_count_and_that_is_said(probes: Any, seconds: float, words: str) -> None:
    found = startup(workload(spec={"containers": [container(**probes)]}), {**objects(), "pods": []})
    assert (found["seconds"], found["measured"], found["median"]) == (seconds, False, None) and words in found["sentence"]
