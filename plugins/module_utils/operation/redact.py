# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Takes secrets out of text and objects before they are written, shown or sent to a model; says how many it took.

    redact(text) -> (text, count)       redact_object(document) -> a redacted copy       holds_secret(name, value) -> bool

Secrets are found by shape (tokens, keys) and place (headers, URLs, flags, Secret objects): secret_shapes; by the name they are given
to and by randomness: secret_names; see docs/redaction.md. The three files use only the standard library and each other: they are
also copied beside an AI engine and run there. No function raises for any text.
Time grows linearly with the text: every search is bounded.
"""

from __future__ import annotations

import re
from typing import Any, Iterator

from ansible_collections.aiops.k8s.plugins.module_utils.operation import secret_names as names
from ansible_collections.aiops.k8s.plugins.module_utils.operation import secret_shapes as shapes

MASK = shapes.MASK


def _spans(text: str) -> Iterator[tuple[int, int]]:
    low = text.lower()
    if len(low) != len(text):  # a letter became two: positions would not fit
        low = "".join(letter if len(letter.lower()) != 1 else letter.lower() for letter in text)
    yield from shapes.places(text, low)
    yield from _words(text, low)
    yield from shapes.tokens(text)
    yield from names.values_by_lot(text)
    yield from shapes.private_keys(text)
    yield from shapes.secret_objects(text)


def _words(text: str, low: str) -> Iterator[tuple[int, int]]:
    """What stands behind parts of names, and behind three words that are no names. low: the text in small letters."""
    done = 0
    for word in shapes.HINT.finditer(low):
        pattern = shapes.BEHIND.get(word[0])
        if pattern is None and word.start() >= done:  # not inside a value that is taken already: so the time stays linear
            for span in names.named(text, *word.span()):
                done = span[1]
                yield span
        elif pattern is not None and (found := pattern.match(text, word.end())):
            yield found.span("secret")


_PASSES = 4


def redact(text: str) -> tuple[str, int]:
    """(text without secrets, how many were taken out)."""
    total = 0
    for _pass in range(_PASSES):  # what stood beside a secret may have hidden another: until nothing is left
        text, taken = _once(text)
        total += taken
        if not taken:
            break
    return text, total


def _once(text: str) -> tuple[str, int]:
    pieces, done, taken = [], 0, 0
    for start, end in sorted(_spans(text)):
        if end <= done or text[start:end].strip("\"'") == MASK:
            continue
        if start >= done:
            pieces += [text[done:start], MASK]
            taken += 1
        done = end
    return ("".join([*pieces, text[done:]]), taken) if taken else (text, 0)


def holds_secret(name: str, value: Any) -> bool:
    """Whether a named value looks like a secret, by its name or by itself."""
    return isinstance(value, str) and value != "" and (_is_secret(name, value) or redact(value)[1] > 0)


def _is_secret(name: str, value: str) -> bool:
    if names.SECRET_NAME.search(name) and names.names_secret(name) and (MASK in value or not names.trivial(name, value)):
        return True
    return names.by_lot(value) and not names.IDENTIFIER.search(name)


_DROPPED = ("managedFields", "kubectl.kubernetes.io/last-applied-configuration")  # they repeat the object


def redact_object(document: Any) -> Any:
    """A copy of an API object without literal secrets: data of Secrets, named values, flags, env values, annotations that repeat the object."""
    if isinstance(document, str):
        return redact(document)[0]
    if isinstance(document, list):
        before = [None, *document]
        return [MASK if _follows_flag(flag, item) else redact_object(item) for flag, item in zip(before, document)]
    if not isinstance(document, dict):
        return document
    hidden = ("data", "stringData") if document.get("kind") == "Secret" else ()
    name = document.get("name", document.get("key"))
    if isinstance(name, str) and "value" in document and holds_secret(name, document["value"]):
        hidden = (*hidden, "value")
    items = {"kind": "Secret"} if document.get("kind") == "SecretList" else {}
    return {
        key: (
            _hidden(value)
            if key in hidden
            else (
                MASK
                if isinstance(value, str) and value and _is_secret(str(key), value) and not _refers(str(key), value)
                else (
                    redact_object([{**items, **item} if isinstance(item, dict) else item for item in value])
                    if items and key == "items" and isinstance(value, list)
                    else redact_object(value)
                )
            )
        )
        for key, value in document.items()
        if key not in _DROPPED
    }


def _hidden(value: Any) -> Any:
    return {key: MASK for key in value} if isinstance(value, dict) else value if value is None else MASK


def _refers(key: str, value: str) -> bool:
    return bool(re.search(r"(?i)secrets?$", key)) and bool(names.REFERENCE.fullmatch(value))


def _follows_flag(flag: Any, item: Any) -> bool:
    if not isinstance(flag, str) or not isinstance(item, str) or not re.fullmatch(r"--?[A-Za-z][\w.-]*", flag) or item.startswith("-"):
        return False
    return names.names_secret(flag) and not names.trivial(flag, item)
