# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The task kubectl_ai, for the module and for the action of that name: its options, and its result from them.

COMMON, ``manner`` and ``results`` are what the tasks of all engines share.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.engine import figures
from ansible_collections.aiops.k8s.plugins.module_utils.engine.bundle import Limits
from ansible_collections.aiops.k8s.plugins.module_utils.engine.kubectl_ai import ENGINE, Settings, ask
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
    "figures": {"type": "dict", "default": {}},
}
COMMON: Spec = {
    "questions": {"type": "list", "elements": "dict", "required": True, "options": _QUESTION},
    "ai": {"type": "str", "choices": ["auto", "off", "required"], "default": "auto"},
    "budget": {"type": "float", "default": 20},
    "max_questions": {"type": "int", "default": 10},
    "parallel": {"type": "int"},
    "prompt_file": {"type": "path"},
    "max_evidence_bytes": {"type": "int", "default": 32000},
    "max_excerpt_bytes": {"type": "int", "default": 4000},
}
_ACCOUNT: Spec = {"namespace": {"type": "str", "required": True}, "name": {"type": "str", "required": True}}
SPEC: Spec = {
    **CONNECTION,
    **COMMON,
    "binary": {"type": "path"},
    "provider": {"type": "str", "choices": list(PROVIDERS)},
    "model": {"type": "str"},
    "service_account": {"type": "dict", "options": _ACCOUNT},
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
    settings = Settings(
        **manner(options), binary=options["binary"], provider=options["provider"], model=options["model"], confined=options["confine"]
    )

    def asked() -> list[Opinion]:
        account = options["service_account"]
        return ask(options["questions"], settings, options["budget"], environment, connection=options, service_account=account, show=show)

    return results(ENGINE, options, asked)


def manner(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of asking.Manner from the options in COMMON. Raises BadInput for what is wrong in them."""
    for name, (least, most) in _BETWEEN.items():
        if options[name] is not None and not least <= options[name] <= most:
            raise BadInput(f"{name} is {options[name]}.", f"Give it a number from {least} to {most}.")
    for question in options["questions"]:
        figures.check(question)
    return {
        "limits": Limits(options["max_excerpt_bytes"], options["max_evidence_bytes"]),
        "template": load(options["prompt_file"]),
        "max_questions": options["max_questions"],
        "parallel": options["parallel"],
    }


def results(engine: str, options: Mapping[str, Any], asked: Callable[[], list[Opinion]]) -> dict[str, Any]:
    """{opinions, usage} of an engine that ``asked`` asks, unless ai=off. Raises AiopsError when ai=required got no answer."""
    started = time.monotonic()
    if options["ai"] == "off":
        opinions = [unanswered(question["id"], engine, "unavailable", "switched off with ai=off") for question in options["questions"]]
    else:
        opinions = asked()
    used = usage(opinions, time.monotonic() - started)
    if options["ai"] == "required" and opinions and not used["answered"]:
        raise AiopsError(_nobody_answered(engine, opinions), "Set ai=auto to go on without it.", opinions=opinions, usage=used)
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


def _nobody_answered(engine: str, opinions: list[Opinion]) -> str:
    reasons = dict.fromkeys(f"{opinion['outcome']}: {opinion['reason']}" for opinion in opinions)
    return f"ai=required, but {engine} answered none of {len(opinions)} question(s). {'; '.join(reasons)}."
