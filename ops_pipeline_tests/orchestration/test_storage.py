"""Dagster's storage: what it refuses to store, and that a database's error has lost its text before it is seen."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from ops_pipeline.contract.errors import OpsError, cause_of, reason_of, sqlstate_of
from ops_pipeline.contract.reasons import Cause, Reason
from ops_pipeline.orchestration.boundary import guard_process
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.ops import db_verify
from ops_pipeline_tests.conftest import Database, Lines

CANARY = "canary_2b9d"


@pytest.fixture
def instance(prod: Database) -> Iterator[dg.DagsterInstance]:
    with configured_instance() as found:
        yield found


def _backfill(**fields: object) -> PartitionBackfill:
    return PartitionBackfill(
        "abc", status=BulkActionStatus.REQUESTED, from_failure=False, backfill_timestamp=0.0, **{"tags": {}, **fields}
    )


@pytest.mark.parametrize(
    "given",
    [
        {"tags": {"ticket": CANARY}},
        {"tags": {"dagster/note": CANARY}},
        {"tags": {"dagster/priority": CANARY * 50}},
        {"run_config": {"ops": {"compare_databases": {"config": {"mode": CANARY}}}}},
        {"run_config": {"loggers": {"console": {"config": {"name": CANARY}}}}},
    ],
    ids=["tag", "invented_tag", "long_tag", "config", "logger_name"],
)
def test_text_of_others_is_not_stored(instance: dg.DagsterInstance, given: dict[str, object]) -> None:
    with pytest.raises(OpsError) as caught:
        instance.create_run_for_job(db_verify, **given)  # type: ignore[arg-type]
    assert caught.value.reason is Reason.OUTSIDE_TEXT
    assert instance.get_runs_count() == 0


def test_a_tag_cannot_be_added_later(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(db_verify, tags={"dagster/partition": "2026-11-07"})
    with pytest.raises(OpsError):
        instance.add_run_tags(run.run_id, {"ticket": CANARY})
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.tags == {"dagster/partition": "2026-11-07"}


@pytest.mark.parametrize("given", [{"title": CANARY}, {"description": CANARY}, {"tags": {"a": CANARY}}])
def test_text_of_others_is_not_stored_with_a_backfill(instance: dg.DagsterInstance, given: dict[str, object]) -> None:
    with pytest.raises(OpsError):
        instance.add_backfill(_backfill(**given))
    assert instance.get_backfills() == []
    instance.add_backfill(_backfill())
    assert len(instance.get_backfills()) == 1


def test_an_event_that_is_reported_by_hand_brings_no_text(instance: dg.DagsterInstance) -> None:
    with pytest.raises(OpsError):
        instance.report_runless_asset_event(dg.AssetMaterialization("daily_counts", description=CANARY))
    with pytest.raises(OpsError):
        instance.report_runless_asset_event(dg.AssetObservation("daily_counts", metadata={"a": CANARY}))
    instance.report_runless_asset_event(dg.AssetMaterialization("daily_counts", partition="2026-11-07"))
    assert instance.get_materialized_partitions(dg.AssetKey("daily_counts")) == {"2026-11-07"}


def test_a_run_with_the_documented_configuration_is_stored(instance: dg.DagsterInstance) -> None:
    config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    assert instance.create_run_for_job(db_verify, run_config=config).run_config == config


def test_a_run_that_is_launched_in_the_ui_says_so(instance: dg.DagsterInstance) -> None:
    tags = {"dagster/from_ui": "true"}
    assert tags.items() <= instance.create_run_for_job(db_verify, tags=tags).tags.items()


# Errors of any engine in a process of Dagster's


def _everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_an_error_of_any_engine_keeps_its_type_and_sqlstate_and_loses_its_text(
    empty_database: Database, driver: str
) -> None:
    guard_process()
    engine = create_engine(empty_database.dsn.replace("postgresql", f"postgresql+{driver}", 1))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a text UNIQUE)"))
    with pytest.raises(IntegrityError) as caught, engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (:a), (:a)"), {"a": CANARY})
    assert CANARY not in _everything_said(caught.value)
    assert str(caught.value).startswith("constraint_violated")
    assert sqlstate_of(caught.value) == "23505"
    assert reason_of(caught.value) is Reason.CONSTRAINT_VIOLATED
    engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_connection_that_fails_keeps_its_cause_and_loses_its_text(driver: str) -> None:
    guard_process()
    engine = create_engine(f"postgresql+{driver}://{CANARY}:{CANARY}@127.0.0.1:1/{CANARY}")
    with pytest.raises(OperationalError) as caught:
        engine.connect()
    assert CANARY not in _everything_said(caught.value)
    assert (reason_of(caught.value), cause_of(caught.value)) == (Reason.DB_CONNECT_FAILED, Cause.REFUSED)


def test_what_a_library_logs_of_such_an_error_has_no_text(caplog: pytest.LogCaptureFixture) -> None:
    guard_process()
    engine = create_engine(f"postgresql+psycopg2://{CANARY}@127.0.0.1:1/{CANARY}")
    try:
        engine.connect()
    except DBAPIError as error:
        logging.getLogger("a library").warning("retrying: %s", error, exc_info=True)
    assert "db_connect_failed cause=refused" in caplog.text
    assert CANARY not in caplog.text


def test_settings_that_are_a_pipe_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(OpsError) as caught, configured_instance():
        pass
    assert (caught.value.reason, caught.value.fields) == (
        Reason.DAGSTER_STORAGE_UNAVAILABLE,
        {"cause": Reason.NOT_A_FILE},
    )


def test_what_nobody_catches_is_one_line() -> None:
    program = "from ops_pipeline.orchestration.boundary import guard_process\nguard_process()\n"
    for rest in (f"raise ValueError('{CANARY}')", _IN_A_THREAD):
        ended = subprocess.run([sys.executable, "-c", program + rest], capture_output=True, text=True, timeout=60)
        assert (ended.stdout, ended.stderr) == ("ops_pipeline status=fail reason=internal_error\n", "")


_IN_A_THREAD = f"""
import threading
def fail(): raise ValueError('{CANARY}')
thread = threading.Thread(target=fail); thread.start(); thread.join()
"""


def test_a_thread_that_ends_itself_says_nothing(lines: Lines) -> None:
    guard_process()
    threading.excepthook(SimpleNamespace(exc_type=SystemExit, exc_value=None, exc_traceback=None, thread=None))  # type: ignore[arg-type]
    assert lines() == []
