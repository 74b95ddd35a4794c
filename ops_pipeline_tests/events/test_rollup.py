"""The rollup: events to daily counts, whole days at a time, and no text of the source ever travels."""

from __future__ import annotations

import socket
import threading
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from ops_pipeline.contract.config import Config, Privacy, Taxonomy
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.events.rollup import RolledUp, roll_up, uncounted_days
from ops_pipeline.store.daily_counts import lock_days, read_days
from ops_pipeline.store.engine import writing
from ops_pipeline_tests.conftest import Database
from ops_pipeline_tests.counting import count_days

DAY = date(2026, 11, 7)
FIRST = date(2026, 10, 1)
EVENTS = "ops.delivery_events"
NOON = "'2026-11-07 12:00+00'::timestamptz"

# A relation that takes anything, as an application's own view can give anything.
LOOSE = """
    CREATE TABLE public.loose (
        occurred_at timestamptz, touch text, outcome text, reason varchar(200), segment text
    )
"""


def _insert(connection: Connection, relation: str, *rows: tuple[str | None, ...]) -> None:
    statement = text(f"INSERT INTO {relation} VALUES (:a, :b, :c, :d, :e)")  # noqa: S608 - the test's own names
    connection.execute(statement, [dict(zip("abcde", row, strict=True)) for row in rows])


def _roll_up(database: Database, relation: str = EVENTS, day: date = DAY, config: Config | None = None) -> RolledUp:
    with writing(database.engine) as connection:
        lock_days(connection)
        days = uncounted_days(connection, [day], first_day=FIRST)
        return roll_up(connection, database.engine, relation, days, config=config or Config(), asked=[day])


def _counts(database: Database, day: date = DAY) -> dict[tuple[str, str, str | None], int]:
    with database.engine.connect() as connection:
        (counts,) = read_days(connection, day, day)
    return {key: events for key, events in counts.counts.items() if events}


def _segments(database: Database) -> dict[str | None, int]:
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT segment, sum(events) FROM ops.daily_counts WHERE events > 0 GROUP BY segment")
        )
        return {segment: int(events) for segment, events in rows}


@pytest.fixture
def loose(database: Database) -> Database:
    """A database whose relation `public.loose` takes anything."""
    with database.engine.begin() as connection:
        connection.execute(text(LOOSE))
    return database


def test_a_day_begins_and_ends_at_midnight_utc(database: Database) -> None:
    with database.engine.begin() as connection:
        _insert(
            connection,
            EVENTS,
            ("2026-11-06 23:59:59.999999+00", "first", "delivered", None, None),
            ("2026-11-07 00:00:00+00", "first", "delivered", None, None),
            ("2026-11-08 01:59:59+02", "first", "delivered", None, None),
            ("2026-11-08 00:00:00+00", "first", "delivered", None, None),
        )
    _roll_up(database)
    assert _counts(database) == {("first", "delivered", None): 2}


def test_days_never_counted_before_are_counted_with_the_day_asked_for(database: Database) -> None:
    with database.engine.begin() as connection:
        _insert(connection, EVENTS, ("2026-10-20 12:00+00", "first", "delivered", None, None))
    first = _roll_up(database)
    assert (first.days[0], first.days[-1], first.events) == (FIRST, DAY, 1)
    assert _roll_up(database).days == (DAY,)


def test_a_day_without_events_is_known_to_have_none(database: Database) -> None:
    _roll_up(database)
    with database.engine.connect() as connection:
        days = read_days(connection, FIRST, DAY)
    assert [day.day for day in days] == [FIRST + timedelta(days=n) for n in range((DAY - FIRST).days + 1)]
    assert all(set(day.counts.values()) == {0} for day in days)


def test_late_events_are_found_when_the_day_is_done_again(database: Database) -> None:
    for expected in (1, 2):
        with database.engine.begin() as connection:
            _insert(connection, EVENTS, ("2026-11-07 12:00+00", "first", "delivered", None, None))
        _roll_up(database)
        assert _counts(database) == {("first", "delivered", None): expected}


def test_counts_outlive_the_events_they_were_made_of(database: Database) -> None:
    with database.engine.begin() as connection:
        _insert(connection, EVENTS, ("2026-11-07 12:00+00", "first", "delivered", None, None))
    _roll_up(database)
    with database.engine.begin() as connection:
        connection.execute(text("TRUNCATE ops.delivery_events"))
    assert _roll_up(database).kept == (DAY,)
    assert _counts(database) == {("first", "delivered", None): 1}


def test_what_is_no_label_not_declared_or_missing_is_counted_and_never_repeated(loose: Database) -> None:
    noon = "2026-11-07 12:00+00"
    with loose.engine.begin() as connection:
        _insert(
            connection,
            "public.loose",
            (noon, "first", "held", "someone@example.org", None),
            (noon, "first", "held", "+49 170 1234567", None),
            (noon, "first", "held", "my_own_reason", None),
            (noon, "first", "held", None, None),
            (noon, "first", "held", "", None),
            (noon, "first", "held", "rate_limited", None),
            (noon, "first", "acknowledged", "rate_limited", None),
            (noon, "first", "acknowledged", "positive", None),
            (noon, "first", "delivered", "rate_limited", None),
        )
    _roll_up(loose, "public.loose")
    assert _counts(loose) == {
        ("first", "held", "invalid_label"): 2,
        ("first", "held", "undeclared"): 1,
        ("first", "held", "missing_reason"): 2,
        ("first", "held", "rate_limited"): 1,
        ("first", "acknowledged", "undeclared"): 1,
        ("first", "acknowledged", "positive"): 1,
        ("first", "delivered", None): 1,
    }


def test_a_deployment_counts_the_reasons_that_it_declares(loose: Database) -> None:
    with loose.engine.begin() as connection:
        _insert(connection, "public.loose", ("2026-11-07 12:00+00", "first", "held", "my_own_reason", None))
    _roll_up(loose, "public.loose", config=Config(taxonomy=Taxonomy(held=("my_own_reason",))))
    assert _counts(loose) == {("first", "held", "my_own_reason"): 1}


def test_a_segment_with_too_many_labels_is_an_identifier_in_disguise(loose: Database) -> None:
    with loose.engine.begin() as connection:
        rows = [("2026-11-07 12:00+00", "first", "delivered", None, f"user_{n}") for n in range(51)]
        _insert(connection, "public.loose", *rows)
        _insert(connection, "public.loose", ("2026-11-06 12:00+00", "first", "delivered", None, "email"))
    taxonomy = Taxonomy(segments=("email", *(f"user_{n}" for n in range(51))))
    _roll_up(loose, "public.loose", config=Config(taxonomy=taxonomy))
    # The other day keeps its segment.
    assert _segments(loose) == {"not_a_segment": 51, "email": 1}
    _roll_up(loose, "public.loose", config=Config(taxonomy=taxonomy, privacy=Privacy(max_segments=51)))
    assert len(_segments(loose)) == 52


def test_a_segment_that_is_not_declared_is_counted_and_never_named(loose: Database) -> None:
    with loose.engine.begin() as connection:
        segments = ["email", "sms", "john_smith", "John Smith", None]
        rows = [("2026-11-07 12:00+00", "first", "delivered", None, segment) for segment in segments]
        _insert(connection, "public.loose", *rows)
    _roll_up(loose, "public.loose")
    assert _segments(loose) == {"undeclared": 3, "invalid_label": 1, None: 1}
    _roll_up(loose, "public.loose", config=Config(taxonomy=Taxonomy(segments=("email", "sms"))))
    assert _segments(loose) == {"email": 1, "sms": 1, "undeclared": 1, "invalid_label": 1, None: 1}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    reason=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60),
    segment=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60),
)
def test_whatever_stands_in_reason_and_segment_only_labels_are_stored(
    loose: Database, reason: str, segment: str
) -> None:
    with loose.engine.begin() as connection:
        connection.execute(text("TRUNCATE public.loose"))
        _insert(connection, "public.loose", ("2026-11-07 12:00+00", "first", "held", reason, segment))
    _roll_up(loose, "public.loose")
    ((_, _, stored),) = _counts(loose)
    assert stored in {"invalid_label", "undeclared", "missing_reason", *Taxonomy().held}


@pytest.mark.parametrize(
    ("relation", "reason"),
    [
        ("ops.no_such_thing", Reason.EVENTS_RELATION_MISSING),
        ("no_schema.delivery_events", Reason.EVENTS_RELATION_MISSING),
        ("a.b.c.d", Reason.EVENTS_RELATION_MISSING),
        ("'; DROP TABLE ops.daily_counts; --", Reason.EVENTS_RELATION_MISSING),
        ('"', Reason.EVENTS_RELATION_MISSING),
        ("", Reason.EVENTS_RELATION_MISSING),
        ("ops.daily_counts", Reason.EVENTS_RELATION_INVALID),
        ("ops.verdicts_pkey", Reason.EVENTS_RELATION_MISSING),
    ],
)
def test_an_unusable_relation_has_a_reason(database: Database, relation: str, reason: Reason) -> None:
    with pytest.raises(OpsError) as caught:
        _roll_up(database, relation)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "view",
    [
        "SELECT now()::timestamp AS occurred_at, 'first' AS touch, 'held' AS outcome, 'x' AS reason, 'y' AS segment",
        "SELECT now() AS occurred_at, 1 AS touch, 'held' AS outcome, 'x' AS reason, 'y' AS segment",
        "SELECT now() AS occurred_at, 'first' AS touch, 'held' AS outcome, 'x' AS reason",
        f"SELECT {NOON} AS occurred_at, 'third' AS touch, 'held' AS outcome, 'x' AS reason, 'y' AS segment",
        f"SELECT {NOON} AS occurred_at, 'first' AS touch, 'lost' AS outcome, 'x' AS reason, 'y' AS segment",
        f"SELECT {NOON} AS occurred_at, 'first' AS touch, 'held' AS outcome, (1 / 0)::text AS reason, 'y' AS segment",
    ],
)
def test_a_view_that_breaks_the_contract_has_a_reason_and_changes_nothing(database: Database, view: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(f"CREATE VIEW public.events AS {view}"))
    with pytest.raises(OpsError) as caught:
        _roll_up(database, "public.events")
    assert caught.value.reason is Reason.EVENTS_RELATION_INVALID
    with database.engine.connect() as connection:
        assert read_days(connection, FIRST, DAY) == []


def test_what_fails_inside_the_relation_is_not_called_a_fault_of_the_database(database: Database) -> None:
    columns = "occurred_at timestamptz, touch text, outcome text, reason text, segment text"
    held = f"{NOON} AS occurred_at, 'first' AS touch, 'held' AS outcome"
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    faults = {
        "raising": (Reason.EVENTS_RELATION_FAILED, "P0001"),
        "deep": (Reason.EVENTS_RELATION_FAILED, "54001"),
        "over_unfilled": (Reason.EVENTS_RELATION_UNFILLED, "55000"),
        "unfilled": (Reason.EVENTS_RELATION_UNFILLED, None),
        "elsewhere": (Reason.EVENTS_SERVER_FAILED, "08001"),
    }
    with database.engine.begin() as connection:
        for statement in (
            "CREATE FUNCTION public.refuse() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$",
            "CREATE FUNCTION public.dive() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN public.dive(); END $$",
            f"CREATE VIEW public.raising AS SELECT {held}, public.refuse() AS reason, 'y' AS segment",
            f"CREATE VIEW public.deep AS SELECT {held}, public.dive() AS reason, 'y' AS segment",
            "CREATE MATERIALIZED VIEW public.unfilled AS SELECT * FROM ops.delivery_events WITH NO DATA",
            "CREATE VIEW public.over_unfilled AS SELECT * FROM public.unfilled",
            "CREATE EXTENSION postgres_fdw",
            f"CREATE SERVER dead FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}')",
            "CREATE USER MAPPING FOR CURRENT_USER SERVER dead OPTIONS (user 'a', password 'b')",
            f"CREATE FOREIGN TABLE public.elsewhere ({columns}) SERVER dead",
        ):
            connection.exec_driver_sql(statement)
    for name, (reason, state) in faults.items():
        with pytest.raises(OpsError) as caught:
            _roll_up(database, f"public.{name}")
        found = caught.value.fields.get("sqlstate")
        assert (name, caught.value.reason, found and str(found)) == (name, reason, state)


def test_a_domain_is_what_it_is_made_of(database: Database) -> None:
    words = "touch public.touch, outcome public.word, reason public.word, segment public.word"
    with database.engine.begin() as connection:
        for statement in (
            "CREATE DOMAIN public.instant AS timestamptz",
            "CREATE DOMAIN public.past AS public.instant CHECK (VALUE < '2999-01-01')",
            "CREATE DOMAIN public.word AS text",
            "CREATE TYPE public.touches AS ENUM ('first', 'second')",
            "CREATE DOMAIN public.touch AS public.touches",
            f"CREATE TABLE public.domains (occurred_at public.past, {words})",
        ):
            connection.exec_driver_sql(statement)
        _insert(connection, "public.domains", ("2026-11-07 12:00+00", "first", "delivered", None, "email"))
    _roll_up(database, "public.domains")
    assert _counts(database) == {("first", "delivered", None): 1}


def test_any_name_that_postgresql_allows_can_be_named(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text('CREATE SCHEMA "My ""odd"" schema"'))
        connection.execute(
            text('CREATE VIEW "My ""odd"" schema"."per cent % and \\:colon" AS SELECT * FROM ops.delivery_events')
        )
        _insert(connection, EVENTS, ("2026-11-07 12:00+00", "first", "delivered", None, None))
    _roll_up(database, '"My ""odd"" schema"."per cent % and :colon"')
    assert _counts(database) == {("first", "delivered", None): 1}


def test_a_view_that_the_role_may_not_read_has_a_reason(database: Database) -> None:
    from ops_pipeline.contract.environment import Name
    from ops_pipeline.events.relation import find_relation
    from ops_pipeline.store.engine import engine_for

    with database.engine.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS may_not_read"))
        connection.execute(text("CREATE ROLE may_not_read LOGIN"))
        connection.execute(text("GRANT USAGE ON SCHEMA ops TO may_not_read"))
    engine = engine_for(Name.OPS_EVENTS_DSN, database.dsn.replace("postgres@", "may_not_read@"))
    with engine.connect() as connection, pytest.raises(OpsError) as caught:
        find_relation(connection, EVENTS)
    assert caught.value.reason is Reason.NO_PRIVILEGE
    with database.engine.begin() as connection:
        connection.execute(text("DROP OWNED BY may_not_read"))
        connection.execute(text("DROP ROLE may_not_read"))


def test_a_day_done_twice_at_once_is_counted_once(database: Database) -> None:
    with database.engine.begin() as connection:
        _insert(connection, EVENTS, *[("2026-11-07 12:00+00", "first", "delivered", None, None)] * 100)
    barrier, failures = threading.Barrier(4), []

    def run() -> None:
        barrier.wait()
        try:
            count_days(database, [DAY])
        except Exception as error:  # noqa: BLE001 - any failure fails the test
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert _counts(database) == {("first", "delivered", None): 100}


def test_the_events_are_read_by_one_statement_that_groups(database: Database) -> None:
    from sqlalchemy import event

    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    _roll_up(database)
    reads = [statement for statement in statements if "ops.delivery_events" in statement]
    assert len(reads) == 1
    assert "GROUP BY" in reads[0]
