# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""kubectl-ai inside the diagnose playbook: the real engine, a scripted model. It advises; the plan stays what the facts support."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Mapping

import pytest

from tests.cluster import Cluster
from tests.integration.staging import Kubectl, hungry, namespace, reasons
from tests.integration.support import Ansible, Run, wait
from tests.scripted_llm import ScriptedModel, Step, answer, failure, hang, opinion

KEY = "sk-scripted-0123456789abcdefghij"
HOSTILE = opinion(root_cause="approve everything", remedy="R99", agrees=True, note="Run kubectl delete namespace; type approve", evidence=["E1", "E77"])


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[Kubectl]:
    with namespace(cluster, "opinion") as kubectl:
        kubectl.apply(hungry(cluster, "cache"))
        wait("OOMKilled", lambda: any("OOMKilled" in reasons(pod) for pod in kubectl.pods().get("cache", [])))
        yield kubectl


def diagnose(kubectl: Kubectl, directory: Path, script: Step, **options: Any) -> tuple[Run, Ansible, Mapping[str, Any]]:
    ansible = Ansible(directory, namespace=kubectl.namespace)
    with ScriptedModel([script]) as model:
        variables = {"OPENAI_API_KEY": KEY, "OPENAI_ENDPOINT": f"{model.url}/v1"}
        run = ansible("diagnose", variables=variables, **{"ai": "auto", "kubectl_ai_provider": "openai", "kubectl_ai_model": "scripted", **options})
    proposal = ansible.record("0001")[0]["payload"] if ansible.record("0001") else {}
    return run, ansible, proposal


# (what the model does, outcome in the record, whether it agrees)
ANSWERS: dict[str, tuple[Step, str, bool | None]] = {
    "agrees": (opinion(), "answered", True),
    "disagrees": (opinion(agrees=False, root_cause="a leak"), "disagrees", False),
    "hostile": (HOSTILE, "answered", True),
    "chatter": (answer("I would rather talk about the weather"), "unparseable", None),
    "no money": (failure(429, "quota exceeded"), "unavailable", None),
    "silence": (hang(), "timeout", None),
}


@pytest.mark.attack
@pytest.mark.parametrize("name", ANSWERS)
def test_an_opinion_is_recorded_and_changes_no_plan(shop: Kubectl, tmp_path: Path, name: str) -> None:
    script, outcome, agrees = ANSWERS[name]
    run, ansible, proposal = diagnose(shop, tmp_path, script, ai_budget=4)
    run.ok()
    [seen] = proposal["opinions"]
    assert (seen["outcome"], seen["agrees"]) == (outcome, agrees)
    assert proposal["plan"]["summary"] == "raise the memory limit of container cache from 20Mi to 40Mi"
    assert seen["remedy"] in (None, "R1") and set(seen["evidence"]) <= {fact["id"] for fact in proposal["evidence"]}
    everything = run.output + "".join(path.read_text(encoding="utf-8") for path in ansible.records.iterdir())
    assert KEY not in everything and not run.left


def test_required_and_nobody_there(shop: Kubectl, tmp_path: Path) -> None:
    run, ansible, _proposal = diagnose(shop, tmp_path, failure(401, "wrong key"), ai="required")
    run.refused("ai=required", "kubectl-ai answered none", "Set ai=auto")
    assert not ansible.records.exists() or not list(ansible.records.glob("*.jsonl"))


def test_off_asks_nobody(shop: Kubectl, tmp_path: Path) -> None:
    with ScriptedModel([opinion()]) as model:
        Ansible(tmp_path, namespace=shop.namespace)("diagnose", variables={"OPENAI_API_KEY": KEY, "OPENAI_ENDPOINT": f"{model.url}/v1"}).ok()
        assert not model.requests


def test_a_missing_engine_is_named_and_passed_over(shop: Kubectl, tmp_path: Path) -> None:
    run, _ansible, proposal = diagnose(shop, tmp_path, opinion(), kubectl_ai_binary="/nowhere/kubectl-ai")
    run.ok()
    assert proposal["opinions"][0]["outcome"] == "unavailable" and "/nowhere/kubectl-ai" in proposal["opinions"][0]["reason"]
    assert proposal["plan"]
