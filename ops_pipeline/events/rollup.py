"""The rollup: from events to `ops.daily_counts`, by whole UTC days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Connection, Engine

from ops_pipeline.contract.config import COUNTED_DAYS, HISTORY_DAYS, Config, first_kept
from ops_pipeline.contract.days import ONE_DAY, Days, each_day, last_complete_day, runs
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError, reason_of
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.events.relation import count_events, events_per_day, find_relation
from ops_pipeline.store.daily_counts import DailyCount, events_by_day, replace_days
from ops_pipeline.store.day_faults import DayFaults, noted_days
from ops_pipeline.store.engine import reading
from ops_pipeline.store.partitions import partitioned_days

_BY_A_ROW = (Reason.EVENTS_RELATION_INVALID, Reason.EVENTS_RELATION_FAILED)
"""What one row of a relation can be the cause of."""
_COMPARE_SECONDS = 600
_OLDER_PARTS = 10
"""In so many nights all older days are compared: each night costs as much as the others."""


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What a rollup did."""

    days: tuple[date, ...]
    """The days whose counts were replaced, oldest first."""
    kept: tuple[date, ...]
    """Days that kept the counts they had: the source has no event of them any more, or far fewer."""
    events: int
    """Events in the replaced days."""
    faults: DayFaults = field(default_factory=dict)
    """Of days that could not be counted, or lost events: the reason, and how many events it is about."""
    changed: tuple[date, ...] = ()
    """The days that had been counted before, with another number of events."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How the source's events differ from what was counted."""

    days: tuple[date, ...]
    """The days that were compared."""
    changed: tuple[date, ...]
    """Those that are to be counted again."""
    faults: DayFaults
    """Those that are not counted again, with the reason and how many events it is about."""


def uncounted_days(connection: Connection, days: Sequence[date], *, first_day: date) -> list[date]:
    """Return `days`, and those of the COUNTED_DAYS days up to the first of them that were never counted."""
    start, last = max(first_day, min(days) - (COUNTED_DAYS - 1) * ONE_DAY), max(days)
    known = events_by_day(connection, start, last).keys()
    wanted = set(days)
    return [day for day in each_day(start, last) if day in wanted or day not in known]


def compare_counted(
    connection: Connection, events: Engine, relation: str, newest: date, *, first_day: date, config: Config
) -> Compared:
    """Return how the days before `newest` differ that were counted: the last COUNTED_DAYS, and some older ones.

    A day that has more events, or slightly fewer, is counted again; one that lost more than `[schedule] shrink` is
    not. Older ones that have more are only named: nothing looks back on them. Where they cannot be compared, that is
    a fault of `newest`. Call `lock_days` first.
    """
    recent = max(first_day, newest - (COUNTED_DAYS - 1) * ONE_DAY)
    spans = [(recent, newest - ONE_DAY)]
    if (older := _older_part(newest, recent, first_day)) is not None:
        spans.append(older)
    stored = {day: found for span in spans for day, found in events_by_day(connection, *span).items()}
    dropped = _dropped(connection, events, relation, stored, config)
    there = _events_per_day(events, relation, spans)
    if there is None:
        return Compared((newest,), (), {newest: (Reason.DAYS_NOT_COMPARED, 0)})
    compared, changed, faults = [], [], {}
    for day, counted in sorted(stored.items()):
        found = there.get(day, 0)
        compared.append(day)
        if day in dropped:
            continue
        if found > counted and day < recent:
            faults[day] = (Reason.UNCOUNTED_EVENTS, found - counted)
        elif day >= recent and _has_shrunk(counted, found, config):
            faults[day] = (Reason.DAY_SHRANK, counted - found)
        elif day >= recent and 0 < found != counted:
            changed.append(day)
    return Compared(tuple(compared), tuple(changed), faults)


def _events_per_day(events: Engine, relation: str, spans: Sequence[tuple[date, date]]) -> dict[date, int] | None:
    """Return the events of each day of these spans; None: they cannot be read, or not in time."""
    try:
        with reading(events, limit_seconds=_COMPARE_SECONDS) as source:
            quoted = find_relation(source, relation)
            return {day: found for span in spans for day, found in events_per_day(source, quoted, *span).items()}
    except Exception as error:
        # It must not keep anybody from the verdict of the newest day. What else is wrong, counting that day says.
        if reason_of(error) is Reason.INTERRUPTED:
            raise
    return None


def _older_part(newest: date, recent: date, first_day: date) -> tuple[date, date] | None:
    """Return the first and last of the days before `recent` that it is the turn of; None: there are none."""
    # The parts stay where they are while each has its turn, so that no day lies between two.
    turn = newest.toordinal() % _OLDER_PARTS
    size = -(-HISTORY_DAYS // _OLDER_PARTS)
    start = newest - (turn + HISTORY_DAYS - 1 - turn * size) * ONE_DAY
    first, last = max(first_day, start), min(recent - ONE_DAY, start + (size - 1) * ONE_DAY)
    return (first, last) if first <= last else None


def _has_shrunk(counted: int, found: int, config: Config) -> bool:
    """Return whether a day lost more events than happens; one that has none any more is past its date."""
    return 0 < found < counted * (1 - config.schedule.shrink)


def roll_up(
    connection: Connection,
    events: Engine,
    relation: str,
    days: Sequence[date],
    *,
    config: Config,
    asked: Collection[date],
    accepts_shrink: bool = False,
) -> RolledUp:
    """Replace the counts of `days` by what one GROUP BY over them finds. Call `lock_days` first.

    A day of which the source has no event any more keeps the counts it had: events are deleted sooner than counts.
    So does a day whose partition was dropped, whatever came in later, and unless `accepts_shrink` one that lost more
    than `[schedule] shrink`. Days that cannot be counted are left out; raises OpsError `events_relation_invalid` with
    `day` where one of them is all that was `asked` for, and as `find_relation` does.
    """
    found, uncountable = _count(events, relation, days, config, asked)
    faults = dict(uncountable)
    before = events_by_day(connection, min(days), max(days))
    dropped = _dropped(connection, events, relation, before, config)
    totals = Counter(dict.fromkeys(days, 0))
    for count in found:
        totals[count.utc_day] += count.events
    # What could not be counted and is gone now was not nothing.
    gone = [day for day in days if day not in before and day not in faults and not totals[day]]
    faults |= {day: (reason, 0) for day, reason in noted_days(connection, gone, _BY_A_ROW).items()}
    if not accepts_shrink:
        for day in days:
            if day not in faults and _has_shrunk(before.get(day, 0), totals[day], config) and day not in dropped:
                faults[day] = (Reason.DAY_SHRANK, before[day] - totals[day])
    kept = tuple(
        day for day in sorted(days) if before.get(day) and (day in dropped or not totals[day] or day in faults)
    )
    replaced = tuple(sorted(set(days) - set(kept) - faults.keys()))
    counts = [count for count in found if count.utc_day in set(replaced)]
    changed = tuple(day for day in replaced if before.get(day, totals[day]) != totals[day])
    return RolledUp(replaced, kept, replace_days(connection, replaced, counts) if replaced else 0, faults, changed)


def _count(
    events: Engine, relation: str, days: Sequence[date], config: Config, asked: Collection[date]
) -> tuple[list[DailyCount], DayFaults]:
    """Return the counts of `days`, and those of them that cannot be counted."""
    with reading(events) as source:
        quoted = find_relation(source, relation)
    found: list[DailyCount] = []
    faults: dict[date, tuple[Reason, int]] = {}
    spans = runs(sorted(days))
    while spans:
        span = spans.pop()
        try:
            found += _counted(events, quoted, span.first, span.last, config)
        except OpsError as error:
            reason, is_one = reason_of(error), span.first == span.last
            if reason not in _BY_A_ROW or (is_one and set(asked) == {span.first}):
                raise
        else:
            continue
        # One bad row ends the whole statement: halves find whose day it is.
        if is_one:
            faults[span.first] = (reason, 0)
        else:
            middle = span.first + (span.last - span.first).days // 2 * ONE_DAY
            spans += [Days(span.first, middle), Days(middle + ONE_DAY, span.last)]
    return found, faults


def _counted(events: Engine, quoted: str, first: date, last: date, config: Config) -> list[DailyCount]:
    with reading(events) as source:
        return count_events(source, quoted, first, last, config)


def _dropped(
    connection: Connection, events: Engine, relation: str, counted: Iterable[date], config: Config
) -> set[date]:
    """Return which of the counted days have no partition any more, because they are past their date."""
    start = first_kept(last_complete_day(), config.retention.events_days)
    is_ours = relation == Name.OPS_EVENTS_RELATION.default and events is connection.engine
    if start is None or not is_ours:
        return set()
    return {day for day in counted if day < start} - set(partitioned_days(connection))
