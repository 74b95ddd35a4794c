"""`prod_verify`: every step says how it ended, and the last line names the one that failed."""

from __future__ import annotations

import pytest

from ops_pipeline.store.migrate import downgrade
from ops_pipeline.tools.prod_verify import main
from ops_pipeline_tests.conftest import REVISIONS, Database, Lines
from ops_pipeline_tests.traffic import healthy_traffic, send

CONFIG = "prod_verify step=config status=ok required=2"
PLAN = f"prod_verify step=plan status=ok migrations={len(REVISIONS)}"


def _own(printed: list[str]) -> list[str]:
    return [line for line in printed if line.startswith("prod_verify ")]


def test_a_dry_run_connects_nowhere(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPS_POSTGRES_DSN", "DAGSTER_POSTGRES_DSN"):
        monkeypatch.setenv(name, "postgresql://ops:s3cr3t@localhost:1/ops")
    assert main(["--mode=dry_run"]) == 0
    assert lines() == [CONFIG, PLAN, "prod_verify status=ok mode=dry_run"]
    assert main(["--mode=verify"]) == 1
    failed = "step=database {}reason=db_connect_failed cause=refused dsn=OPS_POSTGRES_DSN"
    assert lines() == [
        CONFIG,
        PLAN,
        f"prod_verify {failed.format('status=fail ')}",
        f"prod_verify status=fail {failed.format('')}",
    ]


@pytest.mark.parametrize("mode", ["dry_run", "verify"])
def test_where_nothing_is_configured_the_plan_is_verified_and_nothing_is_called_ok(lines: Lines, mode: str) -> None:
    assert main([f"--mode={mode}"]) == 0
    assert lines() == [
        "prod_verify step=config status=not_configured reason=missing_dsn",
        PLAN,
        "prod_verify status=not_configured reason=missing_dsn",
    ]


@pytest.mark.parametrize(
    ("environ", "fields"),
    [
        ({"OPS_POSTGRES_DSN": "postgresql://localhost/ops"}, "reason=missing_env missing=DAGSTER_POSTGRES_DSN"),
        (
            {"OPS_POSTGRES_DSN": "postgresql://localhost/ops", "DAGSTER_POSTGRES_DSN": "nonsense"},
            "reason=invalid_env invalid=DAGSTER_POSTGRES_DSN part=scheme",
        ),
    ],
)
def test_half_a_configuration_fails_at_the_first_step(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], fields: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main(["--mode=verify"]) == 1
    step, final = lines()
    assert step == f"prod_verify step=config status=fail {fields}"
    assert final == f"prod_verify status=fail step=config {fields}"


def test_a_database_that_is_behind_stops_before_the_day_is_run(prod: Database, lines: Lines) -> None:
    downgrade(prod.engine, "0003")
    assert main(["--mode=verify"]) == 1
    behind = f"reason=behind revision=0003 pending={len(REVISIONS) - 3} unrecorded=0"
    assert lines()[-1] == f"prod_verify status=fail step=database {behind}"


@pytest.mark.parametrize(
    ("leaks", "traffic", "code", "last"),
    [
        (0, False, 0, "step=ops_daily status=insufficient_data reason=delivered_total_0"),
        (0, True, 0, "step=ops_daily status=healthy reason=within_limits"),
        (1, True, 2, "step=ops_daily status=unhealthy reason=identity_leak"),
    ],
)
def test_the_day_decides_and_too_little_data_is_fine_after_a_deploy(
    prod: Database, lines: Lines, leaks: int, traffic: bool, code: int, last: str
) -> None:
    if traffic:
        healthy_traffic(prod)
    with prod.engine.begin() as connection:
        send(connection, leaks, "held", "identity_leak")
    assert main(["--mode=verify"]) == code
    printed = lines()
    assert any(line.startswith("ops_daily_watchdog status=") for line in printed)
    *steps, step, final = _own(printed)
    assert steps[:2] == [CONFIG, PLAN]
    assert steps[2].startswith(f"prod_verify step=database status=ok revision={REVISIONS[-1]} tables=")
    assert step == f"prod_verify {last}"
    failed = "prod_verify status=fail step=ops_daily reason=identity_leak"
    assert final == (failed if code else "prod_verify status=ok mode=verify")


def test_quiet_says_only_what_decided(prod: Database, lines: Lines) -> None:
    assert main(["--mode=verify", "--quiet"]) == 0
    assert lines() == []
    with prod.engine.begin() as connection:
        send(connection, 1, "held", "identity_leak")
    assert main(["--mode=verify", "--quiet"]) == 2
    assert lines() == ["prod_verify status=fail step=ops_daily reason=identity_leak"]


@pytest.mark.parametrize("arguments", [(), ("--mode=verfy",), ("verify",), ("--mode=verify", "--timeout=0")])
def test_a_mistyped_mode_is_no_verification(lines: Lines, arguments: tuple[str, ...]) -> None:
    assert main(arguments) == 1
    (line,) = lines()
    assert line.startswith("prod_verify status=fail reason=usage")
