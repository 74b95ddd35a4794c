"""What happens after a day is decided: people are told of a change of state, and a monitor that the day was done.

Both look at what is, not at what happened: a sensor that was down or restarted tells late, and neither never nor
twice.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg
from sqlalchemy import Engine

from ops_pipeline.contract.config import Links
from ops_pipeline.contract.days import ONE_DAY, last_complete_day
from ops_pipeline.contract.errors import OpsError, error_boundary
from ops_pipeline.contract.lines import ExitCode
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AlertKind, Status
from ops_pipeline.health.alerts import Alert, due
from ops_pipeline.orchestration.jobs import OPS_DAILY, has_failed
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.report.alert_message import alert_line, alert_message
from ops_pipeline.report.notify import alert_addresses, ping, send
from ops_pipeline.store.alerts import last_sent_alert, lock_alerts, record_sent, was_sent
from ops_pipeline.store.engine import reading, writing
from ops_pipeline.store.progress import read_progress
from ops_pipeline.store.results import read_verdict

_EVERY_SECONDS = 60
_NEWS_DAYS = 2
"""A day that ended longer ago is no news: what is run of the past is nobody's alarm."""
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)


@dg.sensor(
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Tells the addresses of OPS_ALERT_URLS when an episode begins, gets worse or ends, and when yesterday's run "
        "failed. What cannot be sent is tried again at the next tick."
    ),
)
@error_boundary
def alerts(context: dg.SensorEvaluationContext, deployment: Deployment) -> Iterator[dg.SkipReason]:
    """Send what is due."""
    if not alert_addresses():
        yield dg.SkipReason("OPS_ALERT_URLS is not set")
        return
    told = tell(
        deployment.engine(), deployment.settings().links, has_failed=has_failed(context.instance, last_complete_day())
    )
    yield dg.SkipReason("nothing new" if told is None else str(alert_line(told)))


def tell(engine: Engine, links: Links, *, has_failed: bool) -> Alert | None:
    """Send what is due, note it, and return it; None: nothing is. Raises OpsError `alert_not_sent`.

    It is noted only after it was sent: rather twice than never.
    """
    with writing(engine) as connection:
        lock_alerts(connection)
        newest = read_progress(connection).verdict_day
        is_news = newest is not None and newest > last_complete_day() - _NEWS_DAYS * ONE_DAY
        verdict = read_verdict(connection, newest) if newest is not None and is_news else None
        alert = due(verdict, last_sent_alert(connection)) if verdict is not None else None
        if alert is None and has_failed:
            verdict = None
            alert = Alert(kind=AlertKind.FAILED, day=last_complete_day(), reason=Reason.RUN_FAILED, since=None)
        if alert is None or was_sent(connection, alert):
            return None
        send(*alert_message(alert, verdict, links))
        record_sent(connection, alert)
        return alert


@dg.sensor(
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Pings OPS_HEARTBEAT_URL after each finished run of ops_daily, with the exit code and no body.",
)
@error_boundary
def heartbeat(context: dg.SensorEvaluationContext, deployment: Deployment) -> Iterator[dg.SkipReason]:
    """Ping once for the newest run that has ended."""
    runs = context.instance.get_runs(dg.RunsFilter(job_name=OPS_DAILY, statuses=list(_ENDED)), limit=1)
    newest = runs[0].run_id if runs else None
    if newest is None or newest == context.cursor:
        yield dg.SkipReason("no run has ended since")
        return
    is_pinged = ping(_exit_code(deployment.engine(), runs[0]))
    context.update_cursor(newest)
    yield dg.SkipReason("pinged" if is_pinged else "OPS_HEARTBEAT_URL is not set")


def _exit_code(engine: Engine, run: dg.DagsterRun) -> int:
    """Return what `ops_daily` would have ended with."""
    if run.status is not dg.DagsterRunStatus.SUCCESS:
        return ExitCode.FAILED
    with reading(engine) as connection:
        verdict = read_verdict(connection, date.fromisoformat(run.tags["dagster/partition"]))
    if verdict is None:
        raise OpsError(Reason.INTERNAL_ERROR)
    return ExitCode.OK if verdict.status is Status.HEALTHY else ExitCode.NOT_HEALTHY
