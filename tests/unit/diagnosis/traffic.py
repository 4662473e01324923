# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Builders for what leads traffic to pods, for jobs, and for findings of other rules. Every list of the snapshot counts as read."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, View

from tests.unit.diagnosis import objects as make

Object = dict[str, Any]


def seen(*items: Object, logs: dict[str, Any] | None = None, unread: tuple[str, ...] = ()) -> View:
    taken = make.snapshot(*items, logs=logs)
    taken["coverage"]["read"] = [name for name in taken["objects"] if name not in unread]
    return View(taken)


def judge(rules: dict[str, Any], view: View) -> list[Finding]:
    """What a table of object rules finds, the first rule of each row winning."""
    evidence = Evidence()
    found = []
    for name, table in rules.items():
        for item in view.objects.get(name, []):
            finding = next((one for rule in table if (one := rule(view, item, evidence))), None)
            if finding:
                finding.object = finding.object or {
                    "kind": item["kind"],
                    "namespace": item["metadata"]["namespace"],
                    "name": item["metadata"]["name"],
                }
                found.append(finding)
    return found


def service(name: str = "web", selector: dict[str, str] | None = None, ports: Any = ((80, 8080),), seconds: float = 3600, **spec: Any) -> Object:
    """ports: (port, targetPort or None, name) each; ``selector`` {} for none."""
    namespace = spec.pop("namespace", "shop")
    listed = [
        {"port": one[0], "protocol": "TCP", **({"targetPort": one[1]} if one[1] is not None else {}), **({"name": one[2]} if len(one) > 2 else {})}
        for one in ports
    ]
    chosen = {"app": name} if selector is None else selector
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": make.meta("Service", name, creationTimestamp=make.ago(seconds), namespace=namespace),
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.77", "ports": listed, **({"selector": chosen} if chosen else {}), **spec},
    }


def app(
    name: str = "web",
    labels: dict[str, str] | None = None,
    replicas: int = 1,
    ready: bool = True,
    kind: str = "Deployment",
    specs: list[Object] | None = None,
    **spec: Any,
) -> list[Object]:
    """A workload with its ReplicaSet and its pods."""
    labels = {"app": name} if labels is None else labels
    specs = specs or [make.spec(ports=[{"containerPort": 8080, "name": "http"}])]
    template = {"metadata": {"labels": labels}, "spec": {"containers": specs}}
    top = make.controller(kind, name, replicas=replicas, template=template)
    top["metadata"]["creationTimestamp"] = make.ago(600)
    top["spec"].update(spec)
    made = [top]
    if kind == "Deployment":
        middle = make.controller("ReplicaSet", f"{name}-1", top, replicas=replicas, template=template)
        middle["metadata"] |= {"annotations": {"deployment.kubernetes.io/revision": "1"}, "creationTimestamp": make.ago(600)}
        made.append(middle)
    owner = made[-1]
    for number in range(replicas):
        one = make.pod(make.running(ready=ready), name=f"{name}-{number}", owner=owner, specs=specs, labels=labels)
        one["status"]["podIP"] = f"10.244.0.{20 + number}"
        made.append(one)
    return made


def endpoints(name: str, ready: int = 1, namespace: str = "shop") -> Object:
    addresses = [{"addresses": [f"10.244.0.{20 + number}"], "conditions": {"ready": True}} for number in range(ready)]
    return {
        "kind": "EndpointSlice",
        "metadata": make.meta("EndpointSlice", f"{name}-x", labels={"kubernetes.io/service-name": name}, namespace=namespace),
        "endpoints": addresses or None,
    }


def ingress(service_name: str = "web", port: Any = 80, name: str = "shop", **spec: Any) -> Object:
    wanted = {"number": port} if isinstance(port, int) else {"name": port}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service_name, "port": wanted}}}
    return {"kind": "Ingress", "metadata": make.meta("Ingress", name), "spec": {"rules": [{"host": "shop.test", "http": {"paths": [path]}}], **spec}}


def ingress_class(name: str = "nginx") -> Object:
    return {"kind": "IngressClass", "metadata": {"name": name, "uid": name}, "spec": {}}


def autoscaler(target: str = "web", seconds: float = 600, kind: str = "Deployment", **conditions: tuple[str, str, str]) -> Object:
    """conditions: AbleToScale=("False", reason, message)."""
    listed = [
        {"type": key, "status": status, "reason": reason, "message": message, "lastTransitionTime": make.ago(60)}
        for key, (status, reason, message) in conditions.items()
    ]
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": make.meta("HorizontalPodAutoscaler", "web", creationTimestamp=make.ago(seconds)),
        "spec": {"scaleTargetRef": {"kind": kind, "name": target}, "minReplicas": 1, "maxReplicas": 5},
        "status": {"conditions": listed},
    }


def policy(name: str = "deny", selector: Object | None = None, types: tuple[str, ...] = ("Egress",), **rules: list[Object]) -> Object:
    return {
        "kind": "NetworkPolicy",
        "metadata": make.meta("NetworkPolicy", name),
        "spec": {"podSelector": selector or {}, "policyTypes": list(types), **rules},
    }


def namespace(name: str, **labels: str) -> Object:
    return {"kind": "Namespace", "metadata": {"name": name, "uid": name, "labels": {"kubernetes.io/metadata.name": name, **labels}}}


def job(
    name: str = "migrate", owner: Object | None = None, seconds: float = 300, failed: str = "", message: str = "", complete: bool = False, **spec: Any
) -> Object:
    """failed: the reason of the condition Failed."""
    made = make.controller("Job", name, owner, replicas=None)
    made["metadata"]["creationTimestamp"] = make.ago(seconds)
    made["spec"].update({"backoffLimit": 2, "completions": 1, "parallelism": 1, **spec})
    kinds = ([("Failed", failed)] if failed else []) + ([("Complete", "CompletionsReached")] if complete else [])
    made["status"] = {
        "startTime": make.ago(seconds),
        "failed": 3 if failed else 0,
        "conditions": [
            {"type": kind, "status": "True", "reason": why, "message": message, "lastTransitionTime": make.ago(30)} for kind, why in kinds
        ],
    }
    return made


def cronjob(name: str = "nightly", schedule: str = "*/5 * * * *", last: float | None = 100, seconds: float = 86400, **spec: Any) -> Object:
    """last: seconds since lastScheduleTime."""
    status = spec.pop("status", {})
    return {
        "kind": "CronJob",
        "metadata": make.meta("CronJob", name, creationTimestamp=make.ago(seconds)),
        "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": {"spec": {"containers": [make.spec()]}}}}, **spec},
        "status": {**({"lastScheduleTime": make.ago(last)} if last is not None else {}), **status},
    }


def finding(code: str, subject: str, sort: str = "Deployment", pods: list[Object] | None = None, cause: str = "", **details: Any) -> Finding:
    """A finding as another rule would make it, with evidence of its own."""
    return Finding(
        code=code,
        title=code,
        root_cause=cause or f"{subject}: {code}.",
        suggested_fix="mend it",
        expected_outcome="it works",
        evidence=[f"E-{subject}"],
        container="" if sort == "Service" else "app",
        object={"kind": sort, "namespace": "" if sort == "Node" else "kube-system" if code == "DNSDown" else "shop", "name": subject},
        pods=[{"name": one["metadata"]["name"], "uid": one["metadata"]["uid"]} for one in pods or []],
        details=details,
    )
