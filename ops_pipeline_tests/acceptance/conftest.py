"""A real application's database: thirty days of its own tables, and the view that maps them to the event contract."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from ops_pipeline.contract.days import each_day
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.tokens import Label
from ops_pipeline.definitions import definitions
from ops_pipeline.health import Verdict
from ops_pipeline.health.metrics import Metrics
from ops_pipeline.orchestration.jobs import OPS_DAILY
from ops_pipeline.store.embedded import EmbeddedServer
from ops_pipeline.store.engine import reading
from ops_pipeline.store.results import read_metrics, read_verdict
from ops_pipeline_tests.conftest import Database

HERE = Path(__file__).parent
VIEW_FILE = HERE / "peer_app_view.sql"
TABLES_FILE = HERE / "peer_app_tables.sql"
TABLES = ("inbox_items", "acknowledgements", "second_touch_events")
RELATION = "peer_app.delivery_events"
DAYS = tuple(each_day(date(2026, 10, 9), date(2026, 11, 7)))

_TEMPLATE = Label("peer_app")


def shipped_data(name: str) -> bytes:
    """Return one of the application's files as it is."""
    return gzip.decompress((HERE / "data" / f"{name}.gz").read_bytes())


def configure(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    """Configure production: everything in `database`, the events in the application's view."""
    monkeypatch.setenv("OPS_POSTGRES_DSN", database.dsn)
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", database.dsn)
    monkeypatch.setenv("OPS_EVENTS_RELATION", RELATION)


@pytest.fixture(scope="session")
def expected() -> dict[str, dict[str, Any]]:
    """The figures that the application computed for itself."""
    figures: dict[str, dict[str, Any]] = json.loads(shipped_data("expected.json"))
    return figures


@pytest.fixture(scope="session")
def peer_app_template(server: EmbeddedServer) -> Label:
    """The template of all databases here: bootstrapped, and the application's tables and view beside schema `ops`."""
    server.create_database(_TEMPLATE, "bootstrapped")
    with psycopg.connect(server.dsn(_TEMPLATE)) as connection:
        connection.execute(TABLES_FILE.read_text())
        connection.execute(VIEW_FILE.read_text())
        for table in TABLES:
            copy = f"COPY peer_app.{table} FROM STDIN (FORMAT csv, HEADER match)"
            with connection.cursor().copy(copy) as stream:
                stream.write(shipped_data(f"{table}.csv"))
    return _TEMPLATE


@pytest.fixture
def peer_app(peer_app_template: Label, new_database: Callable[[str], Database]) -> Database:
    """A fresh database with the application's tables and view."""
    return new_database(peer_app_template)


@dataclass(frozen=True)
class ThirtyDays:
    """What the pipeline made of the application's thirty days."""

    database: Database
    instance: dg.DagsterInstance
    log: str
    """All that the runs printed: Dagster's own log."""
    metrics: dict[date, Metrics]
    verdicts: dict[date, Verdict]


@pytest.fixture(scope="session")
def thirty_days(
    server: EmbeddedServer, peer_app_template: Label, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ThirtyDays]:
    """The application's thirty days after the real Dagster job has run for each of them, oldest first."""
    name = Label("peer_app_thirty_days")
    server.create_database(name, peer_app_template)
    database = Database(server.dsn(name), server.engine(name))
    with dg.DagsterInstance.ephemeral() as instance:
        settings = tmp_path_factory.mktemp("settings") / "ops.toml"
        themes = {row["theme"] for row in csv.DictReader(io.StringIO(shipped_data("inbox_items.csv").decode()))}
        settings.write_text(f"[taxonomy]\nsegments = {json.dumps(sorted(filter(None, themes)))}\n")
        log = _run_each_day(instance, database, settings)
        with reading(database.engine) as connection:
            metrics = {day: found for day in DAYS if (found := read_metrics(connection, day))}
            verdicts = {day: said for day in DAYS if (said := read_verdict(connection, day))}
        yield ThirtyDays(database, instance, log, metrics, verdicts)
    server.drop_database(name, even_in_use=True)


def _run_each_day(instance: dg.DagsterInstance, database: Database, settings: Path) -> str:
    printed = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of libraries, as the tools do
        for variable in Name:
            monkeypatch.delenv(variable, raising=False)
        configure(monkeypatch, database)
        monkeypatch.setenv("OPS_CONFIG", str(settings))
        job = definitions().resolve_job_def(OPS_DAILY)
        for day in DAYS:
            assert job.execute_in_process(instance=instance, partition_key=day.isoformat()).success
    return printed.getvalue()
