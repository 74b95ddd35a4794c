"""The lines of a day: from stored metrics and verdict to what `ops_daily` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ops_pipeline.contract.lines import Line, LineName, Measure
from ops_pipeline.contract.rates import RATE_OF
from ops_pipeline.contract.tokens import Label, band
from ops_pipeline.contract.vocabulary import Scope, Status, Touch
from ops_pipeline.health.metrics import DeliveredSegments, Metrics, RateFigure, SecondTouchSummary
from ops_pipeline.health.verdict import Signal, Verdict
from ops_pipeline.report.snapshot import masked_count, snapshot_line
from ops_pipeline.store.day_faults import Fault


def daily_lines(metrics: Metrics, verdict: Verdict) -> Iterator[Line]:
    """Yield the day's lines in their fixed order: figures from totals to segments, signals, verdict, snapshot."""
    windows = sorted({total.window_days for total in metrics.totals} - {1})
    for window_days in windows:
        yield _totals(metrics, window_days)
    for window_days in windows:
        yield from (_rates(metrics, window_days, touch) for touch in Touch)
    yield from (_second_touch(metrics, summary) for summary in metrics.second_touch if summary.window_days in windows)
    yield from (_segments(metrics, found) for found in metrics.segments)
    yield from (signal_line(LineName.OPS_DAILY_SIGNAL, verdict, signal) for signal in verdict.signals)
    yield watchdog_line(verdict)
    yield snapshot_line(metrics, verdict)


def fault_line(name: LineName, fault: Fault) -> Line:
    """Return the line that says what is wrong with days."""
    return Line(name, reason=fault.reason, days=fault.days, oldest=fault.oldest, events=band(fault.events))


def watchdog_line(verdict: Verdict) -> Line:
    """Return the line that says what the watchdog decided, with every unhealthy reason, the worst first."""
    judged = [signal.status for signal in verdict.signals]
    return Line(
        LineName.OPS_DAILY_WATCHDOG,
        status=verdict.status,
        reason=verdict.reason,
        as_of=verdict.as_of,
        reasons=verdict.unhealthy_reasons or (verdict.reason,),
        signals=len(judged),
        failing=judged.count(Status.UNHEALTHY),
        undecided=judged.count(Status.INSUFFICIENT_DATA),
        since=verdict.since,
        change=verdict.change,
        previous_status=verdict.previous_status,
    )


def measures(metrics: Metrics, verdict: Verdict) -> Iterator[Measure]:
    """Yield the figures that a monitoring system may draw: deliveries of each window, rates with their limits."""
    for total in metrics.totals:
        if total.touch == Scope.BOTH:
            yield Measure(Label(f"delivered_{total.window_days}d"), total.delivered)
    for signal in verdict.signals:
        if signal.limit is not None:
            is_lowest = RATE_OF[signal.name].is_low_bad
            label = Label(f"{signal.touch}_{signal.name}")
            yield Measure(label, signal.rate, critical=signal.limit, is_lowest=is_lowest)


def _totals(metrics: Metrics, window_days: int) -> Line:
    totals = {total.touch: total for total in metrics.totals if total.window_days == window_days}
    both, first, second = totals[Scope.BOTH], totals[Scope.FIRST], totals[Scope.SECOND]
    return Line(
        LineName.OPS_DAILY_TOTALS,
        as_of=metrics.as_of,
        window_days=window_days,
        delivered_total=both.delivered,
        delivered_first=first.delivered,
        delivered_second=second.delivered,
        positive=both.positive,
        h=both.positive_rate,
    )


def _rates(metrics: Metrics, window_days: int, touch: Touch) -> Line:
    """Return every rate of one touch in a window, with the figures that it is made of."""
    fields: dict[str, object] = {}
    for found in metrics.rates:
        if found.window_days == window_days and found.touch.value == touch:
            fields |= {found.name.value: found.value, **rate_parts(found)}
            if found.attempts_source is not None:
                fields["attempts_source"] = found.attempts_source
    return Line(LineName.OPS_DAILY_RATES, as_of=metrics.as_of, touch=touch, window_days=window_days, **fields)


def rate_parts(found: RateFigure) -> dict[str, int]:
    """Return the figures above and below the line of a rate, each by its name."""
    rate = RATE_OF[found.name]
    # Of two figures below the line, one stands above it too.
    others = [name for name in rate.total if name != rate.count]
    below = found.total if rate.count not in rate.total else found.total - found.count
    return {rate.count: found.count, others[0]: below}


def _second_touch(metrics: Metrics, summary: SecondTouchSummary) -> Line:
    return Line(
        LineName.OPS_DAILY_SECOND_TOUCH,
        as_of=metrics.as_of,
        window_days=summary.window_days,
        offered=summary.offered,
        suppressed=summary.suppressed,
        suppression_rate=summary.suppression_rate,
        suppressed_by=_labels(summary.suppressed_by),
        attempts=summary.attempts,
        attempts_source=summary.attempts_source,
        queued=summary.queued,
        held=summary.held,
        hold_rate=summary.hold_rate,
        held_by=_labels(summary.held_by),
        delivered=summary.delivered,
        failed=summary.failed,
        acknowledged=summary.acknowledged,
        acknowledged_by=_labels(summary.acknowledged_by),
        disabled=summary.disabled,
        disabled_by=_labels(summary.disabled_by),
    )


def _segments(metrics: Metrics, found: DeliveredSegments) -> Line:
    return Line(
        LineName.OPS_DAILY_SEGMENTS,
        as_of=metrics.as_of,
        touch=found.touch,
        delivered=found.delivered,
        delivered_by=_labels(found.by_segment),
        other=masked_count(found.other, found.min_cell),
    )


def signal_line(name: LineName, verdict: Verdict, signal: Signal) -> Line:
    """Return the line that says what was found of a signal."""
    return Line(
        name,
        as_of=verdict.as_of,
        touch=signal.touch,
        signal=signal.name,
        status=signal.status,
        reason=signal.reason,
        window_days=signal.window_days,
        count=signal.count,
        total=signal.total,
        rate=signal.rate,
        expected=signal.expected,
        critical=signal.critical,
        limit=signal.limit,
        bound=signal.bound,
        history_days=signal.history_days,
        min_detectable=signal.min_detectable,
        since=signal.since,
        change=signal.change,
        muted_until=signal.muted_until,
    )


def _labels(groups: Mapping[str, int]) -> dict[Label, int]:
    return {Label(reason): groups[reason] for reason in sorted(groups, key=lambda reason: (-groups[reason], reason))}
