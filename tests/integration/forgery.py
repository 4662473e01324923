# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Ways to tamper with records: clumsily, and with the library at hand, so that every hash fits."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import digest
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import event

from tests.integration.support import events

OPEN = "0002"  # the record that is tampered with
Change = Callable[[Path], None]  # gets the folder of the records


def line(number: int, old: str, new: str) -> Change:
    """Edit one line of OPEN."""

    def change(records: Path) -> None:
        lines = (records / f"{OPEN}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        assert old in lines[number]
        lines[number] = lines[number].replace(old, new)
        (records / f"{OPEN}.jsonl").write_text("".join(lines), encoding="utf-8")

    return change


def content(text: str) -> Change:
    """Put something else into OPEN's file."""

    def change(records: Path) -> None:
        (records / f"{OPEN}.jsonl").write_text(text, encoding="utf-8")

    return change


def followed_by(*following: tuple[str, dict[str, Any]]) -> Change:
    """Append proper events to OPEN: what a person with the library at hand could write."""

    def change(records: Path) -> None:
        known = events(records / f"{OPEN}.jsonl")
        who = known[0]["actor"]
        for kind, payload in following:
            given = {"digest": known[0]["payload"]["digest"], "reason": "", "by": who, "way": "playbook", "expires": "2999-01-01T00:00:00.000Z"}
            known.append(event(known, kind, {**given, **payload}, who))
        rewrite(records, known)

    return change


def proposed_with(approved: bool = False, **changes: Any) -> Change:
    """Propose OPEN anew with another plan: a whole chain, a matching digest."""

    def change(records: Path) -> None:
        known = events(records / f"{OPEN}.jsonl")
        payload = copy.deepcopy(known[0]["payload"])
        payload["plan"] = {**payload["plan"], **changes}
        payload["digest"] = digest(payload["plan"])
        first = event([], "proposed", payload, known[0]["actor"])
        rewrite(records, [first])
        if approved:
            followed_by(("approved", {}))(records)

    return change


def rewrite(records: Path, chain: list[dict[str, Any]]) -> None:
    (records / f"{OPEN}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in chain), encoding="utf-8")


def moved(records: Path) -> None:
    """A copy of OPEN under the next number."""
    (records / "0003.jsonl").write_bytes((records / f"{OPEN}.jsonl").read_bytes())
