# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Large answers in arrays: the same numbers as json.loads gives, whatever labels hold and however the JSON is laid out."""

from __future__ import annotations

import json
import math
from array import array
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus import packed
from ansible_collections.aiops.k8s.plugins.module_utils.prometheus.packed import Grid

GRID = Grid(100.0, 10.0, 4)
HOSTILE = ['a"},"values":[[1,"2"]]', "]]", '"metric":{', '","result":[', "\\", '\\"', "ü\n\x00", "[[", '{"status":"success"']


def body(*series: tuple[dict[str, str], list[Any]], instant: bool = False, spaced: bool = False, **further: Any) -> bytes:
    name = "value" if instant else "values"
    result = [{"metric": labels, name: values} for labels, values in series]
    document = {
        "status": "success",
        "data": {"resultType": "vector" if instant else "matrix", "result": result, **further.pop("data", {})},
        **further,
    }
    return json.dumps(document, separators=None if spaced else (",", ":"), ensure_ascii=False).encode()


def numbers(values: array[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]


@pytest.mark.parametrize("spaced", [False, True])
def test_a_grid(spaced: bool) -> None:
    whole, gap, late = ([[100, "1"], [110, "2.5"], [120, "0"], [130, "+Inf"]], [[100, "1"], [130, "4"]], [[120.0, "3"], [130, "NaN"]])
    found, _rest = packed.series(body(({"pod": "a"}, whole), ({"pod": "b"}, gap), ({}, late), spaced=spaced), GRID)
    assert [one.labels for one in found] == [{"pod": "a"}, {"pod": "b"}, {}] and all(not one.times for one in found)
    assert [numbers(one.values) for one in found] == [[1.0, 2.5, 0.0, math.inf], [1.0, None, None, 4.0], [None, None, 3.0, None]]


def test_moments_outside_of_the_grid_are_left_out() -> None:
    [found], _rest = packed.series(body(({}, [[90, "1"], [100, "2"], [140, "3"]])), GRID)
    assert numbers(found.values) == [2.0, None, None, None]


@pytest.mark.parametrize("spaced", [False, True])
def test_raw_samples(spaced: bool) -> None:
    [found], _rest = packed.series(body(({"pod": "a"}, [[100.123, "1"], [107, "-2e-3"]]), spaced=spaced))
    assert list(found.times) == [100.123, 107.0] and list(found.values) == [1.0, -0.002]


def test_an_instant_vector() -> None:
    found, _rest = packed.series(body(({"pod": "a"}, [5, "1"]), ({"pod": "b"}, [5, "NaN"]), instant=True))
    assert [(one.labels["pod"], numbers(one.values)) for one in found] == [("a", [1.0]), ("b", [None])]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_labels(text: str) -> None:
    labels = {"pod": text, "values": text, "metric": text}
    found, _rest = packed.series(body((labels, [[100, "1"], [110, "2"]]), ({"pod": "b"}, [[120, "3"]])), GRID)
    assert found[0].labels == labels and numbers(found[0].values) == [1.0, 2.0, None, None] and numbers(found[1].values)[2] == 3.0


def test_huge_label_sets() -> None:
    labels = {f"label_{index}": "x" * 2000 for index in range(300)}
    [found], _rest = packed.series(body((labels, [[100, "1"]])), GRID)
    assert found.labels == labels


@pytest.mark.parametrize("series", [(), (({}, [[100, "1"]]),)])
def test_what_stands_beside_the_result(series: Any) -> None:
    text = body(*series, data={"stats": {"samples": {"totalQueryableSamples": 12}}}, warnings=["a store is away"], infos=["is it a counter?"])
    found, rest = packed.series(text, GRID)
    assert len(found) == len(series) and packed.samples(rest) == 12 and list(packed.remarks(rest)) == ["a store is away", "is it a counter?"]


def test_a_partial_answer_of_victoriametrics() -> None:
    text = b'{"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[{"metric":{},"values":[[100,"1"]]}]}}'
    found, rest = packed.series(text, GRID)
    assert len(found) == 1 and list(packed.remarks(rest)) == ["the answer is partial"] and packed.samples(rest) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>",
        b'{"status":"success"}',
        b"[1]",
        body(({}, [[100, "x"]])),
        body(({}, [[100, "1"]]))[:-9],
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[3]]}]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[3]}}',
    ],
)
def test_anything_else_raises(text: bytes) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError, IndexError)):
        packed.series(text, GRID)
