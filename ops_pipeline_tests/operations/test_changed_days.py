"""Days whose events change after they were counted: counted again, kept or named, and never in silence."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from ops_pipeline.contract.config import HISTORY_DAYS, Config
from ops_pipeline.contract.days import each_day, last_complete_day
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Status
from ops_pipeline.events import rollup
from ops_pipeline.events.rollup import compare_counted
from ops_pipeline.operations.publish import EventsSource, Published, count_and_publish
from ops_pipeline.store.day_faults import Fault, read_faults
from ops_pipeline.store.engine import writing
from ops_pipeline.store.results import read_verdict
from ops_pipeline_tests.conftest import Database
from ops_pipeline_tests.counting import count_days
from ops_pipeline_tests.traffic import leak

DAY = last_complete_day()
FIRST = DAY - timedelta(days=400)


def _ago(days: int) -> date:
    return DAY - timedelta(days=days)


def _judge(
    database: Database,
    days: Collection[date] = (DAY,),
    *,
    relation: str = "ops.delivery_events",
    accepts_shrink: bool = False,
) -> Published:
    source = EventsSource(engine=database.engine, relation=relation)
    return count_and_publish(
        database.engine,
        source,
        sorted(days),
        first_day=FIRST,
        config=Config(),
        accepts_shrink=accepts_shrink,
    )


def _execute(database: Database, statement: str, **values: object) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(statement), values)


def _deliver(database: Database, events: int, *ago: int) -> None:
    """Deliver so many messages of each day, and let three of ten react."""
    for days in ago:
        for outcome, reason, count in (("delivered", None, events), ("acknowledged", "positive", events * 3 // 10)):
            _execute(
                database,
                "INSERT INTO ops.delivery_events (occurred_at, touch, outcome, reason)"
                " SELECT CAST(:day AS date) + interval '12 hours', 'first', :outcome, :reason"
                " FROM generate_series(1, :count)",
                day=_ago(days),
                outcome=outcome,
                reason=reason,
                count=count,
            )


def _forget(database: Database, *ago: int) -> None:
    """Delete the events of these days, as an application does that purges."""
    for days in ago:
        _execute(database, "DELETE FROM ops.delivery_events WHERE CAST(occurred_at AS date) = :day", day=_ago(days))


def _delivered(database: Database, day: date) -> int | None:
    with database.engine.connect() as connection:
        return connection.scalar(
            text("SELECT sum(events)::int FROM ops.daily_counts WHERE utc_day = :day AND outcome = 'delivered'"),
            {"day": day},
        )


def _faults(database: Database) -> list[Fault]:
    with database.engine.connect() as connection:
        return read_faults(connection, FIRST, DAY)


def _messages(database: Database) -> list[tuple[str, date, str]]:
    with database.engine.connect() as connection:
        rows = connection.execute(text("SELECT kind, utc_day, title FROM ops.alert_messages ORDER BY message"))
        return [tuple(row) for row in rows]


@pytest.fixture
def judged(database: Database) -> Database:
    """Forty days of a hundred deliveries a day, all judged."""
    _deliver(database, 100, *range(40))
    _judge(database, [_ago(days) for days in range(40)])
    return database


def test_events_that_arrive_days_late_are_counted_by_the_next_run_of_the_newest_day(judged: Database) -> None:
    _deliver(judged, 7, 20, 85)
    _judge(judged)
    assert _delivered(judged, _ago(20)) == 107
    # Nobody asked for this day before: it was counted as one without events.
    assert _delivered(judged, _ago(85)) == 7
    assert _faults(judged) == []


def test_late_events_that_a_run_of_their_own_day_counts_change_the_days_after_it_too(judged: Database) -> None:
    leak(judged, _ago(20))
    _judge(judged, [_ago(20)])
    with judged.engine.connect() as connection:
        said = {days: read_verdict(connection, _ago(days)) for days in (21, 20, 14, 13)}
    statuses = {days: verdict.status for days, verdict in said.items() if verdict is not None}
    # A leak makes seven days unhealthy.
    assert statuses == {21: Status.HEALTHY, 20: Status.UNHEALTHY, 14: Status.UNHEALTHY, 13: Status.HEALTHY}


def test_a_late_leak_whose_episode_is_still_open_on_a_healthy_day_is_told(judged: Database) -> None:
    leak(judged, _ago(7))
    _judge(judged)
    assert [(kind, day) for kind, day, _ in _messages(judged)] == [("late", _ago(7))]


def test_a_late_leak_of_an_incident_that_was_told_is_not_told_again(judged: Database) -> None:
    leak(judged, _ago(18))
    _judge(judged)
    assert len(_messages(judged)) == 1
    leak(judged, _ago(20))
    _judge(judged)
    assert len(_messages(judged)) == 1


def test_a_run_of_an_older_day_compares_nothing(judged: Database) -> None:
    _deliver(judged, 7, 20)
    _judge(judged, [_ago(3)])
    assert _delivered(judged, _ago(20)) == 100


def test_a_leak_of_an_earlier_day_that_arrives_late_is_told_as_news_of_that_day(judged: Database) -> None:
    leak(judged, _ago(20))
    _judge(judged)
    with judged.engine.connect() as connection:
        verdict = read_verdict(connection, _ago(20))
    assert verdict is not None
    assert (verdict.status, verdict.previous_status) == (Status.UNHEALTHY, Status.HEALTHY)
    ((kind, day, title),) = _messages(judged)
    # Seven days in a row say so, because a leak is one for seven days: it is told of the first.
    assert (kind, day) == ("late", _ago(20))
    assert title == f"ops_pipeline: 1 identity leak in 7 days (of {_ago(20)}, known late)"
    _judge(judged)
    assert len(_messages(judged)) == 1


def test_a_day_that_lost_more_than_happens_keeps_its_counts_and_is_named(judged: Database) -> None:
    _forget(judged, 2)
    _deliver(judged, 40, 2)
    for days in ([_ago(2)], [DAY]):
        _judge(judged, days)
        assert _delivered(judged, _ago(2)) == 100
        assert _faults(judged) == [Fault(Reason.DAY_SHRANK, 1, _ago(2), 130 - 52)]
    _judge(judged, [_ago(2)], accepts_shrink=True)
    assert _delivered(judged, _ago(2)) == 40
    assert _faults(judged) == []


def test_a_day_that_lost_as_little_as_happens_is_counted_again(judged: Database) -> None:
    _forget(judged, 5)
    _deliver(judged, 99, 5)
    _judge(judged)
    assert _delivered(judged, _ago(5)) == 99
    assert _faults(judged) == []


def test_events_of_a_day_that_nothing_looks_back_on_are_named_in_ten_nights(database: Database) -> None:
    _deliver(database, 5, 120, 370)
    for days in (120, 370):
        count_days(database, [_ago(days)])
    _deliver(database, 12, 120)
    found = {}
    for night in range(10):
        with writing(database.engine) as connection:
            newest = _ago(night)
            compared = compare_counted(
                connection, database.engine, "ops.delivery_events", newest, first_day=FIRST, config=Config()
            )
        found |= compared.faults
        assert compared.changed == ()
    assert found == {_ago(120): (Reason.UNCOUNTED_EVENTS, 12 + 3)}


def test_in_ten_nights_every_older_day_has_its_turn() -> None:
    for last in range(10):
        nights = [_ago(night + last) for night in range(10)]
        parts = [rollup._older_part(night, night - timedelta(days=90), FIRST) for night in nights]
        compared = {day for part in parts if part is not None for day in each_day(*part)}
        first = min(nights) - timedelta(days=HISTORY_DAYS - 21)
        assert set(each_day(first, min(nights) - timedelta(days=91))) <= compared


def test_one_bad_row_names_its_day_and_the_other_days_are_counted(judged: Database) -> None:
    _execute(judged, "DELETE FROM ops.daily_counts WHERE utc_day IN (:bad, :good)", bad=_ago(30), good=_ago(31))
    _execute(
        judged,
        "CREATE VIEW public.events AS SELECT occurred_at, touch, reason, segment,"
        " CASE CAST(occurred_at AS date) WHEN CURRENT_DATE - 31 THEN 'lost' ELSE outcome END AS outcome"
        " FROM ops.delivery_events",
    )
    _judge(judged, relation="public.events")
    assert _delivered(judged, _ago(31)) == 100
    assert _delivered(judged, _ago(30)) is None
    assert _faults(judged) == [Fault(Reason.EVENTS_RELATION_INVALID, 1, _ago(30), 0)]
    with pytest.raises(OpsError) as caught:
        _judge(judged, [_ago(30)], relation="public.events")
    assert caught.value.reason is Reason.EVENTS_RELATION_INVALID
    assert caught.value.fields["day"] == _ago(30)
    # With others they are done, and this one is left out.
    done = _judge(judged, [_ago(days) for days in range(28, 33)], relation="public.events")
    assert sorted(done.verdicts) == [_ago(days) for days in (32, 31, 29, 28)]
    # Its events are purged: it was not a day without any.
    _forget(judged, 30)
    _judge(judged, relation="public.events")
    assert _delivered(judged, _ago(30)) is None
    assert _faults(judged)[0] == Fault(Reason.EVENTS_RELATION_INVALID, 1, _ago(30), 0)


def test_where_comparing_takes_too_long_the_newest_day_is_judged(
    judged: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _execute(
        judged,
        "CREATE VIEW public.events AS SELECT * FROM ops.delivery_events"
        " WHERE occurred_at >= CURRENT_DATE - 2 OR pg_sleep(0.1) IS NOT NULL",
    )
    monkeypatch.setattr(rollup, "_COMPARE_SECONDS", 0.2)
    _judge(judged, relation="public.events")
    assert _delivered(judged, DAY) == 100
    assert _faults(judged) == [Fault(Reason.DAYS_NOT_COMPARED, 1, DAY, 0)]
    _judge(judged)
    assert _faults(judged) == []


def test_days_that_never_got_a_verdict_are_named(judged: Database) -> None:
    _execute(judged, "DELETE FROM ops.verdicts WHERE utc_day BETWEEN :first AND :last", first=_ago(12), last=_ago(4))
    assert _faults(judged) == [Fault(Reason.DAYS_MISSING, 9, _ago(12), 0)]
