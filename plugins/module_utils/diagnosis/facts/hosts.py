# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a host name or address means to a pod: a Service by any of its names, or a pod; and in what state that is.

    behind(view, host, port, namespace) -> Upstream | None     None: outside the cluster, or not in the snapshot

Pure; nothing raises.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import is_ready
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import ports
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import Backing, backing, named, nearby, written
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View

_DOWN = ("not-ready", "no-pods", "mismatch", "scaled-to-zero")  # states in which nobody answers for a Service


class Upstream(NamedTuple):
    """``state``: missing | no-such-port | target-port | not-headless | mismatch | not-ready | no-pods | scaled-to-zero | none | external |
    manual | serving. ``sentence`` names what is wrong, empty where that is nothing; ``workloads``: those behind it; ``hint``: what may be meant.
    """

    state: str
    name: str
    namespace: str
    sentence: str = ""
    service: Object | None = None
    workloads: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    hint: str = ""


def behind(view: View, host: str, port: int, namespace: str) -> Upstream | None:
    host = host.strip("[]").rstrip(".").lower()
    if not host or host == "localhost" or not view.was_read("services"):
        return None
    if is_address(host):
        return _by_address(view, host, port) or _by_port(view, host, port, namespace)
    meant = _meant(view, host, namespace)
    if meant is None:
        return None
    pod, name, where = meant
    service = view.named("services", where, name)
    if service is None:
        return _missing(view, pod, name, where, namespace)
    return _of_service(view, service, port, pod)


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_outside(host: str) -> bool:
    """Whether a host cannot be one of the cluster's: a name with a domain, or an address."""
    return is_address(host) or (host.count(".") >= 1 and ".svc" not in host and "cluster.local" not in host)


def _meant(view: View, host: str, namespace: str) -> tuple[str, str, str] | None:
    """(pod or "", Service, namespace) that a name stands for."""
    words = host.split(".")
    if "svc" in words[2:4]:
        at = words.index("svc", 2)
        pod, name, where = "" if at == 2 else words[0], words[at - 2], words[at - 1]
        return (pod, name, where) if _is_covered(view, where) else None
    if len(words) == 1:
        return "", words[0], namespace
    if len(words) > 3:
        return None
    if len(words) == 2 and _is_pod_host(view, words[0], words[1], namespace):
        return words[0], words[1], namespace
    if len(words) == 3:
        return (words[0], words[1], words[2]) if _is_covered(view, words[2]) and _is_pod_host(view, words[0], words[1], words[2]) else None
    if _is_covered(view, words[1]):
        return "", words[0], words[1]
    near = nearby(words[1], _namespaces(view))  # db.shpo: the namespace is what is wrong
    return ("", words[0], words[1]) if near and view.named("services", near, words[0]) else None


def _is_pod_host(view: View, pod: str, service: str, namespace: str) -> bool:
    stateful, _dash, number = pod.rpartition("-")
    if not number.isdigit():
        return False
    return bool(
        view.named("statefulsets", namespace, stateful) or view.named("services", namespace, service) or view.named("pods", namespace, pod)
    )


def _is_covered(view: View, namespace: str) -> bool:
    """Whether the snapshot has the Services of a namespace: it holds others of its objects, or it lists all namespaces."""
    if view.inside("services", namespace):
        return True
    if namespace == "kube-system":
        return False  # of which every snapshot has the DNS pods
    return bool(view.inside("pods", namespace) or view.inside("deployments", namespace)) or (
        len(view.objects.get("namespaces", [])) > 1 and view.named("namespaces", "", namespace) is not None
    )


def _namespaces(view: View) -> list[str]:
    return sorted(
        {item["metadata"]["name"] for item in view.objects.get("namespaces", [])}
        | {pod["metadata"]["namespace"] for pod in view.objects["pods"]}
    )


def _missing(view: View, pod: str, name: str, where: str, namespace: str) -> Upstream:
    known = [one["metadata"]["name"] for one in view.inside("services", where)]
    elsewhere = sorted({one["metadata"]["namespace"] for one in view.objects["services"] if one["metadata"]["name"] == name})
    near = nearby(name, known)
    sentence = f"There is no Service {name} in namespace {where}"
    hint = f"{near}{f'.{where}' if where != namespace else ''}" if near else f"{name}.{elsewhere[0]}" if elsewhere else ""
    if near:
        sentence += f"; Service {near} may be meant"
    elif elsewhere:
        sentence += f"; there is one in namespace {', '.join(elsewhere[:3])}, whose host name is {hint}"
    elif pod:
        sentence += f", so pods have no host names below it ({pod}.{name})"
    else:
        sentence += f"; it has {', '.join(sorted(known)[:8])}" if known else ", nor any other Service"
    return Upstream("missing", name, where, f"{sentence}.", hint=hint)


def _of_service(view: View, service: Object, port: int, pod: str = "", depth: int = 0) -> Upstream:
    name, where, spec = service["metadata"]["name"], service["metadata"]["namespace"], service["spec"]
    found = backing(view, service)
    if found.state == "external":
        alias = _meant(view, spec.get("externalName", ""), where) if depth < 3 and not is_address(spec.get("externalName", "")) else None
        target = view.named("services", alias[2], alias[1]) if alias else None
        if alias and target is None and _is_covered(view, alias[2]):
            return Upstream("missing", name, where, f"Service {name} stands for {spec['externalName']}, which does not exist.", service)
        return _of_service(view, target, port, "", depth + 1) if target else Upstream("external", name, where, "", service)
    if pod and found.state != "mismatch":
        return _of_pod(view, service, pod, found)
    sentence, state = _sentence(view, service, found), found.state
    if state == "serving" and port and spec.get("clusterIP") != "None":
        state, sentence = _port_state(view, service, port, found)
    return Upstream(state, name, where, sentence, service, tuple(found.workloads), tuple(found.pods))


def _sentence(view: View, service: Object, found: Backing) -> str:
    name, selector = service["metadata"]["name"], service["spec"].get("selector") or {}
    who = ", ".join(map(named, found.workloads))
    return {
        "mismatch": f"Service {name} has no endpoints: it selects {written(selector)}, and the pods of {who} do not have these labels.",
        "not-ready": f"Service {name} has no ready endpoints: none of its {len(found.pods)} pods ({who}) is ready.",
        "no-pods": f"Service {name} has no endpoints: {who} has no pods.",
        "scaled-to-zero": f"Service {name} has no endpoints: {_off(found)}.",
        "none": f"Service {name} has no endpoints: it selects {written(selector)}, and no workload makes pods with these labels.",
        "manual": "" if _has_endpoints(view, service) else f"Service {name} has no selector and no endpoints.",
    }.get(found.state, "")


def _off(found: Backing) -> str:
    return ", ".join(
        f"{named(one)} {'is scaled to 0 replicas' if 'replicas' in one['spec'] else 'has no pod now'}" for one in found.workloads
    )


def _port_state(view: View, service: Object, port: int, found: Backing) -> tuple[str, str]:
    name = service["metadata"]["name"]
    entry = next((one for one in service["spec"].get("ports") or [] if one["port"] == port), None)
    if entry is None:
        has = ", ".join(str(one["port"]) + (f" ({one['name']})" if one.get("name") else "") for one in service["spec"].get("ports") or [])
        return "no-such-port", f"Service {name} has no port {port}; it has {has or 'none'}."
    missed = ports.missed(view, entry, [pod for pod in found.pods if is_ready(pod)])
    if missed is None:
        return "serving", ""
    return "target-port", f"Service {name} sends port {port} to {ports.target(entry)}, which its pods do not serve: {missed.why}."


def _of_pod(view: View, service: Object, pod: str, found: Backing) -> Upstream:
    name, where = service["metadata"]["name"], service["metadata"]["namespace"]
    item = view.named("pods", where, pod)
    if service["spec"].get("clusterIP") != "None":
        sentence = (
            f"Service {name} is not headless, so {pod}.{name} is no host name; only a headless Service (clusterIP None) names its pods."
        )
        return Upstream("not-headless", name, where, sentence, service, tuple(found.workloads), (item,) if item else ())
    if item is None:
        off = found.state == "scaled-to-zero"
        sentence = f"There is no pod {pod} behind Service {name}" + (f": {_off(found)}." if off else ".")
        return Upstream("scaled-to-zero" if off else "no-pods", name, where, sentence, service, tuple(found.workloads))
    serving = is_ready(item)
    sentence = (
        ""
        if serving
        else f"Pod {pod} is not ready" + ("." if service["spec"].get("publishNotReadyAddresses") else ", so it has no host name yet.")
    )
    return Upstream("serving" if serving else "not-ready", name, where, sentence, service, (view.workload(item),), (item,))


def _by_address(view: View, address: str, port: int) -> Upstream | None:
    for service in view.objects.get("services", []):
        spec = service["spec"]
        balancers = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        if address in [
            spec.get("clusterIP"),
            *(spec.get("clusterIPs") or []),
            *(spec.get("externalIPs") or []),
            *(one.get("ip") for one in balancers),
        ]:
            return _of_service(view, service, port)
    for pod in view.objects["pods"]:
        status = pod.get("status") or {}
        mine = [status.get("podIP"), *(one.get("ip") for one in status.get("podIPs") or [])]
        if address in mine and not pod["spec"].get("hostNetwork") and "deletionTimestamp" not in pod["metadata"]:
            ready, name = is_ready(pod), pod["metadata"]["name"]
            sentence = "" if ready else f"{address} is pod {name}, which is not ready."
            return Upstream(
                "serving" if ready else "not-ready", name, pod["metadata"]["namespace"], sentence, None, (view.workload(pod),), (pod,)
            )
    return None


def _by_port(view: View, address: str, port: int, namespace: str) -> Upstream | None:
    """The one Service of the namespace with this port, where nobody serves it now: a pod or Service that is gone may have had the address."""
    serving = [one for one in view.inside("services", namespace) if port in [given["port"] for given in one["spec"].get("ports") or []]]
    if len(serving) != 1 or not ipaddress.ip_address(address).is_private:
        return None
    found = _of_service(view, serving[0], port)
    return found if found.state in _DOWN else None


def _has_endpoints(view: View, service: Object) -> bool:
    """Whether somebody gives a Service without a selector its endpoints; taken to be so where the slices were not read."""
    slices = view.slices(service["metadata"]["namespace"], service["metadata"]["name"])
    return not view.was_read("endpointslices") or any(one.get("endpoints") for one in slices)
