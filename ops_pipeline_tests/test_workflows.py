"""The workflows as an operator meets them: run here step by step, and looked at for what must not be in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url
from sqlalchemy import text as sql

from ops_pipeline.contract.days import ONE_DAY, last_complete_day
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import ParsedLine
from ops_pipeline.github import repository
from ops_pipeline_tests.answering import dripping
from ops_pipeline_tests.conftest import Database
from ops_pipeline_tests.github import (
    ROOT,
    WORKFLOWS,
    Expression,
    Issues,
    Run,
    commands,
    evaluated,
    is_met,
    load,
    serving,
)
from ops_pipeline_tests.traffic import healthy_traffic, send

CANARY = "canary_p4ssw0rd"
NOBODY = f"postgresql://ops:{CANARY}@127.0.0.1:1/ops"
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
FILES = [*sorted(WORKFLOWS.glob("*.yml")), *ACTIONS]
TITLE = "ops_daily needs attention"
VERSION = metadata.version("ops-pipeline")
DAY = last_complete_day()

Start = Callable[..., Run]


@pytest.fixture
def issues() -> Iterator[Issues]:
    with serving(Issues()) as found:
        yield found


@pytest.fixture
def start(tmp_path: Path, issues: Issues) -> Start:
    """Make a run; each has a folder of its own."""

    def make(event: str = "schedule", **given: Any) -> Run:
        folder = tmp_path / f"run_{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return Run(folder, event, api=issues.address, **given)

    return make


def _with_password(dsn: str) -> str:
    """Return a DSN with a password in it; the server does not ask for it."""
    return re.sub(r"//([^:@/]+)@", rf"//\1:{CANARY}@", dsn)


def _configured(database: Database) -> dict[str, str]:
    dsn = _with_password(database.dsn)
    assert CANARY in dsn
    return {"OPS_POSTGRES_DSN": dsn, "DAGSTER_POSTGRES_DSN": dsn}


def _assert_nothing_leaks(run: Run, issues: Issues) -> None:
    left = [run.log, run.summary, issues.texts()]
    left += [path.read_text(errors="replace") for paths in run.artifacts.values() for path in paths]
    for text in left:
        assert CANARY not in text
        assert "Traceback" not in text
    for line in [*issues.texts().splitlines(), *run.summary.splitlines()]:
        is_frame = line in ("", "```", TITLE) or re.fullmatch(r"### ops_daily: [a-z_ ]+", line)
        assert is_frame or ParsedLine.or_none(line), line


def _names(run: Run) -> list[str]:
    return [path.name for paths in run.artifacts.values() for path in paths]


# Every day


@pytest.mark.slow
def test_a_healthy_day_is_green_with_report_and_summary_and_closes_the_issue(
    database: Database, start: Start, issues: Issues
) -> None:
    healthy_traffic(database)
    issues.issues.append({"number": 1, "state": "open", "title": TITLE, "body": "```\n```"})
    run = start(secrets=_configured(database))
    assert run.start("ops_daily.yml") == "success"
    assert run.results == {"watch": "success", "tell": "success", "watchdog": "success"}
    assert run.summary.startswith("### ops_daily: healthy\n\n```\nprod_config status=ok required=2\n")
    assert run.summary.endswith("\ngithub_run status=ok mode=strict\n```\n")
    assert _names(run) == ["ops_daily.log", "report.html"]
    assert "ops_ci_normalize status=ok reason=exit_0" in run.log
    assert issues.open_ones() == []
    ((number, comment),) = issues.comments
    assert number == 1
    assert comment.startswith("```\ngithub_issue result=success run=4711 lines=")
    assert "ops_daily_watchdog status=healthy" in comment
    _assert_nothing_leaks(run, issues)


def test_half_a_configuration_fails_at_once_and_is_told(start: Start, issues: Issues) -> None:
    run = start(secrets={"OPS_POSTGRES_DSN": NOBODY})
    assert run.start("ops_daily.yml") == "failure"
    failure = "prod_config status=fail reason=missing_env missing=DAGSTER_POSTGRES_DSN"
    assert run.log.splitlines()[0] == failure
    assert "ops_daily " not in run.log
    assert run.summary.startswith(f"### ops_daily: no verdict\n\n```\n{failure}\n")
    assert run.artifacts == {}
    (issue,) = issues.open_ones()
    assert issue["title"] == TITLE
    assert issue["body"].splitlines() == [
        "```",
        "github_issue result=failure run=4711 lines=3",
        failure,
        "github_schedule status=unknown last_commit_days=none",
        "github_run status=fail step=prod_config_contract reason=exit_1",
        "```",
    ]
    _assert_nothing_leaks(run, issues)


def test_where_production_is_declared_lost_secrets_are_a_failure_and_no_smoke_run(
    start: Start, issues: Issues
) -> None:
    run = start(variables={"OPS_DAILY_MODE": "prod"})
    assert run.start("ops_daily.yml") == "failure"
    assert "reason=missing_env missing=DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN" in issues.open_ones()[0]["body"]


@pytest.mark.parametrize("mode", ["", pytest.param("auto", marks=pytest.mark.slow)])
def test_in_another_repository_too_the_variable_declares_production_unless_the_caller_says_otherwise(
    start: Start, mode: str
) -> None:
    run = start(inputs={"mode": mode}, variables={"OPS_DAILY_MODE": "prod"}, fails="actions/upload-artifact")
    failure = "prod_config status=fail reason=missing_env missing=DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN"
    run.start("watchdog.yml", "watch")
    assert (failure in run.log) == (mode == "")


def test_who_cancels_a_run_that_was_asked_for_is_not_told_of_it(start: Start, issues: Issues) -> None:
    assert start("workflow_dispatch", inputs={"mode": "prod"}, cancels="watch").start("ops_daily.yml") == "success"
    assert issues.issues == []
    start(cancels="watch").start("ops_daily.yml")
    assert "github_issue result=cancelled run=4711 lines=0" in issues.open_ones()[0]["body"]


def test_an_installation_that_fails_is_told_once_however_often_it_fails(start: Start, issues: Issues) -> None:
    for _ in range(3):
        assert start(fails="make").start("ops_daily.yml") == "failure"
    (issue,) = issues.issues
    told = "```\ngithub_issue result=failure run=4711 lines=0 reason=no_lines\n```"
    assert (issue["state"], issue["body"]) == ("open", told)
    assert issues.comments == [(1, told), (1, told)]


@pytest.mark.slow
def test_a_database_that_is_down_is_red_and_told_without_its_address(start: Start, issues: Issues) -> None:
    run = start(secrets={"OPS_POSTGRES_DSN": NOBODY, "DAGSTER_POSTGRES_DSN": NOBODY})
    assert run.start("ops_daily.yml") == "failure"
    (issue,) = issues.open_ones()
    assert "reason=db_connect_failed cause=refused dsn=OPS_POSTGRES_DSN" in issue["body"]
    assert "ops_ci_normalize status=fail reason=exit_1" in issue["body"]
    assert _names(run) == ["ops_daily.log"]
    assert "127.0.0.1" not in run.log + run.summary + issues.texts()
    _assert_nothing_leaks(run, issues)


def test_a_run_that_was_asked_for_needs_a_configuration_that_is_whole(start: Start, issues: Issues) -> None:
    run = start("workflow_dispatch", inputs={"mode": "prod"})
    assert run.start("ops_daily.yml") == "failure"
    assert "reason=missing_env missing=DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN" in issues.open_ones()[0]["body"]


@pytest.mark.slow
def test_a_run_that_was_asked_for_tells_of_a_database_that_is_down(start: Start, issues: Issues) -> None:
    secrets = {"OPS_POSTGRES_DSN": NOBODY, "DAGSTER_POSTGRES_DSN": NOBODY}
    run = start("workflow_dispatch", inputs={"mode": "prod"}, secrets=secrets)
    assert run.start("ops_daily.yml") == "failure"
    assert "github_run status=fail step=ops_daily reason=exit_1" in issues.open_ones()[0]["body"]


def test_a_mode_that_there_is_not_is_an_error_and_not_unhealthy(start: Start, issues: Issues) -> None:
    run = start("workflow_dispatch", inputs={"mode": "prdo"})
    assert run.start("ops_daily.yml") == "failure"
    assert run.log.splitlines()[0] == "github_run status=fail reason=usage option=mode"
    assert "reason=no_lines" in issues.open_ones()[0]["body"]


@pytest.mark.slow
def test_too_little_data_is_green_on_schedule_and_red_where_somebody_asked(
    database: Database, start: Start, issues: Issues
) -> None:
    scheduled = start(secrets=_configured(database))
    assert scheduled.start("ops_daily.yml") == "success"
    assert "ops_daily_watchdog status=insufficient_data reason=delivered_total_0" in scheduled.summary
    assert "ops_ci_normalize status=normalized reason=insufficient_data" in scheduled.summary
    assert issues.issues == []
    asked = start("workflow_dispatch", inputs={"mode": "prod"}, secrets=_configured(database))
    assert asked.start("ops_daily.yml") == "failure"
    assert "ops_ci_normalize" not in asked.summary
    assert "github_run status=fail step=ops_daily reason=exit_2" in asked.summary
    for run in (scheduled, asked):
        assert _names(run) == ["ops_daily.log", "report.html"]
        _assert_nothing_leaks(run, issues)


@pytest.mark.slow
def test_an_unhealthy_day_beside_a_touch_with_little_data_is_red_and_told_until_it_is_over(
    database: Database, start: Start, issues: Issues
) -> None:
    with database.engine.begin() as connection:
        send(connection, 40, "delivered")
        send(connection, 2, "acknowledged", "positive")
        send(connection, 1, "delivered", touch="second")
    run = start(secrets=_configured(database))
    assert run.start("ops_daily.yml") == "failure"
    assert "status=insufficient_data" in run.log
    assert "ops_ci_normalize status=fail reason=unexpected_exit_2" in run.log
    assert _names(run) == ["ops_daily.log", "report.html"]
    (issue,) = issues.open_ones()
    assert "ops_daily_watchdog status=unhealthy reason=positive_rate_limit" in issue["body"]
    assert "ops_metrics_snapshot" not in issue["body"]
    _assert_nothing_leaks(run, issues)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("positive", "ends", "said"),
    [(40, "success", "github_run status=ok mode=strict"), (2, "failure", "step=ops_daily reason=exit_2")],
    ids=["healthy", "unhealthy"],
)
def test_a_run_that_was_asked_for_judges_yesterday_alone(
    database: Database, start: Start, issues: Issues, positive: int, ends: str, said: str
) -> None:
    with database.engine.begin() as connection:
        send(connection, 90, "attempted")
        send(connection, 80, "delivered")
        send(connection, positive, "acknowledged", "positive")
    run = start("workflow_dispatch", inputs={"mode": "prod"}, secrets=_configured(database))
    assert run.start("ops_daily.yml") == ends
    assert said in run.summary
    assert "backfill" not in run.log
    assert len(issues.open_ones()) == (ends == "failure")
    _assert_nothing_leaks(run, issues)


@pytest.mark.slow
def test_a_scheduled_run_makes_up_for_missed_days_and_counts_the_last_few_again(
    database: Database, start: Start
) -> None:
    healthy_traffic(database)
    assert start(secrets=_configured(database)).start("ops_daily.yml") == "success"
    with database.engine.begin() as connection:
        connection.execute(sql("DELETE FROM ops.verdicts WHERE utc_day = :day"), {"day": DAY - 5 * ONE_DAY})
        send(connection, 5, "delivered")
    run = start(secrets=_configured(database))
    assert run.start("ops_daily.yml") == "success"
    missed, again = (line for line in run.log.splitlines() if line.startswith("backfill status="))
    assert re.match(rf"backfill status=ok first_day={DAY - 6 * ONE_DAY} last_day={DAY - 3 * ONE_DAY} days=1 ", missed)
    assert re.match(rf"backfill status=ok first_day={DAY - 2 * ONE_DAY} last_day={DAY - ONE_DAY} days=2 ", again)
    query = (
        "SELECT utc_day, events FROM ops.daily_counts WHERE outcome = 'delivered' AND events > 0 AND utc_day > :day"
    )
    with database.engine.connect() as connection:
        counted = dict(connection.execute(sql(query), {"day": DAY - 4 * ONE_DAY}).all())
    # The run of the newest day counts what is older and came late too.
    assert counted == {DAY - n * ONE_DAY: 85 for n in range(4)}


@pytest.mark.slow
def test_where_nothing_is_configured_a_smoke_run_is_green_and_one_by_hand_touches_no_issue(
    start: Start, issues: Issues
) -> None:
    issues.issues.append({"number": 1, "state": "open", "title": TITLE, "body": ""})
    asked = start("workflow_dispatch", inputs={"mode": "ci"})
    assert asked.start("ops_daily.yml") == "success"
    assert asked.results["tell"] == "skipped"
    assert issues.open_ones() != []
    scheduled = start()
    assert scheduled.start("ops_daily.yml") == "success"
    assert scheduled.log.splitlines()[0].startswith("prod_config status=not_configured reason=prod_not_configured")
    assert "ops_daily mode=smoke reason=prod_not_configured" in scheduled.summary
    assert scheduled.summary.endswith("\ngithub_run status=ok mode=smoke\n```\n")
    assert issues.open_ones() == []


def _as_a_step(name: str, **environ: str) -> dict[str, Any]:
    given = {"mode": "prod", "name": name, "token": "ghs_token_of_the_job"}
    return {"uses": "$/.github/actions/watchdog", "with": given, "env": environ}


def test_in_a_job_of_its_own_each_service_has_its_issue_its_summary_and_its_folder(
    start: Start, issues: Issues
) -> None:
    run = start()
    steps = [_as_a_step("push"), {**_as_a_step("mail", OPS_POSTGRES_DSN=NOBODY), "if": "always()"}]
    assert run.take_steps(steps) == "failure"
    assert [one["title"] for one in issues.open_ones()] == ["push needs attention", "mail needs attention"]
    assert re.findall("^###.*", run.summary, flags=re.MULTILINE) == ["### push: no verdict", "### mail: no verdict"]
    assert "file_not_written" not in run.log


def test_a_name_that_can_be_no_title_is_refused_before_anything_is_done(start: Start) -> None:
    run = start()
    assert run.take_steps([{**_as_a_step("Push-Mail"), "if": "always()"}]) == "failure"
    assert run.log.splitlines()[0] == "github_run status=fail reason=usage option=name"


@pytest.mark.slow
def test_an_issue_stays_open_where_the_day_was_healthy_and_the_job_was_not(
    database: Database, start: Start, issues: Issues
) -> None:
    healthy_traffic(database)
    run = start(fails="actions/upload-artifact")
    assert run.take_steps([_as_a_step("ops_daily", **_configured(database))]) == "failure"
    assert "ops_daily_watchdog status=healthy" in issues.open_ones()[0]["body"]


# The other workflows


@pytest.mark.parametrize(
    ("mode", "last"),
    [
        ("dry_run", "prod_verify status=ok mode=dry_run"),
        pytest.param("verify", "prod_verify status=ok mode=verify", marks=pytest.mark.slow),
    ],
)
def test_production_is_verified(mode: str, last: str, database: Database, start: Start, issues: Issues) -> None:
    healthy_traffic(database)
    run = start("workflow_dispatch", inputs={"mode": mode}, secrets=_configured(database))
    assert run.start("prod_verify.yml") == "success"
    assert run.log.splitlines()[-1] == last
    _assert_nothing_leaks(run, issues)


def test_production_that_cannot_be_reached_is_not_verified(start: Start, issues: Issues) -> None:
    secrets = {"OPS_POSTGRES_DSN": NOBODY, "DAGSTER_POSTGRES_DSN": NOBODY}
    run = start("workflow_dispatch", inputs={"mode": "verify"}, secrets=secrets)
    assert run.start("prod_verify.yml") == "failure"
    assert run.log.splitlines()[-1].startswith("prod_verify status=fail step=database reason=db_connect_failed")
    _assert_nothing_leaks(run, issues)


@pytest.mark.slow
def test_the_database_is_bootstrapped_only_where_that_was_asked_for(
    empty_database: Database, start: Start, issues: Issues
) -> None:
    given = {"secrets": _configured(empty_database)}
    looked = start("workflow_dispatch", inputs={"mode": "dry_run"}, **given)
    assert looked.start("db_bootstrap.yml") == "success"
    assert looked.results == {"dry_run": "success", "apply_migrations": "skipped"}
    applied = start("workflow_dispatch", inputs={"mode": "apply_migrations"}, **given)
    assert applied.start("db_bootstrap.yml") == "success"
    assert [line.split()[:2] for line in applied.log.splitlines()] == [
        ["db_bootstrap_dry_run", "status=ok"],
        ["prod_config", "status=ok"],
        ["db_bootstrap", "status=ok"],
        ["db_verify", "status=ok"],
    ]
    _assert_nothing_leaks(applied, issues)


@contextmanager
def _documented_roles(database: Database) -> Iterator[None]:
    """Make the role that owns the tables and the one of every day, as far as a bootstrap needs them."""
    name = make_url(database.dsn).database

    def execute(*statements: str) -> None:
        with database.engine.begin() as connection:
            for statement in statements:
                connection.execute(sql(statement))

    execute(
        "CREATE ROLE ops_owner LOGIN",
        "CREATE ROLE ops_pipeline LOGIN",
        f"GRANT CREATE ON DATABASE {name} TO ops_owner",
        "GRANT CREATE ON SCHEMA public TO ops_pipeline",
    )
    try:
        yield
    finally:
        execute(*(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}" for role in ("ops_pipeline", "ops_owner")))


@pytest.mark.slow
def test_migrations_are_applied_by_the_role_that_owns_the_tables(
    empty_database: Database, start: Start, issues: Issues
) -> None:
    owner, every_day = (
        _with_password(empty_database.dsn.replace("postgres@", f"{role}@")) for role in ("ops_owner", "ops_pipeline")
    )
    secrets = {"OPS_POSTGRES_DSN": every_day, "DAGSTER_POSTGRES_DSN": every_day}
    with _documented_roles(empty_database):
        alone = start("workflow_dispatch", inputs={"mode": "apply_migrations"}, secrets=secrets)
        assert alone.start("db_bootstrap.yml") == "failure"
        assert "reason=no_privilege" in alone.log
        given = {**secrets, "OPS_OWNER_POSTGRES_DSN": owner}
        applied = start("workflow_dispatch", inputs={"mode": "apply_migrations"}, secrets=given)
        assert applied.start("db_bootstrap.yml") == "success", applied.log
        _assert_nothing_leaks(applied, issues)


@pytest.mark.slow
def test_the_gate_of_the_migrations_goes_both_ways(empty_database: Database, start: Start) -> None:
    services = {"postgresql://postgres@localhost:5432/ops": empty_database.dsn}
    run = start("push", services=services)
    assert run.start("ci.yml", "db_migrations_integration") == "success"
    count = len(list((ROOT / "migrations" / "versions").glob("*.py")))
    applied = "db_bootstrap status=ok mode=apply_migrations"
    decided = [line for line in run.log.splitlines() if re.match(r"db_|prod_verify status", line)]
    assert [re.sub(r" (migrations|revision|tables)=.*", "", line) for line in decided] == [
        "db_bootstrap_dry_run status=ok",
        f"{applied} applied={count} skipped=0 dagster=ready",
        "db_verify status=ok",
        f"{applied} applied=0 skipped={count} dagster=ready",
        "db_bootstrap status=ok mode=downgrade",
        f"{applied} applied={count} skipped=0 dagster=ready",
        "db_verify status=ok",
        "prod_verify status=ok mode=verify",
    ]


@pytest.mark.slow
def test_the_wheel_works_where_nothing_else_is(start: Start, tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text("\n".join(f"{one.name}=={one.version}" for one in metadata.distributions()))
    # GitHub tries the packages of the day; here they are the ones that everything else is tested with.
    run = start("push", environment={"PIP_CONSTRAINT": str(pins), "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    assert run.start("ci.yml", "wheel") == "success", run.log
    version, planned = run.log.splitlines()[-2:]
    assert version == f"ops-pipeline {VERSION}"
    assert planned.startswith("db_bootstrap_dry_run status=ok migrations=")


@pytest.mark.slow
def test_a_tag_releases_the_version_that_it_names_and_no_other(start: Start) -> None:
    run = start("push", ref=f"v{VERSION}")
    assert run.start("release.yml", "build") == "success", run.log
    assert _names(run) == [f"ops_pipeline-{VERSION}-py3-none-any.whl", f"ops_pipeline-{VERSION}.tar.gz"]
    other = start("push", ref=f"v{VERSION}0")
    assert other.start("release.yml", "build") == "failure"
    assert other.artifacts == {}


# What github_run and github_issue do by themselves


def _tool(name: str, *arguments: str, cwd: Path, **environ: str) -> tuple[int, list[str]]:
    ended = subprocess.run(
        [sys.executable, "-P", "-m", f"ops_pipeline.tools.{name}", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout.splitlines()


def _issue(issues: Issues, cwd: Path, result: str, *texts: str, **environ: str) -> tuple[int, str]:
    given = {"GITHUB_TOKEN": "ghs_x", "GITHUB_REPOSITORY": "example/service", "GITHUB_API_URL": issues.address}
    code, (line,) = _tool(
        "github_issue", f"--result={result}", f"--lines={json.dumps(texts)}", cwd=cwd, **(given | environ)
    )
    return code, line


@pytest.mark.slow
def test_what_the_guard_finds_is_no_artifact_and_makes_the_run_red(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    code, lines = _tool(
        "github_run",
        "--mode=prod",
        cwd=tmp_path,
        OPS_POSTGRES_DSN=NOBODY,
        DAGSTER_POSTGRES_DSN=NOBODY,
        SOME_TOKEN="mode=strict",  # noqa: S106 - a word of the log
        GITHUB_OUTPUT=str(outputs),
    )
    assert code == 1
    assert "secret_echo_guard_finding argument=1 file=1 line_number=1 rule=environment_value" in lines
    assert commands(outputs)["artifacts"] == ""


def test_outputs_lose_nothing_whatever_stands_in_the_lines(tmp_path: Path) -> None:
    outputs, summary = tmp_path / "outputs", tmp_path / "summary"
    code, lines = _tool(
        "github_run",
        "--mode=prod",
        cwd=tmp_path,
        GITHUB_OUTPUT=str(outputs),
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert code == 1
    assert json.loads(commands(outputs)["lines"]) == lines
    assert summary.read_text().splitlines()[3:-1] == lines


def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "report.html").write_text("of yesterday")
    code, lines = _tool("github_run", "--mode=prod", "--out=old", cwd=tmp_path)
    assert (code, lines) == (1, ["github_run status=fail reason=file_not_written"])


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (44, "github_schedule status=ok last_commit_days=44"),
        (45, "github_schedule status=warn reason=repository_quiet last_commit_days=45"),
    ],
)
def test_a_quiet_repository_is_warned_of_before_its_schedules_stop(days: int, said: str, tmp_path: Path) -> None:
    at = str(datetime.now(UTC) - timedelta(days=days, minutes=5))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message=x"]):
        environ = {**os.environ, "GIT_COMMITTER_DATE": at, "GIT_AUTHOR_DATE": at}
        subprocess.run([*git, *arguments], cwd=tmp_path, check=True, env=environ)
    summary = tmp_path / "summary"
    _, lines = _tool("github_run", "--mode=prod", cwd=tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    assert said in lines
    assert (f"::warning::{said}" in lines) == ("warn" in said)
    assert said in summary.read_text().splitlines()


@pytest.mark.parametrize(("kind", "member"), [("Bot", "NONE"), ("User", "OWNER"), ("User", "COLLABORATOR")])
def test_an_issue_is_found_by_its_title_among_many_and_a_pull_request_is_none(
    issues: Issues, tmp_path: Path, kind: str, member: str
) -> None:
    issues.issues = [
        {"number": 1, "state": "closed", "title": TITLE, "body": ""},
        {"number": 2, "state": "open", "title": TITLE, "body": "", "pull_request": {}},
        {
            "number": 3,
            "state": "open",
            "title": TITLE,
            "body": "",
            "author_association": member,
            "user": {"type": kind},
        },
        *({"number": 4 + n, "state": "open", "title": "another", "body": ""} for n in range(230)),
    ]
    assert _issue(issues, tmp_path, "cancelled") == (0, "github_issue status=ok action=commented issue=3")
    assert [number for number, _ in issues.comments] == [3]


def test_a_strangers_issue_of_the_same_title_is_left_alone(issues: Issues, tmp_path: Path) -> None:
    stranger = {"user": {"type": "User"}, "author_association": "CONTRIBUTOR"}
    issues.issues = [{"number": 1, "state": "open", "title": TITLE, "body": "", **stranger}]
    assert _issue(issues, tmp_path, "failure") == (0, "github_issue status=ok action=opened issue=2")
    assert issues.comments == []


@pytest.mark.parametrize(
    ("verdict", "action"),
    [
        ("status=healthy since=none change=none", "closed"),
        ("status=healthy since=2026-11-01 change=none", "kept"),
        ("status=healthy since=2026-11-01 change=recovered", "closed"),
        ("status=insufficient_data since=none change=none", "closed"),
        ("status=insufficient_data since=2026-11-01 change=none", "kept"),
        (None, "kept"),
    ],
)
def test_an_issue_is_closed_when_no_episode_goes_on(
    verdict: str | None, action: str, issues: Issues, tmp_path: Path
) -> None:
    issues.issues = [{"number": 1, "state": "open", "title": TITLE, "body": ""}]
    lines = ["ops_daily mode=strict reason=prod_configured"]
    lines += [f"ops_daily_watchdog {verdict}"] if verdict else []
    assert _issue(issues, tmp_path, "success", *lines) == (0, f"github_issue status=ok action={action} issue=1")
    assert bool(issues.open_ones()) == (action == "kept")


@pytest.mark.parametrize(
    ("told", "action"),
    [
        ("github_issue result=failure run=1 lines=0 reason=no_lines", "closed"),
        ("ops_daily mode=smoke reason=prod_not_configured", "closed"),
        ("ops_daily mode=strict reason=prod_configured", "kept"),
        ("prod_config status=fail reason=missing_env missing=OPS_POSTGRES_DSN", "kept"),
    ],
)
def test_a_smoke_run_closes_no_issue_that_tells_of_production(
    told: str, action: str, issues: Issues, tmp_path: Path
) -> None:
    issues.issues = [{"number": 1, "state": "open", "title": TITLE, "body": f"```\n{told}\n```"}]
    lines = ["ops_daily mode=smoke reason=prod_not_configured", "ops_daily_watchdog status=healthy since=none"]
    assert _issue(issues, tmp_path, "success", *lines) == (0, f"github_issue status=ok action={action} issue=1")


def test_what_a_comment_tells_of_production_counts_too_however_much_was_told(issues: Issues, tmp_path: Path) -> None:
    strict = ["ops_daily mode=strict reason=prod_configured"]
    strict += [f"ops_daily_totals delivered_total={n} positive=1000000000000" for n in range(1500)]
    for lines in ([], strict):
        _issue(issues, tmp_path, "failure", *lines)
    smoke = ["ops_daily mode=smoke reason=prod_not_configured", "ops_daily_watchdog status=healthy since=none"]
    assert _issue(issues, tmp_path, "success", *smoke) == (0, "github_issue status=ok action=kept issue=1")


def test_an_issue_holds_lines_and_nothing_else(issues: Issues, tmp_path: Path) -> None:
    texts = (
        "prod_config status=fail reason=missing_env missing=OPS_POSTGRES_DSN",
        f"ops_daily status=fail reason={NOBODY}",
        "ops_daily status=fail reason=db.example.com",
        "ops_daily status=fail note=@everyone",
        'Traceback (most recent call last):\n  File "x.py"',
        "ops_daily status=fail\n```\n<script>",
        "hello reason=world",
    )
    assert _issue(issues, tmp_path, "failure", *texts) == (0, "github_issue status=ok action=opened issue=1")
    assert issues.issues[0]["body"].splitlines() == [
        "```",
        "github_issue result=failure run=none lines=1",
        texts[0],
        "```",
    ]


def test_lines_that_are_no_list_do_not_keep_an_issue_from_being_opened(issues: Issues, tmp_path: Path) -> None:
    for text in ("", "{", '{"a": 1}', "[" * 100_000, "[1]"):
        issues.issues.clear()
        given = {"GITHUB_TOKEN": "ghs_x", "GITHUB_REPOSITORY": "example/service", "GITHUB_API_URL": issues.address}
        code, _ = _tool("github_issue", "--result=failure", f"--lines={text}", cwd=tmp_path, **given)
        assert code == 0
        assert "reason=no_lines" in issues.issues[0]["body"]


def test_more_lines_than_an_issue_takes_lose_the_first(issues: Issues, tmp_path: Path) -> None:
    texts = [f"ops_daily_totals delivered_total={n} positive=1000000000000" for n in range(1500)]
    assert _issue(issues, tmp_path, "failure", *texts)[0] == 0
    body = issues.issues[0]["body"]
    assert len(body) < 65_536
    assert body.splitlines()[-2] == texts[-1]


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "github_refused"), (404, "github_refused"), (502, "github_unreachable")]
)
def test_an_issue_that_cannot_be_written_is_an_error(
    status: int, reason: str, issues: Issues, tmp_path: Path
) -> None:
    issues.refuses = status
    assert _issue(issues, tmp_path, "failure") == (1, f"github_issue status=fail reason={reason}")


# What must not be in a workflow


def _steps(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in document.get("jobs", {}).values():
        yield from job.get("steps", [])
    yield from document.get("runs", {}).get("steps", [])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_step_is_one_command_without_text_of_others(path: Path) -> None:
    for step in _steps(load(path)):
        command = step.get("run", "")
        assert not re.search(r"[\n|;<>`]|&&|\$\(|\$\{\{", command), command


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_action_of_others_is_pinned_to_a_commit_and_its_version_is_said(path: Path) -> None:
    for used in re.findall(r"uses: (.+)", path.read_text(encoding="utf-8")):
        assert used.startswith("$/") or re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
        assert not used.startswith("$/") or (ROOT / used.removeprefix("$/")).exists()


def test_every_target_that_a_step_makes_is_one_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    steps = [step.get("run", "") for path in FILES for step in _steps(load(path))]
    made = {step.split()[-1] for step in steps if step.startswith("make ")}
    assert made > {"test", "check", "docs", "proofs"}
    assert [target for target in made if not re.search(rf"^{re.escape(target)}:", makefile, flags=re.MULTILINE)] == []


def test_both_actions_tell_by_the_same_command() -> None:
    within, alone = (
        load(ROOT / ".github" / "actions" / name / "action.yml")["runs"]["steps"] for name in ("watchdog", "issue")
    )
    assert within[-1]["run"] == alone[-1]["run"]
    assert within[-1]["env"].keys() == alone[-1]["env"].keys()


def test_one_action_has_one_pin() -> None:
    pins = {used for path in FILES for used in re.findall(r"uses: ([^$].+)", path.read_text(encoding="utf-8"))}
    assert len({used.partition("@")[0] for used in pins}) == len(pins)


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.name)
def test_every_workflow_may_do_little_for_a_short_time_and_one_at_a_time(path: Path) -> None:
    may_write = {
        ("ops_daily.yml", "watchdog"): {"issues"},
        ("watchdog.yml", "tell"): {"issues"},
        ("release.yml", "publish"): {"id-token"},
    }
    document = load(path)
    assert document["permissions"] == {}
    assert document["concurrency"]["group"]
    for name, job in document["jobs"].items():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 60, name
        written = {scope for scope, access in job["permissions"].items() if access != "read"}
        assert written == may_write.get((path.name, name), set()), name
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_a_pull_request_gets_no_secret() -> None:
    with_secrets = {path.name for path in WORKFLOWS.glob("*.yml") if "secrets." in path.read_text(encoding="utf-8")}
    for path in WORKFLOWS.glob("*.yml"):
        events = load(path)["on"]
        assert "pull_request_target" not in events
        assert "workflow_run" not in events
        if "pull_request" in events:
            assert path.name not in with_secrets
    assert with_secrets == {"ops_daily.yml", "watchdog.yml", "prod_verify.yml", "db_bootstrap.yml"}


def test_what_may_write_issues_knows_no_secret() -> None:
    tell = load(WORKFLOWS / "watchdog.yml")["jobs"]["tell"]
    assert "secrets" not in json.dumps(tell)


def test_the_five_lines_that_are_documented_are_what_the_workflow_takes() -> None:
    page = (ROOT / "docs" / "how-to" / "github-actions.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)]
    jobs = [job for block in blocks if isinstance(block, dict) for job in block.get("jobs", {}).values()]
    called = load(WORKFLOWS / "watchdog.yml")["on"]["workflow_call"]
    for job in jobs:
        assert "/.github/workflows/watchdog.yml@" in job["uses"]
        assert job["secrets"].keys() <= called["secrets"].keys()
        assert job.get("with", {}).keys() <= called["inputs"].keys()
        assert job["permissions"] == {"contents": "read", "issues": "write"}
    inputs = load(ROOT / ".github" / "actions" / "watchdog" / "action.yml")["inputs"]
    steps = [step for block in blocks if isinstance(block, list) for step in block]
    assert all(step.get("with", {}).keys() <= inputs.keys() for step in steps)
    assert jobs
    assert steps


# The small GitHub itself


def test_an_expression_that_is_not_known_is_refused() -> None:
    context = {"github": {"event_name": "push"}, "inputs": {"mode": ""}, "vars": {}, "functions": {}}
    for text in (
        "contains(github.ref, 'x')",
        "github.actor",
        "unknown.thing",
        "'a' < 'b'",
        "inputs.mode inputs.mode",
    ):
        with pytest.raises((ValueError, KeyError)):
            Expression(text, context).value()
    assert evaluated("${{ inputs.mode || vars.MODE || 'auto' }}", context) == "auto"
    assert is_met("github.event_name == 'push'", {**context, "functions": {"success": True}})
    assert not is_met("github.event_name == 'push'", {**context, "functions": {"success": False}})


@pytest.mark.parametrize("key", ["continue-on-error", "timeout-minutes", "background"])
def test_a_key_of_a_step_that_is_not_known_is_refused(key: str, start: Start) -> None:
    with pytest.raises(ValueError, match="not known here in a step"):
        start().take_steps([{"run": "true", key: True}])


def test_a_step_that_fails_before_a_pipe_is_green_as_on_github_and_red_in_an_action(start: Start) -> None:
    run = start("push")
    steps: list[Any] = [{"run": "false | true"}]
    assert run.take_steps(steps) == "success"
    assert run.take_steps([{**steps[0], "shell": "bash"}]) == "failure"
    assert run.take_steps([{"run": "false"}, {"if": "inputs.mode == ''", "run": "exit 3"}]) == "failure"


def test_outputs_whose_delimiter_never_comes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a=1\nb<<END\ntext\nEND\nc<<END\nlost\n")
    with pytest.raises(ValueError, match="delimiter"):
        commands(tmp_path / "outputs")


def test_a_github_that_answers_a_byte_at_a_time_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "_SECONDS", 0.3)
    monkeypatch.setenv("GITHUB_REPOSITORY", "example/service")
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_x")
    with dripping() as port:
        monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{port}")
        begin = time.monotonic()
        with pytest.raises(OpsError) as caught:
            repository.Repository().find("title")
        assert time.monotonic() - begin < 10
    assert str(caught.value) == "github_unreachable"
