"""Runs whose process is gone: whoever comes next marks them as failed, so that nothing waits for them."""

import time

import dagster as dg

from ops_pipeline.contract.errors import error_boundary
from ops_pipeline.orchestration.beats import BEAT_SECONDS, SilentRun
from ops_pipeline.orchestration.storage import STUCK_TEXT, beats_of

_TICK_SECONDS = 30
SECOND_LOOK_SECONDS = BEAT_SECONDS + 5
"""In this time a run beats that lives, and whose process could not write a moment ago."""


def find_stuck(instance: dg.DagsterInstance) -> list[SilentRun]:
    """Return our runs whose process is gone, the longest first; none where the storage is not ours."""
    beats = beats_of(instance)
    return beats.silent(instance.run_monitoring_start_timeout_seconds) if beats else []


def end_stuck(instance: dg.DagsterInstance) -> int:
    """Mark the runs whose process is gone, and return how many were. Takes some seconds where there is one.

    A run that somebody was cancelling is cancelled; every other one has failed. Dagster then launches it again
    where it was launched by the daemon.
    """
    stuck = find_stuck(instance)
    beats = beats_of(instance)
    if not stuck or beats is None:
        return 0
    time.sleep(SECOND_LOOK_SECONDS)
    ended = 0
    for silent in stuck:
        run = instance.get_run_by_id(silent.run_id)
        if run is None or not beats.claim(silent):
            continue
        if silent.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, STUCK_TEXT)
        else:
            instance.report_run_failed(run, STUCK_TEXT)
        ended += 1
    return ended


@dg.sensor(
    minimum_interval_seconds=_TICK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Marks a run as failed whose process was killed: it has said nothing for a minute. Dagster then launches it "
        "again, once."
    ),
)
@error_boundary
def stuck_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Mark those that are stuck now."""
    ended = end_stuck(context.instance)
    return dg.SkipReason(f"marked {ended}" if ended else "no run is stuck")
