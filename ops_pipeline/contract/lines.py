"""Lines that cannot carry text: the one way in which anything is said to an operator.

A line is `<name> key=value ...`. A value is a number, an ISO date, a member of an enum declared in code, a `Label`,
an SQLSTATE, or a group of those; there is no way to put other text in. This module is the only one that prints.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from datetime import date
from enum import IntEnum, StrEnum

from ops_pipeline.contract.vocabulary import Label, SqlState

NONE = "none"
"""How an absent value reads: a rate without a denominator is absent, never 0."""

_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


class ExitCode(IntEnum):
    """The exit codes of every tool."""

    OK = 0
    FAILED = 1
    NOT_HEALTHY = 2


class LineName(StrEnum):
    """The first token of every line there is."""

    DB_BOOTSTRAP = "db_bootstrap"
    DB_BOOTSTRAP_DRY_RUN = "db_bootstrap_dry_run"
    DB_VERIFY = "db_verify"
    DEMO = "demo"
    EVENTS_IMPORT = "events_import"
    EVENTS_IMPORT_REJECTED = "events_import_rejected"
    EVENTS_SAMPLE = "events_sample"
    OPS_CI_NORMALIZE = "ops_ci_normalize"
    OPS_DAILY = "ops_daily"
    OPS_DAILY_RATES = "ops_daily_rates"
    OPS_DAILY_SECOND_TOUCH = "ops_daily_second_touch"
    OPS_DAILY_SIGNAL = "ops_daily_signal"
    OPS_DAILY_TOTALS = "ops_daily_totals"
    OPS_DAILY_WATCHDOG = "ops_daily_watchdog"
    OPS_METRICS_SNAPSHOT = "ops_metrics_snapshot"
    OPS_PIPELINE = "ops_pipeline"
    PROD_CONFIG = "prod_config"
    UI = "ui"


def _plain(value: object) -> object:
    """Return `value` as JSON can hold it; raise TypeError for whatever may not stand in a line."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Label | SqlState):
        return str(value)
    if isinstance(value, date) and type(value) is date:
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, Label) and type(count) is int for key, count in value.items()):
            raise TypeError("a group in a line maps labels to counts")
        return {str(key): count for key, count in value.items()}
    raise TypeError("a line cannot carry this type")


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


class Line:
    """One line, checked when it is made. Raises TypeError for a value that could carry text."""

    def __init__(self, name: LineName, /, **fields: object) -> None:
        if not isinstance(name, LineName) or not all(_KEY.match(key) for key in fields):
            raise TypeError("a line's name and keys are declared words")
        self.name = name
        self.fields = {key: _plain(value) for key, value in fields.items()}

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{key}={_text(value)}" for key, value in self.fields.items())])

    def as_json(self) -> str:
        """Return the same fields as one JSON object on one line, the line's name under `line`."""
        return json.dumps({"line": self.name.value, **self.fields}, separators=(",", ":"))


class Snapshot(Line):
    """The run's figures for machines: `ops_metrics_snapshot {...}`, the same checks at every depth."""

    def __init__(self, document: Mapping[str, object]) -> None:
        super().__init__(LineName.OPS_METRICS_SNAPSHOT)
        self.fields = _nested(document)

    def __str__(self) -> str:
        return f"{self.name} {json.dumps(self.fields, separators=(',', ':'))}"


def _nested(document: Mapping[str, object]) -> dict[str, object]:
    if not all(_KEY.match(key) for key in document):
        raise TypeError("a snapshot's keys are declared words")
    return {key: _nested_value(value) for key, value in document.items()}


def _nested_value(value: object) -> object:
    if isinstance(value, Mapping):
        return _nested(value)
    if isinstance(value, list | tuple):
        return [_nested_value(item) for item in value]
    plain = _plain(value)
    return round(plain, 6) if isinstance(plain, float) else plain


def emit(line: Line, *, as_json: bool = False) -> None:
    """Print `line` on standard output. A reader that has gone away ends the output, not the program."""
    try:
        sys.stdout.write(f"{line.as_json() if as_json else line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
