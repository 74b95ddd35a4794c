"""Partitions of `ops.delivery_events`: one a UTC day, made ahead of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, text

from ops_pipeline.contract.days import ONE_DAY, start_of

EVENTS_TABLE = "delivery_events"
_DEFAULT = "delivery_events_default"


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


def last_partition(connection: Connection) -> date | None:
    """Return the last UTC day that has a partition."""
    names = "SELECT max(c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    ours = " WHERE i.inhparent = to_regclass('ops.delivery_events') AND c.relname ~ '^delivery_events_[0-9]{8}$'"
    name = connection.scalar(text(names + ours))
    return date.fromisoformat(name[-8:]) if name else None


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
