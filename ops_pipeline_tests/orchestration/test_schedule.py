"""The schedule heals: days that were missed or failed are asked for again, and late data is looked for."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg
import pytest
from dagster._core.errors import DagsterError
from sqlalchemy import text

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.definitions import definitions
from ops_pipeline.orchestration import jobs
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline_tests.conftest import Database
from ops_pipeline_tests.traffic import healthy_traffic

# A day ago, so that tomorrow can be tried too.
TODAY = last_complete_day()


@dataclass
class Daemon:
    """Ticks of the schedule on real storage, on days that the test chooses; runs are done when it says so."""

    instance: dg.DagsterInstance
    repository: dg.RepositoryDefinition
    set_today: Callable[[date], None]

    def tick(self, *, days_later: int = 0) -> list[dg.RunRequest]:
        self.set_today(TODAY + timedelta(days=days_later))
        schedule = self.repository.get_schedule_def("ops_daily_schedule")
        resources = {"deployment": Deployment()}
        with dg.build_schedule_context(
            instance=self.instance, repository_def=self.repository, resources=resources
        ) as context:
            return list(schedule.evaluate_tick(context).run_requests or [])

    def run(self, requests: list[dg.RunRequest]) -> list[bool]:
        job = self.repository.get_job("ops_daily")
        return [
            job.execute_in_process(
                instance=self.instance, partition_key=request.partition_key, raise_on_error=False
            ).success
            for request in requests
        ]


@pytest.fixture
def daemon(prod: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    healthy_traffic(prod)

    def set_today(today: date) -> None:
        monkeypatch.setattr(jobs, "last_complete_day", lambda: today - timedelta(days=1))

    with configured_instance() as instance:
        yield Daemon(instance, definitions().get_repository_def(), set_today)


def _ago(*days: int) -> list[str]:
    return [str(TODAY - timedelta(days=ago)) for ago in days]


def _days(requests: list[dg.RunRequest]) -> list[str | None]:
    return [request.partition_key for request in requests]


def test_it_runs_at_three_by_utc_and_is_on_unless_switched_off() -> None:
    schedule = definitions().get_repository_def().get_schedule_def("ops_daily_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * *", "UTC")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_new_installation_asks_for_a_week_oldest_first_and_for_no_day_before_the_first(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _days(daemon.tick()) == _ago(7, 6, 5, 4, 3, 2, 1)
    monkeypatch.setenv("OPS_FIRST_DAY", _ago(2)[0])
    assert _days(daemon.tick()) == _ago(2, 1)
    monkeypatch.setenv("OPS_FIRST_DAY", str(TODAY))
    assert _days(daemon.tick()) == []


def test_a_tick_that_is_doubled_or_made_up_for_asks_for_the_same_runs(daemon: Daemon) -> None:
    first, again, next_day = daemon.tick(), daemon.tick(), daemon.tick(days_later=1)
    assert [request.run_key for request in first] == [request.run_key for request in again]
    assert len({request.run_key for request in (*first, *next_day)}) == 14


@pytest.mark.slow
def test_once_done_a_day_is_done_again_while_its_events_may_be_late_and_then_no_more(daemon: Daemon) -> None:
    assert all(daemon.run(daemon.tick()))
    assert _days(daemon.tick()) == _ago(3, 2, 1)
    assert _days(daemon.tick(days_later=1)) == _ago(2, 1, 0)


@pytest.mark.slow
def test_after_days_of_downtime_every_missed_day_is_made_up_for_and_right(daemon: Daemon, prod: Database) -> None:
    assert all(daemon.run(daemon.tick(days_later=-5)))
    missed = daemon.tick()
    assert _days(missed) == _ago(5, 4, 3, 2, 1)
    assert all(daemon.run(missed))
    with prod.engine.connect() as connection:
        judged = connection.scalars(text("SELECT utc_day FROM ops.verdicts WHERE position = 0 ORDER BY 1")).all()
    assert [str(day) for day in judged][-5:] == _ago(5, 4, 3, 2, 1)
    # Every check has its result on its own day.
    for key in definitions().resolve_asset_graph().asset_check_keys:
        records = daemon.instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
        of_days = [record.partition for record in records]
        assert set(_ago(5, 4, 3, 2, 1)) <= set(of_days)
        assert len(of_days) == len(set(of_days))


@pytest.mark.slow
def test_a_day_that_failed_is_asked_for_the_next_day_and_when_it_succeeds_no_more(
    daemon: Daemon, prod: Database
) -> None:
    assert all(daemon.run(daemon.tick(days_later=-3)))
    with prod.engine.begin() as connection:
        connection.execute(text("ALTER TABLE ops.verdicts RENAME TO away"))
    # Its assets are there, its verdict is not.
    assert daemon.run([dg.RunRequest(partition_key=_ago(6)[0])]) == [False]
    with prod.engine.begin() as connection:
        connection.execute(text("ALTER TABLE ops.away RENAME TO verdicts"))
    tick = daemon.tick()
    assert _days(tick) == _ago(6, 3, 2, 1)
    assert all(daemon.run(tick[:1]))
    assert _ago(6)[0] not in _days(daemon.tick())


def test_how_far_back_it_looks_can_be_configured(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("settings") / "ops.toml"
    path.write_text("[schedule]\ndays = 2\nlate_days = 0\n")
    monkeypatch.setenv("OPS_CONFIG", str(path))
    assert all(daemon.run(daemon.tick()))
    assert daemon.tick() == []


def test_a_tick_that_cannot_look_is_a_word(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_CONFIG", "/no/such/file")
    with pytest.raises(DagsterError) as caught:
        daemon.tick()
    assert str(caught.value.__cause__) == "invalid_config"
    assert "/no/such" not in "".join(traceback.format_exception(caught.value))
