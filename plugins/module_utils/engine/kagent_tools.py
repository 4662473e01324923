# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which tools of kagent's tool server only read, and which names speak of a change. The role setup has the same list in its vars."""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping

READING = frozenset(
    {
        "datetime_get_current_time",
        "helm_get_release",
        "helm_list_releases",
        "k8s_check_service_connectivity",
        "k8s_describe_resource",
        "k8s_get_available_api_resources",
        "k8s_get_cluster_configuration",
        "k8s_get_events",
        "k8s_get_pod_logs",
        "k8s_get_resource_yaml",
        "k8s_get_resources",
        "prometheus_label_names_tool",
        "prometheus_query_range_tool",
        "prometheus_query_tool",
        "prometheus_targets_tool",
    }
)
_VERBS = (
    "add annotate apply attach bind cordon create debug delete deploy drain edit enable disable evict exec execute expose install kill"
    " label merge modify patch pause portforward post promote put remove replace restart resume rollback rollout run scale send set shell"
    " stop sync taint toggle uncordon uninstall update upgrade upload write"
)
_CHANGING = re.compile(rf"(?:^|_)(?:{'|'.join(_VERBS.split())}|port_forward)(?:_|$)")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")


def may_change(name: str) -> bool:
    """Whether a tool's name speaks of a change; of a name that says nothing it is not assumed."""
    return name not in READING and bool(_CHANGING.search(_WORDS.sub("_", name).lower()))


def whole(name: str) -> bool:
    """Whether it is not one tool but another agent, or all that a server has: what they can do is not told."""
    return name.startswith((_ALL, _AGENT))


_ALL, _AGENT = "all of ", "agent:"


def told(about: Mapping[str, Any]) -> bool:
    """Whether kagent tells which tools an agent has: it does of those that it runs, and not of one that brings its own program."""
    agent = about.get("agent")
    spec = agent.get("spec") if isinstance(agent, Mapping) else None
    return "tools" in about and not (isinstance(spec, Mapping) and spec.get("type") == "BYO")


def tools_of(about: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(tools that an agent may call as it likes, tools that need an approval), as kagent tells of the agent.

    What is ``whole`` is named as such.
    """
    free: list[str] = []
    approved: list[str] = []
    for tool in _tools(about):
        server, agent = tool.get("mcpServer"), tool.get("agent")
        if isinstance(server, Mapping):
            asking = [str(one) for one in server.get("requireApproval") or []]
            names = [str(one) for one in server.get("toolNames") or []]
            free += [one for one in names if one not in asking] or ([] if names else [f"{_ALL}{server.get('name')}"])
            approved += asking
        elif isinstance(agent, Mapping):
            free.append(f"{_AGENT}{agent.get('name')}")
    return free, approved


def _tools(about: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    given = about.get("tools")
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
