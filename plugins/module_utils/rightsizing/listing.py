# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Many workloads as one ranked list: what is proposed for each, why, what it would save, and how sure that is.

An input row is {"key": "Kind/namespace/name", "decision": change|keep|refuse|not_eligible, "reason", "replicas", "containers": those of the
recommendation, "savings": dict or None, "backtest": dict or None, "coverage": 0..1, "days", "points", "record": id or ""}, and "rank" where
its place is known already; see ENTRY for what comes out. Cores and bytes are per pod, savings over all replicas; None is unset or unknown.
A request of a pod is the sum over its containers that have one; a limit only exists where every container has one.

Rank: first what has too little (danger: memory before CPU before nothing set at all), then what saves most: by money where every
proposed change has a price, else by its share of all requested CPU and memory in the list.

``check(path, form)`` before anything runs, ``ranked(rows)``, ``write(path, rows, form)``, ``table(rows, width)`` for a terminal; these two
take rows with their ranks, rows without, or what ``ranked`` gave. Errors: BadInput, which names the option list_file.
"""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.reporting import page, plot

Row = Mapping[str, Any]
Entry = dict[str, Any]

_OPTION = "list_file"
SCHEMA = "aiops.k8s/rightsize/v1"
ENTRY = (
    "rank",
    "workload",
    "kind",
    "namespace",
    "name",
    "decision",
    "reason",
    "replicas",
    "cpu_request_before_cores",
    "cpu_request_after_cores",
    "cpu_limit_before_cores",
    "cpu_limit_after_cores",
    "memory_request_before_bytes",
    "memory_request_after_bytes",
    "memory_limit_before_bytes",
    "memory_limit_after_bytes",
    "saved_cpu_cores",
    "saved_memory_bytes",
    "saved_per_month",
    "currency",
    "danger",
    "flags",
    "coverage",
    "days",
    "points",
    "would_oom_steps",
    "would_throttle_steps",
    "record",
)
DECISIONS = ("change", "keep", "refuse", "not_eligible")
_FIGURES = tuple((resource, kind) for resource in ("cpu", "memory") for kind in ("request", "limit"))
_UNITS = {"cpu": "cores", "memory": "bytes"}
_LEAST_COVERAGE = 0.8
_LEAST_ROOM = 20  # columns for the name of a workload
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a cell


def ranked(rows: Iterable[Row]) -> list[Entry]:
    """The entries, with the keys of ENTRY and ``containers``, in the order of their rank."""
    entries = [_entry(row) for row in rows]
    priced = all(one["saved_per_month"] is not None for one in entries if one["decision"] == "change")
    currencies = {one["currency"] for one in entries if one["currency"]}
    worth = _by_money if priced and len(currencies) == 1 else _by_share(entries)
    entries.sort(key=lambda one: (-one["danger"], DECISIONS.index(one["decision"]), -worth(one), one["workload"]))
    return [{**one, "rank": number} for number, one in enumerate(entries, start=1)]


def check(path: str, form: str) -> None:
    """Raises BadInput where the list could not be written later on."""
    _known(form)
    output.writable(_OPTION, path)


def write(path: str, rows: Sequence[Row], form: str) -> None:
    """Whole or not at all. Raises BadInput."""
    output.write(_OPTION, path, _known(form)(_placed(rows)).encode())


def table(rows: Sequence[Row], width: int = 80) -> str:
    """Lines for a terminal of this width: a row for each workload, and below it why it is not changed, or what to look at."""
    entries = _placed(rows)
    columns = next((_COLUMNS[:count] for count in (3, 2, 1) if _room(width, _COLUMNS[:count]) >= _LEAST_ROOM), ())
    room = max(_LEAST_ROOM, _room(width, columns))
    lines = [" ".join([" #  workload".ljust(room + 4), *(name.rjust(size) for name, size, _cell in columns)]).rstrip()]
    for one in entries:
        mark = "!" if one["danger"] else " "
        cells = [
            f"{one['rank']:>3}{mark}{_middle(one['workload'], room).ljust(room)}",
            *(cell(one).rjust(size) for _n, size, cell in columns),
        ]
        lines.append(" ".join(cells).rstrip())
        remarks = "; ".join([*([] if one["decision"] == "change" else [f"{_words(one)}: {one['reason']}"]), *one["flags"]])
        lines += textwrap.wrap(remarks, max(20, width - 1), initial_indent="    ", subsequent_indent="    ")
    return "\n".join([*lines, *textwrap.wrap(summary(entries), width)])


def summary(entries: Sequence[Entry]) -> str:
    """``12 workloads: 7 change, 3 keep, 2 refuse; 1 has too little; saves 3.2 cores, 5 GiB, 84.10 EUR a month``."""
    counts = ", ".join(
        f"{number} {name.replace('_', ' ')}" for name in DECISIONS if (number := sum(one["decision"] == name for one in entries))
    )
    changed = [one for one in entries if one["decision"] == "change"]
    short = sum(one["danger"] > 0 for one in entries)
    parts = [f"{len(entries)} {'workload' if len(entries) == 1 else 'workloads'}{': ' if counts else ''}{counts}"]
    parts += [f"{short} with too little"] if short else []
    if changed:
        money = [one["saved_per_month"] for one in changed if one["saved_per_month"] is not None]
        part = f" (for {len(money)} of the {len(changed)} changes)" if len(money) < len(changed) else ""
        named = {one["currency"] for one in changed if one["currency"]}
        cost = f", {_signed(sum(money), '{:.2f}'.format)} {named.pop()} a month{part}" if money and len(named) == 1 else ""
        cores, size = sum(one["saved_cpu_cores"] or 0.0 for one in changed), sum(one["saved_memory_bytes"] or 0.0 for one in changed)
        parts.append(f"saves {_signed(cores, plot.cores)} CPU and {_signed(size, plot.size)} memory{cost}")
    return "; ".join(parts)


def _placed(rows: Sequence[Row]) -> list[Entry]:
    """The entries in their order; a place that every row has already stays."""
    if all("workload" in row for row in rows):
        return [dict(row) for row in rows]
    return sorted(map(_entry, rows), key=_rank) if all(row.get("rank") for row in rows) else ranked(rows)


def _rank(one: Entry) -> int:
    return int(one["rank"])


def _words(one: Entry) -> str:
    return str(one["decision"]).replace("_", " ")


def _entry(row: Row) -> Entry:
    containers = [dict(one) for one in row.get("containers") or []]
    sums = {(resource, kind): _of_pod(containers, resource, kind) for resource, kind in _FIGURES}
    saved = _saved(row, sums)
    money = (row.get("savings") or {}).get("money") or {}
    replay = row.get("backtest") or {}
    kind, namespace, name = (*str(row["key"]).split("/", 2), "", "")[:3]
    danger, flags = _flags(row, containers)
    decision = str(row["decision"]).replace(" ", "_")
    figures = {
        f"{resource}_{what}_{moment}_{_UNITS[resource]}": sums[resource, what][place]
        for resource, what in _FIGURES
        for place, moment in enumerate(("before", "after"))
    }
    return {
        "rank": int(row.get("rank") or 0),
        "workload": plain(row["key"], 400),
        "kind": plain(kind),
        "namespace": plain(namespace, 260),
        "name": plain(name, 260),
        "decision": decision if decision in DECISIONS else "refuse",
        "reason": plain(row.get("reason") or "", 400),
        "replicas": int(row.get("replicas") or 0),
        **figures,
        "saved_cpu_cores": saved["cpu"],
        "saved_memory_bytes": saved["memory"],
        "saved_per_month": _finite(money.get("saved_month")),
        "currency": plain(money.get("currency") or "", 8),
        "danger": danger,
        "flags": flags,
        "coverage": _finite(row.get("coverage")),
        "days": _finite(row.get("days")),
        "points": int(row.get("points") or 0),
        "would_oom_steps": replay.get("would_oom"),
        "would_throttle_steps": replay.get("would_throttle"),
        "record": plain(row.get("record") or "", 20),
        "containers": containers,
    }


def _of_pod(containers: Sequence[Row], resource: str, kind: str) -> tuple[float | None, float | None]:
    """(before, after) over the containers of a pod."""
    old, new = ([_finite(one[resource][kind][place]) for one in containers] for place in (0, 1))
    return _sum(old, resource, kind), _sum(new, resource, kind)


def _sum(values: Sequence[float | None], resource: str, kind: str) -> float | None:
    known = [value for value in values if value is not None]
    if not known or (kind == "limit" and len(known) < len(values)):
        return None
    return _even(resource, math.fsum(known))


def _even(resource: str, value: float) -> float:
    """Whole bytes; cores without the noise of sums."""
    return round(value) if resource == "memory" else round(value, 6)


def _saved(row: Row, sums: Mapping[tuple[str, str], tuple[float | None, float | None]]) -> dict[str, float | None]:
    """Over all replicas; below zero where more is requested than before. None where nothing is proposed."""
    if row["decision"] != "change":
        return {"cpu": None, "memory": None}
    requested = (row.get("savings") or {}).get("requested") or {}
    found: dict[str, float | None] = {}
    for resource in ("cpu", "memory"):
        before, after = requested.get(resource) or [(value or 0.0) * int(row.get("replicas") or 0) for value in sums[resource, "request"]]
        found[resource] = _even(resource, float(before) - float(after))
    return found


def _flags(row: Row, containers: Sequence[Row]) -> tuple[int, list[str]]:
    """(danger: 3 too little memory, 2 too little CPU, 1 nothing requested, 0; sentences about what to look at)."""
    found: list[tuple[int, str]] = []
    for one in containers:
        name = plain(one["name"], 60)
        for resource, danger, word in (("memory", 3, "memory"), ("cpu", 2, "CPU")):
            say = _SAY[resource]
            old, new = (_finite(value) for value in one[resource]["request"])
            limit, raised = (_finite(value) for value in one[resource]["limit"])
            if old is None and new is not None:
                found.append((1, f"{name} requests no {word}, and needs {say(new)}"))
            elif old is not None and new is not None and new > old:
                found.append((danger, f"{name} requests too little {word}: {say(old)}, and needs {say(new)}"))
            elif resource == "memory" and limit is not None and raised is not None and raised > limit:
                found.append((danger, f"{name} has too low a memory limit: {say(limit)}, and needs {say(raised)}"))
    replay, coverage = row.get("backtest") or {}, _finite(row.get("coverage"))
    if replay.get("would_oom"):
        found.append((0, f"the proposed limits would have been exceeded in {replay['would_oom']} steps (OOM)"))
    if replay.get("would_throttle"):
        found.append((0, f"the proposed CPU limits would have throttled in {replay['would_throttle']} steps"))
    if coverage is not None and containers and coverage < _LEAST_COVERAGE:
        found.append((0, f"only {coverage:.0%} of the time is covered by samples"))
    return max((danger for danger, _text in found), default=0), [text for _danger, text in found]


def _by_money(one: Entry) -> float:
    return float(one["saved_per_month"] or 0.0)


def _by_share(entries: Sequence[Entry]) -> Callable[[Entry], float]:
    """CPU and memory as parts of what the whole list requests, so that a core and a byte can be added."""
    totals = {
        key: math.fsum((one[f"{name}_request_before_{unit}"] or 0.0) * one["replicas"] for one in entries) or 1.0
        for key, name, unit in (("saved_cpu_cores", "cpu", "cores"), ("saved_memory_bytes", "memory", "bytes"))
    }
    return lambda one: math.fsum((one[key] or 0.0) / total for key, total in totals.items())


# --- forms ---


def _text(entries: Sequence[Entry]) -> str:
    return table(entries, 120) + "\n"


def _json(entries: Sequence[Entry]) -> str:
    document = {"schema": SCHEMA, "summary": summary(entries), "workloads": list(entries)}
    return json.dumps(_clean(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(entries: Sequence[Entry]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(ENTRY)
    for one in entries:
        writer.writerow([_cell(one[key]) for key in ENTRY])
    return stream.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet shows and never computes; figures stay figures."""
    if value is None or isinstance(value, (int, float)):
        return "" if value is None else value
    text = "; ".join(value) if isinstance(value, list) else str(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else text


def _html(entries: Sequence[Entry]) -> str:
    heads = [
        ("#", "number"),
        ("Workload", "name"),
        ("Decision", "wide"),
        ("CPU", "number"),
        ("Memory", "number"),
        ("Saves", "number"),
        ("Based on", "number"),
        ("Backtest", "number"),
    ]
    shown = page.table(heads, [_cells(one) for one in entries], "Requests and limits are those of one pod, before and proposed.")
    return page.page("Right-sizing", f"<h1>Right-sizing</h1>\n<p>{page.text(summary(entries))}</p>\n{shown}", wide=True)


def _cells(one: Entry) -> list[str]:
    kind = "danger" if one["danger"] else "soft"
    remarks = [("soft", one["reason"]), *((kind, flag) for flag in one["flags"])]
    decision = "<br>".join([_words(one), *(f'<span class="{kind}">{page.text(said)}</span>' for kind, said in remarks if said)])
    figures = [
        "<br>".join(f"{kind} {page.text(_change(one, resource, kind))}" for kind in ("request", "limit")) if one["containers"] else "-"
        for resource in ("cpu", "memory")
    ]
    based = f"{one['days'] or 0:.1f} days<br>{one['points']} points<br>{one['coverage'] or 0:.0%} covered" if one["points"] else "-"
    steps = one["would_oom_steps"], one["would_throttle_steps"]
    replay = "-" if steps == (None, None) else f"OOM in {steps[0] or 0} steps<br>throttled in {steps[1] or 0}"
    saves = "<br>".join(map(page.text, _saves(one)))
    more = f"{one['replicas']} {'replica' if one['replicas'] == 1 else 'replicas'}{', record ' if one['record'] else ''}{one['record']}"
    workload = f'<strong>{page.text(one["workload"]).replace("/", "/<wbr>")}</strong><br><span class="soft">{page.text(more)}</span>'
    return [str(one["rank"]), workload, decision, *figures, saves, based, replay]


_SAY: dict[str, Callable[[float], str]] = {"cpu": plot.cores, "memory": plot.size}


def _change(one: Entry, resource: str, kind: str) -> str:
    """``500m > 250m``."""
    before, after = (one[f"{resource}_{kind}_{moment}_{_UNITS[resource]}"] for moment in ("before", "after"))
    say = _SAY[resource]
    old, new = ("-" if value is None else say(value).replace(" ", "") for value in (before, after))
    return new if old == new else f"{old} > {new}"


def _saves(one: Entry) -> list[str]:
    if one["decision"] != "change":
        return ["-"]
    money = f"{_signed(one['saved_per_month'], '{:.2f}'.format)} {one['currency']}/month" if one["saved_per_month"] is not None else ""
    parts = [f"CPU {_signed(one['saved_cpu_cores'], plot.cores)}", f"memory {_signed(one['saved_memory_bytes'], plot.size)}"]
    return ([money] if money else []) + parts


def _signed(value: float | None, say: Callable[[float], str]) -> str:
    number = value or 0.0
    return f"-{say(-number)}" if number < 0 else say(number)


def _short(one: Entry) -> str:
    """What a change saves, in a few letters."""
    if one["decision"] != "change":
        return "-"
    if one["saved_per_month"] is not None:
        return f"{one['saved_per_month']:.2f} {one['currency']}"
    return f"{_signed(one['saved_cpu_cores'], plot.cores)} {_signed(one['saved_memory_bytes'], plot.size).replace(' ', '')[:-2]}"


_COLUMNS: tuple[tuple[str, int, Callable[[Entry], str]], ...] = (
    ("CPU request", 13, lambda one: _change(one, "cpu", "request")),
    ("memory request", 18, lambda one: _change(one, "memory", "request").replace("iB", "i")),
    ("saves", 12, _short),
)


def _room(width: int, columns: Sequence[tuple[str, int, Callable[[Entry], str]]]) -> int:
    """What is left of a line for the name of the workload."""
    return width - 5 - sum(size + 1 for _head, size, _cell in columns)


def _middle(text: str, room: int) -> str:
    """Cut in its middle: a workload is told apart by both ends of its name."""
    if len(text) <= room:
        return text
    left = (room - 2) // 2
    return f"{text[:left]}..{text[len(text) - (room - 2 - left) :]}"


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _clean(value: Any) -> Any:
    """Without NaN and infinities, which JSON does not have, and with any text printable."""
    if isinstance(value, Mapping):
        return {str(key): _clean(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(one) for one in value]
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else " " for letter in value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


_FORMS: dict[str, Callable[[Sequence[Entry]], str]] = {"table": _text, "json": _json, "csv": _csv, "html": _html}
FORMS = tuple(_FORMS)


def _known(form: str) -> Callable[[Sequence[Entry]], str]:
    if form not in _FORMS:
        raise BadInput(f"{_OPTION} has the format {plain(form)!r}.", f"It is one of {', '.join(FORMS)}.")
    return _FORMS[form]
