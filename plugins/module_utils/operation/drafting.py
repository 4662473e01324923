# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From changes to a draft of a plan, or to the reason why there is none: not what failed before, bound to one cluster, rehearsed.

``made`` is [(change, live object that it changes; {} where it creates one)], in the order in which they are made.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError
from ansible_collections.aiops.k8s.plugins.module_utils.operation import actions, clock, history, plan as plans

Made = Sequence[tuple[dict[str, Any], dict[str, Any]]]


def tried(mine: history.History, summary: str, target: Mapping[str, str], changes: list[dict[str, Any]], basis: str) -> str:
    """Why changes are not proposed again, or "": an earlier operation made the same on the same basis, and it failed. ``mine``: of this cluster."""
    found = history.tried(mine, target, history.fingerprint({"changes": changes, "target": target}), basis)
    return f"not again: {summary}; record {found[0]['id']} did that, and it {found[0]['state'].replace('_', ' ')}" if found else ""


def draft(
    *,
    summary: str,
    workflow: str,
    target: Mapping[str, str],
    cluster: Mapping[str, str],
    made: Made,
    checks: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    undo: str,
    ready: int,
    executor: Api | None,
) -> tuple[plans.Plan | None, str]:
    """(draft, why there is none). checks: of the rehearsed changes; ready: pods that serve now and that a change may disturb.

    executor: None where nothing can be rehearsed, since a snapshot is analysed.
    """
    if not cluster["uid"]:
        reason = "the cluster cannot be told from others without the verb get on the namespace kube-system, so no plan can be bound to it"
        return None, reason
    changes = []
    for change, live in made:
        try:
            rehearsed, missing = actions.prepare(executor, change, live) if executor else (change, "")
        except ApiError as error:
            return None, f"the API server would not accept to {summary}: {error.text or error.reason}"
        if missing:
            return None, f"the executor may not do it: {missing}"
        changes.append(rehearsed)
    return (
        plans.build(
            summary=summary,
            workflow=workflow,
            target=target,
            cluster={"uid": cluster["uid"], "server": cluster["server"]},
            changes=changes,
            checks=checks(changes),
            undo=undo,
            risk=plans.risk_of(changes, ready),
            created=clock.now(),
        ),
        "",
    )
