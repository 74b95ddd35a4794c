"""The rule: from daily counts to a verdict. See docs/explanation/watchdog.md for the method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from math import log

from ops_pipeline.contract.config import HISTORY_DAYS, Thresholds
from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import IDENTITY_LEAK, POSITIVE, Outcome, Scope, Touch
from ops_pipeline.health.counts import DayCounts, WindowCounts, unique_days
from ops_pipeline.health.metrics import attempted
from ops_pipeline.health.metrics import rate as ratio
from ops_pipeline.health.verdict import Signal, SignalName, Status, Verdict
from ops_pipeline.health.volume import silence
from ops_pipeline.health.wilson import lower_bound, upper_bound, visible_above, visible_below

_DEFAULTS = Thresholds()

_LIMIT_REASONS = {
    SignalName.HOLD_RATE: Reason.HOLD_RATE_LIMIT,
    SignalName.SUPPRESSION_RATE: Reason.SUPPRESSION_RATE_LIMIT,
    SignalName.FAILURE_RATE: Reason.FAILURE_RATE_LIMIT,
    SignalName.POSITIVE_RATE: Reason.POSITIVE_RATE_LIMIT,
}


def evaluate(days: Sequence[DayCounts], as_of: date, thresholds: Thresholds = _DEFAULTS) -> Verdict:
    """Return the verdict for the UTC day `as_of`.

    `days` come in any order; a day that is missing had no events; days after `as_of` do not count. Raises ValueError
    where a day is given twice.
    """
    by_day = unique_days(days)
    known = [by_day[day] for day in sorted(by_day) if as_of - HISTORY_DAYS * ONE_DAY < day <= as_of]
    window = WindowCounts(known, as_of, thresholds.window_days)
    signals = [_identity_leak(window)]
    for touch in Touch:
        signals.append(_delivered(known, as_of, touch, thresholds))
        signals.extend(_rates(window, touch, thresholds))
    return _whole(as_of, signals, window.total(Scope.BOTH, Outcome.DELIVERED))


def _whole(as_of: date, signals: Sequence[Signal], delivered: int) -> Verdict:
    verdict = Verdict(as_of=as_of, status=Status.HEALTHY, reason=Reason.WITHIN_LIMITS, signals=tuple(signals))
    if verdict.unhealthy_reasons:
        return replace(verdict, status=Status.UNHEALTHY, reason=verdict.unhealthy_reasons[0])
    if delivered == 0:
        return replace(verdict, status=Status.INSUFFICIENT_DATA, reason=Reason.DELIVERED_TOTAL_0)
    if not any(signal.name in _LIMIT_REASONS and signal.status is Status.HEALTHY for signal in signals):
        return replace(verdict, status=Status.INSUFFICIENT_DATA, reason=Reason.LOW_VOLUME)
    return verdict


def _identity_leak(window: WindowCounts) -> Signal:
    exposed = (Outcome.HELD, Outcome.DISABLED)
    leaks = sum(window.total(Scope.BOTH, outcome, IDENTITY_LEAK) for outcome in exposed)
    return Signal(
        touch=Scope.BOTH,
        name=SignalName.IDENTITY_LEAK,
        status=Status.UNHEALTHY if leaks else Status.HEALTHY,
        reason=Reason.IDENTITY_LEAK if leaks else Reason.NONE_SEEN,
        window_days=window.window_days,
        n=sum(window.total(Scope.BOTH, outcome) for outcome in exposed),
        x=leaks,
    )


def _delivered(known: Sequence[DayCounts], as_of: date, touch: Touch, thresholds: Thresholds) -> Signal:
    per_day = {
        day.day: sum(
            events
            for (its_touch, outcome, _), events in day.counts.items()
            if its_touch == touch and outcome == Outcome.DELIVERED
        )
        for day in known
    }
    delivering = [day for day, delivered in per_day.items() if delivered]
    first = min(delivering, default=as_of + ONE_DAY)
    found = silence(lambda day: per_day.get(day, 0), first, as_of)
    if not delivering:
        status, reason = Status.INSUFFICIENT_DATA, Reason.DELIVERED_TOTAL_0
    elif found.days == 0:
        status, reason = Status.HEALTHY, Reason.TRAFFIC_SEEN
    elif found.expected is None:
        status, reason = Status.INSUFFICIENT_DATA, Reason.NO_BASELINE
    elif found.log_probability <= log(thresholds.alpha):
        status, reason = Status.UNHEALTHY, Reason.TRAFFIC_STOPPED
    else:
        status, reason = Status.HEALTHY, Reason.QUIET_EXPECTED
    return Signal(
        touch=Scope(touch),
        name=SignalName.DELIVERED,
        status=status,
        reason=reason,
        window_days=max(found.days, 1),
        n=found.baseline_days,
        x=per_day.get(as_of, 0),
        expected=found.expected,
    )


def _rates(window: WindowCounts, touch: Touch, thresholds: Thresholds) -> list[Signal]:
    def n(outcome: Outcome, reason: str | None = None) -> int:
        return window.total(touch, outcome, reason)

    held, suppressed, failed = n(Outcome.HELD), n(Outcome.SUPPRESSED), n(Outcome.FAILED)
    delivered = n(Outcome.DELIVERED)
    candidates = (
        (SignalName.HOLD_RATE, held, attempted(window, touch)[0], thresholds.hold_rate),
        (
            SignalName.SUPPRESSION_RATE,
            suppressed,
            n(Outcome.OFFERED) + suppressed,
            thresholds.suppression_rate,
        ),
        (SignalName.FAILURE_RATE, failed, delivered + failed, thresholds.failure_rate),
        (SignalName.POSITIVE_RATE, n(Outcome.ACKNOWLEDGED, POSITIVE), delivered, thresholds.positive_rate),
    )
    return [
        _against_limit(Scope(touch), name, x, trials, limit, thresholds)
        for name, x, trials, limit in candidates
        if limit is not None
    ]


def _against_limit(touch: Scope, name: SignalName, x: int, n: int, limit: float, thresholds: Thresholds) -> Signal:
    bad_is_low = name is SignalName.POSITIVE_RATE
    bound = visible = None
    status, reason = Status.INSUFFICIENT_DATA, Reason.NO_EVENTS
    if n:
        # Late acknowledgements can outnumber deliveries, and held can outnumber attempts that were not all logged.
        successes = min(x, n)
        if bad_is_low:
            bound = upper_bound(successes, n, thresholds.confidence)
            visible = visible_below(limit, n, thresholds.confidence, thresholds.power)
            is_beyond, can_judge = bound < limit, visible is not None and visible >= limit / 2
        else:
            bound = lower_bound(successes, n, thresholds.confidence)
            visible = visible_above(limit, n, thresholds.confidence, thresholds.power)
            # Halfway between the limit and the worst there is: a doubling may not exist above a high limit.
            is_beyond, can_judge = bound > limit, visible is not None and visible <= (1 + limit) / 2
        if is_beyond:
            status, reason = Status.UNHEALTHY, _LIMIT_REASONS[name]
        elif can_judge:
            status, reason = Status.HEALTHY, Reason.WITHIN_LIMIT
        else:
            reason = Reason.LOW_VOLUME
    return Signal(
        touch=touch,
        name=name,
        status=status,
        reason=reason,
        window_days=thresholds.window_days,
        n=n,
        x=x,
        rate=ratio(x, n),
        limit=limit,
        bound=bound,
        sees=None if visible is None else visible / limit,
    )
