# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The real kagent for tests, with a model that plays a script: ``kagent.model.script = [...]``. Import the fixture ``kagent`` to use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster import kagent as real
from tests.scripted_llm import ScriptedModel, Step, Turn, opinion


@dataclass
class Stage:
    """url, service: two ways to the same kagent; agent: one without tools in ``namespace``; model: what it thinks with."""

    url: str
    service: str
    namespace: str
    agent: str
    model: ScriptedModel

    def play(self, *script: Step) -> None:
        """What the model says from now on, beginning with each new conversation."""
        self.model.script = list(script)
        self.model.requests.clear()


@pytest.fixture(scope="session")
def kagent(cluster: Cluster) -> Iterator[Stage]:
    """Begun when it is first asked for, and taken away after the last test."""
    with ScriptedModel(opinion(), bind=cluster.node_address) as model:
        try:
            found = real.up(cluster, f"{model.url}/v1")
            yield Stage(found.url, found.service, found.namespace, found.agent, model)
        finally:
            real.down(cluster, wait=False)


def tool_call(tool: str, **arguments: Any) -> Turn:
    """The model calls a tool of the agent."""
    call = {"index": 0, "id": "call-1", "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return Turn(body=json.dumps({"id": "x", "created": 1, "model": "scripted", "object": "chat.completion", "choices": [choice], "usage": usage}))
