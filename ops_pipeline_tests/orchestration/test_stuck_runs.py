"""A run that was killed is marked by whoever comes next, and a run that lives never is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

import dagster as dg
import pytest
from sqlalchemy import Connection, text

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.orchestration import beats, daily_run, stuck_runs
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.jobs import has_failed
from ops_pipeline.orchestration.ops import db_verify
from ops_pipeline.orchestration.ownership import AT_ONCE, QUEUE_TAG
from ops_pipeline.orchestration.storage import STUCK_TEXT
from ops_pipeline.orchestration.stuck_runs import end_stuck, find_stuck
from ops_pipeline.tools import doctor
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.traffic import healthy_traffic

DAY = last_complete_day()
AN_HOUR = 3600


def _let_start_in(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what `start_timeout_seconds` of `dagster.yaml` sets."""
    monkeypatch.setattr(
        dg.DagsterInstance, "run_monitoring_start_timeout_seconds", property(lambda _self: seconds), raising=True
    )


@pytest.fixture
def instance(prod: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    # The tests' server has not run for a minute yet.
    monkeypatch.setattr(beats, "SILENT_SECONDS", 0)
    _let_start_in(0, monkeypatch)
    monkeypatch.setattr(stuck_runs, "SECOND_LOOK_SECONDS", 0)
    with configured_instance() as found:
        yield found


def _begin(instance: dg.DagsterInstance, *events: dg.DagsterEventType, **tags: str) -> str:
    """Begin a run as a process does that is killed: it has beaten once and beats no more."""
    run = instance.create_run_for_job(db_verify, tags=tags)
    for kind in events or (dg.DagsterEventType.RUN_STARTING,):
        instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name), run.run_id)
    return run.run_id


def _statuses(instance: dg.DagsterInstance) -> list[str]:
    return sorted(run.status.value for run in instance.get_runs())


def _beat_row(prod: Database, run_id: str) -> list[str]:
    query = text("SELECT value FROM run_tags WHERE run_id = :run AND key = :key")
    with prod.engine.connect() as connection:
        return list(connection.scalars(query, {"run": run_id, "key": beats.KEY}))


def test_a_run_that_is_silent_is_marked_as_failed_with_the_reason_and_nothing_else_is(
    instance: dg.DagsterInstance,
) -> None:
    run_id = _begin(instance)
    not_started = instance.create_run_for_job(db_verify)
    assert end_stuck(instance) == 1
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert [entry.message for entry in instance.all_logs(run_id)].count(STUCK_TEXT) == 1
    assert instance.get_run_by_id(not_started.run_id).status is dg.DagsterRunStatus.NOT_STARTED  # type: ignore[union-attr]
    assert end_stuck(instance) == 0


def test_a_run_that_somebody_was_cancelling_is_cancelled(instance: dg.DagsterInstance) -> None:
    _begin(instance, dg.DagsterEventType.RUN_STARTING, dg.DagsterEventType.RUN_CANCELING)
    assert end_stuck(instance) == 1
    assert _statuses(instance) == ["CANCELED"]


def test_a_run_that_beats_while_it_is_looked_at_is_not_marked(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = _begin(instance)
    its_beats = instance.run_storage.beats  # type: ignore[attr-defined]
    monkeypatch.setattr(time, "sleep", lambda _seconds: its_beats.note(run_id))
    assert end_stuck(instance) == 0
    assert _statuses(instance) == ["STARTING"]


def test_of_two_who_look_at_the_same_time_one_marks(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    _begin(instance)
    (silent,) = find_stuck(instance)
    its_beats = instance.run_storage.beats  # type: ignore[attr-defined]
    assert [its_beats.claim(silent), its_beats.claim(silent)] == [True, False]


def test_a_run_that_ends_while_it_is_looked_at_is_not_marked(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = _begin(instance)
    success = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, db_verify.name)
    monkeypatch.setattr(time, "sleep", lambda _seconds: instance.report_dagster_event(success, run_id))
    assert end_stuck(instance) == 0
    assert _statuses(instance) == ["SUCCESS"]


def test_whoever_could_not_speak_because_the_server_was_down_gets_a_minute(
    instance: dg.DagsterInstance, prod: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = _begin(instance)
    with prod.engine.begin() as connection:
        uptime = connection.scalar(text("SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())"))
        connection.execute(text(f"UPDATE run_tags SET value = '0' WHERE run_id = '{run_id}'"))  # noqa: S608
    _let_start_in(float(uptime) + AN_HOUR, monkeypatch)
    assert find_stuck(instance) == []


def test_a_run_beats_from_its_start_to_its_end_and_leaves_no_beat(
    instance: dg.DagsterInstance, prod: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy_traffic(prod)
    monkeypatch.setattr(beats, "BEAT_SECONDS", 0.01)
    seen: set[str] = set()
    forget = beats.Beats.forget

    def look(self: beats.Beats, run_id: str) -> None:
        while len(seen) < 2:
            seen.update(_beat_row(prod, run_id))
        forget(self, run_id)

    monkeypatch.setattr(beats.Beats, "forget", look)
    daily_run.run_ops_daily(instance, DAY)
    (run,) = instance.get_runs()
    assert len(seen) == 2
    assert _beat_row(prod, run.run_id) == []


def test_a_beat_that_cannot_be_written_is_tried_again(
    instance: dg.DagsterInstance, prod: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beats, "BEAT_SECONDS", 0.01)
    its_beats = instance.run_storage.beats  # type: ignore[attr-defined]
    connect, tries = its_beats._connect, []

    def unreachable_at_first() -> AbstractContextManager[Connection]:
        tries.append(1)
        if len(tries) in (2, 3):
            raise OSError
        return connect()  # type: ignore[no-any-return]

    monkeypatch.setattr(its_beats, "_connect", unreachable_at_first)
    run_id = _begin(instance, dg.DagsterEventType.RUN_START)
    first = _beat_row(prod, run_id)
    while _beat_row(prod, run_id) == first:
        pass
    assert len(tries) > 3
    instance.report_run_failed(instance.get_run_by_id(run_id))  # type: ignore[arg-type]


def test_a_command_does_not_wait_in_the_queue_and_says_nothing_of_being_tried_again(
    instance: dg.DagsterInstance, prod: Database
) -> None:
    healthy_traffic(prod)
    daily_run.run_ops_daily(instance, DAY)
    (run,) = instance.get_runs()
    assert run.tags[QUEUE_TAG] == AT_ONCE
    instance.report_run_failed(run, STUCK_TEXT)
    assert has_failed(instance, DAY)


def test_the_command_ops_daily_marks_what_is_stuck_first(instance: dg.DagsterInstance, prod: Database) -> None:
    healthy_traffic(prod)
    _begin(instance)
    daily_run.run_day_on_configured_instance(DAY)
    assert _statuses(instance) == ["FAILURE", "SUCCESS"]


def test_the_sensor_marks_what_is_stuck_without_any_address(instance: dg.DagsterInstance) -> None:
    _begin(instance)
    said = []
    for _ in range(2):
        with dg.build_sensor_context(instance=instance) as context:
            said.append(stuck_runs.stuck_runs.evaluate_tick(context).skip_message)
    assert said == ["marked 1", "no run is stuck"]


def test_an_instance_whose_storage_is_not_ours_is_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert (find_stuck(instance), end_stuck(instance)) == ([], 0)


def test_doctor_warns_of_a_run_that_is_stuck_and_mends_it(
    instance: dg.DagsterInstance, lines: Lines, prod: Database
) -> None:
    _begin(instance)
    with prod.engine.begin() as connection:
        connection.execute(text("UPDATE run_tags SET value = '0' WHERE key = :key"), {"key": beats.KEY})
    assert doctor.main(["--only=dagster"]) == 0
    part, last = lines()
    assert " stuck=1 stuck_seconds=" in part
    assert "run_stuck" in last
    assert doctor.main(["--only=dagster", "--mend"]) == 0
    part, last = lines()
    assert part.endswith(" stuck=0 stuck_seconds=none mended=1")
    assert "run_stuck" not in last
    assert doctor.main(["--only=days", "--mend"]) == 1
    assert lines() == ["doctor status=fail reason=usage option=mend"]
