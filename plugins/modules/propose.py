# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of propose; it is implemented as an action plugin, because it needs the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: propose
short_description: Record proposals and show them
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Writes one record per proposal of a workflow module such as M(aiops.k8s.diagnose), with the digest of its plan, renders its PHR, and shows
    findings, evidence, change, risk and undo on the terminal.
  - A proposal without a plan is recorded as advice and closed at once. Nothing in the cluster is touched.
  - What is on record already is not recorded again, but referred to - a proposal with the same findings and plan that can still be decided, an operation
    on them that is not over, the same advice of the last day, and, where nobody is asked, the same change that was rejected within the last day.
  - A proposal that can still be decided but no longer fits the workload ends as V(expired) when a new one about the same finding takes its place.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - aiops.k8s.records
options:
  result:
    description: The result of the workflow module.
    type: dict
    required: true
  opinions:
    description: Opinions of AI engines, as M(aiops.k8s.kubectl_ai) returns them.
    type: list
    elements: dict
    default: []
  approval:
    description: V(prompt) asks on the terminal, V(defer) stops at proposed, V(auto) asks when there is a terminal.
    type: str
    choices: [auto, prompt, defer]
    default: auto
  command:
    description: The command that asked for the proposal, for the record. It must not hold secrets.
    type: str
    required: true
  policy:
    description:
      - Settings per risk class (V(low), V(medium), V(critical)) that differ from the policy file, or from the defaults where there is none -
        C(sla_minutes), C(plan_minutes), C(approval_minutes), C(four_eyes), C(proof), C(approvers), C(approver_groups), C(freeze). See docs/approval.md.
      - The policy file binds when the plan is decided and carried out, so that an option can be stricter, never laxer.
    type: dict
    default: {}
  again:
    description: Record every proposal, also one that is on record already.
    type: bool
    default: false
  repeat:
    description: Options, none of them secret, that the commands shown as next have to repeat, such as V(records_dir) or V(context).
    type: dict
    default: {}
  result_file:
    description: Where M(aiops.k8s.conclude) will write the result. It is only looked at, so that nothing is recorded when that cannot work.
    type: path
attributes:
  check_mode:
    support: full
    description: Shows the proposals, and those that are on record already, and writes no record.
"""

EXAMPLES = r"""
- name: Record and show
  aiops.k8s.propose:
    result: "{{ diagnosis }}"
    command: ansible-playbook aiops.k8s.diagnose -e namespace=shop
"""

RETURN = r"""
records:
  description:
    - One entry per proposal - id, digest, state, phr, notice (the lines of a message about it), earlier (ids of earlier records of the same finding),
      and repeat (whether it was on record already).
  returned: success
  type: list
  elements: dict
repeats:
  description: The ids of those that were on record already.
  returned: success
  type: list
  elements: str
ask:
  description: Whether a person is to be asked now.
  returned: success
  type: bool
"""
