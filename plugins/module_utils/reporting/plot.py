# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Usage over time beside old and new requests and limits, as SVG text drawn by matplotlib.

A panel is {"name", "unit": "cores"|"bytes", "series": [Grid], "lines": [{"label", "value", "kind": "request"|"limit", "new": bool}]};
Grid = {"begin": seconds since 1970, "step": seconds, "values": list of floats, NaN where unknown}. The series are those of all pods: a band
from the lowest to the highest, and a line along the highest. Values in cores or bytes.

At most POINTS points are drawn per line; each is the highest of its part of the time, so that no peak is lost, and time without any
sample stays empty and is hatched. The same input gives the same bytes. Old and new are told apart by the style of the line and every line
carries its name, so that neither colour nor a legend is needed. Text is drawn as text, never read as markup or as formulas.

Errors: MissingLibrary where matplotlib is not installed; BadInput for an unknown unit.
"""

from __future__ import annotations

import html
import io
import math
import re
import warnings
from datetime import datetime, timezone
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.diagnosis.facts import quantity
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, MissingLibrary, library
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

Panel = Mapping[str, Any]
Line = Mapping[str, Any]

POINTS = 600
MOST = 8  # containers of one workload that are plotted
_FAR = 3.0  # a line this many times above everything else is named at the edge instead of squeezing the rest
_MOST_GAPS = 40  # the longest ones are hatched
_DAY = 86400.0
_TICKS = tuple(hours * 3600.0 for hours in (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 672, 2016))
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_INK, _BAND, _GREY = "#1a1a1a", "#b9cfe4", "#666666"
_COLOURS = {"request": "#0072b2", "limit": "#d55e00"}  # told apart with every kind of colour blindness, and as greys
_STYLES = {(True, "request"): "-", (True, "limit"): (0, (9, 2)), (False, "request"): (0, (4, 3)), (False, "limit"): (0, (1, 2))}
_FONTS = "'DejaVu Sans', Verdana, Arial, Helvetica"  # matplotlib adds sans-serif
_PATH, _LONG = re.compile(r' d="[^"]*"'), re.compile(r"(\d\.\d\d)\d+")
_RC: dict[str, Any] = {
    "svg.hashsalt": "aiops.k8s",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.usetex": False,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that the layout is the same everywhere
    "font.size": 9.0,
    "hatch.color": "#c4c4c4",
    "hatch.linewidth": 0.6,
}


def drawn(
    containers: Mapping[str, Mapping[str, Any]], sized: Sequence[Mapping[str, Any]], *, key: str, when: float | None = None
) -> tuple[list[dict[str, str]], str]:
    """([{name, title, text, content}] for the proposal's ``attachments``, one per container; why there is no plot, or "").

    containers: {container: {pod: Usage}} of one workload's history, Usage = {"cpu_series": Grid|None, "memory_series": Grid|None, ...};
    sized: ``containers`` of its recommendation. A missing matplotlib is the second part of the answer, not an error.
    """
    found: list[dict[str, str]] = []
    for number, one in enumerate(sized[:MOST], start=1):
        panels = of_container(containers.get(one["name"], {}), one)
        if not any(panel["series"] for panel in panels):
            continue
        title = f"Container {plain(redact(str(one['name']))[0])} of {plain(redact(key)[0], 160)}"
        try:
            text = " ".join(map(describe, panels))
            content = svg(panels, title=title, when=when, description=text)
        except MissingLibrary as error:
            return [], f"no plot was drawn: {error}"
        found.append({"name": f"usage-{number}.svg", "title": title, "text": text, "content": content})
    left = len(sized) - MOST
    return found, f"{left} more containers are not plotted" if left > 0 else "" if found else "there is no series to plot"


def of_container(pods: Mapping[str, Mapping[str, Any]], sized: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The two panels of a container: its usage in all pods, and what is set and proposed {cpu|memory: {request|limit: [old, new]}}."""
    return [
        {
            "name": _UNITS[unit][0],
            "unit": unit,
            "series": [one[f"{resource}_series"] for one in pods.values() if one.get(f"{resource}_series")],
            "lines": [line for kind in ("request", "limit") for line in _lines(kind, sized[resource][kind])],
        }
        for resource, unit in (("cpu", "cores"), ("memory", "bytes"))
    ]


def _lines(kind: str, values: Sequence[float | None]) -> list[dict[str, Any]]:
    old, new = values
    if old == new:
        return [{"label": f"{kind} (kept)", "value": new, "kind": kind, "new": True}]
    return [
        {"label": f"{kind} before", "value": old, "kind": kind, "new": False},
        {"label": f"{kind} proposed", "value": new, "kind": kind, "new": True},
    ]


def usage_svg(
    series: Sequence[Mapping[str, Any]], lines: Sequence[Line], *, title: str, unit: str, when: float | None = None, name: str = ""
) -> str:
    """A picture with one panel. ``when``: the moment that the picture stands for, where it is not the end of the series."""
    return svg([{"name": name or _UNITS[_known(unit)][0], "unit": unit, "series": series, "lines": lines}], title=title, when=when)


def svg(panels: Sequence[Panel], *, title: str, when: float | None = None, description: str = "") -> str:
    """A picture with its panels one below the other, over the same time. ``description``: what describe() says, if at hand."""
    for one in panels:
        _known(one["unit"])
    numpy, matplotlib = library("numpy"), library("matplotlib")
    figures, canvases = library("matplotlib.figure"), library("matplotlib.backends.backend_svg")
    title = plain(redact(str(title))[0], 100)
    reduced = [_reduced(numpy, one["series"]) for one in panels]
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about letters that the font lacks: the reader's fonts draw the text
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        height = 0.75 + 2.35 * len(panels)
        figure = figures.Figure(figsize=(9.4, height), facecolor="white")
        figure.subplots_adjust(left=0.075, right=0.79, top=1 - 0.45 / height, bottom=0.38 / height, hspace=0.32)
        figure.text(0.012, 1 - 0.2 / height, title, fontsize=11, fontweight="bold", va="center", color=_INK)
        rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, panel, data in zip(rows, panels, reduced):
            _draw(numpy, axes, panel, data)
        _time(numpy, rows[-1], reduced, when)
        stream = io.StringIO()
        canvases.FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _labelled(stream.getvalue(), title, description or " ".join(map(describe, panels)))


def describe(panel: Panel) -> str:
    """What a panel shows, in words: for those who do not see it, and for the record."""
    known = [
        (value, grid["begin"] + index * grid["step"])
        for grid in panel["series"]
        for index, value in enumerate(grid["values"])
        if math.isfinite(value)
    ]
    say = _UNITS[_known(panel["unit"])][1]
    lines = "; ".join(f"{plain(one['label'])} {say(one['value'])}" for one in panel["lines"] if one["value"] is not None)
    if not known:
        return f"{panel['name']}: no samples; {lines or 'no request or limit'}."
    value, at = max(known)
    pods = sum(any(map(math.isfinite, grid["values"])) for grid in panel["series"])
    return (
        f"{panel['name']} of {pods} {'pod' if pods == 1 else 'pods'}: highest {say(value)} on {_stamp(at)};"
        f" {lines or 'no request or limit'}."
    )


def cores(value: float) -> str:
    """As Kubernetes writes it: 250m, 2; below 10m with one digit more."""
    return f"{value * 1000:.2g}m" if 0 < value < 0.01 else quantity.cpu(round(value, 3) + 1e-9)


def size(value: float) -> str:
    """150 MiB, 1.5 GiB."""
    mebibytes = value / 2**20
    return f"{mebibytes / 1024:.3g} GiB" if mebibytes >= 1024 else f"{mebibytes:.4g} MiB"


_UNITS: dict[str, tuple[str, Callable[[float], str]]] = {"cores": ("CPU", cores), "bytes": ("Memory", size)}


def _known(unit: str) -> str:
    if unit not in _UNITS:
        raise BadInput(f"The unit of a plot is {plain(unit)!r}.", f"It is one of {', '.join(_UNITS)}.")
    return unit


def _reduced(numpy: Any, series: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """{times, highest, lowest} of all series on one grid of at most POINTS points; None without any sample."""
    grids = [one for one in series if len(one["values"])]
    if not grids:
        return None
    begin, step = min(one["begin"] for one in grids), min(float(one["step"]) for one in grids)
    end = max(one["begin"] + (len(one["values"]) - 1) * one["step"] for one in grids)
    steps = int(round((end - begin) / step)) + 1
    width = max(1, math.ceil(steps / POINTS))
    count = math.ceil(steps / width)
    highest, lowest = numpy.full(count, numpy.nan), numpy.full(count, numpy.nan)
    for one in grids:
        values = numpy.asarray(one["values"], dtype=float)
        known = numpy.flatnonzero(numpy.isfinite(values))
        place = numpy.rint((one["begin"] - begin + known * float(one["step"])) / step).astype(int) // width
        numpy.fmax.at(highest, place, values[known])
        numpy.fmin.at(lowest, place, values[known])
    if not numpy.isfinite(highest).any():
        return None
    return {
        "times": (begin + (numpy.arange(count) + 0.5) * width * step) / _DAY,
        "highest": highest,
        "lowest": lowest,
        "step": width * step / _DAY,
    }


def _draw(numpy: Any, axes: Any, panel: Panel, data: Mapping[str, Any] | None) -> None:
    say = _UNITS[panel["unit"]][1]
    lines = [one for one in panel["lines"] if one["value"] is not None]
    peak = float(numpy.nanmax(data["highest"])) if data else 0.0
    near = max([peak, *(one["value"] for one in lines if one.get("new") and one["kind"] == "request")]) or max(
        [1e-3 if panel["unit"] == "cores" else 2.0**20, *(one["value"] for one in lines)]
    )
    far = [one for one in lines if one["value"] > _FAR * near]
    shown = [one for one in lines if one not in far]
    top = 1.12 * max([near, *(one["value"] for one in shown)])
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(False)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_formatter(library("matplotlib.ticker").FuncFormatter(lambda value, place: say(value)))
    axes.set_yticks(_ticks(top, panel["unit"]))
    axes.tick_params(colors=_GREY, labelsize=8)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(plain(panel["name"], 60), loc="left", fontsize=9, color=_INK, pad=4)
    labels = [
        (one["value"], f"{plain(one['label'], 24)} {say(one['value'])}", _COLOURS[one["kind"]], bool(one.get("new"))) for one in shown
    ]
    if data:
        _usage(numpy, axes, data)
        labels.append((peak, f"highest usage {say(peak)}", _INK, False))
    else:
        axes.text(0.5, 0.5, "no samples", transform=axes.transAxes, ha="center", va="center", color=_GREY)
    for one in shown:
        style = {"color": _COLOURS[one["kind"]], "linestyle": _STYLES[bool(one.get("new")), one["kind"]]}
        axes.axhline(one["value"], linewidth=1.9 if one.get("new") else 1.2, **style)
    if far:
        text = "\u2191 above the picture: " + ", ".join(f"{plain(one['label'], 24)} {say(one['value'])}" for one in far)
        axes.text(1, 1.03, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=8, color=_COLOURS[far[0]["kind"]])
    for place, (_value, text, colour, new) in zip(_apart([value / top for value, *_rest in labels]), labels):
        weight = "bold" if new else "normal"
        axes.text(1.012, place, text, transform=axes.transAxes, va="center", fontsize=8.5, color=colour, fontweight=weight)


def _ticks(top: float, unit: str) -> list[float]:
    """Four to eight round values from 0: of 1, 2, 5, 10... for cores, of powers of two for bytes."""
    if unit == "bytes":
        step = 2.0 ** math.ceil(math.log2(top / 8))
    else:
        power = 10.0 ** math.floor(math.log10(top / 6))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= top / 6)
    return [step * number for number in range(int(top / step) + 1)]


def _usage(numpy: Any, axes: Any, data: Mapping[str, Any]) -> None:
    times, highest, lowest = data["times"], data["highest"], data["lowest"]
    known = numpy.isfinite(highest)
    if bool((highest[known] > lowest[known]).any()):
        axes.fill_between(times, lowest, highest, where=known, color=_BAND, linewidth=0)
    axes.plot(times, highest, color=_INK, linewidth=0.8)
    padded = numpy.concatenate(([False], known, [False]))
    alone = known & ~padded[:-2] & ~padded[2:]
    if bool(alone.any()):  # a line needs two points
        axes.plot(times[alone], highest[alone], linestyle="none", marker=".", markersize=2.5, color=_INK)
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate(([True], known, [True])).astype(int)))
    gaps = sorted(((last - first, first, last) for first, last in zip(edges[::2], edges[1::2])), reverse=True)[:_MOST_GAPS]
    for _length, first, last in sorted(gaps, key=lambda one: int(one[1])):
        begin, end = (times[index] - data["step"] / 2 for index in (first, last - 1))
        axes.axvspan(begin, end + data["step"], facecolor="#f4f4f4", edgecolor="none", linewidth=0, hatch="////", zorder=0.5)


def _time(numpy: Any, axes: Any, reduced: Sequence[Mapping[str, Any] | None], when: float | None) -> None:
    """The axis of time, in UTC: ticks at whole hours or midnights."""
    found = [one for one in reduced if one]
    if not found:
        axes.set_xticks([])
        return
    begin = min(float(one["times"][0] - one["step"] / 2) for one in found)
    end = max([float(one["times"][-1] + one["step"] / 2) for one in found] + ([when / _DAY] if when else []))
    axes.set_xlim(begin, max(end, begin + 1 / 24))
    distance = next((one for one in _TICKS if (end - begin) * _DAY / one <= 9), _TICKS[-1]) / _DAY
    ticks = numpy.arange(math.ceil(begin / distance), math.floor(end / distance) + 1) * distance
    axes.set_xticks(ticks, [_moment(one * _DAY, distance < 1) for one in ticks])
    axes.annotate(
        "UTC", (1, 0), (20, -10.5), "axes fraction", "offset points", fontsize=8, color=_GREY, ha="left", va="center", annotation_clip=False
    )


def _moment(seconds: float, hours: bool) -> str:
    at = datetime.fromtimestamp(round(seconds), timezone.utc)
    day = f"{at.day} {_MONTHS[at.month - 1]}"
    return day if not hours else f"{at:%H:%M}" if at.hour else f"{day}\n00:00"


def _stamp(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M} UTC"


def _apart(places: Sequence[float], least: float = 0.115) -> list[float]:
    """The same places (0 to 1), moved so that no two are closer than ``least``, as near as possible to where they were."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for before, index in zip(order, order[1:]):
        moved[index] = max(moved[index], moved[before] + least)
    ceiling = 1.0
    for index in reversed(order):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - least
    return moved


def _labelled(text: str, title: str, description: str) -> str:
    """The picture without what it does not need, with its name and description for screen readers, and with fonts to fall back to."""
    begin = text.index("<svg")
    end = text.index(">", begin)
    inner = text[end + 1 :].replace("font-family: 'DejaVu Sans'", f"font-family: {_FONTS}")
    inner = _PATH.sub(lambda found: _LONG.sub(r"\1", found[0]), inner)  # a hundredth of a point is fine enough
    inner = re.sub(r"<metadata>.*?</metadata>\s*", "", inner, count=1, flags=re.DOTALL)
    head = f'{text[begin:end]} role="img" aria-labelledby="name words">\n'
    return f'{head}<title id="name">{html.escape(title)}</title>\n<desc id="words">{html.escape(description)}</desc>\n{inner.lstrip()}'
