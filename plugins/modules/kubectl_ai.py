#!/usr/bin/python
# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation and entry of the module kubectl_ai; the work is in module_utils/engine."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kubectl_ai
short_description: Ask kubectl-ai for a second opinion on findings
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Sends each finding with its evidence to the language model of your choice through kubectl-ai, and returns what the model makes of it.
  - An opinion is text, and the choice among remedies that the collection itself has derived and checked. It can never add a change.
  - The model gets the finding and its evidence, without secrets and cut to a limit. With O(service_account) it may also run read-only
    C(kubectl) commands as that service account, with a token that is valid for ten minutes. It never gets the credentials of this task.
  - A failing engine is not a failing task. Every question gets an opinion whose C(outcome) says what happened, unless O(ai=required).
  - Where it runs on the control node, the terminal shows each question, each command that the engine runs or is refused, and each answer,
    as they happen. The task keyword C(no_log) switches that off.
  - API keys come from the environment only, see the keyword C(environment). Only the variables of the chosen provider, proxies and
    C(SSL_CERT_FILE) reach the engine.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - aiops.k8s.engine
options:
  ai:
    description:
      - V(auto) asks when kubectl-ai and a provider are there, and goes on without when not.
      - V(off) asks nobody and starts nothing.
      - V(required) fails when there are questions and none was answered, and says why.
    type: str
    choices: [auto, "off", required]
    default: auto
  binary:
    description:
      - Path of the program. Without it, the environment variable E(AIOPS_KUBECTL_AI), then C(kubectl-ai) on the E(PATH).
    type: path
  provider:
    description:
      - The provider of the model. Without it, the first in this list whose variable is set - E(GEMINI_API_KEY), E(OPENAI_API_KEY),
        E(AZURE_OPENAI_ENDPOINT), E(GROK_API_KEY), E(OLLAMA_HOST), E(LLAMACPP_HOST), E(BEDROCK_MODEL). V(vertexai) is only used by name.
      - Any endpoint that is compatible with OpenAI is V(openai) with E(OPENAI_ENDPOINT).
    type: str
    choices: [gemini, openai, azopenai, grok, ollama, llamacpp, bedrock, vertexai]
  model:
    description:
      - Name of the model, or of the deployment with V(azopenai).
      - The default is V(gemini-2.5-flash) with V(gemini) and V(vertexai), E(OPENAI_MODEL) or V(gpt-4.1) with V(openai),
        V(grok-3-beta) with V(grok), E(BEDROCK_MODEL) with V(bedrock). It is required with V(azopenai) and V(ollama), and with an
        endpoint of your own.
    type: str
  budget:
    description:
      - Seconds that all questions may take together, including getting the token.
      - Each question gets an equal share, and what others have left of theirs. A run that is still going when its share ends is killed with
        everything that it has started, and its question gets C(outcome=timeout).
      - An endpoint that fails one question (unreachable, wrong key, unknown model, quota, no sign of life) is not asked the others.
    type: float
    default: 20
  max_questions:
    description: How many questions are asked, at most 1000, those of the most severe findings first. The others get C(outcome=skipped).
    type: int
    default: 10
  parallel:
    description: How many questions are under way at the same time, at most 16. The default is 4; with V(ollama) and V(llamacpp), 1.
    type: int
  service_account:
    description:
      - Read-only service account whose short-lived token the engine gets. The connection options of this module ask for it, and need
        the verb C(create) on C(serviceaccounts/token).
      - Without it, and where no token is granted, the model answers from the evidence alone and the opinion says so.
    type: dict
    suboptions:
      namespace:
        description: Its namespace.
        type: str
        required: true
      name:
        description: Its name.
        type: str
        required: true
  confine:
    description:
      - Keep the engine and what it starts to its own directory and the system's programs, libraries and certificates, with Landlock.
        Where the kernel has no Landlock the opinion says so. Switch it off only if it keeps your kubectl from starting.
    type: bool
    default: true
requirements:
  - python >= 3.11
  - kubectl-ai >= 0.0.28 (U(https://github.com/GoogleCloudPlatform/kubectl-ai/releases))
  - kubectl and kubernetes >= 24.2.0, with O(service_account)
attributes:
  check_mode:
    support: full
    description: It changes nothing, so it does the same in check mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
notes:
  - Runs where the task runs; delegate it to the controller when the API keys are there.
seealso:
  - module: aiops.k8s.diagnose
"""

EXAMPLES = r"""
- name: Ask the model of the environment, at most ten seconds
  aiops.k8s.kubectl_ai:
    questions: "{{ diagnosis.questions }}"
    budget: 10
  register: second_opinion

- name: Ask a local model that may look into the cluster, and insist on an answer
  aiops.k8s.kubectl_ai:
    questions: "{{ diagnosis.questions }}"
    ai: required
    provider: ollama
    model: qwen3:14b
    budget: 120
    service_account:
      namespace: aiops-system
      name: aiops-reader
  environment:
    OLLAMA_HOST: http://127.0.0.1:11434

- name: Ask about the three worst findings, in words of our own
  aiops.k8s.kubectl_ai:
    questions: "{{ diagnosis.questions }}"
    max_questions: 3
    prompt_file: "{{ playbook_dir }}/files/second_opinion.txt"

- name: Ask an endpoint that is compatible with OpenAI
  aiops.k8s.kubectl_ai:
    questions: "{{ diagnosis.questions }}"
    provider: openai
    model: mistral-small
  environment:
    OPENAI_API_KEY: "{{ lookup('ansible.builtin.file', '~/.secrets/mistral') }}"
    OPENAI_ENDPOINT: https://models.example.com/v1
"""

RETURN = r"""
opinions:
  description: One per question, in their order.
  returned: always
  type: list
  elements: dict
  contains:
    question: {description: Id of the question., type: str, sample: "1"}
    engine: {description: "Always V(kubectl-ai).", type: str, sample: kubectl-ai}
    engine_version: {description: What the program calls its version., type: str, sample: 0.0.28}
    agent: {description: "Always empty; M(aiops.k8s.kagent) has an agent.", type: str}
    provider: {description: Provider that was chosen., type: str, sample: gemini}
    model: {description: Model that was chosen., type: str, sample: gemini-2.5-flash}
    outcome:
      description:
        - V(answered), the model agrees with the root cause. V(disagrees), it answered and does not.
        - V(unavailable), nothing was asked or nobody was there - switched off, no program, no provider, wrong key, no network, quota.
        - V(skipped), not asked because of O(max_questions).
        - V(timeout), its share of the budget was spent. V(refused), the model refused, or wanted to run what changes something.
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
    commands: {description: The kubectl commands that were run for it., type: list, elements: str}
    identity: {description: "Who it was in the cluster: V(none) or the user name of the service account.", type: str}
    duration_seconds: {description: Time for this question., type: float, sample: 2.1}
    prompt_sha256: {description: Checksum of C(prompt)., type: str}
    prompt: {description: "The text as it was sent; when it was asked again, the last one.", type: str}
    template_sha256: {description: "Checksum of the file around it, see O(prompt_file).", type: str}
    attempts: {description: Runs of kubectl-ai for this question., type: int, sample: 1}
    tokens: {description: "C(prompt) and C(completion) of all runs, where the provider states them; else none.", type: dict}
    cost:
      description: "C(amount) and C(currency) of all runs, where the endpoint states them; else none."
      type: dict
      sample: {amount: 0.00042, currency: USD}
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
from ansible_collections.aiops.k8s.plugins.module_utils.engine.task import SPEC, answers
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
