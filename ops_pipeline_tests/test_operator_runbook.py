"""The runbook holds: its commands print what it promises, as they are written, and every reason has its part."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.health.verdict import WORST_FIRST
from ops_pipeline.store.embedded import EmbeddedServer
from ops_pipeline.tools import cli
from ops_pipeline_tests import walkthrough
from ops_pipeline_tests.conftest import REVISIONS, Database
from ops_pipeline_tests.traffic import healthy_traffic

TEXT = walkthrough.RUNBOOK.read_text(encoding="utf-8")
HEADINGS = re.findall(r"^#{2,3} (.+)$", TEXT, flags=re.MULTILINE)
SECTIONS = walkthrough.sections(walkthrough.RUNBOOK)


@pytest.mark.slow
def test_every_command_runs_as_written_and_prints_what_is_promised(
    new_database: Callable[[str], Database], server: EmbeddedServer, tmp_path: Path
) -> None:
    before, after = (new_database("template1") for _ in range(2))
    names = [str(make_url(database.dsn).database) for database in (before, after)]
    services = tmp_path / "services"
    services.write_text(
        walkthrough.service("ops", server, names[0]) + walkthrough.service("ops_new", server, names[1])
    )
    environ = {**walkthrough.production(server, names[0]), "PGSERVICEFILE": str(services)}
    day = str(last_complete_day())
    read = {"DAY": day, "FIRST_DAY": day, "NAME": "verdicts", "REVISION": REVISIONS[-2]}
    for title, steps in SECTIONS.items():
        if title == "missing_tables":
            with before.engine.begin() as connection:
                connection.execute(text("DROP TABLE ops.verdicts"))
        for written in steps:
            step = written.filled(read)
            done = walkthrough.run(step, tmp_path, environ)
            assert done.lacks(step) == [], (title, step.command, done)
        if title == "Bootstrap":
            healthy_traffic(before)


def test_the_sections_with_commands_are_all_there() -> None:
    assert list(SECTIONS) == [
        "Bootstrap",
        "Every day",
        "Every week",
        "After a deploy",
        "Backup",
        "Restore",
        "ops_daily is unhealthy",
        "missing_tables",
        "The scheduler is dead",
        "Events came late",
        "Roll back a migration",
    ]
    assert sum(map(len, SECTIONS.values())) == TEXT.count("$ ")


def test_a_promise_that_is_not_kept_is_seen() -> None:
    step = walkthrough.Step("", ("db_verify status=ok ...", "db_bootstrap status=ok applied=<n>"))
    kept = walkthrough.Done(0, ("db_verify status=ok revision=0007", "db_bootstrap status=ok applied=7"))
    assert kept.lacks(step) == []
    assert walkthrough.Done(0, ("db_verify status=okay", "db_bootstrap status=ok applied=all")).lacks(step) == [
        *step.promised
    ]


def test_every_reason_has_a_part_under_its_own_name_and_nothing_else_looks_like_one() -> None:
    assert len(HEADINGS) == len(set(HEADINGS))
    missing = [reason for reason in Reason if reason not in HEADINGS]
    assert missing == [], "write their parts, or run docs/generate_reference.py"
    assert [
        heading for heading in HEADINGS if re.fullmatch("[a-z0-9_]+", heading) and heading not in list(Reason)
    ] == []


def test_what_wakes_somebody_up_is_written_by_hand_the_worst_first() -> None:
    by_hand = [heading for heading in HEADINGS if heading in list(WORST_FIRST)]
    assert by_hand == list(WORST_FIRST)
    for reason in WORST_FIRST:
        part = TEXT.partition(f"### {reason}\n")[2].partition("\n### ")[0]
        assert re.findall(r"\*\*(\w+(?: \w+)?):\*\*", part) == ["Means", "Look at", "Do"], reason


def test_every_reason_that_is_named_exists() -> None:
    named = set(re.findall(r"\breason=([a-z0-9_]+)", TEXT)) - {"reason"}
    assert named <= set(Reason)


def test_there_is_a_part_for_all_that_can_go_wrong() -> None:
    assert {
        "The schedule fails with missing_env",
        "ops_ci_normalize says unexpected_exit_2",
        "ops_daily is unhealthy",
        "db_verify fails",
        "The gate db_migrations_integration fails",
        "The scheduler is dead",
        "Events came late",
        "Roll back a deploy",
        "Roll back a migration",
        "The database is lost",
        "A backup was restored",
        "A secret leaked",
    } <= set(HEADINGS)


def test_it_holds_no_secret() -> None:
    assert cli.main(["secret_echo_guard", str(walkthrough.RUNBOOK)]) == 0
