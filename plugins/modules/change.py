# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of change; it is implemented as an action plugin, because records are kept on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: change
short_description: Apply an approved change, or undo one whose check failed
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Carries out exactly the plan of a record, and only when the record itself says so - its chain of events intact, the digest of the plan
    recomputed and equal to the approved one, the approval by an allowed person, not expired and not used before, the same cluster, and the
    objects as they were when the change was proposed. No option turns a check off.
  - The API server rehearses the change first (dry run); a result other than the approved one is refused.
  - The event V(executing) is on disk before the first request that writes, the event V(executed) after the last. A run that dies in between is
    continued by running it again; the change is applied at most once.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - aiops.k8s.records
  - aiops.k8s.executor
options:
  record:
    description: Number of the record, such as V(0007).
    type: str
    required: true
  direction:
    description:
      - V(apply) carries out the plan.
      - V(invert) applies the inverse that was approved with it. This is allowed only after a check of the plan failed.
    type: str
    choices: [apply, invert]
    default: apply
  executor_engine:
    description:
      - V(none) lets this module make the change itself.
      - V(kubectl-ai) lets the program of that name make it, in a cage - an identity for this one object that is made for the change and removed
        after it, and a filter that lets one command through. What it did is compared with the plan field by field, and undone where it differs.
      - It takes ten seconds more. Deletions, and undoing, are never left to it.
    type: str
    choices: [none, kubectl-ai]
    default: none
  engine_limit:
    description: Seconds that the engine may take, 1 to 480.
    type: float
    default: 60.0
  engine_confine:
    description: Whether the engine is confined by the kernel (Landlock).
    type: bool
    default: true
  binary:
    description: Path of kubectl-ai. Without it, E(AIOPS_KUBECTL_AI) and the PATH are looked at.
    type: path
  provider:
    description: Its model provider, as in M(aiops.k8s.kubectl_ai).
    type: str
  model:
    description: Its model, as in M(aiops.k8s.kubectl_ai).
    type: str
requirements:
  - kubernetes >= 24.2.0
  - jsonpatch >= 1.33
attributes:
  check_mode:
    support: full
    description: Makes all checks and the dry run, and changes neither the cluster nor the record.
  diff_mode:
    support: full
    description: Shows the changed fields before and after.
"""

EXAMPLES = r"""
- name: Apply the approved change of record 0007
  aiops.k8s.change:
    record: "0007"

- name: Undo it after a failed check
  aiops.k8s.change:
    record: "0007"
    direction: invert
"""

RETURN = r"""
state:
  description: The record's state afterwards.
  returned: success
  type: str
  sample: executed
changes:
  description: What was applied or undone.
  returned: success
  type: list
  elements: dict
"""
