# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Containers that end: killed for memory, killed otherwise, not started, crashed, finished. Messages are those of a real kubelet."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.diagnosis.objects import (
    Object,
    ago,
    codes,
    deployment,
    ended,
    event,
    excerpts,
    looping,
    only,
    pod,
    replicaset,
    running,
    snapshot,
    spec,
    status,
    waiting,
)

OCI = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
)
LIMITED = [spec(resources={"limits": {"memory": "64Mi"}})]
OOM = ended(137, "OOMKilled")


def terminated(last: Object, restarts: int = 1) -> Object:
    return {**status("terminated", restarts=restarts, last=last), "state": {"terminated": last}}


STATES: list[tuple[str, Object, str]] = [
    ("in its back-off", looping(OOM), "OOMKilled"),
    ("just ended", terminated(OOM), "OOMKilled"),
    ("the first time", terminated(OOM, 0), "OOMKilled"),
    ("a child was killed and the shell went on", terminated(ended(0, "OOMKilled")), "OOMKilled"),
    ("running again, not ready", running(restarts=1, ready=False, last=OOM, since=30), "OOMKilled"),
    ("running and ready again", running(restarts=1, last=OOM, since=30), "OOMKilled"),
    ("half an hour ago, never ready since", running(restarts=1, ready=False, last=ended(137, "OOMKilled", 1800), since=1799), "OOMKilled"),
    ("killed, not for memory", looping(ended(137)), "KilledNotOOM"),
    ("unknown state after a node came back", looping(ended(255, "Unknown")), "AppCrash"),
    ("crashed", looping(ended(1)), "AppCrash"),
    ("segmentation fault", looping(ended(139)), "AppCrash"),
    ("just crashed", terminated(ended(1)), "AppCrash"),
    ("crashed once, running again, not ready yet", running(restarts=1, ready=False, last=ended(1), since=28), "AppCrash"),
    ("crashed twice lately, ready again", running(restarts=2, last=ended(1), since=28), "AppCrash"),
    ("finished, in its back-off", looping(ended(0)), "MainProcessEnds"),
    ("finished again, back-off not written yet", terminated(ended(0)), "MainProcessEnds"),
    ("command not found by the shell", looping(ended(127)), "CommandNotFound"),
    ("command not executable", looping(ended(126)), "CommandNotFound"),
]


@pytest.mark.parametrize("what, state, code", STATES, ids=[row[0] for row in STATES])
def test_what_a_state_means(what: str, state: Object, code: str) -> None:
    assert codes(snapshot(pod(state, specs=LIMITED))) == [code]


HISTORY: list[tuple[str, Object]] = [
    ("killed for memory long ago", running(restarts=1, last=ended(137, "OOMKilled", 3700))),
    ("crashed once, ready again", running(restarts=1, last=ended(1))),
    ("crashed often, long ago", running(restarts=9, last=ended(1, seconds=3700))),
    ("crashed long ago, not ready now", running(restarts=1, ready=False, last=ended(1, seconds=5 * 86400))),
    ("crashed a quarter of an hour ago, not ready now", running(restarts=1, ready=False, last=ended(1, seconds=900))),
    ("finished and restarted twice, ready", running(restarts=2, last=ended(0))),
    ("finished for the first time", terminated(ended(0), 0)),
]


@pytest.mark.parametrize("what, state", HISTORY, ids=[row[0] for row in HISTORY])
def test_what_is_history(what: str, state: Object) -> None:
    assert codes(snapshot(pod(state))) == []


def test_oom_with_a_limit() -> None:
    taken = snapshot(pod(looping(OOM, 1), specs=LIMITED))
    finding = only(taken)
    assert finding.details["limit"] == "64Mi" and "more memory than its limit of 64Mi; it has restarted once." in finding.root_cause
    assert "(OOMKilled, exit code 137)" in finding.root_cause
    assert "pod/web-1 spec.containers[app]: resources.limits.memory: 64Mi" in excerpts(taken)
    assert f"ended: reason OOMKilled, exit code 137, at {ago(30)}" in excerpts(taken)


def test_oom_names_the_exit_code_that_there_was() -> None:
    assert "(OOMKilled, exit code 0)" in only(snapshot(pod(terminated(ended(0, "OOMKilled")), specs=LIMITED))).root_cause


def test_oom_without_a_limit() -> None:
    finding = only(snapshot(pod(looping(OOM))))
    assert finding.code == "OOMKilledNoLimit" and "It has no memory limit, so the memory of node node-1" in finding.root_cause


def test_killed_not_oom_shows_the_events_that_may_explain_it() -> None:
    one = pod(looping(ended(137)))
    taken = snapshot(one, event(one, "Killing", "Stopping container app"))
    assert only(taken).code == "KilledNotOOM" and "event Killing on pod/web-1: Stopping container app" in excerpts(taken)


STARTS: list[tuple[str, str, str, str]] = [
    ("not in the path", 'exec: "nosuch": executable file not found in $PATH: unknown', "nosuch", "The command is not in the image"),
    ("no such file", 'exec: "/app/nosuch": stat /app/nosuch: no such file or directory: unknown', "/app/nosuch", "The command is not in the image"),
    ("not executable", 'exec: "/etc/passwd": permission denied: unknown', "/etc/passwd", "The command is in the image, but it cannot be executed"),
    ("a directory", 'exec: "/tmp": is a directory: unknown', "/tmp", "The command is in the image, but it cannot be executed"),
    ("another architecture", 'exec: "/app": exec format error', "/app", "The command is in the image, but it cannot be executed"),
]


@pytest.mark.parametrize("what, message, missing, cause", STARTS, ids=[row[0] for row in STARTS])
@pytest.mark.parametrize("form", ["run container error", "back-off", "terminated"])
def test_a_command_that_the_runtime_cannot_start(what: str, message: str, missing: str, cause: str, form: str) -> None:
    last = ended(128, "StartError", message=OCI + message)
    state = {
        "run container error": waiting("RunContainerError", OCI + message, restarts=4, last=last),
        "back-off": looping(last),
        "terminated": terminated(last),
    }[form]
    taken = snapshot(pod(state, specs=[spec(command=["/app/run", "--fast"])]))
    finding = only(taken)
    assert finding.code == "CommandNotFound" and finding.title == f"container app cannot run its command {missing!r}"
    assert finding.root_cause.startswith(cause) and finding.root_cause.endswith("The command is /app/run --fast.")
    assert message in excerpts(taken)


@pytest.mark.parametrize(
    "message",
    [
        "error during container init: mkdir /etc/passwd: not a directory: unknown",
        'error mounting "/var/lib/x" to rootfs at "/data": stat /var/lib/x: no such file or directory: unknown',
        'chdir to cwd ("/nope") set in config.json failed: no such file or directory: unknown',
    ],
)
def test_other_start_errors_do_not_blame_the_command(message: str) -> None:
    assert codes(snapshot(pod(looping(ended(128, "StartError", message=OCI + message))))) == ["ContainerStartFailed"]


SHELLS = [
    (127, "sh: nosuch: not found", "nosuch"),
    (127, "/bin/sh: 1: nosuch: not found", "nosuch"),
    (127, "bash: line 1: nosuch: command not found", "nosuch"),
    (127, "sh: can't open '/run.sh': No such file or directory", "/run.sh"),
    (126, "sh: /run.sh: Permission denied", ""),
    (127, "", ""),
]


@pytest.mark.parametrize("code, line, missing", SHELLS)
def test_a_command_that_the_shell_cannot_run(code: int, line: str, missing: str) -> None:
    finding = only(snapshot(pod(looping(ended(code))), logs={"web-1": line}))
    assert finding.code == "CommandNotFound" and f"(exit code {code})" in finding.root_cause
    assert ("It looked for" in finding.root_cause) == bool(missing) and missing in finding.title


UNSTARTED = [
    ("/s/run.sh", "no such file or directory", "CRLF"),
    ("/s/run.sh", "permission denied", "x bit"),
    ("/s/run.sh", "exec format error", "#!/bin/sh"),
]


@pytest.mark.parametrize("command, why, says", UNSTARTED)
def test_a_script_that_the_kernel_cannot_start(command: str, why: str, says: str) -> None:
    finding = only(snapshot(pod(looping(ended(1))), logs={"web-1": f"exec {command}: {why}\n"}))
    assert finding.code == "CommandNotFound" and command in finding.title and says in finding.root_cause


def test_where_a_script_comes_from() -> None:
    one = pod(looping(ended(1)), specs=[spec(command=["/s/run.sh"], volumeMounts=[{"name": "v", "mountPath": "/s"}])])
    one["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "boot"}}]
    finding = only(snapshot(one, logs={"web-1": "exec /s/run.sh: no such file or directory\n"}))
    assert "/s is the volume v (ConfigMap boot)" in finding.root_cause


def test_a_program_for_another_processor_is_no_script() -> None:
    assert only(snapshot(pod(looping(ended(255))), logs={"web-1": "exec /app/server: exec format error\n"})).code == "ImageWrongArchitecture"


MEANINGS = [
    ("OSError: [Errno 24] Too many open files: '/var/lib/app/index.db'", "file descriptors"),
    ("FATAL license expired on 2026-10-31", "license has expired"),
    ('sh: syntax error: unexpected "done" (expecting "fi")', "The shell cannot parse"),
    ("ModuleNotFoundError: No module named 'flask_cors'", "lacks a library"),
    ("FATAL:  database files are incompatible\nDETAIL:  initialized by version 14", "DETAIL:  initialized by version 14"),
    ("FATAL:  sorry, too many clients already", "no connection left"),
]


@pytest.mark.parametrize("line, means", MEANINGS)
def test_what_a_line_means(line: str, means: str) -> None:
    finding = only(snapshot(pod(looping(ended(1))), logs={"web-1": line}))
    assert finding.code == "AppCrash" and line.splitlines()[0] in finding.root_cause and means in finding.root_cause


def test_a_process_that_ends_by_itself_is_shown_with_its_last_words() -> None:
    one = pod(looping(ended(0)), specs=[spec(command=["server", "--help"])])
    finding = only(snapshot(one, logs={"web-1": "usage: server --listen ADDR\n"}))
    assert finding.code == "MainProcessEnds" and "server --help" in finding.root_cause and "usage: server" in finding.root_cause


def test_nobody_told_it_to_end() -> None:
    assert "The kubelet did not tell it to end" in only(snapshot(pod(looping(ended(143))), logs={"web-1": "bye"})).root_cause


CRASHES: list[tuple[str, int, str, str]] = [
    (
        "python",
        1,
        "starting\nTraceback (most recent call last):\n  File \"/app/main.py\", line 3, in <module>\n    main()\nKeyError: 'DATABASE_URL'\n",
        "KeyError: 'DATABASE_URL'",
    ),
    (
        "java",
        1,
        'INFO starting error reporting\nException in thread "main" java.lang.IllegalStateException: no config\n\tat app.Main.main(Main.java:5)\n',
        'Exception in thread "main" java.lang.IllegalStateException: no config',
    ),
    (
        "go",
        2,
        "listening\npanic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n",
        "panic: runtime error: index out of range [5] with length 3",
    ),
    (
        "node",
        1,
        "node:internal/modules/cjs/loader:1080\n  throw err;\n  ^\n\nError: Cannot find module 'express'\nRequire stack:\n- /app/x.js\n",
        "Error: Cannot find module 'express'",
    ),
    ("shell", 2, "+ migrate\nmigrate: could not connect to db:5432\n", "migrate: could not connect to db:5432"),
    ("nothing telling", 3, "one\ntwo\n", "two"),
]


CODES = {"python": "EnvironmentMissing", "shell": "DependencyUnreachable"}  # the rest name no cause of their own


@pytest.mark.parametrize("what, code, log, line", CRASHES, ids=[row[0] for row in CRASHES])
def test_a_crash_names_the_telling_line(what: str, code: int, log: str, line: str) -> None:
    one = pod(looping(ended(code)))
    taken = snapshot(one, event(one, "BackOff", "Back-off restarting failed container app"), logs={"web-1": log})
    finding = only(taken)
    assert finding.code == CODES.get(what, "AppCrash") and f"exit code {code}" in finding.root_cause and line in finding.root_cause
    assert finding.details["line"] == line and finding.details["finished"] == ago(30) and finding.details["ready_pods"] == 0
    assert f"log of pod/web-1 container app (previous run): {line}" in excerpts(taken)
    assert what in CODES or "event BackOff" in excerpts(taken)


def test_a_crash_without_a_log() -> None:
    assert "no line of its log could be read" in only(snapshot(pod(looping(ended(1))))).root_cause
    assert "no line of its log could be read" in only(snapshot(pod(looping(ended(1))), logs={"web-1": " \n"})).root_cause


@pytest.mark.parametrize(
    "code, text", [(139, "exit code 139 (SIGSEGV)"), (134, "exit code 134 (SIGABRT)"), (143, "exit code 143 (SIGTERM)"), (3, "exit code 3;")]
)
def test_signals_are_named(code: int, text: str) -> None:
    assert text in only(snapshot(pod(looping(ended(code))), logs={"web-1": "x"})).root_cause


def test_secrets_in_a_log_line_do_not_leave() -> None:
    taken = snapshot(pod(looping(ended(1))), logs={"web-1": "Error: login failed with password=hunter2"})
    assert "hunter2" not in str(only(taken).document()) and "hunter2" not in excerpts(taken)


def test_which_log_is_read() -> None:
    logs: dict[str, Any] = {"web-1": {"current": "Error: now", "previous": "Error: before"}}
    assert "Error: before" in only(snapshot(pod(looping(ended(1))), logs=logs)).root_cause
    assert "Error: now" in only(snapshot(pod(terminated(ended(1))), logs=logs)).root_cause
    assert "Error: now" in only(snapshot(pod(looping(ended(1))), logs={"web-1": {"current": "Error: now", "previous": ""}})).root_cause


def test_init_containers() -> None:
    crash = looping(ended(3), name="setup")
    one = pod(waiting("PodInitializing"), init=[spec("setup")], init_statuses=[crash], phase="Pending")
    finding = only(snapshot(one, logs={"web-1/setup": "migrate: could not connect to db:5432"}))
    assert (finding.code, finding.container) == ("DependencyUnreachable", "setup")
    assert "init container setup" in finding.root_cause and "exit code 3" in finding.root_cause
    done = {**status("terminated", "setup", 2), "state": {"terminated": ended(0)}, "lastState": {"terminated": ended(1)}}
    assert codes(snapshot(pod(running(), init=[spec("setup")], init_statuses=[done]))) == []


def test_the_first_container_that_fails_is_named() -> None:
    one = pod(running("side"), looping(ended(1), name="app"), specs=[spec("side"), spec("app")])
    assert only(snapshot(one)).container == "app"


def test_a_deployment_may_return_to_an_earlier_revision() -> None:
    top = deployment()
    one = pod(looping(ended(1)), owner=replicaset(top))
    assert "or return to the revision that worked" in only(snapshot(top, replicaset(top), one)).suggested_fix
    assert "or return to" not in only(snapshot(pod(looping(ended(1))))).suggested_fix
    assert "pods of a Pod must keep running" in only(snapshot(pod(looping(ended(0))))).root_cause
