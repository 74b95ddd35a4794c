"""`db_bootstrap` and `db_verify` as an operator runs them: lines and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import text

from ops_pipeline.store.migrate import revisions
from ops_pipeline.tools import db_bootstrap, db_verify
from ops_pipeline_tests.conftest import Database

N = len(revisions())

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a tool and return its exit code and its only line."""

    def one(main: Callable[[Sequence[str]], int], *arguments: str) -> tuple[int, str]:
        code = main(arguments)
        output = capfd.readouterr()
        assert output.err == ""
        (line,) = output.out.splitlines()
        return code, line

    return one


@pytest.fixture
def configured(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty database that OPS_POSTGRES_DSN names."""
    monkeypatch.setenv("OPS_POSTGRES_DSN", empty_database.dsn)
    return empty_database


def test_the_way_from_an_empty_database_to_a_verified_one(configured: Database, run: Run) -> None:
    assert run(db_bootstrap.main, "--dry-run") == (0, f"db_bootstrap_dry_run status=ok migrations={N}")
    assert run(db_verify.main) == (1, "db_verify status=fail reason=missing_tables")
    apply = (db_bootstrap.main, "apply_migrations")
    assert run(*apply) == (0, f"db_bootstrap status=ok mode=apply_migrations applied={N} skipped=0")
    assert run(*apply) == (0, f"db_bootstrap status=ok mode=apply_migrations applied=0 skipped={N}")
    assert run(db_verify.main) == (0, f"db_verify status=ok revision={N} tables=7")


def test_without_a_database_verify_is_safe_in_ci_and_bootstrap_says_what_is_missing(run: Run) -> None:
    assert run(db_verify.main) == (0, "db_verify status=not_configured reason=missing_dsn")
    assert run(db_bootstrap.main, "apply_migrations") == (
        1,
        "db_bootstrap status=fail mode=apply_migrations reason=missing_env missing=OPS_POSTGRES_DSN",
    )


def test_a_database_that_is_behind_says_how_far(configured: Database, run: Run) -> None:
    run(db_bootstrap.main, "apply_migrations")
    with configured.engine.begin() as connection:
        connection.execute(text("UPDATE ops.alembic_version SET version_num = '0002'"))
    assert run(db_verify.main) == (1, f"db_verify status=fail reason=behind revision=2 pending={N - 2}")


@pytest.mark.parametrize(
    ("dsn", "fields"),
    [
        ("postgresql://ops:s3cr3t@127.0.0.1:1/ops", "reason=db_connect_failed"),
        ("postgresql://ops:s3cr3t@no-such-host.invalid/ops", "reason=db_connect_failed"),
        ("'postgresql://ops:s3cr3t@db/ops'", "reason=invalid_env invalid=OPS_POSTGRES_DSN"),
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
    configured: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(db_bootstrap.main, "apply_migrations")
    monkeypatch.setenv("OPS_EVENTS_RELATION", "app.events")
    assert run(db_verify.main) == (1, "db_verify status=fail reason=events_relation_missing")


def test_a_failed_revision_is_named_and_nothing_else_is_said(configured: Database, run: Run) -> None:
    with configured.engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA ops"))
        connection.execute(text("CREATE TABLE ops.daily_counts (in_the_way text)"))
    assert run(db_bootstrap.main, "apply_migrations") == (
        1,
        "db_bootstrap status=fail mode=apply_migrations reason=migration_failed revision=2 sqlstate=42P07",
    )


@pytest.mark.parametrize(
    "arguments", [(), ("--dry-run", "apply_migrations"), ("aply_migrations",), ("--dry-run", "--force")]
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
