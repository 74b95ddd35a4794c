"""What happens after a day is decided: people are told what is new, and a monitor how the newest day is.

Both look at what is, not at what happened: a sensor that was down or restarted tells late, and neither never nor
twice.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.environment import first_day
from ops_pipeline.contract.errors import OpsError, error_boundary
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.operations.alerts import check_all_addresses, deliver, note_all, recipients
from ops_pipeline.operations.heartbeat import find_beat
from ops_pipeline.orchestration.jobs import has_failed
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.report.alert_message import alert_line
from ops_pipeline.report.notify import ping
from ops_pipeline.store.engine import reading

_EVERY_SECONDS = 60


@dg.sensor(
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Tells the addresses of OPS_ALERT_URLS when a signal becomes unhealthy, gets worse or recovers, when nobody "
        "can know, and when yesterday's run failed. An address that does not accept a message is tried again."
    ),
)
@error_boundary
def alerts(context: dg.SensorEvaluationContext, deployment: Deployment) -> Iterator[dg.SkipReason]:
    """Write what is due, and send what is written."""
    if not recipients():
        yield dg.SkipReason("OPS_ALERT_URLS is not set")
        return
    engine, config, yesterday = deployment.engine(), deployment.settings(), last_complete_day()
    written = note_all(engine, config, yesterday=yesterday, has_failed=has_failed(context.instance, yesterday))
    delivery = deliver(engine, config)
    # After the others were told: an address that is none must not keep it from them.
    check_all_addresses()
    if delivery.refused:
        raise OpsError(Reason.ALERT_NOT_SENT, addresses=delivery.refused)
    lines = [str(alert_line(message)) for message in written]
    yield dg.SkipReason("; ".join(lines) or (f"sent {delivery.sent}" if delivery.sent else "nothing new"))


@dg.sensor(
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Pings OPS_HEARTBEAT_URL once for each newest complete day, with the exit code of ops_daily and no body; "
        "with a failure where that day's run failed, is overdue, or an alert could not be sent."
    ),
)
@error_boundary
def heartbeat(context: dg.SensorEvaluationContext, deployment: Deployment) -> Iterator[dg.SkipReason]:
    """Ping where there is something new to say."""
    now = datetime.now(UTC)
    is_failed = has_failed(context.instance, last_complete_day(now))
    with reading(deployment.engine()) as connection:
        beat = find_beat(connection, now, first_day=first_day(), has_failed=is_failed)
    if beat is None or beat.cursor == context.cursor:
        yield dg.SkipReason("nothing new")
        return
    is_pinged = ping(beat.exit_code)
    context.update_cursor(beat.cursor)
    said = f"{beat.day} exit_code={int(beat.exit_code)} reason={beat.reason}"
    yield dg.SkipReason(f"pinged {said}" if is_pinged else "OPS_HEARTBEAT_URL is not set")
