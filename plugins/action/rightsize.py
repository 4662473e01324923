# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs the module rightsize in Ansible's own process where that is possible: then the terminal shows the queries, and the ranked list."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import history
from ansible_collections.aiops.k8s.plugins.module_utils.options import connections
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import listing
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.workflow import RULES, SPEC, rightsize
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import LocalAction, say, width


class ActionModule(LocalAction):
    SPEC = SPEC
    REQUIRE = RULES

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["records_dir"] and not options["history"]:
            options["history"] = history.read(self.records_of(options))
        found = rightsize(options, *connections(options), progress=_shown)
        if found["list"]:
            say([(line, "") for line in listing.table(found["list"], width()).splitlines()])
        if found["savings"]:
            say([(found["savings"]["nodes"]["sentence"], "")])
        return found


def _shown(text: str) -> None:
    say([(f"  {text}", "")])
