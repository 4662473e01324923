# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for Ingresses: backends that do not exist, and classes that nobody serves."""

from __future__ import annotations


from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import nearby
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View, reference


def ingress(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """An Ingress that sends requests to a Service, or a port of one, that does not exist."""
    if not view.was_read("services") or "deletionTimestamp" in item["metadata"]:
        return None
    metadata, namespace = item["metadata"], item["metadata"]["namespace"]
    for where, wanted in _backends(item):
        service = view.named("services", namespace, wanted["name"])
        port = wanted.get("port") or {}
        asked = port.get("number") or port.get("name")
        if service is None:
            meant = nearby(wanted["name"], [one["metadata"]["name"] for one in view.inside("services", namespace)])
            missing, has = f"Service {wanted['name']}, which does not exist in namespace {namespace}", ""
            fix = f"Create Service {wanted['name']}, or correct the name" + (f" to {meant}." if meant else ".")
        elif asked is None or service["spec"].get("type") == "ExternalName" or _has_port(service, port):
            continue
        else:
            meant = ", ".join(
                f"{one['port']}{' (' + one['name'] + ')' if one.get('name') else ''}" for one in service["spec"].get("ports") or []
            )
            missing, has = f"port {asked} of Service {wanted['name']}, which has no such port", f" It has {meant or 'no port'}."
            fix = f"Correct the port of the backend {wanted['name']} to {meant or 'one that the Service has'}."
        near = f" {meant} may be meant." if service is None and meant else has
        return Finding(
            code="IngressBackendMissing",
            severity="critical",
            object=reference(item),
            evidence=[evidence.add(f"ingress/{metadata['name']} {where}", "", f"service {wanted['name']}, port {asked}")],
            details={"service": wanted["name"], "port": asked, "where": where, "meant": meant},
            title=f"Ingress {metadata['name']} sends {where} to a backend that does not exist",
            root_cause=f"Ingress {metadata['name']} sends {where} to {missing}.{near}",
            suggested_fix=fix,
            expected_outcome=f"The Ingress controller answers {where} from its pods.",
        )
    return _class_missing(view, item, evidence)


def _class_missing(view: View, item: Object, evidence: Evidence) -> Finding | None:
    """Some controllers work without IngressClass objects, so a class is missed only where others exist and nobody serves the Ingress."""
    wanted, metadata = item["spec"].get("ingressClassName"), item["metadata"]
    known = [one["metadata"]["name"] for one in view.objects.get("ingressclasses", [])]
    served = ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    if not wanted or not view.was_read("ingressclasses") or not known or wanted in known or served:
        return None
    meant = nearby(wanted, known) or (known[0] if len(known) == 1 else "")
    return Finding(
        code="IngressBackendMissing",
        severity="warning",
        object=reference(item),
        evidence=[evidence.add(f"ingress/{metadata['name']} spec.ingressClassName", "", f"{wanted}; known: {', '.join(sorted(known))}")],
        details={"class": wanted, "meant": meant},
        title=f"Ingress {metadata['name']} names an IngressClass that does not exist",
        root_cause=(
            f"Ingress {metadata['name']} names the IngressClass {wanted}, which does not exist, so no controller serves it. There"
            f" is {', '.join(sorted(known))}."
        ),
        suggested_fix=(
            f"Correct ingressClassName to {meant}." if meant else f"Correct ingressClassName to one of {', '.join(sorted(known))}."
        ),
        expected_outcome="The Ingress gets an address.",
    )


def _backends(item: Object) -> list[tuple[str, Object]]:
    """(which requests, {name, port{number, name}}) of every backend that is a Service."""
    spec = item["spec"]
    found = [("all other requests", spec["defaultBackend"])] if spec.get("defaultBackend") else []
    for rule in spec.get("rules") or []:
        for path in (rule.get("http") or {}).get("paths") or []:
            found.append((f"{rule.get('host') or '*'}{path.get('path') or '/'}", path.get("backend") or {}))
    return [(where, one["service"]) for where, one in found if one.get("service")]


def _has_port(service: Object, wanted: Object) -> bool:
    return any(
        (wanted.get("number") and one["port"] == wanted["number"]) or (wanted.get("name") and one.get("name") == wanted["name"])
        for one in service["spec"].get("ports") or []
    )


RULES = (ingress,)
