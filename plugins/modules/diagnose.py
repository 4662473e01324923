#!/usr/bin/python
# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation and entry of the module diagnose; the work is in module_utils/diagnosis."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: diagnose
short_description: Find out why pods fail and propose one exact change per workload
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Reads a namespace or the whole cluster in one step (pods, owners, events, logs, Services, claims, nodes, quotas and more), names the root
    cause of everything that fails with its evidence, and derives a change where a safe one follows from the facts.
  - One finding per cause. Replicas are folded into one, and what fails because of something else is listed under it (C(affects)).
  - The worst come first, by how much stands still and how much hangs on it.
  - A change is rehearsed by the API server (dry run), and the API server is asked whether the executor may make it.
  - It only reads. The change is made by M(aiops.k8s.change), after it was recorded by M(aiops.k8s.propose) and approved by M(aiops.k8s.decide).
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - aiops.k8s.executor
options:
  namespace:
    description: Namespace to diagnose. Without it, the whole cluster.
    type: str
  workload:
    description:
      - Only this workload, as V(deployment/web), V(statefulset/db), V(daemonset/agent), V(replicaset/x), V(job/y) or V(cronjob/z).
        Needs O(namespace). What it suffers from is found although it lies elsewhere in the namespace.
    type: str
  pod:
    description: Only the pod of this name. Needs O(namespace).
    type: str
  sweep:
    description:
      - V(each) makes a proposal, and so a record, for each failing object. V(summary) makes one for all of them, ranked by impact and without a plan.
      - V(auto) is V(each) for up to 100 failing objects, and V(summary) beyond.
    type: str
    choices: [auto, each, summary]
    default: auto
  history:
    description:
      - Earlier operations, so that a fix which failed is not proposed again. The playbook takes them from its own records with O(records_dir).
    type: list
    elements: dict
    default: []
  records_dir:
    description: Directory of the records that O(history) is taken from. Without it nothing is known of earlier operations.
    type: path
  feature:
    description: Directory below O(records_dir).
    type: str
  memory_limit_max:
    description: The highest memory limit that may be proposed for a container, as a Kubernetes quantity.
    type: str
    default: 8Gi
  validate_seconds:
    description: How long a change may take until all pods are available, in seconds. It becomes part of the plan.
    type: int
    default: 120
  hold_seconds:
    description: How long no container may restart from then on before the change counts as proven, in seconds.
    type: int
    default: 30
  watch_seconds:
    description: How long the workload is watched after that, in seconds.
    type: int
    default: 3600
  snapshot_file:
    description: Write what was read from the cluster to this file as JSON, without secrets, for bug reports and for O(replay).
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
- name: Diagnose one namespace
  aiops.k8s.diagnose:
    namespace: shop
  register: diagnosis

- name: Diagnose one workload, changes rehearsed by another identity
  aiops.k8s.diagnose:
    namespace: shop
    workload: deployment/web
    executor:
      kubeconfig: ~/.kube/executor

- name: Analyse a saved snapshot without a cluster
  aiops.k8s.diagnose:
    replay: shop-snapshot.json
"""

RETURN = r"""
findings:
  description: What is wrong, the worst first. Empty when everything that was read is healthy.
  returned: always
  type: list
  elements: dict
  contains:
    code: {description: Stable code of the cause., type: str, sample: OOMKilled}
    severity: {description: "V(critical) when no pod of the workload is ready, else V(warning) or V(info).", type: str}
    object: {description: "The workload: kind, namespace, name.", type: dict}
    container: {description: "Name of the container, or empty.", type: str}
    title: {description: One line., type: str}
    root_cause: {description: Why it fails., type: str}
    evidence: {description: Ids of the facts in the proposal's C(evidence)., type: list}
    suggested_fix: {description: What to do., type: str}
    expected_outcome: {description: What is to be seen after that., type: str}
    runbook: {description: The runbook of this code., type: str}
    pods: {description: The failing pods., type: list}
    affects: {description: "What else fails because of this: kind, namespace, name.", type: list}
    since: {description: "When the failure was first visible, RFC 3339; empty where that is not known.", type: str}
    impact: {description: "What hangs on it: failing_pods, ready_pods, services, affects.", type: dict}
proposals:
  description: >-
      One per failing object, or one for all of them (O(sweep)) - its findings, evidence, and either the plan or the reason why no change is
      proposed (C(no_plan_reason)) and the commands by hand (C(by_hand)).
  returned: always
  type: list
  elements: dict
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
  description: Seconds spent on observing, analysing and proposing.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.workflow import RULES, SPEC, diagnose
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError
from ansible_collections.aiops.k8s.plugins.module_utils.options import connections


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True, **RULES)
    try:
        reader, executor = connections(module.params)
        result = diagnose(module.params, reader, executor)
    except AiopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
