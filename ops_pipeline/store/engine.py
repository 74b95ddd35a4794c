"""Connections to PostgreSQL, made so that nothing of a DSN can reach an error's text.

Nothing of a session is ever set: settings are a transaction's own, so that a pooler may give each transaction another
connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, TextClause, event, text

from ops_pipeline.contract.environment import Name, required_value, value
from ops_pipeline.contract.errors import keep_dsn_name
from ops_pipeline.store.cancel import cancel_when_abandoned
from ops_pipeline.store.deadline import DeadlineConnection
from ops_pipeline.store.dsn import parse_dsn
from ops_pipeline.store.limits import (
    CONNECT_TIMEOUT_SECONDS,
    IDLE_SECONDS,
    KEEPALIVE,
    LOCK_SECONDS,
    SILENCE_SECONDS,
    STATEMENT_SECONDS,
)
from ops_pipeline.store.pool import pooled_engine

_engines: dict[tuple[Name, str, int], Engine] = {}

_PINNED = {
    # An administrator may have set anything for a role or database, and what is read or written would depend on it.
    "bytea_output": "hex",
    "DateStyle": "ISO, YMD",
    "extra_float_digits": "1",
    "IntervalStyle": "postgres",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
}
_PIN = (
    "SELECT set_config('lock_timeout', :lock, true), set_config('statement_timeout', :statement, true), "
    + ", ".join(f"set_config('{name}', '{setting}', true)" for name, setting in _PINNED.items())
    # Older servers do not know it.
    + ", CASE WHEN current_setting('transaction_timeout', true) <> '0'"
    + " THEN set_config('transaction_timeout', '0', true) END"
    # A statement whose process was killed ends soon, and gives its locks back; not every system can tell.
    + ", CASE WHEN version() LIKE '%linux%' THEN set_config('client_connection_check_interval', '10s', true) END"
)
_SCHEMA = "public"
"""Where what is named without a schema is looked for."""
_SEARCH_PATH = f", set_config('search_path', '{_SCHEMA}', true)"
_LIMITS = "ops_limits"
"""The execution option that holds a connection's limits."""


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
        query={"connect_timeout": str(CONNECT_TIMEOUT_SECONDS), **KEEPALIVE, **parameters},
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
    parameters: dict[str, str] = {
        "connect_timeout": str(connect_seconds),
        "application_name": "ops_pipeline",
        **KEEPALIVE,
        **parse_dsn(name, dsn),
        "client_encoding": "utf8",
    }
    engine = pooled_engine(
        "postgresql+psycopg://",
        # A pooler may give the next transaction a server connection that does not know a prepared statement.
        creator=lambda: DeadlineConnection.connect(**parameters, prepare_threshold=None),  # type: ignore[arg-type]
        # A snapshot that is older than the lock it waited for would overlook what was written meanwhile.
        isolation_level="READ COMMITTED",
        use_native_hstore=False,
    )
    cancel_when_abandoned(engine)
    event.listen(engine, "handle_error", lambda context: keep_dsn_name(context.original_exception, name))
    # Which schema is Dagster's, its DSN or its role says.
    has_own_path = name is Name.DAGSTER_POSTGRES_DSN
    pin = text(_PIN if has_own_path else _PIN + _SEARCH_PATH)
    event.listen(engine, "begin", lambda connection: _pin(connection, pin))
    if not has_own_path:
        # SQLAlchemy has asked before anything was pinned: for a role that is called as our schema is, that is ours.
        event.listen(engine, "connect", lambda *_: setattr(engine.dialect, "default_schema_name", _SCHEMA))
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
    with engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    ) as connection:
        if limit_seconds is not None:
            # The shorter of the two, so that a wait for a lock is called one.
            limit(connection, lock_seconds=limit_seconds * 0.9, statement_seconds=limit_seconds)
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine, *, has_limits: bool = True) -> Iterator[Connection]:
    """Yield a connection in one transaction, committed as a whole at the end and not at all on failure.

    Without limits every statement takes as long as it takes, waiting for locks too.
    """
    with engine.connect() as connection:
        if not has_limits:
            limit(connection, lock_seconds=None, statement_seconds=None)
        with connection.begin():
            yield connection


def limit(connection: Connection, *, lock_seconds: float | None, statement_seconds: float | None) -> None:
    """Let no statement of its next transactions wait longer for a lock, or take longer, than so; None: no limit."""
    connection.execution_options(**{_LIMITS: (lock_seconds, statement_seconds)})


def _pin(connection: Connection, statement: TextClause) -> None:
    lock, seconds = connection.get_execution_options().get(_LIMITS, (LOCK_SECONDS, STATEMENT_SECONDS))
    driver = connection.connection.driver_connection
    if isinstance(driver, DeadlineConnection):
        driver.answer_seconds = None if seconds is None else seconds + SILENCE_SECONDS
    connection.execute(statement, {"lock": _setting(lock), "statement": _setting(seconds)})


def _setting(seconds: float | None) -> str:
    """Return how PostgreSQL says a limit; 0 is none."""
    return "0" if seconds is None else f"{max(1, round(seconds * 1000))}ms"
