"""What the database itself refuses: events and counts are typed and constrained there too."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ops_pipeline.contract.errors import sqlstate_of
from ops_pipeline.contract.tokens import is_label
from ops_pipeline.store import results, schema
from ops_pipeline_tests.conftest import Database

EVENT = text(
    "INSERT INTO ops.delivery_events (occurred_at, touch, outcome, reason, segment)"
    " VALUES ('2026-11-01 12:00+00', :touch, :outcome, :reason, :segment)"
)
GOOD = {"touch": "first", "outcome": "held", "reason": "rate_limited", "segment": "email"}


def _insert(database: Database, **changes: str | None) -> str | None:
    """Insert an event and return the SQLSTATE of the refusal, or None."""
    try:
        with database.engine.begin() as connection:
            connection.execute(EVENT, {**GOOD, **changes})
    except DBAPIError as error:
        return sqlstate_of(error)
    return None


def test_a_good_event_is_taken_whatever_its_day(database: Database) -> None:
    assert _insert(database) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"touch": "third"},
        {"outcome": "lost"},
        {"reason": "+49 170 1234567"},
        {"reason": None},
        {"segment": "someone@example.org"},
        {"outcome": "delivered"},
        {"outcome": "acknowledged", "reason": "rate_limited"},
    ],
)
def test_an_event_outside_the_contract_is_refused(database: Database, changes: dict[str, str | None]) -> None:
    assert _insert(database, **changes) == "23514"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(segment=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=45))
def test_the_database_and_the_program_agree_on_what_a_label_is(database: Database, segment: str) -> None:
    assert (_insert(database, segment=segment) is None) == is_label(segment)


def test_counts_are_unique_even_where_reason_and_segment_are_absent(database: Database) -> None:
    insert = text(
        "INSERT INTO ops.daily_counts (utc_day, touch, outcome, events)"
        " VALUES ('2026-11-01', 'first', 'delivered', 1)"
    )
    with database.engine.begin() as connection:
        connection.execute(insert)
    with pytest.raises(DBAPIError) as caught, database.engine.begin() as connection:
        connection.execute(insert)
    assert sqlstate_of(caught.value) == "23505"


def test_a_negative_count_is_refused(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught, database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO ops.daily_counts (utc_day, touch, outcome, events)"
                " VALUES ('2026-11-01', 'first', 'delivered', -1)"
            )
        )
    assert sqlstate_of(caught.value) == "23514"


def test_retention_reaches_every_table_of_days() -> None:
    of_days = {table for table in schema.metadata.sorted_tables if "utc_day" in table.c}
    assert of_days == set(results._OF_DAYS)
