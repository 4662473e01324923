# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for what a pod refers to: ConfigMaps, Secrets and keys that are missing, and configurations that the kubelet refuses."""

from __future__ import annotations

import re
from typing import Any, Iterator, NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.pod import containers_of
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.nearest import nearest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence, View, event_evidence, event_time

_MISSING_OBJECT = re.compile(r'(?i)\b(?P<kind>configmap|secret)s? "(?P<name>[^"]+)" (?:is )?not found')
_MISSING_KEY = re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>ConfigMap|Secret) (?P<name>\S+)")
_MISSING_VOLUME_KEY = re.compile(r'for volume "(?P<volume>[^"]+)" : .*references non-existent (?:config|secret) key: (?P<key>\S+)')
_ROOT = re.compile(
    r"runAsNonRoot and image (?:will run as root|has non-numeric user \((?P<user>[^)]*)\))|cannot run as root|must not run as root"
)
_RECENT_MOUNT = 600.0  # seconds since the kubelet last said that a volume cannot be mounted
_KINDS = {"configmap": "ConfigMap", "secret": "Secret"}


class Reference(NamedTuple):
    """One place of a pod that names a ConfigMap or Secret: ``where`` in words, ``key`` empty for the whole object."""

    kind: str
    name: str
    key: str
    where: str
    container: str
    optional: bool


def references(pod: dict[str, Any]) -> Iterator[Reference]:
    """Every ConfigMap and Secret that a pod names, and where."""
    spec = pod["spec"]
    for container in containers_of(spec):
        for variable in container.get("env", []):
            for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                source = (variable.get("valueFrom") or {}).get(field)
                if source:
                    where = f"environment variable {variable['name']} of container {container['name']}"
                    yield Reference(
                        kind, source.get("name", ""), source.get("key", ""), where, container["name"], bool(source.get("optional"))
                    )
        for bulk in container.get("envFrom", []):
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if bulk.get(field):
                    where = f"envFrom of container {container['name']}"
                    yield Reference(kind, bulk[field].get("name", ""), "", where, container["name"], bool(bulk[field].get("optional")))
    for volume_ in spec.get("volumes", []):
        for kind, source in _sources(volume_):
            name = source.get("name") or source.get("secretName") or ""
            where = f"volume {volume_['name']}"
            keys = [item.get("key", "") for item in source.get("items") or []] or [""]
            for key in keys:
                yield Reference(kind, name, key, where, "", bool(source.get("optional")))


def reference(container: Container, evidence: Evidence) -> Finding | None:
    """The kubelet cannot make the container from its configuration: something that it names is missing or not allowed."""
    waiting = container.waiting
    if waiting.get("reason") not in ("CreateContainerConfigError", "CreateContainerError"):
        return None
    message = waiting.get("message") or ""
    ids = [
        evidence.add(container.source(), "", f"waiting: {waiting['reason']}: {message}"),
        *event_evidence(evidence, container.view.events(container.pod, "Failed")),
    ]
    key, missing, root = _MISSING_KEY.search(message), _MISSING_OBJECT.search(message), _ROOT.search(message)
    if key:
        return _missing_key(container.view, container.pod, key["kind"], key["name"].rpartition("/")[2], key["key"], container.name, ids)
    if missing:
        return _missing_object(container.view, container.pod, _KINDS[missing["kind"].lower()], missing["name"], container.name, ids)
    if root:
        return _runs_as_root(container, root["user"], ids)
    if waiting["reason"] == "CreateContainerError":
        return None
    return Finding(
        code="ContainerConfigError",
        container=container.name,
        evidence=ids,
        details={},
        title=f"container {container.name} cannot be created from its configuration",
        root_cause=f"The kubelet refuses the configuration of container {container.name}: {message[:300]}",
        suggested_fix="Correct what the message names in the pod template.",
        expected_outcome="The container is created.",
    )


def volume(view: View, pod: dict[str, Any], evidence: Evidence) -> Finding | None:
    """A pod that waits for a volume whose ConfigMap or Secret, or a key of it, does not exist."""
    events = view.events(pod, "FailedMount")
    if pod.get("status", {}).get("phase") != "Pending" or not events or view.age(event_time(events[-1])) > _RECENT_MOUNT:
        return None
    for event in reversed(events):
        message = event.get("message", "")
        missing, key = _MISSING_OBJECT.search(message), _MISSING_VOLUME_KEY.search(message)
        if missing:
            return _missing_object(view, pod, _KINDS[missing["kind"].lower()], missing["name"], "", event_evidence(evidence, events))
        if key:
            kind, name = _source(pod, key["volume"], key["key"])
            return _missing_key(view, pod, kind, name, key["key"], "", event_evidence(evidence, events))
    return None


def mounted(container: Container, path: str) -> str:
    """A sentence on what is mounted where a path lies: volume, ConfigMap, Secret or claim, and the key behind it; "" for the image itself."""
    volumes = {one["name"]: one for one in container.pod["spec"].get("volumes") or []}
    over = [one for one in container.spec.get("volumeMounts") or [] if f"{path}/".startswith(f"{one['mountPath'].rstrip('/')}/")]
    if not path or not over:
        return ""
    mount = max(over, key=lambda one: len(one["mountPath"]))
    source = volumes.get(mount["name"]) or {}
    named = [(kind, str(one.get("name") or one.get("secretName"))) for kind, one in _sources(source)]
    claim = (source.get("persistentVolumeClaim") or {}).get("claimName")
    host = (source.get("hostPath") or {}).get("path")
    what = (
        f"hostPath {host}"
        if host
        else " and ".join(f"{kind} {name}" for kind, name in named)
        or (f"claim {claim}" if claim else next((one for one in source if one != "name"), ""))
    )
    part = mount.get("subPath")
    keys = (
        sorted((container.view.named("configmaps", container.pod["metadata"]["namespace"], named[0][1]) or {}).get("keys") or [])
        if named
        else []
    )
    has = f" (keys: {', '.join(keys)})" if keys else ""
    if part and named:
        return (
            f" {mount['mountPath']} is mounted with subPath {part} from {what}{has}: where that has no key {part}, an empty directory is"
            " there instead of the file."
        )
    return f" {mount['mountPath']} is the volume {mount['name']} ({what}{has})." if what else ""


def _sources(volume_: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind, source) of a volume, each part of a projected one."""
    for one in [volume_, *(volume_.get("projected") or {}).get("sources", [])]:
        for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            if one.get(field):
                yield kind, one[field]


def _source(pod: dict[str, Any], name: str, key: str) -> tuple[str, str]:
    """(kind, name) of what a volume is made of; of a projected one the source that asks for the key."""
    found = [(kind, source) for one in pod["spec"].get("volumes", []) if one["name"] == name for kind, source in _sources(one)]
    asks = [pair for pair in found if any(item.get("key") == key for item in pair[1].get("items") or [])]
    kind, source = (asks or found or [("ConfigMap", {"name": f"of volume {name}"})])[0]
    return kind, str(source.get("name") or source.get("secretName"))


def _places(pod: dict[str, Any], kind: str, name: str, key: str, container: str) -> list[Reference]:
    return [
        one
        for one in references(pod)
        if (one.kind, one.name) == (kind, name)
        and one.key in (("", key) if key else (one.key,))
        and (not container or one.container in ("", container))
    ]


def _said(places: list[Reference], otherwise: str) -> str:
    return " and ".join(dict.fromkeys(one.where for one in places)) or otherwise


def _missing_key(view: View, pod: dict[str, Any], kind: str, name: str, key: str, container: str, ids: list[str]) -> Finding:
    places = _places(pod, kind, name, key, container)
    who = _said(places, f"container {container}" if container else "a volume of the pod")
    source = view.named("configmaps", pod["metadata"]["namespace"], name) if kind == "ConfigMap" else None
    keys = sorted((source or {}).get("keys") or [])
    meant = nearest(key, keys)
    has = f" It has the keys {', '.join(keys)}." if keys else ""
    return Finding(
        code="ConfigKeyMissing",
        container=container,
        evidence=ids,
        details={"kind": kind, "name": name, "key": key, "meant": meant},
        title=f"{kind} {name} has no key {key}, which {who} needs",
        root_cause=(
            f"{kind} {name} exists but has no key {key}, so {who} cannot be set up.{has}{f' {meant} may be meant.' if meant else ''}"
        ),
        suggested_fix=(
            f"Correct the key to {meant} in {who}, if that is meant; else add the key {key} to {kind} {name}."
            if meant
            else f"Add the key {key} to {kind} {name}, correct the reference, or mark it optional."
        ),
        expected_outcome="The container is created by itself once the key is there.",
    )


def _missing_object(view: View, pod: dict[str, Any], kind: str, name: str, container: str, ids: list[str]) -> Finding:
    places = _places(pod, kind, name, "", container)
    who = _said(places, f"container {container}" if container else "a volume of the pod")
    namespace = pod["metadata"]["namespace"]
    known = [one["metadata"]["name"] for one in view.inside("configmaps", namespace)] if kind == "ConfigMap" else []
    meant = nearest(name, known)
    elsewhere = sorted(
        {one["metadata"]["namespace"] for one in view.objects.get("configmaps", []) if one["metadata"]["name"] == name} - {namespace}
    )
    hint = f" The namespace has a {kind} {meant}, which may be meant." if meant else ""
    hint += (
        f" One of this name is in namespace {', '.join(elsewhere[:3])}, where this pod cannot reach it."
        if elsewhere and kind == "ConfigMap"
        else ""
    )
    values = " with the right values (they are for a person to give)" if kind == "Secret" else ""
    return Finding(
        code=f"{kind}Missing",
        container=container,
        evidence=ids,
        details={"kind": kind, "name": name, "key": "", "meant": meant},
        title=f"{kind} {name} does not exist, and {who} needs it",
        root_cause=f"{kind} {name} does not exist in namespace {namespace}, so {who} cannot be set up.{hint}",
        suggested_fix=f"Create {kind} {name}{values}, or correct the reference to it" + (f" ({meant})." if meant else "."),
        expected_outcome="The pod starts by itself once the object is there.",
    )


def _runs_as_root(container: Container, user: str | None, ids: list[str]) -> Finding:
    why = f"its image names the user {user!r}, and only a number can be checked" if user else "its image runs as root"
    return Finding(
        code="RunAsNonRootViolated",
        container=container.name,
        evidence=ids,
        details={},
        title=f"container {container.name} must not run as root, and its image would",
        root_cause=(
            f"The security context of container {container.name} demands runAsNonRoot, but {why} ({container.spec.get('image')}), and"
            " runAsUser is not set."
        ),
        suggested_fix=(
            "Set securityContext.runAsUser to a user id other than 0 that the image is made for, or use an image with a numeric USER. Do"
            " not lift runAsNonRoot."
        ),
        expected_outcome="The container is created and runs as that user.",
    )
