# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs the module record_usage in Ansible's own process where that is possible: cron pays half a second less for each run."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.options import connections
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder import SPEC, record
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import LocalAction, Shown, say


class ActionModule(LocalAction):
    SPEC = SPEC

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        reader, _executor = connections(options)
        result = record(options, reader, check_mode=self.check_mode, progress=Shown("recorded") if options["duration"] else None)
        if "would" in result:
            say([(result["would"], "")])
        return result
