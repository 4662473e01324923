# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The task kubectl_ai, for the module and for the action of that name: its options, and its result from them."""

from __future__ import annotations

import time
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.engine.asking import ENGINE, Settings
from ansible_collections.aiops.k8s.plugins.module_utils.engine.bundle import Limits
from ansible_collections.aiops.k8s.plugins.module_utils.engine.kubectl_ai import ask
from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import ANSWERED, Opinion, unanswered
from ansible_collections.aiops.k8s.plugins.module_utils.engine.progress import Show, nobody
from ansible_collections.aiops.k8s.plugins.module_utils.engine.providers import PROVIDERS
from ansible_collections.aiops.k8s.plugins.module_utils.engine.template import load
from ansible_collections.aiops.k8s.plugins.module_utils.engine.trace import sum_cost, sum_tokens
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.options import CONNECTION, Spec

_QUESTION: Spec = {
    "id": {"type": "str", "required": True},
    "finding": {"type": "dict", "required": True},
    "evidence": {"type": "list", "elements": "dict", "default": []},
    "remedies": {"type": "list", "elements": "dict", "default": []},
}
_ACCOUNT: Spec = {"namespace": {"type": "str", "required": True}, "name": {"type": "str", "required": True}}
SPEC: Spec = {
    **CONNECTION,
    "questions": {"type": "list", "elements": "dict", "required": True, "options": _QUESTION},
    "ai": {"type": "str", "choices": ["auto", "off", "required"], "default": "auto"},
    "binary": {"type": "path"},
    "provider": {"type": "str", "choices": list(PROVIDERS)},
    "model": {"type": "str"},
    "budget": {"type": "float", "default": 20},
    "max_questions": {"type": "int", "default": 10},
    "parallel": {"type": "int"},
    "prompt_file": {"type": "path"},
    "service_account": {"type": "dict", "options": _ACCOUNT},
    "max_evidence_bytes": {"type": "int", "default": 32000},
    "max_excerpt_bytes": {"type": "int", "default": 4000},
    "confine": {"type": "bool", "default": True},
}
_BETWEEN = {
    "budget": (0, 86_400),
    "max_questions": (0, 1000),
    "parallel": (1, 16),
    "max_evidence_bytes": (0, 1 << 20),
    "max_excerpt_bytes": (0, 1 << 20),
}


def answers(options: Mapping[str, Any], environment: Mapping[str, str], show: Show = nobody) -> dict[str, Any]:
    """{opinions, usage}. Raises AiopsError for wrong options, and when ai=required got no answer; it then carries the same."""
    for name, (least, most) in _BETWEEN.items():
        if options[name] is not None and not least <= options[name] <= most:
            raise BadInput(f"{name} is {options[name]}.", f"Give it a number from {least} to {most}.")
    template = load(options["prompt_file"])
    started = time.monotonic()
    if options["ai"] == "off":
        opinions = [unanswered(question["id"], ENGINE, "unavailable", "switched off with ai=off") for question in options["questions"]]
    else:
        settings = Settings(
            options["binary"],
            options["provider"],
            options["model"],
            Limits(options["max_excerpt_bytes"], options["max_evidence_bytes"]),
            options["confine"],
            template=template,
            max_questions=options["max_questions"],
            parallel=options["parallel"],
        )
        opinions = ask(
            options["questions"],
            settings,
            options["budget"],
            environment,
            connection=options,
            service_account=options["service_account"],
            show=show,
        )
    used = usage(opinions, time.monotonic() - started)
    if options["ai"] == "required" and opinions and not used["answered"]:
        raise AiopsError(_nobody_answered(opinions), "Set ai=auto to go on without it.", opinions=opinions, usage=used)
    return {"opinions": opinions, "usage": used}


def usage(opinions: list[Opinion], seconds: float) -> dict[str, Any]:
    """What a run cost: questions, runs of the engine, seconds, tokens and money; the latter two None where nobody states them."""
    return {
        "questions": len(opinions),
        "answered": sum(opinion["outcome"] in ANSWERED for opinion in opinions),
        "attempts": sum(opinion["attempts"] for opinion in opinions),
        "seconds": round(seconds, 3),
        "tokens": sum_tokens([opinion["tokens"] for opinion in opinions]),
        "cost": sum_cost([opinion["cost"] for opinion in opinions]),
    }


def _nobody_answered(opinions: list[Opinion]) -> str:
    reasons = dict.fromkeys(f"{opinion['outcome']}: {opinion['reason']}" for opinion in opinions)
    return f"ai=required, but {ENGINE} answered none of {len(opinions)} question(s). {'; '.join(reasons)}."
