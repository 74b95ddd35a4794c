"""Days whose stored counts are not what the source has: noted by each run that looks, for whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, delete, func, insert, select

from ops_pipeline.contract.days import each_day
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


def read_faults(connection: Connection, first: date, last: date) -> list[Fault]:
    """Return what is wrong with the days from `first` to `last`: what is noted, then days that have no verdict."""
    rows = connection.execute(
        select(day_faults.c.reason, func.count(), func.min(day_faults.c.utc_day), func.sum(day_faults.c.events))
        .where(day_faults.c.utc_day.between(first, last))
        .group_by(day_faults.c.reason)
        .order_by(day_faults.c.reason)
    )
    noted = [Fault(stored_reason(code), days, oldest, int(events)) for code, days, oldest, events in rows]
    return [*noted, *_missing(connection, first, last)]


def noted_days(connection: Connection, days: Iterable[date], reasons: Iterable[Reason]) -> dict[date, Reason]:
    """Return which of `days` are noted with one of `reasons`."""
    rows = connection.execute(
        select(day_faults.c.utc_day, day_faults.c.reason).where(
            day_faults.c.utc_day.in_(list(days)), day_faults.c.reason.in_([reason.value for reason in reasons])
        )
    )
    return {day: stored_reason(code) for day, code in rows}


def _missing(connection: Connection, first: date, last: date) -> Iterable[Fault]:
    """Yield the fault of the days between the first and the last verdict of that time that have none."""
    of_days = (verdicts.c.position == 0) & verdicts.c.utc_day.between(first, last)
    judged = sorted(connection.scalars(select(verdicts.c.utc_day).where(of_days)))
    if not judged or len(judged) == (judged[-1] - judged[0]).days + 1:
        return
    known = set(judged)
    missing = [day for day in each_day(judged[0], judged[-1]) if day not in known]
    yield Fault(Reason.DAYS_MISSING, len(missing), missing[0], 0)
