"""UTC days: parsing what an operator writes, and which days can be asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason

ONE_DAY = timedelta(days=1)
_DUE = timedelta(hours=6)
"""Time of the UTC day by which the day before should have been judged."""
REPORTED_DAYS = 90
"""Days that a report shows unless it is asked for others."""


def last_complete_day(now: datetime | None = None) -> date:
    """Return the UTC day before today, or before the day of `now`."""
    return (now or datetime.now(UTC)).date() - ONE_DAY


def due_day(now: datetime) -> date:
    """Return the last UTC day that should have been judged by `now`: the schedule starts at 03:00 UTC."""
    last = last_complete_day(now)
    return last if now >= start_of(now.date()) + _DUE else last - ONE_DAY


def parse_day(text: str) -> date:
    """Return the day that `text` (YYYY-MM-DD) names. Raises OpsError `invalid_day`."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, flags=re.ASCII):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise OpsError(Reason.INVALID_DAY)


def check_askable(day: date, *, first: date) -> None:
    """Raise OpsError `day_not_complete` or `day_before_first` unless `day` is complete and not before `first`."""
    if day > last_complete_day():
        raise OpsError(Reason.DAY_NOT_COMPLETE)
    if day < first:
        raise OpsError(Reason.DAY_BEFORE_FIRST)


def each_day(first: date, last: date) -> Iterator[date]:
    """Yield the days from `first` to `last`, both included."""
    for offset in range((last - first).days + 1):
        yield first + offset * ONE_DAY


@dataclass(frozen=True, slots=True)
class Days:
    """Days that follow one another."""

    first: date
    last: date


def runs(days: Iterable[date]) -> list[Days]:
    """Return `days`, which come in order, as runs of days without a gap."""
    found: list[Days] = []
    for day in days:
        if found and found[-1].last == day - ONE_DAY:
            found[-1] = Days(found[-1].first, day)
        else:
            found.append(Days(day, day))
    return found


def start_of(day: date) -> datetime:
    """Return the instant at which `day` begins in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
