"""The outbox: what people know, the messages to them, and how far each address has been told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AlertKind, AlertSubject, Scope, SignalName, Status
from ops_pipeline.health.alerts import Blindness, Message, Subject, Told
from ops_pipeline.store.results import stored_reason
from ops_pipeline.store.schema import alert_addresses, alert_messages, alert_states, verdicts

NEWS_DAYS = 2
"""What ended longer ago is no news: it is told to nobody, and a new address does not get it."""
_LOCK_KEY = 0x6F70735F616C7274
_LEASE = timedelta(minutes=5)
"""For so long nobody else sends to an address that somebody sends to, however that one ends."""
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
_ABSENT = timedelta(hours=2)
"""An address that was not configured anywhere for so long is one no more."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who is told."""

    address: str
    kinds: frozenset[AlertKind] = frozenset(AlertKind)
    """What it is told."""

    @property
    def digest(self) -> bytes:
        """By what the database knows the address again, without holding it."""
        return sha256(self.address.encode()).digest()[:4]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message as it was written."""

    number: int
    day: date
    kind: AlertKind
    reason: Reason
    """Of the worst that is new."""
    since: date
    """First UTC day of that."""
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """What has not reached everybody."""

    addresses: int
    """Addresses that have refused the next message."""
    since: datetime | None
    """When the oldest message that one of them lacks was written."""


def lock_alerts(connection: Connection) -> None:
    """Let nobody else write messages until this transaction ends, so that their numbers show in order."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def read_told(connection: Connection) -> dict[Subject, Told]:
    """Return what people know. Raises OpsError `unknown_reason` where a newer version told it."""
    return {
        (Scope(row.touch), _subject(row.subject)): Told(
            reason=stored_reason(row.reason),
            since=row.since,
            worst=row.worst,
            told_on=row.told_on,
            seen_on=row.seen_on,
            is_muted=row.is_muted,
        )
        for row in connection.execute(select(alert_states))
    }


def _subject(word: str) -> SignalName | AlertSubject:
    return AlertSubject(word) if word in list(AlertSubject) else SignalName(word)


def write_told(connection: Connection, told: Mapping[Subject, Told]) -> None:
    """Replace what people know. Call `lock_alerts` before it was read."""
    connection.execute(delete(alert_states))
    rows = [
        {
            "touch": touch,
            "subject": subject,
            "reason": known.reason,
            "since": known.since,
            "worst": known.worst,
            "told_on": known.told_on,
            "seen_on": known.seen_on,
            "is_muted": known.is_muted,
        }
        for (touch, subject), known in told.items()
    ]
    if rows:
        connection.execute(insert(alert_states), rows)


def add_message(connection: Connection, message: Message, title: str, body: str, now: datetime) -> None:
    """Write a message, to be sent once this transaction has ended. Call `lock_alerts` before."""
    row = {
        "utc_day": message.day,
        "kind": message.kind,
        "reason": message.reason,
        "since": message.since,
        "title": title,
        "body": body,
        "created_at": now,
    }
    connection.execute(insert(alert_messages), [row])


def blindness(connection: Connection, day: date) -> Blindness | None:
    """Return the days in a row up to `day` that could not be judged, after one that was; None: there are none.

    Planned days neither count nor end the row.
    """
    whole = (verdicts.c.position == 0) & (verdicts.c.utc_day <= day)
    judged = connection.scalar(
        select(func.max(verdicts.c.utc_day)).where(whole, verdicts.c.status != Status.INSUFFICIENT_DATA)
    )
    if judged is None:
        return None
    first, days = connection.execute(
        select(func.min(verdicts.c.utc_day), func.count()).where(
            whole, verdicts.c.utc_day > judged, verdicts.c.reason != Reason.PLANNED
        )
    ).one()
    return Blindness(first, days) if days else None


def waiting_messages(connection: Connection, recipients: Sequence[Recipient], now: datetime) -> list[StoredMessage]:
    """Return the messages that one of the addresses lacks, in their order. Writes nothing."""
    start = _start_of_new(connection, now)
    rows = connection.execute(select(alert_addresses.c.digest, alert_addresses.c.last_message))
    last_of = {bytes(row.digest): row.last_message for row in rows}
    lasts = {one: last_of.get(one.digest, start) for one in recipients}
    return [
        message
        for message in messages_after(connection, min(lasts.values(), default=0))
        if any(message.number > last and message.kind in one.kinds for one, last in lasts.items())
    ]


def messages_after(connection: Connection, number: int) -> list[StoredMessage]:
    """Return the messages with a higher number, in their order."""
    rows = connection.execute(
        select(alert_messages).where(alert_messages.c.message > number).order_by(alert_messages.c.message)
    )
    return [
        StoredMessage(
            number=row.message,
            day=row.utc_day,
            kind=AlertKind(row.kind),
            reason=stored_reason(row.reason),
            since=row.since,
            title=row.title,
            body=row.body,
        )
        for row in rows
    ]


def _start_of_new(connection: Connection, now: datetime) -> int:
    """Return the last message that an address that is new does not get."""
    is_old = alert_messages.c.created_at < now - timedelta(days=NEWS_DAYS)
    old = select(func.max(alert_messages.c.message)).where(or_(is_old, alert_messages.c.kind == AlertKind.RECOVERED))
    start: int = connection.scalar(old) or 0
    return start


def note_recipients(connection: Connection, recipients: Sequence[Recipient], now: datetime) -> None:
    """Note that these addresses are configured.

    A new one gets what was written in the last NEWS_DAYS days, but for what has recovered since.
    """
    start = _start_of_new(connection, now)
    rows = [
        {"digest": one.digest, "last_message": start, "tries": 0, "seen_at": now}
        for one in sorted(recipients, key=lambda one: one.digest)
    ]
    if rows:
        statement = upsert(alert_addresses).values(rows)
        connection.execute(
            statement.on_conflict_do_update(index_elements=["digest"], set_={"seen_at": statement.excluded.seen_at})
        )


def claim(connection: Connection, recipient: Recipient, now: datetime) -> int | None:
    """Return the last message that the address accepted, and let nobody else send to it for some minutes.

    None: somebody else does, or it is to be left alone for a while.
    """
    is_free = _is_over(alert_addresses.c.claimed_until, now, _LEASE)
    is_due = _is_over(alert_addresses.c.next_try_at, now, _LONGEST_PAUSE)
    claimed: int | None = connection.scalar(
        update(alert_addresses)
        .where(alert_addresses.c.digest == recipient.digest, is_free, is_due)
        .values(claimed_until=now + _LEASE)
        .returning(alert_addresses.c.last_message)
    )
    return claimed


def _is_over(until: Column[Any], now: datetime, longest: timedelta) -> ColumnElement[bool]:
    """Return whether a wait `until` then is over, or far longer than any: it was noted by a clock that was ahead."""
    return or_(until.is_(None), until <= now, until > now + 2 * longest)


def record_accepted(connection: Connection, recipient: Recipient, number: int) -> None:
    """Note that the address has this message, or needs none up to it."""
    _change(connection, recipient, last_message=number, tries=0, next_try_at=None)


def record_refused(connection: Connection, recipient: Recipient, now: datetime) -> None:
    """Note that the address did not accept its next message, which is tried again after a pause.

    The pause doubles with each try, up to an hour.
    """
    tries = connection.scalar(select(alert_addresses.c.tries).where(alert_addresses.c.digest == recipient.digest))
    pause = min(_FIRST_PAUSE * 2 ** min(tries or 0, 10), _LONGEST_PAUSE)
    _change(connection, recipient, tries=alert_addresses.c.tries + 1, next_try_at=now + pause)


def release(connection: Connection, recipient: Recipient) -> None:
    """Let others send to the address again."""
    _change(connection, recipient, claimed_until=None)


def _change(connection: Connection, recipient: Recipient, **values: object) -> None:
    connection.execute(update(alert_addresses).where(alert_addresses.c.digest == recipient.digest).values(**values))


def read_unsent(connection: Connection, now: datetime, recipients: Sequence[Recipient] = ()) -> Unsent:
    """Return how many of the addresses have refused what they should have.

    Without any, all count that somebody has configured in the last two hours.
    """
    is_configured = alert_addresses.c.seen_at > now - _ABSENT
    if recipients:
        is_configured = alert_addresses.c.digest.in_([one.digest for one in recipients])
    is_waiting = (alert_addresses.c.tries > 0) & is_configured
    addresses, last = connection.execute(
        select(func.count(), func.min(alert_addresses.c.last_message)).where(is_waiting)
    ).one()
    since = None
    if addresses:
        since = connection.scalar(
            select(func.min(alert_messages.c.created_at)).where(alert_messages.c.message > last)
        )
    return Unsent(addresses, since)


def purge(connection: Connection, now: datetime) -> None:
    """Forget the addresses that nobody has configured for a long time."""
    connection.execute(delete(alert_addresses).where(alert_addresses.c.seen_at < now - timedelta(days=90)))
