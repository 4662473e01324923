# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of record_info; it is implemented as an action plugin, because records are kept on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: record_info
short_description: List, read and verify records, and render their PHRs again
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Reads records and verifies the hash chain of each. A damaged record is reported with the event at fault; it never hides the others.
  - There is deliberately no module that appends an event of one's choice. Events are written by the step that they belong to -
    M(aiops.k8s.propose), M(aiops.k8s.decide), M(aiops.k8s.change), M(aiops.k8s.validate).
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - aiops.k8s.records
options:
  record:
    description: Number of one record, which is then returned with all its events. Without it, all are listed.
    type: str
  only:
    description: List only these numbers, written with leading zeros.
    type: list
    elements: str
  render:
    description: Render the PHRs again from their records and write those that differ.
    type: bool
    default: false
  refresh:
    description: Render the PHRs that do not name the newest event of their record, as after a run that was killed. Cheaper than O(render).
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: With O(render) it says which PHRs it would write.
"""

EXAMPLES = r"""
- name: List all records
  aiops.k8s.record_info:
  register: listing

- name: Read one record with its events
  aiops.k8s.record_info:
    record: "0007"
"""

RETURN = r"""
records:
  description: One entry per record, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    id: {description: Number of the record., type: str}
    state: {description: "State, or V(damaged).", type: str}
    title: {description: What it is about., type: str}
    risk: {description: "Risk class of its plan, or empty.", type: str}
    digest: {description: "Digest of its plan, or empty.", type: str}
    age_seconds: {description: Seconds since it was proposed., type: float}
    overdue: {description: Whether a decision is past its SLA., type: bool}
    expired: {description: Whether the proposal can no longer be decided., type: bool}
    remark: {description: What is unusual., type: str}
    phr: {description: Path of the rendered document., type: str}
    path: {description: Path of the record., type: str}
    unfinished: {description: Whether M(aiops.k8s.change) or M(aiops.k8s.validate) has something left to do., type: bool}
    next: {description: "The next command, or empty.", type: str}
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
  description: The verified events of O(record).
  returned: when O(record) is given
  type: list
  elements: dict
rendered:
  description: Paths of the PHRs that were written.
  returned: when O(render) or O(refresh) is true
  type: list
  elements: str
"""
