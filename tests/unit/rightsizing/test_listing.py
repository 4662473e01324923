# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The ranked list: its order, its figures, and its four forms with hostile names."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import listing

MIB = 2**20
HOSTILE = 'x"><script>alert(1)</script>\x1b[31m\u202egnp'


def container(name: str = "web", **more: Any) -> dict[str, Any]:
    """CPU 500m to 250m without limits, memory 512 to 128 MiB with its limit."""
    memory = [512.0 * MIB, 128.0 * MIB]
    return {"name": name, "cpu": {"request": [0.5, 0.25], "limit": [None, None]}, "memory": {"request": memory, "limit": memory}, **more}


def row(key: str = "Deployment/shop/web", **more: Any) -> dict[str, Any]:
    return {
        "key": key,
        "decision": "change",
        "reason": "",
        "replicas": 2,
        "containers": [container()],
        "savings": None,
        "backtest": None,
        "coverage": 0.97,
        "days": 8.0,
        "points": 2300,
        "record": "",
        **more,
    }


def money(saved: float, currency: str = "EUR") -> dict[str, Any]:
    return {"requested": {"cpu": [1.0, 0.5], "memory": [1024.0 * MIB, 256.0 * MIB]}, "money": {"currency": currency, "saved_month": saved}}


def memory(old: float | None, new: float | None) -> dict[str, Any]:
    values = [None if one is None else one * MIB for one in (old, new)]
    return {"request": values, "limit": values}


def test_the_figures_of_a_workload() -> None:
    [one] = listing.ranked([row(containers=[container(), container("side", cpu={"request": [None, 0.1], "limit": [1.0, 1.0]})])])
    assert set(one) == {*listing.ENTRY, "containers"}
    assert (one["kind"], one["namespace"], one["name"]) == ("Deployment", "shop", "web")
    assert (one["cpu_request_before_cores"], one["cpu_request_after_cores"]) == (0.5, 0.35)
    assert one["cpu_limit_before_cores"] is None, "one container without a limit, so the pod has none"
    assert one["memory_limit_before_bytes"] == 1024 * MIB
    assert one["saved_cpu_cores"] == pytest.approx(0.3) and one["saved_memory_bytes"] == 2 * 768 * MIB
    assert one["danger"] == 1 and one["flags"] == ["side requests no CPU, and needs 100m"]


@pytest.mark.parametrize(
    "more, danger, said",
    [
        ({"memory": memory(64, 128)}, 3, "requests too little memory: 64 MiB, and needs 128 MiB"),
        ({"memory": {"request": [MIB, MIB], "limit": [64.0 * MIB, 96.0 * MIB]}}, 3, "has too low a memory limit: 64 MiB, and needs 96 MiB"),
        ({"cpu": {"request": [0.1, 0.2], "limit": [None, None]}}, 2, "requests too little CPU: 100m, and needs 200m"),
        ({"memory": memory(None, 128)}, 1, "requests no memory, and needs 128 MiB"),
        ({}, 0, ""),
    ],
)
def test_danger(more: dict[str, Any], danger: int, said: str) -> None:
    [one] = listing.ranked([row(containers=[container(**more)])])
    assert one["danger"] == danger and one["flags"] == ([f"web {said}"] if said else [])


def test_what_lacks_memory_is_first_then_cpu_then_by_money_then_what_is_not_changed() -> None:
    rows = [
        row("D/a/refused", decision="refuse", reason="a quota", containers=[]),
        row("D/a/keeps", decision="keep", reason="fits"),
        row("D/a/cheap", savings=money(1.5)),
        row("D/a/dear", savings=money(70)),
        row("D/a/cpu", savings=money(-2), containers=[container(cpu={"request": [0.1, 0.2], "limit": [None, None]})]),
        row("D/a/memory", savings=money(-3), containers=[container(memory=memory(64, 128))]),
        row("D/a/job", decision="not_eligible", reason="a batch job", containers=[]),
    ]
    entries = listing.ranked(rows)
    assert [one["name"] for one in entries] == ["memory", "cpu", "dear", "cheap", "keeps", "refused", "job"]
    assert [one["rank"] for one in entries] == [1, 2, 3, 4, 5, 6, 7]
    assert [listing.ranked(list(reversed(rows)))[place] for place in range(7)] == entries, "the same order, however it came"


@pytest.mark.parametrize("savings", [(None, money(1000)), (money(2), money(1, "USD"))])
def test_without_one_currency_for_all_the_share_of_resources_counts(savings: tuple[Any, Any]) -> None:
    much = row("D/a/much", replicas=20, savings=savings[0] and {"money": savings[0]["money"]})
    little = row("D/a/little", savings={**savings[1], "requested": {}})
    assert [one["name"] for one in listing.ranked([little, much])] == ["much", "little"]


def test_the_savings_of_the_contract_are_taken_where_they_are_known() -> None:
    [one] = listing.ranked([row(replicas=9, savings=money(4))])
    assert (one["saved_cpu_cores"], one["saved_memory_bytes"], one["saved_per_month"], one["currency"]) == (0.5, 768 * MIB, 4.0, "EUR")
    assert listing.summary([one]) == "1 workload: 1 change; saves 500m CPU and 768 MiB memory, 4.00 EUR a month"
    assert listing.summary([]) == "0 workloads"


def test_a_place_that_is_known_already_stays() -> None:
    rows = [row("D/a/second", rank=2, savings=money(9)), row("D/a/first", rank=1, decision="not_eligible", reason="it is new", containers=[])]
    lines = listing.table(rows).splitlines()
    assert [line.split()[1] for line in lines if line.startswith("  ") and line[2].isdigit()] == ["D/a/first", "D/a/second"]
    assert listing.table(listing.ranked(rows)).splitlines()[1].split()[1] == "D/a/second"
    assert "    not eligible: it is new" in lines


@pytest.mark.parametrize("width", [80, 100, 60])
def test_the_table_keeps_to_the_terminal(width: int) -> None:
    long = row("StatefulSet/production-of-the-shop/postgresql-primary-of-the-orders-service", containers=[container(memory=memory(64, 128))])
    refused = row(HOSTILE, decision="refuse", reason="LimitRange limits allows at most 128Mi per container, and 185Mi are needed " * 3, containers=[])
    lines = listing.table([long, refused, row(savings=money(12.3))], width).splitlines()
    assert max(map(len, lines)) <= width
    assert all(line.isprintable() for line in lines)
    assert lines[1].startswith("  1!Stateful") and "too little memory" in " ".join(lines)
    assert any("orders-service" in line or "rvice" in line for line in lines)
    if width >= 80:
        assert any(line.split()[-2:] == ["12.30", "EUR"] for line in lines)


def test_csv_is_safe_for_spreadsheets(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rows = [row("=1+1/shop/web", reason='  =HYPERLINK("http://e")', decision="keep"), row("@x/y/z", containers=[container(memory=memory(64, 128))])]
    listing.write(str(path), listing.ranked(rows), "csv")
    found = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert list(found[0]) == list(listing.ENTRY) and len(found) == 2
    assert {one["workload"] for one in found} == {"'=1+1/shop/web", "'@x/y/z"}
    assert all(not value.startswith(("=", "+", "@")) for one in found for value in one.values())
    assert found[0]["saved_memory_bytes"] == str(-2 * 64 * MIB), "a figure below zero stays a figure"


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    rows = [row(coverage=math.nan, backtest={"would_oom": 0, "would_throttle": 7}), row(HOSTILE, decision="keep")]
    listing.write(str(path), listing.ranked(rows), "json")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["schema"] == listing.SCHEMA and document["workloads"][0]["coverage"] is None
    assert list(document["workloads"][0]) == [*listing.ENTRY, "containers"]
    assert document["workloads"][0]["would_throttle_steps"] == 7 and document["workloads"][1]["workload"].isprintable()


def test_html_has_no_markup_of_others_and_loads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list.html"
    listing.write(str(path), listing.ranked([row(HOSTILE), row(HOSTILE, decision="refuse", reason=HOSTILE, containers=[])]), "html")
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text and "\x1b" not in text and "\u202e" not in text and "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text and text.count("<tr>") == 3


def test_a_path_or_format_that_cannot_be_written_is_named_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="list_file .*nowhere.* cannot be written: No such file"):
        listing.check(str(tmp_path / "nowhere" / "list.csv"), "csv")
    with pytest.raises(BadInput, match="list_file .* is a directory"):
        listing.check(str(tmp_path), "csv")
    with pytest.raises(BadInput, match="list_file has the format 'xlsx'.* table, json, csv, html"):
        listing.check(str(tmp_path / "list"), "xlsx")
