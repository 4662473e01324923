# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Load verdicts over tables of series and pods: what is sustained, what is not, and what nobody can tell."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load import judge
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

from tests.unit.capacity.load_samples import NOW, Shape, container, pod, samples, series, stamp

MI = 2**20


def one(shape: Shape, **more: Any) -> dict[str, Any]:
    """The verdict on one healthy pod with this series."""
    return judge(samples({"web-1": {"app": series(shape, **more)}}), [pod()], now=NOW)


# --- series ------------------------------------------------------------------------------------------------------------

SERIES: dict[str, tuple[Shape, str, str]] = {
    "steady": (lambda ago: 0.9, "sustained", "CPU was at or above 70 % of the request for all of the last 5 min: mean 90 % (90m of 100m)"),
    "just at the threshold": (lambda ago: 0.7, "sustained", "mean 70 %"),
    "just below": (lambda ago: 0.699, "not_sustained", "stayed below 70 % of the request for the last 5 min: mean 69.9 %"),
    "idle": (lambda ago: 0.01, "not_sustained", "mean 1.0 % (1m of 100m), peak 1.0 %"),
    "nothing at all": (lambda ago: 0.0, "not_sustained", "mean 0 %"),
    "above its request": (lambda ago: 3.2, "sustained", "mean 320 %"),
    "a dip of one sample": (lambda ago: 0.4 if 100 < ago < 115 else 0.9, "sustained", "for 95 % of the last 5 min, the longest dip 15 s"),
    "two dips": (lambda ago: 0.4 if 100 < ago < 115 or 200 < ago < 215 else 0.9, "sustained", "for 90 %"),
    "three dips": (lambda ago: 0.4 if ago // 15 in (5, 9, 13) else 0.9, "not_sustained", "fell below it 3 times, for 15 s at the longest"),
    "a dip that is too long": (lambda ago: 0.65 if 100 < ago < 180 else 0.9, "not_sustained", "fell below it once"),
    "dips below a mean that is too low": (lambda ago: 0.0 if 100 < ago < 130 else 0.701, "not_sustained", "fell below it"),
    "ramp": (lambda ago: 1.2 - ago / 300, "not_sustained", "is at or above 70 % of the request only since"),
    "sawtooth": (lambda ago: 0.5 + (ago // 30 % 2) * 0.5, "not_sustained", "fell below it"),
    "burst": (lambda ago: 1.5 if 100 < ago < 150 else 0.1, "not_sustained", "a burst, the peak 150 % at"),
    "bursts": (lambda ago: 1.5 if ago // 60 % 2 and ago % 60 < 15 else 0.1, "not_sustained", "bursts, the peak 150 %"),
    "over": (lambda ago: 0.9 if ago > 90 else 0.1, "not_sustained", "is back below 70 % of the request since"),
}


@pytest.mark.parametrize("name", SERIES)
def test_series(name: str) -> None:
    shape, verdict, says = SERIES[name]
    found = one(shape)
    assert (found["verdict"], says in found["reason"]) == (verdict, True), found["reason"]
    assert found["gaps"] == [] and found["pods"] == {"seen": 1, "counted": 1, "left_out": [], "starting": 0}
    assert len(found["series"]) == 21 and found["series"][0][0] == 0.0 and found["series"][-1][0] == 300.0
    assert found["observed_seconds"] == 300 and found["replicas"] == 1 and found["request_per_pod"] == pytest.approx(0.1)
    json.dumps(found, allow_nan=False)


def test_figures() -> None:
    found = one(lambda ago: 1.0 if ago < 10 else 0.8)
    assert found["utilisation"] == {"current": 1.0, "mean": pytest.approx(0.8095, abs=1e-4), "peak": 1.0, "low": 0.8}
    assert found["usage"] == {"current": pytest.approx(0.1), "mean": pytest.approx(0.080952, abs=1e-5), "peak": pytest.approx(0.1)}
    assert (found["threshold"], found["window_seconds"], found["resource"], found["share_above"]) == (0.7, 300, "cpu", 1.0)
    assert (found["from"], found["to"], found["source"]) == (stamp(303).replace("Z", ".000Z"), stamp(3).replace("Z", ".000Z"), "a test, every 15 s")


# --- missing and unusable samples -----------------------------------------------------------------------------------------

GAPS: dict[str, tuple[Shape, list[tuple[float, float]], str, str]] = {
    "one sample": (lambda ago: 0.9, [(107, 92)], "sustained", "for all of the last 5 min"),
    "two samples": (lambda ago: 0.9, [(122, 92)], "sustained", "for all of the last 5 min"),
    "a minute and more": (lambda ago: 0.9, [(190, 100)], "not_enough_data", "There are no samples for 75 s, from "),
    "the beginning": (lambda ago: 0.9, [(400, 170)], "not_enough_data", "There are no samples for"),
    "the end": (lambda ago: 0.9, [(120, 0)], "not_enough_data", "There are no samples for"),
    "twice": (lambda ago: 0.9, [(100, 30), (260, 180)], "not_enough_data", "the longest of 2 gaps"),
    "in what is idle anyway": (lambda ago: 0.1, [(190, 100)], "not_sustained", "stayed below 70 %"),
    "in what is idle, but most of it": (lambda ago: 0.1, [(280, 40)], "not_enough_data", "There are no samples"),
    "everything": (lambda ago: 0.9, [(500, 0)], "not_enough_data", "There are no samples of web-1"),
}


@pytest.mark.parametrize("name", GAPS)
def test_gaps(name: str) -> None:
    shape, gaps, verdict, says = GAPS[name]
    found = one(shape, gaps=gaps)
    assert (found["verdict"], says in found["reason"]) == (verdict, True), found["reason"]
    assert bool(found["gaps"]) == (name not in ("one sample", "two samples"))


def test_many_short_holes() -> None:
    points = series(lambda ago: 0.9, step=5)[::-4]  # of every four moments three have a sample near enough
    found = judge(samples({"web-1": {"app": points}}, step=5), [pod()], now=NOW)
    assert found["verdict"] == "not_enough_data" and "Too many samples are missing: only 75 %" in found["reason"], found["reason"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -0.5])
def test_what_is_no_number_is_no_sample(bad: float) -> None:
    points = series(lambda ago: 0.9)
    points[-4][1] = bad
    found = judge(samples({"web-1": {"app": points}}), [pod()], now=NOW)
    assert found["verdict"] == "sustained" and found["utilisation"]["peak"] == 0.9
    assert found["notes"] == ["1 sample was no usable number and left out."]
    whole = judge(samples({"web-1": {"app": [[at, bad] for at, _value in points]}}), [pod()], now=NOW)
    assert whole["verdict"] == "not_enough_data" and whole["utilisation"]["current"] is None
    json.dumps(whole, allow_nan=False)


def test_samples_out_of_order_and_twice_are_each_one_sample() -> None:
    points = series(lambda ago: 0.9)
    found = judge(samples({"web-1": {"app": [*reversed(points), *points]}}), [pod()], now=NOW)
    assert found["verdict"] == "sustained" and found["utilisation"]["mean"] == 0.9 and found["observed_seconds"] == 300


@pytest.mark.parametrize(
    ("step", "window", "verdict"), [(60, 300, "sustained"), (60, 60, "not_enough_data"), (1, 300, "sustained"), (10, 30, "sustained")]
)
def test_steps_and_windows(step: float, window: float, verdict: str) -> None:
    found = judge(samples({"web-1": {"app": series(lambda ago: 0.9, step=step, window=window)}}, step=step), [pod()], now=NOW, window_seconds=window)
    assert found["verdict"] == verdict and len(found["series"]) <= 120, found["reason"]


def test_an_hour_is_judged_in_few_moments() -> None:
    found = judge(samples({"web-1": {"app": series(lambda ago: 0.9, step=1, window=3600)}}, step=1), [pod()], now=NOW, window_seconds=3600)
    assert found["verdict"] == "sustained" and found["observed_seconds"] == 3600 and len(found["series"]) <= 120


# --- pods -----------------------------------------------------------------------------------------------------------------


def HOT(ago: float) -> float:
    return 1.0


def COLD(ago: float) -> float:
    return 0.1


LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "ended": ({"phase": "Succeeded"}, "it has ended"),
    "failed": ({"phase": "Failed"}, "it has ended"),
    "deleted": ({"deleted": True}, "it is being deleted"),
    "pending": ({"phase": "Pending"}, "it has not started"),
    "never ready": ({"ready": None}, "it is not ready and has not been"),
    "young": ({"started": 40, "ready": 30}, "ready for only 30 s, counts 60 s after it became ready"),
    "crash loop": ({"waiting": "CrashLoopBackOff", "ready": None}, "container app does not run: CrashLoopBackOff"),
    "restarted": ({"restarted": 120}, "container app restarted at " + stamp(120).replace("Z", ".000Z")),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_pod_that_does_not_count(name: str) -> None:
    state, why = LEFT_OUT[name]
    pods = [pod("web-1"), pod("web-2", **state)]
    found = judge(samples({"web-1": {"app": series(COLD)}, "web-2": {"app": series(HOT)}}), pods, now=NOW)
    assert found["pods"]["left_out"] == [{"name": "web-2", "why": why}] and found["pods"]["counted"] == 1
    assert found["verdict"] == "not_sustained" and found["utilisation"]["peak"] == pytest.approx(0.1)
    assert [one["pod"] for one in found["restarts"]] == (["web-2"] if name == "restarted" else [])
    alone = judge(samples({"web-2": {"app": series(HOT)}}), pods[1:], now=NOW)
    assert alone["verdict"] == "not_enough_data", alone["reason"]
    assert why in alone["reason"] or "no running pods" in alone["reason"], alone["reason"]


def test_restarts_that_the_source_saw() -> None:
    seen = [{"pod": "web-1", "container": "app", "at": NOW - 100}, {"pod": "web-1", "container": "app", "at": NOW - 4000}]
    found = judge(samples({"web-1": {"app": series(HOT)}}, restarts=seen), [pod(restarted=102)], now=NOW)
    assert found["verdict"] == "not_enough_data" and "restarted at" in found["reason"]
    assert found["restarts"] == [{"pod": "web-1", "container": "app", "at": stamp(100).replace("Z", ".000Z")}]
    earlier = judge(samples({"web-1": {"app": series(HOT)}}, restarts=seen[1:]), [pod(restarted=4000)], now=NOW)
    assert earlier["verdict"] == "sustained" and earlier["restarts"] == []


def test_a_pod_that_load_made_unready_counts() -> None:
    found = judge(samples({"web-1": {"app": series(HOT)}}), [pod(unready=60)], now=NOW)
    assert found["verdict"] == "sustained" and "web-1 is not ready now, but was, and counts" in found["notes"][0]


def test_a_pod_that_was_unready_for_a_moment_counts_throughout() -> None:
    assert judge(samples({"web-1": {"app": series(HOT)}}), [pod(ready=20)], now=NOW)["verdict"] == "sustained"


def test_a_young_workload() -> None:
    found = judge(samples({"web-1": {"app": series(HOT)}}), [pod(started=200, ready=190)], now=NOW)
    assert found["verdict"] == "not_enough_data" and "too young" in found["reason"] and found["observed_seconds"] < 150


def test_new_pods_count_from_when_they_serve() -> None:
    """Two were hot; two more came and took their share a minute after they were ready."""
    old, new = series(lambda ago: 1.0 if ago > 140 else 0.5), series(lambda ago: 2.0 if ago > 160 else 0.5)  # starting up costs CPU
    pods = [pod("a"), pod("b"), pod("c", started=215, ready=205), pod("d", started=215, ready=205)]
    found = judge(samples({"a": {"app": old}, "b": {"app": old}, "c": {"app": new}, "d": {"app": new}}), pods, now=NOW)
    assert found["verdict"] == "not_sustained" and found["utilisation"]["peak"] == 1.0 and found["utilisation"]["current"] == 0.5
    assert found["notes"] == ["c, d became ready within the window and count from then on."] and found["pods"]["counted"] == 4


def test_starting_pods_are_named_with_what_they_will_take() -> None:
    pods = [pod("a"), pod("b", started=20, ready=10)]
    found = judge(samples({"a": {"app": series(HOT)}}), pods, now=NOW)
    assert found["verdict"] == "sustained" and found["pods"]["starting"] == 1
    assert "1 more pod is starting: shared with it, the load of now would be 50 %." in found["notes"]


def test_no_pods() -> None:
    found = judge(samples({}), [], now=NOW)
    assert (
        found["verdict"] == "not_enough_data" and "no running pods" in found["reason"] and found["replicas"] == 0 and found["request_per_pod"] is None
    )
    json.dumps(found, allow_nan=False)


def test_samples_of_other_pods_do_not_count() -> None:
    """Of pods that are gone, and of other workloads in the namespace."""
    found = judge(samples({"web-1": {"app": series(COLD)}, "gone": {"app": series(HOT)}}), [pod()], now=NOW)
    assert found["verdict"] == "not_sustained" and found["utilisation"]["peak"] == pytest.approx(0.1) and found["notes"] == []


def test_load_is_that_of_all_pods_together() -> None:
    """As the HPA: the sum of usage over the sum of requests, not the mean of fractions."""
    pods = [pod("a", containers=[container(cpu="1")]), pod("b")]
    found = judge(samples({"a": {"app": series(lambda ago: 0.5, 1.0)}, "b": {"app": series(lambda ago: 2.0)}}), pods, now=NOW)
    assert found["utilisation"]["mean"] == pytest.approx(0.7 / 1.1, abs=1e-3) and found["verdict"] == "not_sustained"
    assert "request different amounts" in found["notes"][0]


def test_pods_without_samples_are_taken_to_be_idle() -> None:
    names = ["a", "b", "c", "d"]
    known = {name: {"app": series(HOT)} for name in names[:3]}
    three = judge(samples(known), [pod(name) for name in names], now=NOW)
    assert three["verdict"] == "sustained" and three["pods"] == {
        "seen": 4,
        "counted": 3,
        "left_out": [{"name": "d", "why": "it has no samples"}],
        "starting": 0,
    }
    two = judge(samples({name: known[name] for name in names[:2]}), [pod(name) for name in names], now=NOW)
    assert (
        two["verdict"] == "not_enough_data"
        and "2 of 4 pods (c, d) have no samples" in two["reason"]
        and "50 % if the others are idle" in two["reason"]
    )
    idle = judge(samples({"a": {"app": series(COLD)}}), [pod(name) for name in names], now=NOW)
    assert idle["verdict"] == "not_sustained"


def test_a_pod_with_a_gap() -> None:
    known = {"a": {"app": series(HOT)}, "b": {"app": series(HOT, gaps=[(200, 60)])}}
    found = judge(samples(known), [pod("a"), pod("b")], now=NOW)
    assert found["verdict"] == "not_enough_data" and "(b) has no samples for all or part" in found["reason"]
    assert "b has no samples for part of the window; taken to be idle there." in found["notes"]


# --- requests and containers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("containers", "resource", "names"),
    [
        ([container(cpu=None)], "cpu", "Container app has no cpu request"),
        ([container(), container("proxy", cpu=None)], "cpu", "Container proxy has no cpu request"),
        ([container(cpu="0")], "cpu", "Container app has no cpu request"),
        ([container(cpu=None), container("proxy", cpu=None)], "cpu", "Containers app, proxy have no cpu request"),
        ([container(memory=None)], "memory", "Container app has no memory request"),
    ],
)
def test_no_requests(containers: list[dict[str, Any]], resource: str, names: str) -> None:
    found = judge(samples({"web-1": {"app": series(HOT)}}), [pod(containers=containers)], now=NOW, resource=resource)
    assert found["verdict"] == "no_requests" and found["reason"].startswith(names), found["reason"]


def test_the_request_of_the_other_resource_does_not_matter() -> None:
    assert judge(samples({"web-1": {"app": series(HOT)}}), [pod(containers=[container(memory=None)])], now=NOW)["verdict"] == "sustained"


def test_a_request_for_the_pod_as_a_whole() -> None:
    whole = pod(containers=[container(cpu=None)])
    whole["spec"]["resources"] = {"requests": {"cpu": "200m"}}
    found = judge(samples({"web-1": {"app": series(lambda ago: 0.75, 0.2)}}), [whole], now=NOW)
    assert found["verdict"] == "sustained" and found["request_per_pod"] == pytest.approx(0.2)


def test_all_containers_count_and_nothing_else() -> None:
    both = pod(containers=[container(), container("proxy")], sidecars=[container("mesh", restartPolicy="Always"), container("init", cpu=None)])
    known = {
        "app": series(lambda ago: 1.2),
        "proxy": series(lambda ago: 0.5),
        "mesh": series(lambda ago: 0.7),
        "POD": series(HOT),
        "debug": series(HOT),
    }
    found = judge(samples({"web-1": known}), [both], now=NOW)
    assert found["request_per_pod"] == pytest.approx(0.3) and found["utilisation"]["mean"] == 0.8
    del known["mesh"]
    assert judge(samples({"web-1": known}), [both], now=NOW)["verdict"] == "not_enough_data"


def test_a_sidecar_that_restarted() -> None:
    sidecar = pod(sidecars=[container("mesh", restartPolicy="Always")])
    sidecar["status"]["initContainerStatuses"] = [{"name": "mesh", "restartCount": 1, "state": {"running": {"startedAt": stamp(50)}}}]
    found = judge(samples({"web-1": {"app": series(HOT), "mesh": series(HOT)}}), [sidecar], now=NOW)
    assert "container mesh restarted" in found["reason"]


def test_memory() -> None:
    found = judge(samples({"web-1": {"app": series(lambda ago: 0.8, 100 * MI)}}), [pod(started=320, ready=310)], now=NOW, resource="memory")
    assert (
        found["verdict"] == "sustained" and "Memory was at or above 70 % of the request" in found["reason"] and "(80Mi of 100Mi)" in found["reason"]
    )


# --- custom figures, clocks, options --------------------------------------------------------------------------------------


def test_a_custom_figure() -> None:
    known = {**samples({}), "values": series(lambda ago: 0.9, 100), "unit": "requests/s"}
    found = judge(known, [pod()], now=NOW, resource="custom", target=100)
    assert found["verdict"] == "sustained" and found["request_per_pod"] == 100 and found["unit"] == "requests/s"
    assert (
        found["reason"]
        == "The custom figure was at or above 70 % of the target for all of the last 5 min: mean 90 % (90 requests/s of 100 requests/s), peak 90 %,"
        " low 90 %."
    )
    assert judge(known, [pod()], now=NOW, resource="custom", target=1000)["verdict"] == "not_sustained"
    assert judge({**known, "values": []}, [pod()], now=NOW, resource="custom", target=1)["verdict"] == "not_enough_data"


@pytest.mark.parametrize("ahead", [-3600.0, -100.0, 100.0, 3600.0])
def test_clocks_that_differ(ahead: float) -> None:
    """The cluster's clock is ahead of the source's: the pods' times are moved, and said."""
    pods = [pod(started=400 - ahead, ready=380 - ahead)]
    found = judge(samples({"web-1": {"app": series(HOT)}}), pods, now=NOW + ahead)
    assert found["verdict"] == "sustained" and f"The source's clock is {abs(ahead):.0f} s" in found["notes"][0]
    young = judge(samples({"web-1": {"app": series(HOT)}}), [pod(started=20 - ahead, ready=10 - ahead)], now=NOW + ahead)
    assert young["verdict"] == "not_enough_data" and "ready for only" in young["reason"]


def test_a_source_that_measures_late_has_no_other_clock() -> None:
    found = judge({**samples({"web-1": {"app": series(HOT, step=60, newest=0)}}, step=60)}, [pod()], now=NOW + 80)
    assert found["verdict"] == "sustained" and found["notes"] == []


def test_old_samples_are_not_the_load_of_now() -> None:
    found = one(HOT, gaps=[(100, 0)], window=600)
    assert found["verdict"] == "not_enough_data" and found["gaps"][0][1] == 300.0


@pytest.mark.parametrize(
    "options",
    [
        {"resource": "disk"},
        {"window_seconds": 0},
        {"threshold": 0},
        {"threshold": math.nan},
        {"resource": "custom"},
        {"resource": "custom", "target": -1},
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        judge(samples({}), [pod()], now=NOW, **options)


def test_hostile_pods() -> None:
    odd = {"metadata": {"name": "web-1"}, "spec": {"containers": [container()]}, "status": {"phase": "Running", "startTime": "yesterday"}}
    assert judge(samples({"web-1": {"app": series(HOT)}}), [odd], now=NOW)["verdict"] == "not_enough_data"
    assert judge({**samples({}), "pods": None}, [{"metadata": {"name": "x"}}], now=NOW)["verdict"] == "not_enough_data"
