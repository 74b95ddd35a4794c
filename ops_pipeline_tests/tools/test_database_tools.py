"""`db_bootstrap` and `db_verify` as an operator runs them: lines and exit codes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from ops_pipeline.tools import db_bootstrap, db_verify
from ops_pipeline_tests.answering import answering
from ops_pipeline_tests.conftest import REVISIONS, Database

N, HEAD = len(REVISIONS), REVISIONS[-1]
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

# Password, host, role, database and SQL: nothing that is printed may hold them.
SECRETS = (
    r"(?i)s3cr3t|localhost|127\.0\.0\.1|invalid/|postgres\b|somebody|test_[0-9]|\b(select|insert|create|drop) |://"
)

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a tool and return its exit code and its only line."""

    def one(main: Callable[[Sequence[str]], int], *arguments: str) -> tuple[int, str]:
        code = main(arguments)
        output = capfd.readouterr()
        assert output.err == ""
        (line,) = output.out.splitlines()
        assert not re.search(SECRETS, line)
        return code, line

    return one


def _execute(database: Database, *statements: str) -> None:
    with database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture
def configured(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty database that OPS_POSTGRES_DSN names."""
    monkeypatch.setenv("OPS_POSTGRES_DSN", empty_database.dsn)
    return empty_database


@pytest.fixture
def bootstrapped(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A bootstrapped database that OPS_POSTGRES_DSN names."""
    monkeypatch.setenv("OPS_POSTGRES_DSN", database.dsn)
    return database


def test_the_way_from_an_empty_database_to_a_verified_one(configured: Database, run: Run) -> None:
    assert run(db_bootstrap.main, "--dry-run") == (0, f"db_bootstrap_dry_run status=ok migrations={N}")
    assert run(db_verify.main) == (1, "db_verify status=fail reason=missing_tables")
    apply = (db_bootstrap.main, "apply_migrations")
    assert run(*apply) == (0, f"db_bootstrap status=ok mode=apply_migrations applied={N} skipped=0")
    assert run(*apply) == (0, f"db_bootstrap status=ok mode=apply_migrations applied=0 skipped={N}")
    code, line = run(db_verify.main)
    assert code == 0
    assert re.fullmatch(
        f"db_verify status=ok revision={HEAD} tables=12 partitions_until={DAY} access=read_write"
        " warnings=excess_privilege",
        line,
    )
    assert run(db_verify.main, "--format=nagios") == (1, line.replace("db_verify", "DB_VERIFY WARNING -"))


def test_without_a_database_verify_is_safe_in_ci_and_bootstrap_says_what_is_missing(run: Run) -> None:
    assert run(db_verify.main) == (0, "db_verify status=not_configured reason=missing_dsn")
    assert run(db_bootstrap.main, "apply_migrations") == (
        1,
        "db_bootstrap status=fail mode=apply_migrations reason=missing_env missing=OPS_POSTGRES_DSN",
    )


def test_a_role_that_may_only_read_can_verify_and_not_bootstrap(
    bootstrapped: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _execute(
        bootstrapped,
        "DROP ROLE IF EXISTS somebody",
        "CREATE ROLE somebody LOGIN",
        "GRANT USAGE ON SCHEMA ops TO somebody",
        "GRANT SELECT ON ALL TABLES IN SCHEMA ops TO somebody",
    )
    try:
        monkeypatch.setenv("OPS_POSTGRES_DSN", bootstrapped.dsn.replace("postgres@", "somebody@"))
        code, line = run(db_verify.main)
        assert (code, line.partition("access=")[2]) == (0, "read_only warnings=none")
        assert run(db_verify.main, "--format=nagios")[0] == 0
        down = (db_bootstrap.main, "downgrade", "--to=base", "--yes")
        assert run(*down) == (1, "db_bootstrap status=fail mode=downgrade reason=no_privilege")
        _execute(bootstrapped, "REVOKE SELECT ON ops.verdicts FROM somebody")
        assert run(db_verify.main) == (1, "db_verify status=fail reason=no_privilege tables=verdicts")
    finally:
        _execute(bootstrapped, "DROP OWNED BY somebody", "DROP ROLE somebody")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ("ALTER TABLE ops.verdicts ADD COLUMN phone text", "drift tables=verdicts differences=1"),
        ("DROP TABLE ops.verdicts, ops.daily_counts", "missing_tables tables=daily_counts,verdicts"),
        (
            "UPDATE ops.applied_revisions SET digest = sha256('') WHERE revision = '0002'",
            "migration_edited revision=0002",
        ),
        ("UPDATE ops.alembic_version SET version_num = '0099'", "unknown_revision"),
        ("DELETE FROM ops.applied_revisions", f"behind revision={HEAD} pending=0 unrecorded={N}"),
    ],
)
def test_each_fault_has_its_own_line(bootstrapped: Database, run: Run, change: str, fields: str) -> None:
    _execute(bootstrapped, change)
    assert run(db_verify.main) == (1, f"db_verify status=fail reason={fields}")


@pytest.mark.parametrize("table", ["alembic_version", "applied_revisions", "delivery_events", "daily_counts"])
def test_a_locked_table_is_no_reason_to_wait(bootstrapped: Database, run: Run, table: str) -> None:
    with bootstrapped.engine.connect() as other:
        other.execute(text(f"LOCK ops.{table} IN ACCESS EXCLUSIVE MODE"))
        # Two of them are only looked up in the catalog, which nobody has locked.
        line = run(db_verify.main, "--timeout=1")[1]
    assert re.match("db_verify status=(ok |fail reason=(lock_timeout|db_timeout)$)", line)
    assert table == "daily_counts" or "status=fail" in line


def test_a_database_that_is_behind_says_how_far(bootstrapped: Database, run: Run) -> None:
    with bootstrapped.engine.begin() as connection:
        connection.execute(text("UPDATE ops.alembic_version SET version_num = '0002'"))
    behind = f"db_verify status=fail reason=behind revision=0002 pending={N - 2} unrecorded=0"
    assert run(db_verify.main) == (1, behind)


@pytest.mark.parametrize(
    ("dsn", "fields"),
    [
        ("postgresql://ops:s3cr3t@127.0.0.1:1/ops", "reason=db_connect_failed cause=refused dsn=OPS_POSTGRES_DSN"),
        (
            "postgresql://ops:s3cr3t@no-such-host.invalid/ops",
            "reason=db_connect_failed cause=dns dsn=OPS_POSTGRES_DSN",
        ),
        ("'postgresql://ops:s3cr3t@db/ops'", "reason=invalid_env invalid=OPS_POSTGRES_DSN part=scheme"),
    ],
)
def test_a_database_that_cannot_be_reached_has_a_reason(
    run: Run, monkeypatch: pytest.MonkeyPatch, dsn: str, fields: str
) -> None:
    monkeypatch.setenv("OPS_POSTGRES_DSN", dsn)
    assert run(db_verify.main) == (1, f"db_verify status=fail {fields}")
    assert run(db_bootstrap.main, "apply_migrations") == (
        1,
        f"db_bootstrap status=fail mode=apply_migrations {fields}",
    )


def test_verify_looks_for_the_events_relation_too(
    bootstrapped: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_EVENTS_RELATION", "app.events")
    assert run(db_verify.main) == (1, "db_verify status=fail reason=events_relation_missing")


def test_a_failed_revision_is_named_and_nothing_else_is_said(configured: Database, run: Run) -> None:
    with configured.engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA ops"))
        connection.execute(text("CREATE TABLE ops.daily_counts (in_the_way text)"))
    assert run(db_bootstrap.main, "apply_migrations") == (
        1,
        "db_bootstrap status=fail mode=apply_migrations reason=migration_failed revision=0002 sqlstate=42P07",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--dry-run", "apply_migrations"),
        ("aply_migrations",),
        ("--dry-run", "--force"),
        ("apply_migrations", "--lint"),
        ("apply_migrations", "--out=plan.sql"),
        ("apply_migrations", "--yes"),
        ("apply_migrations", "--wait=-1"),
        ("apply_migrations", "--wait=soon"),
        ("plan", "--with-dagster"),
        ("plan", "--to=base"),
        ("downgrade", "--yes"),
        ("downgrade", "--to=base", "--yes", "--dry-run"),
    ],
)
def test_a_wrong_command_line_does_nothing(configured: Database, run: Run, arguments: tuple[str, ...]) -> None:
    code, line = run(db_bootstrap.main, *arguments)
    assert code == 1
    assert line.startswith("db_bootstrap status=fail ")
    assert "reason=usage" in line
    with configured.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_namespace WHERE nspname = 'ops'")) == 0


def test_json_gives_the_same_fields_as_an_object(configured: Database, run: Run) -> None:
    _, line = run(db_bootstrap.main, "apply_migrations", "--json")
    assert json.loads(line) == {
        "line": "db_bootstrap",
        "status": "ok",
        "mode": "apply_migrations",
        "applied": N,
        "skipped": 0,
    }


def test_the_plan_says_what_would_run_and_writes_its_statements_to_a_file(
    configured: Database, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ids = ",".join(REVISIONS)
    planned = f"db_bootstrap status=ok mode=plan revision=none pending={N} revisions={ids} partitions=91"
    assert run(db_bootstrap.main, "plan") == (0, planned)
    assert "CREATE TABLE ops.daily_counts" in Path("db_bootstrap_plan.sql").read_text()
    assert run(db_verify.main) == (1, "db_verify status=fail reason=missing_tables")
    run(db_bootstrap.main, "apply_migrations")
    nothing = f"db_bootstrap status=ok mode=plan revision={HEAD} pending=0 revisions=none partitions=0"
    assert run(db_bootstrap.main, "plan", "--out=plan.sql") == (0, nothing)
    assert "CREATE" not in Path("plan.sql").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db_bootstrap_plan.sql", "plan.sql"]


def test_a_plan_that_cannot_be_written_leaves_the_old_one(configured: Database, run: Run, tmp_path: Path) -> None:
    target = tmp_path / "plan.sql"
    target.mkdir()
    failed = "db_bootstrap status=fail mode=plan reason=file_not_written"
    assert run(db_bootstrap.main, "plan", f"--out={target}") == (1, failed)
    assert run(db_bootstrap.main, "plan", f"--out={tmp_path}/no/such/folder.sql") == (1, failed)


def test_undoing_revisions_wants_to_be_confirmed(bootstrapped: Database, run: Run) -> None:
    down = (db_bootstrap.main, "downgrade", "--to=0002")
    assert run(*down) == (1, "db_bootstrap status=fail mode=downgrade reason=not_confirmed")
    assert run(db_verify.main)[0] == 0
    for target in ("0099", "head", "", "no such revision"):
        unknown = (db_bootstrap.main, "downgrade", f"--to={target}", "--yes")
        assert run(*unknown) == (1, "db_bootstrap status=fail mode=downgrade reason=invalid_target")
    assert run(db_verify.main)[0] == 0
    assert run(*down, "--yes") == (0, f"db_bootstrap status=ok mode=downgrade revision=0002 undone={N - 2}")
    again = (db_bootstrap.main, "downgrade", "--to=0003", "--yes")
    assert run(*again) == (1, "db_bootstrap status=fail mode=downgrade reason=invalid_target")
    base = (db_bootstrap.main, "downgrade", "--to=base", "--yes")
    assert run(*base) == (0, "db_bootstrap status=ok mode=downgrade revision=none undone=2")
    assert run(db_verify.main) == (1, "db_verify status=fail reason=missing_tables")
    applied = f"db_bootstrap status=ok mode=apply_migrations applied={N} skipped=0"
    assert run(db_bootstrap.main, "apply_migrations") == (0, applied)
    assert run(db_verify.main)[0] == 0


def test_dagsters_own_tables_are_made_and_looked_for_where_that_is_asked(
    configured: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = (db_bootstrap.main, "apply_migrations", "--with-dagster")
    missing = "reason=missing_env missing=DAGSTER_POSTGRES_DSN"
    assert run(*apply) == (1, f"db_bootstrap status=fail mode=apply_migrations {missing}")
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", configured.dsn)
    assert run(db_verify.main)[1].endswith(" warnings=excess_privilege,dagster_storage_missing")
    assert run(db_verify.main, "--with-dagster") == (1, "db_verify status=fail reason=dagster_storage_missing")
    done = f"db_bootstrap status=ok mode=apply_migrations applied=0 skipped={N} dagster=ready"
    assert run(*apply) == run(*apply) == (0, done)
    assert run(db_verify.main, "--with-dagster")[1].endswith(" warnings=excess_privilege")


@pytest.mark.slow
def test_a_server_that_accepts_and_never_answers_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(None) as port:
        monkeypatch.setenv("OPS_POSTGRES_DSN", f"postgresql://ops:s3cr3t@127.0.0.1:{port}/ops")
        assert run(db_verify.main, "--timeout=1") == (1, "db_verify status=fail reason=db_timeout")
        timed_out = "reason=db_connect_failed cause=timeout dsn=OPS_POSTGRES_DSN"
        assert run(db_verify.main, "--timeout=4") == (1, f"db_verify status=fail {timed_out}")
        monkeypatch.setenv("OPS_POSTGRES_DSN", f"{os.environ['OPS_POSTGRES_DSN']}?connect_timeout=2")
        failed = f"db_bootstrap status=fail mode=apply_migrations {timed_out}"
        assert run(db_bootstrap.main, "apply_migrations") == (1, failed)


def test_a_monitoring_system_is_told_of_a_fault_and_of_a_missing_configuration(
    empty_database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    nagios = (db_verify.main, "--format=nagios")
    assert run(*nagios) == (3, "DB_VERIFY UNKNOWN - status=not_configured reason=missing_dsn")
    assert run(*nagios, "--forse") == (3, "DB_VERIFY UNKNOWN - status=fail reason=usage")
    monkeypatch.setenv("OPS_POSTGRES_DSN", empty_database.dsn)
    assert run(*nagios) == (2, "DB_VERIFY CRITICAL - status=fail reason=missing_tables")
    assert run(db_bootstrap.main, "apply_migrations", "--format=nagios")[0] == 1
