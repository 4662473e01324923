# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A price list as OpenCost's CSV provider reads it, matched to nodes.

Columns: EndTimestamp, InstanceID, Region, AssetClass, InstanceIDField, InstanceType, MarketPriceHourly, Version; a header line may name
them in another order. A line that begins with # is a comment. Lines for volumes and GPUs (AssetClass pv, gpu) are passed over.

A line is for a node when its InstanceID is what the node has in InstanceIDField (spec.providerID, metadata.name, metadata.labels.NAME or
metadata.annotations.NAME), without regard to case, and its Region, if it has one, is the node's. Otherwise the mean of the lines with the
node's instance type and region counts. Of two lines for one node the later EndTimestamp counts. Raises BadInput, which names file and
line.
"""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.ownership import plain
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

Row = dict[str, Any]

COLUMNS = ("EndTimestamp", "InstanceID", "Region", "AssetClass", "InstanceIDField", "InstanceType", "MarketPriceHourly", "Version")
_NEEDED = ("InstanceID", "MarketPriceHourly")
_TYPES = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
_REGIONS = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
_AWS = re.compile(r"aws:///[^/]+/([^/]+)")
_LARGEST = 64 * 2**20


def text_of(name: str) -> str:
    """The text of a file. Raises BadInput."""
    try:
        with open(name, "rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise BadInput(
                f"The price list {plain(name, 200)} is larger than {_LARGEST // 2**20} MiB.", "Give the lines of this cluster's nodes only."
            )
        return data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise BadInput(f"The price list {plain(name, 200)} cannot be read: {plain(error, 200)}.", "Check prices.csv.") from error


def number(value: Any, what: str) -> float:
    """A price: a number that is not negative. Raises BadInput, which names it."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise BadInput(f"{what} is {plain(repr(value), 40)}, which is no number.", "Give a number, for instance 0.031.")
    if found < 0:
        raise BadInput(f"{what} is {found:g}: a price is not negative.", "Give 0 where nothing is charged.")
    return found


def rows(text: str, name: str, currency: str) -> list[Row]:
    """[{id, field, region, type, price, until}] of the nodes, in the order of the file. Raises BadInput."""
    where = f"The price list {plain(name, 200)}"
    columns: list[str] = []
    found: list[Row] = []
    try:
        for line, cells in _lines(text):
            if not columns:
                columns, is_header = _columns([cell.strip() for cell in cells], where)
                if is_header:
                    continue
            if len(cells) != len(columns):
                raise BadInput(
                    f"{where}, line {line}: {len(cells)} fields, and there are {len(columns)} columns.", f"Columns: {', '.join(columns)}."
                )
            row = dict(zip(columns, (cell.strip() for cell in cells)))
            if row.get("AssetClass", "").lower() not in ("pv", "gpu"):
                found.append(_row(row, f"{where}, line {line}", currency))
    except csv.Error as error:
        raise BadInput(f"{where} is no CSV: {plain(error, 200)}.", f"Columns: {', '.join(COLUMNS)}.") from error
    if not found:
        raise BadInput(f"{where} has no line for a node.", "AssetClass has to be node.")
    return found


def match(listed: list[Row], node: Mapping[str, Any]) -> tuple[float | None, bool]:
    """(price of the node and hour or None, whether the list names this very node)."""
    metadata = node.get("metadata") or {}
    labels = {str(key): str(value) for key, value in (metadata.get("labels") or {}).items()}
    region = next((labels[name] for name in _REGIONS if labels.get(name)), "").lower()
    here = [row for row in listed if not row["region"] or row["region"] == region]
    exact = [row for row in here if row["id"] and row["id"] in _values(row["field"], node)]
    if exact:
        return max(exact, key=lambda row: (bool(row["region"]), row["until"]))["price"], True
    kind = next((labels[name] for name in _TYPES if labels.get(name)), "").lower()
    alike = [row["price"] for row in here if kind and row["type"] == kind]
    return (sum(alike) / len(alike) if alike else None), False


def _values(field: str, node: Mapping[str, Any]) -> set[str]:
    """What a node has in the field that identifies it, in lower case; without a field, its name and its provider's ID."""
    metadata, provider = node.get("metadata") or {}, str((node.get("spec") or {}).get("providerID", ""))
    aws = _AWS.search(provider)
    ids = {provider, provider.rpartition("/")[2], aws.group(1) if aws else provider}
    first, _dot, rest = field.partition(".")
    kind, _dot, key = rest.partition(".")
    if not field:
        values = {str(metadata.get("name", "")), *ids}
    elif field == "spec.providerID":
        values = ids
    elif field == "metadata.name":
        values = {str(metadata.get("name", ""))}
    elif first == "metadata" and kind in ("labels", "annotations"):
        values = {str((metadata.get(kind) or {}).get(key, ""))}
    else:
        values = set()
    return {value.lower() for value in values if value}


def _lines(text: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#")]


def _columns(first: list[str], where: str) -> tuple[list[str], bool]:
    """(the columns, whether the first line names them). OpenCost's files may begin with data."""
    known = [cell for cell in first if cell in COLUMNS]
    if not known:
        return list(COLUMNS), False
    unknown = [cell for cell in first if cell not in COLUMNS]
    if unknown:
        raise BadInput(f"{where} has the unknown column {plain(repr(unknown[0]), 40)}.", f"Columns: {', '.join(COLUMNS)}.")
    missing = [name for name in _NEEDED if name not in first]
    twice = sorted({cell for cell in first if first.count(cell) > 1})
    if missing or twice:
        fault = f"has no column {missing[0]}" if missing else f"names the column {twice[0]} twice"
        raise BadInput(f"{where} {fault}.", f"Columns: {', '.join(COLUMNS)}.")
    return first, True


def _row(row: Mapping[str, str], where: str, currency: str) -> Row:
    field = row.get("InstanceIDField", "")
    parts = field.split(".")
    if (
        field
        and field not in ("spec.providerID", "metadata.name")
        and not (len(parts) > 2 and parts[0] == "metadata" and parts[1] in ("labels", "annotations"))
    ):
        raise BadInput(
            f"{where}: InstanceIDField is {plain(repr(field), 60)}.",
            "Give spec.providerID, metadata.name, metadata.labels.NAME or metadata.annotations.NAME.",
        )
    return {
        "id": row["InstanceID"].lower(),
        "field": field,
        "region": row.get("Region", "").lower(),
        "type": row.get("InstanceType", "").lower(),
        "price": number(_amount(row["MarketPriceHourly"], where, currency), f"{where}: MarketPriceHourly"),
        "until": row.get("EndTimestamp", ""),
    }


def _amount(text: str, where: str, currency: str) -> str:
    """The number of a price that may carry a currency: then it has to be ours."""
    found = re.fullmatch(r"\s*(?P<before>[^\d\s.+-]*)\s*(?P<number>[+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*(?P<after>[^\d\s.+-]*)\s*", text)
    if not found:
        return text
    named = found["before"] or found["after"]
    code = _SYMBOLS.get(named, named.upper())
    if code and code.isalpha() and code != currency:
        raise BadInput(f"{where}: the price is in {plain(code, 20)}, and prices.currency is {currency}.", "Give prices in one currency.")
    return found["number"]
