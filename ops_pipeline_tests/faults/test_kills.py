"""Whatever is killed, however often: in the end every row is what it would have been undisturbed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from ops_pipeline.contract.config import Config
from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.operations.publish import EventsSource, count_and_publish
from ops_pipeline.store.engine import writing
from ops_pipeline.store.partitions import ensure_partitions
from ops_pipeline_tests.conftest import PRINTED, Database
from ops_pipeline_tests.faults.processes import environment, production, run_tool

pytestmark = pytest.mark.slow

DAY = last_complete_day()
KILLS = 200
YEAR = 365
_TABLES = (
    "daily_counts",
    "delivered_totals",
    "hold_suppression_rates",
    "second_touch_summaries",
    "verdicts",
    "day_faults",
    "delivery_events",
    "intake_batches",
)
_OUTCOMES = (
    ("delivered", "", 60),
    ("acknowledged", "positive", 25),
    ("offered", "", 80),
    ("held", "rate_limited", 5),
)


def _rows(database: Database) -> dict[str, list[str]]:
    """Return every row of ours, without when it was computed."""
    with database.engine.connect() as connection:
        return {
            table: list(
                connection.scalars(
                    text(
                        "SELECT (to_jsonb(t) - ARRAY['computed_at', 'imported_at'])::text"  # noqa: S608
                        f" FROM ops.{table} t ORDER BY 1"
                    )
                )
            )
            for table in _TABLES
        }


def _write_days(folder: Path, days: int) -> list[str]:
    """Write a file of events for each of the last days, and return their names, oldest first."""
    chance = random.Random(18)  # noqa: S311 - the same events each time
    names = []
    for ago in reversed(range(days)):
        day = DAY - timedelta(days=ago)
        rows = ["occurred_at,touch,outcome,reason"]
        for outcome, reason, count in _OUTCOMES:
            # One day almost nothing arrives, and on another one an identity leaks.
            events = 1 if ago == days // 2 else count + chance.randrange(10)
            rows += [f"{day}T{number % 24:02}:00:00Z,first,{outcome},{reason}" for number in range(events)]
        if ago == 2:
            rows.append(f"{day}T12:00:00Z,first,held,identity_leak")
        names.append(f"{day}.csv")
        (folder / names[-1]).write_text("\n".join(rows) + "\n")
    return names


def test_two_hundred_kills_of_all_tools_leave_what_an_undisturbed_database_has(
    in_production: str,
    new_database: Callable[[str], Database],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    names = _write_days(tmp_path, 12)
    commands = [
        command
        for name in names
        for command in (
            ["events", "import", name],
            ["ops_daily", "--mode=prod", f"--as-of={name.removesuffix('.csv')}"],
            ["db_bootstrap", "apply_migrations", "--with-dagster"],
            ["backfill", f"--from={names[0].removesuffix('.csv')}", f"--to={name.removesuffix('.csv')}", "--again"],
            ["report", "--out=report.html"],
            ["doctor", "--mend"],
            ["alerts"],
        )
    ]
    # A day is judged once more when all its events are there: what was said before of half of them is no fault.
    final = [
        *(["events", "import", name] for name in names),
        ["backfill", f"--from={names[0].removesuffix('.csv')}", "--again", "--accept-shrink"],
    ]
    (tmp_path / "commands.json").write_text(json.dumps(commands))
    found = []
    for is_killed in (True, False):
        database = new_database(in_production)
        environ = production(database.dsn)
        if is_killed:
            program = [sys.executable, "-m", "ops_pipeline_tests.faults.kills", "18", str(KILLS), "commands.json"]
            done = subprocess.run(
                program, env=environment(environ), cwd=tmp_path, capture_output=True, text=True, check=True
            )
            killed, _ended = map(int, done.stdout.split())
        for command in final:
            assert run_tool(command, environ, tmp_path).returncode == 0
        rows = _rows(database)
        rows["verdicts"] = [_without_previous(row) for row in rows["verdicts"]]
        found.append(rows)
    assert killed == KILLS
    for table in _TABLES:
        assert found[0][table] == found[1][table], table
    record_property(PRINTED, f"SIGKILL at random moments of seven tools: {killed} tried, {killed} survived")


def _without_previous(row: str) -> str:
    """Return a verdict without what was said of its day before its last events had arrived."""
    return json.dumps({**json.loads(row), "previous_status": None}, sort_keys=True)


@contextmanager
def _terminating(dsn: str) -> Iterator[list[int]]:
    """End the sessions of this test at random moments, and count them."""
    ended: list[int] = []
    is_over = threading.Event()

    def work() -> None:
        chance = random.Random(18)  # noqa: S311
        with psycopg.connect(dsn, autocommit=True, application_name="chaos") as connection:
            while not is_over.wait(chance.uniform(0.1, 1.5)):
                found = connection.execute(
                    "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE application_name = 'ops_pipeline' AND datname = current_database()"
                    " AND pid <> pg_backend_pid() AND state <> 'idle'"
                ).fetchone()
                ended.append(found[0] if found else 0)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ended
    finally:
        is_over.set()
        thread.join()


def test_a_year_of_nights_with_random_faults_equals_an_undisturbed_year(
    new_database: Callable[[str], Database],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setenv("OPS_RETRY_SECONDS", "60")
    monkeypatch.setattr("ops_pipeline.contract.waits._FIRST_PAUSE_SECONDS", 0.1)
    found, ended = [], 0
    for is_disturbed in (True, False):
        database = new_database("bootstrapped")
        _send_a_year(database)
        if is_disturbed:
            with _terminating(database.dsn) as faults:
                _judge_a_year(database)
            ended = sum(faults)
        else:
            _judge_a_year(database)
        found.append(_rows(database))
    assert ended > 20
    for table in _TABLES:
        assert found[0][table] == found[1][table], table
    record_property(PRINTED, f"sessions ended at random in a simulated year: {ended} tried, {ended} survived")


def _send_a_year(database: Database) -> None:
    with writing(database.engine) as connection:
        ensure_partitions(connection, [DAY - timedelta(days=ago) for ago in range(YEAR)])
        for outcome, reason, count in _OUTCOMES:
            connection.execute(
                text(
                    "INSERT INTO ops.delivery_events (occurred_at, touch, outcome, reason)"
                    " SELECT CAST(:day AS date) - ago + interval '12 hours', 'first', :outcome, :reason"
                    " FROM generate_series(0, :days - 1) AS ago, generate_series(1, :count + ago * 7 % 11)"
                ),
                {"day": DAY, "days": YEAR, "outcome": outcome, "reason": reason or None, "count": count},
            )


def _judge_a_year(database: Database) -> None:
    source = EventsSource(engine=database.engine, relation="ops.delivery_events")
    first = DAY - timedelta(days=YEAR - 1)
    for ago in reversed(range(YEAR)):
        count_and_publish(database.engine, source, [DAY - timedelta(days=ago)], first_day=first, config=Config())
