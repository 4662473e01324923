# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Raising a memory limit: by how much, up to which bound, and every reason why not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy import table as remedies
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import Bounds, Remedy
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.analysis import analyse
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import amount
from ansible_collections.aiops.k8s.plugins.module_utils.operation import patch

from tests.unit.diagnosis.objects import Object, controller, deployment, ended, looping, node, pod, replicaset, snapshot, spec

OOM = looping(ended(137, "OOMKilled"))
Gi = 2**30


def resources(limit: str = "64Mi", request: str = "") -> Object:
    return {"limits": {"memory": limit, "cpu": "1"}, **({"requests": {"memory": request}} if request else {})}


def workload(kind: str = "Deployment", limit: str = "64Mi", request: str = "", **metadata: Any) -> Object:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [spec("side"), spec(resources=resources(limit, request))]}}
    made = controller(kind, "web", replicas=2, template=template)
    made["metadata"].update(metadata)
    return made


def proposed(top: Object, *more: Object, limit: str = "64Mi", cap: str = "8Gi", container: str = "app") -> tuple[list[Remedy], list[str]]:
    """What is proposed for a pod of this workload that is killed for memory at this limit."""
    state = copy.deepcopy(OOM)
    state["name"] = container
    below = [replicaset(top)] if top["kind"] == "Deployment" else []
    killed = pod(state, owner=below[0] if below else top, specs=[spec(container, resources=resources(limit))])
    view, [finding], _evidence = analyse(snapshot(top, *below, killed, *more))
    return remedies.propose(view, finding, Bounds(amount(cap)))


def new_limit(found: tuple[list[Remedy], list[str]]) -> str:
    [remedy] = found[0]
    assert remedy.name == "raise_memory_limit"
    return str(remedy.changes[0]["outcome"][0]["after"])


STEPS = [
    ("64Mi", "128Mi"),
    ("1Mi", "2Mi"),
    ("1000Ki", "2Mi"),
    ("100M", "191Mi"),
    ("1023Mi", "2046Mi"),
    ("1Gi", "1536Mi"),
    ("2Gi", "3Gi"),
    ("1.5Gi", "2304Mi"),
    ("0.5Gi", "1Gi"),
    ("67108864", "128Mi"),
]


@pytest.mark.parametrize("old, new", STEPS)
def test_the_step_is_bounded(old: str, new: str) -> None:
    assert new_limit(proposed(workload(limit=old), limit=old)) == new
    assert amount(old) < amount(new) <= 2 * amount(old) + 2**20


def test_the_change_in_full() -> None:
    top = workload()
    [remedy], reasons = proposed(top)
    assert (
        remedy.summary == "raise the memory limit of container app from 64Mi to 128Mi"
        and remedy.undo == "the limit is set back to 64Mi, which starts another rolling update"
    )
    [change] = remedy.changes
    assert change["outcome"] == [{"path": "spec.template.spec.containers[app].resources.limits.memory", "before": "64Mi", "after": "128Mi"}]
    assert patch.apply(top, change["patch"])["spec"]["template"]["spec"]["containers"][1]["resources"]["limits"] == {"memory": "128Mi", "cpu": "1"}
    assert reasons == ["deployment/web has no earlier revision to return to"] and remedy.notes == []


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_kinds_with_a_template_that_can_be_changed(kind: str) -> None:
    assert new_limit(proposed(workload(kind))) == "128Mi"


@pytest.mark.parametrize("kind", ["Job", "ReplicaSet"])
def test_kinds_without(kind: str) -> None:
    found, reasons = proposed(workload(kind))
    assert found == [] and reasons == [f"the pod template of a {kind.lower()} cannot be changed; change the memory limit where it is created"]


@pytest.mark.parametrize("request_, raised", [("64Mi", True), ("65536Ki", True), ("67108864", True), ("32Mi", False), ("", False)])
def test_the_request_follows_where_it_was_equal(request_: str, raised: bool) -> None:
    [remedy], _reasons = proposed(workload(request=request_))
    outcome = {line["path"].rpartition("resources.")[2]: line["after"] for line in remedy.changes[0]["outcome"]}
    assert outcome == {"limits.memory": "128Mi", **({"requests.memory": "128Mi"} if raised else {})}
    assert bool(remedy.notes) is raised


def limitrange(most: Any, namespace: str = "shop", kind: str = "Container") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "bounds", "namespace": namespace},
        "spec": {"limits": [{"type": kind, "max": most}]},
    }


BOUNDS: list[tuple[str, list[Object], str, str]] = [
    ("none in the way", [node(memory="64Gi")], "8Gi", "128Mi"),
    ("the option", [], "100Mi", "100Mi"),
    ("a LimitRange", [limitrange({"memory": "96Mi"})], "8Gi", "96Mi"),
    ("a LimitRange in decimal units", [limitrange({"memory": "100M"})], "8Gi", "95Mi"),
    ("a LimitRange elsewhere", [limitrange({"memory": "70Mi"}, namespace="test")], "8Gi", "128Mi"),
    ("a LimitRange for pods", [limitrange({"memory": "70Mi"}, kind="Pod")], "8Gi", "128Mi"),
    ("a LimitRange for cpu", [limitrange({"cpu": "1"})], "8Gi", "128Mi"),
    ("the largest node", [node("a", memory="80Mi"), node("b", memory="112000Ki")], "8Gi", "109Mi"),
    ("the lowest of all", [node(memory="90Mi"), limitrange({"memory": "100Mi"})], "95Mi", "90Mi"),
]


@pytest.mark.parametrize("what, items, cap, new", BOUNDS, ids=[row[0] for row in BOUNDS])
def test_bounds_are_never_exceeded(what: str, items: list[Object], cap: str, new: str) -> None:
    assert new_limit(proposed(workload(), *items, cap=cap)) == new


REACHED: list[tuple[list[Object], str, str]] = [
    ([], "64Mi", "(64Mi, option memory_limit_max)"),
    ([], "32Mi", "(32Mi, option memory_limit_max)"),
    ([limitrange({"memory": "64Mi"})], "8Gi", "(64Mi, LimitRange bounds)"),
    ([node(memory="64Mi")], "8Gi", "(64Mi, the largest node)"),
    ([limitrange({"memory": "67M"})], "8Gi", "(63Mi, LimitRange bounds)"),
]


@pytest.mark.parametrize("items, cap, text", REACHED, ids=[row[2] for row in REACHED])
def test_a_bound_that_is_reached(items: list[Object], cap: str, text: str) -> None:
    found, reasons = proposed(workload(), *items, cap=cap)
    assert (
        found == []
        and reasons[0]
        == f"the memory limit of 64Mi is already at the highest allowed value {text}; look for a leak, or raise memory_limit_max deliberately"
    )


def quota(hard: str, used: str, namespace: str = "shop", key: str = "limits.memory") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": namespace},
        "status": {"hard": {key: hard}, "used": {key: used} if used else {}},
    }


@pytest.mark.parametrize(
    "item, refused",
    [
        (quota("256Mi", "128Mi"), False),
        (quota("255Mi", "128Mi"), True),
        (quota("200Mi", ""), False),
        (quota("100Mi", ""), True),
        (quota("1Mi", "1Mi", namespace="test"), False),
        (quota("1Mi", "1Mi", key="requests.memory"), False),
    ],
)
def test_quota_counts_every_replica(item: Object, refused: bool) -> None:
    found, reasons = proposed(workload(), item)
    assert bool(found) is not refused
    assert not refused or "of memory limits" in reasons[0] and "128Mi more would be needed" in reasons[0]


def test_quota_counts_the_nodes_of_a_daemonset() -> None:
    top = workload("DaemonSet")
    top["status"]["desiredNumberScheduled"] = 5
    del top["spec"]["replicas"]
    found, reasons = proposed(top, quota("400Mi", "320Mi"))
    assert found == [] and "320Mi more would be needed" in reasons[0]


def test_a_template_without_a_limit() -> None:
    top = workload()
    del top["spec"]["template"]["spec"]["containers"][1]["resources"]["limits"]["memory"]
    assert "sets no memory limit, so the limit comes from elsewhere (a LimitRange or an admission webhook)" in proposed(top)[1][0]


def test_a_template_that_was_changed_meanwhile() -> None:
    assert (
        proposed(workload(limit="256Mi"))[1][0]
        == "the template sets a memory limit of 256Mi now, the killed container ran with 64Mi: it is of another revision"
    )
    assert new_limit(proposed(workload(limit="64Mi"), limit="65536Ki")) == "128Mi", "the same amount in other words is no change"


def test_a_container_that_is_not_in_the_template() -> None:
    found, reasons = proposed(workload(), container="istio-proxy")
    assert (
        found == []
        and reasons[0] == "container istio-proxy is not in the template; change its memory limit where it is injected (an admission webhook)"
    )


def test_an_init_container() -> None:
    top = workload()
    top["spec"]["template"]["spec"]["initContainers"] = [spec("setup", resources=resources())]
    below = replicaset(top)
    state = {**copy.deepcopy(OOM), "name": "setup"}
    killed = pod(owner=below, init=[spec("setup", resources=resources())], init_statuses=[state], phase="Pending")
    view, [finding], _evidence = analyse(snapshot(top, below, killed))
    [remedy], _reasons = remedies.propose(view, finding, Bounds(8 * Gi))
    assert remedy.changes[0]["outcome"][0]["path"] == "spec.template.spec.initContainers[setup].resources.limits.memory"


MANAGED: list[tuple[str, dict[str, Any], str]] = [
    ("nobody", {}, ""),
    ("kubectl", {"labels": {"app.kubernetes.io/managed-by": "kubectl"}}, ""),
    ("Helm by label", {"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "Helm release  owns this object"),
    (
        "Helm by annotation",
        {"annotations": {"meta.helm.sh/release-name": "shop"}},
        "Helm release shop owns this object: put the same change into its values",
    ),
    ("Argo CD by label", {"labels": {"argocd.argoproj.io/instance": "shop"}}, "a GitOps controller owns this object"),
    ("Argo CD by annotation", {"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "a GitOps controller owns this object"),
    ("Flux", {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}, "a GitOps controller owns this object"),
]


@pytest.mark.parametrize("who, metadata, note", MANAGED, ids=[row[0] for row in MANAGED])
def test_whoever_owns_the_object_is_named(who: str, metadata: dict[str, Any], note: str) -> None:
    [remedy], _reasons = proposed(workload(**metadata))
    assert [one.startswith(note) for one in remedy.notes] == ([True] if note else [])


@pytest.mark.parametrize(
    "state, code, reason",
    [
        (looping(ended(137)), "KilledNotOOM", "the memory limit was not the cause"),
        (OOM, "OOMKilledNoLimit", "how much memory the container needs is not known"),
    ],
)
def test_memory_is_never_raised_for_anything_else(state: Object, code: str, reason: str) -> None:
    top = deployment()
    below = replicaset(top)
    view, [finding], _evidence = analyse(snapshot(top, below, pod(state, owner=below)))
    found, reasons = remedies.propose(view, finding, Bounds(8 * Gi))
    assert (finding.code, found) == (code, []) and reasons[0].startswith(reason)
