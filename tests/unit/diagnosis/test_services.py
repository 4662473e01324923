# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Services, Ingresses and autoscalers: what is wrong with them, and what only looks unusual."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.services import OBJECT_RULES

from tests.unit.diagnosis import objects as make
from tests.unit.diagnosis.traffic import Object, app, autoscaler, endpoints, ingress, ingress_class, job, judge, policy, seen, service

BUSYBOX = "mkdir /tmp/www; exec httpd -f -p 8080 -h /tmp/www"


def found(*items: Object, **more: Any) -> list[Any]:
    return judge(OBJECT_RULES, seen(*items, **more))


def serving(*command: str, ports: list[Object] | None = None, **more: Any) -> list[Object]:
    declared: Any = {"ports": ports} if ports else {}
    return [make.spec(command=["sh", "-c", *command], **declared, **more)]


@pytest.mark.parametrize(
    ("wanted", "labels", "name", "fix"),
    [
        ({"app": "wbe"}, {"app": "web"}, "web", {"app": "web"}),
        ({"app": "web-app"}, {"app": "web"}, "web", {"app": "web"}),
        ({"app": "Web"}, {"app": "web"}, "frontend", {"app": "web"}),
        ({"aap": "web"}, {"app": "web"}, "frontend", {"app": "web"}),
        ({"app.kubernetes.io/name": "web"}, {"app": "web"}, "frontend", {"app": "web"}),
        ({"app": "web", "tier": "front"}, {"app": "web"}, "web", {"app": "web"}),
        ({"app": "web", "version": "v1"}, {"app": "web", "version": "v2"}, "web", {"app": "web", "version": "v2"}),
        ({"app": "something"}, {"app": "web"}, "web", {"app": "web"}),
        ({"app": "paymets"}, {"app": "payments"}, "pay", {"app": "payments"}),
        ({"run": "web"}, {"app": "web", "tier": "front"}, "frontend", {"app": "web"}),
    ],
)
def test_a_selector_that_misses_the_workload_it_means(wanted: dict[str, str], labels: dict[str, str], name: str, fix: dict[str, str]) -> None:
    workload = labels["app"]
    (finding,) = found(service(name, wanted), *app(workload, labels), *app("mailer"), *app("queue"))
    assert finding.code == "SelectorMismatch"
    assert finding.object == {"kind": "Service", "namespace": "shop", "name": name}
    assert finding.details["selector_fix"] == fix
    assert finding.details["workload"]["name"] == workload
    for key, value in wanted.items():
        assert f"{key}={value}" in finding.root_cause
    assert f"deployment/{workload}" in finding.root_cause


def test_the_corrected_selector_takes_in_no_other_workload() -> None:
    items = [*app("web", {"app": "web", "tier": "front"}), *app("shop", {"app": "shop", "tier": "front"})]
    (finding,) = found(service("web", {"application-name": "x", "tier": "front"}), *items)
    assert finding.details["selector_fix"] == {"app": "web"}


def test_labels_that_a_rollout_has_changed_name_the_revision() -> None:
    items = app("web", {"app": "web", "tier": "frontend"})
    old = make.controller("ReplicaSet", "web-0", items[0], replicas=0, template={"metadata": {"labels": {"app": "web", "tier": "fe"}}, "spec": {}})
    old["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "3"}
    (finding,) = found(service("web", {"app": "web", "tier": "fe"}), *items, old)
    assert finding.details["earlier_revision"] == "3"
    assert "until revision 3" in finding.root_cause


def test_a_service_without_a_selector_that_has_the_name_of_a_workload() -> None:
    (finding,) = found(service("web", {}), *app("web"))
    assert finding.code == "SelectorMismatch" and finding.details["selector_fix"] == {"app": "web"}
    assert not found(service("web", {}), *app("web"), endpoints("web"))


@pytest.mark.parametrize(
    "items",
    [
        [service(), *app()],
        [service(), *app(replicas=0)],
        [service("web", {"app": "wbe"}), *app(replicas=0)],
        [service(), *app(ready=False)],
        [service("db", {}, type="ExternalName", externalName="db.example.com"), *app()],
        [service("db", {}), *app(), endpoints("db")],
        [service("db", {}), *app()],
        [service("db", clusterIP="None"), *app("db", kind="StatefulSet")],
        [service("web", {"app": "nothing"}, seconds=5)],
        [service("web", {"app": "migrate"}), job()],
        [service(), service("web-alias", {"app": "web"}), *app()],
        [service(), service("web-canary", {"app": "web", "track": "canary"}), *app()],
    ],
    ids=["fits", "off", "typo, off", "unready", "external", "manual", "manual, other", "headless", "new", "job", "two services", "canary"],
)
def test_services_that_are_well(items: list[Object]) -> None:
    assert not found(*items)


@pytest.mark.parametrize(("wanted", "name"), [({"app": "redis"}, "redis"), ({"app": "api"}, "api"), ({"app": "web-2"}, "web-2")])
def test_a_service_whose_workload_is_not_there(wanted: dict[str, str], name: str) -> None:
    exporter = app("redis-exporter", specs=[make.spec(ports=[{"containerPort": 9121}])])
    items = [service("web"), *app("web"), *exporter, *app("app"), service("web-1"), *app("web-1")]
    (finding,) = found(service(name, wanted, ports=((6379, None),)), *items)
    assert finding.code == "ServiceWithoutBackend" and finding.severity == "warning"


def test_a_service_without_pods_that_others_use_is_critical() -> None:
    user = app("api", specs=[make.spec(env=[{"name": "DB_HOST", "value": "db"}])])
    (finding,) = found(service("db", ports=((5432, None),)), *user)
    assert finding.code == "ServiceWithoutBackend" and finding.severity == "critical"
    assert "used by deployment/api" in finding.root_cause


def test_nothing_is_concluded_where_pods_were_not_read() -> None:
    assert not found(service("db"), unread=("pods",))


@pytest.mark.parametrize(
    ("port", "specs", "fix"),
    [
        ((80, "web"), [make.spec(ports=[{"containerPort": 8080, "name": "http"}])], "http"),
        ((80, "htpp"), [make.spec(ports=[{"containerPort": 8080, "name": "http"}, {"containerPort": 9090, "name": "metrics"}])], "http"),
        ((80, "http"), [make.spec()], None),
        ((80, 9999), [make.spec(ports=[{"containerPort": 8080}])], 8080),
        ((8080, 80), [make.spec(ports=[{"containerPort": 8080}, {"containerPort": 9000}])], 8080),
        ((80, 81), [make.spec(ports=[{"containerPort": 8080}, {"containerPort": 9000}])], None),
        ((80, None), [make.spec(ports=[{"containerPort": 8080}])], 8080),
        ((80, 80), serving(BUSYBOX), 8080),
        ((80, 80), serving(BUSYBOX, ports=[{"containerPort": 80}]), 8080),
        ((80, 3000), [make.spec(env=[{"name": "PORT", "value": "8080"}])], 8080),
    ],
)
def test_a_target_port_that_nobody_serves(port: tuple[Any, ...], specs: list[Object], fix: Any) -> None:
    (finding,) = found(service("web", ports=(port,)), *app("web", specs=specs))
    assert finding.code == "TargetPortMismatch"
    assert finding.details["fix"] == fix
    assert finding.details["target"] == (port[1] or port[0])
    assert "Service web" in finding.root_cause and "deployment/web" in finding.root_cause


@pytest.mark.parametrize(
    ("port", "specs"),
    [
        ((80, 8080), [make.spec(ports=[{"containerPort": 8080}])]),
        ((80, "http"), [make.spec(ports=[{"containerPort": 8080, "name": "http"}])]),
        ((80, 8080), [make.spec()]),
        ((80, 8080), serving(BUSYBOX, ports=[{"containerPort": 9999}])),
        ((80, 8080), [make.spec(ports=[{"containerPort": 9090, "name": "metrics"}])]),
        ((80, 8080), [make.spec(ports=[{"containerPort": 80}], readinessProbe={"httpGet": {"port": 8080}})]),
        ((80, 8080), [make.spec(ports=[{"containerPort": 80}], env=[{"name": "LISTEN", "value": "0.0.0.0:8080"}])]),
        ((80, 8080), [make.spec(), make.spec("proxy", ports=[{"containerPort": 15090, "name": "http-envoy-prom"}])]),
        ((5432, 5432), serving("until nc -z db 5433; do sleep 1; done; exec postgres")),
    ],
)
def test_target_ports_that_are_or_may_be_served(port: tuple[Any, ...], specs: list[Object]) -> None:
    assert not found(service("web", ports=(port,)), *app("web", specs=specs))


def test_target_ports_of_headless_services_and_unready_pods_are_not_judged() -> None:
    assert not found(service("web", ports=((80, 9999),), clusterIP="None"), *app())
    assert not found(service("web", ports=((80, 9999),)), *app(ready=False))


def test_a_native_sidecar_serves_named_ports_too() -> None:
    items = app()
    items[-1]["spec"]["initContainers"] = [make.spec("proxy", restartPolicy="Always", ports=[{"containerPort": 8443, "name": "tls"}])]
    assert not found(service("web", ports=((443, "tls"),)), *items)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (ingress("wbe"), ("Service wbe", "web may be meant", "shop.test/")),
        (ingress("web", 8081), ("port 8081 of Service web", "80")),
        (ingress("web", "https"), ("port https of Service web",)),
        (ingress("web", defaultBackend={"service": {"name": "fallback", "port": {"number": 80}}}), ("Service fallback", "all other requests")),
    ],
)
def test_an_ingress_without_its_backend(item: Object, words: tuple[str, ...]) -> None:
    (finding,) = found(item, service("web"), *app())
    assert finding.code == "IngressBackendMissing" and finding.object["kind"] == "Ingress"
    for word in words:
        assert word in finding.root_cause


def test_ingresses_that_are_well() -> None:
    assert not found(ingress("web"), service("web"), *app())
    assert not found(ingress("web", ingressClassName="nginx"), service("web"), *app())  # no class is known at all
    assert not found(ingress("web", ingressClassName="nginx"), ingress_class(), service("web"), *app())
    assert not found(ingress("gone"), unread=("services",))
    served = ingress("web", ingressClassName="gce") | {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}
    assert not found(served, ingress_class(), service("web"), *app())


def test_an_ingress_class_that_does_not_exist() -> None:
    (finding,) = found(ingress("web", ingressClassName="ngnix"), ingress_class(), service("web"), *app())
    assert "IngressClass ngnix" in finding.root_cause and "nginx" in finding.suggested_fix


REQUEST = "the HPA was unable to compute the replica count: failed to get cpu utilization: missing request for cpu in container app of Pod web-0"
SERVER = (
    "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not"
    " find the requested resource (get pods.metrics.k8s.io)"
)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (
            autoscaler(seconds=20, ScalingActive=("False", "FailedGetResourceMetric", REQUEST)),
            ("container app of deployment/web has no cpu request",),
        ),
        (
            autoscaler("wbe", AbleToScale=("False", "FailedGetScale", 'deployments.apps "wbe" not found')),
            ("deployment/wbe does not exist", "web may be meant"),
        ),
        (autoscaler(ScalingActive=("False", "FailedGetResourceMetric", SERVER)), ("resource metrics API",)),
        (autoscaler(ScalingActive=("False", "FailedGetExternalMetric", "no external metric queue_length")), ("queue_length",)),
        (autoscaler(ScalingActive=("False", "AmbiguousSelector", "pods by selector app=web are controlled by multiple HPAs")), ("multiple HPAs",)),
    ],
)
def test_an_autoscaler_that_cannot_scale(item: Object, words: tuple[str, ...]) -> None:
    (finding,) = found(item, *started(app()))
    assert finding.code == "AutoscalerFailing" and finding.severity == "warning"
    for word in words:
        assert word in finding.root_cause


@pytest.mark.parametrize(
    "item",
    [
        autoscaler(ScalingActive=("True", "ValidMetricFound", ""), ScalingLimited=("True", "TooFewReplicas", "")),
        autoscaler(seconds=30, ScalingActive=("False", "FailedGetResourceMetric", SERVER)),
        autoscaler(ScalingActive=("False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")),
    ],
)
def test_autoscalers_that_are_well(item: Object) -> None:
    assert not found(item, *started(app()))


def test_an_autoscaler_of_unready_pods_is_a_symptom() -> None:
    assert not found(autoscaler(ScalingActive=("False", "FailedGetResourceMetric", "did not receive metrics")), *app(ready=False))


def started(items: list[Object]) -> list[Object]:
    for item in items:
        if item["kind"] == "Pod":
            item["status"]["startTime"] = make.ago(600)
    return items


def test_policies_are_not_findings_of_their_own() -> None:
    assert not found(policy(), service(), *app())


def test_a_selector_that_takes_in_the_pods_of_another_application() -> None:
    web = app("web", {"app": "web", "tier": "front"}, specs=serving("exec web", ports=[{"containerPort": 8080}]))
    worker = app("worker", {"app": "worker", "tier": "front"}, specs=serving("exec worker", ports=[{"containerPort": 9100}]))
    (finding,) = found(service("web", {"tier": "front"}), *web, *worker)
    assert finding.code == "TargetPortMismatch" and finding.severity == "warning" and not finding.details["fix"]
    assert "deployment/worker" in finding.root_cause and "9100" in finding.root_cause and "app=web,tier=front" in finding.suggested_fix
    canary = app("web-canary", {"app": "canary", "tier": "front"}, specs=serving("exec web", ports=[{"containerPort": 8080}]))
    assert not found(service("web", {"tier": "front"}), *web, *canary)
    assert not found(service("web", {"tier": "front"}), *web, *app("silent", {"tier": "front"}, specs=serving("sleep 9999")))


def test_metrics_are_not_sent_to_the_port_of_the_application() -> None:
    (finding,) = found(service("web-metrics", {"app": "web"}, ports=((9090, 9090, "metrics"),)), *app("web", specs=serving(BUSYBOX)))
    assert finding.code == "TargetPortMismatch" and finding.details["fix"] is None
    assert finding.suggested_fix.startswith("Have the application serve 9090")


def test_a_port_that_is_declared_for_another_protocol() -> None:
    pods = app("web", specs=serving("exec web", ports=[{"containerPort": 8080, "name": "web", "protocol": "UDP"}]))
    (finding,) = found(service("web", ports=((80, "web"),)), *pods)
    assert "for UDP, and the Service says TCP" in finding.root_cause and finding.suggested_fix.startswith("Declare the port web for TCP")


def test_a_port_declared_beside_the_one_that_the_command_names() -> None:
    both = [{"containerPort": 8080, "name": "http"}, {"containerPort": 9102, "name": "extra"}]
    assert not found(service("web-extra", {"app": "web"}, ports=((9102, 9102),)), *app("web", specs=serving(BUSYBOX, ports=both)))
    assert not found(
        service("web-metrics", {"app": "web"}, ports=((9102, 9102),)),
        *app("web", specs=serving(BUSYBOX, ports=[{"containerPort": 9102, "name": "metrics"}])),
    )
    assert found(service("web", ports=((80, 80),)), *app("web", specs=serving(BUSYBOX, ports=[{"containerPort": 80}])))
