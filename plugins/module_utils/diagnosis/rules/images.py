# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rules for images that cannot be had: what the runtime's message says about the registry, the reference and the node."""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.nearest import nearest
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Container, Evidence, event_evidence

_PULL_REASONS = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable")


class _Cause(NamedTuple):
    """``pattern``: in the runtime's message without names and addresses; the first that matches counts."""

    code: str
    pattern: re.Pattern[str]
    what: str
    fix: str


_CAUSES = (
    _Cause(
        "ImageWrongArchitecture",
        re.compile(r"(?i)no match for platform|no matching manifest for|does not match the (?:specified|expected) platform"),
        "The image {image} is not built for the processor architecture of node {node}",
        "Use an image that is built for the architecture of the node, or place the pod on nodes of the image's architecture (nodeSelector"
        " kubernetes.io/arch).",
    ),
    _Cause(
        "ImagePullRefused",
        re.compile(
            r"(?i)unauthorized|authorization failed|authentication required|pull access denied|insufficient_scope|no basic auth"
            r"|\b401\b|\b403\b|forbidden|denied"
        ),
        "The registry refuses to give the image {image} to this cluster",
        "Check the name first; then correct the imagePullSecrets of the pod or of its service account (the credentials are for a person to"
        " give).",
    ),
    _Cause(
        "ImagePullFailed",
        re.compile(r"(?i)too ?many ?requests|\b429\b|rate limit"),
        "The registry's rate limit is used up, so the image {image} is not served",
        "Wait until the limit is renewed, log in with imagePullSecrets, or pull through a mirror.",
    ),
    _Cause(
        "ImagePullFailed",
        re.compile(r"(?i)x509|certificate|tls|server gave HTTP response to HTTPS client"),
        "The node does not accept the registry's certificate, so the image {image} cannot be pulled",
        "Give the container runtime of the nodes the registry's CA certificate, or correct the registry's certificate.",
    ),
    _Cause(
        "ImagePullFailed",
        re.compile(r"(?i)no space left|disk quota"),
        "The disk of node {node} is full, so the image {image} cannot be unpacked",
        "Free disk space on the node (images, logs), or use another node.",
    ),
    _Cause(
        "ImagePullFailed",
        re.compile(r"(?i)no such host|server misbehaving|name resolution"),
        "The registry of image {image} has a host name that cannot be resolved on the node",
        "Check the registry's name in the image reference for a typo, then the DNS of the nodes.",
    ),
    _Cause(
        "ImagePullFailed",
        re.compile(
            r"(?i)dial tcp|i/o timeout|connection refused|connection reset|deadline exceeded|no route|unreachable|\bEOF\b|\b50[0-9]\b"
        ),
        "The registry of image {image} cannot be reached from node {node}",
        "Check the registry's name in the image reference, the node's network and proxy, and whether the registry runs.",
    ),
    _Cause(
        "ImageNotFound",
        re.compile(r"(?i)not found|manifest unknown|name unknown|does not exist|repository unknown"),
        "The registry has no image {image}",
        "Use an image and tag that exist, or return to the revision that ran.",
    ),
)
_OTHER = _Cause(
    "ImagePullFailed",
    _CAUSES[-1].pattern,
    "The image {image} could not be pulled",
    "Read the runtime's message, and pull the image by hand on the node.",
)
_BY_REASON = {
    "InvalidImageName": _Cause(
        "InvalidImageName",
        _CAUSES[-1].pattern,
        "The image reference {image!r} is not valid",
        "Correct the image reference in the pod template: [registry/]repository[:tag], the repository in lower case.",
    ),
    "ErrImageNeverPull": _Cause(
        "ImageNeverPulled",
        _CAUSES[-1].pattern,
        "The image {image} is not on node {node}, and imagePullPolicy Never forbids to pull it",
        "Load the image onto the node, correct its name, or use imagePullPolicy IfNotPresent.",
    ),
}
_NAMES = re.compile(r'\\?"[^"]*"|https?://\S+')
_AMBIGUOUS = re.compile(r"(?i)does not exist or may require")


def image(container: Container, evidence: Evidence) -> Finding | None:
    """The image of a waiting container cannot be had."""
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
    cause = _BY_REASON.get(reason) or _cause(message, name)
    ids = [
        evidence.add(container.source(), "", f"waiting: {reason}: {container.waiting.get('message') or ''}"),
        *event_evidence(evidence, telling),
    ]
    known = _known(container, name)
    what = cause.what.format(image=name, node=container.pod["spec"].get("nodeName", ""))
    if _AMBIGUOUS.search(message):
        what += ": either no such repository exists, or it is private and the pod has no credentials for it"
    secrets = [one.get("name", "") for one in container.pod["spec"].get("imagePullSecrets", [])]
    if cause.code == "ImagePullRefused":
        what += f". The pod has {'imagePullSecrets ' + ', '.join(secrets) if secrets else 'no imagePullSecrets'}"
    return Finding(
        code=cause.code,
        container=container.name,
        evidence=ids,
        details={"image": name, "known_image": known},
        title=f"container {container.name} cannot get its image {name}",
        root_cause=f"{what}." + (f" {known} is in use here and differs only a little: a typo is likely." if known else ""),
        suggested_fix=cause.fix,
        expected_outcome="The image is pulled and the container starts.",
    )


def _cause(message: str, name: str) -> _Cause:
    # what the registry answered stands last in the message; "not found" of a token server is still a refusal
    message = _NAMES.sub("", message).replace(name, "")  # an image may be called tls-proxy:401
    return next((cause for cause in _CAUSES if cause.pattern.search(message)), _OTHER)


def _known(container: Container, name: str) -> str:
    """An image that runs in this namespace and is nearly called the same; the same repository with another tag counts as well."""
    used = {
        one["image"]
        for pod in container.view.inside("pods", container.pod["metadata"]["namespace"])
        for one, status in _with_status(pod)
        if one.get("image") and one["image"] != name and (status.get("ready") or status.get("restartCount"))
    }
    same = sorted(one for one in used if _repository(one) == _repository(name))
    return same[-1] if same else nearest(name, used)


def _with_status(pod: dict[str, object]) -> list[tuple[dict[str, str], dict[str, object]]]:
    spec, status = pod["spec"], pod.get("status", {})
    by_name = {one["name"]: one for one in status.get("containerStatuses", [])}  # type: ignore[attr-defined]
    return [(one, by_name.get(one["name"], {})) for one in spec.get("containers", [])]  # type: ignore[attr-defined]


def _repository(name: str) -> str:
    head, _at, _digest = name.partition("@")
    path, _slash, last = head.rpartition("/")
    return f"{path}/{last.partition(':')[0]}"
