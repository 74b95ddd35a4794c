"""Partitions of `ops.delivery_events`: one a UTC day, made ahead of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, text

from ops_pipeline.contract.days import ONE_DAY, each_day, start_of
from ops_pipeline.store.daily_counts import events_by_day

PARTITIONS_AHEAD_DAYS = 90
DROP_WAIT_SECONDS = 3
EVENTS_TABLE = "delivery_events"
_DEFAULT = "delivery_events_default"
_PARTITIONS = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = to_regclass('ops.delivery_events') AND c.relname ~ '^delivery_events_[0-9]{8}$'"
)


def partition_days() -> list[date]:
    """Return the UTC days whose event partitions are made ahead, today's first."""
    today = datetime.now(UTC).date()
    return list(each_day(today, today + timedelta(days=PARTITIONS_AHEAD_DAYS)))


def partition_name(day: date) -> str:
    """Return the name of the partition that holds `day`, without its schema."""
    return f"delivery_events_{day:%Y%m%d}"


def missing_partitions(connection: Connection, days: Iterable[date]) -> list[date]:
    """Return the days among `days` that lack a partition and can have one.

    A day whose first events already lie in the default partition stays there, because moving them would lock out
    the application that writes.
    """
    there = connection.scalars(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = to_regclass('ops.delivery_events')"
        )
    ).all()
    in_default: Iterable[date] = ()
    if _DEFAULT in there:
        in_default = connection.scalars(
            text("SELECT DISTINCT (occurred_at AT TIME ZONE 'UTC')::date FROM ops.delivery_events_default")
        ).all()
    return sorted({day for day in days if partition_name(day) not in there} - set(in_default))


def has_default_partition(connection: Connection) -> bool:
    """Return whether events of a day without a partition have somewhere to go."""
    found = text(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass('ops.delivery_events')"
        " AND inhrelid = to_regclass('ops.delivery_events_default')"
    )
    return bool(connection.scalar(found))


def partitioned_days(connection: Connection) -> list[date]:
    """Return the UTC days that have a partition, oldest first."""
    names = connection.scalars(text(_PARTITIONS + " ORDER BY 1"))
    return [date.fromisoformat(name[-8:]) for name in names]


def late_events(connection: Connection, before: date) -> int:
    """Return how many events of days before `before` lie in the default partition, where none was made for them."""
    late = text("SELECT count(*) FROM ops.delivery_events_default WHERE occurred_at < :start")
    return connection.scalar(late, {"start": start_of(before)}) or 0


class DropResult(StrEnum):
    """What became of a day's partition."""

    DROPPED = "dropped"
    MISSING = "missing"
    """Somebody else has dropped it."""
    WOULD_DROP = "would_drop"
    NOT_COUNTED = "not_counted"
    """It has events that are not in the daily counts, and was kept."""


def drop_partition(connection: Connection, day: date, *, is_dry: bool) -> DropResult:
    """DropResult the partition of `day` if the daily counts have all its events. Call `lock_days` first.

    Where it is dry, return WOULD_DROP in place of dropping.
    """
    name = f"ops.{partition_name(day)}"
    if connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is None:
        return DropResult.MISSING
    if not is_dry:
        # Dropping waits for everybody who uses the table, and whoever comes then waits behind.
        connection.execute(text(f"SET LOCAL lock_timeout = '{DROP_WAIT_SECONDS}s'"))
        # What is being written into this day comes to its end; other days are not waited for.
        connection.execute(text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))
    events = connection.scalar(text(f"SELECT count(*) FROM {name}"))  # noqa: S608 - made of a date
    # Fewer than were counted: the source has lost some, and the counts have all that is there.
    if events and events > events_by_day(connection, day, day).get(day, -1):
        return DropResult.NOT_COUNTED
    if is_dry:
        return DropResult.WOULD_DROP
    connection.execute(text(f"DROP TABLE {name}"))
    return DropResult.DROPPED


def last_partition(connection: Connection) -> date | None:
    """Return the last UTC day that has a partition."""
    return max(partitioned_days(connection), default=None)


def partition_statements(connection: Connection | None, days: Iterable[date]) -> list[str]:
    """Return the statements that make the partitions of `days` that are missing; without a connection, of all."""
    missing = sorted(days) if connection is None else missing_partitions(connection, days)
    return [
        # Only a date is put into the statement: DDL takes no parameters.
        f"CREATE TABLE IF NOT EXISTS ops.{partition_name(day)} PARTITION OF ops.delivery_events"
        f" FOR VALUES FROM ('{start_of(day).isoformat()}') TO ('{start_of(day + ONE_DAY).isoformat()}')"
        for day in missing
    ]


def ensure_partitions(connection: Connection, days: Iterable[date]) -> int:
    """Make the partitions of `days` that are missing, and return how many were made."""
    statements = partition_statements(connection, days)
    for statement in statements:
        connection.execute(text(statement))
    return len(statements)
