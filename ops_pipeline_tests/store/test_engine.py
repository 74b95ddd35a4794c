"""Connections: any PostgreSQL DSN works, a bad one is named and never repeated."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError, reason_of, sqlstate_of
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.store.engine import dagster_url, engine_for, parse_dsn, reading
from ops_pipeline_tests.conftest import Database

SECRET = "s3cr3t"  # noqa: S105 - the canary


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_way_of_writing_the_scheme_works_for_both_drivers(scheme: str, database: Database) -> None:
    dsn = database.dsn.replace("postgresql", scheme, 1)
    with engine_for(Name.OPS_POSTGRES_DSN, dsn).connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    assert make_url(dagster_url(dsn)).drivername == "postgresql+psycopg2"


def test_a_password_with_every_awkward_character_reaches_both_drivers_unchanged() -> None:
    dsn = "postgresql://user:p%40%3A%2F%25%23w@db.example:5433/ops?sslmode=require"
    assert parse_dsn(Name.OPS_POSTGRES_DSN, dsn)["password"] == "p@:/%#w"  # noqa: S105
    url = make_url(dagster_url(dsn))
    _, parameters = create_engine(url).dialect.create_connect_args(url)
    assert (parameters["password"], parameters["port"], parameters["sslmode"]) == ("p@:/%#w", "5433", "require")


def test_a_dsn_that_cannot_work_is_named_by_its_variable_and_not_repeated() -> None:
    for dsn in (
        SECRET,
        f"mysql://ops:{SECRET}@db/ops",
        f"postgresql://ops:{SECRET}@db:x/ops",
        f"'postgresql://{SECRET}'",
    ):
        for use in (lambda dsn=dsn: engine_for(Name.OPS_EVENTS_DSN, dsn), lambda dsn=dsn: dagster_url(dsn)):
            with pytest.raises(OpsError) as caught:
                use()
            assert caught.value.reason is Reason.INVALID_ENV
            assert SECRET not in repr(caught.value) + repr(caught.value.fields) + str(caught.value.__cause__)
            assert caught.value.__context__ is None


@given(st.text(max_size=60))
def test_no_text_at_all_makes_the_parser_raise_anything_else(dsn: str) -> None:
    with contextlib.suppress(OpsError):
        parse_dsn(Name.OPS_POSTGRES_DSN, f"postgresql://{dsn}")


def test_a_reading_connection_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught, reading(database.engine) as connection:
        connection.execute(text("DELETE FROM ops.daily_counts"))
    assert sqlstate_of(caught.value) == "25006"


def test_nobody_listening_is_a_failed_connection() -> None:
    engine = engine_for(Name.OPS_POSTGRES_DSN, f"postgresql://user:{SECRET}@127.0.0.1:1/ops")
    with pytest.raises(DBAPIError) as caught:
        engine.connect()
    assert reason_of(caught.value) is Reason.DB_CONNECT_FAILED
