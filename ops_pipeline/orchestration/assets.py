"""The daily assets, one UTC day a partition. Checks live in `checks`, jobs and schedules in `jobs`.

The first of them publishes the whole day; the others show their part of it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial

import dagster as dg
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from ops_pipeline.contract.days import ONE_DAY, each_day, parse_day
from ops_pipeline.contract.errors import error_boundary
from ops_pipeline.contract.lines import as_text, wait_line
from ops_pipeline.contract.rates import RATE_OF, RATES
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import OTHER, Outcome, Scope, SignalName, Touch
from ops_pipeline.contract.waits import told
from ops_pipeline.health.counts import DayCounts, WindowCounts
from ops_pipeline.health.metrics import DeliveredSegments, day_rates
from ops_pipeline.operations.publish import Published
from ops_pipeline.orchestration.partitions import utc_days
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.report.snapshot import masked_count
from ops_pipeline.report.sparkline import sparkline
from ops_pipeline.report.tables import markdown_table
from ops_pipeline.store import schema

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]
DIGITS = 6
"""Decimals of a rate in the UI."""
CHART_DAYS = 30
"""Days, ending with the partition's, that an asset's chart shows."""
OWNERS = ["team:delivery-operations"]
KINDS = {"postgres", "python"}
TAGS = {"cadence": "daily", "privacy": "aggregate_only"}

EVENTS, COUNTS, METRICS, PUBLISHED = "events", "counts", "metrics", "published"
"""The groups of assets, which the lineage shows as boxes."""

Figures = Mapping[str, int | float | str | None]


def daily_asset(
    table: Table, group: str, description: str, deps: Sequence[dg.AssetsDefinition | dg.AssetSpec]
) -> Callable[[Callable[..., dg.MaterializeResult[None]]], dg.AssetsDefinition]:
    """Return the decorator of an asset that is a table with one UTC day a partition."""
    return dg.asset(
        partitions_def=utc_days,
        deps=deps,
        group_name=group,
        kinds=KINDS,
        owners=OWNERS,
        tags=TAGS,
        metadata=_table_metadata(table),
        description=description,
    )


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


def _metadata(figures: Figures, table: str, *charts: str) -> dict[str, dg.MetadataValue]:
    """Return figures as numbers, which Dagster plots over the partitions, and a table and charts for people."""
    shown = {name: _number(value) for name, value in figures.items() if value is not None}
    chart = {"chart": dg.MetadataValue.md("\n\n".join(charts))} if charts else {}
    return {**shown, "table": dg.MetadataValue.md(table), **chart}


def _number(value: int | float | str) -> dg.MetadataValue:
    match value:
        case int():
            return dg.MetadataValue.int(value)
        case float():
            return dg.MetadataValue.float(round(value, DIGITS))
        case _:
            return dg.MetadataValue.text(value)


def _chart(
    words: str, published: Published, day: date, figures: Mapping[str, Callable[[DayCounts], float | None]]
) -> str:
    """Return the figures of the days up to `day`; a day that was not counted is a gap."""
    counts = {one.day: one for one in published.counts}
    days = list(each_day(day - (CHART_DAYS - 1) * ONE_DAY, day))
    lines = {
        name: [figure(counts[one]) if one in counts else None for one in days] for name, figure in figures.items()
    }
    return sparkline(words, days, lines)


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


@daily_asset(
    schema.daily_counts,
    COUNTS,
    "How many events of each touch, outcome, reason and segment there were on the UTC day: one GROUP BY on the "
    "events relation. Days that were never counted and that a verdict looks back on are counted with it. The day's "
    "figures and its verdict are stored with the counts, in one transaction.",
    [delivery_events],
)
@error_boundary
def daily_counts(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """Count the day's events, and publish the day."""
    day = parse_day(context.partition_key)

    def say_wait(reason: Reason, **fields: object) -> None:
        line = wait_line(reason, **fields)
        context.log.info(str(line))

    with told(say_wait):
        published = deployment.count_and_publish(day)
    for other in published.rolled_up.days:
        if other not in published.verdicts:
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=other.isoformat()))
    judged_again = [found for other, found in published.verdicts.items() if other != day]
    if judged_again:
        # They show what is defined here.
        from ops_pipeline.orchestration.backfill import show_days

        show_days(context.instance, judged_again)
    today = WindowCounts(published.counts, day, 1)
    table = markdown_table(
        ("outcome", *Touch), ((outcome, *(today.total(touch, outcome) for touch in Touch)) for outcome in Outcome)
    )
    figures = {
        "events": sum(sum(one.counts.values()) for one in published.counts if one.day == day),
        "days_counted": len(published.rolled_up.days),
        "days_kept": len(published.rolled_up.kept),
    }
    lines = {touch.value: partial(_events, touch) for touch in Touch}
    chart = _chart("Events a day, by touch", published, day, lines)
    return dg.MaterializeResult(metadata=_metadata(figures, table, chart))


def _events(touch: Touch, counts: DayCounts) -> int:
    return sum(events for (its_touch, _outcome, _reason), events in counts.counts.items() if its_touch == touch)


@daily_asset(
    schema.delivered_totals,
    METRICS,
    "Deliveries of the day and of each window that ends with it, per touch; the day's by segment too.",
    [daily_counts],
)
@error_boundary
def delivered_totals(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """Show the day's deliveries."""
    day = parse_day(context.partition_key)
    published = deployment.published(day)
    metrics = published.metrics[day]
    today = {total.touch: total for total in metrics.totals if total.window_days == 1}
    table = markdown_table(
        ("window_days", "touch", "delivered", "positive", "positive_rate"),
        (
            (total.window_days, total.touch, total.delivered, total.positive, total.positive_rate)
            for total in metrics.totals
        ),
    )
    figures = {
        "delivered": today[Scope.BOTH].delivered,
        "delivered_first": today[Scope.FIRST].delivered,
        "delivered_second": today[Scope.SECOND].delivered,
        "positive": today[Scope.BOTH].positive,
        "positive_rate": today[Scope.BOTH].positive_rate,
    }
    lines = {touch.value: partial(_logged, touch, Outcome.DELIVERED) for touch in Touch}
    chart = _chart("Deliveries a day, by touch", published, day, lines)
    return dg.MaterializeResult(metadata=_metadata(figures, table, chart) | _segments_metadata(metrics.segments))


def _logged(touch: Touch, outcome: Outcome, counts: DayCounts) -> int:
    return counts.total(touch, outcome)


def _segments_metadata(segments: Sequence[DeliveredSegments]) -> dict[str, dg.MetadataValue]:
    rows = [
        (found.touch, segment, events)
        for found in segments
        for segment, events in (*found.by_segment.items(), (OTHER, masked_count(found.other, found.min_cell)))
    ]
    return {"segments": dg.MetadataValue.md(markdown_table(("touch", "segment", "delivered"), rows))} if rows else {}


@daily_asset(
    schema.hold_suppression_rates,
    METRICS,
    "Every rate of the day and of each window that ends with it, per touch, with what it is made of.",
    [daily_counts],
)
@error_boundary
def hold_suppression_rates(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """Show the day's rates."""
    day = parse_day(context.partition_key)
    published = deployment.published(day)
    rates = published.metrics[day].rates
    figures = {f"{rate.name}_{rate.touch}": rate.value for rate in rates if rate.window_days == 1}
    rows: dict[tuple[int, Scope], list[str]] = {}
    for rate in rates:
        cell = f"{as_text(rate.value)} ({rate.count} of {rate.total})"
        rows.setdefault((rate.window_days, rate.touch), []).append(cell)
    table = markdown_table(("window_days", "touch", *RATE_OF), ((*key, *cells) for key, cells in rows.items()))
    charts = [
        _chart(
            f"Rates of the {touch} touch, day by day",
            published,
            day,
            {name.value: partial(_day_rate, touch, name) for name in _CHARTED_RATES},
        )
        for touch in Touch
    ]
    return dg.MaterializeResult(metadata=_metadata(figures, table, *charts))


def _day_rate(touch: Touch, name: SignalName, counts: DayCounts) -> float | None:
    return day_rates(counts, touch)[name]


_CHARTED_RATES = tuple(rate.name for rate in RATES if rate.asset == hold_suppression_rates.key.to_user_string())
_STAGES = ("offered", "suppressed", "attempts", "held", "queued", "delivered", "acknowledged", "disabled")
_CHARTED = (Outcome.OFFERED, Outcome.SUPPRESSED, Outcome.HELD, Outcome.DELIVERED)


@daily_asset(
    schema.second_touch_summaries,
    METRICS,
    "The second touch's whole funnel, with every reason, for the day and each window that ends with it.",
    [daily_counts],
)
@error_boundary
def second_touch_summaries(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """Show the second touch's funnel."""
    day = parse_day(context.partition_key)
    published = deployment.published(day)
    summaries = published.metrics[day].second_touch
    today = next(summary for summary in summaries if summary.window_days == 1)
    table = markdown_table(
        ("window_days", *_STAGES),
        ((summary.window_days, *(getattr(summary, stage) for stage in _STAGES)) for summary in summaries),
    )
    lines = {outcome.value: partial(_logged, Touch.SECOND, outcome) for outcome in _CHARTED}
    chart = _chart("The second touch, day by day", published, day, lines)
    return dg.MaterializeResult(metadata=_metadata({stage: getattr(today, stage) for stage in _STAGES}, table, chart))
