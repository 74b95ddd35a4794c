"""Every command works through a pooler that gives each transaction another connection, and leaves nothing behind."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline_tests.conftest import PRINTED, Database
from ops_pipeline_tests.faults.processes import production, run_tool, wait_until
from ops_pipeline_tests.traffic import healthy_traffic

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="pgbouncer is not installed"),
]

DAY = last_complete_day()
_PORT = 6432

COMMANDS = (
    ("db_bootstrap", "plan", "--out=plan.sql"),
    ("db_bootstrap", "apply_migrations", "--with-dagster"),
    ("db_bootstrap", "apply_migrations"),
    ("db_verify", "--with-dagster"),
    ("events", "import", "events.csv"),
    ("backfill", f"--from={DAY - timedelta(days=40)}", f"--to={DAY - timedelta(days=1)}"),
    ("ops_daily", "--mode=prod"),
    ("ops_daily", "--mode=prod", f"--as-of={DAY - timedelta(days=3)}"),
    ("backfill", "--missing"),
    ("prod_verify", "--mode=verify"),
    ("doctor",),
    ("metrics", "--format=prom"),
    ("report", "--out=report.html"),
    ("watchdog_explain",),
    ("watchdog_replay", f"--from={DAY - timedelta(days=20)}"),
    ("alerts", "--dry-run"),
    ("retention",),
)


@contextmanager
def _pooler(server_folder: str, mode: str) -> Iterator[str]:
    """Yield the folder of pgbouncer's socket."""
    # It refuses to run as root; who runs the server can reach its socket.
    owner = (Path(server_folder) / ".s.PGSQL.5432").owner()
    folder = Path(tempfile.mkdtemp(prefix="pool_", dir="/tmp"))
    settings = {
        "unix_socket_dir": folder,
        "listen_port": _PORT,
        "auth_type": "trust",
        "auth_file": folder / "users.txt",
        "pool_mode": mode,
        # A session keeps its connection, also while it does nothing.
        "default_pool_size": 4 if mode == "transaction" else 12,
        "logfile": folder / "log",
    }
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server_folder} user=postgres\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, owner)
    process = subprocess.Popen(
        [str(shutil.which("pgbouncer")), "--user", owner, "--quiet", str(folder / "pgbouncer.ini")],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until((folder / f".s.PGSQL.{_PORT}").exists)
        yield str(folder)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_every_command_works_behind_a_pooler(
    mode: str,
    new_database: Callable[[str], Database],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    database = new_database("template1")
    name, folder = (database.dsn.split("@/")[1].split("?")[0], database.dsn.rpartition("host=")[2])
    with _pooler(folder.replace("%2F", "/"), mode) as pool:
        dsn = f"postgresql://postgres@/{name}?host={quote(pool, safe='')}&port={_PORT}"
        environ = production(dsn)
        (tmp_path / "events.csv").write_text(f"occurred_at,touch,outcome\n{DAY}T12:00:00Z,first,delivered\n")
        failed = []
        for command in COMMANDS:
            done = run_tool(command, environ, tmp_path)
            if done.returncode != 0 or done.stderr:
                failed.append((" ".join(command), done.stdout[-300:], done.stderr[-300:]))
            if command[-1] == "apply_migrations":
                healthy_traffic(database)
        assert failed == []
        for _ in range(6):
            # Whoever comes next finds the connections as the server makes them.
            with psycopg.connect(dsn, prepare_threshold=None) as connection:
                for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                    assert connection.execute(f"SHOW {setting}").fetchone() == ("0",)  # type: ignore[arg-type]
                assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
                held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                assert connection.execute(held).fetchone() == (0,)
    record_property(PRINTED, f"pgbouncer, {mode} pooling: {len(COMMANDS)} commands, all worked")
