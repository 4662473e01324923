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
    state: waiting
"""

RETURN = r"""
records:
  description: As M(aiops.k8s.record_info) returns them, in the order in which they are shown.
  returned: success
  type: list
  elements: dict
  contains:
    group: {description: "V(waiting), V(unfinished), V(ended) or V(damaged).", type: str}
    waiting_seconds: {description: "Seconds since it was proposed while it waits for a decision, else 0.", type: float}
    sla_minutes: {description: Minutes within which a decision is due; none where no change is proposed., type: int}
    due: {description: "When a decision is or was due, or empty.", type: str}
    overdue_seconds: {description: Seconds that it has waited beyond that., type: float}
    left: {description: "What is left to do with an unfinished one, or empty.", type: str}
    expires: {description: "Until when it can be decided, or once approved, carried out; else empty.", type: str}
    decided_after_seconds: {description: Seconds from the proposal to the decision; none without one., type: float}
    sla_met: {description: Whether the decision came in time; none while that is open., type: bool}
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
