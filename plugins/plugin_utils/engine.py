# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the actions of all AI engines share: they run in Ansible's own process where that is possible, and the terminal shows what the engine does."""

from __future__ import annotations

import os
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.engine.process import unwinding
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Show, nobody
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import LocalAction, say


class EngineAction(LocalAction):
    """Subclasses set ``SPEC`` and ``ANSWERS``: the function that asks, given the options, the environment, and who shows a line."""

    ANSWERS: staticmethod[[Mapping[str, Any], Mapping[str, str], Show], dict[str, Any]]

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        with unwinding():
            return self.ANSWERS(options, os.environ, nobody if self._task.no_log else show)


def show(line: tuple[str, str]) -> None:
    """One line of progress on the terminal."""
    say([line])
