# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is said about proposals that wait for a decision. Pure: rows of the list (operation/listing.py) in, texts out."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock, listing, phr
from ansible_collections.aiops.k8s.plugins.module_utils.operation.digest import SHORT
from ansible_collections.aiops.k8s.plugins.module_utils.operation.screen import printable
from ansible_collections.aiops.k8s.plugins.module_utils.operation.store import Record

ONLY = ("overdue", "waiting")
_SHOWN = 20  # proposals that are told one by one
_TITLE = 200  # characters of the line with a proposal's title


def chosen(rows: list[listing.Entry], only: str) -> list[listing.Entry]:
    """What to remind of, those past their SLA first. Raises BadInput for another ``only``."""
    if only not in ONLY:
        raise BadInput(f"remind_only is {only!r}.", f"It must be one of {', '.join(ONLY)}.")
    waiting = listing.ordered([one for one in rows if one["group"] == "waiting"])
    return [one for one in waiting if one["overdue"]] + [one for one in waiting if not one["overdue"] and only == "waiting"]


def approve_command(record: Record, records_dir: str) -> str:
    """The command that approves a record, from whatever directory it is run on this machine."""
    first = record.events[0]
    options = {**first["payload"].get("options", {}), "records_dir": records_dir}
    return phr.next_command([{**first, "payload": {**first["payload"], "options": options}}])


def compose(rows: list[listing.Entry], only: str, command: Callable[[str], str], place: Mapping[str, str]) -> dict[str, Any]:
    """{count, title, text[] (lines), severity, facts{}}. ``command``: id -> what approves it; ``place``: facts about where that is run."""
    found = chosen(rows, only)
    late = [one for one in found if one["overdue"]]
    damaged = [one["id"] for one in rows if one["group"] == "damaged"]
    shown = [{**_facts(one), "approve": command(one["id"])} for one in found[:_SHOWN]]
    text = [line for one, facts in zip(found, shown) for line in _told(one, facts)]
    if len(found) > _SHOWN:
        text.append(
            f"... and {len(found) - _SHOWN} more: ansible-playbook aiops.k8s.records -e state={only} -e records_dir={place['records_dir']}"
        )
    if damaged:
        text.append(f"Records that do not verify, so that nobody knows whether they wait: {', '.join(damaged[:_SHOWN])}.")
    return {
        "count": len(found),
        "title": _title(len(found), len(late)),
        "text": text,
        "severity": "critical" if any(one["risk"] == "critical" for one in late) else "warning" if late else "info",
        "facts": {"waiting": sum(one["group"] == "waiting" for one in rows), "overdue": len(late), **place, "proposals": shown},
    }


def _title(count: int, late: int) -> str:
    past = (
        f", {late} past {'its' if late == 1 else 'their'} SLA"
        if late and late < count
        else " past its SLA" if late == 1 else " past their SLA" if late else ""
    )
    return f"{count} proposal{' waits' if count == 1 else 's wait'} for a decision{past}"


def _facts(one: listing.Entry) -> dict[str, Any]:
    keys = ("id", "risk", "title", "waiting_seconds", "due", "overdue_seconds", "expires")
    return {**{key: one[key] for key in keys}, "digest": one["digest"][:SHORT]}


def _told(one: listing.Entry, facts: Mapping[str, Any]) -> list[str]:
    late = (
        f"{clock.span(one['overdue_seconds'])} ago"
        if one["overdue"]
        else f"in {clock.span(one['sla_minutes'] * 60 - one['waiting_seconds'])}"
    )
    return [
        printable(f"{one['id']}  {one['risk']}  {one['title']}")[
            :_TITLE
        ],  # one line, whatever the title holds: what follows is a command to copy
        (
            f"waits {clock.span(one['waiting_seconds'])}; decision due {late}, at {one['due'][:16]}Z; possible until"
            f" {one['expires'][:16]}Z; digest {facts['digest']}"
        ),
        facts["approve"],
        "",
    ]
