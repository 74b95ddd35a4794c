"""The configuration file (TOML, named by OPS_CONFIG): thresholds, windows, taxonomy, privacy, schedule, links.

Every key has a default, and an unknown key or impossible value is refused: a typo must not become a default.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
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
)
from ops_pipeline.contract.words import is_label

HISTORY_DAYS = 252
"""Days of counts that a verdict looks back on: the 18 weeks that a baseline may reach, and the 18 weeks by which the
first of those days is itself judged."""
COUNTED_DAYS = 91
"""Days that a run counts if they never were: the longest window, and enough for a first baseline."""
LEAST_EVENTS_DAYS = 35
"""Days of events and runs that are always kept: longer than the schedule ever looks back."""
MOST_KEPT_DAYS = 36_500
LIMITED = ("hold_rate", "suppression_rate", "failure_rate", "positive_rate")
"""What can have a limit."""
LEARNED = (*LIMITED, "delivered")
"""What is held against its own history."""
SHORT_WINDOW_DAYS = 2
"""The longest window that min_effect is about."""


def _is_between(number: object, low: float, high: float) -> bool:
    if not isinstance(number, int | float) or isinstance(number, bool):
        return False
    return math.isfinite(number) and low < number < high


def _is_day(value: object) -> bool:
    return type(value) is date


def _is_page(address: object) -> bool:
    if not isinstance(address, str) or not address.isascii() or not address.isprintable() or " " in address:
        return False
    parts = urlsplit(address)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not {"@", "?", "#"} & set(address)


def _is_whole_between(number: object, low: int, high: int) -> bool:
    return type(number) is int and low <= number <= high


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Days of a planned event, such as maintenance: left out of baseline and verdict, shown as planned."""

    first: date
    last: date
    touch: Scope = Scope.BOTH

    def __post_init__(self) -> None:
        if not _is_day(self.first) or not _is_day(self.last) or self.first > self.last:
            raise ValueError("a planned event has a first day and a last day, in this order")
        object.__setattr__(self, "touch", Scope(self.touch))


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A new level that was decided to be right: what came before it is no baseline any more."""

    since: date
    signal: str
    touch: Scope = Scope.BOTH

    def __post_init__(self) -> None:
        if not _is_day(self.since) or self.signal not in LEARNED:
            raise ValueError("an accepted level has a day and the name of a learned signal")
        object.__setattr__(self, "touch", Scope(self.touch))

    def covers(self, touch: str, signal: str) -> bool:
        """Return whether this is about that series."""
        return self.signal == signal and self.touch in (Scope.BOTH, touch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What the watchdog calls unhealthy. Rates are fractions of 1; raises ValueError for an impossible value."""

    hold_rate: float | None = 0.35
    """Highest acceptable n(held) / n(attempted). None (in the file: `"off"`): no limit."""
    suppression_rate: float | None = 0.60
    """Highest acceptable n(suppressed) / (n(offered) + n(suppressed)). None: no limit."""
    failure_rate: float | None = None
    """Highest acceptable n(failed) / (n(delivered) + n(failed)). None: no limit."""
    positive_rate: float | None = 0.20
    """Lowest acceptable n(acknowledged, positive) / n(delivered). None: no limit."""
    first: Mapping[str, float | None] = field(default_factory=dict)
    """Limits of the first touch, where they are not the common ones."""
    second: Mapping[str, float | None] = field(default_factory=dict)
    """Limits of the second touch, where they are not the common ones."""
    window_days: int = 7
    """Days, ending with the day in question, whose counts are held against the limits."""
    confidence: float = 0.999
    """One-sided confidence of the Wilson bound that must lie beyond a limit before it is called unhealthy."""
    power: float = 0.80
    """Chance with which a volume must show a real problem before it counts as enough to judge."""
    fa_per_year: float = 0.5
    """False alarms a year that all comparisons with history may cause together."""
    min_effect: float = 1.5
    """How many times the expected rate a window of one or two days must have (where low is bad: 1 / that)."""
    min_effect_week: float = 1.3
    """The same for windows of a week and longer."""
    min_events: int = 5
    """Events that a high rate must at least consist of, or that a low one must at least lack."""
    max_unusable: float = 0.01
    """Highest acceptable share of reasons that are no label, not declared, or missing."""
    planned: tuple[Planned, ...] = ()
    """Planned events."""
    accepted: tuple[Accepted, ...] = ()
    """New levels that were decided to be right."""

    def __post_init__(self) -> None:
        for limits in (self.first, self.second):
            if not isinstance(limits, Mapping) or limits.keys() - set(LIMITED):
                raise ValueError("a touch has limits of its own for rates only")
        for limit in (*(getattr(self, name) for name in LIMITED), *self.first.values(), *self.second.values()):
            if limit is not None and not _is_between(limit, 0, 1):
                raise ValueError("a limit is a fraction between 0 and 1")
        if not _is_whole_between(self.window_days, 1, 35):
            raise ValueError("window_days is a whole number from 1 to 35")
        if not _is_between(self.confidence, 0.5, 1) or not _is_between(self.power, 0.5, 1):
            raise ValueError("confidence and power lie between 0.5 and 1")
        if not _is_between(self.fa_per_year, 0, 100):
            raise ValueError("fa_per_year lies between 0 and 100")
        if not _is_between(self.min_effect, 1, 100) or not _is_between(self.min_effect_week, 1, 100):
            raise ValueError("a minimum effect lies between 1 and 100")
        if not _is_whole_between(self.min_events, 1, 10_000) or not _is_between(self.max_unusable, 0, 1):
            raise ValueError("min_events is a whole number of at least 1, max_unusable a fraction")
        if not all(isinstance(one, Planned) for one in self.planned):
            raise ValueError("a planned event has a first day and a last day, in this order")
        if not all(isinstance(one, Accepted) for one in self.accepted):
            raise ValueError("an accepted level has a day and the name of a learned signal")

    def limit(self, touch: str, name: str) -> float | None:
        """Return the limit of a rate of one touch; None: it has none."""
        own: Mapping[str, float | None] = getattr(self, touch)
        common: float | None = getattr(self, name)
        return own.get(name, common)

    def effect(self, window_days: int) -> float:
        """Return how many times the expected rate a window of so many days must at least have."""
        return self.min_effect if window_days <= SHORT_WINDOW_DAYS else self.min_effect_week


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The windows that are reported, in days, each ending with the day in question."""

    days: tuple[int, ...] = (7, 30)

    def __post_init__(self) -> None:
        if not self.days or not all(_is_whole_between(days, 2, COUNTED_DAYS - 1) for days in self.days):
            raise ValueError("windows are whole numbers of days from 2 to 90")
        if list(self.days) != sorted(set(self.days)):
            raise ValueError("windows are listed once each, shortest first")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """The reasons a deployment declares, for each outcome that needs one, and its segments.

    Raises ValueError for a reason or segment that is no label or is one of the reserved words.
    """

    held: tuple[str, ...] = HELD_REASONS
    suppressed: tuple[str, ...] = SUPPRESSED_REASONS
    disabled: tuple[str, ...] = DISABLED_REASONS
    failed: tuple[str, ...] = FAILED_REASONS
    segments: tuple[str, ...] = ()
    """Segments whose deliveries are broken down, such as the channels; what is not declared is never named."""

    def __post_init__(self) -> None:
        reserved = set(Reserved)
        for reasons in (self.held, self.suppressed, self.disabled, self.failed):
            if any(not is_label(reason) or reason in reserved for reason in reasons):
                raise ValueError("a declared reason is no label, or is reserved")
        if any(not is_label(segment) or segment in {*reserved, OTHER} for segment in self.segments):
            raise ValueError("a declared segment is no label, or is reserved")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """What keeps identifiers out."""

    max_segments: int = 50
    """More distinct segments than this on one day are no segments; the day is counted without them."""
    min_cell: int = 10
    """A segment with fewer deliveries on a day is not named; it is folded into the others. 1: all are named."""

    def __post_init__(self) -> None:
        if not _is_whole_between(self.min_cell, 1, 1000):
            raise ValueError("min_cell is a whole number from 1 to 1000")
        if not _is_whole_between(self.max_segments, 1, 1000):
            raise ValueError("max_segments is a whole number from 1 to 1000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Which days the daily schedule asks for."""

    days: int = 7
    """So many complete days back, whatever was missed is made up for: a daemon that was down, a failed run."""
    late_days: int = 3
    """So many complete days back, a day is done again once a day, because events may have arrived late."""

    def __post_init__(self) -> None:
        if not _is_whole_between(self.days, 1, 31):
            raise ValueError("days is a whole number from 1 to 31")
        if not _is_whole_between(self.late_days, 0, self.days):
            raise ValueError("late_days is a whole number from 0 to days")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How many days things are kept, the last complete day included; what is not set is kept for ever."""

    events_days: int | None = None
    """Events in `ops.delivery_events`: older days that are counted are dropped whole."""
    counts_days: int | None = None
    """Counts, figures and verdicts: older days are deleted, and cannot be asked for any more."""
    runs_days: int | None = None
    """Dagster's runs with their events: older ones are deleted, their days stay shown as done."""

    def __post_init__(self) -> None:
        for name, least in (
            ("events_days", LEAST_EVENTS_DAYS),
            ("counts_days", HISTORY_DAYS),
            ("runs_days", LEAST_EVENTS_DAYS),
        ):
            days = getattr(self, name)
            if days is not None and not _is_whole_between(days, least, MOST_KEPT_DAYS):
                raise ValueError(f"{name} is a whole number of at least {least}")
        if self.counts_days is not None and self.counts_days < (self.events_days or 0):
            raise ValueError("counts_days is at least events_days")

    @property
    def is_set(self) -> bool:
        """Whether anything is ever dropped."""
        return any(days is not None for days in (self.events_days, self.counts_days, self.runs_days))


def first_kept(last: date, days: int | None) -> date | None:
    """Return the first of the `days` days that end with `last`; None: all days are kept."""
    return None if days is None else last - timedelta(days=days - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where people are sent."""

    runbook: str | None = None
    """Address of the operator runbook as you publish it: checks and alerts link to what it says of their reason."""

    def __post_init__(self) -> None:
        if self.runbook is not None and not _is_page(self.runbook):
            raise ValueError("runbook is an http(s) address without user, query or fragment")

    def of(self, reason: Reason) -> str | None:
        """Return the address of what the runbook says of `reason`; None: no runbook is named."""
        return None if self.runbook is None else f"{self.runbook}#{reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, section by section."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    windows: Windows = field(default_factory=Windows)
    taxonomy: Taxonomy = field(default_factory=Taxonomy)
    privacy: Privacy = field(default_factory=Privacy)
    schedule: Schedule = field(default_factory=Schedule)
    retention: Retention = field(default_factory=Retention)
    links: Links = field(default_factory=Links)


_TABLES: Mapping[str, type] = {"planned": Planned, "accepted": Accepted}
SECTIONS = {
    "thresholds": Thresholds,
    "windows": Windows,
    "taxonomy": Taxonomy,
    "privacy": Privacy,
    "schedule": Schedule,
    "retention": Retention,
    "links": Links,
}


def parse_config(document: Mapping[str, Any]) -> Config:
    """Return the configuration that a parsed TOML document declares.

    Raises ValueError or TypeError for an unknown section or key, or a value of the wrong kind.
    """
    unknown = document.keys() - SECTIONS.keys()
    if unknown:
        raise ValueError("unknown section")
    return Config(**{name: _section(SECTIONS[name], values) for name, values in document.items()})


def _section(cls: type, values: object) -> Any:
    if not isinstance(values, Mapping) or values.keys() - {item.name for item in fields(cls)}:
        raise ValueError("unknown key")
    if any(isinstance(value, list) and len(set(map(str, value))) != len(value) for value in values.values()):
        raise ValueError("a list names something twice")
    return cls(**{key: _value(key, value) for key, value in values.items()})


def _value(key: str, value: object) -> object:
    if key in LIMITED and value == "off":
        return None
    if key in _TABLES and isinstance(value, list):
        return tuple(_section(_TABLES[key], item) for item in value)
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, Mapping):
        return {name: _value(name, item) for name, item in value.items()}
    return value


def load_config(path: Path) -> Config:
    """Return the configuration in the TOML file at `path`. Raises OpsError `invalid_config`."""
    try:
        return parse_config(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        pass
    raise OpsError(Reason.INVALID_CONFIG)
