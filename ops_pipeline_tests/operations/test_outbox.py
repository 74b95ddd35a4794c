"""Every message reaches every address, in its order, and only once unless somebody is killed at the wrong instant."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ops_pipeline.contract.config import Config
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AlertKind
from ops_pipeline.health.alerts import RUN, Message, News
from ops_pipeline.operations.alerts import deliver
from ops_pipeline.store.alerts import add_message, lock_alerts, read_unsent
from ops_pipeline.store.engine import writing
from ops_pipeline_tests.conftest import Database

START = datetime(2026, 11, 7, 3, 0, tzinfo=UTC)
ADDRESSES = ("json://a/", "json://b/", "json://c/")


class _Killed(BaseException):
    """The process ends here."""


class Post:
    """Takes what is sent, as each address is about to behave."""

    def __init__(self) -> None:
        self.arrived: dict[str, list[str]] = defaultdict(list)
        self.behaves: dict[str, str] = {}

    def send(self, address: str, title: str, _body: str, **_words: object) -> None:
        """Take one message, refuse it, or take it and be killed."""
        behaves = self.behaves.get(address, "accepts")
        if behaves == "refuses":
            raise OpsError(Reason.ALERT_NOT_SENT)
        self.arrived[address].append(title)
        if behaves == "dies":
            raise _Killed


def _write(database: Database, title: str, now: datetime, kind: AlertKind = AlertKind.OPENED) -> None:
    with writing(database.engine) as connection:
        lock_alerts(connection)
        news = News(subject=RUN, kind=kind, reason=Reason.RUN_FAILED, since=now.date())
        add_message(connection, Message(kind=kind, day=now.date(), news=(news,)), title, "", now)


@pytest.fixture
def outbox(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("OPS_ALERT_URLS", " ".join(ADDRESSES))
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    return database


behaviours = st.fixed_dictionaries(
    {address: st.sampled_from(["accepts", "accepts", "refuses", "dies"]) for address in ADDRESSES}
)
steps = st.lists(
    st.one_of(st.just("write"), st.integers(0, 90).map(lambda minutes: timedelta(minutes=minutes)), behaviours),
    max_size=25,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_each_message_reaches_each_address_at_least_once_and_exactly_once_without_a_crash(
    outbox: Database, steps: list[object]
) -> None:
    with outbox.engine.begin() as connection:
        connection.execute(text("TRUNCATE ops.alert_messages, ops.alert_addresses RESTART IDENTITY"))
    post, now, written = Post(), START, []
    deaths: dict[str, int] = defaultdict(int)
    for step in steps:
        if step == "write":
            written.append(str(len(written)))
            _write(outbox, written[-1], now)
        elif isinstance(step, timedelta):
            now += step
        else:
            post.behaves = step  # type: ignore[assignment]
            before = {address: len(post.arrived[address]) for address in ADDRESSES}
            deliver(outbox.engine, Config(), now, send_with=post.send)
            for address in ADDRESSES:
                deaths[address] += post.behaves[address] == "dies" and len(post.arrived[address]) > before[address]
    post.behaves = {}
    # After an hour and a quarter nobody is left alone any more.
    deliver(outbox.engine, Config(), now + timedelta(minutes=75), send_with=post.send)
    for address in ADDRESSES:
        arrived = post.arrived[address]
        assert list(dict.fromkeys(arrived)) == written
        assert len(arrived) - len(written) <= deaths[address]
    with outbox.engine.connect() as connection:
        assert read_unsent(connection, now + timedelta(minutes=75)).addresses == 0


def test_an_address_that_refuses_is_asked_less_and_less_often_but_at_least_every_hour(outbox: Database) -> None:
    post = Post()
    post.behaves = {ADDRESSES[0]: "refuses"}
    _write(outbox, "one", START)
    asked, refused = [], post.send

    def send(address: str, *words: str, **more: object) -> None:
        if address == ADDRESSES[0]:
            asked.append(minute)
        refused(address, *words, **more)

    for minute in [*range(9), *range(13, 17), *range(29, 33), *range(61, 65), *range(121, 125), *range(181, 185)]:
        deliver(outbox.engine, Config(), START + timedelta(minutes=minute), send_with=send)
    assert asked == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert post.arrived[ADDRESSES[1]] == ["one"]
    with outbox.engine.connect() as connection:
        unsent = read_unsent(connection, START + timedelta(hours=4))
    assert (unsent.addresses, unsent.since) == (1, START)


def test_a_clock_that_is_set_back_by_a_day_keeps_no_message_for_a_day(outbox: Database) -> None:
    post = Post()
    post.behaves = {ADDRESSES[0]: "refuses"}
    _write(outbox, "one", START)
    deliver(outbox.engine, Config(), START, send_with=post.send)
    with outbox.engine.begin() as connection:
        # Whoever sent at that moment was killed.
        connection.execute(
            text("UPDATE ops.alert_addresses SET claimed_until = :at"), {"at": START + timedelta(minutes=5)}
        )
    post.behaves = {}
    deliver(outbox.engine, Config(), START - timedelta(days=1), send_with=post.send)
    assert post.arrived[ADDRESSES[0]] == ["one"]


def test_an_address_that_hangs_keeps_nothing_from_the_others_and_holds_no_transaction(outbox: Database) -> None:
    post, is_over = Post(), threading.Event()
    _write(outbox, "one", START)

    def send(address: str, *words: str, **more: object) -> None:
        if address == ADDRESSES[0]:
            is_over.wait(60)
        post.send(address, *words, **more)

    found = deliver(outbox.engine, Config(), START, send_with=send, deadline_seconds=2)
    assert (found.sent, found.refused) == (2, 1)
    with outbox.engine.connect() as connection:
        open_transactions = connection.scalar(
            text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
        )
    assert open_transactions == 0
    is_over.set()


def test_a_new_address_gets_what_was_written_in_the_last_two_days(
    outbox: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post()
    for ago in (5, 3, 1):
        _write(outbox, f"{ago} days ago", START - timedelta(days=ago))
    deliver(outbox.engine, Config(), START, send_with=post.send)
    assert set(map(tuple, post.arrived.values())) == {("1 days ago",)}
    monkeypatch.setenv("OPS_ALERT_URLS", "json://d/")
    deliver(outbox.engine, Config(), START, send_with=post.send)
    assert post.arrived["json://d/"] == ["1 days ago"]


def test_a_new_address_is_not_told_of_what_has_recovered(outbox: Database) -> None:
    post = Post()
    _write(outbox, "over", START)
    _write(outbox, "recovered", START, AlertKind.RECOVERED)
    _write(outbox, "open", START)
    deliver(outbox.engine, Config(), START, send_with=post.send)
    assert set(map(tuple, post.arrived.values())) == {("open",)}


def test_an_address_that_is_configured_no_more_is_not_waited_for(
    outbox: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post()
    post.behaves = {ADDRESSES[0]: "refuses"}
    _write(outbox, "one", START)
    deliver(outbox.engine, Config(), START, send_with=post.send)
    monkeypatch.setenv("OPS_ALERT_URLS", " ".join(ADDRESSES[1:]))
    later = START + timedelta(hours=3)
    deliver(outbox.engine, Config(), later, send_with=post.send)
    with outbox.engine.connect() as connection:
        assert read_unsent(connection, later).addresses == 0
