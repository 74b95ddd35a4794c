"""The daily pipeline: its job, its schedule, and all that they need."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from ops_pipeline.contract.config import Schedule
from ops_pipeline.contract.days import ONE_DAY, each_day, last_complete_day
from ops_pipeline.contract.environment import first_day
from ops_pipeline.contract.errors import error_boundary
from ops_pipeline.orchestration.assets import (
    daily_counts,
    delivered_totals,
    delivery_events,
    hold_suppression_rates,
    second_touch_summaries,
)
from ops_pipeline.orchestration.checks import watchdog
from ops_pipeline.orchestration.ownership import IN_TURN, OPS_DAILY, QUEUE_TAG
from ops_pipeline.orchestration.resources import Deployment

RESULTS = (delivered_totals, hold_suppression_rates, second_touch_summaries)
"""The assets that a day is done with."""

ops_daily = dg.define_asset_job(
    OPS_DAILY,
    selection=dg.AssetSelection.all(),
    # A process per step would take five times as long as the steps themselves.
    executor_def=dg.in_process_executor,
    tags={QUEUE_TAG: IN_TURN},
    description=(
        "Rolls up the UTC day, computes its metrics and asks the watchdog. Running a day again replaces it: the "
        "result is the same unless events arrived late."
    ),
)


@dg.schedule(
    job=ops_daily,
    cron_schedule="0 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "At 03:00 UTC: the UTC day that has just ended, earlier ones that were missed or failed, and the last few "
        "again for events that arrived late."
    ),
)
@error_boundary
def ops_daily_schedule(
    context: dg.ScheduleEvaluationContext, deployment: Deployment
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for a run of each day that is wanted, oldest first."""
    last = last_complete_day()
    settings = deployment.settings().schedule
    days = wanted_days(context.instance, max(first_day(), last - (settings.days - 1) * ONE_DAY), last, settings)
    # Ticks of the same UTC day, doubled or made up for, ask for the same runs.
    yield from (dg.RunRequest(run_key=f"{day}_after_{last}", partition_key=day.isoformat()) for day in days)
    if not days:
        yield dg.SkipReason("OPS_FIRST_DAY is yet to come")


def wanted_days(instance: dg.DagsterInstance, first: date, last: date, settings: Schedule) -> list[date]:
    """Return which of the complete days up to `last` should be run, oldest first.

    Those that lack a result in Dagster, those whose last run failed, and those whose events may still be late.
    """
    done = set.intersection(*(instance.get_materialized_partitions(asset.key) for asset in RESULTS))
    settled = last - settings.late_days * ONE_DAY
    return [
        day
        for day in each_day(first, last)
        if day > settled or day.isoformat() not in done or has_failed(instance, day)
    ]


def of_day(day: date) -> dg.RunsFilter:
    """Return what selects the runs of `day`, the newest first."""
    return dg.RunsFilter(job_name=OPS_DAILY, tags={"dagster/partition": day.isoformat()})


def has_failed(instance: dg.DagsterInstance, day: date) -> bool:
    """Return whether the last run of `day` failed, and Dagster does not try it again."""
    return any(map(is_failed, instance.get_runs(of_day(day), limit=1)))


def is_failed(run: dg.DagsterRun) -> bool:
    """Return whether a run failed, and Dagster does not try it again."""
    return run.status is dg.DagsterRunStatus.FAILURE and run.tags.get("dagster/will_retry") != "true"


def daily_definitions() -> dg.Definitions:
    """Return the daily pipeline, complete in itself."""
    return dg.Definitions(
        assets=[delivery_events, daily_counts, delivered_totals, hold_suppression_rates, second_touch_summaries],
        asset_checks=[watchdog],
        jobs=[ops_daily],
        schedules=[ops_daily_schedule],
        resources={"deployment": Deployment()},
    )
