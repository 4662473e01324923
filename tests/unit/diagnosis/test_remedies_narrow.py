# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Remedies that touch one field - probes, Services, requests, references - and when they must keep silent."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy import placing, probe, references, service
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import Bounds
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View

from tests.unit.diagnosis.objects import deployment, event, node, pod, replicaset, running, snapshot, spec

BOUNDS = Bounds(2**33)


def scene(container: Object, *more: Object) -> tuple[View, Object]:
    """A Deployment with this one container, and its pod."""
    top = deployment(template={"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}})
    below = replicaset(top)
    one = pod(running(ready=False), owner=below, specs=[container], labels={"app": "web"})
    return View(snapshot(top, below, one, *more)), top


def found(code: str, **details: Any) -> Finding:
    target = {"kind": "Deployment", "namespace": "shop", "name": "web"}
    return Finding(code, "t", "r", "s", "e", [], container="app", object=target, pods=[{"name": "web-1", "uid": "uid-pod-web-1"}], details=details)


def readiness(reason: str, port: int = 8081, path: str = "/", ports: tuple[int, ...] = (8080,)) -> Finding:
    timing = {"initialDelaySeconds": 0, "timeoutSeconds": 1, "periodSeconds": 10, "failureThreshold": 3}
    return found("ReadinessProbeFailing", probe="readiness", reason=reason, port=port, path=path, ports=list(ports), status="", timing=timing)


def probed(ports: tuple[int, ...], port: int = 8081, path: str = "/", **more: Any) -> Object:
    return spec(ports=[{"containerPort": one} for one in ports], readinessProbe={"httpGet": {"port": port, "path": path}}, **more)


@pytest.mark.parametrize(
    "ports, liveness, right, why",
    [
        ((8080,), None, 8080, ""),
        ((8080, 9090), None, None, "ports 8080, 9090"),
        ((8080, 9090), 9090, 9090, ""),
        ((), None, None, "no port"),
        ((8081, 8080), None, None, "which the container declares"),
    ],
    ids=["the only port", "two ports", "another probe knows", "no port", "declared all the same"],
)
def test_the_port_of_a_probe(ports: tuple[int, ...], liveness: int | None, right: int | None, why: str) -> None:
    more = {"livenessProbe": {"tcpSocket": {"port": liveness}}} if liveness else {}
    view, top = scene(probed(ports, **more))
    remedy, reason = probe.correct_port(view, readiness("wrong_port", ports=ports), top, BOUNDS)
    assert (remedy.changes[0]["outcome"][0]["after"] if remedy else None) == right and why in reason


def test_a_probe_that_fails_itself_proves_nothing() -> None:
    container = probed((8080,), 8080, "/nope", livenessProbe={"httpGet": {"port": 8080, "path": "/live"}})
    view, top = scene(container)
    remedy, _reason = probe.correct_path(view, readiness("wrong_path", 8080, "/nope"), top, BOUNDS)
    assert remedy and remedy.changes[0]["outcome"][0]["after"] == "/live"
    one = view.objects["pods"][0]
    view, top = scene(container, event(one, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404"))
    assert probe.correct_path(view, readiness("wrong_path", 8080, "/nope"), top, BOUNDS)[0] is None


def test_a_template_that_moved_on_is_left_alone() -> None:
    view, top = scene(probed((8080,), 9999))
    assert probe.correct_port(view, readiness("wrong_port"), top, BOUNDS)[0] is None


def facing(selector: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "uid": "uid-service-web"},
        "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": 8081}]},
    }


def test_a_selector_never_takes_in_strangers() -> None:
    one = facing({"app": "wbe"})
    view, _top = scene(spec(), one)
    finding = found("SelectorMismatch", selector_fix={"app": "web"}, workload={"kind": "Deployment", "name": "web"})
    remedy, _reason = service.correct_selector(view, finding, one, BOUNDS)
    assert remedy and remedy.replaces == 0 and remedy.changes[0]["outcome"] == [{"path": "spec.selector.app", "before": "wbe", "after": "web"}]
    view, _top = scene(spec(), one, pod(running(), name="stranger", labels={"app": "web"}))
    remedy, reason = service.correct_selector(view, finding, one, BOUNDS)
    assert remedy is None and "stranger" in reason


@pytest.mark.parametrize("fix, after", [(8080, 8080), ("http", "http"), (None, None)])
def test_the_target_port_of_a_service(fix: Any, after: Any) -> None:
    one = facing({"app": "web"})
    view, _top = scene(spec(), one)
    finding = found("TargetPortMismatch", fix=fix, port=one["spec"]["ports"][0], target=8081, serves=[8080])
    remedy, _reason = service.correct_target_port(view, finding, one, BOUNDS)
    assert (remedy.changes[0]["outcome"][0]["after"] if remedy else None) == after


def test_a_request_that_no_node_grants() -> None:
    view, top = scene(spec(resources={"requests": {"cpu": "64"}}), node(cpu="4"))
    finding = found("InsufficientCPU", resource="cpu", fits_empty=False)
    remedy, _reason = placing.lower_request(view, finding, top, BOUNDS)
    assert remedy and remedy.changes[0]["outcome"][0]["after"] == "1"
    full, reason = placing.lower_request(view, found("InsufficientCPU", resource="cpu", fits_empty=True), top, BOUNDS)
    assert full is None and "the cluster is full" in reason


@pytest.mark.parametrize(
    "labels, wanted, after",
    [
        ({"disktype": "nvme"}, {"disktype": "nmve"}, {"disktype": "nvme"}),
        ({"disktype": "ssd"}, {"disktyp": "ssd"}, {"disktype": "ssd"}),
        ({"disktype": "ssd"}, {"disktype": "nvme"}, None),
        ({"zone": "a"}, {"gpu": "true"}, None),
        ({"zone": "eu-1a"}, {"zone": "eu-1b"}, None),
        ({"pool": "pool-2"}, {"pool": "pool-3"}, None),
    ],
)
def test_a_node_selector_with_a_typo(labels: dict[str, str], wanted: dict[str, str], after: dict[str, str] | None) -> None:
    one = node()
    one["metadata"]["labels"] = labels
    view, top = scene(spec(), one)
    top["spec"]["template"]["spec"]["nodeSelector"] = dict(wanted)
    remedy, _reason = placing.correct_node_selector(view, found("NodeSelectorMismatch"), top, BOUNDS)
    if after is None:
        assert remedy is None
    else:
        changed = {line["path"].rpartition(".")[2]: line["after"] for line in remedy.changes[0]["outcome"] if line["after"]} if remedy else {}
        assert changed == after


@pytest.mark.parametrize("kind, meant, proposed", [("ConfigMap", "settings", True), ("ConfigMap", "", False), ("Secret", "settings", False)])
def test_a_reference_with_a_typo(kind: str, meant: str, proposed: bool) -> None:
    variable = {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "setings", "key": "mode"}}}
    view, top = scene(spec(env=[variable]))
    finding = found(f"{kind}Missing", kind=kind, name="setings", key="", meant=meant)
    remedy, _reason = references.correct_reference(view, finding, top, BOUNDS)
    assert bool(remedy) == proposed
    assert not remedy or remedy.changes[0]["outcome"][0]["after"] == "settings"


def test_a_secret_is_never_made_optional() -> None:
    view, top = scene(spec())
    assert references.mark_optional(view, found("SecretMissing", kind="Secret", name="db", key="", meant=""), top, BOUNDS) == (None, "")
