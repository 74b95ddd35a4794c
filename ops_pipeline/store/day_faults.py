"""Days whose stored counts are not what the source has: noted by each run that looks, for whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, and_, delete, func, insert, select

from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.store.results import stored_reason
from ops_pipeline.store.schema import day_faults, verdicts

DayFaults = Mapping[date, tuple[Reason, int]]
"""Of each day that has a fault, the reason and how many events it is about."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason for which days are not as they should be."""

    reason: Reason
    days: int
    oldest: date
    """The first of these UTC days."""
    events: int
    """Events that it is about, of all these days together."""


def replace_day_faults(connection: Connection, looked_at: Iterable[date], faults: DayFaults) -> None:
    """Replace what is noted of the days that were looked at. Call `lock_days` first."""
    connection.execute(delete(day_faults).where(day_faults.c.utc_day.in_(list(looked_at))))
    rows = [{"utc_day": day, "reason": reason.value, "events": events} for day, (reason, events) in faults.items()]
    if rows:
        connection.execute(insert(day_faults), rows)


def read_faults(connection: Connection, last: date) -> list[Fault]:
    """Return what is wrong with days up to `last`: what is noted, then days that never got a verdict."""
    rows = connection.execute(
        select(day_faults.c.reason, func.count(), func.min(day_faults.c.utc_day), func.sum(day_faults.c.events))
        .where(day_faults.c.utc_day <= last)
        .group_by(day_faults.c.reason)
        .order_by(day_faults.c.reason)
    )
    noted = [Fault(stored_reason(code), days, oldest, int(events)) for code, days, oldest, events in rows]
    return [*noted, *_missing(connection, last)]


def _missing(connection: Connection, last: date) -> Iterable[Fault]:
    """Yield the fault of the days between the first and the last verdict up to `last` that have none."""
    is_whole = verdicts.c.position == 0
    first, newest, judged = connection.execute(
        select(func.min(verdicts.c.utc_day), func.max(verdicts.c.utc_day), func.count()).where(
            is_whole, verdicts.c.utc_day <= last
        )
    ).one()
    if first is None or judged == (newest - first).days + 1:
        return
    after = verdicts.alias("after")
    # The first day that has a verdict while the day after it has none.
    end = connection.scalar(
        select(func.min(verdicts.c.utc_day)).where(
            is_whole,
            ~select(after.c.utc_day)
            .where(and_(after.c.utc_day == verdicts.c.utc_day + 1, after.c.position == 0))
            .exists(),
        )
    )
    yield Fault(Reason.DAYS_MISSING, (newest - first).days + 1 - judged, end + ONE_DAY, 0)
