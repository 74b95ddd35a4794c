"""What is past its date goes, whole; what is not counted stays; and what was dropped stays counted."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import text

from ops_pipeline.cli import main as cli
from ops_pipeline.contract.config import HISTORY_DAYS
from ops_pipeline.contract.days import each_day, last_complete_day
from ops_pipeline.definitions import definitions
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.store.partitions import ensure_partitions, partitioned_days
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.counting import count_days

DAY = last_complete_day()
KEEP = 35
OLD = [DAY - timedelta(days=ago) for ago in range(39, KEEP - 1, -1)]
"""The days past their date, oldest first."""
_RETENTION = [sys.executable, "-m", "ops_pipeline.tools.retention"]


def _configure(monkeypatch: pytest.MonkeyPatch, folder: Path, **days: object) -> None:
    values = "\n".join(f"{name} = {found!r}" for name, found in {"runs_days": "off", **days}.items())
    path = folder / "config.toml"
    path.write_text(f"[retention]\n{values}\n")
    monkeypatch.setenv("OPS_CONFIG", str(path))


def _deliver(database: Database, day: date, events: int) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO ops.delivery_events (occurred_at, touch, outcome)"
                " SELECT CAST(:at AS timestamptz), 'first', 'delivered' FROM generate_series(1, :events)"
            ),
            {"at": f"{day} 12:00+00", "events": events},
        )


@pytest.fixture
def old(prod: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Database:
    """Forty counted days with partitions of their own, of which the first five are past their date."""
    monkeypatch.setenv("OPS_FIRST_DAY", OLD[0].isoformat())
    with prod.engine.begin() as connection:
        ensure_partitions(connection, each_day(OLD[0], DAY))
    for number, day in enumerate(each_day(OLD[0], DAY)):
        _deliver(prod, day, 100 + number)
    count_days(prod, list(each_day(OLD[0], DAY)))
    _configure(monkeypatch, tmp_path, events_days=KEEP)
    return prod


def _partitions(database: Database) -> list[date]:
    with database.engine.connect() as connection:
        return [day for day in partitioned_days(connection) if day <= DAY]


def _counted(database: Database, day: date) -> int:
    with database.engine.connect() as connection:
        events = text("SELECT sum(events) FROM ops.daily_counts WHERE utc_day = :day")
        return int(connection.scalar(events, {"day": day}) or 0)


def _expired_line(
    dropped: int = 0, kept: int = 0, oldest: date | None = OLD[0], expired: int = 5, late: int = 0
) -> str:
    found = f"keep_days={KEEP} expired={expired} oldest={oldest or 'none'} dropped={dropped} kept={kept} late={late}"
    return f"retention_expired kind=events {found}"


def test_where_everything_is_kept_nothing_goes_and_that_is_no_ok(
    prod: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: Lines
) -> None:
    _configure(monkeypatch, tmp_path)
    assert cli.main(["retention", "--apply"]) == 1
    assert lines() == ["retention status=fail reason=no_retention"]


def test_without_a_database_it_is_never_ok(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: Lines) -> None:
    _configure(monkeypatch, tmp_path, events_days=KEEP)
    assert cli.main(["retention", "--apply"]) == 1
    assert lines() == ["retention status=fail reason=missing_env missing=DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN"]


def test_a_typo_drops_nothing(prod: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: Lines) -> None:
    for days in (0, -5, 1, KEEP - 1, 90.0, "90", "30d", 36_501):
        for name in ("events_days", "counts_days", "runs_days"):
            _configure(monkeypatch, tmp_path, **{name: days})
            assert cli.main(["retention", "--apply"]) == 1
            (line,) = lines()
            said = (
                rf"retention status=fail reason=invalid_config line=[23] key=retention.{name} expected=days_in_range"
            )
            assert re.fullmatch(said, line), (name, days, line)


def test_runs_are_kept_for_ninety_days_unless_configured(prod: Database, lines: Lines) -> None:
    assert cli.main(["retention"]) == 0
    assert lines() == [
        "retention_expired kind=runs keep_days=90 expired=0 oldest=none dropped=0 kept=0",
        "retention status=ok mode=dry_run dropped=0 kept_days=none counts=0 runs=0",
    ]


def test_a_dry_run_says_what_would_go_and_changes_nothing(old: Database, lines: Lines) -> None:
    assert cli.main(["retention"]) == 0
    assert lines() == [
        _expired_line(),
        f"retention status=ok mode=dry_run dropped=0 kept_days={KEEP} counts=0 runs=0",
    ]
    assert _partitions(old)[0] == OLD[0]


@pytest.mark.slow
def test_days_past_their_date_go_whole_and_stay_counted(old: Database, lines: Lines) -> None:
    before = [_counted(old, day) for day in OLD]
    assert cli.main(["retention", "--apply"]) == 0
    assert lines() == [
        _expired_line(dropped=5),
        f"retention status=ok mode=apply dropped=5 kept_days={KEEP} counts=0 runs=0",
    ]
    assert _partitions(old) == list(each_day(DAY - timedelta(days=KEEP - 1), DAY))
    assert cli.main(["retention", "--apply"]) == 0
    assert lines()[0] == _expired_line(expired=0, oldest=None)
    # Whoever asks for such a day again, late event or not, loses no count.
    _deliver(old, OLD[1], 1)
    assert cli.main(["backfill", f"--from={OLD[0]}", "--again", "--quiet"]) == 0
    assert cli.main(["ops_daily", "--mode=prod", f"--as-of={OLD[1]}", "--quiet"]) in (0, 2)
    assert [_counted(old, day) for day in OLD] == before == [100, 101, 102, 103, 104]
    lines()
    assert cli.main(["retention", "--apply"]) == 0
    assert lines()[0] == _expired_line(expired=0, oldest=None, late=1)
    assert cli.main(["db_verify"]) == 0


def test_a_day_that_is_not_counted_is_kept_and_somebody_has_to_act(old: Database, lines: Lines) -> None:
    _deliver(old, OLD[2], 1)
    with old.engine.begin() as connection:
        connection.execute(text("DELETE FROM ops.daily_counts WHERE utc_day = :day"), {"day": OLD[3]})
    for arguments, dropped in ((["retention"], 0), (["retention", "--apply"], 3)):
        assert cli.main(arguments) == 1
        assert lines() == [
            _expired_line(dropped=dropped, kept=2, oldest=OLD[2]),
            f"retention status=fail reason=not_rolled_up days=2 oldest={OLD[2]}",
        ]
    assert _partitions(old)[:3] == [OLD[2], OLD[3], OLD[4] + timedelta(days=1)]
    assert cli.main(["backfill", f"--from={OLD[2]}", f"--to={OLD[3]}", "--again", "--quiet"]) == 0
    lines()
    assert cli.main(["retention", "--apply"]) == 0
    assert lines()[0] == _expired_line(dropped=2, expired=2, oldest=OLD[2])
    assert [_counted(old, OLD[2]), _counted(old, OLD[3])] == [103, 103]


def test_an_old_file_does_not_bring_dropped_days_back(old: Database, lines: Lines, tmp_path: Path) -> None:
    assert cli.main(["retention", "--apply", "--quiet"]) == 0
    lines()
    path = tmp_path / "old.csv"
    path.write_text(f"occurred_at,touch,outcome\n{OLD[0]}T12:00:00Z,first,delivered\n")
    assert cli.main(["events", "import", str(path)]) == 1
    assert lines()[0] == "events_import_rejected file=1 rejected=1 reason=out_of_range"
    assert OLD[0] not in _partitions(old)


def test_events_elsewhere_are_not_ours_to_drop(old: Database, monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    monkeypatch.setenv("OPS_EVENTS_RELATION", "app.events")
    assert cli.main(["retention", "--apply"]) == 0
    assert lines() == ["retention status=ok mode=apply dropped=0 kept_days=none counts=0 runs=0"]
    assert _partitions(old)[0] == OLD[0]


@pytest.mark.slow
def test_who_is_writing_an_old_day_is_not_disturbed(old: Database, lines: Lines) -> None:
    with old.engine.connect() as connection, connection.begin():
        connection.execute(
            text("INSERT INTO ops.delivery_events VALUES (CAST(:at AS timestamptz), 'first', 'delivered')"),
            {"at": f"{OLD[0]} 12:00+00"},
        )
        assert cli.main(["retention", "--apply"]) == 1
        assert lines() == ["retention status=fail reason=lock_timeout"]
    assert _partitions(old)[0] == OLD[0]


@pytest.mark.slow
def test_two_at_once_drop_each_day_once(old: Database) -> None:
    with ThreadPoolExecutor(2) as pool:
        ended = list(
            pool.map(
                lambda _: subprocess.run([*_RETENTION, "--apply"], capture_output=True, text=True, timeout=120),
                range(2),
            )
        )
    assert [(one.returncode, one.stderr) for one in ended] == [(0, "")] * 2
    dropped = [int(one.stdout.split(" dropped=")[-1].split()[0]) for one in ended]
    assert sum(dropped) == 5
    assert _partitions(old)[0] == OLD[-1] + timedelta(days=1)


@pytest.mark.slow
def test_killed_in_between_it_has_dropped_whole_days_and_goes_on(old: Database, lines: Lines) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with old.engine.connect() as connection, connection.begin():
        connection.execute(text(f"LOCK TABLE ops.delivery_events_{OLD[2]:%Y%m%d} IN ROW EXCLUSIVE MODE"))
        process = subprocess.Popen([*_RETENTION, "--apply"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with old.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watching:
            while not watching.scalar(waiting):
                watching.execute(text("SELECT pg_sleep(0.02)"))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert _partitions(old)[0] == OLD[2]
    assert cli.main(["retention", "--apply"]) == 0
    assert lines()[0] == _expired_line(dropped=3, expired=3, oldest=OLD[2])


def test_old_counts_go_with_their_verdicts_and_cannot_be_asked_for_any_more(
    old: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: Lines
) -> None:
    gone = DAY - timedelta(days=HISTORY_DAYS)
    monkeypatch.setenv("OPS_FIRST_DAY", (gone - timedelta(days=30)).isoformat())
    with old.engine.begin() as connection:
        count = "INSERT INTO ops.daily_counts (utc_day, touch, outcome, events) VALUES (:day, 'first', 'offered', 9)"
        connection.execute(text(count), [{"day": gone}, {"day": gone + timedelta(days=1)}])
    _configure(monkeypatch, tmp_path, counts_days=HISTORY_DAYS)
    expected = f"retention_expired kind=counts keep_days={HISTORY_DAYS} expired=1 oldest={gone}"
    assert cli.main(["retention"]) == 0
    assert lines()[0] == f"{expected} dropped=0 kept=0"
    assert cli.main(["retention", "--apply"]) == 0
    assert lines() == [
        f"{expected} dropped=1 kept=0",
        "retention status=ok mode=apply dropped=0 kept_days=none counts=1 runs=0",
    ]
    assert [_counted(old, gone), _counted(old, gone + timedelta(days=1))] == [0, 9]
    assert cli.main(["ops_daily", "--mode=prod", f"--as-of={gone}"]) == 1
    assert cli.main(["backfill", f"--from={gone}", f"--to={gone}"]) == 1
    assert [line.partition("reason=")[2] for line in lines()] == ["day_before_first"] * 2


def test_old_runs_go_and_their_days_stay_shown_as_done(
    prod: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: Lines
) -> None:
    _deliver(prod, DAY, 100)
    monkeypatch.setenv("OPS_FIRST_DAY", (DAY - timedelta(days=9)).isoformat())
    for day in (DAY, DAY - timedelta(days=1)):
        assert cli.main(["ops_daily", "--mode=prod", f"--as-of={day}", "--quiet"]) in (0, 2)
    with prod.engine.begin() as connection:
        # Of the two, the older one.
        connection.execute(
            text("UPDATE runs SET create_timestamp = :old WHERE partition = :day"),
            {"old": datetime.now(UTC).replace(tzinfo=None) - timedelta(days=40), "day": DAY.isoformat()},
        )
    lines()
    _configure(monkeypatch, tmp_path, runs_days=KEEP)
    assert cli.main(["retention"]) == 0
    assert " expired=1 " in lines()[0]
    assert cli.main(["retention", "--apply"]) == 0
    assert lines()[-1] == "retention status=ok mode=apply dropped=0 kept_days=none counts=0 runs=1"
    with configured_instance() as instance:
        (run,) = instance.get_runs()
        assert run.tags["dagster/partition"] == str(DAY - timedelta(days=1))
        for asset in ("daily_counts", "delivered_totals"):
            assert str(DAY) in instance.get_materialized_partitions(dg.AssetKey(asset))
    with prod.engine.connect() as connection:
        events = connection.scalar(text("SELECT count(DISTINCT run_id) FROM event_logs WHERE run_id <> ''"))
    assert events == 1


def _schedule_context(instance: dg.DagsterInstance) -> dg.ScheduleEvaluationContext:
    return dg.build_schedule_context(instance=instance, resources={"deployment": Deployment()})


def test_the_job_is_a_dry_run_unless_told_and_its_schedule_asks_only_where_something_is_configured(
    old: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    defs = definitions()
    schedule = defs.get_schedule_def("retention_schedule")
    with configured_instance() as instance, _schedule_context(instance) as context:
        (request,) = schedule.evaluate_tick(context).run_requests
        job = defs.resolve_job_def("retention")
        assert job.execute_in_process(instance=instance).success
        assert _partitions(old)[0] == OLD[0]
        assert job.execute_in_process(run_config=request.run_config, instance=instance).success
        assert _partitions(old)[0] == OLD[-1] + timedelta(days=1)
    _configure(monkeypatch, tmp_path)
    with configured_instance() as instance, _schedule_context(instance) as context:
        assert not schedule.evaluate_tick(context).run_requests
        failed = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not failed.success
    assert Deployment().settings().retention.is_set is False
