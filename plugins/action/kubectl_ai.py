# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Asks kubectl-ai; the work is in module_utils/engine."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.engine.task import SPEC, answers
from ansible_collections.aiops.k8s.plugins.plugin_utils.engine import EngineAction


class ActionModule(EngineAction):
    SPEC = SPEC
    ANSWERS = staticmethod(answers)
