"""The metrics, each defined once: delivered totals, rates, second-touch summaries.

All are over complete UTC days. A rate whose total is 0 is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

from ops_pipeline.contract.rates import RATE_OF, RATES, ratio
from ops_pipeline.contract.vocabulary import ATTEMPTS, POSITIVE, AttemptsSource, Outcome, Scope, SignalName, Touch
from ops_pipeline.health.counts import DayCounts, WindowCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredTotal:
    """Deliveries of one touch, or of both, in a window (1 day: that day alone)."""

    touch: Scope
    window_days: int
    delivered: int
    positive: int

    @property
    def positive_rate(self) -> float | None:
        """Positive reactions per delivery; reactions come later than deliveries, so it can exceed 1."""
        return RATE_OF[SignalName.POSITIVE_RATE].value(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class RateFigure:
    """A rate of one touch in a window, with the counts that it is made of."""

    touch: Scope
    window_days: int
    name: SignalName
    count: int
    total: int
    attempts_source: AttemptsSource | None = None
    """Where the total is from, if it is a number of attempts."""

    @property
    def value(self) -> float | None:
        """Count / total as a fraction of 1."""
        return ratio(self.count, self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondTouchSummary:
    """The second touch's whole funnel in a window, with every reason that occurred."""

    window_days: int
    offered: int
    suppressed: int
    suppressed_by: Mapping[str, int]
    attempts: int
    attempts_source: AttemptsSource
    queued: int
    held: int
    held_by: Mapping[str, int]
    delivered: int
    failed: int
    acknowledged: int
    acknowledged_by: Mapping[str, int]
    disabled: int
    disabled_by: Mapping[str, int]

    @property
    def suppression_rate(self) -> float | None:
        """The share of offers that were suppressed."""
        return RATE_OF[SignalName.SUPPRESSION_RATE].value(asdict(self))

    @property
    def hold_rate(self) -> float | None:
        """The share of attempts that were held."""
        return RATE_OF[SignalName.HOLD_RATE].value(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredSegments:
    """Deliveries of one touch on one day by segment, as they may be published: see `segments`."""

    touch: Scope
    delivered: int
    by_segment: Mapping[str, int]
    min_cell: int
    """No segment with fewer deliveries is named."""

    @property
    def other(self) -> int:
        """Deliveries of all segments that are not named, and of none."""
        return self.delivered - sum(self.by_segment.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Everything that is reported for one day, over each window."""

    as_of: date
    totals: tuple[DeliveredTotal, ...]
    rates: tuple[RateFigure, ...]
    second_touch: tuple[SecondTouchSummary, ...]
    segments: tuple[DeliveredSegments, ...] = ()
    """Of the day alone; empty where no segments are declared."""


def compute_metrics(
    days: Sequence[DayCounts],
    as_of: date,
    windows: Sequence[int],
    segments: tuple[DeliveredSegments, ...] = (),
) -> Metrics:
    """Return the figures of `as_of` alone (window 1) and of each of `windows`; `segments` are taken as they are."""
    sums = [WindowCounts(days, as_of, window_days) for window_days in (1, *windows)]
    return Metrics(
        as_of=as_of,
        totals=tuple(_delivered_total(window, scope) for window in sums for scope in Scope),
        rates=tuple(_rate(window, touch, name) for window in sums for touch in Touch for name in RATE_OF),
        second_touch=tuple(map(_second_touch, sums)),
        segments=segments,
    )


def _delivered_total(window: WindowCounts, scope: Scope) -> DeliveredTotal:
    return DeliveredTotal(
        touch=scope,
        window_days=window.window_days,
        delivered=window.figure(scope, Outcome.DELIVERED),
        positive=window.figure(scope, POSITIVE),
    )


def _rate(window: WindowCounts, touch: Touch, name: SignalName) -> RateFigure:
    rate = RATE_OF[name]
    return RateFigure(
        touch=Scope(touch),
        window_days=window.window_days,
        name=name,
        count=window.figure(touch, rate.count),
        total=sum(window.figure(touch, part) for part in rate.total),
        attempts_source=window.attempts_source(touch) if ATTEMPTS in rate.total else None,
    )


def day_rates(day: DayCounts, touch: Touch) -> dict[SignalName, float | None]:
    """Return every rate of one touch on one day."""
    window = WindowCounts([day], day.day, 1)
    return {rate.name: _rate(window, touch, rate.name).value for rate in RATES}


def _second_touch(window: WindowCounts) -> SecondTouchSummary:
    def total(outcome: Outcome) -> int:
        return window.total(Touch.SECOND, outcome)

    def reasons(outcome: Outcome) -> Mapping[str, int]:
        return window.by_reason(Touch.SECOND, outcome)

    return SecondTouchSummary(
        window_days=window.window_days,
        offered=total(Outcome.OFFERED),
        suppressed=total(Outcome.SUPPRESSED),
        suppressed_by=reasons(Outcome.SUPPRESSED),
        attempts=window.figure(Touch.SECOND, ATTEMPTS),
        attempts_source=window.attempts_source(Touch.SECOND),
        queued=total(Outcome.QUEUED),
        held=total(Outcome.HELD),
        held_by=reasons(Outcome.HELD),
        delivered=total(Outcome.DELIVERED),
        failed=total(Outcome.FAILED),
        acknowledged=total(Outcome.ACKNOWLEDGED),
        acknowledged_by=reasons(Outcome.ACKNOWLEDGED),
        disabled=total(Outcome.DISABLED),
        disabled_by=reasons(Outcome.DISABLED),
    )
