# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an AI engine says about one finding, and the only way that a model's answer becomes part of our data.

An opinion adds text, or chooses among remedies that our own code has validated. It has no field that could carry a change.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, Callable, Literal, Mapping, TypedDict

Outcome = Literal["answered", "disagrees", "refused", "timeout", "unavailable", "unparseable"]
ANSWERED: tuple[Outcome, ...] = ("answered", "disagrees")

ANSWER_BYTES = 262_144  # a longer answer is not read
_TEXT, _NAME = 2000, 64  # characters of free text and of a code
_MANY = 50  # cited evidence


class Tokens(TypedDict):
    prompt: int
    completion: int


class Opinion(TypedDict):
    """One engine's answer to one question, or the named reason why there is none."""

    question: str
    engine: str
    engine_version: str
    provider: str
    model: str
    outcome: Outcome
    reason: str
    remarks: list[str]
    agrees: bool | None
    root_cause: str
    code: str | None
    remedy: str | None
    evidence: list[str]
    confidence: float | None
    note: str
    commands: list[str]
    identity: str
    duration_seconds: float
    prompt_sha256: str
    prompt: str
    tokens: Tokens | None


class Unparseable(ValueError):
    """The answer is not what was asked for; the message says what is wrong with it."""


def unanswered(question: str, engine: str, outcome: Outcome, reason: str) -> Opinion:
    """An opinion without an answer; also the start of every other one."""
    return Opinion(
        question=question, engine=engine, engine_version="", provider="", model="", outcome=outcome, reason=reason, remarks=[],
        agrees=None, root_cause="", code=None, remedy=None, evidence=[], confidence=None, note="", commands=[], identity="none",
        duration_seconds=0.0, prompt_sha256="", prompt="", tokens=None,
    )


def with_answer(opinion: Opinion, raw: str, question: Mapping[str, Any], clean: Callable[[str], str] = str) -> Opinion:
    """The opinion with the model's raw answer read into it.

    question: what was asked, with its evidence and remedies.
    clean: applied to every text before it is cut to length, to remove secrets.
    """
    try:
        fields, remarks = _read(raw, question, clean)
    except Unparseable as error:
        return {**opinion, "outcome": "unparseable", "reason": clean(str(error))}
    outcome: Outcome = "answered" if fields["agrees"] else "disagrees"
    return {**opinion, **fields, "outcome": outcome, "reason": "", "remarks": [*opinion["remarks"], *remarks]}  # type: ignore[typeddict-item]


def plain(text: str, limit: int) -> str:
    """Text without terminal escapes and invisible characters, at most so many characters long."""
    text = _ESCAPE.sub("", text[: limit * 4])
    text = "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in _INVISIBLE).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _read(raw: str, question: Mapping[str, Any], clean: Callable[[str], str]) -> tuple[dict[str, Any], list[str]]:
    given = _json_object(raw)
    fields = {name: _field(name, rule, given, clean) for name, rule in _RULES.items()}
    known_evidence = {item.get("id") for item in question.get("evidence") or []}
    known_remedies = {item.get("id") for item in question.get("remedies") or []}
    unknown = [item for item in fields["evidence"] if item not in known_evidence]
    remarks = [f"cited evidence that is not in the question, dropped: {', '.join(unknown[:5])}"] if unknown else []
    fields["evidence"] = [item for item in dict.fromkeys(fields["evidence"]) if item in known_evidence]
    if fields["remedy"] is not None and fields["remedy"] not in known_remedies:
        remarks.append(f"chose a remedy that is not in the question, dropped: {fields['remedy']}")
        fields["remedy"] = None
    return fields, remarks


def _json_object(raw: str) -> dict[str, Any]:
    if not raw.strip():
        raise Unparseable("the model gave an empty answer")
    if len(raw) > ANSWER_BYTES:
        raise Unparseable(f"the answer is longer than {ANSWER_BYTES} characters")
    fences = _FENCE.findall(raw)
    text = fences[-1] if fences else raw[raw.find("{"): raw.rfind("}") + 1]
    if not text:
        raise Unparseable("the answer has no JSON object")
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Unparseable(f"the JSON of the answer is broken: {str(error)[:120]}") from None
    if not isinstance(value, dict):
        raise Unparseable(f"the answer is a JSON {type(value).__name__}, not an object")
    return value


_FENCE = re.compile(r"^[ \t]*```json[ \t]*\r?\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE | re.IGNORECASE)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _field(name: str, rule: tuple[bool, str, Callable[[Any], bool], Callable[[Any, Callable[[str], str]], Any], Any], given: dict[str, Any],
           clean: Callable[[str], str]) -> Any:
    needed, wanted, fits, convert, otherwise = rule
    value = given.get(name)
    if value is None:
        if needed:
            raise Unparseable(f"the answer has no {name}")
        return otherwise
    if not fits(value):
        raise Unparseable(f"{name} must be {wanted}")
    return convert(value, clean)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MANY and all(isinstance(item, str) for item in value)


def _is_fraction(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _bounded(limit: int) -> Callable[[str, Callable[[str], str]], str]:
    # cleaned before it is cut: half a secret is no longer recognised. Cut roughly before that: an answer may be huge.
    return lambda value, clean: plain(clean(value[: limit * 10]), limit)


# field of the answer -> needed, what it must be in words, test, conversion, value when it is absent or null
_RULES: dict[str, tuple[bool, str, Callable[[Any], bool], Callable[[Any, Callable[[str], str]], Any], Any]] = {
    "root_cause": (True, "a string", _is_text, _bounded(_TEXT), ""),
    "agrees": (True, "true or false", lambda value: isinstance(value, bool), lambda value, clean: value, None),
    "code": (False, "a string or null", _is_text, _bounded(_NAME), None),
    "remedy": (False, "the id of a remedy or null", _is_text, _bounded(_NAME), None),
    "evidence": (False, f"a list of at most {_MANY} evidence ids", _is_ids, lambda value, clean: [plain(clean(item), _NAME) for item in value], []),
    "confidence": (False, "a number from 0 to 1", _is_fraction, lambda value, clean: round(float(value), 3), None),
    "note": (False, "a string", _is_text, _bounded(_TEXT), ""),
}
