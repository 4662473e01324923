# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the cluster says about changes: the objects that aiops.k8s wrote to or that carry its marks, read as metadata in pages.

Only list and get are used. What may not be read is named in the coverage. Errors: BadInput, Unreachable, ApiError where the cluster cannot be
read at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Iterator, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster import objects
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import FIELD_MANAGER, METADATA, Api, ApiError, segment
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.model import Facts
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation import patch

Kind = tuple[str, str]
# kinds that are always looked at; every kind that a plan changes comes on top
KINDS: tuple[Kind, ...] = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
)
_DELETED_ONLY = ("Pod",)  # plans delete them and never write to them: read by name, not listed


@dataclass(frozen=True)
class Seen:
    """An object. ``ours``: when aiops.k8s last wrote to it, as the API server says, "" for never; ``record``, ``digest``: its marks."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    generation: int | None
    ours: str
    record: str
    digest: str
    controlled: bool  # it has its annotations from the object that controls it
    deleting: bool

    @property
    def title(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind.lower()}/{self.name}{where}"

    @property
    def reference(self) -> dict[str, str]:
        return {"apiVersion": self.api_version, "kind": self.kind, "namespace": self.namespace, "name": self.name, "uid": self.uid}


@dataclass
class Inventory:
    """What was read. ``read``: kinds that were read everywhere they had to be; ``missing``: {what, missing} that were not."""

    cluster: dict[str, str]
    skew: float | None
    seen: list[Seen] = field(default_factory=list)
    read: list[Kind] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)

    def covers(self, subject: Mapping[str, str], namespaces: list[str]) -> bool:
        known = any(kind == (subject.get("apiVersion"), subject.get("kind")) for kind in self.read)
        return known and (not namespaces or subject.get("namespace", "") in namespaces)


def inventory(api: Api, records: Iterable[Facts], namespaces: list[str]) -> Inventory:
    """Objects that aiops.k8s wrote to, that carry a mark, or that a record of this cluster is about. ``namespaces``: only these; all when empty."""
    found = Inventory(objects.cluster_identity(api), api.clock_skew)
    here = [one for one in records if one.cluster == found.cluster["uid"]]
    subjects = [change.object for one in here for change in one.changes]
    wanted = {(one.get("kind", ""), one.get("namespace", ""), one.get("name", "")) for one in subjects}
    uids = {one.get("uid", "") for one in subjects}
    touched = {(str(one.get("apiVersion")), str(one.get("kind"))) for one in subjects}
    known = sorted({one.get("namespace", "") for one in subjects} - {""})
    for kind in (*KINDS, *sorted(touched - set(KINDS))):
        if kind[1] in _DELETED_ONLY:
            continue
        read, complete = _listed(api, kind, namespaces, known, found.missing)
        found.seen += [
            one for one in read if one.ours or one.record or one.digest or one.uid in uids or (one.kind, one.namespace, one.name) in wanted
        ]
        if complete:
            found.read.append(kind)
    return found


def _listed(api: Api, kind: Kind, namespaces: list[str], known: list[str], missing: list[dict[str, str]]) -> tuple[list[Seen], bool]:
    """(objects of a kind, whether all of them). Where the whole cluster may not be listed, the namespaces of the records are."""
    try:
        resource = f"{_group(kind[0])}", objects.plural(api, *kind)
        if namespaces:
            return [
                one for name in namespaces for one in _pages(api, kind, f"{resource[0]}/namespaces/{segment(name)}/{resource[1]}")
            ], True
        return list(_pages(api, kind, f"{resource[0]}/{resource[1]}")), True
    except ApiError as error:
        reason = error
        if error.status != 403 or namespaces:
            missing.append({"what": kind[1], "missing": _said(error)})
            return [], False
    except AiopsError as error:
        missing.append({"what": kind[1], "missing": error.message})
        return [], False
    read: list[Seen] = []
    for name in known:
        try:
            read += _pages(api, kind, f"{resource[0]}/namespaces/{segment(name)}/{resource[1]}")
        except ApiError as error:
            missing.append({"what": f"{kind[1]} in namespace {name}", "missing": _said(error)})
            return read, False
    where = f"read only in {', '.join(known)}: " if known else ""
    missing.append({"what": f"{kind[1]} of all namespaces", "missing": where + _said(reason)})
    return read, bool(known)


def _said(error: ApiError) -> str:
    return f"{error.status} {error.reason}: {error.text}"


def _group(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _pages(api: Api, kind: Kind, path: str) -> Iterator[Seen]:
    for item in api.pages(path, accept=METADATA):
        yield seen(kind, item["metadata"])


def seen(kind: Kind, metadata: Mapping[str, Any]) -> Seen:
    """An object by its metadata."""
    record, digest = patch.mark_of({"metadata": metadata})
    times = [str(one.get("time") or "") for one in metadata.get("managedFields") or [] if one.get("manager") == FIELD_MANAGER]
    return Seen(
        kind[0],
        kind[1],
        metadata.get("namespace", ""),
        metadata["name"],
        metadata["uid"],
        metadata.get("generation"),
        max(times, default=""),
        record,
        digest,
        any(one.get("controller") for one in metadata.get("ownerReferences") or []),
        "deletionTimestamp" in metadata,
    )


def reader(api: Api) -> Callable[[Mapping[str, str]], dict[str, Any] | None]:
    """Reads one whole object; None where it does not exist."""
    return lambda subject: objects.read(api, subject)
