# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Log lines that tell, dependencies that they name, quantities, and evidence."""

from __future__ import annotations

import time

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.logs import reading as logs
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import amount, memory
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, View, event_evidence, event_time, wants_log

from tests.unit.diagnosis.objects import Object, ended, event, looping, pod, running, snapshot, spec, status, waiting

TELLING: list[tuple[str, str, str]] = [
    (
        "chained exceptions begin with the cause",
        (
            'Traceback (most recent call last):\n  File "a.py", line 1\nConnectionError: db\n\nDuring handling of the above exception, another'
            ' exception occurred:\n\nTraceback (most recent call last):\n  File "a.py", line 2\nSystemExit: 1\n'
        ),
        "ConnectionError: db",
    ),
    ("a traceback after other errors", "error: cache cold\nTraceback (most recent call last):\n  x\nValueError: bad\n", "ValueError: bad"),
    ("a traceback that was cut off", 'Traceback (most recent call last):\n  File "a.py"\n', "Traceback (most recent call last):"),
    ("the first of several", "starting\nfatal: no config\nexiting: error\n", "fatal: no config"),
    ("colours", "\x1b[32mstart\x1b[0m\n\x1b[1;31mFATAL\x1b[0m no database\n", "FATAL no database"),
    ("zero errors", "0 errors found\nno errors\nerrors=0\nbye\n", "bye"),
    (
        "information about errors",
        (
            'INFO error reporting enabled\nlevel=info msg="failed over"\n[info] invalid cache dropped\n{"level":"debug","msg":"missing key"}\nERROR'
            " disk full\n"
        ),
        "ERROR disk full",
    ),
    ("an error about information", "Error: could not read server info\nstopping\n", "Error: could not read server info"),
    ("an error with a trace", "boot\nerror: it broke, stack trace follows\n at x\n", "error: it broke, stack trace follows"),
    (
        "error pages",
        'loading error_page /50x.html\nnginx: [emerg] host not found in upstream "db"\n',
        'nginx: [emerg] host not found in upstream "db"',
    ),
    ("postgres", 'LOG:  starting\nFATAL:  data directory "/data" has wrong ownership\n', 'FATAL:  data directory "/data" has wrong ownership'),
    ("spring", "APPLICATION FAILED TO START\n***\n", "APPLICATION FAILED TO START"),
    ("no error word", "one\ntwo\n\n", "two"),
    ("carriage returns", "one\r\nfatal: two\r\n", "fatal: two"),
]


@pytest.mark.parametrize("what, log, line", TELLING, ids=[row[0] for row in TELLING])
def test_telling_lines(what: str, log: str, line: str) -> None:
    found = logs.telling_line(log)
    assert found is not None and found.text == line


@pytest.mark.parametrize("log", ["", "\n", "  \n\t\n", "2026-11-21T11:59:00Z \n"])
def test_no_line(log: str) -> None:
    assert logs.telling_line(log) is None


def test_times_are_those_of_the_kubelet() -> None:
    log = "2026-11-21T11:59:00.123456789Z 2026-11-21 starting\n2026-11-21T11:59:01+01:00 Error: x\nno time: fatal\n"
    assert logs.lines(log) == [
        ("2026-11-21T11:59:00.123456789Z", "2026-11-21 starting"),
        ("2026-11-21T11:59:01+01:00", "Error: x"),
        ("", "no time: fatal"),
    ]


def test_endless_lines_take_no_time() -> None:
    started = time.process_time()
    for text in ("x" * 500_000, "connect " * 60_000, "dial tcp " * 50_000, "a:1 " * 100_000, "error\n" * 100_000):
        line = logs.telling_line(text)
        assert line is not None and len(line.text) <= 2000
        logs.dependency(line.text)
    assert time.process_time() - started < 4


DEPENDENCIES: list[tuple[str, tuple[str, int] | None]] = [
    ("dial tcp 10.96.0.5:5432: connect: connection refused", ("10.96.0.5", 5432)),
    ("dial tcp: lookup db on 10.96.0.10:53: no such host", ("db", 0)),
    ("dial tcp: lookup db.shop.svc.cluster.local: i/o timeout", ("db.shop.svc.cluster.local", 0)),
    ("dial tcp db:5432: i/o timeout", ("db", 5432)),
    ('connection to server at "db" (10.96.1.2), port 5432 failed: Connection refused', ("db", 5432)),
    ('could not translate host name "db" to address: Name or service not known', ("db", 0)),
    ("Can't connect to MySQL server on 'db:3306' (111)", ("db", 3306)),
    ("Can't connect to MySQL server on 'db' (111)", ("db", 0)),
    ("Error -2 connecting to redis:6379. Name or service not known.", ("redis", 6379)),
    ("Error: getaddrinfo ENOTFOUND db", ("db", 0)),
    ("getaddrinfo EAI_AGAIN db.shop", ("db.shop", 0)),
    ("java.net.UnknownHostException: db", ("db", 0)),
    ("curl: (6) Could not resolve host: api", ("api", 0)),
    ("wget: bad address 'api:8080'", ("api", 8080)),
    ("nc: can't resolve 'db'", ("db", 0)),
    ("Failed to connect to http://api:8080/x", ("api", 8080)),
    ("could not connect to amqp://u:[redacted]@mq:5672", ("mq", 5672)),
    ("migrate: could not connect to db:5432", ("db", 5432)),
    ("connect ECONNREFUSED 10.96.0.5:5432", ("10.96.0.5", 5432)),
    ("connect ECONNREFUSED 127.0.0.1:5432", None),
    ("connection to localhost:5432 refused", None),
    ("failed to connect at main.go:22", None),
    ('File "/app/connect.py:22"', None),
    ("/src/connection/pool.rs:120 panicked", None),
    ("KeyError: 'DATABASE_URL'", None),
    ("Connection refused", None),
    ("", None),
]


@pytest.mark.parametrize("text, expected", DEPENDENCIES, ids=[row[0][:50] for row in DEPENDENCIES])
def test_dependencies(text: str, expected: tuple[str, int] | None) -> None:
    assert logs.dependency(text) == expected


@pytest.mark.parametrize(
    "text, value", [("64Mi", 67108864), ("1Gi", 2**30), ("100M", 10**8), ("1500m", 1.5), ("2", 2), (3, 3), ("1e3", 1000), ("0", 0)]
)
def test_amounts(text: str | int, value: float) -> None:
    assert amount(text) == value


@pytest.mark.parametrize("text", ["", "abc", "1Zi", "Mi", "1mi"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError):
        amount(text)


@pytest.mark.parametrize(
    "size, text",
    [
        (2**20, "1Mi"),
        (2**20 + 1, "2Mi"),
        (0, "1Mi"),
        (48 * 2**20, "48Mi"),
        (2**30, "1Gi"),
        (1536 * 2**20, "1536Mi"),
        (2**40, "1024Gi"),
        (10**8, "96Mi"),
    ],
)
def test_memory_is_written_in_whole_units(size: float, text: str) -> None:
    assert memory(size) == text


def test_evidence_is_kept_once_cut_clean_and_numbered() -> None:
    evidence = Evidence()
    assert evidence.add("a", "t1", " x ") == "E1" and evidence.add("a", "t2", "x") == "E1" and evidence.add("b", "", "x") == "E2"
    assert evidence.add("c", "", "y" * 601) == "E3" and evidence.add("d", "", "bad\x1b[31m\x00\npassword=hunter2") == "E4"
    assert evidence.facts[0] == {"id": "E1", "source": "a", "time": "t1", "excerpt": "x"}
    assert evidence.facts[2]["excerpt"] == "y" * 600 + "... (601 characters)"
    assert evidence.facts[3]["excerpt"] == "bad\ufffd[31m\ufffd\npassword=[redacted]"


EVENT_TIMES: list[tuple[Object, str]] = [
    ({"series": {"lastObservedTime": "d"}, "lastTimestamp": "c", "eventTime": "b", "metadata": {"creationTimestamp": "a"}}, "d"),
    ({"lastTimestamp": "c", "eventTime": "b", "metadata": {}}, "c"),
    ({"lastTimestamp": None, "eventTime": "b", "metadata": {}}, "b"),
    ({"series": None, "metadata": {"creationTimestamp": "a"}}, "a"),
    ({"metadata": {}}, ""),
]


@pytest.mark.parametrize("one, expected", EVENT_TIMES)
def test_the_time_of_an_event(one: Object, expected: str) -> None:
    assert event_time(one) == expected


def test_events_become_evidence_three_messages_at_most_the_newest_of_each() -> None:
    about, evidence = pod(running()), Evidence()
    events = [event(about, "Failed", f"message {number % 4}", seconds=100 - number, count=number) for number in range(8)]
    events[7]["series"] = {"count": 99}
    ids = event_evidence(evidence, View(snapshot(about, *events)).events(about, "Failed"))
    assert ids == ["E1", "E2", "E3"] and [fact["excerpt"] for fact in evidence.facts] == [
        "message 1 (seen 5x)",
        "message 2 (seen 6x)",
        "message 3 (seen 99x)",
    ]


WANTS: list[tuple[str, Object, list[str]]] = [
    ("running", pod(running()), []),
    ("starting", pod(waiting("ContainerCreating")), []),
    ("no status", pod(), []),
    ("restarted", pod(running(restarts=1, last=ended(1))), ["app"]),
    ("looping", pod(looping(ended(1))), ["app"]),
    ("not ready", pod(running(ready=False)), ["app"]),
    ("failed", pod({**status("terminated"), "state": {"terminated": ended(1)}}), ["app"]),
    ("completed", pod({**status("terminated"), "state": {"terminated": ended(0)}}), []),
    ("init", pod(waiting("PodInitializing"), init=[spec("setup")], init_statuses=[looping(ended(1), name="setup")]), ["setup"]),
]


@pytest.mark.parametrize("what, one, names", WANTS, ids=[row[0] for row in WANTS])
def test_whose_logs_are_worth_reading(what: str, one: Object, names: list[str]) -> None:
    assert wants_log(one) == names
