"""`backfill`: many past days at once, the same as each day's own run, resumable, and nobody is alarmed."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from ops_pipeline.cli import main as cli
from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.definitions import definitions
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.traffic import healthy_traffic, leak, send

DAY = last_complete_day()
RESULTS = ("delivered_totals", "hold_suppression_rates", "second_touch_summaries", "verdicts")


def _ago(days: int) -> str:
    return str(DAY - timedelta(days=days))


def _rows(database: Database, day: str) -> dict[str, list[object]]:
    with database.engine.connect() as connection:
        return {
            table: connection.scalars(
                text(
                    "SELECT (to_jsonb(t) - 'computed_at')::text"  # noqa: S608
                    f" FROM ops.{table} t WHERE utc_day = '{day}' ORDER BY 1"
                )
            ).all()
            for table in (*RESULTS, "daily_counts")
        }


def _backfill(*arguments: str) -> int:
    return cli.main(["backfill", *arguments])


@pytest.mark.slow
def test_every_day_is_what_its_own_run_would_have_made_of_it(prod: Database, lines: Lines) -> None:
    healthy_traffic(prod)
    leak(prod, DAY - timedelta(days=9))
    assert _backfill(f"--from={_ago(20)}") == 0
    # The thirty days before are counted too: the windows look back on them.
    assert lines() == [
        f"{name} first_day={_ago(20)} last_day={DAY} days=21 events=9301 kept=0 unhealthy=7"
        for name in ("backfill_days", "backfill status=ok")
    ]
    for ago in (20, 9, 3, 2, 0):
        before = _rows(prod, _ago(ago))
        assert all(before.values())
        cli.main(["ops_daily", "--mode=prod", f"--as-of={_ago(ago)}", "--quiet"])
        assert _rows(prod, _ago(ago)) == before


def test_dagster_shows_each_day_with_its_checks_and_no_run(prod: Database) -> None:
    healthy_traffic(prod)
    assert _backfill(f"--from={_ago(4)}") == 0
    days = {_ago(ago) for ago in range(5)}
    graph = definitions().resolve_asset_graph()
    with configured_instance() as instance:
        for asset in ("daily_counts", *RESULTS[:3]):
            assert instance.get_materialized_partitions(graph.get(_key(asset)).key) == days
        for key in graph.asset_check_keys:
            records = instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
            assert {record.partition for record in records} == days
        assert instance.get_runs_count() == 0


def _key(asset: str) -> object:
    from dagster import AssetKey

    return AssetKey(asset)


def test_what_was_done_is_left_as_it_is_unless_it_is_asked_for_again(
    prod: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy_traffic(prod)
    monkeypatch.setenv("OPS_FIRST_DAY", _ago(6))
    assert _backfill(f"--from={_ago(6)}", f"--to={_ago(2)}") == 0
    lines()
    assert _backfill(f"--from={_ago(6)}") == 0
    assert lines()[-1].endswith(" days=2 events=620 kept=0 unhealthy=0")
    with prod.engine.begin() as connection:
        send(connection, 1, "delivered")
    assert _backfill(f"--from={_ago(6)}") == 0
    assert lines()[-1].endswith(" days=0 events=0 kept=0 unhealthy=0")
    assert _backfill(f"--from={_ago(6)}", "--again") == 0
    assert lines()[-1].endswith(" days=7 events=2177 kept=0 unhealthy=0")


def test_a_day_whose_events_are_gone_keeps_its_counts(
    prod: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy_traffic(prod)
    monkeypatch.setenv("OPS_FIRST_DAY", _ago(2))
    assert _backfill(f"--from={_ago(2)}") == 0
    before = _rows(prod, _ago(1))
    with prod.engine.begin() as connection:
        connection.execute(text(f"DELETE FROM ops.delivery_events WHERE occurred_at < '{DAY}'"))  # noqa: S608
    lines()
    assert _backfill(f"--from={_ago(2)}", "--again") == 0
    assert lines()[-1].endswith(" days=3 events=310 kept=2 unhealthy=0")
    assert _rows(prod, _ago(1)) == before


@pytest.mark.slow
def test_interrupted_it_goes_on_where_it_was(prod: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy_traffic(prod)
    monkeypatch.setenv("OPS_FIRST_DAY", _ago(99))
    command = [sys.executable, "-m", "ops_pipeline.tools.backfill", f"--from={_ago(99)}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith(f"backfill_days first_day={_ago(99)} last_day={_ago(69)} days=31 ")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert out.splitlines()[-1] == "backfill status=fail reason=interrupted"
    assert err == ""
    assert _backfill(f"--from={_ago(99)}") == 0
    printed = lines()
    assert printed[0].startswith(f"backfill_days first_day={_ago(99)} last_day={_ago(69)} days=0 ")
    with prod.engine.connect() as connection:
        judged = connection.scalars(text("SELECT utc_day FROM ops.verdicts WHERE position = 0 ORDER BY 1")).all()
    assert judged == [DAY - timedelta(days=ago) for ago in range(99, -1, -1)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "usage option=from"),
        (["--from=2026-13-01"], "invalid_day"),
        (["--from=2001-01-01"], "day_before_first"),
        ([f"--from={date(2999, 1, 1)}"], "day_not_complete"),
        ([f"--from={DAY}", f"--to={_ago(1)}"], "usage option=from"),
    ],
)
def test_days_that_cannot_be_asked_for_have_a_reason(
    prod: Database, lines: Lines, arguments: list[str], said: str
) -> None:
    assert _backfill(*arguments) == 1
    assert lines()[-1].removeprefix("backfill status=fail reason=") in (said, said.partition(" ")[0])


def test_without_configuration_it_says_what_is_missing(lines: Lines) -> None:
    assert _backfill("--from=2026-11-01") == 1
    assert lines() == [
        "backfill status=fail reason=missing_env missing=DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN",
    ]
