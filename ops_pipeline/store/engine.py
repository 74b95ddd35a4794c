"""Connections to PostgreSQL, made so that nothing of a DSN can reach an error's text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from ops_pipeline.contract.environment import Name, is_plausible_dsn, required_value, value
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason

CONNECT_TIMEOUT_SECONDS = 10
LOCK_TIMEOUT = "60s"
STATEMENT_TIMEOUT = "30min"


def parse_dsn(name: Name, dsn: str) -> dict[str, str]:
    """Return the libpq parameters of `dsn`. Raises OpsError `invalid_env` naming the variable `name`."""
    if is_plausible_dsn(dsn):
        parts = urlsplit(dsn)
        plain = urlunsplit(parts._replace(scheme=parts.scheme.partition("+")[0]))
        try:
            return {key: str(found) for key, found in conninfo_to_dict(plain).items() if found not in (None, "")}
        except psycopg.Error:
            pass
    raise OpsError(Reason.INVALID_ENV, invalid=(name,))


def dagster_url(dsn: str) -> str:
    """Return `dsn` as Dagster's storage needs it: SQLAlchemy's URL for the driver psycopg2.

    SQLAlchemy 2.1 reads a bare `postgresql://` as psycopg 3, with which Dagster's event log cannot work.
    """
    parameters = parse_dsn(Name.DAGSTER_POSTGRES_DSN, dsn)
    url = URL.create(
        "postgresql+psycopg2",
        username=parameters.pop("user", None),
        password=parameters.pop("password", None),
        database=parameters.pop("dbname"),
        query={"connect_timeout": str(CONNECT_TIMEOUT_SECONDS), **parameters},
    )
    return url.render_as_string(hide_password=False)


def engine_for(name: Name, dsn: str) -> Engine:
    """Return an engine without a pool for the DSN that the variable `name` holds. Raises OpsError `invalid_env`."""
    parameters = {
        "connect_timeout": str(CONNECT_TIMEOUT_SECONDS),
        "application_name": "ops_pipeline",
        **parse_dsn(name, dsn),
    }
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(**parameters),  # type: ignore[arg-type]
        poolclass=NullPool,
        hide_parameters=True,
    )


def ops_engine(environ: Mapping[str, str] = os.environ) -> Engine:
    """Return the engine of the ops database. Raises OpsError `missing_env` or `invalid_env`."""
    return engine_for(Name.OPS_POSTGRES_DSN, required_value(Name.OPS_POSTGRES_DSN, environ))


def events_engine(environ: Mapping[str, str] = os.environ) -> Engine:
    """Return the engine of the database that holds the events: the ops database unless OPS_EVENTS_DSN is set."""
    dsn = value(Name.OPS_EVENTS_DSN, environ)
    return engine_for(Name.OPS_EVENTS_DSN, dsn) if dsn else ops_engine(environ)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in one read-only transaction that sees one state of the database."""
    with (
        engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection,
        connection.begin(),
    ):
        _bound(connection)
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in one transaction, committed as a whole at the end and not at all on failure."""
    with engine.begin() as connection:
        _bound(connection)
        yield connection


def _bound(connection: Connection) -> None:
    connection.execute(
        text(
            "SELECT set_config('lock_timeout', :lock, true), set_config('statement_timeout', :statement, true),"
            " set_config('timezone', 'UTC', true)"
        ),
        {"lock": LOCK_TIMEOUT, "statement": STATEMENT_TIMEOUT},
    )
