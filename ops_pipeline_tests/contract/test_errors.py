"""Errors are words: whatever goes wrong becomes a declared reason, with nothing of the original's text."""
# ruff: noqa: S608 - the statements are made from a constant

from __future__ import annotations

import builtins
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator

import psycopg
import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from ops_pipeline.contract.errors import OpsError, cause_of, error_boundary, reason_of, sqlstate_of, to_ops_error
from ops_pipeline.contract.reasons import Cause, Reason
from ops_pipeline.orchestration import boundary
from ops_pipeline_tests.conftest import Database

CANARY = "canary_7f3a"

BUILTIN_ERRORS = sorted(
    (
        kind
        for kind in vars(builtins).values()
        if isinstance(kind, type)
        and issubclass(kind, BaseException)
        and not issubclass(kind, UnicodeError | BaseExceptionGroup)
    ),
    key=lambda kind: kind.__name__,
)


@pytest.fixture(autouse=True)
def _originals() -> Iterator[None]:
    """Let errors keep their texts here, whatever other tests in this process asked for."""
    is_guarded = event.contains(Engine, "handle_error", boundary.redact_context)
    if is_guarded:
        event.remove(Engine, "handle_error", boundary.redact_context)
    yield
    if is_guarded:
        event.listen(Engine, "handle_error", boundary.redact_context)


def _everything_said(error: BaseException) -> str:
    """All that a program which logs or stores the exception could come across."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(vars(error))


def _fail(engine: Engine, *statements: str) -> BaseException:
    """Return what SQLAlchemy raises for the last of `statements`, with the canary somewhere in its text."""
    *before, last = map(text, statements)
    with engine.connect() as connection:
        for statement in before:
            connection.execute(statement)
        with pytest.raises(DBAPIError) as caught:
            connection.execute(last)
    return caught.value


def _assert_is_a_word(error: BaseException, reason: Reason, **fields: object) -> None:
    """The wrapped and the bare exception have the reason, and what stands for them has nothing else."""
    for original in (error, getattr(error, "orig", None) or error):
        assert reason_of(original) is reason
        failure = to_ops_error(original)
        assert str(failure) == reason
        assert failure.fields == fields
        assert CANARY not in _everything_said(failure)


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        ([f"SELECT '{CANARY}' FROM {CANARY}"], Reason.MISSING_TABLES),
        ([f"CREATE TABLE {CANARY}.t (a int)"], Reason.MISSING_TABLES),
        ([f"SELECT {CANARY} FROM pg_class"], Reason.DRIFT),
        (
            ["CREATE TABLE t (a text PRIMARY KEY)", f"INSERT INTO t VALUES ('{CANARY}'), ('{CANARY}')"],
            Reason.CONSTRAINT_VIOLATED,
        ),
        (
            ["CREATE TABLE t (a text CHECK (length(a) < 3))", f"INSERT INTO t VALUES ('{CANARY}')"],
            Reason.CONSTRAINT_VIOLATED,
        ),
        (
            ["CREATE TABLE t (a text, b int NOT NULL)", f"INSERT INTO t VALUES ('{CANARY}', NULL)"],
            Reason.CONSTRAINT_VIOLATED,
        ),
        (
            [
                "CREATE TABLE t (a text PRIMARY KEY)",
                "CREATE TABLE u (a text REFERENCES t)",
                f"INSERT INTO u VALUES ('{CANARY}')",
            ],
            Reason.CONSTRAINT_VIOLATED,
        ),
        (
            [f"CREATE TABLE {CANARY} (a int)", "SET LOCAL ROLE pg_monitor", f"SELECT a FROM {CANARY}"],
            Reason.NO_PRIVILEGE,
        ),
        (["SET LOCAL statement_timeout = '20ms'", f"SELECT '{CANARY}', pg_sleep(60)"], Reason.DB_TIMEOUT),
        ([f"SELECT CAST('{CANARY}' AS date)"], Reason.DB_ERROR),
        ([f"SELEKT '{CANARY}'"], Reason.DB_ERROR),
        ([f"SELECT '{CANARY}', 1 / 0"], Reason.DB_ERROR),
        (["SET LOCAL transaction_read_only = on", f"CREATE TABLE {CANARY} (a int)"], Reason.DB_READ_ONLY),
        ([f"DO $$ BEGIN RAISE EXCEPTION '{CANARY}' USING ERRCODE = '53100'; END $$"], Reason.DB_OUT_OF_RESOURCES),
    ],
)
def test_a_statement_that_the_database_refuses_has_a_word(
    empty_database: Database, statements: list[str], reason: Reason
) -> None:
    error = _fail(empty_database.engine, *statements)
    assert CANARY in str(error), "the original must hold what is not to get out"
    _assert_is_a_word(error, reason)


def test_a_lock_that_somebody_else_holds_has_a_word(database: Database) -> None:
    with psycopg.connect(database.dsn) as other:
        other.execute("LOCK TABLE ops.daily_counts")
        error = _fail(
            database.engine, "SET LOCAL lock_timeout = '20ms'", f"SELECT count(*) AS {CANARY} FROM ops.daily_counts"
        )
    _assert_is_a_word(error, Reason.LOCK_TIMEOUT)


def test_two_transactions_that_collide_have_a_word(empty_database: Database) -> None:
    with empty_database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a int)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
    late = empty_database.engine.connect().execution_options(isolation_level="REPEATABLE READ")
    with late, late.begin():
        late.execute(text("SELECT a FROM t"))
        with empty_database.engine.begin() as early:
            early.execute(text("UPDATE t SET a = 2"))
        with pytest.raises(DBAPIError) as caught:
            late.execute(text(f"UPDATE t SET a = 3 /* {CANARY} */"))
    _assert_is_a_word(caught.value, Reason.DB_CONFLICT)


def test_a_connection_that_the_server_ends_has_a_word(empty_database: Database) -> None:
    with psycopg.connect(empty_database.dsn) as victim, psycopg.connect(empty_database.dsn) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (victim.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError) as caught:
            victim.execute(f"SELECT '{CANARY}'")
    _assert_is_a_word(caught.value, Reason.DB_CONNECTION_LOST)


@pytest.mark.parametrize("driver", [psycopg, psycopg2], ids=lambda driver: driver.__name__)
@pytest.mark.parametrize(
    ("dsn", "cause"),
    [
        (f"postgresql://{CANARY}:{CANARY}@127.0.0.1:1/{CANARY}", Cause.REFUSED),
        (f"postgresql://{CANARY}:{CANARY}@/{CANARY}?host=/no/such/{CANARY}", Cause.REFUSED),
        (f"postgresql://user@{CANARY}.invalid/ops", Cause.DNS),
    ],
    ids=["refused", "no_socket", "no_such_host"],
)
def test_a_server_out_of_reach_has_a_word_with_either_driver(driver: object, dsn: str, cause: Cause) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: driver.connect(dsn))  # type: ignore[attr-defined]
    with pytest.raises((DBAPIError, psycopg2.Error)) as caught:
        engine.connect()
    _assert_is_a_word(caught.value, Reason.DB_CONNECT_FAILED, cause=cause)


def test_a_database_or_a_role_that_does_not_exist_has_a_word(empty_database: Database) -> None:
    folder = empty_database.dsn.partition("?")[2]
    for dsn, cause in (
        (f"postgresql://postgres@/{CANARY}?{folder}", Cause.DATABASE_MISSING),
        (f"postgresql://{CANARY}@/postgres?{folder}", Cause.AUTH),
    ):
        with pytest.raises(psycopg.OperationalError, match=CANARY) as caught:
            psycopg.connect(dsn)
        _assert_is_a_word(caught.value, Reason.DB_CONNECT_FAILED, cause=cause)


ADDRESS = 'connection to server at "certificate.example" (192.0.2.7), port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (ADDRESS + "Connection refused\n\tIs the server running on that host?", Cause.REFUSED),
        (ADDRESS + "No route to host", Cause.REFUSED),
        (ADDRESS + "FATAL:  sorry, too many clients already", Cause.SLOTS),
        (ADDRESS + "FATAL:  the database system is starting up", Cause.REFUSED),
        (ADDRESS + 'FATAL:  password authentication failed for user "SSL timed out"', Cause.AUTH),
        (ADDRESS + "fe_sendauth: no password supplied", Cause.AUTH),
        (ADDRESS + 'FATAL:  no pg_hba.conf entry for host "192.0.2.8", user "a", database "b", SSL off', Cause.AUTH),
        (ADDRESS + 'FATAL:  role "certificate" is not permitted to log in', Cause.AUTH),
        (ADDRESS + 'FATAL:  database "pg_hba.conf" does not exist', Cause.DATABASE_MISSING),
        (ADDRESS + "server does not support SSL, but SSL was required", Cause.TLS),
        (ADDRESS + "SSL error: certificate verify failed", Cause.TLS),
        (ADDRESS + 'root certificate file "/no/such" does not exist', Cause.TLS),
        (ADDRESS + "timeout expired", Cause.TIMEOUT),
        ("failed to resolve host 'certificate.example': [Errno -2] Name or service not known", Cause.DNS),
        ('could not translate host name "SSL" to address: Name or service not known', Cause.DNS),
        (ADDRESS + "FATAL:  Passwort-Authentifizierung für Benutzer »a« fehlgeschlagen", Cause.REFUSED),
        ("something else", Cause.OTHER),
    ],
)
def test_where_a_connection_failed_is_told_whatever_things_are_called(said: str, cause: Cause) -> None:
    assert cause_of(psycopg.OperationalError(said)) is cause
    wrapped = RuntimeError("Exceeded maximum connection retries")
    wrapped.__cause__ = psycopg.OperationalError(said)
    assert cause_of(wrapped) is cause


def test_a_connection_that_takes_too_long_is_a_timeout() -> None:
    assert cause_of(psycopg.errors.ConnectionTimeout("connection timeout expired")) is Cause.TIMEOUT


@given(st.sampled_from(BUILTIN_ERRORS), st.lists(st.text().map(lambda said: CANARY + said), max_size=3))
def test_any_exception_of_python_becomes_a_reason_and_none_of_its_text(
    kind: type[BaseException], said: list[str]
) -> None:
    # Not made by calling it: some kinds want arguments of their own.
    error = kind.__new__(kind)
    error.args = tuple(said)
    error.add_note(CANARY)
    error.__cause__ = ValueError(CANARY)
    expected = Reason.INTERRUPTED if kind is KeyboardInterrupt else Reason.INTERNAL_ERROR
    assert reason_of(error) is expected
    assert CANARY not in _everything_said(to_ops_error(error))


@given(st.text())
def test_any_sqlstate_becomes_a_reason(state: str) -> None:
    error = RuntimeError(CANARY)
    error.sqlstate = state  # type: ignore[attr-defined]
    assert sqlstate_of(error) == state
    assert isinstance(reason_of(error), Reason)
    assert reason_of(error) is not Reason.INTERNAL_ERROR


def test_a_failure_that_has_a_word_keeps_it_and_its_fields() -> None:
    failure = to_ops_error(OpsError(Reason.BEHIND, revision=2, pending=2))
    assert (failure.reason, failure.fields) == (Reason.BEHIND, {"revision": 2, "pending": 2})


def _raise_plain() -> None:
    error = ValueError(CANARY)
    error.add_note(CANARY)
    raise error


def _raise_deep() -> None:
    try:
        _raise_plain()
    except ValueError as error:
        error.add_note(CANARY)
        raise RuntimeError(CANARY) from error


def _raise_group() -> None:
    raise ExceptionGroup(CANARY, [ValueError(CANARY), OSError(CANARY)])


def _raise_with_a_word_inside_a_handler() -> None:
    try:
        _raise_plain()
    except ValueError:
        raise OpsError(Reason.INTERNAL_ERROR)  # noqa: B904 - a chain made by mistake


def _raise_with_a_word_and_a_cause() -> None:
    raise OpsError(Reason.INTERNAL_ERROR) from ValueError(CANARY)


@pytest.mark.parametrize(
    "function",
    [_raise_plain, _raise_deep, _raise_group, _raise_with_a_word_inside_a_handler, _raise_with_a_word_and_a_cause],
)
def test_beyond_the_boundary_there_is_no_cause_context_note_or_text(function: Callable[[], None]) -> None:
    with pytest.raises(OpsError) as caught:
        error_boundary(function)()
    assert caught.value.reason is Reason.INTERNAL_ERROR
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert not hasattr(caught.value, "__notes__")
    assert CANARY not in _everything_said(caught.value)


def test_beyond_the_boundary_a_database_error_is_a_word_too(empty_database: Database) -> None:
    @error_boundary
    def insert_twice() -> None:
        with empty_database.engine.begin() as connection:
            connection.execute(text("CREATE TABLE t (a text UNIQUE)"))
            connection.execute(text("INSERT INTO t VALUES (:a), (:a)"), {"a": CANARY})

    with pytest.raises(OpsError) as caught:
        insert_twice()
    assert caught.value.reason is Reason.CONSTRAINT_VIOLATED
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert CANARY not in _everything_said(caught.value)


def test_the_boundary_hands_on_arguments_and_results_and_lets_ctrl_c_through() -> None:
    assert error_boundary(lambda a, *, b: (a, b))(1, b=2) == (1, 2)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        error_boundary(interrupted)()


@pytest.mark.parametrize(
    ("environ", "is_shown"),
    [
        ({}, False),
        ({"OPS_DEBUG": "0"}, False),
        ({"OPS_DEBUG": "1"}, True),
        ({"OPS_DEBUG": "1", "OPS_POSTGRES_DSN": "postgresql://h/d"}, False),
        ({"OPS_DEBUG": "1", "DAGSTER_POSTGRES_DSN": "postgresql://h/d"}, False),
    ],
    ids=["not_asked", "switched_off", "asked", "asked_with_ops_dsn", "asked_with_dagster_dsn"],
)
def test_the_original_is_shown_to_a_developer_who_asks_and_never_where_production_is_configured(
    environ: dict[str, str], is_shown: bool
) -> None:
    program = (
        "from ops_pipeline.contract.errors import to_ops_error\n"
        f"print(to_ops_error(ValueError('{CANARY}')).reason.value)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environ}, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "internal_error\n"
    assert (CANARY in ended.stderr) is is_shown
    assert bool(ended.stderr) is is_shown


def test_what_a_library_says_because_it_was_interrupted_is_an_interrupt() -> None:
    closed = psycopg.OperationalError("the connection is closed")
    closed.__context__ = KeyboardInterrupt()
    assert reason_of(closed) is Reason.INTERRUPTED
