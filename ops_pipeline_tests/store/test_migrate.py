"""Bootstrap: what `db_bootstrap` promises about the ops database."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError, reason_of
from ops_pipeline.contract.files import package_path
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.events.verify import verify_deployment
from ops_pipeline.store import migrate, partitions, revisions
from ops_pipeline.store.engine import engine_for
from ops_pipeline.store.migrate import BASE, Applied, Plan, apply_migrations, downgrade, plan
from ops_pipeline.store.verify import verify_tables
from ops_pipeline_tests.conftest import REVISIONS, Database

NEXT = f"{int(REVISIONS[-1]) + 1:04}"


def _tables(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        return set(connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'ops'")))


def _digests(database: Database) -> dict[str, bytes]:
    with database.engine.connect() as connection:
        return {
            revision: bytes(digest)
            for revision, digest in connection.execute(text("SELECT revision, digest FROM ops.applied_revisions"))
        }


def _everything(database: Database) -> list[tuple[object, ...]]:
    """Return the catalog of schema ops, the state included."""
    query = """
        SELECT c.relname, a.attname, a.atttypid::regtype::text, a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE n.nspname = 'ops' ORDER BY 1, 2
    """
    with database.engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
        if connection.scalar(text("SELECT to_regclass('ops.alembic_version') IS NOT NULL")):
            found += [tuple(row) for row in connection.execute(text("SELECT version_num FROM ops.alembic_version"))]
    return found


def _refused(work: Callable[[], object], reason: Reason, **fields: object) -> None:
    with pytest.raises(OpsError) as caught:
        work()
    assert (caught.value.reason, caught.value.fields) == (reason, fields)
    # Nothing of what the database said travels along.
    assert (str(caught.value), caught.value.__cause__, caught.value.__context__) == (reason, None, None)


def _execute(database: Database, *statements: str) -> None:
    with database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


# Up


def test_an_empty_database_gets_every_revision_and_a_second_run_changes_nothing(empty_database: Database) -> None:
    assert apply_migrations(empty_database.engine) == Applied(applied=len(REVISIONS), skipped=0)
    before = _everything(empty_database)
    assert apply_migrations(empty_database.engine) == Applied(applied=0, skipped=len(REVISIONS))
    assert _everything(empty_database) == before


def test_the_revision_table_is_our_own_so_that_dagsters_can_live_in_the_same_database(database: Database) -> None:
    with database.engine.connect() as connection:
        where = connection.scalars(text("SELECT schemaname FROM pg_tables WHERE tablename = 'alembic_version'")).all()
    assert where == ["ops"]


def test_partitions_are_made_three_months_ahead(database: Database) -> None:
    last = (datetime.now(UTC) + timedelta(days=partitions.PARTITIONS_AHEAD_DAYS)).date()
    assert f"delivery_events_{last:%Y%m%d}" in _tables(database)


def test_two_bootstraps_at_once_both_succeed_and_apply_each_revision_once(empty_database: Database) -> None:
    done: list[Applied] = []
    barrier = threading.Barrier(2)

    def bootstrap() -> None:
        barrier.wait()
        done.append(apply_migrations(empty_database.engine))

    threads = [threading.Thread(target=bootstrap) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.applied for one in done) == [0, len(REVISIONS)]


def test_waiting_for_another_bootstrap_is_bounded(database: Database) -> None:
    with migrate._bootstrap_lock(database.engine, 0):
        _refused(lambda: apply_migrations(database.engine, lock_wait_seconds=0), Reason.LOCK_TIMEOUT)
        _refused(lambda: downgrade(database.engine, BASE, lock_wait_seconds=0), Reason.LOCK_TIMEOUT)


def test_a_reader_that_holds_a_lock_cannot_hold_up_a_revision_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_LOCK_SECONDS", 0.05)
    with database.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM ops.day_faults"))
        _refused(
            lambda: downgrade(database.engine, REVISIONS[-2]),
            Reason.MIGRATION_FAILED,
            revision=REVISIONS[-1],
            sqlstate="55P03",
        )
    assert "day_faults" in _tables(database)


def test_a_reader_cannot_hold_up_an_upgrade_for_ever_either(
    database: Database, edited: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_LOCK_SECONDS", 0.05)
    _add_revision(edited, "op.execute('ALTER TABLE ops.verdicts ADD COLUMN a text')")
    with database.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM ops.verdicts"))
        _refused(lambda: apply_migrations(database.engine), Reason.MIGRATION_FAILED, revision=NEXT, sqlstate="55P03")
    assert apply_migrations(database.engine) == Applied(applied=1, skipped=len(REVISIONS))


@pytest.mark.parametrize("table", ["alembic_version", "applied_revisions"])
@pytest.mark.parametrize("use", [apply_migrations, lambda engine: downgrade(engine, BASE)])
def test_nor_can_somebody_who_locks_the_ledger(
    database: Database, monkeypatch: pytest.MonkeyPatch, table: str, use: Callable[[Engine], object]
) -> None:
    monkeypatch.setattr(migrate, "_LOCK_SECONDS", 0.05)
    with database.engine.connect() as other:
        other.execute(text(f"LOCK ops.{table} IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DBAPIError) as caught:
            use(database.engine)
    assert reason_of(caught.value) is Reason.LOCK_TIMEOUT
    assert verify_tables(database.engine).revision == REVISIONS[-1]


def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    _execute(database, "UPDATE ops.alembic_version SET version_num = '9999'")
    before = _everything(database)
    for use in (apply_migrations, verify_tables, plan, lambda engine: downgrade(engine, BASE)):
        _refused(lambda use=use: use(database.engine), Reason.UNKNOWN_REVISION)  # type: ignore[misc]
    assert _everything(database) == before


def test_a_failing_revision_is_named_with_its_sqlstate_and_those_before_it_stay(empty_database: Database) -> None:
    _execute(empty_database, "CREATE SCHEMA ops", "CREATE TABLE ops.hold_suppression_rates (in_the_way text)")
    _refused(
        lambda: apply_migrations(empty_database.engine), Reason.MIGRATION_FAILED, revision="0003", sqlstate="42P07"
    )
    assert {"daily_counts", "delivery_events"} <= _tables(empty_database)
    # The revision that failed left nothing of itself behind, its digest included.
    assert "delivered_totals" not in _tables(empty_database)
    assert set(_digests(empty_database)) == {"0001", "0002"}
    _execute(empty_database, "DROP TABLE ops.hold_suppression_rates")
    assert apply_migrations(empty_database.engine) == Applied(applied=len(REVISIONS) - 2, skipped=2)


@pytest.mark.parametrize("dropped", ["verdicts", "delivery_events"])
def test_a_table_that_was_dropped_is_not_called_applied(dropped: str, database: Database) -> None:
    _execute(database, f"DROP TABLE ops.{dropped}")
    _refused(lambda: apply_migrations(database.engine), Reason.MISSING_TABLES, tables=(Label(dropped),))


@pytest.mark.parametrize(
    ("body", "sqlstate"),
    [
        ("raise ValueError('s3cr3t')", "XX000"),
        ("import sys; sys.exit('s3cr3t')", "XX000"),
        ("op.execute('SELECT s3cr3t')", "42703"),
        ("op.execute(\"SELECT 's3cr3t'::integer\")", "22P02"),
    ],
)
def test_nothing_of_what_a_revision_says_is_repeated(
    database: Database, edited: Path, capfd: pytest.CaptureFixture[str], body: str, sqlstate: str
) -> None:
    loud = "import sys; print('s3cr3t'); print('s3cr3t', file=sys.stderr)"
    _add_revision(edited, f"{loud}\n    op.execute('CREATE TABLE ops.half (a text)')\n    {body}")
    _refused(lambda: apply_migrations(database.engine), Reason.MIGRATION_FAILED, revision=NEXT, sqlstate=sqlstate)
    assert capfd.readouterr() == ("", "")
    assert "half" not in _tables(database)


def test_a_role_without_the_right_is_told_so_and_one_that_owns_the_schema_needs_no_more(
    database: Database, empty_database: Database
) -> None:
    _execute(database, "DROP ROLE IF EXISTS owns_ops", "CREATE ROLE owns_ops LOGIN")

    def as_role(one: Database) -> Engine:
        return engine_for(Name.OPS_POSTGRES_DSN, one.dsn.replace("postgres@", "owns_ops@"))

    _refused(lambda: apply_migrations(as_role(empty_database)), Reason.NO_PRIVILEGE)
    _execute(empty_database, "CREATE SCHEMA ops AUTHORIZATION owns_ops")
    assert apply_migrations(as_role(empty_database)).applied == len(REVISIONS)
    assert apply_migrations(as_role(empty_database)).skipped == len(REVISIONS)
    _execute(empty_database, "DROP OWNED BY owns_ops", "DROP ROLE owns_ops")


# The state


def test_the_digest_of_each_applied_revision_is_kept(database: Database) -> None:
    assert _digests(database) == {
        path.name[:4]: hashlib.sha256(path.read_bytes()).digest()
        for path in (package_path("migrations") / "versions").glob("*.py")
    }


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ship a copy of our revisions, which a test may edit."""
    copy = tmp_path / "migrations"
    shutil.copytree(package_path("migrations"), copy, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (revisions, migrate):
        monkeypatch.setattr(module, "package_path", lambda _name: copy)
    return copy / "versions"


def _add_revision(versions: Path, upgrade: str) -> None:
    """Add a revision to ours."""
    names = "revision, down_revision, branch_labels, depends_on"
    head = f"from alembic import op\n{names} = '{NEXT}', '{REVISIONS[-1]}', None, None\n"
    undo = "def downgrade():\n    op.execute('SELECT 1')\n"
    (versions / f"{NEXT}_more.py").write_text(f"{head}def upgrade():\n    {upgrade}\n{undo}")


def test_a_revision_that_was_edited_after_it_was_applied_is_refused_by_everything(
    database: Database, edited: Path
) -> None:
    file = edited / "0002_daily_counts.py"
    file.write_text(file.read_text().replace("segment text", "segment varchar"))
    _add_revision(edited, "op.execute('CREATE TABLE ops.more (a text)')")
    before = _everything(database)
    for use in (apply_migrations, verify_tables, plan, lambda engine: downgrade(engine, BASE)):
        _refused(lambda use=use: use(database.engine), Reason.MIGRATION_EDITED, revision="0002")  # type: ignore[misc]
    assert _everything(database) == before


def test_a_database_without_a_ledger_that_had_another_file_applied_is_not_adopted(
    database: Database, edited: Path
) -> None:
    (file,) = edited.glob(f"{REVISIONS[-1]}_*.py")
    file.write_text(file.read_text() + "\n# A remark.\n")
    _execute(database, "DROP TABLE ops.alembic_version")
    before = _everything(database)
    _refused(lambda: apply_migrations(database.engine), Reason.MIGRATION_EDITED, revision=REVISIONS[-1])
    assert _everything(database) == before


def test_a_revision_may_be_edited_until_it_is_applied(empty_database: Database, edited: Path) -> None:
    (file,) = edited.glob(f"{REVISIONS[-1]}_*.py")
    apply_migrations(empty_database.engine)
    downgrade(empty_database.engine, REVISIONS[-2])
    file.write_text(file.read_text() + "\n# A remark.\n")
    assert apply_migrations(empty_database.engine) == Applied(applied=1, skipped=len(REVISIONS) - 1)
    assert _digests(empty_database)[REVISIONS[-1]] == hashlib.sha256(file.read_bytes()).digest()


@pytest.mark.parametrize("loss", ["DELETE FROM ops.applied_revisions", "DROP TABLE ops.applied_revisions"])
def test_digests_that_were_lost_are_kept_anew(database: Database, loss: str) -> None:
    before = _digests(database)
    _execute(database, loss)
    _refused(
        lambda: verify_tables(database.engine),
        Reason.BEHIND,
        revision=REVISIONS[-1],
        pending=0,
        unrecorded=len(REVISIONS),
    )
    assert apply_migrations(database.engine) == Applied(applied=0, skipped=len(REVISIONS))
    assert _digests(database) == before
    assert verify_tables(database.engine).revision == REVISIONS[-1]


@pytest.mark.parametrize(
    "also", ["SELECT 1", "TRUNCATE ops.alembic_version, ops.applied_revisions", "DROP TABLE ops.applied_revisions"]
)
def test_a_database_that_has_our_tables_and_no_ledger_is_adopted(database: Database, also: str) -> None:
    _execute(database, also if "TRUNCATE" in also else f"DROP TABLE ops.alembic_version; {also}")
    assert apply_migrations(database.engine) == Applied(applied=0, skipped=len(REVISIONS))
    assert verify_tables(database.engine).revision == REVISIONS[-1]
    assert set(_digests(database)) == set(REVISIONS)


@pytest.mark.parametrize(
    "difference",
    [
        "ALTER TABLE ops.verdicts ADD COLUMN phone text",
        "ALTER TABLE ops.delivery_events DETACH PARTITION ops.delivery_events_default",
    ],
)
def test_a_database_without_a_ledger_whose_tables_differ_is_not_adopted(database: Database, difference: str) -> None:
    _execute(database, "DROP TABLE ops.alembic_version", difference)
    before = _everything(database)
    _refused(lambda: apply_migrations(database.engine), Reason.MIGRATION_FAILED, revision="0001", sqlstate="42P07")
    assert _everything(database) == before


# Down


def test_upgrade_downgrade_and_upgrade_again_end_in_the_same_schema(empty_database: Database) -> None:
    apply_migrations(empty_database.engine)
    before = _everything(empty_database)
    assert downgrade(empty_database.engine, BASE) == len(REVISIONS)
    assert _tables(empty_database) == {"alembic_version", "applied_revisions"}
    assert _digests(empty_database) == {}
    apply_migrations(empty_database.engine)
    assert _everything(empty_database) == before


def test_every_single_revision_can_be_undone_and_applied_again(empty_database: Database) -> None:
    for revision in REVISIONS:
        for direction, target in (
            (command.upgrade, revision),
            (command.downgrade, "-1"),
            (command.upgrade, revision),
        ):
            with empty_database.engine.connect() as connection:
                direction(migrate.alembic_config(connection), target)
                connection.commit()
    assert verify_tables(empty_database.engine).revision == REVISIONS[-1]


def test_what_came_after_a_revision_is_undone_and_counted(database: Database) -> None:
    assert downgrade(database.engine, "0002") == len(REVISIONS) - 2
    assert set(_digests(database)) == {"0001", "0002"}
    assert downgrade(database.engine, "0002") == 0
    assert "daily_counts" in _tables(database)
    assert not {"verdicts", "delivered_totals"} & _tables(database)
    assert apply_migrations(database.engine) == Applied(applied=len(REVISIONS) - 2, skipped=2)


@pytest.mark.parametrize("target", ["0003", "9999", "head", "-1", "", "0002' OR 1", "BASE"])
def test_a_target_that_the_database_has_not_got_is_refused(database: Database, target: str) -> None:
    downgrade(database.engine, "0002")
    before = _everything(database)
    _refused(lambda: downgrade(database.engine, target), Reason.INVALID_TARGET)
    assert _everything(database) == before


# The plan


def _by_hand(dsn: str, planned: Plan) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(planned.sql.encode())


@pytest.mark.parametrize("start", [None, "0002", REVISIONS[-1]])
def test_the_plan_changes_nothing_and_done_by_hand_it_is_what_bootstrap_would_do(
    empty_database: Database, start: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if start:
        apply_migrations(empty_database.engine)
        downgrade(empty_database.engine, start)
    before = _everything(empty_database)
    planned = plan(empty_database.engine)
    assert _everything(empty_database) == before
    assert planned.current == start
    assert list(planned.pending) == (REVISIONS[REVISIONS.index(start) + 1 :] if start else REVISIONS)
    assert planned.partitions == (0 if start else partitions.PARTITIONS_AHEAD_DAYS + 1)
    assert ("CREATE TABLE" in planned.sql) == bool(planned.pending)
    _by_hand(empty_database.dsn, planned)
    monkeypatch.setenv("OPS_POSTGRES_DSN", empty_database.dsn)
    assert verify_deployment().ops.revision == REVISIONS[-1]
    assert plan(empty_database.engine).partitions == 0
    assert apply_migrations(empty_database.engine) == Applied(applied=0, skipped=len(REVISIONS))
    assert set(_digests(empty_database)) == set(REVISIONS)


def test_the_plan_names_no_database(empty_database: Database) -> None:
    sql = plan(empty_database.engine).sql
    assert "postgresql://" not in sql
    assert "lock_timeout" in sql


@pytest.mark.parametrize(
    "loss",
    ["DELETE FROM ops.applied_revisions", "DROP TABLE ops.applied_revisions", "DROP TABLE ops.alembic_version"],
)
def test_the_plan_mends_a_ledger_too(database: Database, loss: str) -> None:
    _execute(database, loss)
    before = _everything(database)
    planned = plan(database.engine)
    assert _everything(database) == before
    assert (planned.current, planned.pending, planned.partitions) == (REVISIONS[-1], (), 0)
    _by_hand(database.dsn, planned)
    assert verify_tables(database.engine).revision == REVISIONS[-1]
    assert set(_digests(database)) == set(REVISIONS)


def test_a_plan_can_be_done_by_hand_after_everything_was_undone(database: Database) -> None:
    downgrade(database.engine, BASE)
    _by_hand(database.dsn, plan(database.engine))
    assert verify_tables(database.engine).revision == REVISIONS[-1]


def test_a_plan_can_be_done_by_a_role_that_owns_no_more_than_the_schema(empty_database: Database) -> None:
    _execute(
        empty_database,
        "DROP ROLE IF EXISTS owns_ops",
        "CREATE ROLE owns_ops LOGIN",
        "CREATE SCHEMA ops AUTHORIZATION owns_ops",
    )
    try:
        _by_hand(empty_database.dsn.replace("postgres@", "owns_ops@"), plan(empty_database.engine))
        assert verify_tables(empty_database.engine).revision == REVISIONS[-1]
    finally:
        _execute(empty_database, "DROP OWNED BY owns_ops", "DROP ROLE owns_ops")


def test_a_revision_that_needs_a_database_cannot_be_planned(database: Database, edited: Path) -> None:
    _add_revision(edited, "op.execute(op.get_bind().scalar('SELECT 1'))")
    _refused(lambda: plan(database.engine), Reason.REVISION_NOT_OFFLINE, revision=NEXT)
