"""A day whose run failed for what passes by itself is launched again within the hour, not on the next night."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from ops_pipeline.contract.config import Schedule
from ops_pipeline.contract.days import ONE_DAY, each_day, last_complete_day, start_of
from ops_pipeline.contract.environment import first_day
from ops_pipeline.contract.errors import error_boundary
from ops_pipeline.contract.waits import MAY_PASS
from ops_pipeline.orchestration.jobs import is_failed, of_day, ops_daily, ops_daily_schedule
from ops_pipeline.orchestration.ownership import OPS_DAILY
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.orchestration.scheduler import Switch, schedule_switch

_TICK_SECONDS = 300
PAUSE = timedelta(minutes=20)
"""So long after a run has failed its day is launched again."""
_MOST_FAILURES = 12
"""Of a day in a row: what has failed so often does not pass."""
_ASKED = timedelta(hours=3, minutes=30)
"""Time of the UTC day by which the schedule has asked for the day before, if its tick did not fail."""


def days_again(instance: dg.DagsterInstance, now: datetime, first: date, settings: Schedule) -> Iterator[date]:
    """Yield the days that are to be launched again at `now`, oldest first.

    Those whose last run failed for what may pass, or was killed; and the last complete day, if the schedule is on and
    never asked for it, such as where the database was down at its tick.
    """
    last = last_complete_day(now)
    for day in each_day(max(first, last - (settings.days - 1) * ONE_DAY), last):
        records = instance.get_run_records(of_day(day), limit=_MOST_FAILURES)
        if not records:
            if day == last and _was_overlooked(instance, now):
                yield day
            continue
        newest, ended = records[0].dagster_run, records[0].end_time
        failures = sum(record.dagster_run.status is dg.DagsterRunStatus.FAILURE for record in records)
        if (
            failures < _MOST_FAILURES
            and is_failed(newest)
            and (ended is None or now - datetime.fromtimestamp(ended, UTC) >= PAUSE)
            and _may_pass(instance, newest.run_id)
        ):
            yield day


def _was_overlooked(instance: dg.DagsterInstance, now: datetime) -> bool:
    """Return whether the schedule should have asked for the last complete day: it asked before and is not off."""
    asked = dg.RunsFilter(job_name=OPS_DAILY, tags={"dagster/schedule_name": ops_daily_schedule.name})
    return (
        now >= start_of(now.date()) + _ASKED
        and schedule_switch(instance) is not Switch.STOPPED
        and bool(instance.get_runs(asked, limit=1))
    )


def _may_pass(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Return whether the run failed for what may pass; a run without a failed step was killed, which passes too."""
    texts = [
        str(getattr(entry.dagster_event.event_specific_data, "error", ""))
        for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        if entry.dagster_event is not None
    ]
    words = {word for text in texts for word in re.findall(r"OpsError: (\w+)", text)}
    return not texts or bool(words & {reason.value for reason in MAY_PASS})


@dg.sensor(
    job=ops_daily,
    minimum_interval_seconds=_TICK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Twenty minutes after a day's run failed for what passes by itself (a database that was away, a lock), or "
        "was killed: asks for the day again, up to twelve times. So too where the schedule's own tick failed."
    ),
)
@error_boundary
def ops_daily_again(
    context: dg.SensorEvaluationContext, deployment: Deployment
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for a run of each day that is to be launched again, oldest first."""
    now, settings = datetime.now(UTC), deployment.settings().schedule
    days = list(days_again(context.instance, now, first_day(), settings))
    for day in days:
        runs = context.instance.get_runs_count(of_day(day))
        # Two ticks that see the same runs ask for the same one.
        yield dg.RunRequest(run_key=f"{day}_again_{runs}", partition_key=day.isoformat())
    if not days:
        yield dg.SkipReason("no day failed for what passes")
