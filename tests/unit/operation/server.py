# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The HTTP of an API server, in memory: objects by path, JSON patches, preconditions, dry runs, and faults on demand.

Only the wire is replaced; Api's own parsing and everything above it are the real code. The behaviour on a real API server is
tested in tests/integration.
"""

from __future__ import annotations

import copy
import json
from typing import Any, Callable, Mapping

import jsonpatch
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError

from tests.unit.operation.samples import CLUSTER

WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
POD = "/api/v1/namespaces/shop/pods/web-1"
Fault = Callable[[str, str], None]


class Server(Api):
    """``log`` holds every request that writes for real; ``rehearsed`` the dry runs. ``faults`` are called before each request,
    ``lost`` after each that wrote: both may raise, or change ``objects``."""

    def __init__(self) -> None:
        super().__init__(CLUSTER["server"], None, [])
        self.objects: dict[str, dict[str, Any]] = {"/api/v1/namespaces/kube-system": {"metadata": {"uid": CLUSTER["uid"]}}}
        self.user, self.allowed, self.serial = "deployer", True, 0
        self.log: list[str] = []
        self.rehearsed: list[str] = []
        self.faults: list[Fault] = []
        self.lost: list[Fault] = []
        self.mutate: Callable[[dict[str, Any]], None] = lambda document: None

    def put(self, path: str, document: dict[str, Any]) -> None:
        self.objects[path] = copy.deepcopy(document)

    def touch(self, path: str, **metadata: Any) -> None:
        """A write by somebody else that leaves the specification alone."""
        document = self.objects[path]["metadata"]
        document.update({"resourceVersion": str(int(document["resourceVersion"]) + 1), **metadata})

    def _send(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Any, content_type: str, accept: str, timeout: float, *, again: bool = False
    ) -> bytes:
        dry = (query or {}).get("dryRun") == "All" or (isinstance(body, dict) and body.get("dryRun") == ["All"])
        for fault in list(self.faults):
            fault(f"{method}{' dry' if dry else ''}", path)
        answer = getattr(self, f"_{method.lower()}")(path, json.loads(json.dumps(body)), dry)
        if method in ("PATCH", "DELETE"):
            (self.rehearsed if dry else self.log).append(f"{method} {path}")
        for fault in list(self.lost):
            fault(f"{method}{' dry' if dry else ''}", path)
        return json.dumps(answer).encode()

    def _get(self, path: str, body: Any, dry: bool) -> Any:
        if path not in self.objects:
            raise ApiError(404, "NotFound", f"{path} not found", f"GET {path}")
        return self.objects[path]

    def _post(self, path: str, body: Any, dry: bool) -> Any:
        if path.endswith("selfsubjectreviews"):
            return {"status": {"userInfo": {"username": self.user, "groups": ["g"]}}}
        if path.endswith("selfsubjectaccessreviews"):
            return {"status": {"allowed": self.allowed}}
        return self._created(path, body, dry)

    def _created(self, collection: str, body: Any, dry: bool) -> Any:
        path = f"{collection}/{body['metadata']['name']}"
        if path in self.objects:
            raise ApiError(409, "AlreadyExists", f"{path} already exists", f"POST {collection}")
        result = copy.deepcopy(body)
        self.serial += 1
        result["metadata"].update(uid=f"uid-made-{self.serial}", resourceVersion="1", creationTimestamp="2026-01-01T00:00:00Z")
        self.mutate(result)
        (self.rehearsed if dry else self.log).append(f"POST {collection}")
        if not dry:
            self.objects[path] = result
        return result

    def _patch(self, path: str, operations: Any, dry: bool) -> Any:
        live = self._get(path, None, dry)
        try:
            result = jsonpatch.apply_patch(live, operations)
        except jsonpatch.JsonPatchException as error:
            raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request", f"PATCH {path}") from error
        self.mutate(result)
        metadata = result["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        if "generation" in metadata and result.get("spec") != live.get("spec"):
            metadata["generation"] += 1
        if not dry:
            self.objects[path] = result
        return result

    def _delete(self, path: str, options: Any, dry: bool) -> Any:
        live = self._get(path, None, dry)
        if any(live["metadata"][name] != value for name, value in options["preconditions"].items()):
            raise ApiError(409, "Conflict", "the UID in the precondition does not match the UID in record", f"DELETE {path}")
        if not dry:
            del self.objects[path]
        return {"kind": "Status", "status": "Success"}


def remove(path: str) -> Callable[[Server], None]:
    """Somebody deletes an object."""

    def act(server: Server) -> None:
        del server.objects[path]

    return act


def refuse(status: int, when: str, reason: str = "Refused", once: bool = False) -> Fault:
    """A fault that answers requests like ``PATCH`` or ``PATCH dry`` with an error."""
    state = {"left": 1 if once else 10**6}

    def fault(method: str, path: str) -> None:
        if method == when and state["left"]:
            state["left"] -= 1
            raise ApiError(status, reason, "the message of the server", f"{method} {path}")

    return fault


def cut(when: str, error: Exception) -> Fault:
    def fault(method: str, path: str) -> None:
        if method == when:
            raise error

    return fault
