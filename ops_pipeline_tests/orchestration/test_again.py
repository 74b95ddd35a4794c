"""A day that failed for what passes by itself is launched again within the hour, and one that cannot pass is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from ops_pipeline.contract.config import Schedule
from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.definitions import definitions
from ops_pipeline.orchestration.again import PAUSE, days_again
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.jobs import OPS_DAILY
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline_tests.conftest import Database
from ops_pipeline_tests.traffic import healthy_traffic

DAY = last_complete_day()
FIRST = date(2026, 1, 1)
CLOSED = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def instance(prod: Database) -> Iterator[dg.DagsterInstance]:
    healthy_traffic(prod)
    with configured_instance() as found:
        yield found


def _run(instance: dg.DagsterInstance, day: date = DAY, **tags: str) -> bool:
    job = definitions().get_repository_def().get_job(OPS_DAILY)
    return job.execute_in_process(
        instance=instance, partition_key=day.isoformat(), raise_on_error=False, tags=tags
    ).success


def _again(instance: dg.DagsterInstance, after: timedelta = PAUSE) -> list[date]:
    return list(days_again(instance, datetime.now(UTC) + after, FIRST, Schedule()))


def test_a_day_whose_database_was_away_is_launched_again_after_a_pause(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_EVENTS_DSN", CLOSED)
    assert not _run(instance)
    assert _again(instance, timedelta(0)) == []
    assert _again(instance) == [DAY]
    monkeypatch.delenv("OPS_EVENTS_DSN")
    assert _run(instance)
    assert _again(instance) == []


def test_a_day_that_fails_for_what_does_not_pass_waits_for_somebody(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_EVENTS_RELATION", "nobody.has_this")
    assert not _run(instance)
    assert _again(instance) == []


def test_a_day_whose_tick_failed_is_launched_where_the_schedule_asked_before(
    instance: dg.DagsterInstance,
) -> None:
    noon = datetime.combine(DAY + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=12)

    def overlooked(now: datetime) -> list[date]:
        return list(days_again(instance, now, FIRST, Schedule()))

    assert overlooked(noon) == []
    assert _run(instance, DAY - timedelta(days=1), **{"dagster/schedule_name": "ops_daily_schedule"})
    assert overlooked(noon - timedelta(hours=9)) == []
    assert overlooked(noon) == [DAY]


def test_the_sensor_asks_for_the_run_of_that_day_once(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops_pipeline.orchestration.again.PAUSE", timedelta(0))
    monkeypatch.setenv("OPS_EVENTS_DSN", CLOSED)
    assert not _run(instance)
    sensor = definitions().get_repository_def().get_sensor_def("ops_daily_again")
    for _ in range(2):
        with dg.build_sensor_context(
            instance=instance,
            resources={"deployment": Deployment()},
            repository_def=definitions().get_repository_def(),
        ) as context:
            (request,) = sensor.evaluate_tick(context).run_requests or []
        assert (request.partition_key, request.run_key) == (DAY.isoformat(), f"{DAY}_again_1")
