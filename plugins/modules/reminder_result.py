# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of reminder_result; it is implemented as an action plugin, because it needs the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: reminder_result
short_description: Say who was reminded, and write the result document
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Shows which channels took a reminder and which did not, and writes O(result_file). It fails for O(error) and for damaged records, never because
    a channel failed.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - aiops.k8s.records
options:
  reminder:
    description: The result of M(aiops.k8s.reminder).
    type: dict
    default: {}
  notifications:
    description: What M(aiops.k8s.notification) returned.
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
  aiops.k8s.reminder_result:
    reminder: "{{ late }}"
    notifications: "{{ told.notifications }}"
"""

RETURN = r"""
notifications:
  description: As given.
  returned: success
  type: list
  elements: dict
"""
