"""All that Dagster serves: the daily pipeline, and the operator's tools as jobs."""

import dagster as dg

from ops_pipeline.contract.errors import error_boundary
from ops_pipeline.orchestration.again import ops_daily_again
from ops_pipeline.orchestration.boundary import guard_process
from ops_pipeline.orchestration.jobs import daily_definitions
from ops_pipeline.orchestration.ops import db_bootstrap, db_verify, prod_verify, retention, retention_schedule
from ops_pipeline.orchestration.report import report
from ops_pipeline.orchestration.sensors import alerts, heartbeat
from ops_pipeline.orchestration.stuck_runs import stuck_runs

guard_process()


@dg.definitions
@error_boundary
def definitions() -> dg.Definitions:
    """Return everything that Dagster serves; loading it needs no database and no secret.

    The report is served with the rest and not part of what the tools run: they say a verdict, page or no page.
    """
    served = dg.Definitions(
        assets=[report],
        jobs=[db_bootstrap, db_verify, prod_verify, retention],
        schedules=[retention_schedule],
        sensors=[alerts, heartbeat, ops_daily_again, stuck_runs],
        # Whatever is launched in the UI comes in order, the report last.
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(daily_definitions(), served)
