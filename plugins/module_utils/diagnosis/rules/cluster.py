# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The rule for the cluster's DNS: its Service in kube-system without a ready endpoint."""

from __future__ import annotations

from typing import Callable

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import distinct, is_alive, named, written
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules.services import is_cluster_dns
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, reference

Rule = Callable[[View, Object, Evidence], "Finding | None"]

_LABEL = {"k8s-app": "kube-dns"}  # that every distribution gives its DNS pods
_SERVICES = ("kube-dns", "coredns", "rke2-coredns-rke2-coredns")
_STARTING = 30.0  # seconds that new DNS pods may take


def down(view: View, service: Object, evidence: Evidence) -> Finding | None:
    """The DNS Service has no ready endpoint: no name can be resolved in any pod."""
    if not is_cluster_dns(service) or not (view.was_read("pods") and view.was_read("endpointslices")):
        return None
    selector = service["spec"].get("selector") or {}
    return _judge(view, service["metadata"]["name"], selector, service["spec"].get("clusterIP", ""), evidence) if selector else None


def down_by_slice(view: View, endpoint_slice: Object, evidence: Evidence) -> Finding | None:
    """The same, where the snapshot of one namespace holds the DNS pods and their EndpointSlices, and not the Service."""
    metadata = endpoint_slice["metadata"]
    service = (metadata.get("labels") or {}).get("kubernetes.io/service-name", "")
    if metadata["namespace"] != "kube-system" or service not in _SERVICES or view.named("services", "kube-system", service):
        return None
    slices = [one["metadata"]["name"] for one in view.slices("kube-system", service)]
    if metadata["name"] != min(slices) or not view.was_read("pods"):
        return None  # one finding for all of its slices
    return _judge(view, service, _LABEL, "", evidence)


def _judge(view: View, name: str, selector: dict[str, str], address: str, evidence: Evidence) -> Finding | None:
    if _endpoints(view, name):
        return None
    pods = [pod for pod in view.selected("kube-system", selector) if is_alive(pod)]
    if any(map(is_ready, pods)) or _is_starting(view, pods):
        return None
    workload, why = _reason(view, selector, pods)
    return Finding(
        code="DNSDown",
        severity="critical",
        object={"kind": "Service", "namespace": "kube-system", "name": name},
        pods=[{"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]} for pod in pods],
        evidence=[
            evidence.add(f"endpointslices of service/{name} in kube-system", "", "no ready endpoint"),
            evidence.add(f"pods with {written(selector)} in kube-system", "", "; ".join(map(_state, pods)) or "none"),
        ],
        details={"service": name, "workload": reference(workload) if workload else {}},
        title="the cluster's DNS has no ready endpoint",
        root_cause=(
            f"Service {name} in namespace kube-system{f' ({address})' if address else ''} has no ready endpoint, so no pod can resolve"
            f" names: {why}."
        ),
        suggested_fix=(
            f"Scale {named(workload)} in namespace kube-system up again."
            if workload and (workload["spec"].get("replicas") == 0)
            else f"Mend {named(workload) if workload else 'the DNS pods'} in namespace kube-system; its pods' events and logs say more."
        ),
        expected_outcome="The DNS Service has a ready endpoint, and names are resolved within seconds.",
    )


def _endpoints(view: View, service: str) -> bool:
    return any(
        (endpoint.get("conditions") or {}).get("ready") is not False
        for one in view.slices("kube-system", service)
        for endpoint in one.get("endpoints") or []
    )


def _is_starting(view: View, pods: list[Object]) -> bool:
    def waits(pod: Object) -> bool:
        return any(
            (one.get("state") or {}).get("waiting", {}).get("reason", "") in _BACKOFF
            for one in pod["status"].get("containerStatuses") or []
        )

    return any(view.age(pod["metadata"].get("creationTimestamp")) < _STARTING and not waits(pod) for pod in pods)


_BACKOFF = ("CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError", "InvalidImageName")


def _reason(view: View, selector: dict[str, str], pods: list[Object]) -> tuple[Object | None, str]:
    if pods:
        workload = view.workload(pods[0])
        return workload, f"the pods of {named(workload)} are not ready ({'; '.join(map(_state, pods[:3]))})"
    made = [
        one
        for name in ("deployments", "daemonsets")
        for one in view.inside(name, "kube-system")
        if _labels(one).get("k8s-app") == "kube-dns"
    ]
    if not made:
        others = [pod for pod in view.selected("kube-system", _LABEL) if is_alive(pod)]
        made = distinct(view.workload(pod) for pod in others)
    if not made:
        return None, f"no pod has the labels {written(selector)}"
    workload = made[0]
    if workload["spec"].get("replicas") == 0:
        return workload, f"{named(workload)} is scaled to 0 replicas"
    if not selector.items() <= _labels(workload).items():
        return workload, f"it selects {written(selector)}, and the pods of {named(workload)} have {written(_labels(workload))}"
    return workload, f"{named(workload)} has no pods"


def _labels(workload: Object) -> dict[str, str]:
    labels: dict[str, str] = ((workload["spec"].get("template") or {}).get("metadata") or workload["metadata"]).get("labels") or {}
    return labels


def _state(pod: Object) -> str:
    reasons = [
        str(((one.get("state") or {}).get("waiting") or {}).get("reason") or ("not ready" if not one.get("ready") else "ready"))
        for one in (pod.get("status") or {}).get("containerStatuses") or []
    ]
    return f"{pod['metadata']['name']}: {', '.join(reasons) or (pod.get('status') or {}).get('phase', 'unknown')}"


OBJECT_RULES: dict[str, tuple[Rule, ...]] = {"services": (down,), "endpointslices": (down_by_slice,)}
