"""`ops_daily`: the day's lines, exit codes, and what a run leaves behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from sqlalchemy import text

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.tokens import Label
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.store.embedded import EmbeddedServer
from ops_pipeline.tools.ops_daily import main
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.traffic import healthy_traffic, send

DAY = last_complete_day()
ARGUMENTS = ["--mode=prod", f"--as-of={DAY}"]
RESULT_TABLES = ("daily_counts", "delivered_totals", "hold_suppression_rates", "second_touch_summaries", "verdicts")

INVALID = "reason=invalid_env invalid="


def _rows(database: Database) -> dict[str, list[object]]:
    """Return all result rows except when they were computed."""
    with database.engine.connect() as connection:
        return {
            table: connection.scalars(
                text(f"SELECT (to_jsonb(t) - 'computed_at')::text FROM ops.{table} t ORDER BY 1")  # noqa: S608
            ).all()
            for table in RESULT_TABLES
        }


@dataclass(frozen=True)
class HealthyDay:
    """What `ops_daily` made of a healthy day, which is the last complete one and nothing that was asked for."""

    code: int
    printed: list[str]
    runs: Sequence[dg.DagsterRun]
    checks: dict[tuple[str, str], tuple[bool, str, str | None]]
    """Of each check of an asset: whether it passed, its severity and its partition."""
    counted: set[str]
    """The days of which Dagster shows the counts."""


@pytest.fixture(scope="module")
def healthy_day(server: EmbeddedServer, in_production: Label) -> Iterator[HealthyDay]:
    """A healthy day that was run once, for all tests that only look at it."""
    name = Label("healthy_day")
    server.create_database(name, in_production)
    database = Database(server.dsn(name), server.engine(name))
    healthy_traffic(database)
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.redirect_stdout(io.StringIO()) as out:
        for variable in Name:
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        for variable in ("OPS_POSTGRES_DSN", "DAGSTER_POSTGRES_DSN"):
            monkeypatch.setenv(variable, database.dsn)
        code = main(["--mode=prod"])
        with configured_instance() as instance:
            runs = instance.get_runs()
            found = [
                record.event_log_entry.dagster_event.event_specific_data
                for run in runs
                for record in instance.get_records_for_run(
                    run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
                ).records
            ]
            counted = instance.get_materialized_partitions(dg.AssetKey("daily_counts"))
    checks = {
        (one.asset_key.to_user_string(), one.check_name): (one.passed, one.severity.value, one.partition)
        for one in found
    }
    yield HealthyDay(code, out.getvalue().splitlines(), runs, checks, counted)
    server.drop_database(name, even_in_use=True)


def test_a_healthy_day_prints_its_lines_in_order_and_exits_0(healthy_day: HealthyDay) -> None:
    assert healthy_day.code == 0
    printed = healthy_day.printed
    assert printed[0] == "ops_daily mode=strict reason=prod_configured"
    names = [line.split()[0] for line in printed[1:]]
    assert names == (
        ["ops_daily_totals"] * 2
        + ["ops_daily_rates"] * 4
        + ["ops_daily_second_touch"] * 2
        + ["ops_daily_signal"] * 13
        + ["ops_daily_watchdog", "ops_metrics_snapshot"]
    )
    assert f"ops_daily_totals as_of={DAY} window_days=7 delivered_total=560" in printed[1]
    assert printed[-2].startswith(f"ops_daily_watchdog status=healthy reason=within_limits as_of={DAY}")
    snapshot = json.loads(printed[-1].removeprefix("ops_metrics_snapshot "))
    assert (snapshot["schema_version"], snapshot["status"]) == (2, "healthy")


def test_a_day_done_again_gives_the_same_lines_and_the_same_rows(prod: Database, lines: Lines) -> None:
    healthy_traffic(prod)
    main(ARGUMENTS)
    first, rows = lines(), _rows(prod)
    main(ARGUMENTS)
    assert (lines(), _rows(prod)) == (first, rows)


def test_no_traffic_at_all_is_insufficient_data_and_exits_2_and_is_a_warning_to_a_monitoring_system(
    prod: Database, lines: Lines
) -> None:
    assert main(ARGUMENTS) == 2
    assert "ops_daily_watchdog status=insufficient_data reason=delivered_total_0 " in lines()[-2]
    assert main([*ARGUMENTS, "--format=nagios"]) == 1
    (line,) = lines()
    assert line.startswith("OPS_DAILY_WATCHDOG WARNING - status=insufficient_data reason=delivered_total_0 ")


def test_one_identity_leak_is_unhealthy_and_exits_2(prod: Database, lines: Lines) -> None:
    healthy_traffic(prod)
    with prod.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO ops.delivery_events VALUES (:at, 'second', 'disabled', 'identity_leak', NULL)"),
            {"at": datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)},
        )
    assert main(ARGUMENTS) == 2
    assert "ops_daily_watchdog status=unhealthy reason=identity_leak " in lines()[-2]


def test_a_verdict_that_late_data_makes_another_one_says_what_it_was_until_it_is_that_again(
    prod: Database, lines: Lines
) -> None:
    healthy_traffic(prod)
    assert main(ARGUMENTS) == 0
    assert lines()[-2].endswith(" since=none change=none previous_status=none")
    with prod.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO ops.delivery_events VALUES (:at, 'second', 'disabled', 'identity_leak', NULL)"),
            {"at": datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)},
        )
    for _ in range(2):
        assert main(ARGUMENTS) == 2
        assert lines()[-2].endswith(f" since={DAY} change=opened previous_status=healthy")
    with prod.engine.begin() as connection:
        connection.execute(text("DELETE FROM ops.delivery_events WHERE reason = 'identity_leak'"))
    assert main(ARGUMENTS) == 0
    assert lines()[-2].endswith(" since=none change=none previous_status=unhealthy")


def test_json_gives_the_same_fields_as_objects(prod: Database, lines: Lines, healthy_day: HealthyDay) -> None:
    healthy_traffic(prod)
    plain = [line.split()[0] for line in healthy_day.printed]
    main([*ARGUMENTS, "--json"])
    objects = [json.loads(line) for line in lines()]
    assert [one["line"] for one in objects] == plain
    assert objects[-2]["status"] == "healthy"
    assert objects[1]["delivered_total"] == 560


def test_the_run_is_seen_in_dagster_with_the_day_as_its_partition_and_every_check(healthy_day: HealthyDay) -> None:
    (run,) = healthy_day.runs
    assert (run.job_name, run.status) == ("ops_daily", dg.DagsterRunStatus.SUCCESS)
    assert run.tags["dagster/partition"] == DAY.isoformat()
    healthy, too_little = (True, "ERROR", DAY.isoformat()), (False, "WARN", DAY.isoformat())
    assert healthy_day.checks == {
        ("daily_counts", "watchdog"): healthy,
        ("daily_counts", "identity_leak"): healthy,
        ("daily_counts", "funnel"): healthy,
        ("daily_counts", "labels"): healthy,
        ("delivered_totals", "delivered_first"): healthy,
        ("delivered_totals", "positive_rate_first"): healthy,
        ("hold_suppression_rates", "hold_rate_first"): healthy,
        ("hold_suppression_rates", "suppression_rate_first"): healthy,
        ("hold_suppression_rates", "failure_rate_first"): too_little,
        ("second_touch_summaries", "delivered_second"): too_little,
        ("second_touch_summaries", "hold_rate_second"): too_little,
        ("second_touch_summaries", "suppression_rate_second"): too_little,
        ("second_touch_summaries", "failure_rate_second"): too_little,
        ("second_touch_summaries", "positive_rate_second"): too_little,
    }


def test_an_unhealthy_check_has_severity_error_and_does_not_fail_the_run(prod: Database) -> None:
    with prod.engine.begin() as connection:
        send(connection, 50, "attempted")
        send(connection, 40, "held", "rate_limited")
    main(ARGUMENTS)
    with configured_instance() as instance:
        (run,) = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.SUCCESS
        records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
        data = [record.event_log_entry.dagster_event.event_specific_data for record in records]
    (hold,) = [one for one in data if one.check_name == "hold_rate_first"]
    assert (hold.passed, hold.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert hold.metadata["observed"].value == 0.8
    assert hold.metadata["reason"].value == "hold_rate_limit"
    assert "top=" in hold.metadata["next_step"].value


def test_earlier_days_counted_with_the_day_show_as_materialised(healthy_day: HealthyDay) -> None:
    assert {(DAY - timedelta(days=n)).isoformat() for n in range(91)} == healthy_day.counted


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        (
            {"OPS_POSTGRES_DSN": None, "DAGSTER_POSTGRES_DSN": None},
            "reason=missing_env missing=DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN",
        ),
        ({"DAGSTER_POSTGRES_DSN": None}, "reason=missing_env missing=DAGSTER_POSTGRES_DSN"),
        (
            {"OPS_POSTGRES_DSN": "'postgresql://u:s3cr3t@h/d'"},
            f"{INVALID}OPS_POSTGRES_DSN part=scheme",
        ),
        (
            {"DAGSTER_POSTGRES_DSN": "mysql://u:s3cr3t@h/d"},
            f"{INVALID}DAGSTER_POSTGRES_DSN part=scheme",
        ),
        ({"OPS_FIRST_DAY": "soon"}, f"{INVALID}OPS_FIRST_DAY part=day"),
        ({"OPS_CONFIG": "/no/such/file"}, "reason=invalid_config line=none key=none expected=file"),
    ],
)
def test_what_is_not_configured_is_said_by_name_and_nothing_runs(
    prod: Database,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str | None],
    fields: str,
) -> None:
    for name, value in changes.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    assert main(ARGUMENTS) == 1
    assert lines() == [f"ops_daily status=fail mode=strict {fields}"]
    assert not any(_rows(prod).values())


@pytest.mark.parametrize(
    ("as_of", "reason"),
    [
        ("yesterday", "invalid_day"),
        ("2026-02-30", "invalid_day"),
        ("20261107", "invalid_day"),
        ("", "invalid_day"),
        ("2999-01-01", "day_not_complete"),
        (datetime.now(UTC).date().isoformat(), "day_not_complete"),
        ("2025-12-31", "day_before_first"),
    ],
)
def test_a_day_that_cannot_be_asked_for_has_a_reason(prod: Database, lines: Lines, as_of: str, reason: str) -> None:
    assert main(["--mode=prod", f"--as-of={as_of}"]) == 1
    assert lines() == [f"ops_daily status=fail mode=strict reason={reason}"]


@pytest.mark.parametrize("arguments", [["--mode=verfy"], ["--days", "-3"], ["--mode"], ["--no-such-option"], ["day"]])
def test_a_wrong_command_line_is_exit_1_and_never_2(lines: Lines, arguments: list[str]) -> None:
    assert main(arguments) == 1
    (line,) = lines()
    assert line.startswith("ops_daily status=fail reason=usage")


def test_a_database_that_was_not_bootstrapped_has_a_reason(
    empty_database: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_POSTGRES_DSN", empty_database.dsn)
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", empty_database.dsn)
    assert main(ARGUMENTS) == 1
    assert lines()[-1] == "ops_daily status=fail mode=strict reason=missing_tables"


def test_a_database_that_does_not_answer_has_a_reason(
    prod: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_POSTGRES_DSN", "postgresql://ops:s3cr3t@127.0.0.1:1/ops")
    assert main(ARGUMENTS) == 1
    assert (
        lines()[-1] == "ops_daily status=fail mode=strict reason=db_connect_failed cause=refused dsn=OPS_POSTGRES_DSN"
    )


def test_an_events_relation_that_is_not_there_has_a_reason(
    prod: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_EVENTS_RELATION", "app.events")
    assert main(ARGUMENTS) == 1
    assert lines()[-1] == "ops_daily status=fail mode=strict reason=events_relation_missing"
    assert not any(_rows(prod).values())


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_a_run_says_so_and_leaves_the_day_as_it_was(
    prod: Database, way: signal.Signals
) -> None:
    healthy_traffic(prod)
    main(ARGUMENTS)
    before = _rows(prod)
    with prod.engine.begin() as connection:
        send(connection, 5, "delivered")
    with psycopg.connect(prod.dsn) as blocker:
        # The day's old totals can be read but not replaced: the run stops right there.
        blocker.execute("LOCK TABLE ops.delivered_totals IN SHARE MODE")
        run = subprocess.Popen(
            [sys.executable, "-m", "ops_pipeline.tools.ops_daily", *ARGUMENTS],
            env={**os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        _wait_until_blocked(prod)
        run.send_signal(way)
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    assert output.splitlines()[-1] == "ops_daily status=fail mode=strict reason=interrupted"
    assert len(output.splitlines()) == 2
    # Counts, figures and verdict change together or not at all.
    assert _rows(prod) == before


def _wait_until_blocked(database: Database) -> None:
    """Return once a session of the pipeline waits for a lock."""
    deadline = datetime.now(UTC) + timedelta(seconds=60)
    with psycopg.connect(database.dsn, autocommit=True) as watcher:
        while datetime.now(UTC) < deadline:
            waiting = watcher.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database() AND application_name = 'ops_pipeline'"
            ).fetchone()
            if waiting and waiting[0]:
                return
            # Who asks all the time takes the processor from whom it waits for.
            watcher.execute("SELECT pg_sleep(0.05)")
    pytest.fail("no session of the pipeline ever waited")


def test_the_default_day_is_the_last_complete_one(healthy_day: HealthyDay) -> None:
    assert f" as_of={DAY} " in healthy_day.printed[-2]


def test_quiet_says_nothing_of_a_healthy_day_and_of_another_the_verdict(prod: Database, lines: Lines) -> None:
    healthy_traffic(prod)
    assert main([*ARGUMENTS, "--quiet"]) == 0
    assert lines() == []
    with prod.engine.begin() as connection:
        send(connection, 1, "held", "identity_leak")
    assert main([*ARGUMENTS, "--quiet"]) == 2
    (line,) = lines()
    assert line.startswith("ops_daily_watchdog status=unhealthy reason=identity_leak ")


def test_a_monitoring_system_gets_one_line_figures_and_its_own_codes(prod: Database, lines: Lines) -> None:
    nagios = [*ARGUMENTS, "--format=nagios"]
    healthy_traffic(prod)
    assert main(nagios) == 0
    (line,) = lines()
    said, figures = line.split(" | ")
    assert said.startswith(f"OPS_DAILY_WATCHDOG OK - status=healthy reason=within_limits as_of={DAY} ")
    assert "delivered_7d=560;;;0;" in figures.split(" ")
    assert "first_positive_rate=0.5000;;0.2000:;0;" in figures.split(" ")
    assert "second_hold_rate=U;;0.3500;0;" in figures.split(" ")
    with prod.engine.begin() as connection:
        send(connection, 1, "held", "identity_leak")
    assert main(nagios) == 2
    assert lines()[0].startswith("OPS_DAILY_WATCHDOG CRITICAL - status=unhealthy reason=identity_leak ")
    assert main(["--format=nagios", "--mode=prod", "--as-of=2999-01-01"]) == 3
    assert lines() == ["OPS_DAILY UNKNOWN - status=fail mode=strict reason=day_not_complete"]


def test_declared_segments_are_broken_down_and_late_data_gives_no_small_cell_away(
    prod: Database, lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ops.toml").write_text('[taxonomy]\nsegments = ["email", "sms"]\n')
    monkeypatch.setenv("OPS_CONFIG", str(tmp_path / "ops.toml"))

    def deliver(count: int, segment: str) -> None:
        with prod.engine.begin() as connection:
            statement = (
                "INSERT INTO ops.delivery_events SELECT CAST(:day AS timestamptz) + interval '12 hours', 'first',"
                " 'delivered', NULL, :segment FROM generate_series(1, :count)"
            )
            connection.execute(text(statement), {"day": DAY, "segment": segment, "count": count})

    def printed() -> list[str]:
        main(ARGUMENTS)
        return [line.partition(" delivered=")[2] for line in lines() if line.startswith("ops_daily_segments")]

    deliver(100, "email")
    deliver(4, "sms")
    deliver(40, f"to_{'john'}")
    assert printed() == ["144 delivered_by=email:100 other=44", "0 delivered_by=none other=lt10"]
    deliver(3, "email")
    assert printed()[0] == "147 delivered_by=email:100 other=47"
    deliver(20, "email")
    deliver(30, "sms")
    assert printed()[0] == "197 delivered_by=email:123 other=74"
    # The whole day is told as it is stored, and nobody is named.
    with prod.engine.connect() as connection:
        stored = connection.scalars(text("SELECT DISTINCT segment FROM ops.daily_counts WHERE segment IS NOT NULL"))
        assert set(stored) == {"email", "sms", "undeclared"}
