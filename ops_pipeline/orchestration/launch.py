"""Running the daily job from a command: in this process, recorded on the configured instance."""

from datetime import date

import dagster as dg

from ops_pipeline.contract.errors import as_declared
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.jobs import OPS_DAILY

# The command's own lines are all that an operator sees; the events are on the instance.
_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_ops_daily(definitions: dg.Definitions, day: date) -> None:
    """Run the job `ops_daily` for `day`. Raises OpsError with the reason of the step that failed."""
    job = definitions.resolve_job_def(OPS_DAILY)
    with configured_instance() as instance:
        try:
            job.execute_in_process(instance=instance, partition_key=day.isoformat(), run_config=_SILENT)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - Dagster's storage can fail at any event
            failure = as_declared(error)
        else:
            return
    raise failure
