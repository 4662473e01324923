# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A finding: a rule's conclusion about one workload, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

SEVERITIES = ("info", "warning", "critical")

# code -> runbook below docs/runbooks
RUNBOOKS = {
    "OOMKilled": "troubleshoot-oomkilled.md",
    "OOMKilledNoLimit": "troubleshoot-oomkilled.md",
    "KilledNotOOM": "troubleshoot-oomkilled.md",
    "ImageNotFound": "troubleshoot-image-pull.md",
    "ImagePullRefused": "troubleshoot-image-pull.md",
    "ImagePullFailed": "troubleshoot-image-pull.md",
    "InvalidImageName": "troubleshoot-image-pull.md",
    "ImageNeverPulled": "troubleshoot-image-pull.md",
    "ConfigMapMissing": "troubleshoot-missing-configuration.md",
    "SecretMissing": "troubleshoot-missing-configuration.md",
    "ConfigKeyMissing": "troubleshoot-missing-configuration.md",
    "ContainerConfigError": "troubleshoot-missing-configuration.md",
    "InsufficientCPU": "troubleshoot-unschedulable.md",
    "InsufficientMemory": "troubleshoot-unschedulable.md",
    "Unschedulable": "troubleshoot-unschedulable.md",
    "SchedulingGated": "troubleshoot-unschedulable.md",
    "PodsNotCreated": "troubleshoot-unschedulable.md",
    "LivenessProbeFailing": "troubleshoot-probes.md",
    "ReadinessProbeFailing": "troubleshoot-probes.md",
    "StartupProbeFailing": "troubleshoot-probes.md",
}
_DEFAULT_RUNBOOK = "troubleshoot-crashloopbackoff.md"


@dataclass
class Finding:
    """What a rule found. ``details`` holds the facts that remedies build on; it is not part of the result document."""

    code: str
    title: str
    root_cause: str
    suggested_fix: str
    expected_outcome: str
    evidence: list[str]
    container: str = ""
    severity: str = "critical"
    object: dict[str, str] = field(default_factory=dict)
    pods: list[dict[str, str]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The finding as it stands in results and records, without the secrets that a log line may have brought in."""
        document = {key: redact(value)[0] if isinstance(value, str) else value for key, value in asdict(self).items() if key != "details"}
        return {**document, "runbook": f"docs/runbooks/{RUNBOOKS.get(self.code, _DEFAULT_RUNBOOK)}"}
