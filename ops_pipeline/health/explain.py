"""Why a verdict is what it is: every window that was tried, and by how many events it was beyond what is fine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ops_pipeline.contract.config import Thresholds
from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.contract.rates import RATE_OF
from ops_pipeline.contract.vocabulary import IDENTITY_LEAK, Outcome, Scope, SignalName, Touch
from ops_pipeline.health.counts import DayCounts, WindowCounts
from ops_pipeline.health.history import LEAKED
from ops_pipeline.health.rates import IS_LOW_BAD, RATE_WINDOWS, SERIES
from ops_pipeline.health.verdict import Signal, Verdict
from ops_pipeline.health.watchdog import Judgement, judged
from ops_pipeline.health.wilson import lower_bound, upper_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedWindow:
    """One window of a rate against its history."""

    window_days: int
    count: int
    total: int
    expected: float
    """Events that history leads one to expect."""
    critical: int | None
    """The count from which the window is unhealthy (where low is bad: down from which); None: no count is."""
    tail: float
    """Probability of such a count; 1 where it is not far enough from the expected one to matter."""
    is_unhealthy: bool
    excess: int
    """Events beyond what would have been fine; 0 where it is fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Messages that were held, or people who were disabled, on a UTC day because an identity leaked."""

    day: date
    touch: Touch
    outcome: Outcome
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedSignal:
    """A signal with what it was decided by."""

    signal: Signal
    windows: tuple[TriedWindow, ...] = ()
    """The windows against history; none without a baseline."""
    limit_excess: int | None = None
    """Events beyond what the limit would have let pass in the signal's window; None: no limit, or no events."""
    reasons: Mapping[str, int] | None = None
    """What the signal's events are made of, by reason; None where they have none."""
    leaks: tuple[Leak, ...] = ()
    """Of `identity_leak`: where they were."""


def explain(
    days: Sequence[DayCounts], as_of: date, thresholds: Thresholds
) -> tuple[Verdict, tuple[ExplainedSignal, ...]]:
    """Return the verdict that `evaluate` returns, and each of its signals explained. Raises ValueError as it does."""
    *_, (judgement, (verdict,)) = judged(days, as_of, as_of, thresholds, None)
    return verdict, tuple(_explained(judgement, days, verdict, signal) for signal in verdict.signals)


def _explained(judgement: Judgement, days: Sequence[DayCounts], verdict: Verdict, signal: Signal) -> ExplainedSignal:
    if signal.name is SignalName.IDENTITY_LEAK:
        return ExplainedSignal(signal=signal, leaks=tuple(_leaks(days, verdict.as_of, signal.window_days)))
    if signal.name not in RATE_OF:
        return ExplainedSignal(signal=signal)
    rate = RATE_OF[signal.name]
    series = SERIES.index((Touch(signal.touch), rate))
    counts = WindowCounts(days, verdict.as_of, signal.window_days)
    return ExplainedSignal(
        signal=signal,
        windows=tuple(_tried(judgement, series)),
        limit_excess=_limit_excess(judgement, series),
        reasons=counts.by_reason(Scope(signal.touch), rate.outcome),
    )


def _leaks(days: Sequence[DayCounts], as_of: date, window_days: int) -> Iterator[Leak]:
    for day in sorted(days, key=lambda one: one.day):
        if as_of - window_days * ONE_DAY < day.day <= as_of:
            for (touch, outcome, reason), events in sorted(day.counts.items(), key=str):
                if events and reason == IDENTITY_LEAK and outcome in LEAKED:
                    yield Leak(day=day.day, touch=Touch(touch), outcome=Outcome(outcome), events=events)


def _tried(judgement: Judgement, series: int) -> list[TriedWindow]:
    found = []
    for window in judgement.rates.windows:
        expected, at = window.expected[series, -1], -1
        if window.window_days not in RATE_WINDOWS or expected != expected:  # not a number: no baseline
            continue
        count, critical = int(window.count[series, at]), judgement.critical(window, at, series)
        is_unhealthy = bool(window.is_unhealthy[series, at])
        beyond = 0
        if is_unhealthy and critical is not None:
            beyond = critical - count + 1 if IS_LOW_BAD[series] else count - critical + 1
        found.append(
            TriedWindow(
                window_days=window.window_days,
                count=count,
                total=int(window.total[series, at]),
                expected=float(expected),
                critical=critical,
                tail=float(window.tail[series, at]),
                is_unhealthy=is_unhealthy,
                excess=max(beyond, 0),
            )
        )
    return found


def _limit_excess(judgement: Judgement, series: int) -> int | None:
    touch, rate = SERIES[series]
    thresholds = judgement.thresholds
    limit = thresholds.limit(touch, rate.name)
    window = next(one for one in judgement.rates.windows if one.window_days == thresholds.window_days)
    x, n = int(window.count[series, -1]), int(window.total[series, -1])
    if limit is None or n == 0:
        return None

    def is_fine(events: int) -> bool:
        events = max(events, 0)
        if IS_LOW_BAD[series]:
            return bool(upper_bound(min(events, n), n, thresholds.confidence) >= limit)
        return bool(lower_bound(min(events, n), n, thresholds.confidence) <= limit)

    step = 1 if IS_LOW_BAD[series] else -1
    low, high = 0, n
    # The smallest number of events more (fewer) with which it would be fine.
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_fine(x + step * middle) else (middle + 1, high)
    return low
