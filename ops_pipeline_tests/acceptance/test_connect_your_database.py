"""docs/how-to/connect-your-database.md: each statement and command on the page does what the page says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ops_pipeline.cli import main as cli
from ops_pipeline.contract.config import Config, Taxonomy, load_config
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AttemptsSource, Outcome
from ops_pipeline.health.counts import CountKey
from ops_pipeline.health.metrics import compute_metrics
from ops_pipeline.store.daily_counts import read_days
from ops_pipeline.store.embedded import EmbeddedServer
from ops_pipeline.store.schema import applied_revisions, metadata
from ops_pipeline_tests.acceptance.conftest import RELATION, TABLES_FILE, VIEW_FILE, configure
from ops_pipeline_tests.conftest import Database
from ops_pipeline_tests.counting import count_days

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-your-database.md"
DAY = date(2026, 11, 7)
ROLES = ("ops_owner", "ops_pipeline", "ops_reader", "app_role")
PUBLISHED = {
    "delivered_totals",
    "delivered_segments",
    "hold_suppression_rates",
    "second_touch_summaries",
    "verdicts",
}


def blocks(heading: str, language: str) -> list[str]:
    """Return the code blocks of a language under a heading of the page."""
    section = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (found,) = [one for one in section if one.partition("\n")[0] == heading]
    return re.findall(rf"^```{language}\n(.*?)^```", found, flags=re.MULTILINE | re.DOTALL)


def execute(dsn: str, *statements: str) -> None:
    """Run SQL as the page has it, each statement in a transaction of its own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def counts(database: Database, relation: str, config: Config | None = None, day: date = DAY) -> dict[CountKey, int]:
    """Return what the pipeline counts on a day of `relation`."""
    count_days(database, [day], relation, config)
    with database.engine.connect() as connection:
        (found,) = read_days(connection, day, day)
    return {key: events for key, events in found.counts.items() if events}


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Run a command of the page, and return its lines."""

    def run(command: str) -> list[str]:
        program, *arguments = command.split()
        assert program == "ops-pipeline"
        cli.main(arguments)
        output = capfd.readouterr()
        assert output.err == ""
        return output.out.splitlines()

    return run


def commands(heading: str) -> list[str]:
    """Return the commands under a heading, without the settings before them."""
    return [line for block in blocks(heading, "sh") for line in block.splitlines() if line and "export" not in line]


@pytest.fixture
def roles(server: EmbeddedServer) -> Iterator[None]:
    """Roles and the database `dagster` belong to the server: drop what the page makes when all else is gone."""
    yield
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS dagster WITH (FORCE)")
        for role in ROLES:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def as_role(dsn: str, role: str) -> str:
    """Return `dsn` for another role."""
    return dsn.replace("postgres@", f"{role}@")


def test_the_page_shows_the_tables_and_the_view_that_the_acceptance_test_runs_on() -> None:
    assert blocks("A worked example", "sql") == [TABLES_FILE.read_text(), VIEW_FILE.read_text()]


def test_every_statement_on_the_page_is_run_here() -> None:
    page = PAGE.read_text(encoding="utf-8")
    ran = {
        "A worked example": 2,
        "Declare it and check it": 1,
        "Rights": 3,
        "Dagster in the same database": 1,
        "Rights to read": 1,
        "What the server itself writes down": 1,
        "Sources that repeat events": 2,
        "Indexes": 1,
        "Write events yourself": 2,
    }
    assert {heading: len(blocks(heading, "sql")) for heading in ran} == ran
    assert page.count("```sql") == sum(ran.values())


def test_every_outcome_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"| `{outcome}` |" in page for outcome in Outcome)


def test_the_commands_print_what_the_page_says(
    peer_app: Database, monkeypatch: pytest.MonkeyPatch, lines: Callable[..., list[str]]
) -> None:
    configure(monkeypatch, peer_app)
    verify, daily = commands("Declare it and check it")
    (verified,) = lines(verify)
    assert verified.startswith("db_verify status=ok ")
    printed = lines(daily)
    assert blocks("Declare it and check it", "text")[0].strip() in printed
    assert " as_of=2026-11-07 " in printed[-2]


def test_counting_a_day_by_hand_gives_what_the_page_shows(peer_app: Database) -> None:
    (by_hand,) = blocks("Declare it and check it", "sql")
    header, _, *shown = blocks("Declare it and check it", "text")[1].splitlines()
    with psycopg.connect(peer_app.dsn) as connection:
        rows = connection.execute(by_hand).fetchall()
    assert [[cell.strip() for cell in line.split("|")] for line in shown] == [
        ["" if value is None else str(value) for value in row] for row in rows
    ]
    ours = counts(peer_app, RELATION, day=date(2026, 11, 6))
    assert ours == {(touch, outcome, reason): count for touch, outcome, reason, count in rows}
    assert [name.strip() for name in header.split("|")] == ["touch", "outcome", "reason", "count"]


def test_an_event_of_the_view_falls_on_the_applications_day_whenever_its_row_was_written(peer_app: Database) -> None:
    execute(
        peer_app.dsn,
        "SET timezone = 'Pacific/Kiritimati'",
        "TRUNCATE peer_app.second_touch_events, peer_app.inbox_items, peer_app.acknowledgements",
        "INSERT INTO peer_app.second_touch_events VALUES"
        " ('2026-11-07', 'send_queued', '', '2026-11-08 00:10+00'),"
        " ('2026-11-06', 'send_queued', '', '2026-11-07 00:10+00')",
    )
    assert counts(peer_app, RELATION) == {("second", "queued", None): 1}


def test_an_empty_theme_is_no_segment(peer_app: Database) -> None:
    with psycopg.connect(peer_app.dsn) as connection:
        connection.execute("UPDATE peer_app.inbox_items SET theme = ''")
        segments = connection.execute(f"SELECT DISTINCT segment FROM {RELATION}").fetchall()  # noqa: S608
    assert segments == [(None,)]


def test_a_reaction_the_view_does_not_know_is_counted_without_a_reason(peer_app: Database) -> None:
    execute(
        peer_app.dsn,
        "UPDATE peer_app.acknowledgements SET reaction = 'hug' WHERE created_at >= '2026-11-06 00:00+00'",
    )
    acknowledged = {
        reason: count for (_, outcome, reason), count in counts(peer_app, RELATION, day=date(2026, 11, 6)).items()
        if outcome == "acknowledged"
    }  # fmt: skip
    assert list(acknowledged) == ["missing_reason"]


def test_an_event_type_the_view_does_not_know_is_said_at_once(peer_app: Database) -> None:
    execute(
        peer_app.dsn, "INSERT INTO peer_app.second_touch_events VALUES ('2026-11-07', 'offer_expired', '', now())"
    )
    with pytest.raises(OpsError) as caught:
        counts(peer_app, RELATION)
    assert caught.value.reason is Reason.EVENTS_RELATION_INVALID
    assert caught.value.fields == {"columns": ("outcome",), "day": date(2026, 11, 7)}


MAPPED = "peer_app.mapped"


@pytest.mark.parametrize(
    ("columns", "relation", "reason"),
    [
        ("*", "peer_app.another_name", "events_relation_missing"),
        ("*", "mapped", "events_relation_missing"),
        ("occurred_at, touch, outcome, reason", MAPPED, "events_relation_invalid columns=segment"),
        (
            "occurred_at::timestamp, touch, outcome, reason, segment",
            MAPPED,
            "events_relation_invalid columns=occurred_at",
        ),
        ("occurred_at, touch, outcome, 7 AS reason, segment", MAPPED, "events_relation_invalid columns=reason"),
    ],
)
def test_what_is_wrong_with_the_view_has_the_reason_that_the_page_names(
    peer_app: Database,
    monkeypatch: pytest.MonkeyPatch,
    lines: Callable[..., list[str]],
    columns: str,
    relation: str,
    reason: str,
) -> None:
    execute(peer_app.dsn, f"CREATE VIEW peer_app.mapped AS SELECT {columns} FROM {RELATION}")  # noqa: S608
    configure(monkeypatch, peer_app)
    monkeypatch.setenv("OPS_EVENTS_RELATION", relation)
    assert lines("ops-pipeline db_verify") == [f"db_verify status=fail reason={reason}"]
    assert f"| `{reason.split(maxsplit=1)[0]}` |" in PAGE.read_text(encoding="utf-8")


def test_a_database_without_schema_ops_has_the_reason_that_the_page_names(
    peer_app: Database, monkeypatch: pytest.MonkeyPatch, lines: Callable[..., list[str]]
) -> None:
    execute(peer_app.dsn, "DROP SCHEMA ops CASCADE")
    configure(monkeypatch, peer_app)
    (line,) = lines("ops-pipeline db_verify")
    assert line.startswith("db_verify status=fail reason=missing_tables")
    assert "| `missing_tables` |" in PAGE.read_text(encoding="utf-8")


def test_the_rights_on_the_page_suffice_from_bootstrap_to_verdict_and_for_nothing_else(
    roles: None,
    new_database: Callable[[str], Database],
    monkeypatch: pytest.MonkeyPatch,
    lines: Callable[..., list[str]],
) -> None:
    database = new_database("template1")
    execute(database.dsn, TABLES_FILE.read_text(), VIEW_FILE.read_text())
    administrator, ops_owner, view_owner = blocks("Rights", "sql")
    name = psycopg.conninfo.conninfo_to_dict(database.dsn)["dbname"]
    execute(database.dsn, *administrator.replace("DATABASE app ", f"DATABASE {name} ").splitlines())
    owner, role = as_role(database.dsn, "ops_owner"), as_role(database.dsn, "ops_pipeline")

    monkeypatch.setenv("OPS_POSTGRES_DSN", owner)
    (bootstrap,) = commands("Rights")
    assert lines(bootstrap)[0].startswith("db_bootstrap status=ok mode=apply_migrations ")

    monkeypatch.setenv("OPS_EVENTS_RELATION", RELATION)
    monkeypatch.setenv("OPS_POSTGRES_DSN", role)
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", role.replace(f"/{name}?", "/dagster?"))
    assert lines("ops-pipeline db_verify") == ["db_verify status=fail reason=no_privilege"]
    execute(owner, ops_owner)
    assert lines("ops-pipeline db_verify") == ["db_verify status=fail reason=no_privilege"]
    execute(database.dsn, view_owner)
    assert lines("ops-pipeline db_verify")[0].startswith("db_verify status=ok ")
    printed = lines(f"ops-pipeline ops_daily --mode=prod --as-of={DAY}")
    assert printed[-2].startswith("ops_daily_watchdog status=insufficient_data reason=delivered_total_0 ")

    with psycopg.connect(role, autocommit=True) as connection:
        for table in ("inbox_items", "acknowledgements", "second_touch_events"):
            query = sql.SQL("SELECT * FROM {}").format(sql.Identifier("peer_app", table))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(query)
        execute(database.dsn, f"ALTER VIEW {RELATION} SET (security_invoker)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT touch FROM {RELATION}")  # noqa: S608


def test_beside_the_applications_alembic_the_schema_on_the_page_is_all_that_dagster_needs(
    roles: None, database: Database, monkeypatch: pytest.MonkeyPatch, lines: Callable[..., list[str]]
) -> None:
    execute(database.dsn, "CREATE ROLE ops_pipeline LOGIN", "CREATE TABLE public.alembic_version (version_num text)")
    role = as_role(database.dsn, "ops_pipeline")
    monkeypatch.setenv("OPS_POSTGRES_DSN", database.dsn)
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", role)
    assert lines("ops-pipeline db_verify") == ["db_verify status=fail reason=dagster_schema_taken"]
    execute(database.dsn, *blocks("Dagster in the same database", "sql"))
    (setting,) = blocks("Dagster in the same database", "sh")
    (options,) = re.findall(r"&(options=[^']*)'", setting)
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", f"{role}&{options}")
    assert " status=ok " in lines("ops-pipeline db_bootstrap apply_migrations --with-dagster")[0]
    assert lines("ops-pipeline db_verify --with-dagster")[0].startswith("db_verify status=ok ")


def test_who_only_looks_can_read_what_is_published_and_no_count_of_a_segment(roles: None, database: Database) -> None:
    execute(database.dsn, *blocks("Rights to read", "sql")[0].split(";\n"))
    with psycopg.connect(as_role(database.dsn, "ops_reader"), autocommit=True) as connection:
        readable = set()
        for table in (*metadata.tables.values(), applied_revisions):
            try:
                connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier("ops", table.name)))
                readable.add(table.name)
            except psycopg.errors.InsufficientPrivilege:
                continue
        assert readable == PUBLISHED
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM ops.verdicts")


def test_the_settings_of_the_server_can_be_made_as_written(database: Database) -> None:
    (block,) = blocks("What the server itself writes down", "sql")
    settings = re.findall(r"ALTER SYSTEM SET (\w+) = (\S+);", block)
    assert len(settings) == 4
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for name, value in settings:
            # For this session only: the server serves other tests too.
            connection.execute(f"SET {name} = {value}")  # type: ignore[arg-type]


def test_importing_files_needs_the_owner(
    roles: None,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    lines: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    execute(database.dsn, "CREATE ROLE ops_pipeline LOGIN", blocks("Rights", "sql")[1])
    file = tmp_path / "events.csv"
    file.write_text("occurred_at,touch,outcome\n2026-10-01T12:00:00+00:00,first,delivered\n")
    monkeypatch.setenv("OPS_POSTGRES_DSN", as_role(database.dsn, "ops_pipeline"))
    assert " reason=no_privilege" in lines(f"ops-pipeline events import {file}")[-1]
    monkeypatch.setenv("OPS_POSTGRES_DSN", database.dsn)
    assert " status=ok " in lines(f"ops-pipeline events import {file}")[-1]


def test_tables_of_later_versions_are_covered_by_the_rights(
    roles: None, database: Database, server: EmbeddedServer
) -> None:
    execute(database.dsn, "CREATE ROLE ops_pipeline LOGIN", blocks("Rights", "sql")[1])
    execute(database.dsn, "CREATE TABLE ops.from_a_later_version (n integer)")
    execute(as_role(database.dsn, "ops_pipeline"), "INSERT INTO ops.from_a_later_version VALUES (1)")


def test_the_events_may_be_in_another_database_with_two_rights_and_nothing_else(
    roles: None,
    database: Database,
    peer_app: Database,
    monkeypatch: pytest.MonkeyPatch,
    lines: Callable[..., list[str]],
) -> None:
    execute(peer_app.dsn, "DROP SCHEMA ops CASCADE", "CREATE ROLE ops_pipeline LOGIN", blocks("Rights", "sql")[2])
    (setting,) = blocks("Events in another PostgreSQL", "sh")
    assert setting.startswith("export OPS_EVENTS_DSN=")
    monkeypatch.setenv("OPS_POSTGRES_DSN", database.dsn)
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", database.dsn)
    monkeypatch.setenv("OPS_EVENTS_DSN", as_role(peer_app.dsn, "ops_pipeline"))
    monkeypatch.setenv("OPS_EVENTS_RELATION", RELATION)
    assert lines("ops-pipeline db_verify")[0].startswith("db_verify status=ok ")
    printed = lines(f"ops-pipeline ops_daily --mode=prod --as-of={DAY}")
    assert f"ops_daily_totals as_of={DAY} window_days=7 delivered_total=888 " in printed[1]


@pytest.fixture
def app(database: Database) -> Database:
    """A bootstrapped database with the other tables that the page speaks of."""
    execute(
        database.dsn,
        "CREATE SCHEMA app",
        "CREATE TABLE app.webhook_calls (occurred_at timestamptz, provider_event_id text)",
        "CREATE TABLE app.suppressions (offer_id integer, looked_at timestamptz, reason text)",
        "CREATE TABLE app.messages (id integer, delivered_at timestamptz)",
        "INSERT INTO app.messages VALUES (42, NULL)",
    )
    return database


def plan(database: Database, relation: str) -> str:
    """Return how PostgreSQL would count a day of `relation`, could it choose freely between index and table."""
    with psycopg.connect(database.dsn) as connection:
        connection.execute("SET enable_seqscan = off")
        rows = connection.execute(
            sql.SQL(
                "EXPLAIN SELECT touch, outcome, count(*) FROM {} WHERE occurred_at >= '2026-11-07 00:00+00'"
                " AND occurred_at < '2026-11-08 00:00+00' GROUP BY 1, 2"
            ).format(sql.SQL(relation))
        ).fetchall()
    return "\n".join(line for (line,) in rows)


def test_repeated_events_are_counted_once_and_a_day_stays_cheap(app: Database) -> None:
    execute(
        app.dsn,
        blocks("Sources that repeat events", "sql")[0],
        "CREATE INDEX ON app.webhook_calls (occurred_at)",
        "INSERT INTO app.webhook_calls VALUES ('2026-11-07 12:00+00', 'a'), ('2026-11-07 12:00+00', 'a'),"
        " ('2026-11-07 12:00+00', 'b'), ('2026-11-07 13:00+00', 'c')",
    )
    assert counts(app, "app.delivery_events") == {("first", "delivered", None): 3}
    assert "Index Cond" in plan(app, "app.delivery_events")


def test_a_suppression_that_is_logged_at_each_look_counts_once_on_the_day_of_the_first(app: Database) -> None:
    execute(
        app.dsn,
        blocks("Sources that repeat events", "sql")[1],
        "INSERT INTO app.suppressions VALUES (1, '2026-11-06 12:00+00', 'rate_limited'),"
        " (1, '2026-11-07 12:00+00', 'rate_limited'), (2, '2026-11-07 12:00+00', 'rate_limited'),"
        " (2, '2026-11-07 12:05+00', 'rate_limited'), (2, '2026-11-08 12:05+00', 'rate_limited')",
    )
    assert counts(app, "app.suppressions_once") == {("second", "suppressed", "rate_limited"): 1}


def test_without_attempts_they_are_taken_as_held_and_queued(peer_app: Database) -> None:
    execute(peer_app.dsn, "DELETE FROM peer_app.second_touch_events WHERE event_type = 'send_attempted'")
    day = date(2026, 11, 4)
    counts(peer_app, RELATION, day=day)
    with peer_app.engine.connect() as connection:
        days = read_days(connection, day, day)
    (second,) = compute_metrics(days, day, ()).second_touch
    assert (second.attempts, second.attempts_source, second.hold_rate) == (6, AttemptsSource.DERIVED, 0.5)
    assert "`attempts_source=derived`" in PAGE.read_text(encoding="utf-8")


def test_the_reasons_declared_on_the_page_replace_those_of_their_outcome_and_no_others(
    app: Database, tmp_path: Path
) -> None:
    (toml,) = blocks("Your own reasons", "toml")
    path = tmp_path / "ops.toml"
    path.write_text(toml)
    config = load_config(path)
    assert config.taxonomy.held == ("quiet_hours", "rate_limited", "identity_leak")
    assert config.taxonomy.suppressed == Taxonomy().suppressed
    execute(
        app.dsn,
        "INSERT INTO ops.delivery_events SELECT '2026-11-07 12:00+00', 'first', 'held', reason"
        " FROM unnest(ARRAY['quiet_hours', 'rate_limited', 'crisis_window']) AS reason",
    )
    assert counts(app, "ops.delivery_events", config) == {
        ("first", "held", "quiet_hours"): 1,
        ("first", "held", "rate_limited"): 1,
        ("first", "held", "undeclared"): 1,
    }


@pytest.mark.parametrize("text", ["[taxonomy]\nheld = ['Quiet-Hours']", "[taxonomy]\nheeld = ['quiet_hours']"])
def test_a_configuration_with_a_mistake_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ops.toml"
    path.write_text(text)
    with pytest.raises(OpsError) as caught:
        load_config(path)
    assert caught.value.reason is Reason.INVALID_CONFIG


def test_the_indexes_on_the_page_are_used_for_each_of_the_three_tables(peer_app: Database) -> None:
    (indexes,) = blocks("Indexes", "sql")
    execute(peer_app.dsn, *indexes.splitlines(), "ANALYZE")
    steps = plan(peer_app, RELATION)
    assert steps.count("Index Cond") == 3
    assert "Seq Scan" not in steps


def test_indexes_can_be_made_without_keeping_writers_waiting(peer_app: Database) -> None:
    (indexes,) = blocks("Indexes", "sql")
    execute(peer_app.dsn, *indexes.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY").splitlines())


def test_an_event_written_with_the_outcome_is_there_exactly_when_the_outcome_is(roles: None, app: Database) -> None:
    write, grants = blocks("Write events yourself", "sql")
    execute(
        app.dsn,
        "CREATE ROLE app_role LOGIN",
        grants,
        "GRANT USAGE ON SCHEMA app TO app_role",
        "GRANT SELECT, UPDATE ON app.messages TO app_role",
    )
    dsn = as_role(app.dsn, "app_role")
    execute(dsn, write.replace("COMMIT", "ROLLBACK"))
    assert (written(app), delivered(app)) == ([], 0)
    execute(dsn, write)
    assert (written(app), delivered(app)) == ([("first", "delivered", None, "email")], 1)


def test_an_event_that_breaks_the_contract_is_refused_with_the_applications_transaction(app: Database) -> None:
    write, _ = blocks("Write events yourself", "sql")
    for mistake in ("'delivered', 'blocked'", "'failed', NULL", "'sent', NULL"):
        with pytest.raises(psycopg.errors.CheckViolation):
            execute(app.dsn, write.replace("'delivered', NULL", mistake))
    assert (written(app), delivered(app)) == ([], 0)


def test_an_event_of_a_day_without_a_partition_is_stored_too(app: Database) -> None:
    write, _ = blocks("Write events yourself", "sql")
    execute(app.dsn, write.replace("VALUES (now()", "VALUES ('2031-01-01 12:00+00'"))
    assert counts(app, "ops.delivery_events", day=date(2031, 1, 1)) == {("first", "delivered", None): 1}


def test_a_label_in_another_spelling_can_be_mended_in_the_view(app: Database) -> None:
    assert "`lower(replace(reason, '-', '_'))`" in PAGE.read_text(encoding="utf-8")
    execute(
        app.dsn,
        "CREATE VIEW app.labels AS SELECT created_at AT TIME ZONE 'UTC' AS occurred_at, 'first' AS touch,"
        " 'held' AS outcome, lower(replace(reason, '-', '_')) AS reason, NULL AS segment"
        " FROM (VALUES (timestamp '2026-11-07 00:00', 'Rate-Limited')) AS log (created_at, reason)",
    )
    assert counts(app, "app.labels") == {("first", "held", "rate_limited"): 1}


def written(database: Database) -> list[tuple[object, ...]]:
    """Return the events in `ops.delivery_events`, without their time."""
    with psycopg.connect(database.dsn) as connection:
        return connection.execute("SELECT touch, outcome, reason, segment FROM ops.delivery_events").fetchall()


def delivered(database: Database) -> int:
    """Return how many messages the application calls delivered."""
    with psycopg.connect(database.dsn) as connection:
        (found,) = connection.execute("SELECT count(delivered_at) FROM app.messages").fetchall()
    return int(found[0])
