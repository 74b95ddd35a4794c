"""Running the daily job from a command or another job: in this process, recorded on the Dagster instance."""

from datetime import date

import dagster as dg

from ops_pipeline.contract.errors import OpsError, to_ops_error
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.waits import retried
from ops_pipeline.health.metrics import Metrics
from ops_pipeline.health.verdict import Verdict
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.jobs import daily_definitions
from ops_pipeline.orchestration.ownership import AT_ONCE, OPS_DAILY, QUEUE_TAG
from ops_pipeline.orchestration.stuck_runs import end_stuck
from ops_pipeline.store.engine import ops_engine, reading
from ops_pipeline.store.results import read_metrics, read_verdict
from ops_pipeline.store.verify import verify_tables

# The command's own lines are all that an operator sees; the events are on the instance.
_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
# It waits for nobody and nobody for it; and Dagster, which cannot launch a command, must not say that it will.
_TAGS = {QUEUE_TAG: AT_ONCE, "dagster/max_retries": "0"}


def run_day_on_configured_instance(day: date) -> tuple[Metrics, Verdict]:
    """Run the job `ops_daily` for `day` and return what it stored. Raises OpsError with the reason of a failure."""

    def work() -> tuple[Metrics, Verdict]:
        verify_tables(ops_engine())
        with configured_instance() as instance:
            end_stuck(instance)
            return run_ops_daily(instance, day)

    return retried(work)


def run_ops_daily(instance: dg.DagsterInstance, day: date) -> tuple[Metrics, Verdict]:
    """Do the same on `instance`, for tables that were verified."""
    job = daily_definitions().resolve_job_def(OPS_DAILY)
    try:
        job.execute_in_process(instance=instance, partition_key=day.isoformat(), run_config=_SILENT, tags=_TAGS)
        with reading(ops_engine()) as connection:
            metrics, verdict = read_metrics(connection, day), read_verdict(connection, day)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - Dagster's storage can fail at any event
        failure = to_ops_error(error)
    else:
        if metrics is not None and verdict is not None:
            return metrics, verdict
        failure = OpsError(Reason.INTERNAL_ERROR)
    raise failure
