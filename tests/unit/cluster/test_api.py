# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Requests to a server: what is sent, and how each refusal and each silence is told."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable, as_go_writes, segment
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect

from tests.unit.cluster.web import Answer, Asked, Web, status


def test_a_request_as_it_is_sent(web: Web, api: Api) -> None:
    web.routes["PATCH /x"] = Answer(200, {"kind": "Deployment"})
    answer = api.request(
        "PATCH", "/x", {"dryRun": "All", "fieldManager": "aiops.k8s"}, [{"op": "test", "value": "<é>"}], content_type="application/json-patch+json"
    )
    assert answer == {"kind": "Deployment"}
    [asked] = web.asked
    assert asked.query == {"dryRun": ["All"], "fieldManager": ["aiops.k8s"]} and asked.body == b'[{"op": "test", "value": "\\u003c\xc3\xa9\\u003e"}]'
    assert {name: asked.headers[name] for name in ("Authorization", "Accept", "Content-Type", "User-Agent")} == {
        "Authorization": "Bearer t0ken",
        "Accept": "application/json",
        "Content-Type": "application/json-patch+json",
        "User-Agent": "aiops.k8s",
    }


def test_impersonation_is_sent_group_by_group(web: Web) -> None:
    seen: list[list[str]] = []
    web.routes["GET /x"] = lambda asked: Answer(200, {"groups": asked.headers.get("Impersonate-Group")})
    connected = connect({"host": web.address, "api_key": "t", "impersonate_user": "ann", "impersonate_groups": ["dev", "ops"]})
    connected.request("GET", "/x")
    seen.append([connected.headers[1][1], *(value for name, value in connected.headers if name == "Impersonate-Group")])
    assert seen == [["ann", "dev", "ops"]] and web.asked[0].headers["Impersonate-User"] == "ann"


STATUSES: list[tuple[Answer, int, str, str]] = [
    (
        status(401, "Unauthorized"),
        401,
        "401 Unauthorized: the message",
        "The credentials are not accepted: the token or certificate may have expired",
    ),
    (
        status(403, "Forbidden", 'pods is forbidden: User "u" cannot list'),
        403,
        '403 Forbidden: pods is forbidden: User "u" cannot list',
        "Grant the verb that the message names",
    ),
    (status(404, "NotFound"), 404, "404 NotFound: the message", ""),
    (status(409, "Conflict"), 409, "409 Conflict: the message", ""),
    (status(422, "Invalid"), 422, "422 Invalid: the message", ""),
    (status(500, "InternalError"), 500, "500 InternalError: the message", ""),
    (Answer(503, b"upstream is away\n"), 503, "503 503: upstream is away", ""),
    (Answer(502, b"<html>" + b"x" * 1000), 502, "502 502: <html>xxx", ""),
    (Answer(403, b""), 403, "403 403:", "Grant the verb"),
    (Answer(400, []), 400, "400 400: []", ""),
    (Answer(400, {"message": None}), 400, "400 400:", ""),
    (Answer(302, b"moved"), 302, "302 302: moved", ""),
    (Answer(500, b"\xff\xfe"), 500, "500 500: \ufffd\ufffd", ""),
]


@pytest.mark.parametrize("answer, code, text, fix", STATUSES, ids=[f"{row[1]} {row[2][:24]}" for row in STATUSES])
def test_refusals_are_named(web: Web, api: Api, answer: Answer, code: int, text: str, fix: str) -> None:
    web.routes["POST /x"] = answer
    with pytest.raises(ApiError) as caught:
        api.request("POST", "/x", None, {})
    assert caught.value.status == code and caught.value.fix.startswith(fix) and bool(caught.value.fix) == bool(fix)
    assert str(caught.value).startswith(f"The API server refused POST /x: {text}")
    assert len(str(caught.value)) < 600


def test_get_is_none_for_what_does_not_exist(web: Web, api: Api) -> None:
    web.routes["GET /there"] = Answer(200, {"a": 1})
    web.routes["GET /secret"] = status(403, "Forbidden")
    assert api.get("/there") == {"a": 1} and api.get("/nowhere") is None
    with pytest.raises(ApiError):
        api.get("/secret")


def test_text_is_read_whatever_its_bytes(web: Web, api: Api) -> None:
    web.routes["GET /log"] = Answer(200, "Ошибка ".encode() + b"\xff\x00\n")
    assert api.text("/log", {"tailLines": 5}) == "Ошибка \ufffd\x00\n"
    assert web.asked[0].headers["Accept"] == "*/*" and web.asked[0].query == {"tailLines": ["5"]}


def test_lists_are_read_page_by_page(web: Web, api: Api) -> None:
    def page(asked: Asked) -> Answer:
        number = int(asked.query.get("continue", ["0"])[0])
        return Answer(200, {"items": [number * 2, number * 2 + 1], "metadata": {"continue": str(number + 1)} if number < 2 else {}})

    web.routes["GET /pods"] = page
    items: list[Any] = list(api.pages("/pods", {"labelSelector": "a=b,c"}))
    assert items == [0, 1, 2, 3, 4, 5]
    assert [asked.query.get("continue") for asked in web.asked] == [None, ["1"], ["2"]]
    assert all(asked.query["limit"] == ["250"] and asked.query["labelSelector"] == ["a=b,c"] for asked in web.asked)


def test_the_next_page_is_asked_for_while_one_is_read(web: Web, api: Api) -> None:
    def page(asked: Asked) -> Answer:
        number = int(asked.query.get("continue", ["0"])[0])
        metadata = {"resourceVersion": "7", "continue": str(number + 1), "remainingItemCount": 1} if number < 2 else {"resourceVersion": "7"}
        whole = {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": [{"number": number}]}
        return Answer(200, json.dumps(whole, separators=(",", ":")).encode())

    web.routes["GET /pods"] = page
    reading = api.pages("/pods")
    assert next(reading) == {"number": 0}
    deadline = time.monotonic() + 5
    while len(web.asked) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(web.asked) == 2 and [one["number"] for one in reading] == [1, 2]


@pytest.mark.parametrize("body", [{"items": None}, {"items": []}, {}, {"items": None, "metadata": {}}])
def test_empty_lists(web: Web, api: Api, body: dict[str, Any]) -> None:
    web.routes["GET /pods"] = Answer(200, body)
    assert list(api.pages("/pods")) == []


@pytest.mark.parametrize("method, times", [("GET", 2), ("POST", 1), ("PATCH", 1), ("DELETE", 1)])
def test_only_reads_are_sent_again_after_a_broken_connection(web: Web, api: Api, method: str, times: int) -> None:
    web.routes[f"{method} /x"] = Answer(0)
    with pytest.raises(Unreachable, match=f"The API server {web.address} does not answer {method} /x: "):
        api.request(method, "/x", None, {} if method != "GET" else None)
    assert len(web.asked) == times


def test_a_read_survives_one_broken_connection(web: Web, api: Api) -> None:
    answers = [Answer(0), Answer(200, {"a": 1})]
    web.routes["GET /x"] = lambda asked: answers.pop(0)
    assert api.get("/x") == {"a": 1}


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(
        Unreachable, match=f"The API server {address} does not answer GET /x: .*refused.* Check the server's address in the kubeconfig"
    ):
        connect({"host": address, "api_key": "t"}).request("GET", "/x")


def test_somebody_listens_and_says_nothing() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Unreachable, match="does not answer POST /x: .*timed out"):
            connect({"host": f"http://127.0.0.1:{silent.getsockname()[1]}", "api_key": "t"}).request("POST", "/x", None, {}, timeout=0.1)


@pytest.mark.parametrize(
    "value, written",
    [
        ("a<b>&c", '"a\\u003cb\\u003e\\u0026c"'),
        ("\u2028\u2029", '"\\u2028\\u2029"'),
        ("é🦊", '"é🦊"'),
        ('"\\\n\t', '"\\"\\\\\\n\\t"'),
        ("/", '"/"'),
        ([1, True, None], "[1, true, null]"),
    ],
)
def test_bytes_are_those_that_go_writes(value: Any, written: str) -> None:
    assert as_go_writes(value) == written.encode() and json.loads(as_go_writes(value)) == value


@pytest.mark.parametrize("name, path", [("web-1", "web-1"), ("../x", "..%2Fx"), ("a?b#c", "a%3Fb%23c"), ("a b", "a%20b"), ("", ""), ("é", "%C3%A9")])
def test_a_name_is_one_segment(name: str, path: str) -> None:
    assert segment(name) == path
