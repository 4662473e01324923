# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of list_records; it is implemented as an action plugin, because it needs the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: list_records
short_description: Show records as a table
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Shows all records with state, risk and age, what is late and what is damaged, or one record in full.
  - It fails when a record does not verify. M(aiops.k8s.record_info) returns the same data without showing it.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - aiops.k8s.records
options:
  record:
    description: Number of one record.
    type: str
  result_file:
    description: Write the list as one JSON document to this file.
    type: path
requirements:
  - python >= 3.11
  - PyYAML
  - rfc8785 >= 0.1.4
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: Not supported.
"""

EXAMPLES = r"""
- name: What waits for a decision
  aiops.k8s.list_records:
"""

RETURN = r"""
records:
  description: As M(aiops.k8s.record_info) returns them.
  returned: success
  type: list
  elements: dict
events:
  description: The events of O(record).
  returned: when O(record) is given
  type: list
  elements: dict
read_at:
  description: When they were read.
  returned: success
  type: str
"""
