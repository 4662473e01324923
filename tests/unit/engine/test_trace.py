# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The trace of calls to the model, in the words of kubectl-ai v0.0.28."""

from __future__ import annotations

import json

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine.trace import EVENT_BYTES, Trace, sum_cost, sum_tokens


def _response(body: str, status: str = "200 OK", headers: str = "") -> bytes:
    payload = f"payload:\n  body: {json.dumps(body)}\n  headers:\n    Date:\n    - now\n{headers}  status: {status}\n"
    return f"action: http.response\n{payload}timestamp: x\n\n\n---\n\n".encode()


def _read(*events: bytes) -> Trace:
    trace = Trace()
    data = b"".join(events)
    for start in range(0, len(data), 997):
        trace.feed(data[start : start + 997])
    return trace


OPENAI = '{"usage": {"prompt_tokens": 100, "completion_tokens": 20, "cost": 0.0012}}'
STREAM = 'data: {"choices": [], "usage": null}\n\ndata: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}\n\ndata: [DONE]\n\n'
GEMINI = '{"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1}}'
QUOTED = json.dumps({"choices": [{"delta": {"content": '{"usage": {"prompt_tokens": 999, "cost": 5}}'}}]})


def test_tokens_and_cost_are_added_up() -> None:
    trace = _read(
        _response(OPENAI), _response(STREAM), _response(f"data: {GEMINI}\r\n\r\ndata: {GEMINI.replace('1}', '5}')}\r\n\r\n"), _response(OPENAI)
    )
    assert trace.tokens() == {"prompt": 210, "completion": 50} and trace.cost() == {"amount": 0.0024, "currency": "USD"}
    assert (trace.responses, trace.failed, trace.last) == (4, 0, "200 OK")


def test_a_block_of_yaml_and_a_header() -> None:
    event = (
        b'action: http.response\npayload:\n  body: |+\n    data: {"usage": {"input_tokens": 1, "output_tokens": 2}}\n\n    data: [DONE]\n\n'
        b'  headers:\n    X-Litellm-Response-Cost:\n    - "0.25"\n  status: 200 OK\n\n---\n'
    )
    trace = _read(event)
    assert (trace.tokens(), trace.cost()) == ({"prompt": 1, "completion": 2}, {"amount": 0.25, "currency": "USD"})


@pytest.mark.parametrize(
    "event",
    [
        _response(f"data: {QUOTED}"),  # said by the model, not by the endpoint
        _response("{}"),
        _response('{"usage": {"prompt_tokens": true, "cost": "1"}}'),
        _response('{"usage": {"prompt_tokens": -1, "cost": -1}}'),
        _response('{"usage": {"prompt_tokens": 1' + "0" * 400 + ', "cost": 1e999}}'),
        _response('{"usage": [1]}'),
        _response('{"usage": {"cost": NaN}}'),
        _response("{}", headers="    X-Litellm-Response-Cost:\n    - nan\n"),
        _response("{}", headers='    X-Litellm-Response-Cost:\n    - ""\n'),
        b"action: http.response\npayload: [usage\n---\n",
        b"action: http.response\nusage\n---\n",
        b'action: http.request\npayload:\n  request: "{\\"usage\\": {\\"prompt_tokens\\": 5, \\"cost\\": 5}}"\n---\n',
        b"action: http.response\n" + b"x" * (EVENT_BYTES + 1) + b"usage\n---\n",
    ],
)
def test_what_is_not_stated_is_not_made_up(event: bytes) -> None:
    trace = _read(event)
    assert (trace.tokens(), trace.cost()) == (None, None)


def test_failures_in_a_row_are_counted() -> None:
    broken = b"action: http.error\npayload:\n  detail: 'dial tcp 127.0.0.1:1: connect: connection refused'\n  error: http transport failed\n---\n"
    bad = _response("{}", "503 Service Unavailable")
    trace = _read(bad, _response("{}"), bad, broken)
    assert (trace.responses, trace.failed, trace.last) == (3, 2, "dial tcp 127.0.0.1:1: connect: connection refused")
    trace.feed(b"\n" + _response("{}", "429 Too Many Requests"))
    assert (trace.failed, trace.last) == (3, "429 Too Many Requests")


def test_an_event_after_one_that_was_too_long_is_read() -> None:
    trace = Trace()
    for _piece in range(9):
        trace.feed(b"x" * (EVENT_BYTES // 8))
    trace.feed(b"\n---\n\n" + _response(OPENAI))
    assert trace.tokens() == {"prompt": 100, "completion": 20}


def test_sums() -> None:
    assert sum_tokens([None, {"prompt": 1, "completion": 2}, {"prompt": 3, "completion": 4}]) == {"prompt": 4, "completion": 6}
    assert sum_cost([{"amount": 0.1, "currency": "USD"}, None, {"amount": 0.2, "currency": "USD"}]) == {"amount": 0.3, "currency": "USD"}
    assert sum_tokens([None]) is None and sum_cost([]) is None
