"""The rollup's table: written by whole days, read as `DayCounts`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import date

from sqlalchemy import Connection, delete, func, insert, select, text

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Outcome, Reserved, Touch
from ops_pipeline.contract.waits import announce
from ops_pipeline.health.counts import CountKey, DayCounts
from ops_pipeline.store.schema import daily_counts

_POLL_SECONDS = 0.2
_LOCK_KEY = 0x6F70735F636E7473


@dataclass(frozen=True, slots=True)
class DailyCount:
    """The events of one (UTC day, touch, outcome, reason, segment)."""

    utc_day: date
    touch: str
    outcome: str
    reason: str | None
    segment: str | None
    events: int


def lock_days(connection: Connection) -> None:
    """Wait until no other transaction replaces days, and keep others waiting until this one ends.

    However long that takes: every transaction has an end.
    """
    is_said = False
    while not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK_KEY}):
        if not is_said:
            announce(Reason.WAITING_FOR_LOCK)
            is_said = True
        time.sleep(_POLL_SECONDS)


def replace_days(connection: Connection, days: Collection[date], counts: Iterable[DailyCount]) -> int:
    """Replace the counts of all `days` by `counts`, and return the events in them. Call `lock_days` first."""
    always = {
        (day, touch): DailyCount(day, touch, Outcome.DELIVERED, None, None, 0) for day in days for touch in Touch
    }
    rows = list(counts)
    for row in rows:
        if row.outcome == Outcome.DELIVERED and row.reason is None and row.segment is None:
            always.pop((row.utc_day, Touch(row.touch)), None)
    connection.execute(delete(daily_counts).where(daily_counts.c.utc_day.in_(days)))
    connection.execute(insert(daily_counts), [asdict(row) for row in (*rows, *always.values())])
    return sum(row.events for row in rows)


def events_by_day(connection: Connection, first: date, last: date) -> dict[date, int]:
    """Return the number of events of each day from `first` to `last` that has been rolled up."""
    rows = connection.execute(
        select(daily_counts.c.utc_day, func.sum(daily_counts.c.events))
        .where(daily_counts.c.utc_day.between(first, last))
        .group_by(daily_counts.c.utc_day)
    )
    return {day: int(events) for day, events in rows}


def read_days(connection: Connection, first: date, last: date) -> list[DayCounts]:
    """Return the counts of each day from `first` to `last` that has been rolled up, summed over segments."""
    key = (daily_counts.c.utc_day, daily_counts.c.touch, daily_counts.c.outcome, daily_counts.c.reason)
    is_wide = func.coalesce(func.bool_or(daily_counts.c.segment == Reserved.NOT_A_SEGMENT), False)
    rows = connection.execute(
        select(*key, func.sum(daily_counts.c.events), is_wide)
        .where(daily_counts.c.utc_day.between(first, last))
        .group_by(*key)
    )
    by_day: defaultdict[date, dict[CountKey, int]] = defaultdict(dict)
    wide = set()
    for day, touch, outcome, reason, events, has_wide_segment in rows:
        by_day[day][(touch, outcome, reason)] = int(events)
        if has_wide_segment:
            wide.add(day)
    return [DayCounts(day, counts, day in wide) for day, counts in sorted(by_day.items())]
