"""UTC days: how they are written, and which can be asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.days import check_askable, each_day, last_complete_day, parse_day, start_of
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason

FIRST = date(2026, 1, 1)


def test_the_last_complete_day_is_yesterday_in_utc() -> None:
    before = datetime.now(UTC).date()
    found = last_complete_day()
    after = datetime.now(UTC).date()
    assert found in (before - timedelta(days=1), after - timedelta(days=1))


@given(st.dates())
def test_a_day_that_is_written_is_read_again(day: date) -> None:
    assert parse_day(f"{day.year:04}-{day.month:02}-{day.day:02}") == day


@given(
    st.one_of(
        st.text(),
        st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
        st.sampled_from(
            [
                "2026-02-30",
                "0000-01-01",
                "20260101",
                "2026-W01-1",
                "2026-01-01T00:00:00",
                "2026-01-01\n",
                " 2026-01-01",
                "2026-1-1",
                "\u0662\u0660\u0662\u0666-01-01",
                "-2026-01-01",
            ]
        ),
    )
)
def test_any_other_text_is_an_invalid_day_and_is_not_repeated(text: str) -> None:
    try:
        found: date | tuple[object, ...] = parse_day(text)
    except OpsError as failure:
        found = (failure.reason, str(failure), failure.fields, failure.__context__)
    if isinstance(found, date):
        assert found.isoformat() == text
    else:
        assert found == (Reason.INVALID_DAY, "invalid_day", {}, None)


@pytest.mark.parametrize("days_from_now", [0, 1, 1000])
def test_a_day_that_has_not_ended_cannot_be_asked_for(days_from_now: int) -> None:
    with pytest.raises(OpsError) as caught:
        check_askable(datetime.now(UTC).date() + timedelta(days=days_from_now), first=FIRST)
    assert caught.value.reason is Reason.DAY_NOT_COMPLETE


def test_a_day_before_the_first_cannot_be_asked_for_and_the_first_can() -> None:
    check_askable(FIRST, first=FIRST)
    with pytest.raises(OpsError) as caught:
        check_askable(FIRST - timedelta(days=1), first=FIRST)
    assert caught.value.reason is Reason.DAY_BEFORE_FIRST


def test_days_are_counted_with_both_ends_over_leap_days_and_years() -> None:
    assert list(each_day(date(2024, 2, 28), date(2024, 3, 1))) == [
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
    ]
    assert list(each_day(date(2025, 12, 31), date(2026, 1, 1))) == [date(2025, 12, 31), date(2026, 1, 1)]
    assert list(each_day(FIRST, FIRST)) == [FIRST]
    assert list(each_day(FIRST, FIRST - timedelta(days=1))) == []


@given(st.dates())
def test_a_day_starts_at_midnight_utc(day: date) -> None:
    start = start_of(day)
    assert (start.date(), start.utcoffset()) == (day, timedelta(0))
    assert (start.hour, start.minute, start.second, start.microsecond) == (0, 0, 0, 0)
