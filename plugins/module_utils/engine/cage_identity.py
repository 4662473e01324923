# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The identity of a cage: a service account that is made for one change, may touch one object, and is gone afterwards.

All that is made carries two labels, so that the next run finds what a killed one has left: ``app.kubernetes.io/managed-by: aiops.k8s`` and
``aiops.k8s/cage: ID``. Everything is asked for with the executor's connection; errors are those of the API.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
from datetime import datetime
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable, segment
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.engine import identity
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError

LIFETIME = 600  # seconds of a token; the shortest that the API server grants
OLD = LIFETIME + 60  # seconds after which nothing of a killed run can be in use any more
_CAGE_LABEL = "aiops.k8s/cage"
_MANAGED = ("app.kubernetes.io/managed-by", "aiops.k8s")
_OBJECT_ANNOTATION = "aiops.k8s/cage-object"
_RBAC = "rbac.authorization.k8s.io"
_VERBS = {
    "create": ["get", "create", "patch"],
    "patch": ["get", "patch"],
}  # server-side apply is a patch, and a creation where nothing is yet
_ALLOWED_WITHIN, _LOOK_EVERY = 5.0, 0.1  # seconds until the API server's caches know the new rights
_TRIES, _PAUSE = 4, 0.5  # to remove something from a server that is busy or away

# in the order in which they are removed: first the rights, then the account and its token with it
_KINDS = {
    "RoleBinding": (f"/apis/{_RBAC}/v1", "rolebindings"),
    "Role": (f"/apis/{_RBAC}/v1", "roles"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
}


@dataclasses.dataclass(frozen=True)
class Account:
    """The names of a cage. Nothing is made yet."""

    namespace: str
    identifier: str

    @property
    def name(self) -> str:
        return f"aiops-cage-{self.identifier}"

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.name}"


@dataclasses.dataclass(frozen=True)
class Credentials:
    """kubeconfig: its text. api: a connection as the account."""

    token: str
    kubeconfig: str
    api: Api


def new(namespace: str) -> Account:
    return Account(namespace, secrets.token_hex(5))


def manifests(account: Account, action: str, subject: Mapping[str, str], resource: str) -> list[dict[str, Any]]:
    """What the cage consists of: the account, the rights to one object by its name, and their connection."""
    metadata = {
        "name": account.name,
        "namespace": account.namespace,
        "labels": {_MANAGED[0]: _MANAGED[1], _CAGE_LABEL: account.identifier},
        "annotations": {_OBJECT_ANNOTATION: f"{resource}/{subject['name']}"},
    }
    rule = {
        "apiGroups": [subject["apiVersion"].rpartition("/")[0]],
        "resources": [resource],
        "resourceNames": [subject["name"]],
        "verbs": _VERBS[action],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False},
        {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": account.name},
            "subjects": [{"kind": "ServiceAccount", "namespace": account.namespace, "name": account.name}],
        },
    ]


def make(api: Api, account: Account, action: str, subject: Mapping[str, str]) -> None:
    """Make all of it. Raises AiopsError, with parts of it made."""
    for one in manifests(account, action, subject, objects.plural(api, subject["apiVersion"], subject["kind"])):
        api.request("POST", _list_of(one["kind"], account.namespace), None, one)


def credentials(api: Api, account: Account, connection: Mapping[str, Any]) -> Credentials:
    """A token of the account, which dies with it. Raises AiopsError."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": LIFETIME}}
    path = f"{_list_of('ServiceAccount', account.namespace)}/{segment(account.name)}/token"
    token = str(api.request("POST", path, None, body)["status"]["token"])
    kubeconfig = identity._kubeconfig(identity._cluster(api, connection), {"token": token})
    return Credentials(token, kubeconfig, as_holder(kubeconfig))


def await_rights(own: Api, subject: Mapping[str, str]) -> None:
    """Return when the API server grants the rights: its caches need a moment. Raises AiopsError when it does not."""
    until = time.monotonic() + _ALLOWED_WITHIN
    while missing := objects.may(own, "patch", subject):
        if time.monotonic() > until:
            raise AiopsError(
                f"The API server does not grant the new account its rights: {missing}.", "Look at the authorization modes of the server."
            )
        time.sleep(_LOOK_EVERY)


def as_holder(kubeconfig: str) -> Api:
    """A connection with the token of a kubeconfig, and nothing of this process's own."""
    return connect({"kubeconfig": json.loads(kubeconfig)}, {})


def remove(api: Api, account: Account) -> list[str]:
    """Remove all of it; returns what could not be removed, as sentences."""
    return [fault for kind in _KINDS if (fault := _removed(api, kind, account.namespace, account.name))]


def sweep(api: Api, namespace: str, older_than: float = OLD) -> list[str]:
    """Remove what killed runs have left in a namespace; returns the names of their accounts. older_than: seconds."""
    selector = {"labelSelector": f"{_MANAGED[0]}={_MANAGED[1]},{_CAGE_LABEL}"}
    found: dict[str, None] = {}
    for kind in _KINDS:
        for one in list(api.pages(_list_of(kind, namespace), selector)):
            if _age(api, one["metadata"]["creationTimestamp"]) >= older_than:
                _removed(api, kind, namespace, one["metadata"]["name"])
                found[one["metadata"]["name"]] = None
    return list(found)


def dies(own: Api, path: str, within: float) -> float | None:
    """Seconds until a request with the token is refused with 401; None when it is not in time. path: what the holder could read.

    The API server remembers for ten seconds that a token was good. In these it has no rights any more, but is known still.
    """
    started = time.monotonic()
    while (passed := time.monotonic() - started) < within:
        try:
            own.request("GET", path, timeout=5.0)
        except ApiError as error:
            if error.status == 401:
                return round(passed, 3)
        except Unreachable:
            pass
        time.sleep(_LOOK_EVERY)
    return None


def _removed(api: Api, kind: str, namespace: str, name: str) -> str:
    """Empty when it is gone for certain, else why not."""
    path, fault = f"{_list_of(kind, namespace)}/{segment(name)}", ""
    for _attempt in range(_TRIES):
        time.sleep(_PAUSE if fault else 0)
        try:
            api.request("DELETE", path, timeout=10.0)
            if api.get(path) is None:
                return ""
            fault = f"{kind} {namespace}/{name} is still there"
        except (ApiError, Unreachable) as error:
            if isinstance(error, ApiError) and error.status == 404:
                return ""
            fault = f"{kind} {namespace}/{name}: {error.message}"
            if isinstance(error, ApiError) and not error.for_now:
                break
    return fault


def _list_of(kind: str, namespace: str) -> str:
    group, plural = _KINDS[kind]
    return f"{group}/namespaces/{segment(namespace)}/{plural}"


def _age(api: Api, created: str) -> float:
    """Seconds by the API server's clock."""
    now = datetime.now().timestamp() - (api.clock_skew or 0.0)
    return now - datetime.fromisoformat(created.replace("Z", "+00:00")).timestamp()
