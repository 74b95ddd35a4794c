"""What an operator does in the browser, on a deployment of separate processes; each test leaves it as usable."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import text

from ops_pipeline.contract.days import ONE_DAY, last_complete_day
from ops_pipeline.contract.tokens import Label
from ops_pipeline.store.embedded import EmbeddedServer
from ops_pipeline_tests.conftest import Database
from ops_pipeline_tests.receiving import receiver
from ops_pipeline_tests.served.deployment import Deployment, eventually
from ops_pipeline_tests.traffic import healthy_traffic, leak

pytestmark = pytest.mark.slow

DAY = last_complete_day()
RUNBOOK = "https://example.org/operator_runbook"
_NAME = Label("served")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_MS = 30_000

_RUNS = """
    query { runsOrError { ... on Runs { results { status jobName tags { key value } } } } }
"""
_LAUNCH = """
    mutation ($params: ExecutionParams!) {
      launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } }
    }
"""


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Iterator[Database]:
    """Thirty days of traffic, the last with an identity leak."""
    server.create_database(_NAME, "bootstrapped")
    database = Database(server.dsn(_NAME), server.engine(_NAME))
    healthy_traffic(database)
    leak(database, DAY)
    yield database
    server.drop_database(_NAME, even_in_use=True)


@pytest.fixture(scope="module")
def deployment(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("served")
    config = folder / "config.toml"
    config.write_text(f'[links]\nrunbook = "{RUNBOOK}"\n\n[schedule]\ndays = 1\nlate_days = 0\n')
    alerts: list[str] = []
    with receiver(alerts) as port:
        environ = {
            "OPS_POSTGRES_DSN": database.dsn,
            "DAGSTER_POSTGRES_DSN": database.dsn,
            "OPS_FIRST_DAY": (DAY - timedelta(days=29)).isoformat(),
            "OPS_CONFIG": str(config),
            "OPS_ALERT_URLS": f"json://127.0.0.1:{port}/",
        }
        deployment = Deployment(folder, environ)
        deployment.alerts = alerts
        try:
            for unit in ("code", "webserver", "daemon", "readonly"):
                deployment.start(unit)
            yield deployment
        finally:
            deployment.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert program is not None, "these tests need Chromium or Chrome"
    arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=arguments)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, deployment: Deployment, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A browser's page; what it last showed lies in the folder OPS_TEST_SCREENSHOTS, where that is set."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(_PATIENCE_MS)
    expect.set_options(timeout=_PATIENCE_MS)
    yield page
    if folder := os.environ.get("OPS_TEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png")
    page.close()


def _verdicts(database: Database) -> dict[str, str]:
    with database.engine.connect() as connection:
        rows = connection.execute(text("SELECT utc_day, status FROM ops.verdicts WHERE position = 0"))
        return {row.utc_day.isoformat(): row.status for row in rows}


def _statuses(deployment: Deployment, job: str) -> list[str]:
    runs = deployment.ask(_RUNS)["runsOrError"]["results"]
    return [run["status"] for run in runs if run["jobName"] == job]


def test_nobody_is_asked_to_join_anything_and_the_lineage_tells_the_way_of_the_data(
    page: Page, deployment: Deployment
) -> None:
    page.goto(deployment.address(path="asset-groups"))
    for group in ("events", "counts", "metrics", "published"):
        expect(page.get_by_text(group, exact=True).first).to_be_visible()
    expect(page.get_by_text("Join the Dagster community")).to_have_count(0)


def test_yesterday_is_materialized_by_three_clicks_and_the_alert_says_what_to_do(
    page: Page, deployment: Deployment, database: Database
) -> None:
    page.goto(deployment.address(path="asset-groups"))
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_role("button", name="Latest").click()
    page.get_by_role("button", name="Launch").click()
    eventually(lambda: _verdicts(database).get(DAY.isoformat()), "the day is not judged")
    assert _verdicts(database)[DAY.isoformat()] == "unhealthy"
    eventually(lambda: deployment.alerts, "no alert arrives")
    (alert,) = deployment.alerts
    assert "ops_daily_watchdog status=unhealthy reason=identity_leak" in alert
    assert f"Runbook: {RUNBOOK}#identity_leak" in alert


def test_a_check_says_status_figures_since_when_and_the_next_step(page: Page, deployment: Deployment) -> None:
    page.goto(deployment.address(path="assets/daily_counts?view=checks&checkDetail=watchdog"))
    for word in ("unhealthy", "identity_leak", DAY.isoformat(), f"{RUNBOOK}#identity_leak"):
        expect(page.get_by_text(word, exact=True).first).to_be_visible()
    page.goto(deployment.address(path="assets/hold_suppression_rates?view=checks&checkDetail=hold_rate_first"))
    for word in ("observed", "limit", "details", "status_since", "next_step", "runbook"):
        expect(page.get_by_text(word, exact=True).first).to_be_visible()
    expect(page.get_by_text("Plots")).to_be_visible()


@pytest.mark.parametrize(
    ("asset", "chart"),
    [
        ("daily_counts", "Events a day, by touch"),
        ("delivered_totals", "Deliveries a day, by touch"),
        ("hold_suppression_rates", "Rates of the first touch, day by day"),
        ("second_touch_summaries", "The second touch, day by day"),
    ],
)
def test_an_asset_has_figures_a_table_and_a_chart(page: Page, deployment: Deployment, asset: str, chart: str) -> None:
    page.goto(deployment.address(path=f"assets/{asset}?view=partitions&partition={DAY}"))
    expect(page.get_by_text("table", exact=True)).to_be_visible()
    page.get_by_text("[Show Markdown]").last.click()
    image = page.get_by_role("img", name=chart)
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") > 0


def test_a_job_launched_without_a_word_of_config_changes_nothing_and_says_its_line(
    page: Page, deployment: Deployment
) -> None:
    page.goto(deployment.address(path="locations/ops_pipeline/jobs/db_bootstrap/playground"))
    page.get_by_role("button", name="Launch Run").click()
    expect(page.get_by_text("db_bootstrap_dry_run status=ok").first).to_be_visible()
    eventually(lambda: _statuses(deployment, "db_bootstrap") == ["SUCCESS"], "the run does not succeed")


def test_a_word_that_is_no_mode_is_refused_before_anything_runs(page: Page, deployment: Deployment) -> None:
    runs = len(_statuses(deployment, "prod_verify"))
    page.goto(deployment.address(path="locations/ops_pipeline/jobs/prod_verify/playground"))
    page.locator(".CodeMirror").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("mode: verfy")
    expect(page.get_by_text("Errors Only")).to_be_visible()
    expect(page.get_by_text("verfy").last).to_be_visible()
    page.get_by_role("button", name="Launch Run").click(force=True)
    page.wait_for_timeout(1000)
    assert len(_statuses(deployment, "prod_verify")) == runs


def test_a_backfill_from_the_ui_fills_past_days_and_alarms_nobody(
    page: Page, deployment: Deployment, database: Database
) -> None:
    days = [(DAY - back * ONE_DAY).isoformat() for back in (10, 9)]
    leak(database, date.fromisoformat(days[0]))
    before = len(deployment.alerts)
    page.goto(deployment.address(path="asset-groups"))
    page.get_by_role("button", name="Materialize all").click()
    box = page.get_by_role("dialog").get_by_role("textbox")
    box.fill(f"[{days[0]}...{days[1]}]")
    box.press("Enter")
    page.get_by_role("button", name="Launch").click()
    eventually(lambda: set(days) <= _verdicts(database).keys(), "the days are not judged")
    assert _verdicts(database)[days[0]] == "unhealthy"
    eventually(
        lambda: set(_statuses(deployment, "ops_daily") + _statuses(deployment, "__ASSET_JOB")) <= {"SUCCESS"},
        "a run does not succeed",
    )
    assert len(deployment.alerts) == before


def test_a_code_server_that_was_killed_comes_back_and_runs_can_be_launched_again(
    page: Page, deployment: Deployment
) -> None:
    deployment.kill("code")
    deployment.start("code")
    runs = len(_statuses(deployment, "db_verify"))
    page.goto(deployment.address(path="locations/ops_pipeline/jobs/db_verify/playground"))
    page.get_by_role("button", name="Launch Run").click()
    eventually(lambda: _statuses(deployment, "db_verify").count("SUCCESS") == runs + 1, "no run succeeds")
    expect(page.get_by_text("db_verify status=ok").first).to_be_visible()


def test_the_read_only_ui_shows_everything_and_changes_nothing(page: Page, deployment: Deployment) -> None:
    page.goto(deployment.address("readonly", "assets/daily_counts?view=checks&checkDetail=watchdog"))
    expect(page.get_by_text("identity_leak", exact=True).first).to_be_visible()
    page.goto(deployment.address("readonly", "asset-groups"))
    expect(page.get_by_role("button", name="Materialize all")).to_be_disabled()
    parameters = {
        "selector": {
            "repositoryLocationName": "ops_pipeline",
            "repositoryName": "__repository__",
            "jobName": "db_verify",
        },
        "runConfigData": "{}",
        "mode": "default",
    }
    assert deployment.ask(_LAUNCH, "readonly", params=parameters)["launchRun"]["__typename"] == "UnauthorizedError"
