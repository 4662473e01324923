# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What waits, how long, how late, and what is left: at given moments, in the list's order, within the width."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, listing, record as chain, screen
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Directory, Record

from tests.unit.operation import samples

# samples: proposed at minute 0, each event a minute after the one before; medium risk: SLA 60, plan 480, approval until minute 60


def row(store: Directory, minute: float, *kinds: str, first: dict[str, Any] | None = None) -> listing.Entry:
    return listing.entry(store, Record("0001", "/records/0001.jsonl", samples.events(*kinds, first=first)), clock.stamp(samples.at(minute)))


@pytest.mark.parametrize(
    ("minute", "group", "overdue", "overdue_seconds", "waiting", "met", "remark"),
    [
        (0, "waiting", False, 0, 0, None, ""),
        (60, "waiting", False, 0, 3600, None, ""),
        (61, "waiting", True, 60, 3660, False, "decision due 60 s ago"),
        (450, "waiting", True, 23400, 27000, False, "decision due 6 h 30 min ago"),
        (481, "ended", True, 25260, 0, False, "expired"),
    ],
)
def test_a_proposal_as_time_passes(
    store: Directory, minute: float, group: str, overdue: bool, overdue_seconds: float, waiting: float, met: bool | None, remark: str
) -> None:
    one = row(store, minute)
    assert (one["group"], one["overdue"], one["overdue_seconds"], one["waiting_seconds"]) == (group, overdue, overdue_seconds, waiting)
    assert (one["sla_met"], one["remark"], one["decided_after_seconds"], one["left"]) == (met, remark, None, "")
    assert (one["sla_minutes"], one["due"], one["expires"]) == (60, "2026-11-21T13:00:00.000Z", "2026-11-21T20:00:00.000Z")
    assert one["expired"] == (group == "ended")


@pytest.mark.parametrize(
    ("kinds", "minute", "group", "left"),
    [
        (("approved",), 20, "unfinished", "to be carried out within 40 min"),
        (("approved",), 75, "unfinished", "its approval ended 15 min ago"),
        (("approved", "executing"), 5, "unfinished", "being applied, or interrupted"),
        (("approved", "executing", "executed"), 5, "unfinished", "not proven yet"),
        (("approved", "executing", "executed", "validated"), 10, "unfinished", "under watch for another 5 min"),
        (("approved", "executing", "executed", "validated"), 20, "unfinished", "its watch ended 5 min ago"),
        (("approved", "executing", "executed", "failed"), 20, "unfinished", "to be undone"),
        (("approved", "executing", "executed", "failed", "rolling_back"), 20, "unfinished", "being undone, or interrupted"),
        (("approved", "executing", "executed", "validated", "closed"), 20, "ended", ""),
        (("rejected",), 20, "ended", ""),
        (("expired",), 500, "ended", ""),
    ],
)
def test_what_is_left(store: Directory, kinds: tuple[str, ...], minute: float, group: str, left: str) -> None:
    one = row(store, minute, *kinds)
    assert (one["group"], one["left"], one["unfinished"], one["waiting_seconds"]) == (group, left, group == "unfinished", 0)


@pytest.mark.parametrize(
    ("kinds", "after", "met"),
    [(("approved",), 60.0, True), (("rejected",), 60.0, True), (("expired",), None, False), (("refused",) * 60 + ("approved",), 3660.0, False)],
)
def test_whether_a_decision_came_in_time_stays_known(store: Directory, kinds: tuple[str, ...], after: float | None, met: bool) -> None:
    one = row(store, 5000, *kinds)
    assert (one["decided_after_seconds"], one["sla_met"], one["overdue"], one["overdue_seconds"]) == (after, met, False, 0)


def test_an_approval_that_ran_out_was_decided_in_time(store: Directory) -> None:
    assert row(store, 5000, "approved", "expired")["sla_met"] is True


def test_advice_has_no_deadline(store: Directory) -> None:
    for kinds, group in (((), "ended"), (("closed",), "ended")):
        one = row(store, 5000, *kinds, first=samples.payload())
        assert (one["group"], one["due"], one["expires"], one["sla_minutes"], one["sla_met"], one["overdue"]) == (group, "", "", None, None, False)


def rows(store: Directory) -> list[listing.Entry]:
    """0001 ended, 0002 waits, 0003 damaged, 0004 is late, 0005 waits and is due before 0002, 0006 unfinished."""
    made = [row(store, 20, "rejected"), row(store, 20), row(store, 0), row(store, 90), row(store, 40), row(store, 20, "approved")]
    found = [{**one, "id": f"{number:04d}"} for number, one in enumerate(made, 1)]
    found[3]["due"], found[4]["due"] = "2026-11-21T11:00:00.000Z", "2026-11-21T12:30:00.000Z"
    store.create(samples.payload(samples.plan()))
    with open(store.file("0001"), "ab") as file:
        file.write(b"{}\n")
    found[2] = {**listing.read(store)["records"][0], "id": "0003"}
    return found


def test_what_waits_comes_first(store: Directory) -> None:
    found = rows(store)
    assert [one["id"] for one in listing.ordered(found)] == ["0004", "0005", "0002", "0006", "0003", "0001"]
    assert listing.summary(found) == "3 waiting (1 past its SLA), 1 unfinished, 1 ended, 1 damaged"
    assert listing.summary([]) == "0 waiting, 0 unfinished, 0 ended"


def test_every_row_has_the_same_keys(store: Directory) -> None:
    found = rows(store)
    assert {tuple(sorted(one)) for one in found} == {tuple(sorted(found[0]))}


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ("all", ["0001", "0002", "0003", "0004", "0005", "0006"]),
        ("waiting", ["0002", "0003", "0004", "0005"]),
        ("overdue", ["0003", "0004"]),
        ("unfinished", ["0003", "0006"]),
        ("ended", ["0001", "0003"]),
    ],
)
def test_a_filter_never_hides_a_damaged_record(store: Directory, wanted: str, ids: list[str]) -> None:
    assert [one["id"] for one in listing.select(rows(store), wanted)] == ids


def test_a_filter_that_is_none(store: Directory) -> None:
    with pytest.raises(BadInput, match="state is 'late'. It must be one of all, waiting, overdue, unfinished, ended"):
        listing.select([], "late")


def test_the_table(store: Directory) -> None:
    lines = [text for text, _colour in screen.table(listing.ordered(rows(store)), 120)]
    title = "OOMKilled in deployment/web in namespace shop"
    assert lines[:6] == [
        "record risk          waits  decision due       decide by (UTC)  title",
        f"0004   medium   1 h 30 min  30 min ago         11-21 20:00      {title}",
        f"0005   medium       40 min  in 20 min          11-21 20:00      {title}",
        f"0002   medium       20 min  in 40 min          11-21 20:00      {title}",
        "record state        risk     what is left                      title",
        f"0006   approved     medium   to be carried out within 40 min   {title}",
    ]
    assert (
        lines[6] == "record state        risk             age  title"
        and lines[7].startswith("0003   damaged")
        and lines[8].startswith("0001   rejected")
    )


@pytest.mark.parametrize("width", [60, 80, 100])
def test_titles_of_what_waits_are_whole_and_within_the_width(store: Directory, width: int) -> None:
    found = [{**one, "title": "\x1b[31m" + "t" * (width - 12)} for one in listing.ordered(rows(store)) if one["group"] in ("waiting", "unfinished")]
    lines = [text for text, _colour in screen.table(found, width)]
    assert all(len(text) <= width and text.isprintable() for text in lines)
    assert sum(text.endswith("t" * (width - 12)) for text in lines) == len(found)
    assert screen.table([], width) == []


def test_measured_times(store: Directory) -> None:
    first = samples.payload(samples.plan(), findings=[samples.finding(since="2026-11-21T11:50:00Z")])
    one = row(store, 20, *samples.WAYS["closed"], first=first)
    assert (one["detect_seconds"], one["repair_seconds"], one["outage_seconds"]) == (600.0, 240.0, 840.0)
    assert row(store, 20)["repair_seconds"] is None


@pytest.mark.parametrize(("minute", "met"), [(30, None), (90, False)])
def test_a_proposal_that_was_overtaken_before_it_was_due_misses_no_sla(store: Directory, minute: float, met: bool | None) -> None:
    chained = samples.events()
    over = chain.event(chained, "expired", {"reason": "overtaken", "successor": "0002"}, samples.REQUESTER, clock.stamp(samples.at(minute)))
    one = listing.entry(store, Record("0001", "/records/0001.jsonl", [*chained, over]), clock.stamp(samples.at(100)))
    assert (one["group"], one["sla_met"]) == ("ended", met)
