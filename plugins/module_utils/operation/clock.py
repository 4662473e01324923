# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Time as it stands in records: UTC, RFC 3339, milliseconds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone


def now() -> datetime:
    return datetime.now(timezone.utc)


def stamp(moment: datetime) -> str:
    """``2026-11-21T11:02:03.004Z``."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse(text: str) -> datetime:
    """A time as the API server or a record writes it. Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def later(text: str, **duration: float) -> str:
    """The stamp that lies a timedelta after another."""
    return stamp(parse(text) + timedelta(**duration))


def seconds_between(earlier: str, later_: str) -> float:
    return (parse(later_) - parse(earlier)).total_seconds()


def span(seconds: float) -> str:
    """A duration as a person says it: 4 s, 3 min, 2 h 5 min."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
