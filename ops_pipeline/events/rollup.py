"""The rollup: from events to `ops.daily_counts`, by whole UTC days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, Engine

from ops_pipeline.contract.config import COUNTED_DAYS, Config, first_kept
from ops_pipeline.contract.days import ONE_DAY, each_day, last_complete_day
from ops_pipeline.contract.environment import Name
from ops_pipeline.events.relation import count_events, find_relation
from ops_pipeline.store.daily_counts import events_by_day, replace_days
from ops_pipeline.store.engine import reading
from ops_pipeline.store.partitions import partitioned_days


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What a rollup did."""

    days: tuple[date, ...]
    """The days whose counts were replaced, oldest first."""
    kept: tuple[date, ...]
    """Days whose events the source no longer has: their stored counts were kept."""
    events: int
    """Events in the replaced days."""


def uncounted_days(connection: Connection, days: Sequence[date], *, first_day: date) -> list[date]:
    """Return `days`, and those of the COUNTED_DAYS days up to the first of them that were never counted."""
    start, last = max(first_day, min(days) - (COUNTED_DAYS - 1) * ONE_DAY), max(days)
    known = events_by_day(connection, start, last).keys()
    wanted = set(days)
    return [day for day in each_day(start, last) if day in wanted or day not in known]


def roll_up(
    connection: Connection, events: Engine, relation: str, days: Sequence[date], *, config: Config
) -> RolledUp:
    """Replace the counts of `days` by what one GROUP BY over them finds. Call `lock_days` first.

    A day of which the source has no event any more keeps the counts it had: events are deleted sooner than counts.
    So does a day whose partition was dropped, whatever came in later.
    """
    first, last = min(days), max(days)
    with reading(events) as source:
        found = count_events(source, find_relation(source, relation), first, last, config)
    before = events_by_day(connection, first, last)
    has_events = {count.utc_day for count in found} - _dropped(connection, relation, before, config)
    kept = tuple(day for day in sorted(days) if before.get(day) and day not in has_events)
    replaced = tuple(sorted(set(days) - set(kept)))
    counts = [count for count in found if count.utc_day in set(replaced)]
    return RolledUp(replaced, kept, replace_days(connection, replaced, counts) if replaced else 0)


def _dropped(connection: Connection, relation: str, counted: Iterable[date], config: Config) -> set[date]:
    """Return which of the counted days have no partition any more, because they are past their date."""
    start = first_kept(last_complete_day(), config.retention.events_days)
    if start is None or relation != Name.OPS_EVENTS_RELATION.default:
        return set()
    return {day for day in counted if day < start} - set(partitioned_days(connection))
