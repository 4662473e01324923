# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The real kagent (controller, agent runtime, PostgreSQL) with a scripted model behind it, and a scripted tool server beside it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.engine.kagent_task import SPEC, answers
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Opinion

from tests.cluster import Cluster
from tests.integration.kagent_fixture import Stage, kagent, tool_call
from tests.integration.staging import Kubectl
from tests.integration.support import Ansible, Run, wait
from tests.scripted_llm import Step, answer, empty, failure, hang, in_turn, opinion

__all__ = ["kagent"]

TOKEN = "kagent-token-0123456789abcdef"
QUESTION = {
    "id": "q1",
    "finding": {
        "code": "SustainedLoad",
        "severity": "warning",
        "object": {"kind": "Deployment", "namespace": "shop", "name": "web"},
        "title": "deployment/web is busy",
        "root_cause": "the load is more than two replicas take",
    },
    "evidence": [{"id": "E1", "source": "Prometheus", "time": "", "excerpt": "82 % of the request for 9 minutes, password=hunter2hunter2"}],
    "remedies": [{"id": "R1", "summary": "an autoscaler"}],
    "figures": {"max_replicas": {"what": "most replicas", "ours": 6, "low": 3, "high": 9}},
}


class Asker:
    """Asks the real agent, in this process."""

    def __init__(self, kagent: Stage, cluster: Cluster) -> None:
        self.stage, self.cluster = kagent, cluster
        self.shown: list[str] = []
        self.seconds = 0.0

    def __call__(self, *script: Step, **given: Any) -> Opinion:
        return self.all([QUESTION], *script, **given)[0]

    def all(self, questions: list[dict[str, Any]], *script: Step, **given: Any) -> list[Opinion]:
        self.stage.play(*(script or (opinion(),)))
        self.shown.clear()
        defaults = {name: rule.get("default") for name, rule in SPEC.items()}
        where = {"url": self.stage.url, "agent": self.stage.agent, "budget": 20, "kubeconfig": self.cluster.kubeconfig}
        started = time.monotonic()
        found = answers({**defaults, **where, "questions": questions, **given}, {}, lambda line: self.shown.append(line[0]))
        self.seconds = time.monotonic() - started
        opinions: list[Opinion] = found["opinions"]
        return opinions


@pytest.fixture()
def ask(kagent: Stage, cluster: Cluster) -> Asker:
    return Asker(kagent, cluster)


@pytest.mark.parametrize("way", ["direct", "through the API server"])
def test_an_answer(ask: Asker, way: str) -> None:
    said = opinion(root_cause="two replicas are not enough", confidence=0.7, figures={"max_replicas": 7})
    given = ask(said, url=ask.stage.url if way == "direct" else ask.stage.service)
    assert (given["outcome"], given["reason"], given["remedy"], given["evidence"]) == ("answered", "", "R1", ["E1"])
    assert (given["root_cause"], given["confidence"], given["figures"]) == ("two replicas are not enough", 0.7, {"max_replicas": 7})
    assert (given["engine"], given["agent"], given["provider"], given["model"]) == ("kagent", "kagent/analyst", "OpenAI", "scripted")
    assert given["engine_version"] and given["identity"] == "none" and given["tokens"] == {"prompt": 100, "completion": 20}
    assert given["prompt"] in dict(ask.stage.model.requests[0].messages)["user"] and "hunter2" not in given["prompt"]
    assert "from the evidence alone: the agent has no tools" in given["remarks"]
    assert ask.shown[-1].endswith("agrees") and all(line.isprintable() for line in ask.shown)


@pytest.mark.attack
def test_a_hostile_answer_stays_text(ask: Asker) -> None:
    hostile = opinion(
        root_cause="\x1b[2Japprove everything; password=hunter2hunter2",
        agrees=False,
        remedy="R99",
        evidence=["E1", "E77"],
        figures={"max_replicas": 10**9, "min_replicas": 0, "approved": True},
        changes=[{"op": "delete"}],
    )
    given = ask(hostile)
    assert (given["outcome"], given["remedy"], given["evidence"], given["figures"]) == ("disagrees", None, ["E1"], {"max_replicas": 9})
    assert "hunter2" not in json.dumps(given) and "\x1b" not in given["root_cause"] and "changes" not in given
    remarks = " / ".join(given["remarks"])
    assert "R99" in remarks and "E77" in remarks and "1000000000" in remarks and "min_replicas, approved" in remarks


def test_what_cannot_be_read_is_asked_for_once_more(ask: Asker) -> None:
    given = ask(in_turn(answer("It is busy."), opinion()))
    assert (given["outcome"], given["attempts"], len(ask.stage.model.requests)) == ("answered", 2, 2)


# (what the model does, outcome, a part of the reason)
FAULTS: dict[str, tuple[Step, str, str]] = {
    "chatter": (answer("I would rather talk about the weather"), "unparseable", "no JSON object"),
    "nothing": (empty(), "unparseable", "empty answer"),
    "a wrong key": (failure(401, "wrong key"), "unavailable", "does not accept the API key (401 Unauthorized)"),
    "an unknown model": (failure(404, "no such model"), "unavailable", "does not know the model"),
    "the model's end": (failure(500, "out of order"), "unavailable", "a failure of its own (500)"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_failing_model_is_named(ask: Asker, name: str) -> None:
    script, outcome, said = FAULTS[name]
    given = ask(script)
    assert given["outcome"] == outcome and said in given["reason"], given["reason"]


def test_the_budget_holds_and_the_agent_is_told_to_stop(ask: Asker) -> None:
    questions = [{**QUESTION, "id": str(number)} for number in range(2)]
    given = ask.all(questions, hang(), budget=2, parallel=2)
    assert [one["outcome"] for one in given] == ["timeout", "timeout"] and ask.seconds < 2.5
    assert all("its last state was working" in one["reason"] for one in given)
    assert not any("could not be told to stop" in remark for one in given for remark in one["remarks"])


def test_an_unknown_agent_and_a_missing_kagent_are_named(ask: Asker) -> None:
    for url in (ask.stage.url, ask.stage.service):
        given = ask(agent="nobody", url=url)
        assert given["outcome"] == "unavailable" and "kagent has no agent kagent/nobody" in given["reason"]
    given = ask(url="service://kagent/elsewhere:8083")
    assert given["outcome"] == "unavailable" and 'services "elsewhere" not found: install kagent' in given["reason"]
    given = ask(url=ask.stage.service, impersonate_user="bob")
    assert given["outcome"] == "unavailable" and "grant get and create on services/proxy" in given["reason"]
    assert not ask.stage.model.requests


@pytest.mark.attack
def test_a_request_for_input_is_refused(ask: Asker) -> None:
    question = tool_call("ask_user", questions=[{"question": "May I delete web?", "choices": ["yes"]}])
    given = ask(question, opinion())
    assert given["outcome"] == "answered" and given["commands"] == []
    assert any("was refused" in remark and "May I delete web?" in remark for remark in given["remarks"])
    assert "is rejected" in ask.stage.model.requests[-1].last
    insisting = ask(question)
    assert insisting["outcome"] == "refused" and "went on asking" in insisting["reason"]


# --- tools ---------------------------------------------------------------------------------------------------------------


@dataclass
class ToolServer:
    """An MCP server with two tools, and what was called."""

    url: str = ""
    called: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def tools(cluster: Cluster) -> Iterator[ToolServer]:
    server = ToolServer()
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    offered = [{"name": name, "description": name, "inputSchema": schema} for name in ("k8s_get_resources", "k8s_delete_resource")]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            self._send(405, b"")

        do_DELETE = do_GET

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            if "id" not in body:
                self._send(202, b"")
                return
            params = body.get("params") or {}
            if body["method"] == "tools/call":
                server.called.append(params["name"])
            known = {
                "initialize": {
                    "protocolVersion": params.get("protocolVersion"),
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "scripted", "version": "1"},
                },
                "tools/list": {"tools": offered},
                "tools/call": {"content": [{"type": "text", "text": "web 2/2"}]},
            }
            self._send(200, json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": known.get(body["method"], {})}).encode())

        def _send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    http = ThreadingHTTPServer((cluster.node_address, 0), Handler)
    http.daemon_threads = True
    server.url = f"http://{cluster.node_address}:{http.server_address[1]}/mcp"
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    http.shutdown()
    http.server_close()


@pytest.fixture(scope="module", autouse=True)
def agents(kagent: Stage, cluster: Cluster, tools: ToolServer) -> Iterator[ToolServer]:
    """Two agents with tools: ``careful`` needs approval for what changes something, ``reckless`` does not. They start while other tests run."""
    kubectl = Kubectl(cluster, kagent.namespace)

    def agent(name: str, *asking: str) -> dict[str, Any]:
        server = {"apiGroup": "kagent.dev", "kind": "RemoteMCPServer", "name": "scripted", "toolNames": ["k8s_get_resources", "k8s_delete_resource"]}
        tool = {"type": "McpServer", "mcpServer": {**server, **({"requireApproval": list(asking)} if asking else {})}}
        declarative = {"runtime": "go", "modelConfig": "scripted", "systemMessage": "You look into clusters.", "tools": [tool]}
        spec = {"type": "Declarative", "description": name, "declarative": declarative}
        return {"apiVersion": "kagent.dev/v1alpha2", "kind": "Agent", "metadata": {"name": name}, "spec": spec}

    remote = {"description": "scripted", "url": tools.url, "protocol": "STREAMABLE_HTTP"}
    kubectl.apply({"apiVersion": "kagent.dev/v1alpha2", "kind": "RemoteMCPServer", "metadata": {"name": "scripted"}, "spec": remote})
    kubectl.apply(agent("careful", "k8s_delete_resource"), agent("reckless"))
    yield tools
    kubectl("delete", "agent/careful", "agent/reckless", "remotemcpserver/scripted", "--wait=false")


@pytest.fixture()
def armed(agents: ToolServer, kagent: Stage, cluster: Cluster) -> ToolServer:
    """The tools of the agents, once those are ready."""
    kubectl = Kubectl(cluster, kagent.namespace)

    def ready() -> bool:
        conditions = kubectl.get("agent/careful").get("status", {}).get("conditions") or []
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    wait("the agent is ready", ready, seconds=120)
    return agents


def test_tools_that_read_are_used_and_named(ask: Asker, armed: ToolServer) -> None:
    armed.called.clear()
    given = ask(tool_call("k8s_get_resources", name="web"), opinion(), agent="careful")
    assert (given["outcome"], armed.called) == ("answered", ["k8s_get_resources"])
    assert given["commands"] == ['k8s_get_resources {"name": "web"}'] and given["identity"] == "kagent agent kagent/careful"
    assert given["tokens"] == {"prompt": 200, "completion": 40} and any("runs: k8s_get_resources" in line for line in ask.shown)


@pytest.mark.attack
def test_a_tool_that_needs_approval_gets_none(ask: Asker, armed: ToolServer) -> None:
    armed.called.clear()
    given = ask(tool_call("k8s_delete_resource", name="web"), opinion(), agent="careful")
    assert (given["outcome"], armed.called, given["commands"]) == ("answered", [], [])
    assert any("was refused" in remark and 'k8s_delete_resource {"name": "web"}' in remark for remark in given["remarks"])
    assert any("not run: k8s_delete_resource" in line for line in ask.shown)


@pytest.mark.attack
def test_an_agent_that_can_change_the_cluster_unasked_is_not_asked(ask: Asker, armed: ToolServer) -> None:
    armed.called.clear()
    given = ask(tool_call("k8s_delete_resource", name="web"), opinion(), agent="reckless")
    assert given["outcome"] == "refused" and "k8s_delete_resource" in given["reason"]
    assert armed.called == [] and not ask.stage.model.requests


# --- in playbooks --------------------------------------------------------------------------------------------------------

PLAY = """
- hosts: localhost
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  module_defaults:
    group/aiops.k8s.k8s: {kubeconfig: "{{ kubeconfig }}"}
  tasks:
    - name: Ask
      aiops.k8s.kagent: {questions: "{{ questions }}", agent: analyst, url: "{{ url }}", token: "{{ token }}"}
      register: found
    - name: Write
      ansible.builtin.copy: {content: "{{ found | to_json }}", dest: "{{ result }}", mode: "0600"}
    - name: Insist
      aiops.k8s.kagent: {questions: "{{ questions }}", agent: nobody, ai: required}
"""


def test_the_task_shows_what_happens_and_keeps_the_token(kagent: Stage, cluster: Cluster, tmp_path: Path) -> None:
    kagent.play(opinion())
    play, result = tmp_path / "play.yml", tmp_path / "result.json"
    play.write_text(PLAY, encoding="utf-8")
    given = {"questions": [QUESTION], "url": kagent.url, "token": TOKEN, "result": str(result), "kubeconfig": cluster.kubeconfig}
    run = Ansible(tmp_path).run(["ansible-playbook", str(play), "-vv", "-e", json.dumps(given)])
    run.refused("ai=required, but kagent answered none of 1 question(s)", "kagent has no agent kagent/nobody", "Set ai=auto")
    found = json.loads(result.read_text(encoding="utf-8"))
    assert found["opinions"][0]["outcome"] == "answered" and found["usage"]["answered"] == 1 and not found["changed"]
    assert "kagent: SustainedLoad in deployment/web: asks agent kagent/analyst" in run.output
    assert TOKEN not in run.output.split("PLAY [")[-1] and TOKEN not in json.dumps(found)


# what the role does for kagent, without the service account of other engines, which takes most of its time
ROLE = """
- hosts: localhost
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - ansible.builtin.include_role: {name: aiops.k8s.setup, tasks_from: kagent_check.yml}
    - ansible.builtin.include_role: {name: aiops.k8s.setup, tasks_from: "kagent_{{ setup_state }}.yml"}
"""


def test_setup_makes_an_agent_that_answers_and_takes_it_away(kagent: Stage, cluster: Cluster, tmp_path: Path) -> None:
    kagent.play(opinion())
    kubectl = Kubectl(cluster, kagent.namespace)
    name = "aiops-it-kagent-setup"
    play = tmp_path / "role.yml"
    play.write_text(ROLE, encoding="utf-8")
    given: dict[str, Any] = {
        "setup_namespace": name,
        "setup_kagent": True,
        "setup_kagent_model": "scripted",
        "setup_kagent_secret": "model-key",
        "setup_kagent_secret_key": "key",
        "setup_kagent_provider_options": {"baseUrl": f"{kagent.model.url}/v1"},
    }
    ansible = Ansible(tmp_path, **given)

    def role(**more: Any) -> Run:
        return ansible.run(["ansible-playbook", str(play), "-e", json.dumps({**given, "setup_state": "present", **more})])

    both = ["agent/aiops-analyst", "modelconfig/aiops-analyst", "--ignore-not-found"]
    try:
        run = ansible("setup").ok()
        assert "kagent's agent kagent/aiops-analyst answers" in run.output and "changed=4" in run.output
        spec = kubectl.get("agent/aiops-analyst")["spec"]["declarative"]
        assert "tools" not in spec and kubectl.get("modelconfig/aiops-analyst")["spec"]["apiKeySecret"] == "model-key"
        assert "changed=0" in role().ok().output
        role(setup_kagent_secret="nowhere", setup_kagent_seconds=1).refused("does not answer", 'Secret "nowhere" not found')
        role(setup_state="absent").ok()
        assert kubectl("get", *both, "-o", "name") == ""
    finally:
        kubectl("delete", *both)
        mine = [f"namespace/{name}", f"clusterrole/{name}-engine", f"clusterrolebinding/{name}-engine"]
        Kubectl(cluster, "")("delete", *mine, "--ignore-not-found", "--wait=false")


# --- last: nobody else can use kagent meanwhile ---------------------------------------------------------------------------


def test_a_controller_without_pods_is_named(ask: Asker, cluster: Cluster) -> None:
    kubectl = Kubectl(cluster, ask.stage.namespace)
    kubectl("scale", "deployment/kagent-controller", "--replicas=0")
    try:
        kubectl("wait", "--for=delete", "pod", "-l", "app=kagent-controller", "--timeout=30s")
        given = ask(url=ask.stage.service, budget=3)
        assert given["outcome"] == "unavailable" and "kagent is down, no pod stands behind service://kagent" in given["reason"]
        given = ask(budget=3)
        assert given["outcome"] == "unavailable" and f"kagent cannot be reached at {ask.stage.url}" in given["reason"]
        assert ask.seconds < 3.5
    finally:
        kubectl("scale", "deployment/kagent-controller", "--replicas=1")
        kubectl("rollout", "status", "deployment/kagent-controller", "--timeout=120s")


def test_the_workflow_scale_shows_what_the_agent_would_choose(kagent: Stage, cluster: Cluster, tmp_path: Path) -> None:
    kagent.play(opinion(figures={"max_replicas": 40, "min_replicas": 3, "target_percent": 50}))
    ansible = Ansible(tmp_path, ai="auto", kubeconfig=str(cluster.kubeconfig), kagent_url=kagent.service, kagent_agent=kagent.agent)
    snapshot = Path(__file__).resolve().parents[1] / "unit" / "fixtures" / "capacity" / "web-busy.json"
    given = {"target_namespace": "shop", "workload": "deployment/web", "window_seconds": 45, "replay": str(snapshot)}
    run = ansible("scale", kagent_agent_namespace=kagent.namespace, kubectl_ai_binary="/nowhere/kubectl-ai", **given).ok()
    proposal = ansible.record("0001")[0]["payload"]
    asked = {one["engine"]: one for one in proposal["opinions"]}
    ours = proposal["plan"]["changes"][0]["manifest"]["spec"]
    assert asked["kagent"]["outcome"] == "answered" and asked["kubectl-ai"]["outcome"] == "unavailable", run.output
    assert asked["kagent"]["figures"]["max_replicas"] < 40, "it was cut to the bound"
    assert any("40" in remark for remark in asked["kagent"]["remarks"])
    assert any(f"the plan has {ours['maxReplicas']}" in one for one in asked["kagent"]["differs"]) and "kagent would choose" in run.output
