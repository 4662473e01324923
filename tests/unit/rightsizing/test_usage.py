# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a container needed over all its pods, whether a start of it was seen, and which memory rises like a leak."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import leak
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.usage import combined

from tests.unit.rightsizing import generated
from tests.unit.rightsizing.generated import BEGIN, DAY, KINDS, LEVEL, MI, NAME, NOW, STEP, Values

Object = dict[str, Any]
STEPS = 8 * DAY // STEP


def grid(values: Any, begin: float = BEGIN) -> Object:
    return {"begin": begin, "step": float(STEP), "values": [float(one) for one in values]}


def one_pod(memory: Any, cpu: Any = None, first: float = BEGIN, **more: Any) -> Object:
    """Usage of one pod with a sample each step."""
    known = np.asarray([value for value in memory if not np.isnan(value)])
    series = [0.1] * len(memory) if cpu is None else cpu
    return {
        "memory": generated.stats(known, first, NOW),
        "cpu": generated.stats(np.asarray(series), first, NOW),
        "memory_series": grid(memory),
        "cpu_series": grid(series),
        "throttled": None,
        **more,
    }


def found(**pods: Object) -> Object:
    return {"containers": {NAME: pods}, "restarts": [], "ooms": [], "rollouts": [], "first_seen": BEGIN, "pods_seen": len(pods), "notes": []}


def memory_of(history: Object, *arguments: Any) -> Object:
    figures = combined(history, *arguments)[NAME]["memory"]
    assert figures is not None
    return figures


def test_a_request_holds_for_the_pod_that_needs_most() -> None:
    figures = memory_of(found(small=one_pod([50.0 * MI] * STEPS), large=one_pod([80.0 * MI] * (STEPS - 1) + [90.0 * MI])))
    assert (figures["p95"], figures["max"]) == (80 * MI, 90 * MI)
    assert (figures["pods"], figures["samples"]) == (2, 2 * STEPS)


def test_percentiles_are_not_taken_from_a_few_samples_but_peaks_are() -> None:
    young = one_pod([500.0 * MI] * 20)
    figures = memory_of(found(old=one_pod([50.0 * MI] * STEPS), young=young))
    assert (figures["p95"], figures["max"], figures["pods"]) == (50 * MI, 500 * MI, 1)
    assert memory_of(found(young=young))["p95"] == 500 * MI  # nothing better is known


def test_a_container_without_samples_has_no_figures() -> None:
    assert combined(found(web={"cpu": None, "memory": None, "cpu_series": None, "memory_series": None, "throttled": None})) == {
        NAME: {"cpu": None, "memory": None}
    }
    assert combined({"containers": {}}) == {}


PEAK = [200.0 * MI] + [50.0 * MI] * 1000


@pytest.mark.parametrize(
    ("born", "pod", "seen"),
    [
        (NOW - 1001 * STEP, "web-1", True),  # started within the history
        (BEGIN - DAY, "web-1", False),  # before it
        (None, "web-0", True),  # gone since, and its samples begin later than the first ones
        (None, "web-1", True),
    ],
)
def test_starts(born: float | None, pod: str, seen: bool) -> None:
    late = one_pod([float("nan")] * (STEPS - 1001) + PEAK, first=NOW - 1001 * STEP)
    history = found(old=one_pod([50.0 * MI] * STEPS), **{pod: late})
    subject = {"pods": [generated.live_pod("old", BEGIN - DAY, [{"name": NAME}])]}
    if born is not None:
        subject["pods"].append(generated.live_pod(pod, born, [{"name": NAME}]))
    figures = memory_of(history, subject, generated.history())
    assert (figures["start_seen"], figures["start_peak"]) == (seen, 200 * MI if seen else None)


def test_samples_that_are_far_apart_show_no_start() -> None:
    history = found(web=one_pod(PEAK + [50.0 * MI] * (STEPS - 1001)))
    subject = {"pods": [generated.live_pod("web", BEGIN + 20, [{"name": NAME}])]}
    assert memory_of(history, subject, generated.history(sample_seconds=60.0))["start_seen"]
    figures = memory_of(history, subject, generated.history(sample_seconds=300.0))
    assert not figures["start_seen"] and figures["start_peak"] == 200 * MI and "samples 5 min apart" in figures["start_unseen"]


def test_where_the_monitoring_began_no_pod_started() -> None:
    late = [float("nan")] * 500 + [50.0 * MI] * (STEPS - 500)
    history = found(a=one_pod(late, first=BEGIN + 500 * STEP), b=one_pod(late, first=BEGIN + 501 * STEP))
    assert not memory_of(history, None, generated.history())["start_seen"]


def test_a_restart_is_a_start() -> None:
    history = found(web=one_pod([50.0 * MI] * 1000 + [150.0 * MI] + [50.0 * MI] * (STEPS - 1001)))
    history["restarts"] = [{"pod": "web", "container": NAME, "at": BEGIN + 1000 * STEP + 20}, {"pod": "web", "container": "other", "at": BEGIN}]
    assert memory_of(history)["start_peak"] == 150 * MI


def test_kills_and_throttling() -> None:
    history = found(web=one_pod([50.0 * MI] * STEPS, throttled=0.2), more=one_pod([50.0 * MI] * STEPS, throttled=0.1))
    history["ooms"] = [{"pod": "web", "container": NAME, "at": BEGIN, "limit": limit} for limit in (64 * MI, None, 128 * MI)]
    figures = combined(history)[NAME]
    assert figures["memory"] and (figures["memory"]["ooms"], figures["memory"]["oom_limit"]) == (3, 128 * MI)
    assert figures["cpu"] and figures["cpu"]["throttled"] == 0.2


# --- leaks ------------------------------------------------------------------------------------------------------------------


def test_a_leak_has_its_figures_in_a_sentence() -> None:
    rising = np.linspace(100 * MI, 180 * MI, STEPS)
    figure = memory_of(found(web=one_pod(rising)))["leak"]
    assert figure["per_day"] == pytest.approx(10 * MI, rel=0.01)
    assert figure["share_per_day"] == pytest.approx(10 / 180, rel=0.15)
    assert "10Mi (5.9 %" in figure["sentence"] and "web" in figure["sentence"], figure["sentence"]


def sawtooth(hours: float, share: float) -> Values:
    """Rises from one restart to the next."""
    at = np.arange(STEPS) * STEP
    return np.asarray(100 * MI * (1 + share * (at % (hours * 3600)) / (hours * 3600)))


@pytest.mark.parametrize(("hours", "share", "leaks"), [(18, 0.8, True), (12, 0.5, True), (96, 0.3, True), (18, 0.02, False)])
def test_a_restart_starts_a_leak_anew(hours: float, share: float, leaks: bool) -> None:
    starts = [BEGIN + number * hours * 3600 for number in range(int(8 * 24 / hours) + 1)]
    trend = leak.trend({"web": grid(sawtooth(hours, share))}, {"web": starts})
    assert (trend is not None) is leaks
    if trend and hours < 72:
        assert "lives between restarts" in trend["sentence"]


def test_a_daily_cycle_with_nightly_restarts_is_no_leak() -> None:
    at = np.arange(STEPS) * STEP / DAY
    cycle = 100 * MI * (1.5 - 0.5 * np.cos(2 * np.pi * at))
    assert leak.trend({"web": grid(cycle)}, {"web": [BEGIN + number * DAY for number in range(8)]}) is None


@pytest.mark.parametrize("holes", [0.0, 0.5, 0.9])
def test_gaps_do_not_hide_a_leak_until_there_is_too_little(holes: float) -> None:
    rng = np.random.default_rng(7)
    values = np.where(rng.random(STEPS) < holes, np.nan, np.linspace(100 * MI, 180 * MI, STEPS))
    assert (leak.trend({"web": grid(values)}, {}) is not None) is (holes < 0.75)


@pytest.mark.parametrize("kind", KINDS + LEVEL)
def test_generated_histories(kind: str) -> None:
    for seed in range(6):
        one = generated.case(kind, 100 + seed, STEP)
        figures = memory_of(one.found, one.subject, generated.history())
        assert (figures["leak"] is not None) is (kind == "leak"), (kind, seed)
        assert figures["start_seen"] is (one.start_seen if kind == "startup" else figures["start_seen"])
