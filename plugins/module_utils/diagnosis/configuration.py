# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for containers that cannot be created: images that cannot be had, ConfigMaps, Secrets and keys that are missing."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence, View, event_evidence, event_time

_PULL_REASONS = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable")
# (code, pattern in the runtime's message, what it means, fix)
_PULL_CAUSES = (
    (
        "ImagePullRefused",
        re.compile(
            r"(?i)unauthorized|authorization failed|authentication required|pull access"
            r" denied|insufficient_scope|\b401\b|\b403\b|forbidden|denied"
        ),
        "The registry refuses to give the image to this cluster",
        "Correct the imagePullSecrets of the pod or of its service account; the credentials are for a person to give.",
    ),
    (
        "ImagePullFailed",
        re.compile(
            r"(?i)no such host|dial tcp|i/o timeout|connection refused|x509|tls|too ?many ?requests|\b429\b|deadline exceeded|no"
            r" route|server misbehaving|\b50[0-9]\b"
        ),
        "The registry cannot be reached from the node",
        "Check the registry's name, the node's network and proxy, its certificates and its rate limit.",
    ),
    (
        "ImageNotFound",
        re.compile(r"(?i)not found|manifest unknown|name unknown|does not exist|no match for platform"),
        "The registry has no such image or tag",
        "Use an image and tag that exist, or return to the revision that ran.",
    ),
)
_NAMES = re.compile(r'\\?"[^"]*"|https?://\S+')
_MISSING_OBJECT = re.compile(r'(?i)\b(?P<kind>configmap|secret)s? "(?P<name>[^"]+)" (?:is )?not found')
_MISSING_KEY = re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>ConfigMap|Secret) (?P<name>\S+)")
_MISSING_VOLUME_KEY = re.compile(r'for volume "(?P<volume>[^"]+)" : .*references non-existent (?:config|secret) key: (?P<key>\S+)')


def image(container: Container, evidence: Evidence) -> Finding | None:
    reason = container.waiting.get("reason")
    if reason not in _PULL_REASONS:
        return None
    name = container.spec.get("image", "")
    events = [
        event
        for event in container.view.events(container.pod, "Failed", "InspectFailed", "ErrImageNeverPull", "BackOff")
        if name in event.get("message", "") or "ImagePull" in event.get("message", "")
    ]
    telling = [event for event in events if "Failed to pull" in event.get("message", "")] or events
    message = " ".join([container.waiting.get("message") or "", *(event.get("message", "") for event in telling)])
    if reason == "InvalidImageName":
        code, what, fix = "InvalidImageName", "The image reference is not valid", "Correct the image reference in the pod template."
    elif reason == "ErrImageNeverPull":
        code, what, fix = (
            "ImageNeverPulled",
            "The image is not on the node, and imagePullPolicy Never forbids to pull it",
            "Load the image onto the node, or use imagePullPolicy IfNotPresent.",
        )
    else:
        code, what, fix = _pull_cause(message, name)
    ids = [
        evidence.add(container.source(), "", f"waiting: {reason}: {container.waiting.get('message') or ''}"),
        *event_evidence(evidence, telling),
    ]
    return Finding(
        code=code,
        container=container.name,
        evidence=ids,
        details={},
        title=f"container {container.name} cannot get its image {name}",
        root_cause=f"{what}: {name}.",
        suggested_fix=fix,
        expected_outcome="The image is pulled and the container starts.",
    )


def _pull_cause(message: str, name: str) -> tuple[str, str, str]:
    # what the registry answered stands last in the message; "not found" of a token server is still a refusal
    message = _NAMES.sub("", message).replace(name, "")  # an image may be called tls-proxy:401
    for code, pattern, what, fix in _PULL_CAUSES:
        if pattern.search(message):
            return code, what, fix
    return "ImagePullFailed", "The image could not be pulled", "Read the runtime's message, and pull the image by hand on the node."


def reference(container: Container, evidence: Evidence) -> Finding | None:
    waiting = container.waiting
    if waiting.get("reason") not in ("CreateContainerConfigError", "CreateContainerError"):
        return None
    message = waiting.get("message") or ""
    ids = [
        evidence.add(container.source(), "", f"waiting: {waiting['reason']}: {message}"),
        *event_evidence(evidence, container.view.events(container.pod, "Failed")),
    ]
    key, missing = _MISSING_KEY.search(message), _MISSING_OBJECT.search(message)
    if key:
        return _missing_key(key["key"], key["kind"], key["name"].rpartition("/")[2], f"container {container.name}", container.name, ids)
    if missing:
        return _missing_object(missing["kind"], missing["name"], f"container {container.name}", container.name, ids)
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
    if pod.get("status", {}).get("phase") != "Pending" or not events or view.age(event_time(events[-1])) > 600:
        return None
    for event in reversed(events):
        message = event.get("message", "")
        missing, key = _MISSING_OBJECT.search(message), _MISSING_VOLUME_KEY.search(message)
        if missing:
            return _missing_object(missing["kind"], missing["name"], "a volume of the pod", "", event_evidence(evidence, events))
        if key:
            return _missing_key(key["key"], *_source(pod, key["volume"]), f"volume {key['volume']}", "", event_evidence(evidence, events))
    return None


def _source(pod: dict[str, Any], name: str) -> tuple[str, str]:
    """(kind, name) of what a volume is made of."""
    volume_: dict[str, Any] = next((one for one in pod["spec"].get("volumes", []) if one["name"] == name), {})
    if "configMap" in volume_:
        return "ConfigMap", str(volume_["configMap"].get("name"))
    if "secret" in volume_:
        return "Secret", str(volume_["secret"].get("secretName"))
    return "a source", f"of volume {name}"


def _missing_key(key: str, kind: str, name: str, who: str, container: str, ids: list[str]) -> Finding:
    return Finding(
        code="ConfigKeyMissing",
        container=container,
        evidence=ids,
        details={},
        title=f"{who} needs the key {key}, which {kind} {name} does not hold",
        root_cause=f"{kind} {name} exists but has no key {key}, so {who} cannot be created.",
        suggested_fix=f"Add the key {key} to {kind} {name}, correct the reference, or mark it optional.",
        expected_outcome="It is created by itself once the key is there.",
    )


def _missing_object(kind: str, name: str, who: str, container: str, ids: list[str]) -> Finding:
    kind = {"configmap": "ConfigMap", "secret": "Secret"}[kind.lower()]
    return Finding(
        code=f"{kind}Missing",
        container=container,
        evidence=ids,
        details={},
        title=f"{kind} {name} does not exist, and {who} needs it",
        root_cause=f"{kind} {name} is not in the namespace, so {who} cannot be set up.",
        suggested_fix=f"Create {kind} {name}"
        + (" with the right values (they are for a person to give)" if kind == "Secret" else "")
        + ", or correct the reference to it.",
        expected_outcome="The pod starts by itself once the object is there.",
    )
