# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which logs are asked for, and that the end of a log is what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.logs_read import Reader, Wanted, newest, runs

from tests.unit.cluster.web import Answer, Asked, Web

LOG = "GET /api/v1/namespaces/shop/pods/web/log"
ENDED: dict[str, Any] = {"terminated": {"exitCode": 1}}
RUNS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ENDED}, ("previous", "|current")),
    ({"state": {"waiting": {}}, "lastState": {}}, ("current",)),
    ({"state": ENDED, "restartCount": 0}, ("current",)),
    ({"state": ENDED, "restartCount": 1}, ("current", "|previous")),
    ({"state": {"running": {}}, "lastState": ENDED, "ready": False}, ("previous", "current")),
    ({"state": {"running": {}}, "lastState": ENDED, "ready": True}, ("previous", "|current")),
    ({"state": {"running": {}}, "ready": False}, ("current",)),
    ({}, ("current",)),
]


def web_pod(status: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"nodeName": "n"},
        "status": {"initContainerStatuses": [{"name": "app", **status}]},
    }


@pytest.mark.parametrize("status, expected", RUNS)
def test_only_logs_that_exist_are_asked_for(web: Web, api: Api, status: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert runs(status) == expected
    web.routes[LOG] = Answer(200, b"")
    Reader(api, False, []).read(Wanted(web_pod(status), "app"))
    assert [{"true": "previous", "false": "current"}[one.query["previous"][0]] for one in web.asked] == [one.lstrip("|") for one in expected]


def test_the_previous_log_is_only_asked_for_where_the_current_one_is_empty(web: Web, api: Api) -> None:
    web.routes[LOG] = Answer(200, b"2026-01-01T00:00:00Z x\n")
    log = Reader(api, False, []).read(Wanted(web_pod({"state": ENDED, "restartCount": 1}), "app"))
    assert len(web.asked) == 1 and log.texts == {"current": "2026-01-01T00:00:00Z x\n", "previous": ""}


def test_a_log_that_is_cut_is_asked_for_again_with_fewer_lines(web: Web, api: Api) -> None:
    lines = [b"x" * 20_000 + b"\n"] * 199 + [b"the real error\n"]

    def kubelet(asked: Asked) -> Answer:
        return Answer(200, b"".join(lines[-int(asked.query["tailLines"][0]) :])[: int(asked.query["limitBytes"][0])])

    web.routes[LOG] = kubelet
    log = Reader(api, False, []).read(Wanted(web_pod({}), "app"))
    assert [one.query["tailLines"] for one in web.asked] == [["200"], ["40"], ["3"]] and log.texts["current"].endswith("\nthe real error\n")


NEWEST: list[tuple[str, str, int, str]] = [
    ("short", "a\nb\n", 100, "a\nb\n"),
    ("the last lines", "a\nb\nc\n", 4, "b\nc\n"),
    ("a line that does not fit alone", "abcdef\n", 3, "abcdef\n"),
    ("no end of line", "a\nbc", 3, "bc"),
    ("empty", "", 3, ""),
]


@pytest.mark.parametrize("text, most, expected", [row[1:] for row in NEWEST], ids=[row[0] for row in NEWEST])
def test_the_newest_lines_that_fit(text: str, most: int, expected: str) -> None:
    assert newest(text, most) == expected


def test_a_line_that_is_too_long_loses_its_end() -> None:
    kept = newest("x" * 10_000_000 + "\nthe real error\n", 64 * 1024)
    assert len(kept) == 16 * 1024 + 15 and kept.startswith("xxx") and kept.endswith("\nthe real error\n")
    assert len(newest("y" * 50_000, 64 * 1024)) == 16 * 1024
