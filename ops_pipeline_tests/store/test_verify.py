"""Verification: each way in which the databases can differ from what is needed has a reason of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError, to_ops_error
from ops_pipeline.contract.reasons import Cause, Reason
from ops_pipeline.events.verify import VerifiedDeployment, verify_deployment
from ops_pipeline.store.embedded import EmbeddedServer
from ops_pipeline.store.engine import engine_for
from ops_pipeline.store.migrate import apply_migrations, downgrade
from ops_pipeline.store.partitions import PARTITIONS_AHEAD_DAYS
from ops_pipeline.store.schema import metadata
from ops_pipeline.store.verify import verify_tables
from ops_pipeline_tests.answering import answering
from ops_pipeline_tests.conftest import REVISIONS, Database

TODAY = datetime.now(UTC).date()


def _execute(database: Database, *statements: str) -> None:
    with database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _refused(work: Callable[[], object], reason: Reason, **fields: object) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - drivers' exceptions become words at the boundary
        work()
    failure = to_ops_error(caught.value)
    assert (failure.reason, failure.fields) == (reason, fields)


def _fingerprint(database: Database) -> list[str]:
    """Return the catalog and every row of our tables, with who wrote it."""
    relations = "SELECT c::text FROM (SELECT oid, relname, relacl, relfilenode FROM pg_class ORDER BY oid) c"
    ours = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'ops' ORDER BY 1"
    with database.engine.connect() as connection:
        found = list(connection.scalars(text(relations)))
        for table in connection.scalars(text(ours)).all():
            found += connection.scalars(text(f"SELECT concat(xmin, ctid, t::text) FROM {table} t"))  # noqa: S608
        return found


@contextmanager
def _role(database: Database, *grants: str) -> Iterator[str]:
    """Make a role with these grants and yield a DSN for it."""
    _execute(database, "DROP ROLE IF EXISTS somebody", "CREATE ROLE somebody LOGIN", *grants)
    try:
        yield database.dsn.replace("postgres@", "somebody@")
    finally:
        _execute(database, "DROP OWNED BY somebody", "DROP ROLE somebody")


READS = ("GRANT USAGE ON SCHEMA ops TO somebody", "GRANT SELECT ON ALL TABLES IN SCHEMA ops TO somebody")
WRITES = (READS[0], "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ops TO somebody")


# Tables


NULLS_ARE_DISTINCT = """
    ALTER TABLE ops.daily_counts DROP CONSTRAINT daily_counts_utc_day_touch_outcome_reason_segment_key,
        ADD CONSTRAINT daily_counts_utc_day_touch_outcome_reason_segment_key
        UNIQUE (utc_day, touch, outcome, reason, segment)
"""
NOT_PARTITIONED = """
    CREATE TABLE ops.plain (LIKE ops.delivery_events INCLUDING ALL);
    DROP TABLE ops.delivery_events;
    ALTER TABLE ops.plain RENAME TO delivery_events;
    COMMENT ON TABLE ops.delivery_events IS 'One event; no identifiers. Partitioned by UTC day.'
"""


def _other_check(table: str, column: str, condition: str) -> str:
    name = f"{table}_{column}_check"
    return f"ALTER TABLE ops.{table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} CHECK ({condition})"


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("ALTER TABLE ops.daily_counts ADD COLUMN phone text", "daily_counts"),
        ("ALTER TABLE ops.daily_counts DROP COLUMN reason CASCADE", "daily_counts"),
        ("ALTER TABLE ops.daily_counts ALTER events TYPE integer", "daily_counts"),
        ("ALTER TABLE ops.verdicts ALTER reason DROP NOT NULL", "verdicts"),
        ("ALTER TABLE ops.verdicts ALTER computed_at DROP DEFAULT", "verdicts"),
        ("ALTER TABLE ops.delivery_events ALTER reason SET DEFAULT 'unknown'", "delivery_events"),
        ("ALTER TABLE ops.daily_counts DROP CONSTRAINT daily_counts_events_check", "daily_counts"),
        ("ALTER TABLE ops.delivered_totals ADD CHECK (delivered < 9)", "delivered_totals"),
        (
            _other_check("verdicts", "status", "status IN ('healthy', 'unhealthy')"),
            "verdicts",
        ),
        (
            _other_check("delivery_events", "reason", "reason ~ '.*'"),
            "delivery_events",
        ),
        ("ALTER TABLE ops.verdicts DROP CONSTRAINT verdicts_utc_day_signal_touch_key", "verdicts"),
        ("ALTER TABLE ops.verdicts DROP CONSTRAINT verdicts_pkey", "verdicts"),
        (_other_check("daily_counts", "events", "events <= 0"), "daily_counts"),
        (_other_check("intake_batches", "accepted", "rejected >= 0"), "intake_batches"),
        (_other_check("daily_counts", "segment", "segment !~ '^[a-z][a-z0-9_]{0,39}$'"), "daily_counts"),
        (_other_check("delivered_totals", "touch", "touch NOT IN ('first', 'second', 'both')"), "delivered_totals"),
        (_other_check("daily_counts", "events", "events >= 0 OR touch IS NULL"), "daily_counts"),
        (NULLS_ARE_DISTINCT, "daily_counts"),
        (
            "ALTER TABLE ops.verdicts DROP CONSTRAINT verdicts_pkey, ADD PRIMARY KEY (position, utc_day)",
            "verdicts",
        ),
        ("ALTER TABLE ops.verdicts ADD FOREIGN KEY (utc_day, position) REFERENCES ops.verdicts", "verdicts"),
        ("ALTER TABLE ops.verdicts RENAME COLUMN bound TO bounds", "verdicts"),
        ("COMMENT ON COLUMN ops.verdicts.position IS 'something else'", "verdicts"),
        ("DROP TABLE ops.delivery_events_default", "delivery_events"),
        ("ALTER TABLE ops.delivery_events DETACH PARTITION ops.delivery_events_default", "delivery_events"),
        (NOT_PARTITIONED, "delivery_events"),
        ("CREATE INDEX by_status ON ops.verdicts (status)", "verdicts"),
        ("CREATE UNIQUE INDEX by_computed ON ops.verdicts (computed_at)", "verdicts"),
    ],
)
def test_a_table_that_was_changed_by_hand_is_named(database: Database, change: str, table: str) -> None:
    _execute(database, change)
    with pytest.raises(OpsError) as caught:
        verify_tables(database.engine)
    assert caught.value.reason is Reason.DRIFT
    assert caught.value.fields["tables"] == (table,)
    assert caught.value.fields["differences"] in (1, 2, 3)


def test_every_table_that_differs_is_named_and_every_difference_counted(database: Database) -> None:
    _execute(
        database,
        "ALTER TABLE ops.verdicts ADD COLUMN phone text, ADD COLUMN mail text",
        "CREATE INDEX by_day ON ops.daily_counts (utc_day)",
    )
    _refused(lambda: verify_tables(database.engine), Reason.DRIFT, tables=("daily_counts", "verdicts"), differences=3)


@pytest.mark.parametrize("condition", ["((events) >= (0))", "0 + events::bigint >= 0"])
def test_the_same_check_in_other_brackets_is_no_drift_and_another_sum_is(database: Database, condition: str) -> None:
    _execute(database, _other_check("daily_counts", "events", condition))
    if "+" in condition:
        _refused(lambda: verify_tables(database.engine), Reason.DRIFT, tables=("daily_counts",), differences=1)
    else:
        assert verify_tables(database.engine).tables == len(metadata.tables)


def test_a_lost_default_partition_does_not_keep_the_days_from_getting_theirs(database: Database) -> None:
    day = f"ops.delivery_events_{TODAY:%Y%m%d}"
    _execute(database, "DROP TABLE ops.delivery_events_default", f"DROP TABLE {day}")
    assert apply_migrations(database.engine).applied == 0
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass(:day)::text"), {"day": day}) == day


def test_what_is_not_ours_may_be_anything(database: Database) -> None:
    _execute(
        database,
        "CREATE SCHEMA app",
        "CREATE TABLE app.daily_counts (a text)",
        "CREATE TABLE ops.somebody_elses (a text)",
        "CREATE INDEX by_touch ON ops.delivery_events_default (touch)",
    )
    assert verify_tables(database.engine).tables == len(metadata.tables)


def test_missing_tables_are_named_and_no_table_at_all_is_not_an_empty_one(
    database: Database, empty_database: Database
) -> None:
    _execute(database, "DROP TABLE ops.verdicts, ops.delivered_totals")
    _refused(lambda: verify_tables(database.engine), Reason.MISSING_TABLES, tables=("delivered_totals", "verdicts"))
    _refused(lambda: verify_tables(empty_database.engine), Reason.MISSING_TABLES)
    _execute(database, "DROP SCHEMA ops CASCADE")
    _refused(lambda: verify_tables(database.engine), Reason.MISSING_TABLES)


def test_what_is_pending_is_behind_and_no_drift(database: Database) -> None:
    downgrade(database.engine, "0002")
    _refused(
        lambda: verify_tables(database.engine),
        Reason.BEHIND,
        revision="0002",
        pending=len(REVISIONS) - 2,
        unrecorded=0,
    )


# Roles


def test_a_role_that_may_only_read_is_enough_and_changes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _role(database, *READS) as dsn:
        monkeypatch.setenv("OPS_POSTGRES_DSN", dsn)
        before = _fingerprint(database)
        found = verify_deployment()
        assert (str(found.access), found.warnings) == ("read_only", ())
        assert _fingerprint(database) == before


def test_a_role_with_what_the_pipeline_needs_has_neither_too_little_nor_too_much(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = "CREATE VIEW app.events AS SELECT * FROM ops.delivery_events"
    _execute(database, "CREATE SCHEMA app", "CREATE TABLE app.users (phone text)", view)
    app = ("GRANT USAGE ON SCHEMA app TO somebody", "GRANT SELECT ON app.events TO somebody")
    with _role(database, *WRITES, *app) as dsn:
        monkeypatch.setenv("OPS_POSTGRES_DSN", dsn)
        monkeypatch.setenv("OPS_EVENTS_RELATION", "app.events")
        found = verify_deployment()
        assert (str(found.access), found.warnings, found.partitions_until) == ("read_write", (), None)
        _execute(database, "GRANT SELECT ON app.users TO somebody")
        assert verify_deployment().warnings == (Reason.EXCESS_PRIVILEGE,)
        # One column of it is too much already.
        _execute(
            database, "REVOKE SELECT ON app.users FROM somebody", "GRANT SELECT (phone) ON app.users TO somebody"
        )
        assert verify_deployment().warnings == (Reason.EXCESS_PRIVILEGE,)
        _execute(database, "REVOKE SELECT (phone) ON app.users FROM somebody")
        assert verify_deployment().warnings == ()
        _execute(database, "ALTER ROLE somebody CREATEROLE")
        assert verify_deployment().warnings == (Reason.EXCESS_PRIVILEGE,)


def test_too_much_is_found_in_the_database_of_the_events_too(
    database: Database, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = "'' AS touch, '' AS outcome, '' AS reason, '' AS segment"
    relation = f"CREATE VIEW events AS SELECT now() AS occurred_at, {texts}"
    with _role(database, *WRITES) as dsn:
        _execute(empty_database, relation, "GRANT SELECT ON events TO somebody")
        monkeypatch.setenv("OPS_POSTGRES_DSN", dsn)
        monkeypatch.setenv("OPS_EVENTS_DSN", empty_database.dsn.replace("postgres@", "somebody@"))
        monkeypatch.setenv("OPS_EVENTS_RELATION", "events")
        assert verify_deployment().warnings == ()
        _execute(empty_database, "CREATE TABLE users (phone text)", "GRANT SELECT ON users TO somebody")
        assert verify_deployment().warnings == (Reason.EXCESS_PRIVILEGE,)
        _execute(empty_database, "DROP OWNED BY somebody")


@pytest.mark.parametrize(
    ("grants", "fields"),
    [
        ((), {}),
        (READS[:1], {}),
        ((*READS, "REVOKE SELECT ON ops.verdicts FROM somebody"), {"tables": ("verdicts",)}),
    ],
)
def test_a_role_that_may_not_even_read_is_told_what(
    database: Database, grants: tuple[str, ...], fields: dict[str, object]
) -> None:
    with _role(database, *grants) as dsn:
        engine = engine_for(Name.OPS_POSTGRES_DSN, dsn)
        _refused(lambda: verify_tables(engine), Reason.NO_PRIVILEGE, **fields)


def test_who_may_insert_and_not_delete_cannot_replace_a_day(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _role(database, *READS, "GRANT INSERT ON ALL TABLES IN SCHEMA ops TO somebody") as dsn:
        monkeypatch.setenv("OPS_POSTGRES_DSN", dsn)
        assert str(verify_deployment().access) == "read_only"


# Partitions, Dagster's storage, connections


@pytest.fixture
def verified(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[], VerifiedDeployment]:
    monkeypatch.setenv("OPS_POSTGRES_DSN", database.dsn)
    return verify_deployment


def test_a_coming_day_without_a_partition_is_said_in_time(
    database: Database, verified: Callable[[], VerifiedDeployment]
) -> None:
    assert verified().partitions_until == TODAY + timedelta(days=PARTITIONS_AHEAD_DAYS)
    _execute(database, f"DROP TABLE ops.delivery_events_{TODAY + timedelta(days=8):%Y%m%d}")
    assert verified().ops.tables == len(metadata.tables)
    for ahead in (3, 7):
        _execute(database, f"DROP TABLE ops.delivery_events_{TODAY + timedelta(days=ahead):%Y%m%d}")
    _refused(verified, Reason.MISSING_PARTITIONS, days=2, first_day=TODAY + timedelta(days=3))


def test_partitions_are_of_no_concern_where_the_events_are_somewhere_else(
    database: Database, verified: Callable[[], VerifiedDeployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    _execute(
        database,
        "CREATE VIEW public.my_events AS SELECT * FROM ops.delivery_events",
        f"DROP TABLE ops.delivery_events_{TODAY + timedelta(days=1):%Y%m%d}",
    )
    _refused(verified, Reason.MISSING_PARTITIONS, days=1, first_day=TODAY + timedelta(days=1))
    monkeypatch.setenv("OPS_EVENTS_RELATION", "public.my_events")
    assert verified().partitions_until is None


@pytest.mark.parametrize(
    ("relation", "reason"),
    [
        ("public.no_such", Reason.EVENTS_RELATION_MISSING),
        ("public.my_events; DROP TABLE ops.verdicts", Reason.EVENTS_RELATION_MISSING),
        ("public.my_events", Reason.EVENTS_RELATION_INVALID),
    ],
)
def test_an_events_relation_that_cannot_be_used_is_told_from_one_that_is_missing(
    database: Database,
    verified: Callable[[], VerifiedDeployment],
    monkeypatch: pytest.MonkeyPatch,
    relation: str,
    reason: Reason,
) -> None:
    _execute(
        database, "CREATE VIEW public.my_events AS SELECT touch, outcome, reason, segment FROM ops.delivery_events"
    )
    monkeypatch.setenv("OPS_EVENTS_RELATION", relation)
    with pytest.raises(OpsError) as caught:
        verified()
    assert caught.value.reason is reason
    assert verify_tables(database.engine).tables == len(metadata.tables)


def test_a_day_whose_events_already_lie_in_the_default_partition_is_not_asked_for(
    database: Database, verified: Callable[[], VerifiedDeployment]
) -> None:
    _execute(
        database,
        f"DROP TABLE ops.delivery_events_{TODAY:%Y%m%d}",
        f"INSERT INTO ops.delivery_events VALUES ('{TODAY} 00:00+00', 'first', 'delivered')",  # noqa: S608
    )
    assert verified().ops.tables == len(metadata.tables)


def test_dagsters_missing_tables_are_a_warning_unless_they_are_asked_for(
    database: Database,
    empty_database: Database,
    verified: Callable[[], VerifiedDeployment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Reason.DAGSTER_STORAGE_MISSING not in verified().warnings
    _refused(lambda: verify_deployment(needs_dagster=True), Reason.MISSING_ENV, missing=(Name.DAGSTER_POSTGRES_DSN,))
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", empty_database.dsn)
    assert Reason.DAGSTER_STORAGE_MISSING in verified().warnings
    _refused(lambda: verify_deployment(needs_dagster=True), Reason.DAGSTER_STORAGE_MISSING)
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", "postgresql://ops:s3cr3t@127.0.0.1:1/dagster")
    _refused(verified, Reason.DAGSTER_STORAGE_UNAVAILABLE, cause=Cause.REFUSED)


@pytest.mark.parametrize(
    ("role", "name", "cause"),
    [("s3cr3t", "postgres", Cause.AUTH), ("postgres", "s3cr3t", Cause.DATABASE_MISSING)],
)
def test_a_role_or_a_database_that_is_not_there_has_a_cause_of_its_own(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, role: str, name: str, cause: Cause
) -> None:
    monkeypatch.setenv("OPS_POSTGRES_DSN", server.dsn(name, role))
    _refused(verify_deployment, Reason.DB_CONNECT_FAILED, cause=cause, dsn=Name.OPS_POSTGRES_DSN)


@contextmanager
def _asks_for_a_password(database: Database, dsn: str) -> Iterator[None]:
    """Let the server ask for a password where this DSN leads, for the time being."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        found = connection.execute("SHOW hba_file").fetchone()
        assert found is not None
        rules = Path(found[0])
        try:
            before = rules.read_text()
            rules.write_text(f"local all somebody scram-sha-256\n{before}")
        except OSError:
            pytest.skip("another user's server")
        try:
            _reload(connection, dsn, is_asked=True)
            yield
        finally:
            rules.write_text(before)
            _reload(connection, dsn, is_asked=False)


def _reload(connection: psycopg.Connection, dsn: str, *, is_asked: bool) -> None:
    """Let the server read its rules again, and wait until it has."""
    connection.execute("SELECT pg_reload_conf()")
    for _ in range(1000):
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError:
            if is_asked:
                return
        else:
            if not is_asked:
                return
        connection.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("the server does not reload")


def test_a_wrong_password_is_called_one(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    grants = (*READS, "ALTER ROLE somebody PASSWORD 'right'")
    with _role(database, *grants) as dsn, _asks_for_a_password(database, dsn):
        for password in (":s3cr3t", ""):
            monkeypatch.setenv("OPS_POSTGRES_DSN", dsn.replace("somebody@", f"somebody{password}@"))
            _refused(verify_deployment, Reason.DB_CONNECT_FAILED, cause=Cause.AUTH, dsn=Name.OPS_POSTGRES_DSN)
        monkeypatch.setenv("OPS_POSTGRES_DSN", dsn.replace("somebody@", "somebody:right@"))
        assert verify_deployment().ops.tables == len(metadata.tables)


def test_a_server_without_tls_where_tls_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b"N") as port:
        monkeypatch.setenv("OPS_POSTGRES_DSN", f"postgresql://ops:s3cr3t@127.0.0.1:{port}/ops?sslmode=require")
        _refused(verify_deployment, Reason.DB_CONNECT_FAILED, cause=Cause.TLS, dsn=Name.OPS_POSTGRES_DSN)


def test_a_server_that_accepts_and_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(None) as port:
        monkeypatch.setenv("OPS_POSTGRES_DSN", f"postgresql://ops:s3cr3t@127.0.0.1:{port}/ops")
        _refused(
            lambda: verify_deployment(limit_seconds=2.5),
            Reason.DB_CONNECT_FAILED,
            cause=Cause.TIMEOUT,
            dsn=Name.OPS_POSTGRES_DSN,
        )


def test_of_two_databases_it_says_which_one_is_out_of_reach(
    verified: Callable[[], VerifiedDeployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_EVENTS_DSN", "postgresql://ops:s3cr3t@127.0.0.1:1/events")
    _refused(verified, Reason.DB_CONNECT_FAILED, cause=Cause.REFUSED, dsn=Name.OPS_EVENTS_DSN)


def test_a_lock_that_somebody_holds_does_not_hold_it_up(
    database: Database, verified: Callable[[], VerifiedDeployment]
) -> None:
    with database.engine.connect() as other:
        other.execute(text("LOCK ops.alembic_version IN ACCESS EXCLUSIVE MODE"))
        _refused(lambda: verify_deployment(limit_seconds=0.5), Reason.LOCK_TIMEOUT)
