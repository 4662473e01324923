# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the options that all AI engines have."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  questions:
    description: What to ask, as the modules of the workflows return it. One run of the engine for each.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: Name of the question; the opinion carries it.
        type: str
        required: true
      finding:
        description:
          - The finding to judge, with C(code), C(severity), C(object) (C(kind), C(namespace), C(name)), C(container), C(title),
            C(root_cause) and C(suggested_fix). Other keys are not sent.
        type: dict
        required: true
      evidence:
        description: The facts behind it, each with C(id), C(source), C(time) and C(excerpt). The first 100 are sent.
        type: list
        elements: dict
        default: []
      remedies:
        description: The remedies that the model may choose from, each with C(id) and C(summary).
        type: list
        elements: dict
        default: []
      figures:
        description:
          - Numbers to ask for besides, by name, each with C(what) (words), C(ours), C(low) and C(high). At most 20.
          - The engine is told all four. What it says beyond C(low) and C(high) becomes the nearest of them, which the opinion says.
        type: dict
        default: {}
  prompt_file:
    description:
      - A text file, on the machine where the task runs, in place of the text around the data in the prompt. The default is in the collection,
        C(plugins/module_utils/engine/prompts/second_opinion.txt).
      - C({data}), C({tools}) and C({answer_format}) must stand in it exactly once. What they become is always the collection's, so a file
        can drop neither redaction and quoting nor the form of the answer.
    type: path
  max_evidence_bytes:
    description: How many bytes of excerpts one question may have. The rest is left out, which the opinion says.
    type: int
    default: 32000
  max_excerpt_bytes:
    description: How many bytes of one excerpt are sent. Of a longer one the first quarter and the end are kept.
    type: int
    default: 4000
"""
