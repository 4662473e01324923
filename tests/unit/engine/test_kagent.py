# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""kagent as an engine, against a server that speaks A2A as a script says: both dialects, streams, approvals, and everything that goes wrong."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine import asking, kagent
from ansible_collections.aiops.k8s.plugins.module_utils.engine.kagent_task import SPEC, answers
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Opinion
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput

from tests.unit.engine.scripted_a2a import ABOUT, AGENT, NEW_CARD, OLD_CARD, Reply, ScriptedAgent, Seen, error, events, result, streaming

TOKEN = "kagent-token-0123456789abcdef"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between tries; what is waited for is the same."""
    for module in (asking, kagent):
        monkeypatch.setattr(module, "PAUSES", (0.05, 0.1))


QUESTION = {
    "id": "q1",
    "finding": {"code": "SustainedLoad", "object": {"kind": "Deployment", "namespace": "shop", "name": "web"}, "root_cause": "busy"},
    "evidence": [{"id": "E1", "source": "Prometheus", "excerpt": "82 % of the request for 9 minutes, password=hunter2hunter2"}],
    "remedies": [{"id": "R1", "summary": "an HPA"}],
    "figures": {"max_replicas": {"what": "most replicas", "ours": 6, "low": 3, "high": 9}},
}
SAID = json.dumps({"root_cause": "sustained load", "agrees": True, "remedy": "R1", "evidence": ["E1"], "figures": {"max_replicas": 7}})
TEXT = f"```json\n{SAID}\n```"


def old_part(text: str) -> dict[str, Any]:
    return {"kind": "text", "text": text}


def old_task(state: str = "completed", text: str = TEXT, *, said: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    artifacts = [{"artifactId": "a1", "parts": [old_part(text)]}] if text else []
    message = {"message": {"kind": "message", "role": "agent", "messageId": "m9", "parts": said}} if said is not None else {}
    return {"kind": "task", "id": "t1", "contextId": "c1", "status": {"state": state, **message}, "artifacts": artifacts, **more}


def new_task(state: str = "COMPLETED", text: str = TEXT) -> dict[str, Any]:
    return {"id": "t1", "contextId": "c1", "status": {"state": f"TASK_STATE_{state}"}, "artifacts": [{"artifactId": "a1", "parts": [{"text": text}]}]}


def call_part(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"kind": "data", "data": {"name": tool, "args": arguments, "id": "f1"}, "metadata": {"adk_type": "function_call"}}


def confirmation(tool: str, **arguments: Any) -> dict[str, Any]:
    original = {"originalFunctionCall": {"name": tool, "args": arguments, "id": "f1"}}
    return {"kind": "data", "data": {"name": "adk_request_confirmation", "args": original, "id": "c"}, "metadata": {"kagent_type": "function_call"}}


def options(where: ScriptedAgent | str, **given: Any) -> dict[str, Any]:
    url = where if isinstance(where, str) else where.url
    defaults = {name: rule.get("default") for name, rule in SPEC.items()}
    questions = [{"evidence": [], "remedies": [], "figures": {}, **one} for one in given.pop("questions", [QUESTION])]
    return {**defaults, "url": url, "budget": 5, "questions": questions, **given}


def ask(server: ScriptedAgent, environment: dict[str, str] | None = None, **given: Any) -> Opinion:
    found = answers(options(server, **given), environment or {})
    assert TOKEN not in json.dumps(found)
    opinion: Opinion = found["opinions"][0]
    return opinion


ANSWERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "0.3": (OLD_CARD, {"message/send": result(old_task())}),
    "0.3 as a message": (OLD_CARD, {"message/send": result({"kind": "message", "role": "agent", "messageId": "m", "parts": [old_part(TEXT)]})}),
    "0.3 in the status": (OLD_CARD, {"message/send": result(old_task(text="", said=[old_part(TEXT)]))}),
    "0.3 polled": (OLD_CARD, {"message/send": result(old_task("submitted", "")), "tasks/get": result(old_task())}),
    "1.0": (NEW_CARD, {"SendMessage": result({"task": new_task()})}),
    "1.0 as a message": (NEW_CARD, {"SendMessage": result({"message": {"role": "ROLE_AGENT", "messageId": "m", "parts": [{"text": TEXT}]}})}),
    "1.0 polled": (NEW_CARD, {"SendMessage": result({"task": new_task("WORKING", "")}), "GetTask": result(new_task())}),
    "0.3 streamed": (
        streaming(OLD_CARD),
        {
            "message/stream": events(
                {"kind": "task", "id": "t1", "contextId": "c1", "status": {"state": "submitted"}},
                {"kind": "status-update", "taskId": "t1", "contextId": "c1", "status": {"state": "working"}, "final": False},
                {"kind": "artifact-update", "taskId": "t1", "contextId": "c1", "artifact": {"artifactId": "a", "parts": [old_part(TEXT[:40])]}},
                {"kind": "artifact-update", "taskId": "t1", "append": True, "artifact": {"artifactId": "a", "parts": [old_part(TEXT[40:])]}},
                {"kind": "status-update", "taskId": "t1", "contextId": "c1", "status": {"state": "completed"}, "final": True},
            )
        },
    ),
    "1.0 streamed": (
        streaming(NEW_CARD),
        {
            "SendStreamingMessage": events(
                {"task": new_task("SUBMITTED", "")},
                {"artifactUpdate": {"taskId": "t1", "contextId": "c1", "artifact": {"artifactId": "b", "parts": [{"text": TEXT}]}}},
                {"statusUpdate": {"taskId": "t1", "contextId": "c1", "status": {"state": "TASK_STATE_COMPLETED"}}},
            )
        },
    ),
    "a stream that breaks off": (
        streaming(OLD_CARD),
        {"message/stream": events({"kind": "task", "id": "t1", "contextId": "c1", "status": {"state": "working"}}), "tasks/get": result(old_task())},
    ),
    "a stream that is none": (streaming(OLD_CARD), {"message/stream": result(old_task())}),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_in_every_dialect(name: str) -> None:
    card, calls = ANSWERS[name]
    with ScriptedAgent(calls, card) as agent:
        given = ask(agent, {"AIOPS_KAGENT_TOKEN": TOKEN})
    assert (given["outcome"], given["reason"], given["remedy"], given["figures"]) == ("answered", "", "R1", {"max_replicas": 7})
    assert (given["engine"], given["agent"], given["engine_version"]) == ("kagent", "kagent/aiops-analyst", card["version"])
    first = next(one for one in agent.seen if one.method == "POST")
    parts = first.body["params"]["message"]["parts"]
    assert first.path == AGENT and parts[0]["text"] == given["prompt"] and "hunter2" not in given["prompt"]
    assert first.headers.get("a2a-version") == ("1.0" if name.startswith("1.0") else None)
    assert {one.headers.get("authorization") for one in agent.seen} == {f"Bearer {TOKEN}"}


def test_the_older_card_is_found() -> None:
    class Older(ScriptedAgent):
        def reply(self, seen: Seen) -> Reply:
            if seen.path.endswith("agent-card.json"):
                return Reply({"error": "no"}, status=404)
            return Reply(OLD_CARD) if seen.path.endswith("agent.json") else super().reply(seen)

    with Older({"message/send": result(old_task())}) as agent:
        assert ask(agent)["outcome"] == "answered"


def test_what_kagent_says_of_the_agent_is_in_the_opinion() -> None:
    usage = {"kagent_usage_metadata": {"promptTokenCount": 900, "candidatesTokenCount": 90, "totalTokenCount": 990}}
    history = [
        {"kind": "message", "role": "user", "messageId": "m1", "parts": [old_part("asked")]},
        {"kind": "message", "role": "agent", "messageId": "m2", "parts": [call_part("k8s_get_resources", namespace="shop")], "metadata": usage},
    ]
    about = {
        "model": "m",
        "modelProvider": "OpenAI",
        "tools": [{"type": "McpServer", "mcpServer": {"name": "s", "toolNames": ["k8s_get_resources"]}}],
    }
    with ScriptedAgent({"message/send": result(old_task(history=history))}, about={"data": about}) as agent:
        given = ask(agent)
    assert (given["model"], given["provider"], given["tokens"]) == ("m", "OpenAI", {"prompt": 900, "completion": 90})
    assert given["commands"] == ['k8s_get_resources {"namespace": "shop"}'] and given["identity"] == "kagent agent kagent/aiops-analyst"
    assert "tools that only read" in given["prompt"]


@pytest.mark.attack
@pytest.mark.parametrize(
    ("tool", "named"),
    [
        ({"mcpServer": {"name": "s", "toolNames": ["k8s_get_resources", "k8s_apply_manifest"]}}, "(k8s_apply_manifest)"),
        ({"mcpServer": {"name": "s"}}, "(all of s)"),
        ({"agent": {"name": "helm-agent"}}, "(agent:helm-agent)"),
    ],
)
def test_an_agent_that_can_change_the_cluster_is_not_asked(tool: dict[str, Any], named: str) -> None:
    with ScriptedAgent({}, about={"data": {"tools": [tool]}}) as agent:
        given = ask(agent)
    assert given["outcome"] == "refused" and named in given["reason"] and agent.made == []


def test_an_agent_whose_tools_nobody_tells_says_so() -> None:
    about = {"tools": None, "agent": {"spec": {"type": "BYO"}}}
    with ScriptedAgent({"message/send": result(old_task())}, about={"data": about}) as agent:
        given = ask(agent)
    assert "kagent does not tell which tools its agent has" in given["remarks"] and given["identity"] == "kagent agent kagent/aiops-analyst"


@pytest.mark.attack
@pytest.mark.parametrize("stream", [False, True])
def test_what_the_agent_wants_approved_is_refused(stream: bool) -> None:
    wanted = old_task("input-required", "", said=[confirmation("k8s_delete_resource", name="web")])
    sent: list[Any] = []

    def talk(seen: Seen) -> Reply:
        sent.append(seen.body["params"]["message"])
        value = wanted if len(sent) == 1 else old_task()
        return events(value) if stream else result(value)

    tools = {"mcpServer": {"name": "s", "toolNames": ["k8s_delete_resource"], "requireApproval": ["k8s_delete_resource"]}}
    with ScriptedAgent(talk, streaming(OLD_CARD) if stream else OLD_CARD, {"data": {"tools": [tools]}}) as agent:
        given = ask(agent)
    assert given["outcome"] == "answered" and given["commands"] == []
    assert any("was refused" in one and 'k8s_delete_resource {"name": "web"}' in one for one in given["remarks"])
    decision = next(part["data"] for part in sent[1]["parts"] if part["kind"] == "data")
    assert decision["decision_type"] == "reject" and (sent[1]["taskId"], sent[1]["contextId"]) == ("t1", "c1")


@pytest.mark.attack
def test_an_agent_that_insists_is_left() -> None:
    wanted = result(old_task("input-required", "", said=[old_part("May I?")]))
    with ScriptedAgent({"message/send": wanted, "tasks/cancel": result(old_task("canceled", ""))}) as agent:
        given = ask(agent)
    assert given["outcome"] == "refused" and "May I?" in given["reason"] and agent.made[-1] == "tasks/cancel" and len(agent.made) == 5


@pytest.mark.attack
def test_a_tool_that_changes_something_makes_the_answer_void() -> None:
    done = events(
        {"kind": "task", "id": "t1", "contextId": "c1", "status": {"state": "working"}},
        {
            "kind": "status-update",
            "taskId": "t1",
            "status": {"state": "working", "message": {"role": "agent", "messageId": "m", "parts": [call_part("k8s_scale")]}},
        },
        old_task(),
    )
    with ScriptedAgent({"message/stream": done, "tasks/cancel": result(old_task("canceled", ""))}, streaming(OLD_CARD)) as agent:
        given = ask(agent)
    assert given["outcome"] == "refused" and "k8s_scale" in given["reason"] and given["agrees"] is None and agent.made[-1] == "tasks/cancel"


# (what the agent does, outcome, a part of the reason)
FAULTS: dict[str, tuple[Any, str, str]] = {
    "401": (Reply({"error": "no"}, status=401), "unavailable", "AIOPS_KAGENT_TOKEN"),
    "403": (Reply({"error": "no"}, status=403), "unavailable", "does not accept the credentials (403)"),
    "redirect": (Reply(b"", status=307, headers={"Location": "http://evil.invalid/?x=1"}), "unavailable", "sends on to http://evil.invalid/"),
    "html": (Reply(b"<html>hello</html>"), "unavailable", "not JSON"),
    "a list": (Reply([1, 2]), "unavailable", "not JSON-RPC"),
    "method not found": (error(-32601, "Method not found"), "unavailable", "does not know what it was asked for"),
    "invalid params": (error(-32602, "Invalid parameters", data={"a": 1}), "unavailable", "the agent failed (-32602): Invalid parameters"),
    "failed": (result(old_task("failed", "", said=[old_part("out of memory")])), "unavailable", "the agent failed: out of memory"),
    "model down": (
        result(old_task("failed", "", said=[old_part('Post "http://10.0.0.1/v1": dial tcp 10.0.0.1:1: connect: connection refused')])),
        "unavailable",
        "the model cannot be reached",
    ),
    "rejected": (result(old_task("rejected", "", said=[old_part("I may not")])), "refused", "I may not"),
    "cancelled": (result(old_task("canceled", "")), "unavailable", "somebody else told the agent to stop"),
    "wants to log in": (result(old_task("auth-required", "")), "refused", "credentials"),
    "unknown state": (result(old_task("dreaming", "")), "timeout", "share of the budget"),
    "no task": (result({"kind": "poem"}), "unavailable", "neither a task nor a message"),
    "no status": (result({"kind": "task", "id": "t1"}), "unavailable", "without a status"),
    "empty": (result(old_task(text="")), "unparseable", "empty answer"),
    "chatter": (result(old_task(text="It is the weather.")), "unparseable", "no JSON object"),
    "huge": (Reply(b" " * (5 << 20)), "unparseable", "longer than"),
    "a huge answer": (result(old_task(text="x" * 300_000)), "unparseable", "longer than"),
    "silence": (Reply(hang=True), "timeout", "share of the budget"),
    "drip": (Reply(pieces=[b" "] * 2000, pause=0.05), "timeout", "share of the budget"),
    "deep": (Reply(b'{"result":' + b"[" * 100_000), "unavailable", "not JSON"),
    "compressed": (Reply(b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"}), "unavailable", "not JSON"),
}


@pytest.mark.attack
@pytest.mark.parametrize("name", FAULTS)
def test_what_goes_wrong_is_named(name: str) -> None:
    reply, outcome, said = FAULTS[name]
    also = {"tasks/get": reply, "tasks/cancel": error(-32001, "no such task")}
    started = time.monotonic()
    with ScriptedAgent({"message/send": reply, **also}) as agent:
        given = ask(agent, {"AIOPS_KAGENT_TOKEN": TOKEN}, budget=0.4)
    assert (given["outcome"], given["agrees"]) == (outcome, None) and said in given["reason"], given["reason"]
    assert time.monotonic() - started < 1 and len(given["reason"]) <= 500 and given["reason"].isprintable()
    assert not any(one.path.startswith("http") or "evil" in one.headers["host"] for one in agent.seen)


@pytest.mark.parametrize("status", [503, 429])
def test_a_passing_failure_is_tried_again(status: int) -> None:
    waiting = [Reply({"message": "later"}, status=status), result(old_task())]
    with ScriptedAgent(lambda seen: waiting.pop(0)) as agent:
        given = ask(agent)
    assert (given["outcome"], given["attempts"]) == ("answered", 2)


def test_what_cannot_be_read_is_asked_for_again() -> None:
    waiting = [result(old_task(text="Well.")), result(old_task())]
    with ScriptedAgent(lambda seen: waiting.pop(0)) as agent:
        given = ask(agent)
    assert (given["outcome"], given["attempts"]) == ("answered", 2) and "Your first answer could not be used" in given["prompt"]


def test_when_time_is_up_the_agent_is_told_to_stop() -> None:
    working = {"kind": "task", "id": "t1", "contextId": "c1", "status": {"state": "working"}}
    slow = events(*[working] * 100, pause=0.05)
    with ScriptedAgent({"message/stream": slow, "tasks/cancel": result(old_task("canceled", ""))}, streaming(OLD_CARD)) as agent:
        given = ask(agent, budget=0.4)
    assert given["outcome"] == "timeout" and agent.made == ["message/stream", "tasks/cancel"] and agent.seen[-1].body["params"] == {"id": "t1"}


PREPARED: dict[str, tuple[Any, str, str]] = {
    "unknown agent": ({}, "unavailable", "kagent has no agent kagent/aiops-analyst"),
    "no card": ({"hello": 1}, "unavailable", "no agent card"),
    "another transport": ({**OLD_CARD, "preferredTransport": "GRPC"}, "unavailable", "does not speak JSON-RPC"),
    "a version of tomorrow": ({**OLD_CARD, "protocolVersion": "2.0"}, "unavailable", "A2A 2.0"),
    "a redirect": (Reply(b"", status=302, headers={"Location": "/login"}), "unavailable", "sends on to /login"),
    "401": (Reply({}, status=401), "unavailable", "does not accept the credentials"),
    "silence": (Reply(hang=True), "timeout", "did not answer"),
}


@pytest.mark.parametrize("name", PREPARED)
def test_an_agent_that_cannot_be_found_is_named(name: str) -> None:
    card, outcome, said = PREPARED[name]
    with ScriptedAgent({}, card) as agent:
        agent.card = None if name == "unknown agent" else card
        given = ask(agent, budget=0.4)
    assert given["outcome"] == outcome and said in given["reason"] and agent.made == [], given["reason"]


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    found = answers(options(url, budget=0.3), {})["opinions"][0]
    assert found["outcome"] == "unavailable" and f"cannot be reached at {url}" in found["reason"] and "refused" in found["reason"]
    with pytest.raises(AiopsError, match="kagent answered none of 1 question"):
        answers(options(url, budget=0.3, ai="required"), {})
    assert answers(options(url, ai="off"), {})["opinions"][0]["reason"] == "switched off with ai=off"


def test_many_questions_and_a_dead_agent_cost_one_wait() -> None:
    questions = [{**QUESTION, "id": str(number)} for number in range(6)]
    with ScriptedAgent({"message/send": Reply({}, status=401)}) as agent:
        found = answers(options(agent, questions=questions, parallel=1), {})["opinions"]
    assert [one["outcome"] for one in found] == ["unavailable"] * 6 and len(agent.made) == 1
    assert all("not asked, since the endpoint failed before" in one["reason"] for one in found[1:])


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no url": ({"url": "kagent:8083"}, "url: 'kagent:8083' is no address"),
    "another scheme": ({"url": "file:///etc/passwd"}, "url: 'file:///etc/passwd'"),
    "credentials in it": ({"url": "http://ann:secret@h/"}, "http://***@h/"),
    "a port that is none": ({"url": "http://h:99999/"}, "is no address"),
    "a service with capitals": ({"url": "service://Kagent/x"}, "service://NAMESPACE/NAME:PORT"),
    "agent": ({"agent": "../x"}, "agent is '../x'"),
    "namespace": ({"agent_namespace": ""}, "agent_namespace is ''"),
    "token": ({"token": "two words"}, "token: it holds characters"),
    "token file": ({"token_file": "/nowhere"}, "token_file: /nowhere cannot be read"),
    "authority": ({"url": "https://h", "url_ca_cert": "/nowhere"}, "url_ca_cert: /nowhere cannot be used"),
    "budget": ({"budget": -1}, "budget is -1"),
    "figures": ({"questions": [{**QUESTION, "figures": {"x": {"what": "w", "ours": 1, "low": 3, "high": 2}}}]}, "low 3 and high 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_named(name: str) -> None:
    given, said = WRONG[name]
    with pytest.raises(BadInput) as caught:
        answers(options("http://127.0.0.1:1", **given), {})
    assert said in str(caught.value) and caught.value.fix and "secret" not in str(caught.value)


@pytest.mark.parametrize("how", ["option", "file", "variable", "file variable"])
def test_a_token_comes_from_where_it_is_kept(how: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    given = {"option": {"token": TOKEN}, "file": {"token_file": str(file)}}.get(how, {})
    environment = {"variable": {"AIOPS_KAGENT_TOKEN": TOKEN}, "file variable": {"AIOPS_KAGENT_TOKEN_FILE": str(file)}}.get(how, {})
    with ScriptedAgent({"message/send": result(old_task("failed", "", said=[old_part(f"your token {TOKEN} is odd")]))}) as agent:
        found = ask(agent, environment, **given)
    assert agent.seen[0].headers["authorization"] == f"Bearer {TOKEN}" and "[redacted]" in found["reason"]


def test_about_that_fails_for_now_is_asked_again() -> None:
    class Starting(ScriptedAgent):
        def reply(self, seen: Seen) -> Reply:
            early = seen.path == ABOUT and not any(one.path == ABOUT for one in self.seen)
            found = super().reply(seen)
            return Reply({}, status=503) if early else found

    with Starting({"message/send": result(old_task())}) as agent:
        assert ask(agent)["outcome"] == "answered"
