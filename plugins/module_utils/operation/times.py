# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How long an operation took: from the failure to its detection, decision and proof.

Pure functions over the events of one record; moments are stamps as in records, "" where one is not known or did not come. Durations are seconds.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.operation import clock
from ansible_collections.aiops.k8s.plugins.module_utils.operation.record import Event, last

MEASURES = {  # name -> (from, to, in words); the stamps are what stamps() returns
    "detect": ("since", "created", "time to detect (failure to proposal)"),
    "decide": ("created", "decided", "time to decide (proposal to decision)"),
    "repair": ("created", "repaired", "time to repair (proposal to proof)"),
    "outage": ("since", "repaired", "outage (failure to proof)"),
}
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")


def stamps(events: list[Event]) -> dict[str, str]:
    """{since, created, decided, repaired} of a record; "" for what is not known or did not happen."""
    decided = next((one["time"] for one in events if one["kind"] in ("approved", "rejected")), "")
    validated = last(events, "validated")
    return {
        "since": since(events[0]["payload"].get("findings", [])),
        "created": events[0]["time"],
        "decided": decided,
        "repaired": validated["time"] if validated else "",
    }


def since(findings: Iterable[Mapping[str, Any]]) -> str:
    """When the first of these findings was first visible; "" where none of them says so."""
    known = [str(one["since"]) for one in findings if isinstance(one, dict) and is_moment(one.get("since"))]
    return min(known, key=clock.parse, default="")


def spans(one: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by measure, as far as an entry (or its stamps) has both ends of it; never less than 0, since clocks differ."""
    return {
        name: round(max(0.0, clock.seconds_between(one[first], one[second])), 3)
        for name, (first, second, _words) in MEASURES.items()
        if one[first] and one[second]
    }


def is_moment(value: Any) -> bool:
    """Whether it is a time with its zone, as the API server and records write it."""
    try:
        return isinstance(value, str) and bool(_MOMENT.match(value)) and bool(clock.parse(value))
    except ValueError:
        return False
