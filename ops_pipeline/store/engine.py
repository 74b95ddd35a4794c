"""Connections to PostgreSQL, made so that nothing of a DSN can reach an error's text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import URL, Connection, Engine, event, text

from ops_pipeline.contract.environment import Name, required_value, value
from ops_pipeline.contract.errors import keep_dsn_name
from ops_pipeline.store.dsn import parse_dsn
from ops_pipeline.store.limits import CONNECT_TIMEOUT_SECONDS, LOCK_TIMEOUT, STATEMENT_TIMEOUT
from ops_pipeline.store.pool import pooled_engine

_engines: dict[tuple[Name, str, int], Engine] = {}


def dagster_url(dsn: str) -> str:
    """Return `dsn` as Dagster's storage needs it: SQLAlchemy's URL for the driver psycopg2.

    SQLAlchemy 2.1 reads a bare `postgresql://` as psycopg 3, with which Dagster's event log cannot work.
    """
    parameters = parse_dsn(Name.DAGSTER_POSTGRES_DSN, dsn)
    url = URL.create(
        "postgresql+psycopg2",
        username=parameters.pop("user", None),
        password=parameters.pop("password", None),
        database=parameters.pop("dbname", None),
        query={"connect_timeout": str(CONNECT_TIMEOUT_SECONDS), **parameters},
    )
    return url.render_as_string(hide_password=False)


def engine_for(name: Name, dsn: str, *, connect_seconds: int = CONNECT_TIMEOUT_SECONDS) -> Engine:
    """Return the engine for the DSN that the variable `name` holds: the same one each time.

    Raises OpsError `invalid_env`.
    """
    key = (name, dsn, connect_seconds)
    if key not in _engines:
        _engines[key] = _new_engine(name, dsn, connect_seconds)
    return _engines[key]


def _new_engine(name: Name, dsn: str, connect_seconds: int) -> Engine:
    parameters = {
        "connect_timeout": str(connect_seconds),
        "application_name": "ops_pipeline",
        **parse_dsn(name, dsn),
    }
    engine = pooled_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(**parameters),  # type: ignore[arg-type]
    )
    event.listen(engine, "handle_error", lambda context: keep_dsn_name(context.original_exception, name))
    return engine


def engine_of(name: Name, *, connect_seconds: int = CONNECT_TIMEOUT_SECONDS) -> Engine:
    """Return the engine of the database that `name` holds. Raises OpsError `missing_env` or `invalid_env`."""
    return engine_for(name, required_value(name), connect_seconds=connect_seconds)


def ops_engine() -> Engine:
    """Return the engine of the ops database. Raises OpsError `missing_env` or `invalid_env`."""
    return engine_of(Name.OPS_POSTGRES_DSN)


def events_name() -> Name:
    """Return the variable that says where the events are: the ops database unless OPS_EVENTS_DSN is set."""
    return Name.OPS_EVENTS_DSN if value(Name.OPS_EVENTS_DSN) else Name.OPS_POSTGRES_DSN


def events_engine() -> Engine:
    """Return the engine of the database that holds the events. Raises OpsError `missing_env` or `invalid_env`."""
    return engine_of(events_name())


@contextmanager
def reading(engine: Engine, *, limit_seconds: float | None = None) -> Iterator[Connection]:
    """Yield a connection in one read-only transaction that sees one state of the database.

    No statement and no wait for a lock takes longer than `limit_seconds`.
    """
    with (
        engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection,
        connection.begin(),
    ):
        if limit_seconds is None:
            _bound(connection)
        else:
            milliseconds = max(2, round(limit_seconds * 1000))
            # The shorter of the two, so that a wait for a lock is called one.
            _bound(connection, lock=f"{milliseconds * 9 // 10}ms", statement=f"{milliseconds}ms")
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in one transaction, committed as a whole at the end and not at all on failure."""
    with engine.begin() as connection:
        _bound(connection)
        yield connection


def _bound(connection: Connection, lock: str = LOCK_TIMEOUT, statement: str = STATEMENT_TIMEOUT) -> None:
    connection.execute(
        text(
            "SELECT set_config('lock_timeout', :lock, true), set_config('statement_timeout', :statement, true),"
            " set_config('timezone', 'UTC', true)"
        ),
        {"lock": lock, "statement": statement},
    )
