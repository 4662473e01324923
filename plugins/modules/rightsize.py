#!/usr/bin/python
# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation and entry of the module rightsize; the work is in module_utils/rightsizing."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rightsize
short_description: Recommend requests and limits from a week of real usage
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Reads the usage of containers over a week and more from Prometheus (or Thanos, Mimir, VictoriaMetrics), or from the store that
    M(aiops.k8s.record_usage) fills, and computes p50, p95, p99 and the maximum of CPU and memory.
  - Says which workloads can be judged (stable, enough data, not sized by somebody else), and recommends requests and limits with the formula.
  - Replays the history against the new size, solves an autoscaler's target together with the request, checks LimitRange, ResourceQuota and
    room on the nodes, and estimates what is saved, in requests, money and nodes that could really go.
  - Ranks all workloads in a list, and proposes changes for the first of them. The change is rehearsed by the API server (dry run).
  - It only reads. The change is made by M(aiops.k8s.change), after it was recorded by M(aiops.k8s.propose) and approved by M(aiops.k8s.decide).
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - aiops.k8s.executor
  - aiops.k8s.prometheus
options:
  namespace:
    description: Namespace of the workloads. Without it, the whole cluster.
    type: str
  workload:
    description: Only this workload, as V(deployment/web), V(statefulset/db) or V(daemonset/agent). Needs O(namespace).
    type: str
  source:
    description:
      - V(auto) takes the Prometheus of O(prometheus_url), else the O(store), else a Prometheus that is found in the cluster by its labels.
      - V(prometheus) never takes the store, V(recorder) nothing else.
    type: str
    choices: [auto, prometheus, recorder]
    default: auto
  store:
    description: The file that M(aiops.k8s.record_usage) writes.
    type: path
  history_days:
    description: How many days are read.
    type: float
    default: 8.0
  stable_days:
    description: For how many days a workload must have run without a crash, an OOM kill and a rollout.
    type: float
    default: 7.0
  min_coverage:
    description: Which part of that time must be known, from 0 to 1.
    type: float
    default: 0.8
  min_points:
    description: How many samples a container must have at least.
    type: int
    default: 100
  margin_percent:
    description: A request lies more than so many percent above the 95th percentile.
    type: float
    default: 30.0
  memory_peak_percent:
    description: A memory request lies at least so many percent above the highest usage that was seen.
    type: float
    default: 10.0
  oom_percent:
    description: Where a container was killed for its memory, the new request lies so many percent above the limit that it had then.
    type: float
    default: 25.0
  cpu_floor:
    description: Least CPU request.
    type: str
    default: 10m
  memory_floor:
    description: Least memory request.
    type: str
    default: 32Mi
  cpu_step:
    description: CPU is rounded up to a multiple of this.
    type: str
    default: 5m
  memory_step:
    description: Memory is rounded up to a multiple of this.
    type: str
    default: 1Mi
  min_change_percent:
    description: Smaller differences are left alone.
    type: float
    default: 10.0
  cpu_limit:
    description:
      - V(keep) leaves CPU limits as their owner declared them (raised where they would lie below the request).
      - V(ratio) keeps the ratio of limit to request, V(remove) takes the limit away, which is refused where a quota asks for one.
    type: str
    choices: [keep, remove, ratio]
    default: keep
  memory_limit:
    description: V(size) sizes memory limits as well, never below what the history needs; V(keep) leaves them.
    type: str
    choices: [size, keep]
    default: size
  all_revisions:
    description: Whether pods of former revisions count as well.
    type: bool
    default: false
  in_place:
    description: Resize running pods without replacing them where the cluster can (Kubernetes 1.33 and newer), with the template kept in step.
    type: bool
    default: false
  owner_conflict:
    description: What to do where Helm, a GitOps tool or an operator owns the workload.
    type: str
    choices: [refuse, warn]
    default: refuse
  prometheus_label_names:
    description: How the labels C(namespace), C(pod) and C(container) are called, where they were renamed in a way that is not recognised.
    type: dict
    default: {}
  max_series:
    description: How many series one query to Prometheus may have.
    type: int
    default: 500
  max_samples:
    description: How many samples one query may make Prometheus load.
    type: int
    default: 20000000
  batch_workloads:
    description: For how many workloads at most a change is proposed in one run. The others stay in the list.
    type: int
    default: 5
  prices:
    description:
      - Price list. C(currency), with C(vcpu_hour) and C(gib_hour), or C(node_hour) (a number, or a mapping by instance type), or C(csv) (a file with
        OpenCost's columns). Without it, savings are told in vCPU and GiB only.
    type: dict
    default: {}
  declared_nodes:
    description: Nodes that an autoscaler of nodes could add - C(name), C(count), C(labels), C(taints), C(allocatable).
    type: list
    elements: dict
    default: []
  list_file:
    description: Write the ranked list to this file.
    type: path
  list_format:
    description: Format of O(list_file). By default the file's ending decides (json, csv, html), else it is a table.
    type: str
    choices: [json, csv, html, table]
  history:
    description: Earlier operations, so that a change which failed is not proposed again. The playbook takes them from its own records.
    type: list
    elements: dict
    default: []
  records_dir:
    description: Directory of the records that O(history) is taken from. Without it nothing is known of earlier operations.
    type: path
  feature:
    description: Directory below O(records_dir).
    type: str
  validate_seconds:
    description: Within how many seconds all pods must be replaced and ready. It becomes part of the plan.
    type: int
    default: 300
  hold_seconds:
    description: How long no container may restart from then on before the change counts as proven, in seconds.
    type: int
    default: 30
  watch_seconds:
    description: How long the workload is watched after that, in seconds. The 95th percentile of its usage must then be below its limits.
    type: int
    default: 3600
  snapshot_file:
    description: Write what was read to this file as JSON, without secrets, for bug reports and for O(replay).
    type: path
  replay:
    description: Analyse this snapshot instead of a cluster. No cluster is contacted, so no change is rehearsed.
    type: path
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - jsonpatch >= 1.33
  - rfc8785 >= 0.1.4
  - matplotlib >= 3.7 (for plots)
attributes:
  check_mode:
    support: full
    description: It never changes anything.
  diff_mode:
    support: none
    description: The proposed change comes with its own diff.
"""

EXAMPLES = r"""
- name: Rank all workloads of a cluster by what they could save, and write the list
  aiops.k8s.rightsize:
    prometheus_url: https://prometheus.example.com
    list_file: /tmp/rightsizing.html
    prices:
      currency: EUR
      vcpu_hour: 0.03
      gib_hour: 0.004

- name: One workload, from what the recorder has stored
  aiops.k8s.rightsize:
    namespace: shop
    workload: deployment/web
    store: /var/lib/aiops/usage.db
"""

RETURN = r"""
list:
  description: One row for each workload, ranked - C(workload), C(decision), C(reason), C(flags), C(containers), what it saves, C(coverage) and more.
  returned: always
  type: list
  elements: dict
savings:
  description:
    - What all recommended changes together would save - C(requested), C(percent), C(money), and C(nodes) that could really go. Empty without one.
  returned: always
  type: dict
usage:
  description: The source of the history, its first and last moment (seconds since 1970), notes, and the queries with what they cost.
  returned: always
  type: dict
proposals:
  description: One for each of the first O(batch_workloads) workloads whose size should change - finding, evidence, figures, plan or why there is none.
  returned: always
  type: list
  elements: dict
questions:
  description: What an AI engine is asked about each proposal, with the figures that it may choose differently and their bounds.
  returned: always
  type: list
  elements: dict
findings:
  description: The findings of all proposals.
  returned: always
  type: list
  elements: dict
nothing:
  description: One sentence for each workload for which nothing is proposed.
  returned: always
  type: list
  elements: str
cluster:
  description: Which cluster was read - server, uid, version.
  returned: always
  type: dict
user:
  description: The user that the API server took the reader for.
  returned: always
  type: str
coverage:
  description: What was read, and what could not be evaluated for lack of permission or data.
  returned: always
  type: dict
pods_seen:
  description: Number of pods that were looked at.
  returned: always
  type: int
timings:
  description: Seconds spent on observing, measuring and proposing.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.options import connections
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.workflow import RULES, SPEC, rightsize


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True, **RULES)
    try:
        reader, executor = connections(module.params)
        result = rightsize(module.params, reader, executor)
    except AiopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
