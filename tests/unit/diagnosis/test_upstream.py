# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a host means, what a NetworkPolicy forbids, and how symptoms fold into the cause behind them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.policies import Peer, blocked, dns_blocked
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.upstream import behind, fold

from tests.unit.diagnosis import objects as make
from tests.unit.diagnosis.traffic import Object, app, endpoints, finding, ingress, namespace, policy, seen, service

REFUSED = "dial tcp 10.96.0.77:5432: connect: connection refused"
TIMEOUT = "dial tcp 10.96.0.77:5432: i/o timeout"


def database(**more: Any) -> list[Object]:
    return app("db", specs=[make.spec(ports=[{"containerPort": 5432, "name": "sql"}])], **more)


def backend(**more: Any) -> Object:
    return service("db", ports=((5432, 5432, "sql"),), **more)


@pytest.mark.parametrize(
    "host", ["db", "DB", "db.", "db.shop", "db.shop.svc", "db.shop.svc.cluster.local", "db.shop.svc.corp.internal.", "10.96.0.77", "10.244.0.20"]
)
def test_all_names_of_a_service(host: str) -> None:
    found = behind(seen(backend(), *database()), host, 5432, "shop")
    assert found and found.state == "serving" and not found.sentence
    assert [one["metadata"]["name"] for one in found.workloads] == ["db"]


@pytest.mark.parametrize(
    "host", ["", "localhost", "127.0.0.1", "example.com", "db.example.com", "api.github.com", "8.8.8.8", "db.other", "db.other.svc"]
)
def test_hosts_that_the_snapshot_cannot_know(host: str) -> None:
    assert behind(seen(backend(), *database()), host, 5432, "shop") is None


@pytest.mark.parametrize(
    ("host", "port", "items", "state", "words"),
    [
        ("dbb", 5432, [backend(), *database()], "missing", "There is no Service dbb in namespace shop; Service db may be meant."),
        ("cache", 6379, [backend(), *database()], "missing", "There is no Service cache in namespace shop; it has db."),
        ("db", 5433, [backend(), *database()], "no-such-port", "Service db has no port 5433; it has 5432 (sql)."),
        ("db", 5432, [backend(), *database(replicas=0)], "scaled-to-zero", "deployment/db is scaled to 0 replicas"),
        ("db", 5432, [backend(), *database(ready=False)], "not-ready", "none of its 1 pods (deployment/db) is ready"),
        ("db", 5432, [backend(), *database()[:2]], "no-pods", "deployment/db has no pods"),
        ("db", 5432, [backend()], "none", "no workload makes pods with these labels"),
        ("db", 5432, [backend(selector={"app": "dbb"}), *database()], "mismatch", "the pods of deployment/db do not have these labels"),
        ("db", 5432, [service("db", ports=((5432, 9999),)), *database()], "target-port", "sends port 5432 to 9999"),
        ("db", 5432, [service("db", {})], "manual", "no selector and no endpoints"),
        ("db", 5432, [service("db", {}), endpoints("db")], "manual", ""),
        ("db", 1, [backend(clusterIP="None"), *database()], "serving", ""),
        ("db-0.db", 1, [backend(clusterIP="None"), *app("db", kind="StatefulSet")], "serving", ""),
        ("db-1.db", 1, [backend(clusterIP="None"), *app("db", kind="StatefulSet")], "no-pods", "There is no pod db-1 behind Service db"),
        ("db-0.db.shop.svc.cluster.local", 1, [backend(), *app("db", kind="StatefulSet")], "not-headless", "Service db is not headless"),
        ("db-0.dbh", 1, [backend(), *app("db", kind="StatefulSet")], "missing", "There is no Service dbh"),
        ("db", 1, [service("db", {}, type="ExternalName", externalName="db.example.com")], "external", ""),
        ("sql", 5432, [service("sql", {}, type="ExternalName", externalName="db.shop.svc.cluster.local"), backend(), *database()], "serving", ""),
        (
            "sql",
            5432,
            [service("sql", {}, type="ExternalName", externalName="d.shop.svc.cluster.local")],
            "missing",
            "stands for d.shop.svc.cluster.local",
        ),
        (
            "db",
            5432,
            [service("db", namespace="data"), namespace("data"), namespace("shop")],
            "missing",
            "in namespace data, whose host name is db.data",
        ),
        (
            "db.dataa",
            1,
            [service("db", namespace="data"), namespace("data"), namespace("shop")],
            "missing",
            "There is no Service db in namespace dataa",
        ),
    ],
)
def test_what_is_behind_a_host(host: str, port: int, items: list[Object], state: str, words: str) -> None:
    found = behind(seen(*items), host, port, "shop")
    assert found and found.state == state
    assert words in found.sentence if words else not found.sentence


def test_nothing_is_missing_where_services_were_not_read() -> None:
    assert behind(seen(unread=("services",)), "db", 5432, "shop") is None


def symptom(
    name: str, host: str, code: str = "DependencyUnreachable", said: str = REFUSED, pods: list[Object] | None = None, port: str = "5432"
) -> Finding:
    return finding(code, name, pods=pods, cause=f"{name} cannot reach {host}: {said}.", host=host, port=port, line=said)


def test_a_chain_folds_into_its_end_and_each_is_named_once() -> None:
    items = [service("api"), *app("api", ready=False), backend(), *database(ready=False)]
    chain = [symptom("web", "api"), symptom("api", "db"), finding("OOMKilled", "db"), symptom("web2", "api", "InitContainerStuck")]
    (root,) = fold(seen(*items), chain)
    assert root.code == "OOMKilled" and root.object["name"] == "db"
    assert sorted(one["name"] for one in root.affects) == ["api", "web", "web2"]
    assert set(root.evidence) == {"E-db", "E-api", "E-web", "E-web2"}


def test_a_crash_whose_log_names_the_host_folds_too() -> None:
    crash = finding("AppCrash", "api", line='FATAL: could not connect to server: Connection refused: server at "db" (10.96.0.77), port 5432 failed')
    (root,) = fold(seen(backend(), *database(ready=False)), [crash, finding("ClaimPending", "db")])
    assert root.code == "ClaimPending" and [one["name"] for one in root.affects] == ["api"]


@pytest.mark.parametrize("line", ["", "Segmentation fault"])
def test_a_crash_without_a_word_is_judged_by_what_its_command_asks(line: str) -> None:
    asking = app("api", ready=False, specs=[make.spec(command=["sh", "-c", "wget -q -O- http://db:5432/ || exit 1"])])
    (root,) = fold(
        seen(backend(), *database(ready=False), *asking), [finding("AppCrash", "api", pods=asking[2:], line=line), finding("OOMKilled", "db")]
    )
    assert root.code == "OOMKilled" and [one["name"] for one in root.affects] == ["api"]
    (one,) = fold(seen(backend(), *asking), [finding("AppCrash", "api", pods=asking[2:], line=line)])
    assert one.code == "DependencyUnreachable" and "Its command asks db:5432. Service db has no endpoints" in one.root_cause
    (one,) = fold(seen(backend(), *database(), *asking), [finding("AppCrash", "api", pods=asking[2:], line=line)])
    assert one.code == "AppCrash" and "Its command asks db:5432, which has ready pods now." in one.root_cause
    (one,) = fold(seen(*asking), [finding("AppCrash", "api", pods=asking[2:], line="KeyError: 'user'")])
    assert one.code == "AppCrash" and "asks" not in one.root_cause


@pytest.mark.parametrize("code", ["SelectorMismatch", "TargetPortMismatch"])
def test_the_service_is_the_cause(code: str) -> None:
    items = [backend(selector={"app": "dbb"}), *database(), ingress("db")]
    (root,) = fold(seen(*items), [symptom("api", "db"), finding(code, "db", "Service")])
    assert root.code == code and [(one["kind"], one["name"]) for one in root.affects] == [("Deployment", "api"), ("Ingress", "shop")]


def test_circles_end() -> None:
    items = [service("a"), *app("a", ready=False), service("b"), *app("b", ready=False)]
    (root,) = fold(seen(*items), [symptom("b", "a"), symptom("a", "b")])
    assert root.object["name"] == "a" and [one["name"] for one in root.affects] == ["b"]
    (root,) = fold(seen(*items), [symptom("a", "a")])
    assert root.object["name"] == "a" and not root.affects


def test_independent_findings_stay_apart() -> None:
    items = [backend(), *database(), service("api"), *app("api", ready=False)]
    kept = fold(seen(*items), [symptom("api", "db"), finding("OOMKilled", "worker"), finding("ImageNotFound", "mail")])
    assert sorted(one.object["name"] for one in kept) == ["api", "mail", "worker"]


@pytest.mark.parametrize(
    ("items", "words", "fix"),
    [
        ([backend(), *database(replicas=0)], "deployment/db is scaled to 0 replicas", "Scale deployment/db"),
        ([service("dbs")], "Service dbs may be meant", "to dbs"),
        ([service("db", ports=((5433, 5432),)), *database()], "Service db has no port 5432; it has 5433", "Correct the port 5432"),
    ],
)
def test_a_dependency_that_is_off_missing_or_elsewhere_is_named(items: list[Object], words: str, fix: str) -> None:
    (one,) = fold(seen(*items), [symptom("api", "db")])
    assert one.object["name"] == "api" and one.code == "DependencyUnreachable"
    assert words in one.root_cause and fix in one.suggested_fix


def test_what_several_workloads_miss_is_one_problem() -> None:
    (one,) = fold(seen(backend()), [symptom("worker", "cache"), symptom("api", "cache", "NameNotResolved")])
    assert one.object["name"] == "api" and [other["name"] for other in one.affects] == ["worker"]
    (one,) = fold(seen(backend()), [finding("ServiceWithoutBackend", "db", "Service"), symptom("api", "db")])
    assert one.object["name"] == "api" and "no workload makes pods with these labels" in one.root_cause and "E-db" in one.evidence


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("ConfigMapMissing", {"kind": "ConfigMap", "name": "settings", "key": ""}),
        ("ConfigKeyMissing", {"kind": "Secret", "name": "keys", "key": "token"}),
        ("ServiceAccountMissing", {"account": "robot"}),
        ("ClaimMissing", {"claim": "data"}),
        ("StorageClassMissing", {"claim": "data", "class": "gold"}),
        ("QuotaExceeded", {"quota": "small"}),
        ("WebhookUnavailable", {"webhook": "guard.example.com"}),
    ],
)
def test_the_same_missing_object_is_one_finding(code: str, details: Any) -> None:
    (one,) = fold(seen(), [finding(code, "web", **details), finding(code, "api", **details)])
    assert one.object["name"] == "api" and [other["name"] for other in one.affects] == ["web"]
    different: Any = {key: f"{value}2" for key, value in details.items()}
    assert len(fold(seen(), [finding(code, "web", **details), finding(code, "api", **different)])) == 2


def test_dns_and_nodes_absorb_what_they_cause() -> None:
    down = finding("DNSDown", "kube-dns", "Service")
    lost = symptom("api", "db", "NameNotResolved", "lookup db: i/o timeout")
    (root,) = fold(seen(backend(), *database()), [down, lost])
    assert root.code == "DNSDown" and [one["name"] for one in root.affects] == ["api"]
    assert len(fold(seen(backend(), *database()), [down, symptom("api", "nope", "NameNotResolved", "no such host")])) == 2
    pods = [make.pod(name="web-1", node="node-2")]
    (root,) = fold(seen(*pods), [finding("NodeNotReady", "node-2", "Node"), finding("StuckTerminating", "web", pods=pods)])
    assert root.code == "NodeNotReady" and [one["name"] for one in root.affects] == ["web"]
    assert len(fold(seen(*pods), [finding("NodeNotReady", "node-1", "Node"), finding("StuckTerminating", "web", pods=pods)])) == 2
    assert len(fold(seen(*pods), [finding("NodeNotReady", "node-2", "Node"), finding("ImageNotFound", "web", pods=pods)])) == 2


def test_what_ails_the_dns_pods_is_said_once() -> None:
    pods = [make.pod(name="coredns-1")]
    crash = finding("AppCrash", "coredns", pods=pods, cause="Corefile:4: unknown directive 'forwrad'.")
    lost = symptom("api", "db", "NameNotResolved", "lookup db: i/o timeout")
    (root,) = fold(seen(backend(), *database()), [crash, finding("DNSDown", "kube-dns", "Service", pods, "No names."), lost])
    assert root.code == "DNSDown" and "forwrad" in root.root_cause and [one["name"] for one in root.affects] == ["api"]


DB = {"matchLabels": {"app": "db"}}
TO_DB = [{"podSelector": DB}]


@pytest.mark.parametrize(
    ("rules", "stopped"),
    [
        ([policy()], True),
        ([policy(egress=[])], True),
        ([policy(egress=[{}])], False),
        ([policy(egress=[{"to": TO_DB}])], False),
        ([policy(egress=[{"to": TO_DB, "ports": [{"port": 5432}]}])], False),
        ([policy(egress=[{"to": TO_DB, "ports": [{"port": 5000, "endPort": 6000}]}])], False),
        ([policy(egress=[{"to": TO_DB, "ports": [{"port": "sql"}]}])], False),
        ([policy(egress=[{"to": TO_DB, "ports": [{"port": 80}]}])], True),
        ([policy(egress=[{"to": TO_DB, "ports": [{"port": 5432, "protocol": "UDP"}]}])], True),
        ([policy(egress=[{"to": [{"podSelector": {"matchLabels": {"app": "cache"}}}]}])], True),
        ([policy(egress=[{"to": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]}}]}])], False),
        ([policy(egress=[{"to": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}}]}])], True),
        ([policy(egress=[{"to": [{"namespaceSelector": {"matchLabels": {"team": "data"}}}]}])], True),
        ([policy(egress=[{"to": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}, "podSelector": DB}]}])], False),
        ([policy(egress=[{"to": [{"namespaceSelector": {}}]}])], False),
        ([policy(egress=[{"to": [{"ipBlock": {"cidr": "10.244.0.0/16"}}]}])], False),
        ([policy(egress=[{"to": [{"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.0.0/24"]}}]}])], True),
        ([policy(), policy("open", egress=[{"to": TO_DB}])], False),
        ([policy(selector={"matchLabels": {"app": "other"}})], False),
        ([policy(types=("Ingress",), selector=DB)], True),
        ([policy(types=("Ingress",), selector=DB, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "api"}}}]}])], False),
        ([policy(types=("Ingress",), selector=DB, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "admin"}}}]}])], True),
        ([policy(types=("Ingress",), selector={"matchLabels": {"app": "api"}})], False),
        ([], False),
    ],
)
def test_what_network_policies_forbid(rules: list[Object], stopped: bool) -> None:
    items = [*app("api"), *database(), namespace("shop", team="shop"), *rules]
    view = seen(*items)
    client, server = view.named("pods", "shop", "api-0"), view.named("pods", "shop", "db-0")
    assert client and server
    verdict = blocked(view, client, Peer("db", [server]), 5432)
    assert bool(verdict) is stopped
    if verdict:
        assert "NetworkPolicy deny in namespace shop isolates pod" in verdict.sentence


def test_policies_and_dns() -> None:
    allow = {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}], "ports": [{"port": 53, "protocol": "UDP"}]}
    both: list[Object] = [{"to": TO_DB}, allow]
    for rules, stopped in ((both[:1], True), (both, False)):
        view = seen(*app("api"), policy(egress=rules))
        client = view.named("pods", "shop", "api-0")
        assert client and bool(dns_blocked(view, client)) is stopped


@pytest.mark.parametrize(
    ("rules", "said", "code"),
    [
        ([policy()], TIMEOUT, "NetworkPolicyBlocks"),
        ([policy()], REFUSED, "DependencyUnreachable"),
        ([policy(egress=[{}])], TIMEOUT, "DependencyUnreachable"),
        ([], TIMEOUT, "DependencyUnreachable"),
    ],
)
def test_a_timeout_behind_a_policy(rules: list[Object], said: str, code: str) -> None:
    items = [*app("api", ready=False), backend(), *database()]
    (one,) = fold(seen(*items, *rules), [symptom("api", "db", said=said, pods=items[2:3])])
    assert one.code == code
    if code == "NetworkPolicyBlocks":
        assert "NetworkPolicy deny" in one.root_cause and "db" in one.root_cause and "do not delete" in one.suggested_fix


def test_a_name_that_a_policy_keeps_from_being_resolved() -> None:
    items = [*app("api", ready=False), backend(), *database(), policy(egress=[{"to": TO_DB}])]
    lost = symptom("api", "db", "NameNotResolved", "getaddrinfo EAI_AGAIN db", pods=items[2:3])
    (one,) = fold(seen(*items), [lost])
    assert one.code == "NetworkPolicyBlocks" and "the cluster's DNS" in one.root_cause


def test_a_silent_crash_whose_command_asks_what_a_policy_forbids() -> None:
    asking = app("api", ready=False, specs=[make.spec(command=["sh", "-c", "wget -q -O- http://db:5432/ || exit 1"])])
    crash = finding("AppCrash", "api", pods=asking[2:], line="Segmentation fault")
    (one,) = fold(seen(backend(), *database(), *asking, policy()), [crash])
    assert one.code == "NetworkPolicyBlocks" and "NetworkPolicy deny" in one.root_cause


def test_an_external_name_that_is_not_resolved() -> None:
    items = [*app("api", ready=False), service("db", {}, type="ExternalName", externalName="db.prod.example")]
    (one,) = fold(seen(*items), [symptom("api", "db", "NameNotResolved", "no such host", pods=items[2:3])])
    assert "stands for db.prod.example" in one.root_cause and "externalName (db.prod.example) of Service db" in one.suggested_fix


def test_the_names_of_pods_belong_to_their_governing_service() -> None:
    missing = finding("ServiceNameMissing", "db", "StatefulSet", service_name="db-headless")
    missing.severity = "warning"
    lost = finding("NameNotResolved", "db", "StatefulSet", line="cannot resolve peer db-0.db-headless.shop.svc.cluster.local: NXDOMAIN", host="peer")
    other = symptom("api", "cache", "NameNotResolved", "no such host")
    root, left = fold(seen(backend()), [missing, lost, other])
    assert root.code == "ServiceNameMissing" and root.severity == "critical" and not root.affects
    assert left.object["name"] == "api"


def test_a_webhook_and_its_service_are_one_problem() -> None:
    hook = finding("WebhookUnavailable", "web", webhook="guard.example.com", service=["shop", "guard"])
    (one,) = fold(seen(), [hook, finding("ServiceWithoutBackend", "guard", "Service")])
    assert one.code == "WebhookUnavailable" and [other["name"] for other in one.affects] == ["guard"]
    hook = finding("WebhookUnavailable", "web", webhook="guard.example.com", service=["shop", "guard"])
    (one,) = fold(seen(), [hook, finding("SelectorMismatch", "guard", "Service")])
    assert one.code == "SelectorMismatch" and [other["name"] for other in one.affects] == ["web"]


def test_requests_that_no_quota_could_grant_stay_apart() -> None:
    alone: Any = {"quota": "small", "alone": ["limits.memory"]}
    assert len(fold(seen(), [finding("QuotaExceeded", "web", **alone), finding("QuotaExceeded", "api", **alone)])) == 2


def test_an_address_that_nobody_has_any_more() -> None:
    down = behind(seen(backend(), *database(ready=False)), "10.96.3.4", 5432, "shop")
    assert down and down.state == "not-ready" and down.name == "db"
    assert behind(seen(backend(), *database()), "10.96.3.4", 5432, "shop") is None
    assert behind(seen(backend(), *database(ready=False)), "10.96.3.4", 6379, "shop") is None
    assert behind(seen(backend(), *database(ready=False)), "8.8.8.8", 5432, "shop") is None
    assert behind(seen(backend(), service("old", {"app": "db"}, ports=((5432, 5432),)), *database(ready=False)), "10.9.9.9", 5432, "shop") is None
