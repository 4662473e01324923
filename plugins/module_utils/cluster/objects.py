# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Single objects by reference: read, patch, delete, dry-run, and who may do what."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import FIELD_MANAGER, JSON_PATCH, Api, ApiError, segment
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, NotFound

Reference = Mapping[str, str]

# kinds that plans touch every day; any other is looked up in the server's discovery
_PLURALS = {
    ("v1", "Pod"): "pods",
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Service"): "services",
    ("v1", "Namespace"): "namespaces",
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("apps/v1", "DaemonSet"): "daemonsets",
    ("apps/v1", "ReplicaSet"): "replicasets",
    ("batch/v1", "Job"): "jobs",
    ("batch/v1", "CronJob"): "cronjobs",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "horizontalpodautoscalers",
}


def reference(document: Mapping[str, Any]) -> dict[str, str]:
    """What identifies an object: {apiVersion, kind, namespace, name, uid}, each "" where it has none."""
    metadata = document.get("metadata") or {}
    ends = {key: str(metadata.get(key, "")) for key in ("namespace", "name", "uid")}
    return {"apiVersion": str(document.get("apiVersion", "")), "kind": str(document.get("kind", "")), **ends}


def plural(api: Api, api_version: str, kind: str) -> str:
    """The resource name of a kind. Raises NotFound when the server does not serve it."""
    known = _PLURALS.get((api_version, kind))
    if known:
        return known
    served = api.get(_group(api_version)) or {}
    for resource in served.get("resources", []):
        if resource["kind"] == kind and "/" not in resource["name"]:
            return str(resource["name"])
    raise NotFound(f"The API server {api.server} does not serve {kind} of {api_version}.")


def path_of(api: Api, subject: Reference) -> str:
    """The path of an object, or of the subresource that its reference names (``subresource``: resize)."""
    where = f"/namespaces/{segment(subject['namespace'])}" if subject.get("namespace") else ""
    resource = plural(api, subject["apiVersion"], subject["kind"])
    return f"{_group(subject['apiVersion'])}{where}/{resource}/{segment(subject['name'])}{_below(subject)}"


def read(api: Api, subject: Reference) -> dict[str, Any] | None:
    """The live object, or None where it does not exist."""
    live = api.get(path_of(api, subject))
    return {"apiVersion": subject["apiVersion"], "kind": subject["kind"], **live} if live else None


def patch(api: Api, subject: Reference, operations: list[dict[str, Any]], dry_run: bool) -> dict[str, Any]:
    """Send a JSON patch; returns the resulting object. Raises ApiError (422 when a test fails, 403, 404, 409)."""
    query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
    return api.request("PATCH", path_of(api, subject), query, operations, content_type=JSON_PATCH)  # type: ignore[no-any-return]


def create(api: Api, subject: Reference, manifest: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Create an object that does not exist; returns it. Raises ApiError (409 where it does, 403, 422)."""
    query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
    return api.request("POST", path_of(api, subject).rpartition("/")[0], query, manifest)  # type: ignore[no-any-return]


def delete(api: Api, subject: Reference, preconditions: Mapping[str, str], dry_run: bool) -> None:
    """Delete exactly the object with these preconditions (uid). Raises ApiError (409 when they do not hold).

    Only the body counts for the API server; the query says the same, because audit logs show it and not the body.
    """
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": dict(preconditions), **({"dryRun": ["All"]} if dry_run else {})}
    api.request("DELETE", path_of(api, subject), {"dryRun": "All"} if dry_run else None, body)


def cluster_identity(api: Api) -> dict[str, str]:
    """{uid, server}: the uid of the namespace kube-system is a cluster's own, whatever its address."""
    system = api.get("/api/v1/namespaces/kube-system")
    if system is None:
        raise BadInput(f"{api.server} has no namespace kube-system, so it cannot be told from other clusters.")
    return {"uid": system["metadata"]["uid"], "server": api.server}


def who_am_i(api: Api) -> dict[str, Any]:
    """{user, groups} that the API server takes us for (SelfSubjectReview)."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    info = api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", None, body)["status"]["userInfo"]
    return {"user": info.get("username", ""), "groups": info.get("groups", [])}


def may(api: Api, verb: str, subject: Reference) -> str:
    """Empty when we may do this to the object, else the sentence that says what is missing."""
    group = subject["apiVersion"].rpartition("/")[0]
    resource = plural(api, subject["apiVersion"], subject["kind"])
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": subject["namespace"], "name": subject["name"]}
    attributes |= {"subresource": subject["subresource"]} if subject.get("subresource") else {}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    status = api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", None, body)["status"]
    if status.get("allowed"):
        return ""
    return f"{who_am_i(api)['user']} may not {verb} {resource}{_below(subject)} in namespace {subject['namespace']}"


def stale(error: ApiError) -> bool:
    """Whether a refusal means that the object is not what the request was made for."""
    return error.status in (404, 409, 422)


def _below(subject: Reference) -> str:
    return f"/{segment(subject['subresource'])}" if subject.get("subresource") else ""


def _group(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
