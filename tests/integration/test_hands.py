# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An approved autoscaler that the real kubectl-ai creates, by the playbooks: executor_engine=kubectl-ai. The model is scripted."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity import measuring, workflow
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import capacity, objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.engine import kubectl_ai
from ansible_collections.aiops.k8s.plugins.module_utils.operation import actions
from ansible_collections.aiops.k8s.plugins.module_utils.operation.policy import DEFAULTS
from ansible_collections.aiops.k8s.plugins.module_utils.operation.proposal import payload
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store

from tests.cluster import Cluster
from tests.integration.support import FEATURE, Ansible
from tests.integration.test_cage import KEY, file_of, honest
from tests.scripted_llm import Request, ScriptedModel, Turn, answer, call

NAMESPACE = "aiops-hands"
SUBJECT = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "namespace": NAMESPACE}


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Iterator[Api]:
    assert kubectl_ai.find(None, os.environ)[0], "These tests run the real kubectl-ai: put it on the PATH."
    kubectl = ["kubectl", f"--kubeconfig={cluster.kubeconfig}"]
    container = {
        "name": "app",
        "image": cluster.image,
        "command": ["sleep", "100000"],
        "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}},
    }
    items: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]
    items += [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}},
            },
        }
        for name in ("honest", "greedy")
    ]
    subprocess.run([*kubectl, "apply", "-f", "-"], input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), text=True, check=True)
    for name in ("honest", "greedy"):
        subprocess.run([*kubectl, "-n", NAMESPACE, "rollout", "status", f"deployment/{name}", "--timeout=60s"], check=True, capture_output=True)
    yield connect({"kubeconfig": str(cluster.kubeconfig)})
    subprocess.run([*kubectl, "delete", "namespace", NAMESPACE, "--wait=false"], check=True)


def proposed(api: Api, ansible: Ansible, name: str) -> str:
    """A record of a workload that uses 9m of its 10m, as the samples say; everything but the samples is read from the cluster."""
    taken = capacity.take(api, NAMESPACE)
    now = datetime.datetime.now(datetime.timezone.utc).timestamp()
    pods = [one for one in taken["objects"]["pods"] if one["metadata"]["namespace"] == NAMESPACE]
    for one in pods:  # it has run for long enough to count
        for condition in one["status"]["conditions"]:
            condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    points = [[now - 60 + second, 0.009] for second in range(0, 61, 5)]
    samples = {"step_seconds": 5.0, "from": now - 60, "to": now, "source": "a test", "pods": {one["metadata"]["name"]: {"app": points} for one in pods}}
    file = ansible.directory / "snapshot.json"
    file.write_text(json.dumps({**taken, "samples": {measuring.ALL: samples}, "remarks": [], "now": now}))
    options = {key: value.get("default") for key, value in workflow.SPEC.items()}
    times = {"validate_seconds": 60, "scale_seconds": 120, "hold_seconds": 1, "watch_seconds": 1}
    result = workflow.scale(
        {**options, "namespace": NAMESPACE, "workload": f"deployment/{name}", "replay": str(file), "window_seconds": 60, **times},
        lambda: api,
        lambda: api,
    )
    proposal = result["proposals"][0]
    plan = proposal["plan"]
    prepared = actions.prepare(api, plan["changes"][0], {})[0]
    document = payload({**proposal, "plan": {**plan, "changes": [prepared]}}, result, [], "a test", {}, DEFAULTS)
    return open_store(ansible.options["records_dir"], FEATURE).create(document).identifier


def greedy(request: Request) -> Turn:
    """It would have more: another command, then silence."""
    return call(f"kubectl autoscale deployment greedy --max=40 -n {NAMESPACE} # {file_of(request).name}")


@pytest.mark.parametrize("name, script", [("honest", [honest, answer("done")]), ("greedy", [greedy, answer("done")])], ids=["honest", "greedy"])
def test_by_the_playbooks(api: Api, tmp_path: Path, name: str, script: list[Any]) -> None:
    ansible = Ansible(tmp_path)
    record = proposed(api, ansible, name)
    ansible.decide(record).ok()
    with ScriptedModel(script) as model:
        environment = {"OPENAI_API_KEY": KEY, "OPENAI_ENDPOINT": f"{model.url}/v1"}
        run = ansible("execute", variables=environment, record=record, executor_engine="kubectl-ai", kubectl_ai_model="scripted")
    events = open_store(ansible.options["records_dir"], FEATURE).load(record).events
    live = objects.read(api, {**SUBJECT, "name": name, "uid": ""})
    assert KEY not in run.output
    if name == "greedy":
        assert live is None and events[-1]["kind"] == "failed" and not events[-1]["payload"]["applied"], run.output
        return
    executed = next(one for one in events if one["kind"] == "executed")
    assert live is not None and executed["payload"]["hands"][0]["engine"] == "kubectl-ai", run.output
    assert executed["payload"]["hands"][0]["removed"] and executed["payload"]["hands"][0]["token_dead"]
    assert live["spec"]["maxReplicas"] == events[0]["payload"]["plan"]["changes"][0]["manifest"]["spec"]["maxReplicas"]
