"""Ctrl-C and SIGTERM: one word, no traceback, and nothing that goes on without us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import psycopg

from ops_pipeline_tests.conftest import Database

_OURS = "datname = current_database() AND application_name = 'ops_pipeline' AND state = 'active'"


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ops_pipeline.cli.main", *arguments],
        env={**os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for(watcher: psycopg.Connection, condition: str, count: int, *, looks: int = 600) -> None:
    """Return once so many of our sessions run a statement that satisfies `condition`."""
    for _ in range(looks):
        query = f"SELECT count(*) FROM pg_stat_activity WHERE {_OURS} AND {condition}"  # noqa: S608
        if watcher.execute(query).fetchone() == (count,):  # type: ignore[arg-type]
            return
        watcher.execute("SELECT pg_sleep(0.05)")
    raise AssertionError(f"never {count} of {condition}")


def test_whoever_stops_a_tool_stops_its_statement_on_the_server_too(prod: Database) -> None:
    tools: Sequence[tuple[str, Sequence[str], str]] = (
        ("in Dagster", ["ops_daily", "--mode=prod"], "ops.daily_counts"),
        ("in a thread", ["db_verify"], "ops.alembic_version"),
    )
    with psycopg.connect(prod.dsn, autocommit=True) as watcher:
        for number, (where, arguments, table) in enumerate(tools):
            with psycopg.connect(prod.dsn) as blocker:
                blocker.execute(f"LOCK TABLE {table}")  # type: ignore[arg-type]
                run = _start(*arguments)
                _wait_for(watcher, "wait_event_type = 'Lock'", 1)
                # Twice, as somebody does who is in a hurry.
                for _ in range(2):
                    run.send_signal(signal.SIGTERM if number % 2 else signal.SIGINT)
                out, err = run.communicate(timeout=60)
                assert (where, run.returncode, err) == (where, 1, "")
                assert out.splitlines()[-1].endswith("reason=interrupted"), where
                # The lock is still held, so that a statement which was left there would wait for much longer.
                _wait_for(watcher, "wait_event_type = 'Lock'", 0, looks=40)
