"""All wiring of Dagster."""

import dagster as dg

from ops_pipeline.orchestration.assets import (
    daily_counts,
    delivered_totals,
    hold_suppression_rates,
    second_touch_summaries,
)
from ops_pipeline.orchestration.checks import watchdog
from ops_pipeline.orchestration.jobs import ops_daily, ops_daily_schedule
from ops_pipeline.orchestration.resources import Deployment


@dg.definitions
def definitions() -> dg.Definitions:
    """Return everything that Dagster serves; loading it needs no database and no secret."""
    return dg.Definitions(
        assets=[daily_counts, delivered_totals, hold_suppression_rates, second_touch_summaries],
        asset_checks=[watchdog],
        jobs=[ops_daily],
        schedules=[ops_daily_schedule],
        resources={"deployment": Deployment()},
    )
