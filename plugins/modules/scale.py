#!/usr/bin/python
# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation and entry of the module scale; the work is in module_utils/capacity."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: scale
short_description: Find workloads under sustained load and recommend an autoscaler that fits
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Measures the load of workloads from Prometheus, or by sampling C(metrics.k8s.io) within the run, and says whether it is sustained.
  - Recommends a HorizontalPodAutoscaler (C(autoscaling/v2)), new or adjusted, with the reasoning from the data.
  - Places the additional pods on the live nodes as the scheduler would, and says how many fit, where, what binds first, and what remains without
    the largest node. Estimates the cost.
  - The change is rehearsed by the API server (dry run), and the API server is asked whether the executor may make and undo it.
  - It only reads. The change is made by M(aiops.k8s.change), after it was recorded by M(aiops.k8s.propose) and approved by M(aiops.k8s.decide).
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - aiops.k8s.executor
  - aiops.k8s.prometheus
options:
  namespace:
    description: Namespace of the workloads.
    type: str
  workload:
    description: Only this workload, as V(deployment/web) or V(statefulset/db). Without it, all of the namespace that have replicas.
    type: str
  resource:
    description: What the load is measured by. V(custom) takes O(prometheus_query).
    type: str
    choices: [cpu, memory, custom]
    default: cpu
  threshold_percent:
    description: Usage in percent of the request, from which on a workload is under load.
    type: int
    default: 70
  window_seconds:
    description: How long the load must last, in seconds. Without Prometheus, the run samples for as long.
    type: int
    default: 300
  step_seconds:
    description: Seconds between two samples from C(metrics.k8s.io).
    type: int
    default: 15
  source:
    description:
      - V(auto) takes the Prometheus of O(prometheus_url), or one that is found in the cluster by its labels, else C(metrics.k8s.io).
      - V(metrics) never asks Prometheus, V(prometheus) nothing else.
    type: str
    choices: [auto, metrics, prometheus]
    default: auto
  prometheus_query:
    description: With O(resource=custom), the expression in PromQL that gives the load, as one series.
    type: str
  prometheus_target:
    description: With O(resource=custom), the value of the expression that is 100 %.
    type: float
  prometheus_unit:
    description: With O(resource=custom), the unit of the expression, for the texts.
    type: str
    default: ""
  headroom:
    description: Room above the peak that C(maxReplicas) leaves, as a fraction of the peak.
    type: float
    default: 0.2
  availability:
    description: Whether at least two replicas are wanted where the workload can have two.
    type: bool
    default: true
  min_replicas:
    description: The C(minReplicas) to propose. Computed when not given.
    type: int
  max_replicas:
    description: The highest C(maxReplicas) that may be proposed. Without it, ten times as many as now, at most 100.
    type: int
  target_percent:
    description: The target of the autoscaler in percent of the request. Computed when not given.
    type: int
  owner_conflict:
    description: What to do where Helm, a GitOps tool or somebody else sets the number of replicas or owns the autoscaler.
    type: str
    choices: [refuse, warn]
    default: refuse
  custom_metric:
    description: A Pods metric that C(custom.metrics.k8s.io) serves, for the autoscaler to follow instead of O(resource).
    type: str
  custom_target:
    description: The average value of O(custom_metric) per pod that the autoscaler aims at, as a quantity.
    type: str
  max_cost_month:
    description: What all replicas may cost a month at most, in the currency of O(prices).
    type: float
  prices:
    description:
      - Price list. C(currency), with C(vcpu_hour) and C(gib_hour), or C(node_hour) (a number, or a mapping by instance type), or C(csv) (a file with
        OpenCost's columns). Without it, the estimate has vCPU and GiB only.
    type: dict
    default: {}
  declared_nodes:
    description: Nodes that an autoscaler of nodes could add - C(name), C(count), C(labels), C(taints), C(allocatable).
    type: list
    elements: dict
    default: []
  error_query:
    description: PromQL that gives the part of requests that fail, as a fraction. It becomes part of the proof.
    type: str
  error_percent:
    description: The limit for O(error_query), in percent.
    type: float
    default: 5.0
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
    description: How long the autoscaler may take until it reads its metric and can scale, in seconds. It becomes part of the plan.
    type: int
    default: 120
  scale_seconds:
    description: Within how many seconds the replicas must follow, all pods be available and the load be below the threshold.
    type: int
    default: 3600
  hold_seconds:
    description: How long no container may restart from then on before the change counts as proven, in seconds.
    type: int
    default: 30
  watch_seconds:
    description: How long the workload is watched after that, in seconds.
    type: int
    default: 3600
  snapshot_file:
    description: Write what was read and sampled to this file as JSON, without secrets, for bug reports and for O(replay).
    type: path
  replay:
    description: Analyse this snapshot instead of a cluster. No cluster is contacted, so no change is rehearsed.
    type: path
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - jsonpatch >= 1.33
  - rfc8785 >= 0.1.4
attributes:
  check_mode:
    support: full
    description: It never changes anything.
  diff_mode:
    support: none
    description: The proposed change comes with its own diff.
"""

EXAMPLES = r"""
- name: Look at all workloads of a namespace, by sampling for five minutes
  aiops.k8s.scale:
    namespace: shop
  register: load

- name: One workload, from Prometheus, with its price
  aiops.k8s.scale:
    namespace: shop
    workload: deployment/web
    prometheus_url: https://prometheus.example.com
    prices:
      currency: EUR
      vcpu_hour: 0.03
      gib_hour: 0.004
"""

RETURN = r"""
loads:
  description: The verdict on each workload - C(verdict), C(reason), C(utilisation), C(usage), C(pods), C(notes), C(source) and more.
  returned: always
  type: list
  elements: dict
proposals:
  description: One for each workload under sustained load - finding, evidence, figures, and the plan or the reason why no change is proposed.
  returned: always
  type: list
  elements: dict
questions:
  description: What an AI engine is asked about each proposal, with the figures that it may choose differently and their bounds.
  returned: always
  type: list
  elements: dict
capacity_questions:
  description: What an AI engine is asked about the room in the cluster.
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
  description: What was read, and what could not be evaluated for lack of permission.
  returned: always
  type: dict
pods_seen:
  description: Number of pods that were looked at.
  returned: always
  type: int
timings:
  description: Seconds spent on observing (with the sampling) and proposing.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.workflow import RULES, SPEC, scale
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.options import connections


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True, **RULES)
    try:
        reader, executor = connections(module.params)
        result = scale(module.params, reader, executor)
    except AiopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
