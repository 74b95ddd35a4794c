"""What history teaches the watchdog, how episodes begin and end, and what configuration can say about both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import pytest

from ops_pipeline.contract.config import Accepted, Planned
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.health import DayCounts, Signal, SignalName, Status, Thresholds, Verdict, evaluate
from ops_pipeline.health.watchdog import evaluate_range, history_start
from ops_pipeline_tests.simulation.streams import WARM_UP, Incident, make_stream

DAY = date(2026, 11, 7)
WEEKS = 12 * 7

Counts = dict[tuple[str, str, str | None], int]


def _counts(touch: str = "first", *, per_day: int = 1000, **rates: float) -> Counts:
    """A day of steady traffic with these rates: hold, suppression, failure, positive."""
    held = round(per_day * rates.get("hold", 0.08))
    delivered = per_day - held
    return {
        (touch, "offered", None): per_day,
        (touch, "suppressed", "rate_limited"): round(per_day * rates.get("suppression", 0.15)),
        (touch, "attempted", None): per_day,
        (touch, "held", "cooldown_active"): held,
        (touch, "queued", None): delivered,
        (touch, "delivered", None): delivered,
        (touch, "failed", "bounced_soft"): round(per_day * rates.get("failure", 0.02)),
        (touch, "acknowledged", "positive"): round(delivered * rates.get("positive", 0.45)),
    }


def _stream(counts_of: Callable[[int], Mapping[tuple[str, str, str | None], int]]) -> list[DayCounts]:
    """Twelve weeks that end with DAY; `counts_of` gets how many days ago a day was."""
    return [DayCounts(DAY - timedelta(days=ago), counts_of(ago)) for ago in range(WEEKS)]


def _since(ago: int, **rates: float) -> Callable[[int], Counts]:
    return lambda day: _counts(**rates) if day <= ago else _counts()


def _signal(verdict: Verdict, name: SignalName, touch: str = "first") -> Signal:
    (found,) = [signal for signal in verdict.signals if (signal.name, signal.touch) == (name, touch)]
    return found


# Learned rates


@pytest.mark.parametrize(
    ("rates", "name", "reason"),
    [
        ({"hold": 0.16}, SignalName.HOLD_RATE, Reason.HOLD_RATE_HIGH),
        ({"suppression": 0.30}, SignalName.SUPPRESSION_RATE, Reason.SUPPRESSION_RATE_HIGH),
        ({"failure": 0.06}, SignalName.FAILURE_RATE, Reason.FAILURE_RATE_HIGH),
        ({"positive": 0.25}, SignalName.POSITIVE_RATE, Reason.POSITIVE_RATE_LOW),
    ],
)
def test_a_rate_unlike_its_history_is_unhealthy_on_the_first_day_though_it_keeps_its_limit(
    rates: dict[str, float], name: SignalName, reason: Reason
) -> None:
    assert evaluate(_stream(lambda _: _counts()), DAY).status is Status.HEALTHY
    verdict = evaluate(_stream(_since(0, **rates)), DAY)
    assert (verdict.status, verdict.reason) == (Status.UNHEALTHY, reason)
    signal = _signal(verdict, name)
    assert signal.expected is not None
    assert signal.rate is not None
    assert signal.critical is not None
    low = name is SignalName.POSITIVE_RATE
    assert (
        (signal.rate <= signal.critical < signal.expected)
        if low
        else (signal.rate >= signal.critical > signal.expected)
    )


def test_of_a_change_that_is_too_small_to_matter_nothing_is_said_however_certain_it_is() -> None:
    verdict = evaluate(_stream(lambda ago: _counts(per_day=1_000_000, hold=0.10 if ago < 7 else 0.08)), DAY)
    assert _signal(verdict, SignalName.HOLD_RATE).status is Status.HEALTHY


def test_a_long_incident_does_not_become_its_own_baseline() -> None:
    for length in (1, 7, 21, 35):
        assert evaluate(_stream(_since(length - 1, hold=0.25)), DAY).reason is Reason.HOLD_RATE_HIGH


def test_before_six_weeks_are_known_a_rate_has_its_limit_only() -> None:
    for known, reason in ((41, Reason.WITHIN_LIMIT), (42, Reason.AS_EXPECTED)):
        verdict = evaluate(_stream(lambda _: _counts())[:known], DAY)
        assert _signal(verdict, SignalName.HOLD_RATE).reason is reason


def test_deliveries_that_fall_to_a_third_are_low_on_the_second_day() -> None:
    traffic = [
        evaluate(_stream(lambda ago, last=last: _counts(per_day=330 if ago < last else 1000)), DAY)
        for last in (0, 1, 2)
    ]
    assert [verdict.reason for verdict in traffic] == [
        Reason.WITHIN_LIMITS,
        Reason.WITHIN_LIMITS,
        Reason.DELIVERED_LOW,
    ]
    assert _signal(traffic[2], SignalName.DELIVERED).window_days == 2


# Counts that cannot be right


def test_a_step_with_more_events_than_the_one_before_it_is_a_broken_funnel() -> None:
    more: Counts = {("first", "delivered", None): 2000, ("first", "acknowledged", "positive"): 900}
    verdict = evaluate(_stream(lambda ago: {**_counts(), **more} if ago < 7 else _counts()), DAY)
    assert verdict.unhealthy_reasons == (Reason.FUNNEL_BROKEN,)


def _without(counts: Counts, *outcomes: str) -> Counts:
    return {key: events for key, events in counts.items() if key[1] not in outcomes}


def _funnel(verdict: Verdict) -> tuple[Status, Reason]:
    found = _signal(verdict, SignalName.FUNNEL, "both")
    return found.status, found.reason


CHANGED = (Status.HEALTHY, Reason.LOGGING_CHANGED)
IN_ORDER = (Status.HEALTHY, Reason.NONE_SEEN)


@pytest.mark.parametrize("outcome", ["attempted", "queued"])
def test_a_source_that_begins_or_stops_to_log_a_step_is_a_note_for_a_week_and_never_unhealthy(outcome: str) -> None:
    for begins in (True, False):
        found = []
        for ago_changed in (0, 6, 7, 60):

            def day(ago: int, ago_changed: int = ago_changed, begins: bool = begins) -> Counts:
                is_logged = (ago <= ago_changed) is begins
                return _counts() if is_logged else _without(_counts(), outcome)

            verdict = evaluate(_stream(day), DAY)
            assert verdict.status is Status.HEALTHY, (begins, ago_changed, verdict.unhealthy_reasons)
            found.append(_funnel(verdict))
        assert found == [CHANGED, CHANGED, IN_ORDER, IN_ORDER]


def test_a_step_that_is_logged_from_the_middle_of_a_day_on_contradicts_nothing() -> None:
    def day(ago: int) -> Counts:
        if ago > 3:
            return _without(_counts(), "attempted")
        return {**_counts(), ("first", "attempted", None): 400} if ago == 3 else _counts()

    assert _funnel(evaluate(_stream(day), DAY)) == CHANGED


def test_a_planned_day_contradicts_nothing() -> None:
    def day(ago: int) -> Counts:
        return {**_counts(), ("first", "delivered", None): 5000} if ago == 2 else _counts()

    planned = Planned(first=DAY - timedelta(days=2), last=DAY - timedelta(days=2))
    assert _funnel(evaluate(_stream(day), DAY)) == (Status.UNHEALTHY, Reason.FUNNEL_BROKEN)
    assert _funnel(evaluate(_stream(day), DAY, Thresholds(planned=(planned,)))) == IN_ORDER


def test_attempts_that_lead_nowhere_are_a_broken_funnel() -> None:
    lost = {("first", "attempted", None): 1000}
    verdict = evaluate(
        _stream(
            lambda ago: (
                {**_counts(), **lost, ("first", "queued", None): 10, ("first", "delivered", None): 10}
                if ago < 7
                else _counts()
            )
        ),
        DAY,
    )
    assert Reason.FUNNEL_BROKEN in verdict.unhealthy_reasons


@pytest.mark.parametrize("label", ["undeclared", "invalid_label", "missing_reason"])
def test_reasons_that_say_nothing_are_unhealthy_once_they_are_many(label: str) -> None:
    def with_some(events: int) -> Verdict:
        return evaluate(_stream(lambda _: {**_counts(), ("first", "held", label): events}), DAY)

    assert with_some(1).status is Status.HEALTHY
    assert with_some(40).reason is Reason.LABELS_UNUSABLE


def test_a_segment_with_too_many_labels_is_said_for_as_long_as_it_is_in_the_window() -> None:
    days = [
        DayCounts(one.day, one.counts, one.day == DAY - timedelta(days=6)) for one in _stream(lambda _: _counts())
    ]
    assert evaluate(days, DAY).reason is Reason.NOT_A_SEGMENT
    assert evaluate(days, DAY + timedelta(days=1)).reason is not Reason.NOT_A_SEGMENT


# What configuration can say


def test_planned_days_are_no_verdict_and_no_baseline() -> None:
    maintenance = Planned(first=DAY - timedelta(days=20), last=DAY - timedelta(days=16))
    days = _stream(lambda ago: _counts(hold=0.30) if 16 <= ago <= 20 else _counts())
    planned = Thresholds(planned=(maintenance,))
    during = evaluate(days, DAY - timedelta(days=18), planned)
    assert (during.status, during.reason) == (Status.INSUFFICIENT_DATA, Reason.PLANNED)
    after = evaluate(days, DAY, planned)
    assert (after.status, after.since) == (Status.HEALTHY, None)
    assert _signal(after, SignalName.HOLD_RATE).expected == pytest.approx(0.08, abs=0.001)


def test_a_planned_stop_is_no_stop_and_a_leak_on_a_planned_day_is_a_leak() -> None:
    planned = Thresholds(planned=(Planned(first=DAY, last=DAY),))
    assert evaluate(_stream(lambda ago: _counts() if ago else {}), DAY).reason is Reason.TRAFFIC_STOPPED
    assert evaluate(_stream(lambda ago: _counts() if ago else {}), DAY, planned).reason is Reason.PLANNED
    leak: Counts = {("first", "held", "identity_leak"): 1}
    assert evaluate(_stream(lambda ago: _counts() if ago else leak), DAY, planned).reason is Reason.IDENTITY_LEAK


def test_an_event_that_is_planned_for_one_touch_leaves_the_other_watched() -> None:
    both = {**_counts("first", hold=0.30), **_counts("second", hold=0.30)}
    usual = {**_counts("first"), **_counts("second")}
    days = _stream(lambda ago: usual if ago else both)
    for touch, other in (("first", "second"), ("second", "first")):
        planned = Planned(first=DAY, last=DAY, touch=touch)  # type: ignore[arg-type]
        verdict = evaluate(days, DAY, Thresholds(planned=(planned,)))
        assert _signal(verdict, SignalName.HOLD_RATE, touch).reason is Reason.PLANNED
        assert _signal(verdict, SignalName.HOLD_RATE, other).reason is Reason.HOLD_RATE_HIGH


def test_an_accepted_level_ends_the_alarm_and_is_learned_in_six_weeks() -> None:
    def said(of_ago: int) -> Signal:
        accepted = Accepted(since=DAY - timedelta(days=of_ago), signal="hold_rate")
        verdict = evaluate(_stream(_since(of_ago, hold=0.20)), DAY, Thresholds(accepted=(accepted,)))
        return _signal(verdict, SignalName.HOLD_RATE)

    assert evaluate(_stream(_since(20, hold=0.20)), DAY).reason is Reason.HOLD_RATE_HIGH
    assert (said(20).reason, said(20).expected) == (Reason.WITHIN_LIMIT, None)
    assert said(50).reason is Reason.AS_EXPECTED
    assert said(50).expected == pytest.approx(0.20, abs=0.005)


def test_an_accepted_volume_is_the_volume() -> None:
    days = _stream(lambda ago: _counts(per_day=300 if ago < 20 else 1000))
    accepted = Accepted(since=DAY - timedelta(days=19), signal="delivered")
    assert evaluate(days, DAY).reason is Reason.DELIVERED_LOW
    signal = _signal(evaluate(days, DAY, Thresholds(accepted=(accepted,))), SignalName.DELIVERED)
    assert (signal.status, signal.expected) == (Status.HEALTHY, pytest.approx(276, abs=1))


def test_a_touch_can_have_a_limit_of_its_own_or_none() -> None:
    days = _stream(lambda _: {**_counts("first", hold=0.45), **_counts("second", hold=0.45)})
    assert evaluate(days, DAY).reason is Reason.HOLD_RATE_LIMIT
    for limit in (0.60, None):
        verdict = evaluate(days, DAY, Thresholds(second={"hold_rate": limit}))
        assert _signal(verdict, SignalName.HOLD_RATE, "first").reason is Reason.HOLD_RATE_LIMIT
        assert _signal(verdict, SignalName.HOLD_RATE, "second").limit == limit
        assert _signal(verdict, SignalName.HOLD_RATE, "second").status is Status.HEALTHY


# A range of days


@pytest.mark.parametrize(
    ("incident", "earlier", "stride"),
    [
        (Incident.HOLD_CREEP, Incident.TRAFFIC_DROP, 29),
        (Incident.ENGAGEMENT_FALL, Incident.IDENTITY_LEAK, 29),
        pytest.param(Incident.FAILURE_JUMP, Incident.TRAFFIC_STOP, 1, marks=pytest.mark.slow),
        pytest.param(Incident.TRAFFIC_DROP, Incident.HOLD_DOUBLE, 1, marks=pytest.mark.slow),
        pytest.param(None, None, 9, marks=pytest.mark.slow),
    ],
)
def test_a_range_says_of_each_day_what_the_day_alone_would_say(
    incident: Incident | None, earlier: Incident | None, stride: int
) -> None:
    days = make_stream((7, 7), incident, earlier=earlier).days
    first, last = days[WARM_UP].day, days[-1].day
    found = evaluate_range(days, first, last)
    assert [verdict.as_of for verdict in found] == [first + timedelta(days=ago) for ago in range(len(found))]
    for number, verdict in list(enumerate(found))[::stride]:
        assert evaluate(days, verdict.as_of) == verdict
        # Also where the day before was stored, and what comes before its history is gone.
        if number:
            recent = [day for day in days if day.day >= history_start(verdict.as_of)]
            assert evaluate(recent, verdict.as_of, before=found[number - 1]) == verdict


def test_the_beginning_of_an_episode_that_lasts_for_most_of_a_year_never_moves() -> None:
    days = [DayCounts(DAY - timedelta(days=ago), _counts(hold=0.45 if ago < 260 else 0.08)) for ago in range(330)]
    since = DAY - timedelta(days=259)
    found = evaluate_range(days, since, DAY)
    assert {_signal(verdict, SignalName.HOLD_RATE).since for verdict in found[3:]} == {found[-1].since}
    assert found[-1].since is not None
    assert found[-1].since <= since + timedelta(days=3)
    for ago in (0, 100, 200):
        assert evaluate(days, DAY - timedelta(days=ago)) == found[-1 - ago]
