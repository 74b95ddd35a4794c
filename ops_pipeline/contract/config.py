"""The configuration file (TOML, named by OPS_CONFIG): thresholds, windows, taxonomy, privacy.

Every key has a default, and an unknown key or impossible value is refused: a typo must not become a default.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import (
    ACKNOWLEDGED_REASONS,
    DISABLED_REASONS,
    FAILED_REASONS,
    HELD_REASONS,
    SUPPRESSED_REASONS,
    Outcome,
    Reserved,
)
from ops_pipeline.contract.words import is_label

HISTORY_DAYS = 91
"""Days of counts that a verdict may look back on: thirteen weeks, the longest window and its baseline included."""


def _is_between(number: object, low: float, high: float) -> bool:
    if not isinstance(number, int | float) or isinstance(number, bool):
        return False
    return math.isfinite(number) and low < number < high


def _is_whole_between(number: object, low: int, high: int) -> bool:
    return type(number) is int and low <= number <= high


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What the watchdog calls unhealthy. Rates are fractions of 1; raises ValueError for an impossible value."""

    hold_rate: float | None = 0.35
    """Highest acceptable n(held) / n(attempted). None: not judged."""
    suppression_rate: float | None = 0.60
    """Highest acceptable n(suppressed) / (n(offered) + n(suppressed)). None: not judged."""
    failure_rate: float | None = None
    """Highest acceptable n(failed) / (n(delivered) + n(failed)). None: not judged."""
    positive_rate: float | None = 0.20
    """Lowest acceptable n(acknowledged, positive) / n(delivered). None: not judged."""
    window_days: int = 7
    """Days, ending with the day in question, whose counts are held against the limits."""
    confidence: float = 0.999
    """One-sided confidence of the Wilson bound that must lie beyond a limit before it is called unhealthy."""
    power: float = 0.80
    """Chance with which a volume must show a real problem before it counts as enough to judge."""
    alpha: float = 0.001
    """Traffic has stopped when so long a silence had at most this probability."""

    def __post_init__(self) -> None:
        for limit in (self.hold_rate, self.suppression_rate, self.failure_rate, self.positive_rate):
            if limit is not None and not _is_between(limit, 0, 1):
                raise ValueError("a limit is a fraction between 0 and 1")
        if not _is_whole_between(self.window_days, 1, 35):
            raise ValueError("window_days is a whole number from 1 to 35")
        if not _is_between(self.confidence, 0.5, 1) or not _is_between(self.power, 0.5, 1):
            raise ValueError("confidence and power lie between 0.5 and 1")
        if not _is_between(self.alpha, 0, 0.5):
            raise ValueError("alpha lies between 0 and 0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The windows that are reported, in days, each ending with the day in question."""

    days: tuple[int, ...] = (7, 30)

    def __post_init__(self) -> None:
        if not self.days or not all(_is_whole_between(days, 2, HISTORY_DAYS - 1) for days in self.days):
            raise ValueError("windows are whole numbers of days from 2 to 90")
        if list(self.days) != sorted(set(self.days)):
            raise ValueError("windows are listed once each, shortest first")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """The reasons a deployment declares, for each outcome that needs one.

    Raises ValueError for a reason that is no label or is one of the reserved words.
    """

    held: tuple[str, ...] = HELD_REASONS
    suppressed: tuple[str, ...] = SUPPRESSED_REASONS
    disabled: tuple[str, ...] = DISABLED_REASONS
    failed: tuple[str, ...] = FAILED_REASONS

    def __post_init__(self) -> None:
        reserved = set(Reserved)
        for reasons in (self.held, self.suppressed, self.disabled, self.failed):
            if any(not is_label(reason) or reason in reserved for reason in reasons):
                raise ValueError("a declared reason is no label, or is reserved")

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

    def __post_init__(self) -> None:
        if not _is_whole_between(self.max_segments, 1, 1000):
            raise ValueError("max_segments is a whole number from 1 to 1000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, section by section."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    windows: Windows = field(default_factory=Windows)
    taxonomy: Taxonomy = field(default_factory=Taxonomy)
    privacy: Privacy = field(default_factory=Privacy)


SECTIONS = {"thresholds": Thresholds, "windows": Windows, "taxonomy": Taxonomy, "privacy": Privacy}


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
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def load_config(path: Path) -> Config:
    """Return the configuration in the TOML file at `path`. Raises OpsError `invalid_config`."""
    try:
        return parse_config(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        pass
    raise OpsError(Reason.INVALID_CONFIG)
