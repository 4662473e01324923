# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of compliance; it is implemented as an action plugin, because records are kept on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: compliance
short_description: Check all records, and compare them with the cluster
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Verifies the chain, digest, approval, signature, deadlines, policy and PHR of every record, finds removed, copied and rewritten records, and
    counts the share of medium and critical operations that are documented with approval.
  - Where the cluster answers, it lists the objects that were changed by the field manager C(aiops.k8s) or carry its annotations, and finds changes
    without a record, records whose change is not there, and records that were rewritten after their change.
  - It only reads, with the exception that opening a git store takes in what others published.
  - It fails when it has a finding of severity error. Details are in docs/compliance.md.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - aiops.k8s.records
  - kubernetes.core.k8s_auth_options
options:
  cluster:
    description:
      - Whether records are compared with the cluster. V(auto) does so where a cluster answers, and says why not. V(required) fails where no
        cluster answers, and a kind that cannot be read in it is an error. V(off) only looks at the records.
    type: str
    choices: [auto, required, 'off']
    default: auto
  namespaces:
    description:
      - Compare only the objects of these namespaces. Without it, those of the whole cluster.
    type: list
    elements: str
    default: []
  since:
    description:
      - Path of the O(result_file) of an earlier run. Records that lack events which that run saw are errors. Keep such files where those who may
        write the records cannot.
    type: path
  strict:
    description: Whether warnings count as errors.
    type: bool
    default: false
  result_file:
    description: Write the report as one JSON document to this file.
    type: path
  markdown_file:
    description: Write the report for people to this file.
    type: path
  junit_file:
    description: Write the report as JUnit to this file, for CI.
    type: path
requirements:
  - kubernetes >= 24.2.0
  - jsonpatch >= 1.33
attributes:
  check_mode:
    support: full
    description: It only reads, and writes its reports.
"""

EXAMPLES = r"""
- name: Check the records of a checkout in CI
  aiops.k8s.compliance:
    cluster: 'off'
    junit_file: compliance.xml

- name: Check records and cluster, and what changed since last week
  aiops.k8s.compliance:
    cluster: required
    since: /srv/audit/last-week.json
    result_file: /srv/audit/this-week.json
    markdown_file: /srv/audit/this-week.md
"""

RETURN = r"""
share:
  description: The share of medium and critical operations that are documented with plan, approval and outcome.
  returned: when the checks were made, also when they failed
  type: dict
  contains:
    operations: {description: Operations that were carried out and are not under way any more., type: int}
    documented: {description: How many of them are documented., type: int}
    percent: {description: "The share in percent; none where there was no operation. It is 100 only when all are documented.", type: float}
    open: {description: Operations that are still under way., type: int}
    without_record: {description: Changes in the cluster that no record documents; they are among the operations., type: int}
counts:
  description: How many findings there are of the severities V(error), V(warning) and V(info).
  returned: always
  type: dict
checks:
  description: Every check with the requirement that it answers, on how much it was made, and how much failed it.
  returned: success
  type: list
  elements: dict
findings:
  description: What was found, errors first.
  returned: success
  type: list
  elements: dict
  contains:
    code: {description: Code of the check., type: str}
    severity: {description: "V(error), V(warning) or V(info).", type: str}
    record: {description: "Number of the record, or empty.", type: str}
    object: {description: "The object in the cluster, or empty.", type: str}
    message: {description: What is wrong., type: str}
    fix: {description: What to do about it., type: str}
coverage:
  description: How many records were checked and compared, which kinds were read, and what could not be evaluated, with the reason.
  returned: success
  type: dict
cluster:
  description: Server and uid of the cluster that was compared; empty where none was.
  returned: success
  type: dict
"""
