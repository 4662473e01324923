# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of present; it is implemented as an action plugin, because it needs the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: present
short_description: Show a recorded proposal
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Verifies a record and shows its proposal as the approver has to see it.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - aiops.k8s.records
options:
  record:
    description: Number of the record, such as V(0007).
    type: str
    required: true
  show:
    description: Show it. Without, only the returned values are wanted.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: It only reads.
"""

EXAMPLES = r"""
- name: Show what waits for a decision
  aiops.k8s.present:
    record: "0007"
"""

RETURN = r"""
id:
  description: Number of the record.
  returned: success
  type: str
state:
  description: State of the record.
  returned: success
  type: str
digest:
  description: Digest of its plan.
  returned: success
  type: str
question:
  description: What to ask the approver.
  returned: success
  type: str
phr:
  description: Path of its PHR.
  returned: success
  type: str
person_present:
  description: Whether there is a terminal with a person.
  returned: success
  type: bool
undo_needed:
  description: Whether a failed change waits to be undone.
  returned: success
  type: bool
"""
