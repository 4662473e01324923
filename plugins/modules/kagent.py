#!/usr/bin/python
# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation and entry of the module kagent; the work is in module_utils/engine."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kagent
short_description: Ask an agent of kagent for a second opinion
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Sends each question with its evidence to an agent of kagent (U(https://kagent.dev)) in the cluster, by the protocol A2A, and returns what the agent
    makes of it. The opinions have the same form as those of M(aiops.k8s.kubectl_ai).
  - An opinion is text, the choice among remedies that the collection itself has derived and checked, and numbers within bounds that it has
    computed. It can never add a change.
  - An agent that has tools which may change the cluster without asking is not asked. Whatever an agent wants approved is refused, because
    the gate of this collection is the only one; the opinion names it.
  - A failing agent is not a failing task. Every question gets an opinion whose C(outcome) says what happened, unless O(ai=required).
  - Where it runs on the control node, the terminal shows each question, each tool that the agent calls or is refused, and each answer, as they happen.
    The task keyword C(no_log) switches that off.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - aiops.k8s.engine
options:
  ai:
    description:
      - V(auto) asks when kagent and the agent are there, and goes on without when not.
      - V(off) asks nobody.
      - V(required) fails when there are questions and none was answered, and says why.
    type: str
    choices: [auto, "off", required]
    default: auto
  agent:
    description: Name of the Agent. The default is the one that the playbook C(aiops.k8s.setup) makes with C(setup_kagent=true).
    type: str
    default: aiops-analyst
  agent_namespace:
    description: Namespace of the Agent.
    type: str
    default: kagent
  url:
    description:
      - Where kagent's controller is. V(service://NAMESPACE/NAME:PORT) goes through the API server's proxy to a Service, with the connection
        options of this task; they need the verbs C(get) and C(create) on C(services/proxy) there.
      - V(http://HOST:PORT) and V(https://HOST:PORT) go there directly; C(HTTPS_PROXY), C(HTTP_PROXY), C(NO_PROXY) and C(SSL_CERT_FILE) count.
      - Redirects are not followed, and addresses in the card of an agent are not used.
    type: str
    default: service://kagent/kagent-controller:8083
  token:
    description:
      - Bearer token for O(url) with http or https. Better set E(AIOPS_KAGENT_TOKEN), or E(AIOPS_KAGENT_TOKEN_FILE). It is in no result.
      - Through the API server's proxy none is sent, since that header is the API server's own.
    type: str
  token_file:
    description: A file that holds the token.
    type: path
  url_ca_cert:
    description: Certificates of the authorities that are trusted for O(url) with https, as PEM. The default is the system's.
    type: path
  url_validate_certs:
    description: Whether the certificate of O(url) is checked.
    type: bool
    default: true
  budget:
    description:
      - Seconds that all questions may take together, including finding the agent.
      - Each question gets an equal share, and what others have left of theirs. An agent that is still at work then is told to stop, and its
        question gets C(outcome=timeout).
      - A kagent that fails one question (unreachable, wrong token, its model down) is not asked the others.
    type: float
    default: 20
  max_questions:
    description: How many questions are asked, at most 1000, those of the most severe findings first. The others get C(outcome=skipped).
    type: int
    default: 10
  parallel:
    description: How many questions are under way at the same time, at most 16. The default is 4.
    type: int
requirements:
  - python >= 3.11
  - kagent, in the cluster; tested with 0.9.5
  - kubernetes >= 24.2.0
attributes:
  check_mode:
    support: full
    description: It changes nothing, so it does the same in check mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
notes:
  - kagent 0.9 speaks A2A 0.3, later ones 1.0. The agent's card says which, and both are understood.
seealso:
  - module: aiops.k8s.kubectl_ai
"""

EXAMPLES = r"""
- name: Ask the agent that aiops.k8s.setup has made
  aiops.k8s.kagent:
    questions: "{{ diagnosis.questions }}"
  register: second_opinion

- name: Ask for a number as well, and insist on an answer
  aiops.k8s.kagent:
    questions:
      - id: "1"
        finding:
          code: SustainedLoad
          severity: warning
          object: {kind: Deployment, namespace: shop, name: web}
          title: deployment/web has used 82 % of its CPU request for 9 minutes
          root_cause: The load is more than two replicas take.
        evidence:
          - {id: E1, source: Prometheus, excerpt: "mean 82 %, peak 97 %, 2 replicas"}
        remedies:
          - {id: R1, summary: an autoscaler with 2 to 6 replicas at 70 %}
        figures:
          max_replicas: {what: most replicas, ours: 6, low: 3, high: 9}
    ai: required
    url: https://kagent.example.com
    agent: capacity
    agent_namespace: platform
    budget: 60
  environment:
    AIOPS_KAGENT_TOKEN_FILE: /run/secrets/kagent
"""

RETURN = r"""
opinions:
  description: One per question, in their order.
  returned: always
  type: list
  elements: dict
  contains:
    question: {description: Id of the question., type: str, sample: "1"}
    engine: {description: "Always V(kagent).", type: str, sample: kagent}
    engine_version: {description: What the agent calls its version., type: str}
    agent: {description: Namespace and name of the agent., type: str, sample: kagent/aiops-analyst}
    provider: {description: "Provider of the agent's model, where kagent tells it; else V(kagent).", type: str, sample: OpenAI}
    model: {description: "The agent's model, where kagent tells it.", type: str, sample: gpt-4.1}
    outcome:
      description:
        - V(answered), the model agrees with the root cause. V(disagrees), it answered and does not.
        - V(unavailable), nothing was asked or nobody was there - switched off, no kagent, no such agent, wrong token, no network, its model down.
        - V(skipped), not asked because of O(max_questions).
        - V(timeout), its share of the budget was spent. V(refused), the agent refused, went on asking for approval, or may change the cluster.
        - V(unparseable), it said something else than what was asked for, or nothing.
      type: str
      sample: answered
    reason: {description: Why there is no answer; empty when there is one., type: str}
    remarks: {description: "What to know about the answer: what was cut, redacted, dropped or not run.", type: list, elements: str}
    agrees: {description: Whether the model agrees with the root cause; none without an answer., type: bool}
    root_cause: {description: The root cause in the model's words., type: str}
    code: {description: Code of the finding that the model thinks is right., type: str}
    remedy: {description: Id of the remedy that it would choose., type: str, sample: R1}
    evidence: {description: Ids of the evidence that it cites., type: list, elements: str, sample: [E1]}
    confidence: {description: From 0 to 1., type: float, sample: 0.8}
    note: {description: Anything else that it says., type: str}
    extra_findings:
      description:
        - Other problems that it sees, at most five. Text only, nothing is derived from them. Each cites evidence of the question, and its
          object is the finding's or is named in that evidence; what does not is dropped, which C(remarks) says.
      type: list
      elements: dict
      contains:
        title: {description: A few words., type: str}
        root_cause: {description: What is wrong., type: str}
        object: {description: "C(kind), C(namespace) and C(name).", type: dict}
        evidence: {description: Ids of the evidence that it cites., type: list, elements: str}
    figures:
      description: "The numbers that it would choose, by name, within the bounds of the question; none where it was asked for none or gave none."
      type: dict
      sample: {max_replicas: 7}
    commands: {description: "The tools that the agent called, with their arguments.", type: list, elements: str}
    identity: {description: "Who it was in the cluster: V(none) where the agent has no tools, else the agent.", type: str}
    duration_seconds: {description: Time for this question., type: float, sample: 2.1}
    prompt_sha256: {description: Checksum of C(prompt)., type: str}
    prompt: {description: "The text as it was sent; when it was asked again, the last one.", type: str}
    template_sha256: {description: "Checksum of the file around it, see O(prompt_file).", type: str}
    attempts: {description: How often the agent was asked., type: int, sample: 1}
    tokens: {description: "C(prompt) and C(completion) of all runs, where kagent states them; else none.", type: dict}
    cost: {description: Always none; kagent does not state any., type: dict}
usage:
  description:
    - Sums over all questions - C(questions), C(answered), C(attempts), C(seconds), C(tokens) and C(cost).
    - The last two as in an opinion, none where no answer states them.
  returned: always
  type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.aiops.k8s.plugins.module_utils.engine.process import unwind_when_terminated
from ansible_collections.aiops.k8s.plugins.module_utils.engine.kagent_task import SPEC, answers
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError


def main() -> None:
    # evidence is other people's logs; it does not belong into the journal of this machine
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True, no_log=True)
    unwind_when_terminated()
    try:
        result = answers(module.params, os.environ)
    except AiopsError as error:
        module.fail_json(msg=str(error), **error.details)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
