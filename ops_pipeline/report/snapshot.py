"""A day's figures and verdict as one JSON object, for machines.

`docs/reference/snapshot.schema.json` is made from the types here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Literal

from typing_extensions import TypedDict

from ops_pipeline.contract.lines import Line, Snapshot
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import SmallCell
from ops_pipeline.contract.vocabulary import AttemptsSource, Change, Scope, SignalName, Status, Touch
from ops_pipeline.health.metrics import DeliveredSegments, DeliveredTotal, Metrics, SecondTouchSummary
from ops_pipeline.health.verdict import Signal, Verdict

SCHEMA_VERSION = 2
"""Version of the snapshot's shape: raised when a field changes its name or meaning, not when one is added."""


class DeliveredTotalDocument(TypedDict):
    """Deliveries of one touch, or of both, in a window."""

    touch: Scope
    window_days: int
    delivered: int
    positive: int
    positive_rate: float | None


class RateDocument(TypedDict):
    """A rate of one touch in a window, with the counts that it is made of."""

    touch: Touch
    window_days: int
    name: SignalName
    count: int
    total: int
    attempts_source: AttemptsSource | None
    """Where the total is from, if it is a number of attempts."""
    value: float | None


class SecondTouchDocument(TypedDict):
    """The second touch's whole funnel in a window."""

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
    suppression_rate: float | None
    hold_rate: float | None


class SegmentsDocument(TypedDict):
    """Deliveries of one touch on the day, by segment."""

    touch: Scope
    delivered: int
    by_segment: Mapping[str, int]
    min_cell: int
    other: int | str
    """`lt10` where there are fewer than 10."""


class SignalDocument(TypedDict):
    """One thing that is watched."""

    touch: Scope
    name: SignalName
    status: Status
    reason: Reason
    window_days: int
    count: int
    total: int | None
    rate: float | None
    expected: float | None
    critical: float | None
    limit: float | None
    bound: float | None
    history_days: int | None
    min_detectable: float | None
    since: date | None
    change: Change
    muted_until: date | None


class SnapshotDocument(TypedDict):
    """Everything that ops_daily says of a day."""

    schema_version: Literal[2]
    as_of: date
    status: Status
    reason: Reason
    reasons: list[Reason]
    since: date | None
    change: Change
    previous_status: Status | None
    delivered_totals: list[DeliveredTotalDocument]
    hold_suppression_rates: list[RateDocument]
    second_touch_summaries: list[SecondTouchDocument]
    delivered_segments: list[SegmentsDocument]
    signals: list[SignalDocument]


def snapshot_line(metrics: Metrics, verdict: Verdict) -> Line:
    """Return the line `ops_metrics_snapshot`, whose object is a `SnapshotDocument`."""
    return Snapshot(
        {
            "schema_version": SCHEMA_VERSION,
            "as_of": metrics.as_of,
            "status": verdict.status,
            "reason": verdict.reason,
            "reasons": verdict.unhealthy_reasons or (verdict.reason,),
            "since": verdict.since,
            "change": verdict.change,
            "previous_status": verdict.previous_status,
            "delivered_totals": [_total(total) for total in metrics.totals],
            "hold_suppression_rates": [{**asdict(rate), "value": rate.value} for rate in metrics.rates],
            "second_touch_summaries": [_summary(summary) for summary in metrics.second_touch],
            "delivered_segments": [_segments(found) for found in metrics.segments],
            "signals": [_signal(signal) for signal in verdict.signals],
        }
    )


def _total(total: DeliveredTotal) -> dict[str, object]:
    return {**asdict(total), "positive_rate": total.positive_rate}


def _signal(signal: Signal) -> dict[str, object]:
    document = asdict(signal)
    # What only the next day's verdict needs.
    del document["episode"]
    return document


def _summary(summary: SecondTouchSummary) -> dict[str, object]:
    return {**asdict(summary), "suppression_rate": summary.suppression_rate, "hold_rate": summary.hold_rate}


def _segments(found: DeliveredSegments) -> dict[str, object]:
    return {**asdict(found), "other": masked_count(found.other, found.min_cell)}


def masked_count(count: int, min_cell: int) -> int | SmallCell:
    """Return a count of a breakdown as it may be published: `lt10` where it is less than a `min_cell` of 10."""
    return SmallCell(f"lt{min_cell}") if count < min_cell else count
