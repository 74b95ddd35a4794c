"""Lines that cannot carry text: the one way in which anything is said to an operator.

A line is `<name> key=value ...`. A value is a number, an ISO date, a member of an enum declared in code, a `Token` of
a fixed shape, or a group of those; there is no way to put other text in. This module is the only one that prints.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import IntEnum, StrEnum

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label, SmallCell, SqlState, Token, is_label

NONE = "none"
"""How an absent value reads: a rate without a denominator is absent, never 0."""


class ExitCode(IntEnum):
    """The exit codes of every tool."""

    OK = 0
    FAILED = 1
    NOT_HEALTHY = 2


class NagiosState(IntEnum):
    """The exit codes of a monitoring plugin (https://www.monitoring-plugins.org/doc/guidelines.html)."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


_STATES = {
    "ok": NagiosState.OK,
    "healthy": NagiosState.OK,
    "insufficient_data": NagiosState.WARNING,
    "unhealthy": NagiosState.CRITICAL,
    "not_configured": NagiosState.UNKNOWN,
}


class LineName(StrEnum):
    """The first token of every line there is."""

    ALERT = "alert"
    ALERTS = "alerts"
    BACKFILL = "backfill"
    BACKFILL_DAYS = "backfill_days"
    DB_BOOTSTRAP = "db_bootstrap"
    DB_BOOTSTRAP_DRY_RUN = "db_bootstrap_dry_run"
    DB_VERIFY = "db_verify"
    DEMO = "demo"
    DOCTOR = "doctor"
    DOCTOR_ALERTS = "doctor_alerts"
    DOCTOR_DAGSTER = "doctor_dagster"
    DOCTOR_DATABASE = "doctor_database"
    DOCTOR_DAYS = "doctor_days"
    DOCTOR_FAULT = "doctor_fault"
    DOCTOR_ENVIRONMENT = "doctor_environment"
    DOCTOR_VERSIONS = "doctor_versions"
    EVENTS_IMPORT = "events_import"
    EVENTS_IMPORT_REJECTED = "events_import_rejected"
    EVENTS_SAMPLE = "events_sample"
    GITHUB_ISSUE = "github_issue"
    GITHUB_RUN = "github_run"
    GITHUB_SCHEDULE = "github_schedule"
    METRICS = "metrics"
    OPS_CI_NORMALIZE = "ops_ci_normalize"
    OPS_DAILY = "ops_daily"
    OPS_DAILY_FAULT = "ops_daily_fault"
    OPS_DAILY_HEARTBEAT = "ops_daily_heartbeat"
    OPS_DAILY_RATES = "ops_daily_rates"
    OPS_DAILY_SECOND_TOUCH = "ops_daily_second_touch"
    OPS_DAILY_SEGMENTS = "ops_daily_segments"
    OPS_DAILY_SIGNAL = "ops_daily_signal"
    OPS_DAILY_TOTALS = "ops_daily_totals"
    OPS_DAILY_WATCHDOG = "ops_daily_watchdog"
    OPS_METRICS_SNAPSHOT = "ops_metrics_snapshot"
    OPS_PIPELINE = "ops_pipeline"
    PROD_CONFIG = "prod_config"
    PROD_VERIFY = "prod_verify"
    REPORT = "report"
    RETENTION = "retention"
    RETENTION_EXPIRED = "retention_expired"
    SECRET_ECHO_GUARD = "secret_echo_guard"  # noqa: S105 - a name
    SECRET_ECHO_GUARD_FINDING = "secret_echo_guard_finding"  # noqa: S105 - a name
    SELFTEST = "selftest"
    UI = "ui"
    WATCHDOG_EXPLAIN = "watchdog_explain"
    WATCHDOG_EXPLAIN_LEAK = "watchdog_explain_leak"
    WATCHDOG_EXPLAIN_LIMIT = "watchdog_explain_limit"
    WATCHDOG_EXPLAIN_REASONS = "watchdog_explain_reasons"
    WATCHDOG_EXPLAIN_SIGNAL = "watchdog_explain_signal"
    WATCHDOG_EXPLAIN_WINDOW = "watchdog_explain_window"
    WATCHDOG_REPLAY = "watchdog_replay"
    WATCHDOG_REPLAY_DAYS = "watchdog_replay_days"
    WATCHDOG_REPLAY_DIFFERENCE = "watchdog_replay_difference"
    WATCHDOG_REPLAY_EPISODE = "watchdog_replay_episode"


def _plain(value: object) -> object:
    """Return `value` as JSON can hold it; raise TypeError for whatever may not stand in a line."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Token):
        return str(value)
    if _is_date(value):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, Label) and type(count) is int for key, count in value.items()):
            raise TypeError("a group in a line maps labels to counts")
        return {str(key): count for key, count in value.items()}
    raise TypeError("a line cannot carry this type")


def _is_date(value: object) -> bool:
    # Where nothing has imported datetime, nothing is a date; importing it costs a thirtieth of the start.
    datetime = sys.modules.get("datetime")
    return datetime is not None and type(value) is datetime.date


def _text(plain: object) -> str:
    match plain:
        case None:
            return NONE
        case bool():
            return "yes" if plain else "no"
        case float():
            return f"{plain:.4f}"
        case list():
            return ",".join(_text(item) for item in plain) or NONE
        case dict():
            return ",".join(f"{key}:{count}" for key, count in plain.items()) or NONE
        case _:
            return str(plain)


def as_text(value: object) -> str:
    """Return how a value reads in a line. Raises TypeError for whatever may not stand in one."""
    return _text(_plain(value))


class Line:
    """One line, checked when it is made. Raises TypeError for a value that could carry text."""

    def __init__(self, name: LineName, /, **fields: object) -> None:
        if not isinstance(name, LineName) or not all(map(is_label, fields)):
            raise TypeError("a line's name and keys are declared words")
        self.name = name
        self.fields = {key: _plain(value) for key, value in fields.items()}

    def __str__(self) -> str:
        return f"{self.name} {_fields(self)}".rstrip()

    def as_json(self) -> str:
        """Return the same fields as one JSON object on one line, the line's name under `line`."""
        import json

        return json.dumps({"line": self.name.value, **self.fields}, separators=(",", ":"))


def wait_line(reason: StrEnum, **fields: object) -> Line:
    """Return the line that says that something is waited for."""
    return Line(LineName.OPS_PIPELINE, status=Label("waiting"), reason=reason, **fields)


# Not versions and ids of revisions: an address of a machine reads like the one, a key like the other.
_KINDS = (Label, SmallCell, SqlState)
# The count of a word, a number, a day, the name of a variable.
_PART = r"[a-z][a-z0-9_]{0,39}:-?[0-9]+|-?[0-9]+(\.[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}|[A-Z]+(_[A-Z]+)+"


class ParsedLine(Line):
    """A line that another process said. Raises ValueError, without repeating the text, unless it reads as one."""

    def __init__(self, text: str) -> None:
        name, *pairs = text.split(" ")
        fields = [pair.partition("=") for pair in pairs]
        if name not in list(LineName) or not all(is_label(key) and _is_value(value) for key, _, value in fields):
            raise ValueError("not a line")
        self.name = LineName(name)
        self.fields = {key: value for key, _, value in fields}

    @classmethod
    def or_none(cls, text: str) -> ParsedLine | None:
        """Return `text` as a line that was said, or None where it is none."""
        try:
            return cls(text)
        except ValueError:
            return None


def _is_value(text: str) -> bool:
    return all(re.fullmatch(_PART, part) or any(kind.or_none(part) for kind in _KINDS) for part in text.split(","))


class Snapshot(Line):
    """The run's figures for machines: `ops_metrics_snapshot {...}`, the same checks at every depth."""

    def __init__(self, document: Mapping[str, object]) -> None:
        super().__init__(LineName.OPS_METRICS_SNAPSHOT)
        self.fields = _nested(document)

    def __str__(self) -> str:
        import json

        return f"{self.name} {json.dumps(self.fields, separators=(',', ':'))}"


def _nested(document: Mapping[str, object]) -> dict[str, object]:
    if not all(map(is_label, document)):
        raise TypeError("a snapshot's keys are declared words")
    return {key: _nested_value(value) for key, value in document.items()}


def _nested_value(value: object) -> object:
    if isinstance(value, Mapping):
        return _nested(value)
    if isinstance(value, list | tuple):
        return [_nested_value(item) for item in value]
    plain = _plain(value)
    return round(plain, 6) if isinstance(plain, float) else plain


class Measure:
    """A figure for graphs: `label=value;;critical;min;max`. Limits are absent where there are none."""

    def __init__(
        self,
        label: Label,
        value: float | None,
        *,
        critical: float | None = None,
        is_lowest: bool = False,
        highest: float | None = None,
    ) -> None:
        self.label = label
        self.value = value
        self.critical = critical
        self.is_lowest = is_lowest
        self.highest = highest

    def __str__(self) -> str:
        # A range `limit:` alerts below it, a plain limit above it; an unknown value is U.
        limit = "" if self.critical is None else f"{_text(self.critical)}{':' if self.is_lowest else ''}"
        highest = "" if self.highest is None else _text(self.highest)
        return f"{self.label}={'U' if self.value is None else _text(self.value)};;{limit};0;{highest}"


def _fields(line: Line) -> str:
    return " ".join(f"{key}={_text(value)}" for key, value in line.fields.items())


def _perfdata(measures: Iterable[Measure]) -> str:
    found = " ".join(map(str, measures))
    return f" | {found}" if found else ""


class Format(StrEnum):
    """How a tool's lines are written."""

    LINE = "line"
    JSON = "json"
    NAGIOS = "nagios"
    """One line, perfdata and exit code as monitoring plugins have them: only the line that decides."""
    PROM = "prom"
    """The text format of Prometheus; lines are comments in it."""


class Output:
    """Where a tool's lines go: standard output, in one format; with `is_quiet` a success says nothing."""

    def __init__(
        self, form: Format = Format.LINE, *, is_quiet: bool = False, failure: NagiosState = NagiosState.UNKNOWN
    ) -> None:
        self.form = form
        self.is_quiet = is_quiet
        self._failure = failure
        self._tries = 1

    def write(self, line: Line) -> None:
        """Print a line on the way to the one that decides."""
        if not self.is_quiet and self.form is not Format.NAGIOS:
            self._print(line)

    def write_samples(self, samples: str) -> None:
        """Print what `exposition` returns."""
        _write(samples.rstrip("\n"))

    def say_wait(self, reason: StrEnum, **fields: object) -> None:
        """Print on standard error that something is waited for; the line that decides says how often it was tried."""
        tries = fields.get("tries")
        self._tries = max(self._tries, tries if isinstance(tries, int) else 1)
        if not self.is_quiet:
            _write_aside(str(wait_line(reason, **fields)))

    def warn(self, line: Line) -> None:
        """Print a line so that GitHub shows it above the log of the run, whatever the format."""
        _write(f"::warning::{line}")

    def finish(self, line: Line, exit_code: int = ExitCode.OK, measures: Iterable[Measure] = ()) -> int:
        """Print the line that decides and return the exit code that the format wants."""
        if self._tries > 1:
            line.fields["tries"] = self._tries
        if self.form is Format.NAGIOS:
            state = self._state(line)
            _write(f"{line.name.upper()} {state.name} - {_fields(line)}{_perfdata(measures)}")
            return state
        if not self.is_quiet or exit_code != ExitCode.OK:
            self._print(line)
        return exit_code

    def _print(self, line: Line) -> None:
        comment = "# " if self.form is Format.PROM else ""
        _write(line.as_json() if self.form is Format.JSON else f"{comment}{line}")

    def _state(self, line: Line) -> NagiosState:
        if line.fields.get("status") == "fail":
            # Whoever asked wrongly learnt nothing about what is watched.
            return NagiosState.UNKNOWN if line.fields.get("reason") == "usage" else self._failure
        if line.fields.get("status") == "ok" and line.fields.get("warnings"):
            return NagiosState.WARNING
        return _STATES[str(line.fields["status"])]


def _write(text: str) -> None:
    """Print one line."""
    write_text(f"{text}\n")


def write_text(text: str) -> None:
    """Print text of our own. A reader that has gone away, or that never was, ends the output, not the program.

    Raises OpsError `file_not_written` where it is lost although somebody wants it, such as on a full disk.
    """
    # None: whoever started the process has closed it.
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        is_unwanted = isinstance(error, BrokenPipeError)
        # What is left in the buffer goes there, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        return
    if not is_unwanted:
        raise OpsError(Reason.FILE_NOT_WRITTEN)


def _write_aside(text: str) -> None:
    """Print a line on standard error, if there is any."""
    with suppress(OSError, AttributeError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
