# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What kubectl-ai leaves behind, in the words that v0.0.28 uses."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine.transcript import Complaint, Failure, History, answer, failure, parse


def _line(source: str, kind: str, payload: Any) -> dict[str, Any]:
    return {"ID": "x", "Source": source, "Type": kind, "Payload": payload, "Timestamp": "2026-01-01T00:00:00Z"}


ASKED = _line("user", "text", "the prompt")
CALLED = _line("model", "tool-call-request", "kubectl get pods")
PRINTED = _line("agent", "tool-call-response", {"command": "kubectl get pods", "stdout": "web-1"})
ANSWERED = _line("model", "text", "the answer")


def _lines(*entries: dict[str, Any]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


@pytest.mark.parametrize("text", [
    _lines(ASKED, CALLED, PRINTED, ANSWERED),
    json.dumps([ASKED, CALLED, PRINTED, ANSWERED], indent=2),
    _lines(ASKED) + "broken\n[1]\n" + _lines(CALLED, PRINTED, ANSWERED) + '{"Source": "model", "Ty',
])
def test_a_history_in_any_form(text: str) -> None:
    entries = parse(text)
    assert [entry.kind for entry in entries] == ["text", "tool-call-request", "tool-call-response", "text"]
    assert [entry.is_command_output for entry in entries] == [False, False, True, False]
    assert answer(entries, "") == "the answer"


@pytest.mark.parametrize("text", ["", "\n", "[", "null", "[[[", "{" * 10_000])
def test_a_broken_history_is_an_empty_one(text: str) -> None:
    assert parse(text) == []


@pytest.mark.parametrize("entries", [
    [ASKED],
    [ASKED, _line("model", "text", "let me look"), CALLED, PRINTED],  # said before the last command, so not the answer
    [ASKED, _line("model", "text", "let me look"), _line("agent", "error", "Error: boom")],
])
def test_no_last_word_of_the_model_is_no_answer(entries: list[dict[str, Any]]) -> None:
    assert answer(parse(_lines(*entries)), "ignored") == ""


def test_without_a_history_the_printed_fence_is_read() -> None:
    printed = '\x1b[32m\n  Running: kubectl get pods\n\x1b[0m\n  Some text {x}  \n    {"root_cause": "out of       \n  memory", "agrees": true}     \n\n'
    assert json.loads(answer([], printed)) == {"root_cause": "out of memory", "agrees": True}
    assert answer([], "nothing here") == ""


@pytest.mark.parametrize(("said", "outcome", "reason"), [
    (
        "RunOnce mode cannot handle permission requests. The following commands require approval:\n* kubectl delete pod web\n"
        "Use --skip-permissions flag to bypass.",
        "refused", "kubectl delete pod web",
    ),
    ("Error: OpenAI streaming error: model refused to respond: I cannot help", "refused", "I cannot help"),
    ("Error: fork/exec /bin/bash: permission denied", "refused", "/bin/bash"),
    ("Empty response from LLM", "unparseable", "empty answer"),
    ("Maximum number of iterations reached.", "unparseable", "limit of rounds"),
    ('Error: OpenAI streaming error: POST "http://x/v1/chat/completions": 401 Unauthorized {"message": "bad"}', "unavailable", "API key (401"),
    ("Error: Error 400, Message: API key not valid. Please pass a valid API key., Status: INVALID_ARGUMENT", "unavailable", "API key"),
    ('Error: POST "http://x": 404 Not Found {}', "unavailable", "does not know the model"),
    ('Error: POST "http://x": 429 Too Many Requests {}', "unavailable", "quota"),
    ('Error: POST "http://x": 503 Service Unavailable {}', "unavailable", "failure of its own (503)"),
    ('Error: Post "http://127.0.0.1:1/v1": dial tcp 127.0.0.1:1: connect: connection refused', "unavailable", "connection refused"),
    ("Error: tls: failed to verify certificate: x509: certificate signed by unknown authority", "unavailable", "certificate"),
    ("Error: something that nobody has seen yet", "unavailable", "nobody has seen"),
])
def test_failures_have_names(said: str, outcome: str, reason: str) -> None:
    entries = parse(_lines(ASKED, _line("agent", "error", said)))
    found = failure(entries, "", 1)
    assert found[0] == outcome and reason in found[1]


def test_a_failure_before_the_first_word_is_read_from_standard_error() -> None:
    stderr = "W1121 some log\nError: unknown flag: --quiet\nUsage:\n  kubectl-ai [flags]\n"
    reason = "this kubectl-ai is too old, it does not know --quiet: use v0.0.28 or newer"
    assert failure([], stderr, 1) == Failure("unavailable", reason, endpoint=True)
    assert failure([], "", 139) == Failure("unavailable", "kubectl-ai failed with status 139: it said nothing")


def test_settled_means_a_last_word_and_then_silence(tmp_path: Path) -> None:
    history = History(str(tmp_path))
    assert not history.settled()
    path = tmp_path / ".kubectl-ai" / "sessions" / "1" / "history.json"
    path.parent.mkdir(parents=True)

    def settled(age: float, *entries: dict[str, Any]) -> bool:
        path.write_text(_lines(*entries))
        os.utime(path, (time.time() - age,) * 2)
        return history.settled()

    assert not settled(60, ASKED)
    assert not settled(0, ASKED, ANSWERED)
    assert settled(60, ASKED, ANSWERED)
    assert not settled(60, ASKED, ANSWERED, CALLED)
    assert not settled(60, ASKED, CALLED, _line("agent", "error", "  interactive mode not supported\n"))
    assert settled(60, ASKED, CALLED, _line("agent", "error", "Error: boom"))


# what kubectl-ai says -> whether to try once more, whether the endpoint is to blame
@pytest.mark.parametrize(("said", "again", "endpoint"), [
    ("Error: POST: 429 Too Many Requests {}", True, True),
    ("Error: Error 503, Message: overloaded, Status: UNAVAILABLE", True, True),
    ("Error: dial tcp 127.0.0.1:1: connect: connection refused", True, True),
    ('Error: Post "http://x": read tcp 1->2: read: connection reset by peer', True, True),
    ('Error: Post "http://x": EOF', True, True),
    ("Error: dial tcp: lookup nowhere: no such host", False, True),
    ("Error: 401 Unauthorized", False, True),
    ("Error: 404 Not Found", False, True),
    ("Error: 400 Bad Request: maximum context length", False, False),
    ("Empty response from LLM", False, False),
    ("Error: model refused to respond: no", False, False),
])
def test_what_may_pass_is_tried_again_and_what_will_not_is_not(said: str, again: bool, endpoint: bool) -> None:
    found = failure(parse(_lines(ASKED, _line("agent", "error", said))), "", 1)
    assert (found.again, found.endpoint) == (again, endpoint)


def test_a_complaint_on_standard_error_ends_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "stderr"
    complaint = Complaint(str(path))
    assert not complaint.heard()
    path.write_text("W1121 some log\n")
    assert not complaint.heard()
    said = 'E1121 17:48:03 1 conversation.go:569] "error sending streaming LLM response" err="model \\"m\\" is odd"\n'
    path.write_text(f"W1121 some log\n{said}")
    assert complaint.heard()
    assert failure(parse(_lines(ASKED)), said, 0) == Failure("unavailable", 'kubectl-ai got no answer: model "m" is odd')
