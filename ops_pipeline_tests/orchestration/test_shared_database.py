"""Dagster's tables in a database of others: not where they would be taken for somebody else's, and else anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from ops_pipeline.cli import main as cli
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.served.deployment import Deployment, eventually
from ops_pipeline_tests.traffic import healthy_traffic

ITS_OWN = "options=-csearch_path%3Ddagster"
_APPLICATION = (
    "CREATE TABLE public.alembic_version (version_num text)",
    "INSERT INTO alembic_version VALUES ('ab12')",
)


def _execute(database: Database, *statements: str) -> None:
    with database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _tables(database: Database, schema: str) -> list[str]:
    query = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema ORDER BY 1")
    with database.engine.connect() as connection:
        return list(connection.scalars(query, {"schema": schema}))


@pytest.fixture
def shared(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A bootstrapped database of an application that uses Alembic, which is to be Dagster's too."""
    healthy_traffic(database)
    _execute(database, *_APPLICATION)
    monkeypatch.setenv("OPS_POSTGRES_DSN", database.dsn)
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", database.dsn)
    return database


@pytest.fixture
def role_ops(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The DSN of a role whose name is our schema's, so that `"$user"` in its search path means that schema."""
    _execute(database, "DROP ROLE IF EXISTS ops", "CREATE ROLE ops SUPERUSER LOGIN")
    dsn = database.dsn.replace("postgres@", "ops@")
    healthy_traffic(database)
    monkeypatch.setenv("OPS_POSTGRES_DSN", dsn)
    yield dsn
    _execute(database, "DROP OWNED BY ops CASCADE", "DROP ROLE ops")


def _whole_way(lines: Lines) -> None:
    """Do what an operator does, on a database that has room for Dagster."""
    assert cli.main(["db_bootstrap", "apply_migrations", "--with-dagster"]) == 0
    assert cli.main(["ops_daily", "--mode=prod"]) == 0
    assert cli.main(["db_verify", "--with-dagster"]) == 0
    lines()
    assert cli.main(["doctor"]) == 0
    assert lines()[-1] == "doctor status=ok warnings=excess_privilege,daemon_silent"


def test_where_the_application_uses_alembic_nothing_is_made_and_everything_says_why(
    shared: Database, lines: Lines
) -> None:
    before = _tables(shared, "public")
    for command in (
        ["db_bootstrap", "apply_migrations", "--with-dagster"],
        ["ops_daily", "--mode=prod"],
        ["db_verify"],
        ["doctor", "--only=dagster"],
    ):
        assert cli.main(command) == 1
        assert "reason=dagster_schema_taken" in lines()[-1]
    assert _tables(shared, "public") == before


def test_in_a_schema_of_its_own_dagster_works_beside_the_application(
    shared: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    _execute(shared, "CREATE SCHEMA dagster")
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", f"{shared.dsn}&{ITS_OWN}")
    _whole_way(lines)
    assert _tables(shared, "public") == ["alembic_version"]
    assert {"runs", "event_logs", "job_ticks", "alembic_version"} <= set(_tables(shared, "dagster"))


def test_a_role_that_is_called_ops_puts_nothing_into_our_schema(
    role_ops: str, database: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _tables(database, "ops")
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", role_ops)
    assert cli.main(["db_bootstrap", "apply_migrations", "--with-dagster"]) == 1
    assert lines()[-1].endswith(" reason=dagster_schema_taken")
    assert _tables(database, "ops") == before
    _execute(database, "CREATE SCHEMA dagster")
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", f"{role_ops}&{ITS_OWN}")
    _whole_way(lines)
    assert _tables(database, "ops") == before


@pytest.mark.parametrize("path", ["nowhere", "ops", "later%2Cpublic"], ids=["no_schema", "ours", "visible_alembic"])
def test_a_search_path_that_leads_to_no_room_is_refused(
    shared: Database, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    _execute(shared, "CREATE SCHEMA later")
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", f"{shared.dsn}&options=-csearch_path%3D{path}")
    with pytest.raises(OpsError) as caught, configured_instance():
        pass
    assert caught.value.reason is Reason.DAGSTER_SCHEMA_TAKEN
    assert _tables(shared, "later") == []


def test_a_table_that_is_called_as_one_of_dagsters_is_the_applications_where_dagster_is_not(
    shared: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    _execute(
        shared,
        "CREATE SCHEMA dagster",
        "DROP ROLE IF EXISTS worker",
        "CREATE ROLE worker LOGIN",
        "GRANT USAGE ON SCHEMA ops TO worker",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ops TO worker",
        "GRANT ALL ON SCHEMA dagster TO worker",
    )
    dsn = shared.dsn.replace("postgres@", "worker@")
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", f"{dsn}&{ITS_OWN}")
    try:
        assert cli.main(["db_bootstrap", "apply_migrations", "--with-dagster"]) == 0
        monkeypatch.setenv("OPS_POSTGRES_DSN", dsn)
        for statement, warnings in (
            ("SELECT 1", "none"),
            ("CREATE TABLE public.jobs (phone text)", "none"),
            ("GRANT SELECT ON public.jobs TO worker", "excess_privilege"),
        ):
            _execute(shared, statement)
            assert cli.main(["db_verify", "--with-dagster"]) == 0
            assert lines()[-1].endswith(f" warnings={warnings}")
    finally:
        _execute(shared, "DROP OWNED BY worker CASCADE", "DROP ROLE worker")


@pytest.mark.slow
def test_web_server_and_daemon_work_in_a_schema_of_dagsters_own(
    shared: Database, tmp_path: Path, lines: Lines
) -> None:
    _execute(shared, "CREATE SCHEMA dagster")
    dagster = f"{shared.dsn}&{ITS_OWN}"
    deployment = Deployment(tmp_path, {"OPS_POSTGRES_DSN": shared.dsn, "DAGSTER_POSTGRES_DSN": dagster})
    selector = {
        "repositoryLocationName": "ops_pipeline",
        "repositoryName": "__repository__",
        "jobName": "db_verify",
    }
    launch = "mutation ($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename } }"
    runs = "query { runsOrError { ... on Runs { results { status } } } }"
    try:
        for unit in ("code", "webserver", "daemon"):
            deployment.start(unit)
        deployment.ask(launch, p={"selector": selector, "runConfigData": "{}", "mode": "default"})
        eventually(
            lambda: deployment.ask(runs)["runsOrError"]["results"] == [{"status": "SUCCESS"}], "no run succeeds"
        )
    finally:
        deployment.stop()
    assert _tables(shared, "public") == ["alembic_version"]
