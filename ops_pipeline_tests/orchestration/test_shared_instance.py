"""An instance of Dagster's that others share with us: our rules are for what is ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.code_pointer import CodePointer, FileCodePointer, ModuleCodePointer
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from ops_pipeline.contract.days import ONE_DAY, last_complete_day
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.orchestration import beats, boundary, retention
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.ownership import IN_TURN, QUEUE_TAG, is_own_run
from ops_pipeline.orchestration.retention import RetentionMode
from ops_pipeline.orchestration.stuck_runs import find_stuck
from ops_pipeline.store.engine import ops_engine
from ops_pipeline_tests.conftest import Database

WORDS = "words of theirs"
THEIRS = ModuleCodePointer("team.pipeline", "defs")
OURS = ModuleCodePointer("ops_pipeline.definitions", "definitions")


@pytest.fixture
def instance(prod: Database) -> Iterator[dg.DagsterInstance]:
    with configured_instance() as found:
        yield found


def _run(pointer: CodePointer | None, job: str = "their_job", **fields: Any) -> dg.DagsterRun:
    origin = JobPythonOrigin(job, RepositoryPythonOrigin(sys.executable, pointer)) if pointer else None
    return dg.DagsterRun(job_name=job, job_code_origin=origin, **fields)


def _keys(*names: str) -> frozenset[dg.AssetKey]:
    return frozenset(map(dg.AssetKey, names))


def test_a_run_is_ours_by_where_it_is_loaded_from_else_by_its_name_and_in_doubt() -> None:
    for run, is_ours in (
        (_run(OURS, "db_verify"), True),
        (_run(OURS, "__ASSET_JOB"), True),
        (_run(None, "retention"), True),
        (_run(None, "__ASSET_JOB"), True),
        (_run(THEIRS, "ops_daily"), True),
        (_run(THEIRS, "__ASSET_JOB", asset_selection=_keys("their_asset", "daily_counts")), True),
        (_run(FileCodePointer("/opt/ops_pipeline/definitions.py", "d")), True),
        (_run(THEIRS), False),
        (_run(THEIRS, "retention"), False),
        (_run(THEIRS, "__ASSET_JOB"), False),
        (_run(FileCodePointer("/opt/team/defs.py", "d"), "retention"), False),
        (_run(ModuleCodePointer("ops_pipeline_of_theirs", "defs")), False),
        (_run(None), False),
        (_run(None, "__ephemeral_asset_job__", asset_selection=_keys("their_asset")), False),
    ):
        assert is_own_run(run) == is_ours, run


def test_a_run_of_theirs_keeps_tags_configuration_and_messages_and_beats_not(instance: dg.DagsterInstance) -> None:
    config = {"ops": {"speak": {"config": {"note": WORDS}}}}
    run = instance.add_run(_run(THEIRS, tags={"team": WORDS}, run_config=config))
    instance.add_run_tags(run.run_id, {"ticket": WORDS})
    instance.report_engine_event(WORDS, run)
    for kind in (dg.DagsterEventType.RUN_STARTING, dg.DagsterEventType.RUN_START):
        instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name, message=WORDS), run.run_id)
    stored = instance.get_run_by_id(run.run_id)
    assert stored is not None
    assert (stored.run_config, stored.tags) == (config, {"team": WORDS, "ticket": WORDS})
    assert [entry.message for entry in instance.all_logs(run.run_id)] == [WORDS, WORDS, WORDS]
    assert find_stuck(instance) == []
    assert beats.KEY not in stored.tags


@pytest.mark.parametrize(
    ("pointer", "job", "tags"),
    [
        (OURS, "__ASSET_JOB", {QUEUE_TAG: IN_TURN}),
        (OURS, "retention", {QUEUE_TAG: IN_TURN}),
        (THEIRS, "their_job", {}),
    ],
    ids=["our_assets", "our_job", "theirs"],
)
def test_every_launched_run_of_ours_waits_for_its_turn_and_none_of_theirs(
    instance: dg.DagsterInstance, pointer: CodePointer, job: str, tags: dict[str, str]
) -> None:
    location = GrpcServerCodeLocationOrigin("localhost", 1, None, "some_location")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job)
    run = instance.add_run(_run(pointer, job, remote_job_origin=origin))
    stored = instance.get_run_by_id(run.run_id)
    assert stored is not None
    assert stored.tags == tags


def test_a_backfill_and_an_event_of_theirs_keep_their_text_and_ours_may_have_none(
    instance: dg.DagsterInstance,
) -> None:
    def backfill(*assets: str) -> PartitionBackfill:
        keys = list(map(dg.AssetKey, assets))
        fields: dict[str, Any] = {"tags": {"team": WORDS}, "title": WORDS, "asset_selection": keys}
        return PartitionBackfill(
            "-".join(assets), BulkActionStatus.REQUESTED, from_failure=False, backfill_timestamp=0.0, **fields
        )

    instance.add_backfill(backfill("their_asset"))
    with pytest.raises(OpsError):
        instance.add_backfill(backfill("their_asset", "daily_counts"))
    instance.report_runless_asset_event(dg.AssetMaterialization("their_asset", description=WORDS))
    with pytest.raises(OpsError):
        instance.report_runless_asset_event(dg.AssetMaterialization("daily_counts", description=WORDS))
    record = instance.get_latest_materialization_event(dg.AssetKey("their_asset"))
    assert record is not None
    assert record.asset_materialization is not None
    assert record.asset_materialization.description == WORDS


def test_retention_drops_no_run_of_theirs(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [
        instance.add_run(_run(pointer, status=dg.DagsterRunStatus.SUCCESS, tags={"dagster/partition": partition}))
        for pointer, partition in ((THEIRS, "a_category"), (OURS, "2026-11-07"), (THEIRS, "2026-11-07"))
    ]
    monkeypatch.setattr(retention, "_RUNS_AT_ONCE", 1)
    tomorrow = last_complete_day() + 3 * ONE_DAY
    found = retention._runs(instance, ops_engine(), 1, tomorrow, RetentionMode.APPLY)
    assert (found.expired, found.dropped) == (1, 1)
    assert {run.run_id for run in instance.get_runs()} == {runs[0].run_id, runs[2].run_id}


# Processes that load our storage

_THEIRS = f"""
import os, sys
sys.argv = ["/venv/bin/dagster", "api", "grpc", "--module-name", "team.pipeline"]
from ops_pipeline.orchestration.boundary import every_engine_guarded
from ops_pipeline.orchestration.storage import OpsDagsterStorage
from ops_pipeline.store.engine import dagster_url
from sqlalchemy import create_engine, text

def said(connect, statement):
    try:
        with connect() as connection:
            connection.execute(text(statement))
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[0])

url = dagster_url(os.environ["DAGSTER_POSTGRES_DSN"])
storage = OpsDagsterStorage(url, True, None)
for connect in (create_engine(url).connect, storage.run_storage.connect, storage.event_log_storage.index_connection):
    said(connect, "SELECT canary_2b9d")
with every_engine_guarded():
    said(create_engine(url).connect, "SELECT canary_2b9d")
said(create_engine(url).connect, "SELECT canary_2b9d")
storage.schedule_storage.optimize_for_webserver(1000, 1000, 1)
said(storage.schedule_storage.connect, "SELECT canary_2b9d")
raise ValueError({WORDS!r})
"""


def test_in_a_process_of_theirs_errors_keep_their_text_and_those_of_our_storage_have_none(prod: Database) -> None:
    ended = subprocess.run([sys.executable, "-c", _THEIRS], capture_output=True, text=True, timeout=120)
    their = 'ProgrammingError (psycopg2.errors.UndefinedColumn) column "canary_2b9d" does not exist'
    our = "ProgrammingError drift"
    assert ended.stdout.splitlines() == [their, our, our, our, their, our]
    assert ended.stderr.splitlines()[-1] == f"ValueError: {WORDS}"


def test_what_nobody_catches_in_a_web_server_is_one_line() -> None:
    program = "import sys; sys.argv = ['dagster-webserver']; import ops_pipeline.orchestration.storage; 1 / 0"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("ops_pipeline status=fail reason=internal_error\n", "")


@pytest.mark.parametrize(
    ("command", "is_guarded"),
    [
        ("/venv/bin/dagster-webserver --port 3000", True),
        ("/lib/dagster_webserver/__main__.py", True),
        ("/venv/bin/dagster-daemon run", True),
        ("/lib/dagster/_daemon/__main__.py run", True),
        ("/venv/bin/dagster dev", True),
        ("/venv/bin/dagster code-server start --module-name ops_pipeline.definitions", True),
        ('/venv/bin/dagster api execute_run {"module":"ops_pipeline.definitions"}', True),
        ("/venv/bin/dagster code-server start --module-name team.pipeline", False),
        ('/venv/bin/dagster api execute_run {"module":"team.pipeline"}', False),
        ("/opt/team/report.py", False),
    ],
)
def test_a_process_is_guarded_as_a_whole_where_no_code_of_others_runs(
    monkeypatch: pytest.MonkeyPatch, command: str, is_guarded: bool
) -> None:
    guarded: list[bool] = []
    monkeypatch.setattr(boundary, "guard_process", lambda: guarded.append(True))
    monkeypatch.setattr(sys, "argv", command.split())
    boundary.guard_process_of_ours()
    assert bool(guarded) == is_guarded
