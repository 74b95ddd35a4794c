"""Importing event files: each as a whole or not at all, each only once, and nothing of a bad row is ever repeated."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ops_pipeline.cli import main as cli
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.events.intake import FORMATS, Imported, Rules, TooManyRejectedError, import_file
from ops_pipeline.events.text_file import LONGEST_LINE
from ops_pipeline_tests.conftest import Database

FIRST_DAY = date(2026, 1, 1)
RULES = Rules(first_day=FIRST_DAY)
HEADER = "occurred_at,touch,outcome,reason,segment"
GOOD = "2026-11-07T12:00:00+00:00,first,held,rate_limited,email"

EVENTS = [
    {"occurred_at": "2026-11-07T12:00:00+00:00", "touch": "first", "outcome": "held", "reason": "rate_limited"},
    {"occurred_at": "2026-11-07T23:59:59.5-02:00", "touch": "second", "outcome": "delivered", "segment": "email"},
    {"occurred_at": "2026-11-08T01:59:59Z", "touch": "second", "outcome": "acknowledged", "reason": "positive"},
    {"occurred_at": "2026-11-08 10:00:00.25+00", "touch": "first", "outcome": "suppressed", "reason": "My Reason"},
]

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write lines to a file and return its path."""

    def one(*lines: str, name: str = "events.csv") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
        return path

    return one


def _rows(database: Database) -> list[tuple[object, ...]]:
    with database.engine.connect() as connection:
        return [
            tuple(row) for row in connection.execute(text("SELECT * FROM ops.delivery_events ORDER BY 1, 2, 3, 4, 5"))
        ]


def _rejected(database: Database, path: Path, rules: Rules = RULES) -> dict[Reason, int]:
    """Import a file that must be refused for its rows, and return why."""
    with pytest.raises(TooManyRejectedError) as caught:
        import_file(database.engine, path, rules)
    assert _rows(database) == []
    return caught.value.rejected_by


def _as_csv(path: Path) -> None:
    columns = HEADER.split(",")
    lines = [HEADER, *(",".join(event.get(column, "") for column in columns) for event in EVENTS)]
    path.write_text("\n".join(lines))


def _as_jsonl(path: Path) -> None:
    path.write_text("\n".join(json.dumps(event) for event in EVENTS))


def _as_parquet(path: Path) -> None:
    columns = HEADER.split(",")
    rows = [tuple(event.get(column) for column in columns) for event in EVENTS]
    _write_parquet(path, ", ".join(f"{column} VARCHAR" for column in columns), rows, "occurred_at::TIMESTAMPTZ")


def _write_parquet(path: Path, columns: str, rows: Sequence[tuple[str | None, ...]], occurred_at: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE events ({columns})")
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO events VALUES ({marks})", rows)  # noqa: S608
        connection.execute(
            f"COPY (SELECT * REPLACE ({occurred_at} AS occurred_at) FROM events) TO '{path}' (FORMAT parquet)"  # noqa: S608
        )


WRITERS = {".csv": _as_csv, ".jsonl": _as_jsonl, ".ndjson": _as_jsonl, ".parquet": _as_parquet}


def test_every_format_is_named_where_somebody_looks_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["events", "import", "--help"]) == 0
    printed = capsys.readouterr().out
    for said in (printed, Reason.UNKNOWN_FORMAT.next_step, Reason.FILE_UNREADABLE.next_step):
        assert set(FORMATS) <= set(re.findall(r"\.[a-z]+", said))


@pytest.mark.parametrize("ending", [*FORMATS, ".csv.gz", ".jsonl.gz", ".CSV", ".CSV.GZ"])
def test_every_format_gives_the_same_events(database: Database, tmp_path: Path, ending: str) -> None:
    plain = ending.removesuffix(".gz").removesuffix(".GZ")
    path = tmp_path / f"events{plain}"
    WRITERS[plain.lower()](path)
    if ending != plain:
        zipped = tmp_path / f"events{ending}"
        zipped.write_bytes(gzip.compress(path.read_bytes()))
        path = zipped
    done = import_file(database.engine, path, RULES)
    assert (done.accepted, done.rejected, done.duplicates) == (4, 0, 0)
    assert done.days == (date(2026, 11, 7), date(2026, 11, 8))
    assert _rows(database) == [
        (datetime(2026, 11, 7, 12, tzinfo=UTC), "first", "held", "rate_limited", None),
        (datetime(2026, 11, 8, 1, 59, 59, tzinfo=UTC), "second", "acknowledged", "positive", None),
        (datetime(2026, 11, 8, 1, 59, 59, 500000, tzinfo=UTC), "second", "delivered", None, "email"),
        (datetime(2026, 11, 8, 10, 0, 0, 250000, tzinfo=UTC), "first", "suppressed", "invalid_label", None),
    ]


def test_the_same_file_again_under_any_name_changes_nothing(database: Database, write: Write) -> None:
    assert import_file(database.engine, write(HEADER, GOOD), RULES).is_new
    again = import_file(database.engine, write(HEADER, GOOD, name="renamed.csv"), RULES)
    assert again == Imported(is_new=False)
    assert len(_rows(database)) == 1


def test_two_importers_of_one_file_at_once_import_it_once(database: Database, write: Write) -> None:
    path = write(HEADER, *[GOOD] * 1000)
    barrier, done = threading.Barrier(2), []

    def run() -> None:
        barrier.wait()
        done.append(import_file(database.engine, path, RULES).is_new)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, True]
    assert len(_rows(database)) == 1000


def test_one_bad_row_refuses_the_whole_file_until_it_is_allowed(database: Database, write: Write) -> None:
    path = write(HEADER, GOOD, GOOD.replace("first", "third"), GOOD)
    assert _rejected(database, path) == {Reason.INVALID_TOUCH: 1}
    done = import_file(database.engine, path, RULES, max_rejected=1)
    assert (done.accepted, done.rejected_by) == (2, {Reason.INVALID_TOUCH: 1})
    with database.engine.connect() as connection:
        batch = connection.execute(text("SELECT accepted, rejected, duplicates FROM ops.intake_batches")).one()
    assert tuple(batch) == (2, 1, 0)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-11-07T12:00:00+00:00,first", Reason.MALFORMED_ROW),
        (f"{GOOD},and,more", Reason.MALFORMED_ROW),
        (f'{GOOD},"open', Reason.MALFORMED_ROW),
        (GOOD.replace("2026-11-07", "yesterday"), Reason.INVALID_OCCURRED_AT),
        (GOOD.replace("2026-11-07T12:00:00+00:00", ""), Reason.INVALID_OCCURRED_AT),
        (GOOD.replace("2026-11-07", "2026-02-30"), Reason.INVALID_OCCURRED_AT),
        (GOOD.replace("+00:00", ""), Reason.MISSING_TIME_ZONE),
        (GOOD.replace("T12:00:00+00:00", ""), Reason.MISSING_TIME_ZONE),
        (GOOD.replace("2026-", "2999-"), Reason.OUT_OF_RANGE),
        (GOOD.replace("2026-", "2025-"), Reason.OUT_OF_RANGE),
        (GOOD.replace("first", "First"), Reason.INVALID_TOUCH),
        (GOOD.replace("held", "lost"), Reason.INVALID_OUTCOME),
        (GOOD.replace("rate_limited", ""), Reason.MISSING_REASON),
        (GOOD.replace("held", "acknowledged"), Reason.INVALID_ACKNOWLEDGEMENT),
    ],
)
def test_each_way_in_which_a_csv_row_is_bad_has_its_reason(
    database: Database, write: Write, row: str, reason: Reason
) -> None:
    assert _rejected(database, write(HEADER, GOOD, row)) == {reason: 1}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not json", Reason.MALFORMED_ROW),
        ('["first"]', Reason.MALFORMED_ROW),
        ('{"occurred_at": "2026-11-07T12:00:00Z", "touch": "first"', Reason.MALFORMED_ROW),
        ('{"occurred_at": 5, "touch": "first", "outcome": "delivered"}', Reason.INVALID_OCCURRED_AT),
        ('{"occurred_at": "2026-11-07T12:00:00Z", "touch": null, "outcome": "delivered"}', Reason.INVALID_TOUCH),
        ('{"occurred_at": "2026-11-07T12:00:00Z", "touch": "first"}', Reason.INVALID_OUTCOME),
    ],
)
def test_each_way_in_which_a_json_line_is_bad_has_its_reason(
    database: Database, write: Write, line: str, reason: Reason
) -> None:
    good = json.dumps(EVENTS[0])
    assert _rejected(database, write(good, line, name="events.jsonl")) == {reason: 1}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "csv.gz"])
def test_a_text_file_in_another_encoding_is_called_one_with_the_line(
    database: Database, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"events.{ending}"
    # A segment is read when rows are taken, and not before.
    rows = f"{HEADER}\n{GOOD}\n{GOOD.replace('email', 'e-größe')}\n"
    latin = [rows.encode("latin-1"), f"{rows}ä".encode()[:-1]]
    for content, line in (
        *zip(latin, (3, 4), strict=True),
        (rows.encode("utf-16"), 1),
        (rows.encode("utf-16-le"), 1),
    ):
        path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
        with pytest.raises(OpsError) as caught:
            import_file(database.engine, path, RULES, max_rejected=100)
        assert (caught.value.reason, caught.value.fields) == (Reason.FILE_NOT_UTF8, {"line": line})
    assert _rows(database) == []


def test_a_line_that_no_event_can_have_is_too_long_and_the_longest_is_not(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    fits = GOOD + "x" * (LONGEST_LINE - len(GOOD))
    for more in (1, 40 << 20):
        path.write_text(f"{HEADER}\n{GOOD}\n{fits}{'x' * more}\n{GOOD}\n")
        with pytest.raises(OpsError) as caught:
            import_file(database.engine, path, RULES)
        assert (caught.value.reason, caught.value.fields) == (Reason.LINE_TOO_LONG, {"line": 3})
    path.write_text(f"{HEADER}\n{GOOD}\n{fits}\n{GOOD}\n")
    assert import_file(database.engine, path, RULES).accepted == 3


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_lines_may_end_as_they_like_in_one_file(database: Database, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"events.{ending}"
    quoted = GOOD.replace("email", '"e""\r\nmail"')
    # So long that a part which is read ends between CR and LF.
    begin = f"{HEADER}\n{GOOD}\r\n{quoted}\n"
    padding = "x" * (LONGEST_LINE - len(begin) - len(f"{GOOD}\r"))
    content = f"{begin}{GOOD}{padding}\r\n{GOOD}\n{GOOD}".encode()
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    assert import_file(database.engine, path, RULES).accepted == 5
    segments = sorted(str(row[4]) for row in _rows(database))
    assert segments == ["email", "email", "email", "invalid_label", "invalid_label"]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "csv", "csv.gz"])
def test_a_byte_order_mark_is_no_part_of_the_first_line(database: Database, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"events.{ending}"
    plain = "\ufeff" + (f"{HEADER}\n{GOOD}" if "csv" in ending else json.dumps(EVENTS[0]))
    path.write_bytes(gzip.compress(plain.encode()) if ending.endswith("gz") else plain.encode())
    assert import_file(database.engine, path, RULES).accepted == 1


def test_a_gzip_file_is_taken_only_as_a_whole(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "events.csv.gz"
    first, second = (gzip.compress(one.encode()) for one in (f"{HEADER}\n{GOOD}\n", f"{GOOD}\n" * 1000))
    wrong_sum = bytearray(second)
    wrong_sum[-6] ^= 1
    for damaged in (bytes(wrong_sum), second[:-3], second[:-9], second + b"garbage", second + second[:20]):
        path.write_bytes(first + damaged)
        with pytest.raises(OpsError) as caught:
            import_file(database.engine, path, RULES)
        assert caught.value.reason is Reason.FILE_UNREADABLE
    assert _rows(database) == []
    path.write_bytes(first + second)
    assert import_file(database.engine, path, RULES).accepted == 1001


def test_what_cannot_be_read_to_its_end_is_unreadable_and_was_not_changed(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    columns = HEADER.split(",")
    rows = [(*GOOD.split(",")[:4], f"segment_{number:06}") for number in range(2000)]
    _write_parquet(path, ", ".join(f"{name} VARCHAR" for name in columns), rows, "occurred_at::TIMESTAMPTZ")
    content = bytearray(path.read_bytes())
    # In the last column, which is read when rows are taken, and not before.
    at = content.rindex(b"segment_")
    content[at - 4000 : at - 3000] = b"\xff" * 1000
    path.write_bytes(content)
    with pytest.raises(OpsError) as caught:
        import_file(database.engine, path, RULES)
    assert caught.value.reason is Reason.FILE_UNREADABLE
    assert _rows(database) == []


def test_times_without_an_offset_are_taken_as_utc_where_one_says_so(database: Database, write: Write) -> None:
    path = write(HEADER, GOOD.replace("+00:00", ""))
    import_file(database.engine, path, Rules(first_day=FIRST_DAY, assume_utc=True))
    assert _rows(database)[0][0] == datetime(2026, 11, 7, 12, tzinfo=UTC)


def test_parquet_times_without_a_zone_are_refused_too(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    columns = "occurred_at VARCHAR, touch VARCHAR, outcome VARCHAR"
    _write_parquet(path, columns, [("2026-11-07 12:00:00", "first", "delivered")], "occurred_at::TIMESTAMP")
    assert _rejected(database, path) == {Reason.MISSING_TIME_ZONE: 1}


def test_repeats_of_an_event_are_dropped_and_counted_and_the_key_is_not_stored(
    database: Database, write: Write
) -> None:
    rows = [f"{GOOD},key_1", f"{GOOD},key_2", f"{GOOD},key_1", f"{GOOD},key_1"]
    path = write(f"{HEADER},id", *rows)
    done = import_file(database.engine, path, Rules(first_day=FIRST_DAY, unique_by="id"))
    assert (done.accepted, done.duplicates) == (2, 2)
    assert "key_" not in str(_rows(database))


def test_of_differing_repeats_the_earliest_is_kept(database: Database, write: Write) -> None:
    later = GOOD.replace("T12", "T13")
    path = write(f"{HEADER},id", f"{later},a", f"{GOOD},a")
    import_file(database.engine, path, Rules(first_day=FIRST_DAY, unique_by="id"))
    assert [row[0] for row in _rows(database)] == [datetime(2026, 11, 7, 12, tzinfo=UTC)]


def test_a_row_without_its_key_is_rejected(database: Database, write: Write) -> None:
    path = write(f"{HEADER},id", f"{GOOD},")
    assert _rejected(database, path, Rules(first_day=FIRST_DAY, unique_by="id")) == {Reason.MISSING_UNIQUE_KEY: 1}


def test_a_key_may_have_any_name(database: Database, write: Write) -> None:
    event = json.dumps({**EVENTS[0], "store_rejects": "a"})
    rules = Rules(first_day=FIRST_DAY, unique_by="store_rejects")
    done = import_file(database.engine, write(event, event, name="events.jsonl"), rules)
    assert (done.accepted, done.duplicates) == (1, 1)


def test_other_columns_in_any_order_are_never_read_into_the_database(database: Database, write: Write) -> None:
    path = write('phone,outcome,"odd "" name",touch,occurred_at', "+49170,delivered,x,first,2026-11-07T12:00:00Z")
    import_file(database.engine, path, RULES)
    assert _rows(database) == [(datetime(2026, 11, 7, 12, tzinfo=UTC), "first", "delivered", None, None)]


def test_a_byte_order_mark_quotes_and_line_breaks_in_cells_are_understood(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    row = '2026-11-07T12:00:00Z,"first",held,"a ""quoted""\nreason, with comma",email'
    path.write_text(f"{HEADER}\r\n{row}\r\n{GOOD}\r\n", encoding="utf-8-sig", newline="")
    import_file(database.engine, path, RULES)
    assert sorted(str(row[3]) for row in _rows(database)) == ["invalid_label", "rate_limited"]


def test_a_reason_on_an_outcome_that_takes_none_is_dropped(database: Database, write: Write) -> None:
    import_file(database.engine, write(HEADER, GOOD.replace("held", "delivered")), RULES)
    assert _rows(database)[0][3] is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(cell=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60))
def test_whatever_text_stands_in_reason_and_segment_only_labels_are_stored(
    database: Database, tmp_path: Path, cell: str
) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("TRUNCATE ops.delivery_events, ops.intake_batches"))
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps({**EVENTS[0], "reason": cell, "segment": cell}))
    done = import_file(database.engine, path, RULES, max_rejected=1)
    for _, _, _, reason, segment in _rows(database):
        assert (reason, segment) in {(cell, cell), ("invalid_label", "invalid_label")}
    assert done.accepted + done.rejected == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(content=st.binary(max_size=300), ending=st.sampled_from(["csv", "jsonl", "parquet", "csv.gz", "jsonl.gz"]))
def test_any_bytes_at_all_are_imported_or_refused_with_a_reason(
    database: Database, tmp_path: Path, content: bytes, ending: str
) -> None:
    path = tmp_path / f"events.{ending}"
    path.write_bytes(content)
    with pytest.raises(OpsError) as caught:
        import_file(database.engine, path, RULES)
    assert caught.value.__cause__ is None
    assert caught.value.reason is not Reason.INTERNAL_ERROR
    assert _rows(database) == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("events.csv", b"", Reason.FILE_EMPTY),
        ("events.csv", HEADER.encode(), Reason.FILE_EMPTY),
        ("events.jsonl", b"", Reason.FILE_EMPTY),
        ("events.parquet", b"", Reason.FILE_EMPTY),
        ("events.csv", b"touch,outcome\nfirst,held\n", Reason.MISSING_COLUMNS),
        ("events.csv", b"occurred_at,occurred_at,touch,outcome\n", Reason.FILE_UNREADABLE),
        ("events.csv", b"\x89PNG\r\n\x1a\n\x00\x00", Reason.FILE_NOT_UTF8),
        ("events.parquet", b"occurred_at,touch,outcome\n", Reason.FILE_UNREADABLE),
        ("events.csv.gz", b"occurred_at,touch,outcome\n", Reason.FILE_UNREADABLE),
        ("events.jsonl.gz", b"{}", Reason.FILE_UNREADABLE),
        ("events.xlsx", b"PK", Reason.UNKNOWN_FORMAT),
        ("events", b"", Reason.UNKNOWN_FORMAT),
        ("events.gz", b"", Reason.UNKNOWN_FORMAT),
    ],
)
def test_a_file_that_is_no_event_file_has_a_reason(
    database: Database, tmp_path: Path, name: str, content: bytes, reason: Reason
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(OpsError) as caught:
        import_file(database.engine, path, RULES)
    assert caught.value.reason is reason
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM ops.intake_batches")) == 0


def test_a_truncated_parquet_or_gzip_file_is_unreadable(database: Database, tmp_path: Path) -> None:
    for name, make in (("whole.parquet", _as_parquet), ("whole.csv", _as_csv)):
        make(tmp_path / name)
    whole = {
        "events.parquet": (tmp_path / "whole.parquet").read_bytes(),
        "events.csv.gz": gzip.compress((tmp_path / "whole.csv").read_bytes() * 1000),
    }
    for name, content in whole.items():
        for share in (0.3, 0.9):
            (tmp_path / name).write_bytes(content[: int(len(content) * share)])
            with pytest.raises(OpsError) as caught:
                import_file(database.engine, tmp_path / name, RULES)
            assert caught.value.reason is Reason.FILE_UNREADABLE
    assert _rows(database) == []


def test_what_is_no_file_has_a_reason_at_once(database: Database, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "device.csv").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.csv"))
        for name in ("none.csv", "folder.csv", "pipe.csv", "device.csv", "socket.csv"):
            with pytest.raises(OpsError) as caught:
                import_file(database.engine, tmp_path / name, RULES)
            expected = Reason.FILE_MISSING if name == "none.csv" else Reason.NOT_A_FILE
            assert (name, caught.value.reason) == (name, expected)


def test_a_file_name_is_never_a_pattern_or_a_statement(database: Database, write: Write) -> None:
    for number, name in enumerate(("ev*nts.csv", "events[1].csv", "it's; --.csv", "ünï.csv")):
        import_file(database.engine, write(HEADER, GOOD.replace("12:00", f"12:0{number}"), name=name), RULES)
    assert len(_rows(database)) == 4


def test_events_land_in_the_partition_of_their_day(database: Database, write: Write) -> None:
    import_file(database.engine, write(HEADER, GOOD), RULES)
    with database.engine.connect() as connection:
        where = connection.scalar(text("SELECT tableoid::regclass::text FROM ops.delivery_events"))
    assert where == "ops.delivery_events_20261107"


def test_interrupted_in_the_middle_nothing_of_the_file_is_kept_and_it_can_be_imported_again(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "events.csv"
    path.write_text("\n".join([HEADER, *[GOOD] * 20_000]))
    with psycopg.connect(database.dsn) as blocker:
        # The claim on the file can be made, and the copy stops right at its start.
        blocker.execute("LOCK TABLE ops.delivery_events IN SHARE MODE")
        run = _start_import(database, path)
        _wait_until(database, "wait_event_type = 'Lock'")
        _interrupt(run, database, tmp_path)
    assert import_file(database.engine, path, RULES).accepted == 20_000


def test_interrupted_while_duckdb_reads_it_says_so_and_nothing_of_the_file_is_kept(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "events.csv"
    path.write_text("\n".join([HEADER, *[GOOD] * 400_000]))
    run = _start_import(database, path)
    # The file is claimed, and DuckDB surveys it.
    _wait_until(database, "state = 'idle in transaction' AND query LIKE '%intake_batches%'")
    _interrupt(run, database, tmp_path)


def _interrupt(run: subprocess.Popen[str], database: Database, folder: Path) -> None:
    """Interrupt an import: it says so, leaves nothing in its folder, and keeps nothing of its file."""
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=60)
    assert (run.returncode, output) == (1, "events_import status=fail reason=interrupted\n")
    assert not list(folder.glob("ops_pipeline_*"))
    assert _rows(database) == []


def _start_import(database: Database, *paths: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ops_pipeline.tools.events", "import", *map(str, paths)],
        env={**os.environ, "OPS_POSTGRES_DSN": database.dsn, "TMPDIR": str(paths[0].parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait_until(database: Database, condition: str) -> None:
    deadline = datetime.now(UTC) + timedelta(seconds=60)
    with psycopg.connect(database.dsn, autocommit=True) as watcher:
        while datetime.now(UTC) < deadline:
            ours = "datname = current_database() AND application_name = 'ops_pipeline'"
            query = f"SELECT count(*) FROM pg_stat_activity WHERE {ours} AND {condition}"  # noqa: S608
            found = watcher.execute(query).fetchone()  # type: ignore[arg-type]
            if found and found[0]:
                return
            # Who asks all the time takes the processor from whom it waits for.
            watcher.execute("SELECT pg_sleep(0.05)")
    pytest.fail("the import never waited")
