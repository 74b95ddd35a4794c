"""Event files into `ops.delivery_events`: CSV, JSON Lines and Parquet, all or nothing, each file once.

A text file is checked to its end first. DuckDB reads, judges and deduplicates the rows; what is good goes through a
pipe into one COPY. It reads the file twice: to count, then to load, so that nothing is loaded of a file that is not
taken.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql import insert

from ops_pipeline.contract.days import ONE_DAY, start_of
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.files import NotAFileError, open_regular
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import LABEL_PATTERN
from ops_pipeline.contract.vocabulary import ACKNOWLEDGED_REASONS, Outcome, Reserved, Touch
from ops_pipeline.events.text_file import has_mark, has_mixed_ends, opened, write_plain
from ops_pipeline.store.engine import writing
from ops_pipeline.store.partitions import ensure_partitions
from ops_pipeline.store.schema import intake_batches

REQUIRED_COLUMNS = ("occurred_at", "touch", "outcome")
OPTIONAL_COLUMNS = ("reason", "segment")
_WITH_REASON = (Outcome.SUPPRESSED, Outcome.HELD, Outcome.FAILED, Outcome.DISABLED, Outcome.ACKNOWLEDGED)
_PART_BYTES = 1 << 18
_PROGRESS_SECONDS = 0.2


class TooManyRejectedError(OpsError):
    """More rows were rejected than allowed. `rejected_by` says how many for which reason."""

    def __init__(self, rejected_by: dict[Reason, int]) -> None:
        super().__init__(Reason.TOO_MANY_REJECTED)
        self.rejected_by = rejected_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of a file."""

    is_new: bool
    """False where a file of this content was imported before: then nothing was changed."""
    accepted: int = 0
    duplicates: int = 0
    """Rows that repeat another row's key."""
    rejected_by: dict[Reason, int] = field(default_factory=dict)
    days: tuple[date, ...] = ()
    """The UTC days of the accepted rows, oldest first."""

    @property
    def rejected(self) -> int:
        """Rows that were not taken, for whatever reason."""
        return sum(self.rejected_by.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a row must be."""

    first_day: date
    """Rows of earlier UTC days are rejected."""
    unique_by: str | None = None
    """Column whose value marks a repeated event. It is never stored."""
    assume_utc: bool = False
    """Take a time without an offset as UTC, instead of rejecting it."""
    shows_progress: bool = True
    """Show progress where standard error is a terminal."""

    @property
    def bar(self) -> dict[str, Any]:
        """The progress bar's settings; None disables it unless standard error is a terminal."""
        return {"disable": None if self.shows_progress else True, "leave": False}


def import_file(engine: Engine, path: Path, rules: Rules, *, max_rejected: int = 0) -> Imported:
    """Import the file at `path` in one transaction.

    Raises OpsError with the reason why nothing of it was taken; `TooManyRejectedError` where more than `max_rejected`
    rows were rejected.
    """
    digest = _digest(path)
    # A large file takes as long as it takes, and another import of the same one is waited for.
    with _reader(path, rules) as source, writing(engine, has_limits=False) as connection:
        if not _is_new(connection, digest):
            return Imported(is_new=False)
        found = source.survey()
        if found.rejected > max_rejected:
            raise TooManyRejectedError(found.rejected_by)
        if not found.accepted and not found.rejected:
            raise OpsError(Reason.FILE_EMPTY)
        ensure_partitions(connection, found.days)
        copied = _copy(connection, source, found.accepted)
        if _digest(path) != digest:
            raise OpsError(Reason.FILE_CHANGED)
        if copied != found.accepted:
            raise OpsError(Reason.FILE_UNREADABLE)
        counted = {"accepted": found.accepted, "rejected": found.rejected, "duplicates": found.duplicates}
        connection.execute(intake_batches.update().where(intake_batches.c.digest == digest).values(counted))
        return found


def _digest(path: Path) -> bytes:
    reason = Reason.FILE_MISSING
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except FileNotFoundError:
        pass
    except NotAFileError:
        reason = Reason.NOT_A_FILE
    except OSError:
        reason = Reason.FILE_UNREADABLE
    raise OpsError(reason)


def _is_new(connection: Connection, digest: bytes) -> bool:
    """Claim the file; of two importers at once, the second waits here for the first, and then finds it done."""
    claim = insert(intake_batches).values(digest=digest, accepted=0, rejected=0, duplicates=0)
    claimed = connection.scalar(claim.on_conflict_do_nothing().returning(intake_batches.c.digest))
    return claimed is not None


def _copy(connection: Connection, source: _Reader, total: int) -> int:
    """Copy the accepted rows and return how many there were; fewer where the file could not be read to its end."""
    copied = 0
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - a connection that is open has one
    columns = ", ".join((*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS))
    with (
        _library("tqdm").tqdm(total=total, unit=" events", desc="import", **source.rules.bar) as bar,
        driver.cursor() as cursor,
        cursor.copy(f"COPY ops.delivery_events ({columns}) FROM STDIN (FORMAT csv)") as copy,
    ):
        for part in source.accepted():
            copy.write(part)
            # No value that is accepted has a line end in it.
            copied += part.count(b"\n")
            bar.update(copied - bar.n)
    return copied


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        pass
    raise OpsError(Reason.FILES_MISSING)


# Each rejection with its condition, in the order in which they are looked for. What passes all of them is accepted.
_REJECTIONS = (
    (Reason.MALFORMED_ROW, "is_malformed"),
    (Reason.INVALID_OCCURRED_AT, "occurred IS NULL"),
    (Reason.MISSING_TIME_ZONE, "NOT has_zone AND NOT $assume_utc"),
    (Reason.OUT_OF_RANGE, "occurred < $start OR occurred >= $stop"),
    (Reason.INVALID_TOUCH, "touch IS NULL OR NOT list_contains($touches, touch)"),
    (Reason.INVALID_OUTCOME, "outcome IS NULL OR NOT list_contains($outcomes, outcome)"),
    (Reason.MISSING_REASON, "list_contains($with_reason, outcome) AND reason IS NULL"),
    (
        Reason.INVALID_ACKNOWLEDGEMENT,
        "outcome = 'acknowledged' AND NOT list_contains($acknowledged, reason)",
    ),
    (Reason.MISSING_UNIQUE_KEY, "$has_key AND unique_key IS NULL"),
)

_CASES = " ".join(f"WHEN {condition} THEN '{reason.value}'" for reason, condition in _REJECTIONS)

_JUDGED = f"""
    WITH judged AS (
        SELECT *, CASE {_CASES} END AS rejection
        FROM (
            SELECT * REPLACE (NULLIF(reason, '') AS reason, NULLIF(segment, '') AS segment,
                NULLIF(unique_key, '') AS unique_key)
            FROM ({{rows}})
        )
    ), numbered AS (
        SELECT *, {{repeat}} AS repeat FROM judged
    )
"""  # noqa: S608 - our own words only

# Which of the rows with one key this is, of those that are good; the same one comes first each time.
_REPEAT = """
    CASE WHEN rejection IS NULL THEN row_number() OVER (
        PARTITION BY unique_key, rejection ORDER BY occurred, touch, outcome, reason, segment) ELSE 1 END
"""

_SURVEY = """
    SELECT rejection, CAST(CASE WHEN rejection IS NULL AND repeat = 1 THEN occurred END AS DATE) AS day, count(*)
    FROM numbered GROUP BY ALL
"""

_ACCEPTED = f"""
    SELECT CAST(occurred AS VARCHAR) AS occurred_at, touch, outcome,
        CASE
            WHEN NOT list_contains($with_reason, outcome) THEN NULL
            WHEN regexp_full_match(reason, $label) THEN reason
            ELSE '{Reserved.INVALID_LABEL}'
        END AS reason,
        CASE WHEN segment IS NULL OR regexp_full_match(segment, $label) THEN segment
            ELSE '{Reserved.INVALID_LABEL}' END AS segment
    FROM numbered WHERE rejection IS NULL AND repeat = 1
"""  # noqa: S608 - our own words only

# A time of day with an offset from UTC behind it.
_ZONE = r":[0-9]{2}([.,][0-9]+)?[ ]?([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)$"


class _Reader:
    """One file, seen through DuckDB as rows of text columns with a time."""

    def __init__(self, connection: Any, rows: str, rules: Rules) -> None:
        self._connection = connection
        self._judged = _JUDGED.format(rows=rows, repeat=_REPEAT if rules.unique_by else 1)
        self.rules = rules
        self._parameters = {
            "assume_utc": rules.assume_utc,
            "has_key": rules.unique_by is not None,
            "start": start_of(rules.first_day),
            "stop": start_of(datetime.now(UTC).date() + ONE_DAY),
            "touches": [str(touch) for touch in Touch],
            "outcomes": [str(outcome) for outcome in Outcome],
            "with_reason": [str(outcome) for outcome in _WITH_REASON],
            "acknowledged": list(ACKNOWLEDGED_REASONS),
            "label": LABEL_PATTERN.strip("^$"),
        }

    def survey(self) -> Imported:
        """Return what an import of the file would come to."""
        rejected_by: dict[Reason, int] = {}
        by_day: dict[date, int] = {}
        duplicates = 0
        for rejection, day, rows in self._fetched(_SURVEY):
            if rejection is not None:
                rejected_by[_REASONS[rejection]] = rows
            elif day is None:
                duplicates = rows
            else:
                by_day[day] = rows
        if malformed := self._malformed():
            rejected_by[Reason.MALFORMED_ROW] = rejected_by.get(Reason.MALFORMED_ROW, 0) + malformed
        return Imported(
            is_new=True,
            accepted=sum(by_day.values()),
            duplicates=duplicates,
            rejected_by=rejected_by,
            days=tuple(sorted(by_day)),
        )

    def accepted(self) -> Iterator[bytes]:
        """Yield the accepted rows as parts of a CSV file without header, in the columns of the table.

        DuckDB writes them into a pipe, so that no more than the pipe is held in memory.
        """
        readable, writable = os.pipe()

        def write() -> None:
            try:
                self._run(f"COPY ({self._judged}{_ACCEPTED}) TO '/dev/fd/{writable}' (FORMAT csv, HEADER false)")
            except Exception:  # noqa: BLE001, S110 - who counts the rows that arrive knows it
                pass
            finally:
                os.close(writable)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        try:
            with os.fdopen(readable, "rb") as pipe:
                while part := pipe.read1(_PART_BYTES):
                    yield part
        finally:
            # Where nobody reads any more, the pipe is closed by now, and DuckDB ends.
            writer.join()

    def _fetched(self, query: str) -> list[tuple[Any, ...]]:
        try:
            with _reading_progress(self._connection, self.rules):
                return list(self._run(self._judged + query).fetchall())
        except _library("duckdb").Error:
            pass
        raise OpsError(Reason.FILE_UNREADABLE)

    def _run(self, statement: str) -> Any:
        used = {name: value for name, value in self._parameters.items() if f"${name}" in statement}
        return self._connection.execute(statement, used)

    def _malformed(self) -> int:
        """Return how many CSV rows DuckDB passed over because they are none."""
        # Made by `store_rejects`.
        has_rejects = "SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = 'reject_errors'"
        count = "SELECT count(DISTINCT (line, line_byte_position)) FROM reject_errors"
        return int(self._one(count)) if self._one(has_rejects) else 0

    def _one(self, query: str) -> Any:
        return self._connection.sql(query).fetchall()[0][0]


@contextmanager
def _reading_progress(connection: Any, rules: Rules) -> Iterator[None]:
    """Show on a terminal how far DuckDB has come with the statement that runs meanwhile."""
    done = threading.Event()
    with _library("tqdm").tqdm(total=100, unit="%", desc="read", **rules.bar) as bar:

        def watch() -> None:
            while not done.wait(_PROGRESS_SECONDS):
                bar.n = max(0, round(connection.query_progress()))
                bar.refresh()

        watcher = threading.Thread(target=watch, daemon=True)
        if not bar.disable:
            watcher.start()
        try:
            yield
        finally:
            done.set()
            if watcher.is_alive():
                watcher.join()


_REASONS = {reason.value: reason for reason, _ in _REJECTIONS}


@contextmanager
def _reader(path: Path, rules: Rules) -> Iterator[_Reader]:
    """Yield the file's reader; what DuckDB spills to disk goes when the reader does."""
    rows_of = _rows_of(path)
    duckdb = _library("duckdb")
    with tempfile.TemporaryDirectory(prefix="ops_pipeline_") as scratch, duckdb.connect() as connection:
        is_packed = path.suffix.lower() == ".gz"
        # DuckDB takes a path for a pattern: under a name of ours it is one file for sure.
        plain = Path(scratch) / f"events{Path(path.stem if is_packed else path).suffix.lower()}"
        alias = plain.with_name(f"{plain.name}.gz") if is_packed else plain
        if rows_of is not _parquet_rows and _is_not_for_duckdb(path, is_csv=rows_of is _csv_rows):
            alias = plain
            write_plain(path, alias)
        else:
            alias.symlink_to(path.resolve())
        settings = {
            "TimeZone": "UTC",
            "temp_directory": f"{scratch}/spill",
            "autoinstall_known_extensions": False,
            "preserve_insertion_order": False,
            # Counted, but not printed by DuckDB itself.
            "enable_progress_bar": True,
            "enable_progress_bar_print": False,
        }
        for name, value in settings.items():
            connection.execute(f"SET {name} = ?", [value])
        yield _Reader(connection, rows_of(connection, alias, rules), rules)


def _is_not_for_duckdb(path: Path, *, is_csv: bool) -> bool:
    """Check a text file, and return whether DuckDB would not read all of it that is right."""
    is_mixed = has_mixed_ends(path)
    # In CSV it takes one kind of line end, or none of the rules for quotes; in JSON no byte order mark.
    return is_mixed if is_csv else has_mark(path)


def _rows_of(path: Path) -> Callable[[Any, Path, Rules], str]:
    """Return what tells DuckDB how to read a file of this ending. Raises OpsError `unknown_format`."""
    ending = path.suffix.lower()
    is_compressed = ending == ".gz"
    if is_compressed:
        ending = Path(path.stem).suffix.lower()
    if ending not in FORMATS or (is_compressed and ending in _ALREADY_COMPRESSED):
        raise OpsError(Reason.UNKNOWN_FORMAT)
    return FORMATS[ending]


def _selected(columns: Sequence[str], rules: Rules, *, as_text: str = "{}", malformed: str = "false") -> str:
    """Return the select list that gives every format the same columns. `as_text` makes a value text."""
    needed = (*REQUIRED_COLUMNS, rules.unique_by) if rules.unique_by else REQUIRED_COLUMNS
    if set(needed) - set(columns):
        raise OpsError(Reason.MISSING_COLUMNS)

    def value(name: str | None) -> str:
        return as_text.format(_quoted(name)) if name in columns and name is not None else "CAST(NULL AS VARCHAR)"

    return (
        f"{_times(value('occurred_at'))}, {malformed} AS is_malformed, {value('touch')} AS touch,"
        f" {value('outcome')} AS outcome, {value('reason')} AS reason, {value('segment')} AS segment,"
        f" {value(rules.unique_by)} AS unique_key"
    )


def _times(occurred_at: str) -> str:
    return (
        f"TRY_CAST({occurred_at} AS TIMESTAMPTZ) AS occurred,"
        f" regexp_matches(coalesce({occurred_at}, ''), '{_ZONE}') AS has_zone"
    )


def _quoted(name: str | None) -> str:
    return '"' + str(name).replace('"', '""') + '"'


def _csv_rows(_connection: Any, path: Path, rules: Rules) -> str:
    columns = _csv_header(path)
    types = ", ".join(f"{_string(name)}: 'VARCHAR'" for name in columns)
    source = (
        f"read_csv({_string(str(path))}, delim = ',', quote = '\"', escape = '\"', header = true,"
        f" auto_detect = false, columns = {{{types}}}, store_rejects = true, rejects_limit = 0)"
    )
    return f"SELECT {_selected(columns, rules)} FROM {source}"  # noqa: S608 - names quoted


def _string(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _csv_header(path: Path) -> list[str]:
    columns: list[str] = []
    try:
        with (
            opened(path) as file,
            io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="") as lines,
        ):
            columns = next(csv.reader(lines), [])
    except (OSError, ValueError, csv.Error, EOFError):
        columns = []
    # Undecodable bytes became the replacement character: then this is no text.
    if not columns or len(set(columns)) != len(columns) or any("\ufffd" in name for name in columns):
        raise OpsError(Reason.FILE_EMPTY if path.stat().st_size == 0 else Reason.FILE_UNREADABLE)
    return columns


def _jsonl_rows(_connection: Any, path: Path, rules: Rules) -> str:
    names = [*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, *filter(None, [rules.unique_by])]
    paths = {name: _string(f"$.{_quoted(name)}") for name in names}
    fields = ", ".join(f"json_extract_string(json, {paths[name]}) AS {_quoted(name)}" for name in names)
    malformed = "json IS NULL OR json_type(json) <> 'OBJECT'"
    return (
        f"SELECT {_selected(names, rules, malformed='is_no_object')} FROM"  # noqa: S608 - names quoted
        f" (SELECT {malformed} AS is_no_object, {fields}"
        f" FROM read_ndjson_objects({_string(str(path))}, ignore_errors = true))"
    )


def _parquet_rows(connection: Any, path: Path, rules: Rules) -> str:
    types: dict[str, str] = {}
    source = f"read_parquet({_string(str(path))})"
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608 - our own path
        types = {name: kind for name, kind, *_ in described}
    except _library("duckdb").Error:
        pass
    if not types:
        raise OpsError(Reason.FILE_EMPTY if path.stat().st_size == 0 else Reason.FILE_UNREADABLE)
    selected = _selected(list(types), rules, as_text="CAST({} AS VARCHAR)")
    return f"SELECT {selected} FROM {source}"  # noqa: S608 - names quoted


FORMATS = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".ndjson": _jsonl_rows, ".parquet": _parquet_rows}
"""How to read a file, by the ending of its name."""
_ALREADY_COMPRESSED = frozenset({".parquet"})
