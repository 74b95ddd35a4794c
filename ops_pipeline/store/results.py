"""What was computed for a day: metrics and verdict, replaced as a whole and read back as they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import date
from enum import StrEnum
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, RowMapping, Table, delete, func, insert, select, union

from ops_pipeline.contract.config import Privacy
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.rates import RATE_OF
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AttemptsSource, Change, Outcome, Scope, SignalName, Status, Touch
from ops_pipeline.health.episodes import OpenEpisode
from ops_pipeline.health.metrics import DeliveredSegments, DeliveredTotal, Metrics, RateFigure, SecondTouchSummary
from ops_pipeline.health.segments import Breakdown, break_down
from ops_pipeline.health.verdict import Signal, Verdict
from ops_pipeline.store.schema import (
    alert_messages,
    daily_counts,
    day_faults,
    delivered_segments,
    delivered_totals,
    hold_suppression_rates,
    second_touch_summaries,
    verdicts,
)

WATCHDOG = "watchdog"
"""The name under which the verdict's whole is stored beside its signals."""

_OF_DAYS = (
    daily_counts,
    delivered_totals,
    delivered_segments,
    hold_suppression_rates,
    second_touch_summaries,
    verdicts,
    day_faults,
    alert_messages,
)
"""Everything that is stored day by day."""
_FIGURES = ("count", "total", "rate", "expected", "critical", "bound", "history_days", "min_detectable")

_OF_EPISODE = ("worst", "healthy_days", "quiet_days")
_COLUMN_OF = {"name": "rate"}
_WORDS: Mapping[str, type[StrEnum]] = {"touch": Scope, "name": SignalName, "attempts_source": AttemptsSource}
_RATES, _SCOPES = list(RATE_OF), list(Scope)

Figures = TypeVar("Figures", DeliveredTotal, RateFigure, SecondTouchSummary)


def _replace(connection: Connection, table: Table, day: date, rows: Iterable[Mapping[str, Any]]) -> None:
    connection.execute(delete(table).where(table.c.utc_day == day))
    connection.execute(insert(table).values([{"utc_day": day, **row} for row in rows]))


def write_metrics(connection: Connection, metrics: Metrics) -> None:
    """Replace the figures of their day; what is published by segment is written by `publish_segments`."""
    day = metrics.as_of
    totals = ({**asdict(total), "positive_rate": total.positive_rate} for total in metrics.totals)
    _replace(connection, delivered_totals, day, totals)
    figures = ({**asdict(rate), "value": rate.value} for rate in metrics.rates)
    _replace(connection, hold_suppression_rates, day, ({"rate": row.pop("name"), **row} for row in figures))
    summaries = (
        {**asdict(summary), "suppression_rate": summary.suppression_rate, "hold_rate": summary.hold_rate}
        for summary in metrics.second_touch
    )
    _replace(connection, second_touch_summaries, day, summaries)


def publish_segments(
    connection: Connection, day: date, privacy: Privacy, segments: Sequence[str]
) -> tuple[DeliveredSegments, ...]:
    """Break the deliveries of `day` down by `segments`, as far as that gives no small cell away.

    Returns what is stored, one of each touch. What was published of the day before is kept in mind: see
    `health.segments`. Without segments nothing changes.
    """
    if not segments:
        return ()
    before = {found.touch: Breakdown(found.delivered, found.by_segment) for found in _read_segments(connection, day)}
    counted = connection.execute(
        select(daily_counts.c.touch, daily_counts.c.segment, func.sum(daily_counts.c.events))
        .where(daily_counts.c.utc_day == day, daily_counts.c.outcome == Outcome.DELIVERED)
        .group_by(daily_counts.c.touch, daily_counts.c.segment)
    )
    delivered = {(touch, segment): int(events) for touch, segment, events in counted}
    rows = []
    for touch in Touch:
        total = sum(events for (its_touch, _), events in delivered.items() if its_touch == touch)
        cells = {segment: delivered.get((touch, segment), 0) for segment in segments}
        found = break_down(cells, total, privacy.min_cell, before.get(Scope(touch)))
        row = {"touch": touch, "delivered": total, "by_segment": found.by_segment, "min_cell": privacy.min_cell}
        rows.append(row)
    _replace(connection, delivered_segments, day, rows)
    return _read_segments(connection, day)


def _read_segments(connection: Connection, day: date) -> tuple[DeliveredSegments, ...]:
    rows = connection.execute(
        select(delivered_segments).where(delivered_segments.c.utc_day == day).order_by(delivered_segments.c.touch)
    )
    return tuple(
        DeliveredSegments(
            touch=Scope(row.touch), delivered=row.delivered, by_segment=row.by_segment, min_cell=row.min_cell
        )
        for row in rows
    )


def write_verdict(connection: Connection, verdict: Verdict) -> Verdict:
    """Replace the verdict of its day, and return what is stored.

    Where late data made it another status, it keeps the one before (`previous_status`).
    """
    before = read_verdict(connection, verdict.as_of)
    if before is not None:
        is_same = before.status is verdict.status
        verdict = replace(verdict, previous_status=before.previous_status if is_same else before.status)
    if verdict == before:
        return verdict
    whole = {
        "position": 0,
        "signal": WATCHDOG,
        "touch": Scope.BOTH,
        "status": verdict.status,
        "reason": verdict.reason,
        "window_days": max(signal.window_days for signal in verdict.signals),
        **dict.fromkeys((*_FIGURES, "limit_value")),
        "since": verdict.since,
        "change": verdict.change,
        "previous_status": verdict.previous_status,
        **dict.fromkeys(_OF_EPISODE),
        "muted_until": None,
    }
    rows = [whole]
    for position, signal in enumerate(verdict.signals, start=1):
        row = asdict(signal)
        # What an open episode has beside its beginning.
        episode = row.pop("episode") or {}
        rows.append(
            {
                "position": position,
                "signal": row.pop("name"),
                "limit_value": row.pop("limit"),
                **row,
                "previous_status": None,
                **{name: episode.get(name) for name in _OF_EPISODE},
            }
        )
    _replace(connection, verdicts, verdict.as_of, rows)
    return verdict


def read_metrics(connection: Connection, day: date) -> Metrics | None:
    """Return the metrics stored for `day`, or None where there are none; each in the order of window and touch."""
    totals = _read(connection, delivered_totals, day, DeliveredTotal)
    rates = _read(connection, hold_suppression_rates, day, RateFigure)
    if not totals or not rates:
        return None
    return Metrics(
        as_of=day,
        totals=tuple(sorted(totals, key=lambda one: (one.window_days, _SCOPES.index(one.touch)))),
        rates=tuple(
            sorted(rates, key=lambda one: (one.window_days, _SCOPES.index(one.touch), _RATES.index(one.name)))
        ),
        second_touch=tuple(_read(connection, second_touch_summaries, day, SecondTouchSummary)),
        segments=_read_segments(connection, day),
    )


def _read(connection: Connection, table: Table, day: date, cls: type[Figures]) -> list[Figures]:
    """Return the rows of `day`, those with fewer days in the window first."""
    rows = connection.execute(select(table).where(table.c.utc_day == day).order_by(table.c.window_days)).mappings()
    return [cls(**{item.name: _value(item.name, row) for item in fields(cls)}) for row in rows]


def _value(name: str, row: RowMapping) -> Any:
    """Return what a row holds of the field `name`, as the word that it is."""
    value = row[_COLUMN_OF.get(name, name)]
    return _WORDS[name](value) if name in _WORDS and value is not None else value


def read_verdict(connection: Connection, day: date) -> Verdict | None:
    """Return the verdict stored for `day`, or None where there is none. Raises as `read_verdicts` does."""
    return next(iter(read_verdicts(connection, day, day)), None)


def read_verdicts(connection: Connection, first: date, last: date) -> list[Verdict]:
    """Return the stored verdicts of the days from `first` to `last` that have one, oldest first.

    Raises OpsError `unknown_reason` for what a newer version wrote.
    """
    rows = connection.execute(
        select(verdicts)
        .where(verdicts.c.utc_day.between(first, last))
        .order_by(verdicts.c.utc_day, verdicts.c.position)
    )
    return [_verdict(day, list(of_day)) for day, of_day in groupby(rows, key=lambda row: row.utc_day)]


def _episode(row: Row[Any]) -> OpenEpisode | None:
    if row.worst is None:
        return None
    return OpenEpisode(row.since, row.worst, row.healthy_days, row.quiet_days)


def days_before(connection: Connection, before: date) -> list[date]:
    """Return the UTC days before `before` of which counts, figures or a verdict are stored, oldest first."""
    days = union(*(select(table.c.utc_day).where(table.c.utc_day < before) for table in _OF_DAYS))
    return sorted(connection.scalars(days))


def delete_days_before(connection: Connection, before: date) -> int:
    """Delete everything that is stored of the days before `before`, and return how many days. Call `lock_days`."""
    days = len(days_before(connection, before))
    for table in _OF_DAYS:
        connection.execute(delete(table).where(table.c.utc_day < before))
    return days


def last_judged_day(connection: Connection, last: date = date.max) -> date | None:
    """Return the last UTC day, up to `last`, that has a verdict; None: none has."""
    newest = select(func.max(verdicts.c.utc_day)).where(verdicts.c.utc_day <= last)
    found: date | None = connection.scalar(newest)
    return found


def first_judged_day(connection: Connection) -> date | None:
    """Return the first UTC day that has a verdict; None: none has."""
    found: date | None = connection.scalar(select(func.min(verdicts.c.utc_day)))
    return found


def stored_reason(code: str) -> Reason:
    """Return the reason of a stored verdict or alert. Raises OpsError `unknown_reason` for one of a newer version."""
    found = next((reason for reason in Reason if reason.value == code), None)
    if found is None:
        raise OpsError(Reason.UNKNOWN_REASON)
    return found


def _verdict(day: date, rows: Sequence[Row[Any]]) -> Verdict:
    whole, *signals = rows
    return Verdict(
        since=whole.since,
        change=Change(whole.change),
        previous_status=None if whole.previous_status is None else Status(whole.previous_status),
        as_of=day,
        status=Status(whole.status),
        reason=stored_reason(whole.reason),
        signals=tuple(
            Signal(
                touch=Scope(row.touch),
                name=SignalName(row.signal),
                status=Status(row.status),
                reason=stored_reason(row.reason),
                window_days=row.window_days,
                limit=row.limit_value,
                since=row.since,
                change=Change(row.change),
                episode=_episode(row),
                muted_until=row.muted_until,
                **{name: getattr(row, name) for name in _FIGURES},
            )
            for row in signals
        ),
    )
