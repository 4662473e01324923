# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Probes that kill containers, and probes that keep pods out of service."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.probes import target

from tests.unit.diagnosis.objects import Object, codes, ended, event, excerpts, findings, looping, only, pod, running, snapshot, spec

HTTP = {"httpGet": {"port": 8080, "path": "/health"}, "initialDelaySeconds": 0, "timeoutSeconds": 1, "periodSeconds": 10, "failureThreshold": 3}
KILLED = ended(137, seconds=15)


def probed(kind: str, state: Object, **more: Any) -> Object:
    probe: dict[str, Any] = {f"{kind.lower()}Probe": {**HTTP, **more}}
    return pod(state, specs=[spec(ports=[{"containerPort": 9090}], **probe)])


def unhealthy(one: Object, kind: str, seconds: float = 20, container: str = "app") -> Object:
    return event(one, "Unhealthy", f"{kind} probe failed: HTTP probe failed with statuscode: 503", seconds, container)


def killing(one: Object, kind: str, seconds: float = 18, container: str = "app") -> Object:
    return event(one, "Killing", f"Container {container} failed {kind.lower()} probe, will be restarted", seconds, container)


@pytest.mark.parametrize("kind, code", [("Liveness", "LivenessProbeFailing"), ("Startup", "StartupProbeFailing")])
@pytest.mark.parametrize(
    "state",
    [looping(KILLED), running(restarts=3, ready=False, last=KILLED, since=14), running(restarts=1, last=ended(143, seconds=15), since=14)],
    ids=["loop", "again", "ready"],
)
def test_a_probe_that_kills(kind: str, code: str, state: Object) -> None:
    one = probed(kind, state)
    taken = snapshot(one, unhealthy(one, kind), killing(one, kind))
    finding = only(taken)
    assert (finding.code, finding.container, finding.details["probe"]) == (code, "app", kind.lower())
    assert f"The {kind.lower()} probe of container app (HTTP GET :8080/health) fails: " in finding.root_cause
    assert "(HTTP probe failed with statuscode: 503). The kubelet therefore kills the container" in finding.root_cause
    probe = (
        f"{kind.lower()}Probe: HTTP GET :8080/health; initialDelaySeconds 0, timeoutSeconds 1, periodSeconds 10, failureThreshold 3; containerPorts:"
        " 9090"
    )
    assert probe in excerpts(taken) and "event Killing on pod/web-1" in excerpts(taken)


def test_failures_without_a_kill_are_no_cause_of_a_crash() -> None:
    one = probed("Liveness", looping(ended(1)))
    assert codes(snapshot(one, unhealthy(one, "Liveness"))) == ["AppCrash"]


def test_a_kill_of_another_container_is_no_cause() -> None:
    one = pod(looping(ended(1)), looping(KILLED, name="side"), specs=[spec(livenessProbe=HTTP), spec("side", livenessProbe=HTTP)])
    events = [unhealthy(one, "Liveness"), unhealthy(one, "Liveness", container="side"), killing(one, "Liveness", container="side")]
    found = {finding.container: finding.code for finding in findings(snapshot(one, *events))}
    assert found == {"app": "AppCrash", "side": "LivenessProbeFailing"}


def test_startup_failures_that_are_over_do_not_hide_a_liveness_kill() -> None:
    one = pod(looping(KILLED), specs=[spec(livenessProbe=HTTP, startupProbe=HTTP)])
    assert codes(snapshot(one, unhealthy(one, "Startup", 300), unhealthy(one, "Liveness"), killing(one, "Liveness"))) == ["LivenessProbeFailing"]


def test_an_oom_kill_is_not_blamed_on_the_probe() -> None:
    one = probed("Liveness", looping(ended(137, "OOMKilled")))
    assert codes(snapshot(one, unhealthy(one, "Liveness"), killing(one, "Liveness"))) == ["OOMKilledNoLimit"]


@pytest.mark.parametrize("seconds, found", [(3500, ["LivenessProbeFailing"]), (3700, [])])
def test_kills_long_ago_are_history(seconds: float, found: list[str]) -> None:
    one = probed("Liveness", running(restarts=1, last=ended(143, seconds=seconds)))
    assert codes(snapshot(one, unhealthy(one, "Liveness", seconds), killing(one, "Liveness", seconds))) == found


READINESS: list[tuple[str, dict[str, Any], float, bool, list[str]]] = [
    ("for a minute", {}, 60, True, ["ReadinessProbeFailing"]),
    ("just started", {}, 10, True, []),
    ("within its own delay", {"initialDelaySeconds": 60}, 85, True, []),
    ("beyond its own delay", {"initialDelaySeconds": 60}, 95, True, ["ReadinessProbeFailing"]),
    ("no failure seen", {"initialDelaySeconds": 600}, 120, False, []),
]


@pytest.mark.parametrize("what, probe, since, failed, found", READINESS, ids=[row[0] for row in READINESS])
def test_a_probe_that_keeps_out_of_service(what: str, probe: dict[str, Any], since: float, failed: bool, found: list[str]) -> None:
    one = probed("Readiness", running(ready=False, since=since), **probe)
    assert codes(snapshot(one, *([unhealthy(one, "Readiness")] if failed else []))) == found


def test_readiness_in_full() -> None:
    one = probed("Readiness", running(ready=False, since=600))
    taken = snapshot(one, unhealthy(one, "Readiness"))
    assert (
        only(taken).root_cause
        == "The readiness probe of container app (HTTP GET :8080/health) fails: the application itself says that it is not well: it answers 503"
        " (HTTP probe failed with statuscode: 503). The pod gets no traffic. The container declares port 9090, the probe asks port 8080."
    )
    assert "ready: false, restartCount 0" in excerpts(taken)


def unready(probe: dict[str, Any], said: str, log: str = "", **more: Any) -> tuple[Finding, Object]:
    one = pod(running(ready=False, since=600), specs=[spec(readinessProbe={**probe}, **more)])
    logs = {"web-1": {"current": log, "previous": ""}}
    return only(snapshot(one, event(one, "Unhealthy", f"Readiness probe failed: {said}", 20), logs=logs)), one


REFUSED = "dial tcp 10.0.0.1:8080: connect: connection refused"
TCP = {"tcpSocket": {"port": 8080}}
CURL = {"exec": {"command": ["sh", "-c", "nc -w 2 catalog 8080"]}}
TELLS = [
    ("loopback in the log", TCP, REFUSED, "listening on 127.0.0.1:8080", {}, "on 127.0.0.1:8080 only"),
    ("loopback in the command", TCP, REFUSED, "", {"command": ["httpd", "-f", "-p", "127.0.0.1:8080"]}, "on 127.0.0.1:8080 only"),
    ("another port", TCP, REFUSED, "server listening on :9090", {}, "it listens on port 9090"),
    ("another service", CURL, "", "", {}, "catalog:8080"),
    ("words of the runtime", CURL, 'rpc error: code = Unknown desc = OCI: exec: "sh": no such file', "", {}, '(exec: "sh": no such file)'),
    ("scheme", {"httpGet": {"port": 1, "scheme": "HTTPS"}}, "server gave HTTP response to HTTPS client", "", {}, "HTTPS GET :1/"),
    ("a request that is not accepted", {"httpGet": {"port": 1}}, "HTTP probe failed with statuscode: 400", "", {}, "it answers 400"),
    ("no gRPC", {"grpc": {"port": 9}}, 'timeout: failed to connect service "10.0.0.1:9" within 1s', "", {}, "nothing on port 9 answers gRPC"),
]


@pytest.mark.parametrize("what, probe, said, log, more, tells", TELLS, ids=[row[0] for row in TELLS])
def test_what_is_known_beyond_the_event(what: str, probe: Object, said: str, log: str, more: dict[str, Any], tells: str) -> None:
    assert tells in unready(probe, said, log, **more)[0].root_cause


def test_the_usage_of_a_command_is_no_timeout() -> None:
    said = "nc: invalid option -- 'z'\n\nUsage: nc [-w SEC]\n\t-w SEC\tTimeout"
    finding, _one = unready({"exec": {"command": ["nc", "-z", "cache", "6379"]}}, said)
    assert finding.details["reason"] == "command" and "host" not in finding.details and "Timeout" not in finding.root_cause


def test_a_crash_long_ago_does_not_hide_the_readiness_probe() -> None:
    one = probed("Readiness", running(restarts=1, ready=False, last=ended(1, seconds=5 * 86400), since=5 * 86400))
    assert codes(snapshot(one, unhealthy(one, "Readiness"))) == ["ReadinessProbeFailing"]


@pytest.mark.parametrize(
    "state, container", [(running(since=600), "app"), (running(ready=False, since=600), "side")], ids=["ready by now", "about another container"]
)
def test_readiness_of_something_else(state: Object, container: str) -> None:
    one = probed("Readiness", state)
    assert codes(snapshot(one, unhealthy(one, "Readiness", container=container))) == []


def test_events_without_a_field_path_count() -> None:
    one = probed("Readiness", running(ready=False, since=600))
    assert codes(snapshot(one, unhealthy(one, "Readiness", container=""))) == ["ReadinessProbeFailing"]


@pytest.mark.parametrize(
    "probe, text",
    [
        ({"httpGet": {"port": 8080, "path": "/x"}}, "HTTP GET :8080/x"),
        ({"httpGet": {"port": "web"}}, "HTTP GET :web/"),
        ({"tcpSocket": {"port": 5432}}, "TCP :5432"),
        ({"grpc": {"port": 9000, "service": ""}}, "gRPC :9000"),
        ({"exec": {"command": ["cat", "/ready"]}}, "exec cat /ready"),
        ({}, "exec "),
        ({"exec": {"command": ["x" * 200]}}, "exec " + "x" * 115),
    ],
)
def test_what_a_probe_asks(probe: dict[str, Any], text: str) -> None:
    assert target(probe) == text
