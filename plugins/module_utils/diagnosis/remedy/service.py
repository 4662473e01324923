# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Services that miss their pods: the selector, or the target port, as the pods themselves have it."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import Bounds, Outcome, Remedy, edited, managed
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View

_UNDO = "the Service is set back to what it was"


def correct_selector(view: View, finding: Finding, service: Object, bounds: Bounds) -> Outcome:
    """The selector that takes in the pods which the Service evidently means."""
    wanted = finding.details.get("selector_fix")
    if not wanted or service["kind"] != "Service":
        return None, "which pods the Service means is not clear from their labels"
    taken = view.selected(service["metadata"]["namespace"], wanted)
    meant = finding.details.get("workload") or {}
    strangers = sorted({view.workload(pod)["metadata"]["name"] for pod in taken} - {meant.get("name")})
    if strangers:
        return None, f"the selector that would fit takes in pods of {', '.join(strangers)} as well"

    def edit(desired: Object) -> None:
        desired["spec"]["selector"] = dict(wanted)

    changes = edited(service, edit)
    if not changes:
        return None, ""
    old = ", ".join(f"{key}={value}" for key, value in sorted((service["spec"].get("selector") or {}).items())) or "no label"
    new = ", ".join(f"{key}={value}" for key, value in sorted(wanted.items()))
    return (
        Remedy(
            "correct_selector",
            f"make Service {service['metadata']['name']} select {new} instead of {old}",
            changes,
            _UNDO,
            [f"it selects {len(taken)} pod(s) of {meant.get('kind', '').lower()}/{meant.get('name', '')} then", *managed(service)],
            ["it does not touch the pods or their labels"],
            replaces=0,
        ),
        "",
    )


def correct_target_port(view: View, finding: Finding, service: Object, bounds: Bounds) -> Outcome:
    """The target port that the pods serve, where they declare exactly one that fits."""
    right, port = finding.details.get("fix"), finding.details.get("port") or {}
    if not right or service["kind"] != "Service":
        return None, "which port the pods serve is not clear from what they declare"

    def edit(desired: Object) -> None:
        for one in desired["spec"]["ports"]:
            if one.get("name") == port.get("name") and one["port"] == port.get("port"):
                one["targetPort"] = right

    changes = edited(service, edit)
    if not changes:
        return None, ""
    return (
        Remedy(
            "correct_target_port",
            f"send port {port.get('port')} of Service {service['metadata']['name']} to {right} instead of {finding.details.get('target')}",
            changes,
            _UNDO,
            [f"the pods declare {', '.join(map(str, finding.details.get('serves', [])))}", *managed(service)],
            ["it does not touch the pods; that they answer on this port is their declaration, not proven by a request"],
            replaces=0,
        ),
        "",
    )
