# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Lists, reads and verifies records, and renders their PHRs again."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import listing
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Record
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORDS
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action


class ActionModule(Action):
    SPEC = {
        **RECORDS,
        "record": {"type": "str"},
        "only": {"type": "list", "elements": "str"},
        "render": {"type": "bool", "default": False},
        "refresh": {"type": "bool", "default": False},
    }

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = self.records(options)
        rendered: list[str] = []

        def refresh(record: Record) -> None:
            path = listing.refresh(store, record)
            if path:
                rendered.append(path)

        wanted = options["refresh"] and not self.check_mode
        result = listing.read(store, options["record"] or "", options["only"], *([refresh] if wanted else []))
        if options["render"]:
            rendered += listing.render(store, result["records"], write=not self.check_mode)
        return {**result, **({"rendered": rendered} if wanted or options["render"] else {}), "changed": bool(rendered)}
