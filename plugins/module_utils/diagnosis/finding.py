# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A finding: a rule's conclusion about one workload, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Callable

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.catalogue import runbook
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

if TYPE_CHECKING:
    from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Evidence, Object, View

# a rule about one object of a snapshot: (view, object, evidence) -> what is wrong with it
ObjectRule = Callable[["View", "Object", "Evidence"], "Finding | None"]
SEVERITIES = ("info", "warning", "critical")


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
    severity: str = ""  # as the rule says; else by what of the workload still serves
    object: dict[str, str] = field(default_factory=dict)
    pods: list[dict[str, str]] = field(default_factory=list)
    affects: list[dict[str, str]] = field(default_factory=list)  # {kind, namespace, name} of what else fails because of this
    since: str = ""  # RFC 3339: when the failure was first visible; empty where that is not known
    impact: dict[str, Any] = field(default_factory=dict)  # {failing_pods, ready_pods, services[], affects}
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> tuple[str, ...]:
        """(kind, namespace, name) of the object."""
        return self.object["kind"], self.object["namespace"], self.object["name"]

    def document(self) -> dict[str, Any]:
        """The finding as it stands in results and records, without the secrets that a log line may have brought in."""
        document = {key: redact(value)[0] if isinstance(value, str) else value for key, value in asdict(self).items() if key != "details"}
        return {**document, "runbook": runbook(self.code)}
