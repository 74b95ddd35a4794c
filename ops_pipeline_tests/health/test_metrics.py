"""The metrics are what their definitions say, computed by hand and against a count of single events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.vocabulary import (
    ACKNOWLEDGED_REASONS,
    DISABLED_REASONS,
    FAILED_REASONS,
    HELD_REASONS,
    SUPPRESSED_REASONS,
    AttemptsSource,
    Outcome,
    Reserved,
    Scope,
    SignalName,
    Touch,
)
from ops_pipeline.health import evaluate
from ops_pipeline.health.counts import DayCounts, WindowCounts
from ops_pipeline.health.metrics import DeliveredTotal, RateFigure, SecondTouchSummary, compute_metrics

DAY = date(2026, 11, 7)
WINDOWS = (7, 30)

Counts = dict[tuple[str, str, str | None], int]

REASONS_OF: dict[str, tuple[str | None, ...]] = {
    Outcome.OFFERED: (None,),
    Outcome.SUPPRESSED: (*SUPPRESSED_REASONS, *Reserved),
    Outcome.ATTEMPTED: (None,),
    Outcome.HELD: (*HELD_REASONS, *Reserved),
    Outcome.QUEUED: (None,),
    Outcome.DELIVERED: (None,),
    Outcome.FAILED: (*FAILED_REASONS, *Reserved),
    Outcome.ACKNOWLEDGED: (*ACKNOWLEDGED_REASONS, *Reserved),
    Outcome.DISABLED: (*DISABLED_REASONS, *Reserved),
}
KEYS = [
    (touch.value, outcome, reason) for touch in Touch for outcome, reasons in REASONS_OF.items() for reason in reasons
]


def _day(offset: int, counts: Counts) -> DayCounts:
    """The counts of the day `offset` days before DAY (negative: after it)."""
    return DayCounts(DAY - timedelta(days=offset), counts)


def _totals(days: Sequence[DayCounts]) -> dict[tuple[int, str], DeliveredTotal]:
    return {(total.window_days, total.touch): total for total in compute_metrics(days, DAY, WINDOWS).totals}


def _rates(days: Sequence[DayCounts]) -> dict[tuple[int, str], dict[str, RateFigure]]:
    found: dict[tuple[int, str], dict[str, RateFigure]] = {}
    for rate in compute_metrics(days, DAY, WINDOWS).rates:
        found.setdefault((rate.window_days, rate.touch), {})[rate.name] = rate
    return found


def _figures(rates: dict[str, RateFigure], name: str) -> tuple[int, int, float | None]:
    return rates[name].count, rates[name].total, rates[name].value


def _summaries(days: Sequence[DayCounts]) -> dict[int, SecondTouchSummary]:
    return {summary.window_days: summary for summary in compute_metrics(days, DAY, WINDOWS).second_touch}


BY_HAND = [
    _day(
        0,
        {
            ("first", "offered", None): 90,
            ("first", "suppressed", "rate_limited"): 8,
            ("first", "suppressed", "unknown"): 2,
            ("first", "attempted", None): 80,
            ("first", "held", "cooldown_active"): 20,
            ("first", "queued", None): 60,
            ("first", "delivered", None): 57,
            ("first", "failed", "bounced_hard"): 3,
            ("first", "acknowledged", "positive"): 19,
            ("first", "acknowledged", "negative"): 1,
        },
    ),
    _day(
        6,
        {
            ("first", "delivered", None): 43,
            ("second", "offered", None): 12,
            ("second", "suppressed", "crisis_blocked"): 3,
            ("second", "suppressed", "rate_limited"): 1,
            ("second", "held", "crisis_window"): 4,
            ("second", "held", "rate_limited"): 2,
            ("second", "queued", None): 6,
            ("second", "delivered", None): 5,
            ("second", "failed", "expired"): 1,
            ("second", "acknowledged", "positive"): 2,
            ("second", "acknowledged", "neutral"): 1,
            ("second", "disabled", "negative_ack"): 1,
        },
    ),
    _day(7, {("first", "delivered", None): 100, ("second", "delivered", None): 10}),
    _day(29, {("first", "delivered", None): 1000, ("second", "acknowledged", "positive"): 7}),
    _day(30, {(touch, "delivered", None): 10**6 for touch in Touch}),
    _day(-1, {(touch, "delivered", None): 10**6 for touch in Touch}),
    DayCounts(date(2999, 1, 1), {(touch, "delivered", None): 10**6 for touch in Touch}),
]


def test_deliveries_and_reactions_are_summed_per_touch_and_over_both_by_hand() -> None:
    totals = _totals(BY_HAND)
    found = {key: (total.delivered, total.positive) for key, total in totals.items()}
    assert found == {
        (1, "first"): (57, 19),
        (1, "second"): (0, 0),
        (1, "both"): (57, 19),
        (7, "first"): (100, 19),
        (7, "second"): (5, 2),
        (7, "both"): (105, 21),
        (30, "first"): (1200, 19),
        (30, "second"): (15, 9),
        (30, "both"): (1215, 28),
    }
    assert totals[7, "both"].positive_rate == 0.2
    assert totals[30, "second"].positive_rate == 0.6


def test_hold_suppression_and_failure_rates_are_those_of_the_definitions_by_hand() -> None:
    first, second = _rates(BY_HAND)[7, "first"], _rates(BY_HAND)[7, "second"]
    assert _figures(first, "hold_rate") == (20, 80, 0.25)
    assert first["hold_rate"].attempts_source == "logged"
    assert _figures(first, "suppression_rate") == (10, 100, 0.1)
    assert _figures(first, "failure_rate") == (3, 103, 3 / 103)
    assert _figures(second, "hold_rate") == (6, 12, 0.5)
    assert second["hold_rate"].attempts_source == "derived"
    assert _figures(second, "suppression_rate") == (4, 16, 0.25)
    assert _figures(second, "failure_rate") == (1, 6, 1 / 6)


def test_the_second_touch_summary_has_the_whole_funnel_with_every_reason_by_hand() -> None:
    assert _summaries(BY_HAND)[7] == SecondTouchSummary(
        window_days=7,
        offered=12,
        suppressed=4,
        suppressed_by={"crisis_blocked": 3, "rate_limited": 1},
        attempts=12,
        attempts_source=AttemptsSource.DERIVED,
        queued=6,
        held=6,
        held_by={"crisis_window": 4, "rate_limited": 2},
        delivered=5,
        failed=1,
        acknowledged=3,
        acknowledged_by={"positive": 2, "neutral": 1},
        disabled=1,
        disabled_by={"negative_ack": 1},
    )
    assert _summaries(BY_HAND)[7].suppression_rate == 0.25
    assert _summaries(BY_HAND)[7].hold_rate == 0.5
    assert _summaries(BY_HAND)[30].acknowledged_by == {"positive": 9, "neutral": 1}
    assert _summaries(BY_HAND)[1].offered == 0


def test_each_metric_is_there_for_the_day_alone_and_for_each_window_whatever_there_is_to_count() -> None:
    for days in ([], BY_HAND):
        assert list(_totals(days)) == [(window, scope) for window in (1, 7, 30) for scope in Scope]
        assert list(_rates(days)) == [(window, touch) for window in (1, 7, 30) for touch in Touch]
        assert list(_summaries(days)) == [1, 7, 30]


def test_a_rate_without_a_denominator_is_absent_and_never_0() -> None:
    for days in (
        [],
        [_day(0, {("first", "acknowledged", "positive"): 3, ("second", "disabled", "negative_ack"): 1})],
    ):
        assert {total.positive_rate for total in _totals(days).values()} == {None}
        for rates in _rates(days).values():
            assert {rate.value for rate in rates.values()} == {None}
        for summary in _summaries(days).values():
            assert (summary.hold_rate, summary.suppression_rate) == (None, None)


def test_a_rate_with_a_denominator_and_nothing_bad_is_0_and_not_absent() -> None:
    nothing_bad: Counts = {
        ("first", "offered", None): 1,
        ("first", "attempted", None): 1,
        ("first", "delivered", None): 1,
    }
    rates = _rates([_day(0, nothing_bad)])[1, "first"]
    assert [rates[name].value for name in ("hold_rate", "suppression_rate", "failure_rate")] == [0.0, 0.0, 0.0]
    assert _totals([_day(0, nothing_bad)])[1, "first"].positive_rate == 0.0


def _attempts(counts: Counts) -> tuple[int, AttemptsSource]:
    return _day(0, counts).attempts(Touch.FIRST)


def test_attempts_are_what_the_source_logs_and_where_it_logs_none_what_it_held_and_queued() -> None:
    held_and_queued: Counts = {("first", "held", "disabled"): 2, ("first", "queued", None): 3}
    assert _attempts({}) == (0, AttemptsSource.LOGGED)
    assert _attempts({("first", "attempted", None): 5}) == (5, AttemptsSource.LOGGED)
    assert _attempts(held_and_queued) == (5, AttemptsSource.DERIVED)
    # Some have no outcome yet.
    assert _attempts({("first", "attempted", None): 9, **held_and_queued}) == (9, AttemptsSource.LOGGED)
    # A few were attempted the day before.
    assert _attempts({("first", "attempted", None): 4, **held_and_queued}) == (4, AttemptsSource.LOGGED)
    # The other touch's attempts are not this one's.
    assert _attempts({("second", "attempted", None): 9, **held_and_queued}) == (5, AttemptsSource.DERIVED)


def test_attempts_that_were_logged_for_a_part_of_the_day_only_are_not_those_of_the_day() -> None:
    decided: Counts = {("first", "held", "disabled"): 10, ("first", "queued", None): 90}
    assert _attempts({("first", "attempted", None): 12, **decided}) == (100, AttemptsSource.DERIVED)


LOGS_NO_ATTEMPTS: Counts = {("first", "held", "disabled"): 10, ("first", "queued", None): 100}
LOGS_BOTH: Counts = {("first", "attempted", None): 110, **LOGS_NO_ATTEMPTS}


def test_a_source_that_begins_to_log_attempts_keeps_its_hold_rate_in_every_window() -> None:
    days = [_day(0, LOGS_BOTH), *(_day(offset, LOGS_NO_ATTEMPTS) for offset in range(1, 30))]
    rates = _rates(days)
    # 10 of 110 a day, for 1, 7 and 30 days.
    assert _figures(rates[1, "first"], "hold_rate") == (10, 110, 10 / 110)
    assert _figures(rates[7, "first"], "hold_rate") == (70, 770, 70 / 770)
    assert _figures(rates[30, "first"], "hold_rate") == (300, 3300, 300 / 3300)
    assert [rates[window, "first"]["hold_rate"].attempts_source for window in (1, 7, 30)] == [
        "logged",
        "mixed",
        "mixed",
    ]


def test_tables_lines_and_verdict_agree_on_the_hold_rate_whatever_the_source_logs() -> None:
    days = [_day(0, LOGS_BOTH), *(_day(offset, LOGS_NO_ATTEMPTS) for offset in range(1, 90))]
    (signal,) = (
        one for one in evaluate(days, DAY).signals if (one.touch, one.name) == (Touch.FIRST, SignalName.HOLD_RATE)
    )
    assert (signal.count, signal.total, signal.rate) == _figures(_rates(days)[7, "first"], "hold_rate")
    assert (signal.count, signal.total) == (70, 770)


def test_reactions_can_outnumber_deliveries_and_the_rate_says_so() -> None:
    days = [_day(0, {("first", "delivered", None): 2, ("first", "acknowledged", "positive"): 9})]
    assert _totals(days)[1, "first"].positive_rate == 4.5


def test_a_reason_that_nobody_declared_is_counted_like_any_other() -> None:
    days = [
        _day(
            0,
            {
                ("second", "held", "undeclared"): 3,
                ("second", "held", "invalid_label"): 2,
                ("second", "held", "brand_new"): 1,
                ("second", "held", None): 4,
            },
        )
    ]
    summary = _summaries(days)[7]
    assert (summary.held, summary.attempts) == (10, 10)
    assert summary.held_by == {"undeclared": 3, "invalid_label": 2, "brand_new": 1}


@pytest.mark.parametrize(
    "counts",
    [
        {("third", "delivered", None): 1},
        {("both", "delivered", None): 1},
        {("first", "Delivered", None): 1},
        {("first", "opened", None): 1},
        {("first", "delivered", None): -1},
        {("first", "delivered", None): 1.0},
        {("first", "delivered", None): True},
        {("first", "delivered", None): None},
    ],
    ids=str,
)
def test_counts_that_cannot_be_are_refused(counts: Counts) -> None:
    with pytest.raises(ValueError, match=r"^a (touch|count) "):
        DayCounts(DAY, counts)


# Days around both edges of both windows.
days_of_counts = st.dictionaries(
    st.integers(-3, 33),
    st.dictionaries(st.sampled_from(KEYS), st.integers(0, 1000), max_size=6),
    max_size=12,
).map(lambda by_offset: [_day(offset, counts) for offset, counts in by_offset.items()])


@given(days_of_counts, st.sampled_from([1, 7, 30]))
def test_a_window_is_the_sum_of_its_days_and_of_no_other(days: list[DayCounts], window_days: int) -> None:
    window = WindowCounts(days, DAY, window_days)
    inside = [day for day in days if 0 <= (DAY - day.day).days < window_days]
    singles = [WindowCounts([day], day.day, 1) for day in inside]
    for scope in Scope:
        for outcome in Outcome:
            assert window.total(scope, outcome) == sum(single.total(scope, outcome) for single in singles)
            summed: Counter[str] = Counter()
            for single in singles:
                summed.update(single.by_reason(scope, outcome))
            assert window.by_reason(scope, outcome) == dict(summed)


@given(days_of_counts)
def test_both_touches_together_are_the_first_and_the_second(days: list[DayCounts]) -> None:
    totals = _totals(days)
    for window_days in (1, *WINDOWS):
        first, second, both = (totals[window_days, scope] for scope in ("first", "second", "both"))
        assert both.delivered == first.delivered + second.delivered
        assert both.positive == first.positive + second.positive


@given(days_of_counts, st.randoms(use_true_random=False))
def test_neither_the_order_of_days_nor_a_day_without_events_makes_a_difference(
    days: list[DayCounts], random: object
) -> None:
    empty = [_day(offset, {}) for offset in range(34) if _day(offset, {}).day not in {day.day for day in days}]
    shuffled = [*days, *empty]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert compute_metrics(shuffled, DAY, WINDOWS) == compute_metrics(days, DAY, WINDOWS)


@given(days_of_counts)
def test_every_figure_is_what_counting_single_events_gives(days: list[DayCounts]) -> None:
    events = Counter({(day.day, *key): events for day in days for key, events in day.counts.items()})

    def n(window_days: int, scope: str, outcome: str, *reasons: str) -> int:
        first = DAY - timedelta(days=window_days - 1)
        return sum(
            count
            for (day, touch, its_outcome, reason), count in events.items()
            if first <= day <= DAY
            and scope in (touch, "both")
            and its_outcome == outcome
            and (not reasons or reason in reasons)
        )

    for (window_days, scope), total in _totals(days).items():
        assert total.delivered == n(window_days, scope, "delivered")
        assert total.positive == n(window_days, scope, "acknowledged", "positive")
    for (window_days, touch), rates in _rates(days).items():
        suppressed, offered = n(window_days, touch, "suppressed"), n(window_days, touch, "offered")
        assert rates["suppression_rate"].value == (
            suppressed / (offered + suppressed) if offered + suppressed else None
        )
        failed, delivered = n(window_days, touch, "failed"), n(window_days, touch, "delivered")
        assert rates["failure_rate"].value == (failed / (delivered + failed) if delivered + failed else None)
        held = n(window_days, touch, "held")
        first = DAY - timedelta(days=window_days - 1)
        attempts = sum(day.attempts(touch)[0] for day in days if first <= day.day <= DAY)
        assert _figures(rates, "hold_rate") == (held, attempts, held / attempts if attempts else None)
    for window_days, summary in _summaries(days).items():
        for outcome in ("offered", "suppressed", "queued", "held", "delivered", "failed", "acknowledged", "disabled"):
            assert getattr(summary, outcome) == n(window_days, "second", outcome)
        for outcome in ("suppressed", "held", "acknowledged", "disabled"):
            by_reason = getattr(summary, f"{outcome}_by")
            assert sum(by_reason.values()) == getattr(summary, outcome)
            assert all(count == n(window_days, "second", outcome, reason) for reason, count in by_reason.items())
            assert 0 not in by_reason.values()
