"""Telling people: what is new is written with the verdict, and each address is sent it until it has accepted it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection, Engine

from ops_pipeline.contract.config import LONGEST_WINDOW_DAYS, Config
from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AlertKind
from ops_pipeline.health.alerts import (
    PAGES,
    Message,
    Subject,
    Told,
    due,
    due_late,
    due_of_run,
    severity,
    told_after,
)
from ops_pipeline.health.counts import DayCounts
from ops_pipeline.health.verdict import Verdict
from ops_pipeline.report.alert_message import alert_key, alert_text, tryout_text
from ops_pipeline.report.notify import addresses, check_addresses, resolves, send
from ops_pipeline.store.alerts import (
    NEWS_DAYS,
    Recipient,
    add_message,
    blindness,
    claim,
    lock_alerts,
    messages_after,
    note_recipients,
    purge,
    read_told,
    record_accepted,
    record_refused,
    release,
    write_told,
)
from ops_pipeline.store.daily_counts import read_days
from ops_pipeline.store.engine import reading, writing
from ops_pipeline.store.progress import judged_days
from ops_pipeline.store.results import last_judged_day, read_verdict

_DEADLINE_SECONDS = 40
"""After so long a receiver that hangs is left to itself; the lease on it lasts longer."""

Send = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What sending did."""

    sent: int
    """Messages that an address has accepted, each address counted."""
    refused: int
    """Addresses that did not accept their next message, or not in time."""


def check_all_addresses() -> None:
    """Raise OpsError `invalid_env` for a name that lists something that is no address."""
    for name in (Name.OPS_ALERT_URLS, Name.OPS_PAGE_URLS):
        check_addresses(name)


def recipients() -> tuple[Recipient, ...]:
    """Return everybody who is told: OPS_ALERT_URLS of everything, OPS_PAGE_URLS of what somebody is woken for.

    Receivers that keep incidents are also told of the end, by which they resolve them.
    """
    found = {address: Recipient(address) for address in addresses(Name.OPS_ALERT_URLS)}
    for address in addresses(Name.OPS_PAGE_URLS):
        kinds = PAGES | {AlertKind.RECOVERED} if resolves(address) else PAGES
        found.setdefault(address, Recipient(address, frozenset(kinds)))
    return tuple(found.values())


def note_news(
    connection: Connection, config: Config, *, yesterday: date, counts: Sequence[DayCounts] | None = None
) -> Message | None:
    """Write what the newest verdict up to `yesterday` makes worth telling, and return it; None: nothing.

    A verdict of a day that ended long before `yesterday` is no news. `counts` are those that it is from; without them
    they are read.
    """
    lock_alerts(connection)
    told = read_told(connection)
    verdict = _newest(connection, yesterday)
    if verdict is None:
        return None
    message = _due_news(connection, config, told, verdict)
    if message is not None:
        if counts is None:
            counts = read_days(connection, verdict.as_of - LONGEST_WINDOW_DAYS * ONE_DAY, verdict.as_of)
        _write(connection, message, config, counts)
    if (known := told_after(told, message, verdict)) != told:
        write_told(connection, known)
    return message


def note_late(
    connection: Connection,
    config: Config,
    before: Mapping[date, Verdict],
    verdicts: Mapping[date, Verdict],
    counts: Sequence[DayCounts],
) -> None:
    """Write what `verdicts` say of days before the newest one, that was not said `before` and is over by now."""
    newest = last_judged_day(connection)
    newest_verdict = None if newest is None else read_verdict(connection, newest)
    if newest_verdict is None:
        return
    lock_alerts(connection)
    told = read_told(connection)
    for day, verdict in sorted(verdicts.items()):
        message = due_late(verdict, before, newest_verdict, told, config.alerts)
        if message is not None:
            _write(connection, message, config, [one for one in counts if one.day <= day])


def note_run(connection: Connection, config: Config, *, yesterday: date, has_failed: bool) -> Message | None:
    """Write that the run of `yesterday` failed, or that the daily run works again, and return it; None: nothing."""
    lock_alerts(connection)
    told = read_told(connection)
    message = _due_of_run(connection, config, told, yesterday, has_failed=has_failed)
    if message is not None:
        _write(connection, message, config, ())
        write_told(connection, told_after(told, message, None))
    return message


def _newest(connection: Connection, yesterday: date) -> Verdict | None:
    """Return the newest verdict up to `yesterday`, if that is news."""
    newest = last_judged_day(connection, yesterday)
    if newest is None or newest <= yesterday - NEWS_DAYS * ONE_DAY:
        return None
    return read_verdict(connection, newest)


def _due_news(
    connection: Connection, config: Config, told: Mapping[Subject, Told], verdict: Verdict
) -> Message | None:
    return due(verdict, told, blindness(connection, verdict.as_of), config.alerts)


def _due_of_run(
    connection: Connection, config: Config, told: Mapping[Subject, Told], yesterday: date, *, has_failed: bool
) -> Message | None:
    has_run = bool(judged_days(connection, yesterday, yesterday))
    return due_of_run(yesterday, told, config.alerts, has_failed=has_failed, has_run=has_run)


def _write(connection: Connection, message: Message, config: Config, counts: Sequence[DayCounts]) -> None:
    title, body = alert_text(message, config, counts)
    add_message(connection, message, title, body, datetime.now(UTC))


def note_all(engine: Engine, config: Config, *, yesterday: date, has_failed: bool) -> tuple[Message, ...]:
    """Write whatever is due about the run and the newest verdict, and return it."""
    with writing(engine) as connection:
        found = (
            note_news(connection, config, yesterday=yesterday),
            note_run(connection, config, yesterday=yesterday, has_failed=has_failed),
        )
    return tuple(message for message in found if message is not None)


def due_messages(engine: Engine, config: Config, *, yesterday: date, has_failed: bool) -> tuple[Message, ...]:
    """Return whatever is due and not written yet, and write nothing."""
    with reading(engine) as connection:
        told, verdict = read_told(connection), _newest(connection, yesterday)
        found = (
            None if verdict is None else _due_news(connection, config, told, verdict),
            _due_of_run(connection, config, told, yesterday, has_failed=has_failed),
        )
    return tuple(message for message in found if message is not None)


def deliver(
    engine: Engine,
    config: Config,
    now: datetime | None = None,
    *,
    send_with: Send = send,
    deadline_seconds: float = _DEADLINE_SECONDS,
) -> Delivery:
    """Send every address what it has not accepted yet, side by side, and return what came of it.

    No transaction is open while something is sent. An address that refuses is left alone for a while.
    """
    instant = now or datetime.now(UTC)
    everybody = recipients()
    with writing(engine) as connection:
        note_recipients(connection, everybody, instant)
        purge(connection, instant)
    results: dict[Recipient, tuple[int, bool]] = {}

    def work(recipient: Recipient) -> None:
        results[recipient] = _deliver_to(engine, recipient, alert_key(config), instant, send_with)

    threads = {one: threading.Thread(target=work, args=(one,), daemon=True) for one in everybody}
    for thread in threads.values():
        thread.start()
    end = time.monotonic() + deadline_seconds
    for thread in threads.values():
        thread.join(max(0.0, end - time.monotonic()))
    for recipient in everybody:
        if threads[recipient].is_alive():
            with writing(engine) as connection:
                record_refused(connection, recipient, instant)
            results[recipient] = (0, True)
    found = [results.get(recipient, (0, True)) for recipient in everybody]
    return Delivery(
        sent=sum(sent for sent, _ in found),
        refused=sum(is_refused for _, is_refused in found),
    )


def _deliver_to(engine: Engine, recipient: Recipient, key: str, now: datetime, send_with: Send) -> tuple[int, bool]:
    """Return how many messages the address has accepted, and whether it refused one."""
    with writing(engine) as connection:
        last = claim(connection, recipient, now)
        messages = [] if last is None else messages_after(connection, last)
    if last is None:
        return 0, False
    sent, is_refused = 0, False
    try:
        for message in messages:
            if message.kind in recipient.kinds:
                send_with(recipient.address, message.title, message.body, severity=severity(message.kind), key=key)
                sent += 1
            # After each one: whoever is killed here has told one address one message twice.
            with writing(engine) as connection:
                record_accepted(connection, recipient, message.number)
    except OpsError:
        is_refused = True
        with writing(engine) as connection:
            record_refused(connection, recipient, now)
    with writing(engine) as connection:
        release(connection, recipient)
    return sent, is_refused


def send_test(config: Config) -> int:
    """Raise a test alarm at every address, end it again, and return how many addresses there are.

    Raises OpsError `missing_env` where there is none, `invalid_env` where one is no address, `alert_not_sent` where
    one of them refused.
    """
    check_all_addresses()
    everybody = recipients()
    if not everybody:
        raise OpsError(Reason.MISSING_ENV, missing=(Name.OPS_ALERT_URLS,))
    refused = 0
    for recipient in everybody:
        try:
            for kind in (AlertKind.TEST, AlertKind.RECOVERED):
                title, body = tryout_text(kind, datetime.now(UTC).date(), config)
                send(recipient.address, title, body, severity=severity(kind), key=f"{alert_key(config)}_test")
        except OpsError:
            refused += 1
    if refused:
        raise OpsError(Reason.ALERT_NOT_SENT, addresses=refused)
    return len(everybody)
