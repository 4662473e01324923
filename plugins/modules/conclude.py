# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of conclude; it is implemented as an action plugin, because it needs the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: conclude
short_description: Say what happened, and write the result document
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Shows for each record what happened, where its PHR is and what to do next, writes O(result_file), and fails when a record failed.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - aiops.k8s.records
options:
  workflow:
    description: Name of the workflow or playbook.
    type: str
    required: true
  records:
    description: Numbers of the records of this run.
    type: list
    elements: str
    default: []
  result:
    description: The result of the workflow module.
    type: dict
    default: {}
  opinions:
    description: Opinions of AI engines.
    type: list
    elements: dict
    default: []
  result_file:
    description: Write the result as one JSON document to this file. Its schema is docs/reference/result.schema.json.
    type: path
  error:
    description: Why the run failed, when it did.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Writes the result document all the same.
"""

EXAMPLES = r"""
- name: Conclude
  aiops.k8s.conclude:
    workflow: diagnose
    records: ["0007"]
"""

RETURN = r"""
document:
  description: The result document.
  returned: always
  type: dict
"""
