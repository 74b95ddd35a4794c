"""Bootstrap: bring the ops database to the newest revision, safely, from as many places at once as like.

Alembic does the work; here are the lock, the limits and the words.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, text

from ops_pipeline.contract.days import each_day
from ops_pipeline.contract.errors import OpsError, as_declared, sqlstate_of
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.shipped import shipped
from ops_pipeline.contract.vocabulary import SqlState
from ops_pipeline.store.engine import writing
from ops_pipeline.store.partitions import ensure_partitions
from ops_pipeline.store.schema import SCHEMA, VERSION_TABLE

# Any fixed number: it only has to differ from the locks of other programs in the same database.
_LOCK_KEY = 0x6F70735F70697065
_POLL_SECONDS = 0.1
# SQLSTATE internal_error: the revision failed without the database having refused anything.
_NO_SQLSTATE = "XX000"
LOCK_WAIT_SECONDS = 60.0
PARTITIONS_AHEAD_DAYS = 30


@dataclass(frozen=True, slots=True)
class Applied:
    """How many revisions a bootstrap applied, and how many were there already."""

    applied: int
    skipped: int


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration: the shipped revisions, an open connection, no ini file and no URL."""
    config = Config(stdout=io.StringIO())
    # Alembic keeps its options in a ConfigParser, for which a per cent sign starts an interpolation.
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def revisions() -> list[Script]:
    """Return the shipped revisions from the first to the newest.

    Raises OpsError `revision_invalid`, `no_revisions` or `revisions_not_linear`.
    """
    found = _load_revisions()
    if not found:
        raise OpsError(Reason.NO_REVISIONS)
    return found


def _load_revisions() -> list[Script]:
    reason = Reason.REVISIONS_NOT_LINEAR
    try:
        directory = ScriptDirectory.from_config(alembic_config())
        if len(directory.get_heads()) <= 1:
            return list(directory.walk_revisions())[::-1]
    except Exception:  # noqa: BLE001 - a revision file can raise anything
        reason = Reason.REVISION_INVALID
    raise OpsError(reason)


def dry_run() -> int:
    """Return how many revisions there are, having compiled each to SQL in both directions without a database.

    Raises OpsError as `revisions` does, and `revision_invalid` for one that does not compile.
    """
    found = revisions()
    span = f"{found[-1].revision}:{found[0].revision}"
    is_valid = True
    with redirect_stdout(io.StringIO()):
        try:
            config = alembic_config()
            config.output_buffer = io.StringIO()
            command.upgrade(config, "head", sql=True)
            command.downgrade(config, span, sql=True)
        except Exception:  # noqa: BLE001 - a revision file can raise anything
            is_valid = False
    if not is_valid:
        raise OpsError(Reason.REVISION_INVALID)
    return len(found)


def current_revision(connection: Connection) -> str | None:
    """Return the revision that the database is at, or None before the first."""
    options = {"version_table": VERSION_TABLE, "version_table_schema": SCHEMA}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def apply_migrations(engine: Engine, *, lock_wait_seconds: float = LOCK_WAIT_SECONDS) -> Applied:
    """Apply every pending revision, each in a transaction of its own, and make the event partitions ahead.

    Raises OpsError `lock_timeout` where another bootstrap runs for longer than `lock_wait_seconds`,
    `unknown_revision` for a database newer than this version, and `migration_failed` naming the revision.
    """
    names = [script.revision for script in revisions()]
    with _bootstrap_lock(engine, lock_wait_seconds), engine.connect() as connection:
        before = _position(connection, names)
        _migrate(connection, names)
        connection.commit()
        after = _position(connection, names)
    today = datetime.now(UTC).date()
    with writing(engine) as connection:
        ensure_partitions(connection, each_day(today, today + timedelta(days=PARTITIONS_AHEAD_DAYS)))
    return Applied(applied=after - before, skipped=before)


def downgrade(engine: Engine, *, lock_wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
    """Undo every revision, the newest first. Raises OpsError as `apply_migrations` does."""
    with _bootstrap_lock(engine, lock_wait_seconds), engine.connect() as connection:
        _set_limits(connection)
        command.downgrade(alembic_config(connection), "base")
        connection.commit()


def _position(connection: Connection, names: list[str]) -> int:
    """Return how many of the revisions `names` the database has."""
    current = current_revision(connection)
    connection.rollback()
    if current is not None and current not in names:
        raise OpsError(Reason.UNKNOWN_REVISION)
    return 0 if current is None else names.index(current) + 1


def _set_limits(connection: Connection) -> None:
    # After the advisory lock, so that waiting for another bootstrap is not cut short by them.
    connection.execute(text("SELECT set_config('lock_timeout', '10s', false)"))
    connection.execute(text("SELECT set_config('statement_timeout', '15min', false)"))
    connection.commit()


def _migrate(connection: Connection, names: list[str]) -> None:
    _set_limits(connection)
    try:
        command.upgrade(alembic_config(connection), "head")
    except Exception as error:  # noqa: BLE001 - a revision can raise anything
        failure, state = as_declared(error), sqlstate_of(error) or _NO_SQLSTATE
    else:
        return
    connection.rollback()
    position = _position(connection, names)
    # A role without the right, or a server that has gone, is no fault of the revision.
    if position == len(names) or failure.reason in (Reason.NO_PRIVILEGE, Reason.DB_CONNECTION_LOST):
        raise failure
    raise OpsError(Reason.MIGRATION_FAILED, revision=int(names[position]), sqlstate=SqlState(state))


@contextmanager
def _bootstrap_lock(engine: Engine, wait_seconds: float) -> Iterator[None]:
    """Hold the session-level advisory lock, on a connection of its own, so that a rollback cannot release it."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        deadline = time.monotonic() + wait_seconds
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK_KEY}):
            if time.monotonic() >= deadline:
                raise OpsError(Reason.LOCK_TIMEOUT)
            time.sleep(_POLL_SECONDS)
        yield
