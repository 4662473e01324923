# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Proving and watching: what is written into the record, when it is looked again, and what an API server that is away changes (nothing)."""

from __future__ import annotations

import time
from typing import Any, Callable

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.errors import GateRefused
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, phr, prove
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import undo_needed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples
from tests.unit.operation.server import WEB, Server, remove

PODS = "/api/v1/namespaces/shop/pods"
EVENTS = "/api/v1/namespaces/shop/events"
FAST = prove.Pace(poll=0.001, watch_poll=0.001, heartbeat=60.0, watch_heartbeat=60.0, patience=0.2)
Line = tuple[float, str, str]


def pod(name: str, revision: str = "new", restarts: int = 0, ready: bool = True) -> dict[str, Any]:
    status = {"conditions": [{"type": "Ready", "status": str(ready)}], "containerStatuses": [{"restartCount": restarts}]}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": {"pod-template-hash": revision}}, "status": status}


@pytest.fixture
def server() -> Server:
    """A Deployment of three pods that are all of the new revision and available."""
    live = samples.deployment("128Mi", status={"observedGeneration": 3, "updatedReplicas": 3, "availableReplicas": 3})
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    live["spec"]["selector"] = {"matchLabels": {"app": "web"}}
    owned = {"name": "web-new", "annotations": {"deployment.kubernetes.io/revision": "2"}, "labels": {"pod-template-hash": "new"}}
    made = Server()
    made.put(WEB, live)
    made.put(PODS, {"items": [pod(f"web-{number}") for number in (2, 3, 4)]})
    made.put(EVENTS, {"items": []})
    made.put("/apis/apps/v1/namespaces/shop/replicasets", {"items": [{"metadata": {**owned, "ownerReferences": [{"uid": "uid-web"}]}}]})
    return made


def reached(store: Directory, state: str, **payload: Any) -> Record:
    """A record whose last event was written just now and says this in addition."""
    record = samples.proposed(store)
    for kind in samples.WAYS[state]:
        moment = {"executed": {"applied": clock.stamp(clock.now())}, "validated": {"watch_until": clock.stamp(clock.now())}}.get(kind, {})
        store.append(record, kind, {**samples.PAYLOADS[kind], **moment, **(payload if kind == state else {})})
    return record


def checks(**times: int) -> list[dict[str, Any]]:
    """The checks of the sample with other times: within, hold, watch."""
    wanted = {"within": 60, "hold": 0, "watch": 600, **times}
    return [
        {
            **check,
            "within_seconds": wanted["within"],
            "hold_seconds": {"restarts_stable": wanted["hold"], "watch": wanted["watch"]}.get(check["type"], 0),
        }
        for check in samples.plan()["checks"]
    ]


def later(server: Server, looks: int, happen: Callable[[Server], None]) -> None:
    """Something happens before the workload is looked at for the n-th time."""
    seen: list[str] = []

    def fault(method: str, path: str) -> None:
        if path == WEB:
            seen.append(path)
            if len(seen) == looks:
                happen(server)

    server.faults.append(fault)


def warning(reason: str, message: str = "", name: str = "web-2", age: float = 0.0, count: int = 1) -> dict[str, Any]:
    """A warning event about a pod, so many seconds old."""
    seen = clock.later(clock.stamp(clock.now()), seconds=-age)[:19] + "Z"
    involved = {"kind": "Pod", "name": name, "uid": f"uid-{name}"}
    return {"type": "Warning", "reason": reason, "message": message, "count": count, "firstTimestamp": seen, "lastTimestamp": seen, "involvedObject": involved}


DIED = "Back-off restarting failed container app in pod web-2"


def scaled(available: int) -> Callable[[Server], None]:
    return lambda server: server.objects[WEB]["status"].update(availableReplicas=available)


def run(server: Server, store: Directory, record: Record, wanted: list[dict[str, Any]] | None = None, pace: prove.Pace = FAST) -> list[Line]:
    shown: list[Line] = []
    prove.prove(server, store, record, wanted or checks(), lambda *line: shown.append(line), pace)
    return shown


def follow(server: Server, store: Directory, record: Record, wait: bool = True) -> tuple[str, list[Line]]:
    shown: list[Line] = []
    return prove.watch(server, store, record, checks(), wait, lambda *line: shown.append(line), FAST), shown


def test_checks_that_pass(server: Server, store: Directory) -> None:
    record = reached(store, "executed")
    assert [line[1:] for line in run(server, store, record)] == [("3 of 3 pods available, 3 updated, 0 restarts", "after the change")]
    event = store.load("1").events[-1]
    assert event["kind"] == "validated" and set(event["payload"]["met"]) == {"K1", "K2", "K3"}
    assert event["payload"]["baseline"] == {"uid-web-2": 0, "uid-web-3": 0, "uid-web-4": 0}
    assert 598 < clock.seconds_between(event["time"], event["payload"]["watch_until"]) <= 600


def test_it_looks_again_until_they_pass(server: Server, store: Directory) -> None:
    scaled(1)(server)
    later(server, 4, scaled(3))
    shown = run(server, store, reached(store, "executed"))
    assert [text.partition(" pods")[0] for _seconds, text, _what in shown] == ["1 of 3", "3 of 3"], "a line when something changed, not at each look"
    assert store.load("1").state == "validated"


@pytest.mark.parametrize(
    "happen, reason",
    [
        (remove(WEB), "the workload does not exist any more"),
        (lambda server: server.put(PODS, {"items": [pod("web-9", restarts=2, ready=False)]}), "the new pod web-9 has restarted 2 times"),
    ],
    ids=["gone", "crashing"],
)
def test_a_check_that_fails(server: Server, store: Directory, happen: Callable[[Server], None], reason: str) -> None:
    scaled(1)(server)
    later(server, 2, happen)
    record = reached(store, "executed")
    run(server, store, record)
    failed = store.load("1").events[-1]
    assert failed["kind"] == "failed" and reason in failed["payload"]["reason"]
    assert (failed["payload"]["phase"], failed["payload"]["applied"]) == ("validate", True) and undo_needed(record.events)


def test_time_runs_from_the_change_and_not_from_the_look(server: Server, store: Directory) -> None:
    """A run that was killed and is resumed later: what is fine then has passed, what is not has failed."""
    record = reached(store, "executed", applied=clock.later(clock.stamp(clock.now()), minutes=-10))
    run(server, store, record)
    assert store.load("1").state == "validated"
    scaled(1)(server)
    record = reached(store, "executed", applied=clock.later(clock.stamp(clock.now()), minutes=-10))
    run(server, store, record)
    assert store.load("2").state == "failed" and "not seen within 60 s" in record.events[-1]["payload"]["reason"]


AWAY = [Unreachable("no answer"), *(ApiError(status, "Busy", "x", "GET") for status in (429, 500, 503))]


def breaks(server: Server, error: Exception, times: int) -> None:
    left = [times]

    def fault(_method: str, path: str) -> None:
        if path == WEB and left[0]:
            left[0] -= 1
            raise error

    server.faults.append(fault)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: str(getattr(error, "status", "unreachable")))
def test_an_api_server_that_is_away_is_waited_for(server: Server, store: Directory, error: Exception) -> None:
    breaks(server, error, 3)
    shown = run(server, store, reached(store, "executed"))
    assert [line[1:] for line in shown][0] == ("the API server does not answer, trying again", "of waiting")
    assert len(shown) == 2 and store.load("1").state == "validated"
    breaks(server, error, 3)
    follow(server, store, store.load("1"), wait=False)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: str(getattr(error, "status", "unreachable")))
def test_patience_ends_and_leaves_the_question_open(server: Server, store: Directory, error: Exception) -> None:
    breaks(server, error, 10**6)
    begun = time.monotonic()
    with pytest.raises(type(error)):
        run(server, store, reached(store, "executed"))
    assert 0.2 <= time.monotonic() - begun < 2 and store.load("1").state == "executed"


def test_a_refusal_is_not_waited_for(server: Server, store: Directory) -> None:
    breaks(server, ApiError(403, "Forbidden", "x", "GET"), 10**6)
    with pytest.raises(ApiError, match="Forbidden"):
        run(server, store, reached(store, "executed"), pace=prove.USUAL)
    assert store.load("1").state == "executed"


def test_a_watch_that_is_over(server: Server, store: Directory) -> None:
    record = reached(store, "validated")
    seen, shown = follow(server, store, record)
    assert seen == "3 of 3 pods available, 3 updated, 0 restarts" and shown == []
    closed = store.load("1").events[-1]
    assert closed["kind"] == "closed" and closed["payload"]["reason"].endswith(f": {seen}")


def test_a_watch_that_is_not_over_and_not_waited_for(server: Server, store: Directory) -> None:
    record = reached(store, "validated", watch_until=clock.later(clock.stamp(clock.now()), minutes=5))
    seen, shown = follow(server, store, record, wait=False)
    assert (seen, shown, store.load("1").state) == ("3 of 3 pods available, 3 updated, 0 restarts", [], "validated")


def test_a_watch_that_is_waited_for_does_not_end_while_pods_are_missing(server: Server, store: Directory) -> None:
    scaled(2)(server)
    later(server, 5, scaled(3))
    _seen, shown = follow(server, store, reached(store, "validated", watch_until=clock.later(clock.stamp(clock.now()), seconds=0.2)))
    assert store.load("1").state == "closed" and shown[0][1:] == ("2 of 3 pods available, 3 updated, 0 restarts", "left of the watch")


def test_a_watch_that_fails(server: Server, store: Directory) -> None:
    record = reached(store, "validated", baseline={"uid-web-2": 0}, watch_until=clock.later(clock.stamp(clock.now()), minutes=5))
    later(server, 3, lambda server: server.put(PODS, {"items": [pod("web-2", restarts=1)]}))
    follow(server, store, record)
    failed = store.load("1").events[-1]
    assert failed["kind"] == "failed" and failed["payload"]["phase"] == "watch" and undo_needed(record.events)


@pytest.mark.parametrize("phase, state", [("checks", "validated"), ("checks", "approved"), ("watch", "executed"), ("watch", "closed")])
def test_a_phase_out_of_turn_is_refused_before_the_cluster_is_asked(server: Server, store: Directory, phase: str, state: str) -> None:
    record = reached(store, state)
    asked: list[str] = []
    server.faults.append(lambda _method, path: asked.append(path))
    with pytest.raises(GateRefused, match=f"Record 0001 is {state}; the phase {phase} follows"):
        if phase == "checks":
            run(server, store, record)
        else:
            follow(server, store, record)
    assert asked == [] and store.load("1").state == state


def test_progress_is_shown_when_it_changes_and_as_a_heartbeat() -> None:
    shown: list[Line] = []
    ticker = prove.Ticker(lambda *line: shown.append(line), heartbeat=0.05)
    for text in ("a", "a", "b", "b"):
        ticker.tick(1.0, text)
    time.sleep(0.06)
    ticker.tick(2.0, "b", "left")
    assert shown == [(1.0, "a", "after the change"), (1.0, "b", "after the change"), (2.0, "b", "left")]


@pytest.mark.parametrize("state, look", [("executed", prove.prove), ("validated", lambda *given: prove.watch(*given[:4], True, *given[4:]))])
@pytest.mark.parametrize("other, closes", [("done", True), ("only proposed", False), ("of no record", False)])
def test_a_later_operation_takes_over(server: Server, store: Directory, state: str, look: Callable[..., Any], other: str, closes: bool) -> None:
    """A rollback while the first change is still watched: nobody can tell any more whether that one worked."""
    record = reached(store, state, **({"watch_until": clock.stamp(clock.now())} if state == "validated" else {}))
    later_one = samples.proposed(store, {**samples.plan(), "summary": "undo it"})
    if other == "done":
        samples.reach(store, later_one, "executed")
    digest = "0" * 64 if other == "of no record" else later_one.digest
    server.objects[WEB]["metadata"]["annotations"] |= {"aiops.k8s/record": f"{store.feature}/{later_one.identifier}", "aiops.k8s/digest": digest}
    look(server, store, record, checks(watch=0), lambda *line: None, FAST)
    taken_over = "has changed the workload since" in str(record.events[-1]["payload"].get("reason"))
    assert taken_over is closes and record.state == ("closed" if closes or state == "validated" else "validated")


# --- error signals and times ---------------------------------------------------------------------------------------------


def test_signals_are_counted_and_shown(server: Server, store: Directory) -> None:
    record = reached(store, "executed")
    server.put(EVENTS, {"items": [warning("Unhealthy", "Readiness probe failed: 503", count=3, age=-1), warning("Unhealthy", age=-1), warning("Old", age=90)]})
    shown = run(server, store, record)
    assert shown[-1][1] == "3 of 3 pods available, 3 updated, 0 restarts; warnings since the change: Unhealthy 4x"
    passed = store.load("1").events[-1]
    assert passed["kind"] == "validated" and [(one["reason"], one["count"]) for one in passed["payload"]["signals"]] == [("Unhealthy", 4)]
    assert passed["payload"]["signals"][0]["message"] == "Readiness probe failed: 503" and "signals_missing" not in passed["payload"]


def test_signals_explain_a_failure(server: Server, store: Directory) -> None:
    scaled(1)(server)
    server.put(EVENTS, {"items": [warning("FailedScheduling", "0/1 nodes are available", age=590)]})
    record = reached(store, "executed", applied=clock.later(clock.stamp(clock.now()), minutes=-10))
    run(server, store, record)
    failed = store.load("1").events[-1]
    assert failed["payload"]["reason"].endswith("; warnings since the change: FailedScheduling 1x") and failed["payload"]["signals"]


@pytest.mark.parametrize("error", [ApiError(403, "Forbidden", "x", "GET")], ids=str)
def test_events_that_may_not_be_read_are_said_and_decide_nothing(server: Server, store: Directory, error: ApiError) -> None:
    def fault(_method: str, path: str) -> None:
        if path == EVENTS:
            raise error

    server.faults.append(fault)
    record = reached(store, "executed")
    run(server, store, record)
    assert store.load("1").events[-1]["payload"]["signals_missing"] == "list events: Forbidden"
    assert "error signals after the change (list events: Forbidden)" in phr.render(store.load("1").events)


@pytest.mark.parametrize(
    ("reason", "message", "more", "state"),
    [
        ("BackOff", DIED, {}, "failed"),
        ("BackOff", DIED, {"age": 30}, "closed"),
        ("BackOff", "Back-off pulling image x", {}, "closed"),
        ("Unhealthy", "Readiness probe failed", {"count": 50}, "closed"),
        ("BackOff", DIED, {"name": "db-1"}, "closed"),
        ("OOMKilling", "Memory cgroup out of memory", {}, "failed"),
    ],
    ids=["a container died", "before the watch", "an image", "a probe", "another workload", "memory"],
)
def test_what_events_say_of_a_watched_workload(
    server: Server, store: Directory, reason: str, message: str, more: dict[str, Any], state: str
) -> None:
    record = reached(store, "validated", baseline={f"uid-web-{number}": 0 for number in (2, 3, 4)})
    server.put(EVENTS, {"items": [warning(reason, message, **{"age": -60, **more})]})
    follow(server, store, record)
    assert record.state == state, record.events[-1]["payload"]
    if state == "failed":
        assert message in record.events[-1]["payload"]["reason"] and undo_needed(record.events)


def test_times_and_means_are_kept_when_it_is_proven(server: Server, store: Directory) -> None:
    seen = clock.later(clock.stamp(clock.now()), minutes=-2)
    first = samples.proposed(store, findings=[samples.finding(since=seen)])
    for kind in ("approved", "executing", "executed"):
        store.append(first, kind, {**samples.PAYLOADS[kind], **({"applied": clock.stamp(clock.now())} if kind == "executed" else {})})
    run(server, store, first)
    payload = store.load("1").events[-1]["payload"]
    assert 120 <= payload["times"]["detect"] < 125 and 120 <= payload["times"]["outage"] < 130 and payload["times"]["repair"] < 5
    assert payload["means"]["outage"] == {"seconds": payload["times"]["outage"], "operations": 1}
    run(server, store, reached(store, "executed"))
    assert store.load("2").events[-1]["payload"]["means"]["repair"]["operations"] == 2
    document = phr.render(store.load("1").events)
    assert "| time to detect (failure to proposal) | 2 min | 2 min over 1 |" in document.replace("120 s", "2 min")
    assert document == phr.render(store.load("1").events)
