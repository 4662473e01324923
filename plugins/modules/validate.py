# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of validate; it is implemented as an action plugin, because it needs the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: validate
short_description: Prove a change, and watch it
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Polls the checks of the plan with live progress, and writes V(validated) or V(failed).
  - Both keep the error signals of the workload since the change, that is the cluster's warning events about it, and times and means at V(validated).
  - Then watches the workload, and writes V(closed) or V(failed). It fails when pods are missing for more than two minutes, a container restarts, or
    an event says that one died, also in a pod that is gone by now. What failed is undone by M(aiops.k8s.change) with V(invert).
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - aiops.k8s.records
options:
  record:
    description: Number of the record, such as V(0007).
    type: str
    required: true
  phase:
    description: V(checks) follows the state executed, V(watch) follows validated.
    type: str
    choices: [checks, watch]
    default: checks
  watch:
    description: V(block) waits for the end of the watch, V(defer) looks once and leaves the rest to a later run, V(auto) waits when there is a terminal.
    type: str
    choices: [auto, block, defer]
    default: auto
attributes:
  check_mode:
    support: full
    description: Returns the state of the record and waits for nothing.
"""

EXAMPLES = r"""
- name: Prove that it works
  aiops.k8s.validate:
    record: "0007"

- name: Look whether the watch is over
  aiops.k8s.validate:
    record: "0007"
    phase: watch
    watch: defer
"""

RETURN = r"""
state:
  description: State of the record afterwards.
  returned: success
  type: str
undo_needed:
  description: Whether the change has to be undone.
  returned: success
  type: bool
"""
