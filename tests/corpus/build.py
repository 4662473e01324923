# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Builders of API objects as plain dicts. Every container runs the test image; ``more`` adds to a container's spec or replaces in it."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
IMAGE = "localhost/busybox:local"
SLEEP = "exec sleep 1000000"
SERVE = "mkdir -p /www; echo ok > /www/index.html; exec httpd -f -p 8080 -h /www"
QUICK = {"periodSeconds": 1, "failureThreshold": 1}


def container(name: str = "app", script: str = SLEEP, **more: Any) -> Object:
    return {"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script], **more}


def log_and_exit(text: str, status: int = 1, after: float = 0) -> str:
    """A script that prints these lines as they are, and ends."""
    quoted = text.replace("'", "'\\''")
    return f"printf '%s\\n' '{quoted}' >&2; sleep {after}; exit {status}"


def log_and_stay(text: str) -> str:
    quoted = text.replace("'", "'\\''")
    return f"while true; do printf '%s\\n' '{quoted}'; sleep 10; done"


def pod_spec(*containers: Object, **more: Any) -> Object:
    return {"terminationGracePeriodSeconds": 1, "containers": list(containers), **more}


def made(api: str, kind: str, name: str, spec: Object | None = None, **more: Any) -> Object:
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **({"spec": spec} if spec is not None else {}), **more}


def _template(name: str, pod: Object) -> Object:
    return {"metadata": {"labels": {"app": name}}, "spec": pod}


def _pod_of(script: str, pod: Object | None, beside: tuple[Object, ...], more: Object) -> Object:
    return {**pod_spec(container(script=script, **more), *beside), **(pod or {})}


def deployment(
    name: str = "web",
    script: str = SLEEP,
    replicas: int = 1,
    pod: Object | None = None,
    beside: tuple[Object, ...] = (),
    spec: Object | None = None,
    **more: Any,
) -> Object:
    """``pod`` and ``spec`` add to the specs of the pod and the Deployment, ``beside`` are further containers."""
    template = _template(name, _pod_of(script, pod, beside, more))
    return made(
        "apps/v1", "Deployment", name, {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **(spec or {})}
    )


def statefulset(
    name: str = "db", script: str = SLEEP, replicas: int = 1, pod: Object | None = None, spec: Object | None = None, **more: Any
) -> Object:
    template = _template(name, _pod_of(script, pod, (), more))
    whole = {"replicas": replicas, "serviceName": name, "selector": {"matchLabels": {"app": name}}, "template": template, **(spec or {})}
    return made("apps/v1", "StatefulSet", name, whole)


def daemonset(name: str = "agent", script: str = SLEEP, pod: Object | None = None, **more: Any) -> Object:
    return made(
        "apps/v1", "DaemonSet", name, {"selector": {"matchLabels": {"app": name}}, "template": _template(name, _pod_of(script, pod, (), more))}
    )


def job(
    name: str = "task", script: str = SLEEP, pod: Object | None = None, beside: tuple[Object, ...] = (), spec: Object | None = None, **more: Any
) -> Object:
    template = _template(name, {"restartPolicy": "Never", **_pod_of(script, pod, beside, more)})
    return made("batch/v1", "Job", name, {"backoffLimit": 0, "template": template, **(spec or {})})


def cronjob(
    name: str = "nightly", script: str = SLEEP, schedule: str = "* * * * *", spec: Object | None = None, task: Object | None = None
) -> Object:
    return made("batch/v1", "CronJob", name, {"schedule": schedule, "jobTemplate": {"spec": job(script=script, spec=task)["spec"]}, **(spec or {})})


def bare(name: str = "lone", script: str = SLEEP, pod: Object | None = None, metadata: Object | None = None, **more: Any) -> Object:
    return made("v1", "Pod", name, _pod_of(script, pod, (), more), metadata={"labels": {"app": name}, **(metadata or {})})


def service(name: str, port: int = 80, target: int | str | None = None, selector: Object | None = None, **more: Any) -> Object:
    """Selects the pods of the workload of the same name, unless told otherwise."""
    ports = [{"port": port, **({"targetPort": target} if target is not None else {})}]
    return made("v1", "Service", name, {"selector": {"app": name} if selector is None else selector, "ports": ports, **more})


def configmap(name: str, **data: str) -> Object:
    return made("v1", "ConfigMap", name, data=data)


def claim(name: str = "data", storage_class: str | None = None, size: str = "1Mi", **more: Any) -> Object:
    chosen = {} if storage_class is None else {"storageClassName": storage_class}
    return made(
        "v1", "PersistentVolumeClaim", name, {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **chosen, **more}
    )


def volume(name: str, where: str, **more: Any) -> Object:
    """A PersistentVolume of 1Mi in a directory of the node, for the claim ``data`` of one namespace."""
    spec = {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": f"/tmp/{name}", "type": "DirectoryOrCreate"}}
    claim_reference = {"namespace": where, "name": "data"}
    return made("v1", "PersistentVolume", name, {**spec, "persistentVolumeReclaimPolicy": "Retain", "claimRef": claim_reference, **more})


def mounts(path: str = "/data", **source: Any) -> Object:
    """Keywords for a workload: one volume of its pod, mounted in its container."""
    return {"pod": {"volumes": [{"name": "files", **source}]}, "volumeMounts": [{"name": "files", "mountPath": path}]}


def on_claim(name: str = "data") -> Object:
    return mounts(persistentVolumeClaim={"claimName": name})


def from_key(kind: str, name: str, key: str, **more: Any) -> list[Object]:
    return [{"name": "VALUE", "valueFrom": {f"{kind}KeyRef": {"name": name, "key": key, **more}}}]


def http(path: str, port: int | str, **more: Any) -> Object:
    return {"httpGet": {"path": path, "port": port}, **QUICK, **more}


def tcp(port: int | str, **more: Any) -> Object:
    return {"tcpSocket": {"port": port}, **QUICK, **more}


def run(*words: str, **more: Any) -> Object:
    return {"exec": {"command": list(words)}, **QUICK, **more}
