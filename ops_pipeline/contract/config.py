"""The configuration file (TOML, named by OPS_CONFIG): thresholds, windows, taxonomy, privacy, schedule, links.

Every key has a default, and an unknown key or impossible value is refused: a typo must not become a default. What is
wrong is said by line, key and what was expected, never by the text that stands there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.files import read_small
from ops_pipeline.contract.rates import RATE_OF, RATES
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import LABEL_PATTERN, ConfigKey
from ops_pipeline.contract.vocabulary import (
    ACKNOWLEDGED_REASONS,
    DISABLED_REASONS,
    FAILED_REASONS,
    HELD_REASONS,
    OTHER,
    SUPPRESSED_REASONS,
    Outcome,
    Reserved,
    Scope,
    SignalName,
)

HISTORY_DAYS = 378
"""Days of counts that a verdict looks back on at most: the 18 weeks that a baseline may reach, the 18 weeks by which
the first of those days is itself judged, and up to 18 weeks more, since blocks of 18 weeks share one beginning."""
COUNTED_DAYS = 91
"""Days that a run counts if they never were: the longest window, and enough for a first baseline."""
LEAST_EVENTS_DAYS = 35
"""Days of events and runs that are always kept: longer than the schedule ever looks back."""
MOST_KEPT_DAYS = 36_500
DEFAULT_RUNS_DAYS = 90
"""Days that Dagster's runs are kept unless configured: as long as a report looks back."""
LEARNED = (*RATE_OF, SignalName.DELIVERED)
"""What is held against its own history."""
LONGEST_WINDOW_DAYS = 35
"""The longest window that is held against a limit."""
SHORT_WINDOW_DAYS = 2
"""The longest window that min_effect is about."""
OFF = "off"
"""How the file switches a limit or a retention off."""


class Expected(StrEnum):
    """What should have stood in the file."""

    FILE = "file"
    """A file that can be read, of at most 1 MiB: no pipe, device or socket."""
    TOML = "toml"
    """Correct TOML."""
    SECTION = "known_section"
    """One of the sections below."""
    KEY = "known_key"
    """One of the keys of that section."""
    TABLE = "table"
    """A table: a section with keys."""
    REQUIRED = "required_key"
    """A key that has no default."""
    FRACTION = "fraction"
    """A number between 0 and 1, both excluded."""
    LIMIT = "fraction_or_off"
    """The same, or `"off"`."""
    NUMBER = "number_in_range"
    """A number within the bounds that the rule names."""
    WHOLE_NUMBER = "whole_number_in_range"
    """A whole number within the bounds that the rule names."""
    DAYS = "days_in_range"
    """A whole number of days within the bounds that the rule names."""
    ASCENDING = "ascending_days"
    """A list of numbers of days, each once, the smallest first."""
    DAY = "day"
    """A day such as 2026-12-24, without quotes."""
    ORDERED = "last_not_before_first"
    """A last day that does not come before the first."""
    LABELS = "list_of_labels"
    """A list of labels, each once, none of them reserved."""
    SIGNAL = "signal"
    """The name of a signal; of `accepted`, one of the rates or `"delivered"`."""
    LABEL = "label"
    """A label: lower case letters, digits and underscores."""
    TOUCH = "touch"
    """`"first"`, `"second"` or `"both"`."""
    LIST = "list"
    """A list of tables."""
    PAGE = "http_address"
    """An http(s) address without user, query or fragment."""
    AT_MOST_DAYS = "at_most_days"
    """No more than `days` of the same section."""
    AT_LEAST_EVENTS_DAYS = "at_least_events_days"
    """No less than `events_days` of the same section."""


def _wrong(expected: Expected, key: str | None = None) -> PydanticCustomError:
    # Of the model where a key is at fault, pydantic knows the place of the model only.
    return PydanticCustomError("expected", "not what was expected", {"expected": expected, "key": key})


def _expects(expected: Expected) -> WrapValidator:
    """Return what makes whatever is wrong with a value say what was expected of it."""

    def validate(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError:
            failure = _wrong(expected)
        raise failure

    return WrapValidator(validate)


def _checked(is_right: Callable[[Any], bool], expected: Expected) -> WrapValidator:
    def validate(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        found = handler(value)
        if not is_right(found):
            raise _wrong(expected)
        return found

    return WrapValidator(validate)


def _off_is_none(value: object) -> object:
    return None if value == OFF else value


def _or_off(schema: dict[str, object]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, {"const": OFF}]})


def _is_unique(values: tuple[object, ...]) -> bool:
    return len(set(values)) == len(values)


def _is_page(address: str) -> bool:
    if not address.isascii() or not address.isprintable() or " " in address:
        return False
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not {"@", "?", "#"} & set(address)
    except ValueError:
        return False


_FRACTION = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
_Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False), _expects(Expected.FRACTION)]
_Limit = Annotated[
    float | None,
    Field(gt=0, lt=1, allow_inf_nan=False),
    _expects(Expected.LIMIT),
    BeforeValidator(_off_is_none),
    _or_off(_FRACTION),
]
_Majority = Annotated[float, Field(gt=0.5, lt=1, allow_inf_nan=False), _expects(Expected.NUMBER)]
_Effect = Annotated[float, Field(gt=1, lt=100, allow_inf_nan=False), _expects(Expected.NUMBER)]
_Cells = Annotated[int, Field(ge=1, le=1000), _expects(Expected.WHOLE_NUMBER)]
_Touch = Annotated[Scope, Field(strict=False), _expects(Expected.TOUCH)]
_Day = Annotated[date, _expects(Expected.DAY)]
_Word = Annotated[str, Field(pattern=LABEL_PATTERN)]
_Label = Annotated[str | None, Field(pattern=LABEL_PATTERN), _expects(Expected.LABEL)]
_RESERVED_REASONS = frozenset(Reserved)
_Reasons = Annotated[
    tuple[_Word, ...],
    Field(strict=False, json_schema_extra={"uniqueItems": True}),
    _checked(lambda words: _is_unique(words) and not _RESERVED_REASONS & set(words), Expected.LABELS),
    _expects(Expected.LABELS),
]
_Segments = Annotated[
    tuple[_Word, ...],
    Field(strict=False, json_schema_extra={"uniqueItems": True}),
    _checked(lambda words: _is_unique(words) and not {*_RESERVED_REASONS, OTHER} & set(words), Expected.LABELS),
    _expects(Expected.LABELS),
]


_Page = Annotated[
    str | None,
    _checked(lambda address: address is None or _is_page(address), Expected.PAGE),
    _expects(Expected.PAGE),
]


def _kept(least: int) -> Any:
    """Return the type of a number of days that something is kept, or None for ever."""
    schema = {"type": "integer", "minimum": least, "maximum": MOST_KEPT_DAYS}
    days = Field(ge=least, le=MOST_KEPT_DAYS)
    return Annotated[int | None, days, _expects(Expected.DAYS), BeforeValidator(_off_is_none), _or_off(schema)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Planned(_Section):
    """Days of a planned event, such as maintenance: left out of baseline and verdict, shown as planned."""

    first: _Day
    last: _Day
    touch: _Touch = Scope.BOTH

    @model_validator(mode="after")
    def _is_in_order(self) -> Planned:
        if self.first > self.last:
            raise _wrong(Expected.ORDERED, "last")
        return self


class Accepted(_Section):
    """A new level that was decided to be right: what came before it is no baseline any more."""

    since: _Day
    signal: Annotated[
        SignalName,
        Field(strict=False, json_schema_extra={"enum": [str(name) for name in LEARNED]}),
        _checked(lambda signal: signal in LEARNED, Expected.SIGNAL),
        _expects(Expected.SIGNAL),
    ]
    touch: _Touch = Scope.BOTH

    def covers(self, touch: str, signal: str) -> bool:
        """Return whether this is about that series."""
        return self.signal == signal and self.touch in (Scope.BOTH, touch)


# Made from the table of rates: one key for each of them, with its usual limit.
_LIMITS: dict[str, Any] = {rate.name.value: (_Limit, rate.limit) for rate in RATES}
Limits: Any = create_model("Limits", __base__=_Section, **_LIMITS)


class Thresholds(Limits):  # type: ignore[misc]
    """What the watchdog calls unhealthy. Rates are fractions of 1; raises ValueError for an impossible value.

    Each rate has its limit under its name: `hold_rate=0.35`; None (in the file: `"off"`) is no limit.
    """

    first: Limits = Limits()
    """Limits of the first touch, where they are not the common ones."""
    second: Limits = Limits()
    """Limits of the second touch, where they are not the common ones."""
    window_days: Annotated[int, Field(ge=1, le=LONGEST_WINDOW_DAYS), _expects(Expected.DAYS)] = 7
    """Days, ending with the day in question, whose counts are held against the limits."""
    confidence: _Majority = 0.999
    """One-sided confidence of the Wilson bound that must lie beyond a limit before it is called unhealthy."""
    power: _Majority = 0.80
    """Chance with which a volume must show a real problem before it counts as enough to judge."""
    fa_per_year: Annotated[float, Field(gt=0, lt=100, allow_inf_nan=False), _expects(Expected.NUMBER)] = 0.5
    """False alarms a year that all comparisons with history may cause together."""
    min_effect: _Effect = 1.5
    """How many times the expected rate a window of one or two days must have (where low is bad: 1 / that)."""
    min_effect_week: _Effect = 1.3
    """The same for windows of a week and longer."""
    min_events: Annotated[int, Field(ge=1, le=10_000), _expects(Expected.WHOLE_NUMBER)] = 5
    """Events that a high rate must at least consist of, or that a low one must at least lack."""
    max_unusable: _Fraction = 0.01
    """Highest acceptable share of reasons that are no label, not declared, or missing."""
    planned: Annotated[tuple[Planned, ...], Field(strict=False)] = ()
    """Planned events."""
    accepted: Annotated[tuple[Accepted, ...], Field(strict=False)] = ()
    """New levels that were decided to be right."""

    def limit(self, touch: str, name: str) -> float | None:
        """Return the limit of a rate of one touch; None: it has none."""
        own = getattr(self, touch)
        limit: float | None = getattr(own if name in own.model_fields_set else self, name)
        return limit

    def effect(self, window_days: int) -> float:
        """Return how many times the expected rate a window of so many days must at least have."""
        return self.min_effect if window_days <= SHORT_WINDOW_DAYS else self.min_effect_week


class Windows(_Section):
    """The windows that are reported, in days, each ending with the day in question."""

    days: Annotated[
        tuple[Annotated[int, Field(ge=2, le=COUNTED_DAYS - 1)], ...],
        Field(strict=False, min_length=1),
        _checked(lambda days: list(days) == sorted(set(days)), Expected.ASCENDING),
        _expects(Expected.ASCENDING),
    ] = (7, 30)
    """Windows beside the day itself, the shortest first."""


class Taxonomy(_Section):
    """The reasons a deployment declares, for each outcome that needs one, and its segments."""

    held: _Reasons = HELD_REASONS
    """Reasons of `held`."""
    suppressed: _Reasons = SUPPRESSED_REASONS
    """Reasons of `suppressed`."""
    disabled: _Reasons = DISABLED_REASONS
    """Reasons of `disabled`."""
    failed: _Reasons = FAILED_REASONS
    """Reasons of `failed`."""
    segments: _Segments = ()
    """Segments whose deliveries are broken down, such as the channels; what is not declared is never named."""

    @property
    def reasons(self) -> Mapping[Outcome, tuple[str, ...]]:
        """The declared reasons of every outcome that requires a reason; acknowledgements are fixed."""
        return {
            Outcome.HELD: self.held,
            Outcome.SUPPRESSED: self.suppressed,
            Outcome.DISABLED: self.disabled,
            Outcome.FAILED: self.failed,
            Outcome.ACKNOWLEDGED: ACKNOWLEDGED_REASONS,
        }


class Privacy(_Section):
    """What keeps identifiers out."""

    max_segments: _Cells = 50
    """More distinct segments than this on one day are no segments; the day is counted without them."""
    min_cell: _Cells = 10
    """A segment with fewer deliveries on a day is not named; it is folded into the others. 1: all are named."""


class Schedule(_Section):
    """Which days the daily schedule asks for."""

    days: Annotated[int, Field(ge=1, le=31), _expects(Expected.DAYS)] = 7
    """How many complete days back a day is run if it was missed or its run failed."""
    late_days: Annotated[int, Field(ge=0, le=31), _expects(Expected.DAYS)] = 3
    """How many complete days back a day is run again once a day, because events may arrive late."""
    shrink: _Fraction = 0.02
    """A counted day of which the source has lost a larger share of the events keeps its counts."""

    @model_validator(mode="after")
    def _is_within(self) -> Schedule:
        if self.late_days > self.days:
            raise _wrong(Expected.AT_MOST_DAYS, "late_days")
        return self


class Retention(_Section):
    """How many days things are kept, the last complete day included. `"off"`: for ever."""

    events_days: _kept(LEAST_EVENTS_DAYS) = None  # type: ignore[valid-type]
    """Events in `ops.delivery_events`: older days that are counted are dropped whole."""
    counts_days: _kept(HISTORY_DAYS) = None  # type: ignore[valid-type]
    """Counts, figures and verdicts: older days are deleted, and cannot be asked for any more."""
    runs_days: _kept(LEAST_EVENTS_DAYS) = DEFAULT_RUNS_DAYS  # type: ignore[valid-type]
    """Dagster's runs with their events: older ones are deleted, their days stay shown as done."""

    @model_validator(mode="after")
    def _keeps_counts_longer(self) -> Retention:
        if self.counts_days is not None and self.counts_days < (self.events_days or 0):
            raise _wrong(Expected.AT_LEAST_EVENTS_DAYS, "counts_days")
        return self

    @property
    def is_set(self) -> bool:
        """Whether anything is ever dropped."""
        return any(days is not None for days in (self.events_days, self.counts_days, self.runs_days))


def first_kept(last: date, days: int | None) -> date | None:
    """Return the first of the `days` days that end with `last`; None: all days are kept."""
    return None if days is None else last - timedelta(days=days - 1)


class Service(_Section):
    """What is watched."""

    name: _Label = None
    """Its name: alerts begin with it, and receivers tell the alarms of several services apart by it."""


class Mute(_Section):
    """A signal that nobody is told of for some time: it is judged and shown as ever."""

    signal: Annotated[SignalName, Field(strict=False), _expects(Expected.SIGNAL)]
    touch: _Touch = Scope.BOTH
    last: _Day
    """The last UTC day of the mute."""

    def covers(self, touch: str, signal: str, day: date) -> bool:
        """Return whether a signal of a touch is muted on `day`."""
        return self.signal == signal and self.touch in (Scope.BOTH, touch) and day <= self.last


class Alerts(_Section):
    """What people are told."""

    blind_days: Annotated[int, Field(ge=1, le=31), _expects(Expected.DAYS)] = 3
    """Days in a row without enough data to judge, after which people are told that nobody knows."""
    remind_days: Annotated[int, Field(ge=0, le=365), _expects(Expected.DAYS)] = 7
    """Days after which people are reminded of what is still so. 0: never."""
    mute: Annotated[tuple[Mute, ...], Field(strict=False)] = ()
    """Signals that nobody is told of for some time."""

    def muted_until(self, touch: str, signal: str, day: date) -> date | None:
        """Return the last day of the mute that covers a signal of a touch on `day`; None: it is not muted."""
        return max((mute.last for mute in self.mute if mute.covers(touch, signal, day)), default=None)


class Links(_Section):
    """Where people are sent."""

    runbook: _Page = None
    """Address of the operator runbook as you publish it: checks and alerts link to what it says of their reason."""
    report: _Page = None
    """Address of the report as you publish it: alerts link to it."""

    def of(self, reason: Reason) -> str | None:
        """Return the address of what the runbook says of `reason`; None: no runbook is named."""
        return None if self.runbook is None else f"{self.runbook}#{reason}"


class Config(_Section):
    """The whole configuration, section by section."""

    thresholds: Thresholds = Thresholds()
    windows: Windows = Windows()
    taxonomy: Taxonomy = Taxonomy()
    privacy: Privacy = Privacy()
    schedule: Schedule = Schedule()
    retention: Retention = Retention()
    service: Service = Service()
    alerts: Alerts = Alerts()
    links: Links = Links()


SECTIONS: Mapping[str, type[_Section]] = {
    "thresholds": Thresholds,
    "windows": Windows,
    "taxonomy": Taxonomy,
    "privacy": Privacy,
    "schedule": Schedule,
    "retention": Retention,
    "service": Service,
    "alerts": Alerts,
    "links": Links,
}
_MODELS: tuple[type[_Section], ...] = (Config, *SECTIONS.values(), Planned, Accepted, Mute)
_KEYS = frozenset(key for model in _MODELS for key in model.model_fields)
"""Every word that a key may be: what stands in a file is named only where it is one of them."""

_MOST_BYTES = 1 << 20
_OF_TYPE = {
    "missing": Expected.REQUIRED,
    "model_type": Expected.TABLE,
    "dict_type": Expected.TABLE,
    "tuple_type": Expected.LIST,
}


def parse_config(document: Mapping[str, Any]) -> Config:
    """Return the configuration that a parsed TOML document declares. Raises ValueError where it is none."""
    return Config.model_validate(document)


def load_config(path: Path) -> Config:
    """Return the configuration in the TOML file at `path`.

    Raises OpsError `invalid_config` with `line` (from 1), `key` and `expected`, as far as they are known.
    """
    line, key, expected = None, None, Expected.FILE
    try:
        text = read_small(path, _MOST_BYTES).decode()
        expected = Expected.TOML
        return parse_config(tomllib.loads(text))
    except ValidationError as error:
        line, key, expected = min(_faults(error, text), key=lambda fault: fault[0] or 0)
    except tomllib.TOMLDecodeError as error:
        line = _line_in(error) or len(text.splitlines())
    except (OSError, ValueError, RecursionError):
        pass
    raise OpsError(Reason.INVALID_CONFIG, line=line, key=key, expected=expected)


def _line_in(error: tomllib.TOMLDecodeError) -> int | None:
    """Return the line that is at fault: the number is all that is read of the text."""
    found = re.search(r"at line ([0-9]+), column", str(error))
    return int(found[1]) if found else None


def _faults(error: ValidationError, text: str) -> Iterator[tuple[int | None, ConfigKey | None, Expected]]:
    """Yield the line, the key and what was expected, of each fault: of the text itself nothing is read."""
    for fault in error.errors(include_url=False, include_input=False):
        place, kind, given = fault["loc"], fault["type"], fault.get("ctx", {})
        if kind == "extra_forbidden":
            expected = Expected.KEY if len(place) > 1 else Expected.SECTION
        else:
            expected = given["expected"] if kind == "expected" else _OF_TYPE.get(kind, Expected.REQUIRED)
        if given.get("key"):
            place = (*place, given["key"])
        words = [str(part) for part in place if part in _KEYS]
        yield _line_of(text, place), ConfigKey(".".join(words)) if words else None, expected


def _line_of(text: str, place: tuple[str | int, ...]) -> int | None:
    """Return the line on which the statement begins that brings what stands at `place`; None: none does.

    A file is a TOML document after each whole statement, so that the first such beginning that has the place tells.
    """
    lines = text.splitlines()
    # The parts that are there: of a key that is missing, its table.
    while place:
        begins: int | None = None
        for number, line in enumerate(lines, start=1):
            if begins is None and line.strip() and not line.lstrip().startswith("#"):
                begins = number
            try:
                document = tomllib.loads("\n".join(lines[:number]))
            except ValueError:
                continue
            if _is_at(document, place):
                return begins
            begins = None
        place = place[:-1]
    return None


def _is_at(document: Any, place: tuple[str | int, ...]) -> bool:
    for part in place:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
