# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs the module scale in Ansible's own process where that is possible: then the terminal shows how far the sampling is."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.workflow import RULES, SPEC, scale
from ansible_collections.aiops.k8s.plugins.module_utils.operation import history
from ansible_collections.aiops.k8s.plugins.module_utils.options import connections
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import LocalAction, Shown


class ActionModule(LocalAction):
    SPEC = SPEC
    REQUIRE = RULES

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["records_dir"] and not options["history"]:
            options["history"] = history.read(self.records_of(options))
        return scale(options, *connections(options), progress=Shown("of load sampled"))
