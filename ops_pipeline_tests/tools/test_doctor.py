"""`doctor`: all that a ticket needs, and nothing that may not be pasted into one."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorData,
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo
from sqlalchemy import text

from ops_pipeline.contract.days import last_complete_day, start_of
from ops_pipeline.contract.tokens import band
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.tools import ops_daily
from ops_pipeline.tools.doctor import main
from ops_pipeline_tests.conftest import REVISIONS, Database, Lines
from ops_pipeline_tests.traffic import healthy_traffic

DAY = last_complete_day()


def _by_name(printed: list[str]) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in printed)


def _beat(age_seconds: float) -> None:
    with configured_instance() as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - age_seconds, "SCHEDULER", "id", None))


def _state(name: str, status: InstigatorStatus, data: InstigatorData) -> InstigatorState:
    location = GrpcServerCodeLocationOrigin("localhost", 1, None, "ops_pipeline")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    kind = InstigatorType.SCHEDULE if isinstance(data, ScheduleInstigatorData) else InstigatorType.SENSOR
    return InstigatorState(origin, kind, status, data)


def _tick(
    sensor: str, age_seconds: float, error: str | None = None, status: InstigatorStatus = InstigatorStatus.RUNNING
) -> None:
    state = _state(sensor, status, SensorInstigatorData())
    with configured_instance() as instance:
        if not any(found.instigator_name == sensor for found in instance.all_instigator_state()):
            instance.add_instigator_state(state)
        instance.create_tick(
            TickData(
                state.instigator_origin_id,
                sensor,
                InstigatorType.SENSOR,
                TickStatus.FAILURE if error else TickStatus.SKIPPED,
                time.time() - age_seconds,
                selector_id=state.selector_id,
                error=SerializableErrorInfo("", [], error) if error else None,
            )
        )


def test_without_a_database_it_says_versions_and_names(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPS_RETRY_SECONDS")
    monkeypatch.setenv("OPS_FIRST_DAY", "nonsense")
    assert main([]) == 0
    found = _by_name(lines())
    assert list(found) == ["doctor_versions", "doctor_environment", "doctor"]
    assert re.fullmatch(r"(\w+=[0-9.]+ )+psycopg=[0-9.]+", found["doctor_versions"])
    assert found["doctor_environment"].startswith("set=OPS_FIRST_DAY not_set=DAGSTER_POSTGRES_DSN,")
    assert found["doctor_environment"].endswith(" invalid=OPS_FIRST_DAY part=day")
    assert found["doctor"] == "status=not_configured reason=missing_dsn"


def test_of_a_day_that_was_run_it_says_how_it_went(prod: Database, lines: Lines) -> None:
    healthy_traffic(prod)
    assert ops_daily.main(["--mode=prod"]) == 0
    _beat(1)
    _tick("heartbeat", 1)
    lines()
    assert main([]) == 0
    found = _by_name(lines())
    assert re.fullmatch(
        rf"status=ok postgres=[0-9.]+ revision={REVISIONS[-1]} tables=[0-9]+ partitions_until=[0-9-]{{10}}"
        " access=read_write",
        found["doctor_database"],
    )
    # A day without events that was rolled up is a day too.
    first = DAY - timedelta(days=90)
    age = int((datetime.now(UTC) - start_of(DAY + timedelta(days=1))).total_seconds() // 3600)
    assert found["doctor_days"] == (
        f"status=ok days=lt100 events=lt10000 first_day={first} last_day={DAY} verdict_day={DAY} verdict=healthy"
        f" age_hours={age} last_healthy_day={DAY}"
    )
    assert re.fullmatch(
        r"status=ok daemon=alive heartbeat_age_seconds=[0-9] schedule=unknown tick_age_hours=none"
        " code_server=answering stuck=0 stuck_seconds=none",
        found["doctor_dagster"],
    )
    # The tests' role is a superuser.
    assert found["doctor"] == "status=ok warnings=excess_privilege"


def test_what_nobody_has_run_for_days_is_overdue(prod: Database, lines: Lines) -> None:
    healthy_traffic(prod)
    assert ops_daily.main(["--mode=prod", f"--as-of={DAY - timedelta(days=2)}"]) == 0
    lines()
    assert main(["--format=nagios"]) == 1
    (line,) = lines()
    assert line == "DOCTOR WARNING - status=ok warnings=excess_privilege,day_overdue,daemon_silent"


def test_a_silent_daemon_and_a_schedule_that_is_off_are_named(prod: Database, lines: Lines) -> None:
    _beat(3600)
    state = _state("ops_daily_schedule", InstigatorStatus.STOPPED, ScheduleInstigatorData("0 3 * * *", None))
    with configured_instance() as instance:
        instance.add_instigator_state(state)
    assert main([]) == 0
    found = _by_name(lines())
    assert re.fullmatch(
        r"status=ok daemon=silent heartbeat_age_seconds=36[0-9]{2} schedule=stopped tick_age_hours=none"
        " code_server=never stuck=0 stuck_seconds=none",
        found["doctor_dagster"],
    )
    assert found["doctor"].endswith("day_overdue,daemon_silent,schedule_stopped")


UNREACHED = "DagsterUserCodeUnreachableError"


@pytest.mark.parametrize(
    ("ticks", "said"),
    [
        ([], "never"),
        ([("heartbeat", 4000)], "silent"),
        ([("heartbeat", 4000), ("alerts", 10)], "answering"),
        # It stopped between two questions, and the daemon could still ask.
        ([("heartbeat", 70), ("heartbeat", 10, UNREACHED), ("alerts", 10, UNREACHED)], "silent"),
        # The sensor failed: somebody ran it.
        ([("alerts", 10, "OpsError")], "answering"),
        ([("alerts", 4000, None, InstigatorStatus.STOPPED)], "unknown"),
        ([("somebody_elses", 10)], "never"),
    ],
    ids=["never", "silent", "one_answers", "unreached", "failed", "switched_off", "somebody_elses"],
)
def test_a_code_server_that_does_not_answer_a_living_daemon_is_named(
    prod: Database, lines: Lines, ticks: list[tuple[Any, ...]], said: str
) -> None:
    _beat(1)
    for tick in ticks:
        _tick(*tick)
    assert main([]) == 0
    found = _by_name(lines())
    assert f" code_server={said} " in found["doctor_dagster"]
    assert ("code_server_silent" in found["doctor"]) == (said in {"silent", "never"})


@pytest.mark.parametrize(
    ("change", "failed", "fields"),
    [
        ("DROP TABLE ops.verdicts", "doctor_database", "reason=missing_tables tables=verdicts"),
        ("UPDATE ops.alembic_version SET version_num = 'beef'", "doctor_database", "reason=unknown_revision"),
    ],
)
def test_the_first_fault_decides_and_the_other_parts_are_still_said(
    prod: Database, lines: Lines, change: str, failed: str, fields: str
) -> None:
    with prod.engine.begin() as connection:
        connection.execute(text(change))
    assert main([]) == 1
    found = _by_name(lines())
    assert found[failed] == f"status=fail {fields}"
    assert found["doctor"] == f"status=fail {fields}"
    assert {"doctor_versions", "doctor_environment", "doctor_days", "doctor_dagster"} <= set(found)


def test_a_database_that_cannot_be_reached_is_no_traceback_and_shows_no_secret(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPS_POSTGRES_DSN", "DAGSTER_POSTGRES_DSN"):
        monkeypatch.setenv(name, "postgresql://ops:s3cr3t@127.0.0.1:1/ops")
    assert main([]) == 1
    printed = lines()
    assert printed[-1] == "doctor status=fail reason=db_connect_failed cause=refused dsn=OPS_POSTGRES_DSN"
    assert "doctor_dagster status=fail reason=dagster_storage_unavailable cause=refused" in printed
    assert not any(secret in line for line in printed for secret in ("s3cr3t", "127.0.0.1"))


def test_half_a_configuration_is_named_first(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_POSTGRES_DSN", "postgresql://ops@localhost:1/ops")
    assert main(["--quiet"]) == 1
    assert lines() == ["doctor status=fail reason=missing_env missing=DAGSTER_POSTGRES_DSN"]


@pytest.mark.parametrize(
    ("count", "said"), [(0, "lt10"), (9, "lt10"), (10, "lt100"), (99, "lt100"), (100, "lt1000"), (12_345, "lt100000")]
)
def test_a_count_is_said_in_its_band_only(count: int, said: str) -> None:
    assert band(count) == said


def test_it_changes_nothing(database: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPS_POSTGRES_DSN", "DAGSTER_POSTGRES_DSN"):
        monkeypatch.setenv(name, database.dsn)

    def tables() -> list[str]:
        with database.engine.connect() as connection:
            return list(connection.scalars(text("SELECT oid::regclass::text FROM pg_class ORDER BY oid")))

    before = tables()
    assert main([]) == 0
    assert "dagster_storage_missing" in lines()[-1]
    assert tables() == before
