"""The daily pipeline: its job, its schedule, and all that they need."""

from datetime import UTC

import dagster as dg

from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.contract.errors import declared
from ops_pipeline.orchestration.assets import (
    daily_counts,
    delivered_totals,
    hold_suppression_rates,
    second_touch_summaries,
)
from ops_pipeline.orchestration.checks import watchdog
from ops_pipeline.orchestration.resources import Deployment

OPS_DAILY = "ops_daily"

ops_daily = dg.define_asset_job(
    OPS_DAILY,
    selection=dg.AssetSelection.all(),
    # A process per step would take five times as long as the steps themselves.
    executor_def=dg.in_process_executor,
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
    description="At 03:00 UTC, the UTC day that has just ended.",
)
@declared
def ops_daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for the last complete UTC day."""
    day = (context.scheduled_execution_time.astimezone(UTC).date() - ONE_DAY).isoformat()
    return dg.RunRequest(run_key=day, partition_key=day)


def daily_definitions() -> dg.Definitions:
    """Return the daily pipeline, complete in itself."""
    return dg.Definitions(
        assets=[daily_counts, delivered_totals, hold_suppression_rates, second_touch_summaries],
        asset_checks=[watchdog],
        jobs=[ops_daily],
        schedules=[ops_daily_schedule],
        resources={"deployment": Deployment()},
    )
