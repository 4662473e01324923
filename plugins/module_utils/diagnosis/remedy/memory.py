# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""More memory for a container that the kernel killed for it: one bounded step."""

from __future__ import annotations

import copy
import math

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.backends import named
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.finding import Finding
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts.quantity import amount, memory
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.remedy.model import (
    Bounds,
    Outcome,
    Remedy,
    container_of,
    managed,
    without_template,
)
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.view import Object, View
from ansible_collections.aiops.k8s.plugins.module_utils.operation import plan as plans

_SMALL_LIMIT = 2**30  # below 1 GiB a limit is doubled, from there on it grows by half


def raise_memory_limit(view: View, finding: Finding, workload: Object, bounds: Bounds) -> Outcome:
    fixed = without_template(workload, "the memory limit")
    if fixed:
        return None, fixed
    desired = copy.deepcopy(workload)
    container = container_of(desired, finding.container)
    if container is None:
        return (
            None,
            f"container {finding.container} is not in the template; change its memory limit where it is injected (an admission webhook)",
        )
    resources = container.get("resources", {})
    old = resources.get("limits", {}).get("memory")
    if not old:
        return (
            None,
            (
                f"the template of {named(workload)} sets no memory limit, so the limit comes from"
                " elsewhere (a LimitRange or an admission webhook)"
            ),
        )
    if amount(old) != amount(finding.details["limit"]):
        return (
            None,
            (
                f"the template sets a memory limit of {old} now, the killed container ran with {finding.details['limit']}: it is of"
                " another revision"
            ),
        )
    cap, whose = _memory_ceiling(view, workload, bounds)
    new = min(_next_step(amount(old)), cap // 2**20 * 2**20)  # in whole Mi, and never above the bound
    if new <= amount(old):
        return (
            None,
            (
                f"the memory limit of {old} is already at the highest allowed value ({memory(cap // 2**20 * 2**20)}, {whose}); look for a"
                " leak, or raise memory_limit_max deliberately"
            ),
        )
    resources["limits"]["memory"] = memory(new)
    notes = []
    request = resources.get("requests", {}).get("memory")
    if request and amount(request) == amount(old):
        resources["requests"]["memory"] = memory(new)
        notes.append("the request is raised with the limit, because they were equal (QoS class of the pod)")
    refusal = _quota_refuses(view, workload, new - amount(old))
    if refusal:
        return None, refusal
    return (
        Remedy(
            "raise_memory_limit",
            f"raise the memory limit of container {finding.container} from {old} to {memory(new)}",
            [plans.patch_change("C1", workload, desired)],
            f"the limit is set back to {old}, which starts another rolling update",
            notes + managed(workload),
            [
                "one step only: if it is killed again at the new limit, the change is undone, and a leak is likelier than a limit that is"
                " too low"
            ],
        ),
        "",
    )


def _next_step(limit: float) -> float:
    grown = limit * 2 if limit < _SMALL_LIMIT else limit * 1.5
    return math.ceil(grown / 2**20) * 2**20


def _memory_ceiling(view: View, workload: Object, bounds: Bounds) -> tuple[float, str]:
    """(bytes, whose bound it is): the lowest of the user's, the LimitRanges' and the largest node's."""
    namespace = workload["metadata"].get("namespace", "")
    ceilings = [(bounds.memory_cap, "option memory_limit_max")]
    for limits in view.objects.get("limitranges", []):
        for item in limits["spec"].get("limits", []):
            if limits["metadata"]["namespace"] == namespace and item.get("type") == "Container" and "memory" in item.get("max", {}):
                ceilings.append((amount(item["max"]["memory"]), f"LimitRange {limits['metadata']['name']}"))
    nodes = [
        amount(node["status"]["allocatable"]["memory"])
        for node in view.objects.get("nodes", [])
        if "memory" in node.get("status", {}).get("allocatable", {})
    ]
    if nodes:
        ceilings.append((max(nodes), "the largest node"))
    return min(ceilings)


def _quota_refuses(view: View, workload: Object, more: float) -> str:
    for quota in view.objects.get("resourcequotas", []):
        if quota["metadata"]["namespace"] != workload["metadata"].get("namespace"):
            continue
        hard, used = quota.get("status", {}).get("hard", {}), quota.get("status", {}).get("used", {})
        pods = (
            workload.get("status", {}).get("desiredNumberScheduled", 1)
            if workload["kind"] == "DaemonSet"
            else workload["spec"].get("replicas", 1)
        )
        needed = more * pods
        if "limits.memory" in hard and amount(used.get("limits.memory", "0")) + needed > amount(hard["limits.memory"]):
            return (
                f"ResourceQuota {quota['metadata']['name']} allows {hard['limits.memory']} of memory limits,"
                f" {used.get('limits.memory', '0')} are used, and {memory(needed)} more would be needed"
            )
    return ""
