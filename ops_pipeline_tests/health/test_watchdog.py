"""What the watchdog promises: what it calls unhealthy, what it cannot judge, and that neither reads as the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from math import sqrt
from random import Random
from statistics import NormalDist
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Outcome, Touch
from ops_pipeline.health import (
    Change,
    DayCounts,
    Signal,
    SignalName,
    Status,
    Thresholds,
    Verdict,
    evaluate,
    evaluate_range,
)
from ops_pipeline_tests.conftest import EXPENSIVE

DAY = date(2026, 11, 7)  # a Saturday
FRIDAY, SATURDAY = 4, 5

Counts = Mapping[tuple[str, str, str | None], int]

GOOD: Counts = {
    ("first", "offered", None): 120,
    ("first", "suppressed", "rate_limited"): 30,
    ("first", "attempted", None): 110,
    ("first", "held", "cooldown_active"): 10,
    ("first", "queued", None): 100,
    ("first", "delivered", None): 98,
    ("first", "failed", "bounced_soft"): 2,
    ("first", "acknowledged", "positive"): 45,
    ("first", "acknowledged", "negative"): 5,
    ("first", "disabled", "negative_ack"): 5,
}
"""A good day of the first touch."""

SECOND: Counts = {("second", outcome, reason): events for (_, outcome, reason), events in GOOD.items()}
"""A good day of the second touch."""

RATES = (SignalName.HOLD_RATE, SignalName.SUPPRESSION_RATE, SignalName.FAILURE_RATE, SignalName.POSITIVE_RATE)


def _day(ago: int, counts: Counts) -> DayCounts:
    """The counts of the day `ago` days before DAY (negative: after it)."""
    return DayCounts(DAY - timedelta(days=ago), counts)


def _days(agos: Iterable[int], counts: Counts = GOOD) -> list[DayCounts]:
    return [_day(ago, counts) for ago in agos]


def _plus(*all_counts: Counts) -> Counts:
    total: dict[tuple[str, str, str | None], int] = {}
    for counts in all_counts:
        for key, events in counts.items():
            total[key] = total.get(key, 0) + events
    return total


def _signal(verdict: Verdict, name: SignalName, touch: str = "first") -> Signal:
    (found,) = [signal for signal in verdict.signals if (signal.name, signal.touch) == (name, touch)]
    return found


def _parsed_lines(verdict: Verdict) -> tuple[str, str]:
    return verdict.status.value, verdict.reason.value


# What is watched


def test_every_touch_has_its_signals_in_a_fixed_order_and_leaks_are_watched_over_both() -> None:
    per_touch = ["delivered", "hold_rate", "suppression_rate", "failure_rate", "positive_rate"]
    of_touches = [(touch, name) for touch in ("first", "second") for name in per_touch]
    expected = [("both", "identity_leak"), *of_touches, ("both", "funnel"), ("both", "labels")]
    for days in ([], _days(range(60))):
        assert [(signal.touch, signal.name) for signal in evaluate(days, DAY).signals] == expected


def test_a_rate_without_limit_and_history_cannot_be_judged_and_one_with_a_limit_can() -> None:
    days = _days(range(7), {("first", "delivered", None): 50, ("first", "failed", "blocked"): 50})
    off = evaluate(days, DAY, Thresholds(hold_rate=None, suppression_rate=None, positive_rate=None))
    assert _signal(off, SignalName.FAILURE_RATE).reason is Reason.NO_BASELINE
    assert _parsed_lines(off) == ("insufficient_data", "low_volume")
    on = evaluate(days, DAY, Thresholds(failure_rate=0.05, positive_rate=None))
    assert _parsed_lines(on) == ("unhealthy", "failure_rate_limit")


def test_a_good_day_is_healthy_from_the_first_day_on() -> None:
    for history in (1, 2, 7, 30, 91, 400):
        assert _parsed_lines(evaluate(_days(range(history)), DAY)) == ("healthy", "within_limits")


# Limits


class Bad(NamedTuple):
    """Events of one touch whose rate lies far beyond its limit, and what that is called."""

    counts: Counts
    signal: SignalName
    x: int
    n: int
    reason: Reason


BAD = [
    Bad(
        {("first", "attempted", None): 90, ("first", "held", "cooldown_active"): 60},
        SignalName.HOLD_RATE,
        60,
        90,
        Reason.HOLD_RATE_LIMIT,
    ),
    Bad(
        {("first", "held", "cooldown_active"): 60, ("first", "queued", None): 30},
        SignalName.HOLD_RATE,
        60,
        90,
        Reason.HOLD_RATE_LIMIT,
    ),
    Bad({("first", "held", "undeclared"): 19}, SignalName.HOLD_RATE, 19, 19, Reason.HOLD_RATE_LIMIT),
    Bad({("first", "held", "a_new_reason"): 19}, SignalName.HOLD_RATE, 19, 19, Reason.HOLD_RATE_LIMIT),
    Bad({("first", "held", None): 19}, SignalName.HOLD_RATE, 19, 19, Reason.HOLD_RATE_LIMIT),
    Bad(
        {("first", "offered", None): 10, ("first", "suppressed", "unknown"): 90},
        SignalName.SUPPRESSION_RATE,
        90,
        100,
        Reason.SUPPRESSION_RATE_LIMIT,
    ),
    Bad(
        {("first", "suppressed", "rate_limited"): 9000},
        SignalName.SUPPRESSION_RATE,
        9000,
        9000,
        Reason.SUPPRESSION_RATE_LIMIT,
    ),
    Bad(
        {
            ("first", "delivered", None): 100,
            ("first", "failed", "bounced_hard"): 50,
            ("first", "acknowledged", "positive"): 40,
        },
        SignalName.FAILURE_RATE,
        50,
        150,
        Reason.FAILURE_RATE_LIMIT,
    ),
    Bad(
        {("first", "delivered", None): 100, ("first", "acknowledged", "positive"): 3},
        SignalName.POSITIVE_RATE,
        3,
        100,
        Reason.POSITIVE_RATE_LIMIT,
    ),
    Bad(
        {("first", "delivered", None): 100, ("first", "acknowledged", "negative"): 100},
        SignalName.POSITIVE_RATE,
        0,
        100,
        Reason.POSITIVE_RATE_LIMIT,
    ),
]

ALL_LIMITS = Thresholds(failure_rate=0.10)


@pytest.mark.parametrize("touch", ["first", "second"])
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.reason.value)
def test_a_rate_far_beyond_its_limit_is_unhealthy_on_the_very_first_day(bad: Bad, touch: str) -> None:
    counts = {(touch, outcome, reason): events for (_, outcome, reason), events in bad.counts.items()}
    verdict = evaluate([_day(0, counts)], DAY, ALL_LIMITS)
    found = _signal(verdict, bad.signal, touch)
    assert (found.status, found.reason, found.count, found.total) == (Status.UNHEALTHY, bad.reason, bad.x, bad.n)
    assert found.rate == bad.x / bad.n
    assert verdict.status is Status.UNHEALTHY
    assert bad.reason in verdict.unhealthy_reasons


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.reason.value)
def test_one_touch_alone_can_make_the_whole_unhealthy_beside_a_good_one(bad: Bad) -> None:
    days = [_day(0, _plus(bad.counts, SECOND)), *_days(range(1, 60), SECOND)]
    verdict = evaluate(days, DAY, ALL_LIMITS)
    assert verdict.status is Status.UNHEALTHY
    rates = {
        signal.reason for signal in verdict.signals if signal.status is Status.UNHEALTHY and signal.name in RATES
    }
    assert rates == {bad.reason}
    assert verdict.reason is bad.reason


def _counts_of(name: SignalName, x: int, n: int) -> Counts:
    """Counts of the first touch with x of n."""
    match name:
        case SignalName.HOLD_RATE:
            return {("first", "attempted", None): n, ("first", "held", "disabled"): x}
        case SignalName.SUPPRESSION_RATE:
            return {("first", "offered", None): n - x, ("first", "suppressed", "unknown"): x}
        case SignalName.FAILURE_RATE:
            return {("first", "delivered", None): n - x, ("first", "failed", "blocked"): x}
        case _:
            return {("first", "delivered", None): n, ("first", "acknowledged", "positive"): x}


@given(
    st.sampled_from(RATES),
    st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.sampled_from([0.2, 0.35, 0.5, 0.6, 0.8]),
    st.sampled_from([0.95, 0.999, 0.9999]),
)
def test_unhealthy_is_exactly_what_the_score_test_of_the_limit_rejects(
    name: SignalName, sample: tuple[int, int], limit: float, confidence: float
) -> None:
    x, n = sample
    thresholds = Thresholds(**{name.value: limit}, confidence=confidence)
    found = _signal(evaluate([_day(0, _counts_of(name, x, n))], DAY, thresholds), name)
    score = (x - n * limit) / sqrt(n * limit * (1 - limit))
    distance = (-score if name is SignalName.POSITIVE_RATE else score) - NormalDist().inv_cdf(confidence)
    if abs(distance) > 1e-6:  # at the boundary itself the last digit decides
        assert (found.status is Status.UNHEALTHY) is (distance > 0)
    assert (found.count, found.total, found.limit) == (x, n, limit)


@pytest.mark.parametrize(
    ("name", "last_healthy", "first_unhealthy"),
    [
        # z = 3.0902; n = 1000: 350 + z * sqrt(1000 * .35 * .65) = 396.6, and so on.
        (SignalName.HOLD_RATE, 396, 397),
        (SignalName.SUPPRESSION_RATE, 647, 648),
        (SignalName.POSITIVE_RATE, 161, 160),
    ],
)
def test_of_a_thousand_the_first_unhealthy_count_is_where_it_was_computed_by_hand(
    name: SignalName, last_healthy: int, first_unhealthy: int
) -> None:
    for x, status in ((last_healthy, Status.HEALTHY), (first_unhealthy, Status.UNHEALTHY)):
        assert _signal(evaluate([_day(0, _counts_of(name, x, 1000))], DAY), name).status is status


def test_the_events_of_the_whole_window_are_held_against_the_limit_and_no_others() -> None:
    counts = _counts_of(SignalName.HOLD_RATE, 60, 60)
    for ago, is_inside in ((0, True), (6, True), (7, False), (8, False), (-1, False)):
        found = _signal(evaluate([_day(ago, counts)], DAY), SignalName.HOLD_RATE)
        assert (found.total, found.window_days) == (60 if is_inside else 0, 7)
    found = _signal(evaluate([_day(27, counts)], DAY, Thresholds(window_days=28)), SignalName.HOLD_RATE)
    assert (found.total, found.window_days, found.status) == (60, 28, Status.UNHEALTHY)


def test_a_rate_just_below_its_limit_by_chance_is_not_unhealthy_and_is_told_apart_by_its_digits() -> None:
    found = _signal(
        evaluate([_day(0, _counts_of(SignalName.POSITIVE_RATE, 199, 1000))], DAY), SignalName.POSITIVE_RATE
    )
    assert found.status is Status.HEALTHY
    assert (found.rate, found.limit) == (0.199, 0.2)
    assert found.bound is not None
    assert found.bound > 0.2


# Identity leaks


@pytest.mark.parametrize("touch", ["first", "second"])
@pytest.mark.parametrize("outcome", ["held", "disabled"])
@pytest.mark.parametrize("others", [{}, {("first", "delivered", None): 1}, _plus(GOOD, SECOND)], ids=len)
@pytest.mark.parametrize("ago", [0, 6])
def test_one_identity_leak_is_unhealthy_at_any_volume(touch: str, outcome: str, others: Counts, ago: int) -> None:
    verdict = evaluate([_day(ago, _plus(others, {(touch, outcome, "identity_leak"): 1}))], DAY)
    assert verdict.status is Status.UNHEALTHY
    assert verdict.reason is Reason.IDENTITY_LEAK
    leak = _signal(verdict, SignalName.IDENTITY_LEAK, "both")
    assert (leak.count, leak.status) == (1, Status.UNHEALTHY)


def test_a_leak_that_lies_before_the_window_is_over() -> None:
    days = [*_days(range(7)), _day(7, _plus(GOOD, {("second", "held", "identity_leak"): 50}))]
    assert _parsed_lines(evaluate(days, DAY)) == ("healthy", "within_limits")


def test_leaks_of_both_kinds_and_touches_are_added_up() -> None:
    counts = {(touch, outcome, "identity_leak"): 7 for touch in Touch for outcome in ("held", "disabled")}
    leak = _signal(evaluate([_day(0, counts)], DAY), SignalName.IDENTITY_LEAK, "both")
    assert (leak.count, leak.total) == (28, 28)


def test_a_leak_hides_no_other_reason_and_all_are_named_the_worst_first() -> None:
    bad: Counts = {
        ("first", "held", "identity_leak"): 1,
        ("first", "held", "cooldown_active"): 90,
        ("first", "queued", None): 10,
        ("first", "suppressed", "unknown"): 100,
        ("first", "delivered", None): 100,
        ("first", "failed", "blocked"): 100,
    }
    days = [_day(0, bad), *_days(range(30, 80), SECOND)]
    verdict = evaluate(days, DAY, ALL_LIMITS)
    assert verdict.unhealthy_reasons == (
        Reason.IDENTITY_LEAK,
        Reason.TRAFFIC_STOPPED,
        Reason.HOLD_RATE_LIMIT,
        Reason.SUPPRESSION_RATE_LIMIT,
        Reason.FAILURE_RATE_LIMIT,
        Reason.POSITIVE_RATE_LIMIT,
        Reason.FUNNEL_BROKEN,
    )
    assert verdict.reason is Reason.IDENTITY_LEAK


# Traffic that stops


@pytest.mark.parametrize("outage", [1, 2, 3, 4, 5, 6, 7, 8, 14, 30, 45, 60, 77])
def test_an_outage_after_months_of_traffic_is_unhealthy_however_long_it_lasts(outage: int) -> None:
    verdict = evaluate(_days(range(outage, 300)), DAY)
    assert _parsed_lines(verdict) == ("unhealthy", "traffic_stopped")
    found = _signal(verdict, SignalName.DELIVERED)
    assert (found.window_days, found.count) == (outage, 0)
    assert found.expected == 98 * outage


@pytest.mark.parametrize("outage", [1, 5, 30, 60])
def test_an_outage_of_one_touch_is_unhealthy_though_the_other_goes_on(outage: int) -> None:
    days = [*_days(range(outage), SECOND), *_days(range(outage, 150), _plus(GOOD, SECOND))]
    assert _parsed_lines(evaluate(days, DAY)) == ("unhealthy", "traffic_stopped")


def test_an_outage_in_which_everything_but_deliveries_goes_on_is_unhealthy() -> None:
    undelivered = {key: events for key, events in GOOD.items() if key[1] != "delivered"}
    days = [_day(0, undelivered), *_days(range(1, 90))]
    assert Reason.TRAFFIC_STOPPED in evaluate(days, DAY).unhealthy_reasons


def test_when_traffic_is_back_the_outage_is_over() -> None:
    for back in range(3):
        verdict = evaluate([*_days(range(back + 1)), *_days(range(10, 90))], DAY)
        assert _parsed_lines(verdict) == ("healthy", "within_limits")
        # The second good day in a row ends the episode.
        assert verdict.change is (Change.RECOVERED if back == 1 else Change.NONE)
        assert (verdict.since is None) is (back == 2)


@pytest.mark.parametrize("history", [14, 21, 56, 91])
@pytest.mark.parametrize("per_day", [20, 100, 10_000])
def test_two_weeks_of_steady_traffic_are_enough_to_miss_it_on_the_first_day(history: int, per_day: int) -> None:
    days = _days(range(1, history + 1), {("second", "delivered", None): per_day})
    assert _parsed_lines(evaluate(days, DAY)) == ("unhealthy", "traffic_stopped")


@given(
    st.lists(st.integers(40, 5000), min_size=7, max_size=7),
    st.integers(28, 90),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_traffic_that_never_fell_below_a_handful_a_day_is_missed_at_once(
    weekly: list[int], history: int, outage: int, random: Random
) -> None:
    days = [
        _day(ago, {("first", "delivered", None): round(weekly[ago % 7] * random.uniform(0.8, 1.2))})
        for ago in range(outage, min(outage + history, 91))
    ]
    assert Reason.TRAFFIC_STOPPED in evaluate(days, DAY).unhealthy_reasons


def _office_weeks(first: date, last: date) -> list[DayCounts]:
    """Traffic from `first` to `last` without any on Saturdays and Sundays."""
    span = (last - first).days + 1
    days = [first + timedelta(days=offset) for offset in range(span)]
    return [DayCounts(day, GOOD) for day in days if day.weekday() < SATURDAY]


def test_a_weekend_without_traffic_never_alarms_where_weekends_have_none() -> None:
    start = DAY - timedelta(days=150)
    for offset, verdict in enumerate(evaluate_range(_office_weeks(start, DAY), start, DAY)):
        if verdict.status is not Status.HEALTHY:
            # Until the first working day has brought something to judge.
            assert (verdict.status, offset) < (Status.UNHEALTHY, 3)


def test_a_working_day_without_traffic_alarms_where_weekends_have_none() -> None:
    days = _office_weeks(DAY - timedelta(days=150), DAY)
    for ago in range(8):
        as_of = DAY - timedelta(days=ago)
        silent = [day for day in days if day.day < as_of]
        is_office_day = as_of.weekday() < SATURDAY
        assert (evaluate(silent, as_of).reason is Reason.TRAFFIC_STOPPED) is is_office_day


def test_an_outage_that_began_on_a_friday_stays_unhealthy_over_the_weekend() -> None:
    days = _office_weeks(DAY - timedelta(days=150), DAY)
    silent = [day for day in days if day.day < DAY - timedelta(days=1)]
    for later in range(4):  # Friday to Monday
        assert evaluate(silent, DAY + timedelta(days=later - 1)).reason is Reason.TRAFFIC_STOPPED


def test_a_stream_that_never_had_traffic_is_insufficient_data_and_says_that_nothing_was_delivered() -> None:
    never: list[list[DayCounts]] = [
        [],
        _days(range(90), {}),
        _days(range(90), {("first", "delivered", None): 0}),
        _days(range(90), {("first", "offered", None): 3}),
        # Attempts that led nowhere.
        _days(range(7), {("first", "attempted", None): 20}),
    ]
    for days in never:
        verdict = evaluate(days, DAY)
        assert _parsed_lines(verdict) == ("insufficient_data", "delivered_total_0")
        assert _signal(verdict, SignalName.DELIVERED).reason is Reason.DELIVERED_TOTAL_0


def test_a_new_stream_that_has_been_silent_for_the_whole_window_is_not_healthy() -> None:
    for silent in range(7, 40):
        verdict = evaluate(_days(range(silent, silent + 5)), DAY)
        assert _parsed_lines(verdict) == ("insufficient_data", "delivered_total_0")
        assert _signal(verdict, SignalName.DELIVERED).reason is Reason.NO_BASELINE


def test_a_day_without_any_where_such_days_are_usual_is_no_outage() -> None:
    random = Random(1)  # noqa: S311 - made-up traffic
    days = [_day(ago, {("first", "delivered", None): random.choice((0, 0, 1, 2))}) for ago in range(1, 91)]
    verdict = evaluate(days, DAY)
    assert _signal(verdict, SignalName.DELIVERED).reason is Reason.QUIET_EXPECTED
    assert verdict.status is not Status.UNHEALTHY


def _silent_days_until_missed(history: Mapping[int, int]) -> int:
    """Return on which day without deliveries traffic is first said to have stopped; `history` ends on DAY."""
    days = [_day(ago, {("first", "delivered", None): events}) for ago, events in history.items()]
    return next(
        later
        for later in range(1, 60)
        if Reason.TRAFFIC_STOPPED in evaluate(days, DAY + timedelta(days=later)).unhealthy_reasons
    )


def test_the_fewer_messages_a_day_has_the_longer_a_silence_takes_to_prove_itself() -> None:
    waits = [_silent_days_until_missed(dict.fromkeys(range(56), per_day)) for per_day in (1, 2, 5, 8, 15, 1000)]
    assert waits == sorted(waits, reverse=True)
    # The default budget allows a chance of 1 in 29,220, or e ** -10.3: eleven days with a mean of 1, two with 6.
    assert _silent_days_until_missed(dict.fromkeys(range(56), 6)) == 2
    assert (waits[0], waits[-1]) == (11, 1)


def test_days_that_never_have_traffic_make_a_silence_no_more_surprising() -> None:
    # Mondays to Wednesdays only: Thursday to Sunday are silent every week.
    days = [
        _day(ago, {("first", "delivered", None): 6})
        for ago in range(4, 90)  # the last day with traffic is a Tuesday
        if (DAY - timedelta(days=ago)).weekday() < 3
    ]
    wednesday = DAY - timedelta(days=3)
    missed = [
        evaluate(days, wednesday + timedelta(days=later)).reason is Reason.TRAFFIC_STOPPED for later in range(6)
    ]
    # Wednesday alone is no proof, and Thursday to Sunday add nothing; with Monday it is enough.
    assert missed == [False, False, False, False, False, True]


# Too little data


def test_one_delivery_without_a_reaction_is_too_little_to_judge() -> None:
    verdict = evaluate([_day(0, {("first", "delivered", None): 1})], DAY)
    assert _parsed_lines(verdict) == ("insufficient_data", "low_volume")
    assert _signal(verdict, SignalName.POSITIVE_RATE).reason is Reason.LOW_VOLUME
    assert _signal(verdict, SignalName.HOLD_RATE).reason is Reason.NO_EVENTS


@pytest.mark.slow
@pytest.mark.parametrize("name", [SignalName.HOLD_RATE, SignalName.SUPPRESSION_RATE, SignalName.POSITIVE_RATE])
def test_a_rate_that_can_be_judged_would_have_shown_a_real_problem_with_the_power_that_is_configured(
    name: SignalName,
) -> None:
    good = {SignalName.POSITIVE_RATE: 1.0}.get(name, 0.0)
    judged = []
    for n in (*range(1, 60), *range(60, 250, 20)):
        found = _signal(evaluate([_day(0, _counts_of(name, round(good * n), n))], DAY), name)
        assert found.status is not Status.UNHEALTHY
        judged.append(found.status is Status.HEALTHY)
        if found.status is Status.HEALTHY:
            assert found.min_detectable is not None
            assert found.limit is not None
            problem = found.min_detectable * found.limit
            assert 0 < problem < 1
            if n in (40, 100, 240):
                assert _share_seen(name, n, problem) == pytest.approx(0.8, abs=0.09)
    # Once there is enough to judge, more is enough as well.
    assert judged == sorted(judged)
    assert not judged[0]
    assert judged[-1]


def _share_seen(name: SignalName, n: int, rate: float) -> float:
    """Return how often n events of which `rate` are counted would be called unhealthy: the exact binomial sum."""
    chance = (1 - rate) ** n
    total = 0.0
    for x in range(n + 1):
        if _signal(evaluate([_day(0, _counts_of(name, x, n))], DAY), name).status is Status.UNHEALTHY:
            total += chance
        chance *= (n - x) / (x + 1) * rate / (1 - rate)
    return total


def test_too_little_of_one_rate_does_not_hide_that_another_could_be_judged() -> None:
    verdict = evaluate(_days(range(7), {**GOOD, ("second", "delivered", None): 1}), DAY)
    assert _parsed_lines(verdict) == ("healthy", "within_limits")
    assert _signal(verdict, SignalName.POSITIVE_RATE, "second").status is Status.INSUFFICIENT_DATA


# Counts that do not fit together


def test_reactions_that_outnumber_deliveries_are_shown_as_they_are() -> None:
    for positives, deliveries in ((9, 2), (180, 70), (1, 0), (5000, 1)):
        days = [_day(0, {("first", "delivered", None): deliveries, ("first", "acknowledged", "positive"): positives})]
        verdict = evaluate(days, DAY)
        found = _signal(verdict, SignalName.POSITIVE_RATE)
        assert (found.count, found.total) == (positives, deliveries)
        assert found.rate == (positives / deliveries if deliveries else None)
        assert verdict.status is not Status.UNHEALTHY


def test_a_day_in_the_far_future_does_not_count() -> None:
    far = DayCounts(date(2999, 1, 1), {("first", "held", "identity_leak"): 5, ("first", "delivered", None): 9})
    assert evaluate([*_days(range(60)), far], DAY) == evaluate(_days(range(60)), DAY)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a count is not a whole number of at least 0$"):
        _day(0, {("first", "acknowledged", "positive"): -60})


def test_a_day_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a day is given twice$"):
        evaluate([*_days(range(7)), _day(3, {})], DAY)


# A year of ordinary traffic


@pytest.mark.slow
@pytest.mark.parametrize("per_day", [6, 200, 20_000])
def test_a_year_of_ordinary_traffic_raises_no_alarm(per_day: int) -> None:
    random = Random(per_day)  # noqa: S311 - made-up traffic
    days = [
        DayCounts(DAY - timedelta(days=ago), _ordinary(random, per_day, DAY - timedelta(days=ago)))
        for ago in range(365, -1, -1)
    ]
    for last in range(len(days)):
        verdict = evaluate(days[max(0, last - 91) : last + 1], days[last].day)
        assert verdict.status is not Status.UNHEALTHY
        if per_day >= 200:
            assert verdict.status is Status.HEALTHY


def _ordinary(random: Random, per_day: int, day: date) -> Counts:
    """A day with a weekly shape and more spread than chance alone would have."""
    weekly = (1.2, 1.2, 1.1, 1.1, 1.0, 0.6, 0.5)[day.weekday()]
    offers = max(1, round(per_day * weekly * random.lognormvariate(0, 0.2)))

    def share(of: int, rate: float) -> int:
        mean = of * min(1.0, rate * random.lognormvariate(0, 0.05))
        return min(of, max(0, round(random.gauss(mean, sqrt(mean)))))

    suppressed, held = share(offers, 0.15), share(offers, 0.10)
    delivered = offers - held
    return {
        ("first", "offered", None): offers,
        ("first", "suppressed", "rate_limited"): suppressed,
        ("first", "attempted", None): offers,
        ("first", "held", "cooldown_active"): held,
        ("first", "queued", None): offers - held,
        ("first", "delivered", None): delivered,
        ("first", "acknowledged", "positive"): share(delivered, 0.45),
    }


# Whatever the counts are

KEYS = [
    (touch.value, outcome.value, reason)
    for touch in Touch
    for outcome, reason in (
        (Outcome.OFFERED, None),
        (Outcome.SUPPRESSED, "unknown"),
        (Outcome.ATTEMPTED, None),
        (Outcome.HELD, "cooldown_active"),
        (Outcome.HELD, "undeclared"),
        (Outcome.QUEUED, None),
        (Outcome.DELIVERED, None),
        (Outcome.FAILED, "blocked"),
        (Outcome.ACKNOWLEDGED, "positive"),
        (Outcome.ACKNOWLEDGED, "negative"),
        (Outcome.DISABLED, "negative_ack"),
    )
]

some_counts = st.dictionaries(
    st.sampled_from(KEYS), st.one_of(st.integers(0, 5), st.integers(0, 300), st.integers(0, 10**6)), max_size=10
)
single_days = st.dictionaries(st.integers(-3, 95), some_counts, max_size=12)
streams = st.tuples(st.integers(0, 60), st.integers(0, 91), some_counts).map(
    lambda stream: dict.fromkeys(range(stream[0], stream[1]), stream[2])
)
histories = st.tuples(streams, single_days).map(
    lambda parts: [_day(ago, counts) for ago, counts in {**parts[0], **parts[1]}.items()]
)
thresholds_of_any_kind = st.builds(
    Thresholds,
    hold_rate=st.none() | st.floats(0.05, 0.95),
    suppression_rate=st.none() | st.floats(0.05, 0.95),
    failure_rate=st.none() | st.floats(0.01, 0.95),
    positive_rate=st.none() | st.floats(0.05, 0.95),
    window_days=st.integers(1, 35),
    confidence=st.floats(0.9, 0.9999),
    power=st.floats(0.6, 0.99),
    fa_per_year=st.floats(0.01, 20),
)


@EXPENSIVE
@given(histories, thresholds_of_any_kind)
def test_the_whole_is_unhealthy_exactly_if_a_signal_is_and_names_every_reason(
    days: list[DayCounts], thresholds: Thresholds
) -> None:
    verdict = evaluate(days, DAY, thresholds)
    unhealthy = {signal.reason for signal in verdict.signals if signal.status is Status.UNHEALTHY}
    assert (verdict.status is Status.UNHEALTHY) is bool(unhealthy)
    assert set(verdict.unhealthy_reasons) == unhealthy
    assert len(verdict.unhealthy_reasons) == len(unhealthy)
    if unhealthy:
        assert verdict.reason is verdict.unhealthy_reasons[0]
        return
    delivered = sum(
        events
        for day in days
        for (_, outcome, _), events in day.counts.items()
        if outcome == "delivered" and 0 <= (DAY - day.day).days < thresholds.window_days
    )
    judged = any(signal.status is Status.HEALTHY for signal in verdict.signals if signal.name in RATES)
    if delivered == 0:
        assert _parsed_lines(verdict) == ("insufficient_data", "delivered_total_0")
    elif not judged:
        assert _parsed_lines(verdict) == ("insufficient_data", "low_volume")
    else:
        assert _parsed_lines(verdict) == ("healthy", "within_limits")


@EXPENSIVE
@given(histories, thresholds_of_any_kind)
def test_every_signal_can_be_checked_by_hand(days: list[DayCounts], thresholds: Thresholds) -> None:
    for signal in evaluate(days, DAY, thresholds).signals:
        if signal.name not in RATES:
            continue
        assert signal.rate == (signal.count / signal.total if signal.total else None)
        assert signal.limit == getattr(thresholds, signal.name)
        if signal.bound is None:
            assert signal.reason is Reason.NO_EVENTS
            assert signal.total == 0
            continue
        if signal.limit is not None:
            is_low = signal.name is SignalName.POSITIVE_RATE
            is_beyond = signal.bound < signal.limit if is_low else signal.bound > signal.limit
            assert is_beyond is (signal.reason.value == f"{signal.name}_limit")
        if signal.critical is not None:
            assert signal.expected is not None
        if signal.status is Status.HEALTHY:
            assert signal.min_detectable is not None


@EXPENSIVE
@given(histories, st.randoms(use_true_random=False))
def test_the_order_of_days_and_a_second_look_make_no_difference(days: list[DayCounts], random: Random) -> None:
    shuffled = list(days)
    random.shuffle(shuffled)
    assert evaluate(shuffled, DAY) == evaluate(days, DAY) == evaluate(days, DAY)


@EXPENSIVE
@given(histories, some_counts)
def test_days_after_the_one_in_question_never_change_the_verdict(days: list[DayCounts], later: Counts) -> None:
    known = [day for day in days if day.day <= DAY]
    assert evaluate([*known, *_days(range(-9, 0), later)], DAY) == evaluate(known, DAY)


@EXPENSIVE
@given(histories)
def test_a_day_without_events_is_the_same_as_a_day_that_is_missing(days: list[DayCounts]) -> None:
    given_days = {day.day for day in days}
    empty = [day for day in _days(range(95), {}) if day.day not in given_days]
    assert evaluate([*days, *empty], DAY) == evaluate(days, DAY)


@EXPENSIVE
@given(histories, st.integers(0, 6), st.sampled_from([(t, o) for t in Touch for o in ("held", "disabled")]))
def test_one_leak_more_always_makes_it_unhealthy(days: list[DayCounts], ago: int, where: tuple[str, str]) -> None:
    verdict = evaluate(_with(days, ago, {(*where, "identity_leak"): 1}), DAY)
    assert (verdict.status, verdict.reason) == (Status.UNHEALTHY, Reason.IDENTITY_LEAK)


def _with(days: Sequence[DayCounts], ago: int, more: Counts) -> list[DayCounts]:
    by_day = {day.day: day.counts for day in days}
    day = DAY - timedelta(days=ago)
    by_day[day] = _plus(by_day.get(day, {}), more)
    return [DayCounts(day, counts) for day, counts in by_day.items()]


@EXPENSIVE
@given(histories, st.integers(0, 6), st.integers(1, 10**6), st.data())
def test_more_of_the_same_bad_events_never_turn_unhealthy_into_healthy(
    days: list[DayCounts], ago: int, more: int, data: st.DataObject
) -> None:
    before = evaluate(days, DAY, ALL_LIMITS)
    bad = [signal for signal in before.signals if signal.status is Status.UNHEALTHY and signal.name in RATES]
    if not bad:
        return
    worse = data.draw(st.sampled_from(bad))
    event = {
        SignalName.HOLD_RATE: (worse.touch.value, "held", "cooldown_active"),
        SignalName.SUPPRESSION_RATE: (worse.touch.value, "suppressed", "unknown"),
        SignalName.FAILURE_RATE: (worse.touch.value, "failed", "blocked"),
        SignalName.POSITIVE_RATE: (worse.touch.value, "delivered", None),
    }[worse.name]
    after = evaluate(_with(days, ago, {event: more}), DAY, ALL_LIMITS)
    assert _signal(after, worse.name, worse.touch).status is Status.UNHEALTHY
    assert after.status is Status.UNHEALTHY
