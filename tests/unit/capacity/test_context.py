# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What stands against an autoscaler on a workload: each case with what it has to be called, how grave it is, and what the sentence has to name."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.context import context, pods_of, targets
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import owner_of, plain, tool_of

from tests.unit.capacity.scaled import REPLICAS_FIELD, SERVED, TARGET, container, hpa, merged, named, objects, pod, replicaset, workload, written_by

Object = dict[str, Any]


def claim(mode: str) -> Object:
    return named("data", {"accessModes": [mode]})


VOLUME = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
SCALED = named("web-load", {"scaleTargetRef": {"name": "web"}, "maxReplicaCount": 10})
BUDGET = named("web", {"selector": {"matchLabels": {"app": "web"}}}, status={"disruptionsAllowed": 0})
NOT_READY = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
QUOTA = {"status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: compute"}]}}
BLIND: Object = {
    "status": {"conditions": [{"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics"}]}
}
OPERATOR = {"metadata": {"ownerReferences": [{"apiVersion": "shop.io/v1", "kind": "Shop", "name": "main", "uid": "s", "controller": True}]}}


def vpa(**policy: Any) -> Object:
    return named("web-vpa", {"targetRef": TARGET, "resourcePolicy": {"containerPolicies": [policy]}})


# (code, severity, words, workload, objects)
CASES: list[tuple[str, str, str, Object, dict[str, list[Object]]]] = [
    ("kind", "refuse", "one pod on each of its nodes", workload("DaemonSet"), objects()),
    ("kind", "refuse", "runs to an end", workload("Job"), objects()),
    ("kind", "refuse", "Name deployment/web", workload("ReplicaSet", more=merged(replicaset(), {"metadata": {"uid": "rs"}})), objects()),
    ("kind", "refuse", "Name deployment/web", merged(pod(1), {"kind": "Pod"}), objects()),
    ("kind", "refuse", "Make a Deployment of it", merged(pod(1), {"kind": "Pod", "metadata": {"ownerReferences": []}}), objects()),
    (
        "kind",
        "refuse",
        "rollout/web",
        workload("ReplicaSet", more={"metadata": {"ownerReferences": [{"kind": "Rollout", "name": "web", "uid": "r", "controller": True}]}}),
        objects(),
    ),
    ("kind", "refuse", "not scaled here", workload("Widget"), objects()),
    ("owned", "owner", "Shop main (shop.io/v1)", workload(more=OPERATOR), objects()),
    ("deleted", "refuse", "being deleted", workload(more={"metadata": {"deletionTimestamp": "2026-11-21T12:00:00Z"}}), objects()),
    ("zero", "refuse", "zero replicas", workload(replicas=0), objects()),
    ("paused", "refuse", "kubectl rollout resume deployment/web", workload(more={"spec": {"paused": True}}), objects()),
    ("rollout", "refuse", "1 of 3 pods are of the new revision", workload(more={"status": {"replicas": 3, "updatedReplicas": 1}}), objects()),
    ("rollout", "refuse", "under way", workload(more={"metadata": {"generation": 2}}), objects()),
    (
        "rollout",
        "warn",
        "partition 1",
        workload(
            "StatefulSet",
            more={
                "spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}},
                "status": {"updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"},
            },
        ),
        objects(),
    ),
    ("not_created", "refuse", "exceeded quota: compute", workload(replicas=5, more={**QUOTA}), objects()),
    ("not_ready", "warn", "1 of 2 pods", workload(), objects(pod(1), merged(pod(2), NOT_READY))),
    ("not_ready", "refuse", "0 of 2 pods", workload(), objects(merged(pod(1), NOT_READY))),
    (
        "single_volume",
        "refuse",
        "volumeClaimTemplates",
        workload(replicas=1, spec=VOLUME),
        objects(pod(1), persistentvolumeclaims=[claim("ReadWriteOnce")]),
    ),
    ("single_volume", "refuse", "claim data", workload(replicas=2, spec=VOLUME), objects(persistentvolumeclaims=[claim("ReadWriteOncePod")])),
    ("shared_volume", "warn", "on that node only", workload(spec=VOLUME), objects(persistentvolumeclaims=[claim("ReadWriteOnce")])),
    ("unknown_volume", "warn", "was not read", workload(spec=VOLUME), objects()),
    ("statefulset", "warn", "one after another", workload("StatefulSet"), objects()),
    (
        "statefulset",
        "warn",
        "stay and are paid for",
        workload("StatefulSet", more={"spec": {"volumeClaimTemplates": [{}], "podManagementPolicy": "Parallel"}}),
        objects(),
    ),
    ("singleton", "warn", "elects a leader", workload(spec={"containers": [container(args=["--leader-elect=true"])]}), objects()),
    ("recreate", "warn", "Recreate", workload(more={"spec": {"strategy": {"type": "Recreate"}}}), objects()),
    ("budget", "warn", "PodDisruptionBudget web", workload(), objects(poddisruptionbudgets=[BUDGET])),
    ("ambiguous", "refuse", "a, b", workload(), objects(horizontalpodautoscalers=[hpa("b"), hpa("a")])),
    ("keda", "refuse", "spec.maxReplicaCount", workload(), objects(scaledobjects=[SCALED])),
    (
        "keda",
        "refuse",
        "ScaledObject web-load",
        workload(),
        objects(
            horizontalpodautoscalers=[
                hpa(metadata={"ownerReferences": [{"kind": "ScaledObject", "name": "web-load", "uid": "s", "controller": True}]})
            ]
        ),
    ),
    (
        "unread",
        "refuse",
        "list horizontalpodautoscalers",
        workload(),
        {key: value for key, value in objects().items() if key != "horizontalpodautoscalers"},
    ),
    ("hpa_blind", "refuse", "FailedGetResourceMetric", workload(), objects(horizontalpodautoscalers=[hpa(**BLIND)])),
    ("hpa_deleted", "refuse", "web is being deleted", workload(), objects(horizontalpodautoscalers=[hpa(metadata={"deletionTimestamp": "x"})])),
    ("vpa", "warn", "changes requests of cpu and memory", workload(), objects(verticalpodautoscalers=[vpa()])),
    ("vpa", "warn", "only recommends", workload(), objects(verticalpodautoscalers=[vpa(mode="Off")])),
    ("sidecars", "warn", "istio-proxy", workload(spec={"containers": [container(), container("istio-proxy")]}), objects()),
    ("replicas_unknown", "warn", "managed fields were not read", workload(more={"metadata": {"managedFields": [{"manager": "helm"}]}}), objects()),
    ("replicas_conflict", "warn", "The Helm release", workload(more=written_by("helm")), objects()),
    ("replicas_conflict", "warn", "--force-conflicts", workload(more=written_by("helm", "Apply")), objects()),
    ("replicas_conflict", "warn", "edit-last-applied", workload(more=written_by("kubectl-client-side-apply")), objects()),
    ("replicas_conflict", "warn", "would end with a conflict", workload(more=written_by("kubectl", "Apply")), objects()),
    ("replicas_conflict", "warn", "ignore_changes", workload(more=written_by("HashiCorp")), objects()),
    ("replicas_conflict", "warn", "field manager shopctl", workload(more=written_by("shopctl")), objects()),
    ("replicas_conflict", "owner", "ignoreDifferences", workload(more=written_by("argocd-controller", "Apply")), objects()),
    ("replicas_conflict", "owner", "manifest in Git", workload(more=written_by("kustomize-controller", "Apply")), objects()),
    ("replicas_conflict", "owner", "driftDetection", workload(more=written_by("helm-controller")), objects()),
    (
        "replicas_conflict",
        "warn",
        "The Helm release shop-1, field manager helm,",
        workload(more=merged(written_by("helm"), {"metadata": {"annotations": {"meta.helm.sh/release-name": "shop-1"}}})),
        objects(),
    ),
]


@pytest.mark.parametrize(("code", "severity", "words", "live", "lists"), CASES, ids=[f"{case[0]}-{case[2][:24]}" for case in CASES])
def test_a_hindrance_is_named(code: str, severity: str, words: str, live: Object, lists: dict[str, list[Object]]) -> None:
    found = [one for one in context(live, lists, SERVED)["findings"] if one["code"] == code]
    assert [one["severity"] for one in found] == [severity]
    assert words in f"{found[0]['sentence']} {found[0]['fix']}"
    assert severity == "warn" or found[0]["fix"]


def test_who_scales_hides_whose_manifest_it_is() -> None:
    """As seen with Helm 3: after kubectl scale it owns the field no more, and its next upgrade sets it all the same."""
    release = {"metadata": {"annotations": {"meta.helm.sh/release-name": "shop-1"}}}
    scaled = written_by("kubectl", subresource="scale")
    (found,) = context(workload(more=merged(scaled, release)), objects(), SERVED)["findings"]
    assert (found["code"], found["severity"]) == ("replicas_hidden", "warn")
    assert "the Helm release shop-1, and somebody with kubectl set spec.replicas last" in found["sentence"] and "autoscaling.enabled" in found["fix"]
    assert context(workload(more=release), objects(), SERVED)["findings"] == []  # nobody sets the field


# (why nothing is said, workload, objects)
NOTHING: dict[str, tuple[Object, dict[str, list[Object]]]] = {
    "a plain Deployment": (workload(), objects()),
    "scaled by kubectl": (workload(more=written_by("kubectl-scale", subresource="scale")), objects()),
    "scaled by the autoscaler": (workload(more=written_by("kube-controller-manager", subresource="scale")), objects()),
    "a claim that many may write": (workload(spec=VOLUME), objects(persistentvolumeclaims=[claim("ReadWriteMany")])),
    "a budget of others": (workload(), objects(poddisruptionbudgets=[merged(BUDGET, {"spec": {"selector": {"matchLabels": {"app": "db"}}}})])),
    "an autoscaler of another workload": (
        workload(),
        objects(horizontalpodautoscalers=[hpa("x", spec={"scaleTargetRef": {**TARGET, "name": "db"}})]),
    ),
    "an autoscaler of another kind": (
        workload(),
        objects(horizontalpodautoscalers=[hpa("x", spec={"scaleTargetRef": {**TARGET, "kind": "StatefulSet"}})]),
    ),
    "an autoscaler in another namespace": (workload(), objects(horizontalpodautoscalers=[hpa("x", metadata={"namespace": "other"})])),
    "leader election that is off": (workload(spec={"containers": [container(args=["--leader-elect=false"])]}), objects()),
    "a scale-up under way": (workload(replicas=2, more={"status": {"replicas": 1, "updatedReplicas": 1}}), objects()),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_is_no_hindrance_is_not_named(name: str) -> None:
    assert context(*NOTHING[name], SERVED)["findings"] == []


def test_metrics_are_needed_and_unknown_is_not_missing() -> None:
    assert [one["code"] for one in context(workload(), objects(), {"apps"})["findings"]] == ["metrics"]
    assert context(workload(), objects(), None)["metrics_apis"] is None and context(workload(), objects(), None)["findings"] == []


def test_lists_that_are_served_and_were_not_read_are_named() -> None:
    (found,) = context(workload(), objects(), {*SERVED, "keda.sh", "autoscaling.k8s.io"})["findings"]
    assert found["code"] == "unread" and "scaledobjects, verticalpodautoscalers" in found["sentence"]


def test_requests_are_those_of_the_pods_or_what_a_limit_range_supplies() -> None:
    bare = workload(spec={"containers": [{"name": "app"}]})
    assert context(bare, objects(), SERVED)["missing_requests"] == {"cpu": [], "memory": []}  # the pods have them
    alone = {**objects(), "pods": []}
    assert context(bare, alone, SERVED)["missing_requests"] == {"cpu": ["app"], "memory": ["app"]}
    supplied = named("r", {"limits": [{"type": "Container", "defaultRequest": {"cpu": "50m"}}]})
    assert context(bare, {**alone, "limitranges": [supplied]}, SERVED)["missing_requests"] == {"cpu": [], "memory": ["app"]}
    limit_only = workload(spec={"containers": [{"name": "app", "resources": {"limits": {"cpu": "1"}}}]})
    assert context(limit_only, alone, SERVED)["requests"]["cpu"] == 1.0
    whole = workload(spec={"resources": {"requests": {"cpu": "2"}}, "containers": [{"name": "app"}]})
    assert context(whole, alone, SERVED)["requests"]["cpu"] == 2.0 and context(whole, alone, SERVED)["missing_requests"]["cpu"] == []
    beside = workload(spec={"initContainers": [container("log", restartPolicy="Always"), container("once")]})
    assert context(beside, alone, SERVED)["requests"]["cpu"] == 0.2


def test_an_autoscaler_is_matched_by_group_and_not_by_version() -> None:
    assert targets(hpa(spec={"scaleTargetRef": {**TARGET, "apiVersion": "apps/v1beta9"}}), workload())
    assert not targets(hpa(spec={"scaleTargetRef": {**TARGET, "apiVersion": "extensions/v1"}}), workload())
    assert not targets({}, workload())


def test_pods_are_those_that_it_controls() -> None:
    gone, done = pod(3, metadata={"deletionTimestamp": "x"}), merged(pod(4), {"status": {"phase": "Failed"}})
    other = pod(5, metadata={"ownerReferences": [{"uid": "else", "controller": True}]})
    assert [one["metadata"]["name"] for one in pods_of(workload(), objects(pod(2), pod(1), gone, done, other))] == ["web-1", "web-2"]
    assert pods_of({"metadata": {}}, objects()) == []


MARKS: list[tuple[Object, str | None, str]] = [
    ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}}, "argocd", "the Argo CD application shop"),
    ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "flux", "Kustomization apps"),
    ({"labels": {"helm.toolkit.fluxcd.io/name": "web"}, "annotations": {"meta.helm.sh/release-name": "web"}}, "flux-helm", "HelmRelease web"),
    ({"annotations": {"meta.helm.sh/release-name": "web"}}, "helm", "Helm release web"),
    ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "helm", "Helm release"),
    ({"labels": {"scaledobject.keda.sh/name": "web"}}, "keda", "KEDA web"),
    ({"annotations": {"aiops.k8s/record": "0007"}}, "ours", "record 0007"),
    ({"managedFields": [{"manager": "argocd-controller", "operation": "Update"}]}, "argocd", "Argo CD"),
    ({"managedFields": [{"manager": "kubectl-client-side-apply", "operation": "Update"}]}, "kubectl-apply", "kubectl apply"),
    ({"managedFields": [{"manager": "kubectl-autoscale", "operation": "Update"}]}, None, ""),
    ({"managedFields": [{"manager": "helm", "operation": "Update", "subresource": "status"}]}, None, ""),
    ({}, None, ""),
]


@pytest.mark.parametrize(("metadata", "tool", "who"), MARKS)
def test_whose_an_object_is(metadata: Object, tool: str | None, who: str) -> None:
    found = owner_of({"metadata": metadata})
    assert (found or {}).get("tool") == tool and who in (found or {"who": ""})["who"]


def test_names_from_annotations_cannot_write_to_the_screen() -> None:
    evil = "web\x1b[2J\napprove 12345678\u202e" + "x" * 500
    live = workload(more=merged(written_by("helm\x1b[31m"), {"metadata": {"annotations": {"meta.helm.sh/release-name": evil}}}))
    tampered = merged(hpa(metadata={"annotations": {"meta.helm.sh/release-name": evil}}), BLIND)
    tampered["status"]["conditions"][0]["message"] = evil
    facts = context(live, objects(horizontalpodautoscalers=[tampered]), SERVED)
    said = [one["sentence"] + one["fix"] for one in facts["findings"]] + [facts["hpa_owner"]["who"]]
    assert said and all(text.isprintable() and len(text) < 800 for text in said)
    assert plain("a\x00b\nc", 3) == "a b..." and plain("x" * 90).endswith("...")


def test_odd_objects_do_not_stop_it() -> None:
    assert context({}, {}, None)["findings"]
    odd = workload(more={"spec": {"template": {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "a lot"}}}]}}}})
    assert context(odd, {**objects(), "pods": []}, SERVED)["requests"]["cpu"] is None
    assert tool_of("") == "unknown" and owner_of({}) is None


def test_the_fields_of_the_newest_writer_come_first() -> None:
    older = {"manager": "helm", "operation": "Update", "time": "2026-11-20T00:00:00Z", "fieldsV1": REPLICAS_FIELD}
    newer = {"manager": "argocd-controller", "operation": "Apply", "time": "2026-11-21T00:00:00Z", "fieldsV1": REPLICAS_FIELD}
    facts = context(workload(more={"metadata": {"managedFields": [older, newer]}}), objects(), SERVED)
    assert [one["tool"] for one in facts["replicas_writers"]] == ["argocd", "helm"]
