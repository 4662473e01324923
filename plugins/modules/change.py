# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

#!/usr/bin/python
"""Documentation and entry of the module change; the work is in module_utils/operation."""

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
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - jsonpatch >= 1.33
  - rfc8785 >= 0.1.4
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

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.operation import change, clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, EXECUTOR, RECORD, connections


def diff(changes: list[dict[str, Any]]) -> dict[str, str]:
    """Ansible's before and after, from the outcomes."""
    lines = [line for one in changes for line in one.get("outcome", [])]
    return {side: "".join(f"{line['path']}: {line[side]}\n" for line in lines if line[side] is not None) for side in ("before", "after")}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**CONNECTION, **EXECUTOR, **RECORD, "direction": {"type": "str", "choices": ["apply", "invert"], "default": "apply"}},
        supports_check_mode=True,
    )
    try:
        store = Directory(module.params["records_dir"], module.params["feature"])
        record = store.load(module.params["record"])
        _reader, executor = connections(module.params)
        if module.params["direction"] == "apply":
            result = change.execute(executor(), store, record, clock.now(), check_mode=module.check_mode)
        elif module.check_mode:
            result = {"changed": record.state in ("failed", "rolling_back"), "state": record.state, "changes": []}
        else:
            result = change.invert(executor(), store, record, "a check of the plan failed")
    except AiopsError as error:
        module.fail_json(msg=str(error))
    if module._diff:
        result["diff"] = diff(result["changes"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
