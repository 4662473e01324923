# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Finds the proposals that wait for a decision, and writes the message that reminds of them."""

from __future__ import annotations

import os
import socket
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.notification import reminder
from ansible_collections.aiops.k8s.plugins.module_utils.operation import listing
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORDS
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action


class ActionModule(Action):
    SPEC = {**RECORDS, "only": {"type": "str", "default": "overdue", "choices": list(reminder.ONLY)}}

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        store = self.records(options)
        place = os.path.abspath(os.path.expanduser(options["records_dir"]))
        rows = listing.read(store)["records"]
        told = reminder.compose(
            rows,
            options["only"],
            lambda identifier: reminder.approve_command(store.load(identifier), place),
            {"records_dir": place, "host": socket.gethostname()},
        )
        return {
            **told,
            "records": reminder.chosen(rows, options["only"]),
            "summary": listing.summary(rows),
            "damaged": [one["id"] for one in rows if one["group"] == "damaged"],
        }
