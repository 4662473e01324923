#!/usr/bin/python
# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation and entry of the module record_usage; the work is in module_utils/rightsizing."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: record_usage
short_description: Record what containers use, for right-sizing without Prometheus
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Measures the pods once from C(metrics.k8s.io), or for O(duration) seconds, and adds what they use to a small store on the machine
    where the task runs. Run it from cron, every minute or every five.
  - The store is one SQLite file. A run is in it as a whole or not at all. It holds names and numbers, no specification, label or
    environment.
  - It records restarts and kills for memory as well, and the memory limit at that time.
  - The cluster is only read, with list on pods, list on pods of C(metrics.k8s.io), and get on the namespace C(kube-system), whose uid
    ties the store to its cluster.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
options:
  store:
    description:
      - Path of the store. It is created where it is missing, with mode 0600, and its directory with mode 0700.
      - A symbolic link, a file of another user or one that others may read, and a directory that anybody may write are refused.
    type: path
    required: true
  namespaces:
    description: Only these namespaces. Without it, all, which needs the rights in the whole cluster.
    type: list
    elements: str
    default: []
  duration:
    description: How long to go on measuring, in seconds. With V(0), once.
    type: int
    default: 0
  interval:
    description: Seconds between two measurements with O(duration).
    type: int
    default: 60
  retention_days:
    description: How many days are kept. Each run deletes some of what is older.
    type: int
    default: 15
  max_mb:
    description:
      - How large the store may become, in millions of bytes. Beyond it the oldest hours are deleted, which a warning says.
      - The run fails, and records nothing, where the last hours alone are larger.
    type: int
    default: 512
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
attributes:
  check_mode:
    support: full
    description: It measures nothing, and says what it would do.
  diff_mode:
    support: none
    description: A series of numbers has no diff.
"""

EXAMPLES = r"""
- name: Record once
  aiops.k8s.record_usage:
    store: /var/lib/aiops/usage.db

- name: Record two namespaces for an hour, and keep a month
  aiops.k8s.record_usage:
    store: /var/lib/aiops/usage.db
    namespaces: [shop, billing]
    duration: 3600
    retention_days: 31
"""

RETURN = r"""
recorded:
  description: What was recorded.
  returned: success
  type: dict
  contains:
    looks: {description: How many measurements succeeded., type: int}
    pods: {description: Pods in the last of them., type: int}
    containers: {description: Containers in the last of them., type: int}
    samples: {description: Samples that were not in the store yet., type: int}
store:
  description: The store after the run.
  returned: success
  type: dict
  contains:
    path: {description: Path of the file., type: str}
    size_bytes: {description: Size of the file., type: int}
    from: {description: When the first run was that is still in it; seconds since 1970., type: int}
    to: {description: When the last run was., type: int}
    runs: {description: Number of runs that measured something., type: int}
coverage:
  description: How many running pods there were and how many of them were measured, and sentences about what is missing.
  returned: success
  type: dict
  contains:
    pods_running: {description: Pods that run., type: int}
    pods_measured: {description: Pods that were measured., type: int}
    missing: {description: What is missing., type: list}
would:
  description: What a run would do.
  returned: in check mode
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.options import connections
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder import SPEC, record


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        reader, _executor = connections(module.params)
        result = record(module.params, reader, check_mode=module.check_mode)
    except AiopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
