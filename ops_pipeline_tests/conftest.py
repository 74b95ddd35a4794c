"""One real PostgreSQL for the whole session, and a fresh database for each test."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import Engine, text

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.tokens import Label
from ops_pipeline.store.embedded import EmbeddedServer, embedded_server
from ops_pipeline.store.migrate import apply_migrations
from ops_pipeline.store.pool import close_all
from ops_pipeline.store.revisions import revisions

settings.register_profile("ops", deadline=None, derandomize=True)
settings.load_profile("ops")

EXPENSIVE = settings(max_examples=20)
"""For a test each of whose examples judges days or asks a database: that takes some fifty milliseconds."""

# Where nothing compiled is kept, every process that a test starts compiles Dagster anew, which takes it seconds.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A test that lets something fail does not want it tried again for two minutes.
os.environ["OPS_RETRY_SECONDS"] = "0"

# A shell that starts the tests in the background lets them ignore Ctrl-C, and so all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count()
_ROOM = 2 << 30

REVISIONS = [revision.revision_id for revision in revisions()]
"""In their order, so that a new one need not be written into the tests."""

Lines = Callable[[], list[str]]

PRINTED = "printed"
"""The property of a test whose text is printed at the end, from whichever process it ran in."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        for name, printed in getattr(report, "user_properties", ()):
            if name == PRINTED and report.when == "call":
                terminalreporter.write_line(printed)


@dataclass(frozen=True)
class Database:
    """A database of one test's own."""

    dsn: str
    engine: Engine


@contextmanager
def _running_server() -> Iterator[EmbeddedServer]:
    # Another version of PostgreSQL, whose user postgres needs no password on this socket.
    if folder := os.environ.get("OPS_TEST_SOCKET_FOLDER"):
        yield EmbeddedServer(folder)
        return
    # Not pytest's own folder: that one is private to this user, and as root the server runs as another.
    with (
        tempfile.TemporaryDirectory(
            prefix="ops_pipeline_tests_", dir=_folder_in_memory(), ignore_cleanup_errors=True
        ) as scratch,
        embedded_server(Path(scratch) / "pg") as running,
    ):
        _forget_durability(running)
        yield running


def _folder_in_memory() -> str | None:
    """Return a folder in memory where there is one with room: a fresh database for each test is a lot to write."""
    folder = Path("/dev/shm")  # noqa: S108
    return str(folder) if folder.is_dir() and shutil.disk_usage(folder).free > _ROOM else None


def _forget_durability(server: EmbeddedServer) -> None:
    """Let nothing wait for the disk: this server's data need not outlive it."""
    with server.engine("postgres").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    with _running_server() as running:
        running.drop_database(Label("bootstrapped"))
        running.create_database(Label("bootstrapped"))
        apply_migrations(running.engine("bootstrapped"))
        # A template may not be in use.
        close_all()
        yield running


@pytest.fixture
def new_database(server: EmbeddedServer) -> Iterator[Callable[[str], Database]]:
    """Make databases from a template; they are dropped after the test."""
    made: list[Label] = []

    def make(template: str) -> Database:
        name = Label(f"test_{next(_numbers)}")
        server.create_database(name, template)
        made.append(name)
        return Database(server.dsn(name), server.engine(name))

    yield make
    for name in made:
        server.drop_database(name, even_in_use=True)


@pytest.fixture
def database(new_database: Callable[[str], Database]) -> Database:
    """A fresh database that has been bootstrapped."""
    return new_database("bootstrapped")


@pytest.fixture
def empty_database(new_database: Callable[[str], Database]) -> Database:
    """A fresh database without any table."""
    return new_database("template1")


@pytest.fixture(scope="session")
def in_production(server: EmbeddedServer) -> Label:
    """The template of a database that was bootstrapped with Dagster's tables, which take a second."""
    # Importing Dagster takes seconds, too.
    from ops_pipeline.orchestration.instance import bootstrap_storage

    name = Label("in_production")
    server.drop_database(name)
    server.create_database(name, "bootstrapped")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DAGSTER_POSTGRES_DSN", server.dsn(name))
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        bootstrap_storage()
    close_all()
    return name


@pytest.fixture
def prod(in_production: Label, new_database: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database that was bootstrapped with Dagster's tables, and that production is configured to."""
    database = new_database(in_production)
    monkeypatch.setenv("OPS_POSTGRES_DSN", database.dsn)
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", database.dsn)
    return database


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Lines:
    """Return the lines printed since the last call; nothing may ever stand on standard error."""

    def read() -> list[str]:
        output = capfd.readouterr()
        assert output.err == ""
        return output.out.splitlines()

    return read


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test says itself what is configured."""
    for name in set(Name) - {Name.OPS_RETRY_SECONDS}:
        monkeypatch.delenv(name, raising=False)
    for name in ("DAGSTER_HOME", "GITHUB_EVENT_NAME", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
