# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Proposes to undo an operation that was carried out."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import rollback
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, EXECUTOR, RECORD, connections
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action


class ActionModule(Action):
    SPEC = {**CONNECTION, **EXECUTOR, **RECORD, "reason": {"type": "str", "default": ""}}

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        record = self.records(options).load(options["record"])
        reader, executor = connections(options)
        return rollback.propose(reader(), executor(), record, options["reason"])
