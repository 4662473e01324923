# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Lists, reads and verifies records, and renders their PHRs again."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import listing
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
        result = listing.read(store, options["record"] or "", options["only"])
        if options["render"]:
            result["rendered"] = listing.render(store, result["records"], write=not self.check_mode)
        if options["refresh"] and not self.check_mode:
            readable = [one["id"] for one in result["records"] if one["state"] != "damaged"]
            result["rendered"] = [*result.get("rendered", []), *listing.refresh(store, readable)]
        return {**result, "changed": bool(result.get("rendered"))}
