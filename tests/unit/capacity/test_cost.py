# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Prices and estimates: by vCPU and GiB, by node, from OpenCost's CSV, and without any price."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.cost import estimate, monthly, prices
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

Object = dict[str, Any]
HEADER = "EndTimestamp,InstanceID,Region,AssetClass,InstanceIDField,InstanceType,MarketPriceHourly,Version"
REQUEST = {"cpu": 0.5, "memory": 1.0 * 2**30}
COUNTS = {"current": 2, "min": 2, "expected": 3, "max": 6}


def node(
    name: str = "n1", kind: str = "m5.large", region: str = "eu-1", provider: str = "", cpu: str = "2", memory: str = "8Gi", **labels: str
) -> Object:
    return {
        "metadata": {
            "name": name,
            "labels": {"node.kubernetes.io/instance-type": kind, "topology.kubernetes.io/region": region, **labels},
            "annotations": {"shop.io/price-id": f"id-{name}"},
        },
        "spec": {"providerID": provider},
        "status": {"allocatable": {"cpu": cpu, "memory": memory}},
    }


def line(price: str = "0.1", **more: str) -> str:
    cells = {
        "EndTimestamp": "2026-01-01",
        "InstanceID": "n1",
        "Region": "",
        "AssetClass": "node",
        "InstanceIDField": "metadata.name",
        "InstanceType": "",
        "Version": "",
    }
    row = {**cells, "MarketPriceHourly": price, **more}
    return ",".join(row[name] for name in HEADER.split(","))


def listed(*lines: str, currency: str = "USD") -> Object:
    return prices({"currency": currency, "csv": "prices.csv"}, lambda _name: "\n".join(lines) + "\n")


def test_by_vcpu_and_gib() -> None:
    found = estimate(prices({"currency": "eur", "vcpu_hour": 0.03, "gib_hour": 0.004}), REQUEST, COUNTS, [])
    assert found["currency"] == "EUR" and found["priced"] and found["per_pod_hour"] == 0.019
    assert found["rows"][3] == {"what": "max", "replicas": 6, "vcpu": 3.0, "gib": 6.0, "per_hour": 0.114, "per_month": 83.22}
    assert found["sentence"] == "Estimate in EUR a month: current 27.74, min 27.74, expected 41.61, max 83.22."
    assert "An estimate, not a bill." in found["assumptions"] and any("0.03 EUR for a vCPU" in one for one in found["assumptions"])


def test_without_prices_there_are_vcpu_and_gib_and_it_is_said() -> None:
    for option in (None, {}, {"currency": "EUR"}):
        found = estimate(prices(option), REQUEST, COUNTS, [node()])
        assert not found["priced"] and found["rows"][2]["per_month"] is None and found["rows"][2]["vcpu"] == 1.5
        assert "without prices" in found["sentence"] and any("No prices are configured" in one for one in found["assumptions"])
    assert monthly(prices({}), REQUEST, [])(5) is None


def test_by_node_the_price_is_split() -> None:
    found = estimate(prices({"currency": "USD", "node_hour": 0.1}), REQUEST, COUNTS, [node()])
    assert found["per_pod_hour"] == round(0.1 * (0.5 * 0.25 + 0.5 * 0.125), 6)
    only_cpu = estimate(prices({"currency": "USD", "node_hour": {"m5.large": 0.1}, "cpu_share": 1}), REQUEST, COUNTS, [node()])
    assert only_cpu["per_pod_hour"] == 0.025 and any("100 % for its CPU" in one for one in only_cpu["assumptions"])
    assert monthly(prices({"currency": "USD", "node_hour": 0.1, "cpu_share": 1}), REQUEST, [node()])(2) == pytest.approx(36.5)


def test_nodes_where_it_runs_count_and_those_without_a_price_are_named() -> None:
    priced = prices({"currency": "USD", "node_hour": {"m5.large": 0.1, "n3": 0.4}, "cpu_share": 1})
    nodes = [node("n1"), node("n2", kind="x9"), node("n3")]
    assert estimate(priced, REQUEST, COUNTS, nodes, {"n1": 1, "n3": 3})["per_pod_hour"] == round((0.025 + 3 * 0.1) / 4, 6)
    found = estimate(priced, REQUEST, COUNTS, nodes)
    assert found["unknown"] == ["the price of node n2"] and found["per_pod_hour"] == 0.0625
    nowhere = estimate(priced, REQUEST, COUNTS, nodes, {"n2": 1})
    assert not nowhere["priced"] and "any node with a price" in nowhere["unknown"]
    broken = estimate(priced, REQUEST, COUNTS, [node("n1", cpu="many"), node("n3", memory="0")])
    assert broken["unknown"][:2] == ["the size of node n1", "the size of node n3"]


def test_a_missing_request_is_said() -> None:
    found = estimate(prices({"currency": "USD", "vcpu_hour": 1, "gib_hour": 1}), {"cpu": 1.0, "memory": None}, COUNTS, [])
    assert "memory request" in found["unknown"][0] and found["rows"][0]["gib"] is None


# name -> (lines after the header, node, price or None)
MATCHES: dict[str, tuple[list[str], Object, float | None]] = {
    "by name": ([line("0.2")], node(), 0.2),
    "by name, another case": ([line("0.2", InstanceID="N1")], node(), 0.2),
    "by provider ID of AWS": ([line("0.2", InstanceID="i-0a", InstanceIDField="spec.providerID")], node(provider="aws:///eu-1a/i-0a"), 0.2),
    "by provider ID of GCE": ([line("0.2", InstanceID="gke-1", InstanceIDField="spec.providerID")], node(provider="gce://shop/eu-1-b/gke-1"), 0.2),
    "by label": ([line("0.2", InstanceID="blue", InstanceIDField="metadata.labels.shop.io/pool")], node(**{"shop.io/pool": "blue"}), 0.2),
    "by annotation": ([line("0.2", InstanceID="id-n1", InstanceIDField="metadata.annotations.shop.io/price-id")], node(), 0.2),
    "without a field": ([line("0.2", InstanceIDField="")], node(), 0.2),
    "of its region": ([line("0.2", Region="eu-1"), line("0.3", Region="us-1")], node(), 0.2),
    "only of another region": ([line("0.3", Region="us-1")], node(), None),
    "a region before none": ([line("0.3", EndTimestamp="2027-01-01"), line("0.2", Region="EU-1")], node(), 0.2),
    "the later line": ([line("0.2"), line("0.3", EndTimestamp="2026-06-01")], node(), 0.3),
    "by instance type": (
        [line("0.2", InstanceID="other", InstanceType="m5.large"), line("0.4", InstanceID="more", InstanceType="m5.large")],
        node(),
        0.3,
    ),
    "itself before its type": ([line("0.2", InstanceID="other", InstanceType="m5.large"), line("0.4")], node(), 0.4),
    "volumes are passed over": ([line("9", AssetClass="pv"), line("9", AssetClass="gpu"), line("0.2")], node(), 0.2),
    "an unknown class is a node": ([line("0.2", AssetClass="")], node(), 0.2),
    "a comment": (["# ours", line("0.2"), ""], node(), 0.2),
    "a currency that is ours": ([line("$0.2")], node(), 0.2),
    "a code that is ours": ([line("0.2 USD")], node(), 0.2),
    "no line for it": ([line("0.2", InstanceID="n9")], node(), None),
}


@pytest.mark.parametrize("name", MATCHES)
def test_lines_of_a_price_list_are_matched_to_nodes(name: str) -> None:
    lines, where, price = MATCHES[name]
    found = estimate({**listed(HEADER, *lines), "cpu_share": 1.0}, {"cpu": 2.0, "memory": 1.0}, {"current": 1}, [where])
    assert found["per_pod_hour"] == price


def test_a_list_without_a_header_or_in_another_order_is_read() -> None:
    assert listed(line("0.2"))["rows"][0]["price"] == 0.2
    assert listed("MarketPriceHourly,InstanceID", "0.2,n1")["rows"][0]["id"] == "n1"


BAD_LISTS: dict[str, tuple[list[str], str]] = {
    "an unknown column": (["Instance,MarketPriceHourly", "n1,1"], "unknown column 'Instance'"),
    "a missing column": (["InstanceID,Region", "n1,eu"], "no column MarketPriceHourly"),
    "a column twice": (["InstanceID,InstanceID,MarketPriceHourly", "n1,n1,1"], "InstanceID twice"),
    "no number": ([HEADER, line("cheap")], "line 2: MarketPriceHourly is 'cheap'"),
    "not finite": ([HEADER, line("nan")], "MarketPriceHourly is 'nan'"),
    "nothing": ([HEADER, line("")], "MarketPriceHourly is ''"),
    "negative": ([HEADER, line("-0.1")], "line 2: MarketPriceHourly is -0.1"),
    "another currency": ([HEADER, line("0.1 EUR")], "in EUR, and prices.currency is USD"),
    "another symbol": ([HEADER, line("0.1"), line("€0.1")], "line 3: the price is in EUR"),
    "too few fields": ([HEADER, "a,b"], "line 2: 2 fields"),
    "no node": ([HEADER, line(AssetClass="pv")], "no line for a node"),
    "empty": ([], "no line for a node"),
    "no CSV": ([HEADER, '"n1'], "is no CSV"),
    "an odd field": ([HEADER, line(InstanceIDField="status.\x1b[2Jphase")], "InstanceIDField is 'status."),
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_a_bad_price_list_is_named_with_its_line(name: str) -> None:
    lines, words = BAD_LISTS[name]
    with pytest.raises(BadInput) as raised:
        listed(*lines)
    assert words in str(raised.value) and "prices.csv" in str(raised.value) and str(raised.value).isprintable()


BAD_OPTIONS: list[tuple[Object, str]] = [
    ({"price": 1}, "prices has no price"),
    ({"vcpu_hour": 1, "gib_hour": 1}, "prices.currency"),
    ({"currency": "E\x1b", "node_hour": 1}, "prices.currency"),
    ({"currency": "EUR", "vcpu_hour": 1}, "prices.gib_hour is missing"),
    ({"currency": "EUR", "vcpu_hour": -1, "gib_hour": 1}, "prices.vcpu_hour is -1"),
    ({"currency": "EUR", "vcpu_hour": "dear", "gib_hour": 1}, "prices.vcpu_hour is 'dear'"),
    ({"currency": "EUR", "node_hour": True}, "prices.node_hour is True"),
    ({"currency": "EUR", "node_hour": {}}, "prices.node_hour is empty"),
    ({"currency": "EUR", "node_hour": {"m5": float("inf")}}, "prices.node_hour.m5 is inf"),
    ({"currency": "EUR", "node_hour": 1, "csv": "x"}, "more than one"),
    ({"currency": "EUR", "node_hour": 1, "cpu_share": 2}, "cpu_share is 2"),
]


@pytest.mark.parametrize(("option", "words"), BAD_OPTIONS, ids=[words for _option, words in BAD_OPTIONS])
def test_a_bad_price_is_named(option: Object, words: str) -> None:
    with pytest.raises(BadInput) as raised:
        prices(option)
    assert words in str(raised.value) and raised.value.fix


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for name, content in (("missing.csv", None), ("latin.csv", b"\xff\xfe\x00")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=name):
            prices({"currency": "EUR", "csv": str(tmp_path / name)})
    (tmp_path / "good.csv").write_text(f"\ufeff{HEADER}\r\n{line('0.2')}\r\n", encoding="utf-8")
    assert prices({"currency": "EUR", "csv": str(tmp_path / "good.csv")})["rows"][0]["price"] == 0.2
