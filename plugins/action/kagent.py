# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs the module kagent in Ansible's own process where that is possible: then the terminal shows what the agent does."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.engine.kagent_task import SPEC, answers
from ansible_collections.aiops.k8s.plugins.module_utils.engine.process import unwinding
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Line, nobody
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import LocalAction, say


class ActionModule(LocalAction):
    SPEC = SPEC

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        def show(line: Line) -> None:
            say([line])

        with unwinding():
            return answers(options, os.environ, nobody if self._task.no_log else show)
