# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Shows the policy in force and writes the approval-workflow document."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import screen, workflow_document
from ansible_collections.aiops.k8s.plugins.module_utils.operation.rules import POLICY_FILE, governing
from ansible_collections.aiops.k8s.plugins.module_utils.options import RECORDS
from ansible_collections.aiops.k8s.plugins.plugin_utils.action import Action, nearest, say, width


class ActionModule(Action):
    SPEC = {**RECORDS, "policy": {"type": "dict", "default": {}}, "document_file": {"type": "path"}}

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        rules = governing(self.records(options))
        policies = rules.for_proposals(options["policy"])
        source = f"`{POLICY_FILE}`" if rules.policies else "the shipped defaults"
        source += " and the option `policy`" if options["policy"] else ""
        say(screen.policies(policies, width()))
        say([(f"from {source.replace('`', '')}; rules are read from {nearest(rules.directory)}", "bright cyan")])
        path = options["document_file"]
        changed = bool(path) and _write(path, workflow_document.render(policies, source), self.check_mode)
        return {
            "changed": changed,
            "policies": policies,
            "directory": rules.directory,
            "signers": rules.signers,
            "revoked": rules.revoked,
        }


def _write(path: str, text: str, check_mode: bool) -> bool:
    """Whether the document differed. Raises BadInput naming the option."""
    try:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                if file.read() == text:
                    return False
        if not check_mode:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    except OSError as error:
        raise BadInput(f"document_file {path} cannot be written: {error.strerror}.", "Give a path in a directory that you may write.") from error
    if not check_mode:
        output.write("document_file", path, text.encode())
    return True
