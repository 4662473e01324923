# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The identity of an engine in the cluster: a short-lived token of a read-only service account, or none at all."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError

_LIFETIME = 600  # seconds; the shortest that the API server grants
_NOWHERE = "https://127.0.0.1:1"  # without any cluster, kubectl would try localhost:8080


@dataclasses.dataclass(frozen=True)
class Identity:
    """name: "none" or the user name of a service account. reason: why it is none. kubeconfig: its text."""

    name: str
    kubeconfig: str
    token: str = ""
    reason: str = ""


def nobody(reason: str) -> Identity:
    return Identity("none", _kubeconfig({"server": _NOWHERE}, {}), reason=reason)


def of_service_account(options: Mapping[str, Any], service_account: Mapping[str, str], timeout: float) -> Identity:
    """A token of the service account, asked for with the caller's connection options; nobody when there is none to get."""
    from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import segment
    from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect

    namespace, name = service_account["namespace"], service_account["name"]
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": _LIFETIME}}
    try:
        api = connect(options)
        path = f"/api/v1/namespaces/{segment(namespace)}/serviceaccounts/{segment(name)}/token"
        token = str(api.request("POST", path, body=body, timeout=timeout)["status"]["token"])
    except AiopsError as error:
        return nobody(f"no token of the service account {namespace}/{name}: {_why(error)}")
    except (KeyError, TypeError):
        return nobody(f"no token of the service account {namespace}/{name}: the API server's answer holds none")
    return Identity(f"system:serviceaccount:{namespace}:{name}", _kubeconfig(_cluster(api, options), {"token": token}), token)


_REASONS = {
    401: "the credentials of this task are not accepted",
    403: "the user of this task may not create serviceaccounts/token there",
    404: "it does not exist",
}


def _why(error: AiopsError) -> str:
    return _REASONS.get(getattr(error, "status", 0), error.message)


def _cluster(api: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    cluster: dict[str, Any] = {"server": api.server}
    if options.get("validate_certs") is False:
        cluster["insecure-skip-tls-verify"] = True
    elif api.ca_data:
        cluster["certificate-authority-data"] = base64.b64encode(api.ca_data).decode()
    if options.get("proxy"):
        cluster["proxy-url"] = options["proxy"]
    return cluster


def _kubeconfig(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> str:
    """A kubeconfig with one context; JSON is YAML."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "engine",
            "clusters": [{"name": "engine", "cluster": dict(cluster)}],
            "users": [{"name": "engine", "user": dict(user)}],
            "contexts": [{"name": "engine", "context": {"cluster": "engine", "user": "engine"}}],
        }
    )
