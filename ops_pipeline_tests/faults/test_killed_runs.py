"""SIGKILL of everything that can execute or launch a run: within two minutes nothing waits for it any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import psutil
import pytest
from sqlalchemy import text

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.jobs import has_failed
from ops_pipeline.tools import doctor
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.served.deployment import ROOT, Deployment, eventually
from ops_pipeline_tests.traffic import healthy_traffic

pytestmark = pytest.mark.slow

OF_COMMAND, OF_WORKER, IN_QUEUE = (last_complete_day() - timedelta(days=ago) for ago in (3, 2, 1))

_LAUNCH = """
    mutation ($params: ExecutionParams!) {
      launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } }
    }
"""


@pytest.fixture
def deployment(prod: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    healthy_traffic(prod)
    deployment = Deployment(tmp_path, {"OPS_POSTGRES_DSN": prod.dsn, "DAGSTER_POSTGRES_DSN": prod.dsn})
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    try:
        for unit in ("code", "webserver", "daemon"):
            deployment.start(unit)
        yield deployment
    finally:
        deployment.stop()


@contextmanager
def _nobody_can_publish(prod: Database) -> Iterator[None]:
    """Let every run wait where it would publish its day."""
    with prod.engine.connect() as connection, connection.begin():
        connection.execute(text("LOCK ops.daily_counts IN EXCLUSIVE MODE"))
        yield


def _launch(deployment: Deployment, day: date) -> None:
    selector = {
        "repositoryLocationName": "ops_pipeline",
        "repositoryName": "__repository__",
        "jobName": "ops_daily",
    }
    tags = [{"key": "dagster/partition", "value": day.isoformat()}]
    params = {"selector": selector, "runConfigData": "{}", "mode": "default", "executionMetadata": {"tags": tags}}
    assert deployment.ask(_LAUNCH, params=params)["launchRun"]["__typename"] == "LaunchRunSuccess"


def _runs(instance: dg.DagsterInstance, day: date) -> list[str]:
    """Return the statuses of the runs of a day, oldest first."""
    found = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": day.isoformat()}))
    return [run.status.value for run in reversed(found)]


def _workers(deployment: Deployment) -> list[psutil.Process]:
    """Return the processes that execute runs."""
    children = psutil.Process(deployment.process("code").pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_a_worker_that_is_killed_is_launched_again_and_a_killed_daemon_harms_no_run(
    deployment: Deployment, prod: Database
) -> None:
    with configured_instance() as instance:
        with _nobody_can_publish(prod):
            _launch(deployment, OF_WORKER)
            eventually(lambda: _runs(instance, OF_WORKER) == ["STARTED"], "the run does not start")
            for worker in _workers(deployment):
                worker.send_signal(signal.SIGKILL)
            eventually(lambda: _runs(instance, OF_WORKER) == ["FAILURE", "STARTED"], "it is not launched again")
            deployment.kill("daemon")
            deployment.start("daemon")
        eventually(lambda: _runs(instance, OF_WORKER) == ["FAILURE", "SUCCESS"], "the day is not done")


def test_after_everything_was_killed_at_once_the_days_are_done_and_doctor_is_content(
    deployment: Deployment, prod: Database, lines: Lines
) -> None:
    with configured_instance() as instance:
        with _nobody_can_publish(prod):
            command = _command(OF_COMMAND)
            eventually(lambda: _runs(instance, OF_COMMAND) == ["STARTED"], "the command does not start")
            _launch(deployment, OF_WORKER)
            eventually(lambda: _runs(instance, OF_WORKER) == ["STARTED"], "the command keeps the queue waiting")
            _launch(deployment, IN_QUEUE)
            eventually(lambda: _runs(instance, IN_QUEUE) == ["QUEUED"], "the day is not in the queue")
            command.kill()
            for unit in ("daemon", "webserver", "code"):
                deployment.kill(unit)
            command.wait()
        for unit in ("code", "daemon"):
            deployment.start(unit)
        eventually(lambda: _runs(instance, OF_WORKER)[0] == "FAILURE", "the killed worker is not noticed")
        eventually(lambda: _runs(instance, OF_COMMAND) == ["FAILURE"], "the killed command is not noticed")
        assert has_failed(instance, OF_COMMAND)
        eventually(lambda: _runs(instance, OF_WORKER) == ["FAILURE", "SUCCESS"], "the day is not done again")
        eventually(lambda: _runs(instance, IN_QUEUE) == ["SUCCESS"], "the day in the queue is not done")
    lines()
    assert doctor.main(["--only=dagster"]) == 0
    part, last = lines()
    assert " stuck=0 " in part
    assert "run_stuck" not in last


def _command(day: date) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "ops_pipeline.cli.main", "ops_daily", "--mode=prod", f"--as-of={day}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
