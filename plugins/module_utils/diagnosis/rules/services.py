# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for Services, and the table of all rules for what leads traffic to pods.

A Service whose pods exist and are not ready is no finding: the pods say why.
"""

from __future__ import annotations

import re

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import containers_of, is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import ports
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.rules import autoscaling, ingresses
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import (
    Template,
    backing,
    corrected,
    is_alive,
    is_off,
    is_variant,
    named,
    pod_labels,
    templates,
    written,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding, ObjectRule as Rule
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, reference

_NEW = 20.0  # seconds in which the workload of a new Service may still come
_MANY = 2000  # pods
_LISTS = ("deployments", "statefulsets", "daemonsets")


def is_cluster_dns(service: Object) -> bool:
    """The Service of the cluster's DNS has a rule of its own."""
    metadata = service["metadata"]
    labels = metadata.get("labels") or {}
    return metadata.get("namespace") == "kube-system" and (metadata["name"] == "kube-dns" or labels.get("k8s-app") == "kube-dns")


def selects_nothing(view: View, service: Object, evidence: Evidence) -> Finding | None:
    """A Service without pods: the workload it evidently means and misses, or nothing that resembles one."""
    if is_cluster_dns(service) or not view.was_read("pods") or "deletionTimestamp" in service["metadata"]:
        return None
    found = backing(view, service)
    if found.state == "mismatch" and found.meant is not None:
        return _mismatch(view, service, found.meant, evidence)
    if found.state == "manual":
        return _without_selector(view, service, evidence)
    if found.state == "none":
        return _without_backend(view, service, evidence)
    return None


def _mismatch(view: View, service: Object, meant: Template, evidence: Evidence) -> Finding:
    metadata, wanted, workload = service["metadata"], service["spec"]["selector"], meant.workload
    fix = corrected(wanted, meant)
    if any(one.workload is not workload and fix.items() <= one.labels.items() for one in templates(view, metadata["namespace"])):
        fix = dict((workload["spec"].get("selector") or {}).get("matchLabels") or meant.labels)  # it would take in others too
    off = ", ".join(
        f"{key}={value} ({f'they have {key}={meant.labels[key]}' if key in meant.labels else f'they have no label {key}'})"
        for key, value in sorted(wanted.items())
        if meant.labels.get(key) != value
    )
    earlier = _earlier(view, workload, wanted)
    before = f" Its pods carried these labels until revision {earlier}." if earlier else ""
    ids = [
        evidence.add(f"service/{metadata['name']} spec.selector", metadata.get("creationTimestamp") or "", written(wanted)),
        evidence.add(f"{named(workload)} labels of its pods", "", written(meant.labels)),
    ]
    return Finding(
        code="SelectorMismatch",
        severity="critical",
        object=reference(service),
        evidence=ids,
        details={
            "service": metadata["name"],
            "wanted": dict(wanted),
            "workload": reference(workload),
            "labels": dict(meant.labels),
            "selector_fix": fix,
            "earlier_revision": earlier,
        },
        title=f"Service {metadata['name']} selects no pod: its selector does not match the pods of {named(workload)}",
        root_cause=(
            f"Service {metadata['name']} selects {written(wanted)}, and no pod has these labels. The pods of {named(workload)}, which it"
            f" evidently means, have {written(meant.labels)}: the selector asks for {off or 'nothing'}, so the Service has no"
            f" endpoints.{before}"
        ),
        suggested_fix=f"Set the selector of Service {metadata['name']} to {written(fix)}"
        + (f", or give the pod template of {named(workload)} the labels {written(wanted)} again." if earlier else "."),
        expected_outcome=f"Service {metadata['name']} gets the pods of {named(workload)} as endpoints within seconds.",
    )


def _without_selector(view: View, service: Object, evidence: Evidence) -> Finding | None:
    """A Service without a selector and without endpoints of its own, named like a workload."""
    metadata, namespace = service["metadata"], service["metadata"]["namespace"]
    if not view.was_read("endpointslices") or (service["spec"].get("clusterIP") == "None" and not service["spec"].get("ports")):
        return None
    if any(one.get("endpoints") for one in view.slices(namespace, metadata["name"])) or metadata.get("ownerReferences"):
        return None
    workload = next(filter(None, (view.named(name, namespace, metadata["name"]) for name in _LISTS)), None)
    if workload is None or is_off(workload) or view.age(metadata.get("creationTimestamp")) < _NEW:
        return None
    labels = ((workload["spec"].get("selector") or {}).get("matchLabels")) or dict(pod_labels(workload))
    return Finding(
        code="SelectorMismatch",
        object=reference(service),
        evidence=[
            evidence.add(
                f"service/{metadata['name']} spec.selector", metadata.get("creationTimestamp") or "", "none, and no EndpointSlice"
            ),
            evidence.add(f"{named(workload)} labels of its pods", "", written(pod_labels(workload))),
        ],
        details={
            "service": metadata["name"],
            "wanted": {},
            "workload": reference(workload),
            "labels": dict(pod_labels(workload)),
            "selector_fix": dict(labels),
            "earlier_revision": "",
        },
        title=f"Service {metadata['name']} has no selector, so it has no endpoints",
        root_cause=(
            f"Service {metadata['name']} has no selector and nobody gives it endpoints. The pods of {named(workload)}, which has the same"
            f" name, have {written(pod_labels(workload))}."
        ),
        suggested_fix=f"Set the selector of Service {metadata['name']} to {written(labels)}, if it is meant for {named(workload)}.",
        expected_outcome=f"Service {metadata['name']} gets the pods of {named(workload)} as endpoints within seconds.",
    )


def _without_backend(view: View, service: Object, evidence: Evidence) -> Finding | None:
    metadata, selector = service["metadata"], service["spec"]["selector"]
    if metadata.get("ownerReferences") or view.age(metadata.get("creationTimestamp")) < _NEW:
        return None  # an operator's Service has pods when the operator wants it to
    if any(item["kind"] == "Job" for item in view.inside("jobs", metadata["namespace"]) if selector.items() <= pod_labels(item).items()):
        return None
    users = mentions(view, service)
    if not users and is_variant(view, service):
        return None  # a canary, or the other colour, that is not deployed now
    elsewhere = sorted(
        {pod["metadata"]["namespace"] for pod in _around(view, metadata["namespace"]) if is_alive(pod) and _carries(pod, selector)}
    )
    where = f" Pods with these labels run in namespace {', '.join(elsewhere[:3])}." if elsewhere else ""
    who = ", ".join(users[:3])
    return Finding(
        code="ServiceWithoutBackend",
        severity="critical" if users else "warning",
        object=reference(service),
        evidence=[
            evidence.add(
                f"service/{metadata['name']} spec.selector",
                metadata.get("creationTimestamp") or "",
                f"{written(selector)}; no pod and no workload of the namespace has these labels",
            )
        ],
        details={"service": metadata["name"], "wanted": dict(selector), "users": users},
        title=f"Service {metadata['name']} has no pods behind it",
        root_cause=(
            f"Service {metadata['name']} selects {written(selector)}, and no workload in namespace {metadata['namespace']} makes pods with"
            f" these labels, so nobody answers.{where}"
            + (f" It is used by {who}." if users else "")
        ),
        suggested_fix=(
            f"Deploy the workload with the labels {written(selector)}, correct the selector, or delete Service {metadata['name']}."
        ),
        expected_outcome=f"Service {metadata['name']} has endpoints, or is gone.",
    )


def wrong_port(view: View, service: Object, evidence: Evidence) -> Finding | None:
    """A Service whose ready pods do not serve its target port."""
    spec, metadata = service["spec"], service["metadata"]
    if spec.get("type") == "ExternalName" or not spec.get("selector") or spec.get("clusterIP") == "None":
        return None  # a headless Service translates no ports
    pods = [pod for pod in view.selected(metadata["namespace"], spec["selector"]) if is_alive(pod) and is_ready(pod)]
    for port in (spec.get("ports") or []) if pods else []:
        missed = ports.missed(view, port, pods)
        if missed is not None:
            return _wrong_port(view, service, port, missed, pods, evidence)
    for port in (spec.get("ports") or []) if pods else []:
        part = ports.part_missed(view, port, pods)
        if part is not None:
            return _strangers(view, service, port, part, pods, evidence)
    return None


def _strangers(
    view: View, service: Object, port: Object, part: tuple[Object, ports.Missed], pods: list[Object], evidence: Evidence
) -> Finding:
    """The selector takes in the pods of another application as well, which serve another port."""
    metadata, stranger, missed = service["metadata"], view.workload(part[0]), part[1]
    meant = next(pod for pod in pods if view.workload(pod) is not stranger)
    finding = _wrong_port(view, service, port, missed._replace(fix=None), [part[0]], evidence)
    theirs = part[0]["metadata"].get("labels") or {}
    own = {key: value for key, value in pod_labels(view.workload(meant)).items() if theirs.get(key) != value}
    selector = service["spec"]["selector"]
    finding.severity = "warning"
    finding.title = f"Service {metadata['name']} takes in the pods of {named(stranger)}, which do not serve its port"
    finding.root_cause = (
        f"Service {metadata['name']} selects {written(selector)}, which the pods of {named(stranger)} carry as well as those of"
        f" {named(view.workload(meant))}, and they do not serve target port {ports.target(port)}: {missed.why}. So part of the connections"
        f" to port {port['port']} fail."
    )
    finding.suggested_fix = (
        f"Narrow the selector of Service {metadata['name']} to {written({**selector, **own})}, so that it leaves out {named(stranger)}."
        if own
        else f"Give {named(stranger)} other labels than {written(selector)}."
    )
    return finding


def _wrong_port(view: View, service: Object, port: Object, missed: ports.Missed, pods: list[Object], evidence: Evidence) -> Finding:
    metadata, target, workload = service["metadata"], ports.target(port), view.workload(pods[0])
    aside = any(map(ports.is_aside, (metadata["name"], port.get("name") or ""))) and missed.why.startswith(f"{missed.serves[:1]}"[1:-1])
    if aside:
        missed = missed._replace(fix=None)  # what metrics are asked for is not what the application's own port gives
    fix = f"targetPort {missed.fix}" if missed.fix else f"the one of {', '.join(map(str, missed.serves)) or 'its ports'} that is meant"
    label = f"{port['name']}: " if port.get("name") else ""
    written_port = f"{label}port {port['port']}, targetPort {port.get('targetPort', 'not set')}"
    return Finding(
        code="TargetPortMismatch",
        severity="warning" if len(service["spec"]["ports"]) > 1 else "critical",
        object=reference(service),
        evidence=[
            evidence.add(f"service/{metadata['name']} spec.ports", metadata.get("creationTimestamp") or "", written_port),
            evidence.add(f"pod/{pods[0]['metadata']['name']} spec.containers", "", missed.why),
        ],
        details={
            "service": metadata["name"],
            "port": dict(port),
            "target": target,
            "serves": missed.serves,
            "fix": missed.fix,
            "workload": reference(workload),
        },
        title=f"Service {metadata['name']} sends traffic to port {target}, which the pods of {named(workload)} do not serve",
        root_cause=(
            f"Service {metadata['name']} sends port {port['port']} to target port {target}, and the pods of {named(workload)} do not serve"
            f" it: {missed.why}."
        ),
        suggested_fix=(
            f"Have the application serve {target}, or set the targetPort of port {port['port']} of Service {metadata['name']} to"
            f" {missed.serves[0]}, if that is what it is for."
            if aside
            else (
                f"Declare the port {target} for {port.get('protocol', 'TCP')} in {named(workload)}, or correct the protocol of the"
                " Service's port."
                if "is declared for" in missed.why
                else (
                    f"Set the targetPort of port {port['port']} of Service {metadata['name']} to"
                    f" {missed.fix if missed.fix else fix}; change the application only if it is meant to serve {target}."
                )
            )
        ),
        expected_outcome=f"Connections to Service {metadata['name']} port {port['port']} are answered.",
    )


def mentions(view: View, service: Object) -> list[str]:
    """The workloads whose environment, commands or logs name a Service as a host."""
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    host = re.escape(name)
    as_host = re.compile(
        rf"(?:(?<![\w.-]){host}(?::\d|\.{re.escape(namespace)}\b|\.svc\b)|(?://|@){host}(?![\w-])|\b(?:nc|wget|curl)\b[^;|&]*\s{host}\s)"
    )
    found = []
    for pod in _around(view, namespace):
        if not is_alive(pod):
            continue
        texts = []
        inside = pod["metadata"]["namespace"] == namespace
        for container in containers_of(pod["spec"]):
            values = [str(one.get("value") or "") for one in container.get("env") or []]
            if inside and name in values:
                texts.append(f"{name}.{namespace}")
            log = view.logs(pod, container["name"])
            texts += [*values, *(container.get("command") or []), *(container.get("args") or []), *log.values()]
        if any(as_host.search(text) for text in texts if text and (inside or f"{name}.{namespace}" in text)):
            found.append(named(view.workload(pod)))
    return sorted(set(found))


def _around(view: View, namespace: str) -> list[Object]:
    """The pods that may tell of a Service: all of them, or those of its namespace where there are very many."""
    return view.objects["pods"] if len(view.objects["pods"]) <= _MANY else view.inside("pods", namespace)


def _earlier(view: View, workload: Object, wanted: dict[str, str]) -> str:
    """The newest revision of a Deployment whose pods had the labels."""
    revisions = [
        int((one["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", 0))
        for one in view.inside("replicasets", workload["metadata"].get("namespace", ""))
        if view.owner(one) is workload and wanted.items() <= pod_labels(one).items()
    ]
    return str(max(revisions)) if revisions else ""


def _carries(pod: Object, selector: dict[str, str]) -> bool:
    return bool(selector.items() <= (pod["metadata"].get("labels") or {}).items())


OBJECT_RULES: dict[str, tuple[Rule, ...]] = {
    "services": (selects_nothing, wrong_port),
    "ingresses": ingresses.RULES,
    "horizontalpodautoscalers": autoscaling.RULES,
}
