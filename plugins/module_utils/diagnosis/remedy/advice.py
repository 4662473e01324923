# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The commands by which a person looks at a finding and mends it: exact ones, with the names of the case. They only read, unless they say so."""

from __future__ import annotations

import shlex
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.catalogue import CODES
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding

_DESCRIBE_POD = "kubectl -n {namespace} describe pod {pod}"
_LOG = "kubectl -n {namespace} logs {pod} -c {container} --previous --tail=50"
_EVENTS = "kubectl -n {namespace} get events --field-selector involvedObject.name={name} --sort-by=.lastTimestamp"
_HISTORY = "kubectl -n {namespace} rollout history {kind}/{name}"
_GET = "kubectl -n {namespace} get {kind} {name} -o yaml"

# area -> commands that look
LOOK: dict[str, tuple[str, ...]] = {
    "images": (_DESCRIBE_POD, _HISTORY, "kubectl -n {namespace} get pod {pod} -o jsonpath='{{.spec.imagePullSecrets}}'"),
    "configuration": (_DESCRIBE_POD, "kubectl -n {namespace} get configmaps,secrets", _HISTORY),
    "storage": ("kubectl -n {namespace} describe pvc", "kubectl get storageclass,pv", _EVENTS),
    "placement": (_DESCRIBE_POD, "kubectl describe nodes", "kubectl get nodes --show-labels", _HISTORY),
    "creation": (_EVENTS, "kubectl -n {namespace} describe resourcequota,limitrange", "kubectl get namespace {namespace} --show-labels"),
    "termination": (_DESCRIBE_POD, _LOG, _HISTORY),
    "application": (_LOG, _DESCRIBE_POD, _HISTORY),
    "initialisation": (
        "kubectl -n {namespace} logs {pod} -c {container} --tail=50",
        _DESCRIBE_POD,
        "kubectl -n {namespace} get services,endpointslices",
    ),
    "probes": (_DESCRIBE_POD, "kubectl -n {namespace} logs {pod} -c {container} --tail=50", _HISTORY),
    "nodes": ("kubectl get nodes", "kubectl -n {namespace} get pods -o wide --field-selector=status.phase=Failed", _EVENTS),
    "rollouts": ("kubectl -n {namespace} rollout status {kind}/{name} --timeout=5s", _HISTORY, _EVENTS),
    "jobs": ("kubectl -n {namespace} describe {kind} {name}", "kubectl -n {namespace} get pods -l job-name={name}", _EVENTS),
    "services": (
        "kubectl -n {namespace} describe {kind} {name}",
        "kubectl -n {namespace} get endpointslices",
        "kubectl -n {namespace} get pods --show-labels",
    ),
    "cluster": (
        "kubectl -n kube-system get pods,endpointslices -l k8s-app=kube-dns",
        "kubectl -n kube-system logs -l k8s-app=kube-dns --tail=50",
    ),
}
# code -> commands that mend, as far as the facts go; what only a person knows stands in <>
MEND: dict[str, tuple[str, ...]] = {
    "ImageNotFound": ("kubectl -n {namespace} set image {kind}/{name} {container}=<image that exists>",),
    "ImagePullRefused": (
        (
            "kubectl -n {namespace} create secret docker-registry <name> --docker-server=<registry> --docker-username=<user>"
            " --docker-password=<password>"
        ),
        'kubectl -n {namespace} patch serviceaccount default -p \'{{"imagePullSecrets":[{{"name":"<name>"}}]}}\'',
    ),
    "InvalidImageName": ("kubectl -n {namespace} set image {kind}/{name} {container}=<image>",),
    "ConfigMapMissing": ("kubectl -n {namespace} create configmap {missing} --from-file=<key>=<file>",),
    "SecretMissing": ("kubectl -n {namespace} create secret generic {missing} --from-file=<key>=<file>",),
    "ConfigKeyMissing": ("kubectl -n {namespace} edit {missing_kind} {missing}",),
    "ServiceAccountMissing": ("kubectl -n {namespace} create serviceaccount {missing}",),
    "ClaimMissing": ("kubectl -n {namespace} apply -f <claim {missing}>",),
    "NodesCordoned": ("kubectl uncordon <node>",),
    "OOMKilledNoLimit": (
        "kubectl -n {namespace} top pod {pod} --containers",
        "kubectl -n {namespace} set resources {kind}/{name} -c {container} --requests=memory=<measured> --limits=memory=<bound>",
    ),
    "Evicted": ("kubectl -n {namespace} delete pods --field-selector=status.phase=Failed",),
    "PodRejected": ("kubectl -n {namespace} delete pods --field-selector=status.phase=Failed",),
    "JobFailed": (
        (
            "kubectl -n {namespace} get job {name} -o json | kubectl -n {namespace} replace --force -f - # after its cause is mended; runs"
            " it again"
        ),
    ),
    "NodeNotReady": (
        "kubectl describe node {name}",
        "kubectl drain {name} --ignore-daemonsets --delete-emptydir-data # once it is clear that it stays away",
    ),
    "StuckTerminating": (_GET + " # its finalizers, and who owns them",),
    "RolloutStuck": ("kubectl -n {namespace} rollout undo {kind}/{name}",),
}


def commands(finding: Finding) -> list[str]:
    """Commands for a shell, with the names of this finding quoted: first those that look, then those that mend."""
    words: dict[str, Any] = {
        "namespace": finding.object["namespace"] or "default",
        "kind": finding.object["kind"].lower(),
        "name": finding.object["name"],
        "pod": finding.pods[0]["name"] if finding.pods else "",
        "container": finding.container,
        "missing": finding.details.get("name", ""),
        "missing_kind": str(finding.details.get("kind", "configmap")).lower(),
    }
    quoted = {key: shlex.quote(str(value)) if value else "" for key, value in words.items()}
    area = CODES[finding.code].area
    wanted = [*LOOK.get(area, ()), *MEND.get(finding.code, ())]
    return [
        line.format(**quoted) for line in wanted if all(words[name] for name in words if f"{{{name}}}" in line) and _applies(line, finding)
    ]


def _applies(line: str, finding: Finding) -> bool:
    """Whether a command makes sense for this kind of object: only some have a rollout."""
    return "rollout" not in line or finding.object["kind"] in ("Deployment", "StatefulSet", "DaemonSet")
