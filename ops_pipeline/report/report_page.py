"""The report: status and since when, the weeks before, and all figures of a day, on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from ops_pipeline.contract.days import ONE_DAY, runs
from ops_pipeline.contract.lines import LineName
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label, SmallCell
from ops_pipeline.contract.vocabulary import DATA_SIGNALS, OTHER, Outcome, Reserved, Scope, SignalName, Status, Touch
from ops_pipeline.health.counts import DayCounts, WindowCounts
from ops_pipeline.health.metrics import DeliveredSegments, DeliveredTotal, Metrics, SecondTouchSummary
from ops_pipeline.health.replay import days_per_status, episodes
from ops_pipeline.health.verdict import Signal, Verdict
from ops_pipeline.health.watchdog import SIGNALS
from ops_pipeline.report.charts import funnel_chart, reasons_chart
from ops_pipeline.report.daily_lines import daily_lines
from ops_pipeline.report.page import rendered
from ops_pipeline.report.signal_series import Deliveries, all_rate_series, signal_series
from ops_pipeline.report.snapshot import masked_count
from ops_pipeline.store.report_data import ReportData

_WORST_FIRST = (Status.UNHEALTHY, Status.INSUFFICIENT_DATA, Status.HEALTHY)
_RESERVED = frozenset(Reserved)
_REASONS = {
    Outcome.SUPPRESSED: "suppressed_by",
    Outcome.HELD: "held_by",
    Outcome.ACKNOWLEDGED: "acknowledged_by",
    Outcome.DISABLED: "disabled_by",
}


@dataclass(frozen=True, slots=True)
class Since:
    """Since when the present status holds."""

    day: date
    days: int
    """Days since then, both included."""
    is_at_least: bool
    """Whether it may have begun before the first day that is shown."""


@dataclass(frozen=True, slots=True)
class Funnel:
    """The second touch's funnel with its reasons; what is drawn is of the longest window."""

    windows: Sequence[SecondTouchSummary]
    reasons: Sequence[tuple[Outcome, Label, Sequence[int]]]
    """The events of each reason in each window, the day's first."""
    chart: Markup
    reasons_chart: Markup | None


@dataclass(frozen=True, slots=True)
class PublishedSegments:
    """The day's deliveries of one touch by segment, as they were published."""

    touch: Scope
    delivered: int
    cells: Sequence[tuple[Label, int | SmallCell]]


def report_page(reported: ReportData, *, unjudged_days: int = 0) -> str:
    """Return the page; `unjudged_days` are complete days after the last one that was judged.

    Raises OpsError `report_missing`.
    """
    verdict, metrics = reported.verdict, reported.metrics
    verdicts = list(reported.verdicts.values())
    return rendered(
        "report.html",
        reported=reported,
        verdict=verdict,
        unjudged_days=unjudged_days,
        statuses=days_per_status(verdicts),
        not_judged=[day for day in reported.days if day not in reported.verdicts],
        since=status_since(reported),
        by_reason=_signals_by_reason(verdict) if verdict else {},
        data_signals=DATA_SIGNALS,
        signals=sorted(verdict.signals, key=lambda signal: _WORST_FIRST.index(signal.status)) if verdict else (),
        episodes=episodes(verdicts)[::-1],
        totals=_reported_totals(metrics),
        strips=[signal_series(reported.days, reported.verdicts, *key) for key in SIGNALS],
        rates=all_rate_series(reported.days, reported.verdicts),
        deliveries=[_deliveries(reported, touch) for touch in Touch],
        funnel=_funnel(metrics),
        segments=[_published(found) for found in metrics.segments] if metrics else [],
        never_counted=runs(day for day in reported.days if day not in reported.counts),
        without_events=runs(day for day, counts in reported.counts.items() if not any(counts.counts.values())),
        wide=runs(day for day, counts in reported.counts.items() if counts.has_wide_segment),
        unusable=_unusable(reported.counts.values()),
        restated=[one for one in verdicts if one.previous_status is not None],
        lines=[line for line in daily_lines(metrics, verdict) if line.name is not LineName.OPS_METRICS_SNAPSHOT]
        if metrics and verdict
        else [],
    )


def status_since(reported: ReportData) -> Since | None:
    """Return since when the status of the last day holds without a break; None: that day was not judged."""
    verdict = reported.verdict
    if verdict is None:
        return None
    if verdict.status is Status.UNHEALTHY and verdict.since is not None:
        return Since(verdict.since, (reported.as_of - verdict.since).days + 1, is_at_least=False)
    day = reported.as_of
    while (before := reported.verdicts.get(day - ONE_DAY)) is not None and before.status is verdict.status:
        day -= ONE_DAY
    return Since(day, (reported.as_of - day).days + 1, is_at_least=day == reported.first)


def _signals_by_reason(verdict: Verdict) -> dict[Reason, list[Signal]]:
    """Return the unhealthy signals by their reason, the worst reason first."""
    return {
        reason: [one for one in verdict.signals if one.status is Status.UNHEALTHY and one.reason is reason]
        for reason in verdict.unhealthy_reasons
    }


def _reported_totals(metrics: Metrics | None) -> list[DeliveredTotal]:
    """Return the deliveries of both touches in each window, the day's first."""
    return [total for total in metrics.totals if total.touch is Scope.BOTH] if metrics else []


def _deliveries(reported: ReportData, touch: Touch) -> Deliveries:
    delivered = {
        day: WindowCounts([counts], day, 1).total(touch, Outcome.DELIVERED) for day, counts in reported.counts.items()
    }
    return Deliveries(signal_series(reported.days, reported.verdicts, touch, SignalName.DELIVERED), delivered)


def _funnel(metrics: Metrics | None) -> Funnel | None:
    """Return the funnel; None: there were no events of it."""
    if metrics is None or not metrics.second_touch:
        return None
    summary = metrics.second_touch[-1]
    if not any((summary.offered, summary.suppressed, summary.attempts, summary.delivered, summary.acknowledged)):
        return None
    # What occurred in a shorter window occurred in the longest.
    reasons = [
        (outcome, Label(reason), [getattr(one, field).get(reason, 0) for one in metrics.second_touch])
        for outcome, field in _REASONS.items()
        for reason, _ in sorted(getattr(summary, field).items(), key=lambda item: (-item[1], item[0]))
    ]
    charted = [(outcome, reason, counts[-1]) for outcome, reason, counts in reasons]
    return Funnel(metrics.second_touch, reasons, funnel_chart(summary), reasons_chart(charted) if charted else None)


def _published(found: DeliveredSegments) -> PublishedSegments:
    named = sorted(found.by_segment.items(), key=lambda item: (-item[1], item[0]))
    cells: list[tuple[Label, int | SmallCell]] = [(Label(segment), events) for segment, events in named]
    return PublishedSegments(
        found.touch, found.delivered, [*cells, (Label(OTHER), masked_count(found.other, found.min_cell))]
    )


def _unusable(days: Iterable[DayCounts]) -> list[tuple[Scope, Outcome, Reserved, int]]:
    """Return how many events had a reason that says nothing, by touch, outcome and what the rollup wrote instead."""
    found: Counter[tuple[Scope, Outcome, Reserved]] = Counter()
    for day in days:
        for (touch, outcome, reason), events in day.counts.items():
            if reason in _RESERVED:
                found[Scope(touch), Outcome(outcome), Reserved(reason)] += events
    return [(*key, events) for key, events in sorted(found.items()) if events]
