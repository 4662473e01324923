# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an AI engine says about one finding, and the only way that a model's answer becomes part of our data.

An opinion adds text, or chooses among remedies that our own code has validated. It has no field that could carry a change.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Callable, Literal, Mapping, NamedTuple, TypedDict

from ansible_collections.aiops.k8s.plugins.module_utils.engine import figures
from ansible_collections.aiops.k8s.plugins.module_utils.engine.answer import Unparseable, json_object
from ansible_collections.aiops.k8s.plugins.module_utils.engine.trace import Cost, Tokens

Outcome = Literal["answered", "disagrees", "refused", "skipped", "timeout", "unavailable", "unparseable"]
ANSWERED: tuple[Outcome, ...] = ("answered", "disagrees")

Clean = Callable[[str], str]  # takes secrets out of a text
_TEXT, _NAME = 2000, 64  # characters of free text and of a code
_MANY = 50  # cited evidence
_EXTRA, _TITLE = 5, 200  # findings that a model may add, and characters of a title


class Failure(NamedTuple):
    """Why there is no answer. again: trying once more may help. endpoint: the next question would meet the same."""

    outcome: Outcome
    reason: str
    again: bool = False
    endpoint: bool = False


class Named(TypedDict):
    """The object that a finding is about."""

    kind: str
    namespace: str
    name: str


class ExtraFinding(TypedDict):
    """Another problem that a model sees. Text: nothing is ever derived from it. Its object is named in the evidence that it cites."""

    title: str
    root_cause: str
    object: Named
    evidence: list[str]


class Opinion(TypedDict):
    """One engine's answer to one question, or the named reason why there is none. agent: namespace/name of kagent's, else ""."""

    question: str
    engine: str
    engine_version: str
    agent: str
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
    extra_findings: list[ExtraFinding]
    figures: figures.Figures | None
    commands: list[str]
    identity: str
    duration_seconds: float
    prompt_sha256: str
    prompt: str
    template_sha256: str
    attempts: int
    tokens: Tokens | None
    cost: Cost | None


def unanswered(question: str, engine: str, outcome: Outcome, reason: str) -> Opinion:
    """An opinion without an answer; also the start of every other one."""
    return Opinion(
        question=question,
        engine=engine,
        engine_version="",
        agent="",
        provider="",
        model="",
        outcome=outcome,
        reason=reason,
        remarks=[],
        agrees=None,
        root_cause="",
        code=None,
        remedy=None,
        evidence=[],
        confidence=None,
        note="",
        extra_findings=[],
        figures=None,
        commands=[],
        identity="none",
        duration_seconds=0.0,
        prompt_sha256="",
        prompt="",
        template_sha256="",
        attempts=0,
        tokens=None,
        cost=None,
    )


def with_answer(opinion: Opinion, raw: str, question: Mapping[str, Any], clean: Clean = str) -> Opinion:
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


def _read(raw: str, question: Mapping[str, Any], clean: Clean) -> tuple[dict[str, Any], list[str]]:
    given, remarks = json_object(raw)
    fields = {name: _needed(name, given, clean) for name in _NEEDED}
    for name, (wanted, convert, otherwise) in _OPTIONAL.items():
        value = given.get(name)
        fields[name] = otherwise if _is_nothing(value) else convert(value, clean)
        if fields[name] is None and not _is_nothing(value):
            fields[name] = otherwise
            remarks.append(f"{name} must be {wanted}, dropped")
    known_evidence = {item.get("id") for item in question.get("evidence") or []}
    known_remedies = {item.get("id") for item in question.get("remedies") or []}
    unknown = [item for item in fields["evidence"] if item not in known_evidence]
    if unknown:
        remarks.append(f"cited evidence that is not in the question, dropped: {', '.join(unknown[:5])}")
    fields["evidence"] = [item for item in dict.fromkeys(fields["evidence"]) if item in known_evidence]
    if fields["remedy"] is not None and fields["remedy"] not in known_remedies:
        remarks.append(f"chose a remedy that is not in the question, dropped: {fields['remedy']}")
        fields["remedy"] = None
    fields["extra_findings"], dropped = _extra_findings(given.get("extra_findings"), question, clean)
    fields["figures"], corrected = figures.read(given.get("figures"), question, clean)
    return fields, [*remarks, *dropped, *corrected]


def _extra_findings(given: Any, question: Mapping[str, Any], clean: Clean) -> tuple[list[ExtraFinding], list[str]]:
    """What the model adds, as far as the evidence bears it, and a remark on everything else."""
    if _is_nothing(given) or given == []:
        return [], []
    if not isinstance(given, list):
        return [], ["extra_findings must be a list, dropped"]
    kept, remarks = [], []
    if len(given) > _EXTRA:
        remarks.append(f"extra findings: {len(given) - _EXTRA} of {len(given)} dropped, at most {_EXTRA} are read")
    for number, value in enumerate(given[:_EXTRA], 1):
        try:
            kept.append(_extra_finding(value if isinstance(value, dict) else {}, question, clean))
        except Unparseable as reason:
            remarks.append(f"extra finding {number} dropped: {clean(str(reason))}")
    return kept, remarks


def _extra_finding(value: dict[str, Any], question: Mapping[str, Any], clean: Clean) -> ExtraFinding:
    """Raises Unparseable, with the reason for dropping it."""
    title, cause = (_text(value.get(name) or "", clean, limit) for name, limit in (("title", _TITLE), ("root_cause", _TEXT)))
    if not title or not cause:
        raise Unparseable("it has no title and root_cause")
    cited = set(_ids(value.get("evidence"), clean) or [])
    evidence = [item for item in question.get("evidence") or [] if item.get("id") in cited]
    if not evidence:
        raise Unparseable(f"it cites no evidence of the question: {title}")
    about = (question.get("finding") or {}).get("object") or {}
    named = _object(value.get("object"), str(about.get("namespace") or ""))
    if named is None:
        raise Unparseable(f"it names no object: {title}")
    same = named == Named(kind=named["kind"], namespace=str(about.get("namespace") or ""), name=str(about.get("name") or ""))
    same = same and named["kind"].lower() == str(about.get("kind") or "").lower()
    words = {word.strip(".-") for item in evidence for word in _NAMES.findall(f"{item.get('source')} {item.get('excerpt')}"[:_SEARCHED])}
    foreign = named["namespace"] not in ("", str(about.get("namespace") or ""))
    if not same and (named["name"] not in words or (foreign and named["namespace"] not in words)):
        raise Unparseable(f"its {named['kind']} {named['name']} is not named in the evidence that it cites: {title}")
    return ExtraFinding(title=title, root_cause=cause, object=named, evidence=[str(item["id"]) for item in evidence])


def _object(value: Any, namespace: str) -> Named | None:
    """An object, given as such or as kind/name; without a namespace it is in that of the finding."""
    if isinstance(value, str) and value.count("/") == 1:
        value = dict(zip(("kind", "name"), value.split("/")))
    if not isinstance(value, dict):
        return None
    kind, name, given = (str(value.get(key) or "").strip() for key in ("kind", "name", "namespace"))
    where = given or namespace
    fits = _KIND.fullmatch(kind) and _NAMES.fullmatch(name) and (not where or _NAMES.fullmatch(where))
    return Named(kind=kind, namespace=where, name=name) if fits else None


_SEARCHED = 65_536  # characters of one piece of evidence in which a name is looked for
_KIND = re.compile(r"[A-Za-z]{1,63}")
_NAMES = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,252})")


def _needed(name: str, given: dict[str, Any], clean: Clean) -> Any:
    wanted, convert = _NEEDED[name]
    value = given.get(name)
    if _is_nothing(value):
        raise Unparseable(f"the answer has no {name}")
    converted = convert(value, clean)
    if converted is None:
        raise Unparseable(f"{name} must be {wanted}")
    return converted


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in ("", "null", "none", "n/a"))


# Each takes a value of the answer and returns ours, or None when it is not what was asked for. Text is cleaned before it is cut:
# half a secret is no longer recognised. It is cut roughly before that: an answer may be huge.


def _text(value: Any, clean: Clean, limit: int) -> str | None:
    return plain(clean(value[: limit * 10]), limit) if isinstance(value, str) else None


def _truth(value: Any, _clean: Clean) -> bool | None:
    if isinstance(value, bool):
        return value
    return _TRUTH.get(value.strip().lower()) if isinstance(value, str) else None


_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def _fraction(value: Any, _clean: Clean) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value[:32])
        except ValueError:
            return None
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
    return round(float(value), 3) if fits else None


def _id(value: Any, clean: Clean) -> str | None:
    if isinstance(value, dict) and set(value) <= {"id", "summary"}:
        value = value.get("id")
    return _text(value, clean, _NAME)


def _ids(value: Any, clean: Clean) -> list[str] | None:
    items = re.split(r"[,;\s]+", value[:1000].strip()) if isinstance(value, str) else value
    if not isinstance(items, list) or len(items) > _MANY:
        return None
    found = [_text(item.get("id") if isinstance(item, dict) else item, clean, _NAME) for item in items]
    return None if None in found else [item for item in found if item]


# field of the answer -> what it must be in words, conversion
_NEEDED: dict[str, tuple[str, Callable[[Any, Clean], Any]]] = {
    "root_cause": ("a string", lambda value, clean: _text(value, clean, _TEXT)),
    "agrees": ("true or false", _truth),
}
# ... and the value when it is absent, null, or something else than that
_OPTIONAL: dict[str, tuple[str, Callable[[Any, Clean], Any], Any]] = {
    "code": ("a string or null", lambda value, clean: _text(value, clean, _NAME), None),
    "remedy": ("the id of a remedy or null", _id, None),
    "evidence": (f"a list of at most {_MANY} evidence ids", _ids, []),
    "confidence": ("a number from 0 to 1", _fraction, None),
    "note": ("a string", lambda value, clean: _text(value, clean, _TEXT), ""),
}
