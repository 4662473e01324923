# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of rollback; it is implemented as an action plugin, because records are kept on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollback
short_description: Propose to undo an operation that was carried out
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Turns the inverse that was approved with a record into a plan of its own, on the objects as they are now, and has the API server rehearse it.
  - It changes nothing and records nothing. M(aiops.k8s.propose) records its result; approval, execution and proof follow as for any other plan.
  - What somebody changed since is named, and nothing is proposed. A record that changed nothing cannot be rolled back.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - aiops.k8s.records
  - aiops.k8s.executor
options:
  record:
    description: Number of the record that is to be undone, such as V(0007).
    type: str
    required: true
  reason:
    description: Why. It becomes part of the new record.
    type: str
    default: ""
requirements:
  - kubernetes >= 24.2.0
  - jsonpatch >= 1.33
attributes:
  check_mode:
    support: full
    description: Reads and rehearses only, in check mode and without.
"""

EXAMPLES = r"""
- name: See how record 0007 would be undone
  aiops.k8s.rollback:
    record: "0007"
    reason: the new limit hides a leak
  register: result
"""

RETURN = r"""
proposals:
  description: One proposal, as M(aiops.k8s.propose) takes it.
  returned: success
  type: list
  elements: dict
findings:
  description: What is to be undone, and why.
  returned: success
  type: list
  elements: dict
cluster:
  description: UID of the namespace kube-system, address and version of the API server.
  returned: success
  type: dict
user:
  description: Who the API server takes the reader for.
  returned: success
  type: str
"""
