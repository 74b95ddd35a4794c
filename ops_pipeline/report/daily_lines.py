"""The lines of a day: from stored metrics and verdict to what `ops_daily` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from ops_pipeline.contract.lines import Line, LineName, Measure, Snapshot
from ops_pipeline.contract.vocabulary import Scope, SignalName, Status
from ops_pipeline.contract.words import Label, SmallCell
from ops_pipeline.health.metrics import (
    DeliveredSegments,
    DeliveredTotal,
    HoldSuppressionRate,
    Metrics,
    SecondTouchSummary,
)
from ops_pipeline.health.verdict import Signal, Verdict

SCHEMA_VERSION = 1
"""Version of the snapshot's shape: raised when a field changes its name or meaning, not when one is added."""


def daily_lines(metrics: Metrics, verdict: Verdict) -> Iterator[Line]:
    """Yield the day's lines in their fixed order: figures from totals to segments, signals, verdict, snapshot."""
    windows = sorted({total.window_days for total in metrics.totals} - {1})
    for window_days in windows:
        yield _totals(metrics, window_days)
    yield from (_rates(metrics, rate) for rate in metrics.rates if rate.window_days in windows)
    yield from (_second_touch(metrics, summary) for summary in metrics.second_touch if summary.window_days in windows)
    yield from (_segments(metrics, found) for found in metrics.segments)
    yield from (signal_line(LineName.OPS_DAILY_SIGNAL, verdict, signal) for signal in verdict.signals)
    yield watchdog_line(verdict)
    yield _snapshot(metrics, verdict)


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
        was=verdict.was,
    )


def measures(metrics: Metrics, verdict: Verdict) -> Iterator[Measure]:
    """Yield the figures that a monitoring system may draw: deliveries of each window, rates with their limits."""
    for total in metrics.totals:
        if total.touch == Scope.BOTH:
            yield Measure(Label(f"delivered_{total.window_days}d"), total.delivered)
    for signal in verdict.signals:
        if signal.limit is not None:
            is_lowest = signal.name is SignalName.POSITIVE_RATE
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


def _rates(metrics: Metrics, rate: HoldSuppressionRate) -> Line:
    return Line(
        LineName.OPS_DAILY_RATES,
        as_of=metrics.as_of,
        touch=rate.touch,
        window_days=rate.window_days,
        hold_rate=rate.hold_rate,
        held=rate.held,
        attempts=rate.attempted,
        attempted=_attempted(rate),
        suppression_rate=rate.suppression_rate,
        suppressed=rate.suppressed,
        offered=rate.offered,
        failure_rate=rate.failure_rate,
        failed=rate.failed,
    )


def _second_touch(metrics: Metrics, summary: SecondTouchSummary) -> Line:
    return Line(
        LineName.OPS_DAILY_SECOND_TOUCH,
        as_of=metrics.as_of,
        window_days=summary.window_days,
        offered=summary.offered,
        suppressed=summary.suppressed,
        suppression_rate=summary.suppression_rate,
        suppressed_by=_labels(summary.suppressed_by),
        attempts=summary.attempted,
        attempted=_attempted(summary),
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
        other=told(found.other, found.min_cell),
    )


def told(count: int, min_cell: int) -> int | SmallCell:
    """Return a count of a breakdown as it may be told."""
    return SmallCell(f"lt{min_cell}") if count < min_cell else count


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
        x=signal.x,
        n=signal.n,
        rate=signal.rate,
        expected=signal.expected,
        critical=signal.critical,
        limit=signal.limit,
        bound=signal.bound,
        sees=signal.sees,
    )


def _snapshot(metrics: Metrics, verdict: Verdict) -> Line:
    return Snapshot(
        {
            "schema_version": SCHEMA_VERSION,
            "as_of": metrics.as_of,
            "status": verdict.status,
            "reason": verdict.reason,
            "reasons": verdict.unhealthy_reasons or (verdict.reason,),
            "since": verdict.since,
            "change": verdict.change,
            "was": verdict.was,
            "delivered_totals": [_total_document(total) for total in metrics.totals],
            "hold_suppression_rates": [_rate_document(rate) for rate in metrics.rates],
            "second_touch_summaries": [_summary_document(summary) for summary in metrics.second_touch],
            "delivered_segments": [_segments_document(found) for found in metrics.segments],
            "signals": [asdict(signal) for signal in verdict.signals],
        }
    )


def _total_document(total: DeliveredTotal) -> dict[str, object]:
    return {**asdict(total), "positive_rate": total.positive_rate}


def _rate_document(rate: HoldSuppressionRate) -> dict[str, object]:
    return {
        **asdict(rate),
        "hold_rate": rate.hold_rate,
        "suppression_rate": rate.suppression_rate,
        "failure_rate": rate.failure_rate,
    }


def _summary_document(summary: SecondTouchSummary) -> dict[str, object]:
    return {**asdict(summary), "suppression_rate": summary.suppression_rate, "hold_rate": summary.hold_rate}


def _segments_document(found: DeliveredSegments) -> dict[str, object]:
    return {**asdict(found), "other": told(found.other, found.min_cell)}


def _attempted(figures: HoldSuppressionRate | SecondTouchSummary) -> Label:
    return Label("derived" if figures.attempted_derived else "logged")


def _labels(groups: Mapping[str, int]) -> dict[Label, int]:
    return {Label(reason): groups[reason] for reason in sorted(groups, key=lambda reason: (-groups[reason], reason))}
