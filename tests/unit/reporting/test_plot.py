# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Plots of usage: valid SVG that is the same every time, keeps peaks, shows gaps, and takes hostile text as text."""

from __future__ import annotations

import math
import sys
import xml.etree.ElementTree as xml
from array import array
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.reporting import plot

BEGIN, STEP, EIGHT_DAYS = 1794700800.0, 300.0, 2304
MIB = 2**20
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'web"><script>alert(1)</script> $\\frac{1}{0}$ $x_1 & \x1b[31m\u202e \x00'


def grid(values: list[float], begin: float = BEGIN) -> dict[str, Any]:
    return {"begin": begin, "step": STEP, "values": array("d", values)}


def daily(count: int = EIGHT_DAYS, size: float = 0.1) -> list[float]:
    return [size * (2 + math.sin(index / 288 * 2 * math.pi) + (index * 7919 % 101) / 200) for index in range(count)]


def line(value: float | None, kind: str = "request", new: bool = False) -> dict[str, Any]:
    return {"label": f"{kind} {'proposed' if new else 'before'}", "value": value, "kind": kind, "new": new}


def texts(svg: str) -> str:
    return "\n".join("".join(one.itertext()) for one in xml.fromstring(svg).iter(f"{SVG}text"))


def test_two_panels_of_eight_days_with_every_line_named() -> None:
    pods = {f"p{number}": {"cpu_series": grid(daily()), "memory_series": grid(daily(size=50 * MIB))} for number in range(3)}
    sized = {
        "name": HOSTILE,
        "cpu": {"request": [0.5, 0.25], "limit": [8.0, None]},
        "memory": {"request": [512 * MIB, 200 * MIB], "limit": [512 * MIB, 512 * MIB]},
    }
    [one], why = plot.drawn({HOSTILE: pods}, [sized], key="Deployment/shop/web", when=BEGIN + EIGHT_DAYS * STEP)
    assert why == "" and one["name"] == "usage-1.svg"
    assert len(one["content"].encode()) < 120_000
    root = xml.fromstring(one["content"])
    assert root.get("role") == "img" and not list(root.iter(f"{SVG}script")) and not list(root.iter(f"{SVG}image"))
    shown = texts(one["content"])
    for said in ("request before 500m", "request proposed 250m", "above the picture: limit before 8", "limit (kept) 512 MiB", "UTC"):
        assert said in shown, said
    assert "$\\frac{1}{0}$" in shown, "no formula"
    assert "\x1b" not in one["content"] and "\u202e" not in one["content"] and "\x00" not in one["content"]
    assert "request proposed 250m" in one["text"] and "3 pods" in one["text"]
    again = plot.drawn({HOSTILE: pods}, [sized], key="Deployment/shop/web", when=BEGIN + EIGHT_DAYS * STEP)
    assert again == ([one], "")


def test_no_peak_is_lost_and_pods_are_put_on_one_grid() -> None:
    numpy = pytest.importorskip("numpy")
    first, second = daily(), daily(1000)
    first[1501], second[7] = 9.0, 7.0
    data = plot._reduced(numpy, [grid(first), grid(second, BEGIN + 1000 * STEP)])
    assert data is not None and len(data["highest"]) <= plot.POINTS
    assert float(numpy.nanmax(data["highest"])) == 9.0
    width = math.ceil(EIGHT_DAYS / plot.POINTS)
    assert data["highest"][1007 // width] == 7.0 and data["lowest"][1007 // width] < 1
    assert data["highest"][1501 // width] == 9.0


def test_a_gap_is_left_empty_and_hatched() -> None:
    numpy = pytest.importorskip("numpy")
    values = daily(600)
    values[100:200] = [math.nan] * 100
    data = plot._reduced(numpy, [grid(values)])
    assert data is not None and numpy.isnan(data["highest"][100:200]).all() and numpy.isfinite(data["highest"]).sum() == 500
    assert "<pattern" in plot.usage_svg([grid(values)], [], title="t", unit="cores")
    assert "<pattern" not in plot.usage_svg([grid(daily(600))], [], title="t", unit="cores")


@pytest.mark.parametrize("values", [[], [math.nan] * 20, [0.0] * 20, [math.nan] * 9 + [0.2] + [math.nan] * 9, [0.1]])
def test_odd_series_are_drawn(values: list[float]) -> None:
    svg = plot.usage_svg([grid(values)], [line(None), line(0.0)], title="odd", unit="cores")
    known = any(map(math.isfinite, values))
    assert ("no samples" in texts(svg)) != known
    xml.fromstring(plot.usage_svg([grid([one * MIB for one in values])], [line(3.0 * MIB, "limit", True)], title="", unit="bytes"))


def test_names_of_lines_do_not_overlap() -> None:
    places = plot._apart([0.5, 0.5, 0.51, 0.99, 1.0, 0.0])
    ordered = sorted(places)
    assert all(second - first > 0.11 for first, second in zip(ordered, ordered[1:])) and 0 <= ordered[0] and ordered[-1] <= 1


@pytest.mark.parametrize("value, said", [(0.25, "250m"), (2.0, "2"), (0.57, "570m"), (0.0042, "4.2m"), (0.0, "0"), (1.5, "1500m")])
def test_cores(value: float, said: str) -> None:
    assert plot.cores(value) == said


@pytest.mark.parametrize("value, said", [(150.0 * MIB, "150 MiB"), (1536.0 * MIB, "1.5 GiB"), (0.0, "0 MiB")])
def test_sizes(value: float, said: str) -> None:
    assert plot.size(value) == said


def test_an_unknown_unit() -> None:
    with pytest.raises(BadInput, match="unit of a plot is 'fathoms'"):
        plot.usage_svg([], [], title="", unit="fathoms")


def test_without_matplotlib_it_says_which_package_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    sized = {"name": "web", "cpu": {"request": [None, 0.2], "limit": [None, None]}, "memory": {"request": [None, None], "limit": [None, None]}}
    found, why = plot.drawn({"web": {"p": {"cpu_series": grid(daily(9)), "memory_series": None}}}, [sized], key="D/a/b")
    assert found == [] and "pip install matplotlib" in why
    assert plot.drawn({}, [sized], key="D/a/b") == ([], "there is no series to plot")
