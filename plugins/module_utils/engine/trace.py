# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The trace of kubectl-ai's calls to its model: how many there were, how they went, how many tokens and how much money they took.

The trace holds the API key and everything said in clear. It comes through a pipe, only what is listed here is taken from it,
and it is never stored. Events are YAML documents; kubectl-ai v0.0.28 writes them for openai, azopenai, grok and gemini,
and none for ollama and llamacpp.
"""

from __future__ import annotations

import json
from typing import Any, Iterator, Mapping, TypedDict

from ansible_collections.aiops.k8s.plugins.module_utils.errors import MissingLibrary, library

EVENT_BYTES = 8 << 20  # a longer event is passed over
_READ_BYTES = 1 << 20  # of a response in which figures are looked for: they stand at its end
_MOST_TOKENS, _MOST_MONEY = 10**9, 10**5  # of one response; more is not believed
_END = b"\n---\n"
_OK = 400  # from here on a status is a failure


class Tokens(TypedDict):
    prompt: int
    completion: int


class Cost(TypedDict):
    amount: float
    currency: str


# how a provider names them, in the object of the same line
_COUNTS: dict[str, tuple[tuple[str, str], ...]] = {
    "prompt": (("usage", "prompt_tokens"), ("usage", "input_tokens"), ("usageMetadata", "promptTokenCount")),
    "completion": (("usage", "completion_tokens"), ("usage", "output_tokens"), ("usageMetadata", "candidatesTokenCount")),
}
_COST = ("usage", "cost")  # OpenRouter and what imitates it, in US dollars
_COST_HEADER = "x-litellm-response-cost"  # LiteLLM, in US dollars
_CURRENCY = "USD"


class Trace:
    """Reads a trace that arrives in pieces.

    responses: how many answers of the endpoint came in, good or bad. failed: how many of the last calls in a row failed.
    last: what the newest call came to, as "429 Too Many Requests" or "dial tcp ...: connection refused"; "" before that.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._skip = False
        self._tokens: dict[str, int] = {}
        self._cost: float | None = None
        self.responses = self.failed = 0
        self.last = ""

    def feed(self, piece: bytes) -> None:
        looked = max(0, len(self._pending) - len(_END))  # not again through what was searched before
        self._pending += piece
        while (end := self._pending.find(_END, looked)) >= 0:
            if not self._skip:
                self._take(bytes(self._pending[:end]).lstrip())
            del self._pending[: end + len(_END)]
            self._skip, looked = False, 0
        if len(self._pending) > EVENT_BYTES:
            del self._pending[: -len(_END)]
            self._skip = True

    def tokens(self) -> Tokens | None:
        return Tokens(prompt=self._tokens.get("prompt", 0), completion=self._tokens.get("completion", 0)) if self._tokens else None

    def cost(self) -> Cost | None:
        return None if self._cost is None else Cost(amount=round(self._cost, 9), currency=_CURRENCY)

    def _take(self, event: bytes) -> None:
        if event.startswith(b"action: http.error"):
            self.failed += 1
            self.last = _detail(event)
        elif event.startswith(b"action: http.response"):
            self.responses += 1
            self.last = _status(event)
            self.failed = self.failed + 1 if self.last[:3].isdigit() and int(self.last[:3]) >= _OK else 0
            if b"sage" in event or _COST_HEADER.encode() in event.lower():
                self._figures(_document(event))

    def _figures(self, payload: Mapping[str, Any]) -> None:
        found: dict[str, float] = {}
        for value in _objects(payload.get("body")):  # a stream repeats its counts, growing
            for name, places in _COUNTS.items():
                found.update({name: count for place in places if (count := _number(value, place, _MOST_TOKENS)) is not None})
            money = _number(value, _COST, _MOST_MONEY)
            found.update({} if money is None else {"cost": money})
        stated = found.pop("cost", None)
        stated = _header_cost(payload.get("headers")) if stated is None else stated
        if stated is not None:
            self._cost = (self._cost or 0.0) + stated
        for name, count in found.items():
            self._tokens[name] = self._tokens.get(name, 0) + int(count)


def _line(event: bytes, name: bytes) -> str:
    for line in reversed(event.splitlines()):
        if line.startswith(b"  " + name + b": "):
            return line[len(name) + 4 :].decode("utf-8", "replace").strip().strip("'\"")
    return ""


def _status(event: bytes) -> str:
    return _line(event, b"status")


def _detail(event: bytes) -> str:
    return _line(event, b"detail") or _line(event, b"error")


def _document(event: bytes) -> Mapping[str, Any]:
    """The payload of an event; empty when it is not what kubectl-ai writes."""
    try:
        yaml = library("yaml")
    except MissingLibrary:  # on a host without it: the answer matters more than its price
        return {}
    try:
        value = yaml.load(event, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    payload = value.get("payload") if isinstance(value, dict) else None
    return payload if isinstance(payload, dict) else {}


def _objects(body: Any) -> Iterator[dict[str, Any]]:
    """The JSON objects of a response: the whole body, or what its lines hold when it is a stream."""
    text = body[-_READ_BYTES:] if isinstance(body, str) else ""
    for piece in (text, *text.splitlines()):
        piece = piece.removeprefix("data:").strip()
        if piece.startswith("{") and "sage" in piece:
            try:
                value = json.loads(piece)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                yield value
                if piece == text.strip():
                    return


def _number(value: Mapping[str, Any], place: tuple[str, str], most: int) -> float | None:
    holder = value.get(place[0])
    number = holder.get(place[1]) if isinstance(holder, dict) else None
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    return number if 0 <= number <= most else None  # false for NaN too


def _header_cost(headers: Any) -> float | None:
    for name, values in headers.items() if isinstance(headers, dict) else ():
        if str(name).lower() == _COST_HEADER and isinstance(values, list) and values:
            try:
                amount = float(values[0])
            except (TypeError, ValueError):
                return None
            return amount if 0 <= amount <= _MOST_MONEY else None
    return None


def sum_tokens(all_tokens: list[Tokens | None]) -> Tokens | None:
    known = [tokens for tokens in all_tokens if tokens is not None]
    return Tokens(prompt=sum(one["prompt"] for one in known), completion=sum(one["completion"] for one in known)) if known else None


def sum_cost(costs: list[Cost | None]) -> Cost | None:
    known = [cost["amount"] for cost in costs if cost is not None]
    return Cost(amount=round(sum(known), 9), currency=_CURRENCY) if known else None
