# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Applies an approved change, or undoes one whose check failed."""

from __future__ import annotations

import os
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change, clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import governing
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, EXECUTOR, RECORD, connections
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, say


class ActionModule(Action):
    SPEC = {
        **CONNECTION,
        **EXECUTOR,
        **RECORD,
        "direction": {"type": "str", "choices": ["apply", "invert"], "default": "apply"},
        "executor_engine": {"type": "str", "choices": ["none", "kubectl-ai"], "default": "none"},
        "engine_limit": {"type": "float", "default": 60.0},
        "engine_confine": {"type": "bool", "default": True},
        "binary": {"type": "path"},
        "provider": {"type": "str"},
        "model": {"type": "str"},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = self.records(options)
        _reader, executor = connections(options)
        with store.claimed(options["record"]) as record:
            if options["direction"] == "apply":
                hands = caged(options) if options["executor_engine"] == "kubectl-ai" else None
                result = change.execute(executor(), store, record, clock.now(), governing(store), check_mode=self.check_mode, hands=hands)
            elif self.check_mode:
                result = {"changed": record.state in ("failed", "rolling_back"), "state": record.state, "changes": []}
            else:
                result = change.invert(executor(), store, record, "a check of the plan failed")
        return {**result, **({"diff": diff(result["changes"])} if self._task.diff else {})}


def caged(options: dict[str, Any]) -> change.Hands:
    """kubectl-ai, in a cage for the one change."""
    from ansible_collections.aiops.k8s.plugins.module_utils.engine import cage, process  # of use to few runs

    settings = cage.Settings(
        environment=os.environ,
        connection=options["executor"] or options,
        binary=options["binary"],
        provider=options["provider"],
        model=options["model"],
        limit=options["engine_limit"],
        confined=options["engine_confine"],
    )

    def act(api: Api, given: dict[str, Any]) -> Mapping[str, Any]:
        with process.unwinding():
            return cage.carry_out(api, given, settings, lambda line: say([line]))

    return act


def diff(changes: list[dict[str, Any]]) -> dict[str, str]:
    """Ansible's before and after, from the outcomes."""
    lines = [line for one in changes for line in one.get("outcome", [])]
    return {side: "".join(f"{line['path']}: {line[side]}\n" for line in lines if line[side] is not None) for side in ("before", "after")}
