# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of decide; it is implemented as an action plugin, because it needs the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: decide
short_description: Approve or reject a recorded proposal
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Writes the event V(approved) or V(rejected) for exactly the digest that is named.
  - The approver is who the operating system says runs this process, who the API server says (SelfSubjectReview), and who signed, where the decision
    is signed; no name is typed. The policy says which of these has to be there.
  - An answer other than C(approve DIGEST) or C(reject REASON), an empty one too, leaves the record proposed.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - aiops.k8s.records
options:
  record:
    description: Number of the record, such as V(0007).
    type: str
    required: true
  answer:
    description: What was typed at the prompt. Exclusive with O(decision) and O(approval_file).
    type: str
  decision:
    description: The decision, for use without a prompt. Needs O(digest).
    type: str
    choices: [approve, reject]
  approval_file:
    description: A statement of a decision, with its SSH signature in the file of the same name with C(.sig). It takes the place of O(decision).
    type: path
  signing_key:
    description: SSH key to sign the decision with, private, or public when an agent holds the private one.
    type: path
  statement_file:
    description: Write the statement to sign to this file, and decide nothing. For approvers who sign elsewhere.
    type: path
  digest:
    description: At least the first 8 hexadecimal digits of the plan's digest.
    type: str
    default: ""
  reason:
    description: Why. A rejection needs one.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Writes no event.
"""

EXAMPLES = r"""
- name: Approve what was shown
  aiops.k8s.decide:
    record: "0007"
    decision: approve
    digest: 1a2b3c4d

- name: Hand in what the architect signed
  aiops.k8s.decide:
    record: "0007"
    approval_file: 0007.approval
"""

RETURN = r"""
state:
  description: State of the record afterwards.
  returned: success
  type: str
decided:
  description: Whether a decision was written.
  returned: success
  type: bool
"""
