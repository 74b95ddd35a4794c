"""The daily assets, one UTC day a partition. Checks live in `checks`, jobs and schedules in `jobs`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import TypeVar

import dagster as dg
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from ops_pipeline.contract.config import HISTORY_DAYS
from ops_pipeline.contract.days import ONE_DAY, parse_day
from ops_pipeline.contract.environment import first_kept_day
from ops_pipeline.contract.errors import declared
from ops_pipeline.contract.vocabulary import OTHER, Outcome, Scope, Touch
from ops_pipeline.events.rollup import RolledUp, roll_up_day
from ops_pipeline.health.counts import DayCounts, WindowCounts
from ops_pipeline.health.metrics import DeliveredSegments, DeliveredTotal
from ops_pipeline.health.metrics import delivered_totals as compute_totals
from ops_pipeline.health.metrics import hold_suppression_rates as compute_rates
from ops_pipeline.health.metrics import second_touch_summaries as compute_summaries
from ops_pipeline.orchestration.partitions import utc_days
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.report.charts import funnel_chart, trend_chart
from ops_pipeline.report.daily_lines import told
from ops_pipeline.report.inline import markdown_image
from ops_pipeline.report.tables import markdown_table
from ops_pipeline.store import results, schema
from ops_pipeline.store.daily_counts import lock_days, read_days
from ops_pipeline.store.engine import reading, writing

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]
_RATES = ("hold_rate", "suppression_rate", "failure_rate")
DIGITS = 6
"""Decimals of a rate in the UI."""
CHART_DAYS = 30
"""Days, ending with the partition's, that an asset's chart shows."""
OWNERS = ["team:delivery-operations"]
KINDS = {"postgres", "python"}
TAGS = {"cadence": "daily", "privacy": "aggregate_only"}


EVENTS, COUNTS, METRICS, PUBLISHED = "events", "counts", "metrics", "published"
"""The groups of assets, which the lineage shows as boxes."""


Computed = TypeVar("Computed")
Figures = Mapping[str, int | float | str | None]
Lines = Mapping[str, Callable[[DayCounts], float | None]]


def _table_metadata(table: Table) -> dict[str, object]:
    """Return what the catalogue shows of a table: its name, and each column with type and constraints."""
    return {
        "dagster/table_name": table.fullname,
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    column.name,
                    column.type.compile(_POSTGRESQL).lower(),
                    description=schema.MEANING[column.name],
                    constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), unique=False),
                )
                for column in table.columns
            ]
        ),
    }


def _metadata(figures: Figures, table: str, *images: str | None) -> dict[str, dg.MetadataValue]:
    """Return figures as numbers, which Dagster plots over the partitions, and a table and charts for people."""
    shown = {name: _number(value) for name, value in figures.items() if value is not None}
    drawn = "\n\n".join(image for image in images if image)
    chart = {"chart": dg.MetadataValue.md(drawn)} if drawn else {}
    return {**shown, "table": dg.MetadataValue.md(table), **chart}


def _trend(counts: Sequence[DayCounts], words: str, lines: Lines) -> str | None:
    """Return each line's figure on the days of `counts` as a chart in Markdown; None: nothing can draw."""
    figures = {name: {day.day: figure(day) for day in counts} for name, figure in lines.items()}
    return markdown_image(lambda: trend_chart([day.day for day in counts], figures), words)


def _number(value: int | float | str) -> dg.MetadataValue:
    match value:
        case int():
            return dg.MetadataValue.int(value)
        case float():
            return dg.MetadataValue.float(round(value, DIGITS))
        case _:
            return dg.MetadataValue.text(value)


delivery_events = dg.AssetSpec(
    "delivery_events",
    group_name=EVENTS,
    kinds={"postgres"},
    owners=OWNERS,
    tags={"privacy": "no_identifiers"},
    description=(
        "What happened to each message, as the application says it: `ops.delivery_events`, or the relation that "
        "OPS_EVENTS_RELATION names. Read by the daily counts alone; its rows are never copied."
    ),
)


@dg.asset(
    partitions_def=utc_days,
    deps=[delivery_events],
    group_name=COUNTS,
    kinds=KINDS,
    owners=OWNERS,
    tags=TAGS,
    metadata=_table_metadata(schema.daily_counts),
    description=(
        "How many events of each touch, outcome, reason and segment there were on the UTC day: one GROUP BY on the "
        "events relation. Days that were never counted and that a verdict looks back on are counted with it."
    ),
)
@declared
def daily_counts(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """Count the day's events."""
    day = parse_day(context.partition_key)
    rolled_up = _roll_up(deployment, day)
    for other in rolled_up.days:
        if other != day:
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=other.isoformat()))
    with reading(deployment.engine()) as connection:
        counts = _charted(read_days(connection, day - CHART_DAYS * ONE_DAY, day), day)
    today = WindowCounts(counts, day, 1)
    table = markdown_table(
        ("outcome", *Touch), ((outcome, *(today.total(touch, outcome) for touch in Touch)) for outcome in Outcome)
    )
    lines = {touch.value: partial(_events, touch=touch) for touch in Touch}
    figures = {
        "events": sum(_events(one) for one in counts if one.day == day),
        "days_counted": len(rolled_up.days),
        "days_kept": len(rolled_up.kept),
    }
    return dg.MaterializeResult(metadata=_metadata(figures, table, _trend(counts, "Events a day, by touch", lines)))


def _charted(counts: Sequence[DayCounts], day: date) -> list[DayCounts]:
    return [one for one in counts if day - CHART_DAYS * ONE_DAY < one.day <= day]


def _events(counts: DayCounts, touch: str | None = None) -> int:
    return sum(events for (its_touch, *_), events in counts.counts.items() if touch in (None, its_touch))


def _roll_up(deployment: Deployment, day: date) -> RolledUp:
    return roll_up_day(
        deployment.engine(),
        deployment.events_engine(),
        deployment.events_relation(),
        day,
        first_day=first_kept_day(),
        config=deployment.settings(),
    )


def _compute(
    deployment: Deployment,
    day: date,
    compute: Callable[[list[DayCounts], date, tuple[int, ...]], Computed],
    write: Callable[[Connection, date, Computed], None],
) -> tuple[Computed, list[DayCounts]]:
    """Compute the day's figures from the stored counts, and replace what was stored of them.

    Returns them, and the counts of the days that a chart shows.
    """
    with writing(deployment.engine()) as connection:
        lock_days(connection)
        counts = read_days(connection, day - (HISTORY_DAYS - 1) * ONE_DAY, day)
        found = compute(counts, day, deployment.settings().windows.days)
        write(connection, day, found)
    return found, _charted(counts, day)


@dg.asset(
    partitions_def=utc_days,
    deps=[daily_counts],
    group_name=METRICS,
    kinds=KINDS,
    owners=OWNERS,
    tags=TAGS,
    metadata=_table_metadata(schema.delivered_totals),
    description="Deliveries of the day and of each window that ends with it, per touch; the day's by segment too.",
)
@declared
def delivered_totals(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """Compute deliveries from the daily counts."""
    day = parse_day(context.partition_key)
    settings = deployment.settings()

    segments: list[DeliveredSegments] = []

    def write(connection: Connection, day: date, totals: tuple[DeliveredTotal, ...]) -> None:
        results.write_delivered_totals(connection, day, totals)
        segments.extend(results.publish_segments(connection, day, settings.privacy, settings.taxonomy.segments))

    totals, counts = _compute(deployment, day, compute_totals, write)
    today = {total.touch: total for total in totals if total.window_days == 1}
    table = markdown_table(
        ("window_days", "touch", "delivered", "positive", "positive_rate"),
        ((total.window_days, total.touch, total.delivered, total.positive, total.positive_rate) for total in totals),
    )
    lines = {touch.value: partial(_delivered, touch=touch) for touch in Touch}
    return dg.MaterializeResult(
        metadata=_metadata(
            {
                "delivered": today[Scope.BOTH].delivered,
                "delivered_first": today[Scope.FIRST].delivered,
                "delivered_second": today[Scope.SECOND].delivered,
                "positive": today[Scope.BOTH].positive,
                "positive_rate": today[Scope.BOTH].positive_rate,
            },
            table,
            _trend(counts, "Deliveries a day, by touch", lines),
        )
        | _segments_metadata(segments)
    )


def _delivered(counts: DayCounts, touch: Touch) -> int:
    return WindowCounts([counts], counts.day, 1).total(touch, Outcome.DELIVERED)


def _segments_metadata(segments: Sequence[DeliveredSegments]) -> dict[str, dg.MetadataValue]:
    rows = [
        (found.touch, segment, events)
        for found in segments
        for segment, events in (*found.by_segment.items(), (OTHER, told(found.other, found.min_cell)))
    ]
    return {"segments": dg.MetadataValue.md(markdown_table(("touch", "segment", "delivered"), rows))} if rows else {}


@dg.asset(
    partitions_def=utc_days,
    deps=[daily_counts],
    group_name=METRICS,
    kinds=KINDS,
    owners=OWNERS,
    tags=TAGS,
    metadata=_table_metadata(schema.hold_suppression_rates),
    description="Hold, suppression and failure rates of the day and of each window that ends with it, per touch.",
)
@declared
def hold_suppression_rates(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """Compute rates from the daily counts."""
    day = parse_day(context.partition_key)
    rates, counts = _compute(deployment, day, compute_rates, results.write_hold_suppression_rates)
    figures = {
        f"{name}_{rate.touch}": getattr(rate, name) for rate in rates if rate.window_days == 1 for name in _RATES
    }
    table = markdown_table(
        (
            "window_days",
            "touch",
            "hold_rate",
            "attempts",
            "suppression_rate",
            "offered",
            "failure_rate",
            "delivered",
        ),
        (
            (
                rate.window_days,
                rate.touch,
                rate.hold_rate,
                rate.attempted,
                rate.suppression_rate,
                rate.offered,
                rate.failure_rate,
                rate.delivered,
            )
            for rate in rates
        ),
    )
    charts = [
        _trend(
            counts, f"Rates of the {touch} touch, day by day", {name: partial(_rate, touch, name) for name in _RATES}
        )
        for touch in Touch
    ]
    return dg.MaterializeResult(metadata=_metadata(figures, table, *charts))


def _rate(touch: Touch, name: str, counts: DayCounts) -> float | None:
    of_day = compute_rates([counts], counts.day, ())
    found: float | None = next(getattr(rate, name) for rate in of_day if rate.touch.value == touch)
    return found


@dg.asset(
    partitions_def=utc_days,
    deps=[daily_counts],
    group_name=METRICS,
    kinds=KINDS,
    owners=OWNERS,
    tags=TAGS,
    metadata=_table_metadata(schema.second_touch_summaries),
    description="The second touch's whole funnel, with every reason, for the day and each window that ends with it.",
)
@declared
def second_touch_summaries(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """Compute the second touch's funnel from the daily counts."""
    day = parse_day(context.partition_key)
    summaries, _ = _compute(deployment, day, compute_summaries, results.write_second_touch_summaries)
    today = next(summary for summary in summaries if summary.window_days == 1)
    stages = ("offered", "suppressed", "attempted", "held", "queued", "delivered", "acknowledged", "disabled")
    table = markdown_table(
        ("window_days", *stages),
        ((summary.window_days, *(getattr(summary, stage) for stage in stages)) for summary in summaries),
    )
    figures = {stage: getattr(today, stage) for stage in stages}
    chart = markdown_image(
        lambda: funnel_chart(summaries[-1]), f"The second touch's funnel over {summaries[-1].window_days} days"
    )
    return dg.MaterializeResult(metadata=_metadata(figures, table, chart))
