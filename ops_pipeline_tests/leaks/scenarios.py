"""What can go wrong, provoked for real in a deployment full of secrets: each scenario is one fault."""

from __future__ import annotations

import gzip
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline_tests.answering import answering
from ops_pipeline_tests.leaks.canaries import CANARIES, EMAIL, FREE_TEXT, ODD_TEXT, PHONE
from ops_pipeline_tests.leaks.world import World

Provoke = Callable[[World], object]
SCENARIOS: dict[str, Provoke] = {}
SERVED: dict[str, Provoke] = {}
"""Those that need web server and daemon."""

DAY = last_complete_day()
DAILY = ("ops_daily", "--mode=prod")
VERIFY = ("db_verify", "--timeout=20")
C = CANARIES

VIEW = "SELECT occurred_at, touch, outcome, reason, segment FROM app.inbox"


def scenario(provoke: Provoke) -> Provoke:
    """Declare a fault."""
    SCENARIOS[provoke.__name__] = provoke
    return provoke


def served(provoke: Provoke) -> Provoke:
    """Declare a fault that needs web server and daemon."""
    SERVED[provoke.__name__] = provoke
    return provoke


def _tools(name: str, *commands: tuple[str, ...], **environ: str) -> None:
    for command in commands:
        SCENARIOS[f"{name}: {command[0]}"] = lambda world, command=command: world.run(  # type: ignore[misc]
            *command, **{key: value.replace("@HOST@", str(world.socket_folder)) for key, value in environ.items()}
        )


# The connection

_EVERY_TOOL = (
    VERIFY,
    DAILY,
    ("doctor",),
    ("prod_verify", "--mode=verify"),
    ("db_bootstrap", "apply_migrations"),
    ("db_bootstrap", "plan"),
    ("watchdog_explain",),
    ("prod_config_contract",),
)


def _dsn(
    *,
    role: str = C.role,
    password: str = C.password,
    database: str = C.database,
    host: str = "@HOST@",
    query: str = "",
) -> str:
    return f"postgresql://{role}:{password}@/{database}?host={host}{query}"


_tools("wrong password", *_EVERY_TOOL, OPS_POSTGRES_DSN=_dsn(password=f"{C.password}x"))
_tools("wrong password of Dagster's storage", DAILY, VERIFY, DAGSTER_POSTGRES_DSN=_dsn(password=f"{C.password}x"))
_tools("no such role", VERIFY, DAILY, OPS_POSTGRES_DSN=_dsn(role=f"{C.role}x"))
_tools("no such database", VERIFY, DAILY, OPS_POSTGRES_DSN=_dsn(database=f"{C.database}x"))
_tools("no such socket", VERIFY, DAILY, OPS_POSTGRES_DSN=_dsn(host=f"/no/such/{C.host}"))
_NETWORK = f"postgresql://{C.role}:{C.password}@%s/{C.database}%s"
_tools("refused", VERIFY, DAILY, OPS_POSTGRES_DSN=_NETWORK % ("127.0.0.1:1", ""))
_tools("refused for Dagster", DAILY, DAGSTER_POSTGRES_DSN=_NETWORK % ("127.0.0.1:1", ""))
_tools("no such host", VERIFY, DAILY, OPS_POSTGRES_DSN=_NETWORK % (f"{C.host}.invalid", "?sslmode=require"))
_tools(
    "no certificate file",
    VERIFY,
    OPS_POSTGRES_DSN=_NETWORK % ("127.0.0.1:1", f"?sslmode=verify-full&sslrootcert=/no/{C.file}.crt"),
)

for _name, _text in {
    "letters for a port": f"postgresql://{C.role}:{C.password}@{C.host}:{C.option}/{C.database}",
    "an at sign and a slash in the password": f"postgresql://{C.role}:{C.password}@/x@{C.host}/{C.database}",
    "a percent sign in the password": f"postgresql://{C.role}:%{C.password}@{C.host}/{C.database}",
    "a broken bracket": f"postgresql://{C.role}:{C.password}@[{C.host}/{C.database}",
    "an unknown dialect": f"{C.option}://{C.role}:{C.password}@{C.host}/{C.database}",
    "an unknown option": f"postgresql://{C.role}:{C.password}@127.0.0.1/{C.database}?{C.option}={C.option}",
    "a bad value of an option": f"postgresql://{C.role}:{C.password}@127.0.0.1/{C.database}?sslmode={C.option}",
    "a line break": f"postgresql://{C.role}:{C.password}\n@{C.host}/{C.database}",
    "colours and right to left": f"postgresql://{C.role}:{C.password}\x1b[31m\u202e@{C.host}/{C.database}",
    "keys and values": f"host={C.host} user={C.role} password={C.password} dbname={C.database}",
    "several hosts": f"postgresql://{C.role}:{C.password}@{C.host},{C.host}x/{C.database}",
    "a NUL's escape": f"postgresql://{C.role}:%00{C.password}@{C.host}/{C.database}",
    "a service that is not there": f"postgresql:///?service={C.option}",
}.items():
    for _variable in ("OPS_POSTGRES_DSN", "DAGSTER_POSTGRES_DSN"):
        _tools(f"{_name} in {_variable}", DAILY, ("prod_config_contract",), **{_variable: _text})
_tools(
    "malformed DSN of the events", DAILY, VERIFY, OPS_EVENTS_DSN=f"postgresql://{C.role}:{C.password}@{C.host}:x/y"
)
_tools("the events' server refuses", DAILY, VERIFY, OPS_EVENTS_DSN=_NETWORK % ("127.0.0.1:1", ""))


@scenario
def a_server_that_never_answers(world: World) -> None:
    with answering(None) as port:
        world.run("db_verify", "--timeout=1", OPS_POSTGRES_DSN=_NETWORK % (f"127.0.0.1:{port}", ""))


@scenario
def a_server_that_talks_nonsense(world: World) -> None:
    with answering(f"HTTP/1.1 400 {C.host}\r\n\r\n".encode()) as port:
        world.run(*VERIFY, OPS_POSTGRES_DSN=_NETWORK % (f"127.0.0.1:{port}", ""))


@scenario
def a_server_that_has_no_tls(world: World) -> None:
    with answering(b"N") as port:
        world.run(*VERIFY, OPS_POSTGRES_DSN=_NETWORK % (f"127.0.0.1:{port}", "?sslmode=require"))


@scenario
def a_server_whose_tls_is_broken(world: World) -> None:
    with answering(b"S" + C.host.encode()) as port:
        world.run(*VERIFY, OPS_POSTGRES_DSN=_NETWORK % (f"127.0.0.1:{port}", "?sslmode=require"))


def _with_role(name: str, change: str, undo: str) -> None:
    def provoke(world: World) -> None:
        world.sql(change)
        try:
            world.run(*VERIFY)
            world.run(*DAILY)
        finally:
            world.sql(undo)

    SCENARIOS[name] = provoke


_with_role("no login", f"ALTER ROLE {C.role} NOLOGIN", f"ALTER ROLE {C.role} LOGIN")
_with_role(
    "no connection left", f"ALTER ROLE {C.role} CONNECTION LIMIT 0", f"ALTER ROLE {C.role} CONNECTION LIMIT -1"
)
_with_role(
    "an expired password",
    f"ALTER ROLE {C.role} VALID UNTIL '2001-01-01'",
    f"ALTER ROLE {C.role} VALID UNTIL 'infinity'",
)
_with_role(
    "a database that lets nobody in",
    f"REVOKE CONNECT ON DATABASE {C.database} FROM PUBLIC, {C.role}",
    f"GRANT CONNECT ON DATABASE {C.database} TO PUBLIC",
)
_with_role(
    "a setting that cannot be set",
    f"ALTER ROLE {C.role} SET search_path TO '{C.option}'",
    f"ALTER ROLE {C.role} RESET search_path",
)

# What is stored

for _name, (_change, _undo) in {
    "a check": (
        f"ALTER TABLE ops.daily_counts ADD CONSTRAINT {C.row} CHECK (outcome <> 'delivered') NOT VALID",
        f"ALTER TABLE ops.daily_counts DROP CONSTRAINT {C.row}",
    ),
    "a unique index": (
        f"DELETE FROM ops.daily_counts; CREATE UNIQUE INDEX {C.row} ON ops.daily_counts (utc_day)",
        f"DROP INDEX ops.{C.row}",
    ),
    "a foreign key": (
        f"CREATE TABLE app.{C.row} (a text PRIMARY KEY);"
        f" ALTER TABLE ops.daily_counts ADD CONSTRAINT {C.row} FOREIGN KEY (touch) REFERENCES app.{C.row} NOT VALID",
        f"ALTER TABLE ops.daily_counts DROP CONSTRAINT {C.row}; DROP TABLE app.{C.row}",
    ),
    "a column without a value": (
        f"ALTER TABLE ops.daily_counts ADD COLUMN {C.row} int; ALTER TABLE ops.daily_counts ADD CONSTRAINT {C.row}"
        f" CHECK ({C.row} IS NOT NULL) NOT VALID",
        f"ALTER TABLE ops.daily_counts DROP COLUMN {C.row}",
    ),
    "an exclusion": (
        "DELETE FROM ops.hold_suppression_rates;"
        f" ALTER TABLE ops.hold_suppression_rates ADD CONSTRAINT {C.row} EXCLUDE USING btree (utc_day WITH =)",
        f"ALTER TABLE ops.hold_suppression_rates DROP CONSTRAINT {C.row}",
    ),
    "a number that is too large": (
        "ALTER TABLE ops.verdicts ALTER COLUMN total TYPE smallint USING 0, ADD CHECK (total < 0) NOT VALID",
        "ALTER TABLE ops.verdicts ALTER COLUMN total TYPE bigint, DROP CONSTRAINT verdicts_total_check",
    ),
    "a column of another type": (
        "ALTER TABLE ops.delivered_totals RENAME COLUMN delivered TO lost;"
        " ALTER TABLE ops.delivered_totals ADD COLUMN delivered uuid",
        "ALTER TABLE ops.delivered_totals DROP COLUMN delivered;"
        " ALTER TABLE ops.delivered_totals RENAME COLUMN lost TO delivered",
    ),
    "a table that is not there": (
        f"ALTER TABLE ops.daily_counts RENAME TO {C.row}",
        f"ALTER TABLE ops.{C.row} RENAME TO daily_counts",
    ),
    "a table that may not be written": (
        f"REVOKE INSERT ON ops.daily_counts FROM {C.role}",
        f"GRANT INSERT ON ops.daily_counts TO {C.role}",
    ),
    "a schema that may not be used": (
        f"REVOKE USAGE ON SCHEMA ops FROM {C.role}",
        f"GRANT USAGE ON SCHEMA ops TO {C.role}",
    ),
    "a table of Dagster's that is not there": (
        "ALTER TABLE public.event_logs RENAME TO away",
        "DROP TABLE IF EXISTS public.event_logs; ALTER TABLE public.away RENAME TO event_logs",
    ),
    "a revision that nobody knows": (
        f"UPDATE ops.alembic_version SET version_num = '{C.row}'",
        "UPDATE ops.alembic_version SET version_num = (SELECT max(revision) FROM ops.applied_revisions)",
    ),
    "a column too many": (
        f"ALTER TABLE ops.daily_counts ADD COLUMN {C.row} text",
        f"ALTER TABLE ops.daily_counts DROP COLUMN {C.row}",
    ),
}.items():
    _with_role(f"{_name} in the database", _change, _undo)


def _raising(name: str, table: str, body: str) -> None:
    _with_role(
        name,
        f"CREATE FUNCTION app.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;"
        f" CREATE TRIGGER fail BEFORE INSERT OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION app.fail()",
        f"DROP TRIGGER fail ON {table}; DROP FUNCTION app.fail()",
    )


for _name, _state in {
    "a serialization failure": "40001",
    "a deadlock": "40P01",
    "a full disk": "53100",
    "no memory left": "53200",
    "an administrator's shutdown": "57P01",
    "an I/O error": "58030",
    "corrupted data": "XX001",
    "a state of the server's own": "ZZ999",
}.items():
    _raising(
        _name,
        "ops.daily_counts",
        f"RAISE EXCEPTION '{C.row}' USING ERRCODE = '{_state}', DETAIL = '{EMAIL}', HINT = '{C.row}';",
    )
_raising("a full disk for Dagster", "public.event_logs", f"RAISE EXCEPTION '{C.row}' USING ERRCODE = '53100';")
_raising("notices and warnings", "ops.daily_counts", f"RAISE NOTICE '{C.row}'; RAISE WARNING '{EMAIL}';")


def _killed(name: str, statement: str) -> None:
    def provoke(world: World) -> None:
        with world.holding("LOCK TABLE ops.daily_counts"):
            process = world.start(*DAILY)
            pid = world.wait_for_backend("wait_event_type = 'Lock'")
            world.sql(statement.format(pid=pid))
            world.end(process)

    SCENARIOS[name] = provoke


_killed("a statement is cancelled", "SELECT pg_cancel_backend({pid})")
_killed("the server ends the session", "SELECT pg_terminate_backend({pid})")


@scenario
def the_server_is_killed(world: World) -> None:
    with world.holding("LOCK TABLE ops.daily_counts"):
        process = world.start(*DAILY)
        world.wait_for_backend("wait_event_type = 'Lock'")
    # One server process that dies takes all sessions with it; the postmaster restarts them.
    world.sql("SELECT 1")
    process.kill()
    world.end(process)
    process = world.start(*DAILY)
    with world.engine.connect() as connection:
        backend = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        os.kill(backend, signal.SIGKILL)
        world.end(process)
    world.wait_for_server()


def _signalled(number: signal.Signals) -> None:
    def provoke(world: World) -> None:
        with world.holding("LOCK TABLE ops.daily_counts"):
            process = world.start(*DAILY, PYTHONFAULTHANDLER="1")
            world.wait_for_backend("wait_event_type = 'Lock'")
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
        world.end(process)

    SCENARIOS[f"the tool gets {number.name}"] = provoke


for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT):
    _signalled(_number)

# The events


def _view(name: str, query: str, before: str = "SELECT 1", after: str = "SELECT 1") -> None:
    _with_role(
        name,
        f"{before}; DROP VIEW app.events; CREATE VIEW app.events AS {query}; GRANT SELECT ON app.events TO {C.role}",
        f"DROP VIEW app.events; CREATE VIEW app.events AS {VIEW}; GRANT SELECT ON app.events TO {C.role}; {after}",
    )


def _row(column: str, value: str) -> str:
    """Return the view with one value in a column instead of what stands there."""
    quoted = value.replace("'", "''")
    return VIEW.replace(f" {column},", f" '{quoted}' AS {column},").replace(
        f" {column} FROM", f" '{quoted}' AS {column} FROM"
    )


for _name, _value in {
    "an e-mail address": EMAIL,
    "a phone number": PHONE,
    "free text": FREE_TEXT,
    "control characters": ODD_TEXT,
    "an undeclared label": C.label,
    "very much text": f"{C.row} " * 20_000,
}.items():
    for _column in ("reason", "segment", "touch", "outcome"):
        _view(f"{_name} as {_column}", _row(_column, _value))
_view("an identifier as segment", VIEW.replace(" segment FROM", f" '{C.row}_' || id AS segment FROM"))
_view(
    "a cast that fails",
    VIEW.replace("occurred_at,", f"occurred_at, touch::text || '{C.row}' AS x,")
    .replace(" reason,", f" ('{C.row}' || id)::int::text AS reason,")
    .replace(f" touch::text || '{C.row}' AS x,", ""),
)
_view("a division by zero", VIEW.replace(" reason,", f" ('{C.row}' || 1 / (id * 0)) AS reason,"))
_view(
    "a function that raises",
    VIEW.replace(" reason,", " app.explode(body) AS reason,"),
    "CREATE FUNCTION app.explode(x text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', x; END $$",
    "DROP FUNCTION app.explode",
)
_view(
    "a function that warns",
    VIEW.replace(" reason,", " app.explode(body) AS reason,"),
    "CREATE FUNCTION app.explode(x text) RETURNS text LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE WARNING '%', x; RETURN NULL; END $$",
    "DROP FUNCTION app.explode",
)
_view("a missing column", VIEW.replace(", segment FROM", f", segment AS {C.row} FROM"))
_view("a time without zone", VIEW.replace("occurred_at,", "occurred_at::timestamp AS occurred_at,"))
_with_role(
    "a view that may not be read",
    f"REVOKE SELECT ON app.events FROM {C.role}",
    f"GRANT SELECT ON app.events TO {C.role}",
)
_tools("a relation that is not there", DAILY, VERIFY, OPS_EVENTS_RELATION=f"app.{C.config}")
_tools("a relation that is a statement", DAILY, OPS_EVENTS_RELATION=f"app.events; SELECT '{C.config}'")
_tools("a relation with quotes", DAILY, OPS_EVENTS_RELATION=f'"app"."{C.config}\nx"')

# The configuration


def _configured(name: str, content: bytes, variable: str = "OPS_CONFIG") -> None:
    def provoke(world: World) -> None:
        path = world.folder / f"{C.file}.toml"
        path.write_bytes(content)
        world.run(*DAILY, **{variable: str(path)})
        world.run("prod_config_contract", **{variable: str(path)})
        world.run("watchdog_replay", f"--config={path}")

    SCENARIOS[f"{name} as configuration"] = provoke


_configured("no TOML", f"{C.config} = [".encode())
_configured("an unknown section", f'[{C.config}]\n{C.config} = "{C.config}"\n'.encode())
_configured("an unknown key", f'[thresholds]\n{C.config} = "{C.config}"\n'.encode())
_configured("text for a number", f'[thresholds]\nhold_rate = "{C.config}"\n'.encode())
_configured("a taxonomy of identifiers", f'[taxonomy]\nheld = ["{EMAIL}"]\n'.encode())
_configured("bytes that are no text", b"\xff\xfe\x00" + C.config.encode())
_configured(
    "an event of a signal that does not exist",
    (f'[[thresholds.accepted]]\nsince = 2026-01-01\nsignal = "{C.config}"\n'.encode()),
)
_tools("a configuration that is not there", DAILY, OPS_CONFIG=f"/no/such/{C.config}")
_tools("a configuration that is a folder", DAILY, OPS_CONFIG="/")
_tools("a first day that is none", DAILY, ("doctor",), OPS_FIRST_DAY=C.config)
_tools("a Dagster home that is not there", DAILY, DAGSTER_HOME=f"/no/such/{C.config}")


def _home(name: str, settings: str) -> None:
    def provoke(world: World) -> None:
        before = (world.home / "dagster.yaml").read_text()
        (world.home / "dagster.yaml").write_text(settings.replace("@DSN@", world.dsn()))
        try:
            world.run(*DAILY)
            world.run("doctor")
        finally:
            (world.home / "dagster.yaml").write_text(before)

    SCENARIOS[f"{name} in dagster.yaml"] = provoke


_STORAGE = "storage: {custom: {module: ops_pipeline.orchestration.storage, class: OpsDagsterStorage, config: "
_home("a DSN", _STORAGE + '{postgres_url: "@DSN@"}}}\n')
_home(
    "a password",
    _STORAGE + f"{{postgres_db: {{username: a, password: {C.password}, hostname: h, db_name: d}}}}}}}}\n",
)
_home("an unknown key", f"{C.config}: {C.config}\n")
_home("no YAML", f"{C.config}: [\n")
_home("an unknown class", f"storage: {{custom: {{module: {C.config}, class: {C.config}, config: {{}}}}}}\n")

# What operators type

for _command in (
    ("ops_daily", f"--as-of={C.typed}"),
    ("ops_daily", f"--{C.typed}"),
    (C.typed,),
    ("db_bootstrap", C.typed),
    ("db_verify", f"--timeout={C.typed}"),
    ("events", "import", f"/no/such/{C.typed}.csv"),
    ("events", "sample", f"/no/such/{C.typed}/out.csv"),
    ("ops_ci_normalize", "--exit-code=2", f"--log-file=/no/such/{C.typed}"),
    ("watchdog_replay", f"--report=/no/such/{C.typed}.html"),
    ("watchdog_explain", f"--as-of={C.typed}"),
    ("report", f"--out=/no/such/{C.typed}.html"),
    ("demo", f"--data-dir=/dev/null/{C.typed}"),
    ("secret_echo_guard", f"/no/such/{C.typed}"),
):
    SCENARIOS[
        f"typed wrongly: {' '.join(_command[:-1]) or 'a tool'} {_command[-1].split('=')[0].split(C.typed)[0]}"
    ] = (
        lambda world, command=_command: world.run(*command)  # type: ignore[misc]
    )

# Files


def _imported(name: str, suffix: str, content: bytes) -> None:
    def provoke(world: World) -> None:
        path = world.folder / f"{C.file}{suffix}"
        path.write_bytes(content)
        world.run("events", "import", str(path), OPS_POSTGRES_DSN=world.server.dsn(C.database))
        world.run(
            "events", "import", str(path), "--max-rejected=100000", OPS_POSTGRES_DSN=world.server.dsn(C.database)
        )

    SCENARIOS[f"{name} is imported"] = provoke


_HEADER = "occurred_at,touch,outcome,reason,segment\n"
_GOOD = f"{DAY}T12:00:00Z,first,held,%s,%s\n"
_imported("a file with identifiers", ".csv", (_HEADER + _GOOD % (EMAIL, f'"{FREE_TEXT}"')).encode())
_imported("a file with a quote too many", ".csv", (_HEADER + f'"{C.row}\n' + _GOOD % (C.row, C.row)).encode())
_imported("a file with unknown columns", ".csv", f"{C.row},{EMAIL}\n1,2\n".encode())
_imported("a file that is no text", ".csv", b"\xff\xfe" + C.row.encode("utf-16-le"))
_imported("a file with days that are none", ".csv", (_HEADER + f"{C.row},{C.row},{C.row},{C.row},{C.row}\n").encode())
_imported("an empty file", ".csv", b"")
_imported("broken JSON", ".jsonl", f'{{"occurred_at": "{C.row}", \n{C.row}'.encode())
_imported("a broken Parquet file", ".parquet", b"PAR1" + C.row.encode() * 100 + b"PAR1")
_imported("a broken archive", ".csv.gz", gzip.compress((_HEADER + C.row * 1000).encode())[:-20])


@scenario
def a_log_full_of_secrets_is_normalised(world: World) -> None:
    log = world.folder / f"{C.file}.log"
    log.write_text(f"{world.dsn()}\nops_daily_watchdog status=insufficient_data reason={C.row}\n{EMAIL}\n")
    world.run("ops_ci_normalize", "--exit-code=2", "--event=schedule", f"--log-file={log}")


@scenario
def a_log_full_of_secrets_is_guarded(world: World) -> None:
    (world.folder / C.file).mkdir(exist_ok=True)
    (world.folder / C.file / f"{C.file}.log").write_text(f"{world.dsn()}\n{EMAIL}\n{PHONE}\n{C.environment}\n")
    world.run("secret_echo_guard", str(world.folder / C.file))


# Revisions


def _revision(name: str, body: str) -> None:
    def provoke(world: World) -> None:
        from ops_pipeline.contract.files import package_path

        folder = world.folder / "migrations"
        world.python("-c", f"import shutil; shutil.copytree({str(package_path('migrations'))!r}, {str(folder)!r})")
        (folder / "versions" / f"0099_{C.file}.py").write_text(
            f'"""{C.row}."""\nfrom alembic import op\nrevision = "0099"\ndown_revision = "{_head(folder)}"\n'
            f"branch_labels = depends_on = None\n\ndef upgrade():\n    {body}\n\ndef downgrade():\n    pass\n"
        )
        before = (
            "import ops_pipeline.store.revisions as r, ops_pipeline.contract.files as s, pathlib\n"
            f"s.package_path = r.package_path = lambda name: pathlib.Path({str(world.folder)!r}) / name"
        )
        try:
            for command in (
                ("db_bootstrap", "--dry-run"),
                ("db_bootstrap", "plan"),
                ("db_bootstrap", "apply_migrations"),
            ):
                world.run(*command, before=before, OPS_POSTGRES_DSN=world.server.dsn(C.database))
        finally:
            world.python("-c", f"import shutil; shutil.rmtree({str(folder)!r})")

    SCENARIOS[f"a revision {name}"] = provoke


def _head(folder: Path) -> str:
    return max(path.name[:4] for path in (folder / "versions").glob("0*.py") if not path.name.startswith("0099"))


_revision("raises", f'raise ValueError("{EMAIL}")')
_revision("fails in SQL", f"""op.execute("SELECT '{C.row}'::int")""")
_revision("violates a constraint", f"""op.execute("INSERT INTO ops.daily_counts VALUES (NULL, '{C.row}')")""")
_revision("warns", f"""op.execute("DO $$ BEGIN RAISE WARNING '{C.row}'; RAISE EXCEPTION '{C.row}'; END $$")""")
_revision("prints", f'import logging; logging.getLogger("alembic").warning("{C.row}"); raise SystemExit("{C.row}")')
_revision("cannot be read", f"'{C.row}")

# Exceptions anywhere


def _raised(name: str, error: str, target: str = "ops_pipeline.orchestration.checks.evaluate") -> None:
    module, _, function = target.rpartition(".")
    before = (
        f"import {module} as module\n"
        "class Own(BaseException): pass\n"
        f"def fail(*args, **kwargs):\n    secret = '{C.raised}'\n    {error}\n"
        f"module.{function} = fail"
    )
    SCENARIOS[f"raised: {name}"] = lambda world: world.run(*DAILY, before=before)


_X = f"'{C.raised}'"
_raised("a plain exception", f"raise ValueError({_X})")
_raised("a key error", f"raise KeyError({_X})")
_raised("an exit with text", f"raise SystemExit({_X})")
_raised("a BaseException of its own", f"raise Own({_X})")
_raised("a group with notes", f"e = ExceptionGroup({_X}, [ValueError({_X})]); e.add_note({_X}); raise e")
_raised(
    "a chain",
    f"\n    try:\n        raise ValueError({_X})\n    except ValueError as e:\n        raise OSError({_X}) from e",
)
_raised("an interrupt with text", f"raise KeyboardInterrupt({_X})")
_raised("an assertion", f"assert False, {_X}")
_raised("a recursion", "return fail(secret)")
_raised("a failure of Dagster's", f"import dagster; raise dagster.Failure({_X}, metadata={{'a': {_X}}})")
_raised("a retry of Dagster's", f"import dagster; raise dagster.RetryRequested(max_retries=1) from ValueError({_X})")
_raised("a warning", f"import warnings; warnings.warn({_X}); raise ValueError({_X})")
_raised(
    "a log record", f"import logging; logging.getLogger('x').error({_X}, exc_info=ValueError({_X})); raise ValueError"
)
_raised(
    "in a thread",
    f"import threading; t = threading.Thread(target=lambda: int({_X})); t.start(); t.join(); raise ValueError({_X})",
)
_raised(
    "in a destructor",
    f"\n    class D:\n        def __del__(self): raise ValueError({_X})\n    D(); raise ValueError({_X})",
)
_raised("at the end of the process", f"import atexit; atexit.register(lambda: int({_X})); raise ValueError({_X})")
for _target in (
    "ops_pipeline.operations.publish.roll_up",
    "ops_pipeline.operations.publish.compute_metrics",
    "ops_pipeline.orchestration.assets.parse_day",
    "ops_pipeline.orchestration.assets.markdown_table",
    "ops_pipeline.operations.publish.write_verdict",
    "ops_pipeline.orchestration.daily_run.read_metrics",
    "ops_pipeline.report.daily_lines.watchdog_line",
    "ops_pipeline.store.verify.compare",
):
    _raised(f"in {_target.rpartition('.')[2]}", f"raise RuntimeError({_X})", _target)

# Dagster's own commands

_SENSORS = """
import dagster as dg
from ops_pipeline.definitions import definitions
from ops_pipeline.orchestration.resources import Deployment
for name in ("alerts", "heartbeat"):
    with dg.DagsterInstance.get() as instance:
        resources = {"deployment": Deployment()}
        with dg.build_sensor_context(instance=instance, resources=resources) as context:
            definitions().get_repository_def().get_sensor_def(name).evaluate_tick(context)
"""


@scenario
def an_alert_is_sent(world: World) -> None:
    leak = f"INSERT INTO app.inbox VALUES (0, '', '{DAY} 12:00+00', 'first', 'held', 'identity_leak', '{C.label}')"
    world.sql(leak)
    try:
        world.run(*DAILY)
        world.python("-c", _SENSORS)
        assert world.written.by_sink["alerts"]
    finally:
        world.sql("DELETE FROM app.inbox WHERE id = 0")


_AWAY = f"json://{C.role}:{C.password}@127.0.0.1:1/{C.option}"
_tools("an alert that cannot be sent", ("selftest", "--send"), OPS_ALERT_URLS=_AWAY)
_tools("an address that is none", ("selftest", "--send"), OPS_ALERT_URLS=f"{C.option}://{C.password}@{C.host}")
_tools("an address of a host that is not there", ("selftest", "--send"), OPS_ALERT_URLS=f"json://{C.host}.invalid/")
_tools("a heartbeat that nobody takes", DAILY, OPS_HEARTBEAT_URL=f"http://127.0.0.1:1/{C.environment}")
_tools("a heartbeat to no address", DAILY, OPS_HEARTBEAT_URL=f"file:///{C.environment}")


@scenario
def sensors_that_fail(world: World) -> None:
    world.python("-c", _SENSORS, OPS_ALERT_URLS=_AWAY, OPS_HEARTBEAT_URL=f"http://127.0.0.1:1/{C.environment}")
    world.python("-c", _SENSORS, OPS_POSTGRES_DSN=world.dsn(password=f"{C.password}x"))


# The log that an operator may have set up, at its chattiest.
_LOG = "import logging; logging.basicConfig(level=logging.DEBUG)"
_GUARDED = f"""
{_LOG}
from ops_pipeline.orchestration.boundary import guard_process
from ops_pipeline.store.engine import ops_engine, writing
guard_process()
"""


@scenario
def a_program_with_a_log_of_its_own_runs_the_tools(world: World) -> None:
    for command in (("selftest", "--send"), DAILY, VERIFY):
        world.run(*command, before=_LOG, OPS_ALERT_URLS=_AWAY)


@scenario
def an_address_that_answers_nonsense(world: World) -> None:
    """The HTTP library logs the address with the headers that it cannot parse."""
    program = f"{_GUARDED}from ops_pipeline.report.notify import send\nsend('title', 'body')"
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nno header\r\n\r\n") as port:
        world.python("-c", program, OPS_ALERT_URLS=f"json://127.0.0.1:{port}/{C.option}")


@scenario
def a_pipeline_of_statements_that_fails(world: World) -> None:
    """The driver logs, with the connection's user and database, what it ignores while it gives up."""
    world.python(
        "-c",
        f"""{_GUARDED}
with writing(ops_engine()) as connection:
    driver = connection.connection.driver_connection
    with driver.pipeline():
        driver.execute("SELECT 1 / 0")
        raise ValueError
""",
    )


@scenario
def a_connection_that_cannot_be_closed(world: World) -> None:
    """The pool logs the connection, with its user and database."""
    world.python(
        "-c",
        f"""{_GUARDED}
engine = ops_engine()
def fail(connection):
    raise ValueError
engine.dialect.do_close = fail
engine.connect().close()
""",
    )


_DAGSTER = ("-m", "dagster", "asset", "materialize", "--select=daily_counts", f"--partition={DAY}", "-m")
_MODULE = "ops_pipeline.definitions"


@scenario
def dagster_materializes_with_a_wrong_password(world: World) -> None:
    world.python(*_DAGSTER, _MODULE, OPS_POSTGRES_DSN=world.dsn(password="cnrywrong"))  # noqa: S106


@scenario
def dagster_cannot_open_its_storage(world: World) -> None:
    world.python(*_DAGSTER, _MODULE, DAGSTER_POSTGRES_DSN=world.dsn(password=f"{C.password}x"))


@scenario
def dagster_lists_what_cannot_be_loaded(world: World) -> None:
    world.python("-m", "dagster", "definitions", "validate", "-m", _MODULE, OPS_FIRST_DAY=C.config)


@scenario
def the_web_server_cannot_open_its_storage(world: World) -> None:
    world.python(
        "-m", "dagster_webserver", "--port=1", "-m", _MODULE, DAGSTER_POSTGRES_DSN=world.dsn(role=f"{C.role}x")
    )


@scenario
def the_daemon_cannot_open_its_storage(world: World) -> None:
    world.python(
        "-m", "dagster._daemon", "run", "-m", _MODULE, DAGSTER_POSTGRES_DSN=world.dsn(database=f"{C.database}x")
    )


@scenario
def a_report_of_a_day_that_is_wrong(world: World) -> None:
    world.run(*DAILY)
    world.run("watchdog_replay", f"--report={world.folder / 'replay.html'}")
    world.run("report", f"--out={world.folder / 'report.html'}")


# The web server and the daemon

_PARTITION = {"dagster/partition": str(DAY)}


@served
def a_good_run(world: World) -> None:
    assert world.launch("ops_daily", tags=_PARTITION) == "SUCCESS"


@served
def a_run_on_a_view_that_raises(world: World) -> None:
    SCENARIOS["a function that warns"]
    world.sql(
        "CREATE FUNCTION app.explode(x text) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION '%', x; END $$",
        "DROP VIEW app.events; CREATE VIEW app.events AS"
        f" {VIEW.replace(' reason,', ' app.explode(body) AS reason,')};"
        f" GRANT SELECT ON app.events TO {C.role}",
    )
    try:
        assert world.launch("ops_daily", tags=_PARTITION) == "FAILURE"
    finally:
        world.sql(
            f"DROP VIEW app.events; CREATE VIEW app.events AS {VIEW}; GRANT SELECT ON app.events TO {C.role};"
            " DROP FUNCTION app.explode"
        )


@served
def a_run_that_may_not_write(world: World) -> None:
    world.sql(f"REVOKE INSERT ON ops.daily_counts FROM {C.role}")
    try:
        assert world.launch("ops_daily", tags=_PARTITION) == "FAILURE"
    finally:
        world.sql(f"GRANT INSERT ON ops.daily_counts TO {C.role}")


@served
def jobs_of_operators(world: World) -> None:
    assert world.launch("db_verify") in {"SUCCESS", "FAILURE"}
    assert world.launch("db_bootstrap", config='{"mode": "apply_migrations"}') in {"SUCCESS", "FAILURE"}
    assert world.launch("prod_verify", config='{"mode": "verify"}') in {"SUCCESS", "FAILURE"}


@served
def tags_that_somebody_typed(world: World) -> None:
    assert world.launch("ops_daily", tags={**_PARTITION, "ticket": C.typed}) == "PythonError"
    assert world.launch("ops_daily", tags={**_PARTITION, C.typed: "x"}) == "PythonError"


@served
def a_configuration_that_somebody_typed(world: World) -> None:
    name = f'{{"loggers": {{"console": {{"config": {{"name": "{C.typed}"}}}}}}}}'
    assert world.launch("ops_daily", tags=_PARTITION, config=name) == "PythonError"
    # The answer repeats what was asked to whoever asked; nothing of it is kept.
    unknown = f'{{"{C.typed}": "{C.typed}"}}'
    assert world.launch("ops_daily", tags=_PARTITION, config=unknown, is_kept=False) == "RunConfigValidationInvalid"


@served
def a_backfill_with_a_title(world: World) -> None:
    query = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) { __typename
        ... on PythonError { message stack } } }"""
    selector = {
        "partitionSetName": "ops_daily_partition_set",
        "repositorySelector": {"repositoryName": "__repository__", "repositoryLocationName": "ops_pipeline"},
    }
    parameters = {"selector": selector, "partitionNames": [str(DAY)], "title": C.typed, "description": C.typed}
    world.ask(query, p=parameters)
    world.ask(query, p={**parameters, "tags": [{"key": C.typed, "value": C.typed}]})


@served
def an_event_that_somebody_reports(world: World) -> None:
    query = """mutation($p: ReportRunlessAssetEventsParams!) { reportRunlessAssetEvents(eventParams: $p) { __typename
        ... on PythonError { message stack } } }"""
    event = {"eventType": "ASSET_MATERIALIZATION", "assetKey": {"path": ["daily_counts"]}, "description": C.typed}
    world.ask(query, p=event)


@served
def every_session_is_ended(world: World) -> None:
    world.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{C.role}'")
    world.launch("ops_daily", tags=_PARTITION)


@served
def the_storage_locks_its_users_out(world: World) -> None:
    world.sql(
        f"ALTER ROLE {C.role} NOLOGIN",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{C.role}'",
    )
    try:
        world.launch("ops_daily", tags=_PARTITION)
        world.collect_answers()
    finally:
        world.sql(f"ALTER ROLE {C.role} LOGIN")


@served
def a_table_of_the_storage_is_gone(world: World) -> None:
    world.sql("ALTER TABLE public.runs RENAME TO away")
    try:
        world.launch("ops_daily", tags=_PARTITION)
        world.collect_answers()
    finally:
        world.sql("DROP TABLE IF EXISTS public.runs", "ALTER TABLE public.away RENAME TO runs")


@served
def a_day_far_back_and_one_to_come(world: World) -> None:
    for day in (DAY - timedelta(days=4000), DAY + timedelta(days=400)):
        world.launch("ops_daily", tags={"dagster/partition": str(day)})
