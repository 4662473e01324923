# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs the module record_usage in Ansible's own process where that is possible: cron pays half a second less for each run."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.options import connections
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder import SPEC, record
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import LocalAction, say

_EVERY = 15.0  # seconds between two lines of progress


class ActionModule(LocalAction):
    SPEC = SPEC

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        reader, _executor = connections(options)
        result = record(options, reader, check_mode=self.check_mode, progress=Shown() if options["duration"] else None)
        if "would" in result:
            say([(result["would"], "")])
        return result


class Shown:
    """Progress as lines: at most one in so many seconds, and the last."""

    def __init__(self) -> None:
        self._at = 0.0

    def __call__(self, done: float, wanted: float, seen: str) -> None:
        if done >= wanted or time.monotonic() - self._at >= _EVERY:
            self._at = time.monotonic()
            say([(f"  {clock.span(done):>8} of {clock.span(wanted)} recorded: {seen}", "")])
