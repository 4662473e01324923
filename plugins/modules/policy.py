# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of policy; it is implemented as an action plugin, because it needs the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy
short_description: Show the approval policy in force, and write the approval-workflow document
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Checks the policy file and the option, and shows per risk class when a decision is due, how long it counts, who may take it and how they have
    to prove who they are.
  - Writes the same as a Markdown document, with the procedure, for people who approve and for auditors.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - aiops.k8s.records
options:
  policy:
    description: Settings per risk class that differ from the policy file, or from the defaults where there is none.
    type: dict
    default: {}
  document_file:
    description: Where to write the document. Missing directories are created; an equal one is left alone.
    type: path
attributes:
  check_mode:
    support: full
    description: Says whether the document would change.
"""

EXAMPLES = r"""
- name: Write the approval-workflow document
  aiops.k8s.policy:
    document_file: operations/workflows/approval-workflow.md
"""

RETURN = r"""
policies:
  description: The settings per risk class.
  returned: success
  type: dict
directory:
  description: Where policy file and keys are read from.
  returned: success
  type: str
signers:
  description: The file of allowed signers; empty where there is none.
  returned: success
  type: str
revoked:
  description: The file of revoked keys; empty where there is none.
  returned: success
  type: str
"""
