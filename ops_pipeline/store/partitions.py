"""Partitions of `ops.delivery_events`: one a UTC day, made ahead of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, text

from ops_pipeline.contract.days import ONE_DAY, start_of


def partition_name(day: date) -> str:
    """Return the name of the partition that holds `day`, without its schema."""
    return f"delivery_events_{day:%Y%m%d}"


def ensure_partitions(connection: Connection, days: Iterable[date]) -> int:
    """Make the partitions of `days` that are not there, and return how many were made.

    A day whose first events already lie in the default partition stays there, because moving them would lock out
    the application that writes.
    """
    wanted = {partition_name(day): day for day in days}
    there = connection.scalars(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'ops.delivery_events'::regclass"
        )
    ).all()
    in_default = connection.scalars(
        text("SELECT DISTINCT (occurred_at AT TIME ZONE 'UTC')::date FROM ops.delivery_events_default")
    ).all()
    missing = {name: day for name, day in wanted.items() if name not in there and day not in set(in_default)}
    for name, day in missing.items():
        # Only a date is put into the statement: DDL takes no parameters.
        connection.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS ops.{name} PARTITION OF ops.delivery_events"
                f" FOR VALUES FROM ('{start_of(day).isoformat()}') TO ('{start_of(day + ONE_DAY).isoformat()}')"
            )
        )
    return len(missing)
