"""docs/how-to/existing-dagster.md: our code location beside a team's, on their settings and on ours."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import yaml
from sqlalchemy import text

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline_tests.conftest import Database
from ops_pipeline_tests.served.deployment import ROOT, Deployment, eventually
from ops_pipeline_tests.traffic import healthy_traffic

PAGE = ROOT / "docs" / "how-to" / "existing-dagster.md"
DAY = last_complete_day().isoformat()

_THEIR_CODE = """
import dagster as dg
from sqlalchemy import create_engine

@dg.op(config_schema={"note": str})
def speak(context):
    context.log.info("said " + context.op_config["note"])

@dg.job(tags={"team": "growth team"})
def their_job():
    speak()

@dg.op
def ask():
    create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/their_database").connect()

@dg.job
def failing_job():
    ask()

@dg.schedule(job=their_job, cron_schedule="* * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def their_schedule():
    config = {"ops": {"speak": {"config": {"note": "scheduled words"}}}}
    yield dg.RunRequest(run_config=config, tags={"why": "it is time"})

defs = dg.Definitions(jobs=[their_job, failing_job], schedules=[their_schedule])
"""
_LAUNCH = """
    mutation ($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename } }
"""
_RUNS = """
    query { runsOrError { ... on Runs { results { jobName status runConfigYaml tags { key value }
      eventConnection { events { ... on MessageEvent { message }
        ... on ExecutionStepFailureEvent { error { message causes { message } } } } } } } } }
"""
_TICKS = """
    query { repositoryOrError(repositorySelector: {
        repositoryName: "__repository__", repositoryLocationName: "ops_pipeline" }) {
      ... on Repository { sensors { name sensorState { ticks(limit: 1) { status } } } } } }
"""


def page_settings() -> dict[str, Any]:
    """Return the settings that the page gives to a team's own `dagster.yaml`."""
    (block,) = re.findall(r"^```yaml\n# dagster\.yaml\n(.*?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    settings: dict[str, Any] = yaml.safe_load(block)
    return settings


def _launch(deployment: Deployment, location: str, job: str, config: dict[str, Any], **tags: str) -> str:
    params = {
        "selector": {"repositoryLocationName": location, "repositoryName": "__repository__", "jobName": job},
        "runConfigData": yaml.safe_dump(config),
        "mode": "default",
        "executionMetadata": {"tags": [{"key": key.replace("__", "/"), "value": tags[key]} for key in tags]},
    }
    try:
        kind: str = deployment.ask(_LAUNCH, p=params)["launchRun"]["__typename"]
    except HTTPError:
        return "refused"
    return kind


def _ended(deployment: Deployment, job: str, **wanted: str) -> list[dict[str, Any]]:
    """Return the runs of a job that have ended and have these tags."""
    runs = deployment.ask(_RUNS)["runsOrError"]["results"]
    return [
        run
        for run in runs
        if run["jobName"] == job
        and run["status"] in ("SUCCESS", "FAILURE")
        and wanted.items() <= {tag["key"]: tag["value"] for tag in run["tags"]}.items()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("settings", ["theirs", "ours"])
def test_both_run_and_tick_and_what_is_theirs_keeps_its_text(prod: Database, tmp_path: Path, settings: str) -> None:
    healthy_traffic(prod)
    psycopg2_dsn = prod.dsn.replace("postgresql://", "postgresql+psycopg2://")
    environ = {"OPS_POSTGRES_DSN": prod.dsn, "DAGSTER_POSTGRES_DSN": prod.dsn, "TEAM_DAGSTER_DSN": psycopg2_dsn}
    deployment = Deployment(tmp_path, environ)
    if settings == "theirs":
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(page_settings()))
    (tmp_path / "theirs.py").write_text(_THEIR_CODE)
    workspace = tmp_path / "workspace.yaml"
    code = {"relative_path": "theirs.py", "location_name": "theirs", "executable_path": sys.executable}
    places = yaml.safe_load(workspace.read_text())
    workspace.write_text(yaml.safe_dump({"load_from": [*places["load_from"], {"python_file": code}]}))
    words = {"ops": {"speak": {"config": {"note": "launched words"}}}}
    try:
        for unit in ("code", "webserver", "daemon"):
            deployment.start(unit)
        assert _launch(deployment, "theirs", "their_job", words, why="they want it") == "LaunchRunSuccess"
        assert _launch(deployment, "theirs", "failing_job", {}) == "LaunchRunSuccess"
        assert _launch(deployment, "ops_pipeline", "ops_daily", {}, dagster__partition=DAY) == "LaunchRunSuccess"
        own_words = _launch(deployment, "ops_pipeline", "db_verify", {}, why="somebody's words")
        assert own_words == ("LaunchRunSuccess" if settings == "theirs" else "refused")

        for why, note in (("they want it", "launched words"), ("it is time", "scheduled words")):
            eventually(lambda why=why: _ended(deployment, "their_job", why=why), f"no run: {why}")  # type: ignore[misc]
            run = _ended(deployment, "their_job", why=why)[0]
            assert run["status"] == "SUCCESS"
            assert yaml.safe_load(run["runConfigYaml"])["ops"]["speak"]["config"]["note"] == note
            assert {"key": "team", "value": "growth team"} in run["tags"]
            assert f"said {note}" in [event.get("message") for event in run["eventConnection"]["events"]]

        eventually(lambda: _ended(deployment, "failing_job"), "their job does not fail")
        assert "Connection refused" in str(_ended(deployment, "failing_job")[0]["eventConnection"])
        eventually(lambda: _ended(deployment, "ops_daily"), "our day is not done")
        assert _ended(deployment, "ops_daily")[0]["status"] == "SUCCESS"
        eventually(lambda: _ticks(deployment) == {"SKIPPED"}, "our sensors do not tick")
    finally:
        deployment.stop()
    with prod.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM ops.verdicts WHERE utc_day = :day"), {"day": DAY})


def _ticks(deployment: Deployment) -> set[str]:
    sensors = deployment.ask(_TICKS)["repositoryOrError"]["sensors"]
    return {tick["status"] for sensor in sensors for tick in sensor["sensorState"]["ticks"]}
