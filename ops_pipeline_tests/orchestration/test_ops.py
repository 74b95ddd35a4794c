"""The operator's tools as jobs: what the UI shows is what the tool would print."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from ops_pipeline.definitions import definitions
from ops_pipeline.store.migrate import downgrade
from ops_pipeline_tests.conftest import REVISIONS, Database
from ops_pipeline_tests.traffic import healthy_traffic, send


class Jobs:
    """Runs jobs as the UI does, on an instance of their own."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._definitions = definitions()

    def run(self, name: str, config: dict[str, object] | None = None) -> tuple[bool, list[str]]:
        """Run a job; return whether it succeeded, and what it logged or failed with."""
        job = self._definitions.resolve_job_def(name)
        done = job.execute_in_process(instance=self.instance, run_config=config or {}, raise_on_error=False)
        said = []
        for entry in self.instance.all_logs(done.run_id):
            event = entry.dagster_event
            if event is None:
                said.append(entry.user_message)
            elif event.event_type is dg.DagsterEventType.STEP_FAILURE:
                failure = event.step_failure_data.user_failure_data
                assert failure is not None
                assert set(failure.metadata) == {"reason", "means", "next_step"}
                said.append(failure.description)
        return done.success, [one for one in said if " status=" in one]


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Jobs(instance)


def test_db_bootstrap_changes_nothing_unless_it_is_told_to(jobs: Jobs, prod: Database) -> None:
    downgrade(prod.engine, "0002")
    behind = f"db_verify status=fail reason=behind revision=0002 pending={len(REVISIONS) - 2} unrecorded=0"
    assert jobs.run("db_bootstrap") == (True, [f"db_bootstrap_dry_run status=ok migrations={len(REVISIONS)}"])
    assert jobs.run("db_verify") == (False, [behind])
    apply = {"mode": "apply_migrations"}
    assert jobs.run("db_bootstrap", apply) == (
        True,
        [f"db_bootstrap status=ok mode=apply_migrations applied={len(REVISIONS) - 2} skipped=2"],
    )
    success, (line,) = jobs.run("db_verify")
    assert success
    assert line.startswith(f"db_verify status=ok revision={REVISIONS[-1]} tables=")


def test_a_failed_bootstrap_says_what_the_tool_says_and_nothing_of_the_dsn(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_POSTGRES_DSN", "postgresql://ops:s3cr3t@127.0.0.1:1/ops")
    apply = {"mode": "apply_migrations"}
    failed = (
        "db_bootstrap status=fail mode=apply_migrations reason=db_connect_failed cause=refused dsn=OPS_POSTGRES_DSN"
    )
    assert jobs.run("db_bootstrap", apply) == (False, [failed])
    (run,) = jobs.instance.get_runs()
    stored = "".join(entry.to_json() for entry in jobs.instance.all_logs(run.run_id))
    assert not any(secret in stored for secret in ("s3cr3t", "127.0.0.1", "ops@"))


def test_prod_verify_connects_nowhere_unless_it_is_told_to(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPS_POSTGRES_DSN", "DAGSTER_POSTGRES_DSN"):
        monkeypatch.setenv(name, "postgresql://ops:s3cr3t@localhost:1/ops")
    config = "prod_verify step=config status=ok required=2"
    plan = f"prod_verify step=plan status=ok migrations={len(REVISIONS)}"
    assert jobs.run("prod_verify") == (True, [config, plan])
    failed = "prod_verify status=fail step=database reason=db_connect_failed cause=refused dsn=OPS_POSTGRES_DSN"
    assert jobs.run("prod_verify", {"mode": "verify"}) == (False, [config, plan, failed])


def test_prod_verify_runs_the_last_complete_day_and_fails_only_if_it_is_unhealthy(jobs: Jobs, prod: Database) -> None:
    success, said = jobs.run("prod_verify", {"mode": "verify"})
    assert success
    assert said[-1] == "prod_verify step=ops_daily status=insufficient_data reason=delivered_total_0"
    healthy_traffic(prod)
    success, said = jobs.run("prod_verify", {"mode": "verify"})
    assert (success, said[-1]) == (True, "prod_verify step=ops_daily status=healthy reason=within_limits")
    with prod.engine.begin() as connection:
        send(connection, 1, "held", "identity_leak")
    success, said = jobs.run("prod_verify", {"mode": "verify"})
    assert (success, said[-1]) == (False, "prod_verify status=fail step=ops_daily reason=identity_leak")


@pytest.mark.parametrize(
    ("job", "config"),
    [
        ("db_bootstrap", {"mode": "aply"}),
        ("prod_verify", {"mode": "verfy"}),
        ("prod_verify", {"mdoe": "verify"}),
    ],
)
def test_a_mode_that_there_is_not_starts_nothing(jobs: Jobs, job: str, config: dict[str, object]) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        jobs.run(job, config)
    assert jobs.instance.get_runs_count() == 0
