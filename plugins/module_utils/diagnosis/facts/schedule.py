# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Reads cron schedules as Kubernetes does (five fields, names, steps, @hourly and so on) and finds the times that lie behind.

parse(text) -> Schedule     raises ValueError for what is no schedule
before(schedule, moment, count) -> the last times at or before a moment, newest first; fewer where there are none within five years
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Iterator, NamedTuple

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DAYS = {name: number for number, name in enumerate("sun mon tue wed thu fri sat".split())}
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = ((0, 59, {}), (0, 23, {}), (1, 31, {}), (1, 12, _MONTHS), (0, 6, _DAYS))
_FAR = 5 * 366  # days
_EVERY = re.compile(r"^@every (?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?$")


class Schedule(NamedTuple):
    """The numbers that each field allows. ``either``: a day matches by its date or by its weekday, since both are limited.
    ``every``: seconds, for @every; then the fields are empty."""

    minutes: frozenset[int]
    hours: frozenset[int]
    dates: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    every: int = 0


def parse(text: str) -> Schedule:
    words = text.strip()
    if words.startswith(("TZ=", "CRON_TZ=")):
        words = words.partition(" ")[2].strip()
    every = _EVERY.match(words)
    if every:
        seconds = sum(int(every[name] or 0) * size for name, size in (("hours", 3600), ("minutes", 60), ("seconds", 1)))
        if not seconds:
            raise ValueError(f"{text!r} names no time.")
        nothing: frozenset[int] = frozenset()
        return Schedule(nothing, nothing, nothing, nothing, nothing, False, seconds)
    fields = _MACROS.get(words.lower(), words).split()
    if len(fields) != 5:
        raise ValueError(f"{text!r} has {len(fields)} fields; a schedule has 5.")
    minutes, hours, dates, months, weekdays = (_field(field, *limits) for field, limits in zip(fields, _FIELDS))
    starred = [field[0] in "*?" for field in (fields[2], fields[4])]
    return Schedule(minutes, hours, dates, months, weekdays, either=not any(starred))


def before(schedule: Schedule, moment: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    for one in _times(schedule, moment):
        found.append(one)
        if len(found) == count:
            break
    return found


def _times(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    if schedule.every:
        return  # it counts from the last run, not by the clock
    for back in range(_FAR):
        day = (moment - timedelta(days=back)).replace(second=0, microsecond=0)
        if not _day_fits(schedule, day):
            continue
        for hour in sorted(schedule.hours, reverse=True):
            for minute in sorted(schedule.minutes, reverse=True):
                at = day.replace(hour=hour, minute=minute)
                if at <= moment:
                    yield at


def _day_fits(schedule: Schedule, day: datetime) -> bool:
    if day.month not in schedule.months:
        return False
    by_date, by_weekday = day.day in schedule.dates, day.isoweekday() % 7 in schedule.weekdays
    return by_date or by_weekday if schedule.either else by_date and by_weekday


def _field(text: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _slash, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _number(start, names)
            last = _number(end, names) if dash else high if step else first
        if not low <= first <= last <= high + (1 if names is _DAYS else 0) or (step and not step.isdigit()) or step == "0":
            raise ValueError(f"{part!r} is no field of a schedule.")
        found |= set(range(first, last + 1, int(step or 1)))
    return frozenset(0 if names is _DAYS and one == 7 else one for one in found)


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not text.isdigit():
        raise ValueError(f"{text!r} is no number.")
    return int(text)
