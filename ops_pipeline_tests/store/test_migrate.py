"""Bootstrap: what `db_bootstrap` promises about the ops database."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.store import migrate
from ops_pipeline.store.migrate import Applied, apply_migrations, downgrade, dry_run, revisions
from ops_pipeline.store.verify import Verified, verify
from ops_pipeline_tests.conftest import Database

NUMBER_OF_REVISIONS = len(revisions())


def _tables(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        return set(connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'ops'")))


def test_an_empty_database_gets_every_revision_and_a_second_run_changes_nothing(empty_database: Database) -> None:
    assert apply_migrations(empty_database.engine) == Applied(applied=NUMBER_OF_REVISIONS, skipped=0)
    before = _tables(empty_database)
    assert apply_migrations(empty_database.engine) == Applied(applied=0, skipped=NUMBER_OF_REVISIONS)
    assert _tables(empty_database) == before


def test_upgrade_downgrade_and_upgrade_again_end_in_the_same_schema(empty_database: Database) -> None:
    apply_migrations(empty_database.engine)
    first = verify(empty_database.engine)
    downgrade(empty_database.engine)
    assert _tables(empty_database) == {"alembic_version"}
    apply_migrations(empty_database.engine)
    assert verify(empty_database.engine) == first == Verified(revision=NUMBER_OF_REVISIONS, tables=7)


def test_every_single_revision_can_be_undone_and_applied_again(empty_database: Database) -> None:
    from alembic import command

    for script in revisions():
        for direction, target in (
            (command.upgrade, script.revision),
            (command.downgrade, "-1"),
            (command.upgrade, script.revision),
        ):
            with empty_database.engine.connect() as connection:
                direction(migrate.alembic_config(connection), target)
                connection.commit()
    assert verify(empty_database.engine).revision == NUMBER_OF_REVISIONS


def test_the_dry_run_counts_the_revisions_and_needs_no_database() -> None:
    assert dry_run() == NUMBER_OF_REVISIONS


def test_the_revision_table_is_our_own_so_that_dagsters_can_live_in_the_same_database(database: Database) -> None:
    with database.engine.connect() as connection:
        where = connection.scalars(text("SELECT schemaname FROM pg_tables WHERE tablename = 'alembic_version'")).all()
    assert where == ["ops"]


def test_partitions_are_made_a_month_ahead(database: Database) -> None:
    last = (datetime.now(UTC) + timedelta(days=migrate.PARTITIONS_AHEAD_DAYS)).date()
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
    assert sorted(one.applied for one in done) == [0, NUMBER_OF_REVISIONS]


def test_waiting_for_another_bootstrap_is_bounded(database: Database) -> None:
    with migrate._bootstrap_lock(database.engine, 0), pytest.raises(OpsError) as caught:
        apply_migrations(database.engine, lock_wait_seconds=0)
    assert caught.value.reason is Reason.LOCK_TIMEOUT


def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE ops.alembic_version SET version_num = '9999'"))
    for use in (apply_migrations, verify):
        with pytest.raises(OpsError) as caught:
            use(database.engine)
        assert caught.value.reason is Reason.UNKNOWN_REVISION


def test_a_failing_revision_is_named_with_its_sqlstate_and_those_before_it_stay(empty_database: Database) -> None:
    with empty_database.engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA ops"))
        connection.execute(text("CREATE TABLE ops.hold_suppression_rates (in_the_way text)"))
    with pytest.raises(OpsError) as caught:
        apply_migrations(empty_database.engine)
    assert caught.value.reason is Reason.MIGRATION_FAILED
    assert caught.value.fields == {"revision": 3, "sqlstate": "42P07"}
    assert {"daily_counts", "delivery_events"} <= _tables(empty_database)
    # The revision that failed left nothing of itself behind.
    assert "delivered_totals" not in _tables(empty_database)
    with empty_database.engine.begin() as connection:
        connection.execute(text("DROP TABLE ops.hold_suppression_rates"))
    assert apply_migrations(empty_database.engine) == Applied(applied=2, skipped=2)


def test_a_role_without_the_right_is_told_so_and_one_that_owns_the_schema_needs_no_more(
    database: Database, empty_database: Database
) -> None:
    from ops_pipeline.contract.environment import Name
    from ops_pipeline.store.engine import engine_for

    with database.engine.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS owns_ops"))
        connection.execute(text("CREATE ROLE owns_ops LOGIN"))

    def as_role(one: Database) -> Engine:
        return engine_for(Name.OPS_POSTGRES_DSN, one.dsn.replace("postgres@", "owns_ops@"))

    with pytest.raises(OpsError) as caught:
        apply_migrations(as_role(empty_database))
    assert caught.value.reason is Reason.NO_PRIVILEGE
    with empty_database.engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA ops AUTHORIZATION owns_ops"))
    assert apply_migrations(as_role(empty_database)).applied == NUMBER_OF_REVISIONS
    assert apply_migrations(as_role(empty_database)).skipped == NUMBER_OF_REVISIONS
    with empty_database.engine.begin() as connection:
        connection.execute(text("DROP OWNED BY owns_ops"))
        connection.execute(text("DROP ROLE owns_ops"))


REVISION = """
from alembic import op
revision, down_revision, branch_labels, depends_on = {revision!r}, {down!r}, None, None
def upgrade(): {upgrade}
def downgrade(): op.execute("SELECT 1")
"""


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([], Reason.NO_REVISIONS),
        ([("a", None, "pass"), ("b", "a", "pass"), ("c", "a", "pass")], Reason.REVISIONS_NOT_LINEAR),
        ([("a", None, "pass"), ("b", "missing", "pass")], Reason.REVISION_INVALID),
        ([("a", None, "raise ValueError('secret')")], Reason.REVISION_INVALID),
        ([("a", None, "this is no Python")], Reason.REVISION_INVALID),
    ],
)
def test_the_dry_run_refuses_revisions_that_cannot_be_applied(
    files: list[tuple[str, str | None, str]], reason: Reason, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text((migrate.shipped("migrations") / "env.py").read_text())
    for revision, down, upgrade in files:
        source = REVISION.format(revision=revision, down=down, upgrade=upgrade)
        (tmp_path / "versions" / f"{revision}.py").write_text(source)
    monkeypatch.setattr(migrate, "shipped", lambda _name: tmp_path)
    with pytest.raises(OpsError) as caught:
        dry_run()
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DROP TABLE ops.verdicts", Reason.MISSING_TABLES),
        ("ALTER TABLE ops.daily_counts ALTER events TYPE integer", Reason.DRIFT),
        ("ALTER TABLE ops.daily_counts DROP COLUMN reason", Reason.DRIFT),
        ("ALTER TABLE ops.daily_counts ADD COLUMN phone text", Reason.DRIFT),
        ("DROP SCHEMA ops CASCADE", Reason.MISSING_TABLES),
        ("UPDATE ops.alembic_version SET version_num = '0003'", Reason.BEHIND),
    ],
)
def test_verify_has_a_reason_for_each_way_in_which_the_database_differs(
    database: Database, change: str, reason: Reason
) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(change))
    with pytest.raises(OpsError) as caught:
        verify(database.engine)
    assert caught.value.reason is reason


def test_verify_changes_nothing_and_works_for_a_role_that_may_only_read(database: Database) -> None:
    from ops_pipeline.contract.environment import Name
    from ops_pipeline.store.engine import engine_for

    with database.engine.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS only_reads"))
        connection.execute(text("CREATE ROLE only_reads LOGIN"))
        connection.execute(text("GRANT USAGE ON SCHEMA ops TO only_reads"))
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA ops TO only_reads"))
    reader = engine_for(Name.OPS_POSTGRES_DSN, database.dsn.replace("postgres@", "only_reads@"))
    assert verify(reader).revision == NUMBER_OF_REVISIONS
    with database.engine.begin() as connection:
        connection.execute(text("DROP OWNED BY only_reads"))
        connection.execute(text("DROP ROLE only_reads"))
