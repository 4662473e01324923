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
  - Shows all records, or one record in full. What waits for a decision comes first, with the time left until the decision is due, or how long
    it is past due, and until when it can be made. Then come records of which something is left to do, damaged ones, and those that have ended.
  - It fails when a record does not verify. M(aiops.k8s.record_info) returns the same data without showing it.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - aiops.k8s.records
options:
  record:
    description: Number of one record.
    type: str
  state:
    description:
      - Show only these. V(waiting) can still be decided, V(overdue) is that part of it that is past its SLA, V(unfinished) was approved and is not
        ended. Damaged records are always shown. With O(record) it has no effect.
    type: str
    choices: [all, waiting, overdue, unfinished, ended]
    default: all
  result_file:
    description: Write the list as one JSON document to this file.
    type: path
attributes:
  check_mode:
    support: full
    description: It only reads.
"""

EXAMPLES = r"""
- name: What waits for a decision
  aiops.k8s.list_records:
    state: waiting
"""

RETURN = r"""
records:
  description: As M(aiops.k8s.record_info) returns them, in the order in which they are shown.
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
