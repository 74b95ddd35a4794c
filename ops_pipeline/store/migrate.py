"""Bootstrap: bring the ops database to the newest revision, safely, from as many places at once as like.

Alembic does the work; here are the lock, the limits and the words.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.schema import CreateTable

from ops_pipeline.contract.errors import OpsError, sqlstate_of, to_ops_error
from ops_pipeline.contract.files import package_path
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import RevisionId, SqlState
from ops_pipeline.store.compare import is_identical, missing_tables
from ops_pipeline.store.engine import limit, reading, writing
from ops_pipeline.store.limits import LOCK_WAIT_SECONDS
from ops_pipeline.store.partitions import ensure_partitions, partition_days, partition_statements
from ops_pipeline.store.revision_state import RevisionState, read_revision_state, record_statement
from ops_pipeline.store.revisions import Direction, Revision, revisions, silence
from ops_pipeline.store.schema import SCHEMA, VERSION_TABLE, applied_revisions

BASE = "base"
"""What a database is downgraded to that shall have no revision left."""

# Any fixed number: it only has to differ from the locks of other programs in the same database.
_LOCK_KEY = 0x6F70735F70697065
_POLL_SECONDS = 0.1
_LOCK_SECONDS, _STATEMENT_SECONDS = 10.0, 15 * 60
# SQLSTATE internal_error: the revision failed without the database having refused anything.
_NO_SQLSTATE = "XX000"
# A role without the right, or a server that has gone, is no fault of the revision.
_NOT_THE_REVISION = (Reason.NO_PRIVILEGE, Reason.DB_CONNECTION_LOST)


@dataclass(frozen=True, slots=True)
class Applied:
    """How many revisions a bootstrap applied, and how many were there already."""

    applied: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a bootstrap would do."""

    current: RevisionId | None
    """The revision that the database is at."""
    pending: tuple[RevisionId, ...]
    partitions: int
    """How many event partitions would be made."""
    sql: str
    """The same as statements; run by hand, they leave the database as the bootstrap would."""


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration: the shipped revisions, an open connection, no ini file and no URL."""
    config = Config(stdout=io.StringIO())
    # Alembic keeps its options in a ConfigParser, for which a per cent sign starts an interpolation.
    config.set_main_option("script_location", str(package_path("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def apply_migrations(engine: Engine, *, lock_wait_seconds: float = LOCK_WAIT_SECONDS) -> Applied:
    """Apply every pending revision, each in a transaction of its own, and make the event partitions ahead.

    A database that has exactly our tables but no state, such as a restored one, is adopted. Raises OpsError
    `lock_timeout` where another bootstrap runs for longer than `lock_wait_seconds`, `unknown_revision` for a
    database newer than this version, `migration_edited` where the file of an applied revision was changed,
    `migration_failed` naming the revision, and `missing_tables` where a table of an applied one was dropped since.
    """
    known = revisions()
    with _bootstrap_lock(engine, lock_wait_seconds), _limited(engine) as connection:
        before = _checked_state(connection, known)
        if not before.applied and is_identical(connection):
            _run(connection, known, lambda config: command.stamp(config, "head"))
            before = _checked_state(connection, known)
        _record(connection, known, before)
        _run(connection, known, lambda config: command.upgrade(config, "head"))
        after = _checked_state(connection, known)
    with writing(engine) as connection:
        if missing := missing_tables(connection):
            raise OpsError(Reason.MISSING_TABLES, tables=missing)
        ensure_partitions(connection, partition_days())
    return Applied(applied=after.applied - before.applied, skipped=before.applied)


def downgrade(engine: Engine, to: str, *, lock_wait_seconds: float = LOCK_WAIT_SECONDS) -> int:
    """Undo the revisions after `to` (an id, or `BASE`), the newest first, and return how many.

    Raises OpsError `invalid_target` where the database is not at `to` or after it, and as `apply_migrations` does.
    """
    known = revisions()
    ids: list[str] = [BASE, *(revision.revision_id for revision in known)]
    with _bootstrap_lock(engine, lock_wait_seconds), _limited(engine) as connection:
        before = _checked_state(connection, known)
        if to not in ids[: before.applied + 1]:
            raise OpsError(Reason.INVALID_TARGET)
        undone = before.applied - ids.index(to)
        if undone:
            _run(connection, known, lambda config: command.downgrade(config, to), is_upgrade=False)
    return undone


def plan(engine: Engine) -> Plan:
    """Return what `apply_migrations` would do now; changes nothing.

    Raises OpsError as it does, or `revision_not_offline`.
    """
    known = revisions()
    with reading(engine) as connection:
        state = _checked_state(connection, known)
        is_adopted = not state.applied and is_identical(connection)
        has_tables = state.applied or is_adopted
        partitions = partition_statements(connection if has_tables else None, partition_days())
    position = len(known) if is_adopted else state.applied
    applied, pending = known[:position], known[position:]
    current = applied[-1].revision_id if applied else None
    script = io.StringIO()
    script.write(f"SET lock_timeout = '{_LOCK_SECONDS:.0f}s';\nSET statement_timeout = '{_STATEMENT_SECONDS}s';\n\n")
    for one in pending:
        # Says which it is that needs a database.
        one.sql(Direction.UPGRADE)
    if pending or is_adopted:
        script.write(_alembic_sql(None if is_adopted else current, command.stamp if is_adopted else command.upgrade))
    unrecorded = [one for one in applied if is_adopted or one.revision_id in state.unrecorded]
    if unrecorded:
        create = CreateTable(applied_revisions, if_not_exists=True).compile(dialect=engine.dialect)
        script.writelines(f"{statement};\n\n" for statement in (create, *map(record_statement, unrecorded)))
    script.writelines(f"{statement};\n" for statement in partitions)
    return Plan(
        current=current,
        pending=tuple(revision.revision_id for revision in pending),
        partitions=len(partitions),
        sql=script.getvalue(),
    )


def _alembic_sql(current: RevisionId | None, act: Callable[..., object]) -> str:
    config = alembic_config()
    config.output_buffer = script = io.StringIO()
    with silence():
        act(config, f"{current}:head" if current else "head", sql=True)
    # It is there, and empty, where every revision was undone.
    table = f"{SCHEMA}.{VERSION_TABLE}"
    return script.getvalue().replace(f"CREATE TABLE {table} (", f"CREATE TABLE IF NOT EXISTS {table} (")


def _checked_state(connection: Connection, known: list[Revision]) -> RevisionState:
    state = read_revision_state(connection, known)
    if state.edited:
        raise OpsError(Reason.MIGRATION_EDITED, revision=state.edited[0])
    return state


def _record(connection: Connection, known: list[Revision], state: RevisionState) -> None:
    """Keep the digests of revisions that were applied without one."""
    rows = [
        {"revision": one.revision_id, "digest": one.digest} for one in known if one.revision_id in state.unrecorded
    ]
    if rows:
        applied_revisions.create(connection, checkfirst=True)
        connection.execute(insert(applied_revisions), rows)
        connection.commit()


def _run(
    connection: Connection, known: list[Revision], act: Callable[[Config], None], *, is_upgrade: bool = True
) -> None:
    connection.rollback()
    try:
        with silence():
            act(alembic_config(connection))
        connection.commit()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a revision can raise anything
        failure, state = to_ops_error(error), sqlstate_of(error) or _NO_SQLSTATE
    else:
        return
    connection.rollback()
    if failure.reason in _NOT_THE_REVISION:
        raise failure
    applied = read_revision_state(connection, known).applied
    # The first that is not there yet, or of those to be undone the newest that still is.
    position = applied if is_upgrade else applied - 1
    if not 0 <= position < len(known):
        raise failure
    raise OpsError(Reason.MIGRATION_FAILED, revision=known[position].revision_id, sqlstate=SqlState(state))


@contextmanager
def _limited(engine: Engine) -> Iterator[Connection]:
    """Yield a connection on which nothing waits for ever."""
    with engine.connect() as connection:
        limit(connection, lock_seconds=_LOCK_SECONDS, statement_seconds=_STATEMENT_SECONDS)
        yield connection


@contextmanager
def _bootstrap_lock(engine: Engine, wait_seconds: float) -> Iterator[None]:
    """Hold the advisory lock in a transaction of its own, so that the end of no other one releases it.

    A pooler keeps a connection for as long as its transaction is open: a session's lock would outlive this.
    """
    with writing(engine) as connection:
        deadline = time.monotonic() + wait_seconds
        while not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK_KEY}):
            if time.monotonic() >= deadline:
                raise OpsError(Reason.LOCK_TIMEOUT)
            time.sleep(_POLL_SECONDS)
        yield
