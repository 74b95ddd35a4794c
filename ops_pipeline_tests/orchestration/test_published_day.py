"""A run publishes a day as a whole: read once, written once, and small in Dagster's log."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest
from sqlalchemy import event, text

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.orchestration.daily_run import run_ops_daily
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.jobs import OPS_DAILY, daily_definitions
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.store.engine import ops_engine
from ops_pipeline_tests.conftest import Database
from ops_pipeline_tests.traffic import healthy_traffic

DAY = last_complete_day()
MOST_BYTES = 60_000


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said to the ops database by a run."""
    said: list[str] = []

    def listened() -> object:
        engine = ops_engine()
        event.listen(engine, "before_cursor_execute", lambda *arguments: said.append(arguments[2]))
        event.listen(engine, "commit", lambda _connection: said.append("COMMIT"))
        return engine

    monkeypatch.setattr("ops_pipeline.orchestration.resources.ops_engine", listened)
    return said


def test_the_history_is_read_once_and_the_day_is_written_in_one_transaction(
    prod: Database, statements: list[str]
) -> None:
    healthy_traffic(prod)
    with configured_instance() as instance:
        run_ops_daily(instance, DAY)
    assert len([one for one in statements if "FROM ops.daily_counts" in one and "bool_or" in one]) == 1
    first = next(number for number, one in enumerate(statements) if one.startswith("INSERT"))
    last = max(number for number, one in enumerate(statements) if one.startswith("INSERT"))
    assert "COMMIT" not in statements[first:last]
    assert {one.split()[2] for one in statements if one.startswith("INSERT")} == {
        "ops.daily_counts",
        "ops.delivered_totals",
        "ops.hold_suppression_rates",
        "ops.second_touch_summaries",
        "ops.verdicts",
    }


def _run_one(instance: dg.DagsterInstance, asset: str, day: date) -> dg.ExecuteInProcessResult:
    job = daily_definitions().resolve_job_def(OPS_DAILY)
    return job.execute_in_process(
        instance=instance, partition_key=day.isoformat(), asset_selection=[dg.AssetKey(asset)], raise_on_error=False
    )


def test_a_part_of_the_assets_publishes_the_whole_day_from_its_counts(prod: Database) -> None:
    healthy_traffic(prod)
    with configured_instance() as instance:
        _, verdict = run_ops_daily(instance, DAY)
        with prod.engine.begin() as connection:
            connection.execute(text("DELETE FROM ops.verdicts"))
            connection.execute(text("DELETE FROM ops.delivered_totals"))
        assert _run_one(instance, "hold_suppression_rates", DAY).success
    with prod.engine.connect() as connection:
        whole = connection.execute(text("SELECT status FROM ops.verdicts WHERE position = 0")).scalars().all()
        totals = connection.scalar(text("SELECT count(*) FROM ops.delivered_totals"))
    assert (whole, totals) == ([verdict.status], 9)


def test_figures_of_a_day_that_nobody_counted_are_not_zero(prod: Database) -> None:
    healthy_traffic(prod)
    with configured_instance() as instance:
        assert not _run_one(instance, "hold_suppression_rates", DAY).success
    with pytest.raises(OpsError) as caught:
        Deployment().published(DAY)
    assert caught.value.reason is Reason.NOT_COUNTED
    with prod.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM ops.hold_suppression_rates")) == 0


def test_a_run_leaves_little_in_dagsters_log_and_its_charts_are_there(prod: Database) -> None:
    healthy_traffic(prod)
    with configured_instance() as instance:
        run_ops_daily(instance, DAY)
        run_ops_daily(instance, DAY)
        newest = instance.get_runs(limit=1)[0].run_id
        charts = [
            record.asset_materialization.metadata["chart"].value
            for asset in ("daily_counts", "delivered_totals", "hold_suppression_rates", "second_touch_summaries")
            for record in instance.fetch_materializations(dg.AssetKey(asset), limit=1).records
            if record.asset_materialization
        ]
    with prod.engine.connect() as connection:
        size = text("SELECT sum(length(event)) FROM event_logs WHERE run_id = :run")
        assert 0 < connection.scalar(size, {"run": newest}) < MOST_BYTES
    assert [chart.count("data:image/svg+xml;base64,") for chart in charts] == [1, 1, 2, 1]


def test_a_run_keeps_the_configuration_that_it_began_with(prod: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = Deployment()
    before = deployment.settings()
    monkeypatch.setenv("OPS_CONFIG", "/no/such/file.toml")
    assert deployment.settings() is before
    with pytest.raises(OpsError):
        Deployment().settings()
