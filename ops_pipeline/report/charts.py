"""The charts of pages, drawn by Vega-Altair; their colours are variables of the page, which know light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from statistics import median
from typing import Any

from markupsafe import Markup

from ops_pipeline.contract.days import ONE_DAY, start_of
from ops_pipeline.contract.lines import as_text
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import Outcome, Status
from ops_pipeline.health.metrics import SecondTouchSummary
from ops_pipeline.health.verdict import Signal
from ops_pipeline.report.page import drawn, library

STATUS_COLOURS = {
    Status.HEALTHY: "var(--healthy)",
    Status.INSUFFICIENT_DATA: "var(--insufficient)",
    Status.UNHEALTHY: "var(--unhealthy)",
}
_WIDTH = 400
"""Pixels: as wide as a telephone, so that words can be read there too."""
_HEIGHT = 165
_LETTER = 6.4
_LONGEST_NAME = 240
"""Pixels that a letter and the longest name beside a bar have."""
_TICKS = 5
_DOT = 12
_FEW_DAYS = 45
_HALF_DAY_MS = 43_200_000
_HEADROOM = 1.15
_TEXT_MARGIN = 1.8
_NEAR = 1.6
"""A limit further away than so many times the rest is not drawn: it would flatten what is."""


def rate_chart(days: Sequence[date], signals: Mapping[date, Signal], *, is_low_bad: bool) -> Markup:
    """Return the rate of each day with what was expected, from where it would be unhealthy, and its limit."""
    altair = library("altair")
    top = _top(list(signals.values()), is_low_bad=is_low_bad)
    rows = [row for day in days for row in _rate_rows(day, signals, top, is_low_bad=is_low_bad)]
    base = altair.Chart(altair.Data(values=rows)).encode(x=_day_axis(altair, days))

    def y(field: str) -> Any:
        return altair.Y(f"{field}:Q", title=None, scale=altair.Scale(domain=[0, top], nice=False), axis=_axis(altair))

    is_unhealthy = altair.datum.status == Status.UNHEALTHY.value
    layers = [
        _planned(altair, base),
        base.mark_area(color="var(--band)").encode(y=y("expected"), y2="critical:Q"),
        base.mark_line(color="var(--critical)", strokeWidth=1, strokeDash=[2, 2]).encode(y=y("critical")),
        base.mark_line(color="var(--expected)", strokeWidth=1.2).encode(y=y("expected")),
        base.mark_line(color="var(--limit)", strokeWidth=1.4, strokeDash=[7, 4]).encode(y=y("limit")),
        base.mark_line(color="var(--healthy)", strokeWidth=2).encode(y=y("rate")),
        base.mark_circle(color="var(--healthy)", size=_DOT if len(days) > _FEW_DAYS else 3 * _DOT, opacity=1).encode(
            y=y("rate")
        ),
        base.mark_point(color="var(--unhealthy)", shape="diamond", filled=True, size=80, opacity=1)
        .transform_filter(is_unhealthy)
        .encode(y=y("rate")),
    ]
    return _drawn(altair.layer(*layers), _HEIGHT)


def is_drawn(limit: float, signals: Sequence[Signal], *, is_low_bad: bool) -> bool:
    """Return whether a limit lies within the chart of these signals."""
    return limit <= _top(signals, is_low_bad=is_low_bad)


def deliveries_chart(days: Sequence[date], delivered: Mapping[date, int], signals: Mapping[date, Signal]) -> Markup:
    """Return the deliveries of each day, with what each was expected to bring."""
    altair = library("altair")
    rows = [_delivered_row(day, delivered.get(day), signals.get(day)) for day in days]
    base = altair.Chart(altair.Data(values=rows)).encode(x=_day_axis(altair, days, "start"), x2="end:T")
    y = altair.Y("delivered:Q", title=None, scale=altair.Scale(zero=True), axis=_axis(altair))
    layers = [
        _planned(altair, base),
        base.mark_rect().encode(y=y, y2=altair.datum(0), color=_status_colour(altair)),
        base.mark_rule(color="var(--limit)", strokeWidth=2).encode(y="expected:Q"),
    ]
    return _drawn(altair.layer(*layers), _HEIGHT)


def funnel_chart(summary: SecondTouchSummary) -> Markup:
    """Return how many went on at each step of the funnel, and how many did not."""
    steps = (
        (Outcome.OFFERED, summary.offered, Outcome.SUPPRESSED, summary.suppressed),
        (Outcome.ATTEMPTED, max(summary.attempts - summary.held, 0), Outcome.HELD, summary.held),
        (Outcome.DELIVERED, summary.delivered, Outcome.FAILED, summary.failed),
        (Outcome.ACKNOWLEDGED, summary.acknowledged, None, 0),
    )
    rows = [
        {
            "step": as_text(step),
            "from": start,
            "to": start + events,
            "status": status.value,
            "text": f"{went_on} + {lost} {as_text(way)}" if way else f"{went_on}",
            "total": went_on + lost,
        }
        for step, went_on, way, lost in steps
        for start, events, status in ((0, went_on, Status.HEALTHY), (went_on, lost, Status.INSUFFICIENT_DATA))
    ]
    return _bars(rows, [as_text(step) for step, *_ in steps])


def reasons_chart(reasons: Sequence[tuple[Outcome, Label, int]]) -> Markup:
    """Return how many events of each outcome had which reason."""
    names = [f"{outcome}: {reason}" for outcome, reason, _ in reasons]
    rows = [
        {
            "step": name,
            "from": 0,
            "to": count,
            "status": (Status.HEALTHY if outcome is Outcome.ACKNOWLEDGED else Status.INSUFFICIENT_DATA).value,
            "text": f"{count}",
            "total": count,
        }
        for name, (outcome, _, count) in zip(names, reasons, strict=True)
    ]
    return _bars(rows, names)


def _bars(rows: Sequence[Mapping[str, object]], names: Sequence[str]) -> Markup:
    altair = library("altair")
    extent = min(_LONGEST_NAME, _LETTER * max(map(len, names)) + 8)
    axis = altair.Axis(labelLimit=_LONGEST_NAME, minExtent=extent, maxExtent=extent, ticks=False)
    base = altair.Chart(altair.Data(values=rows)).encode(
        y=altair.Y("step:N", title=None, sort=list(names), axis=axis)
    )
    most = max([1, *(int(str(row["total"])) for row in rows)]) * _TEXT_MARGIN
    x = altair.X("from:Q", title=None, axis=None, scale=altair.Scale(domain=[0, most], nice=False))
    bars = base.mark_bar(height=16).encode(x=x, x2="to:Q", color=_status_colour(altair))
    words = (
        base.mark_text(align="left", dx=5, color="currentColor")
        .transform_filter(altair.datum["from"] == 0)
        .encode(x="total:Q", text="text:N")
    )
    return _drawn(altair.layer(bars, words), 16 + 26 * len(names))


def _top(signals: Sequence[Signal], *, is_low_bad: bool) -> float:
    """Return where the axis of a rate ends; where little was counted the critical rate may lie beyond."""
    rates = [figure for signal in signals for figure in (signal.rate, signal.expected) if figure is not None]
    critical = [signal.critical for signal in signals if signal.critical is not None and not is_low_bad]
    usual = [min(max(critical), _NEAR * median(critical))] if critical else []
    top = max([0.0, *rates, *usual])
    limits = [signal.limit for signal in signals if signal.limit is not None]
    has_history = any(signal.expected is not None for signal in signals)
    near = [limit for limit in limits if not has_history or limit <= _NEAR * top]
    return max([top * _HEADROOM, *(limit * _HEADROOM for limit in near)]) or 1.0


def _rate_rows(
    day: date, signals: Mapping[date, Signal], top: float, *, is_low_bad: bool
) -> Iterator[dict[str, object]]:
    """Yield the day's row; beside a day without signal also one for the edge, so that every day has its width."""
    signal, span = signals.get(day), _span(day)
    if signal is None:
        yield {**span, **dict.fromkeys(("status", "planned", "rate", "expected", "critical", "limit"))}
        return
    critical = signal.critical
    if critical is None and signal.expected is not None:
        critical = 0.0 if is_low_bad else top
    row = {
        **span,
        "status": signal.status.value,
        "planned": signal.reason is Reason.PLANNED,
        "rate": signal.rate,
        "expected": signal.expected,
        "critical": None if critical is None else min(critical, top),
        "limit": signal.limit if signal.limit is not None and signal.limit <= top else None,
    }
    edge = {**row, "status": None, "planned": None, "rate": None}
    if day - ONE_DAY not in signals:
        yield {**edge, "day": span["start"]}
    yield row
    if day + ONE_DAY not in signals:
        yield {**edge, "day": span["end"]}


def _delivered_row(day: date, delivered: int | None, signal: Signal | None) -> dict[str, object]:
    return {
        **_span(day),
        "delivered": delivered,
        "status": (signal.status if signal else Status.INSUFFICIENT_DATA).value,
        "planned": signal is not None and signal.reason is Reason.PLANNED,
        "expected": expected_of_a_day(signal),
    }


def expected_of_a_day(signal: Signal | None) -> float | None:
    """Return what a day of the signal's window was expected to bring, on average where it has several."""
    return None if signal is None or signal.expected is None else signal.expected / signal.window_days


def _span(day: date) -> dict[str, object]:
    at = round(start_of(day).timestamp() * 1000)
    return {"day": at, "start": at - _HALF_DAY_MS, "end": at + _HALF_DAY_MS}


def _day_axis(altair: Any, days: Sequence[date], field: str = "day") -> Any:
    first, last = _span(days[0])["start"], _span(days[-1])["end"]
    step = max(1, round(len(days) / _TICKS))
    ticks = [_span(day)["day"] for day in reversed(days[::-1][::step])]
    axis = altair.Axis(values=ticks, format="%-d %b", grid=False, labelOverlap=True)
    scale = altair.Scale(type="utc", domain=[first, last], nice=False)
    return altair.X(f"{field}:T", title=None, axis=axis, scale=scale)


def _axis(altair: Any) -> Any:
    return altair.Axis(tickCount=4, domain=False, ticks=False, minExtent=30)


def _planned(altair: Any, base: Any) -> Any:
    return (
        base.mark_rect(color="var(--planned)").transform_filter(altair.datum.planned).encode(x="start:T", x2="end:T")
    )


def _status_colour(altair: Any) -> Any:
    scale = altair.Scale(domain=list(map(str, STATUS_COLOURS)), range=list(STATUS_COLOURS.values()))
    return altair.Color("status:N", scale=scale, legend=None)


def _drawn(chart: Any, height: int) -> Markup:
    axis = {
        "labelColor": "var(--muted)",
        "labelFontSize": 12,
        "gridColor": "var(--grid)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
    }
    return drawn(
        chart.properties(
            width=_WIDTH, height=height, padding=2, autosize={"type": "fit", "contains": "padding"}
        ).configure(aria=False, background="transparent", axis=axis, view={"stroke": None}, text={"fontSize": 12})
    )
