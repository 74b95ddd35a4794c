"""Connections: any PostgreSQL DSN works, a bad one is named and never repeated."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError, reason_of, sqlstate_of
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.store import deadline
from ops_pipeline.store.deadline import deadline_of
from ops_pipeline.store.engine import dagster_url, engine_for, parse_dsn, reading, writing
from ops_pipeline.store.migrate import apply_migrations
from ops_pipeline.store.pool import close_all
from ops_pipeline.store.verify import verify_tables
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


HOSTILE = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Pacific/Kiritimati",
    "client_encoding": "LATIN1",
    "search_path": "nowhere",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "row_security": "off",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "2s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "2s",
}
"""What an administrator may have set for a role or a database, for good reasons of their own."""


@pytest.fixture
def hostile(database: Database) -> Iterator[Database]:
    """The same database for a role that has every setting another way."""
    with database.engine.begin() as connection:
        connection.execute(text("CREATE ROLE hostile LOGIN SUPERUSER"))
        for name, setting in HOSTILE.items():
            connection.execute(text(f"ALTER ROLE hostile SET {name} = '{setting}'"))
    dsn = database.dsn.replace("postgres@", "hostile@", 1)
    yield Database(dsn, engine_for(Name.OPS_POSTGRES_DSN, dsn))
    close_all()
    with database.engine.begin() as connection:
        connection.execute(text("DROP ROLE hostile"))


def test_settings_of_a_role_change_nothing(hostile: Database, database: Database) -> None:
    names = HOSTILE.keys() - {"default_transaction_isolation"}
    statement = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names) ORDER BY 1")
    shown = text("SELECT now()::date, interval '90 minutes', 'ä', 0.1::float8 + 0.2, E'\\\\x41'::bytea")
    found = []
    for one in (database, hostile):
        with reading(one.engine) as connection:
            settings = [tuple(row) for row in connection.execute(statement, {"names": list(names)})]
            found.append((settings, tuple(connection.execute(shown).one())))
    assert found[0] == found[1]
    with writing(hostile.engine) as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"
    assert verify_tables(hostile.engine) == verify_tables(database.engine)


def test_nothing_of_a_session_is_set_so_that_a_pooler_may_mix_transactions(database: Database) -> None:
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        with connection.begin():
            assert connection.scalar(text("SHOW statement_timeout")) == "30min"
        assert driver is not None
        for name, default in (("statement_timeout", "0"), ("lock_timeout", "0"), ("search_path", '"$user", public')):
            assert driver.execute(f"SHOW {name}").fetchone() == (default,)
        driver.rollback()
        for _ in range(20):
            connection.execute(text("SELECT CAST(:a AS int)"), {"a": 1})
        assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0


def test_a_server_that_falls_silent_is_given_up(database: Database) -> None:
    with (
        pytest.raises(DBAPIError) as caught,
        _silent(database.engine) as connection,
    ):
        connection.execute(text("SELECT 1"))
    assert reason_of(caught.value) is Reason.DB_CONNECTION_LOST
    # The next one gets a new connection.
    with reading(database.engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1


@contextlib.contextmanager
def _silent(engine: Engine) -> Iterator[Connection]:
    """Yield a connection whose server process is stopped, and which is given up after a moment."""
    with engine.connect() as connection, connection.begin():
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.answer_seconds = 0.3
        os.kill(pid, signal.SIGSTOP)
        try:
            yield connection
        finally:
            os.kill(pid, signal.SIGCONT)


def test_dagsters_storage_gives_a_silent_server_up_too(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "SILENCE_SECONDS", 0.3)
    connection = psycopg2.connect(database.dsn)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(psycopg2.OperationalError), deadline_of(connection, 0.2):
                cursor.execute("SELECT 1")
        finally:
            os.kill(pid, signal.SIGCONT)


def test_what_waits_for_a_lock_is_cancelled_and_the_connection_goes_on(database: Database) -> None:
    connection = psycopg2.connect(database.dsn)
    with database.engine.begin() as other, connection.cursor() as cursor:
        other.execute(text("LOCK TABLE ops.verdicts"))
        with pytest.raises(psycopg2.errors.QueryCanceled), deadline_of(connection, 0.2):
            cursor.execute("SELECT count(*) FROM ops.verdicts")
        connection.rollback()
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    connection.close()


def test_a_role_may_be_called_as_the_schema_is(empty_database: Database) -> None:
    with empty_database.engine.begin() as connection:
        connection.execute(text("CREATE ROLE ops LOGIN SUPERUSER"))
    engine = engine_for(Name.OPS_POSTGRES_DSN, empty_database.dsn.replace("postgres@", "ops@", 1))
    try:
        apply_migrations(engine)
        verify_tables(engine)
    finally:
        close_all()
        with empty_database.engine.begin() as connection:
            connection.execute(text("DROP OWNED BY ops CASCADE"))
            connection.execute(text("DROP ROLE ops"))
