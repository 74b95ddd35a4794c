"""The runbook holds: its commands print what it promises, as they are written, and every reason has its part."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from ops_pipeline.cli import main as cli
from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.health.verdict import WORST_FIRST
from ops_pipeline.store import revisions
from ops_pipeline.store.embedded import EmbeddedServer
from ops_pipeline_tests import walkthrough
from ops_pipeline_tests.conftest import REVISIONS, Database, Lines
from ops_pipeline_tests.traffic import healthy_traffic, send

TEXT = walkthrough.RUNBOOK.read_text(encoding="utf-8")
HEADINGS = re.findall(r"^#{2,3} (.+)$", TEXT, flags=re.MULTILINE)
SECTIONS = walkthrough.sections(walkthrough.RUNBOOK)


ENDS = {
    # Without traffic, as the page says.
    ("Bootstrap", "ops-pipeline ops_daily --mode=prod"): 2,
}
"""The commands that end with another exit code than 0 where all is well."""


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
            assert done.exit_code == ENDS.get((title, written.command), 0), (title, step.command, done)
        if title == "Bootstrap":
            healthy_traffic(before)


# Tokens and exit codes

_ROWS = re.findall(
    r"^\| (.+?) \| (.+?) \| .+ \|$", TEXT.partition("## Tokens and exit codes")[2].partition("\n## ")[0], re.MULTILINE
)
SMOKE = "ops_daily mode=smoke"
"""Its end is held by `test_the_smoke_run_goes_the_same_way_and_is_green_even_on_an_unhealthy_day`."""
ANY_OTHER = "status=fail"
OF_POSTGRESQL = {"host", "dbname", "user", "service"}
"""Keys of its own files and options."""


def _promised_ends() -> dict[str, str]:
    """Return the exit codes that the table promises, by line."""
    ends = {}
    for lines, codes in _ROWS[2:]:
        found = re.findall("`(.+?)`", lines)
        name = found[0].split(" ")[0]
        # What is left out of a row's second line is the name of the first.
        full = [line if index == 0 else f"{name} {line}" for index, line in enumerate(found)]
        ends |= dict(zip(full, codes.split(" / ") if len(full) > 1 else [codes], strict=True))
    return ends


class _Operator:
    """Types commands, and gives the exit code and the lines of each."""

    def __init__(self, database: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._database, self._lines, self._monkeypatch, self.folder = database, lines, monkeypatch, folder

    def types(self, *words: str) -> walkthrough.Done:
        self._lines()
        code = cli.main(list(words))
        return walkthrough.Done(code, tuple(self._lines()))

    def configure(self, dsn: str | None = None) -> None:
        for name in ("OPS_POSTGRES_DSN", "DAGSTER_POSTGRES_DSN"):
            self._monkeypatch.setenv(name, dsn or self._database.dsn)

    def send(self, **counts: int) -> None:
        with self._database.engine.begin() as connection:
            connection.execute(text("TRUNCATE ops.delivery_events"))
            for outcome, count in counts.items():
                send(connection, count, outcome, "positive" if outcome == "acknowledged" else None)

    def log(self, content: str) -> str:
        (self.folder / "log").write_text(content)
        return f"--log-file={self.folder / 'log'}"

    def normalizes(self, status: str) -> walkthrough.Done:
        log = self.log(f"ops_daily_watchdog status={status} reason=no_events as_of=2026-11-07")
        return self.types("ops_ci_normalize", "--exit-code=2", "--event=schedule", log)


def _typed(operator: _Operator) -> Iterator[tuple[str, walkthrough.Done]]:
    """Yield each line of the table with what an operator gets who provokes it."""
    yield "prod_config status=fail reason=missing_env", operator.types("prod_config_contract", "--mode=prod_required")
    yield "db_verify status=not_configured reason=missing_dsn", operator.types("db_verify")
    found = operator.types("github_run", "--mode=prod", f"--out={operator.folder / 'out'}")
    yield "github_run status=fail step=<step> reason=exit_<n>", found
    operator.configure("postgresql://ops@localhost:1/ops")
    yield ANY_OTHER, operator.types("db_verify")
    operator.configure()
    yield "prod_config status=ok", operator.types("prod_config_contract", "--mode=prod_required")
    yield "db_bootstrap_dry_run status=ok migrations=<n>", operator.types("db_bootstrap", "--dry-run")
    found = operator.types("db_bootstrap", "apply_migrations")
    yield "db_bootstrap status=ok mode=apply_migrations applied=<n> skipped=<n>", found
    yield "db_verify status=ok", operator.types("db_verify")
    yield "ops_daily_watchdog status=insufficient_data", operator.types("ops_daily", "--mode=prod")
    operator.send(attempted=90, delivered=80, acknowledged=40)
    found = operator.types("ops_daily", "--mode=prod")
    yield "ops_daily_watchdog status=healthy", found
    yield "ops_daily mode=strict", found
    operator.send(attempted=900, delivered=800, acknowledged=2)
    yield "ops_daily_watchdog status=unhealthy", operator.types("ops_daily", "--mode=prod")
    found = operator.types("prod_verify", "--mode=verify")
    yield "prod_verify status=fail step=ops_daily reason=<reason>", found
    yield "ops_ci_normalize status=normalized reason=insufficient_data", operator.normalizes("insufficient_data")
    yield "ops_ci_normalize status=fail reason=unexpected_exit_2", operator.normalizes("unhealthy")
    operator.log("postgresql://ops:hunter2hunter2@db.example/ops")
    yield (
        "secret_echo_guard status=fail reason=secret_found",
        operator.types("secret_echo_guard", str(operator.folder)),
    )


@pytest.mark.slow
def test_every_line_of_the_table_ends_with_the_code_that_stands_beside_it(
    database: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    promised = _promised_ends()
    assert promised.pop(SMOKE) == "0, 1"
    with monkeypatch.context() as changed:
        (tmp_path / "versions").mkdir()
        changed.setattr(revisions, "package_path", lambda _: tmp_path)
        broken = _Operator(database, lines, monkeypatch, tmp_path).types("db_bootstrap", "--dry-run")
    typed = {"db_bootstrap_dry_run status=fail reason=<reason>": broken}
    typed |= _typed(_Operator(database, lines, monkeypatch, tmp_path))
    assert typed.keys() == promised.keys()
    for line, done in typed.items():
        shown = "... status=fail" if line == ANY_OTHER else line
        assert any(walkthrough.matches(shown, said) for said in done.lines), (line, done)
        codes = [done.lines[-1].rpartition("exit_")[2]] if promised[line] == "n" else promised[line].split(", ")
        assert str(done.exit_code) in codes, (line, done)


def test_every_key_that_is_named_is_one_of_a_line() -> None:
    known = set(re.findall(r"\b([a-z_]+)=", (walkthrough.RUNBOOK.parent / "reference" / "lines.md").read_text()))
    named = set(re.findall(r"(?<![-\w])([a-z_]+)=(?!\w+\.)", re.sub(r"--[a-z-]+=", "", TEXT)))
    assert named - known - OF_POSTGRESQL == set()


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
    named = set(re.findall(r"\breason=([a-z0-9_]+)\b(?!<)", TEXT)) - {"reason", "unexpected_exit_2"}
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
