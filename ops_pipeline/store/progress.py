"""How far the pipeline has come: the days that were rolled up and judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, Connection, FromClause, and_, func, select

from ops_pipeline.contract.vocabulary import Scope, Status
from ops_pipeline.store.schema import daily_counts, verdicts


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been rolled up and decided so far. Days are UTC days; None where there is none."""

    days: int
    """Days that have been rolled up."""
    events: int
    """Events in them."""
    first_day: date | None
    last_day: date | None
    verdict_day: date | None
    """The last day that was judged."""
    verdict_status: Status | None
    """What was said of it."""
    healthy_day: date | None
    """The last day that was healthy."""


def read_progress(connection: Connection) -> Progress:
    """Return what has been rolled up and decided so far."""
    day = daily_counts.c.utc_day
    rolled_up = select(
        func.count(day.distinct()), func.coalesce(func.sum(daily_counts.c.events), 0), func.min(day), func.max(day)
    )
    days, events, first_day, last_day = connection.execute(rolled_up).one()
    whole = select(verdicts.c.utc_day, verdicts.c.status).where(verdicts.c.position == 0)
    newest = connection.execute(whole.order_by(verdicts.c.utc_day.desc()).limit(1)).one_or_none()
    healthy = select(func.max(verdicts.c.utc_day)).where(
        verdicts.c.position == 0, verdicts.c.status == Status.HEALTHY.value
    )
    return Progress(
        days=days,
        events=int(events),
        first_day=first_day,
        last_day=last_day,
        verdict_day=newest.utc_day if newest else None,
        verdict_status=Status(newest.status) if newest else None,
        healthy_day=connection.scalar(healthy),
    )


def judged_days(connection: Connection, first: date, last: date) -> set[date]:
    """Return which of the days from `first` to `last` have a verdict."""
    of_days = verdicts.c.utc_day.between(first, last) & (verdicts.c.position == 0)
    return set(connection.scalars(select(verdicts.c.utc_day).where(of_days)))


def status_since(connection: Connection, day: date) -> dict[tuple[Scope, str], date]:
    """Return since which judged day each signal has the status that it has on `day`, by touch and name.

    The whole is there as the signal `watchdog` of both touches. Days without a verdict do not count as a change.
    """
    now, before, kept = verdicts.alias("now"), verdicts.alias("before"), verdicts.alias("kept")

    def same(one: FromClause) -> ColumnElement[bool]:
        return and_(one.c.signal == now.c.signal, one.c.touch == now.c.touch)

    changed = (
        select(func.max(before.c.utc_day))
        .where(same(before), before.c.utc_day < day, before.c.status != now.c.status)
        .correlate(now)
        .scalar_subquery()
    )
    since = (
        select(func.min(kept.c.utc_day))
        .where(same(kept), kept.c.utc_day <= day, kept.c.utc_day > func.coalesce(changed, date.min))
        .correlate(now)
        .scalar_subquery()
    )
    rows = connection.execute(select(now.c.touch, now.c.signal, since.label("since")).where(now.c.utc_day == day))
    return {(Scope(row.touch), row.signal): row.since for row in rows}
