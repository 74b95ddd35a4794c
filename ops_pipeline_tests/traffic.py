"""Made-up events in a test's own database, on the thirty days that end with the last complete one."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, text

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline_tests.conftest import Database


def leak(database: Database, day: date) -> None:
    """Hold one message of a UTC day because an identity leaked."""
    statement = "INSERT INTO ops.delivery_events VALUES (CAST(:at AS timestamptz), 'first', 'held', 'identity_leak')"
    with database.engine.begin() as connection:
        connection.execute(text(statement), {"at": f"{day} 12:00+00"})


def send(
    connection: Connection,
    count: int,
    outcome: str,
    reason: str | None = None,
    *,
    touch: str = "first",
    days: int = 30,
    segment: str = "email",
) -> None:
    """Add `count` events to each of the thirty days."""
    connection.execute(
        text(
            "INSERT INTO ops.delivery_events (occurred_at, touch, outcome, reason, segment)"
            " SELECT (CAST(:day AS date) - d)::timestamp AT TIME ZONE 'UTC', :touch, :outcome, :reason, :segment"
            " FROM generate_series(0, 29) AS d, generate_series(1, :count)"
        ),
        {
            "day": last_complete_day(),
            "count": count,
            "touch": touch,
            "outcome": outcome,
            "reason": reason,
            "segment": segment,
        },
    )


def healthy_traffic(database: Database) -> None:
    """Send what the watchdog calls healthy."""
    with database.engine.begin() as connection:
        send(connection, 100, "offered")
        send(connection, 90, "attempted")
        send(connection, 80, "delivered")
        send(connection, 40, "acknowledged", "positive")
