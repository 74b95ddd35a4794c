"""The metrics, each defined once: delivered totals, rates, second-touch summaries.

All are over complete UTC days. A rate whose denominator is 0 is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ops_pipeline.contract.vocabulary import POSITIVE, Outcome, Scope, Touch
from ops_pipeline.health.counts import DayCounts, WindowCounts


def rate(part: int, whole: int) -> float | None:
    """Return part / whole, or None where `whole` is 0."""
    return part / whole if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredTotal:
    """Deliveries of one touch, or of both, in a window (1 day: that day alone)."""

    touch: Scope
    window_days: int
    delivered: int
    positive: int

    @property
    def positive_rate(self) -> float | None:
        """n(acknowledged, positive) / n(delivered); reactions come later than deliveries, so it can exceed 1."""
        return rate(self.positive, self.delivered)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSuppressionRate:
    """Hold, suppression and failure of one touch in a window, with the counts they are made of."""

    touch: Scope
    window_days: int
    offered: int
    suppressed: int
    attempted: int
    attempted_derived: bool
    """True where the source logs no `attempted` events, so that attempted = held + queued."""
    held: int
    delivered: int
    failed: int

    @property
    def hold_rate(self) -> float | None:
        """n(held) / n(attempted)."""
        return rate(self.held, self.attempted)

    @property
    def suppression_rate(self) -> float | None:
        """n(suppressed) / (n(offered) + n(suppressed))."""
        return rate(self.suppressed, self.offered + self.suppressed)

    @property
    def failure_rate(self) -> float | None:
        """n(failed) / (n(delivered) + n(failed))."""
        return rate(self.failed, self.delivered + self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondTouchSummary:
    """The second touch's whole funnel in a window, with every reason that occurred."""

    window_days: int
    offered: int
    suppressed: int
    suppressed_by: Mapping[str, int]
    attempted: int
    attempted_derived: bool
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
        """n(suppressed) / (n(offered) + n(suppressed))."""
        return rate(self.suppressed, self.offered + self.suppressed)

    @property
    def hold_rate(self) -> float | None:
        """n(held) / n(attempted)."""
        return rate(self.held, self.attempted)


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
    rates: tuple[HoldSuppressionRate, ...]
    second_touch: tuple[SecondTouchSummary, ...]
    segments: tuple[DeliveredSegments, ...] = ()
    """Of the day alone; empty where no segments are declared."""


def attempted(window: WindowCounts, scope: str) -> tuple[int, bool]:
    """Return n(attempted) and whether it was derived as held + queued because the source logs none."""
    logged = window.total(scope, Outcome.ATTEMPTED)
    derived = window.total(scope, Outcome.HELD) + window.total(scope, Outcome.QUEUED)
    return (logged, False) if logged or not derived else (derived, True)


def delivered_totals(days: Sequence[DayCounts], as_of: date, windows: Sequence[int]) -> tuple[DeliveredTotal, ...]:
    """Return deliveries per window and touch, for `as_of` alone (window 1) and each of `windows`."""
    return tuple(
        DeliveredTotal(
            touch=scope,
            window_days=window_days,
            delivered=window.total(scope, Outcome.DELIVERED),
            positive=window.total(scope, Outcome.ACKNOWLEDGED, POSITIVE),
        )
        for window_days in (1, *windows)
        for window in [WindowCounts(days, as_of, window_days)]
        for scope in Scope
    )


def hold_suppression_rates(
    days: Sequence[DayCounts], as_of: date, windows: Sequence[int]
) -> tuple[HoldSuppressionRate, ...]:
    """Return hold, suppression and failure per touch, for `as_of` alone (window 1) and each of `windows`."""
    found = []
    for window_days in (1, *windows):
        window = WindowCounts(days, as_of, window_days)
        for touch in Touch:
            attempts, derived = attempted(window, touch)
            found.append(
                HoldSuppressionRate(
                    touch=Scope(touch),
                    window_days=window_days,
                    offered=window.total(touch, Outcome.OFFERED),
                    suppressed=window.total(touch, Outcome.SUPPRESSED),
                    attempted=attempts,
                    attempted_derived=derived,
                    held=window.total(touch, Outcome.HELD),
                    delivered=window.total(touch, Outcome.DELIVERED),
                    failed=window.total(touch, Outcome.FAILED),
                )
            )
    return tuple(found)


def second_touch_summaries(
    days: Sequence[DayCounts], as_of: date, windows: Sequence[int]
) -> tuple[SecondTouchSummary, ...]:
    """Return the second touch's funnel for `as_of` alone (window 1) and each of `windows`."""
    return tuple(_second_touch(WindowCounts(days, as_of, window_days)) for window_days in (1, *windows))


def _second_touch(window: WindowCounts) -> SecondTouchSummary:
    def total(outcome: Outcome) -> int:
        return window.total(Touch.SECOND, outcome)

    def reasons(outcome: Outcome) -> Mapping[str, int]:
        return window.by_reason(Touch.SECOND, outcome)

    attempts, derived = attempted(window, Touch.SECOND)
    return SecondTouchSummary(
        window_days=window.window_days,
        offered=total(Outcome.OFFERED),
        suppressed=total(Outcome.SUPPRESSED),
        suppressed_by=reasons(Outcome.SUPPRESSED),
        attempted=attempts,
        attempted_derived=derived,
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
