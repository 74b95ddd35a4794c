"""`events import` and `events sample` as an operator runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from ops_pipeline.tools.events import main
from ops_pipeline_tests.conftest import Database

HEADER = "occurred_at,touch,outcome,reason,segment"
GOOD = "2026-11-07T12:00:00+00:00,first,held,rate_limited,email"
LEAK = "someone@example.org"

Lines = list[str]


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Callable[[], Lines]:
    """Return the lines printed since the last call; nothing may stand on standard error."""

    def read() -> Lines:
        output = capfd.readouterr()
        assert output.err == ""
        return output.out.splitlines()

    return read


@pytest.fixture
def configured(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A bootstrapped database that OPS_POSTGRES_DSN names."""
    monkeypatch.setenv("OPS_POSTGRES_DSN", database.dsn)
    return database


def _file(folder: Path, *rows: str, name: str = "events.csv") -> str:
    path = folder / name
    path.write_text("\n".join([HEADER, *rows]))
    return str(path)


def test_a_file_is_imported_once(configured: Database, tmp_path: Path, lines: Callable[[], Lines]) -> None:
    path = _file(tmp_path, GOOD, GOOD)
    assert main(["import", path]) == 0
    assert lines() == [
        "events_import status=ok file=1 accepted=2 rejected=0 duplicates=0 first_day=2026-11-07 last_day=2026-11-07"
    ]
    assert main(["import", path]) == 0
    assert lines() == ["events_import status=skipped file=1 reason=already_imported"]


def test_a_refused_file_says_why_and_repeats_nothing_of_it(
    configured: Database, tmp_path: Path, lines: Callable[[], Lines]
) -> None:
    path = _file(tmp_path, GOOD, GOOD.replace("first", LEAK), GOOD.replace("held", LEAK), name=f"{LEAK}.csv")
    assert main(["import", path]) == 1
    printed = lines()
    assert sorted(printed[:-1]) == [
        "events_import_rejected file=1 rejected=1 reason=invalid_outcome",
        "events_import_rejected file=1 rejected=1 reason=invalid_touch",
    ]
    assert printed[-1] == "events_import status=fail reason=too_many_rejected file=1"
    assert main(["import", path, "--max-rejected=2"]) == 0
    assert "accepted=1 rejected=2" in lines()[-1]


def test_files_before_a_refused_one_stay_imported(
    configured: Database, tmp_path: Path, lines: Callable[[], Lines]
) -> None:
    good, later = _file(tmp_path, GOOD, name="a.csv"), _file(tmp_path, GOOD, GOOD, name="c.csv")
    assert main(["import", good, str(tmp_path / "missing.csv"), later]) == 1
    assert lines()[1:] == ["events_import status=fail reason=file_missing file=2"]
    with configured.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM ops.delivery_events")) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], None),
        (["--help"], None),
        (["export"], "events_import status=fail reason=usage"),
        (["import"], "events_import status=fail reason=usage"),
        (["import", "x.csv", "--max-rejected=-1"], "events_import status=fail reason=usage option=max_rejected"),
        (["import", "x.csv", "--max-rejected=all"], "events_import status=fail reason=usage option=max_rejected"),
        (["import", "x.csv"], "events_import status=fail reason=missing_env missing=OPS_POSTGRES_DSN"),
        (["sample"], "events_sample status=fail reason=usage"),
        (["sample", "--out=x.csv", "--last-day=soon"], "events_sample status=fail reason=invalid_day"),
        (["sample", "--out=/no/such/folder/x.csv"], "events_sample status=fail reason=file_not_written"),
    ],
)
def test_a_wrong_call_has_a_reason_and_help_has_none(
    lines: Callable[[], Lines], arguments: list[str], line: str | None
) -> None:
    assert main(arguments) == (0 if line is None else 1)
    printed = lines()
    assert printed == [line] if line else printed[0].startswith("usage: ops-pipeline events")


def test_a_database_that_was_not_bootstrapped_has_a_reason(
    empty_database: Database, tmp_path: Path, lines: Callable[[], Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_POSTGRES_DSN", empty_database.dsn)
    assert main(["import", _file(tmp_path, GOOD)]) == 1
    assert lines() == ["events_import status=fail reason=missing_tables file=1"]


def test_the_sample_can_be_written_and_imported(
    configured: Database, tmp_path: Path, lines: Callable[[], Lines]
) -> None:
    path = str(tmp_path / "sample.csv")
    assert main(["sample", f"--out={path}", "--last-day=2026-11-07"]) == 0
    (line,) = lines()
    made = dict(pair.split("=") for pair in line.split()[1:])
    assert (made["first_day"], made["last_day"]) == ("2026-08-10", "2026-11-07")
    assert main(["import", path, "--unique-by=event_id"]) == 0
    assert f"accepted={made['events']} rejected=0 duplicates={made['repeated']}" in lines()[0]
