# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An admission webhook that does not answer: which it is, what stands behind it, and what is wrong there. And the shape of an explanation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import containers_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View


@dataclass(frozen=True)
class Refusal:
    """Why nothing was created. ``proof``: what shows it where no answer of the API server is left."""

    code: str
    title: str
    cause: str
    fix: str
    details: dict[str, Any] = field(default_factory=dict)
    proof: str = ""


@dataclass(frozen=True)
class Asked:
    """Who asked for what: the controller, its pod template, and the API server's answer."""

    view: View
    item: Object
    template: Object
    message: str

    @property
    def namespace(self) -> str:
        return str(self.item["metadata"]["namespace"])

    @property
    def containers(self) -> list[Object]:
        return containers_of(self.template.get("spec") or {})


_URL = re.compile(r'(?:Post|Get) "?https?://(?P<host>[^/:"\s]+)(?::\d+)?[^"\s]*"?: (?P<why>.*)', re.DOTALL)
_TROUBLES = (
    ("x509|certificate|tls:", "its TLS certificate is not accepted", "Renew its certificate and the caBundle of its configuration"),
    ("connection refused", "nothing listens behind it", "Repair the pods behind it"),
    ("deadline exceeded|[Tt]imeout|timed out", "it does not answer in time", "Repair or relieve the pods behind it"),
    ("no such host", "its host name does not resolve", "Correct its address"),
)


def unavailable(asked: Asked, match: re.Match[str]) -> Refusal:
    """What the API server's answer says of the webhook that it could not call."""
    view, name = asked.view, match["name"]
    rest = asked.message[match.end() :].lstrip(": ")
    url = _URL.search(rest)
    why = (url["why"] if url else rest).strip().rstrip(".")
    host = (url["host"] if url else "").split(".")
    service = (host[1], host[0]) if len(host) >= 3 and host[2] == "svc" else None
    kind, owner = _configuration(view, name)
    holder = f" ({kind} {owner})" if owner else ""
    what, fix = next(((what, fix) for words, what, fix in _TROUBLES if re.search(words, why)), ("it cannot be called", "Repair it"))
    target = f" at {url['host']}" if url else ""
    if service:
        target = f" (Service {service[1]} in namespace {service[0]})"
        slices = view.slices(*service)
        ready = any((end.get("conditions") or {}).get("ready") is not False for one in slices for end in one.get("endpoints") or [])
        if "not found" in why or (
            view.was_read("services") and view.inside("services", service[0]) and not view.named("services", *service)
        ):
            what = f"its Service {service[1]} does not exist in namespace {service[0]}"
            fix = (
                f"Install or restore the webhook's Service {service[1]} and the pods behind it; if that software was removed for good, its"
                f" owner should remove the left-over {kind or 'webhook configuration'} {owner}"
            )
        elif "no endpoints" in why or (slices and not ready):
            what = f"its Service {service[1]} in namespace {service[0]} has no ready pod"
            fix = f"Repair the pods behind Service {service[1]} in namespace {service[0]}"
    cause = (
        f"Admission webhook {name}{holder} must be asked before a pod is created, and"
        f" {what}{target if service is None or service[1] not in what else ''}: {why[:300]}."
    )
    return Refusal(
        "WebhookUnavailable",
        f"admission webhook {name} does not answer: {what}",
        cause,
        f"{fix}. Pods are then admitted again by themselves.",
        {"webhook": name, "configuration": owner, "service": list(service or ())},
    )


def _configuration(view: View, webhook: str) -> tuple[str, str]:
    for name in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations"):
        for item in view.objects.get(name, []):
            if any(one.get("name") == webhook for one in item.get("webhooks") or []):
                return item["kind"], item["metadata"]["name"]
    return "", ""
