# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The JSON object in what a model said. Small models put prose around it, and write it as Python or JavaScript would.

What is read: a fenced block or a bare object, the last complete one; single quotes, trailing commas, True and None, comments
and typographic quotes; a copy of the form that was asked for is not taken for an answer. Nothing is guessed beyond that.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, Callable, Iterator

ANSWER_BYTES = 262_144  # a longer answer is not read
_REPAIRED_BYTES = 16_384  # what is longer must be JSON as it is
_CANDIDATES = 20  # objects that are looked at, from the end
_WRAPPED = 3  # objects around the answer that are taken off: {"opinion": {...}}
NEEDED = ("root_cause", "agrees")


class Unparseable(ValueError):
    """The answer is not what was asked for; the message says what is wrong with it."""


def json_object(raw: str) -> tuple[dict[str, Any], list[str]]:
    """The object that holds the answer, with the names of its fields in our spelling, and remarks. Raises Unparseable."""
    if not raw.strip():
        raise Unparseable("the model gave an empty answer")
    if len(raw) > ANSWER_BYTES:
        raise Unparseable(f"the answer is longer than {ANSWER_BYTES} characters")
    texts = list(_candidates(raw))
    if not texts:
        raise Unparseable("the answer has no JSON object")
    found, problems = [], []
    for text in texts:
        try:
            found.append(_unwrapped(_object(text)))
        except Unparseable as problem:
            problems.append(problem)
    answers = [value for value in found if all(name in value for name in NEEDED)]
    own = [value for value in answers if not _is_echo(value)]
    if answers and not own:
        raise Unparseable("the answer only repeats the form that was asked for")
    if not own:
        raise problems[0] if problems and not found else Unparseable(_lacking(found[0]))
    differ = any((value["agrees"], value["root_cause"]) != (own[0]["agrees"], own[0]["root_cause"]) for value in own[1:])
    return own[0], ["the answer held several opinions; the last one counts"] if differ else []


def _lacking(value: dict[str, Any]) -> str:
    return f"the answer has no {next(name for name in NEEDED if name not in value)}"


def _candidates(raw: str) -> Iterator[str]:
    """What may be the object, the likeliest first: from the end, fenced blocks before anything else."""
    fences = [match[1] for match in _FENCE.finditer(raw)]
    marked = [text for text in fences if text.strip()]
    bare = [] if any("{" in text for text in marked) else list(_braces(raw))
    if not bare and not marked:
        cut = raw[raw.find("{") : raw.rfind("}") + 1]
        bare = [cut] if cut else []
    yield from (marked[::-1] + bare[::-1])[:_CANDIDATES]


_FENCE = re.compile(
    r"^[ \t]*```[ \t]*(?:json|json5|jsonc|javascript|js|python|yaml)?[ \t]*\r?\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE | re.IGNORECASE
)


def _braces(raw: str) -> Iterator[str]:
    """The outermost {...} of a text, in their order; braces inside of double-quoted strings do not count."""
    depth = start = 0
    quoted = escaped = False
    for place, char in enumerate(raw):
        if quoted:
            quoted, escaped = (escaped or char != '"') and char != "\n", char == "\\" and not escaped
        elif char == '"' and depth:
            quoted = True
        elif char == "{":
            start, depth = (place if not depth else start), depth + 1
        elif char == "}" and depth:
            depth -= 1
            if not depth:
                yield raw[start : place + 1]


def _object(text: str) -> dict[str, Any]:
    problem = ""
    for read in (_strict, _with_json_repaired, _as_python):
        try:
            value = read(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
            problem = problem or str(error)[:120]
            continue
        if not isinstance(value, dict):
            raise Unparseable(f"the answer is a JSON {type(value).__name__}, not an object")
        return value
    raise Unparseable(f"the JSON of the answer is broken: {problem}")


def _strict(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _with_json_repaired(text: str) -> Any:
    return json.loads(_repaired(text), parse_constant=_no_constant, strict=False)


def _as_python(text: str) -> Any:
    """The object as Python writes it. Only literals are read: nothing in it is run."""
    words = {"true": "True", "false": "False", "null": "None"}
    value = ast.literal_eval(_outside_strings(_repaired(text), lambda piece: _WORD.sub(lambda match: words[match[0]], piece)).strip())
    return json.loads(json.dumps(value, allow_nan=False))  # what JSON cannot say, such as a set or infinity, is an error


def _repaired(text: str) -> str:
    if len(text) > _REPAIRED_BYTES:
        raise ValueError("it is not JSON, and too long to be repaired")
    start, end = text.find("{"), text.rfind("}")
    text = text[start : end + 1] if 0 <= start < end else text
    text = text.translate(_QUOTES) if '"' not in text else text
    return _outside_strings(text, lambda piece: _COMMA.sub(r"\1", _COMMENT.sub("", piece)))


_QUOTES = {ord(char): '"' for char in "\u201c\u201d\u201e\u201f"}
# a string that does not end is one too: otherwise each of its quotes would be tried anew, which takes long
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?|\'(?:[^\'\\\n]|\\.)*\'?', re.DOTALL)
_COMMENT = re.compile(r"(?://|#)[^\n]*$", re.MULTILINE)
_COMMA = re.compile(r",(\s*[}\]])")
_WORD = re.compile(r"\b(?:true|false|null)\b")


def _outside_strings(text: str, change: Callable[[str], str]) -> str:
    """The text with the change made everywhere but in quoted strings."""
    pieces, place = [], 0
    for match in _STRING.finditer(text):
        pieces += [change(text[place : match.start()]), match[0]]
        place = match.end()
    return "".join([*pieces, change(text[place:])])


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    for _layer in range(_WRAPPED):
        named = {_name(key): item for key, item in value.items()}
        inner = [item for item in named.values() if isinstance(item, dict)]
        if len(named) != 1 or not inner:
            return named
        value = inner[0]
    return {_name(key): item for key, item in value.items()}


def _name(key: str) -> str:
    """rootCause, Root cause and root-cause are root_cause."""
    return re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key[:100].strip())).lower()


def _is_echo(value: dict[str, Any]) -> bool:
    return any(isinstance(item, str) and bool(_BLANK.match(item)) for item in (value["root_cause"], value["agrees"]))


_BLANK = re.compile(r"^\s*<[^<>]*>\s*$|^\s*\.\.\.\s*$")
