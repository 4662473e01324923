# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Answers of Prometheus with hundreds of thousands of samples, taken apart series by series into arrays: 8 bytes a number, where json.loads
would hold a hundred.

Times are seconds since 1970. What is written in another order or with other spaces than usual is read by json.loads, which is slower.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from typing import Any, Iterator, Mapping, NamedTuple

_HEAD = re.compile(rb'\{"status":"success",[^\[]*?"data":\{[^\[]*?"result":\[')  # before the first label: nothing here is anybody's words
_VALUES = b'"values":[['  # cannot be inside a label's value, where every quote is escaped
_METRIC = b'"metric":'
_QUOTED = re.compile(rb'"([^"]*)"')


class Packed(NamedTuple):
    """One series. Of a grid ``times`` is empty, and ``values`` has one number for every moment of it, NaN where there is none."""

    labels: dict[str, str]
    values: array[float]
    times: array[float]


class Grid(NamedTuple):
    """Moments begin, begin + step, ...: so many."""

    begin: float
    step: float
    points: int


def series(body: bytes, grid: Grid | None = None) -> tuple[list[Packed], dict[str, Any]]:
    """(the series of a matrix, the rest of the answer with an empty result). Raises what Python raises for something of another shape."""
    head = _HEAD.match(body)
    if head:
        found, end = _quick(body, head.end(), grid)
        if body.count(_METRIC) == len(found):
            rest = json.loads(head.group() + body[end:]) if found else json.loads(body)
            if not rest["data"]["result"]:
                return found, rest
    document = json.loads(body)
    result, document["data"]["result"] = document["data"]["result"], []
    return [_slow(one, grid) for one in result], document


def _quick(body: bytes, at: int, grid: Grid | None) -> tuple[list[Packed], int]:
    """(series, where the text goes on after the last of them)."""
    found: list[Packed] = []
    while (values := body.find(_VALUES, at)) >= 0:
        end = body.index(b"]]", values)
        labels = json.loads(body[at:values].lstrip(b",") + b'"":0}')["metric"]
        found.append(_packed(labels, body[values + len(_VALUES) : end], grid))
        at = end + 3  # ]]}
    return found, at


def _packed(labels: Mapping[str, Any], text: bytes, grid: Grid | None) -> Packed:
    """``text``: 1,"2"],[3,"4" and so on."""
    known = {str(key): str(value) for key, value in labels.items()}
    count = text.count(b"],[") + 1
    if grid:
        first, last = (_place(float(text[at:].partition(b",")[0]), grid) for at in (0, text.rfind(b"[") + 1))
        if last - first == count - 1 and first >= 0 and last < grid.points:  # no gap: the times need not be read
            return Packed(known, _placed(array("d", map(float, _QUOTED.findall(text))), first, grid), array("d"))
    numbers = array("d", map(float, text.replace(b'"', b"").replace(b"],[", b",").split(b",")))
    return _sorted_out(known, numbers[::2], numbers[1::2], grid)


def _slow(one: Mapping[str, Any], grid: Grid | None) -> Packed:
    pairs = one.get("values") or ([one["value"]] if "value" in one else [])
    known = {str(key): str(value) for key, value in one["metric"].items()}
    return _sorted_out(known, array("d", (float(pair[0]) for pair in pairs)), array("d", (float(pair[1]) for pair in pairs)), grid)


def _sorted_out(labels: dict[str, str], times: array[float], values: array[float], grid: Grid | None) -> Packed:
    if len(times) != len(values):
        raise ValueError("a sample without its value")
    if grid is None:
        return Packed(labels, values, times)
    placed = array("d", [math.nan]) * grid.points
    for time, value in zip(times, values):
        index = _place(time, grid)
        if 0 <= index < grid.points:
            placed[index] = value
    return Packed(labels, placed, array("d"))


def _placed(values: array[float], first: int, grid: Grid) -> array[float]:
    unknown = array("d", [math.nan])
    return unknown * first + values + unknown * (grid.points - first - len(values))


def _place(time: float, grid: Grid) -> int:
    return round((time - grid.begin) / grid.step)


def samples(document: Mapping[str, Any]) -> int | None:
    """How many samples the server loaded for a query, where it says so (parameter stats)."""
    counted: Any = document.get("data")
    for name in ("stats", "samples", "totalQueryableSamples"):
        counted = counted.get(name) if isinstance(counted, Mapping) else None
    return int(counted) if isinstance(counted, (int, float)) else None


def remarks(document: Mapping[str, Any]) -> Iterator[Any]:
    """What the server remarks beside its answer."""
    for kind in ("warnings", "infos"):
        yield from document.get(kind) or ()
    if document.get("isPartial") is True:  # VictoriaMetrics
        yield "the answer is partial"
