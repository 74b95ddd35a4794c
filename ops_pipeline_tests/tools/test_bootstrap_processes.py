"""Bootstrap by several processes, and by one that is killed: each revision is applied once, and none by half."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import text

from ops_pipeline.store import migrate
from ops_pipeline.store.migrate import Applied, apply_migrations
from ops_pipeline.store.revisions import revisions
from ops_pipeline.store.schema import metadata
from ops_pipeline.store.verify import verify_tables
from ops_pipeline_tests.conftest import Database

NUMBER = len(revisions())
GATE = 4711
pytestmark = pytest.mark.slow

TABLES = {
    "0001": "delivery_events",
    "0002": "daily_counts",
    "0003": "hold_suppression_rates",
    "0004": "verdicts",
    "0005": "delivered_segments",
    "0006": "alert_addresses",
}


def _start(database: Database, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ops_pipeline.tools.db_bootstrap", *arguments],
        env={**os.environ, "OPS_POSTGRES_DSN": database.dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    assert err == ""
    return process.returncode, out.strip()


def _wait_for(database: Database, condition: str, count: int = 1) -> None:
    """Wait until so many sessions of the tool satisfy a condition on pg_stat_activity."""
    activity = "pg_stat_activity WHERE datname = current_database() AND application_name = 'ops_pipeline'"
    query = f"SELECT count(*) FROM {activity} AND pid <> pg_backend_pid() AND {condition}"  # noqa: S608
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for _ in range(1200):
            if connection.execute(query.encode()).fetchone() == (count,):
                return
            connection.execute("SELECT pg_sleep(0.05)")
    raise AssertionError("they do not come")


@contextmanager
def _held(database: Database, key: int) -> Iterator[None]:
    with psycopg.connect(database.dsn, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (key,))
        yield


def test_two_processes_at_once_both_succeed_and_apply_each_revision_once(empty_database: Database) -> None:
    with _held(empty_database, migrate._LOCK_KEY):
        processes = [_start(empty_database, "apply_migrations") for _ in range(2)]
        _wait_for(empty_database, "query LIKE '%pg_try_advisory_xact_lock%'", count=2)
    line = "db_bootstrap status=ok mode=apply_migrations applied={} skipped={}"
    assert sorted(map(_end, processes)) == sorted([(0, line.format(NUMBER, 0)), (0, line.format(0, NUMBER))])
    assert verify_tables(empty_database.engine).tables == len(metadata.tables)


def _gate(database: Database, event: str, table: str) -> None:
    """Let whoever creates this table wait for the gate, at the start or at the end of the statement."""
    wait = (
        f"IF current_query() LIKE '%CREATE TABLE ops.{table} %' THEN PERFORM pg_advisory_xact_lock({GATE}); END IF;"
    )
    function = f"CREATE FUNCTION public.gate() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN {wait} END $$"
    trigger = f"CREATE EVENT TRIGGER gate ON {event} WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.gate()"
    with database.engine.begin() as connection:
        connection.execute(text(function))
        connection.execute(text(trigger))


def _remove_gate(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("DROP EVENT TRIGGER gate"))
        connection.execute(text("DROP FUNCTION public.gate"))


def _applied(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        digests = set(connection.scalars(text("SELECT revision FROM ops.applied_revisions")))
        at = connection.scalar(text("SELECT max(version_num) FROM ops.alembic_version"))
    # The state's two tables say the same.
    assert max(digests, default=None) == at
    return digests


SOON, LATE = "ddl_command_start", "ddl_command_end"


@pytest.mark.parametrize(("revision", "event"), [(revision, event) for revision in TABLES for event in (SOON, LATE)])
def test_killed_within_any_revision_the_next_run_completes(
    empty_database: Database, revision: str, event: str
) -> None:
    _gate(empty_database, event, TABLES[revision])
    with _held(empty_database, GATE):
        process = _start(empty_database, "apply_migrations")
        _wait_for(empty_database, "wait_event = 'advisory' AND query LIKE '%CREATE TABLE%'")
        process.kill()
        process.communicate(timeout=60)
    # When the gate opens, the server notices that nobody is there, and rolls back what was begun.
    _wait_for(empty_database, "state <> 'idle'", count=0)
    _remove_gate(empty_database)
    before = int(revision) - 1
    if before:
        assert _applied(empty_database) == {f"{number:04}" for number in range(1, int(revision))}
    assert apply_migrations(empty_database.engine) == Applied(applied=NUMBER - before, skipped=before)
    assert verify_tables(empty_database.engine).tables == len(metadata.tables)


def test_killed_within_a_downgrade_the_next_one_completes(database: Database) -> None:
    with psycopg.connect(database.dsn) as reader:
        reader.execute("SELECT count(*) FROM ops.daily_counts")
        process = _start(database, "downgrade", "--to=base", "--yes")
        _wait_for(database, "wait_event_type = 'Lock' AND query LIKE '%DROP TABLE ops.daily_counts%'")
        process.kill()
        process.communicate(timeout=60)
    _wait_for(database, "state <> 'idle'", count=0)
    assert _applied(database) in ({"0001", "0002"}, {"0001"})
    code, line = _end(_start(database, "downgrade", "--to=base", "--yes"))
    assert (code, line.rpartition(" ")[0]) == (0, "db_bootstrap status=ok mode=downgrade revision=none")
    assert _applied(database) == set()
