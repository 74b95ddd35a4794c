"""What was told: the state that keeps an alert from being sent twice, whatever is restarted."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, insert, select, text

from ops_pipeline.contract.vocabulary import AlertKind
from ops_pipeline.health.alerts import Alert
from ops_pipeline.health.verdict import WORST_FIRST
from ops_pipeline.store.results import stored_reason
from ops_pipeline.store.schema import alerts

_LOCK_KEY = 0x6F70735F616C7274
_OF_EPISODES = (AlertKind.OPENED, AlertKind.WORSENED, AlertKind.RECOVERED)


def lock_alerts(connection: Connection) -> None:
    """Wait until nobody else sends, and keep others waiting until this transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def last_sent_alert(connection: Connection) -> Alert | None:
    """Return the last alert about an episode, with the worst reason that was told of it; None: there was none.

    Raises OpsError `unknown_reason` where a newer version told it.
    """
    rows = connection.execute(
        select(alerts)
        .where(alerts.c.kind.in_(_OF_EPISODES))
        .order_by(alerts.c.sent_at.desc(), alerts.c.utc_day.desc())
    )
    told: list[Alert] = []
    for row in rows:
        told.append(
            Alert(kind=AlertKind(row.kind), day=row.utc_day, reason=stored_reason(row.reason), since=row.since)
        )
        if told[-1].kind is not AlertKind.WORSENED:
            break
    if not told:
        return None
    if told[0].kind is AlertKind.RECOVERED:
        return told[0]
    return replace(told[0], reason=min((one.reason for one in told), key=WORST_FIRST.index))


def was_sent(connection: Connection, alert: Alert) -> bool:
    """Return whether this was told of its day."""
    same = (alerts.c.utc_day == alert.day) & (alerts.c.kind == alert.kind) & (alerts.c.reason == alert.reason)
    return connection.scalar(select(alerts.c.utc_day).where(same)) is not None


def record_sent(connection: Connection, alert: Alert) -> None:
    """Note that `alert` was told."""
    row = {"utc_day": alert.day, "kind": alert.kind, "reason": alert.reason, "since": alert.since}
    connection.execute(insert(alerts), [row])
