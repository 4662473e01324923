# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""aiops.k8s.setup: the identity of AI engines can read what a diagnosis reads, and nothing else; making and removing it is idempotent."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.lists import SOURCES

from tests.cluster import Cluster
from tests.integration.staging import Kubectl, hungry, namespace, reasons
from tests.integration.support import Ansible, Run, begin, wait
from tests.scripted_llm import ScriptedModel, call, opinion

KEY = "sk-scripted-0123456789abcdefghij"
REQUESTERS = [{"kind": "User", "name": "ann"}, {"kind": "ServiceAccount", "name": "runner", "namespace": "ci"}]
LEFT_OUT = {"configmaps"}  # a diagnosis reads their keys; no engine does
READ = {"get", "list", "watch"}
HARMLESS = {"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}  # everybody may ask who they are
REFUSED = (
    "list secrets, get secrets, list configmaps, get configmaps, create pods/exec, get pods/exec, create pods/attach, create pods/portforward, "
    "get pods/proxy, get services/proxy, get nodes/proxy, create pods, patch pods, delete pods, update deployments.apps, "
    "patch deployments.apps/scale, create pods/eviction, create serviceaccounts/token, impersonate users, impersonate serviceaccounts,"
    " bind clusterroles.rbac.authorization.k8s.io,"
    " escalate clusterroles.rbac.authorization.k8s.io, create tokenreviews.authentication.k8s.io, create rolebindings.rbac.authorization.k8s.io,"
    " patch nodes, deletecollection pods, list roles.rbac.authorization.k8s.io, approve certificatesigningrequests.certificates.k8s.io, * *.*"
).split(", ")


@dataclass
class Stage:
    """What setup made, and what it said: ``first`` and ``second`` run."""

    everywhere: Kubectl
    name: str
    first: Run
    second: Run

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{self.name}:aiops-reader"

    @property
    def account(self) -> dict[str, str]:
        return {"namespace": self.name, "name": "aiops-reader"}

    def may(self, user: str, *questions: str, where: str = "") -> dict[str, bool]:
        """{question, as ``get pods/log`` or ``patch deployments.apps/scale``: whether the user may}; everywhere unless a namespace is given."""
        asked = [review(user, one, where) for one in questions]
        path = '{.status.allowed}{"\\n"}'
        answers = self.everywhere(
            "create", "-o", f"jsonpath={path}", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": asked})
        )
        return {question: allowed == "true" for question, allowed in zip(questions, answers.split(), strict=True)}


def review(user: str, question: str, where: str) -> dict[str, Any]:
    verb, _space, what = question.partition(" ")
    resource, _dot, rest = what.partition(".")
    group, _slash, part = rest.partition("/") if rest else ("", "", resource.partition("/")[2])
    attributes = {"verb": verb, "group": group, "resource": resource.partition("/")[0], "subresource": part, "namespace": where}
    groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"] if user.startswith("system:") else []
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
    }


def changed(run: Run) -> int:
    found = re.search(r"changed=(\d+)", run.ok().output)
    assert found, run.output
    return int(found[1])


@pytest.fixture(scope="module")
def everywhere(cluster: Cluster) -> Kubectl:
    return Kubectl(cluster, "")


@pytest.fixture(scope="module")
def stage(everywhere: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    name = f"aiops-it-setup-{secrets.token_hex(3)}"
    ansible = Ansible(tmp_path_factory.mktemp("setup"), setup_namespace=name, setup_token_requesters=REQUESTERS)
    try:
        yield Stage(everywhere, name, ansible("setup"), ansible("setup"))
    finally:
        everywhere("delete", f"namespace/{name}", "--ignore-not-found", "--wait=false")
        everywhere("delete", f"clusterrole/{name}-engine", f"clusterrolebinding/{name}-engine", "--ignore-not-found")


def test_the_second_run_changes_nothing(stage: Stage) -> None:
    assert changed(stage.first) == 4 and changed(stage.second) == 0
    assert f"{{ai_service_account: {{namespace: {stage.name}, name: aiops-reader}}}}" in stage.second.output


def test_it_may_read_whatever_a_diagnosis_reads(stage: Stage) -> None:
    lists = [f"list {name}.{source.group.split('/')[2]}" if source.group != "/api/v1" else f"list {name}" for name, source in SOURCES.items()]
    wanted = [*(one for one in lists if one.split()[1] not in LEFT_OUT), "get pods/log", "list pods.metrics.k8s.io", "list nodes.metrics.k8s.io"]
    assert [question for question, allowed in stage.may(stage.user, *wanted).items() if not allowed] == []


@pytest.mark.attack
def test_it_may_do_nothing_else(stage: Stage) -> None:
    for where in ("", stage.name, "kube-system"):
        assert [question for question, allowed in stage.may(stage.user, *REFUSED, where=where).items() if allowed] == []


@pytest.mark.attack
def test_all_rules_that_apply_to_it_only_read(stage: Stage) -> None:
    """Not ours alone: whatever else is bound to every service account counts as well."""
    question = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": stage.name}}
    rules = json.loads(stage.everywhere(f"--as={stage.user}", "create", "--validate=false", "-o", "json", "-f", "-", stdin=json.dumps(question)))[
        "status"
    ]
    beyond = [one for one in rules["resourceRules"] if not set(one["verbs"]) <= READ and not set(one["resources"]) <= HARMLESS]
    named = {resource for one in rules["resourceRules"] for resource in one["resources"]}
    assert not rules["incomplete"] and beyond == []
    assert not named & {"*", "secrets", "configmaps"} and {one for one in named if "/" in one} == {"pods/log"}
    assert {verb for one in rules["nonResourceRules"] for verb in one["verbs"]} == {"get"}


@pytest.mark.attack
@pytest.mark.parametrize(("who", "allowed"), [("ann", True), ("system:serviceaccount:ci:runner", True), ("bob", False), ("engine", False)])
def test_only_who_is_named_gets_a_token_and_of_no_other_account(stage: Stage, who: str, allowed: bool) -> None:
    ask = ["-n", stage.name, f"--as={stage.user if who == 'engine' else who}", "create", "token"]
    if allowed:
        assert stage.everywhere(*ask, "aiops-reader").count(".") == 2
    for account in ["default", *([] if allowed else ["aiops-reader"])]:
        with pytest.raises(AssertionError, match="Forbidden|forbidden"):
            stage.everywhere(*ask, account)


@pytest.mark.attack
def test_an_engine_looks_into_the_cluster_and_gets_no_secret(stage: Stage, cluster: Cluster, tmp_path: Path) -> None:
    with namespace(cluster, "engine") as kubectl:
        kubectl.apply(hungry(cluster, "cache"))
        kubectl("create", "secret", "generic", "api-key", "--from-literal=key=hidden-from-engines")
        kubectl("create", "configmap", "settings", "--from-literal=mode=hidden-from-engines")
        wait("OOMKilled", lambda: any("OOMKilled" in reasons(pod) for pod in kubectl.pods().get("cache", [])))
        commands = [f"kubectl {what} -n {kubectl.namespace}" for what in ("get deployments", "get secret api-key -o yaml", "get configmaps -o yaml")]
        ansible = Ansible(tmp_path, namespace=kubectl.namespace, ai="auto", ai_service_account=stage.account)
        with ScriptedModel([*map(call, commands), opinion()]) as model:
            variables = {"OPENAI_API_KEY": KEY, "OPENAI_ENDPOINT": f"{model.url}/v1"}
            ansible("diagnose", variables=variables, kubectl_ai_provider="openai", kubectl_ai_model="scripted", approval="defer").ok()
            answers = [request.last for request in model.requests if request.turn]  # what each command printed
    proposal = ansible.record(ansible.by_workload()["cache"])[0]["payload"]
    [seen] = proposal["opinions"]
    assert (seen["outcome"], seen["identity"]) == ("answered", stage.user) and seen["commands"][0] == commands[0]
    assert len(answers) >= len(commands) and "cache" in answers[0]
    assert "hidden-from-engines" not in json.dumps([request.body for request in model.requests])
    assert proposal["plan"]


def test_what_somebody_widened_is_shown_and_put_right(stage: Stage, tmp_path: Path) -> None:
    role = f"clusterrole/{stage.name}-engine"
    more = [{"op": "add", "path": "/rules/-", "value": {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}}]
    stage.everywhere("patch", role, "--type=json", "-p", json.dumps(more))
    ansible = Ansible(tmp_path, setup_namespace=stage.name, setup_token_requesters=REQUESTERS)
    looked = ansible("setup", ["--check", "--diff"])
    assert changed(looked) == 1 and re.search(r"^- .*secrets", looked.output, re.M)
    assert stage.may(stage.user, "list secrets")["list secrets"]
    assert changed(ansible("setup")) == 1
    assert not stage.may(stage.user, "list secrets")["list secrets"]


def test_it_comes_and_goes(everywhere: Kubectl, tmp_path: Path) -> None:
    """Check mode makes nothing; what is taken away is all that was made; a namespace that was there, or holds more, stays."""
    name = f"aiops-it-setup-{secrets.token_hex(3)}"
    ansible = Ansible(tmp_path, setup_namespace=name)
    mine = [f"namespace/{name}", f"clusterrole/{name}-engine", f"clusterrolebinding/{name}-engine"]
    try:
        planned = ansible("setup", ["--check"])
        assert changed(planned) == 3 and "ServiceAccount/aiops-reader, Role/aiops-reader-token" in planned.output
        assert not everywhere("get", *mine, "--ignore-not-found", "-o", "name")
        assert changed(ansible("setup")) == 3
        bound = everywhere("-n", name, "get", "rolebindings", "-o", "name")
        assert not bound, "nobody was named, so nobody is bound"
        everywhere("-n", name, "create", "configmap", "of-somebody-else")
        kept = ansible("setup", setup_state="absent")
        assert f"The namespace {name} stays, because it also holds ConfigMap/of-somebody-else" in kept.output
        assert everywhere("get", *mine, "--ignore-not-found", "-o", "name").split() == [mine[0]]
        everywhere("-n", name, "delete", "configmap", "of-somebody-else")
        assert changed(ansible("setup", setup_state="absent")) == 1
        assert not everywhere("get", *mine, "--ignore-not-found", "-o", "name")
        assert changed(ansible("setup", setup_state="absent")) == 0
    finally:
        everywhere("delete", *mine, "--ignore-not-found", "--wait=false")


ANALYST = {"setup_kagent": True, "setup_kagent_model": "m", "setup_kagent_secret": "s", "setup_kagent_secret_key": "k"}
FAULTS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "capitals in the namespace": ({"setup_namespace": "AIops"}, 'setup_namespace: "AIops" is no name of a namespace'),
    "no namespace": ({"setup_namespace": ""}, "is no name of a namespace"),
    "an unknown state": ({"setup_state": "gone"}, "value of setup_state must be one of: present, absent"),
    "a name alone": ({"setup_token_requesters": ["ann"]}, "setup_token_requesters"),
    "an unknown kind": ({"setup_token_requesters": [{"kind": "Robot", "name": "r2"}]}, "value of kind must be one of: User, Group, ServiceAccount"),
    "no name": ({"setup_token_requesters": [{"kind": "User"}]}, "missing required arguments: name"),
    "an empty name": ({"setup_token_requesters": [{"kind": "User", "name": ""}]}, "is no subject"),
    "an account without namespace": (
        {"setup_token_requesters": [{"kind": "ServiceAccount", "name": "ci"}]},
        "a ServiceAccount needs its namespace as well",
    ),
    "a user with namespace": ({"setup_token_requesters": [{"kind": "User", "name": "ann", "namespace": "shop"}]}, "and the others have none"),
    "everybody": ({"setup_token_requesters": [{"kind": "Group", "name": "system:authenticated"}]}, "is everybody, or every pod of a namespace"),
    "every pod": (
        {"setup_token_requesters": [{"kind": "Group", "name": "system:serviceaccounts:shop"}]},
        "is everybody, or every pod of a namespace",
    ),
    "the engine": (
        {"setup_token_requesters": [{"kind": "ServiceAccount", "namespace": "aiops-it-setup-faulty", "name": "aiops-reader"}]},
        "is the engine itself, which could then renew its token for ever",
    ),
    "an agent without a model": ({"setup_kagent": True}, "setup_kagent_model: name the model"),
    "an agent without a key": ({**ANALYST, "setup_kagent_secret": ""}, "setup_kagent_secret and setup_kagent_secret_key: name a Secret"),
    "a Secret that is no name": ({**ANALYST, "setup_kagent_secret": "sk-123=/"}, "The API key itself is never an option"),
    "a key among the options": ({**ANALYST, "setup_kagent_provider_options": {"azureAdToken": "x"}}, "azureAdToken and tokenExchange are credentials"),
    "a tool that writes": ({**ANALYST, "setup_kagent_tools": ["k8s_get_resources", "k8s_apply_manifest"]}, "setup_kagent_tools: k8s_apply_manifest may change"),
    "an unknown tool": ({**ANALYST, "setup_kagent_tools": ["get_weather"]}, "get_weather may change something, or nobody knows"),
    "a namespace of kagent that is no name": ({**ANALYST, "setup_kagent_namespace": "K"}, 'setup_kagent_namespace: "K" is no name'),
    # as in a cluster without kagent, whether this one has it or not: a version of its interface that nobody serves
    "no kagent": ({**ANALYST, "setup_kagent_api": "kagent.dev/v9"}, "kagent is not installed in this cluster: it has no agents.kagent.dev"),
    "an unknown provider": ({**ANALYST, "setup_kagent_provider": "Oracle"}, "value of setup_kagent_provider must be one of: OpenAI"),
    "no rights": ({"impersonate_user": "nobody"}, "nobody"),
    "no cluster": ({"kubeconfig": "/nowhere"}, "/nowhere"),
}


@pytest.fixture(scope="module")
def faults(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Run]]:
    assert cluster
    return begin(
        request, "name", lambda name: Ansible(tmp_path_factory.mktemp("fault"), setup_namespace="aiops-it-setup-faulty")("setup", **FAULTS[name][0])
    )


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_options_are_named_and_nothing_is_made(everywhere: Kubectl, faults: dict[str, Future[Run]], name: str) -> None:
    faults[name].result().refused(FAULTS[name][1])
    assert not everywhere("get", "namespace/aiops-it-setup-faulty", "clusterrole/aiops-it-setup-faulty-engine", "--ignore-not-found", "-o", "name")
